/* dot_internal.h - products of pairs or fours of k in one instruction: VPDPBUSD for bytes and
 * VDPBF16PS for bfloat16. Included by kernel_body.h only, where the flags allow one.
 *
 * VPDPBUSD multiplies unsigned by signed bytes and adds four products to 32 bits; nothing
 * saturates, so weights have all their 8 bits, and sums are exact modulo 2^32: those of any k that
 * a layer may have fit (65,536 * 255 * 127 < 2^31). x and h come with 128 added, which `offsets`
 * takes off again.
 *
 * Rows of sums, 64 per row: whole numbers in int8, floats in bf16.
 */
#ifndef PS_ENGINE_RNN_DOT_INTERNAL_H
#define PS_ENGINE_RNN_DOT_INTERNAL_H

#define DOT_ROWS   6 /* whose sums the registers hold beside weights, of four gates */
#define DOT_WAYS   8
#define TILE_ROWS  16
#define ROW_SUMS   (4 * PS_RNN_BLOCK)
#define GROUP_STEP 4 /* bytes of a group of one row, and of a weight's place */

INLINE __m512i dot(__m512i sum, __m512i in, const char *weights, const bool bytes)
{
	__m512i w = _mm512_loadu_si512(weights);

#if defined __AVX512BF16__
	if (!bytes)
		return _mm512_castps_si512(
			_mm512_dpbf16_ps(_mm512_castsi512_ps(sum), (__m512bh)in, (__m512bh)w));
#endif
	(void)bytes;
	return _mm512_dpbusd_epi32(sum, in, w);
}

INLINE __m512i plus_sums(__m512i a, __m512i b, const bool bytes)
{
	if (bytes)
		return _mm512_add_epi32(a, b);
	return _mm512_castps_si512(_mm512_castsi512_ps(a) + _mm512_castsi512_ps(b));
}

/* sums[row][gate][16] += what `groups` of k make, in registers: all bounds but that are constants.
 * `ways` sums per place where the chain of additions would else be the bound. */
INLINE void dots(const char *weights, int64_t stride, int64_t groups, const char *const *in,
		 void *const *sums, const int gates, const int rows, const int ways,
		 const bool bytes, const bool far, int ahead)
{
	__m512i sum[DOT_WAYS][DOT_ROWS][4];
	int64_t i = 0;

	for (int r = 0; r < rows; r++) {
		for (int g = 0; g < gates; g++) {
			sum[0][r][g] = _mm512_loadu_si512((char *)sums[r] + g * 64);
			for (int w = 1; w < ways; w++)
				sum[w][r][g] = _mm512_setzero_si512();
		}
	}
	for (; i + ways <= groups; i += ways) {
		for (int w = 0; w < ways; w++, weights += stride) {
			if (far)
				ask_ahead(weights, ahead, gates * 64);
			for (int r = 0; r < rows; r++) {
				int32_t one;
				memcpy(&one, in[r] + (i + w) * GROUP_STEP, sizeof one);
				__m512i x = _mm512_set1_epi32(one);
				for (int g = 0; g < gates; g++)
					sum[w][r][g] =
						dot(sum[w][r][g], x, weights + g * 64, bytes);
			}
		}
	}
	for (; ways > 1 && i < groups; i++, weights += stride) {
		for (int r = 0; r < rows; r++) {
			int32_t one;
			memcpy(&one, in[r] + i * GROUP_STEP, sizeof one);
			__m512i x = _mm512_set1_epi32(one);
			for (int g = 0; g < gates; g++)
				sum[0][r][g] = dot(sum[0][r][g], x, weights + g * 64, bytes);
		}
	}
	for (int r = 0; r < rows; r++) {
		for (int g = 0; g < gates; g++) {
			for (int w = 1; w < ways; w++)
				sum[0][r][g] = plus_sums(sum[0][r][g], sum[w][r][g], bytes);
			_mm512_storeu_si512((char *)sums[r] + g * 64, sum[0][r][g]);
		}
	}
}

#define DOTS(gates, rows, ways)                                                                    \
	dots(w, stride, groups, in, sums, gates, rows, ways, bytes, far, ahead)
#define DOTS_CASES(gates)                                                                          \
	case (gates)*8 + 1:                                                                        \
		DOTS(gates, 1, many ? 1 : (gates) > 2 ? 4 : 8);                                    \
		break;                                                                             \
	case (gates)*8 + 2:                                                                        \
		DOTS(gates, 2, many ? 1 : 2);                                                      \
		break;                                                                             \
	case (gates)*8 + 3:                                                                        \
		DOTS(gates, 3, 1);                                                                 \
		break;                                                                             \
	case (gates)*8 + 4:                                                                        \
		DOTS(gates, 4, 1);                                                                 \
		break;                                                                             \
	case (gates)*8 + 5:                                                                        \
		DOTS(gates, 5, 1);                                                                 \
		break;                                                                             \
	case (gates)*8 + 6:                                                                        \
		DOTS(gates, 6, 1);                                                                 \
		break

