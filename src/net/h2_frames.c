/* What nghttp2 tells of frames that came and went. */
#include "net/h2_parts_internal.h"
#include "net/server_internal.h"

#include <nghttp2/nghttp2.h>

enum {
	SMALL_DATA = 256, /* a DATA frame of fewer bytes that is not the last costs a credit */
	BYTES_PER_CREDIT = 1024, /* of payload, either way, earn one back */
};

bool ps_net_h2_spend(struct ps_net_h2 *h, struct ps_net_h2_credits *c)
{
	if (ps_net_h2_credits_take(c, h->now_ns))
		return true;
	ps_net_h2_die(h, NGHTTP2_ENHANCE_YOUR_CALM);
	return false;
}

/* What a callback returns: a dead session stops parsing at once. */
static int verdict(const struct ps_net_h2 *h)
{
	return h->dead ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static void earn_bytes(struct ps_net_h2 *h, size_t n)
{
	h->earned_bytes += (int64_t)n;
	if (h->earned_bytes < BYTES_PER_CREDIT)
		return;
	ps_net_h2_credits_earn(&h->control, h->earned_bytes / BYTES_PER_CREDIT * 1000);
	h->earned_bytes %= BYTES_PER_CREDIT;
}

/* --- every frame --- */

static bool costs_a_credit(const nghttp2_frame_hd *hd)
{
	switch (hd->type) {
	case NGHTTP2_DATA:
		return hd->length < SMALL_DATA && !(hd->flags & NGHTTP2_FLAG_END_STREAM);
	case NGHTTP2_HEADERS:
	case NGHTTP2_RST_STREAM: /* has credits of its own */
		return false;
	case NGHTTP2_PING:
	case NGHTTP2_SETTINGS:
		return !(hd->flags & NGHTTP2_FLAG_ACK);
	default:
		return true;
	}
}

static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *user)
{
	struct ps_net_h2 *h = user;
	(void)ng;
	if (costs_a_credit(hd))
		(void)ps_net_h2_spend(h, &h->control);
	return verdict(h);
}

/* --- heads --- */

