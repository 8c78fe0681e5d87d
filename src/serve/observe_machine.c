/* observe_machine.c - queues of tenants, and what only the operator sees: models, lanes,
 * connections, logs, the process. */
#include "base/clock.h"
#include "serve/metrics_page_internal.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void put_plain(struct ps_serve_page *p, enum ps_serve_metric m, int64_t v)
{
	ps_serve_begin(p, m);
	ps_metrics_int(&p->w, NULL, 0, v);
}

static void put_real(struct ps_serve_page *p, enum ps_serve_metric m, double v)
{
	ps_serve_begin(p, m);
	ps_metrics_real(&p->w, NULL, 0, v);
}

/* --- tenants --- */

struct tenant_view {
	int tenant;
	struct ps_dispatch_view view;
};

static int compare_ints(const void *a, const void *b)
{
	const struct tenant_view *x = a, *y = b;
	return (x->tenant > y->tenant) - (x->tenant < y->tenant);
}

/* The tenants that have series, once each. */
static struct tenant_view *list_tenants(const struct ps_serve_page *p, size_t *ret_n)
{
	struct tenant_view *list = calloc(p->n_series + 1, sizeof *list);
	size_t n = 0, kept = 0;
	for (size_t i = 0; list && i < p->n_series; i++)
		if (p->series[i]->tenant != PS_SERVE_OTHER)
			list[n++].tenant = p->series[i]->tenant;
	if (n > 0)
		qsort(list, n, sizeof *list, compare_ints);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || list[i].tenant != list[kept - 1].tenant)
			list[kept++] = list[i];
	*ret_n = kept;
	return list;
}

/* Each under the dispatcher's mutex for a moment only: requests must not wait for a page. */
static void look_at(const struct ps_serve_page *p, struct tenant_view *list, size_t n)
{
	struct ps_serve *s = p->server;
	for (size_t i = 0; i < n; i++) {
		pthread_mutex_lock(&s->lock);
		if (s->dispatch)
			ps_dispatch_view_get(s->dispatch, list[i].tenant, ps_clock_now_ns(),
					     &list[i].view);
		pthread_mutex_unlock(&s->lock);
	}
}

void ps_serve_put_tenants(struct ps_serve_page *p)
{
	static const enum ps_serve_metric metrics[] = {PS_M_T_WAITING, PS_M_T_RUNNING, PS_M_T_COST,
						       PS_M_T_LAG};
	size_t n;
	struct tenant_view *list = list_tenants(p, &n);
	if (!list) {
		p->w.out->failed = true;
		return;
	}
	look_at(p, list, n);
	for (int k = 0; k < 4; k++) {
		ps_serve_begin(p, metrics[k]);
		for (size_t i = 0; i < n; i++) {
			const struct ps_dispatch_view *v = &list[i].view;
			const struct ps_metrics_label l = {
				"tenant", ps_tenancy_name(p->snapshot->tenancy, list[i].tenant)};
			const double values[] = {(double)v->waiting, (double)v->running,
						 (double)v->cost_ns * 1e-9,
						 (double)v->lag_ns * 1e-9};
			ps_metrics_real(&p->w, &l, 1, values[k]);
		}
	}
	int *tenants = calloc(n + 1, sizeof *tenants);
	for (size_t i = 0; tenants && i < n; i++)
		tenants[i] = list[i].tenant;
	if (tenants)
		ps_serve_put_residency(p, tenants, n);
	free(tenants);
	free(list);
}

/* --- models --- */

struct model_view {
	const char *name;
	char version[PS_SERVE_VERSION_SIZE];
	enum ps_repo_state state;
	bool loaded;
	struct ps_repo_facts facts;
	struct ps_serve_loads loads;
};

