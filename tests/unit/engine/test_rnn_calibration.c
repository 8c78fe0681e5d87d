// sanitizers: not for thread (ONNX Runtime is not instrumented)
/* Reduced precisions measured on input of the user's, through both doors. What needs ONNX Runtime
 * is skipped without one. */
#include "support/rnn_doors.h"

#include "base/file.h"

#include <sys/stat.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define STRICT 1e-6 /* an error that drawn input and int8 exceed */

/* ---- files ---- */

/* A path that the fixture's few do not come round to. */
static char *place(const char *in, const char *name)
{
	static char paths[48][256];
	static int n;

	assert_true(n < 48);
	strcpy(paths[n], path_in(in, name));
	return paths[n++];
}

static void write_npy(const char *path, const char *type, int rank, const int64_t *dims,
		      const void *data, size_t bytes)
{
	char shape[128] = "", head[256];
	struct ps_strbuf s;

	for (int d = 0; d < rank; d++)
		snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%lld, ",
			 (long long)dims[d]);
	int n = snprintf(head, sizeof head,
			 "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }\n", type, shape);
	ps_strbuf_init(&s);
	ps_strbuf_append(&s, "\x93NUMPY\x01\x00", 8);
	ps_strbuf_append(&s, (const char[]){(char)(n & 0xff), (char)(n >> 8)}, 2);
	ps_strbuf_append(&s, head, (size_t)n);
	ps_strbuf_append(&s, data, bytes);
	assert_int_equal(ps_file_write(path, s.data, s.len, NULL), PS_OK);
	ps_strbuf_fini(&s);
}

/* float32 [steps][batch][7], all of one size with signs by turns. */
static void write_x(const char *path, int64_t steps, int64_t batch, float size)
{
	const int64_t dims[] = {steps, batch, 7};
	size_t n = (size_t)(steps * batch * 7);
	float *x = malloc((n + 1) * sizeof *x);

	for (size_t i = 0; i < n; i++)
		x[i] = i % 3 ? size : -size;
	write_npy(path, "<f4", 3, dims, x, n * sizeof *x);
	free(x);
}

static char *folder(const char *in, const char *name)
{
	char *path = place(in, name);

	assert_int_equal(mkdir(path, 0700), 0);
	return path;
}

/* A layer without biases: zeros in, zeros out, in every precision. */
static void write_plain(const char *path)
{
	struct layer l = draw_weights(ps_rnn_spec_default(PS_RNN_LSTM, 7, 33));
	struct tiny_onnx t;

	l.w.b = l.w.p = NULL;
	tiny_begin(&t);
	tiny_input(&t, "x", 1, "T,N,7");
	rnn_onnx_layer(&t, &l.s, &l.w,
		       &(struct rnn_onnx_names){.name = "it", .x = "x", .y_h = "y"});
	tiny_output(&t, "y", 1, "1,N,33");
	assert_int_equal(tiny_write(&t, path), PS_OK);
	drop(&l);
}

static enum ps_status open_with(int door, const char *path, const char *precision,
				const char *calibration, double max_error, struct ran *r,
				struct ps_error *err)
{
	const struct ps_engine_open o = {.path = path,
					 .wide = true,
					 .rnn = precision,
					 .rnn_max_error = max_error,
					 .rnn_calibration = calibration};

	memset(r, 0, sizeof *r);
	ps_error_clear(err);
	enum ps_status st = doors[door].ops->open(doors[door].engine, &o, &r->instance, err);
	if (st == PS_OK)
		doors[door].ops->describe(r->instance, &r->d);
	return st;
}

/* ---- one input ---- */

