/* evloop.h - the epoll loop: descriptors, timers, work handed over by other threads.   Layer 1.
 *
 * Uses base only. A loop belongs to the thread that runs it (before the first run: to the thread
 * that made it); only ps_evloop_post and ps_evloop_stop may be called from elsewhere. Watchers,
 * timers and tasks are the caller's storage, embed them; they must not move or be freed while they
 * are added, set or posted. Callbacks may add, change, remove and free anything, themselves too.
 * Nothing here blocks except ps_evloop_run and ps_evloop_run_once.
 *
 * Order within a round: due timers (by deadline, then by when they were set), ready descriptors,
 * posted tasks (in the order posted), what was left for later (in the order left). The number of
 * timers fired in a round is bounded by those due when it began, so that a timer that sets itself
 * again for "now" cannot starve the rest.
 */
#ifndef PS_EVLOOP_EVLOOP_H
#define PS_EVLOOP_EVLOOP_H

#include "base/clock.h"
#include "base/error.h"
#include "base/heap.h"

#include <stdatomic.h>
#include <stdint.h>

struct ps_evloop;

struct ps_evloop_options {
	const struct ps_clock *clock; /* of timers; NULL: the monotonic clock. With a fake clock
				       * call ps_evloop_run_once(loop, 0) after moving it */
	int64_t timer_slack_ns;	      /* > 0: ask the kernel for this timer slack for the thread
				       * that runs the loop (1 = as precise as it can); 0: leave */
	int64_t spin_ns;	      /* > 0: sleep until this long before a timer is due, then poll
				       * busily; costs CPU, gains tens of microseconds. At most 1 ms */
};

/* ps_evloop_new makes a loop; `options` may be NULL. PS_EIO, PS_ENOMEM, PS_EINVAL. */
enum ps_status ps_evloop_new(const struct ps_evloop_options *options, struct ps_evloop **ret_loop,
			     struct ps_error *err);
/* ps_evloop_free frees the loop. Not from inside a callback. Watchers, timers and tasks that are
 * still with it are forgotten (their callbacks are not called). NULL is fine. */
void ps_evloop_free(struct ps_evloop *loop);

/* ps_evloop_now_ns reads the loop's clock, fresh at every call. */
int64_t ps_evloop_now_ns(const struct ps_evloop *loop);

/* ps_evloop_run serves until ps_evloop_stop. PS_EIO if the kernel refuses to wait. */
enum ps_status ps_evloop_run(struct ps_evloop *loop, struct ps_error *err);
/* ps_evloop_run_once waits at most `timeout_ns` (-1: until something happens, 0: not at all) and
 * serves one round. PS_EIO. */
enum ps_status ps_evloop_run_once(struct ps_evloop *loop, int64_t timeout_ns, struct ps_error *err);
/* ps_evloop_stop makes ps_evloop_run return after the current round; when it is not running, the
 * next ps_evloop_run returns at once. Any thread; async-signal-safe. */
void ps_evloop_stop(struct ps_evloop *loop);

/* --- descriptors --- */

enum {
	PS_EVLOOP_READ = 1,  /* can read (data, end of file, a connection to accept) */
	PS_EVLOOP_WRITE = 2, /* can write; a connect has ended */
	PS_EVLOOP_ERROR = 4, /* error or both directions closed: reported always, never asked for */
	PS_EVLOOP_RDHUP = 8, /* the peer has closed its sending side */
};

struct ps_evloop_fd {
	int fd;
	unsigned events; /* what is asked for now; change with ps_evloop_fd_set */
	void (*on_ready)(struct ps_evloop_fd *w, unsigned events);
	void *ctx;
	struct ps_evloop *loop; /* NULL: not added */
};

/* ps_evloop_fd_add watches `w->fd` level-triggered for `w->events` (may be 0: errors only); fd,
 * events, on_ready and ctx are set by the caller, `loop` must be NULL. One watcher per descriptor.
 * PS_EIO, PS_ENOMEM. The descriptor stays the caller's. */
enum ps_status ps_evloop_fd_add(struct ps_evloop *loop, struct ps_evloop_fd *w,
				struct ps_error *err);
