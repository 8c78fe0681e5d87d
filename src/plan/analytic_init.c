/* analytic_init.c - what the oracle of service times works out before it is asked. */
#include "plan/analytic_internal.h"

#include <math.h>
#include <stdlib.h>

#define MAX_LOADS 8e6 /* numbers in the table of loads, beyond the least levels */

enum { LEAST_LEVELS = 16 };

static enum ps_status check_kind(const struct ps_plan_analytic *a, int k, struct ps_error *err)
{
	const struct ps_plan_demand *d = &a->demands[k];

	if (d->model < 0 || d->model >= a->models || (k > 0 && d->model < d[-1].model))
		return ps_error_set(err, PS_EINVAL, "kind %d is not in the order of models", k);
	if (!(d->percentile > 0 && d->percentile < 1) || !(d->limit_s > 0))
		return ps_error_set(err, PS_EINVAL, "kind %d has no agreement", k);
	for (int h = 0; h < a->hours; h++) {
		if (!(d->rate_rps[h] >= 0) || !isfinite(d->rate_rps[h]))
			return ps_error_set(err, PS_EINVAL, "a rate of kind %d is no number", k);
	}
	return PS_OK;
}

static enum ps_status check_inputs(const struct ps_plan_analytic *a, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	if (a->hours < 1 || a->hours > PS_PLAN_MAX_HOURS)
		return ps_error_set(err, PS_EINVAL, "%d hours are not 1 to %d", a->hours,
				    PS_PLAN_MAX_HOURS);
	for (int i = 0; i < a->types * a->models; i++) {
		const struct ps_plan_service *s = &a->services[i];
		if (s->known && (!(s->mean_s > 0) || !(s->high_s >= s->mean_s) ||
				 !isfinite(s->high_s * ps_plan_slowdown_of(s)) || !(s->cv >= 0) ||
				 !(s->cv <= 100) || isnan(s->slowdown)))
			return ps_error_set(err, PS_EINVAL, "a service time is no number");
	}
	for (int k = 0; st == PS_OK && k < a->kinds; k++)
		st = check_kind(a, k, err);
	return st;
}

