/* seal.c - digests over what was written, so that what a disk changed is found and named.
 *
 * A seal is the SHA-256 of a row and all rows that belong to it: per value its column's name, its
 * type and its bytes. Values that are NULL do not count, so that a column which a later version
 * adds changes no seal; row ids do not count, so that a copy in another file has the same seal. A
 * cell's seal holds the seals of its trials instead of their rows. */
#include "store/read_internal.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sealer {
	EVP_MD_CTX *ctx;
	bool failed;
};

static void add(struct sealer *d, const void *data, size_t len)
{
	d->failed = d->failed || EVP_DigestUpdate(d->ctx, data, len) != 1;
}

/* Names and bytes are preceded by their length: no two rows run into the same text. */
static void add_sized(struct sealer *d, const void *data, size_t len)
{
	uint64_t n = len;
	unsigned char head[8];
	for (int i = 0; i < 8; i++) {
		head[i] = (unsigned char)(n >> (8 * i));
	}
	add(d, head, sizeof(head));
	add(d, data, len);
}

/* What names a row in this file, or is no content. */
static bool is_place(const char *column)
{
	static const char *const names[] = {"id",	  "campaign", "cell",	 "trial",
					    "plan_order", "seal",     "previous"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(column, names[i]) == 0) {
			return true;
		}
	}
	return false;
}

/* Labels that change after a campaign was begun. */
static bool is_label(const char *column)
{
	return strcmp(column, "manifest") == 0 || strcmp(column, "finished_wall_ns") == 0;
}

static void add_value(struct sealer *d, sqlite3_stmt *q, int col)
{
	int64_t i;
	double r;
	int type = sqlite3_column_type(q, col);
	unsigned char letter = (unsigned char)type;
	add(d, &letter, 1);
	switch (type) {
	case SQLITE_INTEGER:
		i = sqlite3_column_int64(q, col);
		add(d, &i, sizeof(i));
		break;
	case SQLITE_FLOAT:
		r = sqlite3_column_double(q, col);
		add(d, &r, sizeof(r));
		break;
	default: {
		const void *data = sqlite3_column_blob(q, col);
		add_sized(d, data ? data : "", (size_t)sqlite3_column_bytes(q, col));
	}
	}
}

static void add_row(struct sealer *d, sqlite3_stmt *q, bool labels)
{
	add(d, "row", 4);
	for (int i = 0; i < sqlite3_column_count(q); i++) {
		const char *name = sqlite3_column_name(q, i);
		if (sqlite3_column_type(q, i) != SQLITE_NULL && !is_place(name) &&
		    (labels || !is_label(name))) {
			add_sized(d, name, strlen(name));
			add_value(d, q, i);
		}
	}
}

static enum ps_status add_rows(struct ps_store *s, struct sealer *d, enum ps_store_stmt id,
			       int64_t key, bool labels, struct ps_error *err)
{
	sqlite3_stmt *q = NULL;
	bool row = false;
	const char *name = ps_store_stmts[id].name;
	enum ps_status st = ps_store_bind(s, id, &q, err, "i", key);
	add_sized(d, name, strlen(name));
	while (st == PS_OK && (st = ps_store_step(s, q, &row, err)) == PS_OK && row) {
		add_row(d, q, labels);
	}
	if (q) {
		(void)sqlite3_reset(q);
	}
	return st;
}

static enum ps_status digest(struct ps_store *s, const enum ps_store_stmt *stmts, int n,
			     int64_t key, bool labels, char ret[PS_STORE_SEAL_SIZE],
			     struct ps_error *err)
{
	unsigned char bytes[EVP_MAX_MD_SIZE] = {0};
	unsigned len = 0;
	struct sealer d = {.ctx = EVP_MD_CTX_new()};
	enum ps_status st = PS_OK;
	d.failed = !d.ctx || EVP_DigestInit_ex(d.ctx, EVP_sha256(), NULL) != 1;
	for (int i = 0; i < n && st == PS_OK && !d.failed; i++) {
		st = add_rows(s, &d, stmts[i], key, labels, err);
	}
	if (st == PS_OK && (d.failed || EVP_DigestFinal_ex(d.ctx, bytes, &len) != 1)) {
		st = ps_error_set(err, PS_ENOMEM, "cannot make a digest");
	}
	EVP_MD_CTX_free(d.ctx);
	for (unsigned i = 0; st == PS_OK && i < len; i++) {
		(void)snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
	}
	return st;
}

