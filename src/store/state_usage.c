/* state_usage.c - the ledger: written, read, added up, forgotten. */
#include "store/state_internal.h"

/* --- usage --- */

static enum ps_status put_usage(struct ps_state *s, const struct ps_state_usage *u,
				struct ps_error *err)
{
	const int64_t values[] = {u->version,	 u->minute,	u->requests,	   u->failed,
				  u->inferences, u->compute_ns, u->resident_byte_s};
	sqlite3_stmt *stmt = NULL;
	enum ps_status status = ps_state_prepare(s, PS_STATE_USAGE_PUT, &stmt, err);
	if (status != PS_OK)
		return status;
	sqlite3_bind_int64(stmt, 1, s->run);
	ps_state_bind_text(stmt, 2, u->tenant);
	ps_state_bind_text(stmt, 3, u->model);
	for (int i = 0; i < 7; i++)
		sqlite3_bind_int64(stmt, 4 + i, values[i]);
	return ps_state_run(s, stmt, "write usage", err);
}

enum ps_status ps_state_write(struct ps_state *s, const struct ps_state_usage *rows, size_t n,
			      int64_t wall_ns, struct ps_error *err)
{
	enum ps_status status = ps_state_exec(s, "BEGIN IMMEDIATE", "begin to write", err);
	for (size_t i = 0; status == PS_OK && i < n; i++)
		status = put_usage(s, &rows[i], err);
	if (status == PS_OK)
		status = ps_state_mark(s, PS_STATE_RUN_WRITTEN, wall_ns, err);
	if (status == PS_OK)
		status = ps_state_exec(s, "COMMIT", "write usage", err);
	if (status != PS_OK)
		ps_state_rollback(s);
	return status;
}

static void bind_query(sqlite3_stmt *stmt, const struct ps_state_query *q)
{
	ps_state_bind_text(stmt, 1, q->tenant);
	ps_state_bind_text(stmt, 2, q->model);
	sqlite3_bind_int64(stmt, 3, q->from_minute);
	sqlite3_bind_int64(stmt, 4, q->to_minute);
}

static struct ps_state_usage usage_of(sqlite3_stmt *stmt)
{
	return (struct ps_state_usage){
		.tenant = (const char *)sqlite3_column_text(stmt, 0),
		.model = (const char *)sqlite3_column_text(stmt, 1),
		.version = sqlite3_column_int64(stmt, 2),
		.minute = sqlite3_column_int64(stmt, 3),
		.requests = sqlite3_column_int64(stmt, 4),
		.failed = sqlite3_column_int64(stmt, 5),
		.inferences = sqlite3_column_int64(stmt, 6),
		.compute_ns = sqlite3_column_int64(stmt, 7),
		.resident_byte_s = sqlite3_column_int64(stmt, 8),
	};
}

enum ps_status ps_state_read(struct ps_state *s, const struct ps_state_query *q,
			     bool (*row)(void *ctx, const struct ps_state_usage *u), void *ctx,
			     struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum ps_status status = ps_state_prepare(
		s, q->by_minute ? PS_STATE_USAGE_BY_MINUTE : PS_STATE_USAGE_SUM, &stmt, err);
	if (status != PS_OK)
		return status;
	bind_query(stmt, q);
	int rc = SQLITE_DONE;
	bool more = true;
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct ps_state_usage u = usage_of(stmt);
		if (!u.tenant || !u.model) {
			rc = SQLITE_NOMEM;
			break;
		}
		more = row(ctx, &u);
	}
	if (more && rc == SQLITE_ERROR) {
		status = ps_error_set(err, PS_ECORRUPT, "cannot add up usage: %s",
				      sqlite3_errmsg(s->db)); /* over 64 bits */
		ps_error_where(err, "%s", s->path);
	} else if (more && rc != SQLITE_DONE) {
		status = ps_state_failed(s, rc, "read usage", err);
	}
	sqlite3_reset(stmt);
	return status;
}

