#include "net/server_internal.h"
#include "net/tls_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTS_PER_ROUND = 64 };
static const int64_t PAUSE_NS = 100 * PS_NS_PER_MS;

static void set_defaults(struct ps_net_server_options *o)
{
#define DEFAULT(field, value)                                                                      \
	if (!o->field)                                                                             \
	o->field = value
	DEFAULT(host, "127.0.0.1");
	DEFAULT(unix_mode, 0660);
	DEFAULT(max_connections, 16384);
	DEFAULT(max_streams, 128);
	DEFAULT(max_url_bytes, 8 * 1024);
	DEFAULT(max_header_bytes, 64 * 1024);
	DEFAULT(max_headers, 100);
	DEFAULT(max_body_bytes, (size_t)64 << 20);
	DEFAULT(max_buffered_bytes, (size_t)1 << 30);
	DEFAULT(max_inflate_ratio, 256);
	DEFAULT(handshake_timeout_ns, 10 * PS_NS_PER_SEC);
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
		struct ps_net_address peer = {0};
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

static void free_server(struct ps_net_server *s)
{
	ps_net_h1_empty_pool(s);
	ps_net_h2_service_fini(&s->h2);
	ps_net_peers_free(s->peers);
	ps_net_shares_fini(&s->shares);
	ps_net_tls_free(s->o.tls);
	free(s->host);
	free(s->server_name);
	free(s->unix_path);
	free(s->prefix);
	free(s);
}

/* A closed server goes with the last connection and the last session of HTTP/2. */
static void free_when_unused(struct ps_net_server *s)
{
	if (s->closing && s->n_memory == 0 && s->h2.sessions == 0)
		free_server(s);
}

static void on_session_freed(void *ctx)
{
	free_when_unused(ctx);
}

static bool copy_text(const char *text, const char **field, char **ret)
{
	*ret = text ? strdup(text) : NULL;
	*field = *ret;
	return !text || *ret;
}

/* What most answers begin with. */
static bool make_prefix(struct ps_net_server *s)
{
	const char *name = s->server_name ? s->server_name : "";
	size_t size = strlen(name) + 64;
	s->prefix = malloc(size);
	if (!s->prefix)
		return false;
	int start = snprintf(s->prefix, size, "HTTP/1.1 200 OK\r\n"), server = 0;
	if (*name)
		server = snprintf(s->prefix + start, size - (size_t)start, "Server: %s\r\n", name);
	s->server_header_bytes = (size_t)server;
	s->prefix_bytes = (size_t)start + s->server_header_bytes;
	return true;
}

static enum ps_status prepare(struct ps_net_server *s)
{
	set_defaults(&s->o);
	ps_evloop_timer_init(&s->pause, on_pause, s);
	bool copied = copy_text(s->o.host, &s->o.host, &s->host) &&
		      copy_text(s->o.server_name, &s->o.server_name, &s->server_name) &&
		      copy_text(s->o.unix_path, &s->o.unix_path, &s->unix_path) && make_prefix(s);
	if (s->o.tls)
		ps_net_tls_ref(s->o.tls);
	if (s->o.max_connections_per_address > 0) {
		s->peers = ps_net_peers_new(s->o.max_connections);
		copied = copied && s->peers;
	}
	s->h2.server = s;
	s->h2.freed = on_session_freed;
	s->h2.ctx = s;
	if (s->o.grpc)
		s->h2.grpc = *s->o.grpc;
	return copied ? ps_net_h2_service_init(&s->h2) : PS_ENOMEM;
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
	enum ps_status status = prepare(s);
	if (status != PS_OK)
		ps_error_set(err, status, "no memory for a server");
	if (status == PS_OK)
		status = ps_net_listen(s, err);
	if (status == PS_OK) {
		s->listener.events = PS_EVLOOP_READ;
		s->listener.on_ready = on_accept;
		s->listener.ctx = s;
		status = ps_evloop_fd_add(s->loop, &s->listener, err);
	}
	if (status != PS_OK) {
		ps_net_unlisten(s);
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

void ps_net_server_set_limits(struct ps_net_server *s, const struct ps_net_server_options *o)
{
	s->o.max_body_bytes = o->max_body_bytes;
	s->o.max_buffered_bytes = o->max_buffered_bytes;
	s->o.max_owner_bytes = o->max_owner_bytes;
	s->o.max_address_bytes = o->max_address_bytes;
	set_defaults(&s->o);
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
	free_when_unused(s);
}

/* Those whom the kernel has connected already would be reset by closing the listener. */
static void accept_waiting(struct ps_net_server *s)
{
	for (uint64_t before = s->stats.accepted - 1; before != s->stats.accepted;) {
		before = s->stats.accepted;
		if (s->listener.fd >= 0)
			on_accept(&s->listener, PS_EVLOOP_READ);
	}
}

void ps_net_server_drain(struct ps_net_server *s, void (*on_drained)(void *ctx), void *ctx)
{
	accept_waiting(s);
	ps_net_unlisten(s);
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
	ps_net_unlisten(s);
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
	s->n_memory--;
	free_when_unused(s);
}

/* --- descriptors --- */

int64_t ps_net_raise_descriptors(void)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return 0;
	if (r.rlim_cur < r.rlim_max) {
		struct rlimit raised = {.rlim_cur = r.rlim_max, .rlim_max = r.rlim_max};
		if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
			r = raised;
	}
	return r.rlim_cur > INT64_MAX ? INT64_MAX : (int64_t)r.rlim_cur;
}
