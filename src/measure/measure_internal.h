/* measure_internal.h - the parts of a campaign's run. Only measure/ includes this. */
#ifndef PS_MEASURE_MEASURE_INTERNAL_H
#define PS_MEASURE_MEASURE_INTERNAL_H

#include "base/arena.h"
#include "host/host.h"
#include "load/load.h"
#include "measure/measure.h"
#include "store/store.h"
#include "tenancy/tenancy.h"
#include "trial/trial.h"

struct ps_measure_blocks;
struct ps_strbuf;

/* ps_measure_find_model and _tenant return the index, or -1. */
int ps_measure_find_model(const struct ps_measure_campaign *c, const char *name);
int ps_measure_find_tenant(const struct ps_measure_campaign *c, const char *name);
/* ps_measure_good_name says whether a name may be one of a tenant, a set, a grid. */
bool ps_measure_good_name(const char *name);
/* ps_measure_at puts FILE:LINE:KEY into `where`: the line of the file on which this key of the
 * whole campaign stands ("server.metrics" of its section); without a line when it is not there. */
void ps_measure_at(const struct ps_measure_campaign *c, const char *key, struct ps_error *err);
/* ps_measure_wrong fills `err` for a place of the campaign's file and returns PS_EPARSE. */
enum ps_status ps_measure_wrong(const struct ps_measure_campaign *c, const struct ps_conf_where *w,
				const char *key, struct ps_error *err, const char *fmt,
				const char *name);
/* ps_measure_check_tenants checks tenants: names, models, mixes, URLs. PS_EPARSE. */
enum ps_status ps_measure_check_tenants(const struct ps_measure_campaign *c, struct ps_error *err);
/* ps_measure_tenant_models fills the places of the models that a tenant asks, its own or those of
 * its mix, each once; returns how many. */
int ps_measure_tenant_models(const struct ps_measure_campaign *c, const struct ps_measure_tenant *t,
			     int ret_models[PS_MEASURE_MAX_TENANTS]);
/* ps_measure_asks_model says whether a tenant asks this model. */
bool ps_measure_asks_model(const struct ps_measure_campaign *c, const struct ps_measure_tenant *t,
			   size_t model);
/* ps_measure_check_parts checks grids, frontiers, packings, batch sizes and what a remote server
 * allows, and reads their numbers. PS_EPARSE. */
enum ps_status ps_measure_check_parts(struct ps_measure_campaign *c, struct ps_error *err);
/* ps_measure_remove_dir deletes a folder of ours with the files in it (no folders in it). */
void ps_measure_remove_dir(const char *path);
/* ps_measure_path joins a folder and a relative path; the caller frees. NULL: no memory. */
char *ps_measure_path(const char *folder, const char *path);

/* ---- plan.c, sets.c, digest.c: sets and cells ---- */

/* ps_measure_plan expands the campaign into sets and cells (texts and arrays in `a`).
 * `contents`, one text per model and then one per tenant, name what the models hold and what the
 * traces of tenants hold; without them (NULL) cells get no digest. PS_EPARSE when two sets have one
 * name or the same tenants, or there are too many sets or cells; PS_ENOMEM. */
enum ps_status ps_measure_plan(const struct ps_measure_campaign *c, const char *const *contents,
			       struct ps_arena *a, struct ps_store_campaign *ret_plan,
			       struct ps_error *err);
/* ps_measure_cell_ns estimates how long a cell takes. */
int64_t ps_measure_cell_ns(const struct ps_measure_campaign *c, const struct ps_store_cell *cell);
/* ps_measure_timeout_ns is the time-out of requests. */
int64_t ps_measure_timeout_ns(const struct ps_measure_campaign *c);
/* ps_measure_grid_points returns the number of combinations of a grid's rates. */
int ps_measure_grid_points(const struct ps_measure_grid *g);
/* ps_measure_grid_rates fills the rates of combination `point`, one per member of the grid's set;
 * false when all are silent. */
bool ps_measure_grid_rates(const struct ps_measure_campaign *c, const struct ps_measure_grid *g,
			   int point, const struct ps_store_set *set, double *ret_rates);
/* ps_measure_frontier_shares fills the shares of a point's ray, in the order of the set's members,
 * in units of what each can do alone; they sum to 1. */
