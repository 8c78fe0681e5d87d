#include "dispatch/dispatch_internal.h"

#include <assert.h>
#include <stdlib.h>

static const struct ps_dispatch_action nothing = {.kind = PS_DISPATCH_NOTHING};

static const char *const reason_names[PS_DISPATCH_REASON_COUNT] = {
	[PS_DISPATCH_REASON_NONE] = "none",
	[PS_DISPATCH_REASON_RATE] = "rate",
	[PS_DISPATCH_REASON_CONCURRENCY] = "concurrency",
	[PS_DISPATCH_REASON_QUEUE] = "queue",
	[PS_DISPATCH_REASON_FULL] = "full",
	[PS_DISPATCH_REASON_MODEL_QUEUE] = "model_queue",
	[PS_DISPATCH_REASON_NOT_READY] = "not_ready",
	[PS_DISPATCH_REASON_LOADING] = "loading",
	[PS_DISPATCH_REASON_DRAINING] = "draining",
	[PS_DISPATCH_REASON_DEADLINE] = "deadline",
	[PS_DISPATCH_REASON_EXPIRED] = "expired",
	[PS_DISPATCH_REASON_CANCELLED] = "cancelled",
	[PS_DISPATCH_REASON_FAILED] = "failed",
};

const char *ps_dispatch_reason_name(enum ps_dispatch_reason r)
{
	return r >= 0 && r < PS_DISPATCH_REASON_COUNT ? reason_names[r] : "unknown";
}

/* ---- life --------------------------------------------------------------------------------- */

static struct ps_sched_options sched_options(const struct ps_dispatch_config *c)
{
	return (struct ps_sched_options){.n_lanes = c->n_lanes,
					 .reserve_lanes = c->reserve_lanes,
					 .cpus = c->cpus < 1 ? 1 : c->cpus,
					 .wide = c->wide,
					 .auto_width = c->auto_width,
					 .best_effort_floor = c->best_effort_floor,
					 .here_max_ns = c->here_max_ns,
					 .cache_bytes = c->cache_bytes};
}

static enum ps_status check_config(const struct ps_dispatch_config *c, struct ps_error *err)
{
	if (c->n_lanes < 1 || c->n_lanes > PS_DISPATCH_MAX_LANES)
		return ps_error_set(err, PS_EINVAL, "the number of lanes is not in 1..%d",
				    PS_DISPATCH_MAX_LANES);
	if (c->reserve_lanes < 0 || c->reserve_lanes >= c->n_lanes)
		return ps_error_set(err, PS_EINVAL,
				    "reserved lanes must be fewer than the %d lanes", c->n_lanes);
	if (!(c->best_effort_floor >= 0 && c->best_effort_floor <= 0.5))
		return ps_error_set(err, PS_EINVAL, "the floor of best-effort is not in 0..0.5");
	if (c->max_waiting < 0 || c->here_max_ns < 0)
		return ps_error_set(err, PS_EINVAL, "a limit is negative");
	if (c->memory.budget_bytes < 0 || (c->memory.budget_bytes > 0 && c->memory.epoch_ns < 1))
		return ps_error_set(err, PS_EINVAL, "the budget of memory is wrong");
	return PS_OK;
}

static enum ps_status init(struct ps_dispatch *d)
{
	struct ps_sched_options o = sched_options(&d->config);
	ps_heap_init(&d->deadlines);
	ps_rng_init(&d->split, 1, ps_rng_stream("dispatch/split"));
	enum ps_status s = ps_sched_new(&o, &d->sched);
	if (s == PS_OK)
		s = tenants_set(d, d->config.tenancy);
	if (s == PS_OK && d->config.memory.budget_bytes > 0)
		s = residency_new(d);
	if (s == PS_OK)
		ps_dispatch_repo_changed(d);
	return s;
}

enum ps_status ps_dispatch_new(const struct ps_dispatch_config *config,
			       struct ps_dispatch **ret_dispatch, struct ps_error *err)
{
	enum ps_status s = check_config(config, err);
	if (s != PS_OK)
		return s;
	struct ps_dispatch *d = calloc(1, sizeof *d);
	if (!d)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	d->config = *config;
	s = init(d);
	if (s != PS_OK) {
		ps_dispatch_free(d);
		return ps_error_set(err, s, "out of memory");
	}
	*ret_dispatch = d;
	return PS_OK;
}

