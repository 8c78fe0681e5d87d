#include "cache/maxmin_internal.h"
#include "cache/policy.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

double ps_cache_worst_share(const struct ps_cache_plan *p, int *ret_tenant)
{
	double worst = INFINITY;
	int who = -1;

	for (int i = 0; i < p->tenants; i++) {
		if (!(p->entitled[i] > 0) || p->utility[i] / p->entitled[i] >= worst)
			continue;
		worst = p->utility[i] / p->entitled[i];
		who = i;
	}
	if (ret_tenant)
		*ret_tenant = who;
	return who < 0 ? 1 : worst;
}

double ps_cache_jain(const double *x, int n)
{
	double sum = 0, squares = 0;

	for (int i = 0; i < n; i++) {
		sum += x[i];
		squares += x[i] * x[i];
	}
	return squares > 0 ? sum * sum / (n * squares) : 1;
}

void ps_cache_objection_free(struct ps_cache_objection *o)
{
	ps_cache_plan_free(&o->way);
	*o = (struct ps_cache_objection){0};
}

/* ---- groups ---- */

/* Who has less by no more than this has as much, for what a plan and CLP leave open. */
#define AS_MUCH 1e-8

struct group {
	struct ps_cache_game *g;
	const double *v; /* [n] scaled utilities of the plan */
	double tolerance;
	int n;
	int *who;
	double *scale, *prices;
	double part;
	uint64_t *has;
};

static void group_fini(struct group *t)
{
	free(t->who);
	free(t->scale);
	free(t->prices);
	free(t->has);
}

static bool group_init(struct group *t)
{
	size_t n = (size_t)t->g->n + 1;

	t->who = malloc(n * sizeof(*t->who));
	t->scale = malloc(n * sizeof(*t->scale));
	t->prices = calloc(n, sizeof(*t->prices));
	t->has = malloc((size_t)t->g->words * sizeof(*t->has));
	return t->who && t->scale && t->prices && t->has;
}

/* Who is in it; what it could get with its part is measured in what it has. */
static void form(struct group *t, uint64_t members)
{
	double weight = 0;

	t->n = 0;
	for (int i = 0; i < t->g->n; i++)
		if (members >> i & 1) {
			t->who[t->n++] = i;
			weight += t->g->w[i];
		}
	t->part = weight / t->g->sum;
	for (int r = 0; r < t->n; r++)
		t->scale[r] = t->v[t->who[r]] > 0 ? t->part / t->v[t->who[r]] : DBL_MAX;
}

/* One knapsack: when the mean of what members would get (by weight) is not over what they have,
 * then none can have more and the others as much. Under PF this settles every group. */
static bool ruled_out(struct group *t)
{
	double bound, weight = t->part * t->g->sum;

	memset(t->prices, 0, (size_t)t->g->n * sizeof(*t->prices));
	for (int r = 0; r < t->n; r++) {
		if (t->scale[r] == DBL_MAX)
			return false;
		t->prices[t->who[r]] = t->scale[r] * t->g->w[t->who[r]] / weight;
	}
	(void)ps_cache_welfare(t->g, t->prices, 0, false, t->has, &bound);
	return bound <= 1 + t->tolerance;
}

static enum ps_status describe(struct group *t, uint64_t members, double gain,
			       const struct ps_cache_columns *c, struct ps_cache_objection *ret,
			       struct ps_error *err)
{
	enum ps_status st = ps_cache_columns_plan(c, &ret->way, err);

	if (st != PS_OK)
		return st;
	ret->found = true;
	ret->part = t->part;
	ret->gain = gain;
	ret->members = 0;
	for (int i = 0; i < t->g->n; i++)
		if (members >> i & 1) {
			ret->better[ret->members] = true;
			ret->who[ret->members++] = t->g->who[i];
		}
	return PS_OK;
}

/* One tenant alone would take what it likes best. */
static enum ps_status ask_one(struct group *t, uint64_t members, struct ps_cache_columns *c,
			      struct ps_cache_objection *ret, struct ps_error *err)
{
	int i = t->who[0];
	double gain = t->v[i] > 0 ? t->part / t->v[i] : INFINITY, bound;

	if (gain <= 1 + t->tolerance)
		return PS_OK;
	memset(t->prices, 0, (size_t)t->g->n * sizeof(*t->prices));
	t->prices[i] = 1;
	(void)ps_cache_welfare(t->g, t->prices, 0, false, t->has, &bound);
	int column = ps_cache_columns_add(c, t->has);
	if (column < 0)
		return ps_error_set(err, PS_ENOMEM, "no memory for the core");
	c->x[column] = 1;
	return describe(t, members, gain, c, ret, err);
}

