/* small.c - every set of small problems, by other methods than the policies': enumeration for the
 * knapsack, an interior point for PF, a textbook simplex for MMF and for what groups
 * could do better. */
#include "check.h"
#include "simplex.h"

#include "base/rng.h"
#include "cache/game_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SAME 1e-6

struct truth {
	int n; /* tenants that take part */
	int who[SMALL_TENANTS];
	double w[SMALL_TENANTS], sum; /* weights */
	double best[SMALL_TENANTS];   /* by tenant */
	int sets;		      /* all that are allowed */
	int maximal;		      /* of those, the first so many are inside no other */
	unsigned set[SMALL_SETS];
	double a[SMALL_SETS][SMALL_TENANTS]; /* scaled utilities by row */
};

struct worst {
	double welfare, mmf, pf_gap, pf_utility, said;
	int wrong;
};

/* ---- cases ---- */

static void draw(struct instance *c, uint64_t seed)
{
	struct ps_rng r;
	int64_t all = 0;

	ps_rng_init(&r, seed, ps_rng_stream("cache/small"));
	c->p.tenants = 1 + (int)ps_rng_below(&r, SMALL_TENANTS);
	c->p.items = 1 + (int)ps_rng_below(&r, SMALL_ITEMS);
	bool even = ps_rng_below(&r, 2), even_load = ps_rng_below(&r, 3) == 0;
	for (int j = 0; j < c->p.items; j++) {
		c->item[j] = (struct ps_cache_item){
			.bytes = 1 + (int64_t)ps_rng_below(&r, 20),
			.load_s = 1 + (double)ps_rng_below(&r, 9),
			.pinned = ps_rng_below(&r, 25) == 0,
			.resident = ps_rng_below(&r, 4) == 0,
		};
		if (even_load)
			c->item[j].load_s = (double)c->item[j].bytes;
		all += c->item[j].bytes;
	}
	c->p.capacity_bytes = (int64_t)ps_rng_below(&r, (uint64_t)all + 2);
	c->p.warm_factor = ps_rng_below(&r, 4) == 0 ? 2 : 1;
	for (int i = 0; i < c->p.tenants; i++) {
		c->tenant[i] = (struct ps_cache_tenant){
			.weight = even ? 1 : 1 + (double)ps_rng_below(&r, 4)};
		if (ps_rng_below(&r, 12) == 0)
			c->tenant[i].guaranteed_bytes =
				(int64_t)ps_rng_below(&r, (uint64_t)c->p.capacity_bytes / 3 + 1);
		for (int j = 0; j < c->p.items; j++)
			c->demand[i * c->p.items + j] =
				ps_rng_below(&r, 3) == 0 ? 0 : (double)ps_rng_below(&r, 6);
	}
}

static double utility(const struct ps_cache_problem *p, int tenant, unsigned set)
{
	double sum = 0;

	for (int j = 0; j < p->items; j++)
		if (set >> j & 1)
			sum += p->demand[tenant * p->items + j] * p->item[j].load_s *
			       (p->item[j].resident ? p->warm_factor : 1);
	return sum;
}

static int64_t bytes(const struct ps_cache_problem *p, unsigned set)
{
	int64_t sum = 0;

	for (int j = 0; j < p->items; j++)
		sum += set >> j & 1 ? p->item[j].bytes : 0;
	return sum;
}

/* Ties between sets that a guarantee may hold are the program's to break: its choice is taken, once
 * it is as good as the best. */
static bool forced_is_right(const struct ps_cache_problem *p, unsigned *ret_forced)
{
	uint64_t has[1] = {0};
	unsigned pinned = 0;

	if (ps_cache_forced(p, has, NULL) != PS_OK)
		return false;
	*ret_forced = (unsigned)has[0];
	for (int j = 0; j < p->items; j++)
		pinned |= p->item[j].pinned ? 1U << j : 0;
	for (int i = 0; i < p->tenants; i++)
		for (unsigned s = 0; s < 1U << p->items; s++)
			if (!(s & pinned) && bytes(p, s) <= p->tenant[i].guaranteed_bytes &&
			    utility(p, i, s) > utility(p, i, *ret_forced & ~pinned) * (1 + 1e-12))
				return false;
	return (pinned & ~*ret_forced) == 0;
}

static void find_sets(const struct ps_cache_problem *p, unsigned forced, struct truth *t)
{
	t->sets = 0;
	for (int maximal = 1; maximal >= 0; maximal--) {
		for (unsigned s = 0; s < 1U << p->items; s++) {
			bool more = false;
			if (forced & ~s || bytes(p, s) > p->capacity_bytes)
				continue;
			for (int j = 0; j < p->items; j++)
				more = more || (!(s >> j & 1) &&
						bytes(p, s | 1U << j) <= p->capacity_bytes);
			if (more != maximal)
				t->set[t->sets++] = s;
		}
		t->maximal = maximal ? t->sets : t->maximal;
	}
}

