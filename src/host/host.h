/* host.h - the machine under a measurement: processes, slices, counters.   Layer 2. Uses base.
 *
 * A server is started as a process of its own inside a slice, watched through /proc, and stopped;
 * it never outlives us and never stays behind as a zombie.
 *
 * How a slice is applied. CPUs: by affinity, always. Memory (and CPUs again, so that the server
 * cannot widen its affinity): by control groups where the system lets us make one below our own
 * (version 2 if it lists the controller, else version 1, each controller at the path that
 * /proc/self/cgroup names). What could not be applied is recorded with the reason, and is no error:
 * a measurement says under which conditions it was made. Address-space limits (RLIMIT_AS) are never
 * used: inference engines map far more than they touch.
 *
 * Threads: a process belongs to the thread that started it, and dies with that thread.
 */
#ifndef PS_HOST_HOST_H
#define PS_HOST_HOST_H

#include "base/cpus.h"
#include "base/error.h"
#include "base/json.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- slices and processes ---- */

struct ps_host_slice {
	struct ps_cpus cpus;  /* empty: all that we may use */
	int64_t memory_bytes; /* 0: no limit */
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
 * PS_EFORBIDDEN, PS_EINVAL (CPUs that this machine has not), PS_EIO. */
enum ps_status ps_host_start(const struct ps_host_start *how, struct ps_host_process **ret_process,
			     struct ps_error *err);
/* ps_host_wait_ready blocks until the child has written one line to PS_HOST_READY_FD, which the
 * caller frees. PS_ETIMEOUT, or PS_EUNAVAIL when it ended before (how, and the end of its log). */
enum ps_status ps_host_wait_ready(struct ps_host_process *p, int64_t timeout_ns, char **ret_line,
				  struct ps_error *err);
/* ps_host_pid returns the process number. */
pid_t ps_host_pid(const struct ps_host_process *p);
/* ps_host_check is PS_OK while the child runs, else PS_EUNAVAIL with how it ended. Never blocks. */
enum ps_status ps_host_check(struct ps_host_process *p, struct ps_error *err);
/* ps_host_slice_json describes the slice as applied; the caller decrefs. */
json_t *ps_host_slice_json(const struct ps_host_process *p);
/* ps_host_stop asks with SIGTERM, kills after `timeout_ns`, reaps, removes its control groups and
 * frees `p`. PS_OK when it ended with exit code 0 on being asked; else PS_EUNAVAIL and how it
 * ended. NULL is allowed. */
enum ps_status ps_host_stop(struct ps_host_process *p, int64_t timeout_ns, struct ps_error *err);

/* ---- counters ---- */

struct ps_host_usage {
	int64_t cpu_ns; /* user + system, all threads, since its start (ticks of 10 ms) */
	int64_t rss_bytes, peak_rss_bytes;
	int threads;
};

/* ps_host_usage_read reads /proc/PID. PS_ENOTFOUND when it is gone. Tens of microseconds. */
enum ps_status ps_host_usage_read(pid_t pid, struct ps_host_usage *ret);
/* ps_host_pss_read reads the proportional set size; walks page tables, so a few milliseconds for
 * large processes. -1 when the system does not say. */
int64_t ps_host_pss_read(pid_t pid);

/* ps_host_mapped_file returns the path of the first file that process `pid` has mapped and whose
 * name, without its folders, begins with `prefix`; the caller frees. NULL: none, the process is
 * gone or not ours, or no memory. Under a millisecond. */
char *ps_host_mapped_file(pid_t pid, const char *prefix);

struct ps_host_cpu {
	int64_t busy_ns, steal_ns; /* of all CPUs together since boot */
};
/* ps_host_cpu_read reads /proc/stat. */
enum ps_status ps_host_cpu_read(struct ps_host_cpu *ret);

struct ps_host_sample {
	int64_t at_ns; /* CLOCK_MONOTONIC */
	struct ps_host_usage server, self;
	struct ps_host_cpu cpu;
};

struct ps_host_sampler;

/* ps_host_sampler_start samples `server` and ourselves now and every `period_ns` in a thread of
 * its own. PS_ENOMEM, PS_EIO. */
enum ps_status ps_host_sampler_start(pid_t server, int64_t period_ns,
				     struct ps_host_sampler **ret_sampler, struct ps_error *err);
/* ps_host_sampler_stop takes a last sample and hands all of them over; the caller frees
 * *ret_samples with free(). Samples of a server that is gone repeat its last values. */
void ps_host_sampler_stop(struct ps_host_sampler *s, struct ps_host_sample **ret_samples,
			  size_t *ret_len);

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
