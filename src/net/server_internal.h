/* server_internal.h - the server's own structs: listener, connections, requests of HTTP/1.1. */
#ifndef PS_NET_SERVER_INTERNAL_H
#define PS_NET_SERVER_INTERNAL_H

#include "net/exchange_internal.h"
#include "net/h2_internal.h"
#include "net/net_internal.h"
#include "net/transport_internal.h"

struct ps_net_peers;

/* State of a connection. One function (conn.c: ps_net_conn_enter) changes it.
 *
 *   SHAKE --handshake--+-- HTTP/1.1 --> IDLE --byte--> HEAD --head--> BODY --all--> HANDLER
 *   (TLS)              |                 | ^            | |             |              |
 *                      |                 | |      preface |          refused     ps_net_answer
 *                      |                 | |     of HTTP/2|             |              v
 *                      +--- HTTP/2 ------|-|------------> H2            +-----------> WRITE
 *                                        | +--------------|------- written -----------+ |
 *                                        v                v                             v
 *        CLOSED <--- time-out, broken, end of input, close, drain <------------------ LINGER
 *
 * CLOSED is kept in memory while the handler owes an answer. LINGER has said all and reads what is
 * still under way, so that the kernel does not reset the connection before the client has read. */
enum ps_net_conn_state {
	PS_NET_CONN_SHAKE,
	PS_NET_CONN_IDLE,
	PS_NET_CONN_HEAD,
	PS_NET_CONN_BODY,
	PS_NET_CONN_HANDLER,
	PS_NET_CONN_WRITE,
	PS_NET_CONN_LINGER,
	PS_NET_CONN_H2,
	PS_NET_CONN_CLOSED,
};

/* What an HTTP/1.1 connection needs while a request is under way, and only then: an idle connection
 * has none, so that thousands of them cost little. From the server's pool. */
struct ps_net_h1 {
	struct ps_net_exchange x; /* first: ps_net_answer finds it by the request */
	struct ps_net_conn *conn;
	struct ps_net_h1 *next; /* in the pool */
	struct ps_net_http1 *parser;
	struct ps_net_out out;
	struct ps_net_refused refused; /* said once the small body has been thrown away */
	size_t discarded_bytes;	       /* of that body */
	int64_t began_ns, progress_ns; /* of the body, or of the answer */
	size_t written_bytes;	       /* of the answer */
	size_t in_at, in_len;	       /* input that was read and not parsed */
	int minor;		       /* HTTP/1.minor */
	bool sniffed;		       /* it is not HTTP/2 */
	bool keep_alive;	       /* what the request allows */
	bool head_request;	       /* answer without a body */
	bool direct;		       /* read the body straight into its place */
	char in[PS_NET_IN_BYTES];
};

struct ps_net_conn {
	struct ps_net_server *server;
	struct ps_net_conn *prev, *next;
	struct ps_net_transport transport;
	struct ps_evloop_fd watch;
	struct ps_evloop_timer timer;
	int64_t deadline_ns; /* of the state; the timer may fire earlier and is then set again */
	int64_t read_ns;
	struct ps_net_h1 *h1; /* NULL between requests */
	struct ps_net_h2 *h2; /* state H2 */
	struct ps_arena *identity_arena;
	const struct ps_net_identity *identity;
	enum ps_net_conn_state state;
	unsigned read_wants, write_wants; /* what reading and writing wait for (TLS may want the
					   * other) */
	int depth;	  /* calls under way on this connection: free it when they are out */
	bool eof;	  /* the client sends no more */
	bool close_after; /* close behind the current answer */
	bool used;	  /* has carried a request: no longer sniffed for HTTP/2 */
	bool in_h2;	  /* the session is at work: it is closed when it is out */
	struct ps_evloop_later later; /* more to write (HTTP/2) or to read (TLS) */
	const char *address;	      /* behind `peer` */
	char peer[];
};

/* Sums of what is charged, by owner and by address. */
enum { PS_NET_SHARE_BUCKETS = 1024 };
struct ps_net_shares {
	struct ps_net_share *buckets[PS_NET_SHARE_BUCKETS], *free;
	int n_free;
};

struct ps_net_server {
	struct ps_evloop *loop;
	struct ps_net_server_options o;
	struct ps_net_handler handler;
	struct ps_net_h2_service h2;
	struct ps_evloop_fd listener; /* fd -1 when closed */
	struct ps_evloop_timer pause; /* takes up accepting again; also tells of the end of drain */
	struct ps_net_address address;
	struct ps_net_conn *conns; /* all that have memory, closed ones too */
	int n_memory;		   /* of them */
	struct ps_net_h1 *pool;	   /* free ones, warm */
	int n_pool;
	struct ps_net_peers *peers; /* connections per address; NULL: not counted */
	struct ps_net_shares shares;
	uint64_t path_inode; /* of the socket made at unix_path; 0: none */
	bool draining, closing;
	void (*on_drained)(void *ctx);
	void *on_drained_ctx;
	char *host, *server_name, *unix_path;
	char *prefix; /* of each answer: status line 200 and Server */
	size_t prefix_bytes, server_header_bytes;
	struct ps_net_server_stats stats;
};

/* server.c */
/* ps_net_server_forget frees the connection, and a closed server with its last one. */
void ps_net_server_forget(struct ps_net_server *s, struct ps_net_conn *c);
void ps_net_server_conn_closed(struct ps_net_server *s);

/* listen.c */
/* ps_net_listen opens the socket that the options name: s->listener.fd and s->address. */
enum ps_status ps_net_listen(struct ps_net_server *s, struct ps_error *err);
/* ps_net_unlisten closes it, and removes the path of a Unix socket that was made here. */
void ps_net_unlisten(struct ps_net_server *s);

