/* What a campaign's tenants used, for a bill; and the tables of costs. */
#include "report/costs.h"
#include "unit/report/campaign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define assert_near(a, b, eps) assert_true(fabs((a) - (b)) <= (eps))

static const char models[] =
	"{\"models\":["
	"{\"tenant\":\"resnet50\",\"name\":\"r\",\"version\":\"1\",\"private_bytes\":100,"
	"\"mapped_bytes\":900},"
	"{\"tenant\":\"inception-v3\",\"name\":\"r\",\"version\":\"1\",\"private_bytes\":100,"
	"\"mapped_bytes\":900},"
	"{\"tenant\":\"inception-v3\",\"name\":\"i\",\"version\":\"1\",\"private_bytes\":1000,"
	"\"mapped_bytes\":0}]}";

/* Of resnet50: two models, one of which was there before; and one that only looks like it. */
static const struct ps_store_scrape counters[] = {
	{"perseus_compute_seconds_total{tenant=\"resnet50\",model=\"r\",version=\"1\"}", 2, 6},
	{"perseus_compute_seconds_total{tenant=\"resnet50\",model=\"s\",version=\"1\"}", NAN, 1},
	{"perseus_compute_seconds_total{tenant=\"a\",of_tenant=\"resnet50\"}", 0, 100},
	{"perseus_requests_total{tenant=\"resnet50\",model=\"r\",version=\"1\"}", 0, 100},
	{"perseus_compute_seconds_total{tenant=\"inception-v3\",model=\"i\",version=\"1\"}", 0, 3},
};

/* The first reading failed: what was counted before the trial cannot be told apart. */
static const struct ps_store_scrape late_counters[] = {
	{"perseus_compute_seconds_total{tenant=\"resnet50\",model=\"r\",version=\"1\"}", NAN, 6},
	{"perseus_requests_total{tenant=\"resnet50\",model=\"r\",version=\"1\"}", NAN, 100},
	{"perseus_compute_seconds_total{tenant=\"inception-v3\",model=\"i\",version=\"1\"}", NAN,
	 3},
};

static bool is_together(const struct ps_store_cell *cell)
{
	return cell->set == 2 && cell->kind == PS_STORE_CONFIRM;
}

static void add_facts(struct made *m, const char *server_json,
		      const struct ps_store_scrape *scrapes, size_t scrape_len)
{
	for (size_t i = 0; i < m->cell_len; i++) {
		if (!is_together(&m->cells[i]))
			continue;
		struct ps_store_trial *t = (struct ps_store_trial *)m->cells[i].trials;
		m->cells[i].server_json = server_json;
		t->scrapes = scrapes;
		t->scrape_len = scrape_len;
	}
}

static void build(const struct made *m, struct ps_report_answer *a)
{
	struct ps_error err;

	if (ps_report_build(&m->campaign, a, &err) != PS_OK)
		fail_msg("%s: %s", err.where, err.what);
}

static void test_use(void **state)
{
	(void)state;
	static const struct {
		const char *server_json;
		const struct ps_store_scrape *scrapes;
		size_t scrape_len;
		int64_t measured_s, compute_s[2], resident[2];
		bool has_memory, counted;
	} rows[] = {
		/* four trials of 1 s of warm-up and 8 s: 5 s and 3 s each, by the counters */
		{models, counters, 5, 36, {20, 12}, {500 * 36, 1500 * 36}, true, true},
		/* one tenant is not counted: it computed nothing */
		{models, counters, 4, 36, {20, 0}, {500 * 36, 1500 * 36}, true, true},
		/* nothing is: as stated with 400 and 200 answers of 50 and 75 ms */
		{models, NULL, 0, 32, {80, 60}, {500 * 32, 1500 * 32}, true, false},
		{models, late_counters, 3, 32, {80, 60}, {500 * 32, 1500 * 32}, true, false},
		{NULL, counters, 5, 36, {20, 12}, {0, 0}, false, true},
		{"{\"models\":[{\"name\":\"r\",\"private_bytes\":5}]}",
		 counters,
		 5,
		 36,
		 {20, 12},
		 {0, 0},
		 false,
		 true},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_cost_bill_row use[2];
		struct ps_report_answer a;
		struct ps_report_use of;
		struct made m;
		make_campaign(&m, 1.25, 0.05, 400, 1.3);
		add_facts(&m, rows[i].server_json, rows[i].scrapes, rows[i].scrape_len);
		build(&m, &a);
		assert_int_equal(ps_report_bill_use(&a, 2, use, &of, NULL), PS_OK);
		assert_int_equal(of.measured_ns, rows[i].measured_s * 1000000000);
		assert_int_equal(of.has_memory, rows[i].has_memory);
		assert_int_equal(of.counted, rows[i].counted ? 4 : 0);
		assert_int_equal(of.stated, rows[i].counted ? 0 : 4);
		for (int k = 0; k < 2; k++) {
			assert_near((double)use[k].compute_ns / 1e9, (double)rows[i].compute_s[k],
				    1e-3);
			assert_int_equal(use[k].resident_byte_s, rows[i].resident[k]);
			assert_int_equal(use[k].requests, 1600 / (k + 1));
		}
		assert_string_equal(use[1].tenant, "inception-v3");
		ps_report_fini(&a);
		free_campaign(&m);
	}
}

