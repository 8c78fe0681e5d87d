/* Break-even between two instance types, and what-if: worked out by hand. */
#include "cost/cost.h"
#include "cost/curve.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void expect_near(double got, double want)
{
	if (!(fabs(got - want) <= 1e-9 * fmax(1, fabs(want))))
		fail_msg("got %.12g, want %.12g", got, want);
}

static struct ps_stats_interval about(double value, double lo, double hi)
{
	return (struct ps_stats_interval){value, lo, hi, 0.95, true};
}

/* ---- the curve ---- */

static void test_points(void **state)
{
	(void)state;
	struct ps_cost_type types[2] = {{"cpu", 1, about(10, 8, 12.5)},
					{"gpu", 3, ps_stats_exactly(35)}};
	static const struct {
		double rate, cpu, cpu_lo, cpu_hi, gpu, fluid_cpu, fluid_gpu;
	} rows[] = {
		{0, 0, 0, 0, 0, 0, 0},
		{1e-12, 1, 1, 1, 3, 1e-13, 3e-12 / 35}, /* hardly anything needs one, too */
		{1, 1, 1, 1, 3, 0.1, 3 / 35.0},
		{10, 1, 1, 2, 3, 1, 30 / 35.0}, /* at 8/s two are needed */
		{12.5, 2, 1, 2, 3, 1.25, 37.5 / 35},
		{35, 4, 3, 5, 3, 3.5, 3},
		{35.5, 4, 3, 5, 6, 3.55, 106.5 / 35},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ps_cost_point p = ps_cost_point_at(types, rows[i].rate);
		expect_near(p.whole[0].value, rows[i].cpu);
		expect_near(p.whole[0].lo, rows[i].cpu_lo);
		expect_near(p.whole[0].hi, rows[i].cpu_hi);
		expect_near(p.whole[1].value, rows[i].gpu);
		expect_near(p.whole[1].lo, rows[i].gpu);
		expect_near(p.fluid[0].value, rows[i].fluid_cpu);
		expect_near(p.fluid[0].hi, rows[i].fluid_cpu * 10 / 8);
		expect_near(p.fluid[1].value, rows[i].fluid_gpu);
	}
	/* (1/10) / (3/35), over the interval of one alone */
	struct ps_stats_interval ratio = ps_cost_fluid_ratio(types);
	expect_near(ratio.value, 35 / 30.0);
	expect_near(ratio.lo, 35 / 37.5);
	expect_near(ratio.hi, 35 / 24.0);
}

static void test_crossings(void **state)
{
	(void)state;
	/* 1 $ per 10/s against 3 $ per 35/s; both step at 70 */
	static const struct {
		double rate;
		int before, then;
	} want[] = {{20, -1, 0}, {30, 0, 1}, {35, 1, -1}, {50, -1, 0}, {60, 0, 1}, {70, 1, -1}};
	struct ps_cost_type types[2] = {{"cpu", 1, ps_stats_exactly(10)},
					{"gpu", 3, ps_stats_exactly(35)}};
	struct ps_cost_crossing got[10];
	size_t n;
	assert_int_equal(ps_cost_break_even(types, 75, got, 10, &n, NULL), PS_OK);
	assert_int_equal(n, COUNT(want));
	for (size_t i = 0; i < n; i++) {
		expect_near(got[i].rate_rps.value, want[i].rate);
		expect_near(got[i].rate_rps.lo, want[i].rate);
		assert_int_equal(got[i].before, want[i].before);
		assert_int_equal(got[i].then, want[i].then);
		assert_true(got[i].sure);
	}
	/* counted beyond the room that there is */
	assert_int_equal(ps_cost_break_even(types, 75, got, 2, &n, NULL), PS_OK);
	assert_int_equal(n, COUNT(want));
	/* a rate up to which nothing changes */
	assert_int_equal(ps_cost_break_even(types, 19, got, 10, &n, NULL), PS_OK);
	assert_int_equal(n, 0);
}

