/* The simulator against closed formulas: M/D/1 and M/M/1 mean waits within 1 %.
 *
 * How many arrivals make 1 % attainable? The mean wait of n successive M/M/1 customers has the
 * asymptotic variance rho (2 + 5 rho - 4 rho^2 + rho^3) / (1 - rho)^4 / n in units of the service
 * time (Daley, 1968): a relative standard deviation of 0.24 % at rho 0.5, 0.50 % at 0.8 and 0.94 %
 * at 0.9 for 5e6 arrivals. So that 1 % is two standard deviations or more, 0.8 gets 5e6 arrivals
 * and 0.9 gets 16e6, summed over eight seeds (which are fixed: the outcome is the same every time).
 * Constant service scatters about 0.7 times as much (half the variance in heavy traffic), so half
 * the arrivals do. Under sanitizers and without optimisation, which slow this down tenfold, a
 * twentieth of the arrivals is used and the tolerance widens by sqrt(20).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "sim/sim.h"

#include <math.h>
#include <stdio.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
	__has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                     \
	!defined(__OPTIMIZE__)
enum { FEWER = 20 };
#else
enum { FEWER = 1 };
#endif

enum { SEEDS = 8 };

static const double service_ns = 10e6;

struct row {
	const char *name;
	enum ps_sim_service service;
	double rho;
	int64_t arrivals;
};

static const struct row rows[] = {
	{"M/D/1", PS_SIM_FIXED, 0.5, 2000000},	     {"M/D/1", PS_SIM_FIXED, 0.8, 2500000},
	{"M/D/1", PS_SIM_FIXED, 0.9, 8000000},	     {"M/M/1", PS_SIM_EXPONENTIAL, 0.5, 2000000},
	{"M/M/1", PS_SIM_EXPONENTIAL, 0.8, 5000000}, {"M/M/1", PS_SIM_EXPONENTIAL, 0.9, 16000000},
};

/* Pollaczek-Khinchine: rho S (1 + CV^2) / (2 (1 - rho)). */
static double expected_wait_ns(const struct row *r)
{
	double cv2 = r->service == PS_SIM_EXPONENTIAL ? 1.0 : 0.0;
	return r->rho * service_ns * (1 + cv2) / (2 * (1 - r->rho));
}

static int64_t run_seed(const struct row *r, uint64_t seed, struct ps_sim_result *ret_result)
{
	struct ps_sim_model m = {.service = r->service, .service_ns = service_ns};
	struct ps_sim_tenant t = {.rate_rps = r->rho / (service_ns * 1e-9),
				  .arrival = PS_SIM_POISSON,
				  .queue_limit = 1000000,
				  .weight = 1};
	int64_t counted = r->arrivals / SEEDS / FEWER;
	struct ps_sim_plan p = {.tenants = &t,
				.models = &m,
				.n_tenants = 1,
				.n_models = 1,
				.n_lanes = 1,
				.seed = seed,
				.arrivals = counted + 20000,
				.warmup = 20000};
	struct ps_sim_summary sum;
	struct ps_error err;
	assert_int_equal(ps_sim_run(&p, ret_result, &sum, &err), PS_OK);
	assert_int_equal(ret_result->refused, 0);
	assert_int_equal(ret_result->served, counted);
	return sum.events;
}

static void test_row(const struct row *r)
{
	double wait_ns = 0;
	int64_t events = 0, began_ns = ps_clock_now_ns();
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct ps_sim_result x;
		events += run_seed(r, seed, &x);
		wait_ns += x.wait_mean_ns / SEEDS;
	}
	double off = wait_ns / expected_wait_ns(r) - 1;
	double seconds = (double)(ps_clock_now_ns() - began_ns) * 1e-9;
	printf("%s rho %.1f: mean wait %.4f ms, formula %.4f ms, off %+.3f %%; %.1f M events/s\n",
	       r->name, r->rho, wait_ns * 1e-6, expected_wait_ns(r) * 1e-6, 100 * off,
	       (double)events / seconds * 1e-6);
	assert_true(fabs(off) <= 0.01 * sqrt((double)FEWER));
}

static void mean_waits_follow_the_formulas(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		test_row(&rows[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mean_waits_follow_the_formulas),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
