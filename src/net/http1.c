/* The glue around http-parser. It turns callbacks into events by pausing the parser where a head or
 * a message ends, and keeps the limits that the library does not know. Messages whose head is plain
 * and whole pass the library by (http1_plain.c): it stands between two messages all the while. */
#include "net/http1_internal.h"

#include <http_parser.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Larger than any limit of ours: the library's own limit is process-wide and less exact. */
enum { LIBRARY_HEADER_BYTES = 16 * 1024 * 1024 };

struct ps_net_http1 {
	http_parser parser;
	struct ps_net_http1_options o;
	bool no_body;

	/* Requests: bytes outside bodies are looked at once more, see check_framing. */
	const char *unseen;   /* from here on, in what is being fed */
	char last;	      /* the byte before it */
	uint64_t chunk_left;  /* bytes of the present chunk's data */
	int after_chunk;      /* 2: CR and LF must follow now, 1: LF */
	size_t between_bytes; /* of chunk sizes and trailers since the last byte of a body */

	bool begun;	/* a byte of this message was seen */
	char first;	/* the first byte of this message */
	bool head_done; /* headers from here on are trailers */
	bool in_value;	/* the last header callback was a value */
	bool ended;	/* the message is complete; the next byte begins another */
	size_t head_bytes;
	struct ps_strbuf text; /* NUL-separated: target, name, value, name, value, ... */
	size_t *at;	       /* where each name and value begins: 2 per header */
	int n_texts;
	struct ps_net_header *headers;
	struct ps_net_head head;

	bool plain;		   /* this message passes the library by */
	bool plain_lf;		   /* its head's last byte is still to be fed */
	uint64_t plain_left;	   /* bytes of its body to come */
	struct ps_net_span *spans; /* room for a plain head's headers */

	enum ps_net_event event;
	struct ps_net_refusal refusal;
};

static int refuse(struct ps_net_http1 *p, int http, const char *text)
{
	if (!p->refusal.http)
		p->refusal = (struct ps_net_refusal){http, text};
	return 1;
}

static int on_message_begin(http_parser *hp)
{
	struct ps_net_http1 *p = hp->data;
	p->head_done = p->in_value = p->ended = false;
	p->head_bytes = p->between_bytes = 0;
	p->n_texts = 0;
	p->head = (struct ps_net_head){0};
	ps_strbuf_clear(&p->text);
	return 0;
}

static int on_url(http_parser *hp, const char *at, size_t n)
{
	struct ps_net_http1 *p = hp->data;
	if (p->text.len + n > p->o.max_url_bytes)
		return refuse(p, 414, "the URL is too long");
	ps_strbuf_append(&p->text, at, n);
	return 0;
}

static int begin_text(struct ps_net_http1 *p)
{
	if (p->n_texts >= 2 * p->o.max_headers)
		return refuse(p, 431, "there are too many header lines");
	ps_strbuf_putc(&p->text, '\0');
	p->at[p->n_texts++] = p->text.len;
	return 0;
}

static int on_header_field(http_parser *hp, const char *at, size_t n)
{
	struct ps_net_http1 *p = hp->data;
	if (p->head_done)
		return 0;
	if (p->n_texts == 0 || p->in_value) {
		p->in_value = false;
		if (begin_text(p) != 0)
			return 1;
	}
	ps_strbuf_append(&p->text, at, n);
	return 0;
}

static int on_header_value(http_parser *hp, const char *at, size_t n)
{
	struct ps_net_http1 *p = hp->data;
	if (p->head_done)
		return 0;
	if (!p->in_value) {
		p->in_value = true;
		if (begin_text(p) != 0)
			return 1;
	}
	if (memchr(at, '\0', n))
		return refuse(p, 400, "a header holds a NUL");
	ps_strbuf_append(&p->text, at, n);
	return 0;
}

static void trim_end(char *s)
{
	size_t n = strlen(s);
	while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		s[--n] = '\0';
}

/* The library, as it is commonly built, lets blanks pass in names: "Content-Length : 5" means
 * different things to different readers, which is how requests are smuggled. */
