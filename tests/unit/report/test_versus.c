// needs: store
/* Two answers beside each other: savings and costs, and all forms of them. */
#include "report/versus.h"
#include "report/agree_internal.h"
#include "unit/report/campaign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct ps_report_agree_row *row(const struct ps_report_agreement *g, const char *what)
{
	for (size_t i = 0; i < g->row_len; i++)
		if (strcmp(g->rows[i].what, what) == 0)
			return &g->rows[i];
	return NULL;
}

struct two {
	struct made a, b;
	struct ps_report_answer x, y;
	struct ps_report_agreement g;
};

/* The second has another capacity together, and another price. */
static void setup(struct two *t, double factor, double usd)
{
	struct ps_error err;

	make_campaign(&t->a, 1.25, 0.02, 400, 1.3);
	make_campaign(&t->b, factor, 0.02, 400, 1.3);
	t->b.campaign.price.usd_per_hour = usd;
	assert_int_equal(ps_report_build(&t->a.campaign, &t->x, &err), PS_OK);
	assert_int_equal(ps_report_build(&t->b.campaign, &t->y, &err), PS_OK);
	assert_int_equal(ps_report_agree(&t->a.campaign, &t->b.campaign, &t->g, &err), PS_OK);
	assert_int_equal(ps_report_agree_answers(&t->g, &t->x, &t->y, &err), PS_OK);
}

static void teardown(struct two *t)
{
	ps_report_agree_free(&t->g);
	ps_report_fini(&t->x);
	ps_report_fini(&t->y);
	free_campaign(&t->a);
	free_campaign(&t->b);
}

/* Half the capacity together doubles the machine time together; twice the price doubles costs of
 * those alone. What follows from other rows does not count in the agreement. */
static void test_savings_and_costs(void **state)
{
	static const struct {
		double factor, usd, machine_time, cost;
	} rows[] = {{1.25, 0.085, 1, 0}, {0.625, 0.085, 0.5, 0}, {1.25, 0.17, 1, 0.5}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct two t;
		setup(&t, rows[i].factor, rows[i].usd);
		const struct ps_report_agree_row *r =
			row(&t.g, "machine time together per apart, together");
		assert_non_null(r);
		assert_false(r->counted);
		assert_float_equal(r->v.value, rows[i].machine_time, 1e-9);
		assert_int_equal(r->difference == PS_REPORT_REAL, rows[i].machine_time != 1);
		r = row(&t.g, "$ per million of resnet50, alone:resnet50");
		assert_int_equal(r != NULL, rows[i].cost > 0);
		if (r) {
			assert_float_equal(r->v.value, rows[i].cost, 1e-9);
			assert_int_equal(r->difference, PS_REPORT_REAL);
			assert_false(r->counted);
		}
		teardown(&t);
	}
}

/* All tables stand in the terminal and in Markdown. */
static void test_forms(void **state)
{
	struct two t;
	struct ps_strbuf text, md;

	(void)state;
	setup(&t, 0.625, 0.085);
	t.b.campaign.manifest_json = "{\"perseus\": \"0.2.0 of a day on which much was changed, "
				     "and so were many words in "
				     "this very long text\", \"cpu\": \"a <fine> CPU\"}";
	ps_strbuf_init(&text);
	ps_strbuf_init(&md);
	ps_report_versus_text(&t.x, &t.y, &t.g, 80, &text);
	ps_report_versus_markdown(&t.x, &t.y, &t.g, &md);
	for (int i = 0; i < 2; i++) {
		const char *s = i ? md.data : text.data;
		assert_non_null(strstr(s, "Which campaigns"));
		assert_non_null(strstr(s, "Figures that both measured"));
		assert_non_null(strstr(s, "Side by side"));
		assert_non_null(strstr(s, "capacity, search/together"));
		assert_non_null(strstr(s, "derived"));
		assert_non_null(strstr(s, "Where the manifests differ"));
		assert_non_null(strstr(s, "0.2.0 of a day"));
	}
	for (const char *p = text.data; *p; p = strchr(p, '\n') + 1)
		if (strchr(p, '\n') - p > 80)
			fail_msg("a line of %zd columns: %.100s", strchr(p, '\n') - p, p);
	ps_strbuf_fini(&text);
	ps_strbuf_fini(&md);
	teardown(&t);
}

/* A capacity that a fresh trial lowered stands at its lower end: quotients go by the middles, and
 * their intervals hold them. */
static void test_lowered(void **state)
{
	static const struct {
		struct ps_stats_interval x, y;
		double value, lo, hi;
	} rows[] = {
		{{2, 1, 4, 0.95, true}, {2, 1, 4, 0.95, true}, 1, 0.37521, 2.66514},
		{{1, 1, 4, 0.95, true}, {2, 1, 4, 0.95, true}, 0.5, 0.37521, 2.66514},
		{{1, 1, 4, 0.95, true}, {3, 3, 3, 0.95, true}, 1.0 / 3, 1.0 / 3, 4.0 / 3},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ps_stats_interval q = ps_report_agree_quotient(&rows[i].x, &rows[i].y);
		assert_float_equal(q.value, rows[i].value, 1e-12);
		assert_float_equal(q.lo, rows[i].lo, 1e-4);
		assert_float_equal(q.hi, rows[i].hi, 1e-4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_savings_and_costs),
					   cmocka_unit_test(test_lowered),
					   cmocka_unit_test(test_forms)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
