/* Batches and widths in virtual time: a batch where it pays and none where it does not; wide runs
 * when idle and narrow ones when busy. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim_test.h"

#include <math.h>
#include <stdio.h>

/* ---- batches ------------------------------------------------------------------------------ */

struct batch_row {
	const char *name;
	enum ps_sim_service service;
	double row_ns;
	int n_lanes;
	double sla_ns;
	double at_least; /* of the goodput without batches */
};

static const struct batch_row batch_rows[] = {
	{"8 cost 2.4 of 1", PS_SIM_FIXED, 2e6, 1, 100e6, 1.2},
	{"8 cost 2.4 of 1, 2 lanes", PS_SIM_FIXED, 2e6, 2, 100e6, 1.2},
	{"8 cost 2.4 of 1, tight SLA", PS_SIM_FIXED, 2e6, 1, 40e6, 1.2},
	{"8 cost 5.9 of 1", PS_SIM_FIXED, 7e6, 1, 200e6, 1.2},
	{"8 cost 2.4 of 1, exponential", PS_SIM_EXPONENTIAL, 2e6, 1, 200e6, 1.2},
	{"8 cost 8 of 1", PS_SIM_FIXED, 10e6, 1, 100e6, 0.98},
	{"8 cost 8.7 of 1", PS_SIM_FIXED, 11e6, 1, 100e6, 0.98},
	{"8 cost 15 of 1", PS_SIM_FIXED, 20e6, 1, 100e6, 0.98},
};

static double goodput_rps(const struct batch_row *row, int64_t max_batch, double rate_rps)
{
	const struct ps_sim_model m = {.service = row->service,
				       .service_ns = 10e6,
				       .row_ns = row->row_ns,
				       .max_batch = max_batch};
	const struct ps_sim_tenant t = {.rate_rps = rate_rps,
					.weight = 1,
					.queue_limit = 100000,
					.sla_ns = (int64_t)row->sla_ns};
	struct ps_sim_result r;
	struct ps_sim_plan p = {.tenants = &t,
				.models = &m,
				.n_tenants = 1,
				.n_models = 1,
				.n_lanes = row->n_lanes,
				.seed = 3,
				.until_ns = 50 * S / FEWER + 2 * S,
				.warmup_ns = 2 * S};
	sim_run(&p, &r);
	return (double)r.in_time / ((double)(p.until_ns - p.warmup_ns) * 1e-9);
}

static void batches_are_used_where_they_pay(void **state)
{
	static const double rates[] = {60, 90, 110, 150, 250, 400, 800};
	bool good = true;
	(void)state;
	for (size_t i = 0; i < sizeof batch_rows / sizeof *batch_rows; i++) {
		const struct batch_row *row = &batch_rows[i];
		double single = 0, batched = 0, worst = 1e9;
		for (size_t k = 0; k < sizeof rates / sizeof *rates; k++) {
			double rate = rates[k] * row->n_lanes;
			double one = goodput_rps(row, 0, rate), eight = goodput_rps(row, 8, rate);
			single = fmax(single, one);
			batched = fmax(batched, eight);
			worst = fmin(worst, eight / one);
		}
		bool ok = batched >= row->at_least * single && worst >= 0.97;
		printf("%-30s goodput %.1f/s, without batches %.1f: %.2f x; at any one rate at "
		       "least %.2f "
		       "x%s\n",
		       row->name, batched, single, batched / single, worst,
		       ok ? "" : "  <-- under");
		good &= ok;
	}
	assert_true(good || !JUDGED);
}

/* Alone and in a hurry nobody waits for company. */
static void a_lone_request_is_not_held_up(void **state)
{
	const struct ps_sim_model m = {.service_ns = 10e6, .row_ns = 2e6, .max_batch = 8};
	const struct ps_sim_tenant t = {
		.arrival = PS_SIM_CONSTANT, .rate_rps = 50, .weight = 1, .queue_limit = 10};
	struct ps_sim_result r;
	const struct ps_sim_plan p = {.tenants = &t,
				      .models = &m,
				      .n_tenants = 1,
				      .n_models = 1,
				      .n_lanes = 1,
				      .arrivals = 1000};
	(void)state;
	sim_run(&p, &r);
	assert_int_equal(r.latency_max_ns, 10 * MS);
}

