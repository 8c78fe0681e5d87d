/* gRPC calls. Each message is a struct ps_serve_call in the message's own arena; the stream that it
 * came by lives in the arena of net's call:
 *
 *	on_call -> on_message: call -> infer, or a small route -> answer -> sent: message freed
 *	              |                                             |
 *	              +-- up to net's limit of unfreed messages ----+
 *
 * A unary call is a stream of one message whose answer also ends it. A call of several is ended
 * when the client has ended it and every message has its answer. net's call may go inside
 * ps_net_grpc_finish, and the stream with it: `settle` alone finishes, and `held` keeps it from
 * that while somebody still looks at the stream.
 */
#include "serve/observe_internal.h"

#include "oip/grpc.h"

#include <string.h>

/* Health watches of one I/O thread; further ones are refused. */
enum { MAX_WATCHES = 1024 };
static const int64_t MAX_QUIET_NS = 30 * PS_NS_PER_SEC;

struct ps_serve_stream {
	struct ps_serve_io *io;
	struct ps_net_grpc_call *net; /* not after `finished` */
	enum ps_oip_route route;
	int tenant;
	bool streams;  /* several messages may come */
	bool asked;    /* a message has come */
	bool finished; /* finish was called */
	bool gone;
	bool broken; /* there was no memory for a request or its answer: ended when none is left */
	int held;
	int in_flight;		       /* calls without an answer */
	struct ps_serve_call *calls;   /* not sent yet, by `next` */
	struct ps_serve_call *refused; /* of a unary call: sent with the trailers */
	const char *traceparent;
	/* Health watches of an I/O thread, by `next_watch`. */
	struct ps_serve_stream *next_watch;
	bool watching;
	enum ps_oip_serving said;
};

/* --- the end of a stream --- */

static void forget_watch(struct ps_serve_stream *t)
{
	struct ps_serve_stream **at = &t->io->watches;
	while (*at && *at != t)
		at = &(*at)->next_watch;
	if (*at)
		*at = t->next_watch;
	t->watching = false;
}

static struct ps_net_grpc_call *take_net(struct ps_serve_stream *t)
{
	if (t->watching)
		forget_watch(t);
	t->finished = true;
	return t->net;
}

static void finish_ok(struct ps_serve_stream *t)
{
	ps_net_grpc_finish(take_net(t), PS_NET_GRPC_OK, NULL, NULL, 0);
}

static void finish_error(struct ps_serve_stream *t, enum ps_status status, const char *what)
{
	struct ps_error err;
	ps_error_set(&err, status, "%s", what);
	ps_net_grpc_finish_error(take_net(t), &err, NULL, 0);
}

static void finish_refused(struct ps_serve_stream *t)
{
	struct ps_serve_call *c = t->refused;
	ps_net_grpc_finish_error(take_net(t), &c->err, c->headers, (size_t)c->n_headers);
}

/* Ends what has nothing left to wait for. `t` may be gone afterwards. */
static void settle(struct ps_serve_stream *t)
{
	if (t->held > 0 || t->finished || t->in_flight > 0)
		return;
	if (t->refused)
		finish_refused(t);
	else if (t->broken)
		finish_error(t, PS_ENOMEM, "out of memory");
	else if (t->gone)
		finish_error(t, PS_ECANCELLED, "nobody waits for the answer");
	else if (t->watching)
		return; /* until the client goes */
	else if (t->asked && !t->streams)
		finish_ok(t);
	else if (!t->net->half_closed)
		return;
	else if (t->streams)
		finish_ok(t);
	else
		finish_error(t, PS_EPARSE, "the call has no request message");
}

/* --- the end of a message --- */

static void unlink_call(struct ps_serve_stream *t, struct ps_serve_call *c)
{
	struct ps_serve_call **at = &t->calls;
	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
}

/* The call goes with its message. */
static void end_call(struct ps_serve_call *c, enum ps_status status, int64_t done_ns)
{
	struct ps_net_grpc_message *m = c->message;
	ps_serve_sent(c, status, done_ns);
	unlink_call(c->stream, c);
	ps_net_grpc_message_free(m);
}

static void on_sent(void *ctx, enum ps_status status, int64_t done_ns)
{
	end_call(ctx, status, done_ns);
}

/* --- answers --- */

