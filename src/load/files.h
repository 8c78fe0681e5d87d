/* files.h - tensors from files: inputs to send, outputs to expect.   Layer 3. BLOCKS on the disk.
 */
#ifndef PS_LOAD_FILES_H
#define PS_LOAD_FILES_H

#include "base/error.h"
#include "load/target_spec.h"
#include "model/model.h"

#include <stdint.h>

#define PS_LOAD_MAX_FILE_BYTES	(UINT64_C(1) << 30) /* of one file */
#define PS_LOAD_MAX_FILES_BYTES (UINT64_C(4) << 30) /* of all requests of a tenant from files */

/* ps_load_files_count returns how many files there are for `tensor`; `only`: it is the model's only
 * one, so that files without a name are meant for it. */
size_t ps_load_files_count(const struct ps_load_file *files, size_t len, const char *tensor,
			   bool only);
/* ps_load_files_pick returns the path of file number `number`, counted round, for `tensor`; NULL
 * when there is none. */
const char *ps_load_files_pick(const struct ps_load_file *files, size_t len, const char *tensor,
			       bool only, uint64_t number);

/* ps_load_files_check says whether each file has a place in one of the `spec_lens[k]` specs of
 * `specs[k]`, k < models, and that the tensors of a model have one file each or all equally many;
 * ret_turns[k] is that number, 0 without files. PS_EINVAL, PS_ETOOBIG (PS_LOAD_MAX_FILES). */
enum ps_status ps_load_files_check(const struct ps_load_file *files, size_t len,
				   const struct ps_tensor_spec *const *specs,
				   const size_t *spec_lens, size_t models, size_t *ret_turns,
				   struct ps_error *err);

/* ps_load_file_read reads `path` as a tensor for `spec`: *.npy must have its type and fit its shape
 * (BF16 comes as uint16); any other file holds raw bytes as on the wire, in the shape of `like`
 * when that is given; without it the rank is -1 (not known). The caller frees ret_tensor->data; its
 * name is the spec's. PS_EINVAL, PS_EPARSE, PS_EUNSUPPORTED, PS_ENOTFOUND, PS_ETOOBIG, PS_ENOMEM,
 * with the path as `where`. */
enum ps_status ps_load_file_read(const char *path, const struct ps_tensor_spec *spec,
				 const struct ps_tensor *like, struct ps_tensor *ret_tensor,
				 struct ps_error *err);

#endif