/* A tight deadline and max_run_ns keep another's batch short. */
static void long_batches_are_not_made(void **state)
{
	struct ps_sim_model m = {.service_ns = 10e6, .row_ns = 5e6, .max_batch = 8};
	struct ps_sim_tenant t[2] = {
		{.rate_rps = 5, .weight = 1, .queue_limit = 100},
		{.arrival = PS_SIM_CLOSED, .outstanding = 64, .weight = 1, .queue_limit = 100}};
	struct ps_sim_result r[2];
	const struct ps_sim_plan p = {.tenants = t,
				      .models = &m,
				      .n_tenants = 2,
				      .n_models = 1,
				      .n_lanes = 1,
				      .seed = 5,
				      .until_ns = 60 * S,
				      .warmup_ns = 3 * S};
	(void)state;
	sim_run(&p, r);
	assert_true(r[1].service_mean_ns > 40e6); /* 45 ms for eight */
	m.max_run_ns = 26 * MS;
	sim_run(&p, r);
	assert_true(r[1].service_mean_ns < 26e6);
	assert_true(r[0].latency_max_ns <= 2 * 26 * MS);
}

/* ---- widths ------------------------------------------------------------------------------- */

enum width { NARROW, WIDE, AUTO };

struct width_row {
	const char *name;
	double wide_speedup;
	int n_lanes;
	enum ps_sim_service service;
};

static const struct width_row width_rows[] = {
	{"2 CPUs, wide 1.8 x", 1.8, 2, PS_SIM_FIXED},
	{"2 CPUs, wide 1.2 x", 1.2, 2, PS_SIM_FIXED},
	{"4 CPUs, wide 3 x", 3, 4, PS_SIM_FIXED},
	{"4 CPUs, wide 1 x", 1, 4, PS_SIM_FIXED},
	{"4 CPUs, wide 0.8 x", 0.8, 4, PS_SIM_FIXED},
	{"4 CPUs, wide 3 x, exponential", 3, 4, PS_SIM_EXPONENTIAL},
};

struct seen {
	double mean_ns, p99_ns, served;
};

static struct seen run_width(const struct width_row *row, enum width how, double load)
{
	const struct ps_sim_model m = {
		.service = row->service, .service_ns = 10e6, .wide_speedup = row->wide_speedup};
	const struct ps_sim_tenant t = {.rate_rps = load * row->n_lanes / 10e-3,
					.weight = 1,
					.queue_limit = 100000,
					.sla_ns = load > 1 ? 200 * MS : 0};
	struct ps_sim_result r;
	const struct ps_sim_plan p = {.tenants = &t,
				      .models = &m,
				      .n_tenants = 1,
				      .n_models = 1,
				      .n_lanes = row->n_lanes,
				      .cpus = row->n_lanes,
				      .wide = how == WIDE,
				      .auto_width = how == AUTO,
				      .seed = 3,
				      .until_ns = 80 * S / FEWER + 2 * S,
				      .warmup_ns = 2 * S,
				      .quantiles = true};
	sim_run(&p, &r);
	return (struct seen){.mean_ns = r.latency_mean_ns,
			     .p99_ns = (double)r.p99_ns,
			     .served = (double)r.in_time};
}

static void auto_width_is_as_good_as_either(void **state)
{
	static const double loads[] = {0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 2};
	bool good = true;
	(void)state;
	for (size_t i = 0; i < sizeof width_rows / sizeof *width_rows; i++)
		for (size_t k = 0; k < sizeof loads / sizeof *loads; k++) {
			struct seen n = run_width(&width_rows[i], NARROW, loads[k]);
			struct seen w = run_width(&width_rows[i], WIDE, loads[k]);
			struct seen a = run_width(&width_rows[i], AUTO, loads[k]);
			double mean = a.mean_ns / fmin(n.mean_ns, w.mean_ns);
			double served = a.served / fmax(n.served, w.served);
			bool ok = loads[k] > 1 ? served >= 0.95 : mean <= 1.05;
			printf("%-30s load %.2f: mean %.1f ms (narrow %.1f, wide %.1f): %.2f x; in "
			       "time "
			       "%.3f x%s\n",
			       width_rows[i].name, loads[k], a.mean_ns * 1e-6, n.mean_ns * 1e-6,
			       w.mean_ns * 1e-6, mean, served, ok ? "" : "  <-- worse");
			good &= ok;
		}
	assert_true(good || !JUDGED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batches_are_used_where_they_pay),
		cmocka_unit_test(a_lone_request_is_not_held_up),
		cmocka_unit_test(long_batches_are_not_made),
		cmocka_unit_test(auto_width_is_as_good_as_either),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
