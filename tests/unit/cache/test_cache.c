/* A cache over epochs: demand that is forgotten, plans that are kept, draws, victims. */
#include "cache/cache.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct ps_cache *make(enum ps_cache_kind policy, int64_t capacity)
{
	const struct ps_cache_options o = {
		.policy = policy, .capacity_bytes = capacity, .half_life_epochs = 1, .seed = 5};
	struct ps_cache *c;

	assert_int_equal(ps_cache_new(&o, &c, NULL), PS_OK);
	return c;
}

static int tenant(struct ps_cache *c, const char *name, double weight)
{
	const struct ps_cache_tenant t = {.weight = weight};
	int at = -1;

	assert_int_equal(ps_cache_set_tenant(c, name, &t, &at, NULL), PS_OK);
	return at;
}

static int item(struct ps_cache *c, const char *key, int64_t bytes)
{
	const struct ps_cache_item t = {.bytes = bytes, .load_s = (double)bytes};
	int at = -1;

	assert_int_equal(ps_cache_set_item(c, key, &t, &at, NULL), PS_OK);
	return at;
}

static void ask(struct ps_cache *c, int who, int what, int times)
{
	for (int i = 0; i < times; i++)
		ps_cache_ask(c, who, what);
}

static struct ps_cache_epoch epoch(struct ps_cache *c)
{
	struct ps_cache_epoch e;
	struct ps_error err = {0};

	if (ps_cache_epoch_end(c, &e, &err) != PS_OK)
		fail_msg("%s", err.what);
	return e;
}

static void test_demand_is_forgotten_by_half(void **state)
{
	struct ps_cache *c = make(PS_CACHE_PF, 100);
	int a = tenant(c, "a", 1), x = item(c, "x", 10);

	(void)state;
	ask(c, a, x, 8);
	assert_true(epoch(c).number == 1);
	assert_true(fabs(ps_cache_demand(c, a, x) - 8) < 1e-12);
	(void)epoch(c);
	/* (8 x 1/2 + 0) / (1 + 1/2) */
	assert_true(fabs(ps_cache_demand(c, a, x) - 8. / 3) < 1e-12);
	ps_cache_set_demand(c, a, x, 5);
	assert_true(fabs(ps_cache_demand(c, a, x) - 5) < 1e-12);
	ps_cache_free(c);
}

/* Halves never end. Who has finished is forgotten after the stated time, and leaves the others its
 * part. */
static void test_the_finished_leave(void **state)
{
	static const struct {
		int asked, epochs; /* in a row, then without; half-life 1: 1/64 is left of ... */
	} rows[] = {{1, 6}, {2, 7}, {100, 12}};

	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
		struct ps_cache *c = make(PS_CACHE_PF, 10);
		int a = tenant(c, "a", 1), b = tenant(c, "b", 1);
		int x = item(c, "x", 10), y = item(c, "y", 10);
		ask(c, b, y, rows[k].asked);
		for (int n = 0; n <= rows[k].epochs + 1; n++) {
			ask(c, a, x, 3);
			struct ps_cache_epoch e = epoch(c);
			bool there = n <= rows[k].epochs;
			assert_int_equal(e.plan->entitled[b] > 0, there);
			assert_true((ps_cache_demand(c, b, y) > 0) == there);
			assert_true(fabs(e.plan->entitled[a] / e.plan->best[a] -
					 (there ? 0.5 : 1)) < 1e-12);
		}
		/* Of nothing nothing is decided. */
		for (int n = 0; n < 40; n++)
			(void)epoch(c);
		uint64_t last = ps_cache_last(c)->number;
		assert_true(epoch(c).number == last);
		assert_true(ps_cache_demand(c, a, x) == 0);
		ps_cache_free(c);
	}
}

