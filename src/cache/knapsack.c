#include "cache/knapsack_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NODES = 10000000 };
#define ROUNDING 1e-14

bool ps_cache_sack_init(struct ps_cache_sack *k, int most)
{
	size_t n = (size_t)most + 1;

	*k = (struct ps_cache_sack){
		.most = most,
		.e = malloc(n * sizeof(*k->e)),
		.value_sum = malloc(n * sizeof(*k->value_sum)),
		.byte_sum = malloc(n * sizeof(*k->byte_sum)),
		.least = malloc(n * sizeof(*k->least)),
		.stack = malloc(n * sizeof(*k->stack)),
		.stack_value = malloc(n * sizeof(*k->stack_value)),
		.stack_room = malloc(n * sizeof(*k->stack_room)),
		.in = malloc(n * sizeof(*k->in)),
		.best_in = malloc(n * sizeof(*k->best_in)),
	};
	if (k->e && k->value_sum && k->byte_sum && k->least && k->stack && k->stack_value &&
	    k->stack_room && k->in && k->best_in)
		return true;
	ps_cache_sack_fini(k);
	return false;
}

void ps_cache_sack_fini(struct ps_cache_sack *k)
{
	free(k->e);
	free(k->value_sum);
	free(k->byte_sum);
	free(k->least);
	free(k->stack);
	free(k->stack_value);
	free(k->stack_room);
	free(k->in);
	free(k->best_in);
	*k = (struct ps_cache_sack){0};
}

/* Ties by number, so that the answer does not hang on the sort. */
static int by_density(const void *a, const void *b)
{
	const struct ps_cache_sack_entry *x = a, *y = b;

	if (x->density != y->density)
		return x->density > y->density ? -1 : 1;
	return x->id - y->id;
}

/* Items that can be in, sorted, with their sums. */
static void prepare(struct ps_cache_sack *k, const struct ps_cache_sack_problem *p)
{
	k->n = 0;
	for (int i = 0; i < p->n; i++) {
		if (!(p->value[i] > 0) || p->bytes[i] > p->room)
			continue;
		k->e[k->n++] = (struct ps_cache_sack_entry){
			.density = p->bytes[i] > 0 ? p->value[i] / (double)p->bytes[i] : INFINITY,
			.value = p->value[i],
			.bytes = p->bytes[i],
			.id = i,
		};
	}
	qsort(k->e, (size_t)k->n, sizeof(*k->e), by_density);
	k->value_sum[0] = 0;
	k->byte_sum[0] = 0;
	for (int i = 0; i < k->n; i++) {
		k->value_sum[i + 1] = k->value_sum[i] + k->e[i].value;
		k->byte_sum[i + 1] = k->byte_sum[i] + k->e[i].bytes;
	}
	k->least[k->n] = INT64_MAX;
	for (int i = k->n - 1; i >= 0; i--)
		k->least[i] = k->e[i].bytes < k->least[i + 1] ? k->e[i].bytes : k->least[i + 1];
}

