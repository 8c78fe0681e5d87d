/* Events in order of time: runs end, ticks come due, clients leave, requests arrive. */
#include "sim/sim_internal.h"

#include <stdlib.h>

#define CLIENT_OF(n)   ((struct sim_client *)((char *)(n)-offsetof(struct sim_client, next)))
#define LANE_OF(n)     ((struct sim_lane *)((char *)(n)-offsetof(struct sim_lane, done)))
#define LOAD_OF(n)     ((struct sim_load *)((char *)(n)-offsetof(struct sim_load, done)))
#define LEAVING_OF(n)  ((struct sim_request *)((char *)(n)-offsetof(struct sim_request, leaves)))
#define REQUEST_OF(p)  ((struct sim_request *)((char *)(p)-offsetof(struct sim_request, d)))
#define SOURCE_OF_R(r) ((r)->client->source)

/* ---- lanes -------------------------------------------------------------------------------- */

static void lane_idle(struct sim *s, struct sim_lane *l)
{
	l->batch = NULL;
	l->idle = true;
	l->idle_prev = NULL;
	l->idle_next = s->idle;
	if (s->idle)
		s->idle->idle_prev = l;
	s->idle = l;
	s->n_idle++;
}

static void lane_busy(struct sim *s, struct sim_lane *l)
{
	if (l->idle_prev)
		l->idle_prev->idle_next = l->idle_next;
	else
		s->idle = l->idle_next;
	if (l->idle_next)
		l->idle_next->idle_prev = l->idle_prev;
	l->idle = false;
	s->n_idle--;
}

static int64_t run_ns(const struct ps_dispatch_batch *b)
{
	const struct ps_sim_model *m = REQUEST_OF(b->first)->model;
	double factors = 0, rows = 0;
	for (const struct ps_dispatch_request *r = b->first; r; r = r->batch_next) {
		factors += (double)r->rows * REQUEST_OF(r)->factor;
		rows += (double)r->rows;
	}
	double ns = ps_sim_time_ns(m, (int64_t)rows) * factors / rows;
	if (b->width > 1 && m->wide_speedup > 0)
		ns /= m->wide_speedup;
	return ns < 1 ? 1 : (int64_t)(ns + 0.5);
}

static enum ps_status start(struct sim *s, struct ps_dispatch_batch *b)
{
	struct sim_lane *l = &s->lanes[b->lane];
	int64_t ns = run_ns(b);
	lane_busy(s, l);
	l->batch = b;
	l->started_ns = s->now_ns;
	s->summary.runs++;
	s->summary.rows += b->rows;
	s->summary.wide_runs += b->width > 1;
	s->summary.here_runs += b->here;
	return ps_heap_push(&s->completions, &l->done, s->now_ns + ns);
}

/* An idle lane asks for work; *ret_ran says whether it got some, *ret_wake whether there is more.
 */
static enum ps_status ask(struct sim *s, struct sim_lane *l, bool *ret_ran, bool *ret_wake)
{
	struct ps_dispatch_action a =
		ps_dispatch_lane_free(s->dispatch, (int)(l - s->lanes), s->now_ns);
	*ret_ran = a.kind == PS_DISPATCH_RUN;
	*ret_wake = a.wake || a.kind == PS_DISPATCH_WAKE;
	return *ret_ran ? start(s, a.batch) : PS_OK;
}

static enum ps_status wake(struct sim *s)
{
	bool ran = true, more = true;
	enum ps_status status = PS_OK;
	while (status == PS_OK && ran && more && s->idle)
		status = ask(s, s->idle, &ran, &more);
	return status;
}

/* ---- requests ----------------------------------------------------------------------------- */

