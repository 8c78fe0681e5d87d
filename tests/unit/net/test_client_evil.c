/* HTTP/2 of the client with a peer whose frames are made by hand: each way for an answer to go
 * wrong has an outcome of its own. */
#include "unit/net/evil_rows.h"

/* --- what the peer says --- */

static void nothing(void)
{
}
static void good(void)
{
	settings();
	HEAD("content-length", "2");
	last_data("ok");
}
static void bodiless(void)
{
	settings();
	LAST(":status", "204");
}
static void interim(void)
{
	settings();
	fields(NGHTTP2_HEADERS, 0, 1, FIELDS(":status", "103", "link", "x"));
	fields(NGHTTP2_HEADERS, 0, 1, FIELDS(":status", "100"));
	HEAD("a", "b");
	last_data("ok");
}
static void unknown_frames(void)
{
	settings();
	frame(0x77, 0xff, 1, "abc", 3);
	frame(0x78, 0, 0, NULL, 0);
	HEAD("a", "b");
	last_data("ok");
}
static void ping(void)
{
	settings();
	frame(NGHTTP2_PING, 0, 0, "12345678", 8);
	HEAD("a", "b");
	last_data("ok");
}
static void with_trailers(void)
{
	settings();
	HEAD("a", "b");
	data("ok", 2);
	LAST("x-sum", "7");
}
static void http1(void)
{
	static const char text[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
	put(text, sizeof text - 1);
}
static void zeros(void)
{
	static const char text[100];
	put(text, sizeof text);
}
static void no_settings(void)
{
	HEAD("a", "b");
}
static void only_settings(void)
{
	settings();
}
static void head_only(void)
{
	settings();
	HEAD("content-length", "5");
}
static void half_body(void)
{
	head_only();
	data("ok", 2);
}
static void half_frame(void)
{
	head_only();
	put("\x00\x00\x05", 3);
}
static void reset_cancel(void)
{
	settings();
	reset(NGHTTP2_CANCEL);
}
static void reset_after_head(void)
{
	half_body();
	reset(NGHTTP2_INTERNAL_ERROR);
}
static void reset_refused(void)
{
	settings();
	reset(NGHTTP2_REFUSED_STREAM);
}
static void goaway_below(void)
{
	settings();
	goaway(0, NGHTTP2_NO_ERROR);
}
static void goaway_and_answer(void)
{
	settings();
	goaway(1, NGHTTP2_NO_ERROR);
	HEAD("a", "b");
	last_data("ok");
}
static void goaway_only(void)
{
	settings();
	goaway(1, NGHTTP2_INTERNAL_ERROR);
}
static void push(void)
{
	static const unsigned char block[] = {0, 0, 0, 2, 0x82, 0x84, 0x86};
	settings();
	frame(NGHTTP2_PUSH_PROMISE, NGHTTP2_FLAG_END_HEADERS, 1, block, sizeof block);
	HEAD("a", "b");
	last_data("ok");
}
static void push_knowingly(void)
{
	frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
	frame(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
	push();
}
static void no_status(void)
{
	settings();
	LAST("a", "b");
}
static void bad_status(void)
{
	settings();
	LAST(":status", "2x0");
}
static void upper_case(void)
{
	settings();
	HEAD("Upper", "b");
	last_data("ok");
}
static void wrong_length(void)
{
	settings();
	HEAD("content-length", "5");
	last_data("ok");
}
static void data_first(void)
{
	settings();
	last_data("ok");
}
static void large_head(void)
{
	static const char *list[42] = {":status", "200"};
	for (int i = 2; i < 40; i += 2) {
		list[i] = "a-name-that-is-not-short";
		list[i + 1] = "a value that is not short, either";
	}
	settings();
	fields(NGHTTP2_HEADERS, 0, 1, list);
	last_data("ok");
}
static void declared_large(void)
{
	settings();
	HEAD("content-length", "100001");
	data("ok", 2);
}
static void large_body(void)
{
	static const char text[16000];
	settings();
	HEAD("a", "b");
	for (int i = 0; i < 7; i++)
		data(text, sizeof text);
	last_data("");
}
static void large_frame(void)
{
	static const char text[16385];
	settings();
	HEAD("a", "b");
	data(text, sizeof text);
}
static void bad_hpack(void)
{
	settings();
	frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, "\xff\xff\xff\xff\xff\xff", 6);
}
static void bad_window(void)
{
	settings();
	number_frame(NGHTTP2_WINDOW_UPDATE, 0, 0x7fffffff, 0, 4);
}
static void bad_stream(void)
{
	settings();
	fields(NGHTTP2_HEADERS, 0, 2, FIELDS(":status", "200"));
}
static void bad_json(void)
{
	settings();
	HEAD("inference-header-content-length", "9");
	last_data("ok");
}

/* A head in `n` frames, each with `bytes` of a field. */
static void head_in_pieces(int n, size_t bytes)
{
	settings();
	frame(NGHTTP2_HEADERS, 0, 1, "\x88", 1);
	for (int i = 1; i < n; i++)
		frame(NGHTTP2_CONTINUATION, i + 1 == n ? NGHTTP2_FLAG_END_HEADERS : 0, 1,
		      "\x00\x01y\x01z", bytes);
	last_data("ok");
}
static void continuations(void)
{
	head_in_pieces(4, 5);
}
static void many_continuations(void)
{
	head_in_pieces(80, 0); /* nothing in them: no limit of the head is met */
}

static const struct evil_row rows[] = {
	{"good", good, STAY, PS_NET_OK, 200, 0, true, "ok", false},
	{"good, then the end", good, CLOSE, PS_NET_OK, 200, 0, false, "ok", false},
	{"no body", bodiless, STAY, PS_NET_OK, 204, 0, true, "", false},
	{"interim", interim, STAY, PS_NET_OK, 200, 0, true, "ok", false},
	{"unknown frames", unknown_frames, STAY, PS_NET_OK, 200, 0, true, "ok", false},
	{"ping", ping, STAY, PS_NET_OK, 200, 0, true, "ok", false},
	{"trailers", with_trailers, STAY, PS_NET_OK, 200, 0, true, "ok", false},
	{"http/1.1", http1, STAY, PS_NET_PROTOCOL, 0, 0, false, NULL, false},
	{"zeros", zeros, STAY, PS_NET_PROTOCOL, 0, 0, false, NULL, false},
	{"no settings", no_settings, STAY, PS_NET_PROTOCOL, 0, 0, false, NULL, false},
	{"the end", nothing, CLOSE, PS_NET_RESET, 0, 0, false, NULL, false},
	{"reset", nothing, RESET, PS_NET_RESET, 0, 0, false, NULL, false},
	{"settings, the end", only_settings, CLOSE, PS_NET_RESET, 0, 0, false, NULL, false},
	{"head, the end", head_only, CLOSE, PS_NET_HALF, 200, 0, false, NULL, false},
	{"half a body", half_body, CLOSE, PS_NET_HALF, 200, 0, false, NULL, false},
	{"half a body, reset", half_body, RESET, PS_NET_HALF, 200, 0, false, NULL, false},
	{"half a frame", half_frame, CLOSE, PS_NET_HALF, 200, 0, false, NULL, false},
	{"stream reset", reset_cancel, STAY, PS_NET_STREAM, 0, NGHTTP2_CANCEL, true, NULL, false},
	{"stream reset late", reset_after_head, STAY, PS_NET_STREAM, 200, NGHTTP2_INTERNAL_ERROR,
	 true, NULL, false},
	{"stream refused", reset_refused, STAY, PS_NET_GOAWAY, 0, NGHTTP2_REFUSED_STREAM, true,
	 NULL, false},
	{"goaway below", goaway_below, STAY, PS_NET_GOAWAY, 0, NGHTTP2_REFUSED_STREAM, false, NULL,
	 false},
	{"goaway and answer", goaway_and_answer, STAY, PS_NET_OK, 200, 0, false, "ok", false},
	{"goaway, the end", goaway_only, CLOSE, PS_NET_RESET, 0, 0, false, NULL, false},
	{"push", push, STAY, PS_NET_OK, 200, 0, true, "ok", false}, /* refused */
	{"push knowingly", push_knowingly, STAY, PS_NET_MALFORMED, 0, 0, false, NULL, false},
	{"no status", no_status, STAY, PS_NET_MALFORMED, 0, 0, true, NULL, false},
	{"bad status", bad_status, STAY, PS_NET_MALFORMED, 0, 0, true, NULL, false},
	{"upper case", upper_case, STAY, PS_NET_MALFORMED, 200, 0, true, NULL, false},
	{"wrong length", wrong_length, STAY, PS_NET_MALFORMED, 200, 0, true, NULL, false},
	{"data first", data_first, STAY, PS_NET_MALFORMED, 0, 0, false, NULL, false},
	{"large head", large_head, STAY, PS_NET_TOO_BIG, 200, 0, true, NULL, false},
	{"declared large", declared_large, STAY, PS_NET_TOO_BIG, 200, 0, true, NULL, false},
	{"large body", large_body, STAY, PS_NET_TOO_BIG, 200, 0, true, NULL, false},
	{"large frame", large_frame, STAY, PS_NET_MALFORMED, 200, 0, false, NULL, false},
	{"bad hpack", bad_hpack, STAY, PS_NET_MALFORMED, 0, 0, false, NULL, false},
	{"bad window", bad_window, STAY, PS_NET_MALFORMED, 0, 0, false, NULL, false},
	{"bad stream", bad_stream, STAY, PS_NET_MALFORMED, 0, 0, false, NULL, false},
	{"continuations", continuations, STAY, PS_NET_OK, 200, 0, true, "ok", false},
	{"many continuations", many_continuations, STAY, PS_NET_MALFORMED, 200, 0, false, NULL,
	 false},
	{"bad json length", bad_json, STAY, PS_NET_MALFORMED, 200, 0, true, NULL, false},
};

static void each_answer_has_its_outcome(void **state)
{
	(void)state;
	check_rows(rows, sizeof rows / sizeof rows[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_answer_has_its_outcome),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
