/* load.h - the open-loop load generator and its recorder.   Layer 3.
 *
 * A plan names tenants and what each asks of which server; ps_load_run performs it on the calling
 * thread and fills a result. One thread, non-blocking sockets, no locks.
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
#include "base/json.h"
#include "base/sla.h"
#include "load/arrivals.h"
#include "model/model.h"
#include "stats/stats.h"

#include <stddef.h>
#include <stdint.h>

#define PS_LOAD_MAX_TENANTS	   1024
#define PS_LOAD_MAX_CONNECTIONS	   60000      /* per plan */
#define PS_LOAD_DEFAULT_RECORDS	   (1u << 20) /* per tenant, 64 bytes each, taken as they come */
#define PS_LOAD_MAX_REASONS	   8
#define PS_LOAD_REASON_SIZE	   192
#define PS_LOAD_MAX_SECONDS	   86400 /* of the per-second series; longer plans are refused */
#define PS_LOAD_DEFAULT_TIMEOUT_NS INT64_C(10000000000)

/* The shape to use for one input instead of what the model declares (-1 counts as 1). */
struct ps_load_shape {
	const char *input;
	int rank;
	int64_t dims[PS_TENSOR_MAX_RANK];
};

/* One tenant's wish. Texts are borrowed for the time of the run. */
struct ps_load_tenant {
	const char *name;    /* label; together with `seed` it names the tenant's random stream */
	const char *url;     /* http://HOST[:PORT][/BASE] */
	const char *model;   /* model name */
	const char *version; /* NULL: the server's choice */
	const char *api_key; /* sent as "Authorization: Bearer"; NULL: none */
	struct ps_load_arrival_spec arrival;
	int concurrency;	    /* PS_LOAD_CLOSED: users; PS_LOAD_OFFLINE: requests under way */
	struct ps_load_think think; /* PS_LOAD_CLOSED */
	struct ps_sla sla;	    /* percentile 0: none */
	int batch;		    /* size of a dynamic first dimension; 0: 1 */
	int distinct_inputs; /* different inputs, sent in turn; 0: 8 (fewer when over 64 MiB) */
	bool json_tensors;   /* send tensors as JSON instead of the binary extension */
	bool check_repeats;  /* equal inputs must give bytewise equal outputs (no extra request) */
	uint64_t input_seed; /* of the tensors; 0: follows from the plan's seed and the name */
	const struct ps_load_shape *shapes;
	size_t shape_len;
};

struct ps_load_plan {
	const struct ps_load_tenant *tenants;
	size_t tenant_len;
	int64_t warmup_ns;   /* sent, not measured */
	int64_t duration_ns; /* measured; > 0 */
	int64_t timeout_ns;  /* from the scheduled instant; 0: PS_LOAD_DEFAULT_TIMEOUT_NS */
	int64_t spin_ns;     /* busy-wait this long before each instant; 0: none */
	int64_t probe_ns;    /* bare timer probe of this length before the load; 0: none */
	uint64_t seed;
	int max_connections;  /* per tenant; 0: 512, or the users of a closed loop */
	int open_connections; /* opened ahead per tenant; 0: a guess from the rate, at most 16 */
	size_t max_records;   /* per tenant; 0: PS_LOAD_DEFAULT_RECORDS. Later requests are counted
			       * in histograms and series, not recorded one by one */
	int cpu;	      /* pin the calling thread to this CPU during the run; -1: leave it */
};

/* How a request ended. Every measured request is in exactly one row. */
enum ps_load_outcome {
	PS_LOAD_OK,
	PS_LOAD_TIMEOUT, /* no whole answer within the time-out after the scheduled instant */
	PS_LOAD_CONNECT, /* no connection: refused, unreachable, none in 5 s, no descriptors here */
	PS_LOAD_RESET,	 /* the connection ended before the answer did */
	PS_LOAD_GARBAGE, /* bytes that are no HTTP, or 200 without an Open Inference answer */
	PS_LOAD_REFUSED, /* 429 or 503: the server says that it is too busy */
	PS_LOAD_REJECTED, /* any other status than 200 */
	PS_LOAD_WRONG,	  /* 200, but outputs missing, of wrong type or size, or not repeatable */
	PS_LOAD_UNSENT,	  /* no connection became free within the time-out */
	PS_LOAD_OUTCOME_COUNT
};

/* ps_load_outcome_name returns a stable identifier such as "timeout". */
const char *ps_load_outcome_name(enum ps_load_outcome o);

/* One request. Instants are nanoseconds after the result's start_ns, -1 when it never came to
 * that. */
struct ps_load_record {
	int64_t scheduled_ns, sent_ns, first_byte_ns, done_ns;
	int64_t server_queue_ns, server_compute_ns; /* from Server-Timing; -1 when absent */
	uint32_t connection;			    /* number of the connection within the tenant */
	uint16_t http_status;			    /* 0: none came */
	uint8_t outcome;			    /* enum ps_load_outcome */
	uint8_t warmup;				    /* 1: scheduled before the measured part */
	uint64_t sequence;			    /* number of the arrival within its tenant */
};

/* What was scheduled in one second of the run (index 0 = first second of the measured part). */
struct ps_load_second {
	uint32_t scheduled, sent, ok, failed, good; /* good: ok and inside the SLA's limit */
	int64_t latency_sum_ns, latency_max_ns;	    /* over ok */
};

enum ps_load_sla_verdict {
	PS_LOAD_SLA_NONE, /* no SLA was given */
	PS_LOAD_SLA_MET,
	PS_LOAD_SLA_VIOLATED,
	PS_LOAD_SLA_UNDECIDED, /* needs `sla_needs_more` further requests */
};

