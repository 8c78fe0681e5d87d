/* grpc.h - gRPC calls over HTTP/2, server side, never blocking.   Layer 2.
 *
 * A call comes over any HTTP/2 connection whose content-type begins with application/grpc.
 * Everything here belongs to the thread of the connection's loop: every function below is called
 * there and every callback comes there. Unary, client-streaming, server-streaming and bidirectional
 * calls are one thing: messages in, messages out, one status at the end.
 *
 * Life of a call on the server:
 *
 *   head --on_call--> messages --on_message*--> on_half_close ... ps_net_grpc_finish --> on_end
 *                        |                                            |
 *            ps_net_grpc_send* (at any time before finish)    written, or given up
 *
 *   client resets, connection lost, a message that breaks a limit, deadline long past: on_gone
 *
 * After on_call has returned PS_OK the handler owes exactly one ps_net_grpc_finish, also after
 * on_gone; the call and its arena live until on_end has returned. When on_call refuses, the call is
 * answered with that error at once and neither on_gone nor on_end comes.
 *
 * Messages arrive whole, decompressed, in an arena of their own that may be handed to a lane; the
 * handler frees each with ps_net_grpc_message_free, also after on_gone and after finish, in any
 * order. A call may hold PS_NET_GRPC_MESSAGES_HELD unfreed messages; beyond that its stream is not
 * read (flow control holds the client back) until one is freed.
 */
#ifndef PS_NET_GRPC_H
#define PS_NET_GRPC_H

#include "net/net.h"

enum {
	PS_NET_GRPC_MESSAGES_HELD = 16,	    /* unfreed messages of one call before it is not read */
	PS_NET_GRPC_TEXT_MAX = 1024,	    /* bytes of grpc-message that are sent */
	PS_NET_GRPC_HEADERS_MAX = 16,	    /* headers or trailers that a handler may add */
	PS_NET_GRPC_SEND_PIECES_MAX = 4096, /* of one message */
};

/* gRPC's status codes, as they stand in grpc-status. enum ps_status maps by its row's `grpc`. */
enum ps_net_grpc_code {
	PS_NET_GRPC_OK = 0,
	PS_NET_GRPC_CANCELLED = 1,
	PS_NET_GRPC_UNKNOWN = 2,
	PS_NET_GRPC_INVALID_ARGUMENT = 3,
	PS_NET_GRPC_DEADLINE_EXCEEDED = 4,
	PS_NET_GRPC_NOT_FOUND = 5,
	PS_NET_GRPC_ALREADY_EXISTS = 6,
	PS_NET_GRPC_PERMISSION_DENIED = 7,
	PS_NET_GRPC_RESOURCE_EXHAUSTED = 8,
	PS_NET_GRPC_FAILED_PRECONDITION = 9,
	PS_NET_GRPC_ABORTED = 10,
	PS_NET_GRPC_OUT_OF_RANGE = 11,
	PS_NET_GRPC_UNIMPLEMENTED = 12,
	PS_NET_GRPC_INTERNAL = 13,
	PS_NET_GRPC_UNAVAILABLE = 14,
	PS_NET_GRPC_DATA_LOSS = 15,
	PS_NET_GRPC_UNAUTHENTICATED = 16,
};

/* A call. Texts live in `arena` until on_end has returned. */
struct ps_net_grpc_call {
	const char *path;		     /* "/inference.GRPCInferenceService/ModelInfer" */
	const struct ps_net_header *headers; /* metadata; names in lower case, no pseudo-headers,
					      * in the order in which they came */
	size_t n_headers;
	const char *peer;    /* "127.0.0.1:41234", "[::1]:41234" or "unix" */
	const char *address; /* the peer without its port: what limits count by */
	bool secure;	     /* came over TLS */
	const struct ps_net_identity *identity; /* NULL: no client certificate */
	int64_t deadline_ns;	  /* of the loop's clock, from grpc-timeout; 0: none */
	int64_t first_byte_ns;	  /* the first byte of the head was read by then */
	size_t max_message_bytes; /* on_call may lower or raise it for this call; a message over it
				   * ends the call with RESOURCE_EXHAUSTED */
	int64_t max_quiet_ns;	  /* on_call may set it: how long a client that has not said all
				   * and waits for nothing (no message of it is unfreed) may send
				   * nothing. Then the call ends with DEADLINE_EXCEEDED. 0: as long
				   * as it likes, which costs a connection and memory. While the
				   * server drains it is a second, and UNAVAILABLE */
	int owner;		  /* on_call may set it: as in struct ps_net_request. A call whose
				   * owner has no room left is gone at once (PS_EQUOTA) */
	struct ps_arena *arena;	  /* the handler may take from it, also on a lane (one at a time) */
	bool half_closed;	  /* the client has sent its last message */
	bool gone;		  /* nobody will read what is sent */
	void *user;		  /* the handler's, NULL at first */
	/* What on_call may set besides, for the answer to its refusal (such as retry-pushback-ms):
	 * borrowed until on_call's caller has written them, static or in the arena. */
	const struct ps_net_header *refusal_trailers;
	size_t n_refusal_trailers;
};

/* A message: whole, decompressed. `arena` is its own; the handler may take from it. */
struct ps_net_grpc_message {
	void *data; /* NULL when empty. Aligned to 64, or the byte that tensor_at chose is */
	size_t bytes;
	struct ps_arena *arena;
	int64_t first_byte_ns;		  /* of its five-byte prefix: read by then */
	int64_t received_ns;		  /* its last byte: read by then */
	void *user;			  /* the handler's, NULL at first */
	struct ps_net_grpc_message *next; /* the handler's, NULL at first */
};

