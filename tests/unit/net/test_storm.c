/* Many clients that do as they please, in an order that a seed decides: send, break off, stop
 * reading, wait. Whatever they do, each request that reached the handler ends once, and nothing is
 * left over. For the address sanitizer above all. */
#include "unit/net/echo.h"

enum { CLIENTS = 24, STEPS = 6000, HELD = 64, SEEDS = 6 };

static unsigned seed;

static unsigned roll(unsigned n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/* --- the handler: answers at once, later, with an error, or closing --- */

static struct {
	struct ps_net_request *held[HELD];
	int n, requests, ended, gone;
	char large[300000];
} S;

static void ended(void *ctx, struct ps_net_request *r, enum ps_status status, int64_t done_ns)
{
	(void)ctx;
	(void)done_ns;
	assert_true(status == PS_OK || status == PS_ECANCELLED);
	assert_true(r->path[0] == '/');
	S.ended++;
}

static void reply(struct ps_net_request *r)
{
	struct iovec pieces[] = {{r->body, r->body_bytes}, {S.large, sizeof S.large}};
	struct ps_error e;
	if (roll(5) == 0) {
		ps_error_set(&e, PS_EQUOTA, "no");
		ps_net_answer_error(r, &e, NULL, 0, ended, NULL);
		return;
	}
	struct ps_net_answer a = {.http = 200,
				  .body = pieces,
				  .n_body = roll(4) == 0 ? 2 : 1,
				  .close = roll(8) == 0,
				  .compress = roll(3) == 0,
				  .on_done = ended};
	ps_net_answer(r, &a);
}

static void arrive(void *ctx, struct ps_net_request *r)
{
	(void)ctx;
	S.requests++;
	if (S.n < HELD && roll(4) > 0)
		S.held[S.n++] = r;
	else
		reply(r);
}

static void leave(void *ctx, struct ps_net_request *r)
{
	(void)ctx;
	(void)r;
	S.gone++;
}

static enum ps_status look(void *ctx, struct ps_net_request *r, struct ps_error *err)
{
	(void)ctx;
	(void)r;
	return roll(6) == 0 ? ps_error_set(err, PS_EUNAUTH, "no key") : PS_OK;
}

static void reply_to_one(void)
{
	if (S.n == 0)
		return;
	unsigned i = roll((unsigned)S.n);
	struct ps_net_request *r = S.held[i];
	S.held[i] = S.held[--S.n];
	reply(r);
}

/* --- the clients --- */

static const char *const texts[] = {
	"GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /a HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n",
	"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789",
	"POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
	"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\n",
	"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"broken\r\n\r\n",
};

static void send_something(int fd)
{
	static char filler[8192];
	const char *text = texts[roll(sizeof texts / sizeof texts[0])];
	size_t n = strlen(text);
	switch (roll(4)) {
	case 0:
		(void)!send(fd, text, roll((unsigned)n + 1), MSG_NOSIGNAL);
		break;
	case 1:
		(void)!send(fd, filler, sizeof filler, MSG_NOSIGNAL);
		break;
	default:
		(void)!send(fd, text, n, MSG_NOSIGNAL);
	}
}

static void act(int *fd)
{
	static char sink[65536];
	struct linger reset = {1, 0};
	if (*fd < 0) {
		*fd = dial();
		return;
	}
	switch (roll(10)) {
	case 0:
		shutdown(*fd, SHUT_WR);
		break;
	case 1:
		setsockopt(*fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
		close(*fd);
		*fd = -1;
		break;
	case 2:
		close(*fd);
		*fd = -1;
		break;
	case 3:
	case 4:
	case 5:
		(void)!recv(*fd, sink, sizeof sink, 0);
		break;
	default:
		send_something(*fd);
	}
}

static void storm(void)
{
	int fds[CLIENTS];
	for (int i = 0; i < CLIENTS; i++)
		fds[i] = -1;
	for (int step = 0; step < STEPS; step++) {
		act(&fds[roll(CLIENTS)]);
		if (roll(3) == 0)
			turn();
		if (roll(8) == 0)
			reply_to_one();
		if (roll(50) == 0)
			F.clock.now_ns += roll(40) * PS_NS_PER_SEC;
	}
	for (int i = 0; i < CLIENTS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* Ends by drain, by close, or by close with requests still held. */
static void finish(unsigned how)
{
	struct ps_net_server_stats stats;
	if (how == 0) {
		ps_net_server_drain(F.server, on_drained, NULL);
		for (int i = 0; i < 10000 && F.drained == 0; i++) {
			reply_to_one();
			turn();
		}
		assert_int_equal(F.drained, 1);
	}
	while (how < 2 && S.n > 0)
		reply_to_one();
	ps_net_server_get_stats(F.server, &stats);
	if (how == 0) {
		assert_int_equal(stats.open, 0);
		assert_int_equal(stats.in_flight, 0);
		assert_int_equal(stats.buffered_bytes, 0);
		assert_int_equal(stats.accepted, stats.closed);
	}
	ps_net_server_close(F.server);
	F.server = NULL;
	while (S.n > 0)
		reply_to_one();
	assert_int_equal(S.requests, S.ended);
}

static void storms_leave_nothing_behind(void **state)
{
	(void)state;
	int requests = 0, gone = 0;
	for (unsigned k = 0; k < SEEDS; k++) {
		const struct ps_net_server_options o = {.max_body_bytes = 100000,
							.max_connections = 16,
							.max_connections_per_address = 14};
		const struct ps_net_handler h = {
			.on_head = look, .on_request = arrive, .on_gone = leave};
		struct ps_net_address a;
		ps_net_server_close(F.server);
		F.drained = 0;
		memset(&S, 0, offsetof(typeof(S), large));
		assert_int_equal(ps_net_server_open(F.loop, &o, &h, &F.server, NULL), PS_OK);
		ps_net_server_address(F.server, &a);
		memcpy(&F.address, a.bytes, sizeof F.address);
		seed = k + 1;
		storm();
		finish(k % 3);
		requests += S.requests;
		gone += S.gone;
	}
	/* The storm reached what it is for. */
	if (requests < 1000 || gone < 50)
		fail_msg("only %d requests, %d gone", requests, gone);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(storms_leave_nothing_behind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
