/* live.h - how each tenant does at the moment, for those who watch a run.   Layer 3.
 *
 * Each sending thread keeps a tally per tenant of what happened since its last tick, without a
 * lock; at a tick (a fifth of a second) it adds the tally to the board that all threads share,
 * under the board's mutex. So a request costs a few additions and nobody ever waits for another
 * while it sends. "Now" is the last PS_LOAD_LIVE_TICKS whole ticks, a second. Histograms are
 * coarse: 8 buckets per power of two, so that a value is within 6 %. They are for eyes; no verdict
 * rests on them.
 */
#ifndef PS_LOAD_LIVE_H
#define PS_LOAD_LIVE_H

#include "base/clock.h"
#include "base/status.h"
#include "load/plan.h"
#include "load/result.h"

#include <pthread.h>

#define PS_LOAD_LIVE_TICK_NS (PS_NS_PER_SEC / 5)

enum {
	PS_LOAD_LIVE_TICKS = 5,
	PS_LOAD_LIVE_SLOTS = PS_LOAD_LIVE_TICKS + 3, /* threads may be a tick apart */
	PS_LOAD_LIVE_BUCKETS = 240,		     /* 1 us to 1000 s */
};

struct ps_load_live_hist {
	uint32_t counts[PS_LOAD_LIVE_BUCKETS];
	uint32_t total; /* with those that failed, which lie above every bucket */
	int low, high;	/* buckets in use: low <= i < high; 0, 0: none */
};

/* What happened to a tenant in some span of time. */
struct ps_load_live_tally {
	uint32_t sent, good;
	struct ps_load_live_hist latency, lag;
	/* of all the time since the start: changes of the totals */
	int64_t scheduled, done, failed, in_flight, waiting;
};

struct ps_load_live_totals {
	int64_t scheduled, done, failed, in_flight, waiting;
};

/* Shared by the threads of a run. */
struct ps_load_live {
	pthread_mutex_t mutex;
	size_t tenant_len;
	int64_t slot_tick[PS_LOAD_LIVE_SLOTS];	   /* which tick it holds; -1: none */
	struct ps_load_live_tally *slots;	   /* [slot][tenant] */
	struct ps_load_live_totals *totals;	   /* [tenant] */
	struct ps_load_progress_tenant *published; /* [tenant], the reader's */
	int64_t last_latency_ns;		   /* of the latest success; -1 */
};

/* ps_load_live_init makes an empty board for the plan's tenants. PS_ENOMEM. */
enum ps_status ps_load_live_init(struct ps_load_live *live, const struct ps_load_plan *plan);
/* ps_load_live_fini frees it; a zeroed one may be passed. */
void ps_load_live_fini(struct ps_load_live *live);

/* ps_load_live_sent notes a request that left `lag_ns` late; ps_load_live_ended one that ended,
 * with its latency (or any value when it failed). The tally is the calling thread's own. O(1). */
void ps_load_live_sent(struct ps_load_live_tally *t, int64_t lag_ns);
void ps_load_live_ended(struct ps_load_live_tally *t, bool ok, bool good, int64_t latency_ns);

/* ps_load_live_publish adds what `tallies` (one per tenant) hold to tick number `tick` and empties
 * them. `last_latency_ns` of -1 leaves the board's. Any thread. */
void ps_load_live_publish(struct ps_load_live *live, struct ps_load_live_tally *tallies,
			  int64_t tick, int64_t last_latency_ns);
/* ps_load_live_read fills tenants, sums and last latency of `p` with what is known when tick number
 * `tick` begins: the whole ticks before the last one. p->tenants is borrowed until the next read.
 * One reader. */
void ps_load_live_read(struct ps_load_live *live, int64_t tick, struct ps_load_progress *p);

#endif
