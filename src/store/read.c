#include "store/pack_internal.h"
#include "store/read_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A campaign that was read: the public struct first, then the arena that holds all of it. */
struct loaded {
	struct ps_store_campaign c;
	struct ps_arena arena;
};

/* ---- cells ---- */

static enum ps_status fill_cell(struct ps_store *s, struct ps_arena *a, sqlite3_stmt *q, void *item,
				struct ps_error *err)
{
	struct ps_store_cell *x = item;
	int kind = 0, state = 0;
	enum ps_status st = ps_store_choice(s, q, 2, ps_store_kind_names, &kind, err);
	st = st == PS_OK ? ps_store_choice(s, q, 7, ps_store_state_names, &state, err) : st;
	x->kind = (enum ps_store_cell_kind)kind;
	x->state = (enum ps_store_cell_state)state;
	x->id = ps_store_integer(q, 0);
	x->key = ps_store_text(a, q, 1);
	x->set = (int)ps_store_integer(q, 3);
	x->block = (int)ps_store_integer(q, 4);
	x->position = (int)ps_store_integer(q, 5);
	x->attempt = (int)ps_store_integer(q, 6);
	x->reason = ps_store_text(a, q, 8);
	x->started_wall_ns = ps_store_integer(q, 9);
	x->finished_wall_ns = ps_store_integer(q, 10);
	x->slice_json = ps_store_text(a, q, 11);
	x->server_json = ps_store_text(a, q, 12);
	x->part = (int)ps_store_integer(q, 13);
	x->point = (int)ps_store_integer(q, 14);
	x->digest = ps_store_text(a, q, 15);
	return st;
}

static enum ps_status fill_real(struct ps_store *s, struct ps_arena *a, sqlite3_stmt *q, void *item,
				struct ps_error *err)
{
	(void)s, (void)a, (void)err;
	*(double *)item = ps_store_real(q, 0);
	return PS_OK;
}

static enum ps_status read_ray(struct ps_store *s, struct loaded *l, struct ps_store_cell *x,
			       struct ps_error *err)
{
	size_t n = 0;
	enum ps_status st =
		ps_store_read_rows(s, &l->arena, PS_STMT_RAY_READ, "i", x->id, 0, sizeof(double),
				   fill_real, &x->capacity.ray_rps, &n, err);
	bool set_known = x->set >= 0 && (size_t)x->set < l->c.set_len;
	if (st == PS_OK && (!set_known || n != (size_t)l->c.sets[x->set].member_len)) {
		st = ps_store_damaged(s, &l->c, "has a capacity without a rate of each tenant",
				      err);
	}
	for (size_t i = 0; i < n && st == PS_OK; i++) {
		if (!ps_store_is_number(x->capacity.ray_rps[i])) {
			st = ps_store_damaged(s, &l->c, "has a capacity along a ray of no rates",
					      err);
		}
	}
	return st;
}

static bool is_odd_end(double v)
{
	return !isnan(v) && v != INFINITY && !ps_store_is_number(v);
}

static enum ps_status read_capacity(struct ps_store *s, struct loaded *l, struct ps_store_cell *x,
				    struct ps_error *err)
{
	struct ps_store_capacity *c = &x->capacity;
	sqlite3_stmt *q = NULL;
	bool row = false;
	enum ps_status st = ps_store_bind(s, PS_STMT_CAPACITY_READ, &q, err, "i", x->id);
	if (st == PS_OK) {
		st = ps_store_step(s, q, &row, err);
	}
	if (st != PS_OK || !row) {
		return st;
	}
	c->known = true;
	c->factor = ps_store_real(q, 0);
	c->factor_low = ps_store_real(q, 1);
	c->factor_high = ps_store_real(q, 2);
	c->checked = ps_store_integer(q, 3) != 0;
	c->check_met = ps_store_integer(q, 4) != 0;
	c->method_json = ps_store_text(&l->arena, q, 5);
	(void)sqlite3_reset(q);
	/* 0: nothing of it fits. Ends may be open (infinite) or not known (NAN). */
	if (!ps_store_is_number(c->factor) || is_odd_end(c->factor_low) ||
	    is_odd_end(c->factor_high)) {
		return ps_store_damaged(s, &l->c, "has a capacity that is no number", err);
	}
	return read_ray(s, l, x, err);
}

