/* layer.c - makes a recurrent layer: weights are copied into blocks of 16 units, so that a step
 * reads them in one direction, each thread its own. */
#include "engine/rnn/layer_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN 64

/* ONNX's gate of the slot: see the slots in kernel_internal.h. */
static int gate_of(enum ps_rnn_cell cell, int slot)
{
	static const int gru[] = {[PS_RNN_SLOT_N] = 2,
				  [PS_RNN_SLOT_Z] = 0,
				  [PS_RNN_SLOT_R] = 1,
				  [PS_RNN_SLOT_NH] = 2};

	return cell == PS_RNN_GRU ? gru[slot] : slot;
}

static bool is_classic_gru(const struct ps_rnn_spec *s)
{
	return s->cell == PS_RNN_GRU && !s->linear_before_reset;
}

bool ps_rnn_share_of(const struct ps_rnn *r, int threads, int i, int turn, struct ps_rnn_share *ret)
{
	int d = turn, first = 0, n = threads;

	if (i >= threads)
		return false;
	if (r->directions == 2 && threads > 1) {
		int half = threads / 2;
		if (turn > 0)
			return false;
		d = i >= half;
		first = d ? half : 0;
		n = d ? threads - half : half;
	}
	if (d >= r->directions)
		return false;
	*ret = (struct ps_rnn_share){.direction = d,
				     .from = r->blocks * (i - first) / n,
				     .to = r->blocks * (i - first + 1) / n,
				     .first = first,
				     .n = n};
	return true;
}

/* ---- packing ---- */

/* Where in ONNX's matrix [gates * hidden][k] the weights of a unit's slot are; NULL: beyond the
 * last unit. */
static const float *row_of(const struct ps_rnn *r, const struct ps_rnn_matrix *m, const float *from,
			   int slot, int64_t unit)
{
	if (unit >= r->spec.hidden)
		return NULL;
	return from + (gate_of(r->spec.cell, slot) * r->spec.hidden + unit) * m->k;
}

static uint16_t bf16_of(float f)
{
	uint32_t x;

	memcpy(&x, &f, sizeof x);
	if (f != f)
		return (uint16_t)((x >> 16) | 0x40);		 /* stays NaN */
	return (uint16_t)((x + 0x7fff + ((x >> 16) & 1)) >> 16); /* to the nearest, ties to even */
}

/* The scale of a row of bytes: its largest value is 127. NaN and infinity stay visible in it. */
static float scale_of(const float *row, int64_t k)
{
	float most = 0;

	for (int64_t i = 0; row && i < k; i++) {
		float v = fabsf(row[i]);
		if (!(v <= most) && most == most) /* a NaN stays */
			most = v;
	}
	return most > 0 || most != most ? most / 127 : 1;
}

/* One value to its place; `at` counts values of the block in groups. */
static void put(enum ps_rnn_precision precision, void *to, int64_t at, float value, float scale)
{
	switch (precision) {
	case PS_RNN_BFLOAT16:
		((uint16_t *)to)[at] = bf16_of(value);
		break;
	case PS_RNN_INT8:
		value /= scale;
		((int8_t *)to)[at] = (int8_t)(int)rintf(value == value ? value : 0);
		break;
	default:
		((float *)to)[at] = value;
		break;
	}
}

static size_t weight_bytes(enum ps_rnn_precision p)
{
	return 4 / (size_t)ps_rnn_group(p);
}

/* Values of a block, k rounded up to whole groups. */
static int64_t block_values(const struct ps_rnn *r, const struct ps_rnn_matrix *m)
{
	int64_t group = ps_rnn_group(r->precision);

	return (m->k + group - 1) / group * group * m->gates * PS_RNN_BLOCK;
}

/* What the products of a row of weights with 128 add up to, taken away. */
static void pack_offset(const int8_t *weights, int64_t groups, int gates, int32_t *ret)
{
	int64_t sum = 0;

	for (int64_t i = 0; i < groups; i++, weights += gates * PS_RNN_BLOCK * 4)
		sum += weights[0] + weights[1] + weights[2] + weights[3];
	*ret = (int32_t)(sum * -128); /* within 2^31 for any k that a layer may have */
}

/* k by k, so that the packed block is written in one direction; 16 rows are read side by side. */
static void pack(const struct ps_rnn *r, const struct ps_rnn_matrix *m, const float *from,
		 int64_t block)
{
	int64_t group = ps_rnn_group(r->precision), values = block_values(r, m);
	char *to = (char *)m->weights + (size_t)(block * values) * weight_bytes(r->precision);

	for (int g = 0; g < m->gates; g++) {
		const float *rows[PS_RNN_BLOCK];
		float scales[PS_RNN_BLOCK];
		for (int u = 0; u < PS_RNN_BLOCK; u++) {
			rows[u] = row_of(r, m, from, m->slot + g, block * PS_RNN_BLOCK + u);
			scales[u] = m->scales ? scale_of(rows[u], m->k) : 1;
			if (m->scales)
				m->scales[(block * m->gates + g) * PS_RNN_BLOCK + u] = scales[u];
		}
		for (int64_t i = 0; i * m->gates * PS_RNN_BLOCK < values; i++) {
			int64_t at =
				((i / group * m->gates + g) * PS_RNN_BLOCK) * group + i % group;
			for (int u = 0; u < PS_RNN_BLOCK; u++)
				put(r->precision, to, at + u * group,
				    rows[u] && i < m->k ? rows[u][i] : 0, scales[u]);
		}
		for (int64_t u = g * PS_RNN_BLOCK; m->offsets && u < (g + 1) * PS_RNN_BLOCK; u++)
			pack_offset((const int8_t *)to + u * 4, (m->k + 3) / 4, m->gates,
				    &m->offsets[block * m->gates * PS_RNN_BLOCK + u]);
	}
}

