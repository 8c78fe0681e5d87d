/* fair.c - the best shares of the columns known so far, for one family of objectives.
 *
 *	alpha = 1	F(x) = sum w_i log V_i - W sum x_S			(PF)
 *	alpha > 1	F(x) = W log M(V) - W sum x_S, M(V) = (mean of u_i^(1-alpha))^(1/(1-alpha))
 *
 * with u_i = W V_i / (n w_i): the greater alpha, the more counts who has least (Mo and Walrand,
 * "Fair end-to-end window-based congestion control", 2000), and M is between the least u_i and
 * n^(1/(alpha-1)) times it. V is linear in x and M homogeneous, so at F's maximum over x >= 0 sum x
 *= 1 by itself, and the condition is g_S = sum y_i a_iS <= W, equal where x_S > 0, for the prices y
 *= W grad log M (alpha = 1: w_i / V_i). Newton's method on the columns that are in, which leaves
 *out what it drives to 0.
 */
#include "cache/fair_internal.h"
#include "cache/dense_internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 300, BATCH = 6, HALVINGS = 50 };
#define SMOOTH 0.7

void ps_cache_fair_fini(struct ps_cache_fair *s)
{
	ps_cache_columns_fini(&s->c);
	free(s->v);
	free(s->y);
	free(s->dv);
	free(s->try_v);
	free(s->try_y);
	free(s->u);
	free(s->scale);
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

bool ps_cache_fair_init(struct ps_cache_fair *s, struct ps_cache_game *g)
{
	size_t n = (size_t)g->n + 1;

	*s = (struct ps_cache_fair){.g = g};
	ps_cache_columns_init(&s->c, g);
	s->v = malloc(n * sizeof(double));
	s->y = malloc(n * sizeof(double));
	s->dv = malloc(n * sizeof(double));
	s->try_v = malloc(n * sizeof(double));
	s->try_y = malloc(n * sizeof(double));
	s->u = malloc(n * sizeof(double));
	s->scale = malloc(n * sizeof(double));
	s->alpha = 1;
	s->centre = malloc(n * sizeof(double));
	s->z = malloc(n * sizeof(double));
	s->lowest = INFINITY;
	s->has = malloc((size_t)g->words * sizeof(*s->has));
	if (!(s->v && s->y && s->dv && s->try_v && s->centre && s->z && s->has && s->try_y &&
	      s->u && s->scale))
		return false;
	for (int i = 0; i < g->n; i++)
		s->scale[i] = g->sum / (g->n * g->w[i]);
	return true;
}

static bool renewed(double **p, size_t n)
{
	free(*p);
	*p = malloc(n * sizeof(**p));
	return *p != NULL;
}

static bool reserve(struct ps_cache_fair *s)
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

/* Prices at v in `y`; returns the objective. */
double ps_cache_fair_prices(const struct ps_cache_fair *s, const double *v, double *y)
{
	int n = s->g->n;
	double f = 0, least = INFINITY, sum = 0;

	if (s->alpha == 1) {
		for (int i = 0; i < n; i++) {
			y[i] = s->g->w[i] / v[i];
			f += s->g->w[i] * log(v[i]);
		}
		return f;
	}
	for (int i = 0; i < n; i++)
		least = fmin(least, s->scale[i] * v[i]);
	for (int i = 0; i < n; i++) {
		double over = s->scale[i] * v[i] / least;
		double e = exp(-s->alpha * log(over));
		y[i] = s->scale[i] * e / least;
		sum += over * e;
	}
	for (int i = 0; i < n; i++)
		y[i] *= s->g->sum / sum;
	return s->g->sum * (log(least) + log(sum / n) / (1 - s->alpha));
}

static double objective(struct ps_cache_fair *s, const double *v)
{
	return ps_cache_fair_prices(s, v, s->try_y);
}

/* Prices at v; r_S = g_S - W in s->r. Returns the largest |r_S|. */
static double residual(struct ps_cache_fair *s, const double *v)
{
	double most = 0;

	(void)ps_cache_fair_prices(s, v, s->y);
	for (int c = 0; c < s->c.n; c++) {
		s->r[c] = ps_cache_dot(ps_cache_columns_a(&s->c, c), s->y, s->g->n) - s->g->sum;
		most = fmax(most, fabs(s->r[c]));
	}
	return most;
}

/* d = H^-1 r, H = sum_i w_i / V_i^2 a_i a_i^T. */
static bool direction(struct ps_cache_fair *s)
{
	int n = s->g->n, m = s->c.n;
	double w = s->g->sum;

	for (int i = 0; i < n; i++)
		s->u[i] = sqrt(s->alpha * s->y[i] / s->v[i]);
	for (int c = 0; c < m; c++) {
		const double *a = ps_cache_columns_a(&s->c, c);
		double *b = s->b + (size_t)c * (size_t)n;
		for (int i = 0; i < n; i++)
			b[i] = a[i] * s->u[i];
		for (int o = 0; o <= c; o++)
			s->h[(size_t)c * (size_t)m + (size_t)o] =
				ps_cache_dot(b, s->b + (size_t)o * (size_t)n, n) -
				(s->alpha - 1) / w * (s->r[c] + w) * (s->r[o] + w);
	}
	memcpy(s->d, s->r, (size_t)m * sizeof(*s->d));
	return ps_cache_cholesky(s->h, m, 1e-13, s->pivot, s->d);
}

/* try_x scaled to a sum of 1, and its values. */
static bool try_values(struct ps_cache_fair *s)
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

static void adopt(struct ps_cache_fair *s)
{
	memcpy(s->c.x, s->try_x, (size_t)s->c.n * sizeof(*s->c.x));
	ps_cache_columns_prune(&s->c);
	ps_cache_columns_values(&s->c, s->v);
}

/* The whole step, what would be negative left out at once. Near the end F is flat to rounding, and
 * only the residual shows progress. */
static bool whole_step(struct ps_cache_fair *s, double before)
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
		(void)ps_cache_fair_prices(s, s->try_v, s->y);
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
static double slope(struct ps_cache_fair *s, double t, double down)
{
	double sum = 0;

	for (int i = 0; i < s->g->n; i++) {
		s->u[i] = s->v[i] + t * s->dv[i];
		if (!(s->u[i] > 0))
			return -INFINITY; /* rounding may take it past 0 */
	}
	(void)ps_cache_fair_prices(s, s->u, s->try_y);
	for (int i = 0; i < s->g->n; i++)
		sum += s->try_y[i] * s->dv[i];
	return sum - down;
}

/* Where the slope is 0 in [0, most]; most itself when it is up all the way. */
static double highest(struct ps_cache_fair *s, double most, double down)
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
static bool part_step(struct ps_cache_fair *s)
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
void ps_cache_fair_polish(struct ps_cache_fair *s, double tolerance)
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
	(void)ps_cache_fair_prices(s, s->v, s->y);
}

