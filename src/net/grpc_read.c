/* Messages out of DATA frames, whose borders mean nothing here: a prefix of five bytes, then the
 * message, straight into its own arena.
 *
 * A call may hold a few messages. While it holds that many, what comes is stashed and the stream's
 * window is not given back, so that at most a window is stashed. */
#include "net/grpc.h"
#include "net/h2_parts_internal.h"
#include "net/server_internal.h"

#include <stdlib.h>
#include <string.h>

enum { MESSAGE_EARNS_MILLI = 2000, FIRST_STASH = 4096 };

/* --- messages --- */

static struct ps_net_h2_message *take_message(struct ps_net_h2_stream *st)
{
	struct ps_net_h2_service *s = st->h->service;
	struct ps_net_h2_message *m = s->pool->messages;
	if (m) {
		s->pool->messages = m->next;
		s->pool->n_messages--;
	} else {
		m = malloc(sizeof *m);
		if (!m)
			return NULL;
		ps_arena_init(&m->arena, 0);
	}
	m->m = (struct ps_net_grpc_message){.arena = &m->arena};
	m->service = s;
	m->stream = st;
	m->charge = (struct ps_net_charge){0};
	m->next = NULL;
	return m;
}

void ps_net_grpc_message_destroy(struct ps_net_h2_message *m)
{
	ps_arena_fini(&m->arena);
	free(m);
}

static void give_message(struct ps_net_h2_message *m)
{
	struct ps_net_h2_pool *p = m->service->pool;
	ps_net_charge_drop(m->service->server, &m->charge);
	if (p->n_messages >= PS_NET_H2_POOL_MESSAGES) {
		ps_net_grpc_message_destroy(m);
		return;
	}
	ps_arena_reset(&m->arena);
	m->stream = NULL;
	m->next = p->messages;
	p->messages = m;
	p->n_messages++;
}

/* Bytes of messages are charged to whom the call is. */
static enum ps_status count(struct ps_net_h2_stream *st, size_t bytes)
{
	struct ps_net_charge *c = &st->g.message->charge;
	if (!c->share)
		ps_net_charge_join(c, &st->g.charge);
	return ps_net_charge_add(st->h->service->server, c, bytes);
}

/* --- refusals --- */

static void too_big(struct ps_net_h2_stream *st)
{
	ps_net_grpc_abort(st, PS_ETOOBIG, PS_NET_GRPC_RESOURCE_EXHAUSTED,
			  "the message is too large");
}

static void no_memory(struct ps_net_h2_stream *st)
{
	ps_net_grpc_abort(st, PS_ENOMEM, PS_NET_GRPC_RESOURCE_EXHAUSTED, "out of memory");
}

static void malformed(struct ps_net_h2_stream *st, const char *text)
{
	ps_net_grpc_abort(st, PS_EPARSE, PS_NET_GRPC_INTERNAL, text);
}

/* --- one message --- */

static void deliver(struct ps_net_h2_stream *st)
{
	struct ps_net_h2_grpc *g = &st->g;
	struct ps_net_h2 *h = st->h;
	struct ps_net_h2_message *m = g->message;
	if (g->inflate) {
		if (!ps_net_inflate_ended(g->inflate)) {
			malformed(st, "the message ends inside its encoding");
			return;
		}
		ps_net_inflate_free(g->inflate);
		g->inflate = NULL;
		m->m.data = g->body.bytes > 0 ? g->body.data : NULL;
		m->m.bytes = g->body.bytes;
	} else {
		m->m.data = g->data;
		m->m.bytes = g->want;
	}
	m->m.received_ns = h->now_ns;
	g->message = NULL;
	g->data = NULL;
	g->prefix_n = 0;
	g->held++;
	ps_net_h2_credits_earn(&h->control, MESSAGE_EARNS_MILLI);
	h->service->grpc.on_message(h->service->grpc.ctx, &g->call, &m->m);
}

static void begin_inflating(struct ps_net_h2_stream *st)
{
	struct ps_net_h2_grpc *g = &st->g;
	if (g->coding == PS_NET_CODING_IDENTITY) {
		malformed(st, "a compressed message, but grpc-encoding does not say how");
		return;
	}
	g->inflate = ps_net_inflate_new(g->coding, st->h->service->server->o.max_inflate_ratio);
	if (!g->inflate || ps_net_body_begin(&g->body, &g->message->arena, -1, -1,
					     g->call.max_message_bytes) != PS_OK)
		no_memory(st);
}

