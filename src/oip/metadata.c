/* Live, ready and metadata, in both forms. */
#include "oip/proto_internal.h"

#include <string.h>

const char *const ps_oip_extensions[] = {
	"binary_tensor_data",  "parameters",
	"model_repository",    "model_repository(unload_dependents)",
	"model_configuration", "schedule_policy",
	"statistics",
};
const int ps_oip_n_extensions = sizeof ps_oip_extensions / sizeof ps_oip_extensions[0];

void ps_oip_build_string(const char *text, struct ps_strbuf *out)
{
	ps_oip_put_text(out, text, strlen(text));
}

const char *ps_oip_error_text(const struct ps_error *e, char *buf, size_t size)
{
	struct ps_error said = *e;
	said.where[0] = '\0';
	return ps_error_format(&said, buf, size);
}

void ps_oip_build_error(const struct ps_error *e, struct ps_strbuf *out)
{
	char text[sizeof e->what + sizeof e->hint + 8];
	ps_strbuf_puts(out, "{\"error\":");
	ps_oip_build_string(ps_oip_error_text(e, text, sizeof text), out);
	ps_strbuf_putc(out, '}');
}

/* --- JSON --- */

static void put_strings(struct ps_strbuf *out, const char *const *texts, int n)
{
	ps_strbuf_putc(out, '[');
	for (int i = 0; i < n; i++) {
		if (i > 0)
			ps_strbuf_putc(out, ',');
		ps_oip_build_string(texts[i], out);
	}
	ps_strbuf_putc(out, ']');
}

static void put_specs(struct ps_strbuf *out, const struct ps_tensor_spec *specs, int n)
{
	ps_strbuf_putc(out, '[');
	for (int i = 0; i < n; i++) {
		const char *type = ps_dtype_name(specs[i].dtype);
		ps_strbuf_puts(out, i > 0 ? ",{\"name\":" : "{\"name\":");
		ps_oip_build_string(specs[i].name, out);
		ps_strbuf_printf(out, ",\"datatype\":\"%s\",\"shape\":", type ? type : "");
		ps_oip_put_dims(out, specs[i].dims, specs[i].rank);
		ps_strbuf_putc(out, '}');
	}
	ps_strbuf_putc(out, ']');
}

static void put_server(const struct ps_oip_server_metadata *m, struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "{\"name\":");
	ps_oip_build_string(m->name, out);
	ps_strbuf_puts(out, ",\"version\":");
	ps_oip_build_string(m->version, out);
	ps_strbuf_puts(out, ",\"extensions\":");
	put_strings(out, m->extensions, m->n_extensions);
	ps_strbuf_putc(out, '}');
}

static void put_model(const struct ps_oip_model_metadata *m, struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "{\"name\":");
	ps_oip_build_string(m->name, out);
	ps_strbuf_puts(out, ",\"versions\":");
	put_strings(out, m->versions, m->n_versions);
	ps_strbuf_puts(out, ",\"platform\":");
	ps_oip_build_string(m->platform, out);
	ps_strbuf_puts(out, ",\"inputs\":");
	put_specs(out, m->inputs, m->n_inputs);
	ps_strbuf_puts(out, ",\"outputs\":");
	put_specs(out, m->outputs, m->n_outputs);
	ps_strbuf_putc(out, '}');
}

/* --- protobuf --- */

static void pack_server(const struct ps_oip_server_metadata *m, struct ps_strbuf *out)
{
	Inference__ServerMetadataResponse p = INFERENCE__SERVER_METADATA_RESPONSE__INIT;
	p.name = (char *)m->name;
	p.version = (char *)m->version;
	p.extensions = (char **)m->extensions;
	p.n_extensions = (size_t)m->n_extensions;
	ps_oip_pack(&p.base, out);
}

static bool pack_specs(struct ps_arena *a, const struct ps_tensor_spec *specs, int n,
		       Inference__ModelMetadataResponse__TensorMetadata ***ret_items, size_t *ret_n)
{
	Inference__ModelMetadataResponse__TensorMetadata **items =
		ps_oip_pb_items(a, n, sizeof **items);
	for (int i = 0; items && i < n; i++) {
		inference__model_metadata_response__tensor_metadata__init(items[i]);
		items[i]->name = (char *)specs[i].name;
		items[i]->datatype = (char *)ps_dtype_name(specs[i].dtype);
		items[i]->shape = (int64_t *)specs[i].dims;
		items[i]->n_shape = (size_t)specs[i].rank;
	}
	*ret_items = items;
	*ret_n = (size_t)n;
	return items != NULL;
}

static void pack_model(const struct ps_oip_model_metadata *m, struct ps_strbuf *out)
{
	Inference__ModelMetadataResponse p = INFERENCE__MODEL_METADATA_RESPONSE__INIT;
	struct ps_arena a;
	ps_arena_init(&a, 0);
	p.name = (char *)m->name;
	p.versions = (char **)m->versions;
	p.n_versions = (size_t)m->n_versions;
	p.platform = (char *)m->platform;
	if (pack_specs(&a, m->inputs, m->n_inputs, &p.inputs, &p.n_inputs) &&
	    pack_specs(&a, m->outputs, m->n_outputs, &p.outputs, &p.n_outputs))
		ps_oip_pack(&p.base, out);
	else
		out->failed = true;
	ps_arena_fini(&a);
}

/* --- both --- */

void ps_oip_build_live(bool live, enum ps_oip_form form, struct ps_strbuf *out)
{
	Inference__ServerLiveResponse p = INFERENCE__SERVER_LIVE_RESPONSE__INIT;
	p.live = live;
	if (form == PS_OIP_PROTOBUF)
		ps_oip_pack(&p.base, out);
	else
		ps_strbuf_printf(out, "{\"live\":%s}", live ? "true" : "false");
}

void ps_oip_build_ready(bool ready, enum ps_oip_form form, struct ps_strbuf *out)
{
	Inference__ServerReadyResponse p = INFERENCE__SERVER_READY_RESPONSE__INIT;
	p.ready = ready;
	if (form == PS_OIP_PROTOBUF)
		ps_oip_pack(&p.base, out);
	else
		ps_strbuf_printf(out, "{\"ready\":%s}", ready ? "true" : "false");
}

void ps_oip_build_model_ready(const char *name, bool ready, enum ps_oip_form form,
			      struct ps_strbuf *out)
{
	Inference__ModelReadyResponse p = INFERENCE__MODEL_READY_RESPONSE__INIT;
	p.ready = ready;
	if (form == PS_OIP_PROTOBUF) {
		ps_oip_pack(&p.base, out);
		return;
	}
	ps_strbuf_puts(out, "{\"name\":");
	ps_oip_build_string(name, out);
	ps_strbuf_printf(out, ",\"ready\":%s}", ready ? "true" : "false");
}

void ps_oip_build_server_metadata(const struct ps_oip_server_metadata *m, enum ps_oip_form form,
				  struct ps_strbuf *out)
{
	if (form == PS_OIP_PROTOBUF)
		pack_server(m, out);
	else
		put_server(m, out);
}

void ps_oip_build_model_metadata(const struct ps_oip_model_metadata *m, enum ps_oip_form form,
				 struct ps_strbuf *out)
{
	if (form == PS_OIP_PROTOBUF)
		pack_model(m, out);
	else
		put_model(m, out);
}
