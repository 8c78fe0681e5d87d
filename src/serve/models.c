/* Loading and unloading in the background. I/O thread 0 decides and keeps the books (its work is
 * O(log n) under the lock); what takes long is done by a thread of its own per step, at the lowest
 * priority, that never takes the server's lock: a thread that hardly runs must not hold it.
 *
 *	kick -> load_next -> hash (thread) -> ps_repo_hashed -> open (thread) -> load_done -> kick
 *	                     with a budget of memory: -> reserve -> load_next says OPEN -> open
 *	     -> load_next -> close (thread) -> unload_done -> kick
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "serve/observe_parts_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a niceness of 19 leaves of a busy CPU is about 1.5 %: loading goes on, and nobody feels it.
 */
enum { LOADER_NICE = 19 };
/* Where requests wait for the load: a tenth of a busy CPU for a conversion; what is only mapped is
 * over in a few milliseconds. */
enum { AWAITED_NICE = 10, MAPPED_NICE = 0 };

enum step { HASH, ROOM, OPEN, CLOSE }; /* ROOM: no thread, it waits for memory */

/* One load or unload under way. The thread of a step owns all but `next` until `done` comes. */
struct job {
	struct job *next;
	struct ps_serve *server;
	enum step step;
	pthread_t thread;
	int number; /* of the instance */
	int model;
	struct ps_serve_opening opening;
	unsigned char hash[PS_REPO_HASH_SIZE];
	bool on_demand; /* there is a budget of memory, and `need` the forecast */
	struct ps_engine_need need;
	struct ps_serve_instance *instance;
	bool refused; /* CLOSE of what the repository did not take */
	int64_t began_ns;
	int64_t step_began_ns, hash_ns, open_ns; /* hash_ns 0: the content was known */
	int64_t hashed_ns;			 /* when it began to wait for room */
	enum ps_status status;
	struct ps_error err;
	struct ps_evloop_task done;
};

/* I/O thread 0's, but for the kick. */
struct ps_serve_loaders {
	struct job *jobs;
	struct job *spares; /* of loads that are over, one for each instance that is open: an
			     * unload needs memory when there is least of it */
	int n_loading;
	struct ps_serve_wait *waits;
	struct ps_evloop_task kick;
	atomic_bool kick_posted;
	bool stopping;
};

static void step_done(struct ps_evloop_task *task);

/* --- threads --- */

/* The threads that an engine starts are for runs, and niceness is inherited. What goes wrong here,
 * opening says. */
static void start_engine(const struct job *j)
{
	struct ps_serve_engine engine;
	struct ps_error err;
	(void)ps_serve_engine_for(j->server, j->opening.path, &j->opening.config.rnn, &engine,
				  &err);
}

static int niceness(const struct job *j)
{
	if (!j->on_demand)
		return LOADER_NICE;
	return j->need.again ? MAPPED_NICE : AWAITED_NICE;
}

static void hash(struct job *j)
{
	bool known = ps_engine_is_hashed(j->opening.path);
	int64_t began_ns = ps_clock_now_ns();
	j->status = ps_engine_hash(j->opening.path, j->hash, &j->err);
	if (!known)
		j->hash_ns = ps_clock_now_ns() - began_ns;
}

static void perform(struct job *j)
{
	if (j->step == HASH) {
		hash(j);
		if (j->status == PS_OK && j->on_demand)
			j->status = ps_serve_need(j->server, j->opening.path,
						  &j->opening.config.rnn, &j->need, &j->err);
	} else if (j->step == OPEN) {
		j->status = ps_serve_open(j->server, &j->opening, &j->instance, &j->err);
		j->open_ns = ps_clock_now_ns() - j->step_began_ns;
	} else {
		ps_serve_close_instance(j->instance);
	}
}

