/* probe_kernels_internal.h - the loops themselves, for one kind of vector: an includer defines
 * VECTOR_BYTES, TARGET, VECTORS, KERNELS and THERE first. Once per file.
 *
 * Vectors are the compiler's own; a multiplication and an addition in one expression become one
 * instruction where the CPU has it. */
#include "host/probe_internal.h"

#include <string.h>

typedef float vector __attribute__((vector_size(VECTOR_BYTES)));

enum { LANES = VECTOR_BYTES / 4, CHAINS = 10, ROWS = 4 };

/* The compiler may not look through it: the value could be anything from here on. */
#define HIDE(v) __asm__ volatile("" : "+m"(v))

TARGET static inline vector load(const float *p)
{
	vector v;
	memcpy(&v, p, sizeof v);
	return v;
}

TARGET static inline float total(const vector *v, int n)
{
	float sum = 0;
	for (int i = 0; i < n; i++)
		for (int k = 0; k < LANES; k++)
			sum += v[i][k];
	return sum;
}

/* As many chains as hide the latency, in as many registers as there are. */
TARGET static float macs(int64_t rounds, int64_t *ret_macs)
{
	vector acc[CHAINS], by, plus;
	memset(&acc, 0, sizeof acc);
	memset(&by, 0, sizeof by);
	memset(&plus, 0, sizeof plus);
	by += 0.5f;
	plus += 1.0f;
	HIDE(by);
	HIDE(plus);
	for (int64_t i = 0; i < rounds; i++) {
#pragma GCC unroll 10
		for (int k = 0; k < CHAINS; k++)
			acc[k] = acc[k] * by + plus;
	}
	*ret_macs = rounds * CHAINS * LANES;
	return total(acc, CHAINS);
}

/* `rows` rows by two vectors of columns. */
TARGET static inline __attribute__((always_inline)) void tile(const float *a, const float *b,
							      float *c, int64_t n, const int rows)
{
	vector acc[ROWS][2];
	memset(&acc, 0, sizeof acc);
	for (int64_t k = 0; k < n; k++) {
		vector left = load(b + k * n), right = load(b + k * n + LANES);
#pragma GCC unroll 4
		for (int i = 0; i < rows; i++) {
			acc[i][0] += a[i * n + k] * left;
			acc[i][1] += a[i * n + k] * right;
		}
	}
	for (int i = 0; i < rows; i++)
		memcpy(c + i * n, acc[i], sizeof acc[i]);
}

TARGET static float product(const float *a, const float *b, float *c, int64_t m, int64_t n)
{
	for (int64_t j = 0; j < n; j += 2 * LANES) {
		int64_t i = 0;
		for (; i + ROWS <= m; i += ROWS)
			tile(a + i * n, b + j, c + i * n + j, n, ROWS);
		for (; i < m; i++)
			tile(a + i * n, b + j, c + i * n + j, n, 1);
	}
	return c[0] + c[m * n - 1];
}

TARGET static float read_all(const float *x, int64_t n)
{
	vector acc[8];
	memset(&acc, 0, sizeof acc);
	for (int64_t i = 0; i < n; i += 8 * LANES) {
#pragma GCC unroll 8
		for (int k = 0; k < 8; k++)
			acc[k] += load(x + i + k * LANES);
	}
	return total(acc, 8);
}

const struct ps_host_kernels KERNELS = {.vectors = VECTORS,
					.vector_bytes = VECTOR_BYTES,
					.there = THERE,
					.macs = macs,
					.product = product,
					.read = read_all};
