/* knapsack_internal.h - WELFARE's core: the 0/1 knapsack.
 *
 * Branch and bound, depth first, items by value per byte (Horowitz and Sahni, 1974), with the
 * fractional bound (Dantzig, 1957), for a number of nodes that grows with the items and no faster.
 * That bound tells nothing apart where value goes by bytes; what a cut search leaves open is asked
 * of two lists of sets (lists.c), which are exact up to 30 items and thinned beyond. What is
 * returned is a value and a bound of all sets: their difference is the error, whatever was cut.
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

struct ps_cache_sack_key {
	uint32_t bits;
	int at;
};

/* Memory for knapsacks of up to `most` items; one thread at a time. */
struct ps_cache_sack {
	int most, n;
	struct ps_cache_sack_entry *e;	 /* by density, the highest first */
	struct ps_cache_sack_entry *raw; /* as they came */
	struct ps_cache_sack_key *key;	 /* [2 most + 2] */
	double *value_sum;		 /* [most + 1] of the entries before */
	int64_t *byte_sum;		 /* [most + 1] */
	int64_t *least;			 /* [most + 1] bytes of the smallest from here on */
	int *stack;			 /* places of the entries that are in */
	double *stack_value;		 /* what was in before each */
	int64_t *stack_room;
	bool *in, *best_in;
	double best;
	/* Of this problem: the room that sums of bytes can fill; with the last entry in part. */
	int64_t room;
	double bound, dual;
	int cut;       /* the entry that is in in part: those before it are in */
	int64_t nodes; /* that the search looked at */
};

struct ps_cache_sack_problem {
	int n;
	const double *value;  /* [n] finite; those that are not over 0 are left out */
	const int64_t *bytes; /* [n] >= 0 */
	int64_t room;	      /* >= 0 */
	double tolerance;     /* relative: a set within it of the best may do. 0: the best, up to
			       * rounding (1e-14) */
	int64_t nodes;	      /* limit of the search; 0: 50 per item and 1,500 */
	bool quick;	      /* a search that was cut is the end: no lists */
	int states; /* limit of a list; 0: all sets of 30 open items, half a million over n for more
		     */
};

/* ps_cache_sack_init and fini; false: no memory. */
bool ps_cache_sack_init(struct ps_cache_sack *k, int most);
void ps_cache_sack_fini(struct ps_cache_sack *k);
/* ps_cache_sack_solve marks the chosen items in ret_take [n] and returns their value; *ret_bound is
 * at least the value of any set. O(n log n), the search's nodes and the lists' states: there is no
 * input for which that is exponential. Without memory for lists what the search found stands. */
double ps_cache_sack_solve(struct ps_cache_sack *k, const struct ps_cache_sack_problem *p,
			   bool *ret_take, double *ret_bound);
/* ps_cache_sack_lists tries to better the best set of a knapsack whose search was cut; lists of
 * over `states` sets are thinned. *ret_bound is at least the value of any set. false: no memory. */
bool ps_cache_sack_lists(struct ps_cache_sack *k, double tolerance, int states, double *ret_bound);

#endif
