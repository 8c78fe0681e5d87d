/* What schema 2 added: figures, what servers say, skipped cells, a changed campaign that goes on;
 * and a file of schema 1 that comes through with all its rows. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/store_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
	char dir[64], path[96];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	snprintf(f->dir, sizeof(f->dir), "/tmp/ps-grown-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/r.db", f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = {"", "-wal", "-shm", "-journal"};
	for (size_t i = 0; i < 4; i++) {
		char p[128];
		snprintf(p, sizeof(p), "%s%s", f->path, names[i]);
		(void)unlink(p);
	}
	(void)rmdir(f->dir);
	free(f);
	return 0;
}

/* ---- campaigns: a, b; then b, c, a ---- */

#define SLA                                                                                        \
	{                                                                                          \
		0.95, 200000000, 0.99                                                              \
	}
static const int m0[] = {0}, m2[] = {2}, m01[] = {0, 1}, m02[] = {0, 2};
static const struct ps_store_tenant old_tenants[] = {{"a", "ma", 4, SLA}, {"b", "mb", 3, SLA}};
static const struct ps_store_tenant new_tenants[] = {
	{"b", "mb", 3, SLA}, {"c", "mc", 1, SLA}, {"a", "ma", 4, SLA}};
static const struct ps_store_set old_sets[] = {{"a", m0, 1}, {"together", m01, 2}};
static const struct ps_store_set new_sets[] = {{"a", m2, 1}, {"together", m02, 2}};
static const struct ps_store_cell old_cells[] = {
	{.key = "search/a", .kind = PS_STORE_SEARCH, .set = 0, .block = -1, .digest = "d1"},
	{.key = "confirm/0/together", .kind = PS_STORE_CONFIRM, .set = 1, .digest = "d2"},
	{.key = "rates/g/0/3", .kind = PS_STORE_RATES, .set = 1, .part = 2, .point = 3},
};
static const struct ps_store_cell new_cells[] = {
	{.key = "search/a", .kind = PS_STORE_SEARCH, .set = 0, .block = -1, .digest = "d1"},
	{.key = "confirm/0/together", .kind = PS_STORE_CONFIRM, .set = 1, .digest = "d2"},
};

static struct ps_store_campaign old_campaign(void)
{
	return (struct ps_store_campaign){.name = "two",
					  .file_text = "old",
					  .seed = 1,
					  .started_wall_ns = 1000,
					  .tenants = old_tenants,
					  .tenant_len = 2,
					  .sets = old_sets,
					  .set_len = 2,
					  .cells = old_cells,
					  .cell_len = 3};
}

static struct ps_store_campaign new_campaign(int64_t previous)
{
	return (struct ps_store_campaign){.previous = previous,
					  .name = "two",
					  .file_text = "new",
					  .seed = 1,
					  .started_wall_ns = 2000,
					  .tenants = new_tenants,
					  .tenant_len = 3,
					  .sets = new_sets,
					  .set_len = 2,
					  .cells = new_cells,
					  .cell_len = 2};
}

static void write_cell(struct ps_store *s, int64_t id, const char *key, int members)
{
	static const struct ps_store_second seconds[] = {{0, 0, 4, 4, 4, 0, 4, 40, 20},
							 {1, 0, 5, 5, 5, 0, 5, 50, 20}};
	static const struct ps_store_scrape scrapes[] = {{"up", 1, 1},
							 {"x_total{a=\"b\"}", NAN, 7.5}};
	static const struct ps_store_figure figures[] = {
		{"load_time", "ma", "ns", NAN, 12.5, NAN, NAN, 3},
		{"operator_time", "Conv", "ns", 4, 7, 6, 8, 40}};
	static const double ray[] = {1, 1};
	struct ps_store_result results[] = {
		{.tenant = 0, .scheduled = 4, .sent = 4, .completed = 4, .ok = 4, .good = 4},
		{.tenant = 1, .scheduled = 5, .sent = 5, .completed = 5, .ok = 5, .good = 5}};
	struct ps_store_trial trial = {.role = PS_STORE_FIRST,
				       .copies = 12,
				       .results = results,
				       .result_len = (size_t)members,
				       .seconds = seconds,
				       .second_len = (size_t)members,
				       .scrapes = scrapes,
				       .scrape_len = 2};
	struct ps_store_cell x = {.key = key,
				  .state = PS_STORE_DONE,
				  .finished_wall_ns = 99,
				  .slice_json = "{}",
				  .capacity = {.known = true, .ray_rps = ray, .factor = 20},
				  .trials = &trial,
				  .trial_len = 1,
				  .figures = figures,
				  .figure_len = 2};
	struct ps_error err;
	assert_int_equal(ps_store_cell_start(s, id, key, 50, &err), PS_OK);
	if (ps_store_cell_write(s, id, &x, &err) != PS_OK)
		fail_msg("%s", err.what);
}

