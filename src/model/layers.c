/* The layers of convolutional networks. Every function checks its input, works out shape and
 * moments, and adds its node; on a graph with an error it does nothing. */
#include "model/graph_internal.h"

#include <math.h>
#include <string.h>

static const struct ps_moments unit = {0, 1};

/* Half the width of a uniform distribution with standard deviation `sd`. */
static double half_width(double sd)
{
	return sd * sqrt(3.0);
}

static int out_of(const struct ps_graph_node *n)
{
	return n ? n->out : PS_GRAPH_NONE;
}

/* Same shape as its input. */
static int unary(struct ps_graph *g, const char *op, int x, struct ps_moments m)
{
	const struct ps_graph_value v = g->values[x];
	return out_of(ps_graph_node_add(g, op, &x, 1, v.rank, v.dims, m));
}

/* The layers without an opinion on rank only need a value that is there. */
static bool usable(struct ps_graph *g, int x, const char *layer)
{
	if (g->error.status != PS_OK)
		return false;
	if (x < 0 || x >= g->n_values)
		ps_graph_fail(g, PS_EINVAL, "%s: no such value: %d", layer, x);
	return g->error.status == PS_OK;
}

static int64_t window_count(int64_t size, int kernel, int stride, int pad_sum, bool ceil_mode)
{
	int64_t room = size + pad_sum - kernel;
	if (room < 0 || kernel < 1 || stride < 1)
		return 0;
	return (ceil_mode ? (room + stride - 1) / stride : room / stride) + 1;
}

static struct ps_graph_conv with_defaults(const struct ps_graph_conv *c)
{
	struct ps_graph_conv d = *c;
	d.kernel_w = d.kernel_w ? d.kernel_w : d.kernel;
	/* A kernel of unequal sides has a padding for each side, and 0 is one of them. */
	d.pad_w = d.kernel_w == d.kernel && !d.pad_w ? d.pad : d.pad_w;
	d.stride = d.stride ? d.stride : 1;
	d.groups = d.groups ? d.groups : 1;
	d.gain = d.gain != 0 ? d.gain : 1;
	d.shift = d.shift != 0 ? d.shift : 0.1 * d.gain;
	return d;
}

static void conv_attrs(struct ps_graph_node *n, const struct ps_graph_conv *c)
{
	ps_graph_attr_ints(n, "dilations", 2, (int64_t[]){1, 1});
	ps_graph_attr_int(n, "group", c->groups);
	ps_graph_attr_ints(n, "kernel_shape", 2, (int64_t[]){c->kernel, c->kernel_w});
	ps_graph_attr_ints(n, "pads", 4, (int64_t[]){c->pad, c->pad_w, c->pad, c->pad_w});
	ps_graph_attr_ints(n, "strides", 2, (int64_t[]){c->stride, c->stride});
}

int ps_graph_conv(struct ps_graph *g, int x, const struct ps_graph_conv *conv)
{
	const struct ps_graph_value *in = ps_graph_get(g, x, 4, "convolution");
	if (!in)
		return PS_GRAPH_NONE;
	struct ps_graph_conv c = with_defaults(conv);
	int64_t channels = in->dims[1];
	int64_t h = window_count(in->dims[2], c.kernel, c.stride, 2 * c.pad, false);
	int64_t w = window_count(in->dims[3], c.kernel_w, c.stride, 2 * c.pad_w, false);
	if (c.out < 1 || c.groups < 1 || h < 1 || w < 1 || channels % c.groups || c.out % c.groups)
		return ps_graph_fail(g, PS_EINVAL, "convolution %dx%d to %d does not fit '%s'",
				     c.kernel, c.kernel_w, c.out, in->name);
	int64_t dims[] = {c.out, channels / c.groups, c.kernel, c.kernel_w};
	int64_t out[] = {in->dims[0], c.out, h, w};
	double fan_in = (double)dims[1] * c.kernel * c.kernel_w;
	double sd = c.gain / sqrt(fan_in * ps_moments_square(in->moments));
	int ins[3] = {x, ps_graph_weights(g, "Conv", "weight", 4, dims, 0, half_width(sd))};
	if (c.bias)
		ins[2] = ps_graph_weights(g, "Conv", "bias", 1, dims, 0, half_width(c.shift));
	double var = c.gain * c.gain + (c.bias ? c.shift * c.shift : 0);
	struct ps_graph_node *n =
		ps_graph_node_add(g, "Conv", ins, 2 + c.bias, 4, out, (struct ps_moments){0, var});
	if (!n)
		return PS_GRAPH_NONE;
	conv_attrs(n, &c);
	ps_graph_macs_add(g, c.out * h * w, dims[1] * dims[2] * dims[3]);
	return n->out;
}

