/* scales_internal.h - from the sum of a model's operators to what a run of it takes. */
#ifndef PS_PREDICT_SCALES_INTERNAL_H
#define PS_PREDICT_SCALES_INTERNAL_H

#include "predict/fit.h"

#define PS_PREDICT_MOST_SCALES 256

/* What a whole run takes, over the sum of its operators, under each setting that was measured. The
 * first place of a quantity is the size (a batch), the others are the slice. */
struct ps_predict_scales {
	size_t place_len;
	struct {
		double place[PS_PREDICT_MAX_PLACES];
		double ratio;
	} at[PS_PREDICT_MOST_SCALES];
	size_t len;
};

/* The time of one operator of a run of `batch` as a candidate says it, in ns, without what it
 * learned from model `except` (-1: from all); NAN: nothing is known. */
typedef double ps_predict_op_time(const void *fit, const struct ps_predict_op *op, int64_t batch,
				  int except);

/* ps_predict_sum_ops adds up a model's operators. */
double ps_predict_sum_ops(ps_predict_op_time *time, const void *fit,
			  const struct ps_predict_model *w, int except);
/* ps_predict_scales_learn takes the median over models of run / sum, for every setting of the rows.
 * The sums are predicted ones, of models that had no part in them where the candidate can leave
 * them out: so the median also holds what predicted sums are usually off by. `by_batch` says that
 * they are proportional to the batch. PS_EUNAVAIL when there is none, PS_ENOMEM. */
enum ps_status ps_predict_scales_learn(struct ps_predict_scales *s,
				       const struct ps_predict_rows *rows, ps_predict_op_time *time,
				       const void *fit, bool by_batch, struct ps_error *err);
/* ps_predict_scales_at returns the ratio of the row's setting; when it is a new one, of the nearest
 * that was measured: on the nearest slice the nearest size, in factors. */
double ps_predict_scales_at(const struct ps_predict_scales *s, const struct ps_predict_row *row);

/* ps_predict_op_timed says whether an operator has a measured time. */
bool ps_predict_op_timed(const struct ps_predict_op *op);
/* ps_predict_first_work says whether no row before i is of the same model at the same batch or a
 * smaller one: a model has one row per setting, but its operators count once. */
bool ps_predict_first_work(const struct ps_predict_rows *rows, size_t i);

#endif
