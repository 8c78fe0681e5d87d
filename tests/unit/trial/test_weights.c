/* How much a step counts for: its requests over the correlation of the steps at like rates. */
#include "trial/trial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define LIKE	 8 /* steps at like rates */
#define REQUESTS 2000

/* Steps at `scale` and a hundredth of it more each, of one step's worth of requests. */
static void add(struct ps_trial_step *steps, int n, double scale, int64_t violations,
		double correlation)
{
	for (int i = 0; i < n; i++)
		steps[i] = (struct ps_trial_step){
			.scale = scale * (1 + 0.01 * i),
			.seen = {{REQUESTS, violations, 0, 1 / correlation, 1, 0}},
		};
}

static struct ps_stats_interval fit(const struct ps_trial_step *steps, int n)
{
	struct ps_trial_plan plan = {
		.n_tenants = 1,
		.rate_rps = {1},
		.sla = {{0.95, INT64_C(200000000), 0.99}},
		.scale_max = 20,
		.max_steps = 60,
	};
	struct ps_trial_answer a;
	assert_int_equal(ps_trial_fit(&plan, steps, n, &a, NULL), PS_OK);
	return a.scale;
}

/* Near saturation requests a fifth faster are correlated a hundred times as much: that must not
 * discount the steps which showed that 10.7 is kept. */
static void test_faster_steps_discount_nothing(void **state)
{
	(void)state;
	struct ps_trial_step steps[2 * LIKE];
	add(steps, LIKE, 10, 0, 4);
	add(steps + LIKE, LIKE, 12.5, REQUESTS / 5, 500);
	struct ps_stats_interval c = fit(steps, 2 * LIKE);
	if (!(c.lo > 11))
		fail_msg("%g (%g .. %g)", c.value, c.lo, c.hi);
}

/* A step alone at its rate that by luck saw no violation looks uncorrelated, too. */
static void test_luck_does_not_weigh_itself(void **state)
{
	(void)state;
	static const double others[] = {11, 12.5, 14};
	struct ps_trial_step steps[4];
	for (int i = 0; i < 3; i++)
		add(&steps[i], 1, others[i], 0, 100);
	add(&steps[3], 1, 16, 0, 1);
	struct ps_stats_interval c = fit(steps, 4);
	if (!(c.lo < 16.7))
		fail_msg("%g (%g .. %g)", c.value, c.lo, c.hi);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faster_steps_discount_nothing),
		cmocka_unit_test(test_luck_does_not_weigh_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
