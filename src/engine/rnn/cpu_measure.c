/* cpu_measure.c - times the kernels on this CPU.
 *
 * Everything is timed five times (three in a hurry) and the middle one counts: the engine runs in
 * the same company.
 */
#include "base/clock.h"
#include "engine/engine_internal.h"
#include "engine/rnn/cpu.h"
#include "engine/rnn/kernel_internal.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN	     64
#define GATES	     4
#define GROUP_BYTES  (GATES * PS_RNN_BLOCK * 4) /* of weights per group of k in any precision */
#define TIMES	     5
#define QUICK_TIMES  3
#define LEAST_NS     1000000.0 /* of what is timed at once */
#define MOST_GROUPS  4096
#define MOST_ROWS    12
#define MEETINGS     2000
#define STARTS	     31
#define START_PASSES 200
#define SHARED_BYTES 8192 /* of an h that is exchanged */

static const int64_t sizes_kib[] = {24,	  128,	256,   512,   768,   1024,  2048,
				    4096, 8192, 12288, 16384, 24576, 32768, 65536};

/* What a thread works with. */
struct seat {
	char *weights;
	float *in; /* MOST_GROUPS * 4 values */
	int8_t *in8;
	float *acc; /* MOST_ROWS rows of GATES * 16 */
};

struct probe {
	struct ps_rnn_team *team;
	const struct ps_engine_lender *lender;
	int threads;
	const struct ps_rnn_kernel *kernel;
	struct seat *seats;
	int64_t bytes_each;
	char *shared; /* SHARED_BYTES twice */
	/* what is timed now */
	enum ps_rnn_precision precision;
	int64_t bytes, block_bytes;
	int rows;
	bool alternate;
	int64_t passes;
	int times;   /* it is timed: TIMES or fewer */
	int meeting; /* threads that meet */
	int64_t instants[TIMES + 1];
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Some milliseconds, with nothing else on the CPUs. */
static void together(const struct probe *p, void (*work)(void *ctx, int i), void *ctx)
{
	ps_engine_borrow(p->lender);
	ps_rnn_team_run(p->team, work, ctx);
	ps_engine_give_back(p->lender);
}

/* Seconds of one pass. */
static double result(const struct probe *p)
{
	double took[TIMES] = {0};

	for (int i = 0; i < p->times; i++)
		took[i] = (double)(p->instants[i + 1] - p->instants[i]) * 1e-9 / (double)p->passes;
	qsort(took, (size_t)p->times, sizeof *took, by_value);
	return took[p->times / 2];
}

static void product_of(const struct probe *p, const struct seat *s, const char *weights,
		       int64_t bytes)
{
	static const float no_scale[GATES * PS_RNN_BLOCK];
	static const int32_t no_offset[GATES * PS_RNN_BLOCK];
	const void *in[MOST_ROWS];
	float *acc[MOST_ROWS], scales[MOST_ROWS];

	for (int r = 0; r < p->rows; r++) {
		in[r] = p->precision == PS_RNN_INT8 ? (const void *)s->in8 : s->in;
		acc[r] = s->acc + r * GATES * PS_RNN_BLOCK;
		scales[r] = 1;
	}
	p->kernel->product[p->precision](
		&(struct ps_rnn_product){.weights = weights,
					 .scales = no_scale,
					 .offsets = no_offset,
					 .k = bytes / GROUP_BYTES * ps_rnn_group(p->precision),
					 .gates = GATES,
					 .rows = p->rows,
					 .many = p->rows > 1,
					 .in = in,
					 .in_scales = scales,
					 .acc = acc});
}

/* As a thread of a run goes through its blocks. */
static void pass(const struct probe *p, const struct seat *s, bool backward)
{
	int64_t n = p->bytes / p->block_bytes;

	for (int64_t b = 0; b < n; b++)
		product_of(p, s, s->weights + (backward ? n - 1 - b : b) * p->block_bytes,
			   p->block_bytes);
}

static void stream(void *ctx, int i)
{
	struct probe *p = ctx;
	const struct seat *s = &p->seats[i];

	pass(p, s, false); /* what begins each size is not its habit yet */
	pass(p, s, p->alternate);
	for (int t = 0; t <= p->times; t++) {
		ps_rnn_team_meet(p->team, i, 0, p->threads);
		if (i == 0)
			p->instants[t] = ps_clock_now_ns();
		for (int64_t n = 0; t < p->times && n < p->passes; n++)
			pass(p, s, p->alternate && n % 2);
	}
}

/* Blocks as a layer whose slice has this size would have them: their size grows with its root. */
static int64_t block_for(int64_t bytes)
{
	int64_t block = (int64_t)(64 * sqrt((double)bytes)) / GROUP_BYTES * GROUP_BYTES;

	return block < GROUP_BYTES ? GROUP_BYTES : block;
}

static double read_time(struct probe *p, int64_t bytes, int rows, bool alternate, double guess_s)
{
	p->block_bytes = block_for(bytes);
	p->bytes = bytes / p->block_bytes * p->block_bytes;
	p->rows = rows;
	p->alternate = alternate;
	p->passes = (int64_t)(LEAST_NS * 1e-9 / guess_s) + 1;
	if (alternate)
		p->passes = (p->passes + 1) / 2 * 2;
	together(p, stream, p);
	return result(p) * (double)bytes / (double)p->bytes;
}

static void measure_levels(struct probe *p, struct ps_spatial_machine *m)
{
	double per_byte = 1 / 50e9;

	p->precision = PS_RNN_FLOAT32;
	for (size_t i = 0; i < sizeof sizes_kib / sizeof *sizes_kib; i++) {
		int64_t bytes = sizes_kib[i] << 10;
		if (bytes > p->bytes_each)
			break;
		double forward = read_time(p, bytes, 1, false, (double)bytes * per_byte);
		double back = read_time(p, bytes, 1, true, forward);
		m->levels[m->n_levels++] =
			(struct ps_spatial_level){.bytes = (double)bytes,
						  .forward_bps = (double)bytes / forward,
						  .alternating_bps = (double)bytes / back};
		per_byte = forward / (double)bytes;
	}
}

/* One block that stays in the first cache, so many times as to be seen. */
static double near_time(struct probe *p, int64_t groups, int rows)
{
	p->bytes = p->block_bytes = groups * GROUP_BYTES;
	p->rows = rows;
	p->alternate = false;
	p->passes = 2 + 60000 / (groups * rows);
	together(p, stream, p);
	return result(p);
}

/* Time of a vector, and of a call beside its vectors. */
static double measure_vectors(struct probe *p, struct ps_spatial_rate *rate)
{
	double small = near_time(p, 32, 1), large = near_time(p, 96, 1);

	rate->vector_s = fmax(large - small, large / 8) / (64 * GATES);
	rate->rows_vector_s = near_time(p, 64, MOST_ROWS) / (64 * GATES * MOST_ROWS);
	return fmax(0, small - 32 * GATES * rate->vector_s);
}

struct finish_probe {
	struct probe *p;
	enum ps_spatial_cell cell;
};

/* The end of a step for a block: activations and update, and in int8 the bytes of the new h. */
static void finish_once(const struct finish_probe *f, const struct seat *s,
			const struct ps_rnn_spec *spec)
{
	static const float zeros[PS_RNN_BLOCK];
	const struct ps_rnn_kernel *k = f->p->kernel;
	float *room = s->acc + GATES * PS_RNN_BLOCK;
	const struct ps_rnn_finish end = {.spec = spec,
					  .functions = &spec->functions[0],
					  .acc = s->acc,
					  .h = zeros,
					  .c = room,
					  .next = room + PS_RNN_BLOCK};

	if (f->cell == PS_SPATIAL_LSTM)
		k->lstm(&end);
	else if (f->cell == PS_SPATIAL_GRU)
		k->gru(&end);
	else
		k->plain(&end);
	if (k->encode[f->p->precision])
		(void)k->encode[f->p->precision](end.next, PS_RNN_BLOCK, 127, s->in8);
}

static void finish_many(void *ctx, int i)
{
	const struct finish_probe *f = ctx;
	const struct seat *s = &f->p->seats[i];
	struct ps_rnn_spec spec =
		ps_rnn_spec_default((enum ps_rnn_cell)f->cell, PS_RNN_BLOCK, PS_RNN_BLOCK);

	spec.linear_before_reset = true;
	memset(s->acc, 0, (size_t)(MOST_ROWS * GATES * PS_RNN_BLOCK) * sizeof(float));
	for (int t = 0; t <= f->p->times; t++) {
		ps_rnn_team_meet(f->p->team, i, 0, f->p->threads);
		if (i == 0)
			f->p->instants[t] = ps_clock_now_ns();
		for (int64_t n = 0; t < f->p->times && n < f->p->passes; n++)
			finish_once(f, s, &spec);
	}
}

static void measure_rate(struct probe *p, struct ps_spatial_machine *m, enum ps_rnn_precision which)
{
	struct ps_spatial_rate *rate = &m->rates[which];

	p->precision = which;
	*rate = (struct ps_spatial_rate){.has = true, .pack = ps_rnn_group(which), .overlap = 1};
	double call = measure_vectors(p, rate);
	for (int c = 0; c < PS_SPATIAL_CELLS; c++) {
		p->passes = 5000;
		together(p, finish_many, &(struct finish_probe){p, (enum ps_spatial_cell)c});
		rate->block_s[c] = call + result(p);
	}
}

/* How much of the shorter of computing and reading hides behind the longer, at one size. */
static double overlap_at(struct probe *p, const struct ps_spatial_machine *m, int64_t bytes)
{
	const struct ps_spatial_rate *rate = &m->rates[p->precision];
	double read = ps_spatial_read_s(m, (double)bytes, true);
	double compute = (double)bytes / (PS_RNN_BLOCK * 4) * rate->vector_s;
	double both = read_time(p, bytes, 1, true, fmax(read, compute));
	double left = (both - fmax(read, compute)) / fmin(read, compute);

	return 1 - fmin(1, fmax(0, left));
}

/* Several rows take the lines of each gate apart, which come at another rate than all in a row. */
static double rows_read(struct probe *p, const struct ps_spatial_machine *m, int64_t bytes)
{
	double read = ps_spatial_read_s(m, (double)bytes, false);
	double compute = MOST_ROWS * (double)bytes / (PS_RNN_BLOCK * 4) *
			 m->rates[p->precision].rows_vector_s;

	return fmax(0, read_time(p, bytes, MOST_ROWS, false, compute + read) - compute) / read;
}

static void measure_overlap(struct probe *p, struct ps_spatial_machine *m)
{
	int64_t near = INT64_C(256) << 10, middle = INT64_C(3) << 20, far = p->bytes_each / 2;

	for (int i = 0; i < PS_RNN_PRECISIONS; i++) {
		p->precision = (enum ps_rnn_precision)i;
		m->rates[i].rows_read = (rows_read(p, m, middle) + rows_read(p, m, far)) / 2;
		if (i != PS_RNN_FLOAT32) /* the rates of reading are its own */
			m->rates[i].overlap =
				(overlap_at(p, m, near) + overlap_at(p, m, middle)) / 2;
	}
}

/* ---- threads ---- */

static void meet_many(void *ctx, int i)
{
	struct probe *p = ctx;

	for (int t = 0; t <= p->times && i < p->meeting; t++) {
		ps_rnn_team_meet(p->team, i, 0, p->meeting);
		if (i == 0)
			p->instants[t] = ps_clock_now_ns();
		for (int64_t n = 0; t < p->times && n < p->passes; n++)
			ps_rnn_team_meet(p->team, i, 0, p->meeting);
	}
}

/* Each writes its part, all meet, and each reads a byte of every line of the others' parts. */
static void share_once(const struct probe *p, int i, int64_t n)
{
	int64_t part = SHARED_BYTES / p->threads / ALIGN * ALIGN;
	char *all = p->shared + n % 2 * SHARED_BYTES;
	volatile char seen;

	memset(all + i * part, (int)(n & 127), (size_t)part);
	ps_rnn_team_meet(p->team, i, 0, p->threads);
	for (int other = 0; other < p->threads; other++) {
		for (int64_t at = 0; other != i && at < part; at += ALIGN)
			seen = all[other * part + at];
	}
	(void)seen;
}

static void share_many(void *ctx, int i)
{
	struct probe *p = ctx;

	for (int t = 0; t <= p->times; t++) {
		ps_rnn_team_meet(p->team, i, 0, p->threads);
		if (i == 0)
			p->instants[t] = ps_clock_now_ns();
		for (int64_t n = 0; t < p->times && n < p->passes; n++)
			share_once(p, i, n);
	}
}

static double meeting_time(struct probe *p, int threads)
{
	p->meeting = threads;
	p->passes = MEETINGS;
	together(p, meet_many, p);
	return result(p);
}

/* Some work, so that a thread that wakes up finds the other at it as in a run. */
static void busy(void *ctx, int i)
{
	const struct probe *p = ctx;

	for (int64_t n = 0; n < p->passes; n++)
		pass(p, &p->seats[i], false);
}

/* What a run takes beside its work. */
static double start_time(struct probe *p)
{
	double took[STARTS];

	p->bytes = p->block_bytes = 64 * GROUP_BYTES;
	p->rows = 1;
	p->passes = START_PASSES;
	for (int i = 0; i < STARTS; i++) {
		ps_engine_borrow(p->lender);
		int64_t begin = ps_clock_now_ns();
		busy(p, 0);
		int64_t middle = ps_clock_now_ns();
		ps_rnn_team_run(p->team, busy, p);
		took[i] = (double)(ps_clock_now_ns() - middle - (middle - begin)) * 1e-9;
		ps_engine_give_back(p->lender);
	}
	qsort(took, STARTS, sizeof *took, by_value);
	return fmax(0, took[STARTS / 2]);
}

static void measure_threads(struct probe *p, struct ps_spatial_machine *m)
{
	int64_t part = SHARED_BYTES / p->threads / ALIGN * ALIGN;

	if (p->threads < 2)
		return;
	m->start_s = start_time(p);
	m->exchange_s = meeting_time(p, 2);
	double all = p->threads > 2 ? meeting_time(p, p->threads) : m->exchange_s;
	if (p->threads > 2)
		m->exchange_more_s = fmax(0, all - m->exchange_s) / (p->threads - 2);
	together(p, share_many, p);
	m->exchange_byte_s = fmax(0, result(p) - all) / (double)((p->threads - 1) * part);
}

/* ---- memory ---- */

/* A thread touches its own, as it would in a layer. Bytes of 1 are small numbers in any precision,
 * and no denormal ones. */
static void fill(void *ctx, int i)
{
	const struct probe *p = ctx;
	const struct seat *s = &p->seats[i];

	memset(s->weights, 1, (size_t)p->bytes_each);
	memset(s->in8, 1, 4 * MOST_GROUPS);
	memset(s->acc, 0, (size_t)(MOST_ROWS * GATES * PS_RNN_BLOCK) * sizeof(float));
	for (int k = 0; k < 4 * MOST_GROUPS; k++)
		s->in[k] = 1;
}

static bool allocate(struct probe *p)
{
	bool ok = p->seats && p->shared;

	for (int i = 0; ok && i < p->threads; i++) {
		struct seat *s = &p->seats[i];
		s->weights = aligned_alloc(ALIGN, (size_t)p->bytes_each);
		s->in = aligned_alloc(ALIGN, 4 * MOST_GROUPS * sizeof *s->in);
		s->in8 = aligned_alloc(ALIGN, 4 * MOST_GROUPS);
		s->acc = aligned_alloc(ALIGN,
				       (size_t)(MOST_ROWS * GATES * PS_RNN_BLOCK) * sizeof *s->acc);
		ok = s->weights && s->in && s->in8 && s->acc;
	}
	return ok;
}

static void release(struct probe *p)
{
	for (int i = 0; p->seats && i < p->threads; i++) {
		free(p->seats[i].weights);
		free(p->seats[i].in);
		free(p->seats[i].in8);
		free(p->seats[i].acc);
	}
	free(p->seats);
	free(p->shared);
}

enum ps_status ps_rnn_cpu_measure(struct ps_rnn_team *team, const struct ps_engine_lender *lender,
				  bool quick, struct ps_spatial_machine *ret_machine,
				  struct ps_error *err)
{
	int threads = ps_rnn_team_threads(team);
	struct probe p = {
		.team = team, .lender = lender, .threads = threads, .kernel = ps_rnn_kernel_best()};
	struct ps_spatial_machine m = {.kind = PS_SPATIAL_CORES,
				       .units = threads,
				       .lanes = PS_RNN_BLOCK,
				       .block = PS_RNN_BLOCK,
				       .stages = 1};

	p.bytes_each = PS_RNN_CPU_MAX_BYTES / threads / ALIGN * ALIGN;
	if (p.bytes_each > (quick ? PS_RNN_CPU_QUICK_BYTES : PS_RNN_CPU_BYTES))
		p.bytes_each = quick ? PS_RNN_CPU_QUICK_BYTES : PS_RNN_CPU_BYTES;
	p.times = quick ? QUICK_TIMES : TIMES;
	p.seats = calloc((size_t)threads, sizeof *p.seats);
	p.shared = aligned_alloc(ALIGN, (size_t)2 * SHARED_BYTES);
	if (!allocate(&p)) {
		release(&p);
		return ps_error_set(err, PS_ENOMEM, "no memory to measure this CPU in");
	}
	together(&p, fill, &p);
	measure_levels(&p, &m);
	for (int i = 0; i < PS_RNN_PRECISIONS; i++)
		measure_rate(&p, &m, (enum ps_rnn_precision)i);
	measure_overlap(&p, &m);
	measure_threads(&p, &m);
	release(&p);
	*ret_machine = m;
	return PS_OK;
}