static bool begins_request(const nghttp2_frame *f)
{
	return f->hd.type == NGHTTP2_HEADERS && f->headers.cat == NGHTTP2_HCAT_REQUEST;
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *f, void *user)
{
	struct ps_net_h2 *h = user;
	h->in_head = f->hd.stream_id;
	h->head_bytes = 0;
	h->head_began_ns = h->now_ns;
	ps_net_h2_expect(h, h->now_ns + h->service->server->o.head_timeout_ns);
	if (!begins_request(f))
		return 0;
	struct ps_net_h2_stream *st = ps_net_h2_stream_new(h, f->hd.stream_id);
	if (!st || nghttp2_session_set_stream_user_data(ng, f->hd.stream_id, st) != 0)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	return 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *f, nghttp2_rcbuf *name,
		     nghttp2_rcbuf *value, uint8_t flags, void *user)
{
	struct ps_net_h2 *h = user;
	(void)flags;
	nghttp2_vec n = nghttp2_rcbuf_get_buf(name), v = nghttp2_rcbuf_get_buf(value);
	h->head_bytes += n.len + v.len + 32;
	if (h->head_bytes > PS_NET_H2_HEAD_BOMB * h->service->server->o.max_header_bytes) {
		ps_net_h2_die(h, NGHTTP2_ENHANCE_YOUR_CALM);
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	if (!begins_request(f)) /* trailers of a request mean nothing here */
		return 0;
	struct ps_net_h2_stream *st = nghttp2_session_get_stream_user_data(ng, f->hd.stream_id);
	if (st && !ps_net_h2_field(st, (const char *)n.base, n.len,
				   nghttp2_rcbuf_is_static(name) != 0, (const char *)v.base, v.len))
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	return 0;
}

/* A field that nghttp2 leaves out would let the head mean something else to us than to others. */
static int on_invalid_header(nghttp2_session *ng, const nghttp2_frame *f, const uint8_t *name,
			     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
			     void *user)
{
	struct ps_net_h2 *h = user;
	(void)ng, (void)f, (void)name, (void)value, (void)flags;
	h->head_bytes += name_len + value_len + 32;
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void on_head_frame(struct ps_net_h2 *h, const nghttp2_frame *f, struct ps_net_h2_stream *st)
{
	h->in_head = 0;
	if (!st)
		return;
	st->depth++;
	if (f->hd.flags & NGHTTP2_FLAG_END_STREAM)
		st->input_ended = true;
	if (begins_request(f))
		ps_net_h2_head_complete(st);
	if (f->hd.flags & NGHTTP2_FLAG_END_STREAM)
		ps_net_h2_stream_input_end(st);
	st->depth--;
	ps_net_h2_stream_settle(st);
}

/* --- other frames --- */

static void on_data_frame(struct ps_net_h2 *h, const nghttp2_frame *f, struct ps_net_h2_stream *st)
{
	/* Its length has passed for useful before the padding was known. */
	bool padded = f->hd.length >= SMALL_DATA && f->hd.length - f->data.padlen < SMALL_DATA;
	if (padded && !(f->hd.flags & NGHTTP2_FLAG_END_STREAM))
		(void)ps_net_h2_spend(h, &h->control);
	if (st && (f->hd.flags & NGHTTP2_FLAG_END_STREAM))
		ps_net_h2_stream_input_end(st);
}

static void on_ping(struct ps_net_h2 *h, const nghttp2_frame *f)
{
	if ((f->hd.flags & NGHTTP2_FLAG_ACK) && h->draining && !h->goaway_sent)
		ps_net_h2_goaway(h);
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *f, void *user)
{
	struct ps_net_h2 *h = user;
	struct ps_net_h2_stream *st =
		f->hd.stream_id ? nghttp2_session_get_stream_user_data(ng, f->hd.stream_id) : NULL;
	switch (f->hd.type) {
	case NGHTTP2_HEADERS:
		on_head_frame(h, f, st);
		break;
	case NGHTTP2_DATA:
		on_data_frame(h, f, st);
		break;
	case NGHTTP2_SETTINGS:
		h->settled = true;
		break;
	case NGHTTP2_RST_STREAM:
		(void)ps_net_h2_spend(h, &h->resets);
		break;
	case NGHTTP2_PING:
		on_ping(h, f);
		break;
	default:
		break;
	}
	return verdict(h);
}

static int on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data,
			 size_t n, void *user)
{
	struct ps_net_h2 *h = user;
	struct ps_net_h2_stream *st = nghttp2_session_get_stream_user_data(ng, id);
	(void)flags;
	earn_bytes(h, n);
	/* The connection's window is for all streams: one that is held back must not hold others.
	 */
	if (nghttp2_session_consume_connection(ng, n) != 0)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (st)
		ps_net_h2_stream_data(st, data, n);
	return verdict(h);
}

/* A frame that breaks the rules makes the library reset the stream: that is work as well. */
static int on_invalid_frame(nghttp2_session *ng, const nghttp2_frame *f, int error, void *user)
{
	struct ps_net_h2 *h = user;
	(void)ng, (void)error;
	if (f->hd.type == NGHTTP2_HEADERS)
		h->in_head = 0;
	(void)ps_net_h2_spend(h, &h->resets);
	return verdict(h);
}

static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *f, void *user)
{
	struct ps_net_h2 *h = user;
	struct ps_net_h2_stream *st;
	switch (f->hd.type) {
	case NGHTTP2_HEADERS:
	case NGHTTP2_DATA:
		st = nghttp2_session_get_stream_user_data(ng, f->hd.stream_id);
		if (st && (f->hd.flags & NGHTTP2_FLAG_END_STREAM))
			ps_net_h2_stream_ended(st);
		break;
	case NGHTTP2_RST_STREAM:
		if (f->hd.stream_id == h->in_head)
			h->in_head = 0;
		if (f->rst_stream.error_code == NGHTTP2_PROTOCOL_ERROR ||
		    f->rst_stream.error_code == NGHTTP2_STREAM_CLOSED ||
		    f->rst_stream.error_code == NGHTTP2_FLOW_CONTROL_ERROR)
			(void)ps_net_h2_spend(h, &h->resets);
		break;
	default:
		break;
	}
	return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
	struct ps_net_h2_stream *st = nghttp2_session_get_stream_user_data(ng, id);
	(void)code, (void)user;
	if (!st)
		return 0;
	st->depth++;
	ps_net_h2_stream_closed(st);
	st->depth--;
	ps_net_h2_stream_settle(st);
	return 0;
}

/* DATA goes out from where it lies. */
static int on_send_data(nghttp2_session *ng, nghttp2_frame *f, const uint8_t *head, size_t n,
			nghttp2_data_source *source, void *user)
{
	struct ps_net_h2 *h = user;
	(void)ng, (void)f;
	ps_net_h2_out_append(h, head, 9);
	ps_net_h2_out_take(source->ptr, n);
	earn_bytes(h, n);
	return ps_net_h2_has_room(h) ? 0 : NGHTTP2_ERR_PAUSE;
}

/* --- set-up --- */

nghttp2_session_callbacks *ps_net_h2_callbacks(void)
{
	nghttp2_session_callbacks *c;
	if (nghttp2_session_callbacks_new(&c) != 0)
		return NULL;
	nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback2(c, on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback(c, on_invalid_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data_chunk);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(c, on_invalid_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_send);
	nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
	nghttp2_session_callbacks_set_send_data_callback(c, on_send_data);
	return c;
}

nghttp2_option *ps_net_h2_option(void)
{
	nghttp2_option *o;
	if (nghttp2_option_new(&o) != 0)
		return NULL;
	nghttp2_option_set_no_auto_window_update(o, 1);
	nghttp2_option_set_no_closed_streams(o, 1);
	nghttp2_option_set_max_continuations(o, PS_NET_H2_CONTINUATIONS);
	/* Resets are counted here, with a clock of ours: the library's own count only backs it up.
	 */
	nghttp2_option_set_stream_reset_rate_limit(o, 1000000, 1000000);
	return o;
}
