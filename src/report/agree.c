/* agree.c - the same campaign twice. */
#include "report/agree.h"

#include "conf/conf.h"
#include "load/reason.h"
#include "report_internal.h"
#include "stats/special.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct work {
	const struct ps_store_campaign *a, *b;
	struct ps_report_agreement *g;
	struct ps_hist scratch;
	double *x, *y; /* one value per block */
	size_t cap;    /* of rows */
};

static enum ps_status no_memory(struct ps_error *err)
{
	ps_error_set(err, PS_ENOMEM, "no memory to compare campaigns");
	return PS_ENOMEM;
}

int ps_report_agree_limit(int n, double p)
{
	int k = 0;

	while (k < n && ps_stats_binomial_cdf(k, n, p) < 1 - PS_REPORT_AGREE_CHANCE)
		k++;
	return k;
}

/* ---- rows ---- */

static enum ps_status add_row(struct work *w, const char *what, struct ps_stats_interval v,
			      size_t blocks, struct ps_error *err)
{
	struct ps_report_agreement *g = w->g;

	if (!v.has_interval || !isfinite(v.lo) || !isfinite(v.hi)) {
		g->too_few++;
		return PS_OK;
	}
	if (g->row_len == w->cap) {
		size_t cap = w->cap ? 2 * w->cap : 16;
		struct ps_report_agree_row *all = realloc(g->rows, cap * sizeof *all);
		if (!all)
			return no_memory(err);
		g->rows = all;
		w->cap = cap;
	}
	struct ps_report_agree_row *r = &g->rows[g->row_len];
	r->what = ps_arena_strndup(&g->arena, what, strlen(what));
	if (!r->what)
		return no_memory(err);
	r->v = v;
	r->blocks = blocks;
	r->agrees = v.lo <= 1 && v.hi >= 1;
	g->disagreeing += !r->agrees;
	g->row_len++;
	return PS_OK;
}

static const struct ps_store_cell *cell_of(const struct ps_store_campaign *c, const char *key)
{
	for (size_t i = 0; i < c->cell_len; i++)
		if (strcmp(c->cells[i].key, key) == 0)
			return &c->cells[i];
	return NULL;
}

/* The other campaign's cell that depends on the same; NULL: none. */
static const struct ps_store_cell *twin(const struct work *w, const struct ps_store_cell *x)
{
	const struct ps_store_cell *y = cell_of(w->b, x->key);

	if (!y || x->state != PS_STORE_DONE || y->state != PS_STORE_DONE || x->kind != y->kind)
		return NULL;
	return x->digest && y->digest && strcmp(x->digest, y->digest) != 0 ? NULL : y;
}

static void count_cells(struct work *w)
{
	for (size_t i = 0; i < w->a->cell_len; i++) {
		const struct ps_store_cell *x = &w->a->cells[i], *y = cell_of(w->b, x->key);
		bool both = y && x->state == PS_STORE_DONE && y->state == PS_STORE_DONE;
		w->g->cells += both && twin(w, x);
		w->g->differ += both && !twin(w, x);
	}
}

const char *ps_report_difference_name(enum ps_report_difference d)
{
	static const char *const names[] = {"not shown", "perhaps", "real"};

	return names[d];
}

/* By how much an interval widens when it is one of m that shall hold at once. */
static double widening(size_t blocks, size_t m)
{
	double a = 1 - PS_REPORT_AGREE_CONFIDENCE, df = (double)blocks - 1;

	if (blocks == 0)
		return ps_stats_normal_quantile(1 - a / (2 * (double)m)) /
		       ps_stats_normal_quantile(1 - a / 2);
	return ps_stats_t_quantile(1 - a / (2 * (double)m), df) /
	       ps_stats_t_quantile(1 - a / 2, df);
}