static void *step_main(void *ctx)
{
	struct job *j = ctx;
	pthread_setname_np(pthread_self(), "ps-loader");
	ps_thread_step_back(0); /* an I/O thread has started it */
	if (j->step == OPEN || (j->step == HASH && j->on_demand))
		start_engine(j);
	ps_thread_step_back(niceness(j));
	perform(j);
	ps_evloop_post(j->server->ios[0].loop, &j->done);
	return NULL;
}

static void start_step(struct job *j, enum step step)
{
	j->step = step;
	j->step_began_ns = ps_clock_now_ns();
	j->status = PS_OK;
	j->done = (struct ps_evloop_task){.run = step_done, .ctx = j};
	int rc = pthread_create(&j->thread, NULL, step_main, j);
	if (rc == 0)
		return;
	/* Without a thread it is done here and now: late answers are better than a lost model. */
	ps_log(PS_LOG_WARN, "serve", "no thread to load models with: %s", strerror(rc));
	j->thread = 0;
	perform(j);
	ps_evloop_post(j->server->ios[0].loop, &j->done);
}

static void take_off(struct ps_serve *s, struct job *j)
{
	struct job **at = &s->loaders->jobs;
	while (*at && *at != j)
		at = &(*at)->next;
	if (*at)
		*at = j->next;
	if (j->step != CLOSE)
		s->loaders->n_loading--;
	free(j->opening.path);
	ps_repo_config_fini(&j->opening.config);
}

static void free_job(struct ps_serve *s, struct job *j)
{
	take_off(s, j);
	free(j);
}

/* Its instance is open: it will unload it. */
static void spare_job(struct ps_serve *s, struct job *j)
{
	take_off(s, j);
	j->next = s->loaders->spares;
	s->loaders->spares = j;
}

static void free_spares(struct ps_serve_loaders *l)
{
	for (struct job *next; l->spares; l->spares = next) {
		next = l->spares->next;
		free(l->spares);
	}
}

/* --- who waits --- */

/* Whether a load that is to serve the model is under way beside what serves it now. */
static bool loads_anew(const struct ps_repo *r, int model, int domain)
{
	for (int i = 0; i < ps_repo_instances(r); i++) {
		const struct ps_repo_instance *in = ps_repo_instance_get(r, i);
		if (in->model == model && in->domain == domain &&
		    (in->state == PS_REPO_INSTANCE_WAITING ||
		     in->state == PS_REPO_INSTANCE_LOADING))
			return true;
	}
	return false;
}

/* PS_ECANCELLED: not over yet. */
static enum ps_status outcome(const struct ps_repo *r, struct ps_serve_wait *w)
{
	enum ps_repo_state state = ps_repo_state_of(r, w->model, w->domain);
	const struct ps_error *why = ps_repo_reason(r, w->model, w->domain);
	ps_error_clear(&w->err);
	if (state == PS_REPO_LOADING || state == PS_REPO_UNLOADING ||
	    loads_anew(r, w->model, w->domain))
		return PS_ECANCELLED;
	if (!w->loaded && state == PS_REPO_READY && !ps_repo_wanted(r, w->model, w->domain))
		return PS_ECANCELLED; /* requests are still at it */
	if (w->loaded && why->status != PS_OK) {
		w->err = *why;
		return why->status;
	}
	if (w->loaded == (state == PS_REPO_READY || state == PS_REPO_ON_DISK))
		return PS_OK;
	return ps_error_set(&w->err, PS_EUNAVAIL, "somebody else wanted otherwise meanwhile");
}

static void on_wait_over(struct ps_evloop_task *task)
{
	struct ps_serve_wait *w = task->ctx;
	w->on_done(w, w->err.status, &w->err);
}

static void check_waits(struct ps_serve *s)
{
	struct ps_serve_wait **at = &s->loaders->waits;
	while (*at) {
		struct ps_serve_wait *w = *at;
		pthread_mutex_lock(&s->lock);
		enum ps_status status = outcome(s->repo, w);
		pthread_mutex_unlock(&s->lock);
		if (status == PS_ECANCELLED) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->task = (struct ps_evloop_task){.run = on_wait_over, .ctx = w};
		ps_evloop_post(w->loop, &w->task);
	}
}

