/* interference.c - the slowdown of each tenant by its neighbours, at stated rates, and whether
 * pairs predict what more of them do. */
#include "report_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TENANT, BESIDE, RPS, SLOWDOWN, BLOCKS, PREDICTED, AGAINST, COLUMNS };

static const struct ps_report_column columns[COLUMNS] = {
	[TENANT] = {"tenant", "tenant", PS_REPORT_TEXT, false},
	[BESIDE] = {"beside", "beside", PS_REPORT_TEXT, false},
	[RPS] = {"rps", "own rate", PS_REPORT_NUMBER, false},
	[SLOWDOWN] = {"slowdown", "slowdown", PS_REPORT_NUMBER, true},
	[BLOCKS] = {"blocks", "blocks", PS_REPORT_NUMBER, false},
	[PREDICTED] = {"pairs_predict", "pairs predict", PS_REPORT_NUMBER, true},
	[AGAINST] = {"against_pairs", "against that", PS_REPORT_NUMBER, true},
};

/* Everything that one table needs. */
struct work {
	struct ps_report_answer *a;
	const struct ps_store_campaign *c;
	struct ps_report_table *t;
	struct ps_hist scratch;
	double *together, *alone, *pair, *predicted; /* one value per block */
};

/* ---- texts ---- */

/* "clinic 1.8/s, shop 2/s": the others of the set, and their rates. */
static const char *beside(struct work *w, const struct ps_store_set *set, int tenant,
			  const double *rates)
{
	struct ps_strbuf b;
	char number[PS_REPORT_CELL_SIZE];
	bool any = false;

	ps_strbuf_init(&b);
	for (int i = 0; i < set->member_len; i++) {
		if (set->members[i] == tenant || !(rates[i] > 0))
			continue;
		ps_strbuf_printf(&b, "%s%.40s %s/s", any ? ", " : "",
				 w->c->tenants[set->members[i]].name,
				 ps_report_number(rates[i], number));
		any = true;
	}
	const char *kept = ps_report_keep(w->a, b.data ? b.data : "");
	ps_strbuf_fini(&b);
	return kept;
}

static struct ps_report_value *add_row(struct work *w, const struct ps_store_set *set, int member,
				       const double *rates)
{
	struct ps_report_value *v = ps_report_table_row(w->a, w->t);

	if (v) {
		v[TENANT].text = w->c->tenants[set->members[member]].name;
		v[RPS].v.value = rates[member];
		v[BESIDE].text = beside(w, set, set->members[member], rates);
	}
	return v;
}

/* ---- at the demand rates ---- */

static int pair_set(const struct ps_store_campaign *c, int x, int y)
{
	for (size_t s = 0; s < c->set_len; s++) {
		const struct ps_store_set *set = &c->sets[s];
		bool both =
			set->member_len == 2 && ((set->members[0] == x && set->members[1] == y) ||
						 (set->members[0] == y && set->members[1] == x));
		if (both && ps_report_in_matrix(c, (int)s))
			return (int)s;
	}
	return -1;
}

/* Fills w->predicted: per block the p50 alone times the slowdowns by each neighbour. False when a
 * pair was not measured. */
static enum ps_status predict(struct work *w, const struct ps_store_set *set, int tenant,
			      bool *ret_known, struct ps_error *err)
{
	size_t n = w->c->cell_len;
	enum ps_status st = PS_OK;

	*ret_known = set->member_len > 2;
	memcpy(w->predicted, w->alone, n * sizeof *w->predicted);
	for (int i = 0; i < set->member_len && *ret_known && st == PS_OK; i++) {
		if (set->members[i] == tenant)
			continue;
		struct ps_report_where where = {.kind = PS_STORE_CONFIRM,
						.set = pair_set(w->c, tenant, set->members[i])};
		*ret_known = where.set >= 0;
		if (*ret_known)
			st = ps_report_block_p50(w->c, tenant, &where, &w->scratch, w->pair, err);
		for (size_t b = 0; b < n && *ret_known && st == PS_OK; b++)
			w->predicted[b] *= w->pair[b] / w->alone[b];
	}
	return st;
}

