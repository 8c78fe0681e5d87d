/* analytic_internal.h - what the parts of the oracle of service times share.   Layer 3. */
#ifndef PS_PLAN_ANALYTIC_INTERNAL_H
#define PS_PLAN_ANALYTIC_INTERNAL_H

#include "plan/analytic.h"

#define PS_PLAN_ROOM 1e-9 /* sums of rates may round */

static inline const struct ps_plan_service *ps_plan_service_at(const struct ps_plan_analytic *a,
							       int type, int model)
{
	return &a->services[type * a->models + model];
}

/* Of a part alone on the machine. */
static inline double ps_plan_strictness_at(const struct ps_plan_analytic *a, int type, int kind)
{
	return a->strictness[(size_t)type * (size_t)a->kinds + (size_t)kind];
}

/* Beside other tenants, whoever they are. */
static inline double ps_plan_slowdown_of(const struct ps_plan_service *s)
{
	return s->slowdown > 1 ? s->slowdown : 1;
}

#endif