static void judge_rows(struct ps_report_agreement *g)
{
	for (size_t i = 0; i < g->row_len; i++) {
		struct ps_report_agree_row *r = &g->rows[i];
		double by = widening(r->blocks, g->row_len);
		double lo = r->v.value * pow(r->v.lo / r->v.value, by);
		double hi = r->v.value * pow(r->v.hi / r->v.value, by);
		bool real = !r->agrees && (lo > 1 || hi < 1);
		r->difference = real	    ? PS_REPORT_REAL
				: r->agrees ? PS_REPORT_NOT_SHOWN
					    : PS_REPORT_PERHAPS;
		g->real += real;
	}
}

/* ---- capacities ---- */

/* A factor is in units of its ray. */
static bool same_ray(const struct ps_store_capacity *x, const struct ps_store_capacity *y, int n)
{
	for (int i = 0; i < n; i++)
		if (!(fabs(x->ray_rps[i] - y->ray_rps[i]) <= 1e-9 * fabs(x->ray_rps[i])))
			return false;
	return true;
}

static struct ps_stats_interval factor_ratio(const struct ps_store_capacity *x,
					     const struct ps_store_capacity *y)
{
	struct ps_stats_interval v = {.value = x->factor / y->factor,
				      .confidence = PS_REPORT_AGREE_CONFIDENCE};
	bool open =
		ps_report_method_says(x, "open_below") || ps_report_method_says(x, "open_above") ||
		ps_report_method_says(y, "open_below") || ps_report_method_says(y, "open_above");

	v.has_interval = !open && x->factor_low > 0 && y->factor_low > 0 &&
			 isfinite(x->factor_high) && isfinite(y->factor_high);
	if (v.has_interval) {
		double d = log(v.value);
		v.lo = exp(d -
			   hypot(log(x->factor / x->factor_low), log(y->factor_high / y->factor)));
		v.hi = exp(d +
			   hypot(log(x->factor_high / x->factor), log(y->factor / y->factor_low)));
	}
	return v;
}

static enum ps_status compare_capacities(struct work *w, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (size_t i = 0; i < w->a->cell_len && st == PS_OK; i++) {
		const struct ps_store_cell *x = &w->a->cells[i], *y = twin(w, x);
		char what[160];
		if (!y || !x->capacity.known || !y->capacity.known)
			continue;
		int n = w->a->sets[x->set].member_len;
		if (n != w->b->sets[y->set].member_len ||
		    !same_ray(&x->capacity, &y->capacity, n)) {
			w->g->too_few++;
			continue;
		}
		snprintf(what, sizeof what, "capacity, %.120s", x->key);
		st = add_row(w, what, factor_ratio(&x->capacity, &y->capacity), 0, err);
	}
	return st;
}

/* ---- medians per block ---- */

static int tenant_named(const struct ps_store_campaign *c, const char *name)
{
	for (size_t i = 0; i < c->tenant_len; i++)
		if (strcmp(c->tenants[i].name, name) == 0)
			return (int)i;
	return -1;
}

static enum ps_status p50_of(struct work *w, const struct ps_store_cell *x, int tenant,
			     double *ret_p50, struct ps_error *err)
{
	const struct ps_store_result *r =
		x->trial_len && tenant >= 0 ? ps_report_result_of(&x->trials[0], tenant) : NULL;

	*ret_p50 = NAN;
	if (!r || !ps_load_reason_is_trusted(r->valid, r->reasons))
		return PS_OK;
	enum ps_status st = ps_report_read_hist(&w->scratch, &r->latency, err);
	int64_t p50 = st == PS_OK ? ps_hist_quantile_ns(&w->scratch, 0.5) : 0;
	if (p50 > 0 && p50 != PS_HIST_INFINITE)
		*ret_p50 = (double)p50;
	return st;
}

static double figure_of(const struct ps_store_cell *x, const char *name)
{
	for (size_t i = 0; i < x->figure_len; i++)
		if (strcmp(x->figures[i].name, name) == 0)
			return x->figures[i].value;
	return NAN;
}

static bool has_blocks(const struct ps_store_cell *x)
{
	/* not at the capacities: each campaign offers there what its own searches found */
	return x->kind == PS_STORE_CONFIRM || x->kind == PS_STORE_RATES || x->kind == PS_STORE_COLD;
}

