/* case_types.c - which machines, and what the models do there. */
#include "plan/case_internal.h"
#include "stats/special.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define GIB (1024.0 * 1024 * 1024)

/* ---- models ---- */

int ps_plan_case_model_named(const struct ps_plan_case *c, const char *name)
{
	for (int i = 0; i < c->n_models; i++) {
		if (strcmp(c->models[i].name, name) == 0)
			return i;
	}
	return -1;
}

enum ps_status ps_plan_case_models(struct ps_plan_case *c, struct ps_error *err)
{
	size_t n = c->profiles.profiles.len;
	/* with a source every tenant may bring a model that no row is of */
	size_t most = n + (c->source ? c->file.tenants.len : 0);

	c->models = calloc(most, sizeof(*c->models));
	c->footprints = calloc(most, sizeof(*c->footprints));
	if (!c->models || !c->footprints)
		return ps_error_set(err, PS_ENOMEM, "no memory for the profiles");
	for (size_t i = 0; i < n; i++) {
		const struct ps_plan_profile *p = ps_plan_profile(c, i);
		int m = ps_plan_case_model_named(c, p->model);
		if (m < 0)
			m = c->n_models++;
		if (c->n_models > PS_PLAN_MAX_MODELS)
			return ps_plan_refuse(err, PS_ETOOBIG, c->profiles_path, p->where.line,
					      "model", "a plan takes at most %d models",
					      PS_PLAN_MAX_MODELS);
		c->models[m].name = p->model;
		if (p->path)
			c->models[m].path = p->path;
		struct ps_plan_footprint *f = &c->footprints[m];
		f->resident_bytes = fmax(f->resident_bytes, (double)p->memory_bytes);
		f->peak_bytes = fmax(f->peak_bytes, (double)p->load_peak_bytes);
	}
	return ps_plan_case_source_models(c, err);
}

/* ---- service times ---- */

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* Does the row name this type, as a sheet is asked for it? */
static bool names_type(const struct ps_plan_profile *p, const struct ps_cost_price *price)
{
	char with_provider[300];

	if (!p->instance_type)
		return false;
	snprintf(with_provider, sizeof(with_provider), "%s/%s", price->provider,
		 price->instance_type);
	return same(p->instance_type, price->instance_type) ||
	       same(p->instance_type, with_provider);
}

/* How well a row fits: 3 its very type, 2 its GPU, 1 any machine without a GPU, 0 not at all. */
static int closeness(const struct ps_plan_profile *p, const struct ps_cost_price *price)
{
	if (p->instance_type)
		return names_type(p, price) ? 3 : 0;
	if (p->gpu_kind)
		return same(p->gpu_kind, price->gpu_kind) ? 2 : 0;
	return price->gpu_count > 0 ? 0 : 1;
}

static struct ps_plan_service service_of(const struct ps_plan_case *c,
					 const struct ps_plan_profile *p, int close)
{
	double mean = (double)p->service_ns * 1e-9;
	double z = ps_stats_normal_quantile(c->file.confidence);

	return (struct ps_plan_service){
		.known = true,
		.extrapolated = close < 3,
		.mean_s = mean,
		.high_s = mean * (1 + fmax(z, 0) * p->error),
		.cv = p->cv,
		.slowdown = p->slowdown,
	};
}

/* The services of one type; how many models are known there. */
static enum ps_status know_type(struct ps_plan_case *c, int type, int *ret_known,
				struct ps_error *err)
{
	enum ps_status st = PS_OK;
	struct ps_plan_service *s = c->services + (size_t)type * (size_t)c->n_models;
	int *best = calloc((size_t)c->n_models, sizeof(*best)), known = 0;

	if (!best)
		return ps_error_set(err, PS_ENOMEM, "no memory for the service times");
	for (size_t i = 0; i < c->profiles.profiles.len; i++) {
		const struct ps_plan_profile *p = ps_plan_profile(c, i);
		int close = closeness(p, c->types[type].price),
		    m = ps_plan_case_model_named(c, p->model);
		if (close <= best[m])
			continue;
		known += best[m] == 0;
		best[m] = close;
		s[m] = service_of(c, p, close);
	}
	*ret_known = known;
	if (c->source)
		st = ps_plan_case_source_type(c, type, best, ret_known, err);
	free(best);
	return st;
}

