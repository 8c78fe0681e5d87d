#include "dispatch/dispatch.h"

#include <stddef.h>
#include <stdlib.h>

struct ps_dispatch {
	const struct ps_tenancy *tenancy;
	struct ps_repo *repo;
	struct ps_sched sched;
	struct ps_heap deadlines; /* of waiting and running requests that have one */
	int n_lanes, n_models, running;
	bool draining;
	int64_t service_ns;		       /* moving mean of recent runs; 0 before the first */
	bool *sees;			       /* [tenant * n_models + model] */
	struct ps_dispatch_counters *counters; /* the same */
};

#define REQUEST_OF_ITEM(it)                                                                        \
	((struct ps_dispatch_request *)((char *)(it)-offsetof(struct ps_dispatch_request, item)))
#define REQUEST_OF_NODE(n)                                                                         \
	((struct ps_dispatch_request *)((char *)(n)-offsetof(struct ps_dispatch_request, deadline)))

static const struct ps_dispatch_action nothing = {.kind = PS_DISPATCH_NOTHING};

static enum ps_status init_tables(struct ps_dispatch *d)
{
	int n_tenants = ps_tenancy_count(d->tenancy);
	size_t cells = (size_t)n_tenants * (size_t)d->n_models + 1;
	d->sees = calloc(cells, sizeof *d->sees);
	d->counters = calloc(cells, sizeof *d->counters);
	if (!d->sees || !d->counters || ps_sched_init(&d->sched, n_tenants) != PS_OK)
		return PS_ENOMEM;
	for (int t = 0; t < n_tenants; t++) {
		ps_sched_configure(&d->sched, t, ps_tenancy_queue_limit(d->tenancy, t),
				   ps_tenancy_weight(d->tenancy, t));
		for (int m = 0; m < d->n_models; m++)
			d->sees[t * d->n_models + m] =
				ps_tenancy_sees(d->tenancy, t, ps_repo_get(d->repo, m)->name);
	}
	return PS_OK;
}

enum ps_status ps_dispatch_new(const struct ps_dispatch_config *config,
			       struct ps_dispatch **ret_dispatch, struct ps_error *err)
{
	if (config->n_lanes < 1 || config->n_lanes > PS_DISPATCH_MAX_LANES)
		return ps_error_set(err, PS_EINVAL, "the number of lanes is not in 1..%d",
				    PS_DISPATCH_MAX_LANES);
	struct ps_dispatch *d = calloc(1, sizeof *d);
	if (!d)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	d->tenancy = config->tenancy;
	d->repo = config->repo;
	d->n_lanes = config->n_lanes;
	d->n_models = ps_repo_count(config->repo);
	ps_heap_init(&d->deadlines);
	if (init_tables(d) != PS_OK) {
		ps_dispatch_free(d);
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	}
	*ret_dispatch = d;
	return PS_OK;
}

void ps_dispatch_free(struct ps_dispatch *d)
{
	if (!d)
		return;
	ps_sched_fini(&d->sched);
	ps_heap_fini(&d->deadlines);
	free(d->sees);
	free(d->counters);
	free(d);
}

enum ps_status ps_dispatch_resolve(const struct ps_dispatch *d, int tenant, const char *name,
				   size_t name_len, int64_t version, int *ret_model,
				   struct ps_error *err)
{
	int m = ps_repo_find(d->repo, name, name_len, version);
	if (m >= 0 && d->sees[tenant * d->n_models + m]) {
		*ret_model = m;
		return PS_OK;
	}
	int shown = name_len > PS_REPO_MAX_NAME ? PS_REPO_MAX_NAME : (int)name_len;
	if (version > 0)
		return ps_error_set(err, PS_ENOTFOUND, "there is no model '%.*s' version %lld",
				    shown, name, (long long)version);
	return ps_error_set(err, PS_ENOTFOUND, "there is no model '%.*s'", shown, name);
}

void ps_dispatch_request_init(struct ps_dispatch_request *r, int tenant, int model)
{
	*r = (struct ps_dispatch_request){.lane = -1};
	ps_sched_item_init(&r->item);
	ps_heap_node_init(&r->deadline);
	r->account.tenant = tenant;
	r->account.model = model;
}

static struct ps_dispatch_counters *counters_of(const struct ps_dispatch *d,
						const struct ps_dispatch_request *r)
{
	return &d->counters[r->account.tenant * d->n_models + r->account.model];
}

