/* Requests as they go out. HTTP/1.1: the bytes of the head, and of a small body behind it, so that
 * most requests are one piece. HTTP/2: header fields that nghttp2 need not copy. */
#include "net/client_internal.h"

#include <nghttp2/nghttp2.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	FLAT_BYTES = 16 * 1024, /* bodies up to this are copied behind the head */
	MAX_FIELDS = 256,	/* of a request */
	TIMEOUT_SIZE = 32,
};

/* --- memory --- */

void ps_net_prepared_init(struct ps_net_prepared *p)
{
	*p = (struct ps_net_prepared){0};
	ps_strbuf_init(&p->text);
}

void ps_net_prepared_fini(struct ps_net_prepared *p)
{
	ps_strbuf_fini(&p->text);
	free(p->pieces);
	free(p->fields);
	p->pieces = NULL;
	p->fields = NULL;
}

static bool reserve_pieces(struct ps_net_prepared *p, size_t n)
{
	if (n <= p->cap_pieces)
		return true;
	struct iovec *grown = realloc(p->pieces, n * sizeof *grown);
	if (!grown)
		return false;
	p->pieces = grown;
	p->cap_pieces = n;
	return true;
}

static bool reserve_fields(struct ps_net_prepared *p, size_t n)
{
	if (n <= p->cap_fields)
		return true;
	nghttp2_nv *grown = realloc(p->fields, n * sizeof *grown);
	if (!grown)
		return false;
	p->fields = grown;
	p->cap_fields = n;
	return true;
}

static void add_piece(struct ps_net_prepared *p, const void *at, size_t n)
{
	if (n == 0)
		return;
	p->pieces[p->n_pieces++] = (struct iovec){(void *)(uintptr_t)at, n};
	p->bytes += n;
}

/* --- what may be sent --- */

static bool is_token(const char *s)
{
	static const char token[] = "0123456789abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&'*+-.^_`|~";
	size_t n = strspn(s, token);
	return n > 0 && s[n] == '\0';
}

/* Those that HTTP/2 forbids, or that are ours to say. */
static bool is_ours(const char *name, const struct ps_net_call *call)
{
	static const char *const forbidden[] = {
		"connection",	     "host", "keep-alive",	"upgrade",
		"transfer-encoding", "te",   "proxy-connection"};
	for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++)
		if (strcasecmp(name, forbidden[i]) == 0)
			return true;
	return call->kind != PS_NET_CALL_HTTP &&
	       (strcasecmp(name, "content-type") == 0 || strncasecmp(name, "grpc-", 5) == 0);
}

static bool is_plain_call(const struct ps_net_call *call, const struct ps_net_maker *m)
{
	bool grpc = call->kind != PS_NET_CALL_HTTP;
	if (grpc && m->protocol != PS_NET_HTTP2)
		return false;
	bool ok = (grpc || is_token(call->method)) && call->path[0] == '/' &&
		  ps_net_text_is_plain(call->path) && !strchr(call->path, ' ');
	for (size_t i = 0; ok && i < call->n_headers; i++) {
		const struct ps_net_header *h = &call->headers[i];
		ok = is_token(h->name) && ps_net_text_is_plain(h->value) &&
		     (m->protocol == PS_NET_HTTP1 || !is_ours(h->name, call));
	}
	return ok;
}

static size_t bytes_of(const struct ps_net_call *call)
{
	size_t bytes = 0;
	for (size_t i = 0; i < call->n_body; i++)
		bytes += call->body[i].iov_len;
	return bytes;
}

static bool says_length(const struct ps_net_call *call, size_t bytes)
{
	return bytes > 0 || strcmp(call->method, "POST") == 0 || strcmp(call->method, "PUT") == 0;
}

/* --- HTTP/1.1 --- */

