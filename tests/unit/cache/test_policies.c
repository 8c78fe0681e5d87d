/* The policies: plans by hand, and what must hold of any. bench/cache holds them to every set. */
#include "cache/game_internal.h"
#include "cache/policy.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { TENANTS = 4, ITEMS = 8 };

struct scene {
	struct ps_cache_problem p;
	struct ps_cache_tenant tenant[TENANTS];
	struct ps_cache_item item[ITEMS];
	double demand[TENANTS * ITEMS];
};

/* Weights, sizes (which are load seconds, too) and requests, as a row of numbers. */
static void set(struct scene *s, int tenants, int items, int64_t capacity, const double *weight,
		const int *bytes, const double *demand)
{
	memset(s, 0, sizeof(*s));
	s->p = (struct ps_cache_problem){.tenants = tenants,
					 .items = items,
					 .capacity_bytes = capacity,
					 .tenant = s->tenant,
					 .item = s->item,
					 .demand = s->demand};
	for (int i = 0; i < tenants; i++)
		s->tenant[i].weight = weight[i];
	for (int j = 0; j < items; j++)
		s->item[j] = (struct ps_cache_item){.bytes = bytes[j], .load_s = bytes[j]};
	memcpy(s->demand, demand, (size_t)tenants * (size_t)items * sizeof(*demand));
}

static void plan(const struct scene *s, enum ps_cache_kind kind, struct ps_cache_plan *ret)
{
	struct ps_error err = {0};

	if (ps_cache_plan_make(kind, &s->p, NULL, ret, &err) != PS_OK)
		fail_msg("%s: %s", ps_cache_policy_get(kind)->name, err.what);
}

static void test_by_hand(void **state)
{
	static const double one[] = {1, 1, 1}, two[] = {2, 1};
	static const int same[] = {9, 8}, parts[] = {5, 5, 5};
	/* North and south want the first, east the second; one of them fits. */
	static const double majority[] = {4, 0, 3, 0, 0, 2};
	static const double apart[] = {1, 0, 0, 1}, more[] = {1, 0, 0, 2};
	static const double own[] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
	static const struct {
		const char *name;
		enum ps_cache_kind kind;
		int tenants, items;
		int64_t capacity;
		const double *weight;
		const int *bytes;
		const double *demand;
		double scaled[3]; /* V_i / U_i* */
	} rows[] = {
		{"pf: two of three get two thirds",
		 PS_CACHE_PF,
		 3,
		 2,
		 10,
		 one,
		 same,
		 majority,
		 {2. / 3, 2. / 3, 1. / 3}},
		{"mmf: the one gets a half",
		 PS_CACHE_MMF,
		 3,
		 2,
		 10,
		 one,
		 same,
		 majority,
		 {0.5, 0.5, 0.5}},
		{"optp: the one gets nothing",
		 PS_CACHE_OPTP,
		 3,
		 2,
		 10,
		 one,
		 same,
		 majority,
		 {1, 1, 0}},
		{"rsd: each is first in a third",
		 PS_CACHE_RSD,
		 3,
		 2,
		 10,
		 one,
		 same,
		 majority,
		 {2. / 3, 2. / 3, 1. / 3}},
		{"static: nobody's part holds anything",
		 PS_CACHE_STATIC,
		 3,
		 2,
		 10,
		 one,
		 same,
		 majority,
		 {0, 0, 0}},
		{"lfu: the most asked for", PS_CACHE_LFU, 3, 2, 10, one, same, majority, {1, 1, 0}},
		{"pf: by weight", PS_CACHE_PF, 2, 2, 10, two, same, apart, {2. / 3, 1. / 3, 0}},
		{"mmf: by weight", PS_CACHE_MMF, 2, 2, 10, two, same, apart, {2. / 3, 1. / 3, 0}},
		{"rsd: by weight", PS_CACHE_RSD, 2, 2, 10, two, same, apart, {2. / 3, 1. / 3, 0}},
		{"optp: by weight", PS_CACHE_OPTP, 2, 2, 10, two, same, apart, {1, 0, 0}},
		{"static: by weight", PS_CACHE_STATIC, 2, 2, 27, two, same, apart, {1, 1, 0}},
		{"static: too small a part",
		 PS_CACHE_STATIC,
		 2,
		 2,
		 23,
		 two,
		 same,
		 apart,
		 {1, 0, 0}},
		{"pf: all fits", PS_CACHE_PF, 3, 2, 17, one, same, majority, {1, 1, 1}},
		/* Two of three models fit; each tenant wants its own. */
		{"pf: two of three",
		 PS_CACHE_PF,
		 3,
		 3,
		 10,
		 one,
		 parts,
		 own,
		 {2. / 3, 2. / 3, 2. / 3}},
		{"gdsf: per byte", PS_CACHE_GDSF, 2, 2, 10, one, same, more, {0, 1, 0}},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
		struct scene s;
		struct ps_cache_plan p;
		set(&s, rows[k].tenants, rows[k].items, rows[k].capacity, rows[k].weight,
		    rows[k].bytes, rows[k].demand);
		plan(&s, rows[k].kind, &p);
		for (int i = 0; i < rows[k].tenants; i++)
			if (fabs(p.utility[i] / p.best[i] - rows[k].scaled[i]) > 1e-7)
				fail_msg("%s: tenant %d has %.9f of %.9f", rows[k].name, i,
					 p.utility[i] / p.best[i], rows[k].scaled[i]);
		ps_cache_plan_free(&p);
	}
}