static void count_end(struct ps_dispatch_counters *c, enum ps_status status)
{
	switch (status) {
	case PS_OK:
		c->completed++;
		break;
	case PS_EQUOTA:
		c->refused_quota++;
		break;
	case PS_EUNAVAIL:
		c->refused_unavailable++;
		break;
	case PS_EDEADLINE:
		c->expired++;
		break;
	case PS_ECANCELLED:
		c->cancelled++;
		break;
	default:
		c->failed++;
	}
}

/* The one way into DONE. */
static void end_request(struct ps_dispatch *d, struct ps_dispatch_request *r, enum ps_status status)
{
	if (r->state == PS_DISPATCH_WAITING && ps_sched_queued(&r->item))
		ps_sched_remove(&d->sched, &r->item);
	if (r->state == PS_DISPATCH_RUNNING)
		d->running--;
	ps_heap_remove(&d->deadlines, &r->deadline);
	r->state = PS_DISPATCH_DONE;
	r->lane = -1;
	r->account.status = status;
	count_end(counters_of(d, r), status);
}

static enum ps_status check_model(const struct ps_dispatch *d, int model, struct ps_error *err)
{
	const struct ps_repo_model *m = ps_repo_get(d->repo, model);
	if (m->state == PS_REPO_READY)
		return PS_OK;
	if (m->state == PS_REPO_FAILED)
		return ps_error_set(err, PS_EUNAVAIL, "model '%s' failed to load: %s", m->name,
				    m->error.what);
	return ps_error_set(err, PS_EUNAVAIL, "model '%s' is not loaded yet", m->name);
}

static enum ps_status admit(struct ps_dispatch *d, struct ps_dispatch_request *r, int64_t now_ns,
			    struct ps_error *err)
{
	int tenant = r->account.tenant;
	if (d->draining)
		return ps_error_set(err, PS_EUNAVAIL, "the server is shutting down");
	enum ps_status s = check_model(d, r->account.model, err);
	if (s != PS_OK)
		return s;
	if (r->deadline_ns && r->deadline_ns <= now_ns)
		return ps_error_set(err, PS_EDEADLINE, "the request's time has run out");
	if (ps_sched_push(&d->sched, &r->item, tenant) != PS_OK) {
		if (err) /* text costs more than the refusal itself: only for whoever reads it */
			ps_error_set(err, PS_EQUOTA,
				     "the queue of tenant %s is full: %lld requests wait",
				     ps_tenancy_name(d->tenancy, tenant),
				     (long long)ps_tenancy_queue_limit(d->tenancy, tenant));
		return PS_EQUOTA;
	}
	if (r->deadline_ns && ps_heap_push(&d->deadlines, &r->deadline, r->deadline_ns) != PS_OK) {
		ps_sched_remove(&d->sched, &r->item);
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	}
	return PS_OK;
}

enum ps_status ps_dispatch_arrive(struct ps_dispatch *d, struct ps_dispatch_request *r,
				  int64_t now_ns, struct ps_dispatch_action *ret_action,
				  struct ps_error *err)
{
	struct ps_dispatch_counters *c = counters_of(d, r);
	c->arrived++;
	*ret_action = nothing;
	enum ps_status s = admit(d, r, now_ns, err);
	if (s != PS_OK) {
		end_request(d, r, s);
		return s;
	}
	r->state = PS_DISPATCH_WAITING;
	r->account.admitted_ns = now_ns;
	c->admitted++;
	if (d->running < d->n_lanes)
		ret_action->kind = PS_DISPATCH_WAKE;
	return PS_OK;
}

struct ps_dispatch_action ps_dispatch_lane_free(struct ps_dispatch *d, int lane, int64_t now_ns)
{
	struct ps_sched_item *it;
	while ((it = ps_sched_pop(&d->sched))) {
		struct ps_dispatch_request *r = REQUEST_OF_ITEM(it);
		if (r->deadline_ns && r->deadline_ns <= now_ns)
			continue; /* out of its queue, still WAITING: tick finds it in the heap */
		r->state = PS_DISPATCH_RUNNING;
		r->lane = lane;
		r->account.started_ns = now_ns;
		d->running++;
		return (struct ps_dispatch_action){
			.kind = PS_DISPATCH_RUN, .lane = lane, .request = r};
	}
	return nothing;
}

/* Weight 1/16 per run: the mean follows a change of load within some tens of requests. */
static void learn_service(struct ps_dispatch *d, int64_t ns)
{
	d->service_ns = d->service_ns ? d->service_ns + (ns - d->service_ns) / 16 : ns;
}

