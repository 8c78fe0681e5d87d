/* check.c - is everything in this file as it was written? */
#include "store/store_internal.h"
#include "store/upkeep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_INTEGRITY 20 /* lines of SQLite's own check */

struct checker {
	struct ps_store *s;
	ps_store_finding_fn *fn;
	void *ctx;
	struct ps_store_checked counts;
	bool enough;
	char campaign[256]; /* the one that is looked at */
	struct ps_error *err;
};

static void found(struct checker *c, const char *campaign, const char *cell, int64_t trial,
		  const char *what)
{
	const struct ps_store_finding f = {campaign, cell, trial, what};
	c->counts.findings++;
	if (!c->enough && c->fn && !c->fn(c->ctx, &f)) {
		c->enough = true;
	}
}

/* Runs a statement that has no name, as pragmas take no parameters; `line` gets each row. */
static enum ps_status each(struct checker *c, const char *sql,
			   void (*line)(struct checker *, sqlite3_stmt *))
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(c->s->db, sql, -1, &q, NULL);
	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		rc = sqlite3_step(q);
		if (rc == SQLITE_ROW) {
			line(c, q);
		}
	}
	(void)sqlite3_finalize(q);
	return rc == SQLITE_DONE ? PS_OK : ps_store_error(c->s, c->err, rc, "check the store");
}

static const char *text(sqlite3_stmt *q, int col)
{
	const char *t = (const char *)sqlite3_column_text(q, col);
	return t ? t : "?";
}

static void integrity_line(struct checker *c, sqlite3_stmt *q)
{
	if (strcmp(text(q, 0), "ok") != 0) {
		found(c, NULL, NULL, -1, text(q, 0));
	}
}

static void key_line(struct checker *c, sqlite3_stmt *q)
{
	char what[200];
	(void)snprintf(what, sizeof(what), "table %s: row %s belongs to no row of %s", text(q, 0),
		       sqlite3_column_type(q, 1) == SQLITE_NULL ? "?" : text(q, 1), text(q, 2));
	found(c, NULL, NULL, -1, what);
}

/* ---- the schema ---- */

/* All that a file of this version has, as one text. */
static char *schema_of(sqlite3 *db)
{
	char *all = NULL;
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(db,
				    "SELECT group_concat(type || ' ' || name || ': ' ||"
				    " coalesce(sql, ''), char(10)) FROM (SELECT * FROM"
				    " sqlite_master WHERE name NOT LIKE 'sqlite_stat%'"
				    " ORDER BY type, name)",
				    -1, &q, NULL);
	if (rc == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW) {
		all = strdup(text(q, 0));
	}
	(void)sqlite3_finalize(q);
	return all;
}

static enum ps_status check_schema(struct checker *c)
{
	struct ps_store fresh = {.path = c->s->path, .lock_fd = -1, .writable = true};
	enum ps_status st = PS_OK;
	char *want = NULL, *have = NULL;
	int rc = sqlite3_open(":memory:", &fresh.db);
	if (rc != SQLITE_OK) {
		st = ps_store_error(&fresh, c->err, rc, "make a schema to compare with");
	} else {
		st = ps_store_migrate(&fresh, PS_STORE_SCHEMA_VERSION, c->err);
	}
	if (st == PS_OK) {
		want = schema_of(fresh.db);
		have = schema_of(c->s->db);
		if (!want) {
			st = ps_error_set(c->err, PS_ENOMEM, "no memory to compare schemas");
		} else if (!have) {
			found(c, NULL, NULL, -1, "the list of its tables cannot be read");
		} else if (strcmp(want, have) != 0) {
			found(c, NULL, NULL, -1, "the tables are not those of this schema version");
		}
	}
	free(want);
	free(have);
	ps_store_finalize(&fresh);
	(void)sqlite3_close(fresh.db);
	return st;
}

/* ---- our own rules ---- */

static enum ps_status check_rule(struct checker *c, enum ps_store_stmt id, const char *what)
{
	sqlite3_stmt *q = NULL;
	bool row = false;
	enum ps_status st = ps_store_bind(c->s, id, &q, c->err, "");
	while (st == PS_OK && (st = ps_store_step(c->s, q, &row, c->err)) == PS_OK && row) {
		found(c, text(q, 1), text(q, 0), -1, what);
	}
	return st;
}

/* ---- seals ---- */

typedef enum ps_status seal_fn(struct ps_store *s, int64_t id, char ret_seal[PS_STORE_SEAL_SIZE],
			       struct ps_error *err);

/* A seal as stored ("": none) against the content. A row that cannot even be read is a finding
 * like any other: the rest is looked at all the same. */
