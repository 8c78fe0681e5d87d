/* plan_replay_internal.h - a plan under a day's arrivals: perseus plan --replay.   Layer 6. */
#ifndef PS_CLI_PLAN_REPLAY_INTERNAL_H
#define PS_CLI_PLAN_REPLAY_INTERNAL_H

#include "base/json.h"
#include "base/strbuf.h"
#include "conf/conf.h"
#include "load/arrival_options.h"
#include "load/trace.h"
#include "plan/answer.h"
#include "sim/replay.h"

#define PS_CLI_REPLAY_DAY_NS 86400e9
#define PS_CLI_REPLAY_MAX_NS (31 * PS_CLI_REPLAY_DAY_NS)

enum ps_cli_replay_rate { PS_CLI_REPLAY_RECORDED, PS_CLI_REPLAY_PLANNED };
enum ps_cli_replay_service { PS_CLI_REPLAY_MIDDLE, PS_CLI_REPLAY_UPPER };

struct ps_cli_replay_options {
	struct ps_conf_texts what; /* "rates", "FILE", "TENANT=FILE"; none: no replay */
	int format, unit;	   /* of the traces */
	int rate;		   /* enum ps_cli_replay_rate */
	int service;		   /* enum ps_cli_replay_service */
	int64_t from_ns, length_ns, interval_ns;
};

extern const char *const ps_cli_replay_rates[], *const ps_cli_replay_services[];

/* PS_CLI_REPLAY_ROWS are the options, for a struct with a field `struct ps_cli_replay_options
 * replay`. */
#define PS_CLI_REPLAY_AT(S, field)                                                                 \
	(offsetof(S, replay) + offsetof(struct ps_cli_replay_options, field))
#define PS_CLI_REPLAY_ROWS(S)                                                                      \
	{.name = "replay",                                                                         \
	 .type = PS_CONF_TEXTS,                                                                    \
	 .offset = PS_CLI_REPLAY_AT(S, what),                                                      \
	 .metavar = "TRACE",                                                                       \
	 .help = "Simulate the planned machines under recorded arrivals. TENANT=FILE is for a "    \
		 "tenant (or all of one row); FILE is dealt out to those that none is for; rates " \
		 "takes what the plan says, as do tenants without a trace.",                       \
	 .heading = "How it would go over a day"},                                                 \
		{.name = "replay-rate",                                                            \
		 .type = PS_CONF_ENUM,                                                             \
		 .offset = PS_CLI_REPLAY_AT(S, rate),                                              \
		 .def = "recorded",                                                                \
		 .choices = ps_cli_replay_rates,                                                   \
		 .help = "recorded: the instants of the trace. planned: Poisson arrivals that "    \
			 "follow the trace minute by minute, so scaled that the busiest interval " \
			 "has the tenant's planned rate."},                                        \
		{.name = "replay-service",                                                         \
		 .type = PS_CONF_ENUM,                                                             \
		 .offset = PS_CLI_REPLAY_AT(S, service),                                           \
		 .def = "middle",                                                                  \
		 .choices = ps_cli_replay_services,                                                \
		 .help = "Mean service times as profiled, or their upper end at the plan's "       \
			 "confidence."},                                                           \
		{.name = "replay-from",                                                            \
		 .type = PS_CONF_DURATION,                                                         \
		 .offset = PS_CLI_REPLAY_AT(S, from_ns),                                           \
		 .def = "0",                                                                       \
		 .help = "Where in each trace the replay begins; what is before that, and after "  \
			 "--replay-length, is passed over while it is read.",                      \
		 .min = 0,                                                                         \
		 .max = 366 * PS_CLI_REPLAY_DAY_NS},                                               \
		{.name = "replay-length",                                                          \
		 .type = PS_CONF_DURATION,                                                         \
		 .offset = PS_CLI_REPLAY_AT(S, length_ns),                                         \
		 .def = "0",                                                                       \
		 .help = "How long; 0: the longest trace, or a day.",                              \
		 .min = 0,                                                                         \
		 .max = PS_CLI_REPLAY_MAX_NS},                                                     \
		{.name = "replay-interval",                                                        \
		 .type = PS_CONF_DURATION,                                                         \
		 .offset = PS_CLI_REPLAY_AT(S, interval_ns),                                       \
		 .def = "5m",                                                                      \
		 .help = "How long the stretches are for which each agreement is judged by "       \
			 "itself.",                                                                \
		 .min = 1e9,                                                                       \
		 .max = PS_CLI_REPLAY_DAY_NS},                                                     \
		{.name = "replay-format",                                                          \
		 .type = PS_CONF_ENUM,                                                             \
		 .offset = PS_CLI_REPLAY_AT(S, format),                                            \
		 .def = "auto",                                                                    \
		 .choices = ps_load_trace_format_choices,                                          \
		 .help = "What the traces are; auto tells Azure's formats by their first line."},  \
	{                                                                                          \
		.name = "replay-unit", .type = PS_CONF_ENUM, .offset = PS_CLI_REPLAY_AT(S, unit),  \
		.def = "own", .choices = ps_load_trace_unit_choices,                               \
		.help = "Unit of the numbers of gaps and timestamps; their own are us and s."      \
	}