/* The first entry from `at` on that does not fit behind all between. */
static int break_of(const struct ps_cache_sack *k, int at, int64_t room)
{
	int low = at, high = at + 1;

	/* Mostly it is near: strides that double, then halving. */
	for (int stride = 1; high < k->n && k->byte_sum[high] - k->byte_sum[at] <= room;) {
		low = high;
		stride *= 2;
		high = high + stride < k->n ? high + stride : k->n;
	}
	high = high < k->n ? high : k->n;
	while (low < high) {
		int mid = low + (high - low + 1) / 2;
		if (k->byte_sum[mid] - k->byte_sum[at] <= room)
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}

/* With entries from `at` on in fractions. */
static double bound_from(const struct ps_cache_sack *k, int at, int64_t room, double value,
			 int *ret_break)
{
	int r = break_of(k, at, room);
	double full = value + (k->value_sum[r] - k->value_sum[at]);

	*ret_break = r;
	if (r == k->n)
		return full;
	return full + (double)(room - (k->byte_sum[r] - k->byte_sum[at])) * k->e[r].density;
}

struct walk {
	int at, depth;
	int64_t room;
	double value;
};

static void put_in(struct ps_cache_sack *k, struct walk *w, int stop)
{
	for (; w->at < stop; w->at++) {
		k->stack[w->depth] = w->at;
		k->stack_value[w->depth] = w->value;
		k->stack_room[w->depth++] = w->room;
		k->in[w->at] = true;
		w->value += k->e[w->at].value;
		w->room -= k->e[w->at].bytes;
	}
}

static void keep_best(struct ps_cache_sack *k, const struct walk *w)
{
	if (w->value <= k->best)
		return;
	k->best = w->value;
	memcpy(k->best_in, k->in, (size_t)k->n * sizeof(*k->in));
}

static bool cannot_beat(const struct ps_cache_sack *k, double bound, double tolerance)
{
	return bound <= k->best * (1 + tolerance + ROUNDING);
}

/* From a node down to a leaf, taking what fits; false when the bound ended it before. */
static void descend(struct ps_cache_sack *k, struct walk *w, double tolerance, int64_t *nodes)
{
	int r;

	for (;;) {
		++*nodes;
		if (cannot_beat(k, bound_from(k, w->at, w->room, w->value, &r), tolerance))
			return;
		put_in(k, w, r);
		if (w->room < k->least[w->at])
			break;
		while (w->at < k->n && k->e[w->at].bytes > w->room)
			w->at++;
		if (w->at == k->n)
			break;
	}
	keep_best(k, w);
}

/* The last one that is in goes out. */
static bool step_back(struct ps_cache_sack *k, struct walk *w)
{
	if (w->depth == 0)
		return false;
	w->depth--;
	int at = k->stack[w->depth];
	k->in[at] = false;
	w->value = k->stack_value[w->depth];
	w->room = k->stack_room[w->depth];
	w->at = at + 1;
	return true;
}

/* What a cut search has not looked at: from here on, and without each that is in. */
static double bound_left(struct ps_cache_sack *k, struct walk *w)
{
	int r;
	double bound = bound_from(k, w->at, w->room, w->value, &r);

	while (step_back(k, w))
		bound = fmax(bound, bound_from(k, w->at, w->room, w->value, &r));
	return bound;
}

/* Returns a bound of all sets. */
static double search(struct ps_cache_sack *k, const struct ps_cache_sack_problem *p)
{
	struct walk w = {.room = p->room};
	int64_t nodes = 0, most = p->nodes > 0 ? p->nodes : NODES;
	double bound;

	k->best = 0;
	memset(k->in, 0, (size_t)k->n * sizeof(*k->in));
	memset(k->best_in, 0, (size_t)k->n * sizeof(*k->in));
	do {
		descend(k, &w, p->tolerance, &nodes);
	} while (nodes < most && step_back(k, &w));
	bound = k->best * (1 + p->tolerance + ROUNDING);
	return nodes < most ? bound : fmax(bound, bound_left(k, &w));
}

/* ---- the dynamic programme over scaled values ---- */

/* Entries whose place the fractional bound settles against the best that is known: those before the
 * break that must be in, those behind it that must be out. The others are the core. */
static int core_of(const struct ps_cache_sack *k, const struct ps_cache_sack_problem *p, int *core,
		   int64_t *ret_room, double *ret_value)
{
	int r, n = 0;
	double bound = bound_from(k, 0, p->room, 0, &r), dual = r < k->n ? k->e[r].density : 0;

	*ret_room = p->room;
	*ret_value = 0;
	for (int i = 0; i < k->n; i++) {
		double loss = isinf(k->e[i].density)
				      ? k->e[i].value
				      : fabs(k->e[i].value - dual * (double)k->e[i].bytes);
		if (bound - loss > k->best) {
			core[n++] = i;
		} else if (i < r) {
			*ret_room -= k->e[i].bytes;
			*ret_value += k->e[i].value;
		}
	}
	return n;
}

struct grid {
	int n, cells;
	double step;	/* of value per cell */
	int64_t *bytes; /* [cells + 1] the least for exactly so much value */
	uint64_t *took; /* a bit per item and cell */
};

static bool grid_init(struct grid *g)
{
	size_t bits = (size_t)g->n * ((size_t)g->cells + 1);

	g->bytes = malloc(((size_t)g->cells + 1) * sizeof(*g->bytes));
	g->took = calloc(bits / 64 + 1, sizeof(*g->took));
	if (g->bytes && g->took)
		return true;
	free(g->bytes);
	free(g->took);
	return false;
}

static void grid_put(struct grid *g, int i, int value, int64_t bytes, int64_t room)
{
	/* Worth less than a step: it is not missed by more than the stated error. */
	if (value < 1)
		return;
	for (int c = g->cells; c >= value; c--) {
		if (g->bytes[c - value] > room - bytes)
			continue;
		if (g->bytes[c - value] + bytes < g->bytes[c]) {
			size_t bit = (size_t)i * ((size_t)g->cells + 1) + (size_t)c;
			g->bytes[c] = g->bytes[c - value] + bytes;
			g->took[bit / 64] |= UINT64_C(1) << (bit % 64);
		}
	}
}

static bool grid_took(const struct grid *g, int i, int c)
{
	size_t bit = (size_t)i * ((size_t)g->cells + 1) + (size_t)c;

	return g->took[bit / 64] >> (bit % 64) & 1;
}

/* Marks the best set of the core in k->in; true values added. */
static double grid_read(struct ps_cache_sack *k, const struct grid *g, const int *core,
			int64_t room)
{
	int c = g->cells;
	double value = 0;

	while (c > 0 && g->bytes[c] > room)
		c--;
	for (int i = g->n - 1; i >= 0; i--) {
		const struct ps_cache_sack_entry *e = &k->e[core[i]];
		k->in[core[i]] = grid_took(g, i, c);
		if (!k->in[core[i]])
			continue;
		value += e->value;
		c -= (int)(e->value / g->step);
	}
	return value;
}

/* The best set of the core on a grid, its bound; negative: no memory. */
static double core_best(struct ps_cache_sack *k, const int *core, int n, int64_t room, int cells,
			double *ret_bound)
{
	struct grid g = {.n = n, .cells = cells};
	double sum = 0;

	for (int i = 0; i < n; i++)
		sum += k->e[core[i]].value;
	g.step = sum > 0 ? sum / cells : 1;
	if (!grid_init(&g))
		return -1;
	g.bytes[0] = 0;
	for (int c = 1; c <= cells; c++)
		g.bytes[c] = INT64_MAX;
	for (int i = 0; i < n; i++)
		grid_put(&g, i, (int)(k->e[core[i]].value / g.step), k->e[core[i]].bytes, room);
	double value = grid_read(k, &g, core, room);
	/* Each value was rounded down by less than a step: so was that of the best set. */
	*ret_bound = value + n * g.step;
	free(g.bytes);
	free(g.took);
	return value;
}

/* Tries to better k->best; returns a bound of all sets, INFINITY without memory. */
static double scaled(struct ps_cache_sack *k, const struct ps_cache_sack_problem *p, int cells)
{
	int64_t room;
	double fixed, bound = INFINITY, value;
	int *core = k->stack, n = core_of(k, p, core, &room, &fixed);

	if (room < 0 || k->n <= 0)
		return k->best * (1 + ROUNDING);
	memset(k->in, 0, (size_t)k->n * sizeof(*k->in));
	value = core_best(k, core, n, room, cells, &bound);
	if (value < 0)
		return INFINITY;
	if (fixed + value > k->best) {
		int r;
		(void)bound_from(k, 0, p->room, 0, &r);
		bool *is_core = k->best_in; /* is written anew below */
		memset(is_core, 0, (size_t)k->n * sizeof(*is_core));
		for (int i = 0; i < n; i++)
			is_core[core[i]] = true;
		for (int i = 0; i < k->n; i++)
			k->best_in[i] = is_core[i] ? k->in[i] : i < r;
		k->best = fixed + value;
	}
	/* Sets that differ from the settled places are no better than the best known. */
	return fmax(k->best, fixed + bound);
}

/* ---- both ---- */

enum { CELLS = 1 << 17, BITS = 1 << 27 };

static double take(const struct ps_cache_sack *k, const struct ps_cache_sack_problem *p,
		   bool *ret_take)
{
	double value = 0;

	memset(ret_take, 0, (size_t)p->n * sizeof(*ret_take));
	for (int i = 0; i < k->n; i++) {
		if (!k->best_in[i])
			continue;
		ret_take[k->e[i].id] = true;
		value += k->e[i].value;
	}
	return value;
}

double ps_cache_sack_solve(struct ps_cache_sack *k, const struct ps_cache_sack_problem *p,
			   bool *ret_take, double *ret_bound)
{
	prepare(k, p);
	double bound = search(k, p);
	if (!p->quick && bound > k->best * (1 + 2 * p->tolerance + 1e-9) && k->n > 0) {
		int cells = BITS / k->n < CELLS ? BITS / k->n : CELLS;
		bound = fmin(bound, scaled(k, p, cells));
	}
	double value = take(k, p, ret_take);
	*ret_bound = fmax(bound, value);
	return value;
}

double ps_cache_sack_scaled(struct ps_cache_sack *k, const struct ps_cache_sack_problem *p,
			    int cells, bool *ret_take, double *ret_bound)
{
	prepare(k, p);
	k->best = 0;
	memset(k->best_in, 0, (size_t)k->n * sizeof(*k->in));
	double bound = k->n > 0 ? scaled(k, p, cells) : 0;
	if (isinf(bound))
		return -1;
	double value = take(k, p, ret_take);
	*ret_bound = fmax(bound, value);
	return value;
}
