/* Bills: instants, exact sums, what may be missing. */
// needs: store
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve/bill.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
	const char *text;
	int64_t minute; /* -1: refused */
};

static const struct row rows[] = {
	{"0", 0},
	{"60", 1},
	{"61", -1},
	{"-60", -1},
	{"1970-01-01", 0},
	{"1970-01-02T00:01", 1441},
	{"1970-01-02 00:01:00Z", 1441},
	{"2026-11-22T17:05Z", 29922785},
	{"2024-02-29", 28486080},
	{"2026-02-29", -1},
	{"2026-13-01", -1},
	{"2026-11-22T24:00", -1},
	{"2026-11-22T17:05:01", -1},
	{"2026-11-22T17", -1},
	{"2026-11-22T17:05+01:00", -1},
	{"yesterday", -1},
	{"", -1},
};

static void test_instants(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int64_t minute = -1;
		struct ps_error err;
		enum ps_status status = ps_serve_bill_minute(rows[i].text, &minute, &err);
		if ((status == PS_OK) != (rows[i].minute >= 0) || minute != rows[i].minute)
			fail_msg("'%s': %lld", rows[i].text, (long long)minute);
	}
}

static char dir[64];

static struct ps_state *fill(void)
{
	struct ps_state *s;
	struct ps_error err;
	const struct ps_state_usage usage[] = {
		{.tenant = "a",
		 .model = "m",
		 .version = 1,
		 .minute = 10,
		 .requests = 3,
		 .inferences = 9007199254740993,
		 .compute_ns = 7,
		 .resident_byte_s = 1},
		{.tenant = "a",
		 .model = "m",
		 .version = 1,
		 .minute = 11,
		 .requests = 4,
		 .failed = 2},
		{.tenant = "b", .model = "m", .version = 1, .minute = 11, .requests = 5},
	};
	strcpy(dir, "/tmp/perseus-bill-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(ps_state_open(dir, 600000000000, &s, &err), PS_OK);
	assert_int_equal(ps_state_write(s, usage, 3, 700000000000, &err), PS_OK);
	return s;
}

static void clean(struct ps_state *s)
{
	char command[96];
	ps_state_close(s);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

static void test_forms(void **state)
{
	struct ps_state *s = fill();
	const struct ps_state_query all = {0}, minutes = {.by_minute = true, .tenant = "a"};
	struct ps_strbuf out;
	struct ps_error err;
	json_t *bill;
	(void)state;
	ps_strbuf_init(&out);
	assert_int_equal(ps_serve_bill_write(s, &all, PS_SERVE_BILL_JSON, 10, &out, &err), PS_OK);
	assert_int_equal(ps_json_parse(out.data, out.len, &bill, &err), PS_OK);
	const json_t *total = json_object_get(bill, "total");
	assert_int_equal(ps_json_get_int(total, "requests", 0), 12);
	assert_int_equal(ps_json_get_int(total, "inferences", 0), 9007199254740993);
	assert_int_equal(json_array_size(json_object_get(bill, "rows")), 2);
	assert_int_equal(ps_json_get_int(bill, "runs_without_end", 0), 1);
	assert_int_equal(ps_json_get_int(bill, "possible_loss_ns", 0), 10000000000);
	json_decref(bill);
	ps_strbuf_clear(&out);
	assert_int_equal(ps_serve_bill_write(s, &minutes, PS_SERVE_BILL_CSV, 10, &out, &err),
			 PS_OK);
	assert_string_equal(out.data,
			    "tenant,model,version,minute,requests,failed,inferences,compute_ns,"
			    "resident_byte_s\n"
			    "a,m,1,1970-01-01T00:10Z,3,0,9007199254740993,7,1\n"
			    "a,m,1,1970-01-01T00:11Z,4,2,0,0,0\n");
	ps_strbuf_clear(&out);
	assert_int_equal(ps_serve_bill_write(s, &all, PS_SERVE_BILL_TEXT, 10, &out, &err), PS_OK);
	assert_non_null(strstr(out.data, "at most the last 10 s are missing"));
	assert_int_equal(ps_state_end(s, 800000000000, &err), PS_OK);
	ps_strbuf_clear(&out);
	assert_int_equal(ps_serve_bill_write(s, &all, PS_SERVE_BILL_TEXT, 10, &out, &err), PS_OK);
	assert_non_null(strstr(out.data, "nothing is missing"));
	assert_int_equal(ps_serve_bill_write(s, &all, PS_SERVE_BILL_CSV, 1, &out, &err),
			 PS_ETOOBIG);
	ps_strbuf_fini(&out);
	clean(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_instants),
					   cmocka_unit_test(test_forms)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
