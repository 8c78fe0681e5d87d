/* series.h - the latencies of a tenant in order of their scheduled instants.   Layer 3, pure. */
#ifndef PS_LOAD_SERIES_H
#define PS_LOAD_SERIES_H

#include "load/result.h"

struct ps_load_series {
	double *t_s;  /* scheduled, in seconds after the start */
	double *x_ns; /* latency */
	size_t len;
};

/* ps_load_series_init takes the measured requests from the records; one that failed has the latency
 * `timeout_ns`. PS_ENOMEM, and then `s` is empty. O(n) when they are in order, else O(n log n). */
enum ps_status ps_load_series_init(struct ps_load_series *s, const struct ps_load_tenant_result *r,
				   int64_t timeout_ns);
/* ps_load_series_fini frees it; a zeroed one may be passed. */
void ps_load_series_fini(struct ps_load_series *s);

#endif
