/* schedule.h - when requests are due: arrival processes merged into one absolute schedule.
 * Layer 3, pure: no clock, no server, no allocation after init. Owned by one thread.
 *
 * A tenant's arrivals come from its own random stream (base/rng, stream "NAME/arrivals" of the
 * plan's seed), so that adding or changing one tenant moves no arrival of another. Gaps are double
 * nanoseconds: whole microseconds would offer 5 % too much at 100,000/s. An instant is the running
 * sum rounded once, so rounding never adds up. After 1000 s the sum still resolves 1e-4 ns.
 */
#ifndef PS_LOAD_SCHEDULE_H
#define PS_LOAD_SCHEDULE_H

#include "base/heap.h"
#include "base/rng.h"
#include "load/load.h"

/* One arrival process. */
struct ps_load_arrivals {
	enum ps_load_arrival kind;	     /* any but PS_LOAD_CLOSED */
	double gap_ns;			     /* mean; of bursts: in the present state */
	double state_gap_ns[2], state_ns[2]; /* bursts: mean gap and mean length, [1] of a burst */
	double state_end_ns;
	int state;
	double sum_ns;	/* of the gaps so far */
	uint64_t count; /* instants given out */
	struct ps_rng rng;
};

/* ps_load_arrivals_init starts a process of `rate_rps` > 0 at instant 0 for the tenant `name`.
 * `bursts` is for PS_LOAD_BURSTS, else it may be NULL; it must be valid. */
void ps_load_arrivals_init(struct ps_load_arrivals *a, enum ps_load_arrival kind, double rate_rps,
			   const struct ps_load_bursts *bursts, uint64_t seed, const char *name);
/* ps_load_bursts_resolve puts defaults for zeros. False: the result is no valid process. */
bool ps_load_bursts_resolve(struct ps_load_bursts *b);
/* ps_load_arrivals_next returns the next instant in ns after the start; never decreases, and stays
 * at INT64_MAX when it would pass 2^62 ns. */
int64_t ps_load_arrivals_next(struct ps_load_arrivals *a);

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
};

/* ps_load_schedule_init prepares the schedule of `plan` over warm-up and duration. PS_ENOMEM. */
enum ps_status ps_load_schedule_init(struct ps_load_schedule *s, const struct ps_load_plan *plan);
/* ps_load_schedule_fini frees it. */
void ps_load_schedule_fini(struct ps_load_schedule *s);
/* ps_load_schedule_peek returns the next instant, or INT64_MAX when all are given out. O(1). */
int64_t ps_load_schedule_peek(const struct ps_load_schedule *s);
/* ps_load_schedule_pop takes the next arrival: its tenant's index in the plan, its instant and its
 * number within the tenant (from 0). False when there is none. O(log tenants). */
bool ps_load_schedule_pop(struct ps_load_schedule *s, size_t *ret_tenant, int64_t *ret_instant_ns,
			  uint64_t *ret_sequence);

#endif
