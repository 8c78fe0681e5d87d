/* The path of an inference:
 *
 *	parse -> find the instance and hold it -> decode -> arrive
 *	          \ not in memory: wait for it (memory.c), find again
 *	                                                      | refused: answer
 *	                                                      | RUN: run it here, finish, answer
 *	                                                      v
 *	            waits -> lane: take -> run -> done (finish) -> report: post -> answer
 *	              \-> tick: expired, cancel: dropped --------------------------^
 *
 * After arrive the call may be another thread's; it is this I/O thread's again when it is answered.
 */
#include "base/clock.h"
#include "serve/observe_internal.h"

#include "oip/grpc.h"

#include <stdio.h>
#include <string.h>

/* --- the answer: I/O thread --- */

static enum ps_status build_answer(struct ps_serve_call *c, struct ps_oip_message *ret_message)
{
	struct ps_tensor *wanted =
		ps_arena_alloc(c->arena, (size_t)c->n_wanted * sizeof *wanted + 1);
	if (!wanted)
		return ps_error_set(&c->err, PS_ENOMEM, "out of memory");
	for (int i = 0; i < c->n_wanted; i++) {
		wanted[i] = c->outputs[c->wanted[i]];
		wanted[i].name = c->output_names[c->wanted[i]];
	}
	const struct ps_oip_response response = {
		.model_name = c->model_name,
		.model_version = c->version,
		.id = c->oip.id,
		.outputs = wanted,
		.binary = c->binary,
		.n_outputs = c->n_wanted,
	};
	if (c->wire == PS_SERVE_HTTP)
		return ps_oip_build_response(&response, c->arena, ret_message, &c->err);
	return ps_oip_grpc_build_infer(&response, ps_serve_grpc_streams(c), c->arena, ret_message,
				       &c->err);
}

/* "12.345678": nanoseconds as milliseconds. printf of a double would cost more than the rest of a
 * small request's answer. Returns the end. */
static char *put_ms(char *at, int64_t ns)
{
	char digits[20];
	int n = 0;
	uint64_t ms = ns > 0 ? (uint64_t)ns / PS_NS_PER_MS : 0;
	uint32_t part = ns > 0 ? (uint32_t)((uint64_t)ns % PS_NS_PER_MS) : 0;
	do
		digits[n++] = (char)('0' + ms % 10);
	while ((ms /= 10) > 0);
	while (n > 0)
		*at++ = digits[--n];
	*at++ = '.';
	for (int i = 5; i >= 0; i--, part /= 10)
		at[i] = (char)('0' + part % 10);
	return at + 6;
}

/* Milliseconds, as the header's syntax wants them: how long it waited, how long it ran. */
static void add_timing(struct ps_serve_call *c)
{
	const struct ps_dispatch_account *a = &c->d.account;
	char *at = stpcpy(c->timing, "queue;dur=");
	at = put_ms(at, a->started_ns - a->admitted_ns);
	at = stpcpy(at, ", compute;dur=");
	at = put_ms(at, a->finished_ns - a->started_ns);
	if (a->load_wait_ns > 0)
		at = put_ms(stpcpy(at, ", load;dur="), a->load_wait_ns);
	*at = '\0';
	ps_serve_add_header(c, "Server-Timing", c->timing);
}

static void answer_ok(struct ps_serve_call *c)
{
	struct ps_oip_message message = {0};
	if (build_answer(c, &message) != PS_OK) {
		ps_serve_refuse(c);
		return;
	}
	if (c->wire == PS_SERVE_GRPC) {
		ps_serve_grpc_answer(c, message.pieces, message.n_pieces);
		return;
	}
	ps_serve_add_header(c, "Content-Type", message.content_type);
	if (message.json_bytes >= 0)
		ps_serve_add_header(c, PS_OIP_JSON_BYTES_HEADER, message.json_bytes_text);
	ps_serve_http_answer(c, 200, message.pieces, message.n_pieces);
}