/* The prefix is whole. */
static void begin_message(struct ps_net_h2_stream *st)
{
	struct ps_net_h2_grpc *g = &st->g;
	const unsigned char *p = g->prefix;
	g->want = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
	g->got = 0;
	g->data = NULL;
	if (p[0] > 1) {
		malformed(st, "the first byte of a message is neither 0 nor 1");
		return;
	}
	if (g->want > g->call.max_message_bytes) {
		too_big(st);
		return;
	}
	g->message = take_message(st);
	if (!g->message) {
		no_memory(st);
		return;
	}
	g->message->m.first_byte_ns = g->first_byte_ns;
	st->body_began_ns = st->progress_ns = st->h->now_ns;
	ps_net_h2_expect(st->h, st->h->now_ns + st->h->service->server->o.body_timeout_ns);
	enum ps_status room = count(st, g->want);
	if (room != PS_OK)
		ps_net_grpc_abort_room(st, room);
	else if (p[0] == 1)
		begin_inflating(st);
	if (g->message && g->want == 0)
		deliver(st);
}

static bool place(struct ps_net_h2_stream *st, const unsigned char *at, size_t n)
{
	struct ps_net_h2_grpc *g = &st->g;
	const struct ps_net_grpc_handler *handler = &st->h->service->grpc;
	size_t tensor =
		handler->tensor_at ? handler->tensor_at(handler->ctx, &g->call, at, n, g->want) : 0;
	size_t shift = (PS_NET_ALIGN - tensor % PS_NET_ALIGN) % PS_NET_ALIGN;
	char *p = ps_arena_alloc_tensor(&g->message->arena, g->want + shift);
	g->data = p ? p + shift : NULL;
	return p != NULL;
}

static enum ps_status inflated_grew(void *ctx)
{
	struct ps_net_h2_stream *st = ctx;
	size_t before = st->g.inflated_cap;
	st->g.inflated_cap = st->g.body.cap;
	return count(st, st->g.body.cap - before);
}

static void inflate_part(struct ps_net_h2_stream *st, const unsigned char *at, size_t n)
{
	struct ps_net_h2_grpc *g = &st->g;
	switch (ps_net_inflate_feed(g->inflate, at, n, &g->body, inflated_grew, st)) {
	case PS_OK:
		break;
	case PS_ETOOBIG:
		too_big(st);
		break;
	case PS_EPARSE:
		malformed(st, "the message does not follow its encoding");
		break;
	case PS_EQUOTA:
		ps_net_grpc_abort_room(st, PS_EQUOTA);
		break;
	case PS_EUNAVAIL:
		ps_net_grpc_abort_room(st, PS_EUNAVAIL);
		break;
	default:
		no_memory(st);
		break;
	}
}

static void take_payload(struct ps_net_h2_stream *st, const unsigned char *at, size_t n)
{
	struct ps_net_h2_grpc *g = &st->g;
	if (g->inflate) {
		inflate_part(st, at, n);
	} else if (!g->data && !place(st, at, n)) {
		no_memory(st);
	} else {
		memcpy(g->data + g->got, at, n);
	}
	g->got += n;
	if (g->message && g->got == g->want)
		deliver(st);
}

/* --- a run of bytes --- */

/* Returns how many bytes are used: all, unless the call must not get more messages now. */
static size_t deframe(struct ps_net_h2_stream *st, const unsigned char *at, size_t n)
{
	struct ps_net_h2_grpc *g = &st->g;
	size_t used = 0;
	while (used < n && !st->discard) {
		size_t left = n - used;
		if (g->message) {
			size_t part = g->want - g->got < left ? g->want - g->got : left;
			take_payload(st, at + used, part);
			used += part;
			continue;
		}
		if (g->prefix_n == 0) {
			if (g->held >= PS_NET_GRPC_MESSAGES_HELD)
				break;
			g->first_byte_ns = st->body_began_ns = st->progress_ns = st->h->now_ns;
			ps_net_h2_expect(st->h,
					 st->h->now_ns + st->h->service->server->o.body_timeout_ns);
			g->inflated_cap = g->got = 0;
		}
		g->prefix[g->prefix_n++] = at[used++];
		if (g->prefix_n == sizeof g->prefix)
			begin_message(st);
	}
	return used;
}

static void free_stash(struct ps_net_h2_stream *st)
{
	struct ps_net_h2_grpc *g = &st->g;
	ps_net_charge_drop(st->h->service->server, &g->stash_charge);
	free(g->stash);
	g->stash = NULL;
	g->stash_at = g->stash_n = g->stash_cap = 0;
}