static void test_crossing_intervals(void **state)
{
	(void)state;
	/* both capacities at once: z(0.9875) / z(0.975) wider on the logarithm */
	const double wider = ps_stats_normal_quantile(0.9875) / ps_stats_normal_quantile(0.975);
	struct ps_cost_type types[2] = {{"cpu", 1, about(10, 9.9, 10.1)},
					{"gpu", 3, about(35, 34.9, 35.1)}};
	static const bool sure[] = {true, true, true, true, true, false};
	static const bool sure_wide[] = {true, false, false, false, false, false};
	struct ps_cost_crossing got[10];
	size_t n;
	assert_int_equal(ps_cost_break_even(types, 75, got, 10, &n, NULL), PS_OK);
	assert_int_equal(n, COUNT(sure));
	expect_near(got[0].rate_rps.lo, 20 * pow(0.99, wider));
	expect_near(got[0].rate_rps.hi, 20 * pow(1.01, wider));
	expect_near(got[2].rate_rps.hi, 35 * pow(35.1 / 35, wider));
	for (size_t i = 0; i < n; i++)
		assert_int_equal(got[i].sure, sure[i]);
	types[0].capacity_rps = about(10, 7, 14);
	assert_int_equal(ps_cost_break_even(types, 75, got, 10, &n, NULL), PS_OK);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(got[i].sure, sure_wide[i]);
	/* without an interval nothing is sure */
	types[0].capacity_rps.has_interval = false;
	assert_int_equal(ps_cost_break_even(types, 75, got, 10, &n, NULL), PS_OK);
	assert_false(got[0].sure);
}

/* A capacity that was bounded on one side only: nothing beyond that side is sure. */
static void test_open_ends(void **state)
{
	(void)state;
	struct ps_cost_type types[2] = {{"cpu", 1, about(10, 9.9, INFINITY)},
					{"gpu", 3, about(35, 0, 35.1)}};
	struct ps_cost_crossing got[10];
	size_t n;
	struct ps_cost_point p = ps_cost_point_at(types, 20);
	expect_near(p.whole[0].value, 2);
	expect_near(p.whole[0].lo, 1);
	expect_near(p.fluid[0].lo, 0);
	assert_true(isinf(p.whole[1].hi) && isinf(p.fluid[1].hi));
	p = ps_cost_point_at(types, 0);
	expect_near(p.whole[1].hi, 0);
	struct ps_stats_interval ratio = ps_cost_fluid_ratio(types);
	expect_near(ratio.lo, 0);
	expect_near(ratio.value, 35 / 30.0);
	assert_int_equal(ps_cost_break_even(types, 75, got, 10, &n, NULL), PS_OK);
	assert_int_equal(n, 6);
	for (size_t i = 0; i < n; i++)
		assert_false(got[i].sure);
	assert_true(isinf(got[0].rate_rps.hi)); /* a step of the cpu */
	expect_near(got[2].rate_rps.lo, 0);	/* one of the gpu */
}

static void test_bad_types(void **state)
{
	(void)state;
	static const struct {
		double price, value, lo, hi, up_to;
		enum ps_status status;
	} rows[] = {
		{1, 10, 9, 11, 100, PS_OK},
		{0, 10, 9, 11, 100, PS_EINVAL},
		{-1, 10, 9, 11, 100, PS_EINVAL},
		{NAN, 10, 9, 11, 100, PS_EINVAL},
		{INFINITY, 10, 9, 11, 100, PS_EINVAL},
		{1, 0, 0, 0, 100, PS_EINVAL},
		{1, NAN, 9, 11, 100, PS_EINVAL},
		{1, 10, 11, 12, 100, PS_EINVAL},
		{1, 10, NAN, 12, 100, PS_EINVAL},
		{1, 10, 9, 11, 0, PS_EINVAL},
		{1, 10, 9, 11, NAN, PS_EINVAL},
		{1, 10, 9, 11, 1e9, PS_ETOOBIG},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ps_cost_type types[2] = {
			{"a", rows[i].price, about(rows[i].value, rows[i].lo, rows[i].hi)},
			{"b", 3, about(35, 34, 36)}};
		struct ps_cost_crossing got[1];
		struct ps_error err = {0};
		size_t n;
		enum ps_status st = ps_cost_break_even(types, rows[i].up_to, got, 1, &n, &err);
		if (st != rows[i].status)
			fail_msg("row %zu: %s: %s", i, ps_status_name(st), err.what);
	}
}