static struct model_view *list_models(struct ps_serve *s, int *ret_n, int64_t *ret_resident)
{
	pthread_mutex_lock(&s->lock);
	int n = ps_repo_count(s->repo);
	struct model_view *list = calloc((size_t)n + 1, sizeof *list);
	for (int i = 0; list && i < n; i++) {
		const struct ps_repo_model *m = ps_repo_get(s->repo, i);
		int in = ps_repo_serving(s->repo, i, PS_REPO_SHARED);
		list[i].name = m->name;
		snprintf(list[i].version, sizeof list[i].version, "%s", m->version_text);
		list[i].state = ps_repo_state_of(s->repo, i, PS_REPO_SHARED);
		list[i].loaded = in >= 0;
		if (in >= 0)
			list[i].facts = ps_repo_instance_get(s->repo, in)->facts;
	}
	*ret_resident = ps_repo_resident_bytes(s->repo);
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_lock(&s->observe->lock);
	for (int i = 0; list && i < n && i < s->observe->n_loads; i++)
		list[i].loads = s->observe->loads[i];
	pthread_mutex_unlock(&s->observe->lock);
	*ret_n = list ? n : 0;
	return list;
}

static void put_states(struct ps_serve_page *p, const struct model_view *list, int n)
{
	int counts[PS_REPO_STATE_COUNT] = {0};
	for (int i = 0; i < n; i++)
		counts[list[i].state]++;
	ps_serve_begin(p, PS_M_MODELS);
	for (int i = 0; i < PS_REPO_STATE_COUNT; i++) {
		const struct ps_metrics_label l[] = {
			{"state", ps_repo_index_state((enum ps_repo_state)i)},
			{"reason", i == PS_REPO_FAILED	   ? "failed"
				   : i == PS_REPO_UNLOADED ? "unloaded"
				   : i == PS_REPO_ON_DISK  ? "on_disk"
							   : ""}};
		ps_metrics_int(&p->w, l, 2, counts[i]);
	}
}

static void put_memory(struct ps_serve_page *p, const struct model_view *list, int n)
{
	ps_serve_begin(p, PS_M_MEMORY);
	for (int i = 0; i < n; i++) {
		const struct ps_repo_facts *f = &list[i].facts;
		const struct {
			const char *kind;
			int64_t bytes;
		} kinds[] = {{"private", f->private_bytes},
			     {"mapped", f->mapped_bytes},
			     {"device", f->device_bytes}};
		for (int k = 0; list[i].loaded && k < 3; k++) {
			const struct ps_metrics_label l[] = {{"model", list[i].name},
							     {"version", list[i].version},
							     {"kind", kinds[k].kind}};
			ps_metrics_int(&p->w, l, 3, kinds[k].bytes);
		}
	}
}

static void put_loads(struct ps_serve_page *p, const struct model_view *list, int n)
{
	ps_serve_begin(p, PS_M_LOADS);
	for (int i = 0; i < n; i++) {
		struct ps_metrics_label l[] = {
			{"model", list[i].name}, {"version", list[i].version}, {"result", "ok"}};
		ps_metrics_int(&p->w, l, 3, (int64_t)list[i].loads.loaded);
		l[2].value = "failed";
		ps_metrics_int(&p->w, l, 3, (int64_t)list[i].loads.failed);
	}
}

static void put_model_reals(struct ps_serve_page *p, const struct model_view *list, int n)
{
	static const enum ps_serve_metric metrics[] = {PS_M_LOAD_SECONDS, PS_M_UNLOADS,
						       PS_M_NV_LOAD};
	for (int k = 0; k < 3; k++) {
		ps_serve_begin(p, metrics[k]);
		for (int i = 0; i < n; i++) {
			const struct ps_metrics_label l[] = {{"model", list[i].name},
							     {"version", list[i].version}};
			const double values[] = {(double)list[i].loads.sum_ns * 1e-9,
						 (double)list[i].loads.unloaded,
						 (double)list[i].facts.load_ns * 1e-9};
			if (metrics[k] != PS_M_NV_LOAD || list[i].loaded)
				ps_metrics_real(&p->w, l, 2, values[k]);
		}
	}
}

static void put_steps(struct ps_serve_page *p)
{
	static const char *const names[PS_SERVE_LOAD_STEPS] = {"hash", "wait", "convert", "open"};
	struct ps_serve_observe *o = p->server->observe;
	if (!p->server->dispatch || !ps_dispatch_on_demand(p->server->dispatch))
		return;
	pthread_mutex_lock(&o->lock);
	struct ps_serve_load_steps steps = o->steps;
	pthread_mutex_unlock(&o->lock);
	ps_serve_begin(p, PS_M_LOAD_STEPS);
	for (int k = 0; k < PS_SERVE_LOAD_STEPS; k++)
		ps_metrics_int(&p->w, &(struct ps_metrics_label){"step", names[k]}, 1,
			       (int64_t)steps.n[k]);
	ps_serve_begin(p, PS_M_LOAD_STEP_SECONDS);
	for (int k = 0; k < PS_SERVE_LOAD_STEPS; k++)
		ps_metrics_real(&p->w, &(struct ps_metrics_label){"step", names[k]}, 1,
				(double)steps.sum_ns[k] * 1e-9);
}

