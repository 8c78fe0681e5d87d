/* physical.h - how long operators take, from what the machine can do.   Layer 3, pure.
 *
 * A roofline with a toll (Williams, Waterman and Patterson, 2009): an operator takes
 *
 *	t = toll + max(work / speed, bytes / bandwidth)
 *
 * where speed is a share of the machine's own speed in products (or of its memory's in what only
 * moves data), the bandwidth a share of what its memory gives to so many bytes, and the toll what
 *an operator costs that does nothing. The two shares and the toll belong to the kind of operator,
 *not to the model: they are fitted from operators of other models that were measured. What the
 *machine can do are probes, given as values (host/probe_machine.h makes them).
 */
#ifndef PS_PREDICT_PHYSICAL_H
#define PS_PREDICT_PHYSICAL_H

#include "predict/work.h"

#define PS_PREDICT_MAX_LEVELS 8

/* What a machine can do with a number of threads together. */
struct ps_predict_machine {
	int threads;
	double mac_per_s; /* multiply-accumulates of FP32 in registers: the roof */
	/* Reading `bytes` over and over, by rising size; beyond the last its rate holds. */
	struct {
		double bytes, bytes_per_s;
	} levels[PS_PREDICT_MAX_LEVELS];
	int level_len;
	int block; /* channels of the engine's blocked layout, see work.h */
};

/* ps_predict_machine_check refuses what cannot be: PS_EINVAL with the field. */
enum ps_status ps_predict_machine_check(const struct ps_predict_machine *m, struct ps_error *err);
/* ps_predict_bandwidth interpolates what the machine reads per second where `bytes` are in use. */
double ps_predict_bandwidth(const struct ps_predict_machine *m, double bytes);

/* What holds for a kind of operator. */
struct ps_predict_kind_law {
	double toll_ns;
	double compute; /* share of mac_per_s, > 0 */
	double memory;	/* share of the bandwidth, > 0 */
	size_t seen;	/* operators behind it; 0: it is that of all operators together */
	double spread;	/* mean |log(predicted / measured)|, weighted by time, of those */
};

struct ps_predict_physical {
	struct ps_predict_kind_law laws[PS_PREDICT_KINDS];
	struct ps_predict_kind_law all;
	double between_ns; /* per operator: what a run takes beside its operators; less than 0 where
			    * the profiler slows operators by more than that */
};

/* A model that was measured operator by operator. */
struct ps_predict_timed {
	const struct ps_predict_model *model; /* ops with time_ns, others are passed over */
	double run_ns; /* the whole run, without the profiler if it is known so; NAN: not known */
};

/* ps_predict_physical_fit learns from models measured on `machine`. Deterministic; the order of
 * models does not matter beyond rounding. Every model weighs the same. PS_EUNAVAIL when no operator
 * was measured; PS_EINVAL of the machine; PS_ENOMEM. */
enum ps_status ps_predict_physical_fit(const struct ps_predict_timed *models, size_t n,
				       const struct ps_predict_machine *machine,
				       struct ps_predict_physical *ret_physical,
				       struct ps_error *err);

/* ps_predict_physical_op gives the ns of one operator; NAN when its work is not known. */
double ps_predict_physical_op(const struct ps_predict_physical *p,
			      const struct ps_predict_machine *machine,
			      const struct ps_predict_op *op);
/* ps_predict_physical_run gives those of a run of the model: its operators and what is between
 * them. NAN when an operator's work is not known. *ret_unseen (may be NULL) is how many operators
 * are of a kind that was never measured. */
double ps_predict_physical_run(const struct ps_predict_physical *p,
			       const struct ps_predict_machine *machine,
			       const struct ps_predict_model *model, size_t *ret_unseen);

/* ps_predict_op_work is an operator's work in multiply-accumulates as the engine does it: channels
 * rounded up to whole blocks, and operations on elements at their own weight. */
double ps_predict_op_work(const struct ps_predict_op *op, int block);

#endif
