#include "trial/trial.h"
#include "trial/trial_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NEAR_LEAST    0.02 /* of log scale: how far steps share their correlation, at least */
#define NEAR_MOST     0.3  /* and at most */
#define NEAR_GROWTH   1.05
#define NEAR_SIZES    57   /* of them, from the least to the most */
#define SHARERS	      6	   /* steps whose correlations make one, where so many are near */
#define OPEN_BELOW    0.02 /* of scale_max: below that nothing is known */
#define BACKLOG_LEAST 1e-3 /* a trend test is not believed beyond this */

static double logit(double p)
{
	return log(p / (1 - p));
}

enum criterion { BY_LATENCY, BY_SUCCESS };

/* The other steps as one step sees them. */
struct neighbours {
	double distance[PS_TRIAL_MAX_STEPS]; /* in log scale */
	double requests[PS_TRIAL_MAX_STEPS];
	double correlation[PS_TRIAL_MAX_STEPS];
	int n;
};

static void look_around(const struct ps_trial_step *steps, int n_steps, int tenant, double scale,
			struct neighbours *ret)
{
	ret->n = n_steps;
	for (int i = 0; i < n_steps; i++) {
		ret->distance[i] = log(steps[i].scale / scale);
		ret->requests[i] = (double)steps[i].seen[tenant].requests;
		ret->correlation[i] = 1 / steps[i].seen[tenant].effective_ratio;
	}
}

/* The requests of a neighbour, by how near it is. */
static double requests_near(const struct neighbours *all, int i, double bandwidth)
{
	double far = all->distance[i] / bandwidth;
	return exp(-far * far / 2) * all->requests[i];
}

static bool has_near(const struct neighbours *all, double bandwidth, double wanted)
{
	double requests = 0;
	for (int i = 0; i < all->n; i++)
		requests += requests_near(all, i, bandwidth);
	return requests >= wanted;
}

/* Wide enough that a step has a sixth of the say in its own correlation, and no wider: near
 * saturation the correlation doubles within a twentieth of the rate, and steps just below the
 * capacity, nearly all without a violation, would be discounted by that of the steps above it. */
static double bandwidth_for(const struct neighbours *all, double wanted)
{
	int lo = 0, hi = NEAR_SIZES - 1; /* the widest is taken whether it is enough or not */
	while (lo < hi) {
		int mid = (lo + hi) / 2;
		if (has_near(all, NEAR_LEAST * pow(NEAR_GROWTH, mid), wanted))
			hi = mid;
		else
			lo = mid + 1;
	}
	return fmin(NEAR_LEAST * pow(NEAR_GROWTH, lo), NEAR_MOST);
}

/* Requests per independent one at a step, averaged over the steps at like rates. A step's own
 * estimate must not weigh it: where violations come in a long cluster it is high, where by luck
 * there were none it is low, and steps without violations would count for more. */
static double correlation_near(const struct ps_trial_step *steps, int n_steps, int tenant,
			       const struct ps_trial_step *own)
{
	struct neighbours all;
	look_around(steps, n_steps, tenant, own->scale, &all);
	double b = bandwidth_for(&all, SHARERS * (double)own->seen[tenant].requests);
	double sum = 0, weights = 0;
	for (int i = 0; i < n_steps; i++) {
		double w = requests_near(&all, i, b);
		sum += w * all.correlation[i];
		weights += w;
	}
	return sum / weights;
}

static struct ps_trial_datum datum_of(const struct ps_trial_step *step, int tenant,
				      const struct ps_sla *sla, enum criterion by,
				      double correlation)
{
	const struct ps_trial_seen *seen = &step->seen[tenant];
	int64_t bad = by == BY_LATENCY ? seen->violations : seen->failures;
	struct ps_trial_datum d = {.scale = step->scale,
				   .good = (double)(seen->requests - bad) / correlation,
				   .bad = (double)bad / correlation};
	if (by == BY_LATENCY && ps_trial_backlog_rises(seen, sla))
		d.log_rise = log(fmax(seen->p_backlog, BACKLOG_LEAST));
	return d;
}

static void collect(const struct ps_trial_plan *plan, const struct ps_trial_step *steps,
		    int n_steps, int tenant, enum criterion by, struct ps_trial_data *ret_data)
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
		       int n_steps, int tenant, struct ps_trial_data *data,
		       struct ps_stats_interval *ret_scale)
{
	double confidence = ps_trial_confidence(plan);
	collect(plan, steps, n_steps, tenant, BY_LATENCY, data);
	*ret_scale = ps_trial_posterior(data, plan->scale_max, confidence);
	if (!success_was_broken(plan, steps, n_steps, tenant))
		return;
	collect(plan, steps, n_steps, tenant, BY_SUCCESS, data);
	struct ps_stats_interval by_success = ps_trial_posterior(data, plan->scale_max, confidence);
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
	struct ps_trial_data *data = malloc(sizeof(*data));
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
