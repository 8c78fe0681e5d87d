/* net.h - HTTP/1.1, HTTP/2 and gRPC over TCP, Unix sockets and TLS, never blocking: addresses and
 * servers (clients: net/client.h).   Layer 2.
 *
 * Uses base and evloop. Everything here belongs to the thread of its loop: every function below is
 * called there and every callback comes there (ps_net_resolve and ps_net_tls_* alone block and may
 * be called anywhere). HTTP/1.1 bytes are parsed by http-parser, which only src/net/http1.c knows,
 * HTTP/2 by nghttp2 (src/net/h2*.c), TLS by OpenSSL (src/net/tls*.c).
 *
 * Life of a request on the server:
 *
 *   connection: head --(on_head)--> body --> on_request ... ps_net_answer --> written --> on_done
 *                                                 |                                         |
 *                                          client vanishes: on_gone          request is freed, next
 *                                                                            request of the
 * connection
 *
 * After on_request the handler owes exactly one ps_net_answer, also after on_gone; the request and
 * its arena live until on_done has returned, so that a lane may hold them without a lock. One
 * request per HTTP/1.1 connection is with the handler at a time; pipelined ones wait, unread beyond
 * a small buffer, and are answered in order. An HTTP/2 connection has up to max_streams of them
 * there, answered in any order. The handler need not know which it is. Calls of gRPC go to another
 * handler (net/grpc.h).
 */
#ifndef PS_NET_NET_H
#define PS_NET_NET_H

#include "base/arena.h"
#include "base/error.h"
#include "evloop/evloop.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct ps_net_header {
	const char *name;  /* as it came; compare without case */
	const char *value; /* without blanks around it */
};

/* ps_net_header_get borrows the value of the first header called `name` (any case), or NULL. */
const char *ps_net_header_get(const struct ps_net_header *headers, size_t n, const char *name);

/* --- addresses --- */

enum {
	PS_NET_HOST_SIZE = 256,
	PS_NET_PATH_SIZE = 1024,
	PS_NET_ADDRESS_TEXT_SIZE = 128,
	PS_NET_UNIX_SIZE = 108, /* of the path of a Unix socket, as the kernel has it */
};

/* SCHEME://host[:port][/base], or unix:PATH. */
struct ps_net_url {
	char host[PS_NET_HOST_SIZE];	  /* without brackets; "localhost" for a Unix socket */
	uint16_t port;			  /* when not given: 80, secure: 443 */
	char base[PS_NET_PATH_SIZE];	  /* "" or "/prefix", without a slash at its end */
	bool secure;			  /* https://, grpcs:// */
	bool grpc;			  /* grpc://, grpcs:// */
	char unix_path[PS_NET_UNIX_SIZE]; /* "": not a Unix socket */
};

/* ps_net_url_parse reads "http://localhost:8000", "https://[::1]:8000/base", "grpc://host:8001",
 * "unix:/run/perseus.sock" ("unix://" as well) or "localhost:8000". PS_EPARSE, PS_EUNSUPPORTED
 * (another scheme). No user, query or fragment. */
enum ps_status ps_net_url_parse(const char *text, struct ps_net_url *ret_url, struct ps_error *err);

/* A socket address as a value. */
struct ps_net_address {
	_Alignas(8) unsigned char bytes[128];
	unsigned len;
};

/* ps_net_resolve looks up host and port; numeric ones without asking anybody. BLOCKS on names
 * (getaddrinfo): call it before a loop runs. PS_ENOTFOUND, PS_EINVAL, PS_EIO. */
enum ps_status ps_net_resolve(const char *host, uint16_t port, struct ps_net_address *ret_address,
			      struct ps_error *err);
/* ps_net_resolve_url is ps_net_resolve for what a URL names, a Unix socket as well. */
enum ps_status ps_net_resolve_url(const struct ps_net_url *url, struct ps_net_address *ret_address,
				  struct ps_error *err);
/* ps_net_address_unix is the address of the Unix socket at `path`. PS_EINVAL (empty, too long). */
enum ps_status ps_net_address_unix(const char *path, struct ps_net_address *ret_address,
				   struct ps_error *err);
