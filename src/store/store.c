#include "base/strbuf.h"
#include "store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define BUSY_TIMEOUT_MS	 5000
#define FIRST_SEALED	 3	     /* schema version */
#define MAX_RAISED_BYTES (1LL << 30) /* of an older file that is read: its copy is in memory */

const char *const ps_store_kind_names[] = {"search", "confirm", "capacity", "frontier",	 "rates",
					   "pack",   "cold",	"profile",  "operators", NULL};
const char *const ps_store_state_names[] = {"planned", "running", "done", "failed",
					    "skipped", "moved",	  NULL};
const char *const ps_store_role_names[] = {"scale", "step",  "check",	 "demand", "at_capacity",
					   "rates", "first", "profiled", NULL};

const char *ps_store_state_name(enum ps_store_cell_state s)
{
	return ps_store_state_names[s];
}

const char *ps_store_role_name(enum ps_store_role r)
{
	return ps_store_role_names[r];
}

const char *ps_store_kind_name(enum ps_store_cell_kind k)
{
	return ps_store_kind_names[k];
}

enum ps_status ps_store_status(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return PS_ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return PS_EINUSE;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
		return PS_ECORRUPT;
	case SQLITE_NOMEM:
		return PS_ENOMEM;
	case SQLITE_PERM:
	case SQLITE_READONLY:
	case SQLITE_AUTH:
		return PS_EFORBIDDEN;
	case SQLITE_TOOBIG:
		return PS_ETOOBIG;
	default:
		return PS_EIO;
	}
}

static const char *hint_of(enum ps_status st)
{
	switch (st) {
	case PS_ENOSPC:
		return "make room and run again with --resume: finished cells are kept";
	case PS_EINUSE:
		return "another program uses this file: wait for it, or name another file";
	case PS_ECORRUPT:
		return "name another file, or restore this one from a copy";
	case PS_EIO:
		return "is the disk full or failing, or is there a limit on files (ulimit -f)?";
	case PS_EFORBIDDEN:
		return "check the permissions of the file and its folder";
	default:
		return NULL;
	}
}

enum ps_status ps_store_error(struct ps_store *s, struct ps_error *err, int rc, const char *doing)
{
	enum ps_status st = ps_store_status(rc);
	/* The system's errno tells a full disk, or a limit, from other write errors. */
	int e = st == PS_EIO && s->db ? sqlite3_system_errno(s->db) : 0;

	if (e == ENOSPC || e == EDQUOT || e == EFBIG) {
		st = PS_ENOSPC;
	}
	ps_error_set(err, st, "cannot %s: %s%s%s", doing,
		     s->db ? sqlite3_errmsg(s->db) : "no memory", e ? ": " : "",
		     e ? strerror(e) : "");
	ps_error_where(err, "%s", s->path);
	if (hint_of(st)) {
		ps_error_hint(err, "%s", hint_of(st));
	}
	return st;
}

static enum ps_status exec(struct ps_store *s, const char *sql, const char *doing,
			   struct ps_error *err)
{
	int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? PS_OK : ps_store_error(s, err, rc, doing);
}

enum ps_status ps_store_begin(struct ps_store *s, struct ps_error *err)
{
	return exec(s, "BEGIN IMMEDIATE", "begin to write", err);
}

enum ps_status ps_store_commit(struct ps_store *s, struct ps_error *err)
{
	return exec(s, "COMMIT", "write", err);
}

void ps_store_rollback(struct ps_store *s)
{
	if (!sqlite3_get_autocommit(s->db)) {
		(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	}
}

/* ---- statements ---- */

static int bind_one(sqlite3_stmt *stmt, int at, char type, va_list *ap)
{
	const struct ps_store_blob *b;
	const char *text;
	double d;
	int64_t i;

	switch (type) {
	case 'i':
		return sqlite3_bind_int64(stmt, at, va_arg(*ap, int64_t));
	case 'n':
		i = va_arg(*ap, int64_t);
		return i < 0 ? sqlite3_bind_null(stmt, at) : sqlite3_bind_int64(stmt, at, i);
	case 'd':
		d = va_arg(*ap, double);
		return isnan(d) ? sqlite3_bind_null(stmt, at) : sqlite3_bind_double(stmt, at, d);
	case 's':
		text = va_arg(*ap, const char *);
		return text ? sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC)
			    : sqlite3_bind_null(stmt, at);
	default:
		b = va_arg(*ap, const struct ps_store_blob *);
		return b->data ? sqlite3_bind_blob64(stmt, at, b->data, b->len, SQLITE_STATIC)
			       : sqlite3_bind_null(stmt, at);
	}
}

