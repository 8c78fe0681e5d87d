/* The learned delay of I/O threads: streams of known distributions. */
#include "base/rng.h"
#include "serve/wake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void feed(struct ps_serve_wake *w, struct ps_rng *rng, int n, double mean_ns)
{
	for (int i = 0; i < n; i++)
		ps_serve_wake_add(w, (int64_t)ps_rng_exponential(rng, mean_ns));
}

static void assert_near(const struct ps_serve_wake *w, double expected_ns)
{
	double found = (double)ps_serve_wake_allowance_ns(w) / 2;
	if (found < 0.5 * expected_ns || found > 2 * expected_ns)
		fail_msg("%.0f ns, not about %.0f ns", found, expected_ns);
}

/* The 99.8th percentile of an exponential distribution is 6.2 means. */
static void test_exponential(void **state)
{
	(void)state;
	static const double means_ns[] = {20e3, 1e6, 5e6};
	for (int i = 0; i < 3; i++) {
		struct ps_serve_wake w = {0};
		struct ps_rng rng;
		ps_rng_init(&rng, 7, (uint64_t)i);
		assert_int_equal(ps_serve_wake_allowance_ns(&w), 0);
		feed(&w, &rng, 3000, means_ns[i]);
		for (int k = 0; k < 50; k++) {
			feed(&w, &rng, 200, means_ns[i]);
			assert_near(&w, 6.2 * means_ns[i]);
		}
	}
}

/* A busy time is noticed within some hundred looks and forgotten within ten thousand. */
static void test_change(void **state)
{
	(void)state;
	struct ps_serve_wake w = {0};
	struct ps_rng rng;
	ps_rng_init(&rng, 8, 0);
	feed(&w, &rng, 3000, 20e3);
	feed(&w, &rng, 600, 2e6);
	assert_near(&w, 6.2 * 2e6);
	feed(&w, &rng, 15000, 20e3);
	assert_near(&w, 6.2 * 20e3);
	ps_serve_wake_add(&w, -5);
	assert_near(&w, 6.2 * 20e3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_exponential),
					   cmocka_unit_test(test_change)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
