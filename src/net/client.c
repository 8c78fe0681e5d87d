/* What connections of all protocols have in common. One function (enter) changes the state; ends of
 * calls are told from the loop, never from inside ps_net_client_send; only cancel and free tell at
 * once.
 *
 * The timer is lazy: it is set no later than the first deadline, and left where it is when the call
 * that it was for has ended. A connection that carries call after call with the same time-out then
 * touches the loop's heap once per time-out instead of twice per call. */
#include "net/client_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { H2_IN_BYTES = 64 * 1024, MAX_CALLS = 4096, DEFAULT_CALLS = 100, MAX_NAME = 255 };

static void on_ready(struct ps_evloop_fd *w, unsigned events);

/* --- state --- */

static void hold(struct ps_net_client *c)
{
	c->depth++;
}

static void destroy(struct ps_net_client *c)
{
	ps_evloop_timer_cancel(&c->timer);
	ps_evloop_later_cancel(&c->later);
	c->speech->fini(c);
	ps_net_wire_fini(&c->wire);
	ps_net_client_tls_free(c->o.tls);
	free(c->host);
	free(c->server_name);
	free(c->in);
	free(c);
}

static void release(struct ps_net_client *c)
{
	if (--c->depth == 0 && c->freed)
		destroy(c);
}

static void enter(struct ps_net_client *c, enum ps_net_client_state state)
{
	c->state = state;
	if (state != PS_NET_CLOSED)
		return;
	ps_evloop_timer_cancel(&c->timer);
	ps_evloop_fd_remove(&c->watch);
	ps_net_wire_close(&c->wire);
	c->used = false;
}

void ps_net_client_close_connection(struct ps_net_client *c)
{
	enter(c, PS_NET_CLOSED);
}

void ps_net_client_fail(struct ps_net_client *c, enum ps_net_outcome outcome, int e)
{
	int64_t now_ns = ps_evloop_now_ns(c->loop);
	c->failing = false;
	enter(c, PS_NET_CLOSED);
	c->speech->end_all(c, outcome, e, now_ns);
}

void ps_net_client_fail_soon(struct ps_net_client *c, enum ps_net_outcome outcome, int e)
{
	c->failing = true;
	c->failure = outcome;
	c->failure_errno = e;
	c->failed_ns = ps_evloop_now_ns(c->loop);
	enter(c, PS_NET_CLOSED);
	ps_evloop_later_add(c->loop, &c->later);
}

static void on_later(struct ps_evloop_later *l)
{
	struct ps_net_client *c = l->ctx;
	hold(c);
	if (c->failing) {
		c->failing = false;
		c->speech->end_all(c, c->failure, c->failure_errno, c->failed_ns);
	} else {
		c->speech->later(c);
		ps_net_client_watch(c);
	}
	release(c);
}

void ps_net_client_watch(struct ps_net_client *c)
{
	if (c->state == PS_NET_CLOSED)
		return;
	bool write = c->state == PS_NET_CONNECTING || ps_net_wire_is_stuck(&c->wire) ||
		     (c->state == PS_NET_OPEN && c->speech->wants_write(c));
	unsigned events = (c->state == PS_NET_CONNECTING ? 0 : PS_EVLOOP_READ) |
			  (write ? PS_EVLOOP_WRITE : 0);
	if (ps_evloop_fd_set(&c->watch, events, NULL) != PS_OK)
		ps_net_client_fail_soon(c, PS_NET_CONNECT, ENOMEM);
}

/* --- time --- */

void ps_net_client_arm(struct ps_net_client *c, int64_t at_ns)
{
	bool in_time = ps_evloop_timer_is_set(&c->timer) && c->timer_ns <= at_ns;
	if (at_ns == 0 || at_ns == INT64_MAX || in_time)
		return;
	c->timer_ns = at_ns;
	/* Without memory for a timer the call must not wait for ever. */
	if (ps_evloop_timer_set(c->loop, &c->timer, at_ns) != PS_OK)
		ps_net_client_fail_soon(c, PS_NET_MEMORY, ENOMEM);
}

enum ps_net_outcome ps_net_client_late(const struct ps_net_client *c)
{
	return c->state == PS_NET_OPEN ? PS_NET_TIMEOUT : PS_NET_CONNECT_TIMEOUT;
}

static bool is_connecting(const struct ps_net_client *c)
{
	return c->state == PS_NET_CONNECTING || c->state == PS_NET_HANDSHAKE;
}

