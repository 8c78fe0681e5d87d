#include "base/clock.h"
#include "serve/serve_internal.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define CALL_OF_TASK(p) ((struct ps_serve_call *)((char *)(p)-offsetof(struct ps_serve_call, task)))
#define CALL_OF_DISPATCH(p)                                                                        \
	((struct ps_serve_call *)((char *)(p)-offsetof(struct ps_serve_call, d)))

/* --- the answer: I/O thread --- */

static enum ps_status build_answer(struct ps_serve_call *c, struct ps_oip_message *ret_message)
{
	const struct ps_repo_model *m = ps_repo_get(c->server->repo, c->model);
	struct ps_tensor wanted[PS_MODEL_MAX_TENSORS];
	for (int i = 0; i < c->n_wanted; i++)
		wanted[i] = c->outputs[c->wanted[i]];
	const struct ps_oip_response response = {
		.model_name = m->name,
		.model_version = m->version_text,
		.id = c->oip.id,
		.outputs = wanted,
		.binary = c->binary,
		.n_outputs = c->n_wanted,
	};
	return ps_oip_build_response(&response, c->net->arena, ret_message, &c->err);
}

/* Milliseconds, as the header's syntax wants them: how long it waited, how long it ran. */
static void add_timing(struct ps_serve_call *c)
{
	const struct ps_dispatch_account *a = &c->d.account;
	snprintf(c->timing, sizeof c->timing, "queue;dur=%.6f, compute;dur=%.6f",
		 (double)(a->started_ns - a->admitted_ns) * 1e-6,
		 (double)(a->finished_ns - a->started_ns) * 1e-6);
	ps_serve_add_header(c, "Server-Timing", c->timing);
}

static void answer_ok(struct ps_serve_call *c)
{
	struct ps_oip_message message;
	if (build_answer(c, &message) != PS_OK) {
		ps_serve_refuse(c);
		return;
	}
	ps_serve_add_header(c, "Content-Type", message.content_type);
	if (message.json_bytes >= 0)
		ps_serve_add_header(c, PS_OIP_JSON_BYTES_HEADER, message.json_bytes_text);
	ps_net_answer(c->net, &(struct ps_net_answer){.http = 200,
						      .headers = c->headers,
						      .n_headers = (size_t)c->n_headers,
						      .body = message.pieces,
						      .n_body = message.n_pieces,
						      .on_done = ps_serve_sent,
						      .ctx = c});
}

static void answer(struct ps_serve_call *c)
{
	struct ps_serve *s = c->server;
	enum ps_status status = c->d.account.status;
	if (c->d.account.started_ns)
		add_timing(c);
	if (status == PS_OK) {
		answer_ok(c);
	} else {
		if (status == PS_EDEADLINE)
			ps_error_set(&c->err, status, "the request's time has run out");
		else if (c->err.status != status)
			ps_error_set(&c->err, status, "%s", ps_status_get(status)->meaning);
		ps_serve_refuse(c);
	}
	ps_serve_answered(s);
}

static void on_complete(struct ps_evloop_task *task)
{
	answer(task->ctx);
}

/* --- lanes --- */

static struct ps_exec_task *take(void *ctx, int lane)
{
	struct ps_serve *s = ctx;
	struct ps_dispatch_action a = {.kind = PS_DISPATCH_NOTHING};
	pthread_mutex_lock(&s->lock);
	if (s->dispatch)
		a = ps_dispatch_lane_free(s->dispatch, lane, ps_clock_now_ns());
	pthread_mutex_unlock(&s->lock);
	return a.kind == PS_DISPATCH_RUN ? &CALL_OF_DISPATCH(a.request)->task : NULL;
}

static void done(void *ctx, int lane, struct ps_exec_task *task, const struct ps_error *err)
{
	struct ps_serve *s = ctx;
	struct ps_serve_call *c = CALL_OF_TASK(task);
	(void)lane;
	if (task->status != PS_OK)
		c->err = *err;
	pthread_mutex_lock(&s->lock);
	ps_dispatch_finish(s->dispatch, &c->d, task->status, task->started_ns, task->finished_ns);
	pthread_mutex_unlock(&s->lock);
}

static void report(void *ctx, int lane, struct ps_exec_task *task)
{
	struct ps_serve *s = ctx;
	(void)lane;
	ps_evloop_post(s->loop, &CALL_OF_TASK(task)->completion);
}

void ps_serve_exec_callbacks(struct ps_serve *s, struct ps_exec_callbacks *ret_callbacks)
{
	*ret_callbacks =
		(struct ps_exec_callbacks){.take = take, .done = done, .report = report, .ctx = s};
}

static void *run_alloc(void *ctx, size_t bytes)
{
	return ps_arena_alloc_tensor(ctx, bytes);
}

/* --- the request: I/O thread --- */

static enum ps_status decode(struct ps_serve_call *c, const struct ps_serve_instance *in)
{
	struct ps_net_request *r = c->net;
	const struct ps_engine_describe *d = &in->describe;
	enum ps_status status = ps_oip_parse_request(r->body, r->body_bytes, r->json_bytes,
						     r->arena, &c->oip, &c->err);
	if (status == PS_OK)
		status = ps_oip_resolve_raw(&c->oip, d->inputs, d->n_inputs, r->arena, &c->err);
	if (status == PS_OK)
		status = ps_oip_match(&c->oip, d->inputs, d->n_inputs, c->inputs, &c->err);
	if (status == PS_OK)
		status = ps_oip_select(&c->oip, d->outputs, d->n_outputs, c->wanted, c->binary,
				       &c->n_wanted, &c->err);
	return status;
}

