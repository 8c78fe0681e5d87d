/* load_search_internal.h - a capacity search of perseus load: its state and its output.   Layer 6.
 */
#ifndef PS_CLI_LOAD_SEARCH_INTERNAL_H
#define PS_CLI_LOAD_SEARCH_INTERNAL_H

#include "cli/load_modes_internal.h"
#include "trial/trial.h"

/* What the table shows of a step beside what trial/ keeps of it. */
struct ps_cli_load_shown {
	int64_t duration_ns;
	int64_t quantile_ns[PS_TRIAL_MAX_TENANTS]; /* the SLA's own */
};

/* The best closed loop of a tenant by itself. */
struct ps_cli_load_alone {
	double rps;
	int users;
};

struct ps_cli_load_searched {
	const struct ps_cli_load_modes *m;
	struct ps_cli_load_trials t;
	struct ps_trial_search s;
	struct ps_cli_load_shown shown[PS_TRIAL_MAX_STEPS];
	struct ps_cli_load_alone alone[PS_TRIAL_MAX_TENANTS];
	double closed_scale; /* what closed loops promise, in units of the ray */
	int repeats;	     /* trials done again */
	int late;	     /* trials that count though they say nothing of the server */
	char reason[PS_LOAD_REASON_SIZE]; /* of the first of them */
	bool stopped;
};

/* ps_cli_load_search_known says whether there is a capacity to claim: a fresh trial kept it, and no
 * trial that counts had a fault (load/fault.h). */
bool ps_cli_load_search_known(const struct ps_cli_load_searched *s);
/* ps_cli_load_search_unit returns what a scale counts: "requests/s" or "times the rates". */
const char *ps_cli_load_search_unit(const struct ps_cli_load_searched *s);
/* ps_cli_load_search_tried is how the trials of `s` look above the live view. */
struct ps_cli_load_tried ps_cli_load_search_tried(const struct ps_cli_load_searched *s);
/* ps_cli_load_search_print writes it to stdout: a table as wide as the terminal, or JSON. PS_EIO,
 * PS_ENOMEM. */
enum ps_status ps_cli_load_search_print(const struct ps_cli_load_searched *s, bool json,
					struct ps_error *err);

#endif