void ps_dispatch_free(struct ps_dispatch *d)
{
	if (!d)
		return;
	residency_free(d);
	ps_sched_free(d->sched);
	ps_heap_fini(&d->deadlines);
	free(d->tenants);
	free(d->pairs.slots);
	queues_fini(d);
	free(d->instance_ids);
	free(d);
}

enum ps_status ps_dispatch_set_tenancy(struct ps_dispatch *d, const struct ps_tenancy *tenancy)
{
	return tenants_set(d, tenancy);
}

/* ---- names -------------------------------------------------------------------------------- */

int domain_of(const struct ps_dispatch *d, int tenant)
{
	return ps_tenancy_shares(d->config.tenancy, tenant) ? PS_REPO_SHARED : tenant + 1;
}

enum ps_status ps_dispatch_resolve(struct ps_dispatch *d, int tenant, const char *name,
				   size_t name_len, int64_t version, int *ret_model,
				   struct ps_error *err)
{
	double draw = version == 0 ? ps_rng_uniform(&d->split) : 0;
	int m = ps_repo_choose(d->config.repo, name, name_len, version, domain_of(d, tenant), draw);
	if (m >= 0 && pair_get(d, tenant, m).sees) {
		*ret_model = m;
		return PS_OK;
	}
	int shown = name_len > PS_REPO_MAX_NAME ? PS_REPO_MAX_NAME : (int)name_len;
	if (version > 0)
		return ps_error_set(err, PS_ENOTFOUND, "there is no model '%.*s' version %lld",
				    shown, name, (long long)version);
	return ps_error_set(err, PS_ENOTFOUND, "there is no model '%.*s'", shown, name);
}

int ps_dispatch_instance(struct ps_dispatch *d, int tenant, int model)
{
	return ps_repo_serving(d->config.repo, model, domain_of(d, tenant));
}

/* ---- states ------------------------------------------------------------------------------- */

void ps_dispatch_request_init(struct ps_dispatch_request *r, int tenant, int model)
{
	*r = (struct ps_dispatch_request){
		.tenant = tenant, .model = model, .rows = 1, .instance = -1};
	ps_sched_item_init(&r->item);
	ps_heap_node_init(&r->deadline);
	r->account.tenant = tenant;
	r->account.model = model;
}

static const bool allowed[PS_DISPATCH_DONE + 1][PS_DISPATCH_DONE + 1] = {
	[PS_DISPATCH_NEW] = {[PS_DISPATCH_PARKED] = true,
			     [PS_DISPATCH_WAITING] = true,
			     [PS_DISPATCH_RUNNING] = true,
			     [PS_DISPATCH_DONE] = true},
	[PS_DISPATCH_PARKED] = {[PS_DISPATCH_NEW] = true, [PS_DISPATCH_DONE] = true},
	[PS_DISPATCH_WAITING] = {[PS_DISPATCH_RUNNING] = true, [PS_DISPATCH_DONE] = true},
	[PS_DISPATCH_RUNNING] = {[PS_DISPATCH_DONE] = true},
};

static void count_state(struct ps_dispatch *d, const struct ps_dispatch_request *r, int change)
{
	struct tenant *t = &d->tenants[r->tenant];
	if (r->state == PS_DISPATCH_WAITING) {
		d->waiting += change;
		t->waiting += change;
		if (r->counted)
			queue_count(d, r, change);
	} else if (r->state == PS_DISPATCH_RUNNING) {
		t->running += change;
	} else if (r->state == PS_DISPATCH_PARKED) {
		d->parked += change;
		t->parked += change;
	}
}

void request_set_state(struct ps_dispatch *d, struct ps_dispatch_request *r,
		       enum ps_dispatch_state to)
{
	assert(allowed[r->state][to]);
	(void)allowed;
	count_state(d, r, -1);
	r->state = to;
	count_state(d, r, 1);
}

void request_end(struct ps_dispatch *d, struct ps_dispatch_request *r, enum ps_status status,
		 enum ps_dispatch_reason reason)
{
	if (ps_sched_queued(&r->item))
		ps_sched_remove(d->sched, &r->item, r->account.finished_ns);
	ps_heap_remove(&d->deadlines, &r->deadline);
	if (r->state == PS_DISPATCH_PARKED)
		residency_unpark(d, r);
	else if (r->state != PS_DISPATCH_NEW)
		ps_repo_release(d->config.repo, r->instance);
	request_set_state(d, r, PS_DISPATCH_DONE);
	r->account.status = status;
	r->account.reason = reason;
}

