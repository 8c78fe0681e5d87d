/* team.h - threads that walk a recurrent layer together.   Layer 2, part of engine/rnn.
 *
 * A team is the thread that calls run and threads of its own, each pinned to one CPU. Between runs
 * they sleep; within one they wait for each other busily, because a step takes microseconds. A
 * thread that has waited longer than any step should take gives its CPU away in between, so that a
 * team on a busy CPU is slow and not stuck.
 *
 * One run at a time: run waits for the one that is under way. Any thread may call it. Where a team
 * is wanted, NULL is the calling thread alone, and such runs do not wait for each other.
 */
#ifndef PS_ENGINE_RNN_TEAM_H
#define PS_ENGINE_RNN_TEAM_H

#include "base/cpus.h"
#include "base/error.h"

#define PS_RNN_TEAM_MAX 64 /* threads; what one layer's steps can be shared out to */

struct ps_rnn_team;

/* ps_rnn_team_new starts `threads` - 1 threads, pinned to the CPUs of the set in turn (the caller
 * of run counts as the first and is not pinned here); an empty set pins nobody. PS_EINVAL,
 * PS_ETOOBIG (threads), PS_ENOMEM, or what the system said when a thread could not be started. */
enum ps_status ps_rnn_team_new(int threads, const struct ps_cpus *cpus,
			       struct ps_rnn_team **ret_team, struct ps_error *err);
/* ps_rnn_team_free ends the threads; no run may be inside. NULL is allowed. */
void ps_rnn_team_free(struct ps_rnn_team *t);
int ps_rnn_team_threads(const struct ps_rnn_team *t);
/* ps_rnn_team_run calls work(ctx, i) for i from 0 to threads - 1, each in its own thread, and
 * returns when all have. */
void ps_rnn_team_run(struct ps_rnn_team *t, void (*work)(void *ctx, int i), void *ctx);
/* ps_rnn_team_meet is called inside a run by the threads from `first` to `first` + `n` - 1: each
 * returns when all have called it as often as it has. */
void ps_rnn_team_meet(struct ps_rnn_team *t, int i, int first, int n);

#endif
