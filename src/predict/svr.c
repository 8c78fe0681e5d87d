/* svr.c - support-vector regression of logarithms, by libsvm: radial kernel, each column in units
 * of its standard deviation over the rows that are learned from. */
#include "predict/fit.h"
#include "predict/numeric_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TUBE 0.01 /* differences of logarithms below this are none: 1 % */

/* The variants: what the target is relative to, the price of errors, the reach of a row. */
static const double costs[] = {1, 10};
static const double reaches[] = {0.1, 0.4}; /* gamma, times the number of columns */
#define COSTS	 (sizeof(costs) / sizeof(*costs))
#define REACHES	 (sizeof(reaches) / sizeof(*reaches))
#define VARIANTS (2 * COSTS * REACHES)

struct svr {
	const struct ps_predict_svm *svm;
	struct svm_model *model;
	struct svm_node *nodes; /* of all rows: the model points into them */
	bool anchored;
	size_t first; /* column of logarithms */
	size_t n;
	unsigned char column[PS_PREDICT_MAX_COLUMNS];
	double middle[PS_PREDICT_MAX_COLUMNS], spread[PS_PREDICT_MAX_COLUMNS];
	double base; /* mean of the target */
};

static const struct ps_predict_row *row_of(const struct ps_predict_rows *rows, size_t i)
{
	return &rows->table->rows[rows->at[i]];
}

/* What the value is taken relative to: the first guess, or what it mostly follows. A kernel knows
 * nothing beyond its rows, so the less is left to it the better. */
static double base_of(const struct svr *s, const struct ps_predict_row *row)
{
	if (!s->anchored)
		return 1;
	return isfinite(row->anchor) ? row->anchor : row->x[s->first];
}

static double aim(const struct svr *s, const struct ps_predict_row *row)
{
	return log(row->y / base_of(s, row));
}

static size_t first_log(const struct ps_predict_quantity *q)
{
	size_t j = 0;

	while (j + 1 < q->column_len && !(q->columns[j].use & PS_PREDICT_LOGS))
		j++;
	return j;
}

/* Finds the columns that vary, where they lie, and the mean of the target. */
static bool look(struct svr *s, const struct ps_predict_rows *rows)
{
	const struct ps_predict_quantity *q = rows->table->quantity;
	double n = (double)rows->len;

	for (size_t j = 0; j < q->column_len; j++) {
		double sum = 0, squares = 0;
		for (size_t i = 0; i < rows->len; i++) {
			double x = log(row_of(rows, i)->x[j]);
			sum += x / n;
			squares += x * x / n;
		}
		double variance = squares - sum * sum;
		if (!(q->columns[j].use & PS_PREDICT_LOGS) || !(variance > 1e-9))
			continue;
		s->column[s->n] = (unsigned char)j;
		s->middle[s->n] = sum;
		s->spread[s->n++] = sqrt(variance);
	}
	for (size_t i = 0; i < rows->len; i++)
		s->base += aim(s, row_of(rows, i)) / n;
	return s->n > 0 && isfinite(s->base);
}

/* n + 1 nodes: libsvm ends them with index -1. */
static void put(const struct svr *s, const struct ps_predict_row *row, struct svm_node *ret_nodes)
{
	for (size_t j = 0; j < s->n; j++) {
		ret_nodes[j].index = (int)j + 1;
		ret_nodes[j].value = (log(row->x[s->column[j]]) - s->middle[j]) / s->spread[j];
	}
	ret_nodes[s->n].index = -1;
}

static enum ps_status train(struct svr *s, const struct ps_predict_rows *rows, int variant,
			    double *y, struct svm_node **x, struct ps_error *err)
{
	size_t k = (size_t)variant % (COSTS * REACHES);
	struct svm_parameter p = {.svm_type = EPSILON_SVR,
				  .kernel_type = RBF,
				  .gamma = reaches[k % REACHES] / (double)s->n,
				  .C = costs[k / REACHES],
				  .p = TUBE,
				  .eps = 1e-3,
				  .cache_size = 16,
				  .shrinking = 1};
	struct svm_problem problem = {.l = (int)rows->len, .y = y, .x = x};

	for (size_t i = 0; i < rows->len; i++) {
		x[i] = s->nodes + i * (s->n + 1);
		put(s, row_of(rows, i), x[i]);
		y[i] = aim(s, row_of(rows, i)) - s->base;
	}
	const char *wrong = s->svm->check(&problem, &p);
	if (wrong)
		return ps_error_set(err, PS_EINTERNAL, "libsvm: %s", wrong);
	s->model = s->svm->train(&problem, &p);
	return s->model ? PS_OK : ps_error_set(err, PS_ENOMEM, "no memory for support vectors");
}

static void release(void *fit)
{
	struct svr *s = fit;

	if (s && s->model)
		s->svm->free_model(&s->model);
	if (s)
		free(s->nodes);
	free(s);
}

static enum ps_status learn(struct svr *s, const struct ps_predict_rows *rows, int variant,
			    struct ps_error *err)
{
	enum ps_status st = ps_predict_svm_get(&s->svm, err);

	if (st != PS_OK)
		return st;
	s->anchored = (size_t)variant >= VARIANTS / 2;
	s->first = first_log(rows->table->quantity);
	if (rows->len < 3 || !look(s, rows))
		return ps_error_set(err, PS_EUNAVAIL, "too little for support vectors");
	s->nodes = calloc(rows->len * (s->n + 1), sizeof(*s->nodes));
	double *y = calloc(rows->len, sizeof(*y));
	struct svm_node **x = calloc(rows->len, sizeof(*x));
	st = s->nodes && y && x ? train(s, rows, variant, y, x, err)
				: ps_error_set(err, PS_ENOMEM, "no memory for support vectors");
	free(y);
	free((void *)x);
	return st;
}

static enum ps_status fit(const struct ps_predict_rows *rows, int variant, void **ret_fit,
			  struct ps_error *err)
{
	struct svr *s = calloc(1, sizeof(*s));

	if (!s)
		return ps_error_set(err, PS_ENOMEM, "no memory for support vectors");
	enum ps_status st = learn(s, rows, variant, err);
	if (st != PS_OK) {
		release(s);
		return st;
	}
	*ret_fit = s;
	return PS_OK;
}

static double at(const void *fit, const struct ps_predict_row *row)
{
	const struct svr *s = fit;
	struct svm_node nodes[PS_PREDICT_MAX_COLUMNS + 1];

	put(s, row, nodes);
	double v = s->base + s->svm->predict(s->model, nodes);
	v = exp(v) * base_of(s, row);
	return isfinite(v) && v > 0 ? v : NAN;
}

const struct ps_predict_candidate ps_predict_svr = {
	.name = "support vectors", .variants = VARIANTS, .fit = fit, .at = at, .free = release};
