// sanitizers: not for thread (ONNX Runtime is not instrumented)
/* Models that come and go: memory, the cache, files that change under the server, threads, and a
 * GPU as far as a machine without one can show it. Takes about five seconds: a model of 105 MB is
 * opened fifty times. */
#include "support/ort_fixture.h"

#include "base/clock.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/stat.h>
#include <utime.h>

static int64_t resident_bytes(void)
{
	long long size, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lld %lld", &size, &resident), 2);
	fclose(f);
	return resident * sysconf(_SC_PAGESIZE);
}

static int count_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	int n = -2;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* x [N,n] W: n x n weights, so 4 n n bytes. */
static char *write_square(const char *name, int n, float factor)
{
	char *path = path_in(dir, name), dims[32];
	float *w = malloc((size_t)n * (size_t)n * sizeof(*w));
	struct tiny_onnx t;

	assert_non_null(w);
	for (int k = 0; k < n * n; k++)
		w[k] = factor * (float)(k % 251);
	tiny_begin(&t);
	tiny_node(&t, "MatMul", "x", "w", "y", -1);
	tiny_weights(&t, "w", n, n, w);
	snprintf(dims, sizeof(dims), "N,%d", n);
	tiny_input(&t, "x", 1, dims);
	tiny_output(&t, "y", 1, dims);
	assert_int_equal(tiny_write(&t, path), PS_OK);
	free(w);
	return path;
}

static void run_square(struct ps_engine_instance *i, int n, float expected)
{
	float *x = calloc((size_t)n, sizeof(*x));
	struct ps_tensor in = tensor(PS_DTYPE_FP32, 1, n, x, (size_t)n * sizeof(*x)), out = {0};
	struct ps_error err;

	assert_non_null(x);
	x[0] = 1;
	if (run1(i, false, &in, &out, &err) != PS_OK)
		fail_msg("%s", err.what);
	assert_int_equal(out.dims[1], n);
	assert_true(fabsf(((float *)out.data)[2] - expected) < 1e-5f);
	ps_arena_reset(&arena);
	free(x);
}

static void skip_when_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	print_message("a sanitizer keeps memory that was freed\n");
	skip();
#endif
}

/* Opens, runs and closes; what stays after the last time is what stayed after the first. */
static void cycle(struct ps_engine *e, const char *model, int n, int times)
{
	int64_t first = 0, last = 0;

	for (int k = 0; k < times; k++) {
		struct ps_engine_instance *i = open_ok(e, model, false);

		run_square(i, n, 2);
		ops->close(i);
		last = resident_bytes();
		first = k == 0 ? last : first;
	}
	if (last > first + first / 20)
		fail_msg("%lld bytes are resident after the first time, %lld after the last",
			 (long long)first, (long long)last);
}

static void test_memory_is_returned(void **state)
{
	struct ps_engine_memory m;
	struct ps_engine_instance *i;
	struct ps_engine *e;
	char *model;

	(void)state;
	skip_when_sanitized();
	e = start(2, cache);
	model = strdup(write_square("large.onnx", 5120, 1)); /* 105 MB */
	cycle(e, model, 5120, 50);
	i = open_ok(e, model, true);
	ops->memory(i, &m);
	assert_in_range(m.mapped_bytes, 104857600, 106000000);
	assert_true(m.private_bytes < 20000000); /* the weights are in the map alone */
	assert_int_equal(m.device_bytes, 0);
	ops->close(i);
	ops->stop(e);
	free(model);
}

/* Without a cache the weights are copied, two and a half times at the worst moment. */
static void test_memory_is_returned_without_a_cache(void **state)
{
	struct ps_engine_memory m;
	struct ps_engine_instance *i;
	struct ps_engine *e;
	char *model;

	(void)state;
	skip_when_sanitized();
	e = start(0, "");
	model = strdup(write_square("uncached.onnx", 2048, 1)); /* 17 MB */
	cycle(e, model, 2048, 10);
	i = open_ok(e, model, false);
	ops->memory(i, &m);
	assert_in_range(m.private_bytes, 16777216, 40000000);
	assert_int_equal(m.mapped_bytes, 0);
	ops->close(i);
	ops->stop(e);
	free(model);
}

