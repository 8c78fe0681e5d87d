/* stats.h - what a set of measurements says, and how sure that is.   Layer 1, pure. Uses base.
 *
 * No clocks, no files; the only randomness is a generator that the caller seeds. Every interval
 * carries its confidence, and where data do not suffice a function says so and how much is missing
 * instead of giving a number.
 *
 * Percentile rule: nearest rank. The p-quantile of n values is the k-th smallest, k = ceil(p n), at
 * least 1 (Hyndman and Fan, 1996: type 1, the inverse of the empirical distribution function). It
 * is always a value that was measured.
 */
#ifndef PS_STATS_STATS_H
#define PS_STATS_STATS_H

#include "base/error.h"
#include "base/rng.h"
#include "stats/hist.h"
#include "stats/special.h"

#include <stddef.h>
#include <stdint.h>

#define PS_STATS_QUANTILE_RULE "nearest rank: the ceil(p n)-th smallest (Hyndman-Fan type 1)"

/* A value with its interval. An end that the data do not bound is 0, -INFINITY or INFINITY, as the
 * function says; !has_interval means that no interval can be given at all. */
struct ps_stats_interval {
	double value;
	double lo, hi;
	double confidence; /* such as 0.95 */
	bool has_interval;
};

/* ps_stats_exactly returns `value` as an interval of width 0. */
struct ps_stats_interval ps_stats_exactly(double value);

/* ---- quantiles ---- */

/* ps_stats_rank returns the rank of the p-quantile of n values by the rule above, 1..n (0 for n =
 * 0). A product p n within 1e-9 of an integer is that integer. */
uint64_t ps_stats_rank(double p, uint64_t n);
/* ps_stats_quantile returns it from n values sorted upwards; n >= 1. */
double ps_stats_quantile(const double *sorted, size_t n, double p);
/* ps_stats_sort sorts upwards. */
void ps_stats_sort(double *x, size_t n);

/* The ranks that bound a quantile. */
struct ps_stats_ranks {
	uint64_t rank;	     /* of the quantile itself */
	uint64_t lo, hi;     /* of its interval, when has_interval */
	bool has_interval;   /* false: too few samples */
	uint64_t needs_more; /* then: how many more samples are needed, at the same correlation */
	double effective_n;
};

/* ps_stats_quantile_ranks gives the order statistics x(lo) <= quantile <= x(hi) that cover the
 * true p-quantile with probability `confidence`, whatever the distribution: binomial counts with
 * (1 - confidence)/2 in either tail, on n * effective_ratio independent samples (each standing for
 * 1/effective_ratio neighbours in rank). 0 < p < 1, 0 < effective_ratio <= 1. */
struct ps_stats_ranks ps_stats_quantile_ranks(double p, uint64_t n, double effective_ratio,
					      double confidence);

/* A quantile of times with its interval. PS_HIST_INFINITE stands for "falls on lost requests". */
struct ps_stats_time_quantile {
	double p;
	int64_t value_ns;
	int64_t lo_ns, hi_ns; /* when has_interval */
	bool has_interval;
	uint64_t needs_more; /* else: "needs N more" */
	double confidence;
};

/* ps_stats_hist_quantile reads a quantile and its interval from a histogram, lost requests
 * included. An empty histogram gives value 0 and no interval. */
struct ps_stats_time_quantile ps_stats_hist_quantile(const struct ps_hist *h, double p,
						     double effective_ratio, double confidence);

/* ---- correlated samples, warm-up, trend ---- */

/* ps_stats_effective_ratio returns n_eff/n in (0, 1] for the mean of a stationary series in order
 * of time: 1/tau, tau = 1 + 2 sum of autocorrelations, summed by Geyer's initial positive monotone
 * sequence (1992). Over 8192 values neighbours are averaged first (which keeps tau). A constant
 * series has ratio 1. The estimate is never more than 1: negative correlation earns nothing.
 * PS_ENOMEM; fewer than 4 values give 1. */
enum ps_status ps_stats_effective_ratio(const double *x, size_t n, double *ret_ratio);
/* ps_stats_effective_ratio_over is that of the series "x[i] > limit": what an interval of a
 * quantile near `limit` needs. */
enum ps_status ps_stats_effective_ratio_over(const double *x, size_t n, double limit,
					     double *ret_ratio);

/* What correlation leaves of a series, and how well that is known. */
struct ps_stats_effective {
	double ratio;	/* n_eff/n, in (0, 1] */
	double freedom; /* degrees of freedom behind it, >= 1; INFINITY when nothing varied */
};

/* ps_stats_effective_over estimates it for the series "x[i] > limit" by the lowest frequencies
 * (effective.c): at most 64 degrees of freedom, and no more than effective events were seen on the
 * rarer side. PS_ENOMEM. */
enum ps_status ps_stats_effective_over(const double *x, size_t n, double limit,
				       struct ps_stats_effective *ret_effective);
