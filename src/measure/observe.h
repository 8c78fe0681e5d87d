/* observe.h - what a load run shows of a tenant to the search for a capacity.   Layer 5.
 *
 * load/ records requests, trial/ judges them, and neither knows the other. Who lets one choose the
 * rates of the other translates here.
 */
#ifndef PS_MEASURE_OBSERVE_H
#define PS_MEASURE_OBSERVE_H

#include "load/result.h"
#include "trial/trial.h"

/* ps_measure_observe counts a tenant's recorded requests for a step, in order of their schedule:
 * those scheduled before `warmup_ns` are not judged, one without a good answer is infinitely late.
 * Requests that were not recorded (records_dropped) are not in it. PS_ENOMEM; PS_EINVAL without an
 * SLA. O(n log n). */
enum ps_status ps_measure_observe(const struct ps_load_tenant_result *t, const struct ps_sla *sla,
				  int64_t warmup_ns, struct ps_trial_seen *ret_seen,
				  struct ps_error *err);

#endif
