/* inprocess.c - a model run by the engine in this process: what it costs without a network.
 *
 * One thread per slot, so that a request waits for nothing but its own run. The slot's thread takes
 * its request from the sender's thread by a condition, and gives the result back by a task of the
 * loop; sent is the instant of the hand-over, done the one at which the engine returned (read by
 * the slot's thread, before the result travels back). Server queue time is what the hand-over took,
 * compute time what the engine took.
 */
#include "load/target_internal.h"

#include "engine/engine.h"
#include "model/zoo.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ZOO_SEED = 1 };

/* ---- the model ---- */

struct model {
	const struct ps_engine_ops *ops;
	struct ps_engine *engine;
	struct ps_engine_instance *instance;
	struct ps_engine_describe d;
	cpu_set_t cpus; /* where the slots' threads run: not only where a sender is pinned to */
};

static enum ps_status open_file(struct model *m, const char *path, struct ps_error *err)
{
	const struct ps_engine_options options = {0};
	const struct ps_engine_open open = {.path = path};
	enum ps_status st;

	m->ops = ps_engine_for_path(path);
	if (!m->ops) {
		ps_error_set(err, PS_EUNSUPPORTED, "no engine runs '%s'", path);
		ps_error_hint(err, "give a file *.onnx, *.ort or *.synthetic.yaml, or a name that "
				   "'perseus zoo list' shows");
		return PS_EUNSUPPORTED;
	}
	st = m->ops->start(&options, &m->engine, err);
	if (st == PS_OK) {
		st = m->ops->open(m->engine, &open, &m->instance, err);
	}
	if (st == PS_OK) {
		m->ops->describe(m->instance, &m->d);
	}
	return st;
}

/* The file may go once the engine has it open. */
static enum ps_status open_zoo(struct model *m, const struct ps_zoo_entry *e, struct ps_error *err)
{
	const char *tmp = getenv("TMPDIR");
	char dir[512], path[600];
	enum ps_status st;

	if (snprintf(dir, sizeof(dir), "%s/perseus-XXXXXX", tmp && tmp[0] ? tmp : "/tmp") >=
	    (int)sizeof(dir)) {
		return ps_error_set(err, PS_EINVAL, "TMPDIR is too long");
	}
	if (!mkdtemp(dir)) {
		return ps_error_set(err, PS_EIO, "cannot make a folder like %s", dir);
	}
	snprintf(path, sizeof(path), "%s/%s.onnx", dir, e->name);
	st = ps_zoo_write(e, ZOO_SEED, path, err);
	if (st == PS_OK) {
		st = open_file(m, path, err);
	}
	(void)unlink(path);
	(void)rmdir(dir);
	return st;
}

static void fini(struct ps_load_target *g)
{
	struct model *m = g->transport_data;

	if (m && m->instance) {
		m->ops->close(m->instance);
	}
	if (m && m->engine) {
		m->ops->stop(m->engine);
	}
	free(m);
	g->transport_data = NULL;
}

static enum ps_status init(struct ps_load_target *g, struct ps_error *err)
{
	const char *what = g->t->target.in_process;
	const struct ps_zoo_entry *e = ps_zoo_find(what);
	struct model *m = calloc(1, sizeof(*m));

	if (!m) {
		return ps_error_set(err, PS_ENOMEM, "no memory for a model");
	}
	g->transport_data = m;
	if (sched_getaffinity(0, sizeof(m->cpus), &m->cpus) != 0) {
		CPU_ZERO(&m->cpus);
	}
	return e ? open_zoo(m, e, err) : open_file(m, what, err);
}

static const struct ps_tensor_spec *copy_specs(struct ps_arena *arena,
					       const struct ps_tensor_spec *specs, int n)
{
	struct ps_tensor_spec *copy = ps_arena_alloc(arena, ((size_t)n + 1) * sizeof(*copy));

	if (copy) {
		memcpy(copy, specs, (size_t)n * sizeof(*copy));
	}
	return copy;
}

static enum ps_status fetch(struct ps_load_target *g, const struct ps_load_item *it, size_t replica,
			    int64_t timeout_ns, struct ps_arena *arena,
			    struct ps_oip_model_metadata *ret_metadata, struct ps_error *err)
{
	const struct model *m = g->transport_data;

