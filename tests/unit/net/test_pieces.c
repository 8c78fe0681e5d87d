/* Cursors over the pieces of a message. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/pieces_internal.h"

#include <stdio.h>
#include <string.h>

static char large[PS_NET_RECORD_BYTES + 100];

/* How the pieces are cut into records, as "offset:bytes" with * for those taken from where they
 * lie. */
static void records(const struct iovec *pieces, size_t n, char *text, size_t size)
{
	struct ps_net_cursor c = {.piece = pieces, .n = n};
	char record[PS_NET_RECORD_BYTES];
	size_t at = 0;

	text[0] = '\0';
	for (ps_net_cursor_advance(&c, 0); c.n > 0;) {
		size_t bytes, len = strlen(text);
		const char *p = ps_net_cursor_record(c, record, &bytes);

		snprintf(text + len, size - len, "%s%zu:%zu%s", len ? " " : "", at, bytes,
			 p == record ? "" : "*");
		at += bytes;
		ps_net_cursor_advance(&c, bytes);
	}
}

static void pieces_become_records(void **state)
{
	static const struct {
		size_t lengths[4];
		const char *want;
	} rows[] = {
		{{0, 0, 0, 0}, ""},
		{{5, 0, 0, 0}, "0:5"},
		{{0, 0, 0, 5}, "0:5*"},
		{{5, 0, 7, 1}, "0:13"},
		{{PS_NET_RECORD_BYTES, 3, 4, 0}, "0:16384* 16384:7"},
		{{PS_NET_RECORD_BYTES + 1, 3, 0, 0}, "0:16385* 16385:3"},
		{{3, PS_NET_RECORD_BYTES, 4, 0}, "0:16384 16384:7"},
		{{3, PS_NET_RECORD_BYTES, 0, 0}, "0:16384 16384:3"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct iovec pieces[4];
		char text[200];

		for (int k = 0; k < 4; k++) {
			pieces[k] = (struct iovec){large, rows[i].lengths[k]};
		}
		records(pieces, 4, text, sizeof(text));
		if (strcmp(text, rows[i].want) != 0) {
			fail_msg("row %zu: %s", i, text);
		}
	}
}

static void a_cursor_stops_at_the_end(void **state)
{
	struct iovec pieces[] = {{large, 3}, {large, 0}, {large, 4}};
	struct ps_net_cursor c = {.piece = pieces, .n = 3};

	(void)state;
	ps_net_cursor_advance(&c, 3);
	assert_true(c.n == 1 && c.skip == 0); /* in front of a byte */
	ps_net_cursor_advance(&c, 3);
	assert_true(c.n == 1 && c.skip == 3);
	ps_net_cursor_advance(&c, 9);
	assert_true(c.n == 0 && c.skip == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_become_records),
		cmocka_unit_test(a_cursor_stops_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
