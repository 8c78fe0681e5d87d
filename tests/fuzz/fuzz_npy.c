/* NumPy's array files: what is taken lies inside the file and agrees with its shape. */
#include "fuzz/fuzz.h"
#include "model/npy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ps_npy a;
	struct ps_error err;
	uint8_t *copy = malloc(size ? size : 1);
	int64_t count;
	MUST(copy);
	if (size > 0)
		memcpy(copy, data, size);
	enum ps_status s = ps_npy_parse(copy, size, &a, &err);
	MUST(s == PS_OK || (err.status == s && err.what[0]));
	if (s == PS_OK) {
		MUST((const uint8_t *)a.data + a.bytes == copy + size);
		MUST(ps_tensor_count(a.dims, a.rank, &count, NULL) == PS_OK);
		MUST((uint64_t)count * ps_dtype_size(a.dtype) == a.bytes);
	}
	free(copy);
	return 0;
}
