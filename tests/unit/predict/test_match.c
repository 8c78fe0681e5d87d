/* Times of the engine's profile find their operators. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "predict/match.h"

#include <math.h>
#include <string.h>

static struct ps_predict_op ops[] = {
	{.name = "relu_2_nchwc", .type = "Conv", .out_bytes = 8},
	{.name = "ReorderOutput a", .type = "ReorderOutput", .in_bytes = 10, .out_bytes = 10},
	{.name = "ReorderOutput b", .type = "ReorderOutput", .in_bytes = 30, .out_bytes = 30},
	{.name = "gemm_9", .type = "Gemm", .out_bytes = 4},
};
static struct ps_predict_model model = {.name = "m", .ops = ops, .op_count = 4};

static void test_match(void **state)
{
	static const struct ps_predict_node_time rows[] = {
		{"ReorderOutput", "ReorderOutput_token_3", 50},
		{"Gemm", "gemm_9", 20},
		{"ReorderOutput", "ReorderOutput", 30},
		{"Conv", "relu_2_nchwc", 100},
		{"Relu", "gemm_9", 25},	      /* another type of the same name */
		{"Conv", "relu_7_nchwc", 30}, /* of another model */
	};
	struct ps_predict_matched m;
	(void)state;
	assert_int_equal(ps_predict_match(&model, rows, 6, &m, NULL), PS_OK);
	assert_true(ops[0].time_ns == 100 && ops[3].time_ns == 20);
	/* 80 ns for 80 bytes */
	assert_true(ops[1].time_ns == 20 && ops[2].time_ns == 60);
	assert_int_equal(m.ops, 4);
	assert_int_equal(m.nodes, 4);
	assert_true(fabs(m.share - 200.0 / 255) < 1e-12);
	assert_string_equal(m.lost_node, "relu_7_nchwc");
	assert_null(m.untimed_op);
}

static void test_missing(void **state)
{
	static const struct ps_predict_node_time rows[] = {{"Conv", "relu_2_nchwc", 1},
							   {"Conv", "relu_2_nchwc", 1}};
	struct ps_predict_matched m;
	(void)state;
	assert_int_equal(ps_predict_match(&model, rows, 1, &m, NULL), PS_OK);
	assert_true(isnan(ops[1].time_ns) && isnan(ops[3].time_ns));
	assert_string_equal(m.untimed_op, "ReorderOutput a");
	assert_null(m.lost_node);
	assert_int_equal(ps_predict_match(&model, rows, 0, &m, NULL), PS_OK);
	assert_true(isnan(ops[0].time_ns) && m.share == 0);
	/* the same node twice: one of them is lost, not added */
	assert_int_equal(ps_predict_match(&model, rows, 2, &m, NULL), PS_OK);
	assert_true(ops[0].time_ns == 1 && m.share == 0.5);
}

static void test_refused(void **state)
{
	static const double bad[] = {-1, NAN, INFINITY};
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct ps_predict_node_time row = {"Conv", "relu_2_nchwc", bad[i]};
		struct ps_predict_matched m;
		struct ps_error err;
		assert_int_equal(ps_predict_match(&model, &row, 1, &m, &err), PS_ECORRUPT);
		assert_non_null(strstr(err.what, "relu_2_nchwc"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
