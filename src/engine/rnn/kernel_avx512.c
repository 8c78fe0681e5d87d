/* kernel_avx512.c - the kernels in vectors of 16 floats. */
#if defined __x86_64__
#include "engine/rnn/cpu_internal.h"

#define PS_RNN_LANES	    16
#define PS_RNN_KERNEL	    ps_rnn_kernel_avx512
#define PS_RNN_KERNEL_NAME  "avx512"
#define PS_RNN_KERNEL_WORKS ps_rnn_has_avx512
#include "engine/rnn/kernel_body.h"
#endif
