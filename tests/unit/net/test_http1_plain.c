/* Plain heads pass the parser library by. What comes of any bytes must not depend on that: each
 * message is read twice, at once and with its first byte alone, which only the library takes. */
#include "net/http1_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_URL = 64, MAX_HEAD = 256, MAX_HEADERS = 6 };

static bool answers; /* are read, instead of requests */

/* All that a connection sees of some bytes, as text. */
struct seen {
	struct ps_strbuf text;
	struct ps_strbuf body;
};

static enum ps_status on_body(void *ctx, const char *at, size_t n)
{
	struct seen *s = ctx;
	ps_strbuf_append(&s->body, at, n);
	return PS_OK;
}

static void note_head(struct seen *s, const struct ps_net_head *h)
{
	ps_strbuf_printf(&s->text, "head %s %s %d %lld %d %d %d", h->method, h->target, h->http,
			 (long long)h->content_length, h->chunked, h->keep_alive, h->minor);
	for (size_t i = 0; i < h->n_headers; i++)
		ps_strbuf_printf(&s->text, "[%s][%s]", h->headers[i].name, h->headers[i].value);
}

/* Reads up to the end of the bytes or a refusal; the first piece has `first` bytes. */
static struct ps_net_http1 *parser(struct seen *s)
{
	const struct ps_net_http1_options o = {.response = answers,
					       .max_url_bytes = MAX_URL,
					       .max_header_bytes = MAX_HEAD,
					       .max_headers = MAX_HEADERS,
					       .on_body = on_body,
					       .ctx = s};
	ps_strbuf_init(&s->text);
	ps_strbuf_init(&s->body);
	struct ps_net_http1 *p = ps_net_http1_new(&o);
	assert_non_null(p);
	return p;
}

static void read_all(struct seen *s, const char *data, size_t n, size_t first)
{
	struct ps_net_http1 *p = parser(s);
	size_t piece = first;
	for (size_t at = 0, used = 0; at < n; at += used) {
		piece = piece < n - at ? piece : n - at;
		enum ps_net_event e = ps_net_http1_feed(p, data + at, piece, &used);
		piece = used < piece ? piece - used : n;
		if (e == PS_NET_EV_HEAD)
			note_head(s, ps_net_http1_head(p));
		if (e == PS_NET_EV_END)
			ps_strbuf_printf(&s->text, " end at %zu,", at + used);
		if (e == PS_NET_EV_BAD) {
			ps_strbuf_printf(&s->text, " bad %d", ps_net_http1_refusal(p).http);
			break;
		}
		if (e == PS_NET_EV_END)
			piece = first;
	}
	ps_strbuf_printf(&s->text, "%s", ps_net_http1_begun(p) ? " begun" : "");
	ps_net_http1_free(p);
}

static void seen_fini(struct seen *s)
{
	ps_strbuf_fini(&s->text);
	ps_strbuf_fini(&s->body);
}

static void same(const char *data, size_t n)
{
	struct seen at_once, in_two;
	read_all(&at_once, data, n, n);
	read_all(&in_two, data, n, 1);
	if (strcmp(at_once.text.data, in_two.text.data) != 0 ||
	    at_once.body.len != in_two.body.len ||
	    memcmp(at_once.body.data, in_two.body.data, in_two.body.len) != 0)
		fail_msg("%.*s\nat once: %s\nin two:  %s", (int)n, data, at_once.text.data,
			 in_two.text.data);
	seen_fini(&at_once);
	seen_fini(&in_two);
}

#define HOST "Host: h:80\r\n"
static const char *const rows[] = {
	"POST /v2/models/m/infer?a=b HTTP/1.1\r\n" HOST
	"X-Y_z: a b\r\nContent-Length: 3\r\n\r\nabc",
	"GET / HTTP/1.1\r\n" HOST "Connection: Keep-Alive\r\nUpgrades: 1\r\n\r\n",
	"GET /a HTTP/1.1\r\nhOST:\r\nA:\r\nB:  \r\nC: d  \r\n\r\nGET /b HTTP/1.1\r\n" HOST "\r\n",
	"POST /a HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\nGET /b HTTP/1.1\r\n" HOST "\r\n",
	"POST /a HTTP/1.1\r\n" HOST "Content-Length: 2\r\nConnection: close\r\n\r\nab"
	"GET /b HTTP/1.1\r\n" HOST "\r\n",
	"POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
	"GET /b HTTP/1.1\r\n" HOST "\r\n",
	"GET /a HTTP/1.1\r\n" HOST "\r\n\r\n\r\nGET /b HTTP/1.1\r\n" HOST "\r\n",
	"POST /a HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\na GET /b HTTP/1.1\r\n" HOST "\r\n",
	"GET /a HTTP/1.1\r\n" HOST "Content-Length: 999999999999999999\r\n\r\na",
	"GET /a HTTP/1.1\r\n" HOST "Content-Length: 9999999999999999999\r\n\r\na",
	"GET /a HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
	"GET /a HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\na",
	"GET /a HTTP/1.1\r\n" HOST "Proxy-Connection: close\r\nConnection: keep-alive, x\r\n\r\n",
	"GET /a HTTP/1.1\r\n" HOST "Upgrade: h2c\r\nConnection: Upgrade\r\n\r\nabc",
	"GET /a HTTP/1.1\r\n" HOST HOST "\r\n",
	"GET /a HTTP/1.1\r\nHost: a@b\r\n\r\n",
	"GET /a HTTP/1.1\r\nNo: host\r\n\r\n",
	"GET /a#b HTTP/1.1\r\n" HOST "\r\n",
	"GET /a?b#c?d HTTP/1.1\r\n" HOST "\r\n",
	"GET http://h/a HTTP/1.1\r\n" HOST "\r\n",
	"OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
	"GET /a HTTP/1.0\r\n" HOST "\r\n",
	"GET /a HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n",
	"GET /a HTTP/1.1\r\n" HOST "1:1\r\n2:2\r\n3:3\r\n4:4\r\n5:5\r\n\r\n",
	"GET /a HTTP/1.1\r\n" HOST "1:1\r\n2:2\r\n3:3\r\n4:4\r\n5:5\r\n6:6\r\n\r\n",
};

