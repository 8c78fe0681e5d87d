/* The integral of the requests in flight: right in any order of events, and not to be fooled. */
#include "base/rng.h"
#include "load/occupancy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>

enum { N = 1000 };

/* Whatever the order in which beginnings and ends are heard of, the area is the sum of the times.
 */
static void test_sum_of_times(void **state)
{
	int64_t handed[N], sent[N], done[N], now[N], begin[N], sum = 0;
	struct ps_load_occupancy o = {.last_ns = 50};
	struct ps_rng rng;

	(void)state;
	ps_rng_init(&rng, 3, 0);
	for (int i = 0; i < N; i++) {
		handed[i] = 100 + i * 10 + (int64_t)ps_rng_below(&rng, 50);
		sent[i] = i % 9 ? handed[i] + (int64_t)ps_rng_below(&rng, 30) : 0;
		done[i] = handed[i] + 30 + (int64_t)ps_rng_below(&rng, 200);
		now[i] = done[i] + (int64_t)ps_rng_below(&rng, 40);
		sum += sent[i] ? done[i] - sent[i] : 0;
		begin[i] = handed[i];
	}
	for (int64_t t = 0; t < 20000; t++) {
		for (int i = 0; i < N; i++) {
			if (begin[i] == t) {
				ps_load_occupancy_enter(&o, handed[i]);
			}
			if (now[i] == t) {
				ps_load_occupancy_leave(&o, handed[i], sent[i], done[i], now[i]);
			}
		}
	}
	assert_int_equal(o.count, 0);
	assert_true(o.area_ns == sum);
}

/* One request, handed over at 100, its end heard of at 200. */
static void test_only_what_can_be(void **state)
{
	static const struct {
		int64_t sent_ns, done_ns, want;
	} rows[] = {
		{100, 200, 100}, {110, 190, 80}, {0, 150, 0}, /* never left */
		{50, 190, 90},				      /* left before it was handed over? */
		{110, 5000, 90},			      /* ended after it was heard of? */
		{110, 20, 0},				      /* ended before it began? */
		{180, 150, 0},				      /* left after it ended? */
		{900, 1000, 0},				      /* both to come? */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_occupancy o = {0};

		ps_load_occupancy_enter(&o, 100);
		ps_load_occupancy_leave(&o, 100, rows[i].sent_ns, rows[i].done_ns, 200);
		assert_int_equal((int64_t)o.area_ns, rows[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sum_of_times),
		cmocka_unit_test(test_only_what_can_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
