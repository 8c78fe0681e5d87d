/* The layers under the names that other programs know: the same answers as by rnn.h, and what is
 * refused. */
#include "engine/rnn/perseus_rnn.h"
#include "engine/rnn/rnn.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

enum { I = 6, H = 20, T = 7, N = 3 };

static float numbers[4 * 2 * H * (I + H + 8)];

static void fill(void)
{
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		numbers[i] = (float)((int)(i * 7919 % 401) - 200) / 900;
}

/* Every field that both have goes over. */
static void test_same_answers(void **unused)
{
	static const struct perseus_rnn_spec specs[] = {
		{.cell = PERSEUS_RNN_LSTM, .inputs = I, .hidden = H, .input_forget = true},
		{.cell = PERSEUS_RNN_GRU, .inputs = I, .hidden = H, .linear_before_reset = true},
		{.cell = PERSEUS_RNN_GRU,
		 .inputs = I,
		 .hidden = H,
		 .direction = PERSEUS_RNN_BOTH,
		 .clip = 0.1F,
		 .functions = {{{.name = "HardSigmoid"}},
			       {{.name = "hardsigmoid",
				 .has_constants = true,
				 .alpha = 0.3F,
				 .beta = 0.4F},
				{.name = "Softsign"}}}},
		{.cell = PERSEUS_RNN_PLAIN,
		 .inputs = I,
		 .hidden = H,
		 .layout = 1,
		 .direction = PERSEUS_RNN_REVERSE}};
	const struct perseus_rnn_weights weights = {
		.w = numbers, .r = numbers + 100, .b = numbers + 50, .p = numbers + 30};
	const struct ps_rnn_weights same = {
		.w = numbers, .r = numbers + 100, .b = numbers + 50, .p = numbers + 30};
	static const int32_t lens[N] = {T, 0, 3};

	(void)unused;
	fill();
	for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
		const struct perseus_rnn_spec *s = &specs[i];
		struct ps_rnn_spec p = ps_rnn_spec_default((enum ps_rnn_cell)s->cell, I, H);
		float y[2][T * 2 * N * H] = {0}, y_h[2][2 * N * H] = {0}, y_c[2][2 * N * H] = {0};
		const float *x = numbers + 11, *h0 = numbers + 17, *c0 = numbers + 23;
		struct perseus_rnn_error error;
		struct perseus_rnn *rnn;
		struct ps_rnn *layer;
		p.direction = (enum ps_rnn_direction)s->direction;
		p.layout = s->layout;
		p.clip = s->clip;
		p.input_forget = s->input_forget;
		p.linear_before_reset = s->linear_before_reset;
		if (s->functions[0][0].name) {
			assert_int_equal(
				ps_rnn_function_named("HardSigmoid", &p.functions[0].f, NULL),
				PS_OK);
			p.functions[1].f =
				(struct ps_rnn_function){PS_RNN_HARD_SIGMOID, 0.3F, 0.4F};
			p.functions[1].g.kind = PS_RNN_SOFTSIGN;
		}
		assert_int_equal(
			perseus_rnn_new(s, PERSEUS_RNN_FLOAT32, &weights, NULL, &rnn, &error),
			PERSEUS_RNN_OK);
		assert_int_equal(ps_rnn_new(&p, PS_RNN_FLOAT32, &same, NULL, &layer, NULL), PS_OK);
		const struct perseus_rnn_run run = {.steps = T,
						    .batch = N,
						    .x = x,
						    .lens = lens,
						    .h0 = h0,
						    .c0 = c0,
						    .y = y[0],
						    .y_h = y_h[0],
						    .y_c = y_c[0]};
		const struct ps_rnn_run like = {.steps = T,
						.batch = N,
						.x = x,
						.lens = lens,
						.h0 = h0,
						.c0 = c0,
						.y = y[1],
						.y_h = y_h[1],
						.y_c = y_c[1]};
		assert_int_equal(perseus_rnn_run(rnn, NULL, &run, &error), PERSEUS_RNN_OK);
		assert_int_equal(ps_rnn_run(layer, NULL, &like, NULL), PS_OK);
		assert_memory_equal(y[0], y[1], sizeof y[0]);
		assert_memory_equal(y_h[0], y_h[1], sizeof y_h[0]);
		assert_memory_equal(y_c[0], y_c[1], sizeof y_c[0]);
		assert_int_equal(perseus_rnn_bytes(rnn), ps_rnn_bytes(layer));
		assert_string_equal(perseus_rnn_kernel(rnn), ps_rnn_kernel_name(layer));
		perseus_rnn_free(rnn);
		ps_rnn_free(layer);
	}
}

