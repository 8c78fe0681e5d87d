/* HTTP/2: peers that break the rules, or keep them to do harm. Frames made by hand. */
#include "unit/net/h2_peer.h"

/* --- a handler that answers at once, or never --- */

static bool never;
static struct ps_net_request *kept[8192];
static int n_kept, gone, done;

static void on_done(void *ctx, struct ps_net_request *r, enum ps_status status, int64_t done_ns)
{
	(void)ctx, (void)r, (void)status, (void)done_ns;
	done++;
}

static void answer(struct ps_net_request *r)
{
	struct iovec piece = {(char *)"hello", 5};
	struct ps_net_answer a = {.http = 200, .body = &piece, .n_body = 1, .on_done = on_done};
	ps_net_answer(r, &a);
}

static void on_request(void *ctx, struct ps_net_request *r)
{
	(void)ctx;
	if (never)
		kept[n_kept++] = r;
	else
		answer(r);
}

static void on_gone(void *ctx, struct ps_net_request *r)
{
	(void)ctx, (void)r;
	gone++;
}

static int begin(void **state)
{
	(void)state;
	static const struct ps_net_handler handler = {.on_request = on_request, .on_gone = on_gone};
	never = false;
	n_kept = gone = done = 0;
	peer_service(&handler, NULL);
	peer_session();
	return 0;
}

static int end(void **state)
{
	(void)state;
	ps_net_h2_close(P.h);
	P.h = NULL;
	for (int i = 0; i < n_kept; i++)
		answer(kept[i]);
	peer_end();
	return 0;
}

static void raw_request(uint32_t id, bool ends)
{
	unsigned char head[256];
	size_t n = raw_head(head, "GET", "/");
	raw_frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | (ends ? NGHTTP2_FLAG_END_STREAM : 0),
		  id, head, n);
}

static bool ends_with(const char *text, const char *end_text)
{
	size_t n = strlen(text), k = strlen(end_text);
	return n >= k && strcmp(text + n - k, end_text) == 0;
}

/* --- single frames --- */

