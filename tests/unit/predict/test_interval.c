/* Intervals: that they cover what they have not seen, and say when they cannot. */
// needs: base
#include "unit/predict/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

/* Lines of three forms: enough to choose among, and quick. */
static struct ps_predict_candidate three;
static const struct ps_predict_candidate *const lines[] = {&three, NULL};

static struct ps_predict_estimate ask(const struct made *m, const struct ps_predict_row *row,
				      double confidence)
{
	struct ps_predict_learned *l = NULL;
	struct ps_predict_estimate e;
	assert_int_equal(ps_predict_learn(&m->table, lines, &l, NULL), PS_OK);
	assert_int_equal(ps_predict_at(l, row, confidence, &e, NULL), PS_OK);
	ps_predict_learned_free(l);
	return e;
}

/* Draws worlds of 12 models and one more, which is asked for. Heavy: noise that is a factor, now
 * and then a large one, so that nothing is normal. */
static double coverage(double confidence, int worlds, bool heavy)
{
	int held = 0;
	for (int w = 0; w < worlds; w++) {
		struct ps_rng rng;
		struct made m;
		ps_rng_init(&rng, (uint64_t)w, heavy);
		made_sum(&m, 13, heavy ? 0.05 : 0.15, &rng);
		for (int g = 0; heavy && g < 13; g++)
			if (ps_rng_uniform(&rng) < 0.2)
				m.rows[g].y *= exp(0.6 * ps_rng_normal(&rng));
		struct ps_predict_row new = m.rows[--m.table.len];
		m.table.model_len = 12;
		struct ps_predict_estimate e = ask(&m, &new, confidence);
		assert_true(e.has_interval);
		assert_true(e.low <= e.value && e.value <= e.high);
		held += e.low <= new.y &&new.y <= e.high;
	}
	return (double)held / worlds;
}

/* 1 - 2 (1 - c) is guaranteed, about c is usual: seeded, so the bounds are the seeds' too. */
static void test_coverage(void **state)
{
	(void)state;
	static const struct {
		double confidence;
		bool heavy;
		double at_least;
	} cases[] = {
		{0.9, false, 0.85}, {0.9, true, 0.85}, {0.75, false, 0.68}, {0.75, true, 0.68}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		double held = coverage(cases[i].confidence, 120, cases[i].heavy);
		if (held < cases[i].at_least)
			fail_msg("%g: held %g", cases[i].confidence, held);
	}
}

