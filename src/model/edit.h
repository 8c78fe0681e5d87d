/* edit.h - an ONNX file node by node, and the same file with some nodes replaced.   Layer 1, pure
 * data.
 *
 * Reading trusts nothing, with the limits of onnx.h and those below. The file's bytes are borrowed
 * as long as the struct lives: stored tensors are pointers into them. Names are checked for zero
 * bytes only, and no graph inside a node (of If, Loop, ...) is read but for the names that it uses.
 *
 * Writing copies every field that was not replaced as it is, known or not. A stored tensor whose
 * last use was in a replaced node goes, and so does its row among the graph's inputs.
 *
 * Not thread-safe.
 */
#ifndef PS_MODEL_EDIT_H
#define PS_MODEL_EDIT_H

#include "base/arena.h"
#include "base/strbuf.h"
#include "model/model.h"

#define PS_EDIT_MAX_ARGS   1024	 /* inputs, outputs or attributes of one node */
#define PS_EDIT_MAX_VALUES 65536 /* numbers or texts of one attribute */
#define PS_EDIT_MAX_DEPTH  16	 /* graphs inside graphs */
#define PS_EDIT_MAX_MEMORY (INT64_C(256) << 20)

/* A tensor whose values are in the file: an initialiser, or the value of a Constant. */
struct ps_edit_stored {
	const char *name;
	enum ps_dtype dtype;
	int rank; /* may be above PS_TENSOR_MAX_RANK; then dims holds the first ones */
	int64_t dims[PS_TENSOR_MAX_RANK];
	int64_t elements;
	const void *data; /* elements in little-endian order, perhaps at an odd address; NULL: they
			   * are in another file, or in a form that is not read */
	bool external;
	int uses;      /* inputs of nodes, here and in inner graphs, and outputs of the graph */
	bool constant; /* of a Constant node */
	const int64_t *ints;	/* INT64 of at most PS_TENSOR_MAX_RANK elements: these; else NULL */
	bool released, dropped; /* a replaced node read it; nobody does any more */
};

enum ps_edit_kind { PS_EDIT_INTS, PS_EDIT_FLOATS, PS_EDIT_TEXTS, PS_EDIT_OTHER };

/* An attribute; a single number or text is a list of one. */
struct ps_edit_attr {
	const char *name;
	enum ps_edit_kind kind;
	int n;
	const int64_t *ints;
	const float *floats;
	const char *const *texts;
};

struct ps_edit_node {
	const char *name, *op, *domain;	    /* "" where the file says nothing */
	const char *const *in, *const *out; /* "" is one that is left out */
	int n_in, n_out;
	const struct ps_edit_attr *attrs;
	int n_attrs;
	bool has_graph;		 /* one of its attributes is a graph */
	const char *replacement; /* NULL: none */
	size_t replacement_bytes;
};

/* An input or output of the graph. */
struct ps_edit_value {
	struct ps_tensor_spec spec;		 /* rank -1: no shape; dims -1: any size */
	const char *symbols[PS_TENSOR_MAX_RANK]; /* names of open dimensions, or "" */
	bool stored; /* an input that has an initialiser, so nobody needs to give it */
};

struct ps_edit {
	struct ps_arena arena;
	const uint8_t *data;
	size_t len;
	int64_t opset; /* of ONNX's own domain */
	struct ps_edit_node *nodes;
	struct ps_edit_stored *stored; /* by name */
	struct ps_edit_value *inputs, *outputs;
	int n_nodes, n_stored, n_inputs, n_outputs;
};

/* ps_edit_parse reads a file of `len` bytes, which must outlive *ret_edit. PS_EPARSE, PS_ETOOBIG,
 * PS_EUNSUPPORTED (a name or rank over the limits of model.h), PS_ENOMEM. Free with ps_edit_fini.
 */
enum ps_status ps_edit_parse(const void *data, size_t len, struct ps_edit *ret_edit,
			     struct ps_error *err);
void ps_edit_fini(struct ps_edit *e);

/* ps_edit_find finds a stored tensor; NULL when none has that name ("" never does). O(log n). */
struct ps_edit_stored *ps_edit_find(const struct ps_edit *e, const char *name);
/* ps_edit_attr finds an attribute of a node; NULL when there is none. */
const struct ps_edit_attr *ps_edit_attr(const struct ps_edit_node *n, const char *name);
/* ps_edit_int gives an integer attribute, or `otherwise` when it is absent. PS_EINVAL when it is
 * none or several. */
enum ps_status ps_edit_int(const struct ps_edit_node *n, const char *name, int64_t otherwise,
			   int64_t *ret_value, struct ps_error *err);

/* What stands in place of a node: the same name and outputs, some of its inputs, some numbers. */
struct ps_edit_replacement {
	const char *op, *domain;
	const struct ps_edit_number {
		const char *name;
		int64_t value;
	} * numbers; /* its attributes */
	int n_numbers;
	const int *keep; /* places of the inputs that stay, in their new order; one that the node
			  * does not have is left out */
	int n_keep;
};
/* ps_edit_replace replaces node `node`, once. PS_ENOMEM. */
enum ps_status ps_edit_replace(struct ps_edit *e, int node, const struct ps_edit_replacement *r,
			       struct ps_error *err);
/* ps_edit_write appends the file as it is now to an initialised string, with version 1 of `domain`
 * among its operator sets. PS_ENOMEM, PS_ETOOBIG. */
enum ps_status ps_edit_write(const struct ps_edit *e, const char *domain, struct ps_strbuf *to,
			     struct ps_error *err);

#endif