/* What is refused on drawn input is fine on input that it is exact for, and the other way round. */
static void test_by_input(void **unused)
{
	static const struct {
		float sizes[3]; /* of the files; 0 ends but for the first */
		bool is_folder;
		double limit;
		enum ps_status status;
	} cases[] = {{{0}, false, STRICT, PS_OK},
		     {{1}, false, STRICT, PS_EINVAL},
		     {{1}, false, 0, PS_OK},
		     {{0}, true, STRICT, PS_OK},
		     {{0, 2, 1}, true, STRICT, PS_EINVAL},
		     {{1, 2, 3}, true, 0, PS_OK}};
	char *path = place(dir, "plain.onnx");

	(void)unused;
	state = 41;
	write_plain(path);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char name[32], *input;
		snprintf(name, sizeof name, "inputs-%zu", i);
		input = cases[i].is_folder ? folder(dir, name) : place(dir, "x.npy");
		for (int k = 0; k < 3 && (k == 0 || cases[i].sizes[k] > 0); k++) {
			snprintf(name, sizeof name, "%d.npy", k);
			write_x(cases[i].is_folder ? path_in(input, name) : input, 9, 2,
				cases[i].sizes[k]);
		}
		for (int door = INSIDE; door < DOORS; door++) {
			struct ps_error err;
			struct ran r;
			if (!is_there(door))
				continue;
			enum ps_status st =
				open_with(door, path, "int8", input, cases[i].limit, &r, &err);
			if (st != cases[i].status)
				fail_msg("case %zu, %s: %s: %s", i, doors[door].label, err.where,
					 st == PS_OK ? "opened" : err.what);
			if (st == PS_OK)
				close_door(door, &r);
			else if (!strstr(err.what,
					 "off float32 on calibration input, and 1e-06 is") ||
				 !strstr(err.where, "node 'it' (LSTM)"))
				fail_msg("case %zu: %s: %s", i, err.where, err.what);
		}
	}
	struct ps_error err;
	struct ran r;
	assert_int_equal(open_with(OWN, path, "int8", NULL, STRICT, &r, &err), PS_EINVAL);
	assert_int_equal(open_with(OWN, path, "float32", "/nowhere", STRICT, &r, &err), PS_OK);
	close_door(OWN, &r);
}

/* The limit is held against what the layer really does on that input, and measuring leaves nothing
 * behind: the same answers, the same memory. */
static void test_is_exact(void **unused)
{
	static const char *const precisions[] = {"bf16", "int8"};
	static const int64_t shape[] = {6, 2, 7};
	char *path = place(dir, "stack.onnx"), *input = place(dir, "one.npy");
	struct layer first, second;
	struct ps_error err;

	(void)unused;
	state = 42;
	draw_stack(&first, &second);
	write_stack(&first, &second, path);
	struct ps_tensor in = drawn("x", 3, shape);
	write_npy(input, "<f4", 3, shape, in.data, in.bytes);
	for (int door = INSIDE; door < DOORS; door++) {
		for (int p = 0; p < 2 && is_there(door); p++) {
			struct ran with, without;
			must(open_with(door, path, precisions[p], NULL, 0, &without, &err),
			     "without", &err);
			must(open_with(door, path, precisions[p], input, 0, &with, &err), "with",
			     &err);
			must(run_door(door, &without, false, &in, &err), "without", &err);
			must(run_door(door, &with, false, &in, &err), "with", &err);
			for (int k = 0; k < with.d.n_outputs; k++)
				assert_memory_equal(with.out[k].data, without.out[k].data,
						    with.out[k].bytes);
			close_door(door, &with);
			close_door(door, &without);
		}
	}
	drop(&first);
	drop(&second);
}

/* ---- several inputs ---- */

static void write_two(const char *path)
{
	struct layer l = draw_weights(ps_rnn_spec_default(PS_RNN_GRU, 7, 20));
	struct tiny_onnx t;

	tiny_begin(&t);
	tiny_input(&t, "in/x", 1, "T,N,7");
	tiny_input(&t, "lens", 6, "N");
	rnn_onnx_layer(
		&t, &l.s, &l.w,
		&(struct rnn_onnx_names){.name = "it", .x = "in/x", .lens = "lens", .y = "y"});
	tiny_output(&t, "y", 1, "T,1,N,20");
	assert_int_equal(tiny_write(&t, path), PS_OK);
	drop(&l);
}

