/* Requests of HTTP/1.1: reading, parsing, handing over. */
#include "net/server_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
	POOL_MAX = 256,		 /* free ones that are kept */
	DISCARD_MAX = 64 * 1024, /* of a refused body: more and the connection closes */
	READS_PER_EVENT = 4,
};

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
enum { PREFACE_BYTES = sizeof preface - 1 };

/* --- the pool --- */

static void free_h1(struct ps_net_h1 *h)
{
	ps_net_http1_free(h->parser);
	ps_net_out_fini(&h->out);
	ps_net_exchange_fini(&h->x);
	free(h);
}

static enum ps_status on_body(void *ctx, const char *at, size_t n);

static struct ps_net_h1 *new_h1(struct ps_net_server *s)
{
	/* Not zeroed as a whole: the input buffer is most of it. */
	struct ps_net_h1 *h = malloc(sizeof *h);
	if (!h)
		return NULL;
	memset(h, 0, offsetof(struct ps_net_h1, in));
	struct ps_net_http1_options o = {
		.max_url_bytes = s->o.max_url_bytes,
		.max_header_bytes = s->o.max_header_bytes,
		.max_headers = s->o.max_headers,
		.on_body = on_body,
		.ctx = h,
	};
	h->parser = ps_net_http1_new(&o);
	if (!h->parser) {
		free(h);
		return NULL;
	}
	ps_net_out_init(&h->out);
	ps_net_exchange_init(&h->x, s, ps_net_h1_answer);
	return h;
}

bool ps_net_h1_take(struct ps_net_conn *c)
{
	struct ps_net_server *s = c->server;
	struct ps_net_h1 *h = s->pool;
	if (h) {
		s->pool = h->next;
		s->n_pool--;
	} else {
		h = new_h1(s);
	}
	if (!h)
		return false;
	h->conn = c;
	h->sniffed = c->used || s->o.kind == PS_NET_KIND_HTTP1;
	c->h1 = h;
	return true;
}

void ps_net_h1_give(struct ps_net_conn *c)
{
	struct ps_net_server *s = c->server;
	struct ps_net_h1 *h = c->h1;
	c->h1 = NULL;
	h->conn = NULL;
	if (s->n_pool >= POOL_MAX) {
		free_h1(h);
		return;
	}
	ps_net_exchange_reset(&h->x);
	ps_net_http1_reset(h->parser, false);
	h->in_at = h->in_len = 0;
	h->refused.http = 0;
	h->next = s->pool;
	s->pool = h;
	s->n_pool++;
}

void ps_net_h1_empty_pool(struct ps_net_server *s)
{
	while (s->pool) {
		struct ps_net_h1 *h = s->pool;
		s->pool = h->next;
		free_h1(h);
	}
	s->n_pool = 0;
}

/* --- the head --- */

static bool fill_request(struct ps_net_conn *c, const struct ps_net_head *head)
{
	struct ps_net_h1 *h = c->h1;
	struct ps_net_request *r = &h->x.request;
	/* The parser keeps the texts until the next request begins, which waits for this one. */
	r->method = head->method;
	r->headers = head->headers;
	r->n_headers = head->n_headers;
	r->json_bytes = -1;
	r->peer = c->peer;
	r->address = c->address;
	r->http_major = 1;
	r->secure = c->server->o.tls != NULL;
	r->identity = c->identity;
	h->keep_alive = head->keep_alive;
	h->head_request = strcmp(head->method, "HEAD") == 0;
	h->minor = head->minor;
	c->used = true;
	return ps_net_exchange_target(&h->x, head->target, strlen(head->target));
}

/* A client that waits for leave to send its body gets it. */
static void say_continue(struct ps_net_conn *c)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct iovec piece = {(void *)(uintptr_t)text, sizeof text - 1};
	if (ps_net_conn_writev(c, &piece, 1) != sizeof text - 1)
		ps_net_conn_close(c);
}

static bool expects_continue(const struct ps_net_conn *c, const struct ps_net_head *head)
{
	const struct ps_net_h1 *h = c->h1;
	bool has_body = head->chunked || head->content_length > 0;
	/* The head's last byte is still to be fed: more than one means that the body is coming. */
	return has_body && head->minor >= 1 && h->in_len - h->in_at <= 1 &&
	       ps_net_header_get(head->headers, head->n_headers, "Expect");
}

