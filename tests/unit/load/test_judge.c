/* What is counted and what is judged, on made-up requests in virtual time. */
#include "base/clock.h"
#include "base/rng.h"
#include "load/judge.h"
#include "load/reason.h"
#include "load/recorder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MS  PS_NS_PER_MS
#define SEC PS_NS_PER_SEC

struct fixture {
	struct ps_load_plan plan;
	struct ps_load_tenant tenant;
	struct ps_load_tenant_result r;
	struct ps_load_recorder rec;
	int look;
};

static void begin(struct fixture *f, const char *sla, int64_t seconds)
{
	*f = (struct fixture){.plan = {.duration_ns = seconds * SEC}, .tenant = {.name = "t"}};
	if (sla) {
		assert_int_equal(ps_sla_parse(sla, &f->tenant.sla, NULL), PS_OK);
	}
	assert_int_equal(ps_load_recorder_init(&f->rec, &f->r, &f->plan, &f->tenant, 10), PS_OK);
}

static void judge(struct fixture *f)
{
	struct ps_load_judge_terms terms = {
		.sla = &f->tenant.sla, .timeout_ns = 10 * SEC, .look = f->look};

	ps_load_recorder_finish(&f->rec, f->plan.duration_ns);
	assert_int_equal(ps_load_judge(&f->r, &terms), PS_OK);
}

static void end(struct fixture *f)
{
	struct ps_load_result r = {.tenants = malloc(sizeof(f->r)), .tenant_len = 1};

	r.tenants[0] = f->r;
	ps_load_result_fini(&r);
}

static void put(struct fixture *f, int64_t at, int64_t lag, int64_t service,
		enum ps_load_outcome outcome)
{
	struct ps_load_record q = {.scheduled_ns = at,
				   .sent_ns = outcome == PS_LOAD_UNSENT ? -1 : at + lag,
				   .first_byte_ns = outcome ? -1 : at + lag + service,
				   .done_ns = at + lag + service,
				   .server_queue_ns = -1,
				   .server_compute_ns = -1,
				   .http_status = outcome ? 0 : 200,
				   .outcome = (uint8_t)outcome};

	ps_load_recorder_end(&f->rec, &q, true);
}

static bool has_reason(const struct fixture *f, const char *text)
{
	for (int i = 0; i < f->r.reason_len; i++) {
		if (strstr(f->r.reasons[i], text)) {
			return true;
		}
	}
	return false;
}

/* 1000 requests over 10 s; independent latencies around 100 ms. */
static void put_steady(struct fixture *f, int n, int64_t lag)
{
	struct ps_rng rng;

	ps_rng_init(&rng, 5, 0);
	for (int i = 0; i < n; i++) {
		put(f, i * 10 * SEC / n, lag, (int64_t)((80 + 40 * ps_rng_uniform(&rng)) * 1e6),
		    PS_LOAD_OK);
	}
}

static void steady_run_is_valid_and_meets(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "p95<=200ms", 10);
	put_steady(&f, 1000, MS);
	judge(&f);
	assert_true(f.r.valid);
	assert_int_equal(f.r.sla_verdict, PS_LOAD_SLA_MET);
	assert_int_equal(f.r.good, 1000);
	assert_in_range(f.r.p50.value_ns, 98 * MS, 104 * MS);
	assert_true(f.r.p50.has_interval && f.r.p95.has_interval);
	assert_true(f.r.offered_rps == 100 && f.r.goodput_rps == f.r.throughput_rps);
	assert_true(f.r.goodput_rps > 98 &&
		    f.r.goodput_rps < 100); /* the last answers come later */
	end(&f);
}

