/* port.h - what a tenant asks, and the way there.   Layer 3.
 *
 *   target   one per tenant: replicas, metadata, requests, references. Made before the run, then
 *            read-only but for the first answers that repeats are compared with: shared by all
 *            threads without a lock.
 *   port     one per tenant and thread: the thread's connections (or workers) to that target.
 *   slot     room for one request of a port. HTTP/1.1: a connection; HTTP/2 and gRPC: a stream
 *            of one; in-process: a thread that runs the model.
 *
 * take -> send -> on_done -> give. The port chooses the slot, and with it the replica, so a user of
 * a closed loop takes a slot for each request as well.
 *
 * Which request goes out follows from the target and the number of the arrival alone: the same with
 * any number of threads, and whatever a server does.
 *
 * Answers are judged before on_done. One that equals to the byte an answer to the same request that
 * was found good before is good; any other is read in full: well-formed, all declared outputs there
 * with the declared type and shape, and, when a reference is at hand and the request belongs to the
 * sample, equal to it within the tolerance.
 */
#ifndef PS_LOAD_PORT_H
#define PS_LOAD_PORT_H

#include "evloop/evloop.h"
#include "load/load.h"
#include "load/notes.h"

struct ps_load_target;
struct ps_load_port;

/* --- targets --- */

/* ps_load_target_new resolves the URLs, asks for the metadata of each model at each replica (they
 * must agree) and makes all requests and references. BLOCKS on names, files and, at most
 * `timeout_ns` for each, on servers. `t` is borrowed. PS_EINVAL, PS_EPARSE, PS_ENOTFOUND,
 * PS_EUNAUTH, PS_EFORBIDDEN, PS_EUNAVAIL, PS_ETIMEOUT, PS_ETOOBIG, PS_EUNSUPPORTED, PS_ENOMEM: the
 * server's own words are in `err`. */
enum ps_status ps_load_target_new(const struct ps_load_tenant *t, uint64_t plan_seed,
				  int64_t timeout_ns, struct ps_load_target **ret_target,
				  struct ps_error *err);
/* ps_load_target_free frees it; no port may be open. NULL is fine. */
void ps_load_target_free(struct ps_load_target *g);

/* ps_load_target_streams says how many requests one connection carries at once. */
uint32_t ps_load_target_streams(const struct ps_load_target *g);
/* ps_load_target_max_slots bounds the slots of all ports together (threads of an in-process run);
 * UINT32_MAX: no bound but the plan's. */
uint32_t ps_load_target_max_slots(const struct ps_load_target *g);
/* Means over the mix: inferences, and bytes of the body or message, of one request. */
double ps_load_target_mean_batch(const struct ps_load_target *g);
double ps_load_target_mean_bytes(const struct ps_load_target *g);

/* What differs from the metadata at the start. */
enum ps_load_change {
	PS_LOAD_CHANGE_VERSIONS = 1,
	PS_LOAD_CHANGE_INPUTS = 2,
	PS_LOAD_CHANGE_OUTPUTS = 4,
	PS_LOAD_CHANGE_PLATFORM = 8,
	PS_LOAD_CHANGE_GONE = 16,	/* the server says that there is no such model any more */
	PS_LOAD_CHANGE_UNREADABLE = 32, /* it answers, but not with metadata */
};

/* The patience of all who ask again together. */
struct ps_load_patience {
	int64_t timeout_ns; /* of one question */
	int64_t until_ns;   /* of ps_clock_now_ns, of all of them */
	size_t questions;   /* that are still to be asked */
};

/* ps_load_target_questions returns how many a recheck asks: each model at each replica. */
size_t ps_load_target_questions(const struct ps_load_target *g);
/* ps_load_target_recheck asks all replicas for the metadata again and returns what differs, as a
 * set of enum ps_load_change; `text` gets it in words ("": nothing). A server that does not answer,
 * or only with an error, has changed nothing: *ret_unseen is how many were not seen. BLOCKS; none
 * waits longer than its part of the patience that is left (100 ms when there is so much), so that a
 * server that hangs leaves the others theirs. */
unsigned ps_load_target_recheck(struct ps_load_target *g, struct ps_load_patience *p, char *text,
				size_t size, unsigned *ret_unseen);

