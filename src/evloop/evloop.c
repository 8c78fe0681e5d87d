#include "evloop/evloop_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

int64_t ps_evloop_now_ns(const struct ps_evloop *loop)
{
	return ps_clock_read(loop->clock);
}

void ps_evloop_get_stats(const struct ps_evloop *loop, struct ps_evloop_stats *ret_stats)
{
	*ret_stats = loop->stats;
}

/* --- work from other threads: a stack that posts push to and the loop takes whole --- */

static void wake(struct ps_evloop *loop)
{
	if (atomic_exchange(&loop->woken, true))
		return;
	uint64_t one = 1;
	/* It can only fail with EAGAIN, when the counter is full: then the loop wakes anyway. */
	ssize_t n = write(loop->wake_fd, &one, sizeof one);
	(void)n;
}

void ps_evloop_post(struct ps_evloop *loop, struct ps_evloop_task *task)
{
	struct ps_evloop_task *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
	do
		task->next = head;
	while (!atomic_compare_exchange_weak_explicit(&loop->posted, &head, task,
						      memory_order_seq_cst, memory_order_relaxed));
	/* Only the post that finds the stack empty must wake: the loop takes all at once. */
	if (!head)
		wake(loop);
}

static void run_tasks(struct ps_evloop *loop)
{
	struct ps_evloop_task *task = atomic_exchange(&loop->posted, NULL), *first = NULL;
	while (task) {
		struct ps_evloop_task *next = task->next;
		task->next = first;
		first = task;
		task = next;
	}
	while (first) {
		task = first;
		first = task->next;
		loop->stats.tasks_run++;
		task->run(task);
	}
}

static void on_wake(struct ps_evloop_fd *w, unsigned events)
{
	(void)events;
	struct ps_evloop *loop = w->ctx;
	uint64_t count;
	ssize_t n = read(loop->wake_fd, &count, sizeof count);
	(void)n;
	/* Before the stack is taken: a post that comes after this writes again. */
	atomic_store(&loop->woken, false);
	loop->stats.wakeups++;
}

void ps_evloop_stop(struct ps_evloop *loop)
{
	atomic_store(&loop->stopped, true);
	wake(loop);
}

/* --- life --- */

static enum ps_status open_fds(struct ps_evloop *loop, struct ps_error *err)
{
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		return ps_error_errno(err, errno, "cannot make an epoll descriptor");
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0)
		return ps_error_errno(err, errno, "cannot make an eventfd");
	loop->wake = (struct ps_evloop_fd){
		.fd = loop->wake_fd, .events = PS_EVLOOP_READ, .on_ready = on_wake, .ctx = loop};
	return ps_evloop_fd_add(loop, &loop->wake, err);
}

enum ps_status ps_evloop_new(const struct ps_evloop_options *options, struct ps_evloop **ret_loop,
			     struct ps_error *err)
{
	static const struct ps_evloop_options none;
	if (!options)
		options = &none;
	if (options->spin_ns < 0 || options->spin_ns > PS_EVLOOP_MAX_SPIN_NS ||
	    options->timer_slack_ns < 0)
		return ps_error_set(err, PS_EINVAL, "a loop spins 0 to 1 ms, its slack is not < 0");
	struct ps_evloop *loop = calloc(1, sizeof *loop);
	if (!loop)
		return ps_error_set(err, PS_ENOMEM, "no memory for an event loop");
	loop->epoll_fd = loop->wake_fd = loop->timer_fd = -1;
	loop->clock = options->clock ? options->clock : ps_clock_monotonic();
	loop->slack_ns = options->timer_slack_ns;
	loop->spin_ns = options->spin_ns;
	ps_heap_init(&loop->timers);
	ps_evloop_later_init(loop);
	enum ps_status s = open_fds(loop, err);
	if (s != PS_OK) {
		ps_evloop_free(loop);
		return s;
	}
	*ret_loop = loop;
	return PS_OK;
}

void ps_evloop_free(struct ps_evloop *loop)
{
	if (!loop)
		return;
	if (loop->timer_fd >= 0)
		close(loop->timer_fd);
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	ps_heap_fini(&loop->timers);
	free(loop);
}

/* --- rounds --- */

static void apply_slack(struct ps_evloop *loop)
{
	if (loop->slack_applied)
		return;
	loop->slack_applied = true;
	/* Per thread, so it is done by the thread that runs the loop. If the kernel refuses, timers
	 * are less precise, which the statistics show. */
	if (loop->slack_ns > 0)
		(void)prctl(PR_SET_TIMERSLACK, (unsigned long)loop->slack_ns, 0, 0, 0);
}

static void dispatch_ready(struct ps_evloop *loop)
{
	for (int i = 0; i < loop->n_ready; i++) {
		struct ps_evloop_fd *w = loop->ready[i].data.ptr;
		if (!w)
			continue;
		uint32_t e = loop->ready[i].events;
		unsigned events = (e & EPOLLIN ? PS_EVLOOP_READ : 0) |
				  (e & EPOLLOUT ? PS_EVLOOP_WRITE : 0) |
				  (e & (EPOLLERR | EPOLLHUP) ? PS_EVLOOP_ERROR : 0) |
				  (e & EPOLLRDHUP ? PS_EVLOOP_RDHUP : 0);
		loop->ready[i].data.ptr = NULL;
		w->on_ready(w, events);
	}
	loop->n_ready = 0;
}

/* Sleeps until shortly before the next timer, then polls busily until it is due. */
static enum ps_status wait_round(struct ps_evloop *loop, int64_t timeout_ns, struct ps_error *err)
{
	int64_t wait_ns = ps_evloop_timers_wait_ns(loop, timeout_ns);
	if (loop->spin_ns == 0 || wait_ns <= 0)
		return ps_evloop_poll(loop, wait_ns, err);
	int64_t until_ns = ps_evloop_now_ns(loop) + wait_ns;
	int64_t sleep_ns = wait_ns > loop->spin_ns ? wait_ns - loop->spin_ns : 0;
	enum ps_status s = ps_evloop_poll(loop, sleep_ns, err);
	while (s == PS_OK && loop->n_ready == 0 && ps_evloop_now_ns(loop) < until_ns)
		s = ps_evloop_poll(loop, 0, err);
	return s;
}

enum ps_status ps_evloop_run_once(struct ps_evloop *loop, int64_t timeout_ns, struct ps_error *err)
{
	apply_slack(loop);
	if (atomic_load(&loop->posted) || !ps_evloop_later_is_empty(loop))
		timeout_ns = 0;
	enum ps_status s = wait_round(loop, timeout_ns, err);
	if (s != PS_OK)
		return s;
	loop->stats.rounds++;
	ps_evloop_timers_fire(loop);
	dispatch_ready(loop);
	run_tasks(loop);
	ps_evloop_later_run(loop);
	return PS_OK;
}

enum ps_status ps_evloop_run(struct ps_evloop *loop, struct ps_error *err)
{
	enum ps_status s = PS_OK;
	while (s == PS_OK && !atomic_load(&loop->stopped))
		s = ps_evloop_run_once(loop, -1, err);
	atomic_store(&loop->stopped, false);
	return s;
}
