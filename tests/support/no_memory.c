/* Preloaded into a server under test: while the file NO_MEMORY names exists, the main thread gets
 * no allocation of 2 KiB or more. What is smaller goes on, so that libraries do. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *old, size_t size);

static bool refuses(size_t size)
{
	const char *file = size >= 2048 && gettid() == getpid() ? getenv("NO_MEMORY") : NULL;
	if (!file || access(file, F_OK) != 0)
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return refuses(size) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return refuses(n * size) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	return refuses(size) ? NULL : __libc_realloc(old, size);
}
