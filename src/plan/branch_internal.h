/* branch_internal.h - the tree of branch and price, for its parts.   Layer 3. */
#ifndef PS_PLAN_BRANCH_INTERNAL_H
#define PS_PLAN_BRANCH_INTERNAL_H

#include "plan/plan_internal.h"

struct ps_plan_node {
	double bound;
	enum ps_plan_bound by;
	double *low, *high; /* [count] */
};

struct ps_plan_tree {
	struct ps_plan_space *s;
	struct ps_plan_bins *bs;
	struct ps_plan_result *result;
	double plan_usd;
	struct ps_plan_patterns patterns;
	struct ps_plan_master *master;
	int in_master;
	double *dual, *count_dual, *counted; /* [kind], [count], [count] */
	struct ps_plan_node *open;
	int n_open, cap_open;
	double certified; /* what the present duals prove */
	double scale;	  /* of the duals of kinds, in that proof */
	double settled;	  /* least bound of nodes that were given up */
	enum ps_plan_bound settled_by;
	bool no_memory;
};

/* ps_plan_tree_usd returns what a machine of the type may cost under the duals of the counts. */
double ps_plan_tree_usd(const struct ps_plan_tree *t, int type);
/* ps_plan_tree_price prices every type with the present duals; patterns that are worth more than
 * their price join the others, the best of each level (`many`) or of the type. Returns how many
 * were new; ret_worth[type] is what no pattern exceeds. */
int ps_plan_tree_price(struct ps_plan_tree *t, int64_t budget, bool many, double *ret_worth);
/* ps_plan_tree_master solves the linear programme over all patterns so far. */
bool ps_plan_tree_master(struct ps_plan_tree *t, double *ret_usd, double *ret_uncovered);
/* ps_plan_tree_adopt takes the machines as the plan when they cost less, and empties `bins`. */
void ps_plan_tree_adopt(struct ps_plan_tree *t, struct ps_plan_bins *bins);
/* ps_plan_tree_add puts the machines' sets among the patterns. */
void ps_plan_tree_add(struct ps_plan_tree *t, const struct ps_plan_bins *bs);

/* ps_plan_node_drop releases a node. */
void ps_plan_node_drop(struct ps_plan_node *n);
/* ps_plan_tree_close gives a node up with the bound that it has. */
void ps_plan_tree_close(struct ps_plan_tree *t, const struct ps_plan_node *n);
/* ps_plan_tree_push opens a node like `from`, but with a count of machines (-1: none) between low
 * and high. */
void ps_plan_tree_push(struct ps_plan_tree *t, const struct ps_plan_node *from, int count,
		       double low, double high);
/* ps_plan_tree_lowest returns the open node with the least bound; there must be one. */
int ps_plan_tree_lowest(const struct ps_plan_tree *t);
/* ps_plan_tree_to_branch returns the count that is furthest from whole, weighed by the difference
 * of price that it stands for, those by price before those by type; -1 when all are whole. */
int ps_plan_tree_to_branch(const struct ps_plan_tree *t);
/* ps_plan_tree_bound returns what all nodes prove together, and by what. */
double ps_plan_tree_bound(const struct ps_plan_tree *t, enum ps_plan_bound *ret_by);

/* ps_plan_dive looks for a cheaper plan: the patterns that the linear programme uses most are
 * taken, one after the other, and the programme of what is left solved anew, with fresh patterns.
 */
void ps_plan_dive(struct ps_plan_tree *t, double *worth);

#endif
