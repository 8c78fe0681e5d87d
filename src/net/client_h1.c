/* HTTP/1.1: one call at a time. */
#include "net/client_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	DIRECT_MIN = 4096, /* smaller rests of a body are not worth a place of their own */
	MAX_HEADERS = 100,
};

/* --- ends --- */

static void finish(struct ps_net_client *c, enum ps_net_outcome outcome, int e, int64_t now_ns)
{
	struct ps_net_call *call = c->h1.call;
	if (!call)
		return;
	c->h1.call = NULL;
	c->h1.writing = false;
	ps_net_call_end_with(call, outcome, e, now_ns);
}

/* --- sending --- */

/* False: nothing more can be written now. */
static bool write_once(struct ps_net_client *c, bool in_send)
{
	struct ps_net_h1_state *h = &c->h1;
	struct ps_net_out *o = &h->out;
	int64_t before_ns;
	int64_t n = ps_net_wire_write(&c->wire, o->pieces + o->at, o->n - o->at, &before_ns);
	if (n == PS_NET_IO_BROKEN) {
		int e = c->wire.error;
		h->writing = false;
		/* The server may have answered (a refusal) before it broke the connection: what
		 * came is read first. */
		if (e == EPIPE || e == ECONNRESET)
			return false;
		if (in_send)
			ps_net_client_fail_soon(c, PS_NET_RESET, e);
		else
			ps_net_client_fail(c, PS_NET_RESET, e);
		return false;
	}
	if (n > 0 && !h->call->sent_ns)
		h->call->sent_ns = before_ns;
	ps_net_out_wrote(o, (size_t)n);
	h->writing = o->left > 0;
	if (!h->writing)
		h->call->sent_all_ns = ps_evloop_now_ns(c->loop);
	return h->writing && !c->wire.full;
}

static void write_more(struct ps_net_client *c, bool in_send)
{
	while (write_once(c, in_send))
		;
}

static enum ps_status begin(struct ps_net_client *c, struct ps_net_call *call, struct ps_error *err)
{
	struct ps_net_h1_state *h = &c->h1;
	enum ps_status s;
	const struct ps_net_prepared *p = ps_net_prepared_of(call, &h->own, &c->maker, &s, err);
	if (!p)
		return s;
	if (ps_net_out_set(&h->out, p->pieces, p->n_pieces) != PS_OK)
		return ps_error_set(err, PS_ENOMEM, "no memory for a request");
	ps_net_call_reset(call);
	call->stream = &h->stream;
	h->call = call;
	h->head = p->head;
	h->close = p->close;
	h->writing = true;
	h->whole_head = h->direct = false;
	h->body = (struct ps_net_body){0};
	ps_arena_reset(&h->arena);
	ps_net_http1_reset(h->parser, p->head);
	return PS_OK;
}

static void start(struct ps_net_client *c)
{
	write_more(c, true);
	ps_net_client_watch(c);
}

static void opened(struct ps_net_client *c, int64_t now_ns)
{
	if (!c->h1.call)
		return;
	c->used = true;
	c->h1.call->connected_ns = now_ns;
	write_more(c, false);
}

static void on_writable(struct ps_net_client *c)
{
	if (ps_net_wire_push(&c->wire) == 0 && c->h1.call && c->h1.writing)
		write_more(c, false);
}

static bool wants_write(const struct ps_net_client *c)
{
	return c->h1.call && c->h1.writing;
}

/* --- receiving --- */

static enum ps_status on_body(void *ctx, const char *at, size_t n)
{
	struct ps_net_client *c = ctx;
	return ps_net_body_append(&c->h1.body, at, n);
}

/* The headers stay with the parser until the next answer begins. */
static void on_head(struct ps_net_client *c)
{
	struct ps_net_h1_state *st = &c->h1;
	const struct ps_net_head *h = ps_net_http1_head(st->parser);
	struct ps_net_call *call = st->call;
	if (h->http < 200) /* 100 Continue and the like: the answer is still to come */
		return;
	st->whole_head = true;
	st->keep_alive = h->keep_alive;
	call->http = h->http;
	call->answer_headers = h->headers;
	call->n_answer_headers = h->n_headers;
	if (ps_net_json_bytes(h->headers, h->n_headers, &call->answer_json_bytes) != PS_OK) {
		ps_net_client_fail(c, PS_NET_MALFORMED, 0);
		return;
	}
	bool has_body = !st->head && h->http != 204 && h->http != 304;
	int64_t length = has_body && !h->chunked ? h->content_length : -1;
	if (call->answer_json_bytes > (int64_t)c->o.max_body_bytes) {
		ps_net_client_fail(c, PS_NET_TOO_BIG, 0);
		return;
	}
	enum ps_status s = ps_net_body_begin(&st->body, &st->arena, length, call->answer_json_bytes,
					     c->o.max_body_bytes);
	st->direct = length > DIRECT_MIN && !c->wire.ssl;
	if (s != PS_OK)
		ps_net_client_fail(c, s == PS_ETOOBIG ? PS_NET_TOO_BIG : PS_NET_MEMORY, 0);
}

