/* recorder.h - where a request's end is counted.   Layer 3, pure. Owned by one thread.
 *
 * Every scheduled request reaches ps_load_recorder_end exactly once, whatever became of it. That
 * one call keeps all counts, histograms, the series and the single record, so they cannot
 * contradict each other: scheduled = the sum of all outcomes. It takes a record as it is, wherever
 * that comes from: a kept one can be counted again into another recorder.
 *
 * Threads that send for one tenant have a recorder each, and a result of its own behind each; they
 * are merged when all have ended. Everything adds up exactly, histograms included.
 */
#ifndef PS_LOAD_RECORDER_H
#define PS_LOAD_RECORDER_H

#include "load/load.h"

#include <stdatomic.h>

struct ps_load_recorder {
	struct ps_load_tenant_result *r; /* borrowed */
	struct ps_sla sla;
	int64_t warmup_ns, duration_ns;
	bool closed; /* loop */
	size_t max_records, record_cap;
	atomic_size_t
		*room; /* of records, shared by the recorders of a tenant; NULL: max_records */
	int64_t last_sent_ns, last_ok_ns;
	int64_t first_failure_ns; /* scheduled instant; -1: none yet */
	uint64_t resided;	  /* that were sent and ended, warm-up included, */
	__int128 residence_ns;	  /* and done - sent of them */
};

/* ps_load_records_of returns how many single records the tenant keeps at most. */
size_t ps_load_records_of(const struct ps_load_plan *plan, const struct ps_load_tenant *t);

/* ps_load_recorder_init prepares the histograms and series of `r` and takes room for `expected`
 * records (at most the limit of the plan). PS_ENOMEM; `r` is then to be freed with
 * ps_load_result_fini as usual. */
enum ps_status ps_load_recorder_init(struct ps_load_recorder *rec, struct ps_load_tenant_result *r,
				     const struct ps_load_plan *plan,
				     const struct ps_load_tenant *t, double expected);
/* ps_load_recorder_init_shared is the same for one of several recorders of a tenant; `room` holds
 * how many records they may keep together, and is taken from as they need it. */
enum ps_status ps_load_recorder_init_shared(struct ps_load_recorder *rec,
					    struct ps_load_tenant_result *r,
					    const struct ps_load_plan *plan,
					    const struct ps_load_tenant *t, double expected,
					    atomic_size_t *room);

/* ps_load_recorder_end counts one finished request. `sampled` says that it belongs to the
 * uncorrected view, and is set in the record that is kept. Returns whether the request was good (OK
 * and within the SLA). Never fails: without memory the single record is dropped and counted as
 * such. Amortised O(1). */
bool ps_load_recorder_end(struct ps_load_recorder *rec, const struct ps_load_record *record,
			  bool sampled);

/* ps_load_recorder_failure notes in words why a request failed, if it is the first of them. Control
 * characters in `why` become '?'. */
void ps_load_recorder_failure(struct ps_load_recorder *rec, const struct ps_load_record *record,
			      const char *why);

/* ps_load_recorder_merge adds all that `from` has counted to `to`, as if it had been counted there;
 * records stay in order of their end. `from`'s result is left as it is. PS_ENOMEM. */
enum ps_status ps_load_recorder_merge(struct ps_load_recorder *to,
				      const struct ps_load_recorder *from);

/* ps_load_recorder_finish computes the rates of a measured part that lasted `duration_ns` (less
 * than was planned when the run was stopped). */
void ps_load_recorder_finish(struct ps_load_recorder *rec, int64_t duration_ns);

#endif