static void prepare_run(struct ps_serve_call *c, const struct ps_serve_instance *in)
{
	c->run.inputs = c->inputs;
	c->run.n_inputs = in->describe.n_inputs;
	c->run.outputs = c->outputs;
	c->run.n_outputs = in->describe.n_outputs;
	c->run.alloc = run_alloc;
	c->run.alloc_ctx = c->net->arena;
	c->task.ops = in->ops;
	c->task.instance = in->instance;
	c->task.run = &c->run;
	c->task.width = c->server->width;
	c->completion = (struct ps_evloop_task){.run = on_complete, .ctx = c};
}

static void set_tick(struct ps_serve *s, int64_t at_ns)
{
	if (ps_evloop_timer_is_set(&s->tick) && s->tick.node.key <= at_ns)
		return;
	if (ps_evloop_timer_set(s->loop, &s->tick, at_ns) != PS_OK)
		ps_serve_tick(&s->tick, ps_clock_now_ns()); /* no memory: at least look now */
}

static void add_retry_after(struct ps_serve_call *c, enum ps_status status, int64_t wait_ns)
{
	if (status != PS_EQUOTA && status != PS_EUNAVAIL)
		return;
	int64_t seconds = (wait_ns + PS_NS_PER_SEC - 1) / PS_NS_PER_SEC;
	snprintf(c->retry_after, sizeof c->retry_after, "%lld",
		 (long long)(seconds < 1 ? 1 : seconds));
	ps_serve_add_header(c, "Retry-After", c->retry_after);
}

static void arrive(struct ps_serve_call *c)
{
	struct ps_serve *s = c->server;
	struct ps_dispatch_action a;
	pthread_mutex_lock(&s->lock);
	enum ps_status status =
		ps_dispatch_arrive(s->dispatch, &c->d, ps_clock_now_ns(), &a, &c->err);
	int64_t wait_ns = status == PS_OK ? 0 : ps_dispatch_retry_after_ns(s->dispatch, c->tenant);
	pthread_mutex_unlock(&s->lock);
	if (status != PS_OK) {
		add_retry_after(c, status, wait_ns);
		ps_serve_refuse(c);
		return;
	}
	s->in_flight++;
	if (a.kind == PS_DISPATCH_WAKE)
		ps_exec_wake(s->exec);
}

void ps_serve_infer(struct ps_serve_call *c)
{
	struct ps_serve *s = c->server;
	const struct ps_serve_instance *in = &s->instances[c->model];
	ps_dispatch_request_init(&c->d, c->tenant, c->model);
	c->d.account.received_ns = c->net->received_ns;
	/* A model that is not loaded has nothing to decode by; dispatch refuses it with the
	 * reason. Only this thread changes states. */
	if (ps_repo_get(s->repo, c->model)->state == PS_REPO_READY) {
		enum ps_status status = decode(c, in);
		if (status != PS_OK) {
			c->d.account.status = status;
			ps_serve_refuse(c);
			return;
		}
		prepare_run(c, in);
	}
	if (c->oip.timeout_us > 0 && c->oip.timeout_us < INT64_MAX / 2000)
		c->d.deadline_ns = c->net->received_ns + c->oip.timeout_us * PS_NS_PER_US;
	int64_t deadline_ns = c->d.deadline_ns; /* after arrive the call may be done and gone */
	arrive(c);
	if (deadline_ns)
		set_tick(s, deadline_ns);
}

/* --- clients that leave, deadlines --- */

static void stop_run(struct ps_serve_call *c)
{
	c->task.ops->cancel(c->task.instance, &c->run);
}

void ps_serve_infer_gone(struct ps_serve_call *c)
{
	struct ps_serve *s = c->server;
	struct ps_dispatch_action a;
	pthread_mutex_lock(&s->lock);
	a = ps_dispatch_cancel(s->dispatch, &c->d, ps_clock_now_ns());
	pthread_mutex_unlock(&s->lock);
	if (a.kind == PS_DISPATCH_CANCEL)
		stop_run(c);
	if (a.kind == PS_DISPATCH_DROP)
		answer(c); /* still owed, though nobody reads it */
}

void ps_serve_tick(struct ps_evloop_timer *t, int64_t now_ns)
{
	struct ps_serve *s = t->ctx;
	struct ps_dispatch_action a;
	int64_t next_ns;
	for (;;) {
		pthread_mutex_lock(&s->lock);
		a = ps_dispatch_tick(s->dispatch, now_ns);
		next_ns = ps_dispatch_next_deadline_ns(s->dispatch);
		pthread_mutex_unlock(&s->lock);
		if (a.kind == PS_DISPATCH_CANCEL)
			stop_run(CALL_OF_DISPATCH(a.request));
		else if (a.kind == PS_DISPATCH_EXPIRE)
			answer(CALL_OF_DISPATCH(a.request));
		else
			break;
	}
	if (next_ns != INT64_MAX && ps_evloop_timer_set(s->loop, t, next_ns) != PS_OK)
		return; /* no memory: the next request with a deadline tries again */
}
