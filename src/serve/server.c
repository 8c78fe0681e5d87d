#include "base/json.h"
#include "base/log.h"
#include "base/version.h"
#include "serve/serve_internal.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- the ready line --- */

static void write_ready_line(struct ps_serve *s, json_t *line)
{
	char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
	json_decref(line);
	for (size_t at = 0, n = text ? strlen(text) : 0; at <= n && text;) {
		text[n] = '\n'; /* in place of the NUL */
		ssize_t k = write(s->ready_fd, text + at, n + 1 - at);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0) {
			ps_log(PS_LOG_WARN, "serve", "nobody reads descriptor %d", s->ready_fd);
			break;
		}
		at += (size_t)k;
	}
	free(text);
	close(s->ready_fd);
	s->ready_fd = -1;
}

static json_t *model_row(const struct ps_serve *s, int tenant, int model)
{
	const struct ps_serve_instance *in = &s->instances[model];
	const struct ps_repo_model *m = ps_repo_get(s->repo, model);
	json_t *row = json_object();
	ps_json_set_string(row, "tenant", ps_tenancy_name(s->tenancy, tenant));
	ps_json_set_string(row, "name", m->name);
	ps_json_set_string(row, "version", m->version_text);
	ps_json_set_string(row, "platform", in->describe.platform);
	ps_json_set_int(row, "private_bytes", in->memory.private_bytes);
	ps_json_set_int(row, "mapped_bytes", in->memory.mapped_bytes);
	ps_json_set_int(row, "load_ns", in->memory.load_ns);
	return row;
}

static json_t *ready_line(const struct ps_serve *s, const char *address)
{
	json_t *line = json_object(), *models = json_array();
	ps_json_set_string(line, "http", address);
	ps_json_set_int(line, "pid", getpid());
	ps_json_set_int(line, "lanes", ps_exec_lanes(s->exec));
	for (int i = 0; i < PS_SERVE_MAX_ENGINES && s->engines[i].ops; i++)
		ps_json_set_string(line, s->engines[i].ops->name,
				   s->engines[i].ops->version(s->engines[i].engine));
	for (int t = 0; t < ps_tenancy_count(s->tenancy); t++)
		for (int m = 0; m < ps_repo_count(s->repo); m++)
			if (ps_tenancy_sees(s->tenancy, t, ps_repo_get(s->repo, m)->name))
				json_array_append_new(models, model_row(s, t, m));
	json_object_set_new(line, "models", models);
	return line;
}

static void write_error_line(struct ps_serve *s, const struct ps_error *err)
{
	char text[1024];
	json_t *line = json_object();
	ps_json_set_string(line, "error", ps_error_format(err, text, sizeof text));
	write_ready_line(s, line);
}

void ps_serve_loaded(struct ps_serve *s)
{
	struct ps_net_address a;
	char text[PS_NET_ADDRESS_TEXT_SIZE];
	if (s->draining || s->closing)
		return;
	ps_net_server_address(s->net, &a);
	ps_net_address_text(&a, text);
	ps_log(PS_LOG_INFO, "serve", "ready on http://%s: %d models, %d lanes", text,
	       ps_repo_count(s->repo), ps_exec_lanes(s->exec));
	if (s->ready_fd >= 0)
		write_ready_line(s, ready_line(s, text));
}

/* --- the end --- */

/* Connections go at once; their requests are cancelled through on_gone and answered to nobody. The
 * loop goes on until the lanes have given them back. */
static void close_now(struct ps_serve *s)
{
	if (s->closing)
		return;
	s->closing = true;
	if (s->in_flight > 0)
		ps_log(PS_LOG_WARN, "serve", "cancelling %d requests in flight", s->in_flight);
	struct ps_net_server *net = s->net;
	s->net = NULL;
	ps_net_server_close(net);
	if (s->in_flight == 0)
		ps_evloop_stop(s->loop);
}

void ps_serve_fail(struct ps_serve *s, const struct ps_error *err)
{
	if (s->result == PS_OK) {
		s->result_err = *err;
		s->result = err->status;
	}
	close_now(s);
}

