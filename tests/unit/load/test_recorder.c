/* Recorders of several threads give, merged, what one would have given. */
#include "base/clock.h"
#include "base/rng.h"
#include "load/judge.h"
#include "load/reason.h"
#include "load/recorder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MS  PS_NS_PER_MS
#define SEC PS_NS_PER_SEC

enum { PARTS = 3, N = 5000 };

static const struct ps_load_plan plan = {.warmup_ns = SEC, .duration_ns = 4 * SEC};
static struct ps_load_tenant tenant = {.name = "t"};

static int by_end(const void *a, const void *b)
{
	const struct ps_load_record *x = a, *y = b;

	return x->done_ns < y->done_ns ? -1 : x->done_ns > y->done_ns;
}

/* Requests over 5 s, some of each outcome, in order of their end. */
static struct ps_load_record *made_up(void)
{
	struct ps_load_record *q = calloc(N, sizeof(*q));
	struct ps_rng rng;

	ps_rng_init(&rng, 11, 0);
	for (int i = 0; i < N; i++) {
		int64_t at = (int64_t)i * MS;

		q[i] = (struct ps_load_record){
			.scheduled_ns = at,
			.sent_ns = at + (int64_t)ps_rng_below(&rng, MS),
			.server_queue_ns = -1,
			.server_compute_ns = i % 3 ? 5 * MS : -1,
			.http_status = 200,
			.outcome = (uint8_t)(i % 10 ? PS_LOAD_OK : i / 10 % PS_LOAD_UNSENT),
			.sequence = (uint64_t)i};
		q[i].warmup = at < plan.warmup_ns;
		q[i].kernel = i % 7 == 0;
		q[i].first_byte_ns = q[i].sent_ns + (int64_t)ps_rng_below(&rng, 20 * MS);
		q[i].done_ns = q[i].first_byte_ns + 1000;
	}
	qsort(q, N, sizeof(*q), by_end);
	return q;
}

static void same_hist(const struct ps_hist *a, const struct ps_hist *b)
{
	static const double ps[] = {0, 0.1, 0.5, 0.9, 0.99, 1};

	assert_int_equal(a->count, b->count);
	assert_int_equal(a->lost, b->lost);
	assert_true(a->sum_ns == b->sum_ns && a->min_ns == b->min_ns && a->max_ns == b->max_ns);
	for (size_t i = 0; i < sizeof(ps) / sizeof(ps[0]); i++) {
		assert_true(ps_hist_quantile_ns(a, ps[i]) == ps_hist_quantile_ns(b, ps[i]));
	}
}

static void same(const struct ps_load_tenant_result *a, const struct ps_load_tenant_result *b)
{
	assert_int_equal(a->scheduled, b->scheduled);
	assert_int_equal(a->sent, b->sent);
	assert_int_equal(a->completed, b->completed);
	assert_int_equal(a->good, b->good);
	assert_int_equal(a->warmup_scheduled, b->warmup_scheduled);
	assert_int_equal(a->kernel_stamped, b->kernel_stamped);
	assert_int_equal(a->sent_after, b->sent_after);
	assert_memory_equal(a->outcomes, b->outcomes, sizeof(a->outcomes));
	same_hist(&a->latency, &b->latency);
	same_hist(&a->service_latency, &b->service_latency);
	same_hist(&a->send_lag, &b->send_lag);
	same_hist(&a->first_byte, &b->first_byte);
	same_hist(&a->server_compute, &b->server_compute);
	assert_memory_equal(a->seconds, b->seconds, a->second_len * sizeof(*a->seconds));
	assert_int_equal(a->record_len, b->record_len);
	assert_memory_equal(a->records, b->records, a->record_len * sizeof(*a->records));
	assert_string_equal(a->first_failure, b->first_failure);
	assert_true(a->throughput_rps == b->throughput_rps);
	assert_true(a->achieved_rps == b->achieved_rps);
}

