/* The fractional relaxation: min sum p_t n_t, so that what is needed fits in what is rented, in
 * every dimension. Its dual wants weights y >= 0 with y_t . room_t <= p_t, and its value is the sum
 * of parts x min over types of y_t . need: a bound for any such y. We keep y_t . room_t = p_t,
 * start at each dimension alone and at their mean, and climb by multiplicative weights. */
#include "plan/plan_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ITERATIONS 150

/* Values under the present weights; the subgradient of each share of a price goes to ret_grad (may
 * be NULL). */
static double evaluate(const struct ps_plan_space *s, const double *weight, double *ret_value,
		       double *ret_grad)
{
	size_t kinds = (size_t)s->kinds, dims = (size_t)s->dims;
	double sum = 0;

	if (ret_grad)
		memset(ret_grad, 0, (size_t)s->types * dims * sizeof(double));
	for (size_t k = 0; k < kinds; k++) {
		size_t best_type = 0;
		double best = INFINITY;
		for (size_t t = 0; t < (size_t)s->types; t++) {
			const double *need = s->own + (t * kinds + k) * dims;
			double x = 0;
			if (s->level[t * kinds + k] < 0)
				continue;
			for (size_t d = 0; d < dims; d++)
				x += weight[t * dims + d] * need[d];
			if (x < best) {
				best = x;
				best_type = t;
			}
		}
		ret_value[k] = best;
		sum += best * s->p->kinds[k].parts;
		const double *need = s->own + (best_type * kinds + k) * dims;
		for (size_t d = 0; ret_grad && d < dims; d++)
			ret_grad[best_type * dims + d] += need[d] * s->p->kinds[k].parts;
	}
	return sum;
}

/* A dimension without room, which nobody needs, gets no weight. */
static void to_weights(const struct ps_plan_space *s, const double *share, double *ret_weight)
{
	for (int t = 0; t < s->types; t++) {
		for (int d = 0; d < s->dims; d++) {
			int i = t * s->dims + d;
			ret_weight[i] =
				s->room[i] > 0 ? share[i] * s->p->types[t].usd_per_hour / s->room[i]
					       : 0;
		}
	}
}

/* One step uphill: shares of a type grow with what a unit of them would bring. */
static void climb(const struct ps_plan_space *s, const double *grad, double step, double *share)
{
	double scale = 0;

	for (int i = 0; i < s->types * s->dims; i++) {
		double usd = s->p->types[i / s->dims].usd_per_hour;
		scale = fmax(scale, s->room[i] > 0 ? grad[i] * usd / s->room[i] : 0);
	}
	for (int t = 0; t < s->types; t++) {
		double sum = 0, usd = s->p->types[t].usd_per_hour;
		for (int d = 0; d < s->dims; d++) {
			int i = t * s->dims + d;
			double g = s->room[i] > 0 ? grad[i] * usd / s->room[i] / scale : 0;
			share[i] *= exp(step * g);
			sum += share[i];
		}
		for (int d = 0; d < s->dims; d++)
			share[t * s->dims + d] /= sum;
	}
}

struct ascent {
	double best, *share, *grad, *weight, *value;
};

static void consider(struct ps_plan_space *s, struct ascent *a, bool gradient)
{
	to_weights(s, a->share, a->weight);
	double found = evaluate(s, a->weight, a->value, gradient ? a->grad : NULL);
	if (found <= a->best)
		return;
	a->best = found;
	memcpy(s->weight, a->weight, (size_t)s->types * (size_t)s->dims * sizeof(double));
	memcpy(s->value, a->value, (size_t)s->kinds * sizeof(double));
}

static void ascend(struct ps_plan_space *s, struct ascent *a)
{
	for (int d = 0; d < s->dims; d++) {
		for (int i = 0; i < s->types * s->dims; i++)
			a->share[i] = i % s->dims == d;
		consider(s, a, false);
	}
	for (int i = 0; i < s->types * s->dims; i++)
		a->share[i] = 1.0 / s->dims;
	for (int i = 0; s->dims > 1 && i < ITERATIONS && !ps_plan_space_late(s); i++) {
		consider(s, a, true);
		climb(s, a->grad, 2.0 / sqrt(i + 1.0), a->share);
	}
}

double ps_plan_bound_fractional(struct ps_plan_space *s)
{
	size_t n = (size_t)s->types * (size_t)s->dims;
	struct ascent a = {
		.best = -1,
		.share = calloc(n, sizeof(double)),
		.grad = malloc(n * sizeof(double)),
		.weight = malloc(n * sizeof(double)),
		.value = malloc((size_t)s->kinds * sizeof(double)),
	};

	if (a.share && a.grad && a.weight && a.value)
		ascend(s, &a);
	free(a.share);
	free(a.grad);
	free(a.weight);
	free(a.value);
	return fmax(a.best, 0);
}

double ps_plan_bound_round(const struct ps_plan_space *s, double bound)
{
	int64_t unit = 0;

	for (int t = 0; t < s->types; t++) {
		double micro = s->p->types[t].usd_per_hour * 1e6;
		int64_t a = llround(micro), b = unit;
		/* What is a little off adds up over the machines: only what binary numbers cannot
		 * say is forgiven. */
		if (a < 1 || fabs(micro - (double)a) > 1e-12 * micro)
			return bound; /* finer than a millionth: no unit */
		while (b) {
			int64_t rest = a % b;
			a = b;
			b = rest;
		}
		unit = a;
	}
	double steps = ceil(bound * 1e6 / (double)unit * (1 - PS_PLAN_EPS) - 1e-6);
	return fmax(bound, steps * (double)unit / 1e6);
}