/* What a damaged file may say of sizes and times. */
static void test_impossible_use(void **state)
{
	(void)state;
	static const struct {
		const char *server_json;
		int64_t duration_ns;
		enum ps_status status;
	} rows[] = {
		{models, INT64_C(8000000000), PS_OK},
		{"{\"models\":[{\"tenant\":\"resnet50\",\"name\":\"r\",\"private_bytes\":"
		 "9223372036854775807,\"mapped_bytes\":9223372036854775807}]}",
		 INT64_C(8000000000), PS_ECORRUPT},
		{"{\"models\":[{\"tenant\":\"resnet50\",\"name\":\"r\",\"private_bytes\":-1}]}",
		 INT64_C(8000000000), PS_ECORRUPT},
		{models, INT64_MAX - 1, PS_ECORRUPT},
		{models, -2, PS_ECORRUPT},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_cost_bill_row use[2];
		struct ps_report_answer a;
		struct ps_report_use of;
		struct ps_error err = {0};
		struct made m;
		make_campaign(&m, 1.25, 0.05, 400, 1.3);
		add_facts(&m, rows[i].server_json, NULL, 0);
		for (size_t k = 0; k < m.cell_len; k++)
			if (is_together(&m.cells[k]))
				((struct ps_store_trial *)m.cells[k].trials)->duration_ns =
					rows[i].duration_ns;
		build(&m, &a);
		if (ps_report_bill_use(&a, 2, use, &of, &err) != rows[i].status)
			fail_msg("row %zu: %s", i, err.what);
		ps_report_fini(&a);
		free_campaign(&m);
	}
}

/* Trials that are not to be trusted are nobody's bill. */
static void test_no_use(void **state)
{
	(void)state;
	struct ps_cost_bill_row use[2];
	struct ps_report_answer a;
	struct ps_report_use of;
	struct ps_error err = {0};
	struct made m;

	make_campaign(&m, 1.25, 0.05, 400, 1.3);
	for (size_t i = 0; i < m.cell_len; i++)
		((struct ps_store_trial *)m.cells[i].trials)->valid = !is_together(&m.cells[i]);
	build(&m, &a);
	assert_int_equal(ps_report_bill_use(&a, 2, use, &of, &err), PS_ENOTFOUND);
	assert_string_equal(err.what, "set together has no VALID trial at the demand rates: "
				      "nothing to bill");
	assert_int_equal(ps_report_bill_use(&a, 0, use, &of, &err), PS_OK);
	ps_report_fini(&a);
	free_campaign(&m);
}

static const struct ps_report_value *cell(const struct ps_report_table *t, size_t row,
					  const char *key)
{
	for (int c = 0; c < t->column_len; c++)
		if (strcmp(t->columns[c].key, key) == 0)
			return &t->values[row * (size_t)t->column_len + (size_t)c];
	fail_msg("%s has no column %s", t->name, key);
	return NULL;
}

