/* Calls over HTTP/2: their life on a session, deadlines, ends. */
#include "net/client_h2_internal.h"

#include <nghttp2/nghttp2.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { LAST_STREAM = INT32_MAX - 2 /* from here on another connection is needed */ };

/* --- calls: life --- */

/* Whose calls are kept, also those of an elder: their answers are to outlive its connection. */
static struct ps_net_client_h2 *keeper(struct ps_net_client *c)
{
	return c->younger ? c->younger->h2 : c->h2;
}

static struct ps_net_h2c_call *take_call(struct ps_net_client *c)
{
	struct ps_net_h2c_call *k = c->h2->free;
	if (k) {
		c->h2->free = k->next;
		return k;
	}
	k = malloc(sizeof *k);
	if (!k)
		return NULL;
	k->generation = 0;
	ps_net_prepared_init(&k->own);
	ps_arena_init(&k->arena, 0);
	ps_arena_init(&k->body_arena, 0);
	return k;
}

static void give_call(struct ps_net_client *c, struct ps_net_h2c_call *k)
{
	struct ps_net_client_h2 *h = keeper(c);
	k->next = h->free;
	h->free = k;
}

static void free_calls(struct ps_net_client_h2 *h)
{
	for (struct ps_net_h2c_call *k = h->free, *next; k; k = next) {
		next = k->next;
		ps_net_prepared_fini(&k->own);
		ps_arena_fini(&k->arena);
		ps_arena_fini(&k->body_arena);
		free(k);
	}
}

static void reset_call(struct ps_net_h2c_call *k)
{
	struct ps_net_prepared own = k->own;
	struct ps_arena arena = k->arena, body_arena = k->body_arena;
	ps_arena_reset(&arena);
	ps_arena_reset(&body_arena);
	*k = (struct ps_net_h2c_call){
		.own = own, .arena = arena, .body_arena = body_arena, .generation = k->generation};
}

static void link_call(struct ps_net_h2c_session *s, struct ps_net_h2c_call *k)
{
	k->next = NULL;
	k->prev = s->last_call;
	if (s->last_call)
		s->last_call->next = k;
	else
		s->calls = k;
	s->last_call = k;
	s->n_calls++;
}

static void unlink_call(struct ps_net_h2c_call *k)
{
	struct ps_net_h2c_session *s = k->s;
	if (k->prev)
		k->prev->next = k->next;
	else
		s->calls = k->next;
	if (k->next)
		k->next->prev = k->prev;
	else
		s->last_call = k->prev;
	s->n_calls--;
}

/* --- calls: the end --- */

static void show_answer(struct ps_net_h2c_call *k)
{
	struct ps_net_call *call = k->call;
	call->answer_headers = k->headers.list;
	call->n_answer_headers = k->headers.n;
	call->answer_trailers = k->trailers.list;
	call->n_answer_trailers = k->trailers.n;
}

/* nghttp2 forgets the call; what it has not framed is not sent any more. */
static void reset_stream(struct ps_net_h2c_call *k)
{
	struct ps_net_h2c_session *s = k->s;
	(void)nghttp2_session_set_stream_user_data(s->ng, k->id, NULL);
	(void)nghttp2_submit_rst_stream(s->ng, NGHTTP2_FLAG_NONE, k->id, NGHTTP2_CANCEL);
}

void ps_net_h2c_end(struct ps_net_h2c_call *k, enum ps_net_outcome outcome, int e, int64_t now_ns,
		    bool closed)
{
	struct ps_net_h2c_session *s = k->s;
	struct ps_net_client *c = s->c;
	struct ps_net_call *call = k->call;
	k->generation++;
	unlink_call(k);
	if (!ps_net_h2c_out_forget(k))
		ps_net_h2c_break(s, PS_NET_MEMORY, "no memory to keep what is on its way");
	if (!s->doomed && closed)
		(void)nghttp2_session_set_stream_user_data(s->ng, k->id, NULL);
	else if (!s->doomed)
		reset_stream(k);
	show_answer(k);
	give_call(c, k);
	if (!s->doomed)
		ps_evloop_later_add(c->loop, &c->later);
	ps_net_call_end_with(call, outcome, e, now_ns);
}

static void end_all(struct ps_net_client *c, enum ps_net_outcome outcome, int e, int64_t now_ns)
{
	struct ps_net_h2c_session *s = c->h2->session;
	if (!s)
		return;
	ps_net_h2c_enter(s);
	c->h2->session = NULL;
	s->doomed = true;
	while (s->calls) {
		struct ps_net_h2c_call *k = s->calls;
		bool half = outcome == PS_NET_RESET && k->call->first_byte_ns;
		ps_net_h2c_end(k, half ? PS_NET_HALF : outcome, e, now_ns, false);
	}
	ps_net_h2c_leave(s);
}

/* Nothing came since what is to be answered left, or it could not even leave. */
static bool is_silent(const struct ps_net_client *c, const struct ps_net_h2c_call *k,
		      int64_t sent_ns)
{
	bool stuck = ps_net_wire_is_stuck(&c->wire) || ps_net_h2c_has_output(k->s);
	return sent_ns ? c->wire.read_ns < sent_ns : stuck;
}