static struct ps_store *begin(struct fixture *f, int64_t *id)
{
	struct ps_store *s = NULL;
	struct ps_error err;
	struct ps_store_campaign c = old_campaign();
	assert_int_equal(ps_store_open(f->path, PS_STORE_CREATE, &s, &err), PS_OK);
	assert_int_equal(ps_store_campaign_begin(s, &c, id, &err), PS_OK);
	return s;
}

static void test_round_trip(void **state)
{
	struct fixture *f = *state;
	struct ps_store_campaign *c = NULL;
	struct ps_error err;
	int64_t id = 0;
	struct ps_store *s = begin(f, &id);
	write_cell(s, id, "rates/g/0/3", 2);
	assert_int_equal(ps_store_cell_skip(s, id, "search/a", "not needed", &err), PS_OK);
	assert_int_equal(ps_store_cell_skip(s, id, "search/a", "not needed", &err), PS_EINVAL);
	assert_int_equal(ps_store_campaign_read(s, id, &c, &err), PS_OK);
	assert_int_equal(c->cells[0].state, PS_STORE_SKIPPED);
	assert_string_equal(c->cells[0].reason, "not needed");
	assert_string_equal(c->cells[0].digest, "d1");
	const struct ps_store_cell *x = &c->cells[2];
	assert_int_equal(x->kind, PS_STORE_RATES);
	assert_true(x->part == 2 && x->point == 3 && !x->digest);
	assert_int_equal(x->figure_len, 2);
	assert_string_equal(x->figures[0].name, "load_time");
	assert_true(isnan(x->figures[0].x) && x->figures[0].value == 12.5);
	assert_string_equal(x->figures[1].subject, "Conv");
	assert_true(x->figures[1].high == 8 && x->figures[1].count == 40);
	assert_int_equal(x->trials[0].role, PS_STORE_FIRST);
	assert_int_equal(x->trials[0].copies, 12);
	assert_int_equal(x->trials[0].scrape_len, 2);
	assert_string_equal(x->trials[0].scrapes[1].series, "x_total{a=\"b\"}");
	assert_true(isnan(x->trials[0].scrapes[1].before) && x->trials[0].scrapes[1].after == 7.5);
	ps_store_campaign_free(c);
	/* a skipped cell may be measured after all */
	write_cell(s, id, "search/a", 1);
	assert_int_equal(ps_store_check(s, &err), PS_OK);
	ps_store_close(s);
}

static void test_go_on(void **state)
{
	static const struct ps_store_move moves[] = {{"search/a", "search/a"},
						     {"confirm/0/together", "confirm/0/together"}};
	struct fixture *f = *state;
	struct ps_store_campaign *c = NULL;
	struct ps_error err;
	int64_t id = 0, next = 0;
	struct ps_store *s = begin(f, &id);
	write_cell(s, id, "search/a", 1);
	write_cell(s, id, "confirm/0/together", 2);
	write_cell(s, id, "rates/g/0/3", 2);
	struct ps_store_campaign changed = new_campaign(id);
	/* b and a have changed places, as have their rows */
	if (ps_store_campaign_go_on(s, &changed, moves, 2, &next, &err) != PS_OK)
		fail_msg("%s", err.what);
	assert_int_equal(ps_store_check(s, &err), PS_OK);
	assert_int_equal(ps_store_campaign_read(s, next, &c, &err), PS_OK);
	assert_int_equal(c->previous, id);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(c->cells[i].state, PS_STORE_DONE);
		assert_int_equal(c->cells[i].attempt, 1);
		assert_int_equal(c->cells[i].trial_len, 1);
		assert_int_equal(c->cells[i].figure_len, 2);
		assert_true(c->cells[i].capacity.known && c->cells[i].capacity.factor == 20);
		assert_string_equal(c->cells[i].slice_json, "{}");
	}
	assert_int_equal(c->cells[0].trials[0].results[0].tenant, 2);
	const struct ps_store_trial *t = &c->cells[1].trials[0];
	assert_int_equal(t->results[0].tenant, 0);
	assert_int_equal(t->results[0].scheduled, 5);
	assert_int_equal(t->results[1].tenant, 2);
	assert_int_equal(t->results[1].scheduled, 4);
	assert_int_equal(t->seconds[0].tenant, 0);
	assert_int_equal(t->seconds[0].scheduled, 5);
	assert_int_equal(t->seconds[1].tenant, 2);
	ps_store_campaign_free(c);
	/* what stays behind is whole, what went says where */
	assert_int_equal(ps_store_campaign_read(s, id, &c, &err), PS_OK);
	assert_int_equal(c->cells[0].state, PS_STORE_MOVED);
	assert_non_null(strstr(c->cells[0].reason, "campaign 2"));
	assert_int_equal(c->cells[0].trial_len + c->cells[0].figure_len, 0);
	assert_false(c->cells[0].capacity.known);
	assert_int_equal(c->cells[2].state, PS_STORE_DONE);
	assert_int_equal(c->cells[2].trial_len, 1);
	ps_store_campaign_free(c);
	ps_store_close(s);
}

