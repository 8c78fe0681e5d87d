#include "plan/plan_internal.h"
#include "plan/solvers_internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the linear programme ---- */

struct ps_plan_master {
	const struct ps_plan_space *s;
	Clp_Simplex *clp;
};

/* Columns in the form that both solvers take. */
struct columns {
	int n, *start, *row;
	double *entry, *usd, *low, *high;
};

static void columns_fini(struct columns *c)
{
	free(c->start);
	free(c->row);
	free(c->entry);
	free(c->usd);
	free(c->low);
	free(c->high);
}

static bool columns_init(struct columns *c, int n, size_t entries)
{
	size_t size = (size_t)n + 1;

	*c = (struct columns){
		.n = n,
		.start = calloc(size, sizeof(int)),
		.row = malloc((entries + 1) * sizeof(int)),
		.entry = malloc((entries + 1) * sizeof(double)),
		.usd = malloc(size * sizeof(double)),
		.low = calloc(size, sizeof(double)),
		.high = malloc(size * sizeof(double)),
	};
	if (c->start && c->row && c->entry && c->usd && c->low && c->high)
		return true;
	columns_fini(c);
	return false;
}

/* Patterns [from, n): a count in the row of each kind, and 1 in those of the counts of machines. */
static bool columns_of(const struct ps_plan_space *s, const struct ps_plan_patterns *ps, int from,
		       struct columns *c)
{
	size_t entries = 0;

	for (int i = from; i < ps->n; i++)
		entries += (size_t)ps->items[i].n + (size_t)s->price_of[ps->items[i].type] + 2;
	if (!columns_init(c, ps->n - from, entries))
		return false;
	for (int i = from, at = 0; i < ps->n; i++) {
		const struct ps_plan_pattern *p = &ps->items[i];
		for (int j = 0; j < p->n; j++, at++) {
			c->row[at] = p->set[j].kind;
			c->entry[at] = p->set[j].count;
		}
		for (int j = 0; j <= s->price_of[p->type]; j++, at++) {
			c->row[at] = s->kinds + j;
			c->entry[at] = 1;
		}
		c->row[at] = s->kinds + s->n_prices + p->type;
		c->entry[at++] = 1;
		c->start[i - from + 1] = at;
		c->usd[i - from] = s->p->types[p->type].usd_per_hour;
		c->high[i - from] = DBL_MAX;
	}
	return true;
}

/* One dear column per kind, so that the programme always has a solution and duals. */
static bool columns_dear(const struct ps_plan_space *s, double dear, struct columns *c)
{
	if (!columns_init(c, s->kinds, (size_t)s->kinds))
		return false;
	for (int k = 0; k < s->kinds; k++) {
		c->row[k] = k;
		c->entry[k] = 1;
		c->start[k + 1] = k + 1;
		c->usd[k] = dear;
		c->high[k] = DBL_MAX;
	}
	return true;
}

/* A row without bounds has no dual, not even a rounded one, which would prove too much. */
static double bound_below(double low)
{
	return low > 0 ? low : -DBL_MAX;
}

static bool rows_of(const struct ps_plan_space *s, const double *low, const double *high,
		    double **ret_low, double **ret_high)
{
	size_t n = (size_t)s->kinds + (size_t)s->counts;
	double *l = malloc(n * sizeof(*l)), *h = malloc(n * sizeof(*h));

	if (!l || !h) {
		free(l);
		free(h);
		return false;
	}
	for (int k = 0; k < s->kinds; k++) {
		l[k] = s->p->kinds[k].parts;
		h[k] = DBL_MAX;
	}
	for (int i = 0; i < s->counts; i++) {
		l[s->kinds + i] = low ? bound_below(low[i]) : -DBL_MAX;
		h[s->kinds + i] = high && high[i] < DBL_MAX ? high[i] : DBL_MAX;
	}
	*ret_low = l;
	*ret_high = h;
	return true;
}

struct ps_plan_master *ps_plan_master_new(const struct ps_plan_space *s, double dear)
{
	struct ps_plan_master *m = calloc(1, sizeof(*m));
	struct columns c;
	double *low, *high;

	if (!m || !columns_dear(s, dear, &c)) {
		free(m);
		return NULL;
	}
	if (!rows_of(s, NULL, NULL, &low, &high)) {
		columns_fini(&c);
		free(m);
		return NULL;
	}
	m->s = s;
	m->clp = m->s->lib->Clp_newModel();
	m->s->lib->Clp_setLogLevel(m->clp, 0);
	m->s->lib->Clp_loadProblem(m->clp, c.n, s->kinds + s->counts, c.start, c.row, c.entry,
				   c.low, c.high, c.usd, low, high);
	columns_fini(&c);
	free(low);
	free(high);
	return m;
}

void ps_plan_master_free(struct ps_plan_master *m)
{
	if (!m)
		return;
	m->s->lib->Clp_deleteModel(m->clp);
	free(m);
}

