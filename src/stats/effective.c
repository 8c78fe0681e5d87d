/* effective.c - how much a correlated series is worth.
 *
 * Two estimates of tau, the requests that count as one. Geyer's sums autocorrelations: good on
 * short series, without a statement of its own error. The one by cosines is the variance of the
 * mean from the lowest frequencies of the series: B independent squares, so Student's t with B
 * degrees of freedom is exact for a mean of normal values (Mueller, 2007; Lazarus, Lewis, Stock and
 * Watson, 2018). The first chooses B for the second: the spectrum must be flat up to the B-th
 * cosine.
 */
#include "stats/stats.h"
#include "stats/stats_internal.h"

#include <math.h>
#include <stdlib.h>

#define MAX_SERIES    8192
#define MAX_GROUPS    1024 /* enough for MOST_WAVES: the last is damped by 0.2 % */
#define LEAST_WAVES   4
#define MOST_WAVES    64
#define TAUS_PER_WAVE 6	  /* (pi tau B / 2 n)^2 / 3 is then 2 %: so much the spectrum has fallen */
#define CLUSTER_SKEW  1.5 /* of a count of clusters of exponential size, times sqrt(events) */

size_t ps_stats_average_groups(const double *x, size_t n, size_t group, double *out)
{
	size_t m = n / group;
	for (size_t i = 0; i < m; i++)
		out[i] = ps_stats_mean(x + i * group, group);
	return m;
}

double ps_stats_autocovariance(const double *x, size_t n, double mean, size_t lag)
{
	double sum = 0;
	for (size_t i = 0; i + lag < n; i++)
		sum += (x[i] - mean) * (x[i + lag] - mean);
	return sum / (double)n;
}

/* n times the autocovariances at `lag` and the next one, together, of a series whose mean is 0.
 * Four sums, because one would wait for each of its additions. */
static double lag_pair(const double *y, size_t n, size_t lag)
{
	const double *late = y + lag;
	double sum[4] = {0};
	size_t m = n - lag - 1, i = 0;
	for (; i + 4 <= m; i += 4) {
		for (size_t k = 0; k < 4; k++)
			sum[k] += y[i + k] * (late[i + k] + late[i + k + 1]);
	}
	for (; i < m; i++)
		sum[0] += y[i] * (late[i] + late[i + 1]);
	return sum[0] + sum[1] + sum[2] + sum[3] + y[m] * late[m];
}

static void centre(double *x, size_t n)
{
	double mean = ps_stats_mean(x, n);
	for (size_t i = 0; i < n; i++)
		x[i] -= mean;
}

/* tau = 1 + 2 sum rho_k. In pairs G_m = g(2m) + g(2m+1), which are positive and falling for any
 * reversible chain: the sum ends where noise breaks that. Each g is too small by tau g(0)/n,
 * because the mean was taken from the same data; over the 2 M + 1 lags of a short series that
 * halves tau, so it is put back (to first order, by at most a factor of 3). Leaves x centred. */
