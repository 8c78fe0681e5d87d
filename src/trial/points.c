#include "trial/trial.h"
#include "trial/trial_internal.h"

#include <stdlib.h>

static int by_scale(const void *a, const void *b)
{
	double x = ((const struct ps_trial_point *)a)->scale;
	double y = ((const struct ps_trial_point *)b)->scale;
	return (x > y) - (x < y);
}

static struct ps_trial_point point_of(const struct ps_trial_plan *plan,
				      const struct ps_trial_step *step, int tenant)
{
	const struct ps_trial_seen *seen = &step->seen[tenant];
	double n = (double)seen->requests * seen->effective_ratio;
	double k = (double)seen->violations * seen->effective_ratio;
	struct ps_trial_point p = {.scale = step->scale, .weight = n};
	p.share = ps_stats_proportion_interval(k, n, ps_trial_confidence(plan));
	return p;
}

/* Points without a request have no share and no part in the fit. */
static size_t gather(const struct ps_trial_point *points, int n, double *y, double *w)
{
	size_t m = 0;
	for (int i = 0; i < n; i++) {
		if (points[i].weight > 0) {
			y[m] = points[i].share.value;
			w[m++] = points[i].weight;
		}
	}
	return m;
}

enum ps_status ps_trial_points(const struct ps_trial_plan *plan, const struct ps_trial_step *steps,
			       int n_steps, int tenant, struct ps_trial_point *ret_points)
{
	if (n_steps <= 0)
		return PS_OK;
	double *y = calloc(2 * (size_t)n_steps, sizeof(*y));
	if (!y)
		return PS_ENOMEM;
	for (int i = 0; i < n_steps; i++)
		ret_points[i] = point_of(plan, &steps[i], tenant);
	qsort(ret_points, (size_t)n_steps, sizeof(*ret_points), by_scale);
	size_t m = gather(ret_points, n_steps, y, y + n_steps);
	enum ps_status st = ps_stats_isotonic(y, y + n_steps, m);
	for (int i = 0, k = 0; st == PS_OK && i < n_steps; i++)
		ret_points[i].monotone =
			ret_points[i].weight > 0 ? y[k++] : ret_points[i].share.value;
	free(y);
	return st;
}
