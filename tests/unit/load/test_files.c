/* Tensors from files: which file is for what, and what a file must hold. */
#include "load/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct ps_tensor_spec x = {
	.name = "x", .dtype = PS_DTYPE_FP32, .rank = 2, .dims = {-1, 2}};
static const struct ps_tensor_spec z = {
	.name = "z", .dtype = PS_DTYPE_INT32, .rank = 1, .dims = {3}};
static const struct ps_tensor_spec texts = {
	.name = "t", .dtype = PS_DTYPE_BYTES, .rank = 1, .dims = {-1}};

static void files_go_in_turn(void **state)
{
	const struct ps_load_file f[] = {{"x", "a"}, {"z", "b"}, {"x", "c"}, {NULL, "d"}};

	(void)state;
	assert_int_equal(ps_load_files_count(f, 4, "x", false), 2);
	assert_int_equal(ps_load_files_count(f, 4, "x", true), 3);
	assert_string_equal(ps_load_files_pick(f, 4, "x", false, 0), "a");
	assert_string_equal(ps_load_files_pick(f, 4, "x", false, 1), "c");
	assert_string_equal(ps_load_files_pick(f, 4, "x", false, 2), "a");
	assert_string_equal(ps_load_files_pick(f, 4, "x", true, 2), "d");
	assert_null(ps_load_files_pick(f, 4, "y", false, 0));
}

static void files_fit_the_models(void **state)
{
	static const struct ps_tensor_spec two[] = {{.name = "x", .dtype = PS_DTYPE_FP32},
						    {.name = "z", .dtype = PS_DTYPE_INT32}};
	static const struct {
		struct ps_load_file files[5];
		size_t len;
		size_t turns; /* 0 with what: refused */
		const char *what;
	} rows[] = {
		{{{0}}, 0, 0, NULL},
		{{{"x", "a"}}, 1, 1, NULL},
		{{{"x", "a"}, {"x", "b"}, {"z", "c"}}, 3, 2, NULL},
		{{{"x", "a"}, {"x", "b"}, {"z", "c"}, {"z", "d"}}, 4, 2, NULL},
		{{{"x", "a"}, {"x", "b"}, {"x", "c"}, {"z", "d"}, {"z", "e"}},
		 5,
		 0,
		 "2 files for 'z' and 3"},
		{{{"y", "a"}}, 1, 0, "no model has a tensor 'y'"},
		{{{NULL, "a"}}, 1, 0, "several tensors"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct ps_tensor_spec *const specs[] = {two};
		const size_t lens[] = {2};
		struct ps_error err = {0};
		size_t turns = 0;
		enum ps_status st = ps_load_files_check(rows[i].files, rows[i].len, specs, lens, 1,
							&turns, &err);

		assert_int_equal(st, rows[i].what ? PS_EINVAL : PS_OK);
		assert_int_equal(turns, rows[i].turns);
		if (rows[i].what && !strstr(err.what, rows[i].what)) {
			fail_msg("row %zu: %s", i, err.what);
		}
	}
}

/* A file for one model of a mix is no mistake for another. */
static void any_model_of_a_mix_will_do(void **state)
{
	const struct ps_tensor_spec *const specs[] = {&x, &z};
	const struct ps_load_file f[] = {{"z", "a"}, {"z", "b"}};
	const size_t lens[] = {1, 1};
	size_t turns[2];

	(void)state;
	assert_int_equal(ps_load_files_check(f, 2, specs, lens, 2, turns, NULL), PS_OK);
	assert_int_equal(turns[0], 0);
	assert_int_equal(turns[1], 2);
}

static const char *write_file(const char *name, const void *data, size_t n)
{
	static char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "files-%d-%s", (int)getpid(), name);
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, n, f), n);
	fclose(f);
	return path;
}

