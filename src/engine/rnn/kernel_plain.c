/* kernel_plain.c - the kernels in vectors of 4 floats. */
#include <stdbool.h>
#include <stddef.h>

static bool works(void)
{
	return true;
}

#define PS_RNN_LANES	    4
#define PS_RNN_KERNEL	    ps_rnn_kernel_plain
#define PS_RNN_KERNEL_NAME  "plain"
#define PS_RNN_KERNEL_WORKS works
#include "engine/rnn/kernel_body.h"