static void test_tables(void **state)
{
	(void)state;
	static const struct ps_report_machine machines[] = {{"small", 0.085}, {"large", 0.34}};
	static const double rates[] = {16, 8};
	struct ps_report_costs_question q = {.machines = machines, .machine_len = 2};
	struct ps_report_costs costs;
	struct ps_report_answer a;
	struct made m;

	make_campaign(&m, 1.25, 0.05, 400, 1.3);
	m.tenants[1].model = m.tenants[0].model; /* two tenants of one model */
	for (size_t i = 0; i < m.cell_len; i++)	 /* a mix of requests of one inference and of two */
		for (size_t k = 0; m.cells[i].set == 0 && k < m.cells[i].trial_len; k++)
			((struct ps_store_result *)m.cells[i].trials[k].results)->batch = 1.5;
	build(&m, &a);
	assert_int_equal(ps_report_costs_build(&a, &q, &costs, NULL), PS_OK);
	const struct ps_report_table *t = &costs.tables[PS_REPORT_COSTS_COSTS];
	/* alone: tenant, model; alone: the same; together: two tenants, one model, the set */
	assert_int_equal(t->row_len, 2 * (2 + 2 + 4));
	assert_string_equal(cell(t, 6, "of")->text, "model");
	assert_near(cell(t, 6, "inferences_per_s")->v.value, 15, 1e-9);
	assert_near(cell(t, 0, "inferences_per_s")->v.value, 24, 1e-9); /* 16 requests/s alone */
	/* 0.085 $/h over 15 a second; the set is the same */
	assert_near(cell(t, 6, "usd_per_million")->v.value, 0.085 / 54000 * 1e6, 1e-9);
	assert_near(cell(t, 7, "usd_per_million")->v.lo, 0.085 / 54000 / 1.05 * 1e6, 1e-9);
	assert_near(cell(t, 15, "usd_per_million")->v.value, 4 * 0.085 / 54000 * 1e6, 1e-9);
	t = &costs.tables[PS_REPORT_COSTS_SAVINGS];
	assert_string_equal(cell(t, 0, "evidence")->text, "held");
	assert_near(cell(t, 0, "machine_saving")->v.value, 0.5, 1e-9);
	q.rate_rps = rates; /* twice the demand */
	assert_int_equal(ps_report_costs_build(&a, &q, &costs, NULL), PS_OK);
	assert_string_equal(cell(t, 0, "evidence")->text, "capacity on this ray");
	assert_string_equal(cell(t, 0, "rates")->text, "16 + 8");
	assert_near(cell(t, 0, "machines_together")->v.value, 2, 1e-9); /* 2 / 1.25 = 1.6 */
	t = &costs.tables[PS_REPORT_COSTS_MONTHS];
	assert_near(cell(t, 1, "fluid_together_usd_per_month")->v.value, 1.6 * 0.34 * 730, 1e-9);
	assert_near(cell(t, 1, "together_usd_per_month")->v.value, 2 * 0.34 * 730, 1e-9);
	ps_report_fini(&a);
	free_campaign(&m);
}

/* Who does not say compute times has no costs by tenant; a set pays the whole machine all the
 * same. */
static void test_no_compute_times(void **state)
{
	(void)state;
	static const struct ps_report_machine machine = {"small", 0.085};
	struct ps_report_costs_question q = {.machines = &machine, .machine_len = 1};
	struct ps_report_costs costs;
	struct ps_report_answer a;
	struct made m;

	make_campaign(&m, 1.25, 0.05, 400, 1.3);
	for (size_t i = 0; i < m.cell_len; i++)
		for (size_t k = 0; m.cells[i].set == 2 && k < m.cells[i].trials->result_len; k++)
			((struct ps_store_result *)m.cells[i].trials->results)[k]
				.server_compute.len = 0;
	build(&m, &a);
	assert_int_equal(ps_report_costs_build(&a, &q, &costs, NULL), PS_OK);
	const struct ps_report_table *t = &costs.tables[PS_REPORT_COSTS_COSTS];
	bool any = false;
	for (size_t r = 0; r < t->row_len; r++) {
		bool set = strcmp(cell(t, r, "of")->text, "set") == 0;
		bool both = strcmp(cell(t, r, "set")->text, "together") == 0;
		assert_true(cell(t, r, "inferences_per_s")->v.value > 0);
		assert_int_equal(isnan(cell(t, r, "usd_per_million")->v.value), both && !set);
		if (set)
			assert_near(cell(t, r, "usd_per_million")->v.value, 0.085 / 54000 * 1e6,
				    1e-9);
		any = any || set;
	}
	assert_true(any);
	ps_report_fini(&a);
	free_campaign(&m);
}

