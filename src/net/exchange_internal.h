/* exchange_internal.h - one request and its answer, whatever carries it.
 *
 * HTTP/1.1 (conn.c) and HTTP/2 (h2*.c) each embed a struct ps_net_exchange in what they keep per
 * request, fill in the head, feed the body and provide `answer`. All that does not depend on the
 * framing is here, so that both refuse, limit, count and inflate alike:
 *
 *   init -> fill request -> head -> body* -> complete -> (handler) ... answer() -> done ->
 * fini/reset |       |         |
 *                            +-------+---------+--> refusal: write it, then done
 *
 * Owned by the connection, on the thread of its loop; between complete and ps_net_answer the
 * handler may use request and arena on a lane.
 */
#ifndef PS_NET_EXCHANGE_INTERNAL_H
#define PS_NET_EXCHANGE_INTERNAL_H

#include "net/coding_internal.h"
#include "net/net_internal.h"

struct ps_net_share;

/* What one body, message or call counts in the server's sum and in the share of who sends it
 * (share.c). Zeroed: nothing. */
struct ps_net_charge {
	struct ps_net_share *share; /* NULL: not open */
	size_t bytes;
};

struct ps_net_exchange {
	struct ps_net_request request; /* first: ps_net_answer finds the exchange by it */
	struct ps_net_server *server;
	/* answer writes the answer, and calls ps_net_exchange_done when it has been written or
	 * never will be. Called by ps_net_answer, once, also when request.gone. */
	void (*answer)(struct ps_net_exchange *x, const struct ps_net_answer *answer);

	struct ps_arena arena; /* request.arena */
	struct ps_net_body body;
	struct ps_net_inflate *inflate; /* NULL: the body comes as it is */
	struct ps_net_charge charge;	/* what this body counts in the server's sum */
	bool owed;			/* the handler owes an answer, or on_done is owed to it */
	bool complete;			/* the handler has or had it */
	void (*on_done)(void *ctx, struct ps_net_request *r, enum ps_status status,
			int64_t done_ns);
	void *on_done_ctx;
};

/* An answer of net's own. */
struct ps_net_refused {
	int http; /* 0: not refused */
	const char *text;
	const struct ps_net_header *headers; /* besides Content-Type */
	size_t n_headers;
};

/* ps_net_exchange_init prepares `x` with an empty arena; _fini frees what it holds (not `x`);
 * _reset makes it ready for the next request and may keep memory. Neither while `owed`. */
void ps_net_exchange_init(struct ps_net_exchange *x, struct ps_net_server *server,
			  void (*answer)(struct ps_net_exchange *x,
					 const struct ps_net_answer *answer));
void ps_net_exchange_fini(struct ps_net_exchange *x);
void ps_net_exchange_reset(struct ps_net_exchange *x);

/* ps_net_exchange_target splits the target ("/a?b", "http://host/a?b" or "*") into request.path and
 * .query, in the arena. False: no memory. */
bool ps_net_exchange_target(struct ps_net_exchange *x, const char *target, size_t n);

/* ps_net_exchange_head is called when request.method, path, query, headers, peer, address, secure,
 * identity, http_major and first_byte_ns are filled in: it checks what net itself cannot grant
 * (Expect, Content-Encoding, lengths), asks on_head and makes room for a body of `content_length`
 * bytes (-1: not known). Returns how the request is refused: .http is 0 when it is not. */
struct ps_net_refused ps_net_exchange_head(struct ps_net_exchange *x, int64_t content_length);
/* ps_net_exchange_body takes bytes of the body as they came. Returns as above (413, 400, 503). */
struct ps_net_refused ps_net_exchange_body(struct ps_net_exchange *x, const void *at, size_t n);
/* ps_net_exchange_complete ends the body, and gives the request to the handler unless it is refused
 * (400: the body ends inside its coding, or before its JSON does). The handler may have answered,
 * and `x` may be gone, when this returns with .http == 0. */
struct ps_net_refused ps_net_exchange_complete(struct ps_net_exchange *x, int64_t now_ns);
/* ps_net_exchange_gone tells the handler, once, that the client has left. Nothing when it has no
 * request or has answered. */
void ps_net_exchange_gone(struct ps_net_exchange *x);
/* ps_net_exchange_taken notes the on_done of the answer (first thing in `answer`). */
void ps_net_exchange_taken(struct ps_net_exchange *x, const struct ps_net_answer *answer);
/* ps_net_exchange_done ends it: on_done is called if it is owed, memory of the body is no longer
 * counted. PS_OK: wholly written; PS_ECANCELLED: it never will be. */
void ps_net_exchange_done(struct ps_net_exchange *x, enum ps_status status, int64_t now_ns);
/* ps_net_exchange_refusal makes the answer for a refusal: {"error": text} with its headers, in the
 * arena. `ret_answer` borrows from `ret_parts`. Counts the refusal. */
struct ps_net_refusal_parts {
	struct ps_net_header headers[16];
	struct iovec body;
};
void ps_net_exchange_refusal(struct ps_net_exchange *x, const struct ps_net_refused *why,
			     struct ps_net_refusal_parts *ret_parts,
			     struct ps_net_answer *ret_answer);

#endif
