/* perseus_rnn.h - recurrent layers (LSTM, GRU, plain RNN) for programs of your own.
 *
 * This header and libperseus_rnn.a are all that is needed; there is no ONNX Runtime behind it:
 *
 *	cc program.c -lperseus_rnn -lm -lpthread
 *
 * A layer computes what ONNX's operators LSTM, GRU and RNN (opset 14 and later) define. With D
 * directions (1 or 2), G gates (LSTM 4 in the order i o f c, GRU 3 in the order z r h, plain 1), H
 * hidden units, I inputs, T steps and N rows of a batch, all row-major float32:
 *
 *	w [D][G*H][I]   r [D][G*H][H]   b [D][2*G*H] (of w, then of r)   p [D][3*H] (i o f)
 *	layout 0: x [T][N][I]   y [T][D][N][H]   initial and last h, c [D][N][H]
 *	layout 1: x [N][T][I]   y [N][T][D][H]   initial and last h, c [N][D][H]
 *
 * Functions that can fail return a status, 0 for success, and then write their results; else they
 * leave the reason in `error`, which may be NULL. Nothing is printed, and nobody exits.
 *
 * Threads: any function from any thread; several runs of one layer at once are fine. A team has one
 * run at a time, a second one waits. A layer must outlive its runs, a team its layers' runs.
 */
#ifndef PERSEUS_RNN_H
#define PERSEUS_RNN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum perseus_rnn_status {
	PERSEUS_RNN_OK,
	PERSEUS_RNN_INVALID, /* sizes, values or shapes that make no sense */
	PERSEUS_RNN_TOO_BIG, /* over 65,536 units or inputs, 4,096 rows, 2^24 steps, 64 threads */
	PERSEUS_RNN_UNSUPPORTED, /* not to be had in this precision */
	PERSEUS_RNN_NO_MEMORY,
	PERSEUS_RNN_SYSTEM /* a thread could not be started */
};

struct perseus_rnn_error {
	char text[512]; /* cut with "..." when longer */
};

enum perseus_rnn_cell { PERSEUS_RNN_PLAIN, PERSEUS_RNN_GRU, PERSEUS_RNN_LSTM };
enum perseus_rnn_direction { PERSEUS_RNN_FORWARD, PERSEUS_RNN_REVERSE, PERSEUS_RNN_BOTH };
/* How weights are kept; sums, states and activations are always float32. int8 wants activations
 * whose results stay within 1, as the usual ones do. */
enum perseus_rnn_precision { PERSEUS_RNN_FLOAT32, PERSEUS_RNN_BFLOAT16, PERSEUS_RNN_INT8 };

/* An activation by ONNX's name: "Tanh", "Sigmoid", "HardSigmoid", "Relu", ... NULL: the usual one
 * of its place. */
struct perseus_rnn_function {
	const char *name;
	bool has_constants; /* alpha and beta are meant; else they are ONNX's */
	float alpha, beta;
};

/* Zero the whole struct before filling it. */
struct perseus_rnn_spec {
	enum perseus_rnn_cell cell;
	enum perseus_rnn_direction direction;
	int layout;		/* 0 or 1 */
	int64_t inputs, hidden; /* at least 1 */
	/* f, g and h of the forward (or the only) direction, then of the backward one. A plain RNN
	 * has f only, a GRU f and g. */
	struct perseus_rnn_function functions[2][3];
	float clip;		  /* of what goes into f and g; 0: none */
	bool linear_before_reset; /* GRU */
	bool input_forget;	  /* LSTM: the forget gate is 1 - the input gate */
};

/* Borrowed during a call. */
struct perseus_rnn_weights {
	const float *w, *r;
	const float *b, *p; /* NULL: zeros */
};

/* Borrowed during the call; must not overlap, but that the last states may be written over the
 * initial ones. Zero the whole struct before filling it. */
struct perseus_rnn_run {
	int64_t steps, batch;
	const float *x;
	const int32_t *lens;  /* [N], 0 to steps each; NULL: all are steps */
	const float *h0, *c0; /* NULL: zeros */
	float *y, *y_h, *y_c; /* NULL: not wanted */
};

struct perseus_rnn;
struct perseus_rnn_team;

/* perseus_rnn_team_new starts threads that compute runs together with the thread that asks for
 * one: `threads` in all, the others pinned to the CPUs of the list in turn, from its second on
 * (n_cpus 0: not pinned). Free with perseus_rnn_team_free, no run inside; NULL is allowed. */
enum perseus_rnn_status perseus_rnn_team_new(int threads, const int *cpus, int n_cpus,
					     struct perseus_rnn_team **ret_team,
					     struct perseus_rnn_error *error);
void perseus_rnn_team_free(struct perseus_rnn_team *team);

/* perseus_rnn_new packs a layer; the weights may go afterwards. `team` (NULL: none) should be the
 * one that will run it. Free with perseus_rnn_free, no run inside; NULL is allowed. */
enum perseus_rnn_status perseus_rnn_new(const struct perseus_rnn_spec *spec,
					enum perseus_rnn_precision precision,
					const struct perseus_rnn_weights *weights,
					struct perseus_rnn_team *team, struct perseus_rnn **ret_rnn,
					struct perseus_rnn_error *error);
void perseus_rnn_free(struct perseus_rnn *rnn);

/* perseus_rnn_run computes a batch of sequences with a team, or (NULL) on the calling thread alone.
 * Results are the same bits for any number of threads. */
enum perseus_rnn_status perseus_rnn_run(struct perseus_rnn *rnn, struct perseus_rnn_team *team,
					const struct perseus_rnn_run *run,
					struct perseus_rnn_error *error);

/* perseus_rnn_measure gives the largest difference of an output from the same layer in float32, on
 * x (in the layer's layout, from zero states), or, with x NULL, on numbers that are drawn evenly
 * with variance 1, always the same. */
enum perseus_rnn_status perseus_rnn_measure(struct perseus_rnn *rnn, struct perseus_rnn_team *team,
					    const struct perseus_rnn_weights *weights,
					    int64_t steps, int64_t batch, const float *x,
					    double *ret_difference,
					    struct perseus_rnn_error *error);

/* perseus_rnn_bytes: of packed weights, and of room that runs have used and that is kept. */
size_t perseus_rnn_bytes(struct perseus_rnn *rnn);
/* perseus_rnn_kernel names the instruction set that computes: "avx512", "avx2", "plain", ... */
const char *perseus_rnn_kernel(const struct perseus_rnn *rnn);

#ifdef __cplusplus
}
#endif

#endif
