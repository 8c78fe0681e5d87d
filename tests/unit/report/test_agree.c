/* The same campaign twice: honest ones disagree as often as stated and stay under the limit,
 * changed ones do not. All in made-up time: estimates are drawn around known truths. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "report/agree.h"
#include "stats/hist.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TENANTS = 4, SETS = 10, BLOCKS = 6, CELLS = SETS * (1 + BLOCKS), COMPARISONS = 10 + 16 };

#define CAPACITY_SD 0.06
#define BLOCK_SD    0.05

struct made {
	struct ps_arena arena;
	struct ps_store_tenant tenants[TENANTS];
	struct ps_store_set sets[SETS];
	int members[SETS][2];
	struct ps_store_cell cells[CELLS];
	struct ps_store_campaign campaign;
};

static void make_sets(struct made *m)
{
	static const char *const names[] = {"a", "b", "c", "d"};
	int n = 0;
	for (int i = 0; i < TENANTS; i++) {
		m->tenants[i] = (struct ps_store_tenant){.name = names[i], .model = "m"};
		m->members[n][0] = i;
		m->sets[n] = (struct ps_store_set){names[i], m->members[n], 1};
		n++;
	}
	for (int i = 0; i < TENANTS; i++)
		for (int k = i + 1; k < TENANTS; k++) {
			m->members[n][0] = i;
			m->members[n][1] = k;
			m->sets[n] = (struct ps_store_set){"pair", m->members[n], 2};
			n++;
		}
}

static char *text(struct made *m, const char *fmt, int x, int y)
{
	char *s = ps_arena_alloc(&m->arena, 40);
	snprintf(s, 40, fmt, x, y);
	return s;
}

static struct ps_store_blob latency(struct made *m, double ms)
{
	struct ps_hist h = {0};
	struct ps_strbuf b;
	assert_int_equal(ps_hist_init(&h), PS_OK);
	ps_hist_record(&h, (int64_t)(1e6 * ms));
	ps_strbuf_init(&b);
	ps_hist_write(&h, &b);
	void *copy = ps_arena_alloc(&m->arena, b.len);
	memcpy(copy, b.data, b.len);
	struct ps_store_blob blob = {copy, b.len};
	ps_strbuf_fini(&b);
	ps_hist_fini(&h);
	return blob;
}

/* An estimate around 100 times `by`, with its honest interval. */
static void make_search(struct made *m, struct ps_store_cell *x, int set, double by,
			struct ps_rng *rng)
{
	static const double ray[] = {1, 1};
	double v = 100 * by * exp(CAPACITY_SD * ps_rng_normal(rng));
	*x = (struct ps_store_cell){.key = text(m, "search/%d", set, 0),
				    .kind = PS_STORE_SEARCH,
				    .set = set,
				    .block = -1,
				    .state = PS_STORE_DONE,
				    .digest = "d"};
	x->capacity = (struct ps_store_capacity){.known = true,
						 .ray_rps = ray,
						 .factor = v,
						 .factor_low = v * exp(-1.96 * CAPACITY_SD),
						 .factor_high = v * exp(1.96 * CAPACITY_SD)};
}

static void make_block(struct made *m, struct ps_store_cell *x, int set, int block, double by,
		       struct ps_rng *rng)
{
	int n = m->sets[set].member_len;
	struct ps_store_result *r = ps_arena_zalloc(&m->arena, (size_t)n * sizeof *r);
	struct ps_store_trial *t = ps_arena_zalloc(&m->arena, sizeof *t);
	for (int i = 0; i < n; i++) {
		r[i].tenant = m->members[set][i];
		r[i].valid = true;
		r[i].latency = latency(m, 20 * by * exp(BLOCK_SD * ps_rng_normal(rng)));
	}
	t->results = r;
	t->result_len = (size_t)n;
	*x = (struct ps_store_cell){.key = text(m, "confirm/%d/%d", block, set),
				    .kind = PS_STORE_CONFIRM,
				    .set = set,
				    .block = block,
				    .state = PS_STORE_DONE,
				    .digest = "d",
				    .trials = t,
				    .trial_len = 1};
}

static void make(struct made *m, struct ps_rng *rng, double capacity_by, double p50_by)
{
	int n = 0;
	ps_arena_init(&m->arena, 0);
	make_sets(m);
	for (int s = 0; s < SETS; s++)
		make_search(m, &m->cells[n++], s, capacity_by, rng);
	for (int b = 0; b < BLOCKS; b++)
		for (int s = 0; s < SETS; s++)
			make_block(m, &m->cells[n++], s, b, p50_by, rng);
	m->campaign = (struct ps_store_campaign){.name = "c",
						 .tenants = m->tenants,
						 .tenant_len = TENANTS,
						 .sets = m->sets,
						 .set_len = SETS,
						 .cells = m->cells,
						 .cell_len = CELLS};
}

