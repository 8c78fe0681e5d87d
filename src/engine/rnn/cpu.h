/* cpu.h - this CPU as a machine of spatial.h, by measurement.   Layer 2, part of engine/rnn.
 *
 * The kernels themselves are timed: how fast each core reads what its float32 product walks through
 * (by size, from the first byte on each time and there and back), how long a vector takes whose
 * weights are near, what hides behind what, what a block of hidden units costs besides, and how
 * long threads take to meet. All threads of the team work at once, as in a run.
 */
#ifndef PS_ENGINE_RNN_CPU_H
#define PS_ENGINE_RNN_CPU_H

#include "engine/engine.h"
#include "engine/rnn/team.h"
#include "spatial/machine.h"

/* Memory that is measured in, of all threads together. */
#define PS_RNN_CPU_MAX_BYTES (INT64_C(256) << 20)
/* What a thread measures in at most, and when it has to be quick. */
#define PS_RNN_CPU_BYTES       (INT64_C(64) << 20)
#define PS_RNN_CPU_QUICK_BYTES (INT64_C(12) << 20)

/* ps_rnn_cpu_measure takes up to a second, in which it has the team (NULL: the calling thread)
 * and borrows its CPUs for some milliseconds at a time (`lender` NULL: nobody else uses them);
 * `quick`: a quarter of it, with rates up to PS_RNN_CPU_QUICK_BYTES. PS_ENOMEM. */
enum ps_status ps_rnn_cpu_measure(struct ps_rnn_team *team, const struct ps_engine_lender *lender,
				  bool quick, struct ps_spatial_machine *ret_machine,
				  struct ps_error *err);
/* ps_rnn_cpu_identity writes what a measurement belongs to: CPU model, instruction set, threads,
 * program version and revision. */
void ps_rnn_cpu_identity(const struct ps_rnn_team *team, char buf[PS_SPATIAL_NAME]);
enum ps_rnn_cpu_how {
	PS_RNN_CPU_KNOWN, /* as it was measured before, else measured */
	PS_RNN_CPU_AGAIN, /* measured in any case */
	PS_RNN_CPU_QUICK  /* as known, but measured quickly: for a model that loads */
};

/* ps_rnn_cpu_get reads what was measured before from the folder `dir` (NULL: nothing is kept), or
 * measures and keeps it there. A file of another CPU or program, or
 * one that cannot be read, counts as none. A folder that cannot be written costs a log line only.
 * PS_ENOMEM. */
enum ps_status ps_rnn_cpu_get(const char *dir, struct ps_rnn_team *team,
			      const struct ps_engine_lender *lender, enum ps_rnn_cpu_how how,
			      struct ps_spatial_machine *ret_machine, struct ps_error *err);

#endif
