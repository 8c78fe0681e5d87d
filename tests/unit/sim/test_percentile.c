/* An agreement's percentile decides how many of those let in may be late.
 *
 * Two lanes, exponential services, agreements of 10 and 30 mean service times, at and above
 * capacity. Of what is admitted at most the share that the percentile allows is late (of a p99.9,
 * which a few thousand outcomes hardly teach, at most 0.3 %), and a looser percentile does not
 * refuse more.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim_test.h"

#include <math.h>
#include <stdio.h>

static const double percentiles[] = {0.999, 0.99, 0.95, 0.9};
enum { PERCENTILES = sizeof percentiles / sizeof *percentiles };

/* What two percentiles are allowed to differ by the other way round: chance. */
static const double noise = 0.008;

struct seen {
	double late, refused, in_time; /* of the admitted; of the arrived, twice */
};

static struct seen look(double percentile, double sla, double load)
{
	const struct ps_sim_model m = {.service = PS_SIM_EXPONENTIAL, .service_ns = 10e6};
	struct ps_sim_tenant t = {.rate_rps = load * 200,
				  .weight = 1,
				  .queue_limit = 1000000,
				  .sla_ns = (int64_t)(sla * m.service_ns),
				  .percentile = percentile};
	struct ps_sim_plan p = {.tenants = &t,
				.models = &m,
				.n_tenants = 1,
				.n_models = 1,
				.n_lanes = 2,
				.seed = 11,
				.arrivals = 60000 / FEWER,
				.warmup_ns = 5 * S};
	struct ps_sim_result r;
	sim_run(&p, &r);
	return (struct seen){.late = (double)r.late / (double)(r.arrived - r.refused),
			     .refused = (double)r.refused / (double)r.arrived,
			     .in_time = (double)r.in_time / (double)r.arrived};
}

static void as_many_are_late_as_the_percentile_allows(void **state)
{
	static const double slas[] = {10, 30}, loads[] = {1, 1.5, 3};
	(void)state;
	for (int k = 0; k < 6; k++) {
		double sla = slas[k / 3], load = loads[k % 3];
		struct seen seen[PERCENTILES];
		for (int i = 0; i < PERCENTILES; i++) {
			seen[i] = look(percentiles[i], sla, load);
			printf("SLA %2.0f services, load %.1f, p%-4g: late %5.2f %% of admitted,"
			       " refused %5.2f %%, in time %5.2f %%\n",
			       sla, load, 100 * percentiles[i], 100 * seen[i].late,
			       100 * seen[i].refused, 100 * seen[i].in_time);
			if (!JUDGED)
				continue;
			assert_true(seen[i].late <= fmax(1 - percentiles[i], 0.003));
			if (i > 0) {
				assert_true(seen[i].refused <= seen[i - 1].refused + noise);
				assert_true(seen[i].in_time >= seen[i - 1].in_time - noise);
			}
		}
		if (JUDGED && load > 1) /* it has an effect at all */
			assert_true(seen[2].late > 2 * seen[1].late);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_many_are_late_as_the_percentile_allows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
