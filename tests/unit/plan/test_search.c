/* The search against the truth: every plan of small random cases, with sizes that add up. */
#include "plan/plan_internal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { TYPES = 4, KINDS = 6, DIMS = 2 };

struct scene {
	double size[KINDS * DIMS], room[TYPES * DIMS];
	struct ps_plan_additive additive;
	struct ps_plan_oracle oracle;
	struct ps_plan_type types[TYPES];
	struct ps_plan_kind kinds[KINDS];
	int apart[KINDS][KINDS];
	struct ps_plan_problem problem;
	struct ps_clock_fake clock;
	struct ps_plan_options options;
};

static void keep_apart(struct scene *s, int a, int b)
{
	s->apart[a][s->kinds[a].aparts++] = b;
	s->apart[b][s->kinds[b].aparts++] = a;
}

/* Prices near those of a sheet: some per size, some off, so that ties and gaps both happen. */
static void draw(struct scene *s, uint64_t seed)
{
	struct ps_rng r;

	memset(s, 0, sizeof(*s));
	ps_rng_init(&r, seed, 1);
	int kinds = 2 + (int)ps_rng_below(&r, KINDS - 1), types = 1 + (int)ps_rng_below(&r, TYPES);
	for (int t = 0; t < types; t++) {
		double scale = 1 << ps_rng_below(&r, 3);
		s->room[t * DIMS] = scale;
		s->room[t * DIMS + 1] = scale * (1 + (double)ps_rng_below(&r, 3));
		s->types[t].usd_per_hour = 0.005 * (double)(10 + ps_rng_below(&r, 5)) * scale;
	}
	int parts = 0;
	for (int k = 0; k < kinds; k++) {
		s->size[k * DIMS] = 0.05 * (double)(1 + ps_rng_below(&r, 17));
		s->size[k * DIMS + 1] = 0.05 * (double)(1 + ps_rng_below(&r, 20));
		int n = 1 + (int)ps_rng_below(&r, 3);
		n = parts + n > 9 ? 1 : n;
		parts += n;
		s->kinds[k] = (struct ps_plan_kind){.parts = n, .most = n, .apart = s->apart[k]};
		if (ps_rng_below(&r, 4) == 0)
			s->kinds[k].most = 1;
	}
	if (ps_rng_below(&r, 2))
		keep_apart(s, 0, 1);
	s->additive = (struct ps_plan_additive){types, kinds, DIMS, s->size, s->room};
	s->oracle = ps_plan_additive_oracle(&s->additive);
	s->problem = (struct ps_plan_problem){&s->oracle, s->types, s->kinds};
	ps_clock_fake_init(&s->clock, 0);
	s->options = (struct ps_plan_options){
		.clock = &s->clock.clock, .time_limit_ns = PS_NS_PER_SEC, .only_type = -1};
}

static void solve(struct scene *s, enum ps_plan_method method, struct ps_plan_result *r)
{
	struct ps_error err = {0};

	s->options.method = method;
	if (ps_plan_solve(&s->problem, &s->options, r, NULL, &err) != PS_OK)
		fail_msg("%s", err.what);
	assert_int_equal(ps_plan_check(&s->problem, &r->plan, &err), PS_OK);
	assert_true(r->bound_usd_per_hour <= r->plan.usd_per_hour * (1 + 1e-9));
}

static void test_same_optimum_as_every_plan(void **state)
{
	static struct scene s;
	int proven = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 150; seed++) {
		struct ps_plan_result truth, found;
		draw(&s, seed);
		solve(&s, PS_PLAN_EXHAUSTIVE, &truth);
		solve(&s, PS_PLAN_AUTO, &found);
		if (fabs(truth.plan.usd_per_hour - found.plan.usd_per_hour) > 1e-9)
			fail_msg("seed %d: %.6f, but %.6f is possible", (int)seed,
				 found.plan.usd_per_hour, truth.plan.usd_per_hour);
		if (found.bound_usd_per_hour > truth.plan.usd_per_hour + 1e-9)
			fail_msg("seed %d: bound %.6f over the optimum %.6f", (int)seed,
				 found.bound_usd_per_hour, truth.plan.usd_per_hour);
		proven += found.optimal;
		ps_plan_solution_free(&truth.plan);
		ps_plan_solution_free(&found.plan);
	}
	if (proven < 150)
		fail_msg("%d of 150 were proven", proven);
}

/* ---- bounds of cases too large to try every plan ---- */

enum { MANY = 24, MANY_TYPES = 5 };

/* A clock that goes on a millisecond whenever it is read: limits of time that repeat. */
static int64_t tick(void *ctx)
{
	int64_t *now = ctx;

	*now += PS_NS_PER_MS;
	return *now;
}

