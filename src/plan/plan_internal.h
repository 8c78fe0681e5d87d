/* plan_internal.h - what the parts of the search share.   Layer 3. */
#ifndef PS_PLAN_PLAN_INTERNAL_H
#define PS_PLAN_PLAN_INTERNAL_H

#include "base/rng.h"
#include "plan/plan.h"

#define PS_PLAN_EPS 1e-9 /* of a price: less is rounding */

/* The problem with what is asked of the oracle again and again. */
struct ps_plan_solvers;

struct ps_plan_space {
	const struct ps_plan_problem *p;
	const struct ps_plan_oracle *o;
	const struct ps_plan_options *options;
	const struct ps_plan_solvers *lib; /* NULL until ps_plan_branch_and_price */
	int64_t deadline_ns;
	int types, kinds, dims, levels;
	int16_t *level; /* [type * kinds + kind]; -1 where it cannot be alone, or is not to be */
	double *room;	/* [type * dims + d] */
	double *own;	/* [(type * kinds + kind) * dims + d]: least need of a part */
	double *weight; /* [type * dims + d]: price of a unit of need; weight . room <= price */
	double *value;	/* [kind]: least weight . own over the types: what a part is worth */
	double *prices; /* [n_prices]: of the types, each once, ascending */
	int *price_of;	/* [type]: which one is its */
	int n_prices;
	int counts; /* n_prices + types: numbers of machines that the search branches on, first of
		     * those that cost at least prices[i], then of each type */
	bool *was_late; /* a deadline, or a part of one, has ended something */
};

/* ps_plan_space_init asks the oracle. PS_EINVAL, PS_ETOOBIG, PS_ENOMEM as ps_plan_solve. */
enum ps_status ps_plan_space_init(struct ps_plan_space *s, const struct ps_plan_problem *p,
				  const struct ps_plan_options *o, int *ret_kind,
				  struct ps_error *err);
void ps_plan_space_fini(struct ps_plan_space *s);
/* ps_plan_space_late says whether the time is over, and keeps in mind that it was. */
bool ps_plan_space_late(const struct ps_plan_space *s);

/* ps_plan_space_least_usd returns the need of a part alone in money of the fractional bound;
 * INFINITY where it cannot be. */
double ps_plan_space_least_usd(const struct ps_plan_space *s, int type, int kind);

/* ps_plan_bound_fractional finds weights and values and returns their bound. */
double ps_plan_bound_fractional(struct ps_plan_space *s);
/* ps_plan_bound_company returns the bound that knows how groups slow each other down (the proof is
 * in bound_company.c); 0 where there are no groups, or no memory for it. After
 * ps_plan_bound_fractional. */
double ps_plan_bound_company(const struct ps_plan_space *s);
/* ps_plan_bound_round returns the least sum of prices that is at least `bound`, as far as the
 * prices are multiples of a millionth of a dollar. */
double ps_plan_bound_round(const struct ps_plan_space *s, double bound);

/* A machine being filled. */
struct ps_plan_bin {
	int type, n, cap, level;
	struct ps_plan_count *set;
	double used[PS_PLAN_MAX_DIMS]; /* at `level` */
};

/* ps_plan_bin_init makes an empty machine. */
void ps_plan_bin_init(struct ps_plan_bin *b, int type);
void ps_plan_bin_fini(struct ps_plan_bin *b);
/* ps_plan_bin_add puts `count` more parts of a kind in when they fit; false: it is unchanged. */
bool ps_plan_bin_add(const struct ps_plan_space *s, struct ps_plan_bin *b, int kind, int count);
/* ps_plan_bin_most adds as many as fit, at most `count`; returns how many. */
int ps_plan_bin_most(const struct ps_plan_space *s, struct ps_plan_bin *b, int kind, int count);
/* ps_plan_bin_remove takes `count` parts of a kind out, which must be there. */
void ps_plan_bin_remove(const struct ps_plan_space *s, struct ps_plan_bin *b, int kind, int count);
/* ps_plan_bin_shrink makes it the cheapest type that holds its set. */
void ps_plan_bin_shrink(const struct ps_plan_space *s, struct ps_plan_bin *b);
/* ps_plan_bin_copy copies; false without memory. */
bool ps_plan_bin_copy(struct ps_plan_bin *to, const struct ps_plan_bin *from);
/* ps_plan_bin_value sums the values of its parts. */
double ps_plan_bin_value(const struct ps_plan_space *s, const struct ps_plan_bin *b);

/* All machines of a plan in the making. */
struct ps_plan_bins {
	struct ps_plan_bin *items;
	int n, cap;
};
/* ps_plan_bins_take moves a machine in; false without memory (it is then freed). */
bool ps_plan_bins_take(struct ps_plan_bins *bs, struct ps_plan_bin *b);
void ps_plan_bins_fini(struct ps_plan_bins *bs);
double ps_plan_bins_cost(const struct ps_plan_space *s, const struct ps_plan_bins *bs);

/* Which kinds a machine of a type is filled with, up to a level, the densest first. */
struct ps_plan_order {
	int type, level, n;
	int *kinds;
	double *density; /* value per weighted need; NULL when not kept */
	double score;	 /* of the last filling: value per price */
};

/* ps_plan_greedy fills machines, always the one that packs most value for its price, until no part
 * is left in remaining[kind]. `only` (may be NULL) lists the `n_only` kinds that can be left.
 * `noise` is the relative scatter of values that r brings in; 0: none. */
enum ps_status ps_plan_greedy(const struct ps_plan_space *s, int *remaining, const int *only,
			      int n_only, double noise, struct ps_rng *r,
			      struct ps_plan_bins *ret_bins);