static void on_end(struct ps_net_client *c)
{
	struct ps_net_h1_state *h = &c->h1;
	struct ps_net_call *call = h->call;
	if (!h->whole_head)
		return; /* an interim answer */
	if (!h->head && call->answer_json_bytes > (int64_t)h->body.bytes) {
		ps_net_client_fail(c, PS_NET_MALFORMED, 0);
		return;
	}
	call->answer_body = h->body.data;
	call->answer_bytes = h->body.bytes;
	call->done_kernel_ns = ps_net_client_kernel_ns(c, call->sent_ns);
	/* An answer that came before the whole request was sent leaves the connection unusable. */
	if (!h->keep_alive || h->close || h->writing || h->out.left > 0)
		ps_net_client_close_connection(c);
	finish(c, PS_NET_OK, 0, c->wire.read_ns);
}

static enum ps_net_outcome bad_outcome(const struct ps_net_client *c)
{
	switch (ps_net_http1_refusal(c->h1.parser).http) {
	case 413:
	case 414:
	case 431:
		return PS_NET_TOO_BIG;
	case 503:
		return PS_NET_MEMORY;
	default:
		return PS_NET_MALFORMED;
	}
}

static void fail_bad(struct ps_net_client *c)
{
	const char *text = ps_net_http1_refusal(c->h1.parser).text;
	strncpy(c->why, text ? text : "", sizeof c->why - 1);
	ps_net_client_fail(c, bad_outcome(c), 0);
}

static void feed(struct ps_net_client *c, const char *at, size_t n)
{
	struct ps_net_h1_state *h = &c->h1;
	struct ps_net_call *call = h->call;
	size_t done = 0;
	if (!call) {
		ps_net_client_close_connection(c); /* bytes that nobody asked for */
		return;
	}
	ps_net_call_came(c, call);
	while (h->call == call && c->state == PS_NET_OPEN && done < n) {
		size_t used;
		enum ps_net_event e = ps_net_http1_feed(h->parser, at + done, n - done, &used);
		done += used;
		if (e == PS_NET_EV_HEAD)
			on_head(c);
		else if (e == PS_NET_EV_BAD)
			fail_bad(c);
		else if (e == PS_NET_EV_END && h->whole_head && done < n)
			ps_net_client_fail(c, PS_NET_MALFORMED, 0); /* more than one answer */
		else if (e == PS_NET_EV_END)
			on_end(c);
	}
}

/* The connection has ended: that may be the end of the answer, or cut it. */
static void on_eof(struct ps_net_client *c, int e)
{
	struct ps_net_h1_state *h = &c->h1;
	struct ps_net_call *call = h->call;
	if (!call) {
		ps_net_client_close_connection(c);
		return;
	}
	if (e == 0 && h->whole_head) {
		size_t used;
		if (ps_net_http1_feed(h->parser, "", 0, &used) == PS_NET_EV_END) {
			h->keep_alive = false;
			on_end(c);
			return;
		}
	}
	ps_net_client_fail(c, call->first_byte_ns ? PS_NET_HALF : PS_NET_RESET, e);
}

static char *where(struct ps_net_client *c, size_t *ret_room)
{
	struct ps_net_h1_state *h = &c->h1;
	if (!h->call || !h->direct || h->body.cap <= h->body.bytes)
		return NULL;
	*ret_room = h->body.cap - h->body.bytes;
	return h->body.data + h->body.bytes;
}

/* --- the rest --- */

static void end_all(struct ps_net_client *c, enum ps_net_outcome outcome, int e, int64_t now_ns)
{
	finish(c, outcome, e, now_ns);
}

static int64_t expire(struct ps_net_client *c, int64_t now_ns)
{
	const struct ps_net_call *call = c->h1.call;
	if (call && call->deadline_ns && now_ns >= call->deadline_ns)
		ps_net_client_fail(c, ps_net_client_late(c), 0);
	call = c->h1.call;
	return call && call->deadline_ns ? call->deadline_ns : INT64_MAX;
}

static void cancel(struct ps_net_client *c, struct ps_net_call *call)
{
	(void)call;
	ps_net_client_fail(c, PS_NET_CANCELLED, 0);
}

static int streams(const struct ps_net_client *c)
{
	(void)c;
	return 1;
}

static int room(const struct ps_net_client *c)
{
	return c->h1.call ? 0 : 1;
}

static int calls(const struct ps_net_client *c)
{
	return c->h1.call ? 1 : 0;
}

static void later(struct ps_net_client *c)
{
	(void)c;
}

static enum ps_status init(struct ps_net_client *c)
{
	struct ps_net_http1_options po = {.response = true,
					  .max_url_bytes = 1,
					  .max_header_bytes = c->o.max_header_bytes,
					  .max_headers = MAX_HEADERS,
					  .on_body = on_body,
					  .ctx = c};
	c->h1.stream.client = c;
	ps_net_prepared_init(&c->h1.own);
	ps_net_out_init(&c->h1.out);
	ps_arena_init(&c->h1.arena, 0);
	c->h1.parser = ps_net_http1_new(&po);
	return c->h1.parser ? PS_OK : PS_ENOMEM;
}

static void fini(struct ps_net_client *c)
{
	ps_net_http1_free(c->h1.parser);
	ps_net_out_fini(&c->h1.out);
	ps_net_prepared_fini(&c->h1.own);
	ps_arena_fini(&c->h1.arena);
}

const struct ps_net_speech ps_net_speech_h1 = {
	.init = init,
	.fini = fini,
	.room = room,
	.streams = streams,
	.calls = calls,
	.begin = begin,
	.start = start,
	.opened = opened,
	.write = on_writable,
	.later = later,
	.wants_write = wants_write,
	.where = where,
	.feed = feed,
	.eof = on_eof,
	.end_all = end_all,
	.expire = expire,
	.cancel = cancel,
};