/* A restart with the demand that was kept decides as before. */
static void test_demand_put_back_decides(void **state)
{
	struct ps_cache *c = make(PS_CACHE_OPTP, 10);
	int a = tenant(c, "a", 1), x = item(c, "x", 10), y = item(c, "y", 9);

	(void)state;
	assert_true(epoch(c).number == 0);
	assert_null(ps_cache_last(c)->plan);
	ps_cache_set_demand(c, a, y, 3);
	ps_cache_set_demand(c, a, x, 1);
	struct ps_cache_epoch e = epoch(c);
	assert_true(e.number == 1 && e.switched);
	assert_true(ps_cache_wants(c, y) && !ps_cache_wants(c, x));
	assert_true(fabs(e.loads_s - 9) < 1e-12);
	ps_cache_free(c);
}

static void test_the_same_content_is_one_item(void **state)
{
	struct ps_cache *c = make(PS_CACHE_PF, 10);
	int a = tenant(c, "a", 1), b = tenant(c, "b", 1);
	int x = item(c, "digest", 10), again = item(c, "digest", 10);

	(void)state;
	assert_int_equal(x, again);
	ask(c, a, x, 1);
	ask(c, b, again, 1);
	struct ps_cache_epoch e = epoch(c);
	assert_true(fabs(e.plan->utility[a] - e.plan->best[a]) < 1e-12);
	assert_true(fabs(e.plan->utility[b] - e.plan->best[b]) < 1e-12);
	ps_cache_free(c);
}

static void test_what_does_not_fit_is_refused(void **state)
{
	struct ps_cache *c = make(PS_CACHE_PF, 10);
	const struct ps_cache_item large = {.bytes = 11, .load_s = 1};
	const struct ps_cache_item pinned = {.bytes = 6, .load_s = 1, .pinned = true};
	const struct ps_cache_tenant greedy = {.weight = 1, .guaranteed_bytes = 5};
	struct ps_error err;
	int at = -1;

	(void)state;
	assert_int_equal(ps_cache_set_item(c, "large", &large, &at, &err), PS_ETOOBIG);
	assert_non_null(strstr(err.what, "11 B"));
	assert_non_null(strstr(err.what, "10 B"));
	assert_int_equal(ps_cache_find_item(c, "large"), -1);
	assert_int_equal(ps_cache_set_item(c, "p", &pinned, &at, &err), PS_OK);
	assert_int_equal(ps_cache_set_tenant(c, "t", &greedy, &at, &err), PS_ETOOBIG);
	assert_int_equal(ps_cache_find_tenant(c, "t"), -1);
	assert_int_equal(ps_cache_set_capacity(c, 5, &err), PS_ETOOBIG);
	assert_int_equal(ps_cache_set_capacity(c, 11, &err), PS_OK);
	assert_int_equal(ps_cache_set_tenant(c, "t", &greedy, &at, &err), PS_OK);
	ps_cache_free(c);
}

/* Chances come out over epochs, the log has what drew them, and the same seed repeats it. */
static void test_draws_follow_the_plan(void **state)
{
	enum { EPOCHS = 4000 };
	uint64_t first = 0;

	(void)state;
	for (int run = 0; run < 2; run++) {
		struct ps_cache *c = make(PS_CACHE_PF, 10);
		int a = tenant(c, "a", 2), b = tenant(c, "b", 1);
		int x = item(c, "x", 10), y = item(c, "y", 10);
		int had = 0, switches = 0;
		uint64_t mix = 0;
		for (int k = 0; k < EPOCHS; k++) {
			ask(c, a, x, 3);
			ask(c, b, y, 3);
			struct ps_cache_epoch e = epoch(c);
			ps_cache_set_resident(c, x, ps_cache_wants(c, x));
			ps_cache_set_resident(c, y, ps_cache_wants(c, y));
			had += ps_cache_wants(c, x);
			switches += e.switched;
			mix = mix * 31 + (uint64_t)e.drawn;
			assert_true(e.renew > 0 && e.renew < 1);
			assert_true(k == 0 || e.reused);
		}
		assert_true(abs(had - EPOCHS * 2 / 3) < EPOCHS / 12);
		/* 20 s and 10 s are spared per epoch: a tenth of it goes into loads of 10 s. */
		assert_true(fabs(10. * switches / EPOCHS - 3) < 0.4);
		assert_true(run == 0 || mix == first);
		first = mix;
		ps_cache_free(c);
	}
}

