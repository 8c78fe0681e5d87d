#include "load/export.h"

#include <inttypes.h>
#include <math.h>

enum { STEPS_PER_HALF = 5 };

/* Between 0 and 50 % five steps, as many between 50 and 75 %, and so on. */
static double next_level(double p)
{
	double halvings = floor(log2(1 / (1 - p)) + 1e-9) + 1;

	return p + 1 / (STEPS_PER_HALF * exp2(halvings));
}

static void put_summary(const struct ps_load_tenant_result *t, struct ps_strbuf *out)
{
	const struct ps_hist *h = &t->latency;

	ps_strbuf_printf(out, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n",
			 ps_hist_mean_ns(h) / 1e6, ps_hist_deviation_ns(h) / 1e6);
	ps_strbuf_printf(out, "#[Max     = %12.3f, Total count    = %12" PRIu64 "]\n",
			 (double)h->max_ns / 1e6, ps_hist_total(h));
	ps_strbuf_printf(out, "#[Buckets = %12d, SubBuckets     = %12d]\n", PS_HIST_BUCKETS,
			 PS_HIST_SUB_BUCKETS);
	ps_strbuf_printf(out, "#[Tenant = %s, Unit = ms]\n", t->name);
	ps_strbuf_printf(out, "#[Percentile rule = %s]\n", PS_STATS_QUANTILE_RULE);
	ps_strbuf_printf(out, "#[Clock = %s]\n", PS_LOAD_CLOCK);
	if (h->lost) {
		ps_strbuf_printf(out,
				 "#[Lost = %" PRIu64 ": failed, above every value, and counted in "
				 "Percentile and Total count]\n",
				 h->lost);
	}
}

void ps_load_export_hdr(const struct ps_load_tenant_result *t, struct ps_strbuf *out)
{
	const struct ps_hist *h = &t->latency;
	uint64_t n = ps_hist_total(h), rank = 0;

	ps_strbuf_printf(out, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
			 "1/(1-Percentile)");
	for (double p = 0; n > 0 && rank < n; p = next_level(p)) {
		rank = ps_stats_rank(p, n);
		if (rank > ps_hist_count(h) || rank == n) {
			break;
		}
		ps_strbuf_printf(out, "%12.3f %2.12f %10" PRIu64 " %14.2f\n",
				 (double)ps_hist_rank_ns(h, rank) / 1e6, p, rank, 1 / (1 - p));
	}
	if (n > 0 && h->lost == 0) {
		ps_strbuf_printf(out, "%12.3f %2.12f %10" PRIu64 "\n", (double)h->max_ns / 1e6, 1.0,
				 n);
	}
	put_summary(t, out);
}