static void put(struct ps_load_recorder *rec, const struct ps_load_record *q)
{
	char why[32];

	ps_load_recorder_end(rec, q, false);
	if (q->outcome != PS_LOAD_OK) {
		snprintf(why, sizeof(why), "number %d", (int)q->sequence);
		ps_load_recorder_failure(rec, q, why);
	}
}

static void test_merged_is_as_one(void **state)
{
	struct ps_load_record *q = made_up();
	struct ps_load_tenant_result one = {0}, parts[PARTS] = {0};
	struct ps_load_recorder whole, rec[PARTS];
	atomic_size_t room = PS_LOAD_DEFAULT_RECORDS;

	(void)state;
	assert_int_equal(ps_sla_parse("p95<=15ms", &tenant.sla, NULL), PS_OK);
	assert_int_equal(ps_load_recorder_init(&whole, &one, &plan, &tenant, N), PS_OK);
	for (int k = 0; k < PARTS; k++) {
		assert_int_equal(
			ps_load_recorder_init_shared(&rec[k], &parts[k], &plan, &tenant, 10, &room),
			PS_OK);
	}
	for (int i = 0; i < N; i++) {
		put(&whole, &q[i]);
		put(&rec[q[i].sequence % PARTS], &q[i]);
	}
	for (int k = 1; k < PARTS; k++) {
		assert_int_equal(ps_load_recorder_merge(&rec[0], &rec[k]), PS_OK);
	}
	ps_load_recorder_finish(&whole, plan.duration_ns);
	ps_load_recorder_finish(&rec[0], plan.duration_ns);
	same(&one, &parts[0]);
	assert_int_equal(rec[0].resided, whole.resided);
	assert_true(rec[0].residence_ns == whole.residence_ns);
	ps_load_tenant_result_fini(&one);
	for (int k = 0; k < PARTS; k++) {
		ps_load_tenant_result_fini(&parts[k]);
	}
	free(q);
}

/* A request that was never sent has no end of its own: it stays behind its neighbour. */
static void test_unsent_keep_their_place(void **state)
{
	static const struct {
		int part;
		int64_t done_ns;
	} in[] = {{0, 10}, {1, 15}, {0, -1}, {1, 20}, {0, 30}, {1, -1}};
	static const int64_t want[] = {10, -1, 15, 20, -1, 30};
	struct ps_load_tenant_result parts[2] = {0};
	struct ps_load_recorder rec[2];

	(void)state;
	for (int k = 0; k < 2; k++) {
		assert_int_equal(ps_load_recorder_init(&rec[k], &parts[k], &plan, &tenant, 10),
				 PS_OK);
	}
	for (size_t i = 0; i < 6; i++) {
		struct ps_load_record q = {.scheduled_ns = 5,
					   .sent_ns = -1,
					   .done_ns = in[i].done_ns,
					   .outcome = PS_LOAD_UNSENT,
					   .warmup = 1};

		ps_load_recorder_end(&rec[in[i].part], &q, false);
	}
	assert_int_equal(ps_load_recorder_merge(&rec[0], &rec[1]), PS_OK);
	assert_int_equal(parts[0].record_len, 6);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(parts[0].records[i].done_ns, want[i]);
	}
	ps_load_tenant_result_fini(&parts[0]);
	ps_load_tenant_result_fini(&parts[1]);
}

/* What left long after its time is told apart: the offered rate was not reached. */
static void test_late_ones_are_counted(void **state)
{
	static const struct {
		int64_t sent_ns;
		int late;
	} rows[] = {{4 * SEC, 0}, {5 * SEC, 0}, {5 * SEC + 40 * MS, 0}, {5 * SEC + 41 * MS, 1}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_tenant_result r = {0};
		struct ps_load_recorder rec;
		struct ps_load_record q = {.scheduled_ns = 4 * SEC,
					   .sent_ns = rows[i].sent_ns,
					   .first_byte_ns = rows[i].sent_ns + 1,
					   .done_ns = rows[i].sent_ns + 2,
					   .server_queue_ns = -1,
					   .server_compute_ns = -1,
					   .http_status = 200};

		assert_int_equal(ps_load_recorder_init(&rec, &r, &plan, &tenant, 1), PS_OK);
		ps_load_recorder_end(&rec, &q, true);
		assert_int_equal(r.sent_after, rows[i].late);
		assert_int_equal(r.records[0].sampled, 1);
		ps_load_tenant_result_fini(&r);
	}
}

