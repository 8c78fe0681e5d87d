/* driver_internal.h - the state of a run.   Layer 3. Owned by the running thread. */
#ifndef PS_LOAD_DRIVER_INTERNAL_H
#define PS_LOAD_DRIVER_INTERNAL_H

#include "load/recorder.h"
#include "load/schedule.h"
#include "load/target.h"

struct ps_load_tenant_run;

/* A connection, and the request that is on it. */
struct ps_load_conn {
	struct ps_load_tenant_run *tr;
	struct ps_net_client *client;
	struct ps_net_call call;
	struct ps_evloop_timer pause; /* of a closed loop's user: thinking, or after a failure */
	struct ps_rng think;
	int64_t due_ns; /* monotonic, of what follows the thinking; 0: when the pause is over */
	struct ps_load_conn *next_free;
	uint32_t number;
	int64_t scheduled_ns; /* after the start, as all instants below */
	uint64_t sequence;
	size_t input;
	bool sampled; /* the uncorrected view follows this one */
};

struct ps_load_waiting {
	int64_t scheduled_ns;
	uint64_t sequence;
};

/* A ring of requests that no connection is free for, in order of their instants. */
struct ps_load_ring {
	struct ps_load_waiting *items;
	size_t cap, head, len;
};

struct ps_load_tenant_run {
	struct ps_load_run *run;
	const struct ps_load_tenant *t;
	struct ps_load_tenant_result *r;
	struct ps_load_recorder rec;
	struct ps_load_target target;
	struct ps_load_conn **conns;
	size_t conn_len, conn_max;
	struct ps_load_conn *free; /* last used first: warm, and the others may close in peace */
	struct ps_load_ring waiting;
	struct ps_evloop_timer expiry; /* of the first in `waiting` */
	size_t next_input;
	uint32_t in_flight;
	uint64_t next_sequence; /* of a closed loop */
	bool sample_busy;	/* the sampled request of the uncorrected view is on its way */
};

struct ps_load_run {
	const struct ps_load_plan *plan;
	struct ps_evloop *loop;
	struct ps_load_schedule schedule;
	struct ps_load_tenant_run *tenants;
	size_t tenant_len;
	struct ps_load_result *result;
	struct ps_evloop_timer sender, ticker;
	ps_load_progress_fn *progress;
	void *progress_ctx;
	int64_t start_ns, end_ns; /* monotonic; end of the schedule */
	int64_t timeout_ns;
	int64_t last_latency_ns;
	uint64_t scheduled, done, failed, in_flight, waiting;
	bool cancelled;
	enum ps_status status; /* of the run itself */
};

/* ps_load_sender_start arms the timers and lets closed loops begin at run->start_ns. */
enum ps_status ps_load_sender_start(struct ps_load_run *run);
/* ps_load_sender_finished says whether all that was scheduled has ended. */
bool ps_load_sender_finished(const struct ps_load_run *run);
/* ps_load_conn_new adds a connection to `tr` without connecting. */
enum ps_status ps_load_conn_new(struct ps_load_tenant_run *tr, struct ps_load_conn **ret_conn,
				struct ps_error *err);

#endif
