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
 * i int64_t, n int64_t (negative is NULL), d double (NAN is NULL), s const char * (NULL is NULL), b
 * const struct ps_store_blob * (no data is NULL). Texts and blobs are borrowed until the statement
 * is run. */
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

/* A seal as text, with its NUL: see seal.c. */
#define PS_STORE_SEAL_SIZE 65

/* ps_store_campaign_seal, _cell_seal and _trial_seal make the digest of what is there now. */
enum ps_status ps_store_campaign_seal(struct ps_store *s, int64_t id,
				      char ret_seal[PS_STORE_SEAL_SIZE], struct ps_error *err);
enum ps_status ps_store_cell_seal(struct ps_store *s, int64_t id, char ret_seal[PS_STORE_SEAL_SIZE],
				  struct ps_error *err);
enum ps_status ps_store_trial_seal(struct ps_store *s, int64_t id,
				   char ret_seal[PS_STORE_SEAL_SIZE], struct ps_error *err);
/* ps_store_seal_campaign writes it; ps_store_seal_cell those of a cell's trials and its own;
 * ps_store_seal_all everything's, for a file that an older version wrote. */
enum ps_status ps_store_seal_campaign(struct ps_store *s, int64_t id, struct ps_error *err);
enum ps_status ps_store_seal_cell(struct ps_store *s, int64_t id, struct ps_error *err);
enum ps_status ps_store_seal_all(struct ps_store *s, struct ps_error *err);

/* The rows of a statement whose columns begin with id and name (or number) and end with the seal;
 * a column `state` may stand before that. */
struct ps_store_sealed {
	int64_t id, number;
	char name[256], state[16], seal[PS_STORE_SEAL_SIZE]; /* seal "": none */
};
/* ps_store_sealed_rows reads them; `key` 0: the statement takes none. The caller frees *ret_rows.
 */
enum ps_status ps_store_sealed_rows(struct ps_store *s, enum ps_store_stmt id, int64_t key,
				    struct ps_store_sealed **ret_rows, size_t *ret_len,
				    struct ps_error *err);

/* ps_store_find_sealed finds a cell by its key; *ret_there false: there is none. */
enum ps_status ps_store_find_sealed(struct ps_store *s, int64_t campaign, const char *key,
				    struct ps_store_sealed *ret_cell, bool *ret_there,
				    struct ps_error *err);
/* ps_store_cell_intact compares the seals of a cell and of its trials to what is there now. A cell
 * that is over must have one. */
enum ps_status ps_store_cell_intact(struct ps_store *s, const struct ps_store_sealed *cell,
				    bool *ret_intact, struct ps_error *err);

/* ps_store_is_over says whether a cell in this state has its results and its seal. */
bool ps_store_is_over(const char *state);

/* ps_store_merges_table says whether merging knows the table. For the test that holds it to the
 * schema. */
bool ps_store_merges_table(const char *name);

struct ps_store_sheet;
/* ps_store_sheet_prepare makes the statement of an exported file; the caller finalises it. */
enum ps_status ps_store_sheet_prepare(struct ps_store *s, const struct ps_store_sheet *sheet,
				      sqlite3_stmt **ret_stmt, struct ps_error *err);

/* Where the columns of a sample lie in the struct, in the order of the statements. */
enum { PS_STORE_SAMPLE_FIELDS = 25 };
extern const size_t ps_store_sample_fields[PS_STORE_SAMPLE_FIELDS];

/* ps_store_finalize drops the prepared statements. */
void ps_store_finalize(struct ps_store *s);

/* ps_store_migrate raises an open database to `version`. For tests, any version; 0 tables: 0. */
enum ps_status ps_store_migrate(struct ps_store *s, int version, struct ps_error *err);
/* ps_store_limit_pages makes the file full at `pages`. For tests. */
enum ps_status ps_store_limit_pages(struct ps_store *s, int pages);

/* The stable texts of enumerations, in order of their values, NULL at the end. */
extern const char *const ps_store_kind_names[];
extern const char *const ps_store_state_names[];
extern const char *const ps_store_role_names[];

#endif
