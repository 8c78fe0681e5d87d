#include "store/read_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void *ps_store_rows_add(struct ps_store_rows *r)
{
	if (r->len == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 16;
		void *items = realloc(r->items, cap * r->size);
		if (!items) {
			return NULL;
		}
		r->items = items;
		r->cap = cap;
	}
	void *item = (char *)r->items + r->len++ * r->size;
	memset(item, 0, r->size);
	return item;
}

enum ps_status ps_store_no_memory(struct ps_error *err)
{
	return ps_error_set(err, PS_ENOMEM, "no memory to read the store");
}

static enum ps_status rows_take(struct ps_arena *a, struct ps_store_rows *r, void *ret_items,
				size_t *ret_len, struct ps_error *err)
{
	void *copy = NULL;
	if (r->len) {
		copy = ps_arena_alloc(a, r->len * r->size);
		if (!copy) {
			return ps_store_no_memory(err);
		}
		memcpy(copy, r->items, r->len * r->size);
	}
	memcpy(ret_items, &copy, sizeof(copy));
	*ret_len = r->len;
	return PS_OK;
}

/* ---- columns ---- */

const char *ps_store_text(struct ps_arena *a, sqlite3_stmt *q, int col)
{
	const char *t = (const char *)sqlite3_column_text(q, col);
	return t ? ps_arena_strndup(a, t, (size_t)sqlite3_column_bytes(q, col)) : NULL;
}

double ps_store_real(sqlite3_stmt *q, int col)
{
	return sqlite3_column_type(q, col) == SQLITE_NULL ? NAN : sqlite3_column_double(q, col);
}

int64_t ps_store_integer(sqlite3_stmt *q, int col)
{
	return sqlite3_column_int64(q, col);
}

int64_t ps_store_known(sqlite3_stmt *q, int col)
{
	return sqlite3_column_type(q, col) == SQLITE_NULL ? -1 : sqlite3_column_int64(q, col);
}

struct ps_store_blob ps_store_bytes(struct ps_arena *a, sqlite3_stmt *q, int col)
{
	struct ps_store_blob b = {NULL, 0};
	const void *data = sqlite3_column_blob(q, col);
	size_t len = (size_t)sqlite3_column_bytes(q, col);
	void *copy = data ? ps_arena_alloc(a, len) : NULL;
	if (copy) {
		memcpy(copy, data, len);
		b.data = copy;
		b.len = len;
	}
	return b;
}

enum ps_status ps_store_choice(struct ps_store *s, sqlite3_stmt *q, int col,
			       const char *const *names, int *ret_index, struct ps_error *err)
{
	const char *t = (const char *)sqlite3_column_text(q, col);
	for (int i = 0; t && names[i]; i++) {
		if (strcmp(t, names[i]) == 0) {
			*ret_index = i;
			return PS_OK;
		}
	}
	ps_error_set(err, PS_ECORRUPT, "the store has a row with the unknown %s \"%.40s\"",
		     sqlite3_column_name(q, col), t ? t : "");
	ps_error_where(err, "%s", s->path);
	return PS_ECORRUPT;
}

/* Runs a statement with up to two integers and fills one item per row. */
enum ps_status ps_store_read_rows(struct ps_store *s, struct ps_arena *a, enum ps_store_stmt id,
				  const char *types, int64_t k1, int64_t k2, size_t size,
				  ps_store_fill_fn *fill, void *ret_items, size_t *ret_len,
				  struct ps_error *err)
{
	struct ps_store_rows rows = {.size = size};
	sqlite3_stmt *q = NULL;
	bool row = false;
	enum ps_status st = ps_store_bind(s, id, &q, err, types, k1, k2);
	while (st == PS_OK && (st = ps_store_step(s, q, &row, err)) == PS_OK && row) {
		void *item = ps_store_rows_add(&rows);
		st = item ? fill(s, a, q, item, err) : ps_store_no_memory(err);
	}
	if (q) {
		(void)sqlite3_reset(q);
	}
	if (st == PS_OK) {
		st = rows_take(a, &rows, ret_items, ret_len, err);
	}
	free(rows.items);
	return st;
}
