/* budget_internal.h - who may run on the CPUs now. Inside exec/ only.
 *
 * Narrow runs hold the budget together, one CPU each; a wide run holds it alone, and one that
 * waits keeps new narrow runs out, so that it comes in. Any thread.
 */
#ifndef PS_EXEC_BUDGET_INTERNAL_H
#define PS_EXEC_BUDGET_INTERNAL_H

#include "base/cpus.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

struct ps_exec_budget {
	struct ps_cpus cpus;
	int n_cpus;
	bool pin;
	pthread_rwlock_t lock;	/* read: narrow, write: wide; writers first */
	_Atomic uint64_t waits; /* runs that had to wait so far */
	struct {		/* the loan that is out; under the lock, for writing */
		cpu_set_t before;
		bool moved;
		int64_t began_ns;
		uint64_t waits;
	} loan;
};

/* ps_exec_budget_init takes the set; `pin` says whether lanes are placed. */
void ps_exec_budget_init(struct ps_exec_budget *b, const struct ps_cpus *cpus, bool pin);
void ps_exec_budget_fini(struct ps_exec_budget *b);
/* ps_exec_budget_home returns the CPU of lane `lane`, or -1 when lanes are not placed. */
int ps_exec_budget_home(const struct ps_exec_budget *b, int lane);
/* ps_exec_budget_acquire blocks until the calling lane may run, and for a wide run moves it to the
 * first CPU (lane -1: another thread, which is not moved); returns whether it had to wait for other
 * runs. ps_exec_budget_release gives the CPUs back and moves it home. */
bool ps_exec_budget_acquire(struct ps_exec_budget *b, int lane, bool wide);
void ps_exec_budget_release(struct ps_exec_budget *b, int lane, bool wide);
/* ps_exec_budget_borrow and ps_exec_budget_give_back: see exec.h. */
void ps_exec_budget_borrow(struct ps_exec_budget *b);
void ps_exec_budget_give_back(struct ps_exec_budget *b);
/* ps_exec_budget_pin places the calling thread on one CPU; -1 does nothing. False: refused. */
bool ps_exec_budget_pin(int cpu);

#endif
