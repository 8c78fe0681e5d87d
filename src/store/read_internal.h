/* read_internal.h - rows into arrays. Shared by the files that read. */
#ifndef PS_STORE_READ_INTERNAL_H
#define PS_STORE_READ_INTERNAL_H

#include "store/store_internal.h"

/* Rows are gathered into a growing array and copied into the arena at the end. */
struct ps_store_rows {
	void *items;
	size_t len, cap, size;
};

/* ps_store_rows_add gives a zeroed item at the end, or NULL. */
void *ps_store_rows_add(struct ps_store_rows *r);
/* ps_store_no_memory reports PS_ENOMEM. */
enum ps_status ps_store_no_memory(struct ps_error *err);

/* Columns of the present row; texts and blobs are copied into the arena, NULL becomes NULL/NAN. */
const char *ps_store_text(struct ps_arena *a, sqlite3_stmt *q, int col);
double ps_store_real(sqlite3_stmt *q, int col);
int64_t ps_store_integer(sqlite3_stmt *q, int col);
int64_t ps_store_known(sqlite3_stmt *q, int col); /* NULL becomes -1 */
struct ps_store_blob ps_store_bytes(struct ps_arena *a, sqlite3_stmt *q, int col);
/* ps_store_choice finds the index of a text among `names`. PS_ECORRUPT when it is none of them. */
enum ps_status ps_store_choice(struct ps_store *s, sqlite3_stmt *q, int col,
			       const char *const *names, int *ret_index, struct ps_error *err);

/* ps_store_damaged reports PS_ECORRUPT: the campaign `what`, such as "has no tenants". */
enum ps_status ps_store_damaged(struct ps_store *s, const struct ps_store_campaign *c,
				const char *what, struct ps_error *err);
/* ps_store_is_number says whether a rate, a price or a capacity can be one: 0 or more, finite, and
 * no larger than sums and products of such can be. */
bool ps_store_is_number(double v);
/* ps_store_check_head looks at a campaign, its tenants and sets. PS_ECORRUPT. */
enum ps_status ps_store_check_head(struct ps_store *s, const struct ps_store_campaign *c,
				   struct ps_error *err);
/* ps_store_cell_fits says whether a cell is of sets and tenants that the campaign has. */
bool ps_store_cell_fits(const struct ps_store_campaign *c, const struct ps_store_cell *x);

/* ps_store_mark_campaign and ps_store_mark_cells fill `damaged` by the seals. What cannot even be
 * read for them is damaged. PS_ENOMEM, PS_EINUSE. */
enum ps_status ps_store_mark_campaign(struct ps_store *s, struct ps_store_campaign *c,
				      struct ps_error *err);
enum ps_status ps_store_mark_cells(struct ps_store *s, int64_t campaign,
				   struct ps_store_cell *cells, size_t n, struct ps_error *err);

/* Fills one item from the present row. */
typedef enum ps_status ps_store_fill_fn(struct ps_store *s, struct ps_arena *a, sqlite3_stmt *q,
					void *item, struct ps_error *err);

/* ps_store_read_rows runs a statement with up to two integers and fills one item per row. */
enum ps_status ps_store_read_rows(struct ps_store *s, struct ps_arena *a, enum ps_store_stmt id,
				  const char *types, int64_t k1, int64_t k2, size_t size,
				  ps_store_fill_fn *fill, void *ret_items, size_t *ret_len,
				  struct ps_error *err);

/* ps_store_fill_trial fills a trial's own columns; ps_store_read_trial_parts its results, seconds
 * and samples. */
enum ps_status ps_store_fill_trial(struct ps_store *s, struct ps_arena *a, sqlite3_stmt *q,
				   void *item, struct ps_error *err);
enum ps_status ps_store_read_trial_parts(struct ps_store *s, struct ps_arena *a,
					 struct ps_store_trial *t, struct ps_error *err);

#endif
