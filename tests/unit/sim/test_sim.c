/* The simulator: plans that make no sense, repeatability, and formulas of queues with several
 * lanes, several tenants, bounded queues and deadlines. (M/D/1 and M/M/1 at length: test_queues.c.)
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim_test.h"

#include <math.h>

static const struct ps_sim_model fixed = {.service = PS_SIM_FIXED, .service_ns = 10e6};
static const struct ps_sim_model exponential = {.service = PS_SIM_EXPONENTIAL, .service_ns = 10e6};

static struct ps_sim_tenant tenant(double rate_rps)
{
	return (struct ps_sim_tenant){.rate_rps = rate_rps,
				      .arrival = PS_SIM_POISSON,
				      .queue_limit = 1000000,
				      .weight = 1};
}

static void near(double value, double expected, double tolerance)
{
	if (tolerance > 1e-6) /* a statistic */
		tolerance *= sqrt(FEWER);
	if (!(fabs(value / expected - 1) <= tolerance))
		fail_msg("%g instead of %g", value, expected);
}

struct senseless_row {
	const char *what;
	struct ps_sim_tenant tenant;
	struct ps_sim_model model;
	struct ps_sim_plan plan; /* completed by the test where it says nothing */
};

#define TENANT .rate_rps = 50, .queue_limit = 9, .weight = 1
#define MODEL  .service_ns = 10e6
#define PLAN   .n_tenants = 1, .n_models = 1, .n_lanes = 1, .arrivals = 10

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static const struct ps_sim_phase back[] = {{5, 1}, {4, 1}}, silence[] = {{5, 0}};
static const struct senseless_row senseless[] = {
	{"no rate", {TENANT, .rate_rps = 0}, {MODEL}, {PLAN}},
	{"a rate that is none", {TENANT, .rate_rps = NAN}, {MODEL}, {PLAN}},
	{"no queue", {TENANT, .queue_limit = 0}, {MODEL}, {PLAN}},
	{"no weight", {TENANT, .weight = 0}, {MODEL}, {PLAN}},
	{"a negative deadline", {TENANT, .deadline_ns = -1}, {MODEL}, {PLAN}},
	{"a negative SLA", {TENANT, .sla_ns = -1}, {MODEL}, {PLAN}},
	{"another's model", {TENANT, .model = 1}, {MODEL}, {PLAN}},
	{"no client", {TENANT, .arrival = PS_SIM_CLOSED}, {MODEL}, {PLAN}},
	{"endless bursts", {TENANT, .arrival = PS_SIM_BURSTS, .on_ns = 1e9}, {MODEL}, {PLAN}},
	{"leaving without patience", {TENANT, .leave_share = 0.5}, {MODEL}, {PLAN}},
	{"phases that go back", {TENANT, .phases = back, .n_phases = 2}, {MODEL}, {PLAN}},
	{"silence for ever", {TENANT, .phases = silence, .n_phases = 1}, {MODEL}, {PLAN}},
	{"no service time", {TENANT}, {.service_ns = 0}, {PLAN}},
	{"nothing recorded", {TENANT}, {MODEL, .service = PS_SIM_RECORDED}, {PLAN}},
	{"two points without the second",
	 {TENANT},
	 {MODEL, .service = PS_SIM_TWO_POINT, .slow_share = 0.1},
	 {PLAN}},
	{"all is warm-up", {TENANT}, {MODEL}, {PLAN, .warmup = 10}},
	{"no end", {TENANT}, {MODEL}, {PLAN, .arrivals = 0}},
	{"no lane", {TENANT}, {MODEL}, {PLAN, .n_lanes = 0}},
	{"nobody", {TENANT}, {MODEL}, {PLAN, .n_tenants = 0}},
	{"no model", {TENANT}, {MODEL}, {PLAN, .n_models = 0}},
};
#pragma GCC diagnostic pop

static void senseless_plans_are_refused(void **state)
{
	const struct ps_sim_tenant t = {TENANT};
	const struct ps_sim_model m = {MODEL};
	const struct ps_sim_plan p = {.tenants = &t, .models = &m, PLAN};
	struct ps_sim_result r;
	struct ps_error err;
	(void)state;
	assert_int_equal(ps_sim_run(&p, &r, NULL, &err), PS_OK);
	for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++) {
		struct ps_sim_plan bad = senseless[i].plan;
		bad.tenants = &senseless[i].tenant;
		bad.models = &senseless[i].model;
		if (ps_sim_run(&bad, &r, NULL, &err) != PS_EINVAL)
			fail_msg("%s", senseless[i].what);
	}
}

