#include "stats/stats.h"

#include "stats/stats_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TREND 64
#define MIN_TREND 8

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

/* The k-th smallest of n, from 0 (Hoare's Find): sorting 2,000 slopes for the one in the middle
 * took longer than all else about a trend. Leaves x in another order. */
static double kth(double *x, size_t n, size_t k)
{
	size_t lo = 0, hi = n - 1;
	while (lo < hi) {
		double pivot = x[lo + (hi - lo) / 2];
		size_t i = lo, j = hi;
		for (;;) {
			while (x[i] < pivot)
				i++;
			while (x[j] > pivot)
				j--;
			if (i >= j)
				break;
			double swap = x[i];
			x[i++] = x[j];
			x[j--] = swap;
		}
		if (k <= j)
			hi = j;
		else
			lo = j + 1;
	}
	return x[k];
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
	*ret_slope = k ? kth(slopes, k, ps_stats_rank(0.5, k) - 1) : 0;
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
	double mean = ps_stats_mean(ranks, n), g0 = ps_stats_autocovariance(ranks, n, mean, 0);
	if (!(g0 > 0))
		return 1;
	double m = (double)n, sum = 0;
	for (size_t lag = 1; lag + 2 < n; lag++) {
		double rho = ps_stats_autocovariance(ranks, n, mean, lag) / g0;
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
		size_t m = ps_stats_average_groups(t, n, group, tm);
		ps_stats_average_groups(x, n, group, xm);
		enum ps_status st = trend_of(tm, xm, m, &r);
		if (st != PS_OK)
			return st;
	}
	*ret_trend = r;
	return PS_OK;
}
