// sanitizers: not for thread (ONNX Runtime is not instrumented)
/* Where the time of runs went: profiles as the library writes them, broken ones, a real one. */
#include "support/ort_fixture.h"

#include "engine/onnxruntime/ort_internal.h"

#define RUN(ts) "{\"cat\":\"Session\",\"name\":\"model_run\",\"ts\":" #ts ",\"dur\":50,\"args\":{}}"
#define NODE(ts, op)                                                                               \
	"{\"cat\":\"Node\",\"name\":\"n_kernel_time\",\"ts\":" #ts                                 \
	",\"dur\":10,\"args\":{\"op_name\":\"" op "\"}}"
#define OTHER "{\"cat\":\"Node\",\"name\":\"n_fence_before\",\"ts\":1,\"dur\":9,\"args\":{}}"

static void test_texts(void **state)
{
	static const struct {
		const char *text;
		int64_t skip;
		enum ps_status status;
		int64_t runs, run_ns, calls, total_ns; /* of the first operator */
		const char *first;
	} rows[] = {
		{"[" RUN(100) "," NODE(110, "Conv") "," NODE(120, "Add") "," NODE(130, "Conv") "]",
		 0, PS_OK, 1, 50000, 2, 20000, "Conv"},
		/* the run that is skipped comes first in time, wherever it stands */
		{"[" NODE(10, "Add") "," RUN(5) "," NODE(210, "Conv") "," RUN(200) "," OTHER "]", 1,
		 PS_OK, 1, 50000, 1, 10000, "Conv"},
		{"[" RUN(100) "," NODE(110, "Conv") ",{}]", 0, PS_OK, 1, 50000, 1, 10000, "Conv"},
		{"[" RUN(100) "," NODE(110, "Conv") "]", 1, PS_EENGINE, 0, 0, 0, 0, NULL},
		{"[" RUN(100) "]", 0, PS_EENGINE, 0, 0, 0, 0, NULL},
		{"[" RUN(100) ",", 0, PS_EENGINE, 0, 0, 0, 0, NULL},
		{"{}", 0, PS_EENGINE, 0, 0, 0, 0, NULL},
		{"", 0, PS_EENGINE, 0, 0, 0, 0, NULL},
	};
	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		struct ps_engine_profile p = {.len = 0};
		struct ps_error err;

		if (ps_ort_profile_read(rows[k].text, strlen(rows[k].text), rows[k].skip, &p,
					&err) != rows[k].status)
			fail_msg("row %zu: %s", k, err.what);
		if (rows[k].status != PS_OK)
			continue;
		assert_int_equal(p.runs, rows[k].runs);
		assert_int_equal(p.run_ns, rows[k].run_ns);
		assert_string_equal(p.operators[0].name, rows[k].first);
		assert_int_equal(p.operators[0].calls, rows[k].calls);
		assert_int_equal(p.operators[0].total_ns, rows[k].total_ns);
		assert_int_equal(p.nodes_len, 1 + (p.len > 1));
		assert_string_equal(p.nodes[0].name, "n");
		free(p.operators);
		free(p.nodes);
	}
}

#define NAMED(ts, name, op, dur)                                                                   \
	"{\"cat\":\"Node\",\"name\":\"" name "_kernel_time\",\"ts\":" #ts ",\"dur\":" #dur         \
	",\"args\":{\"op_name\":\"" op "\"}}"

/* Two nodes of one operator are one row of operators, and two of nodes, in the order of a run. */
static void test_nodes(void **state)
{
	static const char text[] = "[" RUN(100) "," NAMED(110, "a", "Conv", 10) "," NAMED(
		120, "b", "Relu",
		1) "," NAMED(130, "c", "Conv",
			     5) "," RUN(200) "," NAMED(210, "a", "Conv",
						       20) "," NAMED(220, "b", "Relu",
								     3) "," NAMED(230, "c", "Conv",
										  7) "]";
	static const struct {
		const char *name, *op;
		int64_t total_ns;
	} want[] = {{"a", "Conv", 30000}, {"b", "Relu", 4000}, {"c", "Conv", 12000}};
	struct ps_engine_profile p = {.len = 0};
	struct ps_error err;

	(void)state;
	assert_int_equal(ps_ort_profile_read(text, strlen(text), 0, &p, &err), PS_OK);
	assert_int_equal(p.len, 2);
	assert_int_equal(p.nodes_len, 3);
	for (size_t k = 0; k < 3; k++) {
		assert_string_equal(p.nodes[k].name, want[k].name);
		assert_string_equal(p.nodes[k].op, want[k].op);
		assert_int_equal(p.nodes[k].calls, 2);
		assert_int_equal(p.nodes[k].total_ns, want[k].total_ns);
	}
	free(p.operators);
	free(p.nodes);
}

static void test_real(void **state)
{
	struct ps_engine *e = start(0, cache);
	char *path = write_matmul("profiled.onnx"), *prefix = path_in(dir, "profile");
	const struct ps_engine_open o = {.path = path, .profile = prefix};
	struct ps_engine_instance *i = NULL;
	struct ps_engine_profile p = {.len = 0};
	struct ps_error err;
	float x[4] = {1, 0, 0, 0};
	bool matmul = false;

	(void)state;
	if (ops->open(e, &o, &i, &err) != PS_OK)
		fail_msg("%s", err.what);
	for (int k = 0; k < 12; k++) {
		struct ps_tensor in = tensor(PS_DTYPE_FP32, 1, 4, x, sizeof(x)), out = {0};
		assert_int_equal(run1(i, false, &in, &out, &err), PS_OK);
	}
	if (ops->profile(i, 2, &p, &err) != PS_OK)
		fail_msg("%s", err.what);
	assert_int_equal(p.runs, 10);
	assert_true(p.run_ns > 0);
	for (size_t k = 0; k < p.len; k++) {
		matmul = matmul || strstr(p.operators[k].name, "MatMul") != NULL;
		assert_true(p.operators[k].calls % 10 == 0);
		assert_true(k == 0 || p.operators[k].total_ns <= p.operators[k - 1].total_ns);
	}
	assert_true(matmul);
	assert_true(p.nodes_len >= p.len);
	free(p.operators);
	free(p.nodes);
	assert_int_equal(count_files(dir, ".json"), 0); /* its file is gone */
	ops->close(i);
	ops->stop(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_real),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
