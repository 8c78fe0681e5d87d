#include "trial/trial.h"
#include "trial/trial_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The posterior of one tenant's capacity C on a grid, the slope and the shape summed out. */
#define C_POINTS      72
#define SLOPE_POINTS  13
#define SHAPES	      2
#define SLOPE_MEDIAN  10.0 /* 1 at a fifth of what a queue can do, 41 at nine tenths */
#define SLOPE_SIGMA   1.3
#define SLOPE_REACH   2.4 /* the grid ends at so many sigmas */
#define ZOOMS	      8
#define NEGLIGIBLE    10   /* of the logarithm */
#define NEAR_LEAST    0.02 /* of log scale: how far steps share their correlation, at least */
#define NEAR_MOST     0.3  /* and at most */
#define NEAR_GROWTH   1.05
#define SHARERS	      6	   /* steps whose correlations make one, where so many are near */
#define ABOVE_MAX     1.1  /* of scale_max: a closed loop of a few seconds is not exact */
#define OPEN_BELOW    0.02 /* of scale_max: below that nothing is known */
#define BACKLOG_LEAST 1e-3 /* a trend test is not believed beyond this */

/* What one step says about one criterion, in effective counts. */
struct datum {
	double scale;
	double good, bad;
	double log_rise; /* log of the odds against C >= scale; 0 when the backlog did not rise */
};

struct data {
	struct datum d[PS_TRIAL_MAX_STEPS];
	int n;
	double logit_target;
};

struct grid {
	double lo, hi;			 /* of C */
	double slope_lo, slope_hi;	 /* in sigmas of the prior of the logarithm */
	double log_post[C_POINTS];	 /* the slope summed out */
	double slope_best[SLOPE_POINTS]; /* the highest anywhere at that slope */
};

static double logit(double p)
{
	return log(p / (1 - p));
}

/* log(1 + exp(z)) without overflow. */
static double softplus(double z)
{
	return z > 0 ? z + log1p(exp(-z)) : log1p(exp(z));
}

static double log_add(double a, double b)
{
	double top = fmax(a, b);
	return isinf(top) ? top : top + log(exp(a - top) + exp(b - top));
}

/* How far the steps lie from a capacity: what does not depend on the slope. */
struct distances {
	double g[SHAPES][PS_TRIAL_MAX_STEPS]; /* g(x) - g(C) of each step, in units of the slope */
	double log_rise;
};

static void measure(const struct data *data, double c, struct distances *ret)
{
	ret->log_rise = 0;
	for (int i = 0; i < data->n; i++) {
		double u = data->d[i].scale / c;
		ret->g[0][i] = log(u);
		ret->g[1][i] = u - 1;
		ret->log_rise += c >= data->d[i].scale ? data->d[i].log_rise : 0;
	}
}

static double log_likelihood(const struct data *data, const struct distances *far, double slope,
			     int shape)
{
	double sum = far->log_rise;
	for (int i = 0; i < data->n; i++) {
		const struct datum *d = &data->d[i];
		double z = data->logit_target + slope * far->g[shape][i];
		/* log v = -softplus(-z) = z - softplus(z), log(1 - v) = -softplus(z) */
		sum += d->bad * z - (d->bad + d->good) * softplus(z);
	}
	return sum;
}

static double c_at(const struct grid *g, int i)
{
	return g->lo + (g->hi - g->lo) * (i + 0.5) / C_POINTS;
}

static double slope_at(const struct grid *g, int k)
{
	return g->slope_lo + (g->slope_hi - g->slope_lo) * (k + 0.5) / SLOPE_POINTS;
}

