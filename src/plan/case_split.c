/* case_split.c - tenants into parts, parts into kinds. */
#include "base/units.h"
#include "plan/case_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define BY_ROUNDING  1e-8 /* more than sums of load may be off */
#define ADVISED_LOAD 0.7  /* of a machine, where a limit is advised */

/* ---- what one machine carries ---- */

struct carried {
	double most_rps;  /* on the type that carries most */
	double cheap_rps; /* on the type that costs least per request */
	double least_usd; /* there, per hour and request per second */
	enum ps_plan_reason reason;
	double most_bytes; /* the greatest memory that is to be had */
};

static bool spot_is_fine(const struct ps_plan_tenant *t, enum ps_plan_spot with_spot)
{
	return with_spot != PS_PLAN_NO_SPOT && t->spot;
}

static bool may_be_on(const struct ps_plan_case *c, const struct ps_plan_tenant *t, int type,
		      enum ps_plan_spot with_spot)
{
	if (c->types[type].spot &&
	    (!spot_is_fine(t, with_spot) ||
	     (with_spot == PS_PLAN_SPOT_REPLACED && !c->types[type].replaced_in_time)))
		return false;
	return !t->allowed || t->allowed[type];
}

/* The rate that a type carries of a tenant alone; 0 with the reason. */
static double carry_on(const struct ps_plan_case *c, const struct ps_plan_tenant *t, int type,
		       struct carried *x)
{
	const struct ps_plan_service *s = &c->services[type * c->n_models + t->model];
	const struct ps_plan_host *h = &c->hosts[type];
	const struct ps_plan_footprint *f = &c->footprints[t->model];

	if (!s->known)
		return 0;
	x->reason = x->reason == PS_PLAN_NOT_ALLOWED || x->reason == PS_PLAN_NO_PROFILE
			    ? PS_PLAN_MEMORY
			    : x->reason;
	x->most_bytes = fmax(x->most_bytes, h->memory_bytes);
	if (h->server_bytes + f->resident_bytes + f->peak_bytes > h->memory_bytes)
		return 0;
	x->reason = PS_PLAN_TOO_SLOW;
	double strict = ps_plan_strictness(s->high_s, s->cv, t->sla.percentile,
					   (double)t->sla.limit_ns * 1e-9);
	return isinf(strict) ? 0 : h->lanes / ps_plan_load_at(strict, s->high_s, s->cv);
}

static void carry(const struct ps_plan_case *c, const struct ps_plan_tenant *t,
		  enum ps_plan_spot with_spot, struct carried *ret)
{
	*ret = (struct carried){.least_usd = INFINITY, .reason = PS_PLAN_NO_PROFILE};
	for (int k = 0; k < c->n_types; k++) {
		if (!may_be_on(c, t, k, with_spot))
			continue;
		double rps = carry_on(c, t, k, ret);
		ret->most_rps = fmax(ret->most_rps, rps);
		if (rps > 0 && c->types[k].usd_per_hour / rps < ret->least_usd) {
			ret->least_usd = c->types[k].usd_per_hour / rps;
			ret->cheap_rps = rps;
		}
	}
}

double ps_plan_case_any_split(const struct ps_plan_case *c)
{
	double usd[PS_PLAN_MAX_HOURS] = {0}, most = 0;
	struct carried x = {0};

	for (int i = 0; i < c->n_tenants; i++) {
		const struct ps_plan_tenant *t = &c->tenants[i];
		if (i == 0 || t->file != t[-1].file)
			carry(c, t, PS_PLAN_SPOT_SPARE, &x);
		for (int h = 0; h < c->hours; h++)
			usd[h] += t->rates_rps[h] > 0 ? t->rates_rps[h] * x.least_usd : 0;
	}
	for (int h = 0; h < c->hours; h++)
		most = fmax(most, usd[h]);
	return most * (1 - BY_ROUNDING);
}

/* ---- refusals ---- */

static bool survives(const struct ps_plan_tenant *t, enum ps_plan_spot with_spot)
{
	return t->survive || (t->spot && with_spot == PS_PLAN_SPOT_SPARE);
}

/* The least limit that a type keeps for the tenant's rate, in parts that leave it some room. */
static double nearest_on(const struct ps_plan_case *c, const struct ps_plan_tenant *t, int type,
			 enum ps_plan_spot with_spot)
{
	const struct ps_plan_service *s = &c->services[type * c->n_models + t->model];
	const struct ps_plan_footprint *f = &c->footprints[t->model];
	const struct ps_plan_host *h = &c->hosts[type];
	int spare = survives(t, with_spot);

