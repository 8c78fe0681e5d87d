/* machine.h - what the machine did to a run: stolen time, throttling, clock speed.   Layer 3.
 *
 * A watch reads a few counters of the kernel when it starts, once a second, and when it stops. It
 * has a thread of its own, so that no reading delays a request (about 100 us of CPU a second).
 *
 * - steal: time in which the hypervisor ran others on our CPUs (/proc/stat, all CPUs together).
 * - throttling: how much of the CPU time that our control group, or one above it, wanted was
 * withheld by its CPU quota (cpu.stat of version 2 or 1, below /sys/fs/cgroup). The kernel sums the
 * time in which it was stopped over the CPUs, as it does the time that it ran: neither is a share
 * of the run's time, but stopped / (stopped + ran) is the share that was withheld.
 * - frequency: the mean over the CPUs of scaling_cur_freq; first, last, lowest and highest reading.
 * - hot: events in which the processor slowed down to cool (thermal_throttle).
 *
 * What a system does not say is -1, and is said to be unknown: never taken for "none".
 */
#ifndef PS_LOAD_MACHINE_H
#define PS_LOAD_MACHINE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define PS_LOAD_MAX_QUOTAS 16 /* groups looked at: our own and those above it */

/* Time of all CPUs so far; -1: unknown. Where only the quota tells what ran, it is the most that
 * may have. */
struct ps_load_quota {
	int64_t stopped_ns, ran_ns;
};

/* One look at the counters; -1: unknown. */
struct ps_load_machine_reading {
	int64_t at_ns; /* CLOCK_MONOTONIC */
	int cpus;      /* that the counters are about */
	int64_t steal_ns;
	int64_t hot;
	double mhz;
	struct ps_load_quota quotas[PS_LOAD_MAX_QUOTAS]; /* of the groups that tell */
	int quota_len;
};

/* What the readings of a run say together; -1: unknown. */
struct ps_load_machine {
	int readings; /* 0: nobody watched */
	struct ps_load_machine_reading first, last;
	double mhz_min, mhz_max;
	double steal_ratio;	/* of the time of all CPUs, from 0 to 1 */
	double throttled_ratio; /* of the CPU time that a group wanted, the largest; from 0 to 1 */
	int64_t hot;
};

/* ps_load_machine_read reads the counters below the folder `root`, "" for the real ones. Blocks for
 * the time of a few small reads of /proc and /sys. */
void ps_load_machine_read(const char *root, struct ps_load_machine_reading *ret);

/* ps_load_machine_add puts one more reading into the sum; the first one begins it (`m` zeroed). */
void ps_load_machine_add(struct ps_load_machine *m, const struct ps_load_machine_reading *r);

struct ps_load_watch;

/* ps_load_watch_start begins to watch. NULL when there is no memory or no thread to be had: then
 * nothing is known about the machine, and a result says so. */
struct ps_load_watch *ps_load_watch_start(void);
/* ps_load_watch_stop takes a last reading, ends the thread and frees `w`. NULL is allowed and gives
 * a sum without readings. */
void ps_load_watch_stop(struct ps_load_watch *w, struct ps_load_machine *ret);

#endif