void ps_dispatch_finish(struct ps_dispatch *d, struct ps_dispatch_request *r, enum ps_status status,
			int64_t started_ns, int64_t finished_ns)
{
	struct ps_dispatch_counters *c = counters_of(d, r);
	r->account.started_ns = started_ns;
	r->account.finished_ns = finished_ns;
	c->queue_ns += started_ns - r->account.admitted_ns;
	c->compute_ns += finished_ns - started_ns;
	learn_service(d, finished_ns - started_ns);
	end_request(d, r, r->stopped != PS_OK ? r->stopped : status);
}

static struct ps_dispatch_action stop_running(struct ps_dispatch *d, struct ps_dispatch_request *r,
					      enum ps_status why)
{
	r->stopped = why;
	ps_heap_remove(&d->deadlines, &r->deadline);
	return (struct ps_dispatch_action){
		.kind = PS_DISPATCH_CANCEL, .lane = r->lane, .request = r};
}

struct ps_dispatch_action ps_dispatch_cancel(struct ps_dispatch *d, struct ps_dispatch_request *r,
					     int64_t now_ns)
{
	if (r->state == PS_DISPATCH_RUNNING && r->stopped == PS_OK)
		return stop_running(d, r, PS_ECANCELLED);
	if (r->state != PS_DISPATCH_WAITING)
		return nothing;
	r->account.finished_ns = now_ns;
	end_request(d, r, PS_ECANCELLED);
	return (struct ps_dispatch_action){.kind = PS_DISPATCH_DROP, .request = r};
}

struct ps_dispatch_action ps_dispatch_tick(struct ps_dispatch *d, int64_t now_ns)
{
	struct ps_heap_node *n = ps_heap_peek(&d->deadlines);
	if (!n || n->key > now_ns)
		return nothing;
	struct ps_dispatch_request *r = REQUEST_OF_NODE(n);
	if (r->state == PS_DISPATCH_RUNNING)
		return stop_running(d, r, PS_EDEADLINE);
	r->account.finished_ns = now_ns;
	end_request(d, r, PS_EDEADLINE);
	return (struct ps_dispatch_action){.kind = PS_DISPATCH_EXPIRE, .request = r};
}

int64_t ps_dispatch_next_deadline_ns(const struct ps_dispatch *d)
{
	const struct ps_heap_node *n = ps_heap_peek(&d->deadlines);
	return n ? n->key : INT64_MAX;
}

struct ps_dispatch_action ps_dispatch_load_next(struct ps_dispatch *d)
{
	if (d->draining || ps_repo_in_state(d->repo, PS_REPO_LOADING) > 0)
		return nothing;
	for (int m = 0; m < d->n_models; m++) {
		if (ps_repo_get(d->repo, m)->state != PS_REPO_UNLOADED)
			continue;
		ps_repo_set_state(d->repo, m, PS_REPO_LOADING, NULL);
		return (struct ps_dispatch_action){.kind = PS_DISPATCH_LOAD, .model = m};
	}
	return nothing;
}

struct ps_dispatch_action ps_dispatch_load_done(struct ps_dispatch *d, int model,
						enum ps_status status, const struct ps_error *why)
{
	ps_repo_set_state(d->repo, model, status == PS_OK ? PS_REPO_READY : PS_REPO_FAILED, why);
	return ps_dispatch_load_next(d);
}

void ps_dispatch_drain(struct ps_dispatch *d)
{
	d->draining = true;
}

bool ps_dispatch_drained(const struct ps_dispatch *d)
{
	return d->draining && d->running == 0 && d->sched.len == 0 &&
	       ps_heap_peek(&d->deadlines) == NULL;
}

bool ps_dispatch_ready(const struct ps_dispatch *d)
{
	return !d->draining && ps_repo_in_state(d->repo, PS_REPO_READY) == d->n_models;
}

int64_t ps_dispatch_waiting(const struct ps_dispatch *d, int tenant)
{
	return d->sched.queues[tenant].len;
}

int ps_dispatch_running(const struct ps_dispatch *d)
{
	return d->running;
}

int64_t ps_dispatch_retry_after_ns(const struct ps_dispatch *d, int tenant)
{
	return d->sched.queues[tenant].len * d->service_ns / d->n_lanes;
}

void ps_dispatch_counters_get(const struct ps_dispatch *d, int tenant, int model,
			      struct ps_dispatch_counters *ret_counters)
{
	*ret_counters = d->counters[tenant * d->n_models + model];
}

const struct ps_repo *ps_dispatch_repo(const struct ps_dispatch *d)
{
	return d->repo;
}

const struct ps_tenancy *ps_dispatch_tenancy(const struct ps_dispatch *d)
{
	return d->tenancy;
}
