/* observe.c - what is counted of a call, of keys and of loads. */
#include "serve/observe_parts_internal.h"

#include <stdlib.h>
#include <string.h>

/* --- outcomes --- */

enum ps_serve_outcome ps_serve_outcome(enum ps_status status, enum ps_dispatch_reason reason)
{
	if (status == PS_OK)
		return PS_SERVE_OUTCOME_OK;
	if (reason != PS_DISPATCH_REASON_NONE)
		return (enum ps_serve_outcome)reason;
	if (status == PS_EINVAL || status == PS_EPARSE || status == PS_ETOOBIG)
		return PS_SERVE_OUTCOME_INVALID;
	return PS_SERVE_OUTCOME_ERROR;
}

const char *ps_serve_outcome_name(int outcome)
{
	if (outcome == PS_SERVE_OUTCOME_OK)
		return "ok";
	if (outcome == PS_SERVE_OUTCOME_INVALID)
		return "invalid";
	if (outcome == PS_SERVE_OUTCOME_ERROR)
		return "error";
	return ps_dispatch_reason_name((enum ps_dispatch_reason)outcome);
}

/* --- a call --- */

static void add_sum(struct ps_serve_sum *s, uint64_t count, int64_t ns)
{
	s->count += count;
	s->ns += ns;
}

static bool leads_batch(const struct ps_serve_call *c)
{
	return c->d.account.started_ns > 0 && c->d.batch.first == &c->d;
}

static void count_run(struct ps_serve_counts *t, const struct ps_serve_call *c)
{
	const struct ps_dispatch_account *a = &c->d.account;
	int64_t input_ns = a->input_ns ? a->input_ns : a->started_ns;
	int64_t computed_ns = a->computed_ns ? a->computed_ns : a->finished_ns;
	add_sum(&t->queue, 1, a->started_ns - a->admitted_ns);
	add_sum(&t->input, 1, input_ns - a->started_ns);
	add_sum(&t->infer, 1, computed_ns - input_ns);
	add_sum(&t->output, 1, a->finished_ns - computed_ns);
	ps_metrics_hist_record(&t->waited, a->started_ns - a->admitted_ns);
	ps_metrics_hist_record(&t->computed, a->finished_ns - a->started_ns);
	if (!leads_batch(c))
		return;
	struct ps_serve_batches *b = ps_serve_batch_row(t, a->batch_rows);
	add_sum(&b->input, 1, input_ns - a->started_ns);
	add_sum(&b->infer, 1, computed_ns - input_ns);
	add_sum(&b->output, 1, a->finished_ns - computed_ns);
	t->executions++;
}

/* What is the tenant's own doing is not held against the server. */
static bool is_judged(int outcome)
{
	return outcome != PS_SERVE_OUTCOME_INVALID && outcome != PS_DISPATCH_REASON_RATE &&
	       outcome != PS_DISPATCH_REASON_CONCURRENCY && outcome != PS_DISPATCH_REASON_QUEUE &&
	       outcome != PS_DISPATCH_REASON_MODEL_QUEUE && outcome != PS_DISPATCH_REASON_CANCELLED;
}

static void judge(struct ps_serve_cell *cell, const struct ps_serve_call *c, int outcome,
		  int64_t total_ns)
{
	const struct ps_serve_snapshot *p = c->io->snapshot;
	if (cell->generation != p->generation) {
		const struct ps_sla *sla = ps_tenancy_sla(p->tenancy, cell->tenant,
							  c->model_name ? c->model_name : "");
		cell->limit_ns = ps_sla_is_set(sla) ? sla->limit_ns : 0;
		cell->generation = p->generation;
	}
	if (cell->limit_ns == 0 || !is_judged(outcome))
		return;
	cell->counts.judged++;
	cell->counts.good += outcome == PS_SERVE_OUTCOME_OK && total_ns <= cell->limit_ns;
}

static void count_infer(struct ps_serve_cell *cell, const struct ps_serve_call *c,
			enum ps_status status, int64_t total_ns)
{
	const struct ps_dispatch_account *a = &c->d.account;
	struct ps_serve_counts *t = &cell->counts;
	int outcome = ps_serve_outcome(status, a->reason);
	const struct ps_serve *s = c->io->server;
	t->outcomes[outcome]++;
	t->bytes_in += c->body_bytes;
	t->bytes_out += c->answer_bytes;
	t->cost_ns += a->cost_ns;
	if (outcome == PS_SERVE_OUTCOME_OK) {
		add_sum(&t->success, 1, total_ns);
		t->inferences += (uint64_t)a->rows;
		ps_metrics_hist_record(&t->latency, total_ns);
		t->last_wall_ms = (s->started_wall_ns + (a->finished_ns - s->started_ns)) / 1000000;
	} else {
		add_sum(&t->fail, 1, total_ns);
	}
	if (a->started_ns > 0 && a->finished_ns > 0)
		count_run(t, c);
	judge(cell, c, outcome, total_ns);
}

