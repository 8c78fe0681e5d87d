/* branch_internal.h - the tree of branch and price, for its parts.   Layer 3. */
#ifndef PS_PLAN_BRANCH_INTERNAL_H
#define PS_PLAN_BRANCH_INTERNAL_H

#include "plan/plan_internal.h"

struct ps_plan_node {
	double bound;
	double *low, *high; /* [type] */
};

struct ps_plan_tree {
	struct ps_plan_space *s;
	struct ps_plan_bins *bs;
	struct ps_plan_result *result;
	double plan_usd;
	struct ps_plan_patterns patterns;
	struct ps_plan_master *master;
	int in_master;
	double *dual, *type_dual, *rented; /* [kind], [type], [type] */
	struct ps_plan_node *open;
	int n_open, cap_open;
	double certified; /* what the present duals prove */
	double settled;	  /* least bound of nodes that were given up */
	bool no_memory;
};

/* ps_plan_tree_price prices every type with the present duals; patterns that are worth more than
 * their price join the others. Returns how many were new; ret_worth[type] is what no pattern
 * exceeds. */
int ps_plan_tree_price(struct ps_plan_tree *t, int64_t budget, double *ret_worth);
/* ps_plan_tree_master solves the linear programme over all patterns so far. */
bool ps_plan_tree_master(struct ps_plan_tree *t, double *ret_usd, double *ret_uncovered);
/* ps_plan_tree_adopt takes the machines as the plan when they cost less, and empties `bins`. */
void ps_plan_tree_adopt(struct ps_plan_tree *t, struct ps_plan_bins *bins);
/* ps_plan_tree_add puts the machines' sets among the patterns. */
void ps_plan_tree_add(struct ps_plan_tree *t, const struct ps_plan_bins *bs);

/* ps_plan_dive looks for a cheaper plan: the patterns that the linear programme uses most are
 * taken, one after the other, and the programme of what is left solved anew, with fresh patterns.
 */
void ps_plan_dive(struct ps_plan_tree *t, double *worth);

#endif