static void test_the_core_by_hand(void **state)
{
	static const double one[] = {1, 1, 1};
	static const int same[] = {9, 8};
	static const double majority[] = {4, 0, 3, 0, 0, 2};
	static const struct {
		enum ps_cache_kind kind;
		int members, who[2];
		double gain;
	} rows[] = {
		{PS_CACHE_PF, 0, {0}, 0},
		{PS_CACHE_MMF, 2, {0, 1}, 4. / 3},
		{PS_CACHE_OPTP, 1, {2}, INFINITY},
	};
	struct scene s;

	(void)state;
	set(&s, 3, 2, 10, one, same, majority);
	for (size_t k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
		struct ps_cache_plan p;
		struct ps_cache_objection o;
		plan(&s, rows[k].kind, &p);
		assert_int_equal(ps_cache_core(&s.p, &p, 1e-5, &o, NULL), PS_OK);
		assert_int_equal(o.found, rows[k].members > 0);
		assert_int_equal(o.members, rows[k].members);
		for (int i = 0; i < o.members; i++)
			assert_int_equal(o.who[i], rows[k].who[i]);
		if (o.found && isfinite(rows[k].gain))
			assert_true(fabs(o.gain - rows[k].gain) < 1e-6);
		assert_int_equal(o.found && isinf(o.gain), isinf(rows[k].gain));
		ps_cache_objection_free(&o);
		ps_cache_plan_free(&p);
	}
}

/* One has all it could want, the other could have more beside it: static leaves room that is in
 * nobody's part. Alone with its half of the chances neither would be better off. */
static void test_an_objection_of_which_one_gains(void **state)
{
	static const double one[] = {1, 1}, demand[] = {1, 0, 0, 0, 1, 0.6};
	static const int bytes[] = {10, 10, 5};
	struct scene s;
	struct ps_cache_plan p;
	struct ps_cache_objection o;

	(void)state;
	set(&s, 2, 3, 25, one, bytes, demand);
	plan(&s, PS_CACHE_STATIC, &p);
	assert_true(p.utility[0] == 10 && p.utility[1] == 10);
	assert_int_equal(ps_cache_core(&s.p, &p, 1e-5, &o, NULL), PS_OK);
	assert_true(o.found && o.members == 2);
	assert_true(!o.better[0] && o.better[1]);
	assert_true(fabs(o.gain - 1.3) < 1e-6 && o.part == 1);
	assert_true(fabs(o.way.utility[0] - 10) < 1e-6 && fabs(o.way.utility[1] - 13) < 1e-6);
	ps_cache_objection_free(&o);
	ps_cache_plan_free(&p);
	/* Where nothing more fits nobody objects. */
	s.p.capacity_bytes = 24;
	plan(&s, PS_CACHE_STATIC, &p);
	assert_int_equal(ps_cache_core(&s.p, &p, 1e-5, &o, NULL), PS_OK);
	assert_false(o.found);
	ps_cache_plan_free(&p);
}

/* ---- what must hold of any plan ---- */

