/* sweep.h - loads tried one after the other, and when to stop.   Layer 3, pure. Uses base, stats.
 *
 * A sweep is a rising list of rates or of users. Going on past saturation says nothing more and
 * takes long (each step leaves a larger backlog), so it ends with the first saturated row:
 *
 *	rates: under 95 % of what was offered had a result, which a refusal is not, or the
 *	latencies rose over the row (the trend test of a step: p <= 0.01 and by at least half the
 *	typical latency).
 *	users: two rows in a row brought less than 2 % more answers per second than the best before.
 */
#ifndef PS_TRIAL_SWEEP_H
#define PS_TRIAL_SWEEP_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define PS_TRIAL_MAX_SWEEP 64

struct ps_trial_sweep {
	double points[PS_TRIAL_MAX_SWEEP]; /* rising */
	int len;
};

/* ps_trial_sweep_parse reads "1,2,4,8" or "10..200:8" (8 points, evenly spaced, both ends among
 * them). Points must rise and lie in (0, most]; with `whole` they are rounded to integers, and the
 * list of equal ones becomes shorter. PS_EPARSE. */
enum ps_status ps_trial_sweep_parse(const char *text, double most, bool whole,
				    struct ps_trial_sweep *ret_sweep, struct ps_error *err);

/* What decides about going on. */
struct ps_trial_sweep_row {
	double offered_rps;	/* of rates; 0: users, a closed loop */
	double throughput_rps;	/* answers with a result, in time for the SLA or not */
	double p_rising;	/* of the trend test over the row; 1: not tested */
	double rise_ns, p50_ns; /* by how much the latencies rose over the row */
};

/* ps_trial_sweep_saturated says whether the last of n rows shows a saturated server. */
bool ps_trial_sweep_saturated(const struct ps_trial_sweep_row *rows, int n);

#endif
