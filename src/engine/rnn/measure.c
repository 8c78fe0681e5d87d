/* measure.c - how far a layer of reduced precision is from the same one in float32. */
#include "engine/rnn/layer_internal.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>

#define HALF_WIDTH 1.7320508F /* of an even distribution of variance 1 */

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

/* `room`: x, and both outputs. */
static enum ps_status compare(struct ps_rnn *r, struct ps_rnn *exact, struct ps_rnn_team *team,
			      const struct ps_rnn_calibration *c, float *room, double *ret_error,
			      struct ps_error *err)
{
	int64_t n_x = c->steps * c->batch * r->spec.inputs;
	int64_t n_y = c->steps * c->batch * r->spec.hidden * r->directions;
	struct ps_rnn_run run = {.steps = c->steps, .batch = c->batch, .x = c->x ? c->x : room};

	if (!c->x)
		draw(room, n_x, c->seed);
	run.y = room + n_x;
	enum ps_status st = ps_rnn_run(r, team, &run, err);
	run.y += n_y;
	if (st == PS_OK)
		st = ps_rnn_run(exact, team, &run, err);
	if (st == PS_OK)
		*ret_error = largest(room + n_x, run.y, n_y);
	return st;
}

enum ps_status ps_rnn_measure(struct ps_rnn *r, struct ps_rnn_team *team,
			      const struct ps_rnn_weights *weights,
			      const struct ps_rnn_calibration *c, double *ret_error,
			      struct ps_error *err)
{
	struct ps_rnn *exact = NULL;
	float *room = NULL;
	enum ps_status st;

	if (c->steps < 1 || c->batch < 1 || c->steps > PS_RNN_MAX_STEPS ||
	    c->batch > PS_RNN_MAX_BATCH)
		return ps_error_set(err, PS_EINVAL, "a calibration of %lld rows of %lld steps",
				    (long long)c->batch, (long long)c->steps);
	st = ps_rnn_new(&r->spec, PS_RNN_FLOAT32, weights, team, &exact, err);
	if (st != PS_OK)
		return st;
	room = calloc((size_t)(c->steps * c->batch),
		      (size_t)(r->spec.inputs + 2 * r->spec.hidden * r->directions) * sizeof *room);
	if (room)
		st = compare(r, exact, team, c, room, ret_error, err);
	else
		st = ps_error_set(err, PS_ENOMEM, "no memory to measure a precision");
	free(room);
	ps_rnn_free(exact);
	return st;
}
