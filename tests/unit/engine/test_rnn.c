/* Recurrent layers against the double-precision reference: thousands of drawn layers with all that
 * ONNX's operators may have, on each instruction set that this processor has. */
#include "engine/rnn/kernel_internal.h"
#include "engine/rnn/team.h"
#include "support/rnn_oracle.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#if defined __SANITIZE_THREAD__
#define CASES	    30 /* what threads share is the same in all, and with all kernels */
#define ONE_IS_MANY true
#elif defined __SANITIZE_ADDRESS__
#define CASES 150
#else
#define CASES 200 /* each in three precisions, with every set of kernels */
#endif
#define MOST_TEAM 3
#if !defined ONE_IS_MANY
#define ONE_IS_MANY false
#endif

static struct ps_rnn_team *teams[MOST_TEAM + 1];
static uint64_t state;

static double uniform(void)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (double)(state >> 11) / 9007199254740992.0;
}

static int64_t pick(int64_t lo, int64_t hi)
{
	return lo + (int64_t)(uniform() * (double)(hi - lo + 1));
}

static bool one_in(int n)
{
	return pick(1, n) == 1;
}

static float *numbers(int64_t n, double scale)
{
	float *v = malloc((size_t)(n + 1) * sizeof *v);

	for (int64_t i = 0; i < n; i++)
		v[i] = (float)((uniform() * 2 - 1) * scale);
	return v;
}

/* Everything of one drawn layer and run. */
struct drawn {
	struct ps_rnn_spec spec;
	struct ps_rnn_weights weights;
	struct ps_rnn_run run;
	int32_t lens[16];
	int threads;
	float *owned[10];
	int n_owned;
	double *y, *y_h, *y_c;
	int64_t n_y, n_state;
};

static float *own(struct drawn *d, float *v)
{
	d->owned[d->n_owned++] = v;
	return v;
}

/* `smooth`: no activation whose result jumps, which a rounded weight may push over the edge, and
 * none that grows without bound. */
static void draw_functions(struct ps_rnn_spec *s, bool smooth)
{
	static const enum ps_rnn_activation calm[] = {PS_RNN_TANH, PS_RNN_SIGMOID, PS_RNN_SOFTSIGN,
						      PS_RNN_HARD_SIGMOID, PS_RNN_SCALED_TANH};

	for (int d = 0; d < 2; d++) {
		struct ps_rnn_function *f[] = {&s->functions[d].f, &s->functions[d].g,
					       &s->functions[d].h};
		for (int i = 0; i < 3; i++) {
			f[i]->kind =
				smooth ? calm[pick(0, 4)]
				       : (enum ps_rnn_activation)pick(0, PS_RNN_ACTIVATIONS - 1);
			f[i]->alpha = (float)(uniform() * 0.8 + 0.1);
			f[i]->beta = (float)(uniform() * 0.8);
		}
	}
}

static struct ps_rnn_spec draw_spec(bool smooth)
{
	static const int sizes[] = {1, 2, 3, 5, 7, 15, 16, 17, 31, 32, 33, 48, 64, 67, 100};
	struct ps_rnn_spec s = ps_rnn_spec_default((enum ps_rnn_cell)pick(0, 2), sizes[pick(0, 14)],
						   sizes[pick(0, 14)]);

	s.direction = (enum ps_rnn_direction)pick(0, 2);
	s.layout = (int)pick(0, 1);
	s.clip = one_in(3) ? (float)(uniform() * 2 + 0.05) : 0;
	s.linear_before_reset = one_in(2);
	s.input_forget = one_in(3);
	if (one_in(3))
		draw_functions(&s, smooth);
	return s;
}

