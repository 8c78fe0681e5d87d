/* predict.h - the quantities that are predicted, and what of a model they are predicted from.
 *   Layer 3, pure. Uses base and stats. (How: choose.h. Operators: work.h. Physics: physical.h.)
 *
 *	quantity	of what			from what
 *	service time	model, batch, threads	the model's file, operators of other models
 *	transfer	the same, another slice	its service time on a slice where it was measured
 *	capacity	model alone, SLA	its service time
 *	slowdown	model beside a model	both profiles (service times, work) and their rates
 *	p99 together	the same		the same
 *	sets		the same beside several	what is said of it beside each
 *	memory		model in a server	the model's file
 *
 * Times are nanoseconds, rates requests per second. Where something is not a positive number, the
 * row is refused later, by ps_predict_learn or ps_predict_at.
 */
#ifndef PS_PREDICT_PREDICT_H
#define PS_PREDICT_PREDICT_H

#include "predict/choose.h"
#include "predict/fit.h"
#include "predict/work.h"

extern const struct ps_predict_quantity ps_predict_service, ps_predict_transfer,
	ps_predict_capacity, ps_predict_slowdown, ps_predict_p99, ps_predict_memory,
	ps_predict_set_slowdown, ps_predict_set_p99;

/* What a server is given: the setting of a row. */
struct ps_predict_slice {
	double cpus;	/* of the slice */
	double lanes;	/* runs at the same time */
	double threads; /* of one run */
};

/* ps_predict_service_row fills a row about running `work` (at its batch, which stays) on the slice.
 * y, noise and models are the caller's. */
void ps_predict_service_row(const struct ps_predict_model *work,
			    const struct ps_predict_slice *slice, struct ps_predict_row *ret_row);

/* ps_predict_transfer_row fills a row about the same on another slice than the one where
 * `service_ns` was measured. */
void ps_predict_transfer_row(const struct ps_predict_model *work, double service_ns,
			     const struct ps_predict_slice *slice, struct ps_predict_row *ret_row);

/* One tenant as profiles know it. */
struct ps_predict_tenant {
	double service_ns; /* of one request */
	double variation;  /* standard deviation of the service over its mean */
	double rate_rps;
	double moved_bytes; /* by one request: weights and activations */
};

/* ps_predict_capacity_row: of a tenant alone that shall keep its p-quantile of latency under
 * limit_ns; its rate does not count. */
void ps_predict_capacity_row(const struct ps_predict_tenant *t, double p, double limit_ns,
			     const struct ps_predict_slice *slice, struct ps_predict_row *ret_row);
/* ps_predict_pair_row: of `own` beside `other`, for the slowdown of the median latency or for the
 * p99 in ns. */
void ps_predict_slowdown_row(const struct ps_predict_tenant *own,
			     const struct ps_predict_tenant *other,
			     const struct ps_predict_slice *slice, struct ps_predict_row *ret_row);
void ps_predict_p99_row(const struct ps_predict_tenant *own, const struct ps_predict_tenant *other,
			const struct ps_predict_slice *slice, struct ps_predict_row *ret_row);

/* ---- several neighbours ---- */

#define PS_PREDICT_MAX_NEIGHBOURS 15

/* A tenant beside several others. */
struct ps_predict_set {
	struct ps_predict_tenant own;
	int own_model; /* of the table of pairs */
	const struct ps_predict_tenant *others;
	const int *other_models;
	int n; /* 2 to PS_PREDICT_MAX_NEIGHBOURS */
	struct ps_predict_slice slice;
	double guess; /* > 0: the queue of all of them, known better (replay.h); else of a long run
		       */
};

/* ps_predict_set_at predicts the slowdown or the p99 of a set's own tenant, whichever `pairs` was
 * learned of: the queue of all of them, times what pairs are off by from the queue of two, as the
 * geometric mean over the neighbours by their loads (what they are off by is mostly the tenant's
 * own, and in all of its pairs). Never under 1, and never under the tenant's own run. Ends of the
 * interval are made of the pairs' ends in the same way; nothing is guaranteed. PS_EUNAVAIL: a queue
 * that never settles, or `pairs` says nothing. */
enum ps_status ps_predict_set_at(const struct ps_predict_learned *pairs,
				 const struct ps_predict_set *set, double confidence,
				 struct ps_predict_estimate *ret_estimate, struct ps_error *err);
/* ps_predict_set_unseen is its value by the run of `pairs` that has not seen own_model; NAN. */
double ps_predict_set_unseen(const struct ps_predict_learned *pairs,
			     const struct ps_predict_set *set);

/* ps_predict_memory_row fills a row about what a model takes in a server, batch 1. */
void ps_predict_memory_row(const struct ps_predict_model *work, struct ps_predict_row *ret_row);

/* ---- few measured models ---- */

/* How well a quantity is learned from `measured` models alone: over every set of so many (at most
 * PS_PREDICT_MAX_SETS of them, drawn from `seed`), the procedure chooses and learns from their rows
 * and predicts all other models. */
#define PS_PREDICT_MAX_SETS 500
struct ps_predict_few {
	int sets;
	double error;	  /* mean over sets and models */
	double *of_model; /* mean over the sets without it; model_len of the table; free() it */
};
enum ps_status ps_predict_from_few(const struct ps_predict_table *t,
				   const struct ps_predict_candidate *const *candidates,
				   int measured, uint64_t seed, struct ps_predict_few *ret_few,
				   struct ps_error *err);

#endif
