/* remote.c - see remote_internal.h. */
#include "load/remote_internal.h"

#include "load/server_timing.h"

#include <stdlib.h>
#include <string.h>

enum { UNAUTHENTICATED = 16, PERMISSION_DENIED = 7, RESOURCE_EXHAUSTED = 8, UNAVAILABLE = 14 };

/* ---- connections ---- */

enum ps_status ps_load_remote_init(struct ps_load_target *g, struct ps_error *err)
{
	const struct ps_load_tls *t = &g->t->target.tls;
	const struct ps_net_client_tls_options o = {.ca_path = t->ca_path,
						    .certificate_path = t->certificate_path,
						    .key_path = t->key_path,
						    .insecure = t->insecure};

	for (size_t i = 0; i < g->replica_len; i++) {
		if (g->replicas[i].url.secure && !g->tls) {
			enum ps_status st = ps_net_client_tls_new(&o, &g->tls, err);

			if (st != PS_OK) {
				return st;
			}
		}
	}
	return PS_OK;
}

void ps_load_remote_fini(struct ps_load_target *g)
{
	ps_net_client_tls_free(g->tls);
	g->tls = NULL;
}

static struct ps_net_client_options options(const struct ps_load_target *g, size_t replica)
{
	const struct ps_load_replica *r = &g->replicas[replica];
	bool http1 = g->protocol == PS_LOAD_HTTP1;

	return (struct ps_net_client_options){
		.address = r->address,
		.host = r->host,
		.protocol = http1 ? PS_NET_HTTP1 : PS_NET_HTTP2,
		.tls = r->url.secure ? g->tls : NULL,
		.server_name = g->t->target.tls.server_name,
		.max_calls = http1 ? 1 : (int)ps_load_target_streams(g),
		.max_body_bytes =
			g->max_answer_bytes ? g->max_answer_bytes : PS_LOAD_MAX_METADATA_BYTES,
	};
}

enum ps_status ps_load_remote_open(struct ps_load_line *line, struct ps_error *err)
{
	struct ps_net_client_options o = options(line->port->target, line->replica);
	struct ps_net_client *client = NULL;
	enum ps_status st;

	o.kernel_timestamps = line->port->o.timestamping;
	st = ps_net_client_new(line->port->o.loop, &o, &client, err);
	if (st == PS_OK) {
		line->way = client;
		ps_net_client_connect(client);
	}
	return st;
}

bool ps_load_remote_ready(const struct ps_load_line *line)
{
	return ps_net_client_streams(line->way) >= 0;
}

void ps_load_remote_close(struct ps_load_line *line)
{
	ps_net_client_free(line->way);
}

bool ps_load_remote_room(const struct ps_load_line *line)
{
	return ps_net_client_room(line->way) > 0;
}

int ps_load_remote_streams(const struct ps_load_line *line)
{
	return ps_net_client_streams(line->way);
}

/* ---- requests ---- */

enum ps_status ps_load_remote_prepare(const struct ps_load_target *g, struct ps_load_request *q,
				      size_t replica, const struct ps_net_call *like,
				      struct ps_error *err)
{
	const struct ps_net_client_options o = options(g, replica);

	return ps_net_prepare(&o, like, &q->prepared[replica], err);
}

enum ps_status ps_load_remote_send(struct ps_load_islot *s, int64_t deadline_ns,
				   void (*on_done)(struct ps_net_call *call), struct ps_error *err)
{
	struct ps_load_remote_slot *r = (struct ps_load_remote_slot *)s;

	r->call = (struct ps_net_call){.kind = s->pub.port->target->protocol >= PS_LOAD_GRPC
						       ? PS_NET_CALL_GRPC
						       : PS_NET_CALL_HTTP,
				       .prepared = s->request->prepared[s->pub.replica],
				       .deadline_ns = deadline_ns,
				       .on_done = on_done,
				       .ctx = s};
	return ps_net_client_send(s->line->way, &r->call, err);
}

void ps_load_remote_cancel(struct ps_load_islot *s)
{
	ps_net_call_cancel(&((struct ps_load_remote_slot *)s)->call);
}

/* ---- one call, waited for ---- */

struct wait {
	bool done;
	const struct ps_net_client *client;
	enum ps_status (*use)(void *ctx, const struct ps_net_call *call, const char *why,
			      struct ps_error *err);
	void *ctx;
	enum ps_status status;
	struct ps_error *err;
};

static void on_waited(struct ps_net_call *c)
{
	struct wait *w = c->ctx;

	w->done = true;
	w->status = w->use(w->ctx, c, ps_net_client_why(w->client), w->err);
}