/* Every outcome is counted once, and failures sort above every time. */
static void failures_stay_in_the_picture(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "p95<=200ms,success>=90%", 10);
	for (int i = 0; i < 1000; i++) {
		int kind = i % 20 == 0 ? 1 + i / 20 % (PS_LOAD_OUTCOME_COUNT - 1) : PS_LOAD_OK;

		put(&f, i * 10 * MS, 0, 50 * MS, (enum ps_load_outcome)kind);
	}
	judge(&f);
	uint64_t sum = 0;
	for (int i = 0; i < PS_LOAD_OUTCOME_COUNT; i++) {
		assert_true(f.r.outcomes[i] > 0);
		sum += f.r.outcomes[i];
	}
	assert_int_equal(sum, 1000);
	assert_int_equal(f.r.scheduled, 1000);
	assert_int_equal(f.r.outcomes[PS_LOAD_OK], 950);
	assert_int_equal(f.r.latency.lost, 50);
	assert_in_range(f.r.p95.value_ns, 49 * MS,
			51 * MS); /* rank 950 of 1000: the last good one */
	assert_true(f.r.p99.value_ns == PS_HIST_INFINITE);
	assert_in_range(ps_load_quantile_ok(&f.r, 0.99), 49 * MS, 51 * MS);
	assert_int_equal(f.r.sent, 1000 - f.r.outcomes[PS_LOAD_UNSENT]);
	assert_false(f.r.valid);
	assert_true(has_reason(&f, "were sent"));
	end(&f);
}

static void lag_invalidates(void **state)
{
	static const struct {
		const char *sla;
		int64_t lag_ms;
		bool valid;
	} rows[] = {
		{"p95<=200ms", 9, true}, {"p95<=200ms", 12, false}, {"p95<=400ms", 19, true},
		{NULL, 4, true},	 {NULL, 9, false}, /* 5 % of a p50 of about 109 ms */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture f;

		begin(&f, rows[i].sla, 10);
		put_steady(&f, 1000, rows[i].lag_ms * MS);
		judge(&f);
		assert_int_equal(f.r.valid, rows[i].valid);
		assert_int_equal(has_reason(&f, "send lag"), !rows[i].valid);
		end(&f);
	}
}

/* Nine of ten turn around at once, one takes `lag_ms`: no p99, but the mean is judged. */
static void a_closed_loop_is_judged_by_its_mean_lag(void **state)
{
	static const struct {
		int64_t lag_ms;
		bool valid;
	} rows[] = {{40, true}, {90, false}}; /* means of 4 and 9 ms, of about 100 */

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture f;

		begin(&f, NULL, 10);
		f.r.users = 4;
		for (int k = 0; k < 1000; k++) {
			put(&f, k * 10 * MS, k % 10 ? 0 : rows[i].lag_ms * MS, 100 * MS,
			    PS_LOAD_OK);
		}
		judge(&f);
		assert_int_equal(f.r.valid, rows[i].valid);
		assert_int_equal(has_reason(&f, "slows the closed loop down"), !rows[i].valid);
		end(&f);
	}
}

static void too_few_samples_say_how_many_more(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "p99<=200ms", 10);
	put_steady(&f, 100, 0);
	judge(&f);
	assert_false(f.r.valid);
	assert_true(has_reason(&f, "too few samples for p99: needs "));
	assert_int_equal(f.r.sla_verdict, PS_LOAD_SLA_UNDECIDED);
	/* 459 good requests show p99 at 99 % (0.99^459 <= 0.01) when they are independent, which
	 * 100 requests do not show: so it asks for more. */
	assert_int_equal(f.r.sla_needs_more, 474);
	end(&f);
}

