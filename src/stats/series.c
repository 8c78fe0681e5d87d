#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SERIES 8192
#define MAX_TREND  64
#define MIN_TREND  8

/* Averages of `group` neighbours; what is left over at the end is dropped. Returns their number. */
static size_t average_groups(const double *x, size_t n, size_t group, double *out)
{
	size_t m = n / group;
	for (size_t i = 0; i < m; i++)
		out[i] = ps_stats_mean(x + i * group, group);
	return m;
}

static double autocovariance(const double *x, size_t n, double mean, size_t lag)
{
	double sum = 0;
	for (size_t i = 0; i + lag < n; i++)
		sum += (x[i] - mean) * (x[i + lag] - mean);
	return sum / (double)n;
}

/* tau = 1 + 2 sum rho_k. In pairs G_m = g(2m) + g(2m+1), which are positive and falling for any
 * reversible chain: the sum ends where noise breaks that. Each g is too small by tau g(0)/n,
 * because the mean was taken from the same data; over the 2 M + 1 lags of a short series that
 * halves tau, so it is put back (to first order, by at most a factor of 3). */
static double correlation_time(const double *x, size_t n)
{
	double mean = ps_stats_mean(x, n);
	double g0 = autocovariance(x, n, mean, 0);
	if (!(g0 > 0))
		return 1;
	double sum = 0, least = INFINITY;
	size_t lag = 0;
	for (; lag + 1 < n / 2 + 1; lag += 2) {
		double pair = autocovariance(x, n, mean, lag) + autocovariance(x, n, mean, lag + 1);
		if (pair <= 0)
			break;
		least = fmin(least, pair);
		sum += least;
	}
	double tau = fmax(1, 2 * sum / g0 - 1);
	double used = tau > 1 ? 2 * (double)lag + 1 : 0;
	return tau / fmax(1 - used / (double)n, 1.0 / 3);
}

enum ps_status ps_stats_effective_ratio(const double *x, size_t n, double *ret_ratio)
{
	double var = ps_stats_variance(x, n);
	if (n < 4 || !(var > 0)) {
		*ret_ratio = 1;
		return PS_OK;
	}
	size_t group = (n + MAX_SERIES - 1) / MAX_SERIES;
	double *means = malloc((n / group) * sizeof(*means));
	if (!means)
		return PS_ENOMEM;
	size_t m = average_groups(x, n, group, means);
	/* Var(mean) = tau var / n, for the series and for its averages alike. */
	double tau = correlation_time(means, m) * ps_stats_variance(means, m) * (double)group / var;
	free(means);
	*ret_ratio = fmax(1 / fmax(tau, 1), 1 / (double)n);
	return PS_OK;
}

enum ps_status ps_stats_effective_ratio_over(const double *x, size_t n, double limit,
					     double *ret_ratio)
{
	double *over = malloc((n ? n : 1) * sizeof(*over));
	if (!over)
		return PS_ENOMEM;
	for (size_t i = 0; i < n; i++)
		over[i] = x[i] > limit;
	enum ps_status st = ps_stats_effective_ratio(over, n, ret_ratio);
	free(over);
	return st;
}

size_t ps_stats_mser5(const double *x, size_t n, bool *ret_steady)
{
	size_t batches = n / 5, best = 0;
	double sum = 0, squares = 0, least = INFINITY;
	double shift = ps_stats_mean(x, batches * 5);
	/* From the back, so that each cut's sums come from the next one's. */
	for (size_t d = batches; d-- > 0;) {
		double y = ps_stats_mean(x + d * 5, 5) - shift;
		sum += y;
		squares += y * y;
		double k = (double)(batches - d);
		double error = fmax(0, squares - sum * sum / k) / (k * k);
		/* The last few batches can look perfect by chance: 5 at least must remain. */
		if (batches - d >= 5 && error <= least) {
			least = error;
			best = d;
		}
	}
	bool enough = batches >= 10, steady = enough && best <= batches / 2;
	if (ret_steady)
		*ret_steady = steady;
	if (!enough)
		return 0;
	return (steady ? best : batches / 2) * 5;
}

