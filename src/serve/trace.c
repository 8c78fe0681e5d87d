/* trace.c - W3C trace context: which trace a request belongs to. */
#include "serve/observe_internal.h"

#include <string.h>

enum { SAMPLED = 1, RANDOM = 2, V00_LENGTH = 55 };

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; /* upper case is not valid */
}

static bool take_hex(const char *text, unsigned char *to, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int high = digit(text[2 * i]), low = high < 0 ? -1 : digit(text[2 * i + 1]);
		if (low < 0)
			return false;
		to[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

static bool is_zero(const unsigned char *bytes, size_t n)
{
	unsigned char any = 0;
	for (size_t i = 0; i < n; i++)
		any |= bytes[i];
	return any == 0;
}

bool ps_serve_trace_parse(const char *text, struct ps_serve_trace *ret_trace)
{
	unsigned char version, flags;
	struct ps_serve_trace t = *ret_trace;
	size_t n = strlen(text);
	if (n < V00_LENGTH || !take_hex(text, &version, 1) || version == 0xff)
		return false;
	if (version == 0 ? n != V00_LENGTH : n > V00_LENGTH && text[V00_LENGTH] != '-')
		return false;
	if (text[2] != '-' || text[35] != '-' || text[52] != '-')
		return false;
	if (!take_hex(text + 3, t.trace_id, 16) || !take_hex(text + 36, t.parent_id, 8) ||
	    !take_hex(text + 53, &flags, 1))
		return false;
	if (is_zero(t.trace_id, 16) || is_zero(t.parent_id, 8))
		return false;
	/* Of a later version only the sampled bit has a meaning that we know. */
	t.flags = flags & (version == 0 ? SAMPLED | RANDOM : SAMPLED);
	*ret_trace = t;
	return true;
}

static char *put_hex(char *to, const unsigned char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		*to++ = "0123456789abcdef"[bytes[i] >> 4];
		*to++ = "0123456789abcdef"[bytes[i] & 15];
	}
	return to;
}

void ps_serve_trace_span(struct ps_serve_trace *t, uint64_t span_id)
{
	char *to = t->text;
	for (int i = 0; i < 8; i++)
		t->span_id[i] = (unsigned char)(span_id >> (56 - 8 * i));
	memcpy(to, "00-", 3);
	to = put_hex(to + 3, t->trace_id, 16);
	*to++ = '-';
	to = put_hex(to, t->span_id, 8);
	*to++ = '-';
	to = put_hex(to, &t->flags, 1);
	*to = '\0';
}
