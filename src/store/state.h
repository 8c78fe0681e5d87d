/* state.h - what a server remembers across restarts, in one SQLite file: models that were loaded
 * over its API, and a ledger of usage.   Layer 2. Uses base only.
 *
 * The ledger has one row per server run, tenant, model and minute (UTC). A row is written again
 * with larger numbers as long as its minute lasts: values are absolute, so writing twice changes
 * nothing. A reader adds up the rows of all runs. Tenants and models are kept by name: numbers mean
 * nothing outside a run.
 *
 * A struct belongs to one thread at a time. One server writes a file (a lock says so: PS_EINUSE);
 * any number of readers may read beside it. Errors as in store.h.
 */
#ifndef PS_STORE_STATE_H
#define PS_STORE_STATE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PS_STATE_FILE	       "perseus-state.db" /* in the folder that --state names */
#define PS_STATE_VERSION       2
#define PS_STATE_NS_PER_MINUTE INT64_C(60000000000)
#define PS_STATE_MAX_LOADS     65536
#define PS_STATE_FLUSH_NS      INT64_C(10000000000) /* a server writes at least this often */

struct ps_state;

/* ps_state_open opens DIR/perseus-state.db for a server and makes folder and file when absent; each
 * opening is a new run. `wall_ns` is the time now, since 1970 UTC. Blocks (disk). */
enum ps_status ps_state_open(const char *dir, int64_t wall_ns, struct ps_state **ret_state,
			     struct ps_error *err);
/* ps_state_open_reading opens it for readers; the file must exist. */
enum ps_status ps_state_open_reading(const char *dir, struct ps_state **ret_state,
				     struct ps_error *err);
/* ps_state_close closes it; NULL is fine. A server's run without ps_state_end counts as killed. */
void ps_state_close(struct ps_state *s);
/* ps_state_end says that the run ended in good order: nothing of it is missing in the ledger. */
enum ps_status ps_state_end(struct ps_state *s, int64_t wall_ns, struct ps_error *err);

/* ps_state_begin_again ends this run in good order and begins another: for a clock that was set
 * back, so that minutes which have rows already get rows beside them. On failure the old run goes
 * on. */
enum ps_status ps_state_begin_again(struct ps_state *s, int64_t wall_ns, struct ps_error *err);

/* --- usage --- */

/* Of one tenant, model and minute. */
struct ps_state_usage {
	const char *tenant, *model; /* borrowed; "-": nobody's */
	int64_t version;
	int64_t minute;		 /* since 1970 UTC */
	int64_t requests;	 /* answered with a result */
	int64_t failed;		 /* refused or failed, whatever the reason */
	int64_t inferences;	 /* rows of the answered ones */
	int64_t compute_ns;	 /* lane time x CPUs held, cancelled and failed runs included */
	int64_t resident_byte_s; /* memory held x seconds */
};

/* ps_state_write writes rows of this run in one transaction, over those of the same tenant, model,
 * version and minute; and that everything before `wall_ns` is written. */
enum ps_status ps_state_write(struct ps_state *s, const struct ps_state_usage *rows, size_t n,
			      int64_t wall_ns, struct ps_error *err);

/* What is asked of the ledger; zeroed: everything. */
struct ps_state_query {
	const char *tenant, *model;	/* NULL: all */
	int64_t from_minute, to_minute; /* to: the first one that does not count; 0: no end */
	bool by_minute; /* one row per minute; else one per tenant, model and version */
};

/* ps_state_read calls `row` for each row of the sums over all runs, ordered by tenant, model,
 * version and minute, until it returns false. Texts live during the call. Sums are exact;
 * PS_ECORRUPT when one exceeds 64 bits. */
enum ps_status ps_state_read(struct ps_state *s, const struct ps_state_query *q,
			     bool (*row)(void *ctx, const struct ps_state_usage *u), void *ctx,
			     struct ps_error *err);

/* What may be missing from the ledger between two instants. */
struct ps_state_loss {
	int runs;	 /* runs that overlap */
	int killed;	 /* of them: ended without ps_state_end, or still going on */
	int64_t open_ns; /* at most this much time, in all, is not in the ledger: for each of those
			  * the time between two writes */
	int64_t last_write_ns; /* wall clock of the last write of any run; 0: none */
	int64_t kept_minute;   /* minutes before this one were deleted (ps_state_forget); 0: none */
};
/* ps_state_loss says it for the query's minutes. */
enum ps_status ps_state_loss(struct ps_state *s, const struct ps_state_query *q,
			     struct ps_state_loss *ret_loss, struct ps_error *err);

/* ps_state_forget deletes the usage of minutes before `minute`, the oldest first, at most
 * `max_minutes` of them, and notes that they were; runs go when nothing of them is left. */
enum ps_status ps_state_forget(struct ps_state *s, int64_t minute, int max_minutes,
			       struct ps_error *err);

/* --- loads --- */

/* What the API asked for last of one model (version 0: of the name). */
struct ps_state_load {
	const char *model;
	int64_t version;
	bool loaded;	    /* else: unloaded */
	const char *config; /* that came with the load, JSON; NULL: none */
	const char *tenant; /* whose own instance it is; NULL: the shared one */
};

/* ps_state_put_load remembers it in place of what was asked before. */
enum ps_status ps_state_put_load(struct ps_state *s, const struct ps_state_load *l, int64_t wall_ns,
				 struct ps_error *err);
/* ps_state_loads calls `row` for each, in the order in which they were asked. */
enum ps_status ps_state_loads(struct ps_state *s,
			      bool (*row)(void *ctx, const struct ps_state_load *l), void *ctx,
			      struct ps_error *err);

/* --- demand: what a planner wants to know of a model that may be evicted --- */

/* Of one tenant for one version of a model. */
struct ps_state_demand_row {
	const char *tenant, *model;
	int64_t version;
	double rps; /* requests per second, smoothed */
};

/* ps_state_put_demand remembers the demand of tenants for models, in one transaction. */
enum ps_status ps_state_put_demand(struct ps_state *s, const struct ps_state_demand_row *rows,
				   size_t n, int64_t wall_ns, struct ps_error *err);
/* ps_state_demands calls `row` for each that is remembered, until it returns false. */
enum ps_status ps_state_demands(struct ps_state *s,
				bool (*row)(void *ctx, const struct ps_state_demand_row *row),
				void *ctx, struct ps_error *err);
/* ps_state_demand returns it, 0 when nothing is known. */
enum ps_status ps_state_demand(struct ps_state *s, const char *tenant, const char *model,
			       int64_t version, double *ret_rps, struct ps_error *err);

/* ps_state_put_load_scale remembers how long a step of loads takes, to a first guess;
 * ps_state_load_scale returns it, 0 when nothing is known. */
enum ps_status ps_state_put_load_scale(struct ps_state *s, const char *step, double scale,
				       struct ps_error *err);
enum ps_status ps_state_load_scale(struct ps_state *s, const char *step, double *ret_scale,
				   struct ps_error *err);

#endif