static void on_timer(struct ps_evloop_timer *t, int64_t now_ns)
{
	struct ps_net_client *c = t->ctx;
	hold(c);
	if (is_connecting(c) && now_ns >= c->connect_deadline_ns)
		ps_net_client_fail(c, PS_NET_CONNECT_TIMEOUT, 0);
	ps_net_client_arm(c, c->speech->expire(c, now_ns));
	if (is_connecting(c))
		ps_net_client_arm(c, c->connect_deadline_ns);
	ps_net_client_watch(c);
	release(c);
}

/* --- connecting --- */

static enum ps_net_outcome connect_outcome(int e)
{
	return e == ECONNREFUSED || e == ENOENT ? PS_NET_REFUSED
	       : e == ETIMEDOUT			? PS_NET_CONNECT_TIMEOUT
						: PS_NET_CONNECT;
}

/* A descriptor that is about to be connected; -1 with errno. */
static int dial(struct ps_net_client *c)
{
	const struct sockaddr *sa = (const struct sockaddr *)(const void *)c->o.address.bytes;
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	int one = 1;
	if (sa->sa_family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(fd, sa, c->o.address.len) == 0 || errno == EINPROGRESS)
		return fd;
	int e = errno;
	close(fd);
	errno = e;
	return -1;
}

/* 0, or the errno of a failure. */
static int start_connect(struct ps_net_client *c)
{
	int fd = dial(c);
	if (fd < 0)
		return errno;
	c->watch = (struct ps_evloop_fd){
		.fd = fd, .events = PS_EVLOOP_WRITE, .on_ready = on_ready, .ctx = c};
	if (ps_evloop_fd_add(c->loop, &c->watch, NULL) != PS_OK) {
		close(fd);
		return ENOMEM;
	}
	if (ps_net_wire_open(&c->wire, fd, &c->o, c->server_name) != PS_OK) {
		ps_evloop_fd_remove(&c->watch);
		close(fd);
		return ENOMEM;
	}
	c->why[0] = '\0';
	c->connect_deadline_ns = ps_evloop_now_ns(c->loop) + c->o.connect_timeout_ns;
	enter(c, PS_NET_CONNECTING);
	ps_net_client_arm(c, c->connect_deadline_ns);
	return 0;
}

static void say_why(struct ps_net_client *c, const char *text)
{
	strncpy(c->why, text, sizeof c->why - 1);
}

static void read_rest(struct ps_net_client *c);

static void opened(struct ps_net_client *c)
{
	c->stats.handshakes += c->o.tls != NULL;
	if (c->o.tls && c->o.protocol == PS_NET_HTTP2 && !ps_net_wire_chose_h2(&c->wire)) {
		say_why(c, "the server did not choose HTTP/2 (ALPN h2)");
		ps_net_client_fail(c, PS_NET_PROTOCOL, 0);
		return;
	}
	enter(c, PS_NET_OPEN);
	c->speech->opened(c, ps_evloop_now_ns(c->loop));
	if (c->state == PS_NET_OPEN)
		read_rest(c); /* what came with the end of the handshake */
}

static void shake_hands(struct ps_net_client *c)
{
	int r = ps_net_wire_handshake(&c->wire);
	if (r == 0) {
		opened(c);
	} else if (r == PS_NET_IO_BROKEN) {
		ps_net_wire_why(&c->wire, c->why, sizeof c->why);
		ps_net_client_fail(c, PS_NET_TLS, c->wire.error);
	}
}

static void on_connected(struct ps_net_client *c)
{
	int e = 0;
	socklen_t len = sizeof e;
	if (getsockopt(c->watch.fd, SOL_SOCKET, SO_ERROR, &e, &len) != 0)
		e = errno;
	if (e != 0) {
		ps_net_client_fail(c, connect_outcome(e), e);
		return;
	}
	c->stats.connects++;
	enter(c, PS_NET_HANDSHAKE);
	shake_hands(c);
}

/* --- reading --- */

/* What reading said besides bytes. */
static void on_no_bytes(struct ps_net_client *c, int64_t n)
{
	if (n == PS_NET_IO_END) {
		c->speech->eof(c, 0);
	} else if (n == PS_NET_IO_BROKEN && c->wire.error == 0) {
		/* TLS 1.3 tells of a client's certificate only when the client has begun to speak.
		 */
		bool refused = ps_net_wire_is_refusal();
		ps_net_wire_why(&c->wire, c->why, sizeof c->why);
		ps_net_client_fail(c, refused ? PS_NET_TLS : PS_NET_MALFORMED, 0);
	} else if (n == PS_NET_IO_BROKEN) {
		c->speech->eof(c, c->wire.error);
	}
}