void ps_serve_grpc_answer(struct ps_serve_call *c, const struct iovec *pieces, size_t n)
{
	struct ps_serve_stream *t = c->stream;
	for (size_t i = 0; i < n; i++)
		c->answer_bytes += pieces[i].iov_len;
	t->in_flight--;
	t->held++; /* on_sent may come from inside, and end the stream */
	ps_net_grpc_send(t->net, pieces, n, on_sent, c);
	t->held--;
	settle(t);
}

/* A client of a stream counts answers: where one cannot be given, the stream ends. */
static void give_up(struct ps_serve_call *c)
{
	struct ps_serve_stream *t = c->stream;
	t->broken = true;
	t->in_flight--;
	t->held++;
	end_call(c, PS_ECANCELLED, ps_evloop_now_ns(t->io->loop));
	t->held--;
	settle(t);
}

/* One request of a stream that fails does not end the stream. */
static void answer_stream_error(struct ps_serve_call *c)
{
	struct ps_strbuf text;
	ps_strbuf_init(&text);
	ps_oip_grpc_build_stream_error(&c->err, c->oip.id, &text);
	char *copy = ps_arena_strndup(c->arena, text.data, text.len);
	struct iovec piece = {copy, text.len};
	bool whole = copy && ps_strbuf_status(&text) == PS_OK;
	ps_strbuf_fini(&text);
	if (whole)
		ps_serve_grpc_answer(c, &piece, 1);
	else
		give_up(c);
}

void ps_serve_grpc_refuse(struct ps_serve_call *c)
{
	struct ps_serve_stream *t = c->stream;
	if (t->route == PS_OIP_INFER_STREAM) {
		answer_stream_error(c);
		return;
	}
	t->in_flight--;
	t->refused = c;
	settle(t);
}

bool ps_serve_grpc_streams(const struct ps_serve_call *c)
{
	return c->stream->streams;
}

int64_t ps_serve_grpc_deadline_ns(const struct ps_serve_call *c)
{
	return c->stream->finished ? 0 : c->stream->net->deadline_ns;
}

/* --- health and reflection --- */

static enum ps_oip_serving serving(const struct ps_serve *s)
{
	return atomic_load(&s->ready) ? PS_OIP_SERVING : PS_OIP_NOT_SERVING;
}

static void check_health(struct ps_serve_call *c)
{
	struct ps_strbuf text;
	if (!ps_oip_grpc_is_service(c->target.model)) {
		ps_error_set(&c->err, PS_ENOTFOUND, "unknown service '%s'", c->target.model);
		ps_serve_refuse(c);
		return;
	}
	ps_strbuf_init(&text);
	ps_oip_grpc_build_health(serving(c->io->server), &text);
	ps_serve_answer_message(c, &text);
}

static void begin_watch(struct ps_serve_call *c)
{
	struct ps_serve_stream *t = c->stream, *w = c->io->watches;
	struct ps_strbuf text;
	int n = 0;
	for (; w; w = w->next_watch)
		n++;
	if (n >= MAX_WATCHES) {
		ps_error_set(&c->err, PS_EUNAVAIL, "%d health watches are open already", n);
		ps_serve_refuse(c);
		return;
	}
	t->said = ps_oip_grpc_is_service(c->target.model) ? serving(c->io->server)
							  : PS_OIP_SERVICE_UNKNOWN;
	t->watching = true;
	t->next_watch = c->io->watches;
	c->io->watches = t;
	ps_strbuf_init(&text);
	ps_oip_grpc_build_health(t->said, &text);
	ps_serve_answer_message(c, &text);
}

/* A change that a client does not read may be left out: it gets the newest once it reads. */
static void say_health(struct ps_serve_stream *t, enum ps_oip_serving now)
{
	struct ps_strbuf text;
	if (t->said == PS_OIP_SERVICE_UNKNOWN || t->said == now || t->gone || t->finished ||
	    ps_net_grpc_unsent_bytes(t->net) > 0)
		return;
	ps_strbuf_init(&text);
	ps_oip_grpc_build_health(now, &text);
	char *copy = ps_arena_strndup(t->net->arena, text.data, text.len);
	struct iovec piece = {copy, text.len};
	if (copy && ps_strbuf_status(&text) == PS_OK) {
		t->said = now;
		ps_net_grpc_send(t->net, &piece, 1, NULL, NULL);
	}
	ps_strbuf_fini(&text);
}