static bool is_token(const char *s)
{
	static const bool token[256] = {
		['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['!'] = true,
		['#'] = true,	      ['$'] = true,	    ['%'] = true,	  ['&'] = true,
		['\''] = true,	      ['*'] = true,	    ['+'] = true,	  ['-'] = true,
		['.'] = true,	      ['^'] = true,	    ['_'] = true,	  ['`'] = true,
		['|'] = true,	      ['~'] = true,
	};
	while (token[(unsigned char)*s])
		s++;
	return *s == '\0';
}

/* The library takes a bare LF for the end of a line, joins folded lines, and skips whatever stands
 * behind a chunk's size. Others read such bytes differently, and what lies in between is how a
 * request is smuggled past them: here every line of a request ends with CR LF, and none begins with
 * a blank. Looks at bytes outside bodies only. */
static int check_framing(struct ps_net_http1 *p, const char *at, size_t n)
{
	const char *end = at + n, *from = at;
	if (n == 0)
		return 0;
	for (; p->after_chunk > 0 && from < end; p->after_chunk--, from++)
		if (*from != (p->after_chunk == 2 ? '\r' : '\n'))
			return refuse(p, 400, "a chunk does not end where its size says");
	from = at;
	if (p->last == '\n' && (*at == ' ' || *at == '\t'))
		return refuse(p, 400, "a header line is folded");
	for (const char *lf; (lf = memchr(from, '\n', (size_t)(end - from))) != NULL;) {
		if ((lf > at ? lf[-1] : p->last) != '\r')
			return refuse(p, 400, "a line ends without CR");
		from = lf + 1;
		if (from < end && (*from == ' ' || *from == '\t'))
			return refuse(p, 400, "a header line is folded");
	}
	if (p->head_done && !p->ended) {
		p->between_bytes += n;
		if (p->between_bytes > p->o.max_header_bytes)
			return refuse(p, 431, "the trailer or a chunk's extension is too large");
	}
	/* In heads the library itself insists on LF behind CR. */
	if (p->parser.flags & F_CHUNKED)
		for (from = at; from < end; from++)
			if ((from > at ? from[-1] : p->last) == '\r' && *from != '\n')
				return refuse(p, 400, "a CR without LF");
	p->last = end[-1];
	return 0;
}

static int fill_head(struct ps_net_http1 *p)
{
	const http_parser *hp = &p->parser;
	if (ps_strbuf_status(&p->text) != PS_OK)
		return refuse(p, 503, "out of memory");
	size_t n = (size_t)p->n_texts / 2;
	for (size_t i = 0; i < n; i++) {
		char *value = p->text.data + p->at[2 * i + 1];
		trim_end(value);
		if (!is_token(p->text.data + p->at[2 * i]))
			return refuse(p, 400, "a header's name is no token");
		p->headers[i] = (struct ps_net_header){p->text.data + p->at[2 * i], value};
	}
	bool sized = hp->flags & F_CONTENTLENGTH;
	p->head = (struct ps_net_head){
		.method = p->o.response ? "" : http_method_str((enum http_method)hp->method),
		.target = p->text.data,
		.http = p->o.response ? (int)hp->status_code : 0,
		.headers = p->headers,
		.n_headers = n,
		.content_length =
			sized && hp->content_length <= INT64_MAX ? (int64_t)hp->content_length : -1,
		.chunked = hp->flags & F_CHUNKED,
		.keep_alive = http_should_keep_alive(hp),
		.minor = hp->http_minor,
	};
	return 0;
}

static int check_request(struct ps_net_http1 *p)
{
	int hosts = 0, codings = 0;
	for (size_t i = 0; i < p->head.n_headers; i++) {
		const struct ps_net_header *h = &p->headers[i];
		if (strcasecmp(h->name, "host") == 0) {
			hosts++;
			if (!ps_net_is_host(h->value, strlen(h->value)))
				return refuse(p, 400, "the Host header names no host");
		} else if (strcasecmp(h->name, "transfer-encoding") == 0) {
			codings++;
			if (strcasecmp(h->value, "chunked") != 0)
				return refuse(p, 501, "only the transfer coding chunked is known");
		}
	}
	if (hosts > 1 || (hosts == 0 && p->head.minor >= 1))
		return refuse(p, 400, "a request needs one Host header");
	if (codings > 1 || (codings == 1 && p->head.minor < 1))
		return refuse(p, 400, "contradicting Content-Length or Transfer-Encoding");
	if (p->parser.flags & F_CONTENTLENGTH && p->parser.content_length > INT64_MAX)
		return refuse(p, 413, "the body is too large");
	if (p->parser.method == HTTP_CONNECT)
		return refuse(p, 501, "this is no proxy");
	return 0;
}

static int on_headers_complete(http_parser *hp)
{
	struct ps_net_http1 *p = hp->data;
	p->head_done = true;
	/* 0, 1 and 2 mean something to the library here: failures are 3. */
	if (hp->http_major != 1 || hp->http_minor > 1) {
		refuse(p, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
		return 3;
	}
	if (fill_head(p) != 0 || (!p->o.response && check_request(p) != 0))
		return 3;
	/* A server may pass over Upgrade; the bytes that follow are HTTP/1.1 all the same. */
	hp->upgrade = 0;
	p->event = PS_NET_EV_HEAD;
	http_parser_pause(hp, 1);
	return p->no_body ? 1 : 0;
}

static int on_body(http_parser *hp, const char *at, size_t n)
{
	struct ps_net_http1 *p = hp->data;
	if (!p->o.response && check_framing(p, p->unseen, (size_t)(at - p->unseen)) != 0)
		return 1;
	p->unseen = at + n;
	p->between_bytes = 0;
	if (hp->flags & F_CHUNKED && (p->chunk_left -= n) == 0)
		p->after_chunk = 2;
	enum ps_status s = p->o.on_body(p->o.ctx, at, n);
	if (s == PS_ETOOBIG)
		return refuse(p, 413, "the body is too large");
	return s == PS_OK ? 0 : refuse(p, 503, "out of memory");
}

static int on_chunk_header(http_parser *hp)
{
	struct ps_net_http1 *p = hp->data;
	p->chunk_left = hp->content_length;
	return 0;
}

static int on_message_complete(http_parser *hp)
{
	struct ps_net_http1 *p = hp->data;
	p->event = PS_NET_EV_END;
	p->ended = true;
	p->begun = false;
	http_parser_pause(hp, 1);
	return 0;
}

static const http_parser_settings settings = {
	.on_message_begin = on_message_begin,
	.on_url = on_url,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_chunk_header = on_chunk_header,
	.on_message_complete = on_message_complete,
};

static void raise_library_limit(void)
{
	http_parser_set_max_header_size(LIBRARY_HEADER_BYTES);
}

struct ps_net_http1 *ps_net_http1_new(const struct ps_net_http1_options *options)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, raise_library_limit);
	struct ps_net_http1 *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->o = *options;
	ps_strbuf_init(&p->text);
	p->at = calloc(2 * (size_t)p->o.max_headers, sizeof *p->at);
	p->headers = calloc((size_t)p->o.max_headers, sizeof *p->headers);
	p->spans = calloc((size_t)p->o.max_headers, sizeof *p->spans);
	if (!p->at || !p->headers || !p->spans) {
		ps_net_http1_free(p);
		return NULL;
	}
	ps_net_http1_reset(p, false);
	return p;
}

