/* What a model's configuration says about waiting: limits, times and levels, in virtual time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/dispatch/world.h"

static void configure(struct world *w, const char *name, const struct ps_repo_batching *b)
{
	struct ps_repo_config c;
	ps_repo_config_init(&c);
	c.batching = *b;
	if (ps_repo_set_config(w->repo, name, &c, &w->err) != PS_OK)
		fail_msg("%s", w->err.what);
	ps_repo_config_fini(&c);
	ps_dispatch_repo_changed(w->d);
}

/* A request for the one model that its tenant sees. */
static enum ps_status ask(struct world *w, struct ps_dispatch_request *r, int tenant, int level,
			  int64_t timeout_ns, int64_t now_ns)
{
	struct ps_dispatch_action a;
	ps_dispatch_request_init(r, tenant, tenant == A ? w->left2 : w->right);
	r->level = level;
	r->timeout_ns = timeout_ns;
	r->account.received_ns = now_ns;
	return ps_dispatch_arrive(w->d, r, now_ns, &a, &w->err);
}

static void run_one(struct world *w, int64_t now_ns)
{
	struct ps_dispatch_action a = ps_dispatch_lane_free(w->d, 0, now_ns);
	assert_int_equal(a.kind, PS_DISPATCH_RUN);
	ps_dispatch_finish(w->d, a.batch, PS_OK, now_ns, now_ns);
}

static void drop(struct world *w, struct ps_dispatch_request *r, int n)
{
	for (int k = 0; k < n; k++)
		ps_dispatch_cancel(w->d, &r[k], 0);
	end_world(w);
}

/* ---- how many ------------------------------------------------------------------------------ */

static void a_queue_has_its_size(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		struct ps_repo_batching said;
		int levels[5];
		int admitted; /* of these five, one after the other */
	} rows[] = {
		{"no bound", {.queue = {.max_queue_size = 0}}, {0}, 5},
		{"three", {.queue = {.max_queue_size = 3}}, {0}, 3},
		{"without levels it is one queue", {.queue = {.max_queue_size = 3}}, {1, 2, 3}, 3},
		{"each level has its own",
		 {.priority_levels = 2,
		  .default_priority_level = 2,
		  .queue = {.max_queue_size = 2}},
		 {1, 2, 1, 0, 2},
		 4},
		{"and its own size",
		 {.priority_levels = 2,
		  .default_priority_level = 1,
		  .queue = {.max_queue_size = 9},
		  .level_policies = {{.level = 2, .queue = {.max_queue_size = 1}}},
		  .n_level_policies = 1},
		 {0, 1, 2, 1, 2},
		 4},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct world w = plain_world(1, 100);
		struct ps_dispatch_request r[5];
		configure(&w, "left", &rows[i].said);
		for (int k = 0; k < 5; k++) {
			enum ps_status s = ask(&w, &r[k], A, rows[i].levels[k], 0, 0);
			enum ps_status expected = k < rows[i].admitted ? PS_OK : PS_EUNAVAIL;
			if (s != expected)
				fail_msg("%s: request %d: %s", rows[i].what, k,
					 ps_status_get(s)->meaning);
		}
		if (rows[i].admitted < 5) {
			assert_int_equal(r[4].account.reason, PS_DISPATCH_REASON_MODEL_QUEUE);
			assert_non_null(strstr(w.err.what, "Exceeds maximum queue size"));
		}
		assert_int_equal(ps_dispatch_waiting(w.d), rows[i].admitted);
		drop(&w, r, rows[i].admitted);
	}
}

/* Whoever fills his queue takes no place from another tenant of the same model. */
static void a_queue_is_a_tenants_own(void **state)
{
	(void)state;
	const struct ps_repo_batching said = {.queue = {.max_queue_size = 1}};
	struct world w = plain_world(1, 100);
	struct ps_dispatch_action a;
	struct ps_dispatch_request r[4];
	configure(&w, "left", &said);
	assert_int_equal(ask(&w, &r[0], A, 0, 0, 0), PS_OK);
	assert_int_equal(ask(&w, &r[1], A, 0, 0, 0), PS_EUNAVAIL);
	ps_dispatch_request_init(&r[2], B, w.left2);
	assert_int_equal(ps_dispatch_arrive(w.d, &r[2], 0, &a, NULL), PS_OK);
	ps_dispatch_request_init(&r[3], B, w.right); /* no bound there */
	assert_int_equal(ps_dispatch_arrive(w.d, &r[3], 0, &a, NULL), PS_OK);
	ps_dispatch_cancel(w.d, &r[0], 0);
	ps_dispatch_cancel(w.d, &r[2], 0);
	ps_dispatch_cancel(w.d, &r[3], 0);
	end_world(&w);
}

