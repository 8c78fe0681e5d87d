/* int8_internal.h - the product in bytes without VPDPBUSD. Included by kernel_body.h only.
 *
 * Both sides are signed and within 127. AVX2 multiplies unsigned by signed bytes only, so the sign
 * of a weight goes to its partner: |w| * (h with w's sign). A pair is then at most 2 * 127 * 127,
 * which 16 bits hold: nothing saturates, and the sums are exact.
 */
#ifndef PS_ENGINE_RNN_INT8_INTERNAL_H
#define PS_ENGINE_RNN_INT8_INTERNAL_H

#if PS_RNN_LANES >= 8 && defined __AVX2__
#define BYTES_VECTORS 2 /* of 8 units, per gate */

INLINE __m256i more(__m256i sum, const int8_t *weights, __m256i in)
{
	__m256i w = _mm256_loadu_si256((const __m256i *)(const void *)weights);
	__m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(in, w));

	return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

INLINE void bytes_piece(const int8_t *weights, int64_t stride, int64_t groups, const int8_t *in,
			int32_t *ret_sums, const int vectors, const bool far, int ahead)
{
	__m256i sum[4 * BYTES_VECTORS]; /* in registers: `vectors` is a constant */

	for (int v = 0; v < vectors; v++)
		sum[v] = _mm256_setzero_si256();
	for (int64_t i = 0; i < groups; i++, weights += stride) {
		int32_t four;
		for (int at = 0; far && at < vectors * 32; at += 64)
			__builtin_prefetch(weights + ahead + at, 0, 2);
		memcpy(&four, in + 4 * i, sizeof four);
		__m256i x = _mm256_set1_epi32(four);
		for (int v = 0; v < vectors; v++)
			sum[v] = more(sum[v], weights + v * 32, x);
	}
	for (int v = 0; v < vectors; v++)
		_mm256_storeu_si256((__m256i *)(void *)(ret_sums + v * 8), sum[v]);
}

#define BYTES_CASE(n)                                                                              \
	bytes_piece(weights, (n)*PS_RNN_BLOCK * 4, groups, in, ret_sums, (n)*BYTES_VECTORS, far,   \
		    ahead)

INLINE void bytes_sums_of(const int8_t *weights, int64_t groups, int gates, const int8_t *in,
			  int32_t *ret_sums, const bool far, int ahead)
{
	if (gates == 4)
		BYTES_CASE(4);
	else if (gates == 3)
		BYTES_CASE(3);
	else if (gates == 2)
		BYTES_CASE(2);
	else
		BYTES_CASE(1);
}

INLINE void bytes_sums(const int8_t *weights, int64_t groups, int gates, const int8_t *in,
		       int32_t *ret_sums, int ahead)
{
	if (ahead > 0)
		bytes_sums_of(weights, groups, gates, in, ret_sums, true, ahead);
	else
		bytes_sums_of(weights, groups, gates, in, ret_sums, false, 0);
}
#else
static void bytes_sums(const int8_t *weights, int64_t groups, int gates, const int8_t *in,
		       int32_t *ret_sums, int ahead)
{
	(void)ahead;
	memset(ret_sums, 0, (size_t)(gates * PS_RNN_BLOCK) * sizeof *ret_sums);
	for (int64_t i = 0; i < groups; i++) {
		for (int64_t u = 0; u < gates * PS_RNN_BLOCK; u++, weights += 4) {
			for (int j = 0; j < 4; j++)
				ret_sums[u] += weights[j] * in[4 * i + j];
		}
	}
}
#endif

/* k in pieces whose weights stay in the first cache for all rows; sums of bytes stay whole within
 * 2^31 for any k that a layer may have (65,536 * 127 * 127 < 2^31). */
static void product_int8(const struct ps_rnn_product *p)
{
	int64_t groups = (p->k + 3) / 4, most = p->rows == 1 && !p->many ? groups : 64;
	int64_t stride = p->gates * PS_RNN_BLOCK * 4;

	for (int64_t at = 0; at < groups; at += most) {
		int64_t n = groups - at < most ? groups - at : most;
		for (int64_t row = 0; row < p->rows; row++) {
			int32_t sums[4 * PS_RNN_BLOCK];
			bytes_sums((const int8_t *)p->weights + at * stride, n, p->gates,
				   (const int8_t *)p->in[row] + at * 4, sums,
				   p->rows == 1 ? p->prefetch : 0);
			for (int u = 0; u < p->gates * PS_RNN_BLOCK; u++)
				p->acc[row][u] +=
					(float)sums[u] * (p->scales[u] * p->in_scales[row]);
		}
	}
}

#endif
