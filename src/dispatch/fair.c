/* The budget's policy: cache/ is told what is asked for and what is there, and says what to keep
 * and who goes first. What it does not know (over its limits, or larger than what it may plan with)
 * is loaded all the same where there is room, and goes before everything else, the longest unused
 * first.
 */
#include "dispatch/residency_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- life --------------------------------------------------------------------------------- */

static bool is_planned(const struct residency *r)
{
	return !ps_cache_policy_get(r->config.policy)->per_request;
}

/* A planned policy leaves room for the largest model up to half of the budget: anybody's such can
 * be loaded beside what it keeps. */
static int64_t capacity(const struct residency *r)
{
	int64_t kept = is_planned(r) ? r->largest_bytes : 0;
	return r->config.budget_bytes > kept ? r->config.budget_bytes - kept : 0;
}

enum ps_status fair_new(struct residency *r, uint64_t seed)
{
	const struct ps_cache_options o = {
		.policy = r->config.policy, .capacity_bytes = capacity(r), .seed = seed};
	struct ps_error err;
	return ps_cache_new(&o, &r->cache, &err);
}

/* What is pinned and guaranteed may be more than that: then the old capacity stays. */
void fair_set_capacity(struct residency *r)
{
	struct ps_error err;
	(void)ps_cache_set_capacity(r->cache, capacity(r), &err);
}

/* ---- tenants -------------------------------------------------------------------- */

/* The cache's number of a tenant, or -1: there are too many. */
static int tenant_of(struct ps_dispatch *d, int tenant)
{
	const struct ps_tenancy *t = d->config.tenancy;
	struct tenant *own = &d->tenants[tenant];
	struct ps_cache_tenant v = {.weight = (double)ps_tenancy_weight(t, tenant),
				    .guaranteed_bytes = ps_tenancy_memory_bytes(t, tenant)};
	struct ps_error err;
	if (own->fair > 0 && own->fair_at == d->residency->tenants_at)
		return own->fair - 1;
	const char *name = ps_tenancy_name(t, tenant);
	enum ps_status s = ps_cache_set_tenant(d->residency->cache, name, &v, &own->fair, &err);
	if (s == PS_ETOOBIG && v.guaranteed_bytes > 0) { /* room.c holds to it all the same */
		v.guaranteed_bytes = 0;
		s = ps_cache_set_tenant(d->residency->cache, name, &v, &own->fair, &err);
	}
	own->fair = s == PS_OK ? own->fair + 1 : 0;
	own->fair_at = d->residency->tenants_at;
	return own->fair - 1;
}

void fair_ask(struct ps_dispatch *d, int tenant, int item)
{
	struct residency *r = d->residency;
	int who = tenant_of(d, tenant);
	if (r->items[item].fair < 0)
		fair_item(d, item);
	if (who >= 0 && r->items[item].fair >= 0)
		ps_cache_ask(r->cache, who, r->items[item].fair);
}

void fair_recall(struct ps_dispatch *d, int tenant, int item, double requests)
{
	struct residency *r = d->residency;
	int who = tenant_of(d, tenant);
	if (r->items[item].fair < 0)
		fair_item(d, item);
	if (who >= 0 && r->items[item].fair >= 0)
		ps_cache_set_demand(r->cache, who, r->items[item].fair, requests);
}

/* ---- epochs ------------------------------------------------------------------------------- */

bool fair_is_wanted(const struct residency *r, int fair)
{
	return is_planned(r) && ps_cache_last(r->cache)->number > 0 &&
	       ps_cache_wants(r->cache, fair);
}

bool fair_wants(const struct residency *r, int item)
{
	int fair = r->items[item].fair;
	return fair >= 0 && fair_is_wanted(r, fair);
}

static void failed(struct residency *r, const struct ps_error *why)
{
	r->epoch_err = *why;
	r->epoch_failed = true;
	r->failed_epochs++;
}

/* What is there, and how large the largest is that may be kept. */
static void look_at_all(struct ps_dispatch *d)
{
	struct residency *r = d->residency;
	r->largest_bytes = 0;
	for (int i = 0; i < r->n_items; i++) {
		int64_t bytes = fair_values(d, &r->items[i]).bytes;
		fair_look(d, i);
		if (r->items[i].fair >= 0 && bytes > r->largest_bytes &&
		    fair_counts_as_largest(d, bytes))
			r->largest_bytes = bytes;
	}
	fair_set_capacity(r);
}

