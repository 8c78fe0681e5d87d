/* sender.c - from the schedule to the wire and back, for one thread.
 *
 *   due --free slot--> in flight --answer, failure, time-out--> ended
 *    |                    ^
 *    +--none free--> waiting --time-out--> ended (unsent)
 *    +--overdue by the time-out: the generator cannot keep up--> ended (unsent)
 *
 * Nothing here waits: a due request either goes out at once or into the ring, and the next one is
 * looked at. finish() is the only way to the end, so each request is counted once.
 *
 * A slot whose connection failed rests before it is given back, the longer the more often it
 * failed, so that a dead server is asked at most some thousand times a second and a restarted one
 * is found within a quarter of a second. A user of a closed loop rests instead of its slot.
 */
#include "load/driver_internal.h"

enum {
	MAX_BURST = 16,	 /* sent per timer round, so that answers are read in between */
	SEND_BESIDE = 4, /* sent after an answer when they are due */
};

/* ---- how many are where ---- */

static void count_waiting(struct ps_load_tenant_run *tr, int change)
{
	tr->th->waiting += (uint64_t)change;
	if (tr->tally) {
		tr->tally->waiting += change;
	}
}

static void count_in_flight(struct ps_load_tenant_run *tr, int change)
{
	tr->in_flight += (uint32_t)change;
	tr->th->in_flight += (uint64_t)change;
	if (tr->in_flight > tr->r->peak_in_flight) {
		tr->r->peak_in_flight = tr->in_flight;
	}
	if (tr->tally) {
		tr->tally->in_flight += change;
	}
}

void ps_load_run_stop(struct ps_load_run *run)
{
	if (atomic_exchange(&run->stopped, true)) {
		return; /* a task must not be posted twice */
	}
	for (size_t i = 0; i < run->thread_len; i++) {
		ps_evloop_post(run->threads[i].loop, &run->threads[i].stopper);
	}
}

static void fail(struct ps_load_thread *th)
{
	if (th->status == PS_OK) {
		th->status = ps_error_set(&th->err, PS_ENOMEM, "no memory for a timer");
	}
	ps_load_run_stop(th->run);
}

void ps_load_sender_timer(struct ps_load_thread *th, struct ps_evloop_timer *timer, int64_t at_ns)
{
	if (ps_evloop_timer_set(th->loop, timer, at_ns) != PS_OK) {
		fail(th);
	}
}

/* ---- the end of a request ---- */

static void finish(struct ps_load_tenant_run *tr, struct ps_load_record *q, bool sampled,
		   const char *why)
{
	bool ok = q->outcome == PS_LOAD_OK, good;
	int64_t latency = q->done_ns - q->scheduled_ns;

	q->warmup = q->scheduled_ns < tr->th->run->plan->warmup_ns;
	good = ps_load_recorder_end(&tr->rec, q, sampled);
	if (!ok) {
		ps_load_recorder_failure(&tr->rec, q, why);
	} else {
		tr->th->last_latency_ns = latency;
	}
	if (tr->tally) {
		ps_load_live_ended(tr->tally, ok, good, latency);
	}
}

/* ---- requests that never leave ---- */

static void finish_unsent(struct ps_load_tenant_run *tr, struct ps_load_waiting w, int64_t now_ns,
			  const char *why)
{
	struct ps_load_record q = {.scheduled_ns = w.scheduled_ns,
				   .sent_ns = -1,
				   .first_byte_ns = -1,
				   .done_ns = -1,
				   .server_queue_ns = -1,
				   .server_compute_ns = -1,
				   .outcome = PS_LOAD_UNSENT,
				   .sequence = w.sequence};

	finish(tr, &q, false, why);
	if (w.user) {
		ps_load_user_next(w.user, PS_LOAD_UNSENT, now_ns - tr->th->run->start_ns, now_ns);
	}
}

static bool is_late(const struct ps_load_run *run, struct ps_load_waiting w, int64_t now_ns)
{
	return run->start_ns + w.scheduled_ns + run->timeout_ns <= now_ns;
}