/* A connection whose other end may be gone without a word takes no more calls: they would time out
 * one after the other where another connection serves, and their resets pile up unread. Calls under
 * way may still be answered. */
static void time_out(struct ps_net_client *c, struct ps_net_h2c_call *k, int64_t sent_ns,
		     int64_t now_ns)
{
	if (c->state == PS_NET_OPEN && is_silent(c, k, sent_ns))
		k->s->goaway = true;
	ps_net_h2c_end(k, ps_net_client_late(c), 0, now_ns, false);
}

static int64_t expire(struct ps_net_client *c, int64_t now_ns)
{
	struct ps_net_h2c_session *s = c->h2->session;
	int64_t next_ns = INT64_MAX;
	struct ps_net_h2c_call *k = s ? s->calls : NULL;
	if (!s)
		return next_ns;
	ps_net_h2c_enter(s);
	while (!s->doomed && k) {
		int64_t at_ns = k->call->deadline_ns;
		if (at_ns && now_ns >= at_ns) {
			time_out(c, k, k->call->sent_ns, now_ns);
			k = s->calls; /* whoever was told may have ended others */
			next_ns = INT64_MAX;
			continue;
		}
		if (at_ns && at_ns < next_ns)
			next_ns = at_ns;
		k = k->next;
	}
	if (s->doomed) /* there may be other calls now: they are looked at at once */
		next_ns = now_ns;
	ps_net_h2c_leave(s);
	return next_ns;
}

static void cancel(struct ps_net_client *c, struct ps_net_call *call)
{
	ps_net_h2c_end((struct ps_net_h2c_call *)call->stream, PS_NET_CANCELLED, 0,
		       ps_evloop_now_ns(c->loop), false);
}

static void inherit(struct ps_net_client *c, struct ps_net_client *from)
{
	struct ps_net_h2c_session *s = from->h2->session;
	c->h2->session = s;
	from->h2->session = NULL;
	s->c = c;
	for (struct ps_net_h2c_call *k = s->calls; k; k = k->next)
		k->base.client = c;
}

/* --- calls: the beginning --- */

static int32_t submit(struct ps_net_h2c_call *k, const struct ps_net_prepared *p)
{
	nghttp2_data_provider provider;
	bool body = p->bytes > 0 || k->kind == PS_NET_CALL_GRPC_STREAM;
	ps_net_h2c_set_provider(&provider);
	return nghttp2_submit_request(k->s->ng, NULL, p->fields, p->n_fields,
				      body ? &provider : NULL, k);
}

static enum ps_status refuse(struct ps_net_client *c, struct ps_net_h2c_call *k, enum ps_status s,
			     struct ps_error *err)
{
	give_call(c, k);
	return s == PS_ENOMEM ? ps_error_set(err, s, "no memory for a request") : s;
}

/* A connection that the server is leaving takes no more calls: the next one opens another. */
static enum ps_status make_way(struct ps_net_client *c)
{
	struct ps_net_h2c_session *s = c->h2->session;
	if (!s || !s->goaway)
		return PS_OK;
	if (s->n_calls > 0)
		return ps_net_client_retire(c);
	ps_net_h2c_close_idle(c); /* its last call is being told just now */
	return PS_OK;
}

static enum ps_status begin(struct ps_net_client *c, struct ps_net_call *call, struct ps_error *err)
{
	enum ps_status status = make_way(c);
	struct ps_net_h2c_session *s = status == PS_OK ? ps_net_h2c_session_of(c) : NULL;
	struct ps_net_h2c_call *k = s ? take_call(c) : NULL;
	if (!k)
		return ps_error_set(err, PS_ENOMEM, "no memory for a request");
	reset_call(k);
	const struct ps_net_prepared *p =
		ps_net_prepared_of(call, &k->own, &c->maker, &status, err);
	if (!p)
		return refuse(c, k, status, err);
	k->base.client = c;
	k->s = s;
	k->call = call;
	k->kind = call->kind;
	k->head = p->head;
	k->run = (struct ps_net_h2c_run){.piece = p->pieces, .left = p->bytes};
	k->begin_at = k->end_at = UINT64_MAX;
	k->id = submit(k, p);
	if (k->id < 0)
		return refuse(c, k, PS_ENOMEM, err);
	if (k->id >= LAST_STREAM)
		s->goaway = true;
	ps_net_call_reset(call);
	call->stream = &k->base;
	link_call(s, k);
	return PS_OK;
}

static void start(struct ps_net_client *c)
{
	ps_evloop_later_add(c->loop, &c->later);
}

static void flush(struct ps_net_client *c)
{
	ps_net_h2c_flush(c);
	ps_net_h2c_settle(c);
}