static void test_a_plan_is_kept_while_it_is_good(void **state)
{
	const struct ps_cache_options o = {.policy = PS_CACHE_PF,
					   .capacity_bytes = 10,
					   .half_life_epochs = 1,
					   .reuse_gap = 0.2};
	struct ps_cache *c;

	(void)state;
	assert_int_equal(ps_cache_new(&o, &c, NULL), PS_OK);
	int a = tenant(c, "a", 1), b = tenant(c, "b", 1);
	int x = item(c, "x", 10), y = item(c, "y", 10), z = item(c, "z", 10);
	ask(c, a, x, 30);
	ask(c, b, y, 30);
	assert_false(epoch(c).reused);
	/* A little of something else: the shares are still good, and the gap says how good. */
	ask(c, a, x, 30);
	ask(c, b, y, 30);
	ask(c, b, z, 1);
	struct ps_cache_epoch e = epoch(c);
	assert_true(e.reused && e.plan->gap > 0 && e.plan->gap <= 0.2);
	ask(c, b, z, 90);
	e = epoch(c);
	assert_true(!e.reused && e.plan->gap <= PS_CACHE_GAP);
	ps_cache_free(c);
}

/* What is shown of a plan that is kept is what it gives now, though it was made for other requests:
 * its worst share may be under 1, by no more than the certificate says, and one that is new keeps
 * it. */
static void test_a_kept_plan_is_judged_anew(void **state)
{
	const struct ps_cache_options o = {.policy = PS_CACHE_PF,
					   .capacity_bytes = 10,
					   .half_life_epochs = 1,
					   .reuse_gap = 0.2};
	struct ps_cache *c;
	int kept = 0, under = 0;

	(void)state;
	assert_int_equal(ps_cache_new(&o, &c, NULL), PS_OK);
	int a = tenant(c, "a", 1), b = tenant(c, "b", 2);
	int x = item(c, "x", 10), y = item(c, "y", 10), z = item(c, "z", 10);
	for (int n = 0; n < 60; n++) {
		ask(c, a, x, 30);
		ask(c, a, z, n < 20 ? 0 : n);
		ask(c, b, y, 30);
		struct ps_cache_epoch e = epoch(c);
		struct ps_cache_problem p;
		double worst = INFINITY;
		ps_cache_problem_of(c, &p);
		for (int i = 0; i < 2; i++) {
			double v = 0, alone = 0;
			for (int k = 0; k < e.plan->n; k++)
				v += e.plan->config[k].share *
				     ps_cache_utility(&p, i, e.plan->config[k].has);
			for (int j = 0; j < 3; j++) {
				const uint64_t has = UINT64_C(1) << j;
				alone = fmax(alone, ps_cache_utility(&p, i, &has));
			}
			assert_true(fabs(e.plan->utility[i] - v) <= 1e-9 * v);
			assert_true(fabs(e.plan->best[i] - alone) <= 1e-9 * alone);
			worst = fmin(worst, v / (alone * (i + 1) / 3));
		}
		assert_true(fabs(ps_cache_worst_share(e.plan, NULL) - worst) < 1e-9);
		assert_true(worst >= (1 - 1e-9) / (1 + e.plan->gap));
		assert_true(e.plan->gap <= (e.reused ? 0.2 : PS_CACHE_GAP));
		kept += e.reused;
		under += worst < 1 - 1e-6;
	}
	/* Both happened: kept, and under the share by it. */
	assert_true(kept > 0 && kept < 59 && under > 0);
	ps_cache_free(c);
}

static bool not_the_first(void *ctx, int j)
{
	return j != *(const int *)ctx;
}

