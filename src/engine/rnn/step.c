/* step.c - one step of a recurrent layer: h * R, the gates, the next h.
 *
 * Odd steps go through the blocks the other way around, so that what the cache still holds of the
 * step before is used first.
 */
#include "engine/rnn/walk_internal.h"

#include <math.h>
#include <string.h>

static float *y_at(const struct ps_rnn_part *p, int64_t n, int64_t t)
{
	const struct ps_rnn_run *run = p->run;
	int64_t d = p->share.direction, directions = p->r->directions;
	int64_t row = p->r->spec.layout ? (n * run->steps + t) * directions + d
					: (t * directions + d) * run->batch + n;

	return run->y + row * p->r->spec.hidden;
}

/* What every thread reads of a step: h before it, or r * h. */
struct shared {
	const float *values;
	char *codes;
	int which; /* of room->broken */
};

static struct shared before(const struct ps_rnn_part *p)
{
	return (struct shared){p->room->h[p->now], p->room->code[p->now], p->now};
}

static struct shared gated(const struct ps_rnn_part *p)
{
	return (struct shared){p->room->gated, p->room->gated_code, 2};
}

static unsigned char *broken_at(const struct ps_rnn_part *p, int lane, int which, int64_t n)
{
	return p->room->broken + (lane * 3 + which) * p->run->batch + n;
}

/* The scale of a row of bytes; NaN when any thread's part stands for one. */
static float scale_of(const struct ps_rnn_part *p, int which, int64_t n)
{
	for (int lane = 0; lane < p->share.n; lane++) {
		if (*broken_at(p, lane, which, n))
			return NAN;
	}
	return p->room->h_scales[n];
}

/* Codes of what a thread has made of a row, for the others. */
static void publish(const struct ps_rnn_part *p, const struct shared *s, int64_t n)
{
	const struct ps_rnn_kernel *k = p->r->kernel;
	enum ps_rnn_precision precision = p->r->precision;
	int64_t first = own_from(p);
	bool numbers = k->encode[precision](
		s->values + n * width(p) + first, (p->share.to - p->share.from) * PS_RNN_BLOCK,
		is_int8(p) ? 1 / p->room->h_scales[n] : 1,
		s->codes + n * h_row(p) + first * ps_rnn_code_bytes(k, precision));

	*broken_at(p, p->thread - p->share.first, s->which, n) = !numbers;
}

/* acc += from * weights for the rows that have a step left. */
static void states(const struct ps_rnn_part *p, int64_t block, int64_t i, int64_t at,
		   const struct ps_rnn_matrix *m, struct shared from)
{
	int64_t rows = 0;

	for (int64_t n = 0; n < p->run->batch; n++) {
		if (i >= length(p, n))
			continue;
		p->in[rows] = is_coded(p) ? (const void *)(from.codes + n * h_row(p))
					  : from.values + n * width(p);
		if (is_int8(p))
			p->in_scales[rows] = scale_of(p, from.which, n);
		p->to[rows++] = acc_at(p, block, at * p->run->batch + n) + m->slot * PS_RNN_BLOCK;
	}
	ps_rnn_part_multiply(p, m, block, rows, false);
}

static struct ps_rnn_finish finish_of(const struct ps_rnn_part *p, int64_t block, int64_t n,
				      int64_t at, float *next)
{
	int64_t unit = n * width(p) + block * PS_RNN_BLOCK;

	return (struct ps_rnn_finish){.spec = &p->r->spec,
				      .functions = &p->r->spec.functions[p->share.direction],
				      .p = p->packed->p ? p->packed->p + block * 3 * PS_RNN_BLOCK
							: NULL,
				      .acc = acc_at(p, block, at * p->run->batch + n),
				      .h = p->room->h[p->now] + unit,
				      .c = p->room->c + unit,
				      .next = next + unit};
}

/* Units beyond the last are computed with the others and stay zero for whoever reads h. */
static void mend_tail(const struct ps_rnn_part *p, int64_t block, float *next)
{
	int64_t over = (block + 1) * PS_RNN_BLOCK - p->r->spec.hidden;

	if (over > 0)
		memset(next + PS_RNN_BLOCK - over, 0, (size_t)over * sizeof *next);
}

static void finish(const struct ps_rnn_part *p, int64_t block, int64_t i, int64_t at)
{
	const struct ps_rnn_kernel *k = p->r->kernel;

	for (int64_t n = 0; n < p->run->batch; n++) {
		if (i >= length(p, n))
			continue;
		struct ps_rnn_finish f = finish_of(p, block, n, at, p->room->h[!p->now]);
		switch (p->r->spec.cell) {
		case PS_RNN_LSTM:
			k->lstm(&f);
			break;
		case PS_RNN_GRU:
			k->gru(&f);
			break;
		case PS_RNN_PLAIN:
			k->plain(&f);
			break;
		}
		mend_tail(p, block, f.next);
	}
}

static void meet(const struct ps_rnn_part *p)
{
	ps_rnn_team_meet(p->team, p->thread, p->share.first, p->share.n);
}

/* h * R. With no initial state there is none in the first step, and R stays where it is. */
static void recurrent(const struct ps_rnn_part *p, int64_t block, int64_t i, int64_t at)
{
	if (i > 0 || p->run->h0 || p->r->not_finite)
		states(p, block, i, at, &p->packed->r, before(p));
}

