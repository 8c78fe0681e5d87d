/* cpus.h - a set of CPUs as a value: "0", "0-3", "0,2-3".   Layer 0. */
#ifndef PS_BASE_CPUS_H
#define PS_BASE_CPUS_H

#include "base/error.h"

#include <stdint.h>

#define PS_CPUS_MAX 1024

struct ps_cpus {
	uint64_t bits[PS_CPUS_MAX / 64];
};

/* ps_cpus_parse reads a list of numbers and ranges; the empty text is the empty set. PS_EPARSE. */
enum ps_status ps_cpus_parse(const char *text, struct ps_cpus *ret_cpus, struct ps_error *err);
/* ps_cpus_format writes the shortest list, cut with "..." when too long; returns buf. */
#define PS_CPUS_SIZE 128
const char *ps_cpus_format(const struct ps_cpus *c, char buf[PS_CPUS_SIZE]);
/* ps_cpus_count returns the size of the set. */
int ps_cpus_count(const struct ps_cpus *c);
/* ps_cpus_has says whether `cpu` is in the set. */
bool ps_cpus_has(const struct ps_cpus *c, int cpu);
/* ps_cpus_add puts `cpu` (0 <= cpu < PS_CPUS_MAX) into the set. */
void ps_cpus_add(struct ps_cpus *c, int cpu);
/* ps_cpus_nth returns the n-th smallest CPU (from 0), or -1. */
int ps_cpus_nth(const struct ps_cpus *c, int n);

#endif