/* `many`: one sum per place whatever the number of rows. */
INLINE void dots_of(const char *w, int64_t stride, int64_t groups, const char *const *in,
		    void *const *sums, int gates, int rows, const bool many, const bool bytes)
{
	const bool far = false;
	const int ahead = 0;

	switch (gates * 8 + rows) {
		DOTS_CASES(1);
		DOTS_CASES(2);
		DOTS_CASES(3);
		DOTS_CASES(4);
	default: /* nothing else is asked for */
		__builtin_unreachable();
	}
}

/* One row whose weights come from afar. */
INLINE void dots_far(const char *w, int64_t stride, int64_t groups, const char *const *in,
		     void *const *sums, int gates, const bool bytes, int ahead)
{
	const bool far = true;

	if (gates == 4)
		DOTS(4, 1, 4);
	else if (gates == 3)
		DOTS(3, 1, 4);
	else if (gates == 2)
		DOTS(2, 1, 8);
	else
		DOTS(1, 1, 8);
}

/* The groups from `from` on, for `rows` rows from `row` on. */
INLINE void rows_dots(const struct ps_rnn_product *p, int64_t row, int rows, int64_t from,
		      int64_t groups, void *const *sums, const bool bytes)
{
	const int64_t stride = p->gates * 64;
	const char *w = (const char *)p->weights + from * stride;
	const char *in[TILE_ROWS];

	for (int r = 0; r < rows; r++)
		in[r] = (const char *)p->in[row + r] + from * GROUP_STEP;
	if (p->rows == 1 && p->prefetch > 0 && !p->many) {
		dots_far(w, stride, groups, in, sums, p->gates, bytes, p->prefetch);
		return;
	}
	for (int r = 0; r < rows; r += DOT_ROWS) {
		int n = rows - r < DOT_ROWS ? rows - r : DOT_ROWS;
		if (p->many && !bytes) /* bytes are exact either way */
			dots_of(w, stride, groups, in + r, sums + r, p->gates, n, true, bytes);
		else
			dots_of(w, stride, groups, in + r, sums + r, p->gates, n, false, bytes);
	}
}

#include "engine/rnn/amx_internal.h"

/* acc += sums * scales */
INLINE void add_scaled(const struct ps_rnn_product *p, int64_t row, const int32_t *sums)
{
	float *acc = p->acc[row];
	__m512 scale = _mm512_set1_ps(p->in_scales[row]);

	for (int g = 0; g < p->gates * PS_RNN_BLOCK; g += PS_RNN_BLOCK) {
		__m512 sum = _mm512_cvtepi32_ps(_mm512_load_si512(sums + g));
		store(acc + g, load(acc + g) + sum * (load(p->scales + g) * scale));
	}
}

static void product_int8(const struct ps_rnn_product *p)
{
	const int64_t groups = (p->k + 3) / 4;

	for (int64_t row = 0; row < p->rows; row += TILE_ROWS) {
		_Alignas(64) int32_t room[TILE_ROWS][ROW_SUMS];
		void *sums[TILE_ROWS];
		int n = p->rows - row < TILE_ROWS ? (int)(p->rows - row) : TILE_ROWS;
		for (int r = 0; r < n; r++) {
			memcpy(room[r], p->offsets, (size_t)p->gates * 64);
			sums[r] = room[r];
		}
		int64_t done = tiles(p, row, n, groups, sums, true);
		rows_dots(p, row, n, done, groups - done, sums, true);
		for (int r = 0; r < n; r++)
			add_scaled(p, row + r, room[r]);
	}
}

#if defined __AVX512BF16__
static void product_bfloat16(const struct ps_rnn_product *p)
{
	const int64_t groups = (p->k + 1) / 2;

	for (int64_t row = 0; row < p->rows; row += TILE_ROWS) {
		void *sums[TILE_ROWS];
		int n = p->rows - row < TILE_ROWS ? (int)(p->rows - row) : TILE_ROWS;
		for (int r = 0; r < n; r++)
			sums[r] = p->acc[row + r];
		int64_t done = tiles(p, row, n, groups, sums, false);
		rows_dots(p, row, n, done, groups - done, sums, false);
	}
}
#endif

#endif
