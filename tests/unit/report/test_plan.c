/* test_plan.c - plans from outside: what is taken, what is refused, and what is shown of them. */
#include "base/strbuf.h"
#include "report/plan.h"
#include "report/report.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "campaign.h"

#define HEAD "{\"format\":\"perseus-plan/1\",\"tenants\":[{\"name\":\"a\",\"rps\":2}],"

/* One machine of tenant a, with more keys of the machine and of the placement. */
#define PLAN(machine, placement)                                                                   \
	HEAD "\"placements\":{\"plan\":{" placement                                                \
	     "\"machines\":[{\"instance_type\":\"x\",\"usd_per_hour\":1," machine                  \
	     "\"tenants\":[{\"tenant\":\"a\",\"rps\":2}]}]}}}"
#define GOOD PLAN("", "\"usd_per_hour\":1,")

/* A plan that was measured: one machine, or two alike, with one tenant. */
#define PROVED(rounds)                                                                             \
	HEAD "\"placements\":{\"plan\":{\"usd_per_hour\":1,\"machines\":[{\"instance_type\":"      \
	     "\"x\","                                                                              \
	     "\"usd_per_hour\":1,\"tenants\":[{\"tenant\":\"a\",\"rps\":2}]}]}},"                  \
	     "\"verification\":{\"verdict\":\"fails\",\"sentence\":\"The plan FAILS: a broke "     \
	     "it.\"," rounds "}}"
#define ROUND(machines, tenant)                                                                    \
	"\"rounds\":[{\"measured\":[]},{\"measured\":[{" machines                                  \
	"\"instance_type\":\"x\",\"tenants\":[{" tenant "}]}]}]"
#define SEEN(ms)                                                                                   \
	"\"tenant\":\"a\",\"verdict\":\"violated\",\"percentile\":0.95,\"limit_ms\":100,"          \
	"\"foreseen_ms\":60,\"foreseen_high_ms\":90,\"goodput_rps\":1.5,\"measured_ms\":" ms

static const struct {
	const char *text, *where, *what;
} refused[] = {
	{"[]", "the plan", "must be an object"},
	{"{", "", ""},
	{"{\"format\":\"other\"}", "format", "perseus-plan/1"},
	{HEAD "\"placements\":{}}", "placements.plan", "neither a plan nor predictions"},
	{HEAD "\"placements\":{\"plan\":3}}", "placements.plan", "must be an object"},
	{"{\"format\":\"perseus-plan/1\",\"tenants\":[{\"rps\":2}]}", "tenants[0].name", "missing"},
	{"{\"format\":\"perseus-plan/1\",\"tenants\":[{\"name\":\"a\",\"rps\":-2}]}",
	 "tenants[0].rps", "from 0"},
	{"{\"format\":\"perseus-plan/1\",\"tenants\":[{\"name\":\"a\",\"rps\":1},"
	 "{\"name\":\"a\",\"rps\":1}]}",
	 "tenants[1]", "two tenants"},
	{PLAN("\"count\":0,", "\"usd_per_hour\":1,"), "machines[0].count", "whole number"},
	{PLAN("\"count\":1.5,", "\"usd_per_hour\":1,"), "machines[0].count", "whole number"},
	{PLAN("\"load\":\"much\",", "\"usd_per_hour\":1,"), "machines[0].load", "a number"},
	{PLAN("", "\"usd_per_hour\":2,"), "placements.plan", "cost 1 an hour in all"},
	{PLAN("", ""), "placements.plan.usd_per_hour", "missing"},
	{HEAD "\"placements\":{\"plan\":{\"usd_per_hour\":1,\"machines\":[{\"instance_type\":"
	      "\"x\",\"usd_per_hour\":1,\"tenants\":[{\"tenant\":\"b\",\"rps\":2}]}]}}}",
	 "machines[0].tenants[0].tenant", "no tenant \"b\""},
	{HEAD "\"predictions\":[{\"what\":\"w\",\"unit\":\"ms\",\"predicted\":{\"value\":1},"
	      "\"measured\":{\"value\":0}}]}",
	 "predictions[0]", "above 0"},
	{HEAD "\"predictions\":[{\"what\":\"w\",\"unit\":\"ms\",\"predicted\":{\"value\":1,"
	      "\"low\":3,\"high\":2},\"measured\":{\"value\":1}}]}",
	 "predictions[0].predicted", "low is above high"},
	{HEAD "\"predictions\":{}}", "predictions", "must be a list"},
	{PROVED("\"rounds\":7"), "verification.rounds", "must be a list"},
	{PROVED("\"rounds\":[7]"), "verification.rounds", "must be an object"},
	{PROVED("\"rounds\":[{}]"), "verification.rounds.measured", "a list is missing"},
	{PROVED(ROUND("\"machines\":[],", "")), "measured[0]", "name one at least"},
	{PROVED(ROUND("\"machines\":[\"m\"],", "\"tenant\":\"a\"")), "tenants[0].verdict",
	 "a text is missing"},
	{PROVED(ROUND("\"machines\":[\"m\"],",
		      "\"tenant\":\"a\",\"verdict\":\"met\",\"percentile\":2")),
	 "tenants[0].percentile", "from 0 to 1"},
	{PROVED(ROUND("\"machines\":[\"m\"],",
		      SEEN("40") ",\"measured_low_ms\":50,\"measured_high_ms\":45")),
	 "tenants[0]", "measured_low_ms is above"},
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		struct ps_report_plan p;
		struct ps_error err;
		enum ps_status st =
			ps_report_plan_parse(refused[i].text, strlen(refused[i].text), &p, &err);
		if (st != PS_EPARSE || !strstr(err.where, refused[i].where) ||
		    !strstr(err.what, refused[i].what))
			fail_msg("%s: %d, %s: %s", refused[i].text, st, err.where, err.what);
	}
}