static void frames_are_judged(void **state)
{
	(void)state;
	enum { HEAD_FIELDS = -1, BAD_NAME = -2, NO_PATH = -3, CONNECT = -4, LONG_NAME = -5 };
	static const unsigned char zeros[20000] = {0};
	static const unsigned char window[4] = {0, 0, 0, 1},
				   big_window[4] = {0x7f, 0xff, 0xff, 0xff};
	static const unsigned char push[6] = {0, 2, 0, 0, 0, 2}, huge[6] = {0, 4, 0xff, 0, 0, 0};
	static const struct {
		int type, flags;
		uint32_t id;
		const void *payload;
		int n;
		const char *said;
	} rows[] = {
		{NGHTTP2_HEADERS, 5, 1, NULL, HEAD_FIELDS, "HEADERS:1 DATA:1"},
		{NGHTTP2_HEADERS, 5, 2, NULL, HEAD_FIELDS, "GOAWAY(1)"},
		{NGHTTP2_HEADERS, 5, 0, NULL, HEAD_FIELDS, "GOAWAY(1)"},
		{NGHTTP2_HEADERS, 5, 1, NULL, BAD_NAME, "RST:1(1)"},
		{NGHTTP2_HEADERS, 5, 1, NULL, NO_PATH, "RST:1(1)"},
		{NGHTTP2_HEADERS, 5, 1, NULL, CONNECT, "HEADERS:1 DATA:1"},
		{NGHTTP2_HEADERS, 5, 1, "\x7f\x80\x80\x80\x80\x80\x80", 7, "GOAWAY(9)"},
		{NGHTTP2_HEADERS, 1, 1, NULL, HEAD_FIELDS, ""}, /* CONTINUATION is to come */
		{NGHTTP2_DATA, 0, 0, zeros, 8, "GOAWAY(1)"},
		{NGHTTP2_DATA, 0, 1, zeros, 8, "GOAWAY(1)"},
		{NGHTTP2_DATA, 0, 1, zeros, 20000, "GOAWAY(6)"},
		{NGHTTP2_PING, 0, 0, zeros, 8, "PING+ack"},
		{NGHTTP2_PING, 1, 0, zeros, 8, ""},
		{NGHTTP2_PING, 0, 0, zeros, 7, "GOAWAY(6)"},
		{NGHTTP2_PING, 0, 1, zeros, 8, "GOAWAY(1)"},
		{NGHTTP2_SETTINGS, 0, 0, NULL, 0, "SETTINGS+ack"},
		{NGHTTP2_SETTINGS, 0, 0, push, 6, "GOAWAY(1)"},
		{NGHTTP2_SETTINGS, 0, 0, huge, 6, "GOAWAY(3)"},
		{NGHTTP2_SETTINGS, 0, 0, zeros, 5, "GOAWAY(6)"},
		{NGHTTP2_WINDOW_UPDATE, 0, 0, window, 4, ""},
		{NGHTTP2_WINDOW_UPDATE, 0, 0, zeros, 4, "GOAWAY(1)"},
		{NGHTTP2_WINDOW_UPDATE, 0, 0, big_window, 4, "GOAWAY(3)"},
		{NGHTTP2_WINDOW_UPDATE, 0, 3, window, 4, "GOAWAY(1)"},
		{NGHTTP2_RST_STREAM, 0, 1, zeros, 4, "GOAWAY(1)"},
		{NGHTTP2_PRIORITY, 0, 1, zeros, 5, ""},
		{NGHTTP2_PUSH_PROMISE, 4, 1, push, 6, "GOAWAY(1)"},
		{NGHTTP2_CONTINUATION, 4, 1, zeros, 4, "GOAWAY(1)"},
		{NGHTTP2_GOAWAY, 0, 0, zeros, 8, ""},
		{0xee, 0, 1, zeros, 50, ""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		unsigned char head[512];
		const void *payload = rows[i].payload;
		size_t n = rows[i].n >= 0 ? (size_t)rows[i].n : 0;
		if (rows[i].n < 0) {
			n = raw_head(head, "GET", "/");
			payload = head;
		}
		if (rows[i].n == BAD_NAME)
			n += raw_field(head + n, "Upper", "x");
		if (rows[i].n == NO_PATH)
			n = raw_field(head, ":method", "GET");
		if (rows[i].n == CONNECT) {
			n = raw_field(head, ":method", "CONNECT");
			n += raw_field(head + n, ":authority", "h");
		}
		begin(NULL);
		raw_begin();
		assert_string_equal(raw_talk(), "SETTINGS SETTINGS+ack WINDOW_UPDATE");
		raw_frame(rows[i].type, rows[i].flags, rows[i].id, payload, n);
		const char *said = raw_talk();
		if (strcmp(said, rows[i].said) != 0)
			fail_msg("row %zu: %s, not %s", i, said, rows[i].said);
		assert_int_equal(ps_net_h2_is_over(P.h),
				 strncmp(said, "GOAWAY", 6) == 0 || rows[i].type == NGHTTP2_GOAWAY);
		end(NULL);
	}
}

static void other_protocols_are_refused(void **state)
{
	(void)state;
	static const char *const rows[] = {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "\x16\x03\x01",
					   "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r"};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		begin(NULL);
		raw_put(rows[i], strlen(rows[i]));
		assert_true(ends_with(raw_talk(), "GOAWAY(1)"));
		assert_true(ps_net_h2_is_over(P.h));
		end(NULL);
	}
}

/* --- floods --- */

