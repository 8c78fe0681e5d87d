#include "stats/stats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void test_rank_rule(void **state)
{
	(void)state;
	static const struct {
		double p;
		uint64_t n, want;
	} rows[] = {
		{0.95, 20, 19},
		{0.95, 21, 20},
		{0.99, 100, 99},
		{0.99, 101, 100},
		{0.5, 1, 1},
		{0.5, 2, 1},
		{0.5, 3, 2},
		{0, 10, 1},
		{1, 10, 10},
		{0.9, 10, 9},
		{0.7, 10, 7},
		{0.1, 10, 1},
		{0.999, 1000000, 999000},
		{0.5, 0, 0},
	};
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(ps_stats_rank(rows[i].p, rows[i].n), rows[i].want);
}

static void test_quantile_ranks_known(void **state)
{
	(void)state;
	/* The 95 % interval of the median by order statistics, from the usual tables. */
	static const struct {
		uint64_t n, lo, hi;
	} rows[] = {{10, 2, 9}, {20, 6, 15}, {25, 8, 18}, {50, 18, 33}, {100, 40, 61}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ps_stats_ranks r = ps_stats_quantile_ranks(0.5, rows[i].n, 1, 0.95);
		assert_true(r.has_interval);
		assert_int_equal(r.lo, rows[i].lo);
		assert_int_equal(r.hi, rows[i].hi);
	}
}

static void test_quantile_needs_more(void **state)
{
	(void)state;
	static const struct {
		double p;
		uint64_t n;
		double ratio;
		uint64_t needs;
	} rows[] = {
		{0.99, 367, 1, 1},   {0.99, 100, 1, 268}, {0.99, 368, 1, 0},
		{0.99, 0, 1, 368},   {0.95, 71, 1, 1},	  {0.95, 72, 1, 0},
		{0.5, 6, 1, 0},	     {0.5, 5, 1, 1},	  {0.99, 367, 0.5, 369},
		{0.99, 736, 0.5, 0}, {0.01, 367, 1, 1},	  {0.999, 100, 1, 3588},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ps_stats_ranks r =
			ps_stats_quantile_ranks(rows[i].p, rows[i].n, rows[i].ratio, 0.95);
		assert_int_equal(r.needs_more, rows[i].needs);
		assert_int_equal(r.has_interval, rows[i].needs == 0);
	}
}

/* The interval of p95 from 200 samples must hold the true one in 95 % of 2000 sets at least, less
 * 3 standard errors of that count; and not always. */
static void test_quantile_interval_covers(void **state)
{
	(void)state;
	struct ps_rng rng;
	ps_rng_init(&rng, 3, 1);
	int covered = 0;
	for (int k = 0; k < 2000; k++) {
		double x[200];
		for (int i = 0; i < 200; i++)
			x[i] = ps_rng_exponential(&rng, 1);
		ps_stats_sort(x, 200);
		struct ps_stats_ranks r = ps_stats_quantile_ranks(0.95, 200, 1, 0.95);
		covered += x[r.lo - 1] <= log(20) && log(20) <= x[r.hi - 1];
	}
	assert_in_range(covered, 1900 - 30, 1985);
}

static void test_hist_quantile(void **state)
{
	(void)state;
	struct ps_hist h;
	assert_int_equal(ps_hist_init(&h), PS_OK);
	struct ps_stats_time_quantile q = ps_stats_hist_quantile(&h, 0.99, 1, 0.95);
	assert_false(q.has_interval);
	assert_int_equal(q.needs_more, 368);
	for (int i = 1; i <= 1000; i++)
		ps_hist_record(&h, i * 1000000);
	q = ps_stats_hist_quantile(&h, 0.5, 1, 0.95);
	assert_true(q.has_interval);
	assert_true(q.lo_ns < q.value_ns && q.value_ns < q.hi_ns);
	assert_true(llabs(q.value_ns - 500000000) <= 500000);
	int64_t wide = ps_stats_hist_quantile(&h, 0.5, 0.1, 0.95).hi_ns;
	assert_true(wide > q.hi_ns); /* correlated samples say less */
	ps_hist_record_lost(&h, 100);
	q = ps_stats_hist_quantile(&h, 0.95, 1, 0.95);
	assert_true(q.value_ns == PS_HIST_INFINITE && q.hi_ns == PS_HIST_INFINITE);
	ps_hist_fini(&h);
}

