#include "plan/refine.h"

#include <math.h>
#include <stdlib.h>

#define OVER_LIMIT  1e-3 /* a violated agreement is foreseen at least so much over its limit */
#define MOST_FACTOR 1e6
#define HALVINGS    60

struct refining {
	struct ps_plan_case *c;
	const struct ps_plan_answer *a;
	struct ps_plan_service *tried; /* [types * models] */
	struct ps_plan_forecast *forecasts;
	double *factors;
	bool changed;
};

static size_t at(const struct refining *r, int type, int model)
{
	return (size_t)type * (size_t)r->c->n_models + (size_t)model;
}

/* Does the model's time on `other` come from where that on `type` does? */
static bool is_same_source(const struct ps_plan_case *c, int type, int other, int model)
{
	const struct ps_plan_service *x = &c->services[type * c->n_models + model];
	const struct ps_plan_service *y = &c->services[other * c->n_models + model];

	if (other == type || c->types[type].price == c->types[other].price)
		return y->known;
	return x->extrapolated && y->known && y->extrapolated && x->mean_s == y->mean_s &&
	       x->high_s == y->high_s && x->cv == y->cv;
}

/* ---- the machine that was measured, foreseen anew ---- */

static int place_in_set(const struct refining *r, const struct ps_plan_seen *seen)
{
	const struct ps_plan_machine *m = &r->a->result.plan.machines[seen->machine];
	int kind = r->a->split.kind_of[r->a->machines[seen->machine].places[seen->place].tenant];

	for (int i = 0; i < m->n; i++)
		if (m->set[i].kind == kind)
			return i;
	return -1;
}

/* The place at the times of c times the factor of that one model. */
static const struct ps_plan_forecast *foresee(struct refining *r, const struct ps_plan_seen *seen,
					      int model, double factor)
{
	const struct ps_plan_machine *m = &r->a->result.plan.machines[seen->machine];
	struct ps_plan_analytic analytic = r->a->split.analytic;
	struct ps_plan_state state;

	for (int k = 0; k < r->c->n_models; k++)
		r->tried[at(r, m->type, k)] = r->c->services[at(r, m->type, k)];
	r->tried[at(r, m->type, model)].mean_s *= factor;
	r->tried[at(r, m->type, model)].high_s *= factor;
	analytic.services = r->tried;
	struct ps_plan_oracle oracle = ps_plan_analytic_oracle(&analytic);
	oracle.foresee(oracle.ctx, m->type, m->set, m->n, r->forecasts, &state);
	return &r->forecasts[place_in_set(r, seen)];
}

static double foreseen(struct refining *r, const struct ps_plan_seen *seen, int model,
		       double factor)
{
	return foresee(r, seen, model, factor)->high_s;
}

/* The mean service time beside those others, told from the compute time that is foreseen; 0: it
 * sends nothing. */
static double service_there(struct refining *r, const struct ps_plan_seen *seen, int model)
{
	int type = r->a->machines[seen->machine].type;
	int tenant = r->a->machines[seen->machine].places[seen->place].tenant;
	const struct ps_plan_demand *d = &r->a->split.demands[r->a->split.kind_of[tenant]];
	double peak = 0;

	for (int h = 0; h < r->c->hours; h++)
		peak = fmax(peak, d->rate_rps[h]);
	double lanes = foresee(r, seen, model, 1)->share * r->c->hosts[type].lanes;
	return peak > 0 ? lanes / peak : 0;
}

/* The least factor, from above, with which no less than `target_s` is foreseen. */
static double factor_for(struct refining *r, const struct ps_plan_seen *seen, int model,
			 double target_s)
{
	double low = 1, high = 1;

	while (high < MOST_FACTOR && foreseen(r, seen, model, high) < target_s) {
		low = high;
		high *= 2;
	}
	for (int i = 0; i < HALVINGS && low < high; i++) {
		double mid = (low + high) / 2;
		if (foreseen(r, seen, model, mid) < target_s)
			low = mid;
		else
			high = mid;
	}
	return high;
}

static enum ps_status correct(struct refining *r, int type, int model, double factor,
			      struct ps_error *err)
{
	enum ps_status st = PS_OK;

