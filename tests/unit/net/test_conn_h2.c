/* HTTP/2 carried by a socket: bytes in pieces, answers that the socket does not take at once,
 * clients that leave, drain and close. What frames mean is tested without sockets elsewhere. */
#include "unit/net/echo.h"

#include "net/grpc.h"

/* SETTINGS with the largest window, WINDOW_UPDATE for the connection. */
#define OPENING                                                                                    \
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"                                                         \
	"\0\0\6\4\0\0\0\0\0\0\4\x7f\xff\xff\xff"                                                   \
	"\0\0\4\x8\0\0\0\0\0\x7f\xff\0\0"
/* GET http://h/ on stream 1 */
#define GET_1 "\0\0\6\1\5\0\0\0\1\x82\x86\x84\x41\1h"
/* POST http://h/, its body to follow */
#define POST_1 "\0\0\6\1\4\0\0\0\1\x83\x86\x84\x41\1h"

enum {
	FRAME_DATA = 0,
	FRAME_HEADERS = 1,
	FRAME_SETTINGS = 4,
	FRAME_GOAWAY = 7,
	FRAME_WINDOW_UPDATE = 8
};

struct frames {
	size_t have, at;	      /* bytes read, bytes of whole frames seen */
	size_t count[16], data_bytes; /* per type; of DATA */
	bool closed;
	unsigned char *bytes;
	size_t cap;
};

static void free_frames(struct frames *f)
{
	free(f->bytes);
}

static void scan(struct frames *f)
{
	while (f->have - f->at >= 9) {
		const unsigned char *p = f->bytes + f->at;
		size_t n = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
		if (f->have - f->at < 9 + n)
			return;
		assert_true(p[3] < 16);
		f->count[p[3]]++;
		if (p[3] == FRAME_DATA)
			f->data_bytes += n;
		f->at += 9 + n;
	}
}

/* Reads what comes until `type` was seen `count` times, or the end. */
static void read_frames(int fd, struct frames *f, int type, size_t count)
{
	for (int i = 0; i < 5000 && !f->closed && f->count[type] < count; i++) {
		turn();
		if (f->cap - f->have < 65536) {
			f->cap = 2 * f->cap + 131072;
			f->bytes = realloc(f->bytes, f->cap);
			assert_non_null(f->bytes);
		}
		/* Small pieces of ours may wait for the kernel's delayed acknowledgement. */
		struct pollfd p = {.fd = fd, .events = POLLIN};
		poll(&p, 1, i < 200 ? 0 : 1);
		ssize_t n = recv(fd, f->bytes + f->have, 65536, 0);
		if (n > 0)
			f->have += (size_t)n;
		f->closed = n == 0 || (n < 0 && errno != EAGAIN);
		scan(f);
	}
	assert_true(f->count[type] >= count);
}

static int dial_h2(const char *more, size_t n)
{
	int fd = dial();
	send_all(fd, OPENING, sizeof OPENING - 1);
	send_all(fd, more, n);
	return fd;
}

static void wait_for_request(void)
{
	for (int i = 0; i < 1000 && !F.held; i++)
		turn();
	assert_non_null(F.held);
}

static void requests_come_in_any_pieces(void **state)
{
	(void)state;
	static const char all[] = OPENING GET_1;
	for (size_t step = 1; step < 100; step += 33) {
		struct frames f = {0};
		int fd = dial();
		for (size_t at = 0; at < sizeof all - 1; at += step)
			send_all(fd, all + at,
				 sizeof all - 1 - at < step ? sizeof all - 1 - at : step);
		read_frames(fd, &f, FRAME_DATA, 1);
		assert_int_equal(f.count[FRAME_HEADERS], 1);
		assert_int_equal(f.data_bytes, strlen("GET /? 0:"));
		close(fd);
		free_frames(&f);
	}
	struct ps_net_server_stats stats;
	ps_net_server_get_stats(F.server, &stats);
	assert_int_equal(stats.http2, 3);
	assert_int_equal(stats.requests, 3);
}

