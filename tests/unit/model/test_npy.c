/* NumPy's files: header and data -> array, or why not. */
#include "model/npy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

/* Version 1 unless said otherwise; `bytes` zero bytes of data follow the header. */
static size_t make(unsigned char *file, int version, const char *header, size_t bytes)
{
	size_t n = strlen(header), start = version == 1 ? 10 : 12;

	memcpy(file, "\x93NUMPY", 6);
	file[6] = (unsigned char)version;
	file[7] = 0;
	file[8] = (unsigned char)n;
	file[9] = (unsigned char)(n >> 8);
	file[10] = file[11] = 0;
	memcpy(file + start, header, n);
	memset(file + start + n, 0, bytes);
	return start + n + bytes;
}

#define HEAD(descr, order, shape)                                                                  \
	"{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }   \n"

static void arrays(void **state)
{
	static const struct {
		int version;
		const char *header;
		size_t bytes;
		enum ps_dtype dtype;
		int rank;
		int64_t dims[3];
	} rows[] = {
		{1, HEAD("'<f4'", "False", "(2, 3)"), 24, PS_DTYPE_FP32, 2, {2, 3}},
		{2, HEAD("'<f8'", "False", "(3,)"), 24, PS_DTYPE_FP64, 1, {3}},
		{3, HEAD("'<i8'", "False", "()"), 8, PS_DTYPE_INT64, 0, {0}},
		{1, HEAD("'|u1'", "False", "(5,)"), 5, PS_DTYPE_UINT8, 1, {5}},
		{1, HEAD("'<u1'", "False", "(5,)"), 5, PS_DTYPE_UINT8, 1, {5}},
		{1, HEAD("'|b1'", "False", "(2,)"), 2, PS_DTYPE_BOOL, 1, {2}},
		{1, HEAD("'<f2'", "False", "(1,2,3)"), 12, PS_DTYPE_FP16, 3, {1, 2, 3}},
		{1, HEAD("'<i4'", "False", "(0, 7)"), 0, PS_DTYPE_INT32, 2, {0, 7}},
		{1,
		 "{\"shape\":(1,),\"descr\":\"<u2\",\"fortran_order\":False}",
		 2,
		 PS_DTYPE_UINT16,
		 1,
		 {1}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned char file[256];
		size_t n = make(file, rows[i].version, rows[i].header, rows[i].bytes);
		struct ps_npy a;
		struct ps_error err = {0};

		if (ps_npy_parse(file, n, &a, &err) != PS_OK) {
			fail_msg("row %zu: %s", i, err.what);
		}
		assert_int_equal(a.dtype, rows[i].dtype);
		assert_int_equal(a.rank, rows[i].rank);
		assert_memory_equal(a.dims, rows[i].dims, (size_t)a.rank * sizeof(a.dims[0]));
		assert_int_equal(a.bytes, rows[i].bytes);
		assert_ptr_equal(a.data, file + n - rows[i].bytes);
	}
}

static void refusals(void **state)
{
	static const struct {
		const char *header;
		size_t bytes;
		enum ps_status status;
		const char *what;
	} rows[] = {
		{HEAD("'>f4'", "False", "(2,)"), 8, PS_EUNSUPPORTED, "type '>f4'"},
		{HEAD("'|f4'", "False", "(2,)"), 8, PS_EUNSUPPORTED, "type '|f4'"},
		{HEAD("'<U5'", "False", "(2,)"), 40, PS_EUNSUPPORTED, "type '<U5'"},
		{HEAD("'|O'", "False", "(2,)"), 8, PS_EUNSUPPORTED, "type '|O'"},
		{HEAD("[('a','<f4')]", "False", "(2,)"), 8, PS_EUNSUPPORTED, "structures"},
		{HEAD("'<f4'", "True", "(2, 3)"), 24, PS_EUNSUPPORTED, "column-major"},
		{HEAD("'<f4'", "None", "(2,)"), 8, PS_EPARSE, "neither True nor False"},
		{HEAD("'<f4'", "False", "(2,)"), 7, PS_EPARSE, "asks for 8 bytes"},
		{HEAD("'<f4'", "False", "(2,)"), 9, PS_EPARSE, "asks for 8 bytes"},
		{HEAD("'<f4'", "False", "[2]"), 8, PS_EPARSE, "no tuple"},
		{HEAD("'<f4'", "False", "(-2,)"), 8, PS_EPARSE, "no number"},
		{HEAD("'<f4'", "False", "(2 3)"), 8, PS_EPARSE, "no end"},
		{HEAD("'<f4'", "False", "(1,1,1,1,1,1,1,1,1)"), 4, PS_ETOOBIG, "dimensions"},
		{HEAD("'<f4'", "False", "(99999999, 99999999)"), 4, PS_ETOOBIG, ""},
		{HEAD("'<f4'", "False", "(99999999999999999999,)"), 4, PS_EPARSE, "no number"},
		{"{'descr': '<f4', 'shape': (1,)}", 4, PS_EPARSE, "lacks a key"},
		{"{'descr': '<f4', 'descr': '<f4'}", 4, PS_EPARSE, "doubled key"},
		{"{'other': 1}", 4, PS_EPARSE, "unknown or doubled"},
		{"{'descr': '<f4'", 0, PS_EPARSE, "no end"},
		{"import os", 0, PS_EPARSE, "no dictionary"},
		{HEAD("'<f4'", "False", "()") "x", 4, PS_EPARSE, "bytes follow"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned char file[256];
		size_t n = make(file, 1, rows[i].header, rows[i].bytes);
		struct ps_npy a;
		struct ps_error err = {0};
		enum ps_status st = ps_npy_parse(file, n, &a, &err);

		if (st != rows[i].status || !strstr(err.what, rows[i].what)) {
			fail_msg("row %zu: %d %s", i, st, err.what);
		}
	}
}

/* Every prefix of a good file is refused. */
static void cut_off(void **state)
{
	unsigned char file[256];
	size_t n = make(file, 1, HEAD("'<f4'", "False", "(2, 3)"), 24);
	struct ps_npy a;

	(void)state;
	for (size_t k = 0; k < n; k++) {
		assert_int_equal(ps_npy_parse(file, k, &a, NULL), PS_EPARSE);
	}
	file[6] = 4;
	assert_int_equal(ps_npy_parse(file, n, &a, NULL), PS_EPARSE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arrays),
		cmocka_unit_test(refusals),
		cmocka_unit_test(cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
