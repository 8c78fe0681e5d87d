/* model.h - tensors and data types.   Layer 1, pure data. (ONNX files: onnx.h; the zoo: zoo.h.) */
#ifndef PS_MODEL_MODEL_H
#define PS_MODEL_MODEL_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* Values equal ONNX TensorProto.DataType and ONNX Runtime's ONNXTensorElementDataType. */
enum ps_dtype {
	PS_DTYPE_NONE = 0,
	PS_DTYPE_FP32 = 1,
	PS_DTYPE_UINT8 = 2,
	PS_DTYPE_INT8 = 3,
	PS_DTYPE_UINT16 = 4,
	PS_DTYPE_INT16 = 5,
	PS_DTYPE_INT32 = 6,
	PS_DTYPE_INT64 = 7,
	PS_DTYPE_BYTES = 8, /* ONNX STRING */
	PS_DTYPE_BOOL = 9,
	PS_DTYPE_FP16 = 10,
	PS_DTYPE_FP64 = 11,
	PS_DTYPE_UINT32 = 12,
	PS_DTYPE_UINT64 = 13,
	PS_DTYPE_BF16 = 16,
};

#define PS_TENSOR_MAX_RANK   8
#define PS_TENSOR_MAX_NAME   256
#define PS_TENSOR_MAX_EMPTY  (1 << 20) /* product of the other dimensions beside a 0 */
#define PS_MODEL_MAX_TENSORS 64	       /* inputs or outputs of one model that we serve */

/* What a model declares: a dimension of -1 may have any size. */
struct ps_tensor_spec {
	char name[PS_TENSOR_MAX_NAME];
	enum ps_dtype dtype;
	int rank;
	int64_t dims[PS_TENSOR_MAX_RANK];
};

/* A tensor in memory, row-major, little-endian. Borrows `name` and `data`. BYTES tensors hold each
 * element as a 32-bit little-endian length and its bytes, as on the wire. */
struct ps_tensor {
	const char *name;
	enum ps_dtype dtype;
	int rank;
	int64_t dims[PS_TENSOR_MAX_RANK];
	void *data;
	size_t bytes;
};

/* ps_dtype_size returns the bytes of one element; 0 for BYTES and unknown values. */
size_t ps_dtype_size(enum ps_dtype t);
/* ps_dtype_name returns the Open Inference Protocol's name, such as "FP32"; NULL when unknown. */
const char *ps_dtype_name(enum ps_dtype t);
/* ps_dtype_from_name is the inverse; PS_DTYPE_NONE when unknown. `n` is the length of `name`. */
enum ps_dtype ps_dtype_from_name(const char *name, size_t n);

/* ps_tensor_count multiplies dims[0..rank); PS_EINVAL when a dimension is negative, PS_ETOOBIG when
 * the product passes 2^48, or when beside a dimension of 0 the others pass PS_TENSOR_MAX_EMPTY (a
 * tensor of no bytes must not cost rows without end). A rank of 0 gives 1. */
enum ps_status ps_tensor_count(const int64_t *dims, int rank, int64_t *ret_count,
			       struct ps_error *err);
/* ps_tensor_shape_text writes "[1,3,224,224]", cut with "..."; returns buf. */
#define PS_TENSOR_SHAPE_SIZE 128
const char *ps_tensor_shape_text(const int64_t *dims, int rank, char buf[PS_TENSOR_SHAPE_SIZE]);
/* ps_tensor_check says whether the input `t` fits `spec`: type, rank, fixed dimensions, and that
 * `bytes` agrees with the shape. PS_EINVAL with the tensor's name, what was expected and what came.
 */
enum ps_status ps_tensor_check(const struct ps_tensor_spec *spec, const struct ps_tensor *t,
			       struct ps_error *err);
/* ps_tensor_check_output says the same of an output. */
enum ps_status ps_tensor_check_output(const struct ps_tensor_spec *spec, const struct ps_tensor *t,
				      struct ps_error *err);

#endif
