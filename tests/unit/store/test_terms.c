/* How a machine is billed and how else it may be bought: kept with a campaign's price, absent in
 * files that did not keep it, and refused when it cannot be. */
#include "base/file.h"
#include "store/store_internal.h"
#include "store/upkeep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/test_terms_XXXXXX";

static void run_sql(const char *sql)
{
	sqlite3 *db = NULL;
	char *why = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK) {
		fail_msg("%s", why);
	}
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int setup(void **state)
{
	(void)state;
	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	int fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	static const char *const ends[] = {"", "-wal", "-shm"};
	char name[sizeof(path) + 8];
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		(void)unlink(name);
	}
	return 0;
}

static bool say(void *ctx, const struct ps_store_finding *f)
{
	(void)ctx;
	fail_msg("%s", f->what);
	return true;
}

static void check_all(struct ps_store *s)
{
	struct ps_store_checked checked = {0};
	assert_int_equal(ps_store_check_all(s, say, NULL, &checked, NULL), PS_OK);
	assert_int_equal(checked.campaigns, 1);
}

static struct ps_store *open_store(enum ps_store_mode mode)
{
	struct ps_store *s = NULL;
	struct ps_error err;
	if (ps_store_open(path, mode, &s, &err) != PS_OK) {
		fail_msg("%s", err.what);
	}
	return s;
}

static const int member[] = {0};

static void write_campaign(const struct ps_store_terms *terms)
{
	const struct ps_store_tenant tenant = {"a", "m", 4, {0.95, 200000000, 0.99}};
	const struct ps_store_set set = {"alone:a", member, 1};
	const struct ps_store_campaign c = {
		.name = "n",
		.file_text = "name: n\n",
		.started_wall_ns = 1000,
		.price = {.instance_type = "i", .usd_per_hour = 0.1, .terms = *terms},
		.tenants = &tenant,
		.tenant_len = 1,
		.sets = &set,
		.set_len = 1,
	};
	int64_t id = 0;
	struct ps_store *s = open_store(PS_STORE_CREATE);
	assert_int_equal(ps_store_campaign_begin(s, &c, &id, NULL), PS_OK);
	ps_store_close(s);
}

static void same(const char *x, const char *y)
{
	if (x && y) {
		assert_string_equal(x, y);
	} else {
		assert_ptr_equal(x, y);
	}
}

static void test_round_trip(void **state)
{
	static const struct ps_store_terms rows[] = {
		{0},
		{.billed_per = "hour"},
		{.billed_per = "second",
		 .minimum_ns = INT64_C(60000000000),
		 .spot_usd_per_hour = 0.03,
		 .reserved_1y_usd_per_hour = 0.06,
		 .gpu_kind = "T4",
		 .gpu_count = 2,
		 .currency = "EUR",
		 .exchange_usd = 1.25,
		 .exchange_source = "a bank",
		 .exchange_date = "2026-01-30"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct ps_store_terms *x = &rows[i];
		struct ps_store_campaign *c = NULL;
		(void)teardown(NULL);
		write_campaign(x);
		struct ps_store *s = open_store(PS_STORE_READ);
		assert_int_equal(ps_store_campaign_read(s, 0, &c, NULL), PS_OK);
		const struct ps_store_terms *y = &c->price.terms;
		same(x->billed_per, y->billed_per);
		assert_int_equal(x->minimum_ns, y->minimum_ns);
		assert_true(x->spot_usd_per_hour == y->spot_usd_per_hour);
		assert_true(x->reserved_1y_usd_per_hour == y->reserved_1y_usd_per_hour);
		same(x->gpu_kind, y->gpu_kind);
		assert_int_equal(x->gpu_count, y->gpu_count);
		same(x->currency, y->currency);
		assert_true(x->exchange_usd == y->exchange_usd);
		same(x->exchange_source, y->exchange_source);
		same(x->exchange_date, y->exchange_date);
		check_all(s);
		ps_store_campaign_free(c);
		ps_store_close(s);
	}
}

/* A file of another hand: what cannot be is refused, not reckoned with. */
static void test_refused(void **state)
{
	static const char *const rows[] = {
		"price_spot_usd_per_hour = -1",
		"price_spot_usd_per_hour = 9e999",
		"price_reserved_usd_per_hour = -0.5",
		"price_minimum_ns = -1",
		"price_gpu_count = -3",
		"price_billed_per = 'fortnight'",
		"price_billed_per = ''",
		"price_currency = 'EUR'",
		"price_currency = 'EUR', price_exchange_usd = -1",
		"price_currency = 'EUR', price_exchange_usd = 9e999",
	};
	static const struct ps_store_terms terms = {.billed_per = "hour"};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_store_campaign *c = NULL;
		struct ps_error err;
		char sql[200];
		(void)teardown(NULL);
		write_campaign(&terms);
		(void)snprintf(sql, sizeof(sql), "UPDATE campaign SET %s", rows[i]);
		run_sql(sql);
		struct ps_store *s = open_store(PS_STORE_READ);
		if (ps_store_campaign_read(s, 0, &c, &err) != PS_ECORRUPT) {
			fail_msg("%s is taken", rows[i]);
		}
		ps_store_close(s);
	}
}

static void check_old(struct ps_store *s)
{
	struct ps_store_campaign *c = NULL;
	assert_int_equal(ps_store_campaign_read(s, 0, &c, NULL), PS_OK);
	assert_string_equal(c->price.instance_type, "c6i.large");
	assert_true(c->price.usd_per_hour == 0.085);
	assert_null(c->price.terms.billed_per);
	assert_true(c->price.terms.spot_usd_per_hour == 0);
	assert_int_equal(c->cell_len, 1);
	assert_int_equal(c->cells[0].trial_len, 1);
	assert_true(c->cells[0].trials[0].results[0].batch == 1);
	check_all(s); /* the seals, too, are those that the older version wrote */
	ps_store_campaign_free(c);
}

/* A file that schema 3 wrote: read as it is, raised by the first writer, with all of it. */
static void test_schema_3(void **state)
{
	char *sql = NULL, *before = NULL, *after = NULL;
	size_t n = 0, m = 0;
	(void)state;
	assert_int_equal(ps_file_read(PS_SOURCE_DIR "/tests/unit/store/schema-3.sql", 1 << 20, &sql,
				      &n, NULL),
			 PS_OK);
	run_sql(sql);
	free(sql);
	assert_int_equal(ps_file_read(path, 1 << 24, &before, &n, NULL), PS_OK);
	struct ps_store *s = open_store(PS_STORE_READ);
	check_old(s);
	ps_store_close(s);
	assert_int_equal(ps_file_read(path, 1 << 24, &after, &m, NULL), PS_OK);
	assert_true(n == m && memcmp(before, after, n) == 0);
	s = open_store(PS_STORE_WRITE);
	check_old(s);
	ps_store_close(s);
	free(before);
	free(after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_schema_3, setup, teardown),
	};
	return cmocka_run_group_tests_name("terms", tests, NULL, NULL);
}