bool ps_plan_master_add(struct ps_plan_master *m, const struct ps_plan_patterns *ps, int from)
{
	struct columns c;

	if (from == ps->n)
		return true;
	if (!columns_of(m->s, ps, from, &c))
		return false;
	m->s->lib->Clp_addColumns(m->clp, c.n, c.low, c.high, c.usd, c.start, c.row, c.entry);
	columns_fini(&c);
	return true;
}

void ps_plan_master_limit(struct ps_plan_master *m, int count, double low, double high)
{
	m->s->lib->Clp_rowLower(m->clp)[m->s->kinds + count] = bound_below(low);
	m->s->lib->Clp_rowUpper(m->clp)[m->s->kinds + count] = fmin(high, DBL_MAX);
}

void ps_plan_master_parts(struct ps_plan_master *m, int kind, double parts)
{
	m->s->lib->Clp_rowLower(m->clp)[kind] = parts;
}

const double *ps_plan_master_times(const struct ps_plan_master *m)
{
	/* Behind the dear columns. */
	return m->s->lib->Clp_primalColumnSolution(m->clp) + m->s->kinds;
}

bool ps_plan_master_solve(struct ps_plan_master *m, double *ret_usd, double *ret_dual,
			  double *ret_count_dual, double *ret_counts, double *ret_uncovered)
{
	int kinds = m->s->kinds;

	m->s->lib->Clp_primal(m->clp, 0);
	if (m->s->lib->Clp_status(m->clp) != 0)
		return false;
	const double *dual = m->s->lib->Clp_dualRowSolution(m->clp),
		     *row = m->s->lib->Clp_primalRowSolution(m->clp);
	const double *column = m->s->lib->Clp_primalColumnSolution(m->clp);
	const double *low = m->s->lib->Clp_rowLower(m->clp),
		     *high = m->s->lib->Clp_rowUpper(m->clp);
	for (int k = 0; k < kinds; k++)
		ret_dual[k] = fmax(dual[k], 0);
	for (int i = 0; i < m->s->counts; i++) {
		bool bounded = low[kinds + i] > 0 || high[kinds + i] < DBL_MAX;
		ret_count_dual[i] = bounded ? dual[kinds + i] : 0;
		ret_counts[i] = row[kinds + i];
	}
	*ret_uncovered = 0;
	for (int k = 0; k < kinds; k++)
		*ret_uncovered += column[k];
	*ret_usd = m->s->lib->Clp_objectiveValue(m->clp);
	return true;
}

/* ---- the integer programme ---- */

enum { BY_TIME = 4 }; /* what CBC's secondary status calls its limit of seconds */

static void read_times(const double *x, int n, int *ret_times)
{
	for (int i = 0; i < n; i++)
		ret_times[i] = (int)lround(x[i]);
}

bool ps_plan_integer(const struct ps_plan_space *s, const struct ps_plan_patterns *ps,
		     const double *low, const double *high, double below, int nodes, double seconds,
		     int *ret_times, double *ret_bound)
{
	struct columns c;
	double *row_low, *row_high;
	bool found = false;

	*ret_bound = 0;
	if (!columns_of(s, ps, 0, &c))
		return false;
	if (!rows_of(s, low, high, &row_low, &row_high)) {
		columns_fini(&c);
		return false;
	}
	Cbc_Model *m = s->lib->Cbc_newModel();
	s->lib->Cbc_setLogLevel(m, 0);
	s->lib->Cbc_loadProblem(m, c.n, s->kinds + s->counts, c.start, c.row, c.entry, c.low,
				c.high, c.usd, row_low, row_high);
	for (int i = 0; i < c.n; i++)
		s->lib->Cbc_setInteger(m, i);
	s->lib->Cbc_setMaximumNodes(m, nodes);
	s->lib->Cbc_setMaximumSeconds(m, seconds);
	s->lib->Cbc_setCutoff(m, below - 1e-7);
	/* By itself it gives up what is less than a hundredth of a thousandth cheaper. */
	s->lib->Cbc_setParameter(m, "increment", "1e-9");
	s->lib->Cbc_solve(m);
	/* Only a search that came to its end proves anything. */
	bool ended = s->lib->Cbc_status(m) == 0 && s->lib->Cbc_secondaryStatus(m) <= 1;
	if (s->was_late && s->lib->Cbc_secondaryStatus(m) == BY_TIME)
		*s->was_late = true;
	found = s->lib->Cbc_numberSavedSolutions(m) > 0 && s->lib->Cbc_getObjValue(m) < below;
	if (found)
		read_times(s->lib->Cbc_getColSolution(m), c.n, ret_times);
	if (ended && found && s->lib->Cbc_isProvenOptimal(m))
		*ret_bound = s->lib->Cbc_getObjValue(m);
	else if (ended && !found && s->lib->Cbc_isProvenInfeasible(m))
		*ret_bound = below;
	s->lib->Cbc_deleteModel(m);
	columns_fini(&c);
	free(row_low);
	free(row_high);
	return found;
}
