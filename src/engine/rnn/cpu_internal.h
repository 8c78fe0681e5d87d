/* cpu_internal.h - what several sets of kernels ask of the processor. */
#ifndef PS_ENGINE_RNN_CPU_INTERNAL_H
#define PS_ENGINE_RNN_CPU_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

static inline bool ps_rnn_has_avx512(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
	       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
}

#endif
