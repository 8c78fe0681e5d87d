/* Price sheets: currencies, billing, age, buying; and the sheets that are shipped, held against a
 * copy of the facts (prices.csv beside this file). */
#include "base/file.h"
#include "cost/cost.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void expect_near(double got, double want)
{
	if (!(fabs(got - want) <= 1e-12 * fmax(1, fabs(want))))
		fail_msg("got %.17g, want %.17g", got, want);
}

/* ---- currencies ---- */

#define ROW(prices)                                                                                \
	"prices:\n  - provider: p\n    instance_type: m\n    source: s\n"                          \
	"    source_date: 2026-01-31\n" prices
#define EURO                                                                                       \
	"exchange_rates:\n  - {currency: EUR, usd: 1.25, source: a bank, source_date: "            \
	"2026-01-30}\n"

static void test_currencies(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		double on_demand, spot, reserved; /* in dollars; 0: not stated */
		const char *where, *what, *hint;  /* else: refused so */
	} rows[] = {
		{ROW("    on_demand_usd_per_hour: 2\n"), 2, 0, 0, NULL, NULL, NULL},
		{ROW("    on_demand_per_hour: 2\n    spot_per_hour: 0.5\n"), 2, 0.5, 0, NULL, NULL,
		 NULL},
		{"currency: EUR\n" EURO ROW("    on_demand_per_hour: 2\n    spot_per_hour: 0.4\n"
					    "    reserved_1y_per_hour: 1.2\n"),
		 2.5, 0.5, 1.5, NULL, NULL, NULL},
		{EURO ROW("    on_demand_per_hour: 2\n    currency: EUR\n"), 2.5, 0, 0, NULL, NULL,
		 NULL},
		/* the row's currency, not the sheet's */
		{"currency: EUR\n" ROW("    on_demand_usd_per_hour: 2\n    currency: USD\n"), 2, 0,
		 0, NULL, NULL, NULL},
		{"currency: EUR\n" ROW("    on_demand_per_hour: 2\n"), 0, 0, 0, "s.yaml:3:currency",
		 "the price is in EUR, and the sheet states no exchange rate",
		 "add to the sheet: exchange_rates: [{currency: EUR, usd: DOLLARS FOR ONE EUR, "
		 "source: WHERE YOU READ IT, source_date: YYYY-MM-DD}]"},
		{EURO ROW("    on_demand_per_hour: 2\n    currency: CHF\n"), 0, 0, 0,
		 "s.yaml:4:currency", "the price is in CHF, and the sheet states no exchange rate",
		 NULL},
		{ROW("    on_demand_per_hour: 2\n    currency: euros\n"), 0, 0, 0,
		 "s.yaml:2:currency", "'euros' is no currency",
		 "write its three capital letters, such as USD or EUR"},
		{"currency: usd\n" ROW("    on_demand_per_hour: 2\n"), 0, 0, 0, "s.yaml:1:currency",
		 "'usd' is no currency", NULL},
		{EURO ROW("    on_demand_usd_per_hour: 2\n    currency: EUR\n"), 0, 0, 0,
		 "s.yaml:4:on_demand_per_hour",
		 "the row is in another currency and this price in dollars: leave _usd out of the "
		 "key, or the currency away",
		 NULL},
		{ROW("    on_demand_usd_per_hour: 2\n    on_demand_per_hour: 2\n"), 0, 0, 0,
		 "s.yaml:2:on_demand_per_hour", "the price is stated twice: in dollars and without",
		 NULL},
		{ROW("    spot_usd_per_hour: 2\n"), 0, 0, 0, "s.yaml:2:on_demand_usd_per_hour",
		 "the key is missing in the price", NULL},
		{"exchange_rates:\n  - {currency: USD, usd: 1, source: s, source_date: "
		 "2026-01-30}\n" ROW("    on_demand_per_hour: 2\n"),
		 0, 0, 0, "s.yaml:2:currency", "a dollar is a dollar: USD has no exchange rate",
		 NULL},
		{"exchange_rates:\n  - {currency: EUR, usd: 1, source: s, source_date: "
		 "2026-01-30}\n"
		 "  - {currency: EUR, usd: 2, source: s, source_date: 2026-01-30}\n" ROW(
			 "    on_demand_per_hour: 2\n"),
		 0, 0, 0, "s.yaml:3:currency", "this currency has two exchange rates", NULL},
		{"exchange_rates:\n  - {currency: EUR, usd: 1, source: s, source_date: "
		 "lately}\n" ROW("    on_demand_per_hour: 2\n"),
		 0, 0, 0, "s.yaml:2:source_date", "a source's date is written YYYY-MM-DD", NULL},
		{"exchange_rates:\n  - {currency: JPY, usd: 100, source: s, "
		 "source_date: 2026-01-30}\n" ROW(
			 "    on_demand_per_hour: 200\n    currency: JPY\n"),
		 0, 0, 0, "s.yaml:4:on_demand_per_hour", "over 10000 dollars an hour", NULL},
		{"exchange_rates:\n  - {currency: JPY, usd: 0.000001, source: s, "
		 "source_date: 2026-01-30}\n" ROW(
			 "    on_demand_per_hour: 0.5\n    currency: JPY\n"),
		 0, 0, 0, "s.yaml:4:on_demand_per_hour", "under 0.000001 dollars an hour", NULL},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ps_cost_sheet sheet = {0};
		struct ps_error err = {0};
		enum ps_status st = ps_cost_sheet_parse(rows[i].text, strlen(rows[i].text),
							"s.yaml", &sheet, &err);
		if (!rows[i].what) {
			if (st != PS_OK)
				fail_msg("sheet %zu: %s: %s", i, err.where, err.what);
			const struct ps_cost_price *p = sheet.prices.items;
			expect_near(p->on_demand_usd_per_hour, rows[i].on_demand);
			expect_near(p->spot_usd_per_hour, rows[i].spot);
			expect_near(p->reserved_1y_usd_per_hour, rows[i].reserved);
			ps_cost_sheet_free(&sheet);
			continue;
		}
		if (st != PS_EPARSE || strcmp(err.what, rows[i].what) != 0 ||
		    strcmp(err.where, rows[i].where) != 0)
			fail_msg("sheet %zu: '%s' at '%s'", i, err.what, err.where);
		if (rows[i].hint)
			assert_string_equal(err.hint, rows[i].hint);
	}
}

