/* I/O threads: their loops, listeners, the configuration that each works by, and their end. */
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "serve/admin_internal.h"
#include "serve/observe_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the configuration in force --- */

/* A tenant that is alone may take all there is. */
static bool has_others(const struct ps_tenancy *t)
{
	int n = ps_tenancy_count(t), found = 0;
	for (int i = 0; i < n && found < 2; i++)
		found += ps_tenancy_exists(t, i);
	return found > 1;
}

/* What each who sends bodies may take of the room for them. One body of the largest size fits at
 * least, with what a gRPC call counts besides. */
static void fill_limits(const struct ps_serve_snapshot *p, struct ps_net_server_options *o)
{
	enum { BESIDES = 64 * 1024, OF_ADDRESS = 4 };
	const struct ps_serve_config *c = p->config;
	double share = (double)c->max_buffered * c->max_buffered_share;
	o->max_body_bytes = (size_t)c->max_body;
	o->max_buffered_bytes = (size_t)c->max_buffered;
	o->max_address_bytes = (size_t)share / OF_ADDRESS + BESIDES;
	if (share < (double)c->max_body + BESIDES)
		share = (double)c->max_body + BESIDES;
	o->max_owner_bytes = has_others(p->tenancy) ? (size_t)share : o->max_buffered_bytes;
}

static void refresh_limits(const struct ps_serve_io *io)
{
	struct ps_net_server_options o = {0};
	fill_limits(io->snapshot, &o);
	for (int i = 0; i < io->n_listeners; i++)
		if (io->listeners[i].net)
			ps_net_server_set_limits(io->listeners[i].net, &o);
}

struct ps_serve_snapshot *ps_serve_newest(struct ps_serve *s)
{
	pthread_mutex_lock(&s->snapshot_lock);
	struct ps_serve_snapshot *p = ps_serve_snapshot_ref(s->snapshot);
	pthread_mutex_unlock(&s->snapshot_lock);
	return p;
}

static void on_refresh(struct ps_evloop_task *task)
{
	struct ps_serve_io *io = task->ctx;
	atomic_store(&io->refresh_posted, false);
	struct ps_serve_snapshot *old = io->snapshot;
	io->snapshot = ps_serve_newest(io->server);
	refresh_limits(io);
	ps_serve_snapshot_unref(old);
	atomic_store(&io->generation, io->snapshot->generation);
	ps_serve_reload_notify(io->server);
}

enum ps_status ps_serve_put_in_force(struct ps_serve *s, struct ps_serve_snapshot *p,
				     struct ps_error *err)
{
	struct ps_serve_snapshot *old = NULL;
	pthread_mutex_lock(&s->lock);
	enum ps_status status = ps_dispatch_set_tenancy(s->dispatch, p->tenancy);
	if (status == PS_OK) {
		pthread_mutex_lock(&s->snapshot_lock);
		old = s->snapshot;
		s->snapshot = p;
		pthread_mutex_unlock(&s->snapshot_lock);
	}
	pthread_mutex_unlock(&s->lock);
	if (status != PS_OK)
		return ps_error_set(err, status, "out of memory");
	for (int i = 0; i < s->n_ios; i++)
		if (!atomic_exchange(&s->ios[i].refresh_posted, true))
			ps_evloop_post(s->ios[i].loop, &s->ios[i].refresh);
	ps_serve_snapshot_unref(old);
	return PS_OK;
}

/* --- listeners --- */

