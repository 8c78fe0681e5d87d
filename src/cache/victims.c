/* victims.c - what is wanted, and who has to go for a miss. */
#include "cache/cache_internal.h"
#include "cache/game_internal.h"

#include <stdlib.h>

const struct ps_cache_epoch *ps_cache_last(const struct ps_cache *c)
{
	return &c->last;
}

bool ps_cache_wants(const struct ps_cache *c, int item)
{
	if (c->item[item].pinned)
		return true;
	return c->policy->per_request ? c->item[item].resident : ps_cache_has(c->wants, item);
}

/* ---- victims ---- */

struct victim {
	double harm, score, order;
	int item;
};

/* The least worth first. */
static int by_worth(const void *a, const void *b)
{
	const struct victim *x = a, *y = b;

	if (x->harm != y->harm)
		return x->harm < y->harm ? -1 : 1;
	if (x->score != y->score)
		return x->score < y->score ? -1 : 1;
	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return x->item - y->item;
}

/* What the others lose per byte, each in parts of what the plan gives it. Never 0: what is wanted
 * goes after all that is not. */
static double harm_of(const struct ps_cache *c, const struct ps_cache_problem *p, int tenant,
		      int item)
{
	double sum = 1e-300;

	for (int i = 0; i < p->tenants && i < c->plan.tenants; i++) {
		double has = c->plan.utility[i] > 0 ? c->plan.utility[i] : c->plan.best[i];
		if (i != tenant && has > 0)
			sum += p->tenant[i].weight * ps_cache_unit(p, i, item) / has;
	}
	return sum / (double)(p->item[item].bytes > 0 ? p->item[item].bytes : 1);
}

static int candidates(const struct ps_cache *c, int tenant, int item, bool rob,
		      bool (*may_go)(void *, int), void *ctx, struct victim *ret)
{
	struct ps_cache_problem p;
	int n = 0;

	ps_cache_problem_of(c, &p);
	for (int j = 0; j < c->items; j++) {
		bool wanted = !c->policy->per_request && c->wants && ps_cache_has(c->wants, j);
		if (j == item || !c->item[j].resident || c->item[j].pinned || (wanted && !rob) ||
		    (may_go && !may_go(ctx, j)))
			continue;
		ret[n++] = (struct victim){wanted ? harm_of(c, &p, tenant, j) : 0,
					   c->scores.score[j], c->scores.order[j], j};
	}
	return n;
}

/* The first ones that suffice; then those that the later ones made needless stay. */
static int choose(const struct ps_cache *c, struct victim *v, int n, int64_t need)
{
	int64_t sum = 0;
	int taken = 0, left = 0;

	while (taken < n && sum < need)
		sum += c->item[v[taken++].item].bytes;
	if (sum < need)
		return 0;
	for (int i = taken - 1; i >= 0; i--) {
		int64_t bytes = c->item[v[i].item].bytes;
		if (sum - bytes >= need) {
			sum -= bytes;
			v[i].item = -1;
		}
	}
	for (int i = 0; i < taken; i++)
		if (v[i].item >= 0)
			v[left++] = v[i];
	return left;
}

int ps_cache_victims(const struct ps_cache *c, int tenant, int item, int64_t need_bytes, bool rob,
		     bool (*may_go)(void *ctx, int item), void *ctx, int *ret_items, int room)
{
	struct victim *v = malloc(((size_t)c->items + 1) * sizeof(*v));

	/* Without memory for the list the answer is that it is not possible now. */
	if (!v)
		return 0;
	int n = candidates(c, tenant, item, rob, may_go, ctx, v);
	qsort(v, (size_t)n, sizeof(*v), by_worth);
	n = choose(c, v, n, need_bytes);
	n = n <= room ? n : 0;
	for (int i = 0; i < n; i++)
		ret_items[i] = v[i].item;
	free(v);
	return n;
}
