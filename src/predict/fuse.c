/* What ONNX Runtime's optimiser does to a network, as far as the operators that it runs and their
 * sizes depend on it; observed from its releases 1.17 to 1.30 on CPUs.
 *
 *   1. Names of the same thing go: Identity, Dropout.
 *   2. A normalisation behind a convolution becomes part of its weights.
 *   3. An activation behind a convolution or a product becomes part of it; x * sigmoid(x) is one.
 *   4. Where the CPU has wide vectors, convolutions and pools work on blocks of 8 or 16 channels:
 *	values between them stay in that layout, additions and activations go into the convolution
 *	that made one side, a normalisation that stands alone becomes a convolution of its own; and
 *	where somebody else reads or writes, a change of layout is put in.
 *
 * A value may be taken into an operator only when nobody else reads it. */
#include "predict/fuse_internal.h"

#include <stdlib.h>
#include <string.h>

/* The engine changes layouts only of channels in fours. */
#define ALIGNED 4

/* What is known of a value. */
struct state {
	int uses;  /* reads by operators that are left, and one if it is an output */
	int maker; /* its group, or -1 */
	bool blocked;
	int plain_uses; /* of a blocked value: reads in the file's layout */
	bool wanted;	/* a plain value that somebody reads blocked */
};

struct fuser {
	const struct ps_shapes *s;
	const struct ps_predict_target *t;
	struct ps_predict_graph *g;
	struct state *values;
};

int ps_predict_value(const struct ps_predict_graph *g, int value)
{
	while (value >= 0 && g->same_as[value] >= 0)
		value = g->same_as[value];
	return value;
}

static const struct ps_shapes_node *node_of(const struct fuser *f, const struct ps_predict_group *p)
{
	return &f->s->nodes[p->node];
}

bool ps_predict_is(const struct ps_predict_graph *g, const struct ps_predict_group *p,
		   const char *op)
{
	if (p->role != PS_PREDICT_RUNS || p->node < 0)
		return false;
	const struct ps_shapes_node *n = &g->shapes->nodes[p->node];
	return strcmp(n->op, op) == 0 && (!n->domain[0] || strcmp(n->domain, "ai.onnx") == 0);
}

static bool is_any(const struct fuser *f, const struct ps_predict_group *p, const char *const *ops)
{
	for (; *ops; ops++)
		if (ps_predict_is(f->g, p, *ops))
			return true;
	return false;
}

/* The value that the group's node reads as its i-th; -1: none. */
static int input(const struct fuser *f, const struct ps_predict_group *p, int i)
{
	const struct ps_shapes_node *n = node_of(f, p);
	return i < n->n_in ? ps_predict_value(f->g, n->in[i]) : -1;
}

static bool is_stored(const struct fuser *f, int value)
{
	return value >= 0 && f->s->values[value].stored;
}

/* Who makes a value that nobody but one reads; NULL: nobody, or several read it. */
static struct ps_predict_group *sole_maker(const struct fuser *f, int value)
{
	if (value < 0 || f->values[value].maker < 0 || f->values[value].uses != 1)
		return NULL;
	return &f->g->groups[f->values[value].maker];
}

/* `p` does the work of `q` from now on and makes its value, in its place of the order, because what
 * `q` reads beside may be made between the two. */
static void take_over(struct fuser *f, struct ps_predict_group *p, struct ps_predict_group *q)
{
	struct ps_predict_group merged = *p;
	merged.out = q->out;
	merged.nodes = p->nodes + q->nodes;
	p->gone = true;
	*q = merged;
	f->values[q->out].maker = (int)(q - f->g->groups);
}

/* ---- 1 and 2 ---- */

static void drop_name(struct fuser *f, struct ps_predict_group *p)
{
	static const char *const names[] = {"Identity", "Dropout", NULL};
	int from = input(f, p, 0);
	if (!is_any(f, p, names) || f->s->values[p->out].output || from < 0)
		return;
	f->g->same_as[p->out] = from;
	f->values[from].uses += f->values[p->out].uses - 1;
	p->gone = true;
}

static void fold_norm(struct fuser *f, struct ps_predict_group *p)
{
	struct ps_predict_group *conv = sole_maker(f, input(f, p, 0));
	if (!ps_predict_is(f->g, p, "BatchNormalization") || !conv || conv->activation >= 0 ||
	    !ps_predict_is(f->g, conv, "Conv") || !is_stored(f, input(f, conv, 1)))
		return;
	for (int i = 1; i < 5; i++)
		if (!is_stored(f, input(f, p, i)))
			return;
	take_over(f, conv, p);
	p->bias = node_of(f, p)->n_in < 3;
}

