/* plan_internal.h - a campaign on its way to sets and cells. Only plan.c, sets.c and digest.c. */
#ifndef PS_MEASURE_PLAN_INTERNAL_H
#define PS_MEASURE_PLAN_INTERNAL_H

#include "measure/measure_internal.h"

struct ps_measure_planner {
	const struct ps_measure_campaign *c;
	struct ps_arena *a;
	struct ps_store_set *sets;
	bool in_matrix[PS_MEASURE_MAX_SETS]; /* searched and confirmed; else only of a grid or
					      * frontier */
	struct ps_store_cell *cells;
	int set_len, cell_len;
	int grid_sets[PS_MEASURE_MAX_PARTS], frontier_sets[PS_MEASURE_MAX_PARTS],
		packing_sets[PS_MEASURE_MAX_PARTS];
	bool no_memory, too_many_sets, too_many_cells;
};

/* ps_measure_plan_sets fills the sets: every tenant alone first, in their order. PS_EPARSE when
 * there are too many, or two are the same. */
enum ps_status ps_measure_plan_sets(struct ps_measure_planner *p, struct ps_error *err);

/* ps_measure_plan_digests fills the digests of all cells: each of everything that its result
 * depends on. `contents`: see ps_measure_plan. PS_ENOMEM. */
enum ps_status ps_measure_plan_digests(struct ps_measure_planner *p, const char *const *contents,
				       struct ps_error *err);

#endif
