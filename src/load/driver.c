/* driver.c - prepares, runs and judges a plan. */
#include "load/driver_internal.h"

#include "load/judge.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum { DEFAULT_CONNECTIONS = 512, MAX_OPEN_AHEAD = 16, SPARE_DESCRIPTORS = 64 };

#define START_DELAY_NS	    (2 * PS_NS_PER_MS) /* between being ready and the first instant */
#define CONNECT_PATIENCE_NS (2 * PS_NS_PER_SEC)
#define PROBE_RPS	    1000 /* when a plan has closed loops only */

/* ---- the plan ---- */

static enum ps_status check_tenant(const struct ps_load_plan *plan, size_t i, struct ps_error *err)
{
	const struct ps_load_tenant *t = &plan->tenants[i];

	if (!t->name || !t->name[0] ||
	    strlen(t->name) >= sizeof(((struct ps_load_tenant_result *)0)->name)) {
		return ps_error_set(err, PS_EINVAL, "tenant %zu needs a name of at most 63 bytes",
				    i + 1);
	}
	for (size_t k = 0; k < i; k++) {
		if (strcmp(plan->tenants[k].name, t->name) == 0) {
			return ps_error_set(err, PS_EINVAL, "two tenants are called '%s'", t->name);
		}
	}
	if (!t->url || !t->model || !t->model[0]) {
		return ps_error_set(err, PS_EINVAL, "tenant '%s' needs a URL and a model", t->name);
	}
	if (ps_load_arrival_is_closed(&t->arrival) &&
	    (t->concurrency < 1 || t->concurrency > PS_LOAD_MAX_CONNECTIONS)) {
		return ps_error_set(err, PS_EINVAL, "tenant '%s': 1 to %d users", t->name,
				    PS_LOAD_MAX_CONNECTIONS);
	}
	if (ps_load_arrival_check(&t->arrival, plan->warmup_ns + plan->duration_ns, err) != PS_OK) {
		ps_error_where(err, "tenant '%s'", t->name);
		return PS_EINVAL;
	}
	if (t->batch < 0 || t->distinct_inputs < 0) {
		return ps_error_set(err, PS_EINVAL, "tenant '%s': negative batch or inputs",
				    t->name);
	}
	return PS_OK;
}

static enum ps_status check_plan(const struct ps_load_plan *plan, struct ps_error *err)
{
	if (plan->tenant_len == 0 || plan->tenant_len > PS_LOAD_MAX_TENANTS) {
		return ps_error_set(err, PS_EINVAL, "a plan has 1 to %d tenants",
				    PS_LOAD_MAX_TENANTS);
	}
	if (plan->duration_ns <= 0 || plan->warmup_ns < 0 || plan->timeout_ns < 0 ||
	    plan->spin_ns < 0 || plan->probe_ns < 0 ||
	    plan->duration_ns > PS_LOAD_MAX_SECONDS * PS_NS_PER_SEC ||
	    plan->warmup_ns > PS_LOAD_MAX_SECONDS * PS_NS_PER_SEC) {
		return ps_error_set(err, PS_EINVAL,
				    "a plan lasts more than 0 and at most %d s, its warm-up too",
				    PS_LOAD_MAX_SECONDS);
	}
	if (plan->max_connections < 0 || plan->open_connections < 0) {
		return ps_error_set(err, PS_EINVAL, "negative number of connections");
	}
	for (size_t i = 0; i < plan->tenant_len; i++) {
		enum ps_status st = check_tenant(plan, i, err);

		if (st != PS_OK) {
			return st;
		}
	}
	return PS_OK;
}

static size_t connections_of(const struct ps_load_plan *plan, const struct ps_load_tenant *t)
{
	if (ps_load_arrival_is_closed(&t->arrival)) {
		return (size_t)t->concurrency;
	}
	return plan->max_connections ? (size_t)plan->max_connections : DEFAULT_CONNECTIONS;
}

/* Descriptors: the soft limit of 1024 is a shell's habit. It is raised once for the process as far
 * as the hard limit allows; what still lacks shows as waiting requests. */
static enum ps_status raise_descriptors(const struct ps_load_plan *plan, struct ps_error *err)
{
	struct rlimit lim;
	size_t need = SPARE_DESCRIPTORS;

