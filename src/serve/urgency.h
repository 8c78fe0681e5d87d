/* urgency.h - when an I/O thread may go before the lanes.   Layer 5, pure.
 *
 * On a CPU that a lane computes on, an I/O thread of the same niceness waits for the kernel's next
 * tick whenever it has used more than its share a moment ago, as a body of 0.6 MB makes it do. So
 * it goes before the lanes (ps_thread_urgent) while it needs little. A flood, of requests that are
 * refused for instance, would so take the CPU from the models: over half of it for 0.1 s, and the
 * thread is one among the others again, until it needs less than a quarter.
 */
#ifndef PS_SERVE_URGENCY_H
#define PS_SERVE_URGENCY_H

#include <stdbool.h>
#include <stdint.h>

/* All zero: the thread is urgent. */
struct ps_serve_urgency {
	int64_t since_ns, cpu_ns; /* when it was last looked, and the thread's CPU time then */
	uint32_t requests;	  /* since the start */
	bool calm;
};

/* ps_serve_urgency_is_due counts a request and says whether to look at the clocks: at every 16th,
 * because reading the thread's costs a system call. */
bool ps_serve_urgency_is_due(struct ps_serve_urgency *u);
/* ps_serve_urgency_changes looks, and says whether `calm` became another. */
bool ps_serve_urgency_changes(struct ps_serve_urgency *u, int64_t now_ns, int64_t cpu_ns);

#endif