/* A small body that is on its way is thrown away, so that the connection outlives the refusal. */
static bool can_discard(const struct ps_net_conn *c, const struct ps_net_head *head)
{
	return !head->chunked && head->content_length <= DISCARD_MAX && !expects_continue(c, head);
}

static void on_head(struct ps_net_conn *c)
{
	struct ps_net_h1 *h = c->h1;
	const struct ps_net_head *head = ps_net_http1_head(h->parser);
	struct ps_net_refused why = {.http = 503, .text = "out of memory"};
	if (fill_request(c, head))
		why = ps_net_exchange_head(&h->x, head->chunked		     ? -1
						  : head->content_length > 0 ? head->content_length
									     : 0);
	if (c->state == PS_NET_CONN_CLOSED)
		return;
	if (why.http && !can_discard(c, head)) {
		ps_net_h1_refuse(c, &why, false);
		return;
	}
	h->refused = why;
	h->discarded_bytes = 0;
	h->direct = !why.http && head->content_length > 0 && !h->x.inflate && !head->chunked;
	ps_net_conn_enter(c, PS_NET_CONN_BODY, c->read_ns);
	if (!why.http && expects_continue(c, head))
		say_continue(c);
}

/* --- the body --- */

static enum ps_status on_body(void *ctx, const char *at, size_t n)
{
	struct ps_net_h1 *h = ctx;
	if (h->refused.http) {
		h->discarded_bytes += n;
		return PS_OK;
	}
	h->refused = ps_net_exchange_body(&h->x, at, n);
	/* The parser ends here; on_bad finds the reason in h->refused. */
	return h->refused.http ? PS_ECANCELLED : PS_OK;
}

static void on_complete(struct ps_net_conn *c)
{
	struct ps_net_h1 *h = c->h1;
	h->direct = false;
	if (h->refused.http) {
		ps_net_h1_refuse(c, &h->refused, h->keep_alive);
		return;
	}
	ps_net_conn_enter(c, PS_NET_CONN_HANDLER, c->read_ns);
	struct ps_net_refused why = ps_net_exchange_complete(&h->x, c->read_ns);
	if (why.http)
		ps_net_h1_refuse(c, &why, h->keep_alive);
}

static void on_bad(struct ps_net_conn *c)
{
	struct ps_net_refusal why = ps_net_http1_refusal(c->h1->parser);
	if (c->h1->refused.http)
		ps_net_h1_refuse(c, &c->h1->refused, false);
	else
		ps_net_h1_refuse_text(c, why.http, why.text);
}

static void handle_event(struct ps_net_conn *c, enum ps_net_event event)
{
	if (event == PS_NET_EV_HEAD)
		on_head(c);
	else if (event == PS_NET_EV_END)
		on_complete(c);
	else if (event == PS_NET_EV_BAD)
		on_bad(c);
}

/* --- HTTP/2 by prior knowledge --- */

/* False: it is HTTP/2 now, or not known yet, or refused. */
static bool sniff(struct ps_net_conn *c)
{
	struct ps_net_h1 *h = c->h1;
	size_t n = h->in_len - h->in_at;
	size_t common = n < PREFACE_BYTES ? n : PREFACE_BYTES;
	if (memcmp(h->in + h->in_at, preface, common) != 0) {
		h->sniffed = true;
		if (c->server->o.kind != PS_NET_KIND_HTTP2)
			return true;
		ps_net_h1_refuse_text(c, 505, "only HTTP/2 is spoken here");
		return false;
	}
	if (n < PREFACE_BYTES)
		return false;
	/* The session calls handlers, which may close the connection: the bytes stay until then. */
	ps_net_conn_begin_h2(c, h->in + h->in_at, n);
	ps_net_h1_give(c);
	return false;
}

/* --- parsing --- */

static bool parses(const struct ps_net_conn *c)
{
	return c->state == PS_NET_CONN_IDLE || c->state == PS_NET_CONN_HEAD ||
	       c->state == PS_NET_CONN_BODY;
}