/* An answer from outside the connection's own events leaves with the end of the round. */
static void late_answers_are_written(void **state)
{
	(void)state;
	struct frames f = {0};
	F.hold = true;
	int fd = dial_h2(GET_1, sizeof GET_1 - 1);
	wait_for_request();
	assert_int_equal(F.held->http_major, 2);
	echo(F.held);
	assert_int_equal(F.done, 0);
	turn();
	assert_int_equal(F.done, 1);
	read_frames(fd, &f, FRAME_DATA, 1);
	close(fd);
	free_frames(&f);
}

/* More than socket buffers hold: it goes on when the client reads. */
static void large_answers_go_on_when_the_socket_has_room(void **state)
{
	(void)state;
	enum { BYTES = 12 << 20 };
	struct frames f = {0};
	char *body = calloc(1, BYTES);
	F.hold = true;
	int fd = dial_h2(GET_1, sizeof GET_1 - 1);
	wait_for_request();
	struct iovec piece = {body, BYTES};
	struct ps_net_answer a = {.http = 200, .body = &piece, .n_body = 1, .on_done = on_done};
	ps_net_answer(F.held, &a);
	for (int i = 0; i < 100; i++)
		turn();
	assert_int_equal(F.done, 0);
	while (F.done == 0)
		read_frames(fd, &f, FRAME_DATA, f.count[FRAME_DATA] + 1);
	while (f.data_bytes < BYTES)
		read_frames(fd, &f, FRAME_DATA, f.count[FRAME_DATA] + 1);
	close(fd);
	free_frames(&f);
	free(body);
}

static void vanished_clients_are_told(void **state)
{
	(void)state;
	F.hold = true;
	int fd = dial_h2(GET_1, sizeof GET_1 - 1);
	wait_for_request();
	close(fd);
	for (int i = 0; i < 1000 && F.gone == 0; i++)
		turn();
	assert_int_equal(F.gone, 1);
	assert_string_equal(F.held->path, "/");
	echo(F.held);
	turn();
	assert_int_equal(F.cancelled, 1);
}

/* One that has read all that came sends an orderly end, not a reset. */
static void clients_that_leave_in_order_are_told(void **state)
{
	(void)state;
	struct frames f = {0};
	F.hold = true;
	int fd = dial_h2(GET_1, sizeof GET_1 - 1);
	wait_for_request();
	read_frames(fd, &f, FRAME_SETTINGS, 2);
	read_frames(fd, &f, FRAME_WINDOW_UPDATE, 1);
	close(fd);
	for (int i = 0; i < 1000 && F.gone == 0; i++)
		turn();
	assert_int_equal(F.gone, 1);
	echo(F.held);
	turn();
	free_frames(&f);
}

static void drain_says_goaway_and_waits(void **state)
{
	(void)state;
	struct frames f = {0}, g = {0};
	F.hold = true;
	int busy = dial_h2(GET_1, sizeof GET_1 - 1), idle = dial_h2("", 0);
	wait_for_request();
	read_frames(idle, &g, FRAME_SETTINGS, 1);
	ps_net_server_drain(F.server, on_drained, NULL);
	read_frames(idle, &g, FRAME_GOAWAY, 1);
	read_frames(busy, &f, FRAME_GOAWAY, 1);
	for (int i = 0; i < 100; i++)
		turn();
	assert_int_equal(F.drained, 0);
	echo(F.held);
	read_frames(busy, &f, FRAME_DATA, 1);
	assert_int_equal(F.done, 1);
	/* A client that heeds GOAWAY closes; the idle one has nothing to wait for. */
	close(busy);
	close(idle);
	for (int i = 0; i < 1000 && F.drained == 0; i++)
		turn();
	assert_int_equal(F.drained, 1);
	free_frames(&f);
	free_frames(&g);
}

static void close_with_a_request_held(void **state)
{
	(void)state;
	F.hold = true;
	int fd = dial_h2(GET_1, sizeof GET_1 - 1);
	wait_for_request();
	ps_net_server_close(F.server);
	F.server = NULL;
	assert_int_equal(F.gone, 1);
	echo(F.held);
	assert_int_equal(F.cancelled, 1);
	close(fd);
}

