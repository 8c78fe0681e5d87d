/* judge.c - does a tenant's share of late requests fit its SLA, and how sure is that? */
#include "report_internal.h"

#include <math.h>

static struct ps_stats_interval share(double k, double n, double effective)
{
	return ps_stats_proportion_interval(k * effective, n * effective, PS_REPORT_CONFIDENCE);
}

/* Whether an SLA holds is a one-sided question, and so is whether it is missed: each answer is
 * given with the stated confidence, so both ends come from the interval with twice the error. */
static struct ps_stats_interval decision(double k, double n, double effective)
{
	return ps_stats_proportion_interval(k * effective, n * effective,
					    1 - 2 * (1 - PS_REPORT_CONFIDENCE));
}

static bool is_decided(double k, double n, double effective, double allowed)
{
	struct ps_stats_interval i = decision(k, n, effective);

	return i.hi <= allowed || i.lo > allowed;
}

/* The least n' >= n at which the same share would decide; UINT64_MAX beyond 10^9. */
static uint64_t decided_at(double observed, double n, double effective, double allowed)
{
	double lo = n, hi = n;

	while (!is_decided(observed * hi, hi, effective, allowed)) {
		lo = hi;
		hi *= 2;
		if (hi > 1e9)
			return UINT64_MAX;
	}
	while (hi - lo > 1) {
		double mid = floor((lo + hi) / 2);
		if (is_decided(observed * mid, mid, effective, allowed))
			hi = mid;
		else
			lo = mid;
	}
	return (uint64_t)hi;
}

static void decide(struct ps_report_line *l, const struct ps_sla *sla, uint64_t valid_requests,
		   uint64_t valid_over)
{
	double n = (double)l->requests, allowed = 1 - sla->percentile;
	double failed = (double)l->failed / n;

	l->share_over = share((double)l->over, n, l->effective_ratio);
	l->verdict = PS_REPORT_UNDECIDED;
	if (decision((double)l->over, n, l->effective_ratio).hi <= allowed &&
	    failed <= 1 - sla->min_success) {
		l->verdict = PS_REPORT_MET;
	} else if (valid_requests > 0) {
		struct ps_stats_interval v =
			decision((double)valid_over, (double)valid_requests, l->effective_ratio);
		struct ps_stats_interval f = decision((double)l->failed, n, l->effective_ratio);
		if (v.lo > allowed || (l->invalid == 0 && f.lo > 1 - sla->min_success))
			l->verdict = PS_REPORT_MISSED;
	}
	if (l->verdict == PS_REPORT_UNDECIDED) {
		uint64_t at = decided_at((double)l->over / n, n, l->effective_ratio, allowed);
		l->needs_more = at == UINT64_MAX ? at : at - l->requests;
	}
}

void ps_report_judge_line(struct ps_report_line *l, const struct ps_sla *sla,
			  uint64_t valid_requests, uint64_t valid_over)
{
	double p = ps_sla_is_set(sla) ? sla->percentile : 0.95;

	l->p50 =
		ps_stats_hist_quantile(&l->latency, 0.50, l->effective_ratio, PS_REPORT_CONFIDENCE);
	l->p95 =
		ps_stats_hist_quantile(&l->latency, 0.95, l->effective_ratio, PS_REPORT_CONFIDENCE);
	l->p99 =
		ps_stats_hist_quantile(&l->latency, 0.99, l->effective_ratio, PS_REPORT_CONFIDENCE);
	l->at_sla =
		ps_stats_hist_quantile(&l->latency, p, l->effective_ratio, PS_REPORT_CONFIDENCE);
	l->verdict = PS_REPORT_NO_DATA;
	if (l->requests > 0 && ps_sla_is_set(sla))
		decide(l, sla, valid_requests, valid_over);
}
