/* ps_load_run against a scripted server: threads, closed loops, faults, and what it says of itself.
 * Real time, short; nothing here asks how punctual a busy machine is. (Both the generator and the
 * scripted server start threads with pthread_create: ThreadSanitizer runs this test.) */
#include "load/load.h"
#include "unit/load/scripted_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <sys/resource.h>

#define MS  PS_NS_PER_MS
#define SEC PS_NS_PER_SEC

/* ---- scripts ---- */

static enum script_action good(struct script_server *s, uint64_t n, int64_t *delay)
{
	(void)s;
	(void)n;
	(void)delay;
	return SCRIPT_GOOD;
}

static enum script_action good_in_10ms(struct script_server *s, uint64_t n, int64_t *delay)
{
	(void)s;
	(void)n;
	*delay = 10 * MS;
	return SCRIPT_GOOD;
}

static enum script_action good_in_100ms(struct script_server *s, uint64_t n, int64_t *delay)
{
	(void)s;
	(void)n;
	*delay = 100 * MS;
	return SCRIPT_GOOD;
}

static enum script_action never(struct script_server *s, uint64_t n, int64_t *delay)
{
	(void)s;
	(void)n;
	(void)delay;
	return SCRIPT_NEVER;
}

static const struct {
	enum script_action action;
	enum ps_load_outcome outcome;
} kinds[] = {
	{SCRIPT_GOOD, PS_LOAD_OK},	{SCRIPT_429, PS_LOAD_REFUSED},
	{SCRIPT_401, PS_LOAD_REJECTED}, {SCRIPT_302, PS_LOAD_REJECTED},
	{SCRIPT_500, PS_LOAD_REJECTED}, {SCRIPT_GARBAGE, PS_LOAD_GARBAGE},
	{SCRIPT_HALF, PS_LOAD_RESET},	{SCRIPT_WRONG, PS_LOAD_WRONG},
	{SCRIPT_RESET, PS_LOAD_RESET},	{SCRIPT_NEVER, PS_LOAD_TIMEOUT},
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static enum script_action each_kind(struct script_server *s, uint64_t n, int64_t *delay)
{
	(void)s;
	(void)delay;
	return kinds[n % KINDS].action;
}

static enum script_action dies_once(struct script_server *s, uint64_t n, int64_t *delay)
{
	(void)s;
	(void)delay;
	return n == 40 ? SCRIPT_DIE : SCRIPT_GOOD;
}

/* ---- runs ---- */

static struct ps_load_tenant open_tenant(const struct script_server *s, double rate)
{
	return (struct ps_load_tenant){.name = "a",
				       .url = s->url,
				       .model = "m",
				       .arrival = {.kind = PS_LOAD_CONSTANT, .rate_rps = rate}};
}

static struct ps_load_tenant closed_tenant(const struct script_server *s, int users)
{
	return (struct ps_load_tenant){.name = "a",
				       .url = s->url,
				       .model = "m",
				       .arrival = {.kind = PS_LOAD_CLOSED},
				       .concurrency = users};
}

static void run(const struct ps_load_plan *plan, struct ps_load_result *r)
{
	struct ps_error err = {0};

	if (ps_load_run(plan, NULL, NULL, r, &err) != PS_OK) {
		fail_msg("%s", err.what);
	}
}

static uint64_t ended(const struct ps_load_tenant_result *t)
{
	uint64_t n = 0;

	for (int i = 0; i < PS_LOAD_OUTCOME_COUNT; i++) {
		n += t->outcomes[i];
	}
	return n;
}

/* ---- tests ---- */

/* Each arrival once, at the same instant whatever the number of threads, nothing lost in merging.
 */
static void test_threads_share_one_schedule(void **state)
{
	static const int threads[] = {1, 3, 4};
	int64_t instants[3][300];

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		struct script_server *s = script_start(good);
		struct ps_load_tenant t = open_tenant(s, 1000);
		struct ps_load_result r;

		t.arrival.kind = PS_LOAD_POISSON;
		run(&(struct ps_load_plan){.tenants = &t,
					   .tenant_len = 1,
					   .duration_ns = 200 * MS,
					   .seed = 7,
					   .threads = threads[k]},
		    &r);
		memset(instants[k], -1, sizeof(instants[k]));
		assert_int_equal(r.threads, threads[k]);
		assert_int_equal(r.tenants[0].outcomes[PS_LOAD_OK], r.tenants[0].scheduled);
		assert_int_equal(r.tenants[0].record_len, r.tenants[0].scheduled);
		assert_int_equal(ps_hist_count(&r.tenants[0].latency), r.tenants[0].scheduled);
		assert_int_equal(script_requests(s), r.tenants[0].scheduled);
		for (size_t i = 0; i < r.tenants[0].record_len; i++) {
			const struct ps_load_record *q = &r.tenants[0].records[i];

			assert_true(q->sequence < 300);
			assert_int_equal(instants[k][q->sequence], -1);
			instants[k][q->sequence] = q->scheduled_ns;
			assert_true(i == 0 || q->done_ns >= q[-1].done_ns);
		}
		assert_memory_equal(instants[0], instants[k], sizeof(instants[0]));
		assert_true(r.tenants[0].little.checked);
		assert_true(r.tenants[0].little.difference < 0.01);
		ps_load_result_fini(&r);
		script_stop(s);
	}
}

