#include "cost/cost.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void expect_near(double got, double want)
{
	if (!(fabs(got - want) <= 1e-9 * fmax(1, fabs(want))))
		fail_msg("got %.12g, want %.12g", got, want);
}

static struct ps_stats_interval about(double value, double lo, double hi)
{
	return (struct ps_stats_interval){value, lo, hi, 0.95, true};
}

static const char sheet_text[] = "prices:\n"
				 "  - provider: aws\n"
				 "    region: us-east-1\n"
				 "    instance_type: c6i.large\n"
				 "    vcpu: 2\n"
				 "    memory_gib: 4\n"
				 "    on_demand_usd_per_hour: 0.085\n"
				 "    source: a list\n"
				 "    source_date: 2026-07-20\n"
				 "  - provider: aws\n"
				 "    region: us-east-1\n"
				 "    instance_type: c6i.large\n"
				 "    on_demand_usd_per_hour: 0.09\n"
				 "    source: an older list\n"
				 "    source_date: 2022-02-09\n"
				 "  - provider: gcp\n"
				 "    instance_type: custom 8 vCPU/32 GB VM\n"
				 "    vcpu: 8\n"
				 "    memory_gib: 32\n"
				 "    gpu_kind: T4\n"
				 "    gpu_count: 1\n"
				 "    on_demand_usd_per_hour: 0.52\n"
				 "    spot_usd_per_hour: 0.155\n"
				 "    source: a notebook\n"
				 "    source_date: 2020-03-04\n"
				 "  - provider: gcp\n"
				 "    region: us-central1\n"
				 "    instance_type: twin\n"
				 "    on_demand_usd_per_hour: 1\n"
				 "    source: x\n"
				 "    source_date: 2020-03-04\n"
				 "  - provider: azure\n"
				 "    region: eastus\n"
				 "    instance_type: twin\n"
				 "    on_demand_usd_per_hour: 2\n"
				 "    source: x\n"
				 "    source_date: 2020-03-04\n";

static void test_find(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum ps_status status;
		double usd;
	} rows[] = {
		{"c6i.large", PS_OK, 0.085},
		{"aws/c6i.large", PS_OK, 0.085},
		{"aws/us-east-1/c6i.large", PS_OK, 0.085},
		{"c6i.large@2022-02-09", PS_OK, 0.09},
		{"aws/c6i.large@2022-02-09", PS_OK, 0.09},
		{"c6i.large@2021-01-01", PS_ENOTFOUND, 0},
		{"custom 8 vCPU/32 GB VM", PS_OK, 0.52},
		{"gcp/custom 8 vCPU/32 GB VM", PS_OK, 0.52},
		{"c6i.larg", PS_ENOTFOUND, 0},
		{"", PS_ENOTFOUND, 0},
		{"twin", PS_EINVAL, 0},
		{"azure/twin", PS_OK, 2},
	};
	struct ps_cost_sheet sheet;
	struct ps_error err;
	assert_int_equal(
		ps_cost_sheet_parse(sheet_text, sizeof(sheet_text) - 1, "s.yaml", &sheet, &err),
		PS_OK);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct ps_cost_price *p = NULL;
		enum ps_status st = ps_cost_sheet_find(&sheet, rows[i].name, &p, &err);
		if (st != rows[i].status)
			fail_msg("%s: status %s", rows[i].name, ps_status_name(st));
		if (p)
			expect_near(p->on_demand_usd_per_hour, rows[i].usd);
	}
	const struct ps_cost_price *p;
	ps_cost_sheet_find(&sheet, "c6i.larg", &p, &err);
	assert_string_equal(err.hint, "did you mean c6i.large?");
	ps_cost_sheet_find(&sheet, "twin", &p, &err);
	assert_string_equal(err.hint, "write gcp/us-central1/twin or azure/eastus/twin");
	ps_cost_sheet_free(&sheet);
}

