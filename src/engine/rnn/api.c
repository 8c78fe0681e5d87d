/* api.c - the layers of rnn.h under the names of perseus_rnn.h, which knows none of our headers. */
#include "engine/rnn/perseus_rnn.h"
#include "engine/rnn/rnn.h"
#include "engine/rnn/team.h"

#include <string.h>

_Static_assert((int)PERSEUS_RNN_LSTM == (int)PS_RNN_LSTM &&
		       (int)PERSEUS_RNN_GRU == (int)PS_RNN_GRU &&
		       (int)PERSEUS_RNN_BOTH == (int)PS_RNN_BOTH &&
		       (int)PERSEUS_RNN_REVERSE == (int)PS_RNN_REVERSE &&
		       (int)PERSEUS_RNN_BFLOAT16 == (int)PS_RNN_BFLOAT16 &&
		       (int)PERSEUS_RNN_INT8 == (int)PS_RNN_INT8,
	       "the numbers of both headers are the same");

#define SEED 1

static struct ps_rnn *layer_of(struct perseus_rnn *rnn)
{
	return (struct ps_rnn *)(void *)rnn;
}

static struct ps_rnn_team *team_of(struct perseus_rnn_team *team)
{
	return (struct ps_rnn_team *)(void *)team;
}

static enum perseus_rnn_status told(enum ps_status st, const struct ps_error *err,
				    struct perseus_rnn_error *error)
{
	if (st == PS_OK)
		return PERSEUS_RNN_OK;
	if (error)
		ps_error_format(err, error->text, sizeof error->text);
	switch (st) {
	case PS_EINVAL:
	case PS_ENOTFOUND: /* an activation of that name */
		return PERSEUS_RNN_INVALID;
	case PS_ETOOBIG:
		return PERSEUS_RNN_TOO_BIG;
	case PS_EUNSUPPORTED:
		return PERSEUS_RNN_UNSUPPORTED;
	case PS_ENOMEM:
		return PERSEUS_RNN_NO_MEMORY;
	default:
		return PERSEUS_RNN_SYSTEM;
	}
}

enum perseus_rnn_status perseus_rnn_team_new(int threads, const int *cpus, int n_cpus,
					     struct perseus_rnn_team **ret_team,
					     struct perseus_rnn_error *error)
{
	struct ps_cpus set = {0};
	struct ps_rnn_team *team;
	struct ps_error err;
	enum ps_status st = PS_OK;

	for (int i = 0; st == PS_OK && i < n_cpus; i++) {
		if (cpus[i] < 0 || cpus[i] >= PS_CPUS_MAX)
			st = ps_error_set(&err, PS_EINVAL, "there is no CPU %d", cpus[i]);
		else
			ps_cpus_add(&set, cpus[i]);
	}
	if (st == PS_OK)
		st = ps_rnn_team_new(threads, &set, &team, &err);
	if (st == PS_OK)
		*ret_team = (struct perseus_rnn_team *)(void *)team;
	return told(st, &err, error);
}

void perseus_rnn_team_free(struct perseus_rnn_team *team)
{
	ps_rnn_team_free(team_of(team));
}

/* ---- layers ---- */

static enum ps_status take_function(const struct perseus_rnn_function *from,
				    struct ps_rnn_function *to, struct ps_error *err)
{
	enum ps_status st = from->name ? ps_rnn_function_named(from->name, to, err) : PS_OK;

	if (st == PS_OK && from->has_constants) {
		to->alpha = from->alpha;
		to->beta = from->beta;
	}
	return st;
}

static enum ps_status take_spec(const struct perseus_rnn_spec *from, struct ps_rnn_spec *to,
				struct ps_error *err)
{
	enum ps_status st = PS_OK;

	if ((unsigned)from->cell > PERSEUS_RNN_LSTM)
		return ps_error_set(err, PS_EINVAL, "cell %d is unknown", (int)from->cell);
	*to = ps_rnn_spec_default((enum ps_rnn_cell)from->cell, from->inputs, from->hidden);
	to->direction = (enum ps_rnn_direction)from->direction;
	to->layout = from->layout;
	to->clip = from->clip;
	to->linear_before_reset = from->linear_before_reset;
	to->input_forget = from->input_forget;
	for (int d = 0; st == PS_OK && d < 2; d++) {
		struct ps_rnn_functions *f = &to->functions[d];
		struct ps_rnn_function *of[] = {&f->f, &f->g, &f->h};
		for (int i = 0; st == PS_OK && i < 3; i++)
			st = take_function(&from->functions[d][i], of[i], err);
	}
	return st;
}

static struct ps_rnn_weights take_weights(const struct perseus_rnn_weights *w)
{
	return (struct ps_rnn_weights){.w = w->w, .r = w->r, .b = w->b, .p = w->p};
}

enum perseus_rnn_status perseus_rnn_new(const struct perseus_rnn_spec *spec,
					enum perseus_rnn_precision precision,
					const struct perseus_rnn_weights *weights,
					struct perseus_rnn_team *team, struct perseus_rnn **ret_rnn,
					struct perseus_rnn_error *error)
{
	const struct ps_rnn_weights w = take_weights(weights);
	struct ps_rnn_spec s;
	struct ps_rnn *layer;
	struct ps_error err;
	enum ps_status st = take_spec(spec, &s, &err);

	if (st == PS_OK && (!w.w || !w.r))
		st = ps_error_set(&err, PS_EINVAL, "a layer needs w and r");
	if (st == PS_OK)
		st = ps_rnn_new(&s, (enum ps_rnn_precision)precision, &w, team_of(team), &layer,
				&err);
	if (st == PS_OK)
		*ret_rnn = (struct perseus_rnn *)(void *)layer;
	return told(st, &err, error);
}

void perseus_rnn_free(struct perseus_rnn *rnn)
{
	ps_rnn_free(layer_of(rnn));
}

enum perseus_rnn_status perseus_rnn_run(struct perseus_rnn *rnn, struct perseus_rnn_team *team,
					const struct perseus_rnn_run *run,
					struct perseus_rnn_error *error)
{
	const struct ps_rnn_run r = {.steps = run->steps,
				     .batch = run->batch,
				     .x = run->x,
				     .lens = run->lens,
				     .h0 = run->h0,
				     .c0 = run->c0,
				     .y = run->y,
				     .y_h = run->y_h,
				     .y_c = run->y_c};
	struct ps_error err;

	if (!r.x && r.steps > 0 && r.batch > 0)
		return told(ps_error_set(&err, PS_EINVAL, "a run needs x"), &err, error);
	return told(ps_rnn_run(layer_of(rnn), team_of(team), &r, &err), &err, error);
}

enum perseus_rnn_status perseus_rnn_measure(struct perseus_rnn *rnn, struct perseus_rnn_team *team,
					    const struct perseus_rnn_weights *weights,
					    int64_t steps, int64_t batch, const float *x,
					    double *ret_difference, struct perseus_rnn_error *error)
{
	const struct ps_rnn_weights w = take_weights(weights);
	const struct ps_rnn_calibration c = {.steps = steps, .batch = batch, .x = x, .seed = SEED};
	struct ps_error err;

	return told(ps_rnn_measure(layer_of(rnn), team_of(team), &w, &c, ret_difference, &err),
		    &err, error);
}

size_t perseus_rnn_bytes(struct perseus_rnn *rnn)
{
	return ps_rnn_bytes(layer_of(rnn));
}

const char *perseus_rnn_kernel(const struct perseus_rnn *rnn)
{
	return ps_rnn_kernel_name((const struct ps_rnn *)(const void *)rnn);
}
