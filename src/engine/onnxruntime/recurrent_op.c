/* recurrent_op.c - the custom operator that stands for a recurrent node.
 *
 * Inputs x, sequence lengths, initial h and c; outputs Y and the last h and c, of which any may be
 * left out. A kernel only knows which layer it is: everything of a run is the run's own, because
 * the library calls one kernel from several threads.
 */
#include "engine/onnxruntime/recurrent_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { IN_X, IN_LENS, IN_H, IN_C, INPUTS };
enum { OUT_Y, OUT_H, OUT_C, OUTPUTS };
enum { REQUIRED, OPTIONAL };

struct kernel {
	const struct ps_ort_rnn_side *side;
	struct ps_rnn *layer; /* NULL: nobody runs it */
};

static const struct ps_ort_rnn_side *side_of(const struct ps_ort_custom_op *op)
{
	return (const struct ps_ort_rnn_side *)(const void *)op;
}

/* ---- the description ---- */

static const char *name(const struct ps_ort_custom_op *op)
{
	(void)op;
	return PS_ORT_RNN_OP;
}

static const char *provider(const struct ps_ort_custom_op *op)
{
	(void)op;
	return NULL; /* the CPU's */
}

static int in_type(const struct ps_ort_custom_op *op, size_t i)
{
	(void)op;
	return i == IN_LENS ? PS_DTYPE_INT32 : PS_DTYPE_FP32;
}

static int out_type(const struct ps_ort_custom_op *op, size_t i)
{
	(void)op;
	(void)i;
	return PS_DTYPE_FP32;
}

static size_t in_count(const struct ps_ort_custom_op *op)
{
	(void)op;
	return INPUTS;
}

static size_t out_count(const struct ps_ort_custom_op *op)
{
	(void)op;
	return OUTPUTS;
}

static int in_kind(const struct ps_ort_custom_op *op, size_t i)
{
	(void)op;
	return i == IN_X ? REQUIRED : OPTIONAL;
}

static int out_kind(const struct ps_ort_custom_op *op, size_t i)
{
	(void)op;
	(void)i;
	return OPTIONAL;
}

static int in_memory(const struct ps_ort_custom_op *op, size_t i)
{
	(void)op;
	(void)i;
	return PS_ORT_MEM_DEFAULT;
}

static int one(const struct ps_ort_custom_op *op)
{
	(void)op;
	return 1;
}

/* ---- kernels ---- */

static struct ps_ort_status *create(const struct ps_ort_custom_op *op, const void *api,
				    const void *info, void **ret_kernel)
{
	const struct ps_ort_rnn_side *side = side_of(op);
	const struct ps_ort_api *a = side->rnn->api;
	int64_t handle = -1;
	struct ps_ort_status *s = a->node_int(info, PS_ORT_RNN_HANDLE, &handle);

	(void)api; /* the same table as ours */
	if (s)
		/* cppcheck-suppress returnDanglingLifetime ; a status is memory of the library */
		return s;
	if (!side->rnn->blind && (handle < 0 || handle >= side->rnn->layers.n))
		return a->create_status(PS_ORT_INVALID_ARGUMENT, "a handle of no recurrent layer");
	struct kernel *k = malloc(sizeof *k);
	if (!k)
		return a->create_status(PS_ORT_FAIL, "Failed to allocate memory");
	*k = (struct kernel){side, side->rnn->blind ? NULL : side->rnn->layers.rows[handle].layer};
	*ret_kernel = k;
	return NULL;
}

static void destroy(void *kernel)
{
	free(kernel);
}

/* ---- runs ---- */

struct tensor {
	void *data; /* NULL: it is left out */
	size_t rank;
	int64_t dims[PS_TENSOR_MAX_RANK];
};

/* One call of a kernel. */
struct call {
	const struct ps_ort_api *api;
	const struct ps_rnn_spec *spec;
	void *context;
	size_t n_in, n_out;
	struct tensor in[INPUTS];
};

static struct ps_ort_status *read_shape(const struct ps_ort_api *a, const void *value,
					struct tensor *t)
{
	void *info = NULL;
	struct ps_ort_status *s = a->value_shape(value, &info);

	if (!s)
		s = a->dims_count(info, &t->rank);
	if (!s && t->rank <= PS_TENSOR_MAX_RANK)
		s = a->dims(info, t->dims, t->rank);
	if (info)
		a->release_shape(info);
	return s;
}

static struct ps_ort_status *take_input(struct call *c, size_t i)
{
	const struct ps_ort_api *a = c->api;
	const void *value = NULL;
	struct ps_ort_status *s = i < c->n_in ? a->node_in(c->context, i, &value) : NULL;

	if (s || !value)
		return s;
	s = read_shape(a, value, &c->in[i]);
	if (!s)
		s = a->tensor_data((void *)(uintptr_t)value, &c->in[i].data);
	if (!s && !c->in[i].data) { /* no element, but it is there */
		static int32_t nothing;
		c->in[i].data = &nothing;
	}
	return s;
}

static bool has_shape(const struct tensor *t, size_t rank, const int64_t *dims)
{
	bool ok = t->rank == rank;

	for (size_t d = 0; ok && d < rank; d++)
		ok = t->dims[d] == dims[d];
	return ok;
}