/* A generator that is still sending after the end has offered less than was asked for. */
static void test_a_rate_not_kept_is_invalid(void **state)
{
	static const struct {
		int late;
		bool refused;
	} rows[] = {{0, false}, {1, false}, {2, true}, {500, true}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_tenant_result r = {0};
		struct ps_load_recorder rec;
		bool refused = false;

		assert_int_equal(ps_load_recorder_init(&rec, &r, &plan, &tenant, 1000), PS_OK);
		for (int k = 0; k < 1000; k++) {
			int64_t at = plan.warmup_ns + k * 4 * MS;
			int64_t sent = k < rows[i].late ? 5 * SEC + 50 * MS : at;
			struct ps_load_record q = {.scheduled_ns = at,
						   .sent_ns = sent,
						   .first_byte_ns = sent + MS,
						   .done_ns = sent + MS + k % 7,
						   .server_queue_ns = -1,
						   .server_compute_ns = -1,
						   .http_status = 200,
						   .sequence = (uint64_t)k};

			ps_load_recorder_end(&rec, &q, false);
		}
		ps_load_recorder_finish(&rec, plan.duration_ns);
		struct ps_load_judge_terms terms = {.sla = &tenant.sla, .timeout_ns = 10 * SEC};
		assert_int_equal(ps_load_judge(&r, &terms), PS_OK);
		for (int k = 0; k < r.reason_len; k++) {
			refused |= ps_load_reason_of(r.reasons[k]) == PS_LOAD_REASON_RATE;
		}
		assert_int_equal(refused, rows[i].refused);
		assert_true(!refused || !r.valid);
		ps_load_tenant_result_fini(&r);
	}
}

/* The last answer comes a second after the end: an open loop took that long, a closed one did not,
 * if it was under way at the beginning of the measured part. */
static void test_throughput(void **state)
{
	static const struct {
		enum ps_load_arrival_kind kind;
		int64_t warmup_ns;
		double want_rps;
	} rows[] = {{PS_LOAD_POISSON, SEC, 2},	 {PS_LOAD_CLOSED, SEC, 2.5},
		    {PS_LOAD_OFFLINE, SEC, 2.5}, {PS_LOAD_POISSON, 0, 2},
		    {PS_LOAD_CLOSED, 0, 2},	 {PS_LOAD_OFFLINE, 0, 2}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_tenant t = {.name = "t", .arrival = {.kind = rows[i].kind}};
		struct ps_load_plan p = {.warmup_ns = rows[i].warmup_ns, .duration_ns = 4 * SEC};
		int64_t at = p.warmup_ns + 3 * SEC, done = p.warmup_ns + 5 * SEC;
		struct ps_load_tenant_result r = {0};
		struct ps_load_recorder rec;

		assert_int_equal(ps_load_recorder_init(&rec, &r, &p, &t, 10), PS_OK);
		for (int k = 0; k < 10; k++) {
			struct ps_load_record q = {.scheduled_ns = at,
						   .sent_ns = at,
						   .first_byte_ns = done,
						   .done_ns = done,
						   .server_queue_ns = -1,
						   .server_compute_ns = -1,
						   .http_status = 200};

			ps_load_recorder_end(&rec, &q, false);
		}
		ps_load_recorder_finish(&rec, p.duration_ns);
		assert_true(r.throughput_rps == rows[i].want_rps);
		assert_true(r.goodput_rps == r.throughput_rps); /* all are good, none more */
		assert_true(r.achieved_rps == 2.5);
		ps_load_tenant_result_fini(&r);
	}
}

