/* The loop: timers in order, descriptors, posts from other threads, signals. */
#include "evloop/evloop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* --- timers, on a clock that stands still --- */

struct log {
	char text[64];
	size_t n;
};

struct named {
	struct ps_evloop_timer timer;
	struct ps_evloop *loop;
	struct log *log;
	char name;
	int again; /* sets itself this many times more, for now */
};

static void on_named(struct ps_evloop_timer *t, int64_t now_ns)
{
	struct named *n = t->ctx;
	assert_false(ps_evloop_timer_is_set(t));
	n->log->text[n->log->n++] = n->name;
	if (n->again-- > 0)
		assert_int_equal(ps_evloop_timer_set(n->loop, t, now_ns), PS_OK);
}

static void timers_fire_in_order(void **state)
{
	(void)state;
	struct ps_clock_fake clock;
	struct ps_evloop *loop;
	struct log log = {0};
	ps_clock_fake_init(&clock, 1000);
	struct ps_evloop_options o = {.clock = &clock.clock};
	assert_int_equal(ps_evloop_new(&o, &loop, NULL), PS_OK);
	struct named t[4];
	static const int64_t at_ns[] = {1300, 1100, 1300, 1200};
	for (int i = 0; i < 4; i++) {
		t[i] = (struct named){.loop = loop, .log = &log, .name = (char)('a' + i)};
		ps_evloop_timer_init(&t[i].timer, on_named, &t[i]);
		assert_int_equal(ps_evloop_timer_set(loop, &t[i].timer, at_ns[i]), PS_OK);
	}
	assert_int_equal(ps_evloop_run_once(loop, 0, NULL), PS_OK);
	assert_int_equal(log.n, 0);
	clock.now_ns = 1250;
	assert_int_equal(ps_evloop_run_once(loop, 0, NULL), PS_OK);
	assert_string_equal(log.text, "bd");
	ps_evloop_timer_cancel(&t[0].timer);
	ps_evloop_timer_cancel(&t[0].timer);
	clock.now_ns = 2000;
	assert_int_equal(ps_evloop_run_once(loop, 0, NULL), PS_OK);
	assert_string_equal(log.text, "bdc");
	struct ps_evloop_stats stats;
	ps_evloop_get_stats(loop, &stats);
	assert_int_equal(stats.timers_fired, 3);
	assert_int_equal(stats.late_max_ns, 700);
	ps_evloop_free(loop);
}

/* A timer that is always due gets one turn per round. */
static void eager_timer_starves_nobody(void **state)
{
	(void)state;
	struct ps_clock_fake clock;
	struct ps_evloop *loop;
	struct log log = {0};
	ps_clock_fake_init(&clock, 0);
	struct ps_evloop_options o = {.clock = &clock.clock};
	assert_int_equal(ps_evloop_new(&o, &loop, NULL), PS_OK);
	struct named t = {.loop = loop, .log = &log, .name = 'x', .again = 2};
	ps_evloop_timer_init(&t.timer, on_named, &t);
	assert_int_equal(ps_evloop_timer_set(loop, &t.timer, 0), PS_OK);
	for (size_t round = 1; round <= 3; round++) {
		assert_int_equal(ps_evloop_run_once(loop, 0, NULL), PS_OK);
		assert_int_equal(log.n, round);
	}
	assert_int_equal(ps_evloop_run_once(loop, 0, NULL), PS_OK);
	assert_int_equal(log.n, 3);
	ps_evloop_free(loop);
}

struct stopper {
	struct ps_evloop_timer timer;
	struct ps_evloop *loop;
	int64_t fired_ns;
};

static void on_stopper(struct ps_evloop_timer *t, int64_t now_ns)
{
	struct stopper *s = t->ctx;
	s->fired_ns = now_ns;
	ps_evloop_stop(s->loop);
}

/* Never early, whatever the way of waiting. */
static void real_timers_are_never_early(void **state)
{
	(void)state;
	static const struct ps_evloop_options ways[] = {
		{0}, {.timer_slack_ns = 1}, {.timer_slack_ns = 1, .spin_ns = 200000}};
	for (size_t i = 0; i < 3; i++) {
		struct stopper s = {0};
		assert_int_equal(ps_evloop_new(&ways[i], &s.loop, NULL), PS_OK);
		ps_evloop_timer_init(&s.timer, on_stopper, &s);
		int64_t due_ns = ps_evloop_now_ns(s.loop) + 3000000;
		assert_int_equal(ps_evloop_timer_set(s.loop, &s.timer, due_ns), PS_OK);
		assert_int_equal(ps_evloop_run(s.loop, NULL), PS_OK);
		assert_true(s.fired_ns >= due_ns);
		assert_true(s.fired_ns < due_ns + 2 * PS_NS_PER_SEC);
		ps_evloop_free(s.loop);
	}
}

