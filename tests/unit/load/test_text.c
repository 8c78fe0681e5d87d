/* What people read of a result, byte for byte. */
#include "cli/load_text.c"

#include "base/clock.h"
#include "load/judge.h"
#include "load/recorder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define MS  PS_NS_PER_MS
#define SEC PS_NS_PER_SEC

struct fixture {
	struct ps_load_tenant tenant;
	struct ps_load_plan plan;
	struct ps_load_result r;
	struct ps_strbuf out;
};

/* 1000 requests in 10 s, of 11 to 110 ms in turn; the last `failed` of each hundred are refused. */
static void begin(struct fixture *f, const char *sla, int failed)
{
	struct ps_load_recorder rec;

	*f = (struct fixture){.tenant = {.name = "resnet", .arrival = {.kind = PS_LOAD_POISSON}}};
	if (sla) {
		assert_int_equal(ps_sla_parse(sla, &f->tenant.sla, NULL), PS_OK);
	}
	f->plan = (struct ps_load_plan){
		.tenants = &f->tenant, .tenant_len = 1, .duration_ns = 10 * SEC};
	f->r = (struct ps_load_result){.tenants = calloc(1, sizeof(*f->r.tenants)),
				       .tenant_len = 1,
				       .warmup_ns = SEC,
				       .duration_ns = 10 * SEC,
				       .cpu_ns = 80 * MS,
				       .clock_step_ns = 20,
				       .clock_cost_ns = 28,
				       .timer_slack_ns = 1,
				       .threads = 1,
				       .seed = 9};
	assert_int_equal(ps_load_recorder_init(&rec, &f->r.tenants[0], &f->plan, &f->tenant, 1000),
			 PS_OK);
	for (int k = 0; k < 1000; k++) {
		int64_t at = k * 10 * MS, latency = (11 + k * 37 % 100) * MS;
		/* one by one: those that come together count as one */
		bool good = failed == 0 || k % (100 / failed) != 48;
		struct ps_load_record q = {.scheduled_ns = at,
					   .sent_ns = at + 100000,
					   .first_byte_ns = at + latency,
					   .done_ns = at + latency,
					   .server_queue_ns = -1,
					   .server_compute_ns = -1,
					   .http_status = good ? 200 : 503,
					   .outcome = good ? PS_LOAD_OK : PS_LOAD_REFUSED};

		ps_load_recorder_end(&rec, &q, false);
	}
	ps_load_recorder_finish(&rec, f->plan.duration_ns);
	/* round ones, whenever the last answer came */
	f->r.tenants[0].throughput_rps = 100 - failed;
	f->r.tenants[0].goodput_rps = (double)f->r.tenants[0].good / 10;
	snprintf(f->r.tenants[0].first_failure, sizeof(f->r.tenants[0].first_failure), "%s",
		 failed ? "refused: the queue is full" : "");
	ps_strbuf_init(&f->out);
}

/* How wide they are is the business of stats and judge. */
static void fix_interval(struct ps_stats_time_quantile *q)
{
	q->has_interval = q->p < 0.999;
	q->lo_ns = q->value_ns == PS_HIST_INFINITE ? 110 * MS : q->value_ns - 5 * MS;
	q->hi_ns = q->value_ns == PS_HIST_INFINITE ? q->value_ns : q->value_ns + 5 * MS;
	q->needs_more = 2832;
}

static void fix_intervals(struct ps_load_tenant_result *t)
{
	fix_interval(&t->p50);
	fix_interval(&t->p90);
	fix_interval(&t->p95);
	fix_interval(&t->p99);
	fix_interval(&t->p99_9);
	fix_interval(&t->sla_quantile);
}

static void expect(struct fixture *f, const char *want)
{
	assert_int_equal(ps_load_judge_run(&f->plan, 10 * SEC, &f->r), PS_OK);
	fix_intervals(&f->r.tenants[0]);
	ps_cli_load_text(&f->plan, &f->r, &f->out);
	assert_string_equal(f->out.data, want);
	ps_strbuf_fini(&f->out);
	ps_load_result_fini(&f->r);
}

