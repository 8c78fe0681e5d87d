/* Each candidate finds again what made the rows; the robust one also among rows that are wrong. */
// needs: base
#include "predict/linear_internal.h"
#include "unit/predict/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static double fit_and_ask(const struct ps_predict_candidate *c, int variant, const struct made *m,
			  const struct ps_predict_row *row)
{
	size_t at[MOST_ROWS];
	struct ps_predict_rows all = made_all(m, at);
	void *fit = NULL;
	assert_int_equal(c->fit(&all, variant, &fit, NULL), PS_OK);
	double v = c->at(fit, row);
	c->free(fit);
	return v;
}

static void expect_share(const char *what, double got, double want, double share)
{
	if (!(fabs(got / want - 1) <= share))
		fail_msg("%s: %.6g, not %.6g", what, got, want);
}

static void test_sums(void **state)
{
	(void)state;
	struct ps_rng rng;
	struct made m;
	ps_rng_init(&rng, 1, 0);
	made_sum(&m, 12, 0, &rng);
	struct ps_predict_row ask = {.place = {1}, .x = {500, 10, 1}};
	double want = 2 * 500 + 3 * 10 + 20;
	expect_share("linear", fit_and_ask(&ps_predict_linear, PS_PREDICT_FORM_SUM, &m, &ask), want,
		     1e-9);
	expect_share("robust", fit_and_ask(&ps_predict_robust, PS_PREDICT_FORM_SUM, &m, &ask), want,
		     1e-6);
}

static void test_powers(void **state)
{
	(void)state;
	struct ps_rng rng;
	struct made m;
	ps_rng_init(&rng, 2, 0);
	made_sum(&m, 12, 0, &rng);
	for (size_t i = 0; i < m.table.len; i++) {
		struct ps_predict_row *r = &m.rows[i];
		r->y = 7 * pow(r->x[0], 0.8) * pow(r->x[1], 0.1);
		r->anchor = r->y / (2 * pow(r->x[0], 0.3));
	}
	struct ps_predict_row ask = {.place = {1}, .x = {500, 10, 1}};
	double want = 7 * pow(500, 0.8) * pow(10, 0.1);
	ask.anchor = want / (2 * pow(500, 0.3));
	static const int forms[] = {PS_PREDICT_FORM_LOG2, PS_PREDICT_FORM_LOGS,
				    PS_PREDICT_FORM_ANCHOR1, PS_PREDICT_FORM_ANCHOR2};
	for (size_t i = 0; i < COUNT(forms); i++) {
		expect_share("linear", fit_and_ask(&ps_predict_linear, forms[i], &m, &ask), want,
			     1e-8);
		expect_share("robust", fit_and_ask(&ps_predict_robust, forms[i], &m, &ask), want,
			     1e-5);
	}
}

/* Two of fourteen rows are wrong by a factor of five. */
static void test_rows_that_are_wrong(void **state)
{
	(void)state;
	struct ps_rng rng;
	struct made m;
	ps_rng_init(&rng, 3, 0);
	made_sum(&m, 14, 0, &rng);
	for (size_t i = 0; i < m.table.len; i++)
		m.rows[i].y = 7 * m.rows[i].x[0] * exp(0.01 * ps_rng_normal(&rng));
	m.rows[3].y *= 5;
	m.rows[9].y *= 5;
	struct ps_predict_row ask = {.place = {1}, .x = {200, 50, 1}};
	double want = 7 * 200;
	double plain = fit_and_ask(&ps_predict_linear, PS_PREDICT_FORM_LOG2, &m, &ask);
	double robust = fit_and_ask(&ps_predict_robust, PS_PREDICT_FORM_LOG2, &m, &ask);
	assert_true(fabs(log(plain / want)) > 2 * fabs(log(robust / want)));
}

/* A share counts, not an amount: the small model is not sacrificed to the large one. */
static void test_shares_count(void **state)
{
	(void)state;
	struct made m;
	made_begin(&m, 2);
	made_add(&m, 0, 1, 1, 1, 2)->x[2] = 0;
	made_add(&m, 1, 1, 1000, 1, 1000)->x[2] = 0;
	m.rows[0].x[1] = m.rows[1].x[1] = 0;
	struct ps_predict_row ask = {.place = {1}, .x = {1, 0, 0}};
	/* the one weight that makes (w/2 - 1)^2 + (w - 1)^2 least is 1.2 */
	expect_share("weight", fit_and_ask(&ps_predict_linear, PS_PREDICT_FORM_SUM, &m, &ask), 1.2,
		     1e-9);
}

/* No straight line in logarithms: a kernel bends. */
static void test_support_vectors_bend(void **state)
{
	(void)state;
	struct made m;
	made_begin(&m, 30);
	for (int g = 0; g < 30; g++) {
		double work = exp(0.2 * g);
		made_add(&m, g, 1, work, 1 + g % 5, 100 * (1.5 + sin(log(work))));
	}
	struct ps_predict_row ask = {.place = {1}, .x = {exp(2.9), 3, 1}};
	double want = 100 * (1.5 + sin(2.9)), best = INFINITY;
	for (int v = 0; v < ps_predict_svr.variants / 2; v++)
		best = fmin(best, fabs(fit_and_ask(&ps_predict_svr, v, &m, &ask) / want - 1));
	assert_true(best < 0.05);
	double line = fit_and_ask(&ps_predict_linear, PS_PREDICT_FORM_LOG2, &m, &ask);
	assert_true(fabs(line / want - 1) > 0.1);
}

static void test_too_little(void **state)
{
	(void)state;
	struct made m;
	made_begin(&m, 2);
	made_add(&m, 0, 1, 1, 1, 2);
	made_add(&m, 1, 1, 2, 1, 3);
	size_t at[2];
	struct ps_predict_rows all = made_all(&m, at);
	void *fit = NULL;
	/* no anchor; more weights than rows; no operators */
	assert_int_equal(ps_predict_linear.fit(&all, PS_PREDICT_FORM_ANCHOR1, &fit, NULL),
			 PS_EUNAVAIL);
	assert_int_equal(ps_predict_linear.fit(&all, PS_PREDICT_FORM_LOG2, &fit, NULL),
			 PS_EUNAVAIL);
	assert_int_equal(ps_predict_svr.fit(&all, 0, &fit, NULL), PS_EUNAVAIL);
	assert_int_equal(ps_predict_operators.fit(&all, 0, &fit, NULL), PS_EUNAVAIL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_powers),
		cmocka_unit_test(test_rows_that_are_wrong),
		cmocka_unit_test(test_shares_count),
		cmocka_unit_test(test_support_vectors_bend),
		cmocka_unit_test(test_too_little),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