static void draw(struct drawn *d, bool smooth)
{
	*d = (struct drawn){.spec = draw_spec(smooth),
			    .threads = one_in(8) ? MOST_TEAM : (int)pick(1, 2)};
	const struct ps_rnn_spec *s = &d->spec;
	int64_t H = s->hidden, I = s->inputs, G = ps_rnn_gates(s->cell);
	int64_t D = oracle_directions(s), T = pick(0, 12), N = pick(1, 16);
	double scale = 1 / sqrt((double)(H + I));

	d->weights.w = own(d, numbers(D * G * H * I, scale));
	d->weights.r = own(d, numbers(D * G * H * H, scale));
	d->weights.b = one_in(5) ? NULL : own(d, numbers(D * 2 * G * H, 0.5));
	d->weights.p = one_in(2) ? NULL : own(d, numbers(D * 3 * H, 0.5));
	for (int n = 0; n < 16; n++)
		d->lens[n] = (int32_t)pick(0, T);
	d->n_y = T * D * N * H;
	d->n_state = D * N * H;
	d->run = (struct ps_rnn_run){.steps = T,
				     .batch = N,
				     .x = own(d, numbers(T * N * I, 1)),
				     .lens = one_in(2) ? d->lens : NULL,
				     .h0 = one_in(2) ? own(d, numbers(d->n_state, 1)) : NULL,
				     .c0 = one_in(2) ? own(d, numbers(d->n_state, 1)) : NULL,
				     .y = own(d, numbers(d->n_y, 9)),
				     .y_h = own(d, numbers(d->n_state, 9)),
				     .y_c = own(d, numbers(d->n_state, 9))};
	d->y = malloc((size_t)(d->n_y + 1) * sizeof *d->y);
	d->y_h = malloc((size_t)d->n_state * sizeof *d->y_h);
	d->y_c = malloc((size_t)d->n_state * sizeof *d->y_c);
	oracle_run(s, &d->weights, &d->run, d->y, d->y_h, d->y_c);
}

static void drop(struct drawn *d)
{
	for (int i = 0; i < d->n_owned; i++)
		free(d->owned[i]);
	free(d->y);
	free(d->y_h);
	free(d->y_c);
}

static double farthest(const double *want, const float *is, int64_t n)
{
	double most = 0;

	for (int64_t i = 0; i < n; i++) {
		double off = fabs(want[i] - (double)is[i]) / (1 + fabs(want[i]));
		if (off != off)
			return off;
		most = fmax(most, off);
	}
	return most;
}

static void print_case(int i, const struct drawn *d, double off)
{
	const struct ps_rnn_spec *s = &d->spec;

	print_error("case %d is %g off: cell %d direction %d layout %d, %lld inputs, %lld hidden,"
		    " %lld steps, %lld rows, lens %d, linear before reset %d, input forget %d, clip"
		    " %g, peepholes %d, %d threads, f %d g %d h %d\n",
		    i, off, s->cell, s->direction, s->layout, (long long)s->inputs,
		    (long long)s->hidden, (long long)d->run.steps, (long long)d->run.batch,
		    d->run.lens != NULL, s->linear_before_reset, s->input_forget, (double)s->clip,
		    d->weights.p != NULL, d->threads, s->functions[0].f.kind,
		    s->functions[0].g.kind, s->functions[0].h.kind);
}

static double off_by(const struct drawn *d, enum ps_rnn_precision precision)
{
	struct ps_rnn *r;
	struct ps_error err;

	if (ps_rnn_new(&d->spec, precision, &d->weights, teams[d->threads], &r, &err) != PS_OK ||
	    ps_rnn_run(r, teams[d->threads], &d->run, &err) != PS_OK)
		fail_msg("%s", err.what);
	ps_rnn_free(r);
	double y = farthest(d->y, d->run.y, d->n_y), h = farthest(d->y_h, d->run.y_h, d->n_state);
	double c = d->spec.cell == PS_RNN_LSTM ? farthest(d->y_c, d->run.y_c, d->n_state) : 0;
	return y + h + c; /* a NaN of any stays */
}

static const struct {
	enum ps_rnn_precision precision;
	double limit;
} precisions[] = {{PS_RNN_FLOAT32, 2e-5}, {PS_RNN_BFLOAT16, 5e-2}, {PS_RNN_INT8, 6e-2}};

static int check_case(int i, const struct drawn *d)
{
	int tried = 0;

	for (size_t p = 0; p < sizeof precisions / sizeof *precisions; p++) {
		if (ps_rnn_can(&d->spec, precisions[p].precision, NULL) != PS_OK)
			continue;
		double off = off_by(d, precisions[p].precision);
		tried++;
		if (!(off <= precisions[p].limit)) {
			print_case(i, d, off);
			fail();
		}
	}
	return tried;
}