static void read_rest(struct ps_net_client *c)
{
	while (c->wire.ssl && c->state == PS_NET_OPEN) {
		int64_t n = ps_net_wire_rest(&c->wire, c->in, c->in_bytes);
		if (n <= 0) {
			on_no_bytes(c, n);
			return;
		}
		c->speech->feed(c, c->in, (size_t)n);
	}
}

static void on_readable(struct ps_net_client *c)
{
	size_t room = c->in_bytes;
	char *at = c->speech->where(c, &room);
	if (!at)
		at = c->in;
	int64_t n = ps_net_wire_read(&c->wire, at, room);
	if (n <= 0) {
		on_no_bytes(c, n);
		return;
	}
	c->speech->feed(c, at, (size_t)n);
	if (c->wire.ssl)
		read_rest(c);
}

static void on_ready(struct ps_evloop_fd *w, unsigned events)
{
	struct ps_net_client *c = w->ctx;
	hold(c);
	if (c->state == PS_NET_CONNECTING) {
		on_connected(c);
	} else if (c->state == PS_NET_HANDSHAKE) {
		shake_hands(c);
	} else {
		if (events & PS_EVLOOP_WRITE)
			c->speech->write(c);
		if (events & (PS_EVLOOP_READ | PS_EVLOOP_ERROR) && c->state == PS_NET_OPEN)
			on_readable(c);
	}
	ps_net_client_watch(c);
	release(c);
}

/* --- calls --- */

void ps_net_call_reset(struct ps_net_call *call)
{
	call->outcome = PS_NET_OK;
	call->system_errno = 0;
	call->h2_code = 0;
	call->reused = false;
	call->connected_ns = call->sent_ns = call->sent_all_ns = 0;
	call->first_byte_ns = call->done_ns = 0;
	call->first_byte_kernel_ns = call->done_kernel_ns = -1;
	call->http = 0;
	call->grpc_status = -1;
	call->grpc_message = "";
	call->answer_headers = call->answer_trailers = NULL;
	call->n_answer_headers = call->n_answer_trailers = 0;
	call->answer_body = NULL;
	call->answer_bytes = 0;
	call->answer_json_bytes = -1;
}

int64_t ps_net_client_kernel_ns(const struct ps_net_client *c, int64_t after_ns)
{
	return c->wire.kernel_ns >= after_ns ? c->wire.kernel_ns : -1;
}

void ps_net_call_came(struct ps_net_client *c, struct ps_net_call *call)
{
	if (call->first_byte_ns)
		return;
	call->first_byte_ns = c->wire.read_ns;
	call->first_byte_kernel_ns = ps_net_client_kernel_ns(c, call->sent_ns);
}

void ps_net_call_end_with(struct ps_net_call *call, enum ps_net_outcome outcome, int e,
			  int64_t now_ns)
{
	call->outcome = outcome;
	call->system_errno = e;
	call->done_ns = now_ns;
	call->stream = NULL;
	call->on_done(call);
}

enum ps_status ps_net_client_send(struct ps_net_client *c, struct ps_net_call *call,
				  struct ps_error *err)
{
	if (ps_net_client_room(c) == 0)
		return ps_error_set(err, PS_EUNAVAIL,
				    "as many calls are under way on this connection as it takes");
	enum ps_status s = c->speech->begin(c, call, err);
	if (s != PS_OK)
		return s;
	if (c->state == PS_NET_CLOSED) {
		int e = start_connect(c);
		if (e != 0)
			ps_net_client_fail_soon(c, connect_outcome(e), e);
	} else if (c->state == PS_NET_OPEN) {
		call->reused = c->used;
		c->used = true;
		c->speech->start(c);
	}
	if (c->state != PS_NET_CLOSED)
		ps_net_client_arm(c, call->deadline_ns);
	return PS_OK;
}

void ps_net_client_connect(struct ps_net_client *c)
{
	if (c->state == PS_NET_CLOSED && !c->failing)
		(void)start_connect(c);
}

void ps_net_client_cancel(struct ps_net_client *c)
{
	hold(c);
	ps_net_client_fail(c, PS_NET_CANCELLED, 0);
	release(c);
}

