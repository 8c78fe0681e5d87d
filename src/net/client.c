/* One connection of a client, one call at a time.
 *
 *   CLOSED --send--> CONNECTING --open--> CALLING --whole answer--> IDLE --send--> CALLING
 *     ^                  |                   |                        |
 *     +------------------+--- broken, time-out, cancel, close --------+
 *
 * Ends of calls are told from the loop (a posted task), never from inside ps_net_client_send; only
 * cancel and free tell at once. One function (enter) changes the state. */
#include "net/net_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum state { CLOSED, CONNECTING, IDLE, CALLING };

enum { DIRECT_MIN = 4096 /* smaller rests of a body are not worth a place of their own */ };

struct ps_net_client {
	struct ps_evloop *loop;
	struct ps_net_client_options o;
	char *host;
	enum state state;
	struct ps_evloop_fd watch;
	struct ps_evloop_timer timer;	    /* of the call or the connect */
	struct ps_evloop_timer failed_soon; /* tells of a failure known inside send */
	enum ps_net_outcome failure;
	int failure_errno;
	int64_t connect_deadline_ns, failed_ns;

	struct ps_net_call *call;
	bool used; /* this connection has carried a call */
	bool writing;
	bool whole_head, keep_alive;
	struct ps_net_http1 *parser;
	struct ps_arena arena;
	struct ps_net_body body;
	int64_t json_bytes;
	bool direct;
	struct ps_net_out out;
	int depth; /* calls under way: free when they are out */
	bool freed;
	int64_t read_ns;
	char in[PS_NET_IN_BYTES];
};

static void on_ready(struct ps_evloop_fd *w, unsigned events);

/* --- names --- */

static const struct {
	const char *name;
	enum ps_status status;
} outcomes[PS_NET_OUTCOME_COUNT] = {
	[PS_NET_OK] = {"ok", PS_OK},
	[PS_NET_REFUSED] = {"refused", PS_EUNAVAIL},
	[PS_NET_CONNECT] = {"connect", PS_EIO},
	[PS_NET_CONNECT_TIMEOUT] = {"connect_timeout", PS_ETIMEOUT},
	[PS_NET_TIMEOUT] = {"timeout", PS_ETIMEOUT},
	[PS_NET_RESET] = {"reset", PS_EIO},
	[PS_NET_HALF] = {"half", PS_EIO},
	[PS_NET_MALFORMED] = {"malformed", PS_EPARSE},
	[PS_NET_TOO_BIG] = {"too_big", PS_ETOOBIG},
	[PS_NET_CANCELLED] = {"cancelled", PS_ECANCELLED},
	[PS_NET_MEMORY] = {"memory", PS_ENOMEM},
};

const char *ps_net_outcome_name(enum ps_net_outcome o)
{
	return (unsigned)o < PS_NET_OUTCOME_COUNT ? outcomes[o].name : "unknown";
}

enum ps_status ps_net_outcome_status(enum ps_net_outcome o)
{
	return (unsigned)o < PS_NET_OUTCOME_COUNT ? outcomes[o].status : PS_EINTERNAL;
}

/* --- state --- */

static void hold(struct ps_net_client *c)
{
	c->depth++;
}

static void release(struct ps_net_client *c)
{
	if (--c->depth > 0 || !c->freed)
		return;
	ps_net_http1_free(c->parser);
	ps_net_out_fini(&c->out);
	ps_arena_fini(&c->arena);
	free(c->host);
	free(c);
}

static void close_socket(struct ps_net_client *c)
{
	if (c->watch.fd < 0)
		return;
	ps_evloop_fd_remove(&c->watch);
	close(c->watch.fd);
	c->watch.fd = -1;
}

static unsigned wanted(const struct ps_net_client *c)
{
	if (c->state == CONNECTING)
		return PS_EVLOOP_WRITE;
	return PS_EVLOOP_READ | (c->state == CALLING && c->writing ? PS_EVLOOP_WRITE : 0);
}

static void enter(struct ps_net_client *c, enum state state)
{
	c->state = state;
	if (state == CLOSED) {
		ps_evloop_timer_cancel(&c->timer);
		close_socket(c);
		c->used = false;
	}
}

