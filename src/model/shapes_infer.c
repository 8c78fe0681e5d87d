/* What each operator makes of the shapes of its inputs. One row per operator: a newcomer adds a row
 * and, where none of the functions fits, a function. */
#include "model/shapes_internal.h"

#include <stdio.h>
#include <string.h>

struct infer {
	struct ps_shapes *s;
	struct ps_shapes_node *n;
	struct ps_error *err;
};

static const struct ps_shapes_value *in(const struct infer *x, int i)
{
	return i < x->n->n_in && x->n->in[i] >= 0 ? &x->s->values[x->n->in[i]] : NULL;
}

static enum ps_status misfit(const struct infer *x, const char *why)
{
	char shape[PS_TENSOR_SHAPE_SIZE] = "nothing";
	const struct ps_shapes_value *v = in(x, 0);
	if (v)
		ps_tensor_shape_text(v->dims, v->rank, shape);
	return ps_error_set(x->err, PS_EINVAL, "node '%.60s' (%.40s) over %s: %s", x->n->name,
			    x->n->op, shape, why);
}

/* Output `k` gets this shape. A size without bound would overflow what counts work. */
static enum ps_status give(struct infer *x, int k, enum ps_dtype dtype, int rank,
			   const int64_t *dims)
{
	int64_t count;
	if (k >= x->n->n_out || x->n->out[k] < 0)
		return PS_OK;
	if (rank > PS_TENSOR_MAX_RANK)
		return misfit(x, "too many dimensions");
	if (ps_tensor_count(dims, rank, &count, NULL) != PS_OK)
		return misfit(x, "its result has too many elements, or a negative size");
	struct ps_shapes_value *v = &x->s->values[x->n->out[k]];
	v->dtype = dtype;
	v->rank = rank;
	memcpy(v->dims, dims, (size_t)rank * sizeof *dims);
	return PS_OK;
}

static enum ps_status unknown(struct infer *x, const char *why)
{
	x->n->known = false;
	x->n->why = why;
	return PS_OK;
}

/* ---- windows ---- */

/* One side of a convolution or a pool. */
struct side {
	int64_t size, kernel, stride, pad, dilation; /* pad: of both ends */
	int64_t pad_begin;
	bool same, ceil;
};

static int64_t windows(const struct side *s)
{
	enum { LIMIT = 1 << 30 };
	if (s->kernel < 1 || s->stride < 1 || s->dilation < 1 || s->kernel > LIMIT ||
	    s->dilation > LIMIT || s->stride > LIMIT || s->pad < 0 || s->pad > LIMIT)
		return 0;
	if (s->same)
		return (s->size + s->stride - 1) / s->stride;
	int64_t room = s->size + s->pad - ((s->kernel - 1) * s->dilation + 1);
	if (room < 0)
		return 0;
	int64_t n = (s->ceil ? (room + s->stride - 1) / s->stride : room / s->stride) + 1;
	/* a window that would begin behind the input and its padding in front is none */
	if (s->ceil && (n - 1) * s->stride >= s->size + s->pad_begin)
		n--;
	return n;
}

/* The spatial dimensions of a convolution or a pool with this kernel. */
static enum ps_status slide(struct infer *x, int sides, const int64_t *kernel, bool ceil,
			    int64_t *ret_dims)
{
	int64_t strides[PS_TENSOR_MAX_RANK], dilations[PS_TENSOR_MAX_RANK];
	int64_t pads[2 * PS_TENSOR_MAX_RANK];
	const struct ps_shapes_attr *a = ps_shapes_attr(x->n, "auto_pad");
	const char *mode = a && a->kind == PS_SHAPES_TEXT ? a->text : "NOTSET";
	if (!ps_shapes_ints(x->n, "strides", sides, 1, strides) ||
	    !ps_shapes_ints(x->n, "dilations", sides, 1, dilations) ||
	    !ps_shapes_ints(x->n, "pads", 2 * sides, 0, pads))
		return misfit(x, "strides, dilations or pads are of another number of sides");
	bool valid = strcmp(mode, "VALID") == 0;
	for (int i = 0; i < sides; i++) {
		struct side s = {.size = in(x, 0)->dims[2 + i],
				 .kernel = kernel[i],
				 .stride = strides[i],
				 .dilation = dilations[i],
				 .pad = valid ? 0 : pads[i] + pads[sides + i],
				 .pad_begin = valid ? 0 : pads[i],
				 .same = strncmp(mode, "SAME", 4) == 0,
				 .ceil = ceil};
		ret_dims[i] = windows(&s);
		if (ret_dims[i] < 1)
			return misfit(x, "its window does not fit");
	}
	return PS_OK;
}

