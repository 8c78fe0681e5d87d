/* Branch and price. The root is the linear programme over all patterns, by column generation. A
 * node bounds how many machines are rented that cost at least so much, for each price, and how many
 * of each type; its children round one such number down and up. That leaves the pricing problem as
 * it is: a bound's dual only changes a type's price. Prices come first, and of those the lowest,
 * which is all machines: with the types alone the programme would slip from one into a bit of each
 * of the others.
 *
 * At every node the duals, scaled until no pattern is worth more than its price as far as pricing
 * knows, are a certificate: bound = sum of scaled duals x parts + duals of the counts' bounds. It
 * holds in every round, so that time that ends does not take it away. A plan cheaper
 * than the one at hand can only use patterns whose reduced cost is below the gap; when those are
 * few, all of them are listed and CBC settles the node.
 */
#include "plan/branch_internal.h"
#include "plan/solvers_internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_ROWS = 400,	      /* kinds: beyond, the linear programme takes too long */
	MAX_NODES = 3000,     /* of the tree */
	QUICK_NODES = 300,    /* of a pricing that only looks for patterns, per level */
	EXACT_NODES = 300000, /* of one that proves */
	LIST_NODES = 100000,  /* of one that lists */
	MAX_LISTED = 4000,    /* patterns per type */
	MAX_INTEGER = 20000,  /* patterns that CBC gets */
	CBC_NODES = 2000,
	ROOT_STEPS = 6000, /* of local search */
	SEEDS = 8,	   /* greedy plans whose machines are the first patterns */
};
#define CBC_SHARE   0.15 /* of the time left that one integer programme may take */
#define ROOT_SHARE  0.3	 /* of the time left for diving and local search at the root */
#define LEAST_VALUE 0.2	 /* of its fractional value, for a part that the duals find worthless */

static bool cheaper_possible(const struct ps_plan_tree *t, double bound)
{
	double goal = t->plan_usd / (1 + t->s->options->gap);

	return ps_plan_bound_round(t->s, bound) < goal - PS_PLAN_EPS * goal;
}

/* ---- one node ---- */

double ps_plan_tree_usd(const struct ps_plan_tree *t, int type)
{
	const struct ps_plan_space *s = t->s;
	double usd = s->p->types[type].usd_per_hour - t->count_dual[s->n_prices + type];

	for (int j = 0; j <= s->price_of[type]; j++)
		usd -= t->count_dual[j];
	return usd;
}

/* What dual prices prove, when no pattern of a type is worth more than worth[type]. */
static double certified(struct ps_plan_tree *t, const struct ps_plan_node *n, const double *worth)
{
	double sum = 0;

	t->scale = 1;
	for (int i = 0; i < t->s->types; i++) {
		double price = ps_plan_tree_usd(t, i);
		if (worth[i] > price)
			t->scale = fmin(t->scale, fmax(price, 0) / worth[i]);
	}
	for (int k = 0; k < t->s->kinds; k++)
		sum += t->scale * t->dual[k] * t->s->p->kinds[k].parts;
	for (int i = 0; i < t->s->counts; i++) {
		double y = t->count_dual[i];
		/* A dual for a bound that is not there would prove too much. */
		if (y > 0)
			sum += y * n->low[i];
		else if (y < 0 && n->high[i] < DBL_MAX)
			sum += y * n->high[i];
		else if (y < 0)
			return 0;
	}
	return sum;
}

static void prove(struct ps_plan_node *n, double bound, enum ps_plan_bound by)
{
	if (bound <= n->bound)
		return;
	n->bound = bound;
	n->by = by;
}

int ps_plan_tree_price(struct ps_plan_tree *t, int64_t budget, bool many, double *ret_worth)
{
	int before = t->patterns.n;

	for (int i = 0; i < t->s->types; i++) {
		struct ps_plan_pricing x = {
			.dual = t->dual,
			.above = ps_plan_tree_usd(t, i) + 1e-7 * t->s->p->types[i].usd_per_hour,
			.budget = budget,
			.many = many,
		};
		if (ps_plan_price(t->s, i, &x, &t->patterns, 0) != PS_OK)
			t->no_memory = true;
		ret_worth[i] = x.at_most;
		t->result->pricings++;
		t->result->pricings_cut += x.cut;
	}
	return t->patterns.n - before;
}

