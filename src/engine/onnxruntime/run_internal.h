/* run_internal.h - one run in the making. Inside onnxruntime/ only. */
#ifndef PS_ENGINE_ORT_RUN_INTERNAL_H
#define PS_ENGINE_ORT_RUN_INTERNAL_H

#include "engine/onnxruntime/ort_internal.h"

/* One call into the library: wrappers around the caller's memory, released at the end. */
struct ps_ort_call {
	struct ps_engine_instance *i;
	struct ps_engine_run *run;
	void *in[PS_MODEL_MAX_TENSORS], *out[PS_MODEL_MAX_TENSORS];
	bool placed[PS_MODEL_MAX_TENSORS]; /* out[k] wraps outputs[k].data */
	bool shape_lie;			   /* the library refused a prepared output for its shape */
	struct {
		void *data;
		size_t bytes;
	} given[PS_MODEL_MAX_TENSORS]; /* output buffers as the caller passed them */
};

/* ps_ort_run_bound runs `c` on the GPU of its instance; its inputs and placed outputs are wrapped.
 * Fills c->out for the others. */
struct ps_ort_status *ps_ort_run_bound(struct ps_ort_call *c, void *options);

#endif