/* Draining ends the watches: they would keep the connection open for ever. */
void ps_serve_grpc_notify(struct ps_serve_io *io)
{
	bool draining = atomic_load(&io->server->draining);
	for (struct ps_serve_stream *t = io->watches, *next; t; t = next) {
		next = t->next_watch;
		say_health(t, serving(io->server));
		if (draining && !t->finished && t->in_flight == 0)
			finish_error(t, PS_EUNAVAIL, "the server shuts down");
	}
}

static void reflect(struct ps_serve_call *c)
{
	struct ps_strbuf text;
	ps_strbuf_init(&text);
	if (ps_oip_grpc_reflect(c->body, c->body_bytes, &text, &c->err) != PS_OK) {
		ps_strbuf_fini(&text);
		ps_serve_refuse(c);
		return;
	}
	ps_serve_answer_message(c, &text);
}

/* --- messages --- */

static enum ps_status read_target(struct ps_serve_call *c)
{
	struct ps_oip_repository_request unused;
	switch (c->target.route) {
	case PS_OIP_INFER: /* ps_serve_parse does */
	case PS_OIP_REFLECTION:
	case PS_OIP_REFLECTION_V1ALPHA:
		return PS_OK;
	case PS_OIP_REPOSITORY_INDEX:
	case PS_OIP_LOAD:
	case PS_OIP_UNLOAD:
		return ps_oip_grpc_parse_repository(c->target.route, c->body, c->body_bytes,
						    c->arena, &c->target, &unused, &c->err);
	default:
		return ps_oip_grpc_parse_target(c->target.route, c->body, c->body_bytes, &c->target,
						&c->err);
	}
}

static void handle(struct ps_serve_call *c)
{
	if (read_target(c) != PS_OK) {
		ps_serve_refuse(c);
		return;
	}
	switch (c->target.route) {
	case PS_OIP_INFER:
		ps_serve_infer(c);
		break;
	case PS_OIP_HEALTH_CHECK:
		check_health(c);
		break;
	case PS_OIP_HEALTH_WATCH:
		begin_watch(c);
		break;
	case PS_OIP_REFLECTION:
	case PS_OIP_REFLECTION_V1ALPHA:
		reflect(c);
		break;
	default:
		ps_serve_route(c);
		break;
	}
}

static struct ps_serve_call *new_call(struct ps_serve_stream *t, struct ps_net_grpc_message *m)
{
	struct ps_serve_call *c = ps_serve_call_new(t->io, PS_SERVE_GRPC, m->arena);
	if (!c)
		return NULL;
	c->stream = t;
	c->message = m;
	c->target.route = t->route == PS_OIP_INFER_STREAM ? PS_OIP_INFER : t->route;
	c->tenant = t->tenant;
	c->body = m->data;
	c->body_bytes = m->bytes;
	c->peer = t->net->peer;
	c->first_byte_ns = m->first_byte_ns;
	c->received_ns = c->d.account.received_ns = m->received_ns;
	ps_serve_trace_take(c, t->traceparent);
	c->n_headers = 0; /* say_trace says it */
	return c;
}

/* Which span of ours answers, ahead of the answers: that of the first message. The message goes
 * before the call, so that the text is copied. */
static void say_trace(struct ps_serve_stream *t, const struct ps_serve_call *c)
{
	struct ps_net_header h = {.name = "traceparent"};
	if (t->asked || !c->trace)
		return;
	h.value = ps_arena_strndup(t->net->arena, c->trace->text, strlen(c->trace->text));
	if (h.value)
		(void)ps_net_grpc_headers(t->net, &h, 1);
}

static void on_message(void *ctx, struct ps_net_grpc_call *net, struct ps_net_grpc_message *m)
{
	struct ps_serve_stream *t = net->user;
	(void)ctx;
	if (t->finished || t->refused || t->broken || (t->asked && !t->streams)) {
		ps_net_grpc_message_free(
			m); /* nothing more is read: a second one of a unary call */
		return;
	}
	struct ps_serve_call *c = new_call(t, m);
	if (!c) {
		t->broken = true;
		ps_net_grpc_message_free(m);
		settle(t);
		return;
	}
	say_trace(t, c);
	t->asked = true;
	ps_serve_call_begin(c);
	c->next = t->calls;
	t->calls = c;
	t->in_flight++;
	handle(c);
}

