/* dispatch.h - the policy of the server as one state machine.   Layer 4, pure. Uses base, tenancy,
 * repo, sched.
 *
 * Events come in as calls, actions go out as values; nothing here waits, reads a clock or does I/O.
 * serve/ performs the actions with sockets and lanes, sim/ performs the same ones in virtual time.
 * Not thread-safe: one mutex of the caller, held for each call; each is O(log n) or better.
 *
 *   event             call                      actions that may come back
 *   arrival           ps_dispatch_arrive        WAKE a lane, or nothing; a refusal is the status
 *   lane free         ps_dispatch_lane_free     RUN the next request, or nothing: the lane is idle
 *   run ended         ps_dispatch_finish        none: it fills the account
 *   load done         ps_dispatch_load_done     LOAD the next model
 *   tick              ps_dispatch_tick          EXPIRE a waiting request, CANCEL a running one
 *   client gone       ps_dispatch_cancel        DROP a waiting request, CANCEL a running one
 *   drain             ps_dispatch_drain         none; new requests are refused from now on
 *
 * A request:
 *
 *      NEW --arrive--> WAITING --lane free--> RUNNING --finish--> DONE
 *       |                 |  \
 *       |                 |   +--tick, cancel--> DONE
 *       +--refused-------------------------------> DONE
 */
#ifndef PS_DISPATCH_DISPATCH_H
#define PS_DISPATCH_DISPATCH_H

#include "base/error.h"
#include "base/heap.h"
#include "repo/repo.h"
#include "sched/sched.h"
#include "tenancy/tenancy.h"

#include <stdint.h>

#define PS_DISPATCH_MAX_LANES 256

enum ps_dispatch_state {
	PS_DISPATCH_NEW,
	PS_DISPATCH_WAITING,
	PS_DISPATCH_RUNNING,
	PS_DISPATCH_DONE,
};

/* The account of one request: whoever counts, logs or bills reads this struct. Instants are
 * monotonic ns, 0 while they have not come. */
struct ps_dispatch_account {
	int tenant, model;
	enum ps_status status; /* how it ended */
	int64_t received_ns;   /* the request was complete, body included */
	int64_t admitted_ns;
	int64_t started_ns;  /* a lane took it */
	int64_t finished_ns; /* the lane was done with it */
	int64_t sent_ns;     /* the last byte of the answer went to the kernel */
};

/* One request, embedded in the caller's own. Everything but `deadline_ns` and account.received_ns,
 * account.sent_ns belongs to dispatch/ from arrive until the request is DONE. */
struct ps_dispatch_request {
	struct ps_sched_item item;
	struct ps_heap_node deadline;
	int64_t deadline_ns; /* 0: none. Set by the caller before arrive */
	enum ps_dispatch_state state;
	enum ps_status stopped; /* while running: why it was cancelled; PS_OK when it was not */
	int lane;		/* while running, else -1 */
	struct ps_dispatch_account account;
};

enum ps_dispatch_action_kind {
	PS_DISPATCH_NOTHING,
	PS_DISPATCH_WAKE,   /* a lane is idle and a request waits: let one ask (lane_free) */
	PS_DISPATCH_RUN,    /* run `request` on `lane`; finish follows */
	PS_DISPATCH_DROP,   /* `request` is DONE without an answer: nobody is there to read it */
	PS_DISPATCH_EXPIRE, /* `request` is DONE: answer it with PS_EDEADLINE */
	PS_DISPATCH_CANCEL, /* tell the engine to stop `request` on `lane`; finish still follows
			     */
	PS_DISPATCH_LOAD,   /* load `model`; load_done follows */
};

struct ps_dispatch_action {
	enum ps_dispatch_action_kind kind;
	int lane, model;
	struct ps_dispatch_request *request;
};

/* Per tenant and model, since start. */
struct ps_dispatch_counters {
	int64_t arrived, admitted, completed;		     /* completed: with PS_OK */
	int64_t refused_quota, refused_unavailable, expired; /* before they ran */
	int64_t failed, cancelled;
	int64_t queue_ns, compute_ns; /* sums over requests that ran */
};

struct ps_dispatch_config {
	const struct ps_tenancy *tenancy; /* borrowed, outlives the dispatcher */
	struct ps_repo *repo;		  /* borrowed; changed only through the dispatcher */
	int n_lanes;			  /* 1..PS_DISPATCH_MAX_LANES */
};

struct ps_dispatch;

/* ps_dispatch_new makes the machine with all lanes idle and no model loaded. PS_EINVAL, PS_ENOMEM.
 */
enum ps_status ps_dispatch_new(const struct ps_dispatch_config *config,
			       struct ps_dispatch **ret_dispatch, struct ps_error *err);
