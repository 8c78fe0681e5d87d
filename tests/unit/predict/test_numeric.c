/* Least squares and its sign-bound form, against solutions known beforehand. */
// needs: base
#include "predict/numeric_internal.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct system {
	const char *name;
	size_t m, n;
	double a[16], b[8];
	double plain[4]; /* least squares of least norm */
	double none_negative[4];
};

static const struct system systems[] = {
	{"exact", 2, 2, {2, 0, 0, 4}, {2, 8}, {1, 2}, {1, 2}},
	{"a mean", 4, 1, {1, 1, 1, 1}, {1, 2, 3, 6}, {3}, {3}},
	{"a line through three points",
	 3,
	 2,
	 {1, 0, 1, 1, 1, 2},
	 {1, 2, 6},
	 {0.5, 2.5},
	 {0.5, 2.5}},
	{"a negative weight", 2, 2, {1, 0, 0, 1}, {1, -1}, {1, -1}, {1, 0}},
	/* without its negative partner the other weight is another one */
	{"both fall", 3, 2, {1, 1, 1, 2, 1, 3}, {3, 2, 1}, {4, -1}, {2, 0}},
	{"all negative", 2, 2, {1, 0, 0, 1}, {-1, -1}, {-1, -1}, {0, 0}},
	{"a column twice", 2, 2, {1, 1, 1, 1}, {2, 2}, {1, 1}, {2, 0}},
	{"a column of zeros", 2, 2, {1, 0, 1, 0}, {3, 3}, {3, 0}, {3, 0}},
	{"fewer rows than columns", 1, 2, {3, 4}, {25}, {3, 4}, {0, 6.25}},
};

static void expect(const char *name, const double *got, const double *want, size_t n)
{
	for (size_t j = 0; j < n; j++)
		if (!(fabs(got[j] - want[j]) < 1e-9))
			fail_msg("%s: x[%zu] is %.12g, not %.12g", name, j, got[j], want[j]);
}

static void test_least_squares(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(systems); i++) {
		struct system s = systems[i];
		double x[4];
		assert_int_equal(ps_predict_least_squares(s.a, s.b, s.m, s.n, x, NULL), PS_OK);
		expect(s.name, x, s.plain, s.n);
	}
}

static double error_of(const struct system *s, const double *x)
{
	double sum = 0;

	for (size_t i = 0; i < s->m; i++) {
		double rest = s->b[i];
		for (size_t j = 0; j < s->n; j++)
			rest -= s->a[i * s->n + j] * x[j];
		sum += rest * rest;
	}
	return sum;
}

static void test_none_negative(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(systems); i++) {
		const struct system *s = &systems[i];
		double x[4];
		assert_int_equal(ps_predict_nonnegative(s->a, s->b, s->m, s->n, x, NULL), PS_OK);
		for (size_t j = 0; j < s->n; j++)
			assert_true(x[j] >= 0);
		/* where columns say the same, only the error is one */
		if (!(fabs(error_of(s, x) - error_of(s, s->none_negative)) < 1e-9))
			fail_msg("%s: error %g", s->name, error_of(s, x));
	}
}

/* What makes a solution the best one: no error falls along a column that is in, or that could come
 * in (Karush, Kuhn and Tucker). Columns of very different size, as ours have. */
static void test_none_negative_is_best(void **state)
{
	(void)state;
	struct ps_rng rng;
	ps_rng_init(&rng, 7, 0);
	for (int round = 0; round < 300; round++) {
		double a[20 * 6], b[20], x[6];
		for (int i = 0; i < 20; i++) {
			for (int j = 0; j < 6; j++)
				a[i * 6 + j] = ps_rng_normal(&rng) * pow(10, j - 3);
			b[i] = ps_rng_normal(&rng);
		}
		assert_int_equal(ps_predict_nonnegative(a, b, 20, 6, x, NULL), PS_OK);
		for (int j = 0; j < 6; j++) {
			double slope = 0, size = pow(10, j - 3);
			for (int i = 0; i < 20; i++) {
				double rest = b[i];
				for (int k = 0; k < 6; k++)
					rest -= a[i * 6 + k] * x[k];
				slope += a[i * 6 + j] * rest / size;
			}
			assert_true(x[j] >= 0);
			assert_true(x[j] > 0 ? fabs(slope) < 1e-7 : slope < 1e-7);
		}
	}
}

static void test_what_is_no_number(void **state)
{
	(void)state;
	double a[] = {1, NAN}, b[] = {1, 1}, fine[] = {1, 1}, bad[] = {1, INFINITY}, x[1];
	struct ps_error err;
	assert_int_equal(ps_predict_least_squares(a, b, 2, 1, x, &err), PS_EINVAL);
	assert_int_equal(ps_predict_least_squares(fine, bad, 2, 1, x, &err), PS_EINVAL);
	assert_int_equal(ps_predict_nonnegative(a, b, 2, 1, x, &err), PS_EINVAL);
}

static void test_support_vectors_are_there(void **state)
{
	(void)state;
	const struct ps_predict_svm *svm = NULL;
	assert_int_equal(ps_predict_svm_get(&svm, NULL), PS_OK);
	assert_non_null(svm->train);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_least_squares),
		cmocka_unit_test(test_none_negative),
		cmocka_unit_test(test_none_negative_is_best),
		cmocka_unit_test(test_what_is_no_number),
		cmocka_unit_test(test_support_vectors_are_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
