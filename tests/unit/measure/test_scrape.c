/* What a server said of itself before and after a trial: paired by series, bounded, each once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "measure/measure_internal.h"
#include "metrics/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ps_metrics_page *page_of(const char *text)
{
	struct ps_metrics_page *page = NULL;
	struct ps_metrics_loss loss;
	assert_int_equal(ps_metrics_read_any(text, strlen(text), &page, &loss, NULL), PS_OK);
	return page;
}

static void test_pairs(void **state)
{
	static const char before[] = "a{x=\"1\"} 1\na{x=\"2\"} 5\nidle 0\ngone 3\n";
	/* in another order, with a bucket, something new, and one thing twice */
	static const char after[] = "h_bucket{le=\"1\"} 7\na{x=\"2\"} 8\na{x=\"1\"} 4\nidle 0\n"
				    "new{y=\"q\\\"\"} 2\nnan NaN\ntwice 6\ntwice 5\n";
	static const struct {
		const char *series;
		double before, after;
	} rows[] = {{"a{x=\"1\"}", 1, 4},
		    {"a{x=\"2\"}", 5, 8},
		    {"new{y=\"q\\\"\"}", NAN, 2},
		    {"twice", NAN, 5}};
	struct ps_metrics_page *b = page_of(before), *a = page_of(after);
	struct ps_store_trial t = {0};
	struct ps_arena arena;
	(void)state;
	ps_arena_init(&arena, 0);
	assert_int_equal(ps_measure_convert_scrapes(b, a, &arena, &t, NULL), PS_OK);
	assert_int_equal(t.scrape_len, sizeof(rows) / sizeof(rows[0]));
	for (size_t i = 0; i < t.scrape_len; i++) {
		assert_string_equal(t.scrapes[i].series, rows[i].series);
		assert_true(t.scrapes[i].after == rows[i].after);
		assert_true(isnan(rows[i].before) ? isnan(t.scrapes[i].before)
						  : t.scrapes[i].before == rows[i].before);
	}
	ps_metrics_page_free(a);
	ps_metrics_page_free(b);
	ps_arena_fini(&arena);
}

/* A page of very many series costs neither much time nor much room. */
static void test_many(void **state)
{
	size_t size = 1 << 22, at = 0;
	char *text = malloc(size);
	struct ps_store_trial t = {0};
	struct ps_arena arena;
	(void)state;
	assert_non_null(text);
	for (int i = 0; i < 60000; i++) {
		at += (size_t)snprintf(text + at, size - at, "m{i=\"%d\"} %d\n", i, i + 1);
	}
	struct ps_metrics_page *p = page_of(text);
	ps_arena_init(&arena, 0);
	assert_int_equal(ps_measure_convert_scrapes(p, p, &arena, &t, NULL), PS_OK);
	assert_int_equal(t.scrape_len, 2000);
	assert_true(t.scrapes[0].before == t.scrapes[0].after);
	ps_arena_fini(&arena);
	ps_metrics_page_free(p);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_pairs),
					   cmocka_unit_test(test_many)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
