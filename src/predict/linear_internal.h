/* linear_internal.h - straight lines through rows, in three forms, with weights. */
#ifndef PS_PREDICT_LINEAR_INTERNAL_H
#define PS_PREDICT_LINEAR_INTERNAL_H

#include "predict/fit.h"

#include <stddef.h>

/* The forms, one per variant of the linear candidates. */
enum {
	PS_PREDICT_FORM_SUM,  /* y = sum w_j x_j over the columns that add, w >= 0 */
	PS_PREDICT_FORM_LOG1, /* log y = w_0 + w_1 log x_1 */
	PS_PREDICT_FORM_LOG2, /* ... over the two columns that matter most */
	PS_PREDICT_FORM_LOG3,
	PS_PREDICT_FORM_LOGS,	 /* ... over all columns of logarithms */
	PS_PREDICT_FORM_ANCHOR1, /* log (y / anchor) = w_0 + w_1 log x_1 */
	PS_PREDICT_FORM_ANCHOR2,
	PS_PREDICT_FORM_ANCHOR3,
	PS_PREDICT_FORMS
};

struct ps_predict_line {
	int form;
	size_t n;
	unsigned char column[PS_PREDICT_MAX_COLUMNS + 1]; /* of the rows; PS_PREDICT_CONSTANT */
	double w[PS_PREDICT_MAX_COLUMNS + 1];
};
#define PS_PREDICT_CONSTANT 255

/* ps_predict_line_fit minimises the weighted sum of squared relative errors (sum) or differences of
 * logarithms. `weight` has one number per row, or is NULL. PS_EUNAVAIL: too few rows or no such
 * columns. */
enum ps_status ps_predict_line_fit(const struct ps_predict_rows *rows, int form,
				   const double *weight, struct ps_predict_line *ret_line,
				   struct ps_error *err);
/* ps_predict_line_at gives its value; NAN where a logarithm does not exist. */
double ps_predict_line_at(const struct ps_predict_line *line, const struct ps_predict_row *row);
/* ps_predict_line_rest is how far a measured row lies from it: y as a share, or in logarithms. */
double ps_predict_line_rest(const struct ps_predict_line *line, const struct ps_predict_row *row);

#endif