/* Calls `test` with each set of kernels that this processor has, and says which. */
static void with_each(void (*test)(void))
{
	for (size_t i = 0; ps_rnn_kernels[i]; i++) {
		const char *name = ps_rnn_kernels[i]->name;
		bool has = ps_rnn_kernel_usable(ps_rnn_kernels[i]);
		print_message("%s: %s\n", name, has ? "tested" : "this processor has it not");
		setenv("PERSEUS_RNN_ISA", name, 1);
		if (has)
			test();
		if (has && ONE_IS_MANY)
			break;
	}
	unsetenv("PERSEUS_RNN_ISA");
}

/* Each case in all precisions, with every set of kernels. */
static void test_against_reference(void **unused)
{
	int tried = 0;

	(void)unused;
	state = 20261123;
	for (int i = 0; i < CASES; i++) {
		struct drawn d;
		draw(&d, true);
		for (size_t k = 0; ps_rnn_kernels[k]; k++) {
			setenv("PERSEUS_RNN_ISA", ps_rnn_kernels[k]->name, 1);
			if (ps_rnn_kernel_usable(ps_rnn_kernels[k]))
				tried += check_case(i, &d);
		}
		drop(&d);
	}
	unsetenv("PERSEUS_RNN_ISA");
	assert_true(tried > 2 * CASES);
}

/* All activations, also those that jump and grow: one step of float32, where nothing adds up. */
static void every_activation(void)
{
	state = 7;
	for (int i = 0; i < CASES; i++) {
		struct drawn d;
		draw(&d, false);
		if (d.run.steps <= 1) {
			double off = off_by(&d, PS_RNN_FLOAT32);
			if (!(off <= 2e-5)) {
				print_case(i, &d, off);
				fail();
			}
		}
		drop(&d);
	}
}

static void test_every_activation(void **unused)
{
	(void)unused;
	with_each(every_activation);
}

/* The same bits each time, and whatever the number of threads. */
static void same_bits(void)
{
	state = 3;
	for (int i = 0; i < CASES / 6; i++) {
		struct drawn d;
		draw(&d, true);
		enum ps_rnn_precision precision = (enum ps_rnn_precision)pick(0, 2);
		if (ps_rnn_can(&d.spec, precision, NULL) != PS_OK)
			precision = PS_RNN_BFLOAT16;
		float *first = malloc((size_t)(d.n_y + 1) * sizeof *first);
		for (d.threads = 1; d.threads <= MOST_TEAM; d.threads++) {
			if (isnan(off_by(&d, precision)))
				fail();
			if (d.threads == 1)
				memcpy(first, d.run.y, (size_t)d.n_y * sizeof *first);
			assert_memory_equal(first, d.run.y, (size_t)d.n_y * sizeof *first);
		}
		free(first);
		drop(&d);
	}
}

static void test_same_bits(void **unused)
{
	(void)unused;
	with_each(same_bits);
}

/* x * W is made for other numbers of steps at once when there are more threads: a row that is then
 * the last one, and alone, has the same sums. */
static void same_bits_in_pieces(void)
{
	enum { H = 1024, I = 70 };

	for (int p = 0; p < PS_RNN_PRECISIONS; p++) {
		for (int64_t steps = 64; steps <= 66; steps++) {
			struct ps_rnn_spec s = ps_rnn_spec_default(PS_RNN_GRU, I, H);
			struct ps_rnn *r;
			state = 31;
			s.linear_before_reset = true;
			float *w = numbers(3 * H * I, 0.3), *u = numbers(3 * H * H, 0.03);
			float *x = numbers(steps * I, 1), *y[2] = {numbers(H, 1), numbers(H, 1)};
			struct ps_rnn_run run = {.steps = steps, .batch = 1, .x = x};
			assert_int_equal(ps_rnn_new(&s, (enum ps_rnn_precision)p,
						    &(struct ps_rnn_weights){.w = w, .r = u}, NULL,
						    &r, NULL),
					 PS_OK);
			for (int threads = 1; threads <= 2; threads++) {
				run.y_h = y[threads - 1];
				assert_int_equal(ps_rnn_run(r, teams[threads], &run, NULL), PS_OK);
			}
			assert_memory_equal(y[0], y[1], H * sizeof **y);
			ps_rnn_free(r);
			free(w);
			free(u);
			free(x);
			free(y[0]);
			free(y[1]);
		}
	}
}