/* Tells how the call ended; the client is ready for the next send when on_done is entered. */
static void finish(struct ps_net_client *c, enum ps_net_outcome outcome, int e, int64_t now_ns)
{
	struct ps_net_call *call = c->call;
	ps_evloop_timer_cancel(&c->timer);
	ps_evloop_timer_cancel(&c->failed_soon);
	if (!call)
		return;
	c->call = NULL;
	c->writing = false;
	call->outcome = outcome;
	call->system_errno = e;
	call->done_ns = now_ns;
	call->on_done(call);
}

static void fail(struct ps_net_client *c, enum ps_net_outcome outcome, int e)
{
	int64_t now_ns = ps_evloop_now_ns(c->loop);
	enter(c, CLOSED);
	finish(c, outcome, e, now_ns);
}

static void on_failed_soon(struct ps_evloop_timer *t, int64_t now_ns)
{
	(void)now_ns;
	struct ps_net_client *c = t->ctx;
	hold(c);
	finish(c, c->failure, c->failure_errno, c->failed_ns);
	release(c);
}

/* From inside send: on_done must wait until send has returned. */
static void fail_soon(struct ps_net_client *c, enum ps_net_outcome outcome, int e)
{
	c->failure = outcome;
	c->failure_errno = e;
	c->failed_ns = ps_evloop_now_ns(c->loop);
	enter(c, CLOSED);
	(void)ps_evloop_timer_set(c->loop, &c->failed_soon, c->failed_ns);
}

static void on_timer(struct ps_evloop_timer *t, int64_t now_ns)
{
	struct ps_net_client *c = t->ctx;
	hold(c);
	bool by_call = c->call && c->call->deadline_ns && now_ns >= c->call->deadline_ns;
	if (c->state == CONNECTING && !by_call)
		fail(c, PS_NET_CONNECT_TIMEOUT, 0);
	else
		fail(c, c->state == CONNECTING ? PS_NET_CONNECT_TIMEOUT : PS_NET_TIMEOUT, 0);
	release(c);
}

static void arm(struct ps_net_client *c)
{
	int64_t at_ns = c->call && c->call->deadline_ns ? c->call->deadline_ns : INT64_MAX;
	if (c->state == CONNECTING && c->connect_deadline_ns < at_ns)
		at_ns = c->connect_deadline_ns;
	if (at_ns == INT64_MAX)
		ps_evloop_timer_cancel(&c->timer);
	else
		(void)ps_evloop_timer_set(c->loop, &c->timer, at_ns);
}

/* --- connecting --- */

static enum ps_net_outcome connect_outcome(int e)
{
	return e == ECONNREFUSED ? PS_NET_REFUSED
	       : e == ETIMEDOUT	 ? PS_NET_CONNECT_TIMEOUT
				 : PS_NET_CONNECT;
}

/* 0, or the errno of a failure. */
static int start_connect(struct ps_net_client *c)
{
	const struct sockaddr *sa = (const struct sockaddr *)(const void *)c->o.address.bytes;
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	int one = 1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(fd, sa, c->o.address.len) != 0 && errno != EINPROGRESS) {
		int e = errno;
		close(fd);
		return e;
	}
	c->watch = (struct ps_evloop_fd){
		.fd = fd, .events = PS_EVLOOP_WRITE, .on_ready = on_ready, .ctx = c};
	if (ps_evloop_fd_add(c->loop, &c->watch, NULL) != PS_OK) {
		close(fd);
		c->watch.fd = -1;
		return ENOMEM;
	}
	c->connect_deadline_ns = ps_evloop_now_ns(c->loop) + c->o.connect_timeout_ns;
	enter(c, CONNECTING);
	arm(c);
	return 0;
}

static void write_more(struct ps_net_client *c, bool in_send);

static void on_connected(struct ps_net_client *c)
{
	int e = 0;
	socklen_t len = sizeof e;
	if (getsockopt(c->watch.fd, SOL_SOCKET, SO_ERROR, &e, &len) != 0)
		e = errno;
	if (e != 0) {
		fail(c, connect_outcome(e), e);
		return;
	}
	enter(c, c->call ? CALLING : IDLE);
	arm(c);
	if (!c->call)
		return;
	c->call->connected_ns = ps_evloop_now_ns(c->loop);
	write_more(c, false);
}

