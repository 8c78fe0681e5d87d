/* HTTP/1.1 as bytes: table of requests, and what must come back, in pieces of several sizes. */
#include "unit/net/echo.h"

struct row {
	const char *name, *send;
	const char *want; /* in the answer; NULL: closed without a word */
	bool closes;
};

#define HOST "Host: h\r\n"
static const struct row rows[] = {
	{"plain get", "GET /a?b=c HTTP/1.1\r\n" HOST "\r\n", "GET /a?b=c 0:", false},
	{"status line", "GET /a HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200 OK\r\nServer: test\r\n",
	 false},
	{"keep-alive is said", "GET /a HTTP/1.1\r\n" HOST "\r\n", "Connection: keep-alive", false},
	{"body by length", "POST /a HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
	 "POST /a? 5:hello", false},
	{"body in chunks",
	 "POST /a HTTP/1.1\r\n" HOST
	 "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: t\r\n\r\n",
	 "POST /a? 5:hello", false},
	{"close is asked", "GET /a HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n",
	 "Connection: close", true},
	{"http/1.0 closes", "GET /a HTTP/1.0\r\n\r\n", "GET /a? 0:", true},
	{"http/1.0 keeps", "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	 "GET /a? 0:", false},
	{"100-continue",
	 "POST /a HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
	 "HTTP/1.1 100 Continue\r\n\r\n", false},
	{"upgrade is passed over",
	 "GET /a HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
	 "GET /a? 0:", false},
	{"blank lines before", "\r\n\r\nGET /a HTTP/1.1\r\n" HOST "\r\n", "GET /a? 0:", false},
	{"blanks around values", "POST /a HTTP/1.1\r\n" HOST "Content-Length:   2  \r\n\r\nok",
	 "POST /a? 2:ok", false},
	{"error with json", "GET /error HTTP/1.1\r\n" HOST "\r\n",
	 "{\"error\":\"queue \\\"q\\\" is full (wait)\"}", false},
	{"error's status", "GET /error HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 429 Too Many Requests",
	 false},
	{"head refused", "GET /a HTTP/1.1\r\n" HOST "x-refuse: 1\r\n\r\n",
	 "HTTP/1.1 401 Unauthorized", false},

	{"refusal's headers", "GET /a HTTP/1.1\r\n" HOST "x-refuse: 1\r\n\r\n",
	 "\r\nRetry-After: 7\r\n", false},
	{"refused with a small body",
	 "POST /a HTTP/1.1\r\n" HOST "X-Refuse: 1\r\nContent-Length: 5\r\n\r\nhello"
	 "GET /next HTTP/1.1\r\n" HOST "\r\n",
	 "GET /next? 0:", false},
	{"refused with a large body",
	 "POST /a HTTP/1.1\r\n" HOST "X-Refuse: 1\r\nContent-Length: 65537\r\n\r\n",
	 "401 Unauthorized", true},
	{"refused with chunks",
	 "POST /a HTTP/1.1\r\n" HOST "X-Refuse: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	 "401 Unauthorized", true},
	{"refused while the client waits",
	 "POST /a HTTP/1.1\r\n" HOST
	 "X-Refuse: 1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
	 "401 Unauthorized", true},
	{"the tenant's own limit",
	 "POST /a HTTP/1.1\r\n" HOST "X-Small: 1\r\nContent-Length: 11\r\n\r\nhello world",
	 "413 Content Too Large", false},
	{"the tenant's own limit, in chunks",
	 "POST /a HTTP/1.1\r\n" HOST
	 "X-Small: 1\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n",
	 "413 Content Too Large", true},
	{"options", "OPTIONS /a HTTP/1.1\r\n" HOST "\r\n", "OPTIONS /a? 0:", false},
	{"options for the server", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "OPTIONS *? 0:", false},
	{"absolute form", "GET http://h:80/a?b HTTP/1.1\r\n" HOST "\r\n", "GET /a?b 0:", false},
	{"absolute form without path", "GET http://h HTTP/1.1\r\n" HOST "\r\n", "GET /? 0:", false},
	{"absolute form, only a query", "GET http://h?q HTTP/1.1\r\n" HOST "\r\n",
	 "GET /?q 0:", false},
	{"empty host", "GET /a HTTP/1.1\r\nHost:\r\n\r\n", "GET /a? 0:", false},
	{"host of IPv6", "GET /a HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", "GET /a? 0:", false},

	{"garbage", "\x16\x03\x01\x02garbage\r\n\r\n", "HTTP/1.1 400 Bad Request", true},
	{"unknown method", "FROBNICATE /a HTTP/1.1\r\n" HOST "\r\n", "501 Not Implemented", true},
	{"http/0.9", "GET /a\r\n\r\n", "505 HTTP Version Not Supported", true},
	{"http/2.0 version", "GET /a HTTP/2.0\r\n" HOST "\r\n", "505 HTTP Version", true},
	{"no host", "GET /a HTTP/1.1\r\n\r\n", "one Host header", true},
	{"two hosts", "GET /a HTTP/1.1\r\n" HOST HOST "\r\n", "one Host header", true},
	{"bad length", "POST /a HTTP/1.1\r\n" HOST "Content-Length: 5x\r\n\r\n", "400 Bad Request",
	 true},
	{"negative length", "POST /a HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n",
	 "400 Bad Request", true},
	{"huge length",
	 "POST /a HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999999\r\n\r\n",
	 "400 Bad Request", true},
	{"two lengths",
	 "POST /a HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
	 "400 Bad Request", true},
	{"length and chunks",
	 "POST /a HTTP/1.1\r\n" HOST
	 "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	 "400 Bad Request", true},
	{"unknown coding", "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n",
	 "HTTP/1.1 501", true},
	{"bad chunk size", "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
	 "400 Bad Request", true},
	{"chunk overflow",
	 "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
	 "400 Bad Request", true},
	{"control in header", "GET /a HTTP/1.1\r\n" HOST "A: b\x01\r\n\r\n", "400 Bad Request",
	 true},
	{"space in name", "GET /a HTTP/1.1\r\n" HOST "A b: c\r\n\r\n", "400 Bad Request", true},
	{"space before the colon", "POST /a HTTP/1.1\r\n" HOST "Content-Length : 5\r\n\r\n",
	 "400 Bad Request", true},
	{"no colon", "GET /a HTTP/1.1\r\n" HOST "Abc\r\n\r\n", "400 Bad Request", true},
	{"too many headers",
	 "GET /a HTTP/1.1\r\n" HOST
	 "1:1\r\n2:2\r\n3:3\r\n4:4\r\n5:5\r\n6:6\r\n7:7\r\n8:8\r\n9:9\r\n"
	 "10:10\r\n\r\n",
	 "431 Request Header Fields Too Large", true},
	{"ten headers are fine",
	 "GET /a HTTP/1.1\r\n" HOST
	 "1:1\r\n2:2\r\n3:3\r\n4:4\r\n5:5\r\n6:6\r\n7:7\r\n8:8\r\n9:9\r\n"
	 "\r\n",
	 "GET /a? 0:", false},
	{"body too large", "POST /a HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\n\r\n",
	 "413 Content Too Large", true},
	{"other expectation",
	 "POST /a HTTP/1.1\r\n" HOST "Expect: tea\r\nContent-Length: 2\r\n\r\n",
	 "417 Expectation Failed", true},
	{"unknown content coding",
	 "POST /a HTTP/1.1\r\n" HOST "Content-Encoding: br\r\nContent-Length: 2\r\n\r\nxx",
	 "415 Unsupported Media Type", false},
	{"known content codings are told",
	 "POST /a HTTP/1.1\r\n" HOST "Content-Encoding: br\r\n\r\n",
	 "Accept-Encoding: gzip, deflate", false},
	{"two content codings", "POST /a HTTP/1.1\r\n" HOST "Content-Encoding: gzip, gzip\r\n\r\n",
	 "415 Unsupported Media Type", false},
	{"no gzip",
	 "POST /a HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx",
	 "does not follow its Content-Encoding", true},
	{"gzip that is cut",
	 "POST /a HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
	 "ends inside its Content-Encoding", false},
	{"nothing, said to be gzip",
	 "POST /a HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n",
	 "POST /a? 0:", false},
	{"bad json length",
	 "POST /a HTTP/1.1\r\n" HOST
	 "Inference-Header-Content-Length: x\r\nContent-Length: 2\r\n\r\n{}",
	 "400 Bad Request", false},
	{"json length over body",
	 "POST /a HTTP/1.1\r\n" HOST
	 "Inference-Header-Content-Length: 3\r\nContent-Length: 2\r\n\r\n{}",
	 "POST /a? 2:{}", false},
	{"json length over chunks",
	 "POST /a HTTP/1.1\r\n" HOST "Inference-Header-Content-Length: 3\r\nTransfer-Encoding: "
	 "chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
	 "POST /a? 2:{}", false},
	{"proxying", "CONNECT h:80 HTTP/1.1\r\n" HOST "\r\n", "501 Not Implemented", true},
	{"host with a path", "GET /a HTTP/1.1\r\nHost: h/a\r\n\r\n", "names no host", true},
	{"host with a user", "GET /a HTTP/1.1\r\nHost: u@h\r\n\r\n", "names no host", true},
	{"host with a blank", "GET /a HTTP/1.1\r\nHost: h i\r\n\r\n", "names no host", true},
	{"bare LF behind the request line", "GET /a HTTP/1.1\n" HOST "\r\n",
	 "a line ends without CR", true},
	{"bare LF behind a header", "GET /a HTTP/1.1\r\nHost: h\n\r\n", "a line ends without CR",
	 true},
	{"bare LF at the end", "GET /a HTTP/1.1\r\n" HOST "\nGET", "a line ends without CR", true},
	{"bare LF before", "\nGET /a HTTP/1.1\r\n" HOST "\r\n", "a line ends without CR", true},
	{"bare CR in a value", "GET /a HTTP/1.1\r\n" HOST "A: b\rC: d\r\n\r\n", "400 Bad Request",
	 true},
	{"bare CR behind the request line", "GET /a HTTP/1.1\rHost: h\r\n\r\n", "400 Bad Request",
	 true},
	{"folded header", "GET /a HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n", "line is folded", true},
	{"folded by a tab", "GET /a HTTP/1.1\r\n" HOST "A: b\r\n\tc\r\n\r\n", "line is folded",
	 true},
	{"blank before the first header", "GET /a HTTP/1.1\r\n Host: h\r\n\r\n", "400 Bad Request",
	 true},
	{"empty header name", "GET /a HTTP/1.1\r\n" HOST ": b\r\n\r\n", "400 Bad Request", true},
	{"same length twice",
	 "POST /a HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
	 "400 Bad Request", true},
	{"lengths in a list", "POST /a HTTP/1.1\r\n" HOST "Content-Length: 5, 5\r\n\r\nhello",
	 "400 Bad Request", true},
	{"length with a sign", "POST /a HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\nhello",
	 "400 Bad Request", true},
	{"empty length", "POST /a HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", "400 Bad Request",
	 true},
	{"length in hexadecimal", "POST /a HTTP/1.1\r\n" HOST "Content-Length: 0x5\r\n\r\nhello",
	 "400 Bad Request", true},
	{"chunks and length",
	 "POST /a HTTP/1.1\r\n" HOST
	 "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
	 "400 Bad Request", true},
	{"chunked twice",
	 "POST /a HTTP/1.1\r\n" HOST
	 "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	 "400 Bad Request", true},
	{"chunked in a list",
	 "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
	 "HTTP/1.1 501", true},
	{"chunked behind gzip",
	 "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
	 "HTTP/1.1 501", true},
	{"chunked with a prefix",
	 "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 501",
	 true},
	{"chunked with a vertical tab",
	 "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: \x0b"
	 "chunked\r\n\r\n0\r\n\r\n",
	 "HTTP/1.1 ", true},
	{"chunks in HTTP/1.0", "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	 "400 Bad Request", true},
	{"bare LF behind a chunk's size",
	 "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2\nhi\r\n0\r\n\r\n",
	 "400 Bad Request", true},
	{"bare LF in a chunk's extension",
	 "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2;a\nb\r\nhi\r\n0\r\n\r\n",
	 "a line ends without CR", true},
	{"bare LF behind a chunk",
	 "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\n0\r\n\r\n",
	 "400 Bad Request", true},
	{"CR and another byte behind a chunk's size",
	 "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2\rXhi\r\n0\r\n\r\n",
	 "400 Bad Request", true},
	{"other bytes behind a chunk",
	 "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2\r\nhiXX0\r\n\r\n",
	 "400 Bad Request", true},
	{"chunk size with a sign",
	 "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n+2\r\nhi\r\n",
	 "400 Bad Request", true},
	{"chunk size with 0x",
	 "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0x2\r\nhi\r\n",
	 "400 Bad Request", true},
	{"folded trailer",
	 "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n c\r\n\r\n",
	 "line is folded", true},
	{"trailers do not become headers",
	 "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\nX-Refuse: 1\r\n\r\n",
	 "POST /a? 0:", false},
	{"body of a GET", "GET /a HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
	 "GET /a? 5:hello", false},
};

static void each_row_gets_its_answer(void **state)
{
	(void)state;
	static const size_t steps[] = {100000, 1, 7};
	for (size_t s = 0; s < 3; s++)
		for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
			exchange(rows[i].name, rows[i].send, strlen(rows[i].send), steps[s],
				 rows[i].want, rows[i].closes);
}

/* A byte every second does not keep a head alive: it has ten seconds as a whole. */
static void heads_in_drops_time_out(void **state)
{
	(void)state;
	char buf[4096];
	static const char head[] = "GET /a HTTP/1.1\r\nHost: h\r\nX: 1\r\n\r\n";
	struct ps_net_server_stats stats;
	int fd = dial(), sent = 0;
	do {
		send_all(fd, head + sent++, 1);
		for (int i = 0; i < 20; i++)
			turn();
		F.clock.now_ns += PS_NS_PER_SEC;
		turn();
		ps_net_server_get_stats(F.server, &stats);
	} while (stats.refused == 0 && sent < (int)sizeof head - 1);
	assert_in_range(sent, 10, 11);
	assert_true(read_answer(fd, buf, sizeof buf, NULL));
	assert_non_null(strstr(buf, "408 Request Timeout"));
	close(fd);
}

/* Up to its limit a head may be larger than the input buffer. */
static void large_heads_pass_up_to_their_limit(void **state)
{
	(void)state;
	enum { LIMIT = 64 * 1024 };
	static char bytes[LIMIT + 100];
	const struct ps_net_server_options o = {0};
	open_server(&o);
	for (int over = 0; over < 2; over++) {
		int n = snprintf(bytes, sizeof bytes, "GET /a HTTP/1.1\r\nHost: h\r\nX: ");
		size_t total = LIMIT + (size_t)over;
		memset(bytes + n, 'x', total - (size_t)n - 4);
		memcpy(bytes + total - 4, "\r\n\r\n", 4);
		exchange("large head", bytes, total, 1000,
			 over ? "431 Request Header Fields Too Large" : "GET /a? 0:", over);
	}
}

/* A chunk of one byte with an extension of a megabyte. */
static void long_chunk_extensions_are_refused(void **state)
{
	(void)state;
	static char bytes[70000];
	int n = snprintf(bytes, sizeof bytes,
			 "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;");
	memset(bytes + n, 'x', sizeof bytes - (size_t)n);
	exchange("extension", bytes, sizeof bytes, 5000, "431 Request Header Fields", true);
	n -= 2;
	n += snprintf(bytes + n, 20, "0\r\nX: ");
	memset(bytes + n, 'x', sizeof bytes - (size_t)n);
	exchange("trailer", bytes, sizeof bytes, 5000, "431 Request Header Fields", true);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(each_row_gets_its_answer),
		T(heads_in_drops_time_out),
		T(large_heads_pass_up_to_their_limit),
		T(long_chunk_extensions_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
