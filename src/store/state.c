#include "store/state.h"

#include "base/file.h"
#include "store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define BUSY_TIMEOUT_MS 5000
#define APPLICATION_ID	0x50535354 /* "PSST" */

enum statement {
	RUN_INSERT,
	RUN_WRITTEN,
	RUN_ENDED,
	USAGE_PUT,
	USAGE_SUM,
	USAGE_BY_MINUTE,
	LOSS,
	LAST_WRITE,
	OLDEST,
	USAGE_DROP,
	RUN_DROP,
	KEPT_PUT,
	LOAD_PUT,
	LOADS,
	DEMAND_PUT,
	DEMAND,
	STATEMENT_COUNT
};

static const char schema[] =
	"CREATE TABLE run (id INTEGER PRIMARY KEY, started_ns INTEGER NOT NULL,"
	" written_ns INTEGER NOT NULL, ended_ns INTEGER) STRICT;"
	"CREATE TABLE usage (minute INTEGER NOT NULL, tenant TEXT NOT NULL, model TEXT NOT NULL,"
	" version INTEGER NOT NULL, run INTEGER NOT NULL REFERENCES run,"
	" requests INTEGER NOT NULL, failed INTEGER NOT NULL, inferences INTEGER NOT NULL,"
	" compute_ns INTEGER NOT NULL, resident_byte_s INTEGER NOT NULL,"
	" PRIMARY KEY (minute, tenant, model, version, run)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE load (seq INTEGER PRIMARY KEY, model TEXT NOT NULL, version INTEGER NOT NULL,"
	" tenant TEXT NOT NULL, loaded INTEGER NOT NULL, config TEXT, asked_ns INTEGER NOT NULL,"
	" UNIQUE (model, version, tenant)) STRICT;"
	"CREATE TABLE demand (tenant TEXT NOT NULL, model TEXT NOT NULL, rps REAL NOT NULL,"
	" at_ns INTEGER NOT NULL, PRIMARY KEY (tenant, model)) STRICT, WITHOUT ROWID;";

/* Files of before may be without it: made when a server opens them, and absent is nothing. */
static const char kept_schema[] =
	"CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY, minute INTEGER NOT NULL) STRICT";

/* ?1 tenant, ?2 model (NULL: all), ?3 first minute, ?4 first minute behind (0: none) */
#define WHERE                                                                                      \
	" FROM usage WHERE minute >= ?3 AND (?4 = 0 OR minute < ?4)"                               \
	" AND (?1 IS NULL OR tenant = ?1) AND (?2 IS NULL OR model = ?2)"
#define SUMS " sum(requests), sum(failed), sum(inferences), sum(compute_ns), sum(resident_byte_s)"

static const char *const statements[STATEMENT_COUNT] = {
	[RUN_INSERT] = "INSERT INTO run (started_ns, written_ns) VALUES (?1, ?1)",
	[RUN_WRITTEN] = "UPDATE run SET written_ns = ?2 WHERE id = ?1",
	[RUN_ENDED] = "UPDATE run SET written_ns = ?2, ended_ns = ?2 WHERE id = ?1",
	[USAGE_PUT] = "INSERT OR REPLACE INTO usage (run, tenant, model, version, minute, requests,"
		      " failed, inferences, compute_ns, resident_byte_s)"
		      " VALUES (?,?,?,?,?,?,?,?,?,?)",
	[USAGE_SUM] = "SELECT tenant, model, version, 0," SUMS WHERE
		      " GROUP BY tenant, model, version ORDER BY tenant, model, version",
	[USAGE_BY_MINUTE] =
		"SELECT tenant, model, version, minute," SUMS WHERE
		" GROUP BY tenant, model, version, minute ORDER BY tenant, model, version, minute",
	[LOSS] = "SELECT count(*), coalesce(sum(ended_ns IS NULL), 0) FROM run"
		 " WHERE (?2 = 0 OR started_ns < ?2)"
		 " AND written_ns + ?3 >= ?1",
	[LAST_WRITE] = "SELECT coalesce(max(written_ns), 0) FROM run",
	[OLDEST] = "SELECT coalesce(min(minute), ?1) FROM usage WHERE minute < ?1",
	[USAGE_DROP] = "DELETE FROM usage WHERE minute = ?1",
	[RUN_DROP] = "DELETE FROM run WHERE id <> ?1 AND written_ns < ?2",
	[KEPT_PUT] = "INSERT INTO kept (id, minute) VALUES (1, ?1)"
		     " ON CONFLICT (id) DO UPDATE SET minute = max(minute, excluded.minute)",
	[LOAD_PUT] =
		"INSERT OR REPLACE INTO load (model, version, tenant, loaded, config, asked_ns)"
		" VALUES (?,?,?,?,?,?)",
	[LOADS] = "SELECT model, version, tenant, loaded, config FROM load ORDER BY seq",
	[DEMAND_PUT] = "INSERT OR REPLACE INTO demand (tenant, model, rps, at_ns) VALUES (?,?,?,?)",
	[DEMAND] = "SELECT rps FROM demand WHERE tenant = ?1 AND model = ?2",
};

