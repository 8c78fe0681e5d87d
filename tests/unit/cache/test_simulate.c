/* Simulations small enough to follow by hand, and the published setting's promises. */
#include "cache/simulate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct ps_cache_tenant tenant[2] = {{.weight = 1}, {.weight = 1}};
static struct ps_cache_item item[2] = {{.bytes = 10, .load_s = 4}, {.bytes = 10, .load_s = 4}};
static double run_s[2] = {1, 1};

static struct ps_cache_workload work(struct ps_cache_request *request, size_t n)
{
	return (struct ps_cache_workload){.tenants = 2,
					  .items = 2,
					  .requests = n,
					  .tenant = tenant,
					  .item = item,
					  .run_s = run_s,
					  .request = request};
}

static void simulate(const struct ps_cache_workload *w, const struct ps_cache_sim_options *o,
		     const double *alone, struct ps_cache_sim_result *ret)
{
	struct ps_error err = {0};

	if (ps_cache_sim_run(w, o, alone, ret, &err) != PS_OK)
		fail_msg("%s", err.what);
}

static bool near(double a, double b)
{
	return fabs(a - b) < 1e-9;
}

/* LRU with room for one: a miss of 5 s, a hit of 1 s, a miss that throws it out, a miss again. */
static void test_requests_one_by_one(void **state)
{
	struct ps_cache_request q[] = {{0, 0, 0}, {6, 0, 0}, {8, 0, 1}, {20, 0, 0}};
	const struct ps_cache_workload w = work(q, 4);
	const struct ps_cache_sim_options o = {
		.policy = PS_CACHE_LRU, .capacity_bytes = 10, .epoch_s = 100};
	struct ps_cache_sim_result r;

	(void)state;
	simulate(&w, &o, NULL, &r);
	assert_int_equal(r.tenant[0].requests, 4);
	assert_int_equal(r.tenant[0].hits, 1);
	assert_true(near(r.tenant[0].mean_latency_s, (5 + 1 + 5 + 5) / 4.));
	assert_true(near(r.requests_per_s, 4 / 25.));
	assert_true(near(r.load_s, 12));
	assert_true(near(r.used, 1));
	assert_true(isnan(r.tenant[0].mean_slowdown));
	ps_cache_sim_free(&r);
}

/* Who asks for what another one is loading waits for the rest of that load, and it is no hit. */
static void test_a_load_that_is_under_way(void **state)
{
	struct ps_cache_request q[] = {{0, 0, 0}, {2, 1, 0}, {10, 1, 0}};
	const struct ps_cache_workload w = work(q, 3);
	const struct ps_cache_sim_options o = {
		.policy = PS_CACHE_LRU, .capacity_bytes = 10, .epoch_s = 100};
	struct ps_cache_sim_result r;

	(void)state;
	simulate(&w, &o, NULL, &r);
	/* Loaded to 4 at full speed, as who waits needs nothing; then both run, each at half. */
	assert_true(near(r.tenant[0].mean_latency_s, 6));
	assert_true(near(r.tenant[1].mean_latency_s, (4 + 1) / 2.));
	assert_int_equal(r.tenant[0].hits, 0);
	assert_int_equal(r.tenant[1].hits, 1);
	assert_true(near(r.load_s, 4));
	ps_cache_sim_free(&r);
}

/* Nor does it go for another one that needs its room. */
static void test_what_is_being_loaded_stays(void **state)
{
	struct ps_cache_request q[] = {{0, 0, 0}, {1, 1, 1}, {20, 1, 0}};
	const struct ps_cache_workload w = work(q, 3);
	const struct ps_cache_sim_options o = {
		.policy = PS_CACHE_LRU, .capacity_bytes = 10, .epoch_s = 100};
	struct ps_cache_sim_result r;

	(void)state;
	simulate(&w, &o, NULL, &r);
	/* From 1 on both have half: 4 s are left of the first, 5 of the second. */
	assert_true(near(r.tenant[0].mean_latency_s, 9));
	assert_true(near(r.tenant[1].mean_latency_s, (9 + 1) / 2.));
	assert_int_equal(r.tenant[1].hits, 1);
	assert_true(near(r.load_s, 8));
	ps_cache_sim_free(&r);
}

/* Groups of over 16 tenants are not enumerated: those epochs are not looked at, and all else is. */
static void test_many_tenants(void **state)
{
	enum { MANY = PS_CACHE_CORE_TENANTS + 1 };
	struct ps_cache_tenant many[MANY];
	struct ps_cache_request q[2 * MANY];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		many[i] = (struct ps_cache_tenant){.weight = 1};
		q[i] = (struct ps_cache_request){0, i, i % 2};
		q[MANY + i] = (struct ps_cache_request){1000, i % 3, i % 2};
	}
	struct ps_cache_workload w = work(q, 2 * MANY);
	w.tenants = MANY;
	w.tenant = many;
	for (int k = 0; k < PS_CACHE_KINDS; k++) {
		const struct ps_cache_sim_options o = {.policy = (enum ps_cache_kind)k,
						       .capacity_bytes = 10,
						       .epoch_s = 500,
						       .batch = true,
						       .core = true};
		struct ps_cache_sim_result r;
		simulate(&w, &o, NULL, &r);
		assert_int_equal(r.epochs, 2);
		assert_int_equal(r.core_epochs, 1);
		assert_true(isfinite(r.worst_share) && r.jain > 0);
		ps_cache_sim_free(&r);
	}
}

