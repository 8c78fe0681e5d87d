/* Figures from a source beside the file of profiles: which of them counts, what is refused, and
 * that an oracle made of any table of them keeps its contract. */
#include "base/file.h"
#include "base/rng.h"
#include "base/strbuf.h"
#include "plan/case.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { MODELS = 4, TYPES = 3, TENANTS = 6 };

/* ---- a source that is a table ---- */

struct table {
	struct ps_plan_known_service service[TYPES][MODELS]; /* mean_s 0: not known */
	struct ps_plan_known_capacity capacity[MODELS];
	struct ps_plan_known_memory memory[MODELS];
	struct ps_plan_beside beside[MODELS][MODELS];
	int begun, asked;
};

/* Models are m0, m1, ...; types have 1, 2, 4 CPUs. */
static int number(const char *model)
{
	return model[1] - '0';
}

static int row_of(const struct ps_cost_price *type)
{
	return type->vcpu > 2 ? 2 : (int)type->vcpu - 1;
}

static enum ps_status begin(void *ctx, const struct ps_plan_asked *asked, int n, double confidence,
			    struct ps_error *err)
{
	struct table *t = ctx;

	(void)err;
	t->begun++;
	t->asked = n;
	assert_true(confidence == 0.95 && asked[0].peak_rps > 0);
	return PS_OK;
}

static enum ps_status service(void *ctx, const char *model, const struct ps_cost_price *type,
			      struct ps_plan_known_service *ret, struct ps_error *err)
{
	const struct table *t = ctx;

	*ret = t->service[row_of(type)][number(model)];
	return ret->mean_s > 0 ? PS_OK : ps_error_set(err, PS_EUNAVAIL, "not known");
}

static enum ps_status capacity(void *ctx, const char *model, const struct ps_cost_price *type,
			       struct ps_plan_known_capacity *ret, struct ps_error *err)
{
	const struct table *t = ctx;

	(void)type;
	*ret = t->capacity[number(model)];
	return ret->rps > 0 ? PS_OK : ps_error_set(err, PS_EUNAVAIL, "not known");
}

static enum ps_status memory(void *ctx, const char *model, struct ps_plan_known_memory *ret,
			     struct ps_error *err)
{
	const struct table *t = ctx;

	*ret = t->memory[number(model)];
	return ret->resident_bytes > 0 ? PS_OK : ps_error_set(err, PS_EUNAVAIL, "not known");
}

static bool beside(void *ctx, const char *own, const char *other, struct ps_plan_beside *ret)
{
	const struct table *t = ctx;

	*ret = t->beside[number(own)][number(other)];
	return ret->origin != PS_PLAN_UNKNOWN;
}

static const char *path(void *ctx, const char *model)
{
	(void)ctx;
	(void)model;
	return NULL;
}

static struct ps_plan_source source_of(struct table *t)
{
	return (struct ps_plan_source){t, begin, service, capacity, memory, beside, path};
}

/* ---- files ---- */

static char dir[] = "/tmp/perseus-source-XXXXXX";

static const char *in_dir(const char *name)
{
	static char names[4][200];
	static int next;
	char *out = names[next++ % 4];

	(void)snprintf(out, sizeof(names[0]), "%s/%s", dir, name);
	return out;
}

static void put(const char *name, const struct ps_strbuf *text)
{
	assert_int_equal(ps_file_write(in_dir(name), text->data, text->len, NULL), PS_OK);
}

static int make_files(void **state)
{
	struct ps_strbuf out;

	(void)state;
	ps_strbuf_init(&out);
	assert_non_null(mkdtemp(dir));
	ps_strbuf_puts(&out, "prices:\n");
	for (int t = 0; t < TYPES; t++)
		ps_strbuf_printf(&out,
				 "  - {provider: p, region: r, instance_type: t%d, vcpu: %d, "
				 "memory_gib: 8, on_demand_usd_per_hour: 0.%d, source: s, "
				 "source_date: '2026-01-01'}\n",
				 1 << t, 1 << t, t + 1);
	put("prices.yaml", &out);
	ps_strbuf_clear(&out);
	ps_strbuf_puts(&out, "prices: prices.yaml\ntenants:\n");
	for (int i = 0; i < TENANTS; i++)
		ps_strbuf_printf(&out,
				 "  - {name: a%d, model: m%d, rate: %d/s, sla: 'p99 <= %dms'}\n", i,
				 i % MODELS, 2 + i, 200 + 70 * i);
	put("plan.yaml", &out);
	ps_strbuf_clear(&out);
	ps_strbuf_puts(&out, "profiles:\n"
			     "  - {model: m0, service: 30ms, memory: 10MiB}\n"
			     "  - {model: m1, service: 40ms, memory: 20MiB, instance_type: t2}\n");
	put("profiles.yaml", &out);
	ps_strbuf_fini(&out);
	return 0;
}

static int remove_files(void **state)
{
	static const char *const names[] = {"prices.yaml", "plan.yaml", "profiles.yaml"};

	(void)state;
	for (int i = 0; i < 3; i++)
		(void)unlink(in_dir(names[i]));
	return rmdir(dir);
}

