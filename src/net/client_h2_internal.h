/* client_h2_internal.h - HTTP/2 of clients: what its files share.
 *
 *	client_h2.c	   calls: life, deadlines, ends
 *	client_h2_session.c sessions: life
 *	client_h2_frames.c what nghttp2 tells of frames that came
 *	client_h2_out.c	   frames of all calls into one queue, and who left when
 *	grpc_client.c	   messages and status of gRPC
 *
 * A session belongs to one connection; its calls outlive neither. Everything belongs to the thread
 * of the client's loop.
 */
#ifndef PS_NET_CLIENT_H2_INTERNAL_H
#define PS_NET_CLIENT_H2_INTERNAL_H

#include "net/client_internal.h"

struct nghttp2_session;
struct nghttp2_session_callbacks;
struct nghttp2_option;
struct ps_net_h2c_session;

/* Header fields as they came, in an arena. */
struct ps_net_h2c_fields {
	struct ps_net_header *list;
	size_t n, cap;
};

/* Bytes that are still to be framed. */
struct ps_net_h2c_run {
	const struct iovec *piece;
	size_t skip; /* of the first */
	size_t left; /* bytes */
};

/* A message of gRPC that is coming. */
struct ps_net_h2c_deframer {
	unsigned char prefix[5];
	unsigned prefix_n;
	size_t want;
	bool had; /* a whole one came */
	int64_t first_byte_ns, first_byte_kernel_ns;
};

/* One call and its stream. Kept for the next one when it is over. */
struct ps_net_h2c_call {
	struct ps_net_stream base; /* first */
	struct ps_net_call *call;
	struct ps_net_h2c_session *s;
	struct ps_net_h2c_call *prev, *next; /* of the session; next: of the free ones */
	uint64_t generation; /* counts ends: whether it is still the call that it was */
	int32_t id;
	enum ps_net_call_kind kind;
	bool head; /* of a HEAD */

	/* the request */
	struct ps_net_prepared own;
	struct ps_net_h2c_run run;
	bool borrowed;	 /* pieces of it may be in the queue */
	bool deferred;	 /* nghttp2 waits for resume */
	bool side_ended; /* no message follows what is in `messages` */
	bool out;	 /* in the session's list of those that are leaving */
	struct ps_net_h2c_call *next_out;
	uint64_t begin_at, end_at; /* in the queue; UINT64_MAX: not framed yet */
	struct ps_net_message *messages, *last_message; /* not wholly framed */

	/* the answer */
	struct ps_arena arena; /* of header fields */
	struct ps_arena body_arena;
	struct ps_net_h2c_fields headers, trailers;
	size_t head_bytes; /* of all blocks */
	bool head_done;	   /* the final answer's head came; what follows are trailers */
	bool grpc;	   /* the answer is one of gRPC */
	bool reset_by_peer, not_sent;
	struct ps_net_body body;
	struct ps_net_h2c_deframer frame;
};

enum { PS_NET_H2C_OUT_BYTES = 64 * 1024, PS_NET_H2C_OUT_PIECES = 256 };

struct ps_net_h2c_out {
	size_t used;				   /* of `bytes` */
	size_t n, at;				   /* pieces; those before `at` are written */
	uint64_t queued, written;		   /* bytes since the session began */
	struct ps_net_h2c_call *calls, *last_call; /* that are leaving */
	struct ps_net_message *messages, *last_message;
	struct iovec pieces[PS_NET_H2C_OUT_PIECES];
	unsigned char bytes[PS_NET_H2C_OUT_BYTES];
};

struct ps_net_h2c_session {
	struct ps_net_client *c;
	struct nghttp2_session *ng;
	struct ps_net_h2c_call *calls, *last_call; /* under way, in the order of sending */
	int n_calls;
	bool settled; /* the server's SETTINGS came */
	bool goaway;  /* no more calls on this connection */
	bool mute;    /* the server takes no more bytes */
	bool broken;  /* breaks the protocol: `outcome` */
	enum ps_net_outcome outcome;
	size_t block_bytes;		/* of the block of header fields under way */
	int inside;			/* nghttp2 is at work: it is not freed meanwhile */
	bool doomed;			/* ... but then */
	struct ps_net_h2c_call *framed; /* whose frame mem_send hands over */
	struct ps_arena kept;		/* bytes in the queue whose owner has gone */
	struct ps_net_h2c_out out;
};