static void autoregressive(double *x, size_t n, double phi, uint64_t seed)
{
	struct ps_rng rng;
	ps_rng_init(&rng, seed, 9);
	double v = ps_rng_normal(&rng) / sqrt(1 - phi * phi);
	for (size_t i = 0; i < n; i++) {
		x[i] = v;
		v = phi * v + ps_rng_normal(&rng);
	}
}

/* AR(1): n_eff/n = (1 - phi)/(1 + phi). Both below and above the size that is averaged first. */
static void test_effective_ratio(void **state)
{
	(void)state;
	static double x[60000];
	static const size_t sizes[] = {6000, 60000};
	static const double phis[] = {0, 0.5, 0.9};
	for (size_t s = 0; s < COUNT(sizes); s++) {
		for (size_t k = 0; k < COUNT(phis); k++) {
			double ratio, want = (1 - phis[k]) / (1 + phis[k]);
			autoregressive(x, sizes[s], phis[k], 21 + k);
			assert_int_equal(ps_stats_effective_ratio(x, sizes[s], &ratio), PS_OK);
			if (!(ratio > 0.75 * want && ratio < 1.25 * want))
				fail_msg("n %zu phi %g: %g, want %g", sizes[s], phis[k], ratio,
					 want);
		}
	}
	double ratio;
	for (int i = 0; i < 100; i++)
		x[i] = 5;
	assert_int_equal(ps_stats_effective_ratio(x, 100, &ratio), PS_OK);
	assert_true(ratio == 1);
	for (int i = 0; i < 100; i++)
		x[i] = i % 2; /* alternating: better than independent, earns nothing */
	assert_int_equal(ps_stats_effective_ratio(x, 100, &ratio), PS_OK);
	assert_true(ratio == 1);
	for (int i = 0; i < 100; i++)
		x[i] = i >= 50; /* one change: hardly more than one sample */
	assert_int_equal(ps_stats_effective_ratio_over(x, 100, 0.5, &ratio), PS_OK);
	assert_true(ratio < 0.06);
}

/* What the ratio says it is, lag by lag. */
static double ratio_by_lags(const double *x, size_t n)
{
	double mean = ps_stats_mean(x, n), g[2], g0 = 0, sum = 0, least = INFINITY;
	size_t lag = 0;
	for (size_t i = 0; i < n; i++)
		g0 += (x[i] - mean) * (x[i] - mean);
	for (; lag + 1 < n / 2 + 1; lag += 2) {
		for (size_t k = 0; k < 2; k++) {
			g[k] = 0;
			for (size_t i = 0; i + lag + k < n; i++)
				g[k] += (x[i] - mean) * (x[i + lag + k] - mean);
		}
		if (g[0] + g[1] <= 0)
			break;
		least = fmin(least, g[0] + g[1]);
		sum += least;
	}
	double tau = fmax(1, 2 * sum / g0 - 1), used = tau > 1 ? 2 * (double)lag + 1 : 0;
	return 1 / (tau / fmax(1 - used / (double)n, 1.0 / 3));
}

static void test_effective_ratio_of_all_lags(void **state)
{
	(void)state;
	static double x[2003];
	static const size_t sizes[] = {4, 5, 6, 7, 8, 9, 2000, 2001, 2002, 2003};
	for (size_t s = 0; s < COUNT(sizes); s++) {
		double ratio;
		autoregressive(x, sizes[s], 0.97, 50 + s);
		assert_int_equal(ps_stats_effective_ratio(x, sizes[s], &ratio), PS_OK);
		double want = ratio_by_lags(x, sizes[s]);
		if (!(fabs(ratio / want - 1) < 1e-9))
			fail_msg("n %zu: %.12g, want %.12g", sizes[s], ratio, want);
	}
}

static void test_mser5(void **state)
{
	(void)state;
	static double x[2000];
	bool steady;
	autoregressive(x, 2000, 0.3, 5);
	assert_true(ps_stats_mser5(x, 2000, &steady) <= 200 && steady);
	for (int i = 0; i < 300; i++)
		x[i] += 20.0 * (300 - i) / 300;
	size_t cut = ps_stats_mser5(x, 2000, &steady);
	assert_true(steady);
	assert_in_range(cut, 200, 400);
	assert_int_equal(cut % 5, 0);
	for (int i = 0; i < 2000; i++)
		x[i] = i; /* never steady */
	assert_int_equal(ps_stats_mser5(x, 2000, &steady), 1000);
	assert_false(steady);
	assert_int_equal(ps_stats_mser5(x, 12, &steady), 0);
	assert_false(steady);
}