#define DIGEST(stmts, labels)                                                                      \
	digest(s, stmts, (int)(sizeof(stmts) / sizeof((stmts)[0])), id, labels, ret_seal, err)

enum ps_status ps_store_trial_seal(struct ps_store *s, int64_t id,
				   char ret_seal[PS_STORE_SEAL_SIZE], struct ps_error *err)
{
	static const enum ps_store_stmt stmts[] = {PS_STMT_TRIAL_ROW,	PS_STMT_RESULT_ROWS,
						   PS_STMT_SECOND_ROWS, PS_STMT_SAMPLE_ROWS,
						   PS_STMT_GPU_ROWS,	PS_STMT_SCRAPE_ROWS};
	return DIGEST(stmts, true);
}

enum ps_status ps_store_cell_seal(struct ps_store *s, int64_t id, char ret_seal[PS_STORE_SEAL_SIZE],
				  struct ps_error *err)
{
	static const enum ps_store_stmt stmts[] = {PS_STMT_CELL_ROW, PS_STMT_CAPACITY_ROWS,
						   PS_STMT_RAY_ROWS, PS_STMT_FIGURE_ROWS,
						   PS_STMT_TRIAL_SEALS};
	return DIGEST(stmts, true);
}

enum ps_status ps_store_campaign_seal(struct ps_store *s, int64_t id,
				      char ret_seal[PS_STORE_SEAL_SIZE], struct ps_error *err)
{
	static const enum ps_store_stmt stmts[] = {PS_STMT_CAMPAIGN_ROW, PS_STMT_TENANT_ROWS,
						   PS_STMT_SET_ROWS, PS_STMT_MEMBER_ROWS};
	return DIGEST(stmts, false);
}

/* ---- writing them ---- */

enum ps_status ps_store_seal_campaign(struct ps_store *s, int64_t id, struct ps_error *err)
{
	char seal[PS_STORE_SEAL_SIZE] = "";
	enum ps_status st = ps_store_campaign_seal(s, id, seal, err);
	return st == PS_OK ? ps_store_run(s, PS_STMT_CAMPAIGN_SEAL, err, "si", seal, id) : st;
}

static enum ps_status seal_trial(struct ps_store *s, int64_t id, struct ps_error *err)
{
	char seal[PS_STORE_SEAL_SIZE] = "";
	enum ps_status st = ps_store_trial_seal(s, id, seal, err);
	return st == PS_OK ? ps_store_run(s, PS_STMT_TRIAL_SEAL, err, "si", seal, id) : st;
}

/* ---- lists of sealed rows ---- */

static void fill_sealed(sqlite3_stmt *q, struct ps_store_sealed *x)
{
	int last = sqlite3_column_count(q) - 1;
	const char *name = (const char *)sqlite3_column_text(q, 1);
	const char *state = last == 3 ? (const char *)sqlite3_column_text(q, 2) : NULL;
	const char *seal = (const char *)sqlite3_column_text(q, last);
	memset(x, 0, sizeof(*x));
	x->id = sqlite3_column_int64(q, 0);
	x->number = sqlite3_column_int64(q, 1);
	(void)snprintf(x->name, sizeof(x->name), "%s", name ? name : "?");
	(void)snprintf(x->state, sizeof(x->state), "%s", state ? state : "");
	(void)snprintf(x->seal, sizeof(x->seal), "%s", seal ? seal : "");
}

enum ps_status ps_store_sealed_rows(struct ps_store *s, enum ps_store_stmt id, int64_t key,
				    struct ps_store_sealed **ret_rows, size_t *ret_len,
				    struct ps_error *err)
{
	struct ps_store_rows rows = {.size = sizeof(struct ps_store_sealed)};
	sqlite3_stmt *q = NULL;
	bool row = false;
	enum ps_status st = ps_store_bind(s, id, &q, err, key ? "i" : "", key);
	while (st == PS_OK && (st = ps_store_step(s, q, &row, err)) == PS_OK && row) {
		struct ps_store_sealed *x = ps_store_rows_add(&rows);
		if (!x) {
			st = ps_store_no_memory(err);
			break;
		}
		fill_sealed(q, x);
	}
	if (q) {
		(void)sqlite3_reset(q);
	}
	if (st != PS_OK) {
		free(rows.items);
		return st;
	}
	*ret_rows = rows.items;
	*ret_len = rows.len;
	return PS_OK;
}

