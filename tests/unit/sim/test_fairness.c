/* Fairness, proved in virtual time on random plans.
 *
 * S_i is the lane time x CPUs that tenant i has received, its part (by rows) of every batch. For
 * any two tenants of a class that are backlogged throughout:
 *
 *	|S_i/w_i - S_j/w_j| <= lanes x (c_i/w_i + c_j/w_j)
 *
 * where c is the largest cost that one batch has brought the tenant. It is held against two ways of
 * counting what is under way:
 *	accrued  service counts as it is received; from the instant when both became backlogged
 *	charged  a run counts whole when it begins; over any interval, that is, the range of the
 *		 difference (its greatest value less its smallest) is bounded
 * Accrued service over any interval can be beyond the bound by what was under way on other lanes
 * when the interval began, under any order that does not interrupt runs.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "sim_test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_TENANTS = 8, MAX_MODELS = 3 };

/* A run begins or ends: the rates at which tenants receive service change. */
struct edge {
	int64_t at_ns;
	int64_t length_ns;	   /* of the run that begins; 0 at its end */
	double rates[MAX_TENANTS]; /* CPUs, negative at the end */
};

struct record {
	struct edge *edges;
	size_t n, cap;
	double largest[MAX_TENANTS];
	int64_t from_ns; /* runs that began earlier do not count */
};

static struct edge *add_edge(struct record *r, int64_t at_ns)
{
	if (r->n == r->cap) {
		r->cap = r->cap ? 2 * r->cap : 1024;
		r->edges = realloc(r->edges, r->cap * sizeof *r->edges);
		assert_non_null(r->edges);
	}
	struct edge *e = &r->edges[r->n++];
	*e = (struct edge){.at_ns = at_ns};
	return e;
}

static void record_run(void *ctx, const struct ps_dispatch_batch *b, int64_t started_ns,
		       int64_t finished_ns)
{
	struct record *r = ctx;
	double rates[MAX_TENANTS] = {0};
	if (started_ns < r->from_ns)
		return;
	for (const struct ps_dispatch_request *q = b->first; q; q = q->batch_next)
		rates[q->tenant] += (double)q->rows / (double)b->rows * b->width;
	struct edge *on = add_edge(r, started_ns);
	on->length_ns = finished_ns - started_ns;
	for (int i = 0; i < MAX_TENANTS; i++)
		on->rates[i] = rates[i];
	struct edge *off = add_edge(r, finished_ns);
	for (int i = 0; i < MAX_TENANTS; i++) {
		double cost = rates[i] * (double)(finished_ns - started_ns);
		off->rates[i] = -rates[i];
		r->largest[i] = fmax(r->largest[i], cost);
	}
}

static int by_time(const void *a, const void *b)
{
	int64_t x = ((const struct edge *)a)->at_ns, y = ((const struct edge *)b)->at_ns;
	return (x > y) - (x < y);
}

static double bound_of(const struct record *r, const struct ps_sim_plan *p, int i, int j)
{
	double w_i = (double)p->tenants[i].weight, w_j = (double)p->tenants[j].weight;
	double lanes = p->n_lanes * (p->auto_width || p->wide ? p->cpus : 1);
	return lanes * (r->largest[i] / w_i + r->largest[j] / w_j);
}

/* The largest |S_i/w_i - S_j/w_j| of accrued service, over its bound. */
static double accrued(const struct record *r, const struct ps_sim_plan *p, int i, int j)
{
	double rate_i = 0, rate_j = 0, d = 0, most = 0;
	double w_i = (double)p->tenants[i].weight, w_j = (double)p->tenants[j].weight;
	int64_t at_ns = r->from_ns;
	for (size_t k = 0; k < r->n; k++) {
		const struct edge *e = &r->edges[k];
		d += (rate_i / w_i - rate_j / w_j) * (double)(e->at_ns - at_ns);
		most = fmax(most, fabs(d));
		at_ns = e->at_ns;
		rate_i += e->rates[i];
		rate_j += e->rates[j];
	}
	return most / bound_of(r, p, i, j);
}

