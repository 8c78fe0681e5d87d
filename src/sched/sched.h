/* sched.h - who is next, in what batch, and when it will be done.   Layer 3, pure. Uses base.
 *
 * It receives values only: tenants are numbers with a weight, a class and a queue limit; instances
 * (loaded models) are numbers with limits of their batches; lanes are numbers 0..n-1. Time is an
 * argument. Not thread-safe.
 *
 * Order. The guaranteed class goes before best-effort, but for a floor of lane time that a waiting
 * best-effort class gets. Between the tenants of a class: start-time fair queueing (Goyal, Vin,
 * Cheng, 1996) over cost = lane time x CPUs held, split over a batch by rows. A tenant's tag grows
 * by cost / weight, by the predicted cost when a run starts, corrected by the measured one when it
 * ends; the least tag is next. A tenant that becomes backlogged starts at no less than the virtual
 * time, so that nobody saves up by being idle. Within a tenant: level, then earliest deadline, then
 * arrival; what was put off (ps_sched_put_off) is the last of its level.
 *
 * For any two tenants i, j of a class that are backlogged throughout an interval, with c = the
 * largest cost that one batch brought the tenant and w = its weight:
 *	|S_i/w_i - S_j/w_j| <= lanes x (c_i/w_i + c_j/w_j)
 *
 * Batches. Items of one instance with equal `shape_key` may share a run, whoever owns them. The
 * first item is the one whose turn it is; the rest are added in fair order, and no tenant rides so
 * far ahead that the bound above breaks. The size is the one with the least learned time per row
 * that still meets the tightest deadline inside and the instance's longest run; a size that does
 * not pay is not used. A lane never stays idle to make a batch larger, unless `max_delay_ns` says
 * so.
 *
 * Caches. Where the CPU of a lane has a cache of its own (`cache_bytes`) and instances say what
 *they read again in each run (`footprint_bytes`), a run goes to an idle lane that holds it, else to
 *the one with most room; a lane that has a choice between tenants prefers what it holds, as long as
 * that is ahead of the tenant whose turn it is by no more than the run that waits, so that the
 * bound above grows by c_i/w_i for i that waits. Nothing waits for a lane that is busy.
 *
 * Learning. Service times are learned per instance, width and rows from the last runs.
 *
 * Admission. The finish of a newcomer is predicted by playing the present backlog forward.
 */
#ifndef PS_SCHED_SCHED_H
#define PS_SCHED_SCHED_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

#define PS_SCHED_MAX_LANES     256
#define PS_SCHED_MAX_TENANTS   65536
#define PS_SCHED_MAX_INSTANCES (1 << 20)
#define PS_SCHED_MAX_WEIGHT    1000
#define PS_SCHED_MAX_PREFERRED 8
#define PS_SCHED_MAX_BATCH     1024 /* requests in one run */

enum ps_sched_class { PS_SCHED_GUARANTEED, PS_SCHED_BEST_EFFORT, PS_SCHED_CLASSES };

struct ps_sched;
struct ps_sched_bucket;

/* A place in one of sched's ordered trees, by (major, minor, order). */
struct ps_sched_node {
	struct ps_sched_node *left, *right, *parent, *next, *prev;
	int64_t major, minor;
	uint64_t order;
	int64_t weight, sum; /* of the node, of its subtree */
	uint32_t priority;
};

/* One waiting or running request. Embed it. The caller sets the first block before push; the rest
 * is sched's. */
struct ps_sched_item {
	int tenant, instance;
	int64_t rows;	     /* >= 1 */
	uint64_t shape_key;  /* equal keys of one instance may share a batch */
	int64_t deadline_ns; /* 0: none */
	int level;	     /* 1 is first; 0 counts as 1 */
	double may_be_late;  /* the share of its like that its agreement lets be late; 0: 0.01 */
	int64_t start_by_ns; /* it is not begun later, however early its deadline; 0: any time */
	bool unchecked;	     /* run it even when its deadline can hardly be met any more. Set by
			      * admit for one that is let in to find out how long it takes */

