/* amx_internal.h - products of 16 rows with 16 units at once, in tiles. Included by dot_internal.h
 * only.
 *
 * A tile of weights is 16 groups of k of one gate, as they lie in a block; one of x is 16 groups of
 * up to 16 rows. What is left of k goes to the instructions of dot_internal.h.
 */
#ifndef PS_ENGINE_RNN_AMX_INTERNAL_H
#define PS_ENGINE_RNN_AMX_INTERNAL_H

#if defined __AMX_INT8__ && defined __AMX_BF16__

#define TILE_GROUPS 16

/* As LDTILECFG reads it. */
struct tile_shapes {
	uint8_t palette, start_row, reserved[14];
	uint16_t bytes[16]; /* of a row */
	uint8_t rows[16];
};

/* Tiles 0 to 3 are sums, 4 is x, and 5 to 7 are weights. The compiler knows nothing of what
 * LDTILECFG reads: the whole of it is named as its input. */
INLINE void shape_tiles(int rows)
{
	_Alignas(64) struct tile_shapes t = {.palette = 1};

	for (int i = 0; i < 8; i++) {
		t.bytes[i] = 64;
		t.rows[i] = (uint8_t)(i <= 4 ? rows : TILE_GROUPS);
	}
	__asm__ volatile("ldtilecfg %0" : : "m"(t) : "memory");
}

#define TILE_GATE(sum, weights)                                                                    \
	do {                                                                                       \
		_tile_loadd(weights, w + (sum)*64, stride);                                        \
		if (bytes)                                                                         \
			_tile_dpbusd(sum, 4, weights);                                             \
		else                                                                               \
			_tile_dpbf16ps(sum, 4, weights);                                           \
	} while (0)

/* The sums of `n` tiles of k, one row of x every `x_stride` bytes. */
INLINE void tile_sums(const char *w, int64_t stride, int64_t n, const char *x, int64_t x_stride,
		      const int gates, const bool bytes)
{
	_tile_zero(0);
	_tile_zero(1);
	_tile_zero(2);
	_tile_zero(3);
	for (int64_t i = 0; i < n; i++, w += TILE_GROUPS * stride, x += 64) {
		_tile_loadd(4, x, x_stride);
		TILE_GATE(0, 5);
		if (gates > 1)
			TILE_GATE(1, 6);
		if (gates > 2)
			TILE_GATE(2, 7);
		if (gates > 3)
			TILE_GATE(3, 5);
	}
}

INLINE void tile_sums_of(const char *w, int64_t n, const char *x, int64_t x_stride, int gates,
			 const bool bytes)
{
	const int64_t stride = gates * 64;

	if (gates == 4)
		tile_sums(w, stride, n, x, x_stride, 4, bytes);
	else if (gates == 3)
		tile_sums(w, stride, n, x, x_stride, 3, bytes);
	else if (gates == 2)
		tile_sums(w, stride, n, x, x_stride, 2, bytes);
	else
		tile_sums(w, stride, n, x, x_stride, 1, bytes);
}

/* Whether rows lie at equal distances, as tiles want them. */
INLINE bool evenly_apart(const char *const *in, int rows, int64_t *ret_stride)
{
	*ret_stride = rows > 1 ? in[1] - in[0] : 64;
	for (int r = 2; r < rows; r++) {
		if (in[r] - in[r - 1] != *ret_stride)
			return false;
	}
	return true;
}

/* sums += what whole tiles of k make, of up to 16 rows; the groups that are done. A single row of
 * bytes is sooner done without. */
INLINE int64_t tiles(const struct ps_rnn_product *p, int64_t row, int rows, int64_t groups,
		     void *const *sums, const bool bytes)
{
	_Alignas(64) char made[TILE_ROWS][ROW_SUMS * 4];
	int64_t n = groups / TILE_GROUPS, stride;

	if (n == 0 || (rows == 1 && (bytes || !p->many)) ||
	    !evenly_apart((const char *const *)p->in + row, rows, &stride))
		return 0;
	shape_tiles(rows);
	tile_sums_of(p->weights, n, p->in[row], stride, p->gates, bytes);
	_tile_stored(0, made, sizeof *made);
	if (p->gates > 1)
		_tile_stored(1, made[0] + 64, sizeof *made);
	if (p->gates > 2)
		_tile_stored(2, made[0] + 128, sizeof *made);
	if (p->gates > 3)
		_tile_stored(3, made[0] + 192, sizeof *made);
	_tile_release();
	for (int r = 0; r < rows; r++) {
		for (int at = 0; at < p->gates * 64; at += 64) {
			__m512i sum = plus_sums(_mm512_loadu_si512((char *)sums[r] + at),
						_mm512_load_si512(made[r] + at), bytes);
			_mm512_storeu_si512((char *)sums[r] + at, sum);
		}
	}
	return n * TILE_GROUPS;
}

#else
INLINE int64_t tiles(const struct ps_rnn_product *p, int64_t row, int rows, int64_t groups,
		     void *const *sums, const bool bytes)
{
	(void)p;
	(void)row;
	(void)rows;
	(void)groups;
	(void)sums;
	(void)bytes;
	return 0;
}
#endif

#endif