/* ---- 3 ---- */

static bool is_activation(const struct fuser *f, const struct ps_predict_group *p, bool product)
{
	static const char *const any[] = {"Relu",      "Sigmoid",     "Tanh",
					  "LeakyRelu", "HardSigmoid", NULL};
	if (p->swish)
		return false;
	if (is_any(f, p, any))
		return true;
	if (product || !ps_predict_is(f->g, p, "Clip"))
		return false;
	for (int i = 1; i < 3; i++)
		if (input(f, p, i) >= 0 && !is_stored(f, input(f, p, i)))
			return false;
	return true;
}

static void fuse_activation(struct fuser *f, struct ps_predict_group *p)
{
	struct ps_predict_group *made = sole_maker(f, input(f, p, 0));
	bool product = made && ps_predict_is(f->g, made, "Gemm");
	if (!made || made->activation >= 0 || (!product && !ps_predict_is(f->g, made, "Conv")) ||
	    !is_activation(f, p, product))
		return;
	int activation = p->node;
	take_over(f, made, p);
	p->activation = activation;
}

/* x * sigmoid(x) */
static void fuse_swish(struct fuser *f, struct ps_predict_group *p)
{
	if (!ps_predict_is(f->g, p, "Mul"))
		return;
	for (int i = 0; i < 2; i++) {
		struct ps_predict_group *gate = sole_maker(f, input(f, p, i));
		int x = input(f, p, 1 - i);
		if (!gate || !ps_predict_is(f->g, gate, "Sigmoid") || input(f, gate, 0) != x)
			continue;
		int product = p->node;
		take_over(f, gate, p);
		p->swish = true;
		p->name_node = product;
		f->values[x].uses--;
		return;
	}
}

/* ---- 4 ---- */

static int64_t channels_of(const struct fuser *f, int value)
{
	const struct ps_shapes_value *v = &f->s->values[value];
	return v->rank >= 2 ? v->dims[1] : 0;
}

/* Whether a convolution of these weights can work in blocks, and whether it reads blocks. */
static bool conv_blocks(const struct fuser *f, const struct ps_predict_group *p, bool *ret_reads)
{
	const struct ps_shapes_node *n = node_of(f, p);
	const struct ps_shapes_value *w = &f->s->values[input(f, p, 1)];
	int64_t groups = ps_shapes_int(n, "group", 1), block = f->t->block;
	int64_t out = w->dims[0], in = w->dims[1];
	*ret_reads = true;
	if (!w->stored || w->dtype != PS_DTYPE_FP32 || w->rank != 4 ||
	    (input(f, p, 2) >= 0 && !is_stored(f, input(f, p, 2))))
		return false;
	if (groups > 1 && out % ALIGNED != 0)
		return false;
	if (groups > 1)
		return (in == 1 && out == groups) || (in % block == 0 && out / groups % block == 0);
	*ret_reads = in >= block; /* images of few channels are read as they are */
	return !*ret_reads || in % ALIGNED == 0;
}

/* A group reads a value in blocks. */
static void read_blocked(struct fuser *f, int value)
{
	struct state *v = &f->values[value];
	if (v->blocked)
		v->plain_uses--;
	else
		v->wanted = true;
}

static void make_blocked(struct fuser *f, struct ps_predict_group *p)
{
	struct state *v = &f->values[p->out];
	p->blocked = true;
	v->blocked = true;
	v->plain_uses = v->uses;
}

static void block_conv(struct fuser *f, struct ps_predict_group *p)
{
	bool reads;
	if (!node_of(f, p)->known || !conv_blocks(f, p, &reads))
		return;
	if (reads)
		read_blocked(f, input(f, p, 0));
	p->named = p->out;
	make_blocked(f, p);
}

static void block_pool(struct fuser *f, struct ps_predict_group *p)
{
	int from = input(f, p, 0);
	const struct ps_shapes_value *v = &f->s->values[from];
	if (!node_of(f, p)->known || v->rank != 4 || v->dtype != PS_DTYPE_FP32 ||
	    channels_of(f, from) % f->t->block != 0 || node_of(f, p)->n_out > 1)
		return;
	read_blocked(f, from);
	p->named = p->out;
	make_blocked(f, p);
}