struct ps_cache_job *fair_plan(struct ps_dispatch *d)
{
	struct residency *r = d->residency;
	struct ps_error err;
	if (r->plan)
		return NULL;
	look_at_all(d);
	r->plan_number++;
	if (ps_cache_epoch_begin(r->cache, &r->plan, &err) != PS_OK) {
		r->plan = NULL;
		r->epochs++;
		failed(r, &err);
	}
	return r->plan;
}

void fair_planned(struct ps_dispatch *d, enum ps_status status, const struct ps_error *why)
{
	struct residency *r = d->residency;
	struct ps_cache_epoch e;
	struct ps_error err;
	r->epochs++;
	r->epoch_failed = false;
	if (status != PS_OK) {
		failed(r, why);
		ps_cache_job_free(r->plan);
	} else if (ps_cache_epoch_commit(r->cache, r->plan, &e, &err) != PS_OK) {
		failed(r, &err);
	}
	r->plan = NULL;
}

/* ---- who goes ----------------------------------------------------------------------------- */

int fair_of(const struct ps_dispatch *d, const struct ps_repo_instance *in)
{
	const struct residency *r = d->residency;
	for (int k = 0; k < in->n_users; k++) {
		int item = item_find(r, in->users[k], in->domain);
		if (item >= 0 && r->items[item].fair >= 0)
			return r->items[item].fair;
	}
	return -1;
}

struct ps_cache_worth fair_worth(struct ps_dispatch *d, int fair, int tenant)
{
	int who = tenant >= 0 ? tenant_of(d, tenant) : -1;
	return ps_cache_worth_of(d->residency->cache, who, fair);
}

/* ---- what can be seen --------------------------------------------------------------------- */

bool ps_dispatch_fairness(const struct ps_dispatch *d, int tenant,
			  struct ps_dispatch_fairness *ret_fairness)
{
	const struct residency *r = d->residency;
	const struct ps_cache_plan *p = r ? ps_cache_last(r->cache)->plan : NULL;
	int who = tenant < d->n_tenants ? d->tenants[tenant].fair - 1 : -1;
	if (!p || who < 0 || who >= p->tenants)
		return false;
	*ret_fairness = (struct ps_dispatch_fairness){
		.given_s = p->utility[who], .alone_s = p->best[who], .share_s = p->entitled[who]};
	return true;
}

static double jain_of(const struct ps_cache_plan *p)
{
	double *x = calloc((size_t)p->tenants + 1, sizeof *x);
	int n = 0;
	for (int i = 0; x && i < p->tenants; i++)
		if (p->best[i] > 0)
			x[n++] = p->utility[i] / p->best[i];
	double jain = x ? ps_cache_jain(x, n) : NAN;
	free(x);
	return jain;
}

int64_t ps_dispatch_epochs(const struct ps_dispatch *d)
{
	return d->residency ? d->residency->epochs : 0;
}

void ps_dispatch_policy_view_get(const struct ps_dispatch *d,
				 struct ps_dispatch_policy_view *ret_view)
{
	const struct residency *r = d->residency;
	*ret_view = (struct ps_dispatch_policy_view){.jain = 1, .worst_share = 1};
	if (!r)
		return;
	const struct ps_cache_plan *p = ps_cache_last(r->cache)->plan;
	ret_view->name = ps_cache_policy_get(r->config.policy)->name;
	ret_view->epochs = r->epochs;
	ret_view->failed_epochs = r->failed_epochs;
	ret_view->why = r->failed_epochs ? &r->epoch_err : NULL;
	ret_view->failed = r->epoch_failed;
	if (!p)
		return;
	const struct ps_cache_epoch *e = ps_cache_last(r->cache);
	ret_view->switched = e->switched;
	ret_view->u[0] = e->u[0];
	ret_view->u[1] = e->u[1];
	ret_view->loads_s = e->loads_s;
	ret_view->configurations = p->n;
	ret_view->drawn = ps_cache_last(r->cache)->drawn;
	ret_view->gap = p->gap;
	ret_view->worst_share = ps_cache_worst_share(p, NULL);
	ret_view->jain = jain_of(p);
}

double ps_dispatch_configuration(const struct ps_dispatch *d, int i, int *ret_models, int max,
				 int *ret_n)
{
	const struct residency *r = d->residency;
	const struct ps_cache_plan *p = r ? ps_cache_last(r->cache)->plan : NULL;
	*ret_n = 0;
	if (!p || i >= p->n)
		return -1;
	for (int k = 0; k < p->items && k < r->n_fair; k++)
		if (ps_cache_has(p->config[i].has, k) && r->fairs[k].item >= 0 && *ret_n < max)
			ret_models[(*ret_n)++] = r->items[r->fairs[k].item].model;
	return p->config[i].share;
}
