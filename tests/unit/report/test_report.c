// needs: conf
#include "report/report.h"
#include "conf/conf.h"
#include "unit/report/campaign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define assert_near(a, b, eps) assert_true(fabs((a) - (b)) <= (eps))

static void build(const struct made *m, struct ps_report_answer *a)
{
	struct ps_error err;

	if (ps_report_build(&m->campaign, a, &err) != PS_OK)
		fail_msg("%s: %s", err.where, err.what);
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no '%s' in:\n%s", part, text);
}

static void test_they_fit(void **state)
{
	struct ps_report_answer a;
	struct made m;

	(void)state;
	make_campaign(&m, 1.25, 0.05, 400, 1.3);
	build(&m, &a);
	assert_int_equal(a.line_len, 4);
	assert_true(a.lines[0].alone);
	assert_int_equal(a.lines[0].requests, 1600);
	assert_int_equal(a.lines[0].trials, TRIALS);
	assert_int_equal(a.lines[0].verdict, PS_REPORT_MET);
	assert_false(a.lines[1].alone);
	assert_near(a.lines[1].capacity_rps.value, 10, 1e-9);
	assert_near(a.lines[1].capacity_rps.lo, 9.5, 1e-9);
	/* 0.085 $/h / (16 * 3600) * 10^6 */
	assert_near(a.lines[0].usd_per_million.value, 1.4757, 1e-3);
	/* together: 10/s of 50 ms and 5/s of 75 ms, so 4/7 of the machine */
	assert_near(a.lines[1].compute_share, 4.0 / 7, 1e-3);
	assert_near(a.lines[1].usd_per_million.value, 0.085 * 4 / 7 / 36000 * 1e6, 1e-3);

	const struct ps_report_comparison *c = &a.comparisons[0];
	assert_int_equal(a.comparison_len, 1);
	assert_true(c->possible && c->on_ray);
	/* demand (8, 4) needs 8/16 + 4/10 = 0.9 machines apart and 1/1.25 = 0.8 together */
	assert_near(c->share_apart.value, 0.9, 1e-9);
	assert_near(c->share.value, 0.8, 1e-9);
	assert_near(c->fluid_saving.value, 1 - 0.8 / 0.9, 1e-9);
	assert_near(c->full_load_saving.value, 1 - 1 / (1.25 * 0.9), 1e-9);
	assert_near(c->machines.saving.value, 0.5, 1e-9);
	assert_has(a.verdict, "At 8/s of resnet50 and 4/s of inception-v3 both fit one machine "
			      "inside their SLAs: $62.05 instead of $124.10 a month "
			      "(1 c6i.large instead of 2).");
	assert_has(a.verdict, " At full load ");
	assert_int_equal(a.warning_len, 0);
	ps_report_fini(&a);
	free_campaign(&m);
}

static void test_they_do_not_fit(void **state)
{
	struct ps_report_answer a;
	struct made m;

	(void)state;
	make_campaign(&m, 0.7, 0.02, 400, 8);
	build(&m, &a);
	assert_int_equal(a.sets[2].verdict, PS_REPORT_MISSED);
	assert_int_equal(a.sets[0].verdict, PS_REPORT_MET);
	assert_has(a.verdict, "both do not fit one machine inside their SLAs: resnet50 had ");
	assert_has(a.verdict, " Apart they need 2 c6i.large, $124.10 a month.");
	/* 1 - 1 / (0.7 * 0.9) = -59 % */
	assert_has(a.verdict, "At full load sharing is a loss of 59 % of machine time");
	ps_report_fini(&a);
	free_campaign(&m);
}

static void test_undecided(void **state)
{
	struct ps_report_answer a;
	struct made m;

	(void)state;
	make_campaign(&m, 1.11, 0.1, 14, 1.3);
	build(&m, &a);
	assert_int_equal(a.sets[2].verdict, PS_REPORT_UNDECIDED);
	assert_true(a.lines[0].needs_more > 0);
	assert_has(a.verdict,
		   "both kept their SLAs on one machine, on too few requests to be sure: ");
	assert_has(a.verdict, " more requests would tell");
	assert_has(a.verdict, " If they fit: $62.05 instead of $124.10 a month (1 c6i.large");
	assert_has(a.verdict, "At full load no saving and no loss of machine time was shown");
	ps_report_fini(&a);
	free_campaign(&m);
}

