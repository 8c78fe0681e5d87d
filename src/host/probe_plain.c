#include <stdbool.h>

static bool there(void)
{
	return true;
}

#define TARGET
#define VECTOR_BYTES 16
#define VECTORS	     "plain"
#define KERNELS	     ps_host_kernels_plain
#define THERE	     there

#include "host/probe_kernels_internal.h"
