#include "exec/budget_internal.h"

#include "base/clock.h"

#define MOST_PAUSE_NS 10000000

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
		if (waits) {
			atomic_fetch_add_explicit(&b->waits, 1, memory_order_relaxed);
			pthread_rwlock_rdlock(&b->lock);
		}
		return waits;
	}
	waits = pthread_rwlock_trywrlock(&b->lock) != 0;
	if (waits) {
		atomic_fetch_add_explicit(&b->waits, 1, memory_order_relaxed);
		pthread_rwlock_wrlock(&b->lock);
	}
	move(b, lane, true);
	return waits;
}

void ps_exec_budget_release(struct ps_exec_budget *b, int lane, bool wide)
{
	if (wide)
		move(b, lane, false);
	pthread_rwlock_unlock(&b->lock);
}

void ps_exec_budget_borrow(struct ps_exec_budget *b)
{
	cpu_set_t before = {};
	bool moved = b->pin && pthread_getaffinity_np(pthread_self(), sizeof before, &before) == 0;
	uint64_t waits = atomic_load_explicit(&b->waits, memory_order_relaxed);

	pthread_rwlock_wrlock(&b->lock);
	b->loan.moved = moved && ps_exec_budget_pin(ps_exec_budget_home(b, 0));
	b->loan.before = before;
	b->loan.waits = waits; /* those that waited while this did count, too */
	b->loan.began_ns = ps_clock_now_ns();
}

void ps_exec_budget_give_back(struct ps_exec_budget *b)
{
	int64_t now_ns = ps_clock_now_ns(), took_ns = now_ns - b->loan.began_ns;
	bool waited = atomic_load_explicit(&b->waits, memory_order_relaxed) != b->loan.waits;

	if (b->loan.moved)
		pthread_setaffinity_np(pthread_self(), sizeof b->loan.before, &b->loan.before);
	pthread_rwlock_unlock(&b->lock);
	if (waited)
		(void)ps_clock_sleep_until_ns(now_ns +
					      (took_ns < MOST_PAUSE_NS ? took_ns : MOST_PAUSE_NS));
}
