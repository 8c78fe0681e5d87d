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
#define SMOOTH	   0.7
/* The duals of a stage add up to 1. Under this a dual may be what is left of the simplex' and the
 * pricing's tolerances; the largest counts in any case. */
#define TIGHT 1e-3
/* What a held value may lose in a later stage, in small games: CLP's own tolerance. Later stages
 * may gain by a multiple of it. */
#define GIVE 1e-10
/* How much more when CLP finds no point where there is one. */
#define GIVE_MORE 1e-8

/* What prices y prove: no mixture has sum of y x value over `bound`; rising and held prices add up
 * to `sum`, the rising ones to 1. So none gives each that is held its level and g, and each that
 * rises t and g, for a g over (bound - t) / sum. */
struct certificate {
	double bound, sum, welfare; /* the last: levels not taken off */
	bool known;
};

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
	double *centre, *z;    /* [n] prices with the best certificate so far; between them and y */
	struct certificate best;
	double *prices; /* [participants] for WELFARE */
	double *x;	/* [cap] */
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
	free(m->centre);
	free(m->z);
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
	m->centre = calloc(n, sizeof(*m->centre));
	m->z = calloc(n, sizeof(*m->z));
	m->prices = calloc((size_t)m->g->n + 1, sizeof(*m->prices));
	m->has = calloc((size_t)m->g->words, sizeof(*m->has));
	return m->held && m->level && m->y && m->a && m->centre && m->z && m->prices && m->has;
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

static void hold_row(struct ps_cache_maxmin *m, int row, double level)
{
	m->held[row] = true;
	m->level[row] = fmax(0, level - fmax(GIVE, m->close / 10));
	ps_cache_clp_hold(m->lp, row, m->level[row]);
	m->best.known = false;
}

/* A row with a positive dual is tight in every optimum (complementary slackness): this is exact,
 * where solving again for each row asks how little is little. */
int ps_cache_maxmin_hold(struct ps_cache_maxmin *m, const struct ps_cache_maxmin_answer *a)
{
	double most = 0;
	int n = 0;

	for (int r = 0; r < m->rows.n; r++)
		most = m->held[r] ? most : fmax(most, a->y[r]);
	for (int r = 0; r < m->rows.n; r++) {
		if (m->held[r] || a->y[r] < fmin(TIGHT, most))
			continue;
		hold_row(m, r, a->value);
		n++;
	}
	return n;
}

