/* h2_peer.h - a session of the server and its peer in memory: no sockets, and a clock that stands
 * still. The peer is either nghttp2's client (peer_*) or frames made by hand (raw_*). */
#ifndef PS_TESTS_H2_PEER_H
#define PS_TESTS_H2_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/h2_internal.h"
#include "net/server_internal.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef PEER_UNUSED
#define PEER_UNUSED __attribute__((unused))
#endif

enum { PEER_STREAMS = 600, PEER_HEADERS = 2048 };

/* What the client has heard on a stream. */
struct heard {
	char head[PEER_HEADERS], trailers[PEER_HEADERS]; /* "name: value\n" */
	char *body;
	size_t n, cap;
	bool ended;  /* END_STREAM has come */
	bool closed; /* nghttp2 has closed it */
	uint32_t code;
};

static struct peer {
	struct ps_net_server server;
	struct ps_net_h2 *h;
	int64_t now_ns;
	int wakes;
	size_t write_max; /* the server's socket takes at most so many bytes at once; 0: any */
	bool stuck;	  /* ... none */
	nghttp2_session *client;
	struct heard heard[PEER_STREAMS];
	bool client_failed;
	int goaway;  /* code that came; -1: none */
	int settled; /* SETTINGS that came */
	int frees;   /* sessions freed */
} P;

static void peer_wake(void *ctx)
{
	(void)ctx;
	P.wakes++;
}

static int64_t peer_now(void *ctx)
{
	(void)ctx;
	return P.now_ns;
}

static void peer_freed(void *ctx)
{
	(void)ctx;
	P.frees++;
}

/* The server's own options, small enough to be met. */
static void peer_options(struct ps_net_server_options *o)
{
	*o = (struct ps_net_server_options){
		.server_name = "test",
		.max_connections = 16,
		.max_streams = 128,
		.max_url_bytes = 256,
		.max_header_bytes = 4096,
		.max_headers = 20,
		.max_body_bytes = 4 << 20,
		.max_inflate_ratio = 256,
		.max_buffered_bytes = 16 << 20,
		.handshake_timeout_ns = 10 * PS_NS_PER_SEC,
		.idle_timeout_ns = 75 * PS_NS_PER_SEC,
		.head_timeout_ns = 10 * PS_NS_PER_SEC,
		.body_timeout_ns = 30 * PS_NS_PER_SEC,
		.body_min_rate = 16 * 1024,
		.write_timeout_ns = 30 * PS_NS_PER_SEC,
	};
}

static PEER_UNUSED void peer_service(const struct ps_net_handler *http,
				     const struct ps_net_grpc_handler *grpc)
{
	memset(&P, 0, sizeof P);
	P.goaway = -1;
	P.now_ns = 1000 * PS_NS_PER_SEC;
	peer_options(&P.server.o);
	if (http)
		P.server.handler = *http;
	P.server.h2.server = &P.server;
	if (grpc)
		P.server.h2.grpc = *grpc;
	P.server.h2.freed = peer_freed;
	assert_int_equal(ps_net_h2_service_init(&P.server.h2), PS_OK);
}

static PEER_UNUSED void peer_session(void)
{
	struct ps_net_h2_carrier carrier = {.wake = peer_wake,
					    .now_ns = peer_now,
					    .peer = "192.0.2.1:5",
					    .address = "192.0.2.1"};
	assert_int_equal(ps_net_h2_new(&P.server.h2, &carrier, P.now_ns, &P.h), PS_OK);
}

/* Ends everything, and checks that nothing is left. */
static PEER_UNUSED void peer_end(void)
{
	ps_net_h2_close(P.h);
	P.h = NULL;
	nghttp2_session_del(P.client);
	P.client = NULL;
	for (int i = 0; i < PEER_STREAMS; i++)
		free(P.heard[i].body);
	assert_int_equal(P.server.stats.in_flight, 0);
	assert_int_equal(P.server.stats.buffered_bytes, 0);
	assert_int_equal(P.server.h2.sessions, 0);
	ps_net_shares_fini(&P.server.shares);
	ps_net_h2_service_fini(&P.server.h2);
}

/* --- nghttp2's client --- */

static struct heard *heard_of(int32_t id)
{
	return id > 0 && id < PEER_STREAMS ? &P.heard[id] : NULL;
}

static int heard_header(nghttp2_session *ng, const nghttp2_frame *f, const uint8_t *name,
			size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
			void *user)
{
	struct heard *r = heard_of(f->hd.stream_id);
	(void)ng, (void)flags, (void)user;
	if (!r)
		return 0;
	char *to = f->headers.cat == NGHTTP2_HCAT_RESPONSE ? r->head : r->trailers;
	size_t at = strlen(to);
	snprintf(to + at, PEER_HEADERS - at, "%.*s: %.*s\n", (int)name_len, name, (int)value_len,
		 value);
	return 0;
}

