/* From a handful of measured models to all others: every handful counts. */
// needs: base
#include "predict/predict.h"
#include "unit/predict/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct ps_predict_candidate *const some[] = {&ps_predict_linear, &ps_predict_anchor,
							  NULL};

/* The other slice takes 0.55 of the time, and noise. */
static void make(struct made *m, int models, double noise)
{
	struct ps_rng rng;

	ps_rng_init(&rng, 41, 0);
	made_begin(m, models);
	for (int g = 0; g < models; g++)
		for (int batch = 1; batch <= 4; batch *= 2) {
			double here = batch * exp(3 + 4 * ps_rng_uniform(&rng));
			made_add(m, g, batch, here, 5,
				 0.55 * here * exp(noise * ps_rng_normal(&rng)))
				->anchor = here;
		}
}

static void test_all_sets(void **state)
{
	(void)state;
	static const struct {
		int models, measured, sets;
		double noise, low, high;
	} cases[] = {{5, 3, 10, 0, 0, 1e-6},
		     {8, 3, 56, 0.03, 0.005, 0.08},
		     {20, 3, 500, 0.03, 0.005, 0.08}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		static struct made m;
		struct ps_predict_few few;
		make(&m, cases[i].models, cases[i].noise);
		assert_int_equal(
			ps_predict_from_few(&m.table, some, cases[i].measured, 1, &few, NULL),
			PS_OK);
		assert_int_equal(few.sets, cases[i].sets);
		if (!(few.error >= cases[i].low && few.error <= cases[i].high))
			fail_msg("case %zu: error %g", i, few.error);
		double mean = 0;
		for (int g = 0; g < cases[i].models; g++)
			mean += few.of_model[g] / cases[i].models;
		assert_true(fabs(mean - few.error) < 1e-9);
		free(few.of_model);
	}
}

static void test_too_few(void **state)
{
	(void)state;
	static struct made m;
	struct ps_predict_few few;
	make(&m, 3, 0);
	assert_int_equal(ps_predict_from_few(&m.table, some, 3, 1, &few, NULL), PS_EUNAVAIL);
	make(&m, 6, 0);
	assert_int_equal(ps_predict_from_few(&m.table, some, 2, 1, &few, NULL), PS_EUNAVAIL);
	m.rows[0].y = NAN;
	assert_int_equal(ps_predict_from_few(&m.table, some, 3, 1, &few, NULL), PS_ECORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_sets),
		cmocka_unit_test(test_too_few),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
