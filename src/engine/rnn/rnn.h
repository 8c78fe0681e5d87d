/* rnn.h - recurrent layers (LSTM, GRU, plain RNN) as one fused loop.   Layer 2. Uses base.
 *
 * A layer is made once from its description and weights (ps_rnn_new packs them into memory of its
 * own; the caller's may go), and then run any number of times. It computes what ONNX's operators
 * LSTM, GRU and RNN (opset 14 and later) define: directions, initial states, peepholes, clip,
 * activations with alpha and beta, sequence lengths, layout 0 and 1, any batch and any length.
 *
 * Shapes, D directions (1 or 2), G gates (LSTM 4 in the order i o f c, GRU 3 in the order z r h,
 * plain 1), H hidden units, I inputs, T steps, N rows of the batch, row-major float32:
 *
 *   W [D][G*H][I]   R [D][G*H][H]   B [D][2*G*H] (of W, then of R)   P [D][3*H] (i o f)
 *   layout 0: X [T][N][I]   Y [T][D][N][H]   initial and last h, c [D][N][H]
 *   layout 1: X [N][T][I]   Y [N][T][D][H]   initial and last h, c [N][D][H]
 *
 * Threads: new, run and free from any thread, and several runs of one layer at once: each has room
 * of its own, kept for later runs. A team (team.h) has one run at a time; without one a run is made
 * by the calling thread alone.
 */
#ifndef PS_ENGINE_RNN_RNN_H
#define PS_ENGINE_RNN_RNN_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PS_RNN_MAX_HIDDEN 65536 /* units, and inputs, of a layer; more is PS_ETOOBIG */
#define PS_RNN_MAX_BATCH  4096
#define PS_RNN_MAX_STEPS  (INT64_C(1) << 24)

enum ps_rnn_cell { PS_RNN_PLAIN, PS_RNN_GRU, PS_RNN_LSTM };
enum ps_rnn_direction { PS_RNN_FORWARD, PS_RNN_REVERSE, PS_RNN_BOTH };
enum ps_rnn_activation {
	PS_RNN_RELU,
	PS_RNN_TANH,
	PS_RNN_SIGMOID,
	PS_RNN_AFFINE,		 /* alpha x + beta */
	PS_RNN_LEAKY_RELU,	 /* x < 0: alpha x */
	PS_RNN_THRESHOLDED_RELU, /* x < alpha: 0 */
	PS_RNN_SCALED_TANH,	 /* alpha tanh(beta x) */
	PS_RNN_HARD_SIGMOID,	 /* alpha x + beta, within 0 and 1 */
	PS_RNN_ELU,		 /* x < 0: alpha (e^x - 1) */
	PS_RNN_SOFTSIGN,	 /* x / (1 + |x|) */
	PS_RNN_SOFTPLUS,	 /* log(1 + e^x) */
	PS_RNN_ACTIVATIONS
};

struct ps_rnn_function {
	enum ps_rnn_activation kind;
	float alpha, beta;
};

/* What ONNX calls f, g and h: f for the gates, g for the candidate, h for the cell's output (LSTM
 * only). A plain RNN has f only, a GRU f and g. */
struct ps_rnn_functions {
	struct ps_rnn_function f, g, h;
};

/* How weights, and what they are multiplied with, are kept. Sums, states and activations are always
 * float32. */
enum ps_rnn_precision {
	PS_RNN_FLOAT32,
	PS_RNN_BFLOAT16, /* weights rounded to 8 bits of fraction; with AVX512-BF16 and AMX x and h,
			  * too, and what is below the least normal number is 0 */
	PS_RNN_INT8,	 /* weights with a scale per row of the matrix, x with one per row, h with a
			  * fixed one: needs |h| <= max(1, |h0|), see ps_rnn_can */
	PS_RNN_PRECISIONS
};

struct ps_rnn_spec {
	enum ps_rnn_cell cell;
	enum ps_rnn_direction direction;
	int layout; /* 0 or 1 */
	int64_t inputs, hidden;
	struct ps_rnn_functions functions[2]; /* forward (or the only direction), backward */
	float clip;			      /* of what goes into f and g; 0: none */
	bool linear_before_reset;	      /* GRU */
	bool input_forget;		      /* LSTM: the forget gate is 1 - the input gate */
};

/* Borrowed during the call. */
struct ps_rnn_weights {
	const float *w, *r;
	const float *b, *p; /* NULL: zeros */
};

/* Borrowed during the call; must not overlap, except that the last states may be written over the
 * initial ones. */
struct ps_rnn_run {
	int64_t steps, batch;
	const float *x;
	const int32_t *lens;  /* [N], 0 to steps each; NULL: all are steps. A row of 0 steps has
			       * zeros for its last states, as in ONNX Runtime */
	const float *h0, *c0; /* NULL: zeros */
	float *y, *y_h, *y_c; /* NULL: not wanted */
};

struct ps_rnn;
struct ps_rnn_team; /* team.h */

/* ps_rnn_spec_default fills a description with ONNX's defaults (f sigmoid, g and h tanh; a plain
 * RNN's f tanh) for a cell of these sizes. */
struct ps_rnn_spec ps_rnn_spec_default(enum ps_rnn_cell cell, int64_t inputs, int64_t hidden);
/* ps_rnn_function_named finds an activation by ONNX's name ("Tanh", any case), with ONNX's default
 * alpha and beta. PS_ENOTFOUND. */
