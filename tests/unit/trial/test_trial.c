#include "trial/trial.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MS	 INT64_C(1000000)

static struct ps_trial_plan one_tenant(void)
{
	return (struct ps_trial_plan){
		.n_tenants = 1,
		.rate_rps = {1},
		.sla = {{0.95, 200 * MS, 0.99}},
		.scale_max = 20,
		.max_steps = 6,
	};
}

static struct ps_trial_seen saw(int64_t n, int64_t over, int64_t failed)
{
	return (struct ps_trial_seen){n, over, failed, 1, 1, 0};
}

static void test_observe(void **state)
{
	(void)state;
	struct ps_sla sla = {0.95, 200 * MS, 0.99};
	struct ps_trial_request r[100];
	for (int i = 0; i < 100; i++)
		r[i] = (struct ps_trial_request){i * 10 * MS, 50 * MS};
	r[5].latency_ns = 999 * MS;  /* in the warm-up */
	r[50].latency_ns = 200 * MS; /* at the limit is inside */
	r[51].latency_ns = 200 * MS + 1;
	r[90].latency_ns = PS_HIST_INFINITE;
	struct ps_trial_seen seen;
	assert_int_equal(ps_trial_observe(r, 100, 200 * MS, &sla, &seen, NULL), PS_OK);
	assert_int_equal(seen.requests, 80);
	assert_int_equal(seen.violations, 2);
	assert_int_equal(seen.failures, 1);
	assert_false(ps_trial_backlog_rises(&seen, &sla));
	for (int i = 0; i < 100; i++)
		r[i].latency_ns = (50 + i) * MS;
	assert_int_equal(ps_trial_observe(r, 100, 0, &sla, &seen, NULL), PS_OK);
	assert_int_equal(seen.violations, 0);
	assert_true(ps_trial_backlog_rises(&seen, &sla));
	assert_true(fabs(seen.rise_ns - 99e6) < 1e6);
	assert_int_equal(ps_trial_observe(r, 0, 0, &sla, &seen, NULL), PS_OK);
	assert_int_equal(seen.requests, 0);
	sla.percentile = 0;
	assert_int_equal(ps_trial_observe(r, 100, 0, &sla, &seen, NULL), PS_EINVAL);
}

static void test_judge(void **state)
{
	(void)state;
	static const struct {
		struct ps_trial_seen seen;
		enum ps_trial_verdict want;
	} rows[] = {
		{{100, 5, 0, 1, 1, 0}, PS_TRIAL_PASS},
		{{100, 6, 0, 1, 1, 0}, PS_TRIAL_FAIL_LATENCY},
		{{20, 1, 0, 1, 1, 0}, PS_TRIAL_PASS},
		{{19, 1, 0, 1, 1, 0}, PS_TRIAL_FAIL_LATENCY},
		{{100, 1, 1, 1, 1, 0}, PS_TRIAL_PASS},
		{{100, 2, 2, 1, 1, 0}, PS_TRIAL_FAIL_SUCCESS},
		{{0, 0, 0, 1, 1, 0}, PS_TRIAL_FAIL_EMPTY},
		{{100, 0, 0, 1, 0.001, 60e6}, PS_TRIAL_FAIL_BACKLOG},
		{{100, 0, 0, 1, 0.02, 60e6}, PS_TRIAL_PASS},  /* may be chance */
		{{100, 0, 0, 1, 0.001, 40e6}, PS_TRIAL_PASS}, /* too little to matter */
	};
	struct ps_trial_plan plan = one_tenant();
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ps_trial_step step = {.scale = 1, .seen = {rows[i].seen}};
		assert_int_equal(ps_trial_judge(&plan, &step), rows[i].want == PS_TRIAL_PASS);
		if (step.verdict != rows[i].want)
			fail_msg("row %zu: %s", i, ps_trial_verdict_name(step.verdict));
		assert_int_equal(step.verdict_tenant, rows[i].want == PS_TRIAL_PASS ? -1 : 0);
	}
}