/* Few fit on a machine and prices per size differ: relaxations are weak, proofs are hard. */
static void draw_many(struct ps_rng *r, double *size, double *room, struct ps_plan_type *types,
		      struct ps_plan_kind *kinds)
{
	for (int t = 0; t < MANY_TYPES; t++) {
		room[t] = 1 + (double)ps_rng_below(r, 4);
		types[t].usd_per_hour = room[t] * (0.04 + 0.004 * (double)ps_rng_below(r, 5));
	}
	for (int k = 0; k < MANY; k++) {
		size[k] = 0.15 + 0.7 * ps_rng_uniform(r);
		kinds[k] = (struct ps_plan_kind){.parts = 1, .most = 1};
	}
}

/* No bound of any run is over the cost of the plan of any other. */
static void test_bounds_hold_for_all_plans(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		double size[MANY], room[MANY_TYPES], cheapest = INFINITY, bound = 0;
		struct ps_plan_type types[MANY_TYPES];
		struct ps_plan_kind kinds[MANY];
		struct ps_rng r;
		ps_rng_init(&r, seed, 3);
		draw_many(&r, size, room, types, kinds);
		struct ps_plan_additive a = {MANY_TYPES, MANY, 1, size, room};
		struct ps_plan_oracle oracle = ps_plan_additive_oracle(&a);
		struct ps_plan_problem p = {&oracle, types, kinds};
		for (uint64_t run = 0; run < 2; run++) {
			int64_t now = 0;
			struct ps_clock clock = {tick, &now};
			struct ps_plan_options o = {.clock = &clock,
						    .time_limit_ns = (50 << run) * PS_NS_PER_MS,
						    .seed = run,
						    .only_type = -1};
			struct ps_plan_result found;
			assert_int_equal(ps_plan_solve(&p, &o, &found, NULL, NULL), PS_OK);
			cheapest = fmin(cheapest, found.plan.usd_per_hour);
			bound = fmax(bound, found.bound_usd_per_hour);
			ps_plan_solution_free(&found.plan);
		}
		if (bound > cheapest * (1 + 1e-9))
			fail_msg("seed %d: a bound of %.6f, and a plan of %.6f", (int)seed, bound,
				 cheapest);
	}
}

/* A list is whole, or it says that it is not: above less than nothing everything could be used. */
static void test_what_listing_patterns_says(void **state)
{
	static const struct {
		double above;
		int all;
		bool cut;
		int listed;
	} rows[] = {
		{0.9, 10, false, 1}, {0.1, 10, false, 3}, {0.1, 1, true, 2}, {-0.1, 10, true, 0}};
	/* Three kinds, any two of which fit together. */
	static const double size[] = {0.5, 0.5, 0.5}, room[] = {1}, dual[] = {0.5, 0.45, 0};
	static const struct ps_plan_type types[] = {{1}};
	static const struct ps_plan_kind kinds[] = {
		{1, 1, NULL, 0}, {1, 1, NULL, 0}, {1, 1, NULL, 0}};
	struct ps_plan_additive a = {1, 3, 1, size, room};
	struct ps_plan_oracle oracle = ps_plan_additive_oracle(&a);
	struct ps_plan_problem p = {&oracle, types, kinds};
	struct ps_clock_fake clock;
	struct ps_plan_options o = {.time_limit_ns = PS_NS_PER_SEC, .only_type = -1};

	(void)state;
	ps_clock_fake_init(&clock, 0);
	o.clock = &clock.clock;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct ps_plan_space s;
		struct ps_plan_patterns found = {0};
		struct ps_plan_pricing x = {.dual = dual, .above = rows[i].above, .budget = 1000};
		assert_int_equal(ps_plan_space_init(&s, &p, &o, NULL, NULL), PS_OK);
		ps_plan_bound_fractional(&s);
		assert_int_equal(ps_plan_price(&s, 0, &x, &found, rows[i].all), PS_OK);
		assert_int_equal(x.cut, rows[i].cut);
		if (rows[i].above >= 0)
			assert_int_equal(found.n, rows[i].listed);
		ps_plan_patterns_fini(&found);
		ps_plan_space_fini(&s);
	}
}

/* The least sum of prices over a bound, where prices are whole millionths: else the bound itself.
 */
static void test_bounds_are_rounded_to_sums_of_prices(void **state)
{
	static const struct {
		double usd[2], bound, want;
	} rows[] = {
		{{0.04, 0.10}, 0.05, 0.06},
		{{0.04, 0.10}, 0.06, 0.06},
		{{3.5, 7}, 7.1, 10.5},
		/* Ten of these are no whole number of millionths: rounded, the bound would be
		   eleven. */
		{{3.3161514, 3.3161514}, 33.161514, 33.161514},
		{{3.3161514, 3.3161514}, 30, 30},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct ps_plan_type types[] = {{rows[i].usd[0]}, {rows[i].usd[1]}};
		struct ps_plan_problem p = {NULL, types, NULL};
		struct ps_plan_space s = {.p = &p, .types = 2};
		double got = ps_plan_bound_round(&s, rows[i].bound);
		if (fabs(got - rows[i].want) > 1e-9)
			fail_msg("row %zu: %.9f, not %.9f", i, got, rows[i].want);
	}
}

