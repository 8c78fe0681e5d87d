#include "oip/oip_internal.h"

#include <string.h>

struct parsing {
	struct ps_oip_request *q;
	struct ps_oip_tensors inputs;
	int8_t *output_binary; /* per output: -1 not said, else its binary_data */
};

/* --- parameters --- */

static enum ps_status read_number(struct ps_oip_reader *r, struct ps_oip_parameter *p)
{
	struct ps_oip_number n;
	uint64_t bits;
	if (!ps_oip_scan_number(r->at, r->end, &n))
		return ps_error_set(r->err, PS_EINVAL,
				    "parameter '%.60s' is no string, number or boolean", p->name);
	if (!ps_oip_number_real(&n, &p->real))
		return ps_error_set(r->err, PS_EINVAL, "parameter '%.60s' is out of range",
				    p->name);
	p->type = PS_OIP_REAL;
	if (ps_oip_number_int(&n, INT64_MIN, INT64_MAX, &bits)) {
		p->type = PS_OIP_INT;
		p->integer = (int64_t)bits;
	}
	r->at += n.n;
	return PS_OK;
}

static enum ps_status read_value(struct ps_oip_reader *r, struct ps_oip_parameter *p)
{
	char c = ps_oip_peek(r);
	if (c == '"') {
		p->type = PS_OIP_TEXT;
		return ps_oip_read_text(r, "a parameter", SIZE_MAX, &p->text);
	}
	if (c == 't' || c == 'f') {
		p->type = PS_OIP_BOOL;
		return ps_oip_read_bool(r, &p->boolean);
	}
	return read_number(r, p);
}

static enum ps_status read_parameter(struct ps_oip_reader *r, const char *name, void *out)
{
	struct parsing *g = out;
	struct ps_oip_parameter p = {.name = name};
	enum ps_status s = read_value(r, &p);
	return s == PS_OK ? ps_oip_add_parameter(g->q, &p, r->arena, r->err) : s;
}

static enum ps_status read_parameters(struct ps_oip_reader *r, void *out)
{
	return ps_oip_read_members(r, read_parameter, out);
}

/* --- requested outputs --- */

struct output {
	struct parsing *g;
	const char *name;
	int8_t binary;
};

static enum ps_status read_output_name(struct ps_oip_reader *r, void *out)
{
	struct output *o = out;
	return ps_oip_read_text(r, "the name of an output", PS_TENSOR_MAX_NAME - 1, &o->name);
}

static enum ps_status read_output_parameter(struct ps_oip_reader *r, const char *name, void *out)
{
	struct output *o = out;
	if (strcmp(name, "binary_data") == 0) {
		bool binary;
		enum ps_status s = ps_oip_read_bool(r, &binary);
		if (s == PS_OK)
			o->binary = binary;
		return s;
	}
	enum ps_status s = ps_oip_refuse_output_parameter(name, r->err);
	return s == PS_OK ? ps_oip_skip(r) : s;
}

static enum ps_status read_output_parameters(struct ps_oip_reader *r, void *out)
{
	return ps_oip_read_members(r, read_output_parameter, out);
}

static enum ps_status read_output(struct ps_oip_reader *r, void *out)
{
	static const struct ps_oip_field fields[] = {
		{"name", read_output_name},
		{"parameters", read_output_parameters},
	};
	struct parsing *g = out;
	struct output o = {.g = g, .binary = -1};
	if (g->q->n_outputs == PS_MODEL_MAX_TENSORS)
		return ps_error_set(r->err, PS_ETOOBIG, "there are over %d outputs",
				    PS_MODEL_MAX_TENSORS);
	enum ps_status s = ps_oip_read_object(r, fields, 2, &o);
	if (s != PS_OK)
		return s;
	if (!o.name)
		return ps_error_set(r->err, PS_EINVAL, "an output has no 'name'");
	g->q->outputs[g->q->n_outputs].name = o.name;
	g->output_binary[g->q->n_outputs++] = o.binary;
	return PS_OK;
}

static enum ps_status read_outputs(struct ps_oip_reader *r, void *out)
{
	struct parsing *g = out;
	g->q->outputs = ps_arena_alloc(r->arena, PS_MODEL_MAX_TENSORS * sizeof *g->q->outputs);
	g->output_binary = ps_arena_alloc(r->arena, PS_MODEL_MAX_TENSORS);
	if (!g->q->outputs || !g->output_binary)
		return ps_error_set(r->err, PS_ENOMEM, "no memory for outputs");
	return ps_oip_read_array(r, read_output, g);
}

/* --- the whole --- */

static enum ps_status read_id(struct ps_oip_reader *r, void *out)
{
	struct parsing *g = out;
	return ps_oip_read_text(r, "the id", PS_OIP_MAX_ID, &g->q->id);
}

static enum ps_status read_inputs(struct ps_oip_reader *r, void *out)
{
	struct parsing *g = out;
	return ps_oip_read_tensors(r, &g->inputs);
}

static const struct ps_oip_field fields[] = {
	{"id", read_id},
	{"parameters", read_parameters},
	{"inputs", read_inputs},
	{"outputs", read_outputs},
};

static enum ps_status parse_raw(char *body, size_t n, struct ps_arena *arena,
				struct ps_oip_request *ret_request, struct ps_error *err)
{
	struct ps_tensor *t = ps_arena_zalloc(arena, sizeof *t);
	if (!t)
		return ps_error_set(err, PS_ENOMEM, "no memory for an input");
	t->name = "";
	t->data = body;
	t->bytes = n;
	*ret_request = (struct ps_oip_request){
		.inputs = t, .n_inputs = 1, .binary_output = true, .raw = true};
	return PS_OK;
}

enum ps_status ps_oip_parse_request(void *body, size_t body_bytes, int64_t json_bytes,
				    struct ps_arena *arena, struct ps_oip_request *ret_request,
				    struct ps_error *err)
{
	if (json_bytes == 0)
		return parse_raw(body, body_bytes, arena, ret_request, err);
	struct ps_oip_request q = {0};
	struct ps_oip_tensor items[PS_MODEL_MAX_TENSORS];
	struct parsing g = {.q = &q, .inputs = {.kind = "input", .items = items}};
	struct ps_oip_reader r;
	size_t json;
	enum ps_status s = ps_oip_split(body, body_bytes, json_bytes, &json, err);
	if (s != PS_OK)
		return s;
	ps_oip_reader_init(&r, body, json, arena, err);
	s = ps_oip_read_object(&r, fields, 4, &g);
	if (s == PS_OK)
		s = ps_oip_read_end(&r);
	if (s != PS_OK)
		return s;
	if (g.inputs.n == 0)
		return ps_error_set(err, PS_EINVAL, "the request has no 'inputs'");
	s = ps_oip_place_tensors(&g.inputs, (char *)body + json, body_bytes - json, arena,
				 &q.inputs, err);
	q.n_inputs = g.inputs.n;
	for (int i = 0; i < q.n_outputs; i++)
		q.outputs[i].binary =
			g.output_binary[i] >= 0 ? g.output_binary[i] : q.binary_output;
	if (s == PS_OK)
		*ret_request = q;
	return s;
}
