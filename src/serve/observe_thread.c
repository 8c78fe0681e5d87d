/* observe_thread.c - the observer's thread and life: jobs, and files that nobody may wait for. */
#include "base/clock.h"
#include "base/log.h"
#include "serve/admin_state_internal.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define GATHER_NS (5 * PS_NS_PER_MS)

void ps_serve_observe_wake(struct ps_serve_observe *o)
{
	pthread_mutex_lock(&o->lock);
	o->awake = true;
	pthread_cond_signal(&o->wake);
	pthread_mutex_unlock(&o->lock);
}

void ps_serve_observe_post(struct ps_serve_observe *o, struct ps_serve_job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&o->lock);
	*o->jobs_end = job;
	o->jobs_end = &job->next;
	o->awake = true;
	pthread_cond_signal(&o->wake);
	pthread_mutex_unlock(&o->lock);
}

static void run_done(struct ps_evloop_task *task)
{
	struct ps_serve_job *job = task->ctx;
	job->done(job);
}

static void do_jobs(struct ps_serve_observe *o)
{
	pthread_mutex_lock(&o->lock);
	struct ps_serve_job *job = o->jobs;
	o->jobs = NULL;
	o->jobs_end = &o->jobs;
	pthread_mutex_unlock(&o->lock);
	while (job) {
		struct ps_serve_job *next = job->next;
		job->work(job);
		job->task = (struct ps_evloop_task){.run = run_done, .ctx = job};
		ps_evloop_post(job->loop, &job->task);
		job = next;
	}
}

/* Lines that come close together are written together. */
static void gather(struct ps_serve_observe *o)
{
	pthread_mutex_lock(&o->lock);
	bool hurry = o->jobs || o->stopping;
	pthread_mutex_unlock(&o->lock);
	if (!hurry)
		ps_clock_sleep_until_ns(ps_clock_now_ns() + GATHER_NS);
}

/* Sleeps until there is something to do, or until `until_ns`. False: it is time to end. */
static bool sleep_until(struct ps_serve_observe *o, int64_t until_ns)
{
	struct timespec at = {.tv_sec = until_ns / PS_NS_PER_SEC,
			      .tv_nsec = until_ns % PS_NS_PER_SEC};
	pthread_mutex_lock(&o->lock);
	while (!o->awake && !o->stopping)
		if (pthread_cond_timedwait(&o->wake, &o->lock, &at) != 0)
			break;
	o->awake = false;
	bool go_on = !o->stopping;
	pthread_mutex_unlock(&o->lock);
	return go_on;
}

static void flush_ledger(struct ps_serve_observe *o, bool now)
{
	int64_t now_ns = ps_clock_now_ns();
	if (o->ledger && (now || now_ns >= ps_serve_ledger_next_ns(o->ledger)))
		ps_serve_ledger_flush(o->ledger, now_ns, ps_clock_wall_ns());
}

static void *observe_thread(void *ctx)
{
	struct ps_serve_observe *o = ctx;
	bool go_on = true;
	while (go_on) {
		int64_t until_ns = o->ledger ? ps_serve_ledger_next_ns(o->ledger)
					     : ps_clock_now_ns() + 3600 * PS_NS_PER_SEC;
		go_on = sleep_until(o, until_ns);
		gather(o);
		do_jobs(o);
		ps_serve_log_flush(o);
		flush_ledger(o, !go_on);
	}
	do_jobs(o);
	ps_serve_log_flush(o);
	return NULL;
}

/* --- life --- */

static enum ps_status open_state(struct ps_serve_observe *o, const struct ps_serve_config *c,
				 struct ps_error *err)
{
	if (!c->state)
		return PS_OK;
	enum ps_status status = ps_state_open(c->state, ps_clock_wall_ns(), &o->state, err);
	if (status == PS_OK)
		status = ps_serve_restore(o->server, o->state, err);
	if (status == PS_OK)
		status = ps_serve_ledger_new(o, &o->ledger, err);
	return status;
}

static enum ps_status init_io(struct ps_serve_observe *o, int number, struct ps_error *err)
{
	struct ps_serve_observe_io *io = &o->ios[number];
	uint64_t seed;
	io->observe = o;
	io->number = number;
	pthread_mutex_init(&io->lock, NULL);
	ps_strbuf_init(&io->log);
	enum ps_status status = ps_rng_kernel(&seed, sizeof seed);
	if (status != PS_OK)
		return ps_error_set(err, status, "the kernel gives no random bytes");
	ps_rng_init(&io->rng, seed, (uint64_t)number);
	return PS_OK;
}

