#include "base/error.h"

#include <stdio.h>
#include <string.h>

static void put(char *buf, size_t size, const char *fmt, va_list ap)
{
	int n = vsnprintf(buf, size, fmt, ap);
	if (n >= 0 && (size_t)n >= size)
		memcpy(buf + size - 4, "...", 4);
}

enum ps_status ps_error_set(struct ps_error *err, enum ps_status status, const char *fmt, ...)
{
	if (!err)
		return status;
	va_list ap;
	char text[sizeof err->what];
	va_start(ap, fmt);
	put(text, sizeof text, fmt, ap); /* the arguments may point into err itself */
	va_end(ap);
	ps_error_clear(err);
	err->status = status;
	memcpy(err->what, text, sizeof text);
	return status;
}

enum ps_status ps_error_errno(struct ps_error *err, int e, const char *fmt, ...)
{
	enum ps_status status = ps_status_from_errno(e);
	va_list ap;
	char text[sizeof((struct ps_error){0}.what) - 100];
	va_start(ap, fmt);
	put(text, sizeof text, fmt, ap);
	va_end(ap);
	return ps_error_set(err, status, "%s: %s", text, strerror(e));
}

void ps_error_where(struct ps_error *err, const char *fmt, ...)
{
	if (!err)
		return;
	va_list ap;
	char text[sizeof err->where];
	va_start(ap, fmt);
	put(text, sizeof text, fmt, ap);
	va_end(ap);
	memcpy(err->where, text, sizeof text);
}

void ps_error_hint(struct ps_error *err, const char *fmt, ...)
{
	if (!err)
		return;
	va_list ap;
	char text[sizeof err->hint];
	va_start(ap, fmt);
	put(text, sizeof text, fmt, ap);
	va_end(ap);
	memcpy(err->hint, text, sizeof text);
}

void ps_error_clear(struct ps_error *err)
{
	if (!err)
		return;
	err->status = PS_OK;
	err->what[0] = err->where[0] = err->hint[0] = '\0';
}

const char *ps_error_format(const struct ps_error *err, char *buf, unsigned long size)
{
	snprintf(buf, size, "%s%s%s%s%s%s", err->where, err->where[0] ? ": " : "",
		 err->what[0] ? err->what : ps_status_get(err->status)->meaning,
		 err->hint[0] ? " (" : "", err->hint, err->hint[0] ? ")" : "");
	return buf;
}
