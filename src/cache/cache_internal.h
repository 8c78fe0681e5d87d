/* cache_internal.h - a cache's memory between epochs (cache.h). */
#ifndef PS_CACHE_CACHE_INTERNAL_H
#define PS_CACHE_CACHE_INTERNAL_H

#include "cache/cache.h"

#include "base/rng.h"

struct ps_cache {
	struct ps_cache_options o;
	const struct ps_cache_policy *policy;
	double keep; /* of what was asked before, per epoch */

	/* Numbers below `tenants` and `items` that are not in use have no name. */
	int tenants, items, tenant_cap, item_cap;
	char **tenant_name, **item_key;
	struct ps_cache_tenant *tenant; /* [tenant_cap] */
	struct ps_cache_item *item;	/* [item_cap] */
	/* [tenant_cap * item_cap]: what was asked in this epoch; what was asked before, weighted,
	 * and the weight of one epoch after the other in all; the second over the third. */
	double *fresh, *past, *mean;
	double mass;
	struct ps_cache_scores scores;

	struct ps_cache_plan plan;
	uint64_t *wants; /* of item_cap */
	struct ps_cache_epoch last;
	struct ps_rng rng;

	/* Items that were dropped since a job began; forgot: there was no memory to note one. */
	int *gone, n_gone, gone_cap;
	bool forgot;
};

static inline size_t ps_cache_cell_of(const struct ps_cache *c, int tenant, int item)
{
	return (size_t)tenant * (size_t)c->item_cap + (size_t)item;
}

/* ps_cache_grow makes room for so many tenants and items. PS_ETOOBIG, PS_ENOMEM. */
enum ps_status ps_cache_grow(struct ps_cache *c, int tenants, int items, struct ps_error *err);

#endif
