/* queue.h - how long requests wait on a machine that several tenants share.   Layer 3, pure.
 *
 * A queue in virtual time with the server's own order: lanes that run one batch each; when a lane
 * is free, the tenant whose turn it is by start-time fair queueing over lane time, its oldest
 * request, and as many more of its own as make the time per request less. Arrivals are Poisson, or
 * those that are given: what was really sent, so that what was measured of a short while is
 * compared with a queue of that very while. What is left out: deadlines and admission (nothing is
 * refused), priorities, batches over several tenants, and that runs side by side slow each other
 * down (that belongs into the service times).
 *
 * The numbers are those of a long run, not of a formula: the same loads give the same numbers, and
 * random numbers belong to the tenant's place, so that a neighbour that comes or goes does not
 * change anybody else's arrivals and requests.
 */
#ifndef PS_PREDICT_QUEUE_H
#define PS_PREDICT_QUEUE_H

#include "base/error.h"
#include "stats/hist.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PS_PREDICT_MAX_LOADS 256
#define PS_PREDICT_MAX_LANES 256
#define PS_PREDICT_MAX_TABLE 1024 /* requests in a batch */
#define PS_PREDICT_MAX_DRAWN INT64_C(20000000)

/* One request that was sent. */
struct ps_predict_arrival {
	double at_ns; /* >= 0 */
	bool counted; /* false: it waits and runs, but it is not counted (a warm-up) */
};

/* One tenant. */
struct ps_predict_load {
	double rate_rps;	/* > 0 */
	double service_ns;	/* mean time of one request alone on a lane */
	double variation;	/* standard deviation of that over its mean; 0: always the same */
	double weight;		/* of its share; > 0 */
	const double *table_ns; /* instead of service_ns: of batches of 1, 2, ... requests */
	size_t table_len;	/* 0: no batches */
	/* rising, of all tenants or of none; NULL: Poisson at rate_rps */
	const struct ps_predict_arrival *arrivals;
	size_t arrival_len;
};

/* What becomes of a tenant's requests. */
struct ps_predict_waited {
	double mean_ns, p50_ns, p95_ns, p99_ns; /* of latency, wait and service */
	double wait_ns;				/* mean of the wait alone */
	double share;				/* of the lanes' time */
	int64_t counted;
};

struct ps_predict_queue {
	const struct ps_predict_load *loads;
	int n_loads, n_lanes;
	int64_t requests; /* of all tenants together; 0: 200,000. Not used where they are given */
	uint64_t seed;
	struct ps_hist *first_latency; /* gets those of loads[0], too; NULL */
};

/* ps_predict_queue_busy is the least share of the lanes that the loads need; from 1 on no queue
 * ends.
 */
double ps_predict_queue_busy(const struct ps_predict_queue *q);
/* ps_predict_queue_run fills ret_waited[n_loads]. Of Poisson arrivals the first tenth is left out.
 * PS_EINVAL (a number that cannot be, with the tenant's place), PS_EUNAVAIL when busy >= 1 (where
 * arrivals are given, any load ends), PS_ENOMEM. */
enum ps_status ps_predict_queue_run(const struct ps_predict_queue *q,
				    struct ps_predict_waited *ret_waited, struct ps_error *err);
/* ps_predict_queue_mean_wait is the mean wait in ns of Poisson arrivals at one lane, first come,
 * first served: Pollaczek and Khinchine; INFINITY from utilisation 1 on. */
double ps_predict_queue_mean_wait(double rate_rps, double service_ns, double variation);

#endif
