/* store.h - the results of campaigns, in one SQLite file.   Layer 2. Uses base, stats.
 *
 * A file holds campaigns; a campaign has tenants, sets of tenants and cells; a cell has trials; a
 * trial has one result per tenant, a series per second and samples of the host. A cell is
 * registered before it starts and written whole or not at all, in one transaction: a program that
 * is killed leaves cells that are planned, running or done, never half of one. Trials keep raw
 * counts, histograms and requests; whatever can be derived from them (percentiles, intervals,
 * prices per inference) is not stored.
 *
 * One schema version, raised by numbered migrations when an older file is opened for writing; of
 * one that is opened for reading a copy in memory is raised, and the file stays as it is.
 *
 * What is written is sealed: campaigns, cells that are over and trials carry the SHA-256 of their
 * content, so that a bit that flipped on a disk is found and the trial named (upkeep.h).
 *
 * A store belongs to one thread at a time. Several processes may read while one writes (WAL).
 *
 * The same structs are written and read. Texts and arrays in a struct that was read belong to its
 * struct ps_store_campaign and live until ps_store_campaign_free. Wall-clock times are nanoseconds
 * since 1970 UTC and label only; 0 means never.
 *
 * Errors of every function: PS_ENOTFOUND (no such file, campaign or cell), PS_ECORRUPT (not
 * SQLite, broken, or rows that break their rules), PS_EINVAL (an SQLite file of another program),
 * PS_EUNSUPPORTED (written by a newer Perseus), PS_EINUSE (locked by another program for over 5
 * s), PS_ENOSPC, PS_EIO, PS_EFORBIDDEN, PS_ENOMEM. `where` is the path.
 */
#ifndef PS_STORE_STORE_H
#define PS_STORE_STORE_H

#include "base/error.h"
#include "base/sla.h"

#include <stddef.h>
#include <stdint.h>

#define PS_STORE_SCHEMA_VERSION 4
#define PS_STORE_MAX_TENANTS	64
#define PS_STORE_MAX_PARTS	1024 /* of one kind: grids, frontiers, models */
#define PS_STORE_NEVER_NS	INT64_MAX

struct ps_store;

enum ps_store_mode {
	PS_STORE_READ,	/* the file must exist and is not changed */
	PS_STORE_WRITE, /* the file must exist; migrated if it is older */
	PS_STORE_CREATE /* like WRITE, made if absent */
};

struct ps_store_blob {
	const void *data;
	size_t len;
};

/* ---- what is stored ---- */

struct ps_store_tenant {
	const char *name, *model;
	double demand_rps; /* the rate this tenant really needs */
	struct ps_sla sla;
};

/* How the machine is billed, and how else it may be bought: as the row of the sheet said. */
struct ps_store_terms {
	const char *billed_per; /* "hour", "minute", "second"; NULL: a file of schema 3 or before
				 * does not say, nor anything else of this */
	int64_t minimum_ns;	/* of every rental */
	double spot_usd_per_hour, reserved_1y_usd_per_hour; /* 0: the row states none */
	const char *gpu_kind;
	int64_t gpu_count;
	const char *currency; /* of the row, with what one unit of it was worth; NULL: dollars */
	double exchange_usd;
	const char *exchange_source, *exchange_date;
};

/* What the slice is priced as; instance_type NULL when the campaign names no price. */
struct ps_store_price {
	const char *provider, *region, *instance_type;
	double vcpu, memory_gib, usd_per_hour; /* on demand */
	const char *source, *source_date;
	struct ps_store_terms terms;
};

/* A set of tenants that are measured together (alone: one of them). */
struct ps_store_set {
	const char *name;
	const int *members; /* indexes into the campaign's tenants, rising */
	int member_len;
};

