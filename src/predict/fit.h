/* fit.h - what is learned from, and what can be learned: rows, candidates.   Layer 3, pure.
 *   Uses base.
 *
 * A row is one thing that was measured (the service time of a model at a batch size; the slowdown
 * of a model beside another), with what was known of it before. Every row belongs to one model or
 * to two; a fold is "without everything that this model took part in".
 *
 * A candidate is a way to learn, with a number of variants of itself (hyper-parameters). Fits are
 * deterministic and do not depend on the order of rows beyond rounding.
 */
#ifndef PS_PREDICT_FIT_H
#define PS_PREDICT_FIT_H

#include "base/error.h"
#include "predict/physical.h"
#include "predict/work.h"

#include <stdbool.h>
#include <stddef.h>

#define PS_PREDICT_MAX_COLUMNS 20
#define PS_PREDICT_MAX_PLACES  4
#define PS_PREDICT_MAX_MODELS  256
#define PS_PREDICT_MAX_ROWS    20000

/* How a column may be used. */
enum {
	PS_PREDICT_ADDS = 1, /* a part of the whole: more of it never makes the value less */
	PS_PREDICT_LOGS = 2, /* the value follows a power of it; > 0 in every row */
};

struct ps_predict_column {
	const char *name; /* "multiply-accumulates" */
	unsigned use;
};

/* What a table is about. Columns of PS_PREDICT_LOGS stand in the order of their importance. */
struct ps_predict_quantity {
	const char *name, *unit; /* "service time", "ns" */
	struct ps_predict_column columns[PS_PREDICT_MAX_COLUMNS];
	size_t column_len;
	const char *places[PS_PREDICT_MAX_PLACES]; /* names of the settings: "batch", "threads" */
	size_t place_len;
	double goal; /* of the mean error, as a share */
};

struct ps_predict_row {
	int models[2];			     /* whom it is of; models[1] -1: of one */
	double place[PS_PREDICT_MAX_PLACES]; /* > 0; under which setting */
	double x[PS_PREDICT_MAX_COLUMNS];    /* >= 0 */
	double y;			     /* > 0: measured. NAN in a row that is asked for */
	double noise;  /* half-width of y's 95 % interval, as a share of y; NAN */
	double anchor; /* > 0: a first guess, by physics; NAN: none */
	const struct ps_predict_model
		*work; /* its operators at this batch; NULL: not asked about */
};

struct ps_predict_table {
	const struct ps_predict_quantity *quantity;
	const char *const *models; /* names */
	int model_len;
	const struct ps_predict_row *rows;
	size_t len;
	const struct ps_predict_machine *machine; /* where operators were timed; NULL: not known */
};

/* The rows of a table that are learned from. */
struct ps_predict_rows {
	const struct ps_predict_table *table;
	const size_t *at; /* indexes */
	size_t len;
};

struct ps_predict_candidate {
	const char *name;
	int variants;
	/* fit learns from the rows. PS_EUNAVAIL: there is too little of what it learns from, so it
	 * is no candidate here. PS_ENOTFOUND (a library), PS_ENOMEM. */
	enum ps_status (*fit)(const struct ps_predict_rows *rows, int variant, void **ret_fit,
			      struct ps_error *err);
	/* at gives the value for a row; NAN when it cannot. */
	double (*at)(const void *fit, const struct ps_predict_row *row);
	void (*free)(void *fit);
};

extern const struct ps_predict_candidate ps_predict_linear, ps_predict_robust, ps_predict_svr,
	ps_predict_operators, ps_predict_roofline, ps_predict_median, ps_predict_anchor;

/* All of them, for every target: those that cannot learn from a table drop out. NULL-terminated. */
extern const struct ps_predict_candidate *const ps_predict_candidates[];

/* ps_predict_table_check refuses what nothing can be learned from: PS_ECORRUPT with the row's model
 * and column for a value that is NaN, infinite or negative, PS_ETOOBIG over a limit above. */
enum ps_status ps_predict_table_check(const struct ps_predict_table *t, struct ps_error *err);

#endif