/* A converted price knows by what rate, and is as old as that. */
static void test_exchange_age(void **state)
{
	(void)state;
	static const char text[] = EURO
		"prices:\n"
		"  - {provider: p, instance_type: m, source: s, source_date: 2026-01-31,\n"
		"     on_demand_per_hour: 2, currency: EUR}\n"
		"  - {provider: p, instance_type: dollars, source: s, source_date: 2026-01-31,\n"
		"     on_demand_usd_per_hour: 2}\n";
	static const struct {
		struct ps_cost_date today;
		const char *want; /* NULL: young enough */
	} rows[] = {
		{{2027, 1, 30}, NULL},
		{{2027, 1, 31},
		 "the exchange rate of EUR is of 2026-01-30, over a year before 2027-01-31: look "
		 "it up again"},
		{{2027, 2, 1},
		 "the price of m is of 2026-01-31, over a year before 2027-02-01: look it up "
		 "again; the exchange rate of EUR is of 2026-01-30, over a year before "
		 "2027-02-01: look it up again"},
		{{2026, 1, 30}, "the price of m is of 2026-01-31, which is after 2026-01-30"},
	};
	struct ps_cost_sheet sheet;
	char buf[PS_COST_WARNING_SIZE];
	assert_int_equal(ps_cost_sheet_parse(text, strlen(text), "s.yaml", &sheet, NULL), PS_OK);
	const struct ps_cost_price *p = sheet.prices.items;
	assert_string_equal(p->exchange->source, "a bank");
	expect_near(p->exchange->usd, 1.25);
	assert_null(p[1].exchange);
	for (size_t i = 0; i < COUNT(rows); i++) {
		bool warned = ps_cost_age_warning(p, rows[i].today, buf);
		assert_int_equal(warned, rows[i].want != NULL);
		if (rows[i].want)
			assert_string_equal(buf, rows[i].want);
	}
	ps_cost_sheet_free(&sheet);
}

