/* A request and its answer: what does not depend on who frames them. */
#include "net/exchange_internal.h"
#include "net/server_internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* --- life --- */

void ps_net_exchange_init(struct ps_net_exchange *x, struct ps_net_server *server,
			  void (*answer)(struct ps_net_exchange *x,
					 const struct ps_net_answer *answer))
{
	*x = (struct ps_net_exchange){.server = server, .answer = answer};
	ps_arena_init(&x->arena, 0);
}

/* What belongs to one request, but for the arena. */
static void clear(struct ps_net_exchange *x)
{
	x->request = (struct ps_net_request){0};
	x->body = (struct ps_net_body){0};
	if (x->inflate) {
		ps_net_inflate_free(x->inflate);
		x->inflate = NULL;
	}
	x->owed = x->complete = false;
	x->on_done = NULL;
}

static void uncount_body(struct ps_net_exchange *x)
{
	ps_net_charge_drop(x->server, &x->charge);
}

void ps_net_exchange_fini(struct ps_net_exchange *x)
{
	uncount_body(x);
	clear(x);
	ps_arena_fini(&x->arena);
}

void ps_net_exchange_reset(struct ps_net_exchange *x)
{
	uncount_body(x);
	clear(x);
	ps_arena_reset(&x->arena);
}

/* --- the head --- */

bool ps_net_exchange_target(struct ps_net_exchange *x, const char *target, size_t n)
{
	/* The absolute form names the authority once more: Host has said it. */
	if (n > 0 && target[0] != '/' && target[0] != '*') {
		const char *colon = memchr(target, ':', n);
		if (colon && (size_t)(target + n - colon) >= 3 && memcmp(colon, "://", 3) == 0) {
			const char *rest = colon + 3;
			while (rest < target + n && *rest != '/' && *rest != '?')
				rest++;
			n -= (size_t)(rest - target);
			target = rest;
		}
	}
	const char *mark = memchr(target, '?', n);
	size_t path = mark ? (size_t)(mark - target) : n;
	x->request.path = path > 0 ? ps_arena_strndup(&x->arena, target, path) : "/";
	x->request.query = mark ? ps_arena_strndup(&x->arena, mark + 1, n - path - 1) : "";
	return x->request.path && x->request.query;
}

static struct ps_net_refused refused(int http, const char *text)
{
	return (struct ps_net_refused){.http = http, .text = text};
}

static const struct ps_net_refused granted = {0};
static const char too_large[] = "the body is too large";

static const struct ps_net_header known_codings = {"Accept-Encoding", "gzip, deflate"};

static const char *header(const struct ps_net_exchange *x, const char *name)
{
	return ps_net_header_get(x->request.headers, x->request.n_headers, name);
}

/* What net itself cannot grant, whatever the handler says. */
static struct ps_net_refused check_headers(struct ps_net_exchange *x,
					   enum ps_net_coding *ret_coding)
{
	struct ps_net_request *r = &x->request;
	const char *expect = header(x, "Expect");
	if (expect && strcasecmp(expect, "100-continue") != 0)
		return refused(417, "only Expect: 100-continue is known");
	*ret_coding = ps_net_coding_parse(header(x, "Content-Encoding"));
	if (*ret_coding == PS_NET_CODING_UNKNOWN)
		return (struct ps_net_refused){
			.http = 415,
			.text = "only the content codings gzip and deflate are known, one at a "
				"time",
			.headers = &known_codings,
			.n_headers = 1,
		};
	if (ps_net_json_bytes(r->headers, r->n_headers, &r->json_bytes) != PS_OK)
		return refused(400, "Inference-Header-Content-Length is not a number");
	return granted;
}

static struct ps_net_refused ask_handler(struct ps_net_exchange *x)
{
	struct ps_net_request *r = &x->request;
	const struct ps_net_handler *h = &x->server->handler;
	struct ps_error err;
	if (!h->on_head)
		return granted;
	ps_error_clear(&err);
	enum ps_status status = h->on_head(h->ctx, r, &err);
	if (status == PS_OK)
		return granted;
	char text[sizeof err.what + sizeof err.hint + 8];
	err.where[0] = '\0';
	ps_error_format(&err, text, sizeof text);
	const char *kept = ps_arena_strndup(&x->arena, text, strlen(text));
	return (struct ps_net_refused){
		.http = ps_status_get(status)->http,
		.text = kept ? kept : "refused",
		.headers = r->refusal_headers,
		.n_headers = r->n_refusal_headers,
	};
}

/* PS_EQUOTA, PS_EUNAVAIL: no room for bodies. */
static struct ps_net_refused refused_room(enum ps_status s)
{
	static const struct ps_net_header soon = {"Retry-After", "1"};
	if (s == PS_OK)
		return granted;
	if (s == PS_ENOMEM)
		return refused(503, "out of memory");
	return (struct ps_net_refused){
		.http = ps_status_get(s)->http,
		.text = ps_net_no_room(s),
		.headers = &soon,
		.n_headers = 1,
	};
}

