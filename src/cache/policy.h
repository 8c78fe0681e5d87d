/* policy.h - which items should be in memory: one epoch's problem, the plan that answers it, and
 * the policies.   Layer 3, pure: no engine, clock, thread or file.
 *
 * The model is that of ROBUS (Kunjir, Fain, Munagala and Babu, "ROBUS: Fair Cache Allocation for
 * Multi-tenant Data-parallel Workloads", SIGMOD 2017, arXiv 1504.06736). An item in memory serves
 * every tenant at once, so what is shared is not bytes but chances: a plan is a distribution over
 * configurations (sets of items that fit), of which one is drawn per epoch.
 *
 *	s_j	bytes of item j; C the capacity
 *	u_ij	utility of item j to tenant i: requests x seconds that a cold load costs each
 *	U_i(S)	sum of u_ij over j in S
 *	U_i*	max over S of U_i(S): what i would have alone with the whole memory
 *	V_i	sum over S of x_S U_i(S), for the shares x of a plan
 *	w_i	weight; W the sum of those who take part (a tenant with U_i* = 0 does not)
 *
 *	share of i	w_i/W x U_i*: V_i is never less under MMF and PF (sharing incentive)
 *	core		no group T, given w(T)/W of the chances, could do at least as well for all
 *			its members and better for one
 *
 * Every configuration contains the pinned items and, for each tenant with guaranteed bytes, the set
 * of at most so many bytes that is worth most to that tenant. "Over S" above means over those.
 *
 * All arrays are dense and row-major, indexed [tenant * items + item]. Everything is deterministic:
 * the same input, and for RSD the same seed, gives the same plan, bit for bit on one machine.
 */
#ifndef PS_CACHE_POLICY_H
#define PS_CACHE_POLICY_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PS_CACHE_MAX_TENANTS  1024
#define PS_CACHE_MAX_ITEMS    16384
#define PS_CACHE_MAX_CELLS    4194304 /* tenants x items */
#define PS_CACHE_CORE_TENANTS 16      /* coalitions are enumerated up to so many tenants */
#define PS_CACHE_GAP	      1e-6    /* of W: what a plan of PF is certified to */

struct ps_cache_item {
	int64_t bytes; /* >= 0, with working memory */
	double load_s; /* what a cold load costs the request that waits for it; >= 0, finite */
	bool resident; /* in memory now */
	bool pinned;   /* in every configuration */
};

struct ps_cache_tenant {
	double weight;		  /* > 0, finite */
	int64_t guaranteed_bytes; /* >= 0; 0: none */
};

/* What is decided on in one epoch. All pointers are borrowed. */
struct ps_cache_problem {
	int tenants, items;
	int64_t capacity_bytes;
	const struct ps_cache_tenant *tenant; /* [tenants] */
	const struct ps_cache_item *item;     /* [items] */
	const double *demand;		      /* [tenants * items] requests per epoch, >= 0 */
	double warm_factor; /* >= 1: the utility of a resident item is multiplied by it. 1: none;
			     * the published setting has 2. 0 stands for 1 */
	uint64_t seed;	    /* of RSD's orders, where there are too many for all of them */
};

/* A configuration with its share. */
struct ps_cache_config {
	double share;  /* > 0; the shares of a plan add up to 1 */
	int64_t bytes; /* <= capacity */
	uint64_t *has; /* a bit per item */
};

struct ps_cache_plan {
	int tenants, items, n;
	struct ps_cache_config *config; /* [n], n >= 1; the largest share first */
	double *utility;		/* [tenants] V_i, seconds per epoch */
	double *best;			/* [tenants] U_i* */
	double *entitled;		/* [tenants] w_i/W x U_i*; 0 for who takes no part */
	/* PF: max over S of (sum of w_i U_i(S)/V_i) - W, by an upper bound of the knapsack, divided
	 * by W: no distribution has a sum of w_i log V_i that is over this plan's by more than gap
	 * x W. MMF, of V_i / U_i* (times the mean weight over w_i), by its worst stage: in problems
	 * of up to 2,000 tenants x items no distribution gives those that rise more by gap, with
	 * the others at their levels; in larger ones none gives everybody, of both, more by it.
	 * OPTP, STATIC, RSD: relative distance of the knapsacks' bounds. Others: 0. */
	double gap;
	/* U_i* may be under the truth by so much, relatively: over 0 where models' worth goes by
	 * their bytes alone, so that the search for the best set is cut (knapsack_internal.h). */
	double best_error;
	int rounds;  /* of pricing */
	int priced;  /* calls of WELFARE */
	void *block; /* what the arrays lie in */
};

/* ps_cache_has says whether item `j` is in a configuration. */
static inline bool ps_cache_has(const uint64_t *has, int j)
{
	return has[j / 64] >> (j % 64) & 1;
}

/* ps_cache_plan_free releases what a plan owns and zeroes it. */
void ps_cache_plan_free(struct ps_cache_plan *p);

/* The policies, in the order in which they are shown. */
enum ps_cache_kind {
	PS_CACHE_STATIC, /* bytes split by weight; each tenant fills its own part as it likes best
			  */
	PS_CACHE_LRU,	 /* least recently used goes first (by weight: GreedyDual) */
	PS_CACHE_LFU,	 /* least requests, times the tenants' weights, go first */
	PS_CACHE_GDSF,	 /* Greedy-Dual-Size-Frequency: requests x load cost / bytes, ageing */
	PS_CACHE_RSD,	 /* random serial dictatorship: an order of tenants drawn by weight */
	PS_CACHE_OPTP,	 /* the greatest weighted sum of utilities */
	PS_CACHE_MMF,	 /* max-min fair scaled utilities, lexicographically */
	PS_CACHE_PF,	 /* proportionally fair: the greatest sum of w_i log V_i */
	PS_CACHE_KINDS,
};

