/* HTTP/2 of the client with a peer whose frames are made by hand: each way for an answer to go
 * wrong has an outcome of its own, in one piece or byte by byte. */
#include "unit/net/client_rig.h"

#include <nghttp2/nghttp2.h>

/* --- frames --- */

static struct {
	unsigned char bytes[1 << 18];
	size_t n;
} B;

static void put(const void *bytes, size_t n)
{
	assert_true(B.n + n <= sizeof B.bytes);
	if (n > 0)
		memcpy(B.bytes + B.n, bytes, n);
	B.n += n;
}

static void frame(int type, int flags, uint32_t id, const void *payload, size_t n)
{
	unsigned char head[9] = {
		(unsigned char)(n >> 16),  (unsigned char)(n >> 8),  (unsigned char)n,
		(unsigned char)type,	   (unsigned char)flags,     (unsigned char)(id >> 24),
		(unsigned char)(id >> 16), (unsigned char)(id >> 8), (unsigned char)id};
	put(head, sizeof head);
	put(payload, n);
}

static void settings(void)
{
	frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
}

/* A block of fields {name, value, ..., NULL} as literals that enter no table. */
static void fields(int type, int flags, uint32_t id, const char *const *list)
{
	static unsigned char block[1 << 16];
	size_t at = 0;
	for (; list[0]; list += 2) {
		size_t n = strlen(list[0]), v = strlen(list[1]);
		assert_true(n < 127 && v < 127 && at + n + v + 3 < sizeof block);
		block[at++] = 0;
		block[at++] = (unsigned char)n;
		memcpy(block + at, list[0], n);
		at += n;
		block[at++] = (unsigned char)v;
		memcpy(block + at, list[1], v);
		at += v;
	}
	frame(type, flags | NGHTTP2_FLAG_END_HEADERS, id, block, at);
}

#define FIELDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define HEAD(...)   fields(NGHTTP2_HEADERS, 0, 1, FIELDS(":status", "200", ##__VA_ARGS__))
#define GRPC(...)   HEAD("content-type", "application/grpc", ##__VA_ARGS__)
#define LAST(...)   fields(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, FIELDS(__VA_ARGS__))

static void data(const void *bytes, size_t n)
{
	frame(NGHTTP2_DATA, 0, 1, bytes, n);
}

static void last_data(const char *text)
{
	frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, text, strlen(text));
}

static void number_frame(int type, uint32_t id, uint32_t a, uint32_t b, size_t n)
{
	unsigned char p[8];
	for (int i = 0; i < 4; i++) {
		p[i] = (unsigned char)(a >> (24 - 8 * i));
		p[4 + i] = (unsigned char)(b >> (24 - 8 * i));
	}
	frame(type, 0, id, p, n);
}

static void reset(uint32_t code)
{
	number_frame(NGHTTP2_RST_STREAM, 1, code, 0, 4);
}