static enum ps_status fill_figure(struct ps_store *s, struct ps_arena *a, sqlite3_stmt *q,
				  void *item, struct ps_error *err)
{
	struct ps_store_figure *f = item;
	(void)s, (void)err;
	f->name = ps_store_text(a, q, 0);
	f->subject = ps_store_text(a, q, 1);
	f->unit = ps_store_text(a, q, 2);
	f->x = ps_store_real(q, 3);
	f->value = ps_store_real(q, 4);
	f->low = ps_store_real(q, 5);
	f->high = ps_store_real(q, 6);
	f->count = ps_store_integer(q, 7);
	return PS_OK;
}

static enum ps_status read_cell_parts(struct ps_store *s, struct loaded *l, struct ps_store_cell *x,
				      struct ps_error *err)
{
	struct ps_arena *a = &l->arena;
	struct ps_store_trial *trials = NULL;
	enum ps_status st =
		ps_store_read_rows(s, a, PS_STMT_TRIALS_READ, "i", x->id, 0, sizeof(*trials),
				   ps_store_fill_trial, &trials, &x->trial_len, err);
	for (size_t i = 0; i < x->trial_len && st == PS_OK; i++) {
		st = ps_store_read_trial_parts(s, a, &trials[i], err);
	}
	x->trials = trials;
	if (st == PS_OK) {
		st = ps_store_read_rows(s, a, PS_STMT_FIGURES_READ, "i", x->id, 0,
					sizeof(*x->figures), fill_figure, &x->figures,
					&x->figure_len, err);
	}
	return st == PS_OK ? read_capacity(s, l, x, err) : st;
}

/* ---- campaign ---- */

static bool is_null(sqlite3_stmt *q, int col)
{
	return sqlite3_column_type(q, col) == SQLITE_NULL;
}

static enum ps_status fill_tenant(struct ps_store *s, struct ps_arena *a, sqlite3_stmt *q,
				  void *item, struct ps_error *err)
{
	struct ps_store_tenant *t = item;
	(void)s, (void)err;
	t->name = ps_store_text(a, q, 0);
	t->model = ps_store_text(a, q, 1);
	t->demand_rps = ps_store_real(q, 2);
	/* no SLA at all; of one that is only half there the rest is not made up */
	if (is_null(q, 3) && is_null(q, 4) && is_null(q, 5)) {
		t->sla = (struct ps_sla){0};
		return PS_OK;
	}
	t->sla.percentile = ps_store_real(q, 3);
	t->sla.limit_ns = ps_store_integer(q, 4);
	t->sla.min_success = ps_store_real(q, 5);
	return PS_OK;
}

static enum ps_status fill_set(struct ps_store *s, struct ps_arena *a, sqlite3_stmt *q, void *item,
			       struct ps_error *err)
{
	(void)s, (void)err;
	((struct ps_store_set *)item)->name = ps_store_text(a, q, 0);
	return PS_OK;
}

static enum ps_status fill_member(struct ps_store *s, struct ps_arena *a, sqlite3_stmt *q,
				  void *item, struct ps_error *err)
{
	(void)s, (void)a, (void)err;
	*(int *)item = (int)ps_store_integer(q, 0);
	return PS_OK;
}

/* 0 for what is not stated. */
static double stated(sqlite3_stmt *q, int col)
{
	return is_null(q, col) ? 0 : ps_store_real(q, col);
}

static struct ps_store_terms terms(struct ps_arena *a, sqlite3_stmt *q, int col)
{
	return (struct ps_store_terms){
		.billed_per = ps_store_text(a, q, col),
		.minimum_ns = ps_store_integer(q, col + 1),
		.spot_usd_per_hour = stated(q, col + 2),
		.reserved_1y_usd_per_hour = stated(q, col + 3),
		.gpu_kind = ps_store_text(a, q, col + 4),
		.gpu_count = ps_store_integer(q, col + 5),
		.currency = ps_store_text(a, q, col + 6),
		.exchange_usd = stated(q, col + 7),
		.exchange_source = ps_store_text(a, q, col + 8),
		.exchange_date = ps_store_text(a, q, col + 9),
	};
}

