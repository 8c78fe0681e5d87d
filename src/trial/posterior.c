/* The posterior of one tenant's capacity C on a grid, the slope and the shape summed out.
 *
 * Nearly all of its time goes into log(1 + e^z), once for each step, capacity, slope and shape. So
 * that comes from a table, and a cell is left as soon as it is out of the race: every step lowers
 * its likelihood, none raises it.
 */
#include "trial/trial_internal.h"

#include <math.h>

#define C_POINTS     72
#define C_STRIDE     29 /* has no factor in common with C_POINTS */
#define SLOPE_POINTS 13
#define SHAPES	     2
#define SLOPE_MEDIAN 10.0 /* 1 at a fifth of what a queue can do, 41 at nine tenths */
#define SLOPE_SIGMA  1.3
#define SLOPE_REACH  2.4 /* the grid ends at so many sigmas */
#define ZOOMS	     8
#define NEGLIGIBLE   10	 /* of the logarithm, for the range of the grid */
#define LOST	     40	 /* likewise, for a sum: under the rounding of a double */
#define ABOVE_MAX    1.1 /* of scale_max: a closed loop of a few seconds is not exact */
#define TAIL_CELLS   640
#define TAIL_PER_ONE 16 /* cells: the table ends at 40 */

/* log(1 + e^-y), y >= 0, by cubics through its values and slopes: off by under 5e-9. */
struct tail {
	struct {
		double value, rise;
	} at[TAIL_CELLS + 1];
};

static void tail_init(struct tail *tail)
{
	for (int i = 0; i <= TAIL_CELLS; i++) {
		double e = exp(-(double)i / TAIL_PER_ONE);
		tail->at[i].value = log1p(e);
		tail->at[i].rise = -e / (1 + e) / TAIL_PER_ONE;
	}
}

static inline double tail_of(const struct tail *tail, double y)
{
	double cell = y * TAIL_PER_ONE;
	if (!(cell < TAIL_CELLS)) /* also of two infinities that were subtracted */
		return 0;
	int i = (int)cell;
	double t = cell - i, rise = tail->at[i].rise, next = tail->at[i + 1].rise;
	double step = tail->at[i + 1].value - tail->at[i].value;
	double bend = 3 * step - 2 * rise - next, twist = rise + next - 2 * step;
	return tail->at[i].value + t * (rise + t * (bend + t * twist));
}

static double softplus(const struct tail *tail, double z)
{
	return (z > 0 ? z : 0) + tail_of(tail, fabs(z));
}

static double log_add(const struct tail *tail, double a, double b)
{
	return (a > b ? a : b) + tail_of(tail, fabs(a - b));
}

struct grid {
	struct tail tail;
	double log_scale[PS_TRIAL_MAX_STEPS];
	double lo, hi;		   /* of C */
	double slope_lo, slope_hi; /* in sigmas of the prior of the logarithm */
	double log_post[C_POINTS]; /* the slope summed out */
	double slope[SLOPE_POINTS], log_prior[SLOPE_POINTS];
	double slope_best[SLOPE_POINTS]; /* the highest anywhere at that slope */
	double top;			 /* of all so far */
};

/* How far the steps lie from a capacity: what does not depend on the slope. */
struct distances {
	double g[SHAPES][PS_TRIAL_MAX_STEPS]; /* g(x) - g(C) of each step, in units of the slope */
	double log_rise;
};

static void measure(const struct ps_trial_data *data, const struct grid *grid, double c,
		    struct distances *ret)
{
	double log_c = log(c);
	ret->log_rise = 0;
	for (int i = 0; i < data->n; i++) {
		ret->g[0][i] = grid->log_scale[i] - log_c;
		ret->g[1][i] = data->d[i].scale / c - 1;
		ret->log_rise += c >= data->d[i].scale ? data->d[i].log_rise : 0;
	}
}

/* Exact where it is over grid->top - LOST, else anything below that. */
static double log_likelihood(const struct ps_trial_data *data, const struct grid *grid,
			     const struct distances *far, double slope, int shape)
{
	double sum = far->log_rise, least = grid->top - LOST;
	for (int i = 0; i < data->n && sum > least; i++) {
		const struct ps_trial_datum *d = &data->d[i];
		double z = data->logit_target + slope * far->g[shape][i];
		/* log v = -softplus(-z) = z - softplus(z), log(1 - v) = -softplus(z) */
		sum += d->bad * z - (d->bad + d->good) * softplus(&grid->tail, z);
	}
	return sum;
}