/* The range of S_i/w_i - S_j/w_j of service charged as runs begin, over its bound. */
static double charged(const struct record *r, const struct ps_sim_plan *p, int i, int j)
{
	double d = 0, low = 0, high = 0;
	double w_i = (double)p->tenants[i].weight, w_j = (double)p->tenants[j].weight;
	for (size_t k = 0; k < r->n; k++) {
		const struct edge *e = &r->edges[k];
		d += (e->rates[i] / w_i - e->rates[j] / w_j) * (double)e->length_ns;
		low = fmin(low, d);
		high = fmax(high, d);
	}
	return (high - low) / bound_of(r, p, i, j);
}

static void record_clear(struct record *r)
{
	free(r->edges);
	*r = (struct record){0};
}

/* ---- random plans ------------------------------------------------------------------------- */

struct random_plan {
	struct ps_sim_tenant tenants[MAX_TENANTS];
	struct ps_sim_model models[MAX_MODELS];
	struct ps_sim_plan plan;
	int n_backlogged; /* the first so many tenants always are */
};

static struct ps_sim_model random_model(struct ps_rng *rng)
{
	static const enum ps_sim_service kinds[] = {PS_SIM_FIXED, PS_SIM_EXPONENTIAL,
						    PS_SIM_TWO_POINT};
	double ns = 1e6 * exp(ps_rng_uniform(rng) * 4);
	return (struct ps_sim_model){
		.service = kinds[ps_rng_below(rng, 3)],
		.service_ns = ns,
		.row_ns = ns * (0.1 + ps_rng_uniform(rng)),
		.slow_share = 0.05,
		.slow_factor = 10,
		.max_batch = ps_rng_below(rng, 2) ? (int64_t)(1 + ps_rng_below(rng, 8)) : 0};
}

static void make_plan(struct random_plan *r, struct ps_rng *rng, bool batches)
{
	int n = (int)(2 + ps_rng_below(rng, MAX_TENANTS - 1));
	int lanes = (int)(1 + ps_rng_below(rng, 4));
	r->n_backlogged = (int)(2 + ps_rng_below(rng, (uint64_t)n - 1));
	for (int m = 0; m < MAX_MODELS; m++) {
		r->models[m] = random_model(rng);
		if (!batches)
			r->models[m].max_batch = 0;
	}
	for (int i = 0; i < n; i++)
		r->tenants[i] = (struct ps_sim_tenant){
			.model = (int)ps_rng_below(rng, MAX_MODELS),
			.arrival = i < r->n_backlogged ? PS_SIM_CLOSED : PS_SIM_BURSTS,
			.outstanding = 9 * (lanes + 1), /* more than all lanes can hold */
			.rate_rps = 1 + 300 * ps_rng_uniform(rng),
			.on_ns = 1e8,
			.off_ns = 3e8,
			.rows = 1 + (batches && ps_rng_below(rng, 4) == 0 ? 2 : 0),
			.queue_limit = 200,
			.weight = (int64_t)(1 + ps_rng_below(rng, 3) * ps_rng_below(rng, 20))};
	r->plan = (struct ps_sim_plan){.tenants = r->tenants,
				       .models = r->models,
				       .n_tenants = n,
				       .n_models = MAX_MODELS,
				       .n_lanes = lanes,
				       .seed = ps_rng_next(rng),
				       .arrivals = 6000 / FEWER + 500,
				       .ran = record_run};
}

static void check_plan(struct random_plan *r, int number, double ret_worst[2])
{
	struct ps_sim_result results[MAX_TENANTS];
	struct record record = {0};
	r->plan.ctx = &record;
	struct ps_sim_summary sum = sim_run(&r->plan, results);
	qsort(record.edges, record.n, sizeof *record.edges, by_time);
	/* When arrivals end the backlog drains: that is no longer backlogged throughout. */
	while (record.n > 0 && record.edges[record.n - 1].at_ns > sum.counted_until_ns)
		record.n--;
	for (int i = 0; i < r->n_backlogged; i++)
		for (int j = 0; j < i; j++) {
			double a = accrued(&record, &r->plan, i, j);
			double c = charged(&record, &r->plan, i, j);
			ret_worst[0] = fmax(ret_worst[0], a);
			ret_worst[1] = fmax(ret_worst[1], c);
			if (!(fmax(a, c) <= 1 + 1e-6)) /* these are sums of doubles */
				fail_msg("plan %d, tenants %d and %d, %d lanes: %.6f and %.6f of "
					 "the bound",
					 number, i, j, r->plan.n_lanes, a, c);
		}
	/* Work conservation: no lane is idle while something waits. */
	if (sum.idle_ns != 0)
		fail_msg("plan %d: idle for %g ms while requests waited", number,
			 sum.idle_ns * 1e-6);
	record_clear(&record);
}

