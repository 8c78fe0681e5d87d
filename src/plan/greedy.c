/* Greedy filling by dual values: a machine of a type is filled with what brings most value per
 * need; the machine that packs most value per dollar is taken. Scores only fall while parts run
 * out, so that only the best candidate has to be filled again. */
#include "plan/plan_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WORTHWHILE                                                                                 \
	0.8	  /* of the best density: less is not tried, unless nothing else holds a kind */
#define STEP 0.01 /* densities closer than this are the same: then the larger first */

struct candidate {
	int kind;
	double density, size;
};

static int by_density(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	double dx = floor(x->density / STEP), dy = floor(y->density / STEP);

	if (dx != dy)
		return dx > dy ? -1 : 1;
	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	return (x->kind > y->kind) - (x->kind < y->kind);
}

static double weighted(const struct ps_plan_space *s, int type, const double *need)
{
	const double *w = s->weight + (size_t)type * (size_t)s->dims;
	double x = 0;

	for (int d = 0; d < s->dims; d++)
		x += w[d] * need[d];
	return x;
}

/* Needs may be free (memory that others have, no weight on it): the densest there is. */
static double density(double value, double need)
{
	return need > 0 ? value / need : INFINITY;
}

/* The greatest density of each level's own kinds: where nobody needs a level, the one below does.
 */
static void rate_levels(const struct ps_plan_space *s, int type, const int *left, int n_left,
			const double *value, double *ret_best)
{
	double need[PS_PLAN_MAX_DIMS];

	for (int q = 0; q < s->levels; q++)
		ret_best[q] = 0;
	for (int i = 0; i < n_left; i++) {
		int k = left[i], level = s->level[(size_t)type * (size_t)s->kinds + (size_t)k];
		if (level < 0)
			continue;
		s->o->need(s->o->ctx, type, level, k, need);
		double d = density(value[k], weighted(s, type, need));
		ret_best[level] = fmax(ret_best[level], d);
	}
}

/* The members of an order, sorted. */
static bool make_order(const struct ps_plan_space *s, const int *left, int n_left,
		       const double *value, struct candidate *scratch, struct ps_plan_order *o)
{
	double need[PS_PLAN_MAX_DIMS];

	o->n = 0;
	for (int i = 0; i < n_left; i++) {
		int k = left[i], level = s->level[(size_t)o->type * (size_t)s->kinds + (size_t)k];
		if (level < 0 || level > o->level)
			continue;
		s->o->need(s->o->ctx, o->type, o->level, k, need);
		double size = weighted(s, o->type, need), d = density(value[k], size);
		scratch[o->n++] = (struct candidate){k, fmin(d, 1e9), size};
	}
	o->kinds = malloc((size_t)o->n * sizeof(*o->kinds));
	if (!o->kinds)
		return false;
	qsort(scratch, (size_t)o->n, sizeof(*scratch), by_density);
	for (int i = 0; i < o->n; i++)
		o->kinds[i] = scratch[i].kind;
	return true;
}

struct greedy {
	const struct ps_plan_space *s;
	int *remaining;
	const double *value;
	struct ps_plan_order *orders;
	int n;
};

/* Fills one machine in an order; kinds that have run out leave the order for good. */
static void fill(struct greedy *g, struct ps_plan_order *o, struct ps_plan_bin *b,
		 double *ret_value)
{
	int kept = 0;

	ps_plan_bin_init(b, o->type);
	*ret_value = 0;
	for (int i = 0; i < o->n; i++) {
		int k = o->kinds[i];
		if (g->remaining[k] < 1)
			continue;
		o->kinds[kept++] = k;
		int n = ps_plan_bin_most(g->s, b, k, g->remaining[k]);
		*ret_value += n * fmax(g->value[k], 1e-12);
	}
	o->n = kept;
}

/* The candidate with the highest score, the first of equals. */
static struct ps_plan_order *top(struct greedy *g)
{
	struct ps_plan_order *best = NULL;

	for (int i = 0; i < g->n; i++) {
		if (!best || g->orders[i].score > best->score)
			best = &g->orders[i];
	}
	return best && best->score > 0 ? best : NULL;
}

/* Takes the machine, as often as its parts are left. */
static bool commit(struct greedy *g, struct ps_plan_bin *b, struct ps_plan_bins *bins)
{
	int times = PS_PLAN_MAX_PARTS;

	for (int i = 0; i < b->n; i++) {
		int t = g->remaining[b->set[i].kind] / b->set[i].count;
		times = t < times ? t : times;
	}
	for (int i = 0; i < b->n; i++)
		g->remaining[b->set[i].kind] -= times * b->set[i].count;
	ps_plan_bin_shrink(g->s, b);
	for (; times > 1; times--) {
		struct ps_plan_bin copy;
		if (!ps_plan_bin_copy(&copy, b) || !ps_plan_bins_take(bins, &copy)) {
			ps_plan_bin_fini(b);
			return false;
		}
	}
	return ps_plan_bins_take(bins, b);
}