static void test_victims(void **state)
{
	int victims[8], n;
	struct ps_cache *c = make(PS_CACHE_LRU, 30);
	int a = tenant(c, "a", 1), x[4];
	char key[16];

	(void)state;
	for (int j = 0; j < 4; j++) {
		snprintf(key, sizeof(key), "m%d", j);
		x[j] = item(c, key, j == 3 ? 20 : 10);
	}
	for (int j = 0; j < 3; j++) {
		ps_cache_ask(c, a, x[j]);
		ps_cache_set_resident(c, x[j], true);
	}
	ps_cache_ask(c, a, x[0]);
	n = ps_cache_victims(c, a, x[3], 20, false, NULL, NULL, victims, 8);
	assert_true(n == 2 && victims[0] == x[1] && victims[1] == x[2]);
	n = ps_cache_victims(c, a, x[3], 20, false, not_the_first, &x[1], victims, 8);
	assert_true(n == 2 && victims[0] == x[2] && victims[1] == x[0]);
	assert_int_equal(ps_cache_victims(c, a, x[3], 31, false, NULL, NULL, victims, 8), 0);
	assert_int_equal(ps_cache_victims(c, a, x[3], 20, false, NULL, NULL, victims, 1), 0);
	ps_cache_free(c);
}

/* The small ones that a large one makes needless stay. */
static void test_no_victim_is_needless(void **state)
{
	struct ps_cache *c = make(PS_CACHE_LRU, 30);
	int a = tenant(c, "a", 1), small = item(c, "s", 1), large = item(c, "l", 20);
	int other = item(c, "o", 25), victims[4];

	(void)state;
	ps_cache_ask(c, a, small);
	ps_cache_ask(c, a, large);
	ps_cache_set_resident(c, small, true);
	ps_cache_set_resident(c, large, true);
	assert_int_equal(ps_cache_victims(c, a, other, 15, false, NULL, NULL, victims, 4), 1);
	assert_int_equal(victims[0], large);
	ps_cache_free(c);
}

/* What the plan wants is given up last, and only to who may rob; least harm to others first. */
static void test_a_planned_configuration_is_kept(void **state)
{
	struct ps_cache *c = make(PS_CACHE_PF, 30);
	int a = tenant(c, "a", 1), b = tenant(c, "b", 1), victims[4];
	int mine = item(c, "mine", 10), theirs = item(c, "theirs", 10), rare = item(c, "rare", 10);
	int stray = item(c, "stray", 10);

	(void)state;
	ask(c, a, mine, 20);
	ask(c, b, theirs, 20);
	ask(c, a, rare, 3);
	ask(c, a, stray, 1);
	(void)epoch(c);
	assert_true(ps_cache_wants(c, mine) && ps_cache_wants(c, theirs));
	assert_true(ps_cache_wants(c, rare) && !ps_cache_wants(c, stray));
	ps_cache_set_resident(c, mine, true);
	ps_cache_set_resident(c, theirs, true);
	assert_int_equal(ps_cache_victims(c, a, stray, 10, false, NULL, NULL, victims, 4), 0);
	assert_int_equal(ps_cache_victims(c, a, stray, 10, true, NULL, NULL, victims, 4), 1);
	assert_int_equal(victims[0], mine);
	ps_cache_set_resident(c, stray, true);
	assert_int_equal(ps_cache_victims(c, b, rare, 10, false, NULL, NULL, victims, 4), 1);
	assert_int_equal(victims[0], stray);
	ps_cache_free(c);
}

