/* What nghttp2 tells of frames that came. Calls may end in here, and whoever is told may do
 * anything: nothing of a call is touched behind that. */
#include "net/client_h2_internal.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

enum {
	HEAD_BOMB = 16, /* times max_header_bytes: from here on the connection ends */
	MAX_FIELDS = 1000,
	CONTINUATIONS = 64, /* of a head; nghttp2 counts pieces in which their first bytes come */
};

static struct ps_net_h2c_call *call_of(nghttp2_session *ng, int32_t id)
{
	return id ? nghttp2_session_get_stream_user_data(ng, id) : NULL;
}

/* What a callback returns: a session that is over stops parsing at once. */
static int verdict(const struct ps_net_h2c_session *s)
{
	return s->doomed || s->broken ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static void end_now(struct ps_net_h2c_call *k, enum ps_net_outcome outcome)
{
	ps_net_h2c_end(k, outcome, 0, k->base.client->wire.read_ns, false);
}

/* --- heads --- */

static bool add_field(struct ps_net_h2c_call *k, struct ps_net_h2c_fields *to, nghttp2_vec name,
		      nghttp2_vec value)
{
	if (to->n == to->cap) {
		size_t cap = to->cap ? 2 * to->cap : 16;
		struct ps_net_header *grown = ps_arena_alloc(&k->arena, cap * sizeof *grown);
		if (!grown)
			return false;
		if (to->n > 0)
			memcpy(grown, to->list, to->n * sizeof *grown);
		to->list = grown;
		to->cap = cap;
	}
	struct ps_net_header *h = &to->list[to->n++];
	h->name = ps_arena_strndup(&k->arena, (const char *)name.base, name.len);
	h->value = ps_arena_strndup(&k->arena, (const char *)value.base, value.len);
	return h->name && h->value;
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *f, void *user)
{
	struct ps_net_h2c_session *s = user;
	s->block_bytes = 0;
	if (f->hd.type == NGHTTP2_PUSH_PROMISE) {
		ps_net_h2c_break(s, PS_NET_MALFORMED,
				 "the server pushes, which it was told not to");
		return verdict(s);
	}
	struct ps_net_h2c_call *k = call_of(ng, f->hd.stream_id);
	if (k)
		ps_net_call_came(s->c, k->call);
	return 0;
}

/* Three digits: nghttp2 has looked. */
static int number_of(nghttp2_vec value)
{
	int v = 0;
	for (size_t i = 0; i < value.len && i < 3; i++)
		v = 10 * v + (value.base[i] - '0');
	return v;
}

static void take_field(struct ps_net_h2c_call *k, nghttp2_vec name, nghttp2_vec value)
{
	struct ps_net_h2c_fields *to = k->head_done ? &k->trailers : &k->headers;
	k->head_bytes += name.len + value.len + 32;
	if (k->head_bytes > k->base.client->o.max_header_bytes || to->n >= MAX_FIELDS) {
		end_now(k, PS_NET_TOO_BIG);
		return;
	}
	if (name.len == 7 && memcmp(name.base, ":status", 7) == 0)
		k->call->http = number_of(value);
	else if (!add_field(k, to, name, value))
		end_now(k, PS_NET_MEMORY);
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *f, nghttp2_rcbuf *name,
		     nghttp2_rcbuf *value, uint8_t flags, void *user)
{
	struct ps_net_h2c_session *s = user;
	nghttp2_vec n = nghttp2_rcbuf_get_buf(name), v = nghttp2_rcbuf_get_buf(value);
	(void)flags;
	s->block_bytes += n.len + v.len + 32;
	if (s->block_bytes / HEAD_BOMB > s->c->o.max_header_bytes)
		ps_net_h2c_break(s, PS_NET_TOO_BIG, "an answer's head is far too large");
	struct ps_net_h2c_call *k = call_of(ng, f->hd.stream_id);
	if (k && !s->broken)
		take_field(k, n, v);
	return verdict(s);
}

/* --- whole answers --- */

static bool lacks_json(const struct ps_net_h2c_call *k)
{
	return !k->head && k->call->answer_json_bytes > (int64_t)k->body.bytes;
}

static void answer_end(struct ps_net_h2c_call *k)
{
	struct ps_net_client *c = k->base.client;
	struct ps_net_call *call = k->call;
	enum ps_net_outcome outcome = PS_NET_OK;
	if (k->kind != PS_NET_CALL_HTTP) {
		call->answer_trailers = k->trailers.list;
		call->n_answer_trailers = k->trailers.n;
		outcome = ps_net_grpc_client_end(k);
	} else if (lacks_json(k)) {
		outcome = PS_NET_MALFORMED;
	}
	if (outcome == PS_NET_OK && k->kind != PS_NET_CALL_GRPC_STREAM) {
		call->answer_body = k->body.data;
		call->answer_bytes = k->body.bytes;
	}
	call->done_kernel_ns = ps_net_client_kernel_ns(c, call->sent_ns);
	/* The server may end its side before all of the request has left: the rest is dropped. */
	ps_net_h2c_end(k, outcome, 0, c->wire.read_ns, k->end_at != UINT64_MAX);
}

/* Whether the call goes on. */
static bool begin_body(struct ps_net_h2c_call *k)
{
	struct ps_net_call *call = k->call;
	size_t max = k->base.client->o.max_body_bytes;
	if (k->kind == PS_NET_CALL_HTTP &&
	    ps_net_json_bytes(k->headers.list, k->headers.n, &call->answer_json_bytes) != PS_OK) {
		end_now(k, PS_NET_MALFORMED);
		return false;
	}
	if (call->answer_json_bytes > (int64_t)max) {
		end_now(k, PS_NET_TOO_BIG);
		return false;
	}
	const char *text = ps_net_header_get(k->headers.list, k->headers.n, "content-length");
	long long length = text && !k->head ? strtoll(text, NULL, 10) : -1;
	enum ps_status s =
		ps_net_body_begin(&k->body, &k->body_arena, length, call->answer_json_bytes, max);
	if (s == PS_OK)
		return true;
	end_now(k, s == PS_ETOOBIG ? PS_NET_TOO_BIG : PS_NET_MEMORY);
	return false;
}

static void head_end(struct ps_net_h2c_call *k, bool last)
{
	struct ps_net_call *call = k->call;
	if (!k->head_done && call->http < 200) { /* the answer is still to come */
		k->headers.n = 0;
		call->http = 0;
		return;
	}
	if (!k->head_done) {
		k->head_done = true;
		call->answer_headers = k->headers.list;
		call->n_answer_headers = k->headers.n;
		if (k->kind != PS_NET_CALL_HTTP)
			ps_net_grpc_client_head(k);
		if (!k->grpc && !begin_body(k))
			return;
	}
	if (last)
		answer_end(k);
}

/* --- frames --- */

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *f, void *user)
{
	struct ps_net_h2c_session *s = user;
	struct ps_net_h2c_call *k = call_of(ng, f->hd.stream_id);
	bool last = f->hd.flags & NGHTTP2_FLAG_END_STREAM;
	switch (f->hd.type) {
	case NGHTTP2_HEADERS:
		if (k)
			head_end(k, last);
		break;
	case NGHTTP2_DATA:
		if (k && last)
			answer_end(k);
		break;
	case NGHTTP2_SETTINGS:
		s->settled = true;
		break;
	case NGHTTP2_GOAWAY:
		s->goaway = true;
		break;
	case NGHTTP2_RST_STREAM:
		if (k)
			k->reset_by_peer = true;
		break;
	default:
		break;
	}
	return verdict(s);
}

