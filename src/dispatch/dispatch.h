/* dispatch.h - the policy of the server as one state machine.   Layer 4, pure. Uses base, tenancy,
 * repo, sched, cache.
 *
 * Events come in as calls, actions go out as values; nothing here waits, reads a clock or does I/O.
 * serve/ performs the actions with sockets and lanes, sim/ performs the same ones in virtual time.
 * Not thread-safe: one mutex of the caller, held for each call; each is O(log n) in what waits,
 * plus O(k) for the k tenants that have something waiting where admission plays the backlog
 * forward.
 *
 *   event             call                      actions that may come back
 *   arrival           ps_dispatch_arrive        WAKE a lane, RUN at once where it arrived, or
 *                                               nothing; a refusal is the status
 *   lane free         ps_dispatch_lane_free     RUN the next batch, or nothing: the lane is idle
 *   run ended         ps_dispatch_finish        WAKE when work waits and a lane is idle
 *   tick              ps_dispatch_tick          EXPIRE a waiting request, CANCEL a run, WAKE a
 *                                               lane for a batch that has waited long enough
 *   client gone       ps_dispatch_cancel        DROP a waiting request, CANCEL a run that nobody
 *                                               in its batch wants any more
 *   loading           ps_dispatch_load_next     LOAD or UNLOAD an instance
 *                     ps_dispatch_load_done
 *   no instance yet   ps_dispatch_await         a refusal is the status; else RESUME or REFUSE
 *                                               comes of tick
 *   memory            ps_dispatch_make_room     LOAD, OPEN and UNLOAD come of load_next
 *   new tenants       ps_dispatch_set_tenancy   none: what waits keeps its place
 *   drain             ps_dispatch_drain         none; new requests are refused from now on
 *
 * A request:
 *
 *      NEW --arrive--> WAITING --lane free--> RUNNING --finish--> DONE
 *      ^| |               |  \
 *      || |               |   +--tick, cancel--> DONE
 *      || +--refused-----------------------------> DONE
 *      |+--await--> PARKED --tick (REFUSE), cancel--> DONE
 *      +--RESUME------+
 *
 * Requests for the same instance whose `shape_key`s agree may run as one batch; its cost is split
 * over the requests by rows.
 */
#ifndef PS_DISPATCH_DISPATCH_H
#define PS_DISPATCH_DISPATCH_H

#include "base/error.h"
#include "base/heap.h"
#include "cache/cache.h"
#include "repo/repo.h"
#include "sched/sched.h"
#include "tenancy/tenancy.h"

#include <stdint.h>

#define PS_DISPATCH_MAX_LANES 256

enum ps_dispatch_state {
	PS_DISPATCH_NEW,
	PS_DISPATCH_PARKED, /* waits for its model to be loaded */
	PS_DISPATCH_WAITING,
	PS_DISPATCH_RUNNING,
	PS_DISPATCH_DONE,
};

/* What tick is about to say of a parked request. */
enum ps_dispatch_told { PS_DISPATCH_UNTOLD, PS_DISPATCH_GOES_ON, PS_DISPATCH_IS_REFUSED };

/* Why a request got no answer of the model: finer than its status, for metrics and messages. */
enum ps_dispatch_reason {
	PS_DISPATCH_REASON_NONE,
	PS_DISPATCH_REASON_RATE,	/* EQUOTA: the tenant's requests per second */
	PS_DISPATCH_REASON_CONCURRENCY, /* EQUOTA: the tenant's requests at the same time */
	PS_DISPATCH_REASON_QUEUE,	/* EQUOTA: the tenant's queue is full */
	PS_DISPATCH_REASON_FULL,	/* EUNAVAIL: the machine's queue is full */
	PS_DISPATCH_REASON_MODEL_QUEUE, /* EUNAVAIL: as many of the tenant wait for the model as
					 * its configuration lets */
	PS_DISPATCH_REASON_NOT_READY,	/* EUNAVAIL: the model is not loaded */
	PS_DISPATCH_REASON_LOADING,	/* EUNAVAIL: it is not loaded in time, or cannot be */
	PS_DISPATCH_REASON_DRAINING,	/* EUNAVAIL: the server shuts down */
	PS_DISPATCH_REASON_DEADLINE,	/* EDEADLINE: refused at arrival, it could not be met */
	PS_DISPATCH_REASON_EXPIRED,	/* EDEADLINE: passed while it waited or ran */
	PS_DISPATCH_REASON_CANCELLED,	/* ECANCELLED: nobody waits for the answer */
	PS_DISPATCH_REASON_FAILED,	/* the engine failed */
	PS_DISPATCH_REASON_COUNT
};

