/* load.h - the open-loop load generator.   Layer 3. What a run shall do: load/plan.h. What comes
 * out of it, and how that is named: load/result.h.
 *
 * A plan names tenants and what each asks of which server; ps_load_run performs it and fills a
 * result. The calling thread sends, and further ones when the plan asks for them: arrival number n
 * of a tenant is sent by thread n mod threads, which has its own connections, loop and recorder. No
 * lock is taken per request; the recorders are merged at the end without loss.
 *
 * Open loop is open. All arrivals of all tenants lie on one absolute schedule that follows from the
 * plan and its seed alone; nothing that a server does moves it. A request that finds no free
 * connection (limit) waits with its scheduled instant, and the wait is part of its latency.
 *
 * Four instants per request: scheduled, sent (just before the kernel is given its first byte),
 * first byte (of the answer), done. latency = done - scheduled, service latency = done -
 * sent, send lag = sent - scheduled. In a closed loop `scheduled` is the instant at which the user
 * was free to ask.
 *
 * What counts. The measured requests are those scheduled in [warmup, warmup + duration). Each ends
 * exactly once, in one outcome. Percentiles are taken over ALL measured requests: one that failed,
 * timed out or was never sent sorts at +infinity (`lost` in the histogram, PS_HIST_INFINITE as a
 * percentile), never at a made-up number: the p99 of a run with 2 % failures is infinite. Rule:
 * PS_STATS_QUANTILE_RULE. ps_load_quantile_ok gives the value over the successes alone, beside.
 *
 * The `uncorrected` histogram is what a client would have seen who asks again only after the last
 * answer (service latency of those requests that found the tenant's previous sampled one answered):
 * it shows how much a closed-loop tool would have hidden. It is never judged.
 */
#ifndef PS_LOAD_LOAD_H
#define PS_LOAD_LOAD_H

#include "base/error.h"
#include "load/plan.h"
#include "load/result.h"

/* ps_load_run asks each tenant's server for the model's metadata, makes inputs, opens connections,
 * runs the plan and judges it. Blocks for warm-up + duration + at most the time-out, and a moment
 * before for metadata and connections (bounded by the time-out too). Several runs may go on in
 * different threads. `progress` may be NULL.
 * PS_EINVAL (plan: rates, durations, names, unusable shapes; `where` is ps_load_tenant_place),
 * PS_ENOTFOUND / PS_EUNAUTH / ... (the server's refusal of the metadata), PS_EUNAVAIL (no
 * connection), PS_ENOMEM. Failures of requests are results, not errors. On PS_OK the caller calls
 * ps_load_result_fini. */
enum ps_status ps_load_run(const struct ps_load_plan *plan, ps_load_progress_fn *progress,
			   void *ctx, struct ps_load_result *ret_result, struct ps_error *err);

/* ps_load_users returns the users of a closed loop, 0 for an open one. */
int ps_load_users(const struct ps_load_tenant *t);

#endif