static void draw(struct scene *s, uint64_t seed)
{
	struct ps_rng r;
	int64_t all = 0;

	memset(s, 0, sizeof(*s));
	ps_rng_init(&r, seed, 9);
	s->p = (struct ps_cache_problem){.tenants = 1 + (int)ps_rng_below(&r, TENANTS),
					 .items = 1 + (int)ps_rng_below(&r, ITEMS),
					 .tenant = s->tenant,
					 .item = s->item,
					 .demand = s->demand,
					 .seed = seed};
	for (int j = 0; j < s->p.items; j++) {
		s->item[j] = (struct ps_cache_item){.bytes = 1 + (int64_t)ps_rng_below(&r, 30),
						    .load_s = ps_rng_uniform(&r),
						    .resident = ps_rng_below(&r, 3) == 0};
		all += s->item[j].bytes;
	}
	s->p.capacity_bytes = (int64_t)ps_rng_below(&r, (uint64_t)all + 1);
	s->item[0].pinned = ps_rng_below(&r, 4) == 0 && s->item[0].bytes <= s->p.capacity_bytes;
	int64_t left = s->p.capacity_bytes - (s->item[0].pinned ? s->item[0].bytes : 0);
	for (int i = 0; i < s->p.tenants; i++) {
		s->tenant[i].weight = 1 + (double)ps_rng_below(&r, 3);
		if (ps_rng_below(&r, 3) == 0)
			s->tenant[i].guaranteed_bytes =
				(int64_t)ps_rng_below(&r, (uint64_t)left / TENANTS + 1);
	}
	for (int c = 0; c < s->p.tenants * s->p.items; c++)
		s->demand[c] = ps_rng_below(&r, 2) ? 0 : ps_rng_uniform(&r) * 10;
}

/* The best that the guaranteed bytes alone hold, of what is not pinned. */
static double own_best(const struct scene *s, int tenant)
{
	double best = 0;

	for (unsigned set = 0; set < 1U << s->p.items; set++) {
		int64_t bytes = 0;
		double sum = 0;
		for (int j = 0; j < s->p.items; j++)
			if (set >> j & 1 && !s->item[j].pinned) {
				bytes += s->item[j].bytes;
				sum += ps_cache_unit(&s->p, tenant, j);
			}
		if (bytes <= s->tenant[tenant].guaranteed_bytes)
			best = fmax(best, sum);
	}
	return best;
}

static void check_plan(const struct scene *s, const struct ps_cache_plan *p, uint64_t seed)
{
	double sum = 0;

	for (int c = 0; c < p->n; c++) {
		const struct ps_cache_config *x = &p->config[c];
		sum += x->share;
		assert_true(x->share > 0);
		if (x->bytes > s->p.capacity_bytes || x->bytes != ps_cache_bytes(&s->p, x->has))
			fail_msg("seed %d: over the capacity", (int)seed);
		assert_true(!s->item[0].pinned || ps_cache_has(x->has, 0));
		for (int i = 0; i < s->p.tenants; i++)
			if (ps_cache_utility(&s->p, i, x->has) < own_best(s, i) * (1 - 1e-9))
				fail_msg("seed %d: tenant %d under its guarantee", (int)seed, i);
	}
	assert_true(fabs(sum - 1) < 1e-12);
}

static void same_plans(const struct ps_cache_plan *a, const struct ps_cache_plan *b)
{
	assert_int_equal(a->n, b->n);
	for (int c = 0; c < a->n; c++) {
		assert_true(a->config[c].share == b->config[c].share);
		assert_true(a->config[c].has[0] == b->config[c].has[0]);
	}
}

static void test_what_always_holds(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 300; seed++)
		for (int k = 0; k < PS_CACHE_KINDS; k++) {
			struct scene s;
			struct ps_cache_plan p, again;
			draw(&s, seed);
			plan(&s, (enum ps_cache_kind)k, &p);
			plan(&s, (enum ps_cache_kind)k, &again);
			check_plan(&s, &p, seed);
			same_plans(&p, &again);
			if ((k == PS_CACHE_PF || k == PS_CACHE_MMF || k == PS_CACHE_RSD) &&
			    ps_cache_worst_share(&p, NULL) < 1 - 1e-6)
				fail_msg("seed %d: %s gives a share of %.9f", (int)seed,
					 ps_cache_policy_get((enum ps_cache_kind)k)->name,
					 ps_cache_worst_share(&p, NULL));
			ps_cache_plan_free(&p);
			ps_cache_plan_free(&again);
		}
}

/* With more memory no policy's own objective is lower. */
static void test_objectives_grow_with_the_capacity(void **state)
{
	static const enum ps_cache_kind kinds[] = {PS_CACHE_OPTP, PS_CACHE_PF};

	(void)state;
	for (uint64_t seed = 1; seed <= 150; seed++)
		for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
			const struct ps_cache_policy *policy = ps_cache_policy_get(kinds[k]);
			struct scene s;
			struct ps_cache_plan p;
			double before = -INFINITY;
			int taking_part = -1;
			draw(&s, seed);
			for (int64_t add = 0; add < 40; add += 10) {
				int n = 0;
				plan(&s, kinds[k], &p);
				for (int i = 0; i < s.p.tenants; i++)
					n += p.best[i] > 0;
				double now = policy->objective(&s.p, &p);
				/* A tenant that begins to take part changes what is added up. */
				if (n == taking_part && now < before - 1e-5)
					fail_msg("seed %d: %s falls from %.9f to %.9f", (int)seed,
						 policy->name, before, now);
				before = now;
				taking_part = n;
				ps_cache_plan_free(&p);
				s.p.capacity_bytes += 10;
			}
		}
}