/* ---- what if ---- */

static void test_what_if(void **state)
{
	(void)state;
	/* alone 16 and 10; together 1.25 times (8, 4); a trial held at (8, 4) */
	static const struct {
		double rates[2], usd;
		bool on_ray, held;
		double apart, share, machines_apart, machines_together;
	} rows[] = {
		{{8, 4}, 0.085, true, true, 0.9, 0.8, 2, 1},
		{{8, 4}, 0.17, true, true, 0.9, 0.8, 2, 1},
		{{4, 2}, 0.085, true, true, 0.45, 0.4, 2, 1},
		{{12, 6}, 0.085, true, false, 1.35, 1.2, 2, 2},
		{{20, 10}, 0.085, true, false, 2.25, 2, 3, 2},
		/* off the ray: 0.25 + 0.4 of the 1.25 x 0.9 that one machine does */
		{{4, 4}, 0.085, false, true, 0.65, 0.65 / 1.125, 2, 1},
		{{8, 0}, 0.085, false, true, 0.5, 0.5 / 1.125, 1, 1},
		{{9, 1}, 0.085, false, false, 0.6625, 0.6625 / 1.125, 2, 1},
	};
	static const double ray[] = {8, 4}, held[] = {8, 4};
	struct ps_stats_interval alone[] = {about(16, 15, 17), about(10, 9, 11)};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ps_cost_case c = {2,    rows[i].rates, alone, ray, about(1.25, 1.2, 1.3),
					 held, rows[i].usd};
		struct ps_cost_outcome o;
		ps_cost_what_if(&c, &o);
		assert_true(o.has_set);
		assert_int_equal(o.on_ray, rows[i].on_ray);
		assert_int_equal(o.held, rows[i].held);
		expect_near(o.share_apart.value, rows[i].apart);
		expect_near(o.share.value, rows[i].share);
		expect_near(o.fluid_saving.value, 1 - rows[i].share / rows[i].apart);
		expect_near(o.full_load_saving.value, 1 - 1 / (1.25 * 0.9));
		expect_near(o.fluid_apart_usd_per_hour.value, rows[i].apart * rows[i].usd);
		expect_near(o.fluid_together_usd_per_hour.value, rows[i].share * rows[i].usd);
		expect_near(o.machines.apart.value, rows[i].machines_apart);
		expect_near(o.machines.together.value, rows[i].machines_together);
		expect_near(o.machines.saving.value,
			    1 - rows[i].machines_together / rows[i].machines_apart);
		expect_near(o.machines.apart_usd_per_month,
			    rows[i].machines_apart * rows[i].usd * 730);
		assert_true(o.fluid_saving.lo < o.fluid_saving.value &&
			    o.fluid_saving.hi > o.fluid_saving.value);
	}
}

/* A set whose capacity is not known: what is held is known, the rest is not a number. */
static void test_what_if_without_set(void **state)
{
	(void)state;
	static const double rates[] = {8, 4}, held[] = {8, 4};
	struct ps_stats_interval alone[] = {about(16, 15, 17), about(10, 9, 11)};
	struct ps_cost_case c = {
		.n = 2, .rate_rps = rates, .alone_rps = alone, .held_rps = held, .usd_per_hour = 1};
	struct ps_cost_outcome o;
	ps_cost_what_if(&c, &o);
	assert_false(o.has_set);
	assert_true(o.held && isnan(o.share.value) && isnan(o.fluid_saving.value));
	expect_near(o.machines.together.value, 1);
	expect_near(o.machines.saving.value, 0.5);
	c.held_rps = NULL;
	ps_cost_what_if(&c, &o);
	assert_false(o.held);
	assert_true(isnan(o.machines.together.value) && isnan(o.machines.saving.value));
	assert_false(o.machines.together.has_interval);
	expect_near(o.machines.apart.value, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_points),
		cmocka_unit_test(test_crossings),
		cmocka_unit_test(test_crossing_intervals),
		cmocka_unit_test(test_open_ends),
		cmocka_unit_test(test_bad_types),
		cmocka_unit_test(test_what_if),
		cmocka_unit_test(test_what_if_without_set),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
