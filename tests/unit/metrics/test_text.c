/* Prometheus text: what is written reads back, and what breaks the rules is refused with its line.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "metrics/metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct ps_metrics_family families[] = {
	{"perseus_things_total", PS_METRICS_COUNTER, "Things \\ counted,\nover two lines."},
	{"perseus_level", PS_METRICS_GAUGE, "A level."},
	{"perseus_wait_seconds", PS_METRICS_HISTOGRAM, "Waits."},
	{0},
};

static void write_page(struct ps_strbuf *out, const struct ps_metrics_hist *h)
{
	struct ps_metrics_writer w = {.out = out};
	const struct ps_metrics_label a[] = {{"tenant", "a\"b\\c\nd"}, {"model", "m"}};
	const struct ps_metrics_label b[] = {{"tenant", "other"}, {"model", "m"}};
	ps_metrics_begin(&w, &families[0]);
	ps_metrics_int(&w, a, 2, 9007199254740993);
	ps_metrics_int(&w, b, 2, 0);
	ps_metrics_begin(&w, &families[1]);
	ps_metrics_real(&w, NULL, 0, 0.1);
	ps_metrics_begin(&w, &families[2]);
	ps_metrics_hist(&w, a, 2, h);
	ps_metrics_hist(&w, b, 2, h);
}

static void test_round_trip(void **state)
{
	struct ps_metrics_hist h = {0};
	struct ps_metrics_page *page;
	struct ps_strbuf out;
	struct ps_error err;
	size_t n;
	(void)state;
	ps_metrics_hist_record(&h, 100000);	 /* 100 us: the first bucket includes its bound */
	ps_metrics_hist_record(&h, 100001);	 /* the second */
	ps_metrics_hist_record(&h, -5);		 /* counts as 0 */
	ps_metrics_hist_record(&h, 70000000000); /* beyond 60 s */
	ps_strbuf_init(&out);
	write_page(&out, &h);
	assert_int_equal(ps_strbuf_status(&out), PS_OK);
	if (ps_metrics_read(out.data, out.len, &page, &err) != PS_OK)
		fail_msg("%s: %s", err.where, err.what);
	const struct ps_metrics_sample *s = ps_metrics_page_samples(page, &n);
	assert_int_equal(n, 2 + 1 + 2 * (PS_METRICS_BOUNDS + 3));
	assert_string_equal(ps_metrics_sample_label(&s[0], "tenant"), "a\"b\\c\nd");
	assert_int_equal(s[0].type, PS_METRICS_COUNTER);
	assert_non_null(strstr(out.data, "} 9007199254740993\n"));
	assert_non_null(strstr(out.data, "Things \\\\ counted,\\nover"));
	assert_true(ps_metrics_page_find(page, "perseus_level", NULL, 0)->value == 0.1);
	const struct ps_metrics_label first[] = {{"le", "0.0001"}, {"tenant", "other"}};
	assert_true(ps_metrics_page_find(page, "perseus_wait_seconds_bucket", first, 2)->value ==
		    2);
	const struct ps_metrics_label second[] = {{"le", "0.00025"}};
	assert_true(ps_metrics_page_find(page, "perseus_wait_seconds_bucket", second, 1)->value ==
		    3);
	const struct ps_metrics_label last[] = {{"le", "60"}};
	assert_true(ps_metrics_page_find(page, "perseus_wait_seconds_bucket", last, 1)->value == 3);
	assert_true(ps_metrics_page_find(page, "perseus_wait_seconds_count", NULL, 0)->value == 4);
	double sum = ps_metrics_page_find(page, "perseus_wait_seconds_sum", NULL, 0)->value;
	assert_true(fabs(sum - 70.000200001) < 1e-9);
	assert_null(ps_metrics_page_find(page, "perseus_level", first, 1));
	ps_metrics_page_free(page);
	ps_strbuf_fini(&out);
}

struct bad_row {
	const char *text;
	int line; /* 0: it is fine */
};

static const struct bad_row bad_rows[] = {
	{"", 0},
	{"a 1\n", 0},
	{"  a\t1 1700000000000\n\n# a comment\n#\n", 0},
	{"a{} 1\na{x=\"1\",} 2\n", 0},
	{"a +Inf\nb -Inf\nc NaN\nd 1e-9\n", 0},
	{"a 1", 1},
	{"a\n", 1},
	{"1a 1\n", 1},
	{"a 0x10\n", 1},
	{"a 1 2 3\n", 1},
	{"a 1\na 2\n", 2},
	{"a{x=\"1\"} 1\na{x=\"1\"} 1\n", 2},
	{"a{x=\"1\"} 1\na{x=\"2\"} 1\n", 0},
	{"a{x=\"1\",x=\"2\"} 1\n", 1},
	{"a{x=1} 1\n", 1},
	{"a{x=\"1} 1\n", 1},
	{"a{x=\"\\q\"} 1\n", 1},
	{"a{=\"1\"} 1\n", 1},
	{"a{x=\"1\" y=\"1\"} 1\n", 1},
	{"a 1\nb 1\na{x=\"1\"} 1\n", 3},
	{"# TYPE a counter\n# TYPE a counter\na 1\n", 2},
	{"# HELP a x\n# HELP a x\na 1\n", 2},
	{"# TYPE a thing\n", 1},
	{"a 1\n# TYPE a counter\n", 2},
	{"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n",
	 0},
	{"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 3\nh_count 1\n", 2},
	{"# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n",
	 3},
	{"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 3\n",
	 3},
	{"# TYPE h histogram\nh_bucket{le=\"2\"} 1\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\n"
	 "h_sum 3\nh_count 2\n",
	 3},
};

static void test_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof bad_rows / sizeof *bad_rows; i++) {
		const struct bad_row *row = &bad_rows[i];
		struct ps_metrics_page *page = NULL;
		struct ps_error err = {0};
		char where[32];
		enum ps_status status = ps_metrics_read(row->text, strlen(row->text), &page, &err);
		if (status != (row->line ? PS_EPARSE : PS_OK))
			fail_msg("row %zu: %s: %s", i, row->text, err.what);
		snprintf(where, sizeof where, "line %d", row->line);
		if (row->line && strcmp(err.where, where) != 0)
			fail_msg("row %zu: %s: %s instead of %s", i, err.what, err.where, where);
		if (status == PS_OK)
			ps_metrics_page_free(page);
	}
}

static void test_families(void **state)
{
	static const struct ps_metrics_family bad[][3] = {
		{{"a-b", PS_METRICS_GAUGE, "x"}, {0}},
		{{"1a", PS_METRICS_GAUGE, "x"}, {0}},
		{{"a", PS_METRICS_GAUGE, ""}, {0}},
		{{"a", PS_METRICS_COUNTER, "x"}, {0}},
		{{"a_total", PS_METRICS_GAUGE, "x"}, {0}},
		{{"a", PS_METRICS_GAUGE, "x"}, {"a", PS_METRICS_GAUGE, "x"}, {0}},
	};
	struct ps_error err;
	(void)state;
	assert_int_equal(ps_metrics_check_families(families, &err), PS_OK);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(ps_metrics_check_families(bad[i], &err), PS_EINTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_families),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