static bool all_blocked(const struct fuser *f, const struct ps_predict_group *p, bool aligned)
{
	for (int i = 0; i < node_of(f, p)->n_in; i++) {
		int v = input(f, p, i);
		if (v < 0 || !f->values[v].blocked)
			return false;
		if (aligned && channels_of(f, v) % f->t->block != 0)
			return false;
	}
	return node_of(f, p)->n_in > 0;
}

static bool same_shapes(const struct fuser *f, const struct ps_predict_group *p)
{
	const struct ps_shapes_value *a = &f->s->values[input(f, p, 0)];
	for (int i = 1; i < node_of(f, p)->n_in; i++) {
		const struct ps_shapes_value *b = &f->s->values[input(f, p, i)];
		if (a->rank != b->rank ||
		    memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) != 0)
			return false;
	}
	return true;
}

/* The blocked convolution that makes `value` for one reader and has no activation yet. */
static struct ps_predict_group *open_conv(const struct fuser *f, int value)
{
	struct ps_predict_group *p = sole_maker(f, value);
	bool conv = p && (ps_predict_is(f->g, p, "Conv") ||
			  ps_predict_is(f->g, p, "BatchNormalization"));
	return conv && p->blocked && p->activation < 0 ? p : NULL;
}

static void block_binary(struct fuser *f, struct ps_predict_group *p, bool adds)
{
	if (!all_blocked(f, p, false) || !same_shapes(f, p))
		return;
	int n = node_of(f, p)->n_in;
	for (int i = 0; i < n; i++)
		read_blocked(f, input(f, p, i));
	for (int i = 0; adds && n == 2 && i < 2; i++) {
		struct ps_predict_group *conv = open_conv(f, input(f, p, i));
		if (!conv || conv->sum >= 0)
			continue;
		int other = input(f, p, 1 - i);
		take_over(f, conv, p);
		p->sum = other;
		break;
	}
	make_blocked(f, p);
}

static void block_activation(struct fuser *f, struct ps_predict_group *p)
{
	int from = input(f, p, 0);
	if (from < 0 || !f->values[from].blocked)
		return;
	read_blocked(f, from);
	struct ps_predict_group *conv = open_conv(f, from);
	int activation = p->node;
	if (conv && !p->swish) { /* which convolutions do not know */
		take_over(f, conv, p);
		p->activation = activation;
	}
	make_blocked(f, p);
}

static void block_norm(struct fuser *f, struct ps_predict_group *p)
{
	int from = input(f, p, 0);
	if (from < 0 || !f->values[from].blocked)
		return;
	for (int i = 1; i < 5; i++)
		if (!is_stored(f, input(f, p, i)))
			return;
	read_blocked(f, from);
	p->named = p->out;
	make_blocked(f, p);
}

static void block_concat(struct fuser *f, struct ps_predict_group *p)
{
	if (!all_blocked(f, p, true) || ps_shapes_int(node_of(f, p), "axis", 0) != 1)
		return;
	for (int i = 0; i < node_of(f, p)->n_in; i++)
		read_blocked(f, input(f, p, i));
	make_blocked(f, p);
}

static void block(struct fuser *f, struct ps_predict_group *p)
{
	static const char *const pools[] = {"MaxPool", "AveragePool", NULL};
	static const char *const global[] = {"GlobalAveragePool", "GlobalMaxPool", NULL};
	static const char *const activations[] = {"Relu", "Sigmoid", "Tanh", NULL};
	static const char *const adds[] = {"Add", "Sum", NULL};
	int from = node_of(f, p)->n_in ? input(f, p, 0) : -1;
	if (ps_predict_is(f->g, p, "Conv"))
		block_conv(f, p);
	else if (is_any(f, p, pools) || (is_any(f, p, global) && f->values[from].blocked))
		block_pool(f, p);
	else if (is_any(f, p, adds) || ps_predict_is(f->g, p, "Mul"))
		block_binary(f, p, is_any(f, p, adds));
	else if (is_any(f, p, activations))
		block_activation(f, p);
	else if (ps_predict_is(f->g, p, "BatchNormalization"))
		block_norm(f, p);
	else if (ps_predict_is(f->g, p, "Concat"))
		block_concat(f, p);
}

/* ---- all of it ---- */

