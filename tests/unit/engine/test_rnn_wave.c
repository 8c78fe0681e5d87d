/* Layers of a stack at the same time: bit for bit what they give one after the other, and only
 * where the estimates say that it is faster. Also with ThreadSanitizer, whose tests are those that
 * have threads: teams begin with pthread_create. */
#include "base/file.h"
#include "base/rng.h"
#include "engine/rnn/graph_internal.h"
#include "engine/rnn/layer_internal.h"
#include "support/rnn_onnx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define MOST_LAYERS 4
#define MOST_TEAM   8

static struct ps_rnn_team *teams[MOST_TEAM + 1];
static struct ps_rng rng;

static int64_t below(int64_t n)
{
	return (int64_t)(ps_rng_uniform(&rng) * (double)n);
}

static float *drawn(int64_t n)
{
	float *v = malloc((size_t)(n + 1) * sizeof *v);

	for (int64_t i = 0; i < n; i++)
		v[i] = (float)(ps_rng_uniform(&rng) - 0.5);
	return v;
}

struct stack {
	struct ps_rnn *layers[MOST_LAYERS];
	struct ps_rnn_run runs[MOST_LAYERS];
	int64_t states[MOST_LAYERS]; /* values of y, y_h */
	int n;
	float *x;
	int32_t *lens;
};

static struct ps_rnn *layer(enum ps_rnn_cell cell, enum ps_rnn_precision precision, int64_t inputs,
			    int64_t hidden)
{
	struct ps_rnn_spec spec = ps_rnn_spec_default(cell, inputs, hidden);
	int64_t rows = ps_rnn_gates(cell) * hidden;
	struct ps_rnn_weights w = {
		.w = drawn(rows * inputs), .r = drawn(rows * hidden), .b = drawn(2 * rows)};
	struct ps_rnn *r = NULL;
	struct ps_error err;

	spec.linear_before_reset = cell == PS_RNN_GRU && below(2);
	assert_int_equal(ps_rnn_new(&spec, precision, &w, NULL, &r, &err), PS_OK);
	free((void *)w.w);
	free((void *)w.r);
	free((void *)w.b);
	return r;
}

static struct stack make(int n, enum ps_rnn_precision precision)
{
	struct stack s = {.n = n};
	int64_t batch = 1 + below(3), steps = 1 + below(70), inputs = 1 + below(40),
		before = inputs;

	s.x = drawn(steps * batch * inputs);
	if (below(2))
		s.lens = calloc((size_t)batch, sizeof *s.lens);
	for (int64_t k = 0; s.lens && k < batch; k++)
		s.lens[k] = (int32_t)below(steps + 1);
	for (int i = 0; i < n; i++) {
		int64_t hidden = 1 + below(70);
		s.layers[i] = layer((enum ps_rnn_cell)below(3), precision, before, hidden);
		s.states[i] = steps * batch * hidden;
		s.runs[i] = (struct ps_rnn_run){.steps = steps,
						.batch = batch,
						.x = i == 0 ? s.x : s.runs[i - 1].y,
						.lens = below(2) ? s.lens : NULL,
						.h0 = below(2) ? drawn(batch * hidden) : NULL,
						.y = calloc((size_t)s.states[i], 4),
						.y_h = calloc((size_t)(batch * hidden), 4)};
		before = hidden;
	}
	return s;
}

static void drop(struct stack *s)
{
	for (int i = 0; i < s->n; i++) {
		ps_rnn_free(s->layers[i]);
		free((void *)s->runs[i].h0);
		free(s->runs[i].y);
		free(s->runs[i].y_h);
	}
	free(s->x);
	free(s->lens);
}

static float *copy(const float *v, int64_t n)
{
	float *c = malloc((size_t)n * sizeof *c + 1);

	memcpy(c, v, (size_t)n * sizeof *c);
	return c;
}

