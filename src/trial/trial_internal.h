/* trial_internal.h - what the files of trial/ share. */
#ifndef PS_TRIAL_TRIAL_INTERNAL_H
#define PS_TRIAL_TRIAL_INTERNAL_H

#include "trial/trial.h"

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
