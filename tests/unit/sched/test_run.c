/* Learned service times, the sizes of batches, the width of runs, runs where they arrive. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/sched/world.h"

enum { MAX_JOBS = 64 };

static struct ps_sched *make(const struct ps_sched_options *o, const struct ps_sched_instance *i)
{
	const struct ps_sched_tenant t = {.weight = 1, .queue_limit = 1000};
	struct ps_sched *s = NULL;
	assert_int_equal(ps_sched_new(o, &s), PS_OK);
	assert_int_equal(ps_sched_set_tenant(s, 0, &t), PS_OK);
	assert_int_equal(ps_sched_set_instance(s, 0, i, true), PS_OK);
	return s;
}

static void push(struct ps_sched *s, struct ps_sched_item *it, int64_t rows, int64_t deadline_ns,
		 int64_t now_ns)
{
	ps_sched_item_init(it);
	it->tenant = it->instance = 0;
	it->rows = rows;
	it->deadline_ns = deadline_ns;
	assert_int_equal(ps_sched_push(s, it, now_ns), PS_OK);
}

/* One run of `rows` that takes `ns`. */
static void teach(struct ps_sched *s, int64_t rows, int64_t ns)
{
	struct ps_sched_item it;
	push(s, &it, rows, 0, 0);
	assert_non_null(ps_sched_start(s, 0, 0));
	ps_sched_finish(s, 0, 0, ns, true);
}

static void times_are_learned(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		int64_t taught[8][2]; /* rows, ms; ends with 0 */
		int64_t rows;
		double q;
		int64_t expected_ms;
	} rows[] = {
		{"nothing is known", {{0}}, 1, 0.5, 0},
		{"one sample", {{1, 10}}, 1, 0.9, 10},
		{"the median of three", {{1, 10}, {1, 90}, {1, 20}}, 1, 0.5, 20},
		{"p90 of three", {{1, 10}, {1, 90}, {1, 20}}, 1, 0.9, 90},
		{"between two sizes", {{1, 10}, {3, 30}}, 2, 0.5, 20},
		{"a fixed part is found", {{2, 12}, {4, 14}}, 3, 0.5, 13},
		{"beyond the largest in proportion", {{2, 10}}, 8, 0.5, 40},
		{"fewer rows take no longer", {{4, 10}}, 1, 0.5, 10},
		{"large sizes share a slot, by rows", {{64, 640}}, 70, 0.5, 700},
	};
	const struct ps_sched_options o = {.n_lanes = 1, .cpus = 1};
	for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
		struct ps_sched *s = make(&o, &(struct ps_sched_instance){0});
		for (int n = 0; rows[k].taught[n][0]; n++)
			teach(s, rows[k].taught[n][0], rows[k].taught[n][1] * MS);
		int64_t ns = ps_sched_service_ns(s, 0, rows[k].rows, 1, rows[k].q);
		if (ns != rows[k].expected_ms * MS)
			fail_msg("%s: %.3f ms", rows[k].what, (double)ns / 1e6);
		ps_sched_free(s);
	}
}

static void a_change_is_followed_and_forgotten(void **state)
{
	(void)state;
	const struct ps_sched_options o = {.n_lanes = 1, .cpus = 1};
	struct ps_sched *s = make(&o, &(struct ps_sched_instance){0});
	for (int k = 0; k < 1000; k++)
		teach(s, 1, 10 * MS);
	teach(s, 1, 1000 * MS); /* one slow run moves neither */
	assert_int_equal(ps_sched_service_ns(s, 0, 1, 1, 0.5), 10 * MS);
	assert_int_equal(ps_sched_service_ns(s, 0, 1, 1, 0.9), 10 * MS);
	for (int k = 0; k < 40; k++)
		teach(s, 1, 20 * MS);
	assert_int_equal(ps_sched_service_ns(s, 0, 1, 1, 0.5), 20 * MS);
	assert_int_equal(ps_sched_set_instance(s, 0, &(struct ps_sched_instance){0}, true), PS_OK);
	assert_int_equal(ps_sched_service_ns(s, 0, 1, 1, 0.5), 0);
	ps_sched_free(s);
}