/* A pattern: what one machine of a type may hold. */
struct ps_plan_pattern {
	int type, n;
	struct ps_plan_count *set;
};

struct ps_plan_patterns {
	struct ps_plan_pattern *items;
	int n, cap;
	int *buckets; /* hash: index + 1 */
	int n_buckets;
};
/* ps_plan_patterns_add keeps a copy when it is new; *ret_new says so (may be NULL). PS_ENOMEM. */
enum ps_status ps_plan_patterns_add(struct ps_plan_patterns *ps, int type,
				    const struct ps_plan_count *set, int n, bool *ret_new);
void ps_plan_patterns_fini(struct ps_plan_patterns *ps);

/* ps_plan_improve empties a few machines at a time and fills anew, keeping what is no dearer, for
 * `steps` or until the time or `good_enough` (dollars) is reached. Returns the steps taken. Sets
 * that are kept join `seen` (may be NULL), up to PS_PLAN_MAX_SEEN. */
#define PS_PLAN_MAX_SEEN 20000
int64_t ps_plan_improve(const struct ps_plan_space *s, struct ps_plan_bins *bs, int64_t steps,
			double good_enough, struct ps_plan_patterns *seen, struct ps_rng *r);

/* What pricing asks and answers, for one type. */
struct ps_plan_pricing {
	const double *dual; /* [kind] >= 0 */
	double above;	    /* only patterns worth more than this matter */
	int64_t budget;	    /* nodes */
	bool many;	    /* the best of each level, not of all: at_most holds all the same */
	/* out */
	double best, at_most; /* the most that was found, and what no pattern exceeds */
	bool cut; /* the budget or the time ended it: at_most is that of open branches */
};

/* ps_plan_price finds the pattern of `type` with the greatest sum of duals by branch and bound over
 * the oracle; patterns worth over `above` go to `ret_patterns` as they are found. With `all`, every
 * maximal such pattern goes there (for the complete bound), at most `all` of them: more is a cut.
 */
enum ps_status ps_plan_price(const struct ps_plan_space *s, int type, struct ps_plan_pricing *x,
			     struct ps_plan_patterns *ret_patterns, int all);

/* ps_plan_fill prices the sets of kinds[0] with the others of kinds[n] that are no stricter, at
 * most remaining[kind] of each. The last of ret_patterns, which must be empty, is the best.
 * PS_ENOMEM. */
enum ps_status ps_plan_fill(const struct ps_plan_space *s, int type, const int *kinds, int n,
			    const int *remaining, struct ps_plan_pricing *x,
			    struct ps_plan_patterns *ret_patterns);

/* ps_plan_strict makes a plan of remaining[kind], the strictest part first, each machine filled by
 * ps_plan_fill. `only` (may be NULL) lists the `n_only` kinds that can be left. `tilt` makes large
 * parts worth more; `noise` is the relative scatter of values that r brings in; 0: none. */
enum ps_status ps_plan_strict(const struct ps_plan_space *s, int *remaining, const int *only,
			      int n_only, double tilt, double noise, struct ps_rng *r,
			      struct ps_plan_bins *ret_bins);

/* ps_plan_decreasing makes a plan of all parts by first fit decreasing. PS_ENOMEM. */
enum ps_status ps_plan_decreasing(const struct ps_plan_space *s, struct ps_plan_bins *ret_bins);

/* ps_plan_branch_and_price improves plan and bound in `result`. `bs` is the plan so far and becomes
 * a cheaper one. */
enum ps_status ps_plan_branch_and_price(struct ps_plan_space *s, struct ps_plan_bins *bs,
					struct ps_plan_result *result, struct ps_error *err);

/* ps_plan_brute tries every plan. PS_ETOOBIG over PS_PLAN_BRUTE_PARTS parts. */
enum ps_status ps_plan_brute(const struct ps_plan_space *s, struct ps_plan_bins *ret_bins,
			     struct ps_error *err);

/* The linear programme over patterns (CLP), and the integer one (CBC). */
struct ps_plan_master;

/* ps_plan_master_new makes one with a row per kind (parts to cover) and per count of machines
 * (free), and dear columns that cover what patterns do not. NULL without memory. */
struct ps_plan_master *ps_plan_master_new(const struct ps_plan_space *s, double dear);
void ps_plan_master_free(struct ps_plan_master *m);
/* ps_plan_master_add adds patterns [from, ps->n). False without memory. */
bool ps_plan_master_add(struct ps_plan_master *m, const struct ps_plan_patterns *ps, int from);
/* ps_plan_master_limit bounds a count of machines; 0 and DBL_MAX for none. */
void ps_plan_master_limit(struct ps_plan_master *m, int count, double low, double high);
/* ps_plan_master_solve solves it: duals of kinds [kinds] and counts [counts], the counts, what dear
 * columns still cover. The dual of a count without bounds is 0. False when the solver failed. */
bool ps_plan_master_solve(struct ps_plan_master *m, double *ret_usd, double *ret_dual,
			  double *ret_count_dual, double *ret_counts, double *ret_uncovered);

/* ps_plan_master_parts says how many parts of a kind are to be covered. */
void ps_plan_master_parts(struct ps_plan_master *m, int kind, double parts);
/* ps_plan_master_times borrows how often each pattern is used, in the order they were added. */
const double *ps_plan_master_times(const struct ps_plan_master *m);

/* ps_plan_integer solves the integer programme over patterns with CBC: ret_times[pattern], and a
 * bound that holds for it. `below` cuts off what costs as much. False: nothing cheaper was found.
 */
bool ps_plan_integer(const struct ps_plan_space *s, const struct ps_plan_patterns *ps,
		     const double *low, const double *high, double below, int nodes, double seconds,
		     int *ret_times, double *ret_bound);

#endif
