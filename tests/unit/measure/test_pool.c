/* One result out of those of all copies of a tenant: everything adds up, and nothing is lost. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "measure/measure_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COPIES = 3, REQUESTS = 4 };

/* Copy c has REQUESTS requests, request i ends at 10 i + c; the last one of each fails. */
static void fill(struct ps_load_tenant_result *t, int c)
{
	struct ps_hist *hists[] = {&t->latency,	      &t->service_latency, &t->send_lag,
				   &t->first_byte,    &t->uncorrected,	   &t->server_queue,
				   &t->server_compute};
	memset(t, 0, sizeof(*t));
	for (size_t i = 0; i < sizeof(hists) / sizeof(hists[0]); i++) {
		assert_int_equal(ps_hist_init(hists[i]), PS_OK);
	}
	t->records = calloc(REQUESTS, sizeof(*t->records));
	t->seconds = calloc((size_t)c + 1, sizeof(*t->seconds));
	t->second_len = (size_t)c + 1; /* the last copy has the longest series */
	for (int i = 0; i < REQUESTS; i++) {
		t->records[i] = (struct ps_load_record){.scheduled_ns = i, .done_ns = 10 * i + c};
		ps_hist_record(&t->latency, 1000 * (c + 1));
	}
	t->record_len = REQUESTS;
	t->records_dropped = 1;
	t->seconds[c] = (struct ps_load_second){
		.scheduled = 4, .ok = 3, .latency_sum_ns = 10, .latency_max_ns = c};
	t->scheduled = t->sent = REQUESTS;
	t->outcomes[PS_LOAD_OK] = REQUESTS - 1;
	t->outcomes[PS_LOAD_TIMEOUT] = 1;
	t->good = REQUESTS - 2;
	t->throughput_rps = 5;
	t->effective_ratio = 1 - 0.1 * c;
	t->valid = c != 1;
	if (c > 0) { /* both say the same, the last one something else as well */
		snprintf(t->reasons[0], sizeof(t->reasons[0]), "send-lag: %d", c);
		t->reason_len = 1;
	}
	if (c == 2) {
		snprintf(t->reasons[1], sizeof(t->reasons[1]), "unsent: 3");
		t->reason_len = 2;
		snprintf(t->first_failure, sizeof(t->first_failure), "too late");
	}
}

static void test_adds_up(void **state)
{
	struct ps_load_result r = {.tenant_len = COPIES};
	struct ps_error err;
	(void)state;
	r.tenants = calloc(COPIES, sizeof(*r.tenants));
	assert_non_null(r.tenants);
	for (int c = 0; c < COPIES; c++) {
		fill(&r.tenants[c], c);
	}
	assert_int_equal(ps_measure_pool(&r, &err), PS_OK);
	const struct ps_load_tenant_result *t = &r.tenants[0];
	assert_int_equal(r.tenant_len, 1);
	assert_int_equal(t->scheduled, COPIES * REQUESTS);
	assert_int_equal(t->outcomes[PS_LOAD_OK], COPIES * (REQUESTS - 1));
	assert_int_equal(ps_hist_count(&t->latency), COPIES * REQUESTS);
	assert_true(t->throughput_rps == 15 && t->success_ratio == 0.75);
	assert_true(t->violating_ratio == 0.5);
	assert_int_equal(t->record_len, COPIES * REQUESTS);
	assert_int_equal(t->records_dropped, COPIES);
	for (size_t i = 1; i < t->record_len; i++) {
		assert_true(t->records[i].done_ns >= t->records[i - 1].done_ns);
	}
	assert_int_equal(t->second_len, COPIES);
	for (int c = 0; c < COPIES; c++) {
		assert_int_equal(t->seconds[c].scheduled, 4);
		assert_int_equal(t->seconds[c].latency_max_ns, c);
	}
	/* the most cautious of each; a reason is said once */
	assert_false(t->valid);
	assert_true(t->effective_ratio == 0.8);
	assert_int_equal(t->reason_len, 2);
	assert_string_equal(t->reasons[1], "unsent: 3");
	assert_string_equal(t->first_failure, "too late");
	ps_load_result_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_adds_up)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
