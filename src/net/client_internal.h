/* client_internal.h - what the files of the client share.
 *
 *	client.c	 a connection: connecting, time-outs, reading, its states
 *	client_life.c	 making and freeing, elders
 *	client_calls.c	 calls: what all protocols have in common
 *	client_wire.c	 bytes to and from the socket, TLS between, instants
 *	client_tls.c	 contexts of TLS
 *	client_outcome.c names of outcomes
 *	client_prepare.c requests as bytes (HTTP/1.1) and header fields (HTTP/2)
 *	client_h1.c	 HTTP/1.1
 *	client_h2*.c	 HTTP/2
 *	grpc_client.c	 gRPC on it
 *
 *   CLOSED --send, connect--> CONNECTING --> HANDSHAKE (TLS) --> OPEN
 *     ^                           |               |              |
 *     +-------- broken, time-out, cancel, free ---+--------------+
 *
 * Everything belongs to the thread of the client's loop.
 */
#ifndef PS_NET_CLIENT_INTERNAL_H
#define PS_NET_CLIENT_INTERNAL_H

#include "net/client.h"
#include "net/client_wire_internal.h"
#include "net/net_internal.h"

/* --- client_prepare.c --- */

struct ps_net_prepared {
	enum ps_net_protocol protocol;
	enum ps_net_call_kind kind;
	bool head;		 /* the method is HEAD: the answer has no body */
	bool close;		 /* Connection: close is said */
	struct ps_strbuf text;	 /* what `pieces` or `fields` point into */
	unsigned char prefix[5]; /* of the message of gRPC */
	struct iovec *pieces;	 /* HTTP/1.1: head and body; HTTP/2: the body, its prefix first */
	size_t n_pieces, cap_pieces;
	size_t bytes;	   /* of the pieces */
	size_t body_bytes; /* of the body or message alone */
	void *fields;	   /* HTTP/2: nghttp2_nv */
	size_t n_fields, cap_fields;
};

/* Of whom requests are made. */
struct ps_net_maker {
	enum ps_net_protocol protocol;
	const char *host;
	bool secure;
};

void ps_net_prepared_init(struct ps_net_prepared *p);
void ps_net_prepared_fini(struct ps_net_prepared *p);
/* ps_net_prepared_make fills `p` anew, with the memory it has. PS_EINVAL, PS_ETOOBIG, PS_ENOMEM. */
enum ps_status ps_net_prepared_make(struct ps_net_prepared *p, const struct ps_net_maker *m,
				    const struct ps_net_call *call, struct ps_error *err);
/* ps_net_prepared_of returns what `call` brings along, or makes it in `own`. NULL: *ret_status. */
const struct ps_net_prepared *ps_net_prepared_of(const struct ps_net_call *call,
						 struct ps_net_prepared *own,
						 const struct ps_net_maker *m,
						 enum ps_status *ret_status, struct ps_error *err);

/* --- a connection --- */

enum ps_net_client_state { PS_NET_CLOSED, PS_NET_CONNECTING, PS_NET_HANDSHAKE, PS_NET_OPEN };

struct ps_net_client;

/* What a call that is under way points to. */
struct ps_net_stream {
	struct ps_net_client *client;
};

/* A protocol. Every function but begin may call on_done. */
struct ps_net_speech {
	enum ps_status (*init)(struct ps_net_client *c);
	void (*fini)(struct ps_net_client *c);
	int (*room)(const struct ps_net_client *c);
	int (*streams)(const struct ps_net_client *c); /* only asked when OPEN */
	int (*calls)(const struct ps_net_client *c);
	/* begin takes the call, whatever the state. PS_EINVAL, PS_ETOOBIG, PS_ENOMEM. */
	enum ps_status (*begin)(struct ps_net_client *c, struct ps_net_call *call,
				struct ps_error *err);
	/* start writes what begin took; from inside send (OPEN). Does not call on_done. */
	void (*start)(struct ps_net_client *c);
	/* opened: the connection is OPEN since `now_ns`. */
	void (*opened)(struct ps_net_client *c, int64_t now_ns);
	/* write: the socket can be written; later: the loop's round ends. */
	void (*write)(struct ps_net_client *c);
	void (*later)(struct ps_net_client *c);
	bool (*wants_write)(const struct ps_net_client *c);
	/* where to read to; NULL: into c->in. */
	char *(*where)(struct ps_net_client *c, size_t *ret_room);
	/* feed takes bytes that were read at c->wire.read_ns; eof: no more come (`e`: errno). */
	void (*feed)(struct ps_net_client *c, const char *at, size_t n);
	void (*eof)(struct ps_net_client *c, int e);
	/* end_all tells every call; the connection is CLOSED. */
	void (*end_all)(struct ps_net_client *c, enum ps_net_outcome outcome, int e,
			int64_t now_ns);
	/* expire ends the calls that are due; returns when the next one is (INT64_MAX: none). */
	int64_t (*expire)(struct ps_net_client *c, int64_t now_ns);
	/* cancel ends one call that is under way. */
	void (*cancel)(struct ps_net_client *c, struct ps_net_call *call);
	/* inherit takes over the calls of `from`; NULL: this protocol's connections have no elders.
	 */
	void (*inherit)(struct ps_net_client *c, struct ps_net_client *from);
};

