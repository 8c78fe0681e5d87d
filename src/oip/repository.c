/* The model repository's requests and its index. */
#include "oip/proto_internal.h"

#include "base/json.h"

#include <string.h>

/* --- requests --- */

static enum ps_status take_config(const struct ps_oip_parameter *p,
				  struct ps_oip_repository_request *r, struct ps_error *err)
{
	if (p->type != PS_OIP_TEXT)
		return ps_error_set(err, PS_EINVAL,
				    "parameter 'config' must be a text with the "
				    "model's configuration as JSON");
	if (strlen(p->text) > PS_OIP_MAX_CONFIG_BYTES)
		return ps_error_set(err, PS_ETOOBIG, "parameter 'config' has over %d bytes",
				    PS_OIP_MAX_CONFIG_BYTES);
	r->config = p->text;
	return PS_OK;
}

enum ps_status ps_oip_take_repository_parameter(enum ps_oip_route route,
						const struct ps_oip_parameter *p,
						struct ps_oip_repository_request *r,
						struct ps_error *err)
{
	if (route == PS_OIP_LOAD && strcmp(p->name, "config") == 0)
		return take_config(p, r, err);
	if (route == PS_OIP_LOAD && strncmp(p->name, "file:", 5) == 0)
		return ps_error_set(err, PS_EUNSUPPORTED,
				    "parameter '%.60s': model files are not taken from requests, "
				    "only from the repository",
				    p->name);
	if (route == PS_OIP_UNLOAD && strcmp(p->name, "unload_dependents") == 0) {
		if (p->type != PS_OIP_BOOL)
			return ps_error_set(err, PS_EINVAL,
					    "parameter 'unload_dependents' must be true or false");
		r->unload_dependents = p->boolean;
		return PS_OK;
	}
	return ps_error_set(err, PS_EUNSUPPORTED, "parameter '%.60s' is not known here", p->name);
}

static enum ps_status take_json(enum ps_oip_route route, const char *name, const json_t *v,
				struct ps_arena *arena, struct ps_oip_repository_request *r,
				struct ps_error *err)
{
	struct ps_oip_parameter p = {.name = name, .type = PS_OIP_INT};
	if (json_is_boolean(v)) {
		p.type = PS_OIP_BOOL;
		p.boolean = json_is_true(v);
	} else if (json_is_string(v)) {
		p.type = PS_OIP_TEXT;
		p.text = ps_arena_strndup(arena, json_string_value(v), json_string_length(v));
		if (!p.text)
			return ps_error_set(err, PS_ENOMEM, "no memory for a parameter");
	}
	return ps_oip_take_repository_parameter(route, &p, r, err);
}

static enum ps_status take_all(enum ps_oip_route route, json_t *root, struct ps_arena *arena,
			       struct ps_oip_repository_request *r, struct ps_error *err)
{
	json_t *parameters = json_object_get(root, "parameters");
	const json_t *ready = json_object_get(root, "ready");
	const char *name;
	json_t *v;
	if (!json_is_object(root))
		return ps_error_set(err, PS_EINVAL, "the body is no JSON object");
	if (parameters && !json_is_object(parameters))
		return ps_error_set(err, PS_EINVAL, "'parameters' is no object");
	if (ready && !json_is_boolean(ready))
		return ps_error_set(err, PS_EINVAL, "'ready' must be true or false");
	r->ready_only = route == PS_OIP_REPOSITORY_INDEX && json_is_true(ready);
	if (route == PS_OIP_REPOSITORY_INDEX)
		return PS_OK;
	json_object_foreach(parameters, name, v)
	{
		enum ps_status s = take_json(route, name, v, arena, r, err);
		if (s != PS_OK)
			return s;
	}
	return PS_OK;
}

enum ps_status ps_oip_parse_repository(enum ps_oip_route route, const void *body, size_t n,
				       struct ps_arena *arena,
				       struct ps_oip_repository_request *ret_request,
				       struct ps_error *err)
{
	struct ps_oip_repository_request r = {0};
	json_t *root = NULL;
	enum ps_status s = PS_OK;
	if (n > PS_OIP_MAX_ADMIN_BODY)
		return ps_error_set(err, PS_ETOOBIG, "the body has over %d bytes",
				    PS_OIP_MAX_ADMIN_BODY);
	if (n > 0)
		s = ps_json_parse(body, n, &root, err);
	if (s == PS_OK && n > 0)
		s = take_all(route, root, arena, &r, err);
	json_decref(root);
	if (s == PS_OK)
		*ret_request = r;
	return s;
}

/* --- the index --- */

static void put_row(const struct ps_oip_index_row *row, struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "{\"name\":");
	ps_oip_build_string(row->name, out);
	if (row->state) {
		ps_strbuf_puts(out, ",\"version\":");
		ps_oip_build_string(row->version, out);
		ps_strbuf_puts(out, ",\"state\":");
		ps_oip_build_string(row->state, out);
	}
	if (row->state && row->reason && *row->reason) {
		ps_strbuf_puts(out, ",\"reason\":");
		ps_oip_build_string(row->reason, out);
	}
	if (row->state && row->residency) {
		ps_strbuf_puts(out, ",\"residency\":");
		ps_oip_build_string(row->residency, out);
	}
	ps_strbuf_putc(out, '}');
}

static void put_index(const struct ps_oip_index_row *rows, int n, struct ps_strbuf *out)
{
	ps_strbuf_putc(out, '[');
	for (int i = 0; i < n; i++) {
		if (i > 0)
			ps_strbuf_putc(out, ',');
		put_row(&rows[i], out);
	}
	ps_strbuf_putc(out, ']');
}

static void pack_index(const struct ps_oip_index_row *rows, int n, struct ps_strbuf *out)
{
	struct ps_arena a;
	Inference__RepositoryIndexResponse p = INFERENCE__REPOSITORY_INDEX_RESPONSE__INIT;
	ps_arena_init(&a, 0);
	p.models = ps_oip_pb_items(&a, n, sizeof **p.models);
	for (int i = 0; p.models && i < n; i++) {
		inference__repository_index_response__model_index__init(p.models[i]);
		p.models[i]->name = (char *)rows[i].name;
		p.models[i]->version = (char *)rows[i].version;
		p.models[i]->state = (char *)rows[i].state;
		p.models[i]->reason = (char *)rows[i].reason;
		p.n_models++;
	}
	if (p.models)
		ps_oip_pack(&p.base, out);
	else
		out->failed = true;
	ps_arena_fini(&a);
}

void ps_oip_build_index(const struct ps_oip_index_row *rows, int n, enum ps_oip_form form,
			struct ps_strbuf *out)
{
	if (form == PS_OIP_PROTOBUF)
		pack_index(rows, n, out);
	else
		put_index(rows, n, out);
}
