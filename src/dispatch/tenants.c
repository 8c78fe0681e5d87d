/* What the machine knows of tenants and of their models, sparsely: a pair of tenant and model takes
 * memory once it has been asked for, and no more than MAX_PAIRS of them are remembered.
 */
#include "dispatch/dispatch_internal.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_PAIRS = 64, MAX_PAIRS = 1 << 16 };

static size_t place(const struct pairs *p, uint64_t key)
{
	uint64_t h = key * UINT64_C(0x9e3779b97f4a7c15);
	size_t at = (size_t)(h >> 32) & (p->n_slots - 1);
	while (p->slots[at].key && p->slots[at].key != key)
		at = (at + 1) & (p->n_slots - 1);
	return at;
}

void pairs_clear(struct ps_dispatch *d)
{
	if (d->pairs.slots)
		memset(d->pairs.slots, 0, d->pairs.n_slots * sizeof *d->pairs.slots);
	d->pairs.len = 0;
}

static void grow(struct pairs *p)
{
	struct pairs bigger = {.n_slots = p->n_slots ? 2 * p->n_slots : FIRST_PAIRS, .len = p->len};
	bigger.slots = calloc(bigger.n_slots, sizeof *bigger.slots);
	if (!bigger.slots)
		return;
	for (size_t i = 0; i < p->n_slots; i++)
		if (p->slots[i].key)
			bigger.slots[place(&bigger, p->slots[i].key)] = p->slots[i];
	free(p->slots);
	*p = bigger;
}

static void remember(struct ps_dispatch *d, const struct pair *pair)
{
	struct pairs *p = &d->pairs;
	if (p->len * 2 >= p->n_slots && p->n_slots < MAX_PAIRS)
		grow(p);
	if (p->len * 2 >= p->n_slots)
		pairs_clear(d); /* full at its largest, or no memory: begin again */
	if (!p->n_slots)
		return;
	p->slots[place(p, pair->key)] = *pair;
	p->len++;
}

static struct pair ask(const struct ps_dispatch *d, int tenant, int model, uint64_t key)
{
	const struct ps_tenancy *t = d->config.tenancy;
	const char *name = ps_repo_get(d->config.repo, model)->name;
	struct pair pair = {.key = key, .sees = ps_tenancy_sees(t, tenant, name)};
	const struct ps_sla *sla = ps_tenancy_sla(t, tenant, name);
	if (ps_sla_is_set(sla)) {
		pair.sla_ns = sla->limit_ns;
		pair.may_be_late = 1 - sla->percentile;
	}
	return pair;
}

struct pair pair_get(struct ps_dispatch *d, int tenant, int model)
{
	uint64_t key = ((uint64_t)tenant << 32 | (uint32_t)model) + 1;
	if (d->pairs.n_slots) {
		const struct pair *found = &d->pairs.slots[place(&d->pairs, key)];
		if (found->key)
			return *found;
	}
	struct pair pair = ask(d, tenant, model, key);
	remember(d, &pair);
	return pair;
}

static enum ps_status grow_tenants(struct ps_dispatch *d, int n)
{
	if (n <= d->n_tenants)
		return PS_OK;
	struct tenant *t = realloc(d->tenants, (size_t)n * sizeof *t);
	if (!t)
		return PS_ENOMEM;
	d->tenants = t;
	for (; d->n_tenants < n; d->n_tenants++)
		d->tenants[d->n_tenants] = (struct tenant){0};
	return PS_OK;
}

static struct ps_sched_tenant values_of(const struct ps_tenancy *t, int tenant)
{
	bool guaranteed = ps_tenancy_class(t, tenant) == PS_TENANCY_GUARANTEED;
	return (struct ps_sched_tenant){.weight = ps_tenancy_weight(t, tenant),
					.class = guaranteed ? PS_SCHED_GUARANTEED
							    : PS_SCHED_BEST_EFFORT,
					.queue_limit = ps_tenancy_queue_limit(t, tenant)};
}

/* The only steps that can fail make room; they come first. */
enum ps_status tenants_set(struct ps_dispatch *d, const struct ps_tenancy *tenancy)
{
	int n = ps_tenancy_count(tenancy);
	if (grow_tenants(d, n) != PS_OK || ps_sched_reserve(d->sched, n) != PS_OK)
		return PS_ENOMEM;
	for (int t = 0; t < n; t++) {
		struct ps_sched_tenant v = values_of(tenancy, t);
		enum ps_status s = ps_sched_set_tenant(d->sched, t, &v);
		if (s != PS_OK)
			return s;
	}
	d->config.tenancy = tenancy;
	if (d->residency)
		residency_new_tenants(d);
	pairs_clear(d);
	return PS_OK;
}
