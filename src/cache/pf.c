/* pf.c - max sum of w_i log V_i over mixtures of configurations.
 *
 * The shares x >= 0 of the columns known so far maximise F(x) = sum w_i log V_i - W sum x_S: V is
 * linear in x, so at its maximum sum x = 1 by itself, and the condition is g_S = sum w_i a_iS / V_i
 * <= W, equal where x_S > 0. Newton's method on the columns that are in, which leaves out what it
 * drives to 0. The price of a tenant is then w_i / V_i, WELFARE finds the column with the greatest
 * g_S, and log's concavity makes (max g_S - W) a bound of all that is still to be won.
 */
#include "cache/pf_internal.h"
#include "cache/columns_internal.h"
#include "cache/dense_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 5000, STEPS = 300, BATCH = 6, SMALL = 2000, FEW = 8, HALVINGS = 50 };
#define FINEST 1e-13
#define SMOOTH 0.7

struct pf {
	struct ps_cache_game *g;
	struct ps_cache_columns c;
	double *v, *y, *dv, *try_v; /* by tenant that takes part */
	double *centre, *z;	    /* prices with the lowest bound so far; between them and y */
	double lowest;
	uint64_t *has;
	int cap;		       /* of what is by column */
	double *r, *d, *try_x, *pivot; /* by column */
	double *b, *h;		       /* cap * n, cap * cap */
	bool no_memory;
};

static void pf_fini(struct pf *s)
{
	ps_cache_columns_fini(&s->c);
	free(s->v);
	free(s->y);
	free(s->dv);
	free(s->try_v);
	free(s->centre);
	free(s->z);
	free(s->has);
	free(s->r);
	free(s->d);
	free(s->try_x);
	free(s->pivot);
	free(s->b);
	free(s->h);
}

static bool pf_init(struct pf *s, struct ps_cache_game *g)
{
	size_t n = (size_t)g->n + 1;

	*s = (struct pf){.g = g};
	ps_cache_columns_init(&s->c, g);
	s->v = malloc(n * sizeof(double));
	s->y = malloc(n * sizeof(double));
	s->dv = malloc(n * sizeof(double));
	s->try_v = malloc(n * sizeof(double));
	s->centre = malloc(n * sizeof(double));
	s->z = malloc(n * sizeof(double));
	s->lowest = INFINITY;
	s->has = malloc((size_t)g->words * sizeof(*s->has));
	return s->v && s->y && s->dv && s->try_v && s->centre && s->z && s->has;
}

static bool renewed(double **p, size_t n)
{
	free(*p);
	*p = malloc(n * sizeof(**p));
	return *p != NULL;
}

static bool reserve(struct pf *s)
{
	if (s->cap >= s->c.n)
		return true;
	size_t cap = (size_t)s->c.n + 32;
	s->cap = (int)cap;
	s->no_memory = !(renewed(&s->r, cap) && renewed(&s->d, cap) && renewed(&s->try_x, cap) &&
			 renewed(&s->pivot, cap) && renewed(&s->b, cap * (size_t)(s->g->n + 1)) &&
			 renewed(&s->h, cap * cap));
	return !s->no_memory;
}

static double objective(const struct pf *s, const double *v)
{
	double sum = 0;

	for (int i = 0; i < s->g->n; i++)
		sum += s->g->w[i] * log(v[i]);
	return sum;
}

/* Prices at v; r_S = g_S - W in s->r. Returns the largest |r_S|. */
static double residual(struct pf *s, const double *v)
{
	double most = 0;

	for (int i = 0; i < s->g->n; i++)
		s->y[i] = s->g->w[i] / v[i];
	for (int c = 0; c < s->c.n; c++) {
		s->r[c] = ps_cache_dot(ps_cache_columns_a(&s->c, c), s->y, s->g->n) - s->g->sum;
		most = fmax(most, fabs(s->r[c]));
	}
	return most;
}

