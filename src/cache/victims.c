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
	struct ps_cache_worth worth;
	int item;
};

static int order_of(double a, double b)
{
	return a == b ? 0 : a < b ? -1 : 1;
}

int ps_cache_worth_order(const struct ps_cache_worth *a, const struct ps_cache_worth *b)
{
	int by = order_of(a->harm, b->harm);

	if (by == 0)
		by = order_of(a->score, b->score);
	return by == 0 ? order_of(a->order, b->order) : by;
}

/* The least worth first. */
static int by_worth(const void *a, const void *b)
{
	const struct victim *x = a, *y = b;
	int by = ps_cache_worth_order(&x->worth, &y->worth);

	return by == 0 ? x->item - y->item : by;
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

static bool is_wanted(const struct ps_cache *c, int item)
{
	return !c->policy->per_request && c->wants && ps_cache_has(c->wants, item);
}

struct ps_cache_worth ps_cache_worth_of(const struct ps_cache *c, int tenant, int item)
{
	struct ps_cache_problem p;
	struct ps_cache_worth w = {.wanted = is_wanted(c, item),
				   .score = c->scores.score[item],
				   .order = c->scores.order[item]};

	ps_cache_problem_of(c, &p);
	w.harm = w.wanted ? harm_of(c, &p, tenant, item) : 0;
	return w;
}

static int candidates(const struct ps_cache *c, int tenant, int item, bool rob,
		      bool (*may_go)(void *, int), void *ctx, struct victim *ret)
{
	int n = 0;

	for (int j = 0; j < c->items; j++) {
		if (j == item || !c->item[j].resident || c->item[j].pinned ||
		    (!rob && is_wanted(c, j)) || (may_go && !may_go(ctx, j)))
			continue;
		ret[n++] = (struct victim){ps_cache_worth_of(c, tenant, j), j};
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
