/* memory.c - the budget of memory for loaded models: what the configuration says, what opening a
 * model takes, and calls that wait for their model. What to load and whom to evict dispatch
 * decides.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "serve/admin_internal.h"
#include "serve/observe_parts_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- the memory of the slice --- */

/* The limit in a file of a control group; INT64_MAX: it says none. */
static int64_t read_limit(const char *path)
{
	char text[64];
	int64_t bytes = INT64_MAX;
	FILE *f = fopen(path, "re");
	if (!f)
		return INT64_MAX;
	if (!fgets(text, sizeof text, f))
		text[0] = '\0';
	fclose(f);
	text[strcspn(text, "\n")] = '\0';
	if (ps_units_parse_int(text, &bytes, NULL) != PS_OK || bytes <= 0)
		return INT64_MAX; /* "max" */
	return bytes;
}

/* The least of the limits from a group up to the root. `group` is cut on the way. */
static int64_t least_limit(const char *mount, char *group, const char *file)
{
	int64_t least = INT64_MAX;
	char path[4400];
	for (;;) {
		snprintf(path, sizeof path, "%s%s/%s", mount, group, file);
		int64_t limit = read_limit(path);
		least = limit < least ? limit : least;
		char *slash = strrchr(group, '/');
		if (!slash)
			return least;
		*slash = '\0';
	}
}

/* What the process may use: its control group's limit, or the machine's memory. */
static int64_t slice_bytes(void)
{
	int64_t bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE);
	char line[4200];
	FILE *f = fopen("/proc/self/cgroup", "re");
	while (f && fgets(line, sizeof line, f)) {
		int64_t limit = INT64_MAX;
		char *group = strrchr(line, ':');
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::", 3) == 0)
			limit = least_limit("/sys/fs/cgroup", group + 1, "memory.max");
		else if (group && strstr(line, ":memory:"))
			limit = least_limit("/sys/fs/cgroup/memory", group + 1,
					    "memory.limit_in_bytes");
		bytes = limit < bytes ? limit : bytes;
	}
	if (f)
		fclose(f);
	return bytes;
}

static enum ps_status parse_budget(const char *text, int64_t *ret_bytes, struct ps_error *err)
{
	size_t n = strlen(text);
	char number[32];
	double percent;
	if (n > 1 && n < sizeof number && text[n - 1] == '%') {
		snprintf(number, sizeof number, "%.*s", (int)n - 1, text);
		enum ps_status status = ps_units_parse_double(number, &percent, err);
		if (status == PS_OK && !(percent > 0 && percent <= 100))
			status = ps_error_set(err, PS_EINVAL, "a share is in (0%%, 100%%]");
		if (status == PS_OK)
			*ret_bytes = (int64_t)(percent / 100 * (double)slice_bytes());
		return status;
	}
	enum ps_status status = ps_units_parse_bytes(text, ret_bytes, err);
	if (status == PS_OK && *ret_bytes < 1)
		status = ps_error_set(err, PS_EINVAL, "a budget of 0 holds no model");
	return status;
}

/* What is promised to tenants must fit. */
static enum ps_status check_guarantees(const struct ps_serve_config *c, int64_t budget_bytes,
				       struct ps_error *err)
{
	const struct ps_serve_tenant_config *t = c->tenants.items;
	char sum[PS_UNITS_SIZE], budget[PS_UNITS_SIZE];
	int64_t left = budget_bytes;
	for (size_t i = 0; i < c->tenants.len; i++) {
		left -= t[i].memory;
		if (left >= 0)
			continue;
		ps_error_set(err, PS_EINVAL,
			     "tenants are guaranteed %s of memory so far, and model_memory is %s",
			     ps_units_format_bytes(budget_bytes - left, sum),
			     ps_units_format_bytes(budget_bytes, budget));
		return ps_serve_config_at(c, &t[i].where, "memory", err);
	}
	return PS_OK;
}

/* A policy may need a library: better known now than at the end of the first epoch. */
static enum ps_status check_policy(enum ps_cache_kind kind, struct ps_error *err)
{
	const struct ps_cache_tenant tenant = {.weight = 1};
	const struct ps_cache_item item = {.bytes = 1, .load_s = 1};
	const double demand = 1;
	const struct ps_cache_problem p = {.tenants = 1,
					   .items = 1,
					   .capacity_bytes = 1,
					   .tenant = &tenant,
					   .item = &item,
					   .demand = &demand};
	struct ps_cache_plan plan;
	enum ps_status status = ps_cache_plan_make(kind, &p, NULL, &plan, err);
	if (status == PS_OK)
		ps_cache_plan_free(&plan);
	else
		ps_error_where(err, "memory_policy");
	return status;
}