static void say_why(struct ps_serve_call *c)
{
	enum ps_status status = c->d.account.status;
	if (status == PS_EDEADLINE)
		ps_error_set(&c->err, status, "Request timeout expired");
	else if (c->err.status != status)
		ps_error_set(&c->err, status, "%s", ps_status_get(status)->meaning);
}

static void answer(struct ps_serve_call *c)
{
	struct ps_dispatch_account *a = &c->d.account;
	c->admitted = false;
	if (a->status == PS_OK && c->ran != PS_OK) { /* others of its batch went well */
		a->status = c->ran;
		a->reason = PS_DISPATCH_REASON_FAILED;
	}
	if (a->started_ns && c->wire == PS_SERVE_HTTP)
		add_timing(c);
	if (a->status == PS_OK) {
		answer_ok(c);
	} else {
		say_why(c);
		ps_serve_refuse(c);
	}
}

static void on_complete(struct ps_evloop_task *task)
{
	struct ps_serve_call *c = task->ctx, *next;
	for (; c; c = next) {
		next = c->next_done;
		answer(c);
	}
}

static void post(struct ps_serve_call *first)
{
	first->completion = (struct ps_evloop_task){.run = on_complete, .ctx = first};
	ps_evloop_post(first->io->loop, &first->completion);
}

/* Takes the requests of one I/O thread out of the list, in order. */
static struct ps_serve_call *take_one_loop(struct ps_serve_call **list)
{
	struct ps_serve_call *head = *list, **tail = &head->next_done;
	struct ps_serve_io *io = head->io;
	*list = head->next_done;
	head->next_done = NULL;
	for (struct ps_serve_call **at = list; *at;) {
		struct ps_serve_call *c = *at;
		if (c->io != io) {
			at = &c->next_done;
			continue;
		}
		*at = c->next_done;
		c->next_done = NULL;
		*tail = c;
		tail = &c->next_done;
	}
	return head;
}

/* A posted call may be answered and gone at once: the list is complete before the first post. */
static struct ps_serve_call *list_batch(struct ps_dispatch_batch *b)
{
	struct ps_serve_call *list = NULL, **tail = &list;
	for (struct ps_dispatch_request *r = b->first; r; r = r->batch_next) {
		struct ps_serve_call *c = ps_serve_call_of(r);
		c->next_done = NULL;
		*tail = c;
		tail = &c->next_done;
	}
	return list;
}

/* One post per loop and batch; `own` (may be NULL) is the caller's loop, whose calls it gets. */
static void complete_batch(struct ps_dispatch_batch *b, struct ps_serve_io *own)
{
	struct ps_serve_call *list = list_batch(b), *mine = NULL;
	while (list) {
		struct ps_serve_call *head = take_one_loop(&list);
		if (head->io == own)
			mine = head;
		else
			post(head);
	}
	for (struct ps_serve_call *c = mine, *next; c; c = next) {
		next = c->next_done;
		answer(c);
	}
}

/* --- lanes --- */

static struct ps_serve_call *call_of_task(struct ps_exec_task *t)
{
	return (struct ps_serve_call *)((char *)t - offsetof(struct ps_serve_call, task));
}

static void wake_for(struct ps_serve *s, const struct ps_dispatch_action *a)
{
	if (a->kind != PS_DISPATCH_WAKE && !a->wake)
		return;
	if (a->to_lane > 0)
		ps_exec_wake_lane(s->exec, a->to_lane - 1);
	else
		ps_exec_wake(s->exec);
}

static struct ps_exec_task *take(void *ctx, int lane)
{
	struct ps_serve *s = ctx;
	struct ps_dispatch_action a = {.kind = PS_DISPATCH_NOTHING};
	struct ps_exec_task *task = NULL;
	pthread_mutex_lock(&s->lock);
	if (s->dispatch)
		a = ps_dispatch_lane_free(s->dispatch, lane, ps_clock_now_ns());
	if (a.kind == PS_DISPATCH_RUN)
		task = ps_serve_batch_task(s, a.batch);
	pthread_mutex_unlock(&s->lock);
	wake_for(s, &a);
	return task;
}

