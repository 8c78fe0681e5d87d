/* A campaign goes in and comes out equal; nothing is written in part; every statement is sound. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "store/pack_internal.h"
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
	snprintf(f->dir, sizeof(f->dir), "/tmp/ps-store-XXXXXX");
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

/* ---- a sample campaign ---- */

static const int alone_a[] = {0}, both[] = {0, 1};
static const struct ps_store_tenant tenants[] = {
	{"a", "resnet50", 4, {0.95, 200000000, 0.99}},
	{"b", "inception", 3, {0.95, 200000000, 0.99}},
};
static const struct ps_store_set sets[] = {{"a alone", alone_a, 1}, {"together", both, 2}};
static const struct ps_store_cell plan[] = {
	{.key = "search/a", .kind = PS_STORE_SEARCH, .set = 0, .block = -1, .position = 0},
	{.key = "confirm/0/together", .kind = PS_STORE_CONFIRM, .set = 1, .block = 0},
};

static struct ps_store_campaign sample_campaign(void)
{
	return (struct ps_store_campaign){
		.name = "two",
		.file_path = "two.yaml",
		.file_text = "name: two\n",
		.manifest_json = "{\"x\":1}",
		.seed = UINT64_MAX - 1,
		.started_wall_ns = 1000,
		.slice_cpus = "0-1",
		.slice_memory_bytes = INT64_C(4) << 30,
		.slice_cpu_quota = 1.5,
		.price =
			{"aws", "us-east-1", "c6i.large", 2, 4, 0.085, "a page", "2026-07-20", {0}},
		.full_command = "perseus measure two-full.yaml",
		.tenants = tenants,
		.tenant_len = 2,
		.sets = sets,
		.set_len = 2,
		.cells = plan,
		.cell_len = 2,
	};
}

static const struct ps_store_request requests[] = {
	{100, 150, 5000, 6000, 10, 4000, 200, 0, 1},
	{2000, 2100, -1, -1, -1, -1, 0, 1, 0},
	{1500, -1, -1, 90000000000, 0, INT64_MAX / 4, 503, 8, 0},
};

static struct ps_store_result sample_result(int tenant)
{
	static const char bytes[] = "histogram\0with zero";
	return (struct ps_store_result){
		.tenant = tenant,
		.wanted_rps = 4.5,
		.scheduled = 40,
		.sent = 39,
		.completed = 38,
		.ok = 37,
		.good = 36,
		.timeouts = 1,
		.unsent = 1,
		.refused = 1,
		.outcomes_json = "{\"ok\":37}",
		.batch = 1.5, /* a mix of requests of one and of two */
		.offered_rps = 5,
		.effective_ratio = 0.5,
		.trend_tau = -1.5,
		.sla_met = true,
		.valid = false,
		.reasons = "late\nfew",
		.latency = {bytes, sizeof(bytes)},
		.records = 3,
		.requests = requests,
	};
}

/* A finished cell with one trial for `members` tenants. Static storage: one at a time. */
static struct ps_store_cell sample_cell(const char *key, int members)
{
	static struct ps_store_result results[2];
	static const struct ps_store_second seconds[] = {{0, 0, 4, 4, 4, 0, 4, 400, 200},
							 {0, 1, 5, 5, 4, 1, 3, 500, 300}};
	static const struct ps_store_sample samples[] = {
		{.at_ns = 0,
		 .server_cpu_ns = 1,
		 .generator_cpu_ns = 2,
		 .steal_ns = 3,
		 .busy_ns = 4,
		 .server_rss_bytes = 5,
		 .server_pss_bytes = -1,
		 .generator_rss_bytes = 7,
		 .server_threads = 8,
		 .server_cycles = -1,
		 .cpu_khz = 2500000},
		{.at_ns = 500, .server_cpu_ns = 9, .server_run_delay_ns = 77, .net_sent_bytes = 66},
	};
	static const struct ps_store_gpu_sample gpus[] = {
		{.at_ns = 10,
		 .gpu = 1,
		 .busy_ratio = 0.5,
		 .server_busy_ratio = NAN,
		 .power_w = 300,
		 .memory_bytes = 1 << 20,
		 .server_memory_bytes = -1,
		 .clock_mhz = 1980},
	};
	static struct ps_store_trial trial;
	results[0] = sample_result(0);
	results[1] = sample_result(1);
	trial = (struct ps_store_trial){.role = PS_STORE_STEP,
					.factor = 12.5,
					.started_wall_ns = 77,
					.duration_ns = 8,
					.seed = 9,
					.met = true,
					.valid = true,
					.verdict = "met",
					.server_cpu_ns = 11,
					.results = results,
					.result_len = (size_t)members,
					.seconds = seconds,
					.second_len = 2,
					.host_json = "{\"absent\":{}}",
					.gpus = gpus,
					.gpu_len = 1,
					.samples = samples,
					.sample_len = 2};
	return (struct ps_store_cell){.key = key,
				      .state = PS_STORE_DONE,
				      .finished_wall_ns = 99,
				      .slice_json = "{}",
				      .server_json = "{\"http\":\"\"}",
				      .trials = &trial,
				      .trial_len = 1};
}

