/* A tenant beside several others, in a world in which all pairs are off by the same from the queue:
 * then sets are, too. */
#include "predict/predict.h"
#include "predict/queue.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MS	    1e6
#define MODELS	    5
#define OFF	    1.2
#define RATE_OF(ns) (0.2e9 / (ns)) /* a fifth of a lane */

static const char *const names[MODELS] = {"a", "b", "c", "d", "e"};
static const double service_ns[MODELS] = {4 * MS, 6 * MS, 9 * MS, 13 * MS, 20 * MS};
static const struct ps_predict_slice one = {.cpus = 1, .lanes = 1, .threads = 1};

static const struct ps_predict_candidate *const candidates[] = {&ps_predict_anchor, NULL};

static struct ps_predict_tenant tenant(int model)
{
	return (struct ps_predict_tenant){.service_ns = service_ns[model],
					  .variation = 0.1,
					  .rate_rps = RATE_OF(service_ns[model]),
					  .moved_bytes = 1e6};
}

/* Pairs of all models but the last. */
static struct ps_predict_learned *learn(const struct ps_predict_quantity *q,
					struct ps_predict_table *t, struct ps_predict_row *rows)
{
	struct ps_predict_learned *l = NULL;
	struct ps_error err = {0};
	size_t n = 0;

	for (int i = 0; i + 1 < MODELS; i++) {
		for (int k = 0; k + 1 < MODELS; k++) {
			const struct ps_predict_tenant own = tenant(i), other = tenant(k);
			if (i == k)
				continue;
			if (q == &ps_predict_p99)
				ps_predict_p99_row(&own, &other, &one, &rows[n]);
			else
				ps_predict_slowdown_row(&own, &other, &one, &rows[n]);
			rows[n].models[0] = i;
			rows[n].models[1] = k;
			rows[n].y = OFF * rows[n].anchor;
			n++;
		}
	}
	*t = (struct ps_predict_table){
		.quantity = q, .models = names, .model_len = MODELS, .rows = rows, .len = n};
	if (ps_predict_learn(t, candidates, &l, &err) != PS_OK)
		fail_msg("%s", err.what);
	return l;
}

/* The queue of all of them, as set.c has it. */
static double queue_of(const int *models, int n, bool p99)
{
	struct ps_predict_load loads[MODELS];
	struct ps_predict_waited all[MODELS], alone[1];

	for (int i = 0; i < n; i++) {
		const struct ps_predict_tenant t = tenant(models[i]);
		loads[i] = (struct ps_predict_load){.rate_rps = t.rate_rps,
						    .service_ns = t.service_ns,
						    .variation = t.variation,
						    .weight = 1};
	}
	struct ps_predict_queue q = {
		.loads = loads, .n_loads = n, .n_lanes = 1, .requests = 200000, .seed = 5};
	assert_int_equal(ps_predict_queue_run(&q, all, NULL), PS_OK);
	q.n_loads = 1;
	assert_int_equal(ps_predict_queue_run(&q, alone, NULL), PS_OK);
	return p99 ? all[0].p99_ns : all[0].p50_ns / alone[0].p50_ns;
}

static struct ps_predict_set set_of(const int *models, int n, struct ps_predict_tenant *others)
{
	for (int i = 1; i < n; i++)
		others[i - 1] = tenant(models[i]);
	return (struct ps_predict_set){.own = tenant(models[0]),
				       .own_model = models[0],
				       .others = others,
				       .other_models = models + 1,
				       .n = n - 1,
				       .slice = one};
}

static void test_queue_times_what_pairs_are_off_by(void **state)
{
	static const struct ps_predict_quantity *const quantities[] = {&ps_predict_slowdown,
								       &ps_predict_p99};
	/* own first; the last is of a model that no pair has */
	static const struct {
		int n, models[4];
	} sets[] = {{3, {0, 1, 2}}, {3, {3, 0, 1}}, {4, {1, 0, 2, 3}}, {3, {4, 0, 1}}};

	(void)state;
	for (int q = 0; q < 2; q++) {
		struct ps_predict_row rows[MODELS * MODELS];
		struct ps_predict_table t;
		struct ps_predict_learned *l = learn(quantities[q], &t, rows);
		for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++) {
			struct ps_predict_tenant others[3];
			struct ps_predict_estimate e;
			struct ps_error err = {0};
			struct ps_predict_set s = set_of(sets[i].models, sets[i].n, others);
			if (ps_predict_set_at(l, &s, 0.6, &e, &err) != PS_OK)
				fail_msg("%s", err.what);
			double want = OFF * queue_of(sets[i].models, sets[i].n, q == 1);
			if (fabs(e.value / want - 1) > 0.05)
				fail_msg("set %zu of quantity %d: %g, not %g", i, q, e.value, want);
			assert_true(e.has_interval && e.low <= e.value && e.value <= e.high);
			assert_true(e.guaranteed == 0);
			/* all rows agree: without its own it is the same */
			assert_true(fabs(ps_predict_set_unseen(l, &s) / e.value - 1) < 0.01);
			/* the fifth model's service time was never seen */
			assert_true((e.beyond_len > 0) == (i == 3));
		}
		ps_predict_learned_free(l);
	}
}

static void test_no_less_than_undisturbed_and_no_more_than_fits(void **state)
{
	static const int models[] = {0, 1, 2};
	struct ps_predict_row rows[MODELS * MODELS];
	struct ps_predict_table t;
	struct ps_predict_learned *l = learn(&ps_predict_p99, &t, rows);
	struct ps_predict_tenant others[2];
	struct ps_predict_estimate e;
	struct ps_error err;

	(void)state;
	for (size_t i = 0; i < t.len; i++)
		rows[i].y /= 100; /* as no store has it */
	ps_predict_learned_free(l);
	assert_int_equal(ps_predict_learn(&t, candidates, &l, NULL), PS_OK);
	struct ps_predict_set s = set_of(models, 3, others);
	assert_int_equal(ps_predict_set_at(l, &s, 0.6, &e, NULL), PS_OK);
	assert_true(e.value == service_ns[0] && e.low == service_ns[0]);
	others[1].rate_rps *= 4;
	assert_int_equal(ps_predict_set_at(l, &s, 0.6, &e, &err), PS_EUNAVAIL);
	assert_non_null(strstr(err.what, "cannot keep up"));
	assert_true(isnan(ps_predict_set_unseen(l, &s)));
	ps_predict_learned_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queue_times_what_pairs_are_off_by),
		cmocka_unit_test(test_no_less_than_undisturbed_and_no_more_than_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
