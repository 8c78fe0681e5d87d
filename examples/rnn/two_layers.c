/* two_layers.c - recurrent layers from a program of one's own, without a model file.
 *
 * Two LSTM layers of drawn weights over one sequence, in float32 and in int8, on two threads. Needs
 * the headers of src/ and two static libraries:
 *
 *	cc -I src examples/rnn/two_layers.c build/release/src/engine/libps_rnn.a \
 *		build/release/src/base/libps_base.a -lm -lpthread
 */
#include "engine/rnn/rnn.h"
#include "engine/rnn/team.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { INPUTS = 40, HIDDEN = 96, STEPS = 50, BATCH = 2, LAYERS = 2, THREADS = 2 };

static float *drawn(int64_t n, double scale)
{
	static uint64_t state = 1;
	float *v = malloc((size_t)n * sizeof *v);

	for (int64_t i = 0; v && i < n; i++) {
		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		v[i] = (float)(((double)(state >> 11) / 4503599627370496.0 - 1) * scale);
	}
	return v;
}

struct stack {
	struct ps_rnn_spec spec[LAYERS];
	float *w[LAYERS], *r[LAYERS], *b[LAYERS];
	struct ps_rnn *layers[LAYERS];
};

static void draw_weights(struct stack *s)
{
	for (int k = 0; k < LAYERS; k++) {
		int inputs = k == 0 ? INPUTS : HIDDEN;
		double scale = 1 / sqrt(inputs + HIDDEN);
		s->spec[k] = ps_rnn_spec_default(PS_RNN_LSTM, inputs, HIDDEN);
		s->w[k] = drawn(4 * HIDDEN * inputs, scale);
		s->r[k] = drawn(4 * HIDDEN * HIDDEN, scale);
		s->b[k] = drawn(2 * 4 * HIDDEN, 0.1);
	}
}

/* Packs the layers; the caller's weights are needed no more once that is done. */
static enum ps_status make(struct stack *s, enum ps_rnn_precision precision,
			   struct ps_rnn_team *team, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (int k = 0; st == PS_OK && k < LAYERS; k++) {
		const struct ps_rnn_weights weights = {.w = s->w[k], .r = s->r[k], .b = s->b[k]};
		const struct ps_rnn_calibration drawn_input = {.steps = PS_RNN_CALIBRATION_STEPS,
							       .batch = PS_RNN_CALIBRATION_BATCH,
							       .seed = 1};
		double error;
		st = ps_rnn_new(&s->spec[k], precision, &weights, team, &s->layers[k], err);
		if (st == PS_OK)
			st = ps_rnn_measure(s->layers[k], team, &weights, &drawn_input, &error,
					    err);
		if (st == PS_OK)
			printf("layer %d: %zu bytes, at most %.4f off float32\n", k + 1,
			       ps_rnn_bytes(s->layers[k]), error);
	}
	return st;
}

/* The output of a layer, [steps][1][batch][hidden], is the input of the next as it lies. */
static enum ps_status run(struct stack *s, struct ps_rnn_team *team, const float *x, float *y[2],
			  struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (int k = 0; st == PS_OK && k < LAYERS; k++) {
		const struct ps_rnn_run one = {
			.steps = STEPS, .batch = BATCH, .x = k == 0 ? x : y[0], .y = y[1]};
		st = ps_rnn_run(s->layers[k], team, &one, err);
		float *last = y[0];
		y[0] = y[1];
		y[1] = last;
	}
	return st;
}

static void drop(struct stack *s)
{
	for (int k = 0; k < LAYERS; k++) {
		ps_rnn_free(s->layers[k]);
		s->layers[k] = NULL;
	}
}

int main(void)
{
	const int64_t n = (int64_t)STEPS * BATCH * HIDDEN;
	const struct ps_cpus anywhere = {0};
	struct ps_rnn_team *team = NULL;
	struct ps_error err = {0};
	struct stack s = {0};
	double most = 0;

	draw_weights(&s);
	float *x = drawn((int64_t)STEPS * BATCH * INPUTS, 1);
	float *exact[] = {drawn(n, 0), drawn(n, 0)}, *reduced[] = {drawn(n, 0), drawn(n, 0)};
	enum ps_status st = ps_rnn_team_new(THREADS, &anywhere, &team, &err);
	if (st == PS_OK)
		st = make(&s, PS_RNN_FLOAT32, team, &err);
	if (st == PS_OK)
		st = run(&s, team, x, exact, &err);
	drop(&s);
	if (st == PS_OK)
		st = make(&s, PS_RNN_INT8, team, &err);
	if (st == PS_OK)
		st = run(&s, team, x, reduced, &err);
	for (int64_t i = 0; st == PS_OK && i < n; i++)
		most = fmax(most, fabs((double)exact[0][i] - (double)reduced[0][i]));
	if (st == PS_OK)
		printf("both layers: at most %.4f off\n", most);
	else
		fprintf(stderr, "%s\n", err.what);
	drop(&s);
	ps_rnn_team_free(team);
	for (int k = 0; k < LAYERS; k++) {
		free(s.w[k]);
		free(s.r[k]);
		free(s.b[k]);
		free(exact[k]);
		free(reduced[k]);
	}
	free(x);
	return st == PS_OK && most > 0 && most < 0.05 ? 0 : 1;
}