struct ps_state {
	sqlite3 *db;
	char *path;
	int lock_fd; /* a server's; -1: a reader's */
	int64_t run;
	sqlite3_stmt *stmts[STATEMENT_COUNT]; /* prepared on first use */
};

/* --- errors --- */

static enum ps_status failed(struct ps_state *s, int rc, const char *doing, struct ps_error *err)
{
	/* A file that cannot be opened is one that the user may not have there. */
	enum ps_status status =
		(rc & 0xff) == SQLITE_CANTOPEN ? PS_EFORBIDDEN : ps_store_status(rc);
	if (status == PS_EIO && s->db && sqlite3_system_errno(s->db) == ENOSPC)
		status = PS_ENOSPC;
	ps_error_set(err, status, "cannot %s: %s", doing,
		     s->db ? sqlite3_errmsg(s->db) : "no memory");
	ps_error_where(err, "%s", s->path);
	return status;
}

static enum ps_status exec(struct ps_state *s, const char *sql, const char *doing,
			   struct ps_error *err)
{
	int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? PS_OK : failed(s, rc, doing, err);
}

static void rollback(struct ps_state *s)
{
	if (!sqlite3_get_autocommit(s->db))
		(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

/* --- statements --- */

static enum ps_status prepare(struct ps_state *s, enum statement id, sqlite3_stmt **ret_stmt,
			      struct ps_error *err)
{
	if (!s->stmts[id]) {
		int rc = sqlite3_prepare_v3(s->db, statements[id], -1, SQLITE_PREPARE_PERSISTENT,
					    &s->stmts[id], NULL);
		if (rc != SQLITE_OK)
			return failed(s, rc, "prepare a statement", err);
	}
	sqlite3_reset(s->stmts[id]);
	sqlite3_clear_bindings(s->stmts[id]);
	*ret_stmt = s->stmts[id];
	return PS_OK;
}

static void bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
	if (text)
		sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
}

/* Runs a statement that gives no rows. Values that could not be bound for want of memory are NULL,
 * which every column here refuses. */
static enum ps_status run(struct ps_state *s, sqlite3_stmt *stmt, const char *doing,
			  struct ps_error *err)
{
	int rc = sqlite3_step(stmt);
	enum ps_status status = rc == SQLITE_DONE ? PS_OK : failed(s, rc, doing, err);
	sqlite3_reset(stmt);
	return status;
}

/* --- opening --- */

static enum ps_status read_version(struct ps_state *s, const char *pragma, int64_t *ret_value,
				   struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(s->db, pragma, -1, &stmt, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret_value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return rc == SQLITE_ROW ? PS_OK : failed(s, rc, "read the file", err);
}

/* One transaction, so that a file is never half made. */
static enum ps_status make_schema(struct ps_state *s, struct ps_error *err)
{
	char sql[2048];
	snprintf(sql, sizeof sql,
		 "BEGIN IMMEDIATE; %s PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
		 schema, APPLICATION_ID, PS_STATE_VERSION);
	enum ps_status status = exec(s, sql, "make the tables", err);
	if (status != PS_OK)
		rollback(s);
	return status;
}

static enum ps_status check_version(struct ps_state *s, bool make, struct ps_error *err)
{
	int64_t version = 0, id = 0;
	enum ps_status status = read_version(s, "PRAGMA user_version", &version, err);
	if (status == PS_OK)
		status = read_version(s, "PRAGMA application_id", &id, err);
	if (status != PS_OK)
		return status;
	if (version == 0 && id == 0 && make)
		return make_schema(s, err);
	if (id != APPLICATION_ID)
		status = ps_error_set(err, PS_EINVAL, "not a state file of a server");
	else if (version > PS_STATE_VERSION)
		status = ps_error_set(err, PS_EUNSUPPORTED, "written by a newer Perseus");
	if (status != PS_OK)
		ps_error_where(err, "%s", s->path);
	return status;
}

/* A file of its own for the lock: closing any descriptor of the database would drop SQLite's. */
static enum ps_status take_lock(struct ps_state *s, const char *dir, struct ps_error *err)
{
	char *path = NULL;
	if (asprintf(&path, "%s/perseus-state.lock", dir) < 0)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	enum ps_status status = PS_OK;
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock_fd < 0) {
		status = ps_error_errno(err, errno, "cannot write");
		ps_error_where(err, "%s", path);
	} else if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		status = ps_error_set(err, PS_EINUSE, "another server keeps its state here");
		ps_error_where(err, "%s", dir);
	}
	free(path);
	return status;
}

