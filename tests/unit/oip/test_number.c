/* Decimal text <-> binary numbers, held against the C library. PS_NUMBER_ROUNDS=N multiplies the
 * random cases (default 1, well under two seconds). */
#include "oip/decimal_internal.h"
#include "oip/oip_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long rounds(long n)
{
	const char *times = getenv("PS_NUMBER_ROUNDS");
	return times ? n * strtol(times, NULL, 10) : n;
}

static uint64_t state = 88172645463325252u;

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * UINT64_C(2685821657736338717);
}

static uint32_t bits32(float v)
{
	uint32_t b;
	memcpy(&b, &v, sizeof b);
	return b;
}

static float float_of(uint32_t b)
{
	float v;
	memcpy(&v, &b, sizeof v);
	return v;
}

static uint64_t bits64(double v)
{
	uint64_t b;
	memcpy(&b, &v, sizeof b);
	return b;
}

static double double_of(uint64_t b)
{
	double v;
	memcpy(&v, &b, sizeof v);
	return v;
}

/* Both kinds, the text and its negative. */
static void check(const char *text)
{
	char negative[1200];
	struct ps_oip_number n;
	float f = 0;
	double d = 0;
	if (!ps_oip_scan_number(text, text + strlen(text), &n) || n.n != strlen(text))
		fail_msg("%s is a number", text);
	float want_f = strtof(text, NULL);
	double want_d = strtod(text, NULL);
	bool ok = ps_oip_number_float(&n, &f);
	if (ok != (bool)isfinite(want_f) || (ok && bits32(f) != bits32(want_f)))
		fail_msg("%s is %a, not %a", text, (double)want_f, (double)f);
	ok = ps_oip_number_real(&n, &d);
	if (ok != (bool)isfinite(want_d) || (ok && bits64(d) != bits64(want_d)))
		fail_msg("%s is %a, not %a", text, want_d, d);
	snprintf(negative, sizeof negative, "-%s", text);
	assert_true(ps_oip_scan_number(negative, negative + strlen(negative), &n));
	if (ps_oip_number_real(&n, &d))
		assert_true(bits64(d) == bits64(-want_d));
	if (ps_oip_number_float(&n, &f))
		assert_true(bits32(f) == bits32(-want_f));
}

static void chosen_numbers(void **unused)
{
	(void)unused;
	static const char *const texts[] = {
		"0",
		"0.0",
		"0e5",
		"0e-999999999",
		"1",
		"10",
		"1e22",
		"1e23",
		"1e-22",
		"1e-23",
		"9007199254740992",
		"9007199254740993",
		"9007199254740993.0",
		"9007199254740994",
		"9007199254740993.00000000000000000000000000000001",
		"18446744073709551615",
		"18446744073709551616",
		"99999999999999999999",
		"16777216",
		"16777217",
		"16777217.0000000000000001",
		"16777216.9999999999999999",
		"16777218",
		"16777219",
		"33554433",
		"33554435",
		"8388608.5",
		"8388609.5",
		"4194304.25",
		"4194304.75",
		"3.4028235e38",
		"3.4028234663852886e38",
		"3.4028235677973366e38",
		"3.4028235677973365e38",
		"3.4028235677973367e38",
		"3.5e38",
		"1e39",
		"1e308",
		"1.7976931348623157e308",
		"1.7976931348623158e308",
		"1.7976931348623159e308",
		"1.797693134862315807e308",
		"1e309",
		"1e400",
		"1e99999999999",
		"1e-99999999999",
		"1.1754943508222875e-38",
		"1.17549429e-38",
		"1.1754942e-38",
		"1.4012984643e-45",
		"7.006492321624085e-46",
		"7.006492321624086e-46",
		"7.0064923216240853e-46",
		"7.0064923216240854e-46",
		"1e-45",
		"1e-46",
		"1e-64",
		"1e-65",
		"1e-66",
		"2.2250738585072014e-308",
		"2.2250738585072011e-308",
		"2.2250738585072009e-308",
		"4.9406564584124654e-324",
		"2.4703282292062327e-324",
		"2.4703282292062328e-324",
		"2.47e-324",
		"1e-324",
		"1e-342",
		"1e-343",
		"9999999999999999999e-343",
		"1e-400",
		"0.1",
		"0.5",
		"0.25",
		"0.000000000000000000000000000000000000001",
		"100000000000000000000000000000000000000",
		"123456789012345678901234567890",
		"0.12345678901234567890123456789e-5",
		"0.000000001234567812345678123",
		"12345678.12345678",
		"1234567812345678.1",
		"0.30000001192092896",
		"6.02214076e23",
		"0.100000001490116119384765625",
		"5.684341886080802e-14",
		"9.5367431640625e-7",
	};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		check(texts[i]);
}

