/* frontier.c - the boundary between two tenants' rates, and how many copies of a tenant fit. */
#include "report_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME, FIRST, SECOND, FIRST_RPS, SECOND_RPS, SUM, HELD, FRONTIER_COLUMNS };

static const struct ps_report_column frontier_columns[FRONTIER_COLUMNS] = {
	[NAME] = {"frontier", "frontier", PS_REPORT_TEXT, false},
	[FIRST] = {"first_tenant", "tenant", PS_REPORT_TEXT, false},
	[SECOND] = {"second_tenant", "with", PS_REPORT_TEXT, false},
	[FIRST_RPS] = {"first_rps", "first/s", PS_REPORT_NUMBER, true},
	[SECOND_RPS] = {"second_rps", "second/s", PS_REPORT_NUMBER, true},
	[SUM] = {"sum_of_shares", "sum of shares", PS_REPORT_NUMBER, true},
	[HELD] = {"held_factor", "held at", PS_REPORT_NUMBER, false},
};

enum { TENANT, DEMAND, COPIES, COPIES_HELD, PACKING_COLUMNS };

static const struct ps_report_column packing_columns[PACKING_COLUMNS] = {
	[TENANT] = {"tenant", "tenant", PS_REPORT_TEXT, false},
	[DEMAND] = {"demand_rps", "each at, /s", PS_REPORT_NUMBER, false},
	[COPIES] = {"copies", "copies", PS_REPORT_NUMBER, true},
	[COPIES_HELD] = {"held_copies", "held in a fresh trial", PS_REPORT_NUMBER, false},
};

static struct ps_report_value rate(const struct ps_store_capacity *cap, double by)
{
	return (struct ps_report_value){
		.text = "",
		.v = ps_report_capacity(cap, by),
		.open_below = ps_report_method_says(cap, "open_below"),
		.open_above = ps_report_method_says(cap, "open_above"),
	};
}

/* ---- the frontier ---- */

/* x sum(R_i / C_i): above 1 two tenants get more out of one machine than their shares of it. */
static struct ps_report_value sum_of_shares(const struct ps_report_answer *a,
					    const struct ps_store_set *set,
					    const struct ps_store_capacity *cap)
{
	struct ps_stats_interval alone[2], scale = ps_report_capacity(cap, 1);
	struct ps_report_value v = {.text = "", .v = {.value = NAN}};

	for (int i = 0; i < 2; i++) {
		const struct ps_report_line *l = ps_report_alone_line(a, set->members[i]);
		if (!l || !l->capacity_known)
			return v;
		alone[i] = l->capacity_rps;
	}
	/* saving = 1 - 1 / sum */
	struct ps_stats_interval s = ps_cost_full_load_saving(cap->ray_rps, alone, 2, scale);
	v.v = s;
	v.v.value = 1 / (1 - s.value);
	v.v.lo = 1 / (1 - s.lo);
	v.v.hi = s.hi < 1 ? 1 / (1 - s.hi) : INFINITY;
	v.open_below = s.has_interval && isinf(s.lo);
	v.open_above = s.has_interval && isinf(v.v.hi);
	return v;
}

static enum ps_status add_point(struct ps_report_answer *a, struct ps_report_table *t,
				const char *name, int set_number,
				const struct ps_store_capacity *cap, struct ps_error *err)
{
	const struct ps_store_campaign *c = a->campaign;
	const struct ps_store_set *set = &c->sets[set_number];
	struct ps_report_value *v = ps_report_table_row(a, t);

	if (!v)
		return ps_error_set(err, PS_ENOMEM, "no memory for the report");
	v[NAME].text = ps_report_keep(a, name);
	v[FIRST].text = c->tenants[set->members[0]].name;
	v[FIRST_RPS] = rate(cap, cap->ray_rps[0]);
	v[SECOND].text = c->tenants[set->members[1]].name;
	v[SECOND_RPS] = rate(cap, cap->ray_rps[1]);
	v[SUM] = sum_of_shares(a, set, cap);
	double held = ps_report_method_number(cap, "confirmed_scale");
	v[HELD].v.value = cap->check_met && held > 0 ? held / cap->factor : NAN;
	return PS_OK;
}

