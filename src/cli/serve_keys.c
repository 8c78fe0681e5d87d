/* serve_keys.c - API keys: made, listed, revoked. A server reads them when it starts or reloads. */
#include "base/clock.h"
#include "serve/keys.h"
#include "serve/serve.h"
#include "serve_verbs_internal.h"
#include "tenancy/tenancy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct key_options {
	char *config, *file, *tenant, *note, *digest;
	bool admin, json;
};

#define FIELD(f) offsetof(struct key_options, f)

#define ROW_CONFIG                                                                                 \
	{                                                                                          \
		.name = "config", .type = PS_CONF_TEXT, .offset = FIELD(config),                   \
		.metavar = "FILE",                                                                 \
		.help = "The server's configuration; its keys_file holds the keys.",               \
	}
#define ROW_FILE                                                                                   \
	{                                                                                          \
		.name = "keys-file", .type = PS_CONF_TEXT, .offset = FIELD(file),                  \
		.metavar = "FILE", .help = "The file of keys, in place of the configuration's.",   \
	}

static const struct ps_conf_option create_rows[] = {
	ROW_CONFIG,
	ROW_FILE,
	{.name = "tenant",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(tenant),
	 .help = "Whose key it is; a tenant of the configuration."},
	{.name = "admin",
	 .type = PS_CONF_BOOL,
	 .offset = FIELD(admin),
	 .help = "The operator's, in place of a tenant's: it may see and do everything."},
	{.name = "note", .type = PS_CONF_TEXT, .offset = FIELD(note), .help = "What it is for."},
	PS_CLI_JSON(struct key_options),
	{0},
};

static const struct ps_conf_option list_rows[] = {
	ROW_CONFIG, ROW_FILE, PS_CLI_JSON(struct key_options), {0}};

static const struct ps_conf_option revoke_rows[] = {
	ROW_CONFIG,
	ROW_FILE,
	{.name = "digest",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(digest),
	 .flags = PS_CONF_POSITIONAL | PS_CONF_REQUIRED,
	 .metavar = "DIGEST",
	 .help = "Its digest, or the first 6 or more digits of it."},
	{0},
};

static const struct ps_conf_schema create_schema = {
	.name = "perseus serve keys create",
	.summary = "Make a new API key.",
	.details =
		"Prints the key, once: only its digest is kept. With a keys_file the digest is put "
		"there; a running server takes it up when it reloads (SIGHUP, or POST "
		"/v2/perseus/reload). Without one, the line for the configuration is printed.",
	.options = create_rows,
	.size = sizeof(struct key_options),
	.where_offset = SIZE_MAX,
};

static const struct ps_conf_schema list_schema = {
	.name = "perseus serve keys list",
	.summary = "List API keys by their digests.",
	.details = "Those of the keys file and of the configuration itself.",
	.options = list_rows,
	.size = sizeof(struct key_options),
	.where_offset = SIZE_MAX,
};

static const struct ps_conf_schema revoke_schema = {
	.name = "perseus serve keys revoke",
	.summary = "Take an API key out of the keys file.",
	.details = "It holds until the server reloads (SIGHUP, or POST /v2/perseus/reload).",
	.options = revoke_rows,
	.size = sizeof(struct key_options),
	.where_offset = SIZE_MAX,
};

/* --- the files --- */

struct files {
	struct ps_serve_config *config; /* NULL: none was named */
	const char *keys;		/* path; NULL: none */
};

static enum ps_status open_files(const struct key_options *o, struct files *f, struct ps_error *err)
{
	const struct ps_serve_options options = {.config = o->config, .ready_fd = -1};
	*f = (struct files){.keys = o->file};
	if (!o->config)
		return PS_OK;
	enum ps_status status = ps_serve_config_load(&options, &f->config, err);
	if (status == PS_OK && !f->keys)
		f->keys = f->config->keys_file;
	return status;
}

static bool has_tenant(const struct ps_serve_config *c, const char *name)
{
	const struct ps_serve_tenant_config *t = c->tenants.items;
	for (size_t i = 0; i < c->tenants.len; i++)
		if (strcmp(t[i].name, name) == 0)
			return true;
	return false;
}

