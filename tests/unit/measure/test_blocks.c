/* When blocks end early: the rule itself, and that the intervals which it leaves still cover. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "measure/measure_internal.h"

#include <math.h>
#include <string.h>

enum { BLOCKS = 40 };

static const int m0[] = {0}, m1[] = {1}, both[] = {0, 1};
static const struct ps_store_set sets[] = {{"a", m0, 1}, {"b", m1, 1}, {"together", both, 2}};

struct made {
	struct ps_store_cell cells[3 * BLOCKS];
	struct ps_store_campaign plan;
};

static void make_plan(struct made *m)
{
	for (int b = 0; b < BLOCKS; b++) {
		for (int s = 0; s < 3; s++) {
			m->cells[3 * b + s] = (struct ps_store_cell){
				.key = "", .kind = PS_STORE_CONFIRM, .set = s, .block = b};
		}
	}
	m->plan = (struct ps_store_campaign){
		.sets = sets, .set_len = 3, .cells = m->cells, .cell_len = (size_t)3 * BLOCKS};
}

/* A trial in which every request took so long. */
static void add(struct ps_measure_blocks *b, int set, int block, double ms0, double ms1, bool valid)
{
	struct ps_strbuf bytes[2];
	struct ps_store_result r[2];
	const double ms[] = {ms0, ms1};
	int n = sets[set].member_len;
	for (int i = 0; i < n; i++) {
		struct ps_hist h = {0};
		assert_int_equal(ps_hist_init(&h), PS_OK);
		ps_hist_record(&h, (int64_t)(1e6 * ms[i]));
		ps_strbuf_init(&bytes[i]);
		ps_hist_write(&h, &bytes[i]);
		ps_hist_fini(&h);
		r[i] = (struct ps_store_result){.tenant = sets[set].members[i],
						.valid = valid,
						.latency = {bytes[i].data, bytes[i].len}};
	}
	const struct ps_store_trial t = {.results = r, .result_len = (size_t)n};
	const struct ps_store_cell x = {
		.kind = PS_STORE_CONFIRM, .set = set, .block = block, .trials = &t, .trial_len = 1};
	assert_int_equal(ps_measure_blocks_add(b, &x), PS_OK);
	for (int i = 0; i < n; i++) {
		ps_strbuf_fini(&bytes[i]);
	}
}

/* Without a set of several there is no slowdown, and nothing that is precise enough. */
static void test_nobody_together(void **state)
{
	static struct made m;
	(void)state;
	make_plan(&m);
	m.plan.set_len = 2;
	m.plan.cell_len = 2;
	struct ps_measure_blocks *b = ps_measure_blocks_new(&m.plan);
	assert_non_null(b);
	assert_true(isinf(ps_measure_blocks_width(b, 1)));
	ps_measure_blocks_free(b);
}

static void test_rule(void **state)
{
	static struct made m;
	(void)state;
	make_plan(&m);
	struct ps_measure_blocks *b = ps_measure_blocks_new(&m.plan);
	assert_non_null(b);
	assert_true(isinf(ps_measure_blocks_width(b, 8)));
	for (int k = 0; k < 12; k++) {
		double wave = k % 2 ? 1.02 : 0.98;
		add(b, 0, k, 10, 0, true);
		add(b, 1, k, 20, 0, true);
		add(b, 2, k, 15 * wave, 25 * wave, k < 10);
	}
	/* never before the eighth, never an odd number, twice in a row */
	assert_false(ps_measure_blocks_enough(b, 6, 0.05));
	assert_true(ps_measure_blocks_enough(b, 8, 0.05));
	assert_false(ps_measure_blocks_enough(b, 9, 0.05));
	assert_true(ps_measure_blocks_enough(b, 10, 0.05));
	assert_false(ps_measure_blocks_enough(b, 8, 0.001));
	/* trials that are not valid count for nothing */
	assert_true(ps_measure_blocks_width(b, 12) == ps_measure_blocks_width(b, 10));
	ps_measure_blocks_free(b);
}

/* 400 campaigns of up to 40 blocks whose true slowdowns are 1.5 and 1.25: of the intervals at the
 * end at least 93 % hold the truth, less four standard errors of this test. */
static void test_coverage(void **state)
{
	static struct made m;
	struct ps_rng rng;
	int covered = 0, all = 0, early = 0;
	(void)state;
	make_plan(&m);
	ps_rng_init(&rng, 5, 1);
	for (int run = 0; run < 400; run++) {
		struct ps_measure_blocks *b = ps_measure_blocks_new(&m.plan);
		double x[2][BLOCKS], y[2][BLOCKS];
		int n = 0;
		while (n < BLOCKS && !ps_measure_blocks_enough(b, n, 0.05)) {
			for (int i = 0; i < 2; i++) {
				y[i][n] = 10 * exp(0.03 * ps_rng_normal(&rng));
				x[i][n] = (i ? 1.25 : 1.5) * 10 * exp(0.05 * ps_rng_normal(&rng));
				add(b, i, n, y[i][n], 0, true);
			}
			add(b, 2, n, x[0][n], x[1][n], true);
			n++;
		}
		for (int i = 0; i < 2; i++) {
			struct ps_stats_interval s =
				ps_stats_ratio_interval(x[i], y[i], (size_t)n, 0.95);
			covered += s.lo <= (i ? 1.25 : 1.5) && s.hi >= (i ? 1.25 : 1.5);
			all++;
		}
		early += n < BLOCKS;
		ps_measure_blocks_free(b);
	}
	assert_true(early > 300);
	if (covered < 0.93 * all - 4 * sqrt(0.93 * 0.07 * all)) {
		fail_msg("%d of %d intervals cover", covered, all);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_together),
		cmocka_unit_test(test_rule),
		cmocka_unit_test(test_coverage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
