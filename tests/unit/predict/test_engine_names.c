// needs: engine
// sanitizers: not for thread (ONNX Runtime is not instrumented)
/* What is predicted to run is what the engine's own profile says has run, node by node. */
#include "support/ort_fixture.h"

#include "model/onnx.h"
#include "model/zoo.h"
#include "predict/match.h"

static int block(void)
{
#if defined(__x86_64__)
	return __builtin_cpu_supports("avx512f") ? 16 : 8;
#else
	return 0;
#endif
}

/* Two runs of a network of the zoo under the profiler; the first is not counted. */
static void profile(const char *path, int size, struct ps_engine_profile *ret)
{
	char *prefix = path_in(dir, "profile");
	const struct ps_engine_open o = {.path = path, .profile = prefix};
	struct ps_engine *e = start(0, cache);
	struct ps_engine_instance *i = NULL;
	struct ps_error err;
	size_t n = (size_t)3 * (size_t)size * (size_t)size;
	float *x = calloc(n, sizeof(*x));

	assert_non_null(x);
	if (ops->open(e, &o, &i, &err) != PS_OK)
		fail_msg("%s", err.what);
	for (int k = 0; k < 2; k++) {
		struct ps_tensor in = {.dtype = PS_DTYPE_FP32,
				       .rank = 4,
				       .dims = {1, 3, size, size},
				       .data = x,
				       .bytes = n * sizeof(*x)};
		struct ps_tensor out = {0};
		if (run1(i, false, &in, &out, &err) != PS_OK)
			fail_msg("%s", err.what);
	}
	if (ops->profile(i, 1, ret, &err) != PS_OK)
		fail_msg("%s", err.what);
	ops->close(i);
	ops->stop(e);
	free(x);
}

static void compare(const char *name, const struct ps_engine_profile *p, struct ps_predict_model *m)
{
	struct ps_predict_node_time *rows = calloc(p->nodes_len + 1, sizeof(*rows));
	struct ps_predict_matched got;

	assert_non_null(rows);
	for (size_t k = 0; k < p->nodes_len; k++)
		rows[k] = (struct ps_predict_node_time){p->nodes[k].op, p->nodes[k].name,
							(double)p->nodes[k].total_ns + 1};
	assert_int_equal(ps_predict_match(m, rows, p->nodes_len, &got, NULL), PS_OK);
	if (got.ops != m->op_count || got.nodes != p->nodes_len)
		fail_msg("%s: %zu of %zu operators, %zu of %zu nodes; %s has no operator, %s no "
			 "node",
			 name, got.ops, m->op_count, got.nodes, p->nodes_len,
			 got.lost_node ? got.lost_node : "none",
			 got.untimed_op ? got.untimed_op : "none");
	free(rows);
}

static void test_zoo(void **state)
{
	/* small files that have, between them, every operator and fusion of the zoo */
	static const char *const names[] = {"squeezenet1_1", "mobilenet_v2", "efficientnet_b0",
					    "googlenet", "densenet121"};
	const struct ps_predict_target target = {.batch = 1, .block = block(), .fused = true};

	(void)state;
	if (!target.block) {
		print_message("the engine's blocks of channels are known on x86-64 only\n");
		skip();
	}
	for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
		const struct ps_zoo_entry *entry = ps_zoo_find(names[k]);
		char *path = path_in(dir, "m.onnx");
		struct ps_engine_profile p = {.len = 0};
		struct ps_predict_model m;
		struct ps_error err;

		assert_int_equal(ps_zoo_write(entry, 1, path, &err), PS_OK);
		profile(path, entry->size, &p);
		if (ps_predict_work(path, names[k], &target, &m, &err) != PS_OK)
			fail_msg("%s", err.what);
		compare(names[k], &p, &m);
		ps_predict_model_fini(&m);
		free(p.operators);
		free(p.nodes);
		unlink(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_zoo)};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