/* "frontier/NAME/0.25": the name. */
static const char *name_in(const char *key, char *buf, size_t size)
{
	const char *from = strchr(key, '/'), *to = strrchr(key, '/');

	snprintf(buf, size, "%.*s", from && to > from ? (int)(to - from - 1) : 0,
		 from ? from + 1 : "");
	return buf;
}

static const struct ps_store_cell *search_of(const struct ps_store_campaign *c, int set)
{
	for (size_t i = 0; i < c->cell_len; i++)
		if (c->cells[i].kind == PS_STORE_SEARCH && c->cells[i].set == set &&
		    c->cells[i].state == PS_STORE_DONE && c->cells[i].capacity.known)
			return &c->cells[i];
	return NULL;
}

/* The points of its own cells, and the one that the search of the same set found on the way. */
static enum ps_status frontier_points(struct ps_report_answer *a, struct ps_report_table *t,
				      struct ps_error *err)
{
	const struct ps_store_campaign *c = a->campaign;
	enum ps_status st = PS_OK;
	char name[64];
	int last_part = -1;

	for (size_t i = 0; i < c->cell_len && st == PS_OK; i++) {
		const struct ps_store_cell *x = &c->cells[i];
		if (x->kind != PS_STORE_FRONTIER || x->state != PS_STORE_DONE ||
		    !x->capacity.known || c->sets[x->set].member_len != 2)
			continue;
		name_in(x->key, name, sizeof name);
		const struct ps_store_cell *even = search_of(c, x->set);
		if (x->part != last_part && even)
			st = add_point(a, t, name, x->set, &even->capacity, err);
		last_part = x->part;
		if (st == PS_OK)
			st = add_point(a, t, name, x->set, &x->capacity, err);
	}
	return st;
}

/* ---- packing ---- */

static double whole(double v)
{
	return floor(v + 1e-9);
}

static enum ps_status packings(struct ps_report_answer *a, struct ps_report_table *t,
			       struct ps_error *err)
{
	const struct ps_store_campaign *c = a->campaign;

	for (size_t i = 0; i < c->cell_len; i++) {
		const struct ps_store_cell *x = &c->cells[i];
		const struct ps_store_capacity *cap = &x->capacity;
		if (x->kind != PS_STORE_PACK || x->state != PS_STORE_DONE || !cap->known)
			continue;
		struct ps_report_value *v = ps_report_table_row(a, t);
		if (!v)
			return ps_error_set(err, PS_ENOMEM, "no memory for the report");
		const struct ps_store_tenant *tenant = &c->tenants[c->sets[x->set].members[0]];
		double held = ps_report_method_number(cap, "confirmed_scale");
		v[TENANT].text = tenant->name;
		v[DEMAND].v.value = cap->ray_rps[0];
		v[COPIES] = rate(cap, 1);
		v[COPIES].v.value = whole(v[COPIES].v.value);
		v[COPIES].v.lo = whole(v[COPIES].v.lo);
		v[COPIES].v.hi = whole(v[COPIES].v.hi);
		v[COPIES_HELD].v.value = cap->check_met && held > 0 ? held : NAN;
	}
	return PS_OK;
}

enum ps_status ps_report_frontier(struct ps_report_answer *a, struct ps_error *err)
{
	struct ps_report_table *f = &a->tables[PS_REPORT_FRONTIER];
	struct ps_report_table *p = &a->tables[PS_REPORT_PACKING];

	*f = (struct ps_report_table){
		.name = "frontier",
		.title = "Frontier: the most that two tenants get together, inside both SLAs",
		.note = "sum of shares: each rate in units of the capacity alone, summed; above 1 "
			"sharing gains. held at: the share of the point at which a fresh trial "
			"kept both SLAs",
		.columns = frontier_columns,
		.column_len = FRONTIER_COLUMNS,
	};
	*p = (struct ps_report_table){
		.name = "packing",
		.title = "Most copies of a tenant on the slice, inside the SLA of all requests",
		.note = "copies share their model's memory; each has its own key, queue and "
			"arrivals",
		.columns = packing_columns,
		.column_len = PACKING_COLUMNS,
	};
	enum ps_status st = frontier_points(a, f, err);
	return st == PS_OK ? packings(a, p, err) : st;
}
