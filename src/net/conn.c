/* A connection of the server: states, deadlines, what it waits for. The diagram is in
 * server_internal.h; what the bytes mean is h1.c's and conn_h2.c's. */
#include "net/server_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READS_PER_ROUND = 8 };
static const int64_t LINGER_NS = 2 * PS_NS_PER_SEC;
/* While draining: a client that has a connection open may be sending its next request just now. It
 * is answered, with Connection: close. */
static const int64_t DRAIN_IDLE_NS = 500 * PS_NS_PER_MS;

/* --- deadlines --- */

/* Most deadlines only move back, again and again: the timer is set anew when it fires too early,
 * not at each step. */
static void arm(struct ps_net_conn *c)
{
	if (c->state == PS_NET_CONN_H2)
		c->deadline_ns = ps_net_h2_deadline_ns(c->h2);
	if (c->deadline_ns == INT64_MAX)
		return;
	if (ps_evloop_timer_is_set(&c->timer) && c->timer.node.key <= c->deadline_ns)
		return;
	(void)ps_evloop_timer_set(c->server->loop, &c->timer, c->deadline_ns);
}

static int64_t allowed_ns(const struct ps_net_server *s, enum ps_net_conn_state state)
{
	const struct ps_net_server_options *o = &s->o;
	switch (state) {
	case PS_NET_CONN_SHAKE:
		return o->handshake_timeout_ns;
	case PS_NET_CONN_IDLE:
		return s->draining && o->idle_timeout_ns > DRAIN_IDLE_NS ? DRAIN_IDLE_NS
									 : o->idle_timeout_ns;
	case PS_NET_CONN_HEAD:
		return o->head_timeout_ns;
	case PS_NET_CONN_BODY:
		return o->body_timeout_ns;
	case PS_NET_CONN_WRITE:
		return o->write_timeout_ns;
	case PS_NET_CONN_LINGER:
		return LINGER_NS;
	case PS_NET_CONN_HANDLER:
	case PS_NET_CONN_H2: /* asks the session */
	case PS_NET_CONN_CLOSED:
		break;
	}
	return INT64_MAX;
}

void ps_net_conn_enter(struct ps_net_conn *c, enum ps_net_conn_state state, int64_t now_ns)
{
	int64_t ns = allowed_ns(c->server, state);
	c->state = state;
	c->deadline_ns = ns == INT64_MAX ? INT64_MAX : now_ns + ns;
	if (state == PS_NET_CONN_BODY || state == PS_NET_CONN_WRITE)
		c->h1->began_ns = c->h1->progress_ns = now_ns;
}

static void on_overdue(struct ps_net_conn *c, int64_t now_ns)
{
	switch (c->state) {
	case PS_NET_CONN_HEAD:
		ps_net_h1_refuse_text(c, 408, "the header took too long");
		break;
	case PS_NET_CONN_BODY:
		ps_net_h1_refuse_text(c, 408, "the body took too long");
		break;
	case PS_NET_CONN_H2:
		ps_net_conn_h2_tick(c, now_ns);
		break;
	default:
		ps_net_conn_close(c);
	}
}

static void on_timer(struct ps_evloop_timer *t, int64_t now_ns)
{
	struct ps_net_conn *c = t->ctx;
	if (c->state == PS_NET_CONN_BODY || c->state == PS_NET_CONN_WRITE)
		c->deadline_ns = ps_net_h1_slow_ns(c);
	if (c->state == PS_NET_CONN_H2)
		c->deadline_ns = ps_net_h2_deadline_ns(c->h2);
	ps_net_conn_hold(c);
	if (now_ns >= c->deadline_ns)
		on_overdue(c, now_ns);
	ps_net_conn_release(c);
}

/* --- what to watch for --- */

static bool wants_read(const struct ps_net_conn *c)
{
	switch (c->state) {
	case PS_NET_CONN_WRITE:
	case PS_NET_CONN_SHAKE:
	case PS_NET_CONN_CLOSED:
		return false;
	case PS_NET_CONN_H2:
		return !c->eof && ps_net_h2_wants_read(c->h2);
	default:
		return !c->eof && ps_net_h1_wants_read(c);
	}
}

static bool wants_write(const struct ps_net_conn *c)
{
	return c->state == PS_NET_CONN_WRITE ||
	       (c->state == PS_NET_CONN_H2 && ps_net_h2_wants_write(c->h2));
}

static void watch(struct ps_net_conn *c)
{
	unsigned want = (wants_read(c) ? c->read_wants : 0) | (wants_write(c) ? c->write_wants : 0);
	if (c->state == PS_NET_CONN_SHAKE)
		want = c->transport.want;
	arm(c);
	if (ps_evloop_fd_set(&c->watch, want, NULL) != PS_OK)
		ps_net_conn_close(c);
}