static void test_trend(void **state)
{
	(void)state;
	double t[400], x[400];
	struct ps_stats_trend r;
	int alarms = 0, missed = 0;
	for (int k = 0; k < 400; k++) {
		autoregressive(x, 400, 0.8, 100 + k);
		for (int i = 0; i < 400; i++)
			t[i] = i * 0.1;
		assert_int_equal(ps_stats_trend(t, x, 400, &r), PS_OK);
		alarms += r.p_rising <= 0.05;
		for (int i = 0; i < 400; i++)
			x[i] += 0.1 * t[i];
		assert_int_equal(ps_stats_trend(t, x, 400, &r), PS_OK);
		missed += r.p_rising > 0.05;
	}
	assert_true(alarms <= 40); /* 5 % nominal; twice that at most */
	assert_true(missed <= 40);
	for (int i = 0; i < 400; i++)
		x[i] = 3 - 2 * t[i];
	assert_int_equal(ps_stats_trend(t, x, 400, &r), PS_OK);
	assert_true(r.p_rising > 0.99 && fabs(r.slope + 2) < 1e-9 && r.tau == -1);
	assert_int_equal(ps_stats_trend(t, x, 7, &r), PS_OK);
	assert_false(r.enough);
	assert_true(r.p_rising == 1);
	memset(x, 0, sizeof(x));
	assert_int_equal(ps_stats_trend(t, x, 400, &r), PS_OK);
	assert_true(r.p_rising == 0.5 && r.slope == 0);
}

/* Whatever the order, and with equal slopes among them. */
static void test_trend_has_the_median_slope(void **state)
{
	(void)state;
	double t[64], x[64], slopes[64 * 63 / 2];
	for (int k = 0; k < 200; k++) {
		struct ps_stats_trend r;
		size_t n = 8 + (size_t)k % 57, m = 0;
		autoregressive(x, n, 0.5, 300 + (uint64_t)k);
		for (size_t i = 0; i < n; i++) {
			t[i] = (double)i;
			x[i] = k % 3 == 0 ? round(x[i]) : x[i];
		}
		for (size_t i = 0; i < n; i++) {
			for (size_t j = i + 1; j < n; j++)
				slopes[m++] = (x[j] - x[i]) / (t[j] - t[i]);
		}
		ps_stats_sort(slopes, m);
		assert_int_equal(ps_stats_trend(t, x, n, &r), PS_OK);
		if (r.slope != ps_stats_quantile(slopes, m, 0.5))
			fail_msg("series %d: %.12g", k, r.slope);
	}
}

static void test_mean_interval(void **state)
{
	(void)state;
	/* By hand: mean 10, s^2 = 10/3, t(0.975, 3) = 3.18244630528. */
	double x[] = {8, 9, 11, 12};
	struct ps_stats_interval r = ps_stats_mean_interval(x, 4, 0.95);
	double half = 3.18244630528 * sqrt(10.0 / 3 / 4);
	assert_true(r.has_interval && r.value == 10);
	assert_true(fabs(r.lo - (10 - half)) < 1e-8 && fabs(r.hi - (10 + half)) < 1e-8);
	assert_false(ps_stats_mean_interval(x, 3, 0.95).has_interval);
}

static void test_ratio_interval(void **state)
{
	(void)state;
	double a[] = {2, 4, 6, 8, 10}, b[] = {1, 2, 3, 4, 5};
	struct ps_stats_interval r = ps_stats_ratio_interval(a, b, 5, 0.95);
	assert_true(r.has_interval && fabs(r.value - 2) < 1e-12 && fabs(r.hi - r.lo) < 1e-9);
	assert_false(ps_stats_ratio_interval(a, b, 3, 0.95).has_interval);
	b[2] = 0;
	r = ps_stats_ratio_interval(a, b, 5, 0.95);
	assert_true(!r.has_interval && isnan(r.value));
	/* Four blocks: 95 % is 95 %, not the 83-87 of a bootstrap of four. */
	struct ps_rng rng;
	ps_rng_init(&rng, 8, 2);
	int covered = 0;
	for (int k = 0; k < 2000; k++) {
		for (int i = 0; i < 4; i++) {
			double block = exp(0.3 * ps_rng_normal(&rng));
			b[i] = 40 * block;
			a[i] = 50 * block * exp(0.05 * ps_rng_normal(&rng));
		}
		r = ps_stats_ratio_interval(a, b, 4, 0.95);
		covered += r.lo <= 1.25 && 1.25 <= r.hi;
	}
	assert_in_range(covered, 1900 - 30, 1900 + 30);
}

