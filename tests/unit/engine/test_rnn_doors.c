// sanitizers: not for thread (ONNX Runtime is not instrumented)
/* Recurrent layers through both doors: as a graph of their own, and as operators of a model that
 * runs in ONNX Runtime. The ONNX project's node tests, drawn layers against ONNX Runtime's own
 * kernels, and stacks. What needs the library is skipped without one. */
#include "support/ort_fixture.h"
#include "support/rnn_onnx.h"

#include "base/log.h"
#include "model/edit.h"

#include <pthread.h>
#include <stdlib.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define NODE_TESTS "/usr/share/libonnx-testdata/data/node"
#define CASES	   100
#define MOST	   8

static uint64_t state;

static double uniform(void)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (double)(state >> 11) / 9007199254740992.0;
}

static int64_t pick(int64_t lo, int64_t hi)
{
	return lo + (int64_t)(uniform() * (double)(hi - lo + 1));
}

static float *numbers(int64_t n, double scale)
{
	float *v = malloc((size_t)(n + 1) * sizeof *v);

	for (int64_t i = 0; i < n; i++)
		v[i] = (float)((uniform() * 2 - 1) * scale);
	return v;
}

/* ---- running a model ---- */

struct door {
	const char *label;
	const struct ps_engine_ops *ops;
	struct ps_engine *engine;
};

/* The library alone, our layers in it, our layers without it. */
enum { ALONE, INSIDE, OWN, DOORS };
static struct door doors[DOORS];

struct ran {
	struct ps_engine_instance *instance;
	struct ps_engine_describe d;
	struct ps_tensor out[MOST];
};

static enum ps_status open_door(int door, const char *path, const char *precision, double max_error,
				struct ran *r, struct ps_error *err)
{
	const struct ps_engine_open o = {.path = path,
					 .wide = true,
					 .rnn = door == ALONE ? NULL : precision,
					 .rnn_max_error = max_error};

	memset(r, 0, sizeof *r);
	enum ps_status st = doors[door].ops->open(doors[door].engine, &o, &r->instance, err);
	if (st == PS_OK)
		doors[door].ops->describe(r->instance, &r->d);
	return st;
}

static enum ps_status run_door(int door, struct ran *r, bool wide, const struct ps_tensor *in,
			       struct ps_error *err)
{
	struct ps_engine_run run = {.inputs = in,
				    .outputs = r->out,
				    .n_inputs = r->d.n_inputs,
				    .n_outputs = r->d.n_outputs,
				    .wide = wide,
				    .alloc = give};

	memset(r->out, 0, sizeof r->out);
	return doors[door].ops->run(r->instance, &run, err);
}

static void close_door(int door, struct ran *r)
{
	doors[door].ops->close(r->instance);
}

static void must(enum ps_status st, const char *what, const struct ps_error *err)
{
	if (st != PS_OK)
		fail_msg("%s: %s: %s", what, err->where, err->what);
}

static bool is_there(int door)
{
	return door == OWN || have_library;
}

static double farthest(const float *a, const float *b, int64_t n)
{
	double most = 0;

	for (int64_t i = 0; i < n; i++) {
		double off = fabs((double)a[i] - (double)b[i]) / (1 + fabs((double)a[i]));
		if (off != off)
			return INFINITY;
		most = fmax(most, off);
	}
	return most;
}

static void assert_same(const struct ps_tensor *a, const struct ps_tensor *b, double limit,
			const char *what)
{
	assert_int_equal(a->rank, b->rank);
	assert_memory_equal(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims);
	double off = farthest(a->data, b->data, (int64_t)(a->bytes / sizeof(float)));
	if (!(off <= limit))
		fail_msg("%s: '%s' is %g off", what, a->name, off);
}

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

/* ---- drawn layers ---- */

static struct ps_rnn_spec draw_spec(void)
{
	static const enum ps_rnn_activation calm[] = {PS_RNN_TANH, PS_RNN_SIGMOID, PS_RNN_SOFTSIGN,
						      PS_RNN_HARD_SIGMOID, PS_RNN_SCALED_TANH};
	struct ps_rnn_spec s =
		ps_rnn_spec_default((enum ps_rnn_cell)pick(0, 2), pick(1, 40), pick(1, 40));

