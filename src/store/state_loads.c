/* state_loads.c - what the API asked for, and the demand that was seen. */
#include "store/state_internal.h"

/* --- loads and demand --- */

enum ps_status ps_state_put_load(struct ps_state *s, const struct ps_state_load *l, int64_t wall_ns,
				 struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum ps_status status = ps_state_prepare(s, PS_STATE_LOAD_PUT, &stmt, err);
	if (status != PS_OK)
		return status;
	ps_state_bind_text(stmt, 1, l->model);
	sqlite3_bind_int64(stmt, 2, l->version);
	ps_state_bind_text(stmt, 3, l->tenant ? l->tenant : "");
	sqlite3_bind_int(stmt, 4, l->loaded);
	ps_state_bind_text(stmt, 5, l->config);
	sqlite3_bind_int64(stmt, 6, wall_ns);
	return ps_state_run(s, stmt, "remember a load", err);
}

enum ps_status ps_state_loads(struct ps_state *s,
			      bool (*row)(void *ctx, const struct ps_state_load *l), void *ctx,
			      struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum ps_status status = ps_state_prepare(s, PS_STATE_LOADS, &stmt, err);
	if (status != PS_OK)
		return status;
	int rc = SQLITE_DONE;
	bool more = true;
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const char *tenant = (const char *)sqlite3_column_text(stmt, 2);
		struct ps_state_load l = {
			.model = (const char *)sqlite3_column_text(stmt, 0),
			.version = sqlite3_column_int64(stmt, 1),
			.tenant = tenant && tenant[0] ? tenant : NULL,
			.loaded = sqlite3_column_int(stmt, 3) != 0,
			.config = (const char *)sqlite3_column_text(stmt, 4),
		};
		if (!l.model) {
			rc = SQLITE_NOMEM;
			break;
		}
		more = row(ctx, &l);
	}
	if (more && rc != SQLITE_DONE)
		status = ps_state_failed(s, rc, "read the loads", err);
	sqlite3_reset(stmt);
	return status;
}

static enum ps_status put_demand(struct ps_state *s, const struct ps_state_demand_row *row,
				 int64_t wall_ns, struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum ps_status status = ps_state_prepare(s, PS_STATE_DEMAND_PUT, &stmt, err);
	if (status != PS_OK)
		return status;
	ps_state_bind_text(stmt, 1, row->tenant);
	ps_state_bind_text(stmt, 2, row->model);
	sqlite3_bind_int64(stmt, 3, row->version);
	sqlite3_bind_double(stmt, 4, row->rps);
	sqlite3_bind_int64(stmt, 5, wall_ns);
	return ps_state_run(s, stmt, "write demand", err);
}

enum ps_status ps_state_put_demand(struct ps_state *s, const struct ps_state_demand_row *rows,
				   size_t n, int64_t wall_ns, struct ps_error *err)
{
	enum ps_status status = ps_state_exec(s, "BEGIN IMMEDIATE", "begin to write", err);
	for (size_t i = 0; status == PS_OK && i < n; i++)
		status = put_demand(s, &rows[i], wall_ns, err);
	if (status == PS_OK)
		status = ps_state_exec(s, "COMMIT", "write demand", err);
	if (status != PS_OK)
		ps_state_rollback(s);
	return status;
}

enum ps_status ps_state_demands(struct ps_state *s,
				bool (*row)(void *ctx, const struct ps_state_demand_row *row),
				void *ctx, struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum ps_status status = ps_state_prepare(s, PS_STATE_DEMANDS, &stmt, err);
	if (status != PS_OK)
		return status;
	int rc = SQLITE_DONE;
	bool more = true;
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const struct ps_state_demand_row r = {
			.tenant = (const char *)sqlite3_column_text(stmt, 0),
			.model = (const char *)sqlite3_column_text(stmt, 1),
			.version = sqlite3_column_int64(stmt, 2),
			.rps = sqlite3_column_double(stmt, 3)};
		if (!r.tenant || !r.model) {
			rc = SQLITE_NOMEM;
			break;
		}
		more = row(ctx, &r);
	}
	if (more && rc != SQLITE_DONE)
		status = ps_state_failed(s, rc, "read demand", err);
	sqlite3_reset(stmt);
	return status;
}

enum ps_status ps_state_demand(struct ps_state *s, const char *tenant, const char *model,
			       int64_t version, double *ret_rps, struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum ps_status status = ps_state_prepare(s, PS_STATE_DEMAND, &stmt, err);
	if (status != PS_OK)
		return status;
	ps_state_bind_text(stmt, 1, tenant);
	ps_state_bind_text(stmt, 2, model);
	sqlite3_bind_int64(stmt, 3, version);
	int rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		*ret_rps = rc == SQLITE_ROW ? sqlite3_column_double(stmt, 0) : 0;
	else
		status = ps_state_failed(s, rc, "read demand", err);
	sqlite3_reset(stmt);
	return status;
}

/* --- how long loads take --- */

enum ps_status ps_state_put_load_scale(struct ps_state *s, const char *step, double scale,
				       struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum ps_status status = ps_state_prepare(s, PS_STATE_LOAD_SCALE_PUT, &stmt, err);
	if (status != PS_OK)
		return status;
	ps_state_bind_text(stmt, 1, step);
	sqlite3_bind_double(stmt, 2, scale);
	return ps_state_run(s, stmt, "write how long loads take", err);
}

enum ps_status ps_state_load_scale(struct ps_state *s, const char *step, double *ret_scale,
				   struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum ps_status status = ps_state_prepare(s, PS_STATE_LOAD_SCALE, &stmt, err);
	if (status != PS_OK)
		return status;
	ps_state_bind_text(stmt, 1, step);
	int rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		*ret_scale = rc == SQLITE_ROW ? sqlite3_column_double(stmt, 0) : 0;
	else
		status = ps_state_failed(s, rc, "read how long loads take", err);
	sqlite3_reset(stmt);
	return status;
}