static void find_truth(const struct ps_cache_problem *p, unsigned forced, struct truth *t)
{
	memset(t, 0, sizeof(*t));
	find_sets(p, forced, t);
	for (int i = 0; i < p->tenants; i++) {
		for (int s = 0; s < t->sets; s++)
			t->best[i] = fmax(t->best[i], utility(p, i, t->set[s]));
		if (!(t->best[i] > 0))
			continue;
		for (int s = 0; s < t->sets; s++)
			t->a[s][t->n] = utility(p, i, t->set[s]) / t->best[i];
		t->w[t->n] = p->tenant[i].weight;
		t->sum += t->w[t->n];
		t->who[t->n++] = i;
	}
}

/* ---- WELFARE ---- */

static double check_welfare(const struct ps_cache_problem *p, const struct truth *t, uint64_t seed)
{
	struct ps_cache_game g;
	struct ps_rng r;
	double y[SMALL_TENANTS], worst = 0;
	uint64_t has[1];

	if (ps_cache_game_init(&g, p, NULL) != PS_OK)
		return INFINITY;
	ps_rng_init(&r, seed, ps_rng_stream("cache/prices"));
	for (int k = 0; k < 3; k++) {
		double best = 0, bound;
		for (int i = 0; i < t->n; i++)
			y[i] = ps_rng_below(&r, 5) == 0 ? 0 : ps_rng_uniform(&r);
		for (int s = 0; s < t->sets; s++) {
			double value = 0;
			for (int i = 0; i < t->n; i++)
				value += y[i] * t->a[s][i];
			best = fmax(best, value);
		}
		double found = ps_cache_welfare(&g, y, 0, false, has, &bound);
		worst = fmax(worst, fabs(found - best));
		worst = fmax(worst, bound < best - 1e-12 ? 1 : bound - best);
		if (bytes(p, (unsigned)has[0]) > p->capacity_bytes)
			worst = INFINITY;
	}
	ps_cache_game_fini(&g);
	return worst;
}

/* ---- MMF ---- */

/* The least of those that rise, the others at their levels or over; who rises alone when `only`. */
static double stage(const struct truth *t, const bool *rises, const double *level, int only)
{
	double a[LP_ROWS][LP_COLUMNS] = {{0}}, b[LP_ROWS], c[LP_COLUMNS] = {0}, x[LP_COLUMNS];
	int m = t->maximal;

	for (int i = 0; i < t->n; i++) {
		bool up = only >= 0 ? i == only : rises[i];
		for (int s = 0; s < m; s++)
			a[i][s] = -t->a[s][i] * t->sum / (t->n * t->w[i]);
		a[i][m] = up ? 1 : 0;
		b[i] = up ? 0 : -level[i];
	}
	for (int s = 0; s < m; s++)
		a[t->n][s] = 1;
	b[t->n] = 1;
	c[m] = 1;
	return lp_maximise(t->n + 1, m + 1, a, b, c, x);
}

/* A tenant is held where no solution of its stage gives it more: each is asked alone. */
static double check_mmf(const struct truth *t, const struct ps_cache_plan *plan)
{
	bool rises[SMALL_TENANTS];
	double level[SMALL_TENANTS] = {0}, low[SMALL_TENANTS], worst = 0;
	int left = t->n;

	memset(rises, 1, sizeof(rises));
	while (left > 0) {
		double value = stage(t, rises, level, -1);
		int before = left;
		for (int i = 0; i < t->n; i++)
			low[i] = (rises[i] ? value : level[i]) - 1e-11;
		bool tight[SMALL_TENANTS] = {false};
		for (int i = 0; i < t->n; i++)
			tight[i] = rises[i] && stage(t, rises, low, i) < value + 1e-7;
		for (int i = 0; i < t->n; i++)
			if (tight[i]) {
				rises[i] = false;
				level[i] = value - 1e-11;
				left--;
			}
		if (left == before)
			return INFINITY;
	}
	for (int i = 0; i < t->n; i++) {
		double v = plan->utility[t->who[i]] / t->best[t->who[i]];
		worst = fmax(worst, fabs(v * t->sum / (t->n * t->w[i]) - level[i]));
	}
	return worst;
}

/* ---- PF ---- */

struct interior {
	int m;
	double x[SMALL_SETS], d[SMALL_SETS], h[SMALL_SETS][SMALL_SETS], v[SMALL_TENANTS];
};

static void values(const struct truth *t, struct interior *s)
{
	for (int i = 0; i < t->n; i++) {
		s->v[i] = 0;
		for (int c = 0; c < s->m; c++)
			s->v[i] += s->x[c] * t->a[c][i];
	}
}