/* --- create --- */

static enum ps_status check_owner(const struct key_options *o, const struct files *f,
				  struct ps_error *err)
{
	if (!o->tenant == !o->admin)
		return ps_error_set(err, PS_EUSAGE, "give either --tenant NAME or --admin");
	if (o->tenant && f->config && !has_tenant(f->config, o->tenant))
		return ps_error_set(err, PS_ENOTFOUND, "the configuration has no tenant '%s'",
				    o->tenant);
	return PS_OK;
}

static enum ps_status print_key(const struct key_options *o, const struct files *f, const char *key,
				const char *digest, struct ps_error *err)
{
	char text[512];
	if (o->json) {
		json_t *line = json_object();
		ps_json_set_string(line, "key", key);
		ps_json_set_string(line, "digest", digest);
		ps_json_set_string(line, "tenant", o->tenant);
		ps_json_set_bool(line, "admin", o->admin);
		ps_json_set_string(line, "keys_file", f->keys);
		return ps_cli_print_json(line, err);
	}
	int n = snprintf(text, sizeof text, "key:    %s\ndigest: %s\n", key, digest);
	return ps_cli_print(text, (size_t)n, err);
}

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;
	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* When what was done to the file of keys holds, as far as the configuration tells. */
static void say_when(const struct files *f, const char *what)
{
	const char *named = f->config ? f->config->keys_file : f->keys;
	if (!named)
		fprintf(stderr,
			"The configuration names no file of keys: without keys_file: %s in it, no "
			"server of it looks there.\n",
			f->keys);
	else if (!same_file(named, f->keys))
		fprintf(stderr,
			"The configuration names another file of keys, %s: no server of it looks "
			"into this one.\n",
			named);
	else
		fprintf(stderr,
			"%s once the server starts, or reloads (SIGHUP, POST /v2/perseus/reload): "
			"the file is not watched.\n",
			what);
}

static void say_next(const struct key_options *o, const struct files *f, const char *digest)
{
	if (f->keys) {
		fprintf(stderr, "The digest is in %s.\n", f->keys);
		say_when(f, "The key holds");
	} else if (o->admin)
		fprintf(stderr, "Add to the configuration:\n\nadmin_keys: [\"%s\"]\n", digest);
	else
		fprintf(stderr,
			"Add to the tenant's section of the configuration:\n\n  - name: %s\n"
			"    keys: [\"%s\"]\n",
			o->tenant, digest);
}

static enum ps_status create(const struct key_options *o, const struct files *f,
			     struct ps_error *err)
{
	char key[PS_TENANCY_KEY_SIZE], digest[PS_TENANCY_DIGEST_SIZE], now[PS_CLOCK_ISO_SIZE];
	enum ps_status status = check_owner(o, f, err);
	if (status == PS_OK)
		status = ps_tenancy_make_key(key, digest, err);
	ps_clock_wall_iso(ps_clock_wall_ns(), now);
	if (status == PS_OK && f->keys)
		status = ps_serve_keys_add(f->keys, o->tenant, digest, now, o->note, err);
	if (status == PS_OK)
		status = print_key(o, f, key, digest, err);
	if (status == PS_OK)
		say_next(o, f, digest);
	return status;
}

/* --- list --- */

static void add_row(json_t *list, const char *tenant, const struct ps_serve_key_config *k,
		    const char *file)
{
	json_t *row = json_object();
	ps_json_set_string(row, "tenant", tenant);
	ps_json_set_string(row, "digest", k->digest);
	ps_json_set_string(row, "created", k->created);
	ps_json_set_string(row, "note", k->note);
	ps_json_set_string(row, "file", file);
	json_array_append_new(list, row);
}

static void add_texts(json_t *list, const char *tenant, const struct ps_conf_texts *keys,
		      const char *file)
{
	for (size_t i = 0; i < keys->len; i++) {
		const struct ps_serve_key_config k = {.digest = keys->items[i]};
		add_row(list, tenant, &k, file);
	}
}

