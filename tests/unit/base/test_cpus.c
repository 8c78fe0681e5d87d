#include "base/cpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		int count;	     /* -1: refused */
		const char *written; /* NULL: as read */
	} rows[] = {
		{"", 0, NULL},	    {"0", 1, NULL},	    {"0-3", 4, NULL},
		{"0,2-3", 3, NULL}, {"3,1,2", 3, "1-3"},    {"5,5,5", 1, "5"},
		{"1023", 1, NULL},  {"0-1023", 1024, NULL}, {"7-7", 1, "7"},
		{"1024", -1, NULL}, {"-1", -1, NULL},	    {"3-1", -1, NULL},
		{"1,", -1, NULL},   {",1", -1, NULL},	    {"1,,2", -1, NULL},
		{"1-", -1, NULL},   {"a", -1, NULL},	    {"1 2", -1, NULL},
		{" 1", -1, NULL},   {"1-2-3", -1, NULL},    {"99999999999999999999", -1, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ps_cpus c;
		char buf[PS_CPUS_SIZE];
		bool good = ps_cpus_parse(rows[i].text, &c, NULL) == PS_OK;
		if (good != (rows[i].count >= 0))
			fail_msg("'%s' -> %d", rows[i].text, good);
		if (!good)
			continue;
		assert_int_equal(ps_cpus_count(&c), rows[i].count);
		assert_string_equal(ps_cpus_format(&c, buf),
				    rows[i].written ? rows[i].written : rows[i].text);
	}
}

static void test_members(void **state)
{
	struct ps_cpus c = {{0}};

	(void)state;
	assert_int_equal(ps_cpus_nth(&c, 0), -1);
	ps_cpus_add(&c, 63);
	ps_cpus_add(&c, 64);
	ps_cpus_add(&c, 1023);
	assert_int_equal(ps_cpus_nth(&c, 0), 63);
	assert_int_equal(ps_cpus_nth(&c, 1), 64);
	assert_int_equal(ps_cpus_nth(&c, 2), 1023);
	assert_int_equal(ps_cpus_nth(&c, 3), -1);
	assert_true(ps_cpus_has(&c, 64));
	assert_false(ps_cpus_has(&c, 65));
	assert_false(ps_cpus_has(&c, -1));
	assert_false(ps_cpus_has(&c, PS_CPUS_MAX));
}

/* Every other CPU does not fit the text: it is cut and says so, inside the buffer. */
static void test_long_list(void **state)
{
	struct ps_cpus c = {{0}};
	char buf[PS_CPUS_SIZE + 8];

	(void)state;
	for (int i = 0; i < PS_CPUS_MAX; i += 2)
		ps_cpus_add(&c, i);
	memset(buf, 'x', sizeof buf);
	ps_cpus_format(&c, buf);
	assert_true(strlen(buf) < PS_CPUS_SIZE);
	assert_string_equal(buf + strlen(buf) - 4, ",...");
	assert_int_equal(buf[PS_CPUS_SIZE], 'x');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_long_list),
	};

	return cmocka_run_group_tests_name("base/cpus", tests, NULL, NULL);
}
