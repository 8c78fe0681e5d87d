/* ModelInferRequest and ModelInferResponse, read. */
#include "oip/grpc_internal.h"

#include <string.h>

/* The tensors of a message: their objects and the raw contents that may come apart from them. */
struct tensors {
	struct ps_oip_walked items[PS_MODEL_MAX_TENSORS];
	struct ps_oip_slice raw[PS_MODEL_MAX_TENSORS];
	int n, n_raw;
};

/* Stands for a message of no bytes, which may have no address. */
static uint8_t nothing[1];

static enum ps_status too_many(struct ps_oip_walk *w, const char *what)
{
	return ps_error_set(w->err, PS_ETOOBIG, "there are over %d %s", PS_MODEL_MAX_TENSORS, what);
}

static enum ps_status add_tensor(struct ps_oip_walk *w, const struct ps_oip_slice *bytes,
				 struct tensors *all)
{
	if (all->n == PS_MODEL_MAX_TENSORS)
		return too_many(w, "tensors");
	return ps_oip_walk_tensor(w, bytes, &all->items[all->n++]);
}

static enum ps_status add_raw(struct ps_oip_walk *w, const struct ps_oip_slice *bytes,
			      struct tensors *all)
{
	if (all->n_raw == PS_MODEL_MAX_TENSORS)
		return too_many(w, "raw contents");
	all->raw[all->n_raw++] = *bytes;
	return PS_OK;
}

/* --- requests --- */

struct request {
	struct ps_oip_target *target;
	struct ps_oip_request q;
	struct tensors inputs;
};

static enum ps_status take_name(struct ps_oip_walk *w, const struct ps_oip_slice *bytes,
				const char *what, char *buf, size_t size)
{
	if (bytes->n >= size)
		return ps_error_set(w->err, PS_EINVAL, "the %s has over %zu bytes", what, size - 1);
	if (bytes->n > 0) {
		enum ps_status s =
			ps_oip_check_name(what, (const char *)bytes->data, bytes->n, w->err);
		if (s != PS_OK)
			return s;
		memcpy(buf, bytes->data, bytes->n);
	}
	buf[bytes->n] = '\0';
	return PS_OK;
}

static enum ps_status add_parameter(struct ps_oip_walk *w, const struct ps_oip_slice *bytes,
				    struct request *g)
{
	struct ps_oip_parameter p;
	enum ps_status s = ps_oip_walk_parameter(w, bytes, &p);
	return s == PS_OK ? ps_oip_add_parameter(&g->q, &p, w->arena, w->err) : s;
}

static enum ps_status read_output(struct ps_oip_walk *w, const struct ps_wire_field *f,
				  const struct ps_oip_slice *bytes, void *out)
{
	struct ps_oip_output *o = out;
	struct ps_oip_parameter p;
	if (ps_wire_is(f, 1, PS_WIRE_BYTES))
		return ps_oip_take_text(w, bytes, "the name of an output", PS_TENSOR_MAX_NAME - 1,
					&o->name);
	if (!ps_wire_is(f, 2, PS_WIRE_BYTES))
		return PS_OK;
	enum ps_status s = ps_oip_walk_parameter(w, bytes, &p);
	return s == PS_OK ? ps_oip_refuse_output_parameter(p.name, w->err) : s;
}

static enum ps_status add_output(struct ps_oip_walk *w, const struct ps_oip_slice *bytes,
				 struct ps_oip_request *q)
{
	if (q->n_outputs == PS_MODEL_MAX_TENSORS)
		return too_many(w, "outputs");
	if (!q->outputs)
		q->outputs = ps_arena_alloc(w->arena, PS_MODEL_MAX_TENSORS * sizeof *q->outputs);
	if (!q->outputs)
		return ps_error_set(w->err, PS_ENOMEM, "no memory for outputs");
	struct ps_oip_output *o = &q->outputs[q->n_outputs++];
	*o = (struct ps_oip_output){.binary = true};
	enum ps_status s = ps_oip_walk(w, bytes, read_output, o);
	if (s == PS_OK && !o->name)
		return ps_error_set(w->err, PS_EINVAL, "an output has no 'name'");
	return s;
}