static enum ps_status convolve(struct infer *x)
{
	const struct ps_shapes_value *v = in(x, 0), *w = in(x, 1);
	int64_t groups = ps_shapes_int(x->n, "group", 1), out[PS_TENSOR_MAX_RANK];
	if (!v || !w || v->rank < 3 || w->rank != v->rank)
		return misfit(x, "a convolution wants an input of rank 3 and more, and weights "
				 "of the same rank");
	if (groups < 1 || v->dims[1] % groups || v->dims[1] / groups != w->dims[1] ||
	    w->dims[0] < 1 || w->dims[0] % groups)
		return misfit(x, "its channels do not fit its weights and groups");
	enum ps_status st = slide(x, v->rank - 2, w->dims + 2, false, out + 2);
	if (st != PS_OK)
		return st;
	out[0] = v->dims[0];
	out[1] = w->dims[0];
	return give(x, 0, v->dtype, v->rank, out);
}

static enum ps_status pool(struct infer *x)
{
	const struct ps_shapes_value *v = in(x, 0);
	int64_t kernel[PS_TENSOR_MAX_RANK], out[PS_TENSOR_MAX_RANK];
	if (v->rank < 3 || !ps_shapes_attr(x->n, "kernel_shape") ||
	    !ps_shapes_ints(x->n, "kernel_shape", v->rank - 2, 1, kernel))
		return misfit(x, "a pool wants a kernel for each side of its input");
	bool ceil = ps_shapes_int(x->n, "ceil_mode", 0) != 0;
	enum ps_status st = slide(x, v->rank - 2, kernel, ceil, out + 2);
	if (st != PS_OK)
		return st;
	out[0] = v->dims[0];
	out[1] = v->dims[1];
	st = give(x, 0, v->dtype, v->rank, out);
	return st == PS_OK ? give(x, 1, PS_DTYPE_INT64, v->rank, out) : st;
}

static enum ps_status global_pool(struct infer *x)
{
	const struct ps_shapes_value *v = in(x, 0);
	int64_t out[PS_TENSOR_MAX_RANK];
	if (v->rank < 3)
		return misfit(x, "a pool wants sides to pool over");
	for (int i = 0; i < v->rank; i++)
		out[i] = i < 2 ? v->dims[i] : 1;
	return give(x, 0, v->dtype, v->rank, out);
}

/* ---- element by element ---- */

static enum ps_status same(struct infer *x)
{
	return give(x, 0, in(x, 0)->dtype, in(x, 0)->rank, in(x, 0)->dims);
}

/* Dimensions are matched from the last one; 1 stretches. */
static enum ps_status broadcast(struct infer *x)
{
	int64_t out[PS_TENSOR_MAX_RANK];
	int rank = 0;
	for (int i = 0; i < x->n->n_in; i++)
		if (in(x, i) && in(x, i)->rank > rank)
			rank = in(x, i)->rank;
	for (int d = 0; d < rank; d++) {
		out[d] = 1;
		for (int i = 0; i < x->n->n_in; i++) {
			const struct ps_shapes_value *v = in(x, i);
			int at = v ? d - (rank - v->rank) : -1;
			int64_t size = at >= 0 ? v->dims[at] : 1;
			if (size != 1 && out[d] != 1 && size != out[d])
				return misfit(x, "its inputs are of different sizes");
			out[d] = size != 1 ? size : out[d];
		}
	}
	return give(x, 0, in(x, 0)->dtype, rank, out);
}

