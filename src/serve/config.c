#include "base/file.h"
#include "base/units.h"
#include "serve/serve_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL(field)  offsetof(struct ps_serve_model_config, field)
#define TENANT(field) offsetof(struct ps_serve_tenant_config, field)
#define SERVE(field)  offsetof(struct ps_serve_config, field)

static const struct ps_conf_option model_rows[] = {
	{.name = "name",
	 .type = PS_CONF_TEXT,
	 .offset = MODEL(name),
	 .flags = PS_CONF_REQUIRED,
	 .help = "Name under which clients ask for it."},
	{.name = "path",
	 .type = PS_CONF_TEXT,
	 .offset = MODEL(path),
	 .flags = PS_CONF_REQUIRED,
	 .metavar = "FILE",
	 .help = "An .onnx or .synthetic.yaml file; relative to this file's folder."},
	{.name = "version",
	 .type = PS_CONF_INT,
	 .offset = MODEL(version),
	 .def = "1",
	 .min = 1,
	 .max = PS_REPO_MAX_VERSION,
	 .help = "Clients that name no version get the highest."},
	{0},
};

static const struct ps_conf_schema model_schema = {
	.name = "models",
	.summary = "One version of a model.",
	.options = model_rows,
	.size = sizeof(struct ps_serve_model_config),
	.where_offset = MODEL(where),
};

static const struct ps_conf_option tenant_rows[] = {
	{.name = "name",
	 .type = PS_CONF_TEXT,
	 .offset = TENANT(name),
	 .flags = PS_CONF_REQUIRED,
	 .help = "Name in logs, results and bills."},
	{.name = "keys",
	 .type = PS_CONF_TEXTS,
	 .offset = TENANT(keys),
	 .metavar = "DIGEST",
	 .help = "Digests of its API keys, sha256:HEX, as perseus serve --new-key prints them. At "
		 "most one tenant may have none, on a loopback address only."},
	{.name = "models",
	 .type = PS_CONF_TEXTS,
	 .offset = TENANT(models),
	 .metavar = "NAME",
	 .help = "Models that it may see; all when left out."},
	{.name = "queue-limit",
	 .type = PS_CONF_INT,
	 .offset = TENANT(queue_limit),
	 .def = "100",
	 .min = 1,
	 .max = 1000000,
	 .help = "Requests that may wait; the next one is answered with 429 at once."},
	{.name = "weight",
	 .type = PS_CONF_INT,
	 .offset = TENANT(weight),
	 .def = "1",
	 .min = 1,
	 .max = PS_TENANCY_MAX_WEIGHT,
	 .help = "Requests served per turn when several tenants wait."},
	{0},
};

static const struct ps_conf_schema tenant_schema = {
	.name = "tenants",
	.summary = "Who may ask, and for what.",
	.options = tenant_rows,
	.size = sizeof(struct ps_serve_tenant_config),
	.where_offset = TENANT(where),
};

static const char *const widths[] = {"narrow", "wide", NULL};

