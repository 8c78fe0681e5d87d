/* rnn_cpu.h - this CPU as a machine for recurrent layers, and the engine's time on it.   Layer 2.
 *
 * For whoever compares the model of spatial.h with what the engine does. Blocking; each call makes
 * a team of threads pinned to the CPUs, the calling thread being one of them for as long as the
 * call lasts.
 */
#ifndef PS_ENGINE_RNN_CPU_PUBLIC_H
#define PS_ENGINE_RNN_CPU_PUBLIC_H

#include "base/cpus.h"
#include "base/error.h"
#include "spatial/spatial.h"

/* ps_rnn_cpu_folder writes where measurements are kept unless told otherwise:
 * $XDG_CACHE_HOME/perseus, else ~/.cache/perseus; NULL when neither can be. `buf` has 4096 bytes.
 */
const char *ps_rnn_cpu_folder(char *buf);

/* ps_rnn_cpu_machine gives this CPU, one thread on each of the first 64 of `cpus`, as it was
 * measured before and kept in the folder `dir` (NULL: nothing is kept), or measures it, which takes
 * about a second and up to 256 MiB; `again`: in any case. PS_EINVAL (no CPUs), PS_ETOOBIG,
 * PS_ENOMEM, or what the system said about a thread. */
enum ps_status ps_rnn_cpu_machine(const char *dir, const struct ps_cpus *cpus, bool again,
				  struct ps_spatial_machine *ret_machine, struct ps_error *err);

/* What a layer with drawn weights took. */
struct ps_rnn_cpu_timed {
	double run_s; /* median of the runs */
	int64_t runs;
};

/* ps_rnn_cpu_time times the engine with the layer laid out as `map` says (threads and direction;
 * map->rows is taken where it can be): warm runs for `seconds`, at least five. PS_EINVAL,
 * PS_ETOOBIG, PS_ENOMEM. */
enum ps_status ps_rnn_cpu_time(const struct ps_cpus *cpus, const struct ps_spatial_layer *l,
			       const struct ps_spatial_map *map, double seconds,
			       struct ps_rnn_cpu_timed *ret_timed, struct ps_error *err);

#endif
