#include "cache/game_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { QUICK_NODES = 20000 };

static enum ps_status no_memory(struct ps_error *err)
{
	ps_error_set(err, PS_ENOMEM, "no memory for the choice of models");
	return PS_ENOMEM;
}

int64_t ps_cache_bytes(const struct ps_cache_problem *p, const uint64_t *has)
{
	int64_t sum = 0;

	for (int j = 0; j < p->items; j++)
		if (ps_cache_has(has, j))
			sum += p->item[j].bytes;
	return sum;
}

/* ---- what is in every configuration ---- */

struct choice {
	struct ps_cache_sack sack;
	double *value;
	int64_t *bytes;
	bool *take;
};

static void choice_fini(struct choice *c)
{
	ps_cache_sack_fini(&c->sack);
	free(c->value);
	free(c->bytes);
	free(c->take);
}

static bool choice_init(struct choice *c, int items)
{
	size_t n = (size_t)items + 1;

	*c = (struct choice){
		.value = malloc(n * sizeof(double)),
		.bytes = malloc(n * sizeof(int64_t)),
		.take = malloc(n * sizeof(bool)),
	};
	if (ps_cache_sack_init(&c->sack, items) && c->value && c->bytes && c->take)
		return true;
	choice_fini(c);
	return false;
}

/* What is worth most to one tenant within its guaranteed bytes; pinned items are there anyway. */
static void guarantee(const struct ps_cache_problem *p, int tenant, struct choice *c,
		      uint64_t *ret_has)
{
	double bound;

	for (int j = 0; j < p->items; j++) {
		c->value[j] = p->item[j].pinned ? 0 : ps_cache_unit(p, tenant, j);
		c->bytes[j] = p->item[j].bytes;
	}
	const struct ps_cache_sack_problem k = {.n = p->items,
						.value = c->value,
						.bytes = c->bytes,
						.room = p->tenant[tenant].guaranteed_bytes};
	(void)ps_cache_sack_solve(&c->sack, &k, c->take, &bound);
	for (int j = 0; j < p->items; j++)
		if (c->take[j])
			ps_cache_put(ret_has, j);
}

enum ps_status ps_cache_forced(const struct ps_cache_problem *p, uint64_t *ret_has,
			       struct ps_error *err)
{
	struct choice c;

	for (int j = 0; j < p->items; j++)
		if (p->item[j].pinned)
			ps_cache_put(ret_has, j);
	if (!choice_init(&c, p->items))
		return no_memory(err);
	for (int i = 0; i < p->tenants; i++)
		if (p->tenant[i].guaranteed_bytes > 0)
			guarantee(p, i, &c, ret_has);
	choice_fini(&c);
	return PS_OK;
}

/* ---- building ---- */

void ps_cache_game_fini(struct ps_cache_game *g)
{
	free(g->who);
	free(g->w);
	free(g->best);
	free(g->item);
	free(g->bytes);
	free(g->forced);
	free(g->base);
	free(g->at);
	free(g->cell);
	free(g->row);
	free(g->value);
	free(g->take);
	free(g->prices);
	free(g->set);
	ps_cache_sack_fini(&g->sack);
	*g = (struct ps_cache_game){0};
}

static bool allocate(struct ps_cache_game *g, size_t cells)
{
	size_t n = (size_t)g->p->tenants + 1, m = (size_t)g->p->items + 1;

	g->who = calloc(n, sizeof(*g->who));
	g->w = calloc(n, sizeof(*g->w));
	g->best = calloc(n, sizeof(*g->best));
	g->base = calloc(n, sizeof(*g->base));
	g->item = calloc(m, sizeof(*g->item));
	g->bytes = calloc(m, sizeof(*g->bytes));
	g->at = calloc(m + 1, sizeof(*g->at));
	g->cell = calloc(cells + 1, sizeof(*g->cell));
	g->value = calloc(m, sizeof(*g->value));
	g->take = calloc(m, sizeof(*g->take));
	g->prices = calloc(n, sizeof(*g->prices));
	g->words = ps_cache_words(g->p->items);
	g->forced = calloc((size_t)g->words, sizeof(*g->forced));
	g->set = calloc((size_t)g->words, sizeof(*g->set));
	return g->who && g->w && g->best && g->base && g->item && g->bytes && g->at && g->cell &&
	       g->value && g->take && g->forced && g->prices && g->set &&
	       ps_cache_sack_init(&g->sack, g->p->items);
}

