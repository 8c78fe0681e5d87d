/* What a search makes of INVALID trials, and of checks that all failed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "measure/cell_internal.h"

#include <math.h>
#include <stdlib.h>

static void test_use(void **state)
{
	static const struct {
		const char *reasons; /* NULL: valid */
		bool check;
		int repeats;
		enum ps_measure_use use;
	} rows[] = {
		{NULL, false, 0, PS_MEASURE_USE_IT},
		{NULL, true, 2, PS_MEASURE_USE_IT},
		{"unsteady-rising: x", true, 0, PS_MEASURE_USE_IT},
		{"send-lag: x", false, 0, PS_MEASURE_USE_AGAIN},
		{"send-lag: x", true, 1, PS_MEASURE_USE_AGAIN},
		{"send-lag: x", false, 2, PS_MEASURE_USE_COUNTED},
		{"send-lag: x", true, 2, PS_MEASURE_USE_NOT},
		{"unsteady-rising: x\nmachine: x", true, 2, PS_MEASURE_USE_NOT},
		{"memory-over: x", true, 2, PS_MEASURE_USE_NOT},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct ps_store_result results[] = {
			{.valid = true}, {.valid = !rows[i].reasons, .reasons = rows[i].reasons}};
		const struct ps_store_trial t = {.results = results, .result_len = 2};
		enum ps_measure_use use = ps_measure_search_use(&t, rows[i].check, rows[i].repeats);
		if (use != rows[i].use) {
			fail_msg("row %zu: %d", i, use);
		}
	}
}

static void add(struct ps_trial_search *s, double scale, enum ps_trial_kind kind, int64_t late)
{
	struct ps_trial_step step = {.scale = scale, .kind = kind};
	struct ps_error err;
	step.seen[0] = (struct ps_trial_seen){
		.requests = 100, .violations = late, .effective_ratio = 1, .p_backlog = 1};
	if (ps_trial_search_add(s, &step, &err) != PS_OK) {
		fail_msg("%s", err.what);
	}
}

/* A check that fails below every step that passed leaves nothing known. */
static void test_knows(void **state)
{
	static const struct {
		double passed, checked;
		int64_t late;
		bool known;
	} rows[] = {{50, 40, 0, true}, {50, 60, 8, true}, {50, 40, 8, false}};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_trial_plan plan = {.n_tenants = 1,
					     .rate_rps = {1},
					     .scale_max = 100,
					     .step_ns = 1000000000,
					     .min_steps = 2,
					     .max_steps = 2,
					     .max_confirms = 1};
		struct ps_trial_search *s = calloc(1, sizeof(*s));
		assert_non_null(s);
		assert_int_equal(ps_sla_parse("p95<=200ms", &plan.sla[0], NULL), PS_OK);
		assert_int_equal(ps_trial_search_init(s, &plan, NULL), PS_OK);
		add(s, rows[i].passed, PS_TRIAL_SEARCH, 0);
		add(s, 90, PS_TRIAL_SEARCH, 60);
		add(s, rows[i].checked, PS_TRIAL_CONFIRM, rows[i].late);
		if (ps_measure_search_knows(&s->answer) != rows[i].known) {
			fail_msg("row %zu: %g, cut %d", i, s->answer.scale.value, s->answer.cut);
		}
		free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_use),
					   cmocka_unit_test(test_knows)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