/* The same thing measured in another block. */
static bool same_thing(const struct ps_store_cell *x, const struct ps_store_cell *y)
{
	return x->kind == y->kind && x->set == y->set && x->part == y->part && x->point == y->point;
}

static bool is_first(const struct ps_store_campaign *c, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (same_thing(&c->cells[k], &c->cells[i]))
			return false;
	return true;
}

/* One value of each campaign per common block: the p50 of a tenant, or of a cold start its time. */
static enum ps_status compare_thing(struct work *w, const struct ps_store_cell *like, int tenant,
				    struct ps_error *err)
{
	bool cold = like->kind == PS_STORE_COLD;
	enum ps_status st = PS_OK;
	size_t n = 0;
	char what[200];
	int other = cold ? -1 : tenant_named(w->b, w->a->tenants[tenant].name);

	for (size_t i = 0; i < w->a->cell_len && st == PS_OK; i++) {
		const struct ps_store_cell *x = &w->a->cells[i];
		const struct ps_store_cell *y = same_thing(x, like) ? twin(w, x) : NULL;
		if (!y)
			continue;
		if (cold) {
			w->x[n] = figure_of(x, "ready_time");
			w->y[n] = figure_of(y, "ready_time");
		} else {
			st = p50_of(w, x, tenant, &w->x[n], err);
			if (st == PS_OK)
				st = p50_of(w, y, other, &w->y[n], err);
		}
		n += st == PS_OK && w->x[n] > 0 && w->y[n] > 0;
	}
	if (st != PS_OK || n == 0)
		return st;
	const char *rest = strchr(like->key, '/'); /* "confirm/0/together": without the block */
	const char *name = like->kind == PS_STORE_RATES ? like->key
			   : rest			? strchr(rest + 1, '/')
							: "";
	if (cold)
		snprintf(what, sizeof what, "ready time%.100s", name ? name : "");
	else
		snprintf(what, sizeof what, "p50 of %.40s, %s%.100s", w->a->tenants[tenant].name,
			 like->kind == PS_STORE_RATES ? "" : ps_store_kind_name(like->kind),
			 name ? name : "");
	return add_row(w, what, ps_stats_ratio_interval(w->x, w->y, n, PS_REPORT_AGREE_CONFIDENCE),
		       n, err);
}

static enum ps_status compare_blocks(struct work *w, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (size_t i = 0; i < w->a->cell_len && st == PS_OK; i++) {
		const struct ps_store_cell *x = &w->a->cells[i];
		if (!has_blocks(x) || !is_first(w->a, i))
			continue;
		const struct ps_store_set *set = &w->a->sets[x->set];
		if (x->kind == PS_STORE_COLD)
			st = compare_thing(w, x, set->members[0], err);
		for (int m = 0; m < set->member_len && x->kind != PS_STORE_COLD && st == PS_OK; m++)
			st = compare_thing(w, x, set->members[m], err);
	}
	return st;
}

enum ps_status ps_report_agree(const struct ps_store_campaign *a, const struct ps_store_campaign *b,
			       struct ps_report_agreement *ret_agreement, struct ps_error *err)
{
	struct ps_report_agreement g = {.row_len = 0};
	struct work w = {.a = a, .b = b, .g = &g};

	ps_arena_init(&g.arena, 0);
	w.x = calloc(2 * (a->cell_len + 1), sizeof *w.x);
	enum ps_status st = w.x && ps_hist_init(&w.scratch) == PS_OK ? PS_OK : no_memory(err);
	if (st == PS_OK) {
		w.y = w.x + a->cell_len + 1;
		count_cells(&w);
		st = compare_capacities(&w, err);
	}
	if (st == PS_OK)
		st = compare_blocks(&w, err);
	if (w.scratch.counts)
		ps_hist_fini(&w.scratch);
	free(w.x);
	if (st != PS_OK) {
		ps_report_agree_free(&g);
		return st;
	}
	judge_rows(&g);
	g.limit = ps_report_agree_limit((int)g.row_len, 1 - PS_REPORT_AGREE_CONFIDENCE);
	/* where chance may let all of them disagree, nothing can be told */
	g.agrees = g.limit < (int)g.row_len && g.disagreeing <= g.limit;
	*ret_agreement = g;
	return PS_OK;
}

