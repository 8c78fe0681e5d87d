/* The arrival processes against their laws, at rates from 10/s to 300,000/s: gaps by
 * Kolmogorov-Smirnov (where the rate varies, in the time in which it is constant), counts by the
 * variance of each process's own count. Seeds are fixed: a test fails only when the code changes.
 */
#include "load/arrivals.h"

#include "stats/special.h"
#include "support/ks.h"

#include <float.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { N = 100000, ROOM = 3 * N };

static const double rates[] = {10, 1000, 30000, 300000};

#define P_LEAST 1e-4

/* ---- processes of a table, each at any rate and over N arrivals ---- */

struct process {
	const char *label;
	struct ps_load_arrival_spec spec; /* of rate 1/s over N seconds */
};

static const struct ps_load_step day[] = {
	{0.5, 20000ll * 1000000000},
	{2, 10000ll * 1000000000},
	{0, 5000ll * 1000000000},
	{1, 25000ll * 1000000000},
	{4, 1},
	{0.8, 1000000000},
};

#define SECONDS(s) ((int64_t)(s)*1000000000)

static const struct process processes[] = {
	{"poisson", {.kind = PS_LOAD_POISSON, .rate_rps = 1}},
	{"gamma cv 0.1", {.kind = PS_LOAD_GAMMA, .rate_rps = 1, .cv = 0.1}},
	{"gamma cv 0.5", {.kind = PS_LOAD_GAMMA, .rate_rps = 1, .cv = 0.5}},
	{"gamma cv 1", {.kind = PS_LOAD_GAMMA, .rate_rps = 1, .cv = 1}},
	{"gamma cv 2", {.kind = PS_LOAD_GAMMA, .rate_rps = 1, .cv = 2}},
	{"gamma cv 5", {.kind = PS_LOAD_GAMMA, .rate_rps = 1, .cv = 5}},
	{"bursts", {.kind = PS_LOAD_BURSTS, .rate_rps = 1, .bursts = {4, 0.2, SECONDS(100)}}},
	{"bursts, else silence",
	 {.kind = PS_LOAD_BURSTS, .rate_rps = 1, .bursts = {10, 0.1, SECONDS(20)}}},
	{"ramp up", {.kind = PS_LOAD_RAMP, .to_rps = 2, .over_ns = SECONDS(N)}},
	{"ramp down, then flat",
	 {.kind = PS_LOAD_RAMP, .rate_rps = 3, .to_rps = 0.5, .over_ns = SECONDS(N / 3)}},
	{"steps", {.kind = PS_LOAD_STEPS, .steps = day, .step_len = 6}},
	{"sinusoid",
	 {.kind = PS_LOAD_SINUSOID, .rate_rps = 1, .swing = 0.8, .period_ns = SECONDS(N / 4)}},
	{"sinusoid down to 0, begun late",
	 {.kind = PS_LOAD_SINUSOID,
	  .rate_rps = 1,
	  .swing = 1,
	  .period_ns = SECONDS(37),
	  .phase = 0.7}},
};

enum { PROCESSES = sizeof(processes) / sizeof(processes[0]) };

/* The same shape at another rate: all times shrink as the rates grow. */
static struct ps_load_arrival_spec at_rate(const struct ps_load_arrival_spec *spec, double rate,
					   struct ps_load_step *steps)
{
	struct ps_load_arrival_spec s = *spec;

	s.rate_rps *= rate;
	s.to_rps *= rate;
	s.over_ns = (int64_t)((double)s.over_ns / rate);
	s.period_ns = (int64_t)((double)s.period_ns / rate);
	s.bursts.length_ns = (int64_t)((double)s.bursts.length_ns / rate);
	for (size_t i = 0; i < s.step_len; i++) {
		steps[i].rate_rps = spec->steps[i].rate_rps * rate;
		steps[i].duration_ns = (int64_t)((double)spec->steps[i].duration_ns / rate) + 1;
	}
	s.steps = steps;
	return s;
}