static int on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data,
			 size_t n, void *user)
{
	struct ps_net_h2c_session *s = user;
	struct ps_net_h2c_call *k = call_of(ng, id);
	(void)flags;
	if (k && k->grpc) {
		ps_net_grpc_client_data(k, data, n);
	} else if (k) {
		enum ps_status st = ps_net_body_append(&k->body, (const char *)data, n);
		if (st != PS_OK)
			end_now(k, st == PS_ETOOBIG ? PS_NET_TOO_BIG : PS_NET_MEMORY);
	}
	return verdict(s);
}

/* Why a stream has been closed whose answer is not whole. */
static enum ps_net_outcome closed_outcome(const struct ps_net_h2c_call *k, uint32_t code)
{
	if (k->reset_by_peer)
		return code == NGHTTP2_REFUSED_STREAM ? PS_NET_GOAWAY : PS_NET_STREAM;
	if (k->s->goaway && (k->not_sent || code == NGHTTP2_REFUSED_STREAM))
		return PS_NET_GOAWAY;
	return PS_NET_MALFORMED; /* nghttp2 has reset it */
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
	struct ps_net_h2c_session *s = user;
	struct ps_net_h2c_call *k = call_of(ng, id);
	if (!k)
		return 0;
	enum ps_net_outcome outcome = closed_outcome(k, code);
	if (outcome != PS_NET_MALFORMED) {
		k->call->h2_code = code;
		if (k->kind != PS_NET_CALL_HTTP)
			k->call->grpc_status = ps_net_grpc_client_reset(code);
	}
	ps_net_h2c_end(k, outcome, 0, s->c->wire.read_ns, true);
	return verdict(s);
}

/* --- set-up --- */

nghttp2_session_callbacks *ps_net_h2c_callbacks(void)
{
	nghttp2_session_callbacks *c;
	if (nghttp2_session_callbacks_new(&c) != 0)
		return NULL;
	nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback2(c, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
	ps_net_h2c_out_callbacks(c);
	return c;
}

nghttp2_option *ps_net_h2c_option(void)
{
	nghttp2_option *o;
	if (nghttp2_option_new(&o) != 0)
		return NULL;
	nghttp2_option_set_no_closed_streams(o, 1);
	nghttp2_option_set_max_continuations(o, CONTINUATIONS);
	return o;
}
