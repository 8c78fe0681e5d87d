/* analytic.h - an oracle from service times: shares of a machine, a bound on waiting, memory.
 * Layer 3, pure.
 *
 * A machine has lanes; requests of a tenant come as a Poisson stream and wait for a lane in one
 *queue, first come first served. With service times S_i, rates r_i and c lanes, each lane alone is
 *an M/G/1 queue of rates r_i / c, for which Kingman's bound holds (Kingman, 1970; Ross, Stochastic
 *Processes, 7.4): for every x > 0 with sum_i r_i (E exp(x S_i) - 1) <= c x
 *(1) the waiting time W has P(W > w) <= exp(-x w), and so a latency P(W + S_j > l) <= exp(-x l) E
 *exp(x S_j). A common queue for c lanes waits less than c queues (Wolff, 1977, in the increasing
 *convex order), so (1) is conservative there; for one lane it is a theorem.
 *
 * A tenant j with "p <= L" is safe when that is at most 1 - p for some x: when x may be as large as
 *its strictness x_j, the least root of x L - ln E exp(x S_j) = -ln(1 - p). So a set fits when (1)
 *holds for the largest x_j of its members: a sum again, hence monotone, with exact needs per level.
 *
 * Service times are gamma distributed with the profile's mean and coefficient of variation
 *(constant where that is 0). Feasibility uses the upper end of the mean at the confidence, times
 *the slowdown beside others. With several hours, (1) must hold in each of them.
 *
 * Beside any other tenant service times are `slowdown` times as long: a set of one part is alone.
 *
 * Where runs beside another model are known to take longer (`beside`), service times of a set are
 *those, times the product over the other models in it; at the upper end their errors are added as
 *squares of logarithms, being independent. A model more makes all of them longer or
 *leaves them, so that a set that fits still has only subsets that fit; and what alone must fit
 *(needs, levels) is less than what the set takes, so that bounds from it hold.
 *
 * Memory: the server's own, each model of the set once (tenants share an instance), and the
 *greatest extra that one of them takes while it loads.
 *
 * What it leaves out: arrivals that are burstier than Poisson, and orders other than first come
 *first served, which may serve one tenant later than this and others sooner.
 */
#ifndef PS_PLAN_ANALYTIC_H
#define PS_PLAN_ANALYTIC_H

#include "base/error.h"
#include "plan/oracle.h"
#include "plan/source.h"

#define PS_PLAN_MAX_HOURS (PS_PLAN_MAX_DIMS - 1)

/* One model on one type. */
struct ps_plan_service {
	bool known, extrapolated;
	double mean_s;	 /* on one lane, alone on the machine */
	double high_s;	 /* its upper end at the confidence, >= mean_s */
	double cv;	 /* standard deviation / mean of single requests */
	double slowdown; /* times as long beside any other tenant; 0: as long */
};

struct ps_plan_footprint {
	double resident_bytes, peak_bytes; /* peak: beyond resident, while it loads */
};

struct ps_plan_host {
	double lanes, memory_bytes;
	double server_bytes; /* of the server itself */
};

/* One kind of tenant: the part that is placed. */
struct ps_plan_demand {
	int model;
	const double *rate_rps; /* [hours], of one part */
	double percentile, limit_s;
	const bool *allowed; /* [types]; NULL: all */
};

struct ps_plan_analytic {
	int types, models, kinds, hours;
	const struct ps_plan_host *hosts;	    /* [type] */
	const struct ps_plan_service *services;	    /* [type * models + model] */
	const struct ps_plan_footprint *footprints; /* [model] */
	const struct ps_plan_demand *demands;	    /* [kind]; models ascending */
	/* [own * models + other], >= 1; NULL: models do not slow each other down */
	const struct ps_plan_beside *beside;
	/* Worked out by init. */
	double *strictness;   /* [type * kinds + kind]: x_j; INFINITY: never */
	double *edge;	      /* [type * levels + level]: the least strictness of a level */
	double *load;	      /* [(type * levels + level) * models + model]: (E exp(xS) - 1) / x */
	double *beside_error; /* [own * models + other]: ln(high / middle) squared */
	double *least_beside; /* [own]: the least `high` beside another model; INFINITY: there is
				 none */
	bool slows;	      /* somebody's runs take longer in company */
	int *most_together;   /* [type * models + model]: kinds' parts of a model on one machine */
	int levels;	      /* so many distinct strictnesses are told apart per type */
};

/* ps_plan_analytic_init works out what the oracle needs; the inputs must outlive it. PS_EINVAL for
 * numbers that are none, PS_ENOMEM. */
enum ps_status ps_plan_analytic_init(struct ps_plan_analytic *a, struct ps_error *err);
void ps_plan_analytic_fini(struct ps_plan_analytic *a);
/* ps_plan_analytic_oracle wraps it; `a` must outlive the oracle. */
struct ps_plan_oracle ps_plan_analytic_oracle(const struct ps_plan_analytic *a);

/* ps_plan_analytic_judge judges one demand alone on a type, also where it is not allowed to say
 * why; *ret_nearest_s is the least limit that could be kept there without load (INFINITY: no
 * profile). */
enum ps_plan_reason ps_plan_analytic_alone(const struct ps_plan_analytic *a, int type, int kind,
					   double *ret_nearest_s);

/* ps_plan_analytic_rate returns the rate up to which a part of the kind may be alone on the type,
 * in its worst hour: lanes / load(strictness). 0 when it cannot be there. */
double ps_plan_analytic_rate(const struct ps_plan_analytic *a, int type, int kind);

/* ps_plan_analytic_busy returns the share of the machine's compute time that a set takes in its
 * worst hour, from the middle of the service times as they are in that set. */
double ps_plan_analytic_busy(const struct ps_plan_analytic *a, int type,
			     const struct ps_plan_count *set, int n);

/* The parts of the formula, in seconds. */

/* ps_plan_log_mgf returns ln E exp(x S); INFINITY where it does not exist. */
double ps_plan_log_mgf(double x, double mean_s, double cv);
/* ps_plan_load_at returns (E exp(x S) - 1) / x, which is the mean at x = 0. */
double ps_plan_load_at(double x, double mean_s, double cv);
/* ps_plan_strictness returns x_j as above; INFINITY when no x does. */
double ps_plan_strictness(double mean_s, double cv, double percentile, double limit_s);
/* ps_plan_decay_at returns the greatest x with rate x load_at(x) <= lanes; 0 when there is none. */
double ps_plan_decay_at(double rate_rps, double lanes, double mean_s, double cv);
/* ps_plan_latency returns the least l with exp(-x l) E exp(x S) <= 1 - percentile for an x in (0,
 * most_x]. */
double ps_plan_latency(double most_x, double mean_s, double cv, double percentile);

#endif
