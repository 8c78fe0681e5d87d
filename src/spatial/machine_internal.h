/* machine_internal.h - a machine's file as it stands. */
#ifndef PS_SPATIAL_MACHINE_INTERNAL_H
#define PS_SPATIAL_MACHINE_INTERNAL_H

#include "spatial/machine.h"

struct ps_spatial_file_rate {
	int precision;
	int64_t pack;
	double vector_ns, rows_vector_ns, rows_read, overlap, block_ns[PS_SPATIAL_CELLS];
	struct ps_conf_where where;
};

struct ps_spatial_file_level {
	int64_t bytes;
	double forward, alternating;
	struct ps_conf_where where;
};

/* What was not written is 0. */
struct ps_spatial_file {
	char *name, *measured_on;
	int kind;
	int64_t units, lanes, stages, memories, memory, depth, element_units, block;
	double clock_ghz, memory_bytes_per_cycle, exchange_ns, exchange_more_ns;
	double exchange_byte_ns, start_ns;
	struct ps_conf_array rates, levels;
	struct ps_conf_where where;
};

#endif
