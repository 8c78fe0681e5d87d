// sanitizers: not for thread (ONNX Runtime is not instrumented)
/* The ONNX Runtime engine against the real library. Without one everything but the search for it
 * is skipped, and says so; with PS_REQUIRE_ORT=1 the program fails instead. */
#include "support/ort_fixture.h"

#include "base/clock.h"

#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static void test_library(void **state)
{
	static const struct {
		const char *path;
		enum ps_status status;
		const char *what, *hint;
	} rows[] = {
		{"/nowhere/libonnxruntime.so", PS_ENOTFOUND, "cannot find", "make setup"},
		{PS_SOURCE_DIR "/CMakeLists.txt", PS_EENGINE, "cannot load", "PERSEUS_ORT_LIBRARY"},
		{"libz.so.1", PS_EENGINE, "OrtGetApiBase", "make setup"},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		const struct ps_engine_options o = {.library = rows[k].path};
		struct ps_engine *e = NULL;
		struct ps_error err;

		assert_int_equal(ops->start(&o, &e, &err), rows[k].status);
		assert_null(e);
		assert_string_equal(err.where, rows[k].path);
		assert_non_null(strstr(err.what, rows[k].what));
		assert_non_null(strstr(err.hint, rows[k].hint));
	}
}

static void test_version(void **state)
{
	struct ps_engine *e = start(0, "");

	(void)state;
	assert_true(strncmp(ops->version(e), "1.", 2) == 0);
	ops->stop(e);
}

static void test_bad_models(void **state)
{
	static const struct {
		const char *name, *bytes;
		size_t n;
		enum ps_status status;
	} rows[] = {
		{"empty.onnx", "", 0, PS_EPARSE},
		{"text.onnx", "no model at all", 15, PS_EPARSE},
		{"cut.onnx", "\x08\x08\x3a\xff\xff\xff\x07\x0a", 8, PS_EPARSE},
		{"nograph.onnx", "\x08\x08", 2, PS_EPARSE},
	};
	const char *caches[] = {cache, ""};

	(void)state;
	for (int c = 0; c < 2; c++) {
		struct ps_engine *e = start(0, caches[c]);

		for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
			const struct ps_engine_open o = {.path = path_in(dir, rows[k].name)};
			struct ps_engine_instance *i = NULL;
			struct ps_error err;

			assert_int_equal(ps_file_write(o.path, rows[k].bytes, rows[k].n, NULL),
					 PS_OK);
			ps_error_clear(&err);
			if (ops->open(e, &o, &i, &err) != rows[k].status)
				fail_msg("%s: %s: %s", o.path, ps_status_name(err.status),
					 err.what);
			assert_string_equal(err.where, o.path);
		}
		ops->stop(e);
	}
}

static void test_missing_model(void **state)
{
	struct ps_engine *e = start(0, cache);
	const struct ps_engine_open o = {.path = "/nowhere/m.onnx"};
	struct ps_engine_instance *i = NULL;
	struct ps_error err;

	(void)state;
	assert_int_equal(ops->open(e, &o, &i, &err), PS_ENOTFOUND);
	assert_string_equal(err.where, o.path);
	ops->stop(e);
}

static void test_describe(void **state)
{
	struct ps_engine *e = start(0, cache);
	struct ps_engine_instance *i = open_ok(e, write_matmul("matmul.onnx"), false);
	struct ps_engine_describe d;
	struct ps_engine_memory m;

	(void)state;
	ops->describe(i, &d);
	assert_int_equal(d.n_inputs, 1);
	assert_int_equal(d.n_outputs, 1);
	assert_string_equal(d.inputs[0].name, "x");
	assert_string_equal(d.outputs[0].name, "y");
	assert_int_equal(d.inputs[0].dtype, PS_DTYPE_FP32);
	assert_int_equal(d.inputs[0].rank, 2);
	assert_int_equal(d.inputs[0].dims[0], -1);
	assert_int_equal(d.inputs[0].dims[1], 4);
	assert_string_equal(d.platform, "onnx_onnxv1");
	ops->memory(i, &m);
	assert_true(m.mapped_bytes > 64 && m.load_ns > 0);
	ops->close(i);
	ops->stop(e);
}

