/* tracked.c - one process, read again and again.
 *
 * Faults, memory and disk are the kernel's own sums over all threads. Waiting for a CPU and context
 * switches it keeps per thread only: those are added up here, and what a thread had when it was
 * last seen stays in the sum after its end. */
#include "host/watch_internal.h"

#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct ps_host_usage unknown = {-1, -1, -1, -1, -1, -1, -1, -1,
					     -1, -1, -1, -1, -1, -1, -1, -1};

/* Fields behind the name in parentheses, which may hold anything: state is number 3 of proc(5). */
static bool read_stat(int fd, struct ps_host_usage *u)
{
	char buf[1024];
	long long minor, major;
	if (ps_host_file_read(fd, buf, sizeof(buf)) <= 0) {
		return false;
	}
	const char *p = strrchr(buf, ')');
	char state = '?';
	int threads = 0;
	if (!p || sscanf(p + 1,
			 " %c %*d %*d %*d %*d %*d %*u %lld %*u %lld %*u %*d %*d %*d %*d %*d %*d %d",
			 &state, &minor, &major, &threads) != 4) {
		return false;
	}
	u->minor_faults = minor;
	u->major_faults = major;
	u->threads = threads;
	return state != 'Z' && state != 'X'; /* one that ended has no memory */
}

static int64_t read_rss(int fd)
{
	char buf[128];
	long long pages;
	if (ps_host_file_read(fd, buf, sizeof(buf)) <= 0 || sscanf(buf, "%*d %lld", &pages) != 1) {
		return -1;
	}
	return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static void read_io(int fd, struct ps_host_usage *u)
{
	char buf[512];
	u->read_bytes = u->written_bytes = -1;
	if (ps_host_file_read(fd, buf, sizeof(buf)) > 0) {
		u->read_bytes = ps_host_number_after(buf, "\nread_bytes: ");
		u->written_bytes = ps_host_number_after(buf, "\nwrite_bytes: ");
	}
}

static int64_t kilobytes(int64_t kb)
{
	return kb < 0 ? -1 : kb * 1024;
}

/* ---- threads ---- */

static void drop_task(struct ps_host_tracked *t, int i)
{
	struct ps_host_task *x = &t->tasks[i];
	t->gone_run_delay += x->run_delay_ns;
	t->gone_voluntary += x->voluntary;
	t->gone_involuntary += x->involuntary;
	ps_host_file_close(&x->schedstat_fd);
	*x = t->tasks[--t->task_len];
}

static struct ps_host_task *find_task(struct ps_host_tracked *t, pid_t tid)
{
	for (int i = 0; i < t->task_len; i++) {
		if (t->tasks[i].tid == tid) {
			return &t->tasks[i];
		}
	}
	return NULL;
}

static void add_task(struct ps_host_tracked *t, pid_t tid)
{
	if (t->task_len == PS_HOST_WATCH_THREADS) {
		t->too_many = true;
		return;
	}
	int fd = ps_host_file_open("/proc/%d/task/%d/schedstat", (int)t->pid, (int)tid);
	if (fd < 0) {
		/* Gone already, or no room for more files: what is not read is not known. */
		t->too_many = t->too_many || (errno != ENOENT && errno != ESRCH);
		return;
	}
	t->tasks[t->task_len++] =
		(struct ps_host_task){.tid = tid, .schedstat_fd = fd, .seen = true};
}

void ps_host_tracked_look(struct ps_host_tracked *t)
{
	char path[64];
	const struct dirent *e;
	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)t->pid);
	DIR *d = opendir(path);
	if (!d) {
		return;
	}
	for (int i = 0; i < t->task_len; i++) {
		t->tasks[i].seen = false;
	}
	while ((e = readdir(d))) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);
		struct ps_host_task *x = tid > 0 ? find_task(t, tid) : NULL;
		if (x) {
			x->seen = true;
		} else if (tid > 0) {
			add_task(t, tid);
		}
	}
	(void)closedir(d);
	for (int i = t->task_len - 1; i >= 0; i--) {
		if (!t->tasks[i].seen) {
			drop_task(t, i);
		}
	}
}

static int64_t run_delay(struct ps_host_tracked *t)
{
	int64_t sum = t->gone_run_delay;
	for (int i = 0; i < t->task_len; i++) {
		char buf[96];
		long long waited;
		struct ps_host_task *x = &t->tasks[i];
		if (ps_host_file_read(x->schedstat_fd, buf, sizeof(buf)) > 0 &&
		    sscanf(buf, "%*d %lld", &waited) == 1) {
			x->run_delay_ns = waited;
		}
		sum += x->run_delay_ns;
	}
	return t->too_many || t->task_len == 0 ? -1 : sum;
}

static void read_switches(struct ps_host_tracked *t, struct ps_host_task *x)
{
	char buf[4096];
	int fd = ps_host_file_open("/proc/%d/task/%d/status", (int)t->pid, (int)x->tid);
	if (ps_host_file_read(fd, buf, sizeof(buf)) > 0) {
		int64_t v = ps_host_number_after(buf, "\nvoluntary_ctxt_switches:");
		int64_t i = ps_host_number_after(buf, "\nnonvoluntary_ctxt_switches:");
		x->voluntary = v >= 0 ? v : x->voluntary;
		x->involuntary = i >= 0 ? i : x->involuntary;
	}
	ps_host_file_close(&fd);
}

