/* lists.c - what a search of the knapsack leaves open, by two lists of sets.
 *
 * Items whose place the dual of the bytes settles against the best set known stay there. The others
 * are dealt to two halves; each half's sets are listed by bytes, those left out that another beats
 * with no more bytes (Nemhauser and Ullmann, 1969) or that no completion can bring over the best
 * known; then the halves are joined in one walk over both (Horowitz and Sahni, 1974). A list that
 * grows over its limit keeps one set per step of value: what that may cost is added up and said.
 */
#include "cache/knapsack_internal.h"

#include <math.h>
#include <stdlib.h>

/* Up to so many open items lists are whole. Else they are short in the first pass; in the second
 * they are long where losses rule sets out, and where nothing does so many in all items. */
enum { FEW = 30, SHORT = 1 << 12, LONG = 1 << 17, ALL_STATES = 1 << 19 };

struct state {
	double value;
	int64_t bytes;
	int node; /* the last item that it took, and what it was before */
};

struct node {
	int before, item; /* -1: nothing */
};

struct list {
	struct state *now, *next;
	int n;
	double all, rest; /* of max(0, value - dual x bytes) over the half; and what is undecided */
	double lost;	  /* by thinning: no completion is worth more than this over the list's */
};

/* An entry that is not settled, and what the bound falls by when it is not where the dual puts it.
 */
struct open {
	double loss;
	int entry;
};

struct lists {
	struct ps_cache_sack *k;
	struct open *open; /* the most to lose first */
	int n, most;
	double value; /* of what is settled to be in */
	int64_t room; /* what is left for the others */
	struct node *node;
	int nodes;
	struct list half[2];
	double beat; /* what is not over this is of no interest */
};

static void release(struct lists *x)
{
	free(x->node);
	x->node = NULL;
	for (int h = 0; h < 2; h++) {
		free(x->half[h].now);
		free(x->half[h].next);
		x->half[h].now = x->half[h].next = NULL;
	}
}

static double loss_of(const struct ps_cache_sack *k, int i)
{
	if (isinf(k->e[i].density))
		return k->e[i].value;
	return fabs(k->e[i].value - k->dual * (double)k->e[i].bytes);
}

static int by_loss(const void *a, const void *b)
{
	const struct open *x = a, *y = b;

	if (x->loss != y->loss)
		return x->loss > y->loss ? -1 : 1;
	return x->entry - y->entry;
}

static void settle(struct lists *x)
{
	const struct ps_cache_sack *k = x->k;

	x->n = 0;
	x->nodes = 0;
	x->value = 0;
	x->room = k->room;
	x->half[0] = x->half[1] = (struct list){0};
	for (int i = 0; i < k->n; i++) {
		double loss = loss_of(k, i);
		if (k->bound - loss > x->beat) {
			x->open[x->n++] = (struct open){loss, i};
		} else if (i < k->cut) {
			x->room -= k->e[i].bytes;
			x->value += k->e[i].value;
		}
	}
	qsort(x->open, (size_t)x->n, sizeof(*x->open), by_loss);
	for (int c = 0; c < x->n; c++)
		x->half[c % 2].all += x->open[c].entry < k->cut ? x->open[c].loss : 0;
	x->half[0].rest = x->half[0].all;
	x->half[1].rest = x->half[1].all;
}

/* Memory goes by the sets that there can be at all. */
static bool reserve(struct lists *x, int states)
{
	int all = x->n / 2 < 24 ? 2 << x->n / 2 : 2 << 24;

	x->most = states < all ? states : all;
	x->node = malloc(((size_t)x->n * (size_t)x->most + 1) * sizeof(*x->node));
	bool ok = x->node != NULL;
	for (int h = 0; h < 2; h++) {
		struct list *l = &x->half[h];
		l->now = malloc((2 * (size_t)x->most + 2) * sizeof(*l->now));
		l->next = malloc((2 * (size_t)x->most + 2) * sizeof(*l->next));
		ok = ok && l->now && l->next;
		if (ok)
			l->now[l->n++] = (struct state){0, 0, -1};
	}
	return ok;
}

/* Sets without entry `i` and with it, in the order of bytes. */
static void both(struct lists *x, int h, int i)
{
	struct list *l = &x->half[h];
	const struct ps_cache_sack_entry *e = &x->k->e[i];
	double dual = x->k->dual;
	double least = x->beat - x->value - dual * (double)x->room - l->rest - x->half[1 - h].all;
	double last = -1;
	int n = 0, without = 0, with = 0;

	while (without < l->n || with < l->n) {
		struct state s = {.bytes = INT64_MAX};
		bool took = false;
		if (with < l->n) {
			s = l->now[with];
			s.bytes += e->bytes;
			s.value += e->value;
			took = s.bytes <= x->room;
			with = took ? with : l->n;
		}
		if (without < l->n &&
		    (!took || l->now[without].bytes < s.bytes ||
		     (l->now[without].bytes == s.bytes && l->now[without].value >= s.value))) {
			s = l->now[without++];
			took = false;
		} else if (took) {
			with++;
		} else {
			break;
		}
		if (s.value <= last || s.value - dual * (double)s.bytes <= least)
			continue;
		last = s.value;
		if (took) {
			x->node[x->nodes] = (struct node){s.node, i};
			s.node = x->nodes++;
		}
		l->next[n++] = s;
	}
	struct state *kept = l->now;
	l->now = l->next;
	l->next = kept;
	l->n = n;
}

