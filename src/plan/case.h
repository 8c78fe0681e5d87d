/* case.h - a plan as people write it: tenants, service times, prices, revocations.   Layer 3, pure.
 *
 * Three YAML files (keys: `perseus help plan`): the plan with its tenants, the profiles with
 * service times and memory per model and machine, and, for spot machines, how often they are
 * revoked. The sheet of prices is cost's. ps_plan_case_open makes one checked case of them;
 * ps_plan_case_split cuts its tenants into parts and gives the problem that the search takes.
 *
 * Reading is the only thing here that blocks.
 */
#ifndef PS_PLAN_CASE_H
#define PS_PLAN_CASE_H

#include "base/sla.h"
#include "base/strbuf.h"
#include "conf/conf.h"
#include "cost/cost.h"
#include "plan/analytic.h"
#include "plan/plan.h"
#include "plan/source.h"

enum {
	PS_PLAN_MAX_TENANTS = 100000,
	PS_PLAN_MAX_MODELS = 2000,
	PS_PLAN_MAX_REPLICAS = 1000, /* parts of one tenant */
	PS_PLAN_MAX_APART = 1000,    /* tenants that one names in apart_from */
};

/* ---- the files ---- */

/* A yes or no that may come from another tenant. */
enum ps_plan_said { PS_PLAN_INHERITED, PS_PLAN_SAID_FALSE, PS_PLAN_SAID_TRUE };

struct ps_plan_file_tenant {
	char *name, *like, *model;
	int64_t count, replicas;
	double rate_rps;
	struct ps_conf_texts rates, apart_from, instance_types;
	struct ps_sla sla;
	int survive, spot; /* enum ps_plan_said */
	struct ps_conf_where where;
};

struct ps_plan_file {
	char *prices, *profiles, *revocations, *corrections;
	struct ps_conf_texts instance_types;
	double confidence;
	int64_t server_memory_bytes;
	struct ps_conf_array tenants; /* of struct ps_plan_file_tenant */
};

struct ps_plan_profile {
	char *model, *path, *instance_type, *gpu_kind, *source;
	int64_t service_ns, memory_bytes, load_peak_bytes;
	double error, cv, slowdown;
	struct ps_conf_where where;
};

struct ps_plan_profiles {
	struct ps_conf_array profiles;
};

struct ps_plan_revocation {
	char *provider, *instance_type, *gpu_kind, *source, *source_date;
	double per_hour, within_24h;
	int64_t notice_ns, start_ns;
	struct ps_conf_where where;
};

struct ps_plan_revocations {
	struct ps_conf_array revocations;
};

struct ps_plan_correction {
	char *model, *instance_type, *source;
	double factor;
	struct ps_conf_where where;
};

struct ps_plan_corrections {
	struct ps_conf_array corrections;
};

/* The rows of the formats, for --help and errors. */
extern const struct ps_conf_schema ps_plan_file_schema, ps_plan_profiles_schema,
	ps_plan_revocations_schema, ps_plan_corrections_schema;

/* ---- the case ---- */

struct ps_plan_tenant {
	char *name;
	const struct ps_plan_file_tenant *file; /* where it stands */
	const struct ps_plan_file_tenant
		*said; /* with what `like` gave it: not to be freed by us */
	int model;
	const double *rates_rps; /* [hours] */
	double peak_rps;
	struct ps_sla sla;
	int replicas;
	bool survive, spot;
	const bool *allowed; /* [types]; NULL: all */
	int *apart;	     /* numbers of tenants, ascending */
	int aparts;
};

struct ps_plan_case_type {
	char *name; /* "aws/c6i.large", "aws/c6i.large spot" */
	const struct ps_cost_price *price;
	bool spot;
	double usd_per_hour; /* expected, with what replacing revoked machines costs */
	double listed_usd_per_hour;
	double revoked_per_hour;
	int64_t notice_ns, start_ns;
	bool replaced_in_time; /* spot: the next one serves before this one goes */
};

struct ps_plan_case_model {
	const char *name, *path; /* path NULL: not said */
};

struct ps_plan_case {
	struct ps_plan_file file;
	struct ps_plan_profiles profiles;
	struct ps_plan_revocations revocations;
	struct ps_cost_sheet sheet;
	char *path, *profiles_path, *revocations_path, *prices_path;

	struct ps_plan_tenant *tenants;
	struct ps_plan_case_type *types;
	struct ps_plan_case_model *models;
	int n_tenants, n_types, n_models, hours;
	bool has_spot;
	bool has_replaced; /* spot types that are replaced in time are there */

	struct ps_plan_host *hosts;
	struct ps_plan_service *services; /* [type * n_models + model] */
	double *corrected; /* likewise: by what a service time was multiplied; NULL: none was */
	struct ps_plan_footprint *footprints;
	struct ps_plan_file_tenant *said; /* [file tenants]: resolved */
	double *rates;			  /* [file tenants * hours] */
	bool *allowed;			  /* [file tenants * types] */

