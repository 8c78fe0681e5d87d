/* Deadlines of a session. They mostly move back, so they are worked out when tick comes, from the
 * streams that are open, not at each step. */
#include "net/h2_parts_internal.h"
#include "net/server_internal.h"

#include <nghttp2/nghttp2.h>

static const int64_t DRAIN_NS = PS_NS_PER_SEC;

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* --- pace --- */

void ps_net_h2_pace_begin(struct ps_net_h2_pace *p, int64_t now_ns)
{
	*p = (struct ps_net_h2_pace){.began_ns = now_ns, .progress_ns = now_ns};
}

void ps_net_h2_pace_moved(struct ps_net_h2_pace *p, size_t n, int64_t now_ns)
{
	p->progress_ns = now_ns;
	p->bytes += n;
	if (p->bytes >= PS_NET_H2_PACE_BYTES)
		ps_net_h2_pace_begin(p, now_ns);
}

/* As for an answer of HTTP/1.1: not silent for long, and at the least rate beside that. */
static int64_t pace_deadline_ns(const struct ps_net_h2_pace *p,
				const struct ps_net_server_options *o)
{
	double rate_s = (double)p->bytes / (double)o->body_min_rate;
	int64_t slow_ns =
		p->began_ns + o->write_timeout_ns + (int64_t)(rate_s * (double)PS_NS_PER_SEC);
	return earlier(slow_ns, p->progress_ns + o->write_timeout_ns);
}

/* --- streams --- */

static int64_t body_deadline_ns(const struct ps_net_h2_stream *st)
{
	const struct ps_net_server_options *o = &st->h->service->server->o;
	size_t bytes = st->kind == PS_NET_H2_CALL ? st->g.got : st->x.body.bytes;
	double allowed_s = (double)bytes / (double)o->body_min_rate;
	int64_t slow_ns = st->body_began_ns + o->body_timeout_ns +
			  (int64_t)(allowed_s * (double)PS_NS_PER_SEC);
	return earlier(slow_ns, st->progress_ns + o->body_timeout_ns);
}

/* A body, or a message of a call, has begun and is not whole. */
static bool waits_for_body(const struct ps_net_h2_stream *st)
{
	if (st->input_ended || st->discard)
		return false;
	if (st->kind == PS_NET_H2_HTTP)
		return true;
	return st->kind == PS_NET_H2_CALL && st->g.stash_n == 0 &&
	       (st->g.message || st->g.prefix_n > 0);
}

/* It is the client's turn to begin a message. */
static bool waits_for_message(const struct ps_net_h2_stream *st)
{
	return st->kind == PS_NET_H2_CALL && st->g.taken && st->g.held == 0 && !st->g.message &&
	       st->g.prefix_n == 0 && !st->input_ended && !st->discard;
}

/* How long that may last: as the handler says, but while draining hardly at all. */
static int64_t message_deadline_ns(const struct ps_net_h2_stream *st)
{
	int64_t at_ns = INT64_MAX;
	if (st->g.call.max_quiet_ns > 0)
		at_ns = st->progress_ns + st->g.call.max_quiet_ns;
	if (!st->h->draining)
		return at_ns;
	int64_t from_ns = st->progress_ns > st->h->drain_ns ? st->progress_ns : st->h->drain_ns;
	return earlier(at_ns, from_ns + DRAIN_NS);
}

/* It has something to say that flow control holds back. */
static bool waits_for_window(const struct ps_net_h2_stream *st)
{
	return st->provider && !st->deferred && !st->ended && st->pace.began_ns != 0;
}

static int64_t stream_deadline_ns(const struct ps_net_h2_stream *st)
{
	const struct ps_net_server_options *o = &st->h->service->server->o;
	int64_t at_ns = INT64_MAX;
	if (!st->open || st->reset)
		return at_ns;
	if (waits_for_body(st))
		at_ns = earlier(at_ns, body_deadline_ns(st));
	if (waits_for_window(st))
		at_ns = earlier(at_ns, pace_deadline_ns(&st->pace, o));
	if (waits_for_message(st))
		at_ns = earlier(at_ns, message_deadline_ns(st));
	if (st->kind == PS_NET_H2_CALL && st->g.call.deadline_ns > 0 && st->g.taken &&
	    !st->g.finished && !st->g.ended_by_net)
		at_ns = earlier(at_ns, st->g.call.deadline_ns + PS_NET_GRPC_DEADLINE_GRACE_NS);
	return at_ns;
}

