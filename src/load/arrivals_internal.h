/* arrivals_internal.h - rates that are integrated, and parts of traces.   Layer 3, pure. */
#ifndef PS_LOAD_ARRIVALS_INTERNAL_H
#define PS_LOAD_ARRIVALS_INTERNAL_H

#include "load/arrivals.h"

#define PS_LOAD_STREAM_SIZE 192

/* A stretch in which the rate goes in a line from one value to another. */
struct ps_load_piece {
	double from_per_ns, to_per_ns;
	double length_ns; /* INFINITY: the last, from == to */
};

/* ps_load_piece_get gives the i-th stretch of RAMP and STEPS. */
void ps_load_piece_get(const struct ps_load_arrival_spec *spec, size_t i,
		       struct ps_load_piece *ret_piece);
/* ps_load_piece_arrivals is the integral of the rate over the first `ns` of it. */
double ps_load_piece_arrivals(const struct ps_load_piece *p, double ns);
/* ps_load_piece_invert returns when the integral is `arrivals`, which it reaches. */
double ps_load_piece_invert(const struct ps_load_piece *p, double arrivals);

/* ps_load_bursts_quiet returns the rate between bursts in mean rates. */
double ps_load_bursts_quiet(const struct ps_load_bursts *b);

/* ps_load_replay_has says whether entry `i` of the trace, in that lap, is of this part. */
bool ps_load_replay_has(const struct ps_load_replay *r, size_t i, double lap);

#endif
