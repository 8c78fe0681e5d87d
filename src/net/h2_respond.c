/* Blocks of header fields to nghttp2, and the data that it asks for. */
#include "net/h2_parts_internal.h"
#include "net/server_internal.h"

#include <nghttp2/nghttp2.h>
#include <string.h>
#include <strings.h>

enum { MAX_FIELDS = 48 };

struct fields {
	nghttp2_nv nv[MAX_FIELDS];
	size_t n;
};

/* Copied by nghttp2, names into lower case. */
static void add_n(struct fields *f, const char *name, const char *value, size_t n)
{
	if (f->n == MAX_FIELDS)
		return;
	f->nv[f->n++] = (nghttp2_nv){
		.name = (uint8_t *)name,
		.value = (uint8_t *)value,
		.namelen = strlen(name),
		.valuelen = n,
		.flags = NGHTTP2_NV_FLAG_NONE,
	};
}

static void add(struct fields *f, const char *name, const char *value)
{
	add_n(f, name, value, strlen(value));
}

/* HTTP/2 has no fields about the connection. */
static bool is_of_connection(const char *name)
{
	static const char *const names[] = {"connection", "keep-alive",	      "transfer-encoding",
					    "upgrade",	  "proxy-connection", "content-length"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

static void add_all(struct fields *f, const struct ps_net_header *headers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (headers[i].name[0] != ':' && !is_of_connection(headers[i].name) &&
		    ps_net_text_is_plain(headers[i].name) && ps_net_text_is_plain(headers[i].value))
			add(f, headers[i].name, headers[i].value);
}

/* Decimal digits of `v`; returns where they begin inside buf. */
static const char *decimal(uint64_t v, char buf[24])
{
	char *p = buf + 23;
	*p = '\0';
	do {
		*--p = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	return p;
}

/* --- data --- */

static ssize_t read_data(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t length,
			 uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct ps_net_h2_stream *st = source->ptr;
	size_t n = st->unsent_bytes < length ? st->unsent_bytes : length;
	(void)ng, (void)id, (void)buf, (void)user;
	if (n == 0 && !st->all_said) {
		st->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (n < st->unsent_bytes || !st->all_said)
		return (ssize_t)n;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (st->kind != PS_NET_H2_CALL)
		return (ssize_t)n;
	*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	return ps_net_h2_submit_trailers(st) ? (ssize_t)n : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* There is something to take from now on. */
static void begin_pace(struct ps_net_h2_stream *st)
{
	struct ps_net_h2 *h = st->h;
	int64_t now_ns = h->carrier.now_ns(h->carrier.ctx);
	ps_net_h2_pace_begin(&st->pace, now_ns);
	ps_net_h2_expect(h, now_ns + h->service->server->o.write_timeout_ns);
}

void ps_net_h2_resume(struct ps_net_h2_stream *st)
{
	if (!st->open || st->h->dead)
		return;
	if (st->provider && (st->deferred || st->pace.began_ns == 0))
		begin_pace(st);
	if (st->provider && st->deferred) {
		st->deferred = false;
		(void)nghttp2_session_resume_data(st->h->ng, st->id);
	}
	ps_net_h2_poke(st->h);
}

static bool submit(struct ps_net_h2_stream *st, const struct fields *f, bool body)
{
	struct ps_net_h2 *h = st->h;
	nghttp2_data_provider provider = {.source = {.ptr = st}, .read_callback = read_data};
	st->provider = body;
	st->deferred = false;
	begin_pace(st);
	int rv = nghttp2_submit_response(h->ng, st->id, f->nv, f->n, body ? &provider : NULL);
	ps_net_h2_poke(h);
	return rv == 0;
}

/* --- HTTP --- */

bool ps_net_h2_respond(struct ps_net_h2_stream *st, int http, const struct ps_net_header *headers,
		       size_t n, int64_t content_length, bool body)
{
	const char *server_name = st->h->service->server->o.server_name;
	struct fields f;
	char status[24], length[24];
	f.n = 0;
	add(&f, ":status", decimal((uint64_t)http, status));
	if (server_name)
		add(&f, "server", server_name);
	add_all(&f, headers, n);
	if (content_length >= 0 && http != 204)
		add(&f, "content-length", decimal((uint64_t)content_length, length));
	return submit(st, &f, body);
}

void ps_net_h2_say_continue(struct ps_net_h2_stream *st)
{
	struct fields f;
	f.n = 0;
	add(&f, ":status", "100");
	(void)nghttp2_submit_headers(st->h->ng, NGHTTP2_FLAG_NONE, st->id, NULL, f.nv, f.n, NULL);
}

/* --- gRPC --- */

static void add_status(struct fields *f, const struct ps_net_h2_grpc *g, char code[24],
		       char text[3 * PS_NET_GRPC_TEXT_MAX])
{
	add(f, "grpc-status", decimal((uint64_t)g->code, code));
	if (g->text && *g->text)
		add_n(f, "grpc-message", text, ps_net_grpc_percent(g->text, text));
	add_all(f, g->trailers, (size_t)g->n_trailers);
}

bool ps_net_h2_respond_call(struct ps_net_h2_stream *st, bool end)
{
	const struct ps_net_h2_grpc *g = &st->g;
	struct fields f;
	char code[24], text[3 * PS_NET_GRPC_TEXT_MAX];
	f.n = 0;
	add(&f, ":status", "200");
	add(&f, "content-type", "application/grpc");
	if (end && g->code == PS_NET_GRPC_UNIMPLEMENTED)
		add(&f, "grpc-accept-encoding", "identity, deflate, gzip");
	add_all(&f, g->headers, (size_t)g->n_headers);
	if (end)
		add_status(&f, g, code, text);
	return submit(st, &f, !end);
}

bool ps_net_h2_submit_trailers(struct ps_net_h2_stream *st)
{
	struct fields f;
	char code[24], text[3 * PS_NET_GRPC_TEXT_MAX];
	f.n = 0;
	add_status(&f, &st->g, code, text);
	return nghttp2_submit_trailer(st->h->ng, st->id, f.nv, f.n) == 0;
}