/* ---- events ------------------------------------------------------------------------------- */

/* The next instant at which something happens to a request by itself; INT64_MAX: none. */
static int64_t due_ns(const struct ps_dispatch_request *r)
{
	int64_t due = r->deadline_ns ? r->deadline_ns : INT64_MAX;
	return r->start_by_ns && r->start_by_ns < due ? r->start_by_ns : due;
}

/* It does not wait, or not for that long any more. What is pushed was inside before: there is room.
 */
static void forget_start_by(struct ps_dispatch *d, struct ps_dispatch_request *r)
{
	r->start_by_ns = 0;
	ps_heap_remove(&d->deadlines, &r->deadline);
	if (r->deadline_ns)
		(void)ps_heap_push(&d->deadlines, &r->deadline, r->deadline_ns);
}

static struct ps_dispatch_action wake_if_wanted(struct ps_dispatch *d, int64_t now_ns)
{
	struct ps_dispatch_action a = nothing;
	if (ps_sched_wants_lane(d->sched, now_ns)) {
		a.kind = PS_DISPATCH_WAKE;
		a.to_lane = 1 + ps_sched_lane_for(d->sched, now_ns);
	}
	return a;
}

/* Makes the batch of a run that has begun; it lives in its first request. */
static struct ps_dispatch_action run_batch(struct ps_dispatch *d, const struct ps_sched_run *run,
					   int64_t now_ns)
{
	struct ps_dispatch_batch *b = &REQUEST_OF_ITEM(run->first)->batch;
	*b = (struct ps_dispatch_batch){.first = REQUEST_OF_ITEM(run->first),
					.n = run->n,
					.rows = run->rows,
					.lane = run->lane,
					.instance = run->instance,
					.width = run->width,
					.here = run->here};
	for (const struct ps_sched_item *it = run->first; it; it = it->next) {
		struct ps_dispatch_request *r = REQUEST_OF_ITEM(it);
		r->batch_next = it->next ? REQUEST_OF_ITEM(it->next) : NULL;
		r->in = b;
		r->account.started_ns = now_ns;
		r->account.batch_rows = run->rows;
		request_set_state(d, r, PS_DISPATCH_RUNNING);
		if (r->start_by_ns)
			forget_start_by(d, r);
		if (r->soft_deadline)
			ps_heap_remove(&d->deadlines, &r->deadline);
	}
	return (struct ps_dispatch_action){.kind = PS_DISPATCH_RUN,
					   .wake = ps_sched_wants_lane(d->sched, now_ns),
					   .to_lane = 1 + ps_sched_lane_for(d->sched, now_ns),
					   .instance = run->instance,
					   .batch = b,
					   .request = b->first};
}

/* Puts an admitted request into the queue, or starts it where it is. */
static enum ps_status place(struct ps_dispatch *d, struct ps_dispatch_request *r, int64_t now_ns,
			    struct ps_dispatch_action *ret_action)
{
	int64_t due = due_ns(r);
	if (due < INT64_MAX && ps_heap_push(&d->deadlines, &r->deadline, due) != PS_OK)
		return PS_ENOMEM;
	r->account.admitted_ns = now_ns;
	const struct ps_sched_run *run = ps_sched_start_here(d->sched, &r->item, now_ns);
	enum ps_status s = run ? PS_OK : ps_sched_push(d->sched, &r->item, now_ns);
	if (s != PS_OK)
		return s;
	ps_repo_hold(d->config.repo, r->instance);
	if (run) {
		*ret_action = run_batch(d, run, now_ns);
		return PS_OK;
	}
	request_set_state(d, r, PS_DISPATCH_WAITING);
	*ret_action = wake_if_wanted(d, now_ns);
	return PS_OK;
}