/* The smallest n with 0.9^n <= 0.01 / 2^look, all of them good. */
static void each_look_spends_its_share_of_the_error(void **state)
{
	static const struct {
		int look;
		int n;
		enum ps_load_sla_verdict want;
		uint64_t needs_more;
	} rows[] = {
		{0, 43, PS_LOAD_SLA_UNDECIDED, 1}, {0, 44, PS_LOAD_SLA_MET, 0},
		{1, 50, PS_LOAD_SLA_UNDECIDED, 1}, {1, 51, PS_LOAD_SLA_MET, 0},
		{2, 56, PS_LOAD_SLA_UNDECIDED, 1}, {2, 57, PS_LOAD_SLA_MET, 0},
		{5, 76, PS_LOAD_SLA_UNDECIDED, 1}, {5, 77, PS_LOAD_SLA_MET, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture f;

		begin(&f, "p90<=200ms", 10);
		f.look = rows[i].look;
		for (int k = 0; k < rows[i].n; k++) {
			put(&f, k * 10 * MS, 0, 50 * MS, PS_LOAD_OK);
		}
		judge(&f);
		assert_int_equal(f.r.sla_verdict, rows[i].want);
		assert_int_equal(f.r.sla_needs_more, rows[i].needs_more);
		end(&f);
	}
}

/* Late requests in clusters of ten: how many are effective is an estimate, which a look that may
 * err less trusts less. */
static void a_later_look_asks_more_of_a_violation(void **state)
{
	static const struct {
		int look;
		enum ps_load_sla_verdict want;
	} rows[] = {
		{0, PS_LOAD_SLA_VIOLATED},
		{1, PS_LOAD_SLA_VIOLATED},
		{8, PS_LOAD_SLA_UNDECIDED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture f;
		struct ps_rng rng;

		ps_rng_init(&rng, 1, 0);
		begin(&f, "p90<=100ms", 10);
		f.look = rows[i].look;
		for (int k = 0, late = 0; k < 1000; k++) {
			late = k % 10 ? late : ps_rng_uniform(&rng) < 0.25;
			put(&f, k * 10 * MS, 0,
			    (late ? 150 : 50) * MS + (int64_t)(ps_rng_uniform(&rng) * 20e6),
			    PS_LOAD_OK);
		}
		judge(&f);
		assert_int_equal(f.r.sla_verdict, rows[i].want);
		end(&f);
	}
}

static void all_percentiles_have_an_interval_or_what_lacks(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, NULL, 10);
	put_steady(&f, 1000, 0);
	judge(&f);
	const struct ps_stats_time_quantile *rows[] = {&f.r.p50, &f.r.p90, &f.r.p95, &f.r.p99};
	const double p[] = {0.5, 0.9, 0.95, 0.99};
	for (int i = 0; i < 4; i++) {
		assert_true(rows[i]->p == p[i] && rows[i]->has_interval);
		assert_true(rows[i]->lo_ns <= rows[i]->value_ns);
		assert_true(rows[i]->value_ns <= rows[i]->hi_ns);
	}
	assert_true(f.r.p99_9.p == 0.999 && !f.r.p99_9.has_interval);
	assert_true(f.r.p99_9.needs_more > 2000); /* 3688 independent ones bound p99.9 */
	assert_int_equal(ps_load_max_ns(&f.r), f.r.latency.max_ns);
	put(&f, 9 * SEC, 0, 0, PS_LOAD_TIMEOUT);
	assert_true(ps_load_max_ns(&f.r) == PS_HIST_INFINITE);
	end(&f);
}

static void growing_backlog_is_unsteady(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, NULL, 10);
	for (int i = 0; i < 1000; i++) {
		put(&f, i * 10 * MS, 0, 50 * MS + i * MS / 4 + i % 7 * MS, PS_LOAD_OK);
	}
	judge(&f);
	assert_true(f.r.unsteady);
	assert_true(has_reason(&f, "rose"));
	end(&f);
}