static void the_same_plan_gives_the_same_numbers(void **state)
{
	struct ps_sim_tenant t = tenant(80);
	struct ps_sim_plan p = {.tenants = &t,
				.models = &exponential,
				.n_tenants = 1,
				.n_models = 1,
				.n_lanes = 1,
				.seed = 3,
				.arrivals = 10000};
	struct ps_sim_result a, b, c;
	(void)state;
	sim_run(&p, &a);
	sim_run(&p, &b);
	assert_memory_equal(&a, &b, sizeof a);
	p.seed = 4;
	sim_run(&p, &c);
	assert_true(a.wait_mean_ns != c.wait_mean_ns);
}

struct seen {
	int n;
	int64_t arrived_ns[3], started_ns[3], finished_ns[3];
};

static void note(void *ctx, const struct ps_sim_done *d)
{
	struct seen *s = ctx;
	assert_int_equal(d->tenant, 0);
	assert_int_equal(d->id, s->n);
	s->arrived_ns[s->n] = d->account->received_ns;
	s->started_ns[s->n] = d->account->started_ns;
	s->finished_ns[s->n++] = d->account->finished_ns;
}

/* Arrivals at 100, 200, 300 ms; services of 150 ms on one lane: waits 0, 50, 100 ms. */
static void a_history_by_hand(void **state)
{
	struct ps_sim_tenant t = tenant(10);
	struct ps_sim_model m = fixed;
	struct seen seen = {0};
	struct ps_sim_plan p = {.tenants = &t,
				.models = &m,
				.n_tenants = 1,
				.n_models = 1,
				.n_lanes = 1,
				.arrivals = 3,
				.done = note,
				.ctx = &seen};
	struct ps_sim_result r;
	(void)state;
	t.arrival = PS_SIM_CONSTANT;
	m.service_ns = 150e6;
	struct ps_sim_summary sum = sim_run(&p, &r);
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
	const struct ps_sim_model m = {
		.service = PS_SIM_RECORDED, .recorded_ns = times, .n_recorded = 3};
	struct ps_sim_tenant t = tenant(50);
	struct ps_sim_plan p = {.tenants = &t,
				.models = &m,
				.n_tenants = 1,
				.n_models = 1,
				.n_lanes = 1,
				.seed = 1,
				.arrivals = 200000 / FEWER};
	struct ps_sim_result r;
	(void)state;
	sim_run(&p, &r);
	near(r.service_mean_ns, 3e6, 0.01);
}

/* Erlang C for two lanes: W = C(2, a) / (2 mu - lambda), a = lambda / mu. */
static void two_lanes_follow_erlang_c(void **state)
{
	double a = 1.4, rho = a / 2;
	double c = a * a / 2 / (1 - rho) / (1 + a + a * a / 2 / (1 - rho));
	struct ps_sim_tenant t = tenant(a * 100);
	struct ps_sim_plan p = {.tenants = &t,
				.models = &exponential,
				.n_tenants = 1,
				.n_models = 1,
				.n_lanes = 2,
				.seed = 1,
				.arrivals = 1000000 / FEWER,
				.warmup = 10000};
	struct ps_sim_result r;
	(void)state;
	sim_run(&p, &r);
	near(r.wait_mean_ns, c / (200 - a * 100) * 1e9, 0.02);
}

/* M/M/1 with room for k waiting: blocked (1 - rho) rho^(k+1) / (1 - rho^(k+2)). */
static void a_bounded_queue_refuses_as_it_should(void **state)
{
	double rho = 0.9;
	int k = 4;
	struct ps_sim_tenant t = tenant(rho * 100);
	struct ps_sim_plan p = {.tenants = &t,
				.models = &exponential,
				.n_tenants = 1,
				.n_models = 1,
				.n_lanes = 1,
				.seed = 1,
				.arrivals = 1000000 / FEWER,
				.warmup = 1000};
	struct ps_sim_result r;
	(void)state;
	t.queue_limit = k;
	sim_run(&p, &r);
	near((double)r.refused / (double)r.arrived,
	     (1 - rho) * pow(rho, k + 1) / (1 - pow(rho, k + 2)), 0.02);
}

static void littles_law_holds(void **state)
{
	struct ps_sim_tenant t[2] = {tenant(20), tenant(60)};
	const struct ps_sim_model m[2] = {fixed, exponential};
	struct ps_sim_plan p = {.tenants = t,
				.models = m,
				.n_tenants = 2,
				.n_models = 2,
				.n_lanes = 1,
				.seed = 2,
				.arrivals = 400000 / FEWER};
	struct ps_sim_result r[2];
	(void)state;
	t[1].model = 1;
	struct ps_sim_summary sum = sim_run(&p, r);
	double waits_ns =
		r[0].wait_mean_ns * (double)r[0].served + r[1].wait_mean_ns * (double)r[1].served;
	near(sum.waiting_mean, waits_ns / (double)sum.end_ns, 0.001);
}