enum ps_store_cell_kind {
	PS_STORE_SEARCH,   /* finds the capacity of a set: trials of role SCALE, STEP and CHECK */
	PS_STORE_CONFIRM,  /* one trial at the demand rates, in a block with the other sets */
	PS_STORE_CAPACITY, /* one trial at the capacities found, in a block with the other sets */
	PS_STORE_FRONTIER, /* like SEARCH along one of several rays between two tenants */
	PS_STORE_RATES, /* one trial at one point of a grid of rates, in a block with the others */
	PS_STORE_PACK,	/* how many copies of a tenant fit: trials like those of SEARCH */
	PS_STORE_COLD,	/* a server started anew: a trial of role FIRST, and figures */
	PS_STORE_PROFILE,   /* a model at several batch sizes: trials of role PROFILED */
	PS_STORE_OPERATORS, /* where a model's time goes, from the engine: figures only */
};

enum ps_store_cell_state {
	PS_STORE_PLANNED,
	PS_STORE_RUNNING, /* started; after a crash: to be done again */
	PS_STORE_DONE,
	PS_STORE_FAILED,  /* see reason */
	PS_STORE_SKIPPED, /* not needed: see reason; resuming measures it all the same */
	PS_STORE_MOVED,	  /* its results went to a later form of the campaign, see reason */
};

enum ps_store_role {
	PS_STORE_SCALE,	 /* closed loop, to find the order of magnitude */
	PS_STORE_STEP,	 /* a step of the capacity search */
	PS_STORE_CHECK,	 /* a fresh trial at the lower end of the capacity's interval, or below */
	PS_STORE_DEMAND, /* the demand rates */
	PS_STORE_AT_CAPACITY,
	PS_STORE_AT_RATES, /* a point of a grid */
	PS_STORE_FIRST,	   /* the first requests of a server just started, one after the other */
	PS_STORE_PROFILED  /* a closed loop at one batch size */
};

/* A figure that is no trial: a time to load, the time in an operator. */
struct ps_store_figure {
	const char *name;	 /* "load_time" */
	const char *subject;	 /* a model, an operator: whom or what it is of */
	const char *unit;	 /* "ns", "bytes" */
	double x;		 /* over what it is drawn, such as a batch size; NAN: nothing */
	double value, low, high; /* NAN: no interval */
	int64_t count;		 /* of what it is made: runs, calls; 0: not counted */
};

/* What the server said of itself before and after a trial: one sample of its metrics. NAN: it was
 * not there. */
struct ps_store_scrape {
	const char *series; /* name{label="value",...} */
	double before, after;
};

/* The outcome of a search: tenant i of the set (in order of its members) is offered
 * ray_rps[i] * factor. Alone the ray is 1, so the factor is the rate itself. */
struct ps_store_capacity {
	bool known;
	const double *ray_rps;			/* one per member */
	double factor, factor_low, factor_high; /* NAN where no interval exists */
	/* PACK: the ray is the demand rate, and the factors are numbers of copies */
	bool checked;		 /* fresh trials were made, from factor_low down, ... */
	bool check_met;		 /* ... and one held every SLA */
	const char *method_json; /* what the search did; may be NULL */
};

/* One tenant in one trial. `latency` and the other blobs are ps_hist_serialise's bytes. Counts are
 * of measured requests only (not warm-up). */
struct ps_store_result {
	int64_t id;	   /* for ps_store_requests_read; ignored when writing */
	int tenant;	   /* index into the campaign's tenants */
	double wanted_rps; /* of the plan; 0 in a closed loop */
	int concurrency;   /* of a closed loop, else 0 */
	uint64_t scheduled, sent, completed, ok, good; /* good: ok and within the SLA's limit */
	uint64_t timeouts, unsent, refused;
	const char *outcomes_json; /* {"ok":N,"timeout":N,...}: every measured request once */
	double batch;		   /* inferences per request; of a mix their mean */
	double offered_rps, achieved_rps, throughput_rps, goodput_rps; /* requests per second */
	double effective_ratio;	   /* independent samples per sample, (0, 1] */
	double trend_tau, trend_p; /* Kendall's tau of latency over the run; one-sided p: small
				      means rising */
	bool sla_met;		   /* the SLA's percentile and success ratio both held */
	bool sla_decided;	   /* enough samples to say so with the rule of measuring */
	uint64_t sla_needs_more;
	bool valid;
	const char *reasons;	   /* why not valid, one per line; NULL when valid */
	const char *first_failure; /* may be NULL */
	/* latency: the ok ones, and as lost all others that were scheduled, so that its quantiles
	 * are over all measured requests; the rest: only those that had the value */
	struct ps_store_blob latency, service, send_lag, first_byte, uncorrected, server_queue,
		server_compute;
	uint64_t records; /* requests kept one by one: see ps_store_requests_read */
	uint64_t records_dropped;
	/* when writing only: the requests; NULL when reading */
	const struct ps_store_request *requests;
};

