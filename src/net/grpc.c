/* Calls: their beginning, what is sent, and the one status at their end.
 *
 * The last word is said once: by finish, or by net itself (abort: a limit, a time-out), or by
 * nobody, when the stream closes first. In each case the mark `end` of the stream fires once, and
 * on_end follows when finish has been called as well. */
#include "net/grpc.h"
#include "net/h2_parts_internal.h"
#include "net/server_internal.h"

#include <nghttp2/nghttp2.h>
#include <string.h>

/* What a call is counted with in the server's sum, besides its messages. */
enum { CALL_BYTES = 16 * 1024 };

static struct ps_net_h2_stream *stream_of(const struct ps_net_grpc_call *call)
{
	size_t at = offsetof(struct ps_net_h2_stream, g) + offsetof(struct ps_net_h2_grpc, call);
	return (struct ps_net_h2_stream *)((char *)call - at);
}

static const struct ps_net_grpc_handler *handler_of(const struct ps_net_h2_stream *st)
{
	return &st->h->service->grpc;
}

static struct ps_net_server_stats *stats_of(const struct ps_net_h2_stream *st)
{
	return &st->h->service->server->stats;
}

static bool can_speak(const struct ps_net_h2_stream *st)
{
	return st->open && !st->h->dead && !st->g.ended_by_net;
}

bool ps_net_grpc_is_call(const struct ps_net_h2_stream *st)
{
	static const char type[] = "application/grpc";
	if (!st->content_type || strcmp(st->method, "POST") != 0 ||
	    strncmp(st->content_type, type, sizeof type - 1) != 0)
		return false;
	char next = st->content_type[sizeof type - 1];
	return next == '\0' || next == '+' || next == ';';
}

/* --- the end --- */

/* Everything that is known now goes out behind what was sent. */
static void say_end(struct ps_net_h2_stream *st)
{
	st->all_said = true;
	if (st->g.headers_sent) {
		ps_net_h2_resume(st);
		return;
	}
	st->g.headers_sent = true;
	if (!ps_net_h2_respond_call(st, true))
		ps_net_h2_stream_reset(st, NGHTTP2_INTERNAL_ERROR);
}

void ps_net_grpc_end_owed(struct ps_net_h2_stream *st, enum ps_status status, int64_t now_ns)
{
	struct ps_net_h2_grpc *g = &st->g;
	g->end_fired = true;
	if (st->over || (g->taken && !g->finished))
		return;
	st->over = true;
	ps_net_charge_drop(st->h->service->server, &g->charge);
	if (!g->taken)
		return;
	if (g->ended_by_net)
		status = PS_ECANCELLED;
	stats_of(st)->in_flight--;
	if (status == PS_OK)
		stats_of(st)->answered++;
	else if (!g->call.gone)
		stats_of(st)->gone++;
	if (handler_of(st)->on_end)
		handler_of(st)->on_end(handler_of(st)->ctx, &g->call, status, now_ns);
}

/* The trailers that Retry-After is for HTTP. */
static void say_soon(struct ps_net_h2_grpc *g)
{
	g->trailers[0] = (struct ps_net_header){"retry-after", "1"};
	g->trailers[1] = (struct ps_net_header){"retry-pushback-ms", "1000"};
	g->n_trailers = 2;
}

void ps_net_grpc_abort(struct ps_net_h2_stream *st, enum ps_status why, enum ps_net_grpc_code code,
		       const char *text)
{
	struct ps_net_h2_grpc *g = &st->g;
	st->discard = true;
	ps_net_grpc_drop_input(st);
	if (g->finished || g->ended_by_net || !g->taken)
		return;
	g->code = code;
	g->text = text;
	g->n_trailers = 0;
	if (why == PS_EQUOTA || (why == PS_EUNAVAIL && !st->h->draining))
		say_soon(g);
	stats_of(st)->refused++;
	ps_net_h2_send_cancel_all(st);
	if (can_speak(st))
		say_end(st);
	g->ended_by_net = true;
	if (g->call.gone)
		return;
	g->call.gone = true;
	if (handler_of(st)->on_gone)
		handler_of(st)->on_gone(handler_of(st)->ctx, &g->call, why);
}

void ps_net_grpc_abort_room(struct ps_net_h2_stream *st, enum ps_status why)
{
	if (why == PS_ENOMEM)
		ps_net_grpc_abort(st, why, PS_NET_GRPC_RESOURCE_EXHAUSTED, "out of memory");
	else
		ps_net_grpc_abort(st, why, (enum ps_net_grpc_code)ps_status_get(why)->grpc,
				  ps_net_no_room(why));
}

void ps_net_grpc_closed(struct ps_net_h2_stream *st)
{
	struct ps_net_h2_grpc *g = &st->g;
	ps_net_grpc_drop_input(st);
	if (!st->ended) {
		st->ended = true;
		ps_net_h2_mark_here(st->h, &st->end, PS_ECANCELLED);
	}
	if (!g->taken || g->finished || g->call.gone)
		return;
	g->call.gone = true;
	stats_of(st)->gone++;
	if (handler_of(st)->on_gone)
		handler_of(st)->on_gone(handler_of(st)->ctx, &g->call, PS_ECANCELLED);
}