static int heard_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t n,
		      void *user)
{
	struct heard *r = heard_of(id);
	(void)ng, (void)flags, (void)user;
	if (!r)
		return 0;
	if (r->n + n > r->cap) {
		r->cap = 2 * (r->n + n);
		r->body = realloc(r->body, r->cap);
		assert_non_null(r->body);
	}
	memcpy(r->body + r->n, data, n);
	r->n += n;
	return 0;
}

static int heard_frame(nghttp2_session *ng, const nghttp2_frame *f, void *user)
{
	struct heard *r = heard_of(f->hd.stream_id);
	(void)ng, (void)user;
	if (f->hd.type == NGHTTP2_GOAWAY)
		P.goaway = (int)f->goaway.error_code;
	if (f->hd.type == NGHTTP2_SETTINGS)
		P.settled++;
	if (r && (f->hd.type == NGHTTP2_HEADERS || f->hd.type == NGHTTP2_DATA) &&
	    (f->hd.flags & NGHTTP2_FLAG_END_STREAM))
		r->ended = true;
	return 0;
}

static int heard_close(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
	struct heard *r = heard_of(id);
	(void)ng, (void)user;
	if (r) {
		r->closed = true;
		r->code = code;
	}
	return 0;
}

/* A client that has said its preface; `window` of its streams, 0: the default; -1: none, and it
 * opens none by itself. */
static PEER_UNUSED void peer_client(int window)
{
	nghttp2_session_callbacks *c;
	assert_int_equal(nghttp2_session_callbacks_new(&c), 0);
	nghttp2_session_callbacks_set_on_header_callback(c, heard_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, heard_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, heard_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(c, heard_close);
	nghttp2_option *o;
	assert_int_equal(nghttp2_option_new(&o), 0);
	nghttp2_option_set_no_auto_window_update(o, window < 0);
	assert_int_equal(nghttp2_session_client_new2(&P.client, c, NULL, o), 0);
	nghttp2_session_callbacks_del(c);
	nghttp2_option_del(o);
	nghttp2_settings_entry e = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
				    window > 0 ? (uint32_t)window : 0};
	assert_int_equal(nghttp2_submit_settings(P.client, 0, &e, window ? 1 : 0), 0);
	if (window < 0)
		assert_int_equal(nghttp2_submit_window_update(P.client, 0, 0, 1 << 30), 0);
}

/* Server -> client, as far as the socket allows; how many bytes went. */
static size_t peer_flush(void)
{
	struct iovec iov[8];
	size_t total = 0, k;
	while (!P.stuck && P.h && (k = ps_net_h2_output(P.h, iov, 8)) > 0) {
		size_t n = 0, max = P.write_max ? P.write_max : SIZE_MAX;
		for (size_t i = 0; i < k && n < max; i++) {
			size_t part = iov[i].iov_len < max - n ? iov[i].iov_len : max - n;
			if (P.client && !P.client_failed &&
			    nghttp2_session_mem_recv(P.client, iov[i].iov_base, part) !=
				    (ssize_t)part)
				P.client_failed = true;
			n += part;
		}
		ps_net_h2_wrote(P.h, n, P.now_ns);
		total += n;
	}
	return total;
}

/* Both ways until nothing moves. */
static PEER_UNUSED void peer_run(void)
{
	for (bool moved = true; moved;) {
		const uint8_t *bytes;
		ssize_t n = nghttp2_session_mem_send(P.client, &bytes);
		moved = n > 0;
		if (n > 0)
			ps_net_h2_feed(P.h, bytes, (size_t)n, P.now_ns);
		moved |= peer_flush() > 0;
	}
}

/* Time passes; tick comes when the session asked for it. */
static PEER_UNUSED void peer_wait(int64_t ns)
{
	int64_t until_ns = P.now_ns + ns;
	for (int i = 0; i < 1000 && ps_net_h2_deadline_ns(P.h) <= until_ns; i++) {
		if (ps_net_h2_deadline_ns(P.h) > P.now_ns)
			P.now_ns = ps_net_h2_deadline_ns(P.h);
		ps_net_h2_tick(P.h, P.now_ns);
		peer_flush();
	}
	P.now_ns = until_ns;
}

static nghttp2_nv peer_nv(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), 0};
}

/* What a stream of the client still has to say. */
struct saying {
	const char *bytes;
	size_t n, at, step; /* at most `step` bytes in one frame; 0: any */
	bool open;	    /* more may follow: END_STREAM is kept back */
};

