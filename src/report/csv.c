/* csv.c - one row per tenant and set, for other tools. */
#include "report_internal.h"

#include "base/csv.h"

#include <math.h>
#include <string.h>

/* Unknown values are empty cells. */
static void put_real(struct ps_strbuf *out, double v)
{
	ps_strbuf_putc(out, ',');
	ps_csv_real(out, v);
}

static void put_interval(struct ps_strbuf *out, const struct ps_stats_interval *i)
{
	put_real(out, i->value);
	put_real(out, i->has_interval ? i->lo : NAN);
	put_real(out, i->has_interval ? i->hi : NAN);
}

static double ms(int64_t ns)
{
	return ns == PS_HIST_INFINITE ? INFINITY : (double)ns / 1e6;
}

static void put_quantile(struct ps_strbuf *out, const struct ps_stats_time_quantile *q, bool data)
{
	put_real(out, data ? ms(q->value_ns) : NAN);
	put_real(out, data && q->has_interval ? ms(q->lo_ns) : NAN);
	put_real(out, data && q->has_interval ? ms(q->hi_ns) : NAN);
}

static void put_line(const struct ps_report_answer *a, const struct ps_report_line *l,
		     struct ps_strbuf *out)
{
	const struct ps_store_tenant *t = &a->campaign->tenants[l->tenant];
	const struct ps_report_set *s = &a->sets[l->set];
	struct ps_stats_interval capacity = l->capacity_rps;
	bool data = l->requests > 0;

	if (!l->capacity_known)
		capacity.value = NAN;
	ps_csv_text(out, a->campaign->name);
	ps_strbuf_putc(out, ',');
	ps_csv_text(out, t->name);
	ps_strbuf_putc(out, ',');
	ps_csv_text(out, t->model);
	ps_strbuf_putc(out, ',');
	ps_csv_text(out, a->campaign->sets[l->set].name);
	put_real(out, t->demand_rps);
	put_interval(out, &capacity);
	put_real(out, l->held_rps);
	ps_strbuf_printf(out, ",%d,%d,%llu,%llu,%llu", l->trials, l->invalid,
			 (unsigned long long)l->requests, (unsigned long long)l->over,
			 (unsigned long long)l->failed);
	put_quantile(out, &l->p50, data);
	put_quantile(out, &l->p95, data);
	put_quantile(out, &l->p99, data);
	put_real(out, l->goodput_rps);
	put_interval(out, &l->slowdown);
	ps_strbuf_printf(out, ",%s", ps_report_verdict_name(l->verdict));
	put_real(out, s->cpu_cores);
	put_real(out, s->cpu_ms_per_request);
	put_real(out, s->peak_rss_bytes < 0 ? NAN : (double)s->peak_rss_bytes);
	put_interval(out, &l->usd_per_million);
	put_real(out, data ? 100 * l->at_sla.p : NAN);
	put_quantile(out, &l->at_sla, data);
	ps_strbuf_puts(out, "\r\n");
}

void ps_report_csv(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	ps_strbuf_puts(
		out,
		"campaign,tenant,model,set,demand_rps,capacity_rps,capacity_rps_low,"
		"capacity_rps_high,held_rps,trials,invalid_trials,requests,requests_over_limit,"
		"requests_failed,p50_ms,p50_ms_low,p50_ms_high,p95_ms,p95_ms_low,"
		"p95_ms_high,p99_ms,p99_ms_low,p99_ms_high,goodput_rps,slowdown,slowdown_low,"
		"slowdown_high,verdict,"
		"server_cpu_cores,server_cpu_ms_per_request,server_peak_rss_bytes,"
		"usd_per_million,usd_per_million_low,usd_per_million_high,"
		"sla_percentile,at_sla_ms,at_sla_ms_low,at_sla_ms_high\r\n");
	for (size_t i = 0; i < a->line_len; i++)
		put_line(a, &a->lines[i], out);
}
