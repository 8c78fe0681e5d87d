/* pf_internal.h - proportional fairness by column generation. */
#ifndef PS_CACHE_PF_INTERNAL_H
#define PS_CACHE_PF_INTERNAL_H

#include "cache/policy.h"

/* ps_cache_pf finds the plan of PF. `before` (may be NULL): where to start. When its shares, for
 * this demand, have a certificate of at most `within` (of W), they are kept as they are and
 * *ret_kept (may be NULL) says so; within 0: never. */
enum ps_status ps_cache_pf(const struct ps_cache_problem *p, const struct ps_cache_plan *before,
			   double within, struct ps_cache_plan *ret_plan, bool *ret_kept,
			   struct ps_error *err);

#endif