/* --- slots --- */

/* How a request went. Instants are those of the loop, 0: it never came to that. */
struct ps_load_answer {
	int64_t sent_ns, first_byte_ns, done_ns;
	int64_t first_byte_kernel_ns, done_kernel_ns; /* 0: the kernel gave none */
	int64_t server_queue_ns, server_compute_ns;   /* -1: not said */
	enum ps_load_outcome outcome;
	bool cancelled;			   /* by ps_load_port_cancel: the outcome means nothing */
	uint16_t http_status;		   /* 0: none; 1..16: gRPC's status of a failure */
	size_t bytes_sent, bytes_received; /* bodies, messages, tensors of an in-process run */
	uint32_t batch;			   /* inferences of this request */
	const char *why;		   /* of a failure, else ""; inside on_done only */
};

struct ps_load_slot {
	struct ps_load_port *port;
	void *ctx;	     /* slot_bytes of memory for the sender, zeroed when the slot is made */
	uint32_t number;     /* of the slot, from options.first_number on */
	uint32_t connection; /* that carries it, counted likewise */
	uint16_t replica;    /* whom it asks */
	struct ps_load_answer answer; /* inside on_done and until the next send */
};

/* Each 0 means the default in brackets. */
struct ps_load_port_options {
	struct ps_evloop *loop;
	uint32_t max_slots;    /* [1] */
	uint32_t max_lines;    /* connections to each replica [no bound but the slots'] */
	uint32_t first_number; /* of slots and connections in records */
	size_t slot_bytes;
	bool timestamping; /* ask for the kernel's receive timestamps */
	/* on_done comes exactly once for each send that returned PS_OK, on the loop's thread, never
	 * inside ps_load_slot_send. The slot may be sent on again, or given, inside. */
	void (*on_done)(struct ps_load_slot *s);
	void *ctx;
};

/* ps_load_port_open makes a port without connecting. PS_ENOMEM. */
enum ps_status ps_load_port_open(struct ps_load_target *g, const struct ps_load_port_options *o,
				 struct ps_load_port **ret_port, struct ps_error *err);
/* ps_load_port_ctx returns options.ctx. */
void *ps_load_port_ctx(const struct ps_load_port *p);
/* ps_load_port_ahead makes free slots until there are `n`, or as many as max_lines carry, and opens
 * what they need, spread over the replicas; returns at once. PS_ENOMEM, PS_EIO (threads,
 * descriptors). */
enum ps_status ps_load_port_ahead(struct ps_load_port *p, uint32_t n, struct ps_error *err);
/* ps_load_port_ready says whether all that was opened is connected and has said how many requests
 * it takes at once. Run the loop meanwhile. */
bool ps_load_port_ready(const struct ps_load_port *p);
/* ps_load_port_take returns a free slot of the replica whose turn it is, opened on demand, of
 * another replica when that one has none, or NULL when max_slots are out or all connections that
 * may be are full. The connection used last comes first: it is warm, and the others may close in
 * peace. */
struct ps_load_slot *ps_load_port_take(struct ps_load_port *p);
/* ps_load_port_give takes a slot back that is not under way. */
void ps_load_port_give(struct ps_load_slot *s);
/* ps_load_slot_send sends the request of arrival number `sequence`. PS_ENOMEM, PS_EINVAL,
 * PS_EUNAVAIL (the server allows no further stream): then on_done will not come. */
enum ps_status ps_load_slot_send(struct ps_load_slot *s, uint64_t sequence, int64_t deadline_ns,
				 struct ps_error *err);
/* ps_load_port_cancel ends all that is under way; on_done comes from inside, or, for runs in this
 * process, from the loop a moment later. */
void ps_load_port_cancel(struct ps_load_port *p);
/* The most slots and connections that were opened. */
uint32_t ps_load_port_slots(const struct ps_load_port *p);
uint32_t ps_load_port_connections(const struct ps_load_port *p);

/* ps_load_port_notes adds those of the port. */
void ps_load_port_notes(const struct ps_load_port *p, struct ps_load_notes *inout_sum);
/* ps_load_port_close closes everything; what is under way ends without on_done. Waits for runs in
 * this process. NULL is fine. */
void ps_load_port_close(struct ps_load_port *p);

#endif