void ps_measure_frontier_shares(const struct ps_measure_campaign *c,
				const struct ps_measure_frontier *f, int point,
				const struct ps_store_set *set, double ret_shares[2]);

/* What a trial takes besides its own length, for the estimates. */
#define PS_MEASURE_SERVER_NS	   (PS_NS_PER_SEC) /* start and stop, models converted already */
#define PS_MEASURE_DRAIN_NS	   (300 * PS_NS_PER_MS)
#define PS_MEASURE_SCALE_WARMUP_NS (500 * PS_NS_PER_MS)

/* ---- match.c: a changed campaign ---- */

struct ps_measure_match {
	enum ps_measure_fate *fates; /* one per cell of the new plan */
	struct ps_store_move *moves; /* of those that are kept */
	const char **dropped;	     /* keys that were done and are not in the new plan */
	size_t move_len, dropped_len;
	int counts[PS_MEASURE_OPEN + 1]; /* of each fate */
	bool same;			 /* nothing differs: the earlier campaign itself goes on */
	bool repriced;			 /* nothing but the price of the slice does */
	bool damaged; /* the plan is the same, but the store holds cells that were not written so */
};

/* The figure of a search that ended for want of time without a capacity: how much it had. One with
 * a capacity says so in its method. */
#define PS_MEASURE_CUT_BY_TIME "cut_by_time"

/* ps_measure_match_plans compares a plan with digests and a price to an earlier one as read from
 * the store; memory in `a`. A search that was cut short for want of time is kept when `max_time_ns`
 * (0: no limit) gives it no more than it had, and with a search that is not kept goes what was
 * measured by its capacity. A done cell that is not what was written is measured again. Pure.
 * PS_EEXIST when the earlier one has no digests and another text; PS_ECORRUPT when its plan, or one
 * of its cells and it has no digests, is not what was written; PS_ENOMEM. */
enum ps_status ps_measure_match_plans(const struct ps_store_campaign *plan,
				      const struct ps_store_campaign *old, int64_t max_time_ns,
				      struct ps_arena *a, struct ps_measure_match *ret_match,
				      struct ps_error *err);
/* ps_measure_match_text writes "14 cells stay valid, 3 are measured again, ..."; returns buf. */
#define PS_MEASURE_MATCH_SIZE 240
const char *ps_measure_match_text(const struct ps_measure_match *m,
				  char buf[PS_MEASURE_MATCH_SIZE]);

/* ---- find.c ---- */

struct ps_measure_found {
	struct ps_store_campaign *campaign; /* the caller calls ps_store_campaign_free */
	int passed_over;		    /* later ones, measured on other machines */
};

/* ps_measure_find_campaign reads the latest campaign of that name whose runs were all on this kind
 * of machine (store/manifest.h). PS_ENOTFOUND; PS_EEXIST, with what differs, when all of that name
 * were measured on others. */
enum ps_status ps_measure_find_campaign(struct ps_store *s, const char *name,
					struct ps_measure_found *ret_found, struct ps_error *err);

/* ---- run.c: one call of ps_measure_run ---- */

struct ps_measure_context {
	const struct ps_measure_run *run;
	const struct ps_measure_campaign *c;
	struct ps_store *store;
	int64_t campaign_id;
	const struct ps_store_campaign *plan; /* as read from the store */
	char *config_dir, *model_dir, *cache_dir;
	char **model_paths; /* absolute, per model of the campaign; NULL: a remote server's own */
	char **contents; /* what models hold, then traces and files of tenants: see ps_measure_plan
			  */
	struct ps_load_traces traces;
	struct ps_load_arrival_spec arrivals[PS_MEASURE_MAX_TENANTS]; /* at the demand rates */
	struct ps_load_target_spec targets[PS_MEASURE_MAX_TENANTS];
	struct ps_load_tls tls; /* of a remote server and its metrics */
	struct ps_arena target_arena;
	char *keys[PS_MEASURE_MAX_TENANTS]; /* of a remote server's tenants; NULL: none */
	char *metrics_key;		    /* of its metrics */
	const char *match_text;		    /* of a changed campaign, for the manifest; or NULL */
	/* per set: the capacity along its ray, known when its search is done */
	struct ps_store_capacity capacities[PS_MEASURE_MAX_SETS];
	double rays[PS_MEASURE_MAX_SETS][PS_MEASURE_MAX_MEMBERS];
	struct ps_measure_blocks *blocks; /* what the blocks at the demand rates showed so far */
	int enough_blocks;		  /* they end before this one; INT_MAX: not known yet */
	char priority[96];		  /* how the generator was put first, for the manifest */
	bool metrics_missing;		  /* it was said that the server's metrics cannot be had */
	bool library_known;		  /* the manifest names the server's ONNX Runtime */
	/* progress */
	int64_t begun_ns;		/* of this call */
	int64_t cell_begun_ns, cell_ns; /* of the present cell */
	int64_t rest_ns;		/* estimate of the cells after this one */
	int64_t past_ns;		/* estimate of the cells before it */
	int cells_done;
	char cell[160], what[160];
	bool stopped; /* the caller wants to stop */
};