/* Over the limit in what was seen, but not surely: the sentence must not say that they kept it. */
static void test_undecided_and_over(void **state)
{
	struct ps_report_answer a;
	struct made m;

	(void)state;
	make_campaign(&m, 1.11, 0.1, 14, 1.9);
	build(&m, &a);
	assert_int_equal(a.sets[2].verdict, PS_REPORT_UNDECIDED);
	assert_has(a.verdict, "it is undecided whether both fit one machine inside their SLAs: ");
	ps_report_fini(&a);
	free_campaign(&m);
}

/* Failed requests count as late, and an instrument that broke its promises cannot prove a miss. */
static void test_invalid_trials(void **state)
{
	struct ps_report_answer a;
	struct made m;

	(void)state;
	make_campaign(&m, 1.25, 0.05, 400, 8);
	for (size_t i = 0; i < m.cell_len; i++) {
		struct ps_store_trial *t = (struct ps_store_trial *)m.cells[i].trials;
		struct ps_store_result *r = (struct ps_store_result *)t->results;
		if (m.cells[i].set != 2 || t->role != PS_STORE_DEMAND)
			continue;
		t->valid = r[0].valid = false;
		r[0].reasons = "send-lag: p99 was 40 ms\nunsent: only 97 % were sent";
	}
	build(&m, &a);
	const struct ps_report_line *l = &a.lines[1];
	assert_int_equal(l->invalid, TRIALS);
	assert_int_equal(l->verdict, PS_REPORT_UNDECIDED);
	assert_int_equal(a.warning_len, TRIALS);
	assert_string_equal(
		a.warnings[0],
		"INVALID: confirm/0/together, trial 1 (demand), resnet50: send-lag: p99 "
		"was 40 ms; unsent: only 97 % were sent.");
	ps_report_fini(&a);
	for (size_t i = 0; i < m.cell_len; i++) {
		struct ps_store_result *r = (struct ps_store_result *)m.cells[i].trials[0].results;
		if (!r[0].valid)
			r[0].reasons = "unsteady-rising: latency rose by 5 s over the run";
	}
	build(&m, &a);
	assert_int_equal(a.lines[1].verdict, PS_REPORT_MISSED);
	ps_report_fini(&a);
	free_campaign(&m);
}

/* Every request of the tenant's demand trial in this block and set took `ms`. */
static struct ps_store_result *set_latency(struct made *m, int set, int block, int tenant,
					   double ms)
{
	struct ps_store_result *r = NULL;
	struct ps_hist h;

	for (size_t i = 0; i < m->cell_len; i++)
		if (m->cells[i].kind == PS_STORE_CONFIRM && m->cells[i].set == set &&
		    m->cells[i].block == block)
			r = (struct ps_store_result *)m->cells[i].trials[0].results;
	while (r->tenant != tenant)
		r++;
	assert_int_equal(ps_hist_init(&h), PS_OK);
	for (int i = 0; i < 9; i++)
		if (isinf(ms))
			ps_hist_record_lost(&h, 1);
		else
			ps_hist_record(&h, (int64_t)(1e6 * ms));
	r->latency = blob(m, &h);
	ps_hist_fini(&h);
	return r;
}

static void test_slowdown(void **state)
{
	static const double alone[] = {10, 20, 40, 80}, together[] = {11, 24, 52, 112};
	struct ps_report_answer a;
	struct made m;

	(void)state;
	make_campaign(&m, 1.25, 0.05, 40, 1.3);
	for (int b = 0; b < TRIALS; b++) {
		set_latency(&m, 0, b, 0, alone[b]);
		set_latency(&m, 2, b, 0, together[b]);
	}
	build(&m, &a);
	/* ratios 1.1, 1.2, 1.3, 1.4; t of 3 degrees at 97.5 % is 3.1824 */
	const struct ps_report_line *l = &a.lines[1];
	assert_false(l->alone);
	assert_int_equal(l->slowdown_blocks, 4);
	assert_true(l->slowdown.has_interval);
	assert_near(l->slowdown.value, 1.2450, 0.003);
	assert_near(l->slowdown.lo, 1.0554, 0.004);
	assert_near(l->slowdown.hi, 1.4686, 0.005);
	assert_true(isnan(a.lines[0].slowdown.value));
	ps_report_fini(&a);
	/* an instrument that disturbed the trial alone says nothing; a backlog does */
	struct ps_store_result *r = set_latency(&m, 0, 0, 0, 10);
	r->valid = false;
	r->reasons = "send-lag: p99 was 40 ms";
	build(&m, &a);
	assert_int_equal(a.lines[1].slowdown_blocks, 3);
	assert_false(a.lines[1].slowdown.has_interval);
	assert_near(a.lines[1].slowdown.value, cbrt(1.2 * 1.3 * 1.4), 0.003);
	ps_report_fini(&a);
	r->reasons = "unsteady-rising: latency rose by 5 s over the run";
	set_latency(&m, 2, 3, 0, INFINITY);
	build(&m, &a);
	assert_int_equal(a.lines[1].slowdown_blocks, 4);
	assert_true(isinf(a.lines[1].slowdown.value));
	ps_report_fini(&a);
	free_campaign(&m);
}