/* The bound on series holds for models as well. */
static void put_models(struct ps_serve_page *p)
{
	int64_t resident = 0;
	int n;
	struct model_view *list = list_models(p->server, &n, &resident);
	put_states(p, list, n);
	put_plain(p, PS_M_RESIDENT, resident);
	if ((size_t)n > p->server->observe->max_series)
		n = (int)p->server->observe->max_series;
	put_memory(p, list, n);
	put_loads(p, list, n);
	put_steps(p);
	put_model_reals(p, list, n);
	free(list);
}

/* --- lanes and queues --- */

static void put_lanes(struct ps_serve_page *p)
{
	struct ps_serve *s = p->server;
	int lanes = s->exec ? ps_exec_lanes(s->exec) : 0;
	int64_t waiting = 0, running = 0;
	pthread_mutex_lock(&s->lock);
	if (s->dispatch) {
		waiting = ps_dispatch_waiting(s->dispatch);
		running = ps_dispatch_running(s->dispatch);
	}
	pthread_mutex_unlock(&s->lock);
	put_plain(p, PS_M_LANES, lanes);
	put_plain(p, PS_M_LANES_BUSY, running);
	put_plain(p, PS_M_WAITING, waiting);
	put_plain(p, PS_M_NV_PENDING, waiting);
	for (int k = 0; k < 2; k++) {
		ps_serve_begin(p, k == 0 ? PS_M_LANE_BUSY : PS_M_LANE_RUNS);
		for (int i = 0; i < lanes; i++) {
			struct ps_exec_lane_stats stats;
			char number[16];
			const struct ps_metrics_label l = {"lane", number};
			snprintf(number, sizeof number, "%d", i);
			ps_exec_stats(s->exec, i, &stats);
			ps_metrics_real(&p->w, &l, 1,
					k == 0 ? (double)stats.busy_ns * 1e-9 : (double)stats.runs);
		}
	}
}

/* --- what I/O threads count --- */

struct io_sums {
	uint64_t events[PS_SERVE_EVENT_COUNT];
	uint64_t routes[PS_OIP_ROUTE_COUNT][PS_STATUS_COUNT];
	uint64_t log_dropped, accepted, handshakes_failed, refused, buffered;
	int64_t open;
};

static void sum_ios(struct ps_serve_observe *o, struct io_sums *t)
{
	for (int i = 0; i < o->n_ios; i++) {
		struct ps_serve_observe_io *io = &o->ios[i];
		pthread_mutex_lock(&io->lock);
		for (int k = 0; k < PS_SERVE_EVENT_COUNT; k++)
			t->events[k] += io->events[k];
		for (int r = 0; r < PS_OIP_ROUTE_COUNT; r++)
			for (int k = 0; k < PS_STATUS_COUNT; k++)
				t->routes[r][k] += io->routes[r][k];
		t->log_dropped += io->log_dropped;
		t->accepted += io->net.accepted;
		t->handshakes_failed += io->net.handshakes_failed;
		t->refused += io->net.refused;
		t->buffered += io->net.buffered_bytes;
		t->open += io->net.open;
		pthread_mutex_unlock(&io->lock);
	}
}

static void put_calls(struct ps_serve_page *p, const struct io_sums *t)
{
	ps_serve_begin(p, PS_M_CALLS);
	for (int r = 0; r < PS_OIP_ROUTE_COUNT; r++)
		for (int k = 0; k < PS_STATUS_COUNT; k++) {
			const struct ps_metrics_label l[] = {
				{"route", ps_oip_route_name((enum ps_oip_route)r)},
				{"status", ps_status_name((enum ps_status)k)}};
			if (t->routes[r][k] > 0)
				ps_metrics_int(&p->w, l, 2, (int64_t)t->routes[r][k]);
		}
}