	(void)replica;
	(void)timeout_ns;
	*ret_metadata = (struct ps_oip_model_metadata){
		.name = it->model,
		.platform = m->d.platform,
		.inputs = copy_specs(arena, m->d.inputs, m->d.n_inputs),
		.outputs = copy_specs(arena, m->d.outputs, m->d.n_outputs),
		.n_inputs = m->d.n_inputs,
		.n_outputs = m->d.n_outputs,
	};
	return ret_metadata->inputs && ret_metadata->outputs
		       ? PS_OK
		       : ps_error_set(err, PS_ENOMEM, "no memory for metadata");
}

static enum ps_status build(struct ps_load_target *g, struct ps_load_request *q,
			    struct ps_error *err)
{
	(void)g;
	(void)err;
	q->message.bytes = q->inputs.bytes;
	return PS_OK;
}

/* ---- a slot's thread ---- */

struct worker {
	struct ps_load_line *line;
	pthread_t thread;
	pthread_mutex_t mutex; /* of slot and stop */
	pthread_cond_t work;
	struct ps_load_islot *slot; /* to be run; NULL: nothing */
	bool stop;

	/* from the hand-over to the report the thread's, else the loop's */
	struct ps_load_islot *running;
	struct ps_engine_run run;
	struct ps_tensor outputs[PS_MODEL_MAX_TENSORS];
	struct ps_arena arena;
	struct ps_error err;
	enum ps_status status;
	int64_t started_ns, finished_ns;

	/* the loop's */
	struct ps_evloop_task report;
	struct ps_evloop_timer deadline;
	int64_t sent_ns, deadline_ns;
	bool under_way, late, cancelled;
};

static const struct model *model_of(const struct worker *w)
{
	return w->line->port->target->transport_data;
}

static void *alloc_output(void *ctx, size_t bytes)
{
	return ps_arena_alloc_tensor(ctx, bytes);
}

static void run(struct worker *w)
{
	const struct model *m = model_of(w);

	w->started_ns = ps_clock_now_ns();
	w->status = m->ops->run(m->instance, &w->run, &w->err);
	w->finished_ns = ps_clock_now_ns();
}

static struct ps_load_islot *next_work(struct worker *w)
{
	struct ps_load_islot *s;

	pthread_mutex_lock(&w->mutex);
	while (!w->slot && !w->stop) {
		pthread_cond_wait(&w->work, &w->mutex);
	}
	s = w->slot;
	w->slot = NULL;
	pthread_mutex_unlock(&w->mutex);
	return s;
}

static void *work(void *ctx)
{
	struct worker *w = ctx;
	const struct model *m = model_of(w);

	if (CPU_COUNT(&m->cpus) > 0) {
		(void)sched_setaffinity(0, sizeof(m->cpus), &m->cpus);
	}
	while (next_work(w)) {
		run(w);
		ps_evloop_post(w->line->port->o.loop, &w->report);
	}
	return NULL;
}

/* ---- its result ---- */

static enum ps_load_outcome judge(struct worker *w, struct ps_load_islot *s)
{
	struct ps_error *err = &s->pub.port->err;

	/* The loop may have been told of the deadline before it was told of a run that kept it. */
	if (w->late && (w->status != PS_OK || w->finished_ns >= w->deadline_ns)) {
		ps_error_set(err, PS_ETIMEOUT, "timeout");
		return PS_LOAD_TIMEOUT;
	}
	if (w->status != PS_OK) {
		*err = w->err;
		return PS_LOAD_REJECTED;
	}
	return ps_load_answer_judge_tensors(s, w->outputs, w->run.n_outputs);
}

static void on_report(struct ps_evloop_task *task)
{
	struct worker *w = task->ctx;
	struct ps_load_islot *s = w->running;
	struct ps_load_answer *a = &s->pub.answer;

	w->under_way = false;
	ps_evloop_timer_cancel(&w->deadline);
	a->sent_ns = w->sent_ns;
	a->first_byte_ns = a->done_ns = w->finished_ns;
	a->server_queue_ns = w->started_ns - w->sent_ns;
	a->server_compute_ns = w->finished_ns - w->started_ns;
	a->bytes_sent = s->request->message.bytes;
	a->cancelled = w->cancelled;
	for (int i = 0; w->status == PS_OK && i < w->run.n_outputs; i++) {
		a->bytes_received += w->outputs[i].bytes;
	}
	a->outcome = a->cancelled ? PS_LOAD_CONNECT : judge(w, s);
	ps_load_slot_end(s);
}

