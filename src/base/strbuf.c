#include "base/strbuf.h"

#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static char empty[1];

void ps_strbuf_init(struct ps_strbuf *s)
{
	*s = (struct ps_strbuf){.data = empty};
}

void ps_strbuf_fini(struct ps_strbuf *s)
{
	if (s->cap)
		free(s->data);
	ps_strbuf_init(s);
}

enum ps_status ps_strbuf_reserve(struct ps_strbuf *s, size_t extra)
{
	if (s->failed)
		return PS_ENOMEM;
	if (extra > SIZE_MAX / 4 || s->len > SIZE_MAX / 4) {
		s->failed = true;
		return PS_ENOMEM;
	}
	size_t need = s->len + extra + 1;
	if (need <= s->cap)
		return PS_OK;
	size_t cap = s->cap ? s->cap : 64;
	while (cap < need)
		cap += cap / 2;
	char *p = realloc(s->cap ? s->data : NULL, cap);
	if (!p) {
		s->failed = true;
		return PS_ENOMEM;
	}
	if (!s->cap)
		p[0] = '\0';
	s->data = p;
	s->cap = cap;
	return PS_OK;
}

void ps_strbuf_append_growing(struct ps_strbuf *s, const void *bytes, size_t n)
{
	if (n == 0 || ps_strbuf_reserve(s, n) != PS_OK)
		return;
	memcpy(s->data + s->len, bytes, n);
	s->len += n;
	s->data[s->len] = '\0';
}

void ps_strbuf_vprintf(struct ps_strbuf *s, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	if (n >= 0 && ps_strbuf_reserve(s, (size_t)n) == PS_OK) {
		vsnprintf(s->data + s->len, (size_t)n + 1, fmt, again);
		s->len += (size_t)n;
	}
	va_end(again);
}

void ps_strbuf_printf(struct ps_strbuf *s, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	ps_strbuf_vprintf(s, fmt, ap);
	va_end(ap);
}

void ps_strbuf_clear(struct ps_strbuf *s)
{
	s->len = 0;
	if (s->cap)
		s->data[0] = '\0';
}

char *ps_strbuf_take_data(struct ps_strbuf *s)
{
	if (s->failed || ps_strbuf_reserve(s, 0) != PS_OK)
		return NULL;
	char *p = s->data;
	ps_strbuf_init(s);
	return p;
}

enum ps_status ps_strbuf_status(const struct ps_strbuf *s)
{
	return s->failed ? PS_ENOMEM : PS_OK;
}