/* One request. Instants are ns after the start of the trial's load, -1 when it never came to that.
 * latency = done - scheduled. */
struct ps_store_request {
	int64_t scheduled_ns, sent_ns, first_byte_ns, done_ns;
	int64_t server_queue_ns, server_compute_ns; /* -1: not said */
	uint16_t http_status;
	uint8_t outcome; /* enum ps_load_outcome; 0 is ok */
	uint8_t warmup;	 /* 1: before the measured part */
};

/* One second of one tenant in one trial. */
struct ps_store_second {
	int tenant, second; /* second 0 begins with the measured part */
	uint32_t scheduled, sent, ok, failed, good;
	int64_t latency_sum_ns, latency_max_ns; /* over ok */
};

/* The machine beside a trial. Counters count from the trial's start (instant 0 = start of the
 * load, warm-up included). -1: not known (here, or at this instant). */
struct ps_store_sample {
	int64_t at_ns;
	int64_t server_cpu_ns, generator_cpu_ns; /* processor time used so far */
	int64_t steal_ns, busy_ns;		 /* all CPUs of the machine, so far */
	int64_t server_rss_bytes, server_pss_bytes, generator_rss_bytes;
	int64_t server_threads;
	int64_t server_minor_faults, server_major_faults;		/* so far, as all below */
	int64_t server_voluntary_switches, server_involuntary_switches; /* of all its threads */
	int64_t server_run_delay_ns;			 /* ready, but no CPU; of all its threads */
	int64_t server_read_bytes, server_written_bytes; /* from and to disks */
	int64_t server_throttled_ns;			 /* its group, by a CPU quota */
	int64_t server_huge_bytes;			 /* now in huge pages */
	int64_t server_cycles, server_instructions, server_cache_misses; /* the CPU's counters */
	int64_t generator_run_delay_ns;
	int64_t net_received_bytes, net_sent_bytes; /* all interfaces that the server sees */
	int64_t cpu_khz;			    /* now, mean over the slice's CPUs */
};

/* One GPU at one instant. NAN, -1: not known. */
struct ps_store_gpu_sample {
	int64_t at_ns;
	int gpu;
	double busy_ratio, server_busy_ratio; /* of the last moments, as the driver counts them */
	double power_w;
	int64_t memory_bytes, server_memory_bytes;
	int64_t clock_mhz, memory_clock_mhz;
};

struct ps_store_trial {
	int64_t id; /* ignored when writing */
	enum ps_store_role role;
	int number;    /* within the cell, from 0 */
	double factor; /* of the ray; NAN in a closed loop and at the demand rates */
	int64_t started_wall_ns;
	int64_t warmup_ns, duration_ns;
	uint64_t seed;
	bool met;	     /* every SLA of the set held in this trial */
	bool valid;	     /* the instrument kept its promises */
	const char *reasons; /* why not, one per line; NULL when valid */
	const char *verdict; /* what the search made of it; may be NULL */
	/* over the measured part */
	int64_t server_cpu_ns, generator_cpu_ns, steal_ns;
	int64_t server_rss_bytes, server_pss_bytes, server_peak_rss_bytes, generator_rss_bytes;
	const char *host_json; /* what was watched, what was absent and why; may be NULL */