static void test_bad_inputs(void **state)
{
	float x[16] = {0}, small[2];
	struct ps_tensor good = tensor(PS_DTYPE_FP32, 2, 4, x, 32);
	const struct {
		struct ps_tensor in;
		void *out;
		size_t out_bytes;
		enum ps_status status;
		const char *what;
	} rows[] = {
		{tensor(PS_DTYPE_FP64, 2, 4, x, 64), NULL, 0, PS_EINVAL, "data type FP64"},
		{tensor(PS_DTYPE_FP32, 2, 5, x, 40), NULL, 0, PS_EINVAL, "shape [2,5]"},
		{tensor(PS_DTYPE_FP32, -2, 4, x, 32), NULL, 0, PS_EINVAL, "negative"},
		{tensor(PS_DTYPE_FP32, 2, 4, x, 31), NULL, 0, PS_EINVAL, "31 came"},
		{tensor(PS_DTYPE_FP32, INT64_C(1) << 60, 4, x, 0), NULL, 0, PS_ETOOBIG, "too many"},
		{{.dtype = PS_DTYPE_FP32, .rank = 1, .dims = {4}, .data = x, .bytes = 16},
		 NULL,
		 0,
		 PS_EINVAL,
		 "shape [4]"},
		{good, small, sizeof(small), PS_ETOOBIG, "needs 32 bytes"},
		{good, NULL, 0, PS_OK, ""},
	};
	struct ps_engine *e = start(0, cache);
	struct ps_engine_instance *i = open_ok(e, write_matmul("matmul.onnx"), false);

	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		struct ps_tensor in = rows[k].in;
		struct ps_tensor out = {.data = rows[k].out, .bytes = rows[k].out_bytes};
		struct ps_error err;

		ps_error_clear(&err);
		if (run1(i, false, &in, &out, &err) != rows[k].status ||
		    !strstr(err.what, rows[k].what))
			fail_msg("row %zu: %s: %s", k, ps_status_name(err.status), err.what);
	}
	ops->close(i);
	ops->stop(e);
}

/* Narrow and wide, from the shared converted file and from the model's own, give the same. */
static void test_ways_agree(void **state)
{
	struct {
		const char *cache;
		bool wide;
	} ways[] = {{cache, false}, {cache, true}, {"", false}, {"", true}};
	float x[12], want[12];

	(void)state;
	for (int k = 0; k < 12; k++)
		x[k] = (float)(k - 5) / 4;
	for (int r = 0; r < 3; r++)
		for (int c = 0; c < 4; c++) {
			float sum = 0;

			for (int k = 0; k < 4; k++)
				sum += x[4 * r + k] * (float)(4 * k + c) / 8;
			want[4 * r + c] = sum > 0 ? sum : 0;
		}
	for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
		struct ps_engine *e = start(2, ways[w].cache);
		struct ps_engine_instance *i = open_ok(e, write_matmul("matmul.onnx"), true);
		struct ps_tensor in = tensor(PS_DTYPE_FP32, 3, 4, x, sizeof(x)), out = {0};
		struct ps_error err;

		if (run1(i, ways[w].wide, &in, &out, &err) != PS_OK)
			fail_msg("%s", err.what);
		assert_int_equal(out.bytes, sizeof(want));
		assert_int_equal(out.dims[0], 3);
		assert_string_equal(out.name, "y");
		for (int k = 0; k < 12; k++)
			assert_true(fabsf(((float *)out.data)[k] - want[k]) < 1e-5f);
		ops->close(i);
		ops->stop(e);
	}
}

