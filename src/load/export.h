/* export.h - load results in the forms of other tools.   Layer 3, pure.
 *
 * Each form keeps its tool's header, columns, units and phrases, so that what reads that tool's
 * files reads these; the numbers are ours. So each file also names the percentile rule and the
 * clock: latency counts from the scheduled instant over all requests, and a percentile that falls
 * on a failed request is "inf". Check ps_strbuf_status afterwards.
 */
#ifndef PS_LOAD_EXPORT_H
#define PS_LOAD_EXPORT_H

#include "base/strbuf.h"
#include "load/result.h"

/* ps_load_export_perf_analyzer appends the CSV of Triton's perf_analyzer (-f): one row per tenant,
 * by increasing throughput, whole microseconds. Its server columns come from Server-Timing:
 * computing is all under "Server Compute Infer", what the server did not say is 0, and so is
 * "Client Send", which is not measured. Five columns follow on the right: Tenant, Percentile Rule,
 * Clock, SLA and the latency at its percentile (empty without one). False, and nothing appended,
 * when some tenants are open and some closed loops: its first column is either "Request Rate", the
 * rate that was asked for, or "Concurrency". */
bool ps_load_export_perf_analyzer(const struct ps_load_result *r, struct ps_strbuf *out);

/* ps_load_export_loadgen appends a summary in the phrases of MLPerf LoadGen's, of one tenant. An
 * open loop is its scenario Server, one user SingleStream; several users have none and are named
 * so. target_qps is the rate that was asked for, which a closed loop has not. Without an SLA
 * nothing is said about constraints and early stopping, which is satisfied when the SLA is met:
 * LoadGen's rule on effective counts, and the success ratio. */
void ps_load_export_loadgen(const struct ps_load_result *r, size_t tenant, struct ps_strbuf *out);

/* ps_load_export_hdr appends the percentile table of HdrHistogram of one tenant's latency:
 * milliseconds, five steps per half distance. Requests that failed are counted above every value:
 * the table ends where they begin, and says how many there are. */
void ps_load_export_hdr(const struct ps_load_tenant_result *t, struct ps_strbuf *out);

#endif
