/* Carries a session of HTTP/2: bytes from the socket in, its output out. */
#include "net/server_internal.h"

enum { MAX_PIECES = 64, READ_BYTES = 64 * 1024, READS_PER_ROUND = 4 };

/* Answers that come from outside the connection's own events are gathered to the end of the loop's
 * round and written together. */
static void wake(void *ctx)
{
	struct ps_net_conn *c = ctx;
	if (c->state == PS_NET_CONN_H2)
		ps_evloop_later_add(c->server->loop, &c->later);
}

static int64_t now_ns(void *ctx)
{
	const struct ps_net_conn *c = ctx;
	return ps_evloop_now_ns(c->server->loop);
}

/* The session must not be closed while it is at work: a handler that closes the server from inside
 * finds it closed when it is out. */
static void out_of_h2(struct ps_net_conn *c)
{
	c->in_h2 = false;
	if (c->state == PS_NET_CONN_CLOSED)
		ps_net_conn_h2_close(c);
}

static void feed(struct ps_net_conn *c, const void *bytes, size_t n)
{
	c->in_h2 = true;
	ps_net_h2_feed(c->h2, bytes, n, c->read_ns);
	out_of_h2(c);
}

void ps_net_conn_h2_tick(struct ps_net_conn *c, int64_t at_ns)
{
	c->in_h2 = true;
	ps_net_h2_tick(c->h2, at_ns);
	out_of_h2(c);
	ps_net_conn_h2_flush(c);
}

void ps_net_conn_h2_drain(struct ps_net_conn *c)
{
	ps_net_conn_hold(c);
	ps_net_h2_drain(c->h2);
	if (!c->in_h2)
		ps_net_conn_h2_flush(c);
	ps_net_conn_release(c);
}

void ps_net_conn_begin_h2(struct ps_net_conn *c, const void *bytes, size_t n)
{
	struct ps_net_server *s = c->server;
	struct ps_net_h2_carrier carrier = {
		.wake = wake,
		.now_ns = now_ns,
		.ctx = c,
		.peer = c->peer,
		.address = c->address,
		.secure = s->o.tls != NULL,
		.identity = c->identity,
	};
	if (n == 0)
		c->read_ns = ps_evloop_now_ns(s->loop);
	if (ps_net_h2_new(&s->h2, &carrier, c->read_ns, &c->h2) != PS_OK) {
		ps_net_conn_close(c);
		return;
	}
	s->stats.http2++;
	ps_net_conn_enter(c, PS_NET_CONN_H2, c->read_ns);
	if (n > 0)
		feed(c, bytes, n);
	if (s->draining && c->state == PS_NET_CONN_H2)
		ps_net_h2_drain(c->h2);
	ps_net_conn_h2_flush(c);
}

void ps_net_conn_h2_readable(struct ps_net_conn *c)
{
	char buf[READ_BYTES];
	/* Bounded: other connections wait for their turn. */
	for (int i = 0;
	     i < READS_PER_ROUND && c->state == PS_NET_CONN_H2 && ps_net_h2_wants_read(c->h2);
	     i++) {
		int64_t n = ps_net_conn_read(c, buf, sizeof buf);
		if (n == PS_NET_IO_AGAIN)
			return;
		if (n == PS_NET_IO_BROKEN) {
			ps_net_conn_close(c);
			return;
		}
		c->read_ns = ps_evloop_now_ns(c->server->loop);
		if (n == PS_NET_IO_END) {
			c->eof = c->in_h2 = true;
			ps_net_h2_eof(c->h2, c->read_ns);
			out_of_h2(c);
			return;
		}
		feed(c, buf, (size_t)n);
		if ((size_t)n < sizeof buf && !ps_net_transport_pending(&c->transport))
			return;
	}
}

/* False: nothing more to write now. */
static bool write_some(struct ps_net_conn *c)
{
	struct iovec pieces[MAX_PIECES];
	c->in_h2 = true;
	size_t k = ps_net_h2_output(c->h2, pieces, MAX_PIECES);
	out_of_h2(c);
	if (c->state != PS_NET_CONN_H2)
		return false;
	int64_t n = k > 0 ? ps_net_conn_writev(c, pieces, k) : 0;
	if (n < 0) {
		ps_net_conn_close(c);
		return false;
	}
	if (n == 0)
		return false;
	c->in_h2 = true;
	ps_net_h2_wrote(c->h2, (size_t)n, ps_evloop_now_ns(c->server->loop));
	out_of_h2(c);
	return c->state == PS_NET_CONN_H2;
}

void ps_net_conn_h2_flush(struct ps_net_conn *c)
{
	while (c->state == PS_NET_CONN_H2 && write_some(c))
		;
	if (c->state == PS_NET_CONN_H2 && ps_net_h2_is_over(c->h2))
		ps_net_conn_close(c);
}

void ps_net_conn_h2_close(struct ps_net_conn *c)
{
	struct ps_net_h2 *h2 = c->h2;
	if (c->in_h2 || !h2)
		return;
	c->h2 = NULL;
	ps_net_h2_close(h2);
}