enum ps_status ps_dispatch_arrive(struct ps_dispatch *d, struct ps_dispatch_request *r,
				  int64_t now_ns, struct ps_dispatch_action *ret_action,
				  struct ps_error *err)
{
	enum ps_dispatch_reason reason;
	*ret_action = nothing;
	enum ps_status s = admit_request(d, r, now_ns, &reason, err);
	if (s == PS_OK) {
		s = place(d, r, now_ns, ret_action);
		if (s != PS_OK) {
			ps_error_set(err, s, "out of memory");
			reason = PS_DISPATCH_REASON_FULL;
		}
	}
	if (s == PS_OK && d->residency)
		residency_hit(d, r, now_ns);
	if (s != PS_OK) {
		r->account.finished_ns = now_ns;
		request_end(d, r, s, reason);
	}
	return s;
}

struct ps_dispatch_action ps_dispatch_lane_free(struct ps_dispatch *d, int lane, int64_t now_ns)
{
	const struct ps_sched_run *run = ps_sched_start(d->sched, lane, now_ns);
	int left_for = ps_sched_left_for(d->sched);
	if (run)
		return run_batch(d, run, now_ns);
	return left_for < 0 ? nothing
			    : (struct ps_dispatch_action){.kind = PS_DISPATCH_WAKE,
							  .to_lane = 1 + left_for};
}

static void finish_request(struct ps_dispatch *d, struct ps_dispatch_request *r,
			   enum ps_status status, int64_t started_ns, int64_t finished_ns)
{
	enum ps_dispatch_reason reason = PS_DISPATCH_REASON_NONE;
	/* A lane's time begins with the end of its last run, a moment before it chose. */
	r->account.started_ns =
		started_ns > r->account.admitted_ns ? started_ns : r->account.admitted_ns;
	r->account.finished_ns = finished_ns;
	r->account.cost_ns = (int64_t)(r->item.charged_ns + 0.5);
	r->in = NULL;
	if (r->stopped != PS_OK)
		status = r->stopped;
	if (r->stopped == PS_EDEADLINE)
		reason = PS_DISPATCH_REASON_EXPIRED;
	else if (r->stopped != PS_OK || status == PS_ECANCELLED)
		reason = PS_DISPATCH_REASON_CANCELLED;
	else if (status != PS_OK)
		reason = PS_DISPATCH_REASON_FAILED;
	request_end(d, r, status, reason);
}

struct ps_dispatch_action ps_dispatch_finish(struct ps_dispatch *d, struct ps_dispatch_batch *b,
					     enum ps_status status, int64_t started_ns,
					     int64_t finished_ns)
{
	bool whole = status == PS_OK && !b->cancelled;
	ps_sched_finish(d->sched, b->lane, started_ns, finished_ns, whole);
	for (struct ps_dispatch_request *r = b->first; r; r = r->batch_next)
		finish_request(d, r, status, started_ns, finished_ns);
	return wake_if_wanted(d, finished_ns);
}

/* One of a batch is not wanted any more: the run stops when none is. */
static struct ps_dispatch_action stop_running(struct ps_dispatch *d, struct ps_dispatch_request *r,
					      enum ps_status why)
{
	struct ps_dispatch_batch *b = r->in;
	r->stopped = why;
	ps_heap_remove(&d->deadlines, &r->deadline);
	for (const struct ps_dispatch_request *o = b->first; o; o = o->batch_next)
		if (o->stopped == PS_OK)
			return nothing;
	b->cancelled = true;
	return (struct ps_dispatch_action){.kind = PS_DISPATCH_CANCEL,
					   .instance = b->instance,
					   .batch = b,
					   .request = b->first};
}

struct ps_dispatch_action ps_dispatch_cancel(struct ps_dispatch *d, struct ps_dispatch_request *r,
					     int64_t now_ns)
{
	if (r->state == PS_DISPATCH_RUNNING && r->stopped == PS_OK)
		return stop_running(d, r, PS_ECANCELLED);
	if (r->state != PS_DISPATCH_WAITING && r->state != PS_DISPATCH_PARKED)
		return nothing;
	r->account.finished_ns = now_ns;
	request_end(d, r, PS_ECANCELLED, PS_DISPATCH_REASON_CANCELLED);
	return (struct ps_dispatch_action){.kind = PS_DISPATCH_DROP, .request = r};
}

