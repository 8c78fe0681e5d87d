/* cmd_load.c - perseus load: requests on an absolute schedule, and what became of them. */
#include "cli/cli.h"
#include "cli/load_text_internal.h"
#include "cli/shape_internal.h"

#include "base/units.h"
#include "load/load.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_URL "http://127.0.0.1:8000"
#define MIN_SUCCESS 0.99 /* of a tenant without an SLA */

/* What a tenant asks for: the same rows on the command line and in a file. */
struct tenant_options {
	char *name, *url, *model, *version, *api_key;
	double rate;
	int arrival;
	int64_t concurrency;
	struct ps_sla sla;
	int64_t batch, inputs;
	struct ps_conf_texts shapes;
	bool json_tensors, check_repeats;
};

struct run_options {
	int64_t duration, warmup, timeout, seed, connections;
};

struct load_options {
	struct tenant_options t;
	struct run_options r;
	int64_t spin, probe, cpu;
	char *file, *records;
	bool json;
};

struct file_options {
	struct run_options r;
	char *url;
	struct ps_conf_array tenants;
};

static const char *const arrivals[] = {"poisson", "constant", NULL};

#define TENANT_ROWS(S, AT)                                                                         \
	{.name = "model",                                                                          \
	 .type = PS_CONF_TEXT,                                                                     \
	 .offset = offsetof(S, AT model),                                                          \
	 .metavar = "NAME",                                                                        \
	 .help = "Model to ask."},                                                                 \
		{.name = "version",                                                                \
		 .type = PS_CONF_TEXT,                                                             \
		 .offset = offsetof(S, AT version),                                                \
		 .metavar = "VERSION",                                                             \
		 .help = "Version of the model; without it the server chooses."},                  \
		{.name = "rate",                                                                   \
		 .type = PS_CONF_RATE,                                                             \
		 .offset = offsetof(S, AT rate),                                                   \
		 .metavar = "RATE",                                                                \
		 .min = 0,                                                                         \
		 .max = 1e7,                                                                       \
		 .help = "Open loop: requests per second, sent when they are due, however slow "   \
			 "the "                                                                    \
			 "answers are."},                                                          \
		{.name = "arrival",                                                                \
		 .type = PS_CONF_ENUM,                                                             \
		 .offset = offsetof(S, AT arrival),                                                \
		 .choices = arrivals,                                                              \
		 .def = "poisson",                                                                 \
		 .help = "Gaps between the requests of an open loop."},                            \
		{.name = "concurrency",                                                            \
		 .type = PS_CONF_INT,                                                              \
		 .offset = offsetof(S, AT concurrency),                                            \
		 .metavar = "N",                                                                   \
		 .min = 0,                                                                         \
		 .max = PS_LOAD_MAX_CONNECTIONS,                                                   \
		 .help = "Closed loop instead: N users, each asks again when answered."},          \
		{.name = "sla",                                                                    \
		 .type = PS_CONF_SLA,                                                              \
		 .offset = offsetof(S, AT sla),                                                    \
		 .metavar = "SLA",                                                                 \
		 .help = "What the latencies are judged by, such as 'p95<=200ms' or "              \
			 "'p99<=1s,success>=99.9%'."},                                             \
		{.name = "api-key",                                                                \
		 .type = PS_CONF_TEXT,                                                             \
		 .offset = offsetof(S, AT api_key),                                                \
		 .metavar = "KEY",                                                                 \
		 .flags = PS_CONF_SECRET,                                                          \
		 .help = "Sent as a bearer token. Without it PERSEUS_API_KEY of the environment, " \
			 "which "                                                                  \
			 "other users of the machine cannot see."},                                \
		{.name = "batch",                                                                  \
		 .type = PS_CONF_INT,                                                              \
		 .offset = offsetof(S, AT batch),                                                  \
		 .metavar = "N",                                                                   \
		 .def = "1",                                                                       \
		 .min = 1,                                                                         \
		 .max = 65536,                                                                     \
		 .help = "Inferences per request, for models with a dynamic first dimension."},    \
		{.name = "shape",                                                                  \
		 .type = PS_CONF_TEXTS,                                                            \
		 .offset = offsetof(S, AT shapes),                                                 \
		 .metavar = "INPUT:DxDxD",                                                         \
		 .help = "Shape of an input with dynamic dimensions (which are 1 without it)."},   \
		{.name = "inputs",                                                                 \
		 .type = PS_CONF_INT,                                                              \
		 .offset = offsetof(S, AT inputs),                                                 \
		 .metavar = "N",                                                                   \
		 .def = "8",                                                                       \
		 .min = 1,                                                                         \
		 .max = 65536,                                                                     \
		 .help = "How many different inputs are sent in turn (fewer when they would take " \
			 "over "                                                                   \
			 "64 MiB)."},                                                              \
		{.name = "json-tensors",                                                           \
		 .type = PS_CONF_BOOL,                                                             \
		 .offset = offsetof(S, AT json_tensors),                                           \
		 .help = "Send and ask for tensors as JSON instead of the binary extension."},     \
	{                                                                                          \
		.name = "check-repeats", .type = PS_CONF_BOOL,                                     \
		.offset = offsetof(S, AT check_repeats),                                           \
		.help = "An equal input must get an equal answer, to the byte."                    \
	}

