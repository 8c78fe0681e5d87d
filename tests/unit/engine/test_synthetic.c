#include "engine/engine.h"

#include "base/clock.h"
#include "base/file.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static const struct ps_engine_ops *ops;
static struct ps_engine *engine;
static char dir[] = "/tmp/perseus-test-XXXXXX";

#define TENSORS                                                                                    \
	"inputs: [{name: x, datatype: FP32, shape: [-1, 4]}]\n"                                    \
	"outputs: [{name: y, datatype: FP32, shape: [-1, 2]}]\n"

static enum ps_status open_text(const char *text, struct ps_engine_instance **ret,
				struct ps_error *err)
{
	char path[128];
	const struct ps_engine_open o = {.path = path};

	snprintf(path, sizeof(path), "%s/m.synthetic.yaml", dir);
	assert_int_equal(ps_file_write(path, text, strlen(text), NULL), PS_OK);
	return ops->open(engine, &o, ret, err);
}

static struct ps_engine_instance *open_ok(const char *text)
{
	struct ps_engine_instance *i = NULL;
	struct ps_error err;

	if (open_text(text, &i, &err) != PS_OK)
		fail_msg("%s: %s (%s)", err.where, err.what, err.hint);
	return i;
}

static void *give(void *ctx, size_t bytes)
{
	(void)ctx;
	return malloc(bytes);
}

static enum ps_status run_rows(struct ps_engine_instance *i, float *x, int64_t rows,
			       struct ps_tensor *out)
{
	struct ps_tensor in = {.dtype = PS_DTYPE_FP32,
			       .rank = 2,
			       .dims = {rows, 4},
			       .data = x,
			       .bytes = (size_t)rows * 16};
	struct ps_engine_run run = {
		.inputs = &in, .outputs = out, .n_inputs = 1, .n_outputs = 1, .alloc = give};

	memset(out, 0, sizeof(*out));
	return ops->run(i, &run, NULL);
}

static int64_t timed(struct ps_engine_instance *i, int64_t rows)
{
	float x[64] = {0};
	int64_t began_ns = ps_clock_now_ns();
	struct ps_tensor out;

	assert_int_equal(run_rows(i, x, rows, &out), PS_OK);
	free(out.data);
	return ps_clock_now_ns() - began_ns;
}

static void test_bad_files(void **state)
{
	static const struct {
		const char *text, *what;
	} rows[] = {
		{"", "inputs"},
		{"inputs: [{name: x}]\n", "outputs"},
		{TENSORS "service: sometimes\n", "sometimes"},
		{TENSORS "mean: 5\n", ""},
		{TENSORS "mean: -2ms\n", ""},
		{TENSORS "colour: red\n", "colour"},
		{TENSORS "service: recorded\n", "no durations"},
		{TENSORS "durations: [1ms]\n", "not recorded"},
		{TENSORS "service: recorded\ndurations: [1ms, soon]\n", "soon"},
		{"inputs: [{name: x, datatype: FP31, shape: [1]}]\noutputs: [{name: y}]\n", "FP31"},
		{"inputs: [{name: x, shape: [1, -2]}]\noutputs: [{name: y}]\n", "-2"},
		{"inputs: [{name: x, shape: [1, many]}]\noutputs: [{name: y}]\n", "many"},
		{"inputs: [{name: x, shape: [1,1,1,1,1,1,1,1,1]}]\noutputs: [{name: y}]\n",
		 "dimensions"},
		{"inputs: [{name: x}, {name: x}]\noutputs: [{name: y}]\n", "two tensors"},
		{"inputs: [{name: x, shape: [4]}]\noutputs: [{name: y, shape: [-1]}]\n",
		 "no input leaves"},
		{TENSORS "each_row: fast\n", "each_row"},
		{TENSORS "wide_speedup: 0.5\n", "wide_speedup"},
		{TENSORS "echo: true\n", "echo"},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		struct ps_engine_instance *i = NULL;
		struct ps_error err;
		char all[1200];

		ps_error_clear(&err);
		if (open_text(rows[k].text, &i, &err) != PS_EPARSE ||
		    !strstr(ps_error_format(&err, all, sizeof(all)), rows[k].what))
			fail_msg("row %zu: %s: %s", k, ps_status_name(err.status), all);
		assert_non_null(strstr(err.where, "m.synthetic.yaml"));
		assert_null(i);
	}
}

