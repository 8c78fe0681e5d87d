#include "model/graph_internal.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ps_graph *ps_graph_new(const char *name, uint64_t seed)
{
	struct ps_graph *g = calloc(1, sizeof *g);
	if (!g)
		return NULL;
	snprintf(g->name, sizeof g->name, "%s", name);
	g->seed = seed;
	return g;
}

void ps_graph_free(struct ps_graph *g)
{
	if (!g)
		return;
	free(g->values);
	free(g->nodes);
	free(g);
}

enum ps_status ps_graph_status(const struct ps_graph *g, struct ps_error *err)
{
	if (g->error.status != PS_OK && err)
		*err = g->error;
	return g->error.status;
}

int ps_graph_fail(struct ps_graph *g, enum ps_status s, const char *fmt, ...)
{
	if (g->error.status != PS_OK)
		return PS_GRAPH_NONE;
	va_list ap;
	char text[sizeof g->error.what];
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	ps_error_set(&g->error, s, "%s", text);
	ps_error_where(&g->error, "graph %s, node %d", g->name, g->n_nodes);
	return PS_GRAPH_NONE;
}

const struct ps_graph_value *ps_graph_get(struct ps_graph *g, int x, int rank, const char *layer)
{
	if (g->error.status != PS_OK)
		return NULL;
	if (x < 0 || x >= g->n_values) {
		ps_graph_fail(g, PS_EINVAL, "%s: no such value: %d", layer, x);
		return NULL;
	}
	if (g->values[x].rank != rank) {
		ps_graph_fail(g, PS_EINVAL, "%s wants rank %d, '%s' has rank %d", layer, rank,
			      g->values[x].name, g->values[x].rank);
		return NULL;
	}
	return &g->values[x];
}

/* Makes room for one more element; false when the limit or memory is reached. */
static bool grow(struct ps_graph *g, void **items, int len, int *cap, int limit, size_t size)
{
	if (g->error.status != PS_OK)
		return false;
	if (len >= limit) {
		ps_graph_fail(g, PS_ETOOBIG, "a graph may hold %d of these at most", limit);
		return false;
	}
	if (len < *cap)
		return true;
	int want = *cap ? *cap * 2 : 64;
	void *p = realloc(*items, (size_t)want * size);
	if (!p) {
		ps_graph_fail(g, PS_ENOMEM, "no memory for the graph");
		return false;
	}
	*items = p;
	*cap = want;
	return true;
}

static int value_add(struct ps_graph *g, const char *name, enum ps_dtype dtype, int rank,
		     const int64_t *dims)
{
	if (rank < 0 || rank > PS_TENSOR_MAX_RANK)
		return ps_graph_fail(g, PS_EINVAL, "'%s': rank %d", name, rank);
	int64_t count, sizes[PS_TENSOR_MAX_RANK];
	for (int i = 0; i < rank; i++) {
		if (dims[i] < PS_GRAPH_STEPS || dims[i] == 0)
			return ps_graph_fail(g, PS_EINVAL, "'%s': dimension %d is %lld", name, i,
					     (long long)dims[i]);
		sizes[i] = dims[i] > 0 ? dims[i] : 1;
	}
	/* With the size of each value bounded, sums over values cannot overflow. */
	if (ps_tensor_count(sizes, rank, &count, NULL) != PS_OK)
		return ps_graph_fail(g, PS_ETOOBIG, "'%s' has too many elements", name);
	if (!grow(g, (void **)&g->values, g->n_values, &g->cap_values, PS_GRAPH_MAX_VALUES,
		  sizeof *g->values))
		return PS_GRAPH_NONE;
	struct ps_graph_value *v = &g->values[g->n_values];
	*v = (struct ps_graph_value){.dtype = dtype, .rank = rank};
	snprintf(v->name, sizeof v->name, "%s", name);
	memcpy(v->dims, dims, (size_t)rank * sizeof *dims);
	return g->n_values++;
}

int ps_graph_input(struct ps_graph *g, const char *name, int rank, const int64_t *dims)
{
	int x = value_add(g, name, PS_DTYPE_FP32, rank, dims);
	if (x < 0)
		return x;
	g->values[x].input = true;
	g->values[x].moments = (struct ps_moments){0, 1};
	return x;
}

