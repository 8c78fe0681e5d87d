/* vector_internal.h - arithmetic on PS_RNN_LANES floats at once, and the activations. Included by
 * kernel_body.h only, with the flags of one instruction set.
 *
 * Polynomials are least-maximum fits made for these intervals; each activation is within 2 units in
 * the last place of the true value (tests/unit/engine/test_rnn_activations.c looks at all floats).
 */
#ifndef PS_ENGINE_RNN_VECTOR_INTERNAL_H
#define PS_ENGINE_RNN_VECTOR_INTERNAL_H

#include <stdint.h>
#include <string.h>
#if defined __AVX2__
#include <immintrin.h>
#endif

#define PS_RNN_BYTES (PS_RNN_LANES * 4)
typedef float vf __attribute__((vector_size(PS_RNN_BYTES)));
typedef int32_t vi __attribute__((vector_size(PS_RNN_BYTES)));
typedef vf vf_any __attribute__((aligned(4), may_alias));

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define INLINE static inline /* one copy of each: all of them, checked, take minutes to compile */
#else
#define INLINE static inline __attribute__((always_inline))
#endif

INLINE vf load(const float *p)
{
	return *(const vf_any *)p;
}

INLINE void store(float *p, vf v)
{
	*(vf_any *)p = v;
}

INLINE vf all(float x)
{
	return (vf){} + x; /* -0 is not asked for */
}

INLINE vf bits(vi x)
{
	vf v;
	memcpy(&v, &x, sizeof v);
	return v;
}

INLINE vi bits_of(vf v)
{
	vi x;
	memcpy(&x, &v, sizeof x);
	return x;
}

INLINE float bf16_value(uint16_t b)
{
	uint32_t x = (uint32_t)b << 16;
	float f;
	memcpy(&f, &x, sizeof f);
	return f;
}

INLINE vf choose(vi where, vf yes, vf no)
{
	return bits((where & bits_of(yes)) | (~where & bits_of(no)));
}

/* NaN in v stays. */
INLINE vf at_most(vf v, vf most)
{
	return choose(v > most, most, v);
}

INLINE vf at_least(vf v, vf least)
{
	return choose(v < least, least, v);
}

INLINE vf magnitude(vf v)
{
	return bits(bits_of(v) & INT32_MAX);
}

INLINE vf with_sign(vf v, vf sign)
{
	return bits((bits_of(v) & INT32_MAX) | (bits_of(sign) & INT32_MIN));
}

/* 2^n for n from -126 to 127 */
INLINE vf power_of_two(vi n)
{
	return bits((n + 127) << 23);
}

#define ROUNDER 12582912.0F /* 1.5 * 2^23: adding it leaves a whole number in the low bits */

/* e^r - 1 - r for |r| at most half of ln 2 */
INLINE vf exp_tail(vf r)
{
	vf q = r * 1.98459587e-4F + 1.39416521e-3F;

	q = q * r + 8.33339151e-3F;
	q = q * r + 4.16663475e-2F;
	q = q * r + 1.66666657e-1F;
	q = q * r + 0.5F;
	return q * (r * r);
}

/* e^x; 0 and infinity beyond what float holds, denormal results included. x is n * ln 2 + r, with
 * ln 2 in two parts; what r's rounding loses goes in with the small terms. */
INLINE vf exponential(vf x)
{
	x = at_most(at_least(x, all(-110)), all(100));
	vf rounded = x * 1.44269504F + ROUNDER, n = rounded - ROUNDER;
	vf high = x - n * 0.693359375F, r = high + n * 2.12194440e-4F;
	vf lost = (high - r) + n * 2.12194440e-4F;
	vi power = bits_of(rounded) - bits_of(all(ROUNDER)), half = power >> 1;

	return (1 + (r + (exp_tail(r) + lost))) * power_of_two(half) * power_of_two(power - half);
}

