#include "plan/plan_internal.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(int type, const struct ps_plan_count *set, int n)
{
	uint64_t h = 1469598103934665603u ^ (uint64_t)type;

	for (int i = 0; i < n; i++) {
		h = (h ^ (uint64_t)set[i].kind) * 1099511628211u;
		h = (h ^ (uint64_t)set[i].count) * 1099511628211u;
	}
	return h ^ (h >> 29);
}

static bool same(const struct ps_plan_pattern *p, int type, const struct ps_plan_count *set, int n)
{
	return p->type == type && p->n == n && memcmp(p->set, set, (size_t)n * sizeof(*set)) == 0;
}

static void enter(struct ps_plan_patterns *ps, int i)
{
	const struct ps_plan_pattern *p = &ps->items[i];
	uint64_t at = hash_of(p->type, p->set, p->n) % (uint64_t)ps->n_buckets;

	while (ps->buckets[at])
		at = (at + 1) % (uint64_t)ps->n_buckets;
	ps->buckets[at] = i + 1;
}

static bool grow(struct ps_plan_patterns *ps)
{
	if (ps->n < ps->cap)
		return true;
	int cap = ps->cap ? 2 * ps->cap : 64;
	struct ps_plan_pattern *items = realloc(ps->items, (size_t)cap * sizeof(*items));
	if (!items)
		return false;
	ps->items = items;
	int *buckets = calloc(4 * (size_t)cap, sizeof(*buckets));
	if (!buckets)
		return false;
	free(ps->buckets);
	ps->buckets = buckets;
	ps->n_buckets = 4 * cap;
	ps->cap = cap;
	for (int i = 0; i < ps->n; i++)
		enter(ps, i);
	return true;
}

enum ps_status ps_plan_patterns_add(struct ps_plan_patterns *ps, int type,
				    const struct ps_plan_count *set, int n, bool *ret_new)
{
	if (!grow(ps))
		return PS_ENOMEM;
	uint64_t at = hash_of(type, set, n) % (uint64_t)ps->n_buckets;
	if (ret_new)
		*ret_new = false;
	for (; ps->buckets[at]; at = (at + 1) % (uint64_t)ps->n_buckets) {
		if (same(&ps->items[ps->buckets[at] - 1], type, set, n))
			return PS_OK;
	}
	struct ps_plan_count *copy = malloc((size_t)n * sizeof(*copy));
	if (!copy)
		return PS_ENOMEM;
	memcpy(copy, set, (size_t)n * sizeof(*copy));
	ps->items[ps->n++] = (struct ps_plan_pattern){type, n, copy};
	ps->buckets[at] = ps->n;
	if (ret_new)
		*ret_new = true;
	return PS_OK;
}

void ps_plan_patterns_fini(struct ps_plan_patterns *ps)
{
	for (int i = 0; i < ps->n; i++)
		free(ps->items[i].set);
	free(ps->items);
	free(ps->buckets);
	*ps = (struct ps_plan_patterns){0};
}
