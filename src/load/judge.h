/* judge.h - may a run be believed, and did the SLA hold?   Layer 3, pure.
 *
 * VALID needs all of these, each tenant for itself:
 *  - open loop: send lag p99 <= 5 % of the SLA's limit, or without an SLA of the p50 of latency;
 *    closed loop: mean send lag <= 5 % of the mean latency;
 *  - at least 99.9 % of the scheduled arrivals were sent;
 *  - an interval exists for the judged percentile (the SLA's, else p50) at 95 % on effective
 * counts;
 *  - steady: no trend of latency over the run that is significant (p < 0.01 on either side,
 *    corrected for correlation) and carries the typical latency by more than a fifth of its median;
 *  - every request recorded one by one: else there is no interval and no verdict either;
 *  - not cancelled.
 * A run as a whole adds (judge_run.c):
 *  - Little's law: requests in flight x time and the sum of the times in the system agree within 1
 * %;
 *  - the machine was there: steal at most 10 % of all CPUs' time, at most 5 % of the CPU time that
 *    our control group wanted withheld by a quota. From 2 % and 1 % on, and when the clock
 * frequency moved by more than 10 %, a note says so;
 *  - with a warm-up to be found (warmup.h): a steady state was found.
 *
 * The SLA is met when MLPerf LoadGen's early-stopping rule passes on effective counts (confidence
 * 99 %, tolerance 0) and the success ratio of the run is not under the SLA's; violated when the
 * one-sided 95 % lower bound of the violating share is above what the percentile allows, or the
 * success ratio is significantly too low (both on effective counts); else undecided, with the
 * number of further good requests that would decide it. Failed, timed-out and unsent requests
 * violate. Who looks several times at a growing run, at doubling sizes, says which look it is: the
 * k-th spends the share 1/2^k of the allowed error.
 */
#ifndef PS_LOAD_JUDGE_H
#define PS_LOAD_JUDGE_H

#include "load/load.h"

#define PS_LOAD_CONFIDENCE     0.95 /* of intervals, and of "violated" */
#define PS_LOAD_MET_CONFIDENCE 0.99
#define PS_LOAD_MAX_LAG_SHARE  0.05
#define PS_LOAD_MIN_SENT       0.999
#define PS_LOAD_TREND_P	       0.01
#define PS_LOAD_TREND_SHARE    0.2
#define PS_LOAD_MAX_LITTLE     0.01
#define PS_LOAD_NOTE_STEAL     0.02
#define PS_LOAD_MAX_STEAL      0.1
#define PS_LOAD_NOTE_THROTTLED 0.01
#define PS_LOAD_MAX_THROTTLED  0.05
#define PS_LOAD_NOTE_SPEED     0.1

struct ps_load_judge_terms {
	const struct ps_sla *sla; /* may be unset */
	int64_t timeout_ns;	  /* the value that a failed request has in the trend */
	bool cancelled;
	int look; /* from 1, of a run judged at doubling sizes; 0: the only look */
};

/* ps_load_judge fills the statistics and verdicts of `r` from its counts, histograms and records.
 * PS_ENOMEM. */
enum ps_status ps_load_judge(struct ps_load_tenant_result *r,
			     const struct ps_load_judge_terms *terms);

/* ps_load_judge_reason makes `r` INVALID and says why; past PS_LOAD_MAX_REASONS the words are
 * dropped. `code` is an enum ps_load_reason. */
void ps_load_judge_reason(struct ps_load_tenant_result *r, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ps_load_judge_run judges a finished run: cuts the warm-up where the plan asks for that, judges
 * each tenant, then what concerns all of them, and sets r->valid. PS_ENOMEM. */
enum ps_status ps_load_judge_run(const struct ps_load_plan *plan, int64_t timeout_ns,
				 struct ps_load_result *r);

#endif
