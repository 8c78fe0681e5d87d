/* measure.c - how far a layer of reduced precision is from the same one in float32. */
#include "engine/rnn/layer_internal.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>

#define HALF_WIDTH 1.7320508F /* of an even distribution of variance 1 */
#define SLICE	   4	      /* steps for which CPUs are borrowed: milliseconds in large layers */

struct ps_rnn_watch {
	struct ps_rnn *exact;
	double error;
	int64_t values;
};

static void draw(float *x, int64_t n, uint64_t seed)
{
	struct ps_rng rng;

	ps_rng_init(&rng, seed, ps_rng_stream("rnn calibration"));
	for (int64_t i = 0; i < n; i++)
		x[i] = HALF_WIDTH * (float)(2 * ps_rng_uniform(&rng) - 1);
}

/* A value that is no number in both is no difference. */
static double largest(const float *a, const float *b, int64_t n)
{
	double most = 0;

	for (int64_t i = 0; i < n; i++) {
		double off = fabs((double)a[i] - (double)b[i]);
		if (off != off && (a[i] == a[i]) != (b[i] == b[i]))
			return INFINITY;
		if (off > most)
			most = off;
	}
	return most;
}

enum ps_status ps_rnn_watch(struct ps_rnn *r, struct ps_rnn *exact, struct ps_error *err)
{
	r->watch = malloc(sizeof *r->watch);
	if (!r->watch)
		return ps_error_set(err, PS_ENOMEM, "no memory to measure a precision");
	*r->watch = (struct ps_rnn_watch){.exact = exact};
	return PS_OK;
}

void ps_rnn_watched(struct ps_rnn *r, double *ret_error, int64_t *ret_values)
{
	*ret_error = r->watch ? r->watch->error : 0;
	*ret_values = r->watch ? r->watch->values : 0;
	free(r->watch);
	r->watch = NULL;
}

/* Our own results go into `y`; what follows begins with those of float32. */
static enum ps_status run_both(struct ps_rnn *r, struct ps_rnn_team *team, struct ps_rnn_watch *w,
			       const struct ps_rnn_run *run, float *y, struct ps_error *err)
{
	int64_t n = run->steps * run->batch * r->spec.hidden * r->directions;
	struct ps_rnn_run own = *run, exact = *run;
	enum ps_status st;

	own.y = y;
	own.y_h = own.y_c = NULL; /* they may lie over the initial ones */
	exact.y = run->y ? run->y : y + n;
	st = ps_rnn_run(r, team, &own, err);
	if (st == PS_OK)
		st = ps_rnn_run(w->exact, team, &exact, err);
	if (st != PS_OK)
		return st;
	w->error = fmax(w->error, largest(own.y, exact.y, n));
	w->values += n;
	return PS_OK;
}

enum ps_status ps_rnn_watch_run(struct ps_rnn *r, struct ps_rnn_team *team,
				const struct ps_rnn_run *run, struct ps_error *err)
{
	struct ps_rnn_watch *w = r->watch;
	size_t rows = (size_t)(run->steps * run->batch * r->directions);
	float *y = calloc(rows + 1, (size_t)(run->y ? 1 : 2) * (size_t)r->spec.hidden * sizeof *y);
	enum ps_status st;

	if (!y)
		return ps_error_set(err, PS_ENOMEM, "no memory to measure a precision");
	r->watch = NULL;
	st = run_both(r, team, w, run, y, err);
	r->watch = w;
	free(y);
	return st;
}

static enum ps_status check(const struct ps_rnn_calibration *c, struct ps_error *err)
{
	return c->steps >= 1 && c->batch >= 1 && c->steps <= PS_RNN_MAX_STEPS &&
			       c->batch <= PS_RNN_MAX_BATCH
		       ? PS_OK
		       : ps_error_set(err, PS_EINVAL, "a calibration of %lld rows of %lld steps",
				      (long long)c->batch, (long long)c->steps);
}

/* ---- measuring at once ---- */

/* One of the two layers that are compared: what its next slice begins with, and what it makes. */
struct side {
	struct ps_rnn *r;
	float *h, *c, *y;
};