/* A few parts that nearly fill whole machines, and dearer machines to slip into. */
static void test_counts_of_machines_are_branched_on(void **state)
{
	static const double size[] = {0.4, 0.35, 0.3};
	double room[12];
	struct ps_plan_type types[12];
	static const struct ps_plan_kind kinds[] = {
		{11, 11, NULL, 0}, {12, 12, NULL, 0}, {11, 11, NULL, 0}};
	struct ps_clock_fake clock;
	struct ps_plan_options o = {.time_limit_ns = PS_NS_PER_SEC, .only_type = -1};
	struct ps_plan_result found;

	(void)state;
	for (int t = 0; t < 12; t++) {
		room[t] = 1 + t % 3;
		types[t].usd_per_hour = (t ? 0.067 + 0.0011 * t : 0.0416) * room[t];
	}
	struct ps_plan_additive a = {12, 3, 1, size, room};
	struct ps_plan_oracle oracle = ps_plan_additive_oracle(&a);
	struct ps_plan_problem p = {&oracle, types, kinds};
	ps_clock_fake_init(&clock, 0);
	o.clock = &clock.clock;
	assert_int_equal(ps_plan_solve(&p, &o, &found, NULL, NULL), PS_OK);
	assert_true(found.optimal);
	assert_true(found.nodes <= 40);
	ps_plan_solution_free(&found.plan);
}

/* ---- first fit decreasing ---- */

/* Where each goes is known: one type of one size, parts in falling order. */
static void test_first_fit_decreasing(void **state)
{
	static const struct {
		double size[6];
		int parts[6], most[6], machines, apart[2]; /* apart: kinds; the same: none */
	} rows[] = {
		/* 6+4, 5+4, 3+2; */
		{{0.6, 0.5, 0.4, 0.3, 0.2}, {1, 1, 2, 1, 1}, {1, 1, 2, 1, 1}, 3, {0, 0}},
		/* a part of 4 is a third machine's where two of its tenant are kept apart, */
		{{0.4}, {3}, {1}, 3, {0, 0}},
		{{0.4}, {3}, {3}, 2, {0, 0}},
		/* and so are tenants that are. */
		{{0.2, 0.1}, {1, 1}, {1, 1}, 1, {0, 0}},
		{{0.2, 0.1}, {1, 1}, {1, 1}, 2, {0, 1}},
		/* Small ones fill what is left: 5+3+2, 3+3+2. */
		{{0.5, 0.3, 0.2}, {1, 3, 2}, {1, 3, 2}, 2, {0, 0}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		static struct scene s;
		int kinds = 0;
		memset(&s, 0, sizeof(s));
		for (; kinds < 6 && rows[i].parts[kinds]; kinds++) {
			s.size[kinds] = rows[i].size[kinds];
			s.kinds[kinds] = (struct ps_plan_kind){.parts = rows[i].parts[kinds],
							       .most = rows[i].most[kinds],
							       .apart = s.apart[kinds]};
		}
		if (rows[i].apart[0] != rows[i].apart[1])
			keep_apart(&s, rows[i].apart[0], rows[i].apart[1]);
		s.room[0] = 1;
		s.types[0].usd_per_hour = 1;
		s.additive = (struct ps_plan_additive){1, kinds, 1, s.size, s.room};
		s.oracle = ps_plan_additive_oracle(&s.additive);
		s.problem = (struct ps_plan_problem){&s.oracle, s.types, s.kinds};
		ps_clock_fake_init(&s.clock, 0);
		s.options = (struct ps_plan_options){
			.clock = &s.clock.clock, .time_limit_ns = PS_NS_PER_SEC, .only_type = -1};
		struct ps_plan_result r;
		solve(&s, PS_PLAN_HEURISTIC, &r);
		if (fabs(r.decreasing_usd_per_hour - rows[i].machines) > 1e-9)
			fail_msg("row %zu: %g machines, not %d", i, r.decreasing_usd_per_hour,
				 rows[i].machines);
		ps_plan_solution_free(&r.plan);
	}
}

/* The search begins with it where it is the cheapest, and never with a dearer one. */
static void test_search_begins_with_the_cheapest(void **state)
{
	static struct scene s;

	(void)state;
	for (uint64_t seed = 1; seed <= 150; seed++) {
		struct ps_plan_result r;
		draw(&s, seed);
		solve(&s, PS_PLAN_HEURISTIC, &r);
		assert_true(r.decreasing_usd_per_hour > 0);
		assert_true(r.start_usd_per_hour <= r.decreasing_usd_per_hour + 1e-9);
		assert_true(r.plan.usd_per_hour <= r.start_usd_per_hour + 1e-9);
		ps_plan_solution_free(&r.plan);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_optimum_as_every_plan),
		cmocka_unit_test(test_bounds_hold_for_all_plans),
		cmocka_unit_test(test_what_listing_patterns_says),
		cmocka_unit_test(test_bounds_are_rounded_to_sums_of_prices),
		cmocka_unit_test(test_counts_of_machines_are_branched_on),
		cmocka_unit_test(test_first_fit_decreasing),
		cmocka_unit_test(test_search_begins_with_the_cheapest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