static void test_plan_check(void **state)
{
	(void)state;
	struct ps_error err;
	for (int wrong = 0; wrong < 8; wrong++) {
		struct ps_trial_plan p = one_tenant();
		p.n_tenants = wrong == 0 ? 0 : wrong == 1 ? PS_TRIAL_MAX_TENANTS + 1 : 1;
		p.rate_rps[0] = wrong == 2 ? 0 : 1;
		p.sla[0].percentile = wrong == 3 ? 0 : 0.95;
		p.scale_max = wrong == 4 ? 0 : 20;
		p.max_steps = wrong == 5 ? 0 : wrong == 6 ? PS_TRIAL_MAX_STEPS + 1 : 6;
		p.confidence = wrong == 7 ? 1 : 0;
		struct ps_trial_search s;
		assert_int_equal(ps_trial_search_init(&s, &p, &err), PS_EINVAL);
		assert_true(err.what[0] != '\0');
	}
}

/* A world without chance: the share over the limit is a known curve, counts are large. */
static int64_t violations_at(double scale, double capacity, int64_t n)
{
	double z = -2.944439 + 8 * log(scale / capacity);
	return (int64_t)((double)n / (1 + exp(-z)));
}

/* Rates at scale 1, what closed loops gave alone and together, and the scale that they promise. */
static void test_scale_max(void **state)
{
	static const struct {
		int n;
		double rate[3], alone[3], together[3]; /* together[0] < 0: not tried */
		double want;
	} rows[] = {
		{1, {1}, {98}, {-1}, 98},
		{1, {2}, {98}, {-1}, 49},
		/* in proportion to what each can do: any mean of the ratios would do */
		{2, {10, 50}, {100, 500}, {50, 250}, 5},
		/* one machine: 0.2 + 0.004 of it at scale 1, however they shared the loop of both
		 */
		{2, {40, 4}, {200, 1000}, {500. / 3, 500. / 3}, 1 / 0.204},
		{2, {40, 4}, {200, 1000}, {-1}, 1 / 0.204},
		{3, {1, 1, 1}, {10, 20, 40}, {1, 2, 4}, 1 / 0.175},
		/* a lane each: together they get two machines' worth */
		{2, {40, 4}, {200, 1000}, {200, 1000}, 2 / 0.204},
		/* they harm each other: less than a machine's worth is no less a bound from above
		 */
		{2, {40, 4}, {200, 1000}, {60, 300}, 1 / 0.204},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ps_trial_plan plan = {.n_tenants = rows[i].n};
		memcpy(plan.rate_rps, rows[i].rate, sizeof(rows[i].rate));
		double x = ps_trial_scale_max(&plan, rows[i].alone,
					      rows[i].together[0] < 0 ? NULL : rows[i].together);
		if (!(fabs(x / rows[i].want - 1) < 1e-9))
			fail_msg("row %zu: %g", i, x);
	}
}

static void test_finds_a_known_capacity(void **state)
{
	(void)state;
	static const double capacities[] = {1, 5, 12.3, 19};
	for (size_t i = 0; i < COUNT(capacities); i++) {
		struct ps_trial_plan plan = one_tenant();
		plan.max_steps = 20;
		plan.stop_half_width = 0.02;
		struct ps_trial_search s;
		assert_int_equal(ps_trial_search_init(&s, &plan, NULL), PS_OK);
		struct ps_trial_next next;
		while ((next = ps_trial_search_next(&s)).action == PS_TRIAL_RUN) {
			struct ps_trial_step step = {.scale = next.scale};
			step.seen[0] = saw(5000, violations_at(next.scale, capacities[i], 5000), 0);
			assert_int_equal(ps_trial_search_add(&s, &step, NULL), PS_OK);
		}
		assert_int_equal(next.action, PS_TRIAL_DONE);
		assert_int_equal(s.stop, PS_TRIAL_STOP_PRECISE);
		const struct ps_stats_interval *c = &s.answer.scale;
		if (!(c->lo <= capacities[i] && capacities[i] <= c->hi &&
		      fabs(c->value / capacities[i] - 1) < 0.03))
			fail_msg("%g: %g (%g .. %g)", capacities[i], c->value, c->lo, c->hi);
	}
}

