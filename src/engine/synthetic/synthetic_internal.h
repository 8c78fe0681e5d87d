/* synthetic_internal.h - the engine of declared service times, in parts. Inside synthetic/ only.
 *
 * A *.synthetic.yaml file declares tensors and how long a run takes:
 *
 *	inputs:  [{name: x, datatype: FP32, shape: [-1, 16]}]
 *	outputs: [{name: y, datatype: FP32, shape: [-1, 4]}]
 *	service: fixed | exponential | recorded
 *	mean: 2ms                     # fixed, exponential; may be 0
 *	each_row: 1ms                 # on top, for every row of the batch
 *	wide_speedup: 1.8             # a wide run takes service time / 1.8
 *	echo: true                    # output k has the type, shape and bytes of input k
 *	durations: [1ms, 3ms]         # recorded, played in order and around
 *	durations_file: times.txt     # or one duration per line, relative to the .yaml
 *	mode: spin | sleep
 *	per: batch | row
 *	seed: 1
 *	stall: {at: 5s, for: 1s}      # once, counted from the first run: nothing proceeds
 *	load_time: 500ms              # opening takes so long
 *	memory: 64MiB                 # and holds so much
 *	claims: 1MiB                  # though it is said beforehand to be so much
 *	broken: "text"                # or fails, with this reason
 *
 * A run of n rows takes (draw + n x each_row) / wide_speedup, where draw is one draw of the service
 * time, or n of them with `per: row`. So mean 8ms and each_row 1ms make batching pay, and mean 0
 * and each_row 8ms do not.
 */
#ifndef PS_ENGINE_SYNTHETIC_INTERNAL_H
#define PS_ENGINE_SYNTHETIC_INTERNAL_H

#include "base/rng.h"
#include "engine/engine.h"

#include <pthread.h>

#define PS_SYNTHETIC_MAX_DURATIONS  10000000
#define PS_SYNTHETIC_MAX_FILE_BYTES (256 << 20)
#define PS_SYNTHETIC_MAX_OUT_BYTES  (INT64_C(1) << 31)

enum ps_synthetic_service { PS_SYNTHETIC_FIXED, PS_SYNTHETIC_EXPONENTIAL, PS_SYNTHETIC_RECORDED };
enum ps_synthetic_mode { PS_SYNTHETIC_SPIN, PS_SYNTHETIC_SLEEP };
enum ps_synthetic_per { PS_SYNTHETIC_BATCH, PS_SYNTHETIC_ROW };

/* A declared model, checked. Owns its arrays. */
struct ps_synthetic_spec {
	struct ps_tensor_spec inputs[PS_MODEL_MAX_TENSORS], outputs[PS_MODEL_MAX_TENSORS];
	int n_inputs, n_outputs;
	enum ps_synthetic_service service;
	enum ps_synthetic_mode mode;
	enum ps_synthetic_per per;
	int64_t mean_ns, each_row_ns;
	double wide_speedup;
	bool echo;
	int64_t load_ns, memory_bytes, claims_bytes;
	char broken[200]; /* "": it is not */
	int64_t *durations_ns;
	size_t n_durations;
	uint64_t seed;
	int64_t stall_at_ns, stall_for_ns; /* for 0: none */
};

/* ps_synthetic_load reads and checks a file. PS_ENOTFOUND, PS_EPARSE, PS_ETOOBIG, ... */
enum ps_status ps_synthetic_load(const char *path, struct ps_synthetic_spec *ret_spec,
				 struct ps_error *err);
/* ps_synthetic_fini frees what a spec owns. */
void ps_synthetic_fini(struct ps_synthetic_spec *spec);

/* ps_synthetic_rows returns how many rows a run has: dimension 0 of the first input that leaves
 * it open, else 1. */
int64_t ps_synthetic_rows(const struct ps_synthetic_spec *spec, const struct ps_tensor *inputs);

/* ps_synthetic_fill computes the outputs, a function of the inputs alone. An output whose
 * dimension 0 is open is computed row by row from the same row of every input whose dimension 0
 * is open, and from all of the others, so that a batch gives what its rows alone would. Floats
 * are multiples of 2^-8 in [0, 1), integers in [0, 127], booleans 0 or 1, BYTES eight
 * hexadecimal digits. PS_EINVAL, PS_ETOOBIG, PS_ENOMEM. */
enum ps_status ps_synthetic_fill(const struct ps_synthetic_spec *spec, struct ps_engine_run *run,
				 struct ps_error *err);

#endif
