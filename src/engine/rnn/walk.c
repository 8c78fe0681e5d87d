/* walk.c - runs a recurrent layer: x * W for many steps as one product, then step by step.
 *
 * Each thread has some blocks of hidden units of one direction, from the packed weights to what it
 * writes to Y. Threads share only h: of a step they read all of it, write their part of the next,
 * and meet. Odd steps go through the blocks the other way around, so that what the cache still
 * holds of the step before is used first.
 *
 * Rows of different lengths: a row takes part in a step while it has steps left; a backward
 * direction begins at each row's own end. So step i is not one instant of X, and rows are gathered
 * by pointers.
 */
#include "engine/rnn/layer_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN 64
#define ACC_BYTES                                                                                  \
	((int64_t)1 << 20) /* of pre-activations per thread: half of a usual second cache */
#define LEAST_ROWS 32	   /* of a product, so that W is worth its way */

struct walk {
	struct ps_rnn *r;
	const struct ps_rnn_run *run;
	int64_t at_once; /* steps whose x * W is made together */
};

/* What a thread does in one direction. */
struct part {
	const struct ps_rnn *r;
	const struct ps_rnn_run *run;
	const struct ps_rnn_packed *packed;
	const struct ps_rnn_room *room;
	struct ps_rnn_share share;
	bool backward;
	int thread;
	int64_t at_once, rows; /* of acc: at_once * batch */
	const void **in;
	float **to, *in_scales;
	int8_t *x8;
	int now; /* which of room->h is before the step */
};

static int64_t length(const struct part *p, int64_t n)
{
	return p->run->lens ? p->run->lens[n] : p->run->steps;
}

/* The instant of X and Y that row n has in its i-th step. */
static int64_t instant(const struct part *p, int64_t n, int64_t i)
{
	return p->backward ? length(p, n) - 1 - i : i;
}

static const float *x_at(const struct part *p, int64_t n, int64_t t)
{
	const struct ps_rnn_run *run = p->run;
	int64_t row = p->r->spec.layout ? n * run->steps + t : t * run->batch + n;

	return run->x + row * p->r->spec.inputs;
}

static float *y_at(const struct part *p, int64_t n, int64_t t)
{
	const struct ps_rnn_run *run = p->run;
	int64_t d = p->share.direction, directions = p->r->directions;
	int64_t row = p->r->spec.layout ? (n * run->steps + t) * directions + d
					: (t * directions + d) * run->batch + n;

	return run->y + row * p->r->spec.hidden;
}

/* Where the state of a row begins in [D][N][H] or [N][D][H]. */
static int64_t state_at(const struct part *p, int64_t n)
{
	int64_t d = p->share.direction;
	int64_t row = p->r->spec.layout ? n * p->r->directions + d : d * p->run->batch + n;

	return row * p->r->spec.hidden;
}

static int64_t width(const struct part *p)
{
	return p->r->blocks * PS_RNN_BLOCK;
}

static float *acc_at(const struct part *p, int64_t block, int64_t row)
{
	return p->room->acc + (block * p->rows + row) * p->r->slots * PS_RNN_BLOCK;
}

/* Units from the first of a thread's blocks on, and how many are real. */
static int64_t own_from(const struct part *p)
{
	return p->share.from * PS_RNN_BLOCK;
}

static int64_t own_units(const struct part *p)
{
	int64_t to = p->share.to * PS_RNN_BLOCK, hidden = p->r->spec.hidden;

	return (to < hidden ? to : hidden) - own_from(p);
}

static size_t own_bytes(const struct part *p)
{
	return (size_t)own_units(p) * sizeof(float);
}

/* ---- x * W ---- */

static int64_t padded(int64_t k)
{
	return (k + 3) / 4 * 4;
}

/* A row of x in bytes, each with a scale of its own; a NaN or an infinity stays in the scale. */
static void x_to_int8(const struct part *p, const float *x, int64_t row)
{
	int64_t k = p->r->spec.inputs;
	int8_t *to = p->x8 + row * padded(k);
	float most = 0;

	for (int64_t i = 0; i < k; i++) {
		float v = fabsf(x[i]);
		if (!(v <= most) && most == most) /* a NaN stays */
			most = v;
	}
	p->r->kernel->to_int8(x, k, most > 0 ? 127 / most : 0, to);
	memset(to + k, 0, (size_t)(padded(k) - k));
	p->in[row] = to;
	p->in_scales[row] = most / 127;
}

static bool is_int8(const struct part *p)
{
	return p->r->precision == PS_RNN_INT8;
}

