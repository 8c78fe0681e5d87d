/* A connection of the server: states, deadlines, reading. The diagram is in server_internal.h. */
#include "net/server_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const int64_t LINGER_NS = 2 * PS_NS_PER_SEC;

/* --- deadlines --- */

static int64_t body_deadline_ns(const struct ps_net_conn *c)
{
	const struct ps_net_server_options *o = &c->server->o;
	double allowed_s = (double)c->body.bytes / (double)o->body_min_rate;
	int64_t slow_ns = c->body_began_ns + o->body_timeout_ns +
			  (int64_t)(allowed_s * (double)PS_NS_PER_SEC);
	int64_t silent_ns = c->progress_ns + o->body_timeout_ns;
	return slow_ns < silent_ns ? slow_ns : silent_ns;
}

/* Most deadlines only move back, again and again: the timer is set anew when it fires too early,
 * not at each step. */
static void arm(struct ps_net_conn *c)
{
	if (c->deadline_ns == INT64_MAX)
		return;
	if (ps_evloop_timer_is_set(&c->timer) && c->timer.node.key <= c->deadline_ns)
		return;
	(void)ps_evloop_timer_set(c->server->loop, &c->timer, c->deadline_ns);
}

void ps_net_conn_enter(struct ps_net_conn *c, enum ps_net_conn_state state)
{
	const struct ps_net_server_options *o = &c->server->o;
	int64_t now_ns = ps_evloop_now_ns(c->server->loop);
	c->state = state;
	switch (state) {
	case PS_NET_CONN_IDLE:
		c->deadline_ns = now_ns + o->idle_timeout_ns;
		break;
	case PS_NET_CONN_HEAD:
		c->deadline_ns = now_ns + o->head_timeout_ns;
		break;
	case PS_NET_CONN_BODY:
		c->body_began_ns = c->progress_ns = now_ns;
		c->deadline_ns = now_ns + o->body_timeout_ns;
		break;
	case PS_NET_CONN_WRITE:
		c->deadline_ns = now_ns + o->write_timeout_ns;
		break;
	case PS_NET_CONN_LINGER:
		c->deadline_ns = now_ns + LINGER_NS;
		break;
	case PS_NET_CONN_HANDLER:
	case PS_NET_CONN_CLOSED:
		c->deadline_ns = INT64_MAX;
		break;
	}
}

static void on_timer(struct ps_evloop_timer *t, int64_t now_ns)
{
	struct ps_net_conn *c = t->ctx;
	if (c->state == PS_NET_CONN_BODY)
		c->deadline_ns = body_deadline_ns(c);
	if (now_ns < c->deadline_ns) {
		arm(c);
		return;
	}
	ps_net_conn_hold(c);
	if (c->state == PS_NET_CONN_HEAD)
		ps_net_conn_refuse(c, 408, "the header took too long");
	else if (c->state == PS_NET_CONN_BODY)
		ps_net_conn_refuse(c, 408, "the body took too long");
	else
		ps_net_conn_close(c);
	ps_net_conn_release(c);
}

/* --- life --- */

void ps_net_conn_hold(struct ps_net_conn *c)
{
	c->depth++;
}

static void free_conn(struct ps_net_conn *c)
{
	struct ps_net_server *s = c->server;
	ps_net_http1_free(c->parser);
	ps_net_out_fini(&c->out);
	ps_arena_fini(&c->arena);
	ps_net_server_forget(s, c);
}

void ps_net_conn_release(struct ps_net_conn *c)
{
	if (--c->depth > 0)
		return;
	if (c->state == PS_NET_CONN_CLOSED && !c->owed)
		free_conn(c);
	else
		ps_net_conn_watch(c);
}

void ps_net_conn_close(struct ps_net_conn *c)
{
	if (c->state == PS_NET_CONN_CLOSED)
		return;
	ps_net_conn_hold(c);
	bool writing = c->state == PS_NET_CONN_WRITE;
	ps_net_conn_enter(c, PS_NET_CONN_CLOSED);
	ps_evloop_timer_cancel(&c->timer);
	ps_evloop_fd_remove(&c->watch);
	close(c->watch.fd);
	c->watch.fd = -1;
	ps_net_server_conn_closed(c->server);
	if (writing)
		ps_net_conn_abandon(c);
	else if (c->owed && !c->request.gone) {
		c->request.gone = true;
		c->server->stats.gone++;
		if (c->server->handler.on_gone)
			c->server->handler.on_gone(c->server->handler.ctx, &c->request);
	}
	if (!c->owed) {
		c->server->stats.buffered_bytes -= c->buffered_bytes;
		c->buffered_bytes = 0;
	}
	ps_net_conn_release(c);
}

