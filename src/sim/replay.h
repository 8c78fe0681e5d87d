/* replay.h - one machine of a plan under a long stretch of arrivals, such as a day's.   Layer 5,
 * pure. Uses base, stats, load (traces as they were read), sim.
 *
 * The machine is what ps_sim_run makes of it: the server's own order and admission, in virtual
 * time. Arrivals are drawn while they are needed, and what became of them goes into histograms and
 * counts, so memory does not grow with their number (what is waiting at one time, the histograms
 * and the intervals are all there is).
 *
 * Service times are gamma distributed around the model's mean, as the planner takes them to be.
 */
#ifndef PS_SIM_REPLAY_H
#define PS_SIM_REPLAY_H

#include "base/sla.h"
#include "load/trace.h"
#include "sim/sim.h"
#include "stats/hist.h"

#define PS_SIM_REPLAY_MAX_INTERVALS 10000
#define PS_SIM_REPLAY_HOUR_NS	    INT64_C(3600000000000)

/* Which arrivals are somebody's part: those whose number draws a value in [from, to). Stretches
 * that do not overlap share no arrival, and stretches that cover [0, 1) leave none out; of Poisson
 * arrivals each part is Poisson again (thinning). */
struct ps_sim_part {
	uint64_t seed;
	double from, to;
};

/* ps_sim_part_has says whether arrival `number` is of the part. */
bool ps_sim_part_has(const struct ps_sim_part *p, uint64_t number);

/* ps_sim_curve fills phases from a trace: its rate in each `bin_ns`, in units of *ret_rate_rps, the
 * rate of its busiest stretch of `window_ns` (of all of it, when it is shorter); 0 behind its end.
 * `ret_phases` has room for ps_sim_curve_len. */
int ps_sim_curve_len(const struct ps_load_trace *t, int64_t bin_ns);
void ps_sim_curve(const struct ps_load_trace *t, int64_t bin_ns, int64_t window_ns,
		  struct ps_sim_phase *ret_phases, double *ret_rate_rps);

/* One tenant on the machine. Arrays and traces are borrowed. */
struct ps_sim_replay_tenant {
	int model;
	double rate_rps;		   /* Poisson of rate_rps x the phase's factor, */
	const struct ps_sim_phase *phases; /* none: 1 throughout */
	int n_phases;
	const struct ps_load_trace *trace; /* or, when not NULL, the recorded instants */
	struct ps_sim_part part;	   /* of the trace */
	int64_t weight;			   /* >= 1 */
	struct ps_sla sla;		   /* may be unset */
};

struct ps_sim_replay_model {
	double mean_ns, cv; /* of one request on one lane; cv 0: constant */
};

struct ps_sim_replay_machine {
	const struct ps_sim_replay_tenant *tenants;
	const struct ps_sim_replay_model *models;
	int n_tenants, n_models, n_lanes;
};

struct ps_sim_replay_options {
	int64_t length_ns;   /* arrivals come in [0, length) */
	int64_t interval_ns; /* how long a stretch is for which the agreement is judged by itself */
	uint64_t seed;
};

/* What ended in an interval; what ends after the last one belongs to it. */
struct ps_sim_replay_interval {
	uint32_t ended, served, in_time;
};

struct ps_sim_replay_hour {
	int64_t from_ns;
	int64_t requests;		/* that ended in it; 0: there is no such hour */
	int64_t p50_ns, p95_ns, p99_ns; /* over all of them, refused ones above every value: */
	int64_t at_sla_ns;		/* PS_HIST_INFINITE. Without SLA as p99 */
};

/* Of one tenant. */
struct ps_sim_replay_result {
	struct ps_sim_result counts;
	struct ps_hist latencies; /* over the whole run; `lost` are those that were not served */
	struct ps_sim_replay_hour worst;	  /* at the SLA's percentile; the first of equals */
	struct ps_sim_replay_interval *intervals; /* [ps_sim_replay_intervals] */
};

struct ps_sim_replay_summary {
	struct ps_sim_summary sim;
	double busy;	  /* lane time in use / lane time, over the length */
	double busy_most; /* in the busiest hour */
	int64_t busy_most_from_ns;
};

/* ps_sim_replay_intervals returns how many intervals there are; 0 when over the limit or none. */
int ps_sim_replay_intervals(const struct ps_sim_replay_options *o);

/* ps_sim_replay runs the machine; ret_results holds n_tenants rows, each for
 * ps_sim_replay_result_fini, on failure too. PS_EINVAL, PS_ETOOBIG (PS_SIM_MAX_TENANTS and so on),
 * PS_ENOMEM. */
enum ps_status ps_sim_replay(const struct ps_sim_replay_machine *m,
			     const struct ps_sim_replay_options *o,
			     struct ps_sim_replay_result *ret_results,
			     struct ps_sim_replay_summary *ret_summary, struct ps_error *err);
void ps_sim_replay_result_fini(struct ps_sim_replay_result *r);

/* ps_sim_replay_kept says whether an agreement was kept by what ended: the share in time is at
 * least its percentile and the share served at least its success. Nothing ended, or no SLA: kept.
 */
bool ps_sim_replay_kept(const struct ps_sla *sla, int64_t ended, int64_t served, int64_t in_time);

#endif
