/* plan_verify_internal.h - perseus plan --verify: a plan measured, and planned anew.   Layer 6.
 *
 *	plan --machines, each kind once--> measure/verify --verdicts--> proof
 *	 ^                                                                |
 *	 +-- plan again <-- plan/refine corrects the times <-- broken ----+   (--refine N times)
 *
 * A round is one plan measured. It HOLDS when every machine was measured and every tenant kept its
 * agreement on each; it FAILS when one broke it; otherwise nothing is shown: a machine does not fit
 * here, its server did not run, a trial is INVALID, an agreement is undecided.
 */
#ifndef PS_CLI_PLAN_VERIFY_INTERNAL_H
#define PS_CLI_PLAN_VERIFY_INTERNAL_H

#include "base/json.h"
#include "base/strbuf.h"
#include "conf/conf.h"
#include "measure/verify.h"
#include "plan/answer.h"

struct ps_cli_verify_options {
	bool verify, resume;
	int64_t refine, duration_ns, max_ns;
	char *store, *workdir, *write_corrections;
};

/* PS_CLI_VERIFY_ROWS is the rows for an options struct with a field `struct ps_cli_verify_options
 * verify`. */
#define PS_CLI_VERIFY_AT(struct_type, field)                                                       \
	(offsetof(struct_type, verify) + offsetof(struct ps_cli_verify_options, field))
#define PS_CLI_VERIFY_ROWS(struct_type)                                                            \
	{.name = "verify",                                                                         \
	 .type = PS_CONF_BOOL,                                                                     \
	 .offset = PS_CLI_VERIFY_AT(struct_type, verify),                                          \
	 .help = "Measure the planned machines here, as far as they fit: as many CPUs, their "     \
		 "memory, the planned server, every tenant at its planned rate. Exit code 0: the " \
		 "plan holds; 1: it fails, an agreement was broken; 11: neither was shown.",       \
	 .heading = "Whether it holds"},                                                           \
		{.name = "verify-duration",                                                        \
		 .type = PS_CONF_DURATION,                                                         \
		 .offset = PS_CLI_VERIFY_AT(struct_type, duration_ns),                             \
		 .help = "Length of the first trial of a machine; without it as long as its "      \
			 "slowest tenant needs to be decided, 10 s at least.",                     \
		 .min = 1e8,                                                                       \
		 .max = 3.6e12},                                                                   \
		{.name = "verify-max",                                                             \
		 .type = PS_CONF_DURATION,                                                         \
		 .offset = PS_CLI_VERIFY_AT(struct_type, max_ns),                                  \
		 .def = "10m",                                                                     \
		 .help = "While an agreement is undecided, the trial is repeated with twice the "  \
			 "length, as long as all trials of a machine take no more than this.",     \
		 .min = 1e8,                                                                       \
		 .max = 8.64e13},                                                                  \
		{.name = "verify-store",                                                           \
		 .type = PS_CONF_TEXT,                                                             \
		 .offset = PS_CLI_VERIFY_AT(struct_type, store),                                   \
		 .metavar = "FILE",                                                                \
		 .help = "Keep the trials in this store, a campaign for each machine."},           \
		{.name = "verify-resume",                                                          \
		 .type = PS_CONF_BOOL,                                                             \
		 .offset = PS_CLI_VERIFY_AT(struct_type, resume),                                  \
		 .help = "Do not measure machines again that the store has, measured alike."},     \
		{.name = "workdir",                                                                \
		 .type = PS_CONF_TEXT,                                                             \
		 .offset = PS_CLI_VERIFY_AT(struct_type, workdir),                                 \
		 .metavar = "DIR",                                                                 \
		 .def = "perseus-work",                                                            \
		 .help = "Folder for converted models, configurations and logs of the measured "   \
			 "servers."},                                                              \
		{.name = "refine",                                                                 \
		 .type = PS_CONF_INT,                                                              \
		 .offset = PS_CLI_VERIFY_AT(struct_type, refine),                                  \
		 .metavar = "N",                                                                   \
		 .def = "0",                                                                       \
		 .help = "When the plan does not hold, correct the prediction by what was "        \
			 "measured, plan again and verify that, at most so many times. Implies "   \
			 "--verify.",                                                              \
		 .min = 0,                                                                         \
		 .max = 20},                                                                       \
	{                                                                                          \
		.name = "write-corrections", .type = PS_CONF_TEXT,                                 \
		.offset = PS_CLI_VERIFY_AT(struct_type, write_corrections), .metavar = "FILE",     \
		.help = "Write what --refine corrected, for --corrections of later plans.",        \
	}

