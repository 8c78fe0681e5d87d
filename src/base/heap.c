#include "base/heap.h"

#include <stdlib.h>

void ps_heap_init(struct ps_heap *h)
{
	*h = (struct ps_heap){0};
}

void ps_heap_fini(struct ps_heap *h)
{
	free(h->items);
	ps_heap_init(h);
}

void ps_heap_node_init(struct ps_heap_node *n)
{
	*n = (struct ps_heap_node){.index = SIZE_MAX};
}

static bool before(const struct ps_heap_node *a, const struct ps_heap_node *b)
{
	return a->key != b->key ? a->key < b->key : a->order < b->order;
}

static void place(struct ps_heap *h, size_t i, struct ps_heap_node *n)
{
	h->items[i] = n;
	n->index = i;
}

static void sift_up(struct ps_heap *h, size_t i)
{
	struct ps_heap_node *n = h->items[i];
	while (i > 0 && before(n, h->items[(i - 1) / 2])) {
		place(h, i, h->items[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	place(h, i, n);
}

static void sift_down(struct ps_heap *h, size_t i)
{
	struct ps_heap_node *n = h->items[i];
	for (;;) {
		size_t c = 2 * i + 1;
		if (c >= h->len)
			break;
		if (c + 1 < h->len && before(h->items[c + 1], h->items[c]))
			c++;
		if (!before(h->items[c], n))
			break;
		place(h, i, h->items[c]);
		i = c;
	}
	place(h, i, n);
}

enum ps_status ps_heap_push(struct ps_heap *h, struct ps_heap_node *n, int64_t key)
{
	if (h->len == h->cap) {
		size_t cap = h->cap ? 2 * h->cap : 16;
		void *p = realloc(h->items, cap * sizeof *h->items);
		if (!p)
			return PS_ENOMEM;
		h->items = p;
		h->cap = cap;
	}
	n->key = key;
	n->order = h->next_order++;
	place(h, h->len++, n);
	sift_up(h, h->len - 1);
	return PS_OK;
}

void ps_heap_move(struct ps_heap *h, struct ps_heap_node *n, int64_t key)
{
	bool later = key >= n->key; /* an equal key is the last of its equals now */
	n->key = key;
	n->order = h->next_order++;
	if (later)
		sift_down(h, n->index);
	else
		sift_up(h, n->index);
}

struct ps_heap_node *ps_heap_pop(struct ps_heap *h)
{
	struct ps_heap_node *n = ps_heap_peek(h);
	if (n)
		ps_heap_remove(h, n);
	return n;
}

void ps_heap_remove(struct ps_heap *h, struct ps_heap_node *n)
{
	if (!ps_heap_contains(n))
		return;
	size_t i = n->index;
	struct ps_heap_node *last = h->items[--h->len];
	n->index = SIZE_MAX;
	if (last == n)
		return;
	place(h, i, last);
	sift_down(h, i);
	sift_up(h, last->index);
}
