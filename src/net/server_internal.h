/* server_internal.h - the server's own structs: listener and connections. */
#ifndef PS_NET_SERVER_INTERNAL_H
#define PS_NET_SERVER_INTERNAL_H

#include "net/net_internal.h"

/* State of a connection. One function (conn.c: enter) changes it.
 *
 *   IDLE --byte--> HEAD --head--> BODY --all--> HANDLER --ps_net_answer--> WRITE --written--> IDLE
 *     |              |              |              |                         |
 *     |              +--refused-----+--------------|-----> WRITE             +--close--> LINGER
 *     +--time-out, end, drain--> CLOSED <--broken--+                                       |
 *                                  ^-------------------- end of input, time-out -----------+
 *
 * CLOSED is kept in memory while the handler owes an answer. LINGER has said all and reads what is
 * still under way, so that the kernel does not reset the connection before the client has read. */
enum ps_net_conn_state {
	PS_NET_CONN_IDLE,
	PS_NET_CONN_HEAD,
	PS_NET_CONN_BODY,
	PS_NET_CONN_HANDLER,
	PS_NET_CONN_WRITE,
	PS_NET_CONN_LINGER,
	PS_NET_CONN_CLOSED,
};

struct ps_net_conn {
	struct ps_net_request request; /* first: ps_net_answer finds the connection by it */
	struct ps_net_server *server;
	struct ps_net_conn *prev, *next;
	enum ps_net_conn_state state;
	struct ps_evloop_fd watch; /* watch.fd is -1 when closed */
	struct ps_evloop_timer timer;
	int64_t deadline_ns; /* of the state; the timer may fire earlier and is then set again */
	int64_t body_began_ns, progress_ns, read_ns;

	struct ps_net_http1 *parser;
	struct ps_arena arena;
	struct ps_net_body body;
	size_t buffered_bytes; /* what this body counts in the server's sum */
	size_t in_at, in_len;  /* input that was read and not parsed */
	bool eof;	       /* the client sends no more */
	bool owed;	       /* the handler has the request */
	bool keep_alive;       /* what the request allows */
	bool close_after;      /* close behind the current answer */
	bool head_request;     /* answer without a body */
	bool direct;	       /* read the body straight into its place */
	int depth;	       /* calls under way on this connection: free it when they are out */

	struct ps_net_out out;
	void (*on_done)(void *ctx, struct ps_net_request *r, enum ps_status status,
			int64_t done_ns);
	void *on_done_ctx;
	char peer[PS_NET_ADDRESS_TEXT_SIZE];
	char in[PS_NET_IN_BYTES];
};

struct ps_net_server {
	struct ps_evloop *loop;
	struct ps_net_server_options o;
	struct ps_net_handler handler;
	struct ps_evloop_fd listener; /* fd -1 when closed */
	struct ps_evloop_timer pause; /* takes up accepting again; also tells of the end of drain */
	struct ps_net_address address;
	struct ps_net_conn *conns; /* all that have memory, closed ones too */
	int n_memory;		   /* of them */
	bool draining, closing;
	void (*on_drained)(void *ctx);
	void *on_drained_ctx;
	char *host, *server_name;
	struct ps_net_server_stats stats;
};

/* server.c */
/* ps_net_server_forget frees the connection, and a closed server with its last one. */
void ps_net_server_forget(struct ps_net_server *s, struct ps_net_conn *c);
void ps_net_server_conn_closed(struct ps_net_server *s);

/* conn.c */
void ps_net_conn_open(struct ps_net_server *s, int fd, const struct ps_net_address *peer);
/* ps_net_conn_close closes the socket now; the memory goes when nobody holds the request. */
void ps_net_conn_close(struct ps_net_conn *c);
/* ps_net_conn_drain closes an idle connection, and marks a busy one to close after its answer. */
void ps_net_conn_drain(struct ps_net_conn *c);
/* ps_net_conn_enter changes the state and its deadline. */
void ps_net_conn_enter(struct ps_net_conn *c, enum ps_net_conn_state state);
/* ps_net_conn_hold and _release guard the connection's memory during calls that may close it. */
void ps_net_conn_hold(struct ps_net_conn *c);
void ps_net_conn_release(struct ps_net_conn *c);
/* ps_net_conn_process parses what has been read, as far as the state allows. */
void ps_net_conn_process(struct ps_net_conn *c);
/* ps_net_conn_watch asks the loop for what the state wants. */
void ps_net_conn_watch(struct ps_net_conn *c);

/* answer.c */
/* ps_net_conn_refuse answers with an error of net's own and closes afterwards. */
void ps_net_conn_refuse(struct ps_net_conn *c, int http, const char *text);
/* ps_net_conn_write goes on writing; ends the request when all is written. */
void ps_net_conn_write(struct ps_net_conn *c);
/* ps_net_conn_abandon ends the answer that can no longer be written. */
void ps_net_conn_abandon(struct ps_net_conn *c);

#endif
