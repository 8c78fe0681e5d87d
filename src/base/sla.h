/* sla.h - a service-level agreement as a value.   Layer 0.
 *
 * "p95<=200ms,success>=99%": a percentile of latency (from the scheduled instant) with its limit,
 * and the least share of requests that succeed. Written in any order, blanks allowed; success
 * defaults to 99 %. The percentile is taken over all scheduled requests: failed, timed-out and
 * unsent ones count as over the limit.
 */
#ifndef PS_BASE_SLA_H
#define PS_BASE_SLA_H

#include "base/error.h"

#include <stdint.h>

struct ps_sla {
	double percentile;  /* in (0, 1), such as 0.95; 0 when there is no SLA */
	int64_t limit_ns;   /* the latency that this percentile must not exceed */
	double min_success; /* in [0, 1], such as 0.99 */
};

/* ps_sla_parse reads the form above. PS_EPARSE. */
enum ps_status ps_sla_parse(const char *text, struct ps_sla *ret_sla, struct ps_error *err);
/* ps_sla_format writes "p95 <= 200 ms, success >= 99 %"; returns buf. */
#define PS_SLA_SIZE 96
const char *ps_sla_format(const struct ps_sla *sla, char buf[PS_SLA_SIZE]);
/* ps_sla_is_set says whether there is an SLA. */
static inline bool ps_sla_is_set(const struct ps_sla *sla)
{
	return sla->percentile > 0;
}

#endif
