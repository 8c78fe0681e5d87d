/* spatial.h - what a recurrent layer costs on a machine whose units each own a part of it.
 *   Layer 1. Uses base. Pure.
 *
 * Both kinds of machine walk the same loops:
 *
 *	for each step                     one after another
 *	  for each round of tiles         ceil(H / (owners * block))
 *	    each owner its tile           side by side, weights beside it
 *	      for each vector             lanes * pack products at once
 *	  exchange of h                   one; two in a GRU that resets before the product
 *
 * ARRAY (a spatial accelerator): a tile is one hidden unit. Its gates lie side by side, each on
 * `reduce` compute units that share its sum of K = inputs + hidden products; a compute unit takes
 * `width` products of the sum per cycle and has memory units of its own for their weights, with
 *
 *	vectors = ceil(K / (reduce * width))     rounds = ceil(H / owners)
 *	cycles per step = passes * (rounds * vectors * batch * max(1, width * bytes of a weight /
 *	                  bytes per cycle of a memory unit) + depth + stages * ceil(log2 reduce))
 *
 * CORES (a CPU): a tile is a block of hidden units that fills the lanes; its gates and its sum come
 * one after another. x * W goes first as one product for many steps, so that a step has K = hidden.
 * With c the time to compute a slice's products and s the time to read the slice once,
 *
 *	vectors = gates * ceil(block / lanes) * ceil(K / pack)
 *	rounds  = ceil(H / (owners * block))
 *	step    = max(c, s) + (1 - overlap) * min(c, s)      (several rows: c + rows_read * s)
 *	          + rounds * batch * block_s
 *	          + passes * (exchange + bytes of h from other cores * exchange_byte_s)
 *
 * s goes by a table of measured rates, by the size of what a core reads in each step. x * W adds
 * its products, W once per batch of rows, R from as far away as both after each, and what it makes
 * written and read.
 */
#ifndef PS_SPATIAL_SPATIAL_H
#define PS_SPATIAL_SPATIAL_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PS_SPATIAL_MAX_UNITS  4096  /* compute units of a machine */
#define PS_SPATIAL_MAX_HIDDEN 65536 /* and inputs */
#define PS_SPATIAL_MAX_STEPS  (INT64_C(1) << 24)
#define PS_SPATIAL_MAX_BATCH  4096
#define PS_SPATIAL_MAX_LEVELS 32
#define PS_SPATIAL_NAME	      128

/* In the order of the engine's own. */
enum ps_spatial_cell { PS_SPATIAL_PLAIN, PS_SPATIAL_GRU, PS_SPATIAL_LSTM, PS_SPATIAL_CELLS };
enum ps_spatial_precision {
	PS_SPATIAL_FLOAT32,
	PS_SPATIAL_BFLOAT16,
	PS_SPATIAL_INT8,
	PS_SPATIAL_PRECISIONS
};
enum ps_spatial_kind { PS_SPATIAL_ARRAY, PS_SPATIAL_CORES };

struct ps_spatial_layer {
	enum ps_spatial_cell cell;
	bool classic; /* GRU whose reset comes before the product: two exchanges per step */
	int64_t hidden, inputs, steps, batch;
};

/* One precision on one unit. */
struct ps_spatial_rate {
	bool has;
	int64_t pack;	      /* products per lane and vector */
	double vector_s;      /* of a vector; array: a cycle */
	double rows_vector_s; /* the same per row, when several rows use each weight that was read
			       */
	double rows_read; /* reading for several rows, beside their products, over reading for one
			   */
	double overlap;	  /* share of the shorter of computing and reading that the longer hides */
	double block_s[PS_SPATIAL_CELLS]; /* cores: what a block costs besides, per row and step */
};

/* What a core reads per second when it goes through so many bytes again and again: always from
 * the first on, or there and back. */
struct ps_spatial_level {
	double bytes, forward_bps, alternating_bps;
};

struct ps_spatial_machine {
	char name[PS_SPATIAL_NAME];
	char measured_on[PS_SPATIAL_NAME]; /* empty: described, not measured */
	enum ps_spatial_kind kind;
	int64_t units, lanes;
	struct ps_spatial_rate rates[PS_SPATIAL_PRECISIONS];
	/* array */
	double clock_hz;
	int64_t stages;			/* of the pipeline of a unit */
	int64_t memories, memory_bytes; /* memory units, and what one holds */
	double memory_bytes_per_cycle;	/* that one gives */
	int64_t depth;			/* cycles from the last products to the next h */
	int64_t element_units;		/* besides, per hidden unit that is worked on at once */
	/* cores */
	int64_t block;					       /* hidden units of a tile */
	struct ps_spatial_level levels[PS_SPATIAL_MAX_LEVELS]; /* ascending */
	int n_levels;
	double exchange_s, exchange_more_s; /* of two cores; of each one more */
	double exchange_byte_s;		    /* of each byte of h that another core made */
	double start_s;			    /* to wake the other cores for a run, and to end it */
};

