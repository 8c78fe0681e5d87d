/* oracle.h - what the planner asks: does this set of tenants fit on that machine?   Layer 3, pure.
 *
 * The planner knows instance types and kinds of tenants by number only. What a kind is (a model,
 *its rates over the day, an SLA) and how a set of them behaves is the oracle's business. An oracle
 *is a table of functions, so that tests bring a simple one and predictions can be exchanged.
 *
 * The contract that every search and every printed bound rests on:
 *  - monotone: a subset of a set that fits, fits (tested for each oracle);
 *  - necessary: every kind has on every type a level (its strictness). When a set fits on a type
 *    and q is the highest level of its members, then in each dimension d the sum over members of
 *    count x need(type, q, kind, d) is at most room(type, d);
 *  - need grows with the level, and is never negative. INFINITY: never together with that level;
 *  - least: what a part needs whatever is beside it. When a set fits, the sum over members of
 *    count x least(type, kind, d) is at most room(type, d) in each dimension. At least the need at
 *    its own level.
 *  - mixed, where there are groups: what a part needs when one of another group is there, too.
 *    When a set with parts of two groups fits, the sum over members of count x
 *    mixed(type, kind, d) is at most room(type, d) in each dimension. At least `least`, at most
 *    the room.
 *
 * Oracles are immutable while a search runs. No function blocks.
 */
#ifndef PS_PLAN_ORACLE_H
#define PS_PLAN_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PS_PLAN_MAX_DIMS   32
#define PS_PLAN_MAX_LEVELS 128

/* Some parts of one kind. A set is a row of these, kinds ascending, each once, counts positive. */
struct ps_plan_count {
	int kind, count;
};

/* Why a set does not fit, the first that was found. */
enum ps_plan_reason {
	PS_PLAN_FITS,
	PS_PLAN_NOT_ALLOWED, /* the tenant does not allow this type */
	PS_PLAN_NO_PROFILE,  /* nothing is known of the model on this type */
	PS_PLAN_TOO_SLOW,    /* over the limit even with no load at all */
	PS_PLAN_LATENCY,     /* the waiting takes it over the limit */
	PS_PLAN_MEMORY,	     /* resident models and the load peak do not fit */
	PS_PLAN_APART,	     /* tenants that are to be kept apart */
};

/* What is foreseen for one kind inside a set. */
struct ps_plan_forecast {
	double latency_s; /* at the SLA's percentile, from the middle of the service times */
	double high_s;	  /* the same from their upper ends at the confidence */
	double limit_s;
	double share;	   /* of the machine's compute time that one part takes in its worst hour */
	bool extrapolated; /* its service time was not measured on this type */
};

/* And for the machine. */
struct ps_plan_state {
	double share;	     /* of the machine's compute time in its worst hour */
	double memory_bytes; /* with the load peak */
	double memory_share;
	double growth; /* by how much all rates may grow until an SLA breaks: 0.1 for 10 % */
};

struct ps_plan_oracle {
	const void *ctx;
	int types, kinds, dims, levels; /* dims, levels: 1 to the limits above */
	/* The level of a kind on a type; -1 when it does not even fit there alone. */
	int (*level)(const void *ctx, int type, int kind);
	/* Fills dims numbers. */
	void (*need)(const void *ctx, int type, int level, int kind, double *ret_need);
	/* The same, exactly: the bound of fractional machines rests on it. */
	void (*least)(const void *ctx, int type, int kind, double *ret_need);
	/* Parts of one group do not slow each other down, as those of others do; NULL: nobody does.
	 */
	int (*group)(const void *ctx, int kind);
	void (*mixed)(const void *ctx, int type, int kind, double *ret_need);
	/* How strict a kind is there: who are alike in it go well together. Levels ascend with it.
	 * Only heuristics go by it. */
	double (*strictness)(const void *ctx, int type, int kind);
	void (*room)(const void *ctx, int type, double *ret_room);
	/* Does the set fit? O(n). The kind that breaks goes to *ret_kind (may be NULL). */
	enum ps_plan_reason (*judge)(const void *ctx, int type, const struct ps_plan_count *set,
				     int n, int *ret_kind);
	/* Fills n forecasts and the state of the machine; for sets that fit. */
	void (*foresee)(const void *ctx, int type, const struct ps_plan_count *set, int n,
			struct ps_plan_forecast *ret_forecast, struct ps_plan_state *ret_state);
};

/* The simplest oracle: sizes and rooms in a few dimensions, added up. For tests and benches. */
struct ps_plan_additive {
	int types, kinds, dims;
	const double *size; /* [kind * dims + d] */
	const double *room; /* [type * dims + d] */
};

/* ps_plan_additive_oracle wraps it; `a` must outlive the oracle. */
struct ps_plan_oracle ps_plan_additive_oracle(const struct ps_plan_additive *a);

/* ps_plan_reason_text says a reason in a few words. */
const char *ps_plan_reason_text(enum ps_plan_reason reason);

#endif
