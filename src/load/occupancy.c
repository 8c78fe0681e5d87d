/* occupancy.c - see occupancy.h. */
#include "load/occupancy.h"

/* Steps may go back in time (an end that is heard of late): the area of a rectangle is then
 * negative and the sum right all the same. */
static void step(struct ps_load_occupancy *o, int64_t at_ns, int change)
{
	o->area_ns += (__int128)o->count * (at_ns - o->last_ns);
	o->last_ns = at_ns;
	o->count += change;
}

static int64_t within(int64_t at_ns, int64_t low_ns, int64_t high_ns)
{
	at_ns = at_ns < high_ns ? at_ns : high_ns;
	return at_ns > low_ns ? at_ns : low_ns;
}

void ps_load_occupancy_enter(struct ps_load_occupancy *o, int64_t handed_ns)
{
	step(o, handed_ns, 1);
}

/* Only its end tells when a request really left: what it spent before that with the port (a
 * connection had to be opened) is taken off again. */
void ps_load_occupancy_leave(struct ps_load_occupancy *o, int64_t handed_ns, int64_t sent_ns,
			     int64_t done_ns, int64_t now_ns)
{
	done_ns = within(done_ns, handed_ns, now_ns);
	sent_ns = sent_ns > 0 ? within(sent_ns, handed_ns, done_ns) : done_ns;
	step(o, done_ns, -1);
	o->area_ns -= sent_ns - handed_ns;
}
