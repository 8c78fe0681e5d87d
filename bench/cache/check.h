/* check.h - parts of perseus-cache-check. */
#ifndef PERSEUS_BENCH_CACHE_CHECK_H
#define PERSEUS_BENCH_CACHE_CHECK_H

#include "cache/policy.h"

enum { SMALL_TENANTS = 4, SMALL_ITEMS = 7, SMALL_SETS = 1 << SMALL_ITEMS };

/* How models' worth goes with their bytes. */
enum shape { SPREAD, LEVEL, SAME, SHAPES };

/* A case that lies in one piece. */
struct instance {
	struct ps_cache_problem p;
	struct ps_cache_tenant *tenant;
	struct ps_cache_item *item;
	double *demand;
};

/* small_run compares `cases` random small problems, from `seed` on, with trying every set: exit
 * code 1 when one differs. */
int small_run(int cases, uint64_t seed);
/* time_run solves `repeat` random problems of this size, with memory for one of `part` bytes of the
 * models, and prints a JSON object for each: exit code 1 when a certificate is over PS_CACHE_GAP.
 */
int time_run(int tenants, int items, enum ps_cache_kind kind, int repeat, uint64_t seed, int part,
	     enum shape shape);

void instance_fini(struct instance *c);
bool instance_init(struct instance *c, int tenants, int items);

#endif