/* Cells by item with rows = tenant numbers and utilities in seconds; `wanted` items only. */
static void fill(struct ps_cache_game *g)
{
	const struct ps_cache_problem *p = g->p;
	int cells = 0;

	for (int j = 0; j < p->items; j++) {
		int before = cells;
		if (ps_cache_has(g->forced, j) || p->item[j].bytes > g->room)
			continue;
		for (int i = 0; i < p->tenants; i++) {
			double u = ps_cache_unit(p, i, j);
			if (u > 0)
				g->cell[cells++] = (struct ps_cache_cell){i, u};
		}
		if (cells == before)
			continue;
		g->item[g->m] = j;
		g->bytes[g->m] = p->item[j].bytes;
		g->at[++g->m] = cells;
	}
}

static double forced_utility(const struct ps_cache_game *g, int tenant)
{
	double sum = 0;

	for (int j = 0; j < g->p->items; j++)
		if (ps_cache_has(g->forced, j))
			sum += ps_cache_unit(g->p, tenant, j);
	return sum;
}

/* U_i*: what tenant i would choose. Values are set for it alone. */
static void find_best(struct ps_cache_game *g, int tenant, double forced)
{
	struct ps_cache_sack_problem k = {
		.n = g->m, .value = g->value, .bytes = g->bytes, .room = g->room};
	double bound, value;

	memset(g->value, 0, (size_t)g->m * sizeof(*g->value));
	for (int j = 0; j < g->m; j++)
		for (int c = g->at[j]; c < g->at[j + 1]; c++)
			if (g->cell[c].row == tenant)
				g->value[j] = g->cell[c].a;
	value = ps_cache_sack_solve(&g->sack, &k, g->take, &bound);
	g->best[tenant] = forced + value;
	if (g->best[tenant] > 0)
		g->best_error = fmax(g->best_error, (bound - value) / g->best[tenant]);
}

/* Who gets nothing from any configuration takes no part; cells are renumbered and scaled. */
static void enrol(struct ps_cache_game *g)
{
	const struct ps_cache_problem *p = g->p;
	int *row = g->who; /* by tenant, then by row: rows never overtake tenants */

	for (int i = 0; i < p->tenants; i++) {
		double forced = forced_utility(g, i);
		find_best(g, i, forced);
		if (!(g->best[i] > 0))
			continue;
		g->w[g->n] = p->tenant[i].weight;
		g->sum += p->tenant[i].weight;
		g->base[g->n] = forced / g->best[i];
		row[g->n++] = i;
	}
	for (int c = 0; c < g->at[g->m]; c++) {
		int low = 0, high = g->n - 1, tenant = g->cell[c].row;
		while (low < high) {
			int mid = (low + high) / 2;
			if (g->who[mid] < tenant)
				low = mid + 1;
			else
				high = mid;
		}
		g->cell[c] = (struct ps_cache_cell){low, g->cell[c].a / g->best[tenant]};
	}
}

/* What is mostly full is quicker to go through by rows. */
static bool lay_out_rows(struct ps_cache_game *g)
{
	size_t n = (size_t)g->n, m = (size_t)g->m;

	if (n * m == 0 || n * m > 2 * (size_t)g->at[g->m])
		return true;
	g->row = calloc(n * m, sizeof(*g->row));
	for (int j = 0; g->row && j < g->m; j++)
		for (int c = g->at[j]; c < g->at[j + 1]; c++)
			g->row[(size_t)g->cell[c].row * m + (size_t)j] = g->cell[c].a;
	return g->row != NULL;
}

static size_t count_cells(const struct ps_cache_problem *p)
{
	size_t n = 0;

	for (size_t c = 0; c < (size_t)p->tenants * (size_t)p->items; c++)
		n += p->demand[c] > 0;
	return n;
}

