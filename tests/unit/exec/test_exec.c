/* Lanes against a scripted engine (a struct of functions), and against the synthetic one. */
#include "exec/exec.h"

#include "base/clock.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define N_TASKS 20000

/* ---- an engine whose runs do what the test says ---- */

struct ps_engine_instance {
	atomic_int inside, most_inside, wide_inside, runs;
	atomic_bool mixed;   /* a wide run met another one */
	atomic_bool blocked; /* runs wait until this is false or they are cancelled */
	atomic_int wrong_cpu;
	struct ps_exec *exec;
};

static void note_most(struct ps_engine_instance *i, int n)
{
	int most = atomic_load(&i->most_inside);

	while (n > most && !atomic_compare_exchange_weak(&i->most_inside, &most, n))
		;
}

static enum ps_status fake_run(struct ps_engine_instance *i, struct ps_engine_run *run,
			       struct ps_error *err)
{
	int n = atomic_fetch_add(&i->inside, 1) + 1, wide = 0;

	note_most(i, n);
	if (run->wide)
		wide = atomic_fetch_add(&i->wide_inside, 1) + 1;
	if (wide > 1 || (run->wide && n > 1) || (!run->wide && atomic_load(&i->wide_inside)))
		atomic_store(&i->mixed, true);
	while (atomic_load(&i->blocked) && !atomic_load(&run->cancelled))
		sched_yield();
	if (run->wide)
		atomic_fetch_sub(&i->wide_inside, 1);
	atomic_fetch_add(&i->runs, 1);
	atomic_fetch_sub(&i->inside, 1);
	if (atomic_load(&run->cancelled))
		return ps_error_set(err, PS_ECANCELLED, "cancelled");
	return run->n_inputs == 13 ? ps_error_set(err, PS_EINVAL, "unlucky") : PS_OK;
}

static void fake_cancel(struct ps_engine_instance *i, struct ps_engine_run *run)
{
	(void)i;
	atomic_store(&run->cancelled, true);
}

static const struct ps_engine_ops fake = {
	.name = "fake",
	.run = fake_run,
	.cancel = fake_cancel,
};

/* ---- a queue under a mutex, as a server has it ---- */

struct work {
	struct ps_exec_task task;
	struct ps_engine_run run;
	struct work *next;
	int done, reported;
};

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t all_done;
	struct work *head, **tail;
	int done, failed, cancelled, bad_order;
	int taken, late_takes; /* reports that came before the lane looked for its next task */
	int takes_at_done;     /* with one lane only */
};

static void queue_init(struct queue *q)
{
	memset(q, 0, sizeof(*q));
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->all_done, NULL);
	q->tail = &q->head;
}

static void queue_push(struct queue *q, struct work *w)
{
	pthread_mutex_lock(&q->lock);
	*q->tail = w;
	q->tail = &w->next;
	pthread_mutex_unlock(&q->lock);
}

static struct ps_exec_task *queue_take(void *ctx, int lane)
{
	struct queue *q = ctx;
	struct work *w;

	(void)lane;
	pthread_mutex_lock(&q->lock);
	q->taken++;
	w = q->head;
	if (w) {
		q->head = w->next;
		if (!q->head)
			q->tail = &q->head;
	}
	pthread_mutex_unlock(&q->lock);
	return w ? &w->task : NULL;
}

static void queue_done(void *ctx, int lane, struct ps_exec_task *t, const struct ps_error *err)
{
	struct queue *q = ctx;
	struct work *w = (struct work *)((char *)t - offsetof(struct work, task));

	(void)lane;
	pthread_mutex_lock(&q->lock);
	w->done++;
	q->done++;
	q->takes_at_done = q->taken;
	q->failed += t->status == PS_EINVAL && strcmp(err->what, "unlucky") == 0;
	q->cancelled += t->status == PS_ECANCELLED;
	q->bad_order += t->finished_ns < t->started_ns;
	pthread_cond_broadcast(&q->all_done);
	pthread_mutex_unlock(&q->lock);
}

