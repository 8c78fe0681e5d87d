/* bill_text.c - a bill for people, and as JSON. */
#include "cost/bill.h"
#include "cost_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *ps_cost_money(int64_t nano_usd, char buf[PS_COST_MONEY_SIZE])
{
	snprintf(buf, PS_COST_MONEY_SIZE, "%" PRId64 ".%09" PRId64, nano_usd / PS_COST_NANO_PER_USD,
		 nano_usd % PS_COST_NANO_PER_USD);
	return buf;
}

const char *ps_cost_instant(int64_t s, char buf[PS_COST_INSTANT_SIZE])
{
	struct ps_cost_date d = ps_cost_date_of(s * 1000000000);
	int in_day = (int)(s % 86400);
	snprintf(buf, PS_COST_INSTANT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02dZ", d.year, d.month,
		 d.day, in_day / 3600, in_day / 60 % 60, in_day % 60);
	return buf;
}

static double gib_hours(int64_t byte_s)
{
	return (double)byte_s / (1073741824.0 * 3600);
}

static double percent(const struct ps_cost_bill *b, int64_t nano_usd)
{
	return b->total_nano_usd > 0 ? 100 * (double)nano_usd / (double)b->total_nano_usd : 0;
}

/* ---- text ---- */

static void put_row(const struct ps_cost_bill *b, const char *who, const char *model,
		    const char *used, int64_t compute, int64_t memory, struct ps_strbuf *out)
{
	char c[PS_COST_MONEY_SIZE], m[PS_COST_MONEY_SIZE], sum[PS_COST_MONEY_SIZE];
	ps_strbuf_printf(out, "%-20s %-24s %27s %16s %16s %16s %6.2f %%\n", who, model, used,
			 ps_cost_money(compute, c), ps_cost_money(memory, m),
			 ps_cost_money(compute + memory, sum), percent(b, compute + memory));
}

static void put_used(const struct ps_cost_bill *b, struct ps_strbuf *out)
{
	double scale = ps_cost_bill_scale(b);

	for (size_t i = 0; i < b->row_len; i++) {
		const struct ps_cost_bill_row *r = &b->rows[i];
		char used[64];
		snprintf(used, sizeof used, "%13.6f %13.6f", scale * (double)r->compute_ns / 3.6e12,
			 scale * gib_hours(r->resident_byte_s));
		put_row(b, r->tenant, r->model, used, r->compute_nano_usd, r->memory_nano_usd, out);
	}
}

static void put_sum(const struct ps_cost_bill *b, struct ps_strbuf *out)
{
	int64_t compute = b->idle_compute_nano_usd, memory = b->idle_memory_nano_usd;
	for (size_t i = 0; i < b->row_len; i++) {
		compute += b->rows[i].compute_nano_usd;
		memory += b->rows[i].memory_nano_usd;
	}
	put_row(b, "idle", "", "", b->idle_compute_nano_usd, b->idle_memory_nano_usd, out);
	put_row(b, "total", "", "", compute, memory, out);
}

/* "1 c6i.large of aws us-east-1 from A to B: 720 h billed at $0.085/h (30 % spot; SOURCE's DATE)"
 */
static void put_machine(const struct ps_cost_bill *b, struct ps_strbuf *out)
{
	const struct ps_cost_price *p = b->price;
	char from[PS_COST_INSTANT_SIZE], to[PS_COST_INSTANT_SIZE];
	ps_strbuf_printf(out, "%s, %s%s%s, from %s to %s: %.6g h billed at $%.6g/h",
			 p->instance_type, p->provider ? p->provider : "", p->region ? " " : "",
			 p->region ? p->region : "", ps_cost_instant(b->from_s, from),
			 ps_cost_instant(b->to_s, to), (double)b->billed_ns / 3.6e12,
			 b->usd_per_hour);
	if (b->mix.spot_share > 0)
		ps_strbuf_printf(out, ", %g %% spot", 100 * b->mix.spot_share);
	if (b->mix.reserved_share > 0)
		ps_strbuf_printf(out, ", %g %% reserved", 100 * b->mix.reserved_share);
	ps_strbuf_printf(out, " (price of %s", p->source_date ? p->source_date : "no date");
	if (p->exchange)
		ps_strbuf_printf(out, "; 1 %s = $%.6g by %s of %s", p->exchange->currency,
				 p->exchange->usd, p->exchange->source, p->exchange->source_date);
	ps_strbuf_puts(out, ")\n");
}

void ps_cost_bill_text(const struct ps_cost_bill *b, struct ps_strbuf *out)
{
	char instant[PS_COST_INSTANT_SIZE];

	put_machine(b, out);
	ps_strbuf_printf(out, "weights: compute %g, memory %g; it has %g vCPUs and %.6g GiB\n",
			 1 - b->memory_weight, b->memory_weight, b->vcpu,
			 (double)b->memory_bytes / 1073741824.0);
	if (b->measured_ns > 0)
		ps_strbuf_printf(out,
				 "what was used is that of %.6g s of trials, taken for the whole "
				 "period\n",
				 (double)b->measured_ns / 1e9);
	if (b->known_until_s > 0)
		ps_strbuf_printf(out, "what was used after %s is not known and counts as idle\n",
				 ps_cost_instant(b->known_until_s, instant));
	ps_strbuf_putc(out, '\n');
	ps_strbuf_printf(out, "%-20s %-24s %13s %13s %16s %16s %16s %8s\n", "TENANT", "MODEL",
			 "COMPUTE CPU-h", "MEMORY GiB-h", "COMPUTE $", "MEMORY $", "TOTAL $",
			 "SHARE");
	put_used(b, out);
	put_sum(b, out);
	if (b->compute_over)
		ps_strbuf_puts(out, "more compute time was measured than these vCPUs have: check "
				    "--vcpu; none of it is idle\n");
	if (b->memory_over)
		ps_strbuf_puts(out, "more memory was held than the machine is said to have: check "
				    "--memory; none of it is idle\n");
}

