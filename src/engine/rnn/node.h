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

/* What a node says. The weights are copies (a file's may lie at any address). */
struct ps_rnn_node {
	struct ps_rnn_spec spec;
	struct ps_rnn_weights weights;
	float *owned[4];
};

/* ps_rnn_node_is says whether a node is a recurrent layer of ONNX's own. */
bool ps_rnn_node_is(const struct ps_edit_node *n);
/* ps_rnn_node_read reads such a node. The error names it.
 *   PS_EUNSUPPORTED: ONNX may allow it and we do not compute it: weights that are no constants of
 *   the file, another type than float32, an activation or attribute that is not known here.
 *   PS_EINVAL, PS_ETOOBIG: no runtime could: shapes that do not agree with each other or with
 *   hidden_size, sizes below 1 or over the limits of rnn.h. PS_ENOMEM.
 * Free with ps_rnn_node_fini. */
enum ps_status ps_rnn_node_read(const struct ps_edit *e, const struct ps_edit_node *n,
				struct ps_rnn_node *ret_node, struct ps_error *err);
void ps_rnn_node_fini(struct ps_rnn_node *n);
/* ps_rnn_node_check says what ps_rnn_node_read would, and whether the layer can be had in this
 * precision (PS_EUNSUPPORTED); copies nothing. */
enum ps_status ps_rnn_node_check(const struct ps_edit *e, const struct ps_edit_node *n,
				 enum ps_rnn_precision precision, struct ps_error *err);

/* How a layer is wanted. */
struct ps_rnn_wish {
	enum ps_rnn_precision precision;
	double max_error;	    /* of a reduced precision, as ps_rnn_measure gives it */
	struct ps_rnn_tuner *tuner; /* tune.h; NULL: layers run as they are */
};
#define PS_RNN_MAX_ERROR 0.05 /* where nobody said another limit */

/* ps_rnn_node_load reads a node and packs its layer on the calling thread; in a reduced precision
 * it is measured on drawn calibration input. Errors of ps_rnn_node_read; PS_EUNSUPPORTED where the
 * layer cannot be had in this precision; PS_EINVAL when the error is over the limit. */
enum ps_status ps_rnn_node_load(const struct ps_edit *e, const struct ps_edit_node *n,
				const struct ps_rnn_wish *wish, struct ps_rnn **ret_rnn,
				double *ret_error, struct ps_error *err);
/* ps_rnn_wish_read reads a precision by its name; a max_error of 0 is PS_RNN_MAX_ERROR. PS_EINVAL.
 */
enum ps_status ps_rnn_wish_read(const char *precision, double max_error,
				struct ps_rnn_wish *ret_wish, struct ps_error *err);
/* ps_rnn_log_taken writes the line that says what is computed here. */
void ps_rnn_log_taken(const char *path, const char *where, int layers,
		      const struct ps_rnn_wish *wish, double error);
/* ps_rnn_precision_named reads "float32", "bf16" or "int8"; false: none of them. */
bool ps_rnn_precision_named(const char *name, enum ps_rnn_precision *ret_precision);
const char *ps_rnn_precision_name(enum ps_rnn_precision precision);
/* ps_rnn_node_name: what a reader knows it by. */
const char *ps_rnn_node_name(const struct ps_edit_node *n);

#endif