/* ps_dispatch_reason_name returns "rate", "queue", ...: a metric's label. */
const char *ps_dispatch_reason_name(enum ps_dispatch_reason r);

/* The account of one request: whoever counts, logs or bills reads this struct. Instants are
 * monotonic ns, 0 while they have not come. */
struct ps_dispatch_account {
	int tenant, model;
	enum ps_status status; /* how it ended */
	enum ps_dispatch_reason reason;
	int64_t received_ns;  /* the request was complete, body included. Caller's */
	int64_t load_wait_ns; /* that it waited for its model to be loaded. Caller's */
	int64_t admitted_ns;
	int64_t started_ns;   /* a lane took it */
	int64_t input_ns;     /* its inputs stood ready for the engine. Caller's, before finish */
	int64_t computed_ns;  /* the engine had returned. Caller's, before finish */
	int64_t finished_ns;  /* the lane was done with it */
	int64_t sent_ns;      /* the last byte of the answer went to the kernel. Caller's */
	int64_t rows;	      /* of this request */
	int64_t batch_rows;   /* of the batch that it ran in */
	int64_t cost_ns;      /* its share: lane time x CPUs held x rows / batch rows */
	int64_t deadline_ns;  /* that it was held to; 0: none */
	int64_t predicted_ns; /* when admission expected it to finish; 0: not asked */
};

struct ps_dispatch_request;

/* One run. It lives in the first request of the batch, from RUN until that request's memory goes.
 */
struct ps_dispatch_batch {
	struct ps_dispatch_request *first; /* the requests, linked by `batch_next` */
	int n;
	int64_t rows;
	int lane, instance; /* instance: repo's number; held until finish */
	int width;	    /* CPUs that the run holds: 1 narrow, more wide */
	bool here;	    /* RUN came from arrive: the caller runs it on its own thread */
	bool cancelled;	    /* CANCEL was given out */
};

/* One request, embedded in the caller's own. The caller sets the first block before arrive; the
 * rest belongs to dispatch/ from arrive until the request is DONE. */
struct ps_dispatch_request {
	int tenant, model;
	int64_t rows;		/* along the batch axis, >= 1 */
	uint64_t shape_key;	/* equal keys of one instance may share a batch */
	int64_t deadline_ns;	/* 0: the tenant's SLA for this model says (none: no deadline) */
	int64_t timeout_ns;	/* that its client asks for; 0: none. Where the model bounds how
				 * long requests wait it counts as its configuration says; else it
				 * is a deadline */
	int level;		/* priority within the tenant: 1 is first, 0 the default */
	int64_t delivery_ns;	/* of the time to the deadline, how much goes by outside of runs and
				 * queues: admission and order keep it free, up to a tenth */
	bool paid;		/* it was parked: its quota is used already */
	bool no_deadline_check; /* admit it even when its deadline cannot be met */
	bool soft_deadline;	/* a run goes on when the deadline passes. Set by arrive where the
				 * deadline is the SLA's: a late answer is worth more than none */