	for (size_t i = 0; i < plan->tenant_len; i++) {
		need += connections_of(plan, &plan->tenants[i]);
	}
	if (need > PS_LOAD_MAX_CONNECTIONS + SPARE_DESCRIPTORS) {
		return ps_error_set(err, PS_EINVAL, "over %d connections in all",
				    PS_LOAD_MAX_CONNECTIONS);
	}
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < need) {
		lim.rlim_cur = lim.rlim_max < need ? lim.rlim_max : need;
		(void)setrlimit(RLIMIT_NOFILE, &lim);
	}
	return PS_OK;
}

/* ---- preparing ---- */

static size_t ahead(const struct ps_load_plan *plan, const struct ps_load_tenant_run *tr)
{
	int64_t total_ns = plan->warmup_ns + plan->duration_ns;
	double rate_rps = ps_load_arrival_mean_rps(&tr->t->arrival, total_ns);
	size_t n;

	if (ps_load_arrival_is_closed(&tr->t->arrival)) {
		return tr->conn_max;
	}
	n = plan->open_connections ? (size_t)plan->open_connections
				   : (size_t)fmin(MAX_OPEN_AHEAD, 2 + rate_rps / 20);
	return n < tr->conn_max ? n : tr->conn_max;
}

static enum ps_status open_ahead(struct ps_load_tenant_run *tr, struct ps_error *err)
{
	size_t n = ahead(tr->run->plan, tr);
	enum ps_status st = PS_OK;
	struct ps_load_conn *k;

	while (st == PS_OK && tr->conn_len < n) {
		st = ps_load_conn_new(tr, &k, err);
	}
	for (size_t i = tr->conn_len; i-- > 0;) {
		ps_net_client_connect(tr->conns[i]->client);
		tr->conns[i]->next_free = tr->free;
		tr->free = tr->conns[i];
	}
	return st;
}

static uint64_t input_seed(const struct ps_load_plan *plan, const struct ps_load_tenant *t)
{
	char stream[128];

	snprintf(stream, sizeof(stream), "%s/inputs", t->name);
	return t->input_seed ? t->input_seed : plan->seed ^ ps_rng_stream(stream);
}

static enum ps_status prepare_tenant(struct ps_load_run *run, size_t i, struct ps_error *err)
{
	const struct ps_load_tenant *t = &run->plan->tenants[i];
	struct ps_load_tenant_run *tr = &run->tenants[i];
	double total_ns = (double)(run->plan->warmup_ns + run->plan->duration_ns);
	double expected = 1.1 * ps_load_arrival_expected(&t->arrival, total_ns);
	struct ps_load_conn *first;
	enum ps_status st;

	tr->run = run;
	tr->t = t;
	tr->r = &run->result->tenants[i];
	tr->conn_max = connections_of(run->plan, t);
	tr->conns = calloc(tr->conn_max, sizeof(struct ps_load_conn *));
	if (!tr->conns || ps_load_recorder_init(&tr->rec, tr->r, run->plan, t, expected) != PS_OK) {
		return ps_error_set(err, PS_ENOMEM, "no memory for tenant '%s'", t->name);
	}
	st = ps_load_target_init(&tr->target, t, err);
	run->tenant_len = i + 1; /* from here on free_run knows this one */
	if (st == PS_OK) {
		st = ps_load_conn_new(tr, &first, err);
	}
	if (st == PS_OK) {
		st = ps_load_target_fetch(&tr->target, run->loop, first->client, run->timeout_ns,
					  err);
	}
	if (st == PS_OK) {
		st = ps_load_target_make_requests(&tr->target, input_seed(run->plan, t), err);
	}
	if (st != PS_OK) {
		return st;
	}
	tr->r->batch = t->batch > 0 ? t->batch : 1;
	tr->r->request_bytes = tr->target.requests[0].message.bytes;
	return open_ahead(tr, err);
}

static bool all_connected(const struct ps_load_run *run)
{
	for (size_t i = 0; i < run->tenant_len; i++) {
		for (size_t k = 0; k < run->tenants[i].conn_len; k++) {
			if (!ps_net_client_is_connected(run->tenants[i].conns[k]->client)) {
				return false;
			}
		}
	}
	return true;
}

static enum ps_status await_connections(struct ps_load_run *run, struct ps_error *err)
{
	int64_t patience = ps_evloop_now_ns(run->loop) + CONNECT_PATIENCE_NS;
	enum ps_status st = PS_OK;

	while (st == PS_OK && !all_connected(run) && ps_evloop_now_ns(run->loop) < patience) {
		st = ps_evloop_run_once(run->loop, PS_NS_PER_MS, err);
	}
	return st; /* one that does not come shows in the first request on it */
}

/* ---- the bare timer ---- */