	s.direction = (enum ps_rnn_direction)pick(0, 2);
	s.clip = pick(0, 2) ? 0 : (float)(uniform() * 2 + 0.2);
	s.linear_before_reset = pick(0, 1);
	s.input_forget = pick(0, 2) == 0;
	for (int d = 0; d < 2 && pick(0, 1); d++) {
		struct ps_rnn_function *f[] = {&s.functions[d].f, &s.functions[d].g,
					       &s.functions[d].h};
		for (int i = 0; i < 3; i++)
			*f[i] = (struct ps_rnn_function){calm[pick(0, 4)],
							 (float)(uniform() * 0.8 + 0.1),
							 (float)(uniform() * 0.8)};
	}
	return s;
}

struct layer {
	struct ps_rnn_spec s;
	struct ps_rnn_weights w;
	float *owned[4];
};

static struct layer draw_weights(struct ps_rnn_spec s)
{
	int64_t d = rnn_onnx_directions(&s), rows = ps_rnn_gates(s.cell) * s.hidden;
	double scale = 1 / sqrt((double)(s.hidden + s.inputs));
	struct layer l = {.s = s};

	l.owned[0] = numbers(d * rows * s.inputs, scale);
	l.owned[1] = numbers(d * rows * s.hidden, scale);
	l.owned[2] = pick(0, 3) ? numbers(d * 2 * rows, 0.5) : NULL;
	l.owned[3] = s.cell == PS_RNN_LSTM && pick(0, 1) ? numbers(d * 3 * s.hidden, 0.5) : NULL;
	l.w = (struct ps_rnn_weights){l.owned[0], l.owned[1], l.owned[2], l.owned[3]};
	return l;
}

static void drop(struct layer *l)
{
	for (int i = 0; i < 4; i++)
		free(l->owned[i]);
}

static struct ps_tensor drawn(const char *name, int rank, const int64_t *dims)
{
	struct ps_tensor t = {.name = name, .dtype = PS_DTYPE_FP32, .rank = rank};
	int64_t n = 1;

	for (int d = 0; d < rank; d++) {
		t.dims[d] = dims[d];
		n *= dims[d];
	}
	t.bytes = (size_t)n * sizeof(float);
	t.data = give(NULL, t.bytes + 1);
	for (int64_t i = 0; i < n; i++)
		((float *)t.data)[i] = (float)(uniform() * 2 - 1);
	return t;
}

static struct ps_tensor drawn_lens(int64_t batch, int64_t steps)
{
	struct ps_tensor t = {.name = "lens", .dtype = PS_DTYPE_INT32, .rank = 1, .dims = {batch}};

	t.bytes = (size_t)batch * sizeof(int32_t);
	t.data = give(NULL, t.bytes + 1);
	for (int64_t i = 0; i < batch; i++)
		((int32_t *)t.data)[i] = (int32_t)pick(1, steps);
	return t;
}