/* peers.c: connections per address, in a table of at most as many entries as connections */
struct ps_net_peers *ps_net_peers_new(int max_connections);
void ps_net_peers_free(struct ps_net_peers *p);
/* ps_net_peers_enter counts one more of `address` unless there are `max` already. */
bool ps_net_peers_enter(struct ps_net_peers *p, const char *address, int max);
void ps_net_peers_leave(struct ps_net_peers *p, const char *address);

/* share.c: what bodies count in stats.buffered_bytes and in the share of who sends them */
void ps_net_shares_fini(struct ps_net_shares *t);
/* ps_net_charge_open begins to charge `owner`, or `address` when that is 0. PS_ENOMEM. */
enum ps_status ps_net_charge_open(struct ps_net_server *s, struct ps_net_charge *c, int owner,
				  const char *address);
/* ps_net_charge_join begins a charge to whom the open `other` is charged. */
void ps_net_charge_join(struct ps_net_charge *c, const struct ps_net_charge *other);
/* ps_net_charge_check says whether there is room for `bytes` more: PS_EQUOTA (not in the share),
 * PS_EUNAVAIL (not in the whole). */
enum ps_status ps_net_charge_check(const struct ps_net_server *s, const struct ps_net_charge *c,
				   size_t bytes);
/* ps_net_charge_add counts `bytes` more, also when it says that they are too many (as above). */
enum ps_status ps_net_charge_add(struct ps_net_server *s, struct ps_net_charge *c, size_t bytes);
/* ps_net_no_room says PS_EQUOTA and PS_EUNAVAIL in words. */
const char *ps_net_no_room(enum ps_status s);
/* ps_net_charge_drop counts nothing any more; not open: nothing happens. */
void ps_net_charge_drop(struct ps_net_server *s, struct ps_net_charge *c);

/* conn.c */
void ps_net_conn_open(struct ps_net_server *s, int fd, const struct ps_net_address *peer);
/* ps_net_conn_close closes the socket now; the memory goes when nobody holds the request. */
void ps_net_conn_close(struct ps_net_conn *c);
/* ps_net_conn_drain closes an idle connection, and marks a busy one to close after its answer. */
void ps_net_conn_drain(struct ps_net_conn *c);
/* ps_net_conn_enter changes the state and its deadline. */
void ps_net_conn_enter(struct ps_net_conn *c, enum ps_net_conn_state state, int64_t now_ns);
/* ps_net_conn_hold and _release guard the connection's memory during calls that may close it. */
void ps_net_conn_hold(struct ps_net_conn *c);
void ps_net_conn_release(struct ps_net_conn *c);
/* ps_net_conn_read reads, noting what the next read waits for. */
int64_t ps_net_conn_read(struct ps_net_conn *c, void *buf, size_t n);
/* ps_net_conn_writev writes: bytes, 0 when the socket is full, -1 when it is broken. */
int64_t ps_net_conn_writev(struct ps_net_conn *c, const struct iovec *pieces, size_t n);

/* h1.c: requests of HTTP/1.1 */
/* ps_net_h1_take gives the connection what a request needs; false: no memory. */
bool ps_net_h1_take(struct ps_net_conn *c);
/* ps_net_h1_give takes it back, to the pool. */
void ps_net_h1_give(struct ps_net_conn *c);
/* ps_net_h1_empty_pool frees the pool. */
void ps_net_h1_empty_pool(struct ps_net_server *s);
/* ps_net_h1_wants_read says whether there is room for input. */
bool ps_net_h1_wants_read(const struct ps_net_conn *c);
/* ps_net_h1_readable reads once, and does what the bytes allow. */
void ps_net_h1_readable(struct ps_net_conn *c);
/* ps_net_h1_process parses what has been read, as far as the state allows. */
void ps_net_h1_process(struct ps_net_conn *c);
/* ps_net_h1_eof is told that the client sends no more. */
void ps_net_h1_eof(struct ps_net_conn *c);
/* ps_net_h1_slow_ns returns when the body or the answer under way is too slow. */
int64_t ps_net_h1_slow_ns(const struct ps_net_conn *c);

/* answer.c: answers of HTTP/1.1 */
/* ps_net_h1_answer is the `answer` of its exchanges. */
void ps_net_h1_answer(struct ps_net_exchange *x, const struct ps_net_answer *answer);
/* ps_net_h1_refuse answers with an error of net's own; the connection goes on when `keep`. */
void ps_net_h1_refuse(struct ps_net_conn *c, const struct ps_net_refused *why, bool keep);
/* ps_net_h1_refuse_text is ps_net_h1_refuse with status and text; closes afterwards. */
void ps_net_h1_refuse_text(struct ps_net_conn *c, int http, const char *text);
/* ps_net_h1_write goes on writing; ends the request when all is written. */
void ps_net_h1_write(struct ps_net_conn *c);

/* conn_h2.c: sessions of HTTP/2 */
/* ps_net_conn_begin_h2 turns the connection to HTTP/2, with `n` bytes that were read already. */
void ps_net_conn_begin_h2(struct ps_net_conn *c, const void *bytes, size_t n);
void ps_net_conn_h2_readable(struct ps_net_conn *c);
/* ps_net_conn_h2_flush writes what there is, and closes a session that is over. */
void ps_net_conn_h2_flush(struct ps_net_conn *c);
void ps_net_conn_h2_close(struct ps_net_conn *c);
void ps_net_conn_h2_tick(struct ps_net_conn *c, int64_t now_ns);
void ps_net_conn_h2_drain(struct ps_net_conn *c);

#endif
