/* one_layer.c - an LSTM from a program of your own, by one header and one library.
 *
 *	cmake --install build/release --component devel --prefix /tmp/perseus
 *	cc -I /tmp/perseus/include examples/rnn/one_layer.c -L /tmp/perseus/lib -lperseus_rnn -lm \
 *		-lpthread
 *
 * One LSTM of drawn weights runs a sequence on two threads in float32 and in int8. The first output
 * is held against the same numbers computed here, in double precision.
 */
#include <perseus_rnn.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { INPUTS = 20, HIDDEN = 48, STEPS = 30, GATES = 4 };

static float w[GATES * HIDDEN * INPUTS], r[GATES * HIDDEN * HIDDEN], b[2 * GATES * HIDDEN];
static float x[STEPS * INPUTS], exact[STEPS * HIDDEN], reduced[STEPS * HIDDEN];

static void draw(float *v, int n, double scale)
{
	static uint64_t state = 1;

	for (int i = 0; i < n; i++) {
		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		v[i] = (float)(((double)(state >> 11) / 4503599627370496.0 - 1) * scale);
	}
}

static double sigmoid(double v)
{
	return 1 / (1 + exp(-v));
}

/* A gate before its activation at the first step, where h is zero; `gate` in the order i o f c. */
static double gate(int gate, int unit)
{
	int row = gate * HIDDEN + unit;
	double sum = (double)b[row] + (double)b[GATES * HIDDEN + row];

	for (int k = 0; k < INPUTS; k++)
		sum += (double)w[row * INPUTS + k] * (double)x[k];
	return sum;
}

static double first_step_off(void)
{
	double most = 0;

	for (int j = 0; j < HIDDEN; j++) {
		double c = sigmoid(gate(0, j)) * tanh(gate(3, j));
		double h = sigmoid(gate(1, j)) * tanh(c);
		most = fmax(most, fabs(h - (double)exact[j]));
	}
	return most;
}

static enum perseus_rnn_status run(enum perseus_rnn_precision precision,
				   struct perseus_rnn_team *team, float *y,
				   struct perseus_rnn_error *error)
{
	const struct perseus_rnn_spec spec = {
		.cell = PERSEUS_RNN_LSTM, .inputs = INPUTS, .hidden = HIDDEN};
	const struct perseus_rnn_weights weights = {.w = w, .r = r, .b = b};
	const struct perseus_rnn_run one = {.steps = STEPS, .batch = 1, .x = x, .y = y};
	struct perseus_rnn *rnn = NULL;
	double off = 0;
	enum perseus_rnn_status st = perseus_rnn_new(&spec, precision, &weights, team, &rnn, error);

	if (st == PERSEUS_RNN_OK)
		st = perseus_rnn_measure(rnn, team, &weights, STEPS, 1, x, &off, error);
	if (st == PERSEUS_RNN_OK)
		st = perseus_rnn_run(rnn, team, &one, error);
	if (st == PERSEUS_RNN_OK)
		printf("%s: %zu bytes, at most %.4f off float32\n", perseus_rnn_kernel(rnn),
		       perseus_rnn_bytes(rnn), off);
	perseus_rnn_free(rnn);
	return st;
}

int main(void)
{
	struct perseus_rnn_team *team = NULL;
	struct perseus_rnn_error error;
	double most = 0;

	draw(w, GATES * HIDDEN * INPUTS, 0.2);
	draw(r, GATES * HIDDEN * HIDDEN, 0.15);
	draw(b, 2 * GATES * HIDDEN, 0.1);
	draw(x, STEPS * INPUTS, 1);
	enum perseus_rnn_status st = perseus_rnn_team_new(2, NULL, 0, &team, &error);
	if (st == PERSEUS_RNN_OK)
		st = run(PERSEUS_RNN_FLOAT32, team, exact, &error);
	if (st == PERSEUS_RNN_OK)
		st = run(PERSEUS_RNN_INT8, team, reduced, &error);
	perseus_rnn_team_free(team);
	if (st != PERSEUS_RNN_OK) {
		fprintf(stderr, "%s\n", error.text);
		return 1;
	}
	for (int i = 0; i < STEPS * HIDDEN; i++)
		most = fmax(most, fabs((double)exact[i] - (double)reduced[i]));
	printf("first step: %.2g off double precision; int8: at most %.4f off float32\n",
	       first_step_off(), most);
	return first_step_off() < 1e-5 && most > 0 && most < 0.05 ? 0 : 1;
}
