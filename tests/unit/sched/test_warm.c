/* Which lane runs what: runs go where their weights are, nobody waits for a busy lane, and the
 * order of service stays within its bound. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#include "sched/sched.h"

#include <stdlib.h>
#include <string.h>

#define MS    INT64_C(1000000)
#define CACHE 1000

static struct ps_sched *make(int lanes, int64_t cache_bytes, const int64_t *footprints, int n)
{
	const struct ps_sched_options o = {
		.n_lanes = lanes, .cpus = lanes, .cache_bytes = cache_bytes};
	struct ps_sched *s;

	assert_int_equal(ps_sched_new(&o, &s), PS_OK);
	for (int i = 0; i < n; i++) {
		const struct ps_sched_tenant t = {.weight = 1, .queue_limit = 1000};
		const struct ps_sched_instance in = {.max_batch = 1,
						     .footprint_bytes = footprints[i]};
		assert_int_equal(ps_sched_set_tenant(s, i, &t), PS_OK);
		assert_int_equal(ps_sched_set_instance(s, i, &in, true), PS_OK);
	}
	return s;
}

static void push(struct ps_sched *s, struct ps_sched_item *it, int instance, int64_t now_ns)
{
	ps_sched_item_init(it);
	it->tenant = it->instance = instance;
	it->rows = 1;
	assert_int_equal(ps_sched_push(s, it, now_ns), PS_OK);
}

/* One request at a time; lane 0 is always the one that asks first, as a lane that has just ended a
 * run does. Letters: instances; digits: the lane that ran each. */
static void idle_lanes_are_chosen_by_what_they_hold(void **state)
{
	static const struct {
		const char *what;
		int64_t cache_bytes, footprints[4];
		const char *asked, *lanes;
	} cases[] = {
		{"two that overflow a cache", CACHE, {600, 600}, "abababab", "01010101"},
		{"two that fit in one go to the roomier lane at first",
		 CACHE,
		 {300, 300},
		 "aabbab",
		 "001101"},
		{"no cache is known", 0, {600, 600}, "abab", "0000"},
		{"no footprints", CACHE, {0, 0}, "abab", "0000"},
		{"one that fits in no cache", CACHE, {5000, 600}, "ababa", "00101"},
		{"too little to matter", CACHE, {20, 20}, "abab", "0000"},
		{"three in two caches", CACHE, {600, 600, 300}, "abcabc", "010010"},
	};

	(void)state;
	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		struct ps_sched *s = make(2, cases[c].cache_bytes, cases[c].footprints, 4);
		int64_t now_ns = MS;
		for (int k = 0; cases[c].asked[k]; k++, now_ns += MS) {
			struct ps_sched_item it;
			push(s, &it, cases[c].asked[k] - 'a', now_ns);
			int wanted = ps_sched_lane_for(s, now_ns);
			const struct ps_sched_run *run =
				ps_sched_start(s, wanted < 0 ? 0 : wanted, now_ns);
			if (!run)
				fail_msg("%s: nothing ran at %d", cases[c].what, k);
			if (run->lane != cases[c].lanes[k] - '0')
				fail_msg("%s: %d ran on lane %d", cases[c].what, k, run->lane);
			ps_sched_finish(s, run->lane, now_ns, now_ns + MS / 2, true);
		}
		ps_sched_free(s);
	}
}

/* A lane that asks first leaves a run to the idle lane that holds it, for a moment at most; and
 * takes it at once when that lane is busy, or when lanes end. */
