#include "cache/clp_internal.h"

#include <coin/Clp_C_Interface.h>
#include <dlfcn.h>
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLP_FILE      "libClp.so.1"
#define CLP_TOLERANCE 1e-10

#define FUNCTIONS(X)                                                                               \
	X(Clp_addColumns)                                                                          \
	X(Clp_columnUpper)                                                                         \
	X(Clp_deleteModel)                                                                         \
	X(Clp_dualRowSolution)                                                                     \
	X(Clp_loadProblem)                                                                         \
	X(Clp_newModel)                                                                            \
	X(Clp_primal)                                                                              \
	X(Clp_primalColumnSolution)                                                                \
	X(Clp_rowLower)                                                                            \
	X(Clp_scaling)                                                                             \
	X(Clp_setDualTolerance)                                                                    \
	X(Clp_setLogLevel)                                                                         \
	X(Clp_setPrimalTolerance)                                                                  \
	X(Clp_status)

/* A member's name takes no parentheses. */
/* NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define MEMBER(name) __typeof__(&(name)) name;
#define ENTRY(name)  {#name, offsetof(struct functions, name)},

struct functions {
	FUNCTIONS(MEMBER)
};

static const struct {
	const char *name;
	size_t at;
} entries[] = {FUNCTIONS(ENTRY)};

static struct functions clp;
static char why_not[200]; /* empty: it is there */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void open_library(void)
{
	void *lib = dlopen(CLP_FILE, RTLD_NOW | RTLD_LOCAL);

	if (!lib) {
		const char *text = dlerror();
		snprintf(why_not, sizeof(why_not), "%s", text ? text : CLP_FILE);
		return;
	}
	for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++) {
		void *p = dlsym(lib, entries[i].name);
		if (!p) {
			snprintf(why_not, sizeof(why_not), "%s has no %s", CLP_FILE,
				 entries[i].name);
			return;
		}
		/* POSIX lets a function pass through void *; ISO C does not, hence the copy. */
		memcpy((char *)&clp + entries[i].at, &p, sizeof(p));
	}
}

/* Rows: those that rise, their floors, the sum of shares. Columns: t, z, then x. */
struct ps_cache_clp {
	Clp_Simplex *model;
	int rows, columns; /* of x */
	bool *held;	   /* [rows] */
	int *index;	   /* [2 rows + 1] */
	double *entry;	   /* [2 rows + 1] */
};

void ps_cache_clp_free(struct ps_cache_clp *lp)
{
	if (!lp)
		return;
	if (lp->model)
		clp.Clp_deleteModel(lp->model);
	free(lp->held);
	free(lp->index);
	free(lp->entry);
	free(lp);
}

struct bounds {
	int *start, *index;
	double *entry, *high, *low, *cost, *below, *above;
};

static void bounds_fini(struct bounds *b)
{
	free(b->start);
	free(b->index);
	free(b->entry);
	free(b->high);
	free(b->low);
	free(b->cost);
	free(b->below);
	free(b->above);
}

static bool bounds_init(struct bounds *b, int rows)
{
	size_t n = 2 * (size_t)rows + 2;

	*b = (struct bounds){
		.start = calloc(n, sizeof(int)),
		.index = calloc(n, sizeof(int)),
		.entry = calloc(n, sizeof(double)),
		.high = calloc(n, sizeof(double)),
		.low = calloc(n, sizeof(double)),
		.cost = calloc(n, sizeof(double)),
		.below = calloc(n, sizeof(double)),
		.above = calloc(n, sizeof(double)),
	};
	return b->start && b->index && b->entry && b->high && b->low && b->cost && b->below &&
	       b->above;
}

