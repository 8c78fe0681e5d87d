/* The schedule: all tenants merged, independent of each other and of the number of threads. The
 * processes themselves: test_arrivals.c. */
#include "base/clock.h"
#include "load/schedule.h"
#include "support/ks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SEC PS_NS_PER_SEC

static struct ps_load_tenant tenant(const char *name, enum ps_load_arrival_kind kind, double rate)
{
	return (struct ps_load_tenant){.name = name, .arrival = {.kind = kind, .rate_rps = rate}};
}

/* Collects the instants of one tenant out of a whole plan. */
static size_t instants_of(const struct ps_load_plan *plan, size_t which, int64_t *out, size_t cap)
{
	struct ps_load_schedule s;
	size_t n = 0, t;
	int64_t at, last = 0;
	uint64_t seq;

	assert_int_equal(ps_load_schedule_init(&s, plan, 0, 1), PS_OK);
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
	assert_int_equal(ps_load_schedule_init(&s, &p, 0, 1), PS_OK);
	while (ps_load_schedule_pop(&s, &t, &at, &seq)) {
		x[t][at / (SEC / 100)] += 1;
	}
	for (int i = 0; i < BINS; i++) {
		cov += (x[0][i] - 10) * (x[1][i] - 10) / 10 / BINS;
	}
	assert_true(fabs(cov) < 4 / sqrt(BINS));
	ps_load_schedule_fini(&s);
}

/* Every arrival is with exactly one thread, at the instant and under the number that it has with
 * one thread alone. */
static void threads_share_one_schedule(void **state)
{
	enum { CAP = 40000 };
	static int64_t want[3][CAP];
	static bool seen[3][CAP];
	static const unsigned threads[] = {1, 2, 3, 7, 64};
	struct ps_load_tenant three[] = {tenant("a", PS_LOAD_POISSON, 1000),
					 tenant("b", PS_LOAD_BURSTS, 900),
					 tenant("c", PS_LOAD_CONSTANT, 5)};
	struct ps_load_plan p = {.tenants = three,
				 .tenant_len = 3,
				 .warmup_ns = SEC,
				 .duration_ns = 20 * SEC,
				 .seed = 11};
	struct ps_load_schedule s;
	size_t len[3], t;
	int64_t at;
	uint64_t seq;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		len[i] = instants_of(&p, i, want[i], CAP);
	assert_int_equal(len[2], 105);
	for (size_t k = 0; k < sizeof(threads) / sizeof(threads[0]); k++) {
		size_t n = 0;

		memset(seen, 0, sizeof(seen));
		for (unsigned thread = 0; thread < threads[k]; thread++) {
			int64_t last = 0;

			assert_int_equal(ps_load_schedule_init(&s, &p, thread, threads[k]), PS_OK);
			for (; ps_load_schedule_pop(&s, &t, &at, &seq); n++) {
				assert_true(at >= last && !seen[t][seq]);
				assert_int_equal(seq % threads[k], thread);
				assert_int_equal(at, want[t][seq]);
				seen[t][seq] = true;
				last = at;
			}
			ps_load_schedule_fini(&s);
		}
		assert_int_equal(n, len[0] + len[1] + len[2]);
	}
}

/* What is scheduled is what the process gives, rounded once: at 300,000/s and with others between,
 * the gaps in whole nanoseconds are still exponential. */
static void instants_are_rounded_once(void **state)
{
	enum { N = 300000 };
	static double u[N + 4000];
	struct ps_load_tenant three[] = {tenant("a", PS_LOAD_CONSTANT, 1000),
					 tenant("b", PS_LOAD_POISSON, N),
					 tenant("c", PS_LOAD_BURSTS, 1000)};
	struct ps_load_plan p = {.tenants = three, .tenant_len = 3, .duration_ns = SEC, .seed = 21};
	struct ps_load_schedule s;
	struct ps_load_arrivals a;
	int64_t at, before = 0;
	size_t t, n = 0;
	uint64_t seq;

	(void)state;
	ps_load_arrivals_init(&a, &three[1].arrival, 21, "b");
	assert_int_equal(ps_load_schedule_init(&s, &p, 0, 1), PS_OK);
	while (ps_load_schedule_pop(&s, &t, &at, &seq)) {
		if (t != 1)
			continue;
		assert_int_equal(at, llround(ps_load_arrivals_next(&a)));
		u[n++] = -expm1(-(double)(at - before) * N / 1e9);
		before = at;
	}
	ps_load_schedule_fini(&s);
	assert_true(fabs((double)n - N) <= 4 * sqrt(N));
	assert_true(ks_uniform(u, n) >= 1e-4);
}

/* An arrival that lies 1e21 ns away is not searched for behind the end. */
static void tiny_rates_end(void **state)
{
	static const enum ps_load_arrival_kind kinds[] = {PS_LOAD_BURSTS, PS_LOAD_POISSON,
							  PS_LOAD_CONSTANT};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct ps_load_tenant one[] = {tenant("a", kinds[i], 1e-12)};
		struct ps_load_plan p = {.tenants = one, .tenant_len = 1, .duration_ns = SEC};
		struct ps_load_schedule s;

		assert_int_equal(ps_load_schedule_init(&s, &p, 0, 1), PS_OK);
		assert_int_equal(ps_load_schedule_peek(&s), INT64_MAX);
		ps_load_schedule_fini(&s);
	}
}

static void closed_loops_are_not_scheduled(void **state)
{
	struct ps_load_tenant one[] = {tenant("a", PS_LOAD_CLOSED, 0),
				       tenant("b", PS_LOAD_OFFLINE, 0)};
	struct ps_load_plan p = {.tenants = one, .tenant_len = 2, .duration_ns = SEC};
	struct ps_load_schedule s;

	(void)state;
	assert_int_equal(ps_load_schedule_init(&s, &p, 0, 1), PS_OK);
	assert_int_equal(ps_load_schedule_peek(&s), INT64_MAX);
	ps_load_schedule_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_tenants_move_nothing),
		cmocka_unit_test(tenants_are_independent),
		cmocka_unit_test(threads_share_one_schedule),
		cmocka_unit_test(instants_are_rounded_once),
		cmocka_unit_test(tiny_rates_end),
		cmocka_unit_test(closed_loops_are_not_scheduled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