enum ps_status ps_load_remote_call(const struct ps_load_target *g, size_t replica,
				   const struct ps_net_call *like, int64_t timeout_ns,
				   enum ps_status (*use)(void *ctx, const struct ps_net_call *call,
							 const char *why, struct ps_error *err),
				   void *ctx, struct ps_error *err)
{
	struct ps_net_client_options o = options(g, replica);
	struct wait w = {.use = use, .ctx = ctx, .err = err};
	struct ps_net_call call = *like;
	struct ps_net_client *client = NULL;
	struct ps_evloop *loop = NULL;
	enum ps_status st = ps_evloop_new(NULL, &loop, err);

	o.max_body_bytes = PS_LOAD_MAX_METADATA_BYTES; /* after the run as before it */
	if (st == PS_OK) {
		st = ps_net_client_new(loop, &o, &client, err);
		w.client = client;
	}
	if (st == PS_OK) {
		call.deadline_ns = ps_evloop_now_ns(loop) + timeout_ns;
		call.on_done = on_waited;
		call.ctx = &w;
		st = ps_net_client_send(client, &call, err);
	}
	while (st == PS_OK && !w.done) {
		st = ps_evloop_run_once(loop, -1, err);
	}
	if (st == PS_OK) {
		st = w.status;
	}
	ps_net_client_free(client);
	ps_evloop_free(loop);
	return st;
}

/* ---- what became of it ---- */

static enum ps_load_outcome outcome_of_net(enum ps_net_outcome o)
{
	switch (o) {
	case PS_NET_OK:
		return PS_LOAD_OK;
	case PS_NET_TIMEOUT:
		return PS_LOAD_TIMEOUT;
	case PS_NET_RESET:
	case PS_NET_HALF:
	case PS_NET_STREAM:
	case PS_NET_GOAWAY:
		return PS_LOAD_RESET;
	case PS_NET_MALFORMED:
	case PS_NET_PROTOCOL: /* connected, and what came was not the protocol */
	case PS_NET_TOO_BIG:
		return PS_LOAD_GARBAGE;
	default: /* nobody there, no route, no TLS, no descriptors: nothing could be exchanged */
		return PS_LOAD_CONNECT;
	}
}

/* What a user is told: the identifiers of outcomes are for counting. */
static const char *words_of_net(enum ps_net_outcome o)
{
	static const char *const words[PS_NET_OUTCOME_COUNT] = {
		[PS_NET_REFUSED] = "nobody listens",
		[PS_NET_CONNECT] = "no connection",
		[PS_NET_CONNECT_TIMEOUT] = "no connection in time",
		[PS_NET_TLS] = "no TLS",
		[PS_NET_PROTOCOL] = "another protocol",
		[PS_NET_TIMEOUT] = "no answer in time",
		[PS_NET_RESET] = "the connection ended before the answer",
		[PS_NET_HALF] = "the connection ended inside the answer",
		[PS_NET_STREAM] = "the server reset the stream",
		[PS_NET_GOAWAY] = "the server left the connection without looking at it",
		[PS_NET_MALFORMED] = "not by the protocol",
		[PS_NET_TOO_BIG] = "the answer, or its head, is larger than is taken",
	};

	return words[o] ? words[o] : ps_net_outcome_name(o);
}

static void say_net(const struct ps_net_call *c, const char *why, struct ps_error *err)
{
	ps_error_set(err, ps_net_outcome_status(c->outcome), "%s%s%s%s%s", words_of_net(c->outcome),
		     c->system_errno ? ": " : "", c->system_errno ? strerror(c->system_errno) : "",
		     why[0] ? ": " : "", why);
}

static const char *find_header(const struct ps_net_call *c, const char *name)
{
	const char *v = ps_net_header_get(c->answer_headers, c->n_answer_headers, name);

	return v ? v : ps_net_header_get(c->answer_trailers, c->n_answer_trailers, name);
}

enum ps_load_outcome ps_load_remote_take(struct ps_load_islot *s, const struct ps_net_call *c)
{
	struct ps_load_answer *a = &s->pub.answer;
	struct ps_load_port *p = s->pub.port;
	const char *timing;

	a->sent_ns = c->sent_ns;
	a->first_byte_ns = c->first_byte_ns;
	a->done_ns = c->done_ns;
	a->first_byte_kernel_ns = c->first_byte_kernel_ns > 0 ? c->first_byte_kernel_ns : 0;
	a->done_kernel_ns = c->done_kernel_ns > 0 ? c->done_kernel_ns : 0;
	a->http_status = (uint16_t)c->http;
	a->bytes_sent = c->sent_ns ? s->request->message.bytes : 0;
	a->bytes_received = c->answer_bytes;
	a->cancelled = c->outcome == PS_NET_CANCELLED;
	if (c->outcome != PS_NET_OK) {
		if (!p->closing) {
			say_net(c, ps_net_client_why(s->line->way), &p->err);
		}
		return outcome_of_net(c->outcome);
	}
	timing = find_header(c, "server-timing");
	a->server_queue_ns = ps_load_server_timing(timing, "queue");
	a->server_compute_ns = ps_load_server_timing(timing, "compute");
	return PS_LOAD_OK;
}

