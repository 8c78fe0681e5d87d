/* measure.h - campaigns: tenants alone and together on a slice of this machine, or on a server that
 * runs elsewhere.   Layer 5.
 *
 * Uses base, stats, conf, evloop, metrics, model, net, engine, store, host, tenancy, load, trial,
 * cost.
 *
 * A campaign file names models, tenants (demand rate, SLA), a slice and how long to look. It is
 * expanded to cells, in this order:
 *
 *	search/SET		for each tenant alone, then for each set of several: a closed loop
 *to find the scale, steps of open-loop Poisson load that choose their own rates, and fresh trials
 *from the lower end of the capacity's interval down. Sets of several are searched along the ray of
 *their capacities alone. frontier/NAME/SHARE	the same along other rays between two tenants.
 *	pack/TENANT		the same for a number of copies of a tenant.
 *	confirm/B/SET		for each block B every set once, in shuffled order, at the demand
 *				rates; blocks may end early (stop.slowdown).
 *	capacity/B/SET		the same at the capacities found; only when asked for.
 *	rates/NAME/B/R1+R2	for each block every point of a grid once, in shuffled order.
 *	cold/B/MODEL		a server started anew: time to load, first requests, memory.
 *	profile/B/MODEL		a model at several batch sizes.
 *	operators/0/MODEL	where a model's time goes, from the engine's own profiler.
 *
 * Each cell starts `perseus serve` as a process of its own in the slice, with a generated
 * configuration and fresh keys; with server.url it uses the server that is there instead. A cell
 * that fails (the server died, the capacity alone is missing) is stored as failed with its reason
 * and the campaign goes on. All results go to the store (store.h); nothing is kept elsewhere, so a
 * campaign that was killed goes on with `resume`. So does one whose file was changed: each cell has
 * a digest of what it depends on (digest.c), and results whose digest is the same are taken over.
 *
 * One thread, the caller's, runs everything but the sampling of counters.
 */
#ifndef PS_MEASURE_MEASURE_H
#define PS_MEASURE_MEASURE_H

#include "base/arena.h"
#include "conf/conf.h"
#include "load/arrival_options.h"
#include "load/target_options.h"
#include "store/store.h"

#include <stddef.h>
#include <stdint.h>

#define PS_MEASURE_MAX_TENANTS 32
#define PS_MEASURE_MAX_SETS    256
#define PS_MEASURE_MAX_MEMBERS 32 /* tenants of one set */
#define PS_MEASURE_MAX_SUBSET  8  /* of subsets: there are too many larger ones */
#define PS_MEASURE_MAX_LOOKS   20 /* trials of a point that is measured until decided */
#define PS_MEASURE_MAX_BLOCKS  1000
#define PS_MEASURE_MAX_LANES   256  /* of a server, as perseus serve has */
#define PS_MEASURE_MAX_RATES   32   /* of one axis of a grid */
#define PS_MEASURE_MAX_POINTS  1024 /* of one grid */
#define PS_MEASURE_MAX_SHARES  32   /* of one frontier */
#define PS_MEASURE_MAX_PARTS   16   /* grids, frontiers, packings: of each */
#define PS_MEASURE_MAX_COPIES  512  /* of a tenant in a packing */
#define PS_MEASURE_MAX_BATCHES 16
#define PS_MEASURE_MAX_CELLS   20000
#define PS_MEASURE_MAX_RECORDS (1u << 24) /* of a tenant in a trial, so that they fit a row */

struct ps_measure_model {
	char *name;
	char *file; /* relative to the campaign's folder */
	char *zoo;  /* or: the zoo's name, written into the work folder on demand */
	struct ps_conf_where where;
};

struct ps_measure_tenant {
	char *name;
	char *model; /* NULL: a mix */
	double demand_rps;
	struct ps_sla sla;
	int64_t batch;
	struct ps_load_arrival_options arrival; /* its rate is set for each trial */
	struct ps_load_target_options target;
	char *key_file, *key_env; /* of a remote server */
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
	double cpu_quota;	  /* 0: none */
	char *priced_as, *prices; /* row and file of a price sheet */
	struct ps_conf_where where;
};

/* In what order the server takes the tenants' requests. */
enum {
	PS_MEASURE_ORDER_FAIR,	     /* fair turns by compute time: what perseus serve does */
	PS_MEASURE_ORDER_AGREEMENTS, /* the same, and it is told the tenants' SLAs */
	PS_MEASURE_ORDER_ARRIVAL,    /* one queue for all, first come first served */
};

struct ps_measure_server {
	int64_t lanes; /* 0: the server's choice */
	int width;     /* of PS_SERVE_NARROW, PS_SERVE_WIDE: 0 narrow, 1 wide */
	int64_t queue_limit;
	int order; /* PS_MEASURE_ORDER_... */
	char *library;
	char *url; /* of a remote server; NULL: one is started for each cell */
	struct ps_load_target_options target; /* of it and its metrics: TLS only */
	char *metrics, *metrics_key_file;
};

enum { PS_MEASURE_SEARCH_ALL, PS_MEASURE_SEARCH_ALONE, PS_MEASURE_SEARCH_NONE };

