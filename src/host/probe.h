/* probe.h - what the CPUs can do: short timings that predictions start from.   Layer 2. Uses base.
 *
 * Multiply-accumulates of FP32 in registers, products of matrices of a few shapes, and reading
 * memory of a few sizes, with the widest vectors that the CPU has. Each is timed
 * PS_HOST_PROBE_TIMES times for a few milliseconds. The best counts, because whatever disturbs a
 * probe makes it slower; median and worst are kept beside it, so that a disturbed machine shows.
 * All of it takes under two seconds on a machine that is not crowded.
 */
#ifndef PS_HOST_PROBE_H
#define PS_HOST_PROBE_H

#include "base/cpus.h"
#include "base/error.h"

#include <stdint.h>

#define PS_HOST_PROBE_TIMES   25
#define PS_HOST_MAX_PROBES    16
#define PS_HOST_PROBE_THREADS 64

enum ps_host_probe_kind {
	PS_HOST_PROBE_MACS,	 /* multiply-accumulates per second in registers */
	PS_HOST_PROBE_PRODUCT,	 /* the same in a product of [size, n] and [n, n] */
	PS_HOST_PROBE_BANDWIDTH, /* bytes per second, reading `size` bytes per thread over and over
				  */
};

struct ps_host_probe {
	enum ps_host_probe_kind kind;
	int64_t size;	    /* rows, bytes; 0 */
	int64_t n;	    /* of a product; 0 */
	double per_s;	    /* of all threads together: the best time's */
	double median, low; /* of the times */
};

struct ps_host_probes {
	const char *vectors; /* "avx512f", "avx2", "plain" */
	int vector_bytes;
	int threads;
	char cpus[PS_CPUS_SIZE]; /* that the threads were bound to; empty: none */
	struct ps_host_probe probes[PS_HOST_MAX_PROBES];
	int len;
	int64_t took_ns;
};

/* ps_host_probe_machine runs all probes with so many threads at the same time, thread k on the k-th
 * of `cpus` (NULL or empty: not bound). Blocks. PS_EINVAL (threads, fewer CPUs than threads, a CPU
 * that is not ours), PS_ENOMEM. */
enum ps_status ps_host_probe_machine(const struct ps_cpus *cpus, int threads,
				     struct ps_host_probes *ret_probes, struct ps_error *err);
/* ps_host_probe_name returns "macs", "product", "bandwidth". */
const char *ps_host_probe_name(enum ps_host_probe_kind k);

#endif