/* ---- the whole ---- */

void ps_host_track(struct ps_host_tracked *t, pid_t pid, struct ps_host_absences *absent)
{
	memset(t, 0, sizeof(*t));
	t->pid = pid;
	t->last = unknown;
	t->stat_fd = ps_host_file_open("/proc/%d/stat", (int)pid);
	t->statm_fd = ps_host_file_open("/proc/%d/statm", (int)pid);
	t->status_fd = ps_host_file_open("/proc/%d/status", (int)pid);
	t->io_fd = ps_host_file_open("/proc/%d/io", (int)pid);
	if (t->io_fd < 0) {
		ps_host_absent_say(absent, "disk", "cannot read /proc/PID/io: %s", strerror(errno));
	}
	ps_host_tracked_look(t);
	if (t->too_many) {
		ps_host_absent_say(absent, "run_delay", "process %d has over %d threads", (int)pid,
				   PS_HOST_WATCH_THREADS);
	} else if (t->task_len == 0) {
		ps_host_absent_say(absent, "run_delay", "the kernel keeps no schedstat");
	}
}

bool ps_host_tracked_read(struct ps_host_tracked *t, struct ps_host_usage *ret)
{
	struct ps_host_usage u = unknown;
	u.cpu_ns = ps_clock_process_cpu_ns((int)t->pid);
	if (!read_stat(t->stat_fd, &u) || u.cpu_ns < 0) {
		*ret = t->last;
		return false;
	}
	u.rss_bytes = read_rss(t->statm_fd);
	read_io(t->io_fd, &u);
	if (u.threads != t->task_len) {
		ps_host_tracked_look(t);
	}
	u.run_delay_ns = run_delay(t);
	t->last = u;
	*ret = u;
	return true;
}

void ps_host_tracked_read_more(struct ps_host_tracked *t, struct ps_host_usage *u)
{
	char buf[4096];
	ps_host_tracked_look(t);
	if (ps_host_file_read(t->status_fd, buf, sizeof(buf)) > 0) {
		u->peak_rss_bytes = kilobytes(ps_host_number_after(buf, "\nVmHWM:"));
	}
	if (t->too_many || t->task_len == 0) {
		return;
	}
	u->voluntary = t->gone_voluntary;
	u->involuntary = t->gone_involuntary;
	for (int i = 0; i < t->task_len; i++) {
		read_switches(t, &t->tasks[i]);
		u->voluntary += t->tasks[i].voluntary;
		u->involuntary += t->tasks[i].involuntary;
	}
}

void ps_host_untrack(struct ps_host_tracked *t)
{
	for (int i = 0; i < t->task_len; i++) {
		ps_host_file_close(&t->tasks[i].schedstat_fd);
	}
	ps_host_file_close(&t->stat_fd);
	ps_host_file_close(&t->statm_fd);
	ps_host_file_close(&t->status_fd);
	ps_host_file_close(&t->io_fd);
}

void ps_host_page_tables(pid_t pid, struct ps_host_usage *u)
{
	char buf[4096];
	int fd = ps_host_file_open("/proc/%d/smaps_rollup", (int)pid);
	u->pss_bytes = u->huge_bytes = -1;
	if (ps_host_file_read(fd, buf, sizeof(buf)) > 0) {
		u->pss_bytes = kilobytes(ps_host_number_after(buf, "\nPss:"));
		u->huge_bytes = kilobytes(ps_host_number_after(buf, "\nAnonHugePages:"));
	}
	ps_host_file_close(&fd);
}

enum ps_status ps_host_usage_read(pid_t pid, struct ps_host_usage *ret)
{
	struct ps_host_usage u = unknown;
	char buf[4096];
	int stat_fd = ps_host_file_open("/proc/%d/stat", (int)pid);
	int status_fd = ps_host_file_open("/proc/%d/status", (int)pid);
	u.cpu_ns = ps_clock_process_cpu_ns((int)pid);
	bool there = read_stat(stat_fd, &u) && u.cpu_ns >= 0 &&
		     ps_host_file_read(status_fd, buf, sizeof(buf)) > 0;
	ps_host_file_close(&stat_fd);
	ps_host_file_close(&status_fd);
	if (!there) {
		return PS_ENOTFOUND;
	}
	u.rss_bytes = kilobytes(ps_host_number_after(buf, "\nVmRSS:"));
	u.peak_rss_bytes = kilobytes(ps_host_number_after(buf, "\nVmHWM:"));
	if (u.rss_bytes < 0) {
		return PS_ENOTFOUND;
	}
	*ret = u;
	return PS_OK;
}

int64_t ps_host_pss_read(pid_t pid)
{
	struct ps_host_usage u;
	ps_host_page_tables(pid, &u);
	return u.pss_bytes;
}