#define RUN_ROWS(S, AT)                                                                            \
	{.name = "duration",                                                                       \
	 .type = PS_CONF_DURATION,                                                                 \
	 .offset = offsetof(S, AT duration),                                                       \
	 .metavar = "TIME",                                                                        \
	 .def = "10s",                                                                             \
	 .min = 1e6,                                                                               \
	 .max = PS_LOAD_MAX_SECONDS * 1e9,                                                         \
	 .help = "Length of the measured part."},                                                  \
		{.name = "warmup",                                                                 \
		 .type = PS_CONF_DURATION,                                                         \
		 .offset = offsetof(S, AT warmup),                                                 \
		 .metavar = "TIME",                                                                \
		 .def = "1s",                                                                      \
		 .min = 0,                                                                         \
		 .max = PS_LOAD_MAX_SECONDS * 1e9,                                                 \
		 .help = "Load before the measured part, not counted."},                           \
		{.name = "timeout",                                                                \
		 .type = PS_CONF_DURATION,                                                         \
		 .offset = offsetof(S, AT timeout),                                                \
		 .metavar = "TIME",                                                                \
		 .def = "10s",                                                                     \
		 .min = 1e6,                                                                       \
		 .max = 3600e9,                                                                    \
		 .help = "A request that has no answer so long after its scheduled instant has "   \
			 "failed."},                                                               \
		{.name = "seed",                                                                   \
		 .type = PS_CONF_INT,                                                              \
		 .offset = offsetof(S, AT seed),                                                   \
		 .metavar = "N",                                                                   \
		 .def = "1",                                                                       \
		 .help = "Same seed, same instants and same inputs."},                             \
	{                                                                                          \
		.name = "connections", .type = PS_CONF_INT, .offset = offsetof(S, AT connections), \
		.metavar = "N", .def = "512", .min = 1, .max = PS_LOAD_MAX_CONNECTIONS,            \
		.help = "At most so many connections per tenant of an open loop; when all are in " \
			"use "                                                                     \
			"requests wait, and that is said."                                         \
	}

static const struct ps_conf_option tenant_rows[] = {
	{.name = "name",
	 .type = PS_CONF_TEXT,
	 .offset = offsetof(struct tenant_options, name),
	 .metavar = "NAME",
	 .flags = PS_CONF_REQUIRED,
	 .help = "Name of the tenant; also the name of its random stream."},
	{.name = "url",
	 .type = PS_CONF_TEXT,
	 .offset = offsetof(struct tenant_options, url),
	 .metavar = "URL",
	 .help = "Server of this tenant, when it is not the one of the file."},
	TENANT_ROWS(struct tenant_options, ),
	{0},
};

static const struct ps_conf_schema tenant_schema = {
	.name = "tenant",
	.summary = "One tenant of a load file.",
	.options = tenant_rows,
	.size = sizeof(struct tenant_options),
	.where_offset = SIZE_MAX,
};

