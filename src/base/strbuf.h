/* strbuf.h - a growing byte string.   Layer 0. Not thread-safe.
 *
 * After a failed allocation the buffer keeps what it had, `failed` is set and later appends do
 * nothing: check once at the end with ps_strbuf_status.
 */
#ifndef PS_BASE_STRBUF_H
#define PS_BASE_STRBUF_H

#include "base/status.h"

#include <stdarg.h>
#include <stddef.h>
#include <string.h>

struct ps_strbuf {
	char *data; /* NUL-terminated; never NULL after init */
	size_t len;
	size_t cap;
	bool failed;
};

/* ps_strbuf_init makes an empty string without allocating. */
void ps_strbuf_init(struct ps_strbuf *s);
/* ps_strbuf_fini frees the bytes and makes `s` empty again. */
void ps_strbuf_fini(struct ps_strbuf *s);
/* ps_strbuf_reserve makes room for `extra` more bytes and a NUL. PS_ENOMEM. */
enum ps_status ps_strbuf_reserve(struct ps_strbuf *s, size_t extra);
/* ps_strbuf_append_growing is ps_strbuf_append where there is no room yet. */
void ps_strbuf_append_growing(struct ps_strbuf *s, const void *bytes, size_t n);
/* ps_strbuf_append adds `n` bytes. */
static inline void ps_strbuf_append(struct ps_strbuf *s, const void *bytes, size_t n)
{
	if (n >= s->cap - s->len || s->failed) {
		ps_strbuf_append_growing(s, bytes, n);
		return;
	}
	if (n > 0)
		memcpy(s->data + s->len, bytes, n);
	s->len += n;
	s->data[s->len] = '\0';
}
/* ps_strbuf_puts adds a C string. */
static inline void ps_strbuf_puts(struct ps_strbuf *s, const char *text)
{
	ps_strbuf_append(s, text, strlen(text));
}
/* ps_strbuf_putc adds one byte. */
static inline void ps_strbuf_putc(struct ps_strbuf *s, char c)
{
	ps_strbuf_append(s, &c, 1);
}
/* ps_strbuf_printf adds formatted text. */
void ps_strbuf_printf(struct ps_strbuf *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* ps_strbuf_vprintf is its va_list form. */
void ps_strbuf_vprintf(struct ps_strbuf *s, const char *fmt, va_list ap);
/* ps_strbuf_clear empties it and keeps the memory. */
void ps_strbuf_clear(struct ps_strbuf *s);
/* ps_strbuf_take_data gives the malloc'ed, NUL-terminated bytes to the caller, who frees them;
 * `s` is empty again. NULL after a failure. */
char *ps_strbuf_take_data(struct ps_strbuf *s);
/* ps_strbuf_status is PS_OK, or PS_ENOMEM if any append failed since init. */
enum ps_status ps_strbuf_status(const struct ps_strbuf *s);

#endif
