/* columns_internal.h - configurations that a plan may mix, with their shares, and how a plan is
 * made of them.
 */
#ifndef PS_CACHE_COLUMNS_INTERNAL_H
#define PS_CACHE_COLUMNS_INTERNAL_H

#include "cache/game_internal.h"

struct ps_cache_columns {
	const struct ps_cache_game *g;
	int n, cap;
	uint64_t *has; /* [cap * words] */
	double *a;     /* [cap * n of the game] scaled utilities */
	double *x;     /* [cap] shares */
};

/* ps_cache_columns_init makes an empty set; it owns nothing yet. */
void ps_cache_columns_init(struct ps_cache_columns *c, const struct ps_cache_game *g);
void ps_cache_columns_fini(struct ps_cache_columns *c);
/* ps_cache_columns_add returns the place of a configuration, which is new with share 0 or known
 * already; -1: no memory. */
int ps_cache_columns_add(struct ps_cache_columns *c, const uint64_t *has);
/* ps_cache_columns_add_plan adds those of a plan that are allowed in this game (they fit, and hold
 * what is forced), with `part` of their shares. Returns the sum of shares that were, -1: no memory.
 */
double ps_cache_columns_add_plan(struct ps_cache_columns *c, const struct ps_cache_plan *plan,
				 double part);
/* ps_cache_columns_prune drops those with share 0. */
void ps_cache_columns_prune(struct ps_cache_columns *c);
/* ps_cache_columns_values fills ret_v with the scaled utilities of the mixture. */
void ps_cache_columns_values(const struct ps_cache_columns *c, double *ret_v);
static inline const double *ps_cache_columns_a(const struct ps_cache_columns *c, int i)
{
	return c->a + (size_t)i * (size_t)c->g->n;
}
static inline const uint64_t *ps_cache_columns_has(const struct ps_cache_columns *c, int i)
{
	return c->has + (size_t)i * (size_t)c->g->words;
}

/* ps_cache_columns_plan makes the plan, shares scaled to 1; without columns it is the forced items
 * alone. PS_ENOMEM. */
enum ps_status ps_cache_columns_plan(const struct ps_cache_columns *c,
				     struct ps_cache_plan *ret_plan, struct ps_error *err);

/* ps_cache_plan_copy copies a plan. PS_ENOMEM. */
enum ps_status ps_cache_plan_copy(const struct ps_cache_plan *p, struct ps_cache_plan *ret_plan,
				  struct ps_error *err);

#endif
