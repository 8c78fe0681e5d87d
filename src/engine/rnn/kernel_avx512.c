/* kernel_avx512.c - the kernels in vectors of 16 floats. */
#if defined __x86_64__
#include <stdbool.h>
#include <stddef.h>

static bool works(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
	       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
}

#define PS_RNN_LANES	    16
#define PS_RNN_KERNEL	    ps_rnn_kernel_avx512
#define PS_RNN_KERNEL_NAME  "avx512"
#define PS_RNN_KERNEL_WORKS works
#include "engine/rnn/kernel_body.h"
#endif