void ps_serve_fail_waits(struct ps_serve *s)
{
	struct ps_serve_loaders *l = s->loaders;
	if (!l)
		return;
	l->stopping = true;
	for (struct ps_serve_wait *w = l->waits, *next; w; w = next) {
		next = w->next;
		ps_error_set(&w->err, PS_EUNAVAIL, "the server shuts down");
		w->task = (struct ps_evloop_task){.run = on_wait_over, .ctx = w};
		ps_evloop_post(w->loop, &w->task);
	}
	l->waits = NULL;
}

/* --- what is to be done --- */

static struct job *put_job(struct ps_serve *s, struct job *j, int number)
{
	*j = (struct job){.next = s->loaders->jobs,
			  .server = s,
			  .number = number,
			  .began_ns = ps_clock_now_ns()};
	s->loaders->jobs = j;
	return j;
}

/* Under the lock: copies what the loader needs. */
static enum ps_status fill_opening(struct ps_serve *s, struct job *j)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(s->repo, j->number);
	const struct ps_repo_model *m = ps_repo_get(s->repo, in->model);
	struct ps_serve_opening *o = &j->opening;
	j->model = in->model;
	o->path = strdup(in->path);
	memcpy(o->device, in->device, sizeof o->device);
	snprintf(o->name, sizeof o->name, "%s", m->name);
	j->on_demand = ps_dispatch_on_demand(s->dispatch);
	/* Once it has run, a model that was evicted need not show again that it can. */
	o->warmup = s->ios[0].snapshot->config->warmup &&
		    !(j->on_demand && ps_serve_was_loaded(s->observe, in->model));
	o->wide_warmup = s->width > 1 && !s->loaded;
	if (!o->path || ps_repo_config_copy(m->config, &o->config) != PS_OK)
		return ps_error_set(&j->err, PS_ENOMEM, "out of memory");
	o->config.rnn = in->rnn; /* as it was wanted when the instance got its number */
	return PS_OK;
}

static struct job *load_job(struct ps_serve *s, int number)
{
	struct job *j = malloc(sizeof *j);
	struct ps_error err;
	if (!j) {
		ps_error_set(&err, PS_ENOMEM, "out of memory");
		ps_dispatch_load_done(s->dispatch, number, PS_ENOMEM, &err, NULL, NULL);
		return NULL;
	}
	put_job(s, j, number);
	s->loaders->n_loading++;
	j->status = fill_opening(s, j);
	return j;
}

/* Its instance has the room that it waits for. */
static struct job *find_job(struct ps_serve *s, int number, bool room)
{
	struct job *j = s->loaders->jobs;
	while (j && (j->number != number || j->step != ROOM))
		j = j->next;
	if (j && !room)
		j->status = ps_error_set(&j->err, PS_EUNAVAIL,
					 "no room could be made for it: what is loaded is pinned, "
					 "guaranteed to others or being used");
	return j;
}

static struct job *unload_job(struct ps_serve *s, int number)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(s->repo, number);
	struct job *j = s->loaders->spares;
	s->loaders->spares = j->next;
	put_job(s, j, number);
	j->step = CLOSE;
	j->model = in->model;
	j->instance = in->user;
	return j;
}

/* One stay under the lock. False: nothing more to start; *ret_job NULL: there was no memory for
 * this one. */
static bool next_job(struct ps_serve *s, int max_loading, struct job **ret_job)
{
	*ret_job = NULL;
	pthread_mutex_lock(&s->lock);
	struct ps_dispatch_action a = ps_dispatch_load_next(s->dispatch, max_loading);
	if (a.kind == PS_DISPATCH_LOAD)
		*ret_job = load_job(s, a.instance);
	else if (a.kind == PS_DISPATCH_OPEN || a.kind == PS_DISPATCH_NO_ROOM)
		*ret_job = find_job(s, a.instance, a.kind == PS_DISPATCH_OPEN);
	else if (a.kind == PS_DISPATCH_UNLOAD)
		*ret_job = unload_job(s, a.instance);
	pthread_mutex_unlock(&s->lock);
	return a.kind != PS_DISPATCH_NOTHING;
}