static double correlation_time(double *x, size_t n)
{
	centre(x, n);
	double g0 = ps_stats_autocovariance(x, n, 0, 0) * (double)n;
	if (!(g0 > 0))
		return 1;
	double sum = 0, least = INFINITY;
	size_t lag = 0;
	for (; lag + 1 < n / 2 + 1; lag += 2) {
		double pair = lag_pair(x, n, lag);
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
	size_t m = ps_stats_average_groups(x, n, group, means);
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

/* ---- by cosines, with degrees of freedom ---- */

/* The mean square of the first `waves` coefficients: the variance of sqrt(n) times the mean. */
static double at_zero(const double *y, size_t m, int waves)
{
	double mean = ps_stats_mean(y, m), sum = 0;
	for (int j = 1; j <= waves; j++) {
		double step = M_PI * j / (double)m, c = cos(step / 2), s = sin(step / 2);
		double dc = cos(step), ds = sin(step), a = 0;
		for (size_t i = 0; i < m; i++) {
			double next = c * dc - s * ds;
			a += (y[i] - mean) * c;
			s = s * dc + c * ds;
			c = next;
		}
		sum += 2 * a * a / (double)m;
	}
	return sum / waves;
}

/* Shares of values over the limit in groups of neighbours. Returns the number of groups. */
static size_t group_over(const double *x, size_t n, double limit, double *out, size_t *ret_group)
{
	size_t group = (n + MAX_GROUPS - 1) / MAX_GROUPS, m = n / group;
	for (size_t i = 0; i < m; i++) {
		size_t over = 0;
		for (size_t k = i * group; k < (i + 1) * group; k++)
			over += x[k] > limit;
		out[i] = (double)over / (double)group;
	}
	*ret_group = group;
	return m;
}

static struct ps_stats_effective from_groups(double *y, size_t m, size_t group)
{
	double share = ps_stats_mean(y, m), var = share * (1 - share), n = (double)(m * group);
	if (!(var > 0))
		return (struct ps_stats_effective){1, INFINITY};
	double scale = (double)group / var;
	double pilot = fmax(1, correlation_time(y, m) * ps_stats_variance(y, m) * scale);
	int waves = (int)fmin(fmax(n / pilot / TAUS_PER_WAVE, LEAST_WAVES), MOST_WAVES);
	double tau = fmax(1, at_zero(y, m, waves) * scale);
	/* A correlation seen on k rare events is not known better than from k squares. */
	double events = n / tau * fmin(share, 1 - share);
	return (struct ps_stats_effective){fmax(1 / tau, 1 / n), fmax(1, fmin(waves, events))};
}

enum ps_status ps_stats_effective_over(const double *x, size_t n, double limit,
				       struct ps_stats_effective *ret_effective)
{
	*ret_effective = (struct ps_stats_effective){1, n < LEAST_WAVES ? 1 : INFINITY};
	if (n < LEAST_WAVES)
		return PS_OK;
	double *y = malloc(MAX_GROUPS * sizeof(*y));
	if (!y)
		return PS_ENOMEM;
	size_t group, m = group_over(x, n, limit, y, &group);
	*ret_effective = from_groups(y, m, group);
	free(y);
	return PS_OK;
}

static double freedom_at(const struct ps_stats_effective *e, double growth)
{
	return isinf(e->freedom) ? e->freedom : fmin(fmax(1, e->freedom * growth), MOST_WAVES);
}

/* (z/t)^2: an effective count with f degrees of freedom is worth so much of one that is known (Korn
 * and Graubard, 1998). */
static double worth(double tail, double z, double freedom)
{
	double t = isinf(freedom) ? -ps_stats_normal_quantile(tail)
				  : ps_stats_t_quantile(1 - tail, freedom);
	return fmin(1, (z / t) * (z / t));
}

double ps_stats_effective_at(const struct ps_stats_effective *e, double growth, double tail)
{
	return e->ratio * worth(tail, -ps_stats_normal_quantile(tail), freedom_at(e, growth));
}

/* The tail at which to ask Student's t so that the error is `tail`, when the count is made of
 * clusters: a calm run has few and short ones, so it looks good and its correlation looks small at
 * once. First term of Edgeworth's series for the studentised sum:
 * P(T < -z) = Phi(-z) + skew (2 z^2 + 1) phi(z) / 6. */
static double skewed_tail(double tail, double skew)
{
	double lo = -ps_stats_normal_quantile(tail), hi = 8;
	if (!(skew > 0))
		return tail;
	for (int i = 0; i < 60; i++) {
		double z = (lo + hi) / 2, phi = exp(-z * z / 2) / sqrt(2 * M_PI);
		if (ps_stats_normal_cdf(-z) + skew * (2 * z * z + 1) * phi / 6 > tail)
			lo = z;
		else
			hi = z;
	}
	return ps_stats_normal_cdf(-hi);
}

/* For "so few are over the limit": n requests, of which a share of `allowed` may be. */
static double few_ratio(const struct ps_stats_effective *e, double growth, double n, double allowed,
			double tail)
{
	double events = fmax(n * e->ratio * allowed, 1e-3);
	double skew = CLUSTER_SKEW * (1 - e->ratio) / sqrt(events);
	double asked = skewed_tail(tail, skew);
	return e->ratio * worth(asked, -ps_stats_normal_quantile(tail), freedom_at(e, growth));
}

bool ps_stats_early_stop_of(double p, uint64_t n, uint64_t over, const struct ps_stats_effective *e,
			    double confidence, int look, uint64_t *ret_needs_more)
{
	double error = (1 - confidence) / (look > 0 ? exp2(fmin(look, 60)) : 1);
	double lo = 0, hi = 0, m = (double)n;
	uint64_t ignored;
	/* With hi more good ones it passes, with lo it does not. */
	while (!ps_stats_early_stop(p, n + (uint64_t)hi, over,
				    few_ratio(e, m > 0 ? (m + hi) / m : 1, m + hi, 1 - p, error),
				    1 - error, 0, &ignored)) {
		lo = hi;
		hi = fmax(2 * hi, fmax(floor(m / 64), 1));
		if (hi > 1e15)
			break;
	}
	while (hi - lo > fmax(1, m / 1024)) {
		double mid = floor((lo + hi) / 2);
		double ratio = few_ratio(e, m > 0 ? (m + mid) / m : 1, m + mid, 1 - p, error);
		if (ps_stats_early_stop(p, n + (uint64_t)mid, over, ratio, 1 - error, 0, &ignored))
			hi = mid;
		else
			lo = mid;
	}
	*ret_needs_more = (uint64_t)hi;
	return hi == 0;
}

struct ps_stats_time_quantile ps_stats_hist_quantile_of(const struct ps_hist *h, double p,
							const struct ps_stats_effective *e,
							double confidence)
{
	double tail = (1 - confidence) / 2, n = (double)ps_hist_total(h);
	struct ps_stats_time_quantile q =
		ps_stats_hist_quantile(h, p, ps_stats_effective_at(e, 1, tail), confidence);
	if (q.has_interval || n < 1)
		return q;
	/* More requests also tell more about their correlation: not in proportion. */
	double lo = n, hi = n + (double)q.needs_more;
	while (hi - lo > fmax(1, n / 1024)) {
		double mid = floor((lo + hi) / 2);
		double ratio = ps_stats_effective_at(e, mid / n, tail);
		if (ps_stats_quantile_ranks(p, (uint64_t)mid, ratio, confidence).has_interval)
			hi = mid;
		else
			lo = mid;
	}
	q.needs_more = (uint64_t)(hi - n);
	return q;
}
