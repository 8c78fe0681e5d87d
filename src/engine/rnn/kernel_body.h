/* kernel_body.h - the kernels of one instruction set. A file defines PS_RNN_LANES (4, 8 or 16) and
 * PS_RNN_KERNEL (its name) and includes this; CMake gives the file its flags.
 *
 * The product of one row keeps all gates of a block in registers and walks k once: each weight is
 * read once and used once, so the load is the bound. With more rows the registers hold fewer
 * vectors of more rows, and k goes in pieces whose weights stay in the first cache, so that a
 * weight still comes from further away once.
 */
#include "engine/rnn/kernel_internal.h"
#include "engine/rnn/vector_internal.h"
#include "engine/rnn/encode_internal.h"

#define VECTORS	     (PS_RNN_BLOCK / PS_RNN_LANES) /* of one gate of a block */
#define PIECE	     64				   /* k values whose weights stay near */
#define MOST_WAYS    4
#define MOST_ROWS    (PS_RNN_LANES == 4 ? 3 : 6)
#define MOST_VECTORS (PS_RNN_LANES == 4 ? VECTORS : 4 * VECTORS)

/* sum + the weights' one or two values of k times theirs */
INLINE vf plus(vf sum, const char *weights, const float *in, const bool bf16)
{
	if (!bf16)
		return sum + load((const float *)(const void *)weights) * in[0];
	vi both = bits_of(load((const float *)(const void *)weights));
	return sum + bits(both << 16) * in[0] + bits(both & (int32_t)0xffff0000) * in[1];
}

/* Asks for so many bytes further on, into the second cache. */
INLINE void ask_ahead(const char *weights, int64_t ahead, const int bytes)
{
	for (int at = 0; at < bytes; at += 64)
		__builtin_prefetch(weights + ahead + at, 0, 2);
}

/* `vectors` vectors at weights[i * stride] for each group of k, times `rows` values; sums in
 * registers. `ways` sums per place where the chain of additions would else be the bound. `bf16`:
 * a group is two values. `far`: weights `ahead` bytes further on are asked for; with several rows,
 * who have `lines` lines per group to ask for, those in a row. */
INLINE void piece(const char *weights, int64_t stride, int64_t groups, const float *const *in,
		  float *const *acc, const int vectors, const int rows, const int ways,
		  const bool bf16, const bool far, int64_t ahead, int lines)
{
	const char *asked = weights + ahead;
	vf sum[MOST_WAYS][MOST_ROWS][MOST_VECTORS]; /* in registers: all bounds are constants */
	const int group = bf16 ? 2 : 1;

	for (int r = 0; r < rows; r++) {
		for (int v = 0; v < vectors; v++) {
			sum[0][r][v] = load(acc[r] + v * PS_RNN_LANES);
			for (int w = 1; w < ways; w++)
				sum[w][r][v] = (vf){};
		}
	}
	int64_t i = 0;
	for (; i + ways <= groups; i += ways) {
		for (int w = 0; w < ways; w++, weights += stride) {
			if (far && rows == 1)
				ask_ahead(weights, ahead, vectors * PS_RNN_BYTES);
			for (int line = 0; far && rows > 1 && line < lines; line++, asked += 64)
				__builtin_prefetch(asked, 0, 2);
			for (int r = 0; r < rows; r++) {
				for (int v = 0; v < vectors; v++)
					sum[w][r][v] =
						plus(sum[w][r][v], weights + v * PS_RNN_BYTES,
						     in[r] + (i + w) * group, bf16);
			}
		}
	}
	for (; i < groups; i++, weights += stride) {
		for (int r = 0; r < rows; r++) {
			for (int v = 0; v < vectors; v++)
				sum[0][r][v] = plus(sum[0][r][v], weights + v * PS_RNN_BYTES,
						    in[r] + i * group, bf16);
		}
	}
	for (int r = 0; r < rows; r++) {
		for (int v = 0; v < vectors; v++) {
			for (int w = 1; w < ways; w++)
				sum[0][r][v] += sum[w][r][v];
			store(acc[r] + v * PS_RNN_LANES, sum[0][r][v]);
		}
	}
}

/* Sums that the registers hold beside a weight and a value, and how many it takes to hide the
 * latency of an addition. */
