/* epoch.c - forget, plan, draw; and who has to go for a miss. */
#include "cache/cache_internal.h"
#include "cache/game_internal.h"
#include "cache/pf_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The mean by the half-life: sums of requests weighted by age, over the weight of all epochs. */
static double forget(struct ps_cache *c)
{
	double all = 0;

	c->mass = c->keep * c->mass + (1 - c->keep);
	for (int i = 0; i < c->tenants; i++)
		for (int j = 0; j < c->items; j++) {
			size_t at = ps_cache_cell_of(c, i, j);
			c->past[at] = c->keep * c->past[at] + (1 - c->keep) * c->fresh[at];
			c->fresh[at] = 0;
			c->mean[at] = c->past[at] / c->mass;
			all += c->mean[at];
		}
	return all;
}

/* The mean seconds of loads between two draws, and what the plan spares per epoch. */
static double renewal(const struct ps_cache *c, const struct ps_cache_plan *p)
{
	double cost = 0, spares = 0;

	for (int i = 0; i < p->tenants; i++)
		spares += p->utility[i];
	/* An item is loaded when it is in the second and not in the first. */
	for (int j = 0; j < p->items; j++) {
		double in = 0;
		for (int s = 0; s < p->n; s++)
			in += ps_cache_has(p->config[s].has, j) ? p->config[s].share : 0;
		cost += in * fmax(0, 1 - in) * c->item[j].load_s;
	}
	return cost > 0 ? fmin(1, c->o.load_share * spares / cost) : 1;
}

static enum ps_status plan(struct ps_cache *c, const struct ps_cache_problem *p,
			   struct ps_cache_plan *ret_plan, bool *ret_kept, struct ps_error *err)
{
	const struct ps_cache_plan *before = c->plan.n ? &c->plan : NULL;

	*ret_kept = false;
	if (c->o.policy == PS_CACHE_PF)
		return ps_cache_pf(p, before, c->o.reuse_gap, ret_plan, ret_kept, err);
	return c->policy->plan(p, &c->scores, before, ret_plan, err);
}

static double switch_cost(const struct ps_cache *c, const uint64_t *has)
{
	double sum = 0;

	for (int j = 0; j < c->items; j++)
		if (ps_cache_has(has, j) && !c->item[j].resident)
			sum += c->item[j].load_s;
	return sum;
}

static void decide(struct ps_cache *c, struct ps_cache_plan *next, int drawn, bool kept)
{
	size_t bytes = (size_t)ps_cache_words(c->item_cap) * sizeof(*c->wants);
	const uint64_t *has = next->config[drawn].has;

	c->last.switched = c->last.number == 0 || memcmp(c->wants, has, bytes) != 0;
	c->last.loads_s = switch_cost(c, has);
	memcpy(c->wants, has, bytes);
	ps_cache_plan_free(&c->plan);
	c->plan = *next;
	c->last.number++;
	c->last.plan = &c->plan;
	c->last.drawn = drawn;
	c->last.wants = c->wants;
	c->last.reused = kept;
}

enum ps_status ps_cache_epoch_end(struct ps_cache *c, struct ps_cache_epoch *ret_epoch,
				  struct ps_error *err)
{
	struct ps_cache_problem p;
	struct ps_cache_plan next;
	bool kept;
	int drawn;
	double u[2] = {ps_rng_uniform(&c->rng), ps_rng_uniform(&c->rng)};

	/* Of nothing nothing is decided: what is in force stays. */
	if (!(forget(c) > 0)) {
		*ret_epoch = c->last;
		return PS_OK;
	}
	ps_cache_problem_of(c, &p);
	enum ps_status st = plan(c, &p, &next, &kept, err);
	if (st != PS_OK)
		return st;
	double renew = renewal(c, &next);
	st = ps_cache_draw_near(&p, c->plan.n ? &c->plan : NULL, c->last.drawn, &next, renew, u,
				&drawn);
	if (st != PS_OK) {
		ps_cache_plan_free(&next);
		return ps_error_set(err, st, "no memory for a draw");
	}
	c->last.renewed = !c->plan.n || u[0] < renew;
	c->last.renew = renew;
	memcpy(c->last.u, u, sizeof(u));
	decide(c, &next, drawn, kept);
	*ret_epoch = c->last;
	return PS_OK;
}

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