static void goaway(uint32_t last, uint32_t code)
{
	number_frame(NGHTTP2_GOAWAY, 0, last, code, 8);
}

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
static void reset_calm(void)
{
	settings();
	reset(NGHTTP2_ENHANCE_YOUR_CALM);
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

static void grpc_good(void)
{
	settings();
	GRPC("a", "b");
	data("\0\0\0\0\2ok", 7);
	LAST("grpc-status", "0");
}
static void grpc_pieces(void)
{
	settings();
	GRPC("a", "b");
	data("\0\0", 2);
	data("\0\0\2o", 4);
	data("", 0);
	data("k", 1);
	LAST("grpc-status", "0", "grpc-message", "");
}
static void grpc_empty(void)
{
	settings();
	GRPC("a", "b");
	data("\0\0\0\0\0", 5);
	LAST("grpc-status", "0");
}
static void grpc_refusal(void)
{
	settings();
	LAST(":status", "200", "content-type", "application/grpc", "grpc-status", "14",
	     "grpc-message", "a%20b");
}
static void grpc_odd_status(void)
{
	settings();
	LAST(":status", "200", "content-type", "application/grpc+proto", "grpc-status", "07",
	     "grpc-message", "%zz");
}
static void grpc_http_error(void)
{
	settings();
	LAST(":status", "503", "content-type", "text/plain");
}
static void grpc_html(void)
{
	settings();
	HEAD("content-type", "text/html");
	last_data("ok");
}
static void grpc_compressed(void)
{
	settings();
	GRPC("a", "b");
	data("\1\0\0\0\2ok", 7);
	LAST("grpc-status", "0");
}
static void grpc_half_message(void)
{
	settings();
	GRPC("a", "b");
	data("\0\0\0\0\5ok", 7);
	LAST("grpc-status", "0");
}
static void grpc_half_prefix(void)
{
	settings();
	GRPC("a", "b");
	data("\0\0\0", 3);
	LAST("grpc-status", "0");
}
static void grpc_no_trailers(void)
{
	settings();
	GRPC("a", "b");
	frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "\0\0\0\0\2ok", 7);
}
static void grpc_no_message(void)
{
	settings();
	GRPC("a", "b");
	LAST("grpc-status", "0");
}
static void grpc_two_messages(void)
{
	settings();
	GRPC("a", "b");
	data("\0\0\0\0\1o\0\0\0\0\1k", 12);
	LAST("grpc-status", "0");
}
static void grpc_huge(void)
{
	settings();
	GRPC("a", "b");
	data("\0\xff\xff\xff\xff", 5);
}

enum after { STAY, CLOSE, RESET };

static const struct {
	const char *name;
	void (*say)(void);
	enum after after;
	enum ps_net_outcome outcome;
	int status; /* HTTP's; of calls of gRPC theirs */
	uint32_t code;
	bool kept;	  /* the connection serves on */
	const char *text; /* body, or grpc-message */
	bool grpc;
} rows[] = {
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

	{"grpc: good", grpc_good, STAY, PS_NET_OK, 0, 0, true, "ok", true},
	{"grpc: pieces", grpc_pieces, STAY, PS_NET_OK, 0, 0, true, "ok", true},
	{"grpc: empty", grpc_empty, STAY, PS_NET_OK, 0, 0, true, "", true},
	{"grpc: refusal", grpc_refusal, STAY, PS_NET_OK, 14, 0, true, "a b", true},
	{"grpc: odd status", grpc_odd_status, STAY, PS_NET_OK, 2, 0, true, "%zz", true},
	{"grpc: http error", grpc_http_error, STAY, PS_NET_OK, 14, 0, true, "", true},
	{"grpc: html", grpc_html, STAY, PS_NET_OK, 2, 0, true, "", true},
	{"grpc: compressed", grpc_compressed, STAY, PS_NET_MALFORMED, -1, 0, true, NULL, true},
	{"grpc: half a message", grpc_half_message, STAY, PS_NET_HALF, 0, 0, true, NULL, true},
	{"grpc: half a prefix", grpc_half_prefix, STAY, PS_NET_HALF, 0, 0, true, NULL, true},
	{"grpc: no trailers", grpc_no_trailers, STAY, PS_NET_HALF, 2, 0, true, NULL, true},
	{"grpc: no message", grpc_no_message, STAY, PS_NET_MALFORMED, 0, 0, true, NULL, true},
	{"grpc: two", grpc_two_messages, STAY, PS_NET_MALFORMED, -1, 0, true, NULL, true},
	{"grpc: huge", grpc_huge, STAY, PS_NET_TOO_BIG, -1, 0, true, NULL, true},
	{"grpc: calm", reset_calm, STAY, PS_NET_STREAM, 8, NGHTTP2_ENHANCE_YOUR_CALM, true, NULL,
	 true},
};

/* --- */

