/* inputs.h - request tensors made up from what a model declares.   Layer 3, pure.
 *
 * Values by type: floating point standard normal (what a network with normalisation expects);
 * UINT8 and INT8 the full range (pixels, quantised activations); wider integers 0..99 (token
 * numbers within any vocabulary); BOOL 0 or 1; BYTES elements of 8 letters. Same seed, same bytes,
 * on every machine; input number k of a seed is always the same tensor. Inputs that the tenant
 * names files for are read from them (load/files.h).
 */
#ifndef PS_LOAD_INPUTS_H
#define PS_LOAD_INPUTS_H

#include "load/load.h"

#define PS_LOAD_MAX_INPUT_BYTES (UINT64_C(1) << 30) /* of one request */

struct ps_load_inputs {
	struct ps_tensor *tensors; /* as many as specs; data owned here */
	size_t len;
	size_t bytes; /* of all tensors together */
};

/* ps_load_inputs_shape decides the shape of one input: `shapes` wins; otherwise the declared one,
 * whose dynamic first dimension becomes `batch` and whose other dynamic dimensions become 1.
 * PS_EINVAL when the given shape contradicts the model, or `batch` > 1 meets a fixed first
 * dimension of another size. */
enum ps_status ps_load_inputs_shape(const struct ps_tensor_spec *spec, int64_t batch,
				    const struct ps_load_shape *shapes, size_t shape_len,
				    struct ps_tensor *ret_tensor, struct ps_error *err);

/* ps_load_inputs_make makes input number `number` of `seed` for all `specs` (borrowed; must
 * outlive the inputs); a set of files is counted round. Errors of ps_load_file_read, PS_EINVAL,
 * PS_ETOOBIG (PS_LOAD_MAX_INPUT_BYTES), PS_ENOMEM. */
enum ps_status ps_load_inputs_make(const struct ps_tensor_spec *specs, size_t spec_len,
				   const struct ps_load_tenant *t, uint64_t seed, uint64_t number,
				   struct ps_load_inputs *ret_inputs, struct ps_error *err);

/* ps_load_inputs_fini frees the tensors. */
void ps_load_inputs_fini(struct ps_load_inputs *in);

#endif
