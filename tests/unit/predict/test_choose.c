/* The procedure: models are left out, whole; every choice is made without the one that judges it.
 */
// needs: base
#include "unit/predict/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct ps_predict_candidate *const lines[] = {&ps_predict_linear, NULL};

/* ---- candidates made for these tests ---- */

/* Remembers the rows, and says what the row with the nearest work said. */
static enum ps_status remember(const struct ps_predict_rows *rows, int variant, void **ret_fit,
			       struct ps_error *err)
{
	(void)variant;
	struct ps_predict_rows *copy = malloc(sizeof(*copy) + rows->len * sizeof(size_t));
	if (!copy)
		return ps_error_set(err, PS_ENOMEM, "no memory");
	size_t *at = (size_t *)(copy + 1);
	memcpy(at, rows->at, rows->len * sizeof(*at));
	*copy = (struct ps_predict_rows){rows->table, at, rows->len};
	*ret_fit = copy;
	return PS_OK;
}

static double recall(const void *fit, const struct ps_predict_row *row)
{
	const struct ps_predict_rows *rows = fit;
	double least = INFINITY, y = NAN;
	for (size_t i = 0; i < rows->len; i++) {
		const struct ps_predict_row *r = &rows->table->rows[rows->at[i]];
		double d = fabs(log(r->x[0] / row->x[0]));
		if (d < least) {
			least = d;
			y = r->y;
		}
	}
	return y;
}

static const struct ps_predict_candidate memory = {
	.name = "memory", .variants = 1, .fit = remember, .at = recall, .free = free};

/* Forty ways to guess at random: the best of them looks good on what it was chosen by. */
static enum ps_status guess(const struct ps_predict_rows *rows, int variant, void **ret_fit,
			    struct ps_error *err)
{
	(void)rows;
	int *v = malloc(sizeof(*v));
	if (!v)
		return ps_error_set(err, PS_ENOMEM, "no memory");
	*v = variant;
	*ret_fit = v;
	return PS_OK;
}

static double guessed(const void *fit, const struct ps_predict_row *row)
{
	struct ps_rng rng;
	ps_rng_init(&rng, (uint64_t) * (const int *)fit, (uint64_t)row->x[0]);
	return 100 * exp(ps_rng_normal(&rng));
}

static const struct ps_predict_candidate guesses = {
	.name = "guesses", .variants = 40, .fit = guess, .at = guessed, .free = free};

/* ---- tests ---- */

/* Every model has a factor of its own that nothing explains, and four rows that are almost the
 * same. Leaving out rows, a memory would be nearly perfect; of a new model it knows nothing. */
static void test_a_memory_is_not_believed(void **state)
{
	(void)state;
	static const struct ps_predict_candidate *const only[] = {&memory, NULL};
	struct ps_rng rng;
	struct made m;
	ps_rng_init(&rng, 11, 0);
	made_begin(&m, 10);
	for (int g = 0; g < 10; g++) {
		double factor = exp(0.5 * ps_rng_normal(&rng));
		for (int k = 0; k < 4; k++)
			made_add(&m, g, 1 + k, 100 + g + 0.01 * k, 1,
				 100 * factor * (1 + 0.001 * k));
	}
	struct ps_predict_learned *l = NULL;
	assert_int_equal(ps_predict_learn(&m.table, only, &l, NULL), PS_OK);
	assert_true(l->error > 0.25);
	ps_predict_learned_free(l);
}

static void test_what_chose_does_not_judge(void **state)
{
	(void)state;
	static const struct ps_predict_candidate *const only[] = {&guesses, NULL};
	double chosen_by = 0, judged = 0;
	for (int world = 0; world < 20; world++) {
		struct made m;
		struct ps_predict_learned *l = NULL;
		made_begin(&m, 6);
		for (int g = 0; g < 6; g++)
			made_add(&m, g, 1, 1 + g + 10 * world, 1, 100);
		assert_int_equal(ps_predict_learn(&m.table, only, &l, NULL), PS_OK);
		chosen_by += l->choice.score / 20;
		judged += l->error / 20;
		ps_predict_learned_free(l);
	}
	/* a guess is off by 1.1 on average; the best of forty on six models by far less */
	assert_true(chosen_by < 0.6);
	assert_true(judged > 0.9);
}

