/* echo.h - a server whose handler echoes, and a client of raw bytes, in one thread on a clock that
 * tests move. */
#ifndef PS_TESTS_NET_ECHO_H
#define PS_TESTS_NET_ECHO_H

#include "net/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- a server whose handler echoes --- */

struct fixture {
	struct ps_evloop *loop;
	struct ps_net_server *server;
	struct sockaddr_in address;
	struct ps_clock_fake clock;  /* of time-outs, moved by tests */
	struct ps_net_request *held; /* kept unanswered when `hold` */
	bool hold;
	int requests, gone, done, cancelled, drained;
	bool compress;	 /* answers */
	size_t aligned;	 /* requests whose tensor part was aligned to 64 */
	const char *row; /* of the table, for messages */
};

static struct fixture F;

static void on_done(void *ctx, struct ps_net_request *r, enum ps_status status, int64_t done_ns)
{
	(void)ctx;
	(void)r;
	assert_true(done_ns > 0);
	F.done += status == PS_OK;
	F.cancelled += status == PS_ECANCELLED;
}

static void echo(struct ps_net_request *r)
{
	char *text = ps_arena_alloc(r->arena, 512);
	int n = snprintf(text, 512, "%s %s?%s %zu:", r->method, r->path, r->query, r->body_bytes);
	struct iovec pieces[] = {{text, (size_t)n}, {r->body, r->body_bytes}};
	struct ps_net_header type = {"Content-Type", "text/plain"};
	struct ps_net_answer a = {.http = 200,
				  .headers = &type,
				  .n_headers = 1,
				  .body = pieces,
				  .n_body = 2,
				  .compress = F.compress,
				  .on_done = on_done};
	ps_net_answer(r, &a);
}

static void on_request(void *ctx, struct ps_net_request *r)
{
	(void)ctx;
	F.requests++;
	assert_true(r->received_ns >= r->first_byte_ns);
	size_t json = r->json_bytes > 0 ? (size_t)r->json_bytes : 0;
	F.aligned += r->body && ((uintptr_t)r->body + json) % 64 == 0;
	if (strcmp(r->path, "/error") == 0) {
		struct ps_error e;
		ps_error_set(&e, PS_EQUOTA, "queue \"q\" is full");
		ps_error_hint(&e, "wait");
		ps_net_answer_error(r, &e, NULL, 0, on_done, NULL);
	} else if (F.hold) {
		F.held = r;
	} else {
		echo(r);
	}
}

static enum ps_status on_head(void *ctx, struct ps_net_request *r, struct ps_error *err)
{
	(void)ctx;
	static const struct ps_net_header retry = {"Retry-After", "7"};
	if (ps_net_header_get(r->headers, r->n_headers, "X-REFUSE")) {
		r->refusal_headers = &retry;
		r->n_refusal_headers = 1;
		return ps_error_set(err, PS_EUNAUTH, "no key");
	}
	if (ps_net_header_get(r->headers, r->n_headers, "X-Small"))
		r->max_body_bytes = 10;
	const char *owner = ps_net_header_get(r->headers, r->n_headers, "X-Owner");
	r->owner = owner ? atoi(owner) : 0;
	return PS_OK;
}

static void on_gone(void *ctx, struct ps_net_request *r)
{
	(void)ctx;
	assert_true(r->gone);
	F.gone++;
}

static inline void on_drained(void *ctx)
{
	(void)ctx;
	F.drained++;
}

/* Opens (again) with other options; port and limits as they are given. */
static inline void open_server(const struct ps_net_server_options *o)
{
	struct ps_net_handler h = {
		.on_head = on_head, .on_request = on_request, .on_gone = on_gone};
	struct ps_net_address a;
	struct ps_error err;
	ps_net_server_close(F.server);
	F.server = NULL;
	if (ps_net_server_open(F.loop, o, &h, &F.server, &err) != PS_OK)
		fail_msg("%s (%s)", err.what, err.hint);
	ps_net_server_address(F.server, &a);
	memcpy(&F.address, a.bytes, sizeof F.address);
}

static inline int setup(void **state)
{
	(void)state;
	F = (struct fixture){0};
	ps_clock_fake_init(&F.clock, PS_NS_PER_SEC);
	struct ps_evloop_options lo = {.clock = &F.clock.clock};
	assert_int_equal(ps_evloop_new(&lo, &F.loop, NULL), PS_OK);
	struct ps_net_server_options o = {.server_name = "test",
					  .max_url_bytes = 100,
					  .max_header_bytes = 2000,
					  .max_headers = 10,
					  .max_body_bytes = 1 << 20};
	open_server(&o);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	ps_net_server_close(F.server);
	ps_evloop_free(F.loop);
	return 0;
}

/* --- a client of raw bytes, in the same thread --- */

static inline int dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)(void *)&F.address, sizeof F.address), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static inline void turn(void)
{
	assert_int_equal(ps_evloop_run_once(F.loop, 0, NULL), PS_OK);
}

static inline void send_all(int fd, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t w = send(fd, bytes, n, MSG_NOSIGNAL);
		if (w < 0 && errno != EAGAIN)
			return; /* the server has closed: the answer says why */
		if (w > 0) {
			bytes += w;
			n -= (size_t)w;
		}
		turn();
	}
}

/* Reads until `want` is there (whole answer), or the server closes; returns true when closed. */
static inline bool read_answer(int fd, char *buf, size_t size, const char *want)
{
	size_t n = 0;
	buf[0] = '\0';
	for (int rounds = 0; rounds < 20000; rounds++) {
		turn();
		ssize_t r = recv(fd, buf + n, size - 1 - n, 0);
		if (r > 0) {
			n += (size_t)r;
			buf[n] = '\0';
		} else if (r == 0 || (errno != EAGAIN && errno != EINTR)) {
			return true;
		} else if (want && strstr(buf, want)) {
			return false;
		} else {
			struct pollfd p = {.fd = fd, .events = POLLIN};
			poll(&p, 1, rounds < 200 ? 0 : 1);
		}
	}
	fail_msg("%s: no answer with '%s' came, only '%s'", F.row ? F.row : "",
		 want ? want : "an end", buf);
	return false;
}

/* Sends `n` bytes in steps and wants `want` in the answer, with the end of the connection or not.
 */
static inline void exchange(const char *name, const char *bytes, size_t n, size_t step,
			    const char *want, bool closes)
{
	char buf[8192];
	int fd = dial();
	F.row = name;
	for (size_t at = 0; at < n; at += step)
		send_all(fd, bytes + at, n - at < step ? n - at : step);
	bool closed = read_answer(fd, buf, sizeof buf, closes ? NULL : want);
	if (!strstr(buf, want) || closed != closes)
		fail_msg("%s (steps of %zu): wanted '%s'%s, got '%s'%s", name, step, want,
			 closes ? " and the end" : "", buf, closed ? " and the end" : "");
	close(fd);
}

#endif