static void test_answers(void **state)
{
	struct ps_engine_instance *i = open_ok(TENSORS "mean: 0ms\n");
	float x[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	struct ps_tensor both, again, first, second;

	(void)state;
	assert_int_equal(run_rows(i, x, 2, &both), PS_OK);
	assert_int_equal(both.dims[0], 2);
	assert_int_equal(both.bytes, 16);
	assert_int_equal(run_rows(i, x, 2, &again), PS_OK);
	assert_memory_equal(both.data, again.data, 16);
	assert_int_equal(run_rows(i, x, 1, &first), PS_OK);
	assert_int_equal(run_rows(i, x + 4, 1, &second), PS_OK);
	assert_memory_equal(both.data, first.data, 8); /* a batch is its rows */
	assert_memory_equal((char *)both.data + 8, second.data, 8);
	assert_memory_not_equal(first.data, second.data, 8);
	for (int k = 0; k < 4; k++)
		assert_true(((float *)both.data)[k] >= 0 && ((float *)both.data)[k] < 1);
	free(both.data);
	free(again.data);
	free(first.data);
	free(second.data);
	ops->close(i);
}

static void test_every_type(void **state)
{
	static const struct {
		const char *name;
		size_t bytes; /* of two elements */
	} rows[] = {{"BOOL", 2},    {"UINT8", 2},  {"INT8", 2},	  {"UINT16", 4}, {"INT16", 4},
		    {"FP16", 4},    {"BF16", 4},   {"UINT32", 8}, {"INT32", 8},	 {"FP32", 8},
		    {"UINT64", 16}, {"INT64", 16}, {"FP64", 16},  {"BYTES", 24}};

	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		struct ps_tensor out;
		struct ps_engine_instance *i;
		float x[4] = {0};
		char text[256];

		snprintf(text, sizeof(text),
			 "inputs: [{name: x, shape: [-1, 4]}]\n"
			 "outputs: [{name: y, datatype: %s, shape: [-1, 2]}]\nmean: 0ms\n",
			 rows[k].name);
		i = open_ok(text);
		assert_int_equal(run_rows(i, x, 1, &out), PS_OK);
		assert_int_equal(out.bytes, rows[k].bytes);
		assert_string_equal(ps_dtype_name(out.dtype), rows[k].name);
		free(out.data);
		ops->close(i);
	}
}

static void test_rows_must_agree(void **state)
{
	struct ps_engine_instance *i = open_ok(
		"inputs: [{name: a, datatype: BYTES, shape: [-1]}, {name: b, shape: [-1]}]\n"
		"outputs: [{name: y, shape: [-1]}]\nmean: 0ms\n");
	char text[] = "\1\0\0\0q";
	float b[2] = {1, 2};
	struct ps_tensor in[2] = {
		{.dtype = PS_DTYPE_BYTES, .rank = 1, .dims = {1}, .data = text, .bytes = 5},
		{.dtype = PS_DTYPE_FP32, .rank = 1, .dims = {2}, .data = b, .bytes = 8}};
	struct ps_tensor out = {0};
	struct ps_engine_run run = {
		.inputs = in, .outputs = &out, .n_inputs = 2, .n_outputs = 1, .alloc = give};

	(void)state;
	assert_int_equal(ops->run(i, &run, NULL), PS_EINVAL);
	in[1].dims[0] = 1;
	in[1].bytes = 4;
	assert_int_equal(ops->run(i, &run, NULL), PS_OK);
	in[0].bytes = 4; /* announces one byte that is not there */
	assert_int_equal(ops->run(i, &run, NULL), PS_EINVAL);
	free(out.data);
	ops->close(i);
}

/* The least of several runs, since the machine may be busy with others. */
static int64_t least(struct ps_engine_instance *i, int64_t rows, int n)
{
	int64_t best = INT64_MAX;

	for (int k = 0; k < n; k++) {
		int64_t ns = timed(i, rows);

		best = ns < best ? ns : best;
	}
	return best;
}

static void test_service_times(void **state)
{
	static const struct {
		const char *text;
		int64_t rows, want_ns;
		double over; /* how much longer it may take */
	} rows[] = {
		{TENSORS "mean: 2ms\n", 1, 2000000, 1.02},
		{TENSORS "mean: 2ms\n", 4, 2000000, 1.02},
		{TENSORS "mean: 2ms\nper: row\n", 4, 8000000, 1.02},
		{TENSORS "mean: 3ms\nmode: sleep\n", 1, 3000000, 1.5},
		{TENSORS "service: recorded\ndurations: [2ms, 2ms]\n", 1, 2000000, 1.02},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		struct ps_engine_instance *i = open_ok(rows[k].text);
		int64_t ns = least(i, rows[k].rows, 10);

		assert_true(ns >= rows[k].want_ns);
		assert_true((double)ns <= rows[k].over * (double)rows[k].want_ns);
		ops->close(i);
	}
}