/* ps_net_address_text writes "127.0.0.1:8000" or "[::1]:8000"; returns buf. */
const char *ps_net_address_text(const struct ps_net_address *a, char buf[PS_NET_ADDRESS_TEXT_SIZE]);
/* ps_net_address_port returns the port. */
uint16_t ps_net_address_port(const struct ps_net_address *a);

/* --- TLS --- */

struct ps_net_tls;

struct ps_net_tls_options {
	const char *certificate_path; /* PEM: the server's certificate, then what signed it */
	const char *key_path;	      /* PEM, not encrypted */
	const char *client_ca_path;   /* PEM: whose certificates of clients are trusted; NULL: no
				       * certificate is asked for */
	bool client_required;	      /* refuse clients without a trusted certificate */
	bool only_tls13;	      /* else TLS 1.2 and 1.3 */
};

/* ps_net_tls_new reads the files. PS_ENOTFOUND, PS_EFORBIDDEN, PS_EPARSE (no PEM, key encrypted),
 * PS_EINVAL (the key is not the certificate's), PS_ENOMEM; the error says which file. BLOCKS on the
 * disk. The paths are copied. */
enum ps_status ps_net_tls_new(const struct ps_net_tls_options *options, struct ps_net_tls **ret_tls,
			      struct ps_error *err);
/* ps_net_tls_reload reads the same files again, for connections that come from now on; those that
 * are open go on. On an error (as above) nothing changes. Any thread. BLOCKS on the disk. */
enum ps_status ps_net_tls_reload(struct ps_net_tls *tls, struct ps_error *err);
/* ps_net_tls_expires_s says when the certificate in use expires, in seconds since 1970. */
int64_t ps_net_tls_expires_s(struct ps_net_tls *tls);
/* ps_net_tls_warning writes what a person should know about the files (an expired certificate, one
 * that is not valid yet); "" when all is well. Returns buf. Any thread. */
const char *ps_net_tls_warning(struct ps_net_tls *tls, char *buf, size_t size);
/* ps_net_tls_free lets go; servers that use it keep it until they close. NULL is fine. */
void ps_net_tls_free(struct ps_net_tls *tls);

/* Who the client is by its verified certificate. */
struct ps_net_identity {
	const char *subject;	  /* "CN=alice,O=Example" (RFC 2253) */
	const char *common_name;  /* of the subject; "" when none */
	const char *const *names; /* DNS names, URIs and e-mail addresses of subjectAltName */
	size_t n_names;		  /* at most 32; further ones are left out */
};

/* --- server --- */

struct ps_net_server;
struct ps_net_grpc_handler; /* net/grpc.h */

/* A complete request. All texts and the body live in `arena`, until on_done has returned. */
struct ps_net_request {
	const char *method; /* "POST" */
	const char *path;   /* as sent, not percent-decoded, without the query */
	const char *query;  /* behind '?', "" when none */
	const struct ps_net_header *headers;
	size_t n_headers;
	void *body; /* NULL when empty. When json_bytes > 0, the byte at body + json_bytes is
		     * aligned to 64; else the body itself is */
	size_t body_bytes;
	int64_t json_bytes;	/* Inference-Header-Content-Length; -1 when absent. As it came: some
				 * clients send one request's with the next, so that it may be
				 * larger than the body */
	struct ps_arena *arena; /* the handler may take from it, also on a lane (one at a time) */
	int64_t first_byte_ns;	/* the first byte of the head was read by then */
	int64_t received_ns;	/* the last byte of the body was read by then */
	const char *peer;	/* "127.0.0.1:41234", "[::1]:41234" or "unix" */
	const char *address;	/* the peer without its port: what limits count by */
	int http_major;		/* 1, 2 */
	bool secure;		/* came over TLS */
	bool gone;		/* the client has left: nobody will read the answer */
	const struct ps_net_identity *identity; /* NULL: no client certificate */
	void *user;				/* the handler's, NULL at first */

	/* What on_head may set. */
	size_t max_body_bytes; /* of this request, after inflating; the server's option at first,
				* and never more than that */
	int owner; /* whose share of the room for bodies this one takes, by a number that the
		    * handler gives (max_owner_bytes); 0: the share of its address */
	const struct ps_net_header *refusal_headers; /* of the answer to a refusal, such as
						      * Retry-After; borrowed until on_head's
						      * caller has written them: static or in
						      * the arena */
	size_t n_refusal_headers;
};