/* --- calls --- */

static bool is_large(enum ps_oip_route route)
{
	return route == PS_OIP_INFER || route == PS_OIP_INFER_STREAM;
}

static enum ps_status identify(const struct ps_net_grpc_call *net, struct ps_serve_call *c)
{
	const struct ps_serve_claim claim = {
		.address = net->address,
		.authorization = ps_net_header_get(net->headers, net->n_headers, "authorization"),
		.identity = net->identity};
	enum ps_status status = ps_oip_grpc_parse_path(net->path, &c->target.route, &c->err);
	if (status != PS_OK || !ps_serve_needs_key(c->target.route))
		return status;
	return ps_serve_authenticate(c, &claim);
}

/* The call that is refused before there is any message. */
static enum ps_status refuse_call(struct ps_serve_call *c, struct ps_net_grpc_call *net,
				  struct ps_error *err)
{
	ps_serve_trace_take(c, ps_net_header_get(net->headers, net->n_headers, "traceparent"));
	net->refusal_trailers = c->headers;
	net->n_refusal_trailers = (size_t)c->n_headers;
	c->peer = net->peer;
	c->first_byte_ns = net->first_byte_ns;
	c->received_ns = c->d.account.received_ns = ps_evloop_now_ns(c->io->loop);
	c->d.account.status = c->err.status;
	ps_serve_observe_call(c);
	*err = c->err;
	return c->err.status;
}

static void limit_message(const struct ps_serve_stream *t, struct ps_net_grpc_call *net)
{
	const struct ps_serve_snapshot *p = t->io->snapshot;
	net->owner = ps_serve_owner(t->tenant);
	net->max_message_bytes = is_large(t->route)
					 ? (size_t)ps_tenancy_max_body_bytes(p->tenancy, t->tenant,
									     p->config->max_body)
					 : PS_OIP_MAX_SMALL_MESSAGE;
}

static enum ps_status on_call(void *ctx, struct ps_net_grpc_call *net, struct ps_error *err)
{
	struct ps_serve_stream *t = ps_arena_zalloc(net->arena, sizeof *t);
	/* Only who asks is found out here; the calls proper come with the messages. */
	struct ps_serve_call *asks = ps_serve_call_new(ctx, PS_SERVE_GRPC, net->arena);
	if (!t || !asks)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	if (identify(net, asks) != PS_OK)
		return refuse_call(asks, net, err);
	t->io = ctx;
	t->net = net;
	t->route = asks->target.route;
	t->tenant = asks->tenant;
	t->streams = ps_oip_grpc_client_streams(t->route);
	t->traceparent = ps_net_header_get(net->headers, net->n_headers, "traceparent");
	net->user = t;
	/* A stream of inferences may be quiet for long. Every other call has its message at once;
	 * without one, and often without a key, it would be kept for nothing. */
	if (t->route != PS_OIP_INFER_STREAM)
		net->max_quiet_ns = MAX_QUIET_NS;
	limit_message(t, net);
	return PS_OK;
}

static void on_half_close(void *ctx, struct ps_net_grpc_call *net)
{
	(void)ctx;
	settle(net->user);
}

static void on_gone(void *ctx, struct ps_net_grpc_call *net, enum ps_status why)
{
	struct ps_serve_stream *t = net->user;
	(void)ctx;
	(void)why;
	t->gone = true;
	t->held++;
	for (struct ps_serve_call *c = t->calls, *next; c; c = next) {
		next = c->next; /* this one alone may go */
		c->gone = true;
		if (c->admitted)
			ps_serve_infer_gone(c);
	}
	t->held--;
	settle(t);
}

static void on_end(void *ctx, struct ps_net_grpc_call *net, enum ps_status status, int64_t done_ns)
{
	struct ps_serve_stream *t = net->user;
	(void)ctx;
	if (t->refused)
		end_call(t->refused, status, done_ns);
}

void ps_serve_grpc_handler(struct ps_serve_io *io, struct ps_net_grpc_handler *ret_handler)
{
	*ret_handler = (struct ps_net_grpc_handler){
		.on_call = on_call,
		.on_message = on_message,
		.on_half_close = on_half_close,
		.on_gone = on_gone,
		.on_end = on_end,
		.ctx = io,
	};
}
