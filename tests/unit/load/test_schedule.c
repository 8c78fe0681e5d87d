/* The schedule: statistics of the arrival processes, independence of tenants, exact rates. */
#include "base/clock.h"
#include "load/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SEC PS_NS_PER_SEC

static void poisson_gaps_are_exponential(void **state)
{
	enum { N = 400000 };
	struct ps_load_arrivals a;
	double sum = 0, sum2 = 0, lagged = 0, before = 0;
	int64_t last = 0;
	int over_mean = 0;

	(void)state;
	ps_load_arrivals_init(&a, PS_LOAD_POISSON, 1000, NULL, 1, "t");
	for (int i = 0; i < N; i++) {
		int64_t at = ps_load_arrivals_next(&a);
		double gap = (double)(at - last) / 1e6; /* in mean gaps */

		assert_true(at >= last);
		sum += gap;
		sum2 += gap * gap;
		lagged += (gap - 1) * (before - 1);
		over_mean += gap > 1;
		before = gap;
		last = at;
	}
	double mean = sum / N, var = sum2 / N - mean * mean;
	/* four standard errors of each estimate, for an exponential law */
	assert_true(fabs(mean - 1) < 4 / sqrt(N));
	assert_true(fabs(var - 1) < 4 * sqrt(8.0 / N));
	assert_true(fabs(lagged / N) < 4 / sqrt(N));
	assert_true(fabs((double)over_mean / N - exp(-1)) < 4 * 0.483 / sqrt(N));
}

/* Counts per window of a tenth of the bursts' length: the mean rate holds, the share of windows
 * above the mean is about that of bursts, and the variance is far from Poisson's. */
static void bursts_keep_the_mean(void **state)
{
	enum { WINDOWS = 200000 };
	struct ps_load_bursts b = {.ratio = 4, .share = 0.2, .length_ns = SEC};
	struct ps_load_arrivals a;
	double sum = 0, sum2 = 0;
	int busy = 0;

	(void)state;
	ps_load_arrivals_init(&a, PS_LOAD_BURSTS, 1000, &b, 7, "t");
	int64_t at = ps_load_arrivals_next(&a);
	for (int w = 0; w < WINDOWS; w++) {
		int n = 0;
		for (; at < (w + 1) * (SEC / 10); at = ps_load_arrivals_next(&a))
			n++;
		sum += n;
		sum2 += (double)n * n;
		busy += n > 200; /* between 25 and 400 per window */
	}
	double mean = sum / WINDOWS, var = sum2 / WINDOWS - mean * mean;
	/* 4000 cycles: the mean's standard error is about 2 %, that of the share likewise. */
	assert_true(fabs(mean / 100 - 1) < 0.08);
	assert_true(fabs((double)busy / WINDOWS - 0.2) < 0.02);
	assert_true(var / mean > 100);
}

