/* Published figures beside a campaign's, and whole machines by load. The campaign is made of
 * formulas: alone 16/s and 10/s, together x times (8, 4). */
#include "report/loads.h"
#include "report/published.h"
#include "unit/report/campaign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define assert_near(a, b, eps) assert_true(fabs((a) - (b)) <= (eps))

static void build(struct made *m, double factor, struct ps_report_answer *a)
{
	struct ps_error err;

	make_campaign(m, factor, 0.05, 400, 1.3);
	if (ps_report_build(&m->campaign, a, &err) != PS_OK)
		fail_msg("%s: %s", err.where, err.what);
}

static void end(struct made *m, struct ps_report_answer *a)
{
	ps_report_fini(a);
	free_campaign(m);
}

static const struct ps_report_value *cell(const struct ps_report_table *t, size_t row,
					  const char *key)
{
	for (int i = 0; i < t->column_len; i++)
		if (strcmp(t->columns[i].key, key) == 0)
			return &t->values[row * (size_t)t->column_len + (size_t)i];
	fail_msg("the table %s has no column %s", t->name, key);
	return NULL;
}

/* ---- loads ---- */

/* At x = 1.25 the shares sum to 1.25 (8/16 + 4/10) = 1.125. */
static void test_loads(void **state)
{
	(void)state;
	static const struct {
		double load, together, saving, most;
	} rows[] = {
		{0.05, 1, 0.5, 22}, {0.10, 1, 0.5, 11}, {0.20, 1, 0.5, 5}, {0.30, 1, 0.5, 3},
		{0.40, 1, 0.5, 2},  {0.50, 1, 0.5, 2},	{0.60, 2, 0, 1},
	};
	struct ps_report_loads_question q = {.set = -1};
	struct ps_report_answer a;
	struct ps_report_table t;
	struct ps_error err;
	struct made m;

	build(&m, 1.25, &a);
	assert_int_equal(ps_report_loads_build(&a, &q, &t, &err), PS_OK);
	assert_int_equal(t.row_len, sizeof rows / sizeof *rows);
	for (size_t i = 0; i < t.row_len; i++) {
		assert_near(cell(&t, i, "load")->v.value, rows[i].load, 1e-12);
		assert_near(cell(&t, i, "machines_apart")->v.value, 2, 0);
		assert_near(cell(&t, i, "machines_together")->v.value, rows[i].together, 0);
		assert_near(cell(&t, i, "machine_saving")->v.value, rows[i].saving, 1e-12);
		assert_near(cell(&t, i, "most_tenants")->v.value, rows[i].most, 0);
		assert_near(cell(&t, i, "most_saving")->v.value, 1 - 1 / rows[i].most, 1e-12);
		const struct ps_stats_interval *n = &cell(&t, i, "most_tenants")->v;
		assert_true(n->has_interval && n->lo <= n->value && n->value <= n->hi);
	}
	end(&m, &a);
}

/* The same rates elsewhere: with x = 0.9 the shares sum to 0.81, and 45 % each is too much. */
static void test_loads_against(void **state)
{
	(void)state;
	const double load[] = {0.40, 0.45};
	struct ps_report_answer a, b;
	struct ps_report_table t;
	struct ps_error err;
	struct made m, n;

	build(&m, 1.25, &a);
	build(&n, 0.9, &b);
	struct ps_report_loads_question q = {.shares = load, .len = 2, .set = 2, .against = &b};
	assert_int_equal(ps_report_loads_build(&a, &q, &t, &err), PS_OK);
	assert_int_equal(t.row_len, 2);
	assert_near(cell(&t, 0, "against_machine_saving")->v.value, 0.5, 1e-12);
	assert_near(cell(&t, 1, "machine_saving")->v.value, 0.5, 1e-12);
	assert_near(cell(&t, 1, "against_machine_saving")->v.value, 0, 1e-12);
	assert_near(cell(&t, 1, "against_most_tenants")->v.value, 1, 0);
	end(&n, &b);
	end(&m, &a);
}