static void wrong_options_are_refused(void **state)
{
	(void)state;
	struct ps_evloop *loop;
	struct ps_evloop_options spin = {.spin_ns = 1000001}, slack = {.timer_slack_ns = -1};
	assert_int_equal(ps_evloop_new(&spin, &loop, NULL), PS_EINVAL);
	assert_int_equal(ps_evloop_new(&slack, &loop, NULL), PS_EINVAL);
}

/* --- descriptors --- */

struct pipe_end {
	struct ps_evloop_fd watch;
	struct pipe_end *other; /* removed by whichever comes first */
	int calls;
	unsigned events;
};

static void on_pipe(struct ps_evloop_fd *w, unsigned events)
{
	struct pipe_end *p = w->ctx;
	p->calls++;
	p->events = events;
	if (p->other)
		ps_evloop_fd_remove(&p->other->watch);
}

/* Both are ready in one round; the first removes the second, which must not be called. */
static void removed_watcher_is_silent(void **state)
{
	(void)state;
	struct ps_evloop *loop;
	assert_int_equal(ps_evloop_new(NULL, &loop, NULL), PS_OK);
	int fds[2][2];
	struct pipe_end ends[2] = {0};
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe(fds[i]), 0);
		assert_int_equal(write(fds[i][1], "x", 1), 1);
		ends[i].watch = (struct ps_evloop_fd){.fd = fds[i][0],
						      .events = PS_EVLOOP_READ,
						      .on_ready = on_pipe,
						      .ctx = &ends[i]};
		ends[i].other = &ends[1 - i];
		assert_int_equal(ps_evloop_fd_add(loop, &ends[i].watch, NULL), PS_OK);
	}
	assert_int_equal(ps_evloop_run_once(loop, -1, NULL), PS_OK);
	assert_int_equal(ends[0].calls + ends[1].calls, 1);
	struct pipe_end *left = ends[0].calls ? &ends[0] : &ends[1];
	assert_int_equal(left->events, PS_EVLOOP_READ);
	left->other = NULL;
	/* Nothing asked for: silence, though it is readable. */
	assert_int_equal(ps_evloop_fd_set(&left->watch, 0, NULL), PS_OK);
	assert_int_equal(ps_evloop_run_once(loop, 0, NULL), PS_OK);
	assert_int_equal(left->calls, 1);
	for (int i = 0; i < 2; i++) {
		close(fds[i][0]);
		close(fds[i][1]);
	}
	struct ps_error err;
	struct ps_evloop_fd bad = {.fd = fds[0][0]};
	assert_int_equal(ps_evloop_fd_add(loop, &bad, &err), PS_EIO);
	ps_evloop_free(loop);
}

/* --- posts --- */

enum { POSTERS = 2, PER_POSTER = 2000 };

struct posted {
	struct ps_evloop_task task;
	int poster, number;
};

struct receiver {
	struct ps_evloop *loop;
	int last[POSTERS];
	int total;
	bool ordered;
};

static struct receiver receiver;
static struct posted posts[POSTERS][PER_POSTER];

static void on_posted(struct ps_evloop_task *task)
{
	struct posted *p = task->ctx;
	receiver.ordered &= p->number == receiver.last[p->poster] + 1;
	receiver.last[p->poster] = p->number;
	if (++receiver.total == POSTERS * PER_POSTER)
		ps_evloop_stop(receiver.loop);
}

static void *post_all(void *arg)
{
	struct posted *mine = arg;
	for (int i = 0; i < PER_POSTER; i++)
		ps_evloop_post(receiver.loop, &mine[i].task);
	return NULL;
}

