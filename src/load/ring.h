/* ring.h - requests that no connection is free for, in order of their instants.   Layer 3, pure. */
#ifndef PS_LOAD_RING_H
#define PS_LOAD_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ps_load_user;

struct ps_load_waiting {
	int64_t scheduled_ns; /* after the start */
	uint64_t sequence;
	struct ps_load_user *user; /* NULL: open loop */
	int64_t asked_ns;	   /* when no connection or worker was free for it; 0: never */
};

/* Zeroed it is empty. */
struct ps_load_ring {
	struct ps_load_waiting *items;
	size_t cap, head, len;
};

/* ps_load_ring_push adds one at the end. False: no memory, or PS_LOAD_MAX_WAITING are in it. */
bool ps_load_ring_push(struct ps_load_ring *q, struct ps_load_waiting w);
/* ps_load_ring_pop takes the first; there must be one. */
struct ps_load_waiting ps_load_ring_pop(struct ps_load_ring *q);
/* ps_load_ring_unpop puts back what was popped last, before anything else was pushed. */
void ps_load_ring_unpop(struct ps_load_ring *q, struct ps_load_waiting w);
/* ps_load_ring_peek borrows the first; there must be one. */
const struct ps_load_waiting *ps_load_ring_peek(const struct ps_load_ring *q);
/* ps_load_ring_fini frees it. */
void ps_load_ring_fini(struct ps_load_ring *q);

#endif