static enum ps_status make_side(struct side *s, struct ps_rnn *r, int64_t steps, int64_t batch,
				struct ps_error *err)
{
	size_t states = (size_t)(batch * r->spec.hidden * r->directions);

	*s = (struct side){.r = r,
			   .h = calloc(states, sizeof *s->h),
			   .c = calloc(states, sizeof *s->c),
			   .y = calloc((size_t)steps * states, sizeof *s->y)};
	return s->h && s->c && s->y
		       ? PS_OK
		       : ps_error_set(err, PS_ENOMEM, "no memory to measure a precision");
}

static void drop_side(struct side *s)
{
	free(s->h);
	free(s->c);
	free(s->y);
}

/* A slice of steps from `first` on, alone on the CPUs. */
static enum ps_status run_side(const struct side *s, struct ps_rnn_team *team,
			       const struct ps_rnn_calibration *c, struct ps_rnn_run run,
			       int64_t first, struct ps_error *err)
{
	bool has_cell = s->r->spec.cell == PS_RNN_LSTM;

	run.h0 = first > 0 ? s->h : NULL;
	run.c0 = first > 0 && has_cell ? s->c : NULL;
	run.y = s->y;
	run.y_h = s->h;
	run.y_c = has_cell ? s->c : NULL;
	if (c->borrow)
		c->borrow(c->ctx);
	enum ps_status st = ps_rnn_run(s->r, team, &run, err);
	if (c->give_back)
		c->give_back(c->ctx);
	return st;
}

/* Steps of a slice: what goes from the last step to the first, or lies row by row, is in one. */
static int64_t slice_of(const struct ps_rnn *r, const struct ps_rnn_calibration *c)
{
	bool whole = !c->borrow || r->spec.direction != PS_RNN_FORWARD || r->spec.layout != 0;

	return whole || c->steps < SLICE ? c->steps : SLICE;
}

static enum ps_status compare(struct side sides[2], struct ps_rnn_team *team,
			      const struct ps_rnn_calibration *c, const float *x, double *ret_error,
			      struct ps_error *err)
{
	int64_t slice = slice_of(sides[0].r, c), units = sides[0].r->spec.hidden;
	enum ps_status st = PS_OK;

	*ret_error = 0;
	for (int64_t first = 0; st == PS_OK && first < c->steps; first += slice) {
		struct ps_rnn_run run = {.steps = c->steps - first < slice ? c->steps - first
									   : slice,
					 .batch = c->batch,
					 .x = x + first * c->batch * sides[0].r->spec.inputs};
		for (int k = 0; st == PS_OK && k < 2; k++)
			st = run_side(&sides[k], team, c, run, first, err);
		if (st == PS_OK)
			*ret_error = fmax(*ret_error, largest(sides[0].y, sides[1].y,
							      run.steps * run.batch * units *
								      sides[0].r->directions));
	}
	return st;
}

enum ps_status ps_rnn_measure(struct ps_rnn *r, struct ps_rnn_team *team,
			      const struct ps_rnn_weights *weights,
			      const struct ps_rnn_calibration *c, double *ret_error,
			      struct ps_error *err)
{
	struct side sides[2] = {};
	struct ps_rnn *exact = NULL;
	float *x = NULL;
	enum ps_status st = check(c, err);

	if (st == PS_OK)
		st = ps_rnn_new(&r->spec, PS_RNN_FLOAT32, weights, team, &exact, err);
	if (st != PS_OK)
		return st;
	if (!c->x) {
		x = calloc((size_t)(c->steps * c->batch), (size_t)r->spec.inputs * sizeof *x);
		st = x ? PS_OK : ps_error_set(err, PS_ENOMEM, "no memory to measure a precision");
		if (x)
			draw(x, c->steps * c->batch * r->spec.inputs, c->seed);
	}
	for (int k = 0; st == PS_OK && k < 2; k++)
		st = make_side(&sides[k], k == 0 ? r : exact, slice_of(r, c), c->batch, err);
	if (st == PS_OK)
		st = compare(sides, team, c, c->x ? c->x : x, ret_error, err);
	drop_side(&sides[0]);
	drop_side(&sides[1]);
	free(x);
	ps_rnn_free(exact);
	return st;
}