/* --- the beginning --- */

static void copy_trailers(struct ps_net_h2_grpc *g, const struct ps_net_header *trailers, size_t n)
{
	g->n_trailers = 0;
	for (size_t i = 0; i < n && g->n_trailers < PS_NET_GRPC_HEADERS_MAX; i++)
		if (ps_net_grpc_name_is_good(trailers[i].name))
			g->trailers[g->n_trailers++] = trailers[i];
}

/* Before the handler has the call. */
static void refuse(struct ps_net_h2_stream *st, int code, const char *text)
{
	st->g.code = (enum ps_net_grpc_code)code;
	st->g.text = text;
	st->discard = true;
	stats_of(st)->refused++;
	say_end(st);
}

static const char *keep_text(struct ps_net_h2_stream *st, const struct ps_error *e)
{
	struct ps_error said = *e;
	char text[sizeof said.what + sizeof said.hint + 8];
	said.where[0] = '\0';
	ps_error_format(&said, text, sizeof text);
	return ps_arena_strndup(&st->x.arena, text, strlen(text));
}

static void fill_call(struct ps_net_h2_stream *st)
{
	const struct ps_net_h2 *h = st->h;
	st->g.call = (struct ps_net_grpc_call){
		.path = st->target,
		.headers = st->headers,
		.n_headers = (size_t)st->n_headers,
		.peer = h->peer,
		.address = h->address,
		.secure = h->carrier.secure,
		.identity = h->identity,
		.first_byte_ns = st->began_ns,
		.max_message_bytes = h->service->server->o.max_body_bytes,
		.arena = &st->x.arena,
	};
}

void ps_net_grpc_await(struct ps_net_h2_stream *st, int64_t now_ns)
{
	st->progress_ns = now_ns;
	if (st->g.call.max_quiet_ns > 0)
		ps_net_h2_expect(st->h, now_ns + st->g.call.max_quiet_ns);
	if (st->h->draining)
		ps_net_h2_expect(st->h, now_ns); /* tick works it out */
}

/* NULL when the wire's own rules are kept; else what is wrong, and its code. */
static const char *breach(struct ps_net_h2_stream *st, int *ret_code)
{
	struct ps_net_h2_grpc *g = &st->g;
	int64_t timeout_ns = 0;
	*ret_code = PS_NET_GRPC_INTERNAL;
	if (!st->te || strcmp(st->te, "trailers") != 0)
		return "te: trailers is missing: is there a proxy that drops trailers?";
	if (st->grpc_timeout) {
		if (ps_net_grpc_timeout_ns(st->grpc_timeout, &timeout_ns) != PS_OK)
			return "grpc-timeout is malformed";
		g->call.deadline_ns = st->began_ns + timeout_ns;
		ps_net_h2_expect(st->h, g->call.deadline_ns + PS_NET_GRPC_DEADLINE_GRACE_NS);
	}
	g->coding = ps_net_coding_parse(st->grpc_encoding);
	*ret_code = PS_NET_GRPC_UNIMPLEMENTED;
	if (g->coding == PS_NET_CODING_UNKNOWN)
		return "only the message encodings identity, deflate and gzip are known";
	if (!handler_of(st)->on_call)
		return "gRPC is not served here";
	return NULL;
}

/* Whoever it is, one more call would be too many. */
static bool is_full(const struct ps_net_h2_stream *st)
{
	const struct ps_net_server *s = st->h->service->server;
	return s->stats.buffered_bytes + CALL_BYTES > s->o.max_buffered_bytes;
}

/* Once the handler has said whose call it is. */
static enum ps_status charge_call(struct ps_net_h2_stream *st)
{
	struct ps_net_server *s = st->h->service->server;
	struct ps_net_charge *c = &st->g.charge;
	enum ps_status status = ps_net_charge_open(s, c, st->g.call.owner, st->g.call.address);
	if (status == PS_OK)
		status = ps_net_charge_check(s, c, CALL_BYTES);
	if (status == PS_OK)
		(void)ps_net_charge_add(s, c, CALL_BYTES);
	return status;
}

static void take_call(struct ps_net_h2_stream *st)
{
	st->g.taken = true;
	stats_of(st)->requests++;
	stats_of(st)->in_flight++;
	enum ps_status status = charge_call(st);
	if (status == PS_OK)
		ps_net_grpc_await(st, st->h->now_ns);
	else
		ps_net_grpc_abort_room(st, status);
}