static enum ps_status demand_row(struct work *w, int s, int member, const double *rates,
				 struct ps_error *err)
{
	const struct ps_store_set *set = &w->c->sets[s];
	int tenant = set->members[member], blocks = 0, unused = 0;
	struct ps_report_where together = {.kind = PS_STORE_CONFIRM, .set = s};
	struct ps_report_where alone = {.kind = PS_STORE_CONFIRM,
					.set = ps_report_alone_set(w->c, tenant)};
	size_t n = w->c->cell_len, bytes = n * sizeof *w->alone;
	bool known = false;

	if (alone.set < 0)
		return PS_OK;
	enum ps_status st =
		ps_report_block_p50(w->c, tenant, &together, &w->scratch, w->together, err);
	if (st == PS_OK)
		st = ps_report_block_p50(w->c, tenant, &alone, &w->scratch, w->alone, err);
	if (st == PS_OK)
		st = predict(w, set, tenant, &known, err);
	if (st != PS_OK)
		return st;
	/* comparing reorders: each comparison gets copies */
	struct ps_stats_interval against = {.value = NAN}, forecast = {.value = NAN};
	if (known) {
		memcpy(w->pair, w->predicted, bytes);
		double *copy = w->pair + n;
		memcpy(copy, w->alone, bytes);
		forecast = ps_report_block_ratio(w->pair, copy, n, &unused);
		memcpy(copy, w->together, bytes);
		against = ps_report_block_ratio(copy, w->predicted, n, &unused);
	}
	struct ps_stats_interval slowdown =
		ps_report_block_ratio(w->together, w->alone, n, &blocks);
	if (blocks == 0)
		return PS_OK;
	struct ps_report_value *v = add_row(w, set, member, rates);
	if (!v)
		return ps_error_set(err, PS_ENOMEM, "no memory for the report");
	v[SLOWDOWN].v = slowdown;
	v[BLOCKS].v.value = blocks;
	v[PREDICTED].v = forecast;
	v[AGAINST].v = against;
	return PS_OK;
}

static enum ps_status demand_rows(struct work *w, struct ps_error *err)
{
	double rates[PS_STORE_MAX_TENANTS] = {0};
	enum ps_status st = PS_OK;

	for (int size = 2; size <= PS_STORE_MAX_TENANTS; size++)
		for (size_t s = 0; s < w->c->set_len && st == PS_OK; s++) {
			const struct ps_store_set *set = &w->c->sets[s];
			if (set->member_len != size || !ps_report_in_matrix(w->c, (int)s))
				continue;
			for (int i = 0; i < size; i++)
				rates[i] = w->c->tenants[set->members[i]].demand_rps;
			for (int i = 0; i < size && st == PS_OK; i++)
				st = demand_row(w, (int)s, i, rates, err);
		}
	return st;
}

/* ---- grids ---- */

/* The rates that a point offered; false when no trial of it is there. */
static bool point_rates(const struct ps_store_campaign *c, const struct ps_store_cell *x,
			double *rates)
{
	const struct ps_store_set *set = &c->sets[x->set];

	if (x->kind != PS_STORE_RATES || x->state != PS_STORE_DONE || x->trial_len == 0)
		return false;
	for (int i = 0; i < set->member_len; i++) {
		const struct ps_store_result *r =
			ps_report_result_of(&x->trials[0], set->members[i]);
		rates[i] = r ? r->wanted_rps : 0;
	}
	return true;
}

/* The point of the same grid at which only this member is loaded, at the same rate; NULL: none. */
static const struct ps_store_cell *silent_point(const struct ps_store_campaign *c,
						const struct ps_store_cell *x, int member,
						double rate)
{
	double rates[PS_STORE_MAX_TENANTS] = {0};

	for (size_t i = 0; i < c->cell_len; i++) {
		const struct ps_store_cell *y = &c->cells[i];
		if (y->part != x->part || y->set != x->set || !point_rates(c, y, rates) ||
		    rates[member] != rate)
			continue;
		bool alone = true;
		for (int k = 0; k < c->sets[y->set].member_len; k++)
			alone = alone && (k == member || rates[k] == 0);
		if (alone)
			return y;
	}
	return NULL;
}

