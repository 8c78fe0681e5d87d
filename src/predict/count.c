/* The work of one operator: one row per operator of ONNX. */
#include "predict/fuse_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ---- */

static const struct ps_shapes_value *value(const struct ps_predict_graph *g, int v)
{
	v = ps_predict_value(g, v);
	return v < 0 ? NULL : &g->shapes->values[v];
}

static const struct ps_shapes_value *input(const struct ps_predict_graph *g,
					   const struct ps_predict_group *p, int i)
{
	const struct ps_shapes_node *n = &g->shapes->nodes[p->node];
	return i < n->n_in ? value(g, n->in[i]) : NULL;
}

static double elements(const struct ps_shapes_value *v)
{
	int64_t n = v ? ps_shapes_elements(v) : 0;
	return n < 0 ? NAN : (double)n;
}

static double bytes(const struct ps_shapes_value *v)
{
	int64_t n = v ? ps_shapes_bytes(v) : 0;
	return n < 0 ? NAN : (double)n;
}

static int64_t dim(const struct ps_shapes_value *v, int i)
{
	return v && i < v->rank ? v->dims[i] : 1;
}

/* ---- bytes ---- */

static void count_bytes(const struct ps_predict_graph *g, const struct ps_predict_group *p,
			struct ps_predict_op *op)
{
	const struct ps_shapes_node *n = &g->shapes->nodes[p->node];
	for (int i = 0; i < n->n_in; i++) {
		const struct ps_shapes_value *v = input(g, p, i);
		if (!v)
			continue;
		if (v->stored)
			op->param_bytes += bytes(v);
		else
			op->in_bytes += bytes(v);
	}
	if (p->bias)
		op->param_bytes += 4 * (double)dim(value(g, p->out), 1);
	if (p->sum >= 0)
		op->in_bytes += bytes(value(g, p->sum));
	for (int i = 0; i < n->n_out; i++)
		if (n->out[i] >= 0 && (i > 0 || p->nodes == 1))
			op->out_bytes += bytes(value(g, n->out[i]));
	if (p->nodes > 1)
		op->out_bytes += bytes(value(g, p->out));
}

/* ---- work ---- */

static void image_shape(struct ps_predict_shape *s, const struct ps_shapes_value *in,
			const struct ps_shapes_value *out)
{
	s->batch = dim(in, 0);
	s->in_channels = dim(in, 1);
	s->in_h = dim(in, 2);
	s->in_w = dim(in, 3);
	s->out_channels = dim(out, 1);
	s->out_h = dim(out, 2);
	s->out_w = dim(out, 3);
}

static void strides_of(const struct ps_shapes_node *n, int sides, struct ps_predict_shape *s)
{
	int64_t strides[PS_TENSOR_MAX_RANK] = {1, 1};
	if (sides <= PS_TENSOR_MAX_RANK)
		(void)ps_shapes_ints(n, "strides", sides, 1, strides);
	s->stride_h = strides[0];
	s->stride_w = sides > 1 ? strides[1] : 1;
}

static enum ps_predict_kind conv_kind(const struct ps_shapes_value *w, int64_t groups)
{
	enum { IMAGE_CHANNELS = 4 };
	if (groups > 1)
		return dim(w, 1) == 1 && dim(w, 0) == groups ? PS_PREDICT_DEPTHWISE
							     : PS_PREDICT_GROUPED;
	if (elements(w) == (double)dim(w, 0) * (double)dim(w, 1))
		return PS_PREDICT_POINTWISE;
	return dim(w, 1) <= IMAGE_CHANNELS ? PS_PREDICT_IMAGE : PS_PREDICT_CONV;
}

static void count_conv(const struct ps_predict_graph *g, const struct ps_predict_group *p,
		       struct ps_predict_op *op)
{
	const struct ps_shapes_value *w = input(g, p, 1), *in = input(g, p, 0);
	const struct ps_shapes_value *out = value(g, p->out);
	int64_t groups = ps_shapes_int(&g->shapes->nodes[p->node], "group", 1);
	image_shape(&op->shape, in, out);
	strides_of(&g->shapes->nodes[p->node], in->rank - 2, &op->shape);
	op->shape.groups = groups;
	op->shape.kernel_h = dim(w, 2);
	op->shape.kernel_w = dim(w, 3);
	op->macs = elements(out) * elements(w) / (double)dim(w, 0);
	op->kind = conv_kind(w, groups);
}

