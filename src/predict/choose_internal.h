/* choose_internal.h - what the parts of choosing share. */
#ifndef PS_PREDICT_CHOOSE_INTERNAL_H
#define PS_PREDICT_CHOOSE_INTERNAL_H

#include "predict/choose.h"

/* ps_predict_is_of says whether a row is of the model. */
bool ps_predict_is_of(const struct ps_predict_row *row, int model);
/* ps_predict_without splits the rows' indexes; both arrays have room for all. Returns how many are
 * kept. */
size_t ps_predict_without(const struct ps_predict_rows *rows, int model, size_t *ret_kept,
			  size_t *ret_left, size_t *ret_left_len);
/* ps_predict_mean_error is the mean of |said / y - 1|; INFINITY when something was not said. */
double ps_predict_mean_error(const struct ps_predict_table *t, const size_t *rows,
			     const double *said, size_t len);
size_t ps_predict_count(const struct ps_predict_candidate *const *candidates);

#endif
