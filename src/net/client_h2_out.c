/* The way out. What calls and messages say in one round of the loop is framed when the round ends
 * and leaves in one write: a system call costs more than the frames of a request. Small runs of
 * bytes are copied beside their frames, large ones go out from where they lie. */
#include "net/client_h2_internal.h"

#include <nghttp2/nghttp2.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	FRAME_BYTES = 16 * 1024 + 9, /* of one frame at most */
	COPY_BYTES = 4 * 1024,	     /* runs up to this are copied */
	FRAME_PIECES = 16,	     /* of one frame: runs over COPY_BYTES, and what is between */
};

bool ps_net_h2c_has_output(const struct ps_net_h2c_session *s)
{
	return !s->mute && s->out.at < s->out.n;
}

/* --- the queue --- */

static bool has_room(const struct ps_net_h2c_out *o)
{
	return o->used + FRAME_BYTES <= PS_NET_H2C_OUT_BYTES &&
	       o->n + FRAME_PIECES <= PS_NET_H2C_OUT_PIECES;
}

static void add_piece(struct ps_net_h2c_out *o, void *at, size_t n)
{
	struct iovec *last = o->n > o->at ? &o->pieces[o->n - 1] : NULL;
	if (last && (char *)last->iov_base + last->iov_len == (char *)at)
		last->iov_len += n;
	else
		o->pieces[o->n++] = (struct iovec){at, n};
	o->queued += n;
}

static void append(struct ps_net_h2c_out *o, const void *bytes, size_t n)
{
	unsigned char *to = o->bytes + o->used;
	memcpy(to, bytes, n);
	o->used += n;
	add_piece(o, to, n);
}

static void take(struct ps_net_h2c_call *k, size_t n)
{
	struct ps_net_h2c_out *o = &k->s->out;
	struct ps_net_h2c_run *r = &k->run;
	r->left -= n;
	while (n > 0) {
		size_t part = r->piece->iov_len - r->skip;
		char *at = (char *)r->piece->iov_base + r->skip;
		if (part == 0) {
			r->piece++;
			r->skip = 0;
			continue;
		}
		if (part > n)
			part = n;
		if (part <= COPY_BYTES) {
			append(o, at, part);
		} else {
			add_piece(o, at, part);
			k->borrowed = true;
		}
		n -= part;
		r->skip += part;
	}
}

static bool is_own(const struct ps_net_h2c_out *o, const struct iovec *p)
{
	const unsigned char *at = p->iov_base;
	return at >= o->bytes && at < o->bytes + sizeof o->bytes;
}

/* Rare: a call ends before its request has left. The bytes are on the wire's account already, so
 * they have to go; from a copy that is kept until the queue is empty. */
static bool copy_borrowed(struct ps_net_h2c_session *s)
{
	struct ps_net_h2c_out *o = &s->out;
	for (size_t i = o->at; i < o->n; i++) {
		struct iovec *p = &o->pieces[i];
		if (is_own(o, p) || p->iov_len == 0)
			continue;
		void *copy = ps_arena_alloc(&s->kept, p->iov_len);
		if (!copy)
			return false;
		memcpy(copy, p->iov_base, p->iov_len);
		p->iov_base = copy;
	}
	return true;
}

static void unlink_call(struct ps_net_h2c_out *o, const struct ps_net_h2c_call *k)
{
	struct ps_net_h2c_call **at = &o->calls, *last = NULL;
	while (*at) {
		if (*at == k) {
			*at = k->next_out;
			continue;
		}
		last = *at;
		at = &last->next_out;
	}
	o->last_call = last;
}

static void unlink_messages(struct ps_net_h2c_out *o, const struct ps_net_h2c_call *k)
{
	struct ps_net_message **at = &o->messages, *last = NULL;
	while (*at) {
		if ((*at)->stream == &k->base) {
			*at = (*at)->next_out;
			continue;
		}
		last = *at;
		at = &last->next_out;
	}
	o->last_message = last;
}

bool ps_net_h2c_out_forget(struct ps_net_h2c_call *k)
{
	struct ps_net_h2c_out *o = &k->s->out;
	bool borrowed = k->borrowed;
	if (k->out)
		unlink_call(o, k);
	if (k->kind == PS_NET_CALL_GRPC_STREAM)
		unlink_messages(o, k);
	k->out = k->borrowed = false;
	return !borrowed || copy_borrowed(k->s);
}

/* --- messages of streams --- */