static void every_power(void **unused)
{
	(void)unused;
	char text[64];
	for (int q = -360; q <= 330; q++)
		for (int i = 0; i < 20; i++) {
			uint64_t w = next() >> (next() & 63);
			snprintf(text, sizeof text, "%llue%d", (unsigned long long)w, q);
			check(text);
		}
}

static void random_texts(void **unused)
{
	(void)unused;
	char text[80];
	for (long i = 0; i < rounds(40000); i++) {
		int whole = (int)(next() % 12), part = (int)(next() % 24);
		char *at = text;
		*at++ = (char)('1' + next() % 9);
		for (int k = 0; k < whole; k++)
			*at++ = (char)('0' + next() % 10);
		*at++ = '.';
		for (int k = 0; k <= part; k++)
			*at++ = (char)('0' + next() % 10);
		*at = '\0';
		if (next() & 1)
			sprintf(at, "e%d", (int)(next() % 110) - 60);
		check(text);
	}
}

/* Floats as clients write them: nine digits, their double's seventeen, all their digits. */
static void random_floats(void **unused)
{
	(void)unused;
	static const char *const forms[] = {"%.9g", "%.8g", "%.17g", "%.7e", "%.50g"};
	char text[128];
	for (long i = 0; i < rounds(30000); i++) {
		float v = fabsf(float_of((uint32_t)next()));
		if (!isfinite(v))
			continue;
		snprintf(text, sizeof text, forms[next() % 5], (double)v);
		check(text);
	}
}

static void random_doubles(void **unused)
{
	(void)unused;
	static const char *const forms[] = {"%.17g", "%.16g", "%.15g", "%.40e"};
	char text[128];
	for (long i = 0; i < rounds(30000); i++) {
		double v = fabs(double_of(next()));
		if (!isfinite(v))
			continue;
		snprintf(text, sizeof text, forms[next() % 4], v);
		check(text);
	}
}

/* Raises or lowers the last digit of a text that has no exponent. */
static void nudge(char *text, int by)
{
	char *last = text + strlen(text) - 1;
	if (*last == '0' || *last == '9' || *last == '.')
		return;
	*last = (char)(*last + by);
}

/* Exactly between two floats, and a hair to each side, written out in full and cut. */
static void between_floats(void **unused)
{
	(void)unused;
	char text[400], nudged[400];
	for (long i = 0; i < rounds(6000); i++) {
		uint32_t b = (uint32_t)next() & 0x7fffffff;
		if (b >= 0x7f7fffff)
			continue;
		if (i % 4 == 0)
			b &= 0x007fffff; /* below the normal ones */
		if (i % 4 == 1)
			b = (b & 0x007fffff) | (uint32_t)(110 + next() % 40) << 23;
		double middle = ((double)float_of(b) + (double)float_of(b + 1)) / 2;
		snprintf(text, sizeof text, "%.*f", 160, middle);
		for (char *end = text + strlen(text) - 1; *end == '0' && end[-1] != '.'; end--)
			*end = '\0';
		check(text);
		memcpy(nudged, text, sizeof nudged);
		nudge(nudged, 1);
		check(nudged);
		memcpy(nudged, text, sizeof nudged);
		nudge(nudged, -1);
		check(nudged);
		strcat(text, "00000000000000000001");
		check(text);
		snprintf(text, sizeof text, "%.17g", middle);
		check(text);
	}
}

static void between_doubles(void **unused)
{
	(void)unused;
	char text[1024];
	for (long i = 0; i < rounds(3000); i++) {
		/* The long double between two doubles is exact on machines that have one. */
		double v = double_of(next() & INT64_MAX);
		if (i % 2)
			v = double_of((next() & 0x000fffffffffffff) | (uint64_t)(990 + next() % 80)
									      << 52);
		if (!isfinite(v) || v < 1e-200 || v > 1e200)
			continue;
		long double middle = ((long double)v + (long double)nextafter(v, INFINITY)) / 2;
		snprintf(text, sizeof text, "%.*Le", 780, middle);
		check(text);
		snprintf(text, sizeof text, "%.*Le", 18 + (int)(next() % 5), middle);
		check(text);
	}
}

