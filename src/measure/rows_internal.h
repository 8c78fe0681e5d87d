/* rows_internal.h - what the files of option rows share. Only rows.c and rows_parts.c. */
#ifndef PS_MEASURE_ROWS_INTERNAL_H
#define PS_MEASURE_ROWS_INTERNAL_H

#include "measure/measure.h"

#define PS_MEASURE_HOUR_NS (3600.0 * 1e9)

#define FIELD(S, F) .offset = offsetof(struct S, F)

extern const struct ps_conf_schema ps_measure_grid_schema, ps_measure_frontier_schema,
	ps_measure_packing_schema, ps_measure_cold_schema, ps_measure_profile_schema,
	ps_measure_operators_schema;

#endif