/* ---- other shapes of the same elements ---- */

static enum ps_status concatenate(struct infer *x)
{
	const struct ps_shapes_value *v = in(x, 0);
	int64_t axis = ps_shapes_int(x->n, "axis", INT64_MIN), out[PS_TENSOR_MAX_RANK];
	axis += axis < 0 ? v->rank : 0;
	if (axis < 0 || axis >= v->rank)
		return misfit(x, "no such axis");
	memcpy(out, v->dims, sizeof v->dims);
	for (int i = 1; i < x->n->n_in; i++) {
		const struct ps_shapes_value *w = in(x, i);
		bool fits = w && w->rank == v->rank;
		for (int d = 0; fits && d < v->rank; d++)
			fits = d == axis || w->dims[d] == v->dims[d];
		if (!fits || __builtin_add_overflow(out[axis], w->dims[axis], &out[axis]))
			return misfit(x, "its inputs differ in more than the axis");
	}
	return give(x, 0, v->dtype, v->rank, out);
}

/* The product of dims[from..to), which `give` has bounded as a part of a whole. */
static int64_t span(const struct ps_shapes_value *v, int64_t from, int64_t to)
{
	int64_t n = 1;
	for (int64_t i = from; i < to; i++)
		n *= v->dims[i];
	return n;
}

static enum ps_status flatten(struct infer *x)
{
	const struct ps_shapes_value *v = in(x, 0);
	int64_t axis = ps_shapes_int(x->n, "axis", 1);
	axis += axis < 0 ? v->rank : 0;
	if (axis < 0 || axis > v->rank)
		return misfit(x, "no such axis");
	return give(x, 0, v->dtype, 2, (int64_t[]){span(v, 0, axis), span(v, axis, v->rank)});
}

static enum ps_status reshape(struct infer *x)
{
	const struct ps_shapes_value *v = in(x, 0), *want = in(x, 1);
	int64_t out[PS_TENSOR_MAX_RANK], known = 1;
	int open = -1;
	if (!want || want->n_ints < 0)
		return unknown(x, "its new shape is computed, not stored");
	if (want->n_ints > PS_TENSOR_MAX_RANK)
		return misfit(x, "too many dimensions");
	for (int i = 0; i < want->n_ints; i++) {
		out[i] = i < v->rank && want->ints[i] == 0 ? v->dims[i] : want->ints[i];
		if (out[i] == -1 && open < 0)
			open = i;
		else if (out[i] < 0 || __builtin_mul_overflow(known, out[i], &known))
			return misfit(x, "an impossible new shape");
	}
	int64_t all = span(v, 0, v->rank);
	if (open >= 0 && known > 0)
		out[open] = all / known;
	if (open >= 0 ? known < 1 || all % known : known != all)
		return misfit(x, "its new shape holds another number of elements");
	return give(x, 0, v->dtype, want->n_ints, out);
}

/* The axes of Squeeze and Unsqueeze: an input, or an attribute before opset 13. */
static bool axes_of(const struct infer *x, int64_t *ret_axes, int *ret_n)
{
	const struct ps_shapes_value *v = in(x, 1);
	const struct ps_shapes_attr *a = ps_shapes_attr(x->n, "axes");
	*ret_n = v ? v->n_ints : a && a->kind == PS_SHAPES_INTS ? a->n : 0;
	if (*ret_n < 0 || *ret_n > PS_TENSOR_MAX_RANK)
		return false;
	for (int i = 0; i < *ret_n; i++)
		ret_axes[i] = v ? v->ints[i] : a->ints[i];
	return true;
}

static bool among(int64_t axis, const int64_t *axes, int n, int rank)
{
	for (int i = 0; i < n; i++)
		if ((axes[i] < 0 ? axes[i] + rank : axes[i]) == axis)
			return true;
	return false;
}