	if (!s->known || h->server_bytes + f->resident_bytes + f->peak_bytes > h->memory_bytes)
		return INFINITY;
	double parts = ceil(t->peak_rps * s->high_s / (ADVISED_LOAD * h->lanes)) + spare;
	parts = fmax(parts, t->replicas);
	if (parts > PS_PLAN_MAX_REPLICAS)
		return INFINITY;
	double x = ps_plan_decay_at(t->peak_rps / (parts - spare), h->lanes, s->high_s, s->cv);
	return ps_plan_latency(x, s->high_s, s->cv, t->sla.percentile);
}

/* Rounded up to three digits, so that what is advised can be kept. */
static int64_t advised_ns(double seconds)
{
	double ns = seconds * 1e9, unit = pow(10, fmax(floor(log10(ns)) - 2, 0));

	return (int64_t)(ceil(ns / unit * (1 + 1e-6)) * unit);
}

static enum ps_status refuse_too_slow(const struct ps_plan_case *c, const struct ps_plan_tenant *t,
				      const struct carried *x, enum ps_plan_spot with_spot,
				      struct ps_error *err)
{
	char sla[PS_SLA_SIZE], nearest[PS_UNITS_SIZE];
	double least = INFINITY;
	int type = -1;

	for (int k = 0; k < c->n_types; k++) {
		double mine =
			may_be_on(c, t, k, with_spot) ? nearest_on(c, t, k, with_spot) : INFINITY;
		if (mine < least) {
			least = mine;
			type = k;
		}
	}
	ps_sla_format(&t->sla, sla);
	ps_plan_refuse(err, PS_EINVAL, c->path, t->file->where.line, "sla",
		       "tenant %s: '%s' cannot be kept with %s on any instance type: %s", t->name,
		       sla, c->models[t->model].name, ps_plan_reason_text(x->reason));
	if (type < 0)
		ps_error_hint(err, "its rate is too much for %d machines at any limit",
			      PS_PLAN_MAX_REPLICAS);
	else
		ps_error_hint(err, "the nearest that is possible at its rate is p%g <= %s, on %s",
			      t->sla.percentile * 100,
			      ps_units_format_duration(advised_ns(least), nearest),
			      c->types[type].name);
	return PS_EINVAL;
}

static enum ps_status refuse(const struct ps_plan_case *c, const struct ps_plan_tenant *t,
			     const struct carried *x, enum ps_plan_spot with_spot,
			     struct ps_error *err)
{
	const struct ps_plan_footprint *f = &c->footprints[t->model];
	char want[PS_UNITS_SIZE], have[PS_UNITS_SIZE];

	if (x->reason == PS_PLAN_TOO_SLOW)
		return refuse_too_slow(c, t, x, with_spot, err);
	if (x->reason == PS_PLAN_NO_PROFILE) {
		ps_plan_refuse(err, PS_ENOTFOUND, c->path, t->file->where.line, "model",
			       "tenant %s: no profile says how long %s takes on any type that it "
			       "may be on",
			       t->name, c->models[t->model].name);
		ps_error_hint(err,
			      "measure it there (perseus measure), or add a row without "
			      "instance_type to %s",
			      c->profiles_path);
		return PS_ENOTFOUND;
	}
	double bytes = f->resident_bytes + f->peak_bytes + (double)c->file.server_memory_bytes;
	ps_units_format_bytes((int64_t)bytes, want);
	ps_units_format_bytes((int64_t)x->most_bytes, have);
	ps_plan_refuse(err, PS_EINVAL, c->path, t->file->where.line, "model",
		       "tenant %s: %s takes %s with the server and its load peak, and the largest "
		       "type that it may be on has %s",
		       t->name, c->models[t->model].name, want, have);
	return PS_EINVAL;
}

/* ---- parts ---- */

/* Too many machines: is that the limit's fault, or would any limit need them? */
static enum ps_status refuse_parts(const struct ps_plan_case *c, const struct ps_plan_tenant *t,
				   double parts, enum ps_plan_spot with_spot, struct carried *x,
				   struct ps_error *err)
{
	for (int k = 0; k < c->n_types; k++) {
		if (may_be_on(c, t, k, with_spot) && isfinite(nearest_on(c, t, k, with_spot))) {
			x->reason = PS_PLAN_LATENCY;
			return refuse_too_slow(c, t, x, with_spot, err);
		}
	}
	return ps_plan_refuse(err, PS_ETOOBIG, c->path, t->file->where.line, "rate",
			      "tenant %s needs %.0f machines for itself; a plan takes at most %d",
			      t->name, parts, PS_PLAN_MAX_REPLICAS);
}

