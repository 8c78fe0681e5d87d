/* sched.h - who is next: one bounded queue per tenant, served in turn.   Layer 3, pure. Uses base.
 *
 * It receives values only: queues are numbers 0..n-1 with a limit and a weight. Within a queue
 * order is that of arrival. The backlogged queues stand in a ring; each is served `weight` requests
 * and goes to the end. A queue that becomes backlogged joins at the end of the ring, so that nobody
 * overtakes by having been idle. With equal weights a backlogged queue therefore waits for at most
 * one request of every other queue.
 *
 * Not thread-safe; every operation is O(1). Items are embedded in the caller's requests.
 */
#ifndef PS_SCHED_SCHED_H
#define PS_SCHED_SCHED_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct ps_sched_item {
	struct ps_sched_item *next, *prev;
	int queue; /* -1: not queued */
};

struct ps_sched_queue {
	struct ps_sched_item *first, *last;
	struct ps_sched_queue *ring_next, *ring_prev; /* NULL when not backlogged */
	int64_t len, limit, weight;
	int64_t left; /* of this turn */
};

struct ps_sched {
	struct ps_sched_queue *queues;
	int n_queues;
	struct ps_sched_queue *turn; /* whose turn it is; NULL when nothing waits */
	int64_t len;		     /* items in all queues */
};

/* ps_sched_init makes n empty queues of limit 1 and weight 1. PS_ENOMEM. */
enum ps_status ps_sched_init(struct ps_sched *s, int n_queues);
/* ps_sched_fini frees the queues, not the items. */
void ps_sched_fini(struct ps_sched *s);
/* ps_sched_configure sets limit (>= 1) and weight (>= 1) of a queue. */
void ps_sched_configure(struct ps_sched *s, int queue, int64_t limit, int64_t weight);

/* ps_sched_item_init marks an item as not queued. */
void ps_sched_item_init(struct ps_sched_item *it);
/* ps_sched_push puts an item at the end of a queue. PS_EQUOTA when the queue is full. */
enum ps_status ps_sched_push(struct ps_sched *s, struct ps_sched_item *it, int queue);
/* ps_sched_pop takes the item whose turn it is, or returns NULL. */
struct ps_sched_item *ps_sched_pop(struct ps_sched *s);
/* ps_sched_remove takes a queued item out. */
void ps_sched_remove(struct ps_sched *s, struct ps_sched_item *it);
/* ps_sched_queued says whether an item is queued. */
static inline bool ps_sched_queued(const struct ps_sched_item *it)
{
	return it->queue >= 0;
}

#endif
