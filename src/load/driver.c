/* driver.c - checks, performs and judges a plan.
 *
 *   caller: check, targets ---+--> prepare --> await the others --> open the gate --> drive --+-->
 * merge, thread k:                 +--> prepare --> arrive ............> (gate opens) ---> drive
 * --+    judge
 *
 * Every thread makes its own loop, connections and recorders, on its own CPU. A thread that cannot
 * prepare arrives all the same, and then everybody is sent home.
 */
#include "load/driver_internal.h"

#include "load/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { SPARE_DESCRIPTORS = 64, DESCRIPTORS_PER_THREAD = 8 };

#define START_DELAY_NS	    (2 * PS_NS_PER_MS) /* between being ready and the first instant */
#define START_PER_THREAD_NS (PS_NS_PER_MS / 2)
#define RECHECK_NS	    (2 * PS_NS_PER_SEC) /* to wait for metadata after the run */

/* ---- what the run takes ---- */

/* Descriptors: the soft limit of 1024 is a shell's habit. It is raised once for the process as far
 * as the hard limit allows; what still lacks shows as waiting requests. */
static enum ps_status raise_descriptors(const struct ps_load_run *run, struct ps_error *err)
{
	struct rlimit lim;
	uint64_t least = 0, need = 0;

	for (size_t i = 0; i < run->plan->tenant_len; i++) {
		uint32_t streams = ps_load_target_streams(run->targets[i]);
		uint32_t slots = ps_load_slots_of(run, i), lines = ps_load_lines_of(run, i);
		size_t replicas = ps_load_replicas_of(run, i);

		/* A server may allow each user of a closed loop a connection's only stream. */
		least += replicas * (lines ? lines : (slots + streams - 1) / streams);
		need += replicas * (lines ? lines : slots);
	}
	if (least > PS_LOAD_MAX_CONNECTIONS) {
		return ps_error_set(err, PS_EINVAL,
				    "over %d connections in all, of all tenants to all replicas",
				    PS_LOAD_MAX_CONNECTIONS);
	}
	need += SPARE_DESCRIPTORS + run->thread_len * DESCRIPTORS_PER_THREAD;
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < need) {
		lim.rlim_cur = lim.rlim_max < need ? lim.rlim_max : need;
		(void)setrlimit(RLIMIT_NOFILE, &lim);
	}
	return PS_OK;
}

static enum ps_status make_targets(struct ps_load_run *run, struct ps_error *err)
{
	const struct ps_load_plan *plan = run->plan;
	enum ps_status st = PS_OK;

	for (size_t i = 0; st == PS_OK && i < plan->tenant_len; i++) {
		st = ps_load_target_new(&plan->tenants[i], plan->seed, run->timeout_ns,
					&run->targets[i], err);
	}
	for (size_t i = 0; st == PS_OK && i < plan->tenant_len; i++) {
		if (!ps_load_arrival_is_closed(&plan->tenants[i].arrival) &&
		    ps_load_lines_of(run, i) < run->thread_len) {
			st = ps_error_set(err, PS_EINVAL,
					  "tenant '%s': fewer connections than threads",
					  plan->tenants[i].name);
			ps_error_where(err, "%s", ps_load_tenant_place(&plan->tenants[i]));
		}
	}
	return st == PS_OK ? raise_descriptors(run, err) : st;
}

static enum ps_status take_memory(struct ps_load_run *run, struct ps_error *err)
{
	const struct ps_load_plan *plan = run->plan;
	struct ps_load_result *r = run->result;
	size_t n = plan->tenant_len;

	r->tenants = calloc(n, sizeof(*r->tenants));
	run->targets = calloc(n, sizeof(*run->targets));
	run->room = calloc(n, sizeof(*run->room));
	run->threads = calloc(run->thread_len, sizeof(*run->threads));
	if (!r->tenants || !run->targets || !run->room || !run->threads ||
	    ps_hist_init(&r->probe) != PS_OK || ps_load_live_init(&run->live, plan) != PS_OK) {
		return ps_error_set(err, PS_ENOMEM, "no memory for a run");
	}
	r->tenant_len = n;
	for (size_t i = 0; i < n; i++) {
		atomic_init(&run->room[i], ps_load_records_of(plan, &plan->tenants[i]));
	}
	return PS_OK;
}