static void stop_run(struct worker *w)
{
	const struct model *m = model_of(w);

	if (w->under_way) {
		m->ops->cancel(m->instance, &w->run);
	}
}

static void on_deadline(struct ps_evloop_timer *t, int64_t now_ns)
{
	struct worker *w = t->ctx;

	(void)now_ns;
	w->late = true;
	stop_run(w);
}

/* ---- the transport ---- */

static enum ps_status open_line(struct ps_load_line *line, struct ps_error *err)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (!w) {
		return ps_error_set(err, PS_ENOMEM, "no memory for a worker");
	}
	w->line = line;
	w->report.run = on_report;
	w->report.ctx = w;
	ps_evloop_timer_init(&w->deadline, on_deadline, w);
	ps_arena_init(&w->arena, 0);
	pthread_mutex_init(&w->mutex, NULL);
	pthread_cond_init(&w->work, NULL);
	if (pthread_create(&w->thread, NULL, work, w) != 0) {
		pthread_cond_destroy(&w->work);
		pthread_mutex_destroy(&w->mutex);
		free(w);
		return ps_error_set(err, PS_EIO, "no further thread can be had");
	}
	line->way = w;
	return PS_OK;
}

static bool is_ready(const struct ps_load_line *line)
{
	(void)line;
	return true;
}

static void close_line(struct ps_load_line *line)
{
	struct worker *w = line->way;

	stop_run(w);
	pthread_mutex_lock(&w->mutex);
	w->stop = true;
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->mutex);
	pthread_join(w->thread, NULL);
	/* The loop may hold the report: it must not outlive what it points to. */
	while (w->under_way && ps_evloop_run_once(line->port->o.loop, 0, NULL) == PS_OK) {
	}
	ps_evloop_timer_cancel(&w->deadline);
	ps_arena_fini(&w->arena);
	pthread_cond_destroy(&w->work);
	pthread_mutex_destroy(&w->mutex);
	free(w);
}

static void set_run(struct worker *w, const struct ps_load_request *q)
{
	const struct model *m = model_of(w);

	ps_arena_reset(&w->arena);
	memset(&w->run, 0, sizeof(w->run));
	memset(w->outputs, 0, (size_t)m->d.n_outputs * sizeof(w->outputs[0]));
	w->run.inputs = q->inputs.tensors;
	w->run.n_inputs = (int)q->inputs.len;
	w->run.outputs = w->outputs;
	w->run.n_outputs = m->d.n_outputs;
	w->run.alloc = alloc_output;
	w->run.alloc_ctx = &w->arena;
}

static enum ps_status send(struct ps_load_islot *s, int64_t deadline_ns, struct ps_error *err)
{
	struct worker *w = s->line->way;

	if (ps_evloop_timer_set(w->line->port->o.loop, &w->deadline, deadline_ns) != PS_OK) {
		return ps_error_set(err, PS_ENOMEM, "no memory for a timer");
	}
	set_run(w, s->request);
	w->running = s;
	w->under_way = true;
	w->late = w->cancelled = false;
	w->deadline_ns = deadline_ns;
	w->sent_ns = ps_clock_now_ns();
	pthread_mutex_lock(&w->mutex);
	w->slot = s;
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->mutex);
	return PS_OK;
}

static void cancel(struct ps_load_islot *s)
{
	struct worker *w = s->line->way;

	w->cancelled = true;
	stop_run(w);
}

const struct ps_load_transport ps_load_transport_in_process = {
	.slot_bytes = sizeof(struct ps_load_islot),
	.init = init,
	.fini = fini,
	.fetch = fetch,
	.build = build,
	.open = open_line,
	.ready = is_ready,
	.close = close_line,
	.room = is_ready,
	.send = send,
	.cancel = cancel,
};
