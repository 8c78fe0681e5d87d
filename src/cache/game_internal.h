/* game_internal.h - a problem made ready for pricing: who takes part, what may be chosen, and
 * utilities scaled by U_i* (policy.h has the words).
 */
#ifndef PS_CACHE_GAME_INTERNAL_H
#define PS_CACHE_GAME_INTERNAL_H

#include "cache/knapsack_internal.h"
#include "cache/policy.h"

/* Where the scaled utilities of one item that may be chosen stand. */
struct ps_cache_cell {
	int row; /* who takes part, from 0 */
	double a;
};

struct ps_cache_game {
	const struct ps_cache_problem *p;
	int n;		   /* tenants that take part: U_i* > 0 */
	int *who;	   /* [n] their numbers */
	double *w;	   /* [n] their weights */
	double sum;	   /* W */
	double *best;	   /* [tenants] U_i* */
	double best_error; /* relative, of the worst of them */
	double room_error; /* of the worst ps_cache_welfare_room so far */

	int m;		/* items that may be chosen */
	int *item;	/* [m] their numbers */
	int64_t *bytes; /* [m] */
	int64_t room;	/* beside the forced ones */
	int words;
	uint64_t *forced; /* [words] */
	double *base;	  /* [n] scaled utility of the forced ones */

	/* By item: cells [at[j], at[j + 1]). */
	int *at;
	struct ps_cache_cell *cell;
	double *row; /* [n * m] the same by tenant, where half of it or more is over 0; or NULL */

	/* For pricing. */
	struct ps_cache_sack sack;
	double *value; /* [m] */
	bool *take;    /* [m] */
	int priced;

	/* For who works on it. */
	double *prices; /* [n], 0 at first */
	uint64_t *set;	/* [words], the forced ones at first */
};

/* ps_cache_game_init checks nothing (ps_cache_problem_check did) and solves a knapsack per tenant.
 * PS_ENOMEM. */
enum ps_status ps_cache_game_init(struct ps_cache_game *g, const struct ps_cache_problem *p,
				  struct ps_error *err);
void ps_cache_game_fini(struct ps_cache_game *g);

/* ps_cache_unit returns u_ij of the problem: demand x load cost, and the warm factor. */
static inline double ps_cache_unit(const struct ps_cache_problem *p, int tenant, int item)
{
	const struct ps_cache_item *t = &p->item[item];
	double u = p->demand[(size_t)tenant * (size_t)p->items + (size_t)item] * t->load_s;

	return t->resident && p->warm_factor > 1 ? u * p->warm_factor : u;
}

/* ps_cache_forced marks the items of every configuration in ret_has (cleared by the caller):
 * pinned ones, and what guarantees hold. PS_ENOMEM. */
enum ps_status ps_cache_forced(const struct ps_cache_problem *p, uint64_t *ret_has,
			       struct ps_error *err);

/* ps_cache_welfare finds S with the greatest sum of y_i x scaled utility, y >= 0 [n]; the forced
 * items are in ret_has and in the value. *ret_bound is at least that of any S. `tolerance` is
 * relative; `quick` ends a hard search early, with an honest bound. */
double ps_cache_welfare(struct ps_cache_game *g, const double *y, double tolerance, bool quick,
			uint64_t *ret_has, double *ret_bound);
/* ps_cache_welfare_room is that with less room, on top of what is in `has` (which it extends);
 * exact up to room_error. Items that are there already count for nothing. */
void ps_cache_welfare_room(struct ps_cache_game *g, const double *y, int64_t room, uint64_t *has);
/* ps_cache_scaled fills ret_a [n] with the scaled utilities of S. */
void ps_cache_scaled(const struct ps_cache_game *g, const uint64_t *has, double *ret_a);
/* ps_cache_bytes returns the bytes of S. */
int64_t ps_cache_bytes(const struct ps_cache_problem *p, const uint64_t *has);

static inline void ps_cache_put(uint64_t *has, int j)
{
	has[j / 64] |= UINT64_C(1) << (j % 64);
}

static inline int ps_cache_words(int items)
{
	return items / 64 + 1;
}

#endif