/* The first load of a file that ONNX Runtime opens converts it, where converted files are kept. */
static bool converts(const char *path)
{
	const struct ps_engine_ops *ops = ps_engine_for_path(path);
	return ops && strcmp(ops->name, "onnxruntime") == 0;
}

int ps_serve_max_loading(const struct ps_serve_config *c)
{
	enum { AS_IT_IS = 1, ON_DEMAND = 4 };
	if (c->max_loading > 0)
		return (int)c->max_loading;
	return c->model_memory ? ON_DEMAND : AS_IT_IS;
}

enum ps_status ps_serve_memory_of(const struct ps_serve_config *c,
				  struct ps_dispatch_memory *ret_memory, struct ps_error *err)
{
	enum ps_status status = PS_OK;
	*ret_memory = (struct ps_dispatch_memory){
		.policy = (enum ps_cache_kind)c->memory_policy,
		.epoch_ns = c->memory_epoch,
		.min_residency_ns = c->min_residency,
		.load_timeout_ns = c->load_timeout,
		.load_pause_ns = c->load_pause,
		.seed = (uint64_t)c->seed,
		.converts = c->cache && !*c->cache ? NULL : converts,
	};
	if (c->model_memory)
		status = parse_budget(c->model_memory, &ret_memory->budget_bytes, err);
	if (status != PS_OK)
		ps_error_where(err, "model_memory");
	if (status != PS_OK || !c->model_memory)
		return status;
	status = check_guarantees(c, ret_memory->budget_bytes, err);
	return status == PS_OK ? check_policy(ret_memory->policy, err) : status;
}

/* --- plans: the observer's thread --- */

struct ps_serve_planning {
	struct ps_serve_job job;
	struct ps_serve *server;
	struct ps_cache_job *plan;
	uint64_t number;
	enum ps_status status;
	struct ps_error err;
};

static void plan_work(struct ps_serve_job *job)
{
	struct ps_serve_planning *p = (struct ps_serve_planning *)job;
	p->status = ps_cache_job_run(p->plan, &p->err);
}

/* Not before the job is over: from then on there may be another plan, in the same memory. */
static void plan_done(struct ps_serve_job *job)
{
	struct ps_serve_planning *p = (struct ps_serve_planning *)job;
	struct ps_serve *s = p->server;
	pthread_mutex_lock(&s->lock);
	ps_dispatch_planned(s->dispatch, p->number, p->status, &p->err, ps_clock_now_ns());
	pthread_mutex_unlock(&s->lock);
	ps_serve_wake_loaders(s);
}

/* Dispatch has one plan under way at a time. */
void ps_serve_plan(struct ps_serve *s, const struct ps_dispatch_action *a)
{
	struct ps_error err;
	if (!s->planning)
		s->planning = calloc(1, sizeof *s->planning);
	if (!s->planning) {
		ps_error_set(&err, PS_ENOMEM, "out of memory");
		pthread_mutex_lock(&s->lock);
		ps_dispatch_planned(s->dispatch, a->plan_number, PS_ENOMEM, &err,
				    ps_clock_now_ns());
		pthread_mutex_unlock(&s->lock);
		return;
	}
	*s->planning = (struct ps_serve_planning){
		.job = {.work = plan_work, .done = plan_done, .loop = s->ios[0].loop},
		.server = s,
		.plan = a->plan,
		.number = a->plan_number,
	};
	ps_serve_observe_post(s->observe, &s->planning->job);
}

/* Once an epoch: what was drawn, when that is another set than before, and what went wrong. */
void ps_serve_say_epoch(struct ps_serve *s)
{
	struct ps_dispatch_policy_view v;
	int64_t said = atomic_load(&s->epochs_said);
	pthread_mutex_lock(&s->lock);
	int64_t epochs = ps_dispatch_epochs(s->dispatch);
	struct ps_error why = {0};
	if (epochs != said) {
		ps_dispatch_policy_view_get(s->dispatch, &v);
		why = v.failed ? *v.why : why;
	}
	pthread_mutex_unlock(&s->lock);
	if (epochs == said)
		return;
	atomic_store(&s->epochs_said, epochs);
	if (v.failed)
		ps_log(PS_LOG_WARN, "models", "memory_policy %s decides nothing: %s", v.name,
		       why.what);
	else if (v.switched)
		ps_log(PS_LOG_INFO, "models",
		       "memory_policy %s, epoch %lld: configuration %d of %d, drawn by %.6f and "
		       "%.6f; "
		       "its loads take %.3g s",
		       v.name, (long long)v.epochs, v.drawn + 1, v.configurations, v.u[0], v.u[1],
		       v.loads_s);
}

