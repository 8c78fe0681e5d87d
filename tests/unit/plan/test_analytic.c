/* The oracle of service times: its formulas against exact queues and a simulated one, and the
 * contract that the search rests on. */
#include "base/rng.h"
#include "plan/analytic.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void expect_near(double got, double want, double tolerance)
{
	if (!(fabs(got - want) <= tolerance * fabs(want)))
		fail_msg("got %.12g, want %.12g", got, want);
}

static void test_known_values(void **state)
{
	(void)state;
	/* Constant: exp(x s) - 1 over x. */
	expect_near(ps_plan_load_at(2, 0.5, 0), (exp(1) - 1) / 2, 1e-12);
	/* Exponential (cv 1): 1 / (1 - x s), so (E - 1) / x = s / (1 - x s). */
	expect_near(ps_plan_load_at(1, 0.5, 1), 0.5 / 0.5, 1e-12);
	assert_true(isinf(ps_plan_load_at(2, 0.5, 1)));
	expect_near(ps_plan_load_at(0, 0.5, 0.3), 0.5, 1e-12);
	/* Constant service: x L - x s = ln 100. */
	expect_near(ps_plan_strictness(0.05, 0, 0.99, 0.15), log(100) / 0.1, 1e-9);
	assert_true(isinf(ps_plan_strictness(0.05, 0, 0.99, 0.05)));
	assert_true(isinf(ps_plan_strictness(0.05, 1, 0.99, 0.06)));
	/* Without load the latency of a constant service is the service. */
	expect_near(ps_plan_latency(INFINITY, 0.05, 0, 0.99), 0.05, 1e-9);
}

/* The latency at the greatest x that a strictness allows is its limit. */
static void test_strictness_inverts_latency(void **state)
{
	static const struct {
		double mean, cv, p, limit;
	} rows[] = {
		{0.05, 0, 0.99, 0.15},	 {0.05, 0.2, 0.99, 0.15}, {0.05, 1, 0.95, 1},
		{0.01, 0.5, 0.999, 0.1}, {0.2, 0.1, 0.5, 0.3},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		double x = ps_plan_strictness(rows[i].mean, rows[i].cv, rows[i].p, rows[i].limit);
		assert_true(isfinite(x));
		expect_near(ps_plan_latency(x, rows[i].mean, rows[i].cv, rows[i].p), rows[i].limit,
			    1e-6);
	}
}

/* ---- one type, a few kinds ---- */

enum { MAX_KINDS = 8, HOURS = 2 };

struct machine {
	struct ps_plan_host host;
	struct ps_plan_service services[MAX_KINDS];
	struct ps_plan_footprint footprints[MAX_KINDS];
	struct ps_plan_demand demands[MAX_KINDS];
	double rates[MAX_KINDS][HOURS];
	struct ps_plan_beside beside[MAX_KINDS * MAX_KINDS];
	bool beside_known;
	struct ps_plan_analytic a;
	struct ps_plan_oracle oracle;
};

static void wire(struct machine *m, int kinds, int models, int hours)
{
	struct ps_error err = {0};

	m->a = (struct ps_plan_analytic){
		.types = 1,
		.models = models,
		.kinds = kinds,
		.hours = hours,
		.hosts = &m->host,
		.services = m->services,
		.footprints = m->footprints,
		.demands = m->demands,
		.beside = m->beside_known ? m->beside : NULL,
	};
	if (ps_plan_analytic_init(&m->a, &err) != PS_OK)
		fail_msg("%s", err.what);
	m->oracle = ps_plan_analytic_oracle(&m->a);
}

static double foreseen(double lanes, double rate, double mean, double cv, double p)
{
	struct machine m = {
		.host = {lanes, 1e9, 0},
		.services = {{true, false, mean, mean, cv}},
		.rates = {{rate}},
	};
	struct ps_plan_count one = {0, 1};
	struct ps_plan_forecast f;
	struct ps_plan_state s;

	m.demands[0] = (struct ps_plan_demand){0, m.rates[0], p, 1000, NULL};
	wire(&m, 1, 1, 1);
	m.oracle.foresee(m.oracle.ctx, 0, &one, 1, &f, &s);
	ps_plan_analytic_fini(&m.a);
	expect_near(s.share, rate * mean / lanes, 1e-9);
	return f.high_s;
}

