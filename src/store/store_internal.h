/* store_internal.h - the open store, and running named statements. Only store/ includes this. */
#ifndef PS_STORE_STORE_INTERNAL_H
#define PS_STORE_STORE_INTERNAL_H

#include "base/arena.h"
#include "store/schema_internal.h"
#include "store/store.h"

#include <sqlite3.h>

struct ps_store {
	sqlite3 *db;
	char *path;
	int lock_fd; /* held while open for writing; -1 when reading */
	bool writable;
	sqlite3_stmt *stmts[PS_STMT_COUNT]; /* prepared on first use */
};

/* ps_store_status reads a result code of SQLite. */
enum ps_status ps_store_status(int rc);
/* ps_store_error turns SQLite's last failure into ours; `doing` completes "cannot ...". */
enum ps_status ps_store_error(struct ps_store *s, struct ps_error *err, int rc, const char *doing);

/* ps_store_bind prepares statement `id`, resets it and binds values by `types`: one letter each:
 * i int64_t, d double (NAN is NULL), s const char * (NULL is NULL), b const struct ps_store_blob *
 * (no data is NULL). Texts and blobs are borrowed until the statement is run. */
enum ps_status ps_store_bind(struct ps_store *s, enum ps_store_stmt id, sqlite3_stmt **ret_stmt,
			     struct ps_error *err, const char *types, ...);
/* ps_store_run binds and runs a statement that gives no rows. */
enum ps_status ps_store_run(struct ps_store *s, enum ps_store_stmt id, struct ps_error *err,
			    const char *types, ...);
/* ps_store_step advances; *ret_row says whether there is a row. */
enum ps_status ps_store_step(struct ps_store *s, sqlite3_stmt *stmt, bool *ret_row,
			     struct ps_error *err);

/* ps_store_begin, _commit and _rollback bound a transaction. Rollback keeps `err`. */
enum ps_status ps_store_begin(struct ps_store *s, struct ps_error *err);
enum ps_status ps_store_commit(struct ps_store *s, struct ps_error *err);
void ps_store_rollback(struct ps_store *s);

/* ps_store_end ends the transaction by `st`: all of it, or nothing of it. */
enum ps_status ps_store_end(struct ps_store *s, enum ps_status st, struct ps_error *err);
/* ps_store_write_campaign writes a campaign with all that is planned, inside a transaction. */
enum ps_status ps_store_write_campaign(struct ps_store *s, const struct ps_store_campaign *c,
				       int64_t *ret_id, struct ps_error *err);
/* ps_store_find_cell finds a cell by its key and names its state. PS_ENOTFOUND. */
enum ps_status ps_store_find_cell(struct ps_store *s, int64_t campaign_id, const char *key,
				  int64_t *ret_id, char state[16], struct ps_error *err);

/* ps_store_migrate raises an open database to `version`. For tests, any version; 0 tables: 0. */
enum ps_status ps_store_migrate(struct ps_store *s, int version, struct ps_error *err);
/* ps_store_limit_pages makes the file full at `pages`. For tests. */
enum ps_status ps_store_limit_pages(struct ps_store *s, int pages);

/* The stable texts of enumerations, in order of their values, NULL at the end. */
extern const char *const ps_store_kind_names[];
extern const char *const ps_store_state_names[];
extern const char *const ps_store_role_names[];

#endif
