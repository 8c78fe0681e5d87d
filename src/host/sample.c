/* sample.c - the watcher: a thread that reads the sources, each as often as it is cheap. */
#include "host/watch_internal.h"

#include "base/clock.h"
#include "host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Shares of one core: together under PS_HOST_WATCH_SHARE, with room for what comes once. */
#define SHARE_COMMON  0.0025
#define SHARE_THREADS 0.0005
#define SHARE_TABLES  0.0005
#define SHARE_GPU     0.0007
#define SHARE_FREQ    0.0003
#define MAX_COST_NS   PS_NS_PER_SEC /* a reading thought dearer than this waits no longer */

enum source { COMMON, THREADS, TABLES, GPU, FREQ, SOURCES };

struct ps_host_watcher {
	pthread_t thread;
	int stop_fds[2]; /* a pipe: closing its write end ends the thread */
	struct ps_host_watch what;
	/* the thread's until it is joined */
	struct ps_host_pace paces[SOURCES];
	struct ps_host_tracked server, self;
	struct ps_host_counters counters;
	struct ps_host_machine_files machine;
	struct ps_host_nvml *nvml;
	struct ps_host_absences absent;
	struct ps_host_sample *samples;
	size_t len, cap;
	struct ps_host_gpu_sample *gpus;
	size_t gpu_len, gpu_cap;
	int64_t begun_ns, cost_ns;
};

/* ---- pace ---- */

bool ps_host_pace_due(const struct ps_host_pace *p, int64_t now_ns)
{
	return now_ns >= p->next_ns;
}

void ps_host_pace_spent(struct ps_host_pace *p, int64_t now_ns, int64_t cost_ns)
{
	double wait = (double)(cost_ns < MAX_COST_NS ? cost_ns : MAX_COST_NS) / p->share;
	p->next_ns = now_ns + (wait > (double)p->least_ns ? (int64_t)wait : p->least_ns);
}

static void spend(struct ps_host_watcher *w, enum source s, int64_t since_cpu_ns)
{
	ps_host_pace_spent(&w->paces[s], ps_clock_now_ns(),
			   ps_clock_thread_cpu_ns() - since_cpu_ns);
}

/* ---- one sample ---- */

/* Room for one more, or NULL: then it is one sample less. */
static void *add(void *items, size_t *len, size_t *cap, size_t size, void **ret_items)
{
	if (*len == *cap) {
		size_t more = *cap ? *cap * 2 : 64;
		void *grown = realloc(items, more * size);
		if (!grown) {
			return NULL;
		}
		*ret_items = items = grown;
		*cap = more;
	}
	void *item = (char *)items + (*len)++ * size;
	memset(item, 0, size);
	return item;
}

/* A long watch keeps its whole span at half the rate. */
static void thin(struct ps_host_watcher *w)
{
	if (w->len < PS_HOST_WATCH_SAMPLES) {
		return;
	}
	for (size_t i = 0; 2 * i < w->len; i++) {
		w->samples[i] = w->samples[2 * i];
	}
	w->len = (w->len + 1) / 2;
	w->paces[COMMON].least_ns *= 2;
}

static void read_server(struct ps_host_watcher *w, struct ps_host_sample *x)
{
	static const struct ps_host_usage nobody = {-1, -1, -1, -1, -1, -1, -1, -1,
						    -1, -1, -1, -1, -1, -1, -1, -1};
	x->server = nobody;
	if (w->what.server > 0 && ps_host_tracked_read(&w->server, &x->server) &&
	    w->counters.len > 0) {
		ps_host_counters_read(&w->counters, &x->server);
		w->server.last = x->server;
	}
}

static void read_gpus(struct ps_host_watcher *w, int64_t at_ns)
{
	for (int i = 0; i < ps_host_nvml_count(w->nvml); i++) {
		void *items = w->gpus;
		struct ps_host_gpu_sample *g =
			w->gpu_len < PS_HOST_WATCH_GPU_ROWS
				? add(w->gpus, &w->gpu_len, &w->gpu_cap, sizeof(*g), &items)
				: NULL;
		w->gpus = items;
		if (g) {
			g->gpu = i;
			g->at_ns = at_ns;
			ps_host_nvml_read(w->nvml, i, w->what.server, g);
		}
	}
}