	const struct ps_store_result *results;
	size_t result_len;
	const struct ps_store_second *seconds;
	size_t second_len;
	const struct ps_store_sample *samples;
	size_t sample_len;
	const struct ps_store_gpu_sample *gpus;
	size_t gpu_len;
	const struct ps_store_scrape *scrapes; /* in order of their series */
	size_t scrape_len;
	int copies; /* of the tenant, in PACK; else 1. When writing, 0 is 1. They have one result */
};

struct ps_store_cell {
	int64_t id;	 /* ignored when writing */
	const char *key; /* unique in the campaign: "search/alone:resnet50", "confirm/3/together" */
	enum ps_store_cell_kind kind;
	int set;	     /* index into the campaign's sets */
	int block, position; /* block number and place in it; search cells: -1 and their order */
	int part, point;     /* of RATES, FRONTIER, PACK: which of the campaign's, which point of
			      * it; else -1 */
	const char *digest;  /* of all that its result depends on: with the same digest it need not
			      * be measured again. NULL in files of schema 1 */
	int attempt;	     /* how often it was started */
	bool damaged; /* reading: its content, or a trial's, is not what was written (its seal) */
	enum ps_store_cell_state state;
	const char *reason; /* of FAILED; NULL otherwise */
	int64_t started_wall_ns, finished_wall_ns;
	const char *slice_json;		   /* the slice as applied; NULL before it ran */
	const char *server_json;	   /* the server's ready line: models, memory, load times */
	struct ps_store_capacity capacity; /* of SEARCH */
	const struct ps_store_trial *trials;
	size_t trial_len;
	const struct ps_store_figure *figures;
	size_t figure_len;
};

struct ps_store_campaign {
	int64_t id;	  /* ignored when writing; the last one begun has the largest */
	const char *uuid; /* says which campaign it is, in any store; NULL when writing: drawn */
	int64_t previous; /* the campaign that this one goes on from with a changed file; 0: none */
	bool damaged;	  /* reading: plan, tenants or sets are not what was written */
	const char *name;
	const char *file_path, *file_text;
	const char *manifest_json;
	uint64_t seed;
	int64_t started_wall_ns, finished_wall_ns;
	const char *slice_cpus;	    /* as asked: "0-1" */
	int64_t slice_memory_bytes; /* as asked; 0: no limit */
	double slice_cpu_quota;	    /* as asked, in CPUs; 0: none */
	struct ps_store_price price;
	const char *full_command; /* how to run the publishable form; may be NULL */
	const struct ps_store_tenant *tenants;
	size_t tenant_len;
	const struct ps_store_set *sets;
	size_t set_len;
	const struct ps_store_cell *cells; /* in order of the plan; when writing: as planned */
	size_t cell_len;
};

/* ---- the file ---- */

/* ps_store_open opens or makes the file. Blocks (disk). */
enum ps_status ps_store_open(const char *path, enum ps_store_mode mode, struct ps_store **ret_store,
			     struct ps_error *err);
/* ps_store_close closes it; NULL is allowed. */
void ps_store_close(struct ps_store *s);
/* ps_store_check runs SQLite's own quick check and ours (done cells have results, counts agree).
 * PS_ECORRUPT with the first thing found. upkeep.h has the thorough one. */
enum ps_status ps_store_check(struct ps_store *s, struct ps_error *err);

/* ---- writing ---- */

/* ps_store_campaign_begin writes the campaign with its tenants, sets and planned cells in one
 * transaction. */
enum ps_status ps_store_campaign_begin(struct ps_store *s, const struct ps_store_campaign *c,
				       int64_t *ret_campaign_id, struct ps_error *err);
