/* The bound that knows what company costs: never over the best of all plans, and above the one that
 * does not know it. */
#include "base/rng.h"
#include "plan/analytic.h"
#include "plan/plan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { TYPES = 3, KINDS = 6, MODELS = 3, CASES = 120 };

struct scene {
	struct ps_plan_host hosts[TYPES];
	struct ps_plan_service services[TYPES * MODELS];
	struct ps_plan_footprint footprints[MODELS];
	struct ps_plan_demand demands[KINDS];
	double rates[KINDS];
	struct ps_plan_beside beside[MODELS * MODELS];
	struct ps_plan_type types[TYPES];
	struct ps_plan_kind kinds[KINDS];
	struct ps_plan_analytic a;
	struct ps_plan_oracle oracle;
	struct ps_plan_problem problem;
	struct ps_clock_fake clock;
};

static void draw_models(struct scene *s, struct ps_rng *r, int types, int models)
{
	for (int m = 0; m < models; m++) {
		double mean = 0.01 + 0.03 * ps_rng_uniform(r);
		double slowdown = ps_rng_below(r, 4) ? 0 : 1 + 0.3 * ps_rng_uniform(r);
		s->footprints[m] = (struct ps_plan_footprint){50, 20};
		for (int t = 0; t < types; t++)
			s->services[t * models + m] = (struct ps_plan_service){
				true, false, mean, mean * 1.05, 0.2, slowdown};
	}
	for (int i = 0; i < models * models; i++) {
		double middle = 1 + 0.4 * ps_rng_uniform(r);
		s->beside[i] = (struct ps_plan_beside){
			middle, middle * (1 + 0.1 * ps_rng_uniform(r)), PS_PLAN_MEASURED};
	}
}

static void draw(struct scene *s, uint64_t seed)
{
	struct ps_error err;
	struct ps_rng r;

	memset(s, 0, sizeof(*s));
	ps_rng_init(&r, seed, 3);
	int types = 1 + (int)ps_rng_below(&r, TYPES), models = 2 + (int)ps_rng_below(&r, 2);
	int kinds = models + (int)ps_rng_below(&r, (uint64_t)(KINDS - models) + 1), parts = 0;
	for (int t = 0; t < types; t++) {
		s->hosts[t] = (struct ps_plan_host){1 << ps_rng_below(&r, 3), 1000, 100};
		s->types[t].usd_per_hour =
			s->hosts[t].lanes * (0.03 + 0.005 * (double)ps_rng_below(&r, 4));
	}
	draw_models(s, &r, types, models);
	for (int k = 0; k < kinds; k++) {
		int n = parts < 6 ? 1 + (int)ps_rng_below(&r, 2) : 1;
		parts += n;
		s->rates[k] = 2 + 12 * ps_rng_uniform(&r);
		s->demands[k] = (struct ps_plan_demand){k * models / kinds, &s->rates[k], 0.99,
							0.3 + ps_rng_uniform(&r), NULL};
		s->kinds[k] = (struct ps_plan_kind){.parts = n, .most = n};
	}
	s->a = (struct ps_plan_analytic){.types = types,
					 .models = models,
					 .kinds = kinds,
					 .hours = 1,
					 .hosts = s->hosts,
					 .services = s->services,
					 .footprints = s->footprints,
					 .demands = s->demands,
					 .beside = s->beside};
	if (ps_plan_analytic_init(&s->a, &err) != PS_OK)
		fail_msg("%s", err.what);
	s->oracle = ps_plan_analytic_oracle(&s->a);
	s->problem = (struct ps_plan_problem){&s->oracle, s->types, s->kinds};
	ps_clock_fake_init(&s->clock, 0);
}

static bool solve(struct scene *s, enum ps_plan_method method, struct ps_plan_result *ret)
{
	const struct ps_plan_options o = {.clock = &s->clock.clock,
					  .time_limit_ns = PS_NS_PER_SEC,
					  .method = method,
					  .only_type = -1};
	struct ps_error err;
	enum ps_status st = ps_plan_solve(&s->problem, &o, ret, NULL, &err);

	if (st != PS_OK && st != PS_EINVAL)
		fail_msg("%s", err.what);
	if (st == PS_OK)
		ps_plan_solution_free(&ret->plan);
	return st == PS_OK;
}

static void test_bound(void **state)
{
	static struct scene s;
	int above = 0, shared = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= CASES; seed++) {
		struct ps_plan_result truth, found, proven, plain;
		draw(&s, seed);
		if (!solve(&s, PS_PLAN_EXHAUSTIVE, &truth)) {
			ps_plan_analytic_fini(&s.a);
			continue; /* somebody fits nowhere */
		}
		assert_true(solve(&s, PS_PLAN_HEURISTIC, &found));
		assert_true(solve(&s, PS_PLAN_AUTO, &proven));
		s.oracle.group = NULL;
		assert_true(solve(&s, PS_PLAN_HEURISTIC, &plain));
		double best = truth.bound_usd_per_hour; /* of every plan: its cost */
		if (found.bound_usd_per_hour > best * (1 + 1e-9))
			fail_msg("seed %d: a bound of %.9g over the best plan, %.9g", (int)seed,
				 found.bound_usd_per_hour, best);
		if (proven.bound_usd_per_hour > best * (1 + 1e-9))
			fail_msg("seed %d: proven %.9g over the best plan, %.9g", (int)seed,
				 proven.bound_usd_per_hour, best);
		assert_true(found.bound_usd_per_hour >= plain.bound_usd_per_hour * (1 - 1e-9));
		above += found.bound_usd_per_hour > plain.bound_usd_per_hour * (1 + 1e-6);
		shared += found.bound_by == PS_PLAN_COMPANY;
		ps_plan_analytic_fini(&s.a);
	}
	if (above < CASES / 10 || shared < above)
		fail_msg("in %d of %d cases above, %d by company", above, CASES, shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_bound)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