static enum ps_status add_file(json_t *list, const char *path, struct ps_error *err)
{
	struct ps_serve_keys keys;
	enum ps_status status = ps_serve_keys_load(path, &keys, err);
	if (status != PS_OK)
		return status;
	const struct ps_serve_key_config *k = keys.keys.items;
	for (size_t i = 0; i < keys.keys.len; i++)
		add_row(list, k[i].tenant, &k[i], path);
	ps_conf_free(&ps_serve_keys_schema, &keys);
	return PS_OK;
}

static enum ps_status print_rows(const json_t *list, struct ps_error *err)
{
	char text[1024];
	size_t i;
	json_t *row;
	enum ps_status status = PS_OK;
	json_array_foreach((json_t *)list, i, row)
	{
		int n = snprintf(text, sizeof text, "%-24s %.23s  %-24s %s\n",
				 ps_json_get_string(row, "tenant", "(operator)"),
				 ps_json_get_string(row, "digest", ""),
				 ps_json_get_string(row, "created", ""),
				 ps_json_get_string(row, "note", ""));
		if (status == PS_OK)
			status = ps_cli_print(
				text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1, err);
	}
	return status;
}

static enum ps_status list_keys(const struct key_options *o, const struct files *f,
				struct ps_error *err)
{
	json_t *list = json_array();
	enum ps_status status = PS_OK;
	if (f->config) {
		const struct ps_serve_tenant_config *t = f->config->tenants.items;
		add_texts(list, NULL, &f->config->admin_keys, o->config);
		for (size_t i = 0; i < f->config->tenants.len; i++)
			add_texts(list, t[i].name, &t[i].keys, o->config);
	}
	if (f->keys)
		status = add_file(list, f->keys, err);
	if (!f->config && !f->keys)
		status = ps_error_set(err, PS_EUSAGE, "give --config FILE or --keys-file FILE");
	if (status == PS_OK && o->json)
		return ps_cli_print_json(list, err);
	if (status == PS_OK)
		status = print_rows(list, err);
	json_decref(list);
	return status;
}

/* --- revoke --- */

static enum ps_status revoke(const struct key_options *o, const struct files *f,
			     struct ps_error *err)
{
	char *digest = NULL, text[256];
	if (!f->keys) {
		ps_error_set(err, PS_EUSAGE, "there is no keys file");
		ps_error_hint(err, "give --keys-file FILE; keys of the configuration itself are "
				   "taken out there, by hand");
		return PS_EUSAGE;
	}
	enum ps_status status = ps_serve_keys_revoke(f->keys, o->digest, &digest, err);
	if (status == PS_OK) {
		int n = snprintf(text, sizeof text, "revoked: %s\n", digest ? digest : o->digest);
		status = ps_cli_print(text, (size_t)n, err);
		say_when(f, "It holds no more");
	}
	free(digest);
	return status;
}

/* --- verbs --- */

static int with_files(const struct key_options *o,
		      enum ps_status (*act)(const struct key_options *o, const struct files *f,
					    struct ps_error *err))
{
	struct files f;
	struct ps_error err;
	enum ps_status status = open_files(o, &f, &err);
	if (status == PS_OK)
		status = act(o, &f, &err);
	ps_serve_config_free(f.config);
	return status == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
}

static int run_create(void *options)
{
	return with_files(options, create);
}

static int run_list(void *options)
{
	return with_files(options, list_keys);
}

static int run_revoke(void *options)
{
	return with_files(options, revoke);
}

static const struct ps_cli_command create_verb = {
	.name = "create", .schema = &create_schema, .run = run_create};
static const struct ps_cli_command list_verb = {
	.name = "list", .schema = &list_schema, .run = run_list};
static const struct ps_cli_command revoke_verb = {
	.name = "revoke", .schema = &revoke_schema, .run = run_revoke};

static const struct ps_cli_command *const verbs[] = {&create_verb, &list_verb, &revoke_verb, NULL};

const struct ps_cli_command ps_cli_serve_keys = {
	.name = "keys",
	.path = "serve keys",
	.verbs = verbs,
	.summary = "Make, list and revoke API keys.",
};
