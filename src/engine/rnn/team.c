/* team.c - threads that walk a recurrent layer together.
 *
 * Meeting: each thread counts its calls on a line of its own; the others read it. Nobody writes
 * another's line, so a meeting of two costs two cache misses that overlap.
 *
 * Calling: each thread has a word that counts how often it was called, to work or to be ready; one
 * that has nothing to do sleeps on it. Whoever was called calls two others before it begins, so
 * that many are awake soon. Each says which run it has finished, and the caller of run looks for
 * that as threads look for each other: it would take longer to be woken.
 */
#include "engine/rnn/team.h"

#include "base/clock.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Looks at what another thread writes before the CPU is given away: some 50 us. A thread that does
 * not come for so long has perhaps no CPU, and may be waiting for this one. */
#define PATIENCE 2000
/* So often the CPU is given away before this thread sleeps in between: whoever does not come by
 * then is kept by something else, perhaps by a limit on the CPU time that we share. */
#define MOST_YIELDS 100
#define NAP_NS	    50000
/* Looks for work of a thread that was gathered: some 100 us, twice what waking it takes. What is
 * computed elsewhere between two layers gets its CPU: it is given away every so many looks. */
#define READINESS 2000
#define COURTESY  16

struct seat {
	struct ps_rnn_count met;
	struct ps_rnn_count finished; /* the last run that it has finished */
	_Alignas(128) atomic_uint called;
	atomic_bool asleep;
	_Atomic int64_t run; /* as of the last call: the run to take part in */
	int n;		     /* of that run: threads that take part */
};

struct ps_rnn_team {
	struct seat seats[PS_RNN_TEAM_MAX];
	int threads, started;
	pthread_t thread[PS_RNN_TEAM_MAX];
	struct start {
		struct ps_rnn_team *team;
		int i;
	} start[PS_RNN_TEAM_MAX];
	pthread_mutex_t one_run;
	int64_t run; /* begun so far; by whoever has one_run */
	atomic_int gathered, gathered_n;
	atomic_bool quit;
	void (*work)(void *ctx, int i);
	void *ctx;
};

static void pause_briefly(void)
{
#if defined __x86_64__
	__builtin_ia32_pause();
#endif
}

/* Between two looks, the `looks`-th of them from 1 on. */
static void wait_a_little(int64_t looks)
{
	if (looks % PATIENCE != 0)
		pause_briefly();
	else if (looks <= (int64_t)PATIENCE * MOST_YIELDS)
		sched_yield();
	else
		(void)ps_clock_sleep_until_ns(ps_clock_now_ns() + NAP_NS);
}

void ps_rnn_count_wait(const struct ps_rnn_count *c, int64_t least)
{
	for (int64_t looks = 1; atomic_load_explicit(&c->n, memory_order_acquire) < least; looks++)
		wait_a_little(looks);
}

/* ---- calling ---- */