/* One tenant asks for five times what the lane can do; the other never waits for more than one run
 * in progress and one turn of its neighbour. */
static void an_overload_stays_its_owners(void **state)
{
	struct ps_sim_tenant t[2] = {tenant(500), tenant(5)};
	struct ps_sim_plan p = {.tenants = t,
				.models = &fixed,
				.n_tenants = 2,
				.n_models = 1,
				.n_lanes = 1,
				.seed = 2,
				.arrivals = 100000};
	struct ps_sim_result r[2];
	(void)state;
	t[0].queue_limit = 100;
	t[1].arrival = PS_SIM_CONSTANT;
	sim_run(&p, r);
	assert_true(r[0].refused > r[0].arrived / 2);
	assert_int_equal(r[1].refused, 0);
	assert_true(r[1].latency_max_ns <= 30 * MS);
}

/* Both always wait: served in the proportion of their weights. */
static void weights_share_the_lane(void **state)
{
	struct ps_sim_tenant t[2] = {tenant(500), tenant(500)};
	struct ps_sim_plan p = {.tenants = t,
				.models = &fixed,
				.n_tenants = 2,
				.n_models = 1,
				.n_lanes = 1,
				.seed = 2,
				.arrivals = (FEWER > 1 ? 50000 : 200000)};
	struct ps_sim_result r[2];
	(void)state;
	t[0].queue_limit = t[1].queue_limit = 20;
	t[0].weight = 3;
	sim_run(&p, r);
	near((double)r[0].served / (double)r[1].served, 3, 0.01);
}

/* What cannot be in time is refused at once, so nobody is late; where nothing is checked, what has
 * waited too long is dropped before it runs. The lane is busy either way. */
static void deadlines_bound_waits(void **state)
{
	struct ps_sim_tenant t = tenant(150);
	struct ps_sim_plan p = {.tenants = &t,
				.models = &fixed,
				.n_tenants = 1,
				.n_models = 1,
				.n_lanes = 1,
				.seed = 2,
				.arrivals = 100000 / FEWER,
				.warmup = 100};
	struct ps_sim_result r;
	(void)state;
	t.deadline_ns = 75 * MS;
	sim_run(&p, &r);
	assert_true(r.refused > 0);
	assert_int_equal(r.refused, r.reasons[PS_DISPATCH_REASON_DEADLINE]);
	assert_int_equal(r.late, 0);
	near((double)r.served / (double)r.arrived, 1 / 1.5, 0.01);
	assert_true(r.latency_max_ns <= 75 * MS);
	t.deadline_ns = 0;
	t.sla_ns = 35 * MS; /* unlike a deadline that the request names, it ends no run */
	t.unchecked = true;
	sim_run(&p, &r);
	assert_int_equal(r.refused, 0);
	assert_true(r.expired > 0);
	assert_int_equal(r.late, r.expired + r.served - r.in_time);
	near((double)r.served / (double)r.arrived, 1 / 1.5, 0.02);
	assert_true(r.latency_max_ns <= 45 * MS);
}

/* A constant source in two phases: 10 a second for two seconds, then 40. */
static void phases_change_the_rate(void **state)
{
	static const struct ps_sim_phase phases[] = {{0, 1}, {2000000000, 4}};
	struct ps_sim_tenant t = tenant(10);
	struct ps_sim_plan p = {.tenants = &t,
				.models = &fixed,
				.n_tenants = 1,
				.n_models = 1,
				.n_lanes = 1,
				.until_ns = 5000 * MS};
	struct ps_sim_result r;
	(void)state;
	t.arrival = PS_SIM_CONSTANT;
	t.phases = phases;
	t.n_phases = 2;
	sim_run(&p, &r);
	assert_in_range(r.arrived, 139, 140); /* 20 and 120; the last one is on the edge */
	t.from_ns = 1000 * MS;
	t.until_ns = 4000 * MS;
	sim_run(&p, &r);
	assert_in_range(r.arrived, 89, 90);
}

static void bursts_come_and_go(void **state)
{
	struct ps_sim_tenant t = tenant(80);
	struct ps_sim_plan p = {.tenants = &t,
				.models = &fixed,
				.n_tenants = 1,
				.n_models = 1,
				.n_lanes = 2,
				.seed = 5,
				.until_ns = 4000000 * MS / FEWER};
	struct ps_sim_result steady, bursty;
	(void)state;
	sim_run(&p, &steady);
	t.arrival = PS_SIM_BURSTS;
	t.on_ns = 1e9;
	t.off_ns = 3e9;
	sim_run(&p, &bursty);
	near((double)bursty.arrived, (double)steady.arrived / 4, 0.1);
	assert_true(bursty.wait_mean_ns > 0.9 * steady.wait_mean_ns); /* at a quarter of the load */
}

