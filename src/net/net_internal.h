/* net_internal.h - what the files of net/ share: the parser's glue, bodies, output, sockets. */
#ifndef PS_NET_INTERNAL_H
#define PS_NET_INTERNAL_H

#include "net/net.h"
#include "base/strbuf.h"

enum {
	PS_NET_ALIGN = 64,	       /* of the first tensor in a body */
	PS_NET_IN_BYTES = 16 * 1024,   /* input buffer of a connection */
	PS_NET_FIRST_BODY = 16 * 1024, /* first guess for a body of unknown length */
};

/* --- http1.c: bytes -> messages; the only file that knows the parser library --- */

struct ps_net_http1;

enum ps_net_event {
	PS_NET_EV_MORE, /* all bytes are used, more are needed */
	PS_NET_EV_HEAD, /* the head is complete, ps_net_http1_head has it; feed the rest again */
	PS_NET_EV_END,	/* the message is complete; feed the rest for the next message */
	PS_NET_EV_BAD,	/* malformed or over a limit; ps_net_http1_refusal says how */
};

struct ps_net_head {
	const char *method; /* requests */
	const char *target; /* requests */
	int http;	    /* responses: status */
	const struct ps_net_header *headers;
	size_t n_headers;
	int64_t content_length; /* -1: not said */
	bool chunked;
	bool keep_alive;
	int minor; /* HTTP/1.minor */
};

/* How a malformed message is to be answered. */
struct ps_net_refusal {
	int http;
	const char *text;
};

struct ps_net_http1_options {
	bool response; /* parse responses, else requests */
	size_t max_url_bytes, max_header_bytes;
	int max_headers;
	/* on_body gets body bytes; anything but PS_OK ends parsing with PS_NET_EV_BAD. */
	enum ps_status (*on_body)(void *ctx, const char *at, size_t n);
	void *ctx;
};

/* ps_net_http1_new makes a parser; NULL when there is no memory. */
struct ps_net_http1 *ps_net_http1_new(const struct ps_net_http1_options *options);
void ps_net_http1_free(struct ps_net_http1 *p);
/* ps_net_http1_reset forgets everything, for a new connection; `no_body` says that the response to
 * come answers a HEAD. */
void ps_net_http1_reset(struct ps_net_http1 *p, bool no_body);
/* ps_net_http1_feed parses up to the next event; *ret_used bytes are done with. n == 0 says that
 * the connection has ended. */
enum ps_net_event ps_net_http1_feed(struct ps_net_http1 *p, const char *data, size_t n,
				    size_t *ret_used);
/* ps_net_http1_head borrows the head of the current message, until the next message begins. */
const struct ps_net_head *ps_net_http1_head(const struct ps_net_http1 *p);
/* ps_net_http1_begun says whether any byte of the current message was seen. */
bool ps_net_http1_begun(const struct ps_net_http1 *p);
/* ps_net_http1_refusal says what was wrong after PS_NET_EV_BAD. */
struct ps_net_refusal ps_net_http1_refusal(const struct ps_net_http1 *p);

/* --- body.c: a body in an arena, its tensors aligned --- */

struct ps_net_body {
	struct ps_arena *arena;
	char *data;
	size_t bytes, cap;
	size_t max_bytes;
	int64_t json_bytes; /* where tensors begin; -1: at 0 */
	bool too_big;	    /* why an append failed, else memory */
};

/* ps_net_body_begin makes room for `content_length` bytes (-1: unknown). PS_ETOOBIG, PS_ENOMEM. */
enum ps_status ps_net_body_begin(struct ps_net_body *b, struct ps_arena *arena,
				 int64_t content_length, int64_t json_bytes, size_t max_bytes);
/* ps_net_body_reserve makes room for `n` more bytes behind those that are there; what lay elsewhere
 * is copied. PS_ETOOBIG (over max_bytes), PS_ENOMEM. */
enum ps_status ps_net_body_reserve(struct ps_net_body *b, size_t n);
/* ps_net_body_append adds bytes; without copying when they lie in their place already. */
enum ps_status ps_net_body_append(struct ps_net_body *b, const char *at, size_t n);
/* ps_net_json_bytes reads the header that says where the tensors begin: -1 when absent. PS_EPARSE.
 */
enum ps_status ps_net_json_bytes(const struct ps_net_header *headers, size_t n, int64_t *ret_bytes);

/* --- out.c: pieces to a socket --- */

struct ps_net_out {
	struct ps_strbuf head; /* the first piece, when not empty */
	struct iovec *pieces;
	size_t n, cap, at; /* pieces before `at` are written */
	size_t left;	   /* bytes */
};

void ps_net_out_init(struct ps_net_out *o);
void ps_net_out_fini(struct ps_net_out *o);
/* ps_net_out_set takes the pieces behind `head`, which the caller has filled or left empty.
 * PS_ENOMEM. */
enum ps_status ps_net_out_set(struct ps_net_out *o, const struct iovec *pieces, size_t n);
/* ps_net_out_wrote notes that `n` bytes of pieces[at..n) were written. */
void ps_net_out_wrote(struct ps_net_out *o, size_t n);
/* ps_net_text_is_plain says whether `s` may stand in a head: no control characters.
 * ps_net_bytes_are_plain: the same of `n` bytes. */
bool ps_net_text_is_plain(const char *s);
bool ps_net_bytes_are_plain(const char *s, size_t n);
/* ps_net_reason returns the phrase of an HTTP status. */
const char *ps_net_reason(int http);
/* ps_net_json_text appends `s` as a JSON string with its quotes. */
void ps_net_json_text(struct ps_strbuf *out, const char *s);

#endif