/* Random stacks of layers of other cells and sizes, ragged rows, every share of the threads. */
static void the_same_to_the_bit(void **state)
{
	(void)state;
	for (int round = 0; round < 60; round++) {
		int n = 2 + (int)below(MOST_LAYERS - 1);
		struct stack s = make(n, (enum ps_rnn_precision)(round % PS_RNN_PRECISIONS));
		float *y[MOST_LAYERS], *h[MOST_LAYERS];
		struct ps_error err;
		for (int i = 0; i < n; i++) {
			int64_t states = s.runs[i].batch * s.layers[i]->spec.hidden;
			assert_int_equal(ps_rnn_run(s.layers[i], NULL, &s.runs[i], &err), PS_OK);
			y[i] = copy(s.runs[i].y, s.states[i]);
			h[i] = copy(s.runs[i].y_h, states);
		}
		for (int again = 0; again < 4; again++) {
			int layers = 2 + (int)below(n - 1), most = MOST_TEAM / layers;
			const struct ps_rnn_wave wave = {layers, 1 + (int)below(most),
							 1 + below(again < 2 ? 6 : 90)};
			for (int i = 0; i < n; i++)
				memset(s.runs[i].y, 0xff, (size_t)s.states[i] * 4);
			assert_int_equal(ps_rnn_run_waves(s.layers, s.runs, n, teams[MOST_TEAM],
							  &wave, &err),
					 PS_OK);
			for (int i = 0; i < n; i++) {
				int64_t states = s.runs[i].batch * s.layers[i]->spec.hidden;
				assert_memory_equal(y[i], s.runs[i].y, (size_t)s.states[i] * 4);
				assert_memory_equal(h[i], s.runs[i].y_h, (size_t)states * 4);
			}
		}
		for (int i = 0; i < n; i++) {
			free(y[i]);
			free(h[i]);
		}
		drop(&s);
	}
}

/* By hand: two layers, 100 steps, two threads. One after the other: 2 x 100 steps of `wide`. At
 * once, each by one thread and 8 steps behind: (13 + 1) x 8 = 112 steps of `alone`; 32 behind: 160.
 */
static void the_estimates_decide(void **state)
{
	static const struct {
		double wide_us, alone_us, row_us[2], start_us;
		int threads, layers;
		int64_t lag;
	} cases[] = {
		{10, 12, {0, 0}, 0, 2, 2, 8},	/* meeting costs more than sharing saves */
		{10, 19, {0, 0}, 0, 2, 0, 0},	/* 2000 against 2128 */
		{10, 16.5, {0, 0}, 0, 2, 2, 8}, /* 2000 against 1848: 0.92 */
		{10, 17.5, {0, 0}, 0, 2, 0, 0}, /* 1960: not worth it */
		{10, 10, {8, 1}, 0, 2, 2, 32},	/* short lots make x * W dear */
		{10, 12, {0, 0}, 900, 2, 2, 8}, /* both wake the other thread */
		{10, 12, {0, 0}, 0, 1, 0, 0},	/* nobody to share with */
		{0, 0, {0, 0}, 0, 2, 0, 0},	/* nothing is known */
	};

	(void)state;
	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		struct ps_rnn *r[2];
		struct ps_rnn_run runs[2] = {{.steps = 100, .batch = 1},
					     {.steps = 100, .batch = 1}};
		for (int i = 0; i < 2; i++) {
			r[i] = layer(PS_RNN_LSTM, PS_RNN_FLOAT32, 32, 32);
			r[i]->estimate =
				(struct ps_rnn_estimate){.start_s = cases[c].start_us * 1e-6,
							 .wide_step_s = cases[c].wide_us * 1e-6,
							 .step_s = {cases[c].alone_us * 1e-6},
							 .row_s = {{cases[c].row_us[0] * 1e-6},
								   {cases[c].row_us[1] * 1e-6}}};
		}
		struct ps_rnn_wave w = ps_rnn_choose_wave(r, runs, 2, teams[cases[c].threads]);
		assert_int_equal(w.layers, cases[c].layers);
		if (w.layers) {
			assert_int_equal(w.steps, cases[c].lag);
			assert_int_equal(w.threads, 1);
		}
		r[1]->spec.direction = PS_RNN_REVERSE; /* needs the last step first */
		assert_int_equal(ps_rnn_choose_wave(r, runs, 2, teams[2]).layers, 0);
		ps_rnn_free(r[0]);
		ps_rnn_free(r[1]);
	}
}