void ps_net_http1_free(struct ps_net_http1 *p)
{
	if (!p)
		return;
	ps_strbuf_fini(&p->text);
	free(p->at);
	free(p->headers);
	free(p->spans);
	free(p);
}

void ps_net_http1_reset(struct ps_net_http1 *p, bool no_body)
{
	http_parser_init(&p->parser, p->o.response ? HTTP_RESPONSE : HTTP_REQUEST);
	p->parser.data = p;
	p->no_body = no_body;
	p->plain = false;
	p->begun = p->head_done = p->in_value = p->ended = false;
	p->head_bytes = p->between_bytes = 0;
	p->after_chunk = 0;
	p->last = '\0';
	p->n_texts = 0;
	p->refusal = (struct ps_net_refusal){0};
	ps_strbuf_clear(&p->text);
}

/* What to say about bytes that the library refuses. */
static struct ps_net_refusal refusal_of(enum http_errno e, char first)
{
	switch (e) {
	case HPE_HEADER_OVERFLOW:
		return (struct ps_net_refusal){431, "the header is too large"};
	case HPE_INVALID_VERSION:
		return (struct ps_net_refusal){505, "only HTTP/1.0 and HTTP/1.1 are spoken here"};
	case HPE_INVALID_TRANSFER_ENCODING:
		return (struct ps_net_refusal){501, "only the transfer coding chunked is known"};
	case HPE_UNEXPECTED_CONTENT_LENGTH:
		return (struct ps_net_refusal){400, "contradicting Content-Length or "
						    "Transfer-Encoding"};
	case HPE_INVALID_METHOD:
		/* Letters are a method that nobody here knows; anything else is no HTTP. */
		if (first >= 'A' && first <= 'Z')
			return (struct ps_net_refusal){501, "unknown method"};
		return (struct ps_net_refusal){400, "this is not HTTP"};
	default:
		return (struct ps_net_refusal){400, http_errno_description(e)};
	}
}

static enum ps_net_event fail(struct ps_net_http1 *p)
{
	enum http_errno e = HTTP_PARSER_ERRNO(&p->parser);
	if (!p->refusal.http)
		p->refusal = refusal_of(e, p->first);
	return PS_NET_EV_BAD;
}

/* --- plain messages --- */

/* The texts are the head itself, with a NUL where each ends: behind every name and value there is
 * at least one byte that nobody needs. */