int ps_graph_batch_norm(struct ps_graph *g, int x, double epsilon, double gain, double shift)
{
	const struct ps_graph_value *in = ps_graph_get(g, x, 4, "batch normalisation");
	if (!in)
		return PS_GRAPH_NONE;
	struct ps_moments m = in->moments;
	shift = shift != 0 ? shift : 0.05 * gain;
	int64_t out[4], c = in->dims[1];
	memcpy(out, in->dims, sizeof out);
	static const char op[] = "BatchNormalization";
	int ins[] = {x, ps_graph_weights(g, op, "scale", 1, &c, gain, 0.1 * gain),
		     ps_graph_weights(g, op, "bias", 1, &c, 0, half_width(shift)),
		     ps_graph_weights(g, op, "mean", 1, &c, m.mean, 0.1 * sqrt(m.var)),
		     ps_graph_weights(g, op, "var", 1, &c, m.var, 0.2 * m.var)};
	struct ps_graph_node *n = ps_graph_node_add(
		g, op, ins, 5, 4, out, (struct ps_moments){0, gain * gain + shift * shift});
	if (!n)
		return PS_GRAPH_NONE;
	g->values[ins[3]].statistic = g->values[ins[4]].statistic = true;
	ps_graph_attr_float(n, "epsilon", epsilon);
	return n->out;
}

int ps_graph_relu(struct ps_graph *g, int x)
{
	if (!usable(g, x, "relu"))
		return PS_GRAPH_NONE;
	return unary(g, "Relu", x, ps_moments_map(g->values[x].moments, ps_moments_relu));
}

int ps_graph_relu6(struct ps_graph *g, int x)
{
	if (!usable(g, x, "relu6"))
		return PS_GRAPH_NONE;
	const struct ps_graph_value v = g->values[x];
	int ins[] = {x, ps_graph_weights(g, "Clip", "min", 0, v.dims, 0, 0),
		     ps_graph_weights(g, "Clip", "max", 0, v.dims, 6, 0)};
	return out_of(ps_graph_node_add(g, "Clip", ins, 3, v.rank, v.dims,
					ps_moments_map(v.moments, ps_moments_relu6)));
}

int ps_graph_sigmoid(struct ps_graph *g, int x)
{
	if (!usable(g, x, "sigmoid"))
		return PS_GRAPH_NONE;
	return unary(g, "Sigmoid", x, ps_moments_map(g->values[x].moments, ps_moments_sigmoid));
}

/* Elementwise over two values; `b` may be narrower where the caller has checked it. */
static int binary(struct ps_graph *g, const char *op, int a, int b, struct ps_moments m)
{
	const struct ps_graph_value v = g->values[a];
	int ins[] = {a, b};
	return out_of(ps_graph_node_add(g, op, ins, 2, v.rank, v.dims, m));
}

int ps_graph_swish(struct ps_graph *g, int x)
{
	int gate = ps_graph_sigmoid(g, x);
	if (gate < 0)
		return gate;
	return binary(g, "Mul", x, gate, ps_moments_map(g->values[x].moments, ps_moments_swish));
}

int ps_graph_add(struct ps_graph *g, int a, int b)
{
	if (!usable(g, a, "add") || !usable(g, b, "add"))
		return PS_GRAPH_NONE;
	const struct ps_graph_value *x = &g->values[a], *y = &g->values[b];
	if (x->rank != y->rank || memcmp(x->dims, y->dims, (size_t)x->rank * sizeof *x->dims) != 0)
		return ps_graph_fail(g, PS_EINVAL, "add: '%s' and '%s' differ in shape", x->name,
				     y->name);
	return binary(g, "Add", a, b,
		      (struct ps_moments){x->moments.mean + y->moments.mean,
					  x->moments.var + y->moments.var});
}

int ps_graph_scale(struct ps_graph *g, int x, int factor)
{
	const struct ps_graph_value *v = ps_graph_get(g, x, 4, "scale");
	const struct ps_graph_value *f = ps_graph_get(g, factor, 4, "scale");
	if (!v || !f)
		return PS_GRAPH_NONE;
	if (f->dims[0] != v->dims[0] || f->dims[1] != v->dims[1] || f->dims[2] != 1 ||
	    f->dims[3] != 1)
		return ps_graph_fail(g, PS_EINVAL, "scale: '%s' does not fit '%s'", f->name,
				     v->name);
	return binary(g, "Mul", x, factor, ps_moments_product(v->moments, f->moments));
}

int ps_graph_concat(struct ps_graph *g, const int *xs, int n)
{
	if (n < 1 || n > PS_GRAPH_MAX_CONCAT)
		return ps_graph_fail(g, PS_EINVAL, "concat of %d values", n);
	int64_t dims[4] = {0};
	double mean = 0, square = 0;
	for (int i = 0; i < n; i++) {
		const struct ps_graph_value *v = ps_graph_get(g, xs[i], 4, "concat");
		if (!v)
			return PS_GRAPH_NONE;
		if (i > 0 &&
		    (v->dims[0] != dims[0] || v->dims[2] != dims[2] || v->dims[3] != dims[3]))
			return ps_graph_fail(g, PS_EINVAL, "concat: '%s' differs in size", v->name);
		mean += (double)v->dims[1] * v->moments.mean;
		square += (double)v->dims[1] * ps_moments_square(v->moments);
		int64_t channels = dims[1] + v->dims[1];
		memcpy(dims, v->dims, sizeof dims);
		dims[1] = channels;
	}
	mean /= (double)dims[1];
	struct ps_moments m = {mean, square / (double)dims[1] - mean * mean};
	struct ps_graph_node *node = ps_graph_node_add(g, "Concat", xs, n, 4, dims, m);
	if (!node)
		return PS_GRAPH_NONE;
	ps_graph_attr_int(node, "axis", 1);
	return node->out;
}

