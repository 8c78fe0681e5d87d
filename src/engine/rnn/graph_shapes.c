/* graph_shapes.c - the shapes that steps make, known or not. */
#include "engine/rnn/graph_internal.h"

#include <string.h>

static enum ps_status odd(const struct ps_rnn_step *s, const struct ps_rnn_shape *in,
			  const char *what, struct ps_error *err)
{
	char text[PS_TENSOR_SHAPE_SIZE];

	return ps_error_set(err, PS_EINVAL, "node '%.80s' reads %s, which %s", s->name,
			    ps_tensor_shape_text(in->dims, in->rank, text), what);
}

/* Whether a dimension may be `due`; an unknown one may. */
static bool may_be(int64_t dim, int64_t due)
{
	return dim < 0 || due < 0 || dim == due;
}

static bool has_shape(const struct ps_rnn_shape *s, enum ps_dtype dtype, int rank,
		      const int64_t *dims)
{
	bool ok = s->dtype == dtype && s->rank == rank;

	for (int d = 0; ok && d < rank; d++)
		ok = may_be(s->dims[d], dims[d]);
	return ok;
}

static enum ps_status layer_shapes(const struct ps_rnn_step *s, const struct ps_rnn_shape *in,
				   struct ps_rnn_shape *out, struct ps_error *err)
{
	const struct ps_rnn_spec *spec = ps_rnn_spec_of(s->layer);
	const struct ps_rnn_shape *x = &in[PS_RNN_IN_X];
	int64_t d = spec->direction == PS_RNN_BOTH ? 2 : 1, h = spec->hidden;
	const int64_t any[] = {-1, -1, spec->inputs};

	if (!has_shape(x, PS_DTYPE_FP32, 3, any))
		return odd(s, x, "is no float32 [steps, batch, inputs] of its size", err);
	int64_t steps = x->dims[spec->layout], batch = x->dims[!spec->layout];
	const int64_t state[2][3] = {{d, batch, h}, {batch, d, h}};
	const int64_t y[2][4] = {{steps, d, batch, h}, {batch, steps, d, h}};
	for (int i = PS_RNN_IN_H; i <= PS_RNN_IN_C; i++) {
		if (in[i].dtype && !has_shape(&in[i], PS_DTYPE_FP32, 3, state[spec->layout]))
			return odd(s, &in[i], "is no initial state of its size", err);
	}
	if (in[PS_RNN_IN_LENS].dtype && !has_shape(&in[PS_RNN_IN_LENS], PS_DTYPE_INT32, 1, &batch))
		return odd(s, &in[PS_RNN_IN_LENS], "is no int32 [batch]", err);
	out[0] = (struct ps_rnn_shape){.dtype = PS_DTYPE_FP32, .rank = 4};
	memcpy(out[0].dims, y[spec->layout], sizeof y[0]);
	out[1] = (struct ps_rnn_shape){.dtype = PS_DTYPE_FP32, .rank = 3};
	memcpy(out[1].dims, state[spec->layout], sizeof state[0]);
	out[2] = out[1];
	return PS_OK;
}

static enum ps_status transpose_shape(const struct ps_rnn_step *s, const struct ps_rnn_shape *in,
				      struct ps_rnn_shape *out, struct ps_error *err)
{
	unsigned seen = 0;

	if (s->n != in->rank)
		return odd(s, in, "has another number of dimensions than its order of axes", err);
	*out = *in;
	for (int d = 0; d < in->rank; d++) {
		int64_t axis = s->list[d];
		if (axis < 0 || axis >= in->rank || (seen & 1U << axis))
			return odd(s, in, "does not fit its order of axes", err);
		seen |= 1U << axis;
		out->dims[d] = in->dims[axis];
	}
	return PS_OK;
}

/* Axes as a set of bits; negative ones count from the end of `rank`. */
static bool axes_of(const struct ps_rnn_step *s, int rank, unsigned *ret_axes)
{
	*ret_axes = 0;
	for (int i = 0; i < s->n; i++) {
		int64_t axis = s->list[i] < 0 ? s->list[i] + rank : s->list[i];
		if (axis < 0 || axis >= rank || (*ret_axes & 1U << axis))
			return false;
		*ret_axes |= 1U << axis;
	}
	return true;
}