static bool keep_plain(struct ps_net_http1 *p, const struct ps_net_plain_head *h, const char *data,
		       size_t n)
{
	ps_strbuf_clear(&p->text);
	ps_strbuf_append(&p->text, data, n);
	if (ps_strbuf_status(&p->text) != PS_OK)
		return false;
	char *to = p->text.data;
	if (!p->o.response)
		to[h->target_end - data] = '\0';
	for (size_t i = 0; i < h->n_headers; i++) {
		const struct ps_net_span *s = &h->headers[i];
		to[s->name_end - data] = to[s->value_end - data] = '\0';
		p->headers[i] =
			(struct ps_net_header){to + (s->name - data), to + (s->value - data)};
	}
	p->head = (struct ps_net_head){
		.method = h->method,
		.target = p->o.response ? "" : to + (h->target - data),
		.http = p->o.response ? h->http : 0,
		.headers = p->headers,
		.n_headers = h->n_headers,
		.content_length = h->content_length,
		.keep_alive = true,
		.minor = 1,
	};
	return true;
}

/* Whether the message that begins at `data` passes the library by; its head is kept then. */
static bool begin_plain(struct ps_net_http1 *p, const char *data, size_t n, size_t *ret_used)
{
	struct ps_net_plain_head h = {.headers = p->spans, .max_headers = (size_t)p->o.max_headers};
	/* Behind a message that closes the connection the library refuses all. */
	if (p->no_body || p->begun || (p->ended && !p->head.keep_alive))
		return false;
	size_t bytes = p->o.response ? ps_net_http1_plain_answer(data, n, &h)
				     : ps_net_http1_plain(data, n, &h);
	if (bytes == 0 || bytes > p->o.max_header_bytes ||
	    (size_t)(h.target_end - h.target) > p->o.max_url_bytes ||
	    !keep_plain(p, &h, data, bytes))
		return false;
	p->begun = p->head_done = p->plain = p->plain_lf = true;
	p->ended = false;
	p->plain_left = h.content_length > 0 ? (uint64_t)h.content_length : 0;
	p->last = '\n';
	*ret_used = bytes - 1; /* as the library: the last byte comes with what follows */
	return true;
}

static enum ps_net_event feed_plain(struct ps_net_http1 *p, const char *data, size_t n,
				    size_t *ret_used)
{
	size_t lf = p->plain_lf, bytes = n - lf;
	if (n == 0) {
		refuse(p, 400, "the message ends before its length says");
		return PS_NET_EV_BAD;
	}
	p->plain_lf = false;
	if (bytes > p->plain_left)
		bytes = (size_t)p->plain_left;
	enum ps_status s = bytes > 0 ? p->o.on_body(p->o.ctx, data + lf, bytes) : PS_OK;
	if (s != PS_OK) {
		refuse(p, s == PS_ETOOBIG ? 413 : 503,
		       s == PS_ETOOBIG ? "the body is too large" : "out of memory");
		return PS_NET_EV_BAD;
	}
	p->plain_left -= bytes;
	*ret_used = lf + bytes;
	if (p->plain_left > 0)
		return PS_NET_EV_MORE;
	p->plain = p->begun = false;
	p->ended = true;
	return PS_NET_EV_END;
}

enum ps_net_event ps_net_http1_feed(struct ps_net_http1 *p, const char *data, size_t n,
				    size_t *ret_used)
{
	*ret_used = 0;
	if (p->refusal.http)
		return PS_NET_EV_BAD;
	if (p->plain)
		return feed_plain(p, data, n, ret_used);
	if (n > 0 && begin_plain(p, data, n, ret_used))
		return PS_NET_EV_HEAD;
	p->event = PS_NET_EV_MORE;
	bool in_head = !p->head_done || p->ended;
	if (n > 0 && !p->begun) {
		p->begun = true;
		p->first = data[0];
		p->head_bytes = 0;
	}
	p->unseen = data;
	size_t used = http_parser_execute(&p->parser, &settings, data, n);
	enum http_errno e = HTTP_PARSER_ERRNO(&p->parser);
	if (e == HPE_PAUSED)
		http_parser_pause(&p->parser, 0);
	else if (e != HPE_OK)
		return fail(p);
	*ret_used = used < n ? used : n;
	if (!p->o.response && n > 0 &&
	    check_framing(p, p->unseen, (size_t)(data + *ret_used - p->unseen)) != 0)
		return PS_NET_EV_BAD;
	if (in_head) {
		/* The head's last byte is fed with what follows. */
		p->head_bytes += *ret_used + (p->event == PS_NET_EV_HEAD);
		if (p->head_bytes > p->o.max_header_bytes) {
			refuse(p, 431, "the header is too large");
			return PS_NET_EV_BAD;
		}
	}
	return p->event;
}

const struct ps_net_head *ps_net_http1_head(const struct ps_net_http1 *p)
{
	return &p->head;
}

bool ps_net_http1_begun(const struct ps_net_http1 *p)
{
	return p->begun;
}

struct ps_net_refusal ps_net_http1_refusal(const struct ps_net_http1 *p)
{
	return p->refusal;
}
