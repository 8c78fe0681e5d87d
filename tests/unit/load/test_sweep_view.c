/* The table of a sweep, byte for byte: it shows the percentiles that the SLAs judge. */
#include "cli/load_sweep_text.c"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define MS PS_NS_PER_MS

enum { MOST = 3 };

struct fixture {
	struct ps_load_tenant tenants[MOST];
	struct ps_load_tenant_result results[MOST];
	struct ps_cli_load_swept_tenant shown[2][MOST];
	struct ps_cli_load_swept s;
};

static struct ps_stats_time_quantile quantile(double p, int64_t value_ns)
{
	bool never = value_ns == PS_HIST_INFINITE;

	return (struct ps_stats_time_quantile){.p = p,
					       .value_ns = value_ns,
					       .lo_ns = never ? value_ns : value_ns - MS,
					       .hi_ns = never ? value_ns : value_ns + MS,
					       .has_interval = true};
}

/* A tenant that had 40/s, p50 10 ms, p99 90 ms, and `judged_ms` at its SLA's percentile. */
static void add(struct fixture *f, const char *name, const char *sla, int64_t judged_ms,
		enum ps_load_sla_verdict verdict)
{
	struct ps_load_tenant *t = &f->tenants[f->s.tenant_len];
	struct ps_load_tenant_result *r = &f->results[f->s.tenant_len++];

	t->name = name;
	if (sla) {
		assert_int_equal(ps_sla_parse(sla, &t->sla, NULL), PS_OK);
	}
	*r = (struct ps_load_tenant_result){.sla = t->sla,
					    .offered_rps = 41,
					    .throughput_rps = 40,
					    .goodput_rps = 39,
					    .p50 = quantile(0.5, 10 * MS),
					    .p99 = quantile(0.99, 90 * MS),
					    .sla_verdict = verdict};
	if (sla) {
		r->sla_quantile = quantile(t->sla.percentile,
					   judged_ms < 0 ? PS_HIST_INFINITE : judged_ms * MS);
	}
}

/* Two rows of the same: at 40/s, and at 80/s INVALID. */
static void fill(struct fixture *f)
{
	struct ps_load_result r = {
		.tenants = f->results, .tenant_len = f->s.tenant_len, .valid = true};

	f->s.tenants = f->tenants;
	f->s.asked = 4;
	f->s.len = 2;
	f->s.saturated = true;
	for (int k = 0; k < 2; k++) {
		f->s.rows[k] = (struct ps_cli_load_swept_row){.asked = 40 * (k + 1),
							      .tenants = f->shown[k]};
		ps_cli_load_swept_take(&f->s.rows[k], &r);
		r.valid = false;
		r.tenants[0].reason_len = 1;
		(void)snprintf(r.tenants[0].reasons[0], sizeof(r.tenants[0].reasons[0]),
			       "machine: it was away");
	}
}

static void expect(struct fixture *f, int columns, const char *want)
{
	struct ps_strbuf out;

	fill(f);
	ps_strbuf_init(&out);
	ps_cli_load_swept_text(&f->s, columns, &out);
	assert_int_equal(ps_strbuf_status(&out), PS_OK);
	assert_string_equal(out.data, want);
	ps_strbuf_fini(&out);
}

#define END "saturated at 80: 2 not tried (--keep-going tries them)\n"

static void the_percentile_of_the_sla(void **state)
{
	struct fixture f = {.s.users = false};

	(void)state;
	add(&f, "a", "p95<=50ms", 45, PS_LOAD_SLA_MET);
	expect(&f, 100,
	       "  rate/s through/s    good/s       p50       p95 95 % of p95          SLA\n"
	       "      40      40.0      39.0   10.0 ms   45.0 ms 44.0 ms-46.0 ms      met\n"
	       "      80      40.0      39.0   10.0 ms   45.0 ms 44.0 ms-46.0 ms      met INVALID\n"
	       "         machine: it was away\n" END);
	expect(&f, 40,
	       "  rate/s       p95 SLA\n"
	       "      40   45.0 ms met\n"
	       "      80   45.0 ms met INVALID\n"
	       "         machine: it was away\n" END);
	expect(&f, 24, /* a reason is never cut */
	       "  rate/s       p95 SLA\n"
	       "      40   45.0 ms met\n"
	       "      80   45.0 ms met INVALID\n"
	       "         machine: it was\n"
	       "         away\n" END);
}

