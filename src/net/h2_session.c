/* A session: its life. */
#include "net/h2_parts_internal.h"
#include "net/server_internal.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

/* --- the service --- */

enum ps_status ps_net_h2_service_init(struct ps_net_h2_service *s)
{
	struct ps_net_h2_pool *p = calloc(1, sizeof *p);
	if (!p)
		return PS_ENOMEM;
	p->callbacks = ps_net_h2_callbacks();
	p->option = ps_net_h2_option();
	if (!p->callbacks || !p->option) {
		ps_net_h2_pool_free(p);
		return PS_ENOMEM;
	}
	s->pool = p;
	s->sessions = 0;
	return PS_OK;
}

void ps_net_h2_service_fini(struct ps_net_h2_service *s)
{
	if (s->pool)
		ps_net_h2_pool_free(s->pool);
	s->pool = NULL;
}

/* --- life --- */

/* False: no memory. */
static bool copy_identity(struct ps_net_h2 *h, const struct ps_net_identity *from)
{
	if (!from)
		return true;
	struct ps_arena *a = &h->arena;
	struct ps_net_identity *to = ps_arena_zalloc(a, sizeof *to);
	const char **names = ps_arena_zalloc(a, (from->n_names + 1) * sizeof *names);
	if (!to || !names)
		return false;
	for (size_t i = 0; i < from->n_names; i++) {
		names[i] = ps_arena_strndup(a, from->names[i], strlen(from->names[i]));
		if (!names[i])
			return false;
	}
	to->subject = ps_arena_strndup(a, from->subject, strlen(from->subject));
	to->common_name = ps_arena_strndup(a, from->common_name, strlen(from->common_name));
	to->names = names;
	to->n_names = from->n_names;
	h->identity = to;
	return to->subject && to->common_name;
}

/* Names come first so that a small session stays without an arena chunk of its own. */
static bool copy_carrier(struct ps_net_h2 *h, const struct ps_net_h2_carrier *c)
{
	h->carrier = *c;
	h->peer = strdup(c->peer ? c->peer : "");
	h->address = strdup(c->address ? c->address : "");
	return h->peer && h->address && copy_identity(h, c->identity);
}

static bool submit_settings(struct ps_net_h2 *h)
{
	const struct ps_net_server_options *o = &h->service->server->o;
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)o->max_streams},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, PS_NET_H2_STREAM_WINDOW},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)o->max_header_bytes},
		{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
	};
	return nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, settings,
				       sizeof settings / sizeof settings[0]) == 0 &&
	       nghttp2_session_set_local_window_size(h->ng, NGHTTP2_FLAG_NONE, 0,
						     PS_NET_H2_CONNECTION_WINDOW) == 0;
}

static void free_session(struct ps_net_h2 *h)
{
	struct ps_net_h2_service *s = h->service;
	nghttp2_session_del(h->ng);
	ps_net_h2_out_drop(h);
	ps_arena_fini(&h->arena);
	free((char *)h->peer);
	free((char *)h->address);
	free(h);
	s->sessions--;
}

enum ps_status ps_net_h2_new(struct ps_net_h2_service *service,
			     const struct ps_net_h2_carrier *carrier, int64_t now_ns,
			     struct ps_net_h2 **ret_session)
{
	struct ps_net_h2 *h = calloc(1, sizeof *h);
	if (!h)
		return PS_ENOMEM;
	h->service = service;
	service->sessions++;
	ps_arena_init(&h->arena, 0);
	h->now_ns = h->began_ns = h->idle_since_ns = now_ns;
	ps_net_h2_credits_init(&h->control, PS_NET_H2_CONTROL_BURST, PS_NET_H2_CONTROL_PER_S,
			       now_ns);
	ps_net_h2_credits_init(&h->resets, PS_NET_H2_RESET_BURST, PS_NET_H2_RESET_PER_S, now_ns);
	h->deadline_ns = now_ns; /* the first tick works it out */
	if (!copy_carrier(h, carrier) ||
	    nghttp2_session_server_new2(&h->ng, service->pool->callbacks, h,
					service->pool->option) != 0 ||
	    !submit_settings(h)) {
		free_session(h);
		return PS_ENOMEM;
	}
	ps_net_h2_tick(h, now_ns);
	*ret_session = h;
	return PS_OK;
}

void ps_net_h2_enter(struct ps_net_h2 *h)
{
	h->inside++;
}

void ps_net_h2_leave(struct ps_net_h2 *h)
{
	/* Whoever is told may put more into the queue, or end more streams. */
	if (h->inside == 1 && h->out.marks)
		ps_net_h2_fire(h, h->closed);
	if (--h->inside > 0 || !h->closed || h->n_memory > 0)
		return;
	void (*freed)(void *ctx) = h->service->freed;
	void *ctx = h->service->ctx;
	free_session(h);
	if (freed)
		freed(ctx);
}

void ps_net_h2_poke(struct ps_net_h2 *h)
{
	if (h->woken || h->closed)
		return;
	h->woken = true;
	h->carrier.wake(h->carrier.ctx);
}

