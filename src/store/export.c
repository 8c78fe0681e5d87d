/* export.c - the sheets as CSV files. */
#include "store/store_internal.h"
#include "store/upkeep.h"

#include "base/file.h"
#include "base/strbuf.h"
#include "stats/hist.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- histograms in SQL ---- */

static void with_hist(sqlite3_context *x, sqlite3_value **v,
		      void (*answer)(sqlite3_context *, const struct ps_hist *, sqlite3_value **))
{
	struct ps_hist h = {0};
	const void *bytes = sqlite3_value_blob(v[0]);
	size_t len = (size_t)sqlite3_value_bytes(v[0]);
	if (!bytes) {
		return; /* NULL gives NULL */
	}
	if (ps_hist_init(&h) != PS_OK) {
		sqlite3_result_error_nomem(x);
	} else if (ps_hist_read(&h, bytes, len, NULL) != PS_OK) {
		sqlite3_result_error(x, "a histogram is broken", -1);
	} else {
		answer(x, &h, v);
	}
	ps_hist_fini(&h);
}

static void answer_quantile(sqlite3_context *x, const struct ps_hist *h, sqlite3_value **v)
{
	int64_t ns = ps_hist_total(h) ? ps_hist_quantile_ns(h, sqlite3_value_double(v[1]))
				      : PS_HIST_INFINITE;
	if (ns != PS_HIST_INFINITE) {
		sqlite3_result_int64(x, ns);
	}
}

static void answer_mean(sqlite3_context *x, const struct ps_hist *h, sqlite3_value **v)
{
	(void)v;
	if (ps_hist_count(h)) {
		sqlite3_result_double(x, ps_hist_mean_ns(h));
	}
}

static void sql_quantile(sqlite3_context *x, int n, sqlite3_value **v)
{
	(void)n;
	with_hist(x, v, answer_quantile);
}

static void sql_mean(sqlite3_context *x, int n, sqlite3_value **v)
{
	(void)n;
	with_hist(x, v, answer_mean);
}

/* ---- one file ---- */

struct sheet {
	char *path, *temporary;
	FILE *f;
};

static enum ps_status file_error(const struct sheet *x, int e, struct ps_error *err)
{
	ps_error_errno(err, e, "cannot write");
	ps_error_where(err, "%s", x->path);
	return ps_status_from_errno(e);
}

static enum ps_status sheet_open(struct sheet *x, const char *dir, const char *file,
				 struct ps_error *err)
{
	x->path = sqlite3_mprintf("%s/%s", dir, file);
	x->temporary = sqlite3_mprintf("%s/.%s.part", dir, file);
	if (!x->path || !x->temporary) {
		return ps_error_set(err, PS_ENOMEM, "no memory for a path");
	}
	x->f = fopen(x->temporary, "we");
	return x->f ? PS_OK : file_error(x, errno, err);
}

/* The file appears under its name when all of it is on the disk. */
static enum ps_status sheet_close(struct sheet *x, enum ps_status st, struct ps_error *err)
{
	if (x->f) {
		int e = 0;
		bool whole = fflush(x->f) == 0 && !ferror(x->f) && fsync(fileno(x->f)) == 0;
		if (!whole) {
			e = errno ? errno : EIO;
		}
		if (fclose(x->f) != 0 && e == 0) {
			e = errno;
		}
		if (st == PS_OK && e == 0 && rename(x->temporary, x->path) != 0) {
			e = errno;
		}
		if (st == PS_OK && e != 0) {
			st = file_error(x, e, err);
		}
		if (st != PS_OK) {
			(void)unlink(x->temporary);
		}
	}
	sqlite3_free(x->path);
	sqlite3_free(x->temporary);
	return st;
}

/* RFC 4180: quotes around what holds a comma, a quote or a line break. */
static void put_text(FILE *f, const char *text)
{
	if (!text[strcspn(text, ",\"\r\n")]) {
		(void)fputs(text, f);
		return;
	}
	(void)fputc('"', f);
	for (; *text; text++) {
		if (*text == '"') {
			(void)fputc('"', f);
		}
		(void)fputc(*text, f);
	}
	(void)fputc('"', f);
}

static void put_value(FILE *f, sqlite3_stmt *q, int col)
{
	switch (sqlite3_column_type(q, col)) {
	case SQLITE_NULL:
		break;
	case SQLITE_INTEGER:
		(void)fprintf(f, "%lld", (long long)sqlite3_column_int64(q, col));
		break;
	case SQLITE_FLOAT:
		(void)fprintf(f, "%.17g", sqlite3_column_double(q, col));
		break;
	default:
		put_text(f, (const char *)sqlite3_column_text(q, col));
	}
}

static void put_header(FILE *f, const struct ps_store_column *c)
{
	for (int i = 0; c[i].name; i++) {
		(void)fprintf(f, "%s%s", i ? "," : "", c[i].name);
	}
	(void)fputs("\r\n", f);
}

