/* Streams: their life, and requests with their answers.
 *
 *   HEAD --gRPC--> CALL (grpc.c)
 *     |
 *     +--> HTTP: body* --> complete --> handler ... answer --> submitted --> ended --> over
 *                  |                       |                       |
 *                  +--> refuse ------------|-----------------------+
 *                                          +--> closed: on_gone, and the answer is dropped
 *
 * `ended`: the last frame is in the queue. `over`: it was written, or never will be, and whoever
 * was to be told has been. Only then, and when nghttp2 has closed the stream, its memory goes. */
#include "net/h2_parts_internal.h"
#include "net/server_internal.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_EARNS_MILLI = 4000, ANSWER_EARNS_RESETS_MILLI = 500 };

static void answer(struct ps_net_exchange *x, const struct ps_net_answer *a);
static void fire_end(struct ps_net_h2_mark *m, enum ps_status status, int64_t now_ns);

/* --- life --- */

static void fini_stream(struct ps_net_h2_stream *st)
{
	ps_net_exchange_fini(&st->x);
	free(st);
}

/* One that was used before, with its arena warm. */
static struct ps_net_h2_stream *take_stream(struct ps_net_h2_service *s)
{
	struct ps_net_h2_pool *p = s->pool;
	struct ps_net_h2_stream *st = p->streams;
	if (st) {
		p->streams = st->next;
		p->n_streams--;
		return st;
	}
	st = malloc(sizeof *st);
	if (st)
		ps_net_exchange_init(&st->x, s->server, answer);
	return st;
}

struct ps_net_h2_stream *ps_net_h2_stream_new(struct ps_net_h2 *h, int32_t id)
{
	struct ps_net_h2_stream *st = take_stream(h->service);
	if (!st)
		return NULL;
	memset((char *)st + offsetof(struct ps_net_h2_stream, h), 0,
	       sizeof *st - offsetof(struct ps_net_h2_stream, h));
	st->h = h;
	st->id = id;
	st->open = true;
	st->began_ns = h->now_ns;
	st->end.fire = fire_end;
	st->next = h->streams;
	if (st->next)
		st->next->prev = st;
	h->streams = st;
	h->n_memory++;
	h->n_open++;
	return st;
}

static void give_stream(struct ps_net_h2_stream *st)
{
	struct ps_net_h2_pool *p = st->h->service->pool;
	if (p->n_streams >= PS_NET_H2_POOL_STREAMS) {
		fini_stream(st);
		return;
	}
	ps_net_exchange_reset(&st->x);
	st->next = p->streams;
	p->streams = st;
	p->n_streams++;
}

void ps_net_h2_stream_settle(struct ps_net_h2_stream *st)
{
	struct ps_net_h2 *h = st->h;
	if (st->depth > 0 || st->open || !st->over || st->g.held > 0)
		return;
	if (st->prev)
		st->prev->next = st->next;
	else
		h->streams = st->next;
	if (st->next)
		st->next->prev = st->prev;
	give_stream(st);
	h->n_memory--;
}

