/* source.h - where the figures of models are from, when the plan's own file does not give them.
 *   Layer 3, pure.
 *
 * A source is a table of functions: a results store with what it can predict (cli/plan_store), or
 * a test's table. What was measured on as many CPUs as a type has goes before what the file of
 * profiles gives, and that before what is predicted. Functions give PS_EUNAVAIL when nothing is
 * known; every other failure ends the plan. Texts are borrowed and live as long as the source.
 */
#ifndef PS_PLAN_SOURCE_H
#define PS_PLAN_SOURCE_H

#include "base/error.h"
#include "cost/cost.h"

#include <stdbool.h>

enum ps_plan_origin { PS_PLAN_UNKNOWN, PS_PLAN_GIVEN, PS_PLAN_MEASURED, PS_PLAN_PREDICTED };

struct ps_plan_from {
	enum ps_plan_origin origin;
	const char *how;     /* "on 2 CPUs", "median of three, 11 models"; NULL */
	const char *outside; /* what of it lies outside the measured range; NULL: nothing */
};

struct ps_plan_known_service {
	double mean_s; /* of a request alone on a lane */
	double high_s; /* its upper end at the plan's confidence, >= mean_s */
	double cv;
	bool on_the_type; /* the measured slice stood for this very type */
	struct ps_plan_from from;
};

struct ps_plan_known_memory {
	double resident_bytes, peak_bytes;
	struct ps_plan_from from;
};

/* The most requests per second that kept an agreement alone. rps 0: not known. */
struct ps_plan_known_capacity {
	double rps, low_rps; /* and its lower end */
	double lanes;	     /* of the machine that it is of */
	double percentile, limit_s;
	struct ps_plan_from from;
};

/* How many times as long a model's runs take beside another model. */
struct ps_plan_beside {
	double middle, high; /* 1 <= middle <= high; high at the plan's confidence */
	enum ps_plan_origin origin;
};

/* A tenant as far as a source needs it: for what is to be predicted or measured. */
struct ps_plan_asked {
	const char *tenant, *model;
	double peak_rps;
	struct ps_sla sla;
};

struct ps_plan_source {
	void *ctx;
	/* begin says who will be asked about, once, before all else. */
	enum ps_status (*begin)(void *ctx, const struct ps_plan_asked *asked, int n,
				double confidence, struct ps_error *err);
	/* service and capacity are asked for types without GPUs; *ret is zeroed. */
	enum ps_status (*service)(void *ctx, const char *model, const struct ps_cost_price *type,
				  struct ps_plan_known_service *ret, struct ps_error *err);
	enum ps_status (*capacity)(void *ctx, const char *model, const struct ps_cost_price *type,
				   struct ps_plan_known_capacity *ret, struct ps_error *err);
	enum ps_status (*memory)(void *ctx, const char *model, struct ps_plan_known_memory *ret,
				 struct ps_error *err);
	/* beside fills what is known of a pair; false: nothing is. */
	bool (*beside)(void *ctx, const char *own, const char *other, struct ps_plan_beside *ret);
	/* path borrows where the model's file is; NULL: not known. */
	const char *(*path)(void *ctx, const char *model);
};

/* What was found of one model on one type. */
struct ps_plan_figures {
	struct ps_plan_from service;
	struct ps_plan_known_capacity capacity;
	double slowed; /* service times are taken so many times as long, or else the formula would
			* carry more than the capacity */
};

/* ps_plan_slowed returns the least factor >= 1 on the service time at which a machine of so many
 * lanes carries at most `rps` (> 0) of a tenant with that agreement, by the formula of analytic.h.
 */
double ps_plan_slowed(double lanes, double mean_s, double cv, double percentile, double limit_s,
		      double rps);

#endif