/* ---- integrals of the rates, written down once more ---- */

static double integral_of_steps(const struct ps_load_arrival_spec *s, double t)
{
	double sum = 0, begin = 0;

	for (size_t i = 0; i < s->step_len && begin < t; i++) {
		double end = begin + (double)s->steps[i].duration_ns;

		if (i + 1 == s->step_len)
			end = INFINITY;
		sum += s->steps[i].rate_rps * 1e-9 * (fmin(t, end) - begin);
		begin = end;
	}
	return sum;
}

static double integral_of_ramp(const struct ps_load_arrival_spec *s, double t)
{
	double over = (double)s->over_ns, in = fmin(t, over), out = fmax(t - over, 0);

	return 1e-9 * (s->rate_rps * in + (s->to_rps - s->rate_rps) * in * in / (2 * over) +
		       s->to_rps * out);
}

static double integral_of_sinusoid(const struct ps_load_arrival_spec *s, double t)
{
	double w = 2 * M_PI / (double)s->period_ns, begin = 2 * M_PI * s->phase;

	return s->rate_rps * 1e-9 * (t - s->swing / w * (cos(w * t + begin) - cos(begin)));
}

static double integral(const struct ps_load_arrival_spec *s, double t)
{
	if (s->kind == PS_LOAD_STEPS)
		return integral_of_steps(s, t);
	if (s->kind == PS_LOAD_RAMP)
		return integral_of_ramp(s, t);
	if (s->kind == PS_LOAD_SINUSOID)
		return integral_of_sinusoid(s, t);
	return s->rate_rps * 1e-9 * t;
}

/* ---- instants, in the time in which they are Poisson of rate 1 ---- */

struct sample {
	double at[ROOM];      /* instants */
	double unit[ROOM];    /* 1 - exp(-gap) or the gamma law of the gap: uniform */
	size_t len, unit_len; /* a renewal process's first gap is none */
};

static struct sample sample;

static void take_renewal(struct sample *out, const struct ps_load_arrivals *a, double at)
{
	double shape = 1 / (a->spec.cv * a->spec.cv);

	if (out->len == 0)
		return;
	assert_true(fabs(at - out->at[out->len - 1] - a->last_gap_ns) <= 4 * DBL_EPSILON * at);
	out->unit[out->unit_len++] =
		ps_stats_gammainc(shape, a->last_gap_ns * shape * a->spec.rate_rps * 1e-9);
}

static void draw_some(struct sample *out, const struct ps_load_arrival_spec *s, uint64_t seed,
		      double end_ns, size_t most)
{
	struct ps_load_arrivals a;
	double before = 0, at;

	out->len = out->unit_len = 0;
	ps_load_arrivals_init(&a, s, seed, "t");
	while (out->len < most && (at = ps_load_arrivals_next(&a)) < end_ns) {
		assert_true(out->len == 0 || at >= out->at[out->len - 1]);
		if (s->kind == PS_LOAD_GAMMA) {
			take_renewal(out, &a, at);
		} else {
			out->unit[out->unit_len++] = -expm1(before - integral(s, at));
			before = integral(s, at);
		}
		out->at[out->len++] = at;
		assert_true(a.count == out->len);
	}
}

static void draw(struct sample *out, const struct ps_load_arrival_spec *s, uint64_t seed,
		 double end_ns)
{
	draw_some(out, s, seed, end_ns, ROOM);
	assert_true(out->len < ROOM);
}

