#include "host/host.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

void ps_host_priority_raise(struct ps_host_priority *ret_before)
{
	struct sched_param p = {0};
	pid_t tid = (pid_t)syscall(SYS_gettid);
	struct ps_host_priority b = {.policy = sched_getscheduler(0)};
	(void)sched_getparam(0, &p);
	b.rt_priority = p.sched_priority;
	b.nice = getpriority(PRIO_PROCESS, (id_t)tid);
	p.sched_priority = 1;
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &p) == 0) {
		b.raised = true;
		(void)snprintf(b.how, sizeof(b.how), "SCHED_FIFO 1");
	} else if (setpriority(PRIO_PROCESS, (id_t)tid, -10) == 0) {
		b.raised = true;
		(void)snprintf(b.how, sizeof(b.how), "nice -10");
	} else {
		(void)snprintf(b.how, sizeof(b.how), "none (%s)", strerror(errno));
	}
	*ret_before = b;
}

void ps_host_priority_restore(const struct ps_host_priority *before)
{
	if (!before->raised) {
		return;
	}
	struct sched_param p = {.sched_priority = before->rt_priority};
	/* Without CAP_SYS_NICE the kernel lets nobody clear the reset-on-fork flag that raise set.
	 */
	if (sched_setscheduler(0, before->policy, &p) != 0)
		(void)sched_setscheduler(0, before->policy | SCHED_RESET_ON_FORK, &p);
	(void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), before->nice);
}
