/* remote_internal.h - what the transports over a network have in common.   Layer 3. */
#ifndef PS_LOAD_REMOTE_INTERNAL_H
#define PS_LOAD_REMOTE_INTERNAL_H

#include "load/target_internal.h"

/* A slot whose request is one call. */
struct ps_load_remote_slot {
	struct ps_load_islot base;
	struct ps_net_call call;
};

/* init reads the certificates when a replica is asked for over TLS. */
enum ps_status ps_load_remote_init(struct ps_load_target *g, struct ps_error *err);
void ps_load_remote_fini(struct ps_load_target *g);

/* A line is a client. */
enum ps_status ps_load_remote_open(struct ps_load_line *line, struct ps_error *err);
bool ps_load_remote_ready(const struct ps_load_line *line);
void ps_load_remote_close(struct ps_load_line *line);
bool ps_load_remote_room(const struct ps_load_line *line);
int ps_load_remote_streams(const struct ps_load_line *line);

/* ps_load_remote_prepare serialises `like` for a replica. */
enum ps_status ps_load_remote_prepare(const struct ps_load_target *g, struct ps_load_request *q,
				      size_t replica, const struct ps_net_call *like,
				      struct ps_error *err);

/* ps_load_remote_call makes one call like `like` to a replica on a loop of its own; the answer of
 * the finished call is passed to `use` with ctx and, when it failed, why in words ("": nothing more
 * is known). BLOCKS. */
enum ps_status ps_load_remote_call(const struct ps_load_target *g, size_t replica,
				   const struct ps_net_call *like, int64_t timeout_ns,
				   enum ps_status (*use)(void *ctx, const struct ps_net_call *call,
							 const char *why, struct ps_error *err),
				   void *ctx, struct ps_error *err);

/* ps_load_remote_take puts the instants and sizes of a finished call into the slot's answer, says
 * what became of the exchange (port->err is set unless it is PS_LOAD_OK) and whether it was
 * cancelled. Statuses of HTTP and gRPC are not looked at. */
enum ps_load_outcome ps_load_remote_take(struct ps_load_islot *s, const struct ps_net_call *call);

/* ps_load_remote_http and _grpc say what a status means; PS_LOAD_OK for 200 and 0. */
enum ps_load_outcome ps_load_remote_http(struct ps_load_islot *s, const struct ps_net_call *call);
enum ps_load_outcome ps_load_remote_grpc(struct ps_load_islot *s, const struct ps_net_call *call);

/* ps_load_remote_send sends s->request as one prepared call. */
enum ps_status ps_load_remote_send(struct ps_load_islot *s, int64_t deadline_ns,
				   void (*on_done)(struct ps_net_call *call), struct ps_error *err);
/* ps_load_remote_cancel ends that call. */
void ps_load_remote_cancel(struct ps_load_islot *s);

/* ps_load_remote_refusal fills `err` for a call for metadata that did not give any. */
enum ps_status ps_load_remote_refusal(const struct ps_load_item *it,
				      const struct ps_load_replica *r,
				      const struct ps_net_call *call, const char *why,
				      struct ps_error *err);

#endif