/* Newton's direction for sum w log V - W sum x + mu sum log x, by Gauss without pivoting. */
static void newton(const struct truth *t, struct interior *s, double mu)
{
	int m = s->m;

	for (int c = 0; c < m; c++) {
		s->d[c] = mu / s->x[c] - t->sum;
		for (int i = 0; i < t->n; i++)
			s->d[c] += t->w[i] * t->a[c][i] / s->v[i];
		for (int o = 0; o < m; o++) {
			s->h[c][o] = c == o ? mu / (s->x[c] * s->x[c]) : 0;
			for (int i = 0; i < t->n; i++)
				s->h[c][o] +=
					t->w[i] * t->a[c][i] * t->a[o][i] / (s->v[i] * s->v[i]);
		}
	}
	for (int k = 0; k < m; k++)
		for (int c = k + 1; c < m; c++) {
			double f = s->h[c][k] / s->h[k][k];
			for (int o = k; o < m; o++)
				s->h[c][o] -= f * s->h[k][o];
			s->d[c] -= f * s->d[k];
		}
	for (int k = m - 1; k >= 0; k--) {
		for (int o = k + 1; o < m; o++)
			s->d[k] -= s->h[k][o] * s->d[o];
		s->d[k] /= s->h[k][k];
	}
}

static void interior(const struct truth *t, struct interior *s)
{
	s->m = t->maximal;
	for (int c = 0; c < s->m; c++)
		s->x[c] = 1.0 / s->m;
	for (double mu = 0.1; mu > 1e-16; mu *= 0.2)
		for (int step = 0; step < 8; step++) {
			double most = 1, size = 0;
			values(t, s);
			newton(t, s, mu);
			for (int c = 0; c < s->m; c++) {
				if (s->d[c] < 0)
					most = fmin(most, -0.9 * s->x[c] / s->d[c]);
				size = fmax(size, fabs(s->d[c]) / s->x[c]);
			}
			for (int c = 0; c < s->m; c++)
				s->x[c] += most * s->d[c];
			if (size < 1e-4)
				break;
		}
	values(t, s);
}

static void check_pf(const struct truth *t, const struct ps_cache_plan *plan, struct worst *w)
{
	static struct interior s;
	double v[SMALL_TENANTS], gap = 0;

	for (int i = 0; i < t->n; i++)
		v[i] = plan->utility[t->who[i]] / t->best[t->who[i]];
	for (int c = 0; c < t->sets; c++) {
		double g = 0;
		for (int i = 0; i < t->n; i++)
			g += t->w[i] * t->a[c][i] / v[i];
		gap = fmax(gap, g / t->sum - 1);
	}
	w->pf_gap = fmax(w->pf_gap, gap);
	w->said = fmax(w->said, gap - plan->gap);
	interior(t, &s);
	for (int i = 0; i < t->n; i++)
		w->pf_utility = fmax(w->pf_utility, fabs(v[i] - s.v[i]));
}

/* ---- the core ---- */

/* What a group could have with its part of the chances, none of it less than it has: the mean over
 * it, by weight, of what that is of what it has. -INFINITY: some would have less. */
static double group_mean(const struct truth *t, const double *v, unsigned group)
{
	double a[LP_ROWS][LP_COLUMNS] = {{0}}, b[LP_ROWS], c[LP_COLUMNS] = {0};
	double x[LP_COLUMNS] = {0}, weight = 0;
	int rows = 0;

	for (int i = 0; i < t->n; i++)
		weight += group >> i & 1 ? t->w[i] : 0;
	for (int i = 0; i < t->n; i++) {
		if (!(group >> i & 1))
			continue;
		for (int s = 0; s < t->maximal; s++) {
			double ratio = weight / t->sum * t->a[s][i] / v[i];
			a[rows][s] = -ratio;
			c[s] += t->w[i] / weight * ratio;
		}
		b[rows++] = -1;
	}
	for (int s = 0; s < t->maximal; s++)
		a[rows][s] = 1;
	b[rows] = 1;
	double mean = lp_maximise(rows + 1, t->maximal, a, b, c, x);
	/* The plain simplex may leave what is feasible where all is tight; its answer is none then.
	 */
	for (int r = 0; r <= rows; r++) {
		double sum = 0;
		for (int s = 0; s < t->maximal; s++)
			sum += a[r][s] * x[s];
		if (isfinite(mean) && sum > b[r] + 1e-7)
			return -INFINITY;
	}
	return mean;
}

/* What is said: each has as much with the part, and those who are said to have more do. */
static bool way_is_right(const struct ps_cache_plan *plan, const struct ps_cache_objection *o)
{
	bool some = false;

	for (int m = 0; m < o->members; m++) {
		int who = o->who[m];
		double gets = o->part * o->way.utility[who], has = plan->utility[who];
		some = some || o->better[m];
		if (gets < has * (1 - 1e-7) || (o->better[m] && gets < has * (1 + 1e-5)))
			return false;
	}
	return some;
}