/* 0 also where there is no such table. */
static int64_t read_kept(struct ps_state *s)
{
	sqlite3_stmt *stmt = NULL;
	int64_t minute = 0;
	if (sqlite3_prepare_v2(s->db, "SELECT minute FROM kept", -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW)
		minute = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return minute;
}

enum ps_status ps_state_loss(struct ps_state *s, const struct ps_state_query *q,
			     struct ps_state_loss *ret_loss, struct ps_error *err)
{
	struct ps_state_loss loss = {0};
	sqlite3_stmt *stmt = NULL, *last = NULL;
	enum ps_status status = ps_state_prepare(s, PS_STATE_LOSS, &stmt, err);
	if (status == PS_OK)
		status = ps_state_prepare(s, PS_STATE_LAST_WRITE, &last, err);
	if (status != PS_OK)
		return status;
	sqlite3_bind_int64(stmt, 1, q->from_minute * PS_STATE_NS_PER_MINUTE);
	sqlite3_bind_int64(stmt, 2, q->to_minute * PS_STATE_NS_PER_MINUTE);
	sqlite3_bind_int64(stmt, 3, PS_STATE_FLUSH_NS);
	int rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		loss.runs = sqlite3_column_int(stmt, 0);
		loss.killed = sqlite3_column_int(stmt, 1);
		loss.open_ns = loss.killed * PS_STATE_FLUSH_NS;
		rc = sqlite3_step(last);
	}
	if (rc == SQLITE_ROW)
		loss.last_write_ns = sqlite3_column_int64(last, 0);
	else
		status = ps_state_failed(s, rc, "read the runs", err);
	sqlite3_reset(stmt);
	sqlite3_reset(last);
	loss.kept_minute = read_kept(s);
	if (status == PS_OK)
		*ret_loss = loss;
	return status;
}

/* --- retention --- */

/* Runs one statement with one or two numbers. */
static enum ps_status run_numbers(struct ps_state *s, enum ps_state_statement id, int64_t a,
				  int64_t b, struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum ps_status status = ps_state_prepare(s, id, &stmt, err);
	if (status != PS_OK)
		return status;
	sqlite3_bind_int64(stmt, 1, a);
	if (sqlite3_bind_parameter_count(stmt) > 1)
		sqlite3_bind_int64(stmt, 2, b);
	return ps_state_run(s, stmt, "delete old usage", err);
}

/* The oldest minute that has usage, `minute` when none is before it. */
static enum ps_status find_oldest(struct ps_state *s, int64_t minute, int64_t *ret_oldest,
				  struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum ps_status status = ps_state_prepare(s, PS_STATE_OLDEST, &stmt, err);
	if (status != PS_OK)
		return status;
	sqlite3_bind_int64(stmt, 1, minute);
	int rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret_oldest = sqlite3_column_int64(stmt, 0);
	else
		status = ps_state_failed(s, rc, "read usage", err);
	sqlite3_reset(stmt);
	return status;
}

static enum ps_status forget_locked(struct ps_state *s, int64_t minute, int max_minutes,
				    struct ps_error *err)
{
	int64_t oldest = 0;
	enum ps_status status = find_oldest(s, minute, &oldest, err);
	for (int i = 0; status == PS_OK && oldest < minute && i < max_minutes; i++) {
		status = run_numbers(s, PS_STATE_USAGE_DROP, oldest, 0, err);
		if (status == PS_OK)
			status = run_numbers(s, PS_STATE_KEPT_PUT, oldest + 1, 0, err);
		if (status == PS_OK)
			status = find_oldest(s, minute, &oldest, err);
	}
	if (status == PS_OK && oldest >= minute)
		status = run_numbers(s, PS_STATE_RUN_DROP, s->run, minute * PS_STATE_NS_PER_MINUTE,
				     err);
	return status;
}

enum ps_status ps_state_forget(struct ps_state *s, int64_t minute, int max_minutes,
			       struct ps_error *err)
{
	enum ps_status status = ps_state_exec(s, "BEGIN IMMEDIATE", "begin to write", err);
	if (status == PS_OK)
		status = forget_locked(s, minute, max_minutes, err);
	if (status == PS_OK)
		status = ps_state_exec(s, "COMMIT", "delete old usage", err);
	if (status != PS_OK)
		ps_state_rollback(s);
	return status;
}