static void a_run_is_left_for_a_moment(void **state)
{
	static const int64_t footprints[] = {600, 600};
	struct ps_sched *s = make(2, CACHE, footprints, 2);
	struct ps_sched_item a, b, c;
	const struct ps_sched_run *run;

	(void)state;
	push(s, &a, 0, MS);
	assert_non_null(ps_sched_start(s, 1, MS));
	ps_sched_finish(s, 1, MS, 2 * MS, true);
	push(s, &b, 0, 3 * MS);
	assert_null(ps_sched_start(s, 0, 3 * MS));
	assert_int_equal(ps_sched_left_for(s), 1);
	assert_true(ps_sched_wants_lane(s, 3 * MS));
	assert_int_equal(ps_sched_lane_for(s, 3 * MS), 1);
	run = ps_sched_start(s, 1, 3 * MS);
	assert_ptr_equal(run->first, &b);
	assert_int_equal(ps_sched_left_for(s), -1);
	push(s, &c, 0, 3 * MS); /* its lane is busy now */
	run = ps_sched_start(s, 0, 3 * MS);
	assert_ptr_equal(run->first, &c);
	ps_sched_finish(s, 0, 3 * MS, 4 * MS, true);
	ps_sched_finish(s, 1, 3 * MS, 4 * MS, true);
	push(s, &b, 1, 5 * MS); /* drives instance 0 out of lane 0 */
	assert_non_null(ps_sched_start(s, 0, 5 * MS));
	ps_sched_finish(s, 0, 5 * MS, 6 * MS, true);
	push(s, &a, 0, 7 * MS);
	assert_null(ps_sched_start(s, 0, 7 * MS));
	assert_null(ps_sched_start(s, 0, 7 * MS + MS / 2));
	run = ps_sched_start(s, 0, 8 * MS); /* lane 1 did not come */
	assert_ptr_equal(run->first, &a);
	ps_sched_finish(s, 0, 8 * MS, 9 * MS, true);
	push(s, &b, 1, 10 * MS);
	ps_sched_keep(s, false);
	assert_int_equal(ps_sched_lane_for(s, 10 * MS), -1);
	run = ps_sched_start(s, 1, 10 * MS);
	assert_ptr_equal(run->first, &b);
	assert_true(ps_sched_check(s));
	ps_sched_free(s);
}

/* Everybody backlogged, runs of 1 ms, three tenants of weight 1 on two lanes: with caches lanes
 * keep to what they hold most of the time, and no two tenants are ever further apart than the bound
 * of sched.h, 2 x (1 + 1) ms, and one run more. */
static void backlogged_tenants_stay_together(void **state)
{
	enum { RUNS = 3000, TENANTS = 3 };
	static const int64_t footprints[] = {600, 600, 300};
	static const int64_t caches[] = {0, CACHE};
	struct ps_sched_item *items = calloc(RUNS * TENANTS, sizeof *items);
	int warm_runs[2];

	(void)state;
	for (size_t c = 0; c < 2; c++) {
		struct ps_sched *s = make(2, caches[c], footprints, TENANTS);
		const struct ps_sched_run *on[2];
		int last[2] = {-1, -1}, warm = 0;
		int64_t now_ns = 0, began_ns[2] = {0}, got[TENANTS] = {0};
		for (int i = 0; i < TENANTS; i++)
			for (int k = 0; k < RUNS && k < 999; k++)
				push(s, &items[i * RUNS + k], i, 0);
		for (int lane = 0; lane < 2; lane++)
			on[lane] = ps_sched_start(s, lane, 0);
		for (int k = 0; k < 2 * 999; k++) {
			int lane = k % 2, was = on[lane]->instance;
			now_ns = began_ns[lane] + MS + lane * 1000; /* lane 1 is a little slower */
			warm += was == last[lane];
			last[lane] = was;
			got[was] += MS;
			ps_sched_finish(s, lane, began_ns[lane], now_ns, true);
			began_ns[lane] = now_ns;
			on[lane] = ps_sched_start(s, lane, now_ns);
			assert_non_null(on[lane]);
			for (int i = 1; i < TENANTS; i++)
				assert_true(llabs(got[i] - got[i - 1]) <= 5 * MS);
		}
		assert_true(ps_sched_check(s));
		warm_runs[c] = warm;
		for (int lane = 0; lane < 2; lane++)
			ps_sched_finish(s, lane, began_ns[lane], now_ns + MS, true);
		for (int i = 0; i < RUNS * TENANTS; i++)
			if (ps_sched_queued(&items[i]))
				ps_sched_remove(s, &items[i], now_ns);
		ps_sched_free(s);
	}
	print_message("warm runs of 1998: %d without, %d with caches\n", warm_runs[0],
		      warm_runs[1]);
	assert_true(warm_runs[0] < 100 && warm_runs[1] > 500);
	free(items);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle_lanes_are_chosen_by_what_they_hold),
		cmocka_unit_test(a_run_is_left_for_a_moment),
		cmocka_unit_test(backlogged_tenants_stay_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