static void queue_report(void *ctx, int lane, struct ps_exec_task *t)
{
	struct queue *q = ctx;
	struct work *w = (struct work *)((char *)t - offsetof(struct work, task));

	(void)lane;
	pthread_mutex_lock(&q->lock);
	w->reported += w->done == 1;
	q->late_takes += q->taken == q->takes_at_done;
	pthread_mutex_unlock(&q->lock);
}

static void queue_wait(struct queue *q, int n)
{
	pthread_mutex_lock(&q->lock);
	while (q->done < n)
		pthread_cond_wait(&q->all_done, &q->lock);
	pthread_mutex_unlock(&q->lock);
}

static struct work *make_work(struct ps_engine_instance *i, int n)
{
	struct work *w = calloc((size_t)n, sizeof(*w));

	for (int k = 0; k < n; k++) {
		w[k].task.ops = &fake;
		w[k].task.instance = i;
		w[k].task.run = &w[k].run;
	}
	return w;
}

static struct ps_exec *start(struct queue *q, struct ps_exec_options o)
{
	const struct ps_exec_callbacks c = {
		.take = queue_take, .done = queue_done, .report = queue_report, .ctx = q};
	struct ps_exec *e = NULL;
	struct ps_error err;

	queue_init(q);
	if (ps_exec_start(&o, &c, &e, &err) != PS_OK)
		fail_msg("%s", err.what);
	return e;
}

static void test_bad_options(void **state)
{
	struct ps_cpus none_such = {0};
	struct ps_error err;
	struct queue q;
	const struct ps_exec_callbacks c = {.take = queue_take, .done = queue_done, .ctx = &q};

	(void)state;
	ps_cpus_add(&none_such, PS_CPUS_MAX - 1);
	const struct {
		struct ps_exec_options o;
		const char *what;
	} rows[] = {
		{{.lanes = -1}, "-1 lanes"},
		{{.lanes = PS_EXEC_MAX_LANES + 1}, "257 lanes"},
		{{.width = 5000}, "width of 5000"},
		{{.cpus = none_such}, "may use only"},
	};
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		struct ps_exec *e = NULL;

		assert_int_equal(ps_exec_start(&rows[k].o, &c, &e, &err), PS_EINVAL);
		assert_non_null(strstr(err.what, rows[k].what));
		assert_null(e);
	}
}

/* Every task once, none forgotten beside a sleeping lane: pushed in bursts, so that lanes sleep
 * and wake all the time; the last rows spin before they sleep. */
static void test_all_once(void **state)
{
	static const int lanes[] = {1, 2, 4, 1, 2};
	static const int64_t spin_ns[] = {0, 0, 0, 1000000, 20000};

	(void)state;
	for (size_t k = 0; k < 5; k++) {
		struct ps_engine_instance i = {0};
		struct work *w = make_work(&i, N_TASKS);
		struct ps_exec_lane_stats s;
		struct queue q;
		struct ps_exec *e = start(
			&q, (struct ps_exec_options){.lanes = lanes[k], .spin_ns = spin_ns[k]});
		uint64_t runs = 0;

		assert_int_equal(ps_exec_lanes(e), lanes[k]);
		for (int n = 0; n < N_TASKS; n++) {
			w[n].run.n_inputs = n % 100 == 0 ? 13 : 0;
			queue_push(&q, &w[n]);
			ps_exec_wake(e);
			if (n % 50 == 49)
				queue_wait(&q, n + 1); /* hangs if a wake is lost */
		}
		queue_wait(&q, N_TASKS);
		for (int n = 0; n < N_TASKS; n++)
			assert_int_equal(w[n].done, 1);
		for (int l = 0; l < lanes[k]; l++) {
			ps_exec_stats(e, l, &s);
			runs += s.runs;
			assert_true(s.busy_ns >= 0);
		}
		assert_int_equal(runs, N_TASKS);
		assert_int_equal(q.failed, N_TASKS / 100);
		assert_int_equal(q.bad_order, 0);
		ps_exec_drain(e);
		for (int n = 0; n < N_TASKS; n++)
			assert_int_equal(w[n].reported, 1);
		if (lanes[k] == 1)
			assert_int_equal(q.late_takes, 0);
		assert_true(atomic_load(&i.most_inside) <= lanes[k]);
		free(w);
	}
}

