/* Outputs compared: what is the same within a tolerance, and what is said about what is not. */
#include "load/expect.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

static struct ps_tensor tensor(enum ps_dtype type, void *data, size_t bytes, int64_t n)
{
	return (struct ps_tensor){
		.name = "y", .dtype = type, .rank = 1, .dims = {n}, .data = data, .bytes = bytes};
}

static void floats(void **state)
{
	static const struct {
		float want[2], got[2];
		double tolerance;
		const char *what; /* NULL: the same */
	} rows[] = {
		{{1, 2}, {1, 2}, 0, NULL},
		{{1, 2}, {1, 2.5F}, 0, "output 'y': element 1 is 2.5, expected 2"},
		{{1, 2}, {1, 2.001F}, 1e-3, NULL},
		{{1, 2}, {1, 2.01F}, 1e-3, "element 1"},
		{{0, 0}, {9e-4F, 0}, 1e-3, NULL},	 /* small numbers: absolute */
		{{1e6F, 0}, {1.0005e6F, 0}, 1e-3, NULL}, /* large ones: relative */
		{{1e6F, 0}, {1.002e6F, 0}, 1e-3, "element 0"},
		{{NAN, 0}, {NAN, 1e-9F}, 1e-6, NULL},
		{{NAN, 0}, {0, 0}, 1, "element 0 is 0, expected "},
		{{0, 0}, {0, NAN}, 1e30, "element 1 is "},
		{{INFINITY, 0}, {INFINITY, -0.0F}, 0, NULL},
		{{INFINITY, 0}, {-INFINITY, 0}, 0.1, "element 0 is -inf, expected inf"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_tensor want = tensor(PS_DTYPE_FP32, (void *)rows[i].want, 8, 2);
		struct ps_tensor got = tensor(PS_DTYPE_FP32, (void *)rows[i].got, 8, 2);
		struct ps_error err = {0};
		enum ps_status st = ps_load_expect(&want, &got, rows[i].tolerance, &err);

		if (st != (rows[i].what ? PS_EINVAL : PS_OK)) {
			fail_msg("row %zu: %d", i, st);
		}
		if (rows[i].what && !strstr(err.what, rows[i].what)) {
			fail_msg("row %zu: %s", i, err.what);
		}
	}
}

static void other_types(void **state)
{
	static uint16_t one_half[] = {0x3c00}, near_half[] = {0x3c01}; /* 1, 1 + 2^-10 */
	static uint16_t one_bf[] = {0x3f80}, near_bf[] = {0x3f81};     /* 1, 1 + 2^-7 */
	static uint16_t tiny_half[] = {0x0001}, neg_inf_half[] = {0xfc00};
	static double a64[] = {1}, b64[] = {1 + 1e-12};
	static int32_t a32[] = {7}, b32[] = {8};
	static const struct {
		enum ps_dtype type;
		void *want, *got;
		size_t bytes;
		double tolerance;
		bool same;
	} rows[] = {
		{PS_DTYPE_FP16, one_half, near_half, 2, 1e-3, true},
		{PS_DTYPE_FP16, one_half, near_half, 2, 9e-4, false},
		{PS_DTYPE_FP16, tiny_half, one_half, 2, 1, true},
		{PS_DTYPE_FP16, one_half, neg_inf_half, 2, 1e30, false},
		{PS_DTYPE_BF16, one_bf, near_bf, 2, 8e-3, true},
		{PS_DTYPE_BF16, one_bf, near_bf, 2, 7e-3, false},
		{PS_DTYPE_FP64, a64, b64, 8, 1e-11, true},
		{PS_DTYPE_FP64, a64, b64, 8, 1e-13, false},
		{PS_DTYPE_INT32, a32, b32, 4, 10, false}, /* integers have no tolerance */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_tensor want = tensor(rows[i].type, rows[i].want, rows[i].bytes, 1);
		struct ps_tensor got = tensor(rows[i].type, rows[i].got, rows[i].bytes, 1);

		assert_int_equal(ps_load_expect(&want, &got, rows[i].tolerance, NULL),
				 rows[i].same ? PS_OK : PS_EINVAL);
	}
}

static void shapes_and_types(void **state)
{
	float data[6] = {0};
	struct ps_tensor want = tensor(PS_DTYPE_FP32, data, 24, 6), got = want;
	struct ps_error err;

	(void)state;
	got.rank = 2;
	got.dims[0] = 2;
	got.dims[1] = 3;
	assert_int_equal(ps_load_expect(&want, &got, 0, &err), PS_EINVAL);
	assert_string_equal(err.what, "output 'y' has shape [2,3], expected [6]");
	want.rank = -1; /* from raw bytes */
	assert_int_equal(ps_load_expect(&want, &got, 0, &err), PS_OK);
	want.bytes = 20;
	assert_int_equal(ps_load_expect(&want, &got, 0, &err), PS_EINVAL);
	assert_string_equal(err.what, "output 'y' has 24 bytes, expected 20");
	want.dtype = PS_DTYPE_INT32;
	assert_int_equal(ps_load_expect(&want, &got, 0, &err), PS_EINVAL);
	assert_string_equal(err.what, "output 'y' is of type FP32, expected INT32");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(floats),
		cmocka_unit_test(other_types),
		cmocka_unit_test(shapes_and_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
