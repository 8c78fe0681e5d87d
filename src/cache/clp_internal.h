/* clp_internal.h - one small linear programme by COIN-OR CLP, opened when it is first needed
 * (docs/decisions/011).
 *
 *	max t,  sum_S x_S a_iS - t + z_i >= 0 and sum_S x_S a_iS >= low_i for each row i,
 *	sum x = 1,  x >= 0
 *
 * A row rises while z_i is held at 0 and low_i at nothing; ps_cache_clp_hold frees the one and sets
 * the other. What was optimal stays feasible, so the simplex goes on from there.
 */
#ifndef PS_CACHE_CLP_INTERNAL_H
#define PS_CACHE_CLP_INTERNAL_H

#include "base/error.h"

struct ps_cache_clp;

/* ps_cache_clp_new makes the programme without columns; all rows rise. PS_ENOTFOUND with the
 * package in the hint, PS_ENOMEM. */
enum ps_status ps_cache_clp_new(int rows, struct ps_cache_clp **ret_lp, struct ps_error *err);
void ps_cache_clp_free(struct ps_cache_clp *lp);
/* ps_cache_clp_add adds a column. */
void ps_cache_clp_add(struct ps_cache_clp *lp, const double *a);
/* ps_cache_clp_hold ends the rise of a row: from here on it is at least `low`. */
void ps_cache_clp_hold(struct ps_cache_clp *lp, int row, double low);
/* ps_cache_clp_solve returns x of the columns in their order, and y >= 0 of the rows, risen or held
 * (those that rise add up to 1). PS_EINTERNAL when CLP finds no optimum. */
enum ps_status ps_cache_clp_solve(struct ps_cache_clp *lp, double *ret_x, double *ret_y,
				  struct ps_error *err);

#endif