static void test_recorded_order(void **state)
{
	struct ps_engine_instance *i;
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/times.txt", dir);
	assert_int_equal(ps_file_write(path, "# two\n1ms\n40ms\n", 15, NULL), PS_OK);
	i = open_ok(TENSORS "service: recorded\nmode: sleep\ndurations_file: times.txt\n");
	int64_t least_even = INT64_MAX;

	for (int k = 0; k < 6; k++) {
		int64_t ns = timed(i, 1);

		if (k % 2 == 1)
			assert_true(ns >= 40000000);
		else if (ns < least_even)
			least_even = ns;
	}
	assert_true(least_even < 40000000);
	ops->close(i);
}

static void test_exponential(void **state)
{
	struct ps_engine_instance *i = open_ok(TENSORS "service: exponential\nmean: 1ms\n");
	int64_t sum = 0;
	int over = 0;

	(void)state;
	for (int k = 0; k < 200; k++) {
		int64_t ns = timed(i, 1);

		sum += ns;
		over += ns > 2302585; /* a tenth of all */
	}
	assert_true(sum > 200 * 700000); /* 4 standard deviations */
	assert_true(over >= 4);
	ops->close(i);
}

/* Only bounds that a busy machine cannot break: it makes runs longer, never shorter. */
static void test_stall(void **state)
{
	struct ps_engine_instance *i =
		open_ok(TENSORS "mean: 30ms\nstall: {at: 10ms, for: 100ms}\n");
	int64_t began_ns, elapsed_ns;
	int runs = 0;

	(void)state;
	assert_true(timed(i, 1) >= 130000000);	/* it was inside when the stall came */
	assert_true(least(i, 1, 3) < 60000000); /* once only */
	ops->close(i);

	i = open_ok(TENSORS "mean: 1ms\nstall: {at: 20ms, for: 100ms}\n");
	began_ns = ps_clock_now_ns();
	do {
		timed(i, 1);
		runs++;
		elapsed_ns = ps_clock_now_ns() - began_ns;
	} while (elapsed_ns < 200000000);
	assert_true(runs <= (elapsed_ns - 100000000) / 1000000 + 2);
	ops->close(i);
}

struct canceller {
	struct ps_engine_instance *i;
	struct ps_engine_run *run;
};

static void *cancel_thread(void *arg)
{
	struct canceller *c = arg;

	ps_clock_sleep_until_ns(ps_clock_now_ns() + 5000000);
	ops->cancel(c->i, c->run);
	return NULL;
}

static void test_cancel(void **state)
{
	static const char *const texts[] = {TENSORS "mean: 20s\n",
					    TENSORS "mean: 20s\nmode: sleep\n",
					    TENSORS "mean: 1ms\nstall: {at: 0, for: 20s}\n"};

	(void)state;
	for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++) {
		float x[4] = {0};
		struct ps_tensor in = {.dtype = PS_DTYPE_FP32,
				       .rank = 2,
				       .dims = {1, 4},
				       .data = x,
				       .bytes = 16},
				 out = {0};
		struct ps_engine_run run = {.inputs = &in,
					    .outputs = &out,
					    .n_inputs = 1,
					    .n_outputs = 1,
					    .alloc = give};
		struct canceller c = {open_ok(texts[k]), &run};
		int64_t began_ns = ps_clock_now_ns();
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, cancel_thread, &c), 0);
		assert_int_equal(ops->run(c.i, &run, NULL), PS_ECANCELLED);
		pthread_join(thread, NULL);
		assert_true(ps_clock_now_ns() - began_ns < 5000000000);
		free(out.data);
		ops->close(c.i);
	}
}

static int group_setup(void **state)
{
	(void)state;
	ops = ps_engine_find("synthetic");
	return !mkdtemp(dir) || ops->start(&(struct ps_engine_options){0}, &engine, NULL) != PS_OK;
}

