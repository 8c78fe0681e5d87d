/* team.c - threads that walk a recurrent layer together.
 *
 * Meeting: each thread counts its calls on a line of its own; the others read it. Nobody writes
 * another's line, so a meeting of two costs two cache misses that overlap.
 */
#include "engine/rnn/team.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#define LINE 128 /* two cache lines: processors fetch them in pairs */
/* Looks at another's line before the CPU is given away: some 50 us. A thread that does not come for
 * so long has perhaps no CPU, and may be waiting for this one. */
#define PATIENCE 2000

struct seat {
	_Alignas(LINE) atomic_uint met;
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
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t begin, ended;
	unsigned run; /* runs begun */
	int inside;   /* threads of ours that still work */
	bool quit;
	void (*work)(void *ctx, int i);
	void *ctx;
};

static void *member(void *arg)
{
	struct start *s = arg;
	struct ps_rnn_team *t = s->team;
	unsigned seen = 0;

	pthread_mutex_lock(&t->lock);
	for (;;) {
		while (t->run == seen && !t->quit)
			pthread_cond_wait(&t->begin, &t->lock);
		if (t->quit)
			break;
		seen = t->run;
		pthread_mutex_unlock(&t->lock);
		t->work(t->ctx, s->i);
		pthread_mutex_lock(&t->lock);
		if (--t->inside == 0)
			pthread_cond_signal(&t->ended);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
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
	struct ps_rnn_team *t = aligned_alloc(LINE, sizeof *t);
	if (!t)
		return ps_error_set(err, PS_ENOMEM, "no memory for a team of threads");
	*t = (struct ps_rnn_team){.threads = threads};
	pthread_mutex_init(&t->one_run, NULL);
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->begin, NULL);
	pthread_cond_init(&t->ended, NULL);
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
	pthread_mutex_lock(&t->lock);
	t->quit = true;
	pthread_cond_broadcast(&t->begin);
	pthread_mutex_unlock(&t->lock);
	for (int i = 1; i <= t->started; i++)
		pthread_join(t->thread[i], NULL);
	pthread_cond_destroy(&t->ended);
	pthread_cond_destroy(&t->begin);
	pthread_mutex_destroy(&t->lock);
	pthread_mutex_destroy(&t->one_run);
	free(t);
}

int ps_rnn_team_threads(const struct ps_rnn_team *t)
{
	return t ? t->threads : 1;
}

void ps_rnn_team_run(struct ps_rnn_team *t, void (*work)(void *ctx, int i), void *ctx)
{
	if (!t) {
		work(ctx, 0);
		return;
	}
	pthread_mutex_lock(&t->one_run);
	for (int i = 0; i < t->threads; i++) /* groups of the run before may have met unequally */
		atomic_store_explicit(&t->seats[i].met, 0, memory_order_relaxed);
	if (t->threads > 1) {
		pthread_mutex_lock(&t->lock);
		t->work = work;
		t->ctx = ctx;
		t->inside = t->threads - 1;
		t->run++;
		pthread_cond_broadcast(&t->begin);
		pthread_mutex_unlock(&t->lock);
	}
	work(ctx, 0);
	if (t->threads > 1) {
		pthread_mutex_lock(&t->lock);
		while (t->inside > 0)
			pthread_cond_wait(&t->ended, &t->lock);
		pthread_mutex_unlock(&t->lock);
	}
	pthread_mutex_unlock(&t->one_run);
}

static void pause_briefly(void)
{
#if defined __x86_64__
	__builtin_ia32_pause();
#endif
}

/* Whether the other has come as far; the counts wrap around together. */
static bool is_there(const struct seat *s, unsigned mine)
{
	return (int)(atomic_load_explicit(&s->met, memory_order_acquire) - mine) >= 0;
}

void ps_rnn_team_meet(struct ps_rnn_team *t, int i, int first, int n)
{
	if (n < 2)
		return;
	unsigned mine = atomic_load_explicit(&t->seats[i].met, memory_order_relaxed) + 1;

	atomic_store_explicit(&t->seats[i].met, mine, memory_order_release);
	for (int other = first; other < first + n; other++) {
		for (int looks = 1; !is_there(&t->seats[other], mine); looks++) {
			if (looks % PATIENCE == 0)
				sched_yield();
			else
				pause_briefly();
		}
	}
}