static char *select_of(const struct ps_store_sheet *sheet)
{
	struct ps_strbuf b;
	ps_strbuf_init(&b);
	for (const struct ps_store_column *c = sheet->columns; c->name; c++) {
		ps_strbuf_printf(&b, "%s%s AS %s", c == sheet->columns ? "SELECT " : ", ",
				 c->sql ? c->sql : c->name, c->name);
	}
	ps_strbuf_printf(&b, " FROM %s", sheet->from);
	return ps_strbuf_take_data(&b);
}

enum ps_status ps_store_sheet_prepare(struct ps_store *s, const struct ps_store_sheet *sheet,
				      sqlite3_stmt **ret_stmt, struct ps_error *err)
{
	const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
	int rc = sqlite3_create_function(s->db, "quantile_ns", 2, flags, NULL, sql_quantile, NULL,
					 NULL);
	if (rc == SQLITE_OK) {
		rc = sqlite3_create_function(s->db, "mean_ns", 1, flags, NULL, sql_mean, NULL,
					     NULL);
	}
	char *sql = select_of(sheet);
	if (rc == SQLITE_OK) {
		rc = sql ? sqlite3_prepare_v2(s->db, sql, -1, ret_stmt, NULL) : SQLITE_NOMEM;
	}
	free(sql);
	return rc == SQLITE_OK ? PS_OK : ps_store_error(s, err, rc, "read the store");
}

static enum ps_status put_rows(struct ps_store *s, const struct ps_store_sheet *sheet, FILE *f,
			       struct ps_error *err)
{
	sqlite3_stmt *q = NULL;
	int rc = SQLITE_ROW;
	enum ps_status st = ps_store_sheet_prepare(s, sheet, &q, err);
	while (st == PS_OK && !ferror(f) && (rc = sqlite3_step(q)) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(q); i++) {
			if (i > 0) {
				(void)fputc(',', f);
			}
			put_value(f, q, i);
		}
		(void)fputs("\r\n", f);
	}
	if (st == PS_OK && rc != SQLITE_DONE && rc != SQLITE_ROW) {
		st = ps_store_error(s, err, rc, "read the store");
	}
	(void)sqlite3_finalize(q);
	return st;
}

/* ---- requests ---- */

/* An instant or a time; negative: there was none. */
static void put_known(FILE *f, int64_t v)
{
	(void)fputc(',', f);
	if (v >= 0) {
		(void)fprintf(f, "%lld", (long long)v);
	}
}

static void put_request(FILE *f, sqlite3_stmt *q, const struct ps_store_request *r)
{
	for (int i = 1; i <= 4; i++) {
		if (i > 1) {
			(void)fputc(',', f);
		}
		put_value(f, q, i);
	}
	put_known(f, r->scheduled_ns);
	put_known(f, r->sent_ns);
	put_known(f, r->first_byte_ns);
	put_known(f, r->done_ns);
	put_known(f, r->server_queue_ns);
	put_known(f, r->server_compute_ns);
	put_known(f, r->http_status ? r->http_status : -1);
	(void)fprintf(f, ",%d,%d\r\n", r->outcome, r->warmup);
}

static enum ps_status put_requests(struct ps_store *s, FILE *f, struct ps_error *err)
{
	sqlite3_stmt *q = NULL;
	bool row = false;
	enum ps_status st = ps_store_bind(s, PS_STMT_RESULTS_ALL, &q, err, "");
	while (st == PS_OK && !ferror(f) && (st = ps_store_step(s, q, &row, err)) == PS_OK && row) {
		struct ps_store_request *r = NULL;
		size_t n = 0;
		st = ps_store_requests_read(s, sqlite3_column_int64(q, 0), &r, &n, err);
		for (size_t i = 0; i < n && st == PS_OK; i++) {
			put_request(f, q, &r[i]);
		}
		free(r);
	}
	if (q) {
		(void)sqlite3_reset(q);
	}
	return st;
}

/* ---- all ---- */

static enum ps_status export_sheet(struct ps_store *s, const struct ps_store_sheet *sheet,
				   const char *dir, struct ps_error *err)
{
	struct sheet x = {0};
	enum ps_status st = sheet_open(&x, dir, sheet->file, err);
	if (st == PS_OK) {
		put_header(x.f, sheet->columns);
		st = sheet->from ? put_rows(s, sheet, x.f, err) : put_requests(s, x.f, err);
	}
	return sheet_close(&x, st, err);
}

enum ps_status ps_store_export(struct ps_store *s, const char *dir, bool requests,
			       struct ps_error *err)
{
	enum ps_status st = ps_file_mkdirs(dir, err);
	int rc = st == PS_OK ? sqlite3_exec(s->db, "BEGIN", NULL, NULL, NULL) : SQLITE_OK;
	if (rc != SQLITE_OK) {
		return ps_store_error(s, err, rc, "read the store");
	}
	for (const struct ps_store_sheet *x = ps_store_sheets; x->file && st == PS_OK; x++) {
		if (x->from || requests) {
			st = export_sheet(s, x, dir, err);
		}
	}
	ps_store_rollback(s); /* nothing was written */
	return st;
}