void ps_net_call_cancel(struct ps_net_call *call)
{
	if (!call->stream)
		return;
	struct ps_net_client *c = call->stream->client;
	hold(c);
	c->speech->cancel(c, call);
	ps_net_client_watch(c);
	release(c);
}

/* --- what is the matter --- */

int ps_net_client_room(const struct ps_net_client *c)
{
	return c->failing ? 0 : c->speech->room(c);
}

int ps_net_client_calls(const struct ps_net_client *c)
{
	return c->speech->calls(c);
}

bool ps_net_client_is_connected(const struct ps_net_client *c)
{
	return c->state == PS_NET_OPEN;
}

const char *ps_net_client_why(const struct ps_net_client *c)
{
	return c->why;
}

void ps_net_client_get_stats(const struct ps_net_client *c, struct ps_net_client_stats *ret_stats)
{
	*ret_stats = c->stats;
}

/* --- life --- */

static enum ps_status check_options(const struct ps_net_client_options *o, struct ps_error *err)
{
	if (!o->host || !ps_net_text_is_plain(o->host))
		return ps_error_set(err, PS_EINVAL, "a client needs the value of its Host header");
	if (o->max_calls < 0 || o->max_calls > MAX_CALLS)
		return ps_error_set(err, PS_EINVAL, "a connection has 1 to %d calls at once",
				    MAX_CALLS);
	if (o->server_name && (!*o->server_name || strlen(o->server_name) > MAX_NAME))
		return ps_error_set(err, PS_EINVAL, "a server's name has 1 to %d bytes", MAX_NAME);
	return PS_OK;
}

static void set_defaults(struct ps_net_client_options *o)
{
	if (!o->max_header_bytes)
		o->max_header_bytes = 64 * 1024;
	if (!o->max_body_bytes)
		o->max_body_bytes = (size_t)64 << 20;
	if (!o->connect_timeout_ns)
		o->connect_timeout_ns = 5 * PS_NS_PER_SEC;
	if (!o->max_calls || o->protocol == PS_NET_HTTP1)
		o->max_calls = o->protocol == PS_NET_HTTP1 ? 1 : DEFAULT_CALLS;
}

/* "h:80" and "[::1]:80" without the port and the brackets. */
static char *name_of_host(const char *host)
{
	if (*host == '[')
		return strndup(host + 1, strcspn(host + 1, "]"));
	return strndup(host, strcspn(host, ":"));
}

static bool copy_options(struct ps_net_client *c, const struct ps_net_client_options *o)
{
	c->o = *o;
	set_defaults(&c->o);
	c->o.tls = o->tls ? ps_net_client_tls_ref(o->tls) : NULL;
	c->host = strdup(o->host);
	c->server_name = o->server_name ? strdup(o->server_name) : name_of_host(o->host);
	c->in_bytes = o->protocol == PS_NET_HTTP2 ? H2_IN_BYTES : PS_NET_IN_BYTES;
	c->in = malloc(c->in_bytes);
	c->maker = (struct ps_net_maker){o->protocol, c->host, o->tls != NULL};
	return c->host && c->server_name && c->in && (!o->tls || c->o.tls);
}

enum ps_status ps_net_client_new(struct ps_evloop *loop,
				 const struct ps_net_client_options *options,
				 struct ps_net_client **ret_client, struct ps_error *err)
{
	enum ps_status s = check_options(options, err);
	if (s != PS_OK)
		return s;
	struct ps_net_client *c = calloc(1, sizeof *c);
	if (!c)
		return ps_error_set(err, PS_ENOMEM, "no memory for a connection");
	c->loop = loop;
	c->speech = options->protocol == PS_NET_HTTP2 ? &ps_net_speech_h2 : &ps_net_speech_h1;
	c->wire = (struct ps_net_wire){.loop = loop, .stats = &c->stats, .fd = -1};
	c->later = (struct ps_evloop_later){.run = on_later, .ctx = c};
	ps_evloop_timer_init(&c->timer, on_timer, c);
	bool copied = copy_options(c, options);
	if (c->speech->init(c) != PS_OK || !copied) {
		destroy(c);
		return ps_error_set(err, PS_ENOMEM, "no memory for a connection");
	}
	*ret_client = c;
	return PS_OK;
}

void ps_net_client_free(struct ps_net_client *c)
{
	if (!c)
		return;
	hold(c);
	c->freed = true;
	ps_net_client_fail(c, PS_NET_CANCELLED, 0);
	release(c);
}
