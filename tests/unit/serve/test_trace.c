/* traceparent: what is read, what is refused, what goes on. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve/observe_internal.h"

#include <string.h>

#define TRACE  "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"

struct row {
	const char *header;
	const char *out; /* with span 1; NULL: it is refused */
};

static const struct row rows[] = {
	{"00-" TRACE "-" PARENT "-01", "00-" TRACE "-0000000000000001-01"},
	{"00-" TRACE "-" PARENT "-00", "00-" TRACE "-0000000000000001-00"},
	{"00-" TRACE "-" PARENT "-03", "00-" TRACE "-0000000000000001-03"},
	/* unknown flags are not sent on */
	{"00-" TRACE "-" PARENT "-ff", "00-" TRACE "-0000000000000001-03"},
	/* later versions: what is known by its place; answered as version 00 */
	{"01-" TRACE "-" PARENT "-01", "00-" TRACE "-0000000000000001-01"},
	{"cc-" TRACE "-" PARENT "-03-more", "00-" TRACE "-0000000000000001-01"},
	{"cc-" TRACE "-" PARENT "-01.more", NULL},
	{"cc-" TRACE "-" PARENT "-01x", NULL},
	/* version 00 ends behind the flags */
	{"00-" TRACE "-" PARENT "-01-more", NULL},
	{"00-" TRACE "-" PARENT "-01 ", NULL},
	{"ff-" TRACE "-" PARENT "-01", NULL},
	{"", NULL},
	{"00-" TRACE "-" PARENT "-0", NULL},
	{"00-" TRACE "-" PARENT "-0g", NULL},
	{"0-" TRACE "-" PARENT "-001", NULL},
	{"00-00000000000000000000000000000000-" PARENT "-01", NULL},
	{"00-" TRACE "-0000000000000000-01", NULL},
	{"00-0AF7651916CD43DD8448EB211C80319C-" PARENT "-01", NULL},
	{"00-" TRACE "-B7AD6B7169203331-01", NULL},
	{"00_" TRACE "-" PARENT "-01", NULL},
	{"00-" TRACE "_" PARENT "-01", NULL},
	{"00-" TRACE "-" PARENT "_01", NULL},
	{"00-0af7651916cd43dd8448eb211c8031-9c-" PARENT "-1", NULL},
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ps_serve_trace t = {0};
		bool good = ps_serve_trace_parse(rows[i].header, &t);
		if (good != (rows[i].out != NULL))
			fail_msg("row %zu: '%s'", i, rows[i].header);
		if (!good)
			continue;
		ps_serve_trace_span(&t, 1);
		assert_string_equal(t.text, rows[i].out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_table)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