static void readable(struct ps_net_conn *c)
{
	if (c->state == PS_NET_CONN_H2)
		ps_net_conn_h2_readable(c);
	else
		ps_net_h1_readable(c);
}

/* --- life --- */

void ps_net_conn_hold(struct ps_net_conn *c)
{
	c->depth++;
}

static void free_conn(struct ps_net_conn *c)
{
	if (c->identity_arena) {
		ps_arena_fini(c->identity_arena);
		free(c->identity_arena);
	}
	if (c->h1)
		ps_net_h1_give(c);
	ps_net_server_forget(c->server, c);
}

/* Bytes that TLS holds make no descriptor ready: they are read before anybody waits, but a client
 * that sends on and on lets the others have their turn. */
static void read_pending(struct ps_net_conn *c)
{
	for (int i = 0; ps_net_transport_pending(&c->transport) && wants_read(c); i++) {
		if (i == READS_PER_ROUND) {
			ps_evloop_later_add(c->server->loop, &c->later);
			return;
		}
		readable(c);
	}
}

static void on_later(struct ps_evloop_later *l)
{
	struct ps_net_conn *c = l->ctx;
	ps_net_conn_hold(c);
	if (c->state == PS_NET_CONN_H2)
		ps_net_conn_h2_flush(c);
	ps_net_conn_release(c);
}

void ps_net_conn_release(struct ps_net_conn *c)
{
	if (c->depth > 1) {
		c->depth--;
		return;
	}
	read_pending(c);
	if (c->state == PS_NET_CONN_IDLE && c->h1 && c->h1->in_at == c->h1->in_len)
		ps_net_h1_give(c);
	if (c->state != PS_NET_CONN_CLOSED)
		watch(c);
	c->depth--;
	if (c->state == PS_NET_CONN_CLOSED && !c->in_h2 && !(c->h1 && c->h1->x.owed))
		free_conn(c);
}

void ps_net_conn_close(struct ps_net_conn *c)
{
	if (c->state == PS_NET_CONN_CLOSED)
		return;
	ps_net_conn_hold(c);
	bool writing = c->state == PS_NET_CONN_WRITE;
	int64_t now_ns = ps_evloop_now_ns(c->server->loop);
	ps_net_conn_enter(c, PS_NET_CONN_CLOSED, now_ns);
	ps_evloop_timer_cancel(&c->timer);
	ps_evloop_later_cancel(&c->later);
	ps_evloop_fd_remove(&c->watch);
	ps_net_transport_close(&c->transport);
	ps_net_server_conn_closed(c->server);
	if (c->server->peers)
		ps_net_peers_leave(c->server->peers, c->address);
	ps_net_conn_h2_close(c);
	if (c->h1 && writing)
		ps_net_exchange_done(&c->h1->x, PS_ECANCELLED, now_ns);
	else if (c->h1)
		ps_net_exchange_gone(&c->h1->x);
	ps_net_conn_release(c);
}

void ps_net_conn_drain(struct ps_net_conn *c)
{
	ps_net_conn_hold(c);
	if (c->state == PS_NET_CONN_H2)
		ps_net_conn_h2_drain(c);
	else if (c->state == PS_NET_CONN_IDLE)
		ps_net_conn_enter(c, PS_NET_CONN_IDLE, ps_evloop_now_ns(c->server->loop));
	else if (c->state == PS_NET_CONN_SHAKE)
		ps_net_conn_close(c);
	else
		c->close_after = true;
	ps_net_conn_release(c);
}

/* --- bytes --- */

int64_t ps_net_conn_read(struct ps_net_conn *c, void *buf, size_t n)
{
	int64_t got = ps_net_transport_read(&c->transport, buf, n);
	c->read_wants = got == PS_NET_IO_AGAIN ? c->transport.want : PS_EVLOOP_READ;
	return got;
}

int64_t ps_net_conn_writev(struct ps_net_conn *c, const struct iovec *pieces, size_t n)
{
	int64_t put = ps_net_transport_writev(&c->transport, pieces, n);
	c->write_wants = put == PS_NET_IO_AGAIN ? c->transport.want : PS_EVLOOP_WRITE;
	return put == PS_NET_IO_AGAIN ? 0 : put < 0 ? -1 : put;
}

/* --- handshake --- */

static bool learn_identity(struct ps_net_conn *c)
{
	struct ps_arena arena;
	bool failed;
	ps_arena_init(&arena, 0);
	c->identity = ps_net_transport_identity(&c->transport, &arena, &failed);
	if (c->identity) {
		c->identity_arena = malloc(sizeof *c->identity_arena);
		failed = !c->identity_arena;
	}
	if (c->identity_arena) {
		*c->identity_arena = arena;
	} else {
		c->identity = NULL;
		ps_arena_fini(&arena);
	}
	return !failed;
}

