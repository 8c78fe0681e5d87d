/* client.h - the client side: one connection to a server, never blocking.   Layer 2.
 *
 * HTTP/1.1 (one call at a time), HTTP/2 (many at once) and gRPC on it, over TCP or Unix sockets, in
 * the clear or under TLS. Everything here belongs to the thread of its loop: every function below
 *is called there and every callback comes there (ps_net_client_tls_new alone blocks, on the disk,
 *and may be called anywhere; what it makes may be shared by threads; so may what ps_net_prepare
 *makes).
 *
 * Life of a call:
 *
 *   ps_net_client_send --> (connect, handshake) --> written --> answer --> on_done, exactly once
 *                                                      |
 *             refused, time-out, reset, half, malformed, ... : on_done with that outcome
 *
 * Nothing is ever sent twice, redirects are not followed (they are answers with a Location), server
 * push is refused. What a server may make this client hold is bounded by the options below.
 *
 * Instants are of the loop's clock and are read next to the system call in question:
 *   sent_ns        just before the write that gave the kernel the first byte of the request (under
 *		    TLS: of the record that holds it; encryption is over by then).
 *   sent_all_ns    just after the write that gave it the last one.
 *   first_byte_ns  just after the read that brought the first byte of the answer (before
 *decryption; HTTP/2: the last byte of the 9 that begin the stream's first frame). done_ns just
 *after the read that brought the last byte of the answer. HTTP/1.1 is written inside
 *ps_net_client_send. HTTP/2: frames of all calls (and messages) that are sent in one round of the
 *loop leave in one write at the round's end, so that they share sent_ns; a call that flow control
 *holds back has the sent_ns of its HEADERS, and sent_all_ns of its last DATA. Answers that one read
 *brought share first_byte_ns and done_ns.
 *
 * Kernel instants (option kernel_timestamps; TCP only): when the network stack took in the last
 * segment that the read in question returned bytes of, by SO_TIMESTAMPING's software receive stamp.
 * They leave out the time that bytes lay in the socket until this thread came to read them. The
 * stamps are of CLOCK_REALTIME; they are brought to the loop's clock by reading both at the same
 * time. -1 when the kernel gave none or one that cannot be (a step of the wall clock).
 */
#ifndef PS_NET_CLIENT_H
#define PS_NET_CLIENT_H

#include "net/net.h"

enum ps_net_protocol {
	PS_NET_HTTP1 = 0,
	PS_NET_HTTP2, /* prior knowledge in the clear, ALPN "h2" under TLS. gRPC needs it */
};

/* How a call ended. ps_net_outcome_name gives each a stable identifier for counting. */
enum ps_net_outcome {
	PS_NET_OK = 0,		/* a whole answer came, whatever its HTTP or gRPC status */
	PS_NET_REFUSED,		/* nobody listens there */
	PS_NET_CONNECT,		/* no connection for another reason (route, name, descriptors) */
	PS_NET_CONNECT_TIMEOUT, /* no connection (handshake of TLS included) in time */
	PS_NET_TLS,	  /* the handshake failed: not trusted, another name, no common version,
			   * a refusal of ours by the server; ps_net_client_why says which */
	PS_NET_PROTOCOL,  /* the server does not speak the protocol that was asked for (ALPN, or
			   * no SETTINGS after the preface of HTTP/2) */
	PS_NET_TIMEOUT,	  /* connected, but no whole answer before the deadline */
	PS_NET_RESET,	  /* the connection broke before any byte of the answer */
	PS_NET_HALF,	  /* the connection, or the stream in order, ended inside the answer */
	PS_NET_STREAM,	  /* HTTP/2: the server reset the stream (h2_code) */
	PS_NET_GOAWAY,	  /* HTTP/2: the server said that it has not looked at this call
			   * (GOAWAY below its number, or REFUSED_STREAM) */
	PS_NET_MALFORMED, /* the answer breaks the protocol */
	PS_NET_TOO_BIG,	  /* the answer is over a limit of ours */
	PS_NET_CANCELLED, /* ps_net_client_cancel, ps_net_call_cancel or _free */
	PS_NET_MEMORY,	  /* no memory for the answer */
	PS_NET_OUTCOME_COUNT
};