	int64_t start_by_ns; /* how long it may wait; 0: no such bound */
	bool put_off;	     /* then it goes to the end of its level; else it is refused */
	int queue;	     /* level under which it is counted while it waits */
	bool counted;
	struct ps_sched_item item;
	struct ps_heap_node deadline; /* the next of its instants */
	enum ps_dispatch_state state;
	enum ps_status stopped; /* while running: why it is not wanted any more; PS_OK: it is */
	int instance;		/* held from arrive to DONE; -1: none */
	struct ps_dispatch_batch *in;	/* while running */
	struct ps_dispatch_batch batch; /* used when this request is the first of its batch */
	struct ps_dispatch_request *batch_next;
	int parked_for; /* while parked: what it waits for */
	enum ps_dispatch_told told;
	int64_t parked_ns;
	struct ps_dispatch_request *park_next, *park_prev;
	struct ps_dispatch_account account;
};

enum ps_dispatch_action_kind {
	PS_DISPATCH_NOTHING,
	PS_DISPATCH_WAKE,    /* a lane is idle and a batch can run: let one ask (lane_free) */
	PS_DISPATCH_RUN,     /* run `batch` on `batch->lane`; finish follows */
	PS_DISPATCH_DROP,    /* `request` is DONE without an answer: nobody is there to read it */
	PS_DISPATCH_EXPIRE,  /* `request` is DONE: answer it with PS_EDEADLINE */
	PS_DISPATCH_CANCEL,  /* tell the engine to stop `batch`; finish still follows */
	PS_DISPATCH_LOAD,    /* load `instance`; load_done follows */
	PS_DISPATCH_OPEN,    /* there is room for `instance`, which was reserved: go on with it */
	PS_DISPATCH_NO_ROOM, /* there was none for `instance` in time: load_done with an error */
	PS_DISPATCH_UNLOAD,  /* close `instance`: nobody uses it; ps_dispatch_unload_done follows */
	PS_DISPATCH_LOADS,   /* call ps_dispatch_make_room and load_next */
	PS_DISPATCH_PLAN,    /* run `plan` (ps_cache_job_run), without the mutex; planned follows */
	PS_DISPATCH_RESUME,  /* the model of `request`, which is NEW again, is there: prepare it
			      * anew, with `paid`; then ps_dispatch_resumed */
	PS_DISPATCH_REFUSE,  /* `request` is DONE: answer it with its account's status and `why` */
};

struct ps_dispatch_action {
	enum ps_dispatch_action_kind kind;
	bool wake;   /* besides: another lane is idle and another batch can run, as with WAKE */
	int to_lane; /* WAKE, wake: the lane that should ask, from 1 on; 0: any */
	int instance;
	struct ps_dispatch_batch *batch;
	struct ps_dispatch_request *request;
	const struct ps_error *why; /* REFUSE: borrowed until the next call */
	struct ps_cache_job *plan;  /* PLAN: dispatch's still, */
	uint64_t plan_number;	    /* and its number, for planned */
	int64_t wait_ns;	    /* REFUSE: when to come again; 0: unknown */
};

/* A budget of memory for loaded models. With one, what is wanted is loaded by its first request and
 * evicted when others need its room; else what is wanted is loaded and stays. */
struct ps_dispatch_memory {
	int64_t budget_bytes; /* 0: none */
	enum ps_cache_kind policy;
	int64_t epoch_ns;	  /* the policy decides, and demand is halved, so often */
	int64_t min_residency_ns; /* what is loaded stays so long at least */
	int64_t load_timeout_ns;  /* nobody waits longer for a load; 0: for ever */
	uint64_t seed;		  /* of the policy's draws */
	int64_t load_pause_ns;	  /* no try so long after PS_DISPATCH_MAX_FAILURES in a row */
	/* Whether the first load of a model's file converts it, by its path: for forecasts before
	 * anything is known of the file. NULL: none does. */
	bool (*converts)(const char *path);
};

#define PS_DISPATCH_MAX_FAILURES 3