/* n models bound a confidence of n / (n + 1), and no more. */
static void test_what_few_models_can_bound(void **state)
{
	(void)state;
	static const struct {
		int models;
		double confidence;
		size_t missing;
		double guaranteed;
	} cases[] = {
		{12, 0.9, 0, 0.8},  {12, 12.0 / 13, 0, 11.0 / 13},
		{12, 0.95, 7, 0},   {12, 0.99, 87, 0},
		{9, 0.9, 0, 0.8},   {8, 0.9, 1, 0},
		{19, 0.95, 0, 0.9}, {5, 0.5, 0, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct ps_rng rng;
		struct made m;
		ps_rng_init(&rng, 21, 0);
		made_sum(&m, cases[i].models, 0.1, &rng);
		struct ps_predict_row new = m.rows[0];
		struct ps_predict_estimate e = ask(&m, &new, cases[i].confidence);
		assert_int_equal(e.has_interval, cases[i].missing == 0);
		assert_int_equal(e.needs_models, cases[i].missing);
		assert_true(fabs(e.guaranteed - cases[i].guaranteed) < 1e-9);
	}
}

/* Of several rows of a model, those at the setting that is asked about count: the noise of batch 8
 * is ten times that of batch 1. */
static void test_the_setting_that_is_asked(void **state)
{
	(void)state;
	struct ps_rng rng;
	struct made m;
	ps_rng_init(&rng, 22, 0);
	made_begin(&m, 15);
	for (int g = 0; g < 15; g++) {
		double work = exp(2 + 0.3 * g);
		for (int batch = 1; batch <= 8; batch *= 8) {
			double noise = batch == 1 ? 0.02 : 0.4;
			made_add(&m, g, batch, work * batch, 1 + work * 0.1,
				 3 * work * batch * exp(noise * ps_rng_normal(&rng)));
		}
	}
	struct ps_predict_row one = m.rows[8], eight = m.rows[9];
	struct ps_predict_estimate narrow = ask(&m, &one, 0.9), wide = ask(&m, &eight, 0.9);
	assert_true(log(wide.high / wide.low) > 3 * log(narrow.high / narrow.low));
	assert_true(narrow.guaranteed > 0.79);
}

static void test_beyond_is_marked(void **state)
{
	(void)state;
	struct ps_rng rng;
	struct made m;
	ps_rng_init(&rng, 23, 0);
	made_sum(&m, 8, 0.05, &rng);
	double low = INFINITY, high = 0;
	for (int g = 0; g < 8; g++) {
		low = fmin(low, m.rows[g].x[0]);
		high = fmax(high, m.rows[g].x[0]);
	}
	struct ps_predict_row row = m.rows[0];
	row.x[0] = high;
	assert_int_equal(ask(&m, &row, 0.5).beyond_len, 0);
	row.x[0] = 1.01 * high;
	row.place[0] = 2;
	struct ps_predict_estimate e = ask(&m, &row, 0.5);
	assert_int_equal(e.beyond_len, 2);
	assert_string_equal(e.beyond[0].name, "batch");
	assert_string_equal(e.beyond[1].name, "work");
	assert_true(e.beyond[1].low == low && e.beyond[1].high == high);
}

/* Twelve models at batches 1, 2 and 4, as campaigns measure them. */
static void made_batches(struct made *m)
{
	struct ps_rng rng;
	ps_rng_init(&rng, 25, 0);
	made_begin(m, 12);
	for (int g = 0; g < 12; g++) {
		double work = exp(2 + 0.3 * g), noise = 0.05 * ps_rng_normal(&rng);
		for (int batch = 1; batch <= 4; batch *= 2)
			made_add(m, g, batch, work * batch, 1 + work * 0.1,
				 3 * work * batch * exp(noise));
	}
}

/* Only where every model has one row at the very setting, and the row is like the others. */
static void test_what_is_guaranteed(void **state)
{
	(void)state;
	static const struct {
		double batch, work; /* 0: as measured */
		double guaranteed;
	} cases[] = {{1, 0, 0.8}, {4, 0, 0.8}, {3, 0, 0}, {64, 0, 0}, {4, 1e6, 0}};
	struct made m;
	made_batches(&m);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct ps_predict_row row = m.rows[3 * 5];
		row.place[0] = cases[i].batch;
		if (cases[i].work > 0)
			row.x[0] = cases[i].work;
		struct ps_predict_estimate e = ask(&m, &row, 0.9);
		assert_true(e.has_interval);
		if (fabs(e.guaranteed - cases[i].guaranteed) > 1e-9)
			fail_msg("batch %g: %g", cases[i].batch, e.guaranteed);
	}
}

/* One row for every two models: each is in two folds, and no promise was proven for that. */
static void test_pairs_promise_nothing(void **state)
{
	(void)state;
	struct ps_rng rng;
	struct made m;
	ps_rng_init(&rng, 26, 0);
	made_sum(&m, 12, 0.05, &rng);
	for (int g = 0; g < 12; g++)
		m.rows[g].models[1] = (g + 12) % 24;
	m.table.model_len = 24;
	struct ps_predict_estimate e = ask(&m, &m.rows[3], 0.9);
	assert_true(e.has_interval);
	assert_true(e.guaranteed == 0);
}

/* Batch 8 with one thread and batch 1 with two were measured; batch 8 with two was not. */
static void test_settings_that_were_never_together(void **state)
{
	(void)state;
	static const struct {
		double batch, threads;
		size_t beyond;
	} cases[] = {{1, 1, 0}, {8, 1, 0}, {4, 1, 0}, {1, 2, 0}, {8, 2, 1}, {1, 1.5, 1}};
	static struct ps_predict_quantity q;
	struct ps_rng rng;
	struct made m;
	q = made_up;
	q.places[1] = "threads";
	q.place_len = 2;
	ps_rng_init(&rng, 27, 0);
	made_sum(&m, 12, 0.05, &rng);
	m.table.quantity = &q;
	for (int g = 0; g < 12; g++) {
		m.rows[g].place[0] = g % 3 == 1 ? 8 : 1;
		m.rows[g].place[1] = g % 3 == 2 ? 2 : 1;
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct ps_predict_row row = m.rows[4];
		row.place[0] = cases[i].batch;
		row.place[1] = cases[i].threads;
		struct ps_predict_estimate e = ask(&m, &row, 0.5);
		if (e.beyond_len != cases[i].beyond)
			fail_msg("case %zu: %zu beyond", i, e.beyond_len);
		if (e.beyond_len > 0)
			assert_string_equal(e.beyond[0].name, "these settings together");
	}
}

