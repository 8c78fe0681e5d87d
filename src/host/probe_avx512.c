#include <stdbool.h>

#if defined(__x86_64__)
static bool there(void)
{
	return __builtin_cpu_supports("avx512f");
}
#define TARGET __attribute__((target("avx512f")))
#else
static bool there(void)
{
	return false;
}
#define TARGET
#endif

#define VECTOR_BYTES 64
#define VECTORS	     "avx512f"
#define KERNELS	     ps_host_kernels_avx512
#define THERE	     there

#include "host/probe_kernels_internal.h"
