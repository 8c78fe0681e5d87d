/* curve.h - which of two instance types is cheaper, at what rate.   Layer 3, pure.
 *
 * One tenant (or one set along its ray) at rate r on machines of capacity C at p $/h costs
 *	whole machines	p ceil(r / C)	what a bill says
 *	fluid		p r / C		what its share of shared machines is worth
 * Fluid costs are lines through 0: one type is cheaper at every rate, by the ratio
 * (p_a / C_a) / (p_b / C_b). Whole machines are stairs: a cheap small type wins at low rates, a
 * dear large one from some rate on, and stairs may cross several times. Every crossing lies at a
 * step of one of the two, k C, so its interval is that of C times k.
 */
#ifndef PS_COST_CURVE_H
#define PS_COST_CURVE_H

#include "cost/cost.h"

#define PS_COST_MAX_STEPS 1000000 /* of both stairs, up to the highest rate */

struct ps_cost_type {
	const char *name;
	double usd_per_hour;
	struct ps_stats_interval capacity_rps;
};

/* Costs per hour at one rate. */
struct ps_cost_point {
	double rate_rps;
	struct ps_stats_interval whole[2], fluid[2]; /* of a and b */
};

/* Where the cheaper of the two changes: just above rate_rps it is `then`. */
struct ps_cost_crossing {
	struct ps_stats_interval rate_rps; /* of simultaneous confidence over both capacities */
	int before, then; /* -1: a is cheaper, 0: they cost the same, 1: b is cheaper */
	bool sure; /* for every pair of capacities inside their intervals this step crosses so;
		    * else the order of the steps is not known well enough */
};

/* ps_cost_type_check refuses a price or capacity that is not over 0 and finite, and an interval
 * that does not hold its value. PS_EINVAL. */
enum ps_status ps_cost_type_check(const struct ps_cost_type *t, struct ps_error *err);

/* ps_cost_point_at computes both costs of both types at a rate >= 0. The ends of whole machines
 * take the ends of C. */
struct ps_cost_point ps_cost_point_at(const struct ps_cost_type types[2], double rate_rps);

/* ps_cost_fluid_ratio returns (p_a / C_a) / (p_b / C_b): under 1 a is cheaper at any rate. */
struct ps_stats_interval ps_cost_fluid_ratio(const struct ps_cost_type types[2]);

/* ps_cost_break_even finds the crossings of the stairs from rate 0 to up_to_rps, in order, at most
 * `max` of them; *ret_len is how many there are in all. PS_EINVAL for types that ps_cost_type_check
 * refuses or a rate that is not over 0 and finite; PS_ETOOBIG for over PS_COST_MAX_STEPS steps.
 * O(steps). */
enum ps_status ps_cost_break_even(const struct ps_cost_type types[2], double up_to_rps,
				  struct ps_cost_crossing *ret_crossings, size_t max,
				  size_t *ret_len, struct ps_error *err);

#endif