static void test_above_exact_queues(void **state)
{
	(void)state;
	for (int i = 1; i < 10; i++) {
		double load = i / 10.0;
		/* M/M/1: the latency is exponential with mean S / (1 - load). */
		double exact = log(100) / (1 - load), bound = foreseen(1, load, 1, 1, 0.99);
		assert_true(bound >= exact);
		/* Near saturation it is tight: within the few services that it overstates. */
		assert_true(bound <= exact + 9);
	}
}

/* ---- a simulated queue of several lanes ---- */

static int ascending(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The percentile of latency, first come first served, by Kiefer and Wolfowitz's recursion. */
static double simulated(int lanes, double rate, double mean, double cv, double p)
{
	enum { N = 60000 };
	static double latency[N];
	double free_at[8] = {0}, now = 0;
	struct ps_rng r;

	ps_rng_init(&r, 7, (uint64_t)lanes);
	for (int i = 0; i < N; i++) {
		int first = 0;
		now += ps_rng_exponential(&r, 1 / rate);
		for (int l = 1; l < lanes; l++)
			first = free_at[l] < free_at[first] ? l : first;
		double start = fmax(now, free_at[first]);
		double s = cv > 0 ? ps_rng_gamma(&r, 1 / (cv * cv)) * mean * cv * cv : mean;
		free_at[first] = start + s;
		latency[i] = start + s - now;
	}
	qsort(latency, N, sizeof(*latency), ascending);
	return latency[(int)(p * N)];
}

static void test_above_simulated_queues(void **state)
{
	(void)state;
	for (int lanes = 1; lanes <= 8; lanes *= 2) {
		for (int half = 0; half <= 2; half++) {
			for (int i = 0; i < 3; i++) {
				double cv = half / 2.0, load = 0.3 + 0.25 * i;
				double rate = load * lanes;
				double truth = simulated(lanes, rate, 1, cv, 0.99);
				double bound = foreseen(lanes, rate, 1, cv, 0.99);
				if (bound < truth)
					fail_msg("%d lanes, cv %g, load %g: %g under %g", lanes, cv,
						 load, bound, truth);
			}
		}
	}
}

/* ---- the contract ---- */

static int draw(struct machine *m, struct ps_rng *r)
{
	int kinds = 2 + (int)ps_rng_below(r, MAX_KINDS - 1), models = 0;

	memset(m, 0, sizeof(*m));
	m->host = (struct ps_plan_host){1 << ps_rng_below(r, 4), 1000 + 3000 * ps_rng_uniform(r),
					100};
	for (int k = 0; k < kinds; k++) {
		if (k == 0 || ps_rng_below(r, 2)) {
			double mean = 0.002 + 0.08 * ps_rng_uniform(r);
			m->services[models] = (struct ps_plan_service){
				true,
				false,
				mean,
				mean * (1 + 0.2 * ps_rng_uniform(r)),
				ps_rng_below(r, 3) ? 0.5 * ps_rng_uniform(r) : 0,
				ps_rng_below(r, 3) ? 0 : 1 + 0.5 * ps_rng_uniform(r)};
			m->footprints[models] = (struct ps_plan_footprint){
				50 + 500 * ps_rng_uniform(r), 300 * ps_rng_uniform(r)};
			models++;
		}
		for (int h = 0; h < HOURS; h++)
			m->rates[k][h] = 10 * ps_rng_uniform(r);
		m->demands[k] = (struct ps_plan_demand){models - 1, m->rates[k],
							ps_rng_below(r, 2) ? 0.99 : 0.95,
							0.05 + 0.3 * ps_rng_uniform(r), NULL};
	}
	m->beside_known = ps_rng_below(r, 2);
	for (int i = 0; i < models * models; i++) {
		double middle = ps_rng_below(r, 2) ? 1 + 0.6 * ps_rng_uniform(r) : 1;
		m->beside[i] = (struct ps_plan_beside){
			middle, middle * (1 + 0.3 * ps_rng_uniform(r)), PS_PLAN_MEASURED};
	}
	wire(m, kinds, models, HOURS);
	return kinds;
}

static int draw_set(struct ps_rng *r, int kinds, struct ps_plan_count *set)
{
	int n = 0;

	for (int k = 0; k < kinds; k++) {
		if (ps_rng_below(r, 2))
			set[n++] = (struct ps_plan_count){k, 1 + (int)ps_rng_below(r, 3)};
	}
	return n;
}

static bool fits(const struct machine *m, const struct ps_plan_count *set, int n)
{
	return m->oracle.judge(m->oracle.ctx, 0, set, n, NULL) == PS_PLAN_FITS;
}

/* Without one part of one kind. */
static int without(const struct ps_plan_count *set, int n, int at, struct ps_plan_count *ret_set)
{
	int m = 0;

	for (int i = 0; i < n; i++) {
		ret_set[m] = set[i];
		ret_set[m].count -= i == at;
		m += ret_set[m].count > 0;
	}
	return m;
}

static void check_necessary(const struct machine *m, const struct ps_plan_count *set, int n)
{
	double need[PS_PLAN_MAX_DIMS], room[PS_PLAN_MAX_DIMS], sum[PS_PLAN_MAX_DIMS] = {0};
	double least[PS_PLAN_MAX_DIMS], alone[PS_PLAN_MAX_DIMS] = {0};
	int top = 0;

	for (int i = 0; i < n; i++) {
		int level = m->oracle.level(m->oracle.ctx, 0, set[i].kind);
		assert_true(level >= 0);
		top = level > top ? level : top;
	}
	m->oracle.room(m->oracle.ctx, 0, room);
	for (int i = 0; i < n; i++) {
		m->oracle.need(m->oracle.ctx, 0, top, set[i].kind, need);
		m->oracle.least(m->oracle.ctx, 0, set[i].kind, least);
		for (int d = 0; d < m->oracle.dims; d++) {
			sum[d] += set[i].count * need[d];
			alone[d] += set[i].count * least[d];
		}
	}
	for (int d = 0; d < m->oracle.dims; d++) {
		if (alone[d] > room[d] * (1 + 1e-9))
			fail_msg("the least of a set that fits is %g of %g in dimension %d",
				 alone[d], room[d], d);
		if (sum[d] > room[d] * (1 + 1e-9))
			fail_msg("a set that fits needs %g of %g in dimension %d", sum[d], room[d],
				 d);
	}
}

/* Beside a kind of another group they need more, and fit all the same. */
static bool check_mixed(const struct machine *m, const struct ps_plan_count *set, int n)
{
	double mixed[PS_PLAN_MAX_DIMS], least[PS_PLAN_MAX_DIMS], room[PS_PLAN_MAX_DIMS];
	double sum[PS_PLAN_MAX_DIMS] = {0};
	bool several = false;

	for (int i = 0; m->oracle.group && i < n; i++)
		several |= m->oracle.group(m->oracle.ctx, set[i].kind) !=
			   m->oracle.group(m->oracle.ctx, set[0].kind);
	if (!several)
		return false;
	m->oracle.room(m->oracle.ctx, 0, room);
	for (int i = 0; i < n; i++) {
		m->oracle.mixed(m->oracle.ctx, 0, set[i].kind, mixed);
		m->oracle.least(m->oracle.ctx, 0, set[i].kind, least);
		for (int d = 0; d < m->oracle.dims; d++) {
			assert_true(mixed[d] >= least[d] && mixed[d] <= room[d]);
			sum[d] += set[i].count * mixed[d];
		}
	}
	for (int d = 0; d < m->oracle.dims; d++)
		if (sum[d] > room[d] * (1 + 1e-9))
			fail_msg("a mixed set that fits needs %g of %g in dimension %d", sum[d],
				 room[d], d);
	return true;
}

/* What is foreseen of a set that fits keeps its limits, and of one that does not, does not. */
static void check_forecast(const struct machine *m, const struct ps_plan_count *set, int n)
{
	struct ps_plan_forecast f[MAX_KINDS];
	struct ps_plan_state s;

	m->oracle.foresee(m->oracle.ctx, 0, set, n, f, &s);
	for (int i = 0; i < n; i++) {
		assert_true(f[i].high_s <= f[i].limit_s * (1 + 1e-6));
		assert_true(f[i].latency_s <= f[i].high_s * (1 + 1e-9));
	}
	assert_true(s.growth >= 0 && s.share > 0 && s.share <= 1 && s.memory_share <= 1);
}

/* ---- the same answers as worked out part by part ---- */

/* What a member's runs take in a set, the other models' factors one after the other. */
static double plain_high(const struct machine *m, const struct ps_plan_count *set, int n, int i)
{
	int own = m->demands[set[i].kind].model, last = own;
	const struct ps_plan_service *s = &m->services[own];
	double factor = n > 1 || set[0].count > 1 ? fmax(s->slowdown, 1) : 1, error = 0;

	for (int k = 0; m->beside_known && k < n; k++) {
		int other = m->demands[set[k].kind].model;
		const struct ps_plan_beside *b = &m->beside[own * m->a.models + other];
		if (other == own || other == last)
			continue;
		last = other;
		factor *= b->middle;
		error += pow(log(b->high / b->middle), 2);
	}
	return s->high_s * factor * exp(sqrt(error));
}

static bool plain_fits(const struct machine *m, const struct ps_plan_count *set, int n)
{
	double x = 0, bytes = m->host.server_bytes, peak = 0;
	int last = -1;

	for (int i = 0; i < n; i++) {
		const struct ps_plan_demand *d = &m->demands[set[i].kind];
		x = fmax(x, ps_plan_strictness(plain_high(m, set, n, i), m->services[d->model].cv,
					       d->percentile, d->limit_s));
		if (d->model != last) {
			bytes += m->footprints[d->model].resident_bytes;
			peak = fmax(peak, m->footprints[d->model].peak_bytes);
		}
		last = d->model;
	}
	if (isinf(x) || bytes + peak > m->host.memory_bytes)
		return false;
	for (int h = 0; h < HOURS; h++) {
		double load = 0;
		for (int i = 0; i < n; i++) {
			const struct ps_plan_demand *d = &m->demands[set[i].kind];
			load += set[i].count * d->rate_rps[h] *
				ps_plan_load_at(x, plain_high(m, set, n, i),
						m->services[d->model].cv);
		}
		if (!(load <= m->host.lanes * (1 + 1e-9)))
			return false;
	}
	return true;
}

static void test_judged_as_part_by_part(void **state)
{
	struct ps_rng r;
	int fitting = 0, slowed = 0;

	(void)state;
	ps_rng_init(&r, 9, 2);
	for (int i = 0; i < 6000; i++) {
		static struct machine m;
		struct ps_plan_count set[MAX_KINDS];
		int kinds = draw(&m, &r), n = draw_set(&r, kinds, set);
		if (n > 0 && fits(&m, set, n) != plain_fits(&m, set, n))
			fail_msg("case %d is judged another way", i);
		fitting += n > 0 && fits(&m, set, n);
		slowed += n > 1 && m.beside_known && fits(&m, set, n);
		ps_plan_analytic_fini(&m.a);
	}
	assert_true(fitting > 500 && slowed > 100);
}

/* More models on a machine than are kept while it is judged: one over the lanes, and none. */
static void test_many_models(void **state)
{
	enum { MODELS = 40 };
	static struct ps_plan_service services[MODELS];
	static struct ps_plan_footprint footprints[MODELS];
	static struct ps_plan_demand demands[MODELS];
	static struct ps_plan_beside beside[MODELS * MODELS];
	static struct ps_plan_count set[MODELS];
	struct ps_plan_host host = {MODELS, 1e9, 0};
	double each = pow(1.01, MODELS - 1) * 0.01, x = log(100) / (1 - each);
	double most = 1 / ps_plan_load_at(x, each, 0);
	struct ps_error err;

	(void)state;
	for (int over = 0; over < 2; over++) {
		double rate = most * (over ? 1.0001 : 0.9999);
		for (int m = 0; m < MODELS; m++) {
			services[m] = (struct ps_plan_service){true, false, 0.01, 0.01, 0, 0};
			demands[m] = (struct ps_plan_demand){m, &rate, 0.99, 1, NULL};
			set[m] = (struct ps_plan_count){m, 1};
			for (int o = 0; o < MODELS; o++)
				beside[m * MODELS + o] =
					(struct ps_plan_beside){1.01, 1.01, PS_PLAN_MEASURED};
		}
		struct ps_plan_analytic a = {.types = 1,
					     .models = MODELS,
					     .kinds = MODELS,
					     .hours = 1,
					     .hosts = &host,
					     .services = services,
					     .footprints = footprints,
					     .demands = demands,
					     .beside = beside};
		assert_int_equal(ps_plan_analytic_init(&a, &err), PS_OK);
		struct ps_plan_oracle o = ps_plan_analytic_oracle(&a);
		assert_int_equal(o.judge(o.ctx, 0, set, MODELS, NULL),
				 over ? PS_PLAN_LATENCY : PS_PLAN_FITS);
		ps_plan_analytic_fini(&a);
	}
}

/* The least x that reaches what is wanted, as halving finds it, and not just short of it. */
static void test_strictness_as_by_halving(void **state)
{
	struct ps_rng r;
	int finite = 0;

	(void)state;
	ps_rng_init(&r, 4, 2);
	for (int i = 0; i < 5000; i++) {
		double mean = 0.001 * exp(5 * ps_rng_uniform(&r)), cv = 1.5 * ps_rng_uniform(&r);
		double limit = mean * (1 + 20 * ps_rng_uniform(&r)),
		       p = 1 - 0.2 * ps_rng_uniform(&r);
		double x = ps_plan_strictness(mean, cv, p, limit), want = -log1p(-p);
		if (!isfinite(x) || cv < 0.01)
			continue;
		double low = 0, high = (1 - mean / limit) / (mean * cv * cv);
		for (int k = 0; k < 200; k++) {
			double mid = (low + high) / 2;
			if (mid * limit - ps_plan_log_mgf(mid, mean, cv) < want)
				low = mid;
			else
				high = mid;
		}
		/* near the summit rounding alone moves the root */
		double slope = limit - mean / (1 - x * mean * cv * cv);
		if (slope > 0.01 * limit)
			expect_near(x, high, 1e-11);
		assert_true(x * limit - ps_plan_log_mgf(x, mean, cv) >= want - 1e-12);
		finite++;
	}
	assert_true(finite > 2000);
}

static void test_contract(void **state)
{
	struct ps_rng r;
	int fitting = 0, slowed = 0, mixed = 0;

	(void)state;
	ps_rng_init(&r, 1, 2);
	for (int i = 0; i < 3000; i++) {
		static struct machine m;
		struct ps_plan_count set[MAX_KINDS], less[MAX_KINDS];
		int kinds = draw(&m, &r), n = draw_set(&r, kinds, set);
		if (n > 0 && fits(&m, set, n)) {
			fitting++;
			slowed += m.beside_known && n > 1;
			check_necessary(&m, set, n);
			mixed += check_mixed(&m, set, n);
			check_forecast(&m, set, n);
			for (int at = 0; at < n; at++)
				assert_true(fits(&m, less, without(set, n, at, less)));
		}
		ps_plan_analytic_fini(&m.a);
	}
	assert_true(fitting > 250 && slowed > 60 && mixed > 50);
}

/* A slowdown is beside others: alone on a machine a model takes its time, and with another tenant's
 * part, were it of the same model, so many times as long. */
static void test_slowdown_needs_company(void **state)
{
	static const struct {
		struct ps_plan_count set[2];
		int n;
		double times;
	} rows[] = {
		{{{0, 1}}, 1, 1},
		{{{0, 2}}, 1, 1.5},
		{{{0, 1}, {1, 1}}, 2, 1.5},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct machine m = {
			.host = {1, 1e9, 0},
			.services = {{true, false, 0.02, 0.025, 0.1, 1.5},
				     {true, false, 1e-9, 1e-9, 0, 0}},
			.rates = {{5}, {1e-6}},
		};
		struct ps_plan_forecast f[2];
		struct ps_plan_state s;
		m.demands[0] = (struct ps_plan_demand){0, m.rates[0], 0.99, 10, NULL};
		m.demands[1] = (struct ps_plan_demand){1, m.rates[1], 0.99, 10, NULL};
		wire(&m, 2, 2, 1);
		m.oracle.foresee(m.oracle.ctx, 0, rows[i].set, rows[i].n, f, &s);
		expect_near(f[0].share, 5 * 0.02 * rows[i].times, 1e-9);
		expect_near(s.share, 5 * 0.02 * rows[i].times * rows[i].set[0].count, 1e-6);
		ps_plan_analytic_fini(&m.a);
	}
}

/* Two models on one lane: beside each other runs of the first take twice as long, and so its
 * latency is that of a model that takes as long. */
static void test_beside(void **state)
{
	struct machine m = {
		.host = {1, 1e9, 0},
		.services = {{true, false, 0.02, 0.025, 0.1}, {true, false, 0.01, 0.01, 0.1}},
		.rates = {{5}, {5}},
		.beside = {{1, 1, PS_PLAN_UNKNOWN},
			   {2, 2, PS_PLAN_MEASURED},
			   {1, 1, PS_PLAN_UNKNOWN},
			   {1, 1, PS_PLAN_UNKNOWN}},
		.beside_known = true,
	};
	struct machine same = m;
	const struct ps_plan_count both[] = {{0, 1}, {1, 1}};
	struct ps_plan_forecast f[2], g[2];
	struct ps_plan_state s;

	(void)state;
	same.beside_known = false;
	same.services[0].mean_s *= 2;
	same.services[0].high_s *= 2;
	struct machine *machines[] = {&m, &same};
	for (int i = 0; i < 2; i++) {
		for (int k = 0; k < 2; k++)
			machines[i]->demands[k] =
				(struct ps_plan_demand){k, machines[i]->rates[k], 0.99, 0.4, NULL};
		wire(machines[i], 2, 2, 1);
	}
	m.oracle.foresee(m.oracle.ctx, 0, both, 2, f, &s);
	same.oracle.foresee(same.oracle.ctx, 0, both, 2, g, &s);
	for (int k = 0; k < 2; k++) {
		expect_near(f[k].latency_s, g[k].latency_s, 1e-9);
		expect_near(f[k].high_s, g[k].high_s, 1e-9);
		expect_near(f[k].share, g[k].share, 1e-9);
	}
	/* alone it is as it is alone */
	m.oracle.foresee(m.oracle.ctx, 0, both, 1, f, &s);
	expect_near(f[0].share, 5 * 0.02, 1e-9);
	ps_plan_analytic_fini(&m.a);
	ps_plan_analytic_fini(&same.a);
}

/* Each of two fits alone and with the other; slowed down by it, one no longer does. */
static void test_beside_refuses(void **state)
{
	struct machine m = {
		.host = {1, 1e9, 0},
		.services = {{true, false, 0.02, 0.02, 0}, {true, false, 0.02, 0.02, 0}},
		.rates = {{1}, {1}},
		.beside_known = true,
	};
	const struct ps_plan_count both[] = {{0, 1}, {1, 1}};
	int kind = -1;

	(void)state;
	for (int k = 0; k < 2; k++)
		m.demands[k] = (struct ps_plan_demand){k, m.rates[k], 0.99, 0.1, NULL};
	for (int i = 0; i < 4; i++)
		m.beside[i] = (struct ps_plan_beside){1, 1, PS_PLAN_MEASURED};
	wire(&m, 2, 2, 1);
	assert_true(fits(&m, both, 2));
	ps_plan_analytic_fini(&m.a);
	m.beside[1 * 2 + 0].high = 6; /* 120 ms, over its limit of 100 ms even without waiting */
	wire(&m, 2, 2, 1);
	assert_true(fits(&m, both, 1) && fits(&m, both + 1, 1));
	assert_int_equal(m.oracle.judge(m.oracle.ctx, 0, both, 2, &kind), PS_PLAN_LATENCY);
	assert_int_equal(kind, 1);
	ps_plan_analytic_fini(&m.a);
}

/* Factors of two neighbours are multiplied, and the errors of both, 10 % each, are 14 %. */
static void test_errors_of_neighbours(void **state)
{
	struct machine m = {.host = {4, 1e9, 0}, .beside_known = true};
	const struct ps_plan_count set[] = {{0, 1}, {1, 1}, {2, 1}};
	struct ps_plan_forecast f[3], g[1];
	struct ps_plan_state s;

	(void)state;
	for (int k = 0; k < 3; k++) {
		m.rates[k][0] = k == 0 ? 1 : 1e-9;
		m.services[k] = (struct ps_plan_service){true, false, 0.01, 0.01, 0, 0};
		m.demands[k] = (struct ps_plan_demand){k, m.rates[k], 0.99, 0.4, NULL};
	}
	for (int i = 0; i < 9; i++)
		m.beside[i] = (struct ps_plan_beside){1.2, 1.2 * exp(0.1), PS_PLAN_MEASURED};
	wire(&m, 3, 3, 1);
	m.oracle.foresee(m.oracle.ctx, 0, set, 3, f, &s);
	ps_plan_analytic_fini(&m.a);
	expect_near(f[0].share, 0.01 * 1.2 * 1.2 / 4, 1e-9);
	m.services[0].mean_s = 0.01 * 1.2 * 1.2;
	m.services[0].high_s = m.services[0].mean_s * exp(0.1 * sqrt(2));
	m.beside_known = false;
	wire(&m, 3, 3, 1);
	m.oracle.foresee(m.oracle.ctx, 0, set, 1, g, &s);
	ps_plan_analytic_fini(&m.a);
	/* who waits for nobody takes what the run takes */
	expect_near(f[0].high_s, g[0].high_s, 1e-4);
}

/* The least factor that holds the formula down to what was measured. */
static void test_slowed(void **state)
{
	double x = ps_plan_strictness(0.02, 0.1, 0.99, 0.2);
	double carried = 4 / ps_plan_load_at(x, 0.02, 0.1);

	(void)state;
	assert_true(ps_plan_slowed(4, 0.02, 0.1, 0.99, 0.2, carried * 1.01) == 1);
	for (int i = 1; i < 10; i++) {
		double f = ps_plan_slowed(4, 0.02, 0.1, 0.99, 0.2, carried * i / 10);
		x = ps_plan_strictness(f * 0.02, 0.1, 0.99, 0.2);
		expect_near(4 / ps_plan_load_at(x, f * 0.02, 0.1), carried * i / 10, 1e-6);
	}
	/* where even the run takes the limit nothing was carried */
	assert_true(ps_plan_slowed(4, 0.3, 0.1, 0.99, 0.2, 5) == 1);
}

/* However many kinds there are: what each needs at least is exact, and no less than by its level.
 */
static void test_least_needs(void **state)
{
	enum { MANY = 400 };
	static struct ps_plan_demand demands[MANY];
	static const double rate[] = {3};
	struct ps_plan_host host = {2, 1e9, 0};
	struct ps_plan_service service = {true, false, 0.02, 0.021, 0.2, 0};
	struct ps_plan_footprint footprint = {100, 0};
	double level_sum = 0, least_sum = 0;

	(void)state;
	for (int k = 0; k < MANY; k++)
		demands[k] = (struct ps_plan_demand){0, rate, 0.99, 0.06 + 0.0005 * k, NULL};
	struct ps_plan_analytic a = {.types = 1,
				     .models = 1,
				     .kinds = MANY,
				     .hours = 1,
				     .hosts = &host,
				     .services = &service,
				     .footprints = &footprint,
				     .demands = demands};
	assert_int_equal(ps_plan_analytic_init(&a, NULL), PS_OK);
	struct ps_plan_oracle o = ps_plan_analytic_oracle(&a);
	for (int k = 0; k < MANY; k++) {
		double x = o.strictness(o.ctx, 0, k), need[2], least[2];
		o.need(o.ctx, 0, o.level(o.ctx, 0, k), k, need);
		o.least(o.ctx, 0, k, least);
		expect_near(least[0], 3 * ps_plan_load_at(x, 0.021, 0.2), 1e-12);
		assert_true(need[0] <= least[0] * (1 + 1e-12));
		level_sum += need[0];
		least_sum += least[0];
	}
	assert_true(level_sum < least_sum * 0.999);
	ps_plan_analytic_fini(&a);
}

/* The greatest decay for a rate: a limit is kept just so. */
static void test_decay_at(void **state)
{
	static const double rows[][4] = {/* rate, lanes, mean, cv */
					 {5, 8, 0.0516, 0.1},
					 {0.001, 1, 0.05, 0},
					 {15, 1, 0.05, 1},
					 {100, 8, 0.05, 0.5}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const double *r = rows[i];
		double x = ps_plan_decay_at(r[0], r[1], r[2], r[3]);
		expect_near(r[0] * ps_plan_load_at(x, r[2], r[3]), r[1], 1e-6);
	}
	assert_true(ps_plan_decay_at(21, 1, 0.05, 0) == 0);
}

static void test_reasons(void **state)
{
	struct machine m = {
		.host = {2, 1000, 100},
		.services = {{true, false, 0.1, 0.11, 0}, {false, false, 0, 0, 0}},
		.footprints = {{400, 200}, {1, 0}, {950, 0}},
		.rates = {{1}, {1}, {1}, {1}, {40}},
	};
	static const bool nowhere[] = {false};
	static const enum ps_plan_reason want[] = {PS_PLAN_FITS, PS_PLAN_TOO_SLOW,
						   PS_PLAN_NOT_ALLOWED, PS_PLAN_NO_PROFILE,
						   PS_PLAN_MEMORY};
	double nearest;

	(void)state;
	m.services[2] = m.services[0];
	m.demands[0] = (struct ps_plan_demand){0, m.rates[0], 0.99, 0.5, NULL};
	m.demands[1] = (struct ps_plan_demand){0, m.rates[1], 0.99, 0.105, NULL};
	m.demands[2] = (struct ps_plan_demand){0, m.rates[2], 0.99, 0.5, nowhere};
	m.demands[3] = (struct ps_plan_demand){1, m.rates[3], 0.99, 0.5, NULL};
	m.demands[4] = (struct ps_plan_demand){2, m.rates[3], 0.99, 0.5, NULL};
	wire(&m, 5, 3, 1);
	for (int k = 0; k < 5; k++)
		assert_int_equal(ps_plan_analytic_alone(&m.a, 0, k, &nearest), want[k]);
	ps_plan_analytic_alone(&m.a, 0, 1, &nearest);
	expect_near(nearest, 0.11, 1e-6);
	ps_plan_analytic_fini(&m.a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_values),
		cmocka_unit_test(test_strictness_inverts_latency),
		cmocka_unit_test(test_above_exact_queues),
		cmocka_unit_test(test_above_simulated_queues),
		cmocka_unit_test(test_judged_as_part_by_part),
		cmocka_unit_test(test_many_models),
		cmocka_unit_test(test_strictness_as_by_halving),
		cmocka_unit_test(test_contract),
		cmocka_unit_test(test_slowdown_needs_company),
		cmocka_unit_test(test_beside),
		cmocka_unit_test(test_beside_refuses),
		cmocka_unit_test(test_errors_of_neighbours),
		cmocka_unit_test(test_slowed),
		cmocka_unit_test(test_least_needs),
		cmocka_unit_test(test_decay_at),
		cmocka_unit_test(test_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
