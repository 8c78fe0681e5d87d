/* plan_store_internal.h - a results store as a source of what the planner has to know.   Layer 6.
 *
 * Service times, memory and capacities of models are those measured on the store's slices with one
 * thread per run; on a type with as many CPUs they are taken as they are. On other types predict's
 * transfer answers when enough models were measured on both, else the nearest slice, marked. A
 * model that was not measured is predicted from its file. All is read when the first question
 * comes, and learned once.
 */
#ifndef PS_CLI_PLAN_STORE_INTERNAL_H
#define PS_CLI_PLAN_STORE_INTERNAL_H

#include "cli/predict_tables_internal.h"
#include "plan/case.h"

#define PS_CLI_PLAN_MAX_ASKED 100000

/* What was worked out once: of a model on so many CPUs. */
struct ps_cli_plan_found {
	int model;
	double cpus;
	enum ps_status status; /* PS_EUNAVAIL: `why` says what is missing */
	const char *why;
	struct ps_plan_known_service service;
};

struct ps_cli_plan_store {
	const char *path, *dir; /* of the store; of models' files, may be NULL */
	struct ps_cli_predict_data data;
	bool counted; /* the models' work */
	double confidence;
	struct ps_plan_asked *asked;
	int n_asked;
	struct ps_cli_plan_found *found;
	size_t n_found, cap_found;
	/* learned when first needed; PS_EUNAVAIL: with why not */
	struct ps_cli_predict_table service, capacity, memory;
	bool learned_service, learned_capacity, learned_memory;
	const char *no_service, *no_capacity, *no_memory;
	struct ps_plan_beside
		guess;	       /* of pairs that were not measured; origin unknown: no pair was */
	double pair_deviation; /* of logarithms, between blocks; NAN */
	double pair_mean, pair_variance; /* of pairs' true logarithms, blocks' scatter taken out */
	const char *least_type; /* "provider/type", of those asked about the one with fewest CPUs */
	double least_cpus;	/* 0: none was asked about */
	struct ps_plan_source source;
};

/* ps_cli_plan_store_open reads a store. Free with ps_cli_plan_store_free (NULL is allowed). */
enum ps_status ps_cli_plan_store_open(const char *path, const char *dir,
				      struct ps_cli_plan_store **ret_store, struct ps_error *err);
void ps_cli_plan_store_free(struct ps_cli_plan_store *s);

/* ps_cli_plan_store_model is the place of a model among the store's and the files; -1: neither
 * knows it. */
int ps_cli_plan_store_model(const struct ps_cli_plan_store *s, const char *name);
/* ps_cli_plan_store_say keeps a text as long as the store. */
const char *ps_cli_plan_store_say(struct ps_cli_plan_store *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* ps_cli_plan_store_slice is what a server on a type runs on: a lane per CPU, one thread each. */
struct ps_predict_slice ps_cli_plan_store_slice(const struct ps_cost_price *type);
/* ps_cli_plan_store_nearest finds the slice of one thread per run nearest to so many CPUs on which
 * the model was measured, batch 1; false: on none. */
bool ps_cli_plan_store_nearest(const struct ps_cli_plan_store *s, int model, double cpus,
			       struct ps_predict_slice *ret_slice);

/* The functions of the source. What is not known is PS_EUNAVAIL with the reason. */
enum ps_status ps_cli_plan_store_service(void *store, const char *model,
					 const struct ps_cost_price *type,
					 struct ps_plan_known_service *ret, struct ps_error *err);
enum ps_status ps_cli_plan_store_capacity(void *store, const char *model,
					  const struct ps_cost_price *type,
					  struct ps_plan_known_capacity *ret, struct ps_error *err);
enum ps_status ps_cli_plan_store_memory(void *store, const char *model,
					struct ps_plan_known_memory *ret, struct ps_error *err);
bool ps_cli_plan_store_beside(void *store, const char *own, const char *other,
			      struct ps_plan_beside *ret);
/* ps_cli_plan_store_pairs works out what is said of pairs, once. */
void ps_cli_plan_store_pairs(struct ps_cli_plan_store *s);

/* What is learned: a table with its folds, or why there is none. Each is learned when first asked
 * for. PS_EUNAVAIL with the reason. */
enum ps_status ps_cli_plan_store_learn(struct ps_cli_plan_store *s,
				       const struct ps_predict_quantity *q,
				       struct ps_cli_predict_table **ret_table,
				       struct ps_error *err);
/* ps_cli_plan_store_count reads the models' files, once. */
enum ps_status ps_cli_plan_store_count(struct ps_cli_plan_store *s, struct ps_error *err);
/* ps_cli_plan_store_ask asks a table, for an upper (or lower) end at the plan's confidence. Without
 * enough models for an interval, normal errors of the size seen on models left out are supposed,
 * which `from.how` says. */
enum ps_status ps_cli_plan_store_ask(struct ps_cli_plan_store *s, struct ps_cli_predict_table *t,
				     const struct ps_predict_row *row, double *ret_value,
				     double *ret_low, double *ret_high,
				     struct ps_plan_from *ret_from, struct ps_error *err);

#endif