#define MOST_SUMS	  (PS_RNN_LANES == 16 ? 24 : 12)
#define SUMS(gates, rows) ((gates)*VECTORS * (rows))
#define WAYS(n)		  ((n) >= 8 ? 1 : (n) >= 4 ? 2 : 4)
#define CASE(gates, rows)                                                                          \
	case (gates)*8 + (rows):                                                                   \
		piece(weights, stride, groups, in, acc, (gates)*VECTORS, rows,                     \
		      many ? 1 : WAYS(SUMS(gates, rows)), bf16, far, ahead, lines);                \
		break

INLINE void pieces(const char *weights, int64_t stride, int64_t groups, const float *const *in,
		   float *const *acc, int gates, int rows, const bool many, const bool bf16,
		   const bool far, int64_t ahead, int lines)
{
	switch (gates * 8 + rows) {
		CASE(1, 1);
		CASE(1, 2);
		CASE(1, 3);
#if PS_RNN_LANES > 4
		CASE(1, 4);
		CASE(1, 5);
		CASE(1, 6);
		CASE(2, 1);
		CASE(2, 2);
		CASE(2, 3);
		CASE(3, 1);
		CASE(3, 2);
		CASE(4, 1);
#endif
#if PS_RNN_LANES > 8
		CASE(2, 4);
		CASE(2, 5);
		CASE(2, 6);
		CASE(3, 3);
		CASE(3, 4);
		CASE(3, 5);
		CASE(3, 6);
		CASE(4, 2);
		CASE(4, 3);
		CASE(4, 4);
		CASE(4, 5);
		CASE(4, 6);
#endif
	default: /* gates_at_once and MOST_ROWS allow nothing else */
		__builtin_unreachable();
	}
}

static int gates_at_once(int gates, int rows)
{
	int n = PS_RNN_LANES == 4 ? 1 : MOST_SUMS / SUMS(1, rows);

	return n < 1 ? 1 : n < gates ? n : gates;
}

/* One piece of k for all rows and gates. `far`: the weights of the next piece are asked for
 * meanwhile, by each group of rows a part of them. */
INLINE void piece_of_all(const struct ps_rnn_product *p, int64_t from, int64_t groups,
			 const bool many, const bool bf16, const bool far)
{
	const int64_t stride = p->gates * PS_RNN_BLOCK * 4;
	const char *weights = (const char *)p->weights + from * stride;
	const int64_t turns = (p->rows + MOST_ROWS - 1) / MOST_ROWS;
	const int lines = (int)((p->gates + turns - 1) / turns);

	for (int64_t row = 0; row < p->rows; row += MOST_ROWS) {
		int rows = p->rows - row < MOST_ROWS ? (int)(p->rows - row) : MOST_ROWS;
		int step = gates_at_once(p->gates, rows);
		int64_t ahead = p->prefetch;
		if (many)
			ahead = groups * stride + row / MOST_ROWS * lines * groups * 64;
		for (int gate = 0; gate < p->gates; gate += step) {
			const float *in[MOST_ROWS];
			float *acc[MOST_ROWS];
			for (int r = 0; r < rows; r++) {
				in[r] = (const float *)p->in[row + r] + from * (bf16 ? 2 : 1);
				acc[r] = p->acc[row + r] + gate * PS_RNN_BLOCK;
			}
			int gates = p->gates - gate < step ? p->gates - gate : step;
			int ask = gate == 0 && row / MOST_ROWS * lines < p->gates ? lines : 0;
			pieces(weights + gate * PS_RNN_BLOCK * 4, stride, groups, in, acc, gates,
			       rows, many, bf16, far, ahead, ask);
		}
	}
}

/* The last value of an odd k, which has no partner in `in`. */
static void odd_one(const struct ps_rnn_product *p)
{
	const uint16_t *weights =
		(const uint16_t *)p->weights + (p->k - 1) * p->gates * PS_RNN_BLOCK;

	for (int64_t row = 0; row < p->rows; row++) {
		float x = ((const float *)p->in[row])[p->k - 1];
		for (int i = 0; i < p->gates * PS_RNN_BLOCK; i++)
			p->acc[row][i] += x * bf16_value(weights[2 * i]);
	}
}