/* What is dear, each by its own pace. At the last sample everything is read: the load is over. */
static void read_dear(struct ps_host_watcher *w, struct ps_host_sample *x, bool last)
{
	int64_t now = x->at_ns, cpu;
	bool server = w->what.server > 0;
	if (last || ps_host_pace_due(&w->paces[THREADS], now)) {
		cpu = ps_clock_thread_cpu_ns();
		if (server) {
			ps_host_tracked_read_more(&w->server, &x->server);
		}
		ps_host_tracked_read_more(&w->self, &x->self);
		spend(w, THREADS, cpu);
	}
	if (server && (last || ps_host_pace_due(&w->paces[TABLES], now))) {
		cpu = ps_clock_thread_cpu_ns();
		ps_host_page_tables(w->what.server, &x->server);
		spend(w, TABLES, cpu);
	}
	if (w->nvml && (last || ps_host_pace_due(&w->paces[GPU], now))) {
		cpu = ps_clock_thread_cpu_ns();
		read_gpus(w, now);
		spend(w, GPU, cpu);
	}
	if (w->machine.freq_len > 0 && (last || ps_host_pace_due(&w->paces[FREQ], now))) {
		cpu = ps_clock_thread_cpu_ns();
		x->cpu_khz = ps_host_machine_khz(&w->machine);
		spend(w, FREQ, cpu);
	}
}

static void take(struct ps_host_watcher *w, bool last)
{
	int64_t cpu = ps_clock_thread_cpu_ns();
	thin(w);
	void *items = w->samples;
	struct ps_host_sample *x = add(w->samples, &w->len, &w->cap, sizeof(*x), &items);
	w->samples = items;
	if (!x) {
		return;
	}
	x->cpu_khz = -1;
	read_server(w, x);
	(void)ps_host_tracked_read(&w->self, &x->self);
	ps_host_machine_read(&w->machine, x);
	x->at_ns = ps_clock_now_ns();
	spend(w, COMMON, cpu);
	read_dear(w, x, last);
	w->cost_ns += ps_clock_thread_cpu_ns() - cpu;
}

/* The first reading of page tables must wait as long as a reading of this size earns. */
static void first_tables(struct ps_host_watcher *w)
{
	enum { NS_PER_PAGE = 60 };
	int64_t pages = w->samples[0].server.rss_bytes / sysconf(_SC_PAGESIZE);
	ps_host_pace_spent(&w->paces[TABLES], w->samples[0].at_ns,
			   pages > 0 ? pages * NS_PER_PAGE : 0);
}

static void *watcher_main(void *arg)
{
	struct ps_host_watcher *w = arg;
	int64_t next = ps_clock_now_ns();
	for (;;) {
		const struct ps_host_pace *p = &w->paces[COMMON];
		next += p->least_ns;
		next = next > p->next_ns - p->least_ns / 4 ? next : p->next_ns;
		int64_t left = next - ps_clock_now_ns();
		struct pollfd fd = {.fd = w->stop_fds[0], .events = POLLIN};
		int ms = left > 0 ? (int)((left + PS_NS_PER_MS - 1) / PS_NS_PER_MS) : 0;
		if (poll(&fd, 1, ms) > 0) {
			return NULL;
		}
		take(w, false);
	}
}

/* ---- life ---- */

static void open_sources(struct ps_host_watcher *w)
{
	struct ps_cpus allowed = ps_host_cpus_allowed();
	const struct ps_cpus *cpus = ps_cpus_count(&w->what.cpus) > 0 ? &w->what.cpus : &allowed;
	ps_host_machine_open(&w->machine, w->what.server, cpus, &w->absent);
	ps_host_track(&w->self, getpid(), &w->absent);
	if (w->what.server > 0) {
		ps_host_track(&w->server, w->what.server, &w->absent);
	} else {
		ps_host_absent_say(&w->absent, "server", "it runs on another machine");
	}
	if (w->what.no_counters) {
		ps_host_absent_say(&w->absent, "counters", "not asked for");
	} else if (w->what.server > 0) {
		ps_host_counters_open(&w->counters, w->what.server, &w->absent);
	}
	if (w->what.no_gpu) {
		ps_host_absent_say(&w->absent, "gpu", "not asked for");
	} else {
		w->nvml = ps_host_nvml_open(w->what.nvml, &w->absent);
	}
}

