/* What goes out: frames and borrowed bytes in one queue, and who is told when they are written.
 *
 * Small things are copied into one buffer, large ones stay where they lie. The queue is refilled
 * while there is room, so that a round of the loop costs one write. An empty queue has no buffer:
 * idle sessions are small. */
#include "net/h2_parts_internal.h"
#include "net/server_internal.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

enum {
	COPY_BYTES = 2048, /* smaller pieces are copied: cheaper than one more piece to write */
	/* What one frame can need: a payload of 16 KiB of pieces, all small, or between two small
	 * ones a large one. */
	FRAME_BYTES = 16 * 1024 + 64,
	FRAME_PIECES = 2 * (16 * 1024 / COPY_BYTES) + 4,
};

/* --- marks --- */

void ps_net_h2_mark_here(struct ps_net_h2 *h, struct ps_net_h2_mark *m, enum ps_status status)
{
	struct ps_net_h2_out *o = &h->out;
	m->next = NULL;
	m->at = o->queued;
	m->status = status;
	m->set = true;
	if (o->last_mark)
		o->last_mark->next = m;
	else
		o->marks = m;
	o->last_mark = m;
}

void ps_net_h2_fire(struct ps_net_h2 *h, bool all)
{
	struct ps_net_h2_out *o = &h->out;
	struct ps_net_h2_mark *m;
	while ((m = o->marks) != NULL && (all || m->at <= o->written)) {
		o->marks = m->next;
		if (!o->marks)
			o->last_mark = NULL;
		m->set = false;
		m->fire(m, m->at <= o->written ? m->status : PS_ECANCELLED, h->now_ns);
	}
}

/* --- the queue --- */

static struct ps_net_h2_buffer *take_buffer(struct ps_net_h2_pool *p)
{
	struct ps_net_h2_buffer *b = p->buffers;
	if (!b)
		return malloc(sizeof *b);
	p->buffers = b->next;
	p->n_buffers--;
	return b;
}

static void give_buffer(struct ps_net_h2 *h)
{
	struct ps_net_h2_pool *p = h->service->pool;
	struct ps_net_h2_buffer *b = h->out.buffer;
	h->out.buffer = NULL;
	h->out.used = h->out.n = h->out.at = 0;
	if (!b)
		return;
	if (p->n_buffers >= PS_NET_H2_POOL_BUFFERS) {
		free(b);
		return;
	}
	b->next = p->buffers;
	p->buffers = b;
	p->n_buffers++;
}

/* What is queued will never be written. */
void ps_net_h2_out_drop(struct ps_net_h2 *h)
{
	for (struct ps_net_h2_mark *m = h->out.marks; m; m = m->next)
		if (m->at > h->out.written)
			m->status = PS_ECANCELLED;
	h->out.written = h->out.queued;
	give_buffer(h);
}

/* Whether one more frame fits. */
static bool has_room(const struct ps_net_h2_out *o)
{
	return o->queued - o->written < PS_NET_H2_OUTPUT_BYTES &&
	       (!o->buffer || (o->used + FRAME_BYTES <= PS_NET_H2_BUFFER_BYTES &&
			       o->n + FRAME_PIECES <= PS_NET_H2_BUFFER_PIECES));
}

static bool ensure_buffer(struct ps_net_h2 *h)
{
	struct ps_net_h2_out *o = &h->out;
	if (o->buffer)
		return true;
	struct ps_net_h2_buffer *buffer = take_buffer(h->service->pool);
	if (!buffer) {
		h->dead = true;
		return false;
	}
	ps_net_h2_pace_begin(&h->pace, h->now_ns);
	ps_net_h2_expect(h, h->now_ns + h->service->server->o.write_timeout_ns);
	o->used = o->n = o->at = 0;
	o->buffer = buffer;
	return true;
}