static void free_run(struct ps_load_run *run)
{
	for (size_t k = 0; run->threads && k < run->thread_len; k++) {
		ps_load_thread_free(&run->threads[k]);
	}
	for (size_t i = 0; run->targets && i < run->plan->tenant_len; i++) {
		ps_load_target_free(run->targets[i]);
	}
	free(run->threads);
	free(run->targets);
	free(run->room);
	ps_load_live_fini(&run->live);
}

/* ---- sending ---- */

static void drive(struct ps_load_thread *th)
{
	int64_t cpu = ps_clock_thread_cpu_ns(), end = th->run->end_ns;

	th->status = ps_load_sender_start(th);
	while (th->status == PS_OK && !ps_load_sender_finished(th)) {
		int64_t now = ps_evloop_now_ns(th->loop);
		/* With nothing in flight the loop has no reason to wake at the end. */
		enum ps_status st =
			ps_evloop_run_once(th->loop, end > now ? end - now : -1, &th->err);

		if (st != PS_OK) {
			th->status = st;
			ps_load_run_stop(th->run);
		}
	}
	th->cpu_ns = ps_clock_thread_cpu_ns() - cpu;
	th->end_ns = ps_evloop_now_ns(th->loop);
}

static void on_wake(struct ps_evloop_task *task)
{
	(void)task; /* only to end the wait */
}

/* The first thread tells those who watch, and listens to them, until all are through. */
static void attend(struct ps_load_thread *first)
{
	struct ps_load_run *run = first->run;

	while (first->status == PS_OK && atomic_load(&run->driving) > 0 &&
	       !ps_load_thread_stopped(first)) {
		first->status = ps_evloop_run_once(first->loop, -1, &first->err);
		if (first->status != PS_OK) {
			ps_load_run_stop(run);
		}
	}
}

static void *helper(void *ctx)
{
	struct ps_load_thread *th = ctx;
	struct ps_load_thread_state ts;
	int64_t slack;

	th->status = ps_load_thread_enter(&ts, &th->run->plan->cpus, th->number, &slack, &th->err);
	if (th->status == PS_OK) {
		th->status = ps_load_thread_prepare(th, &th->err);
	}
	if (ps_load_gate_wait(&th->run->gate)) {
		drive(th);
		atomic_fetch_sub(&th->run->driving, 1);
		ps_evloop_post(th->run->threads[0].loop, &th->ended);
	}
	return NULL; /* the thread ends here: nothing to be put back */
}

static void set_start(struct ps_load_run *run)
{
	struct ps_load_result *r = run->result;
	int64_t delay = START_DELAY_NS + (int64_t)run->thread_len * START_PER_THREAD_NS;

	run->start_ns = ps_evloop_now_ns(run->threads[0].loop) + delay;
	run->end_ns = run->start_ns + run->plan->warmup_ns + run->plan->duration_ns;
	r->start_ns = run->start_ns;
	r->wall_ns = ps_clock_wall_ns() + delay;
}

/* The first thread that could not, if one could not. */
static enum ps_status first_failure(const struct ps_load_run *run, struct ps_error *err)
{
	for (size_t k = 0; k < run->thread_len; k++) {
		if (run->threads[k].status != PS_OK) {
			if (err) {
				*err = run->threads[k].err;
			}
			return run->threads[k].status;
		}
	}
	return PS_OK;
}

/* The caller's part, between preparing and the end of the last thread. */
static enum ps_status lead(struct ps_load_run *run, size_t started, struct ps_error *err)
{
	struct ps_load_thread *first = &run->threads[0];
	enum ps_status st;