static enum ps_status choose_parts(const struct ps_plan_case *c, const struct ps_plan_tenant *t,
				   double fineness, enum ps_plan_spot with_spot, int *ret_parts,
				   struct ps_error *err)
{
	struct carried x;
	int spare = survives(t, with_spot);

	carry(c, t, with_spot, &x);
	if (!(x.most_rps > 0))
		return refuse(c, t, &x, with_spot, err);
	double parts = ceil(t->peak_rps / x.most_rps * (1 - 1e-12));
	if (fineness > 0)
		parts = fmax(parts, ceil(t->peak_rps / (fineness * x.cheap_rps) * (1 - 1e-12)));
	parts = fmax(fmax(parts, 1) + spare, t->replicas);
	if (parts > PS_PLAN_MAX_REPLICAS)
		return refuse_parts(c, t, parts, with_spot, &x, err);
	*ret_parts = (int)parts;
	return PS_OK;
}

/* By how many parts the traffic is divided to know what one must carry. */
static int carrying(const struct ps_plan_split *s, int tenant)
{
	return s->parts[tenant] - survives(&s->c->tenants[tenant], s->with_spot);
}

/* ---- kinds ---- */

static int compare_numbers(double a, double b)
{
	return (a > b) - (a < b);
}

static int compare_rates(const struct ps_plan_split *s, int a, int b)
{
	const struct ps_plan_tenant *x = &s->c->tenants[a], *y = &s->c->tenants[b];

	for (int h = 0; h < s->c->hours; h++) {
		int d = compare_numbers(x->rates_rps[h] / carrying(s, a),
					y->rates_rps[h] / carrying(s, b));
		if (d)
			return -d;
	}
	return 0;
}

static int compare_places(const struct ps_plan_split *s, int a, int b)
{
	const struct ps_plan_tenant *x = &s->c->tenants[a], *y = &s->c->tenants[b];

	for (int k = 0; k < s->c->n_types; k++) {
		int d = may_be_on(s->c, x, k, s->with_spot) - may_be_on(s->c, y, k, s->with_spot);
		if (d)
			return d;
	}
	return 0;
}

/* 0: of one kind. Who keeps apart from somebody is a kind of its own. */
static int compare(const void *a, const void *b, void *split)
{
	const struct ps_plan_split *s = split;
	int i = *(const int *)a, j = *(const int *)b;
	const struct ps_plan_tenant *x = &s->c->tenants[i], *y = &s->c->tenants[j];

	if (x->model != y->model)
		return x->model > y->model ? 1 : -1;
	int d = compare_numbers(x->sla.percentile, y->sla.percentile);
	if (!d)
		d = (x->sla.limit_ns > y->sla.limit_ns) - (x->sla.limit_ns < y->sla.limit_ns);
	if (!d)
		d = compare_rates(s, i, j);
	if (!d)
		d = s->parts[i] - s->parts[j];
	if (!d)
		d = compare_places(s, i, j);
	if (!d)
		d = (x->aparts > 0) - (y->aparts > 0);
	if (!d && x->aparts > 0)
		d = i - j;
	return d;
}

static void start_kind(struct ps_plan_split *s, int k, int tenant)
{
	const struct ps_plan_case *c = s->c;
	const struct ps_plan_tenant *t = &c->tenants[tenant];
	double *rates = s->rates + (size_t)k * (size_t)c->hours;
	bool *allowed = s->allowed + (size_t)k * (size_t)c->n_types;

	for (int h = 0; h < c->hours; h++)
		rates[h] = t->rates_rps[h] / carrying(s, tenant);
	for (int i = 0; i < c->n_types; i++)
		allowed[i] = may_be_on(c, t, i, s->with_spot);
	s->demands[k] = (struct ps_plan_demand){
		.model = t->model,
		.rate_rps = rates,
		.percentile = t->sla.percentile,
		.limit_s = (double)t->sla.limit_ns * 1e-9,
		.allowed = allowed,
	};
	s->kinds[k] = (struct ps_plan_kind){0};
}

/* Parts of one tenant are on different machines: as many of a kind on one as it has tenants. */
static void join_kind(struct ps_plan_split *s, int k, int tenant)
{
	s->kind_of[tenant] = k;
	s->kinds[k].most++;
	s->kinds[k].parts += s->parts[tenant];
}