static void test_caller_buffers(void **state)
{
	struct ps_engine *e = start(0, cache);
	struct ps_engine_instance *i = open_ok(e, write_matmul("matmul.onnx"), false);
	_Alignas(64) char raw[256] = {0}, odd[256], room[256];
	struct ps_tensor in = tensor(PS_DTYPE_FP32, 2, 4, odd + 3, 32), out = {0};
	struct ps_error err;

	(void)state;
	for (int k = 0; k < 8; k++)
		memcpy(raw + 4 * k, &(float){(float)k}, 4);
	memcpy(odd + 3, raw, 32); /* as behind a tensor of three bytes */
	for (int shift = 0; shift < 2; shift++) {
		float y;

		memset(room, 0, sizeof(room));
		out = (struct ps_tensor){.data = room + shift, .bytes = 100};
		assert_int_equal(run1(i, false, &in, &out, &err), PS_OK);
		assert_ptr_equal(out.data, room + shift);
		assert_int_equal(out.bytes, 32);
		memcpy(&y, room + shift, 4); /* 0*0 + 1*4/8 + 2*8/8 + 3*12/8 */
		assert_true(fabsf(y - 7.0f) < 1e-5f);
	}
	ops->close(i);
	ops->stop(e);
}

static void write_identity(const char *path, int dtype)
{
	struct tiny_onnx t;

	tiny_begin(&t);
	tiny_node(&t, "Identity", "x", NULL, "y", -1);
	tiny_input(&t, "x", dtype, "N,2");
	tiny_output(&t, "y", dtype, "N,2");
	assert_int_equal(tiny_write(&t, path), PS_OK);
}

static void test_data_types(void **state)
{
	static const enum ps_dtype types[] = {
		PS_DTYPE_FP32,	 PS_DTYPE_UINT8,  PS_DTYPE_INT8, PS_DTYPE_UINT16, PS_DTYPE_INT16,
		PS_DTYPE_INT32,	 PS_DTYPE_INT64,  PS_DTYPE_BOOL, PS_DTYPE_FP16,	  PS_DTYPE_FP64,
		PS_DTYPE_UINT32, PS_DTYPE_UINT64, PS_DTYPE_BF16};
	struct ps_engine *e = start(0, ""); /* directly: thirteen conversions would take long */

	(void)state;
	for (size_t k = 0; k < sizeof(types) / sizeof(types[0]); k++) {
		char *path = path_in(dir, "identity.onnx");
		unsigned char x[16] = {1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 0, 1};
		size_t bytes = 2 * ps_dtype_size(types[k]);
		struct ps_tensor in = tensor(types[k], 1, 2, x, bytes), out = {0};
		struct ps_engine_instance *i;
		struct ps_error err;

		write_identity(path, types[k]);
		i = open_ok(e, path, false);
		if (run1(i, false, &in, &out, &err) != PS_OK)
			fail_msg("%s: %s", ps_dtype_name(types[k]), err.what);
		assert_int_equal(out.bytes, bytes);
		assert_int_equal(out.dtype, types[k]);
		assert_memory_equal(out.data, x, bytes);
		ops->close(i);
	}
	ops->stop(e);
}

static void test_strings(void **state)
{
	static char x[] = "\3\0\0\0a\0b"
			  "\0\0\0\0"
			  "\1\0\0\0z"
			  "\2\0\0\0\xc3\xa4";
	const size_t bytes = sizeof(x) - 1;
	struct ps_engine *e = start(0, "");
	char *path = path_in(dir, "strings.onnx");
	struct ps_engine_instance *i;
	struct ps_tensor in = tensor(PS_DTYPE_BYTES, 2, 2, x, bytes), out = {0};
	struct ps_error err;

	(void)state;
	write_identity(path, PS_DTYPE_BYTES);
	i = open_ok(e, path, false);
	if (run1(i, false, &in, &out, &err) != PS_OK)
		fail_msg("%s", err.what);
	assert_int_equal(out.bytes, bytes);
	assert_memory_equal(out.data, x, bytes);
	in.bytes = bytes - 1; /* the last element is cut */
	out = (struct ps_tensor){0};
	assert_int_equal(run1(i, false, &in, &out, &err), PS_EINVAL);
	in.bytes = bytes - 6; /* an element is missing */
	assert_int_equal(run1(i, false, &in, &out, &err), PS_EINVAL);
	ops->close(i);
	ops->stop(e);
}

