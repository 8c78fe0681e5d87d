/* load_options_internal.h - the options and the file of perseus load.   Layer 6. */
#ifndef PS_CLI_LOAD_OPTIONS_INTERNAL_H
#define PS_CLI_LOAD_OPTIONS_INTERNAL_H

#include "load/arrival_options.h"
#include "load/target_options.h"

#define PS_CLI_LOAD_URL "http://127.0.0.1:8000" /* when none is given */

/* What a tenant asks for: the same rows on the command line and in a file. */
struct ps_cli_load_tenant {
	char *name, *model, *version, *api_key;
	struct ps_load_arrival_options a;
	struct ps_load_target_options g;
	struct ps_sla sla;
	int64_t batch, inputs;
	struct ps_conf_texts shapes;
	bool json_tensors, check_repeats;
	struct ps_conf_where where; /* in its file */
};

struct ps_cli_load_run {
	int64_t duration, warmup, timeout, seed, connections;
};

/* More than one fixed load: load_modes_internal.h. Zeroed: one fixed load. */
struct ps_cli_load_modes {
	bool find_capacity, keep_going, offline;
	char *sweep_rate, *sweep_concurrency;
	double half_width; /* 0 until prepared: not given; the same of steps */
	int64_t steps;
};

struct ps_cli_load_options {
	struct ps_cli_load_tenant t;
	struct ps_cli_load_run r;
	struct ps_cli_load_modes m;
	int64_t spin, probe, threads, until_decided;
	struct ps_cpus cpus;
	bool timestamping;
	char *file, *records, *log;
	struct ps_conf_texts exports;
	bool json;
};

struct ps_cli_load_file {
	struct ps_cli_load_run r;
	struct ps_conf_texts urls;
	struct ps_conf_array tenants;
};

/* Of struct ps_cli_load_options and struct ps_cli_load_file. */
extern const struct ps_conf_schema ps_cli_load_schema;
extern const struct ps_conf_schema ps_cli_load_file_schema;

#endif
