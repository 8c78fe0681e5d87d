/* Start, signals, draining, the end. I/O thread 0. */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "serve/admin_internal.h"
#include "serve/observe_internal.h"

#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- the end --- */

static void close_now(struct ps_serve *s)
{
	if (s->closing)
		return;
	s->closing = true;
	atomic_store(&s->ready, false);
	pthread_mutex_lock(&s->lock);
	ps_dispatch_drain(s->dispatch);
	pthread_mutex_unlock(&s->lock);
	ps_serve_fail_waits(s);
	ps_serve_close_ios(s);
}

void ps_serve_fail(struct ps_serve *s, const struct ps_error *err)
{
	if (s->result == PS_OK) {
		s->result_err = *err;
		s->result = err->status;
	}
	close_now(s);
}

/* A lane may still run for a client that has left: the loops wait for it. */
void ps_serve_drained(struct ps_serve *s)
{
	atomic_store(&s->drained, true);
	close_now(s);
}

static void on_drain_timeout(struct ps_evloop_timer *t, int64_t now_ns)
{
	(void)now_ns;
	close_now(t->ctx);
}

/* Requests that have begun to arrive are served to their end: the dispatcher takes them until the
 * last connection has gone, or the time is over. */
static void drain(struct ps_serve *s, int signo)
{
	struct ps_serve_io *io = &s->ios[0];
	s->drain_began_ns = ps_clock_now_ns();
	atomic_store(&s->draining, true);
	atomic_store(&s->ready, false);
	ps_log(PS_LOG_INFO, "serve", "%s: finishing what is in flight", strsignal(signo));
	if (ps_evloop_timer_set(io->loop, &s->drain_timer,
				ps_evloop_now_ns(io->loop) + io->snapshot->config->drain_timeout) !=
	    PS_OK)
		ps_log(PS_LOG_WARN, "serve", "no memory for the drain timeout");
	ps_serve_drain_ios(s);
}

static void on_signal(void *ctx, int signo)
{
	struct ps_serve *s = ctx;
	if (signo == SIGHUP) {
		if (!atomic_load(&s->draining) && !s->closing)
			ps_serve_reload(s);
	} else if (atomic_load(&s->draining) || s->closing) {
		close_now(s);
	} else {
		drain(s, signo);
	}
}

/* --- start --- */

static enum ps_status watch_signals(struct ps_serve *s, struct ps_error *err)
{
	static const int signos[] = {SIGTERM, SIGINT, SIGHUP};
	ps_evloop_timer_init(&s->drain_timer, on_drain_timeout, s);
	s->signals.on_signal = on_signal;
	s->signals.ctx = s;
	return ps_evloop_signals_open(s->ios[0].loop, &s->signals, signos, 3, err);
}

static int usable_cpus(const struct ps_serve_config *c)
{
	cpu_set_t set;
	int n = ps_cpus_count(&c->cpus);
	if (n > 0)
		return n;
	sched_getaffinity(0, sizeof set, &set);
	return CPU_COUNT(&set);
}

/* Each heap of the C library keeps gaps where models were: with one for every thread, as it likes
 * them, 50 loads and unloads of 100 MB left twice as much behind. Runs take little from it, so a
 * few CPUs share one. Whoever replaces malloc, as sanitizers do, is not asked. */
enum { CPUS_PER_HEAP = 4 };

static void share_heaps(int cpus)
{
	(void)mallopt(M_ARENA_MAX, cpus < CPUS_PER_HEAP ? 1 : cpus / CPUS_PER_HEAP);
}

static enum ps_status start_exec(struct ps_serve *s, struct ps_error *err)
{
	const struct ps_serve_config *c = s->snapshot->config;
	struct ps_exec_options o = {
		.cpus = c->cpus, .lanes = (int)c->lanes, .spin_ns = c->lane_spin};
	struct ps_exec_callbacks callbacks;
	int cpus = usable_cpus(c);
	share_heaps(cpus); /* the first thread starts below */
	ps_serve_exec_callbacks(s, &callbacks);
	s->width = c->width == PS_SERVE_NARROW ? 1 : cpus;
	if (c->width == PS_SERVE_AUTO && o.lanes == 0)
		o.lanes = cpus < PS_EXEC_MAX_LANES ? cpus : PS_EXEC_MAX_LANES;
	o.width = s->width;
	return ps_exec_start(&o, &callbacks, &s->exec, err);
}