static const struct ps_conf_option file_rows[] = {
	{.name = "url",
	 .type = PS_CONF_TEXT,
	 .offset = offsetof(struct file_options, url),
	 .metavar = "URL",
	 .def = DEFAULT_URL,
	 .help = "Server of all tenants that name no other."},
	RUN_ROWS(struct file_options, r.),
	{.name = "tenants",
	 .type = PS_CONF_SECTIONS,
	 .offset = offsetof(struct file_options, tenants),
	 .section = &tenant_schema,
	 .min = 1,
	 .max = PS_LOAD_MAX_TENANTS,
	 .flags = PS_CONF_REQUIRED,
	 .help = "Who asks for what, all on one schedule."},
	{0},
};

static const struct ps_conf_schema file_schema = {
	.name = "load file",
	.summary = "Several tenants on one absolute schedule.",
	.options = file_rows,
	.size = sizeof(struct file_options),
	.where_offset = SIZE_MAX,
};

static const struct ps_conf_option rows[] = {
	{.name = "url",
	 .type = PS_CONF_TEXT,
	 .offset = offsetof(struct load_options, t.url),
	 .metavar = "URL",
	 .help = "Server, http://HOST[:PORT][/BASE]; " DEFAULT_URL " without it."},
	TENANT_ROWS(struct load_options, t.),
	RUN_ROWS(struct load_options, r.),
	{.name = "file",
	 .type = PS_CONF_TEXT,
	 .offset = offsetof(struct load_options, file),
	 .metavar = "FILE",
	 .help = "Several tenants at once, from a YAML file that then says all of the above."},
	{.name = "records",
	 .type = PS_CONF_TEXT,
	 .offset = offsetof(struct load_options, records),
	 .metavar = "FILE",
	 .help = "Write the instants of every request as CSV."},
	{.name = "spin",
	 .type = PS_CONF_DURATION,
	 .offset = offsetof(struct load_options, spin),
	 .metavar = "TIME",
	 .def = "0",
	 .min = 0,
	 .max = 1e6,
	 .help = "Wait busily for so long before each instant: sends more exactly, costs CPU."},
	{.name = "probe",
	 .type = PS_CONF_DURATION,
	 .offset = offsetof(struct load_options, probe),
	 .metavar = "TIME",
	 .def = "0",
	 .min = 0,
	 .max = 60e9,
	 .help = "Before the load, time a bare timer at the same rate for so long: what this "
		 "machine can do at best."},
	{.name = "cpu",
	 .type = PS_CONF_INT,
	 .offset = offsetof(struct load_options, cpu),
	 .metavar = "N",
	 .def = "-1",
	 .min = -1,
	 .max = PS_CPUS_MAX - 1,
	 .help = "Run on this CPU only; -1: on any."},
	PS_CLI_JSON(struct load_options),
	{0},
};

static const struct ps_conf_schema schema = {
	.name = "perseus load",
	.summary = "Load an inference server honestly and say what it gave.",
	.details = "Works with any server that speaks the Open Inference Protocol over HTTP. "
		   "Inputs are "
		   "made up from the model's metadata.\n"
		   "\n"
		   "Requests leave at instants fixed before the run: a slow server delays answers, "
		   "never "
		   "the schedule. Latency counts from the scheduled instant. Requests that fail, "
		   "time out "
		   "or cannot be sent stay in the picture: percentiles are taken over all, and "
		   "those sort "
		   "as never answered.\n"
		   "\n"
		   "A run is VALID when the generator kept its own schedule (send lag p99 at most "
		   "5 % of "
		   "the SLA's limit, or without an SLA of the p50 latency; at least 99.9 % sent), "
		   "there are "
		   "enough samples for the judged percentile and the latency shows no trend. The "
		   "SLA is "
		   "met, violated, or undecided, with 95 % confidence.\n"
		   "\n"
		   "Exit code: 0 when every tenant is VALID and its SLA is met (without an SLA: at "
		   "least "
		   "99 % of its requests succeeded); 1 when one is INVALID, violated or undecided; "
		   "others "
		   "are errors.",
	.example = "perseus load --model resnet50 --rate 20 --duration 30s --sla 'p95<=200ms'\n"
		   "perseus load --url http://gpu1:8000 --model bert --concurrency 4 --json\n"
		   "perseus load --file tenants.yaml --records requests.csv",
	.options = rows,
	.size = sizeof(struct load_options),
	.where_offset = SIZE_MAX,
};

