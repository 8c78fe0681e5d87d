/* prepare.c - what a sending thread needs before the gate: loop, schedule, recorders, users, ports.
 */
#include "load/driver_internal.h"

#include <math.h>
#include <stdlib.h>

enum { DEFAULT_CONNECTIONS = 512, MAX_OPEN_AHEAD = 64 };

#define CONNECT_PATIENCE_NS (2 * PS_NS_PER_SEC)

static int64_t total_ns(const struct ps_load_plan *plan)
{
	return plan->warmup_ns + plan->duration_ns;
}

size_t ps_load_replicas_of(const struct ps_load_run *run, size_t i)
{
	return 1 + run->plan->tenants[i].target.more_url_len;
}

/* Nobody asked for so many: they are no reason to refuse a plan. */
static uint32_t default_lines(const struct ps_load_run *run)
{
	size_t replicas = 0, share;

	for (size_t i = 0; i < run->plan->tenant_len; i++) {
		replicas += ps_load_replicas_of(run, i);
	}
	share = PS_LOAD_MAX_CONNECTIONS / (replicas > 0 ? replicas : 1);
	return share < DEFAULT_CONNECTIONS ? (uint32_t)share : DEFAULT_CONNECTIONS;
}

uint32_t ps_load_lines_of(const struct ps_load_run *run, size_t i)
{
	uint32_t most = ps_load_target_max_slots(run->targets[i]);
	uint32_t lines = run->plan->max_connections ? (uint32_t)run->plan->max_connections
						    : default_lines(run);

	if (ps_load_arrival_is_closed(&run->plan->tenants[i].arrival)) {
		return 0;
	}
	return lines < most ? lines : most;
}

uint32_t ps_load_slots_of(const struct ps_load_run *run, size_t i)
{
	const struct ps_load_tenant *t = &run->plan->tenants[i];
	uint32_t most = ps_load_target_max_slots(run->targets[i]);
	uint32_t slots =
		ps_load_arrival_is_closed(&t->arrival)
			? (uint32_t)t->concurrency
			: ps_load_lines_of(run, i) * ps_load_target_streams(run->targets[i]);

	return slots < most ? slots : most;
}

/* ---- one tenant of the thread ---- */

/* Opened before the start: all that a closed loop uses; of an open loop what a server of 50 ms
 * would need, within reason. */
static uint32_t ahead(const struct ps_load_tenant_run *tr, uint32_t slots)
{
	const struct ps_load_run *run = tr->th->run;
	double n = run->plan->open_connections;

	if (ps_load_arrival_is_closed(&tr->t->arrival)) {
		return slots;
	}
	if (n == 0) {
		n = 2 + ps_load_arrival_mean_rps(&tr->t->arrival, total_ns(run->plan)) / 20;
		n = fmin(n, MAX_OPEN_AHEAD);
	}
	n = ceil(n / (double)run->thread_len);
	return n < slots ? (uint32_t)n : slots;
}

/* What belongs to this thread: whole connections of an open loop, users of a closed one. */
static void take_share(const struct ps_load_tenant_run *tr, size_t i,
		       struct ps_load_port_options *o)
{
	const struct ps_load_run *run = tr->th->run;
	size_t number = tr->th->number, threads = run->thread_len;
	uint32_t lines = ps_load_lines_of(run, i), slots = ps_load_slots_of(run, i);

	if (lines == 0) {
		o->max_slots = ps_load_share(slots, number, threads);
		o->first_number = ps_load_share_first(slots, number, threads);
		return;
	}
	o->max_lines = ps_load_share(lines, number, threads);
	o->max_slots = o->max_lines * (slots / lines);
	o->first_number = ps_load_share_first(lines, number, threads) * (slots / lines);
}

static enum ps_status open_port(struct ps_load_tenant_run *tr, size_t i, struct ps_error *err)
{
	const struct ps_load_run *run = tr->th->run;
	struct ps_load_port_options o = {.loop = tr->th->loop,
					 .slot_bytes = sizeof(struct ps_load_shot),
					 .timestamping = run->plan->timestamping,
					 .on_done = ps_load_sender_on_done,
					 .ctx = tr};
	enum ps_status st;
	uint32_t users = 0;

	take_share(tr, i, &o);
	if (ps_load_arrival_is_closed(&tr->t->arrival)) {
		users = ps_load_share((uint32_t)tr->t->concurrency, tr->th->number,
				      run->thread_len);
		if (users == 0) {
			return PS_OK; /* fewer users than threads */
		}
	}
	if (o.max_slots == 0) {
		return ps_error_set(err, PS_EINVAL,
				    "tenant '%s': a thread without a connection or worker",
				    tr->t->name);
	}
	st = ps_load_port_open(run->targets[i], &o, &tr->port, err);
	tr->ahead = ahead(tr, o.max_slots);
	if (st == PS_OK && users > 0) {
		st = ps_load_users_init(tr, users);
	}
	return st;
}

static enum ps_status init_recorder(struct ps_load_tenant_run *tr, size_t i)
{
	const struct ps_load_run *run = tr->th->run;
	double expected =
		64 + 1.1 * ps_load_arrival_expected(&tr->t->arrival, (double)total_ns(run->plan));