static int group_teardown(void **state)
{
	char command[128];

	(void)state;
	ops->stop(engine);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void test_find(void **state)
{
	static const struct {
		const char *path, *engine;
	} rows[] = {
		{"a/m.onnx", "onnxruntime"},
		{"m.ort", "onnxruntime"},
		{"m.synthetic.yaml", "synthetic"},
		{"m.yaml", NULL},
		{".onnx", NULL},
		{"m.onnx.txt", NULL},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		const struct ps_engine_ops *o = ps_engine_for_path(rows[k].path);

		assert_string_equal(o ? o->name : "none", rows[k].engine ? rows[k].engine : "none");
	}
	assert_null(ps_engine_find("abacus"));
}

static int64_t timed_wide(struct ps_engine_instance *i)
{
	float x[4] = {0};
	struct ps_tensor out = {0}, in = {.dtype = PS_DTYPE_FP32,
					  .rank = 2,
					  .dims = {1, 4},
					  .data = x,
					  .bytes = 16};
	struct ps_engine_run run = {.inputs = &in,
				    .outputs = &out,
				    .n_inputs = 1,
				    .n_outputs = 1,
				    .wide = true,
				    .alloc = give};
	int64_t began_ns = ps_clock_now_ns();

	assert_int_equal(ops->run(i, &run, NULL), PS_OK);
	free(out.data);
	return ps_clock_now_ns() - began_ns;
}

/* Never quicker than declared; on a busy machine one of many tries is not much slower. */
static void takes(struct ps_engine_instance *i, int64_t rows, bool wide, int64_t least_ns,
		  int64_t most_ns)
{
	int64_t ns = INT64_MAX;

	for (int k = 0; k < 50 && ns > most_ns; k++) {
		ns = wide ? timed_wide(i) : timed(i, rows);
		assert_true(ns >= least_ns);
	}
	assert_true(ns <= most_ns);
}

static void test_rows_and_width_cost_what_is_declared(void **state)
{
	struct ps_engine_instance *i =
		open_ok(TENSORS "mean: 8ms\neach_row: 2ms\nwide_speedup: 2.5\n");

	(void)state;
	takes(i, 1, false, 10000000, 19000000);
	takes(i, 6, false, 20000000, 29000000);
	takes(i, 1, true, 4000000, 9900000);
	ops->close(i);
}

/* Every datatype comes back byte for byte, with its shape. */
static void test_echo(void **state)
{
	static const struct {
		const char *name;
		size_t size;
	} types[] = {{"BOOL", 1}, {"UINT8", 1}, {"UINT16", 2}, {"UINT32", 4}, {"UINT64", 8},
		     {"INT8", 1}, {"INT16", 2}, {"INT32", 4},  {"INT64", 8},  {"FP16", 2},
		     {"BF16", 2}, {"FP32", 4},	{"FP64", 8},   {"BYTES", 0}};

	(void)state;
	for (size_t k = 0; k < sizeof(types) / sizeof(types[0]); k++) {
		unsigned char data[48] = "\3\0\0\0abc\0\0\0\0\1\0\0\0x\2\0\0\0yz\0\0\0\0\0\0\0";
		size_t bytes = types[k].size ? 6 * types[k].size : 30;
		char text[300];
		struct ps_tensor out = {0}, in = {.rank = 2, .dims = {2, 3}, .data = data};
		struct ps_engine_run run = {.inputs = &in,
					    .outputs = &out,
					    .n_inputs = 1,
					    .n_outputs = 1,
					    .alloc = give};
		struct ps_engine_instance *i;

		snprintf(text, sizeof(text),
			 "inputs: [{name: a, datatype: %s, shape: [-1, -1]}]\n"
			 "outputs: [{name: b, datatype: %s, shape: [-1, -1]}]\n"
			 "echo: true\nmean: 0\n",
			 types[k].name, types[k].name);
		i = open_ok(text);
		in.dtype = ps_dtype_from_name(types[k].name, strlen(types[k].name));
		in.bytes = bytes;
		for (size_t b = 0; types[k].size && b < bytes; b++)
			data[b] = (unsigned char)(in.dtype == PS_DTYPE_BOOL ? b & 1 : 37 * b);
		assert_int_equal(ops->run(i, &run, NULL), PS_OK);
		assert_int_equal(out.bytes, bytes);
		assert_int_equal(out.dtype, in.dtype);
		assert_int_equal(out.dims[0], 2);
		assert_int_equal(out.dims[1], 3);
		assert_memory_equal(out.data, data, bytes);
		free(out.data);
		ops->close(i);
	}
}

static void test_batch_axis(void **state)
{
	static const struct {
		const char *text;
		bool batch_axis;
	} rows[] = {
		{TENSORS, true},
		{"inputs: [{name: x, shape: [1, -1]}]\noutputs: [{name: y, shape: [1]}]\n", false},
		{"inputs: [{name: x, shape: [-1]}, {name: n}]\noutputs: [{name: y, shape: [-1]}]\n",
		 false},
		{"inputs: [{name: x, shape: [-1]}]\noutputs: [{name: y, shape: [4]}]\n", false},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		struct ps_engine_instance *i = open_ok(rows[k].text);
		struct ps_engine_describe d;

		ops->describe(i, &d);
		assert_int_equal(d.batch_axis, rows[k].batch_axis);
		assert_string_equal(d.device, "cpu");
		ops->close(i);
	}
}

/* What is said of the model that was opened last before it is opened. */
static void check_forecast(int64_t bytes)
{
	char path[128];
	struct ps_engine_need need;
	struct ps_error err;

	snprintf(path, sizeof(path), "%s/m.synthetic.yaml", dir);
	struct ps_engine_open open = {.path = path};
	assert_int_equal(ops->need(NULL, &open, &need, &err), PS_OK);
	assert_in_range(need.resident_bytes, bytes, bytes + 65536);
	assert_int_equal(need.load_bytes, need.resident_bytes);
	open.path = "/nowhere.synthetic.yaml";
	assert_int_equal(ops->need(NULL, &open, &need, &err), PS_ENOTFOUND);
}

static void test_loading_costs_what_is_declared(void **state)
{
	struct ps_engine_instance *i = open_ok(TENSORS "load_time: 30ms\nmemory: 8MiB\n");
	struct ps_engine_memory m;
	struct ps_error err;

	(void)state;
	ops->memory(i, &m);
	assert_true(m.load_ns >= 30000000);
	assert_in_range(m.private_bytes, 8 << 20, (8 << 20) + 65536);
	ops->close(i);
	check_forecast(8 << 20);
	ops->close(open_ok(TENSORS "memory: 8MiB\nclaims: 2MiB\n"));
	check_forecast(2 << 20);
	assert_int_equal(open_text(TENSORS "broken: \"the graph has a cycle\"\n", &i, &err),
			 PS_EPARSE);
	assert_string_equal(err.what, "the graph has a cycle");
}

static void test_no_gpu(void **state)
{
	const struct ps_engine_open o = {.path = "/nowhere", .device = "cuda:0"};
	const struct ps_engine_open bad = {.path = "/nowhere", .device = "tpu"};
	struct ps_engine_instance *i;

	(void)state;
	assert_int_equal(ops->open(engine, &o, &i, NULL), PS_EUNSUPPORTED);
	assert_int_equal(ops->open(engine, &bad, &i, NULL), PS_EINVAL);
}

static void *open_slow(void *arg)
{
	static struct ps_engine_instance *i;
	char path[128];
	const struct ps_engine_open o = {.path = path};

	snprintf(path, sizeof(path), "%s/slow.synthetic.yaml", dir);
	return (void *)(intptr_t)ops->open(arg, &o, &i, NULL);
}

static void test_loading_can_be_interrupted(void **state)
{
	static const char text[] = TENSORS "load_time: 600s\n";
	const struct ps_engine_options o = {0};
	struct ps_engine *e;
	pthread_t t;
	char path[128];
	void *status;

	(void)state;
	snprintf(path, sizeof(path), "%s/slow.synthetic.yaml", dir);
	assert_int_equal(ps_file_write(path, text, strlen(text), NULL), PS_OK);
	assert_int_equal(ops->start(&o, &e, NULL), PS_OK);
	assert_int_equal(pthread_create(&t, NULL, open_slow, e), 0);
	ops->interrupt(e);
	assert_int_equal(pthread_join(t, &status), 0);
	assert_int_equal((intptr_t)status, PS_ECANCELLED);
	ops->stop(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_every_type),
		cmocka_unit_test(test_rows_must_agree),
		cmocka_unit_test(test_service_times),
		cmocka_unit_test(test_recorded_order),
		cmocka_unit_test(test_exponential),
		cmocka_unit_test(test_stall),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_rows_and_width_cost_what_is_declared),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_batch_axis),
		cmocka_unit_test(test_loading_costs_what_is_declared),
		cmocka_unit_test(test_no_gpu),
		cmocka_unit_test(test_loading_can_be_interrupted),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