static void test_drain_finishes_queue(void **state)
{
	struct ps_engine_instance i = {.blocked = true};
	struct work *w = make_work(&i, 50);
	struct queue q;
	struct ps_exec *e = start(&q, (struct ps_exec_options){.lanes = 2});

	(void)state;
	for (int n = 0; n < 50; n++)
		queue_push(&q, &w[n]);
	ps_exec_wake_all(e);
	atomic_store(&i.blocked, false);
	ps_exec_drain(e);
	assert_int_equal(q.done, 50);
	free(w);
}

/* What a busy lane spends between two tasks is the second one's time. */
static void test_no_gap(void **state)
{
	enum { TASKS = 20 };
	struct ps_engine_instance i = {0};
	struct work *w = make_work(&i, TASKS);
	struct queue q;
	const struct ps_exec_callbacks c = {
		.take = queue_take, .done = queue_done, .report = queue_report, .ctx = &q};
	struct ps_exec *e;

	(void)state;
	queue_init(&q);
	for (int n = 0; n < TASKS; n++)
		queue_push(&q, &w[n]);
	assert_int_equal(ps_exec_start(&(struct ps_exec_options){.lanes = 1}, &c, &e, NULL), PS_OK);
	ps_exec_drain(e);
	assert_int_equal(q.done, TASKS);
	for (int n = 1; n < TASKS; n++)
		assert_int_equal(w[n].task.started_ns, w[n - 1].task.finished_ns);
	free(w);
}

static void test_stop_cancels(void **state)
{
	struct ps_engine_instance i = {.blocked = true};
	struct work *w = make_work(&i, 50);
	struct queue q;
	struct ps_exec *e = start(&q, (struct ps_exec_options){.lanes = 2});

	(void)state;
	for (int n = 0; n < 50; n++)
		queue_push(&q, &w[n]);
	ps_exec_wake_all(e);
	while (atomic_load(&i.inside) < 2)
		sched_yield();
	ps_exec_stop(e);
	assert_int_equal(q.done, 2);
	assert_int_equal(q.cancelled, 2);
	free(w);
}

/* Wide runs have the budget alone, in any mixture; with one CPU there is no width to test. */
static void test_wide_alone(void **state)
{
	struct ps_engine_instance i = {0};
	struct work *w = make_work(&i, 2000);
	struct queue q;
	struct ps_exec *probe = start(&q, (struct ps_exec_options){.lanes = 1});
	int cpus = ps_cpus_count(ps_exec_cpus(probe));
	struct ps_exec *e;

	(void)state;
	ps_exec_drain(probe);
	if (cpus < 2) {
		free(w);
		skip();
	}
	e = start(&q, (struct ps_exec_options){.lanes = 3, .width = 2});
	for (int n = 0; n < 2000; n++) {
		w[n].task.width = n % 3 == 0 ? 2 : 1;
		queue_push(&q, &w[n]);
		ps_exec_wake(e);
	}
	queue_wait(&q, 2000);
	ps_exec_drain(e);
	assert_false(atomic_load(&i.mixed));
	for (int n = 0; n < 2000; n++)
		assert_int_equal(w[n].run.wide, n % 3 == 0);
	free(w);
}

static enum ps_status where_run(struct ps_engine_instance *i, struct ps_engine_run *run,
				struct ps_error *err)
{
	struct ps_exec_lane_stats s;

	(void)err;
	ps_exec_stats(i->exec, run->n_inputs, &s);
	if (s.cpu < 0 || sched_getcpu() != s.cpu)
		atomic_fetch_add(&i->wrong_cpu, 1);
	return PS_OK;
}

static struct ps_exec_task *take_mine(void *ctx, int lane)
{
	struct ps_exec_task *t = queue_take(ctx, lane);

	if (t)
		t->run->n_inputs = lane;
	return t;
}

