/* server_timing.h - reading the Server-Timing header (W3C Server Timing).   Layer 3, pure. */
#ifndef PS_LOAD_SERVER_TIMING_H
#define PS_LOAD_SERVER_TIMING_H

#include <stdint.h>

/* ps_load_server_timing finds metric `name` in a header value such as
 * "queue;dur=0.125000, compute;dur=41.7" and returns its `dur` (milliseconds on the wire) in
 * nanoseconds; -1 when value is NULL, the metric is absent, has no dur, or the number is no
 * number in 0..1e9 ms. */
int64_t ps_load_server_timing(const char *value, const char *name);

#endif