static void reasons_have_codes(void **state)
{
	struct fixture f;
	char text[64];

	(void)state;
	for (int falls = 0; falls < 2; falls++) {
		begin(&f, NULL, 10);
		for (int i = 0; i < 1000; i++) {
			int64_t drift = (falls ? 1000 - i : i) * MS / 4;
			put(&f, i * 10 * MS, 0, 50 * MS + drift + i % 7 * MS, PS_LOAD_OK);
		}
		judge(&f);
		/* what drifts is correlated: too few samples are named first */
		assert_true(f.r.reason_len > 0);
		assert_int_equal(ps_load_reason_of(f.r.reasons[f.r.reason_len - 1]),
				 falls ? PS_LOAD_REASON_FALLING : PS_LOAD_REASON_RISING);
		end(&f);
	}
	for (int i = 0; i < PS_LOAD_REASON_COUNT; i++) {
		snprintf(text, sizeof(text), "%s: words", ps_load_reason_code(i));
		assert_int_equal(ps_load_reason_of(text), i);
	}
	assert_int_equal(ps_load_reason_of("unsteady: words"), PS_LOAD_REASON_COUNT);
	assert_int_equal(ps_load_reason_of("stopped"), PS_LOAD_REASON_COUNT);
	assert_int_equal(ps_load_reason_of(""), PS_LOAD_REASON_COUNT);
}

static void clear_violation_is_violated(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "p95<=90ms", 10);
	put_steady(&f, 1000, 0);
	judge(&f);
	assert_true(f.r.valid);
	assert_int_equal(f.r.sla_verdict, PS_LOAD_SLA_VIOLATED);
	assert_true(f.r.violating_ratio > 0.7 && f.r.violating_ratio < 0.8);
	end(&f);
}

static void success_ratio_is_judged(void **state)
{
	static const struct {
		const char *sla;
		int failed;
		enum ps_load_sla_verdict want;
	} rows[] = {
		{"p50<=200ms,success>=99%", 5, PS_LOAD_SLA_MET},
		{"p50<=200ms,success>=99%", 10, PS_LOAD_SLA_MET},
		{"p50<=200ms,success>=99%", 12, PS_LOAD_SLA_UNDECIDED}, /* 200 more: 1188 of 1200 */
		{"p50<=200ms,success>=99%", 40, PS_LOAD_SLA_VIOLATED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture f;

		begin(&f, rows[i].sla, 10);
		for (int k = 0; k < 1000; k++) {
			put(&f, k * 10 * MS, 0, 50 * MS,
			    k % 25 == 0 && k / 25 < rows[i].failed ? PS_LOAD_REJECTED : PS_LOAD_OK);
		}
		judge(&f);
		assert_int_equal(f.r.sla_verdict, rows[i].want);
		assert_int_equal(f.r.sla_needs_more, rows[i].failed == 12 ? 200 : 0);
		end(&f);
	}
}

/* As many failures, spread out or in one go: an outage is one chance, not forty. */
static void failures_that_came_together_count_once(void **state)
{
	static const struct {
		bool together;
		enum ps_load_sla_verdict want;
	} rows[] = {{false, PS_LOAD_SLA_VIOLATED}, {true, PS_LOAD_SLA_UNDECIDED}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture f;

		begin(&f, "p50<=200ms,success>=99%", 10);
		for (int k = 0; k < 1000; k++) {
			bool failed = rows[i].together ? k >= 400 && k < 440 : k % 25 == 0;

			put(&f, k * 10 * MS, 0, 50 * MS, failed ? PS_LOAD_REJECTED : PS_LOAD_OK);
		}
		judge(&f);
		assert_int_equal(f.r.sla_verdict, rows[i].want);
		end(&f);
	}
}

/* A dead server: whose fault it is that nothing was sent is said. */
static void what_had_no_connection_is_said(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, NULL, 10);
	for (int k = 0; k < 1000; k++) {
		struct ps_load_record q = {.scheduled_ns = k * 10 * MS,
					   .sent_ns = -1,
					   .first_byte_ns = -1,
					   .done_ns = k * 10 * MS,
					   .outcome = PS_LOAD_CONNECT};

		ps_load_recorder_end(&f.rec, &q, true);
	}
	judge(&f);
	assert_false(f.r.valid);
	assert_true(has_reason(&f, "unsent: only 0 of 1000"));
	assert_true(has_reason(&f, "for 1000 there was no connection"));
	end(&f);
}

