/* machine_use.c - what all CPUs, the network and the CPU quota did. */
#include "host/watch_internal.h"

#include "base/clock.h"
#include "host/cgroup_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NET_BYTES = 64 * 1024 /* some 500 interfaces */ };

static int64_t ticks_to_ns(long long ticks)
{
	return (int64_t)ticks * (PS_NS_PER_SEC / sysconf(_SC_CLK_TCK));
}

/* The first line alone matters; the rest of the file is long on large machines. */
static bool read_cpus(int fd, struct ps_host_cpu *ret)
{
	char buf[512];
	long long user, niced, sys, idle, iowait, irq, softirq, steal = 0;
	if (ps_host_file_read(fd, buf, sizeof(buf)) <= 0 ||
	    sscanf(buf, "cpu %lld %lld %lld %lld %lld %lld %lld %lld", &user, &niced, &sys, &idle,
		   &iowait, &irq, &softirq, &steal) < 7) {
		return false;
	}
	ret->busy_ns = ticks_to_ns(user + niced + sys + irq + softirq);
	ret->steal_ns = ticks_to_ns(steal);
	return true;
}

enum ps_status ps_host_cpu_read(struct ps_host_cpu *ret)
{
	int fd = ps_host_file_open("/proc/stat");
	bool ok = read_cpus(fd, ret);
	ps_host_file_close(&fd);
	return ok ? PS_OK : PS_EIO;
}

bool ps_host_net_sum(const char *text, int64_t *ret_received, int64_t *ret_sent)
{
	int64_t received = 0, sent = 0;
	int lines = 0;
	for (const char *p = strchr(text, ':'); p; p = strchr(p, ':')) {
		long long r, s;
		if (sscanf(p + 1, " %lld %*d %*d %*d %*d %*d %*d %*d %lld", &r, &s) == 2) {
			received += r;
			sent += s;
			lines++;
		}
		p++;
	}
	*ret_received = received;
	*ret_sent = sent;
	return lines > 0;
}

int64_t ps_host_throttled_ns(const char *text)
{
	int64_t usec = ps_host_number_after(text, "throttled_usec ");
	return usec >= 0 ? usec * 1000 : ps_host_number_after(text, "throttled_time ");
}

/* ---- opening ---- */

/* Version 2 has a cpu.stat also where the CPU controller is not its own (on hybrid machines it is
 * version 1's): then the file counts time, and says nothing about throttling. */
bool ps_host_tells_throttled(const char *folder, const char *controller)
{
	char text[1024];
	(void)controller;
	int fd = ps_host_file_open("%s/cpu.stat", folder);
	bool tells =
		ps_host_file_read(fd, text, sizeof(text)) > 0 && ps_host_throttled_ns(text) >= 0;
	ps_host_file_close(&fd);
	return tells;
}

static char *slurp(const char *path)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = fopen(path, "re");
	if (f && getdelim(&text, &size, '\0', f) < 0) {
		free(text);
		text = NULL;
	}
	if (f) {
		(void)fclose(f);
	}
	return text;
}

/* The server's own group: made by us, or where it was started. */
static void open_throttle(struct ps_host_machine_files *m, pid_t server,
			  struct ps_host_absences *absent)
{
	char path[64], folder[PATH_MAX] = "", text[1024];
	(void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)server);
	char *groups = slurp(path), *mounts = slurp("/proc/self/mountinfo");
	int version = groups && mounts ? ps_host_group_find(groups, mounts, "cpu",
							    ps_host_tells_throttled, folder)
				       : 0;
	free(groups);
	free(mounts);
	if (version > 0) {
		m->throttle_fd = ps_host_file_open("%s/cpu.stat", folder);
	}
	if (ps_host_file_read(m->throttle_fd, text, sizeof(text)) <= 0 ||
	    ps_host_throttled_ns(text) < 0) {
		ps_host_file_close(&m->throttle_fd);
		ps_host_absent_say(absent, "throttled",
				   "no CPU controller tells about the server's group");
	}
}

static void open_frequencies(struct ps_host_machine_files *m, const struct ps_cpus *cpus,
			     struct ps_host_absences *absent)
{
	const int room = (int)(sizeof(m->freq_fds) / sizeof(m->freq_fds[0]));
	int e = 0;
	for (int i = 0; i < ps_cpus_count(cpus) && m->freq_len < room; i++) {
		int fd = ps_host_file_open("/sys/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq",
					   ps_cpus_nth(cpus, i));
		if (fd < 0) {
			e = errno;
			break;
		}
		m->freq_fds[m->freq_len++] = fd;
	}
	if (m->freq_len == 0) {
		ps_host_absent_say(absent, "cpu_khz", "no cpufreq: %s", strerror(e));
	}
}

/* So many interfaces that their text is over a limit would be summed up to it only. */
static void open_net(struct ps_host_machine_files *m, pid_t server, struct ps_host_absences *absent)
{
	char buf[NET_BYTES];
	m->net_fd = ps_host_file_open("/proc/%d/net/dev", (int)(server > 0 ? server : getpid()));
	if (m->net_fd < 0) {
		ps_host_absent_say(absent, "network", "cannot read net/dev: %s", strerror(errno));
	} else if (ps_host_file_read_all(m->net_fd, buf, sizeof(buf)) < 0) {
		ps_host_absent_say(absent, "network", "net/dev: %s",
				   errno == EFBIG ? "more interfaces than are summed up"
						  : strerror(errno));
		ps_host_file_close(&m->net_fd);
	}
}

void ps_host_machine_open(struct ps_host_machine_files *m, pid_t server, const struct ps_cpus *cpus,
			  struct ps_host_absences *absent)
{
	memset(m, 0, sizeof(*m));
	m->throttle_fd = -1;
	m->stat_fd = ps_host_file_open("/proc/stat");
	open_net(m, server, absent);
	if (server > 0) {
		open_throttle(m, server, absent);
	}
	open_frequencies(m, cpus, absent);
}

void ps_host_machine_read(const struct ps_host_machine_files *m, struct ps_host_sample *s)
{
	char buf[NET_BYTES];
	if (!read_cpus(m->stat_fd, &s->cpu)) {
		s->cpu = (struct ps_host_cpu){-1, -1};
	}
	s->net_received_bytes = s->net_sent_bytes = s->throttled_ns = -1;
	if (ps_host_file_read_all(m->net_fd, buf, sizeof(buf)) > 0) {
		(void)ps_host_net_sum(buf, &s->net_received_bytes, &s->net_sent_bytes);
	}
	if (ps_host_file_read(m->throttle_fd, buf, sizeof(buf)) > 0) {
		s->throttled_ns = ps_host_throttled_ns(buf);
	}
}

int64_t ps_host_machine_khz(const struct ps_host_machine_files *m)
{
	int64_t sum = 0;
	int n = 0;
	for (int i = 0; i < m->freq_len; i++) {
		char buf[32];
		if (ps_host_file_read(m->freq_fds[i], buf, sizeof(buf)) > 0) {
			sum += strtoll(buf, NULL, 10);
			n++;
		}
	}
	return n > 0 ? sum / n : -1;
}

void ps_host_machine_close(struct ps_host_machine_files *m)
{
	ps_host_file_close(&m->stat_fd);
	ps_host_file_close(&m->net_fd);
	ps_host_file_close(&m->throttle_fd);
	for (int i = 0; i < m->freq_len; i++) {
		ps_host_file_close(&m->freq_fds[i]);
	}
}
