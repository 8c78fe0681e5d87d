/* h2_parts_internal.h - what the files of the HTTP/2 session and of gRPC share.
 *
 *	h2_session.c  life of a session, feeding, draining, closing
 *	h2_frames.c   what nghttp2 tells: heads, data, resets
 *	h2_head.c     header fields gathered and judged
 *	h2_stream.c   streams: life, pool, requests and their answers
 *	h2_output.c   frames and borrowed bytes in one queue; who is told when they are written
 *	h2_time.c     deadlines
 *	h2_calm.c     credits against floods
 *	grpc.c        calls, their status and trailers
 *	grpc_read.c   messages out of DATA frames
 *	grpc_text.c   grpc-timeout, percent and base64 encoding
 *
 * Everything belongs to the thread of the connection's loop.
 */
#ifndef PS_NET_H2_PARTS_INTERNAL_H
#define PS_NET_H2_PARTS_INTERNAL_H

#include "net/exchange_internal.h"
#include "net/h2_internal.h"

struct nghttp2_session;
struct nghttp2_session_callbacks;
struct nghttp2_option;
struct ps_net_h2_stream;

/* --- h2_calm.c: credits --- */

struct ps_net_h2_credits {
	int64_t level_milli; /* thousandths of a credit */
	int64_t earned_ns;   /* time has been counted up to here */
	int64_t burst, per_s;
};

void ps_net_h2_credits_init(struct ps_net_h2_credits *c, int64_t burst, int64_t per_s,
			    int64_t now_ns);
/* ps_net_h2_credits_take spends one credit; false when there is none. */
bool ps_net_h2_credits_take(struct ps_net_h2_credits *c, int64_t now_ns);
/* ps_net_h2_credits_earn adds `milli` thousandths, up to the burst. */
void ps_net_h2_credits_earn(struct ps_net_h2_credits *c, int64_t milli);

/* --- h2_time.c: how fast the client takes what there is for it --- */

/* A byte now and then is not enough: the answer's memory is held until the last. Counted anew after
 * each PS_NET_H2_PACE_BYTES, so that nobody who was fast at first may be slow for long. */
enum { PS_NET_H2_PACE_BYTES = 256 * 1024 };
struct ps_net_h2_pace {
	int64_t began_ns, progress_ns; /* began_ns 0: there is nothing to take */
	size_t bytes;
};

void ps_net_h2_pace_begin(struct ps_net_h2_pace *p, int64_t now_ns);
/* ps_net_h2_pace_moved notes that `n` bytes were taken. */
void ps_net_h2_pace_moved(struct ps_net_h2_pace *p, size_t n, int64_t now_ns);

/* --- h2_output.c: the queue of bytes to write --- */

/* Somebody who is told once the queue is written up to `at`. */
struct ps_net_h2_mark {
	struct ps_net_h2_mark *next;
	uint64_t at;
	enum ps_status status;
	bool set;
	void (*fire)(struct ps_net_h2_mark *m, enum ps_status status, int64_t now_ns);
};

enum { PS_NET_H2_INLINE_PIECES = 6 };

/* A run of bytes to be sent on a stream: the body of an answer, or a message. */
struct ps_net_h2_send {
	struct ps_net_h2_mark mark; /* first: of its last byte */
	struct ps_net_h2_stream *stream;
	struct ps_net_h2_send *next;
	struct iovec *pieces;
	size_t n, at; /* pieces before `at` are in the queue */
	size_t left;  /* bytes that are not */
	void (*on_sent)(void *ctx, enum ps_status status, int64_t done_ns);
	void *ctx;
	unsigned char prefix[5];
	struct iovec inline_pieces[PS_NET_H2_INLINE_PIECES];
};

enum { PS_NET_H2_BUFFER_BYTES = 64 * 1024, PS_NET_H2_BUFFER_PIECES = 256 };

struct ps_net_h2_buffer {
	struct ps_net_h2_buffer *next; /* in the pool */
	struct iovec pieces[PS_NET_H2_BUFFER_PIECES];
	unsigned char bytes[PS_NET_H2_BUFFER_BYTES];
};

struct ps_net_h2_out {
	struct ps_net_h2_buffer *buffer; /* NULL when all is written */
	size_t used;			 /* of its bytes */
	size_t n, at;			 /* pieces; those before `at` are written */
	uint64_t queued, written;	 /* bytes since the session began */
	struct ps_net_h2_mark *marks, *last_mark;
};

/* --- messages (grpc_read.c) --- */