struct ps_net_handler {
	/* on_head may refuse before the body is read (a wrong key, no room): any status but PS_OK
	 * becomes the answer; on_request and on_done do not come. The connection stays when there
	 * is no body or a small one (64 KiB), which is read and thrown away; else an HTTP/1.1
	 * connection closes. Body fields are not set yet. May be NULL. */
	enum ps_status (*on_head)(void *ctx, struct ps_net_request *r, struct ps_error *err);
	/* on_request gets the complete request and answers now or later. */
	void (*on_request)(void *ctx, struct ps_net_request *r);
	/* on_gone says that the client closed or broke the connection while its request was with
	 * the handler. The answer is still owed. A client that only shut down its sending side
	 * looks the same and may still read: an answer is written if the socket takes it. May be
	 * NULL. */
	void (*on_gone)(void *ctx, struct ps_net_request *r);
	void *ctx;
};

/* What a listener speaks. */
enum ps_net_kind {
	PS_NET_KIND_HTTP = 0, /* HTTP/1.1 and HTTP/2: by ALPN under TLS, by the client's first bytes
			       * without; gRPC as well when `grpc` is set */
	PS_NET_KIND_HTTP2,    /* HTTP/2 only: gRPC's own port */
	PS_NET_KIND_HTTP1,    /* HTTP/1.1 only: metrics */
};

/* Every 0 means the default in brackets. Limits hold for this server, so per loop. */
struct ps_net_server_options {
	enum ps_net_kind kind;
	const char *host;      /* address to listen on [127.0.0.1]; a name is looked up */
	uint16_t port;	       /* 0: the system picks one */
	const char *unix_path; /* listen on a Unix socket instead. A socket that nobody answers is
				* replaced; anything else in its place is PS_EINUSE. Removed by
				* drain and close */
	unsigned unix_mode;    /* [0660] its permissions */
	bool reuse_port;       /* several servers (one per loop) share host and port: the kernel
				* spreads the connections. With port 0 the first one picks, the
				* others are opened with ps_net_address_port of it */
	struct ps_net_server *share; /* listen on this server's very socket (of another loop; it
				      * must be open now) instead of host, port or unix_path: for
				      * Unix sockets, which cannot be opened twice */
	struct ps_net_tls *tls; /* NULL: cleartext. One for all loops; the server refers to it */
	const struct ps_net_grpc_handler
		*grpc;			 /* calls of gRPC; NULL: refused as unknown. Copied */
	const char *server_name;	 /* Server: header; NULL: none. Borrowed */
	int max_connections;		 /* [16384] further ones wait in the kernel's queue */
	int max_connections_per_address; /* [no limit] further ones are closed at once */
	int max_streams;		 /* [128] under way at once on an HTTP/2 connection */
	size_t max_url_bytes;		 /* [8 KiB] else 414 */
	size_t max_header_bytes;	 /* [64 KiB] request line and headers together, else 431 */
	int max_headers;		 /* [100] else 431 */
	size_t max_body_bytes;		 /* [64 MiB] of one request after inflating, else 413 */
	int max_inflate_ratio;	   /* [256] of a compressed body once it is over 8 MiB, else 413 */
	size_t max_buffered_bytes; /* [1 GiB] bodies of all connections together, else 503 */
	size_t max_owner_bytes;	   /* [max_buffered_bytes] of them those of one owner (see struct
				    * ps_net_request), else 429 */
	size_t max_address_bytes;  /* [max_buffered_bytes] those of one address that have no
				    * owner, else 429 */
	int64_t handshake_timeout_ns; /* [10 s] for TLS: closed without a word */
	int64_t idle_timeout_ns;      /* [75 s] between requests: closed without a word */
	int64_t head_timeout_ns;      /* [10 s] from its first byte to its end, else 408 */
	int64_t body_timeout_ns;      /* [30 s] without a byte of progress, and ... */
	size_t body_min_rate;	      /* [16 KiB/s] ... at least this fast beside that, else 408 */
	int64_t write_timeout_ns;     /* [30 s] without the client taking a byte of an answer, and
				       * body_min_rate beside that: closed, or the stream of
				       * HTTP/2 reset */
};