static void opened(struct ps_net_client *c, int64_t now_ns)
{
	struct ps_net_h2c_session *s = ps_net_h2c_session_of(c);
	if (!s) {
		ps_net_client_fail(c, PS_NET_MEMORY, ENOMEM);
		return;
	}
	c->used = s->n_calls > 0;
	for (struct ps_net_h2c_call *k = s->calls; k; k = k->next)
		k->call->connected_ns = now_ns;
	flush(c);
}

static void on_writable(struct ps_net_client *c)
{
	if (ps_net_wire_push(&c->wire) == 0)
		flush(c);
}

static bool wants_write(const struct ps_net_client *c)
{
	return c->h2->session && ps_net_h2c_has_output(c->h2->session);
}

/* --- reading --- */

static void feed(struct ps_net_client *c, const char *at, size_t n)
{
	struct ps_net_h2c_session *s = c->h2->session;
	if (!s)
		return;
	ps_net_h2c_enter(s);
	ssize_t used = nghttp2_session_mem_recv(s->ng, (const uint8_t *)at, n);
	if (used == NGHTTP2_ERR_NOMEM)
		ps_net_h2c_break(s, PS_NET_MEMORY, "no memory");
	else if (used < 0)
		ps_net_h2c_break(s, PS_NET_MALFORMED, nghttp2_strerror((int)used));
	bool doomed = s->doomed;
	c = s->c; /* it may have been left to an elder */
	ps_net_h2c_leave(s);
	if (doomed)
		return;
	if (s->broken || s->goaway)
		ps_net_h2c_settle(c);
	else if (nghttp2_session_want_write(s->ng) || !nghttp2_session_want_read(s->ng))
		ps_evloop_later_add(c->loop, &c->later);
}

static void on_eof(struct ps_net_client *c, int e)
{
	struct ps_net_h2c_session *s = c->h2->session;
	if (s && s->n_calls > 0)
		ps_net_client_fail(c, PS_NET_RESET, e);
	else
		ps_net_h2c_close_idle(c);
}

static char *where(struct ps_net_client *c, size_t *ret_room)
{
	(void)c, (void)ret_room;
	return NULL;
}

/* --- how many --- */

static int calls(const struct ps_net_client *c)
{
	return c->h2->session ? c->h2->session->n_calls : 0;
}

static uint32_t allowed(const struct ps_net_h2c_session *s)
{
	return nghttp2_session_get_remote_settings(s->ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

static int streams(const struct ps_net_client *c)
{
	const struct ps_net_h2c_session *s = c->h2->session;
	if (!s || !s->settled)
		return -1;
	return allowed(s) < INT_MAX ? (int)allowed(s) : INT_MAX;
}

static int room(const struct ps_net_client *c)
{
	const struct ps_net_h2c_session *s = c->h2->session;
	bool elder = ps_net_client_has_elder(c);
	int own = calls(c), left = c->o.max_calls - own - (elder ? calls(c->elder) : 0);
	if (!s || (s->goaway && !s->broken && (own == 0 || !elder)))
		return left; /* on the next connection */
	if (s->goaway || s->broken)
		return 0;
	uint32_t theirs = allowed(s);
	if (theirs <= (uint32_t)own)
		return 0;
	return theirs - (uint32_t)own < (uint32_t)left ? (int)theirs - own : left;
}

/* --- streams of gRPC --- */

void ps_net_call_give_up(struct ps_net_call *call, int64_t sent_ns)
{
	if (!call->stream)
		return;
	struct ps_net_client *c = call->stream->client;
	ps_net_client_hold(c);
	time_out(c, (struct ps_net_h2c_call *)call->stream, sent_ns, ps_evloop_now_ns(c->loop));
	ps_net_client_watch(c);
	ps_net_client_release(c);
}

bool ps_net_call_is_left(const struct ps_net_call *call)
{
	const struct ps_net_h2c_call *k = (const struct ps_net_h2c_call *)call->stream;
	return k && (k->s->goaway || k->s->broken);
}

/* --- the protocol --- */

static enum ps_status init(struct ps_net_client *c)
{
	c->h2 = calloc(1, sizeof *c->h2);
	if (!c->h2)
		return PS_ENOMEM;
	c->h2->callbacks = ps_net_h2c_callbacks();
	c->h2->option = ps_net_h2c_option();
	return c->h2->callbacks && c->h2->option ? PS_OK : PS_ENOMEM;
}

static void fini(struct ps_net_client *c)
{
	if (!c->h2)
		return;
	ps_net_h2c_drop(c);
	free_calls(c->h2);
	nghttp2_session_callbacks_del(c->h2->callbacks);
	nghttp2_option_del(c->h2->option);
	free(c->h2);
}

const struct ps_net_speech ps_net_speech_h2 = {
	.init = init,
	.fini = fini,
	.room = room,
	.streams = streams,
	.calls = calls,
	.begin = begin,
	.start = start,
	.opened = opened,
	.write = on_writable,
	.later = flush,
	.wants_write = wants_write,
	.where = where,
	.feed = feed,
	.eof = on_eof,
	.end_all = end_all,
	.expire = expire,
	.cancel = cancel,
	.inherit = inherit,
};