static void put_ios(struct ps_serve_page *p)
{
	static const char *const events[] = {"missing", "wrong", "blocked"};
	struct io_sums t = {0};
	sum_ios(p->server->observe, &t);
	ps_serve_begin(p, PS_M_KEYS);
	for (int k = 0; k < PS_SERVE_EVENT_COUNT; k++) {
		const struct ps_metrics_label l = {"reason", events[k]};
		ps_metrics_int(&p->w, &l, 1, (int64_t)t.events[k]);
	}
	put_calls(p, &t);
	put_plain(p, PS_M_CONNECTIONS, t.open);
	put_plain(p, PS_M_ACCEPTED, (int64_t)t.accepted);
	put_plain(p, PS_M_HANDSHAKES, (int64_t)t.handshakes_failed);
	put_plain(p, PS_M_REFUSED, (int64_t)t.refused);
	put_plain(p, PS_M_BUFFERED, (int64_t)t.buffered);
	put_plain(p, PS_M_LOG_DROPPED, (int64_t)t.log_dropped);
}

/* --- the server and its process --- */

static void put_server(struct ps_serve_page *p)
{
	struct ps_serve_observe *o = p->server->observe;
	const struct ps_metrics_label ok = {"result", "ok"}, refused = {"result", "refused"};
	const struct ps_metrics_label used = {"which", "used"}, own = {"which", "own_series"};
	size_t pairs = ps_serve_pairs(o);
	put_real(p, PS_M_LEDGER_AT, (double)atomic_load(&o->ledger_wall_ns) * 1e-9);
	put_plain(p, PS_M_LEDGER_FAILED, (int64_t)atomic_load(&o->ledger_failures));
	put_plain(p, PS_M_GENERATION, (int64_t)p->snapshot->generation);
	ps_serve_begin(p, PS_M_RELOADS);
	ps_metrics_int(&p->w, &ok, 1, (int64_t)atomic_load(&o->reloads));
	ps_metrics_int(&p->w, &refused, 1, (int64_t)atomic_load(&o->reloads_refused));
	size_t tenants = p->snapshot->config->tenants.len;
	put_plain(p, PS_M_TENANTS, tenants ? (int64_t)tenants : 1);
	ps_serve_begin(p, PS_M_SERIES);
	ps_metrics_int(&p->w, &used, 1, (int64_t)pairs);
	ps_metrics_int(&p->w, &own, 1, (int64_t)(pairs < o->max_series ? pairs : o->max_series));
	put_plain(p, PS_M_UP, atomic_load(&p->server->ready));
}

static int64_t count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int64_t n = -3; /* ".", ".." and this one */
	if (!d)
		return 0;
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static int64_t count_threads(void)
{
	char line[256];
	int64_t n = 0;
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, "Threads:", 8) == 0)
			n = strtol(line + 8, NULL, 10);
	if (f)
		fclose(f);
	return n;
}

static void put_process(struct ps_serve_page *p)
{
	struct rlimit limit = {0};
	int64_t total = 0, resident = 0, page = sysconf(_SC_PAGESIZE);
	FILE *f = fopen("/proc/self/statm", "r");
	if (f && fscanf(f, "%" SCNd64 " %" SCNd64, &total, &resident) != 2)
		total = resident = 0;
	if (f)
		fclose(f);
	put_real(p, PS_M_CPU, (double)ps_clock_cpu_ns() * 1e-9);
	put_plain(p, PS_M_RSS, resident * page);
	put_plain(p, PS_M_VSIZE, total * page);
	put_plain(p, PS_M_FDS, count_fds());
	getrlimit(RLIMIT_NOFILE, &limit);
	put_plain(p, PS_M_MAX_FDS, (int64_t)limit.rlim_cur);
	put_plain(p, PS_M_THREADS, count_threads());
	put_real(p, PS_M_START, (double)p->server->started_wall_ns * 1e-9);
}

void ps_serve_put_machine(struct ps_serve_page *p)
{
	put_models(p);
	ps_serve_put_memory(p);
	put_lanes(p);
	put_ios(p);
	put_server(p);
	put_process(p);
}
