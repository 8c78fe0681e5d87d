/* Data types, shapes and the check of a tensor against what a model declares. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "model/model.h"

#include <string.h>

static void test_dtypes(void **state)
{
	(void)state;
	static const struct {
		enum ps_dtype type;
		const char *name;
		size_t size;
	} rows[] = {
		{PS_DTYPE_FP32, "FP32", 4},   {PS_DTYPE_UINT8, "UINT8", 1},
		{PS_DTYPE_INT64, "INT64", 8}, {PS_DTYPE_BYTES, "BYTES", 0},
		{PS_DTYPE_BOOL, "BOOL", 1},   {PS_DTYPE_FP16, "FP16", 2},
		{PS_DTYPE_BF16, "BF16", 2},   {PS_DTYPE_UINT64, "UINT64", 8},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_string_equal(ps_dtype_name(rows[i].type), rows[i].name);
		assert_int_equal(ps_dtype_size(rows[i].type), rows[i].size);
		assert_int_equal(ps_dtype_from_name(rows[i].name, strlen(rows[i].name)),
				 rows[i].type);
	}
	assert_null(ps_dtype_name((enum ps_dtype)14));
	assert_int_equal(ps_dtype_from_name("FP3", 3), PS_DTYPE_NONE);
	assert_int_equal(ps_dtype_from_name("FP32x", 5), PS_DTYPE_NONE);
	assert_int_equal(ps_dtype_from_name("fp32", 4), PS_DTYPE_NONE);
}

static void test_count(void **state)
{
	(void)state;
	static const struct {
		int64_t dims[PS_TENSOR_MAX_RANK];
		int rank;
		enum ps_status status;
		int64_t count;
	} rows[] = {
		{{0}, 0, PS_OK, 1},
		{{1, 3, 224, 224}, 4, PS_OK, 150528},
		{{7, 0, 3}, 3, PS_OK, 0},
		/* no bytes, but rows without end */
		{{INT64_C(4000000000000000000), 0}, 2, PS_ETOOBIG, 0},
		{{0, 1 << 20}, 2, PS_OK, 0},
		{{0, (1 << 20) + 1}, 2, PS_ETOOBIG, 0},
		{{INT64_MAX, INT64_MAX, 0}, 3, PS_ETOOBIG, 0},
		{{2, -1}, 2, PS_EINVAL, 0},
		{{0, -1}, 2, PS_EINVAL, 0},
		{{INT64_C(1) << 48}, 1, PS_OK, INT64_C(1) << 48},
		{{INT64_C(1) << 48, 2}, 2, PS_ETOOBIG, 0},
		{{INT64_MAX, INT64_MAX}, 2, PS_ETOOBIG, 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t n = 0;
		assert_int_equal(ps_tensor_count(rows[i].dims, rows[i].rank, &n, NULL),
				 rows[i].status);
		assert_int_equal(n, rows[i].count);
	}
}

static void test_shape_text(void **state)
{
	(void)state;
	char buf[PS_TENSOR_SHAPE_SIZE];
	int64_t wide[8];
	assert_string_equal(ps_tensor_shape_text((int64_t[]){1, -1, 5}, 3, buf), "[1,-1,5]");
	assert_string_equal(ps_tensor_shape_text(wide, 0, buf), "[]");
	for (int i = 0; i < 8; i++)
		wide[i] = INT64_MIN;
	assert_non_null(strstr(ps_tensor_shape_text(wide, 8, buf), ",...]"));
}

static void test_check(void **state)
{
	(void)state;
	static const struct ps_tensor_spec spec = {"x", PS_DTYPE_FP32, 3, {-1, 3, 4}};
	static const struct {
		struct ps_tensor t;
		const char *complaint; /* NULL: it fits */
	} rows[] = {
		{{"x", PS_DTYPE_FP32, 3, {2, 3, 4}, NULL, 96}, NULL},
		{{"x", PS_DTYPE_FP32, 3, {0, 3, 4}, NULL, 0}, NULL},
		{{"x", PS_DTYPE_FP64, 3, {2, 3, 4}, NULL, 192}, "FP64"},
		{{"x", PS_DTYPE_FP32, 2, {2, 3}, NULL, 24}, "[2,3]"},
		{{"x", PS_DTYPE_FP32, 3, {2, 4, 4}, NULL, 128}, "[-1,3,4]"},
		{{"x", PS_DTYPE_FP32, 3, {2, 3, 4}, NULL, 95}, "95 came"},
		{{"x", PS_DTYPE_FP32, 3, {-2, 3, 4}, NULL, 96}, "negative"},
		{{"x", PS_DTYPE_FP32, 9, {2, 3, 4}, NULL, 96}, "9 dimensions"},
		{{"x", PS_DTYPE_FP32, -1, {2, 3, 4}, NULL, 96}, "-1 dimensions"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_error err = {0};
		enum ps_status s = ps_tensor_check(&spec, &rows[i].t, &err);
		assert_int_equal(s, rows[i].complaint ? PS_EINVAL : PS_OK);
		if (rows[i].complaint)
			assert_non_null(strstr(err.what, rows[i].complaint));
	}
}

/* The same mistake of an input and of an output is told apart. */
static void test_sides(void **state)
{
	(void)state;
	static const struct ps_tensor_spec spec = {"x", PS_DTYPE_FP32, 1, {2}};
	static const struct {
		struct ps_tensor t;
		const char *input, *output;
	} rows[] = {
		{{"x", PS_DTYPE_INT32, 1, {2}, NULL, 8},
		 "input 'x' has data type INT32, the model wants FP32",
		 "output 'x' has data type INT32, the model declares FP32"},
		{{"x", PS_DTYPE_FP32, 1, {3}, NULL, 12},
		 "input 'x' has shape [3], the model wants [2]",
		 "output 'x' has shape [3], the model declares [2]"},
		{{"x", PS_DTYPE_FP32, 9, {2}, NULL, 8},
		 "input 'x' has 9 dimensions, the limit is 8",
		 "output 'x' has 9 dimensions, the limit is 8"},
		{{"x", PS_DTYPE_FP32, 1, {2}, NULL, 7},
		 "input 'x' of shape [2] holds 8 bytes, but 7 came",
		 "output 'x' of shape [2] holds 8 bytes, but 7 came"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_error err = {0};
		assert_int_equal(ps_tensor_check(&spec, &rows[i].t, &err), PS_EINVAL);
		assert_string_equal(err.what, rows[i].input);
		assert_int_equal(ps_tensor_check_output(&spec, &rows[i].t, &err), PS_EINVAL);
		assert_string_equal(err.what, rows[i].output);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dtypes),	   cmocka_unit_test(test_count),
		cmocka_unit_test(test_shape_text), cmocka_unit_test(test_check),
		cmocka_unit_test(test_sides),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