void ps_net_grpc_drop_input(struct ps_net_h2_stream *st)
{
	struct ps_net_h2_grpc *g = &st->g;
	if (g->message)
		give_message(g->message);
	g->message = NULL;
	g->data = NULL;
	if (g->inflate)
		ps_net_inflate_free(g->inflate);
	g->inflate = NULL;
	if (!g->deframing) /* else it is being read from: dropped afterwards */
		free_stash(st);
}

/* A stream that is always a little behind never empties its stash: what has been taken out of it
 * must not add up. Moving is worth it only once as much as half of what stays has gone. */
static void compact_stash(struct ps_net_h2_grpc *g)
{
	size_t stays = g->stash_n - g->stash_at;
	if (g->stash_at < stays / 2)
		return;
	memmove(g->stash, g->stash + g->stash_at, stays);
	g->stash_at = 0;
	g->stash_n = stays;
}

static void stash(struct ps_net_h2_stream *st, const unsigned char *at, size_t n)
{
	struct ps_net_h2_grpc *g = &st->g;
	struct ps_net_server *s = st->h->service->server;
	if (g->stash_at > 0 && g->stash_n + n > g->stash_cap)
		compact_stash(g);
	size_t cap = g->stash_cap ? g->stash_cap : FIRST_STASH;
	while (cap < g->stash_n + n)
		cap *= 2;
	size_t more = cap - g->stash_cap;
	if (!g->stash_charge.share)
		ps_net_charge_join(&g->stash_charge, &g->charge);
	enum ps_status room = ps_net_charge_check(s, &g->stash_charge, more);
	if (room != PS_OK) {
		ps_net_grpc_abort_room(st, room);
		return;
	}
	char *p = more > 0 ? realloc(g->stash, cap) : g->stash;
	if (!p) {
		no_memory(st);
		return;
	}
	g->stash = p;
	g->stash_cap = cap;
	(void)ps_net_charge_add(s, &g->stash_charge, more);
	memcpy(g->stash + g->stash_n, at, n);
	g->stash_n += n;
}

/* The client has said all, and all of it has been given to the handler. */
static void maybe_half_close(struct ps_net_h2_stream *st)
{
	struct ps_net_h2_grpc *g = &st->g;
	const struct ps_net_grpc_handler *handler = &st->h->service->grpc;
	if (!st->input_ended || g->half_close_told || st->discard || g->stash_n > 0)
		return;
	if (g->prefix_n > 0) {
		malformed(st, "the stream ends inside a message");
		return;
	}
	g->half_close_told = true;
	g->call.half_closed = true;
	handler->on_half_close(handler->ctx, &g->call);
}

/* Takes up what was stashed. */
static void resume_input(struct ps_net_h2_stream *st)
{
	struct ps_net_h2_grpc *g = &st->g;
	if (g->deframing || st->discard || g->stash_n == 0)
		return;
	g->deframing = true;
	size_t used =
		deframe(st, (unsigned char *)g->stash + g->stash_at, g->stash_n - g->stash_at);
	g->deframing = false;
	g->stash_at += used;
	ps_net_h2_stream_consume(st, used);
	if (st->discard || g->stash_at == g->stash_n)
		free_stash(st);
	maybe_half_close(st);
}

void ps_net_grpc_data(struct ps_net_h2_stream *st, const unsigned char *at, size_t n)
{
	struct ps_net_h2_grpc *g = &st->g;
	st->depth++;
	size_t used = 0;
	if (g->stash_n == 0) {
		g->deframing = true;
		used = deframe(st, at, n);
		g->deframing = false;
		ps_net_h2_stream_consume(st, used);
	}
	if (used < n && !st->discard)
		stash(st, at + used, n - used);
	st->depth--;
}

void ps_net_grpc_input_end(struct ps_net_h2_stream *st)
{
	st->depth++;
	maybe_half_close(st);
	st->depth--;
	ps_net_h2_stream_settle(st);
}

void ps_net_grpc_message_free(struct ps_net_grpc_message *message)
{
	struct ps_net_h2_message *m = (struct ps_net_h2_message *)message;
	if (!m)
		return;
	struct ps_net_h2_stream *st = m->stream;
	struct ps_net_h2 *h = st->h;
	ps_net_h2_enter(h);
	give_message(m);
	st->g.held--;
	st->depth++;
	resume_input(st);
	if (st->open && !st->discard && !st->input_ended && st->g.held == 0 && !h->closed) {
		ps_net_grpc_await(st, h->carrier.now_ns(h->carrier.ctx));
		ps_net_h2_poke(h); /* the connection's timer may be set for later than that */
	}
	st->depth--;
	ps_net_h2_stream_settle(st);
	ps_net_h2_leave(h);
}
