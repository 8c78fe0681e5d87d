/* Noisy neighbours in virtual time: B asks for far more than its share, A stays inside its own.
 *
 * (a) both use the same model: A's p99 is at most 1.5 times what it is while B keeps to its share,
 *     and A loses nothing;
 * (b) B's run is ten times longer: A's p99 is at most that of (a) plus one run of B, and at most
 *     1.5 times that of (a) with a reserved lane (B is best-effort then).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim_test.h"

#include <stdio.h>

enum { A, B };

struct row {
	const char *name;
	enum ps_sim_service service;
	int n_lanes;
	double load_a; /* of the machine; its share is a half */
	enum ps_sim_arrival arrival;
};

static const struct row rows[] = {
	{"fixed, 1 lane", PS_SIM_FIXED, 1, 0.3, PS_SIM_POISSON},
	{"fixed, 1 lane, constant", PS_SIM_FIXED, 1, 0.45, PS_SIM_CONSTANT},
	{"fixed, 2 lanes", PS_SIM_FIXED, 2, 0.25, PS_SIM_POISSON},
	{"fixed, 2 lanes, constant", PS_SIM_FIXED, 2, 0.45, PS_SIM_CONSTANT},
	{"exponential, 1 lane", PS_SIM_EXPONENTIAL, 1, 0.3, PS_SIM_POISSON},
	{"exponential, 2 lanes", PS_SIM_EXPONENTIAL, 2, 0.25, PS_SIM_POISSON},
	{"fixed, 4 lanes", PS_SIM_FIXED, 4, 0.2, PS_SIM_POISSON},
};

static const double service_ns = 10e6;

enum neighbour { AT_SHARE, BACKLOGGED, LONG_RUNS, LONG_RESERVED };

static int64_t p99_of_a(const struct row *row, enum neighbour how)
{
	double factor = how >= LONG_RUNS ? 10 : 1;
	const struct ps_sim_model models[2] = {
		{.service = row->service, .service_ns = service_ns},
		{.service = row->service, .service_ns = factor * service_ns}};
	double capacity_rps = row->n_lanes / (service_ns * 1e-9);
	struct ps_sim_tenant t[2] = {
		{.arrival = row->arrival, .rate_rps = row->load_a * capacity_rps},
		{.model = how >= LONG_RUNS, .rate_rps = 0.5 * capacity_rps / factor}};
	struct ps_sim_result r[2];
	struct ps_sim_plan p = {.tenants = t,
				.models = models,
				.n_tenants = 2,
				.n_models = 2,
				.n_lanes = row->n_lanes,
				.reserve_lanes = how == LONG_RESERVED,
				.seed = 3,
				.until_ns = 2000 * S / FEWER / row->n_lanes,
				.warmup_ns = S,
				.quantiles = true};
	for (int i = 0; i < 2; i++) {
		t[i].weight = 1;
		t[i].queue_limit = 100000;
	}
	if (how >= BACKLOGGED) {
		t[B].arrival = PS_SIM_CLOSED;
		t[B].outstanding = 64;
	}
	if (how == LONG_RESERVED)
		t[B].class = PS_TENANCY_BEST_EFFORT;
	struct ps_sim_summary sum = sim_run(&p, r);
	assert_int_equal(r[A].served, r[A].arrived);
	if (JUDGED && how >= BACKLOGGED && how < LONG_RESERVED) /* nothing is wasted */
		assert_true(sum.busy_ns > 0.999 * row->n_lanes * (double)sum.end_ns);
	return r[A].p99_ns;
}

static void a_backlogged_neighbour_is_bearable(void **state)
{
	bool good = true;
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		double share = (double)p99_of_a(&rows[i], AT_SHARE);
		double greedy = (double)p99_of_a(&rows[i], BACKLOGGED);
		bool ok = greedy <= 1.5 * share;
		printf("%-24s p99 %6.1f ms, with B at its share %6.1f: %.2f x%s\n", rows[i].name,
		       greedy * 1e-6, share * 1e-6, greedy / share, ok ? "" : "  <-- over");
		good &= ok;
	}
	assert_true(good || !JUDGED);
}

static void a_neighbour_with_long_runs_costs_one_of_them(void **state)
{
	bool good = true;
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (rows[i].service != PS_SIM_FIXED) /* one run is not so and so long */
			continue;
		double greedy = (double)p99_of_a(&rows[i], BACKLOGGED);
		double lengthy = (double)p99_of_a(&rows[i], LONG_RUNS);
		bool ok = lengthy <= greedy + 10 * service_ns;
		printf("%-24s p99 %6.1f ms, in (a) %6.1f: + %.2f of B's runs%s\n", rows[i].name,
		       lengthy * 1e-6, greedy * 1e-6, (lengthy - greedy) / (10 * service_ns),
		       ok ? "" : "  <-- over");
		good &= ok;
	}
	assert_true(good || !JUDGED);
}

static void a_reserved_lane_hides_long_runs(void **state)
{
	bool good = true;
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		/* One lane of four is no match for four lanes. */
		if (rows[i].service != PS_SIM_FIXED || rows[i].n_lanes != 2)
			continue;
		double greedy = (double)p99_of_a(&rows[i], BACKLOGGED);
		double lengthy = (double)p99_of_a(&rows[i], LONG_RESERVED);
		bool ok = lengthy <= 1.5 * greedy;
		printf("%-24s p99 %6.1f ms with a reserved lane, in (a) %6.1f: %.2f x%s\n",
		       rows[i].name, lengthy * 1e-6, greedy * 1e-6, lengthy / greedy,
		       ok ? "" : "  <-- over");
		good &= ok;
	}
	assert_true(good || !JUDGED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backlogged_neighbour_is_bearable),
		cmocka_unit_test(a_neighbour_with_long_runs_costs_one_of_them),
		cmocka_unit_test(a_reserved_lane_hides_long_runs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