/* --- sending --- */

static void write_more(struct ps_net_client *c, bool in_send)
{
	struct ps_net_call *call = c->call;
	int64_t before_ns = ps_evloop_now_ns(c->loop);
	int64_t n = ps_net_out_write(&c->out, c->watch.fd);
	if (n > 0 && !call->sent_ns)
		call->sent_ns = before_ns;
	if (n < 0) {
		int e = errno;
		/* The server may have answered (a refusal) before it broke the connection: what
		 * came is read first. */
		c->writing = false;
		if (e == EPIPE || e == ECONNRESET)
			return;
		if (in_send)
			fail_soon(c, PS_NET_RESET, e);
		else
			fail(c, PS_NET_RESET, e);
		return;
	}
	c->writing = c->out.left > 0;
	if (!c->writing)
		call->sent_all_ns = ps_evloop_now_ns(c->loop);
}

static enum ps_status put_head(struct ps_net_client *c, const struct ps_net_call *call)
{
	struct ps_strbuf *h = &c->out.head;
	size_t bytes = 0;
	for (size_t i = 0; i < call->n_body; i++)
		bytes += call->body[i].iov_len;
	ps_strbuf_clear(h);
	ps_strbuf_puts(h, call->method);
	ps_strbuf_putc(h, ' ');
	ps_strbuf_puts(h, call->path);
	ps_strbuf_puts(h, " HTTP/1.1\r\nHost: ");
	ps_strbuf_puts(h, c->host);
	ps_strbuf_puts(h, "\r\n");
	for (size_t i = 0; i < call->n_headers; i++) {
		ps_strbuf_puts(h, call->headers[i].name);
		ps_strbuf_puts(h, ": ");
		ps_strbuf_puts(h, call->headers[i].value);
		ps_strbuf_puts(h, "\r\n");
	}
	if (bytes > 0 || strcmp(call->method, "POST") == 0 || strcmp(call->method, "PUT") == 0)
		ps_strbuf_printf(h, "Content-Length: %zu\r\n", bytes);
	ps_strbuf_puts(h, call->close ? "Connection: close\r\n\r\n" : "\r\n");
	return ps_net_out_set(&c->out, call->body, call->n_body);
}

static bool is_plain_call(const struct ps_net_call *call)
{
	bool ok = *call->method && call->path[0] == '/' && ps_net_text_is_plain(call->method) &&
		  ps_net_text_is_plain(call->path) && !strchr(call->path, ' ') &&
		  !strchr(call->method, ' ');
	for (size_t i = 0; ok && i < call->n_headers; i++)
		ok = *call->headers[i].name && ps_net_text_is_plain(call->headers[i].name) &&
		     ps_net_text_is_plain(call->headers[i].value) &&
		     !strpbrk(call->headers[i].name, ": ");
	return ok;
}

static void reset_outputs(struct ps_net_call *call)
{
	call->outcome = PS_NET_OK;
	call->system_errno = 0;
	call->reused = false;
	call->connected_ns = call->sent_ns = call->sent_all_ns = 0;
	call->first_byte_ns = call->done_ns = 0;
	call->http = 0;
	call->answer_headers = NULL;
	call->n_answer_headers = 0;
	call->answer_body = NULL;
	call->answer_bytes = 0;
	call->answer_json_bytes = -1;
}

static void start_call(struct ps_net_client *c, struct ps_net_call *call)
{
	c->call = call;
	c->writing = true;
	c->whole_head = c->direct = false;
	c->body = (struct ps_net_body){0};
	ps_arena_reset(&c->arena);
	ps_net_http1_reset(c->parser, strcmp(call->method, "HEAD") == 0);
	if (c->state == IDLE) {
		call->reused = c->used;
		enter(c, CALLING);
		arm(c);
		write_more(c, true);
		if (c->state == CALLING && ps_evloop_fd_set(&c->watch, wanted(c), NULL) != PS_OK)
			fail_soon(c, PS_NET_CONNECT, ENOMEM);
	} else if (c->state == CLOSED) {
		int e = start_connect(c);
		if (e != 0)
			fail_soon(c, connect_outcome(e), e);
	} else {
		arm(c); /* connecting already: the call's deadline joins */
	}
}

