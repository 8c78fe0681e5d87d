/* knapsack_internal.h - WELFARE's core: the 0/1 knapsack.
 *
 * Branch and bound, depth first, items by value per byte (Horowitz and Sahni, 1974), with the
 * fractional bound (Dantzig, 1957). A search that its limit cuts keeps the best set found and the
 * highest bound of what was not looked at; then a dynamic programme over values scaled to a grid
 * (Ibarra and Kim, 1975) on the items that the bound does not settle tries to do better: its error
 * is at most one step of the grid per item. What is returned is a value and a bound: their
 * difference is the error.
 */
#ifndef PS_CACHE_KNAPSACK_INTERNAL_H
#define PS_CACHE_KNAPSACK_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

struct ps_cache_sack_entry {
	double density, value;
	int64_t bytes;
	int id;
};

/* Memory for knapsacks of up to `most` items; one thread at a time. */
struct ps_cache_sack {
	int most, n;
	struct ps_cache_sack_entry *e; /* by density, the highest first */
	double *value_sum;	       /* [most + 1] of the entries before */
	int64_t *byte_sum;	       /* [most + 1] */
	int64_t *least;		       /* [most + 1] bytes of the smallest from here on */
	int *stack;		       /* places of the entries that are in */
	double *stack_value;	       /* what was in before each */
	int64_t *stack_room;
	bool *in, *best_in;
	double best;
};

struct ps_cache_sack_problem {
	int n;
	const double *value;  /* [n] finite; those that are not over 0 are left out */
	const int64_t *bytes; /* [n] >= 0 */
	int64_t room;	      /* >= 0 */
	double tolerance;     /* relative: a set within it of the best may do. 0: the best, up to
			       * rounding (1e-14) */
	int64_t nodes;	      /* limit of the search; 0: ten million */
	bool quick;	      /* a search that was cut is the end: no dynamic programme */
};

/* ps_cache_sack_init and fini; false: no memory. */
bool ps_cache_sack_init(struct ps_cache_sack *k, int most);
void ps_cache_sack_fini(struct ps_cache_sack *k);
/* ps_cache_sack_solve marks the chosen items in ret_take [n] and returns their value; *ret_bound is
 * at least the value of any set. O(n log n) and the search. */
double ps_cache_sack_solve(struct ps_cache_sack *k, const struct ps_cache_sack_problem *p,
			   bool *ret_take, double *ret_bound);
/* ps_cache_sack_scaled is the dynamic programme alone, on all items: at most `cells` values on the
 * grid. Tests hold it to its error; n <= most. The value is negative when there is no memory. */
double ps_cache_sack_scaled(struct ps_cache_sack *k, const struct ps_cache_sack_problem *p,
			    int cells, bool *ret_take, double *ret_bound);

#endif
