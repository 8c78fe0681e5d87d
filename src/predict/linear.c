/* linear.c - least squares of relative errors: the mean error is a share, so that is what counts.
 */
#include "predict/linear_internal.h"
#include "predict/numeric_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct ps_predict_quantity *quantity_of(const struct ps_predict_rows *rows)
{
	return rows->table->quantity;
}

static const struct ps_predict_row *row_of(const struct ps_predict_rows *rows, size_t i)
{
	return &rows->table->rows[rows->at[i]];
}

static bool is_anchored(int form)
{
	return form >= PS_PREDICT_FORM_ANCHOR1;
}

/* How many of the columns of logarithms a form takes; all when there are fewer. */
static size_t logs_of(int form)
{
	static const size_t n[PS_PREDICT_FORMS] = {
		[PS_PREDICT_FORM_LOG1] = 1,    [PS_PREDICT_FORM_LOG2] = 2,
		[PS_PREDICT_FORM_LOG3] = 3,    [PS_PREDICT_FORM_LOGS] = PS_PREDICT_MAX_COLUMNS,
		[PS_PREDICT_FORM_ANCHOR1] = 1, [PS_PREDICT_FORM_ANCHOR2] = 2,
		[PS_PREDICT_FORM_ANCHOR3] = 3,
	};

	return n[form];
}

static void choose_columns(const struct ps_predict_quantity *q, struct ps_predict_line *line)
{
	unsigned use = line->form == PS_PREDICT_FORM_SUM ? PS_PREDICT_ADDS : PS_PREDICT_LOGS;
	size_t most =
		line->form == PS_PREDICT_FORM_SUM ? PS_PREDICT_MAX_COLUMNS : logs_of(line->form);

	line->n = 0;
	for (size_t j = 0; j < q->column_len && line->n < most; j++)
		if (q->columns[j].use & use)
			line->column[line->n++] = (unsigned char)j;
	if (line->n > 0 && use == PS_PREDICT_LOGS)
		line->column[line->n++] = PS_PREDICT_CONSTANT;
}

/* The number that a weight is multiplied with. */
static double term(const struct ps_predict_line *line, size_t j, const struct ps_predict_row *row)
{
	if (line->column[j] == PS_PREDICT_CONSTANT)
		return 1;
	double x = row->x[line->column[j]];
	return line->form == PS_PREDICT_FORM_SUM ? x : log(x);
}

static double aim(const struct ps_predict_line *line, const struct ps_predict_row *row)
{
	return is_anchored(line->form) ? log(row->y / row->anchor) : log(row->y);
}

static double dot(const struct ps_predict_line *line, const struct ps_predict_row *row)
{
	double sum = 0;

	for (size_t j = 0; j < line->n; j++)
		sum += line->w[j] * term(line, j, row);
	return sum;
}

double ps_predict_line_at(const struct ps_predict_line *line, const struct ps_predict_row *row)
{
	double v = dot(line, row);

	if (line->form == PS_PREDICT_FORM_SUM)
		return v > 0 ? v : NAN;
	v = exp(v) * (is_anchored(line->form) ? row->anchor : 1);
	return isfinite(v) && v > 0 ? v : NAN;
}

double ps_predict_line_rest(const struct ps_predict_line *line, const struct ps_predict_row *row)
{
	if (line->form == PS_PREDICT_FORM_SUM)
		return dot(line, row) / row->y - 1;
	return dot(line, row) - aim(line, row);
}

/* One equation: of a sum divided by what was measured, so that it is about a share. */
static bool equation(const struct ps_predict_line *line, const struct ps_predict_row *row,
		     double weight, double *ret_a, double *ret_b)
{
	double root = sqrt(weight), by = line->form == PS_PREDICT_FORM_SUM ? row->y : 1;
	bool fine = true;

	for (size_t j = 0; j < line->n; j++) {
		ret_a[j] = root * term(line, j, row) / by;
		fine &= isfinite(ret_a[j]);
	}
	*ret_b = root * (line->form == PS_PREDICT_FORM_SUM ? 1 : aim(line, row));
	return fine && isfinite(*ret_b);
}

static enum ps_status too_little(struct ps_error *err)
{
	return ps_error_set(err, PS_EUNAVAIL, "too little to fit a line");
}

enum ps_status ps_predict_line_fit(const struct ps_predict_rows *rows, int form,
				   const double *weight, struct ps_predict_line *ret_line,
				   struct ps_error *err)
{
	struct ps_predict_line line = {.form = form};

	choose_columns(quantity_of(rows), &line);
	/* weights that may not be negative need no more rows than columns */
	if (line.n == 0 || rows->len < (form == PS_PREDICT_FORM_SUM ? 2 : line.n + 1))
		return too_little(err);
	double *a = calloc(rows->len * (line.n + 1), sizeof(*a));
	if (!a)
		return ps_error_set(err, PS_ENOMEM, "no memory to fit a line");
	double *b = a + rows->len * line.n;
	bool fine = true;
	for (size_t i = 0; i < rows->len; i++)
		fine &= equation(&line, row_of(rows, i), weight ? weight[i] : 1, a + i * line.n,
				 &b[i]);
	enum ps_status st = PS_OK;
	if (!fine)
		st = too_little(err);
	else if (form == PS_PREDICT_FORM_SUM)
		st = ps_predict_nonnegative(a, b, rows->len, line.n, line.w, err);
	else
		st = ps_predict_least_squares(a, b, rows->len, line.n, line.w, err);
	free(a);
	if (st == PS_OK)
		*ret_line = line;
	return st;
}

/* ---- the candidate ---- */

static enum ps_status fit(const struct ps_predict_rows *rows, int variant, void **ret_fit,
			  struct ps_error *err)
{
	struct ps_predict_line *line = malloc(sizeof(*line));

	if (!line)
		return ps_error_set(err, PS_ENOMEM, "no memory to fit a line");
	enum ps_status st = ps_predict_line_fit(rows, variant, NULL, line, err);
	if (st != PS_OK) {
		free(line);
		return st;
	}
	*ret_fit = line;
	return PS_OK;
}

static double at(const void *line, const struct ps_predict_row *row)
{
	return ps_predict_line_at(line, row);
}

const struct ps_predict_candidate ps_predict_linear = {
	.name = "linear", .variants = PS_PREDICT_FORMS, .fit = fit, .at = at, .free = free};
