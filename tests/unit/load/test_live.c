/* The board for those who watch: what is "now", and that threads can share it. */
#include "load/live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define MS PS_NS_PER_MS

static const struct ps_load_tenant two[] = {{.name = "a"}, {.name = "b"}};
static const struct ps_load_plan plan = {.tenants = two, .tenant_len = 2};

static void send(struct ps_load_live_tally *t, int n, int64_t lag_ns)
{
	for (int i = 0; i < n; i++) {
		t->scheduled++;
		t->in_flight++;
		ps_load_live_sent(t, lag_ns);
	}
}

static void end(struct ps_load_live_tally *t, int n, bool ok, int64_t latency_ns)
{
	for (int i = 0; i < n; i++) {
		t->in_flight--;
		ps_load_live_ended(t, ok, ok, latency_ns);
	}
}

/* What is under 1 us counts as that. */
static void near(int64_t value, int64_t want)
{
	assert_true(value >= want - want * 6 / 100 && value <= want + want * 6 / 100 + 1100);
}

static void test_quantiles_within_six_percent(void **state)
{
	static const int64_t values[] = {1,
					 500,
					 1500,
					 3333,
					 99999,
					 MS,
					 7 * MS,
					 123 * MS,
					 999 * MS,
					 PS_NS_PER_SEC * 9,
					 PS_NS_PER_SEC * 900};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct ps_load_live_tally *t = calloc(2, sizeof(*t));
		struct ps_load_progress p = {0};
		struct ps_load_live live;

		assert_int_equal(ps_load_live_init(&live, &plan), PS_OK);
		send(&t[0], 3, values[i]);
		end(&t[0], 3, true, values[i]);
		ps_load_live_publish(&live, t, 0, values[i]);
		ps_load_live_read(&live, 2, &p);
		near(p.tenants[0].p50_ns, values[i]);
		near(p.tenants[0].p99_ns, values[i]);
		near(p.tenants[0].lag_p99_ns, values[i]);
		assert_int_equal(p.last_latency_ns, values[i]);
		assert_int_equal(p.tenants[1].p50_ns, -1);
		assert_int_equal(p.tenants[1].lag_p99_ns, -1);
		ps_load_live_fini(&live);
		free(t);
	}
}

/* 1 % of failures lie on the p99, not on the p50. */
static void test_failures_are_above_everything(void **state)
{
	struct ps_load_live_tally *t = calloc(2, sizeof(*t));
	struct ps_load_progress p = {0};
	struct ps_load_live live;

	(void)state;
	assert_int_equal(ps_load_live_init(&live, &plan), PS_OK);
	send(&t[1], 100, 0);
	end(&t[1], 95, true, 5 * MS);
	end(&t[1], 3, false, 0);
	ps_load_live_publish(&live, t, 0, -1);
	ps_load_live_read(&live, 2, &p);
	near(p.tenants[1].p50_ns, 5 * MS);
	assert_true(p.tenants[1].p99_ns == PS_HIST_INFINITE);
	assert_int_equal(p.tenants[1].failed, 3);
	assert_int_equal(p.tenants[1].done, 98);
	assert_int_equal(p.tenants[1].in_flight, 2);
	assert_int_equal(p.scheduled, 100);
	assert_int_equal(p.last_latency_ns, -1);
	ps_load_live_fini(&live);
	free(t);
}

/* 10 sent in each tick: 50 a second, also in the first second; and nothing once they stop. */
static void test_now_is_the_last_second(void **state)
{
	struct ps_load_live_tally *t = calloc(2, sizeof(*t));
	struct ps_load_progress p = {0};
	struct ps_load_live live;

	(void)state;
	assert_int_equal(ps_load_live_init(&live, &plan), PS_OK);
	ps_load_live_read(&live, 0, &p);
	assert_true(p.tenants[0].rate_rps == 0);
	for (int64_t tick = 0; tick < 40; tick++) {
		if (tick < 20) {
			send(&t[0], 10, 0);
			end(&t[0], 10, true, (tick + 1) * MS);
		}
		ps_load_live_publish(&live, t, tick, -1);
		ps_load_live_read(&live, tick + 1, &p);
		if (tick > 0 && tick <= 20) {
			assert_true(p.tenants[0].rate_rps > 49.9 && p.tenants[0].rate_rps < 50.1);
			assert_true(p.tenants[0].goodput_rps > 49.9);
		}
		if (tick >= 5 && tick <= 20) {
			near(p.tenants[0].p50_ns, (tick - 2) * MS);
		}
		if (tick > 26) {
			assert_true(p.tenants[0].rate_rps == 0);
			assert_int_equal(p.tenants[0].p50_ns, -1);
		}
	}
	assert_int_equal(p.tenants[0].done, 200);
	ps_load_live_fini(&live);
	free(t);
}

/* ---- threads ---- */

enum { THREADS = 4, TICKS = 500 };

static struct ps_load_live shared;

static void *publisher(void *ctx)
{
	struct ps_load_live_tally *t = calloc(2, sizeof(*t));

	(void)ctx;
	for (int64_t tick = 0; tick < TICKS; tick++) {
		send(&t[0], 3, MS);
		end(&t[0], 2, true, 2 * MS);
		ps_load_live_publish(&shared, t, tick, 2 * MS);
	}
	free(t);
	return NULL;
}

static void test_threads_add_up(void **state)
{
	pthread_t ids[THREADS];
	struct ps_load_progress p = {0};

	(void)state;
	assert_int_equal(ps_load_live_init(&shared, &plan), PS_OK);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_create(&ids[i], NULL, publisher, NULL), 0);
	}
	for (int64_t tick = 0; tick < TICKS; tick++) {
		ps_load_live_read(&shared, tick, &p);
		assert_true(p.tenants[0].scheduled >= p.tenants[0].done);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(ids[i], NULL);
	}
	ps_load_live_read(&shared, TICKS, &p);
	assert_int_equal(p.tenants[0].scheduled, 3 * THREADS * TICKS);
	assert_int_equal(p.tenants[0].done, 2 * THREADS * TICKS);
	assert_int_equal(p.tenants[0].in_flight, THREADS * TICKS);
	ps_load_live_fini(&shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quantiles_within_six_percent),
		cmocka_unit_test(test_failures_are_above_everything),
		cmocka_unit_test(test_now_is_the_last_second),
		cmocka_unit_test(test_threads_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
