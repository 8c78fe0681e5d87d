#include "plan/plan_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NUMBERS 64000000.0 /* of needs kept: half a GiB */

static enum ps_status check_sizes(const struct ps_plan_problem *p, struct ps_error *err)
{
	const struct ps_plan_oracle *o = p->oracle;
	double parts = 0;

	if (o->types < 1 || o->kinds < 1 || o->dims < 1 || o->levels < 1)
		return ps_error_set(err, PS_EINVAL, "a plan needs instance types and tenants");
	if (o->types > PS_PLAN_MAX_TYPES || o->kinds > PS_PLAN_MAX_KINDS ||
	    o->dims > PS_PLAN_MAX_DIMS || o->levels > PS_PLAN_MAX_LEVELS ||
	    (double)o->types * o->kinds * o->dims > MAX_NUMBERS)
		return ps_error_set(err, PS_ETOOBIG,
				    "%d instance types, %d kinds of tenants and %d dimensions are "
				    "more than a plan takes",
				    o->types, o->kinds, o->dims);
	for (int k = 0; k < o->kinds; k++) {
		const struct ps_plan_kind *kind = &p->kinds[k];
		parts += kind->parts;
		if (kind->parts < 1 || kind->most < 1 || kind->most > kind->parts)
			return ps_error_set(err, PS_EINVAL, "kind %d has no sensible parts", k);
	}
	if (parts > PS_PLAN_MAX_PARTS)
		return ps_error_set(err, PS_ETOOBIG, "%.0f parts are more than a plan takes (%d)",
				    parts, PS_PLAN_MAX_PARTS);
	for (int t = 0; t < o->types; t++) {
		double usd = p->types[t].usd_per_hour;
		if (!(usd > 0) || !isfinite(usd))
			return ps_error_set(err, PS_EINVAL, "a price of %g $/h is none", usd);
	}
	return PS_OK;
}

static enum ps_status allocate(struct ps_plan_space *s, struct ps_error *err)
{
	size_t cells = (size_t)s->types * (size_t)s->kinds, dims = (size_t)s->dims;

	s->level = malloc(cells * sizeof(*s->level));
	s->own = calloc(cells * dims, sizeof(double));
	s->room = calloc((size_t)s->types * dims, sizeof(double));
	s->weight = calloc((size_t)s->types * dims, sizeof(double));
	s->value = calloc((size_t)s->kinds, sizeof(double));
	s->prices = calloc((size_t)s->types, sizeof(double));
	s->price_of = calloc((size_t)s->types, sizeof(int));
	if (s->level && s->own && s->room && s->weight && s->value && s->prices && s->price_of)
		return PS_OK;
	return ps_error_set(err, PS_ENOMEM, "no memory for %d tenants on %d instance types",
			    s->kinds, s->types);
}

static int ascending(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void list_prices(struct ps_plan_space *s)
{
	for (int t = 0; t < s->types; t++)
		s->prices[t] = s->p->types[t].usd_per_hour;
	qsort(s->prices, (size_t)s->types, sizeof(*s->prices), ascending);
	for (int t = 0; t < s->types; t++) {
		if (t == 0 || s->prices[t] > s->prices[s->n_prices - 1])
			s->prices[s->n_prices++] = s->prices[t];
	}
	for (int t = 0; t < s->types; t++) {
		while (s->prices[s->price_of[t]] < s->p->types[t].usd_per_hour)
			s->price_of[t]++;
	}
	s->counts = s->n_prices + s->types;
}

/* Asks the oracle about one kind everywhere; false when it fits nowhere. */
static bool ask(struct ps_plan_space *s, int k)
{
	bool somewhere = false;

	for (int t = 0; t < s->types; t++) {
		size_t cell = (size_t)t * (size_t)s->kinds + (size_t)k;
		bool wanted = s->options->only_type < 0 || s->options->only_type == t;
		int level = wanted ? s->o->level(s->o->ctx, t, k) : -1;
		s->level[cell] = (int16_t)level;
		if (level < 0)
			continue;
		somewhere = true;
		s->o->least(s->o->ctx, t, k, s->own + cell * (size_t)s->dims);
	}
	return somewhere;
}

enum ps_status ps_plan_space_init(struct ps_plan_space *s, const struct ps_plan_problem *p,
				  const struct ps_plan_options *o, int *ret_kind,
				  struct ps_error *err)
{
	const struct ps_plan_oracle *oracle = p->oracle;

	*s = (struct ps_plan_space){
		.p = p,
		.o = oracle,
		.options = o,
		.deadline_ns = ps_clock_read(o->clock) + o->time_limit_ns,
		.types = oracle->types,
		.kinds = oracle->kinds,
		.dims = oracle->dims,
		.levels = oracle->levels,
	};
	enum ps_status st = check_sizes(p, err);
	if (st == PS_OK)
		st = allocate(s, err);
	if (st == PS_OK)
		list_prices(s);
	for (int t = 0; st == PS_OK && t < s->types; t++)
		oracle->room(oracle->ctx, t, s->room + (size_t)t * (size_t)s->dims);
	for (int k = 0; st == PS_OK && k < s->kinds; k++) {
		if (ask(s, k))
			continue;
		if (ret_kind)
			*ret_kind = k;
		st = ps_error_set(err, PS_EINVAL, "kind %d fits on no instance type, even alone",
				  k);
	}
	if (st != PS_OK)
		ps_plan_space_fini(s);
	return st;
}

void ps_plan_space_fini(struct ps_plan_space *s)
{
	free(s->level);
	free(s->own);
	free(s->room);
	free(s->weight);
	free(s->value);
	free(s->prices);
	free(s->price_of);
	memset(s, 0, sizeof(*s));
}

double ps_plan_space_least_usd(const struct ps_plan_space *s, int type, int kind)
{
	size_t cell = (size_t)type * (size_t)s->kinds + (size_t)kind;
	double usd = 0;

	if (s->level[cell] < 0)
		return INFINITY;
	for (int d = 0; d < s->dims; d++)
		usd += s->weight[type * s->dims + d] * s->own[cell * (size_t)s->dims + (size_t)d];
	return usd;
}

bool ps_plan_space_late(const struct ps_plan_space *s)
{
	bool late = ps_clock_read(s->options->clock) >= s->deadline_ns;

	if (late && s->was_late)
		*s->was_late = true;
	return late;
}