static enum ps_status open_db(struct ps_state *s, int flags, struct ps_error *err)
{
	int rc = sqlite3_open_v2(s->path, &s->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK)
		return failed(s, rc, "open the state file", err);
	sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MS);
	return PS_OK;
}

static enum ps_status new_state(const char *dir, struct ps_state **ret_state, struct ps_error *err)
{
	struct ps_state *s = calloc(1, sizeof *s);
	if (!s || asprintf(&s->path, "%s/%s", dir, PS_STATE_FILE) < 0) {
		free(s);
		ps_error_set(err, PS_ENOMEM, "out of memory");
		return PS_ENOMEM;
	}
	s->lock_fd = -1;
	*ret_state = s;
	return PS_OK;
}

static enum ps_status begin_run(struct ps_state *s, int64_t wall_ns, struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum ps_status status = prepare(s, RUN_INSERT, &stmt, err);
	if (status != PS_OK)
		return status;
	sqlite3_bind_int64(stmt, 1, wall_ns);
	status = run(s, stmt, "begin a run", err);
	if (status == PS_OK)
		s->run = sqlite3_last_insert_rowid(s->db);
	return status;
}

enum ps_status ps_state_open(const char *dir, int64_t wall_ns, struct ps_state **ret_state,
			     struct ps_error *err)
{
	struct ps_state *s = NULL;
	enum ps_status status = ps_file_mkdirs(dir, err);
	if (status == PS_OK)
		status = new_state(dir, &s, err);
	if (status != PS_OK)
		return status;
	status = take_lock(s, dir, err);
	if (status == PS_OK)
		status = open_db(s, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err);
	/* With FULL a written row survives a loss of power, not only of the process. */
	if (status == PS_OK)
		status = exec(s, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL",
			      "open the state file", err);
	if (status == PS_OK)
		status = check_version(s, true, err);
	if (status == PS_OK)
		status = exec(s, kept_schema, "make the tables", err);
	if (status == PS_OK)
		status = begin_run(s, wall_ns, err);
	if (status != PS_OK) {
		ps_state_close(s);
		return status;
	}
	*ret_state = s;
	return PS_OK;
}

enum ps_status ps_state_open_reading(const char *dir, struct ps_state **ret_state,
				     struct ps_error *err)
{
	struct ps_state *s = NULL;
	enum ps_status status = new_state(dir, &s, err);
	if (status != PS_OK)
		return status;
	if (!ps_file_exists(s->path)) {
		status = ps_error_set(err, PS_ENOTFOUND, "there is no state file");
		ps_error_where(err, "%s", s->path);
	}
	if (status == PS_OK)
		status = open_db(s, SQLITE_OPEN_READWRITE, err);
	if (status == PS_EFORBIDDEN) { /* enough to read, when no server is writing */
		sqlite3_close(s->db);
		s->db = NULL;
		status = open_db(s, SQLITE_OPEN_READONLY, err);
	}
	if (status == PS_OK)
		status = exec(s, "PRAGMA query_only = 1", "open the state file", err);
	if (status == PS_OK)
		status = check_version(s, false, err);
	if (status != PS_OK) {
		ps_state_close(s);
		return status;
	}
	*ret_state = s;
	return PS_OK;
}