/* e^x - 1 for x <= 0 */
INLINE vf exponential_less_one(vf x)
{
	vf near = x + exp_tail(at_least(x, all(-0.35F)));

	return choose(x > -0.3465F, near, exponential(x) - 1);
}

/* 1 / x for normal numbers whose inverse is one, too; with AVX-512 from a guess of 14 bits and one
 * step of Newton's, which costs a third of a division. */
INLINE vf inverse_of(vf x)
{
#if PS_RNN_LANES == 16 && defined __AVX512F__
	vf guess = (vf)_mm512_rcp14_ps((__m512)x);

	return guess + guess * (1 - x * guess);
#else
	return 1 / x;
#endif
}

INLINE vf sigmoid(vf x)
{
	vf e = exponential(bits(bits_of(x) | INT32_MIN)); /* of -|x| */
	vf over = choose(x < 0, e, all(1)), under = 1 + e, lost = e - (under - 1);
#if defined __FMA__ || defined __AVX512F__
	vf inverse = inverse_of(under), q = over * inverse;

	return q + ((over - q * under) - q * lost) * inverse; /* one step of Newton's */
#else
	vf q = over / under; /* what is left over could not be had exactly */

	return q - q * lost / under;
#endif
}

INLINE vf hyperbolic_tangent(vf x)
{
	vf m = magnitude(x), s = at_most(m, all(0.625F));
	vf far = 1 - 2 * inverse_of(exponential(at_most(m, all(20)) * 2) + 1);

	s *= s;
	vf p = s * 2.14296207e-3F - 8.17739870e-3F;
	p = p * s + 2.17007026e-2F;
	p = p * s - 5.39467633e-2F;
	p = p * s + 1.33332059e-1F;
	p = p * s - 3.33333313e-1F;
	return choose(m < 0.625F, x + x * (p * s), with_sign(far, x));
}

/* log(1 + u) for u from 0 to 1 */
INLINE vf log_one_more(vf u)
{
	vf q = u * 2.07295152e-3F - 1.36315003e-2F;

	q = q * u + 4.19814028e-2F;
	q = q * u - 8.30741152e-2F;
	q = q * u + 1.24671258e-1F;
	q = q * u - 1.61293373e-1F;
	q = q * u + 1.98979318e-1F;
	q = q * u - 2.49885798e-1F;
	q = q * u + 3.33326906e-1F;
	q = q * u - 4.99999881e-1F;
	return u + q * (u * u);
}

INLINE vf softplus(vf x)
{
	return at_least(x, (vf){}) + log_one_more(exponential(bits(bits_of(x) | INT32_MIN)));
}

INLINE vf softsign(vf x)
{
	vf m = magnitude(x);

	return choose(m > 1e9F, with_sign(all(1), x), x / (1 + m));
}

INLINE vf apply(const struct ps_rnn_function *f, vf x)
{
	vf zero = {};

	switch (f->kind) {
	case PS_RNN_SIGMOID:
		return sigmoid(x);
	case PS_RNN_TANH:
		return hyperbolic_tangent(x);
	case PS_RNN_RELU:
		return at_least(x, zero);
	case PS_RNN_AFFINE:
		return x * f->alpha + f->beta;
	case PS_RNN_LEAKY_RELU:
		return choose(x < 0, x * f->alpha, x);
	case PS_RNN_THRESHOLDED_RELU:
		return choose(x < f->alpha, zero, x);
	case PS_RNN_SCALED_TANH:
		return hyperbolic_tangent(x * f->beta) * f->alpha;
	case PS_RNN_HARD_SIGMOID:
		return at_most(at_least(x * f->alpha + f->beta, zero), all(1));
	case PS_RNN_ELU:
		return choose(x < 0, exponential_less_one(x) * f->alpha, x);
	case PS_RNN_SOFTSIGN:
		return softsign(x);
	case PS_RNN_SOFTPLUS:
		return softplus(x);
	case PS_RNN_ACTIVATIONS:
		break;
	}
	return x;
}

#endif