/* One tenant on a machine that was to be measured. */
struct ps_cli_proof_tenant {
	int tenant;
	double rate_rps;     /* offered: with one of its machines gone where it survives that */
	double usd_per_hour; /* its share of the machine's price, by planned compute time */
	struct ps_plan_forecast forecast;
	struct ps_measure_judged seen;
	char reason[160]; /* of an INVALID one */
};

/* Machines with the same type and tenants of the same kinds, in one stretch of the day. */
struct ps_cli_proof_machine {
	int *alike; /* their numbers in the plan; the first was measured */
	int alike_len, type, stretch;
	bool measured;
	char why[400]; /* not measured */
	struct ps_measure_slot slot;
	double usd_per_hour;
	int trials;
	int64_t measured_ns;
	bool earlier;	       /* from the store */
	char passed_over[200]; /* why what the store has of it does not count; "": it has nothing */
	struct ps_cli_proof_tenant *tenants;
	int tenant_len;
};

enum ps_cli_proof_verdict { PS_CLI_PROOF_HOLDS, PS_CLI_PROOF_FAILS, PS_CLI_PROOF_NOT_SHOWN };

/* What a refinement did to one model on one type. */
struct ps_cli_proof_correction {
	int type, model;
	double factor;
};

struct ps_cli_proof_round {
	struct ps_cli_proof_machine *machines;
	int machine_len, planned; /* planned: machines of the plan */
	double usd_per_hour;
	enum ps_cli_proof_verdict verdict;
	struct ps_cli_proof_correction *corrections; /* made after it */
	int correction_len;
};

struct ps_cli_proof {
	const struct ps_plan_case *c;
	struct ps_cli_proof_round *rounds;
	int round_len;
	char stop[500]; /* why it was not refined further; "": it holds, or was not asked for */
};

/* How the caller plans again. */
struct ps_cli_replan {
	enum ps_status (*plan)(void *ctx, const struct ps_plan_case *c,
			       struct ps_plan_answer *ret_answer, struct ps_error *err);
	void *ctx;
	int64_t seed;
};

/* ps_cli_plan_verify measures the plan *answer and, with --refine, plans again, so that *answer is
 * the last plan (malloc'ed, as it was) and c->services what it was made from. Nothing when neither
 * option is given. The caller calls ps_cli_proof_fini. Errors: of measure/verify.h. */
enum ps_status ps_cli_plan_verify(const struct ps_cli_verify_options *o, struct ps_plan_case *c,
				  struct ps_plan_answer **answer, const struct ps_cli_replan *again,
				  struct ps_cli_proof *ret_proof, struct ps_error *err);
void ps_cli_proof_fini(struct ps_cli_proof *p);
/* ps_cli_proof_code returns the exit code: PS_CLI_OK also when nothing was to be verified. */
int ps_cli_proof_code(const struct ps_cli_proof *p);

/* ps_cli_proof_verdict appends the answer in one sentence. */
void ps_cli_proof_sentence(const struct ps_cli_proof *p, struct ps_strbuf *out);
/* ps_cli_proof_text appends the rounds, for 80 columns, and the sentence; nothing without a round.
 */
void ps_cli_proof_text(const struct ps_cli_proof *p, struct ps_strbuf *out);
/* ps_cli_proof_json adds "verification" to the plan's object; nothing without a round. */
void ps_cli_proof_json(const struct ps_cli_proof *p, json_t *plan);

/* ---- plan_verify_machines.c ---- */

/* ps_cli_proof_machines lists what is to be measured of a plan: machines that are alike once, in
 * the busiest stretch of the day, and in the busiest one of those who are silent then. */
enum ps_status ps_cli_proof_machines(const struct ps_plan_answer *a,
				     struct ps_cli_proof_round *ret_round, struct ps_error *err);
/* ps_cli_proof_measure measures one of them, or says why it cannot be. */
enum ps_status ps_cli_proof_measure(const struct ps_measure_verify_run *run,
				    const struct ps_measure_here *here,
				    const struct ps_plan_answer *a, struct ps_cli_proof_machine *m,
				    struct ps_error *err);
void ps_cli_proof_round_fini(struct ps_cli_proof_round *r);

#endif