/* The first request of a batch has its task and the batch itself. */
static void finish(struct ps_serve *s, struct ps_exec_task *task)
{
	struct ps_dispatch_batch *b = &call_of_task(task)->d.batch;
	pthread_mutex_lock(&s->lock);
	struct ps_dispatch_action a = ps_dispatch_finish(s->dispatch, b, task->status,
							 task->started_ns, task->finished_ns);
	pthread_mutex_unlock(&s->lock);
	wake_for(s, &a);
}

/* What exec says of a run that never came to the engine. */
static void keep_error(struct ps_exec_task *task, const struct ps_error *err)
{
	struct ps_serve_call *c = call_of_task(task);
	if (task->status != PS_OK && c->err.status != task->status)
		c->err = *err;
}

static void done(void *ctx, int lane, struct ps_exec_task *task, const struct ps_error *err)
{
	(void)lane;
	keep_error(task, err);
	finish(ctx, task);
}

static void report(void *ctx, int lane, struct ps_exec_task *task)
{
	(void)ctx;
	(void)lane;
	complete_batch(&call_of_task(task)->d.batch, NULL);
}

void ps_serve_exec_callbacks(struct ps_serve *s, struct ps_exec_callbacks *ret_callbacks)
{
	*ret_callbacks =
		(struct ps_exec_callbacks){.take = take, .done = done, .report = report, .ctx = s};
}

/* --- arrival: I/O thread --- */

void ps_serve_set_tick(struct ps_serve_io *io, int64_t at_ns)
{
	if (at_ns == INT64_MAX || (ps_evloop_timer_is_set(&io->tick) && io->tick.node.key <= at_ns))
		return;
	if (ps_evloop_timer_set(io->loop, &io->tick, at_ns) != PS_OK)
		ps_serve_tick(&io->tick, ps_clock_now_ns()); /* no memory: at least look now */
}

/* The delay of a thread is looked at so often: from the first request that a lane shall run by a
 * deadline until the last such deadline or the last of the thread's calls is over. Who has no
 * deadline pays nothing for it: each look interrupts whatever runs on the same CPU. */
enum { PROBE_NS = 2000000 };

static void probe_again(struct ps_serve_io *io, int64_t now_ns)
{
	if (!ps_evloop_timer_is_set(&io->probe)) /* without memory nothing is learned */
		(void)ps_evloop_timer_set(io->loop, &io->probe, now_ns + PROBE_NS);
}

static void probe_until(struct ps_serve_io *io, int64_t deadline_ns)
{
	if (!deadline_ns)
		return;
	if (io->probe_until_ns < deadline_ns)
		io->probe_until_ns = deadline_ns;
	probe_again(io, ps_evloop_now_ns(io->loop));
}

void ps_serve_probe_wake(struct ps_evloop_timer *t, int64_t now_ns)
{
	struct ps_serve_io *io = t->ctx;
	ps_serve_wake_add(&io->wake, now_ns - t->node.key);
	if (io->in_flight > 0 && now_ns < io->probe_until_ns)
		probe_again(io, now_ns);
}

static void run_here(struct ps_serve_call *c, struct ps_exec_task *task, int lane)
{
	struct ps_serve_io *io = c->io;
	struct ps_error err;
	ps_exec_run_here(io->server->exec, lane, task, &err);
	keep_error(task, &err);
	struct ps_dispatch_batch *b = &call_of_task(task)->d.batch;
	finish(io->server, task);
	complete_batch(b, io);
}

/* What one stay under the lock brought. */
struct arrival {
	enum ps_status status;
	struct ps_dispatch_action action;
	struct ps_exec_task *task; /* to run here */
	int lane;
	int64_t next_tick_ns;
	int64_t wait_ns; /* refused: when to come again */
	bool moved;	 /* another instance serves the model now: decode again */
};

