/* walk_internal.h - one thread's part of a run in one direction.
 *
 * Each thread has some blocks of hidden units of one direction, from the packed weights to what it
 * writes to Y. Threads share only h: of a step they read all of it, write their part of the next,
 * and meet. Rows of different lengths: a row takes part in a step while it has steps left; a
 * backward direction begins at each row's own end. So step i is not one instant of X, and rows are
 * gathered by pointers.
 */
#ifndef PS_ENGINE_RNN_WALK_INTERNAL_H
#define PS_ENGINE_RNN_WALK_INTERNAL_H

#include "engine/rnn/layer_internal.h"

struct ps_rnn_part {
	const struct ps_rnn *r;
	struct ps_rnn_team *team; /* NULL: one thread */
	const struct ps_rnn_run *run;
	const struct ps_rnn_packed *packed;
	const struct ps_rnn_room *room;
	struct ps_rnn_share share;
	bool backward;
	int thread;
	int64_t at_once, rows; /* of acc: at_once * batch */
	const void **in;
	float **to, *in_scales;
	char *x_code;
	int now; /* which of room->h is before the step */
	/* In a wave: the steps that this thread has made, and those of the threads (share.n of
	 * them) that make x; else NULL. */
	struct ps_rnn_count *made;
	const struct ps_rnn_count *below;
};

static inline int64_t length(const struct ps_rnn_part *p, int64_t n)
{
	return p->run->lens ? p->run->lens[n] : p->run->steps;
}

/* The instant of X and Y that row n has in its i-th step. */
static inline int64_t instant(const struct ps_rnn_part *p, int64_t n, int64_t i)
{
	return p->backward ? length(p, n) - 1 - i : i;
}

/* Where the state of a row begins in [D][N][H] or [N][D][H]. */
static inline int64_t state_at(const struct ps_rnn_part *p, int64_t n)
{
	int64_t d = p->share.direction;
	int64_t row = p->r->spec.layout ? n * p->r->directions + d : d * p->run->batch + n;

	return row * p->r->spec.hidden;
}

static inline int64_t width(const struct ps_rnn_part *p)
{
	return p->r->blocks * PS_RNN_BLOCK;
}

static inline float *acc_at(const struct ps_rnn_part *p, int64_t block, int64_t row)
{
	return p->room->acc + (block * p->rows + row) * p->r->slots * PS_RNN_BLOCK;
}

/* Units from the first of a thread's blocks on, and how many are real. */
static inline int64_t own_from(const struct ps_rnn_part *p)
{
	return p->share.from * PS_RNN_BLOCK;
}

static inline int64_t own_units(const struct ps_rnn_part *p)
{
	int64_t to = p->share.to * PS_RNN_BLOCK, hidden = p->r->spec.hidden;

	return (to < hidden ? to : hidden) - own_from(p);
}

static inline size_t own_bytes(const struct ps_rnn_part *p)
{
	return (size_t)own_units(p) * sizeof(float);
}

static inline bool is_int8(const struct ps_rnn_part *p)
{
	return p->r->precision == PS_RNN_INT8;
}

/* Whether products read codes in place of floats. */
static inline bool is_coded(const struct ps_rnn_part *p)
{
	return p->r->kernel->encode[p->r->precision];
}

/* Bytes of a row of codes of x; of h, see width. */
static inline int64_t x_row(const struct ps_rnn_part *p)
{
	return ps_rnn_code_row(p->r->kernel, p->r->precision, p->r->spec.inputs);
}

static inline int64_t h_row(const struct ps_rnn_part *p)
{
	return ps_rnn_code_row(p->r->kernel, p->r->precision, width(p));
}

/* ps_rnn_part_multiply adds in * weights of a block to p->to, for the rows gathered in p->in;
 * `many` as in struct ps_rnn_product. */
void ps_rnn_part_multiply(const struct ps_rnn_part *p, const struct ps_rnn_matrix *m, int64_t block,
			  int64_t rows, bool many);
/* ps_rnn_part_inputs makes the pre-activations of `steps` steps from `first` on: biases and x * W.
 */
void ps_rnn_part_inputs(const struct ps_rnn_part *p, int64_t first, int64_t steps);
/* ps_rnn_part_walk makes all of a run: `share` and what stands before it in the struct are set. */
void ps_rnn_part_walk(struct ps_rnn_part *p, const struct ps_rnn_scratch *s);
/* ps_rnn_part_begin sets the states before the first step, and blanks what rows do not have. */
void ps_rnn_part_begin(const struct ps_rnn_part *p);
/* ps_rnn_part_step makes step `i`, whose pre-activations are the `at`-th of those made last. */
void ps_rnn_part_step(struct ps_rnn_part *p, int64_t i, int64_t at);

#endif