/* d = H^-1 r, H = sum_i w_i / V_i^2 a_i a_i^T. */
static bool direction(struct pf *s)
{
	int n = s->g->n, m = s->c.n;

	for (int c = 0; c < m; c++) {
		const double *a = ps_cache_columns_a(&s->c, c);
		double *b = s->b + (size_t)c * (size_t)n;
		for (int i = 0; i < n; i++)
			b[i] = a[i] * sqrt(s->g->w[i]) / s->v[i];
		for (int o = 0; o <= c; o++)
			s->h[(size_t)c * (size_t)m + (size_t)o] =
				ps_cache_dot(b, s->b + (size_t)o * (size_t)n, n);
	}
	memcpy(s->d, s->r, (size_t)m * sizeof(*s->d));
	return ps_cache_cholesky(s->h, m, 1e-13, s->pivot, s->d);
}

/* try_x scaled to a sum of 1, and its values. */
static bool try_values(struct pf *s)
{
	int n = s->g->n;
	double sum = 0;

	for (int c = 0; c < s->c.n; c++)
		sum += s->try_x[c];
	if (!(sum > 0) || !isfinite(sum))
		return false;
	memset(s->try_v, 0, (size_t)n * sizeof(*s->try_v));
	for (int c = 0; c < s->c.n; c++) {
		const double *a = ps_cache_columns_a(&s->c, c);
		s->try_x[c] /= sum;
		for (int i = 0; s->try_x[c] > 0 && i < n; i++)
			s->try_v[i] += s->try_x[c] * a[i];
	}
	for (int i = 0; i < n; i++)
		if (!(s->try_v[i] > 0))
			return false;
	return true;
}

static void adopt(struct pf *s)
{
	memcpy(s->c.x, s->try_x, (size_t)s->c.n * sizeof(*s->c.x));
	ps_cache_columns_prune(&s->c);
	ps_cache_columns_values(&s->c, s->v);
}

/* The whole step, what would be negative left out at once. Near the end F is flat to rounding, and
 * only the residual shows progress. */
static bool whole_step(struct pf *s, double before)
{
	double f = objective(s, s->v), flat = 1e-12 * s->g->sum, after = 0;

	for (int c = 0; c < s->c.n; c++)
		s->try_x[c] = fmax(0, s->c.x[c] + s->d[c]);
	if (!try_values(s))
		return false;
	double won = objective(s, s->try_v) - f;
	if (won < -flat)
		return false;
	if (won <= flat) {
		for (int i = 0; i < s->g->n; i++)
			s->y[i] = s->g->w[i] / s->try_v[i];
		for (int c = 0; c < s->c.n; c++)
			if (s->try_x[c] > 0)
				after = fmax(after, fabs(ps_cache_dot(ps_cache_columns_a(&s->c, c),
								      s->y, s->g->n) -
							 s->g->sum));
		if (after > 0.5 * before)
			return false;
	}
	adopt(s);
	return true;
}

/* The slope of sum w log(v + t dv) - t x down. */
static double slope(const struct pf *s, double t, double down)
{
	double sum = 0;

	for (int i = 0; i < s->g->n; i++) {
		double v = s->v[i] + t * s->dv[i];
		if (!(v > 0))
			return -INFINITY; /* rounding may take it past 0 */
		sum += s->g->w[i] * s->dv[i] / v;
	}
	return sum - down;
}

