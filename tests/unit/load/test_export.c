/* Results in the forms of other tools: header, columns, phrases and numbers, byte for byte. */
#include "base/clock.h"
#include "load/export.h"
#include "load/judge.h"
#include "load/recorder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MS  PS_NS_PER_MS
#define SEC PS_NS_PER_SEC

enum { TENANTS = 2 };

struct fixture {
	struct ps_load_tenant tenants[TENANTS];
	struct ps_load_plan plan;
	struct ps_load_result r;
};

static void put(struct ps_load_recorder *rec, int64_t at, int64_t latency,
		enum ps_load_outcome outcome)
{
	struct ps_load_record q = {.scheduled_ns = at,
				   .sent_ns = at,
				   .first_byte_ns = at + latency - 2 * MS,
				   .done_ns = at + latency,
				   .server_queue_ns = 1 * MS,
				   .server_compute_ns = 5 * MS,
				   .http_status = 200,
				   .outcome = (uint8_t)outcome};

	ps_load_recorder_end(rec, &q, true);
}

/* 1000 requests in 10 s with latencies 11, 12, ... 110 ms in turn; the last `failed` of each
 * hundred fail. */
static void fill(struct fixture *f, size_t i, const char *name, const char *sla, int users,
		 int failed)
{
	struct ps_load_tenant *t = &f->tenants[i];
	struct ps_load_recorder rec;

	t->name = name;
	if (sla) {
		assert_int_equal(ps_sla_parse(sla, &t->sla, NULL), PS_OK);
	}
	assert_int_equal(ps_load_recorder_init(&rec, &f->r.tenants[i], &f->plan, t, 1000), PS_OK);
	for (int k = 0; k < 1000; k++) {
		put(&rec, k * 10 * MS, (11 + k * 37 % 100) * MS,
		    k % 100 >= 100 - failed ? PS_LOAD_REJECTED : PS_LOAD_OK);
	}
	ps_load_recorder_finish(&rec, f->plan.duration_ns);
	f->r.tenants[i].asked_rps = users ? 0 : 98.5; /* 100 came */
	f->r.tenants[i].batch = 2;
	f->r.tenants[i].users = users;
	f->r.tenants[i].sla = t->sla;
	struct ps_load_judge_terms terms = {.sla = &t->sla, .timeout_ns = 10 * SEC};
	assert_int_equal(ps_load_judge(&f->r.tenants[i], &terms), PS_OK);
	f->r.tenants[i].throughput_rps = 100 - failed; /* not the end of the last one's answer */
}

static void begin(struct fixture *f, size_t tenants)
{
	*f = (struct fixture){0};
	f->plan = (struct ps_load_plan){
		.tenants = f->tenants, .tenant_len = tenants, .duration_ns = 10 * SEC};
	f->r = (struct ps_load_result){.tenants = calloc(tenants, sizeof(*f->r.tenants)),
				       .tenant_len = tenants,
				       .duration_ns = 10 * SEC,
				       .seed = 9};
}

static void expect(struct ps_strbuf *out, const char *want)
{
	assert_int_equal(ps_strbuf_status(out), PS_OK);
	assert_string_equal(out->data, want);
	ps_strbuf_fini(out);
}

#define HEADER                                                                                     \
	",Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue,"                    \
	"Server Compute Input,Server Compute Infer,Server Compute Output,Client Recv,"             \
	"p50 latency,p90 latency,p95 latency,p99 latency,Tenant,Percentile Rule,Clock,SLA,"        \
	"SLA latency\n"
#define NAMED                                                                                      \
	"\"nearest rank: the ceil(p n)-th smallest (Hyndman-Fan type 1)\","                        \
	"\"CLOCK_MONOTONIC, from the scheduled instant\""
#define NO_SLA ",,\n"

static void perf_analyzer_rows_by_throughput(void **state)
{
	struct fixture f;
	struct ps_strbuf out;

	(void)state;
	begin(&f, 2);
	fill(&f, 0, "a \"quoted\" one", NULL, 0, 0);
	fill(&f, 1, "b", NULL, 0, 2);
	ps_strbuf_init(&out);
	assert_true(ps_load_export_perf_analyzer(&f.r, &out));
	/* Mean service latency 60.5 ms (b: 60.602), less 1 in queue, 5 computing, 2 receiving. The
	 * percentiles answer with the middle of a bucket. */
	expect(&out,
	       "Request Rate" HEADER
	       "98.5,196,0,52602,1000,0,5000,0,2000,60981,102039,107020,inf,\"b\"," NAMED NO_SLA
	       "98.5,200,0,52500,1000,0,5000,0,2000,59998,99942,105054,108986,"
	       "\"a \"\"quoted\"\" one\"," NAMED NO_SLA);
	ps_load_result_fini(&f.r);
}