static void test_numbers_are_given_again(void **state)
{
	struct ps_cache *c = make(PS_CACHE_PF, 1000);
	int a = tenant(c, "a", 1), first = item(c, "first", 10);
	char key[16];

	(void)state;
	ask(c, a, first, 4);
	(void)epoch(c);
	assert_true(ps_cache_wants(c, first));
	ps_cache_drop_item(c, first);
	assert_null(ps_cache_item_key(c, first));
	int second = item(c, "second", 10);
	assert_int_equal(first, second);
	assert_false(ps_cache_wants(c, second));
	assert_true(ps_cache_demand(c, a, second) == 0);
	/* Growth keeps what was known. */
	ask(c, a, second, 4);
	for (int j = 0; j < 200; j++) {
		snprintf(key, sizeof(key), "k%d", j);
		(void)item(c, key, 100);
	}
	int b = tenant(c, "b", 1);
	ask(c, b, ps_cache_find_item(c, "k150"), 2);
	(void)epoch(c);
	assert_true(ps_cache_wants(c, second));
	assert_true(ps_cache_wants(c, ps_cache_find_item(c, "k150")));
	ps_cache_drop_tenant(c, a);
	assert_null(ps_cache_tenant_name(c, a));
	assert_int_equal(tenant(c, "z", 1), a);
	ps_cache_free(c);
}

/* Planned while others go on: what changed meanwhile is heeded. */
static void test_a_job_beside_the_cache(void **state)
{
	struct ps_cache *c = make(PS_CACHE_OPTP, 100);
	int a = tenant(c, "a", 1), x = item(c, "x", 30), y = item(c, "y", 20);
	struct ps_cache_job *job;
	struct ps_cache_epoch e;
	char key[16];

	(void)state;
	assert_int_equal(ps_cache_epoch_begin(c, &job, NULL), PS_OK);
	assert_null(job);
	assert_int_equal(ps_cache_epoch_commit(c, job, &e, NULL), PS_OK);
	assert_true(e.number == 0);
	ask(c, a, x, 2);
	ask(c, a, y, 2);
	assert_int_equal(ps_cache_epoch_begin(c, &job, NULL), PS_OK);
	assert_int_equal(ps_cache_job_run(job, NULL), PS_OK);
	/* One goes, its number comes back, and many come. */
	ps_cache_drop_item(c, x);
	for (int j = 0; j < 100; j++) {
		snprintf(key, sizeof(key), "k%d", j);
		(void)item(c, key, 5);
	}
	assert_int_equal(ps_cache_epoch_commit(c, job, &e, NULL), PS_OK);
	assert_true(e.number == 1 && ps_cache_wants(c, y) && !ps_cache_wants(c, x));
	/* What fits no more is given up; so is what was never run. */
	ask(c, a, y, 9);
	assert_int_equal(ps_cache_epoch_begin(c, &job, NULL), PS_OK);
	assert_int_equal(ps_cache_job_run(job, NULL), PS_OK);
	assert_int_equal(ps_cache_set_capacity(c, 10, NULL), PS_OK);
	assert_int_equal(ps_cache_epoch_commit(c, job, &e, NULL), PS_OK);
	assert_true(e.number == 1);
	assert_int_equal(ps_cache_epoch_begin(c, &job, NULL), PS_OK);
	assert_int_equal(ps_cache_epoch_commit(c, job, &e, NULL), PS_OK);
	assert_true(e.number == 1);
	assert_true(epoch(c).number == 2);
	assert_false(ps_cache_wants(c, y));
	ps_cache_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_demand_is_forgotten_by_half),
		cmocka_unit_test(test_the_finished_leave),
		cmocka_unit_test(test_demand_put_back_decides),
		cmocka_unit_test(test_the_same_content_is_one_item),
		cmocka_unit_test(test_what_does_not_fit_is_refused),
		cmocka_unit_test(test_draws_follow_the_plan),
		cmocka_unit_test(test_a_plan_is_kept_while_it_is_good),
		cmocka_unit_test(test_a_kept_plan_is_judged_anew),
		cmocka_unit_test(test_victims),
		cmocka_unit_test(test_no_victim_is_needless),
		cmocka_unit_test(test_a_planned_configuration_is_kept),
		cmocka_unit_test(test_numbers_are_given_again),
		cmocka_unit_test(test_a_job_beside_the_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
