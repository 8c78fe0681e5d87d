/* kernel_amx.c - the kernels in vectors of 16 floats, with VPDPBUSD and VDPBF16PS for one row and
 * AMX's tiles for several. */
#if defined __x86_64__
#include "engine/rnn/cpu_internal.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REQUEST_PERMISSION 0x1023 /* ARCH_REQ_XCOMP_PERM, of arch_prctl */
#define TILE_DATA	   18	  /* XFEATURE_XTILEDATA */

/* The system keeps tiles only for processes that ask; it is asked once this kernel is wanted, for
 * the whole process. */
static bool works(void)
{
	const unsigned all = 1U << 22 | 1U << 24 | 1U << 25; /* bf16, tiles, int8 */
	unsigned a, b, c, d;

	return ps_rnn_has_avx512() && __builtin_cpu_supports("avx512vnni") &&
	       __builtin_cpu_supports("avx512bf16") && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
	       (d & all) == all && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

#define PS_RNN_LANES	    16
#define PS_RNN_KERNEL	    ps_rnn_kernel_amx
#define PS_RNN_KERNEL_NAME  "amx"
#define PS_RNN_KERNEL_WORKS works
#include "engine/rnn/kernel_body.h"
#endif
