#include <stdbool.h>

#if defined(__x86_64__)
static bool there(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#define TARGET __attribute__((target("avx2,fma")))
#else
static bool there(void)
{
	return false;
}
#define TARGET
#endif

#define VECTOR_BYTES 32
#define VECTORS	     "avx2"
#define KERNELS	     ps_host_kernels_avx2
#define THERE	     there

#include "host/probe_kernels_internal.h"
