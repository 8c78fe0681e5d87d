#include "load/machine.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	MAX_CPUS = 64, /* whose frequency is read: a sample of a larger machine */
	PATH_SIZE = 1024,
	PERIOD_MS = 1000,
};

/* ---- reading ---- */

static ssize_t read_text(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, buf, size - 1) : -1;

	if (fd >= 0) {
		close(fd);
	}
	buf[n > 0 ? n : 0] = '\0';
	return n;
}

/* The number behind `key` and a blank at the start of a line; -1: not there. */
static int64_t number_after(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, n) == 0 && line[n] == ' ') {
			return strtoll(line + n + 1, NULL, 10);
		}
	}
	return -1;
}

static void read_steal(const char *root, struct ps_load_machine_reading *r)
{
	char path[PATH_SIZE], text[16384];
	long long field[8];
	long ticks = sysconf(_SC_CLK_TCK);

	snprintf(path, sizeof(path), "%s/proc/stat", root);
	if (read_text(path, text, sizeof(text)) <= 0 ||
	    sscanf(text, "cpu %lld %lld %lld %lld %lld %lld %lld %lld", &field[0], &field[1],
		   &field[2], &field[3], &field[4], &field[5], &field[6], &field[7]) != 8) {
		return;
	}
	r->steal_ns = field[7] * (PS_NS_PER_SEC / ticks);
	for (const char *at = strstr(text, "\ncpu"); at; at = strstr(at + 1, "\ncpu")) {
		r->cpus++;
	}
}

static void add_quota(struct ps_load_machine_reading *r, int64_t stopped_ns, int64_t ran_ns)
{
	if (stopped_ns >= 0 && r->quota_len < PS_LOAD_MAX_QUOTAS) {
		r->quotas[r->quota_len++] = (struct ps_load_quota){stopped_ns, ran_ns};
	}
}

static int64_t micro(int64_t us)
{
	return us < 0 ? -1 : us * 1000;
}

/* Version 2 has both in one file. */
static void read_unified(const char *folder, struct ps_load_machine_reading *r)
{
	char path[PATH_SIZE], text[2048];

	snprintf(path, sizeof(path), "%.1000s/cpu.stat", folder);
	if (read_text(path, text, sizeof(text)) > 0) {
		add_quota(r, micro(number_after(text, "throttled_usec")),
			  micro(number_after(text, "usage_usec")));
	}
}

/* What a group's quota let run at most, in all periods in which it wanted to: by it the share that
 * was withheld is told too small, never too large. */
static int64_t ran_at_most(const char *folder, const char *stat)
{
	char path[PATH_SIZE], text[64];
	int64_t periods = number_after(stat, "nr_periods"), quota_us = -1;

	snprintf(path, sizeof(path), "%.1000s/cpu.cfs_quota_us", folder);
	if (read_text(path, text, sizeof(text)) > 0) {
		quota_us = strtoll(text, NULL, 10);
	}
	return periods >= 0 && quota_us > 0 ? periods * quota_us * 1000 : -1;
}

/* In version 1 another controller counts what ran: mounted as one with it, or apart as "cpuacct",
 * where the groups have the same names as a rule. Else it is known only how much it may have been.
 */
static void read_legacy(const char *folder, struct ps_load_machine_reading *r)
{
	static const char alone[] = "/sys/fs/cgroup/cpu";
	const char *mount = strstr(folder, alone), *rest = mount ? mount + strlen(alone) : NULL;
	char path[PATH_SIZE], text[2048], ran[64];

	snprintf(path, sizeof(path), "%.1000s/cpu.stat", folder);
	if (read_text(path, text, sizeof(text)) <= 0) {
		return;
	}
	if (rest && (*rest == '/' || *rest == '\0')) {
		snprintf(path, sizeof(path), "%.*s%sacct%.900s/cpuacct.usage",
			 (int)(mount - folder), folder, alone, rest);
	} else {
		snprintf(path, sizeof(path), "%.1000s/cpuacct.usage", folder);
	}
	add_quota(r, number_after(text, "throttled_time"),
		  read_text(path, ran, sizeof(ran)) > 0 ? strtoll(ran, NULL, 10)
							: ran_at_most(folder, text));
}

/* Our group may have no quota while one above it has. */
static void read_upwards(const char *mount, char *group,
			 void (*read_group)(const char *folder, struct ps_load_machine_reading *r),
			 struct ps_load_machine_reading *r)
{
	for (;;) {
		char folder[PATH_SIZE];
		char *slash = strrchr(group, '/');
		int n = snprintf(folder, sizeof(folder), "%s%s", mount, group);

		if (n > 0 && (size_t)n < sizeof(folder)) {
			read_group(folder, r);
		}
		if (!slash) {
			return;
		}
		*slash = '\0';
	}
}

/* A line of /proc/self/cgroup is ID:CONTROLLERS:GROUP; version 2 has no controllers in it. */
static void read_line(const char *root, char *line, struct ps_load_machine_reading *r)
{
	char *controllers = strchr(line, ':');
	char *group = controllers ? strchr(controllers + 1, ':') : NULL;
	char mount[PATH_SIZE];

	if (!group) {
		return;
	}
	*group++ = '\0';
	controllers++;
	if (strcmp(group, "/") == 0) {
		*group = '\0'; /* the root once */
	}
	if (*controllers == '\0') {
		snprintf(mount, sizeof(mount), "%s/sys/fs/cgroup", root);
		read_upwards(mount, group, read_unified, r);
	} else if (strncmp(controllers, "cpu", 3) == 0 && strchr(",", controllers[3])) {
		snprintf(mount, sizeof(mount), "%s/sys/fs/cgroup/%.200s", root, controllers);
		read_upwards(mount, group, read_legacy, r);
	}
}