static void test_the_right_one_is_chosen(void **state)
{
	(void)state;
	static const struct ps_predict_candidate *const both[] = {&guesses, &ps_predict_linear,
								  &ps_predict_operators, NULL};
	struct ps_rng rng;
	struct made m;
	ps_rng_init(&rng, 12, 0);
	made_sum(&m, 12, 0.02, &rng);
	struct ps_predict_learned *l = NULL;
	assert_int_equal(ps_predict_learn(&m.table, both, &l, NULL), PS_OK);
	assert_string_equal(l->choice.candidate->name, "linear");
	assert_int_equal(l->fold_len, 12);
	assert_true(l->error < 0.06);
	assert_true(fabs(l->noise - 0.01) < 1e-12);
	assert_int_equal(l->tried_len, 3);
	assert_true(l->tried[0].error > 0.3);
	assert_true(l->tried[1].error < 0.06);
	/* without operators it dropped out, and says so */
	assert_true(isinf(l->tried[2].error));
	ps_predict_learned_free(l);
}

/* A row of two models is in the folds of both, and in no fold's learning that it judges. */
static void test_pairs_leave_with_either(void **state)
{
	(void)state;
	static const struct ps_predict_candidate *const only[] = {&memory, NULL};
	struct made m;
	made_begin(&m, 5);
	for (int a = 0; a < 5; a++)
		for (int b = 0; b < 5; b++)
			if (a != b)
				made_add(&m, a, 1, 1 + 5 * a + b, 1, 10 + a)->models[1] = b;
	struct ps_predict_learned *l = NULL;
	assert_int_equal(ps_predict_learn(&m.table, only, &l, NULL), PS_OK);
	assert_int_equal(l->fold_len, 5);
	for (size_t k = 0; k < l->fold_len; k++) {
		assert_int_equal(l->folds[k].len, 8);
		for (size_t i = 0; i < l->folds[k].len; i++) {
			const struct ps_predict_row *r = &m.rows[l->folds[k].rows[i]];
			/* a memory that had seen the model would say just what it is */
			if (r->models[0] == l->folds[k].model)
				assert_true(l->folds[k].said[i] != r->y);
		}
	}
	ps_predict_learned_free(l);
}

static void test_what_cannot_be_learned_from(void **state)
{
	(void)state;
	static const struct {
		int column; /* 0: y; else x[column - 1]; -1: the place */
		double value;
		const char *named;
	} cases[] = {
		{0, NAN, "made-up time"}, {0, 0, "made-up time"}, {0, INFINITY, "made-up time"},
		{1, NAN, "work"},	  {1, 0, "work"},	  {2, -1, "bytes"},
		{3, NAN, "runs"},	  {-1, NAN, "batch"},	  {-1, 0, "batch"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct ps_rng rng;
		struct made m;
		struct ps_error err;
		struct ps_predict_learned *l = NULL;
		ps_rng_init(&rng, 13, 0);
		made_sum(&m, 6, 0.02, &rng);
		m.names[2] = "vgg16";
		struct ps_predict_row *r = &m.rows[2];
		double *where = cases[i].column == 0  ? &r->y
				: cases[i].column > 0 ? &r->x[cases[i].column - 1]
						      : &r->place[0];
		*where = cases[i].value;
		assert_int_equal(ps_predict_learn(&m.table, lines, &l, &err), PS_ECORRUPT);
		assert_non_null(strstr(err.what, cases[i].named));
		assert_non_null(strstr(err.where, "vgg16"));
	}
}

static void test_too_few_models(void **state)
{
	(void)state;
	struct ps_rng rng;
	struct made m;
	struct ps_error err;
	struct ps_predict_learned *l = NULL;
	ps_rng_init(&rng, 14, 0);
	made_sum(&m, 3, 0.02, &rng);
	assert_int_equal(ps_predict_learn(&m.table, lines, &l, &err), PS_EUNAVAIL);
	assert_non_null(strstr(err.what, "3 models"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_memory_is_not_believed),
		cmocka_unit_test(test_what_chose_does_not_judge),
		cmocka_unit_test(test_the_right_one_is_chosen),
		cmocka_unit_test(test_pairs_leave_with_either),
		cmocka_unit_test(test_what_cannot_be_learned_from),
		cmocka_unit_test(test_too_few_models),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