/* Declares N rows and gives 2N: the library must not write past what we prepared. */
static void test_lying_shape(void **state)
{
	struct ps_engine *e = start(0, "");
	char *path = path_in(dir, "liar.onnx");
	float x[4] = {1, 2, 3, 4};
	struct ps_engine_instance *i;
	struct tiny_onnx t;

	(void)state;
	tiny_begin(&t);
	tiny_node(&t, "Concat", "x", "x", "y", 0);
	tiny_input(&t, "x", 1, "N,2");
	tiny_output(&t, "y", 1, "N,2");
	assert_int_equal(tiny_write(&t, path), PS_OK);
	i = open_ok(e, path, false);
	for (int k = 0; k < 2; k++) {
		struct ps_tensor in = tensor(PS_DTYPE_FP32, 2, 2, x, sizeof(x)), out = {0};
		struct ps_error err;

		if (run1(i, false, &in, &out, &err) != PS_OK)
			fail_msg("%s", err.what);
		assert_int_equal(out.dims[0], 4);
		assert_int_equal(out.bytes, 32);
		assert_memory_equal((char *)out.data + 16, x, 16);
	}
	ops->close(i);
	ops->stop(e);
}

static void test_cache(void **state)
{
	char *own = strdup(path_in(dir, "own/cache")), *model, *file;
	struct ps_engine *e = start(0, own);
	struct stat before, after;

	(void)state;
	model = strdup(write_matmul("cached.onnx"));
	check_works(e, model);
	assert_int_equal(count_files(own, ".ort"), 1);
	assert_int_equal(count_files(own, ".tmp"), 0);
	file = only_file(own);
	assert_int_equal(stat(file, &before), 0);
	check_works(e, model); /* from the cache: the file is not made again */
	assert_int_equal(stat(file, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	/* Broken in each way that a disk may: cut, one bit, nothing left. */
	for (int k = 0; k < 3; k++) {
		size_t n;
		char *data;

		assert_int_equal(ps_file_read(file, 1 << 20, &data, &n, NULL), PS_OK);
		data[n / 2] = (char)(data[n / 2] ^ (k == 1));
		assert_int_equal(ps_file_write(file, data,
					       k == 0	? n - 1
					       : k == 1 ? n
							: 0,
					       NULL),
				 PS_OK);
		free(data);
		check_works(e, model);
		assert_int_equal(stat(file, &after), 0);
		assert_int_equal(after.st_size, before.st_size);
	}
	free(model);
	free(own);
	ops->stop(e);
}

/* A cache that cannot be made does not keep a good model from being served, and does not make a
 * bad one look good. */
static void test_no_cache(void **state)
{
	char *bad = strdup(path_in("/proc/self", "no/such"));
	struct ps_engine *e = start(0, bad);
	const struct ps_engine_open o = {.path = path_in(dir, "text.onnx")};
	struct ps_engine_instance *i = NULL;
	struct ps_error err;

	(void)state;
	check_works(e, write_matmul("uncached.onnx"));
	assert_int_equal(ps_file_write(o.path, "no model", 8, NULL), PS_OK);
	assert_int_equal(ops->open(e, &o, &i, &err), PS_EPARSE);
	ops->stop(e);
	free(bad);
}

#define SLOW_NODES 150
#define SLOW_COLS  256
#define SLOW_ROWS  1024

static char *write_slow(void)
{
	char *path = path_in(dir, "slow.onnx"), from[16] = "x", to[16];
	float *w = calloc(SLOW_COLS * SLOW_COLS, sizeof(*w));
	struct tiny_onnx t;

	tiny_begin(&t);
	for (int k = 0; k < SLOW_NODES; k++) {
		snprintf(to, sizeof(to), k + 1 < SLOW_NODES ? "t%d" : "y", k);
		tiny_node(&t, "MatMul", from, "w", to, -1);
		strcpy(from, to);
	}
	tiny_weights(&t, "w", SLOW_COLS, SLOW_COLS, w);
	tiny_input(&t, "x", 1, "N,256");
	tiny_output(&t, "y", 1, "N,256");
	assert_int_equal(tiny_write(&t, path), PS_OK);
	free(w);
	return path;
}

struct cancelled_run {
	struct ps_engine_instance *i;
	struct ps_engine_run run;
	enum ps_status status;
	struct ps_error err;
};

static void *run_thread(void *arg)
{
	struct cancelled_run *c = arg;

	c->status = ops->run(c->i, &c->run, &c->err);
	return NULL;
}

static void test_cancel(void **state)
{
	struct ps_engine *e = start(0, "");
	struct cancelled_run c = {.i = open_ok(e, write_slow(), false)};
	size_t bytes = SLOW_ROWS * SLOW_COLS * sizeof(float);
	float *x = calloc(1, bytes);
	struct ps_tensor in = tensor(PS_DTYPE_FP32, SLOW_ROWS, SLOW_COLS, x, bytes), out = {0};
	int64_t began_ns = ps_clock_now_ns(), whole_ns, cancelled_ns;
	pthread_t thread;

	(void)state;
	c.run = (struct ps_engine_run){
		.inputs = &in, .outputs = &out, .n_inputs = 1, .n_outputs = 1, .alloc = give};
	run_thread(&c);
	assert_int_equal(c.status, PS_OK);
	whole_ns = ps_clock_now_ns() - began_ns;

	began_ns = ps_clock_now_ns();
	assert_int_equal(pthread_create(&thread, NULL, run_thread, &c), 0);
	while (!atomic_load(&c.run.handle)) /* until it is inside */
		sched_yield();
	ops->cancel(c.i, &c.run);
	pthread_join(thread, NULL);
	cancelled_ns = ps_clock_now_ns() - began_ns;
	assert_int_equal(c.status, PS_ECANCELLED);
	assert_true(cancelled_ns < whole_ns / 2);
	assert_null(atomic_load(&c.run.handle));

	began_ns = ps_clock_now_ns(); /* cancelled before it begins */
	run_thread(&c);
	assert_int_equal(c.status, PS_ECANCELLED);
	assert_true(ps_clock_now_ns() - began_ns < whole_ns / 2);

	atomic_store(&c.run.cancelled, false); /* and the instance is as good as before */
	run_thread(&c);
	assert_int_equal(c.status, PS_OK);
	free(x);
	ops->close(c.i);
	ops->stop(e);
}

/* Libraries that are not what they should be, built on the spot. */
static void test_odd_libraries(void **state)
{
	static const struct {
		const char *version, *table;
		enum ps_status status;
		const char *what;
	} rows[] = {
		{"\"1.16.3\"", "nothing", PS_EUNSUPPORTED, "1.16.3, but 1.17 or later"},
		{"\"0.9\"", "nothing", PS_EUNSUPPORTED, "0.9"},
		{"\"new\"", "nothing", PS_EUNSUPPORTED, "new"},
		{"\"1.99.0\"", "0", PS_EENGINE, "refuses API version 17"},
		{"0", "nothing", PS_EENGINE, "no version"},
	};
	char *so, name[16], command[1024];

	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		struct ps_engine_options o = {0};
		struct ps_engine *e = NULL;
		struct ps_error err;

		snprintf(name, sizeof(name), "odd%zu.so", k); /* dlopen knows a name again */
		o.library = so = path_in(dir, name);
		snprintf(
			command, sizeof(command),
			"printf '%%s\n' 'static void *nothing[500];"
			"static void *const *api(unsigned v) { (void)v; (void)nothing; return %s; }"
			"static const char *version(void) { return %s; }"
			"static struct { void *const *(*a)(unsigned); const char *(*v)(void); } "
			"base ="
			" {api, version}; void *OrtGetApiBase(void) { return &base; }'"
			" | cc -shared -fPIC -x c -o %s - 2>%s/cc.log",
			rows[k].table, rows[k].version, so, dir);
		if (system(command) != 0)
			skip(); /* installed without a compiler */
		assert_int_equal(ops->start(&o, &e, &err), rows[k].status);
		assert_non_null(strstr(err.what, rows[k].what));
		assert_string_equal(err.where, so);
		assert_non_null(strstr(err.hint, "make setup"));
	}
}

/* Every beginning of a good file: an error or a model, never a crash. */
static void test_truncated_models(void **state)
{
	struct ps_engine *e = start(0, "");
	char *whole, *path = path_in(dir, "prefix.onnx");
	size_t n;
	int good = 0;

	(void)state;
	assert_int_equal(ps_file_read(write_matmul("whole.onnx"), 1 << 20, &whole, &n, NULL),
			 PS_OK);
	for (size_t len = 1; len <= n; len++) {
		const struct ps_engine_open o = {.path = path};
		struct ps_engine_instance *i = NULL;
		FILE *f = fopen(path, "wb");

		assert_non_null(f);
		assert_int_equal(fwrite(whole, 1, len, f), len);
		fclose(f);
		if (ops->open(e, &o, &i, NULL) == PS_OK) {
			good++;
			ops->close(i);
		}
	}
	assert_true(good >= 1 && good < 4);
	free(whole);
	ops->stop(e);
}

static void test_bad_ort_files(void **state)
{
	struct ps_engine *e = start(0, "");
	char *path = path_in(dir, "bad.ort"), garbage[4096];
	const struct ps_engine_open o = {.path = path};
	struct ps_engine_instance *i = NULL;
	struct ps_error err;

	(void)state;
	for (size_t k = 0; k < sizeof(garbage); k++)
		garbage[k] = (char)(k * 37);
	for (size_t n = 1; n <= sizeof(garbage); n *= 2) {
		assert_int_equal(ps_file_write(path, garbage, n, NULL), PS_OK);
		assert_int_equal(ops->open(e, &o, &i, &err), PS_EPARSE);
		assert_string_equal(err.where, path);
	}
	ops->stop(e);
}

/* What the helper may do wrong, and what becomes of it. */
static void test_helper_faults(void **state)
{
	static const struct {
		const char *script;
		enum ps_status status; /* of open */
		const char *what;
	} rows[] = {
		{NULL, PS_OK, ""}, /* is not there */
		{"echo '14 1 the disk is full'; exit 1", PS_OK, ""},
		{"echo '2 0 it is no model'; exit 1", PS_EPARSE, "it is no model"},
		{"kill -SEGV $$", PS_EPARSE, "crashed"},
		{"kill -KILL $$", PS_ENOMEM, "killed"},
		{"exit 0", PS_EENGINE, "without an answer"},
		{"echo 'one two three'; exit 1", PS_EENGINE, "without an answer"},
		{"echo ok", PS_OK, ""}, /* and wrote nothing */
	};
	char *helper = strdup(path_in(dir, "helper")), *real = strdup(getenv("PERSEUS_CONVERT"));
	char *model = strdup(write_matmul("helped.onnx")), *own = strdup(path_in(dir, "faults"));
	struct ps_engine *e = start(0, own);

	(void)state;
	setenv("PERSEUS_CONVERT", helper, 1);
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		const struct ps_engine_open o = {.path = model};
		struct ps_engine_instance *i = NULL;
		struct ps_error err;
		char text[256];

		unlink(helper);
		snprintf(text, sizeof(text), "#!/bin/sh\n%s\n",
			 rows[k].script ? rows[k].script : "");
		if (rows[k].script) {
			assert_int_equal(ps_file_write(helper, text, strlen(text), NULL), PS_OK);
			assert_int_equal(chmod(helper, 0755), 0);
		}
		ps_error_clear(&err);
		if (ops->open(e, &o, &i, &err) != rows[k].status || !strstr(err.what, rows[k].what))
			fail_msg("row %zu: %s: %s", k, ps_status_name(err.status), err.what);
		if (i)
			ops->close(i);
		assert_int_equal(count_files(own, ".tmp") + count_files(own, ".ort"), 0);
	}
	setenv("PERSEUS_CONVERT", real, 1);
	check_works(e, model);
	assert_int_equal(count_files(own, ".ort"), 1);
	ops->stop(e);
	free(helper);
	free(real);
	free(model);
	free(own);
}