static struct ps_store *open_with_campaign(struct fixture *f, int64_t *id)
{
	struct ps_store *s = NULL;
	struct ps_error err;
	struct ps_store_campaign c = sample_campaign();
	assert_int_equal(ps_store_open(f->path, PS_STORE_CREATE, &s, &err), PS_OK);
	assert_int_equal(ps_store_campaign_begin(s, &c, id, &err), PS_OK);
	return s;
}

/* ---- tests ---- */

static void test_requests_round_trip(void **state)
{
	(void)state;
	struct ps_strbuf b;
	struct ps_store_request *back = NULL;
	size_t n = 0;
	ps_strbuf_init(&b);
	assert_int_equal(ps_store_pack_requests(requests, 3, &b), PS_OK);
	assert_int_equal(ps_store_unpack_requests(b.data, b.len, &back, &n, NULL), PS_OK);
	assert_int_equal(n, 3);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(back[i].scheduled_ns, requests[i].scheduled_ns);
		assert_int_equal(back[i].sent_ns, requests[i].sent_ns);
		assert_int_equal(back[i].first_byte_ns, requests[i].first_byte_ns);
		assert_int_equal(back[i].done_ns, requests[i].done_ns);
		assert_int_equal(back[i].server_queue_ns, requests[i].server_queue_ns);
		assert_int_equal(back[i].server_compute_ns, requests[i].server_compute_ns);
		assert_int_equal(back[i].http_status, requests[i].http_status);
		assert_int_equal(back[i].outcome, requests[i].outcome);
		assert_int_equal(back[i].warmup, requests[i].warmup);
	}
	free(back);
	/* every cut and every flipped byte is refused or read as something, never a crash */
	for (size_t len = 0; len < b.len; len++) {
		assert_int_equal(ps_store_unpack_requests(b.data, len, &back, &n, NULL),
				 PS_ECORRUPT);
	}
	for (size_t i = 0; i < b.len; i++) {
		b.data[i] = (char)(b.data[i] ^ 0xff);
		if (ps_store_unpack_requests(b.data, b.len, &back, &n, NULL) == PS_OK) {
			free(back);
		}
		b.data[i] = (char)(b.data[i] ^ 0xff);
	}
	ps_strbuf_fini(&b);
}

static void check_trial(struct ps_store *s, const struct ps_store_trial *t)
{
	struct ps_store_request *r = NULL;
	size_t n = 0;
	assert_int_equal(t->role, PS_STORE_STEP);
	assert_true(t->factor == 12.5 && t->met && t->valid);
	assert_null(t->reasons);
	assert_int_equal(t->second_len, 2);
	assert_int_equal(t->seconds[1].latency_max_ns, 300);
	assert_int_equal(t->sample_len, 2);
	assert_int_equal(t->samples[0].server_pss_bytes, -1);
	assert_int_equal(t->samples[0].server_cycles, -1);
	assert_int_equal(t->samples[0].server_threads, 8);
	assert_int_equal(t->samples[0].cpu_khz, 2500000);
	assert_int_equal(t->samples[1].server_run_delay_ns, 77);
	assert_int_equal(t->samples[1].net_sent_bytes, 66);
	assert_int_equal(t->gpu_len, 1);
	assert_true(t->gpus[0].gpu == 1 && t->gpus[0].busy_ratio == 0.5);
	assert_true(isnan(t->gpus[0].server_busy_ratio) && t->gpus[0].server_memory_bytes == -1);
	assert_string_equal(t->host_json, "{\"absent\":{}}");
	const struct ps_store_result *x = &t->results[0];
	assert_int_equal(x->good, 36);
	assert_int_equal(x->latency.len, 20);
	assert_memory_equal(x->latency.data, "histogram\0with zero", 20);
	assert_null(x->service.data);
	assert_string_equal(x->reasons, "late\nfew");
	assert_true(x->batch == 1.5);
	assert_int_equal(ps_store_requests_read(s, x->id, &r, &n, NULL), PS_OK);
	assert_int_equal(n, 3);
	assert_int_equal(r[2].http_status, 503);
	free(r);
	assert_int_equal(ps_store_requests_read(s, 12345, &r, &n, NULL), PS_ENOTFOUND);
}