static void test_unbounded_above_and_hopeless(void **state)
{
	(void)state;
	struct ps_trial_plan plan = one_tenant();
	struct ps_trial_search s;
	assert_int_equal(ps_trial_search_init(&s, &plan, NULL), PS_OK);
	struct ps_trial_next next;
	while ((next = ps_trial_search_next(&s)).action == PS_TRIAL_RUN) {
		assert_true(next.scale <= plan.scale_max);
		struct ps_trial_step step = {.scale = next.scale, .seen = {saw(1000, 0, 0)}};
		assert_int_equal(ps_trial_search_add(&s, &step, NULL), PS_OK);
	}
	assert_int_equal(next.stop, PS_TRIAL_STOP_STEPS);
	assert_true(s.answer.open_above && isinf(s.answer.half_width));
	plan.max_steps = 60;
	assert_int_equal(ps_trial_search_init(&s, &plan, NULL), PS_OK);
	while ((next = ps_trial_search_next(&s)).action == PS_TRIAL_RUN) {
		struct ps_trial_step step = {.scale = next.scale, .seen = {saw(1000, 900, 0)}};
		assert_int_equal(ps_trial_search_add(&s, &step, NULL), PS_OK);
	}
	assert_int_equal(next.stop, PS_TRIAL_STOP_HOPELESS);
	assert_true(s.answer.open_below && s.answer.scale.lo == 0);
}

/* Few requests with no violation must not look like knowledge. */
static void test_little_data_is_wide(void **state)
{
	(void)state;
	struct ps_trial_plan plan = one_tenant();
	struct ps_trial_step steps[2] = {{.scale = 10, .seen = {saw(20, 0, 0)}},
					 {.scale = 12, .seen = {saw(20, 0, 0)}}};
	struct ps_trial_answer few, many;
	assert_int_equal(ps_trial_fit(&plan, steps, 2, &few, NULL), PS_OK);
	assert_true(few.scale.lo < 12 && few.scale.hi > 18);
	steps[0].seen[0].requests = steps[1].seen[0].requests = 2000;
	assert_int_equal(ps_trial_fit(&plan, steps, 2, &many, NULL), PS_OK);
	assert_true(many.scale.lo > 12 && many.scale.lo > few.scale.lo);
	steps[0].seen[0].effective_ratio = steps[1].seen[0].effective_ratio = 0.01;
	assert_int_equal(ps_trial_fit(&plan, steps, 2, &many, NULL), PS_OK);
	assert_true(fabs(many.scale.lo - few.scale.lo) < 1e-6); /* 2000 that are worth 20 */
}

static void test_backlog_lowers_the_capacity(void **state)
{
	(void)state;
	struct ps_trial_plan plan = one_tenant();
	struct ps_trial_step step = {.scale = 15, .seen = {saw(100, 3, 0)}};
	struct ps_trial_answer calm, rising;
	assert_int_equal(ps_trial_fit(&plan, &step, 1, &calm, NULL), PS_OK);
	step.seen[0].p_backlog = 1e-4;
	step.seen[0].rise_ns = 100e6;
	assert_int_equal(ps_trial_fit(&plan, &step, 1, &rising, NULL), PS_OK);
	assert_true(rising.scale.hi < 15.5 && calm.scale.hi > 15.5);
}

static void test_set_is_as_strong_as_its_weakest(void **state)
{
	(void)state;
	struct ps_trial_plan plan = one_tenant();
	plan.n_tenants = 2;
	plan.rate_rps[1] = 3;
	plan.sla[1] = plan.sla[0];
	struct ps_trial_step steps[4];
	for (int i = 0; i < 4; i++) {
		double x = 6 + 2 * i;
		steps[i] = (struct ps_trial_step){.scale = x};
		steps[i].seen[0] = saw(4000, violations_at(x, 14, 4000), 0);
		steps[i].seen[1] = saw(4000, violations_at(x, 9, 4000), 0);
	}
	struct ps_trial_answer a;
	assert_int_equal(ps_trial_fit(&plan, steps, 4, &a, NULL), PS_OK);
	assert_int_equal(a.binding_tenant, 1);
	assert_true(fabs(a.scale.value - 9) < 0.4 && fabs(a.tenant_scale[0].value - 14) < 0.8);
	/* Failures that break the success ratio are a limit of their own. */
	for (int i = 0; i < 4; i++)
		steps[i].seen[0].failures = steps[i].seen[0].violations =
			steps[i].scale >= 7 ? 200 : 4;
	assert_int_equal(ps_trial_fit(&plan, steps, 4, &a, NULL), PS_OK);
	assert_int_equal(a.binding_tenant, 0);
	assert_true(a.scale.value < 8);
}