struct ps_measure_search {
	int sets; /* PS_MEASURE_SEARCH_... */
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
	double slowdown;     /* the same of a slowdown's; 0: all blocks */
	int64_t max_time_ns; /* of the campaign; 0: none */
};

struct ps_measure_axis {
	char *tenant;
	struct ps_conf_texts rates;
	double rps[PS_MEASURE_MAX_RATES]; /* the same as numbers; 0: silent */
	struct ps_conf_where where;
};

struct ps_measure_grid {
	char *name;
	struct ps_conf_array axes;
	int64_t trials, duration_ns, warmup_ns;
	int64_t until_decided_ns; /* of a point's looks together; 0: one trial */
	struct ps_conf_where where;
};

struct ps_measure_frontier {
	char *name;
	struct ps_conf_texts tenants, shares;
	double share[PS_MEASURE_MAX_SHARES]; /* of the second tenant, by point */
	int64_t points;			     /* after reading: also when shares were given */
	struct ps_conf_where where;
};

struct ps_measure_packing {
	char *tenant;
	int64_t most;
	struct ps_conf_where where;
};

struct ps_measure_cold {
	int64_t trials, duration_ns;
	bool convert;
};

struct ps_measure_profile {
	int64_t trials, duration_ns, warmup_ns, users;
	struct ps_conf_texts batches;
	int sizes[PS_MEASURE_MAX_BATCHES]; /* the same as numbers, or the default */
	int size_len;
};

struct ps_measure_operators {
	int64_t runs, batch;
};

enum { PS_MEASURE_TOGETHER_ALL, PS_MEASURE_TOGETHER_PAIRS, PS_MEASURE_TOGETHER_NONE };

struct ps_measure_campaign {
	char *name;
	int64_t seed;
	struct ps_conf_array models, tenants, sets;
	int together;
	int64_t subsets;
	struct ps_measure_slice slice;
	struct ps_measure_server server;
	struct ps_measure_search search;
	struct ps_measure_confirm confirm;
	struct ps_conf_array grids, frontiers, packings;
	struct ps_measure_cold cold;
	struct ps_measure_profile profile;
	struct ps_measure_operators operators;
	struct ps_measure_stop stop;
	int64_t timeout_ns;    /* of a request; 0: ten times the largest limit, at least 2 s */
	int64_t generator_cpu; /* -1: not pinned */
	char *full;	       /* file of the publishable form */
	/* not rows: where it came from */
	char *path, *folder, *text;
	/* Not a row: models and tenants of the server's configuration as somebody else wrote them,
	 * with `keys_file: keys.yaml`; NULL: they are written from the rows. */
	char *server_config;
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

/* What a run would do with each cell. */
enum ps_measure_fate {
	PS_MEASURE_NEW,	    /* was in no earlier plan */
	PS_MEASURE_KEPT,    /* done, and nothing that it depends on has changed */
	PS_MEASURE_CHANGED, /* done, but something has: again */
	PS_MEASURE_OPEN,    /* planned before, not done yet */
};
/* ps_measure_fate_name returns "new", "kept", "changed" or "open". */
const char *ps_measure_fate_name(enum ps_measure_fate f);

struct ps_measure_preview_cell {
	const char *key;
	enum ps_store_cell_kind kind;
	enum ps_measure_fate fate;
	int64_t estimate_ns;
};

struct ps_measure_preview {
	struct ps_measure_preview_cell *cells; /* in the order of the plan */
	size_t cell_len;
	const char **dropped; /* keys of done cells that are no longer in the campaign */
	size_t dropped_len;
	int64_t estimate_ns; /* of all cells that would be measured */
	bool cut;	     /* stop.max_time is less */
	char note[240];	     /* what a changed file keeps; "" when nothing is resumed */
	struct ps_arena arena;
};

struct ps_measure_run;
/* ps_measure_preview says what ps_measure_run would do, without doing any of it: of `run`, the
 * campaign, the store and `resume` count. The caller calls ps_measure_preview_free. PS_ENOTFOUND
 * (models; with resume the store or the campaign in it), PS_EEXIST as ps_measure_run; PS_EINVAL and
 * PS_EUNSUPPORTED for a slice that this machine cannot make, for which a control group is made and
 * removed. */
enum ps_status ps_measure_preview(const struct ps_measure_run *run,
				  struct ps_measure_preview *ret_preview, struct ps_error *err);
/* ps_measure_preview_free releases it; a zeroed one may be passed. */
void ps_measure_preview_free(struct ps_measure_preview *p);

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
	int skipped;		/* not needed */
};

/* ps_measure_run performs the campaign. Blocks for as long as it takes.
 * PS_OK also when cells failed (see the outcome). PS_ECANCELLED when `progress` said so. PS_EEXIST
 * with resume when the store's campaigns of this name were measured on other machines, or the last
 * one came from another text and has no digests. PS_EINVAL, PS_ENOTFOUND (CPUs, price, model files)
 * before anything is started; the store's errors. */
enum ps_status ps_measure_run(const struct ps_measure_run *run,
			      struct ps_measure_outcome *ret_outcome, struct ps_error *err);

#endif