/* Several threads on one instance, some runs cancelled at any moment from elsewhere: every run
 * ends as it should, and the answers of those that end well are right. */
#define CROWD	   4
#define CROWD_RUNS 300

struct crowd {
	struct ps_engine_instance *i;
	struct ps_engine_run runs[CROWD_RUNS];
	atomic_int at;
	int wrong, cancelled;
};

static void *crowd_thread(void *arg)
{
	struct crowd *c = arg;
	_Alignas(16) float x[4] = {1, 0, 0, 0}, y[4];

	for (int k = 0; k < CROWD_RUNS; k++) {
		struct ps_tensor in = tensor(PS_DTYPE_FP32, 1, 4, x, sizeof(x));
		struct ps_tensor out = {.data = y, .bytes = sizeof(y)};
		enum ps_status st;

		c->runs[k].inputs = &in;
		c->runs[k].outputs = &out;
		c->runs[k].n_inputs = c->runs[k].n_outputs = 1;
		c->runs[k].wide = k % 2;
		atomic_store(&c->at, k);
		st = ops->run(c->i, &c->runs[k], NULL);
		c->cancelled += st == PS_ECANCELLED;
		c->wrong += (st != PS_OK && st != PS_ECANCELLED) ||
			    (st == PS_OK && fabsf(y[3] - 0.375f) > 1e-6f) ||
			    atomic_load(&c->runs[k].handle) != NULL;
	}
	return NULL;
}