static void fill_clear_steps(struct ps_trial_search *s)
{
	struct ps_trial_next next;
	while ((next = ps_trial_search_next(s)).action == PS_TRIAL_RUN) {
		struct ps_trial_step step = {.scale = next.scale};
		step.seen[0] = saw(3000, violations_at(next.scale, 12, 3000), 0);
		assert_int_equal(ps_trial_search_add(s, &step, NULL), PS_OK);
	}
}

static void add_confirm(struct ps_trial_search *s, double scale, bool holds)
{
	struct ps_trial_step step = {.scale = scale, .kind = PS_TRIAL_CONFIRM};
	step.seen[0] = saw(100, holds ? 2 : 20, 0);
	assert_int_equal(ps_trial_search_add(s, &step, NULL), PS_OK);
}

static void test_confirmation(void **state)
{
	(void)state;
	struct ps_trial_plan plan = one_tenant();
	plan.max_confirms = 3;
	struct ps_trial_search s;
	assert_int_equal(ps_trial_search_init(&s, &plan, NULL), PS_OK);
	fill_clear_steps(&s);
	assert_int_equal(s.answer.confirmed, PS_TRIAL_NOT_TRIED);
	struct ps_trial_next next = ps_trial_search_next(&s);
	assert_int_equal(next.action, PS_TRIAL_RUN_CONFIRM);
	assert_true(next.scale == s.answer.scale.lo);
	/* Violated: the stated capacity falls below that rate at once, and the next try is lower.
	 */
	double refuted = next.scale;
	add_confirm(&s, refuted, false);
	assert_int_equal(s.answer.confirmed, PS_TRIAL_REFUTED);
	assert_true(s.answer.cut && s.answer.scale.value < refuted);
	assert_true(s.answer.scale.lo <= s.answer.scale.value);
	next = ps_trial_search_next(&s);
	assert_int_equal(next.action, PS_TRIAL_RUN_CONFIRM);
	assert_true(next.scale < refuted);
	add_confirm(&s, next.scale, true);
	assert_int_equal(s.answer.confirmed, PS_TRIAL_CONFIRMED);
	assert_true(s.answer.confirmed_scale == next.scale);
	assert_true(s.answer.scale.value < refuted);
	assert_int_equal(ps_trial_search_next(&s).action, PS_TRIAL_DONE);
}

/* Whatever confirming trials say, in any order, no stated capacity reaches one that failed. */
static void test_never_above_a_refuted_trial(void **state)
{
	(void)state;
	struct ps_rng rng;
	ps_rng_init(&rng, 5, 5);
	for (int k = 0; k < 60; k++) {
		struct ps_trial_plan plan = one_tenant();
		plan.max_steps = 3;
		plan.max_confirms = 5;
		struct ps_trial_search s;
		assert_int_equal(ps_trial_search_init(&s, &plan, NULL), PS_OK);
		fill_clear_steps(&s);
		double least = INFINITY;
		for (int i = 0; i < 5; i++) {
			bool holds = ps_rng_below(&rng, 2);
			double scale = 1 + 19 * ps_rng_uniform(&rng);
			add_confirm(&s, scale, holds);
			least = holds ? least : fmin(least, scale);
			assert_true(s.answer.scale.value < least);
			assert_true(s.answer.confirmed_scale < least);
		}
	}
}

