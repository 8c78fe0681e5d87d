/* config.c - the file as a struct: what the command line puts over it, relative paths, addresses.
 */
#include "base/units.h"
#include "serve/admin_internal.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Texts of the file are relative to its folder. */
static enum ps_status rebase(char **path, const char *file)
{
	const char *slash = strrchr(file, '/');
	if (!*path || **path == '/' || !slash)
		return PS_OK;
	char *joined = NULL;
	if (asprintf(&joined, "%.*s/%s", (int)(slash - file), file, *path) < 0)
		return PS_ENOMEM;
	free(*path);
	*path = joined;
	return PS_OK;
}

#define UNIX_PREFIX "unix:"

static enum ps_status rebase_sockets(struct ps_conf_texts *list, const char *file)
{
	enum ps_status status = PS_OK;
	for (size_t i = 0; status == PS_OK && i < list->len; i++) {
		size_t n = strlen(UNIX_PREFIX);
		if (strncmp(list->items[i], UNIX_PREFIX, n) != 0 || !list->items[i][n])
			continue;
		char *path = strdup(list->items[i] + n), *whole = NULL;
		status = path ? rebase(&path, file) : PS_ENOMEM;
		if (status == PS_OK && asprintf(&whole, UNIX_PREFIX "%s", path) < 0)
			status = PS_ENOMEM;
		free(path);
		if (status != PS_OK)
			break;
		free(list->items[i]);
		list->items[i] = whole;
	}
	return status;
}

static enum ps_status rebase_all(struct ps_serve_config *c, const char *file)
{
	/* A library's name without a slash is the loader's to find. */
	char *none = NULL, **library = c->library && strchr(c->library, '/') ? &c->library : &none;
	char **single[] = {&c->tls.cert, &c->tls.key,	&c->tls.client_ca, &c->access_log_file,
			   &c->state,	 &c->keys_file, &c->cache,	   library};
	struct ps_conf_texts *sockets[] = {&c->listen, &c->grpc, &c->metrics};
	struct ps_serve_model_config *m = c->models.items;
	enum ps_status status = PS_OK;
	for (size_t i = 0; status == PS_OK && i < sizeof sockets / sizeof *sockets; i++)
		status = rebase_sockets(sockets[i], file);
	for (size_t i = 0; status == PS_OK && i < sizeof single / sizeof *single; i++)
		status = rebase(single[i], file);
	for (size_t i = 0; status == PS_OK && i < c->model_repository.len; i++)
		status = rebase(&c->model_repository.items[i], file);
	for (size_t i = 0; status == PS_OK && i < c->models.len; i++)
		status = rebase(&m[i].path, file);
	for (size_t i = 0; status == PS_OK && i < c->models.len; i++)
		status = rebase(&m[i].rnn_calibration, file);
	return status;
}

static enum ps_status set_text(char **to, const char *from)
{
	char *copy = from ? strdup(from) : NULL;
	if (!from)
		return PS_OK;
	if (!copy)
		return PS_ENOMEM;
	free(*to);
	*to = copy;
	return PS_OK;
}

/* One text in place of a list. */
static enum ps_status set_only(struct ps_conf_texts *to, const char *from)
{
	char *copy = from ? strdup(from) : NULL;
	char **items = from ? malloc(sizeof *items) : NULL;
	if (!from)
		return PS_OK;
	if (!copy || !items) {
		free(copy);
		free(items);
		return PS_ENOMEM;
	}
	for (size_t i = 0; i < to->len; i++)
		free(to->items[i]);
	free(to->items);
	items[0] = copy;
	*to = (struct ps_conf_texts){.items = items, .len = 1};
	return PS_OK;
}

/* Empties the list of models by its own row. */
static void drop_models(struct ps_serve_config *c)
{
	struct ps_conf_option only[2] = {0};
	const struct ps_conf_schema schema = {.options = only};
	for (const struct ps_conf_option *o = ps_serve_config_schema.options; o->name; o++)
		if (o->offset == offsetof(struct ps_serve_config, models))
			only[0] = *o;
	ps_conf_free(&schema, c);
}