static double c_at(const struct grid *g, int i)
{
	return g->lo + (g->hi - g->lo) * (i + 0.5) / C_POINTS;
}

static void set_slopes(struct grid *g)
{
	for (int k = 0; k < SLOPE_POINTS; k++) {
		double sigmas =
			g->slope_lo + (g->slope_hi - g->slope_lo) * (k + 0.5) / SLOPE_POINTS;
		g->slope[k] = SLOPE_MEDIAN * exp(SLOPE_SIGMA * sigmas);
		g->log_prior[k] = -sigmas * sigmas / 2;
		g->slope_best[k] = -INFINITY;
	}
}

static void fill_at(const struct ps_trial_data *data, struct grid *g, int i)
{
	struct distances far;
	measure(data, g, c_at(g, i), &far);
	g->log_post[i] = -INFINITY;
	for (int k = 0; k < SLOPE_POINTS; k++) {
		double l = -INFINITY;
		for (int shape = 0; shape < SHAPES; shape++)
			l = log_add(&g->tail, l, log_likelihood(data, g, &far, g->slope[k], shape));
		l += g->log_prior[k];
		g->log_post[i] = log_add(&g->tail, g->log_post[i], l);
		g->slope_best[k] = fmax(g->slope_best[k], l);
		g->top = fmax(g->top, l);
	}
}

/* All over the range rather than upwards, so that a high cell comes early and spares the rest. */
static void fill(const struct ps_trial_data *data, struct grid *g)
{
	set_slopes(g);
	g->top = -INFINITY;
	for (int i = 0; i < C_POINTS; i++)
		fill_at(data, g, i * C_STRIDE % C_POINTS);
}

static double highest(const double *log_post, int n)
{
	double top = -INFINITY;
	for (int i = 0; i < n; i++)
		top = fmax(top, log_post[i]);
	return top;
}

/* Narrows a range of n cells to the part that holds all but a negligible part of the posterior and
 * some cells more: a sharp peak may stand between the points of a coarse grid, so that the best
 * point is only its neighbour. Says whether that was worth another pass. */
static bool zoom(const double *log_post, int n, int margin, double *lo, double *hi)
{
	double top = highest(log_post, n), from = *lo, width = *hi - *lo, cell = width / n;
	int first = 0, last = n - 1;
	while (log_post[first] < top - NEGLIGIBLE)
		first++;
	while (log_post[last] < top - NEGLIGIBLE)
		last--;
	*lo = fmax(from, from + (first - margin) * cell);
	*hi = fmin(*hi, from + (last + 1 + margin) * cell);
	return *hi - *lo < 0.7 * width;
}

/* The q-quantile: the mass of a cell is spread evenly over it. */
static double quantile_of(const struct grid *g, double q)
{
	double top = highest(g->log_post, C_POINTS), total = 0, seen = 0,
	       cell = (g->hi - g->lo) / C_POINTS;
	for (int i = 0; i < C_POINTS; i++)
		total += exp(g->log_post[i] - top);
	for (int i = 0; i < C_POINTS; i++) {
		double mass = exp(g->log_post[i] - top) / total;
		if (seen + mass >= q)
			return g->lo + cell * (i + (q - seen) / mass);
		seen += mass;
	}
	return g->hi;
}

struct ps_stats_interval ps_trial_posterior(const struct ps_trial_data *data, double scale_max,
					    double confidence)
{
	struct grid g = {
		.hi = ABOVE_MAX * scale_max, .slope_lo = -SLOPE_REACH, .slope_hi = SLOPE_REACH};
	tail_init(&g.tail);
	for (int i = 0; i < data->n; i++)
		g.log_scale[i] = log(data->d[i].scale);
	fill(data, &g);
	bool narrower = true;
	for (int pass = 0; pass < ZOOMS && narrower; pass++) {
		narrower = zoom(g.log_post, C_POINTS, 5, &g.lo, &g.hi);
		narrower |= zoom(g.slope_best, SLOPE_POINTS, 2, &g.slope_lo, &g.slope_hi);
		fill(data, &g);
	}
	return (struct ps_stats_interval){
		.value = quantile_of(&g, 0.5),
		.lo = quantile_of(&g, (1 - confidence) / 2),
		.hi = quantile_of(&g, (1 + confidence) / 2),
		.confidence = confidence,
		.has_interval = true,
	};
}