void ps_graph_output(struct ps_graph *g, int x, const char *name)
{
	if (g->error.status != PS_OK)
		return;
	if (x < 0 || x >= g->n_values || g->values[x].fill != PS_FILL_NONE || g->values[x].input) {
		ps_graph_fail(g, PS_EINVAL, "output '%s' is not a layer's value", name);
		return;
	}
	snprintf(g->values[x].name, sizeof g->values[x].name, "%s", name);
	g->n_outputs += !g->values[x].output;
	g->values[x].output = true;
}

/* "Conv" + 12 -> "conv_12": the number counts nodes, so that a name says where it stands. */
static void node_name(const struct ps_graph *g, const char *op, char buf[PS_GRAPH_NAME])
{
	snprintf(buf, PS_GRAPH_NAME, "%s_%d", op, g->n_nodes);
	for (char *p = buf; *p; p++)
		*p = (char)tolower((unsigned char)*p);
}

int ps_graph_weights(struct ps_graph *g, const char *op, const char *suffix, int rank,
		     const int64_t *dims, double center, double half)
{
	char node[PS_GRAPH_NAME], name[2 * PS_GRAPH_NAME];
	node_name(g, op, node);
	snprintf(name, sizeof name, "%s.%s", node, suffix);
	int x = value_add(g, name, PS_DTYPE_FP32, rank, dims);
	if (x < 0)
		return x;
	g->values[x].fill = PS_FILL_UNIFORM;
	g->values[x].center = center;
	g->values[x].half = half;
	return x;
}

struct ps_graph_node *ps_graph_node_add(struct ps_graph *g, const char *op, const int *in, int n_in,
					int rank, const int64_t *dims, struct ps_moments m)
{
	char name[PS_GRAPH_NAME];
	node_name(g, op, name);
	int out = value_add(g, name, PS_DTYPE_FP32, rank, dims);
	if (out < 0 || !grow(g, (void **)&g->nodes, g->n_nodes, &g->cap_nodes, PS_GRAPH_MAX_NODES,
			     sizeof *g->nodes))
		return NULL;
	g->values[out].moments = m;
	struct ps_graph_node *n = &g->nodes[g->n_nodes++];
	*n = (struct ps_graph_node){.op = op, .n_in = n_in, .out = out};
	memcpy(n->name, name, sizeof n->name);
	memcpy(n->in, in, (size_t)n_in * sizeof *in);
	return n;
}

void ps_graph_attr_ints(struct ps_graph_node *n, const char *name, int count, const int64_t *v)
{
	struct ps_graph_attr *a = &n->attrs[n->n_attrs++];
	*a = (struct ps_graph_attr){.name = name, .type = PS_ATTR_INTS, .n = count};
	memcpy(a->ints, v, (size_t)count * sizeof *v);
}

void ps_graph_attr_int(struct ps_graph_node *n, const char *name, int64_t v)
{
	ps_graph_attr_ints(n, name, 1, &v);
	n->attrs[n->n_attrs - 1].type = PS_ATTR_INT;
}

void ps_graph_attr_float(struct ps_graph_node *n, const char *name, double v)
{
	n->attrs[n->n_attrs++] =
		(struct ps_graph_attr){.name = name, .type = PS_ATTR_FLOAT, .f = (float)v};
}

void ps_graph_macs_add(struct ps_graph *g, int64_t results, int64_t terms)
{
	int64_t n;
	if (__builtin_mul_overflow(results, terms, &n) ||
	    __builtin_add_overflow(g->macs, n, &g->macs))
		ps_graph_fail(g, PS_ETOOBIG, "too many multiply-accumulates to count");
}

const int64_t *ps_graph_shape(const struct ps_graph *g, int x, int *ret_rank)
{
	static const int64_t none[1];
	bool there = x >= 0 && x < g->n_values;
	*ret_rank = there ? g->values[x].rank : 0;
	return there ? g->values[x].dims : none;
}

void ps_graph_count(const struct ps_graph *g, struct ps_graph_counts *ret_counts)
{
	struct ps_graph_counts c = {.macs = g->macs, .nodes = g->n_nodes};
	for (int i = 0; i < g->n_values; i++) {
		const struct ps_graph_value *v = &g->values[i];
		if (v->fill != PS_FILL_UNIFORM || v->statistic || v->rank == 0)
			continue;
		int64_t n = 1;
		for (int k = 0; k < v->rank; k++)
			n *= v->dims[k];
		c.parameters += n;
	}
	*ret_counts = c;
}
