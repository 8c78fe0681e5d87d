/* h2_common.h - a session of the server without a socket, with handlers that do a bit of all. */
#ifndef PS_TESTS_H2_COMMON_H
#define PS_TESTS_H2_COMMON_H

#include "fuzz/fuzz.h"
#include "net/h2_internal.h"
#include "net/server_internal.h"

#include <string.h>

enum { FUZZ_KEEP = 64 };

/* What handlers do is said by the first byte of the input. */
enum {
	FUZZ_LATER = 1,	  /* answers come when the client has said all */
	FUZZ_PARTIAL = 2, /* the socket takes little at once */
	FUZZ_SLOW = 4,	  /* seconds pass between reads */
	FUZZ_REFUSE = 8,  /* heads are refused */
	FUZZ_EARLY = 16,  /* calls end at their first message */
	FUZZ_DRAIN = 32,  /* draining begins in the middle */
	FUZZ_DEAF = 64,	  /* the client reads nothing */
	FUZZ_LEAVE = 128, /* the client ends its side before the end */
};

static struct h2_fuzz {
	struct ps_net_server server;
	struct ps_net_h2 *h;
	int64_t now_ns;
	unsigned does;
	struct ps_net_request *requests[FUZZ_KEEP];
	struct ps_net_grpc_call *calls[FUZZ_KEEP];
	int n_requests, n_calls;
	int owed_requests, owed_calls, held;
	bool closed;
} F;

static void h2_fuzz_wake(void *ctx)
{
	(void)ctx;
	MUST(!F.closed);
}

static int64_t h2_fuzz_now(void *ctx)
{
	(void)ctx;
	MUST(!F.closed);
	return F.now_ns;
}

static void h2_fuzz_done(void *ctx, struct ps_net_request *r, enum ps_status status,
			 int64_t done_ns)
{
	(void)ctx, (void)r, (void)status, (void)done_ns;
	F.owed_requests--;
	MUST(F.owed_requests >= 0);
}

static void h2_fuzz_answer(struct ps_net_request *r)
{
	struct iovec pieces[2] = {{r->body, r->body_bytes}, {(char *)r->path, strlen(r->path)}};
	struct ps_net_answer a = {.http = 200,
				  .headers = r->headers,
				  .n_headers = r->n_headers,
				  .body = pieces,
				  .n_body = 2,
				  .compress = true,
				  .on_done = h2_fuzz_done};
	ps_net_answer(r, &a);
}

static enum ps_status h2_fuzz_head(void *ctx, struct ps_net_request *r, struct ps_error *err)
{
	(void)ctx;
	MUST(r->path && r->query && r->method && r->peer);
	for (size_t i = 0; i < r->n_headers; i++) {
		MUST(r->headers[i].name[0] != ':');
		MUST(!strpbrk(r->headers[i].value, "\r\n"));
	}
	return F.does & FUZZ_REFUSE ? ps_error_set(err, PS_EQUOTA, "no") : PS_OK;
}

static void h2_fuzz_request(void *ctx, struct ps_net_request *r)
{
	(void)ctx;
	F.owed_requests++;
	MUST(r->body_bytes <= F.server.o.max_body_bytes);
	MUST(r->json_bytes <= (int64_t)r->body_bytes);
	if (F.does & FUZZ_LATER && F.n_requests < FUZZ_KEEP)
		F.requests[F.n_requests++] = r;
	else
		h2_fuzz_answer(r);
}

static void h2_fuzz_request_gone(void *ctx, struct ps_net_request *r)
{
	(void)ctx;
	MUST(r->gone && F.owed_requests > 0);
}

static enum ps_status h2_fuzz_call(void *ctx, struct ps_net_grpc_call *call, struct ps_error *err)
{
	(void)ctx;
	if (F.does & FUZZ_REFUSE || F.n_calls == FUZZ_KEEP)
		return ps_error_set(err, PS_EQUOTA, "no");
	call->max_quiet_ns = F.does & FUZZ_SLOW ? 3 * PS_NS_PER_SEC : 0;
	F.calls[F.n_calls++] = call;
	F.owed_calls++;
	return PS_OK;
}

static void h2_fuzz_finish(struct ps_net_grpc_call *call)
{
	for (int i = 0; i < F.n_calls; i++) {
		if (F.calls[i] != call)
			continue;
		F.calls[i] = F.calls[--F.n_calls];
		ps_net_grpc_finish(call, PS_NET_GRPC_UNKNOWN, "over\n", call->headers,
				   call->n_headers);
		return;
	}
}

static void h2_fuzz_sent(void *ctx, enum ps_status status, int64_t done_ns)
{
	(void)status, (void)done_ns;
	F.held--;
	ps_net_grpc_message_free(ctx);
}

static void h2_fuzz_message(void *ctx, struct ps_net_grpc_call *call, struct ps_net_grpc_message *m)
{
	(void)ctx;
	struct iovec piece = {m->data, m->bytes};
	F.held++;
	MUST(!call->half_closed && !call->gone && m->bytes <= call->max_message_bytes);
	ps_net_grpc_send(call, &piece, 1, h2_fuzz_sent, m);
	if (F.does & FUZZ_EARLY)
		h2_fuzz_finish(call);
}