static void a_good_run(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "p97<=150ms", 0);
	f.r.warmup_found = true;
	f.r.machine = (struct ps_load_machine){.readings = 12,
					       .steal_ratio = 0.031,
					       .throttled_ratio = -1,
					       .mhz_min = 2000,
					       .mhz_max = 2100};
	expect(&f, "10.0 s measured after 1.00 s of warm-up (found by MSER-5), seed 9\n"
		   "latency: CLOCK_MONOTONIC, from the scheduled instant, over all requests\n"
		   "percentiles: nearest rank, with 95 % intervals\n"
		   "\n"
		   "resnet: VALID, SLA met (p97 <= 150 ms, success >= 99 %)\n"
		   "  requests     1000 scheduled, 1000 sent, 1000 ok\n"
		   "  per second   offered 100.0, through 100.0, good 100.0\n"
		   "  latency      p50    60.0 ms   [55.0 ms, 65.0 ms]\n"
		   "               p90    99.9 ms   [94.9 ms, 105 ms]\n"
		   "               p95    105 ms    [100 ms, 110 ms]\n"
		   "               p99    109 ms    [104 ms, 114 ms]\n"
		   "               p99.9  110 ms    needs 2832 more requests for an interval\n"
		   "  the SLA's    p97    107 ms    [102 ms, 112 ms]\n"
		   "               max    110 ms\n"
		   "  service      p50 59.9 ms, p95 105 ms, p99 109 ms\n"
		   "  first byte   p50 60.0 ms, p95 105 ms, p99 109 ms\n"
		   "  send lag     p50 100 us, p95 100 us, p99 100 us\n"
		   "\n"
		   "generator: 1 thread on any CPU, CPU 80.0 ms (80.0 us per request)\n"
		   "  clock        step 20 ns, a reading costs 28 ns\n"
		   "  timer slack  1 ns\n"
		   "  machine      steal 3.1 %, throttled unknown, 2000 to 2100 MHz\n"
		   "  note         the hypervisor gave others 3.1 % of the CPUs' time\n");
}

static void a_run_with_failures(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "p90<=150ms", 2);
	struct ps_load_tenant_result *t = &f.r.tenants[0];
	t->replica_len = 2;
	t->replicas[0] = "http://a";
	t->replicas[1] = "http://b";
	t->notes = (struct ps_load_notes){.checked = 30, .sent = {600, 400}, .failed = {5, 15}};
	t->kernel_stamped = 980;
	expect(&f, "10.0 s measured after 1.00 s of warm-up, seed 9\n"
		   "latency: CLOCK_MONOTONIC, from the scheduled instant, over all requests\n"
		   "percentiles: nearest rank, with 95 % intervals\n"
		   "\n"
		   "resnet: VALID, SLA violated (p90 <= 150 ms, success >= 99 %)\n"
		   "  requests     1000 scheduled, 1000 sent, 980 ok\n"
		   "  per second   offered 100.0, through 98.0, good 98.0\n"
		   "  latency      p50    61.0 ms   [56.0 ms, 66.0 ms]\n"
		   "               p90    102 ms    [97.0 ms, 107 ms]\n"
		   "               p95    107 ms    [102 ms, 112 ms]\n"
		   "               p99    never     [110 ms, never]\n"
		   "               p99.9  never     needs 2832 more requests for an interval\n"
		   "               max    never\n"
		   "  service      p50 59.9 ms, p95 106 ms, p99 110 ms\n"
		   "  first byte   p50 60.0 ms, p95 106 ms, p99 110 ms\n"
		   "  send lag     p50 100 us, p95 100 us, p99 100 us\n"
		   "  failed       refused 20\n"
		   "  first        refused: the queue is full\n"
		   "  ok alone     p50 60.0 ms, p99 110 ms (failures left out)\n"
		   "  replica      http://a: 600 sent, 5 failed\n"
		   "  replica      http://b: 400 sent, 15 failed\n"
		   "  compared     30 answers with what was expected\n"
		   "  stamped      980 answers by the kernel\n"
		   "\n"
		   "generator: 1 thread on any CPU, CPU 80.0 ms (80.0 us per request)\n"
		   "  clock        step 20 ns, a reading costs 28 ns\n"
		   "  timer slack  1 ns\n"
		   "  machine      nobody watched it\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_run),
		cmocka_unit_test(a_run_with_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
