/* state_internal.h - what the parts of the state file share.   Layer 2. */
#ifndef PS_STORE_STATE_INTERNAL_H
#define PS_STORE_STATE_INTERNAL_H

#include "store/state.h"

#include <sqlite3.h>

enum ps_state_statement {
	PS_STATE_RUN_INSERT,
	PS_STATE_RUN_WRITTEN,
	PS_STATE_RUN_ENDED,
	PS_STATE_USAGE_PUT,
	PS_STATE_USAGE_SUM,
	PS_STATE_USAGE_BY_MINUTE,
	PS_STATE_LOSS,
	PS_STATE_LAST_WRITE,
	PS_STATE_OLDEST,
	PS_STATE_USAGE_DROP,
	PS_STATE_RUN_DROP,
	PS_STATE_KEPT_PUT,
	PS_STATE_LOAD_PUT,
	PS_STATE_LOADS,
	PS_STATE_DEMAND_PUT,
	PS_STATE_DEMAND,
	PS_STATE_DEMANDS,
	PS_STATE_LOAD_SCALE_PUT,
	PS_STATE_LOAD_SCALE,
	PS_STATE_STATEMENTS
};

struct ps_state {
	sqlite3 *db;
	char *path;
	int lock_fd; /* a server's; -1: a reader's */
	int64_t run;
	sqlite3_stmt *stmts[PS_STATE_STATEMENTS]; /* prepared on first use */
};

/* ps_state_failed says what SQLite's `rc` means; the struct is as good as before. */
enum ps_status ps_state_failed(struct ps_state *s, int rc, const char *doing, struct ps_error *err);
/* ps_state_exec runs SQL without parameters. */
enum ps_status ps_state_exec(struct ps_state *s, const char *sql, const char *doing,
			     struct ps_error *err);
/* ps_state_rollback ends a transaction that is open, if one is. */
void ps_state_rollback(struct ps_state *s);
/* ps_state_prepare gives a statement, reset and without values; prepared on first use. */
enum ps_status ps_state_prepare(struct ps_state *s, enum ps_state_statement id,
				sqlite3_stmt **ret_stmt, struct ps_error *err);
/* ps_state_bind_text binds borrowed text; NULL stays NULL. */
void ps_state_bind_text(sqlite3_stmt *stmt, int at, const char *text);
/* ps_state_run runs a statement that gives no rows. */
enum ps_status ps_state_run(struct ps_state *s, sqlite3_stmt *stmt, const char *doing,
			    struct ps_error *err);
/* ps_state_mark notes an instant (?2) of this run (?1) with a statement for that. */
enum ps_status ps_state_mark(struct ps_state *s, enum ps_state_statement id, int64_t wall_ns,
			     struct ps_error *err);

#endif
