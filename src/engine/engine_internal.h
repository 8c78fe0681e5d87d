/* engine_internal.h - what the engines share. Inside engine/ only. */
#ifndef PS_ENGINE_ENGINE_INTERNAL_H
#define PS_ENGINE_ENGINE_INTERNAL_H

#include "engine/engine.h"

extern const struct ps_engine_ops ps_engine_onnxruntime;
extern const struct ps_engine_ops ps_engine_synthetic;

/* ps_engine_check_run holds the inputs of `run` against what the model declares. PS_EINVAL. */
enum ps_status ps_engine_check_run(const struct ps_engine_describe *d,
				   const struct ps_engine_run *run, struct ps_error *err);

/* ps_engine_place_output gives output `out` (its name set) room for `bytes`: the caller's buffer
 * if there is one, else from run->alloc; sets out->bytes. PS_ETOOBIG, PS_ENOMEM. */
enum ps_status ps_engine_place_output(struct ps_engine_run *run, struct ps_tensor *out,
				      size_t bytes, struct ps_error *err);

#endif
