/* kernel.c - which kernels this processor runs.
 *
 * Before a set of kernels is first used, it multiplies small whole numbers: every precision holds
 * them and their sums exactly, so any other result says that the processor, its emulation or the
 * compiler is broken, and the set is left alone.
 */
#include "engine/rnn/kernel_internal.h"

#include "base/log.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

const struct ps_rnn_kernel *const ps_rnn_kernels[] = {
#if defined __x86_64__
	&ps_rnn_kernel_amx,	    &ps_rnn_kernel_avx512_bf16,
	&ps_rnn_kernel_avx512_vnni, &ps_rnn_kernel_avx512,
	&ps_rnn_kernel_avx2,
#endif
	&ps_rnn_kernel_plain,	    NULL,
};

/* ---- small products ---- */

#define TRY_K	  150 /* whole tiles, and some over */
#define TRY_ROWS  18
#define TRY_GATES 4
#define TRY_WIDE  ((size_t)TRY_GATES * PS_RNN_BLOCK)

struct trial {
	_Alignas(64) char weights[(TRY_K + 3) / 4 * 4 * TRY_GATES * PS_RNN_BLOCK * 4];
	_Alignas(64) char codes[TRY_ROWS][(TRY_K * 4 + 63) / 64 * 64];
	_Alignas(64) float acc[TRY_ROWS][TRY_GATES * PS_RNN_BLOCK];
	float x[TRY_ROWS][TRY_K + 2];
	float scales[TRY_GATES * PS_RNN_BLOCK];
	int32_t offsets[TRY_GATES * PS_RNN_BLOCK];
};

/* A whole number within 127, another one for each place. */
static int whole(int64_t a, int64_t b)
{
	return (int)((uint64_t)(a * 7919 + b * 104729 + 31) * 2654435761U % 65521 % 255) - 127;
}

static void put_weight(struct trial *t, enum ps_rnn_precision p, int64_t k, int64_t u)
{
	int64_t group = ps_rnn_group(p);
	int64_t at = (k / group * (int64_t)TRY_WIDE + u) * group + k % group;
	float value = (float)whole(k, u);
	uint32_t bits;

	memcpy(&bits, &value, sizeof bits);
	if (p == PS_RNN_INT8)
		((int8_t *)t->weights)[at] = (int8_t)whole(k, u);
	else if (p == PS_RNN_BFLOAT16)
		((uint16_t *)t->weights)[at] = (uint16_t)(bits >> 16);
	else
		((float *)t->weights)[at] = value;
	t->offsets[u] -= 128 * whole(k, u);
}

static void prepare(struct trial *t, const struct ps_rnn_kernel *kernel, enum ps_rnn_precision p,
		    int gates)
{
	memset(t, 0, sizeof *t);
	for (int64_t u = 0; u < gates * PS_RNN_BLOCK; u++) {
		t->scales[u] = 1;
		for (int64_t k = 0; k < TRY_K; k++)
			put_weight(t, p, k, u);
	}
	for (int64_t row = 0; row < TRY_ROWS; row++) {
		for (int64_t k = 0; k < TRY_K; k++)
			t->x[row][k] = (float)whole(k + 1000, row);
		if (kernel->encode[p])
			kernel->encode[p](t->x[row], TRY_K, 1, t->codes[row]);
	}
}

static bool is_right(const struct trial *t, int64_t row, int64_t u)
{
	int64_t want = 3;

	for (int64_t k = 0; k < TRY_K; k++)
		want += whole(k + 1000, row) * whole(k, u);
	return t->acc[row][u] == (float)want;
}

static bool multiply(struct trial *t, const struct ps_rnn_kernel *kernel, enum ps_rnn_precision p,
		     int64_t rows, bool many)
{
	const void *in[TRY_ROWS];
	float *acc[TRY_ROWS], in_scales[TRY_ROWS];
	bool right = true;

	for (int row = 0; row < rows; row++) {
		in[row] = kernel->encode[p] ? (const void *)t->codes[row] : t->x[row];
		acc[row] = t->acc[row];
		in_scales[row] = 1;
		for (size_t u = 0; u < TRY_WIDE; u++)
			t->acc[row][u] = 3;
	}
	kernel->product[p](&(struct ps_rnn_product){.weights = t->weights,
						    .scales = t->scales,
						    .offsets = t->offsets,
						    .k = TRY_K,
						    .gates = TRY_GATES,
						    .rows = rows,
						    .many = many,
						    .in = in,
						    .in_scales = in_scales,
						    .acc = acc});
	for (int64_t row = 0; row < rows; row++) {
		for (int64_t u = 0; u < (int64_t)TRY_WIDE; u++)
			right = right && is_right(t, row, u);
	}
	return right;
}

bool ps_rnn_kernel_right(const struct ps_rnn_kernel *k)
{
	struct trial *t = aligned_alloc(64, (sizeof *t + 63) / 64 * 64);
	bool right = t;

	for (int p = 0; right && p < PS_RNN_PRECISIONS; p++) {
		prepare(t, k, (enum ps_rnn_precision)p, TRY_GATES);
		right = multiply(t, k, (enum ps_rnn_precision)p, 1, false) &&
			multiply(t, k, (enum ps_rnn_precision)p, TRY_ROWS, true);
	}
	free(t);
	return right;
}

/* ---- the choice ---- */

enum { UNKNOWN, USABLE, NOT_USABLE };

bool ps_rnn_kernel_usable(const struct ps_rnn_kernel *k)
{
	static atomic_int known[16];
	size_t i = 0;

	while (ps_rnn_kernels[i] != k)
		i++;
	int is = atomic_load_explicit(&known[i], memory_order_relaxed);
	if (is == UNKNOWN) { /* two threads at once find the same */
		is = k->works() ? USABLE : NOT_USABLE;
		if (is == USABLE && !ps_rnn_kernel_right(k)) {
			is = NOT_USABLE;
			ps_log(PS_LOG_WARN, "engine",
			       "products of recurrent layers by %s come out wrong on this"
			       " processor: it is not used",
			       k->name);
		}
		atomic_store_explicit(&known[i], is, memory_order_relaxed);
	}
	return is == USABLE;
}

const struct ps_rnn_kernel *ps_rnn_kernel_best(void)
{
	const char *asked = getenv("PERSEUS_RNN_ISA");

	for (size_t i = 0; asked && ps_rnn_kernels[i]; i++) {
		if (strcmp(ps_rnn_kernels[i]->name, asked) == 0 &&
		    ps_rnn_kernel_usable(ps_rnn_kernels[i]))
			return ps_rnn_kernels[i];
	}
	for (size_t i = 0; ps_rnn_kernels[i]; i++) {
		if (ps_rnn_kernel_usable(ps_rnn_kernels[i]))
			return ps_rnn_kernels[i];
	}
	return &ps_rnn_kernel_plain;
}
