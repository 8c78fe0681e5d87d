/* cache_file_internal.h - tenants, models and what is asked for, from a file; requests from a
 * trace.   Layer 6. */
#ifndef PS_CLI_CACHE_FILE_INTERNAL_H
#define PS_CLI_CACHE_FILE_INTERNAL_H

#include "cache/policy.h"
#include "cache/simulate.h"
#include "cli/cli.h"

struct ps_cli_cache_tenant {
	struct ps_conf_where where;
	char *name;
	double weight;
	int64_t guaranteed_bytes;
};

struct ps_cli_cache_model {
	struct ps_conf_where where;
	char *name, *content;
	int64_t bytes, load_ns, run_ns;
	bool pinned, resident;
};

struct ps_cli_cache_asked {
	struct ps_conf_where where;
	char *tenant, *model;
	double requests;
};

struct ps_cli_cache_file {
	int64_t capacity_bytes;
	double warm_factor;
	struct ps_conf_array tenants, models, demand;
};

extern const struct ps_conf_schema ps_cli_cache_file_schema;

/* A file that was read, as a problem and as a workload without requests. Models of one content are
 * one item, called by the first of them. */
struct ps_cli_cache_case {
	struct ps_cli_cache_file file;
	struct ps_cache_problem problem; /* its arrays are those below */
	struct ps_cache_workload work;	 /* owns tenants, items, run_s, and requests of a trace */
	double *demand;
	const char **tenant_name; /* [tenants] borrowed from the file */
	const char **item_name;	  /* [items] */
	int *item_of;		  /* [models] */
	int shared;		  /* models that are another one's content */
};

/* ps_cli_cache_open reads the file. PS_EPARSE, PS_ETOOBIG with file:line:key. */
enum ps_status ps_cli_cache_open(const char *path, struct ps_cli_cache_case *ret_case,
				 struct ps_error *err);
/* ps_cli_cache_trace reads "seconds,tenant,model" lines into c->work. PS_EPARSE with file:line;
 * at most PS_CACHE_MAX_REQUESTS and 256 MiB. */
enum ps_status ps_cli_cache_trace(struct ps_cli_cache_case *c, const char *path,
				  struct ps_error *err);
void ps_cli_cache_close(struct ps_cli_cache_case *c);

extern const struct ps_cli_command ps_cli_cache_explain, ps_cli_cache_simulate;

#endif