static enum ps_status status_of_http(int http)
{
	switch (http) {
	case 401:
		return PS_EUNAUTH;
	case 403:
		return PS_EFORBIDDEN;
	case 400:
	case 404:
		return PS_ENOTFOUND;
	case 429:
		return PS_EQUOTA;
	case 503:
		return PS_EUNAVAIL;
	default:
		return PS_EIO;
	}
}

static bool is_redirect(const struct ps_net_call *c)
{
	return c->http >= 300 && c->http < 400;
}

static void say_http(const struct ps_net_call *c, struct ps_error *err)
{
	const char *to = ps_net_header_get(c->answer_headers, c->n_answer_headers, "location");
	char text[256];

	if (is_redirect(c) && to) {
		ps_error_set(err, PS_EIO,
			     "HTTP %d: sent elsewhere (%.200s); redirects are not "
			     "followed",
			     c->http, to);
		return;
	}
	ps_error_set(err, status_of_http(c->http), "HTTP %d: %s", c->http,
		     ps_oip_parse_error(c->answer_body, c->answer_bytes, text, sizeof(text)));
}

enum ps_load_outcome ps_load_remote_http(struct ps_load_islot *s, const struct ps_net_call *c)
{
	struct ps_load_port *p = s->pub.port;

	if (c->http == 200) {
		return PS_LOAD_OK;
	}
	say_http(c, &p->err);
	p->notes.redirects += is_redirect(c);
	p->notes.key_refusals += c->http == 401 || c->http == 403;
	return c->http == 429 || c->http == 503 ? PS_LOAD_REFUSED : PS_LOAD_REJECTED;
}

static void say_grpc(const struct ps_net_call *c, struct ps_error *err)
{
	static const enum ps_status statuses[] = {
		[4] = PS_EDEADLINE,
		[5] = PS_ENOTFOUND,
		[PERMISSION_DENIED] = PS_EFORBIDDEN,
		[RESOURCE_EXHAUSTED] = PS_EQUOTA,
		[12] = PS_EUNSUPPORTED,
		[UNAVAILABLE] = PS_EUNAVAIL,
		[UNAUTHENTICATED] = PS_EUNAUTH,
	};
	int n = c->grpc_status;
	enum ps_status st = n > 0 && n <= UNAUTHENTICATED && statuses[n] ? statuses[n] : PS_EIO;

	ps_error_set(err, st, "gRPC status %d%s%.300s", n, c->grpc_message[0] ? ": " : "",
		     c->grpc_message);
}

enum ps_load_outcome ps_load_remote_grpc(struct ps_load_islot *s, const struct ps_net_call *c)
{
	struct ps_load_port *p = s->pub.port;
	int n = c->grpc_status;

	if (n == 0) {
		return PS_LOAD_OK;
	}
	if (is_redirect(c)) { /* of a proxy: no status of gRPC stands for that */
		say_http(c, &p->err);
		p->notes.redirects++;
		return PS_LOAD_REJECTED;
	}
	if (n > 0 && n <= UNAUTHENTICATED) {
		s->pub.answer.http_status = (uint16_t)n;
	}
	say_grpc(c, &p->err);
	p->notes.key_refusals += n == UNAUTHENTICATED || n == PERMISSION_DENIED;
	return n == RESOURCE_EXHAUSTED || n == UNAVAILABLE ? PS_LOAD_REFUSED : PS_LOAD_REJECTED;
}

static const char *hint_of(enum ps_net_outcome outcome)
{
	switch (outcome) {
	case PS_NET_TLS:
		return "--tls-ca FILE names whom to trust, --tls-name another name for the server";
	case PS_NET_PROTOCOL:
	case PS_NET_MALFORMED:
		return "does it speak this protocol? (--protocol, https://)";
	default:
		return "is a server listening at this address?";
	}
}

enum ps_status ps_load_remote_refusal(const struct ps_load_item *it,
				      const struct ps_load_replica *r, const struct ps_net_call *c,
				      const char *in_words, struct ps_error *err)
{
	struct ps_error why;

	if (c->outcome != PS_NET_OK) {
		say_net(c, in_words, &why);
	} else if (c->kind == PS_NET_CALL_HTTP) {
		say_http(c, &why);
	} else {
		say_grpc(c, &why);
	}
	ps_error_set(err, why.status, "no metadata of model '%s': %.300s", it->model, why.what);
	ps_error_where(err, "%s", r->text);
	if (c->outcome != PS_NET_OK) {
		ps_error_hint(err, "%s", hint_of(c->outcome));
	} else if (why.status == PS_EUNAUTH) {
		ps_error_hint(err, "this server wants an API key");
	}
	return why.status;
}