/* Bodies of all requests together are bounded by what was taken for them, and so are those of each
 * who sends them: else one could take all the room. */
static struct ps_net_refused count_body(struct ps_net_exchange *x, size_t bytes)
{
	struct ps_net_server *s = x->server;
	enum ps_status status =
		ps_net_charge_open(s, &x->charge, x->request.owner, x->request.address);
	if (status == PS_OK)
		status = ps_net_charge_check(s, &x->charge, bytes);
	if (status == PS_OK)
		(void)ps_net_charge_add(s, &x->charge, bytes);
	return refused_room(status);
}

static struct ps_net_refused begin_body(struct ps_net_exchange *x, int64_t content_length,
					enum ps_net_coding coding)
{
	struct ps_net_request *r = &x->request;
	const struct ps_net_server *s = x->server;
	if (r->max_body_bytes == 0 || r->max_body_bytes > s->o.max_body_bytes)
		r->max_body_bytes = s->o.max_body_bytes;
	size_t want = content_length > 0 ? (size_t)content_length : 0;
	if (want > r->max_body_bytes ||
	    (r->json_bytes > 0 && (uint64_t)r->json_bytes > r->max_body_bytes))
		return refused(413, too_large);
	if (coding != PS_NET_CODING_IDENTITY && content_length != 0) {
		x->inflate = ps_net_inflate_new(coding, s->o.max_inflate_ratio);
		if (!x->inflate)
			return refused(503, "out of memory");
		content_length = -1;
		want = 0;
	}
	struct ps_net_refused why = content_length != 0 ? count_body(x, want) : granted;
	if (why.http)
		return why;
	if (ps_net_body_begin(&x->body, &x->arena, content_length, r->json_bytes,
			      r->max_body_bytes) != PS_OK)
		return refused(503, "out of memory");
	return granted;
}

struct ps_net_refused ps_net_exchange_head(struct ps_net_exchange *x, int64_t content_length)
{
	enum ps_net_coding coding;
	x->request.arena = &x->arena;
	x->request.max_body_bytes = x->server->o.max_body_bytes;
	struct ps_net_refused why = check_headers(x, &coding);
	if (why.http == 0)
		why = ask_handler(x);
	return why.http == 0 ? begin_body(x, content_length, coding) : why;
}

/* --- the body --- */

static enum ps_status body_grew(void *ctx)
{
	struct ps_net_exchange *x = ctx;
	return ps_net_charge_add(x->server, &x->charge, x->body.cap);
}

static struct ps_net_refused refused_body(const struct ps_net_exchange *x, enum ps_status s)
{
	switch (s) {
	case PS_OK:
		return granted;
	case PS_ETOOBIG:
		if (!x->inflate || x->body.too_big)
			return refused(413, too_large);
		return refused(413, "the body is compressed beyond reason: send it as it is");
	case PS_EPARSE:
		return refused(400, "the body does not follow its Content-Encoding");
	case PS_EQUOTA:
	case PS_EUNAVAIL:
		return refused_room(s);
	default:
		return refused(503, "out of memory");
	}
}

struct ps_net_refused ps_net_exchange_body(struct ps_net_exchange *x, const void *at, size_t n)
{
	size_t before = x->body.cap;
	enum ps_status s;
	if (x->inflate)
		return refused_body(x,
				    ps_net_inflate_feed(x->inflate, at, n, &x->body, body_grew, x));
	s = ps_net_body_append(&x->body, at, n);
	if (s == PS_OK && x->body.cap != before)
		s = body_grew(x);
	return refused_body(x, s);
}

struct ps_net_refused ps_net_exchange_complete(struct ps_net_exchange *x, int64_t now_ns)
{
	struct ps_net_server *s = x->server;
	struct ps_net_request *r = &x->request;
	if (x->inflate && !ps_net_inflate_ended(x->inflate))
		return refused(400, "the body ends inside its Content-Encoding");
	r->body = x->body.bytes > 0 ? x->body.data : NULL;
	r->body_bytes = x->body.bytes;
	r->received_ns = now_ns;
	x->owed = x->complete = true;
	s->stats.requests++;
	s->stats.in_flight++;
	s->handler.on_request(s->handler.ctx, r);
	return granted;
}

/* --- the answer --- */

void ps_net_exchange_gone(struct ps_net_exchange *x)
{
	struct ps_net_server *s = x->server;
	if (!x->owed || x->request.gone)
		return;
	x->request.gone = true;
	s->stats.gone++;
	if (s->handler.on_gone)
		s->handler.on_gone(s->handler.ctx, &x->request);
}

void ps_net_exchange_taken(struct ps_net_exchange *x, const struct ps_net_answer *answer)
{
	x->on_done = answer->on_done;
	x->on_done_ctx = answer->ctx;
}

