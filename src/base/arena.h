/* arena.h - memory that is freed all at once.   Layer 0. Owned by one thread at a time. */
#ifndef PS_BASE_ARENA_H
#define PS_BASE_ARENA_H

#include <stddef.h>

#define PS_ARENA_ALIGN 64 /* what inference engines want for tensor memory */

struct ps_arena_chunk;

struct ps_arena {
	struct ps_arena_chunk *chunks;
	size_t limit_bytes; /* 0: none */
	size_t used_bytes;
};

/* ps_arena_init prepares an empty arena that refuses to grow past `limit_bytes` (0: no limit). */
void ps_arena_init(struct ps_arena *a, size_t limit_bytes);
/* ps_arena_fini frees everything that came from `a`. */
void ps_arena_fini(struct ps_arena *a);
/* ps_arena_reset frees everything but may keep one small chunk for reuse. */
void ps_arena_reset(struct ps_arena *a);
/* ps_arena_alloc returns `size` uninitialised bytes aligned to 16, or NULL (limit, memory). */
void *ps_arena_alloc(struct ps_arena *a, size_t size);
/* ps_arena_alloc_tensor returns `size` bytes aligned to PS_ARENA_ALIGN, or NULL. */
void *ps_arena_alloc_tensor(struct ps_arena *a, size_t size);
/* ps_arena_zalloc is ps_arena_alloc, zeroed. */
void *ps_arena_zalloc(struct ps_arena *a, size_t size);
/* ps_arena_strndup copies `n` bytes and adds a NUL. */
char *ps_arena_strndup(struct ps_arena *a, const char *s, size_t n);

#endif
