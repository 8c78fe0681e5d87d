/* client_rig.h - a client, our server and a scripted peer in one thread, on the real clock.
 *
 * The server echoes: HTTP requests as "METHOD PATH BYTES:" and their body, messages of gRPC as they
 * are. The peer is a socket that a test writes bytes to and reads them from. */
#ifndef PS_TESTS_NET_CLIENT_RIG_H
#define PS_TESTS_NET_CLIENT_RIG_H

#include "net/client.h"
#include "net/grpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RIG_UNUSED __attribute__((unused))

enum { RIG_CALLS = 256, RIG_TEXT = 4096 };

/* A call and what came of it. */
struct rig_call {
	struct ps_net_call call; /* first */
	int done;
	char *body;	     /* a copy, NUL-terminated */
	char text[RIG_TEXT]; /* messages of a stream, "a|b|" */
	int messages;
	struct ps_net_arrived last;
};

static struct rig {
	struct ps_evloop *loop;
	struct ps_net_server *server;
	struct ps_net_client *client;
	struct ps_net_client_options o;
	struct rig_call calls[RIG_CALLS];
	int done;
	/* the server's handler */
	struct ps_net_request *held[RIG_CALLS];
	int n_held;
	bool hold;
	int requests, grpc_calls, grpc_gone;
	bool secure, http2;
	char identity[128];
	int64_t grpc_deadline_ns;
	char metadata[256];
	/* the peer */
	int listener, peer; /* -1: none */
	unsigned char got[1 << 20];
	size_t n_got;
} R;

/* --- the server --- */

static void rig_echo(struct ps_net_request *r)
{
	char *text = ps_arena_alloc(r->arena, 512);
	int n = snprintf(text, 512, "%s %s %zu:", r->method, r->path, r->body_bytes);
	struct iovec pieces[] = {{text, (size_t)n}, {r->body, r->body_bytes}};
	struct ps_net_header headers[] = {{"Location", "/elsewhere"}, {"X-Echo", "yes"}};
	struct ps_net_answer a = {.http = strcmp(r->path, "/moved") == 0 ? 302 : 200,
				  .headers = headers,
				  .n_headers = 2,
				  .body = pieces,
				  .n_body = 2};
	ps_net_answer(r, &a);
}

static void rig_on_request(void *ctx, struct ps_net_request *r)
{
	(void)ctx;
	R.requests++;
	R.secure = r->secure;
	R.http2 = r->http_major == 2;
	snprintf(R.identity, sizeof R.identity, "%s", r->identity ? r->identity->common_name : "");
	if (R.hold)
		R.held[R.n_held++] = r;
	else
		rig_echo(r);
}

static enum ps_status rig_on_call(void *ctx, struct ps_net_grpc_call *call, struct ps_error *err)
{
	(void)ctx;
	R.grpc_calls++;
	R.grpc_deadline_ns = call->deadline_ns;
	const char *m = ps_net_header_get(call->headers, call->n_headers, "x-meta");
	snprintf(R.metadata, sizeof R.metadata, "%s", m ? m : "");
	if (strcmp(call->path, "/s/Refused") == 0)
		return ps_error_set(err, PS_EQUOTA, "100%% full\nquota");
	return PS_OK;
}

static void rig_sent(void *ctx, enum ps_status status, int64_t done_ns)
{
	(void)status, (void)done_ns;
	ps_net_grpc_message_free(ctx);
}

static void rig_on_message(void *ctx, struct ps_net_grpc_call *call, struct ps_net_grpc_message *m)
{
	(void)ctx;
	struct iovec piece = {m->data, m->bytes};
	int times = strcmp(call->path, "/s/Twice") == 0 ? 2 : 1;
	if (strcmp(call->path, "/s/Mute") == 0)
		times = 0;
	if (times == 2)
		ps_net_grpc_send(call, &piece, 1, NULL, NULL);
	if (times >= 1)
		ps_net_grpc_send(call, &piece, 1, rig_sent, m);
	else
		ps_net_grpc_message_free(m);
}

static void rig_on_half_close(void *ctx, struct ps_net_grpc_call *call)
{
	(void)ctx;
	static const struct ps_net_header trailer = {"x-after", "all"};
	if (strcmp(call->path, "/s/Never") != 0)
		ps_net_grpc_finish(call, PS_NET_GRPC_OK, NULL, &trailer, 1);
}

static void rig_on_gone(void *ctx, struct ps_net_grpc_call *call, enum ps_status why)
{
	(void)ctx, (void)why;
	R.grpc_gone++;
	ps_net_grpc_finish(call, PS_NET_GRPC_CANCELLED, NULL, NULL, 0);
}

static RIG_UNUSED void rig_serve(struct ps_net_server_options o)
{
	static const struct ps_net_grpc_handler grpc = {.on_call = rig_on_call,
							.on_message = rig_on_message,
							.on_half_close = rig_on_half_close,
							.on_gone = rig_on_gone};
	struct ps_net_handler h = {.on_request = rig_on_request};
	struct ps_error err;
	o.grpc = &grpc;
	if (ps_net_server_open(R.loop, &o, &h, &R.server, &err) != PS_OK)
		fail_msg("%s (%s)", err.what, err.hint);
	ps_net_server_address(R.server, &R.o.address);
}

static RIG_UNUSED void rig_release(void)
{
	for (int i = 0; i < R.n_held; i++)
		rig_echo(R.held[i]);
	R.n_held = 0;
	R.hold = false;
}