static void warmup_is_recorded_but_not_counted(void **state)
{
	struct fixture f;
	struct ps_load_record q = {.warmup = 1, .done_ns = SEC, .outcome = PS_LOAD_OK};

	(void)state;
	begin(&f, NULL, 10);
	ps_load_recorder_end(&f.rec, &q, true);
	judge(&f);
	assert_int_equal(f.r.record_len, 1);
	assert_int_equal(f.r.warmup_scheduled, 1);
	assert_int_equal(f.r.scheduled, 0);
	assert_int_equal(ps_hist_total(&f.r.latency), 0);
	assert_false(f.r.valid);
	end(&f);
}

static void records_are_bounded_and_said(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, NULL, 10);
	f.rec.max_records = 300;
	put_steady(&f, 1000, 0);
	judge(&f);
	assert_false(f.r.valid);
	assert_true(has_reason(&f, "records: only the first 300 of 1000 requests"));
	assert_int_equal(f.r.record_len, 300);
	assert_int_equal(f.r.records_dropped, 700);
	assert_int_equal(f.r.scheduled, 1000);
	assert_int_equal(ps_hist_count(&f.r.latency), 1000);
	end(&f);
}

/* Calm while there is room for records, a backlog behind it: what is kept would call it steady, and
 * the SLA met. */
static void what_is_behind_the_records_is_not_trusted(void **state)
{
	static const struct {
		size_t room;
		bool records, rising;
	} rows[] = {{1000, true, false}, {4000, false, true}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture f;
		struct ps_rng rng;

		begin(&f, "p95<=2s", 10);
		f.rec.max_records = rows[i].room;
		ps_rng_init(&rng, 5, 0);
		for (int k = 0; k < 4000; k++) {
			int64_t noise = (int64_t)((80 + 40 * ps_rng_uniform(&rng)) * 1e6);

			put(&f, k * 10 * SEC / 4000, 0,
			    noise + (k > 1000 ? (k - 1000) * MS / 4 : 0), PS_LOAD_OK);
		}
		judge(&f);
		assert_false(f.r.valid);
		assert_int_equal(has_reason(&f, "records: "), rows[i].records);
		assert_int_equal(has_reason(&f, "unsteady-rising: "), rows[i].rising);
		if (rows[i].records) {
			assert_false(f.r.p50.has_interval || f.r.sla_quantile.has_interval);
			assert_int_equal(f.r.sla_verdict, PS_LOAD_SLA_UNDECIDED);
		}
		end(&f);
	}
}

static void seconds_add_up(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "p95<=110ms", 10);
	put_steady(&f, 1000, 0);
	judge(&f);
	uint64_t good = 0;
	for (size_t i = 0; i < f.r.second_len; i++) {
		assert_int_equal(f.r.seconds[i].scheduled, 100);
		assert_int_equal(f.r.seconds[i].ok, 100);
		good += f.r.seconds[i].good;
	}
	assert_int_equal(good, f.r.good);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steady_run_is_valid_and_meets),
		cmocka_unit_test(failures_stay_in_the_picture),
		cmocka_unit_test(lag_invalidates),
		cmocka_unit_test(a_closed_loop_is_judged_by_its_mean_lag),
		cmocka_unit_test(too_few_samples_say_how_many_more),
		cmocka_unit_test(each_look_spends_its_share_of_the_error),
		cmocka_unit_test(a_later_look_asks_more_of_a_violation),
		cmocka_unit_test(all_percentiles_have_an_interval_or_what_lacks),
		cmocka_unit_test(growing_backlog_is_unsteady),
		cmocka_unit_test(reasons_have_codes),
		cmocka_unit_test(clear_violation_is_violated),
		cmocka_unit_test(success_ratio_is_judged),
		cmocka_unit_test(failures_that_came_together_count_once),
		cmocka_unit_test(what_had_no_connection_is_said),
		cmocka_unit_test(warmup_is_recorded_but_not_counted),
		cmocka_unit_test(records_are_bounded_and_said),
		cmocka_unit_test(what_is_behind_the_records_is_not_trusted),
		cmocka_unit_test(seconds_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
