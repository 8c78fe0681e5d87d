/* sim.h - the server's own policy in virtual time.   Layer 5, pure. Uses base, stats, dispatch.
 *
 * Tenants with arrival processes, models with service times, n lanes that each run one batch at a
 * time, and the same dispatch/ that the real server runs. Nothing is read but the plan: the same
 * plan gives the same numbers on every machine. A million events take well under a second.
 *
 * What a request needs is drawn when it arrives and does not depend on the policy: a factor f_i
 * around 1. A run of rows r_1 .. r_n takes t(sum r_i) x (sum r_i f_i / sum r_i), where t is the
 * model's time of so many rows, divided by `wide_speedup` when the run is wide.
 */
#ifndef PS_SIM_SIM_H
#define PS_SIM_SIM_H

#include "base/error.h"
#include "dispatch/dispatch.h"

#include <stddef.h>
#include <stdint.h>

#define PS_SIM_MAX_TENANTS 1024
#define PS_SIM_MAX_MODELS  256

enum ps_sim_service {
	PS_SIM_FIXED,	    /* f = 1 */
	PS_SIM_EXPONENTIAL, /* f of mean 1 */
	PS_SIM_TWO_POINT,   /* a share of the requests takes `slow_factor` times as long; mean 1 */
	PS_SIM_RECORDED,    /* f drawn uniformly from `recorded_ns` over service_ns */
	PS_SIM_GAMMA,	    /* f of mean 1 and standard deviation `cv` */
};

struct ps_sim_model {
	enum ps_sim_service service;
	double service_ns;	/* t(1); RECORDED: 0 */
	double row_ns;		/* t(n) = service_ns + (n - 1) row_ns; 0: n service_ns */
	const double *table_ns; /* instead: t(n) = table_ns[n - 1], beyond it by the last rise */
	size_t n_table;
	double wide_speedup; /* 0: 1 */
	double slow_share, slow_factor;
	double cv; /* GAMMA: > 0 */
	const int64_t *recorded_ns;
	size_t n_recorded;
	int64_t max_batch; /* rows; 0: no batches */
	int64_t max_delay_ns, max_run_ns;
	/* With a budget of memory: what it holds, what loading takes the first time (memory at
	 * most, time) and again, and unloading. */
	int64_t bytes, first_load_bytes;
	int64_t first_load_ns, load_ns, unload_ns;
};

enum ps_sim_arrival {
	PS_SIM_POISSON,
	PS_SIM_CONSTANT,
	PS_SIM_BURSTS, /* Poisson while on; on and off for exponential times */
	PS_SIM_CLOSED, /* `outstanding` requests at any time: the next when one is done */
	PS_SIM_STREAM, /* when `next_ns` says */
};

/* From `from_ns` on, the rate is `factor` times `rate_rps`. */
struct ps_sim_phase {
	int64_t from_ns;
	double factor; /* >= 0; the last one > 0, unless the tenant's or plan's time is limited */
};

struct ps_sim_tenant {
	int model;
	const int *mix;		  /* instead: each request's model is drawn from these, */
	const double *mix_shares; /* by these shares, which add up to 1 */
	int n_mix;		  /* 0: `model` */
	enum ps_sim_arrival arrival;
	double rate_rps;	      /* > 0, but CLOSED and STREAM; BURSTS: while on */
	double on_ns, off_ns;	      /* BURSTS: mean lengths */
	int outstanding;	      /* CLOSED */
	int64_t think_ns;	      /* CLOSED: from one done to the next sent */
	int64_t retry_ns;	      /* CLOSED: likewise after a refusal; 0: 1 ms */
	double (*next_ns)(void *ctx); /* STREAM: the next instant, never before the last one; */
	void *next_ctx;		      /* INFINITY: none follows */
	const struct ps_sim_phase *phases; /* rising; none: factor 1 throughout */
	int n_phases;
	int64_t from_ns;    /* nothing arrives before */
	int64_t until_ns;   /* nothing arrives from then on; 0: no end */
	int64_t rows;	    /* of each request; 0: 1 */
	double leave_share; /* of the clients leave, */
	double patience_ns; /* after an exponential time of this mean */

