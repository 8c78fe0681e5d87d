/* observe_internal.h - what is counted, logged and billed: what the request path calls.   Layer 5.
 *
 * Each I/O thread writes its own struct ps_serve_observe_io (its mutex is contended by a scrape
 * only). One background thread, the observer, writes the access log and the ledger, so that no I/O
 * thread ever waits for a disk. Statistics are sparse: a pair of tenant and model costs memory from
 * its first request on.
 *
 *	observe.c        calls, events, loads
 *	observe_table.c  the table of pairs
 *	observe_thread.c the observer's thread, life
 *	observe_log.c    access log and slow requests
 *	observe_text.c   /metrics
 *	observe_stats.c  statistics as the protocol has them
 *	ledger.c         usage per tenant, model and minute -> store/state.h
 *	trace.c          W3C traceparent
 */
#ifndef PS_SERVE_OBSERVE_INTERNAL_H
#define PS_SERVE_OBSERVE_INTERNAL_H

#include "serve/serve_internal.h"

/* ps_serve_observe_new opens the access log and the state file that the server's newest snapshot
 * names, with one part per I/O thread (n_ios). s->snapshot, s->repo and started_* must be set.
 * PS_EIO, PS_EFORBIDDEN, PS_ENOMEM, errors of store/state.h. */
enum ps_status ps_serve_observe_new(struct ps_serve *s, int n_ios,
				    struct ps_serve_observe **ret_observe, struct ps_error *err);
/* ps_serve_observe_start starts the observer's thread. PS_EIO. */
enum ps_status ps_serve_observe_start(struct ps_serve_observe *o, struct ps_error *err);
/* ps_serve_observe_stop writes what is left of logs and ledger and ends the thread; call it after
 * the I/O threads have ended and before the repository is freed. */
void ps_serve_observe_stop(struct ps_serve_observe *o);
/* ps_serve_observe_free frees it; NULL is fine. */
void ps_serve_observe_free(struct ps_serve_observe *o);
/* ps_serve_observe_io borrows the part of I/O thread `number`, for io->observe. */
struct ps_serve_observe_io *ps_serve_observe_io(struct ps_serve_observe *o, int number);

/* ps_serve_observe_call takes the account of a call that has ended, on its I/O thread, exactly
 * once, from ps_serve_sent (also when the client is gone). All routes: infer calls are counted and
 * billed, the others are counted by route and status. Reads c->d.account (status, reason, instants,
 * rows: also of calls that never arrived at dispatch, then status must be set), target, tenant,
 * model, body_bytes, answer_bytes, http_status, peer, trace and err. */
void ps_serve_observe_call(struct ps_serve_call *c);

/* Events that are no calls. Any I/O thread, its own part. */
enum ps_serve_event {
	PS_SERVE_EVENT_KEY_MISSING, /* no key where one is needed */
	PS_SERVE_EVENT_KEY_WRONG,   /* a key that nobody has */
	PS_SERVE_EVENT_KEY_BLOCKED, /* the address has failed too often: not even looked at */
	PS_SERVE_EVENT_COUNT
};
void ps_serve_observe_event(struct ps_serve_observe_io *io, enum ps_serve_event e);

/* Steps of a load; CONVERT: and opening what came of it. */
enum ps_serve_load_step {
	PS_SERVE_LOAD_HASH,
	PS_SERVE_LOAD_WAIT,
	PS_SERVE_LOAD_CONVERT,
	PS_SERVE_LOAD_OPEN,
	PS_SERVE_LOAD_STEPS
};
/* ps_serve_observe_step counts one of a load that was successful. Any thread. */
void ps_serve_observe_step(struct ps_serve_observe *o, enum ps_serve_load_step step, int64_t ns);
/* ps_serve_observe_load counts the end of a load of a model, ps_serve_observe_unload that of an
 * instance's unload. Any thread. */
void ps_serve_observe_load(struct ps_serve_observe *o, int model, enum ps_status status,
			   int64_t load_ns);
void ps_serve_observe_unload(struct ps_serve_observe *o, int model);

/* --- trace context: pure functions --- */

#define PS_SERVE_TRACE_SIZE 56 /* version 00 and a NUL */

struct ps_serve_trace {
	unsigned char trace_id[16], parent_id[8], span_id[8];
	unsigned char flags;		/* of the traceparent that came: 1 sampled, 2 random */
	char text[PS_SERVE_TRACE_SIZE]; /* what goes on: same trace, our span */
};

/* ps_serve_trace_parse reads a traceparent header (version 00, or the known part of a later one).
 * False when it is malformed: then there is no trace. Leaves span_id and text alone. */
bool ps_serve_trace_parse(const char *text, struct ps_serve_trace *ret_trace);
/* ps_serve_trace_span gives it a span of its own (not 0) and writes `text`. */
void ps_serve_trace_span(struct ps_serve_trace *t, uint64_t span_id);

/* ps_serve_trace_take parses the header of a call (NULL: none came), sets c->trace (in the call's
 * arena) and adds the answer's traceparent. Nothing happens when it is absent or malformed. */
void ps_serve_trace_take(struct ps_serve_call *c, const char *traceparent);

#endif