static void fill_options(const struct ps_serve_io *io, enum ps_serve_listener_kind kind,
			 const struct ps_serve_address *a, struct ps_net_server_options *o)
{
	const struct ps_serve *s = io->server;
	const struct ps_serve_config *c = io->snapshot->config;
	static const enum ps_net_kind kinds[] = {
		[PS_SERVE_LISTEN_HTTP] = PS_NET_KIND_HTTP,
		[PS_SERVE_LISTEN_GRPC] = PS_NET_KIND_HTTP2,
		[PS_SERVE_LISTEN_METRICS] = PS_NET_KIND_HTTP1,
	};
	*o = (struct ps_net_server_options){
		.kind = kinds[kind],
		.server_name = "perseus",
		.max_connections = (int)((c->max_connections + s->n_ios - 1) / s->n_ios),
		.max_connections_per_address = (int)c->max_connections_per_address,
		.max_streams = (int)c->max_streams,
		.idle_timeout_ns = c->idle_timeout,
	};
	fill_limits(io->snapshot, o);
	if (a->kind == PS_SERVE_UNIX) {
		o->unix_path = a->path;
		return;
	}
	o->host = a->host;
	o->port = a->port;
	o->reuse_port = s->n_ios > 1 && kind != PS_SERVE_LISTEN_METRICS;
	if (kind != PS_SERVE_LISTEN_METRICS)
		o->tls = s->tls;
}

static void fill_handlers(struct ps_serve_io *io, enum ps_serve_listener_kind kind,
			  struct ps_net_handler *ret_http, struct ps_net_grpc_handler *ret_grpc)
{
	ps_serve_grpc_handler(io, ret_grpc);
	if (kind == PS_SERVE_LISTEN_METRICS)
		ps_serve_metrics_handler(io, ret_http);
	else
		ps_serve_http_handler(io, ret_http);
}

/* I/O thread 0 opens first; the others share its ports and sockets. */
static void share_with_first(const struct ps_serve_io *io, const struct ps_serve_address *a,
			     struct ps_net_server_options *o)
{
	struct ps_net_server *first = io->server->ios[0].listeners[io->n_listeners].net;
	struct ps_net_address address;
	if (io->number == 0)
		return;
	if (a->kind == PS_SERVE_UNIX) {
		o->share = first;
		return;
	}
	ps_net_server_address(first, &address);
	o->port = ps_net_address_port(&address);
}

static enum ps_status open_listener(struct ps_serve_io *io, enum ps_serve_listener_kind kind,
				    const char *text, struct ps_error *err)
{
	struct ps_serve_listener *l = &io->listeners[io->n_listeners];
	struct ps_serve_address a;
	struct ps_net_server_options o;
	struct ps_net_handler handler;
	struct ps_net_grpc_handler grpc;
	struct ps_net_address at;
	enum ps_status status = ps_serve_address_parse(text, &a, err);
	if (status != PS_OK || a.kind == PS_SERVE_OFF)
		return status;
	if (io->n_listeners == PS_SERVE_MAX_LISTENERS)
		return ps_error_set(err, PS_ETOOBIG, "more than %d addresses to listen on",
				    PS_SERVE_MAX_LISTENERS);
	fill_options(io, kind, &a, &o);
	share_with_first(io, &a, &o);
	fill_handlers(io, kind, &handler, &grpc);
	if (kind != PS_SERVE_LISTEN_METRICS)
		o.grpc = &grpc;
	status = ps_net_server_open(io->loop, &o, &handler, &l->net, err);
	if (status != PS_OK)
		return status;
	l->kind = kind;
	ps_net_server_address(l->net, &at);
	ps_net_address_text(&at, l->address);
	io->n_listeners++;
	io->n_open++;
	return PS_OK;
}

static enum ps_status open_list(struct ps_serve_io *io, enum ps_serve_listener_kind kind,
				const struct ps_conf_texts *list, struct ps_error *err)
{
	enum ps_status status = PS_OK;
	for (size_t i = 0; status == PS_OK && i < list->len; i++)
		status = open_listener(io, kind, list->items[i], err);
	return status;
}

/* Metrics go with the first I/O thread alone, and last: the others share by place in the list. */
static enum ps_status open_listeners(struct ps_serve_io *io, struct ps_error *err)
{
	const struct ps_serve_config *c = io->snapshot->config;
	enum ps_status status = open_list(io, PS_SERVE_LISTEN_HTTP, &c->listen, err);
	if (status == PS_OK)
		status = open_list(io, PS_SERVE_LISTEN_GRPC, &c->grpc, err);
	if (status == PS_OK && io->number == 0)
		status = open_list(io, PS_SERVE_LISTEN_METRICS, &c->metrics, err);
	return status;
}

