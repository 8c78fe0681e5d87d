/* sender.c - from the schedule to the wire and back.
 *
 *   due --free connection--> in flight --answer, failure, time-out--> ended
 *    |                          ^
 *    +--none free--> waiting ---+
 *                       +--time-out--> ended (unsent)
 *
 * Nothing here waits: a due request either goes out at once or into the ring, and the next one is
 * looked at. finish() is the only way to the end, so each request is counted once.
 */
#include "load/driver_internal.h"

#include "load/server_timing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_BURST = 64, /* sent per timer round, so that answers are read in between */
	PAUSE_NS = 10 * 1000 * 1000,
};

static void send_on(struct ps_load_conn *k, int64_t scheduled_ns, uint64_t sequence);

/* ---- the ring ---- */

static bool ring_push(struct ps_load_ring *q, struct ps_load_waiting w)
{
	if (q->len == q->cap) {
		size_t cap = q->cap ? 2 * q->cap : 256;
		struct ps_load_waiting *items = malloc(cap * sizeof(*items));

		if (!items) {
			return false;
		}
		for (size_t i = 0; i < q->len; i++) {
			items[i] = q->items[(q->head + i) % q->cap];
		}
		free(q->items);
		*q = (struct ps_load_ring){.items = items, .cap = cap, .len = q->len};
	}
	q->items[(q->head + q->len++) % q->cap] = w;
	return true;
}

static struct ps_load_waiting ring_pop(struct ps_load_ring *q)
{
	struct ps_load_waiting w = q->items[q->head];

	q->head = (q->head + 1) % q->cap;
	q->len--;
	return w;
}

/* ---- the end of a request ---- */

static void note_failure(struct ps_load_tenant_run *tr, const struct ps_load_record *q,
			 const char *why)
{
	if (!tr->r->first_failure[0]) {
		snprintf(tr->r->first_failure, sizeof(tr->r->first_failure), "%s: %s",
			 ps_load_outcome_name(q->outcome), why);
	}
}

static void finish(struct ps_load_tenant_run *tr, struct ps_load_record *q, bool sampled,
		   const char *why)
{
	struct ps_load_run *run = tr->run;

	q->warmup = q->scheduled_ns < run->plan->warmup_ns;
	ps_load_recorder_end(&tr->rec, q, sampled);
	run->done++;
	if (q->outcome == PS_LOAD_OK) {
		run->last_latency_ns = q->done_ns - q->scheduled_ns;
	} else {
		run->failed++;
		note_failure(tr, q, why);
	}
}

static void finish_unsent(struct ps_load_tenant_run *tr, struct ps_load_waiting w, const char *why)
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
}

static void arm_expiry(struct ps_load_tenant_run *tr)
{
	if (tr->waiting.len == 0) {
		ps_evloop_timer_cancel(&tr->expiry);
	} else if (!ps_evloop_timer_is_set(&tr->expiry)) {
		int64_t at = tr->waiting.items[tr->waiting.head].scheduled_ns;

		if (ps_evloop_timer_set(tr->run->loop, &tr->expiry,
					tr->run->start_ns + at + tr->run->timeout_ns) != PS_OK) {
			tr->run->status = PS_ENOMEM;
		}
	}
}

static void on_expiry(struct ps_evloop_timer *timer, int64_t now_ns)
{
	struct ps_load_tenant_run *tr = timer->ctx;
	int64_t limit = now_ns - tr->run->start_ns - tr->run->timeout_ns;

	while (tr->waiting.len && tr->waiting.items[tr->waiting.head].scheduled_ns <= limit) {
		tr->run->waiting--;
		finish_unsent(tr, ring_pop(&tr->waiting), "no connection became free in time");
	}
	arm_expiry(tr);
}

/* ---- closed loops ---- */

static void ask_again(struct ps_load_conn *k, int64_t now_ns)
{
	struct ps_load_run *run = k->tr->run;

	if (now_ns < run->end_ns && !run->cancelled) {
		run->scheduled++;
		send_on(k, now_ns - run->start_ns, k->tr->next_sequence++);
	}
}

static void on_pause_over(struct ps_evloop_timer *timer, int64_t now_ns)
{
	struct ps_load_conn *k = timer->ctx;
	int64_t due_ns = k->due_ns;

	(void)now_ns;
	k->due_ns = 0;
	ask_again(k, due_ns ? due_ns : ps_evloop_now_ns(k->tr->run->loop));
}

static void next_of_user(struct ps_load_conn *k, bool ok, int64_t done_ns)
{
	struct ps_load_run *run = k->tr->run;
	int64_t think_ns = ok ? ps_load_think_next(&k->tr->t->think, &k->think) : 0;

	if (ok && think_ns == 0) {
		ask_again(k, done_ns);
	} else if (ok && done_ns + think_ns < run->end_ns) {
		k->due_ns = done_ns + think_ns;
		if (ps_evloop_timer_set(run->loop, &k->pause, k->due_ns) != PS_OK) {
			run->status = PS_ENOMEM;
		}
	} else if (!ok && done_ns + PAUSE_NS < run->end_ns &&
		   ps_evloop_timer_set(run->loop, &k->pause, done_ns + PAUSE_NS) != PS_OK) {
		run->status = PS_ENOMEM;
	}
}