static int ascending(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The lower edges of the levels of a type: equal shares of its distinct strictnesses. */
static void set_edges(struct ps_plan_analytic *a, int type, double *scratch)
{
	double *edge = a->edge + (size_t)type * (size_t)a->levels;
	int n = 0, distinct = 0;

	for (int k = 0; k < a->kinds; k++) {
		double x = ps_plan_strictness_at(a, type, k);
		if (isfinite(x))
			scratch[n++] = x;
	}
	qsort(scratch, (size_t)n, sizeof(*scratch), ascending);
	for (int i = 0; i < n; i++) {
		if (distinct == 0 || scratch[i] > scratch[distinct - 1] * (1 + 1e-12))
			scratch[distinct++] = scratch[i];
	}
	int levels = distinct < a->levels ? distinct : a->levels;
	for (int q = 0; q < a->levels; q++)
		edge[q] = q < levels ? scratch[(int64_t)q * distinct / levels] : INFINITY;
}

/* How many parts of a model can be together by load alone: for the necessary memory of one. */
static void set_most_together(struct ps_plan_analytic *a, int type)
{
	for (int k = 0; k < a->kinds; k++) {
		const struct ps_plan_demand *d = &a->demands[k];
		double peak = 0, x = ps_plan_strictness_at(a, type, k);
		int *most = &a->most_together[type * a->models + d->model];
		for (int h = 0; h < a->hours; h++)
			peak = fmax(peak, d->rate_rps[h]);
		if (!isfinite(x))
			continue;
		const struct ps_plan_service *s = ps_plan_service_at(a, type, d->model);
		double one = peak * ps_plan_load_at(x, s->high_s, s->cv);
		double n =
			one > 0 ? a->hosts[type].lanes * (1 + PS_PLAN_ROOM) / one * a->hours : 1e9;
		*most = n > *most ? (int)fmin(n, 1e9) : *most;
	}
}

static void set_loads(struct ps_plan_analytic *a, int type)
{
	for (int q = 0; q < a->levels; q++) {
		size_t row = (size_t)type * (size_t)a->levels + (size_t)q;
		for (int m = 0; m < a->models; m++) {
			const struct ps_plan_service *s = ps_plan_service_at(a, type, m);
			double x = a->edge[row];
			a->load[row * (size_t)a->models + (size_t)m] =
				s->known && isfinite(x)
					? ps_plan_load_at(x, s->high_s * ps_plan_slowdown_of(s),
							  s->cv)
					: INFINITY;
		}
	}
}

static void set_strictness(struct ps_plan_analytic *a, int type)
{
	for (int k = 0; k < a->kinds; k++) {
		const struct ps_plan_demand *d = &a->demands[k];
		const struct ps_plan_service *s = ps_plan_service_at(a, type, d->model);
		bool may = s->known && (!d->allowed || d->allowed[type]);
		a->strictness[(size_t)type * (size_t)a->kinds + (size_t)k] =
			may ? ps_plan_strictness(s->high_s, s->cv, d->percentile, d->limit_s)
			    : INFINITY;
	}
}

/* How much longer a model's runs take at least beside another model, whichever: what several do is
 * no less than what each does, as middles are at least 1. */
static void set_beside(struct ps_plan_analytic *a)
{
	size_t models = (size_t)a->models;

	for (size_t i = 0; i < models * models; i++)
		a->beside_error[i] = pow(log(a->beside[i].high / a->beside[i].middle), 2);
	for (size_t own = 0; own < models; own++) {
		a->least_beside[own] = INFINITY;
		for (int k = 0; k < a->kinds; k++) {
			size_t other = (size_t)a->demands[k].model;
			if (other != own)
				a->least_beside[own] = fmin(a->least_beside[own],
							    a->beside[own * models + other].high);
		}
	}
}

static bool is_slowed(const struct ps_plan_analytic *a)
{
	bool slows = a->beside != NULL;

	for (int i = 0; i < a->types * a->models; i++)
		slows |= a->services[i].known && a->services[i].slowdown > 1;
	return slows;
}

/* Enough to tell all kinds apart, as far as the table of loads stays small. */
static int choose_levels(const struct ps_plan_analytic *a)
{
	double fit = MAX_LOADS / ((double)a->types * a->models);
	int levels = fit < PS_PLAN_MAX_LEVELS ? (int)fit : PS_PLAN_MAX_LEVELS;

	levels = levels > LEAST_LEVELS ? levels : LEAST_LEVELS;
	return levels < a->kinds ? levels : a->kinds;
}

enum ps_status ps_plan_analytic_init(struct ps_plan_analytic *a, struct ps_error *err)
{
	size_t types = (size_t)a->types, kinds = (size_t)a->kinds, models = (size_t)a->models;
	enum ps_status st = check_inputs(a, err);

	if (st != PS_OK)
		return st;
	double *scratch = malloc(kinds * sizeof(double));
	a->levels = choose_levels(a);
	size_t rows = types * (size_t)a->levels;
	a->strictness = malloc(types * kinds * sizeof(double));
	a->edge = malloc(rows * sizeof(double));
	a->load = malloc(rows * models * sizeof(double));
	a->most_together = calloc(types * models, sizeof(int));
	a->beside_error = calloc(a->beside ? models * models : 1, sizeof(double));
	a->least_beside = calloc(a->beside ? models : 1, sizeof(double));
	a->slows = is_slowed(a);
	if (!scratch || !a->strictness || !a->edge || !a->load || !a->most_together ||
	    !a->beside_error || !a->least_beside) {
		free(scratch);
		ps_plan_analytic_fini(a);
		return ps_error_set(err, PS_ENOMEM, "no memory for the service times");
	}
	if (a->beside)
		set_beside(a);
	for (int t = 0; t < a->types; t++) {
		set_strictness(a, t);
		set_edges(a, t, scratch);
		set_loads(a, t);
		set_most_together(a, t);
	}
	free(scratch);
	return PS_OK;
}

void ps_plan_analytic_fini(struct ps_plan_analytic *a)
{
	free(a->strictness);
	free(a->edge);
	free(a->load);
	free(a->most_together);
	free(a->beside_error);
	free(a->least_beside);
	a->beside_error = a->least_beside = NULL;
	a->strictness = a->edge = a->load = NULL;
	a->most_together = NULL;
}
