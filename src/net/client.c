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

static void on_ready(struct ps_evloop_fd *w, unsigned events);
static void read_rest(struct ps_net_client *c);

/* --- state --- */

static void enter(struct ps_net_client *c, enum ps_net_client_state state)
{
	c->state = state;
	if (state != PS_NET_CLOSED)
		return;
	ps_evloop_timer_cancel(&c->timer);
	ps_evloop_fd_remove(&c->watch);
	ps_net_wire_close(&c->wire);
	c->used = false;
	if (c->is_elder)
		ps_evloop_later_add(c->loop, &c->later); /* to go */
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
	ps_net_client_hold(c);
	if (c->failing) {
		c->failing = false;
		c->speech->end_all(c, c->failure, c->failure_errno, c->failed_ns);
	} else {
		c->speech->later(c);
		if (c->unread)
			read_rest(c);
		ps_net_client_watch(c);
	}
	if (c->is_elder && c->state == PS_NET_CLOSED)
		c->freed = true;
	ps_net_client_release(c);
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
	ps_net_client_hold(c);
	if (is_connecting(c) && now_ns >= c->connect_deadline_ns)
		ps_net_client_fail(c, PS_NET_CONNECT_TIMEOUT, 0);
	ps_net_client_arm(c, c->speech->expire(c, now_ns));
	if (is_connecting(c))
		ps_net_client_arm(c, c->connect_deadline_ns);
	ps_net_client_watch(c);
	ps_net_client_release(c);
}

/* --- connecting --- */

enum ps_net_outcome ps_net_client_dial_outcome(int e)
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

int ps_net_client_dial(struct ps_net_client *c)
{
	int fd = dial(c);
	if (fd < 0)
		return errno;
	if (ps_net_client_watch_socket(c, fd, PS_EVLOOP_WRITE) != PS_OK) {
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
		ps_net_client_fail(c, ps_net_client_dial_outcome(e), e);
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
	c->unread = false;
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
	ps_net_client_hold(c);
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
	ps_net_client_release(c);
}

/* --- for the other files --- */

enum ps_status ps_net_client_watch_socket(struct ps_net_client *c, int fd, unsigned events)
{
	c->watch =
		(struct ps_evloop_fd){.fd = fd, .events = events, .on_ready = on_ready, .ctx = c};
	return ps_evloop_fd_add(c->loop, &c->watch, NULL);
}

void ps_net_client_await(struct ps_net_client *c)
{
	c->later = (struct ps_evloop_later){.run = on_later, .ctx = c};
	ps_evloop_timer_init(&c->timer, on_timer, c);
}