static void until_heard(void)
{
	for (int i = 0; i < 5000 && R.n_got < 70; i++)
		rig_turn();
	assert_memory_equal(R.got, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
}

static void check_end(size_t i, size_t pieces)
{
	const struct ps_net_call *c = &R.calls[0].call;
	int status = rows[i].grpc ? c->grpc_status : c->http;
	if (c->outcome != rows[i].outcome || c->h2_code != rows[i].code)
		fail_msg("%s (pieces of %zu): %s, code %u (%s)", rows[i].name, pieces,
			 ps_net_outcome_name(c->outcome), c->h2_code, ps_net_client_why(R.client));
	if (status != rows[i].status && (pieces > 1 || c->outcome == PS_NET_OK))
		fail_msg("%s (pieces of %zu): status %d", rows[i].name, pieces, status);
	if (rows[i].text && rows[i].grpc && status != 0)
		assert_string_equal(c->grpc_message, rows[i].text);
	else if (rows[i].text)
		assert_string_equal(R.calls[0].body, rows[i].text);
}

static void check_row(size_t i, size_t pieces)
{
	void *state = NULL;
	rig_setup(&state);
	R.o = (struct ps_net_client_options){
		.protocol = PS_NET_HTTP2, .max_header_bytes = 1000, .max_body_bytes = 100000};
	rig_listen();
	rig_client();
	struct iovec piece = {"request", 7};
	struct ps_net_call *c =
		rig_call(0, rows[i].grpc ? PS_NET_CALL_GRPC : PS_NET_CALL_HTTP, "/s/M");
	c->body = &piece;
	c->n_body = rows[i].grpc;
	rig_send(c);
	until_heard();
	B.n = 0;
	rows[i].say();
	for (size_t at = 0; at < B.n && R.peer >= 0; at += pieces) {
		rig_say(B.bytes + at, B.n - at < pieces ? B.n - at : pieces);
		if (pieces < B.n && (B.n < 1000 || at % 1000 == 0))
			rig_turn();
	}
	if (rows[i].after != STAY) {
		for (int k = 0; k < 3; k++)
			rig_turn();
		rig_hang_up(rows[i].after == RESET);
	}
	for (int k = 0; k < 2000 && !R.done; k++)
		rig_turn();
	if (!R.done)
		fail_msg("%s (pieces of %zu): no end", rows[i].name, pieces);
	for (int k = 0; k < 5; k++)
		rig_turn();
	check_end(i, pieces);
	if (ps_net_client_is_connected(R.client) != rows[i].kept)
		fail_msg("%s: connection %s", rows[i].name, rows[i].kept ? "lost" : "kept");
	rig_teardown(&state);
}

static void each_answer_has_its_outcome(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		check_row(i, sizeof B.bytes);
		check_row(i, 1);
	}
}

static int setup(void **state)
{
	rig_setup(state);
	R.o.protocol = PS_NET_HTTP2;
	rig_listen();
	rig_client();
	return 0;
}

/* Of several calls GOAWAY ends those above its number; the others go on. */
static void goaway_ends_the_later_ones(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		rig_send(rig_call(i, PS_NET_CALL_HTTP, "/"));
	until_heard();
	B.n = 0;
	settings();
	goaway(3, NGHTTP2_NO_ERROR);
	rig_say(B.bytes, B.n);
	rig_until(&R.done, 2);
	assert_int_equal(ps_net_client_room(R.client), 98); /* on the next connection */
	assert_int_equal(R.calls[2].call.outcome, PS_NET_GOAWAY);
	assert_int_equal(R.calls[3].call.outcome, PS_NET_GOAWAY);
	B.n = 0;
	HEAD("a", "b");
	last_data("ok");
	fields(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 3, FIELDS(":status", "500"));
	rig_say(B.bytes, B.n);
	rig_until(&R.done, 4);
	assert_int_equal(R.calls[0].call.http, 200);
	assert_int_equal(R.calls[1].call.http, 500);
	for (int i = 0; i < 100 && ps_net_client_is_connected(R.client); i++)
		rig_turn();
	assert_false(ps_net_client_is_connected(R.client));
	assert_int_equal(ps_net_client_room(R.client), 100);
}

static void next_call(struct ps_net_call *c)
{
	rig_on_done(c);
	assert_int_equal(ps_net_client_room(R.client), 100);
	rig_send(rig_call(1, PS_NET_CALL_HTTP, "/next"));
}