/* Set to the first that waits, or to one that has left the ring since: then it is set again when
 * it fires, which is cheaper than to move it with each that leaves. */
static void arm_expiry(struct ps_load_tenant_run *tr)
{
	const struct ps_load_run *run = tr->th->run;

	if (tr->waiting.len && !ps_evloop_timer_is_set(&tr->expiry)) {
		ps_load_sender_timer(tr->th, &tr->expiry,
				     run->start_ns + ps_load_ring_peek(&tr->waiting)->scheduled_ns +
					     run->timeout_ns);
	}
}

static void expire_waiting(struct ps_load_tenant_run *tr, int64_t now_ns)
{
	while (tr->waiting.len && is_late(tr->th->run, *ps_load_ring_peek(&tr->waiting), now_ns)) {
		count_waiting(tr, -1);
		finish_unsent(tr, ps_load_ring_pop(&tr->waiting), now_ns,
			      "no connection became free in time");
	}
}

static void on_expiry(struct ps_evloop_timer *timer, int64_t now_ns)
{
	struct ps_load_tenant_run *tr = timer->ctx;

	expire_waiting(tr, now_ns);
	arm_expiry(tr);
}

static void wait_for_slot(struct ps_load_tenant_run *tr, struct ps_load_waiting w, int64_t now_ns)
{
	w.asked_ns = now_ns;
	if (!ps_load_ring_push(&tr->waiting, w)) {
		finish_unsent(tr, w, now_ns, "too many wait for a connection");
		return;
	}
	tr->r->late_limit += w.scheduled_ns >= tr->th->run->plan->warmup_ns;
	count_waiting(tr, 1);
	arm_expiry(tr);
}

/* ---- sending ---- */

static void on_rested(struct ps_evloop_timer *timer, int64_t now_ns);

static struct ps_load_shot *shot_of(struct ps_load_tenant_run *tr, struct ps_load_slot *slot)
{
	struct ps_load_shot *k = slot->ctx;

	if (!k->slot) {
		k->slot = slot;
		k->tr = tr;
		k->next_all = tr->shots;
		tr->shots = k;
		ps_evloop_timer_init(&k->rest, on_rested, k);
	}
	return k;
}

static void note_sent(struct ps_load_tenant_run *tr, const struct ps_load_shot *k, int64_t now_ns)
{
	ps_load_occupancy_enter(&tr->occupancy, now_ns);
	tr->sample_busy |= k->sampled;
	count_in_flight(tr, 1);
	if (tr->tally) {
		ps_load_live_sent(tr->tally, now_ns - tr->th->run->start_ns - k->scheduled_ns);
	}
}

/* False: the server allows no further request at the moment; the slot is given back. */
static bool send_on(struct ps_load_slot *slot, struct ps_load_waiting w, int64_t now_ns)
{
	struct ps_load_tenant_run *tr = ps_load_port_ctx(slot->port);
	struct ps_load_shot *k = shot_of(tr, slot);
	struct ps_error err = {0};
	enum ps_status st;

	k->user = w.user;
	k->scheduled_ns = w.scheduled_ns;
	k->sequence = w.sequence;
	k->handed_ns = now_ns;
	k->asked_ns = w.asked_ns;
	k->sampled = !tr->sample_busy;
	st = ps_load_slot_send(slot, w.sequence,
			       tr->th->run->start_ns + w.scheduled_ns + tr->th->run->timeout_ns,
			       &err);
	if (st == PS_OK) {
		note_sent(tr, k, now_ns);
		return true;
	}
	ps_load_port_give(slot);
	if (st == PS_EUNAVAIL && tr->in_flight > 0) {
		return false;
	}
	/* Memory, or a bug of ours: the request still has to be accounted for. */
	finish_unsent(tr, w, now_ns, err.what);
	return true;
}

static void serve_waiting(struct ps_load_tenant_run *tr);