struct ps_net_h2_message {
	struct ps_net_grpc_message m; /* first */
	struct ps_arena arena;
	struct ps_net_h2_stream *stream; /* held; NULL in the pool */
	struct ps_net_h2_service *service;
	struct ps_net_charge charge;
	struct ps_net_h2_message *next; /* in the pool */
};

/* --- streams --- */

enum ps_net_h2_kind {
	PS_NET_H2_HEAD, /* its head is still coming */
	PS_NET_H2_HTTP, /* a request */
	PS_NET_H2_CALL, /* of gRPC */
};

/* The first message that is sent needs no allocation. */
struct ps_net_h2_grpc {
	struct ps_net_grpc_call call;
	enum ps_net_coding coding; /* of compressed messages */
	bool taken;		   /* on_call said yes: finish and on_end are due */
	bool finished;		   /* finish was called */
	bool ended_by_net;	   /* net has said the last word: trailers of its own */
	bool half_close_told;
	bool headers_sent;	     /* response headers are with nghttp2 */
	bool end_fired;		     /* the trailers were written, or never will be */
	bool deframing;		     /* guards against messages out of order */
	int held;		     /* messages with the handler */
	struct ps_net_charge charge; /* for the call itself */
	/* the message under way */
	unsigned char prefix[5];
	unsigned prefix_n;
	struct ps_net_h2_message *message;
	char *data; /* where its bytes go; NULL: not known yet */
	size_t want, got;
	int64_t first_byte_ns;
	size_t inflated_cap;	 /* of the body, counted already */
	struct ps_net_body body; /* of a compressed one */
	struct ps_net_inflate *inflate;
	/* bytes that came while too many messages were held */
	char *stash;
	size_t stash_at, stash_n, stash_cap;
	struct ps_net_charge stash_charge;
	/* the end */
	enum ps_net_grpc_code code;
	const char *text; /* static or in the arena */
	int n_headers, n_trailers;
	struct ps_net_header headers[PS_NET_GRPC_HEADERS_MAX];
	struct ps_net_header trailers[PS_NET_GRPC_HEADERS_MAX];
};

/* A stream's memory lives while nghttp2 has it open, bytes of it are queued, the handler has its
 * request or call, or a message of it is not freed. */
struct ps_net_h2_stream {
	struct ps_net_exchange x; /* first: the exchange's answer() finds it. Its arena serves calls
				   * as well */
	struct ps_net_h2 *h;
	struct ps_net_h2_stream *prev, *next; /* of the session; next: in the pool */
	int32_t id;
	enum ps_net_h2_kind kind;
	bool open;	  /* nghttp2 has it */
	bool reset;	  /* RST_STREAM is with nghttp2: nothing more is waited for */
	bool input_ended; /* END_STREAM has come */
	bool discard;	  /* further input is of no use */
	bool ended;	  /* its last frame is in the queue, or will never be */
	bool answered;	  /* HTTP: the answer is with nghttp2 or dropped */
	bool over;	  /* the mark of the end has fired; nobody is owed anything */
	int depth;	  /* calls under way: not freed */

	/* the head */
	struct ps_net_header *headers;
	int n_headers, cap_headers;
	size_t head_bytes;
	const char *method, *target, *authority;
	size_t target_bytes;
	const char *content_type, *te, *grpc_timeout, *grpc_encoding, *content_length, *expect;
	bool has_host;
	struct ps_net_refused refused; /* by the head's size */

	/* time */
	int64_t began_ns, body_began_ns;
	int64_t progress_ns;	    /* bytes of input came */
	struct ps_net_h2_pace pace; /* bytes of output that are taken into the queue */

	/* output */
	struct ps_net_h2_send *sends, *last_send; /* not wholly in the queue */
	size_t unsent_bytes;			  /* not in the queue */
	size_t unwritten_bytes;			  /* not written */
	bool provider;				  /* nghttp2 asks for data */
	bool deferred;				  /* ... and waits for resume */
	bool all_said;				  /* nothing follows what is in `sends` */
	struct ps_net_h2_send first_send;
	bool first_send_used;
	struct ps_net_h2_mark end;

	struct ps_net_h2_grpc g;
};

/* --- the session --- */