static void put_head(struct ps_strbuf *h, const struct ps_net_maker *m,
		     const struct ps_net_call *call, size_t bytes)
{
	ps_strbuf_puts(h, call->method);
	ps_strbuf_putc(h, ' ');
	ps_strbuf_puts(h, call->path);
	ps_strbuf_puts(h, " HTTP/1.1\r\nHost: ");
	ps_strbuf_puts(h, m->host);
	ps_strbuf_puts(h, "\r\n");
	for (size_t i = 0; i < call->n_headers; i++) {
		ps_strbuf_puts(h, call->headers[i].name);
		ps_strbuf_puts(h, ": ");
		ps_strbuf_puts(h, call->headers[i].value);
		ps_strbuf_puts(h, "\r\n");
	}
	if (says_length(call, bytes))
		ps_strbuf_printf(h, "Content-Length: %zu\r\n", bytes);
	ps_strbuf_puts(h, call->close ? "Connection: close\r\n\r\n" : "\r\n");
}

static enum ps_status make_h1(struct ps_net_prepared *p, const struct ps_net_maker *m,
			      const struct ps_net_call *call)
{
	bool flat = p->body_bytes <= FLAT_BYTES;
	put_head(&p->text, m, call, p->body_bytes);
	for (size_t i = 0; flat && i < call->n_body; i++)
		ps_strbuf_append(&p->text, call->body[i].iov_base, call->body[i].iov_len);
	if (ps_strbuf_status(&p->text) != PS_OK || !reserve_pieces(p, call->n_body + 1))
		return PS_ENOMEM;
	add_piece(p, p->text.data, p->text.len);
	for (size_t i = 0; !flat && i < call->n_body; i++)
		add_piece(p, call->body[i].iov_base, call->body[i].iov_len);
	return PS_OK;
}

/* --- HTTP/2 --- */

/* At most eight digits: rounded up to the next unit that needs no more. */
static const char *timeout_text(int64_t ns, char buf[TIMEOUT_SIZE])
{
	static const struct {
		char unit;
		int64_t ns;
	} units[] = {{'n', 1},
		     {'u', PS_NS_PER_US},
		     {'m', PS_NS_PER_MS},
		     {'S', PS_NS_PER_SEC},
		     {'M', 60 * PS_NS_PER_SEC},
		     {'H', 3600 * PS_NS_PER_SEC}};
	size_t i = 0;
	while (i + 1 < sizeof units / sizeof units[0] && (ns - 1) / units[i].ns >= 99999999)
		i++;
	snprintf(buf, TIMEOUT_SIZE, "%" PRId64 "%c", (ns - 1) / units[i].ns + 1, units[i].unit);
	return buf;
}

/* `text` has the room. Names are in lower case on the wire; values stay as they are. */
static void add_field(struct ps_net_prepared *p, const char *name, const char *value)
{
	nghttp2_nv *nv = (nghttp2_nv *)p->fields + p->n_fields++;
	size_t at = p->text.len;
	nv->namelen = strlen(name);
	nv->valuelen = strlen(value);
	nv->flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
	ps_strbuf_append(&p->text, name, nv->namelen);
	ps_strbuf_append(&p->text, value, nv->valuelen);
	for (size_t i = at; i < at + nv->namelen; i++)
		if (p->text.data[i] >= 'A' && p->text.data[i] <= 'Z')
			p->text.data[i] |= 0x20;
	nv->name = (uint8_t *)p->text.data + at;
	nv->value = nv->name + nv->namelen;
}

static enum ps_status reserve_texts(struct ps_net_prepared *p, const struct ps_net_maker *m,
				    const struct ps_net_call *call)
{
	size_t bytes = 512 + strlen(m->host) + strlen(call->path) +
		       (call->method ? strlen(call->method) : 0);
	for (size_t i = 0; i < call->n_headers; i++)
		bytes += strlen(call->headers[i].name) + strlen(call->headers[i].value);
	return reserve_fields(p, call->n_headers + 8) ? ps_strbuf_reserve(&p->text, bytes)
						      : PS_ENOMEM;
}

static void add_fields(struct ps_net_prepared *p, const struct ps_net_maker *m,
		       const struct ps_net_call *call)
{
	char number[32];
	bool grpc = call->kind != PS_NET_CALL_HTTP;
	add_field(p, ":method", grpc ? "POST" : call->method);
	add_field(p, ":scheme", m->secure ? "https" : "http");
	add_field(p, ":authority", m->host);
	add_field(p, ":path", call->path);
	if (grpc && call->grpc_timeout_ns > 0)
		add_field(p, "grpc-timeout", timeout_text(call->grpc_timeout_ns, number));
	if (grpc) {
		add_field(p, "te", "trailers");
		add_field(p, "content-type", "application/grpc");
	} else if (says_length(call, p->body_bytes)) {
		snprintf(number, sizeof number, "%zu", p->body_bytes);
		add_field(p, "content-length", number);
	}
	for (size_t i = 0; i < call->n_headers; i++)
		add_field(p, call->headers[i].name, call->headers[i].value);
}