	enum ps_tenancy_class class;
	int64_t weight;	      /* >= 1 */
	int64_t queue_limit;  /* >= 1 */
	int64_t concurrency;  /* 0: none */
	int64_t memory_bytes; /* guaranteed; 0: none */
	struct ps_tenancy_rate rate;
	int64_t sla_ns;	     /* the limit of its agreement; 0: none */
	double percentile;   /* of that; 0: 0.99 */
	int64_t deadline_ns; /* said by each request, after arrival; 0: none */
	bool unchecked;	     /* no_deadline_check */
};

/* What became of one request. */
struct ps_sim_done {
	int tenant;
	int64_t id;   /* arrivals are numbered from 0, in order */
	bool counted; /* it arrived after the warm-up */
	double factor;
	const struct ps_dispatch_account *account;
};

struct ps_sim_plan {
	const struct ps_sim_tenant *tenants;
	const struct ps_sim_model *models;
	int n_tenants, n_models;
	int n_lanes, reserve_lanes;
	int cpus; /* of a wide run; 0: n_lanes */
	bool wide, auto_width;
	double best_effort_floor;
	int64_t max_waiting, here_max_ns;
	struct ps_dispatch_memory memory; /* budget_bytes 0: every model is there */
	int max_loading;		  /* with a budget: loads at the same time; 0: 1 */
	int64_t stop_ns; /* a cancelled run ends so long after; 0: it runs to its end */
	uint64_t seed;
	/* Arrivals end after so many, or at that time, whichever is set and comes first; then what
	 * was admitted is finished. Clients of CLOSED tenants make arrivals too. */
	int64_t arrivals, until_ns;
	int64_t warmup, warmup_ns; /* what arrives before is served but not counted */
	bool quantiles;		   /* fill the quantiles of the results */
	/* Called for every request when it is done, refused ones included; may be NULL. */
	void (*done)(void *ctx, const struct ps_sim_done *done);
	/* Called for every run when it has ended, before its requests' done; may be NULL. */
	void (*ran)(void *ctx, const struct ps_dispatch_batch *b, int64_t started_ns,
		    int64_t finished_ns);
	void *ctx;
};

/* Of one tenant, over counted requests. Means are over served requests, 0 when there is none. */
struct ps_sim_result {
	int64_t arrived, served, refused, expired, cancelled;
	int64_t reasons[PS_DISPATCH_REASON_COUNT]; /* of those not served */
	int64_t in_time;			   /* served before the deadline, or without one */
	int64_t late;		/* admitted, and not done (or dropped) before the deadline */
	double wait_mean_ns;	/* started - arrived */
	double service_mean_ns; /* finished - started */
	double latency_mean_ns;
	int64_t latency_max_ns;
	int64_t p50_ns, p99_ns;	   /* of latency, when asked for */
	double cost_ns;		   /* lane time x CPUs held, its share of each batch */
	int64_t hits, cold_starts; /* of all requests: their model was there, or had to be loaded */
	double load_wait_ns;	   /* sum of what they waited for that */
};

struct ps_sim_summary {
	int64_t events, runs, rows;
	int64_t end_ns;	     /* virtual time at which the last request was done */
	double busy_ns;	     /* of all lanes together */
	double cost_ns;	     /* busy x CPUs held */
	double waiting_mean; /* requests waiting, averaged over time until the last arrival */
	double idle_ns;	     /* lane time idle while enough waited to use it */
	int64_t wide_runs, here_runs;
	int64_t loads, evictions;
	int64_t memory_max_bytes;		   /* that counted at any time */
	int64_t counted_from_ns, counted_until_ns; /* when the first and last counted arrived */
};

/* ps_sim_run runs the plan; ret_results holds n_tenants rows. PS_EINVAL, PS_ENOMEM, PS_ETOOBIG (285
 * years of simulated time). ret_summary may be NULL. */
enum ps_status ps_sim_run(const struct ps_sim_plan *plan, struct ps_sim_result *ret_results,
			  struct ps_sim_summary *ret_summary, struct ps_error *err);

/* ps_sim_time_ns returns t(rows) of a model: of a narrow run with all factors 1. */
double ps_sim_time_ns(const struct ps_sim_model *m, int64_t rows);

#endif
