/* The live view at several widths, byte for byte; and what the results say as text. */
#include "cli/load_live_text.c"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define MS  PS_NS_PER_MS
#define SEC PS_NS_PER_SEC

static const struct ps_load_progress_tenant two[] = {
	{.name = "resnet-batch-tenant",
	 .rate_rps = 99.84,
	 .goodput_rps = 98,
	 .p50_ns = 12300000,
	 .p99_ns = 45 * MS,
	 .lag_p99_ns = 88000,
	 .failed = 0},
	{.name = "b\033[2J",
	 .rate_rps = 12345.6,
	 .goodput_rps = 2.5e6,
	 .p50_ns = -1,
	 .p99_ns = PS_HIST_INFINITE,
	 .lag_p99_ns = -1,
	 .failed = 1234567},
};

static const struct ps_load_progress running = {.elapsed_ns = 10 * SEC,
						.total_ns = 40 * SEC,
						.in_flight = 12,
						.waiting = 3,
						.tenants = two,
						.tenant_len = 2};

static void expect(const struct ps_load_progress *p, int width, int height, bool color, int lines,
		   const char *want)
{
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	assert_int_equal(ps_cli_load_live_text(p, width, height, color, &out), lines);
	assert_string_equal(out.data, want);
	ps_strbuf_fini(&out);
}

static void eighty_columns(void **state)
{
	(void)state;
	expect(&running, 80, 24, false, 4,
	       "load: 30s left, 15 open, 3 waiting  "
	       "[##########..............................]\n"
	       "tenant               rate/s  good/s     p50     p99     lag  errors\n"
	       "resnet-batch-tenant    99.8    98.0 12.3 ms 45.0 ms 88.0 us       0\n"
	       "b?[2J                 12346   2.50M       -   never       -  1.235M\n");
}

static void forty_columns(void **state)
{
	(void)state;
	expect(&running, 40, 24, false, 4,
	       "load: 30s left, 15 open, 3 waiting\n"
	       "tenant   rate/s     p50     p99  errors\n"
	       "resnet-    99.8 12.3 ms 45.0 ms       0\n"
	       "b?[2J     12346       -   never  1.235M\n");
}

static void twenty_columns(void **state)
{
	(void)state;
	expect(&running, 20, 24, false, 4,
	       "load: 30s left, 15 \n"
	       "tenant       rate/s\n"
	       "resnet-batc    99.8\n"
	       "b?[2J         12346\n");
}

static void what_is_bad_is_red(void **state)
{
	(void)state;
	expect(&running, 40, 24, true, 4,
	       "load: 30s left, 15 open, 3 waiting\n"
	       "tenant   rate/s     p50     p99  errors\n"
	       "resnet-    99.8 12.3 ms 45.0 ms       0\n"
	       "b?[2J     12346       -\033[31m   never\033[0m\033[31m  1.235M\033[0m\n");
}

static void the_last_answers(void **state)
{
	static const struct {
		uint64_t in_flight, waiting;
		const char *said;
	} rows[] = {{12, 3, "load: waiting for the last 15 answers\n"},
		    {1, 0, "load: waiting for the last answer\n"},
		    {0, 1, "load: waiting for the last answer\n"},
		    {0, 0, "load: all answers are in\n"}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_progress p = running;
		char want[160];

		p.draining = true;
		p.tenant_len = 0;
		p.in_flight = rows[i].in_flight;
		p.waiting = rows[i].waiting;
		snprintf(want, sizeof(want), "%stenant   rate/s     p50     p99  errors\n",
			 rows[i].said);
		expect(&p, 40, 24, false, 2, want);
	}
}

static void tenants_that_do_not_fit_are_counted(void **state)
{
	struct ps_load_progress_tenant many[50];
	struct ps_load_progress p = running;
	struct ps_strbuf out;

	(void)state;
	for (int i = 0; i < 50; i++) {
		many[i] = two[0];
	}
	p.tenants = many;
	p.tenant_len = 50;
	for (int height = 1; height <= 60; height++) {
		int lines, found = 0;

		ps_strbuf_init(&out);
		lines = ps_cli_load_live_text(&p, 60, height, false, &out);
		for (const char *at = out.data; (at = strchr(at, '\n')); at++) {
			found++;
		}
		assert_int_equal(lines, found);
		assert_true(lines < height || height < 5);
		ps_strbuf_fini(&out);
	}
	ps_strbuf_init(&out);
	assert_int_equal(ps_cli_load_live_text(&p, 60, 10, false, &out), 9);
	assert_non_null(strstr(out.data, "\nand 44 more tenants\n"));
	ps_strbuf_fini(&out);
}

static void no_line_reaches_the_edge(void **state)
{
	(void)state;
	for (int width = 20; width <= 200; width++) {
		struct ps_strbuf out;

		ps_strbuf_init(&out);
		ps_cli_load_live_text(&running, width, 24, false, &out);
		for (const char *at = out.data; *at; at += strcspn(at, "\n") + 1) {
			assert_true(ps_conf_columns(at, strcspn(at, "\n")) < (size_t)width);
		}
		ps_strbuf_fini(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eighty_columns),
		cmocka_unit_test(forty_columns),
		cmocka_unit_test(twenty_columns),
		cmocka_unit_test(what_is_bad_is_red),
		cmocka_unit_test(the_last_answers),
		cmocka_unit_test(tenants_that_do_not_fit_are_counted),
		cmocka_unit_test(no_line_reaches_the_edge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