static struct ps_ort_status *wrong(const struct call *c, const char *what, const struct tensor *t)
{
	char text[PS_TENSOR_SHAPE_SIZE], message[256];
	int rank = t->rank <= PS_TENSOR_MAX_RANK ? (int)t->rank : PS_TENSOR_MAX_RANK;

	snprintf(message, sizeof message,
		 "a recurrent layer of %lld inputs and %lld units: %s is %s",
		 (long long)c->spec->inputs, (long long)c->spec->hidden, what,
		 ps_tensor_shape_text(t->dims, rank, text));
	return c->api->create_status(PS_ORT_INVALID_ARGUMENT, message);
}

/* The shapes of the states, and of Y. */
static void shapes_of(const struct call *c, int64_t state[3], int64_t y[4])
{
	const int64_t *x = c->in[IN_X].dims;
	int64_t d = c->spec->direction == PS_RNN_BOTH ? 2 : 1, h = c->spec->hidden;
	int64_t states[2][3] = {{d, x[1], h}, {x[0], d, h}};
	int64_t ys[2][4] = {{x[0], d, x[1], h}, {x[0], x[1], d, h}};

	memcpy(state, states[c->spec->layout], sizeof states[0]);
	memcpy(y, ys[c->spec->layout], sizeof ys[0]);
}

static struct ps_ort_status *check_inputs(const struct call *c, const int64_t state[3])
{
	static const char *const names[] = {"X", "sequence_lens", "initial_h", "initial_c"};
	const struct tensor *x = &c->in[IN_X], *lens = &c->in[IN_LENS];
	int64_t batch = x->dims[!c->spec->layout];

	if (lens->data && !has_shape(lens, 1, &batch))
		return wrong(c, names[IN_LENS], lens);
	for (int i = IN_H; i <= IN_C; i++) {
		if (c->in[i].data && !has_shape(&c->in[i], 3, state))
			return wrong(c, names[i], &c->in[i]);
	}
	return NULL;
}

static struct ps_ort_status *make_output(const struct call *c, size_t i, const int64_t *dims,
					 size_t rank, float **ret_data)
{
	void *value = NULL, *data = NULL;
	struct ps_ort_status *s =
		i < c->n_out ? c->api->node_out(c->context, i, dims, rank, &value) : NULL;

	if (!s && value)
		s = c->api->tensor_data(value, &data);
	*ret_data = data;
	/* cppcheck-suppress returnDanglingLifetime ; a status is memory of the library */
	return s;
}

static struct ps_ort_status *begin(struct call *c, int64_t state[3], int64_t y[4])
{
	struct ps_ort_status *s = c->api->node_in_count(c->context, &c->n_in);

	if (!s)
		s = c->api->node_out_count(c->context, &c->n_out);
	for (size_t i = 0; !s && i < INPUTS; i++)
		s = take_input(c, i);
	if (s)
		return s;
	const struct tensor *x = &c->in[IN_X];
	if (!x->data || x->rank != 3 || x->dims[2] != c->spec->inputs)
		return wrong(c, "X", x);
	shapes_of(c, state, y);
	return check_inputs(c, state);
}

static struct ps_ort_status *compute(void *kernel, void *context)
{
	const struct kernel *k = kernel;
	const struct ps_ort_api *a = k->side->rnn->api;
	struct call c = {.api = a, .spec = ps_rnn_spec_of(k->layer), .context = context};
	struct ps_rnn_run run = {0};
	struct ps_error err;
	int64_t state[3], y[4];
	struct ps_ort_status *s = begin(&c, state, y);

	if (!s)
		s = make_output(&c, OUT_Y, y, 4, &run.y);
	if (!s)
		s = make_output(&c, OUT_H, state, 3, &run.y_h);
	if (!s)
		s = make_output(&c, OUT_C, state, 3, &run.y_c);
	if (s)
		return s;
	run.steps = c.in[IN_X].dims[c.spec->layout];
	run.batch = c.in[IN_X].dims[!c.spec->layout];
	run.x = c.in[IN_X].data;
	run.lens = c.in[IN_LENS].data;
	run.h0 = c.in[IN_H].data;
	run.c0 = c.in[IN_C].data;
	if (ps_rnn_run(k->layer, k->side->team, &run, &err) == PS_OK)
		return NULL;
	return a->create_status(err.status == PS_ENOMEM ? PS_ORT_FAIL : PS_ORT_INVALID_ARGUMENT,
				err.status == PS_ENOMEM ? "Failed to allocate memory" : err.what);
}

void ps_ort_rnn_describe(struct ps_ort_custom_op *op)
{
	*op = (struct ps_ort_custom_op){
		.version = PS_ORT_API_VERSION,
		.name = name,
		.provider = provider,
		.in_type = in_type,
		.in_count = in_count,
		.out_type = out_type,
		.out_count = out_count,
		.destroy = destroy,
		.in_kind = in_kind,
		.out_kind = out_kind,
		.in_memory = in_memory,
		.variadic = {one, one, one, one},
		.create = create,
		.compute = compute,
		.infer = ps_ort_rnn_infer,
	};
}