static void long_numbers_are_bounded(void **unused)
{
	(void)unused;
	char *text = malloc(3000);
	struct ps_oip_number n;
	float f;
	/* Certain long before its end. */
	strcpy(text, "0.3");
	memset(text + 3, '3', 2000);
	text[2003] = '\0';
	assert_true(ps_oip_scan_number(text, text + 2003, &n));
	assert_true(ps_oip_number_float(&n, &f) && bits32(f) == bits32(0.33333333333f));
	/* Halfway until its end, which is too far. */
	strcpy(text, "16777217.");
	memset(text + 9, '0', 2000);
	strcpy(text + 2009, "1");
	assert_true(ps_oip_scan_number(text, text + 2010, &n));
	assert_false(ps_oip_number_float(&n, &f));
	free(text);
}

/* --- writing --- */

static int digits_of(const char *text)
{
	int n = 0, zeros = 0;
	for (; *text && *text != 'e'; text++) {
		if (*text < '0' || *text > '9' || (n == 0 && *text == '0'))
			continue;
		n++;
		zeros = *text == '0' ? zeros + 1 : 0;
	}
	return n - zeros;
}

static void check_written(double v, bool fp32)
{
	struct ps_strbuf out;
	char shorter[64];
	ps_strbuf_init(&out);
	ps_oip_put_real(&out, v, fp32);
	assert_int_equal(ps_strbuf_status(&out), PS_OK);
	bool same = fp32 ? bits32(strtof(out.data, NULL)) == bits32((float)v)
			 : bits64(strtod(out.data, NULL)) == bits64(v);
	if (!same)
		fail_msg("%a was written as %s", v, out.data);
	int n = digits_of(out.data);
	if (n > 1) {
		snprintf(shorter, sizeof shorter, "%.*e", n - 2, v);
		if (fp32 ? strtof(shorter, NULL) == (float)v : strtod(shorter, NULL) == v)
			fail_msg("%s was written where %s would do", out.data, shorter);
	}
	ps_strbuf_fini(&out);
}

static void numbers_come_back(void **unused)
{
	(void)unused;
	for (long i = 0; i < rounds(20000); i++) {
		float f = float_of((uint32_t)next());
		double d = double_of(next());
		if (isfinite(f))
			check_written((double)f, true);
		if (isfinite(d))
			check_written(d, false);
		check_written((double)(float)(int)(next() % 2000) / 8, true);
		check_written((double)(next() % 100000) / 1000, false);
	}
	for (int e = -1074; e < 1024; e++) {
		check_written(ldexp(1, e), false);
		check_written(nextafter(ldexp(1, e), 0), false);
	}
	for (int e = -149; e < 128; e++) {
		check_written(ldexp(1, e), true);
		check_written((double)nextafterf((float)ldexp(1, e), 0), true);
	}
}

static const struct {
	double v;
	bool fp32;
	const char *text;
} written[] = {
	{0, true, "0"},
	{-0.0, true, "-0"},
	{1, true, "1"},
	{-1.5, false, "-1.5"},
	{0.1, false, "0.1"},
	{(double)0.1f, true, "0.1"},
	{(double)0.1f, false, "0.10000000149011612"},
	{100, true, "100"},
	{16777216, true, "16777216"},
	{1e17, false, "1e17"},
	{12345678901234567.0, false, "12345678901234568"},
	{1e16, false, "10000000000000000"},
	{0.001, false, "0.001"},
	{0.00012, false, "0.00012"},
	{0.000012, false, "1.2e-5"},
	{1e22, false, "1e22"},
	{1e23, false, "1e23"},
	{5e-324, false, "5e-324"},
	{DBL_MAX, false, "1.7976931348623157e308"},
	{DBL_MIN, false, "2.2250738585072014e-308"},
	{(double)FLT_MAX, true, "3.4028235e38"},
	{(double)FLT_MIN, true, "1.1754944e-38"},
	{1.401298464324817e-45, true, "1e-45"},
	{9007199254740993.0, false, "9007199254740992"},
	{5.684341886080802e-14, false, "5.684341886080802e-14"},
};

static void numbers_are_written(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof written / sizeof written[0]; i++) {
		struct ps_strbuf out;
		ps_strbuf_init(&out);
		ps_oip_put_real(&out, written[i].v, written[i].fp32);
		assert_string_equal(out.data, written[i].text);
		ps_strbuf_fini(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chosen_numbers),    cmocka_unit_test(every_power),
		cmocka_unit_test(random_texts),	     cmocka_unit_test(random_floats),
		cmocka_unit_test(random_doubles),    cmocka_unit_test(between_floats),
		cmocka_unit_test(between_doubles),   cmocka_unit_test(long_numbers_are_bounded),
		cmocka_unit_test(numbers_come_back), cmocka_unit_test(numbers_are_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
