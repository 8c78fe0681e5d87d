#include "sim/sim.h"

#include "base/rng.h"
#include "dispatch/dispatch.h"

#include <stdio.h>
#include <stdlib.h>

/* All tenants see one model, which is always loaded: here the service times are the tenants'. */
static const char model_name[] = "simulated";

struct source {
	struct ps_heap_node next; /* keyed by the instant of the next arrival */
	const struct ps_sim_tenant *tenant;
	struct ps_rng gaps, services;
	double next_ns; /* not rounded, so that rounding never adds up */
	int64_t n_served;
	struct ps_sim_result result;
};

struct request {
	struct ps_dispatch_request d;
	struct request *next_free, *next_all;
	bool counted;
};

struct lane {
	struct ps_heap_node done; /* keyed by the instant at which its run ends */
	struct request *request;  /* NULL: idle */
	struct lane *next_idle;
};

struct sim {
	const struct ps_sim_plan *plan;
	struct ps_tenancy *tenancy;
	struct ps_repo *repo;
	struct ps_dispatch *dispatch;
	struct source *sources;
	struct lane *lanes, *idle;
	struct ps_heap arrivals, completions;
	struct request *free_requests, *all_requests;
	int64_t n_arrivals; /* so far */
	int64_t now_ns, last_arrival_ns;
	int64_t area_from_ns, waiting;
	double area; /* requests waiting, integrated over ns */
	struct ps_sim_summary summary;
};

#define SOURCE_OF(n)  ((struct source *)((char *)(n)-offsetof(struct source, next)))
#define LANE_OF(n)    ((struct lane *)((char *)(n)-offsetof(struct lane, done)))
#define REQUEST_OF(p) ((struct request *)((char *)(p)-offsetof(struct request, d)))

static enum ps_status check_tenant(const struct ps_sim_tenant *t, struct ps_error *err)
{
	if (!(t->rate_rps > 0) || !(t->rate_rps <= 1e9))
		return ps_error_set(err, PS_EINVAL, "a rate is not in (0, 1e9]");
	if (t->service == PS_SIM_RECORDED ? t->n_recorded == 0 : !(t->service_ns > 0))
		return ps_error_set(err, PS_EINVAL, "a service time is missing");
	if (t->queue_limit < 1 || t->weight < 1 || t->deadline_ns < 0)
		return ps_error_set(err, PS_EINVAL, "a queue limit, weight or deadline is wrong");
	return PS_OK;
}

static enum ps_status check(const struct ps_sim_plan *p, struct ps_error *err)
{
	if (p->n_tenants < 1 || p->n_tenants > PS_TENANCY_MAX_TENANTS)
		return ps_error_set(err, PS_EINVAL, "the number of tenants is not in 1..%d",
				    PS_TENANCY_MAX_TENANTS);
	if (p->arrivals < 1 || p->warmup < 0 || p->warmup >= p->arrivals)
		return ps_error_set(err, PS_EINVAL, "no arrivals are left after the warm-up");
	for (int i = 0; i < p->n_tenants; i++) {
		enum ps_status s = check_tenant(&p->tenants[i], err);
		if (s != PS_OK)
			return s;
	}
	return PS_OK;
}

static enum ps_status make_tenancy(struct sim *s, struct ps_error *err)
{
	int n = s->plan->n_tenants;
	struct ps_tenancy_tenant *t = calloc((size_t)n, sizeof *t);
	char(*texts)[2][PS_TENANCY_DIGEST_SIZE] = calloc((size_t)n, sizeof *texts);
	const char **keys = calloc((size_t)n, sizeof *keys);
	enum ps_status status = PS_ENOMEM;
	for (int i = 0; t && texts && keys && i < n; i++) {
		snprintf(texts[i][0], sizeof texts[i][0], "%d", i);
		ps_tenancy_digest((const char *)&i, sizeof i, texts[i][1]);
		keys[i] = texts[i][1];
		t[i] = (struct ps_tenancy_tenant){.name = texts[i][0],
						  .keys = &keys[i],
						  .n_keys = 1,
						  .all_models = true,
						  .queue_limit = s->plan->tenants[i].queue_limit,
						  .weight = s->plan->tenants[i].weight};
	}
	if (t && texts && keys)
		status = ps_tenancy_new(t, (size_t)n, &s->tenancy, err);
	free(t);
	free(texts);
	free(keys);
	return status;
}

static enum ps_status make_dispatch(struct sim *s, struct ps_error *err)
{
	enum ps_status status = make_tenancy(s, err);
	if (status == PS_OK)
		status = ps_repo_new(&s->repo);
	if (status == PS_OK)
		status = ps_repo_add(s->repo, model_name, 1, "", err);
	struct ps_dispatch_config c = {
		.tenancy = s->tenancy, .repo = s->repo, .n_lanes = s->plan->n_lanes};
	if (status == PS_OK)
		status = ps_dispatch_new(&c, &s->dispatch, err);
	if (status == PS_OK) {
		ps_dispatch_load_next(s->dispatch);
		ps_dispatch_load_done(s->dispatch, 0, PS_OK, NULL);
	}
	return status;
}