struct probe {
	struct ps_evloop_timer timer;
	struct ps_evloop *loop;
	struct ps_hist *hist;
	int64_t due_ns, end_ns, gap_ns;
	bool failed;
};

static void on_probe(struct ps_evloop_timer *t, int64_t now_ns)
{
	struct probe *p = t->ctx;

	(void)now_ns;
	/* As a request would see it: read again, as close to the act as can be. */
	ps_hist_record(p->hist, ps_evloop_now_ns(p->loop) - p->due_ns);
	p->due_ns += p->gap_ns;
	p->failed = p->due_ns < p->end_ns &&
		    ps_evloop_timer_set(p->loop, &p->timer, p->due_ns) != PS_OK;
}

static enum ps_status run_probe(struct ps_load_run *run, struct ps_error *err)
{
	double rate = 0;
	struct probe p = {.loop = run->loop, .hist = &run->result->probe};
	enum ps_status st;

	if (run->plan->probe_ns == 0) {
		return PS_OK;
	}
	for (size_t i = 0; i < run->tenant_len; i++) {
		rate += ps_load_arrival_mean_rps(&run->tenants[i].t->arrival,
						 run->plan->warmup_ns + run->plan->duration_ns);
	}
	p.gap_ns = (int64_t)(1e9 / (rate > 0 ? fmin(rate, 1e5) : PROBE_RPS)) + 1;
	p.due_ns = ps_evloop_now_ns(run->loop) + p.gap_ns;
	p.end_ns = p.due_ns + run->plan->probe_ns;
	ps_evloop_timer_init(&p.timer, on_probe, &p);
	st = ps_evloop_timer_set(run->loop, &p.timer, p.due_ns);
	while (st == PS_OK && ps_evloop_timer_is_set(&p.timer)) {
		st = ps_evloop_run_once(run->loop, -1, err);
	}
	return p.failed ? ps_error_set(err, PS_ENOMEM, "no memory for a timer") : st;
}

/* ---- the thread that runs ---- */

/* What a run changes about its thread, and puts back. */
struct thread_state {
	cpu_set_t cpus;
	int slack_ns;
	bool pinned;
};

static enum ps_status enter_thread(struct thread_state *ts, const struct ps_load_plan *plan,
				   struct ps_load_result *r, struct ps_error *err)
{
	cpu_set_t one;

	*ts = (struct thread_state){.slack_ns = prctl(PR_GET_TIMERSLACK)};
	if (plan->cpu >= 0) {
		if (plan->cpu >= CPU_SETSIZE) {
			return ps_error_set(err, PS_EINVAL, "no CPU %d", plan->cpu);
		}
		CPU_ZERO(&one);
		CPU_SET(plan->cpu, &one);
		if (sched_getaffinity(0, sizeof(ts->cpus), &ts->cpus) != 0 ||
		    sched_setaffinity(0, sizeof(one), &one) != 0) {
			return ps_error_set(err, PS_EINVAL, "cannot run on CPU %d", plan->cpu);
		}
		ts->pinned = true;
	}
	(void)prctl(PR_SET_TIMERSLACK, 1UL);
	r->timer_slack_ns = prctl(PR_GET_TIMERSLACK);
	r->cpu = plan->cpu;
	return PS_OK;
}

static void leave_thread(const struct thread_state *ts)
{
	if (ts->slack_ns > 0) {
		(void)prctl(PR_SET_TIMERSLACK, (unsigned long)ts->slack_ns);
	}
	if (ts->pinned) {
		(void)sched_setaffinity(0, sizeof(ts->cpus), &ts->cpus);
	}
}

/* ---- the run ---- */

static enum ps_status drive(struct ps_load_run *run, struct ps_error *err)
{
	struct ps_load_result *r = run->result;
	enum ps_status st;
	int64_t cpu;

	run->start_ns = ps_evloop_now_ns(run->loop) + START_DELAY_NS;
	run->end_ns = run->start_ns + run->plan->warmup_ns + run->plan->duration_ns;
	r->start_ns = run->start_ns;
	r->wall_ns = ps_clock_wall_ns() + START_DELAY_NS;
	cpu = ps_clock_thread_cpu_ns();
	st = ps_load_sender_start(run);
	while (st == PS_OK && !ps_load_sender_finished(run)) {
		int64_t now = ps_evloop_now_ns(run->loop);

		/* With nothing in flight the loop has no reason to wake at the end. */
		st = ps_evloop_run_once(run->loop, run->end_ns > now ? run->end_ns - now : -1, err);
		if (st == PS_OK && run->status != PS_OK) {
			st = ps_error_set(err, run->status, "no memory for a timer");
		}
	}
	r->cpu_ns = ps_clock_thread_cpu_ns() - cpu;
	r->end_ns = ps_evloop_now_ns(run->loop);
	r->cancelled = run->cancelled;
	return st;
}