/* ---- answers ---- */

static void next_on(struct ps_load_conn *k, bool ok, int64_t done_ns)
{
	struct ps_load_tenant_run *tr = k->tr;

	if (ps_load_arrival_is_closed(&tr->t->arrival)) {
		next_of_user(k, ok, done_ns);
	} else if (tr->waiting.len && !tr->run->cancelled) {
		struct ps_load_waiting w = ring_pop(&tr->waiting);

		tr->run->waiting--;
		ps_evloop_timer_cancel(&tr->expiry);
		arm_expiry(tr);
		send_on(k, w.scheduled_ns, w.sequence);
	} else {
		k->next_free = tr->free;
		tr->free = k;
	}
}

static int64_t after_start(const struct ps_load_run *run, int64_t instant_ns)
{
	return instant_ns ? instant_ns - run->start_ns : -1;
}

static void on_answer(struct ps_net_call *c)
{
	struct ps_load_conn *k = c->ctx;
	struct ps_load_tenant_run *tr = k->tr;
	struct ps_load_run *run = tr->run;
	struct ps_error err = {0};
	struct ps_load_record q = {.scheduled_ns = k->scheduled_ns,
				   .sent_ns = after_start(run, c->sent_ns),
				   .first_byte_ns = after_start(run, c->first_byte_ns),
				   .done_ns = after_start(run, c->done_ns),
				   .connection = k->number,
				   .http_status = (uint16_t)c->http,
				   .sequence = k->sequence};

	tr->in_flight--;
	run->in_flight--;
	if (k->sampled) {
		tr->sample_busy = false;
	}
	if (c->outcome == PS_NET_CANCELLED) {
		return; /* the run was stopped */
	}
	const char *timing =
		ps_net_header_get(c->answer_headers, c->n_answer_headers, "Server-Timing");

	q.server_queue_ns = ps_load_server_timing(timing, "queue");
	q.server_compute_ns = ps_load_server_timing(timing, "compute");
	q.outcome = (uint8_t)ps_load_target_judge(&tr->target, k->input, c, &err);
	if (!q.warmup) {
		tr->r->bytes_received += c->answer_bytes;
		tr->r->bytes_sent += c->sent_ns ? tr->target.requests[k->input].message.bytes : 0;
	}
	finish(tr, &q, k->sampled, err.what);
	next_on(k, q.outcome == PS_LOAD_OK, c->done_ns);
}

/* ---- sending ---- */

static void fill_call(struct ps_load_conn *k)
{
	struct ps_load_tenant_run *tr = k->tr;
	const struct ps_load_request *q = &tr->target.requests[k->input];

	k->call = (struct ps_net_call){
		.method = "POST",
		.path = tr->target.infer_path,
		.headers = q->headers,
		.n_headers = q->n_headers,
		.body = q->message.pieces,
		.n_body = q->message.n_pieces,
		.deadline_ns = tr->run->start_ns + k->scheduled_ns + tr->run->timeout_ns,
		.on_done = on_answer,
		.ctx = k,
	};
}

static void send_on(struct ps_load_conn *k, int64_t scheduled_ns, uint64_t sequence)
{
	struct ps_load_tenant_run *tr = k->tr;
	struct ps_error err = {0};

	k->scheduled_ns = scheduled_ns;
	k->sequence = sequence;
	k->input = tr->next_input;
	tr->next_input = (tr->next_input + 1) % tr->target.request_len;
	k->sampled = !tr->sample_busy;
	fill_call(k);
	if (ps_net_client_send(k->client, &k->call, &err) != PS_OK) {
		/* Memory, or a bug of ours: the request still has to be accounted for. */
		finish_unsent(tr, (struct ps_load_waiting){scheduled_ns, sequence}, err.what);
		next_on(k, false, ps_evloop_now_ns(tr->run->loop));
		return;
	}
	tr->sample_busy |= k->sampled;
	tr->run->in_flight++;
	if (++tr->in_flight > tr->r->peak_in_flight) {
		tr->r->peak_in_flight = tr->in_flight;
	}
}

enum ps_status ps_load_conn_new(struct ps_load_tenant_run *tr, struct ps_load_conn **ret_conn,
				struct ps_error *err)
{
	struct ps_load_conn *k = calloc(1, sizeof(*k));
	enum ps_status st;

	if (!k) {
		return ps_error_set(err, PS_ENOMEM, "no memory for a connection");
	}
	st = ps_load_target_client(&tr->target, tr->run->loop, &k->client, err);
	if (st != PS_OK) {
		free(k);
		return st;
	}
	k->tr = tr;
	k->number = (uint32_t)tr->conn_len;
	ps_load_think_init(&k->think, tr->run->plan->seed, tr->t->name, k->number);
	ps_evloop_timer_init(&k->pause, on_pause_over, k);
	tr->conns[tr->conn_len++] = k;
	*ret_conn = k;
	return PS_OK;
}

