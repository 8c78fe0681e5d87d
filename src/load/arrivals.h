/* arrivals.h - when one tenant's requests are due: the arrival processes.
 * Layer 3, pure: no clock, no server, no allocation. Owned by one thread.
 *
 * A process gives instants in double nanoseconds after the start of the run, warm-up included, that
 * follow from its spec, the plan's seed and the tenant's name alone. Randomness is base/rng's
 * xoshiro256++, stream "NAME/arrivals" (the states of bursts: "NAME/bursts"), so that adding or
 * changing one tenant moves no arrival of another. Whole microseconds would offer 5 % too much at
 * 100,000/s; an instant is the running sum, rounded to a nanosecond once, so rounding never adds
 * up. After 1000 s the sum still resolves 1e-4 ns.
 *
 * How each comes about, E being exponential with mean 1:
 *
 *   CONSTANT  the n-th (from 0) at (n + 0.5) / rate
 *   POISSON   gaps E / rate
 *   GAMMA     gaps of the gamma distribution, shape 1/cv^2 and mean 1/rate (Marsaglia and Tsang,
 *             2000); the first is what is left of one that began before the start: stationary
 *   BURSTS    a Markov-modulated Poisson process of two states
 *   RAMP      Poisson; the rate goes from rate_rps to `to_rps` in a line over `over_ns`, and stays
 *
 *   STEPS     Poisson; the rate is a list of steps, of which the last one stays
 *
 *   SINUSOID  Poisson of rate mean x (1 + swing sin(2 pi (t / period + phase))), by thinning
 *             (Lewis and Shedler, 1979)
 *
 *   TRACE     the instants of a recorded trace (load/trace.h)
 *
 * RAMP and STEPS invert the integral of the rate, so they can also be `even`: arrivals where the
 * integral is n + 0.5. CLOSED and OFFLINE have no schedule: answers decide when the next is due.
 */
#ifndef PS_LOAD_ARRIVALS_H
#define PS_LOAD_ARRIVALS_H

#include "base/error.h"
#include "base/rng.h"

#include <stddef.h>
#include <stdint.h>

#define PS_LOAD_MAX_RATE_RPS 1e7 /* of one tenant, also at its peak */
#define PS_LOAD_MAX_STEPS    10000
#define PS_LOAD_MAX_PARTS    1024 /* of a trace */
#define PS_LOAD_MIN_CV	     0.01
#define PS_LOAD_MAX_CV	     20.0

enum ps_load_arrival_kind {
	PS_LOAD_POISSON,
	PS_LOAD_CONSTANT,
	PS_LOAD_GAMMA,
	PS_LOAD_BURSTS,
	PS_LOAD_RAMP,
	PS_LOAD_STEPS,
	PS_LOAD_SINUSOID,
	PS_LOAD_TRACE,
	PS_LOAD_CLOSED,	 /* `concurrency` users, each thinks and asks again when answered */
	PS_LOAD_OFFLINE, /* as fast as it goes: `concurrency` requests always under way */
	PS_LOAD_ARRIVAL_KINDS,
};

/* ps_load_arrival_name returns "poisson", "constant", ... */
const char *ps_load_arrival_name(enum ps_load_arrival_kind kind);

/* PS_LOAD_BURSTS: a burst offers `ratio` times the mean rate and lasts `length_ns` on average;
 * bursts take up `share` of the time. In between the rate is (1 - share x ratio) / (1 - share)
 * times the mean, so that the mean holds. Both lengths are exponential. 0 means the default in
 * brackets.
 */
struct ps_load_bursts {
	double ratio;	   /* [4] >= 1 */
	double share;	   /* [0.2] in (0, 1), share x ratio <= 1 */
	int64_t length_ns; /* [1 s] */
};

struct ps_load_step {
	double rate_rps;     /* 0: a pause */
	int64_t duration_ns; /* > 0 */
};

/* PS_LOAD_TRACE: which arrivals of a trace, and how fast. */
struct ps_load_replay {
	const struct ps_load_trace *trace; /* borrowed */
	double speed;			   /* 2: twice as fast; 0: 1 */
	bool loop;			   /* begin again at its end */
	int part, parts;      /* of a trace split over tenants: part 0 .. parts - 1; parts
			       * 0: all of it. The parts are disjoint and make the whole */
	bool split_functions; /* whole functions go to a part, not single arrivals at random */
	uint64_t split_seed;
};

/* How long a user of a closed loop waits after an answer. */
struct ps_load_think {
	int64_t mean_ns; /* 0: not at all */
	bool constant;	 /* else exponential */
};

