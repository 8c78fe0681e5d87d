/* policies_internal.h - the plan functions of the policies (policy.c has their table). */
#ifndef PS_CACHE_POLICIES_INTERNAL_H
#define PS_CACHE_POLICIES_INTERNAL_H

#include "cache/policy.h"

#define PS_CACHE_PLAN(name)                                                                        \
	enum ps_status ps_cache_##name##_plan(                                                     \
		const struct ps_cache_problem *p, const struct ps_cache_scores *scores,            \
		const struct ps_cache_plan *before, struct ps_cache_plan *ret_plan,                \
		struct ps_error *err)

PS_CACHE_PLAN(static);
PS_CACHE_PLAN(lru);
PS_CACHE_PLAN(lfu);
PS_CACHE_PLAN(gdsf);
PS_CACHE_PLAN(rsd);
PS_CACHE_PLAN(optp);
PS_CACHE_PLAN(mmf);
PS_CACHE_PLAN(pf);

#endif