bool ps_cache_maxmin_held(const struct ps_cache_maxmin *m, int row)
{
	return m->held[row];
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

/* CLP may lose its way on a basis that is nearly singular, and then say that nothing is feasible.
 * It begins again without one, and with a little more room each time. */
static enum ps_status begin_again(struct ps_cache_maxmin *m, double give, struct ps_error *err)
{
	struct ps_cache_clp *lp;
	enum ps_status st = ps_cache_clp_new(m->rows.n, &lp, err);

	if (st != PS_OK)
		return st;
	ps_cache_clp_free(m->lp);
	m->lp = lp;
	m->in_lp = 0;
	for (int r = 0; r < m->rows.n; r++) {
		if (!m->held[r])
			continue;
		m->level[r] = fmax(0, m->level[r] - give);
		ps_cache_clp_hold(lp, r, m->level[r]);
	}
	return PS_OK;
}

static enum ps_status solve_lp(struct ps_cache_maxmin *m, struct ps_error *err)
{
	enum { TRIES = 4 };
	double give = 0;

	for (int i = 0;; i++) {
		if (!catch_up(m))
			return ps_error_set(err, PS_ENOMEM, "no memory for a fair plan");
		enum ps_status st = ps_cache_clp_solve(m->lp, m->x, m->y, err);
		if (st != PS_EINTERNAL || i == TRIES)
			return st;
		st = begin_again(m, give, err);
		if (st != PS_OK)
			return st;
		give = give > 0 ? 4 * give : GIVE_MORE;
	}
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

/* Rising prices are scaled to a sum of 1; false when none is over 0. */
static bool scale_prices(const struct ps_cache_maxmin *m, double *y)
{
	double rising = 0;

	for (int r = 0; r < m->rows.n; r++)
		rising += m->held[r] ? 0 : y[r];
	for (int r = 0; r < m->rows.n; r++)
		y[r] = rising > 0 ? y[r] / rising : 0;
	return rising > 0;
}

static double gap_of(const struct ps_cache_maxmin *m, const struct certificate *c, double value)
{
	return (c->bound - value) / (m->small ? 1 : c->sum);
}

/* WELFARE at prices y, whatever they are: t <= max over S of sum y a(S) - sum of y x level. Returns
 * the column that was found, -1: no memory. *ret_found: what it is worth, less the levels. */
static int price(struct ps_cache_maxmin *m, const double *y, double tolerance, bool quick,
		 struct certificate *ret, double *ret_found)
{
	double held = 0, bound;

	*ret = (struct certificate){.known = true};
	memset(m->prices, 0, (size_t)m->g->n * sizeof(*m->prices));
	for (int r = 0; r < m->rows.n; r++) {
		held += m->held[r] ? y[r] * m->level[r] : 0;
		ret->sum += y[r];
		m->prices[m->rows.who[r]] += y[r] * m->rows.scale[r];
	}
	double found = ps_cache_welfare(m->g, m->prices, tolerance, quick, m->has, &bound);
	ret->bound = bound - held;
	ret->welfare = bound;
	*ret_found = found - held;
	return ps_cache_columns_add(m->c, m->has);
}

static void remember(struct ps_cache_maxmin *m, const double *y, const struct certificate *c,
		     double value)
{
	if (m->best.known && gap_of(m, c, value) >= gap_of(m, &m->best, value))
		return;
	m->best = *c;
	memcpy(m->centre, y, (size_t)m->rows.n * sizeof(*y));
}

/* What a column is worth at y, less the levels. */
static double worth(const struct ps_cache_maxmin *m, const double *y, int column)
{
	const double *a = ps_cache_columns_a(m->c, column);
	double sum = 0;

	for (int r = 0; r < m->rows.n; r++)
		sum += y[r] *
		       (m->rows.scale[r] * a[m->rows.who[r]] - (m->held[r] ? m->level[r] : 0));
	return sum;
}

/* New prices swing, and columns of where they swing to are of no use later: those between y and the
 * best so far are asked first. *ret_new: the column is of use at y. */
static bool price_between(struct ps_cache_maxmin *m, double value, bool *ret_new)
{
	struct certificate c;
	double found;
	int known = m->c->n;

	for (int r = 0; r < m->rows.n; r++)
		m->z[r] = SMOOTH * m->centre[r] + (1 - SMOOTH) * m->y[r];
	int column = price(m, m->z, 1e-9, true, &c, &found);
	if (column < 0)
		return false;
	remember(m, m->z, &c, value);
	*ret_new = column >= known && worth(m, m->y, column) > value + m->close / 4;
	return true;
}

/* *ret_new: a column that was not there; false: no memory. */
static bool price_here(struct ps_cache_maxmin *m, double value, bool *ret_new)
{
	struct certificate c;
	double found;
	int known = m->c->n;
	int column = price(m, m->y, m->small ? 0 : 1e-9, !m->small, &c, &found);

	/* Cut short, with nothing found: the truth is asked for. */
	if (column >= 0 && !m->small && gap_of(m, &c, value) > m->close &&
	    (column < known || found <= value + m->close / 4))
		column = price(m, m->y, 0.1 * m->close / fmax(1, c.welfare / c.sum), false, &c,
			       &found);
	remember(m, m->y, &c, value);
	*ret_new = column >= known;
	return column >= 0;
}

static bool price_out(struct ps_cache_maxmin *m, double value, bool *ret_new)
{
	*ret_new = false;
	if (!scale_prices(m, m->y))
		return true;
	if (!m->small && m->best.known && !price_between(m, value, ret_new))
		return false;
	return *ret_new || price_here(m, value, ret_new);
}

bool ps_cache_maxmin_begin(struct ps_cache_maxmin *m, const double *prices)
{
	struct certificate c;
	double found;

	for (int r = 0; r < m->rows.n; r++)
		m->z[r] = prices[m->rows.who[r]] / m->rows.scale[r];
	if (!scale_prices(m, m->z))
		return true;
	if (price(m, m->z, 1e-9, true, &c, &found) < 0)
		return false;
	remember(m, m->z, &c, 0);
	return true;
}

enum ps_status ps_cache_maxmin_solve(struct ps_cache_maxmin *m, double low, double high,
				     struct ps_cache_maxmin_answer *ret, struct ps_error *err)
{
	bool new = true;

	*ret = (struct ps_cache_maxmin_answer){.y = m->y};
	for (ret->rounds = 1; ret->rounds <= ROUNDS; ret->rounds++) {
		enum ps_status st = solve_lp(m, err);
		if (st != PS_OK)
			return st;
		ret->value = least(m);
		if (!price_out(m, ret->value, &new))
			return ps_error_set(err, PS_ENOMEM, "no memory for a fair plan");
		ret->bound = m->best.known ? m->best.bound : DBL_MAX;
		ret->gap = m->best.known ? gap_of(m, &m->best, ret->value) : DBL_MAX;
		if (!new || ret->gap <= m->close * fmax(1, ret->value) || ret->value > high ||
		    ret->bound < low)
			break;
	}
	return PS_OK;
}