/* ---- models.c ---- */

/* ps_measure_digest_contents fills m->contents without writing any model; targets are made.
 * PS_ENOTFOUND with the line of the campaign's file. */
enum ps_status ps_measure_digest_contents(struct ps_measure_context *m, struct ps_error *err);
/* ps_measure_find_models fills m->model_paths and writes networks of the zoo that are not there. */
enum ps_status ps_measure_find_models(struct ps_measure_context *m, struct ps_error *err);
/* ps_measure_free_models frees both. */
void ps_measure_free_models(struct ps_measure_context *m);

/* ---- arrivals.c ---- */

/* ps_measure_make_arrivals makes the tenants' arrivals from their options, and reads traces.
 * PS_EINVAL and others with the line of the campaign's file. */
enum ps_status ps_measure_make_arrivals(struct ps_measure_context *m, struct ps_error *err);
/* ps_measure_free_arrivals frees them. */
void ps_measure_free_arrivals(struct ps_measure_context *m);
/* ps_measure_arrival returns the arrivals of a tenant at this mean rate over a run of `total_ns`;
 * they borrow from the context. PS_EINVAL when they cannot be brought to it. */
enum ps_status ps_measure_arrival(const struct ps_measure_context *m, int tenant, double rate_rps,
				  int64_t total_ns, struct ps_load_arrival_spec *ret_spec,
				  struct ps_error *err);

/* ---- targets.c ---- */

/* ps_measure_make_targets makes how the tenants ask from their options; one without options of TLS
 * has the server's. PS_EUSAGE with the line of the campaign's file, PS_ENOMEM. */
enum ps_status ps_measure_make_targets(struct ps_measure_context *m, struct ps_error *err);
/* ps_measure_free_targets frees them. */
void ps_measure_free_targets(struct ps_measure_context *m);

/* ---- keys.c: of a remote server ---- */

/* ps_measure_read_keys reads the keys of tenants and metrics from their files or the environment.
 * PS_ENOTFOUND, PS_EINVAL with the line of the campaign's file. */
enum ps_status ps_measure_read_keys(struct ps_measure_context *m, struct ps_error *err);
/* ps_measure_free_keys forgets them. */
void ps_measure_free_keys(struct ps_measure_context *m);

/* ---- begin.c ---- */

/* ps_measure_find_price fills the price of the slice from its sheet (texts in `a`); zeros when the
 * campaign names none. The errors of ps_cost_sheet_load and _find. */
enum ps_status ps_measure_find_price(const struct ps_measure_campaign *c, struct ps_arena *a,
				     struct ps_store_price *ret_price, struct ps_error *err);
/* ps_measure_begin writes a new campaign, or with m->run->resume finds the one to go on with, and
 * fills m->campaign_id. */
enum ps_status ps_measure_begin(struct ps_measure_context *m, struct ps_error *err);

/* ---- slice.c ---- */

/* ps_measure_check_slice says whether this machine has the CPUs that the campaign names and can
 * apply its quota. PS_EINVAL, PS_EUNSUPPORTED with the line of the campaign's file. */
enum ps_status ps_measure_check_slice(const struct ps_measure_campaign *c, struct ps_error *err);

/* ps_measure_say shows progress (note NULL) or a line that stays; returns false to stop. */
bool ps_measure_say(struct ps_measure_context *m, const char *note);

/* ---- server.c ---- */

struct ps_measure_live {
	struct ps_host_process *process; /* NULL: a remote server */
	char *url, *ready_line;
	char *metrics_url, *metrics_key;   /* NULL: none */
	char (*keys)[PS_TENANCY_KEY_SIZE]; /* one per member, or per copy; "": none */
	int key_len;
	int64_t ready_ns; /* from the start of the process to its ready line */
};

