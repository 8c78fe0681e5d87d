/* refine.h - a prediction corrected by what was measured of a plan.   Layer 3, pure.
 *
 * The rule. Service times, mean and upper end of a model on a type, are only ever multiplied by a
 * factor of 1 or more:
 *  1. every model whose runs, as the server measured them, took longer on the average than the
 *     upper end there: so that that average becomes its mean, with the error that it had;
 *  2. with these times, the model of every tenant whose measured percentile is still over its
 *     foreseen upper end, by the least factor with which the same machine with the same tenants is
 *     foreseen there; where the agreement was violated, no less than just over its limit.
 * So:
 *  - conservative: what was foreseen is only raised; of a machine that was measured the upper end
 *    is never again under what was measured there; a set that broke an agreement fits no longer on
 *    that type;
 *  - monotone: as latencies grow with service times, whatever did not fit before does not fit
 *    after. So plan and verify can go round only as often as there are sets to refuse.
 *
 * The factor is the row's that the time came from: it holds for the type, on demand and spot, and,
 * where the model was not measured on that type, for every type that takes its time from the same
 * row; else a plan would flee to a type of which no more is known.
 */
#ifndef PS_PLAN_REFINE_H
#define PS_PLAN_REFINE_H

#include "plan/answer.h"

/* What was measured of one place of an answer. */
struct ps_plan_seen {
	int machine, place;
	double measured_s; /* at the SLA's percentile; INFINITY: too many had no good answer */
	double service_s;  /* the mean of its runs, as the server measured it; 0: not known */
	bool violated;
};

/* ps_plan_refine corrects c->services by what was seen of its answer `a`, and fills ret_factors,
 * [c->n_types * c->n_models]: by what each service time was multiplied, 1 or more. `a` is then an
 * answer of the past: its forecasts stay as they are, its oracle sees the new times. Returns in
 * *ret_changed whether anything was. PS_EINVAL for places that are none, PS_ENOMEM. */
enum ps_status ps_plan_refine(struct ps_plan_case *c, const struct ps_plan_answer *a,
			      const struct ps_plan_seen *seen, int n, double *ret_factors,
			      bool *ret_changed, struct ps_error *err);

#endif
