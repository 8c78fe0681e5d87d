/* error, status, json, log, clock: what is said and counted */
#include "base/clock.h"
#include "base/csv.h"
#include "base/error.h"
#include "base/json.h"
#include "base/version.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_status_table(void **state)
{
	(void)state;
	for (int s = 0; s < PS_STATUS_COUNT; s++) {
		const struct ps_status_row *row = ps_status_get((enum ps_status)s);
		assert_int_equal(row->status, s);
		assert_true(row->name[0] && row->meaning[0]);
		assert_true(s == PS_OK ? row->exit_code == 0
				       : row->exit_code > 1 && row->exit_code < 128);
		assert_true(row->http >= 200 && row->http < 600);
		assert_true(row->grpc >= 0 && row->grpc <= 16);
		for (int t = 0; t < s; t++)
			assert_string_not_equal(row->name, ps_status_name((enum ps_status)t));
	}
	assert_string_equal(ps_status_name((enum ps_status)999), "internal");
	assert_string_equal(ps_status_name((enum ps_status) - 1), "internal");
	assert_int_equal(ps_status_from_errno(0), PS_OK);
	assert_int_equal(ps_status_from_errno(ENOSPC), PS_ENOSPC);
	assert_int_equal(ps_status_from_errno(EADDRINUSE), PS_EINUSE);
	assert_int_equal(ps_status_from_errno(12345), PS_EIO);
}

static void test_csv(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
	} texts[] = {
		{"", "\"\""},
		{"a", "\"a\""},
		{"a,b\r\nc", "\"a,b\r\nc\""},
		{"say \"so\"", "\"say \"\"so\"\"\""},
		/* what a spreadsheet would run */
		{"=1+1", "\"'=1+1\""},
		{"+a", "\"'+a\""},
		{"-a", "\"'-a\""},
		{"@a", "\"'@a\""},
		{"\ta", "\"'\ta\""},
		{"\ra", "\"'\ra\""},
		{"a=1", "\"a=1\""},
		{"\"=1", "\"\"\"=1\""},
	};
	static const struct {
		double v;
		const char *want;
	} reals[] = {{0, "0"},	{0.1, "0.1"},	   {-2.5e-9, "-2.5e-09"}, {1e300, "1e+300"},
		     {NAN, ""}, {INFINITY, "inf"}, {-INFINITY, "-inf"}};
	struct ps_strbuf out;
	ps_strbuf_init(&out);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		ps_strbuf_clear(&out);
		ps_csv_text(&out, texts[i].text);
		assert_string_equal(out.data, texts[i].want);
	}
	for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++) {
		ps_strbuf_clear(&out);
		ps_csv_real(&out, reals[i].v);
		assert_string_equal(out.data, reals[i].want);
	}
	ps_strbuf_fini(&out);
}