/* Prices that are none are refused where they stand. */
static void test_bad_prices(void **state)
{
	(void)state;
	static const char *const prices[] = {"0", "-1", "nan", "inf", "1e9", "free", "", "1e-9"};
	static const char *const keys[] = {"on_demand_usd_per_hour", "spot_usd_per_hour",
					   "reserved_1y_usd_per_hour"};
	for (size_t k = 0; k < COUNT(keys); k++)
		for (size_t i = 0; i < COUNT(prices); i++) {
			char text[400], where[80];
			struct ps_cost_sheet sheet;
			struct ps_error err = {0};
			int n = snprintf(text, sizeof text, ROW("%s    %s: %s\n"),
					 k ? "    on_demand_usd_per_hour: 1\n" : "", keys[k],
					 prices[i]);
			snprintf(where, sizeof where, "s.yaml:%d:%s", k ? 7 : 6, keys[k]);
			enum ps_status st =
				ps_cost_sheet_parse(text, (size_t)n, "s.yaml", &sheet, &err);
			if (st != PS_EPARSE || strcmp(err.where, where) != 0)
				fail_msg("%s: %s: '%s' at '%s'", keys[k], prices[i], err.what,
					 err.where);
		}
}

/* ---- billing ---- */

static void test_billed_time(void **state)
{
	(void)state;
	static const int64_t s = 1000000000;
	static const struct {
		enum ps_cost_unit per;
		int64_t minimum, used, want;
	} rows[] = {
		{PS_COST_PER_HOUR, 0, 0, 0},
		{PS_COST_PER_HOUR, 0, 1, 3600 * s},
		{PS_COST_PER_HOUR, 0, 3600 * s, 3600 * s},
		{PS_COST_PER_HOUR, 0, 3600 * s + 1, 7200 * s},
		{PS_COST_PER_MINUTE, 0, 61 * s, 120 * s},
		{PS_COST_PER_SECOND, 0, 61 * s, 61 * s},
		{PS_COST_PER_SECOND, 0, 61 * s + 1, 62 * s},
		{PS_COST_PER_SECOND, 60 * s, 5 * s, 60 * s},
		{PS_COST_PER_SECOND, 60 * s, 0, 0}, /* nothing was rented */
		{PS_COST_PER_SECOND, 60 * s, 90 * s, 90 * s},
		{PS_COST_PER_MINUTE, 90 * s, 5 * s, 120 * s},
		{PS_COST_PER_HOUR, 0, -5, 0},
		{PS_COST_PER_HOUR, 0, INT64_MAX, INT64_MAX},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ps_cost_price p = {.billed_per = rows[i].per, .minimum_ns = rows[i].minimum};
		int64_t got = ps_cost_billed_ns(&p, rows[i].used);
		if (got != rows[i].want)
			fail_msg("row %zu: %lld", i, (long long)got);
	}
}

static void test_billing_keys(void **state)
{
	(void)state;
	static const char text[] = ROW("    on_demand_usd_per_hour: 1\n    billed_per: second\n"
				       "    minimum: 60s\n");
	static const char bad[] = ROW("    on_demand_usd_per_hour: 1\n    billed_per: week\n");
	struct ps_cost_sheet sheet;
	struct ps_error err = {0};
	assert_int_equal(ps_cost_sheet_parse(text, strlen(text), "s.yaml", &sheet, &err), PS_OK);
	const struct ps_cost_price *p = sheet.prices.items;
	assert_int_equal(p->billed_per, PS_COST_PER_SECOND);
	assert_int_equal(p->minimum_ns, INT64_C(60000000000));
	ps_cost_sheet_free(&sheet);
	assert_int_equal(ps_cost_sheet_parse(bad, strlen(bad), "s.yaml", &sheet, &err), PS_EPARSE);
	assert_string_equal(err.where, "s.yaml:7:billed_per");
}