/* Requests that left after the end were not sent at the rate that was asked for; a run that was
 * stopped has what it had in the time that it took; one stopped in its warm-up has no rates. */
static void test_rates(void **state)
{
	static const struct {
		int64_t sent_ns, duration_ns;
		double offered, achieved;
	} rows[] = {{3 * SEC, 4 * SEC, 2.5, 2.5},
		    {8 * SEC, 4 * SEC, 2.5, 1.25},
		    {2 * SEC, 2 * SEC, 5, 5}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_tenant t = {.name = "t", .arrival = {.kind = PS_LOAD_POISSON}};
		struct ps_load_plan p = {.duration_ns = 4 * SEC};
		struct ps_load_tenant_result r = {0};
		struct ps_load_recorder rec;

		assert_int_equal(ps_load_recorder_init(&rec, &r, &p, &t, 10), PS_OK);
		for (int k = 0; k < 10; k++) {
			struct ps_load_record q = {.scheduled_ns = SEC,
						   .sent_ns = rows[i].sent_ns,
						   .first_byte_ns = 9 * SEC,
						   .done_ns = 9 * SEC,
						   .server_queue_ns = -1,
						   .server_compute_ns = -1,
						   .http_status = 200};

			ps_load_recorder_end(&rec, &q, false);
		}
		ps_load_recorder_finish(&rec, rows[i].duration_ns);
		assert_true(r.offered_rps == rows[i].offered);
		assert_true(r.achieved_rps == rows[i].achieved);
		ps_load_recorder_finish(&rec, 0);
		assert_true(r.offered_rps == 0);
		ps_load_tenant_result_fini(&r);
	}
}

/* What a server says is printed to terminals: nothing in it may act there. */
static void test_failures_are_printable(void **state)
{
	static const struct {
		const char *why, *want;
	} rows[] = {
		{"no such model", "no such model"},
		{"\x1b[2Jgone\r\nnow\x7f", "?[2Jgone??now?"},
		{"\x01\t\x1f ~", "??? ~"},
		{"zw\xc3\xb6lf", "zw\xc3\xb6lf"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_tenant_result r = {0};
		struct ps_load_record q = {.outcome = PS_LOAD_RESET};
		struct ps_load_recorder rec;
		const char *colon;

		assert_int_equal(ps_load_recorder_init(&rec, &r, &plan, &tenant, 1), PS_OK);
		ps_load_recorder_failure(&rec, &q, rows[i].why);
		colon = strstr(r.first_failure, ": ");
		assert_non_null(colon);
		assert_string_equal(colon + 2, rows[i].want);
		ps_load_tenant_result_fini(&r);
	}
}

static void test_room_follows_from_what_is_expected(void **state)
{
	static const struct {
		enum ps_load_arrival_kind kind;
		double rate_rps;
		size_t max_records, want;
	} rows[] = {
		{PS_LOAD_POISSON, 10, 0, PS_LOAD_DEFAULT_RECORDS},
		{PS_LOAD_CONSTANT, 2e5, 0, 1500000},
		{PS_LOAD_POISSON, 1e7, 0, PS_LOAD_MOST_RECORDS},
		{PS_LOAD_CLOSED, 0, 0, PS_LOAD_MOST_RECORDS},
		{PS_LOAD_POISSON, 2e5, 90, 90},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_tenant t = {
			.name = "t",
			.arrival = {.kind = rows[i].kind, .rate_rps = rows[i].rate_rps}};
		struct ps_load_plan p = {.warmup_ns = SEC,
					 .duration_ns = 4 * SEC,
					 .max_records = rows[i].max_records};

		assert_int_equal(ps_load_records_of(&p, &t), rows[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merged_is_as_one),
		cmocka_unit_test(test_unsent_keep_their_place),
		cmocka_unit_test(test_late_ones_are_counted),
		cmocka_unit_test(test_a_rate_not_kept_is_invalid),
		cmocka_unit_test(test_throughput),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_failures_are_printable),
		cmocka_unit_test(test_room_follows_from_what_is_expected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