static void thin(struct list *l, int most)
{
	int n = 1;

	if (l->n <= most)
		return;
	double step = (l->now[l->n - 1].value - l->now[0].value) * 2 / most;
	for (int i = 1; i < l->n; i++)
		if (l->now[i].value >= l->now[n - 1].value + step)
			l->now[n++] = l->now[i];
	l->n = n;
	l->lost += step;
}

static void mark(struct lists *x, int node)
{
	for (; node >= 0; node = x->node[node].before)
		x->k->best_in[x->node[node].item] = true;
}

/* The best pair that fits; *ret_value its value, negative when no list has anything left. */
static void join(struct lists *x, double *ret_value, int ret_node[2])
{
	const struct list *a = &x->half[0], *b = &x->half[1];
	int j = b->n - 1;

	*ret_value = -1;
	for (int i = 0; i < a->n; i++) {
		while (j >= 0 && b->now[j].bytes > x->room - a->now[i].bytes)
			j--;
		if (j < 0)
			return;
		double value = a->now[i].value + b->now[j].value;
		if (value > *ret_value) {
			*ret_value = value;
			ret_node[0] = a->now[i].node;
			ret_node[1] = b->now[j].node;
		}
	}
}

static void adopt(struct lists *x, double value, const int node[2])
{
	struct ps_cache_sack *k = x->k;

	for (int i = 0; i < k->n; i++)
		k->best_in[i] = i < k->cut;
	for (int c = 0; c < x->n; c++)
		k->best_in[x->open[c].entry] = false;
	mark(x, node[0]);
	mark(x, node[1]);
	k->best = value;
}

/* Returns a bound of all sets. */
static double run(struct lists *x)
{
	double value;
	int node[2] = {-1, -1};

	for (int c = 0; c < x->n; c++) {
		struct list *l = &x->half[c % 2];
		l->rest -= x->open[c].entry < x->k->cut ? x->open[c].loss : 0;
		both(x, c % 2, x->open[c].entry);
		thin(l, x->most);
		if (l->n == 0) /* nothing is over what was known */
			return x->beat;
	}
	join(x, &value, node);
	double bound = fmax(x->beat, x->value + value + x->half[0].lost + x->half[1].lost);
	if (x->value + value > x->k->best)
		adopt(x, x->value + value, node);
	return bound;
}

/* Losses rule sets out: any two of those that are open leave less than what is known. */
static bool prunes(const struct lists *x)
{
	double losses = 0;

	for (int c = 0; c < x->n; c++)
		losses += x->open[c].loss;
	return losses > 2 * (x->k->bound - x->beat);
}

/* false: no memory. */
static bool pass(struct lists *x, int states, double *bound)
{
	bool ok = reserve(x, states);

	if (ok)
		*bound = fmin(*bound, run(x));
	release(x);
	return ok;
}

/* false: there is none that differs from what is settled and is better than the best known. */
static bool settle_anew(struct lists *x, double tolerance)
{
	x->beat = x->k->best * (1 + tolerance);
	settle(x);
	return x->room >= 0;
}

static int first_states(const struct lists *x)
{
	if (x->n <= FEW)
		return 1 << FEW / 2;
	return prunes(x) ? SHORT : ALL_STATES / x->n;
}

static bool passes(struct lists *x, double tolerance, int states, double *bound)
{
	bool once = states > 0 || x->n <= FEW;

	if (!pass(x, states > 0 ? states : first_states(x), bound))
		return false;
	if (once || *bound <= x->k->best * (1 + tolerance))
		return true;
	/* With a better set known more are settled. */
	if (settle_anew(x, tolerance))
		return !prunes(x) || pass(x, LONG, bound);
	*bound = x->beat;
	return true;
}

bool ps_cache_sack_lists(struct ps_cache_sack *k, double tolerance, int states, double *ret_bound)
{
	struct lists x = {.k = k, .open = malloc(((size_t)k->n + 1) * sizeof(*x.open))};
	double bound = k->bound;
	bool ok = x.open != NULL;

	if (ok && settle_anew(&x, tolerance))
		ok = passes(&x, tolerance, states, &bound);
	else
		bound = x.beat;
	free(x.open);
	if (ok)
		*ret_bound = bound;
	return ok;
}