const char *ps_net_outcome_name(enum ps_net_outcome o);
enum ps_status ps_net_outcome_status(enum ps_net_outcome o);

/* --- TLS --- */

struct ps_net_client_tls;

struct ps_net_client_tls_options {
	const char *ca_path;	      /* PEM: whose servers are trusted; NULL: the system's list */
	const char *certificate_path; /* PEM, the client's own, then what signed it; NULL: none */
	const char *key_path;	      /* PEM, not encrypted; with certificate_path */
	bool insecure;		      /* trust everybody: neither signature nor name is looked at */
};

/* BLOCKS on the disk. PS_ENOTFOUND, PS_EFORBIDDEN, PS_EPARSE, PS_EINVAL, PS_ENOMEM; names the file.
 */
enum ps_status ps_net_client_tls_new(const struct ps_net_client_tls_options *o,
				     struct ps_net_client_tls **ret_tls, struct ps_error *err);
/* Clients that use it keep it. NULL is fine. Any thread. */
void ps_net_client_tls_free(struct ps_net_client_tls *t);

/* --- connections --- */

struct ps_net_client;

/* Every 0 means the default in brackets. */
struct ps_net_client_options {
	struct ps_net_address address; /* TCP or Unix (ps_net_address_unix, ps_net_resolve_url) */
	const char *host;	       /* value of Host: or :authority, "localhost:8000". Copied */
	enum ps_net_protocol protocol;
	struct ps_net_client_tls *tls; /* NULL: in the clear */
	const char *server_name;       /* [host without its port] what TLS asks for (SNI, not for IP
					* addresses) and what the certificate must name. Copied */
	int max_calls;		       /* [HTTP/2: 100] at once; 1 for HTTP/1.1. At most 4096 */
	bool kernel_timestamps;
	size_t max_header_bytes;    /* [64 KiB] of an answer's head; HTTP/2: and its trailers */
	size_t max_body_bytes;	    /* [64 MiB] of an answer, and of one message of gRPC */
	int64_t connect_timeout_ns; /* [5 s] handshake included; the call's own deadline holds
				       besides */
};

/* --- calls --- */

enum ps_net_call_kind {
	PS_NET_CALL_HTTP = 0,
	PS_NET_CALL_GRPC, /* body is one message (net writes its prefix), the answer another */
	PS_NET_CALL_GRPC_STREAM, /* messages both ways, until the server ends the call */
};

/* A message that came on a stream of gRPC; its bytes are net's and gone when on_message returns. */
struct ps_net_arrived {
	const void *data; /* aligned to 64 */
	size_t bytes;
	int64_t first_byte_ns, done_ns;		      /* as in struct ps_net_call */
	int64_t first_byte_kernel_ns, done_kernel_ns; /* -1: not known */
};

/* A message to be sent on a stream. The caller's storage; it and the bytes are borrowed until
 * sent_all_ns is set or the call's on_done is entered. */
struct ps_net_message {
	const struct iovec *body;
	size_t n_body;
	void (*on_sent)(
		struct ps_net_message *m); /* its last byte is with the kernel; may be NULL */
	void *ctx;
	int64_t sent_ns, sent_all_ns; /* filled in by net; 0: not yet */

	/* net's */
	struct ps_net_message *next, *next_out;
	struct ps_net_stream *stream;
	size_t bytes;
	uint64_t begin_at, end_at;
	unsigned prefix_left;
	unsigned char prefix[5];
};

/* One request and its answer. The caller's storage; it and everything that it points to is borrowed
 * until on_done is entered. */
