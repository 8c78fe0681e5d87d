/* Teams of threads: who is called, who waits for whom, and that too few CPUs only make them slow.
 */
#include "engine/rnn/team.h"

#include "base/clock.h"
#include "engine/engine_internal.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static int first_cpu(void)
{
	cpu_set_t set;

	sched_getaffinity(0, sizeof set, &set);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &set))
			return cpu;
	}
	return 0;
}

static struct ps_rnn_team *team_on(int threads, bool one_cpu)
{
	struct ps_cpus cpus = {};
	struct ps_rnn_team *t = NULL;
	struct ps_error err;

	if (one_cpu)
		ps_cpus_add(&cpus, first_cpu());
	assert_int_equal(ps_rnn_team_new(threads, &cpus, &t, &err), PS_OK);
	return t;
}

/* ---- who is called ---- */

struct calls {
	atomic_int of[PS_RNN_TEAM_MAX];
};

static void count(void *ctx, int i)
{
	atomic_fetch_add(&((struct calls *)ctx)->of[i], 1);
}

static void everybody_is_called_once(void **state)
{
	static const struct {
		int threads, few, called;
	} cases[] = {{1, 1, 1}, {2, 2, 2},  {2, 1, 1},	  {3, 2, 2},   {4, 0, 1},
		     {7, 7, 7}, {16, 9, 9}, {16, 99, 16}, {64, 64, 64}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ps_rnn_team *t = team_on(cases[i].threads, false);
		struct calls calls = {};
		for (int n = 0; n < 50; n++) { /* asleep, gathered, just done */
			if (n % 3 == 1)
				ps_rnn_team_gather(t, cases[i].threads);
			ps_rnn_team_run_few(t, cases[i].few, count, &calls);
			if (n % 3 == 1)
				ps_rnn_team_dismiss(t);
		}
		for (int k = 0; k < PS_RNN_TEAM_MAX; k++)
			assert_int_equal(atomic_load(&calls.of[k]), k < cases[i].called ? 50 : 0);
		ps_rnn_team_run(t, count, &calls);
		for (int k = 0; k < cases[i].threads; k++)
			assert_int_equal(atomic_load(&calls.of[k]), k < cases[i].called ? 51 : 1);
		ps_rnn_team_free(t);
	}
	struct calls alone = {};
	ps_rnn_team_gather(NULL, 8);
	ps_rnn_team_run(NULL, count, &alone);
	ps_rnn_team_dismiss(NULL);
	assert_int_equal(atomic_load(&alone.of[0]), 1);
}

static void sizes(void **state)
{
	struct ps_rnn_team *t = NULL;
	struct ps_error err;

	(void)state;
	assert_int_equal(ps_rnn_team_size(2), 2);
	assert_int_equal(ps_rnn_team_size(64), 64);
	assert_int_equal(ps_rnn_team_size(65), 64);
	assert_int_equal(ps_rnn_team_size(384), 64);
	assert_int_equal(ps_rnn_team_new(0, &(struct ps_cpus){}, &t, &err), PS_EINVAL);
	assert_int_equal(ps_rnn_team_new(65, &(struct ps_cpus){}, &t, &err), PS_ETOOBIG);
}

/* A machine of more CPUs than a team has threads gets a team all the same. */
static void an_engine_on_many_cpus(void **state)
{
	static const int widths[] = {64, 65, 96, 256, 1024};

	(void)state;
	for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
		const struct ps_engine_options o = {.wide_threads = widths[i], .cache_dir = ""};
		struct ps_engine *e = NULL;
		struct ps_error err;
		assert_int_equal(ps_engine_rnn.start(&o, &e, &err), PS_OK);
		ps_engine_rnn.stop(e);
	}
}

/* ---- meeting ---- */

#define MEETINGS 300

struct walkers {
	struct ps_rnn_team *team;
	int threads;
	int64_t at[PS_RNN_TEAM_MAX][2]; /* by turns, as h is kept */
	atomic_bool wrong;
};

