/* Exact pricing: the set worth most that fits on one machine of a type. For each level (strictness)
 * the needs that must fit make a knapsack of few dimensions; depth-first search over its kinds,
 * densest first, cut by the fractional knapsack of the weighted needs, and every step is put to the
 * oracle, whose monotone answer also ends a branch. Sets with a lower strictest member come in its
 * own level.
 */
#include "plan/plan_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CLOCK_NODES 512
#define LEAST_SHARE 1e-6 /* of each dimension in the weighted need */

struct item {
	int kind, most;
	double dual, size, density; /* size: weighted need */
	const double *need;
};

struct dive {
	const struct ps_plan_space *s;
	struct ps_plan_pricing *x;
	struct ps_plan_patterns *out;
	struct item *items;
	int n, all, listed;
	double weight[PS_PLAN_MAX_DIMS];
	struct ps_plan_bin bin;
	int64_t nodes;
	double open; /* what branches that were cut off may still be worth */
	bool cut, no_memory;
};

static int densest_first(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->density != y->density)
		return x->density > y->density ? -1 : 1;
	return (x->kind > y->kind) - (x->kind < y->kind);
}

/* The fractional knapsack of what items from `i` on can add in `room`. */
static double at_most(const struct dive *v, int i, const double *room)
{
	double left = 0, worth = 0;

	for (int d = 0; d < v->s->dims; d++)
		left += v->weight[d] * fmax(room[d], 0);
	for (; i < v->n && left > 0; i++) {
		const struct item *it = &v->items[i];
		double whole = it->most * it->size;
		if (whole > left)
			return worth + left * it->density;
		worth += it->most * it->dual;
		left -= whole;
	}
	/* Items without any size come first (density is infinite): they are counted above. */
	return worth;
}

static void emit(struct dive *v)
{
	bool fresh = false;

	if (ps_plan_patterns_add(v->out, v->bin.type, v->bin.set, v->bin.n, &fresh) != PS_OK)
		v->no_memory = true;
	v->listed += fresh;
}

/* Nothing of the level can be added. */
static bool is_maximal(struct dive *v)
{
	for (int i = 0; i < v->n; i++) {
		if (ps_plan_bin_add(v->s, &v->bin, v->items[i].kind, 1)) {
			ps_plan_bin_remove(v->s, &v->bin, v->items[i].kind, 1);
			return false;
		}
	}
	return true;
}

static void leaf(struct dive *v, double worth)
{
	struct ps_plan_pricing *x = v->x;
	bool better = worth > x->best;

	if (v->bin.n > 0 && worth > x->above && (v->all ? is_maximal(v) : better))
		emit(v);
	if (better)
		x->best = worth;
}

/* Is the branch not worth going into, or is there no going on? */
static bool ends(struct dive *v, double possible)
{
	struct ps_plan_pricing *x = v->x;
	double floor_ = v->all ? x->above : fmax(x->best, x->above);

	if (possible <= floor_ + PS_PLAN_EPS * fabs(floor_))
		return true;
	v->nodes++;
	if (v->nodes % CLOCK_NODES == 0 && ps_plan_space_late(v->s))
		v->cut = true;
	if (v->nodes > x->budget || (v->all && v->listed > v->all) || v->no_memory)
		v->cut = true;
	if (!v->cut)
		return false;
	v->open = fmax(v->open, possible);
	return true;
}

static int fitting(const struct dive *v, const struct item *it, const double *room)
{
	double most = it->most;

	for (int d = 0; d < v->s->dims; d++) {
		if (it->need[d] > 0)
			most = fmin(most, floor(room[d] / it->need[d] * (1 + 1e-12)));
	}
	return (int)fmax(most, 0);
}