struct ps_dispatch_config {
	const struct ps_tenancy *tenancy; /* borrowed until set_tenancy replaces it */
	struct ps_repo *repo;		  /* borrowed; changed under the caller's mutex only */
	int n_lanes;			  /* 1..PS_DISPATCH_MAX_LANES */
	int reserve_lanes;		  /* lanes that only the guaranteed class may use */
	int cpus;			  /* CPUs of the budget: the width of a wide run */
	bool wide;			  /* every run is wide */
	bool auto_width;		  /* wide when nothing else runs and, by what was learned,
					   * all are done sooner so; else narrow */
	double best_effort_floor;	  /* share of lane time that best-effort gets when it waits,
					   * 0..0.5 */
	int64_t max_waiting; /* requests of all tenants; more is PS_EUNAVAIL. 0: none */
	int64_t here_max_ns; /* a run whose learned p90 is at most this may be executed
			      * where it arrived, when a lane is idle; 0: never */
	int64_t cache_bytes; /* as in sched.h: of each lane's CPU; 0: lanes are alike */
	struct ps_dispatch_memory memory;
};

struct ps_dispatch;

/* ps_dispatch_new makes the machine with all lanes idle. PS_EINVAL, PS_ENOMEM. */
enum ps_status ps_dispatch_new(const struct ps_dispatch_config *config,
			       struct ps_dispatch **ret_dispatch, struct ps_error *err);
/* ps_dispatch_free frees it; no request may be waiting or running. NULL is fine. */
void ps_dispatch_free(struct ps_dispatch *d);
/* ps_dispatch_set_tenancy swaps the tenants (numbers of names that stay are the same: tenancy.h).
 * What waits and runs goes on under the new weights and limits; tenants that are gone keep what
 * they have waiting and get nothing new in. PS_ENOMEM: nothing has changed. */
enum ps_status ps_dispatch_set_tenancy(struct ps_dispatch *d, const struct ps_tenancy *tenancy);

/* ps_dispatch_resolve turns a name and a version (0: the served default, by the model's traffic
 * split when it has one) into a model that the tenant may see. PS_ENOTFOUND, in the same words for
 * unknown models and for those of others. O(1) after the first time. */
enum ps_status ps_dispatch_resolve(struct ps_dispatch *d, int tenant, const char *name,
				   size_t name_len, int64_t version, int *ret_model,
				   struct ps_error *err);
/* ps_dispatch_instance returns the instance that serves (tenant, model) now, -1 when none is
 * loaded. Decode against it, then arrive (which checks again). */
int ps_dispatch_instance(struct ps_dispatch *d, int tenant, int model);

/* ps_dispatch_request_init prepares a request of a tenant for a model: one row, no deadline. */
void ps_dispatch_request_init(struct ps_dispatch_request *r, int tenant, int model);

/* ps_dispatch_arrive admits a request, or refuses it at once (then it is DONE) with the reason in
 * its account: PS_EUNAVAIL, PS_EQUOTA, PS_EDEADLINE, PS_ENOMEM, PS_EINVAL (a level that the model
 * does not have). *ret_action is RUN (`batch->here`:
 * the caller runs it on this thread, now), WAKE when a lane is idle, else NOTHING. `err` may be
 * NULL. */
enum ps_status ps_dispatch_arrive(struct ps_dispatch *d, struct ps_dispatch_request *r,
				  int64_t now_ns, struct ps_dispatch_action *ret_action,
				  struct ps_error *err);

/* ps_dispatch_lane_free says that `lane` runs nothing and returns RUN with the batch whose turn it
 * is, or NOTHING: the lane is idle until WAKE; or WAKE itself: it is idle, and another lane holds
 * what the batch needs and should ask. A lane whose number is lent to a run `here` gets
 * NOTHING. A waiting request whose time has passed is never run: tick reports it. */
struct ps_dispatch_action ps_dispatch_lane_free(struct ps_dispatch *d, int lane, int64_t now_ns);

/* ps_dispatch_finish says that a run has ended with `status`; all its requests are DONE, their
 * accounts filled and charged. The instants are those of the run itself. The status that counts is
 * in each account: PS_ECANCELLED or PS_EDEADLINE for one that was stopped. Afterwards walk
 * batch->first over batch_next. Returns WAKE or NOTHING. */