/* In bursts the rate follows a path of its own, drawn from a stream of its own. */
static void rescale_bursts(struct sample *out, const struct ps_load_arrival_spec *s, uint64_t seed)
{
	struct ps_load_burst_path p;
	double mean = s->rate_rps * 1e-9, share = s->bursts.share, ratio = s->bursts.ratio;
	double level[2] = {mean * (1 - share * ratio) / (1 - share), mean * ratio};
	double now = 0, sum = 0, before = 0;

	ps_load_burst_path_init(&p, &s->bursts, seed, "t");
	for (size_t i = 0; i < out->len; i++) {
		while (p.end_ns < out->at[i]) {
			sum += level[p.state] * (p.end_ns - now);
			now = p.end_ns;
			ps_load_burst_path_next(&p);
		}
		sum += level[p.state] * (out->at[i] - now);
		now = out->at[i];
		out->unit[i] = -expm1(before - sum);
		before = sum;
	}
}

static double correlation(const double *u, size_t n)
{
	double sum = 0;

	for (size_t i = 1; i < n; i++)
		sum += 12 * (u[i] - 0.5) * (u[i - 1] - 0.5);
	return sum / (double)(n - 1);
}

/* Of the number of arrivals before t. Gamma: that of a stationary renewal process with mean m and
 * third central moment 2 cv^4, c^2 m + 1/6 + c^4/2 - 2 c^4/3. Bursts: Poisson's, and that of the
 * integral of a rate that jumps between two levels: 2 v / s^2 (s t - 1 + exp(-s t)), v its variance
 * and s the sum of the rates of change. */
static double count_variance(const struct ps_load_arrival_spec *s, double t)
{
	double mean = integral(s, t);

	if (s->kind == PS_LOAD_GAMMA)
		return s->cv * s->cv * mean + (1 - pow(s->cv, 4)) / 6;
	if (s->kind != PS_LOAD_BURSTS)
		return mean;
	double share = s->bursts.share, ratio = s->bursts.ratio;
	double jump = s->rate_rps * 1e-9 * (ratio - (1 - share * ratio) / (1 - share));
	double v = share * (1 - share) * jump * jump;
	double change = 1 / ((double)s->bursts.length_ns * (1 - share));

	return mean + 2 * v / (change * change) * (change * t - 1 + exp(-change * t));
}

static void processes_keep_their_laws(void **state)
{
	struct ps_load_step steps[8];

	(void)state;
	for (size_t i = 0; i < PROCESSES; i++) {
		for (size_t k = 0; k < sizeof(rates) / sizeof(rates[0]); k++) {
			struct ps_load_arrival_spec s =
				at_rate(&processes[i].spec, rates[k], steps);
			double end = N * 1e9 / rates[k], mean = integral(&s, end);

			assert_int_equal(ps_load_arrival_check(&s, (int64_t)end, NULL), PS_OK);
			uint64_t seed = 10 * i + k;
			draw(&sample, &s, seed, end);
			if (s.kind == PS_LOAD_BURSTS)
				rescale_bursts(&sample, &s, seed);
			double errors = ((double)sample.len - mean) / sqrt(count_variance(&s, end));
			double corr = correlation(sample.unit, sample.unit_len);
			double p = ks_uniform(sample.unit, sample.unit_len);
			printf("%-31s %6.0f/s: p %.4f, count %zu, off by %+.2f standard errors\n",
			       processes[i].label, rates[k], p, sample.len, errors);
			assert_true(p >= P_LEAST);
			assert_true(fabs(errors) <= 4);
			assert_true(fabs(corr) <= 4 / sqrt((double)sample.unit_len));
			assert_true(fabs(ps_load_arrival_expected(&s, end) / mean - 1) < 1e-9);
		}
	}
}

/* Over many seeds the p-values themselves are uniform: a test of the tests, too. So many arrivals
 * each, not so long: a window of time would leave out long gaps more often than short ones. */
static void p_values_are_uniform(void **state)
{
	enum { SEEDS = 300, ARRIVALS = 500 };
	static double p[SEEDS];

	(void)state;
	for (size_t i = 0; i < PROCESSES; i++) {
		const struct ps_load_arrival_spec *s = &processes[i].spec;

		for (uint64_t seed = 0; seed < SEEDS; seed++) {
			draw_some(&sample, s, 1000 * (i + 1) + seed, INFINITY, ARRIVALS);
			if (s->kind == PS_LOAD_BURSTS)
				rescale_bursts(&sample, s, 1000 * (i + 1) + seed);
			p[seed] = ks_uniform(sample.unit, sample.unit_len);
		}
		double whole = ks_uniform(p, SEEDS);
		printf("%-31s p of its p-values %.4f\n", processes[i].label, whole);
		assert_true(whole >= P_LEAST);
	}
}