void ps_report_agree_free(struct ps_report_agreement *g)
{
	free(g->rows);
	ps_arena_fini(&g->arena);
	memset(g, 0, sizeof *g);
}

/* ---- shown ---- */

void ps_report_agree_sentence(const struct ps_report_agreement *g, struct ps_strbuf *line)
{
	if (g->row_len == 0)
		ps_strbuf_puts(line, "Nothing can be compared");
	else
		ps_strbuf_printf(line, "%s: %d of %zu comparisons at %.0f %% disagree",
				 g->limit >= (int)g->row_len ? "Too few comparisons to tell"
				 : g->agrees		     ? "The campaigns agree"
							     : "The campaigns DISAGREE",
				 g->disagreeing, g->row_len, 100 * PS_REPORT_AGREE_CONFIDENCE);
	if (g->row_len > 0)
		ps_strbuf_printf(line, ", and chance lets %d do so in %.0f of 100 cases", g->limit,
				 100 * (1 - PS_REPORT_AGREE_CHANCE));
	if (g->row_len > 0 && g->real == 0)
		ps_strbuf_puts(line, ". No single difference is real");
	else if (g->row_len > 0)
		ps_strbuf_printf(line, ". %d %s real", g->real,
				 g->real == 1 ? "difference is" : "differences are");
	ps_strbuf_printf(
		line,
		". Both have done %d cells that depend on the same, and %d that do not; %d "
		"figures have too few blocks, an open end, or rays that differ.",
		g->cells, g->differ, g->too_few);
}

void ps_report_agree_text(const struct ps_report_agreement *g, int width, struct ps_strbuf *out)
{
	char text[PS_REPORT_CELL_SIZE];
	struct ps_strbuf line;
	size_t w = width < 30 ? 30 : width > 100 ? 100 : (size_t)width;

	ps_strbuf_init(&line);
	ps_report_agree_sentence(g, &line);
	ps_conf_wrap(out, line.data ? line.data : "", line.len, 0, 0, w);
	ps_strbuf_fini(&line);
	for (size_t i = 0; i < g->row_len; i++)
		if (!g->rows[i].agrees)
			ps_strbuf_printf(out, "- %s: first / second %s, %s\n", g->rows[i].what,
					 ps_report_interval(&g->rows[i].v, false, false, text),
					 ps_report_difference_name(g->rows[i].difference));
}

json_t *ps_report_agree_json(const struct ps_report_agreement *g)
{
	json_t *o = json_object(), *rows = json_array();

	ps_json_set_bool(o, "agree", g->agrees);
	ps_json_set_int(o, "comparisons", (int64_t)g->row_len);
	ps_json_set_int(o, "disagreeing", g->disagreeing);
	ps_json_set_int(o, "limit", g->limit);
	ps_json_set_int(o, "real", g->real);
	ps_json_set_real(o, "confidence", PS_REPORT_AGREE_CONFIDENCE);
	ps_json_set_int(o, "cells", g->cells);
	ps_json_set_int(o, "cells_that_differ", g->differ);
	ps_json_set_int(o, "too_few", g->too_few);
	for (size_t i = 0; i < g->row_len; i++) {
		json_t *r = json_object();
		ps_json_set_string(r, "what", g->rows[i].what);
		ps_json_set_real(r, "ratio", g->rows[i].v.value);
		ps_json_set_real(r, "low", g->rows[i].v.lo);
		ps_json_set_real(r, "high", g->rows[i].v.hi);
		ps_json_set_bool(r, "agrees", g->rows[i].agrees);
		ps_json_set_string(r, "difference",
				   ps_report_difference_name(g->rows[i].difference));
		json_array_append_new(rows, r);
	}
	json_object_set_new(o, "rows", rows);
	return o;
}
