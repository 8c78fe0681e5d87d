// sanitizers: not for thread (ONNX Runtime is not instrumented)
/* Who opens a file of recurrent layers, several runs of it at once, and what runs are refused for,
 * through both doors. What needs ONNX Runtime is skipped without one. */
#include "support/rnn_doors.h"

#include <pthread.h>
// clang-format off
#include <cmocka.h>
// clang-format on

/* A layer alone that cannot be had in a precision stays with the library. */
static void test_who_opens(void **unused)
{
	static const struct {
		enum ps_rnn_activation activation;
		const char *precision;
		bool own;
	} cases[] = {{PS_RNN_TANH, "int8", true},  {PS_RNN_RELU, "float32", true},
		     {PS_RNN_RELU, "bf16", true},  {PS_RNN_RELU, "int8", false},
		     {PS_RNN_TANH, "int4", false}, {PS_RNN_TANH, "", false}};
	char *path = path_in(dir, "who.onnx");

	(void)unused;
	state = 14;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ps_rnn_spec s = ps_rnn_spec_default(PS_RNN_PLAIN, 4, 6);
		struct ps_tensor in[MOST];
		struct ps_error err;
		struct ran r;
		s.functions[0].f.kind = cases[i].activation;
		struct layer l = draw_weights(s);
		write_layer(&l, path, in);
		assert_string_equal(ps_engine_for_model(path, cases[i].precision)->name,
				    cases[i].own ? "rnn" : "onnxruntime");
		assert_int_equal(open_door(OWN, path, "int8", 0, &r, &err),
				 cases[i].activation == PS_RNN_RELU ? PS_EUNSUPPORTED : PS_OK);
		if (cases[i].activation != PS_RNN_RELU)
			close_door(OWN, &r);
		if (have_library && strcmp(cases[i].precision, "int8") == 0) {
			must(open_door(INSIDE, path, "int8", 0, &r, &err), "inside", &err);
			must(run_door(INSIDE, &r, false, in, &err), "inside", &err);
			close_door(INSIDE, &r);
		}
		drop(&l);
	}
}

/* ---- several runs at once ---- */

struct running {
	int door;
	struct ran *r;
	const struct ps_tensor *in;
	const struct ps_tensor *want;
	int wrong;
};

static void *give_own(void *ctx, size_t bytes)
{
	(void)ctx;
	return aligned_alloc(64, (bytes + 63) / 64 * 64);
}

static void *run_often(void *arg)
{
	struct running *w = arg;

	for (int i = 0; i < 30; i++) {
		struct ps_tensor out[MOST] = {0};
		struct ps_engine_run run = {.inputs = w->in,
					    .outputs = out,
					    .n_inputs = 1,
					    .n_outputs = w->r->d.n_outputs,
					    .alloc = give_own};
		if (doors[w->door].ops->run(w->r->instance, &run, NULL) != PS_OK ||
		    memcmp(out[0].data, w->want->data, w->want->bytes) != 0)
			w->wrong++;
		for (int k = 0; k < run.n_outputs; k++)
			free(out[k].data);
	}
	return NULL;
}

static void test_runs_at_once(void **unused)
{
	static const int64_t shape[] = {6, 2, 7};
	char *path = path_in(dir, "at-once.onnx");
	struct layer first, second;
	struct ps_error err;

	(void)unused;
	state = 12;
	draw_stack(&first, &second);
	write_stack(&first, &second, path);
	struct ps_tensor in = drawn("x", 3, shape);
	for (int door = INSIDE; door < DOORS; door++) {
		struct running w[3];
		pthread_t threads[3];
		struct ran r;
		if (!is_there(door))
			continue;
		must(open_door(door, path, "float32", 0, &r, &err), "at once", &err);
		must(run_door(door, &r, true, &in, &err), "at once", &err);
		for (int i = 0; i < 3; i++) {
			w[i] = (struct running){door, &r, &in, &r.out[0], 0};
			assert_int_equal(pthread_create(&threads[i], NULL, run_often, &w[i]), 0);
		}
		for (int i = 0; i < 3; i++) {
			pthread_join(threads[i], NULL);
			assert_int_equal(w[i].wrong, 0);
		}
		close_door(door, &r);
	}
	drop(&first);
	drop(&second);
}

/* ---- what a run is refused for ---- */

static void test_runs_refused(void **unused)
{
	static const struct {
		int64_t x[3], h[3];
		int32_t len;
	} cases[] = {{{3, 2, 8}, {2, 2, 12}, 1},
		     {{3, 2, 7}, {1, 2, 12}, 1},
		     {{3, 2, 7}, {2, 2, 12}, 4},
		     {{3, 2, 7}, {2, 2, 12}, -1}};
	struct ps_rnn_spec s = ps_rnn_spec_default(PS_RNN_GRU, 7, 12);
	char *path = path_in(dir, "refused.onnx");
	struct tiny_onnx t;
	struct ps_error err;

	(void)unused;
	state = 13;
	s.direction = PS_RNN_BOTH;
	struct layer l = draw_weights(s);
	tiny_begin(&t);
	tiny_input(&t, "x", 1, "T,N,I");
	tiny_input(&t, "lens", 6, "N");
	tiny_input(&t, "h0", 1, "D,N,H");
	rnn_onnx_layer(&t, &s, &l.w,
		       &(struct rnn_onnx_names){
			       .name = "layer", .x = "x", .lens = "lens", .h0 = "h0", .y = "y"});
	tiny_output(&t, "y", 1, "T,2,N,12");
	assert_int_equal(tiny_write(&t, path), PS_OK);
	for (int door = INSIDE; door < DOORS; door++) {
		struct ran r;
		if (!is_there(door))
			continue;
		must(open_door(door, path, "float32", 0, &r, &err), "refused", &err);
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			int32_t lens[2] = {cases[i].len, 1};
			const struct ps_tensor in[] = {drawn("x", 3, cases[i].x),
						       {.name = "lens",
							.dtype = PS_DTYPE_INT32,
							.rank = 1,
							.dims = {2},
							.data = lens,
							.bytes = sizeof lens},
						       drawn("h0", 3, cases[i].h)};
			assert_int_equal(run_door(door, &r, false, in, &err), PS_EINVAL);
		}
		close_door(door, &r);
	}
	drop(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_opens),
		cmocka_unit_test(test_runs_at_once),
		cmocka_unit_test(test_runs_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