static ssize_t say_more(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t length,
			uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct saying *s = source->ptr;
	(void)ng, (void)id, (void)user;
	size_t n = s->n - s->at < length ? s->n - s->at : length;
	if (s->step && n > s->step)
		n = s->step;
	if (n == 0 && s->open)
		return NGHTTP2_ERR_DEFERRED;
	memcpy(buf, s->bytes + s->at, n);
	s->at += n;
	if (s->at == s->n && !s->open)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

/* Submits a request with extra fields {name, value, ..., NULL}; `body` may be NULL. */
static PEER_UNUSED int32_t peer_request(const char *method, const char *path,
					const char *const *fields, struct saying *body)
{
	nghttp2_nv nv[64] = {peer_nv(":method", method), peer_nv(":scheme", "http"),
			     peer_nv(":authority", "h"), peer_nv(":path", path)};
	size_t n = 4;
	for (; fields && fields[0]; fields += 2)
		nv[n++] = peer_nv(fields[0], fields[1]);
	nghttp2_data_provider provider = {{.ptr = body}, say_more};
	int32_t id = nghttp2_submit_request(P.client, NULL, nv, n, body ? &provider : NULL, NULL);
	assert_true(id > 0);
	return id;
}

/* --- frames made by hand --- */

struct raw {
	unsigned char bytes[1 << 20];
	size_t n;
};
static struct raw R;

static const char raw_magic[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static PEER_UNUSED void raw_put(const void *bytes, size_t n)
{
	assert_true(R.n + n <= sizeof R.bytes);
	if (n > 0)
		memcpy(R.bytes + R.n, bytes, n);
	R.n += n;
}

static PEER_UNUSED void raw_frame(int type, int flags, uint32_t id, const void *payload, size_t n)
{
	unsigned char head[9] = {
		(unsigned char)(n >> 16),  (unsigned char)(n >> 8),  (unsigned char)n,
		(unsigned char)type,	   (unsigned char)flags,     (unsigned char)(id >> 24),
		(unsigned char)(id >> 16), (unsigned char)(id >> 8), (unsigned char)id};
	raw_put(head, sizeof head);
	raw_put(payload, n);
}

/* A field as a literal that enters no table; lengths below 127. */
static PEER_UNUSED size_t raw_field(unsigned char *to, const char *name, const char *value)
{
	size_t n = strlen(name), v = strlen(value);
	assert_true(n < 127 && v < 127);
	to[0] = 0;
	to[1] = (unsigned char)n;
	memcpy(to + 2, name, n);
	to[2 + n] = (unsigned char)v;
	memcpy(to + 3 + n, value, v);
	return 3 + n + v;
}

static PEER_UNUSED size_t raw_head(unsigned char *to, const char *method, const char *path)
{
	size_t n = raw_field(to, ":method", method);
	n += raw_field(to + n, ":scheme", "http");
	n += raw_field(to + n, ":path", path);
	return n + raw_field(to + n, ":authority", "h");
}

static PEER_UNUSED void raw_begin(void)
{
	R.n = 0;
	raw_put(raw_magic, sizeof raw_magic - 1);
	raw_frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
}

/* Gives what was built to the session and writes what comes back as "SETTINGS HEADERS:1 ...". */
static PEER_UNUSED const char *raw_talk(void)
{
	static const char *const names[] = {"DATA",	     "HEADERS",	    "PRIORITY", "RST",
					    "SETTINGS",	     "PUSH",	    "PING",	"GOAWAY",
					    "WINDOW_UPDATE", "CONTINUATION"};
	static char text[1 << 16];
	static unsigned char got[1 << 20];
	struct iovec iov[8];
	size_t n = 0, k, at = 0, len = 0;
	ps_net_h2_feed(P.h, R.bytes, R.n, P.now_ns);
	R.n = 0;
	while ((k = ps_net_h2_output(P.h, iov, 8)) > 0) {
		size_t wrote = 0;
		for (size_t i = 0; i < k; i++) {
			assert_true(n + iov[i].iov_len <= sizeof got);
			memcpy(got + n, iov[i].iov_base, iov[i].iov_len);
			n += iov[i].iov_len;
			wrote += iov[i].iov_len;
		}
		ps_net_h2_wrote(P.h, wrote, P.now_ns);
	}
	text[0] = '\0';
	while (at + 9 <= n && len + 64 < sizeof text) {
		const unsigned char *f = got + at;
		size_t payload = (size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2];
		unsigned id =
			(unsigned)f[5] << 24 | (unsigned)f[6] << 16 | (unsigned)f[7] << 8 | f[8];
		const char *name = f[3] < 10 ? names[f[3]] : "?";
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", len ? " " : "",
					name);
		if ((f[3] == NGHTTP2_SETTINGS || f[3] == NGHTTP2_PING) && f[4] & NGHTTP2_FLAG_ACK)
			len += (size_t)snprintf(text + len, sizeof text - len, "+ack");
		if (id)
			len += (size_t)snprintf(text + len, sizeof text - len, ":%u", id);
		if (f[3] == NGHTTP2_RST_STREAM)
			len += (size_t)snprintf(text + len, sizeof text - len, "(%d)", f[12]);
		if (f[3] == NGHTTP2_GOAWAY)
			len += (size_t)snprintf(text + len, sizeof text - len, "(%d)", f[16]);
		at += 9 + payload;
	}
	assert_true(at == n || len + 64 >= sizeof text);
	return text;
}

#endif