bool ps_plan_tree_master(struct ps_plan_tree *t, double *ret_usd, double *ret_uncovered)
{
	if (!ps_plan_master_add(t->master, &t->patterns, t->in_master)) {
		t->no_memory = true;
		return false;
	}
	t->in_master = t->patterns.n;
	t->result->rounds++;
	return ps_plan_master_solve(t->master, ret_usd, t->dual, t->count_dual, t->counted,
				    ret_uncovered);
}

/* Column generation. True when the duals are proven: no pattern is missing from the programme. */
static bool solve_node(struct ps_plan_tree *t, struct ps_plan_node *n, double *worth)
{
	for (int i = 0; i < t->s->counts; i++)
		ps_plan_master_limit(t->master, i, n->low[i], n->high[i]);
	while (!t->no_memory && !ps_plan_space_late(t->s)) {
		double usd, uncovered;
		if (!ps_plan_tree_master(t, &usd, &uncovered))
			return false;
		int fresh = ps_plan_tree_price(t, QUICK_NODES, true, worth);
		prove(n, certified(t, n, worth), PS_PLAN_PATTERNS);
		if (!cheaper_possible(t, n->bound))
			return true;
		if (fresh > 0)
			continue;
		int64_t cut = t->result->pricings_cut;
		fresh = ps_plan_tree_price(t, EXACT_NODES, false, worth);
		t->certified = certified(t, n, worth);
		prove(n, t->certified, PS_PLAN_PATTERNS);
		if (!cheaper_possible(t, n->bound))
			return true;
		if (fresh == 0)
			return t->result->pricings_cut == cut;
	}
	return false;
}

/* ---- plans from patterns ---- */

/* The chosen patterns as machines, without what they hold twice. */
static bool to_bins(struct ps_plan_tree *t, const struct ps_plan_patterns *ps, const int *times,
		    struct ps_plan_bins *ret_bins)
{
	const struct ps_plan_space *s = t->s;
	int *left = malloc((size_t)s->kinds * sizeof(*left));
	bool fine = left != NULL;

	for (int k = 0; fine && k < s->kinds; k++)
		left[k] = s->p->kinds[k].parts;
	for (int i = 0; fine && i < ps->n; i++) {
		const struct ps_plan_pattern *p = &ps->items[i];
		for (int j = 0; fine && j < times[i]; j++) {
			struct ps_plan_bin b;
			ps_plan_bin_init(&b, p->type);
			for (int m = 0; m < p->n; m++) {
				int k = p->set[m].kind, want = p->set[m].count;
				left[k] -=
					ps_plan_bin_most(s, &b, k, want < left[k] ? want : left[k]);
			}
			ps_plan_bin_shrink(s, &b);
			if (b.n > 0)
				fine = ps_plan_bins_take(ret_bins, &b);
			ps_plan_bin_fini(&b);
		}
	}
	for (int k = 0; fine && k < s->kinds; k++)
		fine = left[k] <= 0;
	free(left);
	return fine;
}

void ps_plan_tree_adopt(struct ps_plan_tree *t, struct ps_plan_bins *bins)
{
	double usd = ps_plan_bins_cost(t->s, bins);

	if (usd < t->plan_usd - PS_PLAN_EPS) {
		struct ps_plan_bins old = *t->bs;
		*t->bs = *bins;
		*bins = old;
		t->plan_usd = usd;
	}
	ps_plan_bins_fini(bins);
}

static double seconds_left(const struct ps_plan_tree *t)
{
	int64_t left = t->s->deadline_ns - ps_clock_read(t->s->options->clock);

	return fmax(0, (double)left * 1e-9);
}

/* The integer programme over some patterns; its bound holds for plans of these alone. */
static double integer(struct ps_plan_tree *t, const struct ps_plan_patterns *ps,
		      const struct ps_plan_node *n)
{
	int *times = calloc((size_t)ps->n + 1, sizeof(*times));
	struct ps_plan_bins bins = {0};
	double bound = 0, seconds = CBC_SHARE * seconds_left(t);

	if (!times || seconds <= 0) {
		free(times);
		return 0;
	}
	if (ps_plan_integer(t->s, ps, n ? n->low : NULL, n ? n->high : NULL, t->plan_usd, CBC_NODES,
			    seconds, times, &bound)) {
		if (to_bins(t, ps, times, &bins))
			ps_plan_tree_adopt(t, &bins);
		else
			ps_plan_bins_fini(&bins);
	}
	free(times);
	return bound;
}