/* ---- options -> plan ---- */

static enum ps_status fill_tenant(struct ps_load_tenant *t, struct tenant_options *o,
				  const char *url, struct ps_error *err)
{
	struct ps_load_shape *shapes = NULL;
	enum ps_status st = ps_cli_shapes_parse(&o->shapes, &shapes, err);

	if (st != PS_OK) {
		return st;
	}
	*t = (struct ps_load_tenant){
		.name = o->name ? o->name : "default",
		.url = o->url ? o->url : url,
		.model = o->model,
		.version = o->version,
		.api_key = o->api_key ? o->api_key : getenv("PERSEUS_API_KEY"),
		.arrival = o->concurrency ? PS_LOAD_CLOSED
			   : o->arrival	  ? PS_LOAD_CONSTANT
					  : PS_LOAD_POISSON,
		.rate_rps = o->rate,
		.concurrency = (int)o->concurrency,
		.sla = o->sla,
		.batch = (int)o->batch,
		.distinct_inputs = (int)o->inputs,
		.json_tensors = o->json_tensors,
		.check_repeats = o->check_repeats,
		.shapes = shapes,
		.shape_len = o->shapes.len,
	};
	if (!o->model) {
		return ps_error_set(err, PS_EUSAGE, "tenant '%s' names no model", t->name);
	}
	if ((o->rate > 0) == (o->concurrency > 0)) {
		ps_error_set(err, PS_EUSAGE,
			     "tenant '%s' needs either a rate (open loop) or a concurrency "
			     "(closed loop)",
			     t->name);
		ps_error_hint(err, "an open loop is what independent users do");
		return PS_EUSAGE;
	}
	return PS_OK;
}

static void fill_run(struct ps_load_plan *plan, const struct run_options *r,
		     const struct load_options *o)
{
	plan->warmup_ns = r->warmup;
	plan->duration_ns = r->duration;
	plan->timeout_ns = r->timeout;
	plan->seed = (uint64_t)r->seed;
	plan->max_connections = (int)r->connections;
	plan->spin_ns = o->spin;
	plan->probe_ns = o->probe;
	plan->cpu = (int)o->cpu;
}

static void free_plan(struct ps_load_plan *plan)
{
	for (size_t i = 0; i < plan->tenant_len; i++) {
		free((void *)plan->tenants[i].shapes);
	}
	free((void *)plan->tenants);
	*plan = (struct ps_load_plan){0};
}

static enum ps_status make_plan(struct ps_load_plan *plan, struct tenant_options *tenants,
				size_t len, const char *url, struct ps_error *err)
{
	struct ps_load_tenant *t = calloc(len, sizeof(*t));
	enum ps_status st = PS_OK;

	if (!t) {
		return ps_error_set(err, PS_ENOMEM, "no memory");
	}
	plan->tenants = t;
	plan->tenant_len = len;
	for (size_t i = 0; st == PS_OK && i < len; i++) {
		st = fill_tenant(&t[i], &tenants[i], url, err);
	}
	if (st != PS_OK) {
		free_plan(plan);
	}
	return st;
}

/* ---- running ---- */

static bool show_progress(void *ctx, const struct ps_load_progress *p)
{
	struct ps_cli_progress *line = ctx;
	int64_t left = p->total_ns - p->elapsed_ns;
	unsigned long long open = p->in_flight + p->waiting;
	char latency[PS_UNITS_SIZE], eta[PS_UNITS_SIZE];

	if (p->draining) {
		ps_cli_progress_show(line, "load: waiting for the last %llu answers", open);
	} else {
		ps_cli_progress_show(line,
				     "load: %s left, %llu done, %llu failed, %llu open, last %s",
				     ps_units_format_eta(left, eta), (unsigned long long)p->done,
				     (unsigned long long)p->failed, open,
				     p->last_latency_ns >= 0
					     ? ps_units_format_duration(p->last_latency_ns, latency)
					     : "none");
	}
	return !ps_cli_stopped();
}