/* How a server is started for a cell. Zeros: as usual. */
struct ps_measure_start {
	int copies;	       /* of the only member */
	const char *cache_dir; /* of converted models; NULL: the campaign's */
	const char *model;     /* this one alone; NULL: all that the members ask */
};

/* ps_measure_server_start starts perseus for the members of a set and waits until it is ready, or
 * asks a remote server whether it is there. PS_EUNAVAIL and others with what it said. */
enum ps_status ps_measure_server_start(struct ps_measure_context *m, const struct ps_store_set *set,
				       const struct ps_measure_start *how,
				       struct ps_measure_live *ret_live, struct ps_error *err);
/* ps_measure_put_given appends the campaign's server_config to a configuration that lies in
 * m->config_dir, and writes the file of fresh keys that it names, for the members of the set. */
enum ps_status ps_measure_put_given(const struct ps_measure_context *m,
				    const struct ps_store_set *set, struct ps_measure_live *live,
				    struct ps_strbuf *b, struct ps_error *err);
/* ps_measure_member_name writes the name of a member, or of one of its copies; returns buf. */
#define PS_MEASURE_MEMBER_SIZE 64
const char *ps_measure_member_name(const struct ps_measure_tenant *t, int copy, int copies,
				   char buf[PS_MEASURE_MEMBER_SIZE]);
/* ps_measure_server_stop stops it and frees what `live` owns; it must end in order, else
 * PS_EUNAVAIL. A zeroed one may be passed. */
enum ps_status ps_measure_server_stop(struct ps_measure_live *live, struct ps_error *err);

/* ---- drive.c: one trial ---- */

struct ps_measure_load_plan {
	enum ps_store_role role;
	int number;	     /* in the cell */
	double factor;	     /* NAN: none */
	const double *rates; /* per member, 0: silent; NULL: closed loop */
	int users;
	int copies;	   /* of the only member, each at its rate; 0: 1 */
	int batch;	   /* 0: the tenant's own */
	const char *model; /* instead of what the tenants ask; NULL: that */
	int64_t warmup_ns, duration_ns;
	uint64_t seed;
	int look; /* from 1, of trials repeated until they decide; 0: the only one */
};

/* ps_measure_drive runs one trial against a live server, samples the host beside it and fills
 * *ret_trial (memory in `a`); *ret_result is the load generator's own, which the caller frees with
 * ps_load_result_fini. PS_ECANCELLED when the caller stops; PS_EUNAVAIL when the server died; the
 * errors of ps_load_run. */
enum ps_status ps_measure_drive(struct ps_measure_context *m, const struct ps_store_set *set,
				struct ps_measure_live *live,
				const struct ps_measure_load_plan *plan, struct ps_arena *a,
				struct ps_store_trial *ret_trial, struct ps_load_result *ret_result,
				struct ps_error *err);

/* ps_measure_place returns the place in the set of the load generator's tenant `number`. */
int ps_measure_place(const struct ps_measure_load_plan *plan, const struct ps_store_set *set,
		     int number);
/* ps_measure_convert fills the stored form of a load result (memory in `a`). Pure. PS_ENOMEM. */
enum ps_status ps_measure_convert(const struct ps_measure_campaign *c,
				  const struct ps_store_set *set,
				  const struct ps_measure_load_plan *plan,
				  const struct ps_load_result *r, struct ps_arena *a,
				  struct ps_store_trial *ret_trial, struct ps_error *err);
/* ps_measure_convert_host adds what was watched beside a trial: samples, GPUs, and as JSON what was
 * absent, the server's CPU time by tenant and model, and how far the generator was apart. The trial
 * becomes INVALID when the server passed the slice's memory and nothing limited it
 * (`memory_limited` false). */
enum ps_status ps_measure_convert_host(const struct ps_measure_campaign *c,
				       const struct ps_host_watched *w, bool memory_limited,
				       const struct ps_load_result *r, struct ps_arena *a,
				       struct ps_store_trial *trial, struct ps_error *err);
/* ps_measure_convert_samples adds the host's samples and their sums to a trial. Pure. */
enum ps_status ps_measure_convert_samples(const struct ps_host_sample *samples, size_t n,
					  const struct ps_load_result *r, struct ps_arena *a,
					  struct ps_store_trial *trial, struct ps_error *err);

