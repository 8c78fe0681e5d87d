/* counters.c - the CPU's own counters over a running process. */
#include "host/watch_internal.h"

#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const uint64_t events[3] = {PERF_COUNT_HW_CPU_CYCLES, PERF_COUNT_HW_INSTRUCTIONS,
				   PERF_COUNT_HW_CACHE_MISSES};

/* User space only: kernel counts need more rights, and a number that means one thing here and
 * another there is worse than none. Time enabled and running come with each value, as the kernel
 * takes turns when there are more events than counters. */
static int open_event(uint64_t config, pid_t tid)
{
	struct perf_event_attr a = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(a),
		.config = config,
		.inherit = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
		.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
	};
	return (int)syscall(SYS_perf_event_open, &a, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static const char *why(int e)
{
	return e == ENOENT || e == EOPNOTSUPP || e == ENODEV
		       ? "this processor offers none (a virtual machine?)"
	       : e == EACCES || e == EPERM ? "kernel.perf_event_paranoid or a filter forbids it"
	       : e == ENOSYS		   ? "the kernel has none"
					   : strerror(e);
}

/* All three of a thread, or none. */
static bool open_thread(struct ps_host_counters *c, pid_t tid, struct ps_host_absences *absent)
{
	int *fds = c->fds[c->len];
	for (int k = 0; k < 3; k++) {
		fds[k] = open_event(events[k], tid);
		if (fds[k] < 0) {
			int e = errno;
			while (--k >= 0) {
				ps_host_file_close(&fds[k]);
			}
			if (e == ESRCH) {
				return true; /* it ended meanwhile */
			}
			ps_host_absent_say(absent, "counters", "%s", why(e));
			return false;
		}
	}
	c->len++;
	return true;
}

void ps_host_counters_open(struct ps_host_counters *c, pid_t pid, struct ps_host_absences *absent)
{
	char path[64];
	const struct dirent *e;
	bool ok = true;
	c->len = 0;
	c->fds = calloc(PS_HOST_COUNTED_THREADS, sizeof(*c->fds));
	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *d = c->fds ? opendir(path) : NULL;
	while (d && ok && (e = readdir(d))) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);
		if (tid > 0 && c->len == PS_HOST_COUNTED_THREADS) {
			ps_host_absent_say(absent, "counters", "the server has over %d threads",
					   PS_HOST_COUNTED_THREADS);
			ok = false;
		} else if (tid > 0) {
			ok = open_thread(c, tid, absent);
		}
	}
	if (d) {
		(void)closedir(d);
	}
	if (!ok) {
		ps_host_counters_close(c);
	}
}

/* A count scaled to the whole time, as perf does; -1 when it never ran. */
static int64_t read_event(int fd)
{
	uint64_t v[3]; /* value, enabled, running */
	if (read(fd, v, sizeof(v)) != (ssize_t)sizeof(v)) {
		return -1;
	}
	if (v[2] == 0) {
		return v[1] == 0 ? 0 : -1;
	}
	return (int64_t)((double)v[0] * ((double)v[1] / (double)v[2]));
}

/* A sum without one of its threads would pass for less work than was done. */
static int64_t sum(const struct ps_host_counters *c, int k)
{
	int64_t all = c->len > 0 ? 0 : -1;
	for (int i = 0; i < c->len && all >= 0; i++) {
		int64_t v = read_event(c->fds[i][k]);
		all = v >= 0 ? all + v : -1;
	}
	return all;
}

void ps_host_counters_read(const struct ps_host_counters *c, struct ps_host_usage *u)
{
	u->cycles = sum(c, 0);
	u->instructions = sum(c, 1);
	u->misses = sum(c, 2);
}

void ps_host_counters_close(struct ps_host_counters *c)
{
	for (int i = 0; i < c->len; i++) {
		for (int k = 0; k < 3; k++) {
			ps_host_file_close(&c->fds[i][k]);
		}
	}
	free(c->fds);
	c->fds = NULL;
	c->len = 0;
}
