/* occupancy.h - the requests in flight, integrated over time.   Layer 3, pure. One thread's.
 *
 * The left side of Little's law, in flight = rate x time in the system; the right side comes from
 * the recorder, which never sees what is counted here. A request is in flight from its first byte
 * out to its last byte in. The transport says when that was; it is believed only within what the
 * sender itself has seen on its own clock: not before the request was handed over, not after its
 * end was heard of. So requests that are lost or counted twice on the way to the result, and
 * instants that cannot be, make the two sides differ.
 */
#ifndef PS_LOAD_OCCUPANCY_H
#define PS_LOAD_OCCUPANCY_H

#include <stdint.h>

/* Zeroed, but for last_ns: the instant at which the integral begins. */
struct ps_load_occupancy {
	int64_t count, last_ns;
	__int128 area_ns; /* requests x ns */
};

/* ps_load_occupancy_enter counts a request that was handed over at `handed_ns`. */
void ps_load_occupancy_enter(struct ps_load_occupancy *o, int64_t handed_ns);
/* ps_load_occupancy_leave takes it out. `sent_ns` and `done_ns` are what the transport says
 * (sent_ns of 0: it never left, and was never in flight), `now_ns` is when its end was heard of. */
void ps_load_occupancy_leave(struct ps_load_occupancy *o, int64_t handed_ns, int64_t sent_ns,
			     int64_t done_ns, int64_t now_ns);

#endif