void ps_state_close(struct ps_state *s)
{
	if (!s)
		return;
	for (int i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(s->stmts[i]);
	sqlite3_close(s->db);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	free(s->path);
	free(s);
}

static enum ps_status mark(struct ps_state *s, enum statement id, int64_t wall_ns,
			   struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum ps_status status = prepare(s, id, &stmt, err);
	if (status != PS_OK)
		return status;
	sqlite3_bind_int64(stmt, 1, s->run);
	sqlite3_bind_int64(stmt, 2, wall_ns);
	return run(s, stmt, "write the run", err);
}

enum ps_status ps_state_end(struct ps_state *s, int64_t wall_ns, struct ps_error *err)
{
	return mark(s, RUN_ENDED, wall_ns, err);
}

enum ps_status ps_state_begin_again(struct ps_state *s, int64_t wall_ns, struct ps_error *err)
{
	int64_t old = s->run;
	enum ps_status status = exec(s, "BEGIN IMMEDIATE", "begin to write", err);
	if (status == PS_OK)
		status = mark(s, RUN_ENDED, wall_ns, err);
	if (status == PS_OK)
		status = begin_run(s, wall_ns, err);
	if (status == PS_OK)
		status = exec(s, "COMMIT", "begin a run", err);
	if (status != PS_OK) {
		rollback(s);
		s->run = old;
	}
	return status;
}

/* --- usage --- */

static enum ps_status put_usage(struct ps_state *s, const struct ps_state_usage *u,
				struct ps_error *err)
{
	const int64_t values[] = {u->version,	 u->minute,	u->requests,	   u->failed,
				  u->inferences, u->compute_ns, u->resident_byte_s};
	sqlite3_stmt *stmt = NULL;
	enum ps_status status = prepare(s, USAGE_PUT, &stmt, err);
	if (status != PS_OK)
		return status;
	sqlite3_bind_int64(stmt, 1, s->run);
	bind_text(stmt, 2, u->tenant);
	bind_text(stmt, 3, u->model);
	for (int i = 0; i < 7; i++)
		sqlite3_bind_int64(stmt, 4 + i, values[i]);
	return run(s, stmt, "write usage", err);
}

enum ps_status ps_state_write(struct ps_state *s, const struct ps_state_usage *rows, size_t n,
			      int64_t wall_ns, struct ps_error *err)
{
	enum ps_status status = exec(s, "BEGIN IMMEDIATE", "begin to write", err);
	for (size_t i = 0; status == PS_OK && i < n; i++)
		status = put_usage(s, &rows[i], err);
	if (status == PS_OK)
		status = mark(s, RUN_WRITTEN, wall_ns, err);
	if (status == PS_OK)
		status = exec(s, "COMMIT", "write usage", err);
	if (status != PS_OK)
		rollback(s);
	return status;
}

static void bind_query(sqlite3_stmt *stmt, const struct ps_state_query *q)
{
	bind_text(stmt, 1, q->tenant);
	bind_text(stmt, 2, q->model);
	sqlite3_bind_int64(stmt, 3, q->from_minute);
	sqlite3_bind_int64(stmt, 4, q->to_minute);
}

static struct ps_state_usage usage_of(sqlite3_stmt *stmt)
{
	return (struct ps_state_usage){
		.tenant = (const char *)sqlite3_column_text(stmt, 0),
		.model = (const char *)sqlite3_column_text(stmt, 1),
		.version = sqlite3_column_int64(stmt, 2),
		.minute = sqlite3_column_int64(stmt, 3),
		.requests = sqlite3_column_int64(stmt, 4),
		.failed = sqlite3_column_int64(stmt, 5),
		.inferences = sqlite3_column_int64(stmt, 6),
		.compute_ns = sqlite3_column_int64(stmt, 7),
		.resident_byte_s = sqlite3_column_int64(stmt, 8),
	};
}

enum ps_status ps_state_read(struct ps_state *s, const struct ps_state_query *q,
			     bool (*row)(void *ctx, const struct ps_state_usage *u), void *ctx,
			     struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum ps_status status = prepare(s, q->by_minute ? USAGE_BY_MINUTE : USAGE_SUM, &stmt, err);
	if (status != PS_OK)
		return status;
	bind_query(stmt, q);
	int rc = SQLITE_DONE;
	bool more = true;
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct ps_state_usage u = usage_of(stmt);
		if (!u.tenant || !u.model) {
			rc = SQLITE_NOMEM;
			break;
		}
		more = row(ctx, &u);
	}
	if (more && rc == SQLITE_ERROR) {
		status = ps_error_set(err, PS_ECORRUPT, "cannot add up usage: %s",
				      sqlite3_errmsg(s->db)); /* over 64 bits */
		ps_error_where(err, "%s", s->path);
	} else if (more && rc != SQLITE_DONE) {
		status = failed(s, rc, "read usage", err);
	}
	sqlite3_reset(stmt);
	return status;
}