static void test_too_big(void **state)
{
	struct ps_report_plan p;
	struct ps_error err;
	struct ps_strbuf text;

	(void)state;
	ps_strbuf_init(&text);
	ps_strbuf_puts(&text, "{\"format\":\"perseus-plan/1\",\"tenants\":[");
	for (int i = 0; i <= PS_REPORT_PLAN_MAX; i++)
		ps_strbuf_puts(&text, i ? ",1" : "1");
	ps_strbuf_puts(&text, "]}");
	assert_int_equal(ps_report_plan_parse(text.data, text.len, &p, &err), PS_EPARSE);
	assert_non_null(strstr(err.what, "over 20,000"));
	assert_int_equal(ps_report_plan_parse(text.data, PS_REPORT_PLAN_MAX_BYTES + 1, &p, &err),
			 PS_ETOOBIG);
	ps_strbuf_fini(&text);
}

static void test_read(void **state)
{
	static const char text[] = HEAD
		"\"bound_usd_per_hour\":2,\"other\":{},"
		"\"placements\":{\"dedicated\":{\"usd_per_hour\":6,\"machines\":["
		"{\"instance_type\":\"y\",\"usd_per_hour\":2,\"count\":3,\"tenants\":[]}]},"
		"\"plan\":{\"usd_per_hour\":3,\"machines\":[{\"instance_type\":\"x\",\"count\":3,"
		"\"usd_per_hour\":1,\"tenants\":[{\"tenant\":\"a\",\"rps\":2,\"p99_ms\":40}]}]}}}";
	struct ps_report_plan p;
	struct ps_error err;

	(void)state;
	assert_int_equal(ps_report_plan_parse(text, strlen(text), &p, &err), PS_OK);
	assert_int_equal(p.placements[PS_REPORT_PLANNED].machine_count, 3);
	assert_false(p.placements[PS_REPORT_HOMOGENEOUS].known);
	assert_true(isnan(p.placements[PS_REPORT_PLANNED].machines[0].load));
	assert_float_equal(p.placements[PS_REPORT_PLANNED].machines[0].guests[0].p99_ms, 40, 0);
	json_t *o = ps_report_plan_json(&p);
	const json_t *plan = json_object_get(json_object_get(o, "placements"), "plan");
	assert_int_equal(json_integer_value(json_object_get(plan, "machine_count")), 3);
	json_decref(o);
	ps_report_plan_free(&p);
}

