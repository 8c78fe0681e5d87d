/* Rows: what of a model and of tenants goes into them, and the first guesses by queueing. */
#include "predict/predict.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MS	 1e6

static double column(const struct ps_predict_quantity *q, const struct ps_predict_row *r,
		     const char *name)
{
	for (size_t j = 0; j < q->column_len; j++)
		if (strcmp(q->columns[j].name, name) == 0)
			return r->x[j];
	fail_msg("no column %s", name);
	return NAN;
}

static void test_service(void **state)
{
	(void)state;
	struct ps_predict_op ops[] = {
		{.kind = PS_PREDICT_CONV, .macs = 600},
		{.kind = PS_PREDICT_CONV, .macs = 400},
		{.kind = PS_PREDICT_POINTWISE, .macs = 30},
		{.kind = PS_PREDICT_DEPTHWISE, .macs = 7},
		{.kind = PS_PREDICT_GEMM, .macs = 5},
		{.kind = PS_PREDICT_OTHER, .macs = NAN},
	};
	struct ps_predict_model m = {.batch = 4,
				     .ops = ops,
				     .op_count = COUNT(ops),
				     .macs = 1042,
				     .activation_bytes = 88,
				     .param_bytes = 99,
				     .element_ops = 10};
	struct ps_predict_slice s = {.cpus = 2, .lanes = 1, .threads = 2};
	struct ps_predict_row r;
	ps_predict_service_row(&m, &s, &r);
	const struct ps_predict_quantity *q = &ps_predict_service;
	assert_true(column(q, &r, "multiply-accumulates per thread") == 521);
	assert_true(column(q, &r, "multiply-accumulates of wide convolutions") == 500);
	assert_true(column(q, &r, "multiply-accumulates of 1x1 convolutions") == 15);
	assert_true(column(q, &r, "multiply-accumulates of depthwise convolutions") == 3.5);
	assert_true(column(q, &r, "multiply-accumulates of products") == 2.5);
	assert_true(column(q, &r, "bytes of activations") == 88);
	assert_true(column(q, &r, "operators") == 6);
	assert_true(r.place[0] == 4 && r.place[1] == 2 && r.place[2] == 2);
	assert_true(r.work == &m && isnan(r.y));
	/* on another slice its own operators are not asked: they were measured */
	ps_predict_transfer_row(&m, 5 * MS, &s, &r);
	assert_true(r.work == NULL && r.anchor == 5 * MS);
}

/* One lane, always the same time, Poisson: half of the requests of a queue that is all but empty
 * take the service time, and a neighbour that is never there changes nothing. */
static void test_slowdown(void **state)
{
	(void)state;
	struct ps_predict_slice s = {.cpus = 1, .lanes = 1, .threads = 1};
	struct ps_predict_tenant own = {20 * MS, 0, 1, 1e6}, other = {20 * MS, 0, 0.01, 1e6};
	struct ps_predict_row r;
	ps_predict_slowdown_row(&own, &other, &s, &r);
	assert_true(fabs(r.anchor - 1) < 0.02);
	double last = r.anchor;
	static const double rates[] = {10, 20, 30, 40};
	for (size_t i = 0; i < COUNT(rates); i++) {
		other.rate_rps = rates[i];
		ps_predict_slowdown_row(&own, &other, &s, &r);
		assert_true(r.anchor >= last);
		last = r.anchor;
		assert_true(fabs(column(&ps_predict_slowdown, &r, "the neighbour's load") -
				 rates[i] * 0.02) < 1e-12);
	}
	/* fair queueing lets nobody push it aside, but a run that has begun is finished */
	assert_true(last > 1.2);
	/* more than the lane can do: no guess, not a wrong one */
	other.rate_rps = 60;
	ps_predict_slowdown_row(&own, &other, &s, &r);
	assert_true(isnan(r.anchor));
	/* with a second lane there is room */
	s.lanes = 2;
	ps_predict_slowdown_row(&own, &other, &s, &r);
	assert_true(r.anchor >= 1);
}

static void test_p99(void **state)
{
	(void)state;
	struct ps_predict_slice s = {.cpus = 1, .lanes = 1, .threads = 1};
	struct ps_predict_tenant own = {10 * MS, 0, 5, 1e6}, other = {80 * MS, 0, 5, 1e6};
	struct ps_predict_row alone, beside;
	ps_predict_p99_row(&own, &other, &s, &beside);
	other.rate_rps = 0.001;
	ps_predict_p99_row(&own, &other, &s, &alone);
	/* one in a hundred meets a run of 80 ms that has just begun */
	assert_true(beside.anchor > 80 * MS);
	assert_true(alone.anchor < 40 * MS);
}

/* M/D/1: the capacity of a limit far away is the lane itself; of a limit below the service time
 * there is none. */
static void test_capacity(void **state)
{
	(void)state;
	struct ps_predict_slice s = {.cpus = 1, .lanes = 1, .threads = 1};
	struct ps_predict_tenant t = {.service_ns = 10 * MS};
	static const struct {
		double p, limit_ms, low, high;
	} cases[] = {
		{0.95, 5000, 95, 100.5},
		{0.95, 100, 80, 95},
		{0.99, 100, 70, 90},
		{0.95, 20, 20, 60},
	};
	struct ps_predict_row r;
	for (size_t i = 0; i < COUNT(cases); i++) {
		ps_predict_capacity_row(&t, cases[i].p, cases[i].limit_ms * MS, &s, &r);
		if (!(r.anchor >= cases[i].low && r.anchor <= cases[i].high))
			fail_msg("p%g under %g ms: %g", cases[i].p, cases[i].limit_ms, r.anchor);
	}
	ps_predict_capacity_row(&t, 0.95, 5 * MS, &s, &r);
	assert_true(isnan(r.anchor));
	assert_true(fabs(column(&ps_predict_capacity, &r, "limit over service time") - 0.5) <
		    1e-12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_service),
		cmocka_unit_test(test_slowdown),
		cmocka_unit_test(test_p99),
		cmocka_unit_test(test_capacity),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
