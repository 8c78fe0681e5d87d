// needs: store
/* Numbers that cannot be, in every column of a store: refused with a reason, or reported as absent.
 * No answer shows a number that is none. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/json.h"
#include "report/costs.h"
#include "report/report.h"
#include "unit/report/campaign.h"

#include <ctype.h>
#include <sqlite3.h>
#include <stdio.h>

static char path[] = "/tmp/ps-odd-XXXXXX";
static char *original;
static size_t original_len;

struct column {
	char table[32], name[64];
	bool real;
};

enum { MAX_COLUMNS = 400 };
static struct column columns[MAX_COLUMNS];
static size_t column_len;

static int setup(void **state)
{
	(void)state;
	return make_store(path, &original, &original_len);
}

static int teardown(void **state)
{
	(void)state;
	free(original);
	return unlink(path);
}

/* Every column that holds numbers. */
static void find_columns(void)
{
	static const char sql[] =
		"SELECT t.name, c.name, c.type = 'REAL' FROM sqlite_master t,"
		" pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'"
		" AND c.type IN ('REAL', 'INTEGER')";
	sqlite3_stmt *q = NULL;
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
	while (sqlite3_step(q) == SQLITE_ROW) {
		struct column *c = &columns[column_len++];
		assert_true(column_len < MAX_COLUMNS);
		snprintf(c->table, sizeof c->table, "%s", sqlite3_column_text(q, 0));
		snprintf(c->name, sizeof c->name, "%s", sqlite3_column_text(q, 1));
		c->real = sqlite3_column_int(q, 2);
	}
	sqlite3_finalize(q);
	sqlite3_close(db);
}

