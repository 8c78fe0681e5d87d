/* Metadata as a client reads it, by jansson: it holds no tensor data. */
#include "oip/oip_internal.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

enum { MAX_BODY = 4 * 1024 * 1024 };

static enum ps_status no_memory(struct ps_error *err)
{
	return ps_error_set(err, PS_ENOMEM, "no memory for metadata");
}

static enum ps_status parse_object(const void *body, size_t n, json_t **ret_root,
				   struct ps_error *err)
{
	if (n > MAX_BODY)
		return ps_error_set(err, PS_ETOOBIG, "metadata of over %d bytes", MAX_BODY);
	enum ps_status s = ps_json_parse(body, n, ret_root, err);
	if (s == PS_OK && !json_is_object(*ret_root)) {
		json_decref(*ret_root);
		return ps_error_set(err, PS_EPARSE, "metadata is no JSON object");
	}
	return s;
}

/* obj[key] copied; `otherwise` when absent. NULL without memory. */
static const char *copy_text(const json_t *obj, const char *key, const char *otherwise,
			     struct ps_arena *arena)
{
	const char *s = ps_json_get_string(obj, key, otherwise);
	return ps_arena_strndup(arena, s, strlen(s));
}

static enum ps_status copy_texts(const json_t *obj, const char *key, size_t max,
				 struct ps_arena *arena, const char *const **ret_texts, int *ret_n,
				 struct ps_error *err)
{
	json_t *array = json_object_get(obj, key);
	size_t n = json_is_array(array) ? json_array_size(array) : 0;
	if (array && !json_is_array(array) && !json_is_null(array))
		return ps_error_set(err, PS_EINVAL, "\"%s\" is no list", key);
	if (n > max)
		return ps_error_set(err, PS_ETOOBIG, "\"%s\" has over %zu entries", key, max);
	const char **texts = ps_arena_alloc(arena, (n + 1) * sizeof *texts);
	if (!texts)
		return no_memory(err);
	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(array, i));
		if (!s)
			return ps_error_set(err, PS_EINVAL, "\"%s\" holds no text", key);
		texts[i] = ps_arena_strndup(arena, s, strlen(s));
		if (!texts[i])
			return no_memory(err);
	}
	*ret_texts = texts;
	*ret_n = (int)n;
	return PS_OK;
}

enum ps_status ps_oip_parse_server_metadata(const void *body, size_t body_bytes,
					    struct ps_arena *arena,
					    struct ps_oip_server_metadata *ret_metadata,
					    struct ps_error *err)
{
	json_t *root = NULL;
	struct ps_oip_server_metadata m = {0};
	enum ps_status s = parse_object(body, body_bytes, &root, err);
	if (s != PS_OK)
		return s;
	m.name = copy_text(root, "name", "", arena);
	m.version = copy_text(root, "version", "", arena);
	s = m.name && m.version ? copy_texts(root, "extensions", PS_OIP_MAX_EXTENSIONS, arena,
					     &m.extensions, &m.n_extensions, err)
				: no_memory(err);
	json_decref(root);
	if (s == PS_OK)
		*ret_metadata = m;
	return s;
}

static enum ps_status parse_dims(const json_t *shape, struct ps_tensor_spec *spec,
				 struct ps_error *err)
{
	size_t n = json_array_size(shape);
	if (!json_is_array(shape) || n > PS_TENSOR_MAX_RANK)
		return ps_error_set(err, PS_EINVAL,
				    "tensor '%s' has no shape of at most %d dimensions", spec->name,
				    PS_TENSOR_MAX_RANK);
	for (size_t i = 0; i < n; i++) {
		const json_t *d = json_array_get(shape, i);
		/* Some servers write 64-bit integers as texts, as JSON made from protobuf does. */
		const char *text = json_string_value(d);
		long long v = json_is_integer(d) ? json_integer_value(d) : -2;
		char rest;
		if (text && sscanf(text, "%lld%c", &v, &rest) != 1)
			v = -2;
		if (v < -1)
			return ps_error_set(err, PS_EINVAL, "tensor '%s' has a bad dimension",
					    spec->name);
		spec->dims[i] = v;
	}
	spec->rank = (int)n;
	return PS_OK;
}

static enum ps_status parse_spec(const json_t *o, struct ps_tensor_spec *spec, struct ps_error *err)
{
	const char *name = ps_json_get_string(o, "name", "");
	const char *type = ps_json_get_string(o, "datatype", "");
	if (!json_is_object(o) || !*name || strlen(name) >= sizeof spec->name)
		return ps_error_set(err, PS_EINVAL,
				    "a tensor has no name, or one that is too long");
	snprintf(spec->name, sizeof spec->name, "%s", name);
	spec->dtype = ps_dtype_from_name(type, strlen(type));
	if (spec->dtype == PS_DTYPE_NONE)
		return ps_error_set(err, PS_EINVAL, "tensor '%s' has the unknown datatype '%.60s'",
				    name, type);
	return parse_dims(json_object_get(o, "shape"), spec, err);
}

static enum ps_status parse_specs(const json_t *obj, const char *key, struct ps_arena *arena,
				  const struct ps_tensor_spec **ret_specs, int *ret_n,
				  struct ps_error *err)
{
	const json_t *array = json_object_get(obj, key);
	size_t n = json_array_size(array);
	if (!json_is_array(array))
		return ps_error_set(err, PS_EINVAL, "\"%s\" is no list", key);
	if (n > PS_MODEL_MAX_TENSORS)
		return ps_error_set(err, PS_ETOOBIG, "there are over %d %s", PS_MODEL_MAX_TENSORS,
				    key);
	struct ps_tensor_spec *specs = ps_arena_zalloc(arena, (n + 1) * sizeof *specs);
	if (!specs)
		return no_memory(err);
	for (size_t i = 0; i < n; i++) {
		enum ps_status s = parse_spec(json_array_get(array, i), &specs[i], err);
		if (s != PS_OK)
			return s;
	}
	*ret_specs = specs;
	*ret_n = (int)n;
	return PS_OK;
}

static enum ps_status parse_model(const json_t *root, struct ps_arena *arena,
				  struct ps_oip_model_metadata *m, struct ps_error *err)
{
	m->name = copy_text(root, "name", "", arena);
	m->platform = copy_text(root, "platform", "", arena);
	if (!m->name || !m->platform)
		return no_memory(err);
	if (!*m->name)
		return ps_error_set(err, PS_EINVAL, "the metadata names no model");
	enum ps_status s = copy_texts(root, "versions", PS_OIP_MAX_VERSIONS, arena, &m->versions,
				      &m->n_versions, err);
	if (s == PS_OK)
		s = parse_specs(root, "inputs", arena, &m->inputs, &m->n_inputs, err);
	if (s == PS_OK)
		s = parse_specs(root, "outputs", arena, &m->outputs, &m->n_outputs, err);
	return s;
}

enum ps_status ps_oip_parse_model_metadata(const void *body, size_t body_bytes,
					   struct ps_arena *arena,
					   struct ps_oip_model_metadata *ret_metadata,
					   struct ps_error *err)
{
	json_t *root = NULL;
	struct ps_oip_model_metadata m = {0};
	enum ps_status s = parse_object(body, body_bytes, &root, err);
	if (s != PS_OK)
		return s;
	s = parse_model(root, arena, &m, err);
	json_decref(root);
	if (s == PS_OK)
		*ret_metadata = m;
	return s;
}