	ps_load_gate_await(&run->gate, started);
	st = first_failure(run, err);
	if (st == PS_OK && started + 1 < run->thread_len) {
		st = ps_error_set(err, PS_EIO, "no thread to be had");
	}
	if (st == PS_OK) {
		st = ps_load_probe(run, err);
	}
	if (st == PS_OK) {
		set_start(run);
	}
	atomic_store(&run->driving, started);
	ps_load_gate_open(&run->gate, st == PS_OK);
	if (st == PS_OK) {
		drive(first);
		attend(first);
	}
	return st;
}

static enum ps_status send_all(struct ps_load_run *run, struct ps_error *err)
{
	struct ps_load_thread *first = &run->threads[0];
	pthread_t ids[PS_LOAD_MAX_THREADS];
	size_t started = 0;
	enum ps_status st;

	for (size_t k = 0; k < run->thread_len; k++) {
		run->threads[k].run = run;
		run->threads[k].number = k;
		run->threads[k].stopper.run = run->threads[k].ended.run = on_wake;
	}
	first->status = ps_load_thread_prepare(first, &first->err);
	while (first->status == PS_OK && started + 1 < run->thread_len &&
	       pthread_create(&ids[started], NULL, helper, &run->threads[started + 1]) == 0) {
		started++;
	}
	st = lead(run, started, err);
	for (size_t k = 0; k < started; k++) {
		(void)pthread_join(ids[k], NULL);
	}
	return st == PS_OK ? first_failure(run, err) : st;
}

/* ---- putting it together ---- */

/* Little's law, both sides over all that was sent, warm-up and failures included: in flight as the
 * senders counted it, against what the recorders have. */
static void fill_little(struct ps_load_run *run, size_t i)
{
	struct ps_load_tenant_result *r = &run->result->tenants[i];
	const struct ps_load_recorder *rec = &run->threads[0].tenants[i].rec;
	double seconds = (double)(run->result->end_ns - run->start_ns) / 1e9;
	double n = (double)rec->resided, product;
	__int128 area = 0;

	for (size_t k = 0; k < run->thread_len; k++) {
		area += run->threads[k].tenants[i].occupancy.area_ns;
	}
	if (n == 0 || rec->residence_ns <= 0) {
		return;
	}
	r->little = (struct ps_load_little){.in_flight = (double)area / 1e9 / seconds,
					    .throughput_rps = n / seconds,
					    .latency_ns = (double)rec->residence_ns / n,
					    .checked = !run->result->cancelled};
	product = r->little.throughput_rps * r->little.latency_ns / 1e9;
	r->little.difference = fabs(r->little.in_flight - product) / product;
}

/* After the run, so that it disturbs nothing: a model that has changed meanwhile was not one load.
 */
static void look_again(struct ps_load_run *run, size_t i, struct ps_load_patience *patience)
{
	const struct ps_load_tenant *t = &run->plan->tenants[i];
	struct ps_load_tenant_result *r = &run->result->tenants[i];

	r->replica_len = t->target.in_process ? 0 : 1 + t->target.more_url_len;
	for (size_t k = 0; k < r->replica_len; k++) {
		r->replicas[k] = k ? t->target.more_urls[k - 1] : t->url;
	}
	if (!run->result->cancelled) {
		r->metadata_changes = ps_load_target_recheck(
			run->targets[i], patience, r->metadata_change_text,
			sizeof(r->metadata_change_text), &r->metadata_unseen);
	}
}

static double asked_rps(const struct ps_load_plan *plan, size_t i)
{
	const struct ps_load_arrival_spec *spec = &plan->tenants[i].arrival;
	double from = (double)plan->warmup_ns, length = (double)plan->duration_ns;

	return (ps_load_arrival_expected(spec, from + length) -
		ps_load_arrival_expected(spec, from)) /
	       length * 1e9;
}

static enum ps_status merge_tenant(struct ps_load_run *run, size_t i)
{
	struct ps_load_recorder *rec = &run->threads[0].tenants[i].rec;
	struct ps_load_tenant_result *r = &run->result->tenants[i];
	enum ps_status st = PS_OK;

