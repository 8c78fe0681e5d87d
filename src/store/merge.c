/* merge.c - the campaigns of one file into another.
 *
 * Rows are copied by their columns' names, table by table, so that a column or table of a later
 * version needs no code here; only the places (ids of the file) are put in anew. */
#include "store/manifest.h"
#include "store/read_internal.h"
#include "store/store_internal.h"
#include "store/upkeep.h"

#include "base/strbuf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct merge {
	struct ps_store *into, *from;
	struct ps_store_merged counts;
	char campaign[256];
	struct ps_error *err;
};

/* Tables with what belongs to a campaign, a cell, a trial. A test holds this to the schema. */
static const char *const campaign_tables[] = {"tenant", "tenant_set", "set_member", NULL};
static const char *const cell_tables[] = {"capacity", "capacity_ray", "figure", NULL};
static const char *const trial_tables[] = {"result",	 "second", "sample",
					   "gpu_sample", "scrape", NULL};

bool ps_store_merges_table(const char *name)
{
	static const char *const own[] = {"campaign", "cell", "trial", NULL};
	const char *const *const lists[] = {own, campaign_tables, cell_tables, trial_tables};
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		for (const char *const *t = lists[i]; *t; t++) {
			if (strcmp(*t, name) == 0) {
				return true;
			}
		}
	}
	return false;
}

static enum ps_status broken(struct merge *m, struct ps_store *s, int rc)
{
	return ps_store_error(s, m->err, rc, "merge");
}

/* ---- copying rows ---- */

/* "INSERT INTO t (a, b) VALUES (?, ?)" for the columns of a SELECT *, without `skip`. */
static char *insert_sql(const char *table, sqlite3_stmt *q, const char *skip)
{
	struct ps_strbuf b, marks;
	ps_strbuf_init(&b);
	ps_strbuf_init(&marks);
	ps_strbuf_printf(&b, "INSERT INTO %s (", table);
	for (int i = 0, n = 0; i < sqlite3_column_count(q); i++) {
		const char *name = sqlite3_column_name(q, i);
		if (!skip || strcmp(name, skip) != 0) {
			ps_strbuf_printf(&b, "%s%s", n ? ", " : "", name);
			ps_strbuf_puts(&marks, n++ ? ", ?" : "?");
		}
	}
	ps_strbuf_printf(&b, ") VALUES (%s)", marks.data);
	bool ok = ps_strbuf_status(&marks) == PS_OK;
	ps_strbuf_fini(&marks);
	char *sql = ps_strbuf_take_data(&b);
	if (!ok) {
		free(sql);
		sql = NULL;
	}
	return sql;
}

/* One row, with `value` in the column `place`, and without the column `skip`. */
static int copy_row(sqlite3_stmt *q, sqlite3_stmt *to, const char *skip, const char *place,
		    int64_t value)
{
	int rc = sqlite3_reset(to);
	for (int i = 0, at = 1; i < sqlite3_column_count(q) && rc == SQLITE_OK; i++) {
		const char *name = sqlite3_column_name(q, i);
		if (skip && strcmp(name, skip) == 0) {
			continue;
		}
		rc = place && strcmp(name, place) == 0
			     ? sqlite3_bind_int64(to, at, value)
			     : sqlite3_bind_value(to, at, sqlite3_column_value(q, i));
		at++;
	}
	return rc == SQLITE_OK ? sqlite3_step(to) : rc;
}

/* Copies the rows of `table` whose column `key` is `old`, giving them new ids
 * where they have one; `place` becomes `value`. *ret_id is the last new id. */
static enum ps_status copy(struct merge *m, const char *table, const char *key, int64_t old,
			   const char *place, int64_t value, int64_t *ret_id)
{
	char sql[128];
	sqlite3_stmt *q = NULL, *to = NULL;
	(void)snprintf(sql, sizeof(sql), "SELECT * FROM %s WHERE %s = ?", table, key);
	int rc = sqlite3_prepare_v2(m->from->db, sql, -1, &q, NULL);
	if (rc != SQLITE_OK) {
		return broken(m, m->from, rc);
	}
	char *insert = insert_sql(table, q, "id");
	rc = insert ? sqlite3_prepare_v2(m->into->db, insert, -1, &to, NULL) : SQLITE_NOMEM;
	free(insert);
	enum ps_status st = rc == SQLITE_OK ? PS_OK : broken(m, m->into, rc);
	(void)sqlite3_bind_int64(q, 1, old);
	while (st == PS_OK && (rc = sqlite3_step(q)) == SQLITE_ROW) {
		rc = copy_row(q, to, "id", place, value);
		st = rc == SQLITE_DONE ? PS_OK : broken(m, m->into, rc);
	}
	if (st == PS_OK && rc != SQLITE_DONE) {
		st = broken(m, m->from, rc);
	}
	if (st == PS_OK && ret_id) {
		*ret_id = sqlite3_last_insert_rowid(m->into->db);
	}
	(void)sqlite3_finalize(to);
	(void)sqlite3_finalize(q);
	return st;
}