struct ps_net_h2 {
	struct ps_net_h2_service *service;
	struct ps_net_h2_carrier carrier;
	struct nghttp2_session *ng;
	struct ps_net_h2_stream *streams; /* all that have memory */
	int n_memory, n_open;		  /* of them: all, those that nghttp2 has */
	struct ps_net_h2_out out;
	struct ps_net_h2_credits control, resets;
	int64_t now_ns;	     /* the latest instant that was told */
	int64_t deadline_ns; /* when tick is due; never later than what is next */
	int64_t began_ns, idle_since_ns, head_began_ns, drain_ns;
	struct ps_net_h2_pace pace; /* bytes of the queue that are written */
	int64_t earned_bytes;	    /* received or framed, not yet turned into credits */
	size_t head_bytes;	    /* of the block of header fields under way */
	bool settled;		    /* the client's SETTINGS came */
	int32_t in_head; /* the stream whose block of header fields is under way; 0: none */
	bool draining, goaway_sent;
	bool eof;    /* the client sends no more */
	bool dead;   /* nghttp2 is not asked any more; what is queued may be written */
	bool closed; /* no carrier any more */
	bool woken;  /* the connection is about to ask for output */
	int inside;  /* calls under way */
	const char *peer, *address;
	const struct ps_net_identity *identity;
	struct ps_arena arena; /* of these texts */
};

enum { PS_NET_H2_POOL_STREAMS = 512, PS_NET_H2_POOL_MESSAGES = 512, PS_NET_H2_POOL_BUFFERS = 32 };

struct ps_net_h2_pool {
	struct ps_net_h2_stream *streams;
	struct ps_net_h2_message *messages;
	struct ps_net_h2_buffer *buffers;
	int n_streams, n_messages, n_buffers;
	struct nghttp2_session_callbacks *callbacks;
	struct nghttp2_option *option;
};

/* h2_session.c */
/* ps_net_h2_enter and _leave are around everything that may call a handler. */
void ps_net_h2_enter(struct ps_net_h2 *h);
void ps_net_h2_leave(struct ps_net_h2 *h);
/* ps_net_h2_die ends the session with GOAWAY(code): nothing more is read or framed. */
void ps_net_h2_die(struct ps_net_h2 *h, uint32_t code);
/* ps_net_h2_poke makes the connection flush, unless it is about to anyway. */
void ps_net_h2_poke(struct ps_net_h2 *h);

/* h2_frames.c */
struct nghttp2_session_callbacks *ps_net_h2_callbacks(void);
struct nghttp2_option *ps_net_h2_option(void);
/* ps_net_h2_spend takes a credit for a frame that brings nothing; without one the session dies. */
bool ps_net_h2_spend(struct ps_net_h2 *h, struct ps_net_h2_credits *c);

/* h2_head.c */
/* ps_net_h2_field adds one header field. False: no memory. */
bool ps_net_h2_field(struct ps_net_h2_stream *st, const char *name, size_t name_len,
		     bool static_name, const char *value, size_t value_len);
/* ps_net_h2_head_complete judges the head and begins the request or call. */
void ps_net_h2_head_complete(struct ps_net_h2_stream *st);

/* h2_stream.c */
struct ps_net_h2_stream *ps_net_h2_stream_new(struct ps_net_h2 *h, int32_t id);
/* ps_net_h2_stream_settle frees the stream if nobody needs it. */
void ps_net_h2_stream_settle(struct ps_net_h2_stream *st);
void ps_net_h2_stream_data(struct ps_net_h2_stream *st, const unsigned char *at, size_t n);
void ps_net_h2_stream_input_end(struct ps_net_h2_stream *st);
/* ps_net_h2_stream_closed: nghttp2 has it no more, or the session is over. */
void ps_net_h2_stream_closed(struct ps_net_h2_stream *st);
/* ps_net_h2_stream_refuse answers a request with an error of net's own. */
void ps_net_h2_stream_refuse(struct ps_net_h2_stream *st, const struct ps_net_refused *why);
/* ps_net_h2_stream_reset puts RST_STREAM out. */
void ps_net_h2_stream_reset(struct ps_net_h2_stream *st, uint32_t code);
/* ps_net_h2_stream_consume gives the client leave to send `n` bytes more on this stream (the
 * connection's window is given back as bytes come). */
void ps_net_h2_stream_consume(struct ps_net_h2_stream *st, size_t n);
/* ps_net_h2_stream_ended: the last frame has been put into the queue now. */
void ps_net_h2_stream_ended(struct ps_net_h2_stream *st);
void ps_net_h2_pool_free(struct ps_net_h2_pool *p);

/* h2_respond.c: header blocks to nghttp2 */
/* ps_net_h2_respond submits the response's head; `body` says that data follows. */
bool ps_net_h2_respond(struct ps_net_h2_stream *st, int http, const struct ps_net_header *headers,
		       size_t n, int64_t content_length, bool body);