static enum ps_status fill_campaign(struct ps_store *s, struct ps_arena *a, sqlite3_stmt *q,
				    void *item, struct ps_error *err)
{
	struct ps_store_campaign *c = item;
	(void)s, (void)err;
	c->name = ps_store_text(a, q, 0);
	c->file_path = ps_store_text(a, q, 1);
	c->file_text = ps_store_text(a, q, 2);
	c->manifest_json = ps_store_text(a, q, 3);
	c->seed = (uint64_t)ps_store_integer(q, 4);
	c->started_wall_ns = ps_store_integer(q, 5);
	c->finished_wall_ns = ps_store_integer(q, 6);
	c->slice_cpus = ps_store_text(a, q, 7);
	c->slice_memory_bytes = ps_store_integer(q, 8);
	c->price.provider = ps_store_text(a, q, 9);
	c->price.region = ps_store_text(a, q, 10);
	c->price.instance_type = ps_store_text(a, q, 11);
	c->price.vcpu = ps_store_real(q, 12);
	c->price.memory_gib = ps_store_real(q, 13);
	c->price.usd_per_hour = ps_store_real(q, 14);
	c->price.source = ps_store_text(a, q, 15);
	c->price.source_date = ps_store_text(a, q, 16);
	c->full_command = ps_store_text(a, q, 17);
	c->previous = ps_store_integer(q, 18);
	c->uuid = ps_store_text(a, q, 19);
	c->slice_cpu_quota = stated(q, 20);
	c->price.terms = terms(a, q, 21);
	return PS_OK;
}

static enum ps_status read_sets(struct ps_store *s, struct loaded *l, struct ps_error *err)
{
	struct ps_store_set *sets = NULL;
	size_t n = 0;
	enum ps_status st = ps_store_read_rows(s, &l->arena, PS_STMT_SETS_READ, "i", l->c.id, 0,
					       sizeof(*sets), fill_set, &sets, &l->c.set_len, err);
	for (size_t i = 0; i < l->c.set_len && st == PS_OK; i++) {
		st = ps_store_read_rows(s, &l->arena, PS_STMT_MEMBERS_READ, "ii", l->c.id,
					(int64_t)i, sizeof(int), fill_member, &sets[i].members, &n,
					err);
		sets[i].member_len = (int)n;
	}
	l->c.sets = sets;
	return st;
}

static enum ps_status read_cells(struct ps_store *s, struct loaded *l, struct ps_error *err)
{
	struct ps_store_cell *cells = NULL;
	enum ps_status st =
		ps_store_read_rows(s, &l->arena, PS_STMT_CELLS_READ, "i", l->c.id, 0,
				   sizeof(*cells), fill_cell, &cells, &l->c.cell_len, err);
	for (size_t i = 0; i < l->c.cell_len && st == PS_OK; i++) {
		st = read_cell_parts(s, l, &cells[i], err);
		if (st == PS_OK && !ps_store_cell_fits(&l->c, &cells[i])) {
			st = ps_store_damaged(s, &l->c, "has a cell of what it does not have", err);
		}
	}
	l->c.cells = cells;
	return st == PS_OK ? ps_store_mark_cells(s, l->c.id, cells, l->c.cell_len, err) : st;
}

static enum ps_status read_head(struct ps_store *s, struct loaded *l, struct ps_error *err)
{
	sqlite3_stmt *q = NULL;
	bool row = false;
	enum ps_status st = ps_store_bind(s, PS_STMT_CAMPAIGN_READ, &q, err, "i", l->c.id);
	if (st == PS_OK) {
		st = ps_store_step(s, q, &row, err);
	}
	if (st == PS_OK && !row) {
		st = ps_error_set(err, PS_ENOTFOUND, "the store has no campaign %lld",
				  (long long)l->c.id);
		ps_error_where(err, "%s", s->path);
	}
	if (st == PS_OK) {
		st = fill_campaign(s, &l->arena, q, &l->c, err);
		(void)sqlite3_reset(q);
	}
	return st;
}

static enum ps_status last_campaign(struct ps_store *s, int64_t *ret_id, struct ps_error *err)
{
	sqlite3_stmt *q = NULL;
	bool row = false;
	enum ps_status st = ps_store_bind(s, PS_STMT_CAMPAIGN_LAST, &q, err, "");
	if (st == PS_OK) {
		st = ps_store_step(s, q, &row, err);
	}
	if (st == PS_OK && !row) {
		st = ps_error_set(err, PS_ENOTFOUND, "the store holds no campaign yet");
		ps_error_where(err, "%s", s->path);
	}
	if (st == PS_OK) {
		*ret_id = sqlite3_column_int64(q, 0);
		(void)sqlite3_reset(q);
	}
	return st;
}

