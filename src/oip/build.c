/* Infer bodies, written. */
#include "oip/oip_internal.h"

#include <string.h>

static void put_member(struct ps_strbuf *out, const char *key, const char *value)
{
	if (!value)
		return;
	ps_strbuf_puts(out, out->data[out->len - 1] == '{' ? "\"" : ",\"");
	ps_strbuf_puts(out, key);
	ps_strbuf_puts(out, "\":");
	ps_oip_put_text(out, value, strlen(value));
}

static enum ps_status put_response(struct ps_strbuf *out, const struct ps_oip_response *r,
				   struct ps_error *err)
{
	ps_strbuf_putc(out, '{');
	put_member(out, "model_name", r->model_name);
	put_member(out, "model_version", r->model_version);
	put_member(out, "id", r->id);
	ps_strbuf_puts(out, out->data[out->len - 1] == '{' ? "\"outputs\":[" : ",\"outputs\":[");
	for (int i = 0; i < r->n_outputs; i++) {
		if (i > 0)
			ps_strbuf_putc(out, ',');
		enum ps_status s =
			ps_oip_put_tensor(out, "output", &r->outputs[i], r->binary[i], err);
		if (s != PS_OK)
			return s;
	}
	ps_strbuf_puts(out, "]}");
	return PS_OK;
}

enum ps_status ps_oip_build_response(const struct ps_oip_response *r, struct ps_arena *arena,
				     struct ps_oip_message *ret_message, struct ps_error *err)
{
	struct ps_strbuf json;
	ps_strbuf_init(&json);
	/* Room for the usual, so that put_member may look at the last byte. */
	enum ps_status s = ps_strbuf_reserve(&json, 256);
	if (s != PS_OK)
		ps_error_set(err, s, "no memory for a response");
	if (s == PS_OK)
		s = put_response(&json, r, err);
	if (s == PS_OK)
		s = ps_oip_finish(&json, r->outputs, r->binary, false, r->n_outputs, arena,
				  ret_message, err);
	ps_strbuf_fini(&json);
	return s;
}

static void put_parameters(struct ps_strbuf *out, const struct ps_oip_infer *r)
{
	bool all_binary = r->n_outputs == 0 && r->binary_output;
	if (!all_binary && r->timeout_us == 0 && r->priority == 0)
		return;
	ps_strbuf_puts(out, "\"parameters\":{");
	const char *comma = "";
	if (all_binary) {
		ps_strbuf_puts(out, "\"binary_data_output\":true");
		comma = ",";
	}
	if (r->timeout_us > 0) {
		ps_strbuf_printf(out, "%s\"timeout\":%lld", comma, (long long)r->timeout_us);
		comma = ",";
	}
	if (r->priority > 0)
		ps_strbuf_printf(out, "%s\"priority\":%llu", comma,
				 (unsigned long long)r->priority);
	ps_strbuf_puts(out, "},");
}

static enum ps_status put_request(struct ps_strbuf *out, const struct ps_oip_infer *r,
				  struct ps_error *err)
{
	ps_strbuf_putc(out, '{');
	put_member(out, "id", r->id);
	if (r->id)
		ps_strbuf_putc(out, ',');
	put_parameters(out, r);
	ps_strbuf_puts(out, "\"inputs\":[");
	for (int i = 0; i < r->n_inputs; i++) {
		if (i > 0)
			ps_strbuf_putc(out, ',');
		enum ps_status s =
			ps_oip_put_tensor(out, "input", &r->inputs[i], r->binary_inputs, err);
		if (s != PS_OK)
			return s;
	}
	ps_strbuf_putc(out, ']');
	for (int i = 0; i < r->n_outputs; i++) {
		ps_strbuf_puts(out, i > 0 ? ",{\"name\":" : ",\"outputs\":[{\"name\":");
		ps_oip_put_text(out, r->outputs[i].name, strlen(r->outputs[i].name));
		ps_strbuf_printf(out, ",\"parameters\":{\"binary_data\":%s}}",
				 r->outputs[i].binary ? "true" : "false");
	}
	ps_strbuf_puts(out, r->n_outputs > 0 ? "]}" : "}");
	return PS_OK;
}

enum ps_status ps_oip_build_request(const struct ps_oip_infer *r, struct ps_arena *arena,
				    struct ps_oip_message *ret_message, struct ps_error *err)
{
	struct ps_strbuf json;
	ps_strbuf_init(&json);
	enum ps_status s = ps_strbuf_reserve(&json, 256);
	if (s != PS_OK)
		ps_error_set(err, s, "no memory for a request");
	if (s == PS_OK)
		s = put_request(&json, r, err);
	if (s == PS_OK)
		s = ps_oip_finish(&json, r->inputs, NULL, r->binary_inputs, r->n_inputs, arena,
				  ret_message, err);
	ps_strbuf_fini(&json);
	return s;
}