enum ps_status ps_net_client_send(struct ps_net_client *c, struct ps_net_call *call,
				  struct ps_error *err)
{
	if (c->call)
		return ps_error_set(err, PS_EUNAVAIL, "a call is under way on this connection");
	if (!is_plain_call(call))
		return ps_error_set(err, PS_EINVAL, "a method, path or header cannot be sent");
	if (put_head(c, call) != PS_OK)
		return ps_error_set(err, PS_ENOMEM, "no memory for a request");
	reset_outputs(call);
	start_call(c, call);
	return PS_OK;
}

void ps_net_client_connect(struct ps_net_client *c)
{
	if (c->state == CLOSED && !c->call)
		(void)start_connect(c);
}

/* --- receiving --- */

static enum ps_status on_body(void *ctx, const char *at, size_t n)
{
	struct ps_net_client *c = ctx;
	return ps_net_body_append(&c->body, at, n);
}

static void on_head(struct ps_net_client *c)
{
	const struct ps_net_head *h = ps_net_http1_head(c->parser);
	struct ps_net_call *call = c->call;
	if (h->http < 200) /* 100 Continue and the like: the answer is still to come */
		return;
	c->whole_head = true;
	c->keep_alive = h->keep_alive;
	call->http = h->http;
	call->answer_headers = ps_net_copy_headers(&c->arena, h->headers, h->n_headers);
	call->n_answer_headers = call->answer_headers ? h->n_headers : 0;
	if (!call->answer_headers) {
		fail(c, PS_NET_MEMORY, 0);
		return;
	}
	if (ps_net_json_bytes(h->headers, h->n_headers, &call->answer_json_bytes) != PS_OK) {
		fail(c, PS_NET_MALFORMED, 0);
		return;
	}
	bool has_body = strcmp(call->method, "HEAD") != 0 && h->http != 204 && h->http != 304;
	int64_t length = has_body && !h->chunked ? h->content_length : -1;
	if (call->answer_json_bytes > (int64_t)c->o.max_body_bytes) {
		fail(c, PS_NET_TOO_BIG, 0);
		return;
	}
	enum ps_status s = ps_net_body_begin(&c->body, &c->arena, length, call->answer_json_bytes,
					     c->o.max_body_bytes);
	c->direct = length > DIRECT_MIN;
	if (s != PS_OK)
		fail(c, s == PS_ETOOBIG ? PS_NET_TOO_BIG : PS_NET_MEMORY, 0);
}

static void on_end(struct ps_net_client *c)
{
	struct ps_net_call *call = c->call;
	if (!c->whole_head)
		return; /* an interim answer */
	if (call->answer_json_bytes > (int64_t)c->body.bytes) {
		fail(c, PS_NET_MALFORMED, 0);
		return;
	}
	call->answer_body = c->body.data;
	call->answer_bytes = c->body.bytes;
	/* An answer that came before the whole request was sent leaves the connection unusable. */
	bool keep = c->keep_alive && !call->close && !c->writing && c->out.left == 0;
	enter(c, keep ? IDLE : CLOSED);
	c->used = keep;
	finish(c, PS_NET_OK, 0, c->read_ns);
}