static void p99_without_an_sla(void **state)
{
	struct fixture f = {.s.users = true};

	(void)state;
	add(&f, "a", NULL, 0, PS_LOAD_SLA_NONE);
	expect(&f, 60,
	       "   users through/s       p99 SLA\n"
	       "      40      40.0   90.0 ms -\n"
	       "      80      40.0   90.0 ms - INVALID\n"
	       "         machine: it was away\n" END);
}

/* 18 of 20 ms is nearer to its limit than 45 of 90 ms; who has no SLA is beside the point. */
static void the_tenant_nearest_to_its_limit(void **state)
{
	struct fixture f = {.s.users = false};

	(void)state;
	add(&f, "slow", "p99.9<=90ms", 45, PS_LOAD_SLA_MET);
	add(&f, "quick", "p99.9<=20ms", 18, PS_LOAD_SLA_UNDECIDED);
	add(&f, "free", NULL, 0, PS_LOAD_SLA_NONE);
	expect(&f, 100,
	       "  rate/s through/s    good/s       p50     p99.9 95 % of p99.9        SLA\n"
	       "      40     120.0     117.0   10.0 ms   18.0 ms 17.0 ms-19.0 ms      undecided "
	       "(quick)\n"
	       "      80     120.0     117.0   10.0 ms   18.0 ms 17.0 ms-19.0 ms      undecided "
	       "INVALID (quick)\n"
	       "         machine: it was away\n" END);
}

static void several_percentiles(void **state)
{
	struct fixture f = {.s.users = false};

	(void)state;
	add(&f, "a", "p95<=50ms", 49, PS_LOAD_SLA_MET);
	add(&f, "b", "p50<=1s", -1, PS_LOAD_SLA_VIOLATED);
	expect(&f, 100,
	       "  rate/s through/s    good/s       p50  quantile its 95 % interval    SLA\n"
	       "      40      80.0      78.0   10.0 ms     never never-never          violated (b "
	       "p50)\n"
	       "      80      80.0      78.0   10.0 ms     never never-never          violated "
	       "INVALID (b p50)\n"
	       "         machine: it was away\n" END);
	expect(&f, 40,
	       "  rate/s  quantile SLA\n"
	       "      40     never violated (b p50)\n"
	       "      80     never violated INVALID (b p50)\n"
	       "         machine: it was away\n" END);
}

static void json_has_every_tenant(void **state)
{
	struct fixture f = {.s.users = false};
	json_t *o;

	(void)state;
	add(&f, "a", "p95<=50ms", 45, PS_LOAD_SLA_MET);
	add(&f, "b", NULL, 0, PS_LOAD_SLA_NONE);
	add(&f, "c", "p50<=1s", -1, PS_LOAD_SLA_VIOLATED);
	fill(&f);
	o = ps_cli_load_swept_json(&f.s);
	for (size_t i = 0; i < MOST; i++) {
		static const struct {
			double p, ms;
			const char *verdict;
		} want[MOST] = {{0.95, 45, "met"}, {0.99, 90, "none"}, {0.5, -1, "violated"}};
		const json_t *row = json_array_get(json_object_get(o, "rows"), 0);
		const json_t *t = json_array_get(json_object_get(row, "tenants"), i);

		assert_true(ps_json_get_real(t, "percentile", 0) == want[i].p);
		assert_true(ps_json_get_real(t, "quantile_ms", -1) == want[i].ms);
		assert_string_equal(ps_json_get_string(t, "sla", ""), want[i].verdict);
		assert_true(json_is_null(json_object_get(t, "limit_ms")) == (i == 1));
	}
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_percentile_of_the_sla),
		cmocka_unit_test(p99_without_an_sla),
		cmocka_unit_test(the_tenant_nearest_to_its_limit),
		cmocka_unit_test(several_percentiles),
		cmocka_unit_test(json_has_every_tenant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
