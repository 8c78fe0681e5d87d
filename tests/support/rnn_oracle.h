/* rnn_oracle.h - ONNX's recurrent operators in double precision, written from the operators'
 * equations and as slowly as they read: what every kernel is compared with. */
#ifndef PS_TESTS_SUPPORT_RNN_ORACLE_H
#define PS_TESTS_SUPPORT_RNN_ORACLE_H

#include "engine/rnn/rnn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static inline double oracle_function(const struct ps_rnn_function *f, double x)
{
	double a = (double)f->alpha, b = (double)f->beta;

	switch (f->kind) {
	case PS_RNN_RELU:
		return x < 0 ? 0 : x; /* NaN stays */
	case PS_RNN_TANH:
		return tanh(x);
	case PS_RNN_SIGMOID:
		return 1 / (1 + exp(-x));
	case PS_RNN_AFFINE:
		return a * x + b;
	case PS_RNN_LEAKY_RELU:
		return x < 0 ? a * x : x;
	case PS_RNN_THRESHOLDED_RELU:
		return x < a ? 0 : x;
	case PS_RNN_SCALED_TANH:
		return a * tanh(b * x);
	case PS_RNN_HARD_SIGMOID:
		x = a * x + b;
		return x < 0 ? 0 : x > 1 ? 1 : x;
	case PS_RNN_ELU:
		return x < 0 ? a * expm1(x) : x;
	case PS_RNN_SOFTSIGN:
		return isinf(x) ? copysign(1, x) : x / (1 + fabs(x));
	case PS_RNN_SOFTPLUS:
		return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
	case PS_RNN_ACTIVATIONS:
		break;
	}
	return NAN;
}

static inline double oracle_clip(const struct ps_rnn_spec *s, double x)
{
	double c = (double)s->clip;

	return c > 0 ? x < -c ? -c : x > c ? c : x : x;
}

/* One direction's weights and one row's state. */
struct oracle {
	const struct ps_rnn_spec *s;
	const struct ps_rnn_functions *f;
	const float *w, *r, *b, *p; /* of this direction */
	double *h, *c, *next, *gated;
};

static inline double oracle_product(const float *row, const double *v, int64_t n)
{
	double sum = 0;
	for (int64_t k = 0; k < n; k++)
		sum += (double)row[k] * v[k];
	return sum;
}

static inline double oracle_x(const struct oracle *o, int gate, int64_t j, const float *x)
{
	int64_t row = gate * o->s->hidden + j;
	double sum = o->b ? (double)o->b[row] : 0;

	for (int64_t k = 0; k < o->s->inputs; k++)
		sum += (double)o->w[row * o->s->inputs + k] * (double)x[k];
	return sum;
}

static inline double oracle_rb(const struct oracle *o, int gate, int64_t j)
{
	int64_t rows = ps_rnn_gates(o->s->cell) * o->s->hidden;
	return o->b ? (double)o->b[rows + gate * o->s->hidden + j] : 0;
}

static inline double oracle_h(const struct oracle *o, int gate, int64_t j, const double *h)
{
	return oracle_product(o->r + (gate * o->s->hidden + j) * o->s->hidden, h, o->s->hidden);
}

static inline void oracle_lstm(const struct oracle *o, const float *x)
{
	const struct ps_rnn_spec *s = o->s;
	int64_t H = s->hidden;

	for (int64_t j = 0; j < H; j++) {
		double g[4];
		for (int i = 0; i < 4; i++)
			g[i] = oracle_x(o, i, j, x) + oracle_h(o, i, j, o->h) + oracle_rb(o, i, j);
		double pi = o->p ? (double)o->p[j] : 0, po = o->p ? (double)o->p[H + j] : 0,
		       pf = o->p ? (double)o->p[2 * H + j] : 0;
		if (o->p) {
			g[0] += pi * o->c[j];
			g[2] += pf * o->c[j];
		}
		double in = oracle_function(&o->f->f, oracle_clip(s, g[0]));
		double forget =
			s->input_forget ? 1 - in : oracle_function(&o->f->f, oracle_clip(s, g[2]));
		double cell =
			forget * o->c[j] + in * oracle_function(&o->f->g, oracle_clip(s, g[3]));
		if (o->p)
			g[1] += po * cell;
		double out = oracle_function(&o->f->f, oracle_clip(s, g[1]));
		o->c[j] = cell;
		o->next[j] = out * oracle_function(&o->f->h, cell);
	}
	memcpy(o->h, o->next, (size_t)H * sizeof *o->h);
}