static enum ps_status gather(struct fuser *f, struct ps_error *err)
{
	const struct ps_shapes *s = f->s;
	struct ps_predict_graph *g = f->g;
	size_t n_values = (size_t)s->n_values + 1;
	g->groups = calloc((size_t)s->n_nodes + 1, sizeof *g->groups);
	g->same_as = malloc(n_values * sizeof *g->same_as);
	f->values = calloc(n_values, sizeof *f->values);
	if (!g->groups || !g->same_as || !f->values) {
		ps_error_set(err, PS_ENOMEM, "no memory for the operators of a model");
		return PS_ENOMEM;
	}
	for (int v = 0; v < s->n_values; v++) {
		g->same_as[v] = -1;
		f->values[v].maker = -1;
		f->values[v].uses = s->values[v].uses + s->values[v].output;
	}
	for (int k = 0; k < s->n_nodes; k++) {
		const struct ps_shapes_node *n = &s->nodes[k];
		int out = -1;
		for (int i = n->n_out - 1; i >= 0; i--) {
			if (n->out[i] < 0)
				continue;
			out = n->out[i];
			f->values[out].maker = (int)g->n;
		}
		if (out < 0 || strcmp(n->op, "Constant") == 0)
			continue;
		g->groups[g->n++] = (struct ps_predict_group){.node = k,
							      .name_node = k,
							      .nodes = 1,
							      .value = -1,
							      .out = out,
							      .named = -1,
							      .sum = -1,
							      .activation = -1};
	}
	return PS_OK;
}

static void each(struct fuser *f, void (*step)(struct fuser *, struct ps_predict_group *))
{
	for (size_t k = 0; k < f->g->n; k++)
		if (!f->g->groups[k].gone && node_of(f, &f->g->groups[k])->known)
			step(f, &f->g->groups[k]);
}

/* Changes of layout stand before the first that reads blocks and behind the one that made them. */
static size_t put_inputs(struct fuser *f, const struct ps_predict_group *p,
			 struct ps_predict_group *out)
{
	size_t n = 0;
	int from = p->blocked && node_of(f, p)->n_in ? input(f, p, 0) : -1;
	if (from < 0 || !f->values[from].wanted)
		return 0;
	f->values[from].wanted = false;
	out[n++] = (struct ps_predict_group){.role = PS_PREDICT_BLOCKS,
					     .node = -1,
					     .name_node = -1,
					     .value = from,
					     .out = from,
					     .named = -1,
					     .sum = -1,
					     .activation = -1,
					     .blocked = true};
	return n;
}

static size_t put_output(struct fuser *f, const struct ps_predict_group *p,
			 struct ps_predict_group *out)
{
	if (!p->blocked || f->values[p->out].plain_uses <= 0)
		return 0;
	*out = (struct ps_predict_group){.role = PS_PREDICT_UNBLOCKS,
					 .node = -1,
					 .name_node = -1,
					 .value = p->out,
					 .out = p->out,
					 .named = -1,
					 .sum = -1,
					 .activation = -1};
	return 1;
}

static enum ps_status lay_out(struct fuser *f, struct ps_error *err)
{
	struct ps_predict_graph *g = f->g;
	struct ps_predict_group *all = calloc(3 * g->n + 1, sizeof *all);
	size_t n = 0;
	if (!all) {
		ps_error_set(err, PS_ENOMEM, "no memory for the operators of a model");
		return PS_ENOMEM;
	}
	for (size_t k = 0; k < g->n; k++) {
		const struct ps_predict_group *p = &g->groups[k];
		if (p->gone)
			continue;
		n += put_inputs(f, p, &all[n]);
		all[n++] = *p;
		n += put_output(f, p, &all[n]);
	}
	free(g->groups);
	g->groups = all;
	g->n = n;
	return PS_OK;
}

enum ps_status ps_predict_fuse(const struct ps_shapes *s, const struct ps_predict_target *t,
			       struct ps_predict_graph *ret_graph, struct ps_error *err)
{
	struct ps_predict_graph g = {.shapes = s};
	struct fuser f = {.s = s, .t = t, .g = &g};
	enum ps_status st = gather(&f, err);
	if (st == PS_OK && t->fused) {
		each(&f, drop_name);
		each(&f, fold_norm);
		each(&f, fuse_swish);
		each(&f, fuse_activation);
		if (t->block > 1)
			each(&f, block);
	}
	st = st == PS_OK ? lay_out(&f, err) : st;
	free(f.values);
	if (st != PS_OK) {
		ps_predict_graph_fini(&g);
		return st;
	}
	*ret_graph = g;
	return PS_OK;
}

void ps_predict_graph_fini(struct ps_predict_graph *g)
{
	free(g->groups);
	free(g->same_as);
	*g = (struct ps_predict_graph){0};
}
