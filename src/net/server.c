#include "net/server_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTS_PER_ROUND = 64, BACKLOG = 1024 };
static const int64_t PAUSE_NS = 100 * PS_NS_PER_MS;

static void set_defaults(struct ps_net_server_options *o)
{
#define DEFAULT(field, value)                                                                      \
	if (!o->field)                                                                             \
	o->field = value
	DEFAULT(host, "127.0.0.1");
	DEFAULT(max_connections, 1024);
	DEFAULT(max_url_bytes, 8 * 1024);
	DEFAULT(max_header_bytes, 64 * 1024);
	DEFAULT(max_headers, 100);
	DEFAULT(max_body_bytes, (size_t)64 << 20);
	DEFAULT(max_buffered_bytes, (size_t)1 << 30);
	DEFAULT(idle_timeout_ns, 75 * PS_NS_PER_SEC);
	DEFAULT(head_timeout_ns, 10 * PS_NS_PER_SEC);
	DEFAULT(body_timeout_ns, 30 * PS_NS_PER_SEC);
	DEFAULT(body_min_rate, 16 * 1024);
	DEFAULT(write_timeout_ns, 30 * PS_NS_PER_SEC);
#undef DEFAULT
}

/* --- accepting --- */

static void listen_again(struct ps_net_server *s)
{
	if (s->listener.loop)
		(void)ps_evloop_fd_set(&s->listener, PS_EVLOOP_READ, NULL);
}

static void on_pause(struct ps_evloop_timer *t, int64_t now_ns)
{
	(void)now_ns;
	struct ps_net_server *s = t->ctx;
	if (!s->draining) {
		listen_again(s);
		return;
	}
	void (*on_drained)(void *) = s->on_drained;
	s->on_drained = NULL;
	if (on_drained)
		on_drained(s->on_drained_ctx);
}

static void stop_listening(struct ps_net_server *s)
{
	if (s->listener.fd < 0)
		return;
	ps_evloop_fd_remove(&s->listener);
	close(s->listener.fd);
	s->listener.fd = -1;
}

/* Out of descriptors or memory: waiting clients stay in the kernel's queue for a moment. */
static void pause_listening(struct ps_net_server *s)
{
	(void)ps_evloop_fd_set(&s->listener, 0, NULL);
	(void)ps_evloop_timer_set(s->loop, &s->pause, ps_evloop_now_ns(s->loop) + PAUSE_NS);
}

static void on_accept(struct ps_evloop_fd *w, unsigned events)
{
	(void)events;
	struct ps_net_server *s = w->ctx;
	for (int i = 0; i < ACCEPTS_PER_ROUND; i++) {
		if (s->stats.open >= s->o.max_connections) {
			(void)ps_evloop_fd_set(w, 0, NULL);
			return;
		}
		struct ps_net_address peer;
		socklen_t len = sizeof peer.bytes;
		int fd = accept4(w->fd, (struct sockaddr *)(void *)peer.bytes, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			peer.len = len;
			ps_net_conn_open(s, fd, &peer);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			   errno == ENOMEM) {
			pause_listening(s);
			return;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			return;
		}
	}
}

/* --- opening --- */

static enum ps_status listen_on(struct ps_net_server *s, struct ps_error *err)
{
	char text[PS_NET_ADDRESS_TEXT_SIZE];
	ps_net_address_text(&s->address, text);
	const struct sockaddr *sa = (const struct sockaddr *)(const void *)s->address.bytes;
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ps_error_errno(err, errno, "cannot make a socket");
	s->listener.fd = fd;
	int one = 1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, sa, s->address.len) != 0 || listen(fd, BACKLOG) != 0) {
		enum ps_status status = ps_error_errno(err, errno, "cannot listen on %s", text);
		if (status == PS_EINUSE)
			ps_error_hint(err, "another program uses this port: stop it or choose "
					   "another port (port 0 lets the system choose)");
		return status;
	}
	socklen_t len = sizeof s->address.bytes;
	if (getsockname(fd, (struct sockaddr *)(void *)s->address.bytes, &len) != 0)
		return ps_error_errno(err, errno, "cannot tell the address of %s", text);
	s->address.len = len;
	s->listener.events = PS_EVLOOP_READ;
	s->listener.on_ready = on_accept;
	s->listener.ctx = s;
	return ps_evloop_fd_add(s->loop, &s->listener, err);
}