static enum ps_status grid_row(struct work *w, const struct ps_store_cell *x, int member,
			       const double *rates, struct ps_error *err)
{
	const struct ps_store_set *set = &w->c->sets[x->set];
	const struct ps_store_cell *y = silent_point(w->c, x, member, rates[member]);
	int blocks = 0;

	if (!y || y->point == x->point)
		return PS_OK;
	struct ps_report_where there = {PS_STORE_RATES, x->set, x->part, x->point};
	struct ps_report_where alone = {PS_STORE_RATES, y->set, y->part, y->point};
	enum ps_status st = ps_report_block_p50(w->c, set->members[member], &there, &w->scratch,
						w->together, err);
	if (st == PS_OK)
		st = ps_report_block_p50(w->c, set->members[member], &alone, &w->scratch, w->alone,
					 err);
	if (st != PS_OK)
		return st;
	struct ps_stats_interval slowdown =
		ps_report_block_ratio(w->together, w->alone, w->c->cell_len, &blocks);
	if (blocks == 0)
		return PS_OK;
	struct ps_report_value *v = add_row(w, set, member, rates);
	if (!v)
		return ps_error_set(err, PS_ENOMEM, "no memory for the report");
	v[SLOWDOWN].v = slowdown;
	v[BLOCKS].v.value = blocks;
	return PS_OK;
}

/* A point is met once per block; the first cell of it that is done speaks for it. */
static bool is_first(const struct ps_store_campaign *c, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		const struct ps_store_cell *x = &c->cells[k], *y = &c->cells[i];
		if (x->kind == PS_STORE_RATES && x->state == PS_STORE_DONE && x->part == y->part &&
		    x->point == y->point && x->trial_len > 0)
			return false;
	}
	return true;
}

static enum ps_status grid_rows(struct work *w, struct ps_error *err)
{
	double rates[PS_STORE_MAX_TENANTS] = {0};
	enum ps_status st = PS_OK;

	for (size_t i = 0; i < w->c->cell_len && st == PS_OK; i++) {
		const struct ps_store_cell *x = &w->c->cells[i];
		if (!point_rates(w->c, x, rates) || !is_first(w->c, i))
			continue;
		for (int k = 0; k < w->c->sets[x->set].member_len && st == PS_OK; k++)
			if (rates[k] > 0)
				st = grid_row(w, x, k, rates, err);
	}
	return st;
}

enum ps_status ps_report_interference(struct ps_report_answer *a, struct ps_error *err)
{
	struct work w = {.a = a, .c = a->campaign, .t = &a->tables[PS_REPORT_INTERFERENCE]};
	size_t n = a->campaign->cell_len;

	*w.t = (struct ps_report_table){
		.name = "interference",
		.title = "Interference: p50 beside others / p50 alone, same arrivals, per block",
		.note = "pairs predict: the product of the slowdowns by each neighbour alone; "
			"against that: the measured slowdown divided by it, 1 when pairs tell "
			"everything",
		.columns = columns,
		.column_len = COLUMNS,
	};
	double *all = calloc(5 * n + 1, sizeof *all);
	enum ps_status st = all ? ps_hist_init(&w.scratch) : PS_ENOMEM;
	if (st != PS_OK) {
		free(all);
		return ps_error_set(err, PS_ENOMEM, "no memory for the report");
	}
	w.together = all;
	w.alone = all + n;
	w.predicted = all + 2 * n;
	w.pair = all + 3 * n; /* and room behind it for a copy */
	st = demand_rows(&w, err);
	if (st == PS_OK)
		st = grid_rows(&w, err);
	if (!ps_report_table_has(w.t, PREDICTED))
		w.t->note = "";
	ps_hist_fini(&w.scratch);
	free(all);
	return st;
}