static void shake(struct ps_net_conn *c)
{
	struct ps_net_server *s = c->server;
	int r = ps_net_transport_handshake(&c->transport);
	if (r == PS_NET_IO_AGAIN)
		return;
	bool done = r == 0 && learn_identity(c);
	s->stats.handshakes += done;
	s->stats.handshakes_failed += !done;
	if (!done) {
		ps_net_conn_close(c);
		return;
	}
	if (ps_net_transport_is_h2(&c->transport) && s->o.kind != PS_NET_KIND_HTTP1) {
		ps_net_conn_begin_h2(c, NULL, 0);
		return;
	}
	/* Without ALPN the first bytes tell, as in the clear; with it they must be HTTP/1.1. */
	c->used = ps_net_transport_chose(&c->transport);
	ps_net_conn_enter(c, PS_NET_CONN_IDLE, ps_evloop_now_ns(s->loop));
	/* The first request may have come in one packet with the end of the handshake. */
	readable(c);
}

/* --- events --- */

static void on_ready(struct ps_evloop_fd *w, unsigned events)
{
	struct ps_net_conn *c = w->ctx;
	ps_net_conn_hold(c);
	if (c->state == PS_NET_CONN_SHAKE) {
		shake(c);
	} else if (events & PS_EVLOOP_ERROR && !(events & PS_EVLOOP_READ)) {
		ps_net_conn_close(c);
	} else {
		if (events & c->write_wants && c->state == PS_NET_CONN_WRITE)
			ps_net_h1_write(c);
		if (events & c->read_wants && wants_read(c))
			readable(c);
		if (c->state == PS_NET_CONN_H2)
			ps_net_conn_h2_flush(c);
	}
	ps_net_conn_release(c);
}

/* --- opening --- */

/* "127.0.0.1:80" and "127.0.0.1"; a Unix socket's client has no name. */
static size_t peer_texts(const struct ps_net_address *peer, char text[2 * PS_NET_ADDRESS_TEXT_SIZE])
{
	ps_net_address_text(peer, text);
	if (strncmp(text, "unix", 4) == 0)
		text[4] = '\0';
	size_t n = strlen(text) + 1;
	const char *from = text;
	size_t len = strlen(text);
	if (text[0] == '[') {
		from = text + 1;
		len = strcspn(from, "]");
	} else if (strrchr(text, ':')) {
		len = (size_t)(strrchr(text, ':') - text);
	}
	memcpy(text + n, from, len);
	text[n + len] = '\0';
	return n + len + 1;
}

static struct ps_net_conn *new_conn(struct ps_net_server *s, const struct ps_net_address *peer)
{
	char text[2 * PS_NET_ADDRESS_TEXT_SIZE];
	size_t n = peer_texts(peer, text);
	struct ps_net_conn *c = calloc(1, sizeof *c + n);
	if (!c)
		return NULL;
	memcpy(c->peer, text, n);
	c->address = c->peer + strlen(c->peer) + 1;
	c->server = s;
	c->transport.fd = -1;
	c->later.run = on_later;
	c->later.ctx = c;
	ps_evloop_timer_init(&c->timer, on_timer, c);
	c->read_wants = PS_EVLOOP_READ;
	c->write_wants = PS_EVLOOP_WRITE;
	return c;
}

static void join(struct ps_net_server *s, struct ps_net_conn *c)
{
	c->next = s->conns;
	if (s->conns)
		s->conns->prev = c;
	s->conns = c;
	s->n_memory++;
	s->stats.accepted++;
	s->stats.open++;
}

void ps_net_conn_open(struct ps_net_server *s, int fd, const struct ps_net_address *peer)
{
	struct ps_net_conn *c = new_conn(s, peer);
	bool counted = c && s->peers &&
		       ps_net_peers_enter(s->peers, c->address, s->o.max_connections_per_address);
	bool over = c && s->peers && !counted;
	if (!c || over || ps_net_transport_open(&c->transport, fd, s->o.tls, s->o.kind) != PS_OK) {
		s->stats.over_address_limit += over;
		if (counted)
			ps_net_peers_leave(s->peers, c->address);
		free(c);
		close(fd);
		return;
	}
	c->watch = (struct ps_evloop_fd){
		.fd = fd, .events = PS_EVLOOP_READ, .on_ready = on_ready, .ctx = c};
	join(s, c);
	ps_net_conn_hold(c);
	ps_net_conn_enter(c, s->o.tls ? PS_NET_CONN_SHAKE : PS_NET_CONN_IDLE,
			  ps_evloop_now_ns(s->loop));
	if (ps_evloop_fd_add(s->loop, &c->watch, NULL) != PS_OK)
		ps_net_conn_close(c);
	ps_net_conn_release(c);
}
