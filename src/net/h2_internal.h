/* h2_internal.h - an HTTP/2 session of the server: bytes in -> requests and calls, bytes out on
 * demand. Knows no sockets, no TLS and no clock: the connection that carries it (conn.c) brings
 * bytes and instants. Frames are nghttp2's, which only src/net/h2*.c know.
 *
 * How a connection uses it:
 *
 *   preface seen or ALPN "h2"   ps_net_h2_new
 *   bytes were read             ps_net_h2_feed       then flush
 *   timer at _deadline_ns       ps_net_h2_tick       then flush
 *   wake(ctx) was called        flush, soon: at the end of the loop's round
 *   flush:                      while (ps_net_h2_output(h, iov, MAX) > 0)
 *                                       write them, ps_net_h2_wrote(h, bytes)
 *                               until the socket is full (watch for writing, then flush again)
 *   ps_net_h2_is_over           close the socket (all is said and written), ps_net_h2_close
 *   broken, closed, time-out    ps_net_h2_close
 *
 * After ps_net_h2_close the session calls nothing of its connection any more. Its memory, and that
 * of requests that are still with the handler, goes with the last of them; the service counts
 * sessions until then.
 */
#ifndef PS_NET_H2_INTERNAL_H
#define PS_NET_H2_INTERNAL_H

#include "net/grpc.h"
#include "net/net_internal.h"

struct ps_net_h2;
struct ps_net_h2_pool;

/* What the sessions of one server share: a member of struct ps_net_server. On its thread. */
struct ps_net_h2_service {
	struct ps_net_server *server;	 /* options with their defaults, handler, counters */
	struct ps_net_grpc_handler grpc; /* on_call NULL: every call is UNIMPLEMENTED */
	/* freed, when set, says that a closed session's memory went: `sessions` has gone down. */
	void (*freed)(void *ctx);
	void *ctx;
	/* the sessions' own */
	int sessions;		     /* that have memory */
	struct ps_net_h2_pool *pool; /* streams and messages for reuse */
};

/* ps_net_h2_service_init makes what the service itself holds; the caller sets the fields above
 * and zeroes the rest. PS_ENOMEM. */
enum ps_status ps_net_h2_service_init(struct ps_net_h2_service *s);
/* ps_net_h2_service_fini frees the pool; `sessions` must be 0. */
void ps_net_h2_service_fini(struct ps_net_h2_service *s);

/* Limits that are HTTP/2's own. Those of net.h's options hold as well. */
enum {
	PS_NET_H2_STREAM_WINDOW = 1 << 20,     /* SETTINGS_INITIAL_WINDOW_SIZE */
	PS_NET_H2_CONNECTION_WINDOW = 4 << 20, /* given back as bytes are consumed */
	PS_NET_H2_CONTINUATIONS = 8,	       /* frames of one head */
	PS_NET_H2_OUTPUT_BYTES = 256 * 1024,   /* framed and not written: then nothing is framed */
	PS_NET_H2_WAITING = 1000,	       /* frames to be framed: then nothing is read */
	PS_NET_H2_HEAD_BOMB = 4, /* times max_header_bytes: the connection ends, not the stream */
	/* Each frame that asks for work and brings little (PING, SETTINGS, PRIORITY, CONTINUATION,
	 * WINDOW_UPDATE, DATA below 256 bytes that is not the last) costs a credit; time, useful
	 * bytes, messages and answers earn credits back. Nothing left: GOAWAY ENHANCE_YOUR_CALM.
	 * Resets, the client's and those that it provokes, have credits of their own. Frames of
	 * unknown types are skipped without work and cost nothing. */
	PS_NET_H2_CONTROL_BURST = 2000,
	PS_NET_H2_CONTROL_PER_S = 200,
	PS_NET_H2_RESET_BURST = 500,
	PS_NET_H2_RESET_PER_S = 50,
};

/* The connection that carries a session. */
struct ps_net_h2_carrier {
	/* wake says that there may be output, or that the session is over. At most once until the
	 * next ps_net_h2_output; not from inside feed, tick, drain, output or wrote, after which
	 * the connection flushes anyway. */
	void (*wake)(void *ctx);
	int64_t (*now_ns)(void *ctx); /* the loop's clock, for the instants of answers */
	void *ctx;
	const char *peer, *address; /* as in struct ps_net_request; copied */
	bool secure;
	/* Copied as well, with its texts. */
	const struct ps_net_identity *identity;
};

/* ps_net_h2_new begins a session; its SETTINGS are the first output. The client's preface is fed
 * like everything else. PS_ENOMEM. */
enum ps_status ps_net_h2_new(struct ps_net_h2_service *service,
			     const struct ps_net_h2_carrier *carrier, int64_t now_ns,
			     struct ps_net_h2 **ret_session);
/* ps_net_h2_feed takes `n` bytes that were read by `now_ns`; all are used. Handlers are called from
 * inside. A connection error is not reported: GOAWAY is put out and the session is over once that
 * is written. Never call it from inside a handler. */
void ps_net_h2_feed(struct ps_net_h2 *h, const void *bytes, size_t n, int64_t now_ns);
/* ps_net_h2_eof says that the client sends no more: most probably it has left. Requests that are
 * not whole and calls that are not finished are reset, whole requests are told by on_gone and their
 * answers still written; the session is over when nothing is owed. */
void ps_net_h2_eof(struct ps_net_h2 *h, int64_t now_ns);
/* ps_net_h2_output fills up to `max` pieces of output, in order, and returns how many (0: nothing
 * to write now). They stay valid until ps_net_h2_wrote; call that before asking again. */
size_t ps_net_h2_output(struct ps_net_h2 *h, struct iovec *iov, size_t max);
/* ps_net_h2_wrote says that the first `n` bytes of what output gave went to the kernel (or into
 * TLS) by `now_ns`. on_done, on_sent and on_end are called from inside. */
void ps_net_h2_wrote(struct ps_net_h2 *h, size_t n, int64_t now_ns);
/* ps_net_h2_wants_write says whether output would give anything. */
bool ps_net_h2_wants_write(struct ps_net_h2 *h);
/* ps_net_h2_wants_read says whether the session wants more input (false: over, or too much output
 * waits for a client that does not read). */
bool ps_net_h2_wants_read(const struct ps_net_h2 *h);
/* ps_net_h2_is_over says that the session has nothing to say or hear any more: close the socket. */
bool ps_net_h2_is_over(const struct ps_net_h2 *h);
/* ps_net_h2_deadline_ns returns when ps_net_h2_tick is to be called; INT64_MAX: not at all. It may
 * move back with any call, and forward with feed and answers; O(1). */
int64_t ps_net_h2_deadline_ns(const struct ps_net_h2 *h);
/* ps_net_h2_tick acts on what is overdue: idle and stalled sessions, stalled bodies and answers,
 * deadlines of calls. O(streams). */
void ps_net_h2_tick(struct ps_net_h2 *h, int64_t now_ns);
/* ps_net_h2_drain says GOAWAY and takes no new streams; the session is over when those that have
 * begun are done. */
void ps_net_h2_drain(struct ps_net_h2 *h);
/* ps_net_h2_is_idle says whether no stream is open. */
bool ps_net_h2_is_idle(const struct ps_net_h2 *h);
/* ps_net_h2_close ends the session now: handlers are told by on_gone, answers under way end with
 * PS_ECANCELLED. Not from inside feed, tick, drain, output or wrote: see is_over. NULL is fine. */
void ps_net_h2_close(struct ps_net_h2 *h);

#endif