/* Where a fresh trial held is said, in units of each tenant; so is a search cut short. */
static void test_confirmed(void **state)
{
	struct ps_report_answer a;
	struct ps_strbuf text;
	struct made m;

	(void)state;
	make_campaign(&m, 1.25, 0.2, 400, 1.3);
	m.cells[0].capacity.check_met = false;
	m.cells[1].capacity.method_json = "{\"steps\":2,\"stop\":\"time\",\"confirmed_scale\":7.5}";
	build(&m, &a);
	assert_true(isnan(a.lines[0].held_rps));
	assert_near(a.lines[1].held_rps, 8 * 1.25 * 0.8, 1e-9);
	assert_near(a.lines[2].held_rps, 7.5, 1e-9);
	ps_strbuf_init(&text);
	ps_report_text(&a, 80, &text);
	assert_has(text.data, "No fresh trial confirmed the capacity of alone:resnet50");
	assert_has(text.data, "capacity of alone:inception-v3 was cut short");
	assert_has(text.data, "after 2 steps");
	ps_strbuf_fini(&text);
	ps_report_fini(&a);
	free_campaign(&m);
}

static void test_lost_requests(void **state)
{
	struct ps_report_answer a;
	struct made m;

	(void)state;
	make_campaign(&m, 1.25, 0.05, 400, 1.3);
	for (size_t i = 0; i < m.cell_len; i++) {
		struct ps_store_trial *t = (struct ps_store_trial *)m.cells[i].trials;
		struct ps_store_result *r = (struct ps_store_result *)t->results;
		if (m.cells[i].set == 0 && t->role == PS_STORE_DEMAND)
			make_result(&m, r, 0, 300, 100, 20, 8);
	}
	build(&m, &a);
	assert_int_equal(a.lines[0].failed, 400);
	assert_int_equal(a.lines[0].p95.value_ns, PS_HIST_INFINITE);
	assert_int_equal(a.lines[0].verdict, PS_REPORT_MISSED);
	assert_has(a.verdict, "Even alone resnet50 misses its SLA at this rate.");
	ps_report_fini(&a);
	free_campaign(&m);
}

/* Who is not answered half of the time is infinitely slow, in every form, and not unknown. */
static void test_infinite_slowdown(void **state)
{
	struct ps_report_answer a;
	struct ps_strbuf text;
	struct made m;

	(void)state;
	make_campaign(&m, 1.25, 0.05, 400, 1.3);
	for (size_t i = 0; i < m.cell_len; i++) {
		struct ps_store_trial *t = (struct ps_store_trial *)m.cells[i].trials;
		if (m.cells[i].set == 2 && t->role == PS_STORE_DEMAND)
			make_result(&m, (struct ps_store_result *)t->results, 0, 100, 300, 20, 8);
	}
	build(&m, &a);
	json_t *v = ps_report_json(&a, true);
	const json_t *line = json_array_get(json_object_get(v, "lines"), 1);
	const json_t *slowdown = json_object_get(line, "slowdown");
	assert_string_equal(json_string_value(json_object_get(line, "set")), "together");
	assert_true(json_is_null(json_object_get(slowdown, "value")));
	assert_true(json_is_true(json_object_get(slowdown, "infinite")));
	json_decref(v);
	ps_strbuf_init(&text);
	ps_report_csv(&a, &text);
	assert_has(text.data, ",inf,,,missed,");
	ps_strbuf_fini(&text);
	ps_report_fini(&a);
	free_campaign(&m);
}