struct ps_net_call {
	/* filled in by the caller */
	enum ps_net_call_kind kind;
	const struct ps_net_prepared *prepared; /* then the next six are not looked at */
	const char *method;			/* "POST" */
	const char *path; /* "/v2/models/m/infer", "/inference.GRPCInferenceService/ModelInfer" */
	const struct ps_net_header *headers; /* besides Host, Content-Length and Connection; gRPC:
					      * metadata, besides content-type, te and grpc-* */
	size_t n_headers;
	const struct iovec *body; /* of PS_NET_CALL_GRPC_STREAM none: see ps_net_call_message */
	size_t n_body;
	int64_t grpc_timeout_ns; /* said in grpc-timeout; 0: not said. Part of what is prepared */
	int64_t deadline_ns;	 /* of the loop's clock; 0: none. HTTP/2: the stream is reset, the
				  * connection goes on if anything came on it meanwhile */
	bool close; /* HTTP/1.1: ask for Connection: close and close after the answer */
	void (*on_message)(struct ps_net_call *c, const struct ps_net_arrived *m); /* streams */
	void (*on_done)(struct ps_net_call *c); /* exactly once, never inside ps_net_client_send */
	void *ctx;

	/* filled in by net; instants of the loop's clock, 0 when it did not come to that */
	enum ps_net_outcome outcome;
	int system_errno;     /* behind REFUSED, CONNECT, RESET, HALF; else 0 */
	uint32_t h2_code;     /* behind STREAM, GOAWAY: the error code of HTTP/2; else 0 */
	bool reused;	      /* went over a connection that had carried a call before */
	int64_t connected_ns; /* the connection was there, TLS included (0 when reused) */
	int64_t sent_ns, sent_all_ns, first_byte_ns, done_ns; /* see above; done_ns of a failure:
							       * when it was known */
	int64_t first_byte_kernel_ns, done_kernel_ns;	      /* -1: not known */
	int http;					      /* status of the answer; 0: none */
	int grpc_status; /* -1: not of gRPC, or nothing came. From HTTP's status or from the
			  * reset when the server gave none (PROTOCOL-HTTP2.md) */
	const char *grpc_message; /* percent-decoded; "" when none */
	/* The rest is the client's, until its next send, cancel or free. */
	const struct ps_net_header *answer_headers, *answer_trailers; /* HTTP/2: in lower case */
	size_t n_answer_headers, n_answer_trailers;
	const void *answer_body; /* of PS_NET_CALL_GRPC: the message without its prefix. Aligned to
				  * 64, or, when the answer says how long its JSON is, the byte
				  * behind that is */
	size_t answer_bytes;
	int64_t answer_json_bytes; /* Inference-Header-Content-Length of the answer; -1: absent */

	struct ps_net_stream *stream; /* net's */
};

/* --- requests that are sent many times --- */

struct ps_net_prepared;

/* ps_net_prepare checks and serialises what all sends of `like` have in common (kind, method, path,
 * headers, body, grpc_timeout_ns, close) for connections with these options (host, protocol, tls or
 * not; nothing else of them is looked at): a send then costs no formatting and, on HTTP/1.1, no
 * copying. Body pieces are borrowed until free, small ones are copied: their bytes must not change.
 * May be used by several threads at once. PS_EINVAL, PS_ENOMEM. */
enum ps_status ps_net_prepare(const struct ps_net_client_options *o, const struct ps_net_call *like,
			      struct ps_net_prepared **ret_prepared, struct ps_error *err);
void ps_net_prepared_free(struct ps_net_prepared *p); /* no call under way uses it; NULL is fine */
size_t ps_net_prepared_bytes(const struct ps_net_prepared *p); /* of the body (message) in it */

/* --- doing it --- */

/* Without connecting yet. Refers to o->tls. PS_ENOMEM, PS_EINVAL. */
enum ps_status ps_net_client_new(struct ps_evloop *loop,
				 const struct ps_net_client_options *options,
				 struct ps_net_client **ret_client, struct ps_error *err);
