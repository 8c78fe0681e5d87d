/* gRPC of clients: messages out of DATA frames and to be framed, and how a call ended. */
#include "net/client_h2_internal.h"
#include "net/grpc.h"

#include <nghttp2/nghttp2.h>
#include <string.h>
#include <strings.h>

/* --- status --- */

int ps_net_grpc_client_reset(uint32_t code)
{
	switch (code) {
	case NGHTTP2_REFUSED_STREAM:
		return PS_NET_GRPC_UNAVAILABLE;
	case NGHTTP2_CANCEL:
		return PS_NET_GRPC_CANCELLED;
	case NGHTTP2_ENHANCE_YOUR_CALM:
		return PS_NET_GRPC_RESOURCE_EXHAUSTED;
	case NGHTTP2_INADEQUATE_SECURITY:
		return PS_NET_GRPC_PERMISSION_DENIED;
	default:
		return PS_NET_GRPC_INTERNAL;
	}
}

/* For answers that are not of gRPC. */
static int status_of_http(int http)
{
	switch (http) {
	case 400:
	case 431:
		return PS_NET_GRPC_INTERNAL;
	case 401:
		return PS_NET_GRPC_UNAUTHENTICATED;
	case 403:
		return PS_NET_GRPC_PERMISSION_DENIED;
	case 404:
		return PS_NET_GRPC_UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504:
		return PS_NET_GRPC_UNAVAILABLE;
	default:
		return PS_NET_GRPC_UNKNOWN;
	}
}

/* Decimal without leading zeros; anything else is a status that nobody knows. */
static int status_of_text(const char *text)
{
	size_t n = strspn(text, "0123456789");
	if (n == 0 || n > 2 || text[n] || (n == 2 && text[0] == '0'))
		return PS_NET_GRPC_UNKNOWN;
	return n == 1 ? text[0] - '0' : 10 * (text[0] - '0') + text[1] - '0';
}

static int digit_of(char c)
{
	static const char hex[] = "0123456789abcdef";
	const char *p = c ? strchr(hex, c | 0x20) : NULL;
	if (c >= '0' && c <= '9')
		return c - '0';
	return p && p - hex >= 10 ? (int)(p - hex) : -1;
}

const char *ps_net_grpc_unpercent(struct ps_arena *arena, const char *text)
{
	char *copy = ps_arena_strndup(arena, text, strlen(text)), *to = copy;
	if (!copy)
		return NULL;
	for (const char *p = text; *p; p++) {
		int high = *p == '%' ? digit_of(p[1]) : -1;
		int low = high >= 0 ? digit_of(p[2]) : -1;
		bool good = low >= 0 && (high > 0 || low > 0); /* a NUL would cut the text */
		*to = *p;
		if (good) {
			*to = (char)(high << 4 | low);
			p += 2;
		}
		to++;
	}
	*to = '\0';
	return copy;
}

/* --- messages --- */

void ps_net_grpc_client_head(struct ps_net_h2c_call *k)
{
	static const char grpc[] = "application/grpc";
	const char *type = ps_net_header_get(k->headers.list, k->headers.n, "content-type");
	size_t n = sizeof grpc - 1;
	k->grpc = k->call->http == 200 && type && strncasecmp(type, grpc, n) == 0 &&
		  (!type[n] || type[n] == '+' || type[n] == ';' || type[n] == ' ');
}

static void end_now(struct ps_net_h2c_call *k, enum ps_net_outcome outcome)
{
	ps_net_h2c_end(k, outcome, 0, k->base.client->wire.read_ns, false);
}

