/* proc_file.c - files of /proc and /sys, opened once. */
#include "host/watch_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int ps_host_file_open(const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	if (n < 0 || n >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(path, O_RDONLY | O_CLOEXEC);
}

ssize_t ps_host_file_read(int fd, char *buf, size_t size)
{
	ssize_t n = fd >= 0 ? pread(fd, buf, size - 1, 0) : -1;
	if (n >= 0) {
		buf[n] = '\0';
	}
	return n;
}

/* The kernel hands out a page of such a file at a time, however large the buffer. */
ssize_t ps_host_file_read_all(int fd, char *buf, size_t size)
{
	size_t n = 0;
	ssize_t got = fd >= 0 ? 1 : -1;
	while (got > 0 && n < size) {
		got = pread(fd, buf + n, size - n, (off_t)n);
		n += got > 0 ? (size_t)got : 0;
	}
	if (n == size) {
		errno = EFBIG;
	}
	if (got < 0 || n == size) {
		return -1;
	}
	buf[n] = '\0';
	return (ssize_t)n;
}

void ps_host_file_close(int *fd)
{
	if (*fd >= 0) {
		(void)close(*fd);
	}
	*fd = -1;
}

int64_t ps_host_number_after(const char *text, const char *key)
{
	const char *p = strstr(text, key);
	char *end = NULL;
	if (!p) {
		return -1;
	}
	p += strlen(key);
	long long v = strtoll(p, &end, 10);
	return end != p && v >= 0 ? (int64_t)v : -1;
}

void ps_host_absent_say(struct ps_host_absences *a, const char *what, const char *fmt, ...)
{
	va_list ap;
	for (int i = 0; i < a->len; i++) {
		if (strcmp(a->items[i].what, what) == 0) {
			return;
		}
	}
	if (a->len == PS_HOST_MAX_ABSENT) {
		return;
	}
	struct ps_host_absent *x = &a->items[a->len++];
	x->what = what;
	va_start(ap, fmt);
	(void)vsnprintf(x->reason, sizeof(x->reason), fmt, ap);
	va_end(ap);
}
