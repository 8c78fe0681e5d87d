/* inputs.c - x * W for many steps as one product, before the steps themselves. */
#include "engine/rnn/walk_internal.h"

#include <string.h>

#define NEAR_BYTES (INT64_C(2) << 20) /* a usual second cache */
#define AHEAD	   1024

static const float *x_at(const struct ps_rnn_part *p, int64_t n, int64_t t)
{
	const struct ps_rnn_run *run = p->run;
	int64_t row = p->r->spec.layout ? n * run->steps + t : t * run->batch + n;

	return run->x + row * p->r->spec.inputs;
}

/* A row of x in codes; of bytes each row has a scale of its own, in which a NaN or an infinity
 * stays. */
static void encode(const struct ps_rnn_part *p, const float *x, int64_t row)
{
	const struct ps_rnn_kernel *kernel = p->r->kernel;
	int64_t k = p->r->spec.inputs, code = ps_rnn_code_bytes(kernel, p->r->precision);
	char *to = p->x_code + row * x_row(p);
	float most = is_int8(p) ? kernel->largest(x, k) : 0;

	kernel->encode[p->r->precision](x, k, most > 0 ? 127 / most : 0, to);
	memset(to + k * code, 0, (size_t)(x_row(p) - k * code)); /* meets weights of 0 */
	p->in[row] = to;
	p->in_scales[row] = most / 127;
}

/* How far ahead weights are asked for: always where they come from beyond the second cache and meet
 * several rows, since then the processor itself does not look far enough ahead; with one row as the
 * layer is tuned. */
static int ahead_of(const struct ps_rnn_part *p, const struct ps_rnn_matrix *m, int64_t rows,
		    bool many)
{
	bool far = ps_rnn_block_bytes(p->r, m) * (p->share.to - p->share.from) > NEAR_BYTES;

	return (many || rows > 1) && far ? AHEAD : many ? 0 : p->r->tuning.prefetch;
}

void ps_rnn_part_multiply(const struct ps_rnn_part *p, const struct ps_rnn_matrix *m, int64_t block,
			  int64_t rows, bool many)
{
	p->r->kernel->product[p->r->precision](&(struct ps_rnn_product){
		.weights = (const char *)m->weights + block * ps_rnn_block_bytes(p->r, m),
		.scales = m->scales ? m->scales + block * m->gates * PS_RNN_BLOCK : NULL,
		.offsets = m->offsets ? m->offsets + block * m->gates * PS_RNN_BLOCK : NULL,
		.k = m->k,
		.gates = m->gates,
		.rows = rows,
		.many = many,
		.in = p->in,
		.in_scales = p->in_scales,
		.acc = p->to,
		.prefetch = ahead_of(p, m, rows, many)});
}

/* Rows of x for the steps from `first` on, in the order of acc without those that have ended. */
static int64_t gather(const struct ps_rnn_part *p, int64_t first, int64_t steps)
{
	int64_t rows = 0;

	for (int64_t i = first; i < first + steps; i++) {
		for (int64_t n = 0; n < p->run->batch; n++) {
			if (i >= length(p, n))
				continue;
			const float *x = x_at(p, n, instant(p, n, i));
			if (is_coded(p))
				encode(p, x, rows);
			else
				p->in[rows] = x;
			rows++;
		}
	}
	return rows;
}

/* Pre-activations of the steps from `first` on, for a thread's blocks. */
void ps_rnn_part_inputs(const struct ps_rnn_part *p, int64_t first, int64_t steps)
{
	int64_t batch = p->run->batch, slots = p->r->slots;
	int64_t n_rows = gather(p, first, steps);

	for (int64_t block = p->share.from; block < p->share.to; block++) {
		const float *start = p->packed->start + block * slots * PS_RNN_BLOCK;
		int64_t rows = 0;
		for (int64_t i = first; i < first + steps; i++) {
			for (int64_t n = 0; n < batch; n++) {
				if (i >= length(p, n))
					continue;
				float *acc = acc_at(p, block, (i - first) * batch + n);
				memcpy(acc, start, (size_t)slots * PS_RNN_BLOCK * sizeof *acc);
				p->to[rows++] = acc;
			}
		}
		ps_rnn_part_multiply(p, &p->packed->w, block, n_rows, true);
	}
}
