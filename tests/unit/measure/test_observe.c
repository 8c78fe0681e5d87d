/* What a search is told of a tenant's requests. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "measure/observe.h"

#define MS INT64_C(1000000)

static struct ps_load_record record(int64_t at_ms, int64_t latency_ms, enum ps_load_outcome outcome)
{
	return (struct ps_load_record){.scheduled_ns = at_ms * MS,
				       .sent_ns = at_ms * MS,
				       .done_ns = (at_ms + latency_ms) * MS,
				       .outcome = (uint8_t)outcome};
}

static void test_counts(void **state)
{
	const struct ps_sla sla = {.percentile = 0.5, .limit_ns = 20 * MS, .min_success = 0.9};
	/* as they ended, not as they were scheduled */
	struct ps_load_record records[] = {
		record(100, 5, PS_LOAD_OK),	 record(0, 120, PS_LOAD_OK),
		record(300, 20, PS_LOAD_OK),	 record(400, 1, PS_LOAD_REFUSED),
		record(200, 400, PS_LOAD_OK),	 record(50, 1000, PS_LOAD_TIMEOUT),
		record(500, 600, PS_LOAD_RESET), record(600, 2, PS_LOAD_OK),
	};
	static const struct {
		int64_t warmup_ms, requests, violations, failures;
	} rows[] = {
		{0, 8, 5, 3}, {51, 6, 3, 2}, {100, 6, 3, 2}, {350, 3, 2, 2}, {601, 0, 0, 0},
	};
	struct ps_load_tenant_result t = {.records = records,
					  .record_len = sizeof(records) / sizeof(records[0])};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_trial_seen seen;
		assert_int_equal(ps_measure_observe(&t, &sla, rows[i].warmup_ms * MS, &seen, NULL),
				 PS_OK);
		if (seen.requests != rows[i].requests || seen.violations != rows[i].violations ||
		    seen.failures != rows[i].failures) {
			fail_msg("from %lld ms: %lld, %lld late, %lld failed",
				 (long long)rows[i].warmup_ms, (long long)seen.requests,
				 (long long)seen.violations, (long long)seen.failures);
		}
	}
	assert_int_equal(records[0].scheduled_ns, 100 * MS); /* the caller's stay as they were */
}

static void test_refuses(void **state)
{
	struct ps_load_tenant_result t = {.record_len = 0};
	struct ps_sla none = {0};
	struct ps_trial_seen seen;
	struct ps_error err;
	(void)state;
	assert_int_equal(ps_measure_observe(&t, &none, 0, &seen, &err), PS_EINVAL);
}

/* A backlog is seen in the order of the schedule, whatever the order of the answers. */
static void test_rises(void **state)
{
	enum { N = 400 };
	const struct ps_sla sla = {.percentile = 0.95, .limit_ns = 50 * MS, .min_success = 0.9};
	static struct ps_load_record records[N];
	struct ps_load_tenant_result t = {.records = records, .record_len = N};
	struct ps_trial_seen seen;
	(void)state;
	for (int i = 0; i < N; i++) {
		int at = (i * 7) % N; /* shuffled: 7 and N have no common divisor */
		records[i] = record(10 * at, at / 4, PS_LOAD_OK);
	}
	assert_int_equal(ps_measure_observe(&t, &sla, 0, &seen, NULL), PS_OK);
	assert_true(ps_trial_backlog_rises(&seen, &sla));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_rises),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
