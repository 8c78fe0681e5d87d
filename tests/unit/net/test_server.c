/* The server: bodies, pipelining, clients that leave or are slow, bounds, drain. */
#include "unit/net/echo.h"

/* --- limits made of many bytes --- */

static void long_heads_are_refused(void **state)
{
	(void)state;
	char buf[8192], head[4096];
	memset(head, 'a', sizeof head);
	memcpy(head, "GET /", 5);
	int fd = dial();
	send_all(fd, head, 200);
	assert_true(read_answer(fd, buf, sizeof buf, NULL));
	assert_non_null(strstr(buf, "414 URI Too Long"));
	close(fd);
	memcpy(head, "GET / HTTP/1.1\r\nHost: h\r\nX: ", 28);
	fd = dial();
	send_all(fd, head, sizeof head);
	assert_true(read_answer(fd, buf, sizeof buf, NULL));
	assert_non_null(strstr(buf, "431 Request Header Fields Too Large"));
	close(fd);
}

static void chunks_over_the_limit_are_refused(void **state)
{
	(void)state;
	char buf[8192];
	static char chunk[70000];
	memset(chunk, 'x', sizeof chunk);
	memcpy(chunk, "10000\r\n", 7);
	memcpy(chunk + 7 + 65536, "\r\n", 2);
	int fd = dial();
	static const char head[] =
		"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
	send_all(fd, head, sizeof head - 1);
	for (int i = 0; i < 17; i++)
		send_all(fd, chunk, 7 + 65536 + 2);
	assert_true(read_answer(fd, buf, sizeof buf, NULL));
	assert_non_null(strstr(buf, "413 Content Too Large"));
	close(fd);
	struct ps_net_server_stats stats;
	ps_net_server_get_stats(F.server, &stats);
	assert_int_equal(stats.buffered_bytes, 0);
}

/* --- bodies --- */

/* The bytes behind the JSON are aligned, whatever its length, and arrive as they were sent. */
static void tensors_are_aligned(void **state)
{
	(void)state;
	enum { BYTES = 300000 };
	static char body[BYTES], got[BYTES + 4096], head[512];
	for (size_t i = 0; i < BYTES; i++)
		body[i] = (char)('a' + i * 7 % 26);
	int fd = dial();
	for (int json = 1; json < 200; json += 37) {
		int n = snprintf(head, sizeof head,
				 "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n"
				 "Inference-Header-Content-Length: %d\r\n\r\n",
				 BYTES, json);
		send_all(fd, head, (size_t)n);
		send_all(fd, body, BYTES);
		size_t have = 0;
		char *start = NULL;
		while (!start || have - (size_t)(start - got) < BYTES) {
			turn();
			ssize_t r = recv(fd, got + have, sizeof got - 1 - have, 0);
			have += r > 0 ? (size_t)r : 0;
			got[have] = '\0';
			start = strstr(got, "300000:");
			start = start ? start + 7 : NULL;
		}
		assert_memory_equal(start, body, BYTES);
	}
	assert_int_equal(F.requests, 6);
	assert_int_equal(F.aligned, 6);
	close(fd);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	(void)state;
	char buf[8192];
	static const char three[] = "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"
				    "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
				    "GET /3 HTTP/1.1\r\nHost: h\r\n\r\n";
	F.hold = true;
	int fd = dial();
	send_all(fd, three, sizeof three - 1);
	for (int i = 1; i <= 3; i++) {
		for (int rounds = 0; !F.held && rounds < 1000; rounds++)
			turn();
		assert_int_equal(F.requests, i);
		struct ps_net_request *r = F.held;
		F.held = NULL;
		echo(r);
	}
	read_answer(fd, buf, sizeof buf, "GET /3? 0:");
	const char *a = strstr(buf, "/1? 0:"), *b = strstr(buf, "/2? 3:abc");
	assert_true(a && b && a < b);
	close(fd);
}