static struct ps_graph_node *pool(struct ps_graph *g, const char *op, int x,
				  const struct ps_graph_pool *p, struct ps_moments m)
{
	const struct ps_graph_value *v = &g->values[x];
	int64_t h = window_count(v->dims[2], p->kernel, p->stride, 2 * p->pad, p->ceil);
	int64_t w = window_count(v->dims[3], p->kernel, p->stride, 2 * p->pad, p->ceil);
	if (h < 1 || w < 1) {
		ps_graph_fail(g, PS_EINVAL, "pool of %d does not fit '%s'", p->kernel, v->name);
		return NULL;
	}
	int64_t dims[] = {v->dims[0], v->dims[1], h, w};
	struct ps_graph_node *n = ps_graph_node_add(g, op, &x, 1, 4, dims, m);
	if (!n)
		return NULL;
	ps_graph_attr_int(n, "ceil_mode", p->ceil);
	ps_graph_attr_ints(n, "kernel_shape", 2, (int64_t[]){p->kernel, p->kernel});
	ps_graph_attr_ints(n, "pads", 4, (int64_t[]){p->pad, p->pad, p->pad, p->pad});
	ps_graph_attr_ints(n, "strides", 2, (int64_t[]){p->stride, p->stride});
	return n;
}

int ps_graph_max_pool(struct ps_graph *g, int x, const struct ps_graph_pool *p)
{
	const struct ps_graph_value *v = ps_graph_get(g, x, 4, "max pool");
	if (!v)
		return PS_GRAPH_NONE;
	return out_of(pool(g, "MaxPool", x, p, ps_moments_max(v->moments, p->kernel * p->kernel)));
}

int ps_graph_avg_pool(struct ps_graph *g, int x, const struct ps_graph_pool *p)
{
	const struct ps_graph_value *v = ps_graph_get(g, x, 4, "average pool");
	if (!v)
		return PS_GRAPH_NONE;
	struct ps_graph_node *n =
		pool(g, "AveragePool", x, p, ps_moments_average(v->moments, p->kernel * p->kernel));
	if (!n)
		return PS_GRAPH_NONE;
	ps_graph_attr_int(n, "count_include_pad", 1);
	return n->out;
}

int ps_graph_global_avg_pool(struct ps_graph *g, int x)
{
	const struct ps_graph_value *v = ps_graph_get(g, x, 4, "global average pool");
	if (!v)
		return PS_GRAPH_NONE;
	int64_t dims[] = {v->dims[0], v->dims[1], 1, 1};
	struct ps_moments m = ps_moments_average(v->moments, (int)(v->dims[2] * v->dims[3]));
	return out_of(ps_graph_node_add(g, "GlobalAveragePool", &x, 1, 4, dims, m));
}

int ps_graph_flatten(struct ps_graph *g, int x)
{
	const struct ps_graph_value *v = ps_graph_get(g, x, 4, "flatten");
	if (!v)
		return PS_GRAPH_NONE;
	int64_t dims[] = {v->dims[0], v->dims[1] * v->dims[2] * v->dims[3]};
	struct ps_graph_node *n = ps_graph_node_add(g, "Flatten", &x, 1, 2, dims, v->moments);
	if (!n)
		return PS_GRAPH_NONE;
	ps_graph_attr_int(n, "axis", 1);
	return n->out;
}

int ps_graph_gemm(struct ps_graph *g, int x, int out)
{
	const struct ps_graph_value *v = ps_graph_get(g, x, 2, "fully connected layer");
	if (!v)
		return PS_GRAPH_NONE;
	if (out < 1 || v->dims[1] < 1)
		return ps_graph_fail(g, PS_EINVAL, "fully connected layer of %d units", out);
	int64_t dims[] = {out, v->dims[1]}, shape[] = {v->dims[0], out};
	double sd = 1 / sqrt((double)dims[1] * ps_moments_square(v->moments));
	int ins[] = {x, ps_graph_weights(g, "Gemm", "weight", 2, dims, 0, half_width(sd)),
		     ps_graph_weights(g, "Gemm", "bias", 1, dims, 0, 0.1)};
	struct ps_graph_node *n = ps_graph_node_add(g, "Gemm", ins, 3, 2, shape, unit);
	if (!n)
		return PS_GRAPH_NONE;
	ps_graph_attr_int(n, "transB", 1);
	ps_graph_macs_add(g, dims[0], dims[1]);
	return n->out;
}
