/* Stores as a whole: sealed and checked, raised from older schemas with their rows, merged without
 * conflict, exported whole. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "store/store_internal.h"
#include "store/upkeep.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64];

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/ps-upkeep-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[96];
	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static const char *in(const char *name)
{
	static char paths[4][128];
	static int at;
	char *p = paths[at++ % 4];
	snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
	return p;
}

/* ---- a campaign of three cells ---- */

static const int alone[] = {0}, both[] = {0, 1};
static const struct ps_store_tenant tenants[] = {{"a", "m", 4, {0.95, 200000000, 0.99}},
						 {"b, \"x\"", "n", 3, {0.95, 200000000, 0.99}}};
static const struct ps_store_set sets[] = {{"alone", alone, 1}, {"together", both, 2}};
static const struct ps_store_cell plan[] = {
	{.key = "search/a", .kind = PS_STORE_SEARCH, .block = -1, .part = -1, .point = -1},
	{.key = "confirm/0", .kind = PS_STORE_CONFIRM, .set = 1, .part = -1, .point = -1},
	{.key = "cold/a", .kind = PS_STORE_COLD, .block = -1, .part = -1, .point = -1},
};

static struct ps_store *open_store(const char *name, enum ps_store_mode mode)
{
	struct ps_store *s = NULL;
	struct ps_error err;
	if (ps_store_open(in(name), mode, &s, &err) != PS_OK) {
		fail_msg("%s: %s", err.where, err.what);
	}
	return s;
}

static int64_t begin(struct ps_store *s, const char *name)
{
	const struct ps_store_campaign c = {.name = name,
					    .file_text = "x",
					    .started_wall_ns = 1000,
					    .tenants = tenants,
					    .tenant_len = 2,
					    .sets = sets,
					    .set_len = 2,
					    .cells = plan,
					    .cell_len = 3};
	int64_t id = 0;
	assert_int_equal(ps_store_campaign_begin(s, &c, &id, NULL), PS_OK);
	return id;
}

/* Performs cell number `cell` of the plan with `ok` good answers. */
static void perform(struct ps_store *s, int64_t campaign, int cell, int ok)
{
	static const struct ps_store_request requests[] = {{1, 2, 3, 40, -1, 5, 200, 0, 0},
							   {5, -1, -1, 9, -1, -1, 0, 1, 1}};
	const struct ps_store_result r = {.scheduled = 50,
					  .sent = 50,
					  .completed = 50,
					  .ok = (uint64_t)ok,
					  .effective_ratio = 0.5,
					  .records = 2,
					  .requests = requests};
	const struct ps_store_second second = {.scheduled = 5};
	const struct ps_store_sample sample = {.server_pss_bytes = -1, .cpu_khz = 9};
	const struct ps_store_scrape scrape = {"x{a=\"b\"}", 1, NAN};
	const struct ps_store_gpu_sample gpu = {.power_w = 5};
	const struct ps_store_trial t = {.factor = NAN,
					 .results = &r,
					 .result_len = 1,
					 .seconds = &second,
					 .second_len = 1,
					 .samples = &sample,
					 .sample_len = 1,
					 .scrapes = &scrape,
					 .scrape_len = 1,
					 .gpus = &gpu,
					 .gpu_len = 1};
	const struct ps_store_figure figure = {"load_time", "m", "ns", NAN, 5, 4, 6, 1};
	const double ray[] = {1};
	const struct ps_store_cell x = {
		.key = plan[cell].key,
		.state = PS_STORE_DONE,
		.trials = cell == 2 ? NULL : &t,
		.trial_len = cell != 2,
		.figures = &figure,
		.figure_len = cell == 2,
		.capacity = {.known = cell == 0,
			     .factor = 7,
			     .factor_low = 6,
			     .factor_high = NAN,
			     .ray_rps = ray},
	};
	assert_int_equal(ps_store_cell_start(s, campaign, x.key, 5, NULL), PS_OK);
	assert_int_equal(ps_store_cell_write(s, campaign, &x, NULL), PS_OK);
}