static struct ps_report_agreement agree(const struct made *a, const struct made *b)
{
	struct ps_report_agreement g;
	struct ps_error err;
	if (ps_report_agree(&a->campaign, &b->campaign, &g, &err) != PS_OK)
		fail_msg("%s", err.what);
	return g;
}

/* The largest number that chance exceeds in at most one of 100 cases. */
static void test_limit(void **state)
{
	static const struct {
		int n, limit;
	} rows[] = {{0, 0}, {1, 1}, {2, 1}, {10, 3}, {26, 4}, {100, 11}, {1000, 67}};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (ps_report_agree_limit(rows[i].n, 0.05) != rows[i].limit)
			fail_msg("%d: %d", rows[i].n, ps_report_agree_limit(rows[i].n, 0.05));
}

/* 300 honest pairs: of 7,800 comparisons 5 % disagree, and hardly a pair is over its limit. */
static void test_honest(void **state)
{
	static struct made a, b;
	struct ps_rng rng;
	int compared = 0, disagreeing = 0, over = 0;
	(void)state;
	ps_rng_init(&rng, 3, 7);
	for (int run = 0; run < 300; run++) {
		make(&a, &rng, 1, 1);
		make(&b, &rng, 1, 1);
		struct ps_report_agreement g = agree(&a, &b);
		assert_int_equal(g.row_len, COMPARISONS);
		assert_int_equal(g.cells, CELLS);
		compared += (int)g.row_len;
		disagreeing += g.disagreeing;
		over += !g.agrees;
		ps_report_agree_free(&g);
		ps_arena_fini(&a.arena);
		ps_arena_fini(&b.arena);
	}
	double share = (double)disagreeing / compared;
	if (share < 0.04 || share > 0.06 || over > 10)
		fail_msg("%.4f of %d disagree, %d pairs over", share, compared, over);
}

/* A machine on which everything takes a fifth longer, or that can do a fifth less, is found. */
static void test_changed(void **state)
{
	static const struct {
		double capacity_by, p50_by;
	} rows[] = {{1, 1.2}, {0.7, 1}};
	static struct made a, b;
	struct ps_rng rng;
	(void)state;
	ps_rng_init(&rng, 4, 7);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (int run = 0; run < 20; run++) {
			make(&a, &rng, 1, 1);
			make(&b, &rng, rows[i].capacity_by, rows[i].p50_by);
			struct ps_report_agreement g = agree(&a, &b);
			if (g.agrees)
				fail_msg("row %zu: only %d disagree", i, g.disagreeing);
			ps_report_agree_free(&g);
			ps_arena_fini(&a.arena);
			ps_arena_fini(&b.arena);
		}
}

/* Of 300 honest pairs hardly more than 5 in 100 have a difference that is called real; a change of
 * one figure is, and is the only one. */
static void test_real(void **state)
{
	static struct made a, b;
	struct ps_rng rng;
	int pairs = 0, found = 0, others = 0;
	(void)state;
	ps_rng_init(&rng, 8, 7);
	for (int run = 0; run < 300; run++) {
		make(&a, &rng, 1, 1);
		make(&b, &rng, 1, 1);
		struct ps_report_agreement g = agree(&a, &b);
		pairs += g.real > 0;
		ps_report_agree_free(&g);
		ps_arena_fini(&b.arena);
		make(&b, &rng, 1, 1);
		b.cells[3].capacity.factor *= 2;
		b.cells[3].capacity.factor_low *= 2;
		b.cells[3].capacity.factor_high *= 2;
		g = agree(&a, &b);
		found += g.rows[3].difference == PS_REPORT_REAL;
		others += g.real - (g.rows[3].difference == PS_REPORT_REAL);
		ps_report_agree_free(&g);
		ps_arena_fini(&a.arena);
		ps_arena_fini(&b.arena);
	}
	/* 5 % of 300, and three standard deviations */
	if (pairs > 27 || others > 27 || found < 298)
		fail_msg("%d pairs with a real difference, found %d, others %d", pairs, found,
			 others);
}