static void dive(struct dive *v, int i, const double *room, double worth)
{
	double less[PS_PLAN_MAX_DIMS] = {0};
	int most = 0;

	if (ends(v, worth + at_most(v, i, room)))
		return;
	while (i < v->n && (most = fitting(v, &v->items[i], room)) < 1)
		i++;
	if (i == v->n) {
		leaf(v, worth);
		return;
	}
	const struct item *it = &v->items[i];
	int count = ps_plan_bin_most(v->s, &v->bin, it->kind, most);
	for (;;) {
		for (int d = 0; d < v->s->dims; d++)
			less[d] = count ? room[d] - count * it->need[d] : room[d];
		dive(v, i + 1, less, worth + count * it->dual);
		if (count == 0)
			break;
		ps_plan_bin_remove(v->s, &v->bin, it->kind, 1);
		count--;
	}
}

/* The kinds that may be in a set of this level; false without memory. `need` has room for all. */
static bool gather(struct dive *v, int type, int level, double *need)
{
	const struct ps_plan_space *s = v->s;
	bool strict = false;

	v->n = 0;
	for (int k = 0; k < s->kinds; k++) {
		int own = s->level[(size_t)type * (size_t)s->kinds + (size_t)k];
		double dual = v->x->dual[k];
		if (own < 0 || own > level || (!(dual > 0) && !v->all))
			continue;
		strict |= own == level;
		double *mine = need + (size_t)v->n * (size_t)s->dims;
		s->o->need(s->o->ctx, type, level, k, mine);
		double size = 0;
		for (int d = 0; d < s->dims; d++)
			size += mine[d] > 0 ? v->weight[d] * mine[d] : 0;
		const struct ps_plan_kind *kind = &s->p->kinds[k];
		v->items[v->n++] = (struct item){
			.kind = k,
			.most = kind->parts < kind->most ? kind->parts : kind->most,
			.dual = fmax(dual, 0),
			.size = size,
			.density = size > 0 ? fmax(dual, 0) / size : INFINITY,
			.need = mine,
		};
	}
	qsort(v->items, (size_t)v->n, sizeof(*v->items), densest_first);
	return strict;
}

/* How much each dimension counts: as in the fractional bound, none quite without. */
static void set_weights(struct dive *v, int type)
{
	const struct ps_plan_space *s = v->s;

	for (int d = 0; d < s->dims; d++) {
		double room = s->room[type * s->dims + d];
		double share =
			s->weight[type * s->dims + d] * room / s->p->types[type].usd_per_hour;
		v->weight[d] = room > 0 ? (share + LEAST_SHARE) / room : 0;
	}
}

static void price_level(struct dive *v, int type, int level, double *need, double *root)
{
	const double *room = v->s->room + (size_t)type * (size_t)v->s->dims;

	if (!gather(v, type, level, need))
		return;
	*root = fmax(*root, at_most(v, 0, room));
	v->nodes = 0;
	v->cut = false;
	ps_plan_bin_init(&v->bin, type);
	dive(v, 0, room, 0);
	ps_plan_bin_fini(&v->bin);
	v->x->cut |= v->cut;
}

enum ps_status ps_plan_price(const struct ps_plan_space *s, int type, struct ps_plan_pricing *x,
			     struct ps_plan_patterns *ret_patterns, int all)
{
	struct dive v = {.s = s, .x = x, .out = ret_patterns, .all = all};
	double *need = malloc((size_t)s->kinds * (size_t)s->dims * sizeof(*need)), root = 0;

	v.items = malloc((size_t)s->kinds * sizeof(*v.items));
	x->best = 0;
	x->cut = false;
	if (v.items && need) {
		set_weights(&v, type);
		for (int q = s->levels - 1; q >= 0; q--)
			price_level(&v, type, q, need, &root);
	}
	/* Then even a pattern of parts without a dual is asked for, and those are not gone through.
	 */
	if (all && x->above < 0)
		x->cut = true;
	x->at_most = fmin(root, fmax(fmax(x->best, v.open), x->above));
	bool fine = v.items && need && !v.no_memory;
	free(v.items);
	free(need);
	return fine ? PS_OK : PS_ENOMEM;
}