/* The bias of a slot: of W and of R together, but for the candidate of a GRU that is linear before
 * reset, where r lies between them. */
static float bias(const struct ps_rnn *r, const float *b, int slot, int64_t unit)
{
	const struct ps_rnn_spec *s = &r->spec;
	int64_t rows = r->gates * s->hidden;
	int64_t at = gate_of(s->cell, slot) * s->hidden + unit;

	if (s->cell == PS_RNN_GRU && s->linear_before_reset) {
		if (slot == PS_RNN_SLOT_N)
			return b[at];
		if (slot == PS_RNN_SLOT_NH)
			return b[rows + at];
	}
	return b[at] + b[rows + at];
}

static void pack_start(const struct ps_rnn *r, const float *b, int64_t block, float *start)
{
	for (int slot = 0; slot < r->slots; slot++) {
		float *to = start + (block * r->slots + slot) * PS_RNN_BLOCK;
		for (int64_t u = 0; u < PS_RNN_BLOCK; u++) {
			int64_t unit = block * PS_RNN_BLOCK + u;
			to[u] = b && unit < r->spec.hidden ? bias(r, b, slot, unit) : 0;
		}
	}
}

static void pack_peepholes(const struct ps_rnn *r, const float *p, int64_t block, float *to)
{
	for (int64_t i = 0; i < 3; i++) {
		for (int64_t u = 0; u < PS_RNN_BLOCK; u++) {
			int64_t unit = block * PS_RNN_BLOCK + u;
			to[(block * 3 + i) * PS_RNN_BLOCK + u] =
				unit < r->spec.hidden ? p[i * r->spec.hidden + unit] : 0;
		}
	}
}

/* Whether a block's part of R has no infinity and no NaN. */
static bool is_finite(const struct ps_rnn *r, const struct ps_rnn_matrix *m, const float *from,
		      int64_t block)
{
	bool finite = true;

	for (int slot = m->slot; slot < m->slot + m->gates; slot++) {
		for (int64_t u = 0; u < PS_RNN_BLOCK; u++) {
			const float *row = row_of(r, m, from, slot, block * PS_RNN_BLOCK + u);
			for (int64_t i = 0; row && i < m->k; i++)
				finite = finite && isfinite(row[i]);
		}
	}
	return finite;
}

struct packing {
	struct ps_rnn *r;
	int threads;
	const struct ps_rnn_weights *weights;
};

/* A thread touches its part first, so that the memory is near it. */
static void pack_share(void *ctx, int i)
{
	const struct packing *p = ctx;
	struct ps_rnn *r = p->r;
	int64_t hidden = r->spec.hidden, rows = r->gates * hidden;
	struct ps_rnn_share s;

	for (int turn = 0; ps_rnn_share_of(r, p->threads, i, turn, &s); turn++) {
		int64_t d = s.direction;
		const struct ps_rnn_packed *to = &r->packed[d];
		const float *b = p->weights->b ? p->weights->b + d * 2 * rows : NULL;
		for (int64_t block = s.from; block < s.to; block++) {
			pack(r, &to->w, p->weights->w + d * rows * r->spec.inputs, block);
			pack(r, &to->r, p->weights->r + d * rows * hidden, block);
			if (!is_finite(r, &to->r, p->weights->r + d * rows * hidden, block))
				atomic_store_explicit(&r->not_finite, true, memory_order_relaxed);
			if (to->n.weights)
				pack(r, &to->n, p->weights->r + d * rows * hidden, block);
			pack_start(r, b, block, to->start);
			if (to->p)
				pack_peepholes(r, p->weights->p + d * 3 * hidden, block, to->p);
		}
	}
}

static void *room_for(struct ps_rnn *r, int64_t n, size_t size)
{
	size_t bytes = ((size_t)n * size + ALIGN - 1) / ALIGN * ALIGN;

	r->packed_bytes += bytes;
	return r->counting ? NULL : aligned_alloc(ALIGN, bytes);
}

