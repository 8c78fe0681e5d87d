/* work.h - what a model makes a machine do, operator by operator, counted from its file alone.
 *   Layer 3, pure. Uses base and model.
 *
 * The operators are those that the engine runs, not those of the file: a batch normalisation is
 * folded into its convolution, an activation is part of the operator before it, and layouts are
 * changed where the engine changes them (fuse.c), so that the names and numbers of operators are
 * those of the engine's own profile. Work is counted for one run of the batch given.
 *
 * Bytes are of the tensors as declared (FP32: 4 per element). A tensor that is read by two
 * operators counts in both. Nothing is guessed: an operator whose work is not known has known =
 * false, no multiply-accumulates (NAN) and its name; the totals of its model are then those of the
 * rest, and `unknown` says so.
 */
#ifndef PS_PREDICT_WORK_H
#define PS_PREDICT_WORK_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ps_predict_kind {
	PS_PREDICT_CONV,      /* a convolution of one group, kernel over 1 x 1 */
	PS_PREDICT_IMAGE,     /* the same over at most 4 channels, which engines read as they are */
	PS_PREDICT_POINTWISE, /* a convolution of one group, kernel 1 x 1: a product of matrices */
	PS_PREDICT_DEPTHWISE, /* one channel per group */
	PS_PREDICT_GROUPED,   /* any other number of groups */
	PS_PREDICT_GEMM,      /* fully connected layers, products of matrices */
	PS_PREDICT_RECURRENT, /* LSTM, GRU */
	PS_PREDICT_POOL,      /* maximum or average over windows */
	PS_PREDICT_GLOBAL_POOL, /* over everything */
	PS_PREDICT_ELEMENTWISE, /* Add, Mul, activations that stand alone */
	PS_PREDICT_NORM,	/* a normalisation that stands alone */
	PS_PREDICT_CONCAT,
	PS_PREDICT_LAYOUT, /* changes of layout, which the engine puts in itself */
	PS_PREDICT_SHAPE,  /* Flatten, Reshape: nothing is computed or moved */
	PS_PREDICT_OTHER,  /* known is false */
	PS_PREDICT_KINDS,
};

#define PS_PREDICT_OP_NAME 64 /* of an operator's type, as in the engine's profile */

/* Of a convolution, a pool or a product; what does not apply is 0. A product of [m, k] and [k, n]
 * has batch = m, in_channels = k, out_channels = n, and 1 x 1 everywhere else. */
struct ps_predict_shape {
	int64_t batch;
	int64_t in_channels, in_h, in_w;
	int64_t out_channels, out_h, out_w;
	int64_t kernel_h, kernel_w, stride_h, stride_w, groups;
	int64_t steps; /* of a recurrent layer */
};

struct ps_predict_op {
	char *name;		       /* of the value it makes, as in the file */
	char type[PS_PREDICT_OP_NAME]; /* as the engine's profile calls it: "Conv", "ReorderInput"
					*/
	enum ps_predict_kind kind;
	bool known;
	int nodes;	    /* of the file that it stands for; 0: the engine put it in itself */
	double macs;	    /* multiply-accumulates; 0 where there are none, NAN: not known */
	double element_ops; /* operations on elements apart from those: comparisons, additions */
	double param_bytes; /* weights that it reads */
	double in_bytes, out_bytes;
	struct ps_predict_shape shape;
	double time_ns; /* measured, per run; NAN: not measured */
};

struct ps_predict_model {
	char *name;
	int64_t batch;
	struct ps_predict_op *ops; /* in the order of the file */
	size_t op_count;
	/* Totals over the operators that are known. */
	double macs, element_ops, param_bytes;
	double activation_bytes; /* read and written by all operators, weights apart */
	double peak_bytes;	 /* of activations that live at the same time, at the least */
	double parameters;	 /* elements, as published counts have them (onnx.h) */
	double input_bytes, output_bytes; /* of one request's batch */
	double intensity;		  /* multiply-accumulates per byte moved */
	size_t unknown;			  /* operators whose work is not known */
};

/* How the engine will run it. */
struct ps_predict_target {
	int64_t batch; /* what a dimension of any size at the front becomes; >= 1 */
	int64_t steps; /* what other dimensions of any size become; 0: such a model is refused */
	int block;  /* channels that the engine's blocked layout holds together: 16 with AVX-512, 8
		     * with AVX; 0: the engine has none, and no layouts are changed */
	bool fused; /* false: the file's own operators, one by one */
};

/* ps_predict_work reads the model file at `path` and counts. `name` is kept. PS_EINVAL (batch and
 * shapes that do not fit, which node), errors of ps_shapes_read; an operator that is not known is
 * no error. Free with ps_predict_model_fini. */
enum ps_status ps_predict_work(const char *path, const char *name,
			       const struct ps_predict_target *target,
			       struct ps_predict_model *ret_model, struct ps_error *err);
/* ps_predict_work_parse is the same for bytes in memory, which are only borrowed during the call.
 */
enum ps_status ps_predict_work_parse(const void *data, size_t len, const char *name,
				     const struct ps_predict_target *target,
				     struct ps_predict_model *ret_model, struct ps_error *err);
/* ps_predict_work_copy makes a copy of its own. PS_ENOMEM. */
enum ps_status ps_predict_work_copy(const struct ps_predict_model *m,
				    struct ps_predict_model *ret_model);
void ps_predict_model_fini(struct ps_predict_model *m);

/* ps_predict_kind_name returns "conv", "pointwise", ... */
const char *ps_predict_kind_name(enum ps_predict_kind k);
/* ps_predict_op_bytes is all that an operator moves. */
double ps_predict_op_bytes(const struct ps_predict_op *op);

#endif
