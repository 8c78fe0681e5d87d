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

struct ps_cli_load_searched {
	const struct ps_cli_load_modes *m;
	struct ps_cli_load_trials t;
	struct ps_trial_search s;
	struct ps_cli_load_shown shown[PS_TRIAL_MAX_STEPS];
	double closed_rps; /* in units of the ray */
	int closed_users;
	int repeats; /* trials done again */
	int late;    /* trials that count though they say nothing of the server */
	char reason[PS_LOAD_REASON_SIZE]; /* of the first of them */
	bool stopped;
};

/* ps_cli_load_search_known says whether there is a capacity to claim: a fresh trial kept it, and no
 * trial that counts had a fault (load/fault.h). */
bool ps_cli_load_search_known(const struct ps_cli_load_searched *s);
/* ps_cli_load_search_print writes it to stdout: a table as wide as the terminal, or JSON. PS_EIO,
 * PS_ENOMEM. */
enum ps_status ps_cli_load_search_print(const struct ps_cli_load_searched *s, bool json,
					struct ps_error *err);

#endif
