/* kernel_internal.h - what one instruction set does for the loop: products of a block and the end
 * of a step. All kernels are made from kernel_body.h with another width of vectors.
 *
 * A block is 16 hidden units. Its weights lie as [k / group][gates][16][group]: 64 bytes per gate
 * in each precision, so one order of loads serves every width, and sixteen groups of one gate are a
 * tile of AMX. Its pre-activations are a row of `slots` times 16 floats per row of the batch.
 *
 * What is multiplied with the weights are floats, or codes of them where an instruction wants
 * those: bytes in int8, bfloat16 in bf16.
 */
#ifndef PS_ENGINE_RNN_KERNEL_INTERNAL_H
#define PS_ENGINE_RNN_KERNEL_INTERNAL_H

#include "engine/rnn/rnn.h"

#define PS_RNN_BLOCK 16

/* acc[row][gate][16] += sum over k of in[row][k] * weights[k][gate][16], times scales in int8. */
struct ps_rnn_product {
	const void *weights;
	const float *scales;	/* int8: [gates][16], of the weights */
	const int32_t *offsets; /* int8: [gates][16], the sum of each row of weights times -128 */
	int64_t k;
	int gates;
	int64_t rows;
	bool many; /* a row is summed alike whatever its number and neighbours, which for x * W
		    * depend on how many threads there are */
	const void *const *in;	/* [rows], of k values; codes: up to whole groups, 0 there */
	const float *in_scales; /* int8: [rows] */
	float *const *acc;	/* [rows], at the first of `gates` slots; 64-byte aligned */
	int prefetch;		/* one row: weights so many bytes ahead are asked for; 0: none */
};

/* k values that lie together, and the bytes of a weight: float32 1 x 4, bf16 2 x 2, int8 4 x 1. */
static inline int ps_rnn_group(enum ps_rnn_precision p)
{
	return p == PS_RNN_INT8 ? 4 : p == PS_RNN_BFLOAT16 ? 2 : 1;
}

/* Where the slots of a row of pre-activations are. A GRU has its gates in the order n z r, so that
 * what W fills (n z r) and what R fills (z r, and n apart) are each in one piece. */
enum {
	PS_RNN_SLOT_N = 0, /* GRU: candidate, from x; and from r*h when not linear before reset */
	PS_RNN_SLOT_Z = 1,
	PS_RNN_SLOT_R = 2,
	PS_RNN_SLOT_NH = 3, /* GRU, linear before reset: candidate from h */
	PS_RNN_SLOT_I = 0,  /* LSTM, ONNX's order */
	PS_RNN_SLOT_O = 1,
	PS_RNN_SLOT_F = 2,
	PS_RNN_SLOT_C = 3
};

/* The end of a step for one block of one row. */
struct ps_rnn_finish {
	const struct ps_rnn_spec *spec;
	const struct ps_rnn_functions *functions;
	const float *p; /* [3][16] peepholes i o f of the block; NULL: none */
	const float *acc;
	const float *h; /* [16] before the step */
	float *c;	/* [16] LSTM: read and written */
	float *next;	/* [16] */
};

struct ps_rnn_kernel {
	const char *name;
	bool (*works)(void); /* whether this processor and its system can */
	void (*product[PS_RNN_PRECISIONS])(const struct ps_rnn_product *p);
	/* What a product reads in place of n floats. int8: from[i] * scale, rounded, within 127, as
	 * this kernel keeps signs; bf16: the nearest, `scale` is not looked at. Whether there was
	 * no NaN that the codes do not show. NULL: the product reads floats. */
	bool (*encode[PS_RNN_PRECISIONS])(const float *from, int64_t n, float scale, void *to);
	/* the largest magnitude; NaN when there is one */
	float (*largest)(const float *from, int64_t n);
	void (*lstm)(const struct ps_rnn_finish *f);
	void (*gru)(const struct ps_rnn_finish *f);
	/* reset of a classic GRU: next = r * h, before the candidate's product */
	void (*reset)(const struct ps_rnn_finish *f);
	void (*plain)(const struct ps_rnn_finish *f);
	/* one activation over n floats, n a multiple of 16; for tests */
	void (*apply)(const struct ps_rnn_function *f, float *v, size_t n);
};

/* Each has all of those before it. */
extern const struct ps_rnn_kernel ps_rnn_kernel_plain, ps_rnn_kernel_avx2, ps_rnn_kernel_avx512,
	ps_rnn_kernel_avx512_vnni, ps_rnn_kernel_avx512_bf16, ps_rnn_kernel_amx;

/* ps_rnn_kernels lists those that this program has, the widest first, NULL at the end. */
extern const struct ps_rnn_kernel *const ps_rnn_kernels[];
/* ps_rnn_kernel_usable says whether this processor can, and small products came out right when
 * they were tried, which is once in a process; a line of the log says so when they did not. */
bool ps_rnn_kernel_usable(const struct ps_rnn_kernel *k);
/* ps_rnn_kernel_right tries the small products. */
bool ps_rnn_kernel_right(const struct ps_rnn_kernel *k);
/* ps_rnn_kernel_best is the widest that is usable; the one that PERSEUS_RNN_ISA names ("plain",
 * "avx2", "avx512", "avx512_vnni", "avx512_bf16", "amx") in its place where that is usable. */
const struct ps_rnn_kernel *ps_rnn_kernel_best(void);

/* Bytes of a value that a product reads; 4: the floats themselves. */
static inline int64_t ps_rnn_code_bytes(const struct ps_rnn_kernel *k, enum ps_rnn_precision p)
{
	return k->encode[p] ? 4 / ps_rnn_group(p) : 4;
}

/* Bytes of a row of codes: whole lines, so that tiles never straddle them. */
static inline int64_t ps_rnn_code_row(const struct ps_rnn_kernel *k, enum ps_rnn_precision p,
				      int64_t values)
{
	return (values * ps_rnn_code_bytes(k, p) + 63) / 64 * 64;
}

#endif