struct ps_net_grpc_handler {
	/* on_call sees path and metadata before any message. PS_OK takes the call; anything else
	 * becomes its status and message (the code of the status' row). */
	enum ps_status (*on_call)(void *ctx, struct ps_net_grpc_call *call, struct ps_error *err);
	/* tensor_at, asked when the first bytes of a message are there, says how many bytes into
	 * the message the first tensor begins, so that this byte can be aligned to 64. `bytes` is
	 * the length of the whole message, `n` <= bytes what is there now. May be NULL: the message
	 * itself is aligned. Not asked for compressed messages. */
	size_t (*tensor_at)(void *ctx, struct ps_net_grpc_call *call, const void *data, size_t n,
			    size_t bytes);
	/* on_message hands over one message; the handler frees it now or later. */
	void (*on_message)(void *ctx, struct ps_net_grpc_call *call, struct ps_net_grpc_message *m);
	/* on_half_close says that no message comes any more (after the last on_message). */
	void (*on_half_close)(void *ctx, struct ps_net_grpc_call *call);
	/* on_gone says, at most once, that nobody waits any more: PS_ECANCELLED (the client reset
	 * the stream or the connection broke), PS_EDEADLINE (the deadline passed over
	 * PS_NET_GRPC_DEADLINE_GRACE_NS ago and net has told the client so), PS_ETOOBIG, PS_EPARSE,
	 * PS_EQUOTA, PS_ETIMEOUT, PS_EUNAVAIL, PS_EUNSUPPORTED (a message broke a rule or a limit,
	 * and net has told the client). `finish` is still owed; what it and `send` say is thrown
	 * away. */
	void (*on_gone)(void *ctx, struct ps_net_grpc_call *call, enum ps_status why);
	/* on_end says that the call is over: its trailers were given to the kernel (PS_OK, at
	 * `done_ns`) or never will be (PS_ECANCELLED). It never comes before finish was called, may
	 * come from inside finish, and comes after the on_sent of every message. The call is
	 * freed when it returns. May be NULL. */
	void (*on_end)(void *ctx, struct ps_net_grpc_call *call, enum ps_status status,
		       int64_t done_ns);
	void *ctx;
};

/* A handler that watches deadlines itself is first: net ends a call only this long after. */
#define PS_NET_GRPC_DEADLINE_GRACE_NS (50 * INT64_C(1000000))

/* ps_net_grpc_headers sets response metadata, sent ahead of the first message. Names in lower case,
 * not beginning with "grpc-" or ':'; texts are borrowed until on_end, the array is copied.
 * PS_EINVAL (a bad name, too many), PS_EEXIST (headers are sent already or set). */
enum ps_status ps_net_grpc_headers(struct ps_net_grpc_call *call,
				   const struct ps_net_header *headers, size_t n);
/* ps_net_grpc_send sends one message made of `pieces`: the array is copied, the bytes are borrowed
 * until on_sent, which comes exactly once (also from inside this call, also when the call is gone:
 * PS_ECANCELLED), with PS_OK when the last byte was given to the kernel at `done_ns`. on_sent may
 * be NULL. The frame's prefix is net's. Messages leave in order. Not after finish. */
void ps_net_grpc_send(struct ps_net_grpc_call *call, const struct iovec *pieces, size_t n,
		      void (*on_sent)(void *ctx, enum ps_status status, int64_t done_ns),
		      void *ctx);
/* ps_net_grpc_unsent_bytes returns what was given to send and not yet to the kernel: how far the
 * client is behind. */
size_t ps_net_grpc_unsent_bytes(const struct ps_net_grpc_call *call);
/* ps_net_grpc_finish ends the call, exactly once: `code`, `text` (percent-encoded by net, cut at
 * PS_NET_GRPC_TEXT_MAX; NULL: none; copied) and trailing metadata (as in ps_net_grpc_headers; NULL,
 * 0), behind all messages. When nothing was sent it is one HEADERS frame. Afterwards `call` is
 * net's: touch it in on_end only. */
void ps_net_grpc_finish(struct ps_net_grpc_call *call, enum ps_net_grpc_code code, const char *text,
			const struct ps_net_header *trailers, size_t n);
/* ps_net_grpc_finish_error is ps_net_grpc_finish with what `e` says, its hint and the code of its
 * row. */
void ps_net_grpc_finish_error(struct ps_net_grpc_call *call, const struct ps_error *e,
			      const struct ps_net_header *trailers, size_t n);
/* ps_net_grpc_message_free gives a message back. On the loop's thread; NULL is fine. */
void ps_net_grpc_message_free(struct ps_net_grpc_message *m);

/* --- metadata that ends in -bin --- */

/* ps_net_grpc_base64_decode reads base64 with or without padding into `out` (3 bytes for 4
 * characters always suffice). PS_EPARSE, PS_ETOOBIG (over `cap`). */
enum ps_status ps_net_grpc_base64_decode(const char *text, void *out, size_t cap,
					 size_t *ret_bytes);
/* ps_net_grpc_base64_encode writes unpadded base64 and a NUL; `cap` of 4 * (n + 2) / 3 + 1 always
 * suffices. PS_ETOOBIG. */
enum ps_status ps_net_grpc_base64_encode(const void *bytes, size_t n, char *out, size_t cap);

#endif
