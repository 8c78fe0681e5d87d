/* watch.h - counters of processes and of the machine, taken beside a measurement.   Layer 2.
 * Uses base.
 *
 * A watcher samples a server, ourselves and the machine ten times a second from a thread of its
 * own. It must not disturb what it watches, so
 * - files of /proc and /sys are opened once and read again;
 * - each source of numbers is read again only when the CPU time of its last reading is a small
 *   enough part of the time since: what is dear (memory by page tables, a GPU's driver, hundreds
 *   of threads) is read more seldom, never the rest. All together stay under
 *   PS_HOST_WATCH_SHARE of one core, and what was really spent is told;
 * - page tables are walked at most every 5 s, and once after the end.
 *
 * What this machine cannot say is -1 (NAN for reals) in every sample, and its reason is in
 * ps_host_watched_json: counters in a virtual machine, a GPU where there is none, frequency without
 * cpufreq are absent, not errors.
 *
 * Threads: start, stop and the rest belong to one thread; the watcher's own thread touches nothing
 * that the caller sees before stop has returned.
 */
#ifndef PS_HOST_WATCH_H
#define PS_HOST_WATCH_H

#include "base/cpus.h"
#include "base/error.h"
#include "base/json.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PS_HOST_WATCH_PERIOD_NS INT64_C(100000000)
#define PS_HOST_WATCH_SHARE	0.005 /* of one core, at most, from two seconds on */
#define PS_HOST_WATCH_SAMPLES	36000 /* then every second one goes and the period doubles */
#define PS_HOST_WATCH_THREADS	128   /* of a process, watched one by one */
#define PS_HOST_WATCH_GPUS	16
#define PS_HOST_WATCH_GPU_ROWS	100000
#define PS_HOST_COUNTED_THREADS 64 /* at the start of watching; those they make are counted too */

/* ---- one reading ---- */

/* A process so far. -1: not known, or not read at this instant. */
struct ps_host_usage {
	int64_t cpu_ns; /* user + system, all threads, since its start */
	int64_t rss_bytes, peak_rss_bytes;
	int threads;
	int64_t pss_bytes, huge_bytes;	      /* from page tables: seldom */
	int64_t minor_faults, major_faults;   /* all threads */
	int64_t voluntary, involuntary;	      /* context switches; without threads that ended */
	int64_t run_delay_ns;		      /* ready to run, waiting for a CPU; all threads */
	int64_t read_bytes, written_bytes;    /* from and to disks */
	int64_t cycles, instructions, misses; /* the CPU's counters, since watching began */
};

/* ps_host_usage_read reads the common part (CPU, memory, threads, faults) of /proc/PID.
 * PS_ENOTFOUND when it is gone. Tens of microseconds. */
enum ps_status ps_host_usage_read(pid_t pid, struct ps_host_usage *ret);
/* ps_host_pss_read reads the proportional set size; walks page tables, so a few milliseconds for
 * large processes. -1 when the system does not say. */
int64_t ps_host_pss_read(pid_t pid);

struct ps_host_cpu {
	int64_t busy_ns, steal_ns; /* of all CPUs together since boot */
};
/* ps_host_cpu_read reads /proc/stat. */
enum ps_status ps_host_cpu_read(struct ps_host_cpu *ret);

/* ---- watching ---- */

struct ps_host_sample {
	int64_t at_ns; /* CLOCK_MONOTONIC */
	struct ps_host_usage server, self;
	struct ps_host_cpu cpu;
	int64_t throttled_ns;			    /* the server's group, by a CPU quota */
	int64_t net_received_bytes, net_sent_bytes; /* interfaces that the server sees, `lo` too */
	int64_t cpu_khz;			    /* mean over the CPUs asked for */
};

/* One GPU at one instant, as its driver says. */
struct ps_host_gpu_sample {
	int64_t at_ns;
	int gpu;
	double busy_ratio, server_busy_ratio;
	double power_w;
	int64_t memory_bytes, server_memory_bytes;
	int64_t clock_mhz, memory_clock_mhz;
};