static void multiply(const struct part *p, const struct ps_rnn_matrix *m, int64_t block,
		     int64_t rows)
{
	int64_t group = ps_rnn_group(p->r->precision);
	int64_t bytes = (m->k + group - 1) / group * m->gates * PS_RNN_BLOCK * 4;

	p->r->kernel->product[p->r->precision](&(struct ps_rnn_product){
		.weights = (const char *)m->weights + block * bytes,
		.scales = m->scales ? m->scales + block * m->gates * PS_RNN_BLOCK : NULL,
		.k = m->k,
		.gates = m->gates,
		.rows = rows,
		.in = p->in,
		.in_scales = p->in_scales,
		.acc = p->to});
}

/* Rows of x for the steps from `first` on, in the order of acc without those that have ended. */
static int64_t gather(const struct part *p, int64_t first, int64_t steps)
{
	int64_t rows = 0;

	for (int64_t i = first; i < first + steps; i++) {
		for (int64_t n = 0; n < p->run->batch; n++) {
			if (i >= length(p, n))
				continue;
			const float *x = x_at(p, n, instant(p, n, i));
			if (is_int8(p))
				x_to_int8(p, x, rows);
			else
				p->in[rows] = x;
			rows++;
		}
	}
	return rows;
}

/* Pre-activations of the steps from `first` on, for a thread's blocks. */
static void inputs(const struct part *p, int64_t first, int64_t steps)
{
	int64_t batch = p->run->batch, slots = p->r->slots;
	int64_t n_rows = gather(p, first, steps);

	for (int64_t block = p->share.from; block < p->share.to; block++) {
		const float *start = p->packed->start + block * slots * PS_RNN_BLOCK;
		int64_t rows = 0;
		for (int64_t i = first; i < first + steps; i++) {
			for (int64_t n = 0; n < batch; n++) {
				if (i >= length(p, n))
					continue;
				float *acc = acc_at(p, block, (i - first) * batch + n);
				memcpy(acc, start, (size_t)slots * PS_RNN_BLOCK * sizeof *acc);
				p->to[rows++] = acc;
			}
		}
		multiply(p, &p->packed->w, block, n_rows);
	}
}

/* ---- one step ---- */

/* What every thread reads of a step: h before it, or r * h. */
struct shared {
	const float *values;
	const int8_t *bytes;
	int which; /* of room->broken */
};

static struct shared before(const struct part *p)
{
	return (struct shared){p->room->h[p->now], p->room->h8[p->now], p->now};
}

static struct shared gated(const struct part *p)
{
	return (struct shared){p->room->gated, p->room->gated8, 2};
}

static unsigned char *broken_at(const struct part *p, int lane, int which, int64_t n)
{
	return p->room->broken + (lane * 3 + which) * p->run->batch + n;
}

/* The scale of a row of bytes; NaN when any thread's part stands for one. */
static float scale_of(const struct part *p, int which, int64_t n)
{
	for (int lane = 0; lane < p->share.n; lane++) {
		if (*broken_at(p, lane, which, n))
			return NAN;
	}
	return p->room->h_scales[n];
}

/* Bytes of what a thread has made of a row, for the others. */
static void publish(const struct part *p, const struct shared *s, int64_t n)
{
	int64_t at = n * width(p) + p->share.from * PS_RNN_BLOCK;
	bool numbers =
		p->r->kernel->to_int8(s->values + at, (p->share.to - p->share.from) * PS_RNN_BLOCK,
				      1 / p->room->h_scales[n], (int8_t *)s->bytes + at);

	*broken_at(p, p->thread - p->share.first, s->which, n) = !numbers;
}

/* acc += from * weights for the rows that have a step left. */
static void states(const struct part *p, int64_t block, int64_t i, int64_t at,
		   const struct ps_rnn_matrix *m, struct shared from)
{
	int64_t rows = 0;

	for (int64_t n = 0; n < p->run->batch; n++) {
		if (i >= length(p, n))
			continue;
		p->in[rows] = is_int8(p) ? (const void *)(from.bytes + n * width(p))
					 : from.values + n * width(p);
		if (is_int8(p))
			p->in_scales[rows] = scale_of(p, from.which, n);
		p->to[rows++] = acc_at(p, block, at * p->run->batch + n) + m->slot * PS_RNN_BLOCK;
	}
	multiply(p, m, block, rows);
}

static struct ps_rnn_finish finish_of(const struct part *p, int64_t block, int64_t n, int64_t at,
				      float *next)
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
static void mend_tail(const struct part *p, int64_t block, float *next)
{
	int64_t over = (block + 1) * PS_RNN_BLOCK - p->r->spec.hidden;

	if (over > 0)
		memset(next + PS_RNN_BLOCK - over, 0, (size_t)over * sizeof *next);
}

static void finish(const struct part *p, int64_t block, int64_t i, int64_t at)
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

static void meet(const struct part *p)
{
	ps_rnn_team_meet(p->r->team, p->thread, p->share.first, p->share.n);
}

