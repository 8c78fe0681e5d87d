/* The products of each set of kernels: whole numbers, which every precision holds exactly, so that
 * results are compared bit by bit. */
#include "engine/rnn/kernel_internal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

enum { MOST_K = 200, MOST_ROWS = 33, MOST_GATES = 4, UNITS = PS_RNN_BLOCK };

static const char *const precisions[] = {"float32", "bf16", "int8"};
static uint64_t state = 1;

/* A whole number within 127. */
static int drawn(void)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (int)(state >> 40) % 255 - 127;
}

struct operands {
	int w[MOST_GATES * UNITS][MOST_K], x[MOST_ROWS][MOST_K];
	_Alignas(64) char weights[(MOST_K + 3) * MOST_GATES * UNITS * 4];
	_Alignas(64) char codes[MOST_ROWS][MOST_K * 4 + 64];
	_Alignas(64) float acc[MOST_ROWS][MOST_GATES * UNITS];
	float values[MOST_ROWS][MOST_K], scales[MOST_GATES * UNITS];
	int32_t offsets[MOST_GATES * UNITS];
};

static void put(struct operands *o, enum ps_rnn_precision p, int gates, int k, int u)
{
	int group = ps_rnn_group(p), at = (k / group * gates * UNITS + u) * group + k % group;
	float value = (float)o->w[u][k];
	uint32_t bits;

	memcpy(&bits, &value, sizeof bits);
	if (p == PS_RNN_INT8)
		((int8_t *)o->weights)[at] = (int8_t)o->w[u][k];
	else if (p == PS_RNN_BFLOAT16)
		((uint16_t *)o->weights)[at] = (uint16_t)(bits >> 16);
	else
		((float *)o->weights)[at] = value;
	o->offsets[u] -= 128 * o->w[u][k];
}

/* What lies behind the last group is no part of the weights, nor of x: a product that reads it
 * shows. */
static void draw(struct operands *o, const struct ps_rnn_kernel *kernel, enum ps_rnn_precision p,
		 int gates, int k)
{
	int group = ps_rnn_group(p), whole = (k + group - 1) / group * group;

	memset(o->weights, 0x7f, sizeof o->weights);
	memset(o->weights, 0, (size_t)(whole * gates * UNITS * 4 / group));
	memset(o->codes, 0x7f, sizeof o->codes);
	memset(o->offsets, 0, sizeof o->offsets);
	for (int u = 0; u < gates * UNITS; u++) {
		o->scales[u] = u % 2 ? 0.5F : 2;
		for (int i = 0; i < k; i++) {
			o->w[u][i] = drawn();
			put(o, p, gates, i, u);
		}
	}
	for (int r = 0; r < MOST_ROWS; r++) {
		for (int i = 0; i < k; i++) {
			o->x[r][i] = drawn();
			o->values[r][i] = (float)o->x[r][i];
		}
		if (kernel->encode[p]) {
			memset(o->codes[r], 0, (size_t)(whole * 4 / group));
			assert_true(kernel->encode[p](o->values[r], k, 1, o->codes[r]));
		}
	}
}

static double wanted(const struct operands *o, bool bytes, int row, int u, int k)
{
	int64_t sum = 0;

	for (int i = 0; i < k; i++)
		sum += o->x[row][i] * o->w[u][i];
	return 5 + (double)sum * (bytes ? (double)o->scales[u] * 0.25 : 1);
}

/* Rows far apart by turns, as they are when some of a batch have ended. */
static void multiply(struct operands *o, const struct ps_rnn_kernel *kernel,
		     enum ps_rnn_precision p, int gates, int k, int rows, bool many, bool gaps,
		     int prefetch)
{
	const void *in[MOST_ROWS];
	float *acc[MOST_ROWS], in_scales[MOST_ROWS];
	int at[MOST_ROWS];

	for (int r = 0; r < rows; r++) {
		at[r] = gaps && r > 1 ? MOST_ROWS - r : r;
		in[r] = kernel->encode[p] ? (const void *)o->codes[at[r]] : o->values[at[r]];
		acc[r] = o->acc[r];
		in_scales[r] = 0.25F;
		for (int u = 0; u < gates * UNITS; u++)
			o->acc[r][u] = 5;
	}
	kernel->product[p](&(struct ps_rnn_product){.weights = o->weights,
						    .scales = o->scales,
						    .offsets = o->offsets,
						    .k = k,
						    .gates = gates,
						    .rows = rows,
						    .many = many,
						    .in = in,
						    .in_scales = in_scales,
						    .acc = acc,
						    .prefetch = prefetch});
	for (int r = 0; r < rows; r++) {
		for (int u = 0; u < gates * UNITS; u++) {
			double want = wanted(o, p == PS_RNN_INT8, at[r], u, k);
			if ((double)o->acc[r][u] != want)
				fail_msg("%s %s: %d gates, k %d, %d rows, many %d, gaps %d: row %d"
					 " unit %d is %.9g, not %.9g",
					 kernel->name, precisions[p], gates, k, rows, many, gaps, r,
					 u, (double)o->acc[r][u], want);
		}
	}
}

