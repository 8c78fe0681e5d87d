/* cmd_plan.c - perseus plan: which machines to rent, and who goes where. */
#include "base/clock.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/plan_from_internal.h"
#include "cli/plan_out_internal.h"
#include "cli/plan_replay_internal.h"
#include "cli/plan_verify_internal.h"
#include "cli/price_options_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct plan_options {
	char *plan, *prices, *profiles, *revocations, *corrections, *serve_dir, *today;
	int64_t time_limit_ns, seed, machines;
	double gap;
	int method;
	bool compare, json;
	struct ps_cli_plan_from from;
	struct ps_cli_replay_options replay;
	struct ps_cli_verify_options verify;
};

#define FIELD(name) offsetof(struct plan_options, name)

/* In the order of enum ps_plan_method. */
static const char *const methods[] = {"auto", "heuristic", "exhaustive", NULL};

static const struct ps_conf_option rows[] = {
	{.name = "plan",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(plan),
	 .metavar = "PLAN.YAML",
	 .help = "The tenants, with their rates and agreements.",
	 .flags = PS_CONF_POSITIONAL | PS_CONF_REQUIRED,
	 .heading = "What is planned"},
	{.name = "prices",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(prices),
	 .metavar = "FILE",
	 .help = "The price sheet, in place of the one that the plan names."},
	{.name = "profiles",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(profiles),
	 .metavar = "FILE",
	 .help = "Service times and memory of the models, in place of the plan's."},
	{.name = "revocations",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(revocations),
	 .metavar = "FILE",
	 .help = "How often spot machines are revoked, in place of the plan's."},
	{.name = "corrections",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(corrections),
	 .metavar = "FILE",
	 .help = "Factors on service times that --write-corrections wrote, in place of the "
		 "plan's."},
	PS_CLI_TODAY(FIELD(today)),
	PS_CLI_PLAN_FROM_ROWS(struct plan_options),
	{.name = "time-limit",
	 .type = PS_CONF_DURATION,
	 .offset = FIELD(time_limit_ns),
	 .def = "10s",
	 .help = "For the search; the best plan so far is then the answer, with its bound.",
	 .min = 1e7,
	 .max = 8.64e13,
	 .heading = "How it is searched"},
	{.name = "gap",
	 .type = PS_CONF_RATIO,
	 .offset = FIELD(gap),
	 .def = "0",
	 .help = "Good enough: stop when the plan is at most this much dearer than the bound.",
	 .min = 0,
	 .max = 10},
	{.name = "method",
	 .type = PS_CONF_ENUM,
	 .offset = FIELD(method),
	 .def = "auto",
	 .choices = methods,
	 .help = "auto proves what it can; heuristic is greedy and local search with the "
		 "fractional bound; exhaustive tries every plan, for at most 12 parts."},
	{.name = "seed",
	 .type = PS_CONF_INT,
	 .offset = FIELD(seed),
	 .def = "1",
	 .help = "Of the search: the same seed gives the same plan when the time limit does not "
		 "cut it.",
	 .min = 0,
	 .max = 9e15},
	{.name = "compare",
	 .type = PS_CONF_BOOL,
	 .offset = FIELD(compare),
	 .def = "true",
	 .help = "Show dedicated machines, the best with one type, and first fit by CPU beside "
		 "it.",
	 .heading = "What is shown and written"},
	{.name = "machines",
	 .type = PS_CONF_INT,
	 .offset = FIELD(machines),
	 .def = "40",
	 .metavar = "N",
	 .help = "Show at most so many machines in the text.",
	 .min = 0,
	 .max = 1e6},
	{.name = "serve-dir",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(serve_dir),
	 .metavar = "DIR",
	 .help = "Write a configuration of perseus serve for each machine into this folder."},
	PS_CLI_JSON(struct plan_options),
	PS_CLI_REPLAY_ROWS(struct plan_options),
	PS_CLI_VERIFY_ROWS(struct plan_options),
	{0},
};