/* The page, the text and Markdown show the plan; names in it stay names. */
static void test_shown(void **state)
{
	static const char text[] =
		"{\"format\":\"perseus-plan/1\",\"tenants\":[{\"name\":\"<b>|x\",\"rps\":2}],"
		"\"placements\":{\"homogeneous\":{\"usd_per_hour\":4,\"machines\":["
		"{\"instance_type\":\"y\",\"usd_per_hour\":4,\"tenants\":[]}]},\"plan\":"
		"{\"usd_per_hour\":1,\"machines\":[{\"instance_type\":\"x\",\"usd_per_hour\":1,"
		"\"load\":0.5,\"tenants\":[{\"tenant\":\"<b>|x\",\"rps\":2,\"load\":0.5}]}]}}}";
	struct ps_report_answer a;
	struct ps_report_plan p;
	struct ps_error err;
	struct ps_strbuf page, plain, md;
	struct made m;

	(void)state;
	make_campaign(&m, 1.25, 0.05, 400, 1.3);
	assert_int_equal(ps_report_build(&m.campaign, &a, &err), PS_OK);
	assert_int_equal(ps_report_plan_parse(text, strlen(text), &p, &err), PS_OK);
	ps_strbuf_init(&page);
	ps_strbuf_init(&plain);
	ps_strbuf_init(&md);
	assert_int_equal(ps_report_html(&a, &page, &err), PS_OK);
	assert_null(strstr(page.data, "What to rent"));
	a.plan = &p;
	ps_strbuf_clear(&page);
	assert_int_equal(ps_report_html(&a, &page, &err), PS_OK);
	assert_non_null(strstr(page.data, "<b>&lt;b&gt;|x</b> 2/s"));
	assert_non_null(strstr(page.data, "width:50.00%"));
	ps_report_text(&a, 80, &plain);
	assert_non_null(strstr(plain.data, "The plan rents 1 machine for $730.00 a month."));
	assert_non_null(strstr(plain.data, "saves 75.0 %"));
	ps_report_markdown(&a, &md);
	assert_non_null(strstr(md.data, "\\<b>\\|x"));
	ps_strbuf_fini(&page);
	ps_strbuf_fini(&plain);
	ps_strbuf_fini(&md);
	ps_report_plan_free(&p);
	ps_report_fini(&a);
	free_campaign(&m);
}

/* Without series per second the page says so. */
static void test_no_series(void **state)
{
	struct ps_report_answer a;
	struct ps_error err;
	struct ps_strbuf page;
	struct made m;

	(void)state;
	make_campaign(&m, 1.25, 0.05, 400, 1.3);
	ps_strbuf_init(&page);
	assert_int_equal(ps_report_build(&m.campaign, &a, &err), PS_OK);
	assert_int_equal(ps_report_html(&a, &page, &err), PS_OK);
	assert_null(strstr(page.data, "holds no series per second"));
	ps_report_fini(&a);
	for (size_t i = 0; i < m.cell_len; i++)
		((struct ps_store_trial *)m.cells[i].trials)->second_len = 0;
	ps_strbuf_clear(&page);
	assert_int_equal(ps_report_build(&m.campaign, &a, &err), PS_OK);
	assert_int_equal(ps_report_html(&a, &page, &err), PS_OK);
	assert_non_null(strstr(page.data, "holds no series per second"));
	ps_strbuf_fini(&page);
	ps_report_fini(&a);
	free_campaign(&m);
}

