#include "cli/cli.h"
#include "engine/engine.h"
#include "serve/keys.h"
#include "serve/serve.h"
#include "serve_verbs_internal.h"
#include "tenancy/tenancy.h"

#include <signal.h>
#include <stdio.h>

struct serve_options {
	char *config, *models, *listen, *grpc, *metrics, *library, *state;
	struct ps_cpus cpus;
	int64_t lanes, ready_fd;
	bool new_key, check_config;
};

#define FIELD(f) offsetof(struct serve_options, f)

static const struct ps_conf_option rows[] = {
	{.name = "config",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(config),
	 .metavar = "FILE",
	 .help = "Models and tenants to serve."},
	{.name = "models",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(models),
	 .metavar = "DIR",
	 .help = "Serve a folder of models, in place of the configuration's: "
		 "NAME/VERSION/model.onnx with an optional NAME/config.pbtxt, or plain .onnx and "
		 ".synthetic.yaml files."},
	{.name = "listen",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(listen),
	 .metavar = "ADDRESS",
	 .help = "HTTP: host:port, unix:/path or off, in place of the configuration's; "
		 "127.0.0.1:8000 without one. Port 0 lets the system pick."},
	{.name = "grpc",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(grpc),
	 .metavar = "ADDRESS",
	 .help = "gRPC, likewise; 127.0.0.1:8001."},
	{.name = "metrics",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(metrics),
	 .metavar = "ADDRESS",
	 .help = "Metrics, likewise; 127.0.0.1:8002."},
	{.name = "cpus",
	 .type = PS_CONF_CPUS,
	 .offset = FIELD(cpus),
	 .metavar = "LIST",
	 .help = "CPUs to run on, in place of the configuration's."},
	{.name = "lanes",
	 .type = PS_CONF_INT,
	 .offset = FIELD(lanes),
	 .def = "0",
	 .min = 0,
	 .max = 256,
	 .help = "Models that run at the same time, in place of the configuration's; 0: as "
		 "configured, else one per CPU."},
	{.name = "library",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(library),
	 .metavar = "FILE",
	 .help = "The ONNX Runtime library, in place of the configuration's."},
	{.name = "state",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(state),
	 .metavar = "DIR",
	 .help = "Where loads over the API and the ledger of usage are kept, in place of the "
		 "configuration's."},
	{.name = "ready-fd",
	 .type = PS_CONF_INT,
	 .offset = FIELD(ready_fd),
	 .def = "-1",
	 .min = -1,
	 .max = 65535,
	 .help = "When ready, write one line of JSON to this descriptor (address, models and "
		 "their memory; or the error) and close it."},
	{.name = "new-key",
	 .type = PS_CONF_BOOL,
	 .offset = FIELD(new_key),
	 .help = "Print a new API key and the digest that goes into the configuration."},
	{.name = "check-config",
	 .type = PS_CONF_BOOL,
	 .offset = FIELD(check_config),
	 .help = "Look for what a start would refuse, without loading models or taking "
		 "addresses, and end with the exit code that it would have; 0: nothing. "
		 "Warnings go to stderr."},
	{0},
};

static const struct ps_conf_schema schema = {
	.name = "perseus serve",
	.summary = "Serve models to tenants over the Open Inference Protocol.",
	.details = "Serves over HTTP and gRPC until SIGTERM or SIGINT, then finishes what is in "
		   "flight; a second signal cancels that. SIGHUP reads the configuration again: "
		   "whole, or not at all. GET /v2/health/ready answers 200 once every model is "
		   "loaded. Without tenants in a configuration there is one, default, without a "
		   "key, and only a loopback address may be listened on.",
	.example = "perseus serve --models ./models\n"
		   "perseus serve --config serve.yaml --cpus 0 --lanes 1\n"
		   "perseus serve --config serve.yaml --check-config\n"
		   "perseus serve keys create --config serve.yaml --tenant alpha\n"
		   "perseus serve bill --state /var/lib/perseus --from 2026-11-01\n",
	.options = rows,
	.size = sizeof(struct serve_options),
	.where_offset = SIZE_MAX,
};

static int print_new_key(void)
{
	char key[PS_TENANCY_KEY_SIZE], digest[PS_TENANCY_DIGEST_SIZE], text[256];
	struct ps_error err;
	if (ps_tenancy_make_key(key, digest, &err) != PS_OK)
		return ps_cli_fail(&err);
	int n = snprintf(text, sizeof text, "key:    %s\ndigest: %s\n", key, digest);
	if (ps_cli_print(text, (size_t)n, &err) != PS_OK)
		return ps_cli_fail(&err);
	return PS_CLI_OK;
}

static int run(void *options)
{
	const struct serve_options *o = options;
	struct ps_error err;
	if (o->new_key)
		return print_new_key();
	if (!o->config && !o->models) {
		ps_error_set(&err, PS_EUSAGE, "there is nothing to serve");
		ps_error_hint(&err, "give --models DIR or --config FILE");
		return ps_cli_fail(&err);
	}
	signal(SIGPIPE, SIG_IGN); /* a reader of --ready-fd may have left */
	signal(SIGXFSZ, SIG_IGN); /* a limit on files' sizes is an error of the write */
	const struct ps_serve_options serve = {
		.config = o->config,
		.models_dir = o->models,
		.listen = o->listen,
		.grpc = o->grpc,
		.metrics = o->metrics,
		.library = o->library,
		.state = o->state,
		.cpus = o->cpus,
		.lanes = o->lanes,
		.ready_fd = (int)o->ready_fd,
	};
	enum ps_status status =
		o->check_config ? ps_serve_check(&serve, &err) : ps_serve_run(&serve, &err);
	return status == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
}

static const struct ps_conf_schema *const files[] = {&ps_serve_config_schema, &ps_serve_keys_schema,
						     &ps_engine_synthetic_schema, NULL};

static const struct ps_cli_command *const verbs[] = {&ps_cli_serve_keys, &ps_cli_serve_bill, NULL};

const struct ps_cli_command ps_cmd_serve = {
	.name = "serve", .schema = &schema, .run = run, .verbs = verbs, .files = files};