static void test_records_stay_within_their_limit(void **state)
{
	struct script_server *s = script_start(good);
	struct ps_load_tenant t = open_tenant(s, 1000);
	struct ps_load_result r;

	(void)state;
	run(&(struct ps_load_plan){.tenants = &t,
				   .tenant_len = 1,
				   .duration_ns = 200 * MS,
				   .max_records = 90,
				   .threads = 3},
	    &r);
	assert_int_equal(r.tenants[0].scheduled, 200);
	assert_int_equal(r.tenants[0].record_len, 90);
	assert_int_equal(r.tenants[0].records_dropped, 110);
	ps_load_result_fini(&r);
	script_stop(s);
}

/* 118 tenants with 512 connections each would be over the limit of a plan: nobody asked for them.
 */
static void test_many_tenants_share_the_connections(void **state)
{
	enum { MANY = 118 };
	struct script_server *s = script_start(good);
	struct ps_load_tenant t[MANY];
	char names[MANY][16];
	struct ps_load_result r;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "t%d", i);
		t[i] = open_tenant(s, 10);
		t[i].name = names[i];
	}
	run(&(struct ps_load_plan){.tenants = t, .tenant_len = MANY, .duration_ns = 10 * MS}, &r);
	assert_int_equal(r.tenant_len, MANY);
	ps_load_result_fini(&r);
	script_stop(s);
}

/* However low the rate: a probe of 20 ms does not wait for a timer of centuries. */
static void test_a_probe_has_its_length(void **state)
{
	struct script_server *s = script_start(good);
	struct ps_load_tenant t = open_tenant(s, 1e-12);
	struct ps_load_result r;

	(void)state;
	run(&(struct ps_load_plan){.tenants = &t,
				   .tenant_len = 1,
				   .duration_ns = 20 * MS,
				   .probe_ns = 20 * MS},
	    &r);
	assert_in_range(ps_hist_count(&r.probe), 1, 21);
	ps_load_result_fini(&r);
	script_stop(s);
}

/* N users, answers after 10 ms, thinking 30 ms: 25 questions a second each. */
static void test_users_think(void **state)
{
	(void)state;
	for (int threads = 1; threads <= 3; threads += 2) {
		struct script_server *s = script_start(good_in_10ms);
		struct ps_load_tenant t = closed_tenant(s, 5);
		struct ps_load_result r;

		t.think = (struct ps_load_think){.mean_ns = 30 * MS, .constant = true};
		run(&(struct ps_load_plan){.tenants = &t,
					   .tenant_len = 1,
					   .duration_ns = 400 * MS,
					   .threads = threads},
		    &r);
		/* Thinking and waiting fill each user's 400 ms: 9.25 cycles where nothing else is
		 * busy, fewer and longer ones elsewhere. */
		double spent_ms = (double)r.tenants[0].scheduled *
				  (30 + ps_hist_mean_ns(&r.tenants[0].latency) / 1e6);
		assert_in_range(r.tenants[0].scheduled, 5, 5 * 10);
		assert_true(spent_ms >= 0.999 * 5 * (400 - 30));
		assert_true(spent_ms <=
			    1.001 * 5 * (400 + (double)r.tenants[0].latency.max_ns / 1e6));
		assert_int_equal(ended(&r.tenants[0]), r.tenants[0].scheduled);
		assert_int_equal(r.tenants[0].outcomes[PS_LOAD_OK], r.tenants[0].scheduled);
		assert_true(r.tenants[0].peak_in_flight <= 5);
		for (size_t i = 0; i < r.tenants[0].record_len; i++) {
			assert_true(r.tenants[0].records[i].scheduled_ns >= 30 * MS);
		}
		ps_load_result_fini(&r);
		script_stop(s);
	}
}

