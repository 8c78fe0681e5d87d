// sanitizers: not for thread (ONNX Runtime is not instrumented)
/* Recurrent layers through both doors: as a graph of their own, and as operators of a model that
 * runs in ONNX Runtime. The ONNX project's node tests, drawn layers against ONNX Runtime's own
 * kernels, and stacks. What needs the library is skipped without one. */
#include "support/rnn_doors.h"

#include "base/file.h"
#include "model/edit.h"

// clang-format off
#include <cmocka.h>
// clang-format on

#define NODE_TESTS "/usr/share/libonnx-testdata/data/node"
#define CASES	   100

/* ---- the ONNX project's node tests ---- */

/* A folder's tensors, all as initialisers of one file in memory. */
static void read_tensors(const char *folder, struct ps_strbuf *bundle, struct ps_strbuf *constants)
{
	struct ps_strbuf graph;

	ps_strbuf_init(&graph);
	ps_strbuf_init(bundle);
	ps_strbuf_init(constants);
	for (int i = 0; i < 20; i++) {
		char path[512], *data;
		struct ps_edit e;
		size_t len;
		snprintf(path, sizeof path, "%s/test_data_set_0/%s_%d.pb", folder,
			 i < 10 ? "input" : "output", i % 10);
		if (ps_file_read(path, 1 << 20, &data, &len, NULL) != PS_OK)
			continue;
		struct ps_strbuf one, model;
		ps_strbuf_init(&one);
		ps_strbuf_init(&model);
		tiny_bytes(&one, 5, data, len);
		ps_strbuf_append(&graph, one.data, one.len);
		tiny_bytes(&model, 7, one.data, one.len);
		assert_int_equal(ps_edit_parse(model.data, model.len, &e, NULL), PS_OK);
		if (i < 10 && strlen(e.stored[0].name) == 1 && strchr("WRBP", e.stored[0].name[0]))
			ps_strbuf_append(constants, one.data, one.len);
		ps_edit_fini(&e);
		ps_strbuf_fini(&one);
		ps_strbuf_fini(&model);
		free(data);
	}
	tiny_message(bundle, 7, &graph);
}

/* The folder's model, with its weights as constants: the last field of a file may be the graph's
 * continuation nowhere, so the graph is written anew. */
static void freeze(const char *folder, const struct ps_strbuf *constants, const char *to)
{
	char path[512], *data;
	struct ps_wire_head {
		size_t at, len;
	} graph = {0, 0};
	size_t len, at = 0;
	struct ps_strbuf model;

	snprintf(path, sizeof path, "%s/model.onnx", folder);
	assert_int_equal(ps_file_read(path, 1 << 20, &data, &len, NULL), PS_OK);
	ps_strbuf_init(&model);
	while (at < len) { /* fields of a model are numbers or texts, each tag one byte */
		size_t begin = at, n = 0;
		unsigned char tag = (unsigned char)data[at++];
		for (int shift = 0;; shift += 7) {
			n |= (size_t)(data[at] & 0x7f) << shift;
			if (!(data[at++] & 0x80))
				break;
		}
		at += (tag & 7) == 2 ? n : 0;
		if (tag >> 3 == 7)
			graph = (struct ps_wire_head){at - n, n};
		else
			ps_strbuf_append(&model, data + begin, at - begin);
	}
	struct ps_strbuf whole;
	ps_strbuf_init(&whole);
	ps_strbuf_append(&whole, data + graph.at, graph.len);
	ps_strbuf_append(&whole, constants->data, constants->len);
	tiny_message(&model, 7, &whole);
	assert_int_equal(ps_file_write(to, model.data, model.len, NULL), PS_OK);
	ps_strbuf_fini(&model);
	free(data);
}

static struct ps_tensor stored(const struct ps_edit *e, const char *name)
{
	const struct ps_edit_stored *t = ps_edit_find(e, name);

	if (!t || !t->data)
		fail_msg("no tensor '%s'", name);
	struct ps_tensor to = {.name = name, .dtype = t->dtype, .rank = t->rank};
	memcpy(to.dims, t->dims, sizeof to.dims);
	to.bytes = (size_t)t->elements * 4;
	to.data = give(NULL, to.bytes + 1);
	memcpy(to.data, t->data, to.bytes);
	return to;
}

static void try_node_test(int door, const char *folder, const char *path, const struct ps_edit *e)
{
	struct ps_tensor in[MOST];
	struct ps_error err;
	struct ran r;

	must(open_door(door, path, "float32", 0, &r, &err), folder, &err);
	for (int k = 0; k < r.d.n_inputs; k++)
		in[k] = stored(e, r.d.inputs[k].name);
	must(run_door(door, &r, false, in, &err), folder, &err);
	for (int k = 0; k < r.d.n_outputs; k++) {
		struct ps_tensor want = stored(e, r.d.outputs[k].name);
		assert_same(&want, &r.out[k], 1e-6, folder);
	}
	close_door(door, &r);
}