static void what_a_file_holds(void **state)
{
	const struct ps_tensor like = {.rank = 2, .dims = {1, 2}}, two = {.rank = 1, .dims = {2}};
	static const struct {
		const char *name, *data;
		size_t n;
		const struct ps_tensor_spec *spec;
		int like; /* 0: none, 1: [1,2], 2: [2] */
		enum ps_status status;
		const char *what;
		int rank;
		int64_t first;
	} rows[] = {
		{"a.raw", "12345678", 8, &x, 1, PS_OK, "", 2, 1},
		{"a.raw", "12345678", 8, &x, 0, PS_OK, "", -1, 0},
		{"a.raw", "1234567", 7, &x, 0, PS_EINVAL, "no whole elements", 0, 0},
		{"a.raw", "123456789012", 12, &x, 1, PS_EINVAL, "does not take 12 bytes", 0, 0},
		{"a.raw", "\2\0\0\0ab\0\0\0\0", 10, &texts, 2, PS_OK, "", 1, 2},
		{"a.raw", "\2\0\0\0ab\1\0\0\0", 10, &texts, 2, PS_EINVAL, "does not take", 0, 0},
		{"a.raw", "\2\0\0\0ab\0\0\0\0x", 11, &texts, 2, PS_EINVAL, "does not take", 0, 0},
		{"a.raw", "\377\377\377\377ab", 6, &texts, 2, PS_EINVAL, "does not take", 0, 0},
		{"a.npy", "12345678", 8, &x, 1, PS_EPARSE, "no file of NumPy", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *path = write_file(rows[i].name, rows[i].data, rows[i].n);
		struct ps_error err = {0};
		struct ps_tensor t = {0};
		enum ps_status st = ps_load_file_read(path, rows[i].spec,
						      rows[i].like == 1	  ? &like
						      : rows[i].like == 2 ? &two
									  : NULL,
						      &t, &err);

		if (st != rows[i].status || !strstr(err.what, rows[i].what)) {
			fail_msg("row %zu: %d %s", i, st, err.what);
		}
		if (st == PS_OK) {
			assert_int_equal(t.rank, rows[i].rank);
			assert_int_equal(t.bytes, rows[i].n);
			assert_memory_equal(t.data, rows[i].data, rows[i].n);
			assert_string_equal(t.name, rows[i].spec->name);
			if (t.rank > 0) {
				assert_int_equal(t.dims[0], rows[i].first);
			}
			free(t.data);
		} else {
			assert_string_equal(err.where, path);
		}
		unlink(path);
	}
}

static size_t make_npy(unsigned char *file, const char *descr, const char *shape, size_t bytes)
{
	int n = sprintf((char *)file + 10, "{'descr': '%s', 'fortran_order': False, 'shape': %s}",
			descr, shape);

	memcpy(file, "\x93NUMPY\1\0", 8);
	file[8] = (unsigned char)n;
	file[9] = 0;
	memset(file + 10 + n, 7, bytes);
	return 10 + (size_t)n + bytes;
}

static void what_an_array_must_be(void **state)
{
	static const struct {
		const char *descr, *shape;
		size_t bytes;
		const char *what; /* NULL: taken */
	} rows[] = {
		{"<f4", "(5, 2)", 40, NULL}, /* any first dimension */
		{"<f4", "(5, 3)", 60, "'x' has shape [-1,2], the file [5,3]"},
		{"<f4", "(10,)", 40, "'x' has shape [-1,2], the file [10]"},
		{"<f8", "(5, 2)", 80, "'x' is of type FP32, the file holds FP64"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned char file[256];
		size_t n = make_npy(file, rows[i].descr, rows[i].shape, rows[i].bytes);
		const char *path = write_file("b.npy", file, n);
		struct ps_error err = {0};
		struct ps_tensor t = {0};
		enum ps_status st = ps_load_file_read(path, &x, NULL, &t, &err);

		unlink(path);
		if (rows[i].what) {
			assert_int_equal(st, PS_EINVAL);
			assert_string_equal(err.what, rows[i].what);
			continue;
		}
		assert_int_equal(st, PS_OK);
		assert_int_equal(t.dims[0], 5);
		assert_int_equal(t.bytes, 40);
		assert_int_equal(((unsigned char *)t.data)[39], 7);
		free(t.data);
	}
	assert_int_equal(ps_load_file_read("no/such.npy", &x, NULL, &(struct ps_tensor){0}, NULL),
			 PS_ENOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_go_in_turn),
		cmocka_unit_test(files_fit_the_models),
		cmocka_unit_test(any_model_of_a_mix_will_do),
		cmocka_unit_test(what_a_file_holds),
		cmocka_unit_test(what_an_array_must_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
