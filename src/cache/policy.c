#include "cache/policy.h"
#include "cache/game_internal.h"
#include "cache/policies_internal.h"

#include "base/units.h"

#include <math.h>
#include <string.h>

/* ---- what happens at each request ---- */

static void touch_order(struct ps_cache_scores *s, const struct ps_cache_tenant *tenant,
			const struct ps_cache_item *item, int j)
{
	(void)tenant;
	(void)item;
	s->order[j] = ++s->requests;
	s->score[j] = s->order[j];
}

/* GreedyDual with a cost of w: what is over the last victim by its weight. With equal weights the
 * order of scores, ties by the last request, is the order of use. */
static void touch_lru(struct ps_cache_scores *s, const struct ps_cache_tenant *tenant,
		      const struct ps_cache_item *item, int j)
{
	(void)item;
	s->order[j] = ++s->requests;
	s->score[j] = s->inflation + tenant->weight;
}

static void touch_lfu(struct ps_cache_scores *s, const struct ps_cache_tenant *tenant,
		      const struct ps_cache_item *item, int j)
{
	(void)item;
	s->order[j] = ++s->requests;
	s->count[j] += tenant->weight;
	s->score[j] = s->count[j];
}

/* Cherkasova, "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy",
 * HP Laboratories 1998. */
static void touch_gdsf(struct ps_cache_scores *s, const struct ps_cache_tenant *tenant,
		       const struct ps_cache_item *item, int j)
{
	double bytes = (double)(item->bytes > 0 ? item->bytes : 1);

	s->order[j] = ++s->requests;
	s->count[j] += tenant->weight;
	s->score[j] = s->inflation + s->count[j] * item->load_s / bytes;
}

static void left_nothing(struct ps_cache_scores *s, int j)
{
	(void)s;
	(void)j;
}

static void left_age(struct ps_cache_scores *s, int j)
{
	s->inflation = fmax(s->inflation, s->score[j]);
	s->count[j] = 0;
}

/* ---- objectives ---- */

static double no_objective(const struct ps_cache_problem *p, const struct ps_cache_plan *plan)
{
	(void)p;
	(void)plan;
	return NAN;
}

static double total(const struct ps_cache_problem *p, const struct ps_cache_plan *plan)
{
	double sum = 0;

	for (int i = 0; i < plan->tenants; i++)
		sum += p->tenant[i].weight * plan->utility[i];
	return sum;
}

/* Of V_i itself, so that plans of different capacities compare. */
static double log_sum(const struct ps_cache_problem *p, const struct ps_cache_plan *plan)
{
	double sum = 0;

	for (int i = 0; i < plan->tenants; i++)
		if (plan->best[i] > 0)
			sum += p->tenant[i].weight * log(plan->utility[i]);
	return sum;
}

/* ---- the table ---- */

static const struct ps_cache_policy policies[PS_CACHE_KINDS] = {
	[PS_CACHE_STATIC] = {"static",
			     "memory split by weight, each fills its own part as it likes best",
			     false, touch_order, left_nothing, ps_cache_static_plan, no_objective},
	[PS_CACHE_LRU] = {"lru", "the least recently used goes first", true, touch_lru, left_age,
			  ps_cache_lru_plan, no_objective},
	[PS_CACHE_LFU] = {"lfu", "the least often asked for goes first", true, touch_lfu,
			  left_nothing, ps_cache_lfu_plan, no_objective},
	[PS_CACHE_GDSF] = {"gdsf", "the least requests x load time per byte go first", true,
			   touch_gdsf, left_age, ps_cache_gdsf_plan, no_objective},
	[PS_CACHE_RSD] = {"rsd", "tenants choose in an order drawn by weight", false, touch_order,
			  left_nothing, ps_cache_rsd_plan, no_objective},
	[PS_CACHE_OPTP] = {"optp", "the most load time spared in all, whoever gets it", false,
			   touch_order, left_nothing, ps_cache_optp_plan, total},
	[PS_CACHE_MMF] = {"mmf", "the worst off gets the most that it can, then the next", false,
			  touch_order, left_nothing, ps_cache_mmf_plan, no_objective},
	[PS_CACHE_PF] = {"pf", "proportionally fair: no group could do better on its own", false,
			 touch_order, left_nothing, ps_cache_pf_plan, log_sum},
};

const struct ps_cache_policy *ps_cache_policy_get(enum ps_cache_kind kind)
{
	return &policies[kind];
}

const char *const *ps_cache_policy_names(void)
{
	static const char *const names[PS_CACHE_KINDS + 1] = {"static", "lru", "lfu", "gdsf", "rsd",
							      "optp",	"mmf", "pf",  NULL};

	return names;
}

/* ---- checks ---- */

static enum ps_status check_tenants(const struct ps_cache_problem *p, int64_t *ret_guaranteed,
				    struct ps_error *err)
{
	int64_t sum = 0;