/* Over many seeds counts scatter around the mean as the variance says. */
static void counts_scatter_as_they_should(void **state)
{
	enum { SEEDS = 400, MEAN = 200 };

	(void)state;
	for (size_t i = 0; i < PROCESSES; i++) {
		const struct ps_load_arrival_spec *s = &processes[i].spec;
		double end = MEAN * 1e9, sum = 0, squares = 0, want = count_variance(s, end);

		for (uint64_t seed = 0; seed < SEEDS; seed++) {
			draw(&sample, s, seed, end);
			double off = (double)sample.len - integral(s, end);
			sum += off;
			squares += off * off;
		}
		assert_true(fabs(sum / SEEDS) <= 4 * sqrt(want / SEEDS));
		assert_true(fabs(squares / SEEDS / want - 1) <= 0.35);
	}
}

/* A gamma process is looked at from an instant that is nothing special: the first arrival has the
 * law of what is left of a gap, F(x) = (x (1 - G(x)) + mean G'(x)) / mean, with G the gaps' law and
 * G' the same of shape + 1. */
static void gamma_begins_as_it_goes_on(void **state)
{
	enum { SEEDS = 20000 };
	static double u[SEEDS];
	static const double cvs[] = {0.3, 1, 3};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct ps_load_arrival_spec s = {
			.kind = PS_LOAD_GAMMA, .rate_rps = 1e9, .cv = cvs[i]};
		double shape = 1 / (s.cv * s.cv);

		for (uint64_t seed = 0; seed < SEEDS; seed++) {
			struct ps_load_arrivals a;

			ps_load_arrivals_init(&a, &s, seed, "t");
			double x = ps_load_arrivals_next(&a);
			u[seed] = x * (1 - ps_stats_gammainc(shape, x * shape)) +
				  ps_stats_gammainc(shape + 1, x * shape);
		}
		assert_true(ks_uniform(u, SEEDS) >= P_LEAST);
	}
}

static void states_of_bursts_are_exponential(void **state)
{
	enum { STATES = 20000 };
	static double u[2][STATES];
	struct ps_load_bursts b = {.ratio = 2, .share = 0.25, .length_ns = 1000000};
	struct ps_load_burst_path p;
	double before = 0;

	(void)state;
	ps_load_burst_path_init(&p, &b, 3, "t");
	for (size_t i = 0; i < 2 * STATES; i++) {
		u[p.state][i / 2] = -expm1(-(p.end_ns - before) / (p.state ? 1e6 : 3e6));
		before = p.end_ns;
		ps_load_burst_path_next(&p);
	}
	assert_true(ks_uniform(u[0], STATES) >= P_LEAST);
	assert_true(ks_uniform(u[1], STATES) >= P_LEAST);
	int begun = 0;
	for (uint64_t seed = 0; seed < 10000; seed++) {
		ps_load_burst_path_init(&p, &b, seed, "t");
		begun += p.state;
	}
	assert_true(abs(begun - 2500) <= 4 * 43.3);
}

/* ---- what has no randomness ---- */

static void constant_gaps_never_drift(void **state)
{
	static const struct {
		double rate;
		int64_t seconds;
	} rows[] = {{10, 10000},  {0.5, 2000}, {3, 1000},    {1000, 1000},
		    {30000, 100}, {333333, 9}, {300000, 10}, {9999991, 1}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_arrival_spec s = {.kind = PS_LOAD_CONSTANT,
						 .rate_rps = rows[i].rate};
		struct ps_load_arrivals a;
		uint64_t n = 0;
		double at;

		ps_load_arrivals_init(&a, &s, 1, "t");
		for (; (at = ps_load_arrivals_next(&a)) < (double)rows[i].seconds * 1e9; n++)
			assert_true(fabs(at - ((double)n + 0.5) * 1e9 / rows[i].rate) < 1e-3);
		assert_true((double)n == rows[i].rate * (double)rows[i].seconds);
	}
}