static void add_piece(struct ps_net_h2_out *o, void *at, size_t n)
{
	struct iovec *last = o->n > o->at ? &o->buffer->pieces[o->n - 1] : NULL;
	if (last && (char *)last->iov_base + last->iov_len == (char *)at)
		last->iov_len += n;
	else
		o->buffer->pieces[o->n++] = (struct iovec){at, n};
	o->queued += n;
}

void ps_net_h2_out_append(struct ps_net_h2 *h, const void *bytes, size_t n)
{
	struct ps_net_h2_out *o = &h->out;
	if (n == 0 || !ensure_buffer(h))
		return;
	/* Only GOAWAY, said in a hurry, is not asked about before: without room it is left out. */
	if (o->used + n > PS_NET_H2_BUFFER_BYTES || o->n >= PS_NET_H2_BUFFER_PIECES)
		return;
	unsigned char *to = o->buffer->bytes + o->used;
	memcpy(to, bytes, n);
	o->used += n;
	add_piece(o, to, n);
}

/* --- sends --- */

static void fire_sent(struct ps_net_h2_mark *m, enum ps_status status, int64_t now_ns)
{
	struct ps_net_h2_send *send = (struct ps_net_h2_send *)m;
	struct ps_net_h2_stream *st = send->stream;
	void (*on_sent)(void *ctx, enum ps_status, int64_t) = send->on_sent;
	void *ctx = send->ctx;
	size_t bytes = 0;
	for (size_t i = 0; i < send->n; i++)
		bytes += send->pieces[i].iov_len;
	st->unwritten_bytes -= bytes;
	if (send->pieces != send->inline_pieces)
		free(send->pieces);
	if (send == &st->first_send)
		st->first_send_used = false;
	else
		free(send);
	if (on_sent)
		on_sent(ctx, status, now_ns);
}

struct ps_net_h2_send *ps_net_h2_send_new(struct ps_net_h2_stream *st, const struct iovec *pieces,
					  size_t n, size_t prefix_bytes)
{
	struct ps_net_h2_send *s = &st->first_send;
	bool own = !st->first_send_used;
	if (!own)
		s = malloc(sizeof *s);
	if (!s)
		return NULL;
	s->pieces = s->inline_pieces;
	if (n + 1 > PS_NET_H2_INLINE_PIECES)
		s->pieces = malloc((n + 1) * sizeof *s->pieces);
	if (!s->pieces) {
		if (!own)
			free(s);
		return NULL;
	}
	if (own)
		st->first_send_used = true;
	s->mark = (struct ps_net_h2_mark){.fire = fire_sent};
	s->stream = st;
	s->next = NULL;
	s->n = s->at = s->left = 0;
	s->on_sent = NULL;
	s->ctx = NULL;
	if (prefix_bytes > 0)
		s->pieces[s->n++] = (struct iovec){s->prefix, prefix_bytes};
	for (size_t i = 0; i < n; i++)
		if (pieces[i].iov_len > 0)
			s->pieces[s->n++] = pieces[i];
	for (size_t i = 0; i < s->n; i++)
		s->left += s->pieces[i].iov_len;
	return s;
}

void ps_net_h2_send_queue(struct ps_net_h2_send *send)
{
	struct ps_net_h2_stream *st = send->stream;
	if (st->last_send)
		st->last_send->next = send;
	else
		st->sends = send;
	st->last_send = send;
	st->unsent_bytes += send->left;
	st->unwritten_bytes += send->left;
}

static void pop_send(struct ps_net_h2_stream *st, enum ps_status status)
{
	struct ps_net_h2_send *send = st->sends;
	st->sends = send->next;
	if (!st->sends)
		st->last_send = NULL;
	ps_net_h2_mark_here(st->h, &send->mark, status);
}

void ps_net_h2_send_cancel_all(struct ps_net_h2_stream *st)
{
	/* Behind what is in the queue already: its bytes are borrowed until they are written. */
	while (st->sends)
		pop_send(st, PS_ECANCELLED);
	st->unsent_bytes = 0;
}

