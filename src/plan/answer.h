/* answer.h - a plan for a case, and what else it could have been.   Layer 3, pure.
 *
 * ps_plan_answer tries tenants cut more and less finely, and, where tenants allow it, spot
 * machines; searches the best of these with the time that is left; gives each tenant its machines
 * and shares of traffic; and sets three others beside it: every part on a machine of its own
 * (dedicated), the best with machines of one type, and first fit by CPU, as is often done.
 *
 * The printed bound is for plans that cut the tenants as this one does; any_split_usd_per_hour
 * holds however traffic is split.
 */
#ifndef PS_PLAN_ANSWER_H
#define PS_PLAN_ANSWER_H

#include "plan/case.h"

#define PS_PLAN_CPU_TARGET 0.7 /* first fit by CPU fills machines to this */

/* One tenant on one machine. */
struct ps_plan_place {
	int tenant;
	double traffic; /* its share of the tenant's requests */
	struct ps_plan_forecast forecast;
};

struct ps_plan_rented {
	int type, n;
	struct ps_plan_place *places;
	struct ps_plan_state state;
};

/* Another way to do it. machines 0: it cannot be done. */
struct ps_plan_other {
	int machines, type; /* type -1: several */
	double usd_per_hour;
	int broken;		       /* parts whose agreement would not be kept */
	struct ps_plan_rented *rented; /* [machines]; NULL: who is where was not kept */
	const char *why;	       /* there is none */
};

struct ps_plan_answer {
	const struct ps_plan_case *c;
	struct ps_plan_split split;
	struct ps_plan_result result;
	struct ps_plan_rented *machines; /* [result.plan.n] */
	double any_split_usd_per_hour;
	double fineness; /* of the split that was taken; 0: as few parts as can be */
	int splits_tried;
	struct ps_plan_other dedicated, homogeneous, first_fit;
	double without_spot_usd_per_hour; /* found before spot machines were tried; 0: they were not
					   */
	/* found before the notice of a revocation was counted on; 0: no type is replaced in time */
	double without_notice_usd_per_hour;
	double revocations_per_month;
	/* The share of time in which a tenant has two or more of its machines away, if they are
	 * revoked independently: of the tenant where it is greatest. */
	double two_away;
	int two_away_tenant;
};

struct ps_plan_answer_options {
	const struct ps_clock *clock;
	int64_t time_limit_ns;
	uint64_t seed;
	double gap;
	enum ps_plan_method method;
	bool compare; /* the others too: takes about a quarter of the time more */
	/* Tells what is done now; may be NULL. */
	void (*progress)(void *ctx, const char *what);
	void *progress_ctx;
};

/* ps_plan_answer makes the answer; errors of ps_plan_case_split and ps_plan_solve. `ret_answer`
 * must not move afterwards. */
enum ps_status ps_plan_answer(const struct ps_plan_case *c, const struct ps_plan_answer_options *o,
			      struct ps_plan_answer *ret_answer, struct ps_error *err);
void ps_plan_answer_fini(struct ps_plan_answer *a);

/* ps_plan_answer_by_cpu fills a->first_fit, of the split that the answer took, after
 * a->homogeneous. PS_ENOMEM. */
enum ps_status ps_plan_answer_by_cpu(struct ps_plan_answer *a, struct ps_error *err);

/* ps_plan_answer_two_away works two_away out for the machines of an answer. PS_ENOMEM. */
enum ps_status ps_plan_answer_two_away(struct ps_plan_answer *a, struct ps_error *err);

#endif
