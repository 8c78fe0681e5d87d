#include "exec/budget_internal.h"

#include <sched.h>

void ps_exec_budget_init(struct ps_exec_budget *b, const struct ps_cpus *cpus, bool pin)
{
	pthread_rwlockattr_t attr;

	b->cpus = *cpus;
	b->n_cpus = ps_cpus_count(cpus);
	b->pin = pin;
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&b->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
}

void ps_exec_budget_fini(struct ps_exec_budget *b)
{
	pthread_rwlock_destroy(&b->lock);
}

int ps_exec_budget_home(const struct ps_exec_budget *b, int lane)
{
	return b->pin ? ps_cpus_nth(&b->cpus, lane % b->n_cpus) : -1;
}

bool ps_exec_budget_pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return true;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return pthread_setaffinity_np(pthread_self(), sizeof(set), &set) == 0;
}

/* Lane 0 (and every n-th) is at home on the first CPU already. */
static void move(const struct ps_exec_budget *b, int lane, bool to_first)
{
	int home, first = ps_exec_budget_home(b, 0);

	if (lane < 0)
		return;
	home = ps_exec_budget_home(b, lane);
	if (home != first)
		(void)ps_exec_budget_pin(to_first ? first : home);
}

bool ps_exec_budget_acquire(struct ps_exec_budget *b, int lane, bool wide)
{
	bool waits;

	if (!wide) {
		waits = pthread_rwlock_tryrdlock(&b->lock) != 0;
		if (waits)
			pthread_rwlock_rdlock(&b->lock);
		return waits;
	}
	waits = pthread_rwlock_trywrlock(&b->lock) != 0;
	if (waits)
		pthread_rwlock_wrlock(&b->lock);
	move(b, lane, true);
	return waits;
}

void ps_exec_budget_release(struct ps_exec_budget *b, int lane, bool wide)
{
	if (wide)
		move(b, lane, false);
	pthread_rwlock_unlock(&b->lock);
}