/* Four clients without thinking keep one lane busy and see four services each. */
static void a_closed_loop_is_always_backlogged(void **state)
{
	struct ps_sim_tenant t = tenant(0);
	struct ps_sim_plan p = {.tenants = &t,
				.models = &fixed,
				.n_tenants = 1,
				.n_models = 1,
				.n_lanes = 1,
				.until_ns = 10000 * MS,
				.warmup_ns = 100 * MS};
	struct ps_sim_result r;
	(void)state;
	t.arrival = PS_SIM_CLOSED;
	t.outstanding = 4;
	struct ps_sim_summary sum = sim_run(&p, &r);
	near(sum.busy_ns, (double)sum.end_ns, 1e-9);
	near(r.latency_mean_ns, 40e6, 1e-9);
	t.think_ns = 60 * MS; /* the first is back after 70 ms, of which 40 were busy */
	sum = sim_run(&p, &r);
	near(sum.busy_ns, 4 * (double)sum.end_ns / 7, 0.01);
}

/* Half of the clients leave after 20 ms on average: what still waits is dropped, what runs is
 * stopped when the engine can be. */
static void clients_leave(void **state)
{
	struct ps_sim_tenant t = tenant(150);
	struct ps_sim_plan p = {.tenants = &t,
				.models = &fixed,
				.n_tenants = 1,
				.n_models = 1,
				.n_lanes = 1,
				.seed = 2,
				.arrivals = 20000};
	struct ps_sim_result r;
	(void)state;
	t.leave_share = 0.5;
	t.patience_ns = 20e6;
	t.queue_limit = 20;
	struct ps_sim_summary hard = sim_run(&p, &r);
	assert_true(r.cancelled > r.arrived / 4);
	assert_int_equal(r.cancelled, r.reasons[PS_DISPATCH_REASON_CANCELLED]);
	p.stop_ns = 100000;
	struct ps_sim_summary soft = sim_run(&p, &r);
	assert_true(soft.busy_ns / (double)soft.runs < hard.busy_ns / (double)hard.runs);
}

static void quotas_are_kept(void **state)
{
	struct ps_sim_tenant t = tenant(50);
	struct ps_sim_plan p = {.tenants = &t,
				.models = &fixed,
				.n_tenants = 1,
				.n_models = 1,
				.n_lanes = 1,
				.seed = 2,
				.until_ns = 1000000 * MS / FEWER};
	struct ps_sim_result r;
	(void)state;
	t.rate = (struct ps_tenancy_rate){.per_s = 20, .burst = 5};
	sim_run(&p, &r);
	assert_int_equal(r.refused, r.reasons[PS_DISPATCH_REASON_RATE]);
	assert_true(r.served <= 20000 / FEWER + 5);
	near((double)r.served, 20000.0 / FEWER, 0.01);
	t.rate.per_s = 0;
	t.concurrency = 1;
	sim_run(&p, &r);
	assert_int_equal(r.refused, r.reasons[PS_DISPATCH_REASON_CONCURRENCY]);
	near((double)r.refused / (double)r.arrived, 0.5 / 1.5, 0.02); /* Erlang B, one server */
	near(r.latency_mean_ns, 10e6, 1e-9);
}

/* Rows of a batch share its time; the mean of its requests' factors scales it. */
static void batches_take_the_time_of_their_rows(void **state)
{
	const struct ps_sim_model m = {.service_ns = 10e6, .row_ns = 2e6, .max_batch = 8};
	struct ps_sim_tenant t = tenant(0);
	struct ps_sim_plan p = {.tenants = &t,
				.models = &m,
				.n_tenants = 1,
				.n_models = 1,
				.n_lanes = 1,
				.until_ns = 20000 * MS,
				.warmup_ns = 2000 * MS};
	struct ps_sim_result r;
	(void)state;
	t.arrival = PS_SIM_CLOSED;
	t.outstanding = 16;
	struct ps_sim_summary sum = sim_run(&p, &r);
	if (sum.rows <= 7 * sum.runs)
		fail_msg("%g rows per run", (double)sum.rows / (double)sum.runs);
	/* eight rows in 24 ms instead of 80 */
	near(r.service_mean_ns, 24e6, 0.05);
	near(r.cost_ns / (double)r.served, 3e6, 0.05);
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
		cmocka_unit_test(phases_change_the_rate),
		cmocka_unit_test(bursts_come_and_go),
		cmocka_unit_test(a_closed_loop_is_always_backlogged),
		cmocka_unit_test(clients_leave),
		cmocka_unit_test(quotas_are_kept),
		cmocka_unit_test(batches_take_the_time_of_their_rows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
