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
		cmocka_unit_test(test_a_question_without_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