/* Before any other thread starts: they inherit it. */
static enum ps_status pin_to_slice(const struct ps_serve *s, struct ps_error *err)
{
	const struct ps_cpus *cpus = &s->snapshot->config->cpus;
	cpu_set_t set;
	if (ps_cpus_count(cpus) == 0)
		return PS_OK;
	CPU_ZERO(&set);
	for (int cpu = 0; cpu < PS_CPUS_MAX && cpu < CPU_SETSIZE; cpu++)
		if (ps_cpus_has(cpus, cpu))
			CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set) == 0)
		return PS_OK;
	char text[PS_CPUS_SIZE];
	return ps_error_errno(err, errno, "cannot run on CPUs %s", ps_cpus_format(cpus, text));
}

/* Of the cache behind the first one, its share for one of the CPUs that have it in common; 0: the
 * system does not say. */
static int64_t own_cache_bytes(const struct ps_cpus *cpus)
{
	char path[96], *text;
	struct ps_cpus sharing;
	size_t len;
	long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
	int n = 1;
	snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cache/index2/shared_cpu_list",
		 ps_cpus_nth(cpus, 0));
	if (bytes > 0 && ps_file_read(path, 4096, &text, &len, NULL) == PS_OK) {
		text[strcspn(text, "\n")] = '\0';
		if (ps_cpus_parse(text, &sharing, NULL) == PS_OK && ps_cpus_count(&sharing) > 0)
			n = ps_cpus_count(&sharing);
		free(text);
	}
	return bytes > 0 ? bytes / n : 0;
}

static enum ps_status make_dispatch(struct ps_serve *s, struct ps_error *err)
{
	const struct ps_serve_config *c = s->snapshot->config;
	struct ps_dispatch_memory memory;
	enum ps_status status = ps_serve_memory_of(c, &memory, err);
	if (status != PS_OK)
		return status;
	const struct ps_dispatch_config config = {
		.tenancy = s->snapshot->tenancy,
		.repo = s->repo,
		.n_lanes = ps_exec_lanes(s->exec),
		.reserve_lanes = (int)c->reserve_lanes,
		.cpus = s->width,
		.wide = c->width == PS_SERVE_WIDE,
		.auto_width = c->width == PS_SERVE_AUTO,
		.best_effort_floor = c->best_effort_floor,
		.max_waiting = c->max_waiting,
		.here_max_ns = c->run_here_max,
		.cache_bytes = c->keep_caches ? own_cache_bytes(ps_exec_cpus(s->exec)) : 0,
		.memory = memory,
	};
	struct ps_dispatch *d;
	status = ps_dispatch_new(&config, &d, err);
	if (status != PS_OK)
		return status;
	pthread_mutex_lock(&s->lock); /* the lanes are asking already */
	s->dispatch = d;
	pthread_mutex_unlock(&s->lock);
	return PS_OK;
}

enum ps_status ps_serve_configure(struct ps_serve *s, struct ps_error *err)
{
	struct ps_serve_config *config;
	enum ps_status status = ps_serve_config_load(s->options, &config, err);
	if (status != PS_OK)
		return status;
	status = ps_serve_snapshot_new(config, NULL, &s->snapshot, err);
	if (status != PS_OK)
		ps_serve_config_free(config);
	else if (ps_repo_new(&s->repo) != PS_OK)
		status = ps_error_set(err, PS_ENOMEM, "out of memory");
	return status;
}

enum ps_status ps_serve_start_runs(struct ps_serve *s, struct ps_error *err)
{
	enum ps_status status = pin_to_slice(s, err);
	if (status == PS_OK)
		status = start_exec(s, err);
	if (status == PS_OK)
		status = make_dispatch(s, err);
	return status;
}

static enum ps_status start_observer(struct ps_serve *s, struct ps_error *err)
{
	enum ps_status status = ps_serve_observe_new(s, s->n_ios, &s->observe, err);
	return status == PS_OK ? ps_serve_observe_start(s->observe, err) : status;
}

