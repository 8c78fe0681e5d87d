/* sim.h - the server's own policy in virtual time.   Layer 5, pure. Uses base, dispatch.
 *
 * One arrival process per tenant, one service distribution per tenant, n lanes that each run one
 * request at a time, and the same dispatch/ that the real server runs. Nothing is read but the
 * plan: the same plan gives the same numbers on every machine. Ten million events take about a
 * second.
 */
#ifndef PS_SIM_SIM_H
#define PS_SIM_SIM_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum ps_sim_arrival {
	PS_SIM_POISSON,
	PS_SIM_CONSTANT,
};

enum ps_sim_service {
	PS_SIM_FIXED,
	PS_SIM_EXPONENTIAL,
	PS_SIM_RECORDED, /* drawn uniformly from `recorded_ns` */
};

struct ps_sim_tenant {
	double rate_rps; /* > 0 */
	enum ps_sim_arrival arrival;
	enum ps_sim_service service;
	double service_ns; /* mean of FIXED and EXPONENTIAL */
	const int64_t *recorded_ns;
	size_t n_recorded;
	int64_t queue_limit; /* >= 1 */
	int64_t weight;	     /* >= 1 */
	int64_t deadline_ns; /* after arrival; 0: none */
};

struct ps_sim_plan {
	const struct ps_sim_tenant *tenants;
	int n_tenants, n_lanes;
	uint64_t seed;
	int64_t arrivals; /* of all tenants together, after which arrivals end and queues drain */
	int64_t warmup;	  /* the first so many arrivals are served but not counted */
	/* Called for each counted request that was served, in order of completion; may be NULL. */
	void (*served)(void *ctx, int tenant, int64_t arrived_ns, int64_t started_ns,
		       int64_t finished_ns);
	void *ctx;
};

/* Of one tenant, over counted requests. Means are over served requests, 0 when there is none. */
struct ps_sim_result {
	int64_t arrived, served, refused, expired;
	double wait_mean_ns;	/* started - arrived */
	double service_mean_ns; /* finished - started */
	double latency_mean_ns;
	int64_t latency_max_ns;
};

struct ps_sim_summary {
	int64_t events;
	int64_t end_ns;	     /* virtual time at which the last request was done */
	double busy_ns;	     /* of all lanes together */
	double waiting_mean; /* requests waiting, averaged over time until the last arrival */
};

/* ps_sim_run runs the plan; ret_results holds n_tenants rows. PS_EINVAL, PS_ENOMEM. Takes about
 * 0.1 us per event. ret_summary may be NULL. */
enum ps_status ps_sim_run(const struct ps_sim_plan *plan, struct ps_sim_result *ret_results,
			  struct ps_sim_summary *ret_summary, struct ps_error *err);

#endif