static void begin(struct job *j)
{
	if (j->step == CLOSE) {
		start_step(j, CLOSE);
	} else if (j->step == ROOM && j->status == PS_OK) {
		start_step(j, OPEN);
	} else if (j->status == PS_OK) {
		start_step(j, HASH);
	} else {
		j->step = HASH;
		j->done = (struct ps_evloop_task){.run = step_done, .ctx = j};
		ps_evloop_post(j->server->ios[0].loop, &j->done);
	}
}

/* Everything that was wanted at start is loaded or has failed. */
static void check_start(struct ps_serve *s)
{
	if (s->loaded)
		return;
	pthread_mutex_lock(&s->lock);
	bool settled = ps_repo_settled(s->repo);
	pthread_mutex_unlock(&s->lock);
	if (settled)
		ps_serve_loaded(s);
}

/* Under a budget of memory: who has to go, and which requests go on. True: some do. */
static bool make_room(struct ps_serve *s)
{
	pthread_mutex_lock(&s->lock);
	bool on_demand = ps_dispatch_on_demand(s->dispatch);
	if (on_demand)
		ps_dispatch_make_room(s->dispatch, ps_clock_now_ns());
	pthread_mutex_unlock(&s->lock);
	return on_demand;
}

static void kick(struct ps_serve *s)
{
	struct job *j;
	if (s->loaders->stopping)
		return;
	bool on_demand = make_room(s);
	int max = ps_serve_max_loading(s->ios[0].snapshot->config);
	while (next_job(s, max, &j))
		if (j)
			begin(j);
	check_waits(s);
	check_start(s);
	if (on_demand)
		ps_serve_say_epoch(s);
	if (on_demand)
		ps_serve_tick(&s->ios[0].tick, ps_clock_now_ns());
}

static void on_kick(struct ps_evloop_task *task)
{
	struct ps_serve *s = task->ctx;
	atomic_store(&s->loaders->kick_posted, false);
	kick(s);
}

/* Under the lock, on any thread: also a lane lets go of an instance that nobody wants any more. */
static void on_idle(void *ctx)
{
	ps_serve_wake_loaders(ctx);
}

void ps_serve_wake_loaders(struct ps_serve *s)
{
	if (!atomic_exchange(&s->loaders->kick_posted, true))
		ps_evloop_post(s->ios[0].loop, &s->loaders->kick);
}

void ps_serve_kick_loaders(struct ps_serve *s)
{
	atomic_fetch_add(&s->models_generation, 1);
	ps_serve_wake_loaders(s);
}

/* --- steps that have ended: I/O thread 0 --- */

/* What a load has to do is asked with a budget of memory only. */
static void count_steps(struct ps_serve_observe *o, const struct job *j)
{
	if (!j->on_demand)
		return;
	if (j->hash_ns > 0)
		ps_serve_observe_step(o, PS_SERVE_LOAD_HASH, j->hash_ns);
	if (j->open_ns == 0)
		return; /* the content was there already */
	ps_serve_observe_step(o, PS_SERVE_LOAD_WAIT, j->step_began_ns - j->hashed_ns);
	ps_serve_observe_step(o, j->need.converts ? PS_SERVE_LOAD_CONVERT : PS_SERVE_LOAD_OPEN,
			      j->open_ns);
}

static void end_load(struct ps_serve *s, struct job *j)
{
	ps_serve_observe_load(s->observe, j->model, j->status, ps_clock_now_ns() - j->began_ns);
	if (j->status == PS_OK) {
		count_steps(s->observe, j);
		return;
	}
	char text[1024];
	ps_log(PS_LOG_WARN, "serve", "model %s: %s", j->opening.name,
	       ps_error_format(&j->err, text, sizeof text));
	if (!s->loaded && s->ios[0].snapshot->config->exit_on_error)
		ps_serve_fail(s, &j->err);
}