static inline void oracle_gru(const struct oracle *o, const float *x)
{
	const struct ps_rnn_spec *s = o->s;
	int64_t H = s->hidden;

	for (int64_t j = 0; j < H; j++) {
		double r = oracle_x(o, 1, j, x) + oracle_h(o, 1, j, o->h) + oracle_rb(o, 1, j);
		r = oracle_function(&o->f->f, oracle_clip(s, r));
		o->gated[j] = s->linear_before_reset ? r : r * o->h[j];
	}
	for (int64_t j = 0; j < H; j++) {
		double z = oracle_x(o, 0, j, x) + oracle_h(o, 0, j, o->h) + oracle_rb(o, 0, j);
		z = oracle_function(&o->f->f, oracle_clip(s, z));
		double n = oracle_x(o, 2, j, x);
		n += s->linear_before_reset
			     ? o->gated[j] * (oracle_h(o, 2, j, o->h) + oracle_rb(o, 2, j))
			     : oracle_h(o, 2, j, o->gated) + oracle_rb(o, 2, j);
		n = oracle_function(&o->f->g, oracle_clip(s, n));
		o->next[j] = (1 - z) * n + z * o->h[j];
	}
	memcpy(o->h, o->next, (size_t)H * sizeof *o->h);
}

static inline void oracle_plain(const struct oracle *o, const float *x)
{
	for (int64_t j = 0; j < o->s->hidden; j++) {
		double v = oracle_x(o, 0, j, x) + oracle_h(o, 0, j, o->h) + oracle_rb(o, 0, j);
		o->next[j] = oracle_function(&o->f->f, oracle_clip(o->s, v));
	}
	memcpy(o->h, o->next, (size_t)o->s->hidden * sizeof *o->h);
}

static inline void oracle_step(const struct oracle *o, const float *x)
{
	switch (o->s->cell) {
	case PS_RNN_LSTM:
		oracle_lstm(o, x);
		break;
	case PS_RNN_GRU:
		oracle_gru(o, x);
		break;
	case PS_RNN_PLAIN:
		oracle_plain(o, x);
		break;
	}
}

static inline int oracle_directions(const struct ps_rnn_spec *s)
{
	return s->direction == PS_RNN_BOTH ? 2 : 1;
}

/* Where a state [D][N][H] or [N][D][H] of direction d, row n begins. */
static inline int64_t oracle_state_at(const struct ps_rnn_spec *s, int64_t batch, int d, int64_t n)
{
	return (s->layout ? n * oracle_directions(s) + d : d * batch + n) * s->hidden;
}

static inline void oracle_row(struct oracle *o, const struct ps_rnn_run *run, int d, int64_t n,
			      double *y, double *y_h, double *y_c)
{
	const struct ps_rnn_spec *s = o->s;
	int64_t H = s->hidden, T = run->steps, N = run->batch, D = oracle_directions(s);
	int64_t len = run->lens ? run->lens[n] : T, at = oracle_state_at(s, N, d, n);
	bool backward = s->direction == PS_RNN_REVERSE || d == 1;

	for (int64_t j = 0; j < H; j++) {
		o->h[j] = run->h0 ? (double)run->h0[at + j] : 0;
		o->c[j] = run->c0 ? (double)run->c0[at + j] : 0;
	}
	for (int64_t i = 0; i < len; i++) {
		int64_t t = backward ? len - 1 - i : i;
		oracle_step(o, run->x + (s->layout ? n * T + t : t * N + n) * s->inputs);
		int64_t y_at = s->layout ? ((n * T + t) * D + d) * H : ((t * D + d) * N + n) * H;
		memcpy(y + y_at, o->h, (size_t)H * sizeof *y);
	}
	for (int64_t j = 0; j < H; j++) {
		y_h[at + j] = len ? o->h[j] : 0; /* a row without steps, as ONNX Runtime has it */
		y_c[at + j] = len ? o->c[j] : 0;
	}
}

/* y [T*D*N*H], y_h and y_c [D*N*H], all of them. */
static inline void oracle_run(const struct ps_rnn_spec *s, const struct ps_rnn_weights *w,
			      const struct ps_rnn_run *run, double *y, double *y_h, double *y_c)
{
	int64_t H = s->hidden, G = ps_rnn_gates(s->cell), D = oracle_directions(s);
	double *room = calloc((size_t)(4 * H), sizeof *room);

	memset(y, 0, (size_t)(run->steps * D * run->batch * H) * sizeof *y);
	for (int d = 0; d < D; d++) {
		struct oracle o = {.s = s,
				   .f = &s->functions[d],
				   .w = w->w + d * G * H * s->inputs,
				   .r = w->r + d * G * H * H,
				   .b = w->b ? w->b + d * 2 * G * H : NULL,
				   .p = w->p ? w->p + d * 3 * H : NULL,
				   .h = room,
				   .c = room + H,
				   .next = room + 2 * H,
				   .gated = room + 3 * H};
		for (int64_t n = 0; n < run->batch; n++)
			oracle_row(&o, run, d, n, y, y_h, y_c);
	}
	free(room);
}

#endif