static void check_campaign(struct ps_store *s, const struct ps_store_campaign *c)
{
	assert_string_equal(c->name, "two");
	assert_true(c->seed == UINT64_MAX - 1);
	assert_int_equal(strlen(c->uuid), 32);
	assert_true(c->slice_cpu_quota == 1.5);
	assert_string_equal(c->price.instance_type, "c6i.large");
	assert_true(c->price.usd_per_hour == 0.085);
	assert_int_equal(c->tenant_len, 2);
	assert_true(c->tenants[1].demand_rps == 3 && c->tenants[1].sla.limit_ns == 200000000);
	assert_int_equal(c->set_len, 2);
	assert_int_equal(c->sets[1].members[1], 1);
	assert_int_equal(c->cell_len, 2);
	const struct ps_store_cell *x = &c->cells[0];
	assert_int_equal(x->state, PS_STORE_DONE);
	assert_int_equal(x->attempt, 1);
	assert_true(x->capacity.known && x->capacity.factor == 20 &&
		    isnan(x->capacity.factor_high) && x->capacity.ray_rps[0] == 1);
	assert_int_equal(x->trial_len, 1);
	assert_int_equal(x->trials[0].result_len, 1);
	check_trial(s, &x->trials[0]);
	assert_int_equal(c->cells[1].state, PS_STORE_PLANNED);
	assert_false(c->cells[1].capacity.known);
}

static void test_campaign_round_trip(void **state)
{
	struct fixture *f = *state;
	int64_t id = 0;
	struct ps_error err;
	struct ps_store *s = open_with_campaign(f, &id);
	struct ps_store_cell x = sample_cell("search/a", 1);
	const double ray[] = {1};
	x.capacity = (struct ps_store_capacity){.known = true,
						.ray_rps = ray,
						.factor = 20,
						.factor_low = 18,
						.factor_high = NAN,
						.checked = true};
	assert_int_equal(ps_store_cell_start(s, id, "search/a", 50, &err), PS_OK);
	assert_int_equal(ps_store_cell_write(s, id, &x, &err), PS_OK);
	assert_int_equal(ps_store_campaign_finish(s, id, 2000, &err), PS_OK);
	assert_int_equal(ps_store_check(s, &err), PS_OK);
	ps_store_close(s);

	struct ps_store_campaign *c = NULL;
	struct ps_store_listing *list = NULL;
	size_t n = 0;
	assert_int_equal(ps_store_open(f->path, PS_STORE_READ, &s, &err), PS_OK);
	assert_int_equal(ps_store_campaign_read(s, 0, &c, &err), PS_OK);
	check_campaign(s, c);
	assert_int_equal(c->finished_wall_ns, 2000);
	ps_store_campaign_free(c);
	assert_int_equal(ps_store_campaign_read(s, 77, &c, &err), PS_ENOTFOUND);
	assert_int_equal(ps_store_list(s, &list, &n, &err), PS_OK);
	assert_int_equal(n, 1);
	assert_int_equal(list[0].cells, 2);
	assert_int_equal(list[0].done, 1);
	free(list);
	ps_store_close(s);
}

static void test_cell_states(void **state)
{
	struct fixture *f = *state;
	int64_t id = 0;
	struct ps_store *s = open_with_campaign(f, &id);
	struct ps_store_cell x = sample_cell("search/a", 1);
	struct ps_store_cell failed = {
		.key = "search/a", .state = PS_STORE_FAILED, .reason = "it died"};
	assert_int_equal(ps_store_cell_write(s, id, &x, NULL), PS_EINVAL); /* not started */
	assert_int_equal(ps_store_cell_start(s, id, "nothing", 1, NULL), PS_ENOTFOUND);
	assert_int_equal(ps_store_cell_start(s, id, "search/a", 1, NULL), PS_OK);
	assert_int_equal(ps_store_cell_start(s, id, "search/a", 2, NULL),
			 PS_OK); /* after a crash */
	assert_int_equal(ps_store_cell_write(s, id, &failed, NULL), PS_OK);
	assert_int_equal(ps_store_cell_start(s, id, "search/a", 3, NULL), PS_OK); /* again */
	assert_int_equal(ps_store_cell_write(s, id, &x, NULL), PS_OK);
	assert_int_equal(ps_store_cell_start(s, id, "search/a", 4, NULL), PS_EEXIST);
	assert_int_equal(ps_store_cell_write(s, id, &x, NULL), PS_EINVAL); /* never doubled */
	x.state = PS_STORE_RUNNING;
	assert_int_equal(ps_store_cell_write(s, id, &x, NULL), PS_EINVAL);
	ps_store_close(s);
}