	struct ps_sched_node node;	     /* in its bucket */
	struct ps_sched_bucket *bucket;	     /* NULL: not queued */
	struct ps_sched_item *older, *newer; /* of its group, in order of arrival */
	int64_t arrived_ns;
	int64_t predicted_ns;	    /* when admit expected it to finish; 0: not asked */
	struct ps_sched_item *next; /* of its run */
	double charged_ns;	    /* what its tenant was charged for it: first predicted, then
				     * measured */
	int64_t left_ns;	    /* when it was first left to another lane; 0: not yet */
};

/* One run, from start to finish. */
struct ps_sched_run {
	struct ps_sched_item *first; /* linked by `next` */
	int n;			     /* 0: its lane is idle */
	int lane, instance;
	int width; /* CPUs held: 1 narrow, more wide */
	int64_t rows;
	bool here;
	enum ps_sched_class class; /* whose turn it was */
	int64_t started_ns;
	double charged_ns;  /* the predicted cost of the whole run */
	double floor_share; /* what each ns of its cost adds to the credit of best-effort */
};

struct ps_sched_options {
	int n_lanes;	   /* 1..PS_SCHED_MAX_LANES */
	int reserve_lanes; /* that only the guaranteed class may use, 0..n_lanes - 1 */
	int cpus;	   /* of a wide run, >= 1 */
	bool wide;	   /* every run is wide */
	bool auto_width;   /* wide when nothing else runs and all are done sooner, else narrow */
	double best_effort_floor; /* share of lane time for a waiting best-effort class, 0..0.5 */
	int64_t here_max_ns;	  /* the longest p90 of a run `here`; 0: never */
	int64_t cache_bytes;	  /* of its own that the CPU of a lane has; 0: lanes are alike */
};

/* ps_sched_new makes an empty scheduler with all lanes idle. PS_EINVAL, PS_ENOMEM. */
enum ps_status ps_sched_new(const struct ps_sched_options *options, struct ps_sched **ret_sched);
/* ps_sched_free frees it, not the items. NULL is fine. */
void ps_sched_free(struct ps_sched *s);

struct ps_sched_tenant {
	int64_t weight; /* 1..PS_SCHED_MAX_WEIGHT */
	enum ps_sched_class class;
	int64_t queue_limit; /* items that may wait; 0: none may */
};

/* ps_sched_reserve makes room for tenants 0..n-1, so that setting them cannot fail. PS_EINVAL,
 * PS_ENOMEM. */
enum ps_status ps_sched_reserve(struct ps_sched *s, int n);
/* ps_sched_set_tenant sets what holds for a tenant from now on, for what waits too. Tenants that
 * were never set have weight 1, guaranteed, and limit 0. PS_EINVAL, PS_ENOMEM (nothing changed). */
enum ps_status ps_sched_set_tenant(struct ps_sched *s, int tenant, const struct ps_sched_tenant *t);

struct ps_sched_instance {
	int64_t max_batch;    /* rows of a run made of several items; <= 1: no batches */
	int max_runs;	      /* under way at the same time; 0: no limit */
	int64_t max_run_ns;   /* a batch is not made longer than this (p90); 0: no limit */
	int64_t max_delay_ns; /* how long an item may wait for company while a lane is idle */
	int64_t preferred[PS_SCHED_MAX_PREFERRED]; /* rows that end such a wait */
	int n_preferred;			   /* 0: max_batch rows do */
	int64_t footprint_bytes; /* that each run reads again, such as weights; 0: unknown */
};

/* ps_sched_set_instance sets the limits of an instance. `fresh`: it is another model under a number
 * used before, what was learned is forgotten. PS_EINVAL, PS_ENOMEM. */
enum ps_status ps_sched_set_instance(struct ps_sched *s, int instance,
				     const struct ps_sched_instance *i, bool fresh);

/* ps_sched_item_init marks an item as not queued. */
void ps_sched_item_init(struct ps_sched_item *it);
/* ps_sched_queued says whether an item waits. */
static inline bool ps_sched_queued(const struct ps_sched_item *it)
{
	return it->bucket != NULL;
}

/* ps_sched_admit predicts when `it` would finish if it were pushed now (*ret_finish_ns, p90) and
 * says whether it may be: PS_EDEADLINE when it cannot make its deadline, or when it would make
 * one that has been admitted late without having a better right to the time. PS_OK always when it
 * has no deadline and when nothing is known of the instance. O(log n + k), k = tenants that have
 * something waiting. */
