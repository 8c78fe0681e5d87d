/* driver_internal.h - the state of a run.   Layer 3.
 *
 *   run      shared: the plan, the targets, the board for those who watch. Its plain fields are set
 *            before the gate opens and then only read.
 *   thread   what one sending thread owns: loop, schedule, tenants. Thread 0 is the caller's.
 *   tenant   of one thread: port, recorder, users, those who wait.
 *   shot     a request on its way, in the memory that its slot keeps for the sender.
 */
#ifndef PS_LOAD_DRIVER_INTERNAL_H
#define PS_LOAD_DRIVER_INTERNAL_H

#include "load/live.h"
#include "load/occupancy.h"
#include "load/port.h"
#include "load/recorder.h"
#include "load/ring.h"
#include "load/schedule.h"
#include "load/threads.h"

struct ps_load_run;
struct ps_load_thread;
struct ps_load_tenant_run;

/* Somebody in a closed loop: asks, waits for the answer, thinks, asks again. */
struct ps_load_user {
	struct ps_load_tenant_run *tr;
	struct ps_evloop_timer wake;
	struct ps_rng rng; /* of the thinking */
	int64_t due_ns;	   /* after the start: when the next question is due */
	int failures;	   /* connections that failed one after the other */
};

struct ps_load_shot {
	struct ps_load_slot *slot; /* NULL: never used yet */
	struct ps_load_tenant_run *tr;
	struct ps_load_shot *next_all;
	struct ps_load_user *user;   /* NULL: open loop */
	struct ps_evloop_timer rest; /* after a failed connection */
	int failures;		     /* connections that failed one after the other */
	int64_t scheduled_ns;	     /* after the start */
	int64_t handed_ns;	     /* to the port */
	int64_t asked_ns;	     /* when it began to wait for the port; 0: it did not */
	uint64_t sequence;
	bool sampled; /* the uncorrected view follows this one */
};

struct ps_load_tenant_run {
	struct ps_load_thread *th;
	const struct ps_load_tenant *t;
	struct ps_load_tenant_result *r;
	struct ps_load_recorder rec;
	struct ps_load_port *port;
	struct ps_load_shot *shots;	  /* all that were ever used */
	struct ps_load_live_tally *tally; /* NULL: nobody watches */
	struct ps_load_user *users;	  /* of a closed loop */
	size_t user_len;
	struct ps_load_ring waiting;
	struct ps_evloop_timer expiry; /* of the first in `waiting`, or earlier */
	struct ps_load_occupancy occupancy;
	uint32_t ahead; /* slots to be opened before the start */
	uint32_t in_flight;
	uint64_t next_sequence; /* of a closed loop */
	bool sample_busy;	/* the sampled request of the uncorrected view is on its way */
};

struct ps_load_thread {
	struct ps_load_run *run;
	size_t number;
	struct ps_evloop *loop;
	struct ps_load_schedule schedule;
	struct ps_load_tenant_run *tenants;
	size_t tenant_len;
	struct ps_load_tenant_result *parts; /* of threads but the first */
	struct ps_load_live_tally *tallies;
	struct ps_evloop_timer sender, ticker;
	struct ps_evloop_task stopper, ended;
	int64_t next_due_ns; /* monotonic; INT64_MAX: none */
	uint64_t in_flight, waiting;
	int64_t last_latency_ns; /* of the latest success since the last tick; -1: none */
	int64_t cpu_ns, end_ns;
	enum ps_status status; /* of the thread itself */
	struct ps_error err;
};

struct ps_load_run {
	const struct ps_load_plan *plan;
	struct ps_load_target **targets; /* [tenant] */
	struct ps_load_thread *threads;
	size_t thread_len;
	struct ps_load_gate gate;
	atomic_size_t *room; /* [tenant] of records */
	struct ps_load_result *result;
	struct ps_load_live live;
	ps_load_progress_fn *progress;
	void *progress_ctx;
	int64_t start_ns, end_ns; /* monotonic; end of the schedule */
	int64_t timeout_ns;
	atomic_bool stopped;   /* cancelled, or a thread has failed */
	atomic_size_t driving; /* threads beside the first one that are not through */
};