static enum ps_status judge(struct ps_load_run *run, struct ps_error *err)
{
	struct ps_load_result *r = run->result;

	r->valid = true;
	for (size_t i = 0; i < run->tenant_len; i++) {
		struct ps_load_tenant_run *tr = &run->tenants[i];

		ps_load_recorder_finish(&tr->rec);
		tr->r->connections = tr->conn_len;
		if (ps_load_judge(tr->r, &tr->t->sla, run->timeout_ns, run->cancelled) != PS_OK) {
			return ps_error_set(err, PS_ENOMEM, "no memory to judge tenant '%s'",
					    tr->t->name);
		}
		r->valid = r->valid && tr->r->valid;
	}
	return PS_OK;
}

static enum ps_status prepare(struct ps_load_run *run, struct ps_error *err)
{
	struct ps_evloop_options o = {.spin_ns = run->plan->spin_ns};
	enum ps_status st = ps_evloop_new(&o, &run->loop, err);

	if (st == PS_OK && ps_load_schedule_init(&run->schedule, run->plan, 0, 1) != PS_OK) {
		st = ps_error_set(err, PS_ENOMEM, "no memory for the schedule");
	}
	for (size_t i = 0; st == PS_OK && i < run->plan->tenant_len; i++) {
		st = prepare_tenant(run, i, err);
	}
	if (st == PS_OK) {
		st = await_connections(run, err);
	}
	return st == PS_OK ? run_probe(run, err) : st;
}

static void free_run(struct ps_load_run *run)
{
	for (size_t i = 0; run->tenants && i < run->plan->tenant_len; i++) {
		struct ps_load_tenant_run *tr = &run->tenants[i];

		ps_evloop_timer_cancel(&tr->expiry);
		for (size_t k = 0; k < tr->conn_len; k++) {
			ps_evloop_timer_cancel(&tr->conns[k]->pause);
			ps_net_client_free(tr->conns[k]->client);
			free(tr->conns[k]);
		}
		free(tr->conns);
		free(tr->waiting.items);
		ps_load_target_fini(&tr->target);
	}
	free(run->tenants);
	ps_load_schedule_fini(&run->schedule);
	ps_evloop_free(run->loop);
}

static enum ps_status perform(struct ps_load_run *run, struct ps_error *err)
{
	const struct ps_load_plan *plan = run->plan;
	struct ps_load_result *r = run->result;
	struct thread_state ts;
	enum ps_status st;

	r->tenants = calloc(plan->tenant_len, sizeof(*r->tenants));
	run->tenants = calloc(plan->tenant_len, sizeof(*run->tenants));
	if (!r->tenants || !run->tenants || ps_hist_init(&r->probe) != PS_OK) {
		return ps_error_set(err, PS_ENOMEM, "no memory for a run");
	}
	r->tenant_len = plan->tenant_len;
	ps_clock_resolution_ns(&r->clock_step_ns, &r->clock_cost_ns);
	st = enter_thread(&ts, plan, r, err);
	if (st != PS_OK) {
		return st;
	}
	st = prepare(run, err);
	if (st == PS_OK) {
		st = drive(run, err);
	}
	leave_thread(&ts);
	return st == PS_OK ? judge(run, err) : st;
}

enum ps_status ps_load_run(const struct ps_load_plan *plan, ps_load_progress_fn *progress,
			   void *ctx, struct ps_load_result *ret_result, struct ps_error *err)
{
	struct ps_load_result result = {
		.warmup_ns = plan->warmup_ns, .duration_ns = plan->duration_ns, .seed = plan->seed};
	struct ps_load_run run = {
		.plan = plan, .result = &result, .progress = progress, .progress_ctx = ctx};
	enum ps_status st = check_plan(plan, err);

	if (st == PS_OK) {
		st = raise_descriptors(plan, err);
	}
	if (st != PS_OK) {
		return st;
	}
	run.timeout_ns = plan->timeout_ns ? plan->timeout_ns : PS_LOAD_DEFAULT_TIMEOUT_NS;
	st = perform(&run, err);
	free_run(&run);
	if (st == PS_OK) {
		*ret_result = result;
	} else {
		ps_load_result_fini(&result);
	}
	return st;
}