static void test_closed_loop_keeps_its_users_busy(void **state)
{
	struct script_server *s = script_start(good_in_10ms);
	struct ps_load_tenant t = closed_tenant(s, 4);
	struct ps_load_result r;

	(void)state;
	run(
		&(struct ps_load_plan){
			.tenants = &t, .tenant_len = 1, .duration_ns = 300 * MS, .threads = 2},
		&r);
	assert_int_equal(r.tenants[0].peak_in_flight, 4);
	assert_int_equal(r.tenants[0].connections, 4);
	assert_true(script_open_most(s) <= 5); /* and the one that asked for the metadata */
	assert_true(r.tenants[0].little.in_flight > 2);
	assert_true(r.tenants[0].little.in_flight < 4.05);
	assert_true(r.tenants[0].little.difference < 0.01);
	ps_load_result_fini(&r);
	script_stop(s);
}

static void test_offline_keeps_so_many_under_way(void **state)
{
	struct script_server *s = script_start(good_in_10ms);
	struct ps_load_tenant t = closed_tenant(s, 8);
	struct ps_load_result r;

	(void)state;
	t.arrival.kind = PS_LOAD_OFFLINE;
	run(&(struct ps_load_plan){.tenants = &t, .tenant_len = 1, .duration_ns = 200 * MS}, &r);
	assert_int_equal(r.tenants[0].peak_in_flight, 8);
	assert_true(r.tenants[0].little.in_flight > 4);
	assert_int_equal(r.tenants[0].outcomes[PS_LOAD_OK], r.tenants[0].scheduled);
	ps_load_result_fini(&r);
	script_stop(s);
}

static void test_each_fault_is_counted_by_its_kind(void **state)
{
	struct script_server *s = script_start(each_kind);
	struct ps_load_tenant t = open_tenant(s, 200);
	uint64_t want[PS_LOAD_OUTCOME_COUNT] = {0};
	struct ps_load_result r;

	(void)state;
	t.arrival.rate_rps = 20 * KINDS;
	for (int i = 0; i < KINDS; i++) {
		want[kinds[i].outcome] += 10;
	}
	run(&(struct ps_load_plan){.tenants = &t,
				   .tenant_len = 1,
				   .duration_ns = SEC / 2,
				   .timeout_ns = 2 * SEC,
				   .threads = 2},
	    &r);
	assert_int_equal(r.tenants[0].scheduled, 10 * KINDS);
	assert_memory_equal(r.tenants[0].outcomes, want, sizeof(want));
	assert_true(r.tenants[0].first_failure[0]);
	ps_load_result_fini(&r);
	script_stop(s);
}

/* 300 ms without a server: counted, and found again when it is back. */
static void test_server_that_restarts(void **state)
{
	struct script_server *s = script_start(dies_once);
	struct ps_load_tenant t = open_tenant(s, 200);
	struct ps_load_tenant_result *a;
	struct ps_load_result r;
	int64_t last_ok = 0;

	(void)state;
	run(&(struct ps_load_plan){.tenants = &t, .tenant_len = 1, .duration_ns = SEC}, &r);
	a = &r.tenants[0];
	assert_int_equal(a->scheduled, 200);
	assert_int_equal(ended(a), 200);
	assert_true(a->outcomes[PS_LOAD_CONNECT] > 10);
	assert_true(a->outcomes[PS_LOAD_OK] > 60);
	for (size_t i = 0; i < a->record_len; i++) {
		if (a->records[i].outcome == PS_LOAD_OK && a->records[i].scheduled_ns > last_ok) {
			last_ok = a->records[i].scheduled_ns;
		}
	}
	assert_true(last_ok > 900 * MS);
	ps_load_result_fini(&r);
	script_stop(s);
}

static enum script_action second_never(struct script_server *s, uint64_t n, int64_t *delay)
{
	(void)s;
	(void)delay;
	return n == 1 ? SCRIPT_NEVER : SCRIPT_GOOD;
}

/* All connections hang: those behind them wait with their instants, and all end on time. Two
 * seconds are more than a busy machine keeps a thread away. */