void ps_load_sender_hand_out(struct ps_load_tenant_run *tr, struct ps_load_waiting w,
			     int64_t now_ns)
{
	const struct ps_load_run *run = tr->th->run;
	struct ps_load_slot *slot;

	if (tr->tally) {
		tr->tally->scheduled++;
	}
	if (is_late(run, w, now_ns)) {
		finish_unsent(tr, w, now_ns, "the generator could not send it in time");
		return;
	}
	/* Those who wait go first, else a free slot would be handed past them. */
	slot = tr->waiting.len ? NULL : ps_load_port_take(tr->port);
	if (!slot || !send_on(slot, w, now_ns)) {
		wait_for_slot(tr, w, now_ns);
		if (tr->in_flight == 0) {
			serve_waiting(tr); /* else the next answer does */
		}
	}
}

/* Time-outs free slots by the thousand when a server stalls. What is too late by then must not be
 * sent on them: it would time out at once, in the same round, and free the slot for the next. */
static void serve_waiting(struct ps_load_tenant_run *tr)
{
	while (!ps_load_thread_stopped(tr->th)) {
		int64_t now_ns = ps_evloop_now_ns(tr->th->loop);
		struct ps_load_slot *slot;
		struct ps_load_waiting w;

		expire_waiting(tr, now_ns);
		slot = tr->waiting.len ? ps_load_port_take(tr->port) : NULL;
		if (!slot) {
			return;
		}
		w = ps_load_ring_pop(&tr->waiting);
		if (!send_on(slot, w, now_ns)) {
			ps_load_ring_unpop(&tr->waiting, w);
			return;
		}
		count_waiting(tr, -1);
	}
}

/* ---- what is due ---- */

static int64_t due_ns(const struct ps_load_thread *th)
{
	int64_t at = ps_load_schedule_peek(&th->schedule);

	return at == INT64_MAX ? at : th->run->start_ns + at;
}

static void send_due(struct ps_load_thread *th, int64_t now_ns, int most)
{
	for (int i = 0; i < most && th->next_due_ns <= now_ns && !ps_load_thread_stopped(th); i++) {
		struct ps_load_waiting w = {0};
		size_t tenant;

		if (!ps_load_schedule_pop(&th->schedule, &tenant, &w.scheduled_ns, &w.sequence)) {
			break;
		}
		ps_load_sender_hand_out(&th->tenants[tenant], w, now_ns);
		th->next_due_ns = due_ns(th);
		now_ns = ps_evloop_now_ns(th->loop);
	}
}

static void on_due(struct ps_evloop_timer *timer, int64_t now_ns)
{
	struct ps_load_thread *th = timer->ctx;

	(void)now_ns;
	send_due(th, ps_evloop_now_ns(th->loop), MAX_BURST);
	if (th->next_due_ns != INT64_MAX && !ps_load_thread_stopped(th)) {
		ps_load_sender_timer(th, timer, th->next_due_ns);
	}
}

/* ---- answers ---- */

static void on_rested(struct ps_evloop_timer *timer, int64_t now_ns)
{
	struct ps_load_shot *k = timer->ctx;

	(void)now_ns;
	ps_load_port_give(k->slot);
	serve_waiting(k->tr);
}

static int64_t after_start(const struct ps_load_run *run, int64_t instant_ns)
{
	return instant_ns > 0 ? instant_ns - run->start_ns : -1;
}

/* The kernel's instants of the answer stand in for ours, when both are there. */
static void use_kernel_instants(struct ps_load_answer *a)
{
	a->first_byte_ns = a->first_byte_kernel_ns;
	a->done_ns = a->done_kernel_ns;
}

/* A model in this process has no server in front of it: what waits for a worker waits for the
 * model, and not because the generator was late. */
static int64_t waited_ns(const struct ps_load_shot *k, const struct ps_load_answer *a)
{
	bool waited = k->tr->t->target.in_process && k->asked_ns > 0 && k->asked_ns < a->sent_ns;

	return waited ? a->sent_ns - k->asked_ns : 0;
}