/* Who is told of the last call of a connection that is going away may send the next one at once. */
static void goaway_and_the_next_call(void **state)
{
	(void)state;
	struct ps_net_call *c = rig_call(0, PS_NET_CALL_HTTP, "/");
	c->on_done = next_call;
	rig_send(c);
	until_heard();
	B.n = 0;
	settings();
	goaway(1, NGHTTP2_NO_ERROR);
	HEAD("a", "b");
	last_data("ok");
	rig_say(B.bytes, B.n);
	rig_until(&R.done, 1);
	rig_hang_up(false);
	R.n_got = 0;
	until_heard();
	rig_say(B.bytes, B.n);
	rig_until(&R.done, 2);
	assert_int_equal(R.calls[1].call.outcome, PS_NET_OK);
	assert_false(R.calls[1].call.reused);
}

/* Says GOAWAY to two calls that are under way, and sends a third: its connection is R.peer then. */
static int leave_two_and_send(void)
{
	for (int i = 0; i < 2; i++)
		rig_send(rig_call(i, PS_NET_CALL_HTTP, "/"));
	until_heard();
	B.n = 0;
	settings();
	goaway(3, NGHTTP2_NO_ERROR);
	rig_say(B.bytes, B.n);
	for (int i = 0; i < 20; i++)
		rig_turn();
	int old = R.peer;
	R.peer = -1;
	R.n_got = 0;
	rig_send(rig_call(2, PS_NET_CALL_HTTP, "/next"));
	until_heard();
	return old;
}

static void answer_first(int fd, uint32_t id)
{
	B.n = 0;
	fields(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, id, FIELDS(":status", "200"));
	assert_int_equal(send(fd, B.bytes, B.n, MSG_NOSIGNAL), B.n);
}

/* Two connections for a while: nobody waits for the calls of the one that is left. */
static void goaway_beside_the_next_connection(void **state)
{
	(void)state;
	struct ps_net_client_stats stats;
	int old = leave_two_and_send();
	assert_int_equal(ps_net_client_calls(R.client), 3);
	assert_int_equal(ps_net_client_room(R.client), 97);
	B.n = 0;
	settings();
	LAST(":status", "200");
	rig_say(B.bytes, B.n);
	rig_until(&R.done, 1);
	assert_int_equal(R.calls[2].call.outcome, PS_NET_OK);
	answer_first(old, 1);
	rig_until(&R.done, 2);
	ps_net_call_cancel(&R.calls[1].call);
	assert_int_equal(R.calls[0].call.outcome, PS_NET_OK);
	assert_int_equal(R.calls[1].call.outcome, PS_NET_CANCELLED);
	for (int i = 0; i < 20; i++)
		rig_turn();
	assert_true(ps_net_client_is_connected(R.client));
	assert_int_equal(ps_net_client_room(R.client), 100);
	ps_net_client_get_stats(R.client, &stats);
	assert_int_equal(stats.connects, 2);
	close(old);
}

static void goaway_twice(void **state)
{
	(void)state;
	int old = leave_two_and_send();
	B.n = 0;
	settings();
	goaway(1, NGHTTP2_NO_ERROR);
	rig_say(B.bytes, B.n);
	for (int i = 0; i < 20; i++)
		rig_turn();
	assert_int_equal(ps_net_client_room(R.client), 0);
	answer_first(old, 1);
	answer_first(old, 3);
	rig_until(&R.done, 2);
	for (int i = 0; i < 20; i++)
		rig_turn();
	assert_int_equal(ps_net_client_room(R.client), 99);
	int second = R.peer;
	R.peer = -1;
	R.n_got = 0;
	rig_send(rig_call(3, PS_NET_CALL_HTTP, "/next"));
	until_heard();
	answer_first(second, 1);
	rig_until(&R.done, 3);
	close(old);
	close(second);
}

static void free_it(struct ps_net_call *c)
{
	rig_on_done(c);
	ps_net_client_free(R.client);
	R.client = NULL;
}