/* S = sum of signs of all pairs, and the median slope. */
static double kendall(const double *t, const double *x, size_t n, double *slopes, double *ret_slope)
{
	double s = 0;
	size_t k = 0;
	for (size_t i = 0; i < n; i++) {
		for (size_t j = i + 1; j < n; j++) {
			s += (x[j] > x[i]) - (x[j] < x[i]);
			if (t[j] > t[i])
				slopes[k++] = (x[j] - x[i]) / (t[j] - t[i]);
		}
	}
	ps_stats_sort(slopes, k);
	*ret_slope = k ? ps_stats_quantile(slopes, k, 0.5) : 0;
	return s;
}

/* Ranks from 1, ties get their mean. O(n^2), n <= MAX_TREND. */
static void ranks_of(const double *x, size_t n, double *ret_ranks)
{
	for (size_t i = 0; i < n; i++) {
		double below = 0, same = 0;
		for (size_t j = 0; j < n; j++) {
			below += x[j] < x[i];
			same += x[j] == x[i];
		}
		ret_ranks[i] = below + (same + 1) / 2;
	}
}

/* Var S = n(n-1)(2n+5)/18 less the ties' part. */
static double kendall_variance(const double *x, size_t n)
{
	double m = (double)n, var = m * (m - 1) * (2 * m + 5);
	for (size_t i = 0; i < n; i++) {
		double same = 0;
		for (size_t j = 0; j < n; j++)
			same += x[j] == x[i];
		var -= (same - 1) * (2 * same + 5); /* summed over the `same` equal ones */
	}
	return var / 18;
}

/* By how much correlation inflates Var S (Hamed and Rao, 1998, eq. 10), from the leading lags of
 * the ranks of the series without its trend that stand out of noise. */
static double inflation(const double *t, const double *x, size_t n, double slope)
{
	double rest[MAX_TREND], ranks[MAX_TREND];
	for (size_t i = 0; i < n; i++)
		rest[i] = x[i] - slope * (t[i] - t[0]);
	ranks_of(rest, n, ranks);
	double mean = ps_stats_mean(ranks, n), g0 = autocovariance(ranks, n, mean, 0);
	if (!(g0 > 0))
		return 1;
	double m = (double)n, sum = 0;
	for (size_t lag = 1; lag + 2 < n; lag++) {
		double rho = autocovariance(ranks, n, mean, lag) / g0;
		if (rho < 1.645 / sqrt(m))
			break;
		double k = m - (double)lag;
		sum += k * (k - 1) * (k - 2) * rho;
	}
	return 1 + 2 * sum / (m * (m - 1) * (m - 2));
}

static enum ps_status trend_of(const double *t, const double *x, size_t n, struct ps_stats_trend *r)
{
	double *slopes = malloc(n * (n - 1) / 2 * sizeof(*slopes));
	if (!slopes)
		return PS_ENOMEM;
	double s = kendall(t, x, n, slopes, &r->slope);
	free(slopes);
	double var = kendall_variance(x, n);
	double factor = inflation(t, x, n, r->slope);
	r->enough = true;
	r->effective = (double)n / factor;
	r->tau = s / ((double)n * (double)(n - 1) / 2);
	/* Continuity: S moves in steps of 2. */
	double z = var > 0 ? (s - (s > 0) + (s < 0)) / sqrt(var * factor) : 0;
	r->p_rising = ps_stats_normal_cdf(-z);
	return PS_OK;
}

enum ps_status ps_stats_trend(const double *t, const double *x, size_t n,
			      struct ps_stats_trend *ret_trend)
{
	struct ps_stats_trend r = {.p_rising = 1};
	if (n >= MIN_TREND) {
		double tm[MAX_TREND], xm[MAX_TREND];
		size_t group = (n + MAX_TREND - 1) / MAX_TREND;
		size_t m = average_groups(t, n, group, tm);
		average_groups(x, n, group, xm);
		enum ps_status st = trend_of(tm, xm, m, &r);
		if (st != PS_OK)
			return st;
	}
	*ret_trend = r;
	return PS_OK;
}