/* What a campaign takes over from an earlier form of itself. */
struct ps_store_move {
	const char *key, *old_key; /* of the cell here, planned, and there, done */
};
/* ps_store_campaign_go_on does what ps_store_campaign_begin does for a changed file: the cells
 * named in `moves` take their results from campaign c->previous, whose own cells become MOVED.
 * Tenants are found by their names; one of a moved result that c has not is PS_EINVAL. PS_ECORRUPT
 * when one of these cells is not what was written: damage gets no fresh seal. All of it or nothing.
 */
enum ps_status ps_store_campaign_go_on(struct ps_store *s, const struct ps_store_campaign *c,
				       const struct ps_store_move *moves, size_t n,
				       int64_t *ret_campaign_id, struct ps_error *err);
/* ps_store_campaign_finish sets the time of the end. */
enum ps_status ps_store_campaign_finish(struct ps_store *s, int64_t campaign_id, int64_t wall_ns,
					struct ps_error *err);
/* ps_store_campaign_set_manifest replaces the manifest (a resumed run adds its own part). */
enum ps_status ps_store_campaign_set_manifest(struct ps_store *s, int64_t campaign_id,
					      const char *manifest_json, struct ps_error *err);
/* ps_store_cell_start marks a cell as running and counts the attempt. A cell that is done is
 * refused with PS_EEXIST: nothing is measured twice; so is one whose results were moved. */
enum ps_status ps_store_cell_start(struct ps_store *s, int64_t campaign_id, const char *key,
				   int64_t wall_ns, struct ps_error *err);
/* ps_store_cell_write writes the outcome of a running cell (key, state DONE or FAILED, reason,
 * slice, server, capacity, trials) whole or not at all; kind, set, block and position stay as they
 * were planned. PS_EINVAL when the cell is not running. */
enum ps_status ps_store_cell_write(struct ps_store *s, int64_t campaign_id,
				   const struct ps_store_cell *cell, struct ps_error *err);
/* ps_store_cell_skip marks a planned cell as not needed, with the reason. PS_EINVAL when it is not
 * planned. */
enum ps_status ps_store_cell_skip(struct ps_store *s, int64_t campaign_id, const char *key,
				  const char *reason, struct ps_error *err);

/* ---- reading ---- */

struct ps_store_listing {
	int64_t id;
	char name[128];
	int64_t started_wall_ns, finished_wall_ns;
	int cells, done, failed;
};

/* ps_store_list gives the campaigns, the last one begun first (by their ids: wall clocks jump); the
 * caller frees *ret_list with free(). */
enum ps_status ps_store_list(struct ps_store *s, struct ps_store_listing **ret_list,
			     size_t *ret_len, struct ps_error *err);
/* ps_store_campaign_read reads a campaign with all its cells, trials, results, series and samples;
 * requests stay in the file. `campaign_id` 0: the last one begun. PS_ECORRUPT when a row names what
 * the campaign has not, lacks what others go by, or has a demand, price or capacity that is none
 * (negative, infinite or over 10^12, no number; a price of 0), or an SLA that is no agreement. What
 * could be read but differs from its seal is said by `damaged`; so all of the campaign's content
 * goes through a digest, requests as well. */
enum ps_status ps_store_campaign_read(struct ps_store *s, int64_t campaign_id,
				      struct ps_store_campaign **ret_campaign,
				      struct ps_error *err);
/* ps_store_campaign_free frees what ps_store_campaign_read gave; NULL is allowed. */
void ps_store_campaign_free(struct ps_store_campaign *c);
/* ps_store_requests_read decodes the requests of one result, in the order of their end; the caller
 * frees *ret_requests with free(). */
enum ps_status ps_store_requests_read(struct ps_store *s, int64_t result_id,
				      struct ps_store_request **ret_requests, size_t *ret_len,
				      struct ps_error *err);

/* ps_store_state_name and ps_store_role_name give the stable names used in the file. */
const char *ps_store_state_name(enum ps_store_cell_state s);
const char *ps_store_role_name(enum ps_store_role r);
const char *ps_store_kind_name(enum ps_store_cell_kind k);

#endif