enum ps_status ps_cache_game_init(struct ps_cache_game *g, const struct ps_cache_problem *p,
				  struct ps_error *err)
{
	*g = (struct ps_cache_game){.p = p};
	if (!allocate(g, count_cells(p))) {
		ps_cache_game_fini(g);
		return no_memory(err);
	}
	enum ps_status st = ps_cache_forced(p, g->forced, err);
	if (st != PS_OK) {
		ps_cache_game_fini(g);
		return st;
	}
	memcpy(g->set, g->forced, (size_t)g->words * sizeof(*g->set));
	g->room = p->capacity_bytes - ps_cache_bytes(p, g->forced);
	fill(g);
	enrol(g);
	if (!lay_out_rows(g)) {
		ps_cache_game_fini(g);
		return no_memory(err);
	}
	return PS_OK;
}

/* ---- pricing ---- */

static void weigh_rows(struct ps_cache_game *g, const double *y)
{
	enum { AT_ONCE = 4 };
	const double *row[AT_ONCE];
	double by[AT_ONCE];
	int n = 0;

	memset(g->value, 0, (size_t)g->m * sizeof(*g->value));
	for (int i = 0; i <= g->n; i++) {
		if (i < g->n && y[i] > 0) {
			row[n] = g->row + (size_t)i * (size_t)g->m;
			by[n++] = y[i];
		}
		if (n == AT_ONCE)
			for (int j = 0; j < g->m; j++)
				g->value[j] += (by[0] * row[0][j] + by[1] * row[1][j]) +
					       (by[2] * row[2][j] + by[3] * row[3][j]);
		else
			for (int k = 0; i == g->n && k < n; k++)
				for (int j = 0; j < g->m; j++)
					g->value[j] += by[k] * row[k][j];
		n = n < AT_ONCE ? n : 0;
	}
}

static void weigh(struct ps_cache_game *g, const double *y)
{
	if (g->row) {
		weigh_rows(g, y);
		return;
	}
	for (int j = 0; j < g->m; j++) {
		double sum = 0;
		for (int c = g->at[j]; c < g->at[j + 1]; c++)
			sum += y[g->cell[c].row] * g->cell[c].a;
		g->value[j] = sum;
	}
}

double ps_cache_welfare(struct ps_cache_game *g, const double *y, double tolerance, bool quick,
			uint64_t *ret_has, double *ret_bound)
{
	const struct ps_cache_sack_problem k = {.n = g->m,
						.value = g->value,
						.bytes = g->bytes,
						.room = g->room,
						.tolerance = tolerance,
						.nodes = quick ? QUICK_NODES : 0,
						.quick = quick};
	double base = 0, bound, value;

	weigh(g, y);
	for (int i = 0; i < g->n; i++)
		base += y[i] * g->base[i];
	value = ps_cache_sack_solve(&g->sack, &k, g->take, &bound);
	g->priced++;
	memcpy(ret_has, g->forced, (size_t)g->words * sizeof(*ret_has));
	for (int j = 0; j < g->m; j++)
		if (g->take[j])
			ps_cache_put(ret_has, g->item[j]);
	*ret_bound = base + bound;
	return base + value;
}

void ps_cache_welfare_room(struct ps_cache_game *g, const double *y, int64_t room, uint64_t *has)
{
	const struct ps_cache_sack_problem k = {
		.n = g->m, .value = g->value, .bytes = g->bytes, .room = room};
	double bound;

	weigh(g, y);
	for (int j = 0; j < g->m; j++)
		if (ps_cache_has(has, g->item[j]))
			g->value[j] = 0;
	double value = ps_cache_sack_solve(&g->sack, &k, g->take, &bound);
	g->priced++;
	if (value > 0)
		g->room_error = fmax(g->room_error, bound / value - 1);
	for (int j = 0; j < g->m; j++)
		if (g->take[j])
			ps_cache_put(has, g->item[j]);
}

void ps_cache_scaled(const struct ps_cache_game *g, const uint64_t *has, double *ret_a)
{
	memcpy(ret_a, g->base, (size_t)g->n * sizeof(*ret_a));
	for (int j = 0; j < g->m; j++) {
		if (!ps_cache_has(has, g->item[j]))
			continue;
		for (int c = g->at[j]; c < g->at[j + 1]; c++)
			ret_a[g->cell[c].row] += g->cell[c].a;
	}
}
