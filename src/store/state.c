/* state.c - the state file: opened, locked, its runs. (state_usage.c: the ledger; state_loads.c:
 * what the API asked for, and demand.)
 */
#include "base/file.h"
#include "store/state_internal.h"
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

#define DEMAND_TABLE                                                                               \
	"CREATE TABLE demand (tenant TEXT NOT NULL, model TEXT NOT NULL,"                          \
	" version INTEGER NOT NULL, rps REAL NOT NULL, at_ns INTEGER NOT NULL,"                    \
	" PRIMARY KEY (tenant, model, version)) STRICT, WITHOUT ROWID;"

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
	" UNIQUE (model, version, tenant)) STRICT;" DEMAND_TABLE;

/* Files of before may be without them: made when a server opens them, and absent is nothing. */
static const char kept_schema[] =
	"CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY, minute INTEGER NOT NULL) STRICT;"
	"CREATE TABLE IF NOT EXISTS load_scale (step TEXT PRIMARY KEY, scale REAL NOT NULL)"
	" STRICT, WITHOUT ROWID";

/* ?1 tenant, ?2 model (NULL: all), ?3 first minute, ?4 first minute behind (0: none) */
#define WHERE                                                                                      \
	" FROM usage WHERE minute >= ?3 AND (?4 = 0 OR minute < ?4)"                               \
	" AND (?1 IS NULL OR tenant = ?1) AND (?2 IS NULL OR model = ?2)"
#define SUMS " sum(requests), sum(failed), sum(inferences), sum(compute_ns), sum(resident_byte_s)"

static const char *const statements[PS_STATE_STATEMENTS] = {
	[PS_STATE_RUN_INSERT] = "INSERT INTO run (started_ns, written_ns) VALUES (?1, ?1)",
	[PS_STATE_RUN_WRITTEN] = "UPDATE run SET written_ns = ?2 WHERE id = ?1",
	[PS_STATE_RUN_ENDED] = "UPDATE run SET written_ns = ?2, ended_ns = ?2 WHERE id = ?1",
	[PS_STATE_USAGE_PUT] =
		"INSERT OR REPLACE INTO usage (run, tenant, model, version, minute, requests,"
		" failed, inferences, compute_ns, resident_byte_s)"
		" VALUES (?,?,?,?,?,?,?,?,?,?)",
	[PS_STATE_USAGE_SUM] = "SELECT tenant, model, version, 0," SUMS WHERE
			       " GROUP BY tenant, model, version ORDER BY tenant, model, version",
	[PS_STATE_USAGE_BY_MINUTE] =
		"SELECT tenant, model, version, minute," SUMS WHERE
		" GROUP BY tenant, model, version, minute ORDER BY tenant, model, version, minute",
	[PS_STATE_LOSS] = "SELECT count(*), coalesce(sum(ended_ns IS NULL), 0) FROM run"
			  " WHERE (?2 = 0 OR started_ns < ?2)"
			  " AND written_ns + ?3 >= ?1",
	[PS_STATE_LAST_WRITE] = "SELECT coalesce(max(written_ns), 0) FROM run",
	[PS_STATE_OLDEST] = "SELECT coalesce(min(minute), ?1) FROM usage WHERE minute < ?1",
	[PS_STATE_USAGE_DROP] = "DELETE FROM usage WHERE minute = ?1",
	[PS_STATE_RUN_DROP] = "DELETE FROM run WHERE id <> ?1 AND written_ns < ?2",
	[PS_STATE_KEPT_PUT] =
		"INSERT INTO kept (id, minute) VALUES (1, ?1)"
		" ON CONFLICT (id) DO UPDATE SET minute = max(minute, excluded.minute)",
	[PS_STATE_LOAD_PUT] =
		"INSERT OR REPLACE INTO load (model, version, tenant, loaded, config, asked_ns)"
		" VALUES (?,?,?,?,?,?)",
	[PS_STATE_LOADS] = "SELECT model, version, tenant, loaded, config FROM load ORDER BY seq",
	[PS_STATE_DEMAND_PUT] = "INSERT OR REPLACE INTO demand (tenant, model, version, rps, at_ns)"
				" VALUES (?,?,?,?,?)",
	[PS_STATE_DEMAND] =
		"SELECT rps FROM demand WHERE tenant = ?1 AND model = ?2 AND version = ?3",
	[PS_STATE_LOAD_SCALE_PUT] = "INSERT OR REPLACE INTO load_scale (step, scale) VALUES (?,?)",
	[PS_STATE_LOAD_SCALE] = "SELECT scale FROM load_scale WHERE step = ?1",
	[PS_STATE_DEMANDS] = "SELECT tenant, model, version, rps FROM demand ORDER BY rps DESC",
};

/* --- errors --- */

enum ps_status ps_state_failed(struct ps_state *s, int rc, const char *doing, struct ps_error *err)
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