/* ---- which figure counts ---- */

static struct ps_plan_known_service known(double mean_s, enum ps_plan_origin origin)
{
	return (struct ps_plan_known_service){
		.mean_s = mean_s, .high_s = mean_s * 1.1, .cv = 0.1, .from = {.origin = origin}};
}

static void fill(struct table *t)
{
	memset(t, 0, sizeof(*t));
	for (int m = 0; m < MODELS; m++) {
		for (int i = 0; i < TYPES; i++)
			t->service[i][m] = known(0.01 * (m + 1), PS_PLAN_PREDICTED);
		t->service[1][m] = known(0.011 * (m + 1), PS_PLAN_MEASURED);
		t->memory[m] = (struct ps_plan_known_memory){
			(double)(1 << 20) * (m + 1), 0, {.origin = PS_PLAN_PREDICTED}};
	}
}

static const struct ps_plan_figures *figures(const struct ps_plan_case *c, int type, int model)
{
	return &c->figures[type * c->n_models + model];
}

static double mean_ms(const struct ps_plan_case *c, int type, int model)
{
	return 1e3 * c->services[type * c->n_models + model].mean_s;
}

static void test_measured_given_predicted(void **state)
{
	static struct table t;
	struct ps_plan_source s = source_of(&t);
	struct ps_plan_case c;
	struct ps_error err = {0};
	/* by type and model: from, milliseconds */
	static const struct {
		int type, model;
		enum ps_plan_origin from;
		double ms;
	} rows[] = {
		{0, 0, PS_PLAN_GIVEN, 30},     {1, 0, PS_PLAN_MEASURED, 11},
		{2, 0, PS_PLAN_GIVEN, 30},     {0, 1, PS_PLAN_PREDICTED, 20},
		{1, 1, PS_PLAN_MEASURED, 22},  {2, 1, PS_PLAN_PREDICTED, 20},
		{0, 3, PS_PLAN_PREDICTED, 40}, {1, 3, PS_PLAN_MEASURED, 44},
	};

	(void)state;
	fill(&t);
	t.memory[1].from.origin = PS_PLAN_MEASURED;
	if (ps_plan_case_open_from(in_dir("plan.yaml"), NULL, in_dir("profiles.yaml"), NULL, &s, &c,
				   &err) != PS_OK)
		fail_msg("%s: %s", err.where, err.what);
	assert_int_equal(t.begun, 1);
	assert_int_equal(t.asked, TENANTS);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(figures(&c, rows[i].type, rows[i].model)->service.origin,
				 rows[i].from);
		assert_true(fabs(mean_ms(&c, rows[i].type, rows[i].model) - rows[i].ms) < 1e-9);
	}
	assert_int_equal(c.memory_from[0].origin, PS_PLAN_GIVEN);
	assert_true(c.footprints[0].resident_bytes == 10 << 20);
	assert_int_equal(c.memory_from[1].origin, PS_PLAN_MEASURED);
	assert_true(c.footprints[1].resident_bytes == 2 << 20);
	ps_plan_case_fini(&c);
}

/* A capacity under what the formula carries makes service times longer; one over it does nothing.
 */
static void test_capacity(void **state)
{
	static struct table t;
	struct ps_plan_source s = source_of(&t);
	struct ps_plan_case c;
	double x = ps_plan_strictness(0.022, 0.1, 0.99, 0.2);
	double carried = 2 / ps_plan_load_at(x, 0.022, 0.1);

	(void)state;
	for (int half = 0; half < 2; half++) {
		fill(&t);
		t.capacity[1] =
			(struct ps_plan_known_capacity){.rps = carried * (half ? 0.5 : 1.1),
							.low_rps = carried * (half ? 0.4 : 1.05),
							.lanes = 2,
							.percentile = 0.99,
							.limit_s = 0.2,
							.from = {.origin = PS_PLAN_MEASURED}};
		assert_int_equal(
			ps_plan_case_open_from(in_dir("plan.yaml"), NULL, NULL, NULL, &s, &c, NULL),
			PS_OK);
		const struct ps_plan_service *got = &c.services[1 * c.n_models + 1];
		double f = figures(&c, 1, 1)->slowed;
		assert_true(half ? f > 1.1 : f == 1);
		assert_true(fabs(got->mean_s - 0.022 * f) < 1e-12);
		x = ps_plan_strictness(got->high_s, 0.1, 0.99, 0.2);
		/* the upper end carries no more than the lower end of what was measured */
		assert_true(2 / ps_plan_load_at(x, got->high_s, 0.1) <=
			    t.capacity[1].low_rps * (1 + 1e-9));
		ps_plan_case_fini(&c);
	}
}