static enum ps_status bind_all(struct ps_store *s, enum ps_store_stmt id, sqlite3_stmt **ret_stmt,
			       struct ps_error *err, const char *types, va_list *ap)
{
	int rc = SQLITE_OK;
	if (!s->stmts[id]) {
		rc = sqlite3_prepare_v3(s->db, ps_store_stmts[id].sql, -1,
					SQLITE_PREPARE_PERSISTENT, &s->stmts[id], NULL);
	}
	sqlite3_stmt *stmt = s->stmts[id];
	if (rc == SQLITE_OK) {
		(void)sqlite3_reset(stmt);
	}
	for (int i = 0; rc == SQLITE_OK && types[i]; i++) {
		rc = bind_one(stmt, i + 1, types[i], ap);
	}
	if (rc != SQLITE_OK) {
		return ps_store_error(s, err, rc, ps_store_stmts[id].name);
	}
	*ret_stmt = stmt;
	return PS_OK;
}

enum ps_status ps_store_bind(struct ps_store *s, enum ps_store_stmt id, sqlite3_stmt **ret_stmt,
			     struct ps_error *err, const char *types, ...)
{
	va_list ap;
	va_start(ap, types);
	enum ps_status st = bind_all(s, id, ret_stmt, err, types, &ap);
	va_end(ap);
	return st;
}

enum ps_status ps_store_run(struct ps_store *s, enum ps_store_stmt id, struct ps_error *err,
			    const char *types, ...)
{
	sqlite3_stmt *stmt = NULL;
	va_list ap;
	va_start(ap, types);
	enum ps_status st = bind_all(s, id, &stmt, err, types, &ap);
	va_end(ap);
	if (st != PS_OK) {
		return st;
	}
	int rc = sqlite3_step(stmt);
	(void)sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? PS_OK : ps_store_error(s, err, rc, "write to the store");
}

enum ps_status ps_store_step(struct ps_store *s, sqlite3_stmt *stmt, bool *ret_row,
			     struct ps_error *err)
{
	int rc = sqlite3_step(stmt);
	*ret_row = rc == SQLITE_ROW;
	if (rc == SQLITE_ROW) {
		return PS_OK;
	}
	(void)sqlite3_reset(stmt); /* ends the implicit read transaction */
	return rc == SQLITE_DONE ? PS_OK : ps_store_error(s, err, rc, "read the store");
}

/* ---- opening ---- */

static enum ps_status pragma_get(struct ps_store *s, const char *name, int64_t *ret,
				 struct ps_error *err)
{
	char sql[64];
	sqlite3_stmt *stmt = NULL;
	sqlite3_snprintf(sizeof(sql), sql, "PRAGMA %s", name);
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &stmt, NULL);
	if (rc == SQLITE_OK) {
		rc = sqlite3_step(stmt);
	}
	if (rc == SQLITE_ROW) {
		*ret = sqlite3_column_int64(stmt, 0);
	}
	(void)sqlite3_finalize(stmt);
	return rc == SQLITE_ROW ? PS_OK : ps_store_error(s, err, rc, "read the store");
}

enum ps_status ps_store_migrate(struct ps_store *s, int version, struct ps_error *err)
{
	int64_t have = 0;
	enum ps_status st = ps_store_begin(s, err);
	if (st == PS_OK) {
		st = pragma_get(s, "user_version", &have, err);
	}
	for (int v = (int)have; st == PS_OK && v < version; v++) {
		st = exec(s, ps_store_migrations[v], "raise the store's schema", err);
	}
	char sql[96];
	sqlite3_snprintf(sizeof(sql), sql, "PRAGMA user_version = %d; PRAGMA application_id = %d",
			 version, PS_STORE_APPLICATION_ID);
	if (st == PS_OK) {
		st = exec(s, sql, "mark the store", err);
	}
	if (st == PS_OK && have > 0 && have < FIRST_SEALED && version >= FIRST_SEALED) {
		st = ps_store_seal_all(s, err);
	}
	if (st == PS_OK) {
		st = ps_store_commit(s, err);
	}
	if (st != PS_OK) {
		ps_store_rollback(s);
	}
	return st;
}

enum ps_status ps_store_limit_pages(struct ps_store *s, int pages)
{
	char sql[64];
	sqlite3_snprintf(sizeof(sql), sql, "PRAGMA max_page_count = %d", pages);
	return exec(s, sql, "limit the store", NULL);
}

/* One writer at a time, for as long as it lives: two campaigns into one file would only wait for
 * each other in the middle of measuring. flock does not meet SQLite's own (fcntl) locks; the
 * descriptor is closed after SQLite has closed the file, as closing drops fcntl locks. */