enum ps_status ps_state_exec(struct ps_state *s, const char *sql, const char *doing,
			     struct ps_error *err)
{
	int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? PS_OK : ps_state_failed(s, rc, doing, err);
}

void ps_state_rollback(struct ps_state *s)
{
	if (!sqlite3_get_autocommit(s->db))
		(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

/* --- statements --- */

enum ps_status ps_state_prepare(struct ps_state *s, enum ps_state_statement id,
				sqlite3_stmt **ret_stmt, struct ps_error *err)
{
	if (!s->stmts[id]) {
		int rc = sqlite3_prepare_v3(s->db, statements[id], -1, SQLITE_PREPARE_PERSISTENT,
					    &s->stmts[id], NULL);
		if (rc != SQLITE_OK)
			return ps_state_failed(s, rc, "prepare a statement", err);
	}
	sqlite3_reset(s->stmts[id]);
	sqlite3_clear_bindings(s->stmts[id]);
	*ret_stmt = s->stmts[id];
	return PS_OK;
}

void ps_state_bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
	if (text)
		sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
}

/* Runs a statement that gives no rows. Values that could not be bound for want of memory are NULL,
 * which every column here refuses. */
enum ps_status ps_state_run(struct ps_state *s, sqlite3_stmt *stmt, const char *doing,
			    struct ps_error *err)
{
	int rc = sqlite3_step(stmt);
	enum ps_status status = rc == SQLITE_DONE ? PS_OK : ps_state_failed(s, rc, doing, err);
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
	return rc == SQLITE_ROW ? PS_OK : ps_state_failed(s, rc, "read the file", err);
}

/* One transaction, so that a file is never half made. */
static enum ps_status make_schema(struct ps_state *s, struct ps_error *err)
{
	char sql[2048];
	snprintf(sql, sizeof sql,
		 "BEGIN IMMEDIATE; %s PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
		 schema, APPLICATION_ID, PS_STATE_VERSION);
	enum ps_status status = ps_state_exec(s, sql, "make the tables", err);
	if (status != PS_OK)
		ps_state_rollback(s);
	return status;
}

/* Files of version 1 had no versions in their demand: it is seen again within minutes. */
static enum ps_status move_up(struct ps_state *s, struct ps_error *err)
{
	char sql[512];
	snprintf(sql, sizeof sql,
		 "BEGIN IMMEDIATE; DROP TABLE demand; %s PRAGMA user_version = %d; COMMIT",
		 DEMAND_TABLE, PS_STATE_VERSION);
	enum ps_status status = ps_state_exec(s, sql, "make the tables anew", err);
	if (status != PS_OK)
		ps_state_rollback(s);
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
	else if (version < PS_STATE_VERSION && make)
		return move_up(s, err);
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
		return ps_state_failed(s, rc, "open the state file", err);
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
	enum ps_status status = ps_state_prepare(s, PS_STATE_RUN_INSERT, &stmt, err);
	if (status != PS_OK)
		return status;
	sqlite3_bind_int64(stmt, 1, wall_ns);
	status = ps_state_run(s, stmt, "begin a run", err);
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
		status = ps_state_exec(s, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL",
				       "open the state file", err);
	if (status == PS_OK)
		status = check_version(s, true, err);
	if (status == PS_OK)
		status = ps_state_exec(s, kept_schema, "make the tables", err);
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
		status = ps_state_exec(s, "PRAGMA query_only = 1", "open the state file", err);
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
	for (int i = 0; i < PS_STATE_STATEMENTS; i++)
		sqlite3_finalize(s->stmts[i]);
	sqlite3_close(s->db);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	free(s->path);
	free(s);
}

enum ps_status ps_state_mark(struct ps_state *s, enum ps_state_statement id, int64_t wall_ns,
			     struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum ps_status status = ps_state_prepare(s, id, &stmt, err);
	if (status != PS_OK)
		return status;
	sqlite3_bind_int64(stmt, 1, s->run);
	sqlite3_bind_int64(stmt, 2, wall_ns);
	return ps_state_run(s, stmt, "write the run", err);
}

enum ps_status ps_state_end(struct ps_state *s, int64_t wall_ns, struct ps_error *err)
{
	return ps_state_mark(s, PS_STATE_RUN_ENDED, wall_ns, err);
}

enum ps_status ps_state_begin_again(struct ps_state *s, int64_t wall_ns, struct ps_error *err)
{
	int64_t old = s->run;
	enum ps_status status = ps_state_exec(s, "BEGIN IMMEDIATE", "begin to write", err);
	if (status == PS_OK)
		status = ps_state_mark(s, PS_STATE_RUN_ENDED, wall_ns, err);
	if (status == PS_OK)
		status = begin_run(s, wall_ns, err);
	if (status == PS_OK)
		status = ps_state_exec(s, "COMMIT", "begin a run", err);
	if (status != PS_OK) {
		ps_state_rollback(s);
		s->run = old;
	}
	return status;
}