/* Cut, overwritten, replaced and deleted while it serves: the old content goes on answering. */
static void check_file_may_change(struct ps_engine *e, const char *model)
{
	struct ps_engine_instance *i = open_ok(e, model, false);
	char *whole, zeros[4096] = {0};
	size_t len;
	int fd;

	assert_int_equal(ps_file_read(model, 1 << 24, &whole, &len, NULL), PS_OK);
	run_square(i, 256, 2);
	fd = open(model, O_RDWR);
	assert_true(fd >= 0);
	for (size_t at = 0; at < len; at += sizeof(zeros))
		assert_true(pwrite(fd, zeros, sizeof(zeros), (off_t)at) > 0);
	run_square(i, 256, 2);
	assert_int_equal(ftruncate(fd, 0), 0);
	close(fd);
	malloc_trim(0);
	run_square(i, 256, 2);
	assert_int_equal(ps_file_write(model, "other", 5, NULL), PS_OK);
	run_square(i, 256, 2);
	assert_int_equal(unlink(model), 0);
	run_square(i, 256, 2);
	ops->close(i);
	assert_int_equal(ps_file_write(model, whole, len, NULL), PS_OK);
	free(whole);
}

static void test_a_file_may_change_while_it_serves(void **state)
{
	struct ps_engine *with = start(0, cache), *without = start(0, "");
	char *model = strdup(write_square("changing.onnx", 256, 1));
	char *own = strdup(path_in(dir, "changing.ort")), *data, *made;
	size_t len;

	(void)state;
	check_file_may_change(with, model);
	check_file_may_change(without, model);
	/* A file in the library's own format, made by the library: the cached copy without seal. */
	ops->stop(without);
	without = start(0, path_in(dir, "once"));
	ops->close(open_ok(without, model, false));
	made = only_file(path_in(dir, "once"));
	assert_int_equal(ps_file_read(made, 1 << 24, &data, &len, NULL), PS_OK);
	assert_int_equal(ps_file_write(own, data, len - 64, NULL), PS_OK);
	free(data);
	check_file_may_change(with, own);
	ops->stop(with);
	ops->stop(without);
	free(model);
	free(own);
}

static void age(const char *path)
{
	struct utimbuf old = {1000000000, 1000000000};

	assert_int_equal(utime(path, &old), 0);
}

/* The hash is that of the content now, whatever was remembered. */
static void test_hash_follows_the_content(void **state)
{
	static const unsigned char abc[4] = {0xba, 0x78, 0x16, 0xbf}; /* SHA-256 of "abc" */
	unsigned char a[PS_ENGINE_HASH_SIZE], b[PS_ENGINE_HASH_SIZE];
	char *path = path_in(dir, "hashed.onnx");
	struct ps_error err;

	(void)state;
	assert_int_equal(ps_engine_hash(path, a, &err), PS_ENOTFOUND);
	assert_string_equal(err.where, path);
	assert_int_equal(ps_file_write(path, "abc", 3, NULL), PS_OK);
	assert_int_equal(ps_engine_hash(path, a, NULL), PS_OK);
	assert_memory_equal(a, abc, 4);
	for (int k = 0; k < 20; k++) { /* within one tick of the file system's clock */
		char text[4] = {'a', 'b', (char)('d' + k)};
		int fd = open(path, O_WRONLY);

		assert_int_equal(pwrite(fd, text, 3, 0), 3);
		close(fd);
		memcpy(b, a, sizeof(b));
		assert_int_equal(ps_engine_hash(path, a, NULL), PS_OK);
		assert_memory_not_equal(a, b, sizeof(a));
	}
	assert_int_equal(ps_file_write(path, "", 0, NULL), PS_OK);
	assert_int_equal(ps_engine_hash(path, a, NULL), PS_EPARSE);
	assert_int_equal(ps_engine_hash("/dev/zero", a, NULL), PS_EPARSE);
	assert_int_equal(ps_engine_hash(dir, a, NULL), PS_EPARSE);
}

/* What a file refers to counts too: recorded durations, weights kept outside. */
static void test_hash_sees_references(void **state)
{
	static const struct {
		const char *file, *beside, *text;
		size_t len;
	} rows[] = {
		{"a.synthetic.yaml", "t.txt", "durations_file: t.txt\n", 22},
		{"b.synthetic.yaml", "t.txt", "durations-file: \"t.txt\" # x\n", 28},
		{"c.onnx", "w.bin", "\x0a\x08location\x12\x05w.bin...", 20},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		unsigned char a[PS_ENGINE_HASH_SIZE], b[PS_ENGINE_HASH_SIZE];
		char *path = path_in(dir, rows[k].file), *beside = path_in(dir, rows[k].beside);

		assert_int_equal(ps_file_write(beside, "1", 1, NULL), PS_OK);
		assert_int_equal(ps_file_write(path, rows[k].text, rows[k].len, NULL), PS_OK);
		assert_int_equal(ps_engine_hash(path, a, NULL), PS_OK);
		assert_int_equal(ps_file_write(beside, "2", 1, NULL), PS_OK);
		assert_int_equal(ps_engine_hash(path, b, NULL), PS_OK);
		if (memcmp(a, b, sizeof(a)) == 0)
			fail_msg("%s: a change of %s is not seen", rows[k].file, rows[k].beside);
	}
}

