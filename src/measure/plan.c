#include "measure/plan_internal.h"

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The time of the short example, which must stay under five minutes (two tenants: three sets):
 *
 *	search, per set		server 1 + closed loop 0.5 + 4 + 4 steps of 0.5 + 8 + 1 check of
 *				0.5 + 8, each with 0.3 s for the last answers	= 49.8 s
 *	confirm, per block	3 sets of server 1 + 0.5 + 8 + 0.3		= 29.4 s
 *	in all			3 x 49.8 + 4 x 29.4				= 267 s
 */

int64_t ps_measure_timeout_ns(const struct ps_measure_campaign *c)
{
	const struct ps_measure_tenant *t = c->tenants.items;
	int64_t ns = 2 * PS_NS_PER_SEC;
	if (c->timeout_ns > 0) {
		return c->timeout_ns;
	}
	for (size_t i = 0; i < c->tenants.len; i++) {
		ns = t[i].sla.limit_ns * 10 > ns ? t[i].sla.limit_ns * 10 : ns;
	}
	return ns;
}

/* ---- how long ---- */

static int64_t trial_ns(int64_t warmup_ns, int64_t duration_ns)
{
	return warmup_ns + duration_ns + PS_MEASURE_DRAIN_NS;
}

static int64_t search_ns(const struct ps_measure_campaign *c)
{
	const struct ps_measure_search *s = &c->search;
	return trial_ns(PS_MEASURE_SCALE_WARMUP_NS, s->scale_ns) +
	       trial_ns(s->warmup_ns, s->step_ns) * (s->steps + s->checks);
}

static int64_t rates_ns(const struct ps_measure_campaign *c, int part)
{
	const struct ps_measure_grid *g = c->grids.items;
	bool known = part >= 0 && (size_t)part < c->grids.len;
	int64_t one = known ? trial_ns(g[part].warmup_ns, g[part].duration_ns) : 0;
	return known && g[part].until_decided_ns > one ? g[part].until_decided_ns : one;
}

int64_t ps_measure_cell_ns(const struct ps_measure_campaign *c, const struct ps_store_cell *x)
{
	int64_t server = c->server.url ? 0 : PS_MEASURE_SERVER_NS;
	switch (x->kind) {
	case PS_STORE_SEARCH:
	case PS_STORE_FRONTIER:
	case PS_STORE_PACK:
		return server + search_ns(c);
	case PS_STORE_CONFIRM:
	case PS_STORE_CAPACITY:
		return server + trial_ns(c->confirm.warmup_ns, c->confirm.duration_ns);
	case PS_STORE_RATES:
		return server + rates_ns(c, x->part);
	case PS_STORE_COLD:
		return server + trial_ns(0, c->cold.duration_ns);
	case PS_STORE_PROFILE:
		return server +
		       trial_ns(c->profile.warmup_ns, c->profile.duration_ns) * c->profile.size_len;
	case PS_STORE_OPERATORS:
		return 3 * PS_NS_PER_SEC + c->operators.runs * 50 * PS_NS_PER_MS;
	}
	return 0;
}

/* ---- points of grids and frontiers ---- */

int ps_measure_grid_points(const struct ps_measure_grid *g)
{
	const struct ps_measure_axis *axes = g->axes.items;
	size_t n = 1;
	for (size_t i = 0; i < g->axes.len; i++) {
		n *= axes[i].rates.len;
	}
	return (int)n;
}

bool ps_measure_grid_rates(const struct ps_measure_campaign *c, const struct ps_measure_grid *g,
			   int point, const struct ps_store_set *set, double *ret_rates)
{
	const struct ps_measure_axis *axes = g->axes.items;
	bool any = false;
	for (int i = 0; i < set->member_len; i++) {
		ret_rates[i] = 0;
	}
	for (size_t i = 0; i < g->axes.len; i++) {
		double rate = axes[i].rps[(size_t)point % axes[i].rates.len];
		int tenant = ps_measure_find_tenant(c, axes[i].tenant);
		point /= (int)axes[i].rates.len;
		for (int k = 0; k < set->member_len; k++) {
			if (set->members[k] == tenant) {
				ret_rates[k] = rate;
			}
		}
		any = any || rate > 0;
	}
	return any;
}

