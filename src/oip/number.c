#include "oip/decimal_internal.h"
#include "oip/oip_internal.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_NUMBER = 1024, /* characters, where the library must read it */
	EXACT_DIGITS = 19,
	EXACT_POWER = 22,
	MAX_PLAIN = 17, /* digits before the point, written without an exponent */
};

static locale_t c_locale;

static void make_locale(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* Numbers on the wire have a point whatever the locale of the process. */
static locale_t plain_locale(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, make_locale);
	return c_locale;
}

static bool is_digit(const char *p, const char *end)
{
	return p < end && *p >= '0' && *p <= '9';
}

struct digits {
	uint64_t mantissa;
	int significant;
	int64_t dropped; /* digits that no longer fit the mantissa */
	bool lost;	 /* one of them was not 0 */
};

/* The digits at the front of eight bytes, all at once: their number and how many they are. (Little-
 * endian: the first digit is the lowest byte; up to the first byte that is none, nothing carries.)
 */
static inline int front_digits(const char *p, uint64_t *ret_value)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	v ^= UINT64_C(0x3030303030303030);
	uint64_t other = (v | (v + UINT64_C(0x0606060606060606))) & UINT64_C(0xf0f0f0f0f0f0f0f0);
	int n = other ? __builtin_ctzll(other) / 8 : 8;
	if (n == 0)
		return 0;
	v <<= 64 - 8 * n;
	v = (v * 2561 >> 8) & UINT64_C(0x00ff00ff00ff00ff);
	v = (v * 6553601 >> 16) & UINT64_C(0x0000ffff0000ffff);
	*ret_value = v * UINT64_C(42949672960001) >> 32;
	return n;
}

static const char *scan_digits(const char *p, const char *end, struct digits *d)
{
	uint64_t eight;
	/* Zeros in front may be counted as significant: then digits are given up earlier, no more.
	 */
	while (end - p >= 8 && d->significant <= EXACT_DIGITS - 8 && front_digits(p, &eight) == 8) {
		d->mantissa = 100000000 * d->mantissa + eight;
		d->significant += d->mantissa ? 8 : 0;
		p += 8;
	}
	for (; is_digit(p, end); p++) {
		unsigned v = (unsigned)(*p - '0');
		if (d->significant < EXACT_DIGITS) {
			d->mantissa = 10 * d->mantissa + v;
			d->significant += d->mantissa != 0;
		} else {
			d->dropped++;
			d->lost |= v != 0;
		}
	}
	return p;
}

static const char *scan_exponent(const char *p, const char *end, int64_t *ret_exponent)
{
	bool negative = false;
	int64_t e = 0;
	if (p < end && (*p == '+' || *p == '-'))
		negative = *p++ == '-';
	if (!is_digit(p, end))
		return NULL;
	for (; is_digit(p, end); p++)
		if (e < 100000000)
			e = 10 * e + (*p - '0');
	*ret_exponent = negative ? -e : e;
	return p;
}

/* Numbers of any length. */
static bool scan_careful(const char *at, const char *end, struct ps_oip_number *ret_number)
{
	struct digits d = {0};
	int64_t exponent = 0, scale = 0;
	const char *p = at;
	bool negative = p < end && *p == '-', integer = true;
	p += negative;
	if (!is_digit(p, end) || (*p == '0' && is_digit(p + 1, end)))
		return false;
	p = scan_digits(p, end, &d);
	if (p < end && *p == '.') {
		const char *point = ++p;
		int64_t dropped = d.dropped;
		if (!is_digit(p, end))
			return false;
		p = scan_digits(p, end, &d);
		/* Dropped digits behind the point change no power. */
		scale = -(int64_t)(p - point) + (d.dropped - dropped);
		d.dropped = dropped;
		integer = false;
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		p = scan_exponent(p + 1, end, &exponent);
		if (!p)
			return false;
		integer = false;
	}
	*ret_number = (struct ps_oip_number){
		.text = at,
		.n = (size_t)(p - at),
		.mantissa = d.mantissa,
		.exponent = exponent + scale + d.dropped,
		.negative = negative,
		.integer = integer,
		.exact = !d.lost,
	};
	return true;
}

/* Digits that may overflow `w`: their count says whether they did. */
static inline const char *add_digits(const char *p, const char *end, uint64_t *w)
{
	static const uint64_t tens[] = {1,	10,	 100,	   1000,     10000,
					100000, 1000000, 10000000, 100000000};
	uint64_t v = *w, some;
	while (end - p >= 8) {
		int n = front_digits(p, &some);
		p += n;
		v = n ? tens[n] * v + some : v;
		if (n < 8) {
			*w = v;
			return p;
		}
	}
	for (; is_digit(p, end); p++)
		v = 10 * v + (uint64_t)(*p - '0');
	*w = v;
	return p;
}