static void futex(atomic_uint *word, int op, unsigned value)
{
	syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

/* The sleeper says `asleep` and looks at `called` again, the caller counts and looks at `asleep`:
 * in one total order at least one sees the other. */
static void call_one(struct seat *s)
{
	atomic_fetch_add(&s->called, 1);
	if (atomic_load(&s->asleep))
		futex(&s->called, FUTEX_WAKE, 1);
}

/* The two whose number follows from `i`'s, if they are among the first `n`. A run of 0: to be
 * ready. */
static void call_next(struct ps_rnn_team *t, int i, int64_t run, int n)
{
	for (int next = 2 * i + 1; next <= 2 * i + 2 && next < n; next++) {
		struct seat *s = &t->seats[next];
		if (run > 0) {
			s->n = n;
			atomic_store_explicit(&s->run, run, memory_order_release);
		}
		call_one(s);
	}
}

/* Returns the number of calls when it is another one than `seen`. */
static unsigned wait_for_call(struct ps_rnn_team *t, struct seat *s, unsigned seen)
{
	for (int looks = 1; looks < READINESS && atomic_load(&t->gathered) > 0; looks++) {
		unsigned called = atomic_load_explicit(&s->called, memory_order_acquire);
		if (called != seen)
			return called;
		if (looks % COURTESY == 0)
			sched_yield();
		else
			pause_briefly();
	}
	atomic_store(&s->asleep, true);
	while (atomic_load(&s->called) == seen)
		futex(&s->called, FUTEX_WAIT, seen);
	atomic_store_explicit(&s->asleep, false, memory_order_relaxed);
	return atomic_load(&s->called);
}

static void *member(void *arg)
{
	const struct start *start = arg;
	struct ps_rnn_team *t = start->team;
	struct seat *s = &t->seats[start->i];
	unsigned seen = 0;
	int64_t done = 0;

	for (;;) {
		seen = wait_for_call(t, s, seen);
		if (atomic_load(&t->quit))
			return NULL;
		int64_t run = atomic_load_explicit(&s->run, memory_order_acquire);
		if (run == done) {
			call_next(t, start->i, 0, atomic_load(&t->gathered_n));
			continue;
		}
		call_next(t, start->i, run, s->n);
		t->work(t->ctx, start->i);
		done = run;
		atomic_store_explicit(&s->finished.n, run, memory_order_release);
	}
}

/* ---- the team ---- */

int ps_rnn_team_size(int cpus)
{
	return cpus < PS_RNN_TEAM_MAX ? cpus : PS_RNN_TEAM_MAX;
}

static int pin(pthread_t thread, const struct ps_cpus *cpus, int i)
{
	int n = ps_cpus_count(cpus);
	cpu_set_t set;

	if (n == 0)
		return 0;
	CPU_ZERO(&set);
	CPU_SET((size_t)ps_cpus_nth(cpus, i % n), &set);
	return pthread_setaffinity_np(thread, sizeof set, &set);
}

static enum ps_status start_all(struct ps_rnn_team *t, const struct ps_cpus *cpus,
				struct ps_error *err)
{
	for (int i = 1; i < t->threads; i++) {
		t->start[i] = (struct start){t, i};
		int e = pthread_create(&t->thread[i], NULL, member, &t->start[i]);
		if (e == 0) {
			t->started = i;
			e = pin(t->thread[i], cpus, i);
		}
		if (e != 0)
			return ps_error_errno(err, e, "thread %d of a team", i);
	}
	return PS_OK;
}

enum ps_status ps_rnn_team_new(int threads, const struct ps_cpus *cpus,
			       struct ps_rnn_team **ret_team, struct ps_error *err)
{
	if (threads < 1)
		return ps_error_set(err, PS_EINVAL, "a team of %d threads", threads);
	if (threads > PS_RNN_TEAM_MAX)
		return ps_error_set(err, PS_ETOOBIG, "a team of %d threads; at most %d", threads,
				    PS_RNN_TEAM_MAX);
	struct ps_rnn_team *t = aligned_alloc(_Alignof(struct ps_rnn_team), sizeof *t);
	if (!t)
		return ps_error_set(err, PS_ENOMEM, "no memory for a team of threads");
	*t = (struct ps_rnn_team){.threads = threads};
	pthread_mutex_init(&t->one_run, NULL);
	enum ps_status st = start_all(t, cpus, err);
	if (st != PS_OK) {
		ps_rnn_team_free(t);
		return st;
	}
	*ret_team = t;
	return PS_OK;
}

void ps_rnn_team_free(struct ps_rnn_team *t)
{
	if (!t)
		return;
	atomic_store(&t->quit, true);
	for (int i = 1; i <= t->started; i++)
		call_one(&t->seats[i]);
	for (int i = 1; i <= t->started; i++)
		pthread_join(t->thread[i], NULL);
	pthread_mutex_destroy(&t->one_run);
	free(t);
}

int ps_rnn_team_threads(const struct ps_rnn_team *t)
{
	return t ? t->threads : 1;
}

void ps_rnn_team_gather(struct ps_rnn_team *t, int n)
{
	if (!t)
		return;
	n = n < t->threads ? n : t->threads;
	atomic_store(&t->gathered_n, n);
	atomic_fetch_add(&t->gathered, 1);
	call_next(t, 0, 0, n);
}

void ps_rnn_team_dismiss(struct ps_rnn_team *t)
{
	if (t)
		atomic_fetch_sub(&t->gathered, 1);
}

void ps_rnn_team_run_few(struct ps_rnn_team *t, int n, void (*work)(void *ctx, int i), void *ctx)
{
	n = n < ps_rnn_team_threads(t) ? n : ps_rnn_team_threads(t);
	if (n < 2) {
		work(ctx, 0);
		return;
	}
	pthread_mutex_lock(&t->one_run);
	for (int i = 0; i < n; i++) /* groups of the run before may have met unequally */
		atomic_store_explicit(&t->seats[i].met.n, 0, memory_order_relaxed);
	t->work = work;
	t->ctx = ctx;
	t->run++;
	call_next(t, 0, t->run, n);
	work(ctx, 0);
	for (int i = 1; i < n; i++)
		ps_rnn_count_wait(&t->seats[i].finished, t->run);
	pthread_mutex_unlock(&t->one_run);
}

void ps_rnn_team_run(struct ps_rnn_team *t, void (*work)(void *ctx, int i), void *ctx)
{
	ps_rnn_team_run_few(t, ps_rnn_team_threads(t), work, ctx);
}

void ps_rnn_team_meet(struct ps_rnn_team *t, int i, int first, int n)
{
	if (n < 2)
		return;
	int64_t mine = atomic_load_explicit(&t->seats[i].met.n, memory_order_relaxed) + 1;

	atomic_store_explicit(&t->seats[i].met.n, mine, memory_order_release);
	for (int other = first; other < first + n; other++)
		ps_rnn_count_wait(&t->seats[other].met, mine);
}