static bool allocate_matrix(struct ps_rnn *r, struct ps_rnn_matrix *m)
{
	if (m->gates == 0)
		return true;
	m->weights = room_for(r, r->blocks * block_values(r, m), weight_bytes(r->precision));
	if (r->precision != PS_RNN_INT8)
		return r->counting || m->weights;
	m->scales = room_for(r, r->blocks * m->gates * PS_RNN_BLOCK, sizeof *m->scales);
	m->offsets = room_for(r, r->blocks * m->gates * PS_RNN_BLOCK, sizeof *m->offsets);
	return r->counting || (m->weights && m->scales && m->offsets);
}

static enum ps_status allocate(struct ps_rnn *r, bool peepholes, struct ps_error *err)
{
	int64_t units = r->blocks * PS_RNN_BLOCK;
	bool ok = true;

	for (int d = 0; d < r->directions; d++) {
		struct ps_rnn_packed *p = &r->packed[d];
		ok = allocate_matrix(r, &p->w) && allocate_matrix(r, &p->r) &&
		     allocate_matrix(r, &p->n) && ok;
		p->start = room_for(r, units * r->slots, sizeof(float));
		p->p = peepholes ? room_for(r, units * 3, sizeof(float)) : NULL;
		ok = ok && p->start && (p->p || !peepholes);
	}
	return ok ? PS_OK
		  : ps_error_set(err, PS_ENOMEM, "no memory for the weights of a recurrent layer");
}

/* Which slots each matrix fills. */
static void lay_out(struct ps_rnn *r)
{
	const struct ps_rnn_spec *s = &r->spec;
	struct ps_rnn_packed p = {};

	r->directions = s->direction == PS_RNN_BOTH ? 2 : 1;
	r->gates = r->slots = ps_rnn_gates(s->cell);
	r->blocks = (s->hidden + PS_RNN_BLOCK - 1) / PS_RNN_BLOCK;
	p.w = (struct ps_rnn_matrix){.k = s->inputs, .gates = r->gates};
	p.r = (struct ps_rnn_matrix){.k = s->hidden, .gates = r->gates};
	if (s->cell == PS_RNN_GRU)
		p.r.slot = PS_RNN_SLOT_Z;
	if (s->cell == PS_RNN_GRU && s->linear_before_reset)
		r->slots = 4;
	if (is_classic_gru(s)) {
		p.r.gates = 2;
		p.n = (struct ps_rnn_matrix){.k = s->hidden, .gates = 1, .slot = PS_RNN_SLOT_N};
	}
	r->packed[0] = r->packed[1] = p;
}

/* All but the memory. */
static struct ps_rnn described(const struct ps_rnn_spec *spec, enum ps_rnn_precision precision)
{
	struct ps_rnn r = {.spec = *spec, .precision = precision, .kernel = ps_rnn_kernel_best()};

	r.tuning.alternate = true;
	lay_out(&r);
	return r;
}

struct ps_rnn_need ps_rnn_need_of(const struct ps_rnn_spec *spec, enum ps_rnn_precision precision,
				  bool peepholes, int threads)
{
	struct ps_rnn r = described(spec, precision);
	struct ps_rnn_need need;

	r.counting = true; /* nothing is allocated, so nothing can fail */
	(void)allocate(&r, peepholes && spec->cell == PS_RNN_LSTM, NULL);
	need.packed_bytes = (int64_t)r.packed_bytes;
	need.run_bytes = ps_rnn_scratch_need(&r, threads);
	return need;
}

enum ps_status ps_rnn_new(const struct ps_rnn_spec *spec, enum ps_rnn_precision precision,
			  const struct ps_rnn_weights *weights, struct ps_rnn_team *team,
			  struct ps_rnn **ret_rnn, struct ps_error *err)
{
	enum ps_status st = ps_rnn_spec_check(spec, err);
	if (st == PS_OK)
		st = ps_rnn_can(spec, precision, err);
	if (st != PS_OK)
		return st;
	struct ps_rnn *r = malloc(sizeof *r);
	if (!r)
		return ps_error_set(err, PS_ENOMEM, "no memory for a recurrent layer");
	*r = described(spec, precision);
	pthread_mutex_init(&r->lock, NULL);
	st = allocate(r, spec->cell == PS_RNN_LSTM && weights->p, err);
	if (st != PS_OK) {
		ps_rnn_free(r);
		return st;
	}
	ps_rnn_team_run(team, pack_share, &(struct packing){r, ps_rnn_team_threads(team), weights});
	*ret_rnn = r;
	return PS_OK;
}

static void free_matrix(struct ps_rnn_matrix *m)
{
	free(m->weights);
	free(m->scales);
	free(m->offsets);
}

void ps_rnn_free(struct ps_rnn *r)
{
	if (!r)
		return;
	for (int d = 0; d < 2; d++) {
		free_matrix(&r->packed[d].w);
		free_matrix(&r->packed[d].r);
		free_matrix(&r->packed[d].n);
		free(r->packed[d].start);
		free(r->packed[d].p);
	}
	ps_rnn_scratch_free_all(r);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

const char *ps_rnn_kernel_name(const struct ps_rnn *r)
{
	return r->kernel->name;
}

const struct ps_rnn_spec *ps_rnn_spec_of(const struct ps_rnn *r)
{
	return &r->spec;
}