/* ---- sizes --------------------------------------------------------------------------------- */

/* What the run takes that is made of `n` waiting rows, the first with a deadline. */
static int64_t size_of(const struct ps_sched_instance *i, double base_ms, double row_ms, int n,
		       int64_t deadline_ms)
{
	static const int64_t taught[] = {1, 2, 4, 8, 16};
	const struct ps_sched_options o = {.n_lanes = 1, .cpus = 1};
	struct ps_sched_item items[MAX_JOBS];
	struct ps_sched *s = make(&o, i);
	for (size_t k = 0; k < sizeof taught / sizeof *taught; k++)
		for (int again = 0; again < 3; again++)
			teach(s, taught[k],
			      (int64_t)((base_ms + row_ms * (double)taught[k]) * 1e6));
	for (int k = 0; k < n; k++)
		push(s, &items[k], 1, k == 0 ? deadline_ms * MS : 0, 0);
	const struct ps_sched_run *run = ps_sched_start(s, 0, 0);
	assert_non_null(run);
	int64_t rows = run->rows;
	ps_sched_finish(s, 0, 0, MS, true);
	ps_sched_free(s);
	return rows;
}

static void sizes(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		struct ps_sched_instance i;
		double base_ms, row_ms;
		int waiting;
		int64_t deadline_ms, expected;
	} rows[] = {
		{"all that pays", {.max_batch = 8}, 10, 1, 20, 0, 8},
		{"what is there", {.max_batch = 8}, 10, 1, 5, 0, 5},
		{"no batches", {.max_batch = 1}, 10, 1, 20, 0, 1},
		{"no gain", {.max_batch = 8}, 0, 10, 20, 0, 1},
		{"a loss", {.max_batch = 8}, -1, 10, 20, 0, 1},
		{"longest run", {.max_batch = 16, .max_run_ns = 15 * MS}, 10, 1, 20, 0, 4},
		{"tightest deadline", {.max_batch = 16}, 10, 1, 20, 30, 4},
		{"hopeless: alone", {.max_batch = 16}, 10, 1, 20, 12, 1},
	};
	for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
		int64_t got = size_of(&rows[k].i, rows[k].base_ms, rows[k].row_ms, rows[k].waiting,
				      rows[k].deadline_ms);
		if (got != rows[k].expected)
			fail_msg("%s: %d rows", rows[k].what, (int)got);
	}
}

static void sizes_are_tried_one_by_one(void **state)
{
	(void)state;
	const struct ps_sched_options o = {.n_lanes = 1, .cpus = 1};
	struct ps_sched *s = make(&o, &(struct ps_sched_instance){.max_batch = 8});
	struct ps_sched_item items[MAX_JOBS];
	int64_t most = 0, now = 0;
	for (int round = 0; round < 20; round++) { /* 8 rows cost 24, one costs 10 */
		for (int k = 0; k < 8; k++)
			push(s, &items[k], 1, 0, now);
		const struct ps_sched_run *run;
		while ((run = ps_sched_start(s, 0, now))) {
			int64_t rows = run->rows;
			assert_true(rows <= 2 * most || most == 0);
			most = rows > most ? rows : most;
			ps_sched_finish(s, 0, now, now + (8 + 2 * rows) * MS, true);
			now += (8 + 2 * rows) * MS;
		}
	}
	assert_int_equal(most, 8);
	ps_sched_free(s);
}

static void idle_lanes_share_what_waits(void **state)
{
	(void)state;
	const struct ps_sched_options o = {.n_lanes = 2, .cpus = 1};
	struct ps_sched *s = make(&o, &(struct ps_sched_instance){.max_batch = 8});
	struct ps_sched_item items[8];
	for (int k = 0; k < 3; k++) {
		teach(s, 1, 10 * MS);
		teach(s, 8, 12 * MS);
		teach(s, 4, 11 * MS);
	}
	for (int k = 0; k < 8; k++)
		push(s, &items[k], 1, 0, 0);
	assert_int_equal(ps_sched_start(s, 0, 0)->rows, 4);
	assert_int_equal(ps_sched_start(s, 1, 0)->rows, 4);
	ps_sched_free(s);
}