static void write_set(const char *to, int32_t len)
{
	static const int64_t two = 2;
	const int32_t lens[] = {len, len};

	write_x(path_in(to, "in_x.npy"), 5, 2, 1);
	write_npy(path_in(to, "lens.npy"), "<i4", 1, &two, lens, sizeof lens);
}

static void test_several_inputs(void **unused)
{
	char *path = place(dir, "two.onnx"), *one = folder(dir, "one-set"),
	     *sets = folder(dir, "sets"), *empty = folder(dir, "empty-set");
	const struct {
		const char *input, *what;
		enum ps_status status;
	} cases[] = {{one, NULL, PS_OK},
		     {sets, NULL, PS_OK},
		     {empty, "no step of the calibration input reaches it", PS_EINVAL},
		     {path, "has 2 inputs: a folder of INPUT.npy files is due", PS_EINVAL}};

	(void)unused;
	state = 43;
	write_two(path);
	write_set(one, 3);
	write_set(folder(sets, "a"), 5);
	write_set(folder(sets, "b"), 1);
	/* Steps that are there and belong to no sequence are zeros in both. */
	write_x(path_in(empty, "in_x.npy"), 0, 2, 1);
	write_npy(path_in(empty, "lens.npy"), "<i4", 1, &(int64_t){2}, (int32_t[]){0, 0}, 8);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ps_error err;
		struct ran r;
		enum ps_status st = open_with(OWN, path, "int8", cases[i].input, 0, &r, &err);
		if (st != cases[i].status || (st != PS_OK && !strstr(err.what, cases[i].what)))
			fail_msg("case %zu: %s: %s", i, err.where, st == PS_OK ? "ok" : err.what);
		if (st == PS_OK)
			close_door(OWN, &r);
	}
}

/* ---- what is refused ---- */

static void test_refused(void **unused)
{
	static const int64_t flat[] = {6, 7}, wide[] = {3, 1, 8}, fine[] = {3, 1, 7};
	static const float zeros[64];
	char *path = place(dir, "refused.onnx"), *none = folder(dir, "none");
	char *file[4];
	struct ps_error err;
	struct ran r;

	(void)unused;
	state = 44;
	write_plain(path);
	file[0] = place(dir, "flat.npy");
	write_npy(file[0], "<f4", 2, flat, zeros, 168);
	file[1] = place(dir, "wide.npy");
	write_npy(file[1], "<f4", 3, wide, zeros, 96);
	file[2] = place(dir, "double.npy");
	write_npy(file[2], "<f8", 3, fine, zeros, 168);
	file[3] = place(dir, "broken.npy");
	assert_int_equal(ps_file_write(file[3], "\x93NUMPY", 6, NULL), PS_OK);
	const struct {
		const char *input, *what;
		enum ps_status status;
	} cases[] = {{"/nowhere.npy", "", PS_ENOTFOUND},
		     {none, "no *.npy file", PS_EINVAL},
		     {file[0], "'x' has shape [-1,-1,7], the file [6,7]", PS_EINVAL},
		     {file[1], "'x' has shape [-1,-1,7], the file [3,1,8]", PS_EINVAL},
		     {file[2], "'x' is of type FP32, the file holds FP64", PS_EINVAL},
		     {file[3], "no file of NumPy", PS_EPARSE}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (int door = INSIDE; door < DOORS; door++) {
			if (!is_there(door))
				continue;
			enum ps_status st =
				open_with(door, path, "int8", cases[i].input, 0, &r, &err);
			if (st != cases[i].status || !strstr(err.what, cases[i].what) ||
			    !strstr(err.where, cases[i].input))
				fail_msg("case %zu: %d, %s: %s", i, (int)st, err.where, err.what);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_input),
		cmocka_unit_test(test_is_exact),
		cmocka_unit_test(test_several_inputs),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