static void all_products(struct operands *o, const struct ps_rnn_kernel *kernel)
{
	static const int ks[] = {1, 2, 3, 4, 5, 31, 32, 63, 64, 65, 67, 128, 130, 199, MOST_K};
	static const int rows[] = {1, 2, 3, 4, 5, 6, 7, 12, 13, 16, 17, 31, MOST_ROWS};

	for (int p = 0; p < PS_RNN_PRECISIONS; p++) {
		for (int gates = 1; gates <= MOST_GATES; gates++) {
			for (size_t k = 0; k < sizeof ks / sizeof *ks; k++) {
				draw(o, kernel, (enum ps_rnn_precision)p, gates, ks[k]);
				for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
					for (int way = 0; way < 4; way++)
						multiply(o, kernel, (enum ps_rnn_precision)p, gates,
							 ks[k], rows[r], way & 1, way & 2,
							 way == 2 ? 1024 : 0);
				}
			}
		}
	}
}

/* Calls `test` with each set that this processor has, and says which. */
static void with_each(void (*test)(struct operands *o, const struct ps_rnn_kernel *kernel))
{
	struct operands *o = aligned_alloc(64, (sizeof *o + 63) / 64 * 64);

	for (size_t i = 0; ps_rnn_kernels[i]; i++) {
		bool has = ps_rnn_kernel_usable(ps_rnn_kernels[i]);
		print_message("%s: %s\n", ps_rnn_kernels[i]->name,
			      has ? "tested" : "this processor has it not");
		if (has)
			test(o, ps_rnn_kernels[i]);
	}
	free(o);
}

static void test_products(void **unused)
{
	(void)unused;
	with_each(all_products);
}

/* Products that come out wrong are found before a set of kernels is used. */
static const struct ps_rnn_kernel *whole;
static float spoilt_by;

static void spoil(const struct ps_rnn_product *p)
{
	whole->product[PS_RNN_INT8](p);
	p->acc[p->rows - 1][5] += spoilt_by;
}

static void spoil_one(struct operands *o, const struct ps_rnn_kernel *kernel)
{
	struct ps_rnn_kernel k = *kernel;

	(void)o;
	whole = kernel;
	k.product[PS_RNN_INT8] = spoil;
	spoilt_by = 0;
	assert_true(ps_rnn_kernel_right(&k));
	spoilt_by = 1;
	assert_false(ps_rnn_kernel_right(&k));
}

static void test_wrong_ones_are_found(void **unused)
{
	(void)unused;
	with_each(spoil_one);
}

/* Codes: rounding, saturation, what is no number, and nothing written beyond the last. */
static void codes(struct operands *o, const struct ps_rnn_kernel *kernel)
{
	static const struct {
		float value;
		int byte; /* of value * 10 */
		bool number;
	} rows[] = {{0, 0, true},	{0.05F, 0, true},      {-0.05F, 0, true},
		    {0.15F, 2, true},	{-0.15F, -2, true},    {12.64F, 126, true},
		    {12.7F, 127, true}, {50, 127, true},       {-50, -127, true},
		    {3e38F, 127, true}, {INFINITY, 127, true}, {-INFINITY, -127, true},
		    {1e-42F, 0, true},	{NAN, 0, false}};
	enum { N = sizeof rows / sizeof *rows };
	/* what stands for 0, to tell whether this set adds 128 */
	int8_t zero, bytes[40];
	float none = 0;

	(void)o;
	kernel->encode[PS_RNN_INT8](&none, 1, 1, &zero);
	for (int n = 1; n <= 37; n++) {
		for (int i = 0; i < N; i++) {
			float values[40] = {0};
			memset(bytes, 99, sizeof bytes);
			values[n - 1] = rows[i].value;
			assert_int_equal(kernel->encode[PS_RNN_INT8](values, n, 10, bytes),
					 rows[i].number);
			assert_int_equal((int8_t)(bytes[n - 1] ^ zero), rows[i].byte);
			assert_int_equal(bytes[n], 99);
			float most = kernel->largest(values, n);
			assert_true(isnan(rows[i].value) ? isnan(most)
							 : most == fabsf(rows[i].value));
		}
	}
}

static void test_codes(void **unused)
{
	(void)unused;
	with_each(codes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_products),
		cmocka_unit_test(test_wrong_ones_are_found),
		cmocka_unit_test(test_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