/* How the layer lies on the machine. */
struct ps_spatial_map {
	enum ps_spatial_precision precision;
	int64_t owners; /* tiles at once; cores: threads */
	int64_t reduce; /* array: compute units that share a sum */
	int64_t width;	/* array: products of a sum that one unit takes per cycle */
	bool alternate; /* cores: every other step backwards */
	int64_t rows;	/* cores: rows of x * W made at once */
};

/* Why a map is impossible. */
enum ps_spatial_limit {
	PS_SPATIAL_FITS,
	PS_SPATIAL_NO_RATE,  /* the machine does not have the precision */
	PS_SPATIAL_UNITS,    /* too few compute units */
	PS_SPATIAL_MEMORIES, /* too few memory units for the weights */
	PS_SPATIAL_SENSELESS /* a value below 1, or wider than the unit */
};

struct ps_spatial_cost {
	int64_t units;			      /* compute units used */
	int64_t memories;		      /* memory units used; cores: 0 */
	int64_t weight_bytes;		      /* held in all, with what pads them */
	int64_t slice_bytes;		      /* of the unit that holds most */
	double fragmentation;		      /* share of the products that are padding */
	double cycles_per_step;		      /* array; cores: 0 */
	double compute_s, read_s, exchange_s; /* of a step; they overlap in part */
	double step_s, inputs_s;	      /* a step; x * W of all steps (array: 0) */
	double latency_s;		      /* of all steps, with the start of a run */
	double ops, recurrent_ops; /* 2 per product: of x * W and h * R; of h * R alone */
};

/* ps_spatial_gates: 1, 3 or 4. */
int ps_spatial_gates(enum ps_spatial_cell cell);
/* ps_spatial_weight_bytes: 4, 2 or 1. */
int ps_spatial_weight_bytes(enum ps_spatial_precision p);
/* ps_spatial_precision_name: "float32", "bfloat16", "int8". ps_spatial_cell_name: "rnn", "gru",
 * "lstm". */
const char *ps_spatial_precision_name(enum ps_spatial_precision p);
const char *ps_spatial_cell_name(enum ps_spatial_cell c);
/* ps_spatial_layer_check: PS_EINVAL (a size below 1), PS_ETOOBIG. */
enum ps_status ps_spatial_layer_check(const struct ps_spatial_layer *l, struct ps_error *err);

/* ps_spatial_cost computes what the layer costs when it lies so; writes *ret_cost only when it
 * fits. The layer must be one that ps_spatial_layer_check takes. Constant time. */
enum ps_spatial_limit ps_spatial_cost(const struct ps_spatial_machine *m,
				      const struct ps_spatial_layer *l,
				      const struct ps_spatial_map *map,
				      struct ps_spatial_cost *ret_cost);
/* ps_spatial_read_s returns how long a core takes to read `bytes` once when it does so in every
 * step: the table's time per byte, between two sizes by the logarithm of the size, beyond its ends
 * as at its ends. */
double ps_spatial_read_s(const struct ps_spatial_machine *m, double bytes, bool alternate);
/* ps_spatial_exchange_s returns how long so many cores take to meet and to see the h, of so many
 * bytes in all, that the others made. */
double ps_spatial_exchange_s(const struct ps_spatial_machine *m, int64_t owners, double bytes);

/* ---- exploration ---- */

struct ps_spatial_point {
	struct ps_spatial_map map;
	struct ps_spatial_cost cost;
	bool front; /* no other point of its precision is as good in latency, units and memory and
		     * better in one of them */
};

struct ps_spatial_points {
	struct ps_spatial_point *items; /* those that fit, by precision, then latency */
	size_t len;
	size_t tried, without_units, without_memory;
};

/* ps_spatial_explore tries every map of the precisions whose bit (1 << precision) is set in
 * `precisions` and which the machine has, and marks the front. Array: every number of owners and
 * of units per sum, and every width that is a power of two or the whole unit. Cores: every number
 * of threads, both directions, rows of x * W by powers of two from 8 on, and all. PS_EUNAVAIL when
 * nothing fits, with what was missing; PS_ENOMEM. Free with ps_spatial_points_fini. O(n log n + n *
 * front). */
enum ps_status ps_spatial_explore(const struct ps_spatial_machine *m,
				  const struct ps_spatial_layer *l, unsigned precisions,
				  struct ps_spatial_points *ret_points, struct ps_error *err);
void ps_spatial_points_fini(struct ps_spatial_points *p);
/* ps_spatial_best returns the point of the least latency of a precision; of equal ones that with
 * the fewest units, then the least memory. NULL: none. */
const struct ps_spatial_point *ps_spatial_best(const struct ps_spatial_points *p,
					       enum ps_spatial_precision precision);

#endif
