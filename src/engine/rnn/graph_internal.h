/* graph_internal.h - a graph of recurrent layers, and of what changes shapes between them, as steps
 * that run one after the other.
 */
#ifndef PS_ENGINE_RNN_GRAPH_INTERNAL_H
#define PS_ENGINE_RNN_GRAPH_INTERNAL_H

#include "engine/engine_internal.h"
#include "engine/rnn/layers.h"
#include "engine/rnn/team.h"

#define PS_RNN_GRAPH_MAX_STEPS 1024
#define PS_RNN_STEP_MAX_INPUTS 8

enum ps_rnn_step_kind {
	PS_RNN_STEP_LAYER,
	PS_RNN_STEP_TRANSPOSE,
	PS_RNN_STEP_SQUEEZE,
	PS_RNN_STEP_UNSQUEEZE,
	PS_RNN_STEP_RESHAPE,
	PS_RNN_STEP_SAME
};

struct ps_rnn_step {
	enum ps_rnn_step_kind kind;
	char *name;
	int in[PS_RNN_STEP_MAX_INPUTS], out[3]; /* values; -1: left out */
	struct ps_rnn *layer;			/* of the graph's set */
	int n; /* of list: the order of axes, axes, or a shape as Reshape has it; -1: all that are 1
		*/
	int64_t list[PS_TENSOR_MAX_RANK];
};

/* A value as far as it is known before a run: -1 is a dimension of any size. */
struct ps_rnn_shape {
	enum ps_dtype dtype;
	int rank;
	int64_t dims[PS_TENSOR_MAX_RANK];
};

struct ps_rnn_graph {
	struct ps_rnn_step *steps;
	int n_steps;
	struct ps_rnn_graph_value {
		char *name;
		struct ps_rnn_shape shape;
		float *constant; /* its values, when they are in the file; else NULL */
		int output; /* of the graph; or the one whose memory this may take, because nothing
			     * but changes of shape lie between; -1: none */
		int uses;   /* by steps, and as an output */
	} * values;
	int n_values;
	struct ps_tensor_spec *inputs, *outputs;
	int *input_values, *output_values;
	int n_inputs, n_outputs, cap_values;
	struct ps_rnn_layers layers;
};

/* ps_rnn_graph_is_pure says whether a file holds nothing but what can be such a graph: recurrent
 * layers that can be had in this precision, and Transpose, Squeeze, Unsqueeze, Reshape and
 * Identity. The reason is in `err`. False also when the file cannot be read. */
bool ps_rnn_graph_is_pure(const struct ps_edit *e, enum ps_rnn_precision precision,
			  struct ps_error *err);
/* ps_rnn_graph_load makes the steps of a file. PS_EUNSUPPORTED: it is not pure; errors of
 * ps_rnn_layers_add; PS_EINVAL: shapes that do not agree. Free with ps_rnn_graph_fini. */
enum ps_status ps_rnn_graph_load(const struct ps_edit *e, const struct ps_rnn_wish *wish,
				 struct ps_rnn_graph *ret_graph, struct ps_error *err);
void ps_rnn_graph_fini(struct ps_rnn_graph *g);
/* ps_rnn_step_shapes gives the shapes of what a step makes from those of what it reads (`in` and
 * `out` by place; absent ones have no type). Dimensions may be -1. PS_EINVAL. */
enum ps_status ps_rnn_step_shapes(const struct ps_rnn_step *s,
				  const struct ps_rnn_shape in[PS_RNN_STEP_MAX_INPUTS],
				  struct ps_rnn_shape out[3], struct ps_error *err);
/* ps_rnn_graph_run makes one run, with a team's threads or (NULL) on the calling thread. `run` was
 * checked against the graph's inputs. PS_EINVAL, PS_ETOOBIG, PS_ECANCELLED, PS_ENOMEM. */
enum ps_status ps_rnn_graph_run(const struct ps_rnn_graph *g, struct ps_rnn_team *team,
				struct ps_engine_run *run, struct ps_error *err);

#endif
