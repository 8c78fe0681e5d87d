/* Answers: building the head, writing, and what comes after. */
#include "net/server_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* A client that sends no more may still have requests waiting in the input buffer. */
static bool ends_after(const struct ps_net_conn *c)
{
	return c->close_after || (c->eof && c->in_at >= c->in_len);
}

static void put_head(struct ps_net_conn *c, int http, const struct ps_net_header *headers,
		     size_t n_headers, size_t body_bytes)
{
	struct ps_strbuf *h = &c->out.head;
	ps_strbuf_clear(h);
	ps_strbuf_printf(h, "HTTP/1.1 %d %s\r\n", http, ps_net_reason(http));
	if (c->server->o.server_name)
		ps_strbuf_printf(h, "Server: %s\r\n", c->server->o.server_name);
	for (size_t i = 0; i < n_headers; i++)
		if (ps_net_text_is_plain(headers[i].name) && ps_net_text_is_plain(headers[i].value))
			ps_strbuf_printf(h, "%s: %s\r\n", headers[i].name, headers[i].value);
	ps_strbuf_printf(h, "Content-Length: %zu\r\nConnection: %s\r\n\r\n", body_bytes,
			 ends_after(c) ? "close" : "keep-alive");
}

/* The next request may begin in the bytes that were read already. */
static void next_request(struct ps_net_conn *c)
{
	ps_arena_reset(&c->arena);
	c->request = (struct ps_net_request){.first_byte_ns = c->read_ns};
	c->body = (struct ps_net_body){0};
	c->head_request = c->keep_alive = false;
	ps_net_conn_enter(c, PS_NET_CONN_IDLE);
	/* Inside on_request the loop of ps_net_conn_process goes on by itself. */
	if (c->depth <= 1)
		ps_net_conn_process(c);
}

static void end_request(struct ps_net_conn *c, enum ps_status status, int64_t now_ns)
{
	struct ps_net_server *s = c->server;
	bool owed = c->owed;
	if (owed && c->on_done)
		c->on_done(c->on_done_ctx, &c->request, status, now_ns);
	c->on_done = NULL;
	c->owed = false;
	s->stats.in_flight -= owed;
	s->stats.buffered_bytes -= c->buffered_bytes;
	c->buffered_bytes = 0;
	c->direct = false;
	if (status == PS_OK && owed)
		s->stats.answered++;
}

void ps_net_conn_abandon(struct ps_net_conn *c)
{
	if (c->owed)
		c->server->stats.gone++;
	end_request(c, PS_ECANCELLED, ps_evloop_now_ns(c->server->loop));
}

/* Says that no more will come, and reads what the client still sends: closing at once would let
 * the kernel reset the connection and throw away the answer on its way. */
static void linger(struct ps_net_conn *c)
{
	if (c->eof || shutdown(c->watch.fd, SHUT_WR) != 0) {
		ps_net_conn_close(c);
		return;
	}
	c->in_at = c->in_len = 0;
	ps_net_conn_enter(c, PS_NET_CONN_LINGER);
}

void ps_net_conn_write(struct ps_net_conn *c)
{
	int64_t n = ps_net_out_write(&c->out, c->watch.fd);
	if (n < 0) {
		ps_net_conn_close(c);
		return;
	}
	if (c->out.left > 0) {
		if (n > 0)
			ps_net_conn_enter(c, PS_NET_CONN_WRITE); /* progress: a new deadline */
		return;
	}
	end_request(c, PS_OK, ps_evloop_now_ns(c->server->loop));
	if (ends_after(c))
		linger(c);
	else
		next_request(c);
}

static void begin_write(struct ps_net_conn *c, int http, const struct ps_net_header *headers,
			size_t n_headers, const struct iovec *body, size_t n_body)
{
	size_t bytes = 0;
	for (size_t i = 0; i < n_body; i++)
		bytes += body[i].iov_len;
	put_head(c, http, headers, n_headers, bytes);
	ps_net_conn_enter(c, PS_NET_CONN_WRITE);
	if (ps_net_out_set(&c->out, body, c->head_request ? 0 : n_body) != PS_OK)
		ps_net_conn_close(c);
	else
		ps_net_conn_write(c);
}

void ps_net_answer(struct ps_net_request *r, const struct ps_net_answer *answer)
{
	struct ps_net_conn *c = (struct ps_net_conn *)r;
	ps_net_conn_hold(c);
	c->on_done = answer->on_done;
	c->on_done_ctx = answer->ctx;
	if (c->state == PS_NET_CONN_CLOSED) {
		end_request(c, PS_ECANCELLED, ps_evloop_now_ns(c->server->loop));
	} else {
		c->close_after |= answer->close || !c->keep_alive || c->server->draining;
		begin_write(c, answer->http, answer->headers, answer->n_headers, answer->body,
			    answer->n_body);
	}
	ps_net_conn_release(c);
}

/* {"error": "..."} in the request's arena, or NULL. */
static char *error_body(struct ps_arena *arena, const char *text)
{
	struct ps_strbuf b;
	ps_strbuf_init(&b);
	ps_strbuf_puts(&b, "{\"error\":");
	ps_net_json_text(&b, text);
	ps_strbuf_putc(&b, '}');
	char *copy = ps_strbuf_status(&b) == PS_OK ? ps_arena_strndup(arena, b.data, b.len) : NULL;
	ps_strbuf_fini(&b);
	return copy;
}

static const struct ps_net_header json_type = {"Content-Type", "application/json"};

void ps_net_answer_error(struct ps_net_request *r, const struct ps_error *e,
			 const struct ps_net_header *headers, size_t n_headers,
			 void (*on_done)(void *ctx, struct ps_net_request *r, enum ps_status status,
					 int64_t done_ns),
			 void *ctx)
{
	enum { MAX = 16 };
	struct ps_net_header all[MAX] = {json_type};
	size_t n = n_headers < MAX - 1 ? n_headers : MAX - 1;
	if (n > 0)
		memcpy(all + 1, headers, n * sizeof *headers);
	struct ps_error said = *e;
	char text[sizeof said.what + sizeof said.hint + 8];
	said.where[0] = '\0';
	ps_error_format(&said, text, sizeof text);
	static char short_body[] = "{\"error\":\"out of memory\"}";
	char *body = error_body(r->arena, text);
	if (!body)
		body = short_body;
	struct iovec piece = {body, strlen(body)};
	struct ps_net_answer a = {
		.http = ps_status_get(e->status)->http,
		.headers = all,
		.n_headers = n + 1,
		.body = &piece,
		.n_body = 1,
		.on_done = on_done,
		.ctx = ctx,
	};
	ps_net_answer(r, &a);
}

void ps_net_conn_refuse(struct ps_net_conn *c, int http, const char *text)
{
	static char short_body[] = "{\"error\":\"out of memory\"}";
	c->server->stats.refused++;
	c->close_after = true;
	c->keep_alive = false;
	c->direct = false;
	char *body = error_body(&c->arena, text);
	if (!body)
		body = short_body;
	struct iovec piece = {body, strlen(body)};
	begin_write(c, http, &json_type, 1, &piece, 1);
}