static enum ps_status copy_tables(struct merge *m, const char *const *tables, const char *key,
				  int64_t old, int64_t value)
{
	enum ps_status st = PS_OK;
	for (; *tables && st == PS_OK; tables++) {
		st = copy(m, *tables, key, old, key, value, NULL);
	}
	return st;
}

/* ---- cells ---- */

/* How far a cell came; what is further takes the place of what is not. */
static int progress(const char *state)
{
	static const char *const order[] = {"planned", "running", "skipped",
					    "failed",  "done",	  "moved"};
	for (int i = 0; i < (int)(sizeof(order) / sizeof(order[0])); i++) {
		if (strcmp(order[i], state) == 0) {
			return i;
		}
	}
	return -1;
}

static enum ps_status refuse(struct merge *m, const char *cell, const char *what)
{
	ps_error_set(m->err, PS_EEXIST, "campaign \"%s\"%s%s: %s", m->campaign,
		     cell ? ", cell " : "", cell ? cell : "", what);
	ps_error_where(m->err, "%s", m->from->path);
	ps_error_hint(m->err, "see which is right with perseus store check and perseus store "
			      "export, and merge without the other");
	return PS_EEXIST;
}

static enum ps_status corrupt(struct merge *m, const char *cell)
{
	ps_error_set(m->err, PS_ECORRUPT, "campaign \"%s\"%s%s is not what was written",
		     m->campaign, cell ? ", cell " : "", cell ? cell : "");
	ps_error_where(m->err, "%s", m->from->path);
	ps_error_hint(m->err, "perseus store check names everything that is wrong");
	return PS_ECORRUPT;
}

/* A broken seal must not get a fresh file around it. */
static enum ps_status check_seals(struct merge *m, const struct ps_store_sealed *cell)
{
	bool intact = true;
	enum ps_status st = ps_store_cell_intact(m->from, cell, &intact, m->err);
	return st == PS_OK && !intact ? corrupt(m, cell->name) : st;
}

static enum ps_status copy_trials(struct merge *m, const struct ps_store_sealed *trials, size_t n,
				  int64_t cell)
{
	int64_t trial = 0;
	enum ps_status st = PS_OK;
	for (size_t i = 0; i < n && st == PS_OK; i++) {
		st = copy(m, "trial", "id", trials[i].id, "cell", cell, &trial);
		if (st == PS_OK) {
			st = copy_tables(m, trial_tables, "trial", trials[i].id, trial);
		}
	}
	return st;
}

static enum ps_status copy_cell(struct merge *m, const struct ps_store_sealed *theirs,
				int64_t campaign)
{
	struct ps_store_sealed *trials = NULL;
	int64_t cell = 0;
	size_t n = 0;
	enum ps_status st =
		ps_store_sealed_rows(m->from, PS_STMT_TRIALS_OF, theirs->id, &trials, &n, m->err);
	if (st == PS_OK) {
		st = check_seals(m, theirs);
	}
	if (st == PS_OK) {
		st = copy(m, "cell", "id", theirs->id, "campaign", campaign, &cell);
	}
	if (st == PS_OK) {
		st = copy_tables(m, cell_tables, "cell", theirs->id, cell);
	}
	if (st == PS_OK) {
		st = copy_trials(m, trials, n, cell);
	}
	free(trials);
	return st;
}

static enum ps_status merge_cell(struct merge *m, const struct ps_store_sealed *theirs,
				 int64_t campaign)
{
	struct ps_store_sealed ours = {0};
	bool there = false;
	enum ps_status st =
		ps_store_find_sealed(m->into, campaign, theirs->name, &ours, &there, m->err);
	if (st != PS_OK) {
		return st;
	}
	int mine = there ? progress(ours.state) : -1, other = progress(theirs->state);
	if (there && mine == other && mine == progress("done") &&
	    strcmp(ours.seal, theirs->seal) != 0) {
		return refuse(m, theirs->name, "both files hold results of it that differ");
	}
	if (there && other <= mine) {
		m->counts.same++;
		return PS_OK;
	}
	if (there) {
		st = ps_store_run(m->into, PS_STMT_CELL_DELETE, m->err, "i", ours.id);
	}
	if (st == PS_OK) {
		st = copy_cell(m, theirs, campaign);
	}
	m->counts.cells += st == PS_OK;
	return st;
}

