/* The simulator: plans that make no sense, repeatability, and formulas of queues with several
 * lanes, several tenants, bounded queues and deadlines. (M/D/1 and M/M/1 at length: test_queues.c.)
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim/sim.h"

#include <math.h>

static const int64_t MS = 1000000;

static struct ps_sim_tenant tenant(enum ps_sim_service service, double rate_rps)
{
	return (struct ps_sim_tenant){.rate_rps = rate_rps,
				      .arrival = PS_SIM_POISSON,
				      .service = service,
				      .service_ns = 10e6,
				      .queue_limit = 1000000,
				      .weight = 1};
}

static struct ps_sim_summary run(const struct ps_sim_plan *p, struct ps_sim_result *ret)
{
	struct ps_sim_summary sum;
	struct ps_error err;
	assert_int_equal(ps_sim_run(p, ret, &sum, &err), PS_OK);
	for (int i = 0; i < p->n_tenants; i++)
		assert_int_equal(ret[i].arrived, ret[i].served + ret[i].refused + ret[i].expired);
	return sum;
}

static void near(double value, double expected, double tolerance)
{
	if (!(fabs(value / expected - 1) <= tolerance))
		fail_msg("%g instead of %g", value, expected);
}

static void senseless_plans_are_refused(void **state)
{
	struct ps_sim_tenant good = tenant(PS_SIM_FIXED, 50), bad[7];
	struct ps_sim_plan p = {.n_tenants = 1, .n_lanes = 1, .arrivals = 10};
	struct ps_sim_result r;
	struct ps_error err;
	(void)state;
	for (int i = 0; i < 7; i++)
		bad[i] = good;
	bad[0].rate_rps = 0;
	bad[1].rate_rps = NAN;
	bad[2].service_ns = 0;
	bad[3].service = PS_SIM_RECORDED;
	bad[4].queue_limit = 0;
	bad[5].weight = 0;
	bad[6].deadline_ns = -1;
	for (int i = 0; i < 7; i++) {
		p.tenants = &bad[i];
		assert_int_equal(ps_sim_run(&p, &r, NULL, &err), PS_EINVAL);
	}
	p.tenants = &good;
	assert_int_equal(ps_sim_run(&p, &r, NULL, &err), PS_OK);
	p.warmup = 10;
	assert_int_equal(ps_sim_run(&p, &r, NULL, &err), PS_EINVAL);
	p.warmup = 0;
	p.n_lanes = 0;
	assert_int_equal(ps_sim_run(&p, &r, NULL, &err), PS_EINVAL);
	p.n_lanes = 1;
	p.n_tenants = 0;
	assert_int_equal(ps_sim_run(&p, &r, NULL, &err), PS_EINVAL);
}

static void the_same_plan_gives_the_same_numbers(void **state)
{
	struct ps_sim_tenant t = tenant(PS_SIM_EXPONENTIAL, 80);
	struct ps_sim_plan p = {
		.tenants = &t, .n_tenants = 1, .n_lanes = 1, .seed = 3, .arrivals = 10000};
	struct ps_sim_result a, b, c;
	(void)state;
	run(&p, &a);
	run(&p, &b);
	assert_memory_equal(&a, &b, sizeof a);
	p.seed = 4;
	run(&p, &c);
	assert_true(a.wait_mean_ns != c.wait_mean_ns);
}

struct seen {
	int n;
	int64_t arrived_ns[3], started_ns[3], finished_ns[3];
};

static void note(void *ctx, int t, int64_t arrived_ns, int64_t started_ns, int64_t finished_ns)
{
	struct seen *s = ctx;
	assert_int_equal(t, 0);
	s->arrived_ns[s->n] = arrived_ns;
	s->started_ns[s->n] = started_ns;
	s->finished_ns[s->n++] = finished_ns;
}

/* Arrivals at 100, 200, 300 ms; services of 150 ms on one lane: waits 0, 50, 100 ms. */
static void a_history_by_hand(void **state)
{
	struct ps_sim_tenant t = tenant(PS_SIM_FIXED, 10);
	struct seen seen = {0};
	struct ps_sim_plan p = {.tenants = &t,
				.n_tenants = 1,
				.n_lanes = 1,
				.arrivals = 3,
				.served = note,
				.ctx = &seen};
	struct ps_sim_result r;
	(void)state;
	t.arrival = PS_SIM_CONSTANT;
	t.service_ns = 150e6;
	struct ps_sim_summary sum = run(&p, &r);
	assert_int_equal(seen.n, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(seen.arrived_ns[i], (i + 1) * 100 * MS);
		assert_int_equal(seen.started_ns[i], (100 + i * 150) * MS);
		assert_int_equal(seen.finished_ns[i], (250 + i * 150) * MS);
	}
	near(r.wait_mean_ns, 50e6, 1e-12);
	near(r.latency_mean_ns, 200e6, 1e-12);
	assert_int_equal(r.latency_max_ns, 250 * MS);
	assert_int_equal(sum.end_ns, 550 * MS);
	near(sum.busy_ns, 450e6, 1e-12);
	near(sum.waiting_mean, 50.0 / 300.0, 1e-12); /* one waits from 200 to 250 ms */
}

