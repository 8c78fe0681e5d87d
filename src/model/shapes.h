/* shapes.h - the graph of an ONNX file, with the shape of every value.   Layer 1, pure data.
 *
 * Weights are not copied; small stored INT64 tensors are, because shapes depend on them. Reading
 * trusts nothing, with the limits of onnx.h and those below.
 *
 * Dimensions of any size get a value from the caller: one whose name contains "batch" or is "N" is
 * the batch; so is the first one of a tensor in which none is named so; all others are steps.
 *
 * Shapes follow from operators that ps_shapes_knows. A node of another operator, and
 * one that reads a value whose shape is not known, has known = false and says why; the values that
 * it makes have rank -1. Nothing is guessed.
 *
 * A struct ps_shapes does not change after reading: any thread may look at it.
 */
#ifndef PS_MODEL_SHAPES_H
#define PS_MODEL_SHAPES_H

#include "base/arena.h"
#include "model/model.h"

#define PS_SHAPES_MAX_VALUES 400000
#define PS_SHAPES_MAX_ARGS   1024 /* inputs, outputs or attributes of one node */
#define PS_SHAPES_MAX_INTS   16	  /* of an attribute or a stored tensor, to be kept */
#define PS_SHAPES_MAX_MEMORY (INT64_C(256) << 20)

struct ps_shapes_value {
	const char *name;
	enum ps_dtype dtype;
	int rank; /* -1: not known */
	int64_t dims[PS_TENSOR_MAX_RANK];
	bool stored;	    /* an initialiser, or the output of a Constant */
	bool input, output; /* of the graph */
	int maker;	    /* the node that makes it, or -1 */
	int uses;	    /* how often nodes read it */
	int n_ints; /* of a stored INT64 tensor of at most PS_SHAPES_MAX_INTS elements; or -1 */
	const int64_t *ints; /* n_ints of them */
};

enum ps_shapes_attr_kind { PS_SHAPES_INT, PS_SHAPES_FLOAT, PS_SHAPES_TEXT, PS_SHAPES_INTS };

struct ps_shapes_attr {
	const char *name;
	enum ps_shapes_attr_kind kind;
	double f;
	const char *text;
	int n; /* of ints; 1 for PS_SHAPES_INT; more than PS_SHAPES_MAX_INTS: they are not kept */
	int64_t ints[PS_SHAPES_MAX_INTS];
};

struct ps_shapes_node {
	const char *name; /* may be "" */
	const char *op;
	const char *domain; /* "" is ONNX's own */
	int *in, *out;	    /* values; -1 is one that is left out */
	int n_in, n_out;
	struct ps_shapes_attr *attrs;
	int n_attrs;
	bool known;
	const char *why; /* when not known */
};

struct ps_shapes {
	struct ps_arena arena; /* holds all of it */
	struct ps_shapes_value *values;
	struct ps_shapes_node *nodes;
	int n_values, n_nodes;
	int n_unknown; /* nodes with known = false */
};

/* What dimensions of any size are. */
struct ps_shapes_given {
	int64_t batch; /* >= 1 */
	int64_t steps; /* 0: a model that has such dimensions is refused */
};

/* ps_shapes_read reads the file at `path`: errors of ps_onnx_read, and PS_EINVAL when a shape does
 * not fit its operator (with the node's name) or a node reads what no node before it makes. Blocks;
 * needs the file's size in memory while it works. Free with ps_shapes_free. */
enum ps_status ps_shapes_read(const char *path, const struct ps_shapes_given *given,
			      struct ps_shapes *ret_shapes, struct ps_error *err);
/* ps_shapes_parse is the same for bytes in memory, which are only borrowed during the call. */
enum ps_status ps_shapes_parse(const void *data, size_t len, const struct ps_shapes_given *given,
			       struct ps_shapes *ret_shapes, struct ps_error *err);
void ps_shapes_free(struct ps_shapes *s);

/* ps_shapes_knows says whether shapes are known to follow from this operator of ONNX's own. */
bool ps_shapes_knows(const char *op);

/* ps_shapes_elements multiplies the dimensions; -1 when the shape is not known. */
int64_t ps_shapes_elements(const struct ps_shapes_value *v);
/* ps_shapes_bytes is that in bytes; -1 when shape or type is not known. */
int64_t ps_shapes_bytes(const struct ps_shapes_value *v);
/* ps_shapes_attr finds an attribute; NULL when there is none. */
const struct ps_shapes_attr *ps_shapes_attr(const struct ps_shapes_node *n, const char *name);
/* ps_shapes_int returns an integer attribute, or `otherwise`. */
int64_t ps_shapes_int(const struct ps_shapes_node *n, const char *name, int64_t otherwise);
/* ps_shapes_ints fills `ret` with `count` integers of an attribute, or with `otherwise` when it is
 * absent; false when it has another number of them. */
bool ps_shapes_ints(const struct ps_shapes_node *n, const char *name, int count, int64_t otherwise,
		    int64_t *ret);

#endif
