/* kernel.c - which kernels this processor runs. */
#include "engine/rnn/kernel_internal.h"

#include <stdlib.h>
#include <string.h>

const struct ps_rnn_kernel *ps_rnn_kernel_best(void)
{
	static const struct ps_rnn_kernel *const kernels[] = {
#if defined __x86_64__
		&ps_rnn_kernel_avx512,
		&ps_rnn_kernel_avx2,
#endif
		&ps_rnn_kernel_plain,
	};
	const char *asked = getenv("PERSEUS_RNN_ISA");

	for (size_t i = 0; asked && i < sizeof kernels / sizeof *kernels; i++) {
		if (strcmp(kernels[i]->name, asked) == 0 && kernels[i]->works())
			return kernels[i];
	}
	for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
		if (kernels[i]->works())
			return kernels[i];
	}
	return &ps_rnn_kernel_plain;
}
