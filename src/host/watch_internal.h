/* watch_internal.h - the sources of a watcher. Only host/ includes this. */
#ifndef PS_HOST_WATCH_INTERNAL_H
#define PS_HOST_WATCH_INTERNAL_H

#include "host/watch.h"

#include <limits.h>

/* Why a number is absent; the first reason stays. */
struct ps_host_absent {
	const char *what; /* static */
	char reason[120];
};
enum { PS_HOST_MAX_ABSENT = 16 };
struct ps_host_absences {
	struct ps_host_absent items[PS_HOST_MAX_ABSENT];
	int len;
};
/* ps_host_absent_say notes a reason once per `what`. */
void ps_host_absent_say(struct ps_host_absences *a, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- files that stay open (proc_file.c) ---- */

/* ps_host_file_open opens a file of /proc or /sys; -1 and errno. */
int ps_host_file_open(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* ps_host_file_read reads it again from its start, with a NUL behind; the length, or -1. */
ssize_t ps_host_file_read(int fd, char *buf, size_t size);
/* ps_host_file_read_all reads all of a file that is longer than a page, likewise; -1 and EFBIG when
 * it does not fit. */
ssize_t ps_host_file_read_all(int fd, char *buf, size_t size);
/* ps_host_file_close closes unless it is -1, and makes it that. */
void ps_host_file_close(int *fd);
/* ps_host_number_after returns the first number behind `key`, or -1. */
int64_t ps_host_number_after(const char *text, const char *key);

/* ---- a process (tracked.c) ---- */

struct ps_host_task {
	pid_t tid;
	int schedstat_fd;
	bool seen; /* in the last look at the folder */
	int64_t run_delay_ns, voluntary, involuntary;
};

struct ps_host_tracked {
	pid_t pid;
	int stat_fd, statm_fd, status_fd, io_fd;
	struct ps_host_task tasks[PS_HOST_WATCH_THREADS];
	int task_len;
	bool too_many;		/* threads: what is summed over them is not known */
	int64_t gone_run_delay; /* of threads that ended, as last read */
	int64_t gone_voluntary, gone_involuntary;
	struct ps_host_usage last;
};

/* ps_host_track opens the files of a process; what cannot be opened is absent. */
void ps_host_track(struct ps_host_tracked *t, pid_t pid, struct ps_host_absences *absent);
/* ps_host_tracked_read reads what is cheap; the seldom parts become -1. False when it is gone: then
 * *ret is the last reading. */
bool ps_host_tracked_read(struct ps_host_tracked *t, struct ps_host_usage *ret);
/* ps_host_tracked_read_more adds peak memory and context switches. */
void ps_host_tracked_read_more(struct ps_host_tracked *t, struct ps_host_usage *u);
/* ps_host_tracked_look finds its threads anew. */
void ps_host_tracked_look(struct ps_host_tracked *t);
void ps_host_untrack(struct ps_host_tracked *t);

/* ps_host_page_tables fills pss_bytes and huge_bytes from smaps_rollup, else -1. */
void ps_host_page_tables(pid_t pid, struct ps_host_usage *u);

/* ---- the CPU's counters (counters.c) ---- */

struct ps_host_counters {
	int (*fds)[3]; /* per thread: cycles, instructions, last-level misses; -1 */
	int len;
};
/* ps_host_counters_open counts in all threads of `pid` and those they will make. */
void ps_host_counters_open(struct ps_host_counters *c, pid_t pid, struct ps_host_absences *absent);
void ps_host_counters_read(const struct ps_host_counters *c, struct ps_host_usage *u);
void ps_host_counters_close(struct ps_host_counters *c);

/* ---- the machine (machine_use.c) ---- */

struct ps_host_machine_files {
	int stat_fd, net_fd, throttle_fd;
	bool throttle_v2;
	int freq_fds[16]; /* of the first CPUs asked for */
	int freq_len;
};
void ps_host_machine_open(struct ps_host_machine_files *m, pid_t server, const struct ps_cpus *cpus,
			  struct ps_host_absences *absent);
void ps_host_machine_read(const struct ps_host_machine_files *m, struct ps_host_sample *s);
int64_t ps_host_machine_khz(const struct ps_host_machine_files *m);
void ps_host_machine_close(struct ps_host_machine_files *m);

/* ps_host_net_sum adds up the bytes of a text of /proc/net/dev; false when it is none. */
bool ps_host_net_sum(const char *text, int64_t *ret_received, int64_t *ret_sent);
/* ps_host_throttled_ns reads a cpu.stat of either version; -1 when it says nothing. */
int64_t ps_host_throttled_ns(const char *text);
/* ps_host_tells_throttled says whether the group's own cpu.stat does; as ps_host_group_find asks.
 */
bool ps_host_tells_throttled(const char *folder, const char *controller);

/* ---- GPUs (nvml.c) ---- */

struct ps_host_nvml;
/* ps_host_nvml_open loads the library; NULL with the reason noted. */
struct ps_host_nvml *ps_host_nvml_open(const char *path, struct ps_host_absences *absent);
int ps_host_nvml_count(const struct ps_host_nvml *n);
/* ps_host_nvml_read fills one sample of GPU `gpu`; ret->at_ns is set by the caller, and says how
 * old a reading of the driver's may be. */
void ps_host_nvml_read(struct ps_host_nvml *n, int gpu, pid_t server,
		       struct ps_host_gpu_sample *ret);
/* ps_host_nvml_json describes driver and GPUs; the caller decrefs. */
json_t *ps_host_nvml_json(const struct ps_host_nvml *n);
void ps_host_nvml_close(struct ps_host_nvml *n);

/* ---- when to read again (sample.c) ---- */

/* One source: how dear it was, and from when on it may be read again. */
struct ps_host_pace {
	int64_t least_ns; /* between two readings */
	double share;	  /* of one core that it may take */
	int64_t next_ns;
};
/* ps_host_pace_due says whether it may be read at `now_ns`. */
bool ps_host_pace_due(const struct ps_host_pace *p, int64_t now_ns);
/* ps_host_pace_spent says when it may be read again, after a reading at `now_ns` took `cost_ns`. */
void ps_host_pace_spent(struct ps_host_pace *p, int64_t now_ns, int64_t cost_ns);

#endif