static void test_the_cache_has_a_limit(void **state)
{
	char *own = strdup(path_in(dir, "limited")), *first;
	const struct ps_engine_options o = {.cache_dir = own, .cache_max_bytes = 700000};
	struct ps_engine *e = NULL;
	struct ps_engine_instance *held;

	(void)state;
	if (!have_library)
		skip();
	assert_int_equal(ops->start(&o, &e, NULL), PS_OK);
	held = open_ok(e, write_square("l0.onnx", 256, 1), false); /* 262 KB each */
	first = strdup(only_file(own));
	age(first); /* the longest unused, but open */
	for (int k = 1; k < 6; k++) {
		char name[24];

		snprintf(name, sizeof(name), "l%d.onnx", k);
		ops->close(open_ok(e, write_square(name, 256, (float)k), false));
		assert_in_range(count_files(own, ".ort"), 1, 2);
	}
	assert_int_equal(access(first, F_OK), 0);
	run_square(held, 256, 2);
	ops->close(held);
	ops->stop(e);
	free(first);
	free(own);
}

static void test_batch_axis_is_told(void **state)
{
	struct ps_engine *e = start(0, "");
	struct ps_engine_instance *i = open_ok(e, write_matmul("axis.onnx"), false);
	struct ps_engine_describe d;

	(void)state;
	ops->describe(i, &d);
	assert_true(d.batch_axis);
	assert_string_equal(d.device, "cpu");
	ops->close(i);
	ops->stop(e);
}

/* Twenty open models, narrow and wide, have the threads of one. */
static void test_threads_stay_bounded(void **state)
{
	struct ps_engine *e = start(2, cache);
	struct ps_engine_instance *open[20];
	int one = 0;

	(void)state;
	for (int k = 0; k < 20; k++) {
		char name[24];

		snprintf(name, sizeof(name), "t%d.onnx", k % 4);
		open[k] = open_ok(e, write_square(name, 16, (float)(1 + k % 4)), true);
		run_square(open[k], 16, 2 * (float)(1 + k % 4));
		one = k == 0 ? count_threads() : one;
	}
	assert_int_equal(count_threads(), one);
	for (int k = 0; k < 20; k++)
		ops->close(open[k]);
	ops->stop(e);
}

/* ---- an end in the middle of a conversion ---- */

struct opener {
	struct ps_engine *e;
	char *model;
	enum ps_status status;
};

static void *open_thread(void *arg)
{
	struct opener *o = arg;
	const struct ps_engine_open open = {.path = o->model};
	struct ps_engine_instance *i = NULL;

	o->status = ops->open(o->e, &open, &i, NULL);
	return NULL;
}

static void test_a_conversion_can_be_interrupted(void **state)
{
	static const char script[] = "#!/bin/sh\necho $$ > \"$3.pid\"\nexec sleep 600\n";
	char *helper = strdup(path_in(dir, "sleeper")), *real = strdup(getenv("PERSEUS_CONVERT"));
	char *own = strdup(path_in(dir, "interrupted"));
	struct ps_engine *e = start(0, own);
	struct opener o = {.e = e, .model = strdup(write_matmul("slow.onnx"))};
	struct ps_engine_instance *i;
	pthread_t t;

	(void)state;
	assert_int_equal(ps_file_write(helper, script, strlen(script), NULL), PS_OK);
	assert_int_equal(chmod(helper, 0755), 0);
	setenv("PERSEUS_CONVERT", helper, 1);
	assert_int_equal(pthread_create(&t, NULL, open_thread, &o), 0);
	while (count_files(own, ".pid") == 0)
		sched_yield(); /* until the helper runs */
	ops->interrupt(e);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_equal(o.status, PS_ECANCELLED);
	assert_int_equal(ops->open(e, &(struct ps_engine_open){.path = o.model}, &i, NULL),
			 PS_ECANCELLED);
	setenv("PERSEUS_CONVERT", real, 1);
	ops->stop(e);
	free(helper);
	free(real);
	free(own);
	free(o.model);
}

static char *write_relu(const char *name)
{
	char *path = path_in(dir, name);
	struct tiny_onnx t;

	tiny_begin(&t);
	tiny_node(&t, "Relu", "x", NULL, "y", -1);
	tiny_input(&t, "x", 1, "N,4");
	tiny_output(&t, "y", 1, "N,4");
	assert_int_equal(tiny_write(&t, path), PS_OK);
	return path;
}