/* More may be pinned than fits; it stays. */
static void warn_of_pinned(struct ps_serve *s)
{
	struct ps_dispatch_memory_view v;
	char used[PS_UNITS_SIZE], budget[PS_UNITS_SIZE];
	pthread_mutex_lock(&s->lock);
	ps_dispatch_make_room(s->dispatch, ps_clock_now_ns());
	ps_dispatch_memory_view_get(s->dispatch, &v);
	pthread_mutex_unlock(&s->lock);
	if (v.used_bytes - v.leaving_bytes > v.budget_bytes)
		ps_log(PS_LOG_WARN, "models",
		       "model_memory is %s, and models that are pinned or being used hold %s",
		       ps_units_format_bytes(v.budget_bytes, budget),
		       ps_units_format_bytes(v.used_bytes - v.leaving_bytes, used));
}

void ps_serve_set_memory(struct ps_serve *s, const struct ps_serve_config *c)
{
	struct ps_dispatch_memory m;
	struct ps_error err;
	enum ps_status status = ps_serve_memory_of(c, &m, &err);
	pthread_mutex_lock(&s->lock);
	if (status == PS_OK)
		status = ps_dispatch_set_memory(s->dispatch, &m, &err);
	pthread_mutex_unlock(&s->lock);
	if (status != PS_OK)
		ps_log(PS_LOG_WARN, "reload", "model_memory needs a restart: %s", err.what);
	else if (m.budget_bytes > 0)
		warn_of_pinned(s);
}

/* --- what opening takes --- */

static enum ps_status need_of(const struct ps_serve_engine *e, const char *path,
			      const struct ps_repo_rnn *rnn, bool wide,
			      struct ps_engine_need *ret_need, struct ps_error *err)
{
	const struct ps_engine_open open = {.path = path,
					    .wide = wide,
					    .rnn = rnn->precision,
					    .rnn_calibration = rnn->calibration};
	*ret_need = (struct ps_engine_need){0};
	return e->ops && e->ops->need ? e->ops->need(e->engine, &open, ret_need, err) : PS_OK;
}

enum ps_status ps_serve_check_size(const struct ps_dispatch_memory *m, const char *path,
				   const struct ps_repo_rnn *rnn, int64_t *largest_bytes,
				   struct ps_error *err)
{
	const struct ps_serve_engine any = {
		.ops = m->budget_bytes > 0 ? ps_engine_for_model(path, rnn->precision) : NULL};
	struct ps_engine_need need;
	struct ps_error own;
	char takes[PS_UNITS_SIZE], budget[PS_UNITS_SIZE];
	if (m->budget_bytes == 0 || need_of(&any, path, rnn, false, &need, &own) != PS_OK)
		return PS_OK; /* what is wrong with the file, loading says */
	if (need.resident_bytes <= m->budget_bytes) {
		if (need.resident_bytes > *largest_bytes)
			*largest_bytes = need.resident_bytes;
		return PS_OK;
	}
	return ps_error_set(err, PS_ETOOBIG,
			    "%s is expected to hold %s once it is loaded, and model_memory is %s",
			    path, ps_units_format_bytes(need.resident_bytes, takes),
			    ps_units_format_bytes(m->budget_bytes, budget));
}

void ps_serve_warn_of_guarantees(const struct ps_serve_config *c,
				 const struct ps_dispatch_memory *m, int64_t largest_bytes)
{
	const struct ps_serve_tenant_config *t = c->tenants.items;
	char guaranteed[PS_UNITS_SIZE], budget[PS_UNITS_SIZE], largest[PS_UNITS_SIZE];
	int64_t sum = 0;
	for (size_t i = 0; i < c->tenants.len; i++)
		sum += t[i].memory;
	if (sum == 0 || m->budget_bytes == 0 || largest_bytes <= m->budget_bytes - sum)
		return;
	ps_log(PS_LOG_WARN, "models",
	       "tenants are guaranteed %s of memory, model_memory is %s, and the largest model is "
	       "expected to hold %s: others wait for it in vain while the guaranteed memory is "
	       "used",
	       ps_units_format_bytes(sum, guaranteed),
	       ps_units_format_bytes(m->budget_bytes, budget),
	       ps_units_format_bytes(largest_bytes, largest));
}

enum ps_status ps_serve_need(struct ps_serve *s, const char *path, const struct ps_repo_rnn *rnn,
			     struct ps_engine_need *ret_need, struct ps_error *err)
{
	struct ps_serve_engine engine = {0};
	enum ps_status status = ps_serve_engine_for(s, path, rnn, &engine, err);
	return status == PS_OK ? need_of(&engine, path, rnn, s->width > 1, ret_need, err) : status;
}