static void check_plans(uint64_t seed, int n, bool batches)
{
	struct random_plan r;
	struct ps_rng rng;
	double worst[2] = {0};
	ps_rng_init(&rng, seed, 0);
	for (int k = 0; k < n / FEWER + 10; k++) {
		make_plan(&r, &rng, batches);
		check_plan(&r, k, worst);
	}
	printf("worst pairs of %d plans: %.2f (accrued) and %.2f (charged) of the bound\n",
	       n / FEWER + 10, worst[0], worst[1]);
}

static void shares_stay_within_the_bound(void **state)
{
	(void)state;
	check_plans(1, 500, false);
}

static void shares_stay_within_the_bound_with_batches(void **state)
{
	(void)state;
	check_plans(2, 500, true);
}

/* ---- special cases ------------------------------------------------------------------------ */

static const struct ps_sim_model exponential = {.service = PS_SIM_EXPONENTIAL, .service_ns = 5e6};

static struct ps_sim_tenant backlogged(int64_t weight)
{
	return (struct ps_sim_tenant){
		.arrival = PS_SIM_CLOSED, .outstanding = 40, .queue_limit = 100, .weight = weight};
}

/* One tenant has idled for ten seconds while the other used the machine alone; from then on both
 * get their shares, and nothing is made up for. */
static void an_idle_tenant_banks_nothing(void **state)
{
	struct ps_sim_tenant t[2] = {backlogged(1), backlogged(3)};
	struct record record = {.from_ns = 10 * S};
	struct ps_sim_result r[2];
	struct ps_sim_plan p = {.tenants = t,
				.models = &exponential,
				.n_tenants = 2,
				.n_models = 1,
				.n_lanes = 2,
				.seed = 3,
				.until_ns = 20 * S,
				.ran = record_run,
				.ctx = &record};
	(void)state;
	t[1].from_ns = 10 * S;
	sim_run(&p, r);
	while (record.n > 0 && record.edges[record.n - 1].at_ns > 20 * S)
		record.n--;
	qsort(record.edges, record.n, sizeof *record.edges, by_time);
	while (record.n > 0 && record.edges[record.n - 1].at_ns > 20 * S)
		record.n--;
	assert_true(record.n > 1000);
	assert_true(accrued(&record, &p, 0, 1) <= 1);
	assert_true(charged(&record, &p, 0, 1) <= 1);
	record_clear(&record);
}

/* Many tenants that come back again and again from short pauses gain nothing by them over one that
 * is always there. */
static void pauses_gain_nothing(void **state)
{
	enum { N = 5 };
	struct ps_sim_tenant t[N];
	struct ps_sim_result r[N];
	struct ps_sim_plan p = {.tenants = t,
				.models = &exponential,
				.n_tenants = N,
				.n_models = 1,
				.n_lanes = 1,
				.seed = 4,
				.until_ns = 400 * S / FEWER};
	(void)state;
	for (int i = 0; i < N; i++) {
		t[i] = backlogged(1);
		if (i > 0) {
			t[i].outstanding = 3;
			t[i].think_ns = 10 * MS;
		}
	}
	struct ps_sim_summary sum = sim_run(&p, r);
	for (int i = 1; i < N; i++)
		assert_true(r[0].cost_ns >= 0.99 * r[i].cost_ns);
	assert_true(r[0].cost_ns >= 0.99 * sum.cost_ns / N);
}

struct class_row {
	double floor;
	double guaranteed_load;	  /* of one lane; >= 1: always backlogged */
	double at_least, at_most; /* of best-effort's part of the lane time */
};

static const struct class_row class_rows[] = {
	{0, 1, 0, 0.001},      {0.05, 1, 0.049, 0.053}, {0.25, 1, 0.245, 0.26},
	{0.5, 1, 0.495, 0.51}, {0, 0.6, 0.385, 0.415},	{0.1, 0.6, 0.385, 0.415},
};

