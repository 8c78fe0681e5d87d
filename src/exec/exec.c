/* Lanes. The life of one (spinning, when asked for, comes before dozing and needs no wake: it
 *watches `queued`, which every ps_exec_wake counts up):
 *
 *	running --take gives NULL--> dozing --take gives NULL again--> asleep
 *	   ^                           |                                 |
 *	   +------- take gives work ---+        ps_exec_wake: posted ----+
 *
 * A lane says `asleep` before it looks for work a second time, and whoever queues work looks at
 * `asleep` after queueing; both in one total order, so at least one of the two sees the other and
 * no work is left lying beside a sleeping lane. (With a queue under a mutex: if the second look
 * comes first, its unlock carries `asleep` to the one who queues.)
 */
#include "exec/exec.h"
#include "exec/budget_internal.h"

#include "base/clock.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum mode { RUNNING, DRAINING, STOPPING };

struct lane {
	struct ps_exec *exec;
	int number;
	pthread_t thread;
	atomic_bool asleep;
	sem_t posted;	      /* once per wake of a sleeper */
	int64_t taken_ns;     /* when the task in hand was taken */
	pthread_mutex_t lock; /* guards `current` against ps_exec_stop */
	struct ps_exec_task *current;
	_Atomic uint64_t runs, sleeps;
	_Atomic int64_t busy_ns;
};

struct ps_exec {
	struct ps_exec_callbacks callbacks;
	struct ps_exec_budget budget;
	int width;
	int64_t spin_ns;
	_Atomic uint64_t queued; /* wakes so far; what a spinning lane watches */
	atomic_int mode;
	int n_lanes;
	struct lane *lanes;
};

/* `seat`: the lane whose thread this is, -1 for another thread, which stays where it is. */
static void run_task(struct lane *l, int seat, int64_t taken_ns, struct ps_exec_task *t,
		     struct ps_error *err)
{
	struct ps_exec *e = l->exec;
	bool wide = t->width > 1 && e->width > 1;

	ps_error_clear(err);
	t->run->wide = wide;
	bool waited = ps_exec_budget_acquire(&e->budget, seat, wide);
	t->started_ns = waited ? ps_clock_now_ns() : taken_ns;
	t->status = t->ops->run(t->instance, t->run, err);
	t->finished_ns = ps_clock_now_ns();
	ps_exec_budget_release(&e->budget, seat, wide);
}

/* Only this lane, or whoever has borrowed its number, writes its counters: plain load and store
 * suffice. */