static enum ps_status squeeze(struct infer *x)
{
	const struct ps_shapes_value *v = in(x, 0);
	int64_t axes[PS_TENSOR_MAX_RANK], out[PS_TENSOR_MAX_RANK];
	int n, rank = 0;
	if (!axes_of(x, axes, &n))
		return unknown(x, "its axes are computed, not stored");
	for (int i = 0; i < v->rank; i++) {
		bool goes = n ? among(i, axes, n, v->rank) : v->dims[i] == 1;
		if (goes && v->dims[i] != 1)
			return misfit(x, "an axis of more than one element goes");
		if (!goes)
			out[rank++] = v->dims[i];
	}
	return give(x, 0, v->dtype, rank, out);
}

static enum ps_status unsqueeze(struct infer *x)
{
	const struct ps_shapes_value *v = in(x, 0);
	int64_t axes[PS_TENSOR_MAX_RANK], out[PS_TENSOR_MAX_RANK];
	int n, from = 0;
	if (!axes_of(x, axes, &n))
		return unknown(x, "its axes are computed, not stored");
	if (v->rank + n > PS_TENSOR_MAX_RANK)
		return misfit(x, "too many dimensions");
	for (int i = 0; i < v->rank + n; i++) {
		bool comes = among(i, axes, n, v->rank + n);
		if (!comes && from >= v->rank)
			return misfit(x, "axes that are none");
		out[i] = comes ? 1 : v->dims[from++];
	}
	return give(x, 0, v->dtype, v->rank + n, out);
}

static enum ps_status transpose(struct infer *x)
{
	const struct ps_shapes_value *v = in(x, 0);
	const struct ps_shapes_attr *a = ps_shapes_attr(x->n, "perm");
	int64_t out[PS_TENSOR_MAX_RANK];
	unsigned seen = 0;
	if (a && a->n != v->rank)
		return misfit(x, "a permutation of another length");
	for (int i = 0; i < v->rank; i++) {
		int64_t from = a ? a->ints[i] : v->rank - 1 - i;
		if (from < 0 || from >= v->rank || seen & 1u << from)
			return misfit(x, "no permutation");
		seen |= 1u << from;
		out[i] = v->dims[from];
	}
	return give(x, 0, v->dtype, v->rank, out);
}

/* ---- products ---- */

static enum ps_status gemm(struct infer *x)
{
	const struct ps_shapes_value *a = in(x, 0), *b = in(x, 1);
	if (!b || a->rank != 2 || b->rank != 2)
		return misfit(x, "a product wants two matrices");
	bool ta = ps_shapes_int(x->n, "transA", 0) != 0, tb = ps_shapes_int(x->n, "transB", 0) != 0;
	if (a->dims[!ta] != b->dims[tb])
		return misfit(x, "its matrices do not fit each other");
	return give(x, 0, a->dtype, 2, (int64_t[]){a->dims[ta], b->dims[!tb]});
}

static enum ps_status matmul(struct infer *x)
{
	const struct ps_shapes_value *a = in(x, 0), *b = in(x, 1);
	int64_t out[PS_TENSOR_MAX_RANK];
	if (!b || a->rank < 2 || b->rank < 2 || b->rank > a->rank)
		return unknown(x, "a product of these ranks is not known");
	if (a->dims[a->rank - 1] != b->dims[b->rank - 2])
		return misfit(x, "its matrices do not fit each other");
	memcpy(out, a->dims, sizeof a->dims);
	for (int d = 0; d < b->rank - 2; d++) {
		int64_t size = b->dims[d], *to = &out[a->rank - b->rank + d];
		if (size != 1 && *to != 1 && size != *to)
			return misfit(x, "its matrices are of different numbers");
		*to = size != 1 ? size : *to;
	}
	out[a->rank - 1] = b->dims[b->rank - 1];
	return give(x, 0, a->dtype, a->rank, out);
}

