/* The fields of a head: gathered within limits, then judged. */
#include "net/h2_parts_internal.h"
#include "net/server_internal.h"

#include <string.h>

enum { FIRST_HEADERS = 16 };

static bool is(const char *name, size_t n, const char *known)
{
	return strlen(known) == n && memcmp(name, known, n) == 0;
}

static void refuse_head(struct ps_net_h2_stream *st, int http, const char *text)
{
	if (st->refused.http == 0)
		st->refused = (struct ps_net_refused){.http = http, .text = text};
}

/* False when no more fields are wanted. */
static bool within_limits(struct ps_net_h2_stream *st, size_t bytes)
{
	const struct ps_net_server_options *o = &st->h->service->server->o;
	st->head_bytes += bytes + 32;
	if (st->head_bytes > o->max_header_bytes)
		refuse_head(st, 431, "the header is too large");
	else if (st->n_headers >= o->max_headers)
		refuse_head(st, 431, "too many header fields");
	return st->refused.http == 0;
}

static bool pseudo_field(struct ps_net_h2_stream *st, const char *name, size_t n, const char *value,
			 size_t value_len)
{
	char *text = ps_arena_strndup(&st->x.arena, value, value_len);
	if (is(name, n, ":method")) {
		st->method = text;
	} else if (is(name, n, ":path")) {
		st->target = text;
		st->target_bytes = value_len;
	} else if (is(name, n, ":authority")) {
		st->authority = text;
	}
	return text != NULL;
}

/* Fields that are asked for with every request are found as they come. */
static void note(struct ps_net_h2_stream *st, const char *name, size_t n, const char *value)
{
	switch (n) {
	case 2:
		if (is(name, n, "te"))
			st->te = value;
		break;
	case 4:
		st->has_host |= is(name, n, "host");
		break;
	case 6:
		if (is(name, n, "expect"))
			st->expect = value;
		break;
	case 12:
		if (is(name, n, "content-type"))
			st->content_type = value;
		else if (is(name, n, "grpc-timeout"))
			st->grpc_timeout = value;
		break;
	case 13:
		if (is(name, n, "grpc-encoding"))
			st->grpc_encoding = value;
		break;
	case 14:
		if (is(name, n, "content-length"))
			st->content_length = value;
		break;
	default:
		break;
	}
}

static bool room_for_one(struct ps_net_h2_stream *st)
{
	if (st->n_headers < st->cap_headers)
		return true;
	int cap = st->cap_headers ? 2 * st->cap_headers : FIRST_HEADERS;
	struct ps_net_header *h = ps_arena_alloc(&st->x.arena, (size_t)cap * sizeof *h);
	if (!h)
		return false;
	if (st->n_headers > 0)
		memcpy(h, st->headers, (size_t)st->n_headers * sizeof *h);
	st->headers = h;
	st->cap_headers = cap;
	return true;
}

bool ps_net_h2_field(struct ps_net_h2_stream *st, const char *name, size_t name_len,
		     bool static_name, const char *value, size_t value_len)
{
	if (!within_limits(st, name_len + value_len))
		return true;
	if (name[0] == ':')
		return pseudo_field(st, name, name_len, value, value_len);
	size_t own = static_name ? 0 : name_len + 1;
	char *text = ps_arena_alloc(&st->x.arena, own + value_len + 1);
	if (!text || !room_for_one(st))
		return false;
	if (own) {
		memcpy(text, name, name_len);
		text[name_len] = '\0';
	}
	memcpy(text + own, value, value_len);
	text[own + value_len] = '\0';
	st->headers[st->n_headers++] = (struct ps_net_header){own ? text : name, text + own};
	note(st, name, name_len, text + own);
	return true;
}

/* --- a whole head --- */

/* nghttp2 has checked that it is a number; -1 when not said. */
static int64_t content_length(const struct ps_net_h2_stream *st)
{
	int64_t v = 0;
	if (!st->content_length)
		return st->input_ended ? 0 : -1;
	for (const char *p = st->content_length; *p >= '0' && *p <= '9'; p++) {
		if (v > (INT64_MAX - 9) / 10)
			return INT64_MAX;
		v = 10 * v + (*p - '0');
	}
	return v;
}

static bool add_host(struct ps_net_h2_stream *st)
{
	if (st->has_host || !st->authority)
		return true;
	if (!room_for_one(st))
		return false;
	st->headers[st->n_headers++] = (struct ps_net_header){"host", st->authority};
	return true;
}

static bool fill_request(struct ps_net_h2_stream *st)
{
	struct ps_net_h2 *h = st->h;
	struct ps_net_request *r = &st->x.request;
	if (!ps_net_exchange_target(&st->x, st->target, st->target_bytes) || !add_host(st))
		return false;
	r->method = st->method;
	r->headers = st->headers;
	r->n_headers = (size_t)st->n_headers;
	r->json_bytes = -1;
	r->first_byte_ns = st->began_ns;
	r->peer = h->peer;
	r->address = h->address;
	r->http_major = 2;
	r->secure = h->carrier.secure;
	r->identity = h->identity;
	return true;
}

static void begin_request(struct ps_net_h2_stream *st)
{
	static const struct ps_net_refused no_memory = {.http = 503, .text = "out of memory"};
	static const struct ps_net_refused only_grpc = {
		.http = 415, .text = "only gRPC is spoken here: content-type application/grpc"};
	st->kind = PS_NET_H2_HTTP;
	st->body_began_ns = st->progress_ns = st->h->now_ns;
	ps_net_h2_expect(st->h, st->h->now_ns + st->h->service->server->o.body_timeout_ns);
	const struct ps_net_refused *why = st->refused.http ? &st->refused : NULL;
	if (!why && !st->x.server->handler.on_request)
		why = &only_grpc;
	if (!why && !fill_request(st))
		why = &no_memory;
	if (why) {
		ps_net_h2_stream_refuse(st, why);
		return;
	}
	struct ps_net_refused refused = ps_net_exchange_head(&st->x, content_length(st));
	if (refused.http)
		ps_net_h2_stream_refuse(st, &refused);
	else if (st->expect && !st->input_ended)
		ps_net_h2_say_continue(st);
}

void ps_net_h2_head_complete(struct ps_net_h2_stream *st)
{
	const struct ps_net_server_options *o = &st->h->service->server->o;
	if (st->target && st->target_bytes > o->max_url_bytes)
		refuse_head(st, 414, "the path is too long");
	if (!st->method || !st->target)
		refuse_head(st, 405, "CONNECT is not supported");
	if (st->refused.http == 0 && ps_net_grpc_is_call(st))
		ps_net_grpc_begin(st);
	else
		begin_request(st);
}
