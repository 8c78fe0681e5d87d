/* result.h - what a load run found.   Layer 3, pure data.
 *
 * The definitions (instants, latency, what counts) stand at the top of load.h. A result is filled
 * by ps_load_run and judged by judge.h; everything that prints or exports it (result.c, export.h,
 * request_log.h) only reads it.
 */
#ifndef PS_LOAD_RESULT_H
#define PS_LOAD_RESULT_H

#include "base/cpus.h"
#include "base/json.h"
#include "base/sla.h"
#include "load/machine.h"
#include "load/notes.h"
#include "stats/stats.h"

#include <stddef.h>
#include <stdint.h>

#define PS_LOAD_MAX_REASONS 8
#define PS_LOAD_REASON_SIZE 192
#define PS_LOAD_MAX_NOTES   8
#define PS_LOAD_CLOCK	    "CLOCK_MONOTONIC, from the scheduled instant"

/* The version of the JSON form (docs/load-result.schema.json). Fields may be added within a
 * version; one that goes or changes its meaning makes the next version. */
#define PS_LOAD_RESULT_VERSION 1

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
	int64_t waited_ns;    /* for a worker of a model in this process: no part of the send lag */
	uint32_t connection;  /* number of the connection within the tenant */
	uint16_t http_status; /* 0: none came */
	uint8_t outcome;      /* enum ps_load_outcome */
	uint8_t warmup : 1;   /* scheduled before the measured part */
	uint8_t sampled : 1;  /* belongs to the uncorrected view */
	uint8_t kernel : 1;   /* first byte and done are the kernel's instants */
	uint64_t sequence;    /* number of the arrival within its tenant */
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

/* Little's law, at run time: requests in flight, as the sender counted them over the time of the
 * run, against rate x time in the system, as the recorder has them. */
struct ps_load_little {
	double in_flight;      /* mean over time */
	double throughput_rps; /* of what was sent and ended */
	double latency_ns;     /* mean of done - sent */
	double difference;     /* |in_flight - product| / product */
	bool checked;	       /* false: too little to check, or cancelled */
};

struct ps_load_tenant_result {
	char name[64];
	struct ps_sla sla;   /* as in the plan */
	int users;	     /* of a closed loop; 0: an open one */
	const char *arrival; /* name of the arrival process, static; NULL: not judged yet */
	/* measured requests */
	uint64_t scheduled, sent, completed; /* completed: an answer came, good or bad */
	uint64_t outcomes[PS_LOAD_OUTCOME_COUNT];
	uint64_t good;	     /* OK and latency <= SLA limit (all OK when there is none) */
	uint64_t late_limit; /* requests that waited: all connections, streams that the server
			      * allows on them, or workers were in use */
	uint64_t warmup_scheduled;
	uint64_t bytes_sent, bytes_received; /* bodies */
	double batch;			     /* inferences per request; of a mix their mean */
	size_t request_bytes;		     /* body of one request */
	uint64_t connections;		     /* the most that were used at once */
	uint32_t peak_in_flight; /* sent, unanswered; warm-up included. Of several threads
				  * the sum of each one's: at most so many at once */

	uint64_t kernel_stamped; /* answers whose instants are the kernel's */
	uint64_t sent_after;	 /* sent more than 1 % of the duration after the end */
	struct ps_load_little little;

	struct ps_load_notes notes;	/* what else the answers said */
	unsigned metadata_changes;	/* of the model, seen in the run: never valid */
	unsigned metadata_unseen;	/* of its models at its replicas, not seen again after it */
	char metadata_change_text[256]; /* the first one */
	size_t replica_len;		/* of the servers, as in the plan */
	const char *replicas[PS_LOAD_MAX_REPLICAS]; /* their URLs; borrowed from the plan */

	double asked_rps;      /* what the arrivals amount to over the measured part of the plan;
				* 0: a closed loop, which asks for none */
	double offered_rps;    /* scheduled / duration */
	double achieved_rps;   /* sent / time to the last of them: >= duration */
	double throughput_rps; /* OK / time to the last of them: >= duration; of a closed loop with
				* a warm-up OK / duration */
	double goodput_rps;    /* good / the time of throughput_rps */
	double success_ratio;  /* OK / scheduled */

	struct ps_hist latency;		/* done - scheduled; `lost`: all that are not OK */
	struct ps_hist service_latency; /* OK only: done - sent */
	struct ps_hist send_lag;	/* all sent: sent - scheduled - waited_ns */
	struct ps_hist first_byte;	/* OK only: first byte - scheduled */
	struct ps_hist uncorrected;	/* see the top of load.h */
	struct ps_hist server_queue, server_compute; /* of the answers that said so */

	double effective_ratio;	     /* independent samples per sample near the judged percentile */
	struct ps_stats_trend trend; /* of latency over the schedule; failed ones at the time-out */
	bool unsteady; /* a trend that is significant and matters in size: see judge.h */
	/* Of `latency`, intervals of 95 %, each on its own effective count. */
	struct ps_stats_time_quantile p50, p90, p95, p99, p99_9;

	enum ps_load_sla_verdict sla_verdict;
	struct ps_stats_time_quantile sla_quantile; /* the SLA's own; p = 0 when none */
	double violating_ratio;			    /* not good / scheduled */
	uint64_t sla_needs_more; /* undecided: good requests that would decide; 0: nothing would */

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
	/* as cut, when the warm-up was found in the data; of a cancelled run, what was measured */
	int64_t warmup_ns, duration_ns;
	int look;	   /* which of several, as in the plan; 0: the only one */
	bool warmup_found; /* the warm-up was cut by MSER-5: see warmup.h */
	int64_t end_ns;	   /* monotonic, when the last answer was in or given up */
	int64_t cpu_ns;	   /* CPU time of the sending threads between start and end */
	int64_t clock_step_ns, clock_cost_ns;
	int64_t timer_slack_ns; /* as set during the run; -1: the system refused */
	int threads;		/* that sent */
	struct ps_cpus cpus;	/* theirs; empty: any */
	struct ps_hist probe;	/* lateness of a bare timer of this process before the load; count 0
				 * when no probe was asked for */
	struct ps_load_tenant_result *tenants; /* as in the plan */
	size_t tenant_len;
	struct ps_load_machine machine; /* what else the machine did: see machine.h */
	char notes[PS_LOAD_MAX_NOTES][PS_LOAD_REASON_SIZE]; /* worth knowing, not against it */
	int note_len;
	bool valid;	/* all tenants are */
	bool cancelled; /* the progress callback asked to stop: never valid */
	uint64_t seed;
};

/* ps_load_tenant_result_fini frees what one tenant's part owns; a zeroed one may be passed. */
void ps_load_tenant_result_fini(struct ps_load_tenant_result *t);
/* ps_load_result_fini frees what a filled result owns. */
void ps_load_result_fini(struct ps_load_result *r);

/* ps_load_max_ns returns the largest latency: PS_HIST_INFINITE when a measured request failed, 0
 * when there were none. */
int64_t ps_load_max_ns(const struct ps_load_tenant_result *t);

/* ps_load_quantile_ok returns the p-quantile of latency over the successes alone, 0 when there are
 * none: what a tool that drops failures would print. Beside, never instead. */
int64_t ps_load_quantile_ok(const struct ps_load_tenant_result *t, double p);

/* ps_load_result_json returns a new JSON object with everything but the single records (times in
 * milliseconds with a unit in each name; "never" percentiles are null), as
 * docs/load-result.schema.json describes it. The caller decrefs. */
json_t *ps_load_result_json(const struct ps_load_result *r);

#endif