/* Where the slope is 0 in [0, most]; most itself when it is up all the way. */
static double highest(const struct pf *s, double most, double down)
{
	double low = 0, high = most;

	if (slope(s, most, down) >= 0)
		return most;
	for (int i = 0; i < HALVINGS; i++) {
		double mid = (low + high) / 2;
		if (slope(s, mid, down) >= 0)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* Along the direction to the best point, or to where the first column leaves. */
static bool part_step(struct pf *s)
{
	double most = 1e6, down = 0;
	int leaves = -1;

	memset(s->dv, 0, (size_t)s->g->n * sizeof(*s->dv));
	for (int c = 0; c < s->c.n; c++) {
		const double *a = ps_cache_columns_a(&s->c, c);
		down += s->g->sum * s->d[c];
		for (int i = 0; i < s->g->n; i++)
			s->dv[i] += s->d[c] * a[i];
		if (s->d[c] < 0 && -s->c.x[c] / s->d[c] < most) {
			most = -s->c.x[c] / s->d[c];
			leaves = c;
		}
	}
	double t = highest(s, most, down);
	if (t < most)
		leaves = -1;
	for (int c = 0; c < s->c.n; c++)
		s->try_x[c] = c == leaves ? 0 : fmax(0, s->c.x[c] + t * s->d[c]);
	if (!try_values(s))
		return false;
	double won = objective(s, s->try_v) - objective(s, s->v), flat = 1e-15 * s->g->sum;
	if (leaves < 0 ? won <= flat : won < -1e-12 * s->g->sum)
		return false;
	adopt(s);
	return true;
}

/* The best shares of the columns that are there, to a residual of `tolerance` x W or rounding. */
static void polish(struct pf *s, double tolerance)
{
	ps_cache_columns_prune(&s->c);
	ps_cache_columns_values(&s->c, s->v);
	for (int step = 0; step < STEPS; step++) {
		if (!reserve(s))
			return;
		double before = residual(s, s->v);
		if (before <= tolerance * s->g->sum || s->c.n < 2 || !direction(s) ||
		    !(whole_step(s, before) || part_step(s)))
			break;
	}
	for (int i = 0; i < s->g->n; i++)
		s->y[i] = s->g->w[i] / s->v[i];
}

/* Some share for a new column: the best point between the mixture and it. */
static void mix_in(struct pf *s, int c)
{
	const double *a = ps_cache_columns_a(&s->c, c);

	for (int i = 0; i < s->g->n; i++)
		s->dv[i] = a[i] - s->v[i];
	double t = highest(s, 1 - 1e-9, 0);
	for (int o = 0; o < s->c.n; o++)
		s->c.x[o] *= 1 - t;
	s->c.x[c] += t;
	ps_cache_columns_values(&s->c, s->v);
	for (int i = 0; i < s->g->n; i++)
		s->y[i] = s->g->w[i] / s->v[i];
}

/* ---- where to start ---- */

static bool start_alone(struct pf *s, double part)
{
	struct ps_cache_game *g = s->g;
	double bound;

	for (int i = 0; i < g->n; i++)
		s->y[i] = 0;
	for (int i = 0; i < g->n; i++) {
		s->y[i] = 1;
		(void)ps_cache_welfare(g, s->y, 0, true, s->has, &bound);
		s->y[i] = 0;
		int c = ps_cache_columns_add(&s->c, s->has);
		if (c < 0)
			return false;
		s->c.x[c] += part * g->w[i] / g->sum;
	}
	return true;
}

/* From the plan before, where everybody still has half of its share at least. */
static bool start(struct pf *s, const struct ps_cache_plan *before)
{
	double kept = before ? ps_cache_columns_add_plan(&s->c, before, 1) : 0;
	bool enough = kept > 0.5;

	if (kept < 0)
		return false;
	ps_cache_columns_values(&s->c, s->v);
	for (int i = 0; i < s->g->n; i++)
		enough = enough && s->v[i] >= 0.5 * s->g->w[i] / s->g->sum;
	if (!enough && !start_alone(s, 1))
		return false;
	double sum = 0;
	for (int c = 0; c < s->c.n; c++)
		sum += s->c.x[c];
	for (int c = 0; c < s->c.n; c++)
		s->c.x[c] /= sum;
	return true;
}

/* ---- pricing ---- */

struct priced {
	int column;   /* the one that was found, -1: no memory */
	double value; /* g_S / W - 1 */
	double gap;   /* the bound of it */
	bool known;   /* it was there already */
};

/* Any prices z bound F: by log's concavity F <= sum w log(w_i h / (W z_i)), h the WELFARE at z. The
 * best of them are remembered, scaled so that h = W. */
static void remember(struct pf *s, const double *z, double h)
{
	double bound = 0;

	for (int i = 0; i < s->g->n; i++)
		bound += s->g->w[i] * log(s->g->w[i] * h / (s->g->sum * z[i]));
	if (bound >= s->lowest)
		return;
	s->lowest = bound;
	for (int i = 0; i < s->g->n; i++)
		s->centre[i] = z[i] * s->g->sum / h;
}

static struct priced price(struct pf *s, double tolerance, bool quick)
{
	struct priced r;
	double bound, w = s->g->sum;
	int before = s->c.n;
	double value = ps_cache_welfare(s->g, s->y, tolerance, quick, s->has, &bound);

	remember(s, s->y, bound);
	r.value = value / w - 1;
	r.gap = bound / w - 1;
	r.column = ps_cache_columns_add(&s->c, s->has);
	r.known = r.column < before;
	s->no_memory = s->no_memory || r.column < 0;
	return r;
}

/* A column found at prices between y and the best so far: new prices swing, and columns of where
 * they swing to are of no use later. *ret_value is its g_S / W - 1 at y; -1: no memory. */
static int price_between(struct pf *s, double tolerance, double *ret_value)
{
	double bound;

	for (int i = 0; i < s->g->n; i++)
		s->z[i] = SMOOTH * s->centre[i] + (1 - SMOOTH) * s->y[i];
	(void)ps_cache_welfare(s->g, s->z, tolerance, true, s->has, &bound);
	remember(s, s->z, bound);
	int c = ps_cache_columns_add(&s->c, s->has);
	s->no_memory = s->no_memory || c < 0;
	if (c >= 0)
		*ret_value =
			ps_cache_dot(ps_cache_columns_a(&s->c, c), s->y, s->g->n) / s->g->sum - 1;
	return c;
}

/* More columns by cheap steps, before the next system is solved: worth it where that is large. */
static void gather(struct pf *s, double target, double gap)
{
	double tolerance = fmax(1e-9, 0.02 * gap);

	for (int i = 1; i < BATCH; i++) {
		double value = -INFINITY;
		int c = price_between(s, tolerance, &value);
		if (!s->no_memory && value <= target) {
			struct priced r = price(s, tolerance, true);
			c = r.column;
			value = r.value;
		}
		if (s->no_memory || value <= target)
			return;
		mix_in(s, c);
	}
}

static double solve(struct pf *s, int *ret_rounds)
{
	bool small = (int64_t)s->g->n * s->g->m <= SMALL, fine = small;
	double target = small ? FINEST : PS_CACHE_GAP / 2, gap = 1;
	int round = 0;

	for (; round < ROUNDS && !s->no_memory; round++) {
		polish(s, fine ? FINEST / 10 : fmin(1e-3, 0.02 * gap));
		/* A set that is nearly the best does while much is left to be won. */
		struct priced r = price(s, small ? 0 : fmax(1e-9, 0.02 * gap), !small);
		/* Cut short, with nothing found: the truth is asked for. */
		if (!s->no_memory && r.gap > target && (r.known || r.value <= target))
			r = price(s, small ? 0 : target / 4, false);
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
		mix_in(s, r.column);
		if (s->g->n > FEW)
			gather(s, target, gap);
	}
	*ret_rounds = round + 1;
	if (small || s->no_memory)
		return gap;
	polish(s, FINEST);
	return s->no_memory ? gap : price(s, target / 4, false).gap;
}

/* ---- */

/* The shares that were, under this demand. */
static double gap_of(struct pf *s)
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

static bool keep(struct pf *s, const struct ps_cache_plan *before, double within, double *ret_gap)
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

static enum ps_status run(struct pf *s, const struct ps_cache_plan *before, double within,
			  struct ps_cache_plan *ret_plan, bool *ret_kept, struct ps_error *err)
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
	struct pf s;
	enum ps_status st = ps_cache_game_init(&g, p, err);

	if (st != PS_OK)
		return st;
	st = pf_init(&s, &g) ? run(&s, before, within, ret_plan, ret_kept, err)
			     : ps_error_set(err, PS_ENOMEM, "no memory for a fair plan");
	pf_fini(&s);
	ps_cache_game_fini(&g);
	return st;
}