/* Streams begun and reset at once, faster than anybody could want them served. */
static void rapid_resets(void **state)
{
	(void)state;
	static const unsigned char cancel[4] = {0, 0, 0, 8};
	const char *said = "";
	uint32_t id = 1;
	never = true;
	raw_begin();
	for (; !strstr(said, "GOAWAY") && id < 4000; id += 2) {
		raw_request(id, true);
		raw_frame(NGHTTP2_RST_STREAM, 0, id, cancel, 4);
		said = raw_talk();
	}
	assert_true(ends_with(said, "GOAWAY(11)"));
	assert_true(id / 2 > 400 && id / 2 < 600);
	assert_true(ps_net_h2_is_over(P.h));
	ps_net_h2_close(P.h);
	assert_int_equal(gone, n_kept);
	P.h = NULL;
}

/* The same within reason: a client that gives up on some of its requests, for hours. */
static void some_resets_are_fine(void **state)
{
	(void)state;
	static const unsigned char cancel[4] = {0, 0, 0, 8};
	raw_begin();
	for (uint32_t id = 1; id < 16000; id += 2) {
		never = id % 10 == 1;
		raw_request(id, true);
		if (never)
			raw_frame(NGHTTP2_RST_STREAM, 0, id, cancel, 4);
		const char *said = raw_talk();
		assert_null(strstr(said, "GOAWAY"));
		P.now_ns += PS_NS_PER_MS;
	}
	assert_int_equal(done, 6400);
}

/* The other way: requests that make the server do the resetting. */
static void provoked_resets(void **state)
{
	(void)state;
	static const unsigned char much[4] = {0x7f, 0xff, 0xff, 0xff};
	const char *said = "";
	uint32_t id = 1;
	never = true;
	raw_begin();
	for (; !strstr(said, "GOAWAY") && id < 4000; id += 2) {
		raw_request(id, true);
		raw_frame(NGHTTP2_WINDOW_UPDATE, 0, id, much, 4);
		said = raw_talk();
	}
	if (!ends_with(said, "GOAWAY(11)"))
		fail_msg("%u: %s", id, said);
	assert_true(id / 2 < 600);
}

/* Frames that ask for work or memory and bring nothing. */
static void control_floods(void **state)
{
	(void)state;
	enum { ON_STREAM = 1 };
	static const unsigned char zeros[8] = {0}, one[4] = {0, 0, 0, 1}, padded[256] = {255};
	static const unsigned char table[6] = {0, 1, 0, 0, 16, 0};
	static const struct {
		const char *what;
		int type, flags;
		uint32_t id;
		const unsigned char *payload;
		size_t n;
	} rows[] = {
		{"pings", NGHTTP2_PING, 0, 0, zeros, 8},
		{"settings", NGHTTP2_SETTINGS, 0, 0, table, 6},
		{"empty settings", NGHTTP2_SETTINGS, 0, 0, NULL, 0},
		{"empty data", NGHTTP2_DATA, 0, ON_STREAM, NULL, 0},
		{"tiny data", NGHTTP2_DATA, 0, ON_STREAM, zeros, 1},
		{"padded data", NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, ON_STREAM, padded, 256},
		{"windows", NGHTTP2_WINDOW_UPDATE, 0, 0, one, 4},
		{"windows of a stream", NGHTTP2_WINDOW_UPDATE, 0, ON_STREAM, one, 4},
		{"priorities", NGHTTP2_PRIORITY, 0, 3, (const unsigned char *)"\0\0\0\0\20", 5},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		begin(NULL);
		raw_begin();
		raw_request(1, false);
		const char *said = raw_talk();
		int k = 0;
		for (; !strstr(said, "GOAWAY") && k < 5000; k++) {
			raw_frame(rows[i].type, rows[i].flags, rows[i].id, rows[i].payload,
				  rows[i].n);
			said = raw_talk();
		}
		if (!ends_with(said, "GOAWAY(11)") || k < 1500 || k > 2200)
			fail_msg("%s: after %d frames: %s", rows[i].what, k, said);
		assert_true(ps_net_h2_is_over(P.h));
		end(NULL);
	}
}