/* Guaranteed goes first, best-effort has the rest, and at least its floor. */
static void best_effort_has_its_floor(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof class_rows / sizeof *class_rows; i++) {
		const struct class_row *row = &class_rows[i];
		struct ps_sim_tenant t[2] = {backlogged(1), backlogged(1)};
		struct ps_sim_result r[2];
		struct ps_sim_plan p = {.tenants = t,
					.models = &exponential,
					.n_tenants = 2,
					.n_models = 1,
					.n_lanes = 1,
					.best_effort_floor = row->floor,
					.seed = 4,
					.until_ns = 500 * S / FEWER};
		if (row->guaranteed_load < 1) {
			t[0].arrival = PS_SIM_POISSON;
			t[0].rate_rps = row->guaranteed_load / 5e-3;
			t[0].queue_limit = 100000;
		}
		t[1].class = PS_TENANCY_BEST_EFFORT;
		struct ps_sim_summary sum = sim_run(&p, r);
		double part = r[1].cost_ns / sum.cost_ns, slack = FEWER > 1 ? 0.02 : 0;
		if (part < row->at_least - slack || part > row->at_most + slack)
			fail_msg("floor %g, guaranteed %g: best-effort got %g", row->floor,
				 row->guaranteed_load, part);
		assert_true(sum.idle_ns == 0);
	}
}

/* With a floor everything is served in the end: among 3 backlogged best-effort tenants under a
 * backlogged guaranteed one with all the weight, the longest wait is about what the share says. */
static void nobody_starves(void **state)
{
	struct ps_sim_tenant t[4];
	struct ps_sim_result r[4];
	const struct ps_sim_model fixed = {.service_ns = 5e6};
	struct ps_sim_plan p = {.tenants = t,
				.models = &fixed,
				.n_tenants = 4,
				.n_models = 1,
				.n_lanes = 2,
				.best_effort_floor = 0.1,
				.seed = 4,
				.until_ns = 100 * S,
				.warmup_ns = 5 * S};
	(void)state;
	for (int i = 0; i < 4; i++) {
		t[i] = backlogged(i == 0 ? 1000 : i);
		t[i].class = i == 0 ? PS_TENANCY_GUARANTEED : PS_TENANCY_BEST_EFFORT;
		t[i].outstanding = 10;
	}
	sim_run(&p, r);
	for (int i = 1; i < 4; i++) {
		double part = 0.1 * i / 6; /* weights 1, 2, 3 */
		double wait_ns = 10 * 5e6 / 2 / part;
		assert_true(r[i].served > 0);
		if ((double)r[i].latency_max_ns > 1.3 * wait_ns)
			fail_msg("tenant %d waited %g ms, its share says %g", i,
				 (double)r[i].latency_max_ns * 1e-6, wait_ns * 1e-6);
	}
}

/* With a reserved lane a lone guaranteed request never waits, however long best-effort runs. */
static void a_reserved_lane_is_free(void **state)
{
	const struct ps_sim_model m[2] = {{.service_ns = 5e6}, {.service_ns = 500e6}};
	struct ps_sim_tenant t[2] = {backlogged(1), backlogged(1)};
	struct ps_sim_result r[2];
	struct ps_sim_plan p = {.tenants = t,
				.models = m,
				.n_tenants = 2,
				.n_models = 2,
				.n_lanes = 3,
				.reserve_lanes = 1,
				.best_effort_floor = 0.3,
				.seed = 4,
				.until_ns = 200 * S};
	(void)state;
	t[0].outstanding = 1;
	t[0].think_ns = 7 * MS;
	t[1].model = 1;
	t[1].class = PS_TENANCY_BEST_EFFORT;
	struct ps_sim_summary sum = sim_run(&p, r);
	assert_int_equal(r[0].latency_max_ns, 5 * MS);
	assert_true(r[1].cost_ns > 1.9 * (double)sum.end_ns); /* two lanes, always */
	p.reserve_lanes = 0;
	sim_run(&p, r);
	assert_true(r[0].latency_max_ns > 5 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_stay_within_the_bound),
		cmocka_unit_test(shares_stay_within_the_bound_with_batches),
		cmocka_unit_test(an_idle_tenant_banks_nothing),
		cmocka_unit_test(pauses_gain_nothing),
		cmocka_unit_test(best_effort_has_its_floor),
		cmocka_unit_test(nobody_starves),
		cmocka_unit_test(a_reserved_lane_is_free),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
