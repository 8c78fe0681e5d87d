/* The policies on problems of many tenants or models, where every set cannot be tried. */
#include "cache/fair_internal.h"
#include "cache/policy.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void same_plans(const struct ps_cache_plan *a, const struct ps_cache_plan *b)
{
	assert_int_equal(a->n, b->n);
	for (int c = 0; c < a->n; c++) {
		assert_true(a->config[c].share == b->config[c].share);
		for (int w = 0; w <= a->items / 64; w++)
			assert_true(a->config[c].has[w] == b->config[c].has[w]);
	}
}

/* MMF's least against what no mixture is over: WELFARE, exact, at prices that favour the worst off
 * of this plan by a power of 10,000. `least` is another plan's. */
static void check_mmf(struct ps_cache_game *g, const struct ps_cache_problem *p, double least)
{
	struct ps_cache_plan mmf, again;
	struct ps_cache_fair f;
	struct ps_error err = {0};
	double bound, sum = 0, worst = INFINITY;

	if (ps_cache_plan_make(PS_CACHE_MMF, p, NULL, &mmf, &err) != PS_OK)
		fail_msg("%s", err.what);
	assert_true(mmf.gap <= 1e-6);
	assert_int_equal(ps_cache_plan_make(PS_CACHE_MMF, p, NULL, &again, NULL), PS_OK);
	same_plans(&mmf, &again);
	assert_true(ps_cache_fair_init(&f, g));
	assert_true(fabs(ps_cache_columns_add_plan(&f.c, &mmf, 1) - 1) < 1e-9);
	f.alpha = 1e4;
	ps_cache_fair_polish(&f, 1e-6);
	(void)ps_cache_welfare(g, f.y, 0, false, g->set, &bound);
	for (int i = 0; i < g->n; i++) {
		int who = g->who[i];
		sum += f.y[i] / f.scale[i];
		worst = fmin(worst, mmf.utility[who] / mmf.best[who] * f.scale[i]);
	}
	if (worst > bound / sum * (1 + 1e-9) || worst < bound / sum * (1 - 2e-3))
		fail_msg("%d tenants: the least has %.9f, and %.9f is possible", g->n, worst,
			 bound / sum);
	assert_true(worst >= least * g->sum / g->n * (1 - 1e-6));
	ps_cache_fair_fini(&f);
	ps_cache_plan_free(&mmf);
	ps_cache_plan_free(&again);
}

/* Too many for every set: the certificate is asked for once more, by exact knapsacks, and so is the
 * bound of MMF's first stage. `part`: memory for one of so many bytes. */
static void check_many(int tenants, int items, int part, uint64_t seed)
{
	struct ps_cache_tenant *tenant = calloc((size_t)tenants, sizeof(*tenant));
	struct ps_cache_item *item = calloc((size_t)items, sizeof(*item));
	double *demand = calloc((size_t)tenants * (size_t)items, sizeof(*demand));
	double *y = calloc((size_t)tenants, sizeof(*y)), bound, least = INFINITY;
	struct ps_cache_problem p = {.tenants = tenants,
				     .items = items,
				     .tenant = tenant,
				     .item = item,
				     .demand = demand};
	struct ps_cache_game g;
	struct ps_cache_plan plan_of;
	struct ps_error err = {0};
	struct ps_rng r;

	ps_rng_init(&r, seed, 3);
	for (int j = 0; j < items; j++) {
		item[j] = (struct ps_cache_item){.bytes = 1000 + (int64_t)ps_rng_below(&r, 9000),
						 .load_s = 0.1 + ps_rng_uniform(&r)};
		p.capacity_bytes += item[j].bytes;
	}
	p.capacity_bytes /= part;
	for (int i = 0; i < tenants; i++) {
		tenant[i].weight = 1 + i % 3;
		for (int j = 0; j < items; j++)
			demand[i * items + j] = ps_rng_below(&r, 4) ? 0 : ps_rng_exponential(&r, 5);
	}
	if (ps_cache_plan_make(PS_CACHE_PF, &p, NULL, &plan_of, &err) != PS_OK)
		fail_msg("%s", err.what);
	assert_int_equal(ps_cache_game_init(&g, &p, NULL), PS_OK);
	assert_int_equal(g.n, tenants);
	for (int i = 0; i < tenants; i++) {
		double scaled = plan_of.utility[i] / plan_of.best[i];
		y[i] = g.w[i] / scaled;
		least = fmin(least, scaled / g.w[i]);
	}
	(void)ps_cache_welfare(&g, y, 0, false, g.set, &bound);
	if (bound / g.sum - 1 > PS_CACHE_GAP || plan_of.gap > PS_CACHE_GAP)
		fail_msg("seed %d: a gap of %g is said to be %g", (int)seed, bound / g.sum - 1,
			 plan_of.gap);
	ps_cache_plan_free(&plan_of);
	check_mmf(&g, &p, least);
	ps_cache_game_fini(&g);
	free(tenant);
	free(item);
	free(demand);
	free(y);
}