static void test_loads_refused(void **state)
{
	(void)state;
	const double bad[] = {0, -0.1, 1.01, NAN};
	double many[PS_REPORT_MAX_LOADS + 1];
	struct ps_report_answer a;
	struct ps_report_table t;
	struct ps_error err;
	struct made m;

	build(&m, 1.25, &a);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct ps_report_loads_question q = {.shares = &bad[i], .len = 1, .set = -1};
		assert_int_equal(ps_report_loads_build(&a, &q, &t, &err), PS_EINVAL);
	}
	for (size_t i = 0; i <= PS_REPORT_MAX_LOADS; i++)
		many[i] = 0.5;
	struct ps_report_loads_question q = {
		.shares = many, .len = PS_REPORT_MAX_LOADS + 1, .set = -1};
	assert_int_equal(ps_report_loads_build(&a, &q, &t, &err), PS_EINVAL);
	end(&m, &a);
}

/* ---- published ---- */

#define HEAD                                                                                       \
	"name: a study\nsource: its figure 1\n"                                                    \
	"first: {name: R, model: models/resnet50.onnx}\n"                                          \
	"second: {name: I, model: models/inception-v3.onnx}\n"
#define MACHINE                                                                                    \
	"machines:\n  - name: G\n    first_alone: 200/s\n    second_alone: 100/s\n    points:\n"

static enum ps_status parse(const char *text, struct ps_report_published *p, struct ps_error *err)
{
	return ps_report_published_parse(text, strlen(text), "p.yaml", p, err);
}

static void test_sums(void **state)
{
	(void)state;
	struct ps_report_published p;
	struct ps_report_answer a;
	struct ps_report_beside b;
	struct ps_error err;
	struct made m;

	build(&m, 1.25, &a);
	assert_int_equal(parse(HEAD "reading_error: 1/s\n" MACHINE
				    "      - {kind: peak-of-first, first: 190, second: 6}\n"
				    "      - {first: 120, second: 50}\n",
			       &p, &err),
			 PS_OK);
	assert_int_equal(ps_report_beside_build(&a, &p, &b, &err), PS_OK);
	assert_int_equal(b.first, 0);
	assert_int_equal(b.second, 1);
	const struct ps_report_table *t = &b.tables[PS_REPORT_BESIDE_POINTS];
	assert_int_equal(t->row_len, 2);
	assert_string_equal(cell(t, 0, "what")->text, "peak of R");
	assert_near(cell(t, 0, "sum_of_shares")->v.value, 190 / 200.0 + 6 / 100.0, 1e-12);
	const struct ps_stats_interval *sum = &cell(t, 1, "sum_of_shares")->v;
	assert_near(sum->value, 1.1, 1e-12);
	assert_near(sum->lo, 119 / 201.0 + 49 / 101.0, 1e-12);
	assert_near(sum->hi, 121 / 199.0 + 51 / 99.0, 1e-12);
	assert_near(cell(t, 1, "fluid_saving")->v.value, 1 - 1 / 1.1, 1e-12);
	assert_near(cell(t, 1, "machine_saving")->v.value, 0.5, 1e-12);
	t = &b.tables[PS_REPORT_BESIDE_PEAKS];
	assert_int_equal(t->row_len, 2);
	assert_near(cell(t, 0, "first_peak_rps")->v.value, 190, 0);
	assert_true(isnan(cell(t, 0, "second_peak_rps")->v.value));
	assert_string_equal(cell(t, 1, "machine")->text, "c6i.large");
	assert_near(cell(t, 1, "second_alone_rps")->v.value, 10, 1e-9);
	assert_string_equal(t->columns[2].head, "R alone");
	assert_int_equal(b.tables[PS_REPORT_BESIDE_LOADS].row_len, 7);
	/* the campaign has no frontier */
	assert_non_null(strstr(b.sentence, "Here: no frontier between the two."));
	assert_non_null(strstr(b.sentence, "sum to 1.10 to 1.10"));
	assert_non_null(strstr(b.sentence, "Processor time saved together"));
	ps_report_published_free(&p);
	end(&m, &a);
}

