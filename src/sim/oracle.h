/* oracle.h - what could have been served in time.   Layer 5, pure. Uses base, sim.
 *
 * After a simulation, the oracle is given every request that arrived: what it really needed, its
 * deadline, and whether it was served in time. It replays the requests served in time on the same
 * lanes, in the same fair order (start-time fair queueing between tenants over true cost, earliest
 * deadline first within one, batches filled in that order, of the size with the least true time per
 * row that keeps every deadline inside that could be kept alone).
 *
 * Then, in order of arrival, it adds each request that was refused: it *could have been served*
 * when the replay with it serves it in time and still serves in time everything that it did
 * before: all that was really served in time (what the replay alone already misses is not held
 * against it; see `missed`) and the refused ones that were found so earlier. Those stay in, so that
 * a gap of one service time counts for one refused request and not for all that would have fitted.
 *
 * It knows the future: also arrivals after the one in question, and how long each will take.
 */
#ifndef PS_SIM_ORACLE_H
#define PS_SIM_ORACLE_H

#include "sim/sim.h"

enum ps_sim_fate {
	PS_SIM_IN_TIME,
	PS_SIM_REFUSED,
	PS_SIM_LATE, /* admitted, but late, expired or cancelled: left out of the replay */
};

struct ps_sim_past {
	int64_t arrived_ns, deadline_ns; /* deadline 0: none */
	int tenant;
	double factor;
	enum ps_sim_fate fate;
	bool counted; /* whether it counts when it could have been served */
};

struct ps_sim_verdict {
	int64_t refused;   /* of the counted */
	int64_t could;	   /* of them, how many could have been served */
	int64_t missed;	   /* served in time, but not in the replay */
	int64_t undecided; /* of `could`: the replay was given up after PS_SIM_ORACLE_RUNS */
	double idle_ns;	   /* lane time left idle by the replay with those that could */
};

/* A replay with one more request is given up, in its favour, after so many runs. */
#define PS_SIM_ORACLE_RUNS 4000

/* ps_sim_oracle judges `n` requests of a plan, in order of arrival. Lanes are narrow, all of one
 * class, none reserved. `ret_could` (may be NULL) says it for each request. PS_ENOMEM. */
enum ps_status ps_sim_oracle(const struct ps_sim_plan *plan, const struct ps_sim_past *past,
			     size_t n, struct ps_sim_verdict *ret_verdict, bool *ret_could);

#endif