#define OK "HTTP/1.1 200 OK\r\n"
static const char *const answer_rows[] = {
	OK "Content-Length: 3\r\nServer: x y\r\n\r\nabc",
	"HTTP/1.1 503 \r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
	"HTTP/1.1 302 Found here\r\nLocation: /b\r\nContent-Length: 1\r\n\r\na",
	OK "Host: a\r\nHost: b@c\r\nContent-Length: 1\r\n\r\na" OK "Content-Length: 1\r\n\r\nb",
	OK "\r\nabc",
	OK "Content-Length: 1\r\nConnection: close\r\n\r\na" OK "Content-Length: 1\r\n\r\nb",
	OK "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
	OK "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\na",
	OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
	OK "Content-Length: 9999999999999999999\r\n\r\na",
	OK "Content-Length: 99\r\n\r\na",
	"HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 1\r\n\r\na",
	"HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\na",
	"HTTP/1.1 304 Not Modified\r\nContent-Length: 1\r\n\r\n",
	"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na",
	"HTTP/1.1 2000 OK\r\nContent-Length: 1\r\n\r\na",
	"HTTP/1.1 099 OK\r\nContent-Length: 1\r\n\r\na",
	"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
	"HTTP/2.0 200 OK\r\nContent-Length: 1\r\n\r\na",
	OK "A: b\r\n c\r\nContent-Length: 1\r\n\r\na",
	OK "Upgrade: h2c\r\nContent-Length: 1\r\n\r\na",
	OK "1:1\r\n2:2\r\n3:3\r\n4:4\r\n5:5\r\n6:6\r\nContent-Length: 1\r\n\r\na",
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (size_t n = 1; n <= strlen(rows[i]); n++)
			same(rows[i], n);
	answers = true;
	for (size_t i = 0; i < sizeof answer_rows / sizeof answer_rows[0]; i++)
		for (size_t n = 1; n <= strlen(answer_rows[i]); n++)
			same(answer_rows[i], n);
	answers = false;
}

static void test_what_is_plain(void **state)
{
	(void)state;
	struct ps_net_span spans[MAX_HEADERS];
	struct ps_net_plain_head h = {.headers = spans, .max_headers = MAX_HEADERS};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *end = strstr(rows[i], "\r\n\r\n");
		size_t bytes = ps_net_http1_plain(rows[i], strlen(rows[i]), &h);
		bool plain = i < 4 || (i >= 6 && i <= 8) || i == 23; /* in the order above */
		assert_int_equal(bytes, plain ? (size_t)(end + 4 - rows[i]) : 0);
	}
	for (size_t i = 0; i < sizeof answer_rows / sizeof answer_rows[0]; i++) {
		const char *text = answer_rows[i], *end = strstr(text, "\r\n\r\n");
		size_t bytes = ps_net_http1_plain_answer(text, strlen(text), &h);
		bool plain = i < 4 || i == 10; /* in the order above */
		assert_int_equal(bytes, plain ? (size_t)(end + 4 - text) : 0);
	}
}

/* Every byte, replaced by each other byte, left out and doubled. */
static void change(const char *row)
{
	char text[512];
	size_t n = strlen(row);
	for (size_t at = 0; at < n; at++) {
		memcpy(text, row, n);
		for (int byte = 0; byte < 256; byte++) {
			text[at] = (char)byte;
			same(text, n);
		}
		memcpy(text + at, row + at + 1, n - at - 1);
		same(text, n - 1);
		memcpy(text, row, at + 1);
		memcpy(text + at + 1, row + at, n - at);
		same(text, n + 1);
	}
}

static void test_changed_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		change(rows[i]);
	answers = true;
	for (size_t i = 0; i < sizeof answer_rows / sizeof answer_rows[0]; i++)
		change(answer_rows[i]);
	answers = false;
}

/* Around the limits of the target and of the head. */
static void test_limits(void **state)
{
	(void)state;
	char text[1024], fill[400];
	memset(fill, 'a', sizeof fill);
	for (int n = 0; n < 300; n++) {
		int len =
			snprintf(text, sizeof text, "GET /%.*s HTTP/1.1\r\n" HOST "\r\n", n, fill);
		same(text, (size_t)len);
		len = snprintf(text, sizeof text, "GET / HTTP/1.1\r\n" HOST "A: %.*s\r\n\r\n", n,
			       fill);
		same(text, (size_t)len);
	}
}

static void test_end_inside_a_body(void **state)
{
	(void)state;
	static const char text[] = "POST /a HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc";
	struct seen s;
	size_t used;
	struct ps_net_http1 *p = parser(&s);
	assert_int_equal(ps_net_http1_feed(p, text, sizeof text - 1, &used), PS_NET_EV_HEAD);
	assert_int_equal(ps_net_http1_feed(p, text + used, sizeof text - 1 - used, &used),
			 PS_NET_EV_MORE);
	assert_true(ps_net_http1_begun(p));
	assert_int_equal(ps_net_http1_feed(p, text, 0, &used), PS_NET_EV_BAD);
	assert_int_equal(ps_net_http1_refusal(p).http, 400);
	ps_net_http1_free(p);
	seen_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_what_is_plain),
		cmocka_unit_test(test_changed_rows),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_end_inside_a_body),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