static void test_crowd(void **state)
{
	struct ps_engine *e = start(2, cache);
	struct ps_engine_instance *i = open_ok(e, write_matmul("crowd.onnx"), true);
	static struct crowd crowd[CROWD];
	pthread_t threads[CROWD];
	int busy = 1;

	(void)state;
	memset(crowd, 0, sizeof(crowd));
	for (int t = 0; t < CROWD; t++) {
		crowd[t].i = i;
		assert_int_equal(pthread_create(&threads[t], NULL, crowd_thread, &crowd[t]), 0);
	}
	for (int k = 0; busy; k++) {
		busy = 0;
		for (int t = 0; t < CROWD; t++) {
			int at = atomic_load(&crowd[t].at);

			if (at < CROWD_RUNS - 1)
				busy = 1;
			if (k % 3 == 0)
				ops->cancel(i, &crowd[t].runs[at]);
		}
	}
	for (int t = 0; t < CROWD; t++) {
		pthread_join(threads[t], NULL);
		assert_int_equal(crowd[t].wrong, 0);
	}
	ops->close(i);
	ops->stop(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_library),	      cmocka_unit_test(test_version),
		cmocka_unit_test(test_bad_models),    cmocka_unit_test(test_missing_model),
		cmocka_unit_test(test_describe),      cmocka_unit_test(test_bad_inputs),
		cmocka_unit_test(test_ways_agree),    cmocka_unit_test(test_caller_buffers),
		cmocka_unit_test(test_data_types),    cmocka_unit_test(test_strings),
		cmocka_unit_test(test_lying_shape),   cmocka_unit_test(test_cache),
		cmocka_unit_test(test_no_cache),      cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_odd_libraries), cmocka_unit_test(test_truncated_models),
		cmocka_unit_test(test_bad_ort_files), cmocka_unit_test(test_helper_faults),
		cmocka_unit_test(test_crowd),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
