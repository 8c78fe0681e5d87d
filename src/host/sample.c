#include "host/host.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static ssize_t read_small(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return -1;
	}
	ssize_t n = read(fd, buf, size - 1);
	(void)close(fd);
	if (n >= 0) {
		buf[n] = '\0';
	}
	return n;
}

static int64_t ticks_to_ns(long long ticks)
{
	return (int64_t)ticks * (PS_NS_PER_SEC / sysconf(_SC_CLK_TCK));
}

/* "Key:   123 kB" of a status file, in bytes; -1 when absent. */
static int64_t kilobytes(const char *text, const char *key)
{
	const char *p = strstr(text, key);
	long long kb;
	return p && sscanf(p + strlen(key), " %lld kB", &kb) == 1 ? (int64_t)kb * 1024 : -1;
}

enum ps_status ps_host_usage_read(pid_t pid, struct ps_host_usage *ret)
{
	char path[64], buf[4096];
	long long user = 0, sys = 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (read_small(path, buf, sizeof(buf)) <= 0) {
		return PS_ENOTFOUND;
	}
	/* The name in parentheses may hold anything: fields are counted from the last ')'. */
	const char *p = strrchr(buf, ')');
	struct ps_host_usage u = {0};
	if (!p || sscanf(p + 1,
			 " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld %*d %*d %*d "
			 "%*d %d",
			 &user, &sys, &u.threads) != 3) {
		return PS_ENOTFOUND;
	}
	u.cpu_ns = ticks_to_ns(user + sys);
	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (read_small(path, buf, sizeof(buf)) <= 0) {
		return PS_ENOTFOUND;
	}
	u.rss_bytes = kilobytes(buf, "VmRSS:");
	u.peak_rss_bytes = kilobytes(buf, "VmHWM:");
	if (u.rss_bytes < 0) {
		return PS_ENOTFOUND; /* a zombie has no memory */
	}
	*ret = u;
	return PS_OK;
}

int64_t ps_host_pss_read(pid_t pid)
{
	char path[64], buf[4096];
	(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	return read_small(path, buf, sizeof(buf)) > 0 ? kilobytes(buf, "\nPss:") : -1;
}

enum ps_status ps_host_cpu_read(struct ps_host_cpu *ret)
{
	char buf[4096];
	long long user, niced, sys, idle, iowait, irq, softirq, steal = 0;
	if (read_small("/proc/stat", buf, sizeof(buf)) <= 0 ||
	    sscanf(buf, "cpu %lld %lld %lld %lld %lld %lld %lld %lld", &user, &niced, &sys, &idle,
		   &iowait, &irq, &softirq, &steal) < 7) {
		return PS_EIO;
	}
	ret->busy_ns = ticks_to_ns(user + niced + sys + irq + softirq);
	ret->steal_ns = ticks_to_ns(steal);
	return PS_OK;
}

/* ---- sampler ---- */

struct ps_host_sampler {
	pthread_t thread;
	int stop_fds[2]; /* a pipe: closing its write end ends the thread */
	pid_t server;
	int64_t period_ns;
	struct ps_host_sample *samples; /* the thread's until it is joined */
	size_t len, cap;
};

static void take(struct ps_host_sampler *s)
{
	if (s->len == s->cap) {
		size_t cap = s->cap * 2;
		struct ps_host_sample *more = realloc(s->samples, cap * sizeof(*more));
		if (!more) {
			return; /* one sample less */
		}
		s->samples = more;
		s->cap = cap;
	}
	struct ps_host_sample *x = &s->samples[s->len];
	memset(x, 0, sizeof(*x));
	if (ps_host_usage_read(s->server, &x->server) != PS_OK && s->len > 0) {
		x->server = s->samples[s->len - 1].server;
	}
	(void)ps_host_usage_read(getpid(), &x->self);
	(void)ps_host_cpu_read(&x->cpu);
	x->at_ns = ps_clock_now_ns();
	s->len++;
}

static void *sampler_main(void *arg)
{
	struct ps_host_sampler *s = arg;
	int64_t next = ps_clock_now_ns();
	for (;;) {
		take(s);
		next += s->period_ns;
		int64_t left = next - ps_clock_now_ns();
		struct pollfd fd = {.fd = s->stop_fds[0], .events = POLLIN};
		if (poll(&fd, 1, left > 0 ? (int)(left / PS_NS_PER_MS) : 0) > 0) {
			take(s);
			return NULL;
		}
	}
}

enum ps_status ps_host_sampler_start(pid_t server, int64_t period_ns,
				     struct ps_host_sampler **ret_sampler, struct ps_error *err)
{
	struct ps_host_sampler *s = calloc(1, sizeof(*s));
	if (!s || !(s->samples = calloc(64, sizeof(*s->samples)))) {
		free(s);
		return ps_error_set(err, PS_ENOMEM, "no memory to sample the machine");
	}
	s->cap = 64;
	s->server = server;
	s->period_ns = period_ns;
	int e = pipe2(s->stop_fds, O_CLOEXEC) != 0 ? errno : 0;
	bool has_pipe = e == 0;
	if (has_pipe) {
		e = pthread_create(&s->thread, NULL, sampler_main, s);
	}
	if (e != 0) {
		if (has_pipe) {
			(void)close(s->stop_fds[0]);
			(void)close(s->stop_fds[1]);
		}
		free(s->samples);
		free(s);
		return ps_error_errno(err, e, "cannot sample the machine");
	}
	*ret_sampler = s;
	return PS_OK;
}

void ps_host_sampler_stop(struct ps_host_sampler *s, struct ps_host_sample **ret_samples,
			  size_t *ret_len)
{
	(void)close(s->stop_fds[1]); /* poll sees the end of the pipe */
	(void)pthread_join(s->thread, NULL);
	(void)close(s->stop_fds[0]);
	*ret_samples = s->samples;
	*ret_len = s->len;
	free(s);
}

/* ---- priority ---- */

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
