/* load_modes_internal.h - perseus load beyond one fixed load: capacity search, sweeps.   Layer 6.
 *
 * All modes run the same plan again and again, each time with other rates or users and with the
 * next seed, so that no two trials meet the same arrivals. Which rate is next, and what all trials
 * together say, is decided by trial/ (pure); here they are performed and printed.
 */
#ifndef PS_CLI_LOAD_MODES_INTERNAL_H
#define PS_CLI_LOAD_MODES_INTERNAL_H

#include "cli/cli.h"
#include "cli/load_live_internal.h"
#include "cli/load_options_internal.h"
#include "load/load.h"

/* The rows of struct ps_cli_load_modes, for a struct S with the options at AT. */
#define PS_CLI_LOAD_MODE_ROWS(S, AT)                                                               \
	{.name = "find-capacity",                                                                  \
	 .heading = "Capacity and sweeps",                                                         \
	 .type = PS_CONF_BOOL,                                                                     \
	 .offset = offsetof(S, AT find_capacity),                                                  \
	 .help = "Search the highest rate at which the SLA holds, and confirm it by a fresh "      \
		 "trial. With --file: the highest multiple of the tenants' rates."},               \
		{.name = "half-width",                                                             \
		 .type = PS_CONF_RATIO,                                                            \
		 .offset = offsetof(S, AT half_width),                                             \
		 .min = 0.005,                                                                     \
		 .max = 0.5,                                                                       \
		 .help = "Capacity search: stop when half the interval is at most this share of "  \
			 "the capacity; 10 % without it."},                                        \
		{.name = "steps",                                                                  \
		 .type = PS_CONF_INT,                                                              \
		 .offset = offsetof(S, AT steps),                                                  \
		 .metavar = "N",                                                                   \
		 .min = 4,                                                                         \
		 .max = 100,                                                                       \
		 .help = "Capacity search: at most so many trials before the confirming ones; 16 " \
			 "without it."},                                                           \
		{.name = "sweep-rate",                                                             \
		 .type = PS_CONF_TEXT,                                                             \
		 .offset = offsetof(S, AT sweep_rate),                                             \
		 .metavar = "RATES",                                                               \
		 .help = "One trial per rate, such as 10..200:8 (8 rates) or 10,20,40; with "      \
			 "--file of all tenants together."},                                       \
		{.name = "sweep-concurrency",                                                      \
		 .type = PS_CONF_TEXT,                                                             \
		 .offset = offsetof(S, AT sweep_concurrency),                                      \
		 .metavar = "USERS",                                                               \
		 .help = "One closed-loop trial per number of users, such as 1,2,4,8."},           \
		{                                                                                  \
			.name = "offline",                                                         \
			.type = PS_CONF_BOOL,                                                      \
			.offset = offsetof(S, AT offline),                                         \
			.help = "As fast as it goes, with --concurrency requests always under "    \
				"way: "                                                            \
				"--arrival offline.",                                              \
		},                                                                                 \
	{                                                                                          \
		.name = "keep-going", .type = PS_CONF_BOOL, .offset = offsetof(S, AT keep_going),  \
		.help = "Sweeps: do not stop when the server is saturated.",                       \
	}

/* ps_cli_load_modes_any says whether one was asked for. */
bool ps_cli_load_modes_any(const struct ps_cli_load_modes *m);

/* ps_cli_load_modes_prepare refuses what contradicts (two modes, options of one without it) and
 * fills in what a mode leaves open, before the plan is made: modes choose rates and users
 * themselves, --offline is another word for an arrival. PS_EUSAGE. */
enum ps_status ps_cli_load_modes_prepare(struct ps_cli_load_options *o, struct ps_error *err);

/* ps_cli_load_modes_run performs the mode over `plan` and prints what it found; returns the exit
 * code. */
int ps_cli_load_modes_run(const struct ps_cli_load_modes *m, const struct ps_load_plan *plan,
			  bool json);

/* ---- between the files of the modes ---- */

/* One trial after the other. */
struct ps_cli_load_trials {
	const struct ps_load_plan *base;
	struct ps_load_tenant *tenants; /* a copy, changed for each trial */
	struct ps_load_plan plan;	/* of the next trial */
	struct ps_cli_load_live live;
	struct ps_cli_load_tried tried; /* above the live view; its `now` is `what` */
	char what[160];			/* what the next trial is */
	int done;
};

/* ps_cli_load_trials_init copies the tenants. `tried` says how the trials that are done look.
 * PS_ENOMEM. */
enum ps_status ps_cli_load_trials_init(struct ps_cli_load_trials *t,
				       const struct ps_load_plan *base,
				       const struct ps_cli_load_tried *tried, struct ps_error *err);
void ps_cli_load_trials_fini(struct ps_cli_load_trials *t);
/* ps_cli_load_trials_some leaves only `len` tenants from `first` on in the next trials. */
void ps_cli_load_trials_some(struct ps_cli_load_trials *t, size_t first, size_t len);
/* ps_cli_load_trials_run performs t->plan with the next seed. The caller frees the result. */
enum ps_status ps_cli_load_trials_run(struct ps_cli_load_trials *t, struct ps_load_result *ret,
				      struct ps_error *err);
/* ps_cli_load_trials_rate makes tenant i an open loop at `rate_rps`, its other properties kept. */
enum ps_status ps_cli_load_trials_rate(struct ps_cli_load_trials *t, size_t i, double rate_rps,
				       struct ps_error *err);
/* ps_cli_load_trials_users makes tenant i a closed loop without think time. */
void ps_cli_load_trials_users(struct ps_cli_load_trials *t, size_t i, int users);
/* ps_cli_load_trials_base_rate is what the plan offers of tenant i on average; 0: a closed loop. */
double ps_cli_load_trials_base_rate(const struct ps_cli_load_trials *t, size_t i);

/* ps_cli_load_search and ps_cli_load_sweep perform their mode; they return the exit code. */
int ps_cli_load_search(const struct ps_cli_load_modes *m, const struct ps_load_plan *plan,
		       bool json);
int ps_cli_load_sweep(const struct ps_cli_load_modes *m, const struct ps_load_plan *plan,
		      bool json);

#endif
