/* observe_parts_internal.h - the observer from inside: shared by observe*.c and ledger.c. Layer 5.
 *
 * A *cell* counts what one I/O thread saw of one pair of tenant and model; a *pair* knows the cells
 * of all I/O threads. Cells and pairs are made on first use and live as long as the observer.
 *
 *	I/O thread --io->lock--> cells, log buffer          (uncontended but for readers)
 *	a new pair  --o->lock--> pairs, in order of first use
 *	observer thread: takes the logs, reads the cells, writes files; does jobs for I/O threads
 */
#ifndef PS_SERVE_OBSERVE_PARTS_INTERNAL_H
#define PS_SERVE_OBSERVE_PARTS_INTERNAL_H

#include "base/rng.h"
#include "base/strbuf.h"
#include "metrics/metrics.h"
#include "serve/observe_internal.h"
#include "store/state.h"

enum {
	PS_SERVE_MAX_BATCH_SIZES = 32, /* of a cell; larger ones share the last row */
	PS_SERVE_LOG_BYTES = 1 << 20,  /* of one I/O thread that wait to be written */
};

/* A count and the sum of what was counted. */
struct ps_serve_sum {
	uint64_t count;
	int64_t ns;
};

/* Runs of one size. */
struct ps_serve_batches {
	int64_t rows;
	struct ps_serve_sum input, infer, output;
};

/* How an inference ended, finer than its status: a label. The first ones are dispatch's reasons. */
enum ps_serve_outcome {
	PS_SERVE_OUTCOME_OK = PS_DISPATCH_REASON_NONE,
	PS_SERVE_OUTCOME_INVALID = PS_DISPATCH_REASON_COUNT, /* the request itself is wrong */
	PS_SERVE_OUTCOME_ERROR,				     /* anything else */
	PS_SERVE_OUTCOME_COUNT
};

/* What is counted of a pair, by one thread or summed over all. */
struct ps_serve_counts {
	uint64_t outcomes[PS_SERVE_OUTCOME_COUNT];
	uint64_t inferences; /* rows of those with a result */
	uint64_t executions; /* runs whose first request was this pair's */
	struct ps_serve_sum success, fail, queue, input, infer, output;
	struct ps_metrics_hist latency, waited, computed;
	uint64_t judged, good; /* against the agreement */
	uint64_t bytes_in, bytes_out;
	int64_t cost_ns;
	int64_t last_wall_ms;
	struct ps_serve_batches batches[PS_SERVE_MAX_BATCH_SIZES]; /* rising rows */
	int n_batches;
};

struct ps_serve_cell {
	int tenant, model;
	struct ps_serve_cell *next; /* of the same hash value */
	uint64_t generation;	    /* of the snapshot that the limit is from */
	int64_t limit_ns;	    /* of the agreement; 0: there is none */
	struct ps_serve_counts counts;
};

struct ps_serve_pair {
	int tenant, model;
	struct ps_serve_pair *next;   /* of the same hash value */
	bool own_series;	      /* not added up under "other" */
	struct ps_serve_cell **cells; /* by I/O thread; NULL: nothing yet. Guarded by o->lock */
};

enum { PS_SERVE_CELL_BUCKETS_MIN = 64, PS_SERVE_PAIR_BUCKETS = 8192 };

struct ps_serve_observe_io {
	struct ps_serve_observe *observe;
	int number;
	pthread_mutex_t lock;
	struct ps_serve_cell **buckets; /* a power of two */
	size_t n_buckets, n_cells;
	uint64_t events[PS_SERVE_EVENT_COUNT];
	uint64_t routes[PS_OIP_ROUTE_COUNT][PS_STATUS_COUNT];
	uint64_t uncounted; /* calls for which there was no memory */
	struct ps_rng rng;  /* span ids */
	double sample_debt; /* of the access log */
	struct ps_strbuf log;
	uint64_t log_dropped;
	struct ps_net_server_stats net; /* of its listeners, when last looked */
	int connections;
	struct ps_evloop_task look; /* posted by a scrape: take up `net` */
	atomic_bool look_posted;
};

/* Work that the observer's thread does for an I/O thread. The caller's storage until `done`, which
 * comes on `loop`. */
struct ps_serve_job {
	void (*work)(struct ps_serve_job *job); /* on the observer's thread; may block on a disk */
	void (*done)(struct ps_serve_job *job); /* on the loop's */
	struct ps_evloop *loop;
	struct ps_serve_job *next;
	struct ps_evloop_task task;
};

/* How loads ended, by model. Guarded by o->lock. */
struct ps_serve_loads {
	uint64_t loaded, failed, unloaded;
	int64_t load_ns; /* of the last one; sum_ns of all */
	int64_t sum_ns;
};

/* Of all models. */
struct ps_serve_load_steps {
	uint64_t n[PS_SERVE_LOAD_STEPS];
	int64_t sum_ns[PS_SERVE_LOAD_STEPS];
};

struct ps_serve_ledger; /* ledger.c */

struct ps_serve_observe {
	struct ps_serve *server;
	pthread_mutex_t lock; /* pairs, loads, jobs, wake; taken inside no other but s->lock */
	pthread_cond_t wake;
	pthread_t thread;
	bool started, stopping, awake;
	struct ps_serve_observe_io *ios;
	int n_ios;
	struct ps_serve_pair **pairs; /* in order of first use */
	size_t n_pairs, cap_pairs, max_series;
	struct ps_serve_pair *pair_hash[PS_SERVE_PAIR_BUCKETS];
	struct ps_serve_loads *loads; /* by model */
	struct ps_serve_load_steps steps;
	int n_loads;
	struct ps_serve_job *jobs, **jobs_end;
	/* settings of the newest snapshot; read without lock by I/O threads */
	atomic_bool log_on;
	_Atomic int64_t slow_ns;
	_Atomic double sample;
	/* the observer's thread's */
	int log_fd; /* guarded by log_lock: a reload opens it again */
	pthread_mutex_t log_lock;
	uint64_t log_lost;	/* bytes that the file did not take */
	bool log_torn;		/* the last line that it took has no end. Guarded by log_lock */
	struct ps_state *state; /* NULL: none */
	struct ps_serve_ledger *ledger;
	/* for /metrics */
	_Atomic int64_t ledger_wall_ns; /* last written */
	_Atomic uint64_t ledger_failures;
	_Atomic uint64_t reloads, reloads_refused;
};