/* ps_load_sla_verdict_name returns "none", "met", "violated" or "undecided". */
const char *ps_load_sla_verdict_name(enum ps_load_sla_verdict v);

struct ps_load_tenant_result {
	char name[64];
	/* measured requests */
	uint64_t scheduled, sent, completed; /* completed: an answer came, good or bad */
	uint64_t outcomes[PS_LOAD_OUTCOME_COUNT];
	uint64_t good;	     /* OK and latency <= SLA limit (all OK when there is none) */
	uint64_t late_limit; /* requests that waited for a connection because of the limit */
	uint64_t warmup_scheduled;
	uint64_t bytes_sent, bytes_received; /* bodies */
	int64_t batch;			     /* inferences per request */
	size_t request_bytes;		     /* body of one request */
	uint64_t connections;		     /* the most that were used at once */
	uint32_t peak_in_flight;	     /* sent, unanswered; warm-up included */

	double offered_rps;    /* scheduled / duration */
	double achieved_rps;   /* sent / duration */
	double throughput_rps; /* OK / time to the last of them: >= duration */
	double goodput_rps;    /* good / duration */
	double success_ratio;  /* OK / scheduled */

	struct ps_hist latency;		/* done - scheduled; `lost`: all that are not OK */
	struct ps_hist service_latency; /* OK only: done - sent */
	struct ps_hist send_lag;	/* all sent: sent - scheduled */
	struct ps_hist first_byte;	/* OK only: first byte - scheduled */
	struct ps_hist uncorrected;	/* see the top of this file */
	struct ps_hist server_queue, server_compute; /* of the answers that said so */

	double effective_ratio;	     /* independent samples per sample near the judged percentile */
	struct ps_stats_trend trend; /* of latency over the schedule; failed ones at the time-out */
	bool unsteady; /* a trend that is significant and matters in size: see judge.h */
	struct ps_stats_time_quantile p50, p95, p99; /* of `latency`, intervals of 95 % */

	enum ps_load_sla_verdict sla_verdict;
	struct ps_stats_time_quantile sla_quantile; /* the SLA's own; p = 0 when none */
	double violating_ratio;			    /* not good / scheduled */
	uint64_t sla_needs_more;

	bool valid;
	char reasons[PS_LOAD_MAX_REASONS][PS_LOAD_REASON_SIZE]; /* why not: see reason.h */
	int reason_len;

	char first_failure[256]; /* text of the first failure: server's error, reset, ... */

	struct ps_load_record *records; /* in order of their end; warm-up included */
	size_t record_len;
	uint64_t records_dropped; /* over the limit of records */
	struct ps_load_second *seconds;
	size_t second_len;
};

struct ps_load_result {
	int64_t start_ns; /* CLOCK_MONOTONIC instant of the first possible arrival (warm-up) */
	int64_t wall_ns;  /* the same on the wall clock */
	int64_t warmup_ns, duration_ns;
	int64_t end_ns; /* monotonic, when the last answer was in or given up */
	int64_t cpu_ns; /* CPU time of the calling thread between start and end */
	int64_t clock_step_ns, clock_cost_ns;
	int64_t timer_slack_ns; /* as set during the run; -1: the system refused */
	int cpu;		/* pinned to; -1: not */
	struct ps_hist probe;	/* lateness of a bare timer of this process before the load; count 0
				 * when no probe was asked for */
	struct ps_load_tenant_result *tenants; /* as in the plan */
	size_t tenant_len;
	bool valid;	/* all tenants are */
	bool cancelled; /* the progress callback asked to stop: never valid */
	uint64_t seed;
};

struct ps_load_progress {
	int64_t elapsed_ns, total_ns; /* of warm-up + duration */
	bool draining;		      /* all are sent; the last answers are awaited */
	uint64_t scheduled, done, failed, in_flight, waiting;
	int64_t last_latency_ns; /* of the latest success, -1 when none yet */
};

/* Called on the running thread about five times a second; must be quick. Return false to stop: the
 * run ends soon, the result is filled and marked cancelled. */
typedef bool ps_load_progress_fn(void *ctx, const struct ps_load_progress *p);

/* ps_load_run asks each tenant's server for the model's metadata, makes inputs, opens connections,
 * runs the plan and judges it. Blocks for warm-up + duration + at most the time-out, and a moment
 * before for metadata and connections (bounded by the time-out too). Several runs may go on in
 * different threads. `progress` may be NULL.
 * PS_EINVAL (plan: rates, durations, names, unusable shapes; `where` is the tenant), PS_ENOTFOUND /
 * PS_EUNAUTH / ... (the server's refusal of the metadata), PS_EUNAVAIL (no connection), PS_ENOMEM.
 * Failures of requests are results, not errors. On PS_OK the caller calls ps_load_result_fini. */
enum ps_status ps_load_run(const struct ps_load_plan *plan, ps_load_progress_fn *progress,
			   void *ctx, struct ps_load_result *ret_result, struct ps_error *err);

/* ps_load_result_fini frees what a filled result owns. */
void ps_load_result_fini(struct ps_load_result *r);

/* ps_load_quantile_ok returns the p-quantile of latency over the successes alone, 0 when there are
 * none: what a tool that drops failures would print. Beside, never instead. */
int64_t ps_load_quantile_ok(const struct ps_load_tenant_result *t, double p);

/* ps_load_result_json returns a new JSON object with everything but the single records (times in
 * milliseconds with a unit in each name; "never" percentiles are null). The caller decrefs. */
json_t *ps_load_result_json(const struct ps_load_result *r);

#endif
