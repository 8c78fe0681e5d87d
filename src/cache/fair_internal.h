/* fair_internal.h - the best mixture of the columns known so far, and more columns at its prices:
 * PF, and what comes near to MMF (fair.c has the objectives).
 */
#ifndef PS_CACHE_FAIR_INTERNAL_H
#define PS_CACHE_FAIR_INTERNAL_H

#include "cache/columns_internal.h"

struct ps_cache_fair {
	struct ps_cache_game *g;
	struct ps_cache_columns c;
	double alpha;  /* 1, or over it */
	double *scale; /* u_i of V_i, for alpha > 1 */
	double *v, *y; /* by tenant that takes part: values and prices */
	double *dv, *u, *try_v, *try_y;
	double *centre, *z; /* prices with the lowest bound so far; between them and y */
	double lowest;	    /* that bound; INFINITY: none yet */
	uint64_t *has;
	int cap;		       /* of what is by column */
	double *r, *d, *try_x, *pivot; /* by column */
	double *b, *h;		       /* cap * n, cap * cap */
	bool no_memory;
};

/* ps_cache_fair_init begins without columns, alpha 1. false: no memory; fini in any case. */
bool ps_cache_fair_init(struct ps_cache_fair *s, struct ps_cache_game *g);
void ps_cache_fair_fini(struct ps_cache_fair *s);
/* ps_cache_fair_start_alone adds what each would choose alone, with `part` of its weight for a
 * share. false: no memory. */
bool ps_cache_fair_start_alone(struct ps_cache_fair *s, double part);
/* ps_cache_fair_prices fills ret_y with the prices at v and returns the objective. */
double ps_cache_fair_prices(const struct ps_cache_fair *s, const double *v, double *ret_y);
/* ps_cache_fair_polish finds the best shares of the columns that are in, to a residual of
 * `tolerance` x W or rounding, and their prices y. Columns without a share go. no_memory says so.
 */
void ps_cache_fair_polish(struct ps_cache_fair *s, double tolerance);
/* ps_cache_fair_mix_in gives a new column a share: the best point between the mixture and it. */
void ps_cache_fair_mix_in(struct ps_cache_fair *s, int column);

struct ps_cache_priced {
	int column;   /* the one that was found, -1: no memory */
	double value; /* g_S / W - 1 */
	double gap;   /* the bound of it */
	bool known;   /* it was there already */
};

/* ps_cache_fair_price asks WELFARE at y for a column. */
struct ps_cache_priced ps_cache_fair_price(struct ps_cache_fair *s, double tolerance, bool quick);
/* ps_cache_fair_gather mixes in some more columns by cheap steps, before the next system is solved:
 * worth it where that is large. None that is under `target`; `gap` is the present one. */
void ps_cache_fair_gather(struct ps_cache_fair *s, double target, double gap);

#endif