/* ps_dispatch_free frees it; no request may be waiting or running. NULL is fine. */
void ps_dispatch_free(struct ps_dispatch *d);

/* ps_dispatch_resolve turns a name and a version (0: the highest) into a model that the tenant may
 * see. PS_ENOTFOUND, in the same words for unknown models and for those of others. */
enum ps_status ps_dispatch_resolve(const struct ps_dispatch *d, int tenant, const char *name,
				   size_t name_len, int64_t version, int *ret_model,
				   struct ps_error *err);

/* ps_dispatch_request_init prepares a request of a tenant for a model. */
void ps_dispatch_request_init(struct ps_dispatch_request *r, int tenant, int model);

/* ps_dispatch_arrive admits a request, or refuses it at once (then it is DONE): PS_EUNAVAIL
 * (draining, model not ready), PS_EQUOTA (the tenant's queue is full), PS_EDEADLINE (already
 * past), PS_ENOMEM. *ret_action is WAKE when a lane is idle, else NOTHING. `err` may be NULL. */
enum ps_status ps_dispatch_arrive(struct ps_dispatch *d, struct ps_dispatch_request *r,
				  int64_t now_ns, struct ps_dispatch_action *ret_action,
				  struct ps_error *err);

/* ps_dispatch_lane_free says that `lane` runs nothing and returns RUN with the request whose turn
 * it is, or NOTHING: the lane is idle until an arrival says WAKE. A waiting request whose deadline
 * has passed is never run: tick reports it. */
struct ps_dispatch_action ps_dispatch_lane_free(struct ps_dispatch *d, int lane, int64_t now_ns);

/* ps_dispatch_finish says that a running request has ended with `status`; it is DONE. The instants
 * are those of the run itself. The status that counts is in its account: PS_ECANCELLED for a
 * cancelled request, PS_EDEADLINE when tick cancelled it. */
void ps_dispatch_finish(struct ps_dispatch *d, struct ps_dispatch_request *r, enum ps_status status,
			int64_t started_ns, int64_t finished_ns);

/* ps_dispatch_cancel says that nobody waits for the answer any more. Returns DROP, CANCEL, or
 * NOTHING when it is DONE or cancelled already. */
struct ps_dispatch_action ps_dispatch_cancel(struct ps_dispatch *d, struct ps_dispatch_request *r,
					     int64_t now_ns);

/* ps_dispatch_tick returns one action for a request whose deadline has passed, or NOTHING; call
 * until NOTHING. */
struct ps_dispatch_action ps_dispatch_tick(struct ps_dispatch *d, int64_t now_ns);
/* ps_dispatch_next_deadline_ns returns when tick is due next, or INT64_MAX. */
int64_t ps_dispatch_next_deadline_ns(const struct ps_dispatch *d);

/* ps_dispatch_load_next returns LOAD for the next unloaded model, or NOTHING: one at a time, so
 * that the transient memory of loading never adds up. */
struct ps_dispatch_action ps_dispatch_load_next(struct ps_dispatch *d);
/* ps_dispatch_load_done makes the model READY (status PS_OK) or FAILED (then `why` is kept), and
 * returns the next LOAD or NOTHING. */
struct ps_dispatch_action ps_dispatch_load_done(struct ps_dispatch *d, int model,
						enum ps_status status, const struct ps_error *why);

/* ps_dispatch_drain refuses every later arrival with PS_EUNAVAIL; what was admitted is finished. */
void ps_dispatch_drain(struct ps_dispatch *d);
/* ps_dispatch_drained says whether nothing waits or runs after drain. */
bool ps_dispatch_drained(const struct ps_dispatch *d);
/* ps_dispatch_ready says whether every model is READY and it is not draining. */
bool ps_dispatch_ready(const struct ps_dispatch *d);

/* ps_dispatch_waiting returns how many requests of a tenant wait. */
int64_t ps_dispatch_waiting(const struct ps_dispatch *d, int tenant);
/* ps_dispatch_running returns how many requests run. */
int ps_dispatch_running(const struct ps_dispatch *d);
/* ps_dispatch_retry_after_ns estimates when the tenant's queue will have room: what waits in it,
 * times the mean time that recent requests took, over the lanes. */
int64_t ps_dispatch_retry_after_ns(const struct ps_dispatch *d, int tenant);
/* ps_dispatch_counters_get copies the counters of a tenant and model. */
void ps_dispatch_counters_get(const struct ps_dispatch *d, int tenant, int model,
			      struct ps_dispatch_counters *ret_counters);
/* ps_dispatch_repo borrows the repository, to read. */
const struct ps_repo *ps_dispatch_repo(const struct ps_dispatch *d);
/* ps_dispatch_tenancy borrows the tenants. */
const struct ps_tenancy *ps_dispatch_tenancy(const struct ps_dispatch *d);

#endif