static void count_gemm(const struct ps_predict_graph *g, const struct ps_predict_group *p,
		       struct ps_predict_op *op)
{
	const struct ps_shapes_node *n = &g->shapes->nodes[p->node];
	const struct ps_shapes_value *a = input(g, p, 0), *out = value(g, p->out);
	bool turned = strcmp(n->op, "Gemm") == 0 && ps_shapes_int(n, "transA", 0) != 0;
	int64_t depth = dim(a, turned ? 0 : a->rank - 1), width = dim(out, out->rank - 1);
	op->kind = PS_PREDICT_GEMM;
	op->macs = elements(out) * (double)depth;
	op->shape =
		(struct ps_predict_shape){.batch = width > 0 ? (int64_t)elements(out) / width : 0,
					  .in_channels = depth,
					  .in_h = 1,
					  .in_w = 1,
					  .out_channels = width,
					  .out_h = 1,
					  .out_w = 1,
					  .kernel_h = 1,
					  .kernel_w = 1,
					  .stride_h = 1,
					  .stride_w = 1,
					  .groups = 1};
}

static void count_recurrent(const struct ps_predict_graph *g, const struct ps_predict_group *p,
			    struct ps_predict_op *op)
{
	const struct ps_shapes_value *in = input(g, p, 0), *w = input(g, p, 1);
	int64_t hidden = ps_shapes_int(&g->shapes->nodes[p->node], "hidden_size", 0);
	op->kind = PS_PREDICT_RECURRENT;
	op->macs = (double)(dim(in, 0) * dim(in, 1)) * (double)(dim(w, 0) * dim(w, 1)) *
		   (double)(dim(w, 2) + hidden);
	op->shape = (struct ps_predict_shape){.steps = dim(in, 0),
					      .batch = dim(in, 1),
					      .in_channels = dim(in, 2),
					      .out_channels = hidden};
}

static void count_pool(const struct ps_predict_graph *g, const struct ps_predict_group *p,
		       struct ps_predict_op *op)
{
	const struct ps_shapes_node *n = &g->shapes->nodes[p->node];
	const struct ps_shapes_value *in = input(g, p, 0), *out = value(g, p->out);
	const struct ps_shapes_attr *kernel = ps_shapes_attr(n, "kernel_shape");
	double window = 1;
	for (int i = 0; kernel && i < kernel->n && i < PS_SHAPES_MAX_INTS; i++)
		window *= (double)kernel->ints[i];
	op->kind = PS_PREDICT_POOL;
	image_shape(&op->shape, in, out);
	strides_of(n, in->rank - 2, &op->shape);
	op->shape.kernel_h = kernel ? kernel->ints[0] : 0;
	op->shape.kernel_w = kernel && kernel->n > 1 ? kernel->ints[1] : 1;
	op->element_ops = elements(out) * window;
}

static void count_global(const struct ps_predict_graph *g, const struct ps_predict_group *p,
			 struct ps_predict_op *op)
{
	op->kind = PS_PREDICT_GLOBAL_POOL;
	image_shape(&op->shape, input(g, p, 0), value(g, p->out));
	op->element_ops = elements(input(g, p, 0));
}

static void count_elements(const struct ps_predict_graph *g, const struct ps_predict_group *p,
			   struct ps_predict_op *op)
{
	const struct ps_shapes_value *out = value(g, p->out);
	op->kind = PS_PREDICT_ELEMENTWISE;
	op->element_ops = elements(out);
	image_shape(&op->shape, out, out);
}

static void count_norm(const struct ps_predict_graph *g, const struct ps_predict_group *p,
		       struct ps_predict_op *op)
{
	count_elements(g, p, op);
	op->kind = PS_PREDICT_NORM;
	/* Mean and variance are folded into scale and shift. */
	op->element_ops *= 2;
	op->param_bytes /= 2;
}

static void count_concat(const struct ps_predict_graph *g, const struct ps_predict_group *p,
			 struct ps_predict_op *op)
{
	op->kind = PS_PREDICT_CONCAT;
	image_shape(&op->shape, value(g, p->out), value(g, p->out));
}

static void count_layout(const struct ps_predict_graph *g, const struct ps_predict_group *p,
			 struct ps_predict_op *op)
{
	op->kind = PS_PREDICT_LAYOUT;
	image_shape(&op->shape, input(g, p, 0), value(g, p->out));
}

/* The same bytes under another shape: nothing moves. */
static void count_shape(const struct ps_predict_graph *g, const struct ps_predict_group *p,
			struct ps_predict_op *op)
{
	(void)g;
	(void)p;
	op->kind = PS_PREDICT_SHAPE;
	op->in_bytes = op->out_bytes = op->param_bytes = 0;
}