static void test_blend(void **state)
{
	(void)state;
	static const struct {
		double spot, reserved; /* prices; on demand is 1 */
		double spot_share, reserved_share;
		double want; /* NAN: refused */
		const char *what;
	} rows[] = {
		{0, 0, 0, 0, 1, NULL},
		{0.3, 0.6, 1, 0, 0.3, NULL},
		{0.3, 0.6, 0.5, 0, 0.65, NULL},
		{0.3, 0.6, 0.3, 0.5, 0.09 + 0.3 + 0.2, NULL},
		{0.3, 0.6, 0.5, 0.5, 0.45, NULL},
		{0, 0.6, 0.1, 0, NAN, "the sheet states no spot price of m"},
		{0.3, 0, 0, 0.1, NAN, "the sheet states no reserved price of m"},
		{0.3, 0.6, 0.6, 0.5, NAN, "spot and reserved machines are 1.1 of all: at most 1"},
		{0.3, 0.6, -0.1, 0, NAN, "a share of spot or reserved machines is 0 to 1"},
		{0.3, 0.6, NAN, 0, NAN, "a share of spot or reserved machines is 0 to 1"},
		{0.3, 0.6, 0, 1.5, NAN, "a share of spot or reserved machines is 0 to 1"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ps_cost_price p = {.instance_type = (char[]){"m"},
					  .on_demand_usd_per_hour = 1,
					  .spot_usd_per_hour = rows[i].spot,
					  .reserved_1y_usd_per_hour = rows[i].reserved};
		struct ps_cost_mix mix = {rows[i].spot_share, rows[i].reserved_share};
		struct ps_error err = {0};
		double got = NAN;
		enum ps_status st = ps_cost_blend(&p, mix, &got, &err);
		assert_int_equal(st, rows[i].what ? PS_EINVAL : PS_OK);
		if (rows[i].what)
			assert_string_equal(err.what, rows[i].what);
		else
			expect_near(got, rows[i].want);
	}
}

/* ---- age ---- */

static void test_dates(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{"2026-11-22", true},  {"2024-02-29", true},  {"2023-02-29", false},
		{"1900-02-29", false}, {"2000-02-29", true},  {"2026-04-31", false},
		{"2026-00-10", false}, {"2026-13-10", false}, {"2026-1-1", false},
		{"26-01-01", false},   {"2026/01/01", false}, {"2026-01-01T", false},
		{"", false},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ps_cost_date d;
		if (ps_cost_date_parse(rows[i].text, &d) != rows[i].good)
			fail_msg("%s", rows[i].text);
	}
	static const struct {
		int64_t s;
		int year, month, day;
	} instants[] = {
		{0, 1970, 1, 1},
		{86399, 1970, 1, 1},
		{86400, 1970, 1, 2},
		{951782400, 2000, 2, 29},
		{1709164800, 2024, 2, 29},
		{1709251200, 2024, 3, 1},
		{1735689599, 2024, 12, 31},
		{1795363200, 2026, 11, 22},
	};
	for (size_t i = 0; i < COUNT(instants); i++) {
		struct ps_cost_date d = ps_cost_date_of(instants[i].s * 1000000000);
		if (d.year != instants[i].year || d.month != instants[i].month ||
		    d.day != instants[i].day)
			fail_msg("%lld is %d-%d-%d", (long long)instants[i].s, d.year, d.month,
				 d.day);
	}
}