void ps_net_h1_process(struct ps_net_conn *c)
{
	struct ps_net_h1 *h = c->h1;
	while (parses(c) && h->in_at < h->in_len) {
		if (c->state == PS_NET_CONN_IDLE) {
			h->x.request.first_byte_ns = c->read_ns;
			h->head_request = false; /* of whom it carried before */
			ps_net_conn_enter(c, PS_NET_CONN_HEAD, c->read_ns);
		}
		if (!h->sniffed && !sniff(c))
			return;
		size_t used;
		enum ps_net_event e =
			ps_net_http1_feed(h->parser, h->in + h->in_at, h->in_len - h->in_at, &used);
		h->in_at += used;
		handle_event(c, e);
	}
	if (h->in_at == h->in_len)
		h->in_at = h->in_len = 0;
	if (c->eof && (c->state == PS_NET_CONN_HEAD || c->state == PS_NET_CONN_BODY))
		ps_net_h1_refuse_text(c, 400, "the connection ended before the whole request came");
	else if (c->eof && c->state == PS_NET_CONN_IDLE)
		ps_net_conn_close(c);
}

/* --- reading --- */

void ps_net_h1_eof(struct ps_net_conn *c)
{
	c->eof = true;
	switch (c->state) {
	case PS_NET_CONN_HEAD:
	case PS_NET_CONN_BODY:
		ps_net_h1_refuse_text(c, 400, "the connection ended before the whole request came");
		break;
	case PS_NET_CONN_HANDLER:
		/* Requests that wait behind this one prove that the client planned to stay. */
		if (c->h1->in_len == c->h1->in_at)
			ps_net_exchange_gone(&c->h1->x);
		break;
	case PS_NET_CONN_IDLE:
	case PS_NET_CONN_LINGER:
		ps_net_conn_close(c);
		break;
	default:
		break;
	}
}

bool ps_net_h1_wants_read(const struct ps_net_conn *c)
{
	return !c->h1 || c->h1->in_len < PS_NET_IN_BYTES;
}

/* Where to read: the body's own place when its length is known, else the small buffer. */
static char *room(struct ps_net_conn *c, size_t *ret_bytes)
{
	struct ps_net_h1 *h = c->h1;
	if (c->state == PS_NET_CONN_LINGER)
		h->in_at = h->in_len = 0;
	if (h->direct && h->in_at == h->in_len && h->x.body.cap > h->x.body.bytes) {
		*ret_bytes = h->x.body.cap - h->x.body.bytes;
		return h->x.body.data + h->x.body.bytes;
	}
	if (h->in_at > 0) {
		memmove(h->in, h->in + h->in_at, h->in_len - h->in_at);
		h->in_len -= h->in_at;
		h->in_at = 0;
	}
	*ret_bytes = PS_NET_IN_BYTES - h->in_len;
	return h->in + h->in_len;
}

static void on_bytes(struct ps_net_conn *c, char *at, size_t n)
{
	struct ps_net_h1 *h = c->h1;
	c->read_ns = h->progress_ns = ps_evloop_now_ns(c->server->loop);
	if (c->state == PS_NET_CONN_LINGER)
		return;
	if (at >= h->in && at < h->in + PS_NET_IN_BYTES) {
		h->in_len += n;
	} else {
		size_t used;
		handle_event(c, ps_net_http1_feed(h->parser, at, n, &used));
	}
	ps_net_h1_process(c);
}

void ps_net_h1_readable(struct ps_net_conn *c)
{
	if (!c->h1 && !ps_net_h1_take(c)) {
		ps_net_conn_close(c);
		return;
	}
	size_t n;
	char *at = room(c, &n);
	int64_t got = n > 0 ? ps_net_conn_read(c, at, n) : PS_NET_IO_AGAIN;
	if (got > 0)
		on_bytes(c, at, (size_t)got);
	else if (got == PS_NET_IO_END)
		ps_net_h1_eof(c);
	else if (got == PS_NET_IO_BROKEN)
		ps_net_conn_close(c);
}

/* --- too slow --- */

int64_t ps_net_h1_slow_ns(const struct ps_net_conn *c)
{
	const struct ps_net_server_options *o = &c->server->o;
	const struct ps_net_h1 *h = c->h1;
	bool writes = c->state == PS_NET_CONN_WRITE;
	size_t bytes = writes ? h->written_bytes : h->x.body.bytes + h->discarded_bytes;
	int64_t allowed_ns = writes ? o->write_timeout_ns : o->body_timeout_ns;
	double rate_s = (double)bytes / (double)o->body_min_rate;
	int64_t slow_ns = h->began_ns + allowed_ns + (int64_t)(rate_s * (double)PS_NS_PER_SEC);
	int64_t silent_ns = h->progress_ns + allowed_ns;
	return slow_ns < silent_ns ? slow_ns : silent_ns;
}