/* 0 also where there is no such table. */
static int64_t read_kept(struct ps_state *s)
{
	sqlite3_stmt *stmt = NULL;
	int64_t minute = 0;
	if (sqlite3_prepare_v2(s->db, "SELECT minute FROM kept", -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW)
		minute = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return minute;
}

enum ps_status ps_state_loss(struct ps_state *s, const struct ps_state_query *q,
			     struct ps_state_loss *ret_loss, struct ps_error *err)
{
	struct ps_state_loss loss = {0};
	sqlite3_stmt *stmt = NULL, *last = NULL;
	enum ps_status status = prepare(s, LOSS, &stmt, err);
	if (status == PS_OK)
		status = prepare(s, LAST_WRITE, &last, err);
	if (status != PS_OK)
		return status;
	sqlite3_bind_int64(stmt, 1, q->from_minute * PS_STATE_NS_PER_MINUTE);
	sqlite3_bind_int64(stmt, 2, q->to_minute * PS_STATE_NS_PER_MINUTE);
	sqlite3_bind_int64(stmt, 3, PS_STATE_FLUSH_NS);
	int rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		loss.runs = sqlite3_column_int(stmt, 0);
		loss.killed = sqlite3_column_int(stmt, 1);
		loss.open_ns = loss.killed * PS_STATE_FLUSH_NS;
		rc = sqlite3_step(last);
	}
	if (rc == SQLITE_ROW)
		loss.last_write_ns = sqlite3_column_int64(last, 0);
	else
		status = failed(s, rc, "read the runs", err);
	sqlite3_reset(stmt);
	sqlite3_reset(last);
	loss.kept_minute = read_kept(s);
	if (status == PS_OK)
		*ret_loss = loss;
	return status;
}

/* --- retention --- */

/* Runs one statement with one or two numbers. */
static enum ps_status run_numbers(struct ps_state *s, enum statement id, int64_t a, int64_t b,
				  struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum ps_status status = prepare(s, id, &stmt, err);
	if (status != PS_OK)
		return status;
	sqlite3_bind_int64(stmt, 1, a);
	if (sqlite3_bind_parameter_count(stmt) > 1)
		sqlite3_bind_int64(stmt, 2, b);
	return run(s, stmt, "delete old usage", err);
}

/* The oldest minute that has usage, `minute` when none is before it. */
static enum ps_status find_oldest(struct ps_state *s, int64_t minute, int64_t *ret_oldest,
				  struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum ps_status status = prepare(s, OLDEST, &stmt, err);
	if (status != PS_OK)
		return status;
	sqlite3_bind_int64(stmt, 1, minute);
	int rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret_oldest = sqlite3_column_int64(stmt, 0);
	else
		status = failed(s, rc, "read usage", err);
	sqlite3_reset(stmt);
	return status;
}

static enum ps_status forget_locked(struct ps_state *s, int64_t minute, int max_minutes,
				    struct ps_error *err)
{
	int64_t oldest = 0;
	enum ps_status status = find_oldest(s, minute, &oldest, err);
	for (int i = 0; status == PS_OK && oldest < minute && i < max_minutes; i++) {
		status = run_numbers(s, USAGE_DROP, oldest, 0, err);
		if (status == PS_OK)
			status = run_numbers(s, KEPT_PUT, oldest + 1, 0, err);
		if (status == PS_OK)
			status = find_oldest(s, minute, &oldest, err);
	}
	if (status == PS_OK && oldest >= minute)
		status = run_numbers(s, RUN_DROP, s->run, minute * PS_STATE_NS_PER_MINUTE, err);
	return status;
}

