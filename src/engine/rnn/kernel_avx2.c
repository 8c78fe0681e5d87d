/* kernel_avx2.c - the kernels in vectors of 8 floats. */
#if defined __x86_64__
#include <stdbool.h>
#include <stddef.h>

static bool works(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#define PS_RNN_LANES	    8
#define PS_RNN_KERNEL	    ps_rnn_kernel_avx2
#define PS_RNN_KERNEL_NAME  "avx2"
#define PS_RNN_KERNEL_WORKS works
#include "engine/rnn/kernel_body.h"
#endif