/* --- the end --- */

static void stop_if_over(struct ps_serve_io *io)
{
	if (io->closing && io->in_flight == 0)
		ps_evloop_stop(io->loop);
}

void ps_serve_answered(struct ps_serve_io *io)
{
	io->in_flight--;
	stop_if_over(io);
}

/* I/O thread 0 hears of each that has no connection left. */
static void on_io_drained(struct ps_evloop_task *task)
{
	struct ps_serve_io *io = task->ctx;
	struct ps_serve *s = io->server;
	if (--s->ios_open == 0)
		ps_serve_drained(s);
}

static void on_listener_drained(void *ctx)
{
	struct ps_serve_io *io = ctx;
	if (--io->n_open == 0)
		ps_evloop_post(io->server->ios[0].loop, &io->drained);
}

static void on_drain(struct ps_evloop_task *task)
{
	struct ps_serve_io *io = task->ctx;
	ps_serve_grpc_notify(io);
	for (int i = 0; i < io->n_listeners && !io->closing; i++)
		ps_net_server_drain(io->listeners[i].net, on_listener_drained, io);
}

/* Connections go at once; their requests are cancelled through on_gone and answered to nobody. The
 * loop goes on until the lanes have given them back. */
static void on_close(struct ps_evloop_task *task)
{
	struct ps_serve_io *io = task->ctx;
	if (io->closing)
		return;
	io->closing = true;
	if (io->in_flight > 0 && !io->server->drained)
		ps_log(PS_LOG_WARN, "serve", "cancelling %d requests in flight", io->in_flight);
	for (int i = 0; i < io->n_listeners; i++) {
		struct ps_net_server *net = io->listeners[i].net;
		io->listeners[i].net = NULL;
		ps_net_server_close(net);
	}
	stop_if_over(io);
}

static void on_notify(struct ps_evloop_task *task)
{
	struct ps_serve_io *io = task->ctx;
	atomic_store(&io->notify_posted, false);
	ps_serve_grpc_notify(io);
}

void ps_serve_notify_ready(struct ps_serve *s)
{
	for (int i = 0; i < s->n_ios; i++)
		if (!atomic_exchange(&s->ios[i].notify_posted, true))
			ps_evloop_post(s->ios[i].loop, &s->ios[i].notify);
}

void ps_serve_drain_ios(struct ps_serve *s)
{
	s->ios_open = s->n_ios;
	for (int i = 0; i < s->n_ios; i++)
		ps_evloop_post(s->ios[i].loop, &s->ios[i].drain);
}

void ps_serve_close_ios(struct ps_serve *s)
{
	for (int i = 0; i < s->n_ios; i++)
		ps_evloop_post(s->ios[i].loop, &s->ios[i].close);
}

/* --- before the lanes, within bounds --- */

void ps_serve_io_keep_share(struct ps_serve_io *io)
{
	struct ps_serve_urgency *u = &io->urgency;
	if (!ps_serve_urgency_is_due(u) ||
	    !ps_serve_urgency_changes(u, ps_clock_now_ns(), ps_clock_thread_cpu_ns()))
		return;
	if (!u->calm) {
		(void)ps_thread_urgent(); /* it was said at the start when that is refused */
		return;
	}
	ps_thread_step_back(0);
	ps_thread_prompt();
}

/* --- start --- */

static void init_io(struct ps_serve *s, struct ps_serve_io *io, int number)
{
	io->server = s;
	io->number = number;
	io->snapshot = ps_serve_newest(s);
	ps_evloop_timer_init(&io->tick, ps_serve_tick, io);
	ps_evloop_timer_init(&io->probe, ps_serve_probe_wake, io);
	io->refresh = (struct ps_evloop_task){.run = on_refresh, .ctx = io};
	io->drain = (struct ps_evloop_task){.run = on_drain, .ctx = io};
	io->close = (struct ps_evloop_task){.run = on_close, .ctx = io};
	io->notify = (struct ps_evloop_task){.run = on_notify, .ctx = io};
	io->drained = (struct ps_evloop_task){.run = on_io_drained, .ctx = io};
}

