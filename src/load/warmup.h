/* warmup.h - finds the end of the warm-up in the data of a run.   Layer 3, pure.
 *
 * Without a warm-up set in the plan the whole run is recorded as measured. MSER-5 (White, 1997)
 * then cuts each tenant's latencies, in order of their scheduled instants, where the rest has the
 * least standard error; the latest cut of all tenants holds for all, so that their percentiles are
 * about the same time. What is behind the cut is counted again from the single records, by the
 * recorder itself: no count, histogram or series knows of the part that was cut off.
 *
 * What MSER-5 cannot see: a cut in the second half of the run is none (the run was too short), and
 * a slow drift over all of it; the trend test of judge.h looks for that.
 */
#ifndef PS_LOAD_WARMUP_H
#define PS_LOAD_WARMUP_H

#include "load/load.h"

#define PS_LOAD_WARMUP_CLIP 0.9

/* ps_load_warmup_cut finds the cut and counts `r` again; r->warmup_ns and duration_ns become what
 * was cut and kept. *ret_steady is false, and nothing is cut, when a tenant shows no steady state
 * in the first half, has under 50 requests, or more requests than records. A failed request counts
 * as `timeout_ns`. PS_ENOMEM; `r` is then as it was or counted again whole. O(n log n). */
enum ps_status ps_load_warmup_cut(const struct ps_load_plan *plan, int64_t timeout_ns,
				  struct ps_load_result *r, bool *ret_steady);

#endif