static void test_node_tests(void **unused)
{
	static const char *const names[] = {
		"gru_batchwise",	  "gru_defaults",	 "gru_seq_length",
		"gru_with_initial_bias",  "lstm_batchwise",	 "lstm_defaults",
		"lstm_with_initial_bias", "lstm_with_peepholes", "rnn_seq_length",
		"simple_rnn_batchwise",	  "simple_rnn_defaults", "simple_rnn_with_initial_bias"};
	const char *required = getenv("PS_REQUIRE_ORT");

	(void)unused;
	if (access(NODE_TESTS, R_OK) != 0) {
		print_message("no %s: install libonnx-testdata\n", NODE_TESTS);
		assert_false(required && strcmp(required, "1") == 0); /* set-up installs it */
		skip();
	}
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char folder[256], *path = path_in(dir, "node.onnx");
		struct ps_strbuf bundle, constants;
		struct ps_edit e;
		snprintf(folder, sizeof folder, NODE_TESTS "/test_%s", names[i]);
		read_tensors(folder, &bundle, &constants);
		freeze(folder, &constants, path);
		assert_int_equal(ps_edit_parse(bundle.data, bundle.len, &e, NULL), PS_OK);
		for (int door = INSIDE; door < DOORS; door++) {
			if (is_there(door))
				try_node_test(door, folder, path, &e);
		}
		ps_edit_fini(&e);
		ps_strbuf_fini(&bundle);
		ps_strbuf_fini(&constants);
	}
}

static void test_against_library(void **unused)
{
	char *path = path_in(dir, "drawn.onnx");

	(void)unused;
	if (!have_library)
		skip();
	state = 20261123;
	for (int i = 0; i < CASES; i++) {
		struct layer l = draw_weights(draw_spec());
		struct ps_tensor in[MOST];
		struct ran r[DOORS];
		struct ps_error err;
		char what[64];
		write_layer(&l, path, in);
		for (int door = 0; door < DOORS; door++) {
			snprintf(what, sizeof what, "case %d (%s)", i, doors[door].label);
			must(open_door(door, path, "float32", 0, &r[door], &err), what, &err);
			must(run_door(door, &r[door], pick(0, 1), in, &err), what, &err);
			assert_int_equal(r[door].d.n_outputs, r[ALONE].d.n_outputs);
			for (int k = 0; k < r[door].d.n_outputs; k++)
				assert_same(&r[ALONE].out[k], &r[door].out[k], 2e-5, what);
		}
		for (int door = 0; door < DOORS; door++)
			close_door(door, &r[door]);
		drop(&l);
	}
}

/* ---- stacks ---- */

static void test_stack(void **unused)
{
	static const int64_t shapes[][3] = {{5, 3, 7}, {1, 1, 7}, {6, 1, 7}, {0, 2, 7}, {3, 0, 7}};
	char *path = path_in(dir, "stack.onnx");
	struct layer first, second;
	struct ran r[DOORS];
	struct ps_error err;

	(void)unused;
	state = 4;
	draw_stack(&first, &second);
	write_stack(&first, &second, path);
	for (int door = 0; door < DOORS; door++) {
		if (is_there(door))
			must(open_door(door, path, "float32", 0, &r[door], &err), "stack", &err);
	}
	assert_int_equal(r[OWN].d.outputs[0].dims[2], 20);
	assert_int_equal(r[OWN].d.outputs[2].dims[0], 20);
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		struct ps_tensor in = drawn("x", 3, shapes[i]);
		must(run_door(OWN, &r[OWN], false, &in, &err), "own", &err);
		if (!have_library || in.bytes == 0) /* the library refuses empty sequences */
			continue;
		for (int door = ALONE; door < OWN; door++) {
			must(run_door(door, &r[door], true, &in, &err), doors[door].label, &err);
			for (int k = 0; k < 3; k++)
				assert_same(&r[door].out[k], &r[OWN].out[k], 2e-5,
					    doors[door].label);
		}
	}
	for (int door = 0; door < DOORS; door++) {
		if (is_there(door))
			close_door(door, &r[door]);
	}
	drop(&first);
	drop(&second);
}