/* ---- who gets which arrivals ---- */

/* A trace with the tenants that share it. */
struct ps_cli_replay_source {
	const struct ps_load_trace *trace;
	char *path;
	struct ps_sim_phase *phases; /* PLANNED: in units of the busiest interval */
	int n_phases;
};

struct ps_cli_replay_sources {
	struct ps_load_traces traces;
	struct ps_cli_replay_source *items;
	int n;
	int *of;	   /* [tenant]: which; -1: the plan's rates */
	double *from, *to; /* [tenant]: its part of the trace */
};

/* ps_cli_replay_sources_open reads the traces. PS_EUSAGE, and what reading gives. To be finished on
 * failure too. */
enum ps_status ps_cli_replay_sources_open(const struct ps_plan_case *c,
					  const struct ps_cli_replay_options *o, uint64_t seed,
					  struct ps_cli_replay_sources *ret_sources,
					  struct ps_error *err);
void ps_cli_replay_sources_fini(struct ps_cli_replay_sources *s);

/* ---- what became of it ---- */

/* Latencies of all requests, refused ones above every value: PS_HIST_INFINITE. */
struct ps_cli_replay_latency {
	int64_t p50_ns, p95_ns, p99_ns, at_sla_ns;
};

struct ps_cli_replay_counts {
	int64_t requests, served, in_time, refused, expired;
	int64_t reasons[PS_DISPATCH_REASON_COUNT];
};

/* A tenant on a machine. */
struct ps_cli_replay_place {
	int machine;
	struct ps_cli_replay_counts counts;
	struct ps_cli_replay_latency day;
	struct ps_sim_replay_hour worst;
	double foreseen_s, high_s;
};

struct ps_cli_replay_tenant {
	struct ps_cli_replay_counts counts;
	struct ps_cli_replay_latency day;
	struct ps_cli_replay_place *places; /* [n]: one per machine that it is on */
	int n, worst;			    /* worst: of the places, that with the worst hour */
	double foreseen_s, high_s;	    /* the greatest of the machines */
	double busiest_rps;		    /* in the interval with the most requests */
	int intervals, broken;		    /* with requests; of them, with a broken agreement */
	bool kept;
};

struct ps_cli_replay_machine {
	double busy, busy_most;
	int64_t busy_most_from_ns, requests, refused;
};

struct ps_cli_replay {
	bool asked;
	const struct ps_plan_answer *a;
	struct ps_cli_replay_options options; /* length resolved */
	struct ps_cli_replay_sources sources;
	struct ps_cli_replay_tenant *tenants;	/* [case tenants] */
	struct ps_cli_replay_machine *machines; /* [plan machines] */
	int64_t requests;
	int n_tenants;
	int broken; /* tenants whose agreement did not hold over the whole */
	uint64_t seed;
};

/* ps_cli_replay_open reads the traces and checks the options, before anything is planned.
 * PS_EUSAGE, and what reading gives. ps_cli_replay_fini is for the result, on failure too. */
enum ps_status ps_cli_replay_open(const struct ps_plan_case *c,
				  const struct ps_cli_replay_options *o, uint64_t seed,
				  struct ps_cli_replay *ret_replay, struct ps_error *err);
/* ps_cli_plan_replay runs it, when it is asked for. `a` must outlive the result. */
enum ps_status ps_cli_plan_replay(const struct ps_plan_answer *a, struct ps_cli_replay *r,
				  struct ps_error *err);
void ps_cli_replay_fini(struct ps_cli_replay *r);

/* ps_cli_replay_text appends the result, of tenants and machines the first `most`; nothing when
 * there is none. ps_cli_replay_json adds it as "replay". */
void ps_cli_replay_text(const struct ps_cli_replay *r, int most, struct ps_strbuf *out);
void ps_cli_replay_json(const struct ps_cli_replay *r, json_t *plan);

#endif
