/* encode_internal.h - what products read in place of floats. Included by kernel_body.h only.
 *
 * Bytes are signed and within 127; where the instruction wants one side unsigned (VPDPBUSD), 128 is
 * added here and taken off with `offsets` there.
 */
#ifndef PS_ENGINE_RNN_ENCODE_INTERNAL_H
#define PS_ENGINE_RNN_ENCODE_INTERNAL_H

typedef int8_t vb __attribute__((vector_size(PS_RNN_LANES)));

#if defined __AVX512VNNI__
#define BYTE_FLIP 0x80 /* x + 128, of a byte */
#else
#define BYTE_FLIP 0
#endif

INLINE vi no_number(vf v)
{
	return (bits_of(v) & INT32_MAX) > 0x7f800000;
}

/* NaN becomes 0. */
INLINE vb bytes_of(vf v)
{
	v = choose(no_number(v), (vf){}, at_most(at_least(v, all(-127)), all(127)));
	vi whole = bits_of(v + ROUNDER) - bits_of(all(ROUNDER)); /* nearest, ties to even */

	return __builtin_convertvector(whole, vb) ^ (int8_t)BYTE_FLIP;
}

static bool any(vi where)
{
	int32_t lanes[PS_RNN_LANES], bits = 0;

	memcpy(lanes, &where, sizeof lanes);
	for (int i = 0; i < PS_RNN_LANES; i++)
		bits |= lanes[i];
	return bits != 0;
}

static bool encode_int8(const float *from, int64_t n, float scale, void *to)
{
	int8_t *bytes = to;
	vi broken = {};
	int64_t i = 0;

	for (; i + PS_RNN_LANES <= n; i += PS_RNN_LANES) {
		vf v = load(from + i) * scale;
		vb b = bytes_of(v);
		broken |= no_number(v);
		memcpy(bytes + i, &b, sizeof b);
	}
	if (i < n) {
		float rest[PS_RNN_LANES] = {};
		memcpy(rest, from + i, (size_t)(n - i) * sizeof *rest);
		vf v = load(rest) * scale;
		vb b = bytes_of(v);
		broken |= no_number(v);
		memcpy(bytes + i, &b, (size_t)(n - i));
	}
	return !any(broken);
}

static float largest(const float *from, int64_t n)
{
	float lanes[PS_RNN_LANES], most = 0;
	vf high = {};
	vi broken = {};
	int64_t i = 0;

	for (; i + PS_RNN_LANES <= n; i += PS_RNN_LANES) {
		vf v = magnitude(load(from + i));
		broken |= no_number(v);
		high = choose(v > high, v, high);
	}
	store(lanes, high);
	for (int lane = 0; lane < PS_RNN_LANES; lane++)
		most = lanes[lane] > most ? lanes[lane] : most;
	for (; i < n; i++) {
		float v = __builtin_fabsf(from[i]);
		if (v != v)
			return v;
		most = v > most ? v : most;
	}
	return any(broken) ? __builtin_nanf("") : most;
}

#if defined __AVX512BF16__
/* NaN stays; what is less than the least normal number becomes 0, as in the products. */
static bool encode_bf16(const float *from, int64_t n, float scale, void *to)
{
	uint16_t *codes = to;

	(void)scale;
	for (int64_t i = 0; i < n; i += 16) {
		__mmask16 some = (__mmask16)(n - i < 16 ? (1U << (n - i)) - 1 : 0xffff);
		__m256i b = (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(some, from + i));
		_mm256_mask_storeu_epi16(codes + i, some, b);
	}
	return true;
}
#else
#define encode_bf16 NULL /* products read floats */
#endif

#endif
