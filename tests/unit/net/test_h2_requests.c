/* HTTP/2: requests and answers, through a session and a client in memory. */
#include "unit/net/h2_peer.h"

#include <zlib.h>

enum { KEEP = 600 };

/* A handler that answers at once, or keeps requests until it is told. */
static struct {
	bool keep;
	struct ps_net_request *kept[KEEP];
	int n_kept, gone, done, cancelled;
	enum ps_status head_status;
	char said[512];	 /* of the last request */
	uintptr_t align; /* of the tensor of the last request, modulo 64 */
	char *answer;
	size_t answer_bytes;
	int pieces; /* the answer comes in so many */
	size_t max_body_bytes;
	bool compress;
} H;

static void on_done(void *ctx, struct ps_net_request *r, enum ps_status status, int64_t done_ns)
{
	(void)ctx, (void)r;
	if (status == PS_OK)
		assert_int_equal(done_ns, P.now_ns);
	H.done += status == PS_OK;
	H.cancelled += status == PS_ECANCELLED;
}

static void answer(struct ps_net_request *r)
{
	struct iovec iov[64];
	int n = H.pieces ? H.pieces : 1;
	char *from = H.answer ? H.answer : r->body;
	size_t bytes = H.answer ? H.answer_bytes : r->body_bytes;
	for (int i = 0; i < n; i++) {
		size_t a = bytes * (size_t)i / (size_t)n, b = bytes * (size_t)(i + 1) / (size_t)n;
		iov[i] = (struct iovec){from + a, b - a};
	}
	const struct ps_net_header headers[] = {
		{"Content-Type", "text/plain"}, {"Connection", "x"}, {"X-Bad", "a\nb"}};
	struct ps_net_answer a = {.http = 200,
				  .headers = headers,
				  .n_headers = 3,
				  .body = iov,
				  .n_body = bytes ? (size_t)n : 0,
				  .compress = H.compress,
				  .on_done = on_done};
	ps_net_answer(r, &a);
}

static enum ps_status on_head(void *ctx, struct ps_net_request *r, struct ps_error *err)
{
	(void)ctx;
	if (H.max_body_bytes)
		r->max_body_bytes = H.max_body_bytes;
	if (H.head_status == PS_OK)
		return PS_OK;
	static const struct ps_net_header later = {"Retry-After", "7"};
	r->refusal_headers = &later;
	r->n_refusal_headers = 1;
	return ps_error_set(err, H.head_status, "no \"entry\"");
}

static void on_request(void *ctx, struct ps_net_request *r)
{
	(void)ctx;
	const char *host = ps_net_header_get(r->headers, r->n_headers, "Host");
	const char *x = ps_net_header_get(r->headers, r->n_headers, "X-More");
	snprintf(H.said, sizeof H.said, "%s %s?%s host=%s x=%s body=%zu json=%d peer=%s v%d",
		 r->method, r->path, r->query, host ? host : "-", x ? x : "-", r->body_bytes,
		 (int)r->json_bytes, r->peer, r->http_major);
	size_t json = r->json_bytes > 0 ? (size_t)r->json_bytes : 0;
	H.align = ((uintptr_t)r->body + json) % 64;
	if (H.keep)
		H.kept[H.n_kept++] = r;
	else
		answer(r);
}

static void on_gone(void *ctx, struct ps_net_request *r)
{
	(void)ctx;
	assert_true(r->gone);
	H.gone++;
}

static int begin(void **state)
{
	(void)state;
	static const struct ps_net_handler handler = {
		.on_head = on_head, .on_request = on_request, .on_gone = on_gone};
	memset(&H, 0, sizeof H);
	peer_service(&handler, NULL);
	peer_session();
	peer_client(0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	ps_net_h2_close(P.h);
	P.h = NULL;
	for (int i = 0; i < H.n_kept; i++)
		if (H.kept[i])
			answer(H.kept[i]);
	peer_end();
	free(H.answer);
	return 0;
}

/* Bytes without a short period. */
static char *noise(size_t n)
{
	char *p = malloc(n);
	uint32_t x = 12345;
	assert_non_null(p);
	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = (char)(x >> 24);
	}
	return p;
}

