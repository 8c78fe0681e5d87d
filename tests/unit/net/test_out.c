/* What may stand in a head: every byte at every place of texts around the eight bytes that are
 * looked at together. */
#include "net/net_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_every_byte_at_every_place(void **state)
{
	(void)state;
	char text[26];
	for (size_t n = 1; n < sizeof text; n++)
		for (size_t at = 0; at < n; at++)
			for (int byte = 1; byte < 256; byte++) {
				memset(text, at % 2 ? 0xff : ' ', n);
				text[n] = '\0';
				text[at] = (char)byte;
				bool plain = byte >= 0x20 && byte != 0x7f;
				assert_int_equal(ps_net_text_is_plain(text), plain);
			}
}

static void test_nul_is_not_plain(void **state)
{
	(void)state;
	assert_true(ps_net_bytes_are_plain("", 0));
	assert_false(ps_net_bytes_are_plain("abcdefg\0", 8));
	assert_false(ps_net_bytes_are_plain("\0", 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte_at_every_place),
		cmocka_unit_test(test_nul_is_not_plain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
