/* team.h - threads that walk a recurrent layer together.   Layer 2, part of engine/rnn.
 *
 * A team is the thread that calls run and threads of its own, each pinned to one CPU. Outside of
 * runs they sleep. Waking one takes tens of microseconds, in which a short layer would be done:
 * whoever is about to run says so early (gather), and those that it calls then look out for work
 * for a moment, until it says that no more comes (dismiss). Within a run they wait for each other
 * busily, because a step takes microseconds. A thread that has waited longer than any step should
 * take gives its CPU away in between, and then sleeps for moments, so that a team with fewer CPUs
 * than threads is slow and not stuck.
 *
 * One run at a time: run waits for the one that is under way. Any thread may call it. Where a team
 * is wanted, NULL is the calling thread alone, and such runs do not wait for each other.
 */
#ifndef PS_ENGINE_RNN_TEAM_H
#define PS_ENGINE_RNN_TEAM_H

#include "base/cpus.h"
#include "base/error.h"

#include <stdatomic.h>
#include <stdint.h>

/* Threads. Beyond so many, meeting takes longer than what one thread more would save of a step. */
#define PS_RNN_TEAM_MAX 64

struct ps_rnn_team;

/* ps_rnn_team_size returns how many threads of a team so many CPUs are for: at most
 * PS_RNN_TEAM_MAX. */
int ps_rnn_team_size(int cpus);
/* ps_rnn_team_new starts `threads` - 1 threads, pinned to the CPUs of the set in turn (the caller
 * of run counts as the first and is not pinned here); an empty set pins nobody. PS_EINVAL,
 * PS_ETOOBIG (threads), PS_ENOMEM, or what the system said when a thread could not be started. */
enum ps_status ps_rnn_team_new(int threads, const struct ps_cpus *cpus,
			       struct ps_rnn_team **ret_team, struct ps_error *err);
/* ps_rnn_team_free ends the threads; no run may be inside. NULL is allowed. */
void ps_rnn_team_free(struct ps_rnn_team *t);
int ps_rnn_team_threads(const struct ps_rnn_team *t);
/* ps_rnn_team_gather wakes the first `n` threads and returns at once: runs follow. Each call is
 * followed by one of ps_rnn_team_dismiss when they are over. NULL is allowed. */
void ps_rnn_team_gather(struct ps_rnn_team *t, int n);
void ps_rnn_team_dismiss(struct ps_rnn_team *t);
/* ps_rnn_team_run calls work(ctx, i) for i from 0 to threads - 1, each in its own thread, and
 * returns when all have. ps_rnn_team_run_few is the same with the first `n` threads; the others are
 * not disturbed. */
void ps_rnn_team_run(struct ps_rnn_team *t, void (*work)(void *ctx, int i), void *ctx);
void ps_rnn_team_run_few(struct ps_rnn_team *t, int n, void (*work)(void *ctx, int i), void *ctx);
/* ps_rnn_team_meet is called inside a run by the threads from `first` to `first` + `n` - 1: each
 * returns when all have called it as often as it has. */
void ps_rnn_team_meet(struct ps_rnn_team *t, int i, int first, int n);

/* A counter that one thread counts up and others wait for, on a line of its own. */
struct ps_rnn_count {
	_Alignas(128) _Atomic int64_t n; /* two cache lines: processors fetch them in pairs */
};
/* ps_rnn_count_wait returns when the counter has come to `least`; what was written before it was
 * counted up (with release) is seen then. Waits as threads of a team do. */
void ps_rnn_count_wait(const struct ps_rnn_count *c, int64_t least);

#endif