static const struct ps_conf_schema schema = {
	.name = "perseus plan",
	.summary = "Find the cheapest machines that keep every tenant's agreement.",
	.details =
		"A set of tenants fits on a machine when the predicted percentile of latency of "
		"each keeps its limit in every stretch of the day, at the upper end of the service "
		"times, and when the models fit into the memory with their load peaks. What is "
		"printed as a bound is proven: no plan that cuts the tenants into the same parts "
		"costs less. docs/planning.md has the formulas.\n\n"
		"The formats of the plan, the profiles, the revocations and the corrections: "
		"perseus "
		"help plan.",
	.example = "perseus plan examples/plan/shop.yaml\n"
		   "perseus plan plan.yaml --time-limit 1m --json > plan.json\n"
		   "perseus plan plan.yaml --store results.db --models models\n"
		   "perseus plan plan.yaml --serve-dir machines\n"
		   "perseus plan plan.yaml --replay rates --replay shop=day.csv\n"
		   "perseus plan plan.yaml --verify --refine 3 --write-corrections fix.yaml\n"
		   "perseus plan plan.yaml --corrections fix.yaml",
	.options = rows,
	.size = sizeof(struct plan_options),
	.where_offset = SIZE_MAX,
};

static void show_progress(void *ctx, const char *what)
{
	ps_cli_progress_show(ctx, "%s", what);
}

/* What was tried of the plan besides. */
struct trials {
	struct ps_cli_replay replay;
	struct ps_cli_proof proof;
};

static enum ps_status print_text(const struct ps_plan_answer *a, const struct trials *t,
				 struct ps_cost_date today, int most, struct ps_error *err)
{
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	ps_cli_plan_text(a, most, &out);
	ps_cli_plan_prices_text(a, today, &out);
	ps_cli_replay_text(&t->replay, most, &out);
	ps_cli_proof_text(&t->proof, &out);
	enum ps_status st = ps_strbuf_status(&out);
	st = st == PS_OK ? ps_cli_print(out.data, out.len, err)
			 : ps_error_set(err, st, "no memory for the plan");
	ps_strbuf_fini(&out);
	return st;
}

/* CLP and CBC print a line here and there whatever they are told; stdout is for the plan alone. */
static int hush(void)
{
	int kept = dup(STDOUT_FILENO), nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (kept >= 0 && nowhere >= 0)
		dup2(nowhere, STDOUT_FILENO);
	if (nowhere >= 0)
		close(nowhere);
	return kept;
}

static void speak_again(int kept)
{
	fflush(stdout);
	if (kept < 0)
		return;
	dup2(kept, STDOUT_FILENO);
	close(kept);
}

static enum ps_status answer(const struct plan_options *o, const struct ps_plan_case *c,
			     struct ps_plan_answer *ret_answer, struct ps_error *err)
{
	struct ps_cli_progress progress;
	struct ps_plan_answer_options ao = {
		.clock = ps_clock_monotonic(),
		.time_limit_ns = o->time_limit_ns,
		.seed = (uint64_t)o->seed,
		.gap = o->gap,
		.method = (enum ps_plan_method)o->method,
		.compare = o->compare,
		.progress = show_progress,
		.progress_ctx = &progress,
	};

	ps_cli_progress_init(&progress, !ps_cli_is_terminal(2));
	int kept = hush();
	enum ps_status st = ps_plan_answer(c, &ao, ret_answer, err);
	speak_again(kept);
	ps_cli_progress_done(&progress);
	return st;
}

static enum ps_status print_json(const struct ps_plan_answer *a, const struct trials *t,
				 struct ps_cost_date today, struct ps_error *err)
{
	json_t *o = ps_cli_plan_json(a);

	ps_cli_replay_json(&t->replay, o);
	ps_cli_proof_json(&t->proof, o);
	json_object_set_new(o, "prices", ps_cli_plan_prices_json(a, today));
	return ps_cli_print_json(o, err);
}

static enum ps_status plan_again(void *ctx, const struct ps_plan_case *c,
				 struct ps_plan_answer *ret_answer, struct ps_error *err)
{
	return answer(ctx, c, ret_answer, err);
}

