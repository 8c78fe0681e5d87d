#include "base/thread.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As sched_setattr(2) describes it, first version: the C library has no wrapper of it yet. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

enum { SHORTEST_SLICE_NS = 100000 }; /* the kernel takes no shorter one */
enum { LEAST_NICE = -20 };

/* 0: the system's own. Under a real-time policy there is no slice to ask for. What the kernel
 * refuses costs promptness, which the latencies show. */
static void set_slice(uint64_t slice_ns)
{
	struct attributes a = {0};
	if (syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) != 0 ||
	    (a.policy != SCHED_OTHER && a.policy != SCHED_BATCH))
		return;
	a.size = sizeof a;
	a.flags = 0;
	a.runtime_ns = slice_ns;
	(void)syscall(SYS_sched_setattr, 0, &a, 0);
}

void ps_thread_prompt(void)
{
	set_slice(SHORTEST_SLICE_NS);
}

void ps_thread_prompt_end(void)
{
	set_slice(0);
}

/* False: not known. */
static bool niceness(int *ret_nice)
{
	errno = 0;
	*ret_nice = getpriority(PRIO_PROCESS, (id_t)gettid());
	return errno == 0;
}

bool ps_thread_urgent(void)
{
	int now;
	set_slice(SHORTEST_SLICE_NS);
	if (!niceness(&now))
		return false;
	if (now > 0)
		return true;
	return setpriority(PRIO_PROCESS, (id_t)gettid(), LEAST_NICE) == 0;
}

void ps_thread_step_back(int nice)
{
	int now;
	set_slice(0);
	if (niceness(&now) && now < nice)
		(void)setpriority(PRIO_PROCESS, (id_t)gettid(), nice);
}