	for (size_t k = 0; k < run->thread_len; k++) {
		struct ps_load_tenant_run *tr = &run->threads[k].tenants[i];

		tr->r->connections = tr->port ? ps_load_port_connections(tr->port) : 0;
		if (tr->port) {
			ps_load_port_notes(tr->port, &r->notes);
		}
		if (k > 0 && st == PS_OK) {
			st = ps_load_recorder_merge(rec, &tr->rec);
		}
	}
	r->sla = run->plan->tenants[i].sla;
	r->asked_rps = asked_rps(run->plan, i);
	r->users = ps_load_arrival_is_closed(&run->plan->tenants[i].arrival)
			   ? run->plan->tenants[i].concurrency
			   : 0;
	r->batch = ps_load_target_mean_batch(run->targets[i]);
	r->request_bytes = (size_t)ps_load_target_mean_bytes(run->targets[i]);
	ps_load_recorder_finish(rec, run->result->duration_ns);
	fill_little(run, i);
	return st;
}

static enum ps_status conclude(struct ps_load_run *run, struct ps_error *err)
{
	struct ps_load_result *r = run->result;
	struct ps_load_patience patience = {.timeout_ns = run->timeout_ns};
	enum ps_status st = PS_OK;

	for (size_t k = 0; k < run->thread_len; k++) {
		r->cpu_ns += run->threads[k].cpu_ns;
		r->end_ns = run->threads[k].end_ns > r->end_ns ? run->threads[k].end_ns : r->end_ns;
	}
	patience.until_ns = r->end_ns + RECHECK_NS;
	for (size_t i = 0; st == PS_OK && i < r->tenant_len; i++) {
		st = merge_tenant(run, i);
		patience.questions += ps_load_target_questions(run->targets[i]);
	}
	for (size_t i = 0; st == PS_OK && i < r->tenant_len; i++) {
		look_again(run, i, &patience);
	}
	if (st == PS_OK) {
		st = ps_load_judge_run(run->plan, run->timeout_ns, r);
	}
	return st == PS_OK ? st : ps_error_set(err, st, "no memory to judge the run");
}

static enum ps_status perform(struct ps_load_run *run, struct ps_error *err)
{
	struct ps_load_result *r = run->result;
	struct ps_load_thread_state ts;
	struct ps_load_watch *watch;
	enum ps_status st = take_memory(run, err);

	if (st == PS_OK) {
		st = make_targets(run, err);
	}
	if (st != PS_OK) {
		return st;
	}
	ps_clock_resolution_ns(&r->clock_step_ns, &r->clock_cost_ns);
	watch = ps_load_watch_start(); /* before this thread, and what it starts, is on one CPU */
	st = ps_load_thread_enter(&ts, &run->plan->cpus, 0, &r->timer_slack_ns, err);
	if (st == PS_OK) {
		st = send_all(run, err);
		ps_load_thread_leave(&ts);
	}
	ps_load_watch_stop(watch, &r->machine);
	return st == PS_OK ? conclude(run, err) : st;
}

enum ps_status ps_load_run(const struct ps_load_plan *plan, ps_load_progress_fn *progress,
			   void *ctx, struct ps_load_result *ret_result, struct ps_error *err)
{
	struct ps_load_result result = {.warmup_ns = plan->warmup_ns,
					.duration_ns = plan->duration_ns,
					.threads = plan->threads > 0 ? plan->threads : 1,
					.cpus = plan->cpus,
					.seed = plan->seed};
	struct ps_load_run run = {.plan = plan,
				  .result = &result,
				  .progress = progress,
				  .progress_ctx = ctx,
				  .thread_len = plan->threads > 0 ? (size_t)plan->threads : 1};
	enum ps_status st = ps_load_plan_check(plan, err);

	if (st != PS_OK) {
		return st;
	}
	run.timeout_ns = plan->timeout_ns ? plan->timeout_ns : PS_LOAD_DEFAULT_TIMEOUT_NS;
	ps_load_gate_init(&run.gate);
	st = perform(&run, err);
	free_run(&run);
	ps_load_gate_fini(&run.gate);
	if (st == PS_OK) {
		*ret_result = result;
	} else {
		ps_load_result_fini(&result);
	}
	return st;
}