/* The usual numbers: at most 19 digits behind zeros in front. */
static inline bool scan_quick(const char *at, const char *end, struct ps_oip_number *ret_number)
{
	uint64_t w = 0;
	int64_t exponent = 0, scale = 0, n_digits;
	bool negative = at < end && *at == '-', integer = true;
	const char *first = at + negative;
	const char *p = add_digits(first, end, &w);
	if (p == first || (*first == '0' && p > first + 1))
		return false;
	bool zero = *first == '0';
	n_digits = zero ? 0 : p - first;
	if (p < end && *p == '.') {
		const char *point = ++p;
		while (zero && p < end && *p == '0')
			p++;
		const char *part = p;
		p = add_digits(p, end, &w);
		if (p == point)
			return false;
		n_digits += p - part;
		scale = point - p;
		integer = false;
	}
	if (n_digits > EXACT_DIGITS)
		return scan_careful(at, end, ret_number);
	if (p < end && (*p == 'e' || *p == 'E')) {
		p = scan_exponent(p + 1, end, &exponent);
		if (!p)
			return false;
		integer = false;
	}
	*ret_number = (struct ps_oip_number){
		.text = at,
		.n = (size_t)(p - at),
		.mantissa = w,
		.exponent = exponent + scale,
		.negative = negative,
		.integer = integer,
		.exact = true,
	};
	return true;
}

bool ps_oip_scan_number(const char *at, const char *end, struct ps_oip_number *ret_number)
{
	return scan_quick(at, end, ret_number);
}

/* Few digits and a small power: both are exact doubles, so that the one rounding is the right one.
 */