/* The handler may close the server from inside a request of a session at work. */
static void close_from_inside(void *ctx, struct ps_net_request *r)
{
	(void)ctx;
	F.requests++;
	ps_net_server_close(F.server);
	F.server = NULL;
	echo(r);
}

static void handlers_may_close_the_server(void **state)
{
	(void)state;
	static const char *const sends[] = {OPENING GET_1, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"};
	static const size_t sizes[] = {sizeof OPENING GET_1 - 1, 28};
	for (int i = 0; i < 2; i++) {
		const struct ps_net_server_options o = {0};
		const struct ps_net_handler h = {.on_request = close_from_inside,
						 .on_gone = on_gone};
		struct ps_net_address a;
		ps_net_server_close(F.server);
		assert_int_equal(ps_net_server_open(F.loop, &o, &h, &F.server, NULL), PS_OK);
		ps_net_server_address(F.server, &a);
		memcpy(&F.address, a.bytes, sizeof F.address);
		int fd = dial();
		F.requests = 0;
		send_all(fd, sends[i], sizes[i]);
		for (int k = 0; k < 100; k++)
			turn();
		assert_int_equal(F.requests, 1);
		close(fd);
	}
	assert_int_equal(F.cancelled, 2);
}

/* ... also while output is made: a call's stream is closed when its reset is framed. */
static enum ps_status take_call(void *ctx, struct ps_net_grpc_call *call, struct ps_error *err)
{
	(void)ctx, (void)call, (void)err;
	F.requests++;
	return PS_OK;
}

static void close_when_gone(void *ctx, struct ps_net_grpc_call *call, enum ps_status why)
{
	(void)ctx, (void)why;
	F.gone++;
	ps_net_server_close(F.server);
	F.server = NULL;
	ps_net_grpc_finish(call, PS_NET_GRPC_CANCELLED, NULL, NULL, 0);
}

static void handlers_may_close_the_server_from_output(void **state)
{
	(void)state;
	static const char call[] = "\0\0\x26\1\4\0\0\0\1\x83\x86\x84\x41\1h\x0f\x10\x10"
				   "application/grpc\0\2te\x8trailers";
	const struct ps_net_grpc_handler grpc = {.on_call = take_call, .on_gone = close_when_gone};
	const struct ps_net_server_options o = {.grpc = &grpc};
	open_server(&o);
	int fd = dial_h2(call, sizeof call - 1);
	for (int k = 0; k < 1000 && F.requests == 0; k++)
		turn();
	assert_int_equal(F.requests, 1);
	shutdown(fd, SHUT_WR);
	for (int k = 0; k < 1000 && F.gone == 0; k++)
		turn();
	assert_int_equal(F.gone, 1);
	assert_null(F.server);
	close(fd);
}

/* A body that stops half-way does not stay for ever. */
static void stalled_bodies_time_out(void **state)
{
	(void)state;
	struct ps_net_server_stats stats;
	int fd = dial_h2(POST_1, sizeof POST_1 - 1);
	for (int i = 0; i < 50; i++)
		turn();
	F.clock.now_ns += 200 * PS_NS_PER_SEC;
	for (int i = 0; i < 10; i++)
		turn();
	F.clock.now_ns += 200 * PS_NS_PER_SEC;
	for (int i = 0; i < 10; i++)
		turn();
	ps_net_server_get_stats(F.server, &stats);
	assert_int_equal(stats.requests, 0);
	assert_int_equal(stats.open, 0);
	close(fd);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(requests_come_in_any_pieces),
		T(late_answers_are_written),
		T(large_answers_go_on_when_the_socket_has_room),
		T(vanished_clients_are_told),
		T(clients_that_leave_in_order_are_told),
		T(drain_says_goaway_and_waits),
		T(close_with_a_request_held),
		T(handlers_may_close_the_server),
		T(handlers_may_close_the_server_from_output),
		T(stalled_bodies_time_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