/* Only what depends on the same is compared; tenants are found by name, open ends are left out. */
static void test_what_is_compared(void **state)
{
	static struct made a, b;
	struct ps_rng rng;
	struct ps_strbuf out;
	(void)state;
	ps_rng_init(&rng, 5, 7);
	make(&a, &rng, 1, 1);
	make(&b, &rng, 1, 1);
	b.cells[0].digest = "other";
	b.cells[1].state = PS_STORE_FAILED;
	b.cells[2].capacity.method_json = "{\"open_above\":true}";
	for (int i = 0; i < CELLS; i++) /* set 0 has three common blocks only */
		if (b.cells[i].kind == PS_STORE_CONFIRM && b.cells[i].set == 0 &&
		    b.cells[i].block >= 3)
			b.cells[i].state = PS_STORE_PLANNED;
	struct ps_report_agreement g = agree(&a, &b);
	assert_int_equal(g.differ, 1);
	assert_int_equal(g.cells, CELLS - 2 - 3);
	assert_int_equal(g.too_few, 2);
	assert_int_equal(g.compared, COMPARISONS - 4);
	/* the other digest: compared, but not counted */
	assert_int_equal(g.row_len, COMPARISONS - 3);
	assert_int_equal(g.changed, 1);
	assert_true(g.rows[0].changed && !g.rows[0].counted);
	ps_strbuf_init(&out);
	ps_report_agree_sentence(&g, &out);
	assert_non_null(strstr(out.data, "comparisons at 95 %"));
	assert_non_null(strstr(out.data, "1 figure was measured under other conditions"));
	ps_strbuf_clear(&out);
	ps_report_agree_csv(&g, &out);
	assert_non_null(strstr(out.data, "what,ratio,ratio_low,ratio_high,difference,counted,"));
	assert_non_null(strstr(out.data, ",0,1\r\n"));
	ps_strbuf_fini(&out);
	json_t *o = ps_report_agree_json(&g);
	assert_int_equal(json_array_size(json_object_get(o, "rows")), g.row_len);
	json_decref(o);
	ps_report_agree_free(&g);
	/* nothing in common: no agreement either */
	b.campaign.cell_len = 0;
	g = agree(&a, &b);
	assert_false(g.agrees);
	ps_report_agree_free(&g);
	ps_arena_fini(&a.arena);
	ps_arena_fini(&b.arena);
}

/* Campaigns whose conditions differ on purpose: no agreement is said, but what changed is found;
 * tenants that are asked for something else are not compared. */
static void test_changed_conditions(void **state)
{
	static const struct ps_sla one = {0.95, 100, 0.9}, two = {0.95, 200, 0.9};
	static struct made a, b;
	struct ps_rng rng;
	int real = 0;
	(void)state;
	ps_rng_init(&rng, 9, 7);
	for (int run = 0; run < 20; run++) {
		make(&a, &rng, 1, 1);
		make(&b, &rng, 1, 2);
		for (int i = 0; i < CELLS; i++)
			b.cells[i].digest = "other";
		for (int i = 0; i < TENANTS; i++)
			a.tenants[i].sla = b.tenants[i].sla = one;
		struct ps_report_agreement g = agree(&a, &b);
		assert_false(g.agrees);
		assert_int_equal(g.compared, 0);
		/* each median, and the percentile of each agreement */
		assert_int_equal(g.row_len, COMPARISONS + 16);
		assert_int_equal(g.changed, g.row_len);
		assert_int_equal(g.differ, CELLS);
		real += g.real;
		ps_report_agree_free(&g);
		b.tenants[0].sla = two;
		b.tenants[1].demand_rps = 3;
		g = agree(&a, &b);
		/* no capacity of the 4 sets with tenant 0, no trial of the 4 with tenant 1 */
		assert_int_equal(g.row_len, COMPARISONS - 4 - 7 + 16 - 7);
		ps_report_agree_free(&g);
		ps_arena_fini(&a.arena);
		ps_arena_fini(&b.arena);
	}
	/* 32 percentiles have doubled */
	assert_true(real >= 20 * 31);
}

/* A factor is in units of its ray, and rates at the capacities are each campaign's own. */
static void test_rays(void **state)
{
	static const struct {
		double ray[2];
		int too_few;
	} rows[] = {{{1, 1}, 0}, {{1, 1 + 1e-12}, 0}, {{1, 1.01}, 1}, {{2, 1}, 1}, {{2, 2}, 0}};
	static struct made a, b;
	struct ps_rng rng;
	(void)state;
	ps_rng_init(&rng, 6, 7);
	make(&a, &rng, 1, 1);
	make(&b, &rng, 1, 1);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		b.cells[SETS - 1].capacity.ray_rps = rows[i].ray; /* a pair */
		struct ps_report_agreement g = agree(&a, &b);
		assert_int_equal(g.too_few, rows[i].too_few);
		assert_int_equal(g.row_len, COMPARISONS - rows[i].too_few);
		ps_report_agree_free(&g);
	}
	b.cells[SETS - 1].capacity.ray_rps = rows[0].ray;
	for (int i = SETS; i < CELLS; i++)
		a.cells[i].kind = b.cells[i].kind = PS_STORE_CAPACITY;
	struct ps_report_agreement g = agree(&a, &b);
	assert_int_equal(g.row_len, SETS);
	ps_report_agree_free(&g);
	ps_arena_fini(&a.arena);
	ps_arena_fini(&b.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_honest),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_real),
		cmocka_unit_test(test_what_is_compared),
		cmocka_unit_test(test_changed_conditions),
		cmocka_unit_test(test_rays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