static enum ps_net_outcome bad_outcome(const struct ps_net_client *c)
{
	switch (ps_net_http1_refusal(c->parser).http) {
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

static void feed(struct ps_net_client *c, const char *at, size_t n)
{
	size_t done = 0;
	while (c->call && c->state == CALLING && done < n) {
		size_t used;
		enum ps_net_event e = ps_net_http1_feed(c->parser, at + done, n - done, &used);
		done += used;
		if (e == PS_NET_EV_HEAD)
			on_head(c);
		else if (e == PS_NET_EV_BAD)
			fail(c, bad_outcome(c), 0);
		else if (e == PS_NET_EV_END && c->whole_head && done < n)
			fail(c, PS_NET_MALFORMED, 0); /* more than one answer */
		else if (e == PS_NET_EV_END)
			on_end(c);
	}
}

/* The connection has ended: that may be the end of the answer, or cut it. */
static void on_eof(struct ps_net_client *c, int e)
{
	struct ps_net_call *call = c->call;
	if (!call) {
		enter(c, CLOSED);
		return;
	}
	if (e == 0 && c->whole_head) {
		size_t used;
		if (ps_net_http1_feed(c->parser, "", 0, &used) == PS_NET_EV_END) {
			c->keep_alive = false;
			on_end(c);
			return;
		}
	}
	fail(c, call->first_byte_ns ? PS_NET_HALF : PS_NET_RESET, e);
}

static void on_readable(struct ps_net_client *c)
{
	char *at = c->in;
	size_t room = PS_NET_IN_BYTES;
	bool direct = c->call && c->direct && c->body.cap > c->body.bytes;
	if (direct) {
		at = c->body.data + c->body.bytes;
		room = c->body.cap - c->body.bytes;
	}
	ssize_t n = read(c->watch.fd, at, room);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n <= 0) {
		c->read_ns = ps_evloop_now_ns(c->loop);
		on_eof(c, n < 0 ? errno : 0);
		return;
	}
	c->read_ns = ps_evloop_now_ns(c->loop);
	if (!c->call) {
		enter(c, CLOSED); /* bytes that nobody asked for */
		return;
	}
	if (!c->call->first_byte_ns)
		c->call->first_byte_ns = c->read_ns;
	feed(c, at, (size_t)n);
}

static void on_ready(struct ps_evloop_fd *w, unsigned events)
{
	struct ps_net_client *c = w->ctx;
	hold(c);
	if (c->state == CONNECTING) {
		on_connected(c);
	} else {
		if (events & PS_EVLOOP_WRITE && c->state == CALLING && c->writing)
			write_more(c, false);
		if (events & (PS_EVLOOP_READ | PS_EVLOOP_ERROR) && c->watch.fd >= 0)
			on_readable(c);
	}
	if (c->watch.fd >= 0 && ps_evloop_fd_set(&c->watch, wanted(c), NULL) != PS_OK)
		fail(c, PS_NET_CONNECT, ENOMEM);
	release(c);
}

/* --- life --- */

enum ps_status ps_net_client_new(struct ps_evloop *loop,
				 const struct ps_net_client_options *options,
				 struct ps_net_client **ret_client, struct ps_error *err)
{
	if (!options->host || !ps_net_text_is_plain(options->host))
		return ps_error_set(err, PS_EINVAL, "a client needs the value of its Host header");
	struct ps_net_client *c = calloc(1, sizeof *c);
	if (!c)
		return ps_error_set(err, PS_ENOMEM, "no memory for a connection");
	c->loop = loop;
	c->o = *options;
	c->watch.fd = -1;
	if (!c->o.max_header_bytes)
		c->o.max_header_bytes = 64 * 1024;
	if (!c->o.max_body_bytes)
		c->o.max_body_bytes = (size_t)64 << 20;
	if (!c->o.connect_timeout_ns)
		c->o.connect_timeout_ns = 5 * PS_NS_PER_SEC;
	struct ps_net_http1_options po = {.response = true,
					  .max_url_bytes = 1,
					  .max_header_bytes = c->o.max_header_bytes,
					  .max_headers = 100,
					  .on_body = on_body,
					  .ctx = c};
	c->host = strdup(options->host);
	c->parser = ps_net_http1_new(&po);
	ps_net_out_init(&c->out);
	ps_arena_init(&c->arena, 0);
	ps_evloop_timer_init(&c->timer, on_timer, c);
	ps_evloop_timer_init(&c->failed_soon, on_failed_soon, c);
	if (!c->host || !c->parser) {
		ps_net_client_free(c);
		return ps_error_set(err, PS_ENOMEM, "no memory for a connection");
	}
	*ret_client = c;
	return PS_OK;
}

void ps_net_client_cancel(struct ps_net_client *c)
{
	hold(c);
	fail(c, PS_NET_CANCELLED, 0);
	release(c);
}

bool ps_net_client_is_busy(const struct ps_net_client *c)
{
	return c->call != NULL;
}

bool ps_net_client_is_connected(const struct ps_net_client *c)
{
	return c->state == IDLE || c->state == CALLING;
}

void ps_net_client_free(struct ps_net_client *c)
{
	if (!c)
		return;
	hold(c);
	c->freed = true;
	fail(c, PS_NET_CANCELLED, 0);
	release(c);
}