/* What a user asks for. Zeroed and given a rate it is Poisson. Arrays are borrowed. */
struct ps_load_arrival_spec {
	enum ps_load_arrival_kind kind;
	double rate_rps; /* CONSTANT, POISSON, GAMMA, BURSTS, SINUSOID: the mean; RAMP: the first */
	double scale;	 /* multiplies every rate, and a trace's speed; 0: 1 */
	double cv;	 /* GAMMA: standard deviation of the gaps in mean gaps */
	struct ps_load_bursts bursts;
	double to_rps;	 /* RAMP */
	int64_t over_ns; /* RAMP */
	const struct ps_load_step *steps;
	size_t step_len;
	double swing;	   /* SINUSOID: 0 to 1 */
	int64_t period_ns; /* SINUSOID */
	double phase;	   /* SINUSOID: in periods; 0: at the mean, rising */
	bool even;	   /* RAMP, STEPS: no randomness */
	struct ps_load_replay replay;
};

/* ps_load_arrival_is_closed says whether answers decide when the next request is due. */
static inline bool ps_load_arrival_is_closed(const struct ps_load_arrival_spec *spec)
{
	return spec->kind == PS_LOAD_CLOSED || spec->kind == PS_LOAD_OFFLINE;
}

/* ps_load_arrival_check refuses (PS_EINVAL) what is no process or exceeds PS_LOAD_MAX_RATE_RPS, and
 * a trace that ends before `total_ns` and does not loop. What passes is safe for all below. */
enum ps_status ps_load_arrival_check(const struct ps_load_arrival_spec *spec, int64_t total_ns,
				     struct ps_error *err);
/* ps_load_bursts_resolve puts defaults for zeros. False: the result is no valid process. */
bool ps_load_bursts_resolve(struct ps_load_bursts *b);

/* ps_load_arrival_expected returns the expected number of arrivals before `at_ns` (of a trace: the
 * number, or the mean over the ways to split it); 0 when there is no schedule. */
double ps_load_arrival_expected(const struct ps_load_arrival_spec *spec, double at_ns);
/* ps_load_arrival_mean_rps is that per second over a run of `total_ns`. */
double ps_load_arrival_mean_rps(const struct ps_load_arrival_spec *spec, int64_t total_ns);
/* ps_load_arrival_rescale sets spec->scale so that `rate_rps` are offered on average over a run of
 * `total_ns`. PS_EINVAL when there is nothing to scale. */
enum ps_status ps_load_arrival_rescale(struct ps_load_arrival_spec *spec, double rate_rps,
				       int64_t total_ns, struct ps_error *err);

/* The states of bursts: [0] quiet, [1] burst. It begins as it goes on: in a burst with the
 * probability that any later instant has. */
struct ps_load_burst_path {
	struct ps_rng rng;
	double mean_ns[2];
	double end_ns; /* of the present state */
	int state;
};

/* ps_load_burst_path_init starts the path of resolved bursts. */
void ps_load_burst_path_init(struct ps_load_burst_path *p, const struct ps_load_bursts *b,
			     uint64_t seed, const char *name);
/* ps_load_burst_path_next goes on to the next state. */
void ps_load_burst_path_next(struct ps_load_burst_path *p);

/* One process under way. */
struct ps_load_arrivals {
	struct ps_load_arrival_spec spec; /* resolved */
	struct ps_rng rng;
	double until_ns;    /* nobody asks for later instants: INFINITY may stand for them */
	double at_ns;	    /* the last instant */
	double gap_ns;	    /* mean gap, where there is one */
	double last_gap_ns; /* GAMMA: exact, however late it is */
	uint64_t count;	    /* instants given out */
	struct ps_load_burst_path path;
	double state_gap_ns[2];		 /* BURSTS */
	size_t piece;			 /* RAMP, STEPS: number of the present one, */
	double piece_ns, piece_arrivals; /* its beginning, and expected arrivals before it */
	double arrivals;		 /* RAMP, STEPS: the integral of the rate at at_ns */
	size_t entry;			 /* TRACE: the next */
	double lap;			 /* TRACE */
};

/* ps_load_arrivals_init starts the process at instant 0 for the tenant `name`. `spec` has passed
 * the check, is open, and what it points to stays. until_ns is INFINITY; who needs no instant at or
 * after another one sets it. */
void ps_load_arrivals_init(struct ps_load_arrivals *a, const struct ps_load_arrival_spec *spec,
			   uint64_t seed, const char *name);
/* ps_load_arrivals_next returns the next instant in ns after the start; never decreases; INFINITY
 * when none follows. O(1), of a split trace and bursts on average. */
double ps_load_arrivals_next(struct ps_load_arrivals *a);
/* ps_load_arrivals_instant rounds one: to the nearest ns, INT64_MAX when it passes 2^62 ns. */
int64_t ps_load_arrivals_instant(double at_ns);

/* ps_load_think_init starts the stream "NAME/think/USER". */
void ps_load_think_init(struct ps_rng *rng, uint64_t seed, const char *name, uint64_t user);
/* ps_load_think_next draws how long the user thinks, in ns. */
int64_t ps_load_think_next(const struct ps_load_think *think, struct ps_rng *rng);

#endif
