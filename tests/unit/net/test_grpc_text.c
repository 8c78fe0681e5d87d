/* The texts of gRPC's wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/h2_parts_internal.h"

#include <string.h>

static void timeouts(void **state)
{
	(void)state;
	static const int64_t YEARS_100 = INT64_C(100) * 365 * 24 * 3600 * PS_NS_PER_SEC;
	static const struct {
		const char *text;
		int64_t ns; /* -1: malformed */
	} rows[] = {
		{"1n", 1},
		{"0n", 0},
		{"99999999n", 99999999},
		{"7u", 7000},
		{"250m", 250 * PS_NS_PER_MS},
		{"5S", 5 * PS_NS_PER_SEC},
		{"2M", 120 * PS_NS_PER_SEC},
		{"1H", 3600 * PS_NS_PER_SEC},
		{"00000010m", 10 * PS_NS_PER_MS},
		{"99999999H", YEARS_100},
		{"99999999M", YEARS_100},
		{"", -1},
		{"1", -1},
		{"n", -1},
		{"-1n", -1},
		{"1 n", -1},
		{"1s", -1},
		{"1nn", -1},
		{"123456789n", -1},
		{"1.5S", -1},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t ns = -1;
		enum ps_status s = ps_net_grpc_timeout_ns(rows[i].text, &ns);
		assert_int_equal(s, rows[i].ns < 0 ? PS_EPARSE : PS_OK);
		assert_int_equal(ns, rows[i].ns);
	}
}

static void messages_are_percent_encoded(void **state)
{
	(void)state;
	static const struct {
		const char *text, *sent;
	} rows[] = {
		{"", ""},
		{"plain ~ text!", "plain ~ text!"},
		{"100%", "100%25"},
		{"a\nb\tc\x7f", "a%0Ab%09c%7F"},
		{"\xc3\xa9", "%C3%A9"},
		{"\xff", "%FF"},
	};
	char out[3 * PS_NET_GRPC_TEXT_MAX];
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t n = ps_net_grpc_percent(rows[i].text, out);
		assert_int_equal(n, strlen(rows[i].sent));
		assert_memory_equal(out, rows[i].sent, n);
	}
	/* Long ones are cut, and not inside a character. */
	static char text[2 * PS_NET_GRPC_TEXT_MAX];
	memset(text, 'a', sizeof text - 1);
	assert_int_equal(ps_net_grpc_percent(text, out), PS_NET_GRPC_TEXT_MAX);
	memcpy(text + PS_NET_GRPC_TEXT_MAX - 1, "\xc3\xa9", 2);
	assert_int_equal(ps_net_grpc_percent(text, out), PS_NET_GRPC_TEXT_MAX - 1);
	memset(text, 0x80, sizeof text - 1);
	assert_int_equal(ps_net_grpc_percent(text, out), 0);
}

static void names_of_metadata(void **state)
{
	(void)state;
	static const char *const good[] = {"x", "retry-pushback-ms", "a.b_c-bin", "0"};
	static const char *const bad[] = {"",	"X",   ":status",      "grpc-status", "a b",
					  "te", "a\n", "content-type", "connection"};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_true(ps_net_grpc_name_is_good(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(ps_net_grpc_name_is_good(bad[i]));
}

static void base64(void **state)
{
	(void)state;
	static const struct {
		const char *plain, *text;
	} rows[] = {
		{"", ""},
		{"f", "Zg"},
		{"fo", "Zm8"},
		{"foo", "Zm9v"},
		{"foob", "Zm9vYg"},
		{"fooba", "Zm9vYmE"},
		{"foobar", "Zm9vYmFy"},
		{"\xff\xfe", "//4"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[32], plain[32];
		size_t n = strlen(rows[i].plain), got = 99;
		assert_int_equal(ps_net_grpc_base64_encode(rows[i].plain, n, text, sizeof text),
				 PS_OK);
		assert_string_equal(text, rows[i].text);
		assert_int_equal(
			ps_net_grpc_base64_encode(rows[i].plain, n, text, strlen(rows[i].text)),
			PS_ETOOBIG);
		assert_int_equal(ps_net_grpc_base64_decode(rows[i].text, plain, n, &got), PS_OK);
		assert_int_equal(got, n);
		assert_memory_equal(plain, rows[i].plain, n);
		char padded[40];
		strcpy(padded, rows[i].text);
		while (strlen(padded) % 4)
			strcat(padded, "=");
		assert_int_equal(ps_net_grpc_base64_decode(padded, plain, n, &got), PS_OK);
		assert_int_equal(got, n);
		if (n > 0)
			assert_int_equal(ps_net_grpc_base64_decode(padded, plain, n - 1, &got),
					 PS_ETOOBIG);
	}
}

static void base64_that_is_none(void **state)
{
	(void)state;
	static const char *const rows[] = {"Z",	    "Zg=",   "Zg===", "Zh",   "Zm9",
					   "Zm9v=", "Z m9v", "Zm-_",  "====", "="};
	char plain[32];
	size_t n;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(ps_net_grpc_base64_decode(rows[i], plain, sizeof plain, &n),
				 PS_EPARSE);
}

static void credits(void **state)
{
	(void)state;
	struct ps_net_h2_credits c;
	int64_t now_ns = 5 * PS_NS_PER_SEC;
	ps_net_h2_credits_init(&c, 10, 2, now_ns);
	for (int i = 0; i < 10; i++)
		assert_true(ps_net_h2_credits_take(&c, now_ns));
	assert_false(ps_net_h2_credits_take(&c, now_ns));
	assert_false(ps_net_h2_credits_take(&c, now_ns + 499 * PS_NS_PER_MS));
	assert_true(ps_net_h2_credits_take(&c, now_ns + 500 * PS_NS_PER_MS));
	assert_false(ps_net_h2_credits_take(&c, now_ns + 500 * PS_NS_PER_MS));
	assert_false(ps_net_h2_credits_take(&c, now_ns)); /* a clock that goes back gives nothing */
	ps_net_h2_credits_earn(&c, 1500);
	assert_true(ps_net_h2_credits_take(&c, now_ns + 500 * PS_NS_PER_MS));
	assert_false(ps_net_h2_credits_take(&c, now_ns + 500 * PS_NS_PER_MS));
	/* No more than the burst, however long it was quiet. */
	now_ns += INT64_C(1000000) * PS_NS_PER_SEC;
	for (int i = 0; i < 10; i++)
		assert_true(ps_net_h2_credits_take(&c, now_ns));
	assert_false(ps_net_h2_credits_take(&c, now_ns));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timeouts),
		cmocka_unit_test(messages_are_percent_encoded),
		cmocka_unit_test(names_of_metadata),
		cmocka_unit_test(base64),
		cmocka_unit_test(base64_that_is_none),
		cmocka_unit_test(credits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