static enum ps_status take_lock(struct ps_store *s, bool create, struct ps_error *err)
{
	s->lock_fd = open(s->path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0644);
	if (s->lock_fd < 0) {
		ps_error_errno(err, errno, "cannot open the store");
		ps_error_where(err, "%s", s->path);
		return ps_status_from_errno(errno);
	}
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		ps_error_set(err, PS_EINUSE, "another perseus is writing to this store");
		ps_error_where(err, "%s", s->path);
		ps_error_hint(err, "wait for it to end, or name another file");
		return PS_EINUSE;
	}
	return PS_OK;
}

/* Whose file is it, and how old? An empty file is a new store. */
static enum ps_status identify(struct ps_store *s, int64_t *ret_version, struct ps_error *err)
{
	int64_t app = 0, version = 0, schema = 0;
	enum ps_status st = pragma_get(s, "schema_version", &schema, err);
	if (st == PS_OK) {
		st = pragma_get(s, "application_id", &app, err);
	}
	if (st == PS_OK) {
		st = pragma_get(s, "user_version", &version, err);
	}
	if (st != PS_OK) {
		return st;
	}
	if (schema != 0 && app != PS_STORE_APPLICATION_ID) {
		ps_error_set(err, PS_EINVAL, "this SQLite file is not a results store of Perseus");
	} else if (schema == 0 && !s->writable) {
		ps_error_set(err, PS_EINVAL, "this file is empty, not a results store");
	} else if (version > PS_STORE_SCHEMA_VERSION) {
		ps_error_set(err, PS_EUNSUPPORTED,
			     "the store has schema %lld, this perseus knows up to %d",
			     (long long)version, PS_STORE_SCHEMA_VERSION);
		ps_error_hint(err, "use the newer perseus that wrote it");
	} else {
		*ret_version = version;
		return PS_OK;
	}
	ps_error_where(err, "%s", s->path);
	return err ? err->status : PS_EINVAL;
}

/* A read-only folder has no place for the shared-memory file of WAL; without a log beside it the
 * file is complete and can be read as it is. */
static int open_immutable(struct ps_store *s)
{
	struct ps_strbuf uri;
	ps_strbuf_init(&uri);
	ps_strbuf_puts(&uri, "file:");
	for (const char *p = s->path; *p; p++) {
		if (strchr("%?#", *p)) {
			ps_strbuf_printf(&uri, "%%%02x", (unsigned)(unsigned char)*p);
		} else {
			ps_strbuf_putc(&uri, *p);
		}
	}
	ps_strbuf_puts(&uri, "?immutable=1");
	int rc = sqlite3_open_v2(uri.data, &s->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
	ps_strbuf_fini(&uri);
	return rc;
}

static bool has_log(const char *path)
{
	char *wal = sqlite3_mprintf("%s-wal", path);
	bool there = wal && access(wal, F_OK) == 0;
	sqlite3_free(wal);
	return there;
}

static enum ps_status open_database(struct ps_store *s, struct ps_error *err)
{
	int flags = s->writable ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
	int rc = sqlite3_open_v2(s->path, &s->db, flags, NULL);
	if (rc == SQLITE_OK) {
		(void)sqlite3_extended_result_codes(s->db, 1);
		(void)sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MS);
		int64_t unused;
		if (!s->writable && pragma_get(s, "schema_version", &unused, NULL) == PS_EIO &&
		    !has_log(s->path)) {
			(void)sqlite3_close(s->db);
			s->db = NULL;
			rc = open_immutable(s);
		}
	}
	return rc == SQLITE_OK ? PS_OK : ps_store_error(s, err, rc, "open the store");
}

/* An older file that is only read stays as it is: a copy in memory is raised. */
static enum ps_status raise_copy(struct ps_store *s, struct ps_error *err)
{
	int64_t pages = 0, page_bytes = 0;
	sqlite3 *copy = NULL;
	enum ps_status st = pragma_get(s, "page_count", &pages, err);
	if (st == PS_OK) {
		st = pragma_get(s, "page_size", &page_bytes, err);
	}
	if (st == PS_OK && pages * page_bytes > MAX_RAISED_BYTES) {
		st = ps_error_set(err, PS_ETOOBIG,
				  "the store has an older schema and is too large "
				  "to be raised in memory");
		ps_error_where(err, "%s", s->path);
		ps_error_hint(err, "raise the file itself: perseus store merge %.90s -o %.90s",
			      s->path, s->path);
	}
	if (st != PS_OK) {
		return st;
	}
	int rc = sqlite3_open(":memory:", &copy);
	sqlite3_backup *b =
		rc == SQLITE_OK ? sqlite3_backup_init(copy, "main", s->db, "main") : NULL;
	if (b) {
		(void)sqlite3_backup_step(b, -1);
	}
	rc = b ? sqlite3_backup_finish(b) : SQLITE_NOMEM;
	if (rc != SQLITE_OK) {
		st = ps_store_error(s, err, rc, "copy the store to raise its schema");
		(void)sqlite3_close(copy);
		return st;
	}
	(void)sqlite3_close(s->db);
	s->db = copy;
	return ps_store_migrate(s, PS_STORE_SCHEMA_VERSION, err);
}