static enum ps_status reserve(struct job *j)
{
	const struct ps_dispatch_need need = {.resident_bytes = j->need.resident_bytes,
					      .load_bytes = j->need.load_bytes,
					      .file_bytes = j->need.file_bytes,
					      .hash_ns = j->hash_ns,
					      .converts = j->need.converts};
	return ps_dispatch_reserve(j->server->dispatch, j->number, &need, &j->err);
}

static void hashed(struct ps_serve *s, struct job *j)
{
	bool open = true;
	pthread_mutex_lock(&s->lock);
	if (j->status == PS_OK)
		open = ps_dispatch_hashed(s->dispatch, j->number, j->hash);
	if (j->status == PS_OK && open && j->on_demand)
		j->status = reserve(j);
	if (j->status != PS_OK)
		ps_dispatch_load_done(s->dispatch, j->number, j->status, &j->err, NULL, NULL);
	pthread_mutex_unlock(&s->lock);
	if (j->status == PS_OK && open) {
		j->step = ROOM;
		j->hashed_ns = ps_clock_now_ns();
		if (!j->on_demand)
			start_step(j, OPEN);
		return;
	}
	end_load(s, j);
	free_job(s, j);
}

static void opened(struct ps_serve *s, struct job *j)
{
	struct ps_repo_facts facts = {0};
	struct ps_serve_instance *in = j->instance;
	bool taken = false;
	if (j->status == PS_OK)
		facts = (struct ps_repo_facts){
			.inputs = in->describe.inputs,
			.outputs = in->describe.outputs,
			.n_inputs = in->describe.n_inputs,
			.n_outputs = in->describe.n_outputs,
			.batch_axis = in->describe.batch_axis,
			.private_bytes = in->memory.private_bytes,
			.footprint_bytes = in->memory.footprint_bytes,
			.mapped_bytes = in->memory.mapped_bytes,
			.device_bytes = in->memory.device_bytes,
			.load_ns = in->memory.load_ns,
			.open_ns = j->open_ns,
		};
	pthread_mutex_lock(&s->lock);
	int domain = ps_repo_instance_get(s->repo, j->number)->domain; /* it may be gone after */
	if (j->status == PS_OK)
		j->status = ps_dispatch_measured(s->dispatch, j->number, &facts, &j->err);
	ps_dispatch_load_done(s->dispatch, j->number, j->status, &j->err,
			      j->status == PS_OK ? &facts : NULL, in);
	if (in) {
		const struct ps_repo_instance *now = ps_repo_instance_get(s->repo, j->number);
		taken = now->user == in && (now->state == PS_REPO_INSTANCE_READY ||
					    now->state == PS_REPO_INSTANCE_UNLOADING);
	}
	if (j->status == PS_OK && !taken)
		j->err = *ps_repo_reason(s->repo, j->model, domain);
	pthread_mutex_unlock(&s->lock);
	if (in && !taken) {
		j->status = j->err.status;
		j->refused = true;
		end_load(s, j);
		s->loaders->n_loading--;
		start_step(j, CLOSE);
		return;
	}
	end_load(s, j);
	if (taken)
		spare_job(s, j);
	else
		free_job(s, j);
}

static void closed(struct ps_serve *s, struct job *j)
{
	if (!j->refused) {
		pthread_mutex_lock(&s->lock);
		ps_dispatch_unload_done(s->dispatch, j->number);
		pthread_mutex_unlock(&s->lock);
		ps_serve_observe_unload(s->observe, j->model);
	}
	free_job(s, j);
}

static void step_done(struct ps_evloop_task *task)
{
	struct job *j = task->ctx;
	struct ps_serve *s = j->server;
	if (j->thread)
		pthread_join(j->thread, NULL);
	j->thread = 0;
	atomic_fetch_add(&s->models_generation, 1);
	if (j->step == HASH)
		hashed(s, j);
	else if (j->step == OPEN)
		opened(s, j);
	else
		closed(s, j);
	ps_serve_reload_notify(s);
	kick(s);
}