static void test_bootstrap_interval(void **state)
{
	(void)state;
	struct ps_rng rng;
	struct ps_stats_interval r;
	double x[30];
	ps_rng_init(&rng, 4, 4);
	int covered = 0;
	for (int k = 0; k < 300; k++) {
		for (int i = 0; i < 30; i++)
			x[i] = ps_rng_exponential(&rng, 3);
		assert_int_equal(ps_stats_bootstrap_interval(x, 30, 0.95, 400, &rng, &r), PS_OK);
		assert_true(r.has_interval && r.lo < r.value && r.value < r.hi);
		covered += r.lo <= 3 && 3 <= r.hi;
	}
	assert_true(covered >= 272); /* 95 % less 3.4 standard errors: skewed data, n = 30 */
	assert_int_equal(ps_stats_bootstrap_interval(x, 19, 0.95, 400, &rng, &r), PS_OK);
	assert_false(r.has_interval);
}

static void test_proportion_interval(void **state)
{
	(void)state;
	/* Clopper and Pearson: 0 of 10 gives 30.85 %, 5 of 100 gives 1.64 .. 11.28 %. */
	struct ps_stats_interval r = ps_stats_proportion_interval(0, 10, 0.95);
	assert_true(r.lo == 0 && fabs(r.hi - 0.308497) < 1e-6);
	r = ps_stats_proportion_interval(5, 100, 0.95);
	assert_true(fabs(r.lo - 0.0164319) < 1e-6 && fabs(r.hi - 0.1128349) < 1e-6);
	r = ps_stats_proportion_interval(10, 10, 0.95);
	assert_true(r.hi == 1 && fabs(r.lo - 0.691503) < 1e-6);
	assert_false(ps_stats_proportion_interval(1, 0, 0.95).has_interval);
}

static void test_early_stop_table(void **state)
{
	(void)state;
	static const struct {
		double p;
		uint64_t t, queries;
	} rows[] = {
		{0.9, 0, 44},	  {0.9, 1, 64},	    {0.9, 10, 197},	{0.9, 100, 1246},
		{0.99, 0, 459},	  {0.99, 1, 662},   {0.99, 10, 2010},	{0.99, 100, 12571},
		{0.999, 0, 4603}, {0.999, 1, 6636}, {0.999, 10, 20140}, {0.999, 100, 125826},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t q = ps_stats_early_stop_min(rows[i].p, rows[i].t, 0.99) + rows[i].t;
		assert_int_equal(q, rows[i].queries);
		uint64_t needs;
		assert_true(ps_stats_early_stop(rows[i].p, q, rows[i].t, 1, 0.99, 0, &needs));
		assert_int_equal(needs, 0);
		assert_false(ps_stats_early_stop(rows[i].p, q - 1, rows[i].t, 1, 0.99, 0, &needs));
		assert_int_equal(needs, 1);
	}
	uint64_t needs;
	assert_false(ps_stats_early_stop(0.9, 44, 0, 0.5, 0.99, 0, &needs));
	assert_int_equal(needs, 44); /* half as many count: 22 missing are 44 to be measured */
	assert_false(ps_stats_early_stop(0.9, 44, 0, 1, 0.99, 1, &needs));
	assert_int_equal(needs, 7); /* 0.9^51 <= 0.005 */
}

static void test_isotonic(void **state)
{
	(void)state;
	double y[] = {1, 3, 2, 4, 0, 9}, w[] = {1, 1, 1, 1, 2, 1};
	static const double want[] = {1, 9.0 / 5, 9.0 / 5, 9.0 / 5, 9.0 / 5, 9};
	assert_int_equal(ps_stats_isotonic(y, w, 6), PS_OK);
	for (int i = 0; i < 6; i++)
		assert_true(fabs(y[i] - want[i]) < 1e-12);
	assert_int_equal(ps_stats_isotonic(y, w, 0), PS_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rank_rule),
		cmocka_unit_test(test_quantile_ranks_known),
		cmocka_unit_test(test_quantile_needs_more),
		cmocka_unit_test(test_quantile_interval_covers),
		cmocka_unit_test(test_hist_quantile),
		cmocka_unit_test(test_effective_ratio),
		cmocka_unit_test(test_effective_ratio_of_all_lags),
		cmocka_unit_test(test_mser5),
		cmocka_unit_test(test_trend),
		cmocka_unit_test(test_trend_has_the_median_slope),
		cmocka_unit_test(test_mean_interval),
		cmocka_unit_test(test_ratio_interval),
		cmocka_unit_test(test_bootstrap_interval),
		cmocka_unit_test(test_proportion_interval),
		cmocka_unit_test(test_early_stop_table),
		cmocka_unit_test(test_isotonic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