/* A tenant that is gone, or a cell that was not done: nothing is changed. */
static void test_go_on_refused(void **state)
{
	static const struct {
		const char *old_key;
		size_t tenants;
	} rows[] = {{"confirm/0/together", 1}, {"search/a", 3}, {"nothing", 3}};
	struct fixture *f = *state;
	struct ps_error err;
	int64_t id = 0, next = 0;
	struct ps_store *s = begin(f, &id);
	write_cell(s, id, "confirm/0/together", 2);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_store_move move = {"confirm/0/together", rows[i].old_key};
		struct ps_store_campaign changed = new_campaign(id);
		struct ps_store_listing *list = NULL;
		size_t n = 0;
		if (rows[i].tenants == 1) { /* only b: then no set of several can be */
			static const struct ps_store_set only[] = {{"b", m0, 1}};
			static const struct ps_store_cell cell[] = {
				{.key = "confirm/0/together", .kind = PS_STORE_CONFIRM}};
			changed.tenant_len = 1;
			changed.sets = only;
			changed.set_len = 1;
			changed.cells = cell;
			changed.cell_len = 1;
		}
		assert_int_not_equal(ps_store_campaign_go_on(s, &changed, &move, 1, &next, &err),
				     PS_OK);
		assert_int_equal(ps_store_list(s, &list, &n, &err), PS_OK);
		assert_int_equal(n, 1);
		assert_int_equal(list[0].done, 1);
		free(list);
	}
	ps_store_close(s);
}

