/* choose.h - which candidate is best, how wrong it is on models that it has not seen, and what it
 *   says about a new one.   Layer 3, pure. Uses base and stats.
 *
 * Nested, by leaving models out, never rows. `choose` is the procedure: of all variants of all
 * candidates take the one with the least mean error over "learn without a model, predict that
 * model", and learn it again from everything. `learn` runs the procedure on all rows, and once
 * more without each model in turn (hyper-parameters and the choice of the candidate included): what
 * these runs say about the model that they have not seen is the error that is reported.
 *
 * Intervals are those of the jackknife+ (Barber, Candes, Ramdas and Tibshirani, 2021) over models,
 * on logarithms: each run without a model says where the new value is, and how far it was off on
 * the model that it had not seen. With one row per model at the setting asked for, each of one
 * model and inside the measured range, the interval holds the new value with a probability of at
 * least 1 - 2 (1 - confidence) whatever the distribution, provided that the new model is drawn like
 * the others; in practice about `confidence`. Otherwise nothing is promised. Several rows of a
 * model share its weight (Dunn, Wasserman and Ramdas, 2022), of which those at the setting nearest
 * to the one asked for count. n models cannot bound more than a confidence of n / (n + 1): beyond,
 * there is no interval, and it is said how many models are missing.
 */
#ifndef PS_PREDICT_CHOOSE_H
#define PS_PREDICT_CHOOSE_H

#include "predict/fit.h"

#include <stdint.h>

#define PS_PREDICT_MIN_MODELS 3 /* to choose anything: leave one out, learn from two */

/* ---- the procedure ---- */

struct ps_predict_choice {
	const struct ps_predict_candidate *candidate;
	int variant;
	void *fit;
	double score; /* its mean error over models left out, within the rows it was chosen on */
};

/* ps_predict_model_count counts the models that the rows are of. */
int ps_predict_model_count(const struct ps_predict_rows *rows);

/* ps_predict_choose runs the procedure. `candidates` is NULL-terminated. When ret_best is not NULL
 * it gets, for each candidate, its best variant as a choice of its own (fit NULL and score INFINITY
 * where it dropped out). PS_EUNAVAIL when none can learn from the rows or they are of under
 * PS_PREDICT_MIN_MODELS models. Free each with ps_predict_choice_fini. */
enum ps_status ps_predict_choose(const struct ps_predict_rows *rows,
				 const struct ps_predict_candidate *const *candidates,
				 struct ps_predict_choice *ret_choice,
				 struct ps_predict_choice *ret_best, struct ps_error *err);
double ps_predict_choice_at(const struct ps_predict_choice *c, const struct ps_predict_row *row);
void ps_predict_choice_fini(struct ps_predict_choice *c);

/* ---- learning, with its error ---- */

/* The procedure run without one model. */
struct ps_predict_fold {
	int model;
	struct ps_predict_choice choice;
	size_t *rows; /* of the table: those of the model, len of them */
	double *said; /* what it says about each; NAN: nothing */
	size_t len;
	double error; /* mean of |said / y - 1| */
	double noise; /* mean of the rows' noise; NAN: not known */
};

struct ps_predict_tried {
	const struct ps_predict_candidate *candidate;
	double error; /* as below, choosing only among its own variants; INFINITY: dropped out */
};

struct ps_predict_learned {
	const struct ps_predict_table *table; /* borrowed */
	struct ps_predict_choice choice;      /* from all rows */
	struct ps_predict_fold *folds;
	size_t fold_len;
	struct ps_predict_tried *tried;
	size_t tried_len;
	double error; /* the mean of the folds' errors: every model counts the same */
	double noise; /* the same of the noise; NAN: of no row */
};

/* ps_predict_learn learns from a table, which must stay. PS_ECORRUPT and PS_ETOOBIG as
 * ps_predict_table_check, PS_EUNAVAIL as ps_predict_choose (with one model more). */
enum ps_status ps_predict_learn(const struct ps_predict_table *t,
				const struct ps_predict_candidate *const *candidates,
				struct ps_predict_learned **ret_learned, struct ps_error *err);
void ps_predict_learned_free(struct ps_predict_learned *l);

/* ---- asking ---- */

/* Something of a question that lies outside what was measured. */
struct ps_predict_beyond {
	const char *name;	 /* of the column, setting or kind of operator */
	double value, low, high; /* NAN: settings that were measured, but never together */
};

#define PS_PREDICT_MAX_BEYOND                                                                      \
	(PS_PREDICT_MAX_COLUMNS + PS_PREDICT_MAX_PLACES + 1 + PS_PREDICT_KINDS)

struct ps_predict_estimate {
	double value;
	double low, high; /* when has_interval */
	bool has_interval;
	double confidence;   /* asked for */
	double guaranteed;   /* what holds whatever the distribution; 0: no such promise */
	size_t needs_models; /* without an interval: how many more there must be; 0: there are
			      * enough, but the runs without one of them say nothing */
	const char *candidate;
	struct ps_predict_beyond beyond[PS_PREDICT_MAX_BEYOND];
	size_t beyond_len; /* 0: inside the measured range everywhere */
};

/* ps_predict_at predicts a row whose y is not known. 0.5 <= confidence < 1. PS_EUNAVAIL when the
 * chosen candidate says nothing about it; PS_ECORRUPT when the row itself holds no numbers. */
enum ps_status ps_predict_at(const struct ps_predict_learned *l, const struct ps_predict_row *row,
			     double confidence, struct ps_predict_estimate *ret_estimate,
			     struct ps_error *err);
/* ps_predict_by_choice is the same from a choice alone, without error and interval: for a table of
 * too few models. */
enum ps_status ps_predict_by_choice(const struct ps_predict_table *t,
				    const struct ps_predict_choice *c,
				    const struct ps_predict_row *row, double confidence,
				    struct ps_predict_estimate *ret_estimate, struct ps_error *err);

#endif