/* False when the schema itself refuses it. */
static bool put(const struct column *c, const char *value)
{
	char sql[200];
	sqlite3 *db = NULL;
	FILE *f = fopen(path, "w"); /* as it was, and without waiting for the disk */
	assert_non_null(f);
	assert_int_equal(fwrite(original, 1, original_len, f), original_len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_exec(db, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
	snprintf(sql, sizeof sql, "UPDATE OR IGNORE %s SET %s = %s", c->table, c->name, value);
	bool ok = sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK && sqlite3_changes(db) > 0;
	sqlite3_close(db);
	return ok;
}

/* Whether "nan" stands somewhere as a word. */
static bool has_nan(const char *text)
{
	for (const char *p = text; (p = strcasestr(p, "nan")); p += 3)
		if ((p == text || !isalpha((unsigned char)p[-1])) && !isalpha((unsigned char)p[3]))
			return true;
	return false;
}

static const char *show(const struct ps_report_answer *a)
{
	struct ps_strbuf out;
	const char *wrong = NULL;
	ps_strbuf_init(&out);
	ps_report_text(a, 100, &out);
	ps_report_markdown(a, &out);
	ps_report_csv(a, &out);
	for (int i = 0; i < PS_REPORT_TABLES; i++)
		ps_report_table_csv(&a->tables[i], &out);
	if (has_nan(out.data))
		wrong = "text, Markdown or CSV";
	ps_strbuf_clear(&out);
	assert_int_equal(ps_report_html(a, &out, NULL), PS_OK);
	char *data = strstr(out.data, "<script type=\"application/json\"");
	char *end = strstr(data, "</script>");
	*end = '\0';
	if (has_nan(data) || strstr(data, "Infinity"))
		wrong = "the data of the page";
	*data = '\0';
	if (has_nan(out.data))
		wrong = "the page";
	ps_strbuf_fini(&out);
	json_t *o = ps_report_json(a, true);
	char *text = json_dumps(o, JSON_COMPACT);
	if (!text || has_nan(text))
		wrong = "JSON";
	free(text);
	json_decref(o);
	return wrong;
}

static const char *show_costs(struct ps_report_answer *a)
{
	static const struct ps_report_machine machine = {"small", 0.085};
	const struct ps_report_costs_question q = {.machines = &machine, .machine_len = 1};
	struct ps_cost_bill_row use[PS_STORE_MAX_TENANTS];
	struct ps_report_use of;
	struct ps_report_costs costs;
	struct ps_error err = {0};
	struct ps_strbuf out;
	if (ps_report_bill_use(a, 2, use, &of, &err) != PS_OK && !err.what[0])
		return "a bill is refused without a reason";
	if (ps_report_costs_build(a, &q, &costs, &err) != PS_OK)
		return err.what[0] ? NULL : "costs are refused without a reason";
	ps_strbuf_init(&out);
	for (int i = 0; i < PS_REPORT_COSTS_TABLES; i++) {
		ps_report_table_text(&costs.tables[i], 100, &out);
		ps_report_table_csv(&costs.tables[i], &out);
	}
	bool wrong = has_nan(out.data);
	ps_strbuf_fini(&out);
	return wrong ? "costs" : NULL;
}

/* What is wrong with the answer; NULL: it is refused with a reason, or sound. */
static const char *report(bool *ret_refused)
{
	struct ps_store_campaign *c = NULL;
	struct ps_report_answer a;
	struct ps_store *s = NULL;
	struct ps_error err = {0};
	const char *wrong = NULL;
	enum ps_status st = ps_store_open(path, PS_STORE_READ, &s, &err);
	if (st == PS_OK)
		st = ps_store_campaign_read(s, 0, &c, &err);
	ps_store_close(s);
	if (st == PS_OK)
		st = ps_report_build(c, &a, &err);
	*ret_refused = st != PS_OK;
	if (st != PS_OK)
		wrong = err.what[0] ? NULL : "refused without a reason";
	if (st == PS_OK) {
		wrong = show(&a);
		if (!wrong)
			wrong = show_costs(&a);
		ps_report_fini(&a);
	}
	ps_store_campaign_free(c);
	return wrong;
}

static void test_every_column(void **state)
{
	static const char *const reals[] = {"NULL", "9e999", "-9e999", "-1", "1e308"};
	static const char *const integers[] = {"NULL", "-1", "9223372036854775807",
					       "-9223372036854775808"};
	int refused = 0, taken = 0, wrong = 0;
	(void)state;
	find_columns();
	assert_true(column_len > 80);
	for (size_t i = 0; i < column_len; i++) {
		const struct column *c = &columns[i];
		size_t n =
			c->real ? sizeof reals / sizeof *reals : sizeof integers / sizeof *integers;
		for (size_t k = 0; k < n; k++) {
			const char *value = c->real ? reals[k] : integers[k];
			bool no = false;
			if (!put(c, value))
				continue;
			const char *why = report(&no);
			refused += no;
			taken += !no;
			wrong += why != NULL;
			if (why)
				print_error("%s.%s = %s: %s\n", c->table, c->name, value, why);
		}
	}
	assert_int_equal(wrong, 0);
	assert_true(refused > 10);
	assert_true(taken > 10);
}

/* What would make a wrong sum without a word is refused, and named. */
static void test_refused(void **state)
{
	static const struct {
		struct column column;
		const char *value, *why;
	} rows[] = {
		{{"campaign", "price_usd_per_hour", true}, "0", "price is not over 0"},
		{{"campaign", "price_usd_per_hour", true}, "-0.1", "price is not over 0"},
		{{"campaign", "price_usd_per_hour", true}, "NULL", "price is not over 0"},
		{{"campaign", "price_usd_per_hour", true}, "9e999", "price is not over 0"},
		{{"campaign", "price_spot_usd_per_hour", true}, "-0.1", "price is not over 0"},
		{{"tenant", "demand_rps", true}, "-1", "demand is no rate"},
		{{"tenant", "demand_rps", true}, "NULL", "demand is no rate"},
		{{"tenant", "demand_rps", true}, "9e999", "demand is no rate"},
		{{"tenant", "demand_rps", true}, "1e13", "demand is no rate"},
		{{"tenant", "sla_percentile", true}, "NULL", "SLA is no agreement"},
		{{"tenant", "sla_percentile", true}, "1.5", "SLA is no agreement"},
		{{"tenant", "sla_min_success", true}, "-0.1", "SLA is no agreement"},
		{{"tenant", "sla_limit_ns", false}, "-1", "SLA is no agreement"},
		{{"capacity", "factor", true}, "-1", "capacity that is no number"},
		{{"capacity", "factor", true}, "1e13", "capacity that is no number"},
		{{"capacity", "factor", true}, "9e999", "capacity that is no number"},
		{{"capacity", "factor_low", true}, "-1", "capacity that is no number"},
		{{"capacity_ray", "rps", true}, "-1", "ray of no rates"},
		{{"capacity_ray", "rps", true}, "9e999", "ray of no rates"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ps_store_campaign *c = NULL;
		struct ps_store *s = NULL;
		struct ps_error err = {0};
		assert_true(put(&rows[i].column, rows[i].value));
		assert_int_equal(ps_store_open(path, PS_STORE_READ, &s, &err), PS_OK);
		if (ps_store_campaign_read(s, 0, &c, &err) != PS_ECORRUPT ||
		    !strstr(err.what, rows[i].why))
			fail_msg("row %zu: %s", i, err.what);
		ps_store_close(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_column),
					   cmocka_unit_test(test_refused)};
	return cmocka_run_group_tests(tests, setup, teardown);
}
