/* engine_internal.h - what the engines share. Inside engine/ only. */
#ifndef PS_ENGINE_ENGINE_INTERNAL_H
#define PS_ENGINE_ENGINE_INTERNAL_H

#include "engine/engine.h"

#include <sys/types.h>

extern const struct ps_engine_ops ps_engine_onnxruntime;
extern const struct ps_engine_ops ps_engine_synthetic;
extern const struct ps_engine_ops ps_engine_rnn;

/* ps_engine_rnn_can says whether a file is a graph of recurrent layers alone, which can be had in
 * the precision called `rnn`. Reads it. */
bool ps_engine_rnn_can(const char *path, const char *rnn);

/* ps_engine_borrow and ps_engine_give_back: see struct ps_engine_lender; NULL has nothing to lend.
 */
void ps_engine_borrow(const struct ps_engine_lender *l);
void ps_engine_give_back(const struct ps_engine_lender *l);

/* ps_engine_calibrate runs an instance on all inputs at `path` (struct ps_engine_open), narrow, and
 * counts them; the CPUs are borrowed for each run. PS_EINVAL (no input there, or one that does not
 * fit the model), PS_ETOOBIG (over PS_ENGINE_MAX_SETS), errors of ps_npy_take, of reading and of
 * run; `where` is the file. */
#define PS_ENGINE_MAX_SETS 1024
enum ps_status ps_engine_calibrate(const struct ps_engine_ops *ops, struct ps_engine_instance *i,
				   const struct ps_engine_lender *lender, const char *path,
				   int *ret_sets, struct ps_error *err);

/* ps_engine_check_run holds the inputs of `run` against what the model declares. PS_EINVAL. */
enum ps_status ps_engine_check_run(const struct ps_engine_describe *d,
				   const struct ps_engine_run *run, struct ps_error *err);

/* ps_engine_place_output gives output `out` (its name set) room for `bytes`: the caller's buffer
 * if there is one, else from run->alloc; sets out->bytes. PS_ETOOBIG, PS_ENOMEM. */
enum ps_status ps_engine_place_output(struct ps_engine_run *run, struct ps_tensor *out,
				      size_t bytes, struct ps_error *err);

/* ps_engine_has_batch_axis says whether all tensors leave their first dimension open. */
bool ps_engine_has_batch_axis(const struct ps_engine_describe *d);

/* ps_engine_device reads "cpu" or NULL as -1, "cuda:N" as N. PS_EINVAL. */
enum ps_status ps_engine_device(const char *text, int *ret_gpu, struct ps_error *err);

/* What tells a changed file without reading it. */
struct ps_engine_identity {
	dev_t dev;
	ino_t ino;
	int64_t bytes, mtime_ns, ctime_ns;
};
/* ps_engine_identify stats a file; false: it is not there. */
bool ps_engine_identify(const char *path, struct ps_engine_identity *ret_identity);
bool ps_engine_same(const struct ps_engine_identity *a, const struct ps_engine_identity *b);

#endif