static bool small_real(const struct ps_oip_number *n, double *ret_value)
{
	static const double power[EXACT_POWER + 1] = {
		1e0,  1e1,  1e2,  1e3,	1e4,  1e5,  1e6,  1e7,	1e8,  1e9,  1e10, 1e11,
		1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
	if (n->mantissa > UINT64_C(1) << 53 || n->exponent < -EXACT_POWER ||
	    n->exponent > EXACT_POWER || !n->exact)
		return false;
	double v = (double)(int64_t)n->mantissa;
	*ret_value = n->exponent < 0 ? v / power[-n->exponent] : v * power[n->exponent];
	return true;
}

/* Rounding to double and then to float is right unless the double lies exactly between two floats;
 * floats below the normal ones have other places between them. */
static bool small_float(const struct ps_oip_number *n, uint64_t *ret_bits)
{
	double v;
	uint64_t bits;
	uint32_t bits32;
	if (!small_real(n, &v) || v < 0x1p-126)
		return false;
	memcpy(&bits, &v, sizeof bits);
	if ((bits & 0x1fffffff) == 0x10000000)
		return false;
	float v32 = (float)v;
	memcpy(&bits32, &v32, sizeof bits32);
	*ret_bits = bits32;
	return true;
}

static bool certain_bits(const struct ps_oip_number *n, bool fp32, uint64_t *ret_bits)
{
	uint64_t above;
	double v;
	if (fp32 && small_float(n, ret_bits))
		return true;
	if (!fp32 && small_real(n, &v)) {
		memcpy(ret_bits, &v, sizeof v);
		return true;
	}
	if (!ps_oip_decimal_bits(n->mantissa, n->exponent, fp32, ret_bits))
		return false;
	/* With digits left out the number is between this mantissa and the next one. */
	return n->exact || (ps_oip_decimal_bits(n->mantissa + 1, n->exponent, fp32, &above) &&
			    above == *ret_bits);
}

static bool library_bits(const struct ps_oip_number *n, bool fp32, uint64_t *ret_bits)
{
	char text[MAX_NUMBER + 1];
	if (n->n - n->negative > MAX_NUMBER || !plain_locale())
		return false;
	memcpy(text, n->text + n->negative, n->n - n->negative);
	text[n->n - n->negative] = '\0';
	*ret_bits = 0;
	if (fp32) {
		float v = strtof_l(text, NULL, plain_locale());
		memcpy(ret_bits, &v, sizeof v);
	} else {
		double v = strtod_l(text, NULL, plain_locale());
		memcpy(ret_bits, &v, sizeof v);
	}
	return true;
}

bool ps_oip_number_float(const struct ps_oip_number *n, float *ret_value)
{
	uint64_t bits;
	if (!certain_bits(n, true, &bits) && !library_bits(n, true, &bits))
		return false;
	uint32_t bits32 = (uint32_t)bits | (uint32_t)n->negative << 31;
	memcpy(ret_value, &bits32, sizeof bits32);
	return bits < 0x7f800000;
}

bool ps_oip_number_real(const struct ps_oip_number *n, double *ret_value)
{
	uint64_t bits;
	if (!certain_bits(n, false, &bits) && !library_bits(n, false, &bits))
		return false;
	bits |= (uint64_t)n->negative << 63;
	memcpy(ret_value, &bits, sizeof bits);
	return isfinite(*ret_value);
}

size_t ps_oip_scan_real(const char *at, const char *end, bool fp32, void *ret_value)
{
	struct ps_oip_number n;
	if (!scan_quick(at, end, &n))
		return 0;
	bool ok = fp32 ? ps_oip_number_float(&n, ret_value) : ps_oip_number_real(&n, ret_value);
	return ok ? n.n : 0;
}

bool ps_oip_number_int(const struct ps_oip_number *n, int64_t min, uint64_t max, uint64_t *ret_bits)
{
	if (!n->integer || n->n > 21)
		return false;
	uint64_t v = 0;
	for (const char *p = n->text + n->negative; p < n->text + n->n; p++)
		if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return false;
	if (n->negative ? v > UINT64_C(0) - (uint64_t)min : v > max)
		return false;
	*ret_bits = n->negative ? UINT64_C(0) - v : v;
	return true;
}

/* --- writing --- */

static char *put_digits(char *at, uint64_t v)
{
	char digits[24], *d = digits + sizeof digits;
	do
		*--d = (char)('0' + v % 10);
	while (v /= 10);
	size_t n = (size_t)(digits + sizeof digits - d);
	memcpy(at, d, n);
	return at + n;
}

static char *put_zeros(char *at, int n)
{
	for (; n > 0; n--)
		*at++ = '0';
	return at;
}

/* digits * 10^exponent as plain text where that is short, else with an exponent. */
static char *put_decimal(char *at, uint64_t digits, int exponent)
{
	char text[24];
	int n = (int)(put_digits(text, digits) - text);
	int point = n + exponent; /* digits before the point */
	if (point < -3 || point > MAX_PLAIN) {
		*at++ = text[0];
		if (n > 1)
			*at++ = '.';
		memcpy(at, text + 1, (size_t)n - 1);
		at += n - 1;
		*at++ = 'e';
		if (point < 1)
			*at++ = '-';
		return put_digits(at, (uint64_t)(point < 1 ? 1 - point : point - 1));
	}
	if (point <= 0) {
		*at++ = '0';
		*at++ = '.';
		at = put_zeros(at, -point);
		memcpy(at, text, (size_t)n);
		return at + n;
	}
	int whole = point < n ? point : n;
	memcpy(at, text, (size_t)whole);
	at = put_zeros(at + whole, point - n);
	if (whole < n)
		*at++ = '.';
	memcpy(at, text + whole, (size_t)(n - whole));
	return at + (n - whole);
}

/* Where the quick way has its doubts: as many digits as always do. */
static char *put_by_library(char *at, double v, bool fp32)
{
	if (!plain_locale())
		return NULL;
	locale_t old = uselocale(plain_locale());
	int n = snprintf(at, 32, "%.*g", fp32 ? 9 : 17, v);
	for (int digits = fp32 ? 8 : 16; digits > 0; digits--) {
		char text[32];
		snprintf(text, sizeof text, "%.*g", digits, v);
		if (fp32 ? strtof_l(text, NULL, plain_locale()) != (float)v
			 : strtod_l(text, NULL, plain_locale()) != v)
			break;
		n = snprintf(at, 32, "%s", text);
	}
	uselocale(old);
	return at + n;
}

static uint64_t magnitude(double v, bool fp32)
{
	float v32 = (float)fabs(v);
	uint32_t bits32;
	uint64_t bits;
	v = fabs(v);
	memcpy(&bits32, &v32, sizeof bits32);
	memcpy(&bits, &v, sizeof bits);
	return fp32 ? bits32 : bits;
}

void ps_oip_put_real(struct ps_strbuf *out, double v, bool fp32)
{
	char text[48], *at = text;
	uint64_t bits = magnitude(v, fp32), digits;
	int exponent;
	if (isnan(v) || isinf(v)) {
		ps_strbuf_puts(out, isnan(v) ? "NaN" : v < 0 ? "-Infinity" : "Infinity");
		return;
	}
	if (signbit(v))
		*at++ = '-';
	if (bits == 0)
		*at++ = '0';
	else if (ps_oip_decimal_shortest(bits, fp32, &digits, &exponent))
		at = put_decimal(at, digits, exponent);
	else
		at = put_by_library(at, fabs(v), fp32);
	if (at)
		ps_strbuf_append(out, text, (size_t)(at - text));
	else
		out->failed = true;
}