	/* No thread may begin with more than its part of the room. */
	expected = fmin(expected, (double)ps_load_records_of(run->plan, tr->t));
	return ps_load_recorder_init_shared(&tr->rec, tr->r, run->plan, tr->t,
					    expected / (double)run->thread_len, &run->room[i]);
}

static enum ps_status prepare_tenant(struct ps_load_thread *th, size_t i, struct ps_error *err)
{
	struct ps_load_tenant_run *tr = &th->tenants[i];

	tr->th = th;
	tr->t = &th->run->plan->tenants[i];
	tr->r = th->number == 0 ? &th->run->result->tenants[i] : &th->parts[i];
	tr->tally = th->tallies ? &th->tallies[i] : NULL;
	if (init_recorder(tr, i) != PS_OK) {
		return ps_error_set(err, PS_ENOMEM, "no memory for tenant '%s'", tr->t->name);
	}
	return open_port(tr, i, err);
}

/* ---- the thread ---- */

static bool all_connected(const struct ps_load_thread *th)
{
	for (size_t i = 0; i < th->tenant_len; i++) {
		if (th->tenants[i].port && !ps_load_port_ready(th->tenants[i].port)) {
			return false;
		}
	}
	return true;
}

/* One that does not come shows in the first request on it. */
static enum ps_status await_connections(struct ps_load_thread *th, int64_t until_ns,
					struct ps_error *err)
{
	enum ps_status st = PS_OK;

	while (st == PS_OK && !all_connected(th) && ps_evloop_now_ns(th->loop) < until_ns) {
		st = ps_evloop_run_once(th->loop, PS_NS_PER_MS, err);
	}
	return st;
}

static enum ps_status open_ahead(struct ps_load_thread *th, bool first, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (size_t i = 0; st == PS_OK && i < th->tenant_len; i++) {
		const struct ps_load_tenant_run *tr = &th->tenants[i];
		uint32_t replicas = (uint32_t)ps_load_replicas_of(th->run, i), n = tr->ahead;

		if (tr->port) {
			st = ps_load_port_ahead(tr->port, first && n > replicas ? replicas : n,
						err);
		}
	}
	return st;
}

/* One connection to each server first: how many requests it takes at once on one decides how many
 * are needed. */
static enum ps_status open_connections(struct ps_load_thread *th, struct ps_error *err)
{
	int64_t until_ns = ps_evloop_now_ns(th->loop) + CONNECT_PATIENCE_NS;
	enum ps_status st = open_ahead(th, true, err);

	if (st == PS_OK) {
		st = await_connections(th, until_ns, err);
	}
	if (st == PS_OK) {
		st = open_ahead(th, false, err);
	}
	return st == PS_OK ? await_connections(th, until_ns, err) : st;
}

static enum ps_status take_memory(struct ps_load_thread *th, struct ps_error *err)
{
	size_t n = th->run->plan->tenant_len;

	th->tenants = calloc(n, sizeof(*th->tenants));
	th->parts = th->number > 0 ? calloc(n, sizeof(*th->parts)) : NULL;
	th->tallies = th->run->progress ? calloc(n, sizeof(*th->tallies)) : NULL;
	if (!th->tenants || (th->number > 0 && !th->parts) || (th->run->progress && !th->tallies) ||
	    ps_load_schedule_init(&th->schedule, th->run->plan, (unsigned)th->number,
				  (unsigned)th->run->thread_len) != PS_OK) {
		return ps_error_set(err, PS_ENOMEM, "no memory for a sending thread");
	}
	return PS_OK;
}

enum ps_status ps_load_thread_prepare(struct ps_load_thread *th, struct ps_error *err)
{
	struct ps_evloop_options o = {.spin_ns = th->run->plan->spin_ns};
	enum ps_status st = ps_evloop_new(&o, &th->loop, err);

	if (st == PS_OK) {
		st = take_memory(th, err);
	}
	for (size_t i = 0; st == PS_OK && i < th->run->plan->tenant_len; i++) {
		th->tenant_len = i + 1; /* from here on free knows this one */
		st = prepare_tenant(th, i, err);
	}
	return st == PS_OK ? open_connections(th, err) : st;
}

static void free_tenant(struct ps_load_tenant_run *tr)
{
	ps_evloop_timer_cancel(&tr->expiry);
	/* Before any connection goes: the loop still knows these timers. */
	for (struct ps_load_shot *k = tr->shots; k; k = k->next_all) {
		ps_evloop_timer_cancel(&k->rest);
	}
	ps_load_users_fini(tr);
	ps_load_port_close(tr->port);
	ps_load_ring_fini(&tr->waiting);
}

void ps_load_thread_free(struct ps_load_thread *th)
{
	for (size_t i = 0; i < th->tenant_len; i++) {
		free_tenant(&th->tenants[i]);
		if (th->parts) {
			ps_load_tenant_result_fini(&th->parts[i]);
		}
	}
	free(th->tenants);
	free(th->parts);
	free(th->tallies);
	ps_load_schedule_fini(&th->schedule);
	ps_evloop_free(th->loop);
}
