/* probe_internal.h - the loops that probes time, once per kind of vector; for host/ only. */
#ifndef PS_HOST_PROBE_INTERNAL_H
#define PS_HOST_PROBE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each returns a number that depends on all of its work, so that none can be left out. */
struct ps_host_kernels {
	const char *vectors;
	int vector_bytes;
	bool (*there)(void); /* the CPU has them */
	/* macs does `rounds` rounds; ret is how many multiply-accumulates that is. */
	float (*macs)(int64_t rounds, int64_t *ret_macs);
	/* product computes c = a b, [m, n] and [n, n], row-major; n a multiple of 32. */
	float (*product)(const float *a, const float *b, float *c, int64_t m, int64_t n);
	/* read adds up n floats; n a multiple of 256. */
	float (*read)(const float *x, int64_t n);
};

extern const struct ps_host_kernels ps_host_kernels_avx512, ps_host_kernels_avx2,
	ps_host_kernels_plain;

#endif