static struct ps_load_record record_of(const struct ps_load_run *run, const struct ps_load_shot *k,
				       const struct ps_load_answer *a)
{
	return (struct ps_load_record){.scheduled_ns = k->scheduled_ns,
				       .sent_ns = after_start(run, a->sent_ns),
				       .first_byte_ns = after_start(run, a->first_byte_ns),
				       .done_ns = after_start(run, a->done_ns),
				       .waited_ns = waited_ns(k, a),
				       .server_queue_ns = a->server_queue_ns,
				       .server_compute_ns = a->server_compute_ns,
				       .connection = k->slot->connection,
				       .http_status = a->http_status,
				       .outcome = (uint8_t)a->outcome,
				       .sequence = k->sequence};
}

/* Gives the slot back, and says what comes next where it is free. */
static void next_on(struct ps_load_shot *k, enum ps_load_outcome outcome, int64_t done_ns,
		    int64_t now_ns)
{
	struct ps_load_thread *th = k->tr->th;

	k->failures = outcome == PS_LOAD_CONNECT ? k->failures + 1 : 0;
	if (k->user) {
		ps_load_port_give(k->slot);
		ps_load_user_next(k->user, outcome, done_ns - th->run->start_ns, now_ns);
	} else if (k->failures > 0) {
		ps_load_sender_timer(th, &k->rest, done_ns + ps_load_rest_ns(k->failures - 1));
	} else {
		ps_load_port_give(k->slot);
	}
	serve_waiting(k->tr);
}

void ps_load_sender_on_done(struct ps_load_slot *slot)
{
	struct ps_load_shot *k = slot->ctx;
	struct ps_load_tenant_run *tr = k->tr;
	struct ps_load_answer *a = &slot->answer;
	int64_t done_ns = a->done_ns; /* when we had it: what the user goes on from */
	int64_t now_ns = ps_evloop_now_ns(tr->th->loop);
	struct ps_load_record q;

	count_in_flight(tr, -1);
	if (k->sampled) {
		tr->sample_busy = false;
	}
	if (a->cancelled) {
		return; /* the run was stopped */
	}
	if (a->first_byte_kernel_ns > 0 && a->done_kernel_ns > a->sent_ns) {
		use_kernel_instants(a);
	}
	ps_load_occupancy_leave(&tr->occupancy, k->handed_ns, a->sent_ns, a->done_ns, now_ns);
	q = record_of(tr->th->run, k, a);
	q.kernel = a->done_ns != done_ns;
	if (q.scheduled_ns >= tr->th->run->plan->warmup_ns) {
		tr->r->bytes_received += a->bytes_received;
		tr->r->bytes_sent += a->bytes_sent;
	}
	finish(tr, &q, k->sampled, a->why);
	next_on(k, (enum ps_load_outcome)q.outcome, done_ns, now_ns);
	/* While many answers are read in one round the timer would come late. */
	send_due(tr->th, now_ns, SEND_BESIDE);
}

/* ---- start and end ---- */

static void start_tenant(struct ps_load_tenant_run *tr)
{
	tr->occupancy.last_ns = tr->th->run->start_ns;
	ps_evloop_timer_init(&tr->expiry, on_expiry, tr);
	ps_load_users_start(tr);
}

enum ps_status ps_load_sender_start(struct ps_load_thread *th)
{
	ps_evloop_timer_init(&th->sender, on_due, th);
	for (size_t i = 0; i < th->tenant_len; i++) {
		start_tenant(&th->tenants[i]);
	}
	th->next_due_ns = due_ns(th);
	if (th->next_due_ns != INT64_MAX) {
		ps_load_sender_timer(th, &th->sender, th->next_due_ns);
	}
	ps_load_ticker_start(th);
	return th->status;
}

bool ps_load_sender_finished(const struct ps_load_thread *th)
{
	if (ps_load_thread_stopped(th)) {
		return true;
	}
	return th->next_due_ns == INT64_MAX && th->in_flight == 0 && th->waiting == 0 &&
	       ps_evloop_now_ns(th->loop) >= th->run->end_ns;
}