static void test_unfinished(void **state)
{
	struct ps_report_answer a;
	struct ps_strbuf text;
	struct made m;

	(void)state;
	make_campaign(&m, 1.25, 0.05, 400, 1.3);
	m.campaign.price.instance_type = NULL;
	for (size_t i = 1; i < m.cell_len; i++) {
		m.cells[i].state = i % 2 ? PS_STORE_PLANNED : PS_STORE_FAILED;
		m.cells[i].reason = "the server did not start";
	}
	build(&m, &a);
	assert_false(a.comparisons[0].possible);
	assert_has(a.verdict, "the set was not tried: no answer for the demand rates.");
	assert_has(a.verdict, "What sharing does at full load was not measured.");
	assert_int_equal(a.cells_done, 1);
	assert_int_equal(a.lines[0].verdict, PS_REPORT_NO_DATA);
	ps_strbuf_init(&text);
	ps_report_text(&a, 80, &text);
	assert_has(text.data, "The campaign is not finished");
	assert_has(text.data, "failed: the server did not start.");
	assert_has(text.data, "The campaign names no price");
	ps_report_csv(&a, &text);
	ps_strbuf_fini(&text);
	json_t *v = ps_report_json(&a, true);
	assert_true(json_is_null(json_object_get(v, "price")));
	json_decref(v);
	ps_report_fini(&a);
	free_campaign(&m);
}

static void test_corrupt(void **state)
{
	struct ps_report_answer a;
	struct ps_error err;
	struct made m;

	(void)state;
	make_campaign(&m, 1.25, 0.05, 50, 1.3);
	struct ps_store_result *r = (struct ps_store_result *)m.cells[4].trials[0].results;
	r[0].latency.len /= 2;
	assert_int_equal(ps_report_build(&m.campaign, &a, &err), PS_ECORRUPT);
	assert_has(err.where, "two CNNs");
	m.campaign.set_len = 0;
	assert_int_equal(ps_report_build(&m.campaign, &a, &err), PS_EINVAL);
	free_campaign(&m);
}

static void test_text_fits(void **state)
{
	static const int widths[] = {60, 80, 100};
	struct ps_report_answer a;
	struct made m;

	(void)state;
	make_campaign(&m, 1.25, 0.05, 40, 1.3);
	build(&m, &a);
	for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
		struct ps_strbuf text;
		ps_strbuf_init(&text);
		ps_report_text(&a, widths[i], &text);
		for (const char *p = text.data; *p;) {
			size_t n = strcspn(p, "\n");
			if (ps_conf_columns(p, n) > (size_t)widths[i])
				fail_msg("%d columns: %.*s", widths[i], (int)n, p);
			p += n + (p[n] == '\n');
		}
		ps_strbuf_fini(&text);
	}
	ps_report_fini(&a);
	free_campaign(&m);
}

static void test_page_escapes(void **state)
{
	struct ps_report_answer a;
	struct ps_strbuf page;
	struct ps_error err;
	struct made m;

	(void)state;
	make_campaign(&m, 1.25, 0.05, 40, 1.3);
	m.campaign.name = "</script><script>alert(1)</script>\"'&";
	m.tenants[0].name = "<img src=x onerror=alert(2)>";
	build(&m, &a);
	ps_strbuf_init(&page);
	assert_int_equal(ps_report_html(&a, &page, &err), PS_OK);
	assert_null(strstr(page.data, "<script>alert"));
	assert_null(strstr(page.data, "<img src=x"));
	assert_null(strstr(page.data, "<b>not bold"));
	assert_null(strstr(page.data, "{{"));
	assert_has(page.data, "&lt;img src=x onerror=alert(2)&gt;");
	assert_has(page.data, "\\u003c/script\\u003e");
	ps_strbuf_fini(&page);
	ps_report_fini(&a);
	free_campaign(&m);
}

/* The percentile of an agreement is shown where no other column has it. */
static void test_other_percentile(void **state)
{
	for (int other = 0; other < 2; other++) {
		struct ps_report_answer a;
		struct ps_strbuf text;
		struct made m;

		(void)state;
		make_campaign(&m, 1.25, 0.05, 400, 1.3);
		m.tenants[1].sla.percentile = other ? 0.9 : 0.95;
		build(&m, &a);
		ps_strbuf_init(&text);
		ps_report_text(&a, 100, &text);
		ps_report_markdown(&a, &text);
		assert_int_equal(strstr(text.data, "at the SLA, ms") != NULL, other);
		assert_int_equal(strstr(text.data, "p90: ") != NULL, other);
		ps_strbuf_clear(&text);
		ps_report_csv(&a, &text);
		assert_has(text.data, other ? ",90," : ",95,");
		ps_strbuf_fini(&text);
		json_t *v = ps_report_json(&a, false);
		const json_t *line = json_array_get(json_object_get(v, "lines"), 2);
		assert_near(json_number_value(
				    json_object_get(json_object_get(line, "at_sla"), "percentile")),
			    other ? 90 : 95, 1e-9);
		json_decref(v);
		ps_report_fini(&a);
		free_campaign(&m);
	}
}

