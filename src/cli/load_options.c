/* load_options.c - the option rows of perseus load: the same for a command line and for a tenant in
 * a file. */
#include "cli/load_options_internal.h"

#include "cli/cli.h"
#include "cli/load_modes_internal.h"
#include "load/load.h"

static const char *const warmup_words[] = {"auto", NULL};

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
		PS_LOAD_RATE_ROW(S, AT a.),                                                        \
		{.name = "sla",                                                                    \
		 .type = PS_CONF_SLA,                                                              \
		 .offset = offsetof(S, AT sla),                                                    \
		 .metavar = "SLA",                                                                 \
		 .help = "What the latencies are judged by, such as 'p95<=200ms' or "              \
			 "'p99<=1s,success>=99.9%'."},                                             \
	{                                                                                          \
		.name = "api-key", .type = PS_CONF_TEXT, .offset = offsetof(S, AT api_key),        \
		.metavar = "KEY", .flags = PS_CONF_SECRET,                                         \
		.help = "Sent as a bearer token. Without it PERSEUS_API_KEY of the environment, "  \
			"which "                                                                   \
			"other users of the machine cannot see."                                   \
	}

/* The rest, under headings on a command line. */
#define TENANT_MORE_ROWS(S, AT)                                                                    \
	PS_LOAD_ARRIVAL_ROWS(S, AT a.), PS_LOAD_CLOSED_ROWS(S, AT a.),                             \
		PS_LOAD_TARGET_ROWS(S, AT g.),                                                     \
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
		.help = "The first answer to an input is what later ones must equal, within the "  \
			"tolerance."                                                               \
	}

#define RUN_ROWS(S, AT)                                                                            \
	{.name = "duration",                                                                       \
	 .heading = "The run",                                                                     \
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
		 .choices = warmup_words,                                                          \
		 .help = "Load before the measured part, not counted. auto: none is set aside, "   \
			 "and the beginning of the measured part is cut off where it proves to "   \
			 "be over (MSER-5)."},                                                     \
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
		 .min = 0,                                                                         \
		 .max = 9e15,                                                                      \
		 .help = "Same seed, same instants and same inputs."},                             \
	{                                                                                          \
		.name = "connections", .type = PS_CONF_INT, .offset = offsetof(S, AT connections), \
		.metavar = "N", .def = "0", .min = 0, .max = PS_LOAD_MAX_CONNECTIONS,              \
		.help = "At most so many connections per tenant of an open loop, to each "         \
			"replica; "                                                                \
			"when all are in use requests wait, and that is said. 0: 512, fewer with " \
			"over 117 tenants and replicas."                                           \
	}

static const struct ps_conf_option tenant_rows[] = {
	{.name = "name",
	 .type = PS_CONF_TEXT,
	 .offset = offsetof(struct ps_cli_load_tenant, name),
	 .metavar = "NAME",
	 .flags = PS_CONF_REQUIRED,
	 .help = "Name of the tenant; also the name of its random stream."},
	PS_LOAD_URL_ROW(struct ps_cli_load_tenant, g., "Without it the file's."),
	TENANT_ROWS(struct ps_cli_load_tenant, ),
	TENANT_MORE_ROWS(struct ps_cli_load_tenant, ),
	{0},
};

static const struct ps_conf_schema tenant_schema = {
	.name = "tenant",
	.summary = "One tenant of a load file.",
	.options = tenant_rows,
	.size = sizeof(struct ps_cli_load_tenant),
	.where_offset = offsetof(struct ps_cli_load_tenant, where),
};

static const struct ps_conf_option file_rows[] = {
	PS_LOAD_URL_ROW(struct ps_cli_load_file, ,
			"Of all tenants that name no other; " PS_CLI_LOAD_URL " without it."),
	RUN_ROWS(struct ps_cli_load_file, r.),
	{.name = "tenants",
	 .type = PS_CONF_SECTIONS,
	 .offset = offsetof(struct ps_cli_load_file, tenants),
	 .section = &tenant_schema,
	 .min = 1,
	 .max = PS_LOAD_MAX_TENANTS,
	 .flags = PS_CONF_REQUIRED,
	 .help = "Who asks for what, all on one schedule."},
	{0},
};

const struct ps_conf_schema ps_cli_load_file_schema = {
	.name = "load file",
	.summary = "Several tenants on one absolute schedule.",
	.options = file_rows,
	.size = sizeof(struct ps_cli_load_file),
	.where_offset = SIZE_MAX,
};

