/* threads.h - what a run needs of threads: a common start, and what it asks of the kernel.
 * Layer 3. */
#ifndef PS_LOAD_THREADS_H
#define PS_LOAD_THREADS_H

#include "base/cpus.h"
#include "base/error.h"

#include <pthread.h>
#include <sched.h>

/* --- share of a whole --- */

/* ps_load_share returns how many of `total` things belong to thread `number` of `threads`: numbers
 * number, number + threads, ... below `total`. ps_load_share_first returns how many the threads
 * before it have. */
uint32_t ps_load_share(uint32_t total, size_t number, size_t threads);
uint32_t ps_load_share_first(uint32_t total, size_t number, size_t threads);

/* --- a gate that opens when all are there --- */

struct ps_load_gate {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	size_t arrived;
	enum { PS_LOAD_GATE_SHUT, PS_LOAD_GATE_GO, PS_LOAD_GATE_HOME } state;
};

void ps_load_gate_init(struct ps_load_gate *g);
void ps_load_gate_fini(struct ps_load_gate *g);
/* ps_load_gate_wait arrives and BLOCKS until the gate is opened; returns whether to go on. What was
 * written before the gate opened is seen afterwards. */
bool ps_load_gate_wait(struct ps_load_gate *g);
/* ps_load_gate_await BLOCKS until `n` threads wait at the gate. */
void ps_load_gate_await(struct ps_load_gate *g, size_t n);
/* ps_load_gate_open lets everybody go on, or go home. */
void ps_load_gate_open(struct ps_load_gate *g, bool go);

/* --- what a run changes about a thread, and puts back --- */

struct ps_load_thread_state {
	cpu_set_t cpus;
	int slack_ns;
	bool pinned;
};

/* ps_load_thread_enter puts the calling thread on CPU number `number` of `cpus` (counted round;
 * empty: leaves it), sets its timer slack to 1 ns and asks to run soon after it wakes;
 * *ret_slack_ns is what the kernel says then, -1 when it says nothing. PS_EINVAL: no such CPU, or
 * not allowed. */
enum ps_status ps_load_thread_enter(struct ps_load_thread_state *ts, const struct ps_cpus *cpus,
				    size_t number, int64_t *ret_slack_ns, struct ps_error *err);
/* ps_load_thread_leave puts it back as it was. */
void ps_load_thread_leave(const struct ps_load_thread_state *ts);

#endif
