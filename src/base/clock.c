#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
	struct timespec ts;
	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * PS_NS_PER_SEC + ts.tv_nsec;
}

int64_t ps_clock_now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

static int64_t monotonic(void *ctx)
{
	(void)ctx;
	return ps_clock_now_ns();
}

const struct ps_clock *ps_clock_monotonic(void)
{
	static const struct ps_clock c = {monotonic, NULL};
	return &c;
}

static int64_t fake_now(void *ctx)
{
	const struct ps_clock_fake *f = ctx;
	return f->now_ns;
}

void ps_clock_fake_init(struct ps_clock_fake *f, int64_t now_ns)
{
	f->clock = (struct ps_clock){fake_now, f};
	f->now_ns = now_ns;
}

int64_t ps_clock_wall_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

void ps_clock_wall_iso(int64_t wall_ns, char buf[PS_CLOCK_ISO_SIZE])
{
	time_t s = (time_t)(wall_ns / PS_NS_PER_SEC);
	int ms = (int)(wall_ns % PS_NS_PER_SEC / PS_NS_PER_MS);
	struct tm tm;
	char day[24];
	if (!gmtime_r(&s, &tm) || !strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm))
		snprintf(day, sizeof day, "?");
	snprintf(buf, PS_CLOCK_ISO_SIZE, "%s.%03dZ", day, ms);
}

int64_t ps_clock_cpu_ns(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t ps_clock_thread_cpu_ns(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

int64_t ps_clock_process_cpu_ns(int pid)
{
	clockid_t id;
	struct timespec ts;
	if (pid <= 0 || clock_getcpuclockid(pid, &id) != 0 || clock_gettime(id, &ts) != 0)
		return -1;
	return (int64_t)ts.tv_sec * PS_NS_PER_SEC + ts.tv_nsec;
}

void ps_clock_resolution_ns(int64_t *ret_step_ns, int64_t *ret_cost_ns)
{
	enum { N = 4000 };
	int64_t step = INT64_MAX, first = ps_clock_now_ns(), last = first;
	for (int i = 0; i < N; i++) {
		int64_t now = ps_clock_now_ns();
		if (now > last && now - last < step)
			step = now - last;
		last = now;
	}
	*ret_step_ns = step == INT64_MAX ? 0 : step;
	*ret_cost_ns = (last - first) / N;
}

int64_t ps_clock_sleep_until_ns(int64_t deadline_ns)
{
	struct timespec ts = {deadline_ns / PS_NS_PER_SEC, deadline_ns % PS_NS_PER_SEC};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
	return ps_clock_now_ns();
}