static size_t length_of(const unsigned char prefix[5])
{
	return (size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 8 |
	       (size_t)prefix[4];
}

/* Whether the call goes on. Compression was not offered, so that it breaks the protocol. */
static bool begin_message(struct ps_net_h2c_call *k)
{
	struct ps_net_h2c_deframer *d = &k->frame;
	enum ps_net_outcome why = PS_NET_OK;
	d->want = length_of(d->prefix);
	if (d->prefix[0] != 0 || (d->had && k->kind == PS_NET_CALL_GRPC))
		why = PS_NET_MALFORMED;
	else if (d->want > k->base.client->o.max_body_bytes)
		why = PS_NET_TOO_BIG;
	if (why == PS_NET_OK) {
		ps_arena_reset(&k->body_arena);
		if (ps_net_body_begin(&k->body, &k->body_arena, (int64_t)d->want, -1,
				      k->base.client->o.max_body_bytes) == PS_OK)
			return true;
		why = PS_NET_MEMORY;
	}
	end_now(k, why);
	return false;
}

/* Whether the call goes on. */
static bool end_message(struct ps_net_h2c_call *k)
{
	struct ps_net_client *c = k->base.client;
	struct ps_net_h2c_deframer *d = &k->frame;
	struct ps_net_call *call = k->call;
	struct ps_net_arrived m = {.data = k->body.data,
				   .bytes = k->body.bytes,
				   .first_byte_ns = d->first_byte_ns,
				   .done_ns = c->wire.read_ns,
				   .first_byte_kernel_ns = d->first_byte_kernel_ns,
				   .done_kernel_ns = ps_net_client_kernel_ns(c, call->sent_ns)};
	d->had = true;
	d->prefix_n = 0;
	if (k->kind == PS_NET_CALL_GRPC || !call->on_message)
		return true;
	uint64_t generation = k->generation;
	call->on_message(call, &m);
	return k->generation == generation; /* else it was ended in there */
}

/* Takes bytes of the prefix; true when it is whole. */
static bool take_prefix(struct ps_net_h2c_call *k, const uint8_t **at, size_t *n)
{
	struct ps_net_h2c_deframer *d = &k->frame;
	size_t part = sizeof d->prefix - d->prefix_n;
	if (d->prefix_n == 0) {
		d->first_byte_ns = k->base.client->wire.read_ns;
		d->first_byte_kernel_ns = ps_net_client_kernel_ns(k->base.client, k->call->sent_ns);
	}
	part = part < *n ? part : *n;
	memcpy(d->prefix + d->prefix_n, *at, part);
	d->prefix_n += (unsigned)part;
	*at += part;
	*n -= part;
	return d->prefix_n == sizeof d->prefix;
}

void ps_net_grpc_client_data(struct ps_net_h2c_call *k, const uint8_t *at, size_t n)
{
	struct ps_net_h2c_deframer *d = &k->frame;
	while (n > 0) {
		if (d->prefix_n < sizeof d->prefix &&
		    (!take_prefix(k, &at, &n) || !begin_message(k)))
			return;
		size_t part = d->want - k->body.bytes;
		part = part < n ? part : n;
		if (ps_net_body_append(&k->body, (const char *)at, part) != PS_OK) {
			end_now(k, PS_NET_MEMORY);
			return;
		}
		at += part;
		n -= part;
		if (k->body.bytes == d->want && !end_message(k))
			return;
	}
}

/* --- the end --- */

/* The status stands in the trailers, or, when there was nothing else, in the head. */
static bool read_status(struct ps_net_h2c_call *k)
{
	const struct ps_net_h2c_fields *f = k->trailers.n > 0 ? &k->trailers : &k->headers;
	const char *status = ps_net_header_get(f->list, f->n, "grpc-status");
	const char *text = ps_net_header_get(f->list, f->n, "grpc-message");
	if (!status)
		return false;
	k->call->grpc_status = status_of_text(status);
	const char *decoded = text ? ps_net_grpc_unpercent(&k->arena, text) : "";
	k->call->grpc_message = decoded ? decoded : "";
	return true;
}

enum ps_net_outcome ps_net_grpc_client_end(struct ps_net_h2c_call *k)
{
	struct ps_net_call *call = k->call;
	if (!k->grpc) {
		call->grpc_status = status_of_http(call->http);
		return PS_NET_OK;
	}
	if (!read_status(k)) {
		call->grpc_status = PS_NET_GRPC_UNKNOWN;
		return PS_NET_HALF;
	}
	if (k->frame.prefix_n > 0)
		return PS_NET_HALF; /* inside a message */
	if (k->kind == PS_NET_CALL_GRPC && call->grpc_status == PS_NET_GRPC_OK && !k->frame.had)
		return PS_NET_MALFORMED; /* all is well, but where is the answer? */
	return PS_NET_OK;
}

/* --- messages that are sent --- */

static void start(struct ps_net_h2c_call *k)
{
	ps_evloop_later_add(k->base.client->loop, &k->base.client->later);
}

enum ps_status ps_net_call_message(struct ps_net_call *call, struct ps_net_message *m,
				   struct ps_error *err)
{
	struct ps_net_h2c_call *k = (struct ps_net_h2c_call *)call->stream;
	if (!k || call->kind != PS_NET_CALL_GRPC_STREAM || k->side_ended)
		return ps_error_set(err, PS_EUNAVAIL, "no message can be sent on this call");
	m->bytes = 0;
	for (size_t i = 0; i < m->n_body; i++)
		m->bytes += m->body[i].iov_len;
	if (m->bytes > UINT32_MAX)
		return ps_error_set(err, PS_ETOOBIG, "a message of gRPC has at most 4 GiB");
	m->prefix[0] = 0;
	for (int i = 0; i < 4; i++)
		m->prefix[1 + i] = (unsigned char)(m->bytes >> (24 - 8 * i));
	m->prefix_left = sizeof m->prefix;
	m->sent_ns = m->sent_all_ns = 0;
	m->stream = &k->base;
	m->next = NULL;
	if (k->last_message)
		k->last_message->next = m;
	else
		k->messages = m;
	k->last_message = m;
	ps_net_h2c_resume(k);
	start(k);
	return PS_OK;
}

void ps_net_call_end(struct ps_net_call *call)
{
	struct ps_net_h2c_call *k = (struct ps_net_h2c_call *)call->stream;
	if (!k || call->kind != PS_NET_CALL_GRPC_STREAM || k->side_ended)
		return;
	k->side_ended = true;
	ps_net_h2c_resume(k);
	start(k);
}