static void bursts_are_checked(void **state)
{
	static const struct {
		struct ps_load_bursts b;
		bool valid;
	} rows[] = {
		{{0, 0, 0}, true},	 {{5, 0.2, SEC}, true},	   {{1, 0.5, 1}, true},
		{{6, 0.2, SEC}, false},	 {{0.5, 0.2, SEC}, false}, {{4, 1, SEC}, false},
		{{4, -0.1, SEC}, false}, {{4, 0.2, -1}, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_bursts b = rows[i].b;
		assert_int_equal(ps_load_bursts_resolve(&b), rows[i].valid);
	}
}

static uint64_t count_until(enum ps_load_arrival kind, double rate, int64_t end, uint64_t seed)
{
	struct ps_load_arrivals a;
	uint64_t n = 0;

	ps_load_arrivals_init(&a, kind, rate, NULL, seed, "t");
	while (ps_load_arrivals_next(&a) < end) {
		n++;
	}
	return n;
}

static void rates_are_exact(void **state)
{
	static const struct {
		enum ps_load_arrival kind;
		double rate;
		int64_t seconds;
		double tolerance;
	} rows[] = {
		{PS_LOAD_POISSON, 100000, 60, 1e-3}, {PS_LOAD_POISSON, 999999, 5, 2e-3},
		{PS_LOAD_CONSTANT, 100000, 60, 0},   {PS_LOAD_CONSTANT, 3, 1000, 0},
		{PS_LOAD_CONSTANT, 333333, 9, 0},    {PS_LOAD_CONSTANT, 0.5, 1000, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		double want = rows[i].rate * (double)rows[i].seconds;
		double got =
			(double)count_until(rows[i].kind, rows[i].rate, rows[i].seconds * SEC, 7);

		assert_true(fabs(got - want) <= rows[i].tolerance * want);
	}
}

static void constant_gaps_never_drift(void **state)
{
	struct ps_load_arrivals a;
	int64_t last = 0;

	(void)state;
	ps_load_arrivals_init(&a, PS_LOAD_CONSTANT, 30000, NULL, 1, "t");
	for (int i = 0; i < 3000000; i++) {
		last = ps_load_arrivals_next(&a);
	}
	/* 100 s less half a gap of 33.3 us */
	assert_in_range(last, 100 * SEC - 16667, 100 * SEC - 16666);
}

static struct ps_load_tenant tenant(const char *name, enum ps_load_arrival kind, double rate)
{
	return (struct ps_load_tenant){.name = name, .arrival = kind, .rate_rps = rate};
}

/* Collects the instants of one tenant out of a whole plan. */
static size_t instants_of(const struct ps_load_plan *plan, size_t which, int64_t *out, size_t cap)
{
	struct ps_load_schedule s;
	size_t n = 0, t;
	int64_t at, last = 0;
	uint64_t seq;

	assert_int_equal(ps_load_schedule_init(&s, plan), PS_OK);
	while (ps_load_schedule_peek(&s) != INT64_MAX) {
		int64_t next = ps_load_schedule_peek(&s);

		assert_true(ps_load_schedule_pop(&s, &t, &at, &seq));
		assert_int_equal(at, next);
		assert_true(at >= last);
		assert_true(at < plan->warmup_ns + plan->duration_ns);
		last = at;
		if (t == which && n < cap) {
			assert_int_equal(seq, n);
			out[n++] = at;
		}
	}
	assert_false(ps_load_schedule_pop(&s, &t, &at, &seq));
	ps_load_schedule_fini(&s);
	return n;
}

static void other_tenants_move_nothing(void **state)
{
	enum { CAP = 20000 };
	static int64_t alone[CAP], together[CAP], other_seed[CAP];
	struct ps_load_tenant one[] = {tenant("a", PS_LOAD_POISSON, 1000)};
	struct ps_load_tenant three[] = {tenant("x", PS_LOAD_CONSTANT, 777),
					 tenant("a", PS_LOAD_POISSON, 1000),
					 tenant("b", PS_LOAD_POISSON, 1000)};
	struct ps_load_plan p = {
		.tenants = one, .tenant_len = 1, .duration_ns = 10 * SEC, .seed = 3};
	struct ps_load_plan q = {
		.tenants = three, .tenant_len = 3, .duration_ns = 10 * SEC, .seed = 3};
	size_t n = instants_of(&p, 0, alone, CAP);

	(void)state;
	assert_int_equal(instants_of(&q, 1, together, CAP), n);
	assert_memory_equal(alone, together, n * sizeof(alone[0]));
	p.seed = 4;
	instants_of(&p, 0, other_seed, CAP);
	assert_true(memcmp(alone, other_seed, 100 * sizeof(alone[0])) != 0);
}

/* Counts per 10 ms of two tenants of equal rate must not go together. */
static void tenants_are_independent(void **state)
{
	enum { BINS = 10000 };
	static double x[2][BINS];
	struct ps_load_tenant two[] = {tenant("a", PS_LOAD_POISSON, 1000),
				       tenant("b", PS_LOAD_POISSON, 1000)};
	struct ps_load_plan p = {
		.tenants = two, .tenant_len = 2, .duration_ns = 100 * SEC, .seed = 1};
	struct ps_load_schedule s;
	double cov = 0;
	size_t t;
	int64_t at;
	uint64_t seq;

	(void)state;
	assert_int_equal(ps_load_schedule_init(&s, &p), PS_OK);
	while (ps_load_schedule_pop(&s, &t, &at, &seq)) {
		x[t][at / (SEC / 100)] += 1;
	}
	for (int i = 0; i < BINS; i++) {
		cov += (x[0][i] - 10) * (x[1][i] - 10) / 10 / BINS;
	}
	assert_true(fabs(cov) < 4 / sqrt(BINS));
	ps_load_schedule_fini(&s);
}

static void closed_loops_are_not_scheduled(void **state)
{
	struct ps_load_tenant one[] = {tenant("a", PS_LOAD_CLOSED, 0)};
	struct ps_load_plan p = {.tenants = one, .tenant_len = 1, .duration_ns = SEC};
	struct ps_load_schedule s;

	(void)state;
	assert_int_equal(ps_load_schedule_init(&s, &p), PS_OK);
	assert_int_equal(ps_load_schedule_peek(&s), INT64_MAX);
	ps_load_schedule_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(poisson_gaps_are_exponential),
		cmocka_unit_test(bursts_keep_the_mean),
		cmocka_unit_test(bursts_are_checked),
		cmocka_unit_test(rates_are_exact),
		cmocka_unit_test(constant_gaps_never_drift),
		cmocka_unit_test(other_tenants_move_nothing),
		cmocka_unit_test(tenants_are_independent),
		cmocka_unit_test(closed_loops_are_not_scheduled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