/* t, whose cost is -1 since CLP minimises, and the z, all held at 0. */
static bool load(struct ps_cache_clp *lp)
{
	struct bounds b;
	bool ok = bounds_init(&b, lp->rows);
	int n = lp->rows;

	for (int i = 0; ok && i < n; i++) {
		b.index[i] = b.index[n + i] = i;
		b.entry[i] = -1;
		b.entry[n + i] = 1;
		b.start[i + 1] = n + i;
		b.above[i] = b.above[n + i] = DBL_MAX;
		b.below[n + i] = -DBL_MAX;
	}
	if (ok) {
		b.start[n + 1] = 2 * n;
		b.cost[0] = -1;
		b.high[0] = DBL_MAX;
		b.below[2 * n] = b.above[2 * n] = 1;
		clp.Clp_loadProblem(lp->model, n + 1, 2 * n + 1, b.start, b.index, b.entry, b.low,
				    b.high, b.cost, b.below, b.above);
	}
	bounds_fini(&b);
	return ok;
}

static enum ps_status available(struct ps_error *err)
{
	pthread_once(&once, open_library);
	if (!why_not[0])
		return PS_OK;
	ps_error_set(err, PS_ENOTFOUND, "max-min fairness needs CLP: %s", why_not);
	ps_error_hint(err, "install the package coinor-libclp1");
	return PS_ENOTFOUND;
}

enum ps_status ps_cache_clp_new(int rows, struct ps_cache_clp **ret_lp, struct ps_error *err)
{
	enum ps_status st = available(err);

	if (st != PS_OK)
		return st;
	struct ps_cache_clp *lp = calloc(1, sizeof(*lp));
	if (!lp)
		return ps_error_set(err, PS_ENOMEM, "no memory for a linear programme");
	size_t n = 2 * (size_t)rows + 1;
	lp->rows = rows;
	lp->held = calloc(n, sizeof(*lp->held));
	lp->index = malloc(n * sizeof(*lp->index));
	lp->entry = malloc(n * sizeof(*lp->entry));
	if (lp->held && lp->index && lp->entry)
		lp->model = clp.Clp_newModel();
	if (lp->model) {
		clp.Clp_setLogLevel(lp->model, 0);
		clp.Clp_scaling(lp->model, 0); /* all entries are of one size */
		clp.Clp_setPrimalTolerance(lp->model, CLP_TOLERANCE);
		clp.Clp_setDualTolerance(lp->model, CLP_TOLERANCE);
	}
	if (!lp->model || !load(lp)) {
		ps_cache_clp_free(lp);
		return ps_error_set(err, PS_ENOMEM, "no memory for a linear programme");
	}
	*ret_lp = lp;
	return PS_OK;
}

void ps_cache_clp_add(struct ps_cache_clp *lp, const double *a)
{
	const double zero = 0, most = DBL_MAX;
	int start[2] = {0, 0}, n = 0;

	for (int side = 0; side < 2; side++)
		for (int i = 0; i < lp->rows; i++) {
			if (!(a[i] > 0))
				continue;
			lp->index[n] = side * lp->rows + i;
			lp->entry[n++] = a[i];
		}
	lp->index[n] = 2 * lp->rows;
	lp->entry[n++] = 1;
	start[1] = n;
	clp.Clp_addColumns(lp->model, 1, &zero, &most, &zero, start, lp->index, lp->entry);
	lp->columns++;
}

void ps_cache_clp_hold(struct ps_cache_clp *lp, int row, double low)
{
	lp->held[row] = true;
	clp.Clp_columnUpper(lp->model)[1 + row] = DBL_MAX;
	clp.Clp_rowLower(lp->model)[lp->rows + row] = low;
}

enum ps_status ps_cache_clp_solve(struct ps_cache_clp *lp, double *ret_x, double *ret_y,
				  struct ps_error *err)
{
	clp.Clp_primal(lp->model, 0);
	if (clp.Clp_status(lp->model) != 0)
		return ps_error_set(err, PS_EINTERNAL,
				    "CLP ended a small linear programme with status %d",
				    clp.Clp_status(lp->model));
	const double *x = clp.Clp_primalColumnSolution(lp->model);
	const double *y = clp.Clp_dualRowSolution(lp->model);
	for (int c = 0; c < lp->columns; c++)
		ret_x[c] = fmax(0, x[1 + lp->rows + c]);
	for (int i = 0; i < lp->rows; i++)
		ret_y[i] = fmax(0, y[lp->held[i] ? lp->rows + i : i]);
	return PS_OK;
}