static void init_sync(struct ps_serve_observe *o)
{
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&o->wake, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&o->lock, NULL);
	pthread_mutex_init(&o->log_lock, NULL);
	o->jobs_end = &o->jobs;
}

enum ps_status ps_serve_observe_new(struct ps_serve *s, int n_ios,
				    struct ps_serve_observe **ret_observe, struct ps_error *err)
{
	const struct ps_serve_config *c = s->snapshot->config;
	struct ps_serve_observe *o = calloc(1, sizeof *o);
	struct ps_serve_observe_io *ios = calloc((size_t)n_ios, sizeof *ios);
	if (!o || !ios) {
		free(o);
		free(ios);
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	}
	o->server = s;
	o->ios = ios;
	o->n_ios = n_ios;
	o->max_series = (size_t)c->metrics_series;
	o->log_fd = -1;
	init_sync(o);
	enum ps_status status = PS_OK;
	for (int i = 0; i < n_ios; i++) {
		enum ps_status one = init_io(o, i, err);
		status = status == PS_OK ? one : status;
	}
	int log_fd = -1;
	if (status == PS_OK)
		status = ps_serve_log_open(c, &log_fd, err);
	if (status == PS_OK)
		ps_serve_observe_settle(o, c, log_fd);
	if (status == PS_OK)
		status = open_state(o, c, err);
	if (status != PS_OK) {
		ps_serve_observe_free(o);
		return status;
	}
	*ret_observe = o;
	return PS_OK;
}

void ps_serve_observe_settle(struct ps_serve_observe *o, const struct ps_serve_config *c,
			     int log_fd)
{
	ps_serve_log_take(o, log_fd);
	atomic_store(&o->log_on, c->access_log);
	atomic_store(&o->sample, c->access_log_sample);
	atomic_store(&o->slow_ns, c->slow_request);
}

enum ps_status ps_serve_observe_start(struct ps_serve_observe *o, struct ps_error *err)
{
	int e = pthread_create(&o->thread, NULL, observe_thread, o);
	if (e != 0)
		return ps_error_errno(err, e, "the system gives no thread for logs and ledger");
	o->started = true;
	return PS_OK;
}

void ps_serve_observe_stop(struct ps_serve_observe *o)
{
	struct ps_error err;
	if (!o || !o->started)
		return;
	pthread_mutex_lock(&o->lock);
	o->stopping = true;
	pthread_cond_signal(&o->wake);
	pthread_mutex_unlock(&o->lock);
	pthread_join(o->thread, NULL);
	o->started = false;
	/* A run whose last rows found no place has not ended in good order. */
	if (o->ledger && !ps_serve_ledger_is_whole(o->ledger)) {
		ps_log(PS_LOG_ERROR, "ledger", "the last usage could not be written: it is lost");
		return;
	}
	if (o->state && ps_state_end(o->state, ps_clock_wall_ns(), &err) != PS_OK)
		ps_log_error(PS_LOG_WARN, "ledger", &err);
}

static void free_io(struct ps_serve_observe_io *io)
{
	for (size_t i = 0; i < io->n_buckets; i++)
		for (struct ps_serve_cell *c = io->buckets[i], *next; c; c = next) {
			next = c->next;
			free(c);
		}
	free(io->buckets);
	ps_strbuf_fini(&io->log);
	pthread_mutex_destroy(&io->lock);
}

void ps_serve_observe_free(struct ps_serve_observe *o)
{
	if (!o)
		return;
	ps_serve_admin_free(o->server);
	ps_serve_ledger_free(o->ledger);
	ps_state_close(o->state);
	for (int i = 0; i < o->n_ios; i++)
		free_io(&o->ios[i]);
	for (size_t i = 0; i < o->n_pairs; i++) {
		free(o->pairs[i]->cells);
		free(o->pairs[i]);
	}
	ps_serve_log_close(o->log_fd);
	pthread_cond_destroy(&o->wake);
	pthread_mutex_destroy(&o->lock);
	pthread_mutex_destroy(&o->log_lock);
	free(o->pairs);
	free(o->loads);
	free(o->ios);
	free(o);
}

struct ps_serve_observe_io *ps_serve_observe_io(struct ps_serve_observe *o, int number)
{
	return &o->ios[number];
}