/* Some share for a new column: the best point between the mixture and it. */
void ps_cache_fair_mix_in(struct ps_cache_fair *s, int c)
{
	const double *a = ps_cache_columns_a(&s->c, c);

	for (int i = 0; i < s->g->n; i++)
		s->dv[i] = a[i] - s->v[i];
	double t = highest(s, 1 - 1e-9, 0);
	for (int o = 0; o < s->c.n; o++)
		s->c.x[o] *= 1 - t;
	s->c.x[c] += t;
	ps_cache_columns_values(&s->c, s->v);
	(void)ps_cache_fair_prices(s, s->v, s->y);
}

/* What each would choose alone, with its weight for a share. */
bool ps_cache_fair_start_alone(struct ps_cache_fair *s, double part)
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

/* ---- pricing ---- */

/* Any prices z bound F: V that z values at h or less have M of at most what they have where
 * u_i^-alpha is as z_i, h the WELFARE at z. The best of them are remembered, scaled so that h = W.
 */
static void remember(struct ps_cache_fair *s, const double *z, double h)
{
	double bound = 0, sum = DBL_MIN;

	if (s->alpha > 1) {
		for (int i = 0; i < s->g->n; i++)
			sum += pow(z[i] / s->scale[i], (s->alpha - 1) / s->alpha);
		bound = log(h) - log(sum) - log(sum / s->g->n) / (s->alpha - 1);
	} else {
		for (int i = 0; i < s->g->n; i++)
			bound += s->g->w[i] * log(s->g->w[i] * h / (s->g->sum * z[i]));
	}
	if (bound >= s->lowest)
		return;
	s->lowest = bound;
	for (int i = 0; i < s->g->n; i++)
		s->centre[i] = z[i] * s->g->sum / h;
}

struct ps_cache_priced ps_cache_fair_price(struct ps_cache_fair *s, double tolerance, bool quick)
{
	struct ps_cache_priced r;
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
static int price_between(struct ps_cache_fair *s, double tolerance, double *ret_value)
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
void ps_cache_fair_gather(struct ps_cache_fair *s, double target, double gap)
{
	double tolerance = fmax(1e-9, 0.02 * gap);

	for (int i = 1; i < BATCH; i++) {
		double value = -INFINITY;
		int c = price_between(s, tolerance, &value);
		if (!s->no_memory && value <= target) {
			struct ps_cache_priced r = ps_cache_fair_price(s, tolerance, true);
			c = r.column;
			value = r.value;
		}
		if (s->no_memory || value <= target)
			return;
		ps_cache_fair_mix_in(s, c);
	}
}