/* Level by level, as max-min fairness goes: those that can have no more than they have are held
 * there, and where the others can, those are the ones who gain. *ret_gain is 0 when nobody does. */
static enum ps_status gains(struct group *t, struct ps_cache_maxmin *m, double *ret_gain,
			    struct ps_error *err)
{
	struct ps_cache_maxmin_answer a;
	enum ps_status st = PS_OK;

	*ret_gain = 0;
	for (int left = t->n; left > 0; left -= ps_cache_maxmin_hold(m, &a)) {
		st = ps_cache_maxmin_solve(m, 1 - AS_MUCH, 1 + t->tolerance, &a, err);
		if (st != PS_OK || a.value < 1 - AS_MUCH)
			return st;
		if (a.value <= 1 + t->tolerance)
			continue;
		/* By how much is worth knowing. */
		st = ps_cache_maxmin_solve(m, 0, INFINITY, &a, err);
		*ret_gain = a.value;
		return st;
	}
	return st;
}

static enum ps_status ask_group(struct group *t, uint64_t members, struct ps_cache_columns *c,
				struct ps_cache_objection *ret, struct ps_error *err)
{
	const struct ps_cache_maxmin_rows rows = {t->n, t->who, t->scale};
	struct ps_cache_maxmin *m;
	double bound, gain;

	for (int r = 0; r < t->n; r++) {
		memset(t->prices, 0, (size_t)t->g->n * sizeof(*t->prices));
		t->prices[t->who[r]] = 1;
		(void)ps_cache_welfare(t->g, t->prices, 0, true, t->has, &bound);
		if (ps_cache_columns_add(c, t->has) < 0)
			return ps_error_set(err, PS_ENOMEM, "no memory for the core");
	}
	enum ps_status st = ps_cache_maxmin_new(t->g, c, &rows, &m, err);
	if (st != PS_OK)
		return st;
	st = gains(t, m, &gain, err);
	if (st == PS_OK && gain > 0) {
		st = describe(t, members, gain, c, ret, err);
		for (int r = 0; r < t->n && st == PS_OK; r++)
			ret->better[r] = !ps_cache_maxmin_held(m, r);
	}
	ps_cache_maxmin_free(m);
	return st;
}

static enum ps_status ask(struct group *t, uint64_t members, struct ps_cache_objection *ret,
			  struct ps_error *err)
{
	struct ps_cache_columns c;
	enum ps_status st;

	form(t, members);
	if (t->n > 1 && ruled_out(t))
		return PS_OK;
	ps_cache_columns_init(&c, t->g);
	st = t->n == 1 ? ask_one(t, members, &c, ret, err) : ask_group(t, members, &c, ret, err);
	ps_cache_columns_fini(&c);
	return st;
}

static enum ps_status ask_all(struct group *t, struct ps_cache_objection *ret, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (int size = 1; size <= t->g->n; size++)
		for (uint64_t members = 1; members < UINT64_C(1) << t->g->n; members++) {
			if (__builtin_popcountll(members) != size)
				continue;
			st = ask(t, members, ret, err);
			if (st != PS_OK || ret->found)
				return st;
		}
	return st;
}

enum ps_status ps_cache_core(const struct ps_cache_problem *p, const struct ps_cache_plan *plan,
			     double tolerance, struct ps_cache_objection *ret, struct ps_error *err)
{
	struct ps_cache_game g;
	enum ps_status st = ps_cache_game_init(&g, p, err);

	*ret = (struct ps_cache_objection){0};
	if (st != PS_OK)
		return st;
	double *v = malloc(((size_t)g.n + 1) * sizeof(*v));
	struct group t = {.g = &g, .v = v, .tolerance = tolerance};
	if (g.n > PS_CACHE_CORE_TENANTS) {
		st = ps_error_set(err, PS_ETOOBIG,
				  "%d tenants take part: groups are enumerated for at most %d", g.n,
				  PS_CACHE_CORE_TENANTS);
	} else if (!v || !group_init(&t)) {
		st = ps_error_set(err, PS_ENOMEM, "no memory for the core");
	} else {
		for (int i = 0; i < g.n; i++)
			v[i] = plan->utility[g.who[i]] / g.best[g.who[i]];
		st = ask_all(&t, ret, err);
	}
	group_fini(&t);
	free(v);
	ps_cache_game_fini(&g);
	return st;
}