/* ---- graphs ---- */

#define HIDDEN 20
#define ROOMS  64

static void *rooms[ROOMS];
static int n_rooms;

static void *room(void *ctx, size_t bytes)
{
	(void)ctx;
	assert_true(n_rooms < ROOMS);
	return rooms[n_rooms++] = aligned_alloc(64, (bytes + 64) / 64 * 64);
}

static void add(struct tiny_onnx *t, enum ps_rnn_cell cell, int64_t inputs,
		const struct rnn_onnx_names *names)
{
	struct ps_rnn_spec spec = ps_rnn_spec_default(cell, inputs, HIDDEN);
	int64_t rows = ps_rnn_gates(cell) * HIDDEN;
	struct ps_rnn_weights w = {
		.w = drawn(rows * inputs), .r = drawn(rows * HIDDEN), .b = drawn(2 * rows)};

	rnn_onnx_layer(t, &spec, &w, names);
	free((void *)w.w);
	free((void *)w.r);
	free((void *)w.b);
}

/* Five layers: three one above the other, with what changes no memory between them; a fourth that
 * begins with what the first ends with; and above that, with its values moved between, a fifth. */
static void write_graph(const char *path)
{
	static const int64_t one = 1, axis = 1, turned[] = {1, 0, 2};
	struct ps_strbuf a;
	struct tiny_onnx t;

	tiny_begin(&t);
	tiny_input(&t, "x", 1, "T,N,9");
	rnn_onnx_stored(&t, "axis", 7, &one, 1, &axis, sizeof axis);
	add(&t, PS_RNN_LSTM, 9,
	    &(struct rnn_onnx_names){.name = "a", .x = "x", .y = "ya", .y_h = "ha"});
	rnn_onnx_node(&t, "Squeeze", "ya", "axis", "sa", NULL);
	add(&t, PS_RNN_GRU, HIDDEN, &(struct rnn_onnx_names){.name = "b", .x = "sa", .y = "yb"});
	rnn_onnx_node(&t, "Squeeze", "yb", "axis", "sb", NULL);
	rnn_onnx_node(&t, "Identity", "sb", NULL, "ib", NULL);
	add(&t, PS_RNN_LSTM, HIDDEN, &(struct rnn_onnx_names){.name = "c", .x = "ib", .y = "yc"});
	rnn_onnx_node(&t, "Squeeze", "yc", "axis", "sc", NULL);
	add(&t, PS_RNN_GRU, HIDDEN,
	    &(struct rnn_onnx_names){.name = "d", .x = "sc", .h0 = "ha", .y = "yd"});
	rnn_onnx_node(&t, "Squeeze", "yd", "axis", "sd", NULL);
	ps_strbuf_init(&a);
	rnn_onnx_ints(&a, "perm", turned, 3);
	rnn_onnx_node(&t, "Transpose", "sd", NULL, "td", &a);
	add(&t, PS_RNN_LSTM, HIDDEN, &(struct rnn_onnx_names){.name = "e", .x = "td", .y_h = "he"});
	tiny_output(&t, "he", 1, "1,T,20");
	tiny_output(&t, "sb", 1, "T,N,20");
	tiny_output(&t, "ha", 1, "1,N,20");
	assert_int_equal(tiny_write(&t, path), PS_OK);
}