/* A value that changed after it was written gets no fresh seal, and is told to who reads it. */
static void test_go_on_damaged(void **state)
{
	static const struct ps_store_move move = {"search/a", "search/a"};
	struct fixture *f = *state;
	struct ps_store_campaign *c = NULL;
	struct ps_error err;
	int64_t id = 0, next = 0;
	struct ps_store *s = begin(f, &id);
	struct ps_store_campaign changed = new_campaign(id);
	write_cell(s, id, "search/a", 1);
	write_cell(s, id, "confirm/0/together", 2);
	assert_int_equal(sqlite3_exec(s->db, "UPDATE trial SET met = NOT met WHERE id = 1", NULL,
				      NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(ps_store_campaign_read(s, id, &c, &err), PS_OK);
	assert_true(!c->damaged && c->cells[0].damaged && !c->cells[1].damaged);
	ps_store_campaign_free(c);
	assert_int_equal(ps_store_campaign_go_on(s, &changed, &move, 1, &next, &err), PS_ECORRUPT);
	assert_non_null(strstr(err.what, "search/a"));
	assert_int_equal(sqlite3_exec(s->db, "UPDATE tenant SET demand_rps = 9", NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(ps_store_campaign_read(s, id, &c, &err), PS_OK);
	assert_true(c->damaged);
	ps_store_campaign_free(c);
	ps_store_close(s);
}

/* ---- a file of schema 1 ---- */

static const char rows_of_1[] =
	"INSERT INTO campaign (id, name, file_text, seed, started_wall_ns)"
	" VALUES (5, 'old', 'text', 1, 10);"
	"INSERT INTO tenant (campaign, idx, name, model, demand_rps) VALUES (5, 0, 'a', 'm', 4);"
	"INSERT INTO tenant_set (campaign, idx, name) VALUES (5, 0, 'a');"
	"INSERT INTO set_member (campaign, set_idx, position, tenant_idx) VALUES (5, 0, 0, 0);"
	"INSERT INTO cell (id, campaign, plan_order, key, kind, set_idx, block, position, attempt,"
	" state) VALUES (7, 5, 0, 'search/a', 'search', 0, -1, 0, 1, 'done');"
	"INSERT INTO capacity (cell, factor, checked, check_met) VALUES (7, 3.5, 0, 0);"
	"INSERT INTO capacity_ray (cell, position, rps) VALUES (7, 0, 1);"
	"INSERT INTO trial (id, cell, number, role, started_wall_ns, warmup_ns, duration_ns, seed,"
	" met, valid) VALUES (9, 7, 0, 'step', 1, 2, 3, 4, 1, 1);"
	"INSERT INTO result (id, trial, tenant_idx, concurrency, scheduled, sent, completed, ok, "
	"good,"
	" timeouts, unsent, refused, sla_met, sla_decided, sla_needs_more, valid, records,"
	" records_dropped) VALUES (11, 9, 0, 0, 6, 6, 6, 6, 6, 0, 0, 0, 1, 1, 0, 1, 0, 0);"
	"INSERT INTO second VALUES (9, 0, 0, 6, 6, 6, 0, 6, 1, 1);"
	"INSERT INTO sample (trial, at_ns, server_cpu_ns) VALUES (9, 0, 8);";

static void test_schema_1(void **state)
{
	struct fixture *f = *state;
	struct ps_store old = {.path = f->path, .lock_fd = -1, .writable = true}, *s = NULL;
	struct ps_store_campaign *c = NULL;
	struct ps_error err;
	assert_int_equal(sqlite3_open(f->path, &old.db), SQLITE_OK);
	assert_int_equal(ps_store_migrate(&old, 1, &err), PS_OK);
	char *message = NULL;
	if (sqlite3_exec(old.db, rows_of_1, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s", message);
	(void)sqlite3_close(old.db);
	assert_int_equal(ps_store_open(f->path, PS_STORE_WRITE, &s, &err), PS_OK);
	assert_int_equal(ps_store_check(s, &err), PS_OK);
	assert_int_equal(ps_store_campaign_read(s, 5, &c, &err), PS_OK);
	assert_int_equal(c->cell_len, 1);
	const struct ps_store_cell *x = &c->cells[0];
	assert_true(x->id == 7 && x->kind == PS_STORE_SEARCH && x->state == PS_STORE_DONE);
	assert_true(x->part == -1 && x->point == -1 && !x->digest);
	assert_true(x->capacity.known && x->capacity.factor == 3.5);
	assert_int_equal(x->trial_len, 1);
	assert_true(x->trials[0].id == 9 && x->trials[0].copies == 1);
	assert_int_equal(x->trials[0].results[0].scheduled, 6);
	assert_int_equal(x->trials[0].second_len, 1);
	assert_int_equal(x->trials[0].samples[0].server_cpu_ns, 8);
	ps_store_campaign_free(c);
	sqlite3_stmt *q = NULL;
	assert_int_equal(sqlite3_prepare_v2(s->db, "PRAGMA foreign_key_check", -1, &q, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_DONE);
	(void)sqlite3_finalize(q);
	ps_store_close(s);
}

/* A text that no version of ours wrote is named, not taken for the first of its kind. */
static void test_unknown_names(void **state)
{
	static const char *const breaks[] = {"UPDATE cell SET kind = 'dance' WHERE id = 1",
					     "UPDATE cell SET state = 'happy' WHERE id = 1",
					     "UPDATE trial SET role = 'hero'"};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
		struct ps_store_campaign *c = NULL;
		struct ps_error err;
		int64_t id = 0;
		(void)unlink(f->path);
		struct ps_store *s = begin(f, &id);
		write_cell(s, id, "search/a", 1);
		assert_int_equal(sqlite3_exec(s->db, breaks[i], NULL, NULL, NULL), SQLITE_OK);
		assert_int_equal(ps_store_campaign_read(s, id, &c, &err), PS_ECORRUPT);
		assert_non_null(strstr(err.what, "unknown"));
		ps_store_close(s);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_round_trip),    T(test_go_on),	 T(test_go_on_refused),
		T(test_go_on_damaged), T(test_schema_1), T(test_unknown_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