static void close_sources(struct ps_host_watcher *w)
{
	ps_host_machine_close(&w->machine);
	ps_host_untrack(&w->self);
	if (w->what.server > 0) {
		ps_host_untrack(&w->server);
	}
	ps_host_counters_close(&w->counters);
	ps_host_nvml_close(w->nvml);
}

static enum ps_status start_thread(struct ps_host_watcher *w, struct ps_error *err)
{
	if (pipe2(w->stop_fds, O_CLOEXEC) != 0) {
		return ps_error_errno(err, errno, "cannot watch the machine");
	}
	int e = pthread_create(&w->thread, NULL, watcher_main, w);
	if (e == 0) {
		return PS_OK;
	}
	(void)close(w->stop_fds[0]);
	(void)close(w->stop_fds[1]);
	return ps_error_errno(err, e, "cannot watch the machine");
}

enum ps_status ps_host_watch_start(const struct ps_host_watch *what,
				   struct ps_host_watcher **ret_watcher, struct ps_error *err)
{
	struct ps_host_watcher *w = calloc(1, sizeof(*w));
	if (!w) {
		return ps_error_set(err, PS_ENOMEM, "no memory to watch the machine");
	}
	w->what = *what;
	int64_t period = what->period_ns > 0 ? what->period_ns : PS_HOST_WATCH_PERIOD_NS;
	const struct ps_host_pace paces[SOURCES] = {
		[COMMON] = {period, SHARE_COMMON, 0},
		[THREADS] = {PS_NS_PER_SEC, SHARE_THREADS, 0},
		[TABLES] = {5 * PS_NS_PER_SEC, SHARE_TABLES, INT64_MAX},
		[GPU] = {period, SHARE_GPU, 0},
		[FREQ] = {PS_NS_PER_SEC, SHARE_FREQ, 0},
	};
	memcpy(w->paces, paces, sizeof(paces));
	open_sources(w);
	w->begun_ns = ps_clock_now_ns();
	take(w, false);
	enum ps_status st =
		w->len > 0 ? PS_OK : ps_error_set(err, PS_ENOMEM, "no memory to watch the machine");
	if (st == PS_OK) {
		first_tables(w);
		w->cost_ns = 0; /* the first sample is taken before what is watched begins */
		st = start_thread(w, err);
	}
	if (st != PS_OK) {
		close_sources(w);
		free(w->samples);
		free(w->gpus);
		free(w);
		return st;
	}
	*ret_watcher = w;
	return PS_OK;
}

static json_t *about(const struct ps_host_watcher *w)
{
	json_t *o = json_object(), *absent = json_object();
	for (int i = 0; i < w->absent.len; i++) {
		ps_json_set_string(absent, w->absent.items[i].what, w->absent.items[i].reason);
	}
	(void)json_object_set_new(o, "absent", absent);
	if (w->nvml) {
		(void)json_object_set_new(o, "gpu", ps_host_nvml_json(w->nvml));
	}
	return o;
}

void ps_host_watch_stop(struct ps_host_watcher *w, struct ps_host_watched *ret_watched)
{
	(void)close(w->stop_fds[1]); /* poll sees the end of the pipe */
	(void)pthread_join(w->thread, NULL);
	(void)close(w->stop_fds[0]);
	struct ps_host_watched r = {
		.period_ns = w->paces[COMMON].least_ns,
		.cost_ns = w->cost_ns,
		.span_ns = ps_clock_now_ns() - w->begun_ns,
	};
	take(w, true);
	r.samples = w->samples;
	r.len = w->len;
	r.gpus = w->gpus;
	r.gpu_len = w->gpu_len;
	r.about = about(w);
	close_sources(w);
	free(w);
	*ret_watched = r;
}

void ps_host_watched_fini(struct ps_host_watched *w)
{
	free(w->samples);
	free(w->gpus);
	json_decref(w->about);
	memset(w, 0, sizeof(*w));
}

json_t *ps_host_watched_json(const struct ps_host_watched *w)
{
	json_t *o = w->about ? json_deep_copy(w->about) : json_object();
	ps_json_set_int(o, "period_ns", w->period_ns);
	ps_json_set_int(o, "samples", (int64_t)w->len);
	ps_json_set_real(o, "cost_share",
			 w->span_ns > 0 ? (double)w->cost_ns / (double)w->span_ns : NAN);
	return o;
}