/* A client that works may ping as often as it works, for ever. */
static void pings_beside_work_are_fine(void **state)
{
	(void)state;
	raw_begin();
	for (uint32_t id = 1; id < 20000; id += 2) {
		raw_request(id, true);
		raw_frame(NGHTTP2_PING, 0, 0, "12345678", 8);
		raw_frame(NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\5", 4);
		assert_null(strstr(raw_talk(), "GOAWAY"));
	}
	assert_int_equal(done, 10000);
}

static void time_gives_credits_back(void **state)
{
	(void)state;
	raw_begin();
	for (int k = 0; k < 20000; k++) {
		raw_frame(NGHTTP2_PING, 0, 0, "12345678", 8);
		assert_null(strstr(raw_talk(), "GOAWAY"));
		P.now_ns += PS_NS_PER_SEC / 100;
	}
}

/* A peer that asks and never reads: what waits for it is bounded. */
static void replies_that_nobody_reads(void **state)
{
	(void)state;
	raw_begin();
	for (int k = 0; k < 1500; k++)
		raw_frame(NGHTTP2_PING, 0, 0, "12345678", 8);
	ps_net_h2_feed(P.h, R.bytes, R.n, P.now_ns);
	assert_false(ps_net_h2_wants_read(P.h));
	struct iovec iov[64];
	size_t bytes = 0, k = ps_net_h2_output(P.h, iov, 64);
	for (size_t i = 0; i < k; i++)
		bytes += iov[i].iov_len;
	assert_true(bytes < 100000);
}

static void continuation_flood(void **state)
{
	(void)state;
	unsigned char field[64];
	size_t n = raw_field(field, "x", "y");
	raw_begin();
	unsigned char head[256];
	raw_frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, head, raw_head(head, "GET", "/"));
	const char *said = raw_talk();
	int k = 0;
	for (; !strstr(said, "GOAWAY") && k < 1000; k++) {
		raw_frame(NGHTTP2_CONTINUATION, 0, 1, field, n);
		said = raw_talk();
	}
	assert_true(strstr(said, "GOAWAY") && k <= PS_NET_H2_CONTINUATIONS + 1);
	assert_true(ps_net_h2_is_over(P.h));
}

/* One entry of the table, named by one byte again and again: 4 KiB each. */
static void header_bombs(void **state)
{
	(void)state;
	static unsigned char block[16000];
	size_t n = raw_head(block, "GET", "/");
	block[n++] = 0x40; /* literal that enters the table */
	block[n++] = 1;
	block[n++] = 'x';
	block[n++] = 0x7f; /* length 127 + 2873 = 3000 */
	block[n++] = 0xb9;
	block[n++] = 0x16;
	memset(block + n, 'b', 3000);
	n += 3000;
	memset(block + n, 0x80 | 62, sizeof block - n);
	raw_begin();
	raw_frame(NGHTTP2_HEADERS, 5, 1, block, sizeof block);
	assert_true(ends_with(raw_talk(), "GOAWAY(11)"));
	assert_true(ps_net_h2_is_over(P.h));
	assert_int_equal(P.server.stats.requests, 0);
	/* The same in the trailers of a request. */
	end(NULL);
	begin(NULL);
	raw_begin();
	raw_request(1, false);
	raw_frame(NGHTTP2_HEADERS, 5, 1, block + (n - 3006), sizeof block - (n - 3006));
	assert_true(ends_with(raw_talk(), "GOAWAY(11)"));
}

static void heads_over_the_limit_are_answered(void **state)
{
	(void)state;
	static unsigned char block[8192];
	char name[16];
	size_t n = raw_head(block, "GET", "/");
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof name, "x-%d", i);
		n += raw_field(block + n, name, "abcdefghijklmnopqrstuvwxyz0123456789");
	}
	raw_begin();
	raw_frame(NGHTTP2_HEADERS, 5, 1, block, n);
	raw_request(3, true);
	assert_true(ends_with(raw_talk(), "HEADERS:1 HEADERS:3 DATA:1 DATA:3"));
	assert_int_equal(P.server.stats.refused, 1);
	assert_int_equal(done, 1);
}