/* Lists every pattern that a cheaper plan could use under the present duals, and lets CBC choose.
 * True when that settled the node. */
static bool settle(struct ps_plan_tree *t, struct ps_plan_node *n)
{
	struct ps_plan_patterns list = {0};
	double gap = t->plan_usd - t->certified;
	bool whole = true;

	for (int k = 0; k < t->s->kinds; k++)
		t->dual[k] *= t->scale;
	t->scale = 1;
	for (int i = 0; whole && i < t->s->types; i++) {
		struct ps_plan_pricing x = {
			.dual = t->dual,
			.above = ps_plan_tree_usd(t, i) - gap - 1e-7,
			.budget = LIST_NODES,
		};
		if (ps_plan_price(t->s, i, &x, &list, MAX_LISTED) != PS_OK)
			t->no_memory = true;
		whole = !x.cut && list.n <= MAX_INTEGER && !t->no_memory;
	}
	if (whole) {
		double bound = list.n > 0 ? integer(t, &list, n) : t->plan_usd;
		prove(n, fmin(bound, t->plan_usd), PS_PLAN_COMPLETE);
	}
	ps_plan_patterns_fini(&list);
	return whole && !cheaper_possible(t, n->bound);
}

/* ---- the tree ---- */

/* With the root's duals as values greedy and local search know what a part really costs to pack. */
static void search_root(struct ps_plan_tree *t, double *worth)
{
	struct ps_plan_space *s = t->s;
	int64_t deadline = s->deadline_ns, now = ps_clock_read(s->options->clock);
	struct ps_plan_bins bins = {0};
	struct ps_rng r;

	ps_rng_init(&r, s->options->seed, ps_rng_stream("plan/root"));
	for (int k = 0; k < s->kinds; k++)
		s->value[k] = fmax(t->dual[k], LEAST_VALUE * s->value[k]);
	s->deadline_ns = now + (int64_t)(ROOT_SHARE * (double)(deadline - now));
	ps_plan_dive(t, worth);
	for (int i = 0; i < t->bs->n; i++) {
		struct ps_plan_bin copy;
		if (!ps_plan_bin_copy(&copy, &t->bs->items[i]) || !ps_plan_bins_take(&bins, &copy))
			t->no_memory = true;
	}
	if (!t->no_memory)
		t->result->steps += ps_plan_improve(
			s, &bins, ROOT_STEPS, t->result->bound_usd_per_hour, &t->patterns, &r);
	if (!t->no_memory)
		ps_plan_tree_adopt(t, &bins);
	s->deadline_ns = deadline;
	integer(t, &t->patterns, NULL);
}

static void visit(struct ps_plan_tree *t, struct ps_plan_node *n, double *worth)
{
	bool proven = solve_node(t, n, worth);

	t->result->nodes++;
	if (!cheaper_possible(t, n->bound)) {
		ps_plan_tree_close(t, n);
		return;
	}
	if (t->result->nodes == 1)
		search_root(t, worth);
	else if ((t->result->nodes & (t->result->nodes - 1)) == 0)
		integer(t, &t->patterns, NULL);
	bool done = proven && settle(t, n);
	int count = !done && cheaper_possible(t, n->bound) && !ps_plan_space_late(t->s)
			    ? ps_plan_tree_to_branch(t)
			    : -1;
	if (count < 0) {
		ps_plan_tree_close(t, n);
		return;
	}
	double x = t->counted[count];
	ps_plan_tree_push(t, n, count, 0, floor(x));
	ps_plan_tree_push(t, n, count, ceil(x), DBL_MAX);
}

static void grow(struct ps_plan_tree *t)
{
	double *worth = calloc((size_t)t->s->types, sizeof(*worth));

	while (worth && t->n_open > 0 && t->result->nodes < MAX_NODES && !t->no_memory &&
	       !ps_plan_space_late(t->s)) {
		int at = ps_plan_tree_lowest(t);
		struct ps_plan_node n = t->open[at];
		if (!cheaper_possible(t, n.bound))
			break;
		t->open[at] = t->open[--t->n_open];
		visit(t, &n, worth);
		ps_plan_node_drop(&n);
	}
	free(worth);
}