/* However it ends: cancel, free, the end of the connection, free from inside. */
static void ends_beside_the_next_connection(void **state)
{
	for (int how = 0; how < 5; how++) {
		setup(state);
		int old = leave_two_and_send();
		enum ps_net_outcome want[3] = {PS_NET_CANCELLED, PS_NET_CANCELLED,
					       PS_NET_CANCELLED};
		if (how == 0) {
			ps_net_client_cancel(R.client);
		} else if (how == 1) {
			ps_net_client_free(R.client);
			R.client = NULL;
		} else if (how == 2) {
			close(old);
			rig_until(&R.done, 2);
			want[0] = want[1] = PS_NET_RESET;
			ps_net_client_cancel(R.client);
		} else {
			R.calls[how - 3].call.on_done = free_it;
			want[how - 3] = PS_NET_OK;
			answer_first(old, how == 3 ? 1 : 3);
		}
		rig_until(&R.done, 3);
		for (int i = 0; i < 3; i++)
			assert_int_equal(R.calls[i].call.outcome, want[i]);
		if (how != 2)
			close(old);
		rig_teardown(state);
	}
}

/* A bound that is lowered later: calls above it wait, and their instants say so. */
static void a_bound_that_is_lowered(void **state)
{
	(void)state;
	static const unsigned char one[] = {0, 3, 0, 0, 0, 1};
	B.n = 0;
	frame(NGHTTP2_SETTINGS, 0, 0, one, sizeof one);
	ps_net_client_connect(R.client);
	until_heard();
	for (int i = 0; i < 3; i++) /* not known yet */
		rig_send(rig_call(i, PS_NET_CALL_HTTP, "/"));
	rig_say(B.bytes, B.n);
	for (int i = 0; i < 20; i++)
		rig_turn();
	assert_int_equal(ps_net_client_room(R.client), 0);
	assert_true(R.calls[0].call.sent_ns > 0);
	B.n = 0;
	LAST(":status", "200");
	rig_say(B.bytes, B.n);
	rig_until(&R.done, 1);
	assert_int_equal(R.calls[0].call.outcome, PS_NET_OK);
	assert_int_equal(ps_net_client_calls(R.client), 2);
}

/* Windows: what the server does not take is not sent, and the call says when all had left. */
static void windows_are_kept(void **state)
{
	(void)state;
	static char body[100000];
	struct iovec piece = {body, sizeof body};
	struct ps_net_call *c = rig_call(0, PS_NET_CALL_HTTP, "/");
	c->method = "POST";
	c->body = &piece;
	c->n_body = 1;
	B.n = 0;
	settings();
	rig_send(c);
	until_heard();
	rig_say(B.bytes, B.n);
	for (int i = 0; i < 20; i++)
		rig_turn();
	assert_true(R.n_got > 65535 && R.n_got < 66500);
	assert_true(c->sent_ns > 0 && c->sent_all_ns == 0);
	B.n = 0;
	number_frame(NGHTTP2_WINDOW_UPDATE, 0, 100000, 0, 4);
	number_frame(NGHTTP2_WINDOW_UPDATE, 1, 100000, 0, 4);
	int64_t before_ns = ps_clock_now_ns();
	rig_say(B.bytes, B.n);
	for (int i = 0; i < 1000 && !c->sent_all_ns; i++)
		rig_turn();
	assert_true(c->sent_all_ns > before_ns);
	/* An answer before the request has wholly left is an answer, too. */
	B.n = 0;
	LAST(":status", "200");
	rig_say(B.bytes, B.n);
	rig_until(&R.done, 1);
	assert_int_equal(c->outcome, PS_NET_OK);
}