static void streams_at_once_are_bounded(void **state)
{
	(void)state;
	never = true;
	raw_begin();
	for (uint32_t id = 1; id < 2 * 200; id += 2)
		raw_request(id, true);
	const char *said = raw_talk();
	assert_int_equal(n_kept, 128);
	assert_true(strstr(said, "RST:257(7)")); /* REFUSED_STREAM: may be tried again */
	assert_null(strstr(said, "GOAWAY"));
}

/* Windows of one byte: the answer leaves byte by byte, each for a frame of the client's. */
static void windows_of_one_byte(void **state)
{
	(void)state;
	static const unsigned char tiny[6] = {0, 4, 0, 0, 0, 1};
	never = true;
	raw_put(raw_magic, sizeof raw_magic - 1);
	raw_frame(NGHTTP2_SETTINGS, 0, 0, tiny, sizeof tiny);
	raw_request(1, true);
	(void)raw_talk();
	static char large[100000];
	struct iovec piece = {large, sizeof large};
	struct ps_net_answer a = {.http = 200, .body = &piece, .n_body = 1, .on_done = on_done};
	ps_net_answer(kept[0], &a);
	n_kept = 0;
	const char *said = raw_talk();
	assert_string_equal(said, "HEADERS:1 DATA:1");
	int k = 0;
	for (; !strstr(said, "GOAWAY") && k < 5000; k++) {
		raw_frame(NGHTTP2_WINDOW_UPDATE, 0, 1, "\0\0\0\1", 4);
		said = raw_talk();
	}
	assert_true(k > 1500 && k < 2500);
	assert_true(ends_with(said, "GOAWAY(11)"));
}

/* --- connections that begin and say nothing --- */

static void silence_ends_in_time(void **state)
{
	(void)state;
	enum { NOTHING, PREFACE, HALF_HEAD, HALF_PREFACE };
	for (int what = NOTHING; what <= HALF_PREFACE; what++) {
		begin(NULL);
		unsigned char head[256];
		R.n = 0;
		if (what == HALF_PREFACE)
			raw_put(raw_magic, 10);
		if (what == PREFACE)
			raw_put(raw_magic, sizeof raw_magic - 1);
		if (what == HALF_HEAD) {
			raw_begin();
			raw_frame(NGHTTP2_HEADERS, 1, 1, head, raw_head(head, "GET", "/"));
		}
		if (R.n > 0)
			(void)raw_talk();
		peer_flush();
		peer_wait(9 * PS_NS_PER_SEC);
		assert_false(ps_net_h2_is_over(P.h));
		peer_wait(2 * PS_NS_PER_SEC);
		assert_true(ps_net_h2_is_over(P.h));
		end(NULL);
	}
}

/* Whatever comes after the session has died is not looked at. */
static void the_dead_hear_nothing(void **state)
{
	(void)state;
	raw_put("nonsense that is no preface", 27);
	(void)raw_talk();
	raw_begin();
	raw_request(1, true);
	assert_string_equal(raw_talk(), "");
	assert_int_equal(done, 0);
	assert_false(ps_net_h2_wants_read(P.h));
}

#define T(f)  cmocka_unit_test_setup_teardown(f, begin, end)
#define T0(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T0(frames_are_judged),
		T0(other_protocols_are_refused),
		T(rapid_resets),
		T(some_resets_are_fine),
		T(provoked_resets),
		T0(control_floods),
		T(pings_beside_work_are_fine),
		T(time_gives_credits_back),
		T(replies_that_nobody_reads),
		T(continuation_flood),
		T(header_bombs),
		T(heads_over_the_limit_are_answered),
		T(streams_at_once_are_bounded),
		T(windows_of_one_byte),
		T0(silence_ends_in_time),
		T(the_dead_hear_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
