/* evloop_internal.h - what the files of evloop/ share. */
#ifndef PS_EVLOOP_INTERNAL_H
#define PS_EVLOOP_INTERNAL_H

#include "evloop/evloop.h"

#include <sys/epoll.h>

enum {
	PS_EVLOOP_BATCH = 64, /* events per wait */
	PS_EVLOOP_MAX_SPIN_NS =
		1000 * 1000, /* longer is waste: sleeping is that precise anywhere */
};

struct ps_evloop {
	int epoll_fd, wake_fd, timer_fd;
	const struct ps_clock *clock;
	int64_t slack_ns, spin_ns;
	bool slack_applied;

	struct ps_heap timers;

	/* The events of the current round; a removed watcher's entry is emptied. */
	struct epoll_event ready[PS_EVLOOP_BATCH];
	int n_ready;

	struct ps_evloop_fd wake;
	_Atomic(struct ps_evloop_task *) posted; /* newest first */
	atomic_bool woken;			 /* an eventfd write is under way or unread */
	atomic_bool stopped;

	struct ps_evloop_later later; /* head of a ring */

	struct ps_evloop_stats stats;
};

/* ps_evloop_later_init makes the ring empty; _run runs what is in it now; _is_empty says so. */
void ps_evloop_later_init(struct ps_evloop *loop);
void ps_evloop_later_run(struct ps_evloop *loop);
bool ps_evloop_later_is_empty(const struct ps_evloop *loop);

/* ps_evloop_poll waits at most `timeout_ns` for descriptors and fills loop->ready. */
enum ps_status ps_evloop_poll(struct ps_evloop *loop, int64_t timeout_ns, struct ps_error *err);
/* ps_evloop_timers_wait_ns shortens `timeout_ns` to the next timer. */
int64_t ps_evloop_timers_wait_ns(struct ps_evloop *loop, int64_t timeout_ns);
/* ps_evloop_timers_fire runs the timers that are due. */
void ps_evloop_timers_fire(struct ps_evloop *loop);

#endif