	for (int i = 0; i < p->tenants; i++) {
		const struct ps_cache_tenant *t = &p->tenant[i];
		if (!(t->weight > 0) || !isfinite(t->weight))
			return ps_error_set(err, PS_EINVAL, "the weight of tenant %d is %g", i + 1,
					    t->weight);
		if (t->guaranteed_bytes < 0)
			return ps_error_set(err, PS_EINVAL,
					    "tenant %d is guaranteed less than nothing", i + 1);
		if (__builtin_add_overflow(sum, t->guaranteed_bytes, &sum))
			return ps_error_set(err, PS_ETOOBIG, "guarantees of over 8 EiB");
	}
	*ret_guaranteed = sum;
	return PS_OK;
}

static enum ps_status check_items(const struct ps_cache_problem *p, int64_t *ret_pinned,
				  struct ps_error *err)
{
	int64_t all = 0, pinned = 0;

	for (int j = 0; j < p->items; j++) {
		const struct ps_cache_item *t = &p->item[j];
		if (t->bytes < 0 || !(t->load_s >= 0) || !isfinite(t->load_s))
			return ps_error_set(err, PS_EINVAL,
					    "model %d has %lld bytes and loads in %g s", j + 1,
					    (long long)t->bytes, t->load_s);
		if (__builtin_add_overflow(all, t->bytes, &all))
			return ps_error_set(err, PS_ETOOBIG, "models of over 8 EiB");
		pinned += t->pinned ? t->bytes : 0;
	}
	*ret_pinned = pinned;
	return PS_OK;
}

static enum ps_status check_demand(const struct ps_cache_problem *p, struct ps_error *err)
{
	for (int i = 0; i < p->tenants; i++)
		for (int j = 0; j < p->items; j++) {
			double d = p->demand[(size_t)i * (size_t)p->items + (size_t)j];
			if (!(d >= 0) || d > 1e15)
				return ps_error_set(err, PS_EINVAL,
						    "tenant %d asks %g times for model %d", i + 1,
						    d, j + 1);
		}
	return PS_OK;
}

static enum ps_status check_sizes(const struct ps_cache_problem *p, struct ps_error *err)
{
	if (p->tenants < 0 || p->items < 0 || p->capacity_bytes < 0 ||
	    (p->warm_factor != 0 && !(p->warm_factor >= 1 && p->warm_factor <= 1e6)))
		return ps_error_set(err, PS_EINVAL, "a count, the capacity or the warm factor");
	if (p->tenants > PS_CACHE_MAX_TENANTS || p->items > PS_CACHE_MAX_ITEMS ||
	    (int64_t)p->tenants * p->items > PS_CACHE_MAX_CELLS)
		return ps_error_set(err, PS_ETOOBIG,
				    "%d tenants and %d models: at most %d, %d, and a product of %d",
				    p->tenants, p->items, PS_CACHE_MAX_TENANTS, PS_CACHE_MAX_ITEMS,
				    PS_CACHE_MAX_CELLS);
	return PS_OK;
}

enum ps_status ps_cache_problem_check(const struct ps_cache_problem *p, struct ps_error *err)
{
	char a[PS_UNITS_SIZE], b[PS_UNITS_SIZE], c[PS_UNITS_SIZE];
	int64_t guaranteed = 0, pinned = 0;
	enum ps_status st = check_sizes(p, err);

	if (st == PS_OK)
		st = check_tenants(p, &guaranteed, err);
	if (st == PS_OK)
		st = check_items(p, &pinned, err);
	if (st == PS_OK)
		st = check_demand(p, err);
	if (st != PS_OK)
		return st;
	if (pinned <= p->capacity_bytes && guaranteed <= p->capacity_bytes - pinned)
		return PS_OK;
	return ps_error_set(err, PS_ETOOBIG,
			    "pinned models need %s and guarantees %s, of a capacity of %s",
			    ps_units_format_bytes(pinned, a), ps_units_format_bytes(guaranteed, b),
			    ps_units_format_bytes(p->capacity_bytes, c));
}

enum ps_status ps_cache_plan_make(enum ps_cache_kind kind, const struct ps_cache_problem *p,
				  const struct ps_cache_plan *before,
				  struct ps_cache_plan *ret_plan, struct ps_error *err)
{
	enum ps_status st = ps_cache_problem_check(p, err);

	return st == PS_OK ? policies[kind].plan(p, NULL, before, ret_plan, err) : st;
}

double ps_cache_utility(const struct ps_cache_problem *p, int tenant, const uint64_t *has)
{
	double sum = 0;

	for (int j = 0; j < p->items; j++)
		if (ps_cache_has(has, j))
			sum += ps_cache_unit(p, tenant, j);
	return sum;
}