static void fill(const struct data *data, struct grid *g)
{
	for (int k = 0; k < SLOPE_POINTS; k++)
		g->slope_best[k] = -INFINITY;
	for (int i = 0; i < C_POINTS; i++) {
		struct distances far;
		g->log_post[i] = -INFINITY;
		measure(data, c_at(g, i), &far);
		for (int k = 0; k < SLOPE_POINTS; k++) {
			double sigmas = slope_at(g, k), l = -INFINITY;
			double slope = SLOPE_MEDIAN * exp(SLOPE_SIGMA * sigmas);
			for (int shape = 0; shape < SHAPES; shape++)
				l = log_add(l, log_likelihood(data, &far, slope, shape));
			l -= sigmas * sigmas / 2;
			g->log_post[i] = log_add(g->log_post[i], l);
			g->slope_best[k] = fmax(g->slope_best[k], l);
		}
	}
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

static struct ps_stats_interval solve(const struct data *data, double scale_max, double confidence)
{
	struct grid g = {
		.hi = ABOVE_MAX * scale_max, .slope_lo = -SLOPE_REACH, .slope_hi = SLOPE_REACH};
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

enum criterion { BY_LATENCY, BY_SUCCESS };

/* The requests of a step, by how near it is. */
static double requests_near(const struct ps_trial_step *step, int tenant, double scale,
			    double bandwidth)
{
	double far = log(step->scale / scale) / bandwidth;
	return exp(-far * far / 2) * (double)step->seen[tenant].requests;
}

static double all_near(const struct ps_trial_step *steps, int n_steps, int tenant, double scale,
		       double bandwidth)
{
	double requests = 0;
	for (int i = 0; i < n_steps; i++)
		requests += requests_near(&steps[i], tenant, scale, bandwidth);
	return requests;
}

/* Wide enough that a step has a sixth of the say in its own correlation, and no wider: near
 * saturation the correlation doubles within a twentieth of the rate, and steps just below the
 * capacity, nearly all without a violation, would be discounted by that of the steps above it. */
static double bandwidth_at(const struct ps_trial_step *steps, int n_steps, int tenant,
			   const struct ps_trial_step *own)
{
	double wanted = SHARERS * (double)own->seen[tenant].requests, b = NEAR_LEAST;
	while (b < NEAR_MOST && all_near(steps, n_steps, tenant, own->scale, b) < wanted)
		b *= NEAR_GROWTH;
	return fmin(b, NEAR_MOST);
}

/* Requests per independent one at a step, averaged over the steps at like rates. A step's own
 * estimate must not weigh it: where violations come in a long cluster it is high, where by luck
 * there were none it is low, and steps without violations would count for more. */
static double correlation_near(const struct ps_trial_step *steps, int n_steps, int tenant,
			       const struct ps_trial_step *own)
{
	double sum = 0, weights = 0, b = bandwidth_at(steps, n_steps, tenant, own);
	for (int i = 0; i < n_steps; i++) {
		double w = requests_near(&steps[i], tenant, own->scale, b);
		sum += w / steps[i].seen[tenant].effective_ratio;
		weights += w;
	}
	return sum / weights;
}

static struct datum datum_of(const struct ps_trial_step *step, int tenant, const struct ps_sla *sla,
			     enum criterion by, double correlation)
{
	const struct ps_trial_seen *seen = &step->seen[tenant];
	int64_t bad = by == BY_LATENCY ? seen->violations : seen->failures;
	struct datum d = {.scale = step->scale,
			  .good = (double)(seen->requests - bad) / correlation,
			  .bad = (double)bad / correlation};
	if (by == BY_LATENCY && ps_trial_backlog_rises(seen, sla))
		d.log_rise = log(fmax(seen->p_backlog, BACKLOG_LEAST));
	return d;
}

static void collect(const struct ps_trial_plan *plan, const struct ps_trial_step *steps,
		    int n_steps, int tenant, enum criterion by, struct data *ret_data)
{
	const struct ps_sla *sla = &plan->sla[tenant];
	double target = 1 - (by == BY_LATENCY ? sla->percentile : sla->min_success);
	ret_data->n = 0;
	/* A success of 100 % has no logit; one failure in a million stands for it. */
	ret_data->logit_target = logit(fmin(fmax(target, 1e-6), 1 - 1e-6));
	for (int i = 0; i < n_steps; i++) {
		if (steps[i].seen[tenant].requests <= 0)
			continue;
		double tau = correlation_near(steps, n_steps, tenant, &steps[i]);
		ret_data->d[ret_data->n++] = datum_of(&steps[i], tenant, sla, by, tau);
	}
}

/* The success ratio is a criterion of its own only where it was broken: a run without a failure
 * says too little about a limit of 1 % to be asked about it. */
static bool success_was_broken(const struct ps_trial_plan *plan, const struct ps_trial_step *steps,
			       int n_steps, int tenant)
{
	for (int i = 0; i < n_steps; i++) {
		const struct ps_trial_seen *s = &steps[i].seen[tenant];
		double allowed = (1 - plan->sla[tenant].min_success) * (double)s->requests;
		if ((double)s->failures > allowed * (1 + 1e-9))
			return true;
	}
	return false;
}

/* Quantile by quantile the least: fully dependent errors. */
static void take_least(struct ps_stats_interval *a, const struct ps_stats_interval *b)
{
	a->value = fmin(a->value, b->value);
	a->lo = fmin(a->lo, b->lo);
	a->hi = fmin(a->hi, b->hi);
}

static void fit_tenant(const struct ps_trial_plan *plan, const struct ps_trial_step *steps,
		       int n_steps, int tenant, struct data *data,
		       struct ps_stats_interval *ret_scale)
{
	double confidence = ps_trial_confidence(plan);
	collect(plan, steps, n_steps, tenant, BY_LATENCY, data);
	*ret_scale = solve(data, plan->scale_max, confidence);
	if (!success_was_broken(plan, steps, n_steps, tenant))
		return;
	collect(plan, steps, n_steps, tenant, BY_SUCCESS, data);
	struct ps_stats_interval by_success = solve(data, plan->scale_max, confidence);
	take_least(ret_scale, &by_success);
}

static void combine(const struct ps_trial_plan *plan, struct ps_trial_answer *a)
{
	a->scale = a->tenant_scale[0];
	for (int i = 1; i < plan->n_tenants; i++) {
		if (a->tenant_scale[i].value < a->scale.value)
			a->binding_tenant = i;
		take_least(&a->scale, &a->tenant_scale[i]);
	}
	a->open_below = a->scale.lo < OPEN_BELOW * plan->scale_max;
	if (a->open_below)
		a->scale.lo = 0;
	a->open_above = a->scale.hi > plan->scale_max;
}

/* A capacity whose confirming trial violated an SLA is not one: fall back to what passed below. */
static void heed_confirmations(const struct ps_trial_step *steps, int n_steps,
			       struct ps_trial_answer *a)
{
	double refuted = INFINITY, passed = 0;
	for (int i = 0; i < n_steps; i++) {
		if (steps[i].kind != PS_TRIAL_CONFIRM || steps[i].verdict == PS_TRIAL_FAIL_EMPTY)
			continue;
		if (steps[i].verdict != PS_TRIAL_PASS)
			refuted = fmin(refuted, steps[i].scale);
	}
	for (int i = 0; i < n_steps; i++) {
		if (steps[i].verdict != PS_TRIAL_PASS || steps[i].scale >= refuted)
			continue;
		passed = fmax(passed, steps[i].scale);
		if (steps[i].kind == PS_TRIAL_CONFIRM)
			a->confirmed_scale = fmax(a->confirmed_scale, steps[i].scale);
	}
	if (a->confirmed_scale > 0)
		a->confirmed = PS_TRIAL_CONFIRMED;
	else if (isfinite(refuted))
		a->confirmed = PS_TRIAL_REFUTED;
	a->cut = a->scale.value >= refuted;
	if (a->cut) {
		a->scale.value = passed;
		a->scale.lo = fmin(a->scale.lo, passed);
	}
}

bool ps_trial_all_seen(const struct ps_trial_plan *plan, const struct ps_trial_step *steps,
		       int n_steps)
{
	for (int t = 0; t < plan->n_tenants; t++) {
		bool seen = false;
		for (int i = 0; i < n_steps; i++)
			seen |= steps[i].seen[t].requests > 0;
		if (!seen)
			return false;
	}
	return true;
}

enum ps_status ps_trial_fit(const struct ps_trial_plan *plan, const struct ps_trial_step *steps,
			    int n_steps, struct ps_trial_answer *ret_answer, struct ps_error *err)
{
	enum ps_status st = ps_trial_plan_check(plan, err);
	if (st != PS_OK)
		return st;
	if (n_steps > PS_TRIAL_MAX_STEPS)
		return ps_error_set(err, PS_EINVAL, "%d steps; at most %d can be fitted", n_steps,
				    PS_TRIAL_MAX_STEPS);
	if (!ps_trial_all_seen(plan, steps, n_steps))
		return ps_error_set(err, PS_EINVAL,
				    "no step judged a request of every tenant: there is nothing "
				    "to fit");
	struct data *data = malloc(sizeof(*data));
	struct ps_trial_step *judged = malloc((size_t)n_steps * sizeof(*judged));
	if (!data || !judged) {
		free(data);
		free(judged);
		return ps_error_set(err, PS_ENOMEM, "no memory to fit %d steps", n_steps);
	}
	memcpy(judged, steps, (size_t)n_steps * sizeof(*judged));
	for (int i = 0; i < n_steps; i++)
		ps_trial_judge(plan, &judged[i]);
	struct ps_trial_answer a = {.steps_used = n_steps};
	for (int t = 0; t < plan->n_tenants; t++)
		fit_tenant(plan, judged, n_steps, t, data, &a.tenant_scale[t]);
	combine(plan, &a);
	heed_confirmations(judged, n_steps, &a);
	bool open = a.open_below || a.open_above || !(a.scale.value > 0);
	a.half_width = open ? INFINITY : (a.scale.hi - a.scale.lo) / 2 / a.scale.value;
	free(data);
	free(judged);
	*ret_answer = a;
	return PS_OK;
}