static void next_message(struct ps_net_h2c_call *k)
{
	struct ps_net_message *m = k->messages;
	struct ps_net_h2c_out *o = &k->s->out;
	m->begin_at = o->queued;
	m->end_at = UINT64_MAX;
	m->next_out = NULL;
	if (o->last_message)
		o->last_message->next_out = m;
	else
		o->messages = m;
	o->last_message = m;
}

/* Puts `n` bytes of the first message into the queue, its prefix before them. */
static void take_message(struct ps_net_h2c_call *k, size_t n)
{
	struct ps_net_message *m = k->messages;
	if (m->prefix_left == sizeof m->prefix)
		next_message(k);
	if (m->prefix_left > 0) {
		size_t part = m->prefix_left < n ? m->prefix_left : n;
		append(&k->s->out, m->prefix + sizeof m->prefix - m->prefix_left, part);
		m->prefix_left -= (unsigned)part;
		n -= part;
		k->run = (struct ps_net_h2c_run){.piece = m->body, .left = m->bytes};
	}
	take(k, n);
	if (m->prefix_left > 0 || k->run.left > 0)
		return;
	m->end_at = k->s->out.queued;
	k->messages = m->next;
	if (!k->messages)
		k->last_message = NULL;
}

static size_t message_left(const struct ps_net_h2c_call *k)
{
	const struct ps_net_message *m = k->messages;
	if (!m)
		return 0;
	return m->prefix_left + (m->prefix_left > 0 ? m->bytes : k->run.left);
}

/* --- what nghttp2 asks --- */

