/* heap.h - a binary min-heap of pointers by int64_t key; equal keys leave in order of arrival.
 * Layer 0. Not thread-safe. Items embed a struct ps_heap_node. */
#ifndef PS_BASE_HEAP_H
#define PS_BASE_HEAP_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ps_heap_node {
	int64_t key;
	uint64_t order;
	size_t index; /* place in the heap; SIZE_MAX when outside */
};

struct ps_heap {
	struct ps_heap_node **items;
	size_t len, cap;
	uint64_t next_order;
};

/* ps_heap_init makes an empty heap. */
void ps_heap_init(struct ps_heap *h);
/* ps_heap_fini frees the heap's own memory, not the items. */
void ps_heap_fini(struct ps_heap *h);
/* ps_heap_node_init marks a node as outside any heap. */
void ps_heap_node_init(struct ps_heap_node *n);
/* ps_heap_push adds `n` under `key`. O(log n). PS_ENOMEM. `n` must be outside. */
enum ps_status ps_heap_push(struct ps_heap *h, struct ps_heap_node *n, int64_t key);
/* ps_heap_move gives `n`, which is inside, another key: as if it were removed and pushed. O(log n).
 */
void ps_heap_move(struct ps_heap *h, struct ps_heap_node *n, int64_t key);
/* ps_heap_peek returns the least item or NULL. */
static inline struct ps_heap_node *ps_heap_peek(const struct ps_heap *h)
{
	return h->len ? h->items[0] : NULL;
}
/* ps_heap_pop removes and returns the least item or NULL. */
struct ps_heap_node *ps_heap_pop(struct ps_heap *h);
/* ps_heap_remove takes `n` out if it is inside. O(log n). */
void ps_heap_remove(struct ps_heap *h, struct ps_heap_node *n);
/* ps_heap_contains says whether `n` is inside a heap. */
static inline bool ps_heap_contains(const struct ps_heap_node *n)
{
	return n->index != SIZE_MAX;
}

#endif