static void test_pinned(void **state)
{
	static const struct ps_engine_ops where = {.name = "where", .run = where_run};
	struct ps_engine_instance i = {0};
	struct work *w = make_work(&i, 100);
	struct queue q;
	const struct ps_exec_callbacks c = {.take = take_mine, .done = queue_done, .ctx = &q};
	const struct ps_exec_options o = {.lanes = 3};
	struct ps_error err;

	(void)state;
	queue_init(&q);
	assert_int_equal(ps_exec_start(&o, &c, &i.exec, &err), PS_OK);
	for (int n = 0; n < 100; n++) {
		w[n].task.ops = &where;
		queue_push(&q, &w[n]);
		ps_exec_wake(i.exec);
	}
	queue_wait(&q, 100);
	ps_exec_drain(i.exec);
	assert_int_equal(atomic_load(&i.wrong_cpu), 0);
	free(w);
}

/* The number of lane 1 is lent: it gets nothing. */
static struct ps_exec_task *take_but_lane_1(void *ctx, int lane)
{
	return lane == 1 ? NULL : queue_take(ctx, lane);
}

static void test_run_here(void **state)
{
	const struct ps_exec_options o = {.lanes = 2};
	struct ps_engine_instance inst = {0};
	struct ps_exec_lane_stats before, after;
	struct ps_exec_callbacks cb;
	struct queue q;
	struct work w[3] = {0};
	struct ps_exec *e;
	struct ps_error err;
	cpu_set_t cpus, now;

	(void)state;
	queue_init(&q);
	cb = (struct ps_exec_callbacks){.take = take_but_lane_1, .done = queue_done, .ctx = &q};
	assert_int_equal(ps_exec_start(&o, &cb, &e, NULL), PS_OK);
	pthread_getaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	ps_exec_stats(e, 1, &before);
	for (int k = 0; k < 3; k++) {
		w[k].task = (struct ps_exec_task){
			.ops = &fake, .instance = &inst, .run = &w[k].run, .width = 1};
		w[k].run.n_inputs = k == 2 ? 13 : 1;
		assert_int_equal(ps_exec_run_here(e, 1, &w[k].task, &err),
				 k == 2 ? PS_EINVAL : PS_OK);
		assert_true(w[k].task.finished_ns >= w[k].task.started_ns);
	}
	assert_string_equal(err.what, "unlucky");
	ps_exec_stats(e, 1, &after);
	assert_int_equal(after.runs, before.runs + 3);
	assert_true(after.busy_ns >= before.busy_ns);
	assert_int_equal(q.done, 0); /* neither done nor report */
	pthread_getaffinity_np(pthread_self(), sizeof(now), &now);
	assert_true(CPU_EQUAL(&cpus, &now));
	ps_exec_drain(e);
}

struct here {
	struct ps_exec *exec;
	struct work work;
	atomic_bool over;
};

static void *here_thread(void *arg)
{
	struct here *h = arg;

	ps_exec_run_here(h->exec, 1, &h->work.task, NULL);
	atomic_store(&h->over, true);
	return NULL;
}

/* A wide run of a lane and a run here never meet, whichever comes first. */
static void test_run_here_keeps_to_the_budget(void **state)
{
	const struct ps_exec_options o = {.lanes = 2, .width = 2};
	struct ps_engine_instance inst = {0};
	struct ps_exec_callbacks cb;
	struct queue q;
	struct work wide[40] = {0};
	struct here h = {0};
	struct ps_exec *e;

	(void)state;
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip();
	queue_init(&q);
	cb = (struct ps_exec_callbacks){.take = take_but_lane_1, .done = queue_done, .ctx = &q};
	assert_int_equal(ps_exec_start(&o, &cb, &e, NULL), PS_OK);
	h.exec = e;
	for (int k = 0; k < 40; k++) {
		pthread_t t;

		wide[k].task = (struct ps_exec_task){
			.ops = &fake, .instance = &inst, .run = &wide[k].run, .width = 2};
		h.work = (struct work){0};
		h.work.task = (struct ps_exec_task){.ops = &fake,
						    .instance = &inst,
						    .run = &h.work.run,
						    .width = k % 4 ? 1 : 2};
		queue_push(&q, &wide[k]);
		ps_exec_wake_all(e);
		assert_int_equal(pthread_create(&t, NULL, here_thread, &h), 0);
		pthread_join(t, NULL);
	}
	ps_exec_drain(e);
	assert_false(atomic_load(&inst.mixed));
	assert_int_equal(atomic_load(&inst.runs), 80);
}