static enum ps_status override(struct ps_serve_config *c, const struct ps_serve_options *o)
{
	enum ps_status status = set_only(&c->listen, o->listen);
	if (status == PS_OK)
		status = set_only(&c->grpc, o->grpc);
	if (status == PS_OK)
		status = set_only(&c->metrics, o->metrics);
	if (status == PS_OK)
		status = set_text(&c->library, o->library);
	if (status == PS_OK)
		status = set_text(&c->state, o->state);
	if (status == PS_OK && o->models_dir) {
		drop_models(c);
		status = set_only(&c->model_repository, o->models_dir);
	}
	if (ps_cpus_count(&o->cpus) > 0)
		c->cpus = o->cpus;
	if (o->lanes > 0)
		c->lanes = o->lanes;
	return status;
}

void ps_serve_config_free(struct ps_serve_config *c)
{
	if (!c)
		return;
	ps_conf_free(&ps_serve_config_schema, c);
	free(c->file);
	free(c);
}

enum ps_status ps_serve_config_load(const struct ps_serve_options *options,
				    struct ps_serve_config **ret_config, struct ps_error *err)
{
	const struct ps_conf_schema *schema = &ps_serve_config_schema;
	struct ps_serve_config *c = calloc(1, sizeof *c);
	enum ps_status status;
	if (!c)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	if (options->config)
		status = ps_conf_load_yaml(schema, options->config, c, err);
	else
		status = ps_conf_parse_yaml(schema, "{}", 2, "defaults", c, err);
	if (status != PS_OK) {
		free(c);
		return status;
	}
	if (options->config)
		status = set_text(&c->file, options->config);
	if (status == PS_OK && options->config)
		status = rebase_all(c, c->file);
	if (status == PS_OK)
		status = override(c, options);
	if (status != PS_OK) {
		ps_serve_config_free(c);
		return ps_error_set(err, status, "out of memory");
	}
	*ret_config = c;
	return PS_OK;
}

/* --- addresses --- */

static enum ps_status no_address(const char *text, struct ps_error *err)
{
	ps_error_set(err, PS_EINVAL, "'%.200s' is no address to listen on", text);
	ps_error_hint(err, "its form is host:port, [address]:port for IPv6, unix:/path, or off");
	return PS_EINVAL;
}

enum ps_status ps_serve_address_parse(const char *text, struct ps_serve_address *ret_address,
				      struct ps_error *err)
{
	struct ps_serve_address a = {.kind = PS_SERVE_TCP};
	const char *colon = strrchr(text, ':');
	const char *from = text, *to = colon;
	int64_t port;
	if (strcmp(text, "off") == 0) {
		*ret_address = (struct ps_serve_address){.kind = PS_SERVE_OFF};
		return PS_OK;
	}
	if (strncmp(text, "unix:", 5) == 0) {
		a.kind = PS_SERVE_UNIX;
		int n = snprintf(a.path, sizeof a.path, "%s", text + 5);
		if (n <= 0 || n >= (int)sizeof a.path)
			return no_address(text, err);
		*ret_address = a;
		return PS_OK;
	}
	if (colon && *text == '[' && colon > text && colon[-1] == ']') {
		from++;
		to--;
	} else if (colon && memchr(text, ':', (size_t)(colon - text))) {
		colon = NULL; /* an IPv6 address without brackets */
	}
	if (!colon || to <= from || to - from >= PS_NET_HOST_SIZE ||
	    ps_units_parse_int(colon + 1, &port, NULL) != PS_OK || port < 0 || port > 65535)
		return no_address(text, err);
	memcpy(a.host, from, (size_t)(to - from));
	a.port = (uint16_t)port;
	*ret_address = a;
	return PS_OK;
}

enum ps_status ps_serve_tls_new(const struct ps_serve_config *c, struct ps_net_tls **ret_tls,
				struct ps_error *err)
{
	const struct ps_net_tls_options o = {
		.certificate_path = c->tls.cert,
		.key_path = c->tls.key,
		.client_ca_path = c->tls.client_ca,
		.client_required = c->tls.require_client_cert,
	};
	*ret_tls = NULL;
	return c->tls.cert ? ps_net_tls_new(&o, ret_tls, err) : PS_OK;
}