static void test_a_conversion_that_hangs(void **state)
{
	static const char script[] = "#!/bin/sh\necho $$ > \"$3.pid\"\nexec sleep 600\n";
	char *helper = strdup(path_in(dir, "hanging")), *real = strdup(getenv("PERSEUS_CONVERT"));
	char *own = strdup(path_in(dir, "beside"));
	char *known = strdup(write_relu("known.onnx"));
	const struct ps_engine_options options = {.cache_dir = own,
						  .convert_timeout_ns = 4 * PS_NS_PER_SEC};
	struct ps_engine *e;
	struct ps_engine_instance *i;
	struct opener o = {.model = strdup(write_matmul("hangs.onnx"))};
	struct ps_error err;
	pthread_t t;

	(void)state;
	assert_int_equal(ops->start(&options, &e, &err), PS_OK);
	assert_int_equal(ops->open(e, &(struct ps_engine_open){.path = known}, &i, &err), PS_OK);
	ops->close(i);
	assert_int_equal(ps_file_write(helper, script, strlen(script), NULL), PS_OK);
	assert_int_equal(chmod(helper, 0755), 0);
	setenv("PERSEUS_CONVERT", helper, 1);
	o.e = e;
	assert_int_equal(pthread_create(&t, NULL, open_thread, &o), 0);
	while (count_files(own, ".pid") == 0)
		sched_yield(); /* until the helper runs */
	/* What is converted already is mapped meanwhile. */
	assert_int_equal(ops->open(e, &(struct ps_engine_open){.path = known}, &i, &err), PS_OK);
	ops->close(i);
	assert_int_equal(pthread_tryjoin_np(t, NULL), EBUSY);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_equal(o.status, PS_ETIMEOUT);
	setenv("PERSEUS_CONVERT", real, 1);
	ops->stop(e);
	free(helper);
	free(real);
	free(own);
	free(known);
	free(o.model);
}

/* ---- GPU ---- */

static void test_no_gpu_is_said_clearly(void **state)
{
	struct ps_engine *e = start(0, cache);
	const struct ps_engine_open o = {.path = write_matmul("g.onnx"), .device = "cuda:0"};
	struct ps_engine_instance *i = NULL;
	struct ps_error err;
	enum ps_status st = ops->open(e, &o, &i, &err);

	(void)state;
	if (st == PS_OK) { /* this library has CUDA, and this machine a GPU */
		ops->close(i);
	} else if (st == PS_ENOTFOUND) { /* the library has, the machine has none that works */
		assert_non_null(strstr(err.hint, "onnxruntime-gpu"));
	} else {
		assert_int_equal(st, PS_EUNSUPPORTED);
		assert_non_null(strstr(err.what, "cuda:0"));
		assert_non_null(strstr(err.what, "without CUDA"));
		assert_non_null(strstr(err.hint, "onnxruntime-gpu"));
	}
	ops->stop(e);
}

static void test_a_real_gpu(void **state)
{
	struct ps_engine *e = start(0, cache);
	const struct ps_engine_open o = {.path = write_square("gpu.onnx", 256, 1),
					 .device = "cuda:0"};
	struct ps_engine_instance *i = NULL;
	struct ps_engine_memory m;
	struct ps_error err;

	(void)state;
	if (ops->open(e, &o, &i, &err) != PS_OK) {
		print_message("no GPU to test on: %s\n", err.what);
		ops->stop(e);
		skip();
	}
	run_square(i, 256, 2);
	ops->memory(i, &m);
	assert_true(m.device_bytes == 0 || m.device_bytes >= 262144);
	ops->close(i);
	ops->stop(e);
}

static char *build_stub(void)
{
	char *so = path_in(dir, "cuda_stub.so"), command[1024];

	snprintf(command, sizeof(command), "cc -shared -fPIC -o %s %s -ldl 2>%s/stub.log", so,
		 PS_SOURCE_DIR "/tests/support/cuda_stub.c", dir);
	if (system(command) != 0)
		skip(); /* installed without a compiler */
	setenv("STUB_REAL_ORT", getenv("PERSEUS_ORT_LIBRARY"), 1);
	return so;
}

static int stub_value(const char *so, const char *name)
{
	void *lib = dlopen(so, RTLD_NOW | RTLD_NOLOAD);
	int *value = lib ? dlsym(lib, name) : NULL;

	assert_non_null(value);
	dlclose(lib);
	return *value;
}