/* What each wrote before a meeting the others see after it. */
static void walk(void *ctx, int i)
{
	struct walkers *w = ctx;

	for (int64_t n = 1; n <= MEETINGS; n++) {
		w->at[i][n % 2] = n;
		ps_rnn_team_meet(w->team, i, 0, w->threads);
		for (int other = 0; other < w->threads; other++) {
			if (w->at[other][n % 2] != n)
				atomic_store(&w->wrong, true);
		}
	}
}

/* More threads than CPUs, all on one: each meeting needs every thread to come to it, so whoever
 * waits must let the others have the CPU. With waiting that keeps it, each meeting would take as
 * many time slices as there are threads: 8 x 300 of some 4 ms. */
static void too_few_cpus_are_slow_and_not_stuck(void **state)
{
	static const struct {
		int threads;
		bool one_cpu;
	} cases[] = {{2, false}, {2, true}, {8, true}, {5, false}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct walkers w = {.team = team_on(cases[i].threads, cases[i].one_cpu),
				    .threads = cases[i].threads};
		cpu_set_t before, one;
		CPU_ZERO(&one);
		CPU_SET((size_t)first_cpu(), &one);
		pthread_getaffinity_np(pthread_self(), sizeof before, &before);
		if (cases[i].one_cpu)
			pthread_setaffinity_np(pthread_self(), sizeof one, &one);
		int64_t began_ns = ps_clock_now_ns();
		ps_rnn_team_run(w.team, walk, &w);
		int64_t took_ns = ps_clock_now_ns() - began_ns;
		pthread_setaffinity_np(pthread_self(), sizeof before, &before);
		assert_false(atomic_load(&w.wrong));
		assert_true(took_ns < INT64_C(5000000000));
		ps_rnn_team_free(w.team);
	}
}

static void late(void *ctx, int i)
{
	struct ps_rnn_team *t = ctx;

	if (i == 1)
		nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
	ps_rnn_team_meet(t, i, 0, 2);
}

static int64_t own_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Whoever waits for long sleeps: under a limit on CPU time it would use up what the other needs. */
static void a_long_wait_takes_little_cpu_time(void **state)
{
	struct ps_rnn_team *t = team_on(2, false);

	(void)state;
	int64_t before_ns = own_cpu_ns();
	ps_rnn_team_run(t, late, t);
	assert_true(own_cpu_ns() - before_ns < INT64_C(150000000)); /* of 300 ms */
	ps_rnn_team_free(t);
}

/* Those that were gathered look for work for a moment only. */
static void nobody_stays_awake(void **state)
{
	struct ps_rnn_team *t = team_on(2, false);
	struct timespec began, ended;

	(void)state;
	ps_rnn_team_gather(t, 2);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &began);
	nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ended);
	int64_t used_ns =
		(ended.tv_sec - began.tv_sec) * INT64_C(1000000000) + ended.tv_nsec - began.tv_nsec;
	assert_true(used_ns < INT64_C(50000000)); /* of 300 ms */
	ps_rnn_team_dismiss(t);
	ps_rnn_team_free(t);
}

/* ---- runs of several threads, one after the other ---- */

struct summing {
	struct ps_rnn_team *team;
	int64_t *sums;
};

static void add_own(void *ctx, int i)
{
	((int64_t *)ctx)[i]++;
}

static void *run_often(void *arg)
{
	const struct summing *s = arg;

	for (int n = 0; n < 500; n++)
		ps_rnn_team_run_few(s->team, 2 + n % 2, add_own, s->sums);
	return NULL;
}

/* Plain counters: two runs at once would lose counts. */
static void one_run_at_a_time(void **state)
{
	int64_t sums[3] = {0};
	struct summing s = {team_on(3, false), sums};
	pthread_t threads[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_often, &s), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(sums[0], 1500);
	assert_int_equal(sums[1], 1500);
	assert_int_equal(sums[2], 750);
	ps_rnn_team_free(s.team);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everybody_is_called_once),
		cmocka_unit_test(sizes),
		cmocka_unit_test(an_engine_on_many_cpus),
		cmocka_unit_test(too_few_cpus_are_slow_and_not_stuck),
		cmocka_unit_test(a_long_wait_takes_little_cpu_time),
		cmocka_unit_test(nobody_stays_awake),
		cmocka_unit_test(one_run_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