static void arrive_locked(struct ps_serve_call *c, struct arrival *a)
{
	struct ps_serve *s = c->io->server;
	struct ps_dispatch_view view;
	int64_t now_ns = ps_clock_now_ns();
	int number = ps_dispatch_instance(s->dispatch, c->tenant, c->model);
	/* With a budget of memory it may have been evicted meanwhile: it is loaded again. */
	*a = (struct arrival){.moved = number != c->instance_number &&
				       (number >= 0 || ps_dispatch_on_demand(s->dispatch)),
			      .next_tick_ns = INT64_MAX};
	if (a->moved)
		return;
	a->status = ps_dispatch_arrive(s->dispatch, &c->d, now_ns, &a->action, &c->err);
	if (a->status != PS_OK) {
		ps_dispatch_view_get(s->dispatch, c->tenant, now_ns, &view);
		a->wait_ns = view.retry_after_ns;
		return;
	}
	c->admitted = true;
	a->next_tick_ns = ps_dispatch_next_tick_ns(s->dispatch);
	if (a->action.kind == PS_DISPATCH_RUN) {
		a->task = ps_serve_batch_task(s, a->action.batch);
		a->lane = a->action.batch->lane;
	}
}

static void refuse_arrival(struct ps_serve_call *c, const struct arrival *a)
{
	if (a->status == PS_EQUOTA || a->status == PS_EUNAVAIL)
		ps_serve_add_retry_after(c, a->wait_ns);
	c->instance = NULL;
	ps_serve_refuse(c);
}

/* Dispatch holds the instance from arrive on; the hold of decoding is let go with the same lock. */
static bool arrive(struct ps_serve_call *c)
{
	struct ps_serve_io *io = c->io;
	struct ps_serve *s = io->server;
	struct arrival a;
	pthread_mutex_lock(&s->lock);
	arrive_locked(c, &a);
	ps_repo_release(s->repo, c->instance_number);
	pthread_mutex_unlock(&s->lock);
	if (a.moved)
		return false;
	if (a.status != PS_OK) {
		refuse_arrival(c, &a);
		return true;
	}
	wake_for(s, &a.action);
	if (a.task)
		run_here(c, a.task, a.lane);
	else
		probe_until(io, c->d.deadline_ns);
	ps_serve_set_tick(io, a.next_tick_ns);
	return true;
}

static enum ps_status drop_instance(struct ps_serve_call *c, enum ps_status status)
{
	struct ps_serve *s = c->io->server;
	pthread_mutex_lock(&s->lock);
	ps_repo_release(s->repo, c->instance_number);
	pthread_mutex_unlock(&s->lock);
	c->instance = NULL;
	return status;
}

/* gRPC's header is the client's own end; the parameter is for the model's queue to judge. */
void ps_serve_set_times(struct ps_serve_call *c)
{
	int64_t header_ns = c->wire == PS_SERVE_GRPC ? ps_serve_grpc_deadline_ns(c) : 0;
	if (header_ns > 0)
		c->d.deadline_ns = header_ns;
	if (c->oip.timeout_us > 0 && c->oip.timeout_us < INT64_MAX / 2000)
		c->d.timeout_ns = c->oip.timeout_us * PS_NS_PER_US;
	c->d.delivery_ns = ps_serve_wake_allowance_ns(&c->io->wake);
}

static enum ps_status prepare(struct ps_serve_call *c)
{
	if (ps_serve_is_admin(c))
		return ps_error_set(&c->err, PS_EFORBIDDEN,
				    "the operator's key runs no models: use a tenant's");
	enum ps_status status = ps_serve_find_model(c, true);
	if (status != PS_OK)
		return status;
	ps_dispatch_request_init(&c->d, c->tenant, c->model);
	c->d.account.tenant = c->tenant;
	c->d.account.model = c->model;
	c->d.account.received_ns = c->received_ns;
	c->d.account.load_wait_ns = c->load_wait_ns;
	c->d.paid = c->paid;
	ps_serve_set_times(c);
	c->d.level = c->oip.priority > INT32_MAX ? INT32_MAX : (int)c->oip.priority;
	status = ps_serve_decode(c);
	return status == PS_OK ? PS_OK : drop_instance(c, status);
}

/* A model that is reloaded faster than requests are decoded is somebody's attack. */
enum { MAX_TRIES = 4 };