void ps_net_exchange_done(struct ps_net_exchange *x, enum ps_status status, int64_t now_ns)
{
	struct ps_net_server *s = x->server;
	bool owed = x->owed;
	void (*on_done)(void *, struct ps_net_request *, enum ps_status, int64_t) = x->on_done;
	/* First: on_done may close the server, which comes back here. */
	x->on_done = NULL;
	x->owed = false;
	if (owed) {
		s->stats.in_flight--;
		if (status == PS_OK)
			s->stats.answered++;
		else if (!x->request.gone)
			s->stats.gone++;
		if (on_done)
			on_done(x->on_done_ctx, &x->request, status, now_ns);
	}
	uncount_body(x);
}

/* {"error": "..."} in the request's arena. */
static struct iovec error_body(struct ps_arena *arena, const char *text)
{
	static char short_body[] = "{\"error\":\"out of memory\"}";
	struct ps_strbuf b;
	ps_strbuf_init(&b);
	ps_strbuf_puts(&b, "{\"error\":");
	ps_net_json_text(&b, text);
	ps_strbuf_putc(&b, '}');
	char *copy = ps_strbuf_status(&b) == PS_OK ? ps_arena_strndup(arena, b.data, b.len) : NULL;
	struct iovec piece = copy ? (struct iovec){copy, b.len}
				  : (struct iovec){short_body, sizeof short_body - 1};
	ps_strbuf_fini(&b);
	return piece;
}

static size_t error_headers(struct ps_net_header all[16], const struct ps_net_header *more,
			    size_t n)
{
	all[0] = (struct ps_net_header){"Content-Type", "application/json"};
	n = n < 15 ? n : 15;
	if (n > 0)
		memcpy(all + 1, more, n * sizeof *more);
	return n + 1;
}

void ps_net_exchange_refusal(struct ps_net_exchange *x, const struct ps_net_refused *why,
			     struct ps_net_refusal_parts *ret_parts,
			     struct ps_net_answer *ret_answer)
{
	x->server->stats.refused++;
	ret_parts->body = error_body(&x->arena, why->text);
	*ret_answer = (struct ps_net_answer){
		.http = why->http,
		.headers = ret_parts->headers,
		.n_headers = error_headers(ret_parts->headers, why->headers, why->n_headers),
		.body = &ret_parts->body,
		.n_body = 1,
	};
}

/* --- what the handler calls --- */

enum { COMPRESS_MIN_BYTES = 256, COMPRESS_MAX_BYTES = 256 * 1024, EXTRA_HEADERS = 2 };

/* Replaces the answer by a compressed one where that pays; everything lies in the arena. */
static void compress(struct ps_net_exchange *x, struct ps_net_answer *a, struct iovec *piece)
{
	size_t bytes = 0;
	for (size_t i = 0; i < a->n_body; i++)
		bytes += a->body[i].iov_len;
	struct ps_net_header *h =
		ps_arena_alloc(&x->arena, (a->n_headers + EXTRA_HEADERS) * sizeof *h);
	if (!h || bytes < COMPRESS_MIN_BYTES || bytes > COMPRESS_MAX_BYTES)
		return;
	if (a->n_headers > 0)
		memcpy(h, a->headers, a->n_headers * sizeof *h);
	/* Caches must know that another client may get something else, compressed or not. */
	h[a->n_headers++] = (struct ps_net_header){"Vary", "Accept-Encoding"};
	a->headers = h;
	enum ps_net_coding coding = ps_net_coding_accepted(header(x, "Accept-Encoding"));
	if (coding == PS_NET_CODING_IDENTITY ||
	    ps_net_deflate(coding, a->body, a->n_body, &x->arena, piece) != PS_OK)
		return;
	h[a->n_headers++] = (struct ps_net_header){"Content-Encoding", ps_net_coding_name(coding)};
	a->body = piece;
	a->n_body = 1;
}

void ps_net_answer(struct ps_net_request *r, const struct ps_net_answer *answer)
{
	struct ps_net_exchange *x = (struct ps_net_exchange *)r;
	struct ps_net_answer changed;
	struct iovec piece;
	if (answer->compress && !r->gone) {
		changed = *answer;
		compress(x, &changed, &piece);
		answer = &changed;
	}
	x->answer(x, answer);
}

void ps_net_answer_error(struct ps_net_request *r, const struct ps_error *e,
			 const struct ps_net_header *headers, size_t n_headers,
			 void (*on_done)(void *ctx, struct ps_net_request *r, enum ps_status status,
					 int64_t done_ns),
			 void *ctx)
{
	struct ps_net_header all[16];
	struct ps_error said = *e;
	char text[sizeof said.what + sizeof said.hint + 8];
	said.where[0] = '\0';
	ps_error_format(&said, text, sizeof text);
	struct iovec piece = error_body(r->arena, text);
	struct ps_net_answer a = {
		.http = ps_status_get(e->status)->http,
		.headers = all,
		.n_headers = error_headers(all, headers, n_headers),
		.body = &piece,
		.n_body = 1,
		.on_done = on_done,
		.ctx = ctx,
	};
	ps_net_answer(r, &a);
}