/* Two at once each get half the machine; alone each takes half the time. */
static void test_tenants_share_the_machine(void **state)
{
	struct ps_cache_request q[] = {{0, 0, 0}, {0, 1, 1}};
	const struct ps_cache_workload w = work(q, 2);
	const struct ps_cache_sim_options o = {
		.policy = PS_CACHE_LRU, .capacity_bytes = 20, .epoch_s = 100};
	struct ps_cache_sim_result r;
	double alone[2];

	(void)state;
	assert_int_equal(ps_cache_sim_alone(&w, &o, alone, NULL), PS_OK);
	assert_true(near(alone[0], 5) && near(alone[1], 5));
	simulate(&w, &o, alone, &r);
	for (int i = 0; i < 2; i++) {
		assert_true(near(r.tenant[i].mean_latency_s, 10));
		assert_true(near(r.tenant[i].mean_slowdown, 2));
		assert_true(near(r.tenant[i].p99_slowdown, 2));
	}
	ps_cache_sim_free(&r);
}

/* A batch waits for its epoch, whose plan knows it; what was let in at most is kept. */
static void test_a_batch(void **state)
{
	struct ps_cache_request q[] = {{1, 0, 0}, {2, 0, 0}, {3, 0, 0}};
	const struct ps_cache_workload w = work(q, 3);
	struct ps_cache_sim_options o = {.policy = PS_CACHE_OPTP,
					 .capacity_bytes = 10,
					 .epoch_s = 10,
					 .batch = true,
					 .per_epoch = 2};
	struct ps_cache_sim_result r;

	(void)state;
	simulate(&w, &o, NULL, &r);
	/* At 10 the first loads (to 15) and the second hits (to 16); the third waits for 20. */
	assert_true(near(r.tenant[0].mean_latency_s, (14 + 14 + 18) / 3.));
	assert_int_equal(r.tenant[0].hits, 2);
	assert_int_equal(r.epochs, 2);
	assert_true(near(r.tenant[0].best_s, 12));
	ps_cache_sim_free(&r);
	o.per_epoch = 0;
	simulate(&w, &o, NULL, &r);
	assert_true(near(r.tenant[0].mean_latency_s, (14 + 14 + 14) / 3.));
	ps_cache_sim_free(&r);
}

static void test_the_published_workload(void **state)
{
	const struct ps_cache_published p = {.tenants = 4,
					     .mean_gap_s = 2,
					     .length_s = 120,
					     .zipf = 1,
					     .cold_bytes_per_s = 3e8,
					     .warm_bytes_per_s = 3e10,
					     .seed = 3};
	struct ps_cache_sim_options o = {.capacity_bytes = 1000000000,
					 .epoch_s = 10,
					 .batch = true,
					 .per_epoch = 5,
					 .warm_factor = 2,
					 .seed = 3,
					 .core = true};
	struct ps_cache_workload w;

	(void)state;
	assert_int_equal(ps_cache_published_workload(&p, &w, NULL), PS_OK);
	assert_int_equal(w.items, 20);
	assert_true(w.requests > 170 && w.requests < 320); /* 240 on average */
	assert_int_equal(w.item[0].bytes, 1253000000);
	assert_int_equal(w.item[19].bytes, 300000);
	for (int k = 0; k < PS_CACHE_KINDS; k++) {
		struct ps_cache_sim_result r, again;
		o.policy = (enum ps_cache_kind)k;
		simulate(&w, &o, NULL, &r);
		simulate(&w, &o, NULL, &again);
		assert_true(r.requests_per_s == again.requests_per_s);
		assert_true(r.used <= 1 && r.hit_ratio < 1 && r.jain <= 1);
		if (k == PS_CACHE_PF || k == PS_CACHE_MMF || k == PS_CACHE_RSD)
			assert_true(r.worst_epoch >= 1 - 1e-6);
		if (k == PS_CACHE_PF)
			assert_true(r.outside == 0 && r.core_epochs == r.epochs &&
				    r.gap <= PS_CACHE_GAP);
		ps_cache_sim_free(&r);
		ps_cache_sim_free(&again);
	}
	ps_cache_workload_free(&w);
}

static void test_refusals(void **state)
{
	struct ps_cache_request q[] = {{5, 0, 0}, {4, 0, 0}};
	struct ps_cache_workload w = work(q, 2);
	struct ps_cache_sim_options o = {.policy = PS_CACHE_PF, .capacity_bytes = 10, .epoch_s = 1};
	struct ps_cache_sim_result r;
	struct ps_error err;

	(void)state;
	assert_int_equal(ps_cache_sim_run(&w, &o, NULL, &r, &err), PS_EINVAL);
	w.requests = 1;
	o.epoch_s = 0;
	assert_int_equal(ps_cache_sim_run(&w, &o, NULL, &r, &err), PS_EINVAL);
	o.epoch_s = 1e-9;
	assert_int_equal(ps_cache_sim_run(&w, &o, NULL, &r, &err), PS_EINVAL);
	o.epoch_s = 1;
	q[0].item = 2;
	assert_int_equal(ps_cache_sim_run(&w, &o, NULL, &r, &err), PS_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests_one_by_one),
		cmocka_unit_test(test_a_load_that_is_under_way),
		cmocka_unit_test(test_what_is_being_loaded_stays),
		cmocka_unit_test(test_many_tenants),
		cmocka_unit_test(test_tenants_share_the_machine),
		cmocka_unit_test(test_a_batch),
		cmocka_unit_test(test_the_published_workload),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