	/* All of them first: a row is told by its times. */
	for (int t = 0; t < r->c->n_types; t++)
		r->tried[at(r, t, model)].known = is_same_source(r->c, type, t, model);
	for (int t = 0; st == PS_OK && t < r->c->n_types; t++) {
		if (!r->tried[at(r, t, model)].known)
			continue;
		st = ps_plan_case_raise(r->c, t, model, factor, err);
		r->factors[at(r, t, model)] *= factor;
	}
	return st;
}

static enum ps_status raise_by(struct refining *r, const struct ps_plan_seen *seen, double factor,
			       struct ps_error *err)
{
	const struct ps_plan_rented *m = &r->a->machines[seen->machine];

	if (!(factor > 1))
		return PS_OK;
	r->changed = true;
	return correct(r, m->type, r->c->tenants[m->places[seen->place].tenant].model, factor, err);
}

static const struct ps_plan_tenant *tenant_of(const struct refining *r,
					      const struct ps_plan_seen *seen)
{
	return &r->c->tenants[r->a->machines[seen->machine].places[seen->place].tenant];
}

static enum ps_status refine_service(struct refining *r, const struct ps_plan_seen *seen,
				     struct ps_error *err)
{
	int type = r->a->machines[seen->machine].type, model = tenant_of(r, seen)->model;
	const struct ps_plan_service *s = &r->c->services[at(r, type, model)];
	double mean_s = service_there(r, seen, model);

	/* Within its interval it is as was said. */
	if (mean_s == 0 || seen->service_s <= mean_s * s->high_s / s->mean_s)
		return PS_OK;
	return raise_by(r, seen, seen->service_s / mean_s, err);
}

static enum ps_status refine_latency(struct refining *r, const struct ps_plan_seen *seen,
				     struct ps_error *err)
{
	const struct ps_plan_tenant *t = tenant_of(r, seen);
	double target_s = seen->measured_s;

	if (seen->violated)
		target_s = fmax(target_s, (double)t->sla.limit_ns * 1e-9 * (1 + OVER_LIMIT));
	return raise_by(r, seen, factor_for(r, seen, t->model, target_s), err);
}

/* ---- all of them ---- */

static enum ps_status check(const struct ps_plan_answer *a, const struct ps_plan_seen *seen, int n,
			    struct ps_error *err)
{
	for (int i = 0; i < n; i++) {
		bool there = seen[i].machine >= 0 && seen[i].machine < a->result.plan.n &&
			     seen[i].place >= 0 && seen[i].place < a->machines[seen[i].machine].n;
		if (!there || !(seen[i].measured_s >= 0) || !(seen[i].service_s >= 0) ||
		    !isfinite(seen[i].service_s))
			return ps_error_set(err, PS_EINVAL, "what was seen is of no place");
	}
	return PS_OK;
}

enum ps_status ps_plan_refine(struct ps_plan_case *c, const struct ps_plan_answer *a,
			      const struct ps_plan_seen *seen, int n, double *ret_factors,
			      bool *ret_changed, struct ps_error *err)
{
	size_t all = (size_t)c->n_types * (size_t)c->n_models;
	struct refining r = {
		.c = c,
		.a = a,
		.tried = calloc(all, sizeof(*r.tried)),
		.forecasts = calloc((size_t)a->split.n_kinds, sizeof(*r.forecasts)),
		.factors = ret_factors,
	};
	enum ps_status st = check(a, seen, n, err);

	if (!r.tried || !r.forecasts)
		st = ps_error_set(err, PS_ENOMEM, "no memory to correct the prediction");
	for (size_t i = 0; i < all; i++)
		ret_factors[i] = 1;
	/* All service times first: who waited long for a slow neighbour is not slow himself. */
	for (int i = 0; st == PS_OK && i < n; i++)
		st = refine_service(&r, &seen[i], err);
	for (int i = 0; st == PS_OK && i < n; i++)
		st = refine_latency(&r, &seen[i], err);
	*ret_changed = r.changed;
	free(r.tried);
	free(r.forecasts);
	return st;
}