enum ps_status ps_sched_admit(struct ps_sched *s, struct ps_sched_item *it, int64_t now_ns,
			      int64_t *ret_finish_ns);
/* ps_sched_push queues an item. PS_EQUOTA when the tenant's queue is full, PS_ENOMEM. O(log n). */
enum ps_status ps_sched_push(struct ps_sched *s, struct ps_sched_item *it, int64_t now_ns);
/* ps_sched_remove takes a waiting item out: because its deadline has passed, which admission learns
 * from, or for another reason. O(log n). */
void ps_sched_remove(struct ps_sched *s, struct ps_sched_item *it, int64_t now_ns);
/* ps_sched_put_off puts a waiting item behind all others of its tenant and level, also behind those
 * that are still to come; its start_by_ns does not count any more. O(log n). */
void ps_sched_put_off(struct ps_sched *s, struct ps_sched_item *it);

/* ps_sched_start begins the run whose turn it is on `lane` and borrows it until finish; NULL when
 * the lane has nothing to do or is busy. Items whose deadline or start_by_ns has passed, or whose
 * deadline cannot be met any more (unless `unchecked`), are taken out and left out: whoever keeps
 * their deadlines reports them. O(log n) per item. */
const struct ps_sched_run *ps_sched_start(struct ps_sched *s, int lane, int64_t now_ns);
/* ps_sched_left_for returns the idle lane that the last ps_sched_start left a run for, because its
 * cache holds what the run needs: wake that lane. -1: it left none. */
int ps_sched_left_for(const struct ps_sched *s);
/* ps_sched_lane_for returns the idle lane that should ask for the next run, -1 when any may. */
int ps_sched_lane_for(struct ps_sched *s, int64_t now_ns);
/* ps_sched_keep says whether lanes are chosen by their caches (they are, where cache_bytes is set);
 * not while lanes end one by one. */
void ps_sched_keep(struct ps_sched *s, bool keeps);
/* ps_sched_start_here begins a run of an item that was not pushed, where it is: when a lane is
 * idle, nothing waits and the learned p90 is at most here_max_ns; else NULL. run->lane is the lane
 * that lends its number. */
const struct ps_sched_run *ps_sched_start_here(struct ps_sched *s, struct ps_sched_item *it,
					       int64_t now_ns);
/* ps_sched_finish ends the run of `lane`: its measured cost replaces the charge, its lane is idle.
 * `learn`: it ran to its end, so its time is worth knowing. */
void ps_sched_finish(struct ps_sched *s, int lane, int64_t started_ns, int64_t finished_ns,
		     bool learn);

/* ps_sched_wants_lane says whether an idle lane that asked now would get a run. O(1). */
bool ps_sched_wants_lane(struct ps_sched *s, int64_t now_ns);
/* ps_sched_next_ns returns when a batch that waits for company has waited long enough (then ask
 * wants_lane), or INT64_MAX. */
int64_t ps_sched_next_ns(const struct ps_sched *s);

/* ps_sched_len returns how many items wait, of a tenant or (tenant < 0) of all; _running how many
 * runs are under way. */
int64_t ps_sched_len(const struct ps_sched *s, int tenant);
int ps_sched_running(const struct ps_sched *s);
/* ps_sched_cost_ns returns what a tenant has been charged since the start. */
int64_t ps_sched_cost_ns(const struct ps_sched *s, int tenant);
/* ps_sched_lag_ns returns what a waiting tenant is behind (> 0) or ahead of (< 0) its share of the
 * cost that the tenants of its class that wait now were charged; 0 when it does not wait. O(k). */
int64_t ps_sched_lag_ns(const struct ps_sched *s, int tenant);
/* ps_sched_drain_ns estimates how long what waits of a tenant will take under the fair order. */
int64_t ps_sched_drain_ns(const struct ps_sched *s, int tenant, int64_t now_ns);
/* ps_sched_service_ns returns the learned time of a run of `rows` at quantile q (0 < q < 1) and a
 * width (1: narrow); 0 while nothing is known of the instance. */
int64_t ps_sched_service_ns(const struct ps_sched *s, int instance, int64_t rows, int width,
			    double q);

/* ps_sched_check asserts the invariants of every structure: for tests and debug builds. O(n). */
bool ps_sched_check(const struct ps_sched *s);

#endif
