#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>

double ps_stats_mean(const double *x, size_t n)
{
	double sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += x[i];
	return n ? sum / (double)n : 0;
}

double ps_stats_variance(const double *x, size_t n)
{
	if (n < 2)
		return 0;
	/* Two passes: latencies have means far above their spread. */
	double mean = ps_stats_mean(x, n), sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += (x[i] - mean) * (x[i] - mean);
	return sum / (double)(n - 1);
}

static double standard_error(const double *x, size_t n)
{
	return sqrt(ps_stats_variance(x, n) / (double)n);
}

struct ps_stats_interval ps_stats_mean_interval(const double *x, size_t n, double confidence)
{
	struct ps_stats_interval r = {.value = ps_stats_mean(x, n), .confidence = confidence};
	r.lo = r.hi = r.value;
	if (n < PS_STATS_MIN_BLOCKS)
		return r;
	double t = ps_stats_t_quantile((1 + confidence) / 2, (double)(n - 1));
	double half = t * standard_error(x, n);
	r.lo = r.value - half;
	r.hi = r.value + half;
	r.has_interval = true;
	return r;
}

/* Welford's recursion, since the logarithms are not kept. */
static bool log_ratio_moments(const double *a, const double *b, size_t n, double *ret_mean,
			      double *ret_variance)
{
	double mean = 0, squares = 0;
	for (size_t i = 0; i < n; i++) {
		if (!(a[i] > 0 && b[i] > 0))
			return false;
		double y = log(a[i] / b[i]), delta = y - mean;
		mean += delta / (double)(i + 1);
		squares += delta * (y - mean);
	}
	*ret_mean = mean;
	*ret_variance = n > 1 ? squares / (double)(n - 1) : 0;
	return n > 0;
}

struct ps_stats_interval ps_stats_ratio_interval(const double *a, const double *b, size_t n,
						 double confidence)
{
	struct ps_stats_interval r = {NAN, NAN, NAN, confidence, false};
	double mean, var;
	if (!log_ratio_moments(a, b, n, &mean, &var))
		return r;
	r.value = r.lo = r.hi = exp(mean);
	if (n < PS_STATS_MIN_BLOCKS)
		return r;
	double t = ps_stats_t_quantile((1 + confidence) / 2, (double)(n - 1));
	double half = t * sqrt(var / (double)n);
	r.lo = exp(mean - half);
	r.hi = exp(mean + half);
	r.has_interval = true;
	return r;
}

/* The t statistic of one resample, (mean* - mean) / se*. A resample without spread says nothing
 * about t and is drawn again by the caller. */
static bool resample_t(const double *x, size_t n, double mean, struct ps_rng *rng, double *draw,
		       double *ret_t)
{
	for (size_t i = 0; i < n; i++)
		draw[i] = x[ps_rng_below(rng, n)];
	double se = standard_error(draw, n);
	if (!(se > 0))
		return false;
	*ret_t = (ps_stats_mean(draw, n) - mean) / se;
	return true;
}

enum ps_status ps_stats_bootstrap_interval(const double *x, size_t n, double confidence,
					   int resamples, struct ps_rng *rng,
					   struct ps_stats_interval *ret_interval)
{
	struct ps_stats_interval r = {.value = ps_stats_mean(x, n), .confidence = confidence};
	double se = n ? standard_error(x, n) : 0;
	r.lo = r.hi = r.value;
	r.has_interval = n >= PS_STATS_MIN_BOOTSTRAP && resamples >= 100;
	if (!r.has_interval || !(se > 0)) {
		*ret_interval = r;
		return PS_OK;
	}
	double *draw = malloc((n + (size_t)resamples) * sizeof(*draw));
	if (!draw)
		return PS_ENOMEM;
	double *t = draw + n;
	for (int k = 0; k < resamples;)
		k += resample_t(x, n, r.value, rng, draw, &t[k]);
	ps_stats_sort(t, (size_t)resamples);
	r.lo = r.value - se * ps_stats_quantile(t, (size_t)resamples, (1 + confidence) / 2);
	r.hi = r.value - se * ps_stats_quantile(t, (size_t)resamples, (1 - confidence) / 2);
	free(draw);
	*ret_interval = r;
	return PS_OK;
}

struct ps_stats_interval ps_stats_proportion_interval(double k, double n, double confidence)
{
	struct ps_stats_interval r = {NAN, 0, 1, confidence, false};
	if (!(n > 0 && k >= 0 && k <= n))
		return r;
	double tail = (1 - confidence) / 2;
	r.value = k / n;
	r.lo = k > 0 ? ps_stats_betainc_inv(k, n - k + 1, tail) : 0;
	r.hi = k < n ? ps_stats_betainc_inv(k + 1, n - k, 1 - tail) : 1;
	r.has_interval = true;
	return r;
}

struct pool {
	double mean, weight;
	size_t len;
};

enum ps_status ps_stats_isotonic(double *y, const double *w, size_t n)
{
	struct pool *pools = malloc((n ? n : 1) * sizeof(*pools));
	if (!pools)
		return PS_ENOMEM;
	size_t k = 0;
	for (size_t i = 0; i < n; i++) {
		struct pool p = {y[i], w[i], 1};
		while (k > 0 && pools[k - 1].mean >= p.mean) {
			struct pool q = pools[--k];
			double weight = p.weight + q.weight;
			p.mean = (p.mean * p.weight + q.mean * q.weight) / weight;
			p.weight = weight;
			p.len += q.len;
		}
		pools[k++] = p;
	}
	for (size_t i = 0, j = 0; j < k; j++) {
		for (size_t c = 0; c < pools[j].len; c++)
			y[i++] = pools[j].mean;
	}
	free(pools);
	return PS_OK;
}