enum ps_status ps_rnn_function_named(const char *name, struct ps_rnn_function *ret_function,
				     struct ps_error *err);
/* ps_rnn_uses_alpha and _beta: whether the activation reads it (ONNX's lists of alphas and betas
 * hold values for those only). */
bool ps_rnn_uses_alpha(enum ps_rnn_activation a);
bool ps_rnn_uses_beta(enum ps_rnn_activation a);
/* ps_rnn_gates: 1, 3 or 4. */
int ps_rnn_gates(enum ps_rnn_cell cell);
/* ps_rnn_spec_check says whether the description makes sense. PS_EINVAL (sizes below 1, a negative
 * or NaN clip, an unknown value), PS_ETOOBIG. */
enum ps_status ps_rnn_spec_check(const struct ps_rnn_spec *spec, struct ps_error *err);
/* ps_rnn_spec_same says whether two descriptions are of the same layer. */
bool ps_rnn_spec_same(const struct ps_rnn_spec *a, const struct ps_rnn_spec *b);
/* ps_rnn_can says whether a layer can be computed in this precision: int8 wants outputs that stay
 * within 1, which the usual activations give. PS_EUNSUPPORTED with the reason. */
enum ps_status ps_rnn_can(const struct ps_rnn_spec *spec, enum ps_rnn_precision precision,
			  struct ps_error *err);

/* ps_rnn_new packs the weights; the threads of `team` (may be NULL) each copy the part that is near
 * them in a run. What ps_rnn_spec_check and ps_rnn_can say; PS_ENOMEM. Free with ps_rnn_free. */
enum ps_status ps_rnn_new(const struct ps_rnn_spec *spec, enum ps_rnn_precision precision,
			  const struct ps_rnn_weights *weights, struct ps_rnn_team *team,
			  struct ps_rnn **ret_rnn, struct ps_error *err);
/* ps_rnn_free may be given NULL; no run may be inside. */
void ps_rnn_free(struct ps_rnn *r);
/* ps_rnn_run computes a batch of sequences with a team's threads, or on the calling thread alone
 * (NULL). Results do not depend on the number of threads.
 * PS_EINVAL (batch or steps below 0, a length outside 0 to steps), PS_ETOOBIG (the limits above),
 * PS_ENOMEM.
 */
enum ps_status ps_rnn_run(struct ps_rnn *r, struct ps_rnn_team *team, const struct ps_rnn_run *run,
			  struct ps_error *err);
/* ps_rnn_spec_of borrows the description of a layer. */
const struct ps_rnn_spec *ps_rnn_spec_of(const struct ps_rnn *r);
/* ps_rnn_kernel_name says what computes: "amx", "avx512_bf16", "avx512_vnni", "avx512", "avx2",
 * "plain". */
const char *ps_rnn_kernel_name(const struct ps_rnn *r);
/* ps_rnn_bytes: of packed weights, and of the room for runs, which is kept for later ones. */
size_t ps_rnn_bytes(struct ps_rnn *r);

/* What a layer takes before it is there. */
struct ps_rnn_need {
	int64_t packed_bytes; /* of weights; exactly what ps_rnn_bytes says before the first run */
	int64_t run_bytes;    /* of room that one long run of one row takes, and is then kept */
};
/* ps_rnn_need_of forecasts a layer that ps_rnn_spec_check allows, run on `threads` threads;
 * `peepholes`: its weights have P. */
struct ps_rnn_need ps_rnn_need_of(const struct ps_rnn_spec *spec, enum ps_rnn_precision precision,
				  bool peepholes, int threads);

/* Input that a precision is measured on. */
struct ps_rnn_calibration {
	int64_t steps, batch; /* PS_RNN_CALIBRATION_STEPS and _BATCH are usual */
	const float *x;	      /* in the layer's layout; NULL: drawn from `seed`, each value even
			       * between -1.7 and 1.7 (variance 1) */
	uint64_t seed;
	/* Called before and after each slice of a few steps, where others want the same CPUs (of a
	 * layer that is not forward in layout 0: once for all steps); NULL: not. */
	void (*borrow)(void *ctx), (*give_back)(void *ctx);
	void *ctx;
};
#define PS_RNN_CALIBRATION_STEPS 32
#define PS_RNN_CALIBRATION_BATCH 2

/* ps_rnn_measure runs a layer and the same one in float32 on that input, from zero states, and
 * gives the largest difference of an output; infinite when one is no number and the other is.
 * PS_EINVAL, PS_ETOOBIG, PS_ENOMEM. Needs the float32 weights packed once more while it works. */
enum ps_status ps_rnn_measure(struct ps_rnn *r, struct ps_rnn_team *team,
			      const struct ps_rnn_weights *weights,
			      const struct ps_rnn_calibration *calibration, double *ret_error,
			      struct ps_error *err);

/* ps_rnn_watch makes every run from now on compute `exact` too, the same layer in float32, which is
 * borrowed until ps_rnn_watched: the run gives the results of `exact`, and the layer notes how far
 * its own are off. For one run at a time. PS_ENOMEM. */
enum ps_status ps_rnn_watch(struct ps_rnn *r, struct ps_rnn *exact, struct ps_error *err);
/* ps_rnn_watched ends that and gives the largest difference of an output, as ps_rnn_measure does,
 * and how many values were compared: with 0 nothing was measured. */
void ps_rnn_watched(struct ps_rnn *r, double *ret_error, int64_t *ret_values);

#endif