/* ps_evloop_fd_set changes what is asked for; free of cost when nothing changes. PS_EIO. */
enum ps_status ps_evloop_fd_set(struct ps_evloop_fd *w, unsigned events, struct ps_error *err);
/* ps_evloop_fd_remove stops watching; on_ready is not called again, not even for events that the
 * current round already holds. Call it before close(2). Does nothing when not added. */
void ps_evloop_fd_remove(struct ps_evloop_fd *w);

/* --- timers --- */

struct ps_evloop_timer {
	struct ps_heap_node node; /* the loop's */
	void (*on_fire)(struct ps_evloop_timer *t, int64_t now_ns);
	void *ctx;
	struct ps_evloop *loop; /* NULL: not set */
};

/* ps_evloop_timer_init prepares a timer that is not set. */
void ps_evloop_timer_init(struct ps_evloop_timer *t,
			  void (*on_fire)(struct ps_evloop_timer *t, int64_t now_ns), void *ctx);
/* ps_evloop_timer_set fires once at or after `deadline_ns` of the loop's clock (never before it);
 * a set timer is moved. O(log n). PS_ENOMEM. */
enum ps_status ps_evloop_timer_set(struct ps_evloop *loop, struct ps_evloop_timer *t,
				   int64_t deadline_ns);
/* ps_evloop_timer_cancel unsets it; does nothing when not set. O(log n). */
void ps_evloop_timer_cancel(struct ps_evloop_timer *t);
/* ps_evloop_timer_is_set says whether it will fire. */
bool ps_evloop_timer_is_set(const struct ps_evloop_timer *t);

/* --- work from other threads --- */

struct ps_evloop_task {
	struct ps_evloop_task *next; /* the loop's */
	void (*run)(struct ps_evloop_task *task);
	void *ctx;
};

/* ps_evloop_post hands `task` to the loop: its run is called once on the loop's thread; a task may
 * be posted again as soon as run has been entered, not before. Any thread, lock-free, and one
 * eventfd write for as many posts as come before the loop wakes. Memory written before the post is
 * seen by run. */
void ps_evloop_post(struct ps_evloop *loop, struct ps_evloop_task *task);

/* --- work left for the end of the round --- */

struct ps_evloop_later {
	struct ps_evloop_later *prev, *next; /* the loop's; NULL: not left */
	void (*run)(struct ps_evloop_later *l);
	void *ctx;
};

/* ps_evloop_later_add calls `run` once at the end of the present round, or of the next one when the
 * ends are being run already; a round that has such work does not wait. Nothing when it is left
 * already. Costs no system call. Loop's thread. */
void ps_evloop_later_add(struct ps_evloop *loop, struct ps_evloop_later *l);
/* ps_evloop_later_cancel takes it back; nothing when it is not left. Loop's thread. */
void ps_evloop_later_cancel(struct ps_evloop_later *l);

/* --- signals --- */

struct ps_evloop_signals {
	struct ps_evloop_fd watch; /* the loop's */
	void (*on_signal)(void *ctx, int signo);
	void *ctx;
};

/* ps_evloop_signals_open blocks the signals `signos[0..n)` in the calling thread (do it before
 * other threads start, so that they inherit it) and from then on calls on_signal on the loop's
 * thread for each. PS_EIO. */
enum ps_status ps_evloop_signals_open(struct ps_evloop *loop, struct ps_evloop_signals *s,
				      const int *signos, int n, struct ps_error *err);
/* ps_evloop_signals_close stops that; the signals stay blocked. */
void ps_evloop_signals_close(struct ps_evloop_signals *s);

/* --- how the loop did (for the load generator's honesty) --- */

struct ps_evloop_stats {
	uint64_t rounds;       /* waits that returned */
	uint64_t timers_fired; /* callbacks of timers */
	uint64_t wakeups;      /* eventfd reads */
	uint64_t tasks_run;    /* callbacks of posted tasks */
	int64_t late_max_ns;   /* largest (fired - deadline) */
};

/* ps_evloop_get_stats copies the counters since the loop was made. Loop's thread. */
void ps_evloop_get_stats(const struct ps_evloop *loop, struct ps_evloop_stats *ret_stats);

#endif