static void test_same_bits_in_pieces(void **unused)
{
	(void)unused;
	with_each(same_bits_in_pieces);
}

static bool any_nan(const float *v, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		if (v[i] != v[i])
			return true;
	}
	return false;
}

/* A NaN of x reaches what comes after it in its row, and no other row, in each precision. */
static void nan_goes_on(void)
{
	for (int p = 0; p < PS_RNN_PRECISIONS; p++) {
		for (int cell = PS_RNN_PLAIN; cell <= PS_RNN_LSTM; cell++) {
			enum { H = 40, I = 5, T = 4, N = 2 };
			struct ps_rnn_spec s = ps_rnn_spec_default((enum ps_rnn_cell)cell, I, H);
			struct ps_rnn *r;
			float *w = numbers(4 * H * I, 0.1), *u = numbers(4 * H * H, 0.1);
			float *x = numbers(T * N * I, 1), y[T * N * H];
			x[(1 * N + 0) * I + 2] = NAN; /* step 1 of row 0 */
			assert_int_equal(ps_rnn_new(&s, (enum ps_rnn_precision)p,
						    &(struct ps_rnn_weights){.w = w, .r = u},
						    teams[2], &r, NULL),
					 PS_OK);
			assert_int_equal(ps_rnn_run(r, teams[2],
						    &(struct ps_rnn_run){
							    .steps = T, .batch = N, .x = x, .y = y},
						    NULL),
					 PS_OK);
			for (int t = 0; t < T; t++) {
				assert_int_equal(any_nan(y + (t * N + 0) * H, H), t >= 1);
				assert_false(any_nan(y + (t * N + 1) * H, H));
			}
			ps_rnn_free(r);
			free(w);
			free(u);
			free(x);
		}
	}
}

static void test_nan_goes_on(void **unused)
{
	(void)unused;
	with_each(nan_goes_on);
}

static bool same_kind(double want, float is)
{
	if (want != want)
		return is != is;
	return want == (double)is || fabs(want - (double)is) <= 1e-5 * (1 + fabs(want));
}

/* Infinities and the smallest numbers of x, states and weights come out as in the reference: gates
 * that are wide open or shut, and what is not a number where the reference has none. */
static void extremes(void)
{
	static const float values[] = {INFINITY, -INFINITY, 1e-42F, -1e-45F, 3e38F, -0.0F};
	enum { H = 20, I = 6, T = 5, N = 2 };

	for (int cell = PS_RNN_PLAIN; cell <= PS_RNN_LSTM; cell++) {
		for (size_t v = 0; v < 8 * sizeof values / sizeof *values; v++) {
			struct ps_rnn_spec s = ps_rnn_spec_default((enum ps_rnn_cell)cell, I, H);
			struct ps_rnn *r;
			state = 21 + v;
			float *w = numbers(4 * H * I, 0.3), *u = numbers(4 * H * H, 0.3);
			float *x = numbers(T * N * I, 1), *h0 = numbers(N * H, 1), y[T * N * H];
			double want[T * N * H], h[N * H], c[N * H];
			float *places[] = {&x[1 * N * I + 3], &h0[7], &w[5], &u[9]};
			*places[v % 4] = values[v / 8];
			const struct ps_rnn_weights weights = {.w = w, .r = u};
			const struct ps_rnn_run run = {.steps = T,
						       .batch = N,
						       .x = x,
						       .h0 = v / 4 % 2 ? h0 : NULL,
						       .y = y};
			oracle_run(&s, &weights, &run, want, h, c);
			assert_int_equal(
				ps_rnn_new(&s, PS_RNN_FLOAT32, &weights, teams[2], &r, NULL),
				PS_OK);
			assert_int_equal(ps_rnn_run(r, teams[2], &run, NULL), PS_OK);
			for (int i = 0; i < T * N * H; i++) {
				if (!same_kind(want[i], y[i]))
					fail_msg("cell %d, value %g in place %zu: y[%d] is %g, not "
						 "%g",
						 cell, (double)values[v / 8], v % 4, i,
						 (double)y[i], want[i]);
			}
			ps_rnn_free(r);
			free(w);
			free(u);
			free(x);
			free(h0);
		}
	}
}