static void lane_idle(struct sim *s, struct lane *l)
{
	l->request = NULL;
	l->next_idle = s->idle;
	s->idle = l;
}

static double next_gap_ns(struct source *o)
{
	double mean_ns = 1e9 / o->tenant->rate_rps;
	return o->tenant->arrival == PS_SIM_CONSTANT ? mean_ns
						     : ps_rng_exponential(&o->gaps, mean_ns);
}

static enum ps_status schedule_arrival(struct sim *s, struct source *o)
{
	o->next_ns += next_gap_ns(o);
	if (o->next_ns > 9e18) /* the end of int64_t: 285 years */
		return PS_ETOOBIG;
	return ps_heap_push(&s->arrivals, &o->next, (int64_t)o->next_ns);
}

static enum ps_status make_actors(struct sim *s)
{
	const struct ps_sim_plan *p = s->plan;
	s->sources = calloc((size_t)p->n_tenants, sizeof *s->sources);
	s->lanes = calloc((size_t)p->n_lanes, sizeof *s->lanes);
	if (!s->sources || !s->lanes)
		return PS_ENOMEM;
	for (int i = p->n_lanes - 1; i >= 0; i--) {
		ps_heap_node_init(&s->lanes[i].done);
		lane_idle(s, &s->lanes[i]);
	}
	for (int i = 0; i < p->n_tenants; i++) {
		struct source *o = &s->sources[i];
		o->tenant = &p->tenants[i];
		ps_rng_init(&o->gaps, p->seed, 2 * (uint64_t)i);
		ps_rng_init(&o->services, p->seed, 2 * (uint64_t)i + 1);
		enum ps_status status = schedule_arrival(s, o);
		if (status != PS_OK)
			return status;
	}
	return PS_OK;
}

static int64_t draw_service_ns(struct source *o)
{
	const struct ps_sim_tenant *t = o->tenant;
	double ns;
	switch (t->service) {
	case PS_SIM_RECORDED:
		return t->recorded_ns[ps_rng_below(&o->services, t->n_recorded)];
	case PS_SIM_EXPONENTIAL:
		ns = ps_rng_exponential(&o->services, t->service_ns);
		break;
	default:
		ns = t->service_ns;
	}
	return (int64_t)(ns + 0.5);
}

static void count_waiting(struct sim *s, int change)
{
	if (s->last_arrival_ns == 0) { /* afterwards the queues only drain */
		s->area += (double)s->waiting * (double)(s->now_ns - s->area_from_ns);
		s->area_from_ns = s->now_ns;
	}
	s->waiting += change;
}

static enum ps_status offer_lane(struct sim *s, struct lane *l)
{
	int number = (int)(l - s->lanes);
	struct ps_dispatch_action a = ps_dispatch_lane_free(s->dispatch, number, s->now_ns);
	if (a.kind != PS_DISPATCH_RUN) {
		lane_idle(s, l);
		return PS_OK;
	}
	count_waiting(s, -1);
	l->request = REQUEST_OF(a.request);
	int64_t service_ns = draw_service_ns(&s->sources[a.request->account.tenant]);
	s->summary.busy_ns += (double)service_ns;
	return ps_heap_push(&s->completions, &l->done, s->now_ns + service_ns);
}

static struct request *request_new(struct sim *s)
{
	struct request *r = s->free_requests;
	if (r) {
		s->free_requests = r->next_free;
		return r;
	}
	r = malloc(sizeof *r);
	if (r) {
		r->next_all = s->all_requests;
		s->all_requests = r;
	}
	return r;
}

static void request_put(struct sim *s, struct request *r)
{
	r->next_free = s->free_requests;
	s->free_requests = r;
}

static void count_served(struct sim *s, const struct request *r)
{
	const struct ps_dispatch_account *a = &r->d.account;
	struct source *o = &s->sources[a->tenant];
	struct ps_sim_result *x = &o->result;
	double latency_ns = (double)(a->finished_ns - a->received_ns);
	x->served++;
	x->wait_mean_ns += (double)(a->started_ns - a->received_ns); /* sums until the end */
	x->service_mean_ns += (double)(a->finished_ns - a->started_ns);
	x->latency_mean_ns += latency_ns;
	if (a->finished_ns - a->received_ns > x->latency_max_ns)
		x->latency_max_ns = a->finished_ns - a->received_ns;
	if (s->plan->served)
		s->plan->served(s->plan->ctx, a->tenant, a->received_ns, a->started_ns,
				a->finished_ns);
}