static void read_quotas(const char *root, struct ps_load_machine_reading *r)
{
	char path[PATH_SIZE], text[8192], *rest = text, *line;

	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	if (read_text(path, text, sizeof(text)) <= 0) {
		return;
	}
	while ((line = strsep(&rest, "\n"))) {
		read_line(root, line, r);
	}
}

static int64_t read_number(const char *root, int cpu, const char *name)
{
	char path[PATH_SIZE], text[64];

	snprintf(path, sizeof(path), "%s/sys/devices/system/cpu/cpu%d/%s", root, cpu, name);
	return read_text(path, text, sizeof(text)) > 0 ? strtoll(text, NULL, 10) : -1;
}

static void read_speed(const char *root, struct ps_load_machine_reading *r)
{
	double sum_khz = 0;
	int known = 0;

	for (int i = 0; i < r->cpus && i < MAX_CPUS; i++) {
		int64_t khz = read_number(root, i, "cpufreq/scaling_cur_freq");
		int64_t hot = read_number(root, i, "thermal_throttle/core_throttle_count");

		if (khz > 0) {
			sum_khz += (double)khz;
			known++;
		}
		if (hot >= 0) {
			r->hot = (r->hot > 0 ? r->hot : 0) + hot;
		}
	}
	r->mhz = known ? sum_khz / known / 1000 : -1;
}

void ps_load_machine_read(const char *root, struct ps_load_machine_reading *ret)
{
	*ret = (struct ps_load_machine_reading){
		.at_ns = ps_clock_now_ns(), .steal_ns = -1, .hot = -1, .mhz = -1};
	read_steal(root, ret);
	read_quotas(root, ret);
	read_speed(root, ret);
}

/* ---- adding up ---- */

static double ratio_of(int64_t from, int64_t to, double time_ns)
{
	if (from < 0 || to < from || !(time_ns > 0)) {
		return -1;
	}
	return (double)(to - from) / time_ns;
}

/* What a quota withheld of what its group wanted. One that stopped nobody withheld nothing, whether
 * it is known what ran or not. */
static double withheld(const struct ps_load_quota *from, const struct ps_load_quota *to)
{
	double stopped = (double)(to->stopped_ns - from->stopped_ns);
	double ran = (double)(to->ran_ns - from->ran_ns);

	if (stopped == 0) {
		return 0;
	}
	return stopped < 0 || from->ran_ns < 0 || ran < 0 ? -1 : stopped / (stopped + ran);
}

/* Every group for itself: one that was stopped much long ago must not hide another's today. */
static double throttled(const struct ps_load_machine_reading *from,
			const struct ps_load_machine_reading *to)
{
	double most = -1;

	for (int i = 0; from->quota_len == to->quota_len && i < to->quota_len; i++) {
		double share = withheld(&from->quotas[i], &to->quotas[i]);

		if (share < 0) {
			return -1; /* somebody was stopped, and nobody knows how much */
		}
		most = share > most ? share : most;
	}
	return most;
}

void ps_load_machine_add(struct ps_load_machine *m, const struct ps_load_machine_reading *r)
{
	double time_ns;

	if (m->readings++ == 0) {
		m->first = *r;
		m->mhz_min = m->mhz_max = -1;
	}
	m->last = *r;
	if (r->mhz > 0) {
		m->mhz_min = m->mhz_min < 0 || r->mhz < m->mhz_min ? r->mhz : m->mhz_min;
		m->mhz_max = r->mhz > m->mhz_max ? r->mhz : m->mhz_max;
	}
	time_ns = (double)(r->at_ns - m->first.at_ns);
	m->steal_ratio = ratio_of(m->first.steal_ns, r->steal_ns, time_ns * r->cpus);
	m->throttled_ratio = throttled(&m->first, r);
	m->hot = m->first.hot >= 0 && r->hot >= m->first.hot ? r->hot - m->first.hot : -1;
}

/* ---- watching ---- */

struct ps_load_watch {
	pthread_t thread;
	int stop_fds[2];	  /* a pipe: closing its write end ends the thread */
	struct ps_load_machine m; /* the thread's until it is joined */
};

static void look(struct ps_load_watch *w)
{
	struct ps_load_machine_reading r;

	ps_load_machine_read("", &r);
	ps_load_machine_add(&w->m, &r);
}

static void *watch_main(void *arg)
{
	struct ps_load_watch *w = arg;
	struct pollfd fd = {.fd = w->stop_fds[0], .events = POLLIN};
	int n;

	do {
		look(w);
		n = poll(&fd, 1, PERIOD_MS);
	} while (n == 0 || (n < 0 && errno == EINTR));
	look(w);
	return NULL;
}

/* Signals are for the thread that runs the load: it stops on them. */
static int start_thread(struct ps_load_watch *w)
{
	sigset_t all, before;
	int e;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	e = pthread_create(&w->thread, NULL, watch_main, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return e;
}

struct ps_load_watch *ps_load_watch_start(void)
{
	struct ps_load_watch *w = calloc(1, sizeof(*w));

	if (!w || pipe2(w->stop_fds, O_CLOEXEC) != 0) {
		free(w);
		return NULL;
	}
	if (start_thread(w) != 0) {
		close(w->stop_fds[0]);
		close(w->stop_fds[1]);
		free(w);
		return NULL;
	}
	return w;
}

void ps_load_watch_stop(struct ps_load_watch *w, struct ps_load_machine *ret)
{
	*ret = (struct ps_load_machine){0};
	if (!w) {
		return;
	}
	close(w->stop_fds[1]);
	pthread_join(w->thread, NULL);
	close(w->stop_fds[0]);
	*ret = w->m;
	free(w);
}
