/* simple.c - the policies that need no mixture, or only one of orders. */
#include "cache/columns_internal.h"
#include "cache/pf_internal.h"
#include "cache/policies_internal.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ALL_ORDERS = 6, DRAWN_ORDERS = 64 };

/* A game with its columns; its set is what is worked on. */
struct desk {
	struct ps_cache_game g;
	struct ps_cache_columns c;
};

static void desk_fini(struct desk *d)
{
	ps_cache_columns_fini(&d->c);
	ps_cache_game_fini(&d->g);
}

static enum ps_status no_memory(struct ps_error *err)
{
	ps_error_set(err, PS_ENOMEM, "no memory for the choice of models");
	return PS_ENOMEM;
}

static enum ps_status desk_init(struct desk *d, const struct ps_cache_problem *p,
				struct ps_error *err)
{
	enum ps_status st = ps_cache_game_init(&d->g, p, err);

	ps_cache_columns_init(&d->c, &d->g);
	return st;
}

/* The plan of the columns, or of the game's set alone when there are none. */
static enum ps_status finish(struct desk *d, double gap, struct ps_cache_plan *ret_plan,
			     struct ps_error *err)
{
	enum ps_status st = PS_OK;

	if (d->c.n == 0) {
		int c = ps_cache_columns_add(&d->c, d->g.set);
		if (c < 0)
			st = no_memory(err);
		else
			d->c.x[c] = 1;
	}
	if (st == PS_OK)
		st = ps_cache_columns_plan(&d->c, ret_plan, err);
	if (st == PS_OK)
		ret_plan->gap = fmax(gap, fmax(d->g.best_error, d->g.room_error));
	desk_fini(d);
	return st;
}

PS_CACHE_PLAN(optp)
{
	struct desk d;
	double bound, value, gap = 0;
	enum ps_status st = desk_init(&d, p, err);

	(void)scores;
	(void)before;
	if (st != PS_OK)
		return st;
	for (int i = 0; i < d.g.n; i++)
		d.g.prices[i] = d.g.w[i] * d.g.best[d.g.who[i]];
	value = ps_cache_welfare(&d.g, d.g.prices, 0, false, d.g.set, &bound);
	if (value > 0)
		gap = bound / value - 1;
	return finish(&d, gap, ret_plan, err);
}

/* Each fills its own part of the bytes, and a model that two of them chose is there once. */
PS_CACHE_PLAN(static)
{
	struct desk d;
	double all = 0;
	enum ps_status st = desk_init(&d, p, err);

	(void)scores;
	(void)before;
	if (st != PS_OK)
		return st;
	uint64_t *own = malloc((size_t)d.g.words * sizeof(*own));
	if (!own) {
		desk_fini(&d);
		return no_memory(err);
	}
	for (int i = 0; i < p->tenants; i++)
		all += p->tenant[i].weight;
	for (int i = 0; i < d.g.n; i++) {
		double part = d.g.w[i] / all * (double)d.g.room;
		memcpy(own, d.g.forced, (size_t)d.g.words * sizeof(*own));
		d.g.prices[i] = 1;
		ps_cache_welfare_room(&d.g, d.g.prices, (int64_t)part, own);
		d.g.prices[i] = 0;
		for (int w = 0; w < d.g.words; w++)
			d.g.set[w] |= own[w];
	}
	free(own);
	return finish(&d, 0, ret_plan, err);
}

/* ---- random serial dictatorship ---- */

struct orders {
	struct desk *d;
	bool *had;	  /* [n] their turn came */
	uint64_t *stack;  /* [words] for each of so many turns: what is in after it */
	int64_t smallest; /* item that may be chosen */
	bool no_memory;
};

static uint64_t *after(const struct orders *o, int turns)
{
	return o->stack + (size_t)turns * (size_t)o->d->g.words;
}

static bool keep(struct orders *o, const uint64_t *has, double share)
{
	int c = ps_cache_columns_add(&o->d->c, has);

	if (c < 0)
		return false;
	o->d->c.x[c] += share;
	return true;
}

static void turn(struct orders *o, int who, int64_t room, int depth)
{
	struct desk *d = o->d;

	memcpy(after(o, depth + 1), after(o, depth), (size_t)d->g.words * sizeof(uint64_t));
	d->g.prices[who] = 1;
	ps_cache_welfare_room(&d->g, d->g.prices, room, after(o, depth + 1));
	d->g.prices[who] = 0;
}

/* All orders, with their chances; those that begin alike are one until they part. */
static void every_order(struct orders *o, int depth, double share, double weight_left)
{
	struct ps_cache_game *g = &o->d->g;
	int64_t room = g->p->capacity_bytes - ps_cache_bytes(g->p, after(o, depth));

	if (depth == g->n || room < o->smallest) {
		o->no_memory = !keep(o, after(o, depth), share) || o->no_memory;
		return;
	}
	for (int i = 0; i < g->n; i++) {
		if (o->had[i])
			continue;
		o->had[i] = true;
		turn(o, i, room, depth);
		every_order(o, depth + 1, share * g->w[i] / weight_left, weight_left - g->w[i]);
		o->had[i] = false;
	}
}

/* One of those that are left, by weight. */
static int draw_tenant(const struct orders *o, double weight_left, struct ps_rng *r)
{
	double u = ps_rng_uniform(r) * weight_left;
	int last = -1;

	for (int i = 0; i < o->d->g.n; i++) {
		if (o->had[i])
			continue;
		last = i;
		u -= o->d->g.w[i];
		if (u < 0)
			break;
	}
	return last;
}

