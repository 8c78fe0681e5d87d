/* Exact pricing: the set worth most that fits on one machine of a type. For each level (strictness)
 * the needs that must fit make a knapsack of few dimensions; depth-first search over its kinds,
 * densest first, cut by the fractional knapsack of the weighted needs, and every step is put to the
 * oracle, whose monotone answer also ends a branch. One kind of the level is in the set from the
 * start, each in its turn, and is left out of the later turns: so no set is walked twice, and sets
 * with a lower strictest member come in its own level.
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
	double best; /* what is to be beaten: of all levels, or of this one where many are asked for
		      */
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
	bool better = worth > v->best;

	if (v->bin.n > 0 && worth > x->above && (v->all ? is_maximal(v) : better))
		emit(v);
	v->best = fmax(v->best, worth);
	x->best = fmax(x->best, worth);
}

/* Is the branch not worth going into, or is there no going on? */
static bool ends(struct dive *v, double possible)
{
	struct ps_plan_pricing *x = v->x;
	double floor_ = v->all ? x->above : fmax(v->best, x->above);

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

static int least_int(int a, int b)
{
	return a < b ? a : b;
}

/* A kind of which `most` may be there joins the items; its needs go to `need`. */
static void gather_one(struct dive *v, int type, int level, int kind, int most, double *need)
{
	const struct ps_plan_space *s = v->s;
	double dual = fmax(v->x->dual[kind], 0), size = 0;

	s->o->need(s->o->ctx, type, level, kind, need);
	for (int d = 0; d < s->dims; d++)
		size += need[d] > 0 ? v->weight[d] * need[d] : 0;
	v->items[v->n++] = (struct item){
		.kind = kind,
		.most = least_int(most, s->p->kinds[kind].most),
		.dual = dual,
		.size = size,
		.density = size > 0 ? dual / size : INFINITY,
		.need = need,
	};
}

static int level_of(const struct ps_plan_space *s, int type, int kind)
{
	return s->level[(size_t)type * (size_t)s->kinds + (size_t)kind];
}

/* The kinds that may be in a set of this level. `need` has room for all. */
static void gather(struct dive *v, int type, int level, double *need)
{
	const struct ps_plan_space *s = v->s;

	v->n = 0;
	for (int k = 0; k < s->kinds; k++) {
		int own = level_of(s, type, k);
		if (own < 0 || own > level || (!(v->x->dual[k] > 0) && !v->all))
			continue;
		gather_one(v, type, level, k, s->p->kinds[k].parts,
			   need + (size_t)v->n * (size_t)s->dims);
	}
	qsort(v->items, (size_t)v->n, sizeof(*v->items), densest_first);
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

/* All sets with item i, and without what has most = 0. */
static void dive_with(struct dive *v, int type, int i, double *root)
{
	const double *room = v->s->room + (size_t)type * (size_t)v->s->dims;
	struct item *it = &v->items[i];
	double less[PS_PLAN_MAX_DIMS] = {0};

	for (int d = 0; d < v->s->dims; d++)
		less[d] = room[d] - it->need[d];
	it->most--;
	ps_plan_bin_init(&v->bin, type);
	double possible = it->dual + at_most(v, 0, less);
	if (ps_plan_bin_add(v->s, &v->bin, it->kind, 1)) {
		*root = fmax(*root, possible);
		dive(v, 0, less, it->dual);
	}
	ps_plan_bin_fini(&v->bin);
}

static void price_level(struct dive *v, int type, int level, double *need, double *root)
{
	gather(v, type, level, need);
	v->nodes = 0;
	v->cut = false;
	if (v->x->many)
		v->best = 0;
	for (int i = 0; i < v->n; i++) {
		if (level_of(v->s, type, v->items[i].kind) != level)
			continue;
		dive_with(v, type, i, root);
		v->items[i].most = 0;
	}
	v->x->cut |= v->cut;
}

/* What no pattern can be worth: the densest kind at its least need, all over the machine. */
static double ceiling(const struct dive *v, int type)
{
	const struct ps_plan_space *s = v->s;
	double most = 0, room = 0;

	for (int k = 0; k < s->kinds; k++) {
		const double *need =
			s->own + ((size_t)type * (size_t)s->kinds + (size_t)k) * (size_t)s->dims;
		double dual = v->x->dual[k], size = 0;
		if (level_of(s, type, k) < 0 || !(dual > 0))
			continue;
		for (int d = 0; d < s->dims; d++)
			size += v->weight[d] * need[d];
		most = fmax(most, size > 0 ? dual / size : INFINITY);
	}
	for (int d = 0; d < s->dims; d++)
		room += v->weight[d] * s->room[type * s->dims + d];
	return most * room;
}

static bool dive_init(struct dive *v, int items, double **ret_need)
{
	size_t n = (size_t)items + 1;

	v->items = malloc(n * sizeof(*v->items));
	*ret_need = calloc(n * (size_t)v->s->dims, sizeof(**ret_need));
	v->x->best = 0;
	v->x->cut = false;
	return v->items && *ret_need;
}

enum ps_status ps_plan_price(const struct ps_plan_space *s, int type, struct ps_plan_pricing *x,
			     struct ps_plan_patterns *ret_patterns, int all)
{
	struct dive v = {.s = s, .x = x, .out = ret_patterns, .all = all};
	double *need, root = 0;
	bool fine = dive_init(&v, s->kinds, &need);

	if (fine) {
		set_weights(&v, type);
		root = ceiling(&v, type);
	}
	if (fine && root > x->above) {
		root = 0;
		for (int q = s->levels - 1; q >= 0; q--)
			price_level(&v, type, q, need, &root);
	}
	/* Then even a pattern of parts without a dual is asked for, and those are not gone through.
	 */
	if (all && x->above < 0)
		x->cut = true;
	x->at_most = fmin(root, fmax(fmax(x->best, v.open), x->above));
	free(v.items);
	free(need);
	return fine && !v.no_memory ? PS_OK : PS_ENOMEM;
}

enum ps_status ps_plan_fill(const struct ps_plan_space *s, int type, const int *kinds, int n,
			    const int *remaining, struct ps_plan_pricing *x,
			    struct ps_plan_patterns *ret_patterns)
{
	struct dive v = {.s = s, .x = x, .out = ret_patterns};
	double *need, root = 0;
	bool fine = dive_init(&v, n, &need);
	int level = level_of(s, type, kinds[0]), first = 0;

	if (fine) {
		set_weights(&v, type);
		for (int i = 0; i < n; i++) {
			int own = level_of(s, type, kinds[i]);
			if (own >= 0 && own <= level)
				gather_one(&v, type, level, kinds[i], remaining[kinds[i]],
					   need + (size_t)v.n * (size_t)s->dims);
		}
		qsort(v.items, (size_t)v.n, sizeof(*v.items), densest_first);
		while (first < v.n && v.items[first].kind != kinds[0])
			first++;
		if (first < v.n)
			dive_with(&v, type, first, &root);
	}
	free(v.items);
	free(need);
	return fine && !v.no_memory ? PS_OK : PS_ENOMEM;
}
