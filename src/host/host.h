/* host.h - the machine under a measurement: processes, slices, counters.   Layer 2. Uses base.
 *
 * A server is started as a process of its own inside a slice, watched through /proc, and stopped;
 * it never outlives us and never stays behind as a zombie.
 *
 * How a slice is applied. CPUs: by affinity, always. Memory (and CPUs again, so that the server
 * cannot widen its affinity): by control groups where the system lets us make one below our own
 * (version 2 if it lists the controller, else version 1, each controller at the path that
 * /proc/self/cgroup names). Where memory cannot be limited this is recorded with the reason, and is
 * no error: resident memory is watched instead, and whoever judges the measurement asks
 * ps_host_memory_over. A CPU quota that cannot be applied is refused: nothing else can stand in for
 * it. Address-space limits (RLIMIT_AS) are never used: inference engines map far more than they
 * touch.
 *
 * Threads: a process belongs to the thread that started it, and dies with that thread.
 */
#ifndef PS_HOST_HOST_H
#define PS_HOST_HOST_H

#include "base/cpus.h"
#include "base/error.h"
#include "base/json.h"
#include "host/watch.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- slices and processes ---- */

struct ps_host_slice {
	struct ps_cpus cpus;  /* empty: all that we may use */
	int64_t memory_bytes; /* 0: no limit */
	double cpu_quota;     /* CPUs' worth of time, as cpu.max has it; 0: no limit */
};

struct ps_host_start {
	const char *const *argv;	   /* argv[0] is the path of the program; NULL at the end */
	const struct ps_host_slice *slice; /* NULL: none */
	int nice;			   /* added to our own niceness; 0: none */
	const char *log_path; /* file for its stdout and stderr, emptied first; NULL: ours */
};

/* The child writes its ready line to this descriptor: pass it as --ready-fd. */
#define PS_HOST_READY_FD 3

struct ps_host_process;

/* ps_host_start forks and executes; returns when the program runs (or could not). PS_ENOTFOUND,
 * PS_EFORBIDDEN, PS_EINVAL (CPUs that this machine has not, a quota that is none), PS_EUNSUPPORTED
 * (a CPU quota where no CPU controller is ours), PS_EIO. */
enum ps_status ps_host_start(const struct ps_host_start *how, struct ps_host_process **ret_process,
			     struct ps_error *err);
/* ps_host_quota_check says whether a CPU quota can be applied here, by making a group and removing
 * it. PS_EUNSUPPORTED as ps_host_start. */
enum ps_status ps_host_quota_check(double cpus, struct ps_error *err);
/* ps_host_wait_ready blocks until the child has written one line to PS_HOST_READY_FD, which the
 * caller frees. PS_ETIMEOUT, or PS_EUNAVAIL when it ended before (how, and the end of its log). */
enum ps_status ps_host_wait_ready(struct ps_host_process *p, int64_t timeout_ns, char **ret_line,
				  struct ps_error *err);
/* ps_host_pid returns the process number. */
pid_t ps_host_pid(const struct ps_host_process *p);
/* ps_host_check is PS_OK while the child runs, else PS_EUNAVAIL with how it ended. Never blocks. */
enum ps_status ps_host_check(struct ps_host_process *p, struct ps_error *err);
/* ps_host_memory_limited says whether a control group holds it to the slice's memory. */
bool ps_host_memory_limited(const struct ps_host_process *p);
/* ps_host_slice_json describes the slice as applied; the caller decrefs. */
json_t *ps_host_slice_json(const struct ps_host_process *p);
/* ps_host_stop asks with SIGTERM, kills after `timeout_ns`, reaps, removes its control groups and
 * frees `p`. PS_OK when it ended with exit code 0 on being asked; else PS_EUNAVAIL and how it
 * ended. NULL is allowed. */
enum ps_status ps_host_stop(struct ps_host_process *p, int64_t timeout_ns, struct ps_error *err);

/* ps_host_mapped_file returns the path of the first file that process `pid` has mapped and whose
 * name, without its folders, begins with `prefix`; the caller frees. NULL: none, the process is
 * gone or not ours, or no memory. Under a millisecond. */
char *ps_host_mapped_file(pid_t pid, const char *prefix);

/* ---- the calling thread ---- */

/* How a thread was put before others; opaque, for ps_host_priority_restore. */
struct ps_host_priority {
	int policy, rt_priority, nice;
	char how[96]; /* "SCHED_FIFO 1", "nice -10", "none (Operation not permitted)" */
	bool raised;
};

/* ps_host_priority_raise puts the calling thread before all ordinary threads as far as the system
 * allows: first-in first-out scheduling, else a lower niceness, else nothing. Never fails. */
void ps_host_priority_raise(struct ps_host_priority *ret_before);
/* ps_host_priority_restore undoes it. */
void ps_host_priority_restore(const struct ps_host_priority *before);

/* ---- the machine ---- */

/* ps_host_machine_json describes the machine for a manifest: processor, flags, caches, memory,
 * kernel, clock source, load, control groups, virtualisation. The caller decrefs; NULL without
 * memory. What the system does not say is null. */
json_t *ps_host_machine_json(void);
/* ps_host_cpus_allowed returns the CPUs that this process may use. */
struct ps_cpus ps_host_cpus_allowed(void);

#endif
