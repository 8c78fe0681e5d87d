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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