/* ps_net_server_open listens and serves on `loop`. `handler` and `options` are copied. PS_EINUSE
 * with the address when the port is taken, PS_EFORBIDDEN (port below 1024), PS_ENOTFOUND (no such
 * host or folder), PS_EINVAL (path too long), PS_EIO, PS_ENOMEM. */
enum ps_status ps_net_server_open(struct ps_evloop *loop,
				  const struct ps_net_server_options *options,
				  const struct ps_net_handler *handler,
				  struct ps_net_server **ret_server, struct ps_error *err);
/* ps_net_server_address gives the address that is listened on, with the true port or path. */
void ps_net_server_address(const struct ps_net_server *s, struct ps_net_address *ret_address);
/* ps_net_server_set_limits takes max_body_bytes, max_buffered_bytes, max_owner_bytes and
 * max_address_bytes of `o`, and nothing else of it, for requests whose head comes from now on. */
void ps_net_server_set_limits(struct ps_net_server *s, const struct ps_net_server_options *o);
/* ps_net_server_drain stops accepting, lets requests that have begun finish with `Connection:
 * close`, closes connections that stay idle for half a second (their client may be sending just
 * now), then calls on_drained (once, never from inside this call). */
void ps_net_server_drain(struct ps_net_server *s, void (*on_drained)(void *ctx), void *ctx);
/* ps_net_server_close closes everything now. Requests still with the handler are told by on_gone
 * and must still be answered; the memory goes with the last one. NULL is fine. */
void ps_net_server_close(struct ps_net_server *s);

struct ps_net_server_stats {
	uint64_t accepted, closed;   /* connections */
	uint64_t over_address_limit; /* connections closed by max_connections_per_address */
	uint64_t handshakes, handshakes_failed; /* of TLS */
	uint64_t http2;				/* connections that spoke HTTP/2 */
	uint64_t requests;			/* handed to the handler */
	uint64_t answered;			/* answers wholly given to the kernel */
	uint64_t refused;      /* answered by net itself: malformed, limits, time-outs, on_head */
	uint64_t gone;	       /* clients that left before their answer */
	int open;	       /* connections now */
	int in_flight;	       /* requests with the handler now */
	size_t buffered_bytes; /* bodies held now */
};

/* ps_net_server_get_stats copies the counters. */
void ps_net_server_get_stats(const struct ps_net_server *s, struct ps_net_server_stats *ret_stats);

/* What the handler answers. The array of headers and of pieces is copied; names, values and the
 * bytes of the pieces are borrowed until on_done. net adds Content-Length, Connection and Server.
 */
struct ps_net_answer {
	int http; /* 200 ... 599 */
	const struct ps_net_header *headers;
	size_t n_headers;
	const struct iovec *body; /* written as they are, one after another; left out for HEAD */
	size_t n_body;
	bool close;    /* close the connection afterwards (HTTP/1.1) */
	bool compress; /* gzip or deflate the body when Accept-Encoding allows, it has 256 bytes to
			* 256 KiB (more would stop the loop for too long) and gets smaller by it */
	/* on_done, when set, says that the last byte was given to the kernel (PS_OK, at `done_ns`)
	 * or never will be (PS_ECANCELLED). The request is freed when it returns. */
	void (*on_done)(void *ctx, struct ps_net_request *r, enum ps_status status,
			int64_t done_ns);
	void *ctx;
};

/* ps_net_answer answers `r`, exactly once, on the loop's thread, also from inside on_request. After
 * the call `r` is net's: touch it in on_done only. Writes what the socket takes at once, the rest
 * when it can. */
void ps_net_answer(struct ps_net_request *r, const struct ps_net_answer *answer);
/* ps_net_answer_error answers with {"error": "..."}: what the error says (and its hint), with the
 * HTTP status of its row, and with headers as in ps_net_answer (may be NULL, 0). on_done as there,
 * may be NULL. */
void ps_net_answer_error(struct ps_net_request *r, const struct ps_error *e,
			 const struct ps_net_header *headers, size_t n_headers,
			 void (*on_done)(void *ctx, struct ps_net_request *r, enum ps_status status,
					 int64_t done_ns),
			 void *ctx);

/* ps_net_raise_descriptors raises the limit of open descriptors of this process to what the system
 * allows it (the hard limit) and returns the limit that holds now. */
int64_t ps_net_raise_descriptors(void);

#endif