/* What to watch; zeroed: ourselves only, at 10 Hz. */
struct ps_host_watch {
	pid_t server;	     /* 0: none on this machine */
	int64_t period_ns;   /* 0: PS_HOST_WATCH_PERIOD_NS */
	struct ps_cpus cpus; /* whose frequency; empty: all that we may use */
	const char *nvml;    /* path of NVIDIA's management library; NULL: by its usual name */
	bool no_gpu, no_counters;
};

struct ps_host_watcher;

/* What was seen; ps_host_watched_fini frees it. */
struct ps_host_watched {
	struct ps_host_sample *samples;
	size_t len;
	struct ps_host_gpu_sample *gpus;
	size_t gpu_len;
	int64_t period_ns;	  /* at the end: it may have grown */
	int64_t cost_ns, span_ns; /* CPU time of the sampling, and what it is a share of */
	json_t *about;		  /* see ps_host_watched_json */
};

/* ps_host_watch_start takes the first sample and goes on in a thread of its own. PS_ENOMEM, PS_EIO.
 */
enum ps_status ps_host_watch_start(const struct ps_host_watch *what,
				   struct ps_host_watcher **ret_watcher, struct ps_error *err);
/* ps_host_watch_stop takes a last sample, with everything that is known, and hands all over.
 * Samples of a server that is gone repeat its last values. */
void ps_host_watch_stop(struct ps_host_watcher *w, struct ps_host_watched *ret_watched);
/* ps_host_watched_fini frees it; zeroed is fine. */
void ps_host_watched_fini(struct ps_host_watched *w);
/* ps_host_watched_json describes the watching: {"period_ns", "samples", "cost_share",
 * "absent": {"counters": REASON, "gpu": REASON, ...}, "gpus": [{"name", ...}]}. The caller decrefs.
 */
json_t *ps_host_watched_json(const struct ps_host_watched *w);

/* ---- what it means; pure ---- */

/* ps_host_memory_over says whether the server's resident memory passed `limit_bytes` at any sample
 * (or at its peak), and writes the reason. For slices whose memory nothing else limits. limit 0:
 * never. */
bool ps_host_memory_over(const struct ps_host_sample *samples, size_t n, int64_t limit_bytes,
			 char *reason, size_t size);

/* The generator beside the server. */
struct ps_host_apart {
	bool apart;		/* no CPU belongs to both */
	struct ps_cpus shared;	/* those that do */
	double generator_share; /* of the slice's CPU time that the generator may have taken: at
				 * most, as it may have used CPUs outside. 0 when apart */
};

/* ps_host_apart compares the CPUs of slice and generator (empty: all of `allowed`), the generator
 * having used `generator_cpu_ns` in `span_ns`. */
struct ps_host_apart ps_host_apart(const struct ps_cpus *slice, const struct ps_cpus *generator,
				   const struct ps_cpus *allowed, int64_t generator_cpu_ns,
				   int64_t span_ns);

/* One tenant's use of one model in a stretch of time, from the server's statistics. */
struct ps_host_part {
	int64_t compute_ns;	/* lane time x CPUs held */
	int64_t requests;	/* answered or refused */
	int64_t resident_bytes; /* of the model, this tenant's part of it */
};

/* Its part of what the host counted. */
struct ps_host_charge {
	int64_t compute_ns;  /* CPU time while it computed */
	int64_t overhead_ns; /* its part of the rest: network, parsing, scheduling */
	int64_t memory_bytes;
};

/* ps_host_attribute divides `cpu_ns` and `memory_bytes` of the server among n parts, and
 * *ret_nobody takes what belongs to none. The rule:
 * - each part is charged the CPU time of its lanes; when the lanes held CPUs for longer than the
 *   process had them (waiting for a CPU, throttled, stolen), all are scaled down alike;
 * - the rest of the CPU time is divided by requests; without any it is nobody's;
 * - memory: each its resident bytes, scaled down alike when they exceed what was measured; the
 *   rest (code, arenas, the server itself) is nobody's.
 * Parts and nobody add up to what was given, to the nanosecond and byte. Negative input counts as
 * 0. Pure, O(n). */
void ps_host_attribute(int64_t cpu_ns, int64_t memory_bytes, const struct ps_host_part *parts,
		       size_t n, struct ps_host_charge *ret_charges,
		       struct ps_host_charge *ret_nobody);

#endif