void ps_net_grpc_begin(struct ps_net_h2_stream *st)
{
	struct ps_net_h2_grpc *g = &st->g;
	struct ps_error err;
	int code;
	st->kind = PS_NET_H2_CALL;
	fill_call(st);
	const char *why = breach(st, &code);
	if (why) {
		refuse(st, code, why);
		return;
	}
	if (is_full(st)) {
		say_soon(g);
		refuse(st, PS_NET_GRPC_UNAVAILABLE, ps_net_no_room(PS_EUNAVAIL));
		return;
	}
	ps_error_clear(&err);
	enum ps_status status = handler_of(st)->on_call(handler_of(st)->ctx, &g->call, &err);
	if (status != PS_OK) {
		copy_trailers(g, g->call.refusal_trailers, g->call.n_refusal_trailers);
		refuse(st, ps_status_get(status)->grpc, keep_text(st, &err));
		return;
	}
	take_call(st);
}

/* --- what the handler says --- */

enum ps_status ps_net_grpc_headers(struct ps_net_grpc_call *call,
				   const struct ps_net_header *headers, size_t n)
{
	struct ps_net_h2_grpc *g = &stream_of(call)->g;
	if (g->headers_sent || g->n_headers > 0)
		return PS_EEXIST;
	if (n > PS_NET_GRPC_HEADERS_MAX)
		return PS_EINVAL;
	for (size_t i = 0; i < n; i++)
		if (!ps_net_grpc_name_is_good(headers[i].name))
			return PS_EINVAL;
	for (size_t i = 0; i < n; i++)
		g->headers[i] = headers[i];
	g->n_headers = (int)n;
	return PS_OK;
}

static void write_prefix(unsigned char prefix[5], size_t bytes)
{
	prefix[0] = 0;
	for (int i = 0; i < 4; i++)
		prefix[1 + i] = (unsigned char)(bytes >> (24 - 8 * i));
}

/* False: it cannot be said any more. */
static bool send_message(struct ps_net_h2_stream *st, const struct iovec *pieces, size_t n,
			 void (*on_sent)(void *ctx, enum ps_status status, int64_t done_ns),
			 void *ctx)
{
	size_t bytes = 0;
	for (size_t i = 0; i < n; i++)
		bytes += pieces[i].iov_len;
	if (!can_speak(st) || st->g.finished || bytes > INT32_MAX)
		return false;
	struct ps_net_h2_send *send = ps_net_h2_send_new(st, pieces, n, sizeof send->prefix);
	if (!send) {
		ps_net_h2_stream_reset(st, NGHTTP2_INTERNAL_ERROR);
		return false;
	}
	write_prefix(send->prefix, bytes);
	send->on_sent = on_sent;
	send->ctx = ctx;
	ps_net_h2_send_queue(send);
	if (st->g.headers_sent) {
		ps_net_h2_resume(st);
		return true;
	}
	st->g.headers_sent = true;
	if (!ps_net_h2_respond_call(st, false))
		ps_net_h2_stream_reset(st, NGHTTP2_INTERNAL_ERROR);
	return true;
}

void ps_net_grpc_send(struct ps_net_grpc_call *call, const struct iovec *pieces, size_t n,
		      void (*on_sent)(void *ctx, enum ps_status status, int64_t done_ns), void *ctx)
{
	struct ps_net_h2_stream *st = stream_of(call);
	struct ps_net_h2 *h = st->h;
	ps_net_h2_enter(h);
	if (!send_message(st, pieces, n, on_sent, ctx) && on_sent)
		on_sent(ctx, PS_ECANCELLED, h->now_ns);
	ps_net_h2_leave(h);
}

size_t ps_net_grpc_unsent_bytes(const struct ps_net_grpc_call *call)
{
	return stream_of(call)->unwritten_bytes;
}

/* What was set up by the caller is said, or thrown away. */
static void finish(struct ps_net_h2_stream *st)
{
	struct ps_net_h2_grpc *g = &st->g;
	g->finished = true;
	st->discard = true;
	st->depth++;
	ps_net_grpc_drop_input(st);
	if (can_speak(st))
		say_end(st);
	else if (g->end_fired)
		ps_net_grpc_end_owed(st, PS_ECANCELLED, st->h->now_ns);
	st->depth--;
	ps_net_h2_stream_settle(st);
}

void ps_net_grpc_finish(struct ps_net_grpc_call *call, enum ps_net_grpc_code code, const char *text,
			const struct ps_net_header *trailers, size_t n)
{
	struct ps_net_h2_stream *st = stream_of(call);
	struct ps_net_h2 *h = st->h;
	ps_net_h2_enter(h);
	if (can_speak(st)) {
		st->g.code = code;
		st->g.text =
			text && *text ? ps_arena_strndup(&st->x.arena, text, strlen(text)) : NULL;
		copy_trailers(&st->g, trailers, n);
	}
	finish(st);
	ps_net_h2_leave(h);
}

void ps_net_grpc_finish_error(struct ps_net_grpc_call *call, const struct ps_error *e,
			      const struct ps_net_header *trailers, size_t n)
{
	struct ps_error said = *e;
	char text[sizeof said.what + sizeof said.hint + 8];
	said.where[0] = '\0';
	ps_error_format(&said, text, sizeof text);
	ps_net_grpc_finish(call, (enum ps_net_grpc_code)ps_status_get(e->status)->grpc, text,
			   trailers, n);
}