static void recorded_times_are_drawn_evenly(void **state)
{
	static const int64_t times[] = {1000000, 2000000, 6000000};
	struct ps_sim_tenant t = tenant(PS_SIM_RECORDED, 50);
	struct ps_sim_plan p = {
		.tenants = &t, .n_tenants = 1, .n_lanes = 1, .seed = 1, .arrivals = 200000};
	struct ps_sim_result r;
	(void)state;
	t.recorded_ns = times;
	t.n_recorded = 3;
	run(&p, &r);
	near(r.service_mean_ns, 3e6, 0.01);
}

/* Erlang C for two lanes: W = C(2, a) / (2 mu - lambda), a = lambda / mu. */
static void two_lanes_follow_erlang_c(void **state)
{
	double a = 1.4, rho = a / 2;
	double c = a * a / 2 / (1 - rho) / (1 + a + a * a / 2 / (1 - rho));
	struct ps_sim_tenant t = tenant(PS_SIM_EXPONENTIAL, a * 100);
	struct ps_sim_plan p = {.tenants = &t,
				.n_tenants = 1,
				.n_lanes = 2,
				.seed = 1,
				.arrivals = 1000000,
				.warmup = 10000};
	struct ps_sim_result r;
	(void)state;
	run(&p, &r);
	near(r.wait_mean_ns, c / (200 - a * 100) * 1e9, 0.02);
}

/* M/M/1 with room for k waiting: blocked (1 - rho) rho^(k+1) / (1 - rho^(k+2)). */
static void a_bounded_queue_refuses_as_it_should(void **state)
{
	double rho = 0.9;
	int k = 4;
	struct ps_sim_tenant t = tenant(PS_SIM_EXPONENTIAL, rho * 100);
	struct ps_sim_plan p = {.tenants = &t,
				.n_tenants = 1,
				.n_lanes = 1,
				.seed = 1,
				.arrivals = 1000000,
				.warmup = 1000};
	struct ps_sim_result r;
	(void)state;
	t.queue_limit = k;
	run(&p, &r);
	near((double)r.refused / (double)r.arrived,
	     (1 - rho) * pow(rho, k + 1) / (1 - pow(rho, k + 2)), 0.02);
}

static void littles_law_holds(void **state)
{
	struct ps_sim_tenant t[2] = {tenant(PS_SIM_FIXED, 20), tenant(PS_SIM_EXPONENTIAL, 60)};
	struct ps_sim_plan p = {
		.tenants = t, .n_tenants = 2, .n_lanes = 1, .seed = 2, .arrivals = 400000};
	struct ps_sim_result r[2];
	(void)state;
	struct ps_sim_summary sum = run(&p, r);
	double waits_ns =
		r[0].wait_mean_ns * (double)r[0].served + r[1].wait_mean_ns * (double)r[1].served;
	near(sum.waiting_mean, waits_ns / (double)sum.end_ns, 0.001);
}

/* One tenant asks for five times what the lane can do; the other never waits for more than one run
 * in progress and one turn of its neighbour. */
static void an_overload_stays_its_owners(void **state)
{
	struct ps_sim_tenant t[2] = {tenant(PS_SIM_FIXED, 500), tenant(PS_SIM_FIXED, 5)};
	struct ps_sim_plan p = {
		.tenants = t, .n_tenants = 2, .n_lanes = 1, .seed = 2, .arrivals = 100000};
	struct ps_sim_result r[2];
	(void)state;
	t[0].queue_limit = 100;
	t[1].arrival = PS_SIM_CONSTANT;
	run(&p, r);
	assert_true(r[0].refused > r[0].arrived / 2);
	assert_int_equal(r[1].refused, 0);
	assert_true(r[1].latency_max_ns <= 30 * MS);
}

/* Both always wait: served in the proportion of their weights. */
static void weights_share_the_lane(void **state)
{
	struct ps_sim_tenant t[2] = {tenant(PS_SIM_FIXED, 500), tenant(PS_SIM_FIXED, 500)};
	struct ps_sim_plan p = {
		.tenants = t, .n_tenants = 2, .n_lanes = 1, .seed = 2, .arrivals = 200000};
	struct ps_sim_result r[2];
	(void)state;
	t[0].queue_limit = t[1].queue_limit = 20;
	t[0].weight = 3;
	run(&p, r);
	near((double)r[0].served / (double)r[1].served, 3, 0.01);
}

static void deadlines_bound_waits(void **state)
{
	struct ps_sim_tenant t = tenant(PS_SIM_FIXED, 150);
	struct ps_sim_plan p = {
		.tenants = &t, .n_tenants = 1, .n_lanes = 1, .seed = 2, .arrivals = 100000};
	struct ps_sim_result r;
	(void)state;
	t.deadline_ns = 35 * MS;
	run(&p, &r);
	assert_true(r.expired > 0);
	near((double)r.served / (double)r.arrived, 1 / 1.5, 0.02); /* the lane never idles */
	assert_true(r.latency_max_ns <= 45 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(senseless_plans_are_refused),
		cmocka_unit_test(the_same_plan_gives_the_same_numbers),
		cmocka_unit_test(a_history_by_hand),
		cmocka_unit_test(recorded_times_are_drawn_evenly),
		cmocka_unit_test(two_lanes_follow_erlang_c),
		cmocka_unit_test(a_bounded_queue_refuses_as_it_should),
		cmocka_unit_test(littles_law_holds),
		cmocka_unit_test(an_overload_stays_its_owners),
		cmocka_unit_test(weights_share_the_lane),
		cmocka_unit_test(deadlines_bound_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