static enum ps_status prepare_file(struct ps_store *s, struct ps_error *err)
{
	int64_t version = 0;
	enum ps_status st = identify(s, &version, err);
	if (st != PS_OK) {
		return st;
	}
	if (!s->writable) {
		return version < PS_STORE_SCHEMA_VERSION ? raise_copy(s, err) : PS_OK;
	}
	/* FULL: what was reported as written survives a power cut. */
	st = exec(s, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", "prepare the store",
		  err);
	if (st == PS_OK && version < PS_STORE_SCHEMA_VERSION) {
		st = ps_store_migrate(s, PS_STORE_SCHEMA_VERSION, err);
	}
	/* After the migrations: with keys enforced, a table that is made anew would take the rows
	 * that refer to it with it. */
	return st == PS_OK ? exec(s, "PRAGMA foreign_keys = ON", "prepare the store", err) : st;
}

enum ps_status ps_store_open(const char *path, enum ps_store_mode mode, struct ps_store **ret_store,
			     struct ps_error *err)
{
	struct ps_store *s = calloc(1, sizeof(*s));
	if (!s || !(s->path = strdup(path))) {
		free(s);
		return ps_error_set(err, PS_ENOMEM, "no memory for a store");
	}
	struct ps_error local = {.status = PS_OK};
	err = err ? err : &local;
	s->lock_fd = -1;
	s->writable = mode != PS_STORE_READ;
	enum ps_status st = PS_OK;
	if (mode != PS_STORE_CREATE && access(path, F_OK) != 0) {
		st = ps_error_set(err, PS_ENOTFOUND, "there is no such store");
		ps_error_where(err, "%s", path);
	}
	if (st == PS_OK && s->writable) {
		st = take_lock(s, mode == PS_STORE_CREATE, err);
	}
	if (st == PS_OK) {
		st = open_database(s, err);
	}
	if (st == PS_OK) {
		st = prepare_file(s, err);
	}
	if (st != PS_OK) {
		ps_store_close(s);
		return st;
	}
	*ret_store = s;
	return PS_OK;
}

void ps_store_finalize(struct ps_store *s)
{
	for (int i = 0; i < PS_STMT_COUNT; i++) {
		(void)sqlite3_finalize(s->stmts[i]);
		s->stmts[i] = NULL;
	}
}

void ps_store_close(struct ps_store *s)
{
	if (!s) {
		return;
	}
	ps_store_finalize(s);
	(void)sqlite3_close(s->db);
	if (s->lock_fd >= 0) {
		(void)close(s->lock_fd);
	}
	free(s->path);
	free(s);
}

static enum ps_status check_rows(struct ps_store *s, enum ps_store_stmt id, const char *what,
				 struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	bool row = false;
	enum ps_status st = ps_store_bind(s, id, &stmt, err, "");
	if (st == PS_OK) {
		st = ps_store_step(s, stmt, &row, err);
	}
	if (st == PS_OK && row) {
		st = ps_error_set(err, PS_ECORRUPT, "cell %s: %s",
				  (const char *)sqlite3_column_text(stmt, 0), what);
		ps_error_where(err, "%s", s->path);
		(void)sqlite3_reset(stmt);
	}
	return st;
}

enum ps_status ps_store_check(struct ps_store *s, struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &stmt, NULL);
	if (rc == SQLITE_OK) {
		rc = sqlite3_step(stmt);
	}
	enum ps_status st = PS_OK;
	const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
	if (rc != SQLITE_ROW) {
		st = ps_store_error(s, err, rc, "check the store");
	} else if (!text || strcmp(text, "ok") != 0) {
		st = ps_error_set(err, PS_ECORRUPT, "the store is broken: %s", text ? text : "?");
		ps_error_where(err, "%s", s->path);
	}
	(void)sqlite3_finalize(stmt);
	if (st == PS_OK) {
		st = check_rows(s, PS_STMT_CHECK_EMPTY_CELLS, "state and trials disagree", err);
	}
	if (st == PS_OK) {
		st = check_rows(s, PS_STMT_CHECK_COUNTS, "counts of requests disagree", err);
	}
	return st;
}
