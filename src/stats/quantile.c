#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>

struct ps_stats_interval ps_stats_exactly(double value)
{
	return (struct ps_stats_interval){value, value, value, 1, true};
}

uint64_t ps_stats_rank(double p, uint64_t n)
{
	if (n == 0)
		return 0;
	/* 0.95 * 20 is not 19 in binary; a rank must not jump for that. */
	double x = p * (double)n, near = round(x);
	double k = fabs(x - near) <= 1e-9 * fmax(1, x) ? near : ceil(x);
	if (k < 1)
		return 1;
	return k >= (double)n ? n : (uint64_t)k;
}

double ps_stats_quantile(const double *sorted, size_t n, double p)
{
	return sorted[ps_stats_rank(p, n) - 1];
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

void ps_stats_sort(double *x, size_t n)
{
	qsort(x, n, sizeof(*x), compare);
}

/* The least k in [lo, hi] with P(B <= k) >= q, or hi + 1. */
static double binomial_quantile(double n, double p, double q, double lo, double hi)
{
	if (ps_stats_binomial_cdf(hi, n, p) < q)
		return hi + 1;
	while (lo < hi) {
		double mid = floor((lo + hi) / 2);
		if (ps_stats_binomial_cdf(mid, n, p) >= q)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* Independent samples below which even the extremes bound the quantile too rarely: the largest lies
 * below it with probability p^n, the smallest above it with (1-p)^n. */
static double least_samples(double p, double tail)
{
	return ceil(log(tail) / log(fmax(p, 1 - p)) - 1e-9);
}

struct ps_stats_ranks ps_stats_quantile_ranks(double p, uint64_t n, double effective_ratio,
					      double confidence)
{
	double ratio = fmin(1, fmax(effective_ratio, n ? 1 / (double)n : 1));
	double tail = (1 - confidence) / 2;
	double m = floor((double)n * ratio + 1e-9);
	struct ps_stats_ranks r = {.rank = ps_stats_rank(p, n), .effective_n = (double)n * ratio};
	double least = least_samples(p, tail);
	if (m < least) {
		double all = ceil(least / ratio - 1e-9);
		r.needs_more = all > (double)n ? (uint64_t)(all - (double)n) : 1;
		return r;
	}
	/* x(l) is above the quantile with P(B <= l-1), x(u) below it with P(B >= u). */
	double l = binomial_quantile(m, p, nextafter(tail, 1), 0, m);
	double u = binomial_quantile(m, p, 1 - tail, 0, m) + 1;
	/* Each independent sample stands for a group of n/m neighbours in rank: take the outer
	 * members of the bounding groups. */
	double group = (double)n / m;
	r.lo = (uint64_t)floor((l - 1) * group) + 1;
	r.hi = (uint64_t)ceil(u * group - 1e-9);
	r.has_interval = true;
	if (r.hi > n)
		r.hi = n;
	return r;
}

struct ps_stats_time_quantile ps_stats_hist_quantile(const struct ps_hist *h, double p,
						     double effective_ratio, double confidence)
{
	uint64_t n = ps_hist_total(h);
	struct ps_stats_ranks r = ps_stats_quantile_ranks(p, n, effective_ratio, confidence);
	struct ps_stats_time_quantile q = {
		.p = p,
		.value_ns = ps_hist_rank_ns(h, r.rank),
		.has_interval = r.has_interval,
		.needs_more = r.needs_more,
		.confidence = confidence,
	};
	if (r.has_interval) {
		q.lo_ns = ps_hist_rank_ns(h, r.lo);
		q.hi_ns = ps_hist_rank_ns(h, r.hi);
	}
	return q;
}

/* h good ones with t bad ones suffice when I_p(h, t + 1) <= error; that falls with h. */
static uint64_t least_good(double p, double t, double error)
{
	double lo = 0, hi = 1;
	while (ps_stats_betainc(hi, t + 1, p) > error) {
		lo = hi;
		hi *= 2;
	}
	while (hi - lo > 1) {
		double mid = floor((lo + hi) / 2);
		if (ps_stats_betainc(mid, t + 1, p) > error)
			lo = mid;
		else
			hi = mid;
	}
	return (uint64_t)hi;
}

uint64_t ps_stats_early_stop_min(double p, uint64_t t, double confidence)
{
	return least_good(p, (double)t, 1 - confidence);
}

bool ps_stats_early_stop(double p, uint64_t n, uint64_t over, double effective_ratio,
			 double confidence, int look, uint64_t *ret_needs_more)
{
	double ratio = fmin(1, fmax(effective_ratio, 1e-9));
	double error = (1 - confidence) / (look > 0 ? exp2(fmin(look, 60)) : 1);
	/* Rounded against passing: violations up, the others down. */
	double t = ceil((double)over * ratio - 1e-9);
	double h = floor((double)(n - over) * ratio + 1e-9);
	double least = (double)least_good(p, t, error);
	*ret_needs_more = h >= least ? 0 : (uint64_t)ceil((least - h) / ratio - 1e-9);
	return h >= least;
}