static void runs_of_an_instance_are_bounded(void **state)
{
	(void)state;
	const struct ps_sched_options o = {.n_lanes = 3, .cpus = 1};
	struct ps_sched *s = make(&o, &(struct ps_sched_instance){.max_runs = 2});
	struct ps_sched_item items[4];
	for (int k = 0; k < 4; k++)
		push(s, &items[k], 1, 0, 0);
	assert_non_null(ps_sched_start(s, 0, 0));
	assert_non_null(ps_sched_start(s, 1, 0));
	assert_null(ps_sched_start(s, 2, 0));
	assert_false(ps_sched_wants_lane(s, 0));
	assert_true(ps_sched_check(s));
	ps_sched_finish(s, 0, 0, MS, true);
	assert_true(ps_sched_wants_lane(s, MS));
	assert_non_null(ps_sched_start(s, 2, MS));
	assert_true(ps_sched_check(s));
	ps_sched_free(s);
}

/* ---- width --------------------------------------------------------------------------------- */

/* Runs alone, one after the other, on a machine where wide ones take `wide_ms` and narrow ones 10;
 * returns how many of the last hundred were wide. */
static int wide_runs(int64_t wide_ms)
{
	const struct ps_sched_options o = {.n_lanes = 4, .cpus = 4, .auto_width = true};
	struct ps_sched *s = make(&o, &(struct ps_sched_instance){0});
	struct ps_sched_item it;
	int64_t now = 0;
	int wide = 0;
	for (int k = 0; k < 200; k++, now += 1000 * MS) {
		push(s, &it, 1, 0, now);
		const struct ps_sched_run *run = ps_sched_start(s, 0, now);
		wide += k >= 100 && run->width == 4;
		int64_t end = now + (run->width > 1 ? wide_ms : 10) * MS;
		ps_sched_finish(s, 0, now, end, true);
	}
	ps_sched_free(s);
	return wide;
}

static void width_follows_what_is_shorter(void **state)
{
	(void)state;
	assert_true(wide_runs(4) >= 97);
	assert_true(wide_runs(11) <= 3);
}

static void busy_runs_are_narrow(void **state)
{
	(void)state;
	const struct ps_sched_options o = {.n_lanes = 2, .cpus = 2, .auto_width = true};
	struct ps_sched *s = make(&o, &(struct ps_sched_instance){0});
	struct ps_sched_item items[3];
	for (int k = 0; k < 3; k++)
		push(s, &items[k], 1, 0, 0);
	assert_int_equal(ps_sched_start(s, 0, 0)->width, 1);
	assert_int_equal(ps_sched_start(s, 1, 0)->width, 1);
	ps_sched_finish(s, 0, 0, 10 * MS, true);
	assert_int_equal(ps_sched_start(s, 0, 10 * MS)->width, 1); /* the other one runs */
	ps_sched_free(s);
}

static void a_wide_run_has_the_machine(void **state)
{
	(void)state;
	const struct ps_sched_options o = {.n_lanes = 2, .cpus = 2, .wide = true};
	struct ps_sched *s = make(&o, &(struct ps_sched_instance){0});
	struct ps_sched_item items[2];
	push(s, &items[0], 1, 0, 0);
	push(s, &items[1], 1, 0, 0);
	assert_int_equal(ps_sched_start(s, 0, 0)->width, 2);
	assert_null(ps_sched_start(s, 1, 0));
	assert_false(ps_sched_wants_lane(s, 0));
	ps_sched_finish(s, 0, 0, 10 * MS, true);
	assert_int_equal(ps_sched_cost_ns(s, 0), 20 * MS);
	assert_true(ps_sched_wants_lane(s, 10 * MS));
	ps_sched_free(s);
}

/* ---- admission ----------------------------------------------------------------------------- */