/* ps_stats_effective_at returns the ratio to use in a statement whose one-sided error is `tail`:
 * less than e->ratio, by Student's t, because that is itself an estimate. `growth` is the length of
 * the series that the statement is about, in lengths of the one that was seen. */
double ps_stats_effective_at(const struct ps_stats_effective *e, double growth, double tail);
/* ps_stats_hist_quantile_of is ps_stats_hist_quantile with that ratio. */
struct ps_stats_time_quantile ps_stats_hist_quantile_of(const struct ps_hist *h, double p,
							const struct ps_stats_effective *e,
							double confidence);

/* ps_stats_mser5 returns how many values to cut from the front as warm-up (White, 1997: batches of
 * 5, cut where the marginal standard error of the rest is least). *ret_steady (may be NULL) is
 * false when the best cut is in the second half: no steady state was seen, and n/2 rounded down to
 * a batch is returned; also below 50 values, where 0 is returned. O(n). */
size_t ps_stats_mser5(const double *x, size_t n, bool *ret_steady);

struct ps_stats_trend {
	double p_rising;  /* one-sided p-value against "no trend": small means rising */
	double tau;	  /* Kendall's tau in [-1, 1] */
	double slope;	  /* Theil-Sen: the median slope, in units of x per unit of t */
	double effective; /* points after correction for correlation */
	bool enough;	  /* false: under 8 points, nothing can be said (p_rising = 1) */
};

/* ps_stats_trend is the Mann-Kendall test with the variance corrected for the autocorrelation of
 * the detrended ranks (Hamed and Rao, 1998), over at most 64 averages of neighbours. t must not
 * decrease. PS_ENOMEM. */
enum ps_status ps_stats_trend(const double *t, const double *x, size_t n,
			      struct ps_stats_trend *ret_trend);

/* ---- means and ratios ---- */

/* ps_stats_mean and ps_stats_variance (of a sample, n - 1); 0 when they do not exist. */
double ps_stats_mean(const double *x, size_t n);
double ps_stats_variance(const double *x, size_t n);

#define PS_STATS_MIN_BLOCKS    4
#define PS_STATS_MIN_BOOTSTRAP 20

/* ps_stats_mean_interval is Student's t interval of the mean of independent values; from
 * PS_STATS_MIN_BLOCKS values on, before that !has_interval. */
struct ps_stats_interval ps_stats_mean_interval(const double *x, size_t n, double confidence);
/* ps_stats_ratio_interval compares paired blocks: exp of the t interval of log(a[i]/b[i]), that is
 * the geometric mean ratio a/b. All values must be > 0, else !has_interval and value NaN. */
struct ps_stats_interval ps_stats_ratio_interval(const double *a, const double *b, size_t n,
						 double confidence);
/* ps_stats_bootstrap_interval is the studentised bootstrap interval of the mean, `resamples` draws
 * from `rng`; from PS_STATS_MIN_BOOTSTRAP values on. PS_ENOMEM. */
enum ps_status ps_stats_bootstrap_interval(const double *x, size_t n, double confidence,
					   int resamples, struct ps_rng *rng,
					   struct ps_stats_interval *ret_interval);
/* ps_stats_proportion_interval is the Clopper-Pearson interval of a proportion k/n; both may be
 * fractional (effective counts), 0 <= k <= n. */
struct ps_stats_interval ps_stats_proportion_interval(double k, double n, double confidence);

/* ---- early stopping, as in MLPerf LoadGen (tolerance 0) ---- */

/* ps_stats_early_stop_min returns the least number of requests h inside the limit that, with t over
 * it, show at `confidence` that a share of at least p is inside: the smallest h with
 * I_p(h, t + 1) <= 1 - confidence. The minimum number of requests is h + t. */
uint64_t ps_stats_early_stop_min(double p, uint64_t t, double confidence);
/* ps_stats_early_stop judges n requests, `over` of them over the limit, as n * effective_ratio
 * independent ones. *ret_needs_more is 0 when it passes, else how many more requests inside the
 * limit are needed. `look` counts from 1: the k-th look at doubling sizes spends
 * (1 - confidence)/2^k of the error; 0 means the only look. */
bool ps_stats_early_stop(double p, uint64_t n, uint64_t over, double effective_ratio,
			 double confidence, int look, uint64_t *ret_needs_more);
/* ps_stats_early_stop_of is the same with an estimated effective count: its error, and that calm
 * runs underestimate their correlation, are allowed for (effective.c), so that a true share just
 * over 1 - p passes with probability 1 - confidence at most. */
bool ps_stats_early_stop_of(double p, uint64_t n, uint64_t over, const struct ps_stats_effective *e,
			    double confidence, int look, uint64_t *ret_needs_more);

/* ---- monotone fits ---- */

/* ps_stats_isotonic replaces y by the non-decreasing sequence nearest to it in weighted least
 * squares (pool adjacent violators); weights w > 0. O(n), in place. PS_ENOMEM. */
enum ps_status ps_stats_isotonic(double *y, const double *w, size_t n);

#endif