static void test_refused(void **unused)
{
	static const struct {
		struct perseus_rnn_spec s;
		enum perseus_rnn_precision precision;
		enum perseus_rnn_status status;
		const char *what;
		bool no_r;
	} cases[] = {
		{{.inputs = 0, .hidden = H}, 0, PERSEUS_RNN_INVALID, "0 inputs", false},
		{{.inputs = I, .hidden = -1}, 0, PERSEUS_RNN_INVALID, "-1 hidden", false},
		{{.inputs = I, .hidden = 70000}, 0, PERSEUS_RNN_TOO_BIG, "at most 65536", false},
		{{.inputs = I, .hidden = H, .layout = 2}, 0, PERSEUS_RNN_INVALID, "layout", false},
		{{.inputs = I, .hidden = H, .cell = 7}, 0, PERSEUS_RNN_INVALID, "cell 7", false},
		{{.inputs = I, .hidden = H}, 9, PERSEUS_RNN_INVALID, "precision 9", false},
		{{.inputs = I, .hidden = H, .functions = {{{.name = "Swish"}}}},
		 0,
		 PERSEUS_RNN_INVALID,
		 "Swish",
		 false},
		{{.inputs = I, .hidden = H, .functions = {{{.name = "Relu"}}}},
		 PERSEUS_RNN_INT8,
		 PERSEUS_RNN_UNSUPPORTED,
		 "within 1",
		 false},
		{{.inputs = I, .hidden = H}, 0, PERSEUS_RNN_INVALID, "needs w and r", true}};

	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct perseus_rnn_weights weights = {.w = numbers,
							    .r = cases[i].no_r ? NULL : numbers};
		struct perseus_rnn_error error = {""};
		struct perseus_rnn *rnn;
		enum perseus_rnn_status st = perseus_rnn_new(&cases[i].s, cases[i].precision,
							     &weights, NULL, &rnn, &error);
		if (st != cases[i].status || !strstr(error.text, cases[i].what))
			fail_msg("case %zu: %d, \"%s\"", i, (int)st, error.text);
		assert_int_equal(perseus_rnn_new(&cases[i].s, cases[i].precision, &weights, NULL,
						 &rnn, NULL),
				 cases[i].status);
	}
}

static void test_runs_refused(void **unused)
{
	static const int32_t long_lens[] = {T + 1};
	static const struct {
		struct perseus_rnn_run run;
		enum perseus_rnn_status status;
	} cases[] = {
		{{.steps = -1, .batch = 1, .x = numbers}, PERSEUS_RNN_INVALID},
		{{.steps = 1, .batch = 5000, .x = numbers}, PERSEUS_RNN_TOO_BIG},
		{{.steps = 1, .batch = 1}, PERSEUS_RNN_INVALID},
		{{.steps = T, .batch = 1, .x = numbers, .lens = long_lens}, PERSEUS_RNN_INVALID},
		{{.steps = 0, .batch = 1}, PERSEUS_RNN_OK}};
	const struct perseus_rnn_spec s = {.cell = PERSEUS_RNN_GRU, .inputs = I, .hidden = H};
	const struct perseus_rnn_weights weights = {.w = numbers, .r = numbers};
	struct perseus_rnn_error error;
	struct perseus_rnn_team *team;
	struct perseus_rnn *rnn;
	double off;

	(void)unused;
	assert_int_equal(perseus_rnn_new(&s, PERSEUS_RNN_BFLOAT16, &weights, NULL, &rnn, &error),
			 PERSEUS_RNN_OK);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(perseus_rnn_run(rnn, NULL, &cases[i].run, &error),
				 cases[i].status);
	assert_int_equal(perseus_rnn_measure(rnn, NULL, &weights, 0, 1, NULL, &off, &error),
			 PERSEUS_RNN_INVALID);
	assert_int_equal(perseus_rnn_measure(rnn, NULL, &weights, 20, 2, NULL, &off, &error),
			 PERSEUS_RNN_OK);
	assert_true(off > 0 && off < 0.05);
	assert_int_equal(perseus_rnn_team_new(2, (const int[]){-3}, 1, &team, &error),
			 PERSEUS_RNN_INVALID);
	assert_int_equal(perseus_rnn_team_new(INT_MAX, NULL, 0, &team, &error),
			 PERSEUS_RNN_TOO_BIG);
	perseus_rnn_free(rnn);
	perseus_rnn_free(NULL);
	perseus_rnn_team_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_answers),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_runs_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
