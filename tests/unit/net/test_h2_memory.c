/* HTTP/2 and gRPC while the n-th allocation fails, for every n: each stream ends, or the connection
 * does; nothing hangs, leaks or is told twice. */
// link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc,--wrap=strdup
// link: -Wl,--wrap=ps_net_h2_feed,--wrap=ps_net_h2_output,--wrap=ps_net_h2_wrote
// link: -Wl,--wrap=ps_net_h2_tick
#include "unit/net/h2_peer.h"

#include <zlib.h>

/* Only the session's own allocations fail. */
static struct {
	int inside;
	int left; /* until one fails; 0: none does */
	bool failed;
} M;

static bool fails(void)
{
	if (M.inside == 0 || M.left == 0 || --M.left > 0)
		return false;
	M.failed = true;
	return true;
}

#define WRAP(type, name, parameters, arguments)                                                    \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters                                                              \
	{                                                                                          \
		return fails() ? NULL : __real_##name arguments;                                   \
	}
WRAP(void *, malloc, (size_t n), (n))
WRAP(void *, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, (void *p, size_t n), (p, n))
WRAP(void *, aligned_alloc, (size_t align, size_t n), (align, n))
WRAP(char *, strdup, (const char *s), (s))

#define WRAP_CALL(name, parameters, arguments)                                                     \
	void __real_##name parameters;                                                             \
	void __wrap_##name parameters;                                                             \
	void __wrap_##name parameters                                                              \
	{                                                                                          \
		M.inside++;                                                                        \
		__real_##name arguments;                                                           \
		M.inside--;                                                                        \
	}
WRAP_CALL(ps_net_h2_feed, (struct ps_net_h2 * h, const void *bytes, size_t n, int64_t now_ns),
	  (h, bytes, n, now_ns))
WRAP_CALL(ps_net_h2_wrote, (struct ps_net_h2 * h, size_t n, int64_t now_ns), (h, n, now_ns))
WRAP_CALL(ps_net_h2_tick, (struct ps_net_h2 * h, int64_t now_ns), (h, now_ns))

size_t __real_ps_net_h2_output(struct ps_net_h2 *h, struct iovec *iov, size_t max);
size_t __wrap_ps_net_h2_output(struct ps_net_h2 *h, struct iovec *iov, size_t max);
size_t __wrap_ps_net_h2_output(struct ps_net_h2 *h, struct iovec *iov, size_t max)
{
	M.inside++;
	size_t n = __real_ps_net_h2_output(h, iov, max);
	M.inside--;
	return n;
}

/* --- handlers that echo, and what is owed to them --- */

static struct {
	int requests, done, calls, ended, messages, sent;
} H;

static void on_done(void *ctx, struct ps_net_request *r, enum ps_status status, int64_t done_ns)
{
	(void)ctx, (void)r, (void)status, (void)done_ns;
	H.done++;
}

static void on_request(void *ctx, struct ps_net_request *r)
{
	(void)ctx;
	struct iovec piece = {r->body, r->body_bytes};
	struct ps_net_answer a = {
		.http = 200, .body = &piece, .n_body = 1, .compress = true, .on_done = on_done};
	H.requests++;
	ps_net_answer(r, &a);
}

static enum ps_status on_call(void *ctx, struct ps_net_grpc_call *call, struct ps_error *err)
{
	(void)ctx, (void)err;
	call->owner = 7;
	H.calls++;
	return PS_OK;
}

static void on_sent(void *ctx, enum ps_status status, int64_t done_ns)
{
	(void)status, (void)done_ns;
	H.sent++;
	ps_net_grpc_message_free(ctx);
}

static void on_message(void *ctx, struct ps_net_grpc_call *call, struct ps_net_grpc_message *m)
{
	(void)ctx;
	/* More pieces than lie in the stream itself. */
	struct iovec pieces[10];
	for (size_t i = 0; i < 10; i++) {
		size_t a = m->bytes * i / 10, b = m->bytes * (i + 1) / 10;
		pieces[i] = (struct iovec){(char *)m->data + a, b - a};
	}
	H.messages++;
	ps_net_grpc_send(call, pieces, 10, on_sent, m);
}