/* The code for a GPU against a library that pretends: options, bindings, statistics, refusal. */
static void test_a_gpu_is_bound(void **state)
{
	struct ps_engine_options o = {.cache_dir = cache};
	struct ps_engine_open open = {.device = "cuda:3", .wide = true};
	struct ps_engine *e = NULL;
	struct ps_engine_instance *i = NULL;
	struct ps_engine_describe d;
	struct ps_engine_memory m;
	struct ps_error err;
	float x[8] = {1, 0, 0, 0, 0, 1, 0, 0}, y[8] = {0};
	struct ps_tensor in = tensor(PS_DTYPE_FP32, 2, 4, x, sizeof(x)),
			 out = {.data = y, .bytes = sizeof(y)};

	(void)state;
	if (!have_library)
		skip();
	o.library = strdup(build_stub());
	if (ops->start(&o, &e, &err) != PS_OK)
		fail_msg("%s: %s", err.where, err.what);
	open.path = strdup(write_matmul("bound.onnx"));
	if (ops->open(e, &open, &i, &err) != PS_OK)
		fail_msg("%s", err.what);
	assert_int_equal(stub_value(o.library, "stub_appended"), 3);
	ops->describe(i, &d);
	assert_string_equal(d.device, "cuda:3");
	ops->memory(i, &m);
	assert_int_equal(m.mapped_bytes, 0);
	assert_true(m.device_bytes >= 0);
	assert_int_equal(run1(i, false, &in, &out, &err), PS_OK);
	assert_int_equal(stub_value(o.library, "stub_bound_runs"), 1);
	assert_ptr_equal(out.data, y); /* bound, not copied */
	assert_true(fabsf(y[3] - 0.375f) < 1e-6f && fabsf(y[4] - 0.5f) < 1e-6f);
	out = (struct ps_tensor){0};
	assert_int_equal(run1(i, true, &in, &out, &err), PS_OK);
	assert_int_equal(out.dims[0], 2);
	assert_true(fabsf(((float *)out.data)[7] - 0.875f) < 1e-6f);
	ops->close(i);
	open.device = "cuda:7";
	assert_int_equal(ops->open(e, &open, &i, &err), PS_ENOTFOUND);
	assert_non_null(strstr(err.what, "invalid device ordinal"));
	ops->stop(e);
	free((char *)open.path);
	free((char *)o.library);
}

/* An output whose shape nobody knows beforehand is allocated by the library and collected. */
static void test_a_gpu_gives_open_outputs(void **state)
{
	struct ps_engine_options o = {.cache_dir = ""};
	struct ps_engine_open open = {.device = "cuda:0", .path = path_in(dir, "nonzero.onnx")};
	struct ps_engine *e = NULL;
	struct ps_engine_instance *i = NULL;
	float x[8] = {1, 0, 0, 0, 0, 1, 0, 0};
	struct ps_tensor in = tensor(PS_DTYPE_FP32, 2, 4, x, sizeof(x)), out = {0};
	struct tiny_onnx t;
	struct ps_error err;

	(void)state;
	if (!have_library)
		skip();
	o.library = build_stub();
	assert_int_equal(ops->start(&o, &e, &err), PS_OK);
	tiny_begin(&t);
	tiny_node(&t, "NonZero", "x", NULL, "y", -1);
	tiny_input(&t, "x", 1, "N,4");
	tiny_output(&t, "y", 7, "2,K");
	assert_int_equal(tiny_write(&t, open.path), PS_OK);
	if (ops->open(e, &open, &i, &err) != PS_OK)
		fail_msg("%s", err.what);
	if (run1(i, false, &in, &out, &err) != PS_OK)
		fail_msg("%s", err.what);
	assert_int_equal(out.dims[0], 2);
	assert_int_equal(out.dims[1], 2);
	assert_int_equal(((int64_t *)out.data)[1], 1);
	ops->close(i);
	ops->stop(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_is_returned),
		cmocka_unit_test(test_memory_is_returned_without_a_cache),
		cmocka_unit_test(test_a_file_may_change_while_it_serves),
		cmocka_unit_test(test_hash_follows_the_content),
		cmocka_unit_test(test_hash_sees_references),
		cmocka_unit_test(test_the_cache_has_a_limit),
		cmocka_unit_test(test_batch_axis_is_told),
		cmocka_unit_test(test_threads_stay_bounded),
		cmocka_unit_test(test_a_conversion_can_be_interrupted),
		cmocka_unit_test(test_a_conversion_that_hangs),
		cmocka_unit_test(test_no_gpu_is_said_clearly),
		cmocka_unit_test(test_a_real_gpu),
		cmocka_unit_test(test_a_gpu_is_bound),
		cmocka_unit_test(test_a_gpu_gives_open_outputs),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
