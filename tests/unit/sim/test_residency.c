/* A budget of memory in virtual time: the same dispatcher, millions of requests per second. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/sim/sim_test.h"

#include <string.h>

enum { MODELS = 6, TENANTS = 2, STEADY = 0, SCANNER = 1 };

static const int64_t MIB = 1 << 20;

/* One tenant asks for one model all the time, the other for all the others in turn. */
struct scene {
	struct ps_sim_model models[MODELS];
	struct ps_sim_tenant tenants[TENANTS];
	int mix[MODELS];
	double shares[MODELS];
	struct ps_sim_plan plan;
	struct ps_sim_result results[TENANTS];
	struct ps_sim_summary summary;
};

static void set(struct scene *s, int64_t budget)
{
	memset(s, 0, sizeof *s);
	for (int i = 0; i < MODELS; i++) {
		s->models[i] = (struct ps_sim_model){.service = PS_SIM_FIXED,
						     .service_ns = 2e6,
						     .bytes = 100 * MIB,
						     .first_load_bytes = 200 * MIB,
						     .first_load_ns = 300 * MS,
						     .load_ns = 20 * MS,
						     .unload_ns = 5 * MS};
		s->mix[i] = 1 + i;
		s->shares[i] = 1.0 / (MODELS - 1);
	}
	for (int i = 0; i < TENANTS; i++)
		s->tenants[i] = (struct ps_sim_tenant){.arrival = PS_SIM_POISSON,
						       .rate_rps = i == STEADY ? 4 : 20,
						       .weight = 1,
						       .queue_limit = 1000};
	s->tenants[SCANNER].mix = s->mix;
	s->tenants[SCANNER].mix_shares = s->shares;
	s->tenants[SCANNER].n_mix = MODELS - 1;
	s->plan = (struct ps_sim_plan){.tenants = s->tenants,
				       .models = s->models,
				       .n_tenants = TENANTS,
				       .n_models = MODELS,
				       .n_lanes = 2,
				       .memory = {.budget_bytes = budget,
						  .policy = PS_CACHE_LRU,
						  .epoch_ns = 10 * S,
						  .load_timeout_ns = 60 * S,
						  .load_pause_ns = S},
				       .seed = 7,
				       .quantiles = true,
				       .arrivals = 20000 / FEWER};
}

static void run(struct scene *s)
{
	s->summary = sim_run(&s->plan, s->results);
}

static void room_for_all_is_one_load_each(void **state)
{
	struct scene s;

	(void)state;
	set(&s, (MODELS + 1) * 100 * MIB);
	run(&s);
	assert_int_equal(s.summary.loads, MODELS);
	assert_int_equal(s.summary.evictions, 0);
	for (int i = 0; i < TENANTS; i++) {
		assert_int_equal(s.results[i].served, s.results[i].arrived);
		assert_int_equal(s.results[i].hits + s.results[i].cold_starts,
				 s.results[i].arrived);
	}
}

static void the_budget_holds_and_nobody_is_refused(void **state)
{
	struct scene s;

	(void)state;
	set(&s, 300 * MIB);
	run(&s);
	assert_in_range(s.summary.memory_max_bytes, 200 * MIB, 300 * MIB);
	assert_true(s.summary.evictions > 100 / FEWER);
	for (int i = 0; i < TENANTS; i++)
		assert_int_equal(s.results[i].served, s.results[i].arrived);
}

static void the_same_plan_gives_the_same_numbers(void **state)
{
	struct scene a, b;

	(void)state;
	set(&a, 300 * MIB);
	set(&b, 300 * MIB);
	run(&a);
	run(&b);
	assert_memory_equal(&a.summary, &b.summary, sizeof a.summary);
	assert_memory_equal(a.results, b.results, sizeof a.results);
}

/* What least-recently-used does to a tenant that asks for one model, when another walks through
 * many; its guarantee keeps the model. */
static void a_scanner_robs_and_a_guarantee_helps(void **state)
{
	struct scene alone, robbed;

	(void)state;
	set(&robbed, 300 * MIB);
	run(&robbed);
	set(&alone, 300 * MIB);
	alone.tenants[SCANNER].rate_rps = 0.01;
	run(&alone);
	assert_in_range(alone.results[STEADY].cold_starts, 1, 3);
	if (JUDGED)
		assert_true(robbed.results[STEADY].cold_starts >
			    robbed.results[STEADY].arrived / 20);
	set(&robbed, 300 * MIB);
	robbed.tenants[STEADY].memory_bytes = 100 * MIB;
	run(&robbed);
	assert_in_range(robbed.results[STEADY].cold_starts, 1, 3);
}

/* The same under the policies that plan: after the first epoch the steady tenant has its model
 * whatever the scanner does, and the scanner is served all the same. */
static void plans_keep_what_a_tenant_lives_on(void **state)
{
	static const enum ps_cache_kind kinds[] = {PS_CACHE_PF, PS_CACHE_STATIC};
	struct scene s;

	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		set(&s, 300 * MIB);
		s.plan.memory.policy = kinds[i];
		run(&s);
		assert_in_range(s.summary.memory_max_bytes, 200 * MIB, 300 * MIB);
		assert_int_equal(s.results[SCANNER].served, s.results[SCANNER].arrived);
		if (JUDGED)
			assert_true(s.results[STEADY].cold_starts < s.results[STEADY].arrived / 50);
	}
}

static void every_policy_holds_the_budget(void **state)
{
	struct scene s;

	(void)state;
	for (int kind = 0; kind < PS_CACHE_KINDS; kind++) {
		set(&s, 350 * MIB);
		s.plan.memory.policy = (enum ps_cache_kind)kind;
		s.plan.arrivals = 4000 / FEWER;
		run(&s);
		assert_in_range(s.summary.memory_max_bytes, 100 * MIB, 350 * MIB);
		for (int i = 0; i < TENANTS; i++)
			assert_int_equal(s.results[i].served, s.results[i].arrived);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(room_for_all_is_one_load_each),
		cmocka_unit_test(the_budget_holds_and_nobody_is_refused),
		cmocka_unit_test(the_same_plan_gives_the_same_numbers),
		cmocka_unit_test(plans_keep_what_a_tenant_lives_on),
		cmocka_unit_test(every_policy_holds_the_budget),
		cmocka_unit_test(a_scanner_robs_and_a_guarantee_helps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