/* The gates of a classic GRU, and r * h where everybody can read it. */
static void gate(const struct ps_rnn_part *p, int64_t block, int64_t i, int64_t at)
{
	recurrent(p, block, i, at);
	for (int64_t n = 0; n < p->run->batch; n++) {
		if (i >= length(p, n))
			continue;
		struct ps_rnn_finish f = finish_of(p, block, n, at, p->room->gated);
		p->r->kernel->reset(&f);
		mend_tail(p, block, f.next);
	}
}

/* Calls `one` for a thread's blocks, every other step backwards. */
static void for_blocks(const struct ps_rnn_part *p, int64_t i, int64_t at,
		       void (*one)(const struct ps_rnn_part *p, int64_t block, int64_t i,
				   int64_t at))
{
	int64_t n = p->share.to - p->share.from;
	bool back = i % 2 && p->r->tuning.alternate;

	for (int64_t b = 0; b < n; b++)
		one(p, back ? p->share.to - 1 - b : p->share.from + b, i, at);
}

static void whole(const struct ps_rnn_part *p, int64_t block, int64_t i, int64_t at)
{
	recurrent(p, block, i, at);
	finish(p, block, i, at);
}

static void candidate(const struct ps_rnn_part *p, int64_t block, int64_t i, int64_t at)
{
	states(p, block, i, at, &p->packed->n, gated(p));
	finish(p, block, i, at);
}

static void copy_out(const struct ps_rnn_part *p, int64_t i)
{
	int64_t from = own_from(p);

	for (int64_t n = 0; n < p->run->batch; n++) {
		int64_t unit = n * width(p) + from, at = state_at(p, n) + from;
		const float *h = p->room->h[p->now] + unit;
		if (i >= length(p, n))
			continue;
		if (p->run->y)
			memcpy(y_at(p, n, instant(p, n, i)) + from, h, own_bytes(p));
		if (i + 1 < length(p, n))
			continue;
		if (p->run->y_h)
			memcpy(p->run->y_h + at, h, own_bytes(p));
		if (p->run->y_c)
			memcpy(p->run->y_c + at, p->room->c + unit, own_bytes(p));
	}
}

static void publish_all(const struct ps_rnn_part *p, struct shared s, int64_t i)
{
	for (int64_t n = 0; is_coded(p) && n < p->run->batch; n++) {
		if (i < length(p, n))
			publish(p, &s, n);
	}
}

void ps_rnn_part_step(struct ps_rnn_part *p, int64_t i, int64_t at)
{
	if (p->packed->n.weights) {
		for_blocks(p, i, at, gate);
		publish_all(p, gated(p), i);
		meet(p);
		for_blocks(p, i, at, candidate);
	} else {
		for_blocks(p, i, at, whole);
	}
	p->now = !p->now;
	publish_all(p, before(p), i);
	if (own_units(p) > 0)
		copy_out(p, i);
	meet(p);
}

/* ---- before the first step ---- */

static void begin_state(const struct ps_rnn_part *p, const float *from, float *to)
{
	int64_t first = own_from(p);

	for (int64_t n = 0; n < p->run->batch; n++) {
		float *row = to + n * width(p) + first;
		memset(row, 0,
		       (size_t)((p->share.to - p->share.from) * PS_RNN_BLOCK) * sizeof *row);
		if (from && own_units(p) > 0)
			memcpy(row, from + state_at(p, n) + first, own_bytes(p));
	}
}

/* Instants of Y that a row does not have, and the last states of rows without steps. */
static void blank(const struct ps_rnn_part *p)
{
	int64_t from = own_from(p);

	for (int64_t n = 0; n < p->run->batch; n++) {
		for (int64_t t = length(p, n); p->run->y && t < p->run->steps; t++)
			memset(y_at(p, n, t) + from, 0, own_bytes(p));
		if (length(p, n) > 0)
			continue;
		if (p->run->y_h)
			memset(p->run->y_h + state_at(p, n) + from, 0, own_bytes(p));
		if (p->run->y_c)
			memset(p->run->y_c + state_at(p, n) + from, 0, own_bytes(p));
	}
}

/* The scale of a row's h in bytes: within 1, or within what the row begins with. Every thread sees
 * the same h0; the first one writes. */
static void begin_scales(const struct ps_rnn_part *p)
{
	for (int64_t n = 0; n < p->run->batch; n++) {
		float most = 1;
		for (int64_t j = 0; p->run->h0 && j < p->r->spec.hidden; j++) {
			float v = fabsf(p->run->h0[state_at(p, n) + j]);
			most = v > most ? v : most;
		}
		p->room->h_scales[n] = most / 127;
	}
}

void ps_rnn_part_begin(const struct ps_rnn_part *p)
{
	begin_state(p, p->run->h0, p->room->h[0]);
	begin_state(p, p->run->c0, p->room->c);
	if (is_int8(p)) {
		if (p->thread == p->share.first)
			begin_scales(p);
		meet(p);
	}
	for (int64_t n = 0; is_coded(p) && n < p->run->batch; n++)
		publish(p, &(struct shared){p->room->h[0], p->room->code[0], 0}, n);
	if (own_units(p) > 0)
		blank(p);
	meet(p);
}