static void test_extremes(void **unused)
{
	(void)unused;
	with_each(extremes);
}

/* Ten thousand steps: what each step rounds off must not add up. */
static void ten_thousand_steps(void)
{
	enum { H = 18, I = 3, T = 10000 };
	for (int cell = PS_RNN_PLAIN; cell <= PS_RNN_LSTM; cell++) {
		struct ps_rnn_spec s = ps_rnn_spec_default((enum ps_rnn_cell)cell, I, H);
		struct ps_rnn *r;
		state = 11;
		float *w = numbers(4 * H * I, 0.3), *u = numbers(4 * H * H, 0.3);
		float *x = numbers(T * I, 1), *y = numbers(T * H, 1);
		const struct ps_rnn_weights weights = {.w = w, .r = u};
		const struct ps_rnn_run run = {.steps = T, .batch = 1, .x = x, .y = y};
		double *want = calloc(T * H, sizeof *want), h[H], c[H];
		oracle_run(&s, &weights, &run, want, h, c);
		assert_int_equal(ps_rnn_new(&s, PS_RNN_FLOAT32, &weights, teams[2], &r, NULL),
				 PS_OK);
		assert_int_equal(ps_rnn_run(r, teams[2], &run, NULL), PS_OK);
		assert_true(farthest(want, y, (int64_t)T * H) < 1e-5);
		ps_rnn_free(r);
		free(w);
		free(u);
		free(x);
		free(y);
		free(want);
	}
}

static void test_long(void **unused)
{
	(void)unused;
	with_each(ten_thousand_steps);
}

static void test_refused(void **unused)
{
	(void)unused;
	struct ps_error err;
	float w[64] = {0};
	const struct ps_rnn_weights weights = {.w = w, .r = w};
	static const struct {
		int64_t inputs, hidden;
		float clip;
		int layout;
		enum ps_status status;
	} cases[] = {
		{0, 1, 0, 0, PS_EINVAL},  {1, 0, 0, 0, PS_EINVAL},
		{1, -3, 0, 0, PS_EINVAL}, {1, PS_RNN_MAX_HIDDEN + 1, 0, 0, PS_ETOOBIG},
		{1, 1, -1, 0, PS_EINVAL}, {1, 1, NAN, 0, PS_EINVAL},
		{1, 1, 0, 2, PS_EINVAL},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ps_rnn_spec s =
			ps_rnn_spec_default(PS_RNN_LSTM, cases[i].inputs, cases[i].hidden);
		struct ps_rnn *r = NULL;
		s.clip = cases[i].clip;
		s.layout = cases[i].layout;
		assert_int_equal(ps_rnn_new(&s, PS_RNN_FLOAT32, &weights, teams[1], &r, &err),
				 cases[i].status);
		assert_null(r);
	}
	struct ps_rnn_spec s = ps_rnn_spec_default(PS_RNN_LSTM, 2, 2);
	s.functions[0].h.kind = PS_RNN_RELU;
	assert_int_equal(ps_rnn_can(&s, PS_RNN_INT8, &err), PS_EUNSUPPORTED);
	assert_int_equal(ps_rnn_can(&s, PS_RNN_BFLOAT16, &err), PS_OK);
}

static void test_run_refused(void **unused)
{
	(void)unused;
	struct ps_rnn_spec s = ps_rnn_spec_default(PS_RNN_GRU, 2, 2);
	float w[64] = {0}, x[64] = {0};
	struct ps_rnn *r;
	static const struct {
		int64_t steps, batch;
		int32_t len;
		enum ps_status status;
	} cases[] = {
		{-1, 1, 0, PS_EINVAL},
		{1, -1, 0, PS_EINVAL},
		{PS_RNN_MAX_STEPS + 1, 1, 0, PS_ETOOBIG},
		{1, PS_RNN_MAX_BATCH + 1, 0, PS_ETOOBIG},
		{2, 1, 3, PS_EINVAL},
		{2, 1, -1, PS_EINVAL},
		{0, 1, 0, PS_OK},
		{2, 0, 0, PS_OK},
		{2, 1, 2, PS_OK},
	};

	assert_int_equal(ps_rnn_new(&s, PS_RNN_FLOAT32, &(struct ps_rnn_weights){.w = w, .r = w},
				    teams[1], &r, NULL),
			 PS_OK);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct ps_rnn_run run = {.steps = cases[i].steps,
					       .batch = cases[i].batch,
					       .x = x,
					       .lens = &cases[i].len};
		struct ps_error err;
		assert_int_equal(ps_rnn_run(r, NULL, &run, &err), cases[i].status);
	}
	ps_rnn_free(r);
}

