/* agree.c - the same campaign twice. */
#include "agree_internal.h"

#include "load/reason.h"
#include "report_internal.h"
#include "stats/special.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

static bool is_figure(const struct ps_stats_interval *v)
{
	return v->has_interval && v->lo > 0 && isfinite(v->lo) && isfinite(v->hi);
}

enum ps_status ps_report_agree_add(struct ps_report_agree_work *w, struct ps_report_agree_row row,
				   const char *what, struct ps_error *err)
{
	struct ps_report_agreement *g = w->g;

	if (!is_figure(&row.v)) {
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
	*r = row;
	r->what = ps_arena_strndup(&g->arena, what, strlen(what));
	if (!r->what)
		return no_memory(err);
	r->agrees = row.v.lo <= 1 && row.v.hi >= 1;
	g->compared += r->counted;
	g->disagreeing += r->counted && !r->agrees;
	g->changed += r->changed;
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

static bool is_alike(const struct ps_store_cell *x, const struct ps_store_cell *y)
{
	return !x->digest || !y->digest || strcmp(x->digest, y->digest) == 0;
}

bool ps_report_same_sla(const struct ps_sla *x, const struct ps_sla *y)
{
	return x->percentile == y->percentile && x->limit_ns == y->limit_ns &&
	       x->min_success == y->min_success;
}

/* The same tenants are asked for the same: whatever else differs, the figures answer one question.
 * Demand is not part of what a search asks, nor are agreements of a latency. */
static bool same_question(const struct ps_report_agree_work *w, const struct ps_store_cell *x,
			  const struct ps_store_cell *y)
{
	const struct ps_store_set *p = &w->a->sets[x->set], *q = &w->b->sets[y->set];
	bool at_demand = x->kind == PS_STORE_CONFIRM || x->kind == PS_STORE_PACK;

	if (p->member_len != q->member_len)
		return false;
	for (int i = 0; i < p->member_len; i++) {
		const struct ps_store_tenant *s = &w->a->tenants[p->members[i]];
		const struct ps_store_tenant *t = &w->b->tenants[q->members[i]];
		if (strcmp(s->name, t->name) != 0 ||
		    (x->capacity.known && !ps_report_same_sla(&s->sla, &t->sla)) ||
		    (at_demand && s->demand_rps != t->demand_rps))
			return false;
	}
	return true;
}

/* The other campaign's cell that depends on the same, or is at least asked the same; NULL: none. */
static const struct ps_store_cell *twin(const struct ps_report_agree_work *w,
					const struct ps_store_cell *x)
{
	const struct ps_store_cell *y = cell_of(w->b, x->key);

	if (!y || x->state != PS_STORE_DONE || y->state != PS_STORE_DONE || x->kind != y->kind)
		return NULL;
	return is_alike(x, y) || same_question(w, x, y) ? y : NULL;
}

static void count_cells(struct ps_report_agree_work *w)
{
	for (size_t i = 0; i < w->a->cell_len; i++) {
		const struct ps_store_cell *x = &w->a->cells[i], *y = cell_of(w->b, x->key);
		bool both = y && x->state == PS_STORE_DONE && y->state == PS_STORE_DONE;
		bool alike = both && x->kind == y->kind && is_alike(x, y);
		w->g->cells += alike;
		w->g->differ += both && !alike;
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
	g->real = 0;
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

/* A factor is in units of its ray: rates compare along rays of one direction. Returns how long the
 * first ray is against the second; NAN: they have two directions. */
static double ray_ratio(const struct ps_store_capacity *x, const struct ps_store_capacity *y, int n)
{
	double by = x->ray_rps[0] / y->ray_rps[0];

	for (int i = 0; i < n; i++)
		if (!(fabs(x->ray_rps[i] - by * y->ray_rps[i]) <= 1e-9 * fabs(x->ray_rps[i])))
			return NAN;
	return by;
}

struct ps_stats_interval ps_report_agree_quotient(const struct ps_stats_interval *x,
						  const struct ps_stats_interval *y)
{
	/* from the middles: a value that a fresh trial lowered stands at its lower end */
	double mx = (log(x->lo) + log(x->hi)) / 2, my = (log(y->lo) + log(y->hi)) / 2;
	double d = log(x->value / y->value), far = hypot(log(x->hi) - mx, log(y->hi) - my);

	return (struct ps_stats_interval){
		.value = exp(d),
		.lo = exp(fmin(d, mx - my - far)),
		.hi = exp(fmax(d, mx - my + far)),
		.confidence = PS_REPORT_AGREE_CONFIDENCE,
		.has_interval = is_figure(x) && is_figure(y),
	};
}

static struct ps_stats_interval factor_ratio(const struct ps_store_capacity *x,
					     const struct ps_store_capacity *y, double by)
{
	struct ps_stats_interval p = ps_report_capacity(x, by), q = ps_report_capacity(y, 1);

	return ps_report_agree_quotient(&p, &q);
}

static enum ps_status compare_capacities(struct ps_report_agree_work *w, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (size_t i = 0; i < w->a->cell_len && st == PS_OK; i++) {
		const struct ps_store_cell *x = &w->a->cells[i], *y = twin(w, x);
		char what[160];
		if (!y || !x->capacity.known || !y->capacity.known)
			continue;
		int n = w->a->sets[x->set].member_len;
		bool both = n == w->b->sets[y->set].member_len;
		double by = both ? ray_ratio(&x->capacity, &y->capacity, n) : NAN;
		struct ps_report_agree_row row = {.counted = is_alike(x, y),
						  .changed = !is_alike(x, y)};
		if (!isnan(by))
			row.v = factor_ratio(&x->capacity, &y->capacity, by);
		snprintf(what, sizeof what, "capacity, %.120s", x->key);
		st = ps_report_agree_add(w, row, what, err);
	}
	return st;
}

/* ---- percentiles per block ---- */

static int tenant_named(const struct ps_store_campaign *c, const char *name)
{
	for (size_t i = 0; i < c->tenant_len; i++)
		if (strcmp(c->tenants[i].name, name) == 0)
			return (int)i;
	return -1;
}

static enum ps_status quantile_of(struct ps_report_agree_work *w, const struct ps_store_cell *x,
				  int tenant, double p, double *ret_ns, struct ps_error *err)
{
	const struct ps_store_result *r =
		x->trial_len && tenant >= 0 ? ps_report_result_of(&x->trials[0], tenant) : NULL;

	*ret_ns = NAN;
	if (!r || !ps_load_reason_is_trusted(r->valid, r->reasons))
		return PS_OK;
	enum ps_status st = ps_report_read_hist(&w->scratch, &r->latency, err);
	int64_t ns = st == PS_OK ? ps_hist_quantile_ns(&w->scratch, p) : 0;
	if (ns > 0 && ns != PS_HIST_INFINITE)
		*ret_ns = (double)ns;
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

/* What is asked of the blocks of a thing: a percentile of a tenant, or of a cold start its time. */
struct asked {
	const struct ps_store_cell *like;
	int tenant;
	double p; /* 0: of a cold start */
};

static enum ps_status value_of(struct ps_report_agree_work *w, const struct asked *q,
			       const struct ps_store_cell *x, int tenant, double *ret,
			       struct ps_error *err)
{
	if (q->p > 0)
		return quantile_of(w, x, tenant, q->p, ret, err);
	*ret = figure_of(x, "ready_time");
	return PS_OK;
}

/* One value of each campaign per common block. */
static enum ps_status pair_blocks(struct ps_report_agree_work *w, const struct asked *q,
				  size_t *ret_n, bool *ret_alike, struct ps_error *err)
{
	int other = tenant_named(w->b, w->a->tenants[q->tenant].name);
	enum ps_status st = PS_OK;
	size_t n = 0;

	*ret_alike = true;
	for (size_t i = 0; i < w->a->cell_len && st == PS_OK; i++) {
		const struct ps_store_cell *x = &w->a->cells[i];
		const struct ps_store_cell *y = same_thing(x, q->like) ? twin(w, x) : NULL;
		if (!y)
			continue;
		st = value_of(w, q, x, q->tenant, &w->x[n], err);
		if (st == PS_OK)
			st = value_of(w, q, y, other, &w->y[n], err);
		if (st == PS_OK && w->x[n] > 0 && w->y[n] > 0) {
			*ret_alike = *ret_alike && is_alike(x, y);
			n++;
		}
	}
	*ret_n = n;
	return st;
}

static void name_thing(const struct ps_report_agree_work *w, const struct asked *q, char *what,
		       size_t size)
{
	const char *rest = strchr(q->like->key, '/'); /* "confirm/0/together": without the block */
	const char *name = q->like->kind == PS_STORE_RATES ? q->like->key
			   : rest			   ? strchr(rest + 1, '/')
							   : "";
	if (q->p == 0)
		snprintf(what, size, "ready time%.100s", name ? name : "");
	else
		snprintf(what, size, "p%.6g of %.40s, %s%.100s", 100 * q->p,
			 w->a->tenants[q->tenant].name,
			 q->like->kind == PS_STORE_RATES ? "" : ps_store_kind_name(q->like->kind),
			 name ? name : "");
}

/* `counted`: it is independent of what was compared before. */
static enum ps_status compare_thing(struct ps_report_agree_work *w, const struct asked *q,
				    bool counted, struct ps_error *err)
{
	char what[200];
	bool alike;
	size_t n;
	enum ps_status st = pair_blocks(w, q, &n, &alike, err);

	if (st != PS_OK || n == 0)
		return st;
	name_thing(w, q, what, sizeof what);
	struct ps_report_agree_row row = {
		.v = ps_stats_ratio_interval(w->x, w->y, n, PS_REPORT_AGREE_CONFIDENCE),
		.blocks = n,
		.counted = counted && alike,
		.changed = !alike};
	return ps_report_agree_add(w, row, what, err);
}

/* A tenant's median, and the percentile of its agreement. */
static enum ps_status compare_tenant(struct ps_report_agree_work *w,
				     const struct ps_store_cell *like, int tenant,
				     struct ps_error *err)
{
	const struct ps_sla *sla = &w->a->tenants[tenant].sla;
	struct asked q = {.like = like, .tenant = tenant, .p = 0.5};
	enum ps_status st = compare_thing(w, &q, true, err);

	q.p = sla->percentile;
	if (st == PS_OK && ps_sla_is_set(sla) && sla->percentile != 0.5)
		st = compare_thing(w, &q, false, err);
	return st;
}

static enum ps_status compare_blocks(struct ps_report_agree_work *w, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (size_t i = 0; i < w->a->cell_len && st == PS_OK; i++) {
		const struct ps_store_cell *x = &w->a->cells[i];
		if (!has_blocks(x) || !is_first(w->a, i))
			continue;
		const struct ps_store_set *set = &w->a->sets[x->set];
		struct asked cold = {.like = x, .tenant = set->members[0]};
		if (x->kind == PS_STORE_COLD)
			st = compare_thing(w, &cold, true, err);
		for (int m = 0; m < set->member_len && x->kind != PS_STORE_COLD && st == PS_OK; m++)
			st = compare_tenant(w, x, set->members[m], err);
	}
	return st;
}

void ps_report_agree_judge(struct ps_report_agreement *g)
{
	judge_rows(g);
	g->limit = ps_report_agree_limit(g->compared, 1 - PS_REPORT_AGREE_CONFIDENCE);
	/* where chance may let all of them disagree, nothing can be told */
	g->agrees = g->limit < g->compared && g->disagreeing <= g->limit;
}

/* ---- all of it ---- */

enum ps_status ps_report_agree(const struct ps_store_campaign *a, const struct ps_store_campaign *b,
			       struct ps_report_agreement *ret_agreement, struct ps_error *err)
{
	struct ps_report_agreement g = {.row_len = 0};
	struct ps_report_agree_work w = {.a = a, .b = b, .g = &g};

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
	ps_report_agree_judge(&g);
	*ret_agreement = g;
	return PS_OK;
}

void ps_report_agree_free(struct ps_report_agreement *g)
{
	free(g->rows);
	ps_arena_fini(&g->arena);
	memset(g, 0, sizeof *g);
}
