/* The nodes of branch and price: which is next, what it branches on, what all of them prove. */
#include "plan/branch_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void ps_plan_node_drop(struct ps_plan_node *n)
{
	free(n->low);
	free(n->high);
}

void ps_plan_tree_close(struct ps_plan_tree *t, const struct ps_plan_node *n)
{
	if (n->bound >= t->settled)
		return;
	t->settled = n->bound;
	t->settled_by = n->by;
}

void ps_plan_tree_push(struct ps_plan_tree *t, const struct ps_plan_node *from, int count,
		       double low, double high)
{
	size_t size = (size_t)t->s->counts * sizeof(double);
	struct ps_plan_node n = {from->bound, from->by, malloc(size), malloc(size)};

	if (t->n_open == t->cap_open) {
		int cap = t->cap_open ? 2 * t->cap_open : 64;
		struct ps_plan_node *open = realloc(t->open, (size_t)cap * sizeof(*open));
		if (open) {
			t->open = open;
			t->cap_open = cap;
		}
	}
	if (!n.low || !n.high || t->n_open == t->cap_open) {
		ps_plan_node_drop(&n);
		t->no_memory = true;
		ps_plan_tree_close(t, from);
		return;
	}
	memcpy(n.low, from->low, size);
	memcpy(n.high, from->high, size);
	if (count >= 0) {
		n.low[count] = fmax(n.low[count], low);
		n.high[count] = fmin(n.high[count], high);
	}
	t->open[t->n_open++] = n;
}

int ps_plan_tree_lowest(const struct ps_plan_tree *t)
{
	int best = 0;

	for (int i = 1; i < t->n_open; i++) {
		if (t->open[i].bound < t->open[best].bound)
			best = i;
	}
	return best;
}

struct branching {
	int count; /* -1: none */
	double weight;
};

static void consider(const struct ps_plan_tree *t, int count, double usd, struct branching *b)
{
	double off = fabs(t->counted[count] - round(t->counted[count]));

	if (off > 1e-6 && off * usd > b->weight)
		*b = (struct branching){count, off * usd};
}

int ps_plan_tree_to_branch(const struct ps_plan_tree *t)
{
	const struct ps_plan_space *s = t->s;
	struct branching b = {-1, 0};

	for (int j = 0; j < s->n_prices; j++)
		consider(t, j, s->prices[j] - (j > 0 ? s->prices[j - 1] : 0), &b);
	if (b.count >= 0)
		return b.count;
	for (int i = 0; i < s->types; i++)
		consider(t, s->n_prices + i, s->p->types[i].usd_per_hour, &b);
	return b.count;
}

double ps_plan_tree_bound(const struct ps_plan_tree *t, enum ps_plan_bound *ret_by)
{
	double least = t->settled;

	*ret_by = t->settled_by;
	for (int i = 0; i < t->n_open; i++) {
		if (t->open[i].bound < least) {
			least = t->open[i].bound;
			*ret_by = t->open[i].by;
		}
	}
	return fmin(least, t->plan_usd);
}
