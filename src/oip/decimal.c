#include "oip/decimal_internal.h"

#include <string.h>

enum { LOW_POWER = -342, HIGH_POWER = 308, LAST_EXACT = 55 /* 5^55 has 128 bits */ };

struct power {
	uint64_t hi, lo;
};

static const struct power powers[] = {
#include "oip/powers.inc"
};

/* How the bits of a kind of number are laid out. */
struct format {
	int bits;   /* of the significand, the hidden one as well */
	int low;    /* exponent of the smallest normal number, 1.0 * 2^low */
	int digits; /* always enough to tell two numbers apart */
	int sure;   /* decimals of so many digits always survive (normal numbers) */
};

static const struct format formats[] = {{53, -1022, 17, 15}, {24, -126, 9, 6}};

/* hi:lo:rest, where `rest` says whether anything follows; the value is hi * 2^exponent. */
struct product {
	uint64_t hi, lo;
	bool rest;
	int exponent;
};

/* floor(log2(10^q)); powers.py checks it for all q. */
static int log2_of_power(int q)
{
	return (q * 217706) >> 16;
}

/* w * 10^q, rounded down; `w` is not 0. */
static struct product multiply(uint64_t w, int q)
{
	int shift = __builtin_clzll(w);
	const struct power *t = &powers[q - LOW_POWER];
	w <<= shift;
	unsigned __int128 a = (unsigned __int128)w * t->hi;
	unsigned __int128 b = (unsigned __int128)w * t->lo;
	a += (uint64_t)(b >> 64);
	return (struct product){.hi = (uint64_t)(a >> 64),
				.lo = (uint64_t)a,
				.rest = (uint64_t)b != 0,
				.exponent = log2_of_power(q) + 1 - shift};
}

static uint64_t round_product(const struct product *p, const struct format *f)
{
	int top = 63 - __builtin_clzll(p->hi);
	int exponent = p->exponent + top;
	int shift = top + 1 - f->bits;
	bool normal = exponent >= f->low;
	if (!normal)
		shift += f->low - exponent;
	if (shift > 64)
		return 0;
	/* shift is 64 for values just under the smallest one: all of hi is rest. */
	uint64_t whole = shift == 64 ? 0 : p->hi >> shift;
	uint64_t rest = shift == 64 ? p->hi : p->hi & ((UINT64_C(1) << shift) - 1);
	uint64_t half = UINT64_C(1) << (shift - 1);
	bool up = rest > half || (rest == half && (p->lo || p->rest || (whole & 1)));
	uint64_t bits = whole + up;
	/* A carry out of the significand raises the exponent, as it must. */
	if (normal)
		bits += (uint64_t)(exponent - f->low) << (f->bits - 1);
	uint64_t infinity = (uint64_t)(3 - 2 * f->low) << (f->bits - 1);
	return bits > infinity ? infinity : bits;
}

bool ps_oip_decimal_bits(uint64_t w, int64_t q, bool fp32, uint64_t *ret_bits)
{
	const struct format *f = &formats[fp32];
	if (w == 0 || q < LOW_POWER) {
		*ret_bits = 0;
		return true;
	}
	if (q > HIGH_POWER) {
		*ret_bits = fp32 ? 0x7f800000 : UINT64_C(0x7ff0000000000000);
		return true;
	}
	struct product p = multiply(w, (int)q);
	*ret_bits = round_product(&p, f);
	if (q >= 0 && q <= LAST_EXACT)
		return true;
	/* The true product is less than two units of lo above. */
	if (p.lo != 0 && p.lo < UINT64_MAX - 1)
		return true;
	p.hi += p.lo >= UINT64_MAX - 1;
	p.lo += 2;
	p.rest = true;
	return p.hi != 0 && round_product(&p, f) == *ret_bits;
}

/* --- shortest --- */

static const uint64_t tens[] = {1,
				10,
				100,
				1000,
				10000,
				100000,
				1000000,
				10000000,
				100000000,
				1000000000,
				10000000000,
				100000000000,
				1000000000000,
				10000000000000,
				100000000000000,
				1000000000000000,
				10000000000000000,
				100000000000000000,
				1000000000000000000};

/* The value as whole * 2^exponent. */
static void take_apart(uint64_t bits, const struct format *f, uint64_t *ret_whole,
		       int *ret_exponent)
{
	uint64_t hidden = UINT64_C(1) << (f->bits - 1);
	int e = (int)(bits >> (f->bits - 1));
	*ret_whole = (bits & (hidden - 1)) + (e > 0 ? hidden : 0);
	*ret_exponent = f->low - (f->bits - 1) + (e > 0 ? e - 1 : 0);
}

/* whole * 2^exponent * 10^k to the nearest whole number; 0 when that is not below 2^63. */
static uint64_t scale(uint64_t whole, int exponent, int k)
{
	struct product p = multiply(whole, k);
	int shift = -(p.exponent + exponent);
	if (shift < 1 || shift > 63)
		return 0;
	return (p.hi >> shift) + (p.hi >> (shift - 1) & 1);
}

static bool reads_back(uint64_t digits, int q, uint64_t bits, bool fp32)
{
	uint64_t again;
	return ps_oip_decimal_bits(digits, q, fp32, &again) && again == bits;
}

/* At the low end of a binade the numbers below lie closer than those above: a decimal above may
 * read back where the nearest one, below, does not. */
static bool try_digits(uint64_t *digits, int q, uint64_t bits, bool fp32)
{
	if (reads_back(*digits, q, bits, fp32))
		return true;
	if (bits & ((UINT64_C(1) << (formats[fp32].bits - 1)) - 1))
		return false;
	return reads_back(++*digits, q, bits, fp32);
}

bool ps_oip_decimal_shortest(uint64_t bits, bool fp32, uint64_t *ret_digits, int *ret_exponent)
{
	const struct format *f = &formats[fp32];
	uint64_t whole;
	int e2;
	take_apart(bits, f, &whole, &e2);
	/* floor(log10(value)), or one less: 78913 / 2^18 is log10(2), rounded down a little. */
	int e10 = ((e2 + 63 - __builtin_clzll(whole)) * 78913) >> 18;
	/* Below the normal numbers fewer digits may do. */
	for (int n = bits >> (f->bits - 1) ? f->sure : 1; n <= f->digits; n++) {
		int k = n - 1 - e10;
		if (k < LOW_POWER || k >= HIGH_POWER)
			return false;
		uint64_t digits = scale(whole, e2, k);
		if (digits >= tens[n])
			digits = scale(whole, e2, --k);
		if (digits == 0 || !try_digits(&digits, -k, bits, fp32))
			continue;
		for (; digits % 10 == 0; digits /= 10)
			k--;
		*ret_digits = digits;
		*ret_exponent = -k;
		return true;
	}
	return false;
}