/* observe.c */
enum ps_serve_outcome ps_serve_outcome(enum ps_status status, enum ps_dispatch_reason reason);
const char *ps_serve_outcome_name(int outcome);
/* observe_table.c */
/* ps_serve_batch_row returns the row of a batch size, a new one when there is room. */
struct ps_serve_batches *ps_serve_batch_row(struct ps_serve_counts *c, int64_t rows);
/* ps_serve_find_cell and ps_serve_new_cell: io->lock held. NULL: none, or no memory. */
struct ps_serve_cell *ps_serve_find_cell(const struct ps_serve_observe_io *io, int tenant,
					 int model);
struct ps_serve_cell *ps_serve_new_cell(struct ps_serve_observe_io *io, int tenant, int model);
/* ps_serve_counts_add adds `from` to `to`. */
void ps_serve_counts_add(struct ps_serve_counts *to, const struct ps_serve_counts *from);
/* ps_serve_pair_read sums a pair over all I/O threads. Any thread, without locks held. */
void ps_serve_pair_read(struct ps_serve_observe *o, size_t pair,
			struct ps_serve_counts *ret_counts);
/* ps_serve_pairs returns how many there are, ps_serve_pair_get one of them: they never move. */
size_t ps_serve_pairs(struct ps_serve_observe *o);
const struct ps_serve_pair *ps_serve_pair_get(struct ps_serve_observe *o, size_t pair);
/* ps_serve_was_loaded says whether a model was ever loaded by this server. Any thread. */
bool ps_serve_was_loaded(struct ps_serve_observe *o, int model);

/* observe_thread.c */
/* ps_serve_observe_settle takes up what of a configuration concerns it: `log_fd` is
 * ps_serve_log_open's. Cannot fail, so that a reload does it last. */
void ps_serve_observe_settle(struct ps_serve_observe *o, const struct ps_serve_config *c,
			     int log_fd);
/* ps_serve_observe_wake says that a log has something to write. */
void ps_serve_observe_wake(struct ps_serve_observe *o);
/* ps_serve_observe_post hands a job to the observer's thread. */
void ps_serve_observe_post(struct ps_serve_observe *o, struct ps_serve_job *job);
/* ps_serve_observe_look asks every I/O thread to take up what its listeners count. */
void ps_serve_observe_look(struct ps_serve_observe *o);

/* observe_log.c */
/* ps_serve_log_open opens the access log that a configuration names (stderr when it names none);
 * ps_serve_log_close closes what it gave, ps_serve_log_take writes there from now on. */
enum ps_status ps_serve_log_open(const struct ps_serve_config *c, int *ret_fd,
				 struct ps_error *err);
void ps_serve_log_close(int fd);
void ps_serve_log_take(struct ps_serve_observe *o, int fd);
/* ps_serve_log_call appends a line when the call is one to be logged. I/O thread, io->lock held.
 * True: the observer has something to write that it may not know of. */
bool ps_serve_log_call(struct ps_serve_observe_io *io, const struct ps_serve_call *c,
		       enum ps_status status, int64_t total_ns);
/* ps_serve_log_flush writes what the I/O threads have left. The observer's thread. */
void ps_serve_log_flush(struct ps_serve_observe *o);

/* observe_text.c */
/* ps_serve_metrics_text writes the page for `viewer` (PS_TENANCY_ADMIN: everything). Any thread. */
void ps_serve_metrics_text(struct ps_serve *s, int viewer, struct ps_strbuf *out);

/* observe_memory.c */
/* ps_serve_put_plan appends the member "model_memory" of the operator's status: what is kept, and
 * how fair that is. For a server with a budget of memory, under its lock. */
void ps_serve_put_plan(struct ps_serve *s, struct ps_strbuf *out);

/* observe_stats.c */
/* ps_serve_stats_build appends the statistics of the model of that name ("": all) and version (0:
 * all) that `viewer` may see. PS_ENOTFOUND. Any thread. */
enum ps_status ps_serve_stats_build(struct ps_serve *s, int viewer, const char *model,
				    int64_t version, enum ps_oip_form form, struct ps_strbuf *out,
				    struct ps_error *err);

/* ledger.c */
enum ps_status ps_serve_ledger_new(struct ps_serve_observe *o, struct ps_serve_ledger **ret_ledger,
				   struct ps_error *err);
void ps_serve_ledger_free(struct ps_serve_ledger *l);
/* ps_serve_ledger_flush takes what was used since the last time and writes it. The observer's
 * thread. */
void ps_serve_ledger_flush(struct ps_serve_ledger *l, int64_t now_ns, int64_t wall_ns);
/* ps_serve_ledger_is_whole says whether all that was flushed is written: nothing waits to be tried
 * again, nothing was given up. */
bool ps_serve_ledger_is_whole(const struct ps_serve_ledger *l);
/* ps_serve_ledger_next_ns returns when the next flush is due, on the monotonic clock. */
int64_t ps_serve_ledger_next_ns(const struct ps_serve_ledger *l);

#endif
