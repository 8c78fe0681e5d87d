/* The queue against closed formulas, and against the server's own policy in virtual time. */
// needs: sim
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "predict/queue.h"
#include "sim/sim.h"

#include <math.h>
#include <string.h>

#define MS 1e6

static void near(const char *what, double got, double want, double tolerance)
{
	if (!(fabs(got / want - 1) <= tolerance))
		fail_msg("%s: %.6g, not %.6g within %g %%", what, got, want, 100 * tolerance);
}

/* M/D/1 and M/G/1: the mean wait of Pollaczek and Khinchine. */
static void test_mean_wait(void **state)
{
	static const struct {
		double busy, variation;
	} rows[] = {{0.3, 0}, {0.7, 0}, {0.9, 0}, {0.5, 1}, {0.8, 0.5}};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_predict_load l = {.rate_rps = 100 * rows[i].busy,
					    .service_ns = 10 * MS,
					    .variation = rows[i].variation,
					    .weight = 1};
		struct ps_predict_queue q = {
			.loads = &l, .n_loads = 1, .n_lanes = 1, .requests = 2000000, .seed = 7};
		struct ps_predict_waited w;
		assert_int_equal(ps_predict_queue_run(&q, &w, NULL), PS_OK);
		near("mean wait", w.wait_ns,
		     ps_predict_queue_mean_wait(l.rate_rps, l.service_ns, l.variation),
		     rows[i].busy > 0.85 ? 0.06 : 0.025);
		near("share", w.share, rows[i].busy, 0.01);
		near("mean", w.mean_ns, w.wait_ns + 10 * MS, 0.005);
		assert_true(w.p50_ns <= w.p95_ns && w.p95_ns <= w.p99_ns);
	}
	/* 0.5 x 10 ms / (2 x 0.5) by hand */
	assert_true(fabs(ps_predict_queue_mean_wait(50, 10 * MS, 0) - 5 * MS) < 1);
	assert_true(isinf(ps_predict_queue_mean_wait(100, 10 * MS, 0)));
}

/* The same loads in sim, which runs the dispatcher of the server. */
static void in_sim(const struct ps_predict_queue *q, struct ps_sim_result *ret)
{
	struct ps_sim_tenant tenants[4];
	struct ps_sim_model models[4];
	memset(tenants, 0, sizeof tenants);
	memset(models, 0, sizeof models);
	for (int i = 0; i < q->n_loads; i++) {
		const struct ps_predict_load *l = &q->loads[i];
		models[i] = (struct ps_sim_model){.service = PS_SIM_FIXED,
						  .service_ns = l->service_ns,
						  .table_ns = l->table_ns,
						  .n_table = l->table_len,
						  .max_batch = (int64_t)l->table_len};
		tenants[i] = (struct ps_sim_tenant){.model = i,
						    .rate_rps = l->rate_rps,
						    .weight = (int64_t)l->weight,
						    .queue_limit = 1000000};
	}
	struct ps_sim_plan plan = {.tenants = tenants,
				   .models = models,
				   .n_tenants = q->n_loads,
				   .n_models = q->n_loads,
				   .n_lanes = q->n_lanes,
				   .max_waiting = 1000000,
				   .seed = 11,
				   .arrivals = 600000,
				   .warmup = 60000,
				   .quantiles = true};
	struct ps_error err;
	if (ps_sim_run(&plan, ret, NULL, &err) != PS_OK)
		fail_msg("%s", err.what);
}

