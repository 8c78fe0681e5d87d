/* rnn_doors.h - recurrent layers as models, opened through every door: in ONNX Runtime alone, as
 * our operators inside it, and as a graph of their own; layers and inputs that are drawn. Include
 * it once per program, before cmocka's header. */
#ifndef TESTS_SUPPORT_RNN_DOORS_H
#define TESTS_SUPPORT_RNN_DOORS_H

#include "support/ort_fixture.h"
#include "support/rnn_onnx.h"

#include "base/log.h"

#include <stdlib.h>

#define MOST 8 /* inputs or outputs */

static uint64_t state;

static inline double uniform(void)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (double)(state >> 11) / 9007199254740992.0;
}

static inline int64_t pick(int64_t lo, int64_t hi)
{
	return lo + (int64_t)(uniform() * (double)(hi - lo + 1));
}

static inline float *numbers(int64_t n, double scale)
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

static inline enum ps_status open_door(int door, const char *path, const char *precision,
				       double max_error, struct ran *r, struct ps_error *err)
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

static inline enum ps_status run_door(int door, struct ran *r, bool wide,
				      const struct ps_tensor *in, struct ps_error *err)
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

static inline void close_door(int door, struct ran *r)
{
	doors[door].ops->close(r->instance);
}

static inline void must(enum ps_status st, const char *what, const struct ps_error *err)
{
	if (st != PS_OK)
		fail_msg("%s: %s: %s", what, err->where, err->what);
}

static inline bool is_there(int door)
{
	return door == OWN || have_library;
}

static inline double farthest(const float *a, const float *b, int64_t n)
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

static inline void assert_same(const struct ps_tensor *a, const struct ps_tensor *b, double limit,
			       const char *what)
{
	assert_int_equal(a->rank, b->rank);
	assert_memory_equal(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims);
	double off = farthest(a->data, b->data, (int64_t)(a->bytes / sizeof(float)));
	if (!(off <= limit))
		fail_msg("%s: '%s' is %g off", what, a->name, off);
}

/* ---- drawn layers ---- */

static inline struct ps_rnn_spec draw_spec(void)
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

static inline struct layer draw_weights(struct ps_rnn_spec s)
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

static inline void drop(struct layer *l)
{
	for (int i = 0; i < 4; i++)
		free(l->owned[i]);
}

static inline struct ps_tensor drawn(const char *name, int rank, const int64_t *dims)
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

static inline struct ps_tensor drawn_lens(int64_t batch, int64_t steps)
{
	struct ps_tensor t = {.name = "lens", .dtype = PS_DTYPE_INT32, .rank = 1, .dims = {batch}};

	t.bytes = (size_t)batch * sizeof(int32_t);
	t.data = give(NULL, t.bytes + 1);
	for (int64_t i = 0; i < batch; i++)
		((int32_t *)t.data)[i] = (int32_t)pick(1, steps);
	return t;
}

/* One layer as a model, and inputs for it; which optional ones there are is drawn. */
static inline int write_layer(const struct layer *l, const char *path, struct ps_tensor *in)
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

/* ---- stacks ---- */

static inline struct ps_strbuf *with_ints(struct ps_strbuf *a, const char *name, const int64_t *v,
					  int n)
{
	ps_strbuf_init(a);
	rnn_onnx_ints(a, name, v, n);
	return a;
}

/* Two layers as exporters write them: both directions side by side by Transpose and Reshape, one
 * direction by Squeeze; the last states beside. */
static inline void write_stack(const struct layer *first, const struct layer *second,
			       const char *path)
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

static inline void draw_stack(struct layer *first, struct layer *second)
{
	struct ps_rnn_spec s = ps_rnn_spec_default(PS_RNN_GRU, 7, 12);

	s.direction = PS_RNN_BOTH;
	*first = draw_weights(s);
	*second = draw_weights(ps_rnn_spec_default(PS_RNN_LSTM, 24, 20));
}

/* ---- the doors ---- */

static inline int set_up(void **unused)
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

static inline int tear_down(void **unused)
{
	if (doors[ALONE].engine)
		doors[ALONE].ops->stop(doors[ALONE].engine);
	doors[OWN].ops->stop(doors[OWN].engine);
	return group_teardown(unused);
}

#endif
