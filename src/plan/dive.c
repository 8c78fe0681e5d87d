/* Diving: round the linear programme a little, solve what is left, and so on. What is fixed is
 * taken out of the parts to cover; patterns that hold more of a kind than is left still cover it.
 */
#include "plan/branch_internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DIVE_NODES = 300, DIVE_ROUNDS = 4 };
#define NEARLY	    0.9	 /* a pattern that is used so much is taken */
#define FIXED_SHARE 0.05 /* of the machines that are left, at least, are fixed at once */

struct dive {
	struct ps_plan_tree *t;
	int *left; /* [kind] */
	struct ps_plan_bins bins;
	int64_t n_left;
};

/* Puts one machine of a pattern in, without what is not wanted any more; how many parts it took. */
static int take(struct dive *d, const struct ps_plan_pattern *p)
{
	struct ps_plan_bin b;
	int taken = 0;

	ps_plan_bin_init(&b, p->type);
	for (int i = 0; i < p->n; i++) {
		int k = p->set[i].kind, want = p->set[i].count;
		int n = ps_plan_bin_most(d->t->s, &b, k, want < d->left[k] ? want : d->left[k]);
		d->left[k] -= n;
		taken += n;
	}
	if (b.n > 0) {
		ps_plan_bin_shrink(d->t->s, &b);
		if (!ps_plan_bins_take(&d->bins, &b))
			d->t->no_memory = true;
	}
	ps_plan_bin_fini(&b);
	d->n_left -= taken;
	return taken;
}

struct use {
	int pattern;
	double times;
};

static int most_used(const void *a, const void *b)
{
	const struct use *x = a, *y = b;

	if (x->times != y->times)
		return x->times > y->times ? -1 : 1;
	return (x->pattern > y->pattern) - (x->pattern < y->pattern);
}

/* Whole uses at once, then the nearly whole ones, and at least some. False when nothing was left to
 * fix.
 */
static bool fix(struct dive *d, struct use *uses, const double *times, int n_times)
{
	int n = 0, fixed = 0;
	double machines = 0;

	for (int i = 0; i < n_times; i++) {
		if (times[i] > 1e-6)
			uses[n++] = (struct use){i, times[i]};
		machines += times[i];
	}
	qsort(uses, (size_t)n, sizeof(*uses), most_used);
	double least = fmax(1, FIXED_SHARE * machines);
	for (int i = 0; i < n && d->n_left > 0; i++) {
		const struct ps_plan_pattern *p = &d->t->patterns.items[uses[i].pattern];
		double x = uses[i].times;
		if (x < NEARLY && fixed >= least)
			break;
		for (int j = 0; j < (int)fmax(1, floor(x + 1 - NEARLY)); j++)
			fixed += take(d, p) > 0;
	}
	return fixed > 0;
}

/* Solves the rest, with some fresh patterns for it. */
static bool solve_rest(struct dive *d, double *worth)
{
	double usd, uncovered;

	for (int k = 0; k < d->t->s->kinds; k++)
		ps_plan_master_parts(d->t->master, k, d->left[k]);
	for (int i = 0; i < DIVE_ROUNDS; i++) {
		if (!ps_plan_tree_master(d->t, &usd, &uncovered))
			return false;
		if (ps_plan_space_late(d->t->s) ||
		    ps_plan_tree_price(d->t, DIVE_NODES, true, worth) == 0)
			return true;
	}
	return ps_plan_tree_master(d->t, &usd, &uncovered);
}

static void start(struct dive *d)
{
	const struct ps_plan_space *s = d->t->s;

	for (int k = 0; k < s->kinds; k++) {
		d->left[k] = s->p->kinds[k].parts;
		d->n_left += d->left[k];
	}
}

/* What no pattern holds any more goes greedily. */
static void finish(struct dive *d)
{
	struct ps_plan_bins rest = {0};

	if (ps_plan_greedy(d->t->s, d->left, NULL, 0, 0, NULL, &rest) != PS_OK)
		d->t->no_memory = true;
	for (int i = 0; i < rest.n; i++) {
		if (!ps_plan_bins_take(&d->bins, &rest.items[i]))
			d->t->no_memory = true;
	}
	ps_plan_bins_fini(&rest);
}

/* The node that is dived from goes on with its own duals. */
static double *keep_duals(const struct ps_plan_tree *t)
{
	size_t kinds = (size_t)t->s->kinds, counts = (size_t)t->s->counts;
	double *kept = malloc((kinds + 2 * counts) * sizeof(*kept));

	if (!kept)
		return NULL;
	memcpy(kept, t->dual, kinds * sizeof(*kept));
	memcpy(kept + kinds, t->count_dual, counts * sizeof(*kept));
	memcpy(kept + kinds + counts, t->counted, counts * sizeof(*kept));
	return kept;
}

static void restore_duals(struct ps_plan_tree *t, const double *kept)
{
	size_t kinds = (size_t)t->s->kinds, counts = (size_t)t->s->counts;

	memcpy(t->dual, kept, kinds * sizeof(*kept));
	memcpy(t->count_dual, kept + kinds, counts * sizeof(*kept));
	memcpy(t->counted, kept + kinds + counts, counts * sizeof(*kept));
}

void ps_plan_dive(struct ps_plan_tree *t, double *worth)
{
	struct dive d = {.t = t, .left = calloc((size_t)t->s->kinds, sizeof(int))};
	double *kept = keep_duals(t);
	struct use *uses = NULL;

	if (d.left && kept) {
		start(&d);
		while (d.n_left > 0 && !t->no_memory && !ps_plan_space_late(t->s) &&
		       solve_rest(&d, worth)) {
			struct use *more =
				realloc(uses, ((size_t)t->in_master + 1) * sizeof(*uses));
			if (!more)
				break;
			uses = more;
			if (!fix(&d, uses, ps_plan_master_times(t->master), t->in_master))
				break;
		}
		finish(&d);
		if (!t->no_memory) {
			ps_plan_tree_add(t, &d.bins);
			ps_plan_tree_adopt(t, &d.bins);
		}
		for (int k = 0; k < t->s->kinds; k++)
			ps_plan_master_parts(t->master, k, t->s->p->kinds[k].parts);
		restore_duals(t, kept);
	}
	ps_plan_bins_fini(&d.bins);
	free(d.left);
	free(kept);
	free(uses);
}
