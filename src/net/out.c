#include "net/net_internal.h"

#include <stdlib.h>
#include <string.h>

void ps_net_out_init(struct ps_net_out *o)
{
	*o = (struct ps_net_out){0};
	ps_strbuf_init(&o->head);
}

void ps_net_out_fini(struct ps_net_out *o)
{
	ps_strbuf_fini(&o->head);
	free(o->pieces);
	o->pieces = NULL;
}

enum ps_status ps_net_out_set(struct ps_net_out *o, const struct iovec *pieces, size_t n)
{
	if (ps_strbuf_status(&o->head) != PS_OK)
		return PS_ENOMEM;
	if (n + 1 > o->cap) {
		struct iovec *grown = realloc(o->pieces, (n + 1) * sizeof *grown);
		if (!grown)
			return PS_ENOMEM;
		o->pieces = grown;
		o->cap = n + 1;
	}
	o->pieces[0] = (struct iovec){o->head.data, o->head.len};
	if (n > 0)
		memcpy(o->pieces + 1, pieces, n * sizeof *pieces);
	o->n = n + 1;
	o->at = o->head.len == 0;
	o->left = 0;
	for (size_t i = o->at; i < o->n; i++)
		o->left += o->pieces[i].iov_len;
	return PS_OK;
}

void ps_net_out_wrote(struct ps_net_out *o, size_t n)
{
	o->left -= n;
	while (o->at < o->n && n >= o->pieces[o->at].iov_len) {
		n -= o->pieces[o->at].iov_len;
		o->at++;
	}
	if (o->at < o->n) {
		o->pieces[o->at].iov_base = (char *)o->pieces[o->at].iov_base + n;
		o->pieces[o->at].iov_len -= n;
	}
}

/* Whether any of eight bytes is below 0x20 or is 0x7f. Each test is exact where all bytes are below
 * 0x80; those above are masked away, and cannot lend to a neighbour once they are. */
static bool has_control(uint64_t eight)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
	uint64_t low = eight & ~tops;
	uint64_t above = low + 0x60 * ones; /* top bit: 0x20 or more */
	uint64_t is_del = low + ones;	    /* top bit: 0x7f */
	return (~eight & tops & (~above | is_del)) != 0;
}

bool ps_net_bytes_are_plain(const char *s, size_t n)
{
	uint64_t eight;
	const char *end = s + n;
	if (n >= sizeof eight) {
		for (; (size_t)(end - s) > sizeof eight; s += sizeof eight) {
			memcpy(&eight, s, sizeof eight);
			if (has_control(eight))
				return false;
		}
		memcpy(&eight, end - sizeof eight, sizeof eight); /* some of them twice */
		return !has_control(eight);
	}
	for (; s < end; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

bool ps_net_text_is_plain(const char *s)
{
	return ps_net_bytes_are_plain(s, strlen(s));
}

const char *ps_net_reason(int http)
{
	static const struct {
		int http;
		const char *text;
	} rows[] = {
		{200, "OK"},
		{201, "Created"},
		{204, "No Content"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{413, "Content Too Large"},
		{414, "URI Too Long"},
		{415, "Unsupported Media Type"},
		{417, "Expectation Failed"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{499, "Client Closed Request"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{503, "Service Unavailable"},
		{504, "Gateway Timeout"},
		{505, "HTTP Version Not Supported"},
		{507, "Insufficient Storage"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].http == http)
			return rows[i].text;
	return "Status";
}

/* Bytes outside ASCII become '?': error texts are ASCII, but may quote what a client sent. */
void ps_net_json_text(struct ps_strbuf *out, const char *s)
{
	ps_strbuf_putc(out, '"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '"' || c == '\\')
			ps_strbuf_printf(out, "\\%c", c);
		else if (c < 0x20)
			ps_strbuf_printf(out, "\\u%04x", c);
		else
			ps_strbuf_putc(out, c < 0x7f ? (char)c : '?');
	}
	ps_strbuf_putc(out, '"');
}
