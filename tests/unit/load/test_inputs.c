/* Made-up inputs: shapes, sizes, ranges, repeatability. */
#include "load/inputs.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static struct ps_tensor_spec spec(enum ps_dtype type, int rank, const int64_t *dims)
{
	struct ps_tensor_spec s = {.name = "x", .dtype = type, .rank = rank};

	memcpy(s.dims, dims, (size_t)rank * sizeof(dims[0]));
	return s;
}

static void shapes(void **state)
{
	static const struct {
		int64_t declared[3];
		int64_t batch;
		int given_rank; /* 0: none */
		int64_t given[3];
		enum ps_status want;
		int64_t dims[3];
	} rows[] = {
		{{-1, 3, 8}, 1, 0, {0}, PS_OK, {1, 3, 8}},
		{{-1, 3, 8}, 4, 0, {0}, PS_OK, {4, 3, 8}},
		{{-1, -1, 8}, 4, 0, {0}, PS_OK, {4, 1, 8}},
		{{1, 3, 8}, 1, 0, {0}, PS_OK, {1, 3, 8}},
		{{2, 3, 8}, 2, 0, {0}, PS_OK, {2, 3, 8}},
		{{1, 3, 8}, 4, 0, {0}, PS_EINVAL, {0}},
		{{-1, -1, 8}, 1, 3, {2, 5, 8}, PS_OK, {2, 5, 8}},
		{{-1, -1, 8}, 1, 3, {2, 5, 9}, PS_EINVAL, {0}},
		{{-1, -1, 8}, 1, 2, {2, 5}, PS_EINVAL, {0}},
		{{-1, -1, 8}, 1, 3, {2, -5, 8}, PS_EINVAL, {0}},
		{{-1, -1, 8}, 1, 3, {1 << 20, 1 << 20, 8}, PS_ETOOBIG, {0}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_tensor_spec s = spec(PS_DTYPE_FP32, 3, rows[i].declared);
		struct ps_load_shape g = {.input = "x", .rank = rows[i].given_rank};
		struct ps_tensor t;
		struct ps_error err;

		memcpy(g.dims, rows[i].given, sizeof(rows[i].given));
		assert_int_equal(ps_load_inputs_shape(&s, rows[i].batch, &g, g.rank > 0, &t, &err),
				 rows[i].want);
		if (rows[i].want == PS_OK) {
			assert_memory_equal(t.dims, rows[i].dims, sizeof(rows[i].dims));
			assert_int_equal(t.bytes, 4 * t.dims[0] * t.dims[1] * t.dims[2]);
		}
	}
}

static void same_seed_same_bytes(void **state)
{
	static const enum ps_dtype types[] = {
		PS_DTYPE_FP32,	PS_DTYPE_UINT8,	 PS_DTYPE_INT8,	  PS_DTYPE_UINT16, PS_DTYPE_INT16,
		PS_DTYPE_INT32, PS_DTYPE_INT64,	 PS_DTYPE_BYTES,  PS_DTYPE_BOOL,   PS_DTYPE_FP16,
		PS_DTYPE_FP64,	PS_DTYPE_UINT32, PS_DTYPE_UINT64, PS_DTYPE_BF16,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct ps_tensor_spec s = spec(types[i], 2, (const int64_t[]){-1, 100});
		struct ps_load_tenant t = {.name = "t", .batch = 2};
		struct ps_load_inputs a, b, c;
		struct ps_error err;

		assert_int_equal(ps_load_inputs_make(&s, 1, &t, 1, 0, &a, &err), PS_OK);
		assert_int_equal(ps_load_inputs_make(&s, 1, &t, 1, 0, &b, &err), PS_OK);
		assert_int_equal(ps_load_inputs_make(&s, 1, &t, 1, 1, &c, &err), PS_OK);
		assert_int_equal(ps_tensor_check(&s, &a.tensors[0], &err), PS_OK);
		assert_memory_equal(a.tensors[0].data, b.tensors[0].data, a.bytes);
		assert_memory_not_equal(a.tensors[0].data, c.tensors[0].data, a.bytes);
		ps_load_inputs_fini(&a);
		ps_load_inputs_fini(&b);
		ps_load_inputs_fini(&c);
	}
}

static float float_from_half(uint16_t h)
{
	int e = h >> 10 & 31;
	float v = e == 0 ? 0 : ldexpf(1 + (float)(h & 1023) / 1024, e - 15);

	return h & 0x8000 ? -v : v;
}

static float float_from_bfloat(uint16_t h)
{
	uint32_t b = (uint32_t)h << 16;
	float v;

	memcpy(&v, &b, sizeof(v));
	return v;
}

/* Every floating type holds the same normal numbers, to its own precision. */
static void floats_are_normal_in_every_width(void **state)
{
	enum { N = 20000 };
	static const enum ps_dtype types[] = {PS_DTYPE_FP64, PS_DTYPE_FP32, PS_DTYPE_FP16,
					      PS_DTYPE_BF16};
	struct ps_load_inputs in[4];
	struct ps_load_tenant t = {.name = "t"};
	double sum = 0, sum2 = 0;

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct ps_tensor_spec s = spec(types[i], 1, (const int64_t[]){N});

		assert_int_equal(ps_load_inputs_make(&s, 1, &t, 9, 0, &in[i], NULL), PS_OK);
	}
	for (int i = 0; i < N; i++) {
		double d = ((double *)in[0].tensors[0].data)[i];
		double f = (double)((float *)in[1].tensors[0].data)[i];
		double h = (double)float_from_half(((uint16_t *)in[2].tensors[0].data)[i]);
		double b = (double)float_from_bfloat(((uint16_t *)in[3].tensors[0].data)[i]);

		assert_true(fabs(f - d) <= 1e-7 * fabs(d));
		assert_true(fabs(h - d) <= 1.0 / 2048 * fabs(d) + 6.2e-5);
		assert_true(fabs(b - d) <= 1.0 / 256 * fabs(d));
		sum += d;
		sum2 += d * d;
	}
	assert_true(fabs(sum / N) < 4 / sqrt(N));
	assert_true(fabs(sum2 / N - 1) < 4 * sqrt(2.0 / N));
	for (int i = 0; i < 4; i++) {
		ps_load_inputs_fini(&in[i]);
	}
}

static void several_inputs_are_bounded_together(void **state)
{
	struct ps_tensor_spec s[3];
	struct ps_load_tenant t = {.name = "t"};
	struct ps_load_inputs in;

	(void)state;
	for (int i = 0; i < 3; i++) {
		s[i] = spec(PS_DTYPE_BOOL, 1, (const int64_t[]){PS_LOAD_MAX_INPUT_BYTES});
	}
	s[0].dims[0] = 1;
	assert_int_equal(ps_load_inputs_make(s, 2, &t, 1, 0, &in, NULL), PS_ETOOBIG);
	s[1].dims[0] = 2;
	s[2].dims[0] = 3;
	assert_int_equal(ps_load_inputs_make(s, 3, &t, 1, 0, &in, NULL), PS_OK);
	assert_int_equal(in.bytes, 6);
	ps_load_inputs_fini(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes),
		cmocka_unit_test(same_seed_same_bytes),
		cmocka_unit_test(floats_are_normal_in_every_width),
		cmocka_unit_test(several_inputs_are_bounded_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