static const struct ps_conf_option serve_rows[] = {
	{.name = "listen",
	 .type = PS_CONF_TEXT,
	 .offset = SERVE(listen),
	 .def = "127.0.0.1:8000",
	 .metavar = "ADDRESS",
	 .help = "host:port or [IPv6]:port; port 0 lets the system pick one."},
	{.name = "cpus",
	 .type = PS_CONF_CPUS,
	 .offset = SERVE(cpus),
	 .metavar = "LIST",
	 .help = "CPUs of this server: lanes are pinned to one each, the I/O thread "
		 "to the set. Left out: all that the process may use."},
	{.name = "lanes",
	 .type = PS_CONF_INT,
	 .offset = SERVE(lanes),
	 .def = "0",
	 .min = 0,
	 .max = PS_DISPATCH_MAX_LANES,
	 .help = "Models that run at the same time; 0: one per CPU when narrow, one when wide."},
	{.name = "lane-spin",
	 .type = PS_CONF_DURATION,
	 .offset = SERVE(lane_spin),
	 .def = "0",
	 .min = 0,
	 .max = 1e9,
	 .help = "An idle lane looks for work this long before it sleeps: requests start sooner, "
		 "and "
		 "its CPU is busy meanwhile."},
	{.name = "width",
	 .type = PS_CONF_ENUM,
	 .offset = SERVE(width),
	 .def = "narrow",
	 .choices = widths,
	 .help = "narrow: a run has one CPU; wide: a run has them all."},
	{.name = "library",
	 .type = PS_CONF_TEXT,
	 .offset = SERVE(library),
	 .metavar = "FILE",
	 .help = "The ONNX Runtime library. Left out: PERSEUS_ORT_LIBRARY, the copy that set-up "
		 "fetched, the system's."},
	{.name = "cache",
	 .type = PS_CONF_TEXT,
	 .offset = SERVE(cache),
	 .metavar = "DIR",
	 .help = "Where converted models are kept."},
	{.name = "seed",
	 .type = PS_CONF_INT,
	 .offset = SERVE(seed),
	 .def = "1",
	 .help = "Seed of the service times of synthetic models."},
	{.name = "max-body",
	 .type = PS_CONF_BYTES,
	 .offset = SERVE(max_body),
	 .def = "64MiB",
	 .min = 1024,
	 .max = 1 << 30,
	 .help = "Largest body of a request; more is answered with 413."},
	{.name = "max-connections",
	 .type = PS_CONF_INT,
	 .offset = SERVE(max_connections),
	 .def = "1024",
	 .min = 1,
	 .max = 65536,
	 .help = "Connections open at the same time; further ones wait."},
	{.name = "idle-timeout",
	 .type = PS_CONF_DURATION,
	 .offset = SERVE(idle_timeout),
	 .def = "75s",
	 .min = 1e6,
	 .max = 86400e9,
	 .help = "A connection without a request is closed after this."},
	{.name = "drain-timeout",
	 .type = PS_CONF_DURATION,
	 .offset = SERVE(drain_timeout),
	 .def = "30s",
	 .min = 0,
	 .max = 86400e9,
	 .help = "How long SIGTERM waits for what is in flight before it is cancelled."},
	{.name = "warmup",
	 .type = PS_CONF_BOOL,
	 .offset = SERVE(warmup),
	 .def = "true",
	 .help = "Run each model once before it is ready."},
	{.name = "access-log",
	 .type = PS_CONF_BOOL,
	 .offset = SERVE(access_log),
	 .def = "false",
	 .help = "One line per inference on stderr; admitted_ns is on the monotonic clock."},
	{.name = "models",
	 .type = PS_CONF_SECTIONS,
	 .offset = SERVE(models),
	 .section = &model_schema,
	 .help = "What is served."},
	{.name = "tenants",
	 .type = PS_CONF_SECTIONS,
	 .offset = SERVE(tenants),
	 .section = &tenant_schema,
	 .help = "Who is served. Left out: one tenant, default, without a key."},
	{0},
};

const struct ps_conf_schema ps_serve_config_schema = {
	.name = "perseus serve configuration",
	.summary = "A server's models and tenants.",
	.options = serve_rows,
	.size = sizeof(struct ps_serve_config),
	.where_offset = SIZE_MAX,
};

static enum ps_status rebase_path(char **path, const char *file)
{
	const char *slash = strrchr(file, '/');
	if (**path == '/' || !slash)
		return PS_OK;
	char *joined = NULL;
	if (asprintf(&joined, "%.*s/%s", (int)(slash - file), file, *path) < 0)
		return PS_ENOMEM;
	free(*path);
	*path = joined;
	return PS_OK;
}

enum ps_status ps_serve_config_load(const char *path, struct ps_serve_config *ret_config,
				    struct ps_error *err)
{
	enum ps_status status;
	if (!path)
		return ps_conf_parse_yaml(&ps_serve_config_schema, "{}", 2, "defaults", ret_config,
					  err);
	status = ps_conf_load_yaml(&ps_serve_config_schema, path, ret_config, err);
	if (status != PS_OK)
		return status;
	struct ps_serve_model_config *m = ret_config->models.items;
	for (size_t i = 0; status == PS_OK && i < ret_config->models.len; i++)
		status = rebase_path(&m[i].path, path);
	if (status != PS_OK) {
		ps_conf_free(&ps_serve_config_schema, ret_config);
		return ps_error_set(err, status, "out of memory");
	}
	ret_config->file = path;
	return PS_OK;
}