enum ps_status ps_state_forget(struct ps_state *s, int64_t minute, int max_minutes,
			       struct ps_error *err)
{
	enum ps_status status = exec(s, "BEGIN IMMEDIATE", "begin to write", err);
	if (status == PS_OK)
		status = forget_locked(s, minute, max_minutes, err);
	if (status == PS_OK)
		status = exec(s, "COMMIT", "delete old usage", err);
	if (status != PS_OK)
		rollback(s);
	return status;
}

/* --- loads and demand --- */

enum ps_status ps_state_put_load(struct ps_state *s, const struct ps_state_load *l, int64_t wall_ns,
				 struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum ps_status status = prepare(s, LOAD_PUT, &stmt, err);
	if (status != PS_OK)
		return status;
	bind_text(stmt, 1, l->model);
	sqlite3_bind_int64(stmt, 2, l->version);
	bind_text(stmt, 3, l->tenant ? l->tenant : "");
	sqlite3_bind_int(stmt, 4, l->loaded);
	bind_text(stmt, 5, l->config);
	sqlite3_bind_int64(stmt, 6, wall_ns);
	return run(s, stmt, "remember a load", err);
}

enum ps_status ps_state_loads(struct ps_state *s,
			      bool (*row)(void *ctx, const struct ps_state_load *l), void *ctx,
			      struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum ps_status status = prepare(s, LOADS, &stmt, err);
	if (status != PS_OK)
		return status;
	int rc = SQLITE_DONE;
	bool more = true;
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const char *tenant = (const char *)sqlite3_column_text(stmt, 2);
		struct ps_state_load l = {
			.model = (const char *)sqlite3_column_text(stmt, 0),
			.version = sqlite3_column_int64(stmt, 1),
			.tenant = tenant && tenant[0] ? tenant : NULL,
			.loaded = sqlite3_column_int(stmt, 3) != 0,
			.config = (const char *)sqlite3_column_text(stmt, 4),
		};
		if (!l.model) {
			rc = SQLITE_NOMEM;
			break;
		}
		more = row(ctx, &l);
	}
	if (more && rc != SQLITE_DONE)
		status = failed(s, rc, "read the loads", err);
	sqlite3_reset(stmt);
	return status;
}

static enum ps_status put_demand(struct ps_state *s, const struct ps_state_demand_row *row,
				 int64_t wall_ns, struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum ps_status status = prepare(s, DEMAND_PUT, &stmt, err);
	if (status != PS_OK)
		return status;
	bind_text(stmt, 1, row->tenant);
	bind_text(stmt, 2, row->model);
	sqlite3_bind_double(stmt, 3, row->rps);
	sqlite3_bind_int64(stmt, 4, wall_ns);
	return run(s, stmt, "write demand", err);
}

enum ps_status ps_state_put_demand(struct ps_state *s, const struct ps_state_demand_row *rows,
				   size_t n, int64_t wall_ns, struct ps_error *err)
{
	enum ps_status status = exec(s, "BEGIN IMMEDIATE", "begin to write", err);
	for (size_t i = 0; status == PS_OK && i < n; i++)
		status = put_demand(s, &rows[i], wall_ns, err);
	if (status == PS_OK)
		status = exec(s, "COMMIT", "write demand", err);
	if (status != PS_OK)
		rollback(s);
	return status;
}

enum ps_status ps_state_demand(struct ps_state *s, const char *tenant, const char *model,
			       double *ret_rps, struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum ps_status status = prepare(s, DEMAND, &stmt, err);
	if (status != PS_OK)
		return status;
	bind_text(stmt, 1, tenant);
	bind_text(stmt, 2, model);
	int rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		*ret_rps = rc == SQLITE_ROW ? sqlite3_column_double(stmt, 0) : 0;
	else
		status = failed(s, rc, "read demand", err);
	sqlite3_reset(stmt);
	return status;
}
