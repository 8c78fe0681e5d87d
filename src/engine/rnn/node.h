/* node.h - a recurrent layer from a node of an ONNX file.   Layer 2, part of engine/rnn. Uses base,
 * model.
 */
#ifndef PS_ENGINE_RNN_NODE_H
#define PS_ENGINE_RNN_NODE_H

#include "engine/rnn/rnn.h"
#include "model/edit.h"

/* Places of a node's inputs. A GRU and a plain RNN end before the initial cell. */
enum {
	PS_RNN_IN_X,
	PS_RNN_IN_W,
	PS_RNN_IN_R,
	PS_RNN_IN_B,
	PS_RNN_IN_LENS,
	PS_RNN_IN_H,
	PS_RNN_IN_C,
	PS_RNN_IN_P
};

/* The places of what a layer packs. */
extern const int ps_rnn_node_places[4];

/* What a node says. The weights lie in the file's bytes, or in copies where those are at an address
 * that floats cannot have. */
struct ps_rnn_node {
	struct ps_rnn_spec spec;
	struct ps_rnn_weights weights;
	float *copies[4];
};

/* ps_rnn_node_is says whether a node is a recurrent layer of ONNX's own. */
bool ps_rnn_node_is(const struct ps_edit_node *n);
/* ps_rnn_node_read reads such a node. The error names it.
 *   PS_EUNSUPPORTED: ONNX may allow it and we do not compute it: weights that are no constants of
 *   the file, another type than float32, an activation or attribute that is not known here.
 *   PS_EINVAL, PS_ETOOBIG: no runtime could: shapes that do not agree with each other or with
 *   hidden_size, sizes below 1 or over the limits of rnn.h. PS_ENOMEM.
 * Free with ps_rnn_node_fini, before the file's bytes go. */
enum ps_status ps_rnn_node_read(const struct ps_edit *e, const struct ps_edit_node *n,
				struct ps_rnn_node *ret_node, struct ps_error *err);
void ps_rnn_node_fini(struct ps_rnn_node *n);
/* ps_rnn_node_check says what ps_rnn_node_read would, and whether the layer can be had in this
 * precision (PS_EUNSUPPORTED); copies nothing. */
enum ps_status ps_rnn_node_check(const struct ps_edit *e, const struct ps_edit_node *n,
				 enum ps_rnn_precision precision, struct ps_error *err);

/* What loading a node's layer takes: of a run on one thread. */
struct ps_rnn_node_need {
	struct ps_rnn_need layer, exact; /* in the precision, and in float32 */
	int64_t copied_bytes;		 /* of its weights, should all have to be copied */
};
/* ps_rnn_node_need forecasts a layer. Errors of ps_rnn_node_check. */
enum ps_status ps_rnn_node_need(const struct ps_edit *e, const struct ps_edit_node *n,
				enum ps_rnn_precision precision, struct ps_rnn_node_need *ret_need,
				struct ps_error *err);
/* ps_rnn_node_same says whether two nodes are one layer: the same weights and attributes. */
bool ps_rnn_node_same(const struct ps_edit *e, const struct ps_edit_node *a,
		      const struct ps_edit_node *b);
/* ps_rnn_precision_named reads "float32", "bf16" or "int8"; false: none of them. */
bool ps_rnn_precision_named(const char *name, enum ps_rnn_precision *ret_precision);
const char *ps_rnn_precision_name(enum ps_rnn_precision precision);
/* ps_rnn_node_name: what a reader knows it by. */
const char *ps_rnn_node_name(const struct ps_edit_node *n);

#endif