static enum ps_status print_result(const struct load_options *o, const struct ps_load_plan *plan,
				   const struct ps_load_result *r, struct ps_error *err)
{
	struct ps_strbuf out;
	enum ps_status st;

	if (o->json) {
		return ps_cli_print_json(ps_load_result_json(r), err);
	}
	ps_strbuf_init(&out);
	ps_cli_load_text(plan, r, &out);
	st = ps_strbuf_status(&out) == PS_OK ? ps_cli_print(out.data, out.len, err)
					     : ps_error_set(err, PS_ENOMEM, "no memory");
	ps_strbuf_fini(&out);
	return st;
}

/* Without an SLA a run that mostly failed is still no success to a script. */
static bool tenant_well(const struct ps_load_tenant_result *t)
{
	return t->sla_verdict == PS_LOAD_SLA_MET ||
	       (t->sla_verdict == PS_LOAD_SLA_NONE && t->success_ratio >= MIN_SUCCESS);
}

static bool all_well(const struct ps_load_result *r)
{
	bool well = r->valid;

	for (size_t i = 0; i < r->tenant_len; i++) {
		well = well && tenant_well(&r->tenants[i]);
	}
	return well;
}

static int perform(const struct load_options *o, const struct ps_load_plan *plan)
{
	struct ps_cli_progress line;
	struct ps_load_result r;
	struct ps_error err = {0};
	enum ps_status st;
	bool well;

	ps_cli_stop_on_signals();
	ps_cli_progress_init(&line, !ps_cli_is_terminal(2));
	st = ps_load_run(plan, show_progress, &line, &r, &err);
	ps_cli_progress_done(&line);
	if (st != PS_OK) {
		return ps_cli_fail(&err);
	}
	st = print_result(o, plan, &r, &err);
	if (st == PS_OK && o->records) {
		st = ps_cli_load_records(&r, o->records, &err);
	}
	well = all_well(&r);
	ps_load_result_fini(&r);
	if (st != PS_OK) {
		return ps_cli_fail(&err);
	}
	return well ? PS_CLI_OK : PS_CLI_NEGATIVE;
}

static int run_one(struct load_options *o)
{
	struct ps_load_plan plan = {0};
	struct ps_error err = {0};
	int code;

	if (make_plan(&plan, &o->t, 1, DEFAULT_URL, &err) != PS_OK) {
		return ps_cli_fail(&err);
	}
	fill_run(&plan, &o->r, o);
	code = perform(o, &plan);
	free_plan(&plan);
	return code;
}

static int run_file(const struct load_options *o)
{
	struct ps_load_plan plan = {0};
	struct file_options f;
	struct ps_error err = {0};
	int code;

	if (o->t.url || o->t.model || o->t.rate > 0 || o->t.concurrency > 0) {
		ps_error_set(&err, PS_EUSAGE,
			     "--file says who asks for what: leave out --url, "
			     "--model, --rate and --concurrency");
		return ps_cli_fail(&err);
	}
	if (ps_conf_load_yaml(&file_schema, o->file, &f, &err) != PS_OK) {
		return ps_cli_fail(&err);
	}
	if (make_plan(&plan, f.tenants.items, f.tenants.len, f.url, &err) != PS_OK) {
		ps_error_where(&err, "%s", o->file);
		code = ps_cli_fail(&err);
	} else {
		fill_run(&plan, &f.r, o);
		code = perform(o, &plan);
		free_plan(&plan);
	}
	ps_conf_free(&file_schema, &f);
	return code;
}

static int run(void *options)
{
	struct load_options *o = options;

	return o->file ? run_file(o) : run_one(o);
}

static const struct ps_conf_schema *const files[] = {&file_schema, NULL};

const struct ps_cli_command ps_cmd_load = {
	.name = "load",
	.schema = &schema,
	.run = run,
	.files = files,
};
