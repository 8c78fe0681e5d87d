/* graph_internal.h - what a graph is made of; for model/ only. */
#ifndef PS_MODEL_GRAPH_INTERNAL_H
#define PS_MODEL_GRAPH_INTERNAL_H

#include "model/graph.h"
#include "model/moments_internal.h"

#define PS_GRAPH_NAME	   32
#define PS_GRAPH_MAX_IN	   PS_GRAPH_MAX_CONCAT
#define PS_GRAPH_MAX_ATTRS 8
#define PS_GRAPH_MAX_INTS  4

/* How the elements of a stored tensor come about. */
enum ps_graph_fill {
	PS_FILL_NONE,	 /* not stored: an input or a layer's output */
	PS_FILL_UNIFORM, /* FP32, uniform in center +- half */
	PS_FILL_INTS,	 /* INT64, the values of `ints` */
};

struct ps_graph_value {
	char name[PS_GRAPH_NAME];
	enum ps_dtype dtype;
	int rank;
	int64_t dims[PS_TENSOR_MAX_RANK];
	struct ps_moments moments; /* estimated over all elements */
	enum ps_graph_fill fill;
	double center, half;
	int64_t ints[PS_GRAPH_MAX_INTS];
	bool statistic; /* mean or variance of batch normalisation: no parameter */
	bool input, output;
};

enum ps_graph_attr_type { PS_ATTR_INT, PS_ATTR_FLOAT, PS_ATTR_INTS };

struct ps_graph_attr {
	const char *name; /* static text */
	enum ps_graph_attr_type type;
	float f;
	int n; /* length of ints; 1 for PS_ATTR_INT */
	int64_t ints[PS_GRAPH_MAX_INTS];
};

struct ps_graph_node {
	const char *op; /* static text, an ONNX operator of the default domain */
	char name[PS_GRAPH_NAME];
	int in[PS_GRAPH_MAX_IN]; /* values; PS_GRAPH_NONE is an absent optional input */
	int n_in, out;
	struct ps_graph_attr attrs[PS_GRAPH_MAX_ATTRS];
	int n_attrs;
};

struct ps_graph {
	char name[PS_GRAPH_NAME];
	uint64_t seed;
	struct ps_graph_value *values;
	struct ps_graph_node *nodes;
	int n_values, cap_values, n_nodes, cap_nodes;
	int n_outputs;
	int64_t macs;
	struct ps_error error; /* the first one */
};

/* ps_graph_fail keeps the first error and returns PS_GRAPH_NONE. */
int ps_graph_fail(struct ps_graph *g, enum ps_status s, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* ps_graph_get returns value `x` when the graph is sound and `x` has `rank` dimensions; otherwise
 * it notes the error and returns NULL. Valid until the next value is added. */
const struct ps_graph_value *ps_graph_get(struct ps_graph *g, int x, int rank, const char *layer);
/* ps_graph_weights adds a stored FP32 tensor called "<next node of op>.<suffix>". */
int ps_graph_weights(struct ps_graph *g, const char *op, const char *suffix, int rank,
		     const int64_t *dims, double center, double half);
/* ps_graph_node_add starts a node: one output of the given shape and moments. Returns the node, to
 * which attributes may be added, or NULL; the node's `out` is its value. */
struct ps_graph_node *ps_graph_node_add(struct ps_graph *g, const char *op, const int *in, int n_in,
					int rank, const int64_t *dims, struct ps_moments m);
/* ps_graph_macs_add counts a product of `results` elements, each the sum of `terms`. */
void ps_graph_macs_add(struct ps_graph *g, int64_t results, int64_t terms);
void ps_graph_attr_ints(struct ps_graph_node *n, const char *name, int count, const int64_t *v);
void ps_graph_attr_int(struct ps_graph_node *n, const char *name, int64_t v);
void ps_graph_attr_float(struct ps_graph_node *n, const char *name, double v);

#endif