static void test_age(void **state)
{
	(void)state;
	static const struct {
		const char *date;
		struct ps_cost_date today;
		const char *want; /* NULL: young enough */
	} rows[] = {
		{"2026-07-20", {2026, 11, 22}, NULL},
		{"2026-07-20", {2026, 7, 20}, NULL},
		{"2025-11-22", {2026, 11, 22}, NULL}, /* a year to the day */
		{"2025-11-21",
		 {2026, 11, 22},
		 "the price of m is of 2025-11-21, over a year before 2026-11-22: look it up "
		 "again"},
		{"2024-02-29", {2025, 2, 28}, NULL},
		{"2024-02-29",
		 {2025, 3, 1},
		 "the price of m is of 2024-02-29, over a year before 2025-03-01: look it up "
		 "again"},
		{"2026-11-23",
		 {2026, 11, 22},
		 "the price of m is of 2026-11-23, which is after 2026-11-22"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		char date[16], buf[PS_COST_WARNING_SIZE] = "";
		snprintf(date, sizeof date, "%s", rows[i].date);
		struct ps_cost_price p = {.instance_type = (char[]){"m"}, .source_date = date};
		bool warned = ps_cost_age_warning(&p, rows[i].today, buf);
		assert_int_equal(warned, rows[i].want != NULL);
		assert_string_equal(buf, rows[i].want ? rows[i].want : "");
	}
}

/* ---- what is shipped ---- */

enum {
	PROVIDER,
	REGION,
	TYPE,
	VCPU,
	MEMORY,
	GPU,
	GPUS,
	ON_DEMAND,
	SPOT,
	RESERVED,
	SOURCE,
	DATE,
	COLUMNS,
	MAX_FACTS = 200
};

struct fact {
	char field[COLUMNS][500];
	bool used;
};

/* Reads one line of CSV; the file has no line breaks inside quotes. */
static char *read_fact(char *at, struct fact *f)
{
	memset(f, 0, sizeof *f);
	for (int c = 0; c < COLUMNS; c++) {
		bool quoted = *at == '"';
		char *to = f->field[c];
		at += quoted;
		while (*at && *at != '\n' && (quoted ? *at != '"' : *at != ','))
			*to++ = *at++;
		at += quoted;
		if (*at == ',' && c + 1 < COLUMNS)
			at++;
		else if (c + 1 < COLUMNS)
			fail_msg("a line of prices.csv ends early");
	}
	return *at == '\n' ? at + 1 : at;
}

static size_t read_facts(struct fact *facts)
{
	char *data;
	size_t len, n = 0;
	assert_int_equal(ps_file_read(PS_SOURCE_DIR "/tests/unit/cost/prices.csv", 1 << 20, &data,
				      &len, NULL),
			 PS_OK);
	char *at = strchr(data, '\n') + 1;
	while (at < data + len && n < MAX_FACTS)
		at = read_fact(at, &facts[n++]);
	free(data);
	return n;
}

static void same_number(const char *field, double value, const char *what)
{
	double want = field[0] ? atof(field) : 0;
	if (value != want)
		fail_msg("%s is %.17g, the source says '%s'", what, value, field);
}

static void same_field(const char *field, const char *value, const char *what)
{
	if (strcmp(field, value ? value : "") != 0)
		fail_msg("%s is '%s', the source says '%s'", what, value ? value : "", field);
}

static bool is_fact_of(const struct fact *f, const struct ps_cost_price *p)
{
	return strcmp(f->field[PROVIDER], p->provider) == 0 &&
	       strcmp(f->field[REGION], p->region ? p->region : "") == 0 &&
	       strcmp(f->field[TYPE], p->instance_type) == 0 &&
	       strcmp(f->field[DATE], p->source_date) == 0;
}

static void compare(struct fact *facts, size_t n, const struct ps_cost_price *p)
{
	size_t i = 0;
	while (i < n && !is_fact_of(&facts[i], p))
		i++;
	if (i == n)
		fail_msg("no source is known for %s of %s", p->instance_type, p->source_date);
	assert_false(facts[i].used);
	facts[i].used = true;
	same_number(facts[i].field[VCPU], p->vcpu, p->instance_type);
	same_number(facts[i].field[MEMORY], p->memory_gib, p->instance_type);
	same_field(facts[i].field[GPU], p->gpu_kind, p->instance_type);
	same_number(facts[i].field[GPUS], (double)p->gpu_count, p->instance_type);
	same_number(facts[i].field[ON_DEMAND], p->on_demand_usd_per_hour, p->instance_type);
	same_number(facts[i].field[SPOT], p->spot_usd_per_hour, p->instance_type);
	same_number(facts[i].field[RESERVED], p->reserved_1y_usd_per_hour, p->instance_type);
	same_field(facts[i].field[SOURCE], p->source, p->instance_type);
}

static void test_shipped(void **state)
{
	(void)state;
	static const char *const names[] = {"aws", "azure", "gcp", "history"};
	struct fact *facts = calloc(MAX_FACTS, sizeof *facts);
	size_t n = read_facts(facts), machines = 0;
	assert_int_equal(n, 92);
	for (size_t k = 0; k < COUNT(names); k++) {
		char path[300];
		struct ps_cost_sheet sheet;
		struct ps_error err = {0};
		snprintf(path, sizeof path, "%s/examples/prices/%s.yaml", PS_SOURCE_DIR, names[k]);
		if (ps_cost_sheet_load(path, &sheet, &err) != PS_OK)
			fail_msg("%s: %s", err.where, err.what);
		for (size_t i = 0; i < sheet.prices.len; i++)
			compare(facts, n, (const struct ps_cost_price *)sheet.prices.items + i);
		ps_cost_sheet_free(&sheet);
	}
	/* every fact but an accelerator without a machine is there */
	for (size_t i = 0; i < n; i++)
		machines += facts[i].used;
	assert_int_equal(machines, n - 1);
	free(facts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_currencies),  cmocka_unit_test(test_bad_prices),
		cmocka_unit_test(test_billed_time), cmocka_unit_test(test_billing_keys),
		cmocka_unit_test(test_blend),	    cmocka_unit_test(test_dates),
		cmocka_unit_test(test_age),	    cmocka_unit_test(test_exchange_age),
		cmocka_unit_test(test_shipped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