static void test_kinds_that_nobody_measured(void **state)
{
	(void)state;
	struct ps_predict_op conv = {.kind = PS_PREDICT_CONV, .known = true};
	struct ps_predict_op more[] = {conv,
				       {.kind = PS_PREDICT_CONCAT, .known = true},
				       {.kind = PS_PREDICT_CONCAT, .known = true},
				       {.kind = PS_PREDICT_SHAPE, .known = true}};
	struct ps_predict_model seen = {.batch = 1, .ops = &conv, .op_count = 1};
	struct ps_predict_model asked = {.batch = 1, .ops = more, .op_count = 4};
	struct ps_rng rng;
	struct made m;
	ps_rng_init(&rng, 28, 0);
	made_sum(&m, 12, 0.05, &rng);
	for (int g = 0; g < 12; g++)
		m.rows[g].work = &seen;
	struct ps_predict_row row = m.rows[4];
	assert_int_equal(ask(&m, &row, 0.9).beyond_len, 0);
	row.work = &asked;
	struct ps_predict_estimate e = ask(&m, &row, 0.9);
	assert_int_equal(e.beyond_len, 1);
	assert_string_equal(e.beyond[0].name, "concatenations");
	assert_true(e.beyond[0].value == 2 && e.beyond[0].high == 0);
	assert_true(e.guaranteed == 0);
}

/* Too few for an interval, but not for saying what lies outside. */
static void test_three_models_mark_what_is_beyond(void **state)
{
	(void)state;
	struct ps_rng rng;
	struct made m;
	struct ps_predict_choice c = {0};
	struct ps_predict_estimate e;
	struct ps_error err;
	size_t at[MOST_ROWS];
	ps_rng_init(&rng, 29, 0);
	made_sum(&m, 3, 0.05, &rng);
	struct ps_predict_rows all = made_all(&m, at);
	assert_int_equal(ps_predict_model_count(&all), 3);
	assert_int_equal(ps_predict_choose(&all, lines, &c, NULL, NULL), PS_OK);
	struct ps_predict_row row = m.rows[1];
	assert_int_equal(ps_predict_by_choice(&m.table, &c, &row, 0.9, &e, NULL), PS_OK);
	assert_int_equal(e.beyond_len, 0);
	row.x[0] *= 1000;
	assert_int_equal(ps_predict_by_choice(&m.table, &c, &row, 0.9, &e, NULL), PS_OK);
	assert_int_equal(e.beyond_len, 1);
	assert_string_equal(e.beyond[0].name, "work");
	assert_false(e.has_interval);
	row.x[0] = -1;
	assert_int_equal(ps_predict_by_choice(&m.table, &c, &row, 0.9, &e, &err), PS_ECORRUPT);
	ps_predict_choice_fini(&c);
}

/* Two runs without a model say nothing of it: an interval that ends nowhere is none, and more
 * models would not help. */
static void test_a_run_that_says_nothing(void **state)
{
	(void)state;
	struct ps_rng rng;
	struct made m;
	struct ps_predict_learned *l = NULL;
	struct ps_predict_estimate e;
	ps_rng_init(&rng, 30, 0);
	made_sum(&m, 12, 0.05, &rng);
	assert_int_equal(ps_predict_learn(&m.table, lines, &l, NULL), PS_OK);
	l->folds[0].said[0] = l->folds[1].said[0] = NAN;
	assert_int_equal(ps_predict_at(l, &m.rows[7], 0.9, &e, NULL), PS_OK);
	assert_false(e.has_interval);
	assert_int_equal(e.needs_models, 0);
	ps_predict_learned_free(l);
}

static void test_a_question_without_numbers(void **state)
{
	(void)state;
	struct ps_rng rng;
	struct made m;
	struct ps_error err;
	struct ps_predict_learned *l = NULL;
	struct ps_predict_estimate e;
	ps_rng_init(&rng, 24, 0);
	made_sum(&m, 8, 0.05, &rng);
	assert_int_equal(ps_predict_learn(&m.table, lines, &l, NULL), PS_OK);
	struct ps_predict_row row = m.rows[0];
	row.x[1] = NAN;
	assert_int_equal(ps_predict_at(l, &row, 0.9, &e, &err), PS_ECORRUPT);
	assert_non_null(strstr(err.what, "bytes"));
	ps_predict_learned_free(l);
}

int main(void)
{
	three = ps_predict_linear;
	three.variants = 3;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coverage),
		cmocka_unit_test(test_what_few_models_can_bound),
		cmocka_unit_test(test_the_setting_that_is_asked),
		cmocka_unit_test(test_beyond_is_marked),
		cmocka_unit_test(test_what_is_guaranteed),
		cmocka_unit_test(test_pairs_promise_nothing),
		cmocka_unit_test(test_settings_that_were_never_together),
		cmocka_unit_test(test_kinds_that_nobody_measured),
		cmocka_unit_test(test_three_models_mark_what_is_beyond),
		cmocka_unit_test(test_a_run_that_says_nothing),
		cmocka_unit_test(test_a_question_without_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