/* The gates of a classic GRU, and r * h where everybody can read it. */
static void gate(const struct part *p, int64_t block, int64_t i, int64_t at)
{
	states(p, block, i, at, &p->packed->r, before(p));
	for (int64_t n = 0; n < p->run->batch; n++) {
		if (i >= length(p, n))
			continue;
		struct ps_rnn_finish f = finish_of(p, block, n, at, p->room->gated);
		p->r->kernel->reset(&f);
		mend_tail(p, block, f.next);
	}
}

/* Calls `one` for a thread's blocks, every other step backwards. */
static void for_blocks(const struct part *p, int64_t i, int64_t at,
		       void (*one)(const struct part *p, int64_t block, int64_t i, int64_t at))
{
	int64_t n = p->share.to - p->share.from;

	for (int64_t b = 0; b < n; b++)
		one(p, i % 2 ? p->share.to - 1 - b : p->share.from + b, i, at);
}

static void whole(const struct part *p, int64_t block, int64_t i, int64_t at)
{
	states(p, block, i, at, &p->packed->r, before(p));
	finish(p, block, i, at);
}

static void candidate(const struct part *p, int64_t block, int64_t i, int64_t at)
{
	states(p, block, i, at, &p->packed->n, gated(p));
	finish(p, block, i, at);
}

static void copy_out(const struct part *p, int64_t i)
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

static void publish_all(const struct part *p, struct shared s, int64_t i)
{
	for (int64_t n = 0; is_int8(p) && n < p->run->batch; n++) {
		if (i < length(p, n))
			publish(p, &s, n);
	}
}

static void step(struct part *p, int64_t i, int64_t at)
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

/* ---- a run ---- */

static void begin_state(const struct part *p, const float *from, float *to)
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
static void blank(const struct part *p)
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

static int64_t longest(const struct ps_rnn_run *run)
{
	int64_t most = run->lens ? 0 : run->steps;

	for (int64_t n = 0; run->lens && n < run->batch; n++) {
		if (run->lens[n] > most)
			most = run->lens[n];
	}
	return most;
}

/* The scale of a row's h in bytes: within 1, or within what the row begins with. Every thread sees
 * the same h0; the first one writes. */
static void begin_scales(const struct part *p)
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

static void direction(struct part *p)
{
	int64_t steps = longest(p->run);

	begin_state(p, p->run->h0, p->room->h[0]);
	begin_state(p, p->run->c0, p->room->c);
	if (is_int8(p)) {
		if (p->thread == p->share.first)
			begin_scales(p);
		meet(p);
		for (int64_t n = 0; n < p->run->batch; n++)
			publish(p, &(struct shared){p->room->h[0], p->room->h8[0], 0}, n);
	}
	if (own_units(p) > 0)
		blank(p);
	meet(p);
	for (int64_t first = 0; first < steps; first += p->at_once) {
		int64_t n = steps - first < p->at_once ? steps - first : p->at_once;
		inputs(p, first, n);
		for (int64_t i = 0; i < n; i++)
			step(p, first + i, i);
	}
}

static void work(void *ctx, int thread)
{
	const struct walk *w = ctx;
	struct part p = {.r = w->r,
			 .run = w->run,
			 .thread = thread,
			 .at_once = w->at_once,
			 .rows = w->at_once * w->run->batch};

	for (int turn = 0; ps_rnn_share_of(w->r, thread, turn, &p.share); turn++) {
		int d = p.share.direction;
		p.packed = &w->r->packed[d];
		p.room = &w->r->room[d];
		p.backward = w->r->spec.direction == PS_RNN_REVERSE || d == 1;
		p.in = p.room->in + (thread - p.share.first) * p.rows;
		p.to = p.room->to + (thread - p.share.first) * p.rows;
		p.in_scales = p.room->in_scales + (thread - p.share.first) * p.rows;
		if (is_int8(&p))
			p.x8 = p.room->x8 +
			       (thread - p.share.first) * p.rows * padded(w->r->spec.inputs);
		p.now = 0;
		direction(&p);
	}
}

static enum ps_status check(const struct ps_rnn_run *run, struct ps_error *err)
{
	if (run->batch < 0 || run->steps < 0)
		return ps_error_set(err, PS_EINVAL, "%lld rows of %lld steps",
				    (long long)run->batch, (long long)run->steps);
	if (run->batch > PS_RNN_MAX_BATCH || run->steps > PS_RNN_MAX_STEPS)
		return ps_error_set(err, PS_ETOOBIG, "%lld rows of %lld steps; at most %d of %lld",
				    (long long)run->batch, (long long)run->steps, PS_RNN_MAX_BATCH,
				    (long long)PS_RNN_MAX_STEPS);
	for (int64_t n = 0; run->lens && n < run->batch; n++) {
		if (run->lens[n] < 0 || run->lens[n] > run->steps)
			return ps_error_set(err, PS_EINVAL,
					    "row %lld has %d steps; 0 to %lld are there",
					    (long long)n, run->lens[n], (long long)run->steps);
	}
	return PS_OK;
}