static void too_slow(struct ps_net_h2_stream *st)
{
	static const struct ps_net_refused slow = {.http = 408, .text = "the body took too long"};
	if (st->kind == PS_NET_H2_CALL)
		ps_net_grpc_abort(st, PS_ETIMEOUT, PS_NET_GRPC_DEADLINE_EXCEEDED,
				  "the message took too long");
	else
		ps_net_h2_stream_refuse(st, &slow);
}

static void too_quiet(struct ps_net_h2_stream *st)
{
	if (st->h->draining)
		ps_net_grpc_abort(st, PS_EUNAVAIL, PS_NET_GRPC_UNAVAILABLE,
				  "the server shuts down");
	else
		ps_net_grpc_abort(st, PS_ETIMEOUT, PS_NET_GRPC_DEADLINE_EXCEEDED,
				  "no message came for too long");
}

static void tick_stream(struct ps_net_h2_stream *st, int64_t now_ns)
{
	const struct ps_net_server_options *o = &st->h->service->server->o;
	if (waits_for_window(st) && now_ns >= pace_deadline_ns(&st->pace, o))
		ps_net_h2_stream_reset(st, NGHTTP2_CANCEL);
	else if (waits_for_body(st) && now_ns >= body_deadline_ns(st))
		too_slow(st);
	else if (waits_for_message(st) && now_ns >= message_deadline_ns(st))
		too_quiet(st);
	else
		ps_net_grpc_abort(st, PS_EDEADLINE, PS_NET_GRPC_DEADLINE_EXCEEDED,
				  "the deadline has passed");
}

/* --- the session --- */

static int64_t session_deadline_ns(const struct ps_net_h2 *h)
{
	const struct ps_net_server_options *o = &h->service->server->o;
	int64_t at_ns = INT64_MAX;
	if (h->out.written < h->out.queued)
		at_ns = pace_deadline_ns(&h->pace, o);
	if (h->dead) /* what is queued may be written; nothing else is waited for */
		return at_ns;
	if (!h->settled)
		at_ns = earlier(at_ns, h->began_ns + o->head_timeout_ns);
	if (h->in_head)
		at_ns = earlier(at_ns, h->head_began_ns + o->head_timeout_ns);
	if (h->n_open == 0)
		at_ns = earlier(at_ns, h->idle_since_ns + o->idle_timeout_ns);
	if (h->draining && !h->goaway_sent)
		at_ns = earlier(at_ns, h->drain_ns + DRAIN_NS);
	return at_ns;
}

/* What is overdue of the session itself. */
static void tick_session(struct ps_net_h2 *h, int64_t now_ns)
{
	const struct ps_net_server_options *o = &h->service->server->o;
	if (h->out.written < h->out.queued && now_ns >= pace_deadline_ns(&h->pace, o)) {
		h->dead = true;
		ps_net_h2_out_drop(h);
	} else if (h->draining && !h->goaway_sent && now_ns >= h->drain_ns + DRAIN_NS) {
		ps_net_h2_goaway(h);
	} else {
		bool quiet = h->settled && !h->in_head;
		ps_net_h2_die(h, quiet ? NGHTTP2_NO_ERROR : NGHTTP2_SETTINGS_TIMEOUT);
	}
}

void ps_net_h2_goaway(struct ps_net_h2 *h)
{
	h->goaway_sent = true;
	if (h->dead)
		return;
	if (nghttp2_submit_goaway(h->ng, NGHTTP2_FLAG_NONE,
				  nghttp2_session_get_last_proc_stream_id(h->ng), NGHTTP2_NO_ERROR,
				  NULL, 0) != 0)
		ps_net_h2_die(h, NGHTTP2_NO_ERROR);
}

void ps_net_h2_tick(struct ps_net_h2 *h, int64_t now_ns)
{
	if (h->closed)
		return;
	h->now_ns = now_ns;
	h->woken = true; /* the connection flushes after this */
	ps_net_h2_enter(h);
	if (now_ns >= session_deadline_ns(h))
		tick_session(h, now_ns);
	struct ps_net_h2_stream *next;
	for (struct ps_net_h2_stream *st = h->streams; st && !h->dead; st = next) {
		st->depth++;
		if (now_ns >= stream_deadline_ns(st))
			tick_stream(st, now_ns);
		next = st->next;
		st->depth--;
		ps_net_h2_stream_settle(st);
	}
	h->deadline_ns = session_deadline_ns(h);
	for (struct ps_net_h2_stream *st = h->streams; st && !h->dead; st = st->next)
		ps_net_h2_expect(h, stream_deadline_ns(st));
	ps_net_h2_leave(h);
}