static struct ps_dispatch_action expire(struct ps_dispatch *d, struct ps_dispatch_request *r,
					int64_t now_ns)
{
	if (r->state == PS_DISPATCH_RUNNING)
		return stop_running(d, r, PS_EDEADLINE);
	if (r->state == PS_DISPATCH_PARKED && (!r->deadline_ns || r->deadline_ns > now_ns))
		return residency_late(d, r, now_ns);
	if (r->put_off && (!r->deadline_ns || r->deadline_ns > now_ns)) {
		forget_start_by(d, r);
		if (ps_sched_queued(&r->item))
			ps_sched_put_off(d->sched, &r->item);
		return nothing;
	}
	r->account.finished_ns = now_ns;
	request_end(d, r, PS_EDEADLINE, PS_DISPATCH_REASON_EXPIRED);
	return (struct ps_dispatch_action){.kind = PS_DISPATCH_EXPIRE, .request = r};
}

struct ps_dispatch_action ps_dispatch_tick(struct ps_dispatch *d, int64_t now_ns)
{
	struct ps_heap_node *n;
	if (d->residency) {
		struct ps_dispatch_action a = residency_tick(d, now_ns);
		if (a.kind != PS_DISPATCH_NOTHING)
			return a;
	}
	while ((n = ps_heap_peek(&d->deadlines)) && n->key <= now_ns) {
		struct ps_dispatch_action a = expire(d, REQUEST_OF_NODE(n), now_ns);
		if (a.kind != PS_DISPATCH_NOTHING)
			return a;
	}
	/* A group is due once; afterwards it waits for a lane like any other. */
	return ps_sched_next_ns(d->sched) <= now_ns ? wake_if_wanted(d, now_ns) : nothing;
}

int64_t ps_dispatch_next_tick_ns(const struct ps_dispatch *d)
{
	const struct ps_heap_node *n = ps_heap_peek(&d->deadlines);
	int64_t due = ps_sched_next_ns(d->sched);
	int64_t residency = d->residency ? residency_next_ns(d) : INT64_MAX;
	due = residency < due ? residency : due;
	return n && n->key < due ? n->key : due;
}

/* ---- drain, views ------------------------------------------------------------------------- */

void ps_dispatch_drain(struct ps_dispatch *d)
{
	d->draining = true;
	ps_sched_keep(d->sched, false);
}

bool ps_dispatch_drained(const struct ps_dispatch *d)
{
	return d->draining && d->waiting == 0 && d->parked == 0 && ps_sched_running(d->sched) == 0;
}

static int64_t retry_after_ns(const struct ps_dispatch *d, int tenant, int64_t now_ns)
{
	struct ps_tenancy_rate rate = ps_tenancy_rate(d->config.tenancy, tenant);
	const struct tenant *t = &d->tenants[tenant];
	int64_t tokens = ps_tenancy_bucket_wait_ns(&t->rate, &rate, 1, now_ns);
	int64_t drain = ps_sched_drain_ns(d->sched, tenant, now_ns);
	return tokens > drain ? tokens : drain;
}

void ps_dispatch_view_get(const struct ps_dispatch *d, int tenant, int64_t now_ns,
			  struct ps_dispatch_view *ret_view)
{
	*ret_view = (struct ps_dispatch_view){0};
	if (tenant < 0 || tenant >= d->n_tenants)
		return;
	ret_view->waiting = d->tenants[tenant].waiting;
	ret_view->running = d->tenants[tenant].running;
	ret_view->cost_ns = ps_sched_cost_ns(d->sched, tenant);
	ret_view->lag_ns = ps_sched_lag_ns(d->sched, tenant);
	ret_view->retry_after_ns = retry_after_ns(d, tenant, now_ns);
}

int64_t ps_dispatch_waiting(const struct ps_dispatch *d)
{
	return d->waiting;
}

int ps_dispatch_running(const struct ps_dispatch *d)
{
	return ps_sched_running(d->sched);
}

int64_t ps_dispatch_service_ns(const struct ps_dispatch *d, int instance, int64_t rows, double q)
{
	return ps_sched_service_ns(d->sched, instance, rows, d->config.wide ? d->config.cpus : 1,
				   q);
}

struct ps_repo *ps_dispatch_repo(const struct ps_dispatch *d)
{
	return d->config.repo;
}

const struct ps_tenancy *ps_dispatch_tenancy(const struct ps_dispatch *d)
{
	return d->config.tenancy;
}