/* --- asking --- */

static void on_await(struct ps_evloop_task *task)
{
	struct ps_serve_wait *w = task->ctx;
	struct ps_serve *s = w->server;
	w->next = s->loaders->waits;
	s->loaders->waits = w;
	if (s->loaders->stopping)
		ps_serve_fail_waits(s);
	else
		kick(s);
}

void ps_serve_await(struct ps_serve *s, struct ps_serve_wait *w)
{
	w->server = s;
	w->task = (struct ps_evloop_task){.run = on_await, .ctx = w};
	ps_evloop_post(s->ios[0].loop, &w->task);
}

void ps_serve_want(struct ps_serve *s, struct ps_serve_wait *w)
{
	pthread_mutex_lock(&s->lock);
	enum ps_status status = ps_repo_want(s->repo, w->model, w->domain, w->loaded);
	pthread_mutex_unlock(&s->lock);
	atomic_fetch_add(&s->models_generation, 1);
	if (status == PS_OK) {
		ps_serve_await(s, w);
		return;
	}
	ps_error_set(&w->err, status, "%s", ps_status_get(status)->meaning);
	w->task = (struct ps_evloop_task){.run = on_wait_over, .ctx = w};
	ps_evloop_post(w->loop, &w->task);
}

/* --- start and end --- */

enum ps_status ps_serve_start_loaders(struct ps_serve *s, struct ps_error *err)
{
	s->loaders = calloc(1, sizeof *s->loaders);
	if (!s->loaders)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	s->loaders->kick = (struct ps_evloop_task){.run = on_kick, .ctx = s};
	pthread_mutex_lock(&s->lock);
	ps_repo_watch_idle(s->repo, on_idle, s);
	pthread_mutex_unlock(&s->lock);
	return PS_OK;
}

bool ps_serve_is_loading(const struct ps_serve *s)
{
	return s->loaders && s->loaders->jobs;
}

static void interrupt_engines(struct ps_serve *s)
{
	pthread_mutex_lock(&s->engines_lock);
	s->engines_stopped = true;
	for (int i = 0; i < PS_SERVE_MAX_ENGINES; i++)
		if (s->engines[i].ops && s->engines[i].ops->interrupt)
			s->engines[i].ops->interrupt(s->engines[i].engine);
	pthread_mutex_unlock(&s->engines_lock);
}

/* The loop runs no more: what is posted now is never read. */
void ps_serve_stop_loaders(struct ps_serve *s)
{
	struct job *j, *next;
	if (!s->loaders)
		return;
	s->loaders->stopping = true;
	pthread_mutex_lock(&s->lock);
	ps_repo_watch_idle(s->repo, NULL, NULL);
	pthread_mutex_unlock(&s->lock);
	interrupt_engines(s);
	for (j = s->loaders->jobs; j; j = next) {
		next = j->next;
		if (j->thread)
			pthread_join(j->thread, NULL);
		if (j->step == OPEN && j->status == PS_OK)
			ps_serve_close_instance(j->instance);
		if (j->step == CLOSE && !j->refused)
			ps_dispatch_unload_done(s->dispatch, j->number);
		free_job(s, j);
	}
	free_spares(s->loaders);
	free(s->loaders);
	s->loaders = NULL;
}

void ps_serve_close_models(struct ps_serve *s)
{
	for (int i = 0; s->repo && i < ps_repo_instances(s->repo); i++) {
		const struct ps_repo_instance *in = ps_repo_instance_get(s->repo, i);
		if (in->state == PS_REPO_INSTANCE_READY)
			ps_serve_close_instance(in->user);
	}
	for (int i = 0; i < PS_SERVE_MAX_ENGINES; i++)
		if (s->engines[i].ops)
			s->engines[i].ops->stop(s->engines[i].engine);
}
