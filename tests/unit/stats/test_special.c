#include "stats/stats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void expect_near(double got, double want, double relative)
{
	if (!(fabs(got - want) <= relative * fabs(want)))
		fail_msg("got %.15g, want %.15g", got, want);
}

static void test_betainc(void **state)
{
	(void)state;
	/* Whole parameters are binomial tails and can be worked out by hand; the halves are the
	 * arcsine law. */
	static const struct {
		double a, b, x, want;
	} rows[] = {
		{2, 3, 0.5, 0.6875},
		{5, 2, 0.3, 0.010935},
		{1, 7, 0.1, 0.5217031},
		{0.5, 0.5, 0.25, 1.0 / 3},
		{0.5, 0.5, 0.5, 0.5},
		{10, 10, 0.5, 0.5},
		{459, 1, 0.99, 0.009920974201040586},
		{44, 1, 0.9, 0.009697737297875247},
		{3, 3, 0, 0},
		{3, 3, 1, 1},
	};
	for (size_t i = 0; i < COUNT(rows); i++)
		expect_near(ps_stats_betainc(rows[i].a, rows[i].b, rows[i].x), rows[i].want, 1e-10);
	assert_true(isnan(ps_stats_betainc(0, 1, 0.5)));
	assert_true(isnan(ps_stats_betainc(1, 1, 1.5)));
}

static void test_betainc_inverse(void **state)
{
	(void)state;
	static const double as[] = {0.5, 1, 3, 40, 1000}, ps[] = {1e-6, 0.025, 0.5, 0.99};
	for (size_t i = 0; i < COUNT(as); i++) {
		for (size_t j = 0; j < COUNT(as); j++) {
			for (size_t k = 0; k < COUNT(ps); k++) {
				double x = ps_stats_betainc_inv(as[i], as[j], ps[k]);
				expect_near(ps_stats_betainc(as[i], as[j], x), ps[k], 1e-8);
			}
		}
	}
}

static void test_gammainc(void **state)
{
	(void)state;
	static const struct {
		double a, x, want;
	} rows[] = {
		{1, 1, 0.6321205588285577},   {0.5, 0.5, 0.6826894921370859},
		{5, 9.153519026637573, 0.95}, {50, 62.17105670200204, 0.95},
		{3, 0.5, 0.0143876779669701}, {2, 0, 0},
	};
	for (size_t i = 0; i < COUNT(rows); i++)
		expect_near(ps_stats_gammainc(rows[i].a, rows[i].x), rows[i].want, 1e-10);
	assert_true(isnan(ps_stats_gammainc(-1, 1)));
}

static void test_normal(void **state)
{
	(void)state;
	static const struct {
		double p, z;
	} rows[] = {
		{0.9, 1.2815515655446004},
		{0.975, 1.959963984540054},
		{0.99, 2.3263478740408408},
		{0.999, 3.090232306167813},
		{0.5, 0},
		{0.025, -1.959963984540054},
		{1e-9, -5.9978070150076865},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		double z = ps_stats_normal_quantile(rows[i].p);
		if (!(fabs(z - rows[i].z) < 1e-10))
			fail_msg("z(%g) = %.15g", rows[i].p, z);
		expect_near(ps_stats_normal_cdf(rows[i].z), rows[i].p, 1e-10);
	}
}

static void test_student(void **state)
{
	(void)state;
	/* The usual table of critical values. */
	static const struct {
		double p, df, t;
	} rows[] = {
		{0.975, 1, 12.7062047364},    {0.975, 2, 4.30265272991},
		{0.975, 3, 3.18244630528},    {0.975, 4, 2.77644510520},
		{0.975, 5, 2.57058183661},    {0.975, 10, 2.22813885196},
		{0.975, 30, 2.04227245630},   {0.95, 5, 2.01504837267},
		{0.995, 3, 5.84090929976},    {0.025, 4, -2.77644510520},
		{0.975, 1e9, 1.959963986912}, {0.9995, 9, 4.78091258594},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		expect_near(ps_stats_t_quantile(rows[i].p, rows[i].df), rows[i].t, 1e-8);
		expect_near(ps_stats_t_cdf(rows[i].t, rows[i].df), rows[i].p, 1e-9);
	}
}

static void test_binomial(void **state)
{
	(void)state;
	static const struct {
		double k, n, p, want;
	} rows[] = {
		{0, 10, 0.1, 0.3486784401}, {2, 10, 0.1, 0.9298091736}, {10, 10, 0.1, 1},
		{-1, 10, 0.1, 0},	    {5, 11, 0.5, 0.5},
	};
	for (size_t i = 0; i < COUNT(rows); i++)
		expect_near(ps_stats_binomial_cdf(rows[i].k, rows[i].n, rows[i].p), rows[i].want,
			    1e-10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_betainc),	 cmocka_unit_test(test_betainc_inverse),
		cmocka_unit_test(test_gammainc), cmocka_unit_test(test_normal),
		cmocka_unit_test(test_student),	 cmocka_unit_test(test_binomial),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