/* ---- types ---- */

static const struct ps_cost_price *price_row(const struct ps_plan_case *c, size_t i)
{
	return (const struct ps_cost_price *)c->sheet.prices.items + i;
}

/* Is there a later row of the same machine? */
static bool outdated(const struct ps_plan_case *c, const struct ps_cost_price *p)
{
	for (size_t i = 0; i < c->sheet.prices.len; i++) {
		const struct ps_cost_price *q = price_row(c, i);
		if (strcmp(p->provider, q->provider) == 0 &&
		    strcmp(p->instance_type, q->instance_type) == 0 &&
		    strcmp(p->region ? p->region : "", q->region ? q->region : "") == 0 &&
		    strcmp(q->source_date, p->source_date) > 0)
			return true;
	}
	return false;
}

static double revocations_per_hour(const struct ps_plan_revocation *r)
{
	/* As if they came at a constant rate. */
	return r->per_hour > 0 ? r->per_hour : -log1p(-r->within_24h) / 24;
}

static const struct ps_plan_revocation *revocation_of(const struct ps_plan_case *c,
						      const struct ps_cost_price *p)
{
	for (size_t i = 0; i < c->revocations.revocations.len; i++) {
		const struct ps_plan_revocation *r =
			(const struct ps_plan_revocation *)c->revocations.revocations.items + i;
		if ((!r->provider || same(r->provider, p->provider)) &&
		    (!r->instance_type || same(r->instance_type, p->instance_type)) &&
		    (!r->gpu_kind || same(r->gpu_kind, p->gpu_kind)))
			return r;
	}
	return NULL;
}

static bool add_type(struct ps_plan_case *c, const struct ps_cost_price *p, bool spot)
{
	struct ps_plan_case_type *t = &c->types[c->n_types];

	*t = (struct ps_plan_case_type){
		.price = p,
		.spot = spot,
		.usd_per_hour = p->on_demand_usd_per_hour,
		.listed_usd_per_hour = p->on_demand_usd_per_hour,
	};
	if (spot) {
		const struct ps_plan_revocation *r = revocation_of(c, p);
		t->revoked_per_hour = revocations_per_hour(r);
		t->notice_ns = r->notice_ns;
		t->start_ns = r->start_ns;
		t->listed_usd_per_hour = p->spot_usd_per_hour;
		/* Each revocation pays for a machine that starts and does not serve yet, whether
		 * the old one still does (notice) or not. */
		t->usd_per_hour = p->spot_usd_per_hour *
				  (1 + t->revoked_per_hour * (double)r->start_ns * 1e-9 / 3600);
		t->replaced_in_time = r->start_ns <= r->notice_ns;
		c->has_spot = true;
		c->has_replaced |= t->replaced_in_time;
	}
	if (asprintf(&t->name, "%s/%s%s", p->provider, p->instance_type, spot ? " spot" : "") < 0) {
		t->name = NULL;
		return false;
	}
	c->n_types++;
	return true;
}

/* A machine whose size or price the sheet does not state cannot be planned with. */
static bool stated(const struct ps_cost_price *p)
{
	return p->vcpu > 0 && p->memory_gib > 0 && p->on_demand_usd_per_hour > 0;
}

/* A server runs its models on one GPU: more of them would be paid for and stand idle. */
static bool usable(const struct ps_cost_price *p)
{
	return p->gpu_count <= 1;
}

static bool anyone_on_spot(const struct ps_plan_case *c)
{
	for (size_t i = 0; i < c->file.tenants.len; i++) {
		if (c->said[i].spot == PS_PLAN_SAID_TRUE)
			return true;
	}
	return false;
}

/* The type, and its spot machines beside it; dropped again when nothing is known of any model
 * there. */
static enum ps_status consider(struct ps_plan_case *c, const struct ps_cost_price *p, bool spot,
			       bool *ret_known, struct ps_error *err)
{
	*ret_known = false;
	if (c->n_types + 2 > PS_PLAN_MAX_TYPES)
		return ps_error_set(err, PS_ETOOBIG, "a plan takes at most %d instance types",
				    PS_PLAN_MAX_TYPES);
	if (!add_type(c, p, false))
		return ps_error_set(err, PS_ENOMEM, "no memory for the instance types");
	int known = 0;
	enum ps_status st = know_type(c, c->n_types - 1, &known, err);
	*ret_known = known > 0;
	if (st != PS_OK || !*ret_known) {
		free(c->types[--c->n_types].name);
		return st;
	}
	if (spot && p->spot_usd_per_hour > 0 && revocation_of(c, p)) {
		if (!add_type(c, p, true))
			return ps_error_set(err, PS_ENOMEM, "no memory for the instance types");
		st = know_type(c, c->n_types - 1, &known, err);
	}
	return st;
}