static void requests_are_answered(void **state)
{
	(void)state;
	static const struct {
		const char *method, *path;
		const char *fields[5];
		const char *body;
		const char *said;
	} rows[] = {
		{"GET", "/", {NULL}, NULL, "GET /? host=h x=- body=0 json=-1 peer=192.0.2.1:5 v2"},
		{"GET",
		 "/a%20b?c=d?e",
		 {"x-more", "y", NULL},
		 NULL,
		 "GET /a%20b?c=d?e host=h x=y body=0 json=-1 peer=192.0.2.1:5 v2"},
		{"POST",
		 "/p",
		 {"inference-header-content-length", "2", "host", "other", NULL},
		 "{}tensor",
		 "POST /p? host=other x=- body=8 json=2 peer=192.0.2.1:5 v2"},
		{"POST",
		 "/p",
		 {"content-length", "3", NULL},
		 "abc",
		 "POST /p? host=h x=- body=3 json=-1 peer=192.0.2.1:5 v2"},
		{"DELETE",
		 "/p",
		 {NULL},
		 "",
		 "DELETE /p? host=h x=- body=0 json=-1 "
		 "peer=192.0.2.1:5 v2"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct saying body = {.bytes = rows[i].body,
				      .n = rows[i].body ? strlen(rows[i].body) : 0};
		int32_t id = peer_request(rows[i].method, rows[i].path, rows[i].fields,
					  rows[i].body ? &body : NULL);
		peer_run();
		struct heard *r = &P.heard[id];
		assert_string_equal(H.said, rows[i].said);
		assert_true(r->closed && r->ended && r->code == 0);
		char want[256];
		snprintf(want, sizeof want,
			 ":status: 200\nserver: test\ncontent-type: text/plain\ncontent-length: "
			 "%zu\n",
			 body.n);
		assert_string_equal(r->head, want);
		assert_int_equal(r->n, body.n);
		if (body.n > 0) {
			assert_memory_equal(r->body, body.bytes, body.n);
			assert_int_equal(H.align, 0);
		}
	}
	assert_int_equal(H.done, sizeof rows / sizeof rows[0]);
}

static void head_has_no_body(void **state)
{
	(void)state;
	H.answer = strdup("hello");
	H.answer_bytes = 5;
	int32_t id = peer_request("HEAD", "/", NULL, NULL);
	peer_run();
	assert_true(P.heard[id].ended && P.heard[id].n == 0);
	assert_non_null(strstr(P.heard[id].head, "content-length: 5\n"));
	assert_int_equal(H.done, 1);
}

static void large_bodies_go_both_ways(void **state)
{
	(void)state;
	static const size_t steps[] = {0, 1000, 16384};
	static const size_t writes[] = {0, 1, 977, 100000};
	enum { BYTES = 300000 };
	char *bytes = noise(BYTES);
	for (size_t i = 0; i < 12; i++) {
		struct saying body = {.bytes = bytes, .n = BYTES, .step = steps[i % 3]};
		P.write_max = writes[i / 3];
		H.pieces = 1 + (int)i * 5;
		int32_t id = peer_request("POST", "/", NULL, &body);
		peer_run();
		assert_int_equal(P.heard[id].n, BYTES);
		assert_memory_equal(P.heard[id].body, bytes, BYTES);
		assert_true(P.heard[id].ended && P.heard[id].closed);
	}
	assert_int_equal(P.server.stats.answered, 12);
	assert_int_equal(P.server.stats.buffered_bytes, 0);
	free(bytes);
}

/* Answers need not come in the order of the requests. */
static void many_at_once(void **state)
{
	(void)state;
	enum { N = 100 };
	H.keep = true;
	H.answer = noise(70000);
	H.answer_bytes = 70000;
	for (int i = 0; i < N; i++)
		peer_request("GET", "/", NULL, NULL);
	peer_run();
	assert_int_equal(H.n_kept, N);
	assert_int_equal(P.server.stats.in_flight, N);
	P.wakes = 0;
	for (int i = N; i-- > 0;) {
		answer(H.kept[i]);
		H.kept[i] = NULL;
	}
	assert_int_equal(P.wakes, 1); /* once, until the output has been asked for */
	peer_run();
	assert_int_equal(H.done, N);
	for (int i = 0; i < N; i++) {
		assert_int_equal(P.heard[1 + 2 * i].n, 70000);
		assert_memory_equal(P.heard[1 + 2 * i].body, H.answer, 70000);
	}
}

static void compressed_bodies_are_inflated(void **state)
{
	(void)state;
	static char plain[50000];
	static unsigned char packed[60000];
	uLongf n = sizeof packed;
	memset(plain, 'z', sizeof plain);
	assert_int_equal(compress2(packed, &n, (unsigned char *)plain, sizeof plain, 9), Z_OK);
	struct saying body = {.bytes = (char *)packed, .n = n};
	const char *const fields[] = {"content-encoding", "deflate", NULL};
	int32_t id = peer_request("POST", "/", fields, &body);
	peer_run();
	assert_int_equal(P.heard[id].n, sizeof plain);
	assert_memory_equal(P.heard[id].body, plain, sizeof plain);
}

static void answers_are_compressed_when_asked(void **state)
{
	(void)state;
	static unsigned char plain[60000];
	uLongf n = sizeof plain;
	H.answer = calloc(1, 50000);
	H.answer_bytes = 50000;
	H.compress = true;
	const char *const fields[] = {"accept-encoding", "deflate", NULL};
	int32_t id = peer_request("GET", "/", fields, NULL);
	peer_run();
	assert_non_null(strstr(P.heard[id].head, "content-encoding: deflate\n"));
	assert_int_equal(uncompress(plain, &n, (unsigned char *)P.heard[id].body, P.heard[id].n),
			 Z_OK);
	assert_int_equal(n, 50000);
}

/* --- refusals --- */

static void refused(int32_t id, const char *status, const char *text)
{
	struct heard *r = &P.heard[id];
	char want[64];
	snprintf(want, sizeof want, ":status: %s\n", status);
	assert_non_null(strstr(r->head, want));
	assert_true(r->ended && r->closed);
	assert_true(r->n > 0 && memmem(r->body, r->n, text, strlen(text)));
	assert_int_equal(H.n_kept + H.done, 0);
}

static void handlers_may_refuse_heads(void **state)
{
	(void)state;
	static char big[100000];
	struct saying body = {.bytes = big, .n = sizeof big};
	H.head_status = PS_EQUOTA;
	int32_t id = peer_request("POST", "/", NULL, &body);
	peer_run();
	refused(id, "429", "{\"error\":\"no \\\"entry\\\"\"}");
	assert_non_null(strstr(P.heard[id].head, "retry-after: 7\n"));
	assert_int_equal(P.server.stats.refused, 1);
	assert_int_equal(P.heard[id].code, NGHTTP2_NO_ERROR);
	/* The connection goes on. */
	H.head_status = PS_OK;
	id = peer_request("GET", "/", NULL, NULL);
	peer_run();
	assert_true(P.heard[id].ended);
	assert_int_equal(H.done, 1);
}

static void large_heads_are_refused(void **state)
{
	(void)state;
	static char text[3000], path[400];
	memset(text, 'x', sizeof text - 1);
	memset(path, '/', sizeof path - 1);
	const char *many[50] = {NULL};
	for (int i = 0; i < 24; i++) {
		many[2 * i] = "x-many";
		many[2 * i + 1] = "1";
	}
	const char *const big[] = {"x-a", text, "x-b", text, NULL};
	int32_t id = peer_request("GET", "/", big, NULL);
	peer_run();
	refused(id, "431", "the header is too large");
	id = peer_request("GET", "/", many, NULL);
	peer_run();
	refused(id, "431", "too many header fields");
	id = peer_request("GET", path, NULL, NULL);
	peer_run();
	refused(id, "414", "the path is too long");
}

static void large_bodies_are_refused(void **state)
{
	(void)state;
	char *bytes = noise(5 << 20);
	struct saying body = {.bytes = bytes, .n = 5 << 20};
	int32_t id = peer_request("POST", "/", NULL, &body);
	peer_run();
	refused(id, "413", "the body is too large");
	assert_true(body.at < body.n); /* told before all was sent */
	const char *const fields[] = {"content-length", "5242880", NULL};
	body.at = 0;
	id = peer_request("POST", "/", fields, &body);
	peer_run();
	refused(id, "413", "the body is too large");
	assert_true(body.at <= PS_NET_H2_STREAM_WINDOW);
	H.max_body_bytes = 1000;
	body = (struct saying){.bytes = bytes, .n = 2000};
	id = peer_request("POST", "/", NULL, &body);
	peer_run();
	refused(id, "413", "the body is too large");
	free(bytes);
}

/* Bodies of all streams together. */
static void too_many_bodies_are_refused(void **state)
{
	(void)state;
	char *bytes = noise(3 << 20);
	struct saying bodies[8];
	int32_t ids[8];
	H.keep = true;
	for (int i = 0; i < 8; i++) {
		bodies[i] = (struct saying){.bytes = bytes, .n = 3 << 20};
		ids[i] = peer_request("POST", "/", NULL, &bodies[i]);
	}
	peer_run();
	int busy = 0;
	for (int i = 0; i < 8; i++)
		busy += strstr(P.heard[ids[i]].head, ":status: 503") != NULL;
	assert_true(busy >= 3 && busy + H.n_kept == 8);
	assert_true(P.server.stats.buffered_bytes <= P.server.o.max_buffered_bytes);
	free(bytes);
}

/* --- clients that leave, or are slow --- */

static void resets_are_told(void **state)
{
	(void)state;
	H.keep = true;
	int32_t id = peer_request("GET", "/", NULL, NULL);
	peer_run();
	nghttp2_submit_rst_stream(P.client, 0, id, NGHTTP2_CANCEL);
	peer_run();
	assert_int_equal(H.gone, 1);
	assert_int_equal(H.cancelled, 0);
	answer(H.kept[0]);
	H.kept[0] = NULL;
	assert_int_equal(H.cancelled, 1);
	assert_int_equal(H.gone, 1);
	assert_int_equal(P.server.stats.gone, 1);
}

/* Lent bytes are held until they are written or the connection goes, also of a stream that was
 * reset. */
static void reset_amid_an_answer(void **state)
{
	(void)state;
	H.keep = true;
	H.answer = noise(200000);
	H.answer_bytes = 200000;
	int32_t id = peer_request("GET", "/", NULL, NULL);
	peer_run();
	answer(H.kept[0]);
	H.kept[0] = NULL;
	struct iovec iov[2];
	assert_true(ps_net_h2_output(P.h, iov, 2) > 0); /* begun, and not written */
	nghttp2_submit_rst_stream(P.client, 0, id, NGHTTP2_CANCEL);
	P.stuck = true;
	peer_run();
	assert_int_equal(H.done + H.cancelled, 0);
	P.stuck = false;
	peer_run();
	assert_int_equal(H.cancelled, 1);
}

static void connections_that_break(void **state)
{
	(void)state;
	H.keep = true;
	H.answer = noise(200000);
	H.answer_bytes = 200000;
	char *bytes = noise(1000);
	struct saying half = {.bytes = bytes, .n = 1000, .open = true};
	peer_request("GET", "/", NULL, NULL);
	peer_request("GET", "/", NULL, NULL);
	peer_request("POST", "/", NULL, &half);
	peer_run();
	P.stuck = true;
	answer(H.kept[0]);
	H.kept[0] = NULL;
	ps_net_h2_close(P.h);
	assert_int_equal(H.cancelled, 1);
	assert_int_equal(H.gone, 1);
	assert_int_equal(P.frees, 0);
	answer(H.kept[1]);
	H.kept[1] = NULL;
	assert_int_equal(H.cancelled, 2);
	assert_int_equal(P.frees, 1);
	P.h = NULL;
	free(bytes);
}

static void half_closed_connections_are_answered(void **state)
{
	(void)state;
	H.keep = true;
	H.answer = strdup("late");
	H.answer_bytes = 4;
	int32_t id = peer_request("GET", "/", NULL, NULL);
	peer_run();
	ps_net_h2_eof(P.h, P.now_ns);
	peer_flush();
	assert_false(ps_net_h2_is_over(P.h));
	assert_int_equal(H.gone, 1); /* most probably */
	answer(H.kept[0]);
	H.kept[0] = NULL;
	peer_flush();
	assert_int_equal(P.heard[id].n, 4);
	assert_true(ps_net_h2_is_over(P.h));
}

static void draining_serves_what_has_begun(void **state)
{
	(void)state;
	H.keep = true;
	H.answer = strdup("late");
	H.answer_bytes = 4;
	int32_t a = peer_request("GET", "/", NULL, NULL);
	peer_run();
	int32_t b = peer_request("GET", "/", NULL, NULL);
	ps_net_h2_drain(P.h);
	peer_run(); /* b was on its way before the client could know */
	assert_int_equal(H.n_kept, 2);
	assert_int_equal(P.goaway, NGHTTP2_NO_ERROR);
	assert_false(ps_net_h2_is_over(P.h));
	answer(H.kept[0]);
	answer(H.kept[1]);
	H.kept[0] = H.kept[1] = NULL;
	peer_run();
	assert_true(P.heard[a].ended && P.heard[b].ended);
	assert_int_equal(H.done, 2);
	assert_true(ps_net_h2_is_over(P.h));
}

static void slow_bodies_are_refused(void **state)
{
	(void)state;
	char *bytes = noise(1000);
	struct saying half = {.bytes = bytes, .n = 1000, .open = true};
	int32_t id = peer_request("POST", "/", NULL, &half);
	peer_run();
	peer_wait(29 * PS_NS_PER_SEC);
	assert_false(P.heard[id].ended);
	peer_wait(2 * PS_NS_PER_SEC);
	peer_run();
	refused(id, "408", "the body took too long");
	free(bytes);
}

/* Progress alone is not enough. */
static void bodies_that_trickle_are_refused(void **state)
{
	(void)state;
	char *bytes = noise(100000);
	struct saying body = {.bytes = bytes, .n = 1000, .open = true};
	int32_t id = peer_request("POST", "/", NULL, &body);
	for (int i = 0; i < 60 && !P.heard[id].ended; i++) {
		body.n += 1000;
		nghttp2_session_resume_data(P.client, id);
		peer_run();
		peer_wait(PS_NS_PER_SEC);
	}
	peer_run();
	refused(id, "408", "the body took too long");
	free(bytes);
}

/* A client that never opens its window holds a stream; one that does not read, the connection. */
static void clients_that_do_not_read(void **state)
{
	(void)state;
	H.answer = noise(200000);
	H.answer_bytes = 200000;
	nghttp2_session_del(P.client);
	peer_client(-1);
	int32_t id = peer_request("GET", "/", NULL, NULL);
	peer_run();
	assert_non_null(strstr(P.heard[id].head, ":status: 200"));
	peer_wait(29 * PS_NS_PER_SEC);
	assert_int_equal(H.cancelled, 0);
	peer_wait(2 * PS_NS_PER_SEC);
	peer_run();
	assert_int_equal(H.cancelled, 1);
	assert_int_equal(P.heard[id].code, NGHTTP2_CANCEL);
	assert_false(ps_net_h2_is_over(P.h));

	peer_request("GET", "/", NULL, NULL);
	P.stuck = true;
	peer_run();
	struct iovec iov[2];
	assert_true(ps_net_h2_output(P.h, iov, 2) > 0);
	for (int i = 0; i < 40 && !ps_net_h2_is_over(P.h); i++)
		peer_wait(PS_NS_PER_SEC);
	assert_true(ps_net_h2_is_over(P.h));
}

/* The client's window of stream `id` opens by `step` bytes a second; how long that went on. */
static int open_slowly(int32_t id, int step)
{
	int seconds = 0;
	while (!P.heard[id].closed && seconds < 1000) {
		nghttp2_submit_window_update(P.client, 0, id, step);
		peer_run();
		peer_wait(PS_NS_PER_SEC);
		peer_run();
		seconds++;
	}
	return seconds;
}

/* Progress alone is not enough: an answer's memory is held until its last byte. */
static void windows_that_open_by_a_byte(void **state)
{
	(void)state;
	static const struct {
		int step;
		bool whole;
		int min_s, max_s;
	} rows[] = {
		{1, false, 30, 32},
		{2000, false, 30, 36},
		{16 * 1024, true, 60, 64},
		{64 * 1024, true, 15, 18},
	};
	H.answer = noise(1000000);
	H.answer_bytes = 1000000;
	nghttp2_session_del(P.client);
	peer_client(-1);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int done = H.done, cancelled = H.cancelled;
		int32_t id = peer_request("GET", "/", NULL, NULL);
		int seconds = open_slowly(id, rows[i].step);
		if (seconds < rows[i].min_s || seconds > rows[i].max_s)
			fail_msg("%d bytes a second: %d s", rows[i].step, seconds);
		assert_int_equal(H.done - done, rows[i].whole);
		assert_int_equal(H.cancelled - cancelled, !rows[i].whole);
		assert_int_equal(P.heard[id].code,
				 rows[i].whole ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
	}
}

/* The same for a socket that takes a byte now and then: what is framed counts by the session. */
static void sockets_that_take_a_byte(void **state)
{
	(void)state;
	struct iovec iov[8];
	int seconds = 0;
	H.answer = noise(60000);
	H.answer_bytes = 60000;
	peer_run();
	peer_request("GET", "/", NULL, NULL);
	P.stuck = true;
	peer_run();
	while (ps_net_h2_output(P.h, iov, 8) > 0 && seconds < 1000) {
		ps_net_h2_wrote(P.h, 1, P.now_ns);
		peer_wait(PS_NS_PER_SEC);
		seconds++;
	}
	assert_true(ps_net_h2_is_over(P.h));
	assert_in_range(seconds, 30, 32);
	assert_int_equal(H.cancelled, 1);
}

/* What cannot be done now is not asked for again and again: the next tick is in the future. */
static void ticks_do_not_spin(void **state)
{
	(void)state;
	struct iovec iov[8];
	H.answer = noise(60000);
	H.answer_bytes = 60000;
	P.server.o.idle_timeout_ns = PS_NS_PER_SEC;
	peer_run();
	peer_request("GET", "/", NULL, NULL);
	P.stuck = true;
	peer_run();
	assert_true(ps_net_h2_output(P.h, iov, 8) > 0);
	peer_wait(2 * PS_NS_PER_SEC); /* idle, and its GOAWAY cannot be written */
	assert_true(ps_net_h2_deadline_ns(P.h) > P.now_ns);
	peer_wait(29 * PS_NS_PER_SEC);
	assert_true(ps_net_h2_is_over(P.h));
}

static void resets_are_asked_for_once(void **state)
{
	(void)state;
	H.answer = noise(60000);
	H.answer_bytes = 60000;
	nghttp2_session_del(P.client);
	peer_client(-1);
	peer_request("GET", "/", NULL, NULL);
	peer_run();
	P.stuck = true;
	peer_wait(31 * PS_NS_PER_SEC);
	assert_true(ps_net_h2_deadline_ns(P.h) > P.now_ns);
	P.stuck = false;
	peer_run();
	assert_int_equal(H.cancelled, 1);
}

static void idle_sessions_end(void **state)
{
	(void)state;
	peer_request("GET", "/", NULL, NULL);
	peer_run();
	peer_wait(74 * PS_NS_PER_SEC);
	assert_false(ps_net_h2_is_over(P.h));
	peer_wait(2 * PS_NS_PER_SEC);
	assert_true(ps_net_h2_is_over(P.h));
	assert_int_equal(P.goaway, NGHTTP2_NO_ERROR);
}

static void requests_that_wait_keep_a_session(void **state)
{
	(void)state;
	H.keep = true;
	peer_request("GET", "/", NULL, NULL);
	peer_run();
	peer_wait(1000 * PS_NS_PER_SEC);
	assert_false(ps_net_h2_is_over(P.h));
	assert_int_equal(H.gone, 0);
}

/* Streams and buffers are used again: what one request left must not show in the next. */
static void streams_are_reused(void **state)
{
	(void)state;
	const char *const fields[] = {"x-more", "first", NULL};
	for (int i = 0; i < 100; i++) {
		struct saying body = {.bytes = "{}12", .n = 4};
		int32_t id = peer_request("POST", "/a", i % 2 ? NULL : fields, &body);
		peer_run();
		assert_true(P.heard[id].ended);
		assert_non_null(strstr(H.said, i % 2 ? "x=- body=4" : "x=first body=4"));
	}
	assert_int_equal(H.done, 100);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(requests_are_answered),
		T(head_has_no_body),
		T(large_bodies_go_both_ways),
		T(many_at_once),
		T(compressed_bodies_are_inflated),
		T(answers_are_compressed_when_asked),
		T(handlers_may_refuse_heads),
		T(large_heads_are_refused),
		T(large_bodies_are_refused),
		T(too_many_bodies_are_refused),
		T(resets_are_told),
		T(reset_amid_an_answer),
		T(connections_that_break),
		T(half_closed_connections_are_answered),
		T(draining_serves_what_has_begun),
		T(slow_bodies_are_refused),
		T(bodies_that_trickle_are_refused),
		T(clients_that_do_not_read),
		T(windows_that_open_by_a_byte),
		T(sockets_that_take_a_byte),
		T(ticks_do_not_spin),
		T(resets_are_asked_for_once),
		T(idle_sessions_end),
		T(requests_that_wait_keep_a_session),
		T(streams_are_reused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