/* ---- several runs at once, and what a precision costs ---- */

struct running {
	struct ps_rnn *r;
	struct ps_rnn_team *team;
	const struct ps_rnn_run *run;
	const float *want;
	int64_t n;
	int wrong;
};

static void *run_often(void *arg)
{
	struct running *w = arg;
	struct ps_rnn_run run = *w->run;
	float *y = malloc((size_t)w->n * sizeof *y);

	run.y = y;
	for (int i = 0; i < 20; i++) {
		if (ps_rnn_run(w->r, w->team, &run, NULL) != PS_OK ||
		    memcmp(y, w->want, (size_t)w->n * sizeof *y) != 0)
			w->wrong++;
	}
	free(y);
	return NULL;
}

/* Runs of one layer, alone and with teams, at the same time: each has room of its own. */
static void test_runs_at_once(void **unused)
{
	enum { H = 48, I = 9, T = 7, N = 3, RUNS = 4 };

	(void)unused;
	for (int p = 0; p < PS_RNN_PRECISIONS; p++) {
		struct ps_rnn_spec s = ps_rnn_spec_default(PS_RNN_GRU, I, H);
		struct ps_rnn *r;
		state = 5;
		s.direction = PS_RNN_BOTH;
		float *w = numbers(2 * 3 * H * I, 0.3), *u = numbers(2 * 3 * H * H, 0.3);
		float *x = numbers(T * N * I, 1), *y = numbers(T * 2 * N * H, 1);
		struct ps_rnn_run run = {.steps = T, .batch = N, .x = x, .y = y};
		assert_int_equal(ps_rnn_new(&s, (enum ps_rnn_precision)p,
					    &(struct ps_rnn_weights){.w = w, .r = u}, NULL, &r,
					    NULL),
				 PS_OK);
		assert_int_equal(ps_rnn_run(r, NULL, &run, NULL), PS_OK);
		run.y = NULL;
		struct running all[RUNS];
		pthread_t threads[RUNS];
		for (int i = 0; i < RUNS; i++) {
			all[i] = (struct running){r, i < 2 ? NULL : teams[i], &run,
						  y, (int64_t)T * 2 * N * H,  0};
			assert_int_equal(pthread_create(&threads[i], NULL, run_often, &all[i]), 0);
		}
		for (int i = 0; i < RUNS; i++) {
			pthread_join(threads[i], NULL);
			assert_int_equal(all[i].wrong, 0);
		}
		ps_rnn_free(r);
		free(w);
		free(u);
		free(x);
		free(y);
	}
}

static void count_loan(void *ctx)
{
	++*(int *)ctx;
}

static void end_loan(void *ctx)
{
	*(int *)ctx += 1000;
}

/* In slices of four steps, for which CPUs are borrowed, the error is the same to the bit; what
 * cannot be cut is one slice. */