void ps_serve_answered(struct ps_serve *s)
{
	s->in_flight--;
	if (s->closing && s->in_flight == 0)
		ps_evloop_stop(s->loop);
}

static void on_drain_timeout(struct ps_evloop_timer *t, int64_t now_ns)
{
	(void)now_ns;
	close_now(t->ctx);
}

static void on_drained(void *ctx)
{
	/* A lane may still run for a client that has left: the loop waits for it. */
	close_now(ctx);
}

static void on_signal(void *ctx, int signo)
{
	struct ps_serve *s = ctx;
	if (s->draining || s->closing) {
		close_now(s);
		return;
	}
	s->draining = true;
	ps_log(PS_LOG_INFO, "serve", "%s: finishing %d requests in flight", strsignal(signo),
	       s->in_flight);
	pthread_mutex_lock(&s->lock);
	ps_dispatch_drain(s->dispatch);
	pthread_mutex_unlock(&s->lock);
	if (ps_evloop_timer_set(s->loop, &s->drain_timer,
				ps_evloop_now_ns(s->loop) + s->config->drain_timeout) != PS_OK)
		ps_log(PS_LOG_WARN, "serve", "no memory for the drain timeout");
	ps_net_server_drain(s->net, on_drained, s);
}

/* --- start --- */

static enum ps_status open_net(struct ps_serve *s, struct ps_error *err)
{
	char host[PS_NET_HOST_SIZE];
	uint16_t port;
	enum ps_status status = ps_serve_split_listen(s->config->listen, host, &port, err);
	if (status != PS_OK)
		return status;
	const struct ps_net_server_options o = {
		.host = host,
		.port = port,
		.server_name = "perseus",
		.max_connections = (int)s->config->max_connections,
		.max_body_bytes = (size_t)s->config->max_body,
		.idle_timeout_ns = s->config->idle_timeout,
	};
	struct ps_net_handler handler;
	ps_serve_handler(s, &handler);
	return ps_net_server_open(s->loop, &o, &handler, &s->net, err);
}

static enum ps_status open_loop(struct ps_serve *s, struct ps_error *err)
{
	static const int signos[] = {SIGTERM, SIGINT};
	enum ps_status status = ps_evloop_new(NULL, &s->loop, err);
	if (status != PS_OK)
		return status;
	ps_evloop_timer_init(&s->tick, ps_serve_tick, s);
	ps_evloop_timer_init(&s->drain_timer, on_drain_timeout, s);
	s->signals.on_signal = on_signal;
	s->signals.ctx = s;
	return ps_evloop_signals_open(s->loop, &s->signals, signos, 2, err);
}

static enum ps_status start_exec(struct ps_serve *s, struct ps_error *err)
{
	const struct ps_serve_config *c = s->config;
	struct ps_exec_options o = {
		.cpus = c->cpus, .lanes = (int)c->lanes, .spin_ns = c->lane_spin};
	struct ps_exec_callbacks callbacks;
	ps_serve_exec_callbacks(s, &callbacks);
	s->width = 1;
	if (c->width == PS_SERVE_WIDE) {
		s->width = ps_cpus_count(&c->cpus);
		if (s->width == 0) {
			cpu_set_t set;
			sched_getaffinity(0, sizeof set, &set);
			s->width = CPU_COUNT(&set);
		}
	}
	o.width = s->width;
	return ps_exec_start(&o, &callbacks, &s->exec, err);
}

static enum ps_status pin_io_thread(const struct ps_serve *s, struct ps_error *err)
{
	cpu_set_t set;
	if (ps_cpus_count(&s->config->cpus) == 0)
		return PS_OK;
	CPU_ZERO(&set);
	for (int cpu = 0; cpu < PS_CPUS_MAX && cpu < CPU_SETSIZE; cpu++)
		if (ps_cpus_has(&s->config->cpus, cpu))
			CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set) == 0)
		return PS_OK;
	char text[PS_CPUS_SIZE];
	return ps_error_errno(err, errno, "cannot run on CPUs %s",
			      ps_cpus_format(&s->config->cpus, text));
}