static enum ps_status show(const struct plan_options *o, const struct ps_plan_answer *a,
			   const struct trials *t, struct ps_cost_date today, struct ps_error *err)
{
	return o->json ? print_json(a, t, today, err)
		       : print_text(a, t, today, (int)o->machines, err);
}

/* What was learned outlives this call. */
static enum ps_status write_corrections(const struct ps_plan_case *c, const char *path,
					struct ps_error *err)
{
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	int n = ps_plan_corrections_text(c, &out);
	enum ps_status st = ps_strbuf_status(&out);
	if (st != PS_OK)
		ps_error_set(err, st, "no memory for the corrections");
	else if (n == 0)
		fprintf(stderr, "note: nothing was corrected: %s is not written\n", path);
	else
		st = ps_file_write(path, out.data, out.len, err);
	if (st == PS_OK && n > 0)
		fprintf(stderr,
			"note: corrections of %d model%s are in %s: --corrections plans with "
			"them\n",
			n, n == 1 ? "" : "s", path);
	ps_strbuf_fini(&out);
	return st;
}

/* *ret_code: whether an agreement was seen to break. */
static enum ps_status plan(const struct plan_options *o, struct ps_plan_case *c, int *ret_code,
			   struct ps_error *err)
{
	const struct ps_cli_replan again = {plan_again, (void *)o, o->seed};
	struct ps_plan_answer *a = calloc(1, sizeof(*a));
	struct ps_cost_date today = {0};
	struct trials t = {0};
	enum ps_status st = a ? ps_cli_today(o->today, &today, err)
			      : ps_error_set(err, PS_ENOMEM, "no memory for a plan");

	if (st == PS_OK)
		st = ps_cli_replay_open(c, &o->replay, (uint64_t)o->seed, &t.replay, err);
	if (st == PS_OK)
		st = answer(o, c, a, err);
	if (st != PS_OK) {
		ps_cli_replay_fini(&t.replay);
		free(a);
		return st;
	}
	st = ps_cli_plan_verify(&o->verify, c, &a, &again, &t.proof, err);
	ps_cli_plan_prices_warn(a, today);
	if (st == PS_OK && o->verify.write_corrections)
		st = write_corrections(c, o->verify.write_corrections, err);
	if (st == PS_OK && o->serve_dir)
		st = ps_cli_plan_serve(a, o->serve_dir, err);
	if (st == PS_OK)
		st = ps_cli_plan_write_lacks(&o->from, a, err);
	if (st == PS_OK)
		st = ps_cli_plan_replay(a, &t.replay, err);
	if (st == PS_OK)
		st = show(o, a, &t, today, err);
	*ret_code = t.replay.broken > 0 ? PS_CLI_NEGATIVE : ps_cli_proof_code(&t.proof);
	ps_cli_replay_fini(&t.replay);
	ps_cli_proof_fini(&t.proof);
	ps_plan_answer_fini(a);
	free(a);
	return st;
}

static int run(void *options)
{
	const struct plan_options *o = options;
	struct ps_plan_case c;
	struct ps_cli_plan_store *store;
	struct ps_error err;
	int code = PS_CLI_OK;
	enum ps_status st = ps_cli_plan_open(&o->from, o->plan, o->prices, o->profiles,
					     o->revocations, &c, &store, &err);

	if (st == PS_OK) {
		st = ps_plan_case_correct(&c, o->corrections, &err);
		if (st == PS_OK)
			st = plan(o, &c, &code, &err);
		ps_cli_plan_close(&c, store);
	}
	if (st != PS_OK)
		return ps_cli_fail(&err);
	return code;
}

static const struct ps_conf_schema *const files[] = {&ps_plan_file_schema, &ps_plan_profiles_schema,
						     &ps_plan_revocations_schema,
						     &ps_plan_corrections_schema, NULL};

const struct ps_cli_command ps_cmd_plan = {
	.name = "plan",
	.schema = &schema,
	.run = run,
	.files = files,
};
