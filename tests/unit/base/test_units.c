#include "base/sla.h"
#include "base/units.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { BAD = -1 };

static void test_duration(void **state)
{
	static const struct {
		const char *text;
		int64_t ns; /* BAD: refused */
	} rows[] = {
		{"250us", 250000},
		{"1.5ms", 1500000},
		{"8s", INT64_C(8000000000)},
		{"2m", INT64_C(120000000000)},
		{"2min", INT64_C(120000000000)},
		{"1h", INT64_C(3600000000000)},
		{"1d", INT64_C(86400000000000)},
		{"7ns", 7},
		{"200 ms", 200000000},
		{"1e3ms", INT64_C(1000000000)},
		{"0", 0},
		{"0.0", 0},
		{"+1s", INT64_C(1000000000)},
		{"0.0000000004s", 0},
		{"0.0000000006s", 1},
		{"", BAD},
		{"8", BAD},
		{"s", BAD},
		{"-1s", BAD},
		{"1 s ", BAD},
		{" 1s", BAD},
		{"1  s", BAD},
		{"1S", BAD},
		{"1s2", BAD},
		{"1,5s", BAD},
		{"1.2.3s", BAD},
		{".s", BAD},
		{"1e999s", BAD},
		{"1e10d", BAD},
		{"nan s", BAD},
		{"infs", BAD},
		{"0x1s", BAD},
		{"1ms\n", BAD},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ps_error err;
		int64_t ns = 42;
		enum ps_status st = ps_units_parse_duration(rows[i].text, &ns, &err);
		if ((st == PS_OK) != (rows[i].ns != BAD) || (st == PS_OK && ns != rows[i].ns) ||
		    (st != PS_OK && (ns != 42 || err.status != PS_EPARSE)))
			fail_msg("'%s' -> status %d, %lld", rows[i].text, st, (long long)ns);
	}
}

static void test_bytes(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} rows[] = {
		{"1024", 1024},
		{"64KiB", 65536},
		{"16MiB", 16777216},
		{"2GiB", INT64_C(2147483648)},
		{"1TiB", INT64_C(1099511627776)},
		{"5MB", 5000000},
		{"1.5KiB", 1536},
		{"7 B", 7},
		{"0", 0},
		{"64K", BAD},
		{"64kib", BAD},
		{"-1", BAD},
		{"1e30", BAD},
		{"", BAD},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int64_t bytes = 42;
		enum ps_status st = ps_units_parse_bytes(rows[i].text, &bytes, NULL);
		if ((st == PS_OK) != (rows[i].bytes != BAD) ||
		    (st == PS_OK && bytes != rows[i].bytes) || (st != PS_OK && bytes != 42))
			fail_msg("'%s' -> status %d, %lld", rows[i].text, st, (long long)bytes);
	}
}

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		double value; /* NAN: refused */
	} reals[] = {
		{"0", 0},      {"-1.5", -1.5}, {"1e-3", 1e-3}, {"+2E2", 200},  {".5", 0.5},
		{"5.", 5},     {"nan", NAN},   {"inf", NAN},   {"1e999", NAN}, {"1,5", NAN},
		{"0x10", NAN}, {" 1", NAN},    {"1 ", NAN},    {"", NAN},      {"-", NAN},
		{"1e", NAN},   {"1e+", NAN},   {"..", NAN},
	};
	static const struct {
		const char *text;
		enum ps_status status;
		int64_t value;
	} ints[] = {
		{"0", PS_OK, 0},
		{"-7", PS_OK, -7},
		{"+7", PS_OK, 7},
		{"9223372036854775807", PS_OK, INT64_MAX},
		{"-9223372036854775808", PS_OK, INT64_MIN},
		{"9223372036854775808", PS_ETOOBIG, 0},
		{"-9223372036854775809", PS_ETOOBIG, 0},
		{"1.0", PS_EPARSE, 0},
		{"1e3", PS_EPARSE, 0},
		{"0x10", PS_EPARSE, 0},
		{" 1", PS_EPARSE, 0},
		{"1 ", PS_EPARSE, 0},
		{"--1", PS_EPARSE, 0},
		{"", PS_EPARSE, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
		double v = 42;
		bool good = ps_units_parse_double(reals[i].text, &v, NULL) == PS_OK;
		if (good != !isnan(reals[i].value) || (good && v != reals[i].value))
			fail_msg("'%s' -> %d, %g", reals[i].text, good, v);
	}
	for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
		int64_t v = 42;
		enum ps_status st = ps_units_parse_int(ints[i].text, &v, NULL);
		if (st != ints[i].status || (st == PS_OK && v != ints[i].value))
			fail_msg("'%s' -> %d, %lld", ints[i].text, st, (long long)v);
	}
}