/* A cell that meets a full file leaves nothing, and the store stays usable. */
static void test_full(void **state)
{
	struct fixture *f = *state;
	int64_t id = 0, pages = 0;
	struct ps_error err;
	struct ps_store *s = open_with_campaign(f, &id);
	sqlite3_stmt *q;
	assert_int_equal(sqlite3_prepare_v2(s->db, "PRAGMA page_count", -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	pages = sqlite3_column_int64(q, 0);
	(void)sqlite3_finalize(q);

	struct ps_store_cell x = sample_cell("search/a", 1);
	char *big = calloc(1, 100000);
	struct ps_store_result r = x.trials[0].results[0];
	struct ps_store_trial t = x.trials[0];
	r.service = (struct ps_store_blob){big, 100000};
	t.results = &r;
	x.trials = &t;
	assert_int_equal(ps_store_cell_start(s, id, "search/a", 1, &err), PS_OK);
	assert_int_equal(ps_store_limit_pages(s, (int)pages + 4), PS_OK);
	assert_int_equal(ps_store_cell_write(s, id, &x, &err), PS_ENOSPC);
	assert_non_null(strstr(err.hint, "--resume"));
	assert_string_equal(err.where, f->path);

	struct ps_store_campaign *c = NULL;
	assert_int_equal(ps_store_campaign_read(s, id, &c, &err), PS_OK);
	assert_int_equal(c->cells[0].state, PS_STORE_RUNNING);
	assert_int_equal(c->cells[0].trial_len, 0);
	ps_store_campaign_free(c);
	assert_int_equal(ps_store_limit_pages(s, 1000000), PS_OK);
	assert_int_equal(ps_store_cell_write(s, id, &x, &err), PS_OK);
	ps_store_close(s);
	free(big);
}

static void test_files_that_are_not_ours(void **state)
{
	struct fixture *f = *state;
	struct ps_store *s = NULL;
	struct ps_error err;
	assert_int_equal(ps_store_open(f->path, PS_STORE_READ, &s, &err), PS_ENOTFOUND);
	assert_int_equal(ps_store_open(f->path, PS_STORE_WRITE, &s, &err), PS_ENOTFOUND);
	static char text[8192] = "this is a letter, not a database";
	assert_int_equal(ps_file_write(f->path, text, sizeof(text), NULL), PS_OK);
	assert_int_equal(ps_store_open(f->path, PS_STORE_READ, &s, &err), PS_ECORRUPT);
	assert_int_equal(ps_store_open(f->path, PS_STORE_CREATE, &s, &err), PS_ECORRUPT);
	assert_string_equal(err.where, f->path);
	assert_int_equal(unlink(f->path), 0);

	sqlite3 *db;
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE t (x)", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
	assert_int_equal(ps_store_open(f->path, PS_STORE_READ, &s, &err), PS_EINVAL);
	assert_int_equal(ps_store_open(f->path, PS_STORE_CREATE, &s, &err), PS_EINVAL);
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(ps_store_open("/nowhere/r.db", PS_STORE_CREATE, &s, &err), PS_ENOTFOUND);
}

static void test_newer_schema(void **state)
{
	struct fixture *f = *state;
	int64_t id;
	struct ps_error err;
	struct ps_store *s = open_with_campaign(f, &id);
	assert_int_equal(sqlite3_exec(s->db, "PRAGMA user_version = 999", NULL, NULL, NULL),
			 SQLITE_OK);
	ps_store_close(s);
	assert_int_equal(ps_store_open(f->path, PS_STORE_WRITE, &s, &err), PS_EUNSUPPORTED);
	assert_int_equal(ps_store_open(f->path, PS_STORE_READ, &s, &err), PS_EUNSUPPORTED);
}

static void test_one_writer(void **state)
{
	struct fixture *f = *state;
	int64_t id;
	struct ps_error err;
	struct ps_store *s = open_with_campaign(f, &id), *other = NULL;
	assert_int_equal(ps_store_open(f->path, PS_STORE_WRITE, &other, &err), PS_EINUSE);
	assert_int_equal(ps_store_open(f->path, PS_STORE_READ, &other, &err), PS_OK);
	ps_store_close(other);
	ps_store_close(s);
	assert_int_equal(ps_store_open(f->path, PS_STORE_WRITE, &other, &err), PS_OK);
	ps_store_close(other);
}

/* Truncation and flipped bytes are found, or harmless; never a crash. */
static void test_broken_file(void **state)
{
	struct fixture *f = *state;
	int64_t id;
	char *data = NULL;
	size_t len = 0;
	struct ps_store *s = open_with_campaign(f, &id);
	ps_store_close(s);
	assert_int_equal(ps_file_read(f->path, 1 << 24, &data, &len, NULL), PS_OK);
	int found = 0;
	for (size_t at = 100; at < len; at += 997) {
		struct ps_store_campaign *c = NULL;
		char old = data[at];
		memset(data + at, 0x5a, 1);
		assert_int_equal(ps_file_write(f->path, data, len, NULL), PS_OK);
		data[at] = old;
		if (ps_store_open(f->path, PS_STORE_READ, &s, NULL) != PS_OK) {
			found++;
			continue;
		}
		found += ps_store_check(s, NULL) != PS_OK;
		if (ps_store_campaign_read(s, 0, &c, NULL) == PS_OK) {
			ps_store_campaign_free(c);
		}
		ps_store_close(s);
	}
	assert_int_equal(ps_file_write(f->path, data, len / 2, NULL), PS_OK);
	if (ps_store_open(f->path, PS_STORE_READ, &s, NULL) == PS_OK) {
		assert_int_equal(ps_store_check(s, NULL), PS_ECORRUPT);
		ps_store_close(s);
	}
	free(data);
	assert_true(found > 0);
}

/* Every statement compiles against the schema, and none scans a growing table without an index. */
static void test_statements(void **state)
{
	struct fixture *f = *state;
	int64_t id;
	struct ps_store *s = open_with_campaign(f, &id);
	for (int i = 0; i < PS_STMT_COUNT; i++) {
		sqlite3_stmt *q = NULL;
		char *sql = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", ps_store_stmts[i].sql);
		assert_non_null(ps_store_stmts[i].name);
		if (sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) != SQLITE_OK) {
			fail_msg("%s: %s", ps_store_stmts[i].name, sqlite3_errmsg(s->db));
		}
		while (sqlite3_step(q) == SQLITE_ROW) {
			const char *plan_text = (const char *)sqlite3_column_text(q, 3);
			/* the list and the checks read everything by nature */
			bool whole = i == PS_STMT_LIST || i == PS_STMT_CAMPAIGN_LAST ||
				     i == PS_STMT_CHECK_EMPTY_CELLS || i == PS_STMT_CHECK_COUNTS ||
				     i == PS_STMT_CAMPAIGNS_ALL || i == PS_STMT_CAMPAIGNS_SEALED ||
				     i == PS_STMT_RESULTS_ALL;
			if (strncmp(plan_text, "SCAN", 4) == 0 && !whole) {
				fail_msg("%s: %s", ps_store_stmts[i].name, plan_text);
			}
		}
		(void)sqlite3_finalize(q);
		sqlite3_free(sql);
	}
	ps_store_close(s);
}

/* Each older schema is raised to the present one; a new file goes through all of them. */
static void test_migrations(void **state)
{
	struct fixture *f = *state;
	for (int from = 0; from < PS_STORE_SCHEMA_VERSION; from++) {
		struct ps_store s = {.path = f->path, .lock_fd = -1, .writable = true};
		struct ps_store *up = NULL;
		struct ps_error err;
		(void)unlink(f->path);
		assert_int_equal(sqlite3_open(f->path, &s.db), SQLITE_OK);
		if (from > 0) {
			assert_int_equal(ps_store_migrate(&s, from, &err), PS_OK);
		}
		(void)sqlite3_close(s.db);
		/* an empty file is nothing to read; an older one is raised in memory */
		enum ps_status reading = ps_store_open(f->path, PS_STORE_READ, &up, &err);
		assert_int_equal(reading, from > 0 ? PS_OK : PS_EINVAL);
		ps_store_close(reading == PS_OK ? up : NULL);
		assert_int_equal(ps_store_open(f->path, PS_STORE_WRITE, &up, &err), PS_OK);
		struct ps_store_campaign c = sample_campaign();
		int64_t id;
		assert_int_equal(ps_store_campaign_begin(up, &c, &id, &err), PS_OK);
		ps_store_close(up);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_requests_round_trip),
		T(test_campaign_round_trip),
		T(test_cell_states),
		T(test_full),
		T(test_files_that_are_not_ours),
		T(test_newer_schema),
		T(test_one_writer),
		T(test_broken_file),
		T(test_statements),
		T(test_migrations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