static enum ps_status arrival(struct sim *s, struct source *o)
{
	struct request *r = request_new(s);
	struct ps_dispatch_action a;
	if (!r)
		return PS_ENOMEM;
	ps_dispatch_request_init(&r->d, (int)(o - s->sources), 0);
	r->d.account.received_ns = s->now_ns;
	if (o->tenant->deadline_ns)
		r->d.deadline_ns = s->now_ns + o->tenant->deadline_ns;
	r->counted = s->n_arrivals > s->plan->warmup;
	o->result.arrived += r->counted;
	if (ps_dispatch_arrive(s->dispatch, &r->d, s->now_ns, &a, NULL) != PS_OK) {
		o->result.refused += r->counted;
		request_put(s, r);
		return PS_OK;
	}
	count_waiting(s, 1);
	if (a.kind != PS_DISPATCH_WAKE)
		return PS_OK;
	struct lane *l = s->idle;
	s->idle = l->next_idle;
	return offer_lane(s, l);
}

static enum ps_status completion(struct sim *s, struct lane *l)
{
	struct request *r = l->request;
	ps_dispatch_finish(s->dispatch, &r->d, PS_OK, r->d.account.started_ns, s->now_ns);
	if (r->counted)
		count_served(s, r);
	request_put(s, r);
	return offer_lane(s, l);
}

/* Waiting requests expire at their deadline; running ones are left alone, as an engine that cannot
 * be interrupted would: their time is spent either way. */
static void expire(struct sim *s)
{
	struct ps_dispatch_action a;
	while ((a = ps_dispatch_tick(s->dispatch, s->now_ns)).kind != PS_DISPATCH_NOTHING) {
		if (a.kind != PS_DISPATCH_EXPIRE)
			continue;
		struct request *r = REQUEST_OF(a.request);
		count_waiting(s, -1);
		s->sources[a.request->account.tenant].result.expired += r->counted;
		request_put(s, r);
	}
}

static int64_t key_of(const struct ps_heap_node *n)
{
	return n ? n->key : INT64_MAX;
}

/* Performs the next event. At one instant completions come before deadlines before arrivals. */
static enum ps_status step(struct sim *s, bool *ret_more)
{
	int64_t done_ns = key_of(ps_heap_peek(&s->completions));
	int64_t arrival_ns = key_of(ps_heap_peek(&s->arrivals));
	int64_t deadline_ns = ps_dispatch_next_deadline_ns(s->dispatch);
	s->summary.events++;
	if (done_ns <= arrival_ns && done_ns <= deadline_ns && done_ns != INT64_MAX) {
		s->now_ns = done_ns;
		return completion(s, LANE_OF(ps_heap_pop(&s->completions)));
	}
	if (deadline_ns <= arrival_ns && deadline_ns != INT64_MAX) {
		s->now_ns = deadline_ns;
		expire(s);
		return PS_OK;
	}
	if (arrival_ns == INT64_MAX) {
		*ret_more = false;
		return PS_OK;
	}
	s->now_ns = arrival_ns;
	struct source *o = SOURCE_OF(ps_heap_pop(&s->arrivals));
	s->n_arrivals++;
	enum ps_status status = arrival(s, o);
	if (s->n_arrivals < s->plan->arrivals)
		return status == PS_OK ? schedule_arrival(s, o) : status;
	s->last_arrival_ns = s->now_ns;
	while (ps_heap_pop(&s->arrivals))
		;
	return status;
}

static void finish_results(struct sim *s, struct ps_sim_result *ret_results)
{
	for (int i = 0; i < s->plan->n_tenants; i++) {
		struct ps_sim_result *x = &s->sources[i].result;
		double n = x->served ? (double)x->served : 1.0;
		x->wait_mean_ns /= n;
		x->service_mean_ns /= n;
		x->latency_mean_ns /= n;
		ret_results[i] = *x;
	}
	s->summary.end_ns = s->now_ns;
	s->summary.waiting_mean = s->area / (double)s->last_arrival_ns;
}

static void fini(struct sim *s)
{
	for (struct request *r = s->all_requests, *next; r; r = next) {
		next = r->next_all;
		free(r);
	}
	free(s->lanes);
	free(s->sources);
	ps_heap_fini(&s->arrivals);
	ps_heap_fini(&s->completions);
	ps_dispatch_free(s->dispatch);
	ps_repo_free(s->repo);
	ps_tenancy_free(s->tenancy);
}

enum ps_status ps_sim_run(const struct ps_sim_plan *plan, struct ps_sim_result *ret_results,
			  struct ps_sim_summary *ret_summary, struct ps_error *err)
{
	struct sim s = {.plan = plan};
	enum ps_status status = check(plan, err);
	bool more = true;
	if (status != PS_OK)
		return status;
	ps_heap_init(&s.arrivals);
	ps_heap_init(&s.completions);
	status = make_dispatch(&s, err);
	if (status == PS_OK) {
		status = make_actors(&s);
		while (status == PS_OK && more)
			status = step(&s, &more);
		if (status != PS_OK)
			ps_error_set(err, status, "out of %s",
				     status == PS_ENOMEM ? "memory" : "simulated time");
	}
	if (status == PS_OK) {
		finish_results(&s, ret_results);
		if (ret_summary)
			*ret_summary = s.summary;
	}
	fini(&s);
	return status;
}