static void test_many(void **state)
{
	(void)state;
	check_many(12, 60, 3, 1);
	check_many(30, 120, 4, 2);
	check_many(30, 120, 20, 3);
	check_many(45, 460, 3, 4);
}

/* The family between PF and MMF: the greater alpha, the nearer its least value to that of MMF, and
 * the bound from its prices, whose gap is the mean's over the least. */
static void test_between_pf_and_mmf(void **state)
{
	enum { MANY = 8, MODELS = 30 };
	struct ps_cache_tenant tenants[MANY];
	struct ps_cache_item items[MODELS];
	double demand[MANY * MODELS], before = 0, level = INFINITY;
	struct ps_cache_problem p = {.tenants = MANY,
				     .items = MODELS,
				     .tenant = tenants,
				     .item = items,
				     .demand = demand};
	struct ps_cache_plan mmf;
	struct ps_cache_game g;
	struct ps_cache_fair f;
	struct ps_rng r;

	(void)state;
	ps_rng_init(&r, 6, 4);
	for (int j = 0; j < MODELS; j++) {
		items[j] = (struct ps_cache_item){.bytes = 10 + (int64_t)ps_rng_below(&r, 90),
						  .load_s = 1 + ps_rng_uniform(&r)};
		p.capacity_bytes += items[j].bytes / 6;
	}
	for (int i = 0; i < MANY; i++) {
		tenants[i] = (struct ps_cache_tenant){.weight = 1 + i % 3};
		for (int j = 0; j < MODELS; j++)
			demand[i * MODELS + j] = ps_rng_exponential(&r, 3);
	}
	assert_int_equal(ps_cache_plan_make(PS_CACHE_MMF, &p, NULL, &mmf, NULL), PS_OK);
	assert_int_equal(ps_cache_game_init(&g, &p, NULL), PS_OK);
	assert_true(ps_cache_fair_init(&f, &g) && ps_cache_fair_start_alone(&f, 1));
	for (int i = 0; i < MANY; i++)
		level = fmin(level, mmf.utility[i] / mmf.best[i] * f.scale[i]);
	for (f.alpha = 4; f.alpha < 1e5; f.alpha *= 4) {
		double least = INFINITY, sum = 0, gap = 1;
		f.lowest = INFINITY;
		for (int round = 0; round < 200 && gap > 1e-9; round++) {
			ps_cache_fair_polish(&f, 1e-11);
			struct ps_cache_priced at = ps_cache_fair_price(&f, 0, false);
			gap = at.gap;
			if (at.known)
				break;
			ps_cache_fair_mix_in(&f, at.column);
		}
		for (int i = 0; i < MANY; i++) {
			least = fmin(least, f.v[i] * f.scale[i]);
			sum += f.y[i] / f.scale[i];
		}
		if (level < least * (1 - 1e-9) || level > (1 + gap) * g.sum / sum * (1 + 1e-9) ||
		    least < before * (1 - 1e-6) || gap > 1e-6 ||
		    level > least * pow(MANY, 1 / (f.alpha - 1)) * (1 + 1e-6))
			fail_msg("alpha %g, gap %.2g: %.9f to %.9f, mmf has %.9f", f.alpha, gap,
				 least, (1 + gap) * g.sum / sum, level);
		before = least;
	}
	ps_cache_fair_fini(&f);
	ps_cache_game_fini(&g);
	ps_cache_plan_free(&mmf);
}

/* Over six tenants orders are drawn: nobody's share hangs on which, and the seed repeats them. */
static void test_rsd_of_many(void **state)
{
	enum { MANY = 9, MODELS = 12 };
	struct ps_cache_tenant tenants[MANY];
	struct ps_cache_item items[MODELS];
	double demand[MANY * MODELS];

	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct ps_cache_problem p = {.tenants = 7 + (int)(seed % 3),
					     .items = MODELS,
					     .capacity_bytes = 60,
					     .tenant = tenants,
					     .item = items,
					     .demand = demand,
					     .seed = seed};
		struct ps_cache_plan one, two;
		struct ps_rng r;
		double sum = 0;
		ps_rng_init(&r, seed, 4);
		for (int j = 0; j < MODELS; j++)
			items[j] =
				(struct ps_cache_item){.bytes = 1 + (int64_t)ps_rng_below(&r, 60),
						       .load_s = 1 + ps_rng_uniform(&r)};
		for (int i = 0; i < p.tenants; i++) {
			tenants[i] =
				(struct ps_cache_tenant){.weight = 1 + (double)ps_rng_below(&r, 9)};
			for (int j = 0; j < MODELS; j++)
				demand[i * MODELS + j] =
					ps_rng_below(&r, 2) ? 0 : ps_rng_uniform(&r);
		}
		assert_int_equal(ps_cache_plan_make(PS_CACHE_RSD, &p, NULL, &one, NULL), PS_OK);
		assert_int_equal(ps_cache_plan_make(PS_CACHE_RSD, &p, NULL, &two, NULL), PS_OK);
		same_plans(&one, &two);
		for (int c = 0; c < one.n; c++)
			sum += one.config[c].share;
		assert_true(fabs(sum - 1) < 1e-12);
		if (ps_cache_worst_share(&one, NULL) < 1 - 1e-9)
			fail_msg("seed %d: a share of %.9f", (int)seed,
				 ps_cache_worst_share(&one, NULL));
		ps_cache_plan_free(&one);
		ps_cache_plan_free(&two);
	}
}