static void posts_arrive_once_and_in_order(void **state)
{
	(void)state;
	receiver = (struct receiver){.last = {-1, -1}, .ordered = true};
	assert_int_equal(ps_evloop_new(NULL, &receiver.loop, NULL), PS_OK);
	pthread_t threads[POSTERS];
	for (int p = 0; p < POSTERS; p++) {
		for (int i = 0; i < PER_POSTER; i++) {
			posts[p][i] = (struct posted){.poster = p, .number = i};
			posts[p][i].task.run = on_posted;
			posts[p][i].task.ctx = &posts[p][i];
		}
		assert_int_equal(pthread_create(&threads[p], NULL, post_all, posts[p]), 0);
	}
	assert_int_equal(ps_evloop_run(receiver.loop, NULL), PS_OK);
	for (int p = 0; p < POSTERS; p++)
		pthread_join(threads[p], NULL);
	assert_int_equal(receiver.total, POSTERS * PER_POSTER);
	assert_true(receiver.ordered);
	struct ps_evloop_stats stats;
	ps_evloop_get_stats(receiver.loop, &stats);
	assert_int_equal(stats.tasks_run, POSTERS * PER_POSTER);
	assert_true(stats.wakeups <= stats.tasks_run);
	ps_evloop_free(receiver.loop);
}

static void stop_before_run_returns_at_once(void **state)
{
	(void)state;
	struct ps_evloop *loop;
	assert_int_equal(ps_evloop_new(NULL, &loop, NULL), PS_OK);
	ps_evloop_stop(loop);
	assert_int_equal(ps_evloop_run(loop, NULL), PS_OK);
	ps_evloop_free(loop);
}

/* --- signals --- */

static void on_signal(void *ctx, int signo)
{
	*(int *)ctx = signo;
}

static void signals_come_to_the_loop(void **state)
{
	(void)state;
	struct ps_evloop *loop;
	int got = 0, signo = SIGUSR1;
	assert_int_equal(ps_evloop_new(NULL, &loop, NULL), PS_OK);
	struct ps_evloop_signals s = {.on_signal = on_signal, .ctx = &got};
	assert_int_equal(ps_evloop_signals_open(loop, &s, &signo, 1, NULL), PS_OK);
	raise(SIGUSR1);
	assert_int_equal(ps_evloop_run_once(loop, -1, NULL), PS_OK);
	assert_int_equal(got, SIGUSR1);
	ps_evloop_signals_close(&s);
	ps_evloop_signals_close(&s);
	ps_evloop_free(loop);
}

/* --- work for the end of the round --- */

struct later {
	struct ps_evloop_later later;
	struct ps_evloop *loop;
	struct log *log;
	struct later *cancels;
	char name;
	int again;
};

static void on_later(struct ps_evloop_later *l)
{
	struct later *n = l->ctx;
	n->log->text[n->log->n++] = n->name;
	if (n->again-- > 0)
		ps_evloop_later_add(n->loop, l);
	if (n->cancels)
		ps_evloop_later_cancel(&n->cancels->later);
}

static void later_work_ends_the_round(void **state)
{
	(void)state;
	struct ps_evloop *loop;
	struct log log = {0};
	struct later l[4];
	assert_int_equal(ps_evloop_new(NULL, &loop, NULL), PS_OK);
	for (int i = 0; i < 4; i++)
		l[i] = (struct later){.later = {.run = on_later, .ctx = &l[i]},
				      .loop = loop,
				      .log = &log,
				      .name = (char)('a' + i)};
	l[0].again = 2; /* each time for the next round */
	l[1].cancels = &l[2];
	for (int i = 0; i < 4; i++) {
		ps_evloop_later_add(loop, &l[i].later);
		ps_evloop_later_add(loop, &l[i].later);
	}
	/* No waiting for a round that has such work. */
	assert_int_equal(ps_evloop_run_once(loop, -1, NULL), PS_OK);
	assert_string_equal(log.text, "abd");
	assert_int_equal(ps_evloop_run_once(loop, -1, NULL), PS_OK);
	assert_string_equal(log.text, "abda");
	assert_int_equal(ps_evloop_run_once(loop, -1, NULL), PS_OK);
	assert_int_equal(ps_evloop_run_once(loop, 0, NULL), PS_OK);
	assert_string_equal(log.text, "abdaa");
	ps_evloop_later_cancel(&l[0].later);
	ps_evloop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_fire_in_order),
		cmocka_unit_test(eager_timer_starves_nobody),
		cmocka_unit_test(real_timers_are_never_early),
		cmocka_unit_test(wrong_options_are_refused),
		cmocka_unit_test(removed_watcher_is_silent),
		cmocka_unit_test(posts_arrive_once_and_in_order),
		cmocka_unit_test(stop_before_run_returns_at_once),
		cmocka_unit_test(signals_come_to_the_loop),
		cmocka_unit_test(later_work_ends_the_round),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