static void test_restored_search_goes_on_alike(void **state)
{
	(void)state;
	struct ps_trial_plan plan = one_tenant();
	struct ps_trial_search a, b;
	assert_int_equal(ps_trial_search_init(&a, &plan, NULL), PS_OK);
	assert_int_equal(ps_trial_search_init(&b, &plan, NULL), PS_OK);
	for (int i = 0; i < 3; i++) {
		struct ps_trial_step step = {.scale = ps_trial_search_next(&a).scale};
		step.seen[0] = saw(80, violations_at(step.scale, 12, 80), 0);
		assert_int_equal(ps_trial_search_add(&a, &step, NULL), PS_OK);
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(ps_trial_search_add(&b, &a.steps[i], NULL), PS_OK);
	assert_true(ps_trial_search_next(&a).scale == ps_trial_search_next(&b).scale);
	struct ps_trial_answer stored;
	assert_int_equal(ps_trial_fit(&plan, a.steps, 3, &stored, NULL), PS_OK);
	assert_true(stored.scale.value == a.answer.scale.value);
}

static void test_bad_steps(void **state)
{
	(void)state;
	static const struct ps_trial_seen bad[] = {
		{10, 11, 0, 1, 1, 0}, {10, 2, 3, 1, 1, 0},   {10, 2, -1, 1, 1, 0},
		{10, 2, 0, 0, 1, 0},  {10, 2, 0, 1.5, 1, 0},
	};
	struct ps_trial_plan plan = one_tenant();
	struct ps_trial_search s;
	struct ps_trial_answer a;
	assert_int_equal(ps_trial_search_init(&s, &plan, NULL), PS_OK);
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct ps_trial_step step = {.scale = 5, .seen = {bad[i]}};
		assert_int_equal(ps_trial_search_add(&s, &step, NULL), PS_EINVAL);
	}
	assert_int_equal(ps_trial_fit(&plan, s.steps, 0, &a, NULL), PS_EINVAL);
	/* A step without a request is kept, says nothing, and the search begins again. */
	double first = ps_trial_search_next(&s).scale;
	struct ps_trial_step empty = {.scale = first, .seen = {saw(0, 0, 0)}};
	assert_int_equal(ps_trial_search_add(&s, &empty, NULL), PS_OK);
	assert_int_equal(s.steps[0].verdict, PS_TRIAL_FAIL_EMPTY);
	assert_true(ps_trial_search_next(&s).scale == first);
}

static void test_points(void **state)
{
	(void)state;
	struct ps_trial_plan plan = one_tenant();
	struct ps_trial_step steps[] = {{.scale = 12, .seen = {saw(100, 4, 0)}},
					{.scale = 8, .seen = {saw(100, 6, 0)}},
					{.scale = 10, .seen = {saw(0, 0, 0)}},
					{.scale = 16, .seen = {saw(100, 30, 0)}}};
	struct ps_trial_point p[4];
	assert_int_equal(ps_trial_points(&plan, steps, 4, 0, p), PS_OK);
	assert_true(p[0].scale == 8 && p[3].scale == 16 && p[1].weight == 0);
	assert_true(fabs(p[0].monotone - 0.05) < 1e-12 && fabs(p[2].monotone - 0.05) < 1e-12);
	assert_true(p[3].share.lo < 0.3 && 0.3 < p[3].share.hi && isnan(p[1].share.value));
}

static void test_block_order(void **state)
{
	(void)state;
	int first[5], again[5], mirror[5], other[5], differ = 0;
	for (int block = 0; block < 20; block += 2) {
		ps_trial_block_order(42, block, 5, first);
		ps_trial_block_order(42, block, 5, again);
		ps_trial_block_order(42, block + 1, 5, mirror);
		ps_trial_block_order(43, block, 5, other);
		assert_memory_equal(first, again, sizeof(first));
		int seen = 0;
		for (int i = 0; i < 5; i++) {
			seen |= 1 << first[i];
			assert_int_equal(mirror[i], first[4 - i]);
		}
		assert_int_equal(seen, 31);
		differ += memcmp(first, other, sizeof(first)) != 0;
	}
	assert_true(differ > 5);
}