static void test_as_server(void **state)
{
	static const double batches[] = {10 * MS, 14 * MS, 18 * MS, 22 * MS,
					 26 * MS, 30 * MS, 34 * MS, 38 * MS};
	static const struct {
		const char *what;
		struct ps_predict_load loads[4];
		int n, lanes;
		double tolerance;
	} rows[] = {
		{"one at 70 %", {{70, 10 * MS, 0, 1, NULL, 0, NULL, 0}}, 1, 1, 0.03},
		{"one on two lanes", {{140, 10 * MS, 0, 1, NULL, 0, NULL, 0}}, 1, 2, 0.03},
		{"long beside short",
		 {{30, 10 * MS, 0, 1, NULL, 0, NULL, 0}, {8, 50 * MS, 0, 1, NULL, 0, NULL, 0}},
		 2,
		 1,
		 0.04},
		{"by weight",
		 {{40, 10 * MS, 0, 4, NULL, 0, NULL, 0}, {40, 10 * MS, 0, 1, NULL, 0, NULL, 0}},
		 2,
		 1,
		 0.05},
		{"three on two lanes",
		 {{60, 10 * MS, 0, 1, NULL, 0, NULL, 0},
		  {20, 25 * MS, 0, 1, NULL, 0, NULL, 0},
		  {5, 60 * MS, 0, 1, NULL, 0, NULL, 0}},
		 3,
		 2,
		 0.05},
		{"batches",
		 {{110, 10 * MS, 0, 1, batches, 8, NULL, 0}, {10, 20 * MS, 0, 1, NULL, 0, NULL, 0}},
		 2,
		 1,
		 0.05},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_predict_queue q = {.loads = rows[i].loads,
					     .n_loads = rows[i].n,
					     .n_lanes = rows[i].lanes,
					     .requests = 600000,
					     .seed = 3};
		struct ps_predict_waited w[4];
		struct ps_sim_result s[4];
		assert_int_equal(ps_predict_queue_run(&q, w, NULL), PS_OK);
		in_sim(&q, s);
		for (int k = 0; k < rows[i].n; k++) {
			near(rows[i].what, w[k].mean_ns, s[k].latency_mean_ns, rows[i].tolerance);
			near(rows[i].what, w[k].p50_ns, (double)s[k].p50_ns, rows[i].tolerance);
			near(rows[i].what, w[k].p99_ns, (double)s[k].p99_ns, rows[i].tolerance);
		}
	}
}

/* A neighbour that goes leaves everybody else's arrivals as they were: nobody waits longer. */
static void test_monotone(void **state)
{
	static const struct ps_predict_load loads[] = {{20, 10 * MS, 0.3, 1, NULL, 0, NULL, 0},
						       {10, 20 * MS, 0.3, 1, NULL, 0, NULL, 0},
						       {5, 40 * MS, 0.3, 1, NULL, 0, NULL, 0}};
	struct ps_predict_waited before[3] = {{0}};
	(void)state;
	for (int n = 1; n <= 3; n++) {
		struct ps_predict_queue q = {.loads = loads, .n_loads = n, .n_lanes = 1, .seed = 1};
		struct ps_predict_waited w[3], again[3];
		assert_int_equal(ps_predict_queue_run(&q, w, NULL), PS_OK);
		assert_int_equal(ps_predict_queue_run(&q, again, NULL), PS_OK);
		assert_memory_equal(w, again, (size_t)n * sizeof w[0]);
		for (int i = 0; i < n - 1; i++)
			assert_true(w[i].p99_ns > before[i].p99_ns);
		memcpy(before, w, sizeof before);
	}
}

static void test_refused(void **state)
{
	static const double broken[] = {MS, NAN};
	static const struct {
		struct ps_predict_load load;
		int lanes;
		enum ps_status status;
	} rows[] = {
		{{100, 10 * MS, 0, 1, NULL, 0, NULL, 0}, 1, PS_EUNAVAIL},
		{{100, 10 * MS, 0, 1, NULL, 0, NULL, 0}, 2, PS_OK},
		{{0, MS, 0, 1, NULL, 0, NULL, 0}, 1, PS_EINVAL},
		{{NAN, MS, 0, 1, NULL, 0, NULL, 0}, 1, PS_EINVAL},
		{{1, -MS, 0, 1, NULL, 0, NULL, 0}, 1, PS_EINVAL},
		{{1, MS, -1, 1, NULL, 0, NULL, 0}, 1, PS_EINVAL},
		{{1, MS, 0, 0, NULL, 0, NULL, 0}, 1, PS_EINVAL},
		{{1, MS, 0, 1, broken, 2, NULL, 0}, 1, PS_EINVAL},
		{{1, MS, 0, 1, NULL, 0, NULL, 0}, 0, PS_EINVAL},
		{{1, MS, 0, 1, NULL, 0, NULL, 0}, PS_PREDICT_MAX_LANES + 1, PS_EINVAL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_predict_queue q = {.loads = &rows[i].load,
					     .n_loads = 1,
					     .n_lanes = rows[i].lanes,
					     .requests = 1000};
		struct ps_predict_waited w;
		struct ps_error err;
		if (ps_predict_queue_run(&q, &w, &err) != rows[i].status)
			fail_msg("row %zu: %s", i, err.what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mean_wait),
		cmocka_unit_test(test_as_server),
		cmocka_unit_test(test_monotone),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