static const struct {
	const char *op;
	void (*count)(const struct ps_predict_graph *g, const struct ps_predict_group *p,
		      struct ps_predict_op *op);
} rows[] = {
	{"Conv", count_conv},
	{"Gemm", count_gemm},
	{"MatMul", count_gemm},
	{"LSTM", count_recurrent},
	{"GRU", count_recurrent},
	{"MaxPool", count_pool},
	{"AveragePool", count_pool},
	{"GlobalAveragePool", count_global},
	{"GlobalMaxPool", count_global},
	{"BatchNormalization", count_norm},
	{"LRN", count_norm},
	{"Relu", count_elements},
	{"Clip", count_elements},
	{"LeakyRelu", count_elements},
	{"Sigmoid", count_elements},
	{"HardSigmoid", count_elements},
	{"HardSwish", count_elements},
	{"Tanh", count_elements},
	{"Softmax", count_elements},
	{"LogSoftmax", count_elements},
	{"Add", count_elements},
	{"Sub", count_elements},
	{"Mul", count_elements},
	{"Div", count_elements},
	{"Sum", count_elements},
	{"Identity", count_elements},
	{"Dropout", count_elements},
	{"Concat", count_concat},
	{"Transpose", count_layout},
	{"Flatten", count_shape},
	{"Reshape", count_shape},
	{"Squeeze", count_shape},
	{"Unsqueeze", count_shape},
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

/* What is done inside beside the operator's own work: once over its results each. */
static void count_inside(const struct ps_predict_graph *g, const struct ps_predict_group *p,
			 struct ps_predict_op *op)
{
	double out = elements(value(g, p->out));
	op->element_ops += (p->sum >= 0) * out + (p->activation >= 0) * out + p->swish * out;
}

static void count_node(const struct ps_predict_graph *g, const struct ps_predict_group *p,
		       struct ps_predict_op *op)
{
	const struct ps_shapes_node *n = &g->shapes->nodes[p->node];
	op->kind = PS_PREDICT_OTHER;
	count_bytes(g, p, op);
	for (int i = 0; i < N_ROWS && n->known && !op->known; i++) {
		if (!ps_predict_is(g, p, rows[i].op))
			continue;
		rows[i].count(g, p, op);
		count_inside(g, p, op);
		/* a type of elements whose size is not known makes bytes that are none */
		op->known = isfinite(op->macs + op->element_ops + ps_predict_op_bytes(op));
	}
	if (!op->known)
		op->macs = op->element_ops = NAN;
}

/* ---- names ---- */

static const char *type_of(const struct ps_predict_graph *g, const struct ps_predict_group *p)
{
	if (p->role == PS_PREDICT_BLOCKS)
		return "ReorderInput";
	if (p->role == PS_PREDICT_UNBLOCKS)
		return "ReorderOutput";
	if (p->swish)
		return "QuickGelu";
	if (p->blocked && ps_predict_is(g, p, "BatchNormalization"))
		return "Conv";
	if (p->activation >= 0 && !p->blocked)
		return ps_predict_is(g, p, "Conv") ? "FusedConv" : "FusedGemm";
	return g->shapes->nodes[p->node].op;
}

static char *joined(const char *before, const char *name, const char *after)
{
	char *text = NULL;
	return asprintf(&text, "%s%s%s", before, name, after) < 0 ? NULL : text;
}

/* As the engine calls it; changes of layout have no lasting name there, and get that of the value.
 */
static char *name_of(const struct ps_predict_graph *g, const struct ps_predict_group *p)
{
	if (p->role == PS_PREDICT_BLOCKS)
		return joined("ReorderInput ", value(g, p->value)->name, "");
	if (p->role == PS_PREDICT_UNBLOCKS)
		return joined("ReorderOutput ", value(g, p->value)->name, "");
	bool norm = ps_predict_is(g, p, "BatchNormalization");
	if (p->named >= 0)
		return joined("", g->shapes->values[p->named].name, norm ? "_bn_nchwc" : "_nchwc");
	bool product = p->activation >= 0 && ps_predict_is(g, p, "Gemm");
	return joined(product ? "fused " : "", g->shapes->nodes[p->name_node].name,
		      p->swish ? "/QuickGeluFusion/" : "");
}

enum ps_status ps_predict_count_op(const struct ps_predict_graph *g,
				   const struct ps_predict_group *p, struct ps_predict_op *op,
				   struct ps_error *err)
{
	*op = (struct ps_predict_op){.nodes = p->nodes, .time_ns = NAN};
	op->name = name_of(g, p);
	if (!op->name)
		return ps_error_set(err, PS_ENOMEM, "no memory for the operators of a model");
	snprintf(op->type, sizeof op->type, "%s", type_of(g, p));
	if (p->role == PS_PREDICT_RUNS) {
		count_node(g, p, op);
		return PS_OK;
	}
	const struct ps_shapes_value *v = value(g, p->value);
	op->kind = PS_PREDICT_LAYOUT;
	op->in_bytes = op->out_bytes = bytes(v);
	op->known = isfinite(op->in_bytes);
	op->macs = op->element_ops = op->known ? 0 : NAN;
	image_shape(&op->shape, v, v);
	return PS_OK;
}