void ps_net_conn_drain(struct ps_net_conn *c)
{
	if (c->state == PS_NET_CONN_IDLE)
		ps_net_conn_close(c);
	else
		c->close_after = true;
}

/* --- what to watch for --- */

void ps_net_conn_watch(struct ps_net_conn *c)
{
	if (c->state == PS_NET_CONN_CLOSED || c->depth > 0)
		return;
	unsigned want = 0;
	if (c->state == PS_NET_CONN_WRITE)
		want = PS_EVLOOP_WRITE;
	else if (!c->eof && c->in_len < PS_NET_IN_BYTES)
		want = PS_EVLOOP_READ;
	arm(c);
	if (ps_evloop_fd_set(&c->watch, want, NULL) != PS_OK)
		ps_net_conn_close(c);
}

/* --- reading --- */

/* The client sends no more. It may have left, or still wait for the answer to a whole request. */
static void on_eof(struct ps_net_conn *c)
{
	c->eof = true;
	switch (c->state) {
	case PS_NET_CONN_HEAD:
	case PS_NET_CONN_BODY:
		ps_net_conn_refuse(c, 400, "the connection ended before the whole request came");
		break;
	case PS_NET_CONN_HANDLER:
		/* Requests that wait behind this one prove that the client planned to stay. */
		if (c->in_len > c->in_at || c->request.gone)
			break;
		c->request.gone = true;
		c->server->stats.gone++;
		if (c->server->handler.on_gone)
			c->server->handler.on_gone(c->server->handler.ctx, &c->request);
		break;
	case PS_NET_CONN_WRITE:
	case PS_NET_CONN_CLOSED:
		break;
	case PS_NET_CONN_IDLE:
	case PS_NET_CONN_LINGER:
		ps_net_conn_close(c);
		break;
	}
}

/* Where to read: the body's own place when its length is known, else the small buffer. */
static char *room(struct ps_net_conn *c, size_t *ret_bytes)
{
	if (c->state == PS_NET_CONN_LINGER) {
		*ret_bytes = PS_NET_IN_BYTES;
		return c->in;
	}
	if (c->direct && c->in_at == c->in_len && c->body.cap > c->body.bytes) {
		*ret_bytes = c->body.cap - c->body.bytes;
		return c->body.data + c->body.bytes;
	}
	if (c->in_at > 0) {
		memmove(c->in, c->in + c->in_at, c->in_len - c->in_at);
		c->in_len -= c->in_at;
		c->in_at = 0;
	}
	*ret_bytes = PS_NET_IN_BYTES - c->in_len;
	return c->in + c->in_len;
}

static void handle_event(struct ps_net_conn *c, enum ps_net_event event);

static void on_bytes(struct ps_net_conn *c, char *at, size_t n)
{
	c->read_ns = c->progress_ns = ps_evloop_now_ns(c->server->loop);
	if (c->state == PS_NET_CONN_LINGER)
		return;
	bool in_buffer = at >= c->in && at < c->in + PS_NET_IN_BYTES;
	if (in_buffer) {
		c->in_len += n;
		ps_net_conn_process(c);
		return;
	}
	size_t used;
	handle_event(c, ps_net_http1_feed(c->parser, at, n, &used));
	ps_net_conn_process(c);
}

static void on_readable(struct ps_net_conn *c)
{
	size_t n;
	char *at = room(c, &n);
	if (n == 0)
		return;
	ssize_t got = read(c->watch.fd, at, n);
	if (got > 0)
		on_bytes(c, at, (size_t)got);
	else if (got == 0)
		on_eof(c);
	else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
		ps_net_conn_close(c);
}

static void on_ready(struct ps_evloop_fd *w, unsigned events)
{
	struct ps_net_conn *c = w->ctx;
	ps_net_conn_hold(c);
	if (events & PS_EVLOOP_ERROR && !(events & PS_EVLOOP_READ))
		ps_net_conn_close(c);
	if (events & PS_EVLOOP_WRITE && c->state == PS_NET_CONN_WRITE)
		ps_net_conn_write(c);
	if (events & PS_EVLOOP_READ && c->state != PS_NET_CONN_CLOSED && !c->eof)
		on_readable(c);
	ps_net_conn_release(c);
}

/* --- parsing --- */