void ps_net_h2_pool_free(struct ps_net_h2_pool *p)
{
	for (struct ps_net_h2_stream *st = p->streams, *next; st; st = next) {
		next = st->next;
		fini_stream(st);
	}
	for (struct ps_net_h2_message *m = p->messages, *next; m; m = next) {
		next = m->next;
		ps_net_grpc_message_destroy(m);
	}
	for (struct ps_net_h2_buffer *b = p->buffers, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	nghttp2_session_callbacks_del(p->callbacks);
	nghttp2_option_del(p->option);
	free(p);
}

/* --- the end --- */

static void fire_end(struct ps_net_h2_mark *m, enum ps_status status, int64_t now_ns)
{
	struct ps_net_h2_stream *st =
		(struct ps_net_h2_stream *)((char *)m - offsetof(struct ps_net_h2_stream, end));
	struct ps_net_h2 *h = st->h;
	if (status == PS_OK) {
		ps_net_h2_credits_earn(&h->control, ANSWER_EARNS_MILLI);
		ps_net_h2_credits_earn(&h->resets, ANSWER_EARNS_RESETS_MILLI);
	}
	st->depth++;
	if (st->kind == PS_NET_H2_CALL) {
		ps_net_grpc_end_owed(st, status, now_ns);
	} else {
		ps_net_exchange_done(&st->x, status, now_ns);
		st->over = true;
	}
	st->depth--;
	ps_net_h2_stream_settle(st);
}

void ps_net_h2_stream_ended(struct ps_net_h2_stream *st)
{
	if (st->ended)
		return;
	st->ended = true;
	ps_net_h2_mark_here(st->h, &st->end, st->h->dead ? PS_ECANCELLED : PS_OK);
	/* The client need not send what nobody will read. */
	if (!st->input_ended) {
		st->discard = true;
		ps_net_h2_stream_reset(st, NGHTTP2_NO_ERROR);
	}
}

static void request_closed(struct ps_net_h2_stream *st)
{
	if (st->x.owed && !st->answered) {
		ps_net_exchange_gone(&st->x); /* the answer is still owed */
		return;
	}
	if (!st->ended) {
		st->ended = true;
		ps_net_h2_mark_here(st->h, &st->end, PS_ECANCELLED);
	}
}

void ps_net_h2_stream_closed(struct ps_net_h2_stream *st)
{
	struct ps_net_h2 *h = st->h;
	if (!st->open)
		return;
	st->open = false;
	st->discard = true;
	if (--h->n_open == 0) {
		h->idle_since_ns = h->now_ns;
		ps_net_h2_expect(h, h->now_ns + h->service->server->o.idle_timeout_ns);
	}
	ps_net_h2_send_cancel_all(st);
	if (st->kind == PS_NET_H2_CALL)
		ps_net_grpc_closed(st);
	else
		request_closed(st);
}

void ps_net_h2_stream_reset(struct ps_net_h2_stream *st, uint32_t code)
{
	if (!st->open || st->reset || st->h->dead)
		return;
	st->reset = true;
	if (nghttp2_submit_rst_stream(st->h->ng, NGHTTP2_FLAG_NONE, st->id, code) != 0)
		ps_net_h2_die(st->h, NGHTTP2_INTERNAL_ERROR);
	ps_net_h2_poke(st->h);
}

/* --- input --- */

void ps_net_h2_stream_consume(struct ps_net_h2_stream *st, size_t n)
{
	if (!st->open || st->input_ended || st->h->dead || n == 0)
		return;
	if (nghttp2_session_consume_stream(st->h->ng, st->id, n) != 0)
		ps_net_h2_die(st->h, NGHTTP2_INTERNAL_ERROR);
	ps_net_h2_poke(st->h);
}

void ps_net_h2_stream_data(struct ps_net_h2_stream *st, const unsigned char *at, size_t n)
{
	if (st->discard) /* at most a window of it comes */
		return;
	st->progress_ns = st->h->now_ns;
	if (st->kind == PS_NET_H2_CALL) {
		ps_net_grpc_data(st, at, n);
		return;
	}
	struct ps_net_refused why = ps_net_exchange_body(&st->x, at, n);
	if (why.http)
		ps_net_h2_stream_refuse(st, &why);
	else
		ps_net_h2_stream_consume(st, n);
}

void ps_net_h2_stream_input_end(struct ps_net_h2_stream *st)
{
	st->input_ended = true;
	if (st->discard)
		return;
	if (st->kind == PS_NET_H2_CALL) {
		ps_net_grpc_input_end(st);
		return;
	}
	st->depth++;
	st->discard = true;
	struct ps_net_refused why = ps_net_exchange_complete(&st->x, st->h->now_ns);
	if (why.http)
		ps_net_h2_stream_refuse(st, &why);
	st->depth--;
	ps_net_h2_stream_settle(st);
}

/* --- answers --- */

static size_t bytes_of(const struct ps_net_answer *a)
{
	size_t bytes = 0;
	for (size_t i = 0; i < a->n_body; i++)
		bytes += a->body[i].iov_len;
	return bytes;
}

/* False: no memory. */
static bool put_out(struct ps_net_h2_stream *st, const struct ps_net_answer *a)
{
	size_t bytes = bytes_of(a);
	bool body = bytes > 0 && !(st->method && strcmp(st->method, "HEAD") == 0);
	if (body) {
		struct ps_net_h2_send *send = ps_net_h2_send_new(st, a->body, a->n_body, 0);
		if (!send)
			return false;
		ps_net_h2_send_queue(send);
	}
	st->all_said = true;
	return ps_net_h2_respond(st, a->http, a->headers, a->n_headers, (int64_t)bytes, body);
}

static void put_answer(struct ps_net_h2_stream *st, const struct ps_net_answer *a)
{
	st->answered = true;
	if (st->open && !st->h->dead) {
		if (!put_out(st, a))
			ps_net_h2_stream_reset(st, NGHTTP2_INTERNAL_ERROR);
	} else if (!st->ended) {
		st->ended = true;
		ps_net_h2_mark_here(st->h, &st->end, PS_ECANCELLED);
	}
}

static void answer(struct ps_net_exchange *x, const struct ps_net_answer *a)
{
	struct ps_net_h2_stream *st = (struct ps_net_h2_stream *)x;
	struct ps_net_h2 *h = st->h;
	ps_net_h2_enter(h);
	ps_net_exchange_taken(x, a);
	put_answer(st, a);
	ps_net_h2_leave(h);
}

void ps_net_h2_stream_refuse(struct ps_net_h2_stream *st, const struct ps_net_refused *why)
{
	struct ps_net_refusal_parts parts;
	struct ps_net_answer a;
	st->discard = true;
	ps_net_exchange_refusal(&st->x, why, &parts, &a);
	put_answer(st, &a);
}