static void test_error(void **state)
{
	struct ps_error err;
	char big[1000], text[60];

	(void)state;
	assert_int_equal(ps_error_set(NULL, PS_EIO, "x"), PS_EIO);
	ps_error_where(NULL, "x");
	ps_error_hint(NULL, "x");
	ps_error_set(&err, PS_EPARSE, "bad %d", 5);
	ps_error_where(&err, "f:%d", 3);
	ps_error_hint(&err, "write %s", "6");
	assert_string_equal(ps_error_format(&err, text, sizeof text), "f:3: bad 5 (write 6)");
	/* an error that quotes itself */
	ps_error_set(&err, PS_EIO, "again: %s", err.what);
	assert_string_equal(err.what, "again: bad 5");
	assert_string_equal(err.where, "");
	ps_error_where(&err, "<%s>", err.where);
	assert_string_equal(err.where, "<>");
	memset(big, 'b', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	ps_error_set(&err, PS_EIO, "%s", big);
	assert_int_equal(strlen(err.what), sizeof err.what - 1);
	assert_string_equal(err.what + strlen(err.what) - 4, "b...");
	assert_string_equal(ps_error_format(&err, text, 5), "bbbb");
	ps_error_errno(&err, ENOENT, "cannot open %s", "x");
	assert_int_equal(err.status, PS_ENOTFOUND);
	assert_string_equal(err.what, "cannot open x: No such file or directory");
	ps_error_set(&err, PS_ENOMEM, "%s", "");
	assert_string_equal(ps_error_format(&err, text, sizeof text), "out of memory");
	ps_error_clear(&err);
	assert_int_equal(err.status, PS_OK);
}

static void test_json_parse(void **state)
{
	static const struct {
		const char *text;
		const char *where; /* NULL: good */
	} rows[] = {
		{"{}", NULL},
		{"5", NULL},
		{"{\"a\": [1, 2.5, null, true]}", NULL},
		{"", "line 1, column "},
		{"{\"a\": 1, \"a\": 2}", "line 1, column "},
		{"{} x", "line 1, column "},
		{"{\n\"a\" 1}", "line 2, column "},
		{"\"\\ud800\"", "line 1, column "},
		{"nan", "line 1, column "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		json_t *v = NULL;
		struct ps_error err = {0};
		enum ps_status st = ps_json_parse(rows[i].text, strlen(rows[i].text), &v, &err);
		assert_int_equal(st, rows[i].where ? PS_EPARSE : PS_OK);
		if (rows[i].where)
			assert_int_equal(strncmp(err.where, rows[i].where, strlen(rows[i].where)),
					 0);
		json_decref(v);
	}
}

static void test_json_values(void **state)
{
	json_t *o = json_object();

	(void)state;
	ps_json_set_real(o, "nan", NAN);
	ps_json_set_real(o, "inf", INFINITY);
	ps_json_set_real(o, "x", 2.5);
	ps_json_set_int(o, "big", INT64_MAX);
	ps_json_set_string(o, "none", NULL);
	ps_json_set_string(o, "latin", "caf\xe9");
	ps_json_set_string(o, "utf", "caf\xc3\xa9");
	ps_json_set_bool(o, "yes", true);
	assert_true(json_is_null(json_object_get(o, "nan")));
	assert_true(json_is_null(json_object_get(o, "inf")));
	assert_true(json_is_null(json_object_get(o, "none")));
	assert_true(ps_json_get_int(o, "big", 0) == INT64_MAX);
	assert_true(ps_json_get_real(o, "x", 0) == 2.5);
	assert_true(ps_json_get_real(o, "big", 0) > 9e18);
	assert_true(ps_json_get_real(o, "utf", -1) == -1);
	assert_int_equal(ps_json_get_int(o, "x", -1), -1);
	assert_string_equal(ps_json_get_string(o, "latin", ""), "caf?");
	assert_string_equal(ps_json_get_string(o, "utf", ""), "caf\xc3\xa9");
	assert_string_equal(ps_json_get_string(o, "absent", "other"), "other");
	assert_true(json_is_true(json_object_get(o, "yes")));
	json_decref(o);
}

static void test_json_quote(void **state)
{
	(void)state;
	struct ps_strbuf b;
	ps_strbuf_init(&b);
	ps_json_quote(&b, "a \"b\"\\ \n caf\xc3\xa9");
	assert_string_equal(b.data, "\"a \\\"b\\\"\\\\ \\n caf\xc3\xa9\"");
	assert_int_equal(ps_strbuf_status(&b), PS_OK);
	ps_json_quote(&b, "caf\xe9");
	assert_int_not_equal(ps_strbuf_status(&b), PS_OK);
	ps_strbuf_fini(&b);
}

static void test_clock(void **state)
{
	struct ps_clock_fake fake;
	char iso[PS_CLOCK_ISO_SIZE];
	int64_t step, cost;

	(void)state;
	ps_clock_fake_init(&fake, 5);
	assert_int_equal(ps_clock_read(&fake.clock), 5);
	fake.now_ns = 7;
	assert_int_equal(ps_clock_read(&fake.clock), 7);
	ps_clock_wall_iso(INT64_C(1795366800123456789), iso);
	assert_string_equal(iso, "2026-11-22T17:00:00.123Z");
	int64_t a = ps_clock_now_ns(), b = ps_clock_read(ps_clock_monotonic());
	assert_true(b >= a);
	assert_true(ps_clock_sleep_until_ns(a) >= b); /* an instant that has passed */
	ps_clock_resolution_ns(&step, &cost);
	assert_true(step >= 0 && cost >= 0);
	int64_t mine = ps_clock_thread_cpu_ns();
	assert_true(ps_clock_cpu_ns() >= mine);
	assert_true(ps_version()[0] && ps_version_revision()[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_table), cmocka_unit_test(test_csv),
		cmocka_unit_test(test_error),	     cmocka_unit_test(test_json_parse),
		cmocka_unit_test(test_json_values),  cmocka_unit_test(test_json_quote),
		cmocka_unit_test(test_clock),
	};

	return cmocka_run_group_tests_name("base/text", tests, NULL, NULL);
}
