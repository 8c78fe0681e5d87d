/* tune.h - chooses how each layer is run on this CPU.   Layer 2, part of engine/rnn.
 *
 * The model of spatial.h, with this CPU as it was measured (cpu.h), ranks the ways that a layer can
 * be run: threads, direction through the blocks, rows of x * W at once. Those that it finds within
 * a quarter of the best, and prefetching where the weights come from beyond the second cache, are
 * timed for a moment each, and the fastest is taken. What was chosen is kept in a file for this
 * CPU, instruction set, number of threads and program version.
 *
 * No choice changes a result.
 *
 * Threads: any; apply takes a lock, and the team while it times. What is timed borrows the CPUs for
 * one or a few milliseconds at a time, so that it neither disturbs a run nor is disturbed by one.
 */
#ifndef PS_ENGINE_RNN_TUNE_H
#define PS_ENGINE_RNN_TUNE_H

#include "engine/engine.h"
#include "engine/rnn/rnn.h"
#include "engine/rnn/team.h"
#include "spatial/spatial.h"

#define PS_RNN_TUNER_MOST_KEPT 4096 /* layers in the file; it starts anew beyond */

struct ps_rnn_tuner;

/* ps_rnn_tuner_open reads what is kept in the folder `dir` (NULL: nothing is) for the team, which
 * must outlive the tuner, as must the lender of its CPUs (NULL: nobody else uses them). Measures
 * nothing yet. PS_ENOMEM. Free with ps_rnn_tuner_close (NULL is
 * allowed). */
enum ps_status ps_rnn_tuner_open(const char *dir, struct ps_rnn_team *team,
				 const struct ps_engine_lender *lender,
				 struct ps_rnn_tuner **ret_tuner, struct ps_error *err);
/* ps_rnn_tuner_open_in is the same with the folder as the option of an engine says it: NULL is the
 * usual place, "" nowhere. */
enum ps_status ps_rnn_tuner_open_in(const char *option, struct ps_rnn_team *team,
				    const struct ps_engine_lender *lender,
				    struct ps_rnn_tuner **ret_tuner, struct ps_error *err);
void ps_rnn_tuner_close(struct ps_rnn_tuner *t);
/* ps_rnn_tuner_apply chooses for a layer that no run is inside of. The first time on a machine it
 * measures the CPU (a quarter of a second), and each layer that is not known takes up to a tenth of
 * a second. *ret_known (may be NULL): it was. PS_ENOMEM; the layer then runs untuned. */
enum ps_status ps_rnn_tuner_apply(struct ps_rnn_tuner *t, struct ps_rnn *r, bool *ret_known,
				  struct ps_error *err);
/* ps_rnn_spatial_layer describes the recurrent part of a layer to the model: one direction of it.
 */
struct ps_spatial_layer ps_rnn_spatial_layer(const struct ps_rnn_spec *s, int64_t steps,
					     int64_t batch);

#endif