/* ps_measure_pool makes one result out of those of all copies of a tenant: counts and histograms
 * add, requests are merged in the order of their end. PS_ENOMEM. */
enum ps_status ps_measure_pool(struct ps_load_result *r, struct ps_error *err);

/* ---- scrape.c ---- */

struct ps_metrics_page;

/* What is asked for with one GET. */
struct ps_measure_page {
	const char *url;  /* http://, https:// or unix: */
	const char *tail; /* behind the URL's own path: "/v2"; "": nothing */
	const char *key;  /* NULL: none */
	const struct ps_load_tls *tls;
};

/* ps_measure_get asks for a page and hands over the body with a NUL behind it, which the caller
 * frees. PS_EUNAVAIL, PS_ETIMEOUT; any status but 200 by what it means. Blocks for 5 s at most. */
enum ps_status ps_measure_get(const struct ps_measure_page *page, char **ret_body, size_t *ret_len,
			      struct ps_error *err);
/* ps_measure_ask_server is ps_measure_get of a path of the server that is up, with key and TLS of
 * the first member of the set. */
enum ps_status ps_measure_ask_server(const struct ps_measure_context *m,
				     const struct ps_store_set *set,
				     const struct ps_measure_live *live, const char *path,
				     char **ret_body, size_t *ret_len, struct ps_error *err);
/* ps_measure_scrape reads the server's metrics; the caller frees the page. NULL when there are none
 * to ask for, or they cannot be had, which is said once per run and is no error. */
struct ps_metrics_page *ps_measure_scrape(struct ps_measure_context *m,
					  const struct ps_measure_live *live);
/* ps_measure_convert_scrapes puts the samples into the trial, buckets and what stayed 0 apart; at
 * most 2000. Either page may be NULL. Pure. PS_ENOMEM. */
enum ps_status ps_measure_convert_scrapes(const struct ps_metrics_page *before,
					  const struct ps_metrics_page *after, struct ps_arena *a,
					  struct ps_store_trial *trial, struct ps_error *err);

/* ---- blocks.c: when blocks may end ---- */

struct ps_measure_blocks;

/* ps_measure_blocks_new makes an empty record of medians. NULL: no memory. */
struct ps_measure_blocks *ps_measure_blocks_new(const struct ps_store_campaign *plan);
void ps_measure_blocks_free(struct ps_measure_blocks *b);
/* ps_measure_blocks_add takes the trial at the demand rates of a set in a block. */
enum ps_status ps_measure_blocks_add(struct ps_measure_blocks *b, const struct ps_store_cell *cell);
/* ps_measure_blocks_width returns the largest half width of all slowdowns' intervals over blocks 0
 * to n - 1, as a share; INFINITY when one of them has none, or there is
 * none at all. */
double ps_measure_blocks_width(const struct ps_measure_blocks *b, int n);
/* ps_measure_blocks_enough says whether n whole blocks are enough for `limit`: n is even, at least
 * PS_MEASURE_LEAST_BLOCKS, and the width was within the limit here and two blocks before. */
#define PS_MEASURE_LEAST_BLOCKS 8
bool ps_measure_blocks_enough(const struct ps_measure_blocks *b, int n, double limit);

/* ---- cell.c ---- */

/* ps_measure_cell runs one cell and writes it, done or failed. Errors: of the store, and
 * PS_ECANCELLED; everything else becomes a failed cell. *ret_failed says so. */
enum ps_status ps_measure_cell(struct ps_measure_context *m, const struct ps_store_cell *cell,
			       bool *ret_failed, struct ps_error *err);

/* ---- manifest.c ---- */

/* ps_measure_manifest returns the manifest's text for a run that begins now; `old` (may be NULL)
 * is what earlier runs of the campaign wrote, and is kept. The caller frees. */
char *ps_measure_manifest(const struct ps_measure_context *m, const char *old);
/* ps_measure_manifest_library adds path and digest of the ONNX Runtime library that a ready server
 * has loaded to this run's part of the stored manifest, once per run; nothing when it has none
 * (synthetic models only). The store's errors. */
enum ps_status ps_measure_manifest_library(struct ps_measure_context *m, pid_t server,
					   struct ps_error *err);

#endif
