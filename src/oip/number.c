#include "oip/oip_internal.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NUMBER = 1024, EXACT_DIGITS = 19, EXACT_POWER = 22 };

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

static const char *scan_digits(const char *p, const char *end, struct digits *d)
{
	for (; is_digit(p, end); p++) {
		unsigned v = (unsigned)(*p - '0');
		if (d->significant == 0 && v == 0)
			continue;
		if (d->significant < EXACT_DIGITS) {
			d->mantissa = 10 * d->mantissa + v;
			d->significant++;
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

bool ps_oip_scan_number(const char *at, const char *end, struct ps_oip_number *ret_number)
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

bool ps_oip_number_real(const struct ps_oip_number *n, double *ret_value)
{
	static const double power[EXACT_POWER + 1] = {
		1e0,  1e1,  1e2,  1e3,	1e4,  1e5,  1e6,  1e7,	1e8,  1e9,  1e10, 1e11,
		1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
	/* Both factors are exact doubles, so that the one rounding is the right one. */
	if (n->exact && n->mantissa <= UINT64_C(1) << 53 && n->exponent >= -EXACT_POWER &&
	    n->exponent <= EXACT_POWER) {
		double v = (double)n->mantissa;
		v = n->exponent < 0 ? v / power[-n->exponent] : v * power[n->exponent];
		*ret_value = n->negative ? -v : v;
		return true;
	}
	char text[MAX_NUMBER + 1];
	if (n->n > MAX_NUMBER || !plain_locale())
		return false;
	memcpy(text, n->text, n->n);
	text[n->n] = '\0';
	*ret_value = strtod_l(text, NULL, plain_locale());
	return isfinite(*ret_value);
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

/* Bit for bit: -0 is not 0. */
static bool reads_back(const char *text, double v, bool fp32)
{
	locale_t l = plain_locale();
	if (fp32) {
		float a = strtof_l(text, NULL, l);
		return a == (float)v && signbit(a) == signbit(v);
	}
	double a = strtod_l(text, NULL, l);
	return a == v && signbit(a) == signbit(v);
}

void ps_oip_put_real(struct ps_strbuf *out, double v, bool fp32)
{
	char text[40];
	if (isnan(v) || isinf(v)) {
		ps_strbuf_puts(out, isnan(v) ? "NaN" : v < 0 ? "-Infinity" : "Infinity");
		return;
	}
	if (!plain_locale()) {
		out->failed = true;
		return;
	}
	locale_t old = uselocale(plain_locale());
	int last = fp32 ? 9 : 17;
	for (int digits = last - 2; digits <= last; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, v);
		if (digits == last || reads_back(text, v, fp32))
			break;
	}
	uselocale(old);
	ps_strbuf_puts(out, text);
}