static void on_half_close(void *ctx, struct ps_net_grpc_call *call)
{
	(void)ctx;
	static const struct ps_net_header trailer = {"x-more", "yes"};
	ps_net_grpc_finish(call, PS_NET_GRPC_OK, "well", &trailer, 1);
}

static void on_gone(void *ctx, struct ps_net_grpc_call *call, enum ps_status why)
{
	(void)ctx, (void)why;
	ps_net_grpc_finish(call, PS_NET_GRPC_CANCELLED, NULL, NULL, 0);
}

static void on_end(void *ctx, struct ps_net_grpc_call *call, enum ps_status status, int64_t done_ns)
{
	(void)ctx, (void)call, (void)status, (void)done_ns;
	H.ended++;
}

/* --- the scene --- */

static size_t gzipped(const char *from, size_t n, char *to, size_t cap)
{
	z_stream z = {0};
	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)from;
	z.avail_in = (uInt)n;
	z.next_out = (Bytef *)to;
	z.avail_out = (uInt)cap;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return z.total_out;
}

static size_t frame(char *to, char flag, size_t n)
{
	to[0] = flag;
	for (int i = 0; i < 4; i++)
		to[1 + i] = (char)(n >> (24 - 8 * i));
	return n + 5;
}

static void scene(int32_t ids[3])
{
	static const char *const grpc[] = {"te",
					   "trailers",
					   "content-type",
					   "application/grpc",
					   "grpc-encoding",
					   "gzip",
					   "grpc-timeout",
					   "50S",
					   NULL};
	static const char *const accepts[] = {"accept-encoding", "gzip", NULL};
	static const char *const packed[] = {"content-encoding", "gzip", NULL};
	static char plain[60000], messages[140000], small[1000];
	static struct saying says[3];
	size_t n = frame(messages, 0, sizeof plain);
	size_t z = gzipped(plain, sizeof plain, messages + n + 5, sizeof messages - n - 5);
	n += frame(messages + n, 1, z);
	says[0] = (struct saying){.bytes = messages, .n = n};
	says[1] = (struct saying){.bytes = plain, .n = sizeof plain};
	says[2] = (struct saying){.bytes = small, .n = gzipped(plain, 50000, small, sizeof small)};
	ids[0] = peer_request("POST", "/a.B/C", grpc, &says[0]);
	ids[1] = peer_request("POST", "/a?b", accepts, &says[1]);
	ids[2] = peer_request("POST", "/c", packed, &says[2]);
}

/* False: nothing failed. */
static bool run(int n)
{
	static const struct ps_net_handler http = {.on_request = on_request};
	static const struct ps_net_grpc_handler grpc = {.on_call = on_call,
							.on_message = on_message,
							.on_half_close = on_half_close,
							.on_gone = on_gone,
							.on_end = on_end};
	int32_t ids[3];
	memset(&H, 0, sizeof H);
	memset(&M, 0, sizeof M);
	peer_service(&http, &grpc);
	peer_session();
	peer_client(0);
	M.left = n;
	scene(ids);
	peer_run();
	M.left = 0; /* there is memory again: who is slow or silent is ended by time */
	for (int i = 0; i < 200 && !ps_net_h2_is_over(P.h); i++) {
		peer_wait(PS_NS_PER_SEC);
		peer_run();
	}
	bool over = ps_net_h2_is_over(P.h);
	for (int i = 0; i < 3; i++)
		if (!over && !P.heard[ids[i]].closed)
			fail_msg("allocation %d: stream %d hangs", n, ids[i]);
	bool failed = M.failed;
	if (!failed)
		assert_true(H.requests == 2 && H.messages == 2 && H.sent == 2);
	peer_end();
	assert_int_equal(H.done, H.requests);
	assert_int_equal(H.ended, H.calls);
	assert_int_equal(H.sent, H.messages);
	return failed;
}

static void each_allocation_fails_once(void **state)
{
	(void)state;
	int n = 1;
	while (run(n))
		n++;
	assert_true(n > 20); /* it was the session's allocations that failed */
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(each_allocation_fails_once)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
