#include "load/export.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static void put_quoted(struct ps_strbuf *out, const char *text)
{
	ps_strbuf_puts(out, ",\"");
	for (; *text; text++) {
		if (*text == '"') {
			ps_strbuf_putc(out, '"');
		}
		ps_strbuf_putc(out, *text);
	}
	ps_strbuf_putc(out, '"');
}

static void put_us(struct ps_strbuf *out, double ns)
{
	ps_strbuf_printf(out, ",%.0f", floor(fmax(ns, 0) / 1000));
}

static void put_percentile(struct ps_strbuf *out, int64_t ns)
{
	if (ns == PS_HIST_INFINITE) {
		ps_strbuf_puts(out, ",inf");
	} else {
		ps_strbuf_printf(out, ",%" PRId64, ns / 1000);
	}
}

/* The parts of the mean service latency. What the server did not account for was on the way. */
static void put_parts(struct ps_strbuf *out, const struct ps_load_tenant_result *t)
{
	double queue = ps_hist_mean_ns(&t->server_queue);
	double compute = ps_hist_mean_ns(&t->server_compute);
	double receive = ps_hist_mean_ns(&t->latency) - ps_hist_mean_ns(&t->first_byte);
	double rest = ps_hist_mean_ns(&t->service_latency) - queue - compute - receive;

	put_us(out, 0); /* client send */
	put_us(out, rest);
	put_us(out, queue);
	put_us(out, 0); /* compute input */
	put_us(out, compute);
	put_us(out, 0); /* compute output */
	put_us(out, receive);
}

/* The latency that the SLA judges, whose percentile may be none of the four. */
static void put_sla(struct ps_strbuf *out, const struct ps_load_tenant_result *t)
{
	char text[PS_SLA_SIZE];

	if (!ps_sla_is_set(&t->sla)) {
		ps_strbuf_puts(out, ",,");
		return;
	}
	put_quoted(out, ps_sla_format(&t->sla, text));
	put_percentile(out, t->sla_quantile.value_ns);
}

static double inferences_per_s(const struct ps_load_tenant_result *t)
{
	return t->throughput_rps * (t->batch > 0 ? t->batch : 1);
}

static void put_row(struct ps_strbuf *out, const struct ps_load_tenant_result *t)
{
	ps_strbuf_printf(out, "%.6g,%.6g", t->users ? t->users : t->asked_rps, inferences_per_s(t));
	put_parts(out, t);
	put_percentile(out, t->p50.value_ns);
	put_percentile(out, t->p90.value_ns);
	put_percentile(out, t->p95.value_ns);
	put_percentile(out, t->p99.value_ns);
	put_quoted(out, t->name);
	put_quoted(out, PS_STATS_QUANTILE_RULE);
	put_quoted(out, PS_LOAD_CLOCK);
	put_sla(out, t);
	ps_strbuf_putc(out, '\n');
}

/* The row that follows `before` (-1: none) by throughput, then by place in the plan. */
static size_t next_row(const struct ps_load_result *r, double before, size_t before_i)
{
	size_t best = r->tenant_len;

	for (size_t i = 0; i < r->tenant_len; i++) {
		double x = inferences_per_s(&r->tenants[i]);
		bool behind = x > before || (x == before && i > before_i);

		if (behind && (best == r->tenant_len || x < inferences_per_s(&r->tenants[best]))) {
			best = i;
		}
	}
	return best;
}

bool ps_load_export_perf_analyzer(const struct ps_load_result *r, struct ps_strbuf *out)
{
	double before = -1;
	size_t row = 0;

	for (size_t i = 1; i < r->tenant_len; i++) {
		if ((r->tenants[i].users > 0) != (r->tenants[0].users > 0)) {
			return false;
		}
	}
	ps_strbuf_puts(out, r->tenant_len && r->tenants[0].users ? "Concurrency" : "Request Rate");
	ps_strbuf_puts(
		out, ",Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue,"
		     "Server Compute Input,Server Compute Infer,Server Compute Output,Client Recv,"
		     "p50 latency,p90 latency,p95 latency,p99 latency"
		     ",Tenant,Percentile Rule,Clock,SLA,SLA latency\n");
	for (size_t n = 0; n < r->tenant_len; n++) {
		row = next_row(r, before, row);
		before = inferences_per_s(&r->tenants[row]);
		put_row(out, &r->tenants[row]);
	}
	return true;
}