/* The last round stands with the plan, and its figures among the predictions. */
static void test_proved(void **state)
{
	static const struct {
		const char *seen, *measured, *machines;
		size_t predictions;
	} rows[] = {
		{SEEN("120") ",\"measured_low_ms\":110,\"measured_high_ms\":130", "120 [110, 130]",
		 "\"machines\":[\"m1\",\"m2\",\"m3\"],", 1},
		{SEEN("120") ",\"measured_low_ms\":110,\"measured_high_ms\":null",
		 "120 [110, open]", "\"machines\":[\"m1\",\"m2\",\"m3\"],", 1},
		{SEEN("null"), "never", "\"machines\":[\"m1\",\"m2\",\"m3\"],", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ps_report_answer a;
		struct ps_report_plan p;
		struct ps_strbuf text, out;
		struct ps_error err;
		struct made m;

		ps_strbuf_init(&text);
		ps_strbuf_init(&out);
		ps_strbuf_printf(&text, PROVED(ROUND("%s", "%s")), rows[i].machines, rows[i].seen);
		if (ps_report_plan_parse(text.data, text.len, &p, &err) != PS_OK)
			fail_msg("row %zu: %s: %s", i, err.where, err.what);
		assert_int_equal(p.proved_len, 1);
		assert_string_equal(p.proved[0].machines, "m1 and 2 like it");
		assert_int_equal(p.prediction_len, rows[i].predictions);
		make_campaign(&m, 1.25, 0.05, 400, 1.3);
		assert_int_equal(ps_report_build(&m.campaign, &a, &err), PS_OK);
		a.plan = &p;
		ps_report_markdown(&a, &out);
		assert_non_null(strstr(out.data, "| violated |"));
		if (!strstr(out.data, rows[i].measured))
			fail_msg("row %zu: no %s", i, rows[i].measured);
		/* foreseen 60, at most 90: both were under what was measured */
		if (rows[i].predictions)
			assert_non_null(strstr(out.data, "| 60 [open, 90] | 120 ["));
		ps_strbuf_clear(&out);
		assert_int_equal(ps_report_html(&a, &out, &err), PS_OK);
		assert_non_null(strstr(out.data, "Measured on this machine: fails"));
		assert_non_null(strstr(out.data, "<span class=\"missed\">violated</span>"));
		ps_report_fini(&a);
		free_campaign(&m);
		ps_report_plan_free(&p);
		ps_strbuf_fini(&text);
		ps_strbuf_fini(&out);
	}
}

#define QUANTITY(unit, rows)                                                                       \
	"{\"quantities\":[{\"quantity\":\"service time\",\"setting\":\"\"," unit                   \
	"\"models\":[{\"model\":\"a\",\"rows\":[" rows "]}]},"                                     \
	"{\"quantity\":\"p99 beside "                                                              \
	"several\",\"setting\":\"\",\"unit\":\"ns\",\"note\":\"none\"}]}"

/* What perseus predict says of models left out, with a plan or without. */
static void test_left_out(void **state)
{
	static const char text[] =
		QUANTITY("\"unit\":\"ns\",",
			 "{\"at\":{\"batch\":4,\"threads\":1},\"of\":\"a\",\"beside\":null,"
			 "\"measured\":2000000,\"predicted\":3000000,\"noise\":0.1},"
			 "{\"at\":{},\"of\":\"a\",\"beside\":\"b\",\"measured\":1000000,"
			 "\"predicted\":null}");
	static const struct {
		const char *text, *where, *what;
	} wrong[] = {
		{"{}", "quantities", "a list is missing"},
		{QUANTITY("", "{\"of\":\"a\"}"), "quantities[0]", "has no unit"},
		{QUANTITY("\"unit\":\"ns\",", "{\"of\":\"a\",\"measured\":0,\"predicted\":1}"),
		 "quantities[0]", "above 0"},
		{QUANTITY("\"unit\":\"ns\",", "{\"measured\":1,\"predicted\":1}"), "quantities[0]",
		 "a text is missing"},
		{QUANTITY("\"unit\":\"ns\",", ""), "quantities", "no model was left out"},
	};
	struct ps_report_plan p;
	struct ps_error err;

	(void)state;
	for (int with = 0; with < 2; with++) {
		p = (struct ps_report_plan){0};
		if (with)
			assert_int_equal(ps_report_plan_parse(GOOD, strlen(GOOD), &p, &err), PS_OK);
		assert_int_equal(ps_report_plan_predictions(text, strlen(text), &p, &err), PS_OK);
		assert_int_equal(p.prediction_len, 1);
		assert_int_equal(p.predictions_silent, 1);
		assert_string_equal(p.predictions[0].what, "a, batch 4, threads 1");
		assert_string_equal(p.predictions[0].unit, "ms, service time");
		assert_float_equal(p.predictions[0].predicted.value, 3, 1e-12);
		assert_float_equal(p.predictions[0].measured.lo, 1.8, 1e-12);
		assert_int_equal(p.placements[PS_REPORT_PLANNED].known, with);
		ps_report_plan_free(&p);
	}
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		p = (struct ps_report_plan){0};
		if (ps_report_plan_predictions(wrong[i].text, strlen(wrong[i].text), &p, &err) !=
			    PS_EPARSE ||
		    !strstr(err.where, wrong[i].where) || !strstr(err.what, wrong[i].what))
			fail_msg("row %zu: %s: %s", i, err.where, err.what);
		ps_report_plan_free(&p);
	}
}

static void test_good(void **state)
{
	struct ps_report_plan p;
	struct ps_error err;

	(void)state;
	assert_int_equal(ps_report_plan_parse(GOOD, strlen(GOOD), &p, &err), PS_OK);
	ps_report_plan_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused), cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_read),	cmocka_unit_test(test_shown),
		cmocka_unit_test(test_good),	cmocka_unit_test(test_no_series),
		cmocka_unit_test(test_proved),	cmocka_unit_test(test_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