static enum ps_status make_h2(struct ps_net_prepared *p, const struct ps_net_maker *m,
			      const struct ps_net_call *call)
{
	if (reserve_texts(p, m, call) != PS_OK || !reserve_pieces(p, call->n_body + 1))
		return PS_ENOMEM;
	add_fields(p, m, call);
	if (call->kind == PS_NET_CALL_GRPC) {
		uint32_t n = (uint32_t)p->body_bytes;
		for (int i = 0; i < 4; i++)
			p->prefix[1 + i] = (unsigned char)(n >> (24 - 8 * i));
		add_piece(p, p->prefix, sizeof p->prefix);
	}
	for (size_t i = 0; i < call->n_body; i++)
		add_piece(p, call->body[i].iov_base, call->body[i].iov_len);
	return PS_OK;
}

/* --- both --- */

enum ps_status ps_net_prepared_make(struct ps_net_prepared *p, const struct ps_net_maker *m,
				    const struct ps_net_call *call, struct ps_error *err)
{
	if (call->n_headers > MAX_FIELDS || !is_plain_call(call, m))
		return ps_error_set(err, PS_EINVAL, "a method, path or header cannot be sent");
	p->protocol = m->protocol;
	p->kind = call->kind;
	p->head = call->kind == PS_NET_CALL_HTTP && strcmp(call->method, "HEAD") == 0;
	p->close = call->close;
	p->n_pieces = p->n_fields = p->bytes = 0;
	p->body_bytes = bytes_of(call);
	ps_strbuf_clear(&p->text);
	if (call->kind != PS_NET_CALL_HTTP && p->body_bytes > UINT32_MAX)
		return ps_error_set(err, PS_ETOOBIG, "a message of gRPC has at most 4 GiB");
	enum ps_status s = m->protocol == PS_NET_HTTP2 ? make_h2(p, m, call) : make_h1(p, m, call);
	return s == PS_OK ? PS_OK : ps_error_set(err, s, "no memory for a request");
}

const struct ps_net_prepared *ps_net_prepared_of(const struct ps_net_call *call,
						 struct ps_net_prepared *own,
						 const struct ps_net_maker *m,
						 enum ps_status *ret_status, struct ps_error *err)
{
	const struct ps_net_prepared *p = call->prepared;
	if (p && (p->protocol != m->protocol || p->kind != call->kind)) {
		*ret_status = ps_error_set(err, PS_EINVAL,
					   "the request was prepared for another protocol");
		return NULL;
	}
	*ret_status = p ? PS_OK : ps_net_prepared_make(own, m, call, err);
	return *ret_status != PS_OK ? NULL : p ? p : own;
}

enum ps_status ps_net_prepare(const struct ps_net_client_options *o, const struct ps_net_call *like,
			      struct ps_net_prepared **ret_prepared, struct ps_error *err)
{
	struct ps_net_maker m = {o->protocol, o->host, o->tls != NULL};
	if (!o->host || !ps_net_text_is_plain(o->host))
		return ps_error_set(err, PS_EINVAL, "a request needs the value of its Host header");
	struct ps_net_prepared *p = malloc(sizeof *p);
	if (!p)
		return ps_error_set(err, PS_ENOMEM, "no memory for a request");
	ps_net_prepared_init(p);
	enum ps_status s = ps_net_prepared_make(p, &m, like, err);
	if (s == PS_OK)
		*ret_prepared = p;
	else
		ps_net_prepared_free(p);
	return s;
}

void ps_net_prepared_free(struct ps_net_prepared *p)
{
	if (!p)
		return;
	ps_net_prepared_fini(p);
	free(p);
}

size_t ps_net_prepared_bytes(const struct ps_net_prepared *p)
{
	return p->body_bytes;
}
