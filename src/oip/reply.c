/* Infer responses and errors, read by a client. */
#include "oip/oip_internal.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

struct parsing {
	struct ps_oip_reply *reply;
	struct ps_oip_tensors outputs;
};

static enum ps_status read_model_name(struct ps_oip_reader *r, void *out)
{
	struct parsing *g = out;
	return ps_oip_read_text(r, "model_name", PS_TENSOR_MAX_NAME, &g->reply->model_name);
}

static enum ps_status read_model_version(struct ps_oip_reader *r, void *out)
{
	struct parsing *g = out;
	return ps_oip_read_text(r, "model_version", PS_TENSOR_MAX_NAME, &g->reply->model_version);
}

static enum ps_status read_id(struct ps_oip_reader *r, void *out)
{
	struct parsing *g = out;
	return ps_oip_read_text(r, "id", PS_OIP_MAX_ID, &g->reply->id);
}

static enum ps_status read_outputs(struct ps_oip_reader *r, void *out)
{
	struct parsing *g = out;
	return ps_oip_read_tensors(r, &g->outputs);
}

static const struct ps_oip_field fields[] = {
	{"model_name", read_model_name},
	{"model_version", read_model_version},
	{"id", read_id},
	{"outputs", read_outputs},
};

enum ps_status ps_oip_parse_response(void *body, size_t body_bytes, int64_t json_bytes,
				     struct ps_arena *arena, struct ps_oip_reply *ret_reply,
				     struct ps_error *err)
{
	struct ps_oip_reply reply = {0};
	struct ps_oip_tensor items[PS_MODEL_MAX_TENSORS];
	struct parsing g = {.reply = &reply, .outputs = {.kind = "output", .items = items}};
	struct ps_oip_reader r;
	size_t json;
	enum ps_status s = ps_oip_split(body, body_bytes, json_bytes, &json, err);
	if (s != PS_OK)
		return s;
	ps_oip_reader_init(&r, body, json, arena, err);
	s = ps_oip_read_object(&r, fields, 4, &g);
	if (s == PS_OK)
		s = ps_oip_read_end(&r);
	if (s == PS_OK)
		s = ps_oip_place_tensors(&g.outputs, (char *)body + json, body_bytes - json, arena,
					 &reply.outputs, err);
	if (s != PS_OK)
		return s;
	reply.n_outputs = g.outputs.n;
	*ret_reply = reply;
	return PS_OK;
}

const char *ps_oip_parse_error(const void *body, size_t body_bytes, char *buf, size_t size)
{
	enum { MAX = 64 * 1024 };
	json_t *root = NULL;
	const char *text = NULL;
	if (body_bytes == 0)
		text = "an empty body";
	else if (body_bytes <= MAX && ps_json_parse(body, body_bytes, &root, NULL) == PS_OK)
		text = ps_json_get_string(root, "error", NULL);
	snprintf(buf, size, "%s", text ? text : "a body that is no {\"error\": ...}");
	json_decref(root);
	return buf;
}