static void perf_analyzer_of_closed_loops(void **state)
{
	struct fixture f;
	struct ps_strbuf out;

	(void)state;
	begin(&f, 1);
	fill(&f, 0, "a", "p97<=150ms", 4, 0); /* the percentile is none of the four */
	ps_strbuf_init(&out);
	assert_true(ps_load_export_perf_analyzer(&f.r, &out));
	expect(&out, "Concurrency" HEADER
		     "4,200,0,52500,1000,0,5000,0,2000,59998,99942,105054,108986,\"a\"," NAMED
		     ",\"p97 <= 150 ms, success >= 99 %\",107020\n");
	ps_load_result_fini(&f.r);
}

static void perf_analyzer_cannot_mix(void **state)
{
	struct fixture f;
	struct ps_strbuf out;

	(void)state;
	begin(&f, 2);
	fill(&f, 0, "a", NULL, 4, 0);
	fill(&f, 1, "b", NULL, 0, 0);
	ps_strbuf_init(&out);
	assert_false(ps_load_export_perf_analyzer(&f.r, &out));
	assert_int_equal(out.len, 0);
	ps_load_result_fini(&f.r);
}

#define RULE "================================================\n"
#define TAIL                                                                                       \
	"percentile_rule : nearest rank: the ceil(p n)-th smallest (Hyndman-Fan type 1)\n"         \
	"clock : CLOCK_MONOTONIC, from the scheduled instant\n"

static void loadgen_of_a_good_run(void **state)
{
	struct fixture f;
	struct ps_strbuf out;

	(void)state;
	begin(&f, 1);
	fill(&f, 0, "resnet", "p90<=150ms", 0, 0);
	ps_strbuf_init(&out);
	ps_load_export_loadgen(&f.r, 0, &out);
	expect(&out,
	       RULE "Perseus summary in LoadGen's form; not an MLPerf result\n" RULE
		    "SUT name : resnet\n"
		    "Scenario : Server\n"
		    "Mode     : PerformanceOnly\n"
		    "Completed samples per second    : 200.00\n"
		    "Result is : VALID\n"
		    "  Performance constraints satisfied : Yes\n"
		    "  Min duration satisfied : Yes\n"
		    "  Min queries satisfied : Yes\n"
		    "  Early stopping satisfied: Yes\n"
		    "Early Stopping Result:\n"
		    " * Run successful.\n"
		    "\n" RULE "Additional Stats\n" RULE "Scheduled samples per second : 200.00\n"
		    "Min latency (ns)                : 11000000\n"
		    "Max latency (ns)                : 110000000\n"
		    "Mean latency (ns)               : 60500000\n"
		    "50.00 percentile latency (ns)   : 59998208\n"
		    "90.00 percentile latency (ns)   : 99942400\n"
		    "95.00 percentile latency (ns)   : 105054208\n"
		    "97.00 percentile latency (ns)   : 107020288\n"
		    "99.00 percentile latency (ns)   : 108986368\n"
		    "99.90 percentile latency (ns)   : 110000000\n"
		    "\n" RULE "Test Parameters Used\n" RULE "samples_per_query : 2\n"
		    "target_qps : 98.5\n"
		    "target_latency (ns): 150000000\n"
		    "target_latency_percentile : 0.9\n"
		    "min_query_count : 44\n"
		    "min_duration (ms): 10000\n"
		    "schedule_rng_seed : 9\n" TAIL "\nNo warnings encountered during test.\n"
		    "\nNo errors encountered during test.\n");
	ps_load_result_fini(&f.r);
}

