/* pf.c - max sum of w_i log V_i over mixtures of configurations.
 *
 * The best shares of the columns known so far are fair.c's. The price of a tenant is then w_i /
 * V_i, WELFARE finds the column with the greatest g_S = sum w_i a_iS / V_i, and log's concavity
 * makes (max g_S - W) a bound of all that is still to be won.
 */
#include "cache/pf_internal.h"
#include "cache/fair_internal.h"

#include <math.h>

enum { ROUNDS = 5000, SMALL = 2000, FEW = 8 };
#define FINEST 1e-13

/* From the plan before, where everybody still has half of its share at least. */
static bool start(struct ps_cache_fair *s, const struct ps_cache_plan *before)
{
	double kept = before ? ps_cache_columns_add_plan(&s->c, before, 1) : 0;
	bool enough = kept > 0.5;

	if (kept < 0)
		return false;
	ps_cache_columns_values(&s->c, s->v);
	for (int i = 0; i < s->g->n; i++)
		enough = enough && s->v[i] >= 0.5 * s->g->w[i] / s->g->sum;
	if (!enough && !ps_cache_fair_start_alone(s, 1))
		return false;
	double sum = 0;
	for (int c = 0; c < s->c.n; c++)
		sum += s->c.x[c];
	for (int c = 0; c < s->c.n; c++)
		s->c.x[c] /= sum;
	return true;
}

static double solve(struct ps_cache_fair *s, int *ret_rounds)
{
	bool small = (int64_t)s->g->n * s->g->m <= SMALL, fine = small;
	double target = small ? FINEST : PS_CACHE_GAP / 2, gap = 1;
	int round = 0;

	for (; round < ROUNDS && !s->no_memory; round++) {
		ps_cache_fair_polish(s, fine ? FINEST / 10 : fmin(1e-3, 0.02 * gap));
		/* A set that is nearly the best does while much is left to be won. */
		struct ps_cache_priced r =
			ps_cache_fair_price(s, small ? 0 : fmax(1e-9, 0.02 * gap), !small);
		/* Cut short, with nothing found: the truth is asked for. */
		if (!s->no_memory && r.gap > target && (r.known || r.value <= target))
			r = ps_cache_fair_price(s, small ? 0 : target / 4, false);
		gap = r.gap;
		if (s->no_memory || gap <= target)
			break;
		if (r.known || r.value <= target) {
			/* Nothing new: the shares are to blame, if they can be any better. */
			if (fine)
				break;
			fine = true;
			continue;
		}
		fine = small;
		ps_cache_fair_mix_in(s, r.column);
		if (s->g->n > FEW)
			ps_cache_fair_gather(s, target, gap);
	}
	*ret_rounds = round + 1;
	if (small || s->no_memory)
		return gap;
	ps_cache_fair_polish(s, FINEST);
	return s->no_memory ? gap : ps_cache_fair_price(s, target / 4, false).gap;
}

/* ---- */

/* The shares that were, under this demand. */
static double gap_of(struct ps_cache_fair *s)
{
	ps_cache_columns_values(&s->c, s->v);
	for (int i = 0; i < s->g->n; i++) {
		if (!(s->v[i] > 0))
			return INFINITY;
		s->y[i] = s->g->w[i] / s->v[i];
	}
	double bound;
	(void)ps_cache_welfare(s->g, s->y, 0, true, s->has, &bound);
	return bound / s->g->sum - 1;
}

static bool keep(struct ps_cache_fair *s, const struct ps_cache_plan *before, double within,
		 double *ret_gap)
{
	if (!before || !(within > 0))
		return false;
	double kept = ps_cache_columns_add_plan(&s->c, before, 1);
	if (kept > 1 - 1e-9) {
		*ret_gap = gap_of(s);
		if (*ret_gap <= within)
			return true;
	}
	for (int c = 0; c < s->c.n; c++)
		s->c.x[c] = 0;
	ps_cache_columns_prune(&s->c);
	return false;
}

static enum ps_status run(struct ps_cache_fair *s, const struct ps_cache_plan *before,
			  double within, struct ps_cache_plan *ret_plan, bool *ret_kept,
			  struct ps_error *err)
{
	double gap = 0;
	int rounds = 0;
	bool kept = s->g->n > 0 && keep(s, before, within, &gap);

	if (s->g->n > 0 && !kept) {
		if (!start(s, before))
			return ps_error_set(err, PS_ENOMEM, "no memory for a fair plan");
		gap = solve(s, &rounds);
	}
	if (s->no_memory)
		return ps_error_set(err, PS_ENOMEM, "no memory for a fair plan");
	enum ps_status st = ps_cache_columns_plan(&s->c, ret_plan, err);
	if (st != PS_OK)
		return st;
	ret_plan->gap = fmax(0, gap);
	ret_plan->rounds = rounds;
	if (ret_kept)
		*ret_kept = kept;
	return PS_OK;
}

enum ps_status ps_cache_pf(const struct ps_cache_problem *p, const struct ps_cache_plan *before,
			   double within, struct ps_cache_plan *ret_plan, bool *ret_kept,
			   struct ps_error *err)
{
	struct ps_cache_game g;
	struct ps_cache_fair s;
	enum ps_status st = ps_cache_game_init(&g, p, err);

	if (st != PS_OK)
		return st;
	st = ps_cache_fair_init(&s, &g) ? run(&s, before, within, ret_plan, ret_kept, err)
					: ps_error_set(err, PS_ENOMEM, "no memory for a fair plan");
	ps_cache_fair_fini(&s);
	ps_cache_game_fini(&g);
	return st;
}