/* False without memory. */
static bool run(struct greedy *g, struct ps_plan_bins *bins)
{
	struct ps_plan_order *o;

	while ((o = top(g)) != NULL) {
		struct ps_plan_bin b;
		double value, old = o->score;
		fill(g, o, &b, &value);
		o->score = value / g->s->p->types[o->type].usd_per_hour;
		if (o->score >= old * (1 - PS_PLAN_EPS) || top(g) == o) {
			if (b.n > 0 && !commit(g, &b, bins))
				return false;
		}
		ps_plan_bin_fini(&b);
	}
	return true;
}

/* Orders for the types and levels that can pay. */
static bool make_orders(struct greedy *g, const int *left, int n_left)
{
	const struct ps_plan_space *s = g->s;
	struct candidate *scratch = malloc((size_t)n_left * sizeof(*scratch));
	bool fine = scratch != NULL;

	for (int t = 0; fine && t < s->types; t++) {
		double best[PS_PLAN_MAX_LEVELS];
		rate_levels(s, t, left, n_left, g->value, best);
		for (int q = 0; fine && q < s->levels; q++) {
			struct ps_plan_order *o = &g->orders[g->n];
			if (best[q] < WORTHWHILE || best[q] <= 0)
				continue;
			*o = (struct ps_plan_order){.type = t, .level = q, .score = INFINITY};
			fine = make_order(s, left, n_left, g->value, scratch, o);
			g->n += o->kinds != NULL;
		}
	}
	free(scratch);
	return fine;
}

/* What stays when no candidate holds it any more (noise lowered every density): one machine each.
 */
static bool sweep(struct greedy *g, const int *left, int n_left, struct ps_plan_bins *bins)
{
	for (int i = 0; i < n_left; i++) {
		while (g->remaining[left[i]] > 0) {
			struct ps_plan_bin b;
			int t = 0;
			while (g->s->level[(size_t)t * (size_t)g->s->kinds + (size_t)left[i]] < 0)
				t++;
			ps_plan_bin_init(&b, t);
			int n = ps_plan_bin_most(g->s, &b, left[i], g->remaining[left[i]]);
			if (n < 1) {
				ps_plan_bin_fini(&b);
				return false;
			}
			g->remaining[left[i]] -= n;
			ps_plan_bin_shrink(g->s, &b);
			if (!ps_plan_bins_take(bins, &b))
				return false;
		}
	}
	return true;
}

static double *noisy(const struct ps_plan_space *s, const int *left, int n_left, double noise,
		     struct ps_rng *r)
{
	double *value = malloc((size_t)s->kinds * sizeof(*value));

	if (!value)
		return NULL;
	memcpy(value, s->value, (size_t)s->kinds * sizeof(*value));
	for (int i = 0; i < n_left; i++)
		value[left[i]] *= 1 + noise * (2 * ps_rng_uniform(r) - 1);
	return value;
}

static int *all_left(const struct ps_plan_space *s, const int *remaining, int *ret_n)
{
	int *left = malloc((size_t)s->kinds * sizeof(*left));

	*ret_n = 0;
	for (int k = 0; left && k < s->kinds; k++) {
		if (remaining[k] > 0)
			left[(*ret_n)++] = k;
	}
	return left;
}

enum ps_status ps_plan_greedy(const struct ps_plan_space *s, int *remaining, const int *only,
			      int n_only, double noise, struct ps_rng *r,
			      struct ps_plan_bins *ret_bins)
{
	int n_left = n_only;
	int *mine = only ? NULL : all_left(s, remaining, &n_left);
	const int *left = only ? only : mine;
	double *value = noise > 0 && left ? noisy(s, left, n_left, noise, r) : NULL;
	struct greedy g = {.s = s, .remaining = remaining, .value = value ? value : s->value};
	struct ps_plan_bins bins = {0};

	g.orders = calloc((size_t)s->types * (size_t)s->levels + 1, sizeof(*g.orders));
	bool fine = left && g.orders && (value || !(noise > 0)) && make_orders(&g, left, n_left) &&
		    run(&g, &bins) && sweep(&g, left, n_left, &bins);
	for (int i = 0; i < g.n; i++)
		free(g.orders[i].kinds);
	free(g.orders);
	free(value);
	free(mine);
	if (!fine) {
		ps_plan_bins_fini(&bins);
		return PS_ENOMEM;
	}
	*ret_bins = bins;
	return PS_OK;
}