/* The memory of a policy that decides at each request; the planners use it for what is in memory
 * beside their configuration. Items with the least score go first. Owned by its cache. */
struct ps_cache_scores {
	int items;
	double *score; /* [items] */
	double *count; /* [items] weighted requests since the item came, or since ever */
	double *order; /* [items] the request that touched it last, from 1 */
	double inflation, requests;
};

/* One policy: four functions. */
struct ps_cache_policy {
	const char *name;    /* "pf" */
	const char *summary; /* a line for people */
	bool per_request;    /* decides at each request (LRU, LFU, GDSF), else once per epoch */
	/* A request of `tenant` for `item`, whether it is in memory or not. */
	void (*touch)(struct ps_cache_scores *s, const struct ps_cache_tenant *tenant,
		      const struct ps_cache_item *item, int j);
	/* Item j went out of memory. */
	void (*left)(struct ps_cache_scores *s, int j);
	/* The distribution for this epoch. `before` (may be NULL) is a plan whose configurations
	 * are a good start; it is not changed. `scores` (may be NULL): per-request policies rank by
	 * them, or by the demand without. PS_EINVAL, PS_ETOOBIG, PS_ENOMEM, PS_ENOTFOUND (MMF: CLP
	 * is not installed). */
	enum ps_status (*plan)(const struct ps_cache_problem *p,
			       const struct ps_cache_scores *scores,
			       const struct ps_cache_plan *before, struct ps_cache_plan *ret_plan,
			       struct ps_error *err);
	/* The policy's own objective of a plan, which more capacity never lowers (up to the gap):
	 * OPTP's sum of utilities, PF's of their logarithms. NAN for the others: MMF measures in
	 * U_i*, which grows with the capacity, too. */
	double (*objective)(const struct ps_cache_problem *p, const struct ps_cache_plan *plan);
};

/* ps_cache_policy_get borrows a policy. */
const struct ps_cache_policy *ps_cache_policy_get(enum ps_cache_kind kind);
/* ps_cache_policy_names returns the PS_CACHE_KINDS names and a NULL: the choices of an option. */
const char *const *ps_cache_policy_names(void);

/* ps_cache_problem_check holds a problem to what is said above: PS_EINVAL, PS_ETOOBIG (over a
 * limit, or pinned items and guarantees need more than the capacity: the sizes are named). */
enum ps_status ps_cache_problem_check(const struct ps_cache_problem *p, struct ps_error *err);
/* ps_cache_plan_make checks `p` and asks the policy. */
enum ps_status ps_cache_plan_make(enum ps_cache_kind kind, const struct ps_cache_problem *p,
				  const struct ps_cache_plan *before,
				  struct ps_cache_plan *ret_plan, struct ps_error *err);
/* ps_cache_utility returns U_i(S) for the problem's own utilities, warm factor included. */
double ps_cache_utility(const struct ps_cache_problem *p, int tenant, const uint64_t *has);

/* ps_cache_draw picks a configuration by inverse CDF: the first whose cumulated share is over `u`
 * in [0, 1); rounding that leaves u over all of them gives the last. Returns its index. */
int ps_cache_draw(const struct ps_cache_plan *p, double u);
/* ps_cache_draw_near picks one with the same chances over two draws, but near to what is there: if
 * `current` was drawn from `before`, the result is distributed by `next`, and the pairs are matched
 * so that those with little to load come first. `renew` in [0, 1] is the chance that it is drawn
 * anew whatever is there. u[0], u[1] in [0, 1). PS_ENOMEM. */
enum ps_status ps_cache_draw_near(const struct ps_cache_problem *p,
				  const struct ps_cache_plan *before, int current,
				  const struct ps_cache_plan *next, double renew, const double u[2],
				  int *ret_index);

/* ---- is a plan fair? ---- */

/* A group that would rather go its own way: each would have at least as much, some more. */
struct ps_cache_objection {
	bool found;
	int who[PS_CACHE_CORE_TENANTS], members; /* tenants' numbers, ascending */
	bool better[PS_CACHE_CORE_TENANTS];	 /* by member: it would have more */
	double part;				 /* w(T)/W: the chances that are theirs */
	double gain;		  /* the least ratio of what those would get to what they have, > 1;
				   * INFINITY when it has nothing */
	struct ps_cache_plan way; /* what it would do with its part; shares add up to 1. Owned */
};

/* ps_cache_core looks for an objection to `plan`, small groups first, by enumerating all of them:
 * at most PS_CACHE_CORE_TENANTS tenants may take part, else PS_ETOOBIG. A mean gain, by weight over
 * the group, under `tolerance` is none. Groups that one knapsack cannot rule out are asked by
 * linear programmes: PS_ENOTFOUND without CLP. `ret` is freed by ps_cache_objection_free. */
enum ps_status ps_cache_core(const struct ps_cache_problem *p, const struct ps_cache_plan *plan,
			     double tolerance, struct ps_cache_objection *ret,
			     struct ps_error *err);
void ps_cache_objection_free(struct ps_cache_objection *o);

/* ps_cache_worst_share returns the least V_i / entitled_i of who takes part (1 when nobody does),
 * and the tenant in *ret_tenant (may be NULL; -1). */
double ps_cache_worst_share(const struct ps_cache_plan *p, int *ret_tenant);
/* ps_cache_jain is Jain's index (sum x)^2 / (n sum x^2); 1 for nobody or all 0. */
double ps_cache_jain(const double *x, int n);

#endif