static void test_missing(void **state)
{
	static struct table t;
	struct ps_plan_source s = source_of(&t);
	struct ps_plan_case c;
	struct ps_error err;

	(void)state;
	fill(&t);
	for (int i = 0; i < TYPES; i++)
		t.service[i][1].mean_s = t.service[i][3].mean_s = 0;
	assert_int_equal(
		ps_plan_case_open_from(in_dir("plan.yaml"), NULL, NULL, NULL, &s, &c, &err),
		PS_ENOTFOUND);
	assert_string_equal(err.what, "2 models are neither measured nor can be predicted: "
				      "m1 of a1, a5; m3 of a3");
	assert_non_null(strstr(err.hint, "--write-campaign"));
	/* what is not known of its memory cannot be placed either */
	fill(&t);
	t.memory[2].resident_bytes = 0;
	assert_int_equal(
		ps_plan_case_open_from(in_dir("plan.yaml"), NULL, NULL, NULL, &s, &c, &err),
		PS_ENOTFOUND);
	assert_string_equal(err.what, "1 model is neither measured nor can be predicted: m2 of a2");
	/* the file gives it */
	fill(&t);
	t.memory[0].resident_bytes = 0;
	assert_int_equal(ps_plan_case_open_from(in_dir("plan.yaml"), NULL, in_dir("profiles.yaml"),
						NULL, &s, &c, &err),
			 PS_OK);
	ps_plan_case_fini(&c);
}

/* ---- the contract, for any table ---- */

static void draw(struct table *t, struct ps_rng *r)
{
	memset(t, 0, sizeof(*t));
	for (int m = 0; m < MODELS; m++) {
		for (int i = 0; i < TYPES; i++) {
			double mean = 0.004 + 0.03 * ps_rng_uniform(r);
			t->service[i][m] = (struct ps_plan_known_service){
				mean,
				mean * (1 + 0.5 * ps_rng_uniform(r)),
				0.4 * ps_rng_uniform(r),
				false,
				{.origin = 2 + (int)ps_rng_below(r, 2)}};
		}
		t->memory[m] = (struct ps_plan_known_memory){1e9 * ps_rng_uniform(r) + 1,
							     2e9 * ps_rng_uniform(r),
							     {.origin = PS_PLAN_MEASURED}};
		double rps = ps_rng_below(r, 2) ? 20 + 80 * ps_rng_uniform(r) : 0;
		t->capacity[m] = (struct ps_plan_known_capacity){
			.rps = rps,
			.low_rps = rps * (1 - 0.3 * ps_rng_uniform(r)),
			.lanes = 1 + (double)ps_rng_below(r, 4),
			.percentile = 0.95,
			.limit_s = 0.2,
			.from = {.origin = PS_PLAN_MEASURED}};
		for (int k = 0; k < MODELS; k++) {
			double f = 1 + 0.5 * ps_rng_uniform(r);
			t->beside[m][k] =
				(struct ps_plan_beside){f, f * (1 + 0.2 * ps_rng_uniform(r)),
							(enum ps_plan_origin)ps_rng_below(r, 4)};
		}
	}
}

static bool fits(const struct ps_plan_split *s, int type, const struct ps_plan_count *set, int n)
{
	return s->oracle.judge(s->oracle.ctx, type, set, n, NULL) == PS_PLAN_FITS;
}

/* Every set with one part less fits as well; returns whether the set itself did. */
static bool check_subsets(const struct ps_plan_split *s, int type, const struct ps_plan_count *set,
			  int n)
{
	if (n == 0 || !fits(s, type, set, n))
		return false;
	for (int at = 0; at < n; at++) {
		struct ps_plan_count less[TENANTS];
		int m = 0;
		for (int i = 0; i < n; i++) {
			less[m] = set[i];
			less[m].count -= i == at;
			m += less[m].count > 0;
		}
		assert_true(fits(s, type, less, m));
	}
	return true;
}

static void test_monotone(void **state)
{
	static struct table t;
	struct ps_plan_source s = source_of(&t);
	struct ps_rng r;
	int opened = 0, fitting = 0;

	(void)state;
	ps_rng_init(&r, 11, 3);
	for (int i = 0; i < 120; i++) {
		struct ps_plan_case c;
		struct ps_plan_split split;
		draw(&t, &r);
		assert_int_equal(
			ps_plan_case_open_from(in_dir("plan.yaml"), NULL, NULL, NULL, &s, &c, NULL),
			PS_OK);
		if (ps_plan_case_split(&c, 0, false, &split, NULL) == PS_OK) {
			opened++;
			for (int k = 0; k < 30; k++) {
				struct ps_plan_count set[TENANTS];
				int n = 0;
				for (int q = 0; q < split.n_kinds; q++)
					if (ps_rng_below(&r, 2))
						set[n++] = (struct ps_plan_count){
							q, 1 + (int)ps_rng_below(&r, 2)};
				fitting +=
					check_subsets(&split, (int)ps_rng_below(&r, TYPES), set, n);
			}
			ps_plan_split_fini(&split);
		}
		ps_plan_case_fini(&c);
	}
	assert_true(opened > 20 && fitting > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_measured_given_predicted),
		cmocka_unit_test(test_capacity),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_monotone),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