struct ps_dispatch_action ps_dispatch_finish(struct ps_dispatch *d, struct ps_dispatch_batch *b,
					     enum ps_status status, int64_t started_ns,
					     int64_t finished_ns);

/* ps_dispatch_cancel says that nobody waits for the answer any more. Returns DROP, CANCEL (nobody
 * in the batch is left), or NOTHING when it is DONE, cancelled already, or runs with others. */
struct ps_dispatch_action ps_dispatch_cancel(struct ps_dispatch *d, struct ps_dispatch_request *r,
					     int64_t now_ns);

/* ps_dispatch_tick returns one action that has come due, or NOTHING; call until NOTHING. */
struct ps_dispatch_action ps_dispatch_tick(struct ps_dispatch *d, int64_t now_ns);
/* ps_dispatch_next_tick_ns returns when tick is due next, or INT64_MAX. */
int64_t ps_dispatch_next_tick_ns(const struct ps_dispatch *d);

/* ps_dispatch_load_next returns LOAD for the next instance that is wanted and not loaded (at most
 * `max_loading` at a time), UNLOAD for one that nobody uses, or NOTHING. */
struct ps_dispatch_action ps_dispatch_load_next(struct ps_dispatch *d, int max_loading);
/* ps_dispatch_hashed says what content a LOADING instance has (ps_repo_hashed). True: open it, then
 * load_done. False: there is nothing left to do and no load_done. */
bool ps_dispatch_hashed(struct ps_dispatch *d, int instance,
			const unsigned char hash[PS_REPO_HASH_SIZE]);
/* ps_dispatch_load_done makes the instance READY (status PS_OK) with `facts` and `user`, or not
 * (then `why` is kept): see ps_repo_loaded. A loader that hashes calls ps_dispatch_hashed before.
 */
void ps_dispatch_load_done(struct ps_dispatch *d, int instance, enum ps_status status,
			   const struct ps_error *why, const struct ps_repo_facts *facts,
			   void *user);
/* ps_dispatch_unload_done says that an UNLOAD has been performed, and its memory is given back. */
void ps_dispatch_unload_done(struct ps_dispatch *d, int instance);

/* ---- a budget of memory ------------------------------------------------------------------- */

/* ps_dispatch_on_demand says whether there is a budget: then requests without an instance go to
 * ps_dispatch_await, and loaders to ps_dispatch_reserve. */
bool ps_dispatch_on_demand(const struct ps_dispatch *d);
/* ps_dispatch_set_memory changes the budget and its times. PS_EINVAL: it would begin or end to have
 * one. Then ps_dispatch_make_room. */
enum ps_status ps_dispatch_set_memory(struct ps_dispatch *d, const struct ps_dispatch_memory *m,
				      struct ps_error *err);
/* ps_dispatch_await parks a NEW request until its model is loaded, and has it loaded. A refusal (as
 * with arrive) is the status: then *ret_wait_ns is when to come again, 0: unknown. Afterwards
 * PS_DISPATCH_LOADS is due. */
enum ps_status ps_dispatch_await(struct ps_dispatch *d, struct ps_dispatch_request *r,
				 int64_t now_ns, int64_t *ret_wait_ns, struct ps_error *err);
/* ps_dispatch_resumed says that a request of `tenant` for `model` that was resumed holds its
 * instance now, or wants it no more: until then it is not evicted. Then LOADS may be due. */
void ps_dispatch_resumed(struct ps_dispatch *d, int tenant, int model);
/* ps_dispatch_fetch has a model loaded that no request waits for: `tenant` asked for it by name
 * (-1: the operator). Does nothing where there is no budget. Errors of ps_repo_fetch. */
enum ps_status ps_dispatch_fetch(struct ps_dispatch *d, int model, int domain, int tenant);

