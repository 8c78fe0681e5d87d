/* simulate_internal.h - a simulation while it runs.   Layer 3. */
#ifndef PS_CACHE_SIMULATE_INTERNAL_H
#define PS_CACHE_SIMULATE_INTERNAL_H

#include "cache/cache.h"
#include "cache/simulate.h"

/* A tenant's requests in order, and how far they came. */
struct ps_cache_sim_line {
	size_t *request; /* [n] their numbers */
	size_t n, arrived, admitted, started, finished;
	enum {
		PS_CACHE_SIM_IDLE,
		PS_CACHE_SIM_LOADS, /* what its request needs, by itself */
		PS_CACHE_SIM_WAITS, /* for another line that loads it */
		PS_CACHE_SIM_RUNS,
	} does;
	double left_s; /* of what it does, at full speed */
	int loads;     /* the item that its load brings into memory, -1: none */
	int waits_for; /* the line that loads for it */
};

struct ps_cache_sim {
	const struct ps_cache_workload *w;
	const struct ps_cache_sim_options *o;
	struct ps_cache *cache;
	int *item_of; /* the cache's number of each item, -1: it never fits */
	int *loader;  /* by the cache's numbers: the line that loads it, -1: it is there or away */
	struct ps_cache_sim_line *line;
	size_t *place;	/* of all lines, one behind the other */
	double *done_s; /* [requests] */
	double now_s, tick_s, used_bytes_s;
	int64_t resident_bytes;
	size_t next, finished;
	struct ps_cache_sim_result *r;
	double worst_epoch;
};

/* ps_cache_sim_summarize fills the result of a simulation that is through. PS_ENOMEM. */
enum ps_status ps_cache_sim_summarize(struct ps_cache_sim *s, const double *alone,
				      struct ps_error *err);
/* ps_cache_sim_no_memory says so. */
static inline enum ps_status ps_cache_sim_no_memory(struct ps_error *err)
{
	ps_error_set(err, PS_ENOMEM, "no memory for a simulation");
	return PS_ENOMEM;
}

#endif
