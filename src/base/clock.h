/* clock.h - the only place that reads clocks.   Layer 0.
 *
 * Instants are int64_t nanoseconds of CLOCK_MONOTONIC; the wall clock only labels. Code that
 * decides anything by time takes a struct ps_clock, so that tests and sim/ bring their own.
 */
#ifndef PS_BASE_CLOCK_H
#define PS_BASE_CLOCK_H

#include <stdint.h>

#define PS_NS_PER_US  INT64_C(1000)
#define PS_NS_PER_MS  INT64_C(1000000)
#define PS_NS_PER_SEC INT64_C(1000000000)

struct ps_clock {
	int64_t (*now_ns)(void *ctx);
	void *ctx;
};

/* ps_clock_now_ns reads CLOCK_MONOTONIC. */
int64_t ps_clock_now_ns(void);

/* ps_clock_monotonic returns the real clock as a struct ps_clock (static storage). */
const struct ps_clock *ps_clock_monotonic(void);

/* ps_clock_read asks any clock. */
static inline int64_t ps_clock_read(const struct ps_clock *c)
{
	return c->now_ns(c->ctx);
}

/* A clock that stands still until it is moved: set `now_ns` of the fake, use `clock`. */
struct ps_clock_fake {
	struct ps_clock clock;
	int64_t now_ns;
};

/* ps_clock_fake_init starts the fake at `now_ns`. `f` must not move in memory afterwards. */
void ps_clock_fake_init(struct ps_clock_fake *f, int64_t now_ns);

/* ps_clock_wall_ns reads the wall clock: nanoseconds since 1970 UTC. Labels only. */
int64_t ps_clock_wall_ns(void);

/* ps_clock_wall_iso writes `wall_ns` as 2026-11-22T17:00:00.123Z. */
#define PS_CLOCK_ISO_SIZE 32
void ps_clock_wall_iso(int64_t wall_ns, char buf[PS_CLOCK_ISO_SIZE]);

/* ps_clock_cpu_ns returns the CPU time of the calling process, all threads. */
int64_t ps_clock_cpu_ns(void);

/* ps_clock_thread_cpu_ns returns the CPU time of the calling thread. */
int64_t ps_clock_thread_cpu_ns(void);

/* ps_clock_process_cpu_ns returns the CPU time of any process, all threads, those that ended too;
 * -1 when there is none of that number. */
int64_t ps_clock_process_cpu_ns(int pid);

/* ps_clock_resolution_ns measures the smallest step seen between reads, and the cost of a read
 * (median of a few thousand). Takes well under a millisecond. */
void ps_clock_resolution_ns(int64_t *ret_step_ns, int64_t *ret_cost_ns);

/* ps_clock_sleep_until_ns blocks the calling thread until the monotonic instant; returns the
 * instant at which it woke. */
int64_t ps_clock_sleep_until_ns(int64_t deadline_ns);

#endif
