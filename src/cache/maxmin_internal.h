/* maxmin_internal.h - the greatest least value over mixtures of configurations, by column
 * generation: a stage of MMF, and the question whether a group could do better (core.c).
 */
#ifndef PS_CACHE_MAXMIN_INTERNAL_H
#define PS_CACHE_MAXMIN_INTERNAL_H

#include "cache/columns_internal.h"

/* Value of row r: scale[r] x scaled utility of participant who[r]. At first all rise. */
struct ps_cache_maxmin_rows {
	int n;
	const int *who;	     /* [n] rows of the game */
	const double *scale; /* [n] > 0 */
};

struct ps_cache_maxmin_answer {
	double value, bound; /* the least of those that rise, and what no mixture is over */
	/* How much more than its level each that is held could have, and each that rises than
	 * `value`, all at once: at most so much. In small games how much more those that rise could
	 * have with the others at their levels, which is bound - value. */
	double gap;
	const double *y; /* [n] their prices: those that rise add up to 1. Borrowed */
	int rounds;
};

struct ps_cache_maxmin;

/* ps_cache_maxmin_new works on the columns `c`, to which it adds; all are borrowed. PS_ENOMEM,
 * PS_ENOTFOUND (no CLP). */
enum ps_status ps_cache_maxmin_new(struct ps_cache_game *g, struct ps_cache_columns *c,
				   const struct ps_cache_maxmin_rows *rows,
				   struct ps_cache_maxmin **ret_m, struct ps_error *err);
void ps_cache_maxmin_free(struct ps_cache_maxmin *m);
/* ps_cache_maxmin_solve sets the columns' shares. It ends as soon as the bound is under `low` or
 * the value over `high` (0 and INFINITY: at the best). PS_ENOMEM, PS_EINTERNAL. */
enum ps_status ps_cache_maxmin_solve(struct ps_cache_maxmin *m, double low, double high,
				     struct ps_cache_maxmin_answer *ret, struct ps_error *err);
/* ps_cache_maxmin_begin is told prices of the participants that are near to the best: where those
 * of the first stage are looked for. false: no memory. */
bool ps_cache_maxmin_begin(struct ps_cache_maxmin *m, const double *prices);
/* ps_cache_maxmin_hold ends the rise of those rows that are tight in every optimum of the stage
 * that was solved: from here on each is at least at its value, up to 1e-10, in larger games 2e-8.
 * Returns how many: one or more, as long as some rise. */
int ps_cache_maxmin_hold(struct ps_cache_maxmin *m, const struct ps_cache_maxmin_answer *a);
bool ps_cache_maxmin_held(const struct ps_cache_maxmin *m, int row);

#endif
