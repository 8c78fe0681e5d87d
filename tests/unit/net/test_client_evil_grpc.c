/* gRPC of the client with a peer whose frames are made by hand: each way for an answer to go wrong
 * has an outcome of its own. */
#include "unit/net/evil_rows.h"

#define GRPC(...) HEAD("content-type", "application/grpc", ##__VA_ARGS__)

/* --- what the peer says --- */

static void reset_calm(void)
{
	settings();
	reset(NGHTTP2_ENHANCE_YOUR_CALM);
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

static const struct evil_row rows[] = {
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
