/* ort_fixture.h - what tests of the ONNX Runtime engine begin with: a folder, a library if there is
 * one, models of a few nodes. Without a library what needs it is skipped, and says so; with
 * PS_REQUIRE_ORT=1 the program fails instead. Include it once per program. */
#ifndef TESTS_SUPPORT_ORT_FIXTURE_H
#define TESTS_SUPPORT_ORT_FIXTURE_H

#include "engine/engine.h"
#include "support/tiny_onnx.h"

#include "base/arena.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static char dir[64] = "/tmp/perseus-test-XXXXXX", cache[80];
static const struct ps_engine_ops *ops;
static bool have_library;

static inline char *path_in(const char *base, const char *name)
{
	static char paths[8][256];
	static int next;
	char *p = paths[next++ % 8], both[256];

	assert_true(strlen(base) + strlen(name) + 2 <= sizeof(both));
	strcpy(both, base); /* which may be one of the paths */
	strcat(both, "/");
	strcat(both, name);
	return strcpy(p, both);
}

static inline struct ps_engine *start(int wide, const char *cache_dir)
{
	const struct ps_engine_options o = {.cache_dir = cache_dir, .wide_threads = wide};
	struct ps_engine *e = NULL;
	struct ps_error err;

	if (!have_library)
		skip();
	if (ops->start(&o, &e, &err) != PS_OK)
		fail_msg("%s", err.what);
	return e;
}

static inline struct ps_engine_instance *open_ok(struct ps_engine *e, const char *path, bool wide)
{
	const struct ps_engine_open o = {.path = path, .wide = wide};
	struct ps_engine_instance *i = NULL;
	struct ps_error err;

	if (ops->open(e, &o, &i, &err) != PS_OK)
		fail_msg("%s: %s", err.where, err.what);
	return i;
}

static struct ps_arena arena; /* what runs ask for; freed at the end of all tests */

static inline void *give(void *ctx, size_t bytes)
{
	(void)ctx;
	return ps_arena_alloc_tensor(&arena, bytes);
}

static inline enum ps_status run1(struct ps_engine_instance *i, bool wide, struct ps_tensor *in,
				  struct ps_tensor *out, struct ps_error *err)
{
	struct ps_engine_run run = {.inputs = in,
				    .outputs = out,
				    .n_inputs = 1,
				    .n_outputs = 1,
				    .wide = wide,
				    .alloc = give};

	return ops->run(i, &run, err);
}

static inline struct ps_tensor tensor(enum ps_dtype t, int64_t rows, int64_t cols, void *data,
				      size_t bytes)
{
	return (struct ps_tensor){
		.dtype = t, .rank = 2, .dims = {rows, cols}, .data = data, .bytes = bytes};
}

/* y = relu(x W), W = 4x4 of k/8. */
static inline char *write_matmul(const char *name)
{
	char *path = path_in(dir, name);
	struct tiny_onnx t;
	float w[16];

	for (int k = 0; k < 16; k++)
		w[k] = (float)k / 8;
	tiny_begin(&t);
	tiny_node(&t, "MatMul", "x", "w", "m", -1);
	tiny_node(&t, "Relu", "m", NULL, "y", -1);
	tiny_weights(&t, "w", 4, 4, w);
	tiny_input(&t, "x", 1, "N,4");
	tiny_output(&t, "y", 1, "N,4");
	assert_int_equal(tiny_write(&t, path), PS_OK);
	return path;
}

static inline int group_setup(void **state)
{
	const char *required = getenv("PS_REQUIRE_ORT");
	struct ps_engine *e = NULL;
	struct ps_error err;

	(void)state;
	ps_arena_init(&arena, 0);
	ops = ps_engine_find("onnxruntime");
	setenv("PERSEUS_CONVERT", PS_BINARY_DIR "/perseus-convert", 0);
	setenv("PERSEUS_ORT_LIBRARY", PS_SOURCE_DIR "/.cache/onnxruntime/libonnxruntime.so", 0);
	have_library = ops->start(&(struct ps_engine_options){.cache_dir = ""}, &e, &err) == PS_OK;
	if (have_library)
		ops->stop(e);
	else
		print_message("no library for what needs it: %s: %s (%s)\n", err.where, err.what,
			      err.hint);
	if (!have_library && required && strcmp(required, "1") == 0)
		return -1; /* set-up fetched it: that it cannot be used is a failure */
	if (!mkdtemp(dir))
		return -1;
	snprintf(cache, sizeof(cache), "%s/cache", dir);
	return 0;
}

static inline int group_teardown(void **state)
{
	char command[128];

	(void)state;
	ps_arena_fini(&arena);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static inline int count_files(const char *path, const char *end)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	int n = 0;

	while (d && (entry = readdir(d))) {
		size_t len = strlen(entry->d_name);

		n += len > strlen(end) && strcmp(entry->d_name + len - strlen(end), end) == 0;
	}
	if (d)
		closedir(d);
	return n;
}

static inline char *only_file(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	char *found = NULL;

	while (d && (entry = readdir(d)))
		if (strlen(entry->d_name) > 40)
			found = path_in(path, entry->d_name);
	if (d)
		closedir(d);
	return found;
}

static inline void check_works(struct ps_engine *e, const char *model)
{
	float x[4] = {1, 0, 0, 0};
	struct ps_tensor in = tensor(PS_DTYPE_FP32, 1, 4, x, sizeof(x)), out = {0};
	struct ps_engine_instance *i = open_ok(e, model, false);
	struct ps_error err;

	assert_int_equal(run1(i, false, &in, &out, &err), PS_OK);
	assert_true(fabsf(((float *)out.data)[3] - 0.375f) < 1e-6f);
	ops->close(i);
}

#endif