/* --- the client --- */

static RIG_UNUSED void rig_client(void)
{
	struct ps_error err;
	if (!R.o.host)
		R.o.host = "localhost:1";
	if (ps_net_client_new(R.loop, &R.o, &R.client, &err) != PS_OK)
		fail_msg("%s (%s)", err.what, err.hint);
}

static RIG_UNUSED void rig_on_done(struct ps_net_call *c)
{
	struct rig_call *k = (struct rig_call *)c;
	k->done++;
	R.done++;
	free(k->body);
	k->body = malloc(c->answer_bytes + 1);
	assert_non_null(k->body);
	if (c->answer_bytes > 0)
		memcpy(k->body, c->answer_body, c->answer_bytes);
	k->body[c->answer_bytes] = '\0';
}

static RIG_UNUSED void rig_on_arrived(struct ps_net_call *c, const struct ps_net_arrived *m)
{
	struct rig_call *k = (struct rig_call *)c;
	size_t at = strlen(k->text);
	k->messages++;
	k->last = *m;
	assert_true(m->bytes == 0 || (uintptr_t)m->data % 64 == 0);
	if (at + m->bytes + 2 < sizeof k->text)
		snprintf(k->text + at, sizeof k->text - at, "%.*s|", (int)m->bytes,
			 m->bytes ? (const char *)m->data : "");
}

/* Call number i, ready to be sent. */
static RIG_UNUSED struct ps_net_call *rig_call(int i, enum ps_net_call_kind kind, const char *path)
{
	struct rig_call *k = &R.calls[i];
	free(k->body);
	*k = (struct rig_call){.call = {.kind = kind,
					.method = "GET",
					.path = path,
					.on_message = rig_on_arrived,
					.on_done = rig_on_done}};
	return &k->call;
}

static RIG_UNUSED void rig_send(struct ps_net_call *c)
{
	struct ps_error err;
	int done = R.done;
	if (ps_net_client_send(R.client, c, &err) != PS_OK)
		fail_msg("%s", err.what);
	assert_int_equal(R.done, done);
}

/* --- the peer --- */

static RIG_UNUSED void rig_listen(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof in;
	R.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(R.listener, (struct sockaddr *)(void *)&in, sizeof in), 0);
	assert_int_equal(listen(R.listener, 8), 0);
	getsockname(R.listener, (struct sockaddr *)(void *)&in, &len);
	R.o.address = (struct ps_net_address){.len = sizeof in};
	memcpy(R.o.address.bytes, &in, sizeof in);
}

/* One round of the loop, and of the peer: it accepts and reads what there is. */
static RIG_UNUSED void rig_turn(void)
{
	assert_int_equal(ps_evloop_run_once(R.loop, PS_NS_PER_MS, NULL), PS_OK);
	if (R.peer < 0 && R.listener >= 0)
		R.peer = accept4(R.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (R.peer < 0)
		return;
	ssize_t n = recv(R.peer, R.got + R.n_got, sizeof R.got - 1 - R.n_got, 0);
	R.n_got += n > 0 ? (size_t)n : 0;
	R.got[R.n_got] = '\0';
}

static RIG_UNUSED void rig_until(const int *count, int want)
{
	for (int i = 0; i < 3000 && *count < want; i++)
		rig_turn();
	if (*count != want)
		fail_msg("waited for %d, got %d", want, *count);
}

static RIG_UNUSED void rig_say(const void *bytes, size_t n)
{
	const char *at = bytes;
	while (n > 0 && R.peer >= 0) {
		ssize_t w = send(R.peer, at, n, MSG_NOSIGNAL);
		if (w < 0 && errno != EAGAIN)
			return;
		at += w > 0 ? w : 0;
		n -= w > 0 ? (size_t)w : 0;
		if (n > 0)
			rig_turn();
	}
}

static RIG_UNUSED void rig_hang_up(bool reset)
{
	struct linger l = {1, 0};
	if (R.peer < 0)
		return;
	if (reset)
		setsockopt(R.peer, SOL_SOCKET, SO_LINGER, &l, sizeof l);
	close(R.peer);
	R.peer = -1;
}

/* --- life --- */

static RIG_UNUSED int rig_setup(void **state)
{
	(void)state;
	memset(&R, 0, sizeof R);
	R.listener = R.peer = -1;
	return ps_evloop_new(NULL, &R.loop, NULL) == PS_OK ? 0 : -1;
}

static RIG_UNUSED int rig_teardown(void **state)
{
	(void)state;
	ps_net_client_free(R.client);
	rig_release();
	ps_net_server_close(R.server);
	ps_evloop_free(R.loop);
	for (int i = 0; i < RIG_CALLS; i++)
		free(R.calls[i].body);
	if (R.peer >= 0)
		close(R.peer);
	if (R.listener >= 0)
		close(R.listener);
	return 0;
}

/* The instants of a call that went well. */
static RIG_UNUSED void rig_check_instants(const struct ps_net_call *c)
{
	assert_true(c->sent_ns > 0 && c->sent_all_ns >= c->sent_ns);
	assert_true(c->reused ? c->connected_ns == 0 : c->connected_ns <= c->sent_ns);
	assert_true(c->first_byte_ns > c->sent_ns && c->done_ns >= c->first_byte_ns);
	assert_true(c->first_byte_kernel_ns == -1 || (c->first_byte_kernel_ns >= c->sent_ns &&
						      c->first_byte_kernel_ns <= c->first_byte_ns));
}

#endif