/* Steps whose x * W is made at once: pre-activations should stay in the second cache, but a product
 * of few rows reads W for little. */
static int64_t steps_at_once(const struct ps_rnn *r, const struct ps_rnn_run *run)
{
	int64_t threads = ps_rnn_team_threads(r->team);
	int64_t bytes = run->batch * r->slots * PS_RNN_BLOCK * (int64_t)sizeof(float) *
			((r->blocks + threads - 1) / threads);
	int64_t n = ACC_BYTES / bytes, least = (LEAST_ROWS + run->batch - 1) / run->batch;

	n = n < least ? least : n;
	return n < run->steps ? n : run->steps;
}

enum ps_status ps_rnn_run(struct ps_rnn *r, const struct ps_rnn_run *run, struct ps_error *err)
{
	enum ps_status st = check(run, err);
	if (st != PS_OK || run->batch == 0)
		return st;
	struct walk w = {r, run, run->steps > 0 ? steps_at_once(r, run) : 1};
	st = ps_rnn_room_fit(r, w.at_once * run->batch, run->batch, err);
	if (st == PS_OK)
		ps_rnn_team_run(r->team, work, &w);
	return st;
}

/* ---- room ---- */

void ps_rnn_room_fini(struct ps_rnn *r)
{
	for (int d = 0; d < 2; d++) {
		struct ps_rnn_room *room = &r->room[d];
		void *all[] = {room->h[0], room->h[1],	   room->c,	 room->gated,
			       room->acc,  room->h8[0],	   room->h8[1],	 room->gated8,
			       room->x8,   room->h_scales, room->broken, room->in,
			       room->to,   room->in_scales};
		for (size_t i = 0; i < sizeof all / sizeof *all; i++)
			free(all[i]);
		*room = (struct ps_rnn_room){};
	}
	r->room_rows = r->room_states = 0;
}

static void *room_of(int64_t n, size_t size, bool *ok)
{
	void *p = aligned_alloc(ALIGN, ((size_t)n * size + ALIGN) / ALIGN * ALIGN);

	*ok = *ok && p;
	return p;
}

static bool room_new(const struct ps_rnn *r, struct ps_rnn_room *room, int64_t rows, int64_t states)
{
	int64_t units = r->blocks * PS_RNN_BLOCK, threads = ps_rnn_team_threads(r->team);
	bool ok = true;

	for (int i = 0; i < 2; i++)
		room->h[i] = room_of(states * units, sizeof(float), &ok);
	room->c = room_of(states * units, sizeof(float), &ok);
	room->gated = room_of(states * units, sizeof(float), &ok);
	room->acc = room_of(rows * units * r->slots, sizeof(float), &ok);
	room->in = room_of(rows * threads, sizeof(float *), &ok);
	room->to = room_of(rows * threads, sizeof(float *), &ok);
	room->in_scales = room_of(rows * threads, sizeof(float), &ok);
	if (r->precision != PS_RNN_INT8)
		return ok;
	for (int i = 0; i < 2; i++)
		room->h8[i] = room_of(states * units, 1, &ok);
	room->gated8 = room_of(states * units, 1, &ok);
	room->x8 = room_of(rows * threads * padded(r->spec.inputs), 1, &ok);
	room->h_scales = room_of(states, sizeof(float), &ok);
	room->broken = room_of(3 * threads * states, 1, &ok);
	return ok;
}

enum ps_status ps_rnn_room_fit(struct ps_rnn *r, int64_t rows, int64_t states, struct ps_error *err)
{
	bool ok = true;

	if (rows <= r->room_rows && states <= r->room_states)
		return PS_OK;
	rows = rows > r->room_rows ? rows : r->room_rows;
	states = states > r->room_states ? states : r->room_states;
	ps_rnn_room_fini(r);
	for (int d = 0; d < r->directions; d++)
		ok = room_new(r, &r->room[d], rows, states) && ok;
	if (!ok) {
		ps_rnn_room_fini(r);
		return ps_error_set(err, PS_ENOMEM, "no memory to run a recurrent layer");
	}
	r->room_rows = rows;
	r->room_states = states;
	return PS_OK;
}

size_t ps_rnn_bytes(const struct ps_rnn *r)
{
	int64_t units = r->blocks * PS_RNN_BLOCK;
	int64_t floats = units * (4 * r->room_states + r->slots * r->room_rows);

	return r->packed_bytes + (size_t)(floats * r->directions) * sizeof(float);
}
