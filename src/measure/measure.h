/* measure.h - campaigns: tenants alone and together on a slice of this machine.   Layer 5.
 *
 * Uses base, stats, conf, model, store, host, tenancy, load, trial, cost.
 *
 * A campaign file names models, tenants (demand rate, SLA), a slice and how long to look. It is
 * expanded to cells, in this order:
 *
 *	search/NAME	for each tenant alone, then for each set of several: a closed loop to find
 *			the scale, steps of open-loop Poisson load that choose their own rates, and
 *			fresh trials from the lower end of the capacity's interval down. Sets of
 *			several are searched along the ray of their capacities alone.
 *	confirm/B/NAME	for each block B every set once, in shuffled order, at the demand rates.
 *	capacity/B/NAME	the same at the capacities found; only when asked for.
 *
 * Each cell starts `perseus serve` as a process of its own in the slice, with a generated
 * configuration and fresh keys. A cell that fails (the server died, the capacity alone is missing)
 * is stored as failed with its reason and the campaign goes on. All results go to the store
 *(store.h); nothing is kept elsewhere, so a campaign that was killed goes on with `resume`.
 *
 * One thread, the caller's, runs everything but the sampling of counters.
 */
#ifndef PS_MEASURE_MEASURE_H
#define PS_MEASURE_MEASURE_H

#include "conf/conf.h"
#include "store/store.h"

#include <stddef.h>
#include <stdint.h>

#define PS_MEASURE_MAX_TENANTS 16
#define PS_MEASURE_MAX_SETS    64
#define PS_MEASURE_MAX_MEMBERS 8 /* tenants of one set */
#define PS_MEASURE_MAX_BLOCKS  1000
#define PS_MEASURE_MAX_LANES   256 /* of a server, as perseus serve has */

struct ps_measure_model {
	char *name;
	char *file; /* relative to the campaign's folder */
	char *zoo;  /* or: the zoo's name, written into the work folder on demand */
	struct ps_conf_where where;
};

struct ps_measure_tenant {
	char *name, *model;
	double demand_rps;
	struct ps_sla sla;
	int64_t batch;
	struct ps_conf_where where;
};

struct ps_measure_set {
	char *name;
	struct ps_conf_texts tenants;
	struct ps_conf_where where;
};

struct ps_measure_slice {
	struct ps_cpus cpus;
	int64_t memory_bytes;
	char *priced_as, *prices; /* row and file of a price sheet */
	struct ps_conf_where where;
};

struct ps_measure_server {
	int64_t lanes; /* 0: the server's choice */
	int width;     /* of PS_SERVE_NARROW, PS_SERVE_WIDE: 0 narrow, 1 wide */
	int64_t queue_limit;
	char *library;
};

struct ps_measure_search {
	int64_t scale_ns, step_ns, warmup_ns;
	int64_t steps, min_steps, checks;
	int64_t users; /* of the closed loop, per tenant; 0: two per CPU of the slice */
};

struct ps_measure_confirm {
	int64_t trials, duration_ns, warmup_ns;
	int64_t at_capacity; /* blocks at the capacities; 0: none */
};

struct ps_measure_stop {
	double half_width;   /* of a capacity's interval, as a share of it */
	int64_t max_time_ns; /* of the campaign; 0: none */
};

enum { PS_MEASURE_TOGETHER_ALL, PS_MEASURE_TOGETHER_PAIRS, PS_MEASURE_TOGETHER_NONE };

struct ps_measure_campaign {
	char *name;
	int64_t seed;
	struct ps_conf_array models, tenants, sets;
	int together;
	struct ps_measure_slice slice;
	struct ps_measure_server server;
	struct ps_measure_search search;
	struct ps_measure_confirm confirm;
	struct ps_measure_stop stop;
	int64_t timeout_ns;    /* of a request; 0: ten times the largest limit, at least 2 s */
	int64_t generator_cpu; /* -1: not pinned */
	char *full;	       /* file of the publishable form */
	/* not rows: where it came from */
	char *path, *folder, *text;
};

/* ps_measure_schema describes the file, for --help and docs. */
extern const struct ps_conf_schema ps_measure_schema;

/* ps_measure_load reads and checks a campaign file; PS_EPARSE and others with file:line:key. The
 * caller calls ps_measure_free. */
enum ps_status ps_measure_load(const char *path, struct ps_measure_campaign *ret_campaign,
			       struct ps_error *err);
/* ps_measure_parse is the same for text; `path` names it and gives the folder. */
enum ps_status ps_measure_parse(const char *text, size_t len, const char *path,
				struct ps_measure_campaign *ret_campaign, struct ps_error *err);
/* ps_measure_free releases it. */
void ps_measure_free(struct ps_measure_campaign *c);

/* ps_measure_duration_ns estimates how long the whole campaign takes, models and set-up apart: the
 * sum over cells of server start, warm-up, load and the wait for the last answers. */
int64_t ps_measure_duration_ns(const struct ps_measure_campaign *c);

/* What is being done. All texts are borrowed during the call. */
struct ps_measure_progress {
	const char *note; /* when not NULL: something is over, to be kept on the screen */
	const char *cell; /* "search together", "confirm 2 of 4: resnet50 alone" */
	const char *what; /* "step 2 of 4: 12.1 + 8.4 requests/s" */
	int cells_done, cells;
	int64_t elapsed_ns, left_ns; /* of the campaign; left is an estimate */
	double share;		     /* of the campaign, 0 to 1 */
};

/* Called about five times a second on the caller's thread. Return false to stop: the present cell
 * is not kept, and the campaign can be resumed. */
typedef bool ps_measure_progress_fn(void *ctx, const struct ps_measure_progress *p);

struct ps_measure_run {
	const struct ps_measure_campaign *campaign;
	const char *store_path, *workdir; /* the folder is made */
	const char *program;		  /* path of perseus */
	bool resume;			  /* go on with the store's last campaign */
	ps_measure_progress_fn *progress; /* may be NULL */
	void *ctx;
};

struct ps_measure_outcome {
	int64_t campaign_id;
	int done, failed, left; /* cells; left: for want of time */
	int measured;		/* cells run by this call */
};

/* ps_measure_run performs the campaign. Blocks for as long as it takes.
 * PS_OK also when cells failed (see the outcome). PS_ECANCELLED when `progress` said so. PS_EEXIST
 * with resume when the store's last campaign came from another text. PS_EINVAL, PS_ENOTFOUND (CPUs,
 * price, model files) before anything is started; the store's errors. */
enum ps_status ps_measure_run(const struct ps_measure_run *run,
			      struct ps_measure_outcome *ret_outcome, struct ps_error *err);

#endif