static void test_measure_in_slices(void **unused)
{
	enum { H = 40, I = 20 };
	static const struct {
		enum ps_rnn_cell cell;
		enum ps_rnn_direction direction;
		int layout, steps, slices;
	} cases[] = {
		{PS_RNN_LSTM, PS_RNN_FORWARD, 0, 32, 8}, {PS_RNN_LSTM, PS_RNN_FORWARD, 0, 3, 1},
		{PS_RNN_GRU, PS_RNN_FORWARD, 0, 13, 4},	 {PS_RNN_PLAIN, PS_RNN_FORWARD, 0, 9, 3},
		{PS_RNN_LSTM, PS_RNN_REVERSE, 0, 13, 1}, {PS_RNN_GRU, PS_RNN_BOTH, 0, 13, 1},
		{PS_RNN_LSTM, PS_RNN_FORWARD, 1, 13, 1},
	};

	(void)unused;
	state = 10;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ps_rnn_spec s = ps_rnn_spec_default(cases[i].cell, I, H);
		int64_t rows = 2 * ps_rnn_gates(cases[i].cell) * H;
		struct ps_rnn_calibration c = {.steps = cases[i].steps, .batch = 2, .seed = 1};
		float *w = numbers(rows * I, 0.2), *u = numbers(rows * H, 0.2);
		const struct ps_rnn_weights weights = {.w = w, .r = u};
		s.direction = cases[i].direction;
		s.layout = cases[i].layout;
		for (int p = PS_RNN_BFLOAT16; p < PS_RNN_PRECISIONS; p++) {
			double whole, cut;
			struct ps_rnn *r;
			int loans = 0;
			assert_int_equal(
				ps_rnn_new(&s, (enum ps_rnn_precision)p, &weights, NULL, &r, NULL),
				PS_OK);
			c.borrow = c.give_back = NULL;
			assert_int_equal(ps_rnn_measure(r, NULL, &weights, &c, &whole, NULL),
					 PS_OK);
			c.borrow = count_loan;
			c.give_back = end_loan;
			c.ctx = &loans;
			assert_int_equal(ps_rnn_measure(r, teams[2], &weights, &c, &cut, NULL),
					 PS_OK);
			assert_true(whole > 0 && whole == cut);
			assert_int_equal(loans, 2 * cases[i].slices * 1001);
			ps_rnn_free(r);
		}
		free(w);
		free(u);
	}
}

static void test_measure(void **unused)
{
	enum { H = 64, I = 20 };
	struct ps_rnn_spec s = ps_rnn_spec_default(PS_RNN_LSTM, I, H);
	const struct ps_rnn_calibration c = {.steps = 12, .batch = 2, .seed = 1};
	double error[PS_RNN_PRECISIONS], again;

	(void)unused;
	state = 9;
	float *w = numbers(4 * H * I, 0.2), *u = numbers(4 * H * H, 0.2);
	const struct ps_rnn_weights weights = {.w = w, .r = u};
	for (int p = 0; p < PS_RNN_PRECISIONS; p++) {
		struct ps_rnn *r;
		assert_int_equal(ps_rnn_new(&s, (enum ps_rnn_precision)p, &weights, NULL, &r, NULL),
				 PS_OK);
		assert_int_equal(ps_rnn_measure(r, NULL, &weights, &c, &error[p], NULL), PS_OK);
		assert_int_equal(ps_rnn_measure(r, teams[2], &weights, &c, &again, NULL), PS_OK);
		assert_true(error[p] == again);
		ps_rnn_free(r);
	}
	assert_true(error[PS_RNN_FLOAT32] == 0);
	assert_true(error[PS_RNN_BFLOAT16] > 0 && error[PS_RNN_BFLOAT16] < 0.02);
	assert_true(error[PS_RNN_INT8] > error[PS_RNN_BFLOAT16] && error[PS_RNN_INT8] < 0.05);
	w[3] = NAN; /* in both: no difference; the outputs are no numbers */
	struct ps_rnn *r;
	assert_int_equal(ps_rnn_new(&s, PS_RNN_BFLOAT16, &weights, NULL, &r, NULL), PS_OK);
	assert_int_equal(ps_rnn_measure(r, NULL, &weights, &c, &error[0], NULL), PS_OK);
	assert_true(isfinite(error[0]));
	ps_rnn_free(r);
	free(w);
	free(u);
}

static int set_up(void **unused)
{
	struct ps_cpus anywhere = {0};

	(void)unused;
	for (int i = 1; i <= MOST_TEAM; i++)
		assert_int_equal(ps_rnn_team_new(i, &anywhere, &teams[i], NULL), PS_OK);
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	for (int i = 1; i <= MOST_TEAM; i++)
		ps_rnn_team_free(teams[i]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_reference),
		cmocka_unit_test(test_every_activation),
		cmocka_unit_test(test_same_bits),
		cmocka_unit_test(test_same_bits_in_pieces),
		cmocka_unit_test(test_nan_goes_on),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_run_refused),
		cmocka_unit_test(test_runs_at_once),
		cmocka_unit_test(test_measure),
		cmocka_unit_test(test_measure_in_slices),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