static void test_bad_sheets(void **state)
{
	(void)state;
#define ROW                                                                                        \
	"  - provider: aws\n    instance_type: a\n    on_demand_usd_per_hour: 1\n    source: s\n"  \
	"    source_date: 2026-01-31\n"
	static const char *const texts[] = {
		"prices: []\n",
		"prices:\n" ROW ROW,
		"prices:\n  - provider: aws\n    instance_type: a\n    source: s\n"
		"    source_date: 2026-01-31\n",
		"prices:\n" ROW "    gpu_kind: T4\n",
		"prices:\n" ROW "    colour: red\n",
		"prices:\n  - provider: aws\n    instance_type: a\n    on_demand_usd_per_hour: 1\n"
		"    source: s\n    source_date: 31.1.2026\n",
		"prices:\n  - provider: aws\n    instance_type: a\n    on_demand_usd_per_hour: 1\n"
		"    source: s\n    source_date: 2026-13-01\n",
		"prices:\n  - provider: aws\n    instance_type: a\n    on_demand_usd_per_hour: -1\n"
		"    source: s\n    source_date: 2026-01-31\n",
	};
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct ps_cost_sheet sheet;
		struct ps_error err;
		if (ps_cost_sheet_parse(texts[i], strlen(texts[i]), "bad.yaml", &sheet, &err) !=
		    PS_EPARSE)
			fail_msg("sheet %zu was not refused", i);
		if (strncmp(err.where, "bad.yaml:", 9) != 0)
			fail_msg("sheet %zu: where is '%s'", i, err.where);
	}
}