static enum ps_status on_body(void *ctx, const char *at, size_t n)
{
	struct ps_net_conn *c = ctx;
	size_t before = c->body.cap;
	enum ps_status s = ps_net_body_append(&c->body, at, n);
	size_t grown = c->body.cap - before;
	if (s != PS_OK || grown == 0)
		return s;
	c->buffered_bytes += grown;
	c->server->stats.buffered_bytes += grown;
	return c->server->stats.buffered_bytes > c->server->o.max_buffered_bytes ? PS_ENOMEM : s;
}

static bool fill_request(struct ps_net_conn *c, const struct ps_net_head *h)
{
	struct ps_arena *a = &c->arena;
	size_t path = strcspn(h->target, "?");
	const char *query = h->target[path] ? h->target + path + 1 : "";
	c->request = (struct ps_net_request){
		.method = h->method, /* static texts */
		.path = ps_arena_strndup(a, h->target, path),
		.query = ps_arena_strndup(a, query, strlen(query)),
		.headers = ps_net_copy_headers(a, h->headers, h->n_headers),
		.n_headers = h->n_headers,
		.json_bytes = -1,
		.arena = a,
		.first_byte_ns = c->request.first_byte_ns,
		.peer = c->peer,
	};
	c->keep_alive = h->keep_alive;
	c->head_request = strcmp(h->method, "HEAD") == 0;
	return c->request.path && c->request.query && c->request.headers;
}

/* What net itself cannot grant; NULL when nothing. */
static const char *unwelcome(struct ps_net_conn *c, const struct ps_net_head *h, int *ret_http)
{
	const struct ps_net_request *r = &c->request;
	const char *expect = ps_net_header_get(r->headers, r->n_headers, "Expect");
	const char *coding = ps_net_header_get(r->headers, r->n_headers, "Content-Encoding");
	if (expect && strcasecmp(expect, "100-continue") != 0) {
		*ret_http = 417;
		return "only Expect: 100-continue is known";
	}
	if (coding && *coding && strcasecmp(coding, "identity") != 0) {
		*ret_http = 415;
		return "compressed bodies are not supported";
	}
	*ret_http = 400;
	if (ps_net_json_bytes(r->headers, r->n_headers, &c->request.json_bytes) != PS_OK)
		return "Inference-Header-Content-Length is not a number";
	if (r->json_bytes > 0 && h->content_length >= 0 && r->json_bytes > h->content_length)
		return "Inference-Header-Content-Length is larger than the body";
	*ret_http = 413;
	if (r->json_bytes > 0 && (uint64_t)r->json_bytes > c->server->o.max_body_bytes)
		return "the body is too large";
	return NULL;
}

/* Makes room for the body. 0, or the HTTP status to refuse with. */
static int begin_body(struct ps_net_conn *c, const struct ps_net_head *h)
{
	struct ps_net_server *s = c->server;
	size_t want = h->content_length > 0 ? (size_t)h->content_length : 0;
	if (want > s->o.max_body_bytes)
		return 413;
	if (want > 0 && (s->stats.buffered_bytes >= s->o.max_buffered_bytes ||
			 want > s->o.max_buffered_bytes - s->stats.buffered_bytes))
		return 503;
	if (ps_net_body_begin(&c->body, &c->arena, h->chunked ? -1 : h->content_length,
			      c->request.json_bytes, s->o.max_body_bytes) != PS_OK)
		return 503;
	c->direct = want > 0 && !h->chunked;
	c->buffered_bytes = c->body.cap;
	s->stats.buffered_bytes += c->body.cap;
	return 0;
}

/* A client that waits for leave to send its body gets it. */
static void say_continue(struct ps_net_conn *c, const struct ps_net_head *h)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	const struct ps_net_request *r = &c->request;
	bool has_body = h->chunked || h->content_length > 0;
	/* The head's last byte is still to be fed: more than one means that the body is coming. */
	if (!has_body || h->minor < 1 || c->in_len - c->in_at > 1 ||
	    !ps_net_header_get(r->headers, r->n_headers, "Expect"))
		return;
	ssize_t n = send(c->watch.fd, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n != (ssize_t)sizeof text - 1)
		ps_net_conn_close(c);
}