/* ps_net_client_send starts a call: writes at once (HTTP/2: at the end of the loop's round) when
 * the connection is there, else connects first (a connection that the server has closed meanwhile
 * is opened again). PS_EUNAVAIL when ps_net_client_room is 0, PS_EINVAL (characters that cannot be
 * sent; gRPC over HTTP/1.1), PS_ENOMEM; then on_done will not be called. */
enum ps_status ps_net_client_send(struct ps_net_client *c, struct ps_net_call *call,
				  struct ps_error *err);
/* ps_net_client_room says how many more calls can be sent now: max_calls, or fewer by the server's
 * SETTINGS_MAX_CONCURRENT_STREAMS, less those under way. A server that lowers its bound later makes
 * sent calls wait for it. When the server leaves the connection (GOAWAY), or nothing came on it
 * from when a call was sent until its deadline, calls under way go on there and the next one opens
 * another; should it leave that one as well meanwhile, there is no
 * room until those of the first have ended. */
int ps_net_client_room(const struct ps_net_client *c);
int ps_net_client_calls(const struct ps_net_client *c); /* under way */
/* ps_net_client_streams says how many calls the server lets be under way at once on this
 * connection: 1 of HTTP/1.1, its SETTINGS_MAX_CONCURRENT_STREAMS of HTTP/2 (at most INT_MAX). -1:
 * it has not said so far, or there is no connection. */
int ps_net_client_streams(const struct ps_net_client *c);
/* ps_net_client_connect opens the connection ahead of the first call; failures show in the call
 * that comes next. */
void ps_net_client_connect(struct ps_net_client *c);
bool ps_net_client_is_connected(const struct ps_net_client *c); /* handshake included */
/* ps_net_client_cancel ends all calls under way with PS_NET_CANCELLED (on_done is called from
 * inside) and closes the connection. */
void ps_net_client_cancel(struct ps_net_client *c);
/* ps_net_call_cancel ends one call likewise, from inside; HTTP/2: its stream is reset and the
 * connection goes on, HTTP/1.1: the connection is closed. Nothing when it is not under way. */
void ps_net_call_cancel(struct ps_net_call *call);
/* ps_net_client_why says in words why the last call failed (TLS, PROTOCOL, MALFORMED); "" if there
 * is no more to say than the outcome. */
const char *ps_net_client_why(const struct ps_net_client *c);
void ps_net_client_free(struct ps_net_client *c); /* cancels; fine inside on_done; NULL is fine */

/* --- streams of gRPC --- */

/* ps_net_call_message sends one more message on a call of PS_NET_CALL_GRPC_STREAM that is under way
 * (from right after ps_net_client_send on). Messages leave in order. PS_EUNAVAIL when the call is
 * over or its side was ended, PS_ETOOBIG (4 GiB), PS_ENOMEM. */
enum ps_status ps_net_call_message(struct ps_net_call *call, struct ps_net_message *m,
				   struct ps_error *err);
/* ps_net_call_end says that no message follows; the server ends the call when it has answered. */
void ps_net_call_end(struct ps_net_call *call);
/* ps_net_call_give_up ends a call under way that owes an answer to a message that left at `sent_ns`
 * (0: it could not leave), with PS_NET_TIMEOUT and from inside: what a deadline is to other calls.
 * The stream is reset; a connection on which nothing came since takes no more calls. */
void ps_net_call_give_up(struct ps_net_call *call, int64_t sent_ns);
/* ps_net_call_is_left says whether the call is on a connection that takes no more calls: it may
 * still be answered, but the next message had better go on another call. */
bool ps_net_call_is_left(const struct ps_net_call *call);

struct ps_net_client_stats {
	uint64_t connects, handshakes; /* that succeeded */
	uint64_t reads, writes;	       /* system calls that moved bytes */
	uint64_t read_bytes, written_bytes;
};
void ps_net_client_get_stats(const struct ps_net_client *c, struct ps_net_client_stats *ret_stats);

#endif