struct ps_net_client_h2 {
	struct ps_net_h2c_session *session; /* NULL: none */
	struct ps_net_h2c_call *free;
	struct nghttp2_session_callbacks *callbacks;
	struct nghttp2_option *option;
};

/* client_h2.c */
/* ps_net_h2c_end ends one call; its stream is reset unless it has ended (`closed`). */
void ps_net_h2c_end(struct ps_net_h2c_call *k, enum ps_net_outcome outcome, int e, int64_t now_ns,
		    bool closed);
/* client_h2_session.c */
/* ps_net_h2c_session_of is the session of the connection, made if there is none; NULL: no memory.
 */
struct ps_net_h2c_session *ps_net_h2c_session_of(struct ps_net_client *c);
/* ps_net_h2c_drop takes the session off the connection; its memory goes when the last one has left
 * it. ps_net_h2c_close_idle closes the connection as well; there must be no calls. */
void ps_net_h2c_drop(struct ps_net_client *c);
void ps_net_h2c_close_idle(struct ps_net_client *c);
/* ps_net_h2c_is_used_up says whether the server has said that the next call needs another
 * connection, and nothing is left of this one. */
bool ps_net_h2c_is_used_up(const struct ps_net_h2c_session *s);
/* ps_net_h2c_enter and _leave are around everything that may call somebody; behind leave the
 * session may be gone. */
void ps_net_h2c_enter(struct ps_net_h2c_session *s);
void ps_net_h2c_leave(struct ps_net_h2c_session *s);
/* ps_net_h2c_break notes that the server breaks the protocol; the connection is closed when nghttp2
 * has returned. */
void ps_net_h2c_break(struct ps_net_h2c_session *s, enum ps_net_outcome outcome, const char *why);
/* ps_net_h2c_settle closes a connection that is of no more use. */
void ps_net_h2c_settle(struct ps_net_client *c);

/* client_h2_frames.c */
struct nghttp2_session_callbacks *ps_net_h2c_callbacks(void);
struct nghttp2_option *ps_net_h2c_option(void);

/* client_h2_out.c */
/* ps_net_h2c_flush frames and writes what there is, as far as the socket takes it. */
void ps_net_h2c_flush(struct ps_net_client *c);
/* ps_net_h2c_has_output says whether framed bytes wait for the socket. */
bool ps_net_h2c_has_output(const struct ps_net_h2c_session *s);
/* ps_net_h2c_out_forget makes the queue independent of a call and of its memory. False: no memory.
 */
bool ps_net_h2c_out_forget(struct ps_net_h2c_call *k);
/* What nghttp2 asks for data; its type is the library's. */
void ps_net_h2c_set_provider(void *ret_provider);
void ps_net_h2c_out_callbacks(struct nghttp2_session_callbacks *callbacks);
/* ps_net_h2c_resume tells nghttp2 that there is more to ask for. */
void ps_net_h2c_resume(struct ps_net_h2c_call *k);

/* grpc_client.c */
/* ps_net_grpc_client_head looks at the head of an answer. */
void ps_net_grpc_client_head(struct ps_net_h2c_call *k);
/* ps_net_grpc_client_data takes bytes of messages; the call may be over afterwards. */
void ps_net_grpc_client_data(struct ps_net_h2c_call *k, const uint8_t *at, size_t n);
/* ps_net_grpc_client_end judges a whole answer: how the call ends. */
enum ps_net_outcome ps_net_grpc_client_end(struct ps_net_h2c_call *k);
/* ps_net_grpc_client_reset is the status for a stream that was reset with `code`. */
int ps_net_grpc_client_reset(uint32_t code);
/* ps_net_grpc_unpercent decodes grpc-message into `arena`; bad sequences stay. NULL: no memory. */
const char *ps_net_grpc_unpercent(struct ps_arena *arena, const char *text);

#endif