/* One layer as a model, and inputs for it; which optional ones there are is drawn. */
static int write_layer(const struct layer *l, const char *path, struct ps_tensor *in)
{
	const struct ps_rnn_spec *s = &l->s;
	int64_t steps = pick(1, 9), batch = pick(1, 6), d = rnn_onnx_directions(s);
	const int64_t x[] = {steps, batch, s->inputs}, h[] = {d, batch, s->hidden};
	bool lens = pick(0, 1), first = pick(0, 1), cell = s->cell == PS_RNN_LSTM && pick(0, 1);
	char dims[64], state_dims[64], y_dims[64];
	struct tiny_onnx t;
	int n = 0;

	snprintf(dims, sizeof dims, "T,N,%lld", (long long)s->inputs);
	snprintf(state_dims, sizeof state_dims, "%lld,N,%lld", (long long)d, (long long)s->hidden);
	snprintf(y_dims, sizeof y_dims, "T,%lld,N,%lld", (long long)d, (long long)s->hidden);
	tiny_begin(&t);
	tiny_input(&t, "x", 1, dims);
	in[n++] = drawn("x", 3, x);
	if (lens) {
		tiny_input(&t, "lens", 6, "N");
		in[n++] = drawn_lens(batch, steps);
	}
	if (first) {
		tiny_input(&t, "h0", 1, state_dims);
		in[n++] = drawn("h0", 3, h);
	}
	if (cell) {
		tiny_input(&t, "c0", 1, state_dims);
		in[n++] = drawn("c0", 3, h);
	}
	rnn_onnx_layer(&t, s, &l->w,
		       &(struct rnn_onnx_names){.name = "layer",
						.x = "x",
						.lens = lens ? "lens" : "",
						.h0 = first ? "h0" : "",
						.c0 = cell ? "c0" : "",
						.y = "y",
						.y_h = "y_h",
						.y_c = "y_c"});
	tiny_output(&t, "y", 1, y_dims);
	tiny_output(&t, "y_h", 1, state_dims);
	if (s->cell == PS_RNN_LSTM)
		tiny_output(&t, "y_c", 1, state_dims);
	assert_int_equal(tiny_write(&t, path), PS_OK);
	return n;
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

static struct ps_strbuf *with_ints(struct ps_strbuf *a, const char *name, const int64_t *v, int n)
{
	ps_strbuf_init(a);
	rnn_onnx_ints(a, name, v, n);
	return a;
}

/* Two layers as exporters write them: both directions side by side by Transpose and Reshape, one
 * direction by Squeeze; the last states beside. */
static void write_stack(const struct layer *first, const struct layer *second, const char *path)
{
	static const int64_t order[] = {0, 2, 1, 3}, flat[] = {0, 0, -1}, three = 3, one = 1,
			     axis = 1;
	struct ps_strbuf a;
	struct tiny_onnx t;

	tiny_begin(&t);
	tiny_input(&t, "x", 1, "T,N,7");
	rnn_onnx_stored(&t, "flat", 7, &three, 1, flat, sizeof flat);
	rnn_onnx_stored(&t, "axis", 7, &one, 1, &axis, sizeof axis);
	rnn_onnx_layer(&t, &first->s, &first->w,
		       &(struct rnn_onnx_names){.name = "first", .x = "x", .y = "y1", .y_h = "h1"});
	rnn_onnx_node(&t, "Transpose", "y1", NULL, "t1", with_ints(&a, "perm", order, 4));
	rnn_onnx_node(&t, "Reshape", "t1", "flat", "x2", NULL);
	rnn_onnx_layer(
		&t, &second->s, &second->w,
		&(struct rnn_onnx_names){.name = "second", .x = "x2", .y = "y2", .y_h = "h2"});
	rnn_onnx_node(&t, "Squeeze", "y2", "axis", "s2", NULL);
	rnn_onnx_node(&t, "Identity", "s2", NULL, "y", NULL);
	rnn_onnx_node(&t, "Transpose", "s2", NULL, "turned", NULL);
	tiny_output(&t, "y", 1, "T,N,20");
	tiny_output(&t, "h1", 1, "2,N,12");
	tiny_output(&t, "turned", 1, "20,N,T");
	assert_int_equal(tiny_write(&t, path), PS_OK);
}

static void draw_stack(struct layer *first, struct layer *second)
{
	struct ps_rnn_spec s = ps_rnn_spec_default(PS_RNN_GRU, 7, 12);

	s.direction = PS_RNN_BOTH;
	*first = draw_weights(s);
	*second = draw_weights(ps_rnn_spec_default(PS_RNN_LSTM, 24, 20));
}

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

static int set_up(void **unused)
{
	struct ps_error err;

	ps_log_set_level(PS_LOG_ERROR);
	if (group_setup(unused) != 0)
		return -1;
	doors[ALONE] = (struct door){"library", ps_engine_find("onnxruntime"), NULL};
	doors[INSIDE] = (struct door){"inside", doors[ALONE].ops, NULL};
	doors[OWN] = (struct door){"own", ps_engine_find("rnn"), NULL};
	for (int door = 0; door < DOORS; door++) {
		const struct ps_engine_options o = {.cache_dir = "", .wide_threads = 2};
		if (door == INSIDE) /* one environment per process */
			doors[door].engine = doors[ALONE].engine;
		else if (is_there(door) &&
			 doors[door].ops->start(&o, &doors[door].engine, &err) != PS_OK)
			fail_msg("%s", err.what);
	}
	return 0;
}

static int tear_down(void **unused)
{
	if (doors[ALONE].engine)
		doors[ALONE].ops->stop(doors[ALONE].engine);
	doors[OWN].ops->stop(doors[OWN].engine);
	return group_teardown(unused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_node_tests),   cmocka_unit_test(test_against_library),
		cmocka_unit_test(test_stack),	     cmocka_unit_test(test_precisions),
		cmocka_unit_test(test_who_opens),    cmocka_unit_test(test_inside_a_model),
		cmocka_unit_test(test_runs_at_once), cmocka_unit_test(test_runs_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