static void infer(struct ps_serve_call *c)
{
	enum ps_status status = PS_OK;
	for (int i = 0; status == PS_OK && i < MAX_TRIES; i++) {
		status = prepare(c);
		if (status == PS_OK && arrive(c))
			return;
	}
	if (status != PS_OK && ps_serve_wait_for_model(c, infer))
		return;
	if (status == PS_OK)
		ps_error_set(&c->err, PS_EUNAVAIL, "model '%s' is changing", c->model_name);
	ps_serve_refuse(c);
}

void ps_serve_infer(struct ps_serve_call *c)
{
	if (ps_serve_parse(c) == PS_OK)
		infer(c);
	else
		ps_serve_refuse(c);
}

/* --- clients that leave, deadlines --- */

void ps_serve_infer_gone(struct ps_serve_call *c)
{
	struct ps_serve *s = c->io->server;
	pthread_mutex_lock(&s->lock);
	struct ps_dispatch_action a = ps_dispatch_cancel(s->dispatch, &c->d, ps_clock_now_ns());
	if (a.kind == PS_DISPATCH_CANCEL)
		ps_serve_batch_cancel(a.batch);
	pthread_mutex_unlock(&s->lock);
	if (a.kind == PS_DISPATCH_DROP)
		answer(c);			/* still owed, though nobody reads it */
	if (ps_dispatch_on_demand(s->dispatch)) /* it may have kept its model from going */
		ps_serve_wake_loaders(s);
}

/* The model that it waited for is there. */
static void on_resume(struct ps_evloop_task *task)
{
	struct ps_serve_call *c = task->ctx;
	c->admitted = false;
	c->paid = c->resumed = true;
	c->load_wait_ns = c->d.account.load_wait_ns;
	ps_error_clear(&c->err);
	c->again(c);
}

static void resume(struct ps_serve_call *c)
{
	c->completion = (struct ps_evloop_task){.run = on_resume, .ctx = c};
	ps_evloop_post(c->io->loop, &c->completion);
}

/* Any thread's timer sees what is due for all of them. */
static void expire(struct ps_serve_io *io, struct ps_serve_call *c)
{
	c->next_done = NULL;
	if (c->io == io)
		answer(c);
	else
		post(c);
}

/* Under the lock: the reason is the dispatcher's. The call is nobody's until it is answered. */
static void say_refused(const struct ps_dispatch_action *a)
{
	struct ps_serve_call *c = ps_serve_call_of(a->request);
	c->err = *a->why;
	ps_serve_add_retry_after(c, a->wait_ns);
}

void ps_serve_tick(struct ps_evloop_timer *t, int64_t now_ns)
{
	struct ps_serve_io *io = t->ctx;
	struct ps_serve *s = io->server;
	struct ps_dispatch_action a;
	int64_t next_ns;
	do {
		pthread_mutex_lock(&s->lock);
		a = ps_dispatch_tick(s->dispatch, now_ns);
		if (a.kind == PS_DISPATCH_CANCEL)
			ps_serve_batch_cancel(a.batch);
		if (a.kind == PS_DISPATCH_REFUSE)
			say_refused(&a);
		next_ns = ps_dispatch_next_tick_ns(s->dispatch);
		pthread_mutex_unlock(&s->lock);
		if (a.kind == PS_DISPATCH_EXPIRE || a.kind == PS_DISPATCH_DROP ||
		    a.kind == PS_DISPATCH_REFUSE)
			expire(io, ps_serve_call_of(a.request));
		if (a.kind == PS_DISPATCH_RESUME)
			resume(ps_serve_call_of(a.request));
		if (a.kind == PS_DISPATCH_PLAN)
			ps_serve_plan(s, &a);
		if (a.kind == PS_DISPATCH_LOADS)
			ps_serve_wake_loaders(s);
		wake_for(s, &a);
	} while (a.kind != PS_DISPATCH_NOTHING);
	if (next_ns != INT64_MAX)
		(void)ps_evloop_timer_set(io->loop, t, next_ns); /* else the next arrival does */
}
