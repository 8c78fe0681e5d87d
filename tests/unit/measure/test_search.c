/* What a search makes of INVALID trials, and of checks that all failed; what a profile asks. */
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

static struct ps_trial_search *begin_search(int checks)
{
	struct ps_trial_plan plan = {.n_tenants = 1,
				     .rate_rps = {1},
				     .scale_max = 100,
				     .step_ns = 1000000000,
				     .min_steps = 2,
				     .max_steps = 2,
				     .max_confirms = checks};
	struct ps_trial_search *s = calloc(1, sizeof(*s));
	assert_non_null(s);
	assert_int_equal(ps_sla_parse("p95<=200ms", &plan.sla[0], NULL), PS_OK);
	assert_int_equal(ps_trial_search_init(s, &plan, NULL), PS_OK);
	add(s, 50, PS_TRIAL_SEARCH, 0);
	add(s, 90, PS_TRIAL_SEARCH, 60);
	return s;
}

/* Whether and where a search looks once more. */
static void test_lower(void **state)
{
	static const struct {
		double checked; /* 0: no check */
		int64_t late;
		int checks, further;
		bool copies;
		double scale; /* 0: nowhere */
	} rows[] = {
		{40, 8, 1, 0, false, 36}, /* a tenth below */
		{40, 8, 1, 1, false, 32}, {40, 8, 1, 2, false, 24}, {40, 8, 1, 3, false, 8},
		{40, 8, 1, 4, false, 0},  {40, 0, 1, 0, false, 0}, /* it held */
		{60, 8, 1, 0, false, 0}, /* 50 had passed: the capacity is lowered to that */
		{0, 0, 1, 0, false, 0},	  {40, 8, 0, 0, false, 0}, /* nobody asked for checks */
		{40, 8, 1, 0, true, 36},  {4, 8, 1, 0, true, 3},   /* one copy less at least */
		{2, 8, 1, 0, true, 1},	  {1, 8, 1, 0, true, 0},   /* there is no less */
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_trial_search *s = begin_search(rows[i].checks);
		double scale = 0;
		if (rows[i].checked > 0) {
			add(s, rows[i].checked, PS_TRIAL_CONFIRM, rows[i].late);
		}
		bool more = ps_measure_search_lower(s, rows[i].further, rows[i].copies, &scale);
		if (more != (rows[i].scale > 0) || (more && fabs(scale - rows[i].scale) > 1e-9)) {
			fail_msg("row %zu: %d, %g", i, more, scale);
		}
		free(s);
	}
}

/* Wherever a server holds from a tenth of the first check's rate on, a capacity is known in the
 * end, and is where a fresh trial held. */
static void test_comes_down(void **state)
{
	(void)state;
	for (double truth = 39; truth > 4; truth *= 0.8) {
		struct ps_trial_search *s = begin_search(1);
		double scale = 40;
		int further = 0;
		add(s, scale, PS_TRIAL_CONFIRM, 8);
		while (ps_measure_search_lower(s, further, false, &scale)) {
			further++;
			s->plan.max_confirms++;
			add(s, scale, PS_TRIAL_CONFIRM, scale > truth ? 8 : 0);
		}
		if (!ps_measure_search_knows(&s->answer) ||
		    s->answer.confirmed != PS_TRIAL_CONFIRMED || s->answer.scale.value != scale ||
		    s->answer.scale.lo > scale) {
			fail_msg("truth %g: %g after %d", truth, s->answer.scale.value, further);
		}
		free(s);
	}
}

/* Which batch sizes a model takes, by what its server says of its inputs. */
static void test_takes_batch(void **state)
{
	static const struct {
		const char *inputs;
		int batch;
		bool takes;
	} rows[] = {
		{"[{\"shape\":[-1,3]}]", 8, true},
		{"[{\"shape\":[1,3]}]", 8, false},
		{"[{\"shape\":[8,3]}]", 8, true},
		{"[{\"shape\":[-1]},{\"shape\":[2]}]", 8, false},
		{"[{\"shape\":[]}]", 8, false}, /* a scalar */
		{"[{}]", 8, false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *inputs = json_loads(rows[i].inputs, 0, NULL);
		json_t *o = json_pack("{s:o}", "inputs", inputs);
		if (ps_measure_takes_batch(o, rows[i].batch) != rows[i].takes) {
			fail_msg("row %zu", i);
		}
		json_decref(o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_use), cmocka_unit_test(test_knows),
					   cmocka_unit_test(test_lower),
					   cmocka_unit_test(test_comes_down),
					   cmocka_unit_test(test_takes_batch)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