enum ps_status ps_store_find_sealed(struct ps_store *s, int64_t campaign, const char *key,
				    struct ps_store_sealed *ret_cell, bool *ret_there,
				    struct ps_error *err)
{
	sqlite3_stmt *q = NULL;
	enum ps_status st = ps_store_bind(s, PS_STMT_CELL_BY_KEY, &q, err, "is", campaign, key);
	if (st == PS_OK) {
		st = ps_store_step(s, q, ret_there, err);
	}
	if (st == PS_OK && *ret_there) {
		fill_sealed(q, ret_cell);
		(void)sqlite3_reset(q);
	}
	return st;
}

/* ---- comparing them ---- */

static enum ps_status trials_intact(struct ps_store *s, int64_t cell, bool *ret_intact,
				    struct ps_error *err)
{
	char now[PS_STORE_SEAL_SIZE] = "";
	struct ps_store_sealed *trials = NULL;
	size_t n = 0;
	enum ps_status st = ps_store_sealed_rows(s, PS_STMT_TRIALS_OF, cell, &trials, &n, err);
	for (size_t i = 0; i < n && st == PS_OK && *ret_intact; i++) {
		st = ps_store_trial_seal(s, trials[i].id, now, err);
		*ret_intact = strcmp(now, trials[i].seal) == 0;
	}
	free(trials);
	return st;
}

enum ps_status ps_store_cell_intact(struct ps_store *s, const struct ps_store_sealed *cell,
				    bool *ret_intact, struct ps_error *err)
{
	char now[PS_STORE_SEAL_SIZE] = "";
	enum ps_status st = PS_OK;
	*ret_intact = true;
	if (ps_store_is_over(cell->state) || cell->seal[0]) {
		st = ps_store_cell_seal(s, cell->id, now, err);
		*ret_intact = strcmp(now, cell->seal) == 0;
	}
	return st == PS_OK && *ret_intact ? trials_intact(s, cell->id, ret_intact, err) : st;
}

/* ---- writing cells' ---- */

enum ps_status ps_store_seal_cell(struct ps_store *s, int64_t id, struct ps_error *err)
{
	char seal[PS_STORE_SEAL_SIZE] = "";
	struct ps_store_sealed *trials = NULL;
	size_t n = 0;
	enum ps_status st = ps_store_sealed_rows(s, PS_STMT_TRIALS_OF, id, &trials, &n, err);
	for (size_t i = 0; i < n && st == PS_OK; i++) {
		st = seal_trial(s, trials[i].id, err);
	}
	free(trials);
	if (st == PS_OK) {
		st = ps_store_cell_seal(s, id, seal, err);
	}
	return st == PS_OK ? ps_store_run(s, PS_STMT_CELL_SEAL, err, "si", seal, id) : st;
}

static enum ps_status seal_cells(struct ps_store *s, int64_t campaign, struct ps_error *err)
{
	struct ps_store_sealed *cells = NULL;
	size_t n = 0;
	enum ps_status st = ps_store_sealed_rows(s, PS_STMT_CELLS_OF, campaign, &cells, &n, err);
	for (size_t i = 0; i < n && st == PS_OK; i++) {
		if (ps_store_is_over(cells[i].state)) {
			st = ps_store_seal_cell(s, cells[i].id, err);
		}
	}
	free(cells);
	return st;
}

enum ps_status ps_store_seal_all(struct ps_store *s, struct ps_error *err)
{
	struct ps_store_sealed *all = NULL;
	size_t n = 0;
	enum ps_status st = ps_store_sealed_rows(s, PS_STMT_CAMPAIGNS_SEALED, 0, &all, &n, err);
	for (size_t i = 0; i < n && st == PS_OK; i++) {
		st = ps_store_seal_campaign(s, all[i].id, err);
		if (st == PS_OK) {
			st = seal_cells(s, all[i].id, err);
		}
	}
	free(all);
	return st;
}

bool ps_store_is_over(const char *state)
{
	return strcmp(state, ps_store_state_names[PS_STORE_DONE]) == 0 ||
	       strcmp(state, ps_store_state_names[PS_STORE_FAILED]) == 0;
}