/* Groups of 16 are enumerated, 17 are refused with the reason; who asks for nothing is not counted.
 */
static void test_the_core_of_many(void **state)
{
	enum { MANY = 18, MODELS = 20, SEEN = 16 };
	struct ps_cache_tenant tenants[MANY];
	struct ps_cache_item items[MODELS];
	double demand[MANY * MODELS] = {0};
	struct ps_cache_problem p = {.tenants = MANY,
				     .items = MODELS,
				     .capacity_bytes = 300,
				     .tenant = tenants,
				     .item = items,
				     .demand = demand};
	struct ps_cache_objection o;
	struct ps_cache_plan plan_of;
	struct ps_error err = {0};
	struct ps_rng r;

	(void)state;
	ps_rng_init(&r, 8, 4);
	for (int j = 0; j < MODELS; j++)
		items[j] = (struct ps_cache_item){.bytes = 10 + (int64_t)ps_rng_below(&r, 90),
						  .load_s = 1 + ps_rng_uniform(&r)};
	for (int i = 0; i < MANY; i++) {
		tenants[i] = (struct ps_cache_tenant){.weight = 1 + i % 3};
		for (int j = 0; i < SEEN && j < MODELS; j++)
			demand[i * MODELS + j] = ps_rng_exponential(&r, 3);
	}
	assert_int_equal(ps_cache_plan_make(PS_CACHE_PF, &p, NULL, &plan_of, &err), PS_OK);
	assert_int_equal(ps_cache_core(&p, &plan_of, 1e-5, &o, &err), PS_OK);
	assert_false(o.found);
	ps_cache_plan_free(&plan_of);
	demand[SEEN * MODELS] = 1;
	assert_int_equal(ps_cache_plan_make(PS_CACHE_PF, &p, NULL, &plan_of, &err), PS_OK);
	assert_int_equal(ps_cache_core(&p, &plan_of, 1e-5, &o, &err), PS_ETOOBIG);
	assert_non_null(strstr(err.what, "17 tenants"));
	assert_non_null(strstr(err.what, "at most 16"));
	ps_cache_plan_free(&plan_of);
}

/* Models that are worth as much as they are large: what is not certain is said. */
static void test_worth_by_bytes_is_said(void **state)
{
	enum { TWO = 2, MODELS = 60 };
	const struct ps_cache_tenant tenants[TWO] = {{.weight = 1}, {.weight = 1}};
	struct ps_cache_item items[MODELS];
	double demand[TWO * MODELS];
	struct ps_cache_problem p = {.tenants = TWO,
				     .items = MODELS,
				     .tenant = tenants,
				     .item = items,
				     .demand = demand};
	struct ps_rng r;

	(void)state;
	ps_rng_init(&r, 5, 4);
	for (int j = 0; j < MODELS; j++) {
		int64_t bytes = 100000000 + (int64_t)ps_rng_below(&r, 900000000);
		items[j] = (struct ps_cache_item){.bytes = bytes, .load_s = 1e-9 * (double)bytes};
		p.capacity_bytes += bytes / 3;
		demand[j] = demand[MODELS + j] = 1;
	}
	for (int k = 0; k < PS_CACHE_KINDS; k++) {
		struct ps_cache_plan plan_of;
		double room = 1e-9 * (double)p.capacity_bytes;
		assert_int_equal(
			ps_cache_plan_make((enum ps_cache_kind)k, &p, NULL, &plan_of, NULL), PS_OK);
		for (int i = 0; i < TWO; i++) {
			/* The truth is under the room: that it is over U_i* was said. */
			assert_true(plan_of.best[i] <= room * (1 + 1e-12));
			assert_true(plan_of.best[i] * (1 + plan_of.best_error) >=
				    room * (1 - 1e-9));
		}
		assert_true(plan_of.best_error < 1e-6 && plan_of.gap < 1e-6);
		ps_cache_plan_free(&plan_of);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_between_pf_and_mmf),
		cmocka_unit_test(test_rsd_of_many),
		cmocka_unit_test(test_the_core_of_many),
		cmocka_unit_test(test_worth_by_bytes_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
