/* schedule.h - when requests are due: the arrivals of all tenants as one absolute schedule.
 * Layer 3, pure: no clock, no server, no allocation after init. Owned by one thread.
 *
 * Several threads share a plan without talking: each makes the whole schedule and keeps of every
 * tenant the arrivals n with n mod threads = thread. So instants and their numbers follow from plan
 * and seed, not from the number of threads.
 */
#ifndef PS_LOAD_SCHEDULE_H
#define PS_LOAD_SCHEDULE_H

#include "base/heap.h"
#include "load/arrivals.h"
#include "load/load.h"

struct ps_load_schedule_entry {
	struct ps_heap_node node; /* key: the next instant */
	struct ps_load_arrivals arrivals;
	size_t tenant;
};

/* All open-loop tenants of a plan, merged. */
struct ps_load_schedule {
	struct ps_heap heap;
	struct ps_load_schedule_entry *entries;
	int64_t end_ns; /* nothing is due at or after this instant */
	unsigned thread, threads;
};

/* ps_load_schedule_init prepares the part of `thread` (0 .. threads - 1) of the schedule of `plan`
 * over warm-up and duration. The tenants' arrivals have passed ps_load_arrival_check. PS_ENOMEM. */
enum ps_status ps_load_schedule_init(struct ps_load_schedule *s, const struct ps_load_plan *plan,
				     unsigned thread, unsigned threads);
/* ps_load_schedule_fini frees it. */
void ps_load_schedule_fini(struct ps_load_schedule *s);
/* ps_load_schedule_peek returns the next instant, or INT64_MAX when all are given out. O(1). */
int64_t ps_load_schedule_peek(const struct ps_load_schedule *s);
/* ps_load_schedule_pop takes the next arrival: its tenant's index in the plan, its instant and its
 * number within the tenant (from 0). False when there is none. O(threads + log tenants). */
bool ps_load_schedule_pop(struct ps_load_schedule *s, size_t *ret_tenant, int64_t *ret_instant_ns,
			  uint64_t *ret_sequence);

#endif