static void what_is_refused_is_tried_again(void **state)
{
	(void)state;
	const struct ps_sched_options o = {.n_lanes = 1, .cpus = 1};
	struct ps_sched *s = make(&o, &(struct ps_sched_instance){0});
	struct ps_sched_item it;
	int64_t finish;
	for (int k = 0; k < 5; k++)
		teach(s, 1, 100 * MS); /* it once was slow */
	for (int64_t now = 200 * MS; now < 2000 * MS; now += 500 * MS) {
		ps_sched_item_init(&it);
		it.tenant = it.instance = 0;
		it.deadline_ns = now + 50 * MS;
		enum ps_status status = ps_sched_admit(s, &it, now, &finish);
		assert_int_equal(finish, now + 100 * MS);
		assert_int_equal(status, now < 600 * MS ? PS_EDEADLINE : PS_OK);
		if (status != PS_OK)
			continue;
		assert_true(it.unchecked);
		break;
	}
	ps_sched_free(s);
}

/* It was slow for as long as is remembered, and is fast again: each try that is in time is followed
 * by the next, until the memory is a good one. */
static void tries_that_go_well_go_on(void **state)
{
	(void)state;
	const struct ps_sched_options o = {.n_lanes = 1, .cpus = 1};
	struct ps_sched *s = make(&o, &(struct ps_sched_instance){0});
	struct ps_sched_item it;
	int64_t finish;
	int refused = 0;
	for (int k = 0; k < 100; k++)
		teach(s, 1, 100 * MS);
	for (int k = 0; k < 150; k++) { /* 50 each second */
		int64_t now = 20000 * MS + k * 20 * MS;
		ps_sched_item_init(&it);
		it.tenant = it.instance = 0;
		it.deadline_ns = now + 50 * MS;
		if (ps_sched_admit(s, &it, now, &finish) != PS_OK) {
			refused++;
			continue;
		}
		assert_int_equal(ps_sched_push(s, &it, now), PS_OK);
		assert_non_null(ps_sched_start(s, 0, now));
		ps_sched_finish(s, 0, now, now + 10 * MS, true);
	}
	assert_int_equal(refused, 0);
	ps_sched_free(s);
}

/* An early deadline of the same tenant does not push out one that was admitted. */
static void own_admitted_are_protected(void **state)
{
	(void)state;
	const struct ps_sched_options o = {.n_lanes = 1, .cpus = 1};
	struct ps_sched *s = make(&o, &(struct ps_sched_instance){0});
	struct ps_sched_item items[10], it;
	int64_t finish;
	for (int k = 0; k < 5; k++)
		teach(s, 1, 10 * MS);
	for (int k = 0; k < 10; k++) { /* they fill 100 ms */
		ps_sched_item_init(&items[k]);
		items[k].tenant = items[k].instance = 0;
		items[k].deadline_ns = 100 * MS;
		assert_int_equal(ps_sched_admit(s, &items[k], 0, &finish), PS_OK);
		assert_int_equal(ps_sched_push(s, &items[k], 0), PS_OK);
	}
	ps_sched_item_init(&it);
	it.tenant = it.instance = 0;
	it.deadline_ns = 50 * MS; /* it could make that by going first */
	assert_int_equal(ps_sched_admit(s, &it, 0, &finish), PS_EDEADLINE);
	assert_int_equal(finish, 10 * MS);
	it.deadline_ns = 0; /* no deadline: it goes last */
	assert_int_equal(ps_sched_admit(s, &it, 0, &finish), PS_OK);
	assert_int_equal(finish, 110 * MS);
	ps_sched_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_learned),
		cmocka_unit_test(a_change_is_followed_and_forgotten),
		cmocka_unit_test(sizes),
		cmocka_unit_test(sizes_are_tried_one_by_one),
		cmocka_unit_test(idle_lanes_share_what_waits),
		cmocka_unit_test(runs_of_an_instance_are_bounded),
		cmocka_unit_test(width_follows_what_is_shorter),
		cmocka_unit_test(busy_runs_are_narrow),
		cmocka_unit_test(a_wide_run_has_the_machine),
		cmocka_unit_test(what_is_refused_is_tried_again),
		cmocka_unit_test(tries_that_go_well_go_on),
		cmocka_unit_test(own_admitted_are_protected),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