/* Ends that no trial bounded are shown as open, not as found. */
static void test_open_ends(void **state)
{
	(void)state;
	static const struct ps_report_machine machine = {"small", 0.085};
	static const struct {
		const char *method;
		bool below, above;
	} rows[] = {
		{"{}", false, false},
		{"{\"open_above\":true}", false, true},
		{"{\"open_below\":true}", true, false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_report_costs_question q = {.machines = &machine, .machine_len = 1};
		struct ps_report_costs costs;
		struct ps_report_answer a;
		struct made m;
		make_campaign(&m, 1.25, 0.05, 400, 1.3);
		m.cells[2].capacity.method_json = rows[i].method; /* of the set of both */
		build(&m, &a);
		assert_int_equal(ps_report_costs_build(&a, &q, &costs, NULL), PS_OK);
		const struct ps_report_table *t = &costs.tables[PS_REPORT_COSTS_COSTS];
		for (size_t r = 0; r < t->row_len; r++) {
			bool both = strcmp(cell(t, r, "set")->text, "together") == 0;
			const struct ps_report_value *ips = cell(t, r, "inferences_per_s"),
						     *usd = cell(t, r, "usd_per_million");
			assert_int_equal(ips->open_below, both && rows[i].below);
			assert_int_equal(ips->open_above, both && rows[i].above);
			/* who can do more costs less */
			assert_int_equal(usd->open_above, both && rows[i].below);
			assert_int_equal(usd->open_below, both && rows[i].above);
		}
		const struct ps_report_line *l = a.lines;
		while (l->tenant != 0 || l->set != 2)
			l++;
		struct ps_stats_interval c = l->capacity_rps;
		assert_near(c.value, 10, 1e-9);
		assert_near(c.lo, rows[i].below ? 0 : 9.5, 1e-9);
		assert_true(rows[i].above ? isinf(c.hi) : fabs(c.hi - 10.5) < 1e-9);
		ps_report_fini(&a);
		free_campaign(&m);
	}
}

/* Neither are they sums and counts: machines apart are never none, and a saving whose other side
 * nobody knows has no end. Rates (40, 4) are more than one machine carries. */
static void test_open_savings(void **state)
{
	(void)state;
	static const double rates[] = {40, 4}, inf = INFINITY;
	static const struct {
		int cell; /* 0: resnet50 alone; 2: both together */
		const char *method;
		double apart[2], together[2], saving[2], fluid[2]; /* NAN: not of interest */
	} rows[] = {
		{2, "{}", {4, 4}, {3, 3}, {0.25, 0.25}, {NAN, NAN}},
		{2, "{\"open_above\":true}", {4, 4}, {1, 3}, {0.25, 0.75}, {NAN, 1}},
		{2, "{\"open_below\":true}", {4, 4}, {3, inf}, {-inf, 0.25}, {-inf, NAN}},
		{0, "{\"open_above\":true}", {2, 4}, {NAN, NAN}, {NAN, NAN}, {NAN, NAN}},
		/* trials at 8/s held: so much it carries; 40 / 6.9 with the ends widened */
		{0, "{\"open_below\":true}", {4, 7}, {NAN, NAN}, {NAN, NAN}, {NAN, NAN}},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_report_costs_question q = {.rate_rps = rates};
		struct ps_report_costs costs;
		struct ps_report_answer a;
		struct made m;
		make_campaign(&m, 1.25, 0.05, 400, 1.3);
		m.cells[rows[i].cell].capacity.method_json = rows[i].method;
		build(&m, &a);
		assert_int_equal(ps_report_costs_build(&a, &q, &costs, NULL), PS_OK);
		const struct ps_report_table *t = &costs.tables[PS_REPORT_COSTS_SAVINGS];
		const struct {
			const char *key;
			const double *want;
		} ends[] = {{"machines_apart", rows[i].apart},
			    {"machines_together", rows[i].together},
			    {"machine_saving", rows[i].saving},
			    {"fluid_saving", rows[i].fluid}};
		for (size_t k = 0; k < sizeof ends / sizeof ends[0]; k++) {
			const struct ps_stats_interval *v = &cell(t, 0, ends[k].key)->v;
			const double got[] = {v->lo, v->hi};
			for (int e = 0; e < 2; e++)
				if (!isnan(ends[k].want[e]) && got[e] != ends[k].want[e])
					fail_msg("row %zu, %s: %g and not %g", i, ends[k].key,
						 got[e], ends[k].want[e]);
		}
		ps_report_fini(&a);
		free_campaign(&m);
	}
}

/* Nowhere does an answer name the end of what the search was allowed to look at. */
static void test_open_words(void **state)
{
	(void)state;
	static const struct {
		const char *method, *sentence, *text, *tile;
	} rows[] = {
		{"{\"open_above\":true}", "95 % interval: at least ", ", open]",
		 "95 % interval: at least "},
		{"{\"open_below\":true}", "95 % interval: at most ", "[open, ",
		 "95 % interval: at most "},
		{"{\"open_below\":true,\"open_above\":true}", "bounded no capacity)",
		 "[open, open]", "the searches bounded no capacity"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_strbuf text, page;
		struct ps_report_answer a;
		struct made m;
		make_campaign(&m, 1.25, 0.05, 400, 1.3);
		m.cells[2].capacity.method_json = rows[i].method;
		build(&m, &a);
		ps_strbuf_init(&text);
		ps_strbuf_init(&page);
		ps_report_text(&a, 100, &text);
		assert_int_equal(ps_report_html(&a, &page, NULL), PS_OK);
		assert_non_null(strstr(a.comparisons[0].full_load_sentence, rows[i].sentence));
		assert_non_null(strstr(text.data, rows[i].text));
		*strstr(page.data, "<script type=") = '\0';
		assert_non_null(strstr(page.data, rows[i].tile));
		for (size_t k = 0; k < 2; k++) {
			const char *all = k ? page.data : text.data;
			assert_null(strstr(all, "[-inf"));
			assert_null(strstr(all, "infinite]"));
			assert_null(strstr(all, "[<"));
		}
		ps_strbuf_fini(&text);
		ps_strbuf_fini(&page);
		ps_report_fini(&a);
		free_campaign(&m);
	}
}

static void test_bad_rates(void **state)
{
	(void)state;
	static const double bad[][2] = {{-1, 1}, {NAN, 1}, {1, INFINITY}, {0, 0}};
	struct ps_report_costs_question q = {0};
	struct ps_report_costs costs;
	struct ps_report_answer a;
	struct made m;

	make_campaign(&m, 1.25, 0.05, 400, 1.3);
	build(&m, &a);
	for (size_t i = 0; i < 4; i++) {
		q.rate_rps = bad[i];
		assert_int_equal(ps_report_costs_build(&a, &q, &costs, NULL), PS_EINVAL);
	}
	ps_report_fini(&a);
	free_campaign(&m);
}

/* A quota of half a CPU is not the two vCPUs that it may run on. */
static void test_other_slice(void **state)
{
	(void)state;
	static const struct {
		const char *cpus, *want;
		double quota;
		int64_t memory;
	} rows[] = {
		{"0-1", NULL, 0, INT64_C(4) << 30},
		{"0-1",
		 "Price: the slice is not the instance it is priced as (c6i.large): 0.5 vCPU "
		 "against 2.",
		 0.5, INT64_C(4) << 30},
		{"",
		 "Price: there was no slice: whether what was measured is the instance it is "
		 "priced as (c6i.large) is not known.",
		 0, 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_report_answer a;
		struct made m;
		make_campaign(&m, 1.25, 0.05, 400, 1.3);
		m.campaign.slice_cpus = rows[i].cpus;
		m.campaign.slice_cpu_quota = rows[i].quota;
		m.campaign.slice_memory_bytes = rows[i].memory;
		build(&m, &a);
		assert_int_equal(a.warning_len, rows[i].want != NULL);
		if (rows[i].want)
			assert_string_equal(a.warnings[0], rows[i].want);
		ps_report_fini(&a);
		free_campaign(&m);
	}
}

/* The age of a price is judged by the day of the campaign, 2026-11-22. */
static void test_old_price(void **state)
{
	(void)state;
	static const struct {
		const char *date, *want;
	} rows[] = {
		{"2025-11-22", NULL},
		{"2025-11-21", "Price: the price of c6i.large is of 2025-11-21, over a year before "
			       "2026-11-22: look it up again."},
	};
	for (size_t i = 0; i < 2; i++) {
		struct ps_report_answer a;
		struct made m;
		make_campaign(&m, 1.25, 0.05, 400, 1.3);
		m.campaign.price.source_date = rows[i].date;
		build(&m, &a);
		assert_int_equal(a.warning_len, rows[i].want != NULL);
		if (rows[i].want)
			assert_string_equal(a.warnings[0], rows[i].want);
		ps_report_fini(&a);
		free_campaign(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_use),
		cmocka_unit_test(test_impossible_use),
		cmocka_unit_test(test_no_use),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_bad_rates),
		cmocka_unit_test(test_old_price),
		cmocka_unit_test(test_open_ends),
		cmocka_unit_test(test_open_savings),
		cmocka_unit_test(test_open_words),
		cmocka_unit_test(test_other_slice),
		cmocka_unit_test(test_no_compute_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
