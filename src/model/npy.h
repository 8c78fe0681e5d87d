/* npy.h - NumPy's array files, read.   Layer 1, pure. */
#ifndef PS_MODEL_NPY_H
#define PS_MODEL_NPY_H

#include "base/error.h"
#include "model/model.h"

/* What a file says of its array; `data` points into the file's bytes. */
struct ps_npy {
	enum ps_dtype dtype;
	int rank;
	int64_t dims[PS_TENSOR_MAX_RANK];
	const void *data;
	size_t bytes;
};

/* ps_npy_parse reads a file of format 1, 2 or 3 that holds a row-major, little-endian array of
 * booleans, integers or floating-point numbers; its data end where the file does. PS_EPARSE (no
 * such file, cut off, too long), PS_EUNSUPPORTED (objects, structures, texts, complex numbers,
 * big-endian, column-major), PS_ETOOBIG (dimensions). */
enum ps_status ps_npy_parse(const void *file, size_t n, struct ps_npy *ret_array,
			    struct ps_error *err);

/* ps_npy_take reads such a file as a tensor for `spec`: its type (BF16 comes as uint16) and shape
 * must fit. The values are moved to the beginning of `file`, which stays the caller's; rank, dims
 * and bytes of `t` are set, nothing else. Errors of ps_npy_parse; PS_EINVAL. */
enum ps_status ps_npy_take(const struct ps_tensor_spec *spec, char *file, size_t n,
			   struct ps_tensor *t, struct ps_error *err);

#endif