static void even_arrivals_follow_the_integral(void **state)
{
	static const struct ps_load_step steps[] = {{10, SECONDS(2)}, {0, SECONDS(1)}, {5, 1}};
	struct ps_load_arrival_spec s = {
		.kind = PS_LOAD_STEPS, .steps = steps, .step_len = 3, .even = true};
	struct ps_load_arrivals a;

	(void)state;
	ps_load_arrivals_init(&a, &s, 1, "t");
	for (int i = 0; i < 20; i++)
		assert_true(fabs(ps_load_arrivals_next(&a) - (0.05 + 0.1 * i) * 1e9) < 1);
	for (int i = 0; i < 20; i++)
		assert_true(fabs(ps_load_arrivals_next(&a) - (3.1 + 0.2 * i) * 1e9) < 2);
	s = (struct ps_load_arrival_spec){
		.kind = PS_LOAD_RAMP, .to_rps = 300000, .over_ns = SECONDS(1), .even = true};
	ps_load_arrivals_init(&a, &s, 1, "t");
	for (int i = 0; i < 400000; i++) {
		double at = ps_load_arrivals_next(&a);
		assert_true(fabs(integral(&s, at) - (i + 0.5)) < 1e-5);
	}
}

/* A pause that stays, and a ramp to nothing, end the process. */
static void what_ends_stays_ended(void **state)
{
	static const struct ps_load_step steps[] = {{1000, SECONDS(1)}, {0, SECONDS(1)}};
	const struct ps_load_arrival_spec rows[] = {
		{.kind = PS_LOAD_STEPS, .steps = steps, .step_len = 2},
		{.kind = PS_LOAD_RAMP, .rate_rps = 2000, .to_rps = 0, .over_ns = SECONDS(1)},
		{.kind = PS_LOAD_CLOSED},
		{.kind = PS_LOAD_OFFLINE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_arrivals a;
		int n = 0;

		ps_load_arrivals_init(&a, &rows[i], 5, "t");
		while (isfinite(ps_load_arrivals_next(&a)))
			n++;
		assert_true(i >= 2 ? n == 0 : abs(n - 1000) < 4 * 32);
		for (int k = 0; k < 3; k++)
			assert_true(isinf(ps_load_arrivals_next(&a)));
		assert_int_equal(ps_load_arrivals_instant(ps_load_arrivals_next(&a)), INT64_MAX);
	}
	assert_int_equal(ps_load_arrivals_instant(2.5), 3);
	assert_int_equal(ps_load_arrivals_instant(0x1p62), INT64_MAX);
}

/* The generator is documented, so that others can make the same instants: xoshiro256++, seeded by
 * splitmix64 from the seed and FNV-1a of "web/arrivals". Values from an implementation of their own
 * in Python. */
static void instants_are_those_that_are_documented(void **state)
{
	static const double want[] = {1043792.88407906, 1573768.60085467, 4705162.20210805,
				      6423958.13903618, 6678578.94579394};
	struct ps_load_arrival_spec s = {.kind = PS_LOAD_POISSON, .rate_rps = 1000};
	struct ps_load_arrivals a;

	(void)state;
	ps_load_arrivals_init(&a, &s, 42, "web");
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		assert_true(fabs(ps_load_arrivals_next(&a) / want[i] - 1) < 1e-12);
}

/* ---- scale, think ---- */

static void scaling_brings_any_process_to_a_rate(void **state)
{
	struct ps_load_step steps[8];

	(void)state;
	for (size_t i = 0; i < PROCESSES; i++) {
		struct ps_load_arrival_spec s = at_rate(&processes[i].spec, 50, steps);
		int64_t total = SECONDS(1000);

		assert_int_equal(ps_load_arrival_rescale(&s, 80, total, NULL), PS_OK);
		assert_true(fabs(ps_load_arrival_mean_rps(&s, total) - 80) < 1e-9);
		draw(&sample, &s, 2, (double)total);
		s.scale = 1;
		double allowed = 4 * sqrt(count_variance(&s, 2 * (double)total));
		assert_true(fabs((double)sample.len - 80000) <= allowed);
	}
	struct ps_load_arrival_spec closed = {.kind = PS_LOAD_CLOSED};
	struct ps_error err;
	assert_int_equal(ps_load_arrival_rescale(&closed, 80, SECONDS(1), &err), PS_EINVAL);
	assert_true(ps_load_arrival_mean_rps(&closed, SECONDS(1)) == 0);
}

static void users_think(void **state)
{
	static double u[N];
	struct ps_load_think none = {0}, constant = {.mean_ns = 5000, .constant = true};
	struct ps_load_think exponential = {.mean_ns = 1000000000};
	struct ps_rng rng, other;

	(void)state;
	ps_load_think_init(&rng, 1, "t", 0);
	ps_load_think_init(&other, 1, "t", 1);
	assert_true(ps_rng_next(&rng) != ps_rng_next(&other));
	assert_int_equal(ps_load_think_next(&none, &rng), 0);
	assert_int_equal(ps_load_think_next(&constant, &rng), 5000);
	for (int i = 0; i < N; i++)
		u[i] = -expm1(-(double)ps_load_think_next(&exponential, &rng) / 1e9);
	assert_true(ks_uniform(u, N) >= P_LEAST);
}

/* ---- what is refused ---- */

static void what_is_no_process_is_refused(void **state)
{
	static const struct ps_load_step none[] = {{5, SECONDS(1)}, {5, 0}},
					 silent[] = {{0, SECONDS(1)}}, fast[] = {{2e7, SECONDS(1)}},
					 below[] = {{-1, SECONDS(1)}};
	const struct {
		struct ps_load_arrival_spec spec;
		const char *what; /* NULL: fine */
	} rows[] = {
		{{.kind = PS_LOAD_POISSON, .rate_rps = 1e7}, NULL},
		{{.kind = PS_LOAD_POISSON, .rate_rps = 1e-3}, NULL},
		{{.kind = PS_LOAD_POISSON, .rate_rps = 0}, "above 0"},
		{{.kind = PS_LOAD_POISSON, .rate_rps = -1}, "above 0"},
		{{.kind = PS_LOAD_POISSON, .rate_rps = NAN}, "above 0"},
		{{.kind = PS_LOAD_CONSTANT, .rate_rps = INFINITY}, "at most"},
		{{.kind = PS_LOAD_CONSTANT, .rate_rps = 1.1e7}, "at most"},
		{{.kind = PS_LOAD_CONSTANT, .rate_rps = 1e6, .scale = 20}, "at most"},
		{{.kind = PS_LOAD_CONSTANT, .rate_rps = 1, .scale = -1}, "multiplied"},
		{{.kind = PS_LOAD_CONSTANT, .rate_rps = 1, .scale = NAN}, "multiplied"},
		{{.kind = PS_LOAD_GAMMA, .rate_rps = 5}, "cv"},
		{{.kind = PS_LOAD_GAMMA, .rate_rps = 5, .cv = 21}, "cv"},
		{{.kind = PS_LOAD_GAMMA, .rate_rps = 5, .cv = NAN}, "cv"},
		{{.kind = PS_LOAD_BURSTS, .rate_rps = 5}, NULL},
		{{.kind = PS_LOAD_BURSTS, .rate_rps = 5, .bursts = {.ratio = 6}}, "bursts"},
		{{.kind = PS_LOAD_BURSTS, .rate_rps = 5e6}, "at most"}, /* 4 times that in bursts */
		{{.kind = PS_LOAD_RAMP, .to_rps = 5, .over_ns = 1}, NULL},
		{{.kind = PS_LOAD_RAMP, .to_rps = 5}, "time"},
		{{.kind = PS_LOAD_RAMP, .to_rps = 5, .over_ns = -1}, "time"},
		{{.kind = PS_LOAD_RAMP, .over_ns = 1}, "nothing"},
		{{.kind = PS_LOAD_RAMP, .to_rps = 1e8, .over_ns = 1}, "at most"},
		{{.kind = PS_LOAD_STEPS}, "steps"},
		{{.kind = PS_LOAD_STEPS, .steps = none, .step_len = 2}, "step 2 takes no time"},
		{{.kind = PS_LOAD_STEPS, .steps = silent, .step_len = 1}, "rate 0"},
		{{.kind = PS_LOAD_STEPS, .steps = fast, .step_len = 1}, "at most"},
		{{.kind = PS_LOAD_STEPS, .steps = below, .step_len = 1}, "at least 0"},
		{{.kind = PS_LOAD_SINUSOID, .rate_rps = 5, .swing = 1, .period_ns = 1}, NULL},
		{{.kind = PS_LOAD_SINUSOID, .rate_rps = 5, .swing = 1.1, .period_ns = 1}, "swing"},
		{{.kind = PS_LOAD_SINUSOID, .rate_rps = 5, .swing = NAN, .period_ns = 1}, "swing"},
		{{.kind = PS_LOAD_SINUSOID, .rate_rps = 5, .swing = 1}, "period"},
		{{.kind = PS_LOAD_SINUSOID, .rate_rps = 6e6, .swing = 1, .period_ns = 1},
		 "at most"},
		{{.kind = PS_LOAD_TRACE}, "trace"},
		{{.kind = PS_LOAD_CLOSED}, NULL},
		{{.kind = PS_LOAD_ARRIVAL_KINDS}, "no such"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_error err = {0};
		enum ps_status st = ps_load_arrival_check(&rows[i].spec, SECONDS(10), &err);

		assert_int_equal(st, rows[i].what ? PS_EINVAL : PS_OK);
		if (rows[i].what && !strstr(err.what, rows[i].what))
			fail_msg("row %zu: '%s' does not say '%s'", i, err.what, rows[i].what);
	}
}

static void bursts_are_checked(void **state)
{
	static const struct {
		struct ps_load_bursts b;
		bool valid;
	} rows[] = {
		{{0, 0, 0}, true},
		{{5, 0.2, SECONDS(1)}, true},
		{{1, 0.5, 1}, true},
		{{6, 0.2, SECONDS(1)}, false},
		{{0.5, 0.2, SECONDS(1)}, false},
		{{4, 1, SECONDS(1)}, false},
		{{4, -0.1, SECONDS(1)}, false},
		{{4, 0.2, -1}, false},
		{{NAN, 0.2, 1}, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_bursts b = rows[i].b;
		assert_int_equal(ps_load_bursts_resolve(&b), rows[i].valid);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(processes_keep_their_laws),
		cmocka_unit_test(p_values_are_uniform),
		cmocka_unit_test(counts_scatter_as_they_should),
		cmocka_unit_test(gamma_begins_as_it_goes_on),
		cmocka_unit_test(states_of_bursts_are_exponential),
		cmocka_unit_test(constant_gaps_never_drift),
		cmocka_unit_test(even_arrivals_follow_the_integral),
		cmocka_unit_test(what_ends_stays_ended),
		cmocka_unit_test(instants_are_those_that_are_documented),
		cmocka_unit_test(scaling_brings_any_process_to_a_rate),
		cmocka_unit_test(users_think),
		cmocka_unit_test(what_is_no_process_is_refused),
		cmocka_unit_test(bursts_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