void ps_measure_frontier_shares(const struct ps_measure_campaign *c,
				const struct ps_measure_frontier *f, int point,
				const struct ps_store_set *set, double ret_shares[2])
{
	double second = f->share[point];
	for (int i = 0; i < 2; i++) {
		bool is_second = ps_measure_find_tenant(c, f->tenants.items[1]) == set->members[i];
		ret_shares[i] = is_second ? second : 1 - second;
	}
}

/* ---- cells ---- */

static char *name_of(struct ps_measure_planner *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static char *name_of(struct ps_measure_planner *p, const char *fmt, ...)
{
	char buf[512];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	size_t len = n < 0 ? 0 : (size_t)n < sizeof(buf) ? (size_t)n : sizeof(buf) - 1;
	char *copy = ps_arena_strndup(p->a, buf, len);
	p->no_memory = p->no_memory || !copy;
	return copy;
}

/* Adds a cell without part and point, or returns NULL. */
static struct ps_store_cell *add_cell(struct ps_measure_planner *p, enum ps_store_cell_kind kind,
				      const char *key, int set, int block, int position)
{
	if (p->cell_len == PS_MEASURE_MAX_CELLS) {
		p->too_many_cells = true;
		return NULL;
	}
	struct ps_store_cell *x = &p->cells[p->cell_len++];
	*x = (struct ps_store_cell){.key = key,
				    .kind = kind,
				    .set = set,
				    .block = block,
				    .position = position,
				    .part = -1,
				    .point = -1};
	return x;
}

static void add_part_cell(struct ps_measure_planner *p, enum ps_store_cell_kind kind,
			  const char *key, int set, int block, int position, int part, int point)
{
	struct ps_store_cell *x = add_cell(p, kind, key, set, block, position);
	if (x) {
		x->part = part;
		x->point = point;
	}
}

static bool is_searched(const struct ps_measure_planner *p, int set)
{
	int sets = p->c->search.sets;
	return p->in_matrix[set] &&
	       (sets == PS_MEASURE_SEARCH_ALL ||
		(sets == PS_MEASURE_SEARCH_ALONE && p->sets[set].member_len == 1));
}

static void add_searches(struct ps_measure_planner *p)
{
	/* sets of one come first, so the rays of the others are known in time */
	for (int i = 0; i < p->set_len; i++) {
		if (is_searched(p, i)) {
			(void)add_cell(p, PS_STORE_SEARCH, name_of(p, "search/%s", p->sets[i].name),
				       i, -1, i);
		}
	}
}

static void add_frontiers(struct ps_measure_planner *p)
{
	const struct ps_measure_frontier *f = p->c->frontiers.items;
	for (int i = 0; i < (int)p->c->frontiers.len; i++) {
		for (int k = 0; k < (int)f[i].points; k++) {
			/* by its share, so that more points keep those that are there */
			add_part_cell(p, PS_STORE_FRONTIER,
				      name_of(p, "frontier/%s/%.4g", f[i].name, f[i].share[k]),
				      p->frontier_sets[i], -1, k, i, k);
		}
	}
}

static void add_packings(struct ps_measure_planner *p)
{
	const struct ps_measure_packing *k = p->c->packings.items;
	for (int i = 0; i < (int)p->c->packings.len; i++) {
		add_part_cell(p, PS_STORE_PACK, name_of(p, "pack/%s", k[i].tenant),
			      p->packing_sets[i], -1, i, i, -1);
	}
}

/* In each block every set of the matrix once, in shuffled order; at capacities those whose capacity
 * is searched. */
static void add_blocks(struct ps_measure_planner *p, enum ps_store_cell_kind kind, int64_t blocks)
{
	int order[PS_MEASURE_MAX_SETS], sets[PS_MEASURE_MAX_SETS], n = 0;
	for (int i = 0; i < p->set_len; i++) {
		if (kind == PS_STORE_CAPACITY ? is_searched(p, i) : p->in_matrix[i]) {
			sets[n++] = i;
		}
	}
	for (int b = 0; b < (int)blocks; b++) {
		ps_trial_block_order((uint64_t)p->c->seed, b, n, order);
		for (int i = 0; i < n; i++) {
			int set = sets[order[i]];
			(void)add_cell(p, kind,
				       name_of(p, "%s/%d/%s", ps_store_kind_name(kind), b,
					       p->sets[set].name),
				       set, b, i);
		}
	}
}

/* "rates/grid/0/2+1.5": by its rates, so that further ones keep the points that are there. */
static const char *rates_key(struct ps_measure_planner *p, const char *name, int block,
			     const double *rates, int n)
{
	char text[PS_MEASURE_MAX_MEMBERS * 16];
	size_t at = 0;
	for (int i = 0; i < n && at < sizeof(text); i++) {
		int k = snprintf(text + at, sizeof(text) - at, "%s%.6g", i ? "+" : "", rates[i]);
		at += k > 0 ? (size_t)k : 0;
	}
	return name_of(p, "rates/%s/%d/%s", name, block, text);
}

static void add_grid(struct ps_measure_planner *p, int part)
{
	const struct ps_measure_grid *g =
		&((const struct ps_measure_grid *)p->c->grids.items)[part];
	int n = ps_measure_grid_points(g), set = p->grid_sets[part];
	int order[PS_MEASURE_MAX_POINTS];
	double rates[PS_MEASURE_MAX_MEMBERS];
	for (int b = 0; b < (int)g->trials; b++) {
		ps_trial_block_order((uint64_t)p->c->seed, b, n, order);
		for (int i = 0; i < n; i++) {
			if (ps_measure_grid_rates(p->c, g, order[i], &p->sets[set], rates)) {
				add_part_cell(
					p, PS_STORE_RATES,
					rates_key(p, g->name, b, rates, p->sets[set].member_len),
					set, b, i, part, order[i]);
			}
		}
	}
}

/* The set of the first tenant that asks this model, alone; -1: nobody does. */
static int set_of_model(const struct ps_measure_planner *p, size_t model)
{
	const struct ps_measure_tenant *t = p->c->tenants.items;
	for (size_t i = 0; i < p->c->tenants.len; i++) {
		if (ps_measure_asks_model(p->c, &t[i], model)) {
			return (int)i;
		}
	}
	return -1;
}

/* In each block every model that a tenant has, once, in shuffled order. */
static void add_models(struct ps_measure_planner *p, enum ps_store_cell_kind kind, int64_t blocks)
{
	const struct ps_measure_model *m = p->c->models.items;
	int order[PS_MEASURE_MAX_TENANTS], n = (int)p->c->models.len;
	for (int b = 0; b < (int)blocks; b++) {
		ps_trial_block_order((uint64_t)p->c->seed, b, n, order);
		for (int i = 0; i < n; i++) {
			int set = set_of_model(p, (size_t)order[i]);
			if (set >= 0) {
				add_part_cell(p, kind,
					      name_of(p, "%s/%d/%s", ps_store_kind_name(kind), b,
						      m[order[i]].name),
					      set, b, i, order[i], -1);
			}
		}
	}
}

static void add_cells(struct ps_measure_planner *p)
{
	add_searches(p);
	add_frontiers(p);
	add_packings(p);
	add_blocks(p, PS_STORE_CONFIRM, p->c->confirm.trials);
	add_blocks(p, PS_STORE_CAPACITY, p->c->confirm.at_capacity);
	for (int i = 0; i < (int)p->c->grids.len; i++) {
		add_grid(p, i);
	}
	add_models(p, PS_STORE_COLD, p->c->cold.trials);
	add_models(p, PS_STORE_PROFILE, p->c->profile.trials);
	add_models(p, PS_STORE_OPERATORS, p->c->operators.runs > 0 ? 1 : 0);
}

static enum ps_status out_of_memory(struct ps_error *err)
{
	return ps_error_set(err, PS_ENOMEM, "no memory for a campaign's plan");
}

static enum ps_status check_cells(const struct ps_measure_planner *p, struct ps_error *err)
{
	if (p->no_memory) {
		return out_of_memory(err);
	}
	if (p->too_many_cells) {
		ps_error_set(err, PS_EPARSE, "the campaign has over %d cells",
			     PS_MEASURE_MAX_CELLS);
		ps_error_where(err, "%.100s", p->c->path);
		return PS_EPARSE;
	}
	if (p->cell_len == 0) {
		ps_error_set(err, PS_EPARSE, "the campaign measures nothing");
		ps_error_where(err, "%.100s", p->c->path);
		return PS_EPARSE;
	}
	return PS_OK;
}

/* "m", or of a mix "m+n". */
static const char *models_name(struct ps_measure_planner *p, const struct ps_measure_tenant *t)
{
	const struct ps_measure_model *m = p->c->models.items;
	int models[PS_MEASURE_MAX_TENANTS], n = ps_measure_tenant_models(p->c, t, models);
	const char *text = n > 0 ? m[models[0]].name : "";
	for (int i = 1; i < n && text; i++) {
		text = name_of(p, "%s+%s", text, m[models[i]].name);
	}
	return text ? text : "";
}

static void fill_tenants(struct ps_measure_planner *p, struct ps_store_tenant *tenants)
{
	const struct ps_measure_tenant *t = p->c->tenants.items;
	for (size_t i = 0; i < p->c->tenants.len; i++) {
		tenants[i] = (struct ps_store_tenant){t[i].name, models_name(p, &t[i]),
						      t[i].demand_rps, t[i].sla};
	}
}

static enum ps_status plan(struct ps_measure_planner *p, const char *const *contents,
			   struct ps_store_campaign *ret_plan, struct ps_error *err)
{
	const struct ps_measure_campaign *c = p->c;
	struct ps_store_tenant *tenants = ps_arena_zalloc(p->a, sizeof(*tenants) * c->tenants.len);
	p->sets = ps_arena_zalloc(p->a, sizeof(*p->sets) * PS_MEASURE_MAX_SETS);
	p->cells = ps_arena_zalloc(p->a, sizeof(*p->cells) * PS_MEASURE_MAX_CELLS);
	if (!p->sets || !tenants || !p->cells) {
		return out_of_memory(err);
	}
	enum ps_status st = ps_measure_plan_sets(p, err);
	if (st != PS_OK) {
		return st;
	}
	add_cells(p);
	st = check_cells(p, err);
	if (st == PS_OK && contents) {
		st = ps_measure_plan_digests(p, contents, err);
	}
	if (st != PS_OK) {
		return st;
	}
	fill_tenants(p, tenants);
	if (p->no_memory) {
		return out_of_memory(err);
	}
	*ret_plan = (struct ps_store_campaign){
		.name = c->name,
		.file_path = c->path,
		.file_text = c->text,
		.seed = (uint64_t)c->seed,
		.tenants = tenants,
		.tenant_len = c->tenants.len,
		.sets = p->sets,
		.set_len = (size_t)p->set_len,
		.cells = p->cells,
		.cell_len = (size_t)p->cell_len,
	};
	return PS_OK;
}

enum ps_status ps_measure_plan(const struct ps_measure_campaign *c, const char *const *contents,
			       struct ps_arena *a, struct ps_store_campaign *ret_plan,
			       struct ps_error *err)
{
	struct ps_measure_planner *p = calloc(1, sizeof(*p));
	if (!p) {
		return out_of_memory(err);
	}
	p->c = c;
	p->a = a;
	enum ps_status st = plan(p, contents, ret_plan, err);
	free(p);
	return st;
}

int64_t ps_measure_duration_ns(const struct ps_measure_campaign *c)
{
	struct ps_arena a;
	struct ps_store_campaign plan = {0};
	int64_t sum = 0;
	ps_arena_init(&a, 0);
	if (ps_measure_plan(c, NULL, &a, &plan, NULL) == PS_OK) {
		for (size_t i = 0; i < plan.cell_len; i++) {
			sum += ps_measure_cell_ns(c, &plan.cells[i]);
		}
	}
	ps_arena_fini(&a);
	return c->stop.max_time_ns > 0 && sum > c->stop.max_time_ns ? c->stop.max_time_ns : sum;
}