static void h2_fuzz_half_close(void *ctx, struct ps_net_grpc_call *call)
{
	(void)ctx;
	if (!(F.does & FUZZ_LATER))
		h2_fuzz_finish(call);
}

static void h2_fuzz_gone(void *ctx, struct ps_net_grpc_call *call, enum ps_status why)
{
	(void)ctx;
	MUST(call->gone && why != PS_OK);
	if (!(F.does & FUZZ_LATER))
		h2_fuzz_finish(call);
}

static void h2_fuzz_end(void *ctx, struct ps_net_grpc_call *call, enum ps_status status,
			int64_t done_ns)
{
	(void)ctx, (void)call, (void)status, (void)done_ns;
	F.owed_calls--;
	MUST(F.owed_calls >= 0);
}

static void h2_fuzz_begin(unsigned does)
{
	static const struct ps_net_h2_carrier carrier = {.wake = h2_fuzz_wake,
							 .now_ns = h2_fuzz_now,
							 .peer = "192.0.2.1:5",
							 .address = "192.0.2.1"};
	memset(&F, 0, sizeof F);
	F.now_ns = PS_NS_PER_SEC;
	F.does = does;
	F.server.o = (struct ps_net_server_options){
		.max_streams = 16,
		.max_url_bytes = 64,
		.max_header_bytes = 1024,
		.max_headers = 12,
		.max_body_bytes = 8192,
		.max_inflate_ratio = 16,
		.max_buffered_bytes = 300000,
		.idle_timeout_ns = 20 * PS_NS_PER_SEC,
		.head_timeout_ns = 10 * PS_NS_PER_SEC,
		.body_timeout_ns = 10 * PS_NS_PER_SEC,
		.body_min_rate = 100,
		.write_timeout_ns = 10 * PS_NS_PER_SEC,
	};
	F.server.handler = (struct ps_net_handler){.on_head = h2_fuzz_head,
						   .on_request = h2_fuzz_request,
						   .on_gone = h2_fuzz_request_gone};
	F.server.h2.server = &F.server;
	F.server.h2.grpc = (struct ps_net_grpc_handler){.on_call = h2_fuzz_call,
							.on_message = h2_fuzz_message,
							.on_half_close = h2_fuzz_half_close,
							.on_gone = h2_fuzz_gone,
							.on_end = h2_fuzz_end};
	MUST(ps_net_h2_service_init(&F.server.h2) == PS_OK);
	MUST(ps_net_h2_new(&F.server.h2, &carrier, F.now_ns, &F.h) == PS_OK);
}

static void h2_fuzz_flush(void)
{
	struct iovec iov[4];
	size_t k, total = 0;
	while ((k = ps_net_h2_output(F.h, iov, 4)) > 0) {
		size_t n = 0;
		for (size_t i = 0; i < k; i++)
			n += iov[i].iov_len;
		if (F.does & FUZZ_DEAF)
			return;
		if (F.does & FUZZ_PARTIAL && n > 7)
			n = 7;
		ps_net_h2_wrote(F.h, n, F.now_ns);
		total += n;
		MUST(total < 64 << 20);
	}
}

static void h2_fuzz_feed(const void *bytes, size_t n)
{
	if (!ps_net_h2_wants_read(F.h))
		return;
	ps_net_h2_feed(F.h, bytes, n, F.now_ns);
	h2_fuzz_flush();
	if (F.does & FUZZ_SLOW)
		F.now_ns += PS_NS_PER_SEC;
	if (F.now_ns >= ps_net_h2_deadline_ns(F.h)) {
		ps_net_h2_tick(F.h, F.now_ns);
		MUST(ps_net_h2_deadline_ns(F.h) > F.now_ns || ps_net_h2_is_over(F.h) ||
		     ps_net_h2_wants_write(F.h));
		h2_fuzz_flush();
	}
}

/* Everything is answered, some of it after the connection has gone; nothing may be left. */
static void h2_fuzz_finish_all(void)
{
	if (F.does & FUZZ_LEAVE) {
		ps_net_h2_eof(F.h, F.now_ns);
		h2_fuzz_flush();
	}
	for (int half = 0; half < 2; half++) {
		for (int i = 0; i < F.n_requests; i++)
			if (F.requests[i] && (half || i % 2 == 0)) {
				h2_fuzz_answer(F.requests[i]);
				F.requests[i] = NULL;
			}
		for (int i = half ? 0 : 1; i < F.n_calls;)
			h2_fuzz_finish(F.calls[i]);
		if (half)
			break;
		h2_fuzz_flush();
		F.closed = true;
		ps_net_h2_close(F.h);
	}
	MUST(F.owed_requests == 0 && F.owed_calls == 0 && F.held == 0);
	MUST(F.server.stats.in_flight == 0 && F.server.stats.buffered_bytes == 0);
	MUST(F.server.h2.sessions == 0);
	ps_net_h2_service_fini(&F.server.h2);
	ps_net_shares_fini(&F.server.shares);
}

#endif
