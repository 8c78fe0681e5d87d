// needs: report
/* What the host counted, as the store keeps it: counters from the load's start, what is not known
 * stays unknown, CPU time by tenant, and memory that nothing limited. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "load/reason.h"
#include "measure/measure_internal.h"

#include <stdlib.h>
#include <string.h>

#define SECOND PS_NS_PER_SEC

static struct ps_measure_tenant tenants[] = {{.name = "a", .model = "m"},
					     {.name = "b", .model = "n"}};

static struct ps_host_sample sample(int64_t at_s, int64_t cpu_s, int64_t switches)
{
	const struct ps_host_usage none = {-1, -1, -1, -1, -1, -1, -1, -1,
					   -1, -1, -1, -1, -1, -1, -1, -1};
	struct ps_host_sample s = {.at_ns = at_s * SECOND,
				   .server = none,
				   .self = none,
				   .throttled_ns = -1,
				   .net_received_bytes = 1000 * at_s,
				   .cpu_khz = at_s == 101 ? 2000000 : -1};
	s.server.cpu_ns = cpu_s < 0 ? -1 : cpu_s * SECOND;
	s.server.rss_bytes = 100;
	s.server.voluntary = switches;
	s.self.cpu_ns = at_s * SECOND / 100;
	return s;
}

static struct ps_load_tenant_result load_of(uint64_t completed, int64_t compute_ns)
{
	struct ps_load_tenant_result t = {.completed = completed};
	assert_int_equal(ps_hist_init(&t.server_compute), PS_OK);
	ps_hist_record_n(&t.server_compute, compute_ns, completed);
	return t;
}

struct made {
	struct ps_measure_campaign c;
	struct ps_host_watched w;
	struct ps_load_tenant_result load[2];
	struct ps_load_result r;
	struct ps_store_result results[2];
	struct ps_store_trial t;
	struct ps_arena a;
};

/* 1 s of warm-up and 4 s from 101 to 105, in which the server used 6 s of CPU. */
static void make(struct made *m, struct ps_host_sample *samples, size_t n)
{
	static struct ps_host_gpu_sample gpus[] = {{.at_ns = 99 * SECOND, .gpu = 0},
						   {.at_ns = 102 * SECOND, .gpu = 1}};
	*m = (struct made){
		.c = {.tenants = {tenants, 2}, .generator_cpu = -1},
		.w = {.samples = samples, .len = n, .gpus = gpus, .gpu_len = 2, .span_ns = 1},
		.load = {load_of(30, SECOND / 10), load_of(10, SECOND / 10)},
		/* tenant b is listed first: names come from the results, not from the order */
		.results = {{.tenant = 1}, {.tenant = 0}},
	};
	m->r = (struct ps_load_result){
		.start_ns = 100 * SECOND, .tenants = m->load, .tenant_len = 2};
	m->t = (struct ps_store_trial){.warmup_ns = SECOND,
				       .duration_ns = 4 * SECOND,
				       .valid = true,
				       .results = m->results,
				       .result_len = 2};
	ps_arena_init(&m->a, 0);
}

static void fini(struct made *m)
{
	ps_hist_fini(&m->load[0].server_compute);
	ps_hist_fini(&m->load[1].server_compute);
	ps_arena_fini(&m->a);
}

static int64_t compute_of(const json_t *all, size_t i, const char *tenant)
{
	const json_t *o = json_array_get(all, i);
	const char *name = ps_json_get_string(o, "tenant", "nobody");
	assert_string_equal(name, tenant);
	return ps_json_get_int(o, "compute_ns", -1) + ps_json_get_int(o, "overhead_ns", -1);
}

static void test_host(void **state)
{
	struct ps_host_sample in[] = {sample(99, 10, 50), sample(100, 10, -1), sample(101, 11, -1),
				      sample(105, 17, 90)};
	struct made m;
	json_t *o = NULL;
	(void)state;
	make(&m, in, 4);
	assert_int_equal(ps_measure_convert_host(&m.c, &m.w, true, &m.r, &m.a, &m.t, NULL), PS_OK);
	const struct ps_store_sample *s = m.t.samples;
	assert_int_equal(m.t.sample_len, 3);
	assert_int_equal(s[0].server_voluntary_switches, -1); /* not read then */
	assert_int_equal(s[2].server_voluntary_switches, 40); /* since it was last read before */
	assert_int_equal(s[0].net_received_bytes, 0);
	assert_int_equal(s[2].net_received_bytes, 5000);
	assert_int_equal(s[2].server_throttled_ns, -1);
	assert_int_equal(s[1].cpu_khz, 2000000);
	assert_int_equal(m.t.server_cpu_ns, 6 * SECOND);
	assert_int_equal(m.t.gpu_len, 1); /* the other one was before the load */
	assert_true(m.t.gpus[0].gpu == 1 && m.t.gpus[0].at_ns == 2 * SECOND);
	assert_true(m.t.valid);

	/* 3 + 1 s in lanes; the other 2 s by requests, 3 to 1 */
	assert_int_equal(ps_json_parse(m.t.host_json, strlen(m.t.host_json), &o, NULL), PS_OK);
	const json_t *all = json_object_get(o, "server_cpu");
	int64_t b = compute_of(all, 0, "b"), a = compute_of(all, 1, "a");
	assert_true(llabs(b - 9 * SECOND / 2) < SECOND / 100); /* a histogram's error */
	assert_int_equal(a + b + compute_of(all, 2, "nobody"), 6 * SECOND);
	json_decref(o);
	fini(&m);
}

/* Of a server elsewhere nothing is known, and nothing is made up. */
static void test_remote(void **state)
{
	struct ps_host_sample in[] = {sample(100, -1, -1), sample(105, -1, -1)};
	struct made m;
	(void)state;
	make(&m, in, 2);
	m.c.server.url = (char[]){"http://elsewhere"};
	assert_int_equal(ps_measure_convert_host(&m.c, &m.w, true, &m.r, &m.a, &m.t, NULL), PS_OK);
	assert_int_equal(m.t.server_cpu_ns, -1);
	assert_int_equal(m.t.samples[1].server_cpu_ns, -1);
	assert_true(m.t.generator_cpu_ns > 0);
	assert_non_null(strstr(m.t.host_json, "\"server_cpu\":null"));
	assert_non_null(strstr(m.t.host_json, "\"generator\":null"));
	fini(&m);
}

static void test_memory(void **state)
{
	static const struct {
		int64_t limit;
		bool limited, valid;
	} rows[] = {{0, false, true}, {100, false, true}, {99, false, false}, {99, true, true}};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_host_sample in[] = {sample(100, 1, 1), sample(105, 2, 2)};
		struct made m;
		make(&m, in, 2);
		m.c.slice.memory_bytes = rows[i].limit;
		m.t.reasons = "before";
		m.results[0].valid = true;
		m.results[1].reasons = "unsteady-rising: before";
		assert_int_equal(ps_measure_convert_host(&m.c, &m.w, rows[i].limited, &m.r, &m.a,
							 &m.t, NULL),
				 PS_OK);
		assert_int_equal(m.t.valid, rows[i].valid);
		assert_true(rows[i].valid == !strstr(m.t.reasons, "before\nmemory-over: "));
		for (int k = 0; k < 2; k++) { /* what the report goes by */
			assert_int_equal(ps_load_reason_is_trusted(m.t.results[k].valid,
								   m.t.results[k].reasons),
					 rows[i].valid);
		}
		fini(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_host),
					   cmocka_unit_test(test_remote),
					   cmocka_unit_test(test_memory)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