/* Places come back however a request leaves the queue, and no other queue is disturbed. */
static void places_come_back(void **state)
{
	(void)state;
	enum { LEVELS = 50, EACH = 3, N = 400 };
	const struct ps_repo_batching said = {.priority_levels = LEVELS,
					      .default_priority_level = 1,
					      .queue = {.max_queue_size = EACH}};
	struct world w = plain_world(1, N);
	struct ps_dispatch_request *r = calloc(N, sizeof *r);
	int waiting[LEVELS + 1] = {0};
	struct ps_rng rng;
	ps_rng_init(&rng, 3, 1);
	configure(&w, "left", &said);
	for (int step = 0; step < 20000; step++) {
		int k = (int)ps_rng_below(&rng, N);
		if (r[k].state == PS_DISPATCH_WAITING) {
			waiting[r[k].level]--;
			ps_dispatch_cancel(w.d, &r[k], step);
			continue;
		}
		int level = 1 + (int)ps_rng_below(&rng, LEVELS);
		enum ps_status s = ask(&w, &r[k], A, level, 0, step);
		assert_int_equal(s, waiting[level] < EACH ? PS_OK : PS_EUNAVAIL);
		waiting[level] += s == PS_OK;
		if (step % 7 == 0) { /* the first of all is run */
			struct ps_dispatch_action a = ps_dispatch_lane_free(w.d, 0, step);
			waiting[a.batch->first->level]--;
			ps_dispatch_finish(w.d, a.batch, PS_OK, step, step);
		}
	}
	for (int k = 0; k < N; k++)
		if (r[k].state == PS_DISPATCH_WAITING)
			ps_dispatch_cancel(w.d, &r[k], 0);
	free(r);
	end_world(&w);
}

/* ---- how long ------------------------------------------------------------------------------ */

enum { RUNS_AT = 20 };

static void a_request_waits_for_its_time(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		struct ps_repo_queue_policy said;
		int64_t timeout_ns;
		int64_t until_ns; /* when it is refused; 0: it is not, and runs at RUNS_AT */
		int64_t deadline_ns;
	} rows[] = {
		{"nothing said", {0}, 0, 0, 0},
		{"nothing said: the client's is a deadline", {0}, 10, 10, 10},
		{"the default", {.default_timeout_ns = 12}, 0, 12, 0},
		{"the client's is ignored", {.default_timeout_ns = 12}, 5, 12, 0},
		{"the client's is less",
		 {.default_timeout_ns = 12, .allow_timeout_override = true},
		 5,
		 5,
		 0},
		{"it cannot be more",
		 {.default_timeout_ns = 12, .allow_timeout_override = true},
		 50,
		 12,
		 0},
		{"long enough", {.default_timeout_ns = RUNS_AT + 1}, 5, 0, 0},
		{"put off, not refused", {.delay = true, .default_timeout_ns = 12}, 0, 0, 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct ps_repo_batching said = {.queue = rows[i].said};
		struct world w = plain_world(1, 100);
		struct ps_dispatch_request r;
		struct ps_dispatch_action a = {0};
		configure(&w, "left", &said);
		assert_int_equal(ask(&w, &r, A, 0, rows[i].timeout_ns, 0), PS_OK);
		assert_int_equal(r.account.deadline_ns, rows[i].deadline_ns);
		int64_t now = 1;
		for (; now < RUNS_AT && a.kind == PS_DISPATCH_NOTHING; now++)
			a = ps_dispatch_tick(w.d, now);
		if (rows[i].until_ns ? a.kind != PS_DISPATCH_EXPIRE || now - 1 != rows[i].until_ns
				     : a.kind != PS_DISPATCH_NOTHING)
			fail_msg("%s: action %d at %lld", rows[i].what, a.kind, (long long)now - 1);
		if (rows[i].until_ns) {
			assert_int_equal(r.account.status, PS_EDEADLINE);
			assert_int_equal(r.account.reason, PS_DISPATCH_REASON_EXPIRED);
		} else {
			run_one(&w, RUNS_AT);
		}
		assert_true(ps_dispatch_next_tick_ns(w.d) == INT64_MAX);
		end_world(&w);
	}
}

/* The bound is on the wait alone; and a lane that comes before the tick does not run it either. */
static void only_the_wait_is_bounded(void **state)
{
	(void)state;
	const struct ps_repo_batching said = {.queue = {.default_timeout_ns = 10}};
	struct world w = plain_world(1, 100);
	struct ps_dispatch_request r[2];
	configure(&w, "left", &said);
	assert_int_equal(ask(&w, &r[0], A, 0, 0, 0), PS_OK);
	assert_int_equal(ask(&w, &r[1], A, 0, 0, 0), PS_OK);
	struct ps_dispatch_action a = ps_dispatch_lane_free(w.d, 0, 9);
	assert_int_equal(a.kind, PS_DISPATCH_RUN);
	ps_dispatch_finish(w.d, a.batch, PS_OK, 9, 30);
	assert_int_equal(r[0].account.status, PS_OK);
	assert_int_equal(ps_dispatch_lane_free(w.d, 0, 30).kind, PS_DISPATCH_NOTHING);
	a = ps_dispatch_tick(w.d, 30);
	assert_int_equal(a.kind, PS_DISPATCH_EXPIRE);
	assert_ptr_equal(a.request, &r[1]);
	end_world(&w);
}

/* ---- in what order ------------------------------------------------------------------------- */