static enum ps_status named_types(struct ps_plan_case *c, bool spot, struct ps_error *err)
{
	for (size_t i = 0; i < c->file.instance_types.len; i++) {
		const char *name = c->file.instance_types.items[i];
		const struct ps_cost_price *p;
		bool known = false, twice = false;
		enum ps_status st = ps_cost_sheet_find(&c->sheet, name, &p, err);
		if (st == PS_OK && !stated(p))
			st = ps_error_set(err, PS_EINVAL,
					  "the price sheet does not state vCPU and memory of %s",
					  name);
		if (st == PS_OK && !usable(p))
			st = ps_error_set(err, PS_EINVAL,
					  "%s has %lld GPUs, and a server uses one: such machines "
					  "are not planned",
					  name, (long long)p->gpu_count);
		for (int t = 0; st == PS_OK && t < c->n_types; t++)
			twice |= c->types[t].price == p;
		if (st == PS_OK && !twice)
			st = consider(c, p, spot, &known, err);
		if (st == PS_OK && !twice && !known && !c->source)
			st = ps_error_set(err, PS_ENOTFOUND,
					  "no profile says how long any model takes on %s", name);
		if (st != PS_OK) {
			ps_error_where(err, "%s:instance_types", c->path);
			return st;
		}
	}
	return PS_OK;
}

static enum ps_status all_types(struct ps_plan_case *c, bool spot, struct ps_error *err)
{
	enum ps_status st = PS_OK;
	bool known;

	for (size_t i = 0; st == PS_OK && i < c->sheet.prices.len; i++) {
		const struct ps_cost_price *p = price_row(c, i);
		if (stated(p) && usable(p) && !outdated(c, p))
			st = consider(c, p, spot, &known, err);
	}
	if (st == PS_OK && c->n_types == 0 && !c->source) {
		st = ps_error_set(err, PS_ENOTFOUND,
				  "no profile fits any instance type of the price sheet");
		ps_error_where(err, "%s", c->profiles_path);
	}
	return st;
}

static void set_hosts(struct ps_plan_case *c)
{
	for (int t = 0; t < c->n_types; t++) {
		const struct ps_cost_price *p = c->types[t].price;
		if (!p)
			continue; /* never: every type has its row */
		c->hosts[t] = (struct ps_plan_host){
			.lanes = p->gpu_count > 0 ? 1 : fmax(1, floor(p->vcpu)),
			.memory_bytes = p->memory_gib * GIB,
			.server_bytes = (double)c->file.server_memory_bytes,
		};
	}
}

enum ps_status ps_plan_case_types(struct ps_plan_case *c, struct ps_error *err)
{
	size_t most =
		c->file.instance_types.len > 0 ? c->file.instance_types.len : c->sheet.prices.len;
	bool spot = c->revocations.revocations.len > 0 && anyone_on_spot(c);

	most = 2 * (most < PS_PLAN_MAX_TYPES ? most : PS_PLAN_MAX_TYPES) + 2;
	c->types = calloc(most, sizeof(*c->types));
	c->hosts = calloc(most, sizeof(*c->hosts));
	c->services = calloc(most * (size_t)c->n_models, sizeof(*c->services));
	if (c->source)
		c->figures = calloc(most * (size_t)c->n_models, sizeof(*c->figures));
	if (!c->types || !c->hosts || !c->services || (c->source && !c->figures))
		return ps_error_set(err, PS_ENOMEM, "no memory for the instance types");
	enum ps_status st = c->file.instance_types.len > 0 ? named_types(c, spot, err)
							   : all_types(c, spot, err);
	if (st == PS_OK)
		set_hosts(c);
	/* whose models are not known at all comes before where they could be */
	return st == PS_OK ? ps_plan_case_source_lacks(c, err) : st;
}
