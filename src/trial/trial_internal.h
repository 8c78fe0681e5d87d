/* trial_internal.h - what the files of trial/ share. */
#ifndef PS_TRIAL_TRIAL_INTERNAL_H
#define PS_TRIAL_TRIAL_INTERNAL_H

#include "trial/trial.h"

/* What one step says about one criterion, in effective counts. */
struct ps_trial_datum {
	double scale;
	double good, bad;
	double log_rise; /* log of the odds against C >= scale; 0 when the backlog did not rise */
};

struct ps_trial_data {
	struct ps_trial_datum d[PS_TRIAL_MAX_STEPS];
	int n;
	double logit_target;
};

/* ps_trial_posterior returns the median of a tenant's capacity and its equal tails (trial.h says
 * of which model). */
struct ps_stats_interval ps_trial_posterior(const struct ps_trial_data *data, double scale_max,
					    double confidence);

/* Defaults of a plan. */
static inline double ps_trial_confidence(const struct ps_trial_plan *plan)
{
	return plan->confidence > 0 ? plan->confidence : 0.95;
}

static inline int ps_trial_min_steps(const struct ps_trial_plan *plan)
{
	return plan->min_steps > 0 ? plan->min_steps : 4;
}

#endif
