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

/* ps_measure_find_model and _tenant return the index, or -1. */
int ps_measure_find_model(const struct ps_measure_campaign *c, const char *name);
int ps_measure_find_tenant(const struct ps_measure_campaign *c, const char *name);
/* ps_measure_path joins a folder and a relative path; the caller frees. NULL: no memory. */
char *ps_measure_path(const char *folder, const char *path);

/* ---- plan.c: sets and cells ---- */

/* ps_measure_plan expands the campaign into sets and cells (texts and arrays in `a`). PS_EPARSE
 * when two sets have one name or the same tenants; PS_ENOMEM. */
enum ps_status ps_measure_plan(const struct ps_measure_campaign *c, struct ps_arena *a,
			       struct ps_store_campaign *ret_plan, struct ps_error *err);
/* ps_measure_cell_ns estimates how long a cell of this kind takes. */
int64_t ps_measure_cell_ns(const struct ps_measure_campaign *c, enum ps_store_cell_kind kind);
/* ps_measure_timeout_ns is the time-out of requests. */
int64_t ps_measure_timeout_ns(const struct ps_measure_campaign *c);

/* What a trial takes besides its own length, for the estimates. */
#define PS_MEASURE_SERVER_NS	   (PS_NS_PER_SEC) /* start and stop, models converted already */
#define PS_MEASURE_DRAIN_NS	   (300 * PS_NS_PER_MS)
#define PS_MEASURE_SCALE_WARMUP_NS (500 * PS_NS_PER_MS)

/* ---- context.c: one call of ps_measure_run ---- */

struct ps_measure_context {
	const struct ps_measure_run *run;
	const struct ps_measure_campaign *c;
	struct ps_store *store;
	int64_t campaign_id;
	const struct ps_store_campaign *plan; /* as read from the store */
	char *config_dir, *model_dir, *cache_dir;
	char **model_paths; /* absolute, per model of the campaign */
	/* per set: the capacity along its ray, known when its search is done */
	struct ps_store_capacity capacities[PS_MEASURE_MAX_SETS];
	double rays[PS_MEASURE_MAX_SETS][PS_MEASURE_MAX_MEMBERS];
	char priority[96];  /* how the generator was put first, for the manifest */
	bool library_known; /* the manifest names the server's ONNX Runtime */
	/* progress */
	int64_t begun_ns;		/* of this call */
	int64_t cell_begun_ns, cell_ns; /* of the present cell */
	int64_t rest_ns;		/* estimate of the cells after this one */
	int64_t past_ns;		/* estimate of the cells before it */
	int cells_done;
	char cell[160], what[160];
	bool stopped; /* the caller wants to stop */
};

/* ps_measure_say shows progress (note NULL) or a line that stays; returns false to stop. */
bool ps_measure_say(struct ps_measure_context *m, const char *note);

/* ---- server.c ---- */

struct ps_measure_live {
	struct ps_host_process *process;
	char *url, *ready_line;
	char keys[PS_MEASURE_MAX_MEMBERS][PS_TENANCY_KEY_SIZE];
	int lanes;
};

/* ps_measure_server_start starts perseus for the members of a set and waits until it is ready.
 * PS_EUNAVAIL and others with what it said. */
enum ps_status ps_measure_server_start(struct ps_measure_context *m, const struct ps_store_set *set,
				       struct ps_measure_live *ret_live, struct ps_error *err);
/* ps_measure_server_stop stops it and frees what `live` owns; it must end in order, else
 * PS_EUNAVAIL. A zeroed one may be passed. */
enum ps_status ps_measure_server_stop(struct ps_measure_live *live, struct ps_error *err);

/* ---- drive.c: one trial ---- */

struct ps_measure_load_plan {
	enum ps_store_role role;
	int number;	     /* in the cell */
	double factor;	     /* NAN: none */
	const double *rates; /* per member; NULL: closed loop */
	int users;
	int64_t warmup_ns, duration_ns;
	uint64_t seed;
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

/* ps_measure_convert fills the stored form of a load result (memory in `a`). Pure. PS_ENOMEM. */
enum ps_status ps_measure_convert(const struct ps_measure_campaign *c,
				  const struct ps_store_set *set,
				  const struct ps_measure_load_plan *plan,
				  const struct ps_load_result *r, struct ps_arena *a,
				  struct ps_store_trial *ret_trial, struct ps_error *err);
/* ps_measure_convert_samples adds the host's samples and their sums to a trial. Pure. */
enum ps_status ps_measure_convert_samples(const struct ps_host_sample *samples, size_t n,
					  const struct ps_load_result *r, struct ps_arena *a,
					  struct ps_store_trial *trial, struct ps_error *err);

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