static void on_head(struct ps_net_conn *c)
{
	const struct ps_net_head *h = ps_net_http1_head(c->parser);
	struct ps_net_server *s = c->server;
	int http;
	if (!fill_request(c, h)) {
		ps_net_conn_refuse(c, 503, "out of memory");
		return;
	}
	const char *why = unwelcome(c, h, &http);
	if (why) {
		ps_net_conn_refuse(c, http, why);
		return;
	}
	struct ps_error err;
	ps_error_clear(&err);
	if (s->handler.on_head) {
		enum ps_status status = s->handler.on_head(s->handler.ctx, &c->request, &err);
		if (status != PS_OK) {
			char text[sizeof err.what + sizeof err.hint + 8];
			err.where[0] = '\0';
			ps_error_format(&err, text, sizeof text);
			ps_net_conn_refuse(c, ps_status_get(status)->http, text);
			return;
		}
	}
	http = begin_body(c, h);
	if (http) {
		ps_net_conn_refuse(c, http,
				   http == 413 ? "the body is too large"
					       : "too many bodies are under way");
		return;
	}
	ps_net_conn_enter(c, PS_NET_CONN_BODY);
	say_continue(c, h);
}

static void on_complete(struct ps_net_conn *c)
{
	struct ps_net_server *s = c->server;
	struct ps_net_request *r = &c->request;
	if (r->json_bytes > 0 && (uint64_t)r->json_bytes > c->body.bytes) {
		ps_net_conn_refuse(c, 400,
				   "Inference-Header-Content-Length is larger than the body");
		return;
	}
	r->body = c->body.data;
	r->body_bytes = c->body.bytes;
	r->received_ns = c->read_ns;
	c->direct = false;
	c->owed = true;
	s->stats.requests++;
	s->stats.in_flight++;
	ps_net_conn_enter(c, PS_NET_CONN_HANDLER);
	s->handler.on_request(s->handler.ctx, r);
}

static void handle_event(struct ps_net_conn *c, enum ps_net_event event)
{
	if (event == PS_NET_EV_HEAD) {
		on_head(c);
	} else if (event == PS_NET_EV_END) {
		on_complete(c);
	} else if (event == PS_NET_EV_BAD) {
		struct ps_net_refusal why = ps_net_http1_refusal(c->parser);
		ps_net_conn_refuse(c, why.http, why.text);
	}
}

static bool parses(enum ps_net_conn_state s)
{
	return s == PS_NET_CONN_IDLE || s == PS_NET_CONN_HEAD || s == PS_NET_CONN_BODY;
}

void ps_net_conn_process(struct ps_net_conn *c)
{
	ps_net_conn_hold(c);
	while (parses(c->state) && c->in_at < c->in_len) {
		if (c->state == PS_NET_CONN_IDLE) {
			c->request.first_byte_ns = c->read_ns;
			ps_net_conn_enter(c, PS_NET_CONN_HEAD);
		}
		size_t used;
		enum ps_net_event e =
			ps_net_http1_feed(c->parser, c->in + c->in_at, c->in_len - c->in_at, &used);
		c->in_at += used;
		handle_event(c, e);
	}
	if (c->in_at == c->in_len)
		c->in_at = c->in_len = 0;
	if (c->eof && (c->state == PS_NET_CONN_HEAD || c->state == PS_NET_CONN_BODY))
		ps_net_conn_refuse(c, 400, "the connection ended before the whole request came");
	else if (c->eof && c->state == PS_NET_CONN_IDLE)
		ps_net_conn_close(c);
	ps_net_conn_release(c);
}

void ps_net_conn_open(struct ps_net_server *s, int fd, const struct ps_net_address *peer)
{
	struct ps_net_conn *c = calloc(1, sizeof *c);
	struct ps_net_http1_options o = {
		.max_url_bytes = s->o.max_url_bytes,
		.max_header_bytes = s->o.max_header_bytes,
		.max_headers = s->o.max_headers,
		.on_body = on_body,
		.ctx = c,
	};
	struct ps_net_http1 *parser = c ? ps_net_http1_new(&o) : NULL;
	if (!parser) {
		free(c);
		close(fd);
		return;
	}
	int one = 1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	c->server = s;
	c->parser = parser;
	ps_arena_init(&c->arena, 0);
	ps_net_out_init(&c->out);
	ps_net_address_text(peer, c->peer);
	ps_evloop_timer_init(&c->timer, on_timer, c);
	c->watch = (struct ps_evloop_fd){
		.fd = fd, .events = PS_EVLOOP_READ, .on_ready = on_ready, .ctx = c};
	c->next = s->conns;
	if (s->conns)
		s->conns->prev = c;
	s->conns = c;
	s->n_memory++;
	s->stats.accepted++;
	s->stats.open++;
	ps_net_conn_hold(c);
	ps_net_conn_enter(c, PS_NET_CONN_IDLE);
	if (ps_evloop_fd_add(s->loop, &c->watch, NULL) != PS_OK)
		ps_net_conn_close(c);
	ps_net_conn_release(c);
}