/* ---- refusals ---- */

static void test_refusals(void **state)
{
	static const double one[] = {1, 1}, demand[] = {1, 1, 1, 1};
	static const int bytes[] = {6, 6};
	struct scene s;
	struct ps_error err;

	(void)state;
	set(&s, 2, 2, 10, one, bytes, demand);
	assert_int_equal(ps_cache_problem_check(&s.p, &err), PS_OK);
	s.item[0].pinned = s.item[1].pinned = true;
	assert_int_equal(ps_cache_problem_check(&s.p, &err), PS_ETOOBIG);
	assert_non_null(strstr(err.what, "12 B"));
	s.item[1].pinned = false;
	s.tenant[0].guaranteed_bytes = 5;
	assert_int_equal(ps_cache_problem_check(&s.p, &err), PS_ETOOBIG);
	s.tenant[0].guaranteed_bytes = 4;
	assert_int_equal(ps_cache_problem_check(&s.p, &err), PS_OK);
	s.tenant[0].weight = 0;
	assert_int_equal(ps_cache_problem_check(&s.p, &err), PS_EINVAL);
	s.tenant[0].weight = 1;
	s.demand[3] = NAN;
	assert_int_equal(ps_cache_problem_check(&s.p, &err), PS_EINVAL);
	s.demand[3] = 0;
	s.item[0].load_s = -1;
	assert_int_equal(ps_cache_problem_check(&s.p, &err), PS_EINVAL);
	s.item[0].load_s = 1;
	s.p.tenants = PS_CACHE_MAX_TENANTS + 1;
	assert_int_equal(ps_cache_problem_check(&s.p, &err), PS_ETOOBIG);
}

/* ---- draws ---- */

static void test_a_draw_by_inverse_cdf(void **state)
{
	uint64_t has[3] = {1, 2, 4};
	struct ps_cache_config c[] = {
		{0.5, 1, &has[0]}, {0.3, 1, &has[1]}, {0.1999999, 1, &has[2]}};
	const struct ps_cache_plan p = {.items = 3, .n = 3, .config = c};
	static const struct {
		double u;
		int index;
	} rows[] = {{0, 0},    {0.499, 0},     {0.5, 1},
		    {0.79, 1}, {0.9999998, 2}, {0.99999999, 2} /* rounding is clamped */};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(ps_cache_draw(&p, rows[i].u), rows[i].index);
}

/* Over two draws the second plan's shares come out exactly, with as little loading as can be. */
static void test_a_draw_near_keeps_the_shares(void **state)
{
	static const double one[] = {1, 1}, demand[] = {1, 1, 1, 1, 1, 1};
	static const int bytes[] = {1, 1, 1};
	uint64_t has[4] = {1, 6, 1, 3};
	struct ps_cache_config from[] = {{0.6, 1, &has[0]}, {0.4, 2, &has[1]}};
	struct ps_cache_config to[] = {{0.5, 1, &has[2]}, {0.5, 2, &has[3]}};
	const struct ps_cache_plan before = {.items = 3, .n = 2, .config = from};
	const struct ps_cache_plan next = {.items = 3, .n = 2, .config = to};
	struct scene s;
	double came[2] = {0}, stayed = 0;
	enum { STEPS = 1000 };

	(void)state;
	set(&s, 2, 3, 3, one, bytes, demand);
	for (int current = 0; current < 2; current++)
		for (int k = 0; k < STEPS; k++) {
			const double u[2] = {0.5, (k + 0.5) / STEPS};
			int index;
			assert_int_equal(
				ps_cache_draw_near(&s.p, &before, current, &next, 0, u, &index),
				PS_OK);
			came[index] += from[current].share / STEPS;
			stayed += current == 0 && index == 0 ? 0.6 / STEPS : 0;
		}
	assert_true(fabs(came[0] - 0.5) < 1e-3 && fabs(came[1] - 0.5) < 1e-3);
	assert_true(fabs(stayed - 0.5) < 1e-3); /* all that can stay */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_the_core_by_hand),
		cmocka_unit_test(test_an_objection_of_which_one_gains),
		cmocka_unit_test(test_what_always_holds),
		cmocka_unit_test(test_objectives_grow_with_the_capacity),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_a_draw_by_inverse_cdf),
		cmocka_unit_test(test_a_draw_near_keeps_the_shares),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
