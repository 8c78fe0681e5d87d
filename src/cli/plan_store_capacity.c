/* plan_store_capacity.c - capacities of models alone from a store, measured or predicted. */
#include "cli/plan_store_internal.h"

#include <math.h>
#include <string.h>

static const struct ps_plan_asked *asked_about(const struct ps_cli_plan_store *s, const char *model)
{
	for (int i = 0; i < s->n_asked; i++)
		if (strcmp(s->asked[i].model, model) == 0)
			return &s->asked[i];
	return NULL;
}

/* How far a measured capacity is from what is asked: CPUs first, then the agreement. */
static double distance(const struct ps_cli_predict_capacity *c, double cpus,
		       const struct ps_plan_asked *asked)
{
	double far = 100 * fabs(log(c->slice.cpus / cpus));

	if (asked)
		far += fabs(log((double)c->sla.limit_ns / (double)asked->sla.limit_ns)) +
		       fabs(log((1 - c->sla.percentile) / (1 - asked->sla.percentile)));
	return far;
}

static const struct ps_cli_predict_capacity *nearest_capacity(const struct ps_cli_plan_store *s,
							      int model, double cpus,
							      const struct ps_plan_asked *asked)
{
	const struct ps_cli_predict_capacity *best = NULL;

	for (size_t i = 0; i < s->data.capacity_len; i++) {
		const struct ps_cli_predict_capacity *c = &s->data.capacities[i];
		bool fits = c->model == model && c->batch == 1 && c->slice.threads == 1 &&
			    c->slice.lanes >= 1;
		if (fits && (!best || distance(c, cpus, asked) < distance(best, cpus, asked)))
			best = c;
	}
	return best;
}

/* The slice nearest to so many CPUs on which capacities were measured: on others a table of them
 * has nothing to go by, and the formula scales with lanes better than a line through one number. */
static bool capacity_slice(const struct ps_cli_plan_store *s, double cpus,
			   struct ps_predict_slice *ret_slice)
{
	double least = INFINITY;

	for (size_t i = 0; i < s->data.capacity_len; i++) {
		const struct ps_predict_slice *x = &s->data.capacities[i].slice;
		double far = fabs(log(x->cpus / cpus));
		if (x->threads != 1 || !(x->lanes >= 1) || far >= least)
			continue;
		least = far;
		*ret_slice = *x;
	}
	return isfinite(least);
}

static const char *on_cpus(struct ps_cli_plan_store *s, double cpus, double measured)
{
	return cpus == measured
		       ? NULL
		       : ps_cli_plan_store_say(s, "CPUs %g (measured on %g)", cpus, measured);
}

static enum ps_status capacity_predicted(struct ps_cli_plan_store *s, int model, double cpus,
					 const struct ps_plan_known_service *service,
					 const struct ps_plan_asked *asked,
					 struct ps_plan_known_capacity *ret, struct ps_error *err)
{
	struct ps_cli_predict_table *t = NULL;
	struct ps_predict_slice slice = {0};
	struct ps_predict_row row;
	double high = NAN;
	const struct ps_predict_tenant tenant = {
		.service_ns = service->mean_s * 1e9, .variation = service->cv, .rate_rps = 1};

	if (!asked || !capacity_slice(s, cpus, &slice))
		return ps_error_set(err, PS_EUNAVAIL, "no capacity was measured");
	enum ps_status st = ps_cli_plan_store_learn(s, &ps_predict_capacity, &t, err);
	if (st != PS_OK)
		return st;
	ps_predict_capacity_row(&tenant, asked->sla.percentile, (double)asked->sla.limit_ns, &slice,
				&row);
	row.models[0] = model;
	st = ps_cli_plan_store_ask(s, t, &row, &ret->rps, &ret->low_rps, &high, &ret->from, err);
	ret->lanes = slice.lanes;
	ret->percentile = asked->sla.percentile;
	ret->limit_s = (double)asked->sla.limit_ns * 1e-9;
	if (st == PS_OK && !ret->from.outside)
		ret->from.outside = on_cpus(s, cpus, slice.cpus);
	return st;
}

enum ps_status ps_cli_plan_store_capacity(void *store, const char *model,
					  const struct ps_cost_price *type,
					  struct ps_plan_known_capacity *ret, struct ps_error *err)
{
	struct ps_cli_plan_store *s = store;
	const struct ps_predict_slice slice = ps_cli_plan_store_slice(type);
	const struct ps_plan_asked *asked = asked_about(s, model);
	int m = ps_cli_plan_store_model(s, model);
	struct ps_plan_known_service service = {0};

	if (m < 0)
		return ps_error_set(err, PS_EUNAVAIL, "the store does not know %s", model);
	const struct ps_cli_predict_capacity *c = nearest_capacity(s, m, slice.cpus, asked);
	if (!c) {
		enum ps_status st = ps_cli_plan_store_service(s, model, type, &service, err);
		return st == PS_OK ? capacity_predicted(s, m, slice.cpus, &service, asked, ret, err)
				   : st;
	}
	*ret = (struct ps_plan_known_capacity){
		.rps = c->rps,
		.low_rps = c->rps * (isfinite(c->noise) ? fmax(0, 1 - c->noise) : 1),
		.lanes = c->slice.lanes,
		.percentile = c->sla.percentile,
		.limit_s = (double)c->sla.limit_ns * 1e-9,
		.from = {.origin = PS_PLAN_MEASURED,
			 .how = ps_cli_plan_store_say(s, "on %g CPU%s", c->slice.cpus,
						      c->slice.cpus > 1 ? "s" : "")}};
	ret->from.outside = on_cpus(s, slice.cpus, c->slice.cpus);
	return PS_OK;
}