static bool core_is_right(const struct ps_cache_problem *p, const struct truth *t,
			  const struct ps_cache_plan *plan)
{
	struct ps_cache_objection o;
	double v[SMALL_TENANTS], best = 0;
	bool nothing = false;

	if (ps_cache_core(p, plan, 1e-5, &o, NULL) != PS_OK)
		return false;
	for (int i = 0; i < t->n; i++) {
		v[i] = plan->utility[t->who[i]] / t->best[t->who[i]];
		nothing = nothing || !(v[i] > 0);
	}
	for (unsigned group = 1; !nothing && group < 1U << t->n; group++)
		best = fmax(best, group_mean(t, v, group));
	/* A way that is right needs no other proof; that there is none does, and how small a gain
	 * is none is a matter of rounding. */
	bool right = o.found ? way_is_right(plan, &o) : !nothing && best < 1 + 1.1e-5;
	ps_cache_objection_free(&o);
	return right;
}

/* ---- all ---- */

static bool plan_is_sound(const struct ps_cache_problem *p, const struct truth *t,
			  const struct ps_cache_plan *plan)
{
	double sum = 0;

	for (int i = 0; i < plan->n; i++) {
		bool allowed = false;
		for (int s = 0; s < t->sets; s++)
			allowed = allowed || t->set[s] == (unsigned)plan->config[i].has[0];
		if (!allowed || plan->config[i].bytes > p->capacity_bytes)
			return false;
		sum += plan->config[i].share;
	}
	return fabs(sum - 1) < 1e-12;
}

static bool one(struct instance *c, uint64_t seed, struct worst *w)
{
	struct truth t;
	struct ps_cache_plan plan;
	struct ps_error err;
	unsigned forced;

	draw(c, seed);
	/* Guarantees and pins that do not fit are refused; the unit tests look at that. */
	if (ps_cache_problem_check(&c->p, &err) != PS_OK)
		return true;
	if (!forced_is_right(&c->p, &forced))
		return false;
	find_truth(&c->p, forced, &t);
	w->welfare = fmax(w->welfare, check_welfare(&c->p, &t, seed));
	for (int k = 0; k < PS_CACHE_KINDS; k++) {
		bool solved = k == PS_CACHE_MMF || k == PS_CACHE_PF;
		/* Every set and group takes long: the others every tenth time. */
		if (!solved && seed % 10 != 0)
			continue;
		if (ps_cache_plan_make((enum ps_cache_kind)k, &c->p, NULL, &plan, &err) != PS_OK) {
			fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, err.what);
			return false;
		}
		bool sound = plan_is_sound(&c->p, &t, &plan);
		if (k == PS_CACHE_MMF)
			w->mmf = fmax(w->mmf, check_mmf(&t, &plan));
		else if (k == PS_CACHE_PF)
			check_pf(&t, &plan, w);
		if (seed % 10 == 0 && !core_is_right(&c->p, &t, &plan)) {
			fprintf(stderr, "seed %llu: the core of %s\n", (unsigned long long)seed,
				ps_cache_policy_get((enum ps_cache_kind)k)->name);
			sound = false;
		}
		ps_cache_plan_free(&plan);
		if (!sound)
			return false;
	}
	return true;
}

int small_run(int cases, uint64_t seed)
{
	struct instance c;
	struct worst w = {0};

	if (!instance_init(&c, SMALL_TENANTS, SMALL_ITEMS))
		return 2;
	for (int k = 0; k < cases; k++) {
		struct worst here = {0};
		bool ok = one(&c, seed + (uint64_t)k, &here);
		if (!ok || here.welfare > 1e-9 || here.mmf > SAME || here.pf_gap > PS_CACHE_GAP ||
		    here.pf_utility > SAME || here.said > 1e-12) {
			fprintf(stderr,
				"seed %llu differs: %s welfare %.3g, mmf %.3g, pf gap %.3g (%.3g "
				"over what it says), utility %.3g\n",
				(unsigned long long)(seed + (uint64_t)k), ok ? "" : "unsound",
				here.welfare, here.mmf, here.pf_gap, here.said, here.pf_utility);
			w.wrong++;
		}
		w.welfare = fmax(w.welfare, here.welfare);
		w.mmf = fmax(w.mmf, here.mmf);
		w.pf_gap = fmax(w.pf_gap, here.pf_gap);
		w.pf_utility = fmax(w.pf_utility, here.pf_utility);
	}
	instance_fini(&c);
	printf("{\"cases\": %d, \"wrong\": %d, \"welfare\": %.3e, \"mmf\": %.3e, \"pf_gap\": %.3e, "
	       "\"pf_utility\": %.3e}\n",
	       cases, w.wrong, w.welfare, w.mmf, w.pf_gap, w.pf_utility);
	return w.wrong > 0;
}