static enum ps_status merge_cells(struct merge *m, int64_t old, int64_t campaign)
{
	struct ps_store_sealed *cells = NULL;
	size_t n = 0;
	enum ps_status st =
		ps_store_sealed_rows(m->from, PS_STMT_CELLS_OF, old, &cells, &n, m->err);
	for (size_t i = 0; i < n && st == PS_OK; i++) {
		st = merge_cell(m, &cells[i], campaign);
	}
	free(cells);
	return st;
}

/* ---- campaigns ---- */

struct campaign {
	int64_t id, previous, finished_wall_ns;
	char uuid[600], seal[PS_STORE_SEAL_SIZE];
};

static enum ps_status find_campaign(struct merge *m, struct ps_store *s, const char *uuid,
				    struct campaign *ret, bool *ret_there)
{
	sqlite3_stmt *q = NULL;
	enum ps_status st = ps_store_bind(s, PS_STMT_CAMPAIGN_BY_UUID, &q, m->err, "s", uuid);
	if (st == PS_OK) {
		st = ps_store_step(s, q, ret_there, m->err);
	}
	if (st == PS_OK && *ret_there) {
		const char *seal = (const char *)sqlite3_column_text(q, 2);
		ret->id = sqlite3_column_int64(q, 0);
		ret->finished_wall_ns = sqlite3_column_int64(q, 1);
		(void)snprintf(ret->seal, sizeof(ret->seal), "%s", seal ? seal : "");
		(void)sqlite3_reset(q);
	}
	return st;
}

/* The earlier form of a changed campaign has another row here. */
static enum ps_status set_previous(struct merge *m, int64_t id, int64_t old_previous)
{
	char uuid[600] = "";
	struct campaign before = {0};
	sqlite3_stmt *q = NULL;
	bool row = false;
	if (old_previous == 0) {
		return PS_OK;
	}
	enum ps_status st =
		ps_store_bind(m->from, PS_STMT_CAMPAIGN_UUID, &q, m->err, "i", old_previous);
	if (st == PS_OK) {
		st = ps_store_step(m->from, q, &row, m->err);
	}
	if (st == PS_OK && row) {
		(void)snprintf(uuid, sizeof(uuid), "%s", sqlite3_column_text(q, 0));
		(void)sqlite3_reset(q);
		st = find_campaign(m, m->into, uuid, &before, &row);
	}
	return st == PS_OK ? ps_store_run(m->into, PS_STMT_CAMPAIGN_PREVIOUS, m->err, "ii",
					  before.id, id)
			   : st;
}

static enum ps_status new_campaign(struct merge *m, const struct campaign *theirs)
{
	char seal[PS_STORE_SEAL_SIZE];
	int64_t id = 0;
	enum ps_status st = ps_store_campaign_seal(m->from, theirs->id, seal, m->err);
	if (st == PS_OK && strcmp(seal, theirs->seal) != 0) {
		return corrupt(m, NULL);
	}
	if (st == PS_OK) {
		st = copy(m, "campaign", "id", theirs->id, NULL, 0, &id);
	}
	if (st == PS_OK) {
		st = copy_tables(m, campaign_tables, "campaign", theirs->id, id);
	}
	if (st == PS_OK) {
		st = set_previous(m, id, theirs->previous);
	}
	m->counts.campaigns += st == PS_OK;
	return st == PS_OK ? merge_cells(m, theirs->id, id) : st;
}

/* The caller frees *ret_text, which stays NULL when the campaign has none. */
static enum ps_status read_manifest(struct merge *m, struct ps_store *s, int64_t id,
				    char **ret_text)
{
	sqlite3_stmt *q = NULL;
	bool row = false;
	enum ps_status st = ps_store_bind(s, PS_STMT_CAMPAIGN_MANIFEST_READ, &q, m->err, "i", id);
	*ret_text = NULL;
	if (st == PS_OK) {
		st = ps_store_step(s, q, &row, m->err);
	}
	if (st == PS_OK && row) {
		const char *text = (const char *)sqlite3_column_text(q, 0);
		*ret_text = text ? strdup(text) : NULL;
		st = text && !*ret_text ? ps_store_no_memory(m->err) : PS_OK;
		(void)sqlite3_reset(q);
	}
	return st;
}