enum ps_status ps_serve_split_listen(const char *text, char host[PS_NET_HOST_SIZE],
				     uint16_t *ret_port, struct ps_error *err)
{
	const char *colon = strrchr(text, ':');
	const char *from = text, *to = colon;
	int64_t port;
	if (colon && *text == '[' && colon > text && colon[-1] == ']') {
		from++;
		to--;
	} else if (colon && memchr(text, ':', (size_t)(colon - text))) {
		colon = NULL; /* an IPv6 address without brackets */
	}
	if (!colon || to <= from || to - from >= PS_NET_HOST_SIZE ||
	    ps_units_parse_int(colon + 1, &port, NULL) != PS_OK || port < 0 || port > 65535) {
		ps_error_set(err, PS_EINVAL, "'%s' is no address to listen on", text);
		ps_error_hint(err, "its form is host:port, or [address]:port for IPv6");
		return PS_EINVAL;
	}
	memcpy(host, from, (size_t)(to - from));
	host[to - from] = '\0';
	*ret_port = (uint16_t)port;
	return PS_OK;
}

/* A name is looked up: what counts is where it leads. */
static enum ps_status is_loopback(const char *host, bool *ret_loopback, struct ps_error *err)
{
	struct ps_net_address a;
	char text[PS_NET_ADDRESS_TEXT_SIZE];
	enum ps_status status = ps_net_resolve(host, 1, &a, err);
	if (status != PS_OK)
		return status;
	ps_net_address_text(&a, text);
	*ret_loopback = strncmp(text, "127.", 4) == 0 || strncmp(text, "[::1]", 5) == 0;
	return PS_OK;
}

static void say_where(struct ps_error *err, const struct ps_serve_config *c,
		      const struct ps_conf_where *w, const char *key)
{
	if (c->file && w->line > 0)
		ps_error_where(err, "%s:%d:%s", c->file, w->line, key);
}

static enum ps_status check_open(const struct ps_serve_config *c, const struct ps_tenancy *t,
				 struct ps_error *err)
{
	char host[PS_NET_HOST_SIZE];
	uint16_t port;
	enum ps_status status = ps_serve_split_listen(c->listen, host, &port, err);
	bool loopback = true;
	if (status == PS_OK && ps_tenancy_has_open(t))
		status = is_loopback(host, &loopback, err);
	if (status != PS_OK || loopback)
		return status;
	ps_error_set(err, PS_EINVAL, "%s can be reached from the network and a tenant has no key",
		     c->listen);
	ps_error_hint(err, "give every tenant a key (perseus serve --new-key), or listen on "
			   "127.0.0.1");
	return PS_EINVAL;
}

static enum ps_status make_default_tenancy(struct ps_tenancy **ret_tenancy, struct ps_error *err)
{
	const struct ps_tenancy_tenant only = {
		.name = "default", .all_models = true, .queue_limit = 100, .weight = 1};
	return ps_tenancy_new(&only, 1, ret_tenancy, err);
}

/* The tenants one by one first, so that an error can name the line. */
static enum ps_status make_tenants(const struct ps_serve_config *c, struct ps_tenancy_tenant *list,
				   struct ps_tenancy **ret_tenancy, struct ps_error *err)
{
	const struct ps_serve_tenant_config *from = c->tenants.items;
	struct ps_tenancy *t = NULL;
	for (size_t i = 0; i < c->tenants.len; i++) {
		list[i] = (struct ps_tenancy_tenant){
			.name = from[i].name,
			.keys = (const char *const *)from[i].keys.items,
			.n_keys = from[i].keys.len,
			.models = (const char *const *)from[i].models.items,
			.n_models = from[i].models.len,
			.all_models = from[i].models.len == 0,
			.queue_limit = from[i].queue_limit,
			.weight = from[i].weight,
		};
		ps_tenancy_free(t);
		t = NULL;
		enum ps_status status = ps_tenancy_new(list, i + 1, &t, err);
		if (status != PS_OK) {
			say_where(err, c, &from[i].where, "tenants");
			return status;
		}
	}
	*ret_tenancy = t;
	return PS_OK;
}