static void test_stall_for_ever(void **state)
{
	struct script_server *s = script_start(never);
	struct ps_load_tenant t = open_tenant(s, 500);
	int64_t begin = ps_clock_now_ns();
	struct ps_load_result r;

	(void)state;
	run(&(struct ps_load_plan){.tenants = &t,
				   .tenant_len = 1,
				   .duration_ns = 200 * MS,
				   .timeout_ns = 2 * SEC,
				   .max_connections = 8,
				   .threads = 2},
	    &r);
	assert_int_equal(r.tenants[0].scheduled, 100);
	assert_int_equal(ended(&r.tenants[0]), 100);
	assert_true(r.tenants[0].outcomes[PS_LOAD_TIMEOUT] >= 8);
	/* What goes out when the first ones have timed out has a moment left, and on a busy machine
	 * that may pass before it is connected again. */
	assert_int_equal(r.tenants[0].outcomes[PS_LOAD_TIMEOUT] +
				 r.tenants[0].outcomes[PS_LOAD_UNSENT] +
				 r.tenants[0].outcomes[PS_LOAD_CONNECT],
			 100);
	assert_true(r.tenants[0].late_limit >= 92);
	assert_int_equal(r.tenants[0].connections, 8);
	assert_true(ps_clock_now_ns() - begin < 10 * SEC); /* not 100 / 8 x 2 s */
	assert_false(r.tenants[0].valid);
	ps_load_result_fini(&r);
	script_stop(s);
}

static void test_waiting_is_part_of_the_latency(void **state)
{
	struct script_server *s = script_start(good_in_100ms);
	struct ps_load_tenant t = open_tenant(s, 40);
	struct ps_load_result r;

	(void)state;
	run(&(struct ps_load_plan){.tenants = &t,
				   .tenant_len = 1,
				   .duration_ns = 500 * MS,
				   .max_connections = 2},
	    &r);
	/* 20 requests, 2 at once, 100 ms each: the last is answered after a second. */
	assert_int_equal(r.tenants[0].outcomes[PS_LOAD_OK], 20);
	assert_true(r.tenants[0].latency.max_ns > 400 * MS);
	assert_true(ps_hist_quantile_ns(&r.tenants[0].service_latency, 0.5) < 300 * MS);
	assert_true(r.tenants[0].late_limit > 10);
	ps_load_result_fini(&r);
	script_stop(s);
}

/* More than any generator can: said, never silently less. */
static void test_too_much_is_refused(void **state)
{
	struct script_server *s = script_start(good);
	struct ps_load_tenant t = open_tenant(s, 3e6);
	struct ps_load_result r;

	(void)state;
	run(&(struct ps_load_plan){.tenants = &t,
				   .tenant_len = 1,
				   .duration_ns = 100 * MS,
				   .timeout_ns = 300 * MS,
				   .max_connections = 16,
				   .max_records = 1000},
	    &r);
	assert_int_equal(r.tenants[0].scheduled, 300000);
	assert_int_equal(ended(&r.tenants[0]), 300000);
	assert_true(r.tenants[0].outcomes[PS_LOAD_UNSENT] > 0);
	assert_false(r.tenants[0].valid);
	assert_false(r.valid);
	ps_load_result_fini(&r);
	script_stop(s);
}

struct watched {
	int calls;
	bool well;
	int stop_after;
};

static bool watch(void *ctx, const struct ps_load_progress *p)
{
	struct watched *w = ctx;
	const struct ps_load_progress_tenant *t = &p->tenants[0];

	w->well = w->well && p->tenant_len == 1 && strcmp(t->name, "a") == 0 &&
		  t->done <= t->scheduled && t->failed == 0 && p->scheduled == t->scheduled &&
		  (t->done == 0 || p->last_latency_ns >= 0);
	return ++w->calls != w->stop_after;
}

static void test_progress_and_stop(void **state)
{
	struct script_server *s = script_start(good);
	struct ps_load_tenant t = open_tenant(s, 300);
	struct ps_load_plan plan = {
		.tenants = &t, .tenant_len = 1, .duration_ns = 700 * MS, .threads = 2};
	struct watched w = {.well = true};
	struct ps_load_result r;

	(void)state;
	assert_int_equal(ps_load_run(&plan, watch, &w, &r, NULL), PS_OK);
	assert_true(w.calls >= 3);
	assert_true(w.well);
	assert_false(r.cancelled);
	ps_load_result_fini(&r);

	w = (struct watched){.well = true, .stop_after = 2};
	plan.duration_ns = 600 * SEC;
	int64_t begin = ps_clock_now_ns();
	assert_int_equal(ps_load_run(&plan, watch, &w, &r, NULL), PS_OK);
	assert_true(r.cancelled);
	assert_false(r.valid);
	assert_true(ps_clock_now_ns() - begin < 20 * SEC);
	ps_load_result_fini(&r);
	script_stop(s);
}