static void loadgen_says_what_is_not_satisfied(void **state)
{
	static const struct {
		const char *sla;
		int users, failed;
		const char *phrases[5];
	} rows[] = {
		{"p90<=150ms",
		 0,
		 20,
		 {"Result is : INVALID\n", "  Performance constraints satisfied : NO\n",
		  "  Min queries satisfied : Yes\n", "  Early stopping satisfied: NO\n",
		  "200 ERRORS encountered.\n"}},
		{"p99.9<=150ms",
		 0,
		 0,
		 {"Result is : INVALID\n", "  Performance constraints satisfied : Yes\n",
		  "  Min queries satisfied : NO\n",
		  " * Run unsuccessful.\n * Processed 1000 queries.\n",
		  "min_query_count : 4603\n"}},
		{NULL,
		 1,
		 0,
		 {"Scenario : SingleStream\n", "90th percentile latency (ns)    : 99942400\n",
		  "Result is : VALID\n", "  Min duration satisfied : Yes\n", NULL}},
		{NULL,
		 8,
		 0,
		 {"Scenario : closed loop of 8 users, none of LoadGen's\n",
		  "Completed samples per second    : 200.00\n", NULL}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture f;
		struct ps_strbuf out;

		begin(&f, 1);
		fill(&f, 0, "m", rows[i].sla, rows[i].users, rows[i].failed);
		ps_strbuf_init(&out);
		ps_load_export_loadgen(&f.r, 0, &out);
		for (int k = 0; k < 5 && rows[i].phrases[k]; k++) {
			if (!strstr(out.data, rows[i].phrases[k])) {
				fail_msg("no '%s' in:\n%s", rows[i].phrases[k], out.data);
			}
		}
		/* a closed loop asks for no rate */
		assert_true(!strstr(out.data, "target_qps") == (rows[i].users > 0));
		ps_strbuf_fini(&out);
		ps_load_result_fini(&f.r);
	}
}

static void hdr_table_to_the_last_line(void **state)
{
	struct ps_load_tenant_result t = {.name = "a"};
	struct ps_strbuf out;

	(void)state;
	assert_int_equal(ps_hist_init(&t.latency), PS_OK);
	for (int i = 1; i <= 4; i++) {
		ps_hist_record(&t.latency, i * 128 * MS);
	}
	ps_strbuf_init(&out);
	ps_load_export_hdr(&t, &out);
	expect(&out, "       Value     Percentile TotalCount 1/(1-Percentile)\n"
		     "\n"
		     "     128.000 0.000000000000          1           1.00\n"
		     "     128.000 0.100000000000          1           1.11\n"
		     "     128.000 0.200000000000          1           1.25\n"
		     "     255.984 0.300000000000          2           1.43\n"
		     "     255.984 0.400000000000          2           1.67\n"
		     "     255.984 0.500000000000          2           2.00\n"
		     "     384.041 0.550000000000          3           2.22\n"
		     "     384.041 0.600000000000          3           2.50\n"
		     "     384.041 0.650000000000          3           2.86\n"
		     "     384.041 0.700000000000          3           3.33\n"
		     "     384.041 0.750000000000          3           4.00\n"
		     "     512.000 1.000000000000          4\n"
		     "#[Mean    =      320.000, StdDeviation   =      143.107]\n"
		     "#[Max     =      512.000, Total count    =            4]\n"
		     "#[Buckets =           32, SubBuckets     =          512]\n"
		     "#[Tenant = a, Unit = ms]\n"
		     "#[Percentile rule = nearest rank: the ceil(p n)-th smallest "
		     "(Hyndman-Fan type 1)]\n"
		     "#[Clock = CLOCK_MONOTONIC, from the scheduled instant]\n");
	ps_load_tenant_result_fini(&t);
}

/* Half of all failed: no value stands for a percentile over the half. */
static void hdr_table_ends_where_failures_begin(void **state)
{
	struct ps_load_tenant_result t = {.name = "a"};
	struct ps_strbuf out;

	(void)state;
	assert_int_equal(ps_hist_init(&t.latency), PS_OK);
	ps_hist_record_n(&t.latency, 128 * MS, 50);
	ps_hist_record_lost(&t.latency, 50);
	ps_strbuf_init(&out);
	ps_load_export_hdr(&t, &out);
	assert_non_null(
		strstr(out.data, "     128.000 0.500000000000         50           2.00\n#["));
	assert_non_null(strstr(out.data, "Total count    =          100]\n"));
	assert_non_null(strstr(out.data, "#[Lost = 50: failed, above every value"));
	ps_strbuf_fini(&out);
	ps_load_tenant_result_fini(&t);
}

static void hdr_table_of_nothing(void **state)
{
	struct ps_load_tenant_result t = {.name = "a"};
	struct ps_strbuf out;

	(void)state;
	assert_int_equal(ps_hist_init(&t.latency), PS_OK);
	ps_strbuf_init(&out);
	ps_load_export_hdr(&t, &out);
	assert_non_null(strstr(out.data, "1/(1-Percentile)\n\n#[Mean    =        0.000"));
	ps_strbuf_fini(&out);
	ps_load_tenant_result_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(perf_analyzer_rows_by_throughput),
		cmocka_unit_test(perf_analyzer_of_closed_loops),
		cmocka_unit_test(perf_analyzer_cannot_mix),
		cmocka_unit_test(loadgen_of_a_good_run),
		cmocka_unit_test(loadgen_says_what_is_not_satisfied),
		cmocka_unit_test(hdr_table_to_the_last_line),
		cmocka_unit_test(hdr_table_ends_where_failures_begin),
		cmocka_unit_test(hdr_table_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