enum ps_status ps_serve_make_tenancy(const struct ps_serve_config *c,
				     struct ps_tenancy **ret_tenancy, struct ps_error *err)
{
	struct ps_tenancy *t = NULL;
	enum ps_status status;
	if (c->tenants.len == 0) {
		status = make_default_tenancy(&t, err);
	} else {
		struct ps_tenancy_tenant *list = calloc(c->tenants.len, sizeof *list);
		if (!list)
			return ps_error_set(err, PS_ENOMEM, "out of memory");
		status = make_tenants(c, list, &t, err);
		free(list);
	}
	if (status == PS_OK)
		status = check_open(c, t, err);
	if (status != PS_OK) {
		ps_tenancy_free(t);
		return status;
	}
	*ret_tenancy = t;
	return PS_OK;
}

static enum ps_status add_model(struct ps_repo *r, const struct ps_serve_model_config *m,
				struct ps_error *err)
{
	enum ps_status status = ps_repo_add(r, m->name, m->version, m->path, err);
	if (status != PS_OK)
		return status;
	if (!ps_repo_is_model_file(m->path))
		return ps_error_set(err, PS_EUNSUPPORTED,
				    "%s: a model's file ends in .onnx or .synthetic.yaml", m->path);
	if (!ps_file_exists(m->path))
		return ps_error_set(err, PS_ENOTFOUND, "there is no file %s", m->path);
	return PS_OK;
}

static enum ps_status check_references(const struct ps_serve_config *c, const struct ps_repo *r,
				       struct ps_error *err)
{
	const struct ps_serve_tenant_config *t = c->tenants.items;
	for (size_t i = 0; i < c->tenants.len; i++)
		for (size_t k = 0; k < t[i].models.len; k++) {
			const char *name = t[i].models.items[k];
			if (ps_repo_find(r, name, strlen(name), 0) >= 0)
				continue;
			ps_error_set(err, PS_EINVAL,
				     "tenant %s names the model '%s', which is "
				     "not served",
				     t[i].name, name);
			say_where(err, c, &t[i].where, "tenants");
			return PS_EINVAL;
		}
	return PS_OK;
}

enum ps_status ps_serve_make_repo(const struct ps_serve_options *o, struct ps_repo **ret_repo,
				  struct ps_error *err)
{
	const struct ps_serve_config *c = o->config;
	const struct ps_serve_model_config *m = c->models.items;
	struct ps_repo *r;
	enum ps_status status = ps_repo_new(&r);
	if (status != PS_OK)
		return ps_error_set(err, status, "out of memory");
	for (size_t i = 0; status == PS_OK && !o->models_dir && i < c->models.len; i++) {
		status = add_model(r, &m[i], err);
		if (status != PS_OK)
			say_where(err, c, &m[i].where, "models");
	}
	if (status == PS_OK && o->models_dir)
		status = ps_repo_scan(r, o->models_dir, err);
	if (status == PS_OK && ps_repo_count(r) == 0) {
		status = ps_error_set(err, PS_EUSAGE, "there is no model to serve");
		ps_error_hint(err, "name a folder with --models DIR, or models in --config FILE");
	}
	if (status == PS_OK)
		status = check_references(c, r, err);
	if (status != PS_OK)
		ps_repo_free(r);
	else
		*ret_repo = r;
	return status;
}

enum ps_status ps_serve_check(const struct ps_serve_options *options, struct ps_error *err)
{
	struct ps_tenancy *t = NULL;
	struct ps_repo *r = NULL;
	enum ps_status status = ps_serve_make_tenancy(options->config, &t, err);
	if (status == PS_OK)
		status = ps_serve_make_repo(options, &r, err);
	ps_repo_free(r);
	ps_tenancy_free(t);
	return status;
}