static void head_has_no_body(void **state)
{
	(void)state;
	char buf[8192];
	int fd = dial();
	static const char q[] =
		"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n";
	send_all(fd, q, sizeof q - 1);
	read_answer(fd, buf, sizeof buf, "GET /b? 0:");
	assert_non_null(strstr(buf, "Content-Length: 11\r\n"));
	assert_null(strstr(buf, "HEAD /a? 0:"));
	close(fd);
}

/* What a HEAD was answered like says nothing of what follows it, here or on another connection. */
static void errors_behind_head_have_their_body(void **state)
{
	(void)state;
	char buf[8192];
	static const char q[] = "HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n";
	for (int same = 0; same < 2; same++) {
		int fd = dial();
		send_all(fd, q, sizeof q - 1);
		read_answer(fd, buf, sizeof buf, "Content-Length: 11\r\n");
		if (!same) {
			close(fd);
			for (int i = 0; i < 100; i++)
				turn();
			fd = dial();
		}
		send_all(fd, "nonsense\r\n\r\n", 12);
		assert_true(read_answer(fd, buf, sizeof buf, NULL));
		assert_non_null(strstr(buf, "400 Bad Request"));
		assert_non_null(strstr(buf, "{\"error\":"));
		close(fd);
	}
}

/* A length beyond what is counted with is too large, not unknown. */
static void absurd_lengths_are_refused(void **state)
{
	(void)state;
	static const char *const lengths[] = {"9223372036854775807", "9223372036854775808",
					      "13835058055282163712"};
	char buf[8192], head[256];
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		int fd = dial();
		int n = snprintf(head, sizeof head,
				 "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: %s\r\n\r\nxy",
				 lengths[i]);
		F.row = lengths[i];
		send_all(fd, head, (size_t)n);
		assert_true(read_answer(fd, buf, sizeof buf, NULL));
		assert_non_null(strstr(buf, "413 Content Too Large"));
		close(fd);
	}
	assert_int_equal(F.requests, 0);
}

/* --- clients that leave --- */

static void wait_for(const int *counter, int value)
{
	for (int i = 0; i < 5000 && *counter < value; i++)
		assert_int_equal(ps_evloop_run_once(F.loop, PS_NS_PER_MS, NULL), PS_OK);
	assert_int_equal(*counter, value);
}