static void test_csv(void **state)
{
	struct ps_report_answer a;
	struct ps_strbuf csv;
	struct made m;
	int heads = 0, cells = 0;

	(void)state;
	make_campaign(&m, 1.25, 0.05, 40, 1.3);
	m.tenants[0].name = "=cmd";
	build(&m, &a);
	ps_strbuf_init(&csv);
	ps_report_csv(&a, &csv);
	const char *row = strstr(csv.data, "\r\n") + 2;
	for (const char *p = csv.data; p < row; p++)
		heads += *p == ',';
	for (const char *p = row; *p != '\r'; p++)
		cells += *p == ',';
	assert_int_equal(heads, cells);
	assert_has(row, "\"two CNNs on one machine\",\"'=cmd\",\"models/resnet50.onnx\"");
	ps_strbuf_fini(&csv);
	ps_report_fini(&a);
	free_campaign(&m);
}

/* What was written through the store says the same as what was not. */
static void test_through_the_store(void **state)
{
	char path[] = "/tmp/test_report_XXXXXX";
	struct ps_store_campaign *c;
	struct ps_report_answer a, b;
	struct ps_error err;
	struct ps_store *s;
	struct made m;

	(void)state;
	assert_true(close(mkstemp(path)) == 0);
	make_campaign(&m, 1.25, 0.05, 400, 1.3);
	build(&m, &a);
	if (write_store(&m, path, &err) != PS_OK)
		fail_msg("%s: %s", err.where, err.what);
	assert_int_equal(ps_store_open(path, PS_STORE_READ, &s, &err), PS_OK);
	assert_int_equal(ps_store_campaign_read(s, 0, &c, &err), PS_OK);
	assert_int_equal(ps_report_build(c, &b, &err), PS_OK);
	json_t *x = ps_report_json(&a, true), *y = ps_report_json(&b, true);
	json_object_set_new(x, "id", json_null());
	json_object_set_new(y, "id", json_null());
	assert_true(json_equal(x, y));
	json_decref(x);
	json_decref(y);
	ps_report_fini(&a);
	ps_report_fini(&b);
	ps_store_campaign_free(c);
	ps_store_close(s);
	free_campaign(&m);
	unlink(path);
}

/* `test_report --write PATH` leaves a store behind, for the end-to-end tests of the page; with
 * "slower" one in which the two tenants hinder each other more, with "open" one whose first search
 * was not bounded from above, and that of both on no side, with "lost" one in which most requests
 * of a trial had no answer. */
static int write_only(const char *path, const char *kind)
{
	bool slower = strcmp(kind, "slower") == 0;
	struct ps_error err;
	struct made m;

	make_campaign(&m, slower ? 0.85 : 1.18, 0.06, 90, slower ? 4 : 1.4);
	struct ps_store_trial *t = (struct ps_store_trial *)m.cells[5].trials;
	((struct ps_store_result *)t->results)[0].valid = t->valid = false;
	((struct ps_store_result *)t->results)[0].reasons =
		"unsteady-rising: latency rose by 50 ms over the run";
	m.campaign.slice_memory_bytes = INT64_C(8) << 30;
	if (strcmp(kind, "lost") == 0) /* the first trial of both: half never got an answer */
		make_result(&m, (struct ps_store_result *)m.cells[5].trials->results, 0, 40, 50, 22,
			    8);
	if (strcmp(kind, "open") == 0) {
		m.cells[0].capacity.method_json = "{\"steps\":4,\"open_above\":true}";
		m.cells[2].capacity.method_json = "{\"open_below\":true,\"open_above\":true}";
	}
	enum ps_status st = write_store(&m, path, &err);
	if (st != PS_OK)
		fprintf(stderr, "%s: %s\n", err.where, err.what);
	free_campaign(&m);
	return st != PS_OK;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_they_fit),
		cmocka_unit_test(test_they_do_not_fit),
		cmocka_unit_test(test_undecided),
		cmocka_unit_test(test_undecided_and_over),
		cmocka_unit_test(test_invalid_trials),
		cmocka_unit_test(test_lost_requests),
		cmocka_unit_test(test_infinite_slowdown),
		cmocka_unit_test(test_slowdown),
		cmocka_unit_test(test_confirmed),
		cmocka_unit_test(test_unfinished),
		cmocka_unit_test(test_corrupt),
		cmocka_unit_test(test_text_fits),
		cmocka_unit_test(test_page_escapes),
		cmocka_unit_test(test_other_percentile),
		cmocka_unit_test(test_csv),
		cmocka_unit_test(test_through_the_store),
	};

	if (argc >= 3 && strcmp(argv[1], "--write") == 0)
		return write_only(argv[2], argc == 4 ? argv[3] : "");
	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
