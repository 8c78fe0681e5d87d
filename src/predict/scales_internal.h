/* scales_internal.h - from the sum of a model's operators to what a run of it takes. */
#ifndef PS_PREDICT_SCALES_INTERNAL_H
#define PS_PREDICT_SCALES_INTERNAL_H

#include "predict/fit.h"

#define PS_PREDICT_MOST_SCALES 256

/* What a whole run takes, over the sum of its operators, under each setting that was measured. */
struct ps_predict_scales {
	size_t place_len;
	struct {
		double place[PS_PREDICT_MAX_PLACES];
		double ratio;
	} at[PS_PREDICT_MOST_SCALES];
	size_t len;
	double any; /* over all settings */
};

/* The time of one operator as a candidate says it, in ns; NAN: nothing is known. */
typedef double ps_predict_op_time(const void *fit, const struct ps_predict_op *op);

/* ps_predict_sum_ops adds up a model's operators. With `measured`, as they were measured where they
 * were: of rows that are learned from. */
double ps_predict_sum_ops(ps_predict_op_time *time, const void *fit,
			  const struct ps_predict_model *w, bool measured);
/* ps_predict_scales_learn takes the median over models of run / sum, for every setting of the rows.
 * PS_EUNAVAIL when there is none, PS_ENOMEM. */
enum ps_status ps_predict_scales_learn(struct ps_predict_scales *s,
				       const struct ps_predict_rows *rows, ps_predict_op_time *time,
				       const void *fit, struct ps_error *err);
/* ps_predict_scales_at returns the ratio of the row's setting; over all when it is a new one. */
double ps_predict_scales_at(const struct ps_predict_scales *s, const struct ps_predict_row *row);

/* ps_predict_op_timed says whether an operator has a measured time. */
bool ps_predict_op_timed(const struct ps_predict_op *op);
/* ps_predict_first_work says whether no row before i has the same work: a model has one row per
 * setting, but its operators count once. */
bool ps_predict_first_work(const struct ps_predict_rows *rows, size_t i);

#endif
