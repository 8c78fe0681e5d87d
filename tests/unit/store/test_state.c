/* The server's state: a ledger that may be written twice, loads, demand, and what a kill costs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/state.h"

#include <sqlite3.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MINUTE PS_STATE_NS_PER_MINUTE

static char dir[64];

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/perseus-state-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[128];
	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

static struct ps_state *open_state(int64_t wall_ns)
{
	struct ps_state *s;
	struct ps_error err;
	if (ps_state_open(dir, wall_ns, &s, &err) != PS_OK)
		fail_msg("%s: %s", err.where, err.what);
	return s;
}

struct sums {
	struct ps_state_usage rows[16];
	char names[16][2][32];
	int n;
};

static bool take(void *ctx, const struct ps_state_usage *u)
{
	struct sums *t = ctx;
	assert_true(t->n < 16);
	t->rows[t->n] = *u;
	snprintf(t->names[t->n][0], 32, "%s", u->tenant);
	snprintf(t->names[t->n][1], 32, "%s", u->model);
	t->n++;
	return true;
}

static struct sums read_all(struct ps_state *s, const struct ps_state_query *q)
{
	struct sums t = {0};
	struct ps_error err;
	assert_int_equal(ps_state_read(s, q, take, &t, &err), PS_OK);
	return t;
}

static struct ps_state_usage usage(const char *tenant, const char *model, int64_t minute,
				   int64_t requests)
{
	return (struct ps_state_usage){.tenant = tenant,
				       .model = model,
				       .version = 1,
				       .minute = minute,
				       .requests = requests,
				       .failed = 1,
				       .inferences = 8 * requests,
				       .compute_ns = 1000 * requests,
				       .resident_byte_s = 7};
}

static void test_idempotent(void **state)
{
	const struct ps_state_query all = {0}, a_only = {.tenant = "a"};
	const struct ps_state_query later = {.from_minute = 101}, earlier = {.to_minute = 101};
	const struct ps_state_query minutes = {.by_minute = true, .tenant = "a"};
	struct ps_state *s = open_state(100 * MINUTE);
	struct ps_error err;
	(void)state;
	/* the same minute, three times: with larger numbers, then with the same ones */
	for (int i = 0; i < 3; i++) {
		struct ps_state_usage rows[] = {usage("a", "m", 100, i < 2 ? 5 + i : 6),
						usage("b", "m", 100, 1)};
		assert_int_equal(ps_state_write(s, rows, 2, 100 * MINUTE + i, &err), PS_OK);
	}
	struct ps_state_usage next = usage("a", "m", 101, 10);
	assert_int_equal(ps_state_write(s, &next, 1, 101 * MINUTE, &err), PS_OK);
	struct sums t = read_all(s, &all);
	assert_int_equal(t.n, 2);
	assert_string_equal(t.names[0][0], "a");
	assert_int_equal(t.rows[0].requests, 16);
	assert_int_equal(t.rows[0].inferences, 128);
	assert_int_equal(t.rows[0].compute_ns, 16000);
	assert_int_equal(t.rows[0].resident_byte_s, 14);
	assert_int_equal(t.rows[0].failed, 2);
	assert_int_equal(t.rows[1].requests, 1);
	assert_int_equal(read_all(s, &a_only).n, 1);
	assert_int_equal(read_all(s, &later).rows[0].requests, 10);
	assert_int_equal(read_all(s, &earlier).rows[0].requests, 6);
	t = read_all(s, &minutes);
	assert_int_equal(t.n, 2);
	assert_int_equal(t.rows[1].minute, 101);
	ps_state_close(s);
}

/* The same minute in two runs: a server that was killed and started again within it. */
static void test_runs_add_up(void **state)
{
	const struct ps_state_query all = {0};
	struct ps_state_usage u = usage("a", "m", 100, 5);
	struct ps_state_loss loss;
	struct ps_error err;
	(void)state;
	struct ps_state *s = open_state(100 * MINUTE);
	assert_int_equal(ps_state_write(s, &u, 1, 100 * MINUTE + 1, &err), PS_OK);
	ps_state_close(s); /* without an end: killed */
	s = open_state(100 * MINUTE + 10);
	assert_int_equal(ps_state_write(s, &u, 1, 100 * MINUTE + 20, &err), PS_OK);
	assert_int_equal(read_all(s, &all).rows[0].requests, 10);
	assert_int_equal(ps_state_loss(s, &all, &loss, &err), PS_OK);
	assert_int_equal(loss.runs, 2);
	assert_int_equal(loss.killed, 2); /* this one is still going on */
	assert_int_equal(ps_state_end(s, 100 * MINUTE + 30, &err), PS_OK);
	assert_int_equal(ps_state_loss(s, &all, &loss, &err), PS_OK);
	assert_int_equal(loss.killed, 1);
	assert_int_equal(loss.open_ns, PS_STATE_FLUSH_NS);
	assert_int_equal(loss.last_write_ns, 100 * MINUTE + 30);
	ps_state_close(s);
	/* minutes that no run touches */
	assert_int_equal(ps_state_open_reading(dir, &s, &err), PS_OK);
	const struct ps_state_query later = {.from_minute = 103};
	assert_int_equal(ps_state_loss(s, &later, &loss, &err), PS_OK);
	assert_int_equal(loss.runs, 0);
	ps_state_close(s);
}