static enum ps_status squeeze_shape(const struct ps_rnn_step *s, const struct ps_rnn_shape *in,
				    struct ps_rnn_shape *out, struct ps_error *err)
{
	unsigned axes = 0;

	if (s->n >= 0 && !axes_of(s, in->rank, &axes))
		return odd(s, in, "does not have its axes", err);
	*out = (struct ps_rnn_shape){.dtype = in->dtype};
	for (int d = 0; d < in->rank; d++) {
		if (s->n < 0 && in->dims[d] < 0)
			return odd(s, in, "may or may not be squeezed: give axes", err);
		bool gone = s->n < 0 ? in->dims[d] == 1 : axes >> d & 1;
		if (gone && !may_be(in->dims[d], 1))
			return odd(s, in, "has an axis of another size than 1", err);
		if (!gone)
			out->dims[out->rank++] = in->dims[d];
	}
	return PS_OK;
}

static enum ps_status unsqueeze_shape(const struct ps_rnn_step *s, const struct ps_rnn_shape *in,
				      struct ps_rnn_shape *out, struct ps_error *err)
{
	int rank = in->rank + s->n, from = 0;
	unsigned axes;

	if (rank > PS_TENSOR_MAX_RANK || !axes_of(s, rank, &axes))
		return odd(s, in, "does not fit its axes", err);
	*out = (struct ps_rnn_shape){.dtype = in->dtype, .rank = rank};
	for (int d = 0; d < rank; d++)
		out->dims[d] = axes >> d & 1 ? 1 : in->dims[from++];
	return PS_OK;
}

/* The product of what is not copied by a 0; -1: not known. */
static int64_t rest_of(const struct ps_rnn_step *s, const struct ps_rnn_shape *in)
{
	int64_t n = 1;

	for (int d = 0; d < in->rank; d++) {
		if (d < s->n && s->list[d] == 0)
			continue;
		if (in->dims[d] < 0 || __builtin_mul_overflow(n, in->dims[d], &n))
			return -1;
	}
	return n;
}

static enum ps_status reshape_shape(const struct ps_rnn_step *s, const struct ps_rnn_shape *in,
				    struct ps_rnn_shape *out, struct ps_error *err)
{
	int64_t rest = rest_of(s, in), said = 1;
	int open = -1;

	*out = (struct ps_rnn_shape){.dtype = in->dtype, .rank = s->n};
	for (int d = 0; d < s->n; d++) {
		out->dims[d] = s->list[d];
		if (s->list[d] == 0 && d >= in->rank)
			return odd(s, in, "has fewer dimensions than its shape copies", err);
		if (s->list[d] == 0)
			out->dims[d] = in->dims[d];
		else if (s->list[d] > 0 && __builtin_mul_overflow(said, s->list[d], &said))
			return odd(s, in, "is smaller than its shape", err);
		if (s->list[d] < -1 || (s->list[d] == -1 && open >= 0))
			return odd(s, in, "cannot have its shape", err);
		open = s->list[d] == -1 ? d : open;
	}
	if (open >= 0 && rest >= 0 && rest % said == 0)
		out->dims[open] = rest / said;
	else if (rest >= 0 && rest != said)
		return odd(s, in, "has another number of elements than its shape", err);
	return PS_OK;
}

enum ps_status ps_rnn_step_shapes(const struct ps_rnn_step *s,
				  const struct ps_rnn_shape in[PS_RNN_STEP_MAX_INPUTS],
				  struct ps_rnn_shape out[3], struct ps_error *err)
{
	switch (s->kind) {
	case PS_RNN_STEP_LAYER:
		return layer_shapes(s, in, out, err);
	case PS_RNN_STEP_TRANSPOSE:
		return transpose_shape(s, in, out, err);
	case PS_RNN_STEP_SQUEEZE:
		return squeeze_shape(s, in, out, err);
	case PS_RNN_STEP_UNSQUEEZE:
		return unsqueeze_shape(s, in, out, err);
	case PS_RNN_STEP_RESHAPE:
		return reshape_shape(s, in, out, err);
	case PS_RNN_STEP_SAME:
		*out = *in;
		return PS_OK;
	}
	return PS_OK;
}