/* `first`, then the others as they are drawn. */
static void drawn_order(struct orders *o, int first, double share, struct ps_rng *r)
{
	struct ps_cache_game *g = &o->d->g;
	double left = g->sum;
	int depth = 0;

	memset(o->had, 0, (size_t)g->n * sizeof(*o->had));
	memcpy(after(o, 0), g->forced, (size_t)g->words * sizeof(uint64_t));
	for (; depth < g->n; depth++) {
		int64_t room = g->p->capacity_bytes - ps_cache_bytes(g->p, after(o, depth % 2));
		if (room < o->smallest)
			break;
		int who = depth == 0 ? first : draw_tenant(o, left, r);
		o->had[who] = true;
		left -= g->w[who];
		turn(o, who, room, depth % 2);
		if (depth % 2)
			memcpy(after(o, 0), after(o, 2), (size_t)g->words * sizeof(uint64_t));
	}
	o->no_memory = !keep(o, after(o, depth % 2), share) || o->no_memory;
}

/* Who is first has the weight that is its own, so that nobody gets less than its share; only what
 * follows is left to chance. */
static void draw_orders(struct orders *o)
{
	struct ps_cache_game *g = &o->d->g;
	int each = (DRAWN_ORDERS + g->n - 1) / g->n;
	struct ps_rng r;

	ps_rng_init(&r, g->p->seed, ps_rng_stream("cache/rsd"));
	for (int i = 0; i < g->n; i++)
		for (int k = 0; k < each; k++)
			drawn_order(o, i, g->w[i] / g->sum / each, &r);
}

static void dictate(struct orders *o)
{
	struct ps_cache_game *g = &o->d->g;

	o->smallest = INT64_MAX;
	for (int j = 0; j < g->m; j++)
		o->smallest = g->bytes[j] < o->smallest ? g->bytes[j] : o->smallest;
	memcpy(after(o, 0), g->forced, (size_t)g->words * sizeof(uint64_t));
	if (g->n <= ALL_ORDERS)
		every_order(o, 0, 1, g->sum);
	else
		draw_orders(o);
}

PS_CACHE_PLAN(rsd)
{
	struct desk d;
	enum ps_status st = desk_init(&d, p, err);

	(void)scores;
	(void)before;
	if (st != PS_OK)
		return st;
	size_t levels = (size_t)(d.g.n <= ALL_ORDERS ? d.g.n : 2) + 1;
	struct orders o = {.d = &d,
			   .had = calloc((size_t)d.g.n + 1, sizeof(*o.had)),
			   .stack = calloc(levels * (size_t)d.g.words, sizeof(*o.stack))};
	o.no_memory = !o.had || !o.stack;
	if (!o.no_memory && d.g.n > 0)
		dictate(&o);
	free(o.stack);
	free(o.had);
	if (!o.no_memory)
		return finish(&d, 0, ret_plan, err);
	desk_fini(&d);
	return no_memory(err);
}

/* ---- by rank ---- */

struct ranked {
	double rank, order;
	int item;
};

static int by_rank(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank > y->rank ? -1 : 1;
	if (x->order != y->order)
		return x->order > y->order ? -1 : 1;
	return x->item - y->item;
}

/* The weighted requests for an item. */
static double asked(const struct ps_cache_problem *p, int item)
{
	double sum = 0;

	for (int i = 0; i < p->tenants; i++)
		sum += p->tenant[i].weight * p->demand[(size_t)i * (size_t)p->items + (size_t)item];
	return sum;
}

static double per_byte(const struct ps_cache_problem *p, int item)
{
	const struct ps_cache_item *t = &p->item[item];

	return asked(p, item) * t->load_s / (double)(t->bytes > 0 ? t->bytes : 1);
}

/* What is in memory, when there is a memory of it; else what would be there after long at this
 * demand, as far as the rank alone says so. */
static enum ps_status ranked_plan(const struct ps_cache_problem *p,
				  const struct ps_cache_scores *scores,
				  double (*rank)(const struct ps_cache_problem *, int),
				  struct ps_cache_plan *ret_plan, struct ps_error *err)
{
	struct ranked *r = malloc(((size_t)p->items + 1) * sizeof(*r));
	struct desk d;
	int n = 0;

	if (!r)
		return no_memory(err);
	enum ps_status st = desk_init(&d, p, err);
	if (st != PS_OK) {
		free(r);
		return st;
	}
	int64_t room = d.g.room;
	for (int j = 0; j < p->items; j++) {
		double by = scores ? scores->score[j] : rank(p, j);
		if (!ps_cache_has(d.g.forced, j) && (scores ? p->item[j].resident : by > 0))
			r[n++] = (struct ranked){by, scores ? scores->order[j] : 0, j};
	}
	qsort(r, (size_t)n, sizeof(*r), by_rank);
	for (int i = 0; i < n; i++) {
		if (p->item[r[i].item].bytes > room)
			continue;
		room -= p->item[r[i].item].bytes;
		ps_cache_put(d.g.set, r[i].item);
	}
	free(r);
	return finish(&d, 0, ret_plan, err);
}

PS_CACHE_PLAN(lru)
{
	(void)before;
	return ranked_plan(p, scores, asked, ret_plan, err);
}

PS_CACHE_PLAN(lfu)
{
	(void)before;
	return ranked_plan(p, scores, asked, ret_plan, err);
}

PS_CACHE_PLAN(gdsf)
{
	(void)before;
	return ranked_plan(p, scores, per_byte, ret_plan, err);
}

PS_CACHE_PLAN(pf)
{
	(void)scores;
	return ps_cache_pf(p, before, 0, ret_plan, NULL, err);
}