static bool take_load(void *ctx, const struct ps_state_load *l)
{
	char *text = ctx;
	sprintf(text + strlen(text), "%s/%d/%s/%s/%s ", l->model, (int)l->version,
		l->loaded ? "load" : "unload", l->config ? l->config : "-",
		l->tenant ? l->tenant : "-");
	return true;
}

static void test_loads(void **state)
{
	struct ps_state *s = open_state(1);
	struct ps_error err;
	char text[256] = "";
	(void)state;
	const struct ps_state_load loads[] = {
		{.model = "m", .loaded = true},
		{.model = "n", .version = 2, .loaded = true, .config = "{}"},
		{.model = "m", .loaded = true, .tenant = "a"},
		{.model = "m", .loaded = false}, /* in place of the first */
	};
	for (int i = 0; i < 4; i++)
		assert_int_equal(ps_state_put_load(s, &loads[i], i, &err), PS_OK);
	ps_state_close(s);
	s = open_state(2);
	assert_int_equal(ps_state_loads(s, take_load, text, &err), PS_OK);
	assert_string_equal(text, "n/2/load/{}/- m/0/load/-/a m/0/unload/-/- ");
	ps_state_close(s);
}

static double demand_of(struct ps_state *s, const char *tenant, int64_t version)
{
	struct ps_error err;
	double rps = -1;
	assert_int_equal(ps_state_demand(s, tenant, "m", version, &rps, &err), PS_OK);
	return rps;
}

static bool add_demand(void *ctx, const struct ps_state_demand_row *row)
{
	char *text = ctx;
	size_t n = strlen(text);
	snprintf(text + n, 200 - n, "%s/%s/%lld/%g ", row->tenant, row->model,
		 (long long)row->version, row->rps);
	return true;
}

/* Each version has its own; it is there after a restart. */
static void test_demand(void **state)
{
	struct ps_state *s = open_state(1);
	struct ps_error err;
	(void)state;
	assert_true(demand_of(s, "a", 1) == 0);
	const struct ps_state_demand_row rows[] = {
		{"a", "m", 1, 12.5}, {"a", "m", 2, 3}, {"b", "m", 1, 4}, {"a", "m", 1, 11}};
	assert_int_equal(ps_state_put_demand(s, rows, 4, 3, &err), PS_OK);
	ps_state_close(s);
	s = open_state(2);
	assert_true(demand_of(s, "a", 1) == 11 && demand_of(s, "a", 2) == 3);
	assert_true(demand_of(s, "b", 1) == 4 && demand_of(s, "b", 2) == 0);
	char text[200] = "";
	assert_int_equal(ps_state_demands(s, add_demand, text, &err), PS_OK);
	assert_string_equal(text, "a/m/1/11 b/m/1/4 a/m/2/3 "); /* the most first */
	ps_state_close(s);
}