/* Reduced precisions answer alike through both doors, and differ from float32 by little. */
static void test_precisions(void **unused)
{
	static const char *const names[] = {"float32", "bf16", "int8"};
	static const double limits[] = {2e-6, 0.02, 0.05};
	static const int64_t shape[] = {6, 2, 7};
	char *path = path_in(dir, "precisions.onnx");
	struct layer first, second;
	struct ran exact, r;
	struct ps_error err;

	(void)unused;
	state = 6;
	draw_stack(&first, &second);
	write_stack(&first, &second, path);
	struct ps_tensor in = drawn("x", 3, shape);
	must(open_door(OWN, path, "float32", 0, &exact, &err), "exact", &err);
	must(run_door(OWN, &exact, false, &in, &err), "exact", &err);
	for (int p = 0; p < 3; p++) {
		struct ps_tensor own = {0};
		for (int door = OWN; door >= INSIDE; door--) {
			if (!is_there(door))
				continue;
			must(open_door(door, path, names[p], 0, &r, &err), names[p], &err);
			must(run_door(door, &r, door == INSIDE, &in, &err), names[p], &err);
			assert_same(&exact.out[0], &r.out[0], limits[p], names[p]);
			if (door == OWN)
				own = r.out[0];
			assert_memory_equal(own.data, r.out[0].data, own.bytes);
			close_door(door, &r);
		}
	}
	close_door(OWN, &exact);
	for (int door = INSIDE; door < DOORS; door++) {
		if (!is_there(door))
			continue;
		assert_int_equal(open_door(door, path, "int8", 1e-9, &r, &err), PS_EINVAL);
		assert_non_null(strstr(err.what, "off float32"));
		assert_non_null(strstr(err.where, "node 'first' (GRU)"));
		assert_int_equal(open_door(door, path, "int4", 0, &r, &err), PS_EINVAL);
	}
	drop(&first);
	drop(&second);
}

/* ---- a model around them ---- */

/* x -> MatMul -> LSTM -> Relu, and a GRU whose W is an input. */
static void write_mixed(const struct layer *lstm, const struct layer *gru, const char *path)
{
	struct ps_rnn_weights fixed = gru->w;
	struct ps_strbuf node;
	struct tiny_onnx t;
	float w[4 * 8];
	const int64_t r[] = {1, 3 * gru->s.hidden, gru->s.hidden};

	for (int i = 0; i < 4 * 8; i++)
		w[i] = (float)(i % 7 - 3) / 8;
	tiny_begin(&t);
	tiny_input(&t, "x", 1, "T,N,4");
	tiny_input(&t, "w2", 1, "1,15,9");
	tiny_weights(&t, "m", 4, 8, w);
	tiny_node(&t, "MatMul", "x", "m", "e", -1);
	rnn_onnx_layer(&t, &lstm->s, &lstm->w,
		       &(struct rnn_onnx_names){.name = "ours", .x = "e", .y = "y1", .y_c = "c1"});
	tiny_node(&t, "Relu", "y1", NULL, "y", -1);
	rnn_onnx_node(&t, "Squeeze", "y1", "axis", "x2", NULL);
	rnn_onnx_stored(&t, "axis", 7, &(int64_t){1}, 1, &(int64_t){1}, sizeof(int64_t));
	rnn_onnx_floats_stored(&t, "r2", r, 3, fixed.r);
	ps_strbuf_init(&node);
	tiny_text(&node, 1, "x2");
	tiny_text(&node, 1, "w2");
	tiny_text(&node, 1, "r2");
	tiny_text(&node, 2, "y2");
	tiny_text(&node, 3, "theirs");
	tiny_text(&node, 4, "GRU");
	rnn_onnx_attrs(&node, &gru->s);
	tiny_message(&t.graph, 1, &node);
	tiny_output(&t, "y", 1, "T,1,N,9");
	tiny_output(&t, "c1", 1, "1,N,9");
	tiny_output(&t, "y2", 1, "T,1,N,5");
	assert_int_equal(tiny_write(&t, path), PS_OK);
}

static void test_inside_a_model(void **unused)
{
	static const int64_t shape[] = {4, 3, 4}, w2[] = {1, 15, 9};
	char *path = path_in(dir, "mixed.onnx");
	struct layer lstm, gru;
	struct ran alone, inside, own;
	struct ps_error err;

	(void)unused;
	if (!have_library)
		skip();
	state = 8;
	lstm = draw_weights(ps_rnn_spec_default(PS_RNN_LSTM, 8, 9));
	gru = draw_weights(ps_rnn_spec_default(PS_RNN_GRU, 9, 5));
	write_mixed(&lstm, &gru, path);
	const struct ps_tensor in[] = {drawn("x", 3, shape), drawn("w2", 3, w2)};
	must(open_door(ALONE, path, NULL, 0, &alone, &err), "alone", &err);
	must(open_door(INSIDE, path, "float32", 0, &inside, &err), "inside", &err);
	must(run_door(ALONE, &alone, false, in, &err), "alone", &err);
	for (int wide = 0; wide < 2; wide++) {
		must(run_door(INSIDE, &inside, wide, in, &err), "inside", &err);
		for (int k = 0; k < 3; k++)
			assert_same(&alone.out[k], &inside.out[k], 2e-5, "inside");
	}
	assert_int_equal(open_door(OWN, path, "float32", 0, &own, &err), PS_EUNSUPPORTED);
	assert_ptr_equal(ps_engine_for_model(path, "int8"), doors[INSIDE].ops);
	close_door(ALONE, &alone);
	close_door(INSIDE, &inside);
	drop(&lstm);
	drop(&gru);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_node_tests),     cmocka_unit_test(test_against_library),
		cmocka_unit_test(test_stack),	       cmocka_unit_test(test_precisions),
		cmocka_unit_test(test_inside_a_model),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
