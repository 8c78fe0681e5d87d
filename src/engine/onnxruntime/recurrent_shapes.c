/* recurrent_shapes.c - the shapes of a recurrent node's outputs, told while a model is loaded, so
 * that the nodes behind it are optimised as behind the node that it stands for. */
#include "engine/onnxruntime/recurrent_internal.h"

#include <stdio.h>

#define SYMBOL_SIZE 64

/* A dimension: a size, or a name. The library's names live as long as what they are of. */
struct dim {
	int64_t size;
	const char *symbol;
};

struct inferring {
	const struct ps_ort_api *api;
	void *context;
	int64_t handle, hidden, directions, layout, outputs; /* as the node says */
	struct dim steps, batch;
	char made[2][SYMBOL_SIZE]; /* names for open dimensions without one */
};

static struct ps_ort_status *read_numbers(struct inferring *in)
{
	const struct {
		const char *name;
		int64_t *to;
	} numbers[] = {{PS_ORT_RNN_HANDLE, &in->handle},
		       {PS_ORT_RNN_HIDDEN, &in->hidden},
		       {PS_ORT_RNN_DIRECTIONS, &in->directions},
		       {PS_ORT_RNN_LAYOUT, &in->layout},
		       {PS_ORT_RNN_OUTPUTS, &in->outputs}};
	struct ps_ort_status *s = NULL;
	const void *attr = NULL;
	size_t len = 0;

	for (size_t i = 0; !s && i < sizeof numbers / sizeof *numbers; i++) {
		s = in->api->infer_attr(in->context, numbers[i].name, &attr);
		if (!s)
			s = in->api->read_attr(attr, PS_ORT_ATTR_INT, numbers[i].to,
					       sizeof *numbers[i].to, &len);
	}
	/* cppcheck-suppress returnDanglingLifetime ; a status is memory of the library */
	return s;
}

static struct dim dim_of(struct inferring *in, int i, int64_t size, const char *symbol)
{
	if (size >= 0)
		return (struct dim){size, ""};
	if (symbol && symbol[0])
		return (struct dim){-1, symbol};
	snprintf(in->made[i], SYMBOL_SIZE, "perseus_rnn_%lld_%d", (long long)in->handle, i);
	return (struct dim){-1, in->made[i]};
}

/* False: nothing is known of x. */
static struct ps_ort_status *read_x(struct inferring *in, bool *ret_known)
{
	const struct ps_ort_api *a = in->api;
	const char *symbols[3] = {"", "", ""};
	int64_t dims[3];
	void *shape = NULL; /* the library's */
	size_t rank = 0;
	struct ps_ort_status *s = a->infer_in(in->context, 0, &shape);

	*ret_known = false;
	if (!s)
		s = a->dims_count(shape, &rank);
	if (s || rank != 3)
		/* cppcheck-suppress returnDanglingLifetime ; a status is memory of the library */
		return s;
	s = a->dims(shape, dims, rank);
	if (!s)
		s = a->symbolic_dims(shape, symbols, rank);
	if (s)
		return s;
	int steps = in->layout != 0, batch = !steps;
	in->steps = dim_of(in, 0, dims[steps], symbols[steps]);
	in->batch = dim_of(in, 1, dims[batch], symbols[batch]);
	*ret_known = true;
	return NULL;
}

static struct ps_ort_status *tell(const struct inferring *in, size_t output, const struct dim *dims,
				  size_t rank)
{
	const struct ps_ort_api *a = in->api;
	const char *symbols[4];
	int64_t sizes[4];
	void *shape = NULL;

	for (size_t d = 0; d < rank; d++) {
		sizes[d] = dims[d].size;
		symbols[d] = dims[d].symbol;
	}
	struct ps_ort_status *s = a->create_shape(&shape);
	if (!s)
		s = a->set_element_type(shape, PS_DTYPE_FP32);
	if (!s)
		s = a->set_dims(shape, sizes, rank);
	if (!s)
		s = a->set_symbols(shape, symbols, rank);
	if (!s)
		s = a->infer_out(in->context, output, shape);
	if (shape)
		a->release_shape(shape);
	return s;
}

static struct ps_ort_status *tell_all(const struct inferring *in)
{
	const struct dim d = {in->directions, ""}, h = {in->hidden, ""};
	const struct dim y[2][4] = {{in->steps, d, in->batch, h}, {in->batch, in->steps, d, h}};
	const struct dim state[2][3] = {{d, in->batch, h}, {in->batch, d, h}};
	struct ps_ort_status *s = tell(in, 0, y[in->layout != 0], 4);

	for (int64_t i = 1; !s && i < in->outputs; i++)
		s = tell(in, (size_t)i, state[in->layout != 0], 3);
	return s;
}

struct ps_ort_status *ps_ort_rnn_infer(const struct ps_ort_custom_op *op, void *context)
{
	const struct ps_ort_rnn_side *side = (const struct ps_ort_rnn_side *)(const void *)op;
	struct inferring in = {.api = side->rnn->api, .context = context};
	bool known = false;
	struct ps_ort_status *s = read_numbers(&in);

	if (!s)
		s = read_x(&in, &known);
	return s || !known ? s : tell_all(&in);
}