/* The first thread has nothing left to do while another waits for an answer: who watches is told
 * all the same, and can stop the run. */
static bool watch_drain(void *ctx, const struct ps_load_progress *p)
{
	int *drained = ctx;

	*drained += p->draining && p->in_flight == 1;
	return *drained < 3;
}

static void test_a_run_can_be_stopped_while_another_thread_waits(void **state)
{
	struct script_server *s = script_start(second_never);
	struct ps_load_tenant t = open_tenant(s, 10); /* arrival 1 is the second thread's */
	struct ps_load_plan plan = {.tenants = &t,
				    .tenant_len = 1,
				    .duration_ns = 200 * MS,
				    .timeout_ns = 60 * SEC,
				    .threads = 2};
	int64_t begin = ps_clock_now_ns();
	struct ps_load_result r;
	int drained = 0;

	(void)state;
	assert_int_equal(ps_load_run(&plan, watch_drain, &drained, &r, NULL), PS_OK);
	assert_int_equal(drained, 3);
	assert_true(r.cancelled);
	assert_true(ps_clock_now_ns() - begin < 30 * SEC);
	ps_load_result_fini(&r);
	script_stop(s);
}

/* Each replica may have as many connections: their descriptors are asked for before the run. */
static void test_replicas_need_descriptors(void **state)
{
	struct script_server *s = script_start(good);
	struct ps_load_tenant t = open_tenant(s, 100);
	struct rlimit before, low, after;
	struct ps_load_result r;

	(void)state;
	t.target.more_urls = (const char *const[]){s->url};
	t.target.more_url_len = 1;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = (struct rlimit){100, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	run(&(struct ps_load_plan){.tenants = &t,
				   .tenant_len = 1,
				   .duration_ns = 50 * MS,
				   .max_connections = 60},
	    &r);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
	assert_true(after.rlim_cur >= 2 * 60 + 64);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	ps_load_result_fini(&r);
	script_stop(s);
}

static void test_refused_plans(void **state)
{
	struct script_server *s = script_start(good);
	struct ps_load_tenant t = open_tenant(s, 10);
	struct ps_load_plan plan = {.tenants = &t, .tenant_len = 1, .duration_ns = MS};
	struct ps_load_result r;
	struct ps_error err = {0};

	(void)state;
	plan.threads = 65;
	assert_int_equal(ps_load_run(&plan, NULL, NULL, &r, &err), PS_EINVAL);
	plan.threads = 3;
	plan.max_connections = 2;
	assert_int_equal(ps_load_run(&plan, NULL, NULL, &r, &err), PS_EINVAL);
	assert_non_null(strstr(err.what, "connections"));
	plan.max_connections = 40000; /* to each of two */
	t.target.more_urls = (const char *const[]){s->url};
	t.target.more_url_len = 1;
	assert_int_equal(ps_load_run(&plan, NULL, NULL, &r, &err), PS_EINVAL);
	assert_non_null(strstr(err.what, "over 60000 connections"));
	t.target.more_url_len = 0;
	plan.max_connections = 0;
	ps_cpus_add(&plan.cpus, 1000);
	assert_int_equal(ps_load_run(&plan, NULL, NULL, &r, &err), PS_EINVAL);
	assert_non_null(strstr(err.what, "CPU 1000"));
	script_stop(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads_share_one_schedule),
		cmocka_unit_test(test_records_stay_within_their_limit),
		cmocka_unit_test(test_many_tenants_share_the_connections),
		cmocka_unit_test(test_a_probe_has_its_length),
		cmocka_unit_test(test_users_think),
		cmocka_unit_test(test_closed_loop_keeps_its_users_busy),
		cmocka_unit_test(test_offline_keeps_so_many_under_way),
		cmocka_unit_test(test_each_fault_is_counted_by_its_kind),
		cmocka_unit_test(test_server_that_restarts),
		cmocka_unit_test(test_stall_for_ever),
		cmocka_unit_test(test_waiting_is_part_of_the_latency),
		cmocka_unit_test(test_too_much_is_refused),
		cmocka_unit_test(test_progress_and_stop),
		cmocka_unit_test(test_a_run_can_be_stopped_while_another_thread_waits),
		cmocka_unit_test(test_replicas_need_descriptors),
		cmocka_unit_test(test_refused_plans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
