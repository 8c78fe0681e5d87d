/* How much a correlated series is worth, and how well that is known. */
#include "stats/stats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define N	 60000

static double series[N];

static void autoregressive(double phi, uint64_t seed)
{
	struct ps_rng rng;
	double v = 0, noise = sqrt(1 - phi * phi);
	ps_rng_init(&rng, seed, 0);
	for (size_t i = 0; i < N; i++)
		series[i] = v = phi * v + noise * ps_rng_normal(&rng);
}

/* Of a normal series with correlation phi^k, "above the median" has (2/pi) asin(phi^k). */
static double tau_of_signs(double phi)
{
	double tau = 1;
	for (int k = 1; k < 2000; k++)
		tau += 2 * 2 / M_PI * asin(pow(phi, k));
	return tau;
}

static void test_correlation_of_signs(void **state)
{
	(void)state;
	static const double phis[] = {0, 0.5, 0.9, 0.99};
	for (size_t i = 0; i < COUNT(phis); i++) {
		struct ps_stats_effective e;
		double sum = 0;
		for (uint64_t seed = 1; seed <= 4; seed++) {
			autoregressive(phis[i], seed);
			assert_int_equal(ps_stats_effective_over(series, N, 0, &e), PS_OK);
			sum += 1 / e.ratio / 4;
			assert_true(e.freedom >= 30 && e.freedom <= 64);
		}
		/* 4 x 64 squares: a relative standard deviation of 9 % */
		double want = tau_of_signs(phis[i]);
		if (!(fabs(sum / want - 1) < 0.3))
			fail_msg("phi %g: tau %g, want %g", phis[i], sum, want);
	}
}

static void test_rare_events_are_known_less(void **state)
{
	(void)state;
	struct ps_stats_effective e;
	autoregressive(0, 3);
	assert_int_equal(ps_stats_effective_over(series, 3000, 2.5, &e), PS_OK); /* about 18 */
	assert_true(e.freedom >= 5 && e.freedom <= 30);
	assert_int_equal(ps_stats_effective_over(series, N, 1e9, &e), PS_OK);
	assert_true(e.ratio == 1 && isinf(e.freedom)); /* nothing varied */
	assert_int_equal(ps_stats_effective_over(series, 3, 0, &e), PS_OK);
	assert_true(e.ratio == 1 && e.freedom == 1);
	assert_int_equal(ps_stats_effective_over(series, 0, 0, &e), PS_OK);
}

static void test_students_correction(void **state)
{
	(void)state;
	static const struct {
		double freedom, growth, tail, worth; /* (z/t)^2 from the usual tables */
	} rows[] = {
		{INFINITY, 1, 0.025, 1},
		{10, 1, 0.025, 1.95996 * 1.95996 / (2.22814 * 2.22814)},
		{5, 2, 0.025, 1.95996 * 1.95996 / (2.22814 * 2.22814)},
		{5, 1, 0.01, 2.32635 * 2.32635 / (3.36493 * 3.36493)},
		{64, 9, 0.01, 2.32635 * 2.32635 / (2.38604 * 2.38604)},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ps_stats_effective e = {0.5, rows[i].freedom};
		double got = ps_stats_effective_at(&e, rows[i].growth, rows[i].tail);
		if (!(fabs(got / (0.5 * rows[i].worth) - 1) < 1e-4))
			fail_msg("row %zu: %g, want %g", i, got, 0.5 * rows[i].worth);
	}
}

static void test_known_correlation_stops_as_before(void **state)
{
	(void)state;
	static const struct {
		double p;
		uint64_t n, over, needs;
	} rows[] = {{0.99, 459, 0, 0}, {0.99, 458, 0, 1}, {0.99, 662, 1, 0}, {0.99, 661, 1, 1},
		    {0.9, 44, 0, 0},   {0.9, 40, 0, 4},	  {0.99, 0, 0, 459}};
	const struct ps_stats_effective known = {1, INFINITY};
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t needs;
		bool stops = ps_stats_early_stop_of(rows[i].p, rows[i].n, rows[i].over, &known,
						    0.99, 0, &needs);
		assert_int_equal(needs, rows[i].needs);
		assert_int_equal(stops, rows[i].needs == 0);
	}
}

/* What it says is needed is enough, and hardly less is: the search over lengths is right. */
static void test_needs_are_enough(void **state)
{
	(void)state;
	static const struct ps_stats_effective rows[] = {{1, 5}, {0.1, 12}, {0.01, 64}, {0.5, 1}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t n = 1000, needs, rest;
		assert_false(ps_stats_early_stop_of(0.99, n, 8, &rows[i], 0.99, 0, &needs));
		struct ps_stats_effective then = rows[i];
		double growth = (double)(n + needs) / (double)n;
		then.freedom = fmin(then.freedom * growth, 64);
		assert_true(ps_stats_early_stop_of(0.99, n + needs, 8, &then, 0.99, 0, &rest));
		growth *= 0.98;
		then.freedom = fmin(rows[i].freedom * growth, 64);
		assert_false(ps_stats_early_stop_of(0.99, (uint64_t)((double)n * growth), 8, &then,
						    0.99, 0, &rest));
	}
}

static void test_an_uncertain_correlation_widens(void **state)
{
	(void)state;
	struct ps_hist h;
	assert_int_equal(ps_hist_init(&h), PS_OK);
	for (int i = 1; i <= 1000; i++)
		ps_hist_record(&h, i * 1000000);
	const struct ps_stats_effective sure = {0.5, INFINITY}, unsure = {0.5, 5};
	struct ps_stats_time_quantile a = ps_stats_hist_quantile_of(&h, 0.5, &sure, 0.95);
	struct ps_stats_time_quantile b = ps_stats_hist_quantile_of(&h, 0.5, &unsure, 0.95);
	assert_true(a.has_interval && b.has_interval);
	assert_true(b.lo_ns < a.lo_ns && b.hi_ns > a.hi_ns);
	a = ps_stats_hist_quantile_of(&h, 0.999, &sure, 0.95);
	b = ps_stats_hist_quantile_of(&h, 0.999, &unsure, 0.95);
	assert_false(a.has_interval || b.has_interval);
	assert_true(b.needs_more > a.needs_more);
	assert_in_range(a.needs_more, 6300, 6500); /* 3688 effective of them */
	ps_hist_fini(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_correlation_of_signs),
		cmocka_unit_test(test_rare_events_are_known_less),
		cmocka_unit_test(test_students_correction),
		cmocka_unit_test(test_known_correlation_stops_as_before),
		cmocka_unit_test(test_needs_are_enough),
		cmocka_unit_test(test_an_uncertain_correlation_widens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
