#include "cache/maxmin_internal.h"
#include "cache/clp_internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 5000, SMALL = 2000 };
/* Of the bound. Small games to what rounding in CLP leaves; larger ones to what a certificate asks.
 */
#define CLOSE	   1e-10
#define CLOSE_MANY 2e-7

struct ps_cache_maxmin {
	struct ps_cache_game *g;
	struct ps_cache_columns *c;
	struct ps_cache_maxmin_rows rows;
	struct ps_cache_clp *lp;
	int in_lp; /* columns that it knows */
	bool small;
	double close;
	bool *held;
	double *level, *y, *a; /* [n] */
	double *prices;	       /* [participants] for WELFARE */
	double *x;	       /* [cap] */
	int cap;
	uint64_t *has;
};

void ps_cache_maxmin_free(struct ps_cache_maxmin *m)
{
	if (!m)
		return;
	ps_cache_clp_free(m->lp);
	free(m->held);
	free(m->level);
	free(m->y);
	free(m->a);
	free(m->prices);
	free(m->x);
	free(m->has);
	free(m);
}

static bool allocate(struct ps_cache_maxmin *m)
{
	size_t n = (size_t)m->rows.n + 1;

	m->held = calloc(n, sizeof(*m->held));
	m->level = calloc(n, sizeof(*m->level));
	m->y = calloc(n, sizeof(*m->y));
	m->a = calloc(n, sizeof(*m->a));
	m->prices = calloc((size_t)m->g->n + 1, sizeof(*m->prices));
	m->has = calloc((size_t)m->g->words, sizeof(*m->has));
	return m->held && m->level && m->y && m->a && m->prices && m->has;
}

enum ps_status ps_cache_maxmin_new(struct ps_cache_game *g, struct ps_cache_columns *c,
				   const struct ps_cache_maxmin_rows *rows,
				   struct ps_cache_maxmin **ret_m, struct ps_error *err)
{
	struct ps_cache_maxmin *m = calloc(1, sizeof(*m));

	if (!m)
		return ps_error_set(err, PS_ENOMEM, "no memory for a fair plan");
	m->g = g;
	m->c = c;
	m->rows = *rows;
	m->small = (int64_t)g->n * g->m <= SMALL;
	m->close = m->small ? CLOSE : CLOSE_MANY;
	enum ps_status st = allocate(m) ? ps_cache_clp_new(rows->n, &m->lp, err)
					: ps_error_set(err, PS_ENOMEM, "no memory for a fair plan");
	if (st == PS_OK)
		*ret_m = m;
	else
		ps_cache_maxmin_free(m);
	return st;
}

void ps_cache_maxmin_hold(struct ps_cache_maxmin *m, int row, double level)
{
	m->held[row] = true;
	m->level[row] = level;
	ps_cache_clp_hold(m->lp, row, level);
}

/* Columns that came to the set since. */
static bool catch_up(struct ps_cache_maxmin *m)
{
	for (; m->in_lp < m->c->n; m->in_lp++) {
		const double *a = ps_cache_columns_a(m->c, m->in_lp);
		for (int r = 0; r < m->rows.n; r++)
			m->a[r] = m->rows.scale[r] * a[m->rows.who[r]];
		ps_cache_clp_add(m->lp, m->a);
	}
	if (m->cap >= m->c->n)
		return true;
	m->cap = 2 * m->c->n + 32;
	free(m->x);
	m->x = malloc((size_t)m->cap * sizeof(*m->x));
	return m->x != NULL;
}

/* What the shares really give, whatever tolerance CLP solved to. */
static double least(struct ps_cache_maxmin *m)
{
	double sum = 0, worst = DBL_MAX;

	for (int c = 0; c < m->c->n; c++)
		sum += m->x[c];
	for (int c = 0; c < m->c->n; c++)
		m->c->x[c] = sum > 0 ? m->x[c] / sum : 0;
	for (int r = 0; r < m->rows.n; r++) {
		double v = 0;
		if (m->held[r])
			continue;
		for (int c = 0; c < m->c->n; c++)
			v += m->c->x[c] * ps_cache_columns_a(m->c, c)[m->rows.who[r]];
		worst = fmin(worst, v * m->rows.scale[r]);
	}
	return worst;
}

/* The rising prices are scaled to 1. Returns sum of y x level of those that are held. */
static double set_prices(struct ps_cache_maxmin *m)
{
	double rising = 0, held = 0;

	for (int r = 0; r < m->rows.n; r++)
		rising += m->held[r] ? 0 : m->y[r];
	memset(m->prices, 0, (size_t)m->g->n * sizeof(*m->prices));
	for (int r = 0; r < m->rows.n; r++) {
		m->y[r] = rising > 0 ? m->y[r] / rising : 0;
		held += m->held[r] ? m->y[r] * m->level[r] : 0;
		m->prices[m->rows.who[r]] += m->y[r] * m->rows.scale[r];
	}
	return rising > 0 ? held : -INFINITY;
}

/* Any prices prove a bound: t <= max over S of sum y a(S) - sum of y x level. *ret_column is the S
 * that was found; false: no memory. */
static bool price(struct ps_cache_maxmin *m, double value, double *ret_bound, int *ret_column)
{
	double held = set_prices(m), bound, found;
	int known = m->c->n;

	found = ps_cache_welfare(m->g, m->prices, m->small ? 0 : 1e-9, !m->small, m->has, &bound);
	*ret_column = ps_cache_columns_add(m->c, m->has);
	/* Cut short, with nothing found: the truth is asked for. */
	if (!m->small && bound - held - value > m->close &&
	    (*ret_column < known || found - held <= value + m->close / 4)) {
		/* Prices of those that are held may be large. */
		(void)ps_cache_welfare(m->g, m->prices, m->close / 10 / fmax(1, bound), false,
				       m->has, &bound);
		*ret_column = ps_cache_columns_add(m->c, m->has);
	}
	*ret_bound = bound - held;
	return *ret_column >= 0;
}

enum ps_status ps_cache_maxmin_solve(struct ps_cache_maxmin *m, double enough,
				     struct ps_cache_maxmin_answer *ret, struct ps_error *err)
{
	*ret = (struct ps_cache_maxmin_answer){.bound = DBL_MAX, .y = m->y};
	for (ret->rounds = 1; ret->rounds <= ROUNDS; ret->rounds++) {
		double bound;
		int column, known = m->c->n;
		if (!catch_up(m))
			return ps_error_set(err, PS_ENOMEM, "no memory for a fair plan");
		enum ps_status st = ps_cache_clp_solve(m->lp, m->x, m->y, err);
		if (st != PS_OK)
			return st;
		ret->value = least(m);
		if (!price(m, ret->value, &bound, &column))
			return ps_error_set(err, PS_ENOMEM, "no memory for a fair plan");
		ret->bound = fmin(ret->bound, bound);
		if (column < known || ret->bound - ret->value <= m->close * fmax(1, ret->bound) ||
		    (enough > 0 && (ret->value > enough || ret->bound < enough)))
			break;
	}
	return PS_OK;
}
