/* Overload in virtual time: goodput (served inside the SLA per second) does not fall as the offered
 * rate grows past what the lanes can do, and recovers within a second when it falls back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim_test.h"

#include <math.h>
#include <stdio.h>

struct row {
	const char *name;
	struct ps_sim_model model;
	int n_lanes, n_tenants;
	double sla;	/* in service times */
	double speedup; /* of full batches over single runs */
};

static const struct row rows[] = {
	{"fixed", {.service_ns = 10e6}, 1, 1, 10, 1},
	{"fixed, 4 lanes", {.service_ns = 10e6}, 4, 1, 5, 1},
	{"exponential", {.service = PS_SIM_EXPONENTIAL, .service_ns = 10e6}, 2, 1, 30, 1},
	{"two points",
	 {.service = PS_SIM_TWO_POINT, .service_ns = 10e6, .slow_share = 0.1, .slow_factor = 5},
	 2,
	 1,
	 30,
	 1},
	{"four tenants", {.service_ns = 10e6}, 2, 4, 20, 1},
	{"batches", {.service_ns = 10e6, .row_ns = 2e6, .max_batch = 8}, 1, 1, 10, 80.0 / 24},
};

static void make_tenants(const struct row *row, double load, struct ps_sim_tenant *ret)
{
	double capacity_rps = row->n_lanes * row->speedup / (row->model.service_ns * 1e-9);
	for (int i = 0; i < row->n_tenants; i++)
		ret[i] = (struct ps_sim_tenant){
			.rate_rps = load * capacity_rps / row->n_tenants,
			.weight = i + 1,
			.queue_limit = 100000,
			.sla_ns = (int64_t)(row->sla * row->model.service_ns)};
}

static double goodput_rps(const struct row *row, double load)
{
	struct ps_sim_tenant t[4];
	struct ps_sim_result r[4];
	struct ps_sim_plan p = {.tenants = t,
				.models = &row->model,
				.n_tenants = row->n_tenants,
				.n_models = 1,
				.n_lanes = row->n_lanes,
				.seed = 3,
				.until_ns = 62 * S / FEWER + S,
				.warmup_ns = S};
	int64_t in_time = 0;
	make_tenants(row, load, t);
	sim_run(&p, r);
	for (int i = 0; i < row->n_tenants; i++)
		in_time += r[i].in_time;
	return (double)in_time / ((double)(p.until_ns - p.warmup_ns) * 1e-9);
}

static void goodput_stays_at_its_peak(void **state)
{
	static const double loads[] = {0.5, 0.8, 0.9, 1, 1.1, 1.3, 1.6, 2};
	bool good = true;
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		double peak = 0, at_three = goodput_rps(&rows[i], 3),
		       at_ten = goodput_rps(&rows[i], 10);
		for (size_t k = 0; k < sizeof loads / sizeof *loads; k++)
			peak = fmax(peak, goodput_rps(&rows[i], loads[k]));
		peak = fmax(peak, at_three);
		bool ok = at_three >= 0.95 * peak;
		printf("%-16s goodput %.1f/s at 3 x, %.1f at 10 x, peak %.1f: %.1f %%%s\n",
		       rows[i].name, at_three, at_ten, peak, 100 * at_three / peak,
		       ok ? "" : "  <-- under");
		good &= ok;
	}
	assert_true(good || !JUDGED);
}

/* ---- recovery ----------------------------------------------------------------------------- */

enum { FALL_S = 12, END_S = 20 };

struct after {
	int64_t arrived, bad, worst_ns; /* of what arrives a second after the fall or later */
};

static void note(void *ctx, const struct ps_sim_done *d)
{
	struct after *a = ctx;
	const struct ps_dispatch_account *x = d->account;
	if (x->received_ns < (FALL_S + 1) * S)
		return;
	a->arrived++;
	if (x->status != PS_OK || x->finished_ns > x->deadline_ns) {
		a->bad++;
		return;
	}
	if (x->finished_ns - x->received_ns > a->worst_ns)
		a->worst_ns = x->finished_ns - x->received_ns;
}

static struct after run_phases(const struct row *row, double middle)
{
	const struct ps_sim_phase phases[] = {{0, 1}, {2 * S, middle / 0.5}, {FALL_S * S, 1}};
	struct ps_sim_tenant t[4];
	struct ps_sim_result r[4];
	struct after a = {0};
	struct ps_sim_plan p = {.tenants = t,
				.models = &row->model,
				.n_tenants = row->n_tenants,
				.n_models = 1,
				.n_lanes = row->n_lanes,
				.seed = 3,
				.until_ns = END_S * S,
				.done = note,
				.ctx = &a};
	make_tenants(row, 0.5, t);
	for (int i = 0; i < row->n_tenants; i++) {
		t[i].phases = phases;
		t[i].n_phases = 3;
	}
	sim_run(&p, r);
	return a;
}

/* Half load, ten seconds of three times the capacity, half load again: one second later nothing is
 * refused or late that would not have been without the overload. */
static void it_recovers_within_a_second(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct after calm = run_phases(&rows[i], 0.5), after = run_phases(&rows[i], 3);
		double bad = (double)after.bad / (double)after.arrived;
		double usual = (double)calm.bad / (double)calm.arrived;
		printf("%-16s after the fall %.2f %% refused or late (%.2f %% without), worst %.1f "
		       "ms "
		       "(%.1f)\n",
		       rows[i].name, 100 * bad, 100 * usual, (double)after.worst_ns * 1e-6,
		       (double)calm.worst_ns * 1e-6);
		assert_true(after.arrived > 100);
		assert_true(bad <= usual + 0.005 || !JUDGED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goodput_stays_at_its_peak),
		cmocka_unit_test(it_recovers_within_a_second),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
