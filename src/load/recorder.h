/* recorder.h - where a request's end is counted.   Layer 3, pure. Owned by the running thread.
 *
 * Every scheduled request reaches ps_load_recorder_end exactly once, whatever became of it. That
 * one call keeps all counts, histograms, the series and the single record, so they cannot
 * contradict each other: scheduled = the sum of all outcomes.
 */
#ifndef PS_LOAD_RECORDER_H
#define PS_LOAD_RECORDER_H

#include "load/load.h"

struct ps_load_recorder {
	struct ps_load_tenant_result *r; /* borrowed */
	struct ps_sla sla;
	int64_t warmup_ns, duration_ns;
	size_t max_records, record_cap;
	int64_t last_ok_ns;
};

/* ps_load_recorder_init prepares the histograms and series of `r` and takes room for `expected`
 * records (at most the limit of the plan). PS_ENOMEM; `r` is then to be freed with
 * ps_load_result_fini as usual. */
enum ps_status ps_load_recorder_init(struct ps_load_recorder *rec, struct ps_load_tenant_result *r,
				     const struct ps_load_plan *plan,
				     const struct ps_load_tenant *t, double expected);

/* ps_load_recorder_end counts one finished request. `sampled` says that it belongs to the
 * uncorrected view. Never fails: without memory the single record is dropped and counted as such.
 * Amortised O(1). */
void ps_load_recorder_end(struct ps_load_recorder *rec, const struct ps_load_record *record,
			  bool sampled);

/* ps_load_recorder_finish computes the rates. */
void ps_load_recorder_finish(struct ps_load_recorder *rec);

#endif