/* ps_net_h2_respond_call submits the head of a call's response, or, when `end`, all of it. */
bool ps_net_h2_respond_call(struct ps_net_h2_stream *st, bool end);
/* ps_net_h2_submit_trailers submits a call's trailers; from inside the data provider. */
bool ps_net_h2_submit_trailers(struct ps_net_h2_stream *st);
/* ps_net_h2_say_continue submits the interim response 100. */
void ps_net_h2_say_continue(struct ps_net_h2_stream *st);

/* h2_output.c */
/* ps_net_h2_send_new takes a run of bytes with an optional prefix; NULL: no memory. */
struct ps_net_h2_send *ps_net_h2_send_new(struct ps_net_h2_stream *st, const struct iovec *pieces,
					  size_t n, size_t prefix_bytes);
/* ps_net_h2_send_queue puts it behind the others of its stream. */
void ps_net_h2_send_queue(struct ps_net_h2_send *send);
/* ps_net_h2_send_cancel_all ends all sends that are not wholly in the queue with PS_ECANCELLED. */
void ps_net_h2_send_cancel_all(struct ps_net_h2_stream *st);
/* ps_net_h2_resume tells nghttp2 that there is more to ask for. */
void ps_net_h2_resume(struct ps_net_h2_stream *st);
/* ps_net_h2_mark_here is fired when all that is queued now is written. */
void ps_net_h2_mark_here(struct ps_net_h2 *h, struct ps_net_h2_mark *m, enum ps_status status);
/* ps_net_h2_fire calls those whose bytes are written (all: also the others, as cancelled). */
void ps_net_h2_fire(struct ps_net_h2 *h, bool all);
void ps_net_h2_out_drop(struct ps_net_h2 *h);
void ps_net_h2_out_append(struct ps_net_h2 *h, const void *bytes, size_t n);
/* ps_net_h2_has_room says whether one more frame fits into the queue. */
bool ps_net_h2_has_room(const struct ps_net_h2 *h);
/* ps_net_h2_out_take puts `n` bytes of the stream's sends into the queue. */
void ps_net_h2_out_take(struct ps_net_h2_stream *st, size_t n);

/* h2_time.c */
/* ps_net_h2_goaway says which stream is the last one: the second step of draining. */
void ps_net_h2_goaway(struct ps_net_h2 *h);
/* ps_net_h2_expect makes sure that tick comes by `at_ns`. */
static inline void ps_net_h2_expect(struct ps_net_h2 *h, int64_t at_ns)
{
	if (at_ns < h->deadline_ns)
		h->deadline_ns = at_ns;
}

/* grpc.c */
bool ps_net_grpc_is_call(const struct ps_net_h2_stream *st);
void ps_net_grpc_begin(struct ps_net_h2_stream *st);
/* ps_net_grpc_await: it is the client's turn from now on. */
void ps_net_grpc_await(struct ps_net_h2_stream *st, int64_t now_ns);
void ps_net_grpc_closed(struct ps_net_h2_stream *st);
/* ps_net_grpc_end_owed calls on_end if it is due. */
void ps_net_grpc_end_owed(struct ps_net_h2_stream *st, enum ps_status status, int64_t now_ns);
/* ps_net_grpc_abort says the last word in the handler's place: `text` is static. */
void ps_net_grpc_abort(struct ps_net_h2_stream *st, enum ps_status why, enum ps_net_grpc_code code,
		       const char *text);
/* ps_net_grpc_abort_room is ps_net_grpc_abort for what ps_net_charge_* said: no room for more. */
void ps_net_grpc_abort_room(struct ps_net_h2_stream *st, enum ps_status why);

/* grpc_read.c */
void ps_net_grpc_data(struct ps_net_h2_stream *st, const unsigned char *at, size_t n);
void ps_net_grpc_input_end(struct ps_net_h2_stream *st);
/* ps_net_grpc_drop_input frees a message under way and what is stashed. */
void ps_net_grpc_drop_input(struct ps_net_h2_stream *st);
void ps_net_grpc_message_destroy(struct ps_net_h2_message *m);

/* grpc_text.c */
/* ps_net_grpc_timeout_ns reads grpc-timeout; saturates at 100 years. PS_EPARSE. */
enum ps_status ps_net_grpc_timeout_ns(const char *text, int64_t *ret_ns);
/* ps_net_grpc_percent encodes `text` for grpc-message, cut at PS_NET_GRPC_TEXT_MAX bytes of it,
 * never inside a character; returns bytes written. `out` has 3 * PS_NET_GRPC_TEXT_MAX bytes. */
size_t ps_net_grpc_percent(const char *text, char *out);
/* ps_net_grpc_name_is_good says whether a handler may send metadata under this name. */
bool ps_net_grpc_name_is_good(const char *name);

#endif