/* ---- JSON ---- */

static void set_cost(json_t *o, int64_t compute, int64_t memory)
{
	ps_json_set_int(o, "compute_nano_usd", compute);
	ps_json_set_int(o, "memory_nano_usd", memory);
	ps_json_set_int(o, "nano_usd", compute + memory);
	ps_json_set_real(o, "usd", (double)(compute + memory) / 1e9);
}

static json_t *row_json(const struct ps_cost_bill_row *r)
{
	json_t *o = json_object();
	ps_json_set_string(o, "tenant", r->tenant);
	ps_json_set_string(o, "model", r->model);
	ps_json_set_int(o, "requests", r->requests);
	ps_json_set_int(o, "inferences", r->inferences);
	ps_json_set_int(o, "compute_ns", r->compute_ns);
	ps_json_set_int(o, "resident_byte_s", r->resident_byte_s);
	set_cost(o, r->compute_nano_usd, r->memory_nano_usd);
	return o;
}

static json_t *rows_json(const struct ps_cost_bill *b)
{
	json_t *list = json_array();
	for (size_t i = 0; i < b->row_len; i++)
		json_array_append_new(list, row_json(&b->rows[i]));
	return list;
}

/* Rows of one tenant stand together. */
static json_t *tenants_json(const struct ps_cost_bill *b)
{
	json_t *list = json_array();
	for (size_t i = 0; i < b->row_len;) {
		const char *who = b->rows[i].tenant;
		int64_t compute = 0, memory = 0;
		for (; i < b->row_len && strcmp(b->rows[i].tenant, who) == 0; i++) {
			compute += b->rows[i].compute_nano_usd;
			memory += b->rows[i].memory_nano_usd;
		}
		json_t *o = json_object();
		ps_json_set_string(o, "tenant", who);
		set_cost(o, compute, memory);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *exchange_json(const struct ps_cost_exchange *x)
{
	if (!x)
		return json_null();
	json_t *o = json_object();
	ps_json_set_string(o, "currency", x->currency);
	ps_json_set_real(o, "usd", x->usd);
	ps_json_set_string(o, "source", x->source);
	ps_json_set_string(o, "source_date", x->source_date);
	return o;
}

static json_t *machine_json(const struct ps_cost_bill *b)
{
	const struct ps_cost_price *p = b->price;
	json_t *o = json_object();
	ps_json_set_string(o, "provider", p->provider);
	ps_json_set_string(o, "region", p->region);
	ps_json_set_string(o, "instance_type", p->instance_type);
	ps_json_set_real(o, "usd_per_hour", b->usd_per_hour);
	ps_json_set_real(o, "on_demand_usd_per_hour", p->on_demand_usd_per_hour);
	ps_json_set_real(o, "spot_share", b->mix.spot_share);
	ps_json_set_real(o, "reserved_share", b->mix.reserved_share);
	ps_json_set_real(o, "vcpu", b->vcpu);
	ps_json_set_int(o, "memory_bytes", b->memory_bytes);
	ps_json_set_string(o, "source", p->source);
	ps_json_set_string(o, "source_date", p->source_date);
	json_object_set_new(o, "exchange", exchange_json(p->exchange));
	return o;
}

json_t *ps_cost_bill_json(const struct ps_cost_bill *b)
{
	char instant[PS_COST_INSTANT_SIZE];
	json_t *o = json_object(), *idle = json_object();
	json_object_set_new(o, "machine", machine_json(b));
	ps_json_set_string(o, "resource", b->resource);
	ps_json_set_string(o, "from", ps_cost_instant(b->from_s, instant));
	ps_json_set_string(o, "to", ps_cost_instant(b->to_s, instant));
	ps_json_set_real(o, "billed_hours", (double)b->billed_ns / 3.6e12);
	ps_json_set_int(o, "measured_ns",
			b->measured_ns > 0 ? b->measured_ns : (b->to_s - b->from_s) * 1000000000);
	ps_json_set_string(o, "compute_from", b->compute_from ? b->compute_from : "ledger");
	ps_json_set_string(o, "known_until",
			   b->known_until_s > 0 ? ps_cost_instant(b->known_until_s, instant)
						: NULL);
	ps_json_set_real(o, "memory_weight", b->memory_weight);
	json_object_set_new(o, "rows", rows_json(b));
	json_object_set_new(o, "tenants", tenants_json(b));
	set_cost(idle, b->idle_compute_nano_usd, b->idle_memory_nano_usd);
	json_object_set_new(o, "idle", idle);
	ps_json_set_int(o, "total_nano_usd", b->total_nano_usd);
	ps_json_set_real(o, "total_usd", (double)b->total_nano_usd / 1e9);
	ps_json_set_int(o, "list_nano_usd", b->list_nano_usd);
	ps_json_set_bool(o, "compute_over", b->compute_over);
	ps_json_set_bool(o, "memory_over", b->memory_over);
	return o;
}