static struct sim_request *request_new(struct sim *s)
{
	struct sim_request *r = s->free_requests;
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

static void count_served(struct sim *s, struct ps_sim_result *x, const struct sim_request *r)
{
	const struct ps_dispatch_account *a = &r->d.account;
	int64_t latency_ns = a->finished_ns - a->received_ns;
	x->served++;
	x->wait_mean_ns += (double)(a->started_ns - a->received_ns); /* sums until the end */
	x->service_mean_ns += (double)(a->finished_ns - a->started_ns);
	x->latency_mean_ns += (double)latency_ns;
	if (latency_ns > x->latency_max_ns)
		x->latency_max_ns = latency_ns;
	if (a->deadline_ns == 0 || a->finished_ns <= a->deadline_ns)
		x->in_time++;
	else
		x->late++;
	if (s->plan->quantiles)
		ps_hist_record(&SOURCE_OF_R(r)->latencies, latency_ns);
}

static void count(struct sim *s, const struct sim_request *r, bool refused)
{
	const struct ps_dispatch_account *a = &r->d.account;
	struct ps_sim_result *x = &SOURCE_OF_R(r)->result;
	x->cost_ns += (double)a->cost_ns;
	if (a->status == PS_OK) {
		count_served(s, x, r);
		return;
	}
	x->reasons[a->reason]++;
	if (refused) {
		x->refused++;
	} else if (a->status == PS_EDEADLINE) {
		x->expired++;
		x->late++;
	} else {
		x->cancelled++;
	}
}

static enum ps_status request_done(struct sim *s, struct sim_request *r, bool refused)
{
	struct sim_source *o = SOURCE_OF_R(r);
	const struct ps_sim_done done = {.tenant = (int)(o - s->sources),
					 .id = r->id,
					 .counted = r->counted,
					 .factor = r->factor,
					 .account = &r->d.account};
	ps_heap_remove(&s->leaving, &r->leaves);
	if (r->counted)
		count(s, r, refused);
	if (s->plan->done)
		s->plan->done(s->plan->ctx, &done);
	r->next_free = s->free_requests;
	s->free_requests = r;
	if (o->tenant->arrival != PS_SIM_CLOSED)
		return PS_OK;
	return sim_source_again(s, r->client, s->now_ns + sim_source_pause_ns(o, refused));
}

/* What the request says of itself, again when it was parked meanwhile. */
static void say(struct sim_request *r, const struct ps_sim_tenant *t)
{
	r->d.rows = t->rows ? t->rows : 1;
	r->d.no_deadline_check = t->unchecked;
	if (t->deadline_ns)
		r->d.deadline_ns = r->d.account.received_ns + t->deadline_ns;
}

static struct sim_request *make_request(struct sim *s, struct sim_client *c)
{
	struct sim_request *r = request_new(s);
	struct sim_source *o = c->source;
	const struct ps_sim_tenant *t = o->tenant;
	if (!r)
		return NULL;
	int model = sim_source_model(s, o);
	ps_dispatch_request_init(&r->d, (int)(o - s->sources), s->models[model]);
	ps_heap_node_init(&r->leaves);
	r->model = o->model;
	r->client = c;
	r->id = s->n_arrivals - 1;
	r->factor = sim_source_factor(o);
	r->counted = r->id >= s->plan->warmup && s->now_ns >= s->plan->warmup_ns;
	r->d.account.received_ns = s->now_ns;
	say(r, t);
	if (r->counted) {
		o->result.arrived++;
		if (s->summary.counted_from_ns == 0)
			s->summary.counted_from_ns = s->now_ns;
		s->summary.counted_until_ns = s->now_ns;
	}
	return r;
}

static enum ps_status maybe_leave(struct sim *s, struct sim_request *r)
{
	struct sim_source *o = SOURCE_OF_R(r);
	const struct ps_sim_tenant *t = o->tenant;
	if (t->leave_share <= 0 || ps_rng_uniform(&o->leaves) >= t->leave_share)
		return PS_OK;
	double ns = ps_rng_exponential(&o->leaves, t->patience_ns);
	return ps_heap_push(&s->leaving, &r->leaves, s->now_ns + (int64_t)ns);
}

/* ---- events ------------------------------------------------------------------------------- */

static enum ps_status arrive(struct sim *s, struct sim_request *r)
{
	struct ps_dispatch_action a;
	if (ps_dispatch_arrive(s->dispatch, &r->d, s->now_ns, &a, NULL) != PS_OK)
		return request_done(s, r, true);
	enum ps_status status = r->d.paid ? PS_OK : maybe_leave(s, r);
	if (status == PS_OK && a.kind == PS_DISPATCH_RUN)
		status = start(s, a.batch);
	if (status == PS_OK && (a.kind == PS_DISPATCH_WAKE || a.wake))
		status = wake(s);
	return status;
}

static enum ps_status arrival(struct sim *s, struct sim_client *c)
{
	struct sim_request *r = make_request(s, c);
	int64_t wait_ns;
	if (!r)
		return PS_ENOMEM;
	if (!ps_dispatch_on_demand(s->dispatch) ||
	    ps_dispatch_instance(s->dispatch, r->d.tenant, r->d.model) >= 0)
		return arrive(s, r);
	if (ps_dispatch_await(s->dispatch, &r->d, s->now_ns, &wait_ns, NULL) != PS_OK)
		return request_done(s, r, true);
	return maybe_leave(s, r); /* the loads come of the tick that is due now */
}

/* Its model is there. */
static enum ps_status resume(struct sim *s, struct sim_request *r)
{
	const struct ps_dispatch_account was = r->d.account;
	ps_dispatch_request_init(&r->d, was.tenant, was.model);
	r->d.account.received_ns = was.received_ns;
	r->d.account.load_wait_ns = was.load_wait_ns;
	r->d.paid = true;
	say(r, SOURCE_OF_R(r)->tenant);
	enum ps_status status = arrive(s, r);
	ps_dispatch_resumed(s->dispatch, was.tenant, was.model);
	return status;
}

static enum ps_status completion(struct sim *s, struct sim_lane *l)
{
	struct ps_dispatch_batch *b = l->batch;
	struct ps_dispatch_action a =
		ps_dispatch_finish(s->dispatch, b, PS_OK, l->started_ns, s->now_ns);
	double ns = (double)(s->now_ns - l->started_ns);
	bool ran, more;
	s->summary.busy_ns += ns;
	s->summary.cost_ns += ns * b->width;
	if (s->plan->ran)
		s->plan->ran(s->plan->ctx, b, l->started_ns, s->now_ns);
	lane_idle(s, l);
	enum ps_status status = ask(s, l, &ran, &more);
	if (status == PS_OK && (more || (!ran && a.kind == PS_DISPATCH_WAKE)))
		status = wake(s);
	struct ps_dispatch_request *next;
	for (struct ps_dispatch_request *r = b->first; r && status == PS_OK; r = next) {
		next = r->batch_next; /* the first one holds the batch itself */
		status = request_done(s, REQUEST_OF(r), false);
	}
	return status;
}

/* An engine that can be interrupted ends a cancelled run a little later; another runs on, and its
 * time is spent either way. */
static enum ps_status stop(struct sim *s, const struct ps_dispatch_batch *b)
{
	struct sim_lane *l = &s->lanes[b->lane];
	int64_t at_ns = s->now_ns + s->plan->stop_ns;
	if (s->plan->stop_ns == 0 || at_ns >= l->done.key)
		return PS_OK;
	ps_heap_remove(&s->completions, &l->done);
	return ps_heap_push(&s->completions, &l->done, at_ns);
}

static enum ps_status perform(struct sim *s, const struct ps_dispatch_action *a)
{
	enum ps_status status = PS_OK;
	if (a->kind == PS_DISPATCH_EXPIRE || a->kind == PS_DISPATCH_DROP)
		status = request_done(s, REQUEST_OF(a->request), false);
	else if (a->kind == PS_DISPATCH_REFUSE)
		status = request_done(s, REQUEST_OF(a->request), true);
	else if (a->kind == PS_DISPATCH_RESUME)
		status = resume(s, REQUEST_OF(a->request));
	else if (a->kind == PS_DISPATCH_PLAN)
		sim_plan(s, a);
	else if (a->kind == PS_DISPATCH_LOADS)
		status = sim_loads(s);
	else if (a->kind == PS_DISPATCH_CANCEL)
		status = stop(s, a->batch);
	if (status == PS_OK && (a->kind == PS_DISPATCH_WAKE || a->wake))
		status = wake(s);
	return status;
}

static enum ps_status tick(struct sim *s)
{
	enum ps_status status = PS_OK;
	struct ps_dispatch_action a;
	while (status == PS_OK &&
	       (a = ps_dispatch_tick(s->dispatch, s->now_ns)).kind != PS_DISPATCH_NOTHING)
		status = perform(s, &a);
	return status;
}

static enum ps_status leave(struct sim *s, struct sim_request *r)
{
	struct ps_dispatch_action a = ps_dispatch_cancel(s->dispatch, &r->d, s->now_ns);
	return perform(s, &a);
}

static int64_t key_of(const struct ps_heap_node *n)
{
	return n ? n->key : INT64_MAX;
}

/* Time passes: what waited, and what idled though enough waited, is added up. */
static void move_to(struct sim *s, int64_t to_ns)
{
	double ns = (double)(to_ns - s->now_ns);
	if (ns > 0) {
		int64_t waiting = ps_dispatch_waiting(s->dispatch);
		int64_t wasted = waiting < s->n_idle ? waiting : s->n_idle;
		s->summary.idle_ns += (double)wasted * ns;
		if (!s->ended) /* afterwards the queues only drain */
			s->area += (double)waiting * ns;
	}
	s->now_ns = to_ns;
}

static void end_arrivals(struct sim *s)
{
	s->ended = true;
	s->last_arrival_ns = s->now_ns;
	while (ps_heap_pop(&s->arrivals))
		;
}

static enum ps_status next_arrival(struct sim *s)
{
	struct sim_client *c = CLIENT_OF(ps_heap_peek(&s->arrivals));
	enum ps_status status = PS_OK;
	s->n_arrivals++;
	if (c->source->tenant->arrival == PS_SIM_CLOSED)
		ps_heap_remove(&s->arrivals, &c->next);
	else
		status = sim_source_next(s, c->source);
	if (status == PS_OK)
		status = arrival(s, c);
	if (s->plan->arrivals && s->n_arrivals >= s->plan->arrivals)
		end_arrivals(s);
	return status;
}

/* Performs the next event. At one instant runs end before ticks before clients leave before
 * requests arrive. */
static enum ps_status step(struct sim *s, bool *ret_more)
{
	int64_t load_ns = key_of(ps_heap_peek(&s->loads));
	int64_t done_ns = key_of(ps_heap_peek(&s->completions));
	int64_t tick_ns = ps_dispatch_next_tick_ns(s->dispatch);
	int64_t leave_ns = key_of(ps_heap_peek(&s->leaving));
	int64_t arrival_ns = key_of(ps_heap_peek(&s->arrivals));
	s->summary.events++;
	if (load_ns != INT64_MAX && load_ns <= done_ns && load_ns <= arrival_ns &&
	    load_ns <= leave_ns && load_ns <= tick_ns) {
		move_to(s, load_ns);
		return sim_load_done(s, LOAD_OF(ps_heap_pop(&s->loads)));
	}
	if (done_ns <= arrival_ns && done_ns <= tick_ns && done_ns <= leave_ns &&
	    done_ns != INT64_MAX) {
		move_to(s, done_ns);
		return completion(s, LANE_OF(ps_heap_pop(&s->completions)));
	}
	if (tick_ns <= arrival_ns && tick_ns <= leave_ns && tick_ns != INT64_MAX) {
		move_to(s, tick_ns > s->now_ns ? tick_ns : s->now_ns);
		return tick(s);
	}
	if (leave_ns <= arrival_ns && leave_ns != INT64_MAX) {
		move_to(s, leave_ns);
		return leave(s, LEAVING_OF(ps_heap_pop(&s->leaving)));
	}
	if (arrival_ns == INT64_MAX) {
		*ret_more = false;
		return PS_OK;
	}
	if (s->plan->until_ns && arrival_ns >= s->plan->until_ns) {
		move_to(s, s->plan->until_ns > s->now_ns ? s->plan->until_ns : s->now_ns);
		end_arrivals(s);
		return PS_OK;
	}
	move_to(s, arrival_ns);
	return next_arrival(s);
}

static enum ps_status make_actors(struct sim *s)
{
	const struct ps_sim_plan *p = s->plan;
	enum ps_status status = PS_OK;
	s->sources = calloc((size_t)p->n_tenants, sizeof *s->sources);
	s->lanes = calloc((size_t)p->n_lanes, sizeof *s->lanes);
	if (!s->sources || !s->lanes)
		return PS_ENOMEM;
	for (int i = p->n_lanes - 1; i >= 0; i--) {
		ps_heap_node_init(&s->lanes[i].done);
		lane_idle(s, &s->lanes[i]);
	}
	for (int i = 0; status == PS_OK && i < p->n_tenants; i++)
		status = sim_source_init(s, i);
	return status;
}

static void finish_results(struct sim *s, struct ps_sim_result *ret_results)
{
	for (int i = 0; i < s->plan->n_tenants; i++) {
		struct sim_source *o = &s->sources[i];
		struct ps_sim_result *x = &o->result;
		double n = x->served ? (double)x->served : 1.0;
		x->wait_mean_ns /= n;
		x->service_mean_ns /= n;
		x->latency_mean_ns /= n;
		if (s->plan->quantiles) {
			x->p50_ns = ps_hist_quantile_ns(&o->latencies, 0.5);
			x->p99_ns = ps_hist_quantile_ns(&o->latencies, 0.99);
		}
		struct ps_dispatch_residency_view v;
		ps_dispatch_residency_view_get(s->dispatch, i, &v);
		x->hits = (int64_t)v.hits;
		x->cold_starts = (int64_t)v.cold_starts;
		x->load_wait_ns = (double)v.load_wait_ns;
		ret_results[i] = *x;
	}
	struct ps_dispatch_evictions e;
	for (int i = 0; ps_dispatch_evictions_get(s->dispatch, i, &e); i++)
		s->summary.evictions += (int64_t)e.n;
	s->summary.end_ns = s->now_ns;
	if (s->last_arrival_ns > 0)
		s->summary.waiting_mean = s->area / (double)s->last_arrival_ns;
}

/* Nothing may be waiting or running when the policy is freed: an error leaves it as it is, and what
 * it holds is drained without being counted. */
static void drain(struct sim *s)
{
	bool more = true;
	end_arrivals(s);
	while (more && step(s, &more) == PS_OK)
		;
}

static void fini(struct sim *s)
{
	for (struct sim_request *r = s->all_requests, *next; r; r = next) {
		next = r->next_all;
		free(r);
	}
	for (int i = 0; s->sources && i < s->plan->n_tenants; i++) {
		free(s->sources[i].clients);
		if (s->plan->quantiles)
			ps_hist_fini(&s->sources[i].latencies);
	}
	free(s->lanes);
	free(s->sources);
	free(s->models);
	ps_heap_fini(&s->arrivals);
	ps_heap_fini(&s->completions);
	ps_heap_fini(&s->leaving);
	sim_loads_fini(s);
	ps_dispatch_free(s->dispatch);
	ps_repo_free(s->repo);
	ps_tenancy_unref(s->tenancy);
}

static enum ps_status run(struct sim *s, struct ps_error *err)
{
	bool more = true;
	enum ps_status status = sim_make_dispatch(s, err);
	if (status != PS_OK)
		return status;
	status = make_actors(s);
	while (status == PS_OK && more)
		status = step(s, &more);
	if (status != PS_OK) {
		ps_error_set(err, status, "out of %s",
			     status == PS_ENOMEM ? "memory" : "simulated time");
		drain(s);
	}
	return status;
}

enum ps_status ps_sim_run(const struct ps_sim_plan *plan, struct ps_sim_result *ret_results,
			  struct ps_sim_summary *ret_summary, struct ps_error *err)
{
	struct sim s = {.plan = plan};
	enum ps_status status = sim_check(plan, err);
	if (status != PS_OK)
		return status;
	ps_heap_init(&s.arrivals);
	ps_heap_init(&s.completions);
	ps_heap_init(&s.leaving);
	ps_heap_init(&s.loads);
	status = run(&s, err);
	if (status == PS_OK) {
		finish_results(&s, ret_results);
		if (ret_summary)
			*ret_summary = s.summary;
	}
	fini(&s);
	return status;
}
