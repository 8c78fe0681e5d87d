// needs: report
/* What the judge of load/ says, what measure/ makes of it and what report/ makes of that: the three
 * must understand each other. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "load/judge.h"
#include "load/reason.h"
#include "measure/measure_internal.h"

#include <stdlib.h>
#include <string.h>

#define MS PS_NS_PER_MS

enum { MOST = 1000 };

struct judged {
	struct ps_load_record records[MOST];
	struct ps_load_tenant_result t;
};

/* One request each 10 ms, of 50 ms and `drift` more or less at the end; sent `lag` late. */
static void judge(struct judged *j, int n, int64_t first, int64_t last, int64_t lag)
{
	struct ps_sla sla;
	memset(j, 0, sizeof(*j));
	assert_int_equal(ps_sla_parse("p95<=2s", &sla, NULL), PS_OK);
	assert_int_equal(ps_hist_init(&j->t.latency), PS_OK);
	assert_int_equal(ps_hist_init(&j->t.send_lag), PS_OK);
	for (int i = 0; i < n; i++) {
		int64_t at = i * 10 * MS, took = first + (last - first) * i / n + i % 7 * MS;
		j->records[i] = (struct ps_load_record){.scheduled_ns = at,
							.sent_ns = at + lag,
							.done_ns = at + took,
							.sequence = (uint64_t)i};
		ps_hist_record(&j->t.latency, took);
		ps_hist_record(&j->t.send_lag, lag);
	}
	j->t.records = j->records;
	j->t.record_len = (size_t)n;
	j->t.scheduled = j->t.sent = j->t.completed = j->t.good = (uint64_t)n;
	j->t.outcomes[PS_LOAD_OK] = (uint64_t)n;
	j->t.success_ratio = 1;
	j->t.batch = 1.5; /* a mix of requests of one and of two */
	const struct ps_load_judge_terms terms = {.sla = &sla, .timeout_ns = 10000 * MS};
	assert_int_equal(ps_load_judge(&j->t, &terms), PS_OK);
}

/* The reasons that measure/ keeps of it for a trial of this role. */
static struct ps_store_result convert(struct judged *j, enum ps_store_role role, struct ps_arena *a)
{
	struct ps_measure_tenant tenant = {.name = "t"};
	struct ps_measure_campaign c = {.tenants = {.items = &tenant, .len = 1}};
	double rate = 100;
	int member = 0;
	struct ps_store_set set = {.name = "t", .members = &member, .member_len = 1};
	struct ps_measure_load_plan plan = {.role = role, .rates = &rate};
	struct ps_load_result r = {.tenants = &j->t, .tenant_len = 1};
	struct ps_store_trial t;
	assert_int_equal(ps_sla_parse("p95<=2s", &tenant.sla, NULL), PS_OK);
	assert_int_equal(ps_measure_convert(&c, &set, &plan, &r, a, &t, NULL), PS_OK);
	assert_int_equal(t.valid, t.results[0].valid);
	return t.results[0];
}

static void test_they_agree(void **state)
{
	static const struct {
		int n;
		int64_t first, last, lag;
		enum ps_load_reason why; /* COUNT: none */
		bool step_valid, demand_valid, trusted;
	} rows[] = {
		{MOST, 50 * MS, 50 * MS, 0, PS_LOAD_REASON_COUNT, true, true, true},
		{MOST, 50 * MS, 300 * MS, 0, PS_LOAD_REASON_RISING, true, false, true},
		{MOST, 300 * MS, 50 * MS, 0, PS_LOAD_REASON_FALLING, true, false, false},
		{MOST, 200 * MS, 200 * MS, 150 * MS, PS_LOAD_REASON_LAG, false, false, false},
		{20, 50 * MS, 50 * MS, 0, PS_LOAD_REASON_FEW, true, true, true},
	};
	struct judged *j = malloc(sizeof(*j));
	(void)state;
	assert_non_null(j);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_arena a;
		ps_arena_init(&a, 0);
		judge(j, rows[i].n, rows[i].first, rows[i].last, rows[i].lag);
		assert_int_equal(j->t.reason_len > 0, rows[i].why != PS_LOAD_REASON_COUNT);
		/* what drifts is correlated, so it may have too few samples as well */
		if (j->t.reason_len) {
			assert_int_equal(ps_load_reason_of(j->t.reasons[j->t.reason_len - 1]),
					 rows[i].why);
		}
		struct ps_store_result step = convert(j, PS_STORE_STEP, &a);
		struct ps_store_result demand = convert(j, PS_STORE_DEMAND, &a);
		assert_true(step.batch == 1.5);
		assert_int_equal(step.valid, rows[i].step_valid);
		assert_int_equal(demand.valid, rows[i].demand_valid);
		assert_int_equal(ps_load_reason_is_trusted(demand.valid, demand.reasons),
				 rows[i].trusted);
		ps_hist_fini(&j->t.latency);
		ps_hist_fini(&j->t.send_lag);
		ps_arena_fini(&a);
	}
	free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_they_agree)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
