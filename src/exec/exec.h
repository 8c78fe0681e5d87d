/* exec.h - lanes and the one CPU budget.   Layer 3. Uses base, model, engine.
 *
 * A lane is a thread that runs models, and only lanes do. Each asks its owner for work (take),
 * runs it on the CPUs that the budget gives, and reports it (done); with nothing to take it
 * sleeps. There is no dispatcher thread: whoever queues work calls ps_exec_wake, which costs one
 * atomic read per lane when all of them are busy.
 *
 *	take -> task --> wait for CPUs --> ops->run --> done --> take next --> report --> ...
 *	  \-> NULL --> look for work for `spin_ns` --> asleep --ps_exec_wake--> take ...
 *
 * A lane's time belongs to one task without a gap: the next one is taken before the last one is
 * reported, and its time starts when the last one ended (or, if it then has to wait for CPUs, when
 * it got them; for a lane that was idle, when it was taken). So what a lane spends on handing over
 * is in somebody's busy time, and none is hidden.
 *
 * CPU budget: lane i is pinned to the i-th CPU of the budget (modulo their number). A narrow run
 * (width 1) has its lane's CPU. A wide run has the whole budget: it waits until the narrow runs
 * inside have ended, no other run begins before it ends, and its lane moves to the first CPU of
 * the budget while the engine's pool has the others. So a team of threads never meets another
 * run on a core.
 *
 * The engine must have been started with the same `cpus`, and with `wide_threads` = `width`.
 */
#ifndef PS_EXEC_EXEC_H
#define PS_EXEC_EXEC_H

#include "base/cpus.h"
#include "base/error.h"
#include "engine/engine.h"

#include <stdint.h>

#define PS_EXEC_MAX_LANES 256

struct ps_exec;

/* One run of a model. Embed it in the request or batch that it serves. From take until done has
 * been called, it belongs to the lane. */
struct ps_exec_task {
	const struct ps_engine_ops *ops;     /* in */
	struct ps_engine_instance *instance; /* in */
	struct ps_engine_run *run;	     /* in; `run->wide` is set by exec from `width` */
	int width;			     /* in: 0 or 1 narrow; more: wide, the whole budget */
	enum ps_status status;		     /* out: of the run */
	int64_t started_ns;		     /* out: the lane is this task's, and the CPUs are */
	int64_t finished_ns;		     /* out: the engine has returned */
};

/* What lanes ask of their owner. Both are called on lane threads, several at once, with no lock
 * of exec held. */
struct ps_exec_callbacks {
	/* take returns the next task for lane number `lane`, or NULL when there is none. Must not
	 * block. After a NULL the lane asks once more before it sleeps. */
	struct ps_exec_task *(*take)(void *ctx, int lane);
	/* done receives a finished task back, whatever its status; `err` (borrowed) explains a
	 * status that is not PS_OK. Without a `report` the task may be freed here. */
	void (*done)(void *ctx, int lane, struct ps_exec_task *task, const struct ps_error *err);
	/* report follows each done, after the lane has taken its next task if there is one: the
	 * place for what is slow, such as waking another thread. May be NULL. */
	void (*report)(void *ctx, int lane, struct ps_exec_task *task);
	void *ctx;
};

struct ps_exec_options {
	struct ps_cpus cpus; /* the budget; empty: every CPU that this process may use */
	int lanes;	     /* 0: one per CPU of the budget, or one when width > 1 */
	int width;	     /* the most threads of one run; 0 or 1: narrow runs only */
	int64_t spin_ns;     /* an idle lane looks for work for so long before it sleeps: waking is
			      * quicker, and the CPU is busy meanwhile. 0: it sleeps at once */
	bool no_pin;	     /* leave placement to the kernel (then the budget only counts) */
};

/* Counters of one lane since start; a snapshot that may be torn between fields. */
struct ps_exec_lane_stats {
	uint64_t runs;	 /* tasks finished */
	int64_t busy_ns; /* sum of finished - started */
	uint64_t sleeps; /* times it went to sleep */
	int cpu;	 /* where it is pinned; -1: nowhere */
};

/* ps_exec_start makes the lanes; they call take at once (*ret_exec is set before; NULL again after
 * a failure). Lanes block all signals. PS_EINVAL: more
 * than PS_EXEC_MAX_LANES lanes, a width over the number of CPUs, or CPUs that this process may
 * not use. PS_ENOMEM, PS_EIO (thread creation, pinning). */
enum ps_status ps_exec_start(const struct ps_exec_options *options,
			     const struct ps_exec_callbacks *callbacks, struct ps_exec **ret_exec,
			     struct ps_error *err);

/* ps_exec_wake says that work was queued (before this call, under a mutex that take also locks, or
 * by sequentially consistent atomics): wakes one sleeping lane if there is one. Any thread. Never
 * blocks. O(lanes). */
void ps_exec_wake(struct ps_exec *e);

/* ps_exec_wake_lane is the same for one lane, which is idle: it asks if it does not sleep. */
void ps_exec_wake_lane(struct ps_exec *e, int lane);

/* ps_exec_wake_all wakes every sleeping lane. */
void ps_exec_wake_all(struct ps_exec *e);

/* ps_exec_run_here runs `task` on the calling thread, as if lane number `lane` ran it: counted in
 * that lane's statistics and cancelled by ps_exec_stop like a run of the lane. The caller's owner
 * (dispatch/) must have made sure that lane `lane` is idle and gets nothing from take until this
 * returns. The thread stays on the CPUs where it is; a wide run has the budget as on a lane, and
 * both kinds wait for a wide run that is inside. Fills the task; neither done nor report is called.
 * Returns task->status. Any thread but a lane; `e` must not be stopped meanwhile. */
enum ps_status ps_exec_run_here(struct ps_exec *e, int lane, struct ps_exec_task *task,
				struct ps_error *err);

/* ps_exec_borrow gives the calling thread, which must be no lane, the whole budget as a wide run
 * has it, for work that is no run; the thread is on the first CPU meanwhile. ps_exec_give_back ends
 * that and puts the thread back; when runs had to wait, it then blocks for as long as the loan took
 * (at most 10 ms), so that whoever borrows again and again leaves the lanes half of the time.
 * Borrow for a few milliseconds. `e` must not be stopped meanwhile. */
void ps_exec_borrow(struct ps_exec *e);
void ps_exec_give_back(struct ps_exec *e);

/* ps_exec_lanes returns the number of lanes. */
int ps_exec_lanes(const struct ps_exec *e);

/* ps_exec_cpus returns the budget in use (resolved when the option was empty). Borrowed. */
const struct ps_cpus *ps_exec_cpus(const struct ps_exec *e);

/* ps_exec_stats reads the counters of lane `lane`. Any thread. */
void ps_exec_stats(const struct ps_exec *e, int lane, struct ps_exec_lane_stats *ret_stats);

/* ps_exec_drain lets the lanes take and run until take gives NULL, ends them, joins their threads
 * and frees `e`. Whoever queues must have stopped queueing. Blocks until the last run has ended;
 * to hurry, cancel the runs first. Not from a lane. */
void ps_exec_drain(struct ps_exec *e);

/* ps_exec_stop takes nothing more, cancels the runs that are inside (they are reported through
 * done), joins the lanes and frees `e`. Blocks until the engine returns. Not from a lane. */
void ps_exec_stop(struct ps_exec *e);

#endif