static enum ps_status compare(struct checker *c, seal_fn *seal, int64_t id, const char *stored,
			      const char *cell, int64_t trial)
{
	char now[PS_STORE_SEAL_SIZE];
	struct ps_error why;
	if (!stored[0]) {
		found(c, c->campaign, cell, trial, "it is not sealed");
		return PS_OK;
	}
	ps_error_clear(&why);
	enum ps_status st = seal(c->s, id, now, &why);
	if (st == PS_ENOMEM || st == PS_EINUSE) {
		if (c->err) {
			*c->err = why;
		}
		return st;
	}
	if (st != PS_OK) {
		found(c, c->campaign, cell, trial, why.what);
	} else if (strcmp(now, stored) != 0) {
		found(c, c->campaign, cell, trial, "its content is not what was written");
	}
	return PS_OK;
}

static enum ps_status check_trials(struct checker *c, const struct ps_store_sealed *cell)
{
	struct ps_store_sealed *trials = NULL;
	size_t n = 0;
	enum ps_status st =
		ps_store_sealed_rows(c->s, PS_STMT_TRIALS_OF, cell->id, &trials, &n, c->err);
	for (size_t i = 0; i < n && st == PS_OK && !c->enough; i++) {
		c->counts.trials++;
		st = compare(c, ps_store_trial_seal, trials[i].id, trials[i].seal, cell->name,
			     trials[i].number);
	}
	free(trials);
	return st;
}

static enum ps_status check_cells(struct checker *c, int64_t campaign)
{
	struct ps_store_sealed *cells = NULL;
	size_t n = 0;
	enum ps_status st =
		ps_store_sealed_rows(c->s, PS_STMT_CELLS_OF, campaign, &cells, &n, c->err);
	for (size_t i = 0; i < n && st == PS_OK && !c->enough; i++) {
		bool over = ps_store_is_over(cells[i].state);
		c->counts.cells++;
		st = check_trials(c, &cells[i]);
		if (st == PS_OK && (over || cells[i].seal[0])) {
			st = compare(c, ps_store_cell_seal, cells[i].id, cells[i].seal,
				     cells[i].name, -1);
		}
	}
	free(cells);
	return st;
}

static enum ps_status check_campaigns(struct checker *c)
{
	struct ps_store_sealed *all = NULL;
	size_t n = 0;
	enum ps_status st =
		ps_store_sealed_rows(c->s, PS_STMT_CAMPAIGNS_SEALED, 0, &all, &n, c->err);
	for (size_t i = 0; i < n && st == PS_OK && !c->enough; i++) {
		c->counts.campaigns++;
		(void)snprintf(c->campaign, sizeof(c->campaign), "%s", all[i].name);
		st = compare(c, ps_store_campaign_seal, all[i].id, all[i].seal, NULL, -1);
		if (st == PS_OK) {
			st = check_cells(c, all[i].id);
		}
	}
	free(all);
	return st;
}

/* Some damage stops SQLite itself: then that is the finding, and what could be looked at was. */
static enum ps_status survive(struct checker *c, enum ps_status st)
{
	if (st == PS_OK || st == PS_ENOMEM || st == PS_EINUSE) {
		return st;
	}
	found(c, c->campaign[0] ? c->campaign : NULL, NULL, -1, c->err->what);
	return PS_OK;
}

enum ps_status ps_store_check_all(struct ps_store *s, ps_store_finding_fn *fn, void *ctx,
				  struct ps_store_checked *ret_checked, struct ps_error *err)
{
	struct ps_error local = {.status = PS_OK};
	struct checker c = {.s = s, .fn = fn, .ctx = ctx, .err = err ? err : &local};
	char sql[64];
	(void)snprintf(sql, sizeof(sql), "PRAGMA integrity_check(%d)", MAX_INTEGRITY);
	ps_error_clear(c.err);
	enum ps_status st = survive(&c, each(&c, sql, integrity_line));
	if (st == PS_OK) {
		st = survive(&c, check_schema(&c));
	}
	if (st == PS_OK) {
		st = survive(&c, each(&c, "PRAGMA foreign_key_check", key_line));
	}
	if (st == PS_OK) {
		st = survive(&c, check_rule(&c, PS_STMT_CHECK_EMPTY_CELLS,
					    "its state and its results disagree"));
	}
	if (st == PS_OK) {
		st = survive(&c, check_rule(&c, PS_STMT_CHECK_COUNTS,
					    "its counts of requests disagree"));
	}
	if (st == PS_OK) {
		st = survive(&c, check_campaigns(&c));
	}
	*ret_checked = c.counts;
	return st;
}