static void an_early_answer(void **state)
{
	(void)state;
	static char body[100000];
	struct iovec piece = {body, sizeof body};
	struct ps_net_call *c = rig_call(0, PS_NET_CALL_HTTP, "/");
	c->method = "POST";
	c->body = &piece;
	c->n_body = 1;
	B.n = 0;
	settings();
	LAST(":status", "413");
	rig_send(c);
	until_heard();
	rig_say(B.bytes, B.n);
	rig_until(&R.done, 1);
	assert_int_equal(c->outcome, PS_NET_OK);
	assert_int_equal(c->http, 413);
	assert_int_equal(c->sent_all_ns, 0);
	assert_true(ps_net_client_is_connected(R.client));
	rig_send(rig_call(1, PS_NET_CALL_HTTP, "/next"));
	B.n = 0;
	fields(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 3, FIELDS(":status", "200"));
	size_t n = R.n_got;
	for (int i = 0; i < 1000 && R.n_got == n; i++)
		rig_turn();
	rig_say(B.bytes, B.n);
	rig_until(&R.done, 2);
	assert_int_equal(R.calls[1].call.outcome, PS_NET_OK);
}

static void a_stall(void **state)
{
	(void)state;
	struct ps_net_call *c = rig_call(0, PS_NET_CALL_HTTP, "/");
	c->deadline_ns = ps_clock_now_ns() + 20 * PS_NS_PER_MS;
	rig_send(c); /* the peer accepts, and says nothing for ever */
	rig_until(&R.done, 1);
	assert_int_equal(c->outcome, PS_NET_TIMEOUT);
	assert_true(c->sent_ns > 0 && c->first_byte_ns == 0);
}

/* The other end may be gone without a word: no further call is given to such a connection. One on
 * which anything came meanwhile is kept. */
static void a_silent_connection_is_left(void **state)
{
	(void)state;
	struct ps_net_call *c = rig_call(0, PS_NET_CALL_HTTP, "/");
	ps_net_client_connect(R.client);
	until_heard();
	B.n = 0;
	settings();
	rig_say(B.bytes, B.n);
	for (int i = 0; i < 20; i++)
		rig_turn();
	for (int i = 0; i < 2; i++) {
		c = rig_call(i, PS_NET_CALL_HTTP, "/");
		c->deadline_ns = ps_clock_now_ns() + 150 * PS_NS_PER_MS;
		rig_send(c);
		for (int k = 0; k < 1000 && !c->sent_ns; k++)
			rig_turn();
		B.n = 0;
		if (i == 0)
			frame(NGHTTP2_PING, 0, 0, "12345678", 8);
		rig_say(B.bytes, B.n);
		rig_until(&R.done, i + 1);
		assert_int_equal(c->outcome, PS_NET_TIMEOUT);
		for (int k = 0; k < 5; k++)
			rig_turn();
		assert_int_equal(ps_net_client_is_connected(R.client), i == 0);
	}
	rig_hang_up(false);
	R.n_got = 0;
	rig_send(rig_call(2, PS_NET_CALL_HTTP, "/next"));
	until_heard();
	B.n = 0;
	settings();
	LAST(":status", "200");
	rig_say(B.bytes, B.n);
	rig_until(&R.done, 3);
	assert_int_equal(R.calls[2].call.outcome, PS_NET_OK);
	assert_false(R.calls[2].call.reused);
}

/* Bytes that nobody asked for, while nothing is under way. */
static void noise_on_an_idle_connection(void **state)
{
	(void)state;
	ps_net_client_connect(R.client);
	until_heard();
	B.n = 0;
	settings();
	fields(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 7, FIELDS(":status", "200"));
	rig_say(B.bytes, B.n);
	for (int i = 0; i < 1000 && ps_net_client_is_connected(R.client); i++)
		rig_turn();
	assert_false(ps_net_client_is_connected(R.client));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_answer_has_its_outcome),
		T(goaway_ends_the_later_ones),
		T(goaway_and_the_next_call),
		T(goaway_beside_the_next_connection),
		T(goaway_twice),
		cmocka_unit_test(ends_beside_the_next_connection),
		T(a_bound_that_is_lowered),
		T(windows_are_kept),
		T(an_early_answer),
		T(a_stall),
		T(a_silent_connection_is_left),
		T(noise_on_an_idle_connection),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