static ssize_t provide(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t max, uint32_t *flags,
		       nghttp2_data_source *source, void *user)
{
	struct ps_net_h2c_call *k = nghttp2_session_get_stream_user_data(ng, id);
	(void)buf, (void)source, (void)user;
	if (!k)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* the call has ended */
	bool stream = k->kind == PS_NET_CALL_GRPC_STREAM;
	size_t left = stream ? message_left(k) : k->run.left;
	if (stream && left == 0 && !k->side_ended) {
		k->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags = NGHTTP2_DATA_FLAG_NO_COPY;
	size_t n = left < max ? left : max;
	if (n == left && (!stream || (k->side_ended && (!k->messages || !k->messages->next))))
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

void ps_net_h2c_set_provider(void *ret_provider)
{
	*(nghttp2_data_provider *)ret_provider = (nghttp2_data_provider){.read_callback = provide};
}

static int on_send_data(nghttp2_session *ng, nghttp2_frame *f, const uint8_t *head, size_t n,
			nghttp2_data_source *source, void *user)
{
	struct ps_net_h2c_session *s = user;
	struct ps_net_h2c_call *k = nghttp2_session_get_stream_user_data(ng, f->hd.stream_id);
	(void)source;
	if (!k)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	append(&s->out, head, 9);
	if (k->kind == PS_NET_CALL_GRPC_STREAM && n > 0)
		take_message(k, n);
	else
		take(k, n);
	return has_room(&s->out) ? 0 : NGHTTP2_ERR_PAUSE;
}

static void begin_leaving(struct ps_net_h2c_call *k)
{
	struct ps_net_h2c_out *o = &k->s->out;
	k->begin_at = o->queued;
	k->end_at = UINT64_MAX;
	k->out = true;
	k->next_out = NULL;
	if (o->last_call)
		o->last_call->next_out = k;
	else
		o->calls = k;
	o->last_call = k;
}

/* Of HEADERS it comes before the frame's bytes, of DATA behind them. */
static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *f, void *user)
{
	struct ps_net_h2c_session *s = user;
	struct ps_net_h2c_call *k;
	if (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA)
		return 0;
	k = nghttp2_session_get_stream_user_data(ng, f->hd.stream_id);
	if (!k)
		return 0;
	if (f->hd.type == NGHTTP2_HEADERS) {
		begin_leaving(k);
		s->framed = f->hd.flags & NGHTTP2_FLAG_END_STREAM ? k : NULL;
	} else if (f->hd.flags & NGHTTP2_FLAG_END_STREAM) {
		k->end_at = s->out.queued;
	}
	return 0;
}

static int on_frame_not_send(nghttp2_session *ng, const nghttp2_frame *f, int error, void *user)
{
	struct ps_net_h2c_call *k;
	(void)error, (void)user;
	if (f->hd.type != NGHTTP2_HEADERS)
		return 0;
	k = nghttp2_session_get_stream_user_data(ng, f->hd.stream_id);
	if (k)
		k->not_sent = true;
	return 0;
}

void ps_net_h2c_out_callbacks(nghttp2_session_callbacks *c)
{
	nghttp2_session_callbacks_set_send_data_callback(c, on_send_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_send);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(c, on_frame_not_send);
}

void ps_net_h2c_resume(struct ps_net_h2c_call *k)
{
	if (!k->deferred)
		return;
	k->deferred = false;
	(void)nghttp2_session_resume_data(k->s->ng, k->id);
}

/* --- writing --- */

static void fill(struct ps_net_h2c_session *s)
{
	const uint8_t *bytes;
	while (!s->doomed && !s->broken && has_room(&s->out)) {
		ssize_t n = nghttp2_session_mem_send(s->ng, &bytes);
		if (n < 0)
			ps_net_h2c_break(s,
					 n == NGHTTP2_ERR_NOMEM ? PS_NET_MEMORY : PS_NET_MALFORMED,
					 nghttp2_strerror((int)n));
		if (n <= 0)
			break;
		append(&s->out, bytes, (size_t)n);
		if (s->framed)
			s->framed->end_at = s->out.queued;
		s->framed = NULL;
	}
}

static void calls_left(struct ps_net_h2c_out *o, int64_t before_ns, int64_t after_ns)
{
	struct ps_net_h2c_call **at = &o->calls, *last = NULL;
	while (*at) {
		struct ps_net_h2c_call *k = *at;
		if (!k->call->sent_ns && o->written > k->begin_at)
			k->call->sent_ns = before_ns;
		if (o->written < k->end_at) {
			last = k;
			at = &k->next_out;
			continue;
		}
		k->call->sent_all_ns = after_ns;
		k->out = k->borrowed = false;
		*at = k->next_out;
	}
	o->last_call = last;
}

static void messages_leave(struct ps_net_h2c_out *o, int64_t before_ns)
{
	for (struct ps_net_message *m = o->messages; m; m = m->next_out)
		if (!m->sent_ns && o->written > m->begin_at)
			m->sent_ns = before_ns;
}

/* Takes one that has left off the list; NULL: none. */
static struct ps_net_message *message_left_queue(struct ps_net_h2c_out *o)
{
	struct ps_net_message *before = NULL, *m = o->messages;
	while (m && o->written < m->end_at) {
		before = m;
		m = m->next_out;
	}
	if (!m)
		return NULL;
	if (before)
		before->next_out = m->next_out;
	else
		o->messages = m->next_out;
	if (o->last_message == m)
		o->last_message = before;
	return m;
}

static void advance(struct ps_net_h2c_session *s, size_t n)
{
	struct ps_net_h2c_out *o = &s->out;
	o->written += n;
	while (n > 0) {
		struct iovec *p = &o->pieces[o->at];
		size_t part = p->iov_len < n ? p->iov_len : n;
		p->iov_base = (char *)p->iov_base + part;
		p->iov_len -= part;
		n -= part;
		o->at += p->iov_len == 0;
	}
	if (o->at == o->n) {
		o->used = o->n = o->at = 0;
		ps_arena_reset(&s->kept);
	}
}

static void wrote(struct ps_net_client *c, struct ps_net_h2c_session *s, size_t n,
		  int64_t before_ns)
{
	struct ps_net_message *m;
	advance(s, n);
	int64_t after_ns = ps_evloop_now_ns(c->loop);
	calls_left(&s->out, before_ns, after_ns);
	messages_leave(&s->out, before_ns);
	while (!s->doomed && (m = message_left_queue(&s->out)) != NULL) {
		m->sent_all_ns = after_ns;
		if (m->on_sent)
			m->on_sent(m);
	}
}

/* False: the socket is full, or broken. */
static bool write_once(struct ps_net_h2c_session *s)
{
	struct ps_net_client *c = s->c;
	struct ps_net_h2c_out *o = &s->out;
	int64_t before_ns;
	int64_t n = ps_net_wire_write(&c->wire, o->pieces + o->at, o->n - o->at, &before_ns);
	if (n == PS_NET_IO_BROKEN) {
		s->mute = true;
		/* The server may have said why before it broke the connection: that is read
		 * first. */
		if (c->wire.error != EPIPE && c->wire.error != ECONNRESET)
			ps_net_client_fail(c, PS_NET_RESET, c->wire.error);
		return false;
	}
	if (n > 0)
		wrote(c, s, (size_t)n, before_ns);
	return !s->doomed && !s->c->wire.full;
}

void ps_net_h2c_flush(struct ps_net_client *c)
{
	struct ps_net_h2c_session *s = c->h2->session;
	if (c->state != PS_NET_OPEN || !s || s->mute)
		return;
	ps_net_h2c_enter(s);
	do
		fill(s);
	while (!s->doomed && s->out.at < s->out.n && write_once(s) && !s->doomed);
	ps_net_h2c_leave(s);
}