/* The bytes of pieces are counted down by fire_sent in full, so pieces keep their lengths: `at` and
 * `left` alone say what has gone. */
static size_t offset_in_piece(const struct ps_net_h2_send *s)
{
	size_t behind = 0;
	for (size_t i = s->at + 1; i < s->n; i++)
		behind += s->pieces[i].iov_len;
	return s->pieces[s->at].iov_len - (s->left - behind);
}

static void take_from(struct ps_net_h2 *h, struct ps_net_h2_send *s, size_t n)
{
	size_t skip = offset_in_piece(s);
	while (n > 0) {
		const struct iovec *p = &s->pieces[s->at];
		size_t part = p->iov_len - skip;
		char *at = (char *)p->iov_base + skip;
		bool whole = part <= n;
		if (!whole)
			part = n;
		if (part <= COPY_BYTES)
			ps_net_h2_out_append(h, at, part);
		else if (ensure_buffer(h))
			add_piece(&h->out, at, part);
		s->left -= part;
		n -= part;
		skip = 0;
		s->at += whole;
	}
}

void ps_net_h2_out_take(struct ps_net_h2_stream *st, size_t n)
{
	ps_net_h2_pace_moved(&st->pace, n, st->h->now_ns);
	st->unsent_bytes -= n;
	if (st->unsent_bytes == 0 && !st->all_said)
		st->pace.began_ns = 0;
	while (n > 0) {
		struct ps_net_h2_send *s = st->sends;
		size_t part = s->left < n ? s->left : n;
		take_from(st->h, s, part);
		n -= part;
		if (s->left == 0) /* without memory for the queue it is not in it */
			pop_send(st, st->h->dead ? PS_ECANCELLED : PS_OK);
	}
}

bool ps_net_h2_has_room(const struct ps_net_h2 *h)
{
	return has_room(&h->out);
}

/* --- what the connection asks --- */

static void fill(struct ps_net_h2 *h)
{
	const uint8_t *bytes;
	ssize_t n;
	while (!h->dead && has_room(&h->out)) {
		n = nghttp2_session_mem_send(h->ng, &bytes);
		if (n < 0)
			ps_net_h2_die(h, NGHTTP2_INTERNAL_ERROR);
		if (n <= 0)
			break;
		ps_net_h2_out_append(h, bytes, (size_t)n);
	}
}

size_t ps_net_h2_output(struct ps_net_h2 *h, struct iovec *iov, size_t max)
{
	struct ps_net_h2_out *o = &h->out;
	if (h->closed)
		return 0;
	h->woken = true;
	ps_net_h2_enter(h);
	if (!o->buffer)
		h->now_ns = h->carrier.now_ns(h->carrier.ctx);
	fill(h);
	ps_net_h2_fire(h, false); /* of streams that were reset just now; who may say more */
	if (!o->buffer)
		fill(h);
	size_t n = 0;
	while (n < max && o->buffer && o->at + n < o->n) {
		iov[n] = o->buffer->pieces[o->at + n];
		n++;
	}
	ps_net_h2_leave(h);
	h->woken = n > 0; /* then wrote follows, and output is asked again */
	return n;
}

void ps_net_h2_wrote(struct ps_net_h2 *h, size_t n, int64_t now_ns)
{
	struct ps_net_h2_out *o = &h->out;
	if (n == 0 || h->closed)
		return;
	h->now_ns = now_ns;
	ps_net_h2_pace_moved(&h->pace, n, now_ns);
	o->written += n;
	while (n > 0) {
		struct iovec *p = &o->buffer->pieces[o->at];
		size_t part = p->iov_len < n ? p->iov_len : n;
		p->iov_base = (char *)p->iov_base + part;
		p->iov_len -= part;
		n -= part;
		o->at += p->iov_len == 0;
	}
	if (o->at == o->n)
		give_buffer(h);
	ps_net_h2_enter(h);
	ps_net_h2_leave(h); /* tells those whose bytes are written */
}