static void test_slice_warning(void **state)
{
	(void)state;
	static const int64_t gib = INT64_C(1) << 30;
	static const struct {
		double vcpu, memory_gib, slice_vcpu;
		int64_t bytes;
		int64_t gpus;
		const char *want; /* NULL: no warning */
	} rows[] = {
		{2, 4, 2, 4 * gib, 0, NULL},
		{2, 4, 2.2, 4 * gib, 0, NULL},
		{2, 4, 1.8, 4 * gib * 11 / 10, 0, NULL},
		{2, 4, 1, 4 * gib, 0,
		 "the slice is not the instance it is priced as (m): 1 vCPU "
		 "against 2"},
		{2, 4, 2, 3 * gib, 0,
		 "the slice is not the instance it is priced as (m): 3 GiB of "
		 "memory against 4"},
		{2, 4, 1, 0, 0,
		 "the slice is not the instance it is priced as (m): 1 vCPU against "
		 "2; no memory limit against 4 GiB"},
		{0, 4, 1, 4 * gib, 0,
		 "the slice is not the instance it is priced as (m): the sheet "
		 "does not state its vCPUs"},
		{2, 4, 0, 4 * gib, 0,
		 "the slice is not the instance it is priced as (m): no CPU limit against 2"},
		{2, 4, 0, 0, 0,
		 "there was no slice: whether what was measured is the instance it is priced as "
		 "(m) is not known"},
		{2, 4, 2, 4 * gib, 1,
		 "the slice is not the instance it is priced as (m): it has GPUs, the slice was "
		 "measured without"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ps_cost_price p = {.instance_type = (char[]){"m"},
					  .vcpu = rows[i].vcpu,
					  .memory_gib = rows[i].memory_gib,
					  .gpu_count = rows[i].gpus};
		char buf[PS_COST_WARNING_SIZE] = "";
		bool warned = ps_cost_slice_warning(&p, rows[i].slice_vcpu, rows[i].bytes, buf);
		assert_int_equal(warned, rows[i].want != NULL);
		if (rows[i].want)
			assert_string_equal(buf, rows[i].want);
	}
}

static void test_slice_vcpu(void **state)
{
	(void)state;
	static const struct {
		int cpus;
		double quota, want;
	} rows[] = {{2, 0, 2}, {2, 0.5, 0.5}, {2, 3, 2}, {0, 1.5, 1.5}, {0, 0, 0}};
	for (size_t i = 0; i < COUNT(rows); i++)
		expect_near(ps_cost_slice_vcpu(rows[i].cpus, rows[i].quota), rows[i].want);
}

static void test_cost(void **state)
{
	(void)state;
	expect_near(ps_cost_usd_per_month(0.085), 62.05);
	/* 0.085 dollars buy 3600 s x 10/s = 36,000 inferences. */
	struct ps_stats_interval c = ps_cost_usd_per_million(0.085, about(10, 8, 12.5));
	expect_near(c.value, 0.085 / 36000 * 1e6);
	expect_near(c.lo, c.value * 10 / 12.5);
	expect_near(c.hi, c.value * 10 / 8);
	assert_true(isinf(ps_cost_usd_per_million(1, about(5, 0, 9)).hi));
	assert_true(isinf(ps_cost_usd_per_million(1, about(0, 0, 0)).value));
}

/* The study's points on the frontier: its sums of fractions and the savings they mean. */
static void test_study_points(void **state)
{
	(void)state;
	static const struct {
		double resnet, inception, resnet_alone, inception_alone, saving;
	} rows[] = {
		{100, 93, 203.7, 154.8, 0.0837},  {147, 61, 203.7, 154.8, 0.1038},
		{252, 171, 398.1, 305.1, 0.1619}, {126, 126, 256.1, 207.1, 0.0910},
		{445, 25, 494.5, 393.2, -0.0379},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		double rates[] = {rows[i].resnet, rows[i].inception};
		struct ps_stats_interval alone[] = {ps_stats_exactly(rows[i].resnet_alone),
						    ps_stats_exactly(rows[i].inception_alone)};
		struct ps_stats_interval s =
			ps_cost_fluid_saving(rates, alone, 2, ps_stats_exactly(1));
		if (fabs(s.value - rows[i].saving) > 5e-4)
			fail_msg("point %zu: %.4f", i, s.value);
		expect_near(s.lo, s.value);
		expect_near(s.hi, s.value);
	}
}

static void test_fluid_interval(void **state)
{
	(void)state;
	/* One tenant: 1 - s C / r, so the ends are those of log s + log C, worked out by hand. */
	double rate = 10;
	struct ps_stats_interval alone = about(20, 16, 25), share = about(0.4, 0.32, 0.5);
	struct ps_stats_interval s = ps_cost_fluid_saving(&rate, &alone, 1, share);
	double half = sqrt(2) * log(1.25);
	expect_near(s.value, 0.2);
	expect_near(s.lo, 1 - 0.8 * exp(half));
	expect_near(s.hi, 1 - 0.8 * exp(-half));
	/* An open end stays open. */
	alone.lo = 0;
	s = ps_cost_fluid_saving(&rate, &alone, 1, share);
	expect_near(s.hi, 1);
	assert_true(isfinite(s.lo));
	alone.has_interval = false;
	assert_false(ps_cost_fluid_saving(&rate, &alone, 1, share).has_interval);
}

/* The 95 % interval of the full-load saving covers the truth in 95 % of simulated measurements,
 * where a fresh trial lowered the first `lowered` capacities to the ends of their intervals, too.
 */
static void test_full_load_coverage(void **state)
{
	(void)state;
	static const double truth[] = {13, 9}, set = 0.55, sd = 0.08;
	double ray[] = {13, 9};
	struct ps_rng rng;
	ps_rng_init(&rng, 17, 3);
	for (int lowered = 0; lowered <= 3; lowered++) {
		int covered = 0;
		for (int k = 0; k < 2000; k++) {
			struct ps_stats_interval c[3];
			for (int i = 0; i < 3; i++) {
				double v = (i < 2 ? truth[i] : set) * exp(sd * ps_rng_normal(&rng));
				c[i] = about(v, v * exp(-1.96 * sd), v * exp(1.96 * sd));
				c[i].value = i < lowered ? c[i].lo : v;
			}
			struct ps_stats_interval s = ps_cost_full_load_saving(ray, c, 2, c[2]);
			double want = 1 - 1 / (set * 2);
			assert_true(s.lo <= s.value && s.value <= s.hi);
			covered += s.lo <= want && want <= s.hi;
		}
		if (covered < 1900 - 30 || covered > 1900 + 35)
			fail_msg("%d lowered: %d of 2000", lowered, covered);
	}
}

/* Where trials left nothing of a capacity but the end that they had bounded. */
static void test_saving_of_nothing_left(void **state)
{
	(void)state;
	double ray[] = {10};
	struct ps_stats_interval alone = about(10, 8, 12.5), set = about(0, 0, 0.5);
	struct ps_stats_interval s = ps_cost_full_load_saving(ray, &alone, 1, set);
	assert_true(isinf(s.lo) && s.lo < 0);
	expect_near(s.hi, 1 - 2 / 1.25); /* 1 - s / d with s >= 2 and d from 0.8 to 1.25 */
}

static void test_share_on_ray(void **state)
{
	(void)state;
	double ray[] = {12, 8}, on[] = {3, 2}, off[] = {6, 2};
	struct ps_stats_interval alone[] = {about(12, 11, 13), about(8, 7, 9)};
	struct ps_stats_interval set = about(0.5, 0.4, 0.625);
	bool on_ray;
	struct ps_stats_interval s = ps_cost_share_on_ray(on, ray, alone, 2, set, &on_ray);
	assert_true(on_ray);
	expect_near(s.value, 0.5);
	expect_near(s.lo, 0.4);
	expect_near(s.hi, 0.625);
	s = ps_cost_share_on_ray(off, ray, alone, 2, set, &on_ray);
	assert_false(on_ray);
	expect_near(s.value, (0.5 + 0.25) / (0.5 * 2));
}

static void test_machines(void **state)
{
	(void)state;
	static const struct {
		double rates[2], alone[2], share;
		bool held;
		double apart, together, saving;
	} rows[] = {
		{{4, 3}, {12, 8}, 0.7, true, 2, 1, 0.5},
		{{4, 3}, {12, 8}, 0.7, false, 2, 1, 0.5},
		{{4, 3}, {12, 8}, 1.2, false, 2, 2, 0},
		{{4, 3}, {12, 8}, 1.2, true, 2, 1, 0.5}, /* the trial decides, not the estimate */
		{{12, 8}, {12, 8}, 2.5, false, 2, 3, -0.5},
		{{25, 0}, {12, 8}, 2.1, false, 3, 3, 0},
		{{36, 8}, {12, 8}, 4, false, 4, 4, 0}, /* 36/12 is 3 machines, not 4 */
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ps_stats_interval alone[] = {ps_stats_exactly(rows[i].alone[0]),
						    ps_stats_exactly(rows[i].alone[1])};
		struct ps_cost_machines m =
			ps_cost_machine_saving(rows[i].rates, alone, 2,
					       ps_stats_exactly(rows[i].share), rows[i].held, 0.1);
		expect_near(m.apart.value, rows[i].apart);
		expect_near(m.together.value, rows[i].together);
		expect_near(m.saving.value, rows[i].saving);
		expect_near(m.apart_usd_per_month, rows[i].apart * 73);
		expect_near(m.saving.lo, m.saving.value);
	}
}

static void test_machine_interval(void **state)
{
	(void)state;
	/* r/C is 0.9 but C may be 10 % less: one machine or two, and the interval says so. */
	double rates[] = {9, 1};
	struct ps_stats_interval alone[] = {about(10, 8.5, 11), about(10, 8.5, 11)};
	struct ps_cost_machines m =
		ps_cost_machine_saving(rates, alone, 2, about(1.1, 0.9, 1.3), true, 1);
	expect_near(m.apart.lo, 2);
	expect_near(m.apart.hi, 3);
	expect_near(m.saving.value, 0.5);
	expect_near(m.saving.lo, 0.5);
	expect_near(m.saving.hi, 1 - 1.0 / 3);
	alone[0].value = alone[0].lo = alone[0].hi = 0;
	m = ps_cost_machine_saving(rates, alone, 2, about(1.1, 0.9, 1.3), false, 1);
	assert_true(isinf(m.apart.value));
	expect_near(m.saving.value, 1);
	/* the ends of nothing, too; an upper end may be more */
	alone[0] = about(0, 0, 12);
	m = ps_cost_machine_saving(rates, alone, 2, about(1.1, 0.9, 1.3), false, 1);
	assert_true(isinf(m.apart.value) && isinf(m.apart.hi));
	expect_near(m.apart.lo, 2);
	alone[0] = about(0, 0, 0);
	assert_true(
		isinf(ps_cost_machine_saving(rates, alone, 2, about(1, 1, 1), true, 1).apart.lo));
}

/* What is no number is not nothing. */
static void test_unknown_machines(void **state)
{
	(void)state;
	double rates[] = {9, NAN};
	struct ps_stats_interval alone[] = {about(10, 9, 11), about(10, 9, 11)};
	struct ps_cost_machines m =
		ps_cost_machine_saving(rates, alone, 2, about(NAN, NAN, NAN), false, 1);
	assert_true(isnan(m.apart.value) && isnan(m.together.value) && isnan(m.saving.value));
	rates[1] = 1;
	alone[1].value = NAN;
	m = ps_cost_machine_saving(rates, alone, 2, about(1, 1, 1), false, 1);
	assert_true(isnan(m.apart.value) && isnan(m.saving.value));
	expect_near(m.together.value, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_bad_sheets),
		cmocka_unit_test(test_slice_warning),
		cmocka_unit_test(test_slice_vcpu),
		cmocka_unit_test(test_cost),
		cmocka_unit_test(test_study_points),
		cmocka_unit_test(test_fluid_interval),
		cmocka_unit_test(test_full_load_coverage),
		cmocka_unit_test(test_saving_of_nothing_left),
		cmocka_unit_test(test_share_on_ray),
		cmocka_unit_test(test_machines),
		cmocka_unit_test(test_machine_interval),
		cmocka_unit_test(test_unknown_machines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