/* One read transaction, so that a campaign that is being written is seen at one instant. */
static enum ps_status read_all(struct ps_store *s, struct loaded *l, struct ps_error *err)
{
	enum ps_status st = l->c.id ? PS_OK : last_campaign(s, &l->c.id, err);
	if (st == PS_OK) {
		st = read_head(s, l, err);
	}
	if (st == PS_OK) {
		st = ps_store_read_rows(s, &l->arena, PS_STMT_TENANTS_READ, "i", l->c.id, 0,
					sizeof(*l->c.tenants), fill_tenant, &l->c.tenants,
					&l->c.tenant_len, err);
	}
	if (st == PS_OK) {
		st = read_sets(s, l, err);
	}
	if (st == PS_OK) {
		st = ps_store_check_head(s, &l->c, err);
	}
	if (st == PS_OK) {
		st = ps_store_mark_campaign(s, &l->c, err);
	}
	return st == PS_OK ? read_cells(s, l, err) : st;
}

enum ps_status ps_store_campaign_read(struct ps_store *s, int64_t campaign_id,
				      struct ps_store_campaign **ret_campaign, struct ps_error *err)
{
	struct loaded *l = calloc(1, sizeof(*l));
	if (!l) {
		return ps_store_no_memory(err);
	}
	ps_arena_init(&l->arena, 0);
	l->c.id = campaign_id;
	int rc = sqlite3_exec(s->db, "BEGIN", NULL, NULL, NULL);
	enum ps_status st = rc == SQLITE_OK ? read_all(s, l, err)
					    : ps_store_error(s, err, rc, "read the store");
	ps_store_rollback(s); /* nothing was written */
	if (st != PS_OK) {
		ps_store_campaign_free(&l->c);
		return st;
	}
	*ret_campaign = &l->c;
	return PS_OK;
}

void ps_store_campaign_free(struct ps_store_campaign *c)
{
	if (c) {
		struct loaded *l = (struct loaded *)c;
		ps_arena_fini(&l->arena);
		free(l);
	}
}

/* ---- the rest ---- */

enum ps_status ps_store_list(struct ps_store *s, struct ps_store_listing **ret_list,
			     size_t *ret_len, struct ps_error *err)
{
	struct ps_store_rows rows = {.size = sizeof(struct ps_store_listing)};
	sqlite3_stmt *q = NULL;
	bool row = false;
	enum ps_status st = ps_store_bind(s, PS_STMT_LIST, &q, err, "");
	while (st == PS_OK && (st = ps_store_step(s, q, &row, err)) == PS_OK && row) {
		struct ps_store_listing *x = ps_store_rows_add(&rows);
		if (!x) {
			st = ps_store_no_memory(err);
			break;
		}
		x->id = ps_store_integer(q, 0);
		sqlite3_snprintf(sizeof(x->name), x->name, "%s", sqlite3_column_text(q, 1));
		x->started_wall_ns = ps_store_integer(q, 2);
		x->finished_wall_ns = ps_store_integer(q, 3);
		x->cells = (int)ps_store_integer(q, 4);
		x->done = (int)ps_store_integer(q, 5);
		x->failed = (int)ps_store_integer(q, 6);
	}
	if (st != PS_OK) {
		free(rows.items);
		return st;
	}
	*ret_list = rows.items;
	*ret_len = rows.len;
	return PS_OK;
}

enum ps_status ps_store_requests_read(struct ps_store *s, int64_t result_id,
				      struct ps_store_request **ret_requests, size_t *ret_len,
				      struct ps_error *err)
{
	sqlite3_stmt *q = NULL;
	bool row = false;
	enum ps_status st = ps_store_bind(s, PS_STMT_REQUESTS_READ, &q, err, "i", result_id);
	if (st == PS_OK) {
		st = ps_store_step(s, q, &row, err);
	}
	if (st != PS_OK) {
		return st;
	}
	if (!row) {
		st = ps_error_set(err, PS_ENOTFOUND, "the store has no result %lld",
				  (long long)result_id);
	} else {
		st = ps_store_unpack_requests(sqlite3_column_blob(q, 0),
					      (size_t)sqlite3_column_bytes(q, 0), ret_requests,
					      ret_len, err);
		(void)sqlite3_reset(q);
	}
	if (st != PS_OK) {
		ps_error_where(err, "%s", s->path);
	}
	return st;
}