static void run_graph(const struct ps_rnn_graph *g, struct ps_rnn_team *team,
		      const struct ps_tensor *x, struct ps_tensor out[3])
{
	struct ps_engine_run run = {
		.inputs = x, .outputs = out, .n_inputs = 1, .n_outputs = 3, .alloc = room};
	struct ps_error err;

	memset(out, 0, 3 * sizeof *out);
	if (ps_rnn_graph_run(g, team, &run, &err) != PS_OK)
		fail_msg("%s", err.what);
}

static void through_a_graph(void **state)
{
	static const int64_t shapes[][2] = {{33, 2}, {1, 1}, {100, 1}, {0, 2}, {8, 3}};
	const struct ps_rnn_wish wish = {.precision = PS_RNN_FLOAT32, .max_error = 1};
	char path[] = "/tmp/perseus-wave-XXXXXX.onnx", *data;
	struct ps_rnn_graph g;
	struct ps_edit e;
	struct ps_error err;
	size_t len;

	(void)state;
	int fd = mkstemps(path, 5);
	assert_true(fd >= 0);
	close(fd);
	write_graph(path);
	assert_int_equal(ps_file_read(path, 1 << 24, &data, &len, &err), PS_OK);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ps_edit_parse(data, len, &e, &err), PS_OK);
	if (ps_rnn_graph_load(&e, &wish, &g, &err) != PS_OK)
		fail_msg("%s: %s", err.where, err.what);
	ps_edit_fini(&e);
	free(data);
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		int64_t n = shapes[i][0] * shapes[i][1] * 9;
		struct ps_tensor x = {.name = "x",
				      .dtype = PS_DTYPE_FP32,
				      .rank = 3,
				      .dims = {shapes[i][0], shapes[i][1], 9},
				      .data = drawn(n),
				      .bytes = (size_t)n * 4};
		struct ps_tensor alone[3], wide[3];
		for (int s = 0; s < g.n_steps; s++) {
			if (g.steps[s].layer)
				g.steps[s].layer->estimate = (struct ps_rnn_estimate){};
		}
		run_graph(&g, NULL, &x, alone);
		for (int s = 0; s < g.n_steps; s++) { /* waves wherever they can be */
			if (g.steps[s].layer)
				g.steps[s].layer->estimate = (struct ps_rnn_estimate){
					.wide_step_s = 1, .step_s = {1e-6, 1, 1}};
		}
		for (int threads = 2; threads <= MOST_TEAM; threads++) {
			run_graph(&g, teams[threads], &x, wide);
			for (int k = 0; k < 3; k++) {
				assert_int_equal(alone[k].bytes, wide[k].bytes);
				assert_memory_equal(alone[k].data, wide[k].data, wide[k].bytes);
			}
		}
		free(x.data);
		while (n_rooms > 0)
			free(rooms[--n_rooms]);
	}
	ps_rnn_graph_fini(&g);
}

static void mistakes(void **state)
{
	struct stack s = make(2, PS_RNN_FLOAT32);
	struct ps_error err;

	(void)state;
	s.runs[0].batch = s.runs[1].batch = PS_RNN_MAX_BATCH + 1;
	assert_int_equal(ps_rnn_run_waves(s.layers, s.runs, 2, teams[2],
					  &(struct ps_rnn_wave){2, 1, 8}, &err),
			 PS_ETOOBIG);
	assert_int_equal(ps_rnn_run_stack(s.layers, s.runs, 2, teams[2], &err), PS_ETOOBIG);
	drop(&s);
}

static int set_up(void **state)
{
	struct ps_error err;

	(void)state;
	ps_rng_init(&rng, 5, 1);
	for (int i = 2; i <= MOST_TEAM; i++) {
		if (ps_rnn_team_new(i, &(struct ps_cpus){}, &teams[i], &err) != PS_OK)
			return -1;
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (int i = 0; i <= MOST_TEAM; i++)
		ps_rnn_team_free(teams[i]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_to_the_bit),
		cmocka_unit_test(the_estimates_decide),
		cmocka_unit_test(through_a_graph),
		cmocka_unit_test(mistakes),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