/* ---- the budget, lent ---- */

static int cpu_only(void)
{
	cpu_set_t set;

	sched_getaffinity(0, sizeof set, &set);
	return CPU_COUNT(&set) == 1 ? sched_getcpu() : -1;
}

/* Whoever borrows the budget meets no run, narrow or wide, is on its first CPU, and is back where
 * it was afterwards. */
static void test_lent_to_nobody_else(void **state)
{
	enum { LOANS = 60, RUNS = 3000 };
	static const int widths[] = {1, 2};

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		struct ps_engine_instance i = {0};
		struct work *w = make_work(&i, RUNS);
		struct queue q;
		struct ps_exec *e = start(&q, (struct ps_exec_options){.lanes = 2});
		cpu_set_t before, after;
		int cpus = ps_cpus_count(ps_exec_cpus(e)), met = 0, away = 0;

		ps_exec_drain(e);
		if (cpus < widths[k]) {
			free(w);
			continue;
		}
		e = start(&q, (struct ps_exec_options){.lanes = 2, .width = widths[k]});
		sched_getaffinity(0, sizeof before, &before);
		for (int n = 0; n < RUNS; n++) {
			w[n].task.width = n % 3 == 0 ? widths[k] : 1;
			queue_push(&q, &w[n]);
		}
		ps_exec_wake_all(e);
		for (int n = 0; n < LOANS; n++) {
			ps_exec_borrow(e);
			int64_t from_ns = ps_clock_now_ns();
			do
				met += atomic_load(&i.inside) > 0;
			while (ps_clock_now_ns() < from_ns + 200000);
			away += cpu_only() != ps_cpus_nth(ps_exec_cpus(e), 0);
			ps_exec_give_back(e);
		}
		sched_getaffinity(0, sizeof after, &after);
		assert_true(CPU_EQUAL(&before, &after));
		assert_int_equal(met, 0);
		assert_int_equal(away, 0);
		queue_wait(&q, RUNS);
		ps_exec_drain(e);
		assert_false(atomic_load(&i.mixed));
		free(w);
	}
}

/* A lane whose runs follow one another without a gap, against a borrower who does the same: what is
 * lent is about half of the time, not all of it. */
static void test_lending_leaves_half(void **state)
{
	enum { LOANS = 30 };
	struct ps_engine_instance i = {0};
	struct work *w = make_work(&i, 1);
	struct queue q;
	struct ps_exec *e = start(&q, (struct ps_exec_options){.lanes = 1});
	int64_t lent_ns = 0, began_ns = ps_clock_now_ns();

	(void)state;
	for (int n = 0; n < LOANS; n++) {
		ps_exec_borrow(e);
		int64_t from_ns = ps_clock_now_ns();
		w[0].next = NULL;
		queue_push(&q, &w[0]); /* comes while the budget is lent, and waits */
		ps_exec_wake_all(e);
		while (ps_clock_now_ns() < from_ns + 3000000)
			continue;
		lent_ns += ps_clock_now_ns() - from_ns;
		ps_exec_give_back(e);
		queue_wait(&q, n + 1);
	}
	assert_true(ps_clock_now_ns() - began_ns > lent_ns * 18 / 10);
	ps_exec_drain(e);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lent_to_nobody_else),
		cmocka_unit_test(test_lending_leaves_half),
		cmocka_unit_test(test_bad_options),
		cmocka_unit_test(test_all_once),
		cmocka_unit_test(test_drain_finishes_queue),
		cmocka_unit_test(test_no_gap),
		cmocka_unit_test(test_stop_cancels),
		cmocka_unit_test(test_wide_alone),
		cmocka_unit_test(test_pinned),
		cmocka_unit_test(test_run_here),
		cmocka_unit_test(test_run_here_keeps_to_the_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
