/* graph.h - builds a network layer by layer, for the zoo and for tests.   Layer 1, pure data.
 *
 * A graph is a list of layers over values; a value is an int that the layer functions return and
 * take. Errors stick: after the first one every layer returns PS_GRAPH_NONE, and ps_graph_status
 * says what happened, so that an architecture reads as a table. Shapes are followed as layers are
 * added (a wrong one is an error at once), parameters and multiply-accumulates are counted.
 *
 * Weights are not in memory: each tensor knows its name, its shape and its distribution, and
 * ps_onnx_write makes the numbers while writing, from the graph's seed and the stream of the
 * tensor's name. Their scales come from an analytic estimate of every value's mean and variance,
 * carried along with the shapes, so that the variance of each layer's output stays near one
 * for inputs of mean 0 and variance 1, without looking at data.
 *
 * Not thread-safe: a graph belongs to one thread.
 */
#ifndef PS_MODEL_GRAPH_H
#define PS_MODEL_GRAPH_H

#include "model/model.h"

#define PS_GRAPH_NONE  (-1)
#define PS_GRAPH_BATCH INT64_C(-1) /* a dimension of any size, called "batch" */
#define PS_GRAPH_STEPS INT64_C(-2) /* a dimension of any size, called "steps" */

#define PS_GRAPH_MAX_NODES  4096
#define PS_GRAPH_MAX_VALUES 16384
#define PS_GRAPH_MAX_CONCAT 8 /* inputs of one concatenation */

struct ps_graph;

/* ps_graph_new makes an empty graph. NULL when memory is out. Free with ps_graph_free. */
struct ps_graph *ps_graph_new(const char *name, uint64_t seed);
void ps_graph_free(struct ps_graph *g);
/* ps_graph_status is PS_OK or the first error: PS_EINVAL (a layer does not fit its input),
 * PS_ETOOBIG (a limit above, or 2^48 elements in one value), PS_ENOMEM. */
enum ps_status ps_graph_status(const struct ps_graph *g, struct ps_error *err);

/* ps_graph_input declares an FP32 input; dims may be PS_GRAPH_BATCH or PS_GRAPH_STEPS. */
int ps_graph_input(struct ps_graph *g, const char *name, int rank, const int64_t *dims);
/* ps_graph_output declares value `x` an output and calls it `name`. */
void ps_graph_output(struct ps_graph *g, int x, const char *name);

/* A convolution over [batch, channels, height, width]. Zero means the natural default: kernel_w
 * and pad_w as their partners, stride and groups 1, gain 1. */
struct ps_graph_conv {
	int out; /* channels */
	int kernel, kernel_w;
	int stride;
	int pad, pad_w;
	int groups;
	bool bias;
	double gain;  /* standard deviation of the output, the bias apart */
	double shift; /* standard deviation of the biases; 0: a tenth of the gain */
};
int ps_graph_conv(struct ps_graph *g, int x, const struct ps_graph_conv *c);

/* ps_graph_batch_norm normalises with stored statistics near the estimated ones; within a
 * channel the output has about the standard deviation `gain`, and the channels are shifted by
 * `shift` (a standard deviation; 0: a twentieth of the gain). */
int ps_graph_batch_norm(struct ps_graph *g, int x, double epsilon, double gain, double shift);

int ps_graph_relu(struct ps_graph *g, int x);
/* ps_graph_relu6 clips to [0, 6]. */
int ps_graph_relu6(struct ps_graph *g, int x);
int ps_graph_sigmoid(struct ps_graph *g, int x);
/* ps_graph_swish is x * sigmoid(x), as two nodes. */
int ps_graph_swish(struct ps_graph *g, int x);
/* ps_graph_add adds two values of equal shape. */
int ps_graph_add(struct ps_graph *g, int a, int b);
/* ps_graph_scale multiplies [batch, c, h, w] by [batch, c, 1, 1]. */
int ps_graph_scale(struct ps_graph *g, int x, int factor);
/* ps_graph_concat joins `n` values along the channels. */
int ps_graph_concat(struct ps_graph *g, const int *xs, int n);

struct ps_graph_pool {
	int kernel, stride, pad;
	bool ceil; /* round the output size up */
};
int ps_graph_max_pool(struct ps_graph *g, int x, const struct ps_graph_pool *p);
/* ps_graph_avg_pool counts padded positions as zeros. */
int ps_graph_avg_pool(struct ps_graph *g, int x, const struct ps_graph_pool *p);
/* ps_graph_global_avg_pool gives [batch, c, 1, 1]. */
int ps_graph_global_avg_pool(struct ps_graph *g, int x);
/* ps_graph_flatten gives [batch, everything else]. */
int ps_graph_flatten(struct ps_graph *g, int x);
/* ps_graph_gemm is a fully connected layer with bias over [batch, n]; output of standard
 * deviation 1. */
int ps_graph_gemm(struct ps_graph *g, int x, int out);

/* ps_graph_lstm and ps_graph_gru run one forward layer of `hidden` units over [steps, batch,
 * size] and give every step's output, [steps, batch, hidden]. Zero initial state, both biases;
 * the GRU applies its reset gate after the product (linear_before_reset = 1). */
int ps_graph_lstm(struct ps_graph *g, int x, int hidden);
int ps_graph_gru(struct ps_graph *g, int x, int hidden);

/* ps_graph_shape borrows the shape of `x` (dynamic dimensions are negative) until the graph is
 * freed; rank 0 for PS_GRAPH_NONE. */
const int64_t *ps_graph_shape(const struct ps_graph *g, int x, int *ret_rank);

struct ps_graph_counts {
	int64_t parameters; /* without the mean and variance of batch normalisation */
	int64_t macs;	    /* multiply-accumulates of convolutions and products, for one item of
			     * the batch, and one step where there are steps */
	int nodes;
};
void ps_graph_count(const struct ps_graph *g, struct ps_graph_counts *ret_counts);

#endif