/* The ports first: that one is taken should be known before anything slow begins. */
static enum ps_status start(struct ps_serve *s, struct ps_error *err)
{
	enum ps_status status = ps_serve_configure(s, err);
	if (status == PS_OK)
		status = ps_serve_open_ios(s, err);
	if (status == PS_OK)
		status = watch_signals(s, err);
	if (status == PS_OK)
		status = ps_serve_start_runs(s, err);
	if (status == PS_OK)
		status = start_observer(s, err);
	if (status == PS_OK)
		status = ps_serve_start_loaders(s, err);
	if (status == PS_OK)
		status = ps_serve_apply_models(s, s->snapshot, NULL, err);
	if (status == PS_OK)
		status = ps_serve_start_ios(s, err);
	return status;
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

/* A request whose answer went to nobody was cut off, or its client had left. */
static void say_drained(const struct ps_serve *s)
{
	if (!atomic_load(&s->draining))
		return;
	ps_log(PS_LOG_INFO, "serve",
	       "drained in %.1f s: %lld requests answered since, %lld dropped",
	       (double)(ps_clock_now_ns() - s->drain_began_ns) / (double)PS_NS_PER_SEC,
	       (long long)atomic_load(&s->drain_answered),
	       (long long)atomic_load(&s->drain_dropped));
}

/* Who posts to whom ends first: I/O threads, then loaders, then lanes, then the books. */
static void stop(struct ps_serve *s)
{
	if (s->signals.watch.loop)
		ps_evloop_signals_close(&s->signals);
	ps_serve_join_ios(s);
	say_drained(s);
	if (ps_serve_is_loading(s))
		let_signals_end();
	ps_serve_reload_stop(s);
	ps_serve_stop_loaders(s);
	if (s->exec)
		ps_exec_drain(s->exec);
	if (s->observe)
		ps_serve_observe_stop(s->observe);
	ps_serve_close_models(s);
	ps_serve_observe_free(s->observe);
	ps_serve_free_ios(s);
	ps_dispatch_free(s->dispatch);
	ps_repo_free(s->repo);
	ps_serve_snapshot_unref(s->snapshot);
}

enum ps_status ps_serve_new(const struct ps_serve_options *options, struct ps_serve **ret_server,
			    struct ps_error *err)
{
	struct ps_serve *s = calloc(1, sizeof *s);
	if (!s) {
		ps_error_set(err, PS_ENOMEM, "out of memory");
		return PS_ENOMEM;
	}
	s->options = options;
	s->ready_fd = options->ready_fd;
	s->started_ns = ps_clock_now_ns();
	s->started_wall_ns = ps_clock_wall_ns();
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->snapshot_lock, NULL);
	pthread_mutex_init(&s->engines_lock, NULL);
	*ret_server = s;
	return PS_OK;
}

void ps_serve_free(struct ps_serve *s)
{
	if (!s)
		return;
	stop(s);
	free(s->planning);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->snapshot_lock);
	pthread_mutex_destroy(&s->engines_lock);
	free(s);
}

static enum ps_status serve(struct ps_serve *s, struct ps_error *err)
{
	enum ps_status status = start(s, err);
	if (status != PS_OK)
		return status;
	ps_serve_kick_loaders(s);
	if (!ps_thread_urgent()) /* the lanes and the observer were started before */
		ps_log(PS_LOG_INFO, "serve",
		       "I/O threads may not become less nice (CAP_SYS_NICE or RLIMIT_NICE): "
		       "where lanes compute on all CPUs, single answers come some ms later");
	status = ps_evloop_run(s->ios[0].loop, err);
	if (status == PS_OK && s->result != PS_OK) {
		*err = s->result_err;
		status = s->result;
	}
	return status;
}

enum ps_status ps_serve_run(const struct ps_serve_options *options, struct ps_error *err)
{
	struct ps_error own = {0};
	struct ps_serve *s;
	err = err ? err : &own;
	enum ps_status status = ps_serve_new(options, &s, err);
	if (status != PS_OK)
		return status;
	(void)ps_net_raise_descriptors();
	status = serve(s, err);
	if (s->ready_fd >= 0 && status != PS_OK)
		ps_serve_write_error_line(s, err);
	if (s->ready_fd >= 0)
		close(s->ready_fd);
	ps_serve_free(s);
	return status;
}