static struct ps_load_conn *take_conn(struct ps_load_tenant_run *tr)
{
	struct ps_load_conn *k = tr->free;

	if (k) {
		tr->free = k->next_free;
	} else if (tr->conn_len < tr->conn_max && ps_load_conn_new(tr, &k, NULL) != PS_OK) {
		tr->conn_max = tr->conn_len; /* no more to be had: the rest waits */
	}
	return k;
}

static void dispatch(struct ps_load_tenant_run *tr, int64_t scheduled_ns, uint64_t sequence)
{
	/* Those who wait go first, else a free connection would be handed past them. */
	struct ps_load_conn *k = tr->waiting.len ? NULL : take_conn(tr);
	struct ps_load_waiting w = {scheduled_ns, sequence};

	tr->run->scheduled++;
	if (k) {
		send_on(k, scheduled_ns, sequence);
	} else if (!ring_push(&tr->waiting, w)) {
		finish_unsent(tr, w, "no memory to wait");
	} else {
		tr->r->late_limit += scheduled_ns >= tr->run->plan->warmup_ns;
		tr->run->waiting++;
		arm_expiry(tr);
	}
}

static void on_due(struct ps_evloop_timer *timer, int64_t now_ns)
{
	struct ps_load_run *run = timer->ctx;
	int64_t at = ps_load_schedule_peek(&run->schedule);
	uint64_t sequence;
	size_t tenant;

	for (int i = 0; i < MAX_BURST && at != INT64_MAX && run->start_ns + at <= now_ns; i++) {
		ps_load_schedule_pop(&run->schedule, &tenant, &at, &sequence);
		dispatch(&run->tenants[tenant], at, sequence);
		at = ps_load_schedule_peek(&run->schedule);
		now_ns = ps_evloop_now_ns(run->loop);
	}
	if (at != INT64_MAX && !run->cancelled &&
	    ps_evloop_timer_set(run->loop, timer, run->start_ns + at) != PS_OK) {
		run->status = PS_ENOMEM;
	}
}

/* ---- progress ---- */

static void stop(struct ps_load_run *run)
{
	run->cancelled = true;
	ps_evloop_timer_cancel(&run->sender);
}

static void on_tick(struct ps_evloop_timer *timer, int64_t now_ns)
{
	struct ps_load_run *run = timer->ctx;
	struct ps_load_progress p = {.elapsed_ns = now_ns - run->start_ns,
				     .total_ns = run->end_ns - run->start_ns,
				     .draining = now_ns >= run->end_ns,
				     .scheduled = run->scheduled,
				     .done = run->done,
				     .failed = run->failed,
				     .in_flight = run->in_flight,
				     .waiting = run->waiting,
				     .last_latency_ns = run->last_latency_ns};

	if (!run->progress(run->progress_ctx, &p)) {
		stop(run);
	} else if (ps_evloop_timer_set(run->loop, timer, now_ns + PS_NS_PER_SEC / 5) != PS_OK) {
		run->status = PS_ENOMEM;
	}
}

static void start_users(struct ps_load_tenant_run *tr)
{
	while (tr->free) {
		struct ps_load_conn *k = tr->free;

		tr->free = k->next_free;
		if (ps_evloop_timer_set(tr->run->loop, &k->pause, tr->run->start_ns) != PS_OK) {
			tr->run->status = PS_ENOMEM;
		}
	}
}

enum ps_status ps_load_sender_start(struct ps_load_run *run)
{
	int64_t first = ps_load_schedule_peek(&run->schedule);

	ps_evloop_timer_init(&run->sender, on_due, run);
	ps_evloop_timer_init(&run->ticker, on_tick, run);
	run->last_latency_ns = -1;
	for (size_t i = 0; i < run->tenant_len; i++) {
		ps_evloop_timer_init(&run->tenants[i].expiry, on_expiry, &run->tenants[i]);
		if (ps_load_arrival_is_closed(&run->tenants[i].t->arrival)) {
			start_users(&run->tenants[i]);
		}
	}
	if (first != INT64_MAX &&
	    ps_evloop_timer_set(run->loop, &run->sender, run->start_ns + first) != PS_OK) {
		return PS_ENOMEM;
	}
	return run->progress ? ps_evloop_timer_set(run->loop, &run->ticker, run->start_ns) : PS_OK;
}

bool ps_load_sender_finished(const struct ps_load_run *run)
{
	if (run->cancelled) {
		return true;
	}
	return ps_load_schedule_peek(&run->schedule) == INT64_MAX && run->in_flight == 0 &&
	       run->waiting == 0 && ps_evloop_now_ns(run->loop) >= run->end_ns;
}