static void vanished_client_is_told(void **state)
{
	(void)state;
	for (int reset = 0; reset < 2; reset++) {
		F.hold = true;
		F.gone = F.done = F.cancelled = F.requests = 0;
		int fd = dial();
		send_all(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n", 28);
		wait_for(&F.requests, 1);
		struct linger l = {1, 0};
		if (reset)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
		close(fd);
		wait_for(&F.gone, 1);
		/* The memory is still the handler's: under ASan this read would tell. */
		assert_string_equal(F.held->path, "/a");
		echo(F.held);
		assert_int_equal(F.done + F.cancelled, 1);
		assert_int_equal(F.cancelled >= reset, 1);
	}
}

static void half_closed_client_gets_its_answer(void **state)
{
	(void)state;
	char buf[8192];
	int fd = dial();
	send_all(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n", 56);
	shutdown(fd, SHUT_WR);
	assert_true(read_answer(fd, buf, sizeof buf, NULL));
	assert_non_null(strstr(buf, "GET /a? 0:"));
	assert_non_null(strstr(buf, "GET /b? 0:"));
	close(fd);
	fd = dial();
	send_all(fd, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel", 51);
	shutdown(fd, SHUT_WR);
	assert_true(read_answer(fd, buf, sizeof buf, NULL));
	assert_non_null(strstr(buf, "400 Bad Request"));
	assert_non_null(strstr(buf, "before the whole request came"));
	close(fd);
}

/* --- slow clients, in simulated time --- */

static void slow_clients_are_closed(void **state)
{
	(void)state;
	static const struct {
		const char *send;
		int64_t after_ns;
		const char *want; /* NULL: closed without a word */
	} slow[] = {
		{"", 75 * PS_NS_PER_SEC, NULL},
		{"GET /a HT", 10 * PS_NS_PER_SEC, "408 Request Timeout"},
		{"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc", 30 * PS_NS_PER_SEC,
		 "408 Request Timeout"},
	};
	char buf[8192];
	for (size_t i = 0; i < 3; i++) {
		int fd = dial();
		struct ps_net_server_stats stats = {0};
		while (stats.open == 0) {
			turn();
			ps_net_server_get_stats(F.server, &stats);
		}
		send_all(fd, slow[i].send, strlen(slow[i].send));
		for (int k = 0; k < 50; k++)
			turn();
		F.clock.now_ns += slow[i].after_ns - 1;
		turn();
		ps_net_server_get_stats(F.server, &stats);
		assert_int_equal(stats.open, 1);
		F.clock.now_ns += 2;
		assert_true(read_answer(fd, buf, sizeof buf, NULL));
		if (slow[i].want)
			assert_non_null(strstr(buf, slow[i].want));
		else
			assert_string_equal(buf, "");
		close(fd);
		while (stats.open > 0) {
			turn();
			ps_net_server_get_stats(F.server, &stats);
		}
	}
}

/* A byte now and then does not keep a body alive for ever. */
static void trickling_body_is_closed(void **state)
{
	(void)state;
	char buf[8192];
	int fd = dial();
	static const char head[] = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n";
	send_all(fd, head, sizeof head - 1);
	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 50; k++)
			turn();
		send_all(fd, "x", 1);
		F.clock.now_ns += 11 * PS_NS_PER_SEC;
	}
	assert_true(read_answer(fd, buf, sizeof buf, NULL));
	assert_non_null(strstr(buf, "408 Request Timeout"));
	close(fd);
}

/* A client that does not read its answer is closed, and the handler is told. */
static void unread_answer_is_given_up(void **state)
{
	(void)state;
	enum { BYTES = 1 << 20, REQUESTS = 16 };
	static char body[BYTES];
	char head[128];
	int fd = dial(),
	    n = snprintf(head, sizeof head,
			 "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", BYTES);
	/* Echoes that nobody reads, until the kernel's buffers are full. */
	struct ps_net_server_stats stats = {0};
	for (int i = 0; i < REQUESTS && stats.in_flight == 0; i++) {
		size_t at = 0;
		send_all(fd, head, (size_t)n);
		for (int rounds = 0; at < BYTES && rounds < 2000; rounds++) {
			ssize_t w = send(fd, body + at, BYTES - at, MSG_NOSIGNAL);
			at += w > 0 ? (size_t)w : 0;
			turn();
		}
		for (int k = 0; k < 50; k++)
			turn();
		ps_net_server_get_stats(F.server, &stats);
	}
	assert_int_equal(stats.in_flight, 1);
	F.clock.now_ns += 30 * PS_NS_PER_SEC + 1;
	turn();
	ps_net_server_get_stats(F.server, &stats);
	assert_int_equal(stats.open, 0);
	assert_int_equal(stats.in_flight, 0);
	assert_int_equal(F.cancelled, 1);
	close(fd);
}

/* Bodies of all connections together are bounded, and the room comes back. */
static void bodies_together_are_bounded(void **state)
{
	(void)state;
	char buf[8192];
	static const char head[] = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 700000\r\n\r\n";
	ps_net_server_close(F.server);
	struct ps_net_server_options o = {.max_body_bytes = 1 << 20, .max_buffered_bytes = 1000000};
	struct ps_net_handler h = {.on_request = on_request, .on_gone = on_gone};
	struct ps_net_address a;
	assert_int_equal(ps_net_server_open(F.loop, &o, &h, &F.server, NULL), PS_OK);
	ps_net_server_address(F.server, &a);
	memcpy(&F.address, a.bytes, sizeof F.address);
	int first = dial(), second = dial();
	struct ps_net_server_stats stats = {0};
	send_all(first, head, sizeof head - 1);
	while (stats.buffered_bytes == 0) {
		turn();
		ps_net_server_get_stats(F.server, &stats);
	}
	send_all(second, head, sizeof head - 1);
	assert_true(read_answer(second, buf, sizeof buf, NULL));
	assert_non_null(strstr(buf, "503 Service Unavailable"));
	close(second);
	close(first);
	while (stats.buffered_bytes > 0) {
		turn();
		ps_net_server_get_stats(F.server, &stats);
	}
	second = dial();
	send_all(second, head, sizeof head - 1);
	while (stats.buffered_bytes == 0) {
		turn();
		ps_net_server_get_stats(F.server, &stats);
	}
	close(second);
}

/* Sends a head that promises `bytes` of a body, as `owner`; returns the status that came, or 0 when
 * the body is waited for. */
static int promise(int fd, int owner, size_t bytes)
{
	char text[256], buf[8192];
	struct ps_net_server_stats before, now;
	ps_net_server_get_stats(F.server, &before);
	int n = snprintf(
		text, sizeof text,
		"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\nX-Owner: %d\r\n\r\n", bytes,
		owner);
	send_all(fd, text, (size_t)n);
	do {
		turn();
		ps_net_server_get_stats(F.server, &now);
	} while (now.buffered_bytes == before.buffered_bytes && now.refused == before.refused);
	if (now.refused == before.refused)
		return 0;
	assert_true(read_answer(fd, buf, sizeof buf, NULL));
	assert_non_null(strstr(buf, "Retry-After: 1\r\n"));
	return atoi(buf + strlen("HTTP/1.1 "));
}

/* One that sends large bodies slowly takes its share, not all; the others have theirs. */
static void owners_have_shares(void **state)
{
	(void)state;
	static const struct {
		int owner;
		size_t bytes;
		int want; /* 0: taken */
	} rows[] = {
		{7, 300000, 0},	   {7, 300000, 429}, {8, 300000, 0}, {7, 90000, 0},
		{0, 100000, 0},	   {0, 100000, 429}, /* nobody has said who: by address */
		{-1, 250000, 503},		     /* its share has room, the whole has none */
		{8, 100000, 0},
	};
	enum { N = sizeof rows / sizeof rows[0] };
	const struct ps_net_server_options o = {.max_body_bytes = 1 << 20,
						.max_buffered_bytes = 1000000,
						.max_owner_bytes = 400000,
						.max_address_bytes = 150000};
	struct ps_net_server_stats stats;
	int fds[N];
	open_server(&o);
	for (int i = 0; i < N; i++) {
		fds[i] = dial();
		int got = promise(fds[i], rows[i].owner, rows[i].bytes);
		if (got != rows[i].want)
			fail_msg("row %d: %d, not %d", i, got, rows[i].want);
	}
	for (int i = 0; i < N; i++)
		close(fds[i]);
	do {
		turn();
		ps_net_server_get_stats(F.server, &stats);
	} while (stats.buffered_bytes > 0);
	fds[0] = dial(); /* the share has room again */
	assert_int_equal(promise(fds[0], 7, 400000), 0);
	close(fds[0]);
}

/* New limits hold for the heads that come from then on, on connections that are open already. */
static void limits_can_change(void **state)
{
	(void)state;
	char buf[8192];
	const char small[] = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n123456789";
	struct ps_net_server_options o = {.max_body_bytes = 8};
	open_server(&o);
	int fd = dial();
	send_all(fd, small, sizeof small - 1);
	assert_false(read_answer(fd, buf, sizeof buf, "too large"));
	o.max_body_bytes = 9;
	ps_net_server_set_limits(F.server, &o);
	send_all(fd, small, sizeof small - 1);
	assert_false(read_answer(fd, buf, sizeof buf, "POST /a? 9:"));
	o = (struct ps_net_server_options){.max_buffered_bytes = 8};
	ps_net_server_set_limits(F.server, &o);
	send_all(fd, small, sizeof small - 1);
	assert_false(read_answer(fd, buf, sizeof buf, "too many bodies"));
	close(fd);
}

/* One more than may be open waits in the kernel's queue until there is room. */
static void connections_are_bounded(void **state)
{
	(void)state;
	char buf[8192];
	ps_net_server_close(F.server);
	struct ps_net_server_options o = {.max_connections = 1};
	struct ps_net_handler h = {.on_request = on_request};
	struct ps_net_address a;
	assert_int_equal(ps_net_server_open(F.loop, &o, &h, &F.server, NULL), PS_OK);
	ps_net_server_address(F.server, &a);
	memcpy(&F.address, a.bytes, sizeof F.address);
	int first = dial(), second = dial();
	send_all(second, "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n", 29);
	send_all(first, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n", 29);
	read_answer(first, buf, sizeof buf, "GET /1? 0:");
	assert_int_equal(F.requests, 1);
	close(first);
	read_answer(second, buf, sizeof buf, "GET /2? 0:");
	close(second);
}

/* --- opening and ending --- */

static void taken_port_is_in_use(void **state)
{
	(void)state;
	struct ps_error err;
	struct ps_net_server *other;
	struct ps_net_server_options o = {.port = ntohs(F.address.sin_port)};
	struct ps_net_handler h = {.on_request = on_request};
	assert_int_equal(ps_net_server_open(F.loop, &o, &h, &other, &err), PS_EINUSE);
	assert_non_null(strstr(err.what, "cannot listen on 127.0.0.1:"));
	assert_non_null(strstr(err.hint, "port"));
}

static void drain_finishes_what_is_in_flight(void **state)
{
	(void)state;
	char buf[8192];
	int sending = dial();
	send_all(sending, "GET /0 HTTP/1.1\r\nHost: h\r\n\r\n", 28);
	assert_false(read_answer(sending, buf, sizeof buf, "GET /0? 0:"));
	F.hold = true;
	int idle = dial(), busy = dial();
	send_all(busy, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n", 28);
	wait_for(&F.requests, 2);
	ps_net_server_drain(F.server, on_drained, NULL);
	F.hold = false;
	/* One that was about to be sent is answered; who stays idle is let go half a second later.
	 */
	send_all(sending, "GET /b HTTP/1.1\r\nHost: h\r\n\r\n", 28);
	read_answer(sending, buf, sizeof buf, "GET /b? 0:");
	assert_non_null(strstr(buf, "Connection: close"));
	close(sending);
	F.clock.now_ns += PS_NS_PER_SEC / 2;
	assert_true(read_answer(idle, buf, sizeof buf, NULL));
	assert_string_equal(buf, "");
	assert_int_equal(F.drained, 0);
	int late = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_not_equal(connect(late, (struct sockaddr *)(void *)&F.address, sizeof F.address),
			     0);
	echo(F.held);
	read_answer(busy, buf, sizeof buf, "GET /a? 0:");
	assert_non_null(strstr(buf, "Connection: close"));
	close(busy);
	wait_for(&F.drained, 1);
	close(idle);
	close(late);
}

static void close_with_a_request_held(void **state)
{
	(void)state;
	F.hold = true;
	int fd = dial();
	send_all(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n", 28);
	wait_for(&F.requests, 1);
	ps_net_server_close(F.server);
	F.server = NULL;
	assert_int_equal(F.gone, 1);
	echo(F.held);
	assert_int_equal(F.cancelled, 1);
	close(fd);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(long_heads_are_refused),
		T(chunks_over_the_limit_are_refused),
		T(tensors_are_aligned),
		T(pipelined_requests_are_answered_in_order),
		T(head_has_no_body),
		T(errors_behind_head_have_their_body),
		T(absurd_lengths_are_refused),
		T(vanished_client_is_told),
		T(half_closed_client_gets_its_answer),
		T(slow_clients_are_closed),
		T(trickling_body_is_closed),
		T(unread_answer_is_given_up),
		T(bodies_together_are_bounded),
		T(owners_have_shares),
		T(limits_can_change),
		T(connections_are_bounded),
		T(taken_port_is_in_use),
		T(drain_finishes_what_is_in_flight),
		T(close_with_a_request_held),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
