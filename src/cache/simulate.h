/* simulate.h - a cache under a stream of requests, in virtual time.   Layer 3, pure.
 *
 * A model of a machine, not of ours: its compute is one resource that tenants with work share by
 * weight (processor sharing), each runs its requests one after the other, a request takes run_s,
 * and load_s more when its item is not in memory as it starts: a cold start. So is a request for an
 * item that another one is loading: it waits for the rest of that load, and needs nothing of the
 * machine meanwhile. What is being loaded is not evicted for others. It runs the very decisions of
 * cache.h. Two ways to decide:
 *
 *  - batch, as published: a request waits for the end of its epoch; of each tenant at most
 *    `per_epoch` are let in at a time, and the plan is made for exactly those. What the
 *    configuration does not want goes at once, and passes through without staying.
 *  - online, as the server does it: a request starts as soon as its tenant's turn comes, and the
 *    plan is made for what was asked before. What is not wanted stays until room is needed.
 *
 * An item of a new configuration is loaded by the first request for it.
 */
#ifndef PS_CACHE_SIMULATE_H
#define PS_CACHE_SIMULATE_H

#include "cache/policy.h"

#define PS_CACHE_MAX_REQUESTS 10000000

struct ps_cache_request {
	double at_s; /* >= 0 */
	int tenant, item;
};

struct ps_cache_workload {
	int tenants, items;
	size_t requests;
	struct ps_cache_tenant *tenant;	  /* [tenants] */
	struct ps_cache_item *item;	  /* [items] */
	double *run_s;			  /* [items] of a request that finds it in memory */
	struct ps_cache_request *request; /* [requests] by time */
};

/* The workload of the ROBUS paper: twenty tables in two families of sizes, Poisson arrivals, Zipf
 * over another ranking for each tenant (as listed, the other way round, then random ones). What the
 * paper leaves to its cluster is a rate here: of reading from disk, and from memory. */
struct ps_cache_published {
	int tenants; /* 1 to 64 */
	double mean_gap_s, length_s, zipf;
	double cold_bytes_per_s, warm_bytes_per_s; /* cold < warm */
	uint64_t seed;
};

/* ps_cache_published_workload makes it; the caller frees. PS_EINVAL, PS_ETOOBIG, PS_ENOMEM. */
enum ps_status ps_cache_published_workload(const struct ps_cache_published *p,
					   struct ps_cache_workload *ret_workload,
					   struct ps_error *err);
void ps_cache_workload_free(struct ps_cache_workload *w);

struct ps_cache_sim_options {
	enum ps_cache_kind policy;
	int64_t capacity_bytes;
	double epoch_s; /* > 0 */
	bool batch;
	int per_epoch;						     /* batch: 0 for no limit */
	double half_life_epochs, warm_factor, reuse_gap, load_share; /* of cache.h */
	uint64_t seed;
	/* Look for objections in each epoch in which at most PS_CACHE_CORE_TENANTS take part; the
	 * others are not looked at. */
	bool core;
};

struct ps_cache_sim_tenant {
	size_t requests, hits;
	/* Sums over epochs of V_i, U_i* and the share, as policy.h has them, in seconds; V_i is the
	 * mean over the draw, and of what is in memory for policies that decide at each request. */
	double utility_s, best_s, entitled_s;
	double mean_latency_s;
	/* Latency over that of the same request with the whole cache and machine for the tenant
	 * alone; NAN when it was not asked for. The 99 % by nearest rank. */
	double mean_slowdown, p99_slowdown;
};

struct ps_cache_sim_result {
	int tenants;
	struct ps_cache_sim_tenant *tenant; /* [tenants], owned */
	double requests_per_s;		    /* all of them, by the end of the last */
	double hit_ratio;		    /* of requests */
	double used;			    /* bytes in memory over the capacity, mean over time */
	double jain;	      /* Jain's index of V_i / U_i*, sums over epochs, tenants with U_i* */
	double worst_share;   /* the least V_i over its share, sums over epochs */
	double worst_epoch;   /* the least in any epoch */
	int worst_tenant;     /* of worst_share, -1 */
	int epochs, switches; /* epochs with any demand */
	int core_epochs, outside; /* epochs looked at (at most `epochs`), and with an objection */
	double gap;		  /* the largest of any plan */
	double load_s;		  /* spent on loads and cold reads */
};

/* ps_cache_sim_alone fills ret_latency [requests] with each request's latency when its tenant is
 * alone. ps_cache_sim_run simulates; `alone` (may be NULL) is for slowdowns. The result is freed by
 * ps_cache_sim_free. PS_EINVAL, PS_ENOMEM, errors of the policy. */
enum ps_status ps_cache_sim_alone(const struct ps_cache_workload *w,
				  const struct ps_cache_sim_options *o, double *ret_latency,
				  struct ps_error *err);
enum ps_status ps_cache_sim_run(const struct ps_cache_workload *w,
				const struct ps_cache_sim_options *o, const double *alone,
				struct ps_cache_sim_result *ret_result, struct ps_error *err);
void ps_cache_sim_free(struct ps_cache_sim_result *r);

#endif
