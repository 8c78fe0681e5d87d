/* From bytes to tensors as the engine wants them. I/O thread. */
#include "serve/serve_internal.h"

#include "oip/grpc.h"

#include <string.h>

enum ps_status ps_serve_parse(struct ps_serve_call *c)
{
	if (c->wire == PS_SERVE_GRPC)
		return ps_oip_grpc_parse_infer(c->body, c->body_bytes, c->arena, &c->target,
					       &c->oip, &c->err);
	return ps_oip_parse_request(c->body, c->body_bytes, c->http->json_bytes, c->arena, &c->oip,
				    &c->err);
}

static enum ps_status no_memory(struct ps_serve_call *c)
{
	return ps_error_set(&c->err, PS_ENOMEM, "out of memory");
}

/* Names of outputs go into the answer after the instance has been let go. */
static bool copy_names(struct ps_serve_call *c, const struct ps_serve_view *v)
{
	for (int i = 0; i < v->n_outputs; i++) {
		const char *name = v->outputs[i].name;
		c->output_names[i] = ps_arena_strndup(c->arena, name, strlen(name));
		if (!c->output_names[i])
			return false;
	}
	return true;
}

static bool make_room(struct ps_serve_call *c, const struct ps_serve_view *v)
{
	size_t n_in = (size_t)v->n_inputs, n_out = (size_t)v->n_outputs;
	c->inputs = ps_arena_alloc(c->arena, n_in * sizeof *c->inputs);
	c->outputs = ps_arena_zalloc(c->arena, n_out * sizeof *c->outputs);
	c->output_names = ps_arena_alloc(c->arena, n_out * sizeof *c->output_names);
	/* ps_oip_select wants room for as many as there can be. */
	c->wanted = ps_arena_alloc(c->arena, PS_MODEL_MAX_TENSORS * sizeof *c->wanted);
	c->binary = ps_arena_alloc(c->arena, PS_MODEL_MAX_TENSORS * sizeof *c->binary);
	c->n_outputs = v->n_outputs;
	return c->inputs && c->outputs && c->output_names && c->wanted && c->binary &&
	       copy_names(c, v);
}

/* Inputs of one request have one number of rows, and no more than a run may have. */
static enum ps_status count_rows(struct ps_serve_call *c, const struct ps_serve_view *v)
{
	int64_t rows = c->inputs[0].dims[0];
	for (int i = 1; i < v->n_inputs; i++)
		if (c->inputs[i].dims[0] != rows)
			return ps_error_set(&c->err, PS_EINVAL,
					    "input '%s' has a batch size of %lld, input '%s' of "
					    "%lld: they must be the same for '%s'",
					    c->inputs[0].name, (long long)rows, c->inputs[i].name,
					    (long long)c->inputs[i].dims[0], c->model_name);
	if (rows < 1 && v->max_batch > 0)
		return ps_error_set(&c->err, PS_EINVAL,
				    "inference request batch-size must be at least 1 for '%s'",
				    c->model_name);
	if (v->max_batch > 0 && rows > v->max_batch)
		return ps_error_set(&c->err, PS_EINVAL,
				    "inference request batch-size must be <= %lld for '%s'",
				    (long long)v->max_batch, c->model_name);
	c->d.rows = rows < 1 ? 1 : rows;
	return PS_OK;
}

/* FNV-1a over the dimensions behind the batch axis: requests with different keys never share a run;
 * batch.c compares the shapes of those with equal keys all the same. */
static uint64_t shape_key(const struct ps_serve_call *c, int n_inputs)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (int i = 0; i < n_inputs; i++)
		for (int k = 1; k < c->inputs[i].rank; k++) {
			h ^= (uint64_t)c->inputs[i].dims[k];
			h *= UINT64_C(0x100000001b3);
		}
	return h;
}

static enum ps_status reshape_inputs(struct ps_serve_call *c, const struct ps_serve_view *v)
{
	for (int i = 0; i < v->n_inputs; i++) {
		ps_serve_reshape(&c->instance->describe.inputs[i], c->d.rows, v->max_batch > 0,
				 &c->inputs[i]);
		if (ps_tensor_check(&c->instance->describe.inputs[i], &c->inputs[i], &c->err) !=
		    PS_OK)
			return c->err.status;
	}
	return PS_OK;
}

enum ps_status ps_serve_decode(struct ps_serve_call *c)
{
	const struct ps_serve_view *v = c->view;
	if (!make_room(c, v))
		return no_memory(c);
	enum ps_status status =
		ps_oip_resolve_raw(&c->oip, v->inputs, v->n_inputs, c->arena, &c->err);
	if (status == PS_OK)
		status = ps_oip_match(&c->oip, v->inputs, v->n_inputs, c->inputs, &c->err);
	if (status == PS_OK)
		status = ps_oip_select(&c->oip, v->outputs, v->n_outputs, c->wanted, c->binary,
				       &c->n_wanted, &c->err);
	if (status == PS_OK && v->counts_rows)
		status = count_rows(c, v);
	if (status != PS_OK)
		return status;
	if (!v->fixed_shapes)
		c->d.shape_key = shape_key(c, v->n_inputs);
	return v->reshapes ? reshape_inputs(c, v) : PS_OK;
}