static void levels_are_an_order(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		struct ps_repo_batching said;
		struct {
			int level;
			int64_t timeout_ns;
		} requests[4];	   /* that arrive together at 0 */
		const char *order; /* in which they run from RUNS_AT on */
	} rows[] = {
		{"no levels: as asked, 0 counts as 1",
		 {0},
		 {{7, 0}, {0, 0}, {2, 0}, {1, 0}},
		 "1320"},
		{"levels: 0 is the default one",
		 {.priority_levels = 3, .default_priority_level = 2},
		 {{3, 0}, {0, 0}, {2, 0}, {1, 0}},
		 "3120"},
		{"within a level the earliest deadline",
		 {.priority_levels = 2, .default_priority_level = 2},
		 {{0, 0}, {0, 90}, {0, 80}, {1, 0}},
		 "3210"},
		{"who is put off is the last of his level",
		 {.priority_levels = 2,
		  .default_priority_level = 1,
		  .queue = {.delay = true,
			    .default_timeout_ns = 2 * RUNS_AT,
			    .allow_timeout_override = true}},
		 {{1, 5}, {1, 0}, {2, 0}, {1, 0}},
		 "1302"},
		{"levels have times of their own",
		 {.priority_levels = 2,
		  .default_priority_level = 1,
		  .level_policies = {{.level = 2,
				      .queue = {.delay = true,
						.default_timeout_ns = 9,
						.allow_timeout_override = true}}},
		  .n_level_policies = 1},
		 {{2, 3}, {2, 8}, {1, 0}, {2, 7}},
		 "2031"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct world w = plain_world(1, 100);
		struct ps_dispatch_request r[4];
		char order[5] = "";
		configure(&w, "left", &rows[i].said);
		for (int k = 0; k < 4; k++)
			assert_int_equal(ask(&w, &r[k], A, rows[i].requests[k].level,
					     rows[i].requests[k].timeout_ns, 0),
					 PS_OK);
		for (int64_t now = 0; now < RUNS_AT; now++)
			assert_int_equal(ps_dispatch_tick(w.d, now).kind, PS_DISPATCH_NOTHING);
		for (int k = 0; k < 4; k++) {
			struct ps_dispatch_action a = ps_dispatch_lane_free(w.d, 0, RUNS_AT);
			assert_int_equal(a.kind, PS_DISPATCH_RUN);
			order[k] = (char)('0' + (a.batch->first - r));
			ps_dispatch_finish(w.d, a.batch, PS_OK, RUNS_AT, RUNS_AT);
		}
		if (strcmp(order, rows[i].order) != 0)
			fail_msg("%s: %s, not %s", rows[i].what, order, rows[i].order);
		end_world(&w);
	}
}

/* Put off, a request is also behind those that come later, until nobody else is there. */
static void put_off_is_behind_newcomers(void **state)
{
	(void)state;
	const struct ps_repo_batching said = {.queue = {.delay = true, .default_timeout_ns = 5}};
	struct world w = plain_world(1, 100);
	struct ps_dispatch_request r[3];
	configure(&w, "left", &said);
	assert_int_equal(ask(&w, &r[0], A, 0, 0, 0), PS_OK);
	assert_int_equal(ps_dispatch_tick(w.d, 5).kind, PS_DISPATCH_NOTHING);
	assert_int_equal(ask(&w, &r[1], A, 0, 0, 6), PS_OK);
	assert_int_equal(ask(&w, &r[2], A, 0, 0, 7), PS_OK);
	static const int order[] = {1, 2, 0};
	for (int k = 0; k < 3; k++) {
		struct ps_dispatch_action a = ps_dispatch_lane_free(w.d, 0, 8);
		assert_ptr_equal(a.batch->first, &r[order[k]]);
		ps_dispatch_finish(w.d, a.batch, PS_OK, 8, 8);
	}
	end_world(&w);
}

static void a_level_that_is_not_there_is_refused(void **state)
{
	(void)state;
	const struct ps_repo_batching said = {.priority_levels = 3, .default_priority_level = 2};
	struct world w = plain_world(1, 100);
	struct ps_dispatch_request r;
	configure(&w, "left", &said);
	assert_int_equal(ask(&w, &r, A, 4, 0, 0), PS_EINVAL);
	assert_int_equal(r.account.reason, PS_DISPATCH_REASON_NONE);
	assert_string_equal(w.err.what, "priority level must be in range [1, 3] for 'left', got 4");
	assert_int_equal(ask(&w, &r, A, 3, 0, 0), PS_OK);
	assert_int_equal(r.level, 3);
	ps_dispatch_cancel(w.d, &r, 0);
	assert_int_equal(ask(&w, &r, A, 0, 0, 0), PS_OK);
	assert_int_equal(r.level, 2);
	drop(&w, &r, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_queue_has_its_size),
		cmocka_unit_test(a_queue_is_a_tenants_own),
		cmocka_unit_test(places_come_back),
		cmocka_unit_test(a_request_waits_for_its_time),
		cmocka_unit_test(only_the_wait_is_bounded),
		cmocka_unit_test(levels_are_an_order),
		cmocka_unit_test(put_off_is_behind_newcomers),
		cmocka_unit_test(a_level_that_is_not_there_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