static void make_kinds(struct ps_plan_split *s, int *order)
{
	int n = s->c->n_tenants;

	for (int i = 0; i < n; i++)
		order[i] = i;
	qsort_r(order, (size_t)n, sizeof(*order), compare, s);
	for (int i = 0; i < n; i++) {
		if (i == 0 || compare(&order[i - 1], &order[i], s) != 0)
			start_kind(s, s->n_kinds++, order[i]);
		join_kind(s, s->n_kinds - 1, order[i]);
	}
}

static int ascending(const void *a, const void *b)
{
	return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

/* Who keeps apart is alone in its kind, so that pairs of tenants are pairs of kinds. */
static void set_apart(struct ps_plan_split *s)
{
	int *at = s->apart;

	for (int i = 0; i < s->c->n_tenants; i++) {
		const struct ps_plan_tenant *t = &s->c->tenants[i];
		struct ps_plan_kind *k = &s->kinds[s->kind_of[i]];
		if (t->aparts == 0)
			continue;
		k->apart = at;
		k->aparts = t->aparts;
		for (int j = 0; j < t->aparts; j++)
			at[j] = s->kind_of[t->apart[j]];
		qsort(at, (size_t)t->aparts, sizeof(*at), ascending);
		at += t->aparts;
	}
}

/* ---- the problem ---- */

static enum ps_status allocate(struct ps_plan_split *s, struct ps_error *err)
{
	const struct ps_plan_case *c = s->c;
	size_t n = (size_t)c->n_tenants, aparts = 1;

	for (int i = 0; i < c->n_tenants; i++)
		aparts += (size_t)c->tenants[i].aparts;
	s->parts = calloc(n, sizeof(*s->parts));
	s->kind_of = calloc(n, sizeof(*s->kind_of));
	s->kinds = calloc(n, sizeof(*s->kinds));
	s->demands = calloc(n, sizeof(*s->demands));
	s->rates = calloc(n * (size_t)c->hours, sizeof(*s->rates));
	s->allowed = calloc(n * (size_t)c->n_types, sizeof(*s->allowed));
	s->apart = calloc(aparts, sizeof(*s->apart));
	s->types = calloc((size_t)c->n_types, sizeof(*s->types));
	if (s->parts && s->kind_of && s->kinds && s->demands && s->rates && s->allowed &&
	    s->apart && s->types)
		return PS_OK;
	return ps_error_set(err, PS_ENOMEM, "no memory for %d tenants", c->n_tenants);
}

static enum ps_status make_problem(struct ps_plan_split *s, struct ps_error *err)
{
	const struct ps_plan_case *c = s->c;
	int *order = calloc((size_t)c->n_tenants, sizeof(*order));

	if (!order)
		return ps_error_set(err, PS_ENOMEM, "no memory for the tenants");
	make_kinds(s, order);
	free(order);
	set_apart(s);
	for (int i = 0; i < c->n_types; i++)
		s->types[i].usd_per_hour = c->types[i].usd_per_hour;
	s->analytic = (struct ps_plan_analytic){
		.types = c->n_types,
		.models = c->n_models,
		.kinds = s->n_kinds,
		.hours = c->hours,
		.hosts = c->hosts,
		.services = c->services,
		.footprints = c->footprints,
		.beside = c->beside,
		.demands = s->demands,
	};
	enum ps_status st = ps_plan_analytic_init(&s->analytic, err);
	s->oracle = ps_plan_analytic_oracle(&s->analytic);
	s->problem = (struct ps_plan_problem){&s->oracle, s->types, s->kinds};
	return st;
}

enum ps_status ps_plan_case_split(const struct ps_plan_case *c, double fineness,
				  enum ps_plan_spot with_spot, struct ps_plan_split *ret_split,
				  struct ps_error *err)
{
	struct ps_plan_split *s = ret_split;

	*s = (struct ps_plan_split){.c = c, .with_spot = with_spot};
	enum ps_status st = allocate(s, err);
	for (int i = 0; st == PS_OK && i < c->n_tenants; i++) {
		bool as_before = i > 0 && c->tenants[i].file == c->tenants[i - 1].file;
		if (as_before)
			s->parts[i] = s->parts[i - 1];
		else
			st = choose_parts(c, &c->tenants[i], fineness, with_spot, &s->parts[i],
					  err);
	}
	if (st == PS_OK)
		st = make_problem(s, err);
	if (st != PS_OK)
		ps_plan_split_fini(s);
	return st;
}

void ps_plan_split_fini(struct ps_plan_split *s)
{
	ps_plan_analytic_fini(&s->analytic);
	free(s->parts);
	free(s->kind_of);
	free(s->kinds);
	free(s->demands);
	free(s->rates);
	free(s->allowed);
	free(s->apart);
	free(s->types);
	memset(s, 0, sizeof(*s));
}
