/* The client while the n-th allocation fails, for every n: each call that was taken is told of
 * once, nothing hangs or leaks. */
// link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc,--wrap=strdup
#include "unit/net/client_rig.h"

#include <nghttp2/nghttp2.h>

/* Only while `on`. */
static struct {
	bool on;
	int left; /* until one fails */
	bool failed;
} M;

static bool fails(void)
{
	if (!M.on || M.left == 0 || --M.left > 0)
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

enum { BODY = 30000 };

static void done(struct ps_net_call *c)
{
	((struct rig_call *)c)->done++;
	R.done++;
}

static void arrived(struct ps_net_call *c, const struct ps_net_arrived *m)
{
	(void)m;
	((struct rig_call *)c)->messages++;
}

/* Calls number 0 ... n-1; how many were taken. */
static int send_calls(int n, const enum ps_net_call_kind *kinds, const struct iovec *body,
		      struct ps_net_message *m)
{
	int taken = 0;
	for (int i = 0; i < n; i++) {
		struct ps_net_call *c = rig_call(i, kinds[i], "/s/M");
		c->method = "POST";
		c->body = body;
		c->n_body = kinds[i] != PS_NET_CALL_GRPC_STREAM;
		c->deadline_ns = ps_clock_now_ns() + 200 * PS_NS_PER_MS;
		c->on_done = done;
		c->on_message = arrived;
		if (ps_net_client_send(R.client, c, NULL) != PS_OK)
			continue;
		taken++;
		*m = (struct ps_net_message){.body = body, .n_body = 1};
		if (kinds[i] == PS_NET_CALL_GRPC_STREAM)
			assert_int_equal(ps_net_call_message(c, m, NULL), PS_OK);
	}
	return taken;
}

/* One run with the n-th allocation failing; false: there was none left to fail. */
static bool run(int n, enum ps_net_protocol protocol, int n_calls,
		const enum ps_net_call_kind *kinds, const void *answer, size_t answer_bytes)
{
	static char text[BODY];
	struct iovec body = {text, sizeof text};
	struct ps_net_message m;
	void *state = NULL;
	int taken = 0;
	rig_setup(&state);
	rig_listen();
	R.o.protocol = protocol;
	R.o.host = "h";
	M = (typeof(M)){.on = true, .left = n};
	if (ps_net_client_new(R.loop, &R.o, &R.client, NULL) == PS_OK)
		taken = send_calls(n_calls, kinds, &body, &m);
	for (int i = 0; i < 5000 && R.n_got < BODY && R.done < taken; i++)
		rig_turn();
	if (R.peer >= 0)
		rig_say(answer, answer_bytes);
	for (int i = 0; i < 5000 && R.done < taken; i++)
		rig_turn();
	assert_int_equal(R.done, taken);
	for (int i = 0; i < n_calls; i++) {
		assert_true(R.calls[i].done <= 1);
		if (!M.failed)
			assert_int_equal(R.calls[i].call.outcome, PS_NET_OK);
	}
	M.on = false;
	rig_teardown(&state);
	return M.failed;
}

static void http1(void **state)
{
	(void)state;
	static const enum ps_net_call_kind kind = PS_NET_CALL_HTTP;
	static char answer[20000];
	size_t n = (size_t)snprintf(answer, sizeof answer,
				    "HTTP/1.1 200 OK\r\nContent-Length: 15000\r\n\r\n");
	int failures = 0;
	while (run(failures + 1, PS_NET_HTTP1, 1, &kind, answer, n + 15000))
		failures++;
	assert_true(failures >= 10); /* the test sees them */
}

static size_t put(unsigned char *to, int type, int flags, int id, const void *payload, size_t n)
{
	unsigned char head[9] = {0,
				 (unsigned char)(n >> 8),
				 (unsigned char)n,
				 (unsigned char)type,
				 (unsigned char)flags,
				 0,
				 0,
				 0,
				 (unsigned char)id};
	memcpy(to, head, sizeof head);
	if (n > 0)
		memcpy(to + sizeof head, payload, n);
	return sizeof head + n;
}

static void http2(void **state)
{
	(void)state;
	static const enum ps_net_call_kind kinds[] = {PS_NET_CALL_HTTP, PS_NET_CALL_GRPC,
						      PS_NET_CALL_GRPC_STREAM};
	/* ":status: 200" of the static table; content-type, x-long and grpc-status as literals */
	static const unsigned char plain[] = "\x88\x00\x01y\x01z";
	static const unsigned char grpc[] = "\x88\x00\x0c"
					    "content-type\x10"
					    "application/grpc";
	static const unsigned char status[] = "\x00\x0bgrpc-status\x01"
					      "0\x00\x0cgrpc-message\x03%41";
	static char message[5 + 9000] = {0, 0, 0, 9000 >> 8, 9000 & 255};
	static unsigned char answer[60000];
	size_t n = put(answer, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
	n += put(answer + n, NGHTTP2_HEADERS, 4, 1, plain, sizeof plain - 1);
	n += put(answer + n, NGHTTP2_DATA, 1, 1, message, sizeof message);
	for (int id = 3; id <= 5; id += 2) {
		n += put(answer + n, NGHTTP2_HEADERS, 4, id, grpc, sizeof grpc - 1);
		n += put(answer + n, NGHTTP2_DATA, 0, id, message, sizeof message);
		n += put(answer + n, NGHTTP2_HEADERS, 5, id, status, sizeof status - 1);
	}
	int failures = 0;
	while (run(failures + 1, PS_NET_HTTP2, 3, kinds, answer, n))
		failures++;
	assert_true(failures >= 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(http1), cmocka_unit_test(http2)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