/* What loading takes, as far as can be told before. */
struct ps_dispatch_need {
	int64_t resident_bytes; /* once it is loaded */
	int64_t load_bytes;	/* at most while it is being loaded, in whatever process */
	int64_t file_bytes;	/* of what is read for it; 0: unknown */
	int64_t hash_ns;	/* that it took to know its content; 0: it was known */
	bool converts;		/* its file is converted first: one at a time */
};

/* What loads take, in steps: finding out a content, converting and opening a file, and opening one
 * as it is. Each is expected to take a first guess by the file's size, times a scale that is
 * learned from what they took. */
enum ps_dispatch_rate {
	PS_DISPATCH_RATE_HASH,
	PS_DISPATCH_RATE_CONVERT,
	PS_DISPATCH_RATE_OPEN,
	PS_DISPATCH_RATES
};
/* ps_dispatch_rate_name returns "hash", "convert", "open". */
const char *ps_dispatch_rate_name(enum ps_dispatch_rate kind);
/* ps_dispatch_load_scale returns a scale, 0 while none was measured; _set gives one that was
 * measured before, by another process. It does nothing once one was measured here. */
double ps_dispatch_load_scale(const struct ps_dispatch *d, enum ps_dispatch_rate kind);
void ps_dispatch_set_load_scale(struct ps_dispatch *d, enum ps_dispatch_rate kind, double scale);

/* ps_dispatch_reserve says what a LOADING instance, hashed, needs: OPEN follows from load_next when
 * there is room, or NO_ROOM after load_timeout; until then others may load. PS_ETOOBIG: there never
 * will be; load_done follows. */
enum ps_status ps_dispatch_reserve(struct ps_dispatch *d, int instance,
				   const struct ps_dispatch_need *need, struct ps_error *err);
/* ps_dispatch_measured says whether an opened instance fits in the budget by itself. PS_ETOOBIG:
 * close it; load_done follows. */
enum ps_status ps_dispatch_measured(struct ps_dispatch *d, int instance,
				    const struct ps_repo_facts *facts, struct ps_error *err);
/* ps_dispatch_make_room evicts what has to go and looks who of the parked can go on. Call it before
 * load_next, whenever something was loaded, unloaded or changed in the repository. */
void ps_dispatch_make_room(struct ps_dispatch *d, int64_t now_ns);
/* ps_dispatch_planned says that the PLAN of that number was run (`why`: not read with PS_OK), and
 * takes it up. Then LOADS is due. No other PLAN comes before, however long it takes; another number
 * than that of the plan under way does nothing. */
void ps_dispatch_planned(struct ps_dispatch *d, uint64_t number, enum ps_status status,
			 const struct ps_error *why, int64_t now_ns);
/* ps_dispatch_recall tells, after a restart, of demand that is remembered: requests per second. */
void ps_dispatch_recall(struct ps_dispatch *d, int tenant, int model, double rps);
/* ps_dispatch_refill fetches what is asked for most, as far as its size is known (`bytes` of the
 * model's file where it was never loaded) and fits beside what is there. */
void ps_dispatch_refill(struct ps_dispatch *d);

struct ps_dispatch_memory_view {
	int64_t budget_bytes;
	int64_t used_bytes; /* what counts: loaded, reserved for loads, and not yet gone */
	int64_t reserved_bytes, leaving_bytes; /* of them */
	int64_t parked;			       /* requests */
	int64_t steps; /* looks at models to see who goes and what fits, since the start */
};
void ps_dispatch_memory_view_get(const struct ps_dispatch *d,
				 struct ps_dispatch_memory_view *ret_view);
struct ps_dispatch_residency_view { /* of a tenant */
	uint64_t hits, cold_starts; /* requests that found their model loaded, that did not */
	int64_t load_wait_ns;	    /* that they waited for loads */
	int64_t resident_bytes;	    /* of models that it has asked for lately */
};
void ps_dispatch_residency_view_get(const struct ps_dispatch *d, int tenant,
				    struct ps_dispatch_residency_view *ret_view);
