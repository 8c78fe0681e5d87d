/* Mixes and samples: shares, and that they follow from seed and number alone. Balancing. */
#include "load/mix.h"
#include "load/replicas.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { N = 200000 };

static void assert_near(double got, double want, double error)
{
	if (!(fabs(got - want) <= error)) {
		fail_msg("%g is not %g within %g", got, want, error);
	}
}

static void shares_follow_the_weights(void **state)
{
	static const struct {
		size_t len;
		double weights[4], shares[4];
	} rows[] = {
		{1, {7}, {1}},
		{2, {1, 1}, {0.5, 0.5}},
		{3, {1, 3, 6}, {0.1, 0.3, 0.6}},
		{4, {1e-3, 1, 1, 1}, {0.00033322, 0.33322, 0.33322, 0.33322}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_mix_item items[4] = {{0}};
		size_t counts[4] = {0};
		struct ps_load_mix m;

		for (size_t k = 0; k < rows[i].len; k++) {
			items[k].weight = rows[i].weights[k];
		}
		assert_int_equal(ps_load_mix_init(&m, items, rows[i].len, 42, NULL), PS_OK);
		for (uint64_t n = 0; n < N; n++) {
			counts[ps_load_mix_pick(&m, n)]++;
		}
		for (size_t k = 0; k < rows[i].len; k++) {
			double p = rows[i].shares[k], error = 4 * sqrt(p * (1 - p) / N) + 1e-6;

			assert_near((double)counts[k] / N, p, error);
		}
	}
}

static void same_seed_same_picks(void **state)
{
	const struct ps_load_mix_item items[] = {{.weight = 1}, {.weight = 1}};
	struct ps_load_mix a, b, c;
	int differ = 0;

	(void)state;
	assert_int_equal(ps_load_mix_init(&a, items, 2, 1, NULL), PS_OK);
	assert_int_equal(ps_load_mix_init(&b, items, 2, 1, NULL), PS_OK);
	assert_int_equal(ps_load_mix_init(&c, items, 2, 2, NULL), PS_OK);
	for (uint64_t n = 1000; n-- > 0;) { /* in any order */
		assert_int_equal(ps_load_mix_pick(&a, n), ps_load_mix_pick(&b, n));
		differ += ps_load_mix_pick(&a, n) != ps_load_mix_pick(&c, n);
	}
	assert_in_range(differ, 400, 600);
}

static void bad_mixes_are_refused(void **state)
{
	static const double weights[] = {0, -1, NAN, INFINITY};
	struct ps_load_mix_item many[PS_LOAD_MAX_MIX + 1];
	struct ps_load_mix m;

	(void)state;
	for (size_t i = 0; i < sizeof(weights) / sizeof(weights[0]); i++) {
		const struct ps_load_mix_item items[] = {{.weight = 1}, {.weight = weights[i]}};

		assert_int_equal(ps_load_mix_init(&m, items, 2, 1, NULL), PS_EINVAL);
	}
	for (size_t i = 0; i <= PS_LOAD_MAX_MIX; i++) {
		many[i] = (struct ps_load_mix_item){.weight = 1};
	}
	assert_int_equal(ps_load_mix_init(&m, many, 0, 1, NULL), PS_EINVAL);
	assert_int_equal(ps_load_mix_init(&m, many, PS_LOAD_MAX_MIX, 1, NULL), PS_OK);
	assert_int_equal(ps_load_mix_init(&m, many, PS_LOAD_MAX_MIX + 1, 1, NULL), PS_EINVAL);
}

static void samples_have_their_share(void **state)
{
	static const double shares[] = {0.01, 0.1, 0.5};
	const struct ps_load_mix_item items[] = {{.weight = 1}, {.weight = 1}};
	struct ps_load_mix m;

	(void)state;
	assert_int_equal(ps_load_mix_init(&m, items, 2, 7, NULL), PS_OK);
	for (size_t i = 0; i < 3; i++) {
		size_t all = 0, first = 0;
		double p = shares[i];

		for (uint64_t n = 0; n < N; n++) {
			bool in = ps_load_mix_sampled(&m, n, p);

			all += in;
			first += in && ps_load_mix_pick(&m, n) == 0;
		}
		assert_near((double)all / N, p, 4 * sqrt(p * (1 - p) / N));
		/* not only one item's */
		assert_near((double)first / (double)all, 0.5, 4 * sqrt(0.25 / (double)all));
	}
	assert_true(ps_load_mix_sampled(&m, 3, 0));
	assert_true(ps_load_mix_sampled(&m, 3, 1));
}

static void turns(void **state)
{
	/* Who is picked, given how many each owes before every pick. */
	static const struct {
		enum ps_load_balance how;
		uint32_t first, owes[3][3], want[3];
	} rows[] = {
		{PS_LOAD_ROUND_ROBIN, 0, {{9, 0, 0}, {9, 0, 0}, {9, 0, 0}}, {0, 1, 2}},
		{PS_LOAD_ROUND_ROBIN, 5, {{0}, {0}, {0}}, {2, 0, 1}},
		{PS_LOAD_LEAST_OUTSTANDING, 0, {{0, 0, 0}, {0, 0, 0}, {0, 0, 0}}, {0, 1, 2}},
		{PS_LOAD_LEAST_OUTSTANDING, 0, {{3, 1, 2}, {3, 2, 2}, {1, 2, 2}}, {1, 2, 0}},
		{PS_LOAD_LEAST_OUTSTANDING, 1, {{2, 2, 2}, {1, 1, 2}, {5, 5, 5}}, {1, 0, 1}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_balancer b;

		ps_load_balancer_init(&b, rows[i].how, 3, rows[i].first);
		for (int k = 0; k < 3; k++) {
			for (int r = 0; r < 3; r++) {
				b.outstanding[r] = rows[i].owes[k][r];
			}
			assert_int_equal(ps_load_balancer_pick(&b), rows[i].want[k]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_follow_the_weights),
		cmocka_unit_test(same_seed_same_picks),
		cmocka_unit_test(bad_mixes_are_refused),
		cmocka_unit_test(samples_have_their_share),
		cmocka_unit_test(turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
