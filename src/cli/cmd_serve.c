#include "cli/cli.h"
#include "engine/engine.h"
#include "serve/serve.h"
#include "tenancy/tenancy.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct serve_options {
	char *config, *models, *listen, *library;
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
	 .help = "Serve every .onnx and .synthetic.yaml file of a folder."},
	{.name = "listen",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(listen),
	 .metavar = "ADDRESS",
	 .help = "host:port, in place of the configuration's; 127.0.0.1:8000 without one. Port 0 "
		 "lets the system pick."},
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
	 .help = "Check the configuration and end."},
	{0},
};

static const struct ps_conf_schema schema = {
	.name = "perseus serve",
	.summary = "Serve models to tenants over the Open Inference Protocol.",
	.details = "Serves over HTTP until SIGTERM or SIGINT, then finishes what is in flight. "
		   "GET /v2/health/ready answers 200 once every model is loaded. Without tenants "
		   "in a configuration there is one, default, without a key, and only a loopback "
		   "address may be listened on.\n\nA second signal cancels what is in flight.",
	.example = "perseus serve --models ./models\n"
		   "perseus serve --config serve.yaml --cpus 0 --lanes 1\n"
		   "perseus serve --new-key\n",
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

/* Moves a text of the command line over one of the configuration. */
static void override(char **to, char **from)
{
	if (!*from)
		return;
	free(*to);
	*to = *from;
	*from = NULL;
}

static int serve(struct serve_options *o, struct ps_serve_config *config)
{
	struct ps_error err;
	struct ps_serve_options serve_options = {
		.config = config, .models_dir = o->models, .ready_fd = (int)o->ready_fd};
	override(&config->listen, &o->listen);
	override(&config->library, &o->library);
	if (ps_cpus_count(&o->cpus) > 0)
		config->cpus = o->cpus;
	if (o->lanes > 0)
		config->lanes = o->lanes;
	enum ps_status status = o->check_config ? ps_serve_check(&serve_options, &err)
						: ps_serve_run(&serve_options, &err);
	return status == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
}

static int run(void *options)
{
	struct serve_options *o = options;
	struct ps_serve_config config;
	struct ps_error err;
	if (o->new_key)
		return print_new_key();
	if (!o->config && !o->models) {
		ps_error_set(&err, PS_EUSAGE, "there is nothing to serve");
		ps_error_hint(&err, "give --models DIR or --config FILE");
		return ps_cli_fail(&err);
	}
	signal(SIGPIPE, SIG_IGN); /* a reader of --ready-fd may have left */
	if (ps_serve_config_load(o->config, &config, &err) != PS_OK)
		return ps_cli_fail(&err);
	int code = serve(o, &config);
	ps_conf_free(&ps_serve_config_schema, &config);
	return code;
}

static const struct ps_conf_schema *const files[] = {&ps_serve_config_schema,
						     &ps_engine_synthetic_schema, NULL};

const struct ps_cli_command ps_cmd_serve = {
	.name = "serve", .schema = &schema, .run = run, .files = files};
