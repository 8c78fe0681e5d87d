/* Answers of HTTP/1.1: building the head, writing, and what comes after. */
#include "net/server_internal.h"

#include <string.h>
#include <sys/socket.h>

/* A client that sends no more may still have requests waiting in the input buffer. */
static bool ends_after(const struct ps_net_conn *c)
{
	return c->close_after || (c->eof && c->h1->in_at >= c->h1->in_len);
}

/* --- the head --- */

static void put_number(struct ps_strbuf *h, size_t v)
{
	char digits[24];
	size_t at = sizeof digits;
	do
		digits[--at] = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	ps_strbuf_append(h, digits + at, sizeof digits - at);
}

#define PUT(h, literal) ps_strbuf_append(h, "" literal, sizeof(literal) - 1)

/* "HTTP/1.1 200 OK" and Server are written once, when the server opens. */
static void put_start(struct ps_strbuf *h, const struct ps_net_server *s, int http)
{
	if (http == 200) {
		ps_strbuf_append(h, s->prefix, s->prefix_bytes);
		return;
	}
	ps_strbuf_printf(h, "HTTP/1.1 %d %s\r\n", http, ps_net_reason(http));
	ps_strbuf_append(h, s->prefix + s->prefix_bytes - s->server_header_bytes,
			 s->server_header_bytes);
}

static void put_header(struct ps_strbuf *h, const struct ps_net_header *x)
{
	size_t name = strlen(x->name), value = strlen(x->value);
	if (!ps_net_bytes_are_plain(x->name, name) || !ps_net_bytes_are_plain(x->value, value))
		return;
	ps_strbuf_append(h, x->name, name);
	PUT(h, ": ");
	ps_strbuf_append(h, x->value, value);
	PUT(h, "\r\n");
}

static void put_head(struct ps_net_conn *c, const struct ps_net_answer *a, size_t body_bytes)
{
	struct ps_strbuf *h = &c->h1->out.head;
	ps_strbuf_clear(h);
	put_start(h, c->server, a->http);
	for (size_t i = 0; i < a->n_headers; i++)
		put_header(h, &a->headers[i]);
	PUT(h, "Content-Length: ");
	put_number(h, body_bytes);
	if (ends_after(c))
		PUT(h, "\r\nConnection: close\r\n\r\n");
	else
		PUT(h, "\r\nConnection: keep-alive\r\n\r\n");
}

/* --- the end of an answer --- */

/* The next request may begin in the bytes that were read already. */
static void next_request(struct ps_net_conn *c, int64_t now_ns)
{
	struct ps_net_h1 *h = c->h1;
	ps_net_exchange_reset(&h->x);
	h->refused.http = 0;
	ps_net_conn_enter(c, PS_NET_CONN_IDLE, now_ns);
	/* Inside on_request the loop of ps_net_h1_process goes on by itself. */
	if (c->depth <= 1)
		ps_net_h1_process(c);
}

/* Says that no more will come, and reads what the client still sends: closing at once would let
 * the kernel reset the connection and throw away the answer on its way. */
static void linger(struct ps_net_conn *c, int64_t now_ns)
{
	if (c->eof || !ps_net_transport_shutdown(&c->transport)) {
		ps_net_conn_close(c);
		return;
	}
	c->h1->in_at = c->h1->in_len = 0;
	ps_net_conn_enter(c, PS_NET_CONN_LINGER, now_ns);
}

/* Writes until all is written (true), or the socket is full or broken. */
static bool write_out(struct ps_net_conn *c)
{
	struct ps_net_h1 *h = c->h1;
	struct ps_net_out *o = &h->out;
	while (o->left > 0) {
		int64_t n = ps_net_conn_writev(c, o->pieces + o->at, o->n - o->at);
		if (n < 0)
			ps_net_conn_close(c);
		if (n <= 0)
			return false;
		ps_net_out_wrote(o, (size_t)n);
		h->written_bytes += (size_t)n;
		if (o->left > 0)
			h->progress_ns = ps_evloop_now_ns(c->server->loop);
	}
	return true;
}

void ps_net_h1_write(struct ps_net_conn *c)
{
	if (!write_out(c))
		return;
	int64_t now_ns = ps_evloop_now_ns(c->server->loop);
	bool ends = ends_after(c);
	ps_net_exchange_done(&c->h1->x, PS_OK, now_ns);
	if (c->state == PS_NET_CONN_CLOSED)
		return; /* on_done closed the server */
	if (ends)
		linger(c, now_ns);
	else
		next_request(c, now_ns);
}

/* --- the beginning --- */

static void begin_write(struct ps_net_conn *c, const struct ps_net_answer *a)
{
	struct ps_net_h1 *h = c->h1;
	size_t bytes = 0;
	for (size_t i = 0; i < a->n_body; i++)
		bytes += a->body[i].iov_len;
	put_head(c, a, bytes);
	h->written_bytes = 0;
	ps_net_conn_enter(c, PS_NET_CONN_WRITE, c->read_ns);
	if (ps_net_out_set(&h->out, a->body, h->head_request ? 0 : a->n_body) != PS_OK)
		ps_net_conn_close(c);
	else
		ps_net_h1_write(c);
	/* The clock is read only for those that the socket did not take at once. */
	if (c->state == PS_NET_CONN_WRITE)
		ps_net_conn_enter(c, PS_NET_CONN_WRITE, ps_evloop_now_ns(c->server->loop));
}

void ps_net_h1_answer(struct ps_net_exchange *x, const struct ps_net_answer *answer)
{
	struct ps_net_h1 *h = (struct ps_net_h1 *)x;
	struct ps_net_conn *c = h->conn;
	ps_net_conn_hold(c);
	ps_net_exchange_taken(x, answer);
	if (c->state == PS_NET_CONN_CLOSED) {
		ps_net_exchange_done(x, PS_ECANCELLED, ps_evloop_now_ns(c->server->loop));
	} else {
		c->close_after |= answer->close || !h->keep_alive || c->server->draining;
		begin_write(c, answer);
	}
	ps_net_conn_release(c);
}

void ps_net_h1_refuse(struct ps_net_conn *c, const struct ps_net_refused *why, bool keep)
{
	struct ps_net_refusal_parts parts;
	struct ps_net_answer answer;
	ps_net_conn_hold(c);
	ps_net_exchange_refusal(&c->h1->x, why, &parts, &answer);
	c->close_after |= !keep || c->server->draining;
	c->h1->direct = false;
	begin_write(c, &answer);
	ps_net_conn_release(c);
}

void ps_net_h1_refuse_text(struct ps_net_conn *c, int http, const char *text)
{
	struct ps_net_refused why = {.http = http, .text = text};
	ps_net_h1_refuse(c, &why, false);
}