static void free_server(struct ps_net_server *s)
{
	free(s->host);
	free(s->server_name);
	free(s);
}

enum ps_status ps_net_server_open(struct ps_evloop *loop,
				  const struct ps_net_server_options *options,
				  const struct ps_net_handler *handler,
				  struct ps_net_server **ret_server, struct ps_error *err)
{
	struct ps_net_server *s = calloc(1, sizeof *s);
	if (!s)
		return ps_error_set(err, PS_ENOMEM, "no memory for a server");
	s->loop = loop;
	s->o = *options;
	s->handler = *handler;
	s->listener.fd = -1;
	set_defaults(&s->o);
	ps_evloop_timer_init(&s->pause, on_pause, s);
	s->host = strdup(s->o.host);
	s->server_name = s->o.server_name ? strdup(s->o.server_name) : NULL;
	s->o.host = s->host;
	s->o.server_name = s->server_name;
	enum ps_status status = PS_ENOMEM;
	if (s->host && (s->server_name || !options->server_name))
		status = ps_net_resolve(s->host, s->o.port, &s->address, err);
	else
		ps_error_set(err, PS_ENOMEM, "no memory for a server");
	if (status == PS_OK)
		status = listen_on(s, err);
	if (status != PS_OK) {
		stop_listening(s);
		free_server(s);
		return status;
	}
	*ret_server = s;
	return PS_OK;
}

void ps_net_server_address(const struct ps_net_server *s, struct ps_net_address *ret_address)
{
	*ret_address = s->address;
}

void ps_net_server_get_stats(const struct ps_net_server *s, struct ps_net_server_stats *ret_stats)
{
	*ret_stats = s->stats;
}

/* --- ending --- */

/* A timer, so that on_drained never comes from inside another call of ours. */
static void check_drained(struct ps_net_server *s)
{
	if (s->draining && s->stats.open == 0 && s->on_drained)
		(void)ps_evloop_timer_set(s->loop, &s->pause, ps_evloop_now_ns(s->loop));
}

void ps_net_server_conn_closed(struct ps_net_server *s)
{
	s->stats.open--;
	s->stats.closed++;
	if (s->stats.open < s->o.max_connections && !ps_evloop_timer_is_set(&s->pause))
		listen_again(s);
	check_drained(s);
}

void ps_net_server_forget(struct ps_net_server *s, struct ps_net_conn *c)
{
	if (c->prev)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	free(c);
	s->n_memory--;
	if (s->closing && s->n_memory == 0)
		free_server(s);
}

void ps_net_server_drain(struct ps_net_server *s, void (*on_drained)(void *ctx), void *ctx)
{
	stop_listening(s);
	ps_evloop_timer_cancel(&s->pause);
	s->draining = true;
	s->on_drained = on_drained;
	s->on_drained_ctx = ctx;
	for (struct ps_net_conn *c = s->conns, *next; c; c = next) {
		next = c->next;
		ps_net_conn_drain(c);
	}
	check_drained(s);
}

void ps_net_server_close(struct ps_net_server *s)
{
	if (!s)
		return;
	stop_listening(s);
	s->on_drained = NULL;
	s->draining = true;
	/* Each close may call the handler, which may answer and so free any connection: the walk
	 * begins anew after each. The count held here keeps the server until it is over. */
	s->n_memory++;
	s->closing = true;
	for (struct ps_net_conn *c = s->conns; c;) {
		bool open = c->state != PS_NET_CONN_CLOSED;
		if (open)
			ps_net_conn_close(c);
		c = open ? s->conns : c->next;
	}
	ps_evloop_timer_cancel(&s->pause);
	if (--s->n_memory == 0)
		free_server(s);
}