static enum ps_status other_machine(struct merge *m, const char *difference)
{
	ps_error_set(m->err, PS_EEXIST,
		     "campaign \"%s\" went on, on another machine than in the other file: %s",
		     m->campaign, difference);
	ps_error_where(m->err, "%s", m->from->path);
	ps_error_hint(m->err, "results of two machines do not mix: merge without one of the files, "
			      "and begin the campaign anew on the other machine");
	return PS_EEXIST;
}

/* A copy that ran on knows of runs that ours does not. */
static enum ps_status merge_manifest(struct merge *m, int64_t theirs, int64_t ours)
{
	char *old = NULL, *other = NULL, *joined = NULL;
	struct ps_error why;
	ps_error_clear(&why);
	enum ps_status st = read_manifest(m, m->into, ours, &old);
	if (st == PS_OK) {
		st = read_manifest(m, m->from, theirs, &other);
	}
	if (st == PS_OK) {
		st = ps_store_manifest_join(old, other, &joined, &why);
		if (st == PS_EEXIST) {
			(void)other_machine(m, why.what);
		} else if (st != PS_OK) {
			ps_error_set(m->err, st, "%s", why.what);
			ps_error_where(m->err, "%s", m->from->path);
		}
	}
	if (st == PS_OK && joined) {
		st = ps_store_run(m->into, PS_STMT_CAMPAIGN_MANIFEST, m->err, "si", joined, ours);
	}
	free(joined);
	free(other);
	free(old);
	return st;
}

static enum ps_status merge_campaign(struct merge *m, const struct campaign *theirs)
{
	struct campaign ours = {0};
	bool there = false;
	enum ps_status st = find_campaign(m, m->into, theirs->uuid, &ours, &there);
	if (st != PS_OK || !there) {
		return st == PS_OK ? new_campaign(m, theirs) : st;
	}
	if (strcmp(ours.seal, theirs->seal) != 0) {
		return refuse(m, NULL, "the files hold different plans of it");
	}
	st = merge_manifest(m, theirs->id, ours.id);
	if (st == PS_OK) {
		st = merge_cells(m, theirs->id, ours.id);
	}
	if (st == PS_OK && theirs->finished_wall_ns > ours.finished_wall_ns) {
		st = ps_store_run(m->into, PS_STMT_CAMPAIGN_FINISH, m->err, "ii",
				  theirs->finished_wall_ns, ours.id);
	}
	return st;
}

/* In the order in which the file numbers them: a changed form comes behind what it goes on from. */
static enum ps_status merge_all(struct merge *m)
{
	sqlite3_stmt *q = NULL;
	bool row = false;
	enum ps_status st = ps_store_bind(m->from, PS_STMT_CAMPAIGNS_ALL, &q, m->err, "");
	while (st == PS_OK && (st = ps_store_step(m->from, q, &row, m->err)) == PS_OK && row) {
		const char *seal = (const char *)sqlite3_column_text(q, 2);
		struct campaign c = {.id = sqlite3_column_int64(q, 0),
				     .previous = sqlite3_column_int64(q, 4),
				     .finished_wall_ns = sqlite3_column_int64(q, 5)};
		(void)snprintf(m->campaign, sizeof(m->campaign), "%s", sqlite3_column_text(q, 1));
		(void)snprintf(c.uuid, sizeof(c.uuid), "%s", sqlite3_column_text(q, 3));
		(void)snprintf(c.seal, sizeof(c.seal), "%s", seal ? seal : "");
		st = merge_campaign(m, &c);
	}
	if (q) {
		(void)sqlite3_reset(q);
	}
	return st;
}

enum ps_status ps_store_merge(struct ps_store *into, struct ps_store *from,
			      struct ps_store_merged *ret_merged, struct ps_error *err)
{
	struct merge m = {.into = into, .from = from, .counts = *ret_merged, .err = err};
	int rc = sqlite3_exec(from->db, "BEGIN", NULL, NULL, NULL); /* one instant of it */
	if (rc != SQLITE_OK) {
		return ps_store_error(from, err, rc, "read the store");
	}
	enum ps_status st = ps_store_begin(into, err);
	if (st == PS_OK) {
		st = ps_store_end(into, merge_all(&m), err);
	}
	ps_store_rollback(from); /* nothing was written there */
	if (st == PS_OK) {
		*ret_merged = m.counts;
	}
	return st;
}