static enum ps_status open_io(struct ps_serve_io *io, struct ps_error *err)
{
	enum ps_status status = ps_evloop_new(NULL, &io->loop, err);
	if (status == PS_OK)
		status = ps_tenancy_guard_new(PS_TENANCY_GUARD_SLOTS, PS_TENANCY_GUARD_FAILURES,
					      PS_TENANCY_GUARD_WINDOW_NS, &io->guard, err);
	if (status == PS_OK)
		status = open_listeners(io, err);
	return status;
}

enum ps_status ps_serve_open_ios(struct ps_serve *s, struct ps_error *err)
{
	enum ps_status status = ps_serve_tls_new(s->snapshot->config, &s->tls, err);
	if (status != PS_OK)
		return status;
	int n = (int)s->snapshot->config->io_threads;
	n = n < 1 ? 1 : n > PS_SERVE_MAX_IO ? PS_SERVE_MAX_IO : n;
	s->ios = calloc((size_t)n, sizeof *s->ios);
	if (!s->ios)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	s->n_ios = n;
	for (int i = 0; i < n; i++)
		init_io(s, &s->ios[i], i);
	for (int i = 0; i < n && status == PS_OK; i++)
		status = open_io(&s->ios[i], err);
	if (status == PS_OK && s->ios[0].n_listeners == 0)
		status = ps_error_set(err, PS_EINVAL, "there is no address to listen on");
	return status;
}

static void *io_main(void *ctx)
{
	struct ps_serve_io *io = ctx;
	struct ps_error err;
	char name[16];
	snprintf(name, sizeof name, "ps-io-%d", io->number);
	pthread_setname_np(pthread_self(), name);
	(void)ps_thread_urgent(); /* I/O thread 0 says it when that is refused */
	if (ps_evloop_run(io->loop, &err) != PS_OK)
		ps_log_error(PS_LOG_ERROR, "serve", &err);
	return NULL;
}

enum ps_status ps_serve_start_ios(struct ps_serve *s, struct ps_error *err)
{
	for (int i = 0; i < s->n_ios; i++)
		s->ios[i].observe = ps_serve_observe_io(s->observe, i);
	for (int i = 1; i < s->n_ios; i++) {
		int rc = pthread_create(&s->ios[i].thread, NULL, io_main, &s->ios[i]);
		if (rc != 0)
			return ps_error_errno(err, rc, "cannot start I/O thread %d", i);
		s->ios[i].started = true;
	}
	return PS_OK;
}

/* Those that were started end by themselves once closed; I/O thread 0 has ended. */
void ps_serve_join_ios(struct ps_serve *s)
{
	for (int i = 1; i < s->n_ios; i++) {
		if (!s->ios[i].started)
			continue;
		if (!s->closing)
			ps_evloop_post(s->ios[i].loop, &s->ios[i].close);
		pthread_join(s->ios[i].thread, NULL);
		s->ios[i].started = false;
	}
}

static void close_listeners(struct ps_serve_io *io)
{
	for (int i = 0; i < io->n_listeners; i++) {
		ps_net_server_close(io->listeners[i].net);
		io->listeners[i].net = NULL;
	}
}

void ps_serve_free_ios(struct ps_serve *s)
{
	for (int i = 0; i < s->n_ios; i++)
		close_listeners(&s->ios[i]);
	for (int i = 0; i < s->n_ios; i++) {
		struct ps_serve_io *io = &s->ios[i];
		ps_evloop_free(io->loop);
		ps_tenancy_guard_free(io->guard);
		ps_serve_snapshot_unref(io->snapshot);
	}
	free(s->ios);
	s->ios = NULL;
	s->n_ios = 0;
	ps_net_tls_free(s->tls);
}