static void add(_Atomic int64_t *counter, int64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

static void count_run(struct lane *l, const struct ps_exec_task *t)
{
	atomic_fetch_add_explicit(&l->runs, 1, memory_order_relaxed);
	add(&l->busy_ns, t->finished_ns - t->started_ns);
}

/* Publishes what runs, so that a stop can cancel it; a stop that came before is seen here. */
static void set_current(struct lane *l, struct ps_exec_task *t)
{
	pthread_mutex_lock(&l->lock);
	l->current = t;
	if (t && atomic_load(&l->exec->mode) == STOPPING)
		t->ops->cancel(t->instance, t->run);
	pthread_mutex_unlock(&l->lock);
}

static struct ps_exec_task *take(struct lane *l)
{
	struct ps_exec *e = l->exec;
	struct ps_exec_task *t = NULL;

	if (atomic_load(&e->mode) != STOPPING)
		t = e->callbacks.take(e->callbacks.ctx, l->number);
	if (t)
		l->taken_ns = ps_clock_now_ns();
	return t;
}

/* The lane's time is the next task's from the end of the last one: what passes in between is spent
 * for it. */
static struct ps_exec_task *take_next(struct lane *l, int64_t ended_ns)
{
	struct ps_exec_task *t = take(l);
	if (t)
		l->taken_ns = ended_ns;
	return t;
}

/* Runs a task and returns the next one, or NULL when there is none yet. */
static struct ps_exec_task *serve(struct lane *l, struct ps_exec_task *t)
{
	struct ps_exec *e = l->exec;
	struct ps_error err;

	set_current(l, t);
	run_task(l, l->number, l->taken_ns, t, &err);
	set_current(l, NULL);
	count_run(l, t);
	int64_t ended_ns = t->finished_ns;
	e->callbacks.done(e->callbacks.ctx, l->number, t, &err);
	if (!e->callbacks.report)
		return take_next(l, ended_ns);
	struct ps_exec_task *next = take_next(l, ended_ns);
	e->callbacks.report(e->callbacks.ctx, l->number, t);
	return next;
}

enum ps_status ps_exec_run_here(struct ps_exec *e, int lane, struct ps_exec_task *task,
				struct ps_error *err)
{
	struct lane *l = &e->lanes[lane];
	int64_t now_ns = ps_clock_now_ns();
	struct ps_error own;

	set_current(l, task);
	run_task(l, -1, now_ns, task, err ? err : &own);
	set_current(l, NULL);
	count_run(l, task);
	return task->status;
}

void ps_exec_borrow(struct ps_exec *e)
{
	ps_exec_budget_borrow(&e->budget);
}

void ps_exec_give_back(struct ps_exec *e)
{
	ps_exec_budget_give_back(&e->budget);
}

/* Looks for work without sleeping; NULL when the time is over or the lane is to end. */
static struct ps_exec_task *spin(struct lane *l)
{
	struct ps_exec *e = l->exec;
	uint64_t seen = atomic_load(&e->queued);
	struct ps_exec_task *t = take(l); /* what was queued before `seen` */
	int64_t end_ns = ps_clock_now_ns() + e->spin_ns;

	while (!t && atomic_load(&e->mode) == RUNNING && ps_clock_now_ns() < end_ns) {
		uint64_t now = atomic_load(&e->queued);
		if (now != seen) {
			seen = now;
			t = take(l);
		}
	}
	return t;
}

/* A waker that clears `asleep` always posts, so whoever finds it cleared must eat the post. */
static void wake_self(struct lane *l)
{
	if (!atomic_exchange(&l->asleep, false))
		while (sem_wait(&l->posted) != 0 && errno == EINTR)
			;
}

/* Returns work, or NULL when the lane is to end. */
static struct ps_exec_task *next_task(struct lane *l)
{
	for (;;) {
		struct ps_exec_task *t = l->exec->spin_ns > 0 ? spin(l) : take(l);

		if (t)
			return t;
		atomic_store(&l->asleep, true);
		t = take(l);
		if (t || atomic_load(&l->exec->mode) != RUNNING) {
			wake_self(l);
			return t;
		}
		atomic_fetch_add_explicit(&l->sleeps, 1, memory_order_relaxed);
		while (sem_wait(&l->posted) != 0 && errno == EINTR)
			;
	}
}

static void *lane_main(void *arg)
{
	struct lane *l = arg;
	struct ps_exec_task *t;
	char name[16];

	snprintf(name, sizeof(name), "ps-lane-%d", l->number);
	pthread_setname_np(pthread_self(), name);
	(void)ps_exec_budget_pin(ps_exec_budget_home(&l->exec->budget, l->number));
	while ((t = next_task(l)))
		while ((t = serve(l, t)))
			;
	return NULL;
}

static bool wake(struct lane *l)
{
	if (!atomic_load(&l->asleep) || !atomic_exchange(&l->asleep, false))
		return false;
	sem_post(&l->posted);
	return true;
}

void ps_exec_wake(struct ps_exec *e)
{
	if (e->spin_ns > 0)
		atomic_fetch_add(&e->queued, 1);
	for (int i = 0; i < e->n_lanes; i++)
		if (wake(&e->lanes[i]))
			return;
}

void ps_exec_wake_lane(struct ps_exec *e, int lane)
{
	if (e->spin_ns > 0)
		atomic_fetch_add(&e->queued, 1);
	wake(&e->lanes[lane]);
}

void ps_exec_wake_all(struct ps_exec *e)
{
	for (int i = 0; i < e->n_lanes; i++)
		wake(&e->lanes[i]);
}

int ps_exec_lanes(const struct ps_exec *e)
{
	return e->n_lanes;
}

const struct ps_cpus *ps_exec_cpus(const struct ps_exec *e)
{
	return &e->budget.cpus;
}

void ps_exec_stats(const struct ps_exec *e, int lane, struct ps_exec_lane_stats *ret_stats)
{
	const struct lane *l = &e->lanes[lane];

	*ret_stats = (struct ps_exec_lane_stats){
		.runs = atomic_load_explicit(&l->runs, memory_order_relaxed),
		.busy_ns = atomic_load_explicit(&l->busy_ns, memory_order_relaxed),
		.sleeps = atomic_load_explicit(&l->sleeps, memory_order_relaxed),
		.cpu = ps_exec_budget_home(&e->budget, lane),
	};
}

static enum ps_status allowed_cpus(struct ps_cpus *ret_cpus, struct ps_error *err)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return ps_error_errno(err, errno, "cannot read the CPUs of this process");
	*ret_cpus = (struct ps_cpus){0};
	for (int cpu = 0; cpu < CPU_SETSIZE && cpu < PS_CPUS_MAX; cpu++)
		if (CPU_ISSET(cpu, &set))
			ps_cpus_add(ret_cpus, cpu);
	return PS_OK;
}