static void test_formats(void **state)
{
	static const struct {
		const char *(*format)(int64_t, char *);
		int64_t value;
		const char *want;
	} rows[] = {
		{ps_units_format_duration, 0, "0 ns"},
		{ps_units_format_duration, 999, "999 ns"},
		{ps_units_format_duration, 1230000, "1.23 ms"},
		{ps_units_format_duration, 45600000000, "45.6 s"},
		{ps_units_format_duration, 150000000, "150 ms"},
		{ps_units_format_duration, -1500, "-1.50 us"},
		{ps_units_format_duration, INT64_MAX, "9223372037 s"},
		{ps_units_format_duration, INT64_MIN, "-9223372037 s"},
		{ps_units_format_bytes, 0, "0 B"},
		{ps_units_format_bytes, 1023, "1023 B"},
		{ps_units_format_bytes, 1024, "1.00 KiB"},
		{ps_units_format_bytes, 12897484, "12.3 MiB"},
		{ps_units_format_bytes, INT64_MAX, "8388608 TiB"},
		{ps_units_format_eta, -5, "0s"},
		{ps_units_format_eta, 59400000000, "59s"},
		{ps_units_format_eta, 245000000000, "4m05s"},
		{ps_units_format_eta, 3720000000000, "1h02m"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char buf[PS_UNITS_SIZE];
		assert_string_equal(rows[i].format(rows[i].value, buf), rows[i].want);
	}
}

static void test_sla(void **state)
{
	static const struct {
		const char *text;
		double percentile, success; /* percentile 0: refused */
		int64_t limit_ns;
		const char *written;
	} rows[] = {
		{"p95<=200ms", 0.95, 0.99, 200000000, "p95 <= 200 ms, success >= 99 %"},
		{"p95 <= 200ms, success >= 99.9%", 0.95, 0.999, 200000000,
		 "p95 <= 200 ms, success >= 99.9 %"},
		{" success>=1 ,p99.9<=1s ", 0.999, 1, 1000000000,
		 "p99.9 <= 1000 ms, success >= 100 %"},
		{"p50<=20s,success>=0", 0.5, 0, 20000000000, "p50 <= 20 s, success >= 0 %"},
		{"", 0, 0, 0, NULL},
		{"success>=99%", 0, 0, 0, NULL},
		{"p95<200ms", 0, 0, 0, NULL},
		{"p95<=200", 0, 0, 0, NULL},
		{"p95<=0", 0, 0, 0, NULL},
		{"p0<=1s", 0, 0, 0, NULL},
		{"p100<=1s", 0, 0, 0, NULL},
		{"q95<=1s", 0, 0, 0, NULL},
		{"p95<=1s,success>=101%", 0, 0, 0, NULL},
		{"p95<=1s,success>=nan", 0, 0, 0, NULL},
		{"p95<=1s,", 0, 0, 0, NULL},
		{"p95<=1s,uptime>=99%", 0, 0, 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ps_sla sla = {0};
		char buf[PS_SLA_SIZE];
		bool good = ps_sla_parse(rows[i].text, &sla, NULL) == PS_OK;
		if (good != (rows[i].percentile > 0))
			fail_msg("'%s' -> %d", rows[i].text, good);
		assert_int_equal(ps_sla_is_set(&sla), good);
		if (!good)
			continue;
		assert_true(fabs(sla.percentile - rows[i].percentile) < 1e-12);
		assert_true(fabs(sla.min_success - rows[i].success) < 1e-12);
		assert_int_equal(sla.limit_ns, rows[i].limit_ns);
		assert_string_equal(ps_sla_format(&sla, buf), rows[i].written);
	}
	struct ps_sla none = {0};
	char buf[PS_SLA_SIZE], longer[200];
	assert_string_equal(ps_sla_format(&none, buf), "none");
	memset(longer, ' ', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	assert_int_equal(ps_sla_parse(longer, &none, NULL), PS_EPARSE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_duration), cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_numbers),	 cmocka_unit_test(test_formats),
		cmocka_unit_test(test_sla),
	};

	return cmocka_run_group_tests_name("base/units", tests, NULL, NULL);
}
