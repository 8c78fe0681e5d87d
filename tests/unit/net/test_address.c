/* What addresses are written like. */
#include "net/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { SECURE = 1, GRPC = 2, UNIX = 4 };

static const struct {
	const char *text;
	enum ps_status status;
	const char *host, *base; /* base: the socket of UNIX */
	int port;
	unsigned flags;
} urls[] = {
	{"http://localhost:8000", PS_OK, "localhost", "", 8000, 0},
	{"http://localhost", PS_OK, "localhost", "", 80, 0},
	{"HTTP://h:1/", PS_OK, "h", "", 1, 0},
	{"http://h:65535/a/b//", PS_OK, "h", "/a/b", 65535, 0},
	{"127.0.0.1:9", PS_OK, "127.0.0.1", "", 9, 0},
	{"http://[::1]:8000/x", PS_OK, "::1", "/x", 8000, 0},
	{"[::1]", PS_OK, "::1", "", 80, 0},
	{"https://h", PS_OK, "h", "", 443, SECURE},
	{"HTTPS://h:8443/b", PS_OK, "h", "/b", 8443, SECURE},
	{"grpc://h:8001", PS_OK, "h", "", 8001, GRPC},
	{"grpcs://[::1]", PS_OK, "::1", "", 443, SECURE | GRPC},
	{"unix:/run/p.sock", PS_OK, "localhost", "/run/p.sock", 80, UNIX},
	{"unix:///run/p.sock", PS_OK, "localhost", "/run/p.sock", 80, UNIX},
	{"unix:p", PS_OK, "localhost", "p", 80, UNIX},
	{"unix:", PS_EPARSE, "", "", 0, 0},
	{"unix://", PS_EPARSE, "", "", 0, 0},
	{"httpss://h", PS_EUNSUPPORTED, "", "", 0, 0},
	{"://h", PS_EUNSUPPORTED, "", "", 0, 0},
	{"ftp://h", PS_EUNSUPPORTED, "", "", 0, 0},
	{"http://", PS_EPARSE, "", "", 0, 0},
	{"", PS_EPARSE, "", "", 0, 0},
	{"http://h:", PS_EPARSE, "", "", 0, 0},
	{"http://h:0", PS_EPARSE, "", "", 0, 0},
	{"http://h:65536", PS_EPARSE, "", "", 0, 0},
	{"http://h:8x", PS_EPARSE, "", "", 0, 0},
	{"http://u@h", PS_EPARSE, "", "", 0, 0},
	{"http://[::1", PS_EPARSE, "", "", 0, 0},
	{"http://[::1]x", PS_EPARSE, "", "", 0, 0},
	{"http://h/a b", PS_EPARSE, "", "", 0, 0},
	{"http://h?a", PS_EPARSE, "", "", 0, 0},
	{"http://h/a#b", PS_EPARSE, "", "", 0, 0},
};

static void urls_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
		struct ps_net_url u;
		enum ps_status s = ps_net_url_parse(urls[i].text, &u, NULL);
		if (s != urls[i].status)
			fail_msg("%s: got %s", urls[i].text, ps_status_name(s));
		if (s != PS_OK)
			continue;
		assert_string_equal(u.host, urls[i].host);
		assert_string_equal(urls[i].flags & UNIX ? u.unix_path : u.base, urls[i].base);
		assert_int_equal(u.port, urls[i].port);
		assert_int_equal(u.secure, (urls[i].flags & SECURE) != 0);
		assert_int_equal(u.grpc, (urls[i].flags & GRPC) != 0);
		assert_int_equal(u.unix_path[0] != '\0', (urls[i].flags & UNIX) != 0);
	}
}

static void addresses_are_resolved(void **state)
{
	(void)state;
	struct ps_net_address a;
	char text[PS_NET_ADDRESS_TEXT_SIZE];
	assert_int_equal(ps_net_resolve("127.0.0.1", 80, &a, NULL), PS_OK);
	assert_string_equal(ps_net_address_text(&a, text), "127.0.0.1:80");
	assert_int_equal(ps_net_resolve("::1", 81, &a, NULL), PS_OK);
	assert_string_equal(ps_net_address_text(&a, text), "[::1]:81");
	assert_int_equal(ps_net_address_port(&a), 81);
}

static void unix_sockets_have_bounds(void **state)
{
	(void)state;
	char path[200] = "", text[PS_NET_ADDRESS_TEXT_SIZE];
	struct ps_net_address a;
	struct ps_net_url u;
	assert_int_equal(ps_net_address_unix("", &a, NULL), PS_EINVAL);
	memset(path, 'x', 108);
	assert_int_equal(ps_net_address_unix(path, &a, NULL), PS_EINVAL);
	path[107] = '\0';
	assert_int_equal(ps_net_address_unix(path, &a, NULL), PS_OK);
	assert_int_equal(ps_net_url_parse("unix:/run/p.sock", &u, NULL), PS_OK);
	assert_int_equal(ps_net_resolve_url(&u, &a, NULL), PS_OK);
	assert_string_equal(ps_net_address_text(&a, text), "unix:/run/p.sock");
	assert_int_equal(ps_net_url_parse("127.0.0.1:9", &u, NULL), PS_OK);
	assert_int_equal(ps_net_resolve_url(&u, &a, NULL), PS_OK);
	assert_string_equal(ps_net_address_text(&a, text), "127.0.0.1:9");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_are_read),
		cmocka_unit_test(addresses_are_resolved),
		cmocka_unit_test(unix_sockets_have_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
