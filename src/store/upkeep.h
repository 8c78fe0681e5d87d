/* upkeep.h - stores as a whole: checked, merged, exported.   Layer 2. Uses base, stats.
 *
 * A campaign has a number drawn at random (its uuid) and is the same campaign in every file that
 * holds it; the row ids of a file mean nothing outside. So stores of several machines merge without
 * conflict, and merging twice changes nothing.
 *
 * Errors as in store.h.
 */
#ifndef PS_STORE_UPKEEP_H
#define PS_STORE_UPKEEP_H

#include "base/strbuf.h"
#include "store/store.h"

/* ---- check ---- */

/* One thing that is wrong. Texts live during the call. */
struct ps_store_finding {
	const char *campaign; /* its name; NULL: the file as a whole */
	const char *cell;     /* its key; NULL: the campaign */
	int64_t trial;	      /* its number in the cell; -1: the cell */
	const char *what;
};

/* Called for each; false: enough. */
typedef bool ps_store_finding_fn(void *ctx, const struct ps_store_finding *f);

struct ps_store_checked {
	int64_t campaigns, cells, trials; /* looked at */
	int64_t findings;
};

/* ps_store_check_all looks at everything: SQLite's integrity check, the schema as this version
 * makes it, foreign keys, cells that are written whole (done ones have results, planned ones have
 * none), counts that agree, and the seal of every campaign, cell and trial against its content.
 * PS_OK also with findings. Reads the whole file once. */
enum ps_status ps_store_check_all(struct ps_store *s, ps_store_finding_fn *fn, void *ctx,
				  struct ps_store_checked *ret_checked, struct ps_error *err);

/* ---- merge ---- */

struct ps_store_merged {
	int64_t campaigns; /* new here */
	int64_t cells;	   /* new, or taken because they were further there */
	int64_t same;	   /* cells that were here already */
};

/* ps_store_merge adds what `from` holds to `into` (open for writing): campaigns by their uuid; of a
 * campaign that both hold, each cell as far as it came in either (moved, then done, then failed or
 * skipped, then running, then planned). *ret counts are added to. All of it or nothing.
 * PS_EEXIST, naming campaign and cell, when both are done and differ, or when the plans differ:
 * nobody but a human can say which is right; or when one of them ran on, on another kind of machine
 * (manifest.h). Manifests are joined: each names the runs of both. PS_ECORRUPT when a seal of
 * `from` is broken. */
enum ps_status ps_store_merge(struct ps_store *into, struct ps_store *from,
			      struct ps_store_merged *ret_merged, struct ps_error *err);

/* ---- export ---- */

struct ps_store_column {
	const char *name;
	const char *sql;  /* NULL: the name itself */
	const char *what; /* what a reader sees in the documentation */
};

/* A file that export writes: its columns, in order. */
struct ps_store_sheet {
	const char *file; /* "trials.csv" */
	const char *what; /* one sentence */
	const char *from; /* tables and order; NULL: the requests, which are packed */
	const struct ps_store_column *columns; /* ended by a NULL name */
};

/* The sheets, ended by a NULL file. */
extern const struct ps_store_sheet ps_store_sheets[];

/* ps_store_sheets_reference appends a Markdown reference of all files and columns. */
void ps_store_sheets_reference(struct ps_strbuf *out);

/* ps_store_export writes one CSV file (RFC 4180, UTF-8, a header line, "." for decimals, empty for
 * not known) per sheet into the folder `dir`, which is made; `requests`: also every request that
 * was kept. Each file appears whole or not at all. PS_ENOSPC, PS_EFORBIDDEN, PS_EIO with the file
 * in `where`. */
enum ps_status ps_store_export(struct ps_store *s, const char *dir, bool requests,
			       struct ps_error *err);

#endif
