/* robust.c - lines that a few odd rows do not bend: Huber's estimator by reweighting (Huber, 1981;
 * Holland and Welsch, 1977). */
#include "predict/linear_internal.h"

#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TUNING	   1.345 /* 95 % as efficient as least squares when nothing is odd */
#define NORMAL_MAD 0.6745
#define LEAST	   1e-4 /* of the scale: rows that fit exactly are not fitted more exactly */
#define ROUNDS	   40
#define ENOUGH	   1e-8 /* change of the weights */

/* The scale of the residuals by their median; `sorted` is room for them. */
static double scale_of(const double *rest, double *sorted, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sorted[i] = fabs(rest[i]);
	ps_stats_sort(sorted, n);
	return fmax(ps_stats_quantile(sorted, n, 0.5) / NORMAL_MAD, LEAST);
}

/* Returns by how much the weight that changed most has changed. */
static double reweight(const struct ps_predict_rows *rows, const struct ps_predict_line *line,
		       double *rest, double *sorted, double *weight)
{
	double most = 0;

	for (size_t i = 0; i < rows->len; i++)
		rest[i] = ps_predict_line_rest(line, &rows->table->rows[rows->at[i]]);
	double limit = TUNING * scale_of(rest, sorted, rows->len);
	for (size_t i = 0; i < rows->len; i++) {
		double w = fabs(rest[i]) <= limit ? 1 : limit / fabs(rest[i]);
		most = fmax(most, fabs(w - weight[i]));
		weight[i] = w;
	}
	return most;
}

static enum ps_status iterate(const struct ps_predict_rows *rows, int form,
			      struct ps_predict_line *line, double *room, struct ps_error *err)
{
	double *weight = room, *rest = room + rows->len, *sorted = room + 2 * rows->len;

	for (size_t i = 0; i < rows->len; i++)
		weight[i] = 1;
	for (int round = 0; round < ROUNDS; round++) {
		enum ps_status st = ps_predict_line_fit(rows, form, weight, line, err);
		if (st != PS_OK)
			return st;
		if (reweight(rows, line, rest, sorted, weight) < ENOUGH)
			break;
	}
	return PS_OK;
}

static enum ps_status fit(const struct ps_predict_rows *rows, int variant, void **ret_fit,
			  struct ps_error *err)
{
	struct ps_predict_line *line = malloc(sizeof(*line));
	double *room = calloc(3 * rows->len + 1, sizeof(*room));
	enum ps_status st = line && room ? iterate(rows, variant, line, room, err)
					 : ps_error_set(err, PS_ENOMEM, "no memory to fit a line");

	free(room);
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

const struct ps_predict_candidate ps_predict_robust = {
	.name = "robust linear", .variants = PS_PREDICT_FORMS, .fit = fit, .at = at, .free = free};
