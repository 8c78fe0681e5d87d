/* ring.c - see ring.h. */
#include "load/ring.h"

#include "load/plan.h"

#include <stdlib.h>

static bool grow(struct ps_load_ring *q)
{
	size_t cap = q->cap ? 2 * q->cap : 256;
	struct ps_load_waiting *items;

	if (cap > PS_LOAD_MAX_WAITING) {
		return false;
	}
	items = malloc(cap * sizeof(*items));
	if (!items) {
		return false;
	}
	for (size_t i = 0; i < q->len; i++) {
		items[i] = q->items[(q->head + i) % q->cap];
	}
	free(q->items);
	*q = (struct ps_load_ring){.items = items, .cap = cap, .len = q->len};
	return true;
}

bool ps_load_ring_push(struct ps_load_ring *q, struct ps_load_waiting w)
{
	if (q->len == q->cap && !grow(q)) {
		return false;
	}
	q->items[(q->head + q->len++) % q->cap] = w;
	return true;
}

struct ps_load_waiting ps_load_ring_pop(struct ps_load_ring *q)
{
	struct ps_load_waiting w = q->items[q->head];

	q->head = (q->head + 1) % q->cap;
	q->len--;
	return w;
}

void ps_load_ring_unpop(struct ps_load_ring *q, struct ps_load_waiting w)
{
	q->head = (q->head + q->cap - 1) % q->cap;
	q->items[q->head] = w;
	q->len++;
}

const struct ps_load_waiting *ps_load_ring_peek(const struct ps_load_ring *q)
{
	return &q->items[q->head];
}

void ps_load_ring_fini(struct ps_load_ring *q)
{
	free(q->items);
	*q = (struct ps_load_ring){0};
}