/* ps_load_thread_stopped says whether the run is to end. */
static inline bool ps_load_thread_stopped(const struct ps_load_thread *th)
{
	return atomic_load_explicit(&th->run->stopped, memory_order_relaxed);
}

/* --- sender.c --- */

/* ps_load_sender_start arms the timers of the thread; closed loops begin at run->start_ns. */
enum ps_status ps_load_sender_start(struct ps_load_thread *th);
/* ps_load_sender_finished says whether all that this thread had to send has ended. */
bool ps_load_sender_finished(const struct ps_load_thread *th);
/* ps_load_sender_hand_out sends a request that is due, or lets it wait for a slot. */
void ps_load_sender_hand_out(struct ps_load_tenant_run *tr, struct ps_load_waiting w,
			     int64_t now_ns);
/* ps_load_sender_on_done is the ports' on_done; ps_load_port_ctx is the tenant of the thread. */
void ps_load_sender_on_done(struct ps_load_slot *slot);
/* ps_load_sender_timer sets a timer; without memory the run ends. */
void ps_load_sender_timer(struct ps_load_thread *th, struct ps_evloop_timer *timer, int64_t at_ns);
/* ps_load_run_stop ends the run in all threads, soon. Any thread, any number of times. */
void ps_load_run_stop(struct ps_load_run *run);

/* --- users.c --- */

/* ps_load_users_init makes the tenant's `n` users in this thread. PS_ENOMEM. */
enum ps_status ps_load_users_init(struct ps_load_tenant_run *tr, size_t n);
void ps_load_users_fini(struct ps_load_tenant_run *tr);
/* ps_load_users_start lets them begin at the start. */
void ps_load_users_start(struct ps_load_tenant_run *tr);
/* ps_load_user_next says to a user how the request ended, at `done_ns` after the start; `now_ns` is
 * the clock. */
void ps_load_user_next(struct ps_load_user *u, enum ps_load_outcome outcome, int64_t done_ns,
		       int64_t now_ns);
/* ps_load_rest_ns returns how long who could not connect rests after `failures` earlier failures:
 * 10 ms, doubled each time, at most 250 ms. */
int64_t ps_load_rest_ns(int failures);

/* --- ticker.c --- */

/* ps_load_ticker_start lets the thread tell how it goes, when somebody watches. */
void ps_load_ticker_start(struct ps_load_thread *th);

/* --- prepare.c --- */

/* ps_load_thread_prepare makes what the thread needs and connects; on the thread itself. */
enum ps_status ps_load_thread_prepare(struct ps_load_thread *th, struct ps_error *err);
/* ps_load_thread_free frees it; after all threads have ended. */
void ps_load_thread_free(struct ps_load_thread *th);
/* ps_load_slots_of returns how many slots the tenant has in all threads together, ps_load_lines_of
 * how many connections to each replica carry those of an open loop; 0: a closed one has as many as
 * its users need. */
uint32_t ps_load_slots_of(const struct ps_load_run *run, size_t tenant);
uint32_t ps_load_lines_of(const struct ps_load_run *run, size_t tenant);
/* ps_load_replicas_of returns how many servers the tenant asks, 1 for a model in this process. */
size_t ps_load_replicas_of(const struct ps_load_run *run, size_t tenant);

/* --- plan.c, probe.c --- */

/* ps_load_plan_check refuses (PS_EINVAL) what is no plan. */
enum ps_status ps_load_plan_check(const struct ps_load_plan *plan, struct ps_error *err);
/* ps_load_probe times a bare timer on the first thread's loop, when the plan asks for it. BLOCKS
 * for that long. */
enum ps_status ps_load_probe(struct ps_load_run *run, struct ps_error *err);

#endif
