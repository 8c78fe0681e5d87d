#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 16 * 1024 };

struct ps_arena_chunk {
	struct ps_arena_chunk *next;
	size_t cap, used; /* of data */
	_Alignas(PS_ARENA_ALIGN) unsigned char data[];
};

void ps_arena_init(struct ps_arena *a, size_t limit_bytes)
{
	*a = (struct ps_arena){.limit_bytes = limit_bytes};
}

static void free_chunks(struct ps_arena_chunk *c)
{
	while (c) {
		struct ps_arena_chunk *next = c->next;
		free(c);
		c = next;
	}
}

void ps_arena_fini(struct ps_arena *a)
{
	free_chunks(a->chunks);
	a->chunks = NULL;
	a->used_bytes = 0;
}

void ps_arena_reset(struct ps_arena *a)
{
	struct ps_arena_chunk *keep = NULL, *c = a->chunks;
	while (c) {
		struct ps_arena_chunk *next = c->next;
		if (!keep && c->cap == CHUNK_BYTES) {
			keep = c;
			keep->next = NULL;
			keep->used = 0;
		} else {
			free(c);
		}
		c = next;
	}
	a->chunks = keep;
	a->used_bytes = 0;
}

/* Large pieces get a chunk of their own, behind the current one, which stays in use. */
static void *alloc_from_new_chunk(struct ps_arena *a, size_t size)
{
	struct ps_arena_chunk *c = a->chunks;
	if (size > SIZE_MAX / 4)
		return NULL;
	size_t cap = size > CHUNK_BYTES / 4 ? size : CHUNK_BYTES;
	size_t total = sizeof *c + cap;
	total = (total + PS_ARENA_ALIGN - 1) & ~(size_t)(PS_ARENA_ALIGN - 1);
	struct ps_arena_chunk *n = aligned_alloc(PS_ARENA_ALIGN, total);
	if (!n)
		return NULL;
	n->cap = cap;
	n->used = size;
	if (c && cap != CHUNK_BYTES) {
		n->next = c->next;
		c->next = n;
	} else {
		n->next = c;
		a->chunks = n;
	}
	a->used_bytes += size;
	return n->data;
}

static inline void *alloc_aligned(struct ps_arena *a, size_t size, size_t align)
{
	if (a->limit_bytes && (size > a->limit_bytes || a->used_bytes > a->limit_bytes - size))
		return NULL;
	struct ps_arena_chunk *c = a->chunks;
	if (c) {
		size_t at = (c->used + align - 1) & ~(align - 1);
		if (at <= c->cap && size <= c->cap - at) {
			c->used = at + size;
			a->used_bytes += size;
			return c->data + at;
		}
	}
	return alloc_from_new_chunk(a, size);
}

void *ps_arena_alloc(struct ps_arena *a, size_t size)
{
	return alloc_aligned(a, size, 16);
}

void *ps_arena_alloc_tensor(struct ps_arena *a, size_t size)
{
	return alloc_aligned(a, size, PS_ARENA_ALIGN);
}

void *ps_arena_zalloc(struct ps_arena *a, size_t size)
{
	void *p = ps_arena_alloc(a, size);
	if (p)
		memset(p, 0, size);
	return p;
}

char *ps_arena_strndup(struct ps_arena *a, const char *s, size_t n)
{
	if (n == SIZE_MAX)
		return NULL;
	char *p = ps_arena_alloc(a, n + 1);
	if (p) {
		memcpy(p, s, n);
		p[n] = '\0';
	}
	return p;
}
