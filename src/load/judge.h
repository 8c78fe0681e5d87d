/* judge.h - may a run be believed, and did the SLA hold?   Layer 3, pure.
 *
 * VALID needs all of these, each tenant for itself:
 *  - send lag p99 <= 5 % of the SLA's limit, or without an SLA of the p50 of latency;
 *  - at least 99.9 % of the scheduled arrivals were sent;
 *  - an interval exists for the judged percentile (the SLA's, else p50) at 95 % on effective
 * counts;
 *  - steady: no trend of latency over the run that is significant (p < 0.01 on either side,
 *    corrected for correlation) and carries the typical latency by more than a fifth of its median;
 *  - not cancelled.
 * The SLA is met when MLPerf LoadGen's early-stopping rule passes on effective counts (confidence
 * 95 %, tolerance 0, one look) and the success ratio of the run is not under the SLA's; violated
 * when the 95 % lower bound of the violating share is above what the percentile allows, or the
 * success ratio is significantly too low; else undecided, with the number of further good requests
 * that would decide it. Failed, timed-out and unsent requests violate.
 */
#ifndef PS_LOAD_JUDGE_H
#define PS_LOAD_JUDGE_H

#include "load/load.h"

#define PS_LOAD_CONFIDENCE    0.95
#define PS_LOAD_MAX_LAG_SHARE 0.05
#define PS_LOAD_MIN_SENT      0.999
#define PS_LOAD_TREND_P	      0.01
#define PS_LOAD_TREND_SHARE   0.2

/* ps_load_judge fills the statistics and verdicts of `r` from its counts, histograms and records.
 * `timeout_ns` is the value that a failed request has in the trend. PS_ENOMEM. */
enum ps_status ps_load_judge(struct ps_load_tenant_result *r, const struct ps_sla *sla,
			     int64_t timeout_ns, bool cancelled);

#endif
