/* plan.h - the cheapest machines that keep every tenant's agreement.   Layer 3, pure.
 *
 * Given instance types with prices, kinds of tenants in so many parts, and an oracle (oracle.h),
 * the search finds machines that hold every part, and a bound: no plan for these parts costs less.
 *
 * Where the bound comes from, the best of four:
 *  - fractional: machines may be rented in parts and tenants cut at will, but load (at each
 * tenant's own strictness) and memory must fit. The linear programme's dual, evaluated exactly, so
 * that it holds however few iterations found it.
 *  - company: the same with what a part needs beside a part of another group, on machines that
 *    hold two groups; those of one group are priced exactly (bound_company.c has the proof).
 *  - patterns: machines may be rented in parts, but what is in one must really fit. Column
 *    generation; duals scaled by the proven worth of the best pattern of each type (Farley, 1990;
 *    Vanderbeck and Wolsey, 1996). Exact pricing only: where it was cut off, the bound of its open
 *    branches stands in. Heuristic pricing finds columns and never sets the bound.
 *  - complete: all patterns that a cheaper plan could use were listed (reduced cost below the gap),
 *    and the integer programme over them was solved or bounded.
 * All are rounded up to the next sum of prices, when these are multiples of something.
 *
 * Pure: time comes from options->clock, randomness from options->seed. Two runs with the same seed
 * give the same plan when neither was cut by its time limit. One thread. Limits below.
 */
#ifndef PS_PLAN_PLAN_H
#define PS_PLAN_PLAN_H

#include "base/clock.h"
#include "base/error.h"
#include "plan/oracle.h"

#define PS_PLAN_MAX_TYPES 500
#define PS_PLAN_MAX_KINDS 100000
#define PS_PLAN_MAX_PARTS 1000000 /* of all kinds together */

struct ps_plan_type {
	double usd_per_hour; /* > 0 */
};

struct ps_plan_kind {
	int parts; /* that must be placed, >= 1 */
	int most;  /* on one machine, 1 to parts: as many as there are tenants of the kind */
	const int
		*apart; /* kinds that may not be on a machine with it; symmetric, without itself */
	int aparts;
};

struct ps_plan_problem {
	const struct ps_plan_oracle *oracle;
	const struct ps_plan_type *types; /* oracle->types of them */
	const struct ps_plan_kind *kinds; /* oracle->kinds */
};

struct ps_plan_machine {
	int type, n;
	struct ps_plan_count *set;
};

struct ps_plan_solution {
	struct ps_plan_machine *machines;
	int n;
	double usd_per_hour;
};

enum ps_plan_method {
	PS_PLAN_AUTO,	    /* all that the time allows */
	PS_PLAN_HEURISTIC,  /* greedy and local search, fractional bound */
	PS_PLAN_EXHAUSTIVE, /* every plan: for at most PS_PLAN_BRUTE_PARTS parts */
};
#define PS_PLAN_BRUTE_PARTS 12

enum ps_plan_bound { PS_PLAN_FRACTIONAL, PS_PLAN_PATTERNS, PS_PLAN_COMPLETE, PS_PLAN_COMPANY };

struct ps_plan_options {
	const struct ps_clock *clock;
	int64_t time_limit_ns;
	int64_t steps; /* of local search at most; 0: by the size of the problem */
	uint64_t seed;
	double gap; /* good enough: stop when the plan costs at most (1 + gap) times the bound */
	enum ps_plan_method method;
	int only_type; /* -1: all; else machines of this type alone */
};

struct ps_plan_result {
	struct ps_plan_solution plan;
	double bound_usd_per_hour;
	enum ps_plan_bound bound_by;
	bool optimal; /* plan and bound meet */
	bool cut_by_time;
	double start_usd_per_hour;	/* the cheapest plan that local search began with */
	double decreasing_usd_per_hour; /* first fit decreasing, one of those; 0: was not made */
	double heuristic_usd_per_hour;	/* what greedy and local search found by themselves */
	int64_t steps, columns, rounds, nodes, pricings, pricings_cut;
};

/* ps_plan_solve finds a plan. PS_EINVAL when a kind fits nowhere alone (ret_kind, may be NULL, gets
 * it) or numbers are out of range, PS_ETOOBIG over a limit, PS_ENOMEM. Blocks for about the time
 * limit at most; a plan is found in any case. */
enum ps_status ps_plan_solve(const struct ps_plan_problem *p, const struct ps_plan_options *o,
			     struct ps_plan_result *ret_result, int *ret_kind,
			     struct ps_error *err);

/* ps_plan_dedicated puts every part on a machine of its own, the cheapest it fits on. */
enum ps_status ps_plan_dedicated(const struct ps_plan_problem *p, struct ps_plan_solution *ret_plan,
				 struct ps_error *err);

/* ps_plan_fits judges one machine: the oracle and the rules of the kinds. */
enum ps_plan_reason ps_plan_fits(const struct ps_plan_problem *p, int type,
				 const struct ps_plan_count *set, int n, int *ret_kind);

/* ps_plan_check says whether a solution is a plan: every part placed, every machine fits, the sum
 * is the cost. PS_EINTERNAL with what is wrong. */
enum ps_status ps_plan_check(const struct ps_plan_problem *p, const struct ps_plan_solution *s,
			     struct ps_error *err);

/* ps_plan_solution_free releases the machines; a zeroed solution may be passed. */
void ps_plan_solution_free(struct ps_plan_solution *s);

#endif
