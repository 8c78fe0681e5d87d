/* The search where strictness matters: against every plan of small cases of service times, and how
 * near to its bound a plan of many tenants comes. */
#include "base/rng.h"
#include "plan/analytic.h"
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

enum { TYPES = 3, MODELS = 4, FEW = 6, MANY = 250 };

struct scene {
	struct ps_plan_host hosts[TYPES];
	struct ps_plan_service services[TYPES * MODELS];
	struct ps_plan_footprint footprints[MODELS];
	struct ps_plan_demand demands[MANY];
	double rates[MANY];
	struct ps_plan_type types[TYPES];
	struct ps_plan_kind kinds[MANY];
	struct ps_plan_analytic analytic;
	struct ps_plan_oracle oracle;
	struct ps_plan_problem problem;
	struct ps_clock_fake clock;
	struct ps_plan_options options;
};

static void draw_types(struct scene *s, struct ps_rng *r)
{
	double mean[MODELS];

	for (int m = 0; m < MODELS; m++) {
		mean[m] = 0.005 * exp(3 * ps_rng_uniform(r));
		s->footprints[m] = (struct ps_plan_footprint){50 + 400 * ps_rng_uniform(r),
							      200 * ps_rng_uniform(r)};
	}
	for (int t = 0; t < TYPES; t++) {
		double lanes = 1 << ps_rng_below(r, 3), factor = 0.8 + 0.4 * ps_rng_uniform(r);
		s->hosts[t] = (struct ps_plan_host){lanes, 700 * lanes, 100};
		s->types[t].usd_per_hour = lanes * 0.005 * (double)(8 + ps_rng_below(r, 4));
		for (int m = 0; m < MODELS; m++)
			s->services[t * MODELS + m] = (struct ps_plan_service){
				true, false, mean[m] * factor, 1.05 * mean[m] * factor, 0.2, 0};
	}
}

/* `kinds` of one part each but for the first, models ascending. */
static void draw(struct scene *s, uint64_t seed, int kinds)
{
	struct ps_rng r;
	struct ps_error err = {0};

	memset(s, 0, sizeof(*s));
	ps_rng_init(&r, seed, 5);
	draw_types(s, &r);
	for (int k = 0; k < kinds; k++) {
		int m = k * MODELS / kinds;
		double mean = s->services[m].mean_s;
		s->rates[k] = 0.02 * exp(3 * ps_rng_uniform(&r)) / mean;
		s->demands[k] =
			(struct ps_plan_demand){m, &s->rates[k], ps_rng_below(&r, 2) ? 0.99 : 0.95,
						mean * (5 + 8 * ps_rng_uniform(&r)), NULL};
		s->kinds[k] = (struct ps_plan_kind){.parts = 1 + (k == 0), .most = 1};
	}
	s->analytic = (struct ps_plan_analytic){.types = TYPES,
						.models = MODELS,
						.kinds = kinds,
						.hours = 1,
						.hosts = s->hosts,
						.services = s->services,
						.footprints = s->footprints,
						.demands = s->demands};
	if (ps_plan_analytic_init(&s->analytic, &err) != PS_OK)
		fail_msg("%s", err.what);
	s->oracle = ps_plan_analytic_oracle(&s->analytic);
	s->problem = (struct ps_plan_problem){&s->oracle, s->types, s->kinds};
	ps_clock_fake_init(&s->clock, 0);
	s->options = (struct ps_plan_options){
		.clock = &s->clock.clock, .time_limit_ns = PS_NS_PER_SEC, .only_type = -1};
}

static bool solve(struct scene *s, enum ps_plan_method method, struct ps_plan_result *r)
{
	s->options.method = method;
	return ps_plan_solve(&s->problem, &s->options, r, NULL, NULL) == PS_OK;
}

static void test_same_optimum_as_every_plan(void **state)
{
	static struct scene s;
	int compared = 0, proven = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct ps_plan_result truth, found;
		draw(&s, seed, FEW);
		/* A part that fits nowhere alone is refused by both. */
		if (solve(&s, PS_PLAN_EXHAUSTIVE, &truth)) {
			assert_true(solve(&s, PS_PLAN_AUTO, &found));
			if (fabs(truth.plan.usd_per_hour - found.plan.usd_per_hour) > 1e-9 ||
			    found.bound_usd_per_hour > truth.plan.usd_per_hour + 1e-9)
				fail_msg("seed %d: %.6f, bound %.6f, but %.6f is possible",
					 (int)seed, found.plan.usd_per_hour,
					 found.bound_usd_per_hour, truth.plan.usd_per_hour);
			compared++;
			proven += found.optimal;
			ps_plan_solution_free(&truth.plan);
			ps_plan_solution_free(&found.plan);
		}
		ps_plan_analytic_fini(&s.analytic);
	}
	if (compared < 30 || proven < compared)
		fail_msg("%d of %d were proven", proven, compared);
}

/* Machines hold tenants of like strictness: else each takes much more than it has to. */
static void test_many_tenants_come_near_the_bound(void **state)
{
	static struct scene s;
	struct ps_plan_result r;

	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		draw(&s, seed, MANY);
		s.options.steps = 200;
		assert_true(solve(&s, PS_PLAN_HEURISTIC, &r));
		double over = r.plan.usd_per_hour / r.bound_usd_per_hour - 1;
		if (!(over < 0.10))
			fail_msg("seed %d: %.1f %% over the bound", (int)seed, 100 * over);
		ps_plan_solution_free(&r.plan);
		ps_plan_analytic_fini(&s.analytic);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_optimum_as_every_plan),
		cmocka_unit_test(test_many_tenants_come_near_the_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
