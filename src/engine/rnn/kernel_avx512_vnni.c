/* kernel_avx512_vnni.c - the kernels in vectors of 16 floats, with VPDPBUSD for bytes. */
#if defined __x86_64__
#include "engine/rnn/cpu_internal.h"

static bool works(void)
{
	return ps_rnn_has_avx512() && __builtin_cpu_supports("avx512vnni");
}

#define PS_RNN_LANES	    16
#define PS_RNN_KERNEL	    ps_rnn_kernel_avx512_vnni
#define PS_RNN_KERNEL_NAME  "avx512_vnni"
#define PS_RNN_KERNEL_WORKS works
#include "engine/rnn/kernel_body.h"
#endif
