/* What a client of gRPC writes and reads besides infer messages. */
#include "model/wire.h"
#include "oip/proto_internal.h"

#include <stdio.h>
#include <string.h>

/* --- requests --- */

void ps_oip_grpc_build_target(const struct ps_oip_target *target, struct ps_strbuf *out)
{
	/* ModelReady, ModelMetadata, ModelConfig and ModelStatistics have the same two fields. */
	Inference__ModelMetadataRequest p = INFERENCE__MODEL_METADATA_REQUEST__INIT;
	p.name = (char *)target->model;
	p.version = (char *)target->version;
	ps_oip_pack(&p.base, out);
}

/* --- metadata --- */

static enum ps_status take_dims(const Inference__ModelMetadataResponse__TensorMetadata *p,
				struct ps_tensor_spec *spec, struct ps_error *err)
{
	if (p->n_shape > PS_TENSOR_MAX_RANK)
		return ps_error_set(err, PS_EINVAL,
				    "tensor '%s' has no shape of at most %d dimensions", spec->name,
				    PS_TENSOR_MAX_RANK);
	for (size_t i = 0; i < p->n_shape; i++) {
		if (p->shape[i] < -1)
			return ps_error_set(err, PS_EINVAL, "tensor '%s' has a bad dimension",
					    spec->name);
		spec->dims[i] = p->shape[i];
	}
	spec->rank = (int)p->n_shape;
	return PS_OK;
}

static enum ps_status take_spec(const Inference__ModelMetadataResponse__TensorMetadata *p,
				struct ps_tensor_spec *spec, struct ps_error *err)
{
	const char *type = p->datatype ? p->datatype : "";
	if (!p->name || !*p->name || strlen(p->name) >= sizeof spec->name)
		return ps_error_set(err, PS_EINVAL,
				    "a tensor has no name, or one that is too long");
	snprintf(spec->name, sizeof spec->name, "%s", p->name);
	spec->dtype = ps_dtype_from_name(type, strlen(type));
	if (spec->dtype == PS_DTYPE_NONE)
		return ps_error_set(err, PS_EINVAL, "tensor '%s' has the unknown datatype '%.60s'",
				    p->name, type);
	return take_dims(p, spec, err);
}

static enum ps_status take_specs(Inference__ModelMetadataResponse__TensorMetadata *const *items,
				 size_t n, const char *what, struct ps_arena *arena,
				 const struct ps_tensor_spec **ret_specs, int *ret_n,
				 struct ps_error *err)
{
	if (n > PS_MODEL_MAX_TENSORS)
		return ps_error_set(err, PS_ETOOBIG, "there are over %d %s", PS_MODEL_MAX_TENSORS,
				    what);
	struct ps_tensor_spec *specs = ps_arena_zalloc(arena, (n + 1) * sizeof *specs);
	if (!specs)
		return ps_error_set(err, PS_ENOMEM, "no memory for metadata");
	for (size_t i = 0; i < n; i++) {
		enum ps_status s = take_spec(items[i], &specs[i], err);
		if (s != PS_OK)
			return s;
	}
	*ret_specs = specs;
	*ret_n = (int)n;
	return PS_OK;
}

enum ps_status ps_oip_grpc_parse_model_metadata(const void *message, size_t n,
						struct ps_arena *arena,
						struct ps_oip_model_metadata *ret_metadata,
						struct ps_error *err)
{
	Inference__ModelMetadataResponse *p = NULL;
	struct ps_oip_model_metadata m = {0};
	enum ps_status s = ps_oip_unpack(&inference__model_metadata_response__descriptor, message,
					 n, arena, &p, err);
	if (s != PS_OK)
		return s;
	if (!p->name || !*p->name)
		return ps_error_set(err, PS_EINVAL, "the metadata names no model");
	if (p->n_versions > PS_OIP_MAX_VERSIONS)
		return ps_error_set(err, PS_ETOOBIG, "\"versions\" has over %d entries",
				    PS_OIP_MAX_VERSIONS);
	m.name = p->name;
	m.platform = p->platform ? p->platform : "";
	m.versions = (const char *const *)p->versions;
	m.n_versions = (int)p->n_versions;
	s = take_specs(p->inputs, p->n_inputs, "inputs", arena, &m.inputs, &m.n_inputs, err);
	if (s == PS_OK)
		s = take_specs(p->outputs, p->n_outputs, "outputs", arena, &m.outputs, &m.n_outputs,
			       err);
	if (s == PS_OK)
		*ret_metadata = m;
	return s;
}

/* --- answers --- */

static enum ps_status malformed(struct ps_error *err)
{
	return ps_error_set(err, PS_EPARSE, "the message is no ModelStreamInferResponse");
}

static void copy_text(const struct ps_wire_field *f, char *buf, size_t size)
{
	size_t n = f->len < size ? f->len : size - 1;
	memcpy(buf, f->data, n);
	buf[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)buf[i] < ' ')
			buf[i] = '?';
}

enum ps_status ps_oip_grpc_unwrap_stream(const void *message, size_t n, const void **ret_response,
					 size_t *ret_n, char *ret_text, size_t size,
					 struct ps_error *err)
{
	const uint8_t *bytes = message;
	struct ps_wire w = {.pos = bytes, .end = bytes + n};
	struct ps_wire_field f;
	*ret_response = NULL;
	*ret_n = 0;
	ret_text[0] = '\0';
	while (n > 0 && ps_wire_next(&w, &f)) {
		if (ps_wire_is(&f, 1, PS_WIRE_BYTES)) {
			copy_text(&f, ret_text, size);
		} else if (ps_wire_is(&f, 2, PS_WIRE_BYTES)) {
			*ret_response = f.data;
			*ret_n = f.len;
		}
	}
	return w.broken || (!*ret_response && !ret_text[0]) ? malformed(err) : PS_OK;
}

int ps_oip_grpc_find_raw(const void *message, size_t n, struct iovec *ret_raw, int max)
{
	const uint8_t *bytes = message;
	struct ps_wire w = {.pos = bytes, .end = bytes + n};
	struct ps_wire_field f;
	int found = 0;
	while (n > 0 && ps_wire_next(&w, &f)) {
		if (!ps_wire_is(&f, 6, PS_WIRE_BYTES))
			continue;
		if (found == max)
			return -1;
		ret_raw[found++] = (struct iovec){(void *)f.data, f.len};
	}
	return w.broken ? -1 : found;
}