extern const struct ps_net_speech ps_net_speech_h1, ps_net_speech_h2;

struct ps_net_h1_state {
	struct ps_net_stream stream;
	struct ps_net_call *call; /* under way; NULL: none */
	struct ps_net_http1 *parser;
	struct ps_arena arena;
	struct ps_net_body body;
	struct ps_net_out out;
	struct ps_net_prepared own;
	bool head;	 /* of a HEAD */
	bool close;	 /* said so */
	bool writing;	 /* not all of the request is with the kernel */
	bool whole_head; /* of the answer */
	bool keep_alive, direct;
};

struct ps_net_client_h2;

struct ps_net_client {
	struct ps_evloop *loop;
	struct ps_net_client_options o;
	struct ps_net_maker maker;
	char *host, *server_name;
	const struct ps_net_speech *speech;
	enum ps_net_client_state state;
	struct ps_evloop_fd watch;
	struct ps_evloop_timer timer; /* not later than what is due first; often earlier */
	int64_t timer_ns, connect_deadline_ns;
	struct ps_evloop_later later;
	struct ps_net_wire wire;
	struct ps_net_client_stats stats;
	bool used;    /* this connection has carried a call */
	bool failing; /* a failure known inside send is to be told */
	enum ps_net_outcome failure;
	int failure_errno;
	int64_t failed_ns;
	int depth; /* calls under way: free when they are out */
	bool freed;
	/* A connection that the server is leaving (GOAWAY) goes on beside the next one, as a client
	 * of its own, until its calls have ended. */
	struct ps_net_client *elder, *younger; /* NULL: none */
	bool is_elder;
	bool unread; /* TLS may hold bytes that nobody has asked for */
	char why[160];
	struct ps_net_h1_state h1;
	struct ps_net_client_h2 *h2;
	char *in;
	size_t in_bytes;
};

/* ps_net_client_hold and _release are around everything that may call somebody. */
static inline void ps_net_client_hold(struct ps_net_client *c)
{
	c->depth++;
}
void ps_net_client_release(struct ps_net_client *c);
/* ps_net_client_await prepares timer and later. */
void ps_net_client_await(struct ps_net_client *c);
/* ps_net_client_watch_socket asks the loop for events of `fd`. PS_ENOMEM, PS_EIO. */
enum ps_status ps_net_client_watch_socket(struct ps_net_client *c, int fd, unsigned events);
/* ps_net_client_dial begins to connect: 0, or the errno of a failure, which _dial_outcome turns
 * into how calls end. */
int ps_net_client_dial(struct ps_net_client *c);
enum ps_net_outcome ps_net_client_dial_outcome(int e);
/* ps_net_client_cancel_all is ps_net_client_cancel for who holds the client. */
void ps_net_client_cancel_all(struct ps_net_client *c);
/* ps_net_client_close_connection makes the state CLOSED; calls stay. */
void ps_net_client_close_connection(struct ps_net_client *c);
/* ps_net_client_fail closes and tells every call. */
void ps_net_client_fail(struct ps_net_client *c, enum ps_net_outcome outcome, int e);
/* ps_net_client_fail_soon closes; the calls are told from the loop. */
void ps_net_client_fail_soon(struct ps_net_client *c, enum ps_net_outcome outcome, int e);
/* ps_net_client_has_elder says whether an elder has a connection still. */
bool ps_net_client_has_elder(const struct ps_net_client *c);
/* ps_net_client_retire leaves the connection, with the calls that are on it, to an elder, and makes
 * the state CLOSED. There must be none. PS_ENOMEM; then the client has failed. */
enum ps_status ps_net_client_retire(struct ps_net_client *c);
/* ps_net_client_arm makes sure that the deadlines are looked at by `at_ns` (0: no matter). */
void ps_net_client_arm(struct ps_net_client *c, int64_t at_ns);
/* ps_net_client_watch asks the loop for what the connection waits for. */
void ps_net_client_watch(struct ps_net_client *c);
/* ps_net_client_late says how a call ends whose deadline has passed. */
enum ps_net_outcome ps_net_client_late(const struct ps_net_client *c);
/* ps_net_call_reset clears what net fills in. */
void ps_net_call_reset(struct ps_net_call *call);
/* ps_net_call_came notes that the first byte of the answer came with the last read. */
void ps_net_call_came(struct ps_net_client *c, struct ps_net_call *call);
/* ps_net_client_kernel_ns is the kernel's instant of the last read; -1 if it gave none, or one
 * before `after_ns`. */
int64_t ps_net_client_kernel_ns(const struct ps_net_client *c, int64_t after_ns);
/* ps_net_call_end_with fills in the end and calls on_done. */
void ps_net_call_end_with(struct ps_net_call *call, enum ps_net_outcome outcome, int e,
			  int64_t now_ns);

#endif
