/* The ring of those who wait, and how a whole is shared. */
#include "load/plan.h"
#include "load/ring.h"
#include "load/threads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_first_in_first_out(void **state)
{
	struct ps_load_ring q = {0};
	uint64_t in = 0, out = 0;

	(void)state;
	/* Grows while it is wrapped round, and shrinks to nothing. */
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 37; i++) {
			assert_true(
				ps_load_ring_push(&q, (struct ps_load_waiting){.sequence = in++}));
		}
		for (int i = 0; i < 23; i++) {
			assert_int_equal(ps_load_ring_peek(&q)->sequence, out);
			assert_int_equal(ps_load_ring_pop(&q).sequence, out++);
		}
	}
	struct ps_load_waiting w = ps_load_ring_pop(&q);
	ps_load_ring_unpop(&q, w);
	assert_int_equal(ps_load_ring_pop(&q).sequence, out++);
	while (q.len) {
		assert_int_equal(ps_load_ring_pop(&q).sequence, out++);
	}
	assert_int_equal(in, out);
	ps_load_ring_fini(&q);
}

static void test_limit(void **state)
{
	struct ps_load_ring q = {0};

	(void)state;
	for (size_t i = 0; i < PS_LOAD_MAX_WAITING; i++) {
		assert_true(ps_load_ring_push(&q, (struct ps_load_waiting){0}));
	}
	assert_false(ps_load_ring_push(&q, (struct ps_load_waiting){0}));
	ps_load_ring_fini(&q);
}

static void test_shares_make_the_whole(void **state)
{
	(void)state;
	for (uint32_t total = 0; total < 20; total++) {
		for (size_t threads = 1; threads < 8; threads++) {
			uint32_t sum = 0, most = 0, least = total;

			for (size_t k = 0; k < threads; k++) {
				uint32_t share = ps_load_share(total, k, threads);

				assert_int_equal(ps_load_share_first(total, k, threads), sum);
				sum += share;
				most = share > most ? share : most;
				least = share < least ? share : least;
			}
			assert_int_equal(sum, total);
			assert_true(most - least <= 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_in_first_out),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_shares_make_the_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