void ps_serve_observe_call(struct ps_serve_call *c)
{
	struct ps_serve_observe_io *io = c->io->observe;
	const struct ps_dispatch_account *a = &c->d.account;
	enum ps_oip_route route = c->target.route;
	enum ps_status status = c->err.status != PS_OK ? c->err.status : a->status;
	int64_t end_ns = a->sent_ns ? a->sent_ns : ps_evloop_now_ns(c->io->loop);
	int64_t total_ns = c->received_ns > 0 ? end_ns - c->received_ns : 0;
	bool news = false;
	if (!io)
		return;
	pthread_mutex_lock(&io->lock);
	if ((unsigned)route < PS_OIP_ROUTE_COUNT && (unsigned)status < PS_STATUS_COUNT)
		io->routes[route][status]++;
	if ((route == PS_OIP_INFER || route == PS_OIP_INFER_STREAM) && c->tenant >= 0 &&
	    c->model >= 0) {
		struct ps_serve_cell *cell = ps_serve_find_cell(io, c->tenant, c->model);
		if (!cell)
			cell = ps_serve_new_cell(io, c->tenant, c->model);
		if (cell)
			count_infer(cell, c, status, total_ns);
		else
			io->uncounted++;
		news = ps_serve_log_call(io, c, status, total_ns);
	}
	pthread_mutex_unlock(&io->lock);
	if (news)
		ps_serve_observe_wake(io->observe);
}

void ps_serve_observe_event(struct ps_serve_observe_io *io, enum ps_serve_event e)
{
	if (!io)
		return;
	pthread_mutex_lock(&io->lock);
	io->events[e]++;
	pthread_mutex_unlock(&io->lock);
}

void ps_serve_trace_take(struct ps_serve_call *c, const char *traceparent)
{
	struct ps_serve_trace t = {0};
	if (!traceparent || !c->io->observe || !ps_serve_trace_parse(traceparent, &t))
		return;
	struct ps_serve_trace *kept = ps_arena_alloc(c->arena, sizeof *kept);
	if (!kept)
		return;
	*kept = t;
	/* Only its own thread draws from the generator: no lock. */
	ps_serve_trace_span(kept, ps_rng_next(&c->io->observe->rng) | 1);
	c->trace = kept;
	ps_serve_add_header(c, "traceparent", kept->text);
}

/* --- loads --- */

static struct ps_serve_loads *loads_of(struct ps_serve_observe *o, int model)
{
	if (model < 0)
		return NULL;
	if (model >= o->n_loads) {
		int n = o->n_loads > 0 ? o->n_loads : 16;
		while (n <= model)
			n *= 2;
		struct ps_serve_loads *more = realloc(o->loads, (size_t)n * sizeof *more);
		if (!more)
			return NULL;
		memset(more + o->n_loads, 0, (size_t)(n - o->n_loads) * sizeof *more);
		o->loads = more;
		o->n_loads = n;
	}
	return &o->loads[model];
}

void ps_serve_observe_load(struct ps_serve_observe *o, int model, enum ps_status status,
			   int64_t load_ns)
{
	if (!o)
		return;
	pthread_mutex_lock(&o->lock);
	struct ps_serve_loads *l = loads_of(o, model);
	if (l && status == PS_OK) {
		l->loaded++;
		l->load_ns = load_ns;
		l->sum_ns += load_ns;
	} else if (l) {
		l->failed++;
	}
	pthread_mutex_unlock(&o->lock);
}

void ps_serve_observe_step(struct ps_serve_observe *o, enum ps_serve_load_step step, int64_t ns)
{
	if (!o)
		return;
	pthread_mutex_lock(&o->lock);
	o->steps.n[step]++;
	o->steps.sum_ns[step] += ns;
	pthread_mutex_unlock(&o->lock);
}

void ps_serve_observe_unload(struct ps_serve_observe *o, int model)
{
	if (!o)
		return;
	pthread_mutex_lock(&o->lock);
	struct ps_serve_loads *l = loads_of(o, model);
	if (l)
		l->unloaded++;
	pthread_mutex_unlock(&o->lock);
}

bool ps_serve_was_loaded(struct ps_serve_observe *o, int model)
{
	pthread_mutex_lock(&o->lock);
	bool was = model >= 0 && model < o->n_loads && o->loads[model].loaded > 0;
	pthread_mutex_unlock(&o->lock);
	return was;
}

/* --- what the listeners count: each on its own thread --- */

static void look(struct ps_evloop_task *task)
{
	struct ps_serve_observe_io *io = task->ctx;
	const struct ps_serve_io *thread = &io->observe->server->ios[io->number];
	struct ps_net_server_stats sum = {0}, one;
	atomic_store(&io->look_posted, false);
	for (int i = 0; i < thread->n_listeners; i++) {
		if (!thread->listeners[i].net)
			continue;
		ps_net_server_get_stats(thread->listeners[i].net, &one);
		sum.accepted += one.accepted;
		sum.over_address_limit += one.over_address_limit;
		sum.handshakes += one.handshakes;
		sum.handshakes_failed += one.handshakes_failed;
		sum.http2 += one.http2;
		sum.requests += one.requests;
		sum.answered += one.answered;
		sum.refused += one.refused;
		sum.gone += one.gone;
		sum.open += one.open;
		sum.in_flight += one.in_flight;
		sum.buffered_bytes += one.buffered_bytes;
	}
	pthread_mutex_lock(&io->lock);
	io->net = sum;
	pthread_mutex_unlock(&io->lock);
}

void ps_serve_observe_look(struct ps_serve_observe *o)
{
	for (int i = 0; i < o->n_ios; i++) {
		struct ps_serve_observe_io *io = &o->ios[i];
		if (!o->server->ios || !o->server->ios[i].loop ||
		    atomic_exchange(&io->look_posted, true))
			continue;
		io->look = (struct ps_evloop_task){.run = look, .ctx = io};
		ps_evloop_post(o->server->ios[i].loop, &io->look);
	}
}