static void test_step_length(void **state)
{
	(void)state;
	struct ps_sla sla = {0.95, 200 * MS, 0.99};
	/* 10 violations at 5 % are 200 requests: 10 s at 20/s. */
	int64_t ns = ps_trial_step_min_ns(&sla, 20, 10);
	assert_true(llabs(ns - INT64_C(10000000000)) < 1000);
	assert_true(ps_trial_step_min_ns(&sla, 1e-12, 10) == INT64_MAX);
}

/* Rare arrivals: steps that saw nothing, or not every tenant, are steps without an answer, no
 * errors.
 */
/* The longest of: what was asked for, ten violations, twice the limit over the half width. */
static void test_step_length_of_a_plan(void **state)
{
	(void)state;
	static const struct {
		int64_t step_ns, limit_ns;
		double half_width, scale, want_s;
	} rows[] = {
		{200000000000, 100000000, 0.05, 10, 200},
		{3000000000, 100000000, 0.05, 10, 20}, /* 10 / (0.05 x 10 / s) */
		{1000000000, 100000000, 0.05, 10, 10}, /* but not over ten times */
		{1000000000, 10000000, 0.01, 1000, 2},
		{1000000000, 100000000, 0.05, 1000, 8}, /* four warm-ups of 20 limits */
		{1000000000, 10000000, 0, 1000, 1},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_trial_plan plan = {.n_tenants = 1,
					     .rate_rps = {1},
					     .sla = {{0.95, rows[i].limit_ns, 0.99}},
					     .step_ns = rows[i].step_ns,
					     .stop_half_width = rows[i].half_width};
		double s = (double)ps_trial_step_length_ns(&plan, rows[i].scale) / 1e9;
		if (!(fabs(s / rows[i].want_s - 1) < 1e-6))
			fail_msg("row %zu: %g s", i, s);
		assert_int_equal(ps_trial_step_warmup_ns(&plan), 20 * rows[i].limit_ns);
	}
}

static void test_rare_arrivals(void **state)
{
	(void)state;
	static struct ps_trial_search s;
	struct ps_sla sla = {.percentile = 0.95, .limit_ns = 200000000, .min_success = 0.99};
	struct ps_trial_plan plan = {
		.n_tenants = 2,
		.rate_rps = {1, 1},
		.sla = {sla, sla},
		.scale_max = 1,
		.step_ns = 8000000000,
		.max_steps = 4,
	};
	struct ps_trial_step none = {.scale = 0.1};
	none.seen[0].effective_ratio = none.seen[1].effective_ratio = 1;
	struct ps_trial_step one = none;
	one.seen[0] = (struct ps_trial_seen){
		.requests = 3, .violations = 3, .effective_ratio = 1, .p_backlog = 1};
	assert_int_equal(ps_trial_search_init(&s, &plan, NULL), PS_OK);
	assert_int_equal(ps_trial_search_add(&s, &none, NULL), PS_OK);
	assert_int_equal(ps_trial_search_add(&s, &one, NULL), PS_OK);
	assert_int_equal(s.answer.steps_used, 0);
	one.seen[1] = one.seen[0];
	assert_int_equal(ps_trial_search_add(&s, &one, NULL), PS_OK);
	assert_int_equal(s.answer.steps_used, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_step_length_of_a_plan),
		cmocka_unit_test(test_rare_arrivals),
		cmocka_unit_test(test_observe),
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_plan_check),
		cmocka_unit_test(test_scale_max),
		cmocka_unit_test(test_finds_a_known_capacity),
		cmocka_unit_test(test_unbounded_above_and_hopeless),
		cmocka_unit_test(test_little_data_is_wide),
		cmocka_unit_test(test_backlog_lowers_the_capacity),
		cmocka_unit_test(test_set_is_as_strong_as_its_weakest),
		cmocka_unit_test(test_confirmation),
		cmocka_unit_test(test_never_above_a_refuted_trial),
		cmocka_unit_test(test_restored_search_goes_on_alike),
		cmocka_unit_test(test_bad_steps),
		cmocka_unit_test(test_points),
		cmocka_unit_test(test_block_order),
		cmocka_unit_test(test_step_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