INLINE void product(const struct ps_rnn_product *p, const bool bf16)
{
	bool at_once = !p->many && p->rows <= MOST_ROWS &&
		       gates_at_once(p->gates, (int)p->rows) == p->gates;
	int64_t groups = bf16 ? p->k / 2 : p->k, most = at_once ? groups : PIECE;

	for (int64_t i = 0; i < groups; i += most) {
		int64_t n = groups - i < most ? groups - i : most;
		if (p->many && p->prefetch > 0)
			piece_of_all(p, i, n, true, bf16, true);
		else if (p->many)
			piece_of_all(p, i, n, true, bf16, false);
		else if (at_once && p->prefetch > 0)
			piece_of_all(p, i, n, false, bf16, true);
		else
			piece_of_all(p, i, n, false, bf16, false);
	}
	if (bf16 && p->k % 2)
		odd_one(p);
}

static void product_float32(const struct ps_rnn_product *p)
{
	product(p, false);
}

#if !defined __AVX512BF16__
static void product_bfloat16(const struct ps_rnn_product *p)
{
	product(p, true);
}
#endif

#if defined __AVX512VNNI__
#include "engine/rnn/dot_internal.h"
#else
#include "engine/rnn/int8_internal.h"
#endif

INLINE vf clipped(const struct ps_rnn_spec *s, vf x)
{
	return s->clip > 0 ? at_most(at_least(x, all(-s->clip)), all(s->clip)) : x;
}

static void lstm(const struct ps_rnn_finish *f)
{
	const struct ps_rnn_functions *fn = f->functions;

	for (int v = 0; v < PS_RNN_BLOCK; v += PS_RNN_LANES) {
		const float *acc = f->acc + v;
		vf i = load(acc + PS_RNN_SLOT_I * PS_RNN_BLOCK);
		vf o = load(acc + PS_RNN_SLOT_O * PS_RNN_BLOCK);
		vf forget = load(acc + PS_RNN_SLOT_F * PS_RNN_BLOCK);
		vf g = load(acc + PS_RNN_SLOT_C * PS_RNN_BLOCK), c = load(f->c + v);
		if (f->p) {
			i += load(f->p + v) * c;
			forget += load(f->p + 2 * PS_RNN_BLOCK + v) * c;
		}
		i = apply(&fn->f, clipped(f->spec, i));
		forget = f->spec->input_forget ? 1 - i : apply(&fn->f, clipped(f->spec, forget));
		c = forget * c + i * apply(&fn->g, clipped(f->spec, g));
		if (f->p)
			o += load(f->p + PS_RNN_BLOCK + v) * c;
		store(f->c + v, c);
		store(f->next + v, apply(&fn->f, clipped(f->spec, o)) * apply(&fn->h, c));
	}
}

INLINE vf gate(const struct ps_rnn_finish *f, int slot, int v)
{
	vf x = load(f->acc + slot * PS_RNN_BLOCK + v);

	return apply(&f->functions->f, clipped(f->spec, x));
}

static void gru(const struct ps_rnn_finish *f)
{
	for (int v = 0; v < PS_RNN_BLOCK; v += PS_RNN_LANES) {
		vf n = load(f->acc + PS_RNN_SLOT_N * PS_RNN_BLOCK + v), h = load(f->h + v);
		if (f->spec->linear_before_reset)
			n += gate(f, PS_RNN_SLOT_R, v) *
			     load(f->acc + PS_RNN_SLOT_NH * PS_RNN_BLOCK + v);
		n = apply(&f->functions->g, clipped(f->spec, n));
		vf z = gate(f, PS_RNN_SLOT_Z, v);
		store(f->next + v, (1 - z) * n + z * h);
	}
}

static void reset(const struct ps_rnn_finish *f)
{
	for (int v = 0; v < PS_RNN_BLOCK; v += PS_RNN_LANES)
		store(f->next + v, gate(f, PS_RNN_SLOT_R, v) * load(f->h + v));
}

static void plain(const struct ps_rnn_finish *f)
{
	for (int v = 0; v < PS_RNN_BLOCK; v += PS_RNN_LANES)
		store(f->next + v, gate(f, 0, v));
}

static void apply_all(const struct ps_rnn_function *f, float *v, size_t n)
{
	for (size_t i = 0; i < n; i += PS_RNN_LANES)
		store(v + i, apply(f, load(v + i)));
}

const struct ps_rnn_kernel PS_RNN_KERNEL = {
	.name = PS_RNN_KERNEL_NAME,
	.works = PS_RNN_KERNEL_WORKS,
	.product = {product_float32, product_bfloat16, product_int8},
	.encode = {NULL, encode_bf16, encode_int8},
	.largest = largest,
	.lstm = lstm,
	.gru = gru,
	.reset = reset,
	.plain = plain,
	.apply = apply_all,
};
