/* mmf.c - max-min fairness of V_i / (w_i U_i*), lexicographically: a sequence of linear programmes.
 *
 * Who is tight in every optimum of a stage can get no more without taking from one that has no
 * more, and is held at its value from there on.
 */
#include "cache/fair_internal.h"
#include "cache/maxmin_internal.h"
#include "cache/policies_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Beyond so many tenants x models the first stage begins from mixtures that favour the worst off
 * ever more (fair.c), until the least value is within NEAR of what is possible. */
enum { LARGE = 20000, MOST_ROUNDS = 2000 };
#define FIRST_ALPHA 4
#define LAST_ALPHA  1e6
#define NEAR	    2e-3

struct mmf {
	struct ps_cache_game *g;
	struct ps_cache_columns c;
	int *who;
	double *scale, *y;
	double gap;
	int rounds;
};

static void mmf_fini(struct mmf *s)
{
	ps_cache_columns_fini(&s->c);
	free(s->who);
	free(s->scale);
	free(s->y);
}

static bool mmf_init(struct mmf *s, struct ps_cache_game *g)
{
	size_t n = (size_t)g->n + 1;

	*s = (struct mmf){.g = g,
			  .who = malloc(n * sizeof(*s->who)),
			  .scale = malloc(n * sizeof(*s->scale)),
			  .y = calloc(n, sizeof(*s->y))};
	ps_cache_columns_init(&s->c, g);
	if (!s->who || !s->scale || !s->y)
		return false;
	for (int i = 0; i < g->n; i++) {
		s->who[i] = i;
		s->scale[i] = g->sum / (g->n * g->w[i]);
	}
	return true;
}

/* What each would choose alone: some column is needed to begin with. */
static bool start(struct mmf *s, const struct ps_cache_plan *before)
{
	uint64_t *has = malloc((size_t)s->g->words * sizeof(*has));
	bool ok = has && (!before || ps_cache_columns_add_plan(&s->c, before, 1) >= 0);
	double bound;

	for (int i = 0; ok && i < s->g->n; i++) {
		s->y[i] = 1;
		(void)ps_cache_welfare(s->g, s->y, 0, true, has, &bound);
		s->y[i] = 0;
		ok = ps_cache_columns_add(&s->c, has) >= 0;
	}
	free(has);
	return ok;
}

/* ---- where large ones begin ---- */

static double least(const struct ps_cache_fair *f)
{
	double u = INFINITY;

	for (int i = 0; i < f->g->n; i++)
		u = fmin(u, f->scale[i] * f->v[i]);
	return u;
}

/* No mixture has a least value over WELFARE at y / the sum of y_i / scale_i. */
static double most(const struct ps_cache_fair *f, double welfare)
{
	double sum = 0;

	for (int i = 0; i < f->g->n; i++)
		sum += f->y[i] / f->scale[i];
	return welfare / sum;
}

/* At this alpha, to a part of what lies between its mean and the least value. */
static void favour(struct ps_cache_fair *f, double *bound, int *rounds)
{
	double target = 0.3 * log(f->g->n + 1) / f->alpha, gap = 1;

	f->lowest = INFINITY;
	for (; !f->no_memory && *rounds < MOST_ROUNDS; ++*rounds) {
		double tolerance = 0.02 * fmin(gap, target);
		ps_cache_fair_polish(f, fmin(1e-3, tolerance));
		struct ps_cache_priced r = ps_cache_fair_price(f, fmax(1e-9, tolerance), true);
		if (f->no_memory)
			return;
		gap = r.gap;
		*bound = fmin(*bound, most(f, (1 + gap) * f->g->sum));
		if (gap <= target || r.known || r.value <= target)
			return;
		ps_cache_fair_mix_in(f, r.column);
		ps_cache_fair_gather(f, target, gap);
	}
}

static bool soften(struct mmf *s, struct ps_cache_fair *f, const struct ps_cache_plan *before)
{
	double bound = INFINITY, kept = 0;

	if (before)
		kept = ps_cache_columns_add_plan(&f->c, before, 0.9);
	if (kept < 0 || !ps_cache_fair_start_alone(f, 0.1))
		return false;
	for (f->alpha = FIRST_ALPHA; f->alpha <= LAST_ALPHA; f->alpha *= 4) {
		favour(f, &bound, &s->rounds);
		if (f->no_memory || bound - least(f) <= NEAR * bound)
			break;
	}
	for (int c = 0; c < f->c.n && !f->no_memory; c++)
		f->no_memory = ps_cache_columns_add(&s->c, ps_cache_columns_has(&f->c, c)) < 0;
	memcpy(s->y, f->y, (size_t)s->g->n * sizeof(*s->y));
	return !f->no_memory;
}

static bool start_large(struct mmf *s, const struct ps_cache_plan *before)
{
	struct ps_cache_fair f;
	bool ok = ps_cache_fair_init(&f, s->g) && soften(s, &f, before);

	ps_cache_fair_fini(&f);
	return ok;
}

static bool is_large(const struct mmf *s)
{
	return (int64_t)s->g->n * s->g->m > LARGE;
}

/* ---- stages ---- */

static enum ps_status stages(struct mmf *s, struct ps_error *err)
{
	const struct ps_cache_maxmin_rows rows = {s->g->n, s->who, s->scale};
	struct ps_cache_maxmin *m;
	enum ps_status st = ps_cache_maxmin_new(s->g, &s->c, &rows, &m, err);

	if (st != PS_OK)
		return st;
	if (is_large(s) && !ps_cache_maxmin_begin(m, s->y))
		st = ps_error_set(err, PS_ENOMEM, "no memory for a fair plan");
	for (int left = s->g->n; left > 0 && st == PS_OK;) {
		struct ps_cache_maxmin_answer a;
		st = ps_cache_maxmin_solve(m, 0, INFINITY, &a, err);
		if (st != PS_OK)
			break;
		s->gap = fmax(s->gap, a.gap);
		s->rounds += a.rounds;
		left -= ps_cache_maxmin_hold(m, &a);
	}
	ps_cache_maxmin_free(m);
	return st;
}

static enum ps_status run(struct mmf *s, const struct ps_cache_plan *before,
			  struct ps_cache_plan *ret_plan, struct ps_error *err)
{
	bool ok = is_large(s) ? start_large(s, before) : start(s, before);
	enum ps_status st =
		ok ? stages(s, err) : ps_error_set(err, PS_ENOMEM, "no memory for a fair plan");

	if (st == PS_OK)
		st = ps_cache_columns_plan(&s->c, ret_plan, err);
	if (st == PS_OK) {
		ret_plan->gap = s->gap;
		ret_plan->rounds = s->rounds;
	}
	return st;
}

PS_CACHE_PLAN(mmf)
{
	struct ps_cache_game g;
	struct mmf s;
	enum ps_status st = ps_cache_game_init(&g, p, err);

	(void)scores;
	if (st != PS_OK)
		return st;
	st = mmf_init(&s, &g) ? run(&s, before, ret_plan, err)
			      : ps_error_set(err, PS_ENOMEM, "no memory for a fair plan");
	mmf_fini(&s);
	ps_cache_game_fini(&g);
	return st;
}
