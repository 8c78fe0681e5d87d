/* plan.h - what a load run shall do.   Layer 3, pure data.
 *
 * The definitions (instants, what counts) stand at the top of load.h. Texts and arrays are borrowed
 * for the time of the run.
 */
#ifndef PS_LOAD_PLAN_H
#define PS_LOAD_PLAN_H

#include "base/cpus.h"
#include "base/error.h"
#include "base/sla.h"
#include "load/arrivals.h"
#include "load/target_spec.h"
#include "model/model.h"

#include <stddef.h>
#include <stdint.h>

#define PS_LOAD_MAX_TENANTS	1024
#define PS_LOAD_MAX_THREADS	64
#define PS_LOAD_MAX_CONNECTIONS 60000 /* per plan */
/* Requests of a tenant that no connection is free for, in each thread; one more is unsent. */
#define PS_LOAD_MAX_WAITING (1u << 20)
/* Single records per tenant, 64 bytes each, taken as they come: room for half as many again as are
 * expected, within these. A closed loop expects nothing and may fill MOST. */
#define PS_LOAD_DEFAULT_RECORDS	   (1u << 20)
#define PS_LOAD_MOST_RECORDS	   (1u << 24)
#define PS_LOAD_MAX_SECONDS	   86400 /* of the per-second series; longer plans are refused */
#define PS_LOAD_DEFAULT_TIMEOUT_NS INT64_C(10000000000)

/* The shape to use for one input instead of what the model declares (-1 counts as 1). */
struct ps_load_shape {
	const char *input;
	int rank;
	int64_t dims[PS_TENSOR_MAX_RANK];
};

/* One tenant's wish. */
struct ps_load_tenant {
	const char *name;    /* label; together with `seed` it names the tenant's random stream */
	const char *origin;  /* where this was written, FILE:LINE:KEY; NULL: in no file */
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
	struct ps_load_target_spec target; /* replicas, protocol, mix, files; zero: none */
};

/* ps_load_tenant_place returns what a refusal names: where the tenant was written, else its name.
 */
static inline const char *ps_load_tenant_place(const struct ps_load_tenant *t)
{
	return t->origin ? t->origin : t->name;
}

struct ps_load_plan {
	const struct ps_load_tenant *tenants;
	size_t tenant_len;
	int64_t warmup_ns;   /* sent, not measured */
	int64_t duration_ns; /* measured; > 0 */
	int64_t timeout_ns;  /* from the scheduled instant; 0: PS_LOAD_DEFAULT_TIMEOUT_NS */
	int64_t spin_ns;     /* busy-wait this long before each instant; 0: none */
	int64_t probe_ns;    /* bare timer probe of this length before the load; 0: none */
	uint64_t seed;
	int threads;	      /* that send; 0: 1. At most PS_LOAD_MAX_THREADS, and no more than an
			       * open loop has connections */
	struct ps_cpus cpus;  /* thread k runs on the k-th of them alone, in turn when there are
			       * fewer; empty: on any */
	int max_connections;  /* per tenant of an open loop, to each replica, all threads together;
			       * 0: 512, or an equal part of PS_LOAD_MAX_CONNECTIONS where that is
			       * less */
	int open_connections; /* opened ahead per tenant; 0: a guess from the rate, at most 64 */
	size_t max_records;   /* per tenant; 0: follows from what is expected. Later requests are
			       * counted in histograms and series, not recorded one by one, and
			       * the run is INVALID */
	bool timestamping;    /* the instants of answers are those at which the kernel had them,
			       * where it says so */
	int look;	      /* from 1, of a load repeated at doubling sizes; 0: the only one */
	bool warmup_auto;     /* the warm-up is found in the data: see warmup.h */
};

/* ps_load_plan_check_names refuses (PS_EINVAL) a tenant without a name, with one that is too long,
 * or with that of an earlier one. ps_load_run does so, too; for who does not run all at once. */
enum ps_status ps_load_plan_check_names(const struct ps_load_plan *plan, struct ps_error *err);

/* How one tenant does at the moment. "Now" is the last whole second (less in the first one). */
struct ps_load_progress_tenant {
	const char *name;	      /* borrowed */
	double rate_rps, goodput_rps; /* sent now; answered well and within the SLA now */
	int64_t p50_ns, p99_ns;	      /* latency of what ended now, to 6 %: PS_HIST_INFINITE when it
				       * falls on a failure, -1 when nothing ended */
	int64_t lag_p99_ns;	      /* send lag of what was sent now; -1: nothing */
	uint64_t scheduled, done, failed; /* so far, warm-up included */
	uint64_t in_flight, waiting;
};

struct ps_load_progress {
	int64_t elapsed_ns, total_ns; /* of warm-up + duration */
	bool draining;		      /* all are sent; the last answers are awaited */
	uint64_t scheduled, done, failed, in_flight, waiting;
	int64_t last_latency_ns;		       /* of the latest success, -1 when none yet */
	const struct ps_load_progress_tenant *tenants; /* in the plan's order */
	size_t tenant_len;
};

/* Called on the thread that called ps_load_run about five times a second; must be quick. Return
 * false to stop: the run ends soon, the result is filled and marked cancelled. */
typedef bool ps_load_progress_fn(void *ctx, const struct ps_load_progress *p);

#endif