/* LSTM and GRU: every step's output, the last one, and (LSTM) the last cell. */
static enum ps_status recurrent(struct infer *x)
{
	const struct ps_shapes_value *v = in(x, 0), *w = in(x, 1);
	int64_t hidden = ps_shapes_int(x->n, "hidden_size", 0);
	if (!w || v->rank != 3 || w->rank != 3 || w->dims[2] != v->dims[2] || hidden < 1)
		return misfit(x, "a recurrent layer wants [steps, batch, size] and its weights");
	if (ps_shapes_int(x->n, "layout", 0) != 0)
		return unknown(x, "a recurrent layer of this layout is not known");
	int64_t all[] = {v->dims[0], w->dims[0], v->dims[1], hidden};
	enum ps_status st = give(x, 0, v->dtype, 4, all);
	for (int k = 1; k < 3 && st == PS_OK; k++)
		st = give(x, k, v->dtype, 3, all + 1);
	return st;
}

/* Its output has its shape from the stored value. */
static enum ps_status constant(struct infer *x)
{
	bool there = x->n->n_out == 1 && x->n->out[0] >= 0 && x->s->values[x->n->out[0]].stored;
	return there ? PS_OK : unknown(x, "a constant of this kind is not known");
}

/* ---- the table ---- */

static const struct {
	const char *op;
	int least_inputs;
	enum ps_status (*infer)(struct infer *x);
} rows[] = {
	{"Conv", 2, convolve},
	{"MaxPool", 1, pool},
	{"AveragePool", 1, pool},
	{"GlobalAveragePool", 1, global_pool},
	{"GlobalMaxPool", 1, global_pool},
	{"BatchNormalization", 5, same},
	{"LRN", 1, same},
	{"Relu", 1, same},
	{"Clip", 1, same},
	{"LeakyRelu", 1, same},
	{"Sigmoid", 1, same},
	{"HardSigmoid", 1, same},
	{"HardSwish", 1, same},
	{"Tanh", 1, same},
	{"Softmax", 1, same},
	{"LogSoftmax", 1, same},
	{"Identity", 1, same},
	{"Dropout", 1, same},
	{"Add", 2, broadcast},
	{"Sub", 2, broadcast},
	{"Mul", 2, broadcast},
	{"Div", 2, broadcast},
	{"Sum", 1, broadcast},
	{"Concat", 1, concatenate},
	{"Flatten", 1, flatten},
	{"Reshape", 2, reshape},
	{"Squeeze", 1, squeeze},
	{"Unsqueeze", 1, unsqueeze},
	{"Transpose", 1, transpose},
	{"Gemm", 2, gemm},
	{"MatMul", 2, matmul},
	{"LSTM", 3, recurrent},
	{"GRU", 3, recurrent},
	{"Constant", 0, constant},
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

bool ps_shapes_knows(const char *op)
{
	for (int i = 0; i < N_ROWS; i++)
		if (strcmp(rows[i].op, op) == 0)
			return true;
	return false;
}

static bool is_onnx(const char *domain)
{
	return !domain[0] || strcmp(domain, "ai.onnx") == 0;
}

enum ps_status ps_shapes_infer(struct ps_shapes *s, struct ps_shapes_node *n, struct ps_error *err)
{
	struct infer x = {s, n, err};
	for (int i = 0; i < N_ROWS; i++) {
		if (strcmp(n->op, rows[i].op) != 0 || !is_onnx(n->domain))
			continue;
		for (int k = 0; k < rows[i].least_inputs; k++)
			if (!in(&x, k))
				return ps_error_set(err, PS_EINVAL,
						    "node '%.60s' (%.40s) lacks input %d", n->name,
						    n->op, k);
		for (int k = 0; k < n->n_in; k++)
			if (in(&x, k) && in(&x, k)->rank < 0)
				return unknown(&x, "it reads a value of unknown shape");
		return rows[i].infer(&x);
	}
	return unknown(&x, "this operator is not known");
}