static const struct ps_conf_option rows[] = {
	PS_LOAD_URL_ROW(struct ps_cli_load_options, t.g., PS_CLI_LOAD_URL " without it."),
	TENANT_ROWS(struct ps_cli_load_options, t.),
	{.name = "file",
	 .type = PS_CONF_TEXT,
	 .offset = offsetof(struct ps_cli_load_options, file),
	 .metavar = "FILE",
	 .help = "Several tenants at once, from a YAML file that then says who asks for what, and "
		 "when."},
	PS_CLI_JSON(struct ps_cli_load_options),
	TENANT_MORE_ROWS(struct ps_cli_load_options, t.),
	RUN_ROWS(struct ps_cli_load_options, r.),
	{.name = "until-decided",
	 .type = PS_CONF_DURATION,
	 .offset = offsetof(struct ps_cli_load_options, until_decided),
	 .metavar = "TIME",
	 .def = "0",
	 .min = 0,
	 .max = PS_LOAD_MAX_SECONDS * 1e9,
	 .help = "While an SLA is undecided run again, twice as long each time, all rounds "
		 "together "
		 "for at most so long; each look spends half of the error of the one before. "
		 "0: one run."},
	PS_CLI_LOAD_MODE_ROWS(struct ps_cli_load_options, m.),
	{.name = "records",
	 .heading = "What is written",
	 .type = PS_CONF_TEXT,
	 .offset = offsetof(struct ps_cli_load_options, records),
	 .metavar = "FILE",
	 .help = "Write the instants of every request as CSV."},
	{.name = "log",
	 .type = PS_CONF_TEXT,
	 .offset = offsetof(struct ps_cli_load_options, log),
	 .metavar = "FILE",
	 .help = "Write the same in a compact form with checksums; perseus load log reads it."},
	{.name = "export",
	 .type = PS_CONF_TEXTS,
	 .offset = offsetof(struct ps_cli_load_options, exports),
	 .metavar = "FORMAT:FILE",
	 .help = "Write the results as another tool would: json, perf-analyzer (CSV), loadgen "
		 "(summary) or hdr (percentile table of HdrHistogram). The last two are of one "
		 "tenant: with several, {tenant} in FILE stands for the name."},
	{.name = "spin",
	 .heading = "How it is sent",
	 .type = PS_CONF_DURATION,
	 .offset = offsetof(struct ps_cli_load_options, spin),
	 .metavar = "TIME",
	 .def = "0",
	 .min = 0,
	 .max = 1e6,
	 .help = "Wait busily for so long before each instant: sends more exactly, costs CPU."},
	{.name = "probe",
	 .type = PS_CONF_DURATION,
	 .offset = offsetof(struct ps_cli_load_options, probe),
	 .metavar = "TIME",
	 .def = "0",
	 .min = 0,
	 .max = 60e9,
	 .help = "Before the load, time a bare timer at the same rate for so long: what this "
		 "machine can do at best."},
	{.name = "threads",
	 .type = PS_CONF_INT,
	 .offset = offsetof(struct ps_cli_load_options, threads),
	 .metavar = "N",
	 .def = "1",
	 .min = 1,
	 .max = PS_LOAD_MAX_THREADS,
	 .help = "Threads that send. The instants are the same with any number of them."},
	{.name = "cpus",
	 .type = PS_CONF_CPUS,
	 .offset = offsetof(struct ps_cli_load_options, cpus),
	 .metavar = "LIST",
	 .help = "Run on these CPUs only, such as 1 or 2-3, each thread on one of them."},
	{.name = "timestamping",
	 .type = PS_CONF_BOOL,
	 .offset = offsetof(struct ps_cli_load_options, timestamping),
	 .help = "Answers count from when the kernel had them, not from when they were read, "
		 "where it says so (TCP)."},
	{0},
};

const struct ps_conf_schema ps_cli_load_schema = {
	.name = "perseus load",
	.summary = "Load an inference server honestly and say what it gave.",
	.details = "Works with any server that speaks the Open Inference Protocol over HTTP/1.1, "
		   "HTTP/2 or gRPC, and with a model in this process. Inputs are made up from the "
		   "model's metadata, or come from files.\n"
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
		   "5 % of the SLA's limit, or without an SLA of the p50 latency; at least 99.9 % "
		   "sent), there are enough samples for the judged percentile, the latency shows "
		   "no trend and the machine was there. The SLA is met (99 % confidence), violated "
		   "(95 %) or undecided. docs/measuring.md says how all of it is measured.\n"
		   "\n"
		   "On a terminal a table of the tenants follows the run on stderr, of searches "
		   "and sweeps below a line for each rate tried; NO_COLOR is respected.\n"
		   "\n"
		   "Exit code: 0 when every tenant is VALID and its SLA is met (without an SLA: at "
		   "least "
		   "99 % of its requests succeeded); 1 when one is INVALID, violated or undecided; "
		   "others "
		   "are errors.",
	.example = "perseus load --model resnet50 --rate 20 --duration 30s --sla 'p95<=200ms'\n"
		   "perseus load --url http://gpu1:8000 --model bert --concurrency 4 --json\n"
		   "perseus load --url grpc://a:8001 --url grpc://b:8001 --model m --rate 500\n"
		   "perseus load --in-process resnet50 --concurrency 1\n"
		   "perseus load --model m --arrival trace --trace day.csv --trace-from 9h\n"
		   "perseus load --file tenants.yaml --log requests.log --export json:result.json\n"
		   "perseus load --model m --rate 50 --warmup auto --export hdr:latency.hgrm",
	.options = rows,
	.size = sizeof(struct ps_cli_load_options),
	.where_offset = SIZE_MAX,
};