static enum ps_status choose_cpus(const struct ps_exec_options *o, struct ps_cpus *ret_cpus,
				  struct ps_error *err)
{
	struct ps_cpus allowed;
	char want[PS_CPUS_SIZE], have[PS_CPUS_SIZE];
	enum ps_status st = allowed_cpus(&allowed, err);

	if (st != PS_OK)
		return st;
	*ret_cpus = ps_cpus_count(&o->cpus) > 0 ? o->cpus : allowed;
	for (int i = 0; i < ps_cpus_count(ret_cpus); i++)
		if (!ps_cpus_has(&allowed, ps_cpus_nth(ret_cpus, i)))
			return ps_error_set(err, PS_EINVAL,
					    "CPUs %s are wanted, but this process may use only %s",
					    ps_cpus_format(ret_cpus, want),
					    ps_cpus_format(&allowed, have));
	return PS_OK;
}

static enum ps_status choose_lanes(const struct ps_exec_options *o, int n_cpus, int *ret_lanes,
				   struct ps_error *err)
{
	int lanes = o->lanes;

	if (o->width > n_cpus)
		return ps_error_set(err, PS_EINVAL, "a width of %d needs as many CPUs, not %d",
				    o->width, n_cpus);
	if (lanes == 0)
		lanes = o->width > 1 ? 1 : n_cpus < PS_EXEC_MAX_LANES ? n_cpus : PS_EXEC_MAX_LANES;
	if (lanes < 0 || lanes > PS_EXEC_MAX_LANES)
		return ps_error_set(err, PS_EINVAL, "%d lanes are wanted, 1 to %d are possible",
				    o->lanes, PS_EXEC_MAX_LANES);
	*ret_lanes = lanes;
	return PS_OK;
}

static int start_thread(struct lane *l)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&l->thread, NULL, lane_main, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

static void init_lane(struct ps_exec *e, int i)
{
	struct lane *l = &e->lanes[i];

	l->exec = e;
	l->number = i;
	sem_init(&l->posted, 0, 0);
	pthread_mutex_init(&l->lock, NULL);
}

/* Ends the first `started` threads and frees everything. */
static void finish(struct ps_exec *e, enum mode mode, int started)
{
	atomic_store(&e->mode, mode);
	for (int i = 0; i < started && mode == STOPPING; i++) {
		struct lane *l = &e->lanes[i];

		pthread_mutex_lock(&l->lock);
		if (l->current)
			l->current->ops->cancel(l->current->instance, l->current->run);
		pthread_mutex_unlock(&l->lock);
	}
	ps_exec_wake_all(e);
	for (int i = 0; i < started; i++)
		pthread_join(e->lanes[i].thread, NULL);
	for (int i = 0; i < e->n_lanes; i++) {
		sem_destroy(&e->lanes[i].posted);
		pthread_mutex_destroy(&e->lanes[i].lock);
	}
	ps_exec_budget_fini(&e->budget);
	free(e->lanes);
	free(e);
}

enum ps_status ps_exec_start(const struct ps_exec_options *options,
			     const struct ps_exec_callbacks *callbacks, struct ps_exec **ret_exec,
			     struct ps_error *err)
{
	struct ps_cpus cpus;
	int lanes = 0, rc = 0, started = 0;
	struct ps_exec *e;
	enum ps_status st = choose_cpus(options, &cpus, err);

	if (st == PS_OK)
		st = choose_lanes(options, ps_cpus_count(&cpus), &lanes, err);
	if (st != PS_OK)
		return st;
	e = calloc(1, sizeof(*e));
	if (!e || !(e->lanes = calloc((size_t)lanes, sizeof(*e->lanes)))) {
		free(e);
		return ps_error_set(err, PS_ENOMEM, "no memory for lanes");
	}
	e->callbacks = *callbacks;
	e->width = options->width;
	e->spin_ns = options->spin_ns;
	e->n_lanes = lanes;
	ps_exec_budget_init(&e->budget, &cpus, !options->no_pin);
	for (int i = 0; i < lanes; i++)
		init_lane(e, i);
	/* Not before all are set up: a lane may wake the others from its callback. */
	*ret_exec = e;
	while (started < lanes && (rc = start_thread(&e->lanes[started])) == 0)
		started++;
	if (started == lanes)
		return PS_OK;
	*ret_exec = NULL;
	finish(e, STOPPING, started);
	return ps_error_errno(err, rc, "cannot start lane %d", started);
}

void ps_exec_drain(struct ps_exec *e)
{
	finish(e, DRAINING, e->n_lanes);
}

void ps_exec_stop(struct ps_exec *e)
{
	finish(e, STOPPING, e->n_lanes);
}