/* --- calls that wait for their model: their I/O thread --- */

/* What one stay under the lock brought. */
struct wait {
	enum ps_status status;
	int64_t retry_ns, next_tick_ns;
};

static void await(struct ps_serve_call *c, struct wait *w)
{
	struct ps_serve *s = c->io->server;
	struct ps_dispatch_view view;
	int64_t now_ns = ps_clock_now_ns();
	pthread_mutex_lock(&s->lock);
	w->status = ps_dispatch_await(s->dispatch, &c->d, now_ns, &w->retry_ns, &c->err);
	c->admitted = w->status == PS_OK;
	ps_dispatch_view_get(s->dispatch, c->tenant, now_ns, &view);
	w->next_tick_ns = ps_dispatch_next_tick_ns(s->dispatch);
	pthread_mutex_unlock(&s->lock);
	if (w->retry_ns == 0)
		w->retry_ns = view.retry_after_ns;
}

bool ps_serve_wait_for_model(struct ps_serve_call *c, void (*again)(struct ps_serve_call *c))
{
	struct ps_serve_io *io = c->io;
	struct wait w;
	if (c->where == PS_SERVE_HERE)
		return false;
	ps_error_clear(&c->err);
	ps_dispatch_request_init(&c->d, c->tenant, c->model);
	c->d.account.received_ns = c->received_ns;
	c->d.account.load_wait_ns = c->load_wait_ns;
	c->d.paid = c->paid;
	ps_serve_set_times(c);
	c->again = again;
	await(c, &w);
	if (w.status == PS_EQUOTA || w.status == PS_EUNAVAIL)
		ps_serve_add_retry_after(c, w.retry_ns);
	if (w.status != PS_OK)
		ps_serve_refuse(c); /* it may be gone afterwards */
	ps_serve_set_tick(io, w.next_tick_ns);
	return true;
}

/* --- after a restart: the observer's thread reads, and tells dispatch --- */

struct recall {
	struct ps_serve_job job;
	struct ps_serve *server;
	struct ps_serve_snapshot *snapshot;
	int rows;
};

static bool recall_row(void *ctx, const struct ps_state_demand_row *row)
{
	struct recall *r = ctx;
	struct ps_serve *s = r->server;
	int tenant = ps_tenancy_find(r->snapshot->tenancy, row->tenant, strlen(row->tenant));
	pthread_mutex_lock(&s->lock);
	int model = ps_repo_find(s->repo, row->model, strlen(row->model), row->version);
	if (tenant >= 0 && model >= 0) {
		ps_dispatch_recall(s->dispatch, tenant, model, row->rps);
		r->rows++;
	}
	pthread_mutex_unlock(&s->lock);
	return true;
}

static void recall_scales(struct ps_serve *s)
{
	struct ps_error err;
	for (int k = 0; k < PS_DISPATCH_RATES; k++) {
		double scale = 0;
		if (ps_state_load_scale(s->observe->state, ps_dispatch_rate_name(k), &scale,
					&err) != PS_OK)
			ps_log_error(PS_LOG_WARN, "models", &err);
		pthread_mutex_lock(&s->lock);
		ps_dispatch_set_load_scale(s->dispatch, k, scale);
		pthread_mutex_unlock(&s->lock);
	}
}

static void recall_work(struct ps_serve_job *job)
{
	struct recall *r = (struct recall *)job;
	struct ps_serve *s = r->server;
	struct ps_error err;
	recall_scales(s);
	if (ps_state_demands(s->observe->state, recall_row, r, &err) != PS_OK)
		ps_log_error(PS_LOG_WARN, "models", &err);
	pthread_mutex_lock(&s->lock);
	ps_dispatch_refill(s->dispatch);
	pthread_mutex_unlock(&s->lock);
}

static void recall_done(struct ps_serve_job *job)
{
	struct recall *r = (struct recall *)job;
	if (r->rows > 0)
		ps_log(PS_LOG_INFO, "models", "loading by the demand that is remembered: %d rows",
		       r->rows);
	ps_serve_kick_loaders(r->server);
	ps_serve_snapshot_unref(r->snapshot);
	free(r);
}

void ps_serve_recall(struct ps_serve *s)
{
	struct recall *r = s->observe->state && ps_dispatch_on_demand(s->dispatch)
				   ? calloc(1, sizeof *r)
				   : NULL;
	if (!r)
		return;
	r->job = (struct ps_serve_job){
		.work = recall_work, .done = recall_done, .loop = s->ios[0].loop};
	r->server = s;
	r->snapshot = ps_serve_newest(s);
	ps_serve_observe_post(s->observe, &r->job);
}