	/* Where that is from, when the case was opened with a source: else all of it is given in
	 * the files, and these are NULL. */
	const struct ps_plan_source *source; /* borrowed */
	struct ps_plan_figures *figures;     /* [type * n_models + model] */
	struct ps_plan_from *memory_from;    /* [model] */
	struct ps_plan_beside *beside;	     /* [own * n_models + other]; NULL: of no pair */
};

/* ps_plan_case_open reads the files and checks them. `prices`, `profiles` and `revocations` (may be
 * NULL) are used in place of what the plan names. PS_EPARSE and what reading gives, with
 * file:line:key; PS_EINVAL for constraints that contradict each other; PS_ENOTFOUND for models
 * without a profile. */
enum ps_status ps_plan_case_open(const char *path, const char *prices, const char *profiles,
				 const char *revocations, struct ps_plan_case *ret_case,
				 struct ps_error *err);
/* ps_plan_case_open_from is the same with a source of figures beside the file of profiles, which
 * then need not be there. PS_ENOTFOUND names the tenants of whose models nothing is known. `source`
 * must outlive the case. */
enum ps_status ps_plan_case_open_from(const char *path, const char *prices, const char *profiles,
				      const char *revocations, const struct ps_plan_source *source,
				      struct ps_plan_case *ret_case, struct ps_error *err);
/* ps_plan_case_correct multiplies service times by the factors of the file at `path`, or, when that
 * is NULL, of the one that the plan names, if any: whether they are given, measured or predicted.
 * Rows of models and types that the case has not are for other plans. PS_EPARSE and what reading
 * gives, with file:line:key. */
enum ps_status ps_plan_case_correct(struct ps_plan_case *c, const char *path, struct ps_error *err);
/* ps_plan_case_raise multiplies one service time, and keeps in mind by what. PS_ENOMEM. */
enum ps_status ps_plan_case_raise(struct ps_plan_case *c, int type, int model, double factor,
				  struct ps_error *err);
/* ps_plan_case_corrected returns by what it was multiplied so far: 1 when it was not. */
double ps_plan_case_corrected(const struct ps_plan_case *c, int type, int model);
/* ps_plan_corrections_text appends a file that ps_plan_case_correct reads: of each model that was
 * corrected the factors on all types of the case, and the greatest one on a type that it was not
 * measured on for all other such types. Returns how many models there are: of none nothing is
 * appended. */
int ps_plan_corrections_text(const struct ps_plan_case *c, struct ps_strbuf *out);
/* ps_plan_case_fini releases it; a zeroed case may be passed. */
void ps_plan_case_fini(struct ps_plan_case *c);

/* ---- tenants cut into parts ---- */

/* What tenants that allow spot machines may be on. 0: none of them. */
enum ps_plan_spot {
	PS_PLAN_NO_SPOT,
	PS_PLAN_SPOT_SPARE,    /* all, with a replica to spare that outlives a revocation */
	PS_PLAN_SPOT_REPLACED, /* those that are replaced in time, with none */
};

struct ps_plan_split {
	const struct ps_plan_case *c;
	enum ps_plan_spot with_spot;
	int *parts;   /* [tenant] */
	int *kind_of; /* [tenant] */
	struct ps_plan_kind *kinds;
	struct ps_plan_demand *demands;
	double *rates;
	int *apart;
	bool *allowed; /* [kinds * types] */
	struct ps_plan_type *types;
	int n_kinds;
	struct ps_plan_analytic analytic;
	struct ps_plan_oracle oracle;
	struct ps_plan_problem problem;
};

/* ps_plan_case_split cuts every tenant into equal parts: as few as its replicas and the machines
 * allow, or, with `fineness` > 0, so many that none takes more than that share of what its cheapest
 * type can carry. A tenant that is to survive the loss of a machine has at least two, each fit to
 * carry its share when one is gone. `with_spot`: which spot machines tenants that allow them may
 * have, and whether they survive. PS_EINVAL when an agreement cannot be kept on any type: which
 * tenant, why, and the nearest that can; PS_ENOMEM. `ret_split` must not move afterwards, and `c`
 * must outlive it. */
enum ps_status ps_plan_case_split(const struct ps_plan_case *c, double fineness,
				  enum ps_plan_spot with_spot, struct ps_plan_split *ret_split,
				  struct ps_error *err);
void ps_plan_split_fini(struct ps_plan_split *s);

/* ps_plan_case_any_split returns what no plan goes below, however traffic is split and with spot
 * machines or without: each tenant's load, at its own strictness, on the type that carries it for
 * least, in the dearest stretch of the day. For a case that can be split. */
double ps_plan_case_any_split(const struct ps_plan_case *c);

#endif