/* How often a load for `by` evicted a model that `of` used most; -1: nobody. */
struct ps_dispatch_evictions {
	int by, of;
	uint64_t n;
};
/* ps_dispatch_evictions_get returns the i-th pair; false: there are no more. */
bool ps_dispatch_evictions_get(const struct ps_dispatch *d, int i,
			       struct ps_dispatch_evictions *ret);
/* What the policy's plan in force gives a tenant, in seconds of loads spared per epoch: now, with
 * the whole memory to itself, and its share of that by weight. False: it takes no part. */
struct ps_dispatch_fairness {
	double given_s, alone_s, share_s;
};
bool ps_dispatch_fairness(const struct ps_dispatch *d, int tenant,
			  struct ps_dispatch_fairness *ret_fairness);
struct ps_dispatch_policy_view {
	const char *name;
	int64_t epochs, failed_epochs;
	const struct ps_error *why; /* of the last that failed; NULL: none did. Borrowed */
	bool failed, switched;	    /* the last epoch: failed; has another configuration in force */
	double u[2], loads_s;	    /* its random numbers; what its loads take */
	int configurations, drawn;  /* of the plan in force; 0: there is none yet */
	double gap;		    /* how far from the best it may be: cache/policy.h */
	double worst_share;	    /* the least of given over share */
	double jain;		    /* of given over alone */
};
/* ps_dispatch_epochs returns how many there have been. O(1). */
int64_t ps_dispatch_epochs(const struct ps_dispatch *d);
void ps_dispatch_policy_view_get(const struct ps_dispatch *d,
				 struct ps_dispatch_policy_view *ret_view);
/* ps_dispatch_configuration returns the chance of the i-th configuration, and at most `max` of its
 * models, each content once; -1: there are no more. */
double ps_dispatch_configuration(const struct ps_dispatch *d, int i, int *ret_models, int max,
				 int *ret_n);
/* ps_dispatch_pause_ns returns how long no request has a model loaded that failed; 0: it may. */
int64_t ps_dispatch_pause_ns(const struct ps_dispatch *d, int model, int domain, int64_t now_ns);

/* ps_dispatch_repo_changed takes over what the configurations of models say about batches, after
 * they were changed in the repository. O(instances). */
void ps_dispatch_repo_changed(struct ps_dispatch *d);

/* ps_dispatch_drain refuses every later arrival with PS_EUNAVAIL; what was admitted is finished. */
void ps_dispatch_drain(struct ps_dispatch *d);
/* ps_dispatch_drained says whether nothing waits or runs after drain. */
bool ps_dispatch_drained(const struct ps_dispatch *d);

/* What can be seen of a tenant. */
struct ps_dispatch_view {
	int64_t waiting, running; /* requests now */
	int64_t cost_ns;	  /* charged since start: lane time x CPUs held */
	int64_t lag_ns;		  /* what it is behind (> 0) its fair share among the backlogged; 0
				   * when nothing of it waits */
	int64_t retry_after_ns;	  /* when an arrival would be admitted again, estimated */
};
/* ps_dispatch_view_get fills it. */
void ps_dispatch_view_get(const struct ps_dispatch *d, int tenant, int64_t now_ns,
			  struct ps_dispatch_view *ret_view);
/* ps_dispatch_waiting returns how many requests of all tenants wait, _running how many runs there
 * are. */
int64_t ps_dispatch_waiting(const struct ps_dispatch *d);
int ps_dispatch_running(const struct ps_dispatch *d);
/* ps_dispatch_service_ns returns the learned time of a run of `rows` of an instance at quantile 0.5
 * or 0.9; 0 while nothing is known. */
int64_t ps_dispatch_service_ns(const struct ps_dispatch *d, int instance, int64_t rows, double q);
/* ps_dispatch_repo borrows the repository, ps_dispatch_tenancy the tenants. */
struct ps_repo *ps_dispatch_repo(const struct ps_dispatch *d);
const struct ps_tenancy *ps_dispatch_tenancy(const struct ps_dispatch *d);

#endif