void ps_net_h2_die(struct ps_net_h2 *h, uint32_t code)
{
	unsigned char frame[17] = {0, 0, 8, NGHTTP2_GOAWAY};
	if (h->dead)
		return;
	h->dead = true;
	uint32_t last = (uint32_t)nghttp2_session_get_last_proc_stream_id(h->ng);
	for (int i = 0; i < 4; i++) {
		frame[9 + i] = (unsigned char)(last >> (24 - 8 * i));
		frame[13 + i] = (unsigned char)(code >> (24 - 8 * i));
	}
	ps_net_h2_out_append(h, frame, sizeof frame);
	ps_net_h2_poke(h);
}

/* --- input --- */

static uint32_t code_of(ssize_t error)
{
	switch (error) {
	case NGHTTP2_ERR_FLOODED:
	case NGHTTP2_ERR_TOO_MANY_SETTINGS:
		return NGHTTP2_ENHANCE_YOUR_CALM;
	case NGHTTP2_ERR_NOMEM:
	case NGHTTP2_ERR_CALLBACK_FAILURE:
		return NGHTTP2_INTERNAL_ERROR;
	default:
		return NGHTTP2_PROTOCOL_ERROR;
	}
}

void ps_net_h2_feed(struct ps_net_h2 *h, const void *bytes, size_t n, int64_t now_ns)
{
	if (h->dead || h->closed)
		return;
	h->now_ns = now_ns;
	h->woken = true; /* the connection flushes after this */
	ps_net_h2_enter(h);
	ssize_t used = nghttp2_session_mem_recv(h->ng, bytes, n);
	if (used < 0)
		ps_net_h2_die(h, code_of(used));
	ps_net_h2_leave(h);
}

/* Clients of HTTP/2 end their side when they leave. One that has read all there was does so in
 * order, without a reset that would tell. */
static void hung_up(struct ps_net_h2_stream *st)
{
	if (!st->open || st->h->dead)
		return;
	if (!st->input_ended || (st->kind == PS_NET_H2_CALL && !st->g.finished))
		ps_net_h2_stream_reset(st, NGHTTP2_CANCEL);
	else if (st->kind == PS_NET_H2_HTTP && !st->answered)
		ps_net_exchange_gone(&st->x); /* its answer is written if the socket takes it */
}

void ps_net_h2_eof(struct ps_net_h2 *h, int64_t now_ns)
{
	if (h->closed)
		return;
	h->now_ns = now_ns;
	h->eof = true;
	ps_net_h2_enter(h);
	struct ps_net_h2_stream *next;
	for (struct ps_net_h2_stream *st = h->streams; st; st = next) {
		st->depth++; /* until `next` has been read */
		hung_up(st);
		next = st->next;
		st->depth--;
		ps_net_h2_stream_settle(st);
	}
	h->woken = false; /* whatever fed before: there is something to flush now */
	ps_net_h2_poke(h);
	ps_net_h2_leave(h);
}

/* --- what the connection asks --- */

bool ps_net_h2_wants_write(struct ps_net_h2 *h)
{
	return h->out.written < h->out.queued || (!h->dead && nghttp2_session_want_write(h->ng));
}

bool ps_net_h2_wants_read(const struct ps_net_h2 *h)
{
	return !h->dead && !h->eof && !h->closed && nghttp2_session_want_read(h->ng) &&
	       nghttp2_session_get_outbound_queue_size(h->ng) < PS_NET_H2_WAITING;
}

bool ps_net_h2_is_over(const struct ps_net_h2 *h)
{
	if (h->out.written < h->out.queued)
		return false;
	if (h->dead)
		return true;
	if (nghttp2_session_want_write(h->ng))
		return false;
	return !nghttp2_session_want_read(h->ng) || (h->eof && h->n_open == 0);
}

bool ps_net_h2_is_idle(const struct ps_net_h2 *h)
{
	return h->n_open == 0;
}

int64_t ps_net_h2_deadline_ns(const struct ps_net_h2 *h)
{
	return h->deadline_ns;
}

/* --- the end --- */

/* In two steps, so that streams that the client has begun before it could know are served: first
 * "no more, please", then, after a round trip, the number of the last one. */
void ps_net_h2_drain(struct ps_net_h2 *h)
{
	static const uint8_t mark[8] = "drained?";
	if (h->draining || h->dead || h->closed)
		return;
	h->draining = true;
	h->woken = true;
	h->now_ns = h->drain_ns = h->carrier.now_ns(h->carrier.ctx);
	if (nghttp2_submit_shutdown_notice(h->ng) != 0 ||
	    nghttp2_submit_ping(h->ng, NGHTTP2_FLAG_NONE, mark) != 0)
		ps_net_h2_die(h, NGHTTP2_NO_ERROR);
	ps_net_h2_expect(h, h->now_ns);
}

void ps_net_h2_close(struct ps_net_h2 *h)
{
	if (!h || h->closed)
		return;
	h->closed = h->dead = true;
	ps_net_h2_enter(h);
	ps_net_h2_out_drop(h);
	struct ps_net_h2_stream *next;
	for (struct ps_net_h2_stream *st = h->streams; st; st = next) {
		st->depth++; /* until `next` has been read */
		if (st->open)
			ps_net_h2_stream_closed(st);
		next = st->next;
		st->depth--;
		ps_net_h2_stream_settle(st);
	}
	ps_net_h2_leave(h);
}