static enum ps_status make_dispatch(struct ps_serve *s, struct ps_error *err)
{
	const struct ps_dispatch_config c = {
		.tenancy = s->tenancy, .repo = s->repo, .n_lanes = ps_exec_lanes(s->exec)};
	struct ps_dispatch *d;
	enum ps_status status = ps_dispatch_new(&c, &d, err);
	if (status != PS_OK)
		return status;
	pthread_mutex_lock(&s->lock); /* the lanes are asking already */
	s->dispatch = d;
	pthread_mutex_unlock(&s->lock);
	return PS_OK;
}

/* The port first: that it is taken should be known before anything slow begins. */
static enum ps_status start(struct ps_serve *s, struct ps_error *err)
{
	enum ps_status status = ps_serve_make_tenancy(s->config, &s->tenancy, err);
	if (status == PS_OK)
		status = ps_serve_make_repo(s->options, &s->repo, err);
	if (status == PS_OK) {
		s->instances = calloc((size_t)ps_repo_count(s->repo), sizeof *s->instances);
		if (!s->instances)
			status = ps_error_set(err, PS_ENOMEM, "out of memory");
	}
	if (status == PS_OK)
		status = open_loop(s, err);
	if (status == PS_OK)
		status = open_net(s, err);
	if (status == PS_OK)
		status = pin_io_thread(s, err);
	if (status == PS_OK)
		status = start_exec(s, err);
	if (status == PS_OK)
		status = ps_serve_start_engines(s, err);
	if (status == PS_OK)
		status = make_dispatch(s, err);
	return status;
}

static void log_counters(const struct ps_serve *s)
{
	for (int t = 0; t < ps_tenancy_count(s->tenancy); t++)
		for (int m = 0; m < ps_repo_count(s->repo); m++) {
			struct ps_dispatch_counters c;
			ps_dispatch_counters_get(s->dispatch, t, m, &c);
			int64_t refused = c.refused_quota + c.refused_unavailable;
			if (c.arrived == 0)
				continue;
			ps_log(PS_LOG_INFO, "serve",
			       "tenant %s model %s: %lld arrived, %lld completed, %lld refused, "
			       "%lld expired, %lld cancelled, %lld failed",
			       ps_tenancy_name(s->tenancy, t), ps_repo_get(s->repo, m)->name,
			       (long long)c.arrived, (long long)c.completed, (long long)refused,
			       (long long)c.expired, (long long)c.cancelled, (long long)c.failed);
		}
}

/* A model may still be converted in the background, for minutes, and nobody reads signals any more:
 * let the next one end the program, and its converter with it. */
static void let_signals_end(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void stop(struct ps_serve *s)
{
	ps_net_server_close(s->net);
	if (s->signals.watch.loop)
		ps_evloop_signals_close(&s->signals);
	if (s->load.running)
		let_signals_end();
	if (s->exec)
		ps_exec_drain(s->exec);
	ps_serve_close_models(s);
	if (s->dispatch)
		log_counters(s);
	ps_dispatch_free(s->dispatch);
	ps_repo_free(s->repo);
	ps_tenancy_free(s->tenancy);
	ps_evloop_free(s->loop);
	pthread_mutex_destroy(&s->lock);
}

static enum ps_status serve(struct ps_serve *s, struct ps_error *err)
{
	enum ps_status status = start(s, err);
	if (status != PS_OK)
		return status;
	ps_serve_load(s, ps_dispatch_load_next(s->dispatch));
	status = ps_evloop_run(s->loop, err);
	if (status == PS_OK && s->result != PS_OK) {
		*err = s->result_err;
		status = s->result;
	}
	return status;
}

enum ps_status ps_serve_run(const struct ps_serve_options *options, struct ps_error *err)
{
	struct ps_error own = {0};
	struct ps_serve *s = calloc(1, sizeof *s);
	if (!s)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	err = err ? err : &own;
	s->options = options;
	s->config = options->config;
	s->ready_fd = options->ready_fd;
	pthread_mutex_init(&s->lock, NULL);
	enum ps_status status = serve(s, err);
	if (s->ready_fd >= 0 && status != PS_OK)
		write_error_line(s, err);
	if (s->ready_fd >= 0)
		close(s->ready_fd);
	stop(s);
	free(s);
	return status;
}