/* ---- the start ---- */

void ps_plan_tree_add(struct ps_plan_tree *t, const struct ps_plan_bins *bs)
{
	for (int i = 0; i < bs->n; i++) {
		const struct ps_plan_bin *b = &bs->items[i];
		if (ps_plan_patterns_add(&t->patterns, b->type, b->set, b->n, NULL) != PS_OK)
			t->no_memory = true;
	}
}

/* Greedy plans with more and more noise, and plans that go by strictness. */
static enum ps_status seed(struct ps_plan_tree *t, int i, int *parts, struct ps_rng *r,
			   struct ps_plan_bins *ret_bins)
{
	for (int k = 0; k < t->s->kinds; k++)
		parts[k] = t->s->p->kinds[k].parts;
	if (i % 2)
		return ps_plan_strict(t->s, parts, NULL, 0, 0.2 * i, 0.02 * i, r, ret_bins);
	return ps_plan_greedy(t->s, parts, NULL, 0, 0.05 * (i + 1), r, ret_bins);
}

static void seed_patterns(struct ps_plan_tree *t)
{
	int *parts = malloc((size_t)t->s->kinds * sizeof(*parts));
	struct ps_rng r;

	ps_rng_init(&r, t->s->options->seed, ps_rng_stream("plan/patterns"));
	ps_plan_tree_add(t, t->bs);
	for (int i = 0; parts && i < SEEDS; i++) {
		struct ps_plan_bins bins = {0};
		if (seed(t, i, parts, &r, &bins) == PS_OK)
			ps_plan_tree_add(t, &bins);
		ps_plan_bins_fini(&bins);
	}
	free(parts);
}

static bool start(struct ps_plan_tree *t)
{
	size_t counts = (size_t)t->s->counts;
	double *low = calloc(counts, sizeof(double)), *high = malloc(counts * sizeof(double));

	t->dual = malloc((size_t)t->s->kinds * sizeof(double));
	t->count_dual = malloc(counts * sizeof(double));
	t->counted = malloc(counts * sizeof(double));
	t->master = ps_plan_master_new(t->s, 2 * t->plan_usd);
	if (low && high && t->dual && t->count_dual && t->counted && t->master) {
		for (size_t i = 0; i < counts; i++)
			high[i] = DBL_MAX;
		ps_plan_tree_push(t,
				  &(struct ps_plan_node){t->result->bound_usd_per_hour,
							 t->result->bound_by, low, high},
				  -1, 0, 0);
		seed_patterns(t);
	} else {
		t->no_memory = true;
	}
	free(low);
	free(high);
	return !t->no_memory;
}

static void stop(struct ps_plan_tree *t)
{
	for (int i = 0; i < t->n_open; i++)
		ps_plan_node_drop(&t->open[i]);
	free(t->open);
	free(t->dual);
	free(t->count_dual);
	free(t->counted);
	ps_plan_patterns_fini(&t->patterns);
	ps_plan_master_free(t->master);
}

enum ps_status ps_plan_branch_and_price(struct ps_plan_space *s, struct ps_plan_bins *bs,
					struct ps_plan_result *result, struct ps_error *err)
{
	struct ps_plan_tree t = {
		.s = s,
		.bs = bs,
		.result = result,
		.plan_usd = ps_plan_bins_cost(s, bs),
		.settled = INFINITY,
	};

	if (s->kinds > MAX_ROWS)
		return PS_OK;
	enum ps_status st = ps_plan_solvers_get(&s->lib, err);
	if (st != PS_OK)
		return st;
	if (start(&t))
		grow(&t);
	result->columns = t.patterns.n;
	enum ps_plan_bound by = PS_PLAN_FRACTIONAL;
	double bound = t.n_open || isfinite(t.settled) ? ps_plan_tree_bound(&t, &by) : 0;
	if (!t.no_memory && bound > result->bound_usd_per_hour * (1 + PS_PLAN_EPS)) {
		result->bound_usd_per_hour = bound;
		result->bound_by = by;
	}
	stop(&t);
	return t.no_memory ? ps_error_set(err, PS_ENOMEM, "no memory to prove the plan") : PS_OK;
}