/* A frontier between the two along (14, 1), (8, 4) and (1, 9): 0.9 of the first point etc. */
static void test_ours(void **state)
{
	(void)state;
	static const double rays[2][2] = {{15.04, 0.6}, {0.96, 9.4}};
	struct ps_report_published p;
	struct ps_report_answer a;
	struct ps_report_beside b;
	struct ps_error err;
	struct made m;

	make_campaign(&m, 1.25, 0.05, 400, 1.3);
	for (int i = 0; i < 2; i++) { /* takes the place of two cells at the demand rates */
		struct ps_store_cell *c = &m.cells[m.cell_len - 1 - (size_t)i];
		*c = m.cells[2];
		c->key = i ? "frontier/f/0.94" : "frontier/f/0.06";
		c->kind = PS_STORE_FRONTIER;
		c->part = 0;
		c->point = i;
		c->capacity.ray_rps = rays[i];
		c->capacity.factor = i ? 0.8 : 1.1;
		c->capacity.factor_low = c->capacity.factor * 0.99;
		c->capacity.factor_high = c->capacity.factor * 1.01;
	}
	if (ps_report_build(&m.campaign, &a, &err) != PS_OK)
		fail_msg("%s: %s", err.where, err.what);
	assert_int_equal(parse(HEAD MACHINE "      - {first: 120, second: 50}\n", &p, &err), PS_OK);
	assert_int_equal(ps_report_beside_build(&a, &p, &b, &err), PS_OK);
	const struct ps_report_table *t = &b.tables[PS_REPORT_BESIDE_POINTS];
	assert_int_equal(t->row_len, 4); /* one published, two of ours, the even one */
	int peaks = 0;
	for (size_t r = 1; r < 4; r++) {
		double x = cell(t, r, "first_rps")->v.value, y = cell(t, r, "second_rps")->v.value;
		assert_near(cell(t, r, "sum_of_shares")->v.value, x / 16 + y / 10, 1e-9);
		peaks += strcmp(cell(t, r, "what")->text, "frontier") != 0;
	}
	assert_int_equal(peaks, 2);
	t = &b.tables[PS_REPORT_BESIDE_PEAKS];
	assert_near(cell(t, 1, "first_peak_rps")->v.value, 15.04 * 1.1, 1e-9);
	assert_near(cell(t, 1, "little_second_rps")->v.value, 0.6 * 1.1, 1e-9);
	assert_near(cell(t, 1, "second_peak_rps")->v.value, 9.4 * 0.8, 1e-9);
	assert_non_null(strstr(b.sentence, "Here: 1 point on the frontier"));
	ps_report_published_free(&p);
	end(&m, &a);
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text, *where, *what;
	} rows[] = {
		{HEAD MACHINE "      - {first: -1, second: 5}\n", "p.yaml:10:", "-1"},
		{HEAD MACHINE "      - {first: nan, second: 5}\n", "p.yaml:10:", "nan"},
		{HEAD MACHINE "      - {first: 5}\n", "p.yaml:10:second", "missing"},
		{HEAD "reading_error: 100/s\n" MACHINE "      - {first: 5, second: 5}\n",
		 "p.yaml:7:machines", "reading error"},
		{HEAD MACHINE "      - {kind: peak-of-first, first: 5, second: 5}\n"
			      "      - {kind: peak-of-first, first: 6, second: 5}\n",
		 "p.yaml:6:machines.points", "two peaks"},
		{HEAD "machines: []\n", "p.yaml:5:machines", ""},
		{"name: x\n", "p.yaml", "missing"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ps_report_published p;
		struct ps_error err;
		assert_int_equal(parse(rows[i].text, &p, &err), PS_EPARSE);
		if (strncmp(err.where, rows[i].where, strlen(rows[i].where)) != 0 ||
		    !strstr(err.what, rows[i].what))
			fail_msg("%zu: %s: %s", i, err.where, err.what);
	}
}

static void test_other_models(void **state)
{
	(void)state;
	struct ps_report_published p;
	struct ps_report_answer a;
	struct ps_report_beside b;
	struct ps_error err;
	struct made m;
	char text[] = HEAD MACHINE "      - {first: 120, second: 50}\n";

	build(&m, 1.25, &a);
	*strstr(text, "v3.onnx") = 'w';
	assert_int_equal(parse(text, &p, &err), PS_OK);
	assert_int_equal(ps_report_beside_build(&a, &p, &b, &err), PS_ENOTFOUND);
	assert_string_equal(err.where, "second.model");
	assert_non_null(strstr(err.hint, "models/inception-v3.onnx"));
	ps_report_published_free(&p);
	end(&m, &a);
}

static void test_schema(void **state)
{
	(void)state;
	struct ps_error err;

	if (ps_conf_check_schema(&ps_report_published_schema, &err) != PS_OK)
		fail_msg("%s: %s", err.where, err.what);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loads),	      cmocka_unit_test(test_loads_against),
		cmocka_unit_test(test_loads_refused), cmocka_unit_test(test_sums),
		cmocka_unit_test(test_ours),	      cmocka_unit_test(test_refused),
		cmocka_unit_test(test_other_models),  cmocka_unit_test(test_schema),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