static enum ps_status read_request(struct ps_oip_walk *w, const struct ps_wire_field *f,
				   const struct ps_oip_slice *bytes, void *out)
{
	struct request *g = out;
	struct ps_oip_target *t = g->target;
	if (f->type != PS_WIRE_BYTES)
		return PS_OK;
	switch (f->number) {
	case 1:
		return take_name(w, bytes, "model name", t->model, sizeof t->model);
	case 2:
		return take_name(w, bytes, "model version", t->version, sizeof t->version);
	case 3:
		return ps_oip_take_text(w, bytes, "the id", PS_OIP_MAX_ID, &g->q.id);
	case 4:
		return add_parameter(w, bytes, g);
	case 5:
		return add_tensor(w, bytes, &g->inputs);
	case 6:
		return add_output(w, bytes, &g->q);
	case 7:
		return add_raw(w, bytes, &g->inputs);
	default:
		return PS_OK;
	}
}

enum ps_status ps_oip_grpc_parse_infer(void *message, size_t n, struct ps_arena *arena,
				       struct ps_oip_target *ret_target,
				       struct ps_oip_request *ret_request, struct ps_error *err)
{
	struct ps_oip_walk w = {arena, err, "input", "ModelInferRequest"};
	struct ps_oip_slice all = {n ? message : nothing, n, 0};
	struct request g;
	g.target = ret_target;
	g.q = (struct ps_oip_request){0};
	g.inputs.n = g.inputs.n_raw = 0;
	ret_target->model[0] = ret_target->version[0] = ret_target->repository[0] = '\0';
	enum ps_status s = ps_oip_walk(&w, &all, read_request, &g);
	if (s == PS_OK && !ret_target->model[0])
		s = ps_error_set(err, PS_EINVAL, "the request has no 'model_name'");
	if (s == PS_OK && g.inputs.n == 0)
		s = ps_error_set(err, PS_EINVAL, "the request has no 'inputs'");
	if (s == PS_OK)
		s = ps_oip_place_walked(&w, g.inputs.items, g.inputs.n, g.inputs.raw,
					g.inputs.n_raw, &g.q.inputs);
	g.q.n_inputs = g.inputs.n;
	g.q.binary_output = true; /* whatever a parameter said */
	if (g.q.id && !*g.q.id)
		g.q.id = NULL;
	if (s == PS_OK)
		*ret_request = g.q;
	return s;
}

/* --- responses --- */

struct response {
	struct ps_oip_reply reply;
	struct tensors outputs;
};

static enum ps_status read_response(struct ps_oip_walk *w, const struct ps_wire_field *f,
				    const struct ps_oip_slice *bytes, void *out)
{
	struct response *g = out;
	if (f->type != PS_WIRE_BYTES)
		return PS_OK;
	switch (f->number) {
	case 1:
		return ps_oip_take_text(w, bytes, "model_name", PS_TENSOR_MAX_NAME,
					&g->reply.model_name);
	case 2:
		return ps_oip_take_text(w, bytes, "model_version", PS_TENSOR_MAX_NAME,
					&g->reply.model_version);
	case 3:
		return ps_oip_take_text(w, bytes, "the id", PS_OIP_MAX_ID, &g->reply.id);
	case 5:
		return add_tensor(w, bytes, &g->outputs);
	case 6:
		return add_raw(w, bytes, &g->outputs);
	default:
		return PS_OK;
	}
}

enum ps_status ps_oip_grpc_parse_response(void *message, size_t n, struct ps_arena *arena,
					  struct ps_oip_reply *ret_reply, struct ps_error *err)
{
	struct ps_oip_walk w = {arena, err, "output", "ModelInferResponse"};
	struct ps_oip_slice all = {n ? message : nothing, n, 0};
	struct response g;
	g.reply = (struct ps_oip_reply){0};
	g.outputs.n = g.outputs.n_raw = 0;
	enum ps_status s = ps_oip_walk(&w, &all, read_response, &g);
	if (s == PS_OK)
		s = ps_oip_place_walked(&w, g.outputs.items, g.outputs.n, g.outputs.raw,
					g.outputs.n_raw, &g.reply.outputs);
	g.reply.n_outputs = g.outputs.n;
	if (s == PS_OK)
		*ret_reply = g.reply;
	return s;
}