static void run_sql(const char *name, const char *sql)
{
	sqlite3 *db;
	char *message = NULL;
	assert_int_equal(sqlite3_open(in(name), &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) {
		fail_msg("%s: %s", sql, message);
	}
	(void)sqlite3_close(db);
}

static int64_t number(const char *name, const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *q;
	assert_int_equal(sqlite3_open(in(name), &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	int64_t v = sqlite3_column_int64(q, 0);
	(void)sqlite3_finalize(q);
	(void)sqlite3_close(db);
	return v;
}

static void make(const char *name, int cells)
{
	struct ps_store *s = open_store(name, PS_STORE_CREATE);
	int64_t id = begin(s, "first");
	for (int i = 0; i < cells; i++) {
		perform(s, id, i, 40 + i);
	}
	ps_store_close(s);
}

/* ---- check ---- */

static char findings[4096];

static bool on_finding(void *ctx, const struct ps_store_finding *f)
{
	size_t at = strlen(findings);
	(void)ctx;
	snprintf(findings + at, sizeof(findings) - at, "%s|%s|%lld|%s\n",
		 f->campaign ? f->campaign : "-", f->cell ? f->cell : "-", (long long)f->trial,
		 f->what);
	return true;
}

static int64_t check(const char *name)
{
	struct ps_store_checked c = {0};
	struct ps_error err;
	struct ps_store *s = open_store(name, PS_STORE_READ);
	findings[0] = '\0';
	if (ps_store_check_all(s, on_finding, NULL, &c, &err) != PS_OK) {
		fail_msg("%s", err.what);
	}
	ps_store_close(s);
	return c.findings;
}

/* Each change by another hand, and what is said about it. */
static void test_check(void **state)
{
	static const struct {
		const char *sql, *said;
	} rows[] = {
		{"UPDATE result SET ok = ok - 1 WHERE trial = 1",
		 "first|search/a|0|its content is not what was written"},
		{"UPDATE sample SET cpu_khz = cpu_khz + 1",
		 "first|search/a|0|its content is not what was written"},
		{"UPDATE second SET good = 1 WHERE trial = 2",
		 "first|confirm/0|0|its content is not what was written"},
		{"UPDATE gpu_sample SET power_w = 6", "first|confirm/0|0|its content"},
		{"UPDATE scrape SET before = 2", "first|search/a|0|its content"},
		{"UPDATE result SET latency = x'00'", "first|search/a|0|its content"},
		{"UPDATE result SET requests = x'00' WHERE trial = 2",
		 "first|confirm/0|0|its content"},
		{"UPDATE trial SET seal = NULL WHERE id = 1", "first|search/a|0|it is not sealed"},
		{"UPDATE capacity SET factor = 8", "first|search/a|-1|its content"},
		{"UPDATE capacity_ray SET rps = 2", "first|search/a|-1|its content"},
		{"UPDATE figure SET value = 4", "first|cold/a|-1|its content"},
		{"UPDATE cell SET kind = 'search' WHERE key = 'cold/a'", "first|cold/a|-1|its"},
		{"UPDATE cell SET seal = NULL", "first|search/a|-1|it is not sealed"},
		{"DELETE FROM trial WHERE id = 2", "first|confirm/0|-1|its state and its results"},
		{"UPDATE tenant SET demand_rps = 5", "first|-|-1|its content"},
		{"UPDATE campaign SET seed = 5", "first|-|-1|its content"},
		{"UPDATE result SET good = 45, ok = 44 WHERE trial = 1",
		 "first|search/a|-1|its counts of requests disagree"},
		{"DELETE FROM tenant_set WHERE idx = 1", "-|-|-1|table cell: row"},
		{"CREATE TABLE more (x)", "-|-|-1|the tables are not those"},
		{"UPDATE campaign SET manifest = '{}', finished_wall_ns = 7", ""}, /* labels */
	};
	(void)state;
	make("whole.db", 3);
	assert_int_equal(check("whole.db"), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *data = NULL;
		size_t len = 0;
		assert_int_equal(ps_file_read(in("whole.db"), 1 << 24, &data, &len, NULL), PS_OK);
		assert_int_equal(ps_file_write(in("hurt.db"), data, len, NULL), PS_OK);
		free(data);
		run_sql("hurt.db", rows[i].sql);
		int64_t n = check("hurt.db");
		if ((n > 0) != (rows[i].said[0] != '\0') || !strstr(findings, rows[i].said)) {
			fail_msg("%s:\n%s", rows[i].sql, findings);
		}
		(void)unlink(in("hurt.db"));
	}
}

/* Flipped bytes anywhere in the file: found, harmless, or no store any more; never a crash, and
 * never a finding that hides behind an error. */
static void test_flipped_bytes(void **state)
{
	char *data = NULL;
	size_t len = 0;
	int found = 0;
	(void)state;
	make("whole.db", 3);
	assert_int_equal(ps_file_read(in("whole.db"), 1 << 24, &data, &len, NULL), PS_OK);
	for (size_t at = 0; at < len; at += 1009) {
		struct ps_store *s = NULL;
		struct ps_store_checked c = {0};
		data[at] = (char)(data[at] ^ 0x10);
		assert_int_equal(ps_file_write(in("hurt.db"), data, len, NULL), PS_OK);
		data[at] = (char)(data[at] ^ 0x10);
		if (ps_store_open(in("hurt.db"), PS_STORE_READ, &s, NULL) == PS_OK) {
			assert_int_equal(ps_store_check_all(s, NULL, NULL, &c, NULL), PS_OK);
			found += c.findings > 0;
			ps_store_close(s);
		}
	}
	free(data);
	assert_true(found > 0);
}

/* Rows that contradict each other are refused, as others go by them. */
static void test_damaged_rows(void **state)
{
	static const char *const rows[] = {
		"DELETE FROM capacity_ray",
		"INSERT INTO capacity_ray SELECT cell, 1, 5 FROM capacity",
		"UPDATE cell SET set_idx = 7",
		"UPDATE cell SET part = 2000000000",
		"UPDATE cell SET part = -2",
		"INSERT INTO set_member VALUES (1, 0, 5, 0), (1, 0, 6, 0)",
		"DELETE FROM set_member",
		"UPDATE result SET tenant_idx = 9",
		"UPDATE tenant SET demand_rps = NULL",
		"UPDATE tenant SET demand_rps = -1",
		"UPDATE tenant SET demand_rps = 9e999",
		"UPDATE capacity SET factor = -1",
		"UPDATE capacity SET factor = 9e999",
		"UPDATE capacity SET factor_low = -1",
		"UPDATE capacity_ray SET rps = -1",
		"UPDATE capacity_ray SET rps = 9e999",
		"UPDATE campaign SET price_instance = 'm'",
		"UPDATE campaign SET price_instance = 'm', price_usd_per_hour = 0",
		"UPDATE campaign SET price_instance = 'm', price_usd_per_hour = -1",
		"UPDATE campaign SET price_instance = 'm', price_usd_per_hour = 9e999",
	};
	(void)state;
	make("whole.db", 3);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_store_campaign *c = NULL;
		char *data = NULL, sql[200];
		size_t len = 0;
		assert_int_equal(ps_file_read(in("whole.db"), 1 << 24, &data, &len, NULL), PS_OK);
		assert_int_equal(ps_file_write(in("hurt.db"), data, len, NULL), PS_OK);
		free(data);
		(void)snprintf(sql, sizeof(sql), "PRAGMA foreign_keys = off; %s", rows[i]);
		run_sql("hurt.db", sql);
		struct ps_store *s = open_store("hurt.db", PS_STORE_READ);
		if (ps_store_campaign_read(s, 0, &c, NULL) != PS_ECORRUPT) {
			fail_msg("%s", rows[i]);
		}
		ps_store_close(s);
		(void)unlink(in("hurt.db"));
	}
}

/* ---- older files ---- */

static const char rows_of_1[] =
	"INSERT INTO campaign (id, name, file_text, seed, started_wall_ns) VALUES"
	" (1, 'old', 'x', 3, 1000), (2, 'old', 'x', 3, 2000);"
	"INSERT INTO tenant VALUES (1, 0, 'a', 'm', 4, 0.95, 100, 0.99);"
	"INSERT INTO tenant_set VALUES (1, 0, 'alone');"
	"INSERT INTO set_member VALUES (1, 0, 0, 0);"
	"INSERT INTO cell (id, campaign, plan_order, key, kind, set_idx, block, position, state)"
	" VALUES (5, 1, 0, 'search/a', 'search', 0, -1, 0, 'done'),"
	" (6, 1, 1, 'confirm/0', 'confirm', 0, 0, 0, 'planned');"
	"INSERT INTO capacity VALUES (5, 7, 6, 8, 0, 0, NULL);"
	"INSERT INTO capacity_ray VALUES (5, 0, 1);"
	"INSERT INTO trial (id, cell, number, role, started_wall_ns, warmup_ns, duration_ns, seed,"
	" met, valid) VALUES (9, 5, 0, 'step', 1, 2, 3, 4, 1, 1);"
	"INSERT INTO result (trial, tenant_idx, concurrency, scheduled, sent, completed, ok, good,"
	" timeouts, unsent, refused, sla_met, sla_decided, sla_needs_more, valid, records,"
	" records_dropped) VALUES (9, 0, 0, 9, 9, 9, 9, 9, 0, 0, 0, 1, 1, 0, 1, 0, 0);"
	"INSERT INTO second VALUES (9, 0, 0, 1, 1, 1, 0, 1, 5, 5);"
	"INSERT INTO sample VALUES (9, 0, 1, 2, 3, 4, 5, -1, 7);";

static void check_old(struct ps_store *s)
{
	struct ps_store_campaign *c = NULL;
	struct ps_error err;
	if (ps_store_campaign_read(s, 1, &c, &err) != PS_OK) {
		fail_msg("%s", err.what);
	}
	assert_int_equal(c->cell_len, 2);
	assert_int_equal(c->cells[0].part, -1);
	assert_true(c->cells[0].capacity.known && c->cells[0].trial_len == 1);
	assert_int_equal(c->cells[0].trials[0].copies, 1);
	assert_int_equal(c->cells[0].trials[0].result_len, 1);
	assert_int_equal(c->cells[0].trials[0].second_len, 1);
	assert_int_equal(c->cells[0].trials[0].samples[0].generator_rss_bytes, 7);
	assert_int_equal(c->cells[0].trials[0].samples[0].server_threads, -1);
	assert_string_equal(c->uuid, "v1-00000000000003e8-0000000000000003-6F6C64");
	ps_store_campaign_free(c);
}

static void test_older(void **state)
{
	struct ps_store old = {.path = dir, .lock_fd = -1, .writable = true};
	char *before = NULL, *after = NULL;
	size_t n = 0, m = 0;
	(void)state;
	assert_int_equal(sqlite3_open(in("old.db"), &old.db), SQLITE_OK);
	assert_int_equal(ps_store_migrate(&old, 1, NULL), PS_OK);
	(void)sqlite3_close(old.db);
	run_sql("old.db", rows_of_1);
	assert_int_equal(ps_file_read(in("old.db"), 1 << 24, &before, &n, NULL), PS_OK);
	struct ps_store *s = open_store("old.db", PS_STORE_READ);
	check_old(s);
	ps_store_close(s);
	if (check("old.db") != 0) {
		fail_msg("%s", findings);
	}
	assert_int_equal(ps_file_read(in("old.db"), 1 << 24, &after, &m, NULL), PS_OK);
	assert_true(n == m && memcmp(before, after, n) == 0); /* reading changed nothing */
	s = open_store("old.db", PS_STORE_WRITE);
	check_old(s);
	ps_store_close(s);
	assert_int_equal(number("old.db", "PRAGMA user_version"), PS_STORE_SCHEMA_VERSION);
	assert_int_equal(check("old.db"), 0);
	free(before);
	free(after);
}

/* ---- merge ---- */

static enum ps_status merge(const char *from, const char *into, struct ps_store_merged *ret,
			    struct ps_error *err)
{
	struct ps_store *a = open_store(into, PS_STORE_CREATE);
	struct ps_store *b = open_store(from, PS_STORE_READ);
	*ret = (struct ps_store_merged){0};
	enum ps_status st = ps_store_merge(a, b, ret, err);
	ps_store_close(b);
	ps_store_close(a);
	return st;
}

static void merge_ok(const char *from, const char *into, int campaigns, int cells, int same)
{
	struct ps_store_merged m;
	struct ps_error err;
	if (merge(from, into, &m, &err) != PS_OK) {
		fail_msg("%s into %s: %s", from, into, err.what);
	}
	if (m.campaigns != campaigns || m.cells != cells || m.same != same) {
		fail_msg("%s into %s: %d campaigns, %d cells, %d same", from, into,
			 (int)m.campaigns, (int)m.cells, (int)m.same);
	}
	if (check(into) != 0) {
		fail_msg("%s into %s:\n%s", from, into, findings);
	}
}

static void copy_file(const char *from, const char *to)
{
	char *data = NULL;
	size_t len = 0;
	assert_int_equal(ps_file_read(in(from), 1 << 24, &data, &len, NULL), PS_OK);
	assert_int_equal(ps_file_write(in(to), data, len, NULL), PS_OK);
	free(data);
}

static int64_t only_campaign(const char *name)
{
	return number(name, "SELECT id FROM campaign");
}

static void test_merge(void **state)
{
	(void)state;
	make("a.db", 3);
	make("b.db", 1);
	merge_ok("a.db", "all.db", 1, 3, 0);
	merge_ok("b.db", "all.db", 1, 3, 0);
	merge_ok("a.db", "all.db", 0, 0, 3); /* twice is once */
	merge_ok("b.db", "all.db", 0, 0, 3);
	merge_ok("all.db", "all.db", 0, 0, 6);
	merge_ok("all.db", "a.db", 1, 3, 3); /* and the other way round */
	assert_int_equal(number("all.db", "SELECT count(*) FROM result"), 3);
	assert_int_equal(number("all.db", "SELECT count(*) FROM gpu_sample"), 3);
	assert_int_equal(number("all.db", "SELECT count(*) FROM scrape"), 3);

	/* a campaign that ran on after it was copied, in either order */
	copy_file("b.db", "copy.db");
	struct ps_store *s = open_store("copy.db", PS_STORE_WRITE);
	perform(s, only_campaign("copy.db"), 1, 41);
	ps_store_close(s);
	merge_ok("copy.db", "all.db", 0, 1, 2);
	merge_ok("b.db", "all.db", 0, 0, 3);
	merge_ok("b.db", "copy.db", 0, 0, 3);
	assert_int_equal(number("all.db", "SELECT count(*) FROM cell WHERE state = 'done'"), 5);
}

/* Both copies of a campaign ran on: nobody but a human can say which is right. */
static void test_merge_refuses(void **state)
{
	struct ps_store_merged m;
	struct ps_error err;
	(void)state;
	make("a.db", 1);
	copy_file("a.db", "b.db");
	struct ps_store *s = open_store("a.db", PS_STORE_WRITE);
	perform(s, only_campaign("a.db"), 1, 41);
	ps_store_close(s);
	s = open_store("b.db", PS_STORE_WRITE);
	perform(s, only_campaign("b.db"), 1, 42);
	perform(s, only_campaign("b.db"), 2, 42);
	ps_store_close(s);
	assert_int_equal(merge("b.db", "a.db", &m, &err), PS_EEXIST);
	assert_non_null(strstr(err.what, "campaign \"first\", cell confirm/0: "));
	assert_string_equal(err.where, in("b.db"));
	assert_int_equal(number("a.db", "SELECT count(*) FROM figure"), 0); /* nothing of it */
	assert_int_equal(check("a.db"), 0);

	run_sql("b.db", "UPDATE result SET ok = ok + 1");
	assert_int_equal(merge("b.db", "new.db", &m, &err), PS_ECORRUPT);
	assert_non_null(strstr(err.what, "cell search/a is not what was written"));
	assert_int_equal(number("new.db", "SELECT count(*) FROM campaign"), 0);
	run_sql("b.db", "UPDATE tenant SET demand_rps = 9");
	assert_int_equal(merge("b.db", "new.db", &m, &err), PS_ECORRUPT);
}

static void set_manifest(const char *name, const char *runs)
{
	char sql[512];
	snprintf(sql, sizeof(sql), "UPDATE campaign SET manifest = '{\"runs\":[%s]}'", runs);
	run_sql(name, sql);
}

#define RUN(at, cpu)                                                                               \
	"{\"started_wall_ns\":" #at ",\"machine\":{\"processor\":{\"model\":\"" #cpu "\"}}}"

/* The runs of a copy that ran on are named too, once; on another machine it may not have. */
static void test_merge_manifests(void **state)
{
	struct ps_store_merged m;
	struct ps_error err;
	(void)state;
	make("a.db", 1);
	set_manifest("a.db", RUN(1, A));
	copy_file("a.db", "copy.db");
	set_manifest("copy.db", RUN(1, A) "," RUN(2, A));
	for (int i = 0; i < 2; i++) {
		merge_ok("copy.db", "a.db", 0, 0, 3);
		assert_int_equal(number("a.db", "SELECT json_array_length(manifest, '$.runs')"
						" FROM campaign"),
				 2);
	}
	set_manifest("copy.db", RUN(1, A) "," RUN(3, B));
	assert_int_equal(merge("copy.db", "a.db", &m, &err), PS_EEXIST);
	assert_non_null(strstr(err.what, "campaign \"first\" went on, on another machine"));
	assert_non_null(strstr(err.what, "processor A, here B"));
	assert_string_equal(err.where, in("copy.db"));
	/* elsewhere it may stand by itself */
	merge_ok("copy.db", "new.db", 1, 3, 0);
}

/* A campaign that went on in a changed form keeps pointing at what it goes on from. */
static void test_merge_previous(void **state)
{
	int64_t id = 0;
	(void)state;
	make("a.db", 1);
	make("b.db", 3);
	struct ps_store *s = open_store("a.db", PS_STORE_WRITE);
	const struct ps_store_campaign c = {.name = "changed",
					    .previous = only_campaign("a.db"),
					    .file_text = "y",
					    .tenants = tenants,
					    .tenant_len = 2,
					    .sets = sets,
					    .set_len = 2,
					    .cells = plan,
					    .cell_len = 3};
	const struct ps_store_move move = {"search/a", "search/a"};
	assert_int_equal(ps_store_campaign_go_on(s, &c, &move, 1, &id, NULL), PS_OK);
	ps_store_close(s);
	assert_int_equal(check("a.db"), 0);
	merge_ok("a.db", "b.db", 2, 6, 0);
	assert_int_equal(number("b.db", "SELECT p.started_wall_ns FROM campaign c JOIN campaign p"
					" ON p.id = c.previous WHERE c.name = 'changed'"),
			 1000);
	assert_int_equal(number("b.db", "SELECT count(*) FROM campaign c JOIN cell ON"
					" cell.campaign = c.previous WHERE state = 'moved'"),
			 1);
}

/* A clock that is set back, or stands still, only labels: the campaign begun last is the last. */
static void test_wall_clock(void **state)
{
	static const char *const names[] = {"noon", "noon", "morning"};
	struct ps_store *s = open_store("a.db", PS_STORE_CREATE);
	struct ps_store_campaign *last = NULL;
	struct ps_store_listing *list = NULL;
	size_t n = 0;
	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct ps_store_campaign c = {.name = names[i],
						    .file_text = "x",
						    .started_wall_ns = i < 2 ? 1000 : 10,
						    .tenants = tenants,
						    .tenant_len = 2,
						    .sets = sets,
						    .set_len = 2};
		int64_t id = 0;
		assert_int_equal(ps_store_campaign_begin(s, &c, &id, NULL), PS_OK);
	}
	assert_int_equal(ps_store_campaign_read(s, 0, &last, NULL), PS_OK);
	assert_string_equal(last->name, "morning");
	ps_store_campaign_free(last);
	assert_int_equal(ps_store_list(s, &list, &n, NULL), PS_OK);
	assert_int_equal(n, 3);
	assert_string_equal(list[0].name, "morning");
	free(list);
	ps_store_close(s);
	assert_int_equal(check("a.db"), 0);
}

/* Every table is merged and every file of an export fits its columns: a new table must be told to
 * both. */
static void test_tables(void **state)
{
	(void)state;
	make("a.db", 3);
	struct ps_store *s = open_store("a.db", PS_STORE_READ);
	sqlite3_stmt *q = NULL;
	assert_int_equal(sqlite3_prepare_v2(s->db,
					    "SELECT name FROM sqlite_master WHERE type = 'table'"
					    " AND name NOT LIKE 'sqlite_%'",
					    -1, &q, NULL),
			 SQLITE_OK);
	while (sqlite3_step(q) == SQLITE_ROW) {
		if (!ps_store_merges_table((const char *)sqlite3_column_text(q, 0))) {
			fail_msg("merge.c does not know table %s", sqlite3_column_text(q, 0));
		}
	}
	(void)sqlite3_finalize(q);
	for (const struct ps_store_sheet *x = ps_store_sheets; x->file; x++) {
		struct ps_error err;
		if (x->from && ps_store_sheet_prepare(s, x, &q, &err) != PS_OK) {
			fail_msg("%s: %s", x->file, err.what);
		}
		int columns = x->from ? sqlite3_column_count(q) : 0, rows = 0;
		for (int i = 0; i < columns; i++) {
			assert_string_equal(sqlite3_column_name(q, i), x->columns[i].name);
			assert_true(strlen(x->columns[i].what) > 3);
		}
		while (x->from && sqlite3_step(q) == SQLITE_ROW) {
			rows++;
		}
		if (x->from && rows == 0) {
			fail_msg("%s has no rows", x->file);
		}
		(void)sqlite3_finalize(x->from ? q : NULL);
	}
	ps_store_close(s);
}

/* ---- export ---- */

static void test_export(void **state)
{
	char *text = NULL;
	size_t len = 0;
	struct ps_error err;
	(void)state;
	make("a.db", 3);
	run_sql("a.db", "UPDATE trial SET server_cpu_ns = -1, generator_cpu_ns = -1, steal_ns = -1,"
			" server_rss_bytes = -1, generator_rss_bytes = -1");
	struct ps_store *s = open_store("a.db", PS_STORE_READ);
	if (ps_store_export(s, in("csv"), true, &err) != PS_OK) {
		fail_msg("%s: %s", err.where, err.what);
	}
	assert_int_equal(ps_file_read(in("csv/tenants.csv"), 1 << 20, &text, &len, NULL), PS_OK);
	assert_non_null(strstr(text, ",a,m,4,0.94999999999999996,200000000,0.98999999999999999"));
	assert_non_null(strstr(text, ",\"b, \"\"x\"\"\",n,3,")); /* quoted as RFC 4180 has it */
	free(text);
	assert_int_equal(ps_file_read(in("csv/requests.csv"), 1 << 20, &text, &len, NULL), PS_OK);
	assert_non_null(strstr(text, ",search/a,0,a,1,2,3,40,,5,200,0,0\r\n"));
	assert_non_null(strstr(text, ",search/a,0,a,5,,,9,,,,1,1\r\n"));
	free(text);
	assert_int_equal(ps_file_read(in("csv/trials.csv"), 1 << 20, &text, &len, NULL), PS_OK);
	assert_null(strstr(text, ",-1")); /* what is not known is empty */
	free(text);
	assert_int_equal(ps_store_export(s, "/proc/nowhere", false, &err), PS_ENOTFOUND);
	ps_store_close(s);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_check),		T(test_flipped_bytes), T(test_damaged_rows),
		T(test_older),		T(test_merge),	       T(test_merge_refuses),
		T(test_merge_previous), T(test_wall_clock),    T(test_merge_manifests),
		T(test_tables),		T(test_export),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