/* A file of version 1: its usage stays, its demand begins anew. */
static void test_older_file(void **state)
{
	struct ps_state *s = open_state(1);
	struct ps_error err;
	struct ps_state_usage u = usage("a", "m", 1, 5);
	char command[512];
	(void)state;
	assert_int_equal(ps_state_write(s, &u, 1, 1, &err), PS_OK);
	ps_state_close(s);
	snprintf(command, sizeof command, "%s/%s", dir, PS_STATE_FILE);
	sqlite3 *db;
	assert_int_equal(sqlite3_open(command, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db,
			     "DROP TABLE demand; PRAGMA user_version = 1; CREATE TABLE demand"
			     " (tenant TEXT NOT NULL, model TEXT NOT NULL, rps REAL NOT NULL,"
			     " at_ns INTEGER NOT NULL, PRIMARY KEY (tenant, model)) STRICT",
			     NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(ps_state_open_reading(dir, &s, &err), PS_OK); /* bills need no move */
	ps_state_close(s);
	s = open_state(2);
	assert_true(demand_of(s, "a", 1) == 0);
	const struct ps_state_demand_row row = {"a", "m", 2, 7};
	assert_int_equal(ps_state_put_demand(s, &row, 1, 3, &err), PS_OK);
	assert_true(demand_of(s, "a", 2) == 7);
	ps_state_close(s);
}

static void test_refusals(void **state)
{
	struct ps_state *s, *other;
	struct ps_error err;
	char path[128];
	(void)state;
	assert_int_equal(ps_state_open_reading(dir, &s, &err), PS_ENOTFOUND);
	s = open_state(1);
	assert_int_equal(ps_state_open(dir, 1, &other, &err), PS_EINUSE);
	assert_int_equal(ps_state_open_reading(dir, &other, &err), PS_OK);
	struct ps_state_usage u = usage("a", "m", 1, 1);
	assert_int_not_equal(ps_state_write(other, &u, 1, 1, &err), PS_OK);
	ps_state_close(other);
	/* sums that 64 bits do not hold are an error, not a wrong bill */
	u.compute_ns = INT64_MAX;
	struct ps_state_usage rows[] = {u, u};
	rows[1].minute = 2;
	assert_int_equal(ps_state_write(s, rows, 2, 1, &err), PS_OK);
	struct sums t = {0};
	const struct ps_state_query all = {0};
	assert_int_equal(ps_state_read(s, &all, take, &t, &err), PS_ECORRUPT);
	ps_state_close(s);
	snprintf(path, sizeof path, "%s/%s", dir, PS_STATE_FILE);
	FILE *f = fopen(path, "w");
	fputs("this is no database, and long enough that nobody takes it for an empty one", f);
	fclose(f);
	assert_int_equal(ps_state_open(dir, 1, &s, &err), PS_ECORRUPT);
}

/* The clock was set back into a minute that has rows: a run more, and the sums keep both. */
static void test_begin_again(void **state)
{
	const struct ps_state_query all = {0};
	struct ps_state_usage u = usage("a", "m", 100, 5);
	struct ps_state *s = open_state(100 * MINUTE);
	struct ps_state_loss loss;
	struct ps_error err;
	(void)state;
	assert_int_equal(ps_state_write(s, &u, 1, 101 * MINUTE, &err), PS_OK);
	assert_int_equal(ps_state_begin_again(s, 100 * MINUTE, &err), PS_OK);
	assert_int_equal(ps_state_write(s, &u, 1, 100 * MINUTE + 1, &err), PS_OK);
	assert_int_equal(read_all(s, &all).rows[0].requests, 10);
	assert_int_equal(ps_state_loss(s, &all, &loss, &err), PS_OK);
	assert_int_equal(loss.runs, 2);
	assert_int_equal(loss.killed, 1); /* the one that goes on */
	ps_state_close(s);
}

/* Old minutes go in steps, the others keep their sums, and bills are told. */
static void test_forget(void **state)
{
	const struct ps_state_query all = {0};
	struct ps_state *s = open_state(100 * MINUTE);
	struct ps_state_loss loss;
	struct ps_error err;
	(void)state;
	for (int i = 0; i < 10; i++) {
		struct ps_state_usage rows[] = {usage("a", "m", 100 + i, 1),
						usage("b", "m", 100 + i, 1)};
		assert_int_equal(ps_state_write(s, rows, 2, (100 + i) * MINUTE, &err), PS_OK);
	}
	ps_state_close(s);
	s = open_state(200 * MINUTE);
	assert_int_equal(ps_state_loss(s, &all, &loss, &err), PS_OK);
	assert_int_equal(loss.kept_minute, 0);
	assert_int_equal(ps_state_forget(s, 105, 3, &err), PS_OK);
	assert_int_equal(read_all(s, &all).rows[0].requests, 7);
	assert_int_equal(ps_state_loss(s, &all, &loss, &err), PS_OK);
	assert_int_equal(loss.kept_minute, 103);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ps_state_forget(s, 105, 3, &err), PS_OK);
	assert_int_equal(read_all(s, &all).rows[1].requests, 5);
	assert_int_equal(ps_state_loss(s, &all, &loss, &err), PS_OK);
	assert_int_equal(loss.kept_minute, 105);
	assert_int_equal(loss.runs, 2);
	assert_int_equal(ps_state_forget(s, 1000, 100, &err), PS_OK);
	assert_int_equal(read_all(s, &all).n, 0);
	assert_int_equal(ps_state_loss(s, &all, &loss, &err), PS_OK);
	assert_int_equal(loss.runs, 1); /* this one goes on, however old it is */
	ps_state_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_begin_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forget, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_idempotent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_runs_add_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_loads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_demand, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_older_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
