/* The search asks for steps until it knows enough, then for fresh trials that confirm:
 *
 *	SEARCHING --(precise, steps used up, hopeless)--> CONFIRMING --(held or tried out)--> DONE
 *
 * There is no state besides the plan and the steps: what comes next follows from them, so that a
 * search restored from stored steps goes on as if it had never stopped.
 */
#include "trial/trial.h"
#include "trial/trial_internal.h"

#include <math.h>
#include <string.h>

#define FIRST_GUESS   0.7  /* of scale_max */
#define LEAST_SCALE   0.01 /* of scale_max: below that a search is hopeless */
#define LEAST_SPREAD  0.02 /* relative distance of a step from the estimate, at least */
#define MOST_SPREAD   0.3
#define BELOW_REFUTED 0.95 /* a next confirming trial stays so far below one that failed */

double ps_trial_scale_max(const struct ps_trial_plan *plan, const double *alone_rps,
			  const double *together_rps)
{
	double needs = 0, machines = 0;
	for (int i = 0; i < plan->n_tenants; i++) {
		needs += plan->rate_rps[i] / alone_rps[i];
		machines += together_rps ? together_rps[i] / alone_rps[i] : 0;
	}
	return fmax(1, machines) / needs;
}

static enum ps_status check_tenant(const struct ps_trial_plan *plan, int i, struct ps_error *err)
{
	if (!(plan->rate_rps[i] > 0 && isfinite(plan->rate_rps[i])))
		return ps_error_set(err, PS_EINVAL, "tenant %d of the search has no rate", i + 1);
	if (!ps_sla_is_set(&plan->sla[i]))
		return ps_error_set(err, PS_EINVAL,
				    "tenant %d of the search has no SLA, so it has no capacity",
				    i + 1);
	return PS_OK;
}

enum ps_status ps_trial_plan_check(const struct ps_trial_plan *plan, struct ps_error *err)
{
	if (plan->n_tenants < 1 || plan->n_tenants > PS_TRIAL_MAX_TENANTS)
		return ps_error_set(err, PS_EINVAL, "a search takes 1 to %d tenants, not %d",
				    PS_TRIAL_MAX_TENANTS, plan->n_tenants);
	for (int i = 0; i < plan->n_tenants; i++) {
		enum ps_status st = check_tenant(plan, i, err);
		if (st != PS_OK)
			return st;
	}
	if (!(plan->scale_max > 0 && isfinite(plan->scale_max)))
		return ps_error_set(err, PS_EINVAL,
				    "a search needs the throughput of a closed loop to start from");
	int most = PS_TRIAL_MAX_STEPS - plan->max_confirms;
	if (plan->max_confirms < 0 || plan->max_steps < 1 || plan->max_steps > most)
		return ps_error_set(err, PS_EINVAL, "a search takes 1 to %d steps, not %d", most,
				    plan->max_steps);
	if (plan->stop_half_width < 0 || plan->confidence < 0 || plan->confidence >= 1)
		return ps_error_set(err, PS_EINVAL,
				    "the stopping width and the confidence are shares of one");
	return PS_OK;
}

enum ps_status ps_trial_search_init(struct ps_trial_search *s, const struct ps_trial_plan *plan,
				    struct ps_error *err)
{
	enum ps_status st = ps_trial_plan_check(plan, err);
	if (st != PS_OK)
		return st;
	memset(s, 0, sizeof(*s));
	s->plan = *plan;
	return PS_OK;
}

static int steps_of_kind(const struct ps_trial_search *s, enum ps_trial_kind kind)
{
	int n = 0;
	for (int i = 0; i < s->n_steps; i++)
		n += s->steps[i].kind == kind;
	return n;
}

static bool is_hopeless(const struct ps_trial_search *s)
{
	for (int i = 0; i < s->n_steps; i++) {
		enum ps_trial_verdict v = s->steps[i].verdict;
		if (v != PS_TRIAL_PASS && v != PS_TRIAL_FAIL_EMPTY &&
		    s->steps[i].scale <= LEAST_SCALE * s->plan.scale_max * (1 + 1e-9))
			return true;
	}
	return false;
}

static enum ps_trial_stop should_stop(const struct ps_trial_search *s)
{
	int done = steps_of_kind(s, PS_TRIAL_SEARCH);
	if (s->stop != PS_TRIAL_GOING_ON) /* a confirming trial does not reopen the search */
		return s->stop;
	if (is_hopeless(s))
		return PS_TRIAL_STOP_HOPELESS;
	if (done >= ps_trial_min_steps(&s->plan) && s->plan.stop_half_width > 0 &&
	    s->answer.half_width <= s->plan.stop_half_width)
		return PS_TRIAL_STOP_PRECISE;
	return done >= s->plan.max_steps ? PS_TRIAL_STOP_STEPS : PS_TRIAL_GOING_ON;
}

/* Around the estimate, above and below in turn: steps at one rate would leave the slope unknown,
 * and a step above it sees more violations and so says more. */
static double next_scale(const struct ps_trial_search *s)
{
	double top = s->plan.scale_max;
	int k = s->n_steps;
	if (s->answer.steps_used == 0)
		return s->plan.scale_guess > 0 ? fmin(s->plan.scale_guess, top) : FIRST_GUESS * top;
	const struct ps_stats_interval *c = &s->answer.scale;
	double width = c->value > 0 ? (c->hi - c->lo) / 2 / c->value : 1;
	double spread = fmin(fmax(width / 2, LEAST_SPREAD), MOST_SPREAD);
	double x = c->value * (k % 2 == 1 ? 1 + spread : 1 - spread / 2);
	return fmin(fmax(x, LEAST_SCALE * top), top);
}

/* The lower end of the interval is what is claimed with confidence; that is what a fresh trial must
 * keep. At the estimate itself a sound capacity fails every other time. */
static double confirm_scale(const struct ps_trial_search *s)
{
	/* After a cut `lo` may be 0, only because nothing lower was tried yet. */
	double x = s->answer.cut ? INFINITY : s->answer.scale.lo;
	for (int i = 0; i < s->n_steps; i++) {
		if (s->steps[i].kind == PS_TRIAL_CONFIRM && s->steps[i].verdict != PS_TRIAL_PASS)
			x = fmin(x, BELOW_REFUTED * s->steps[i].scale);
	}
	return x;
}

static bool wants_confirmation(const struct ps_trial_search *s)
{
	return s->stop != PS_TRIAL_STOP_HOPELESS && s->answer.confirmed != PS_TRIAL_CONFIRMED &&
	       steps_of_kind(s, PS_TRIAL_CONFIRM) < s->plan.max_confirms &&
	       confirm_scale(s) > LEAST_SCALE * s->plan.scale_max;
}

struct ps_trial_next ps_trial_search_next(const struct ps_trial_search *s)
{
	struct ps_trial_next next = {
		.action = PS_TRIAL_DONE,
		.stop = s->stop,
		.steps_done = s->n_steps,
		.steps_most = s->plan.max_steps + s->plan.max_confirms,
	};
	if (s->stop == PS_TRIAL_GOING_ON) {
		next.action = PS_TRIAL_RUN;
		next.scale = next_scale(s);
	} else if (wants_confirmation(s)) {
		next.action = PS_TRIAL_RUN_CONFIRM;
		next.scale = confirm_scale(s);
	}
	return next;
}

static enum ps_status check_step(const struct ps_trial_search *s, const struct ps_trial_step *step,
				 struct ps_error *err)
{
	if (s->n_steps >= PS_TRIAL_MAX_STEPS)
		return ps_error_set(err, PS_EINVAL, "a search holds at most %d steps",
				    PS_TRIAL_MAX_STEPS);
	if (!(step->scale > 0 && isfinite(step->scale)))
		return ps_error_set(err, PS_EINVAL, "a step must say at which scale it ran");
	for (int i = 0; i < s->plan.n_tenants; i++) {
		const struct ps_trial_seen *seen = &step->seen[i];
		if (seen->failures < 0 || seen->failures > seen->violations ||
		    seen->violations > seen->requests || !(seen->effective_ratio > 0) ||
		    seen->effective_ratio > 1)
			return ps_error_set(err, PS_EINVAL,
					    "the counts of tenant %d contradict each other", i + 1);
	}
	return PS_OK;
}

enum ps_status ps_trial_search_add(struct ps_trial_search *s, const struct ps_trial_step *step,
				   struct ps_error *err)
{
	enum ps_status st = check_step(s, step, err);
	if (st != PS_OK)
		return st;
	s->steps[s->n_steps] = *step;
	ps_trial_judge(&s->plan, &s->steps[s->n_steps]);
	/* A step that judged nothing (rare arrivals, a server that never answered before the
	 * warm-up's end) counts as a step; the answer stays as it was, with steps_used 0 if there
	 * is none. */
	struct ps_trial_answer answer = s->answer;
	if (s->steps[s->n_steps].verdict != PS_TRIAL_FAIL_EMPTY &&
	    ps_trial_all_seen(&s->plan, s->steps, s->n_steps + 1)) {
		st = ps_trial_fit(&s->plan, s->steps, s->n_steps + 1, &answer, err);
		if (st != PS_OK)
			return st;
	}
	s->answer = answer;
	s->n_steps++;
	s->stop = should_stop(s);
	return PS_OK;
}

const char *ps_trial_stop_name(enum ps_trial_stop stop)
{
	static const char *const names[] = {
		[PS_TRIAL_GOING_ON] = "going on",
		[PS_TRIAL_STOP_PRECISE] = "precise",
		[PS_TRIAL_STOP_STEPS] = "steps",
		[PS_TRIAL_STOP_HOPELESS] = "hopeless",
	};
	return stop <= PS_TRIAL_STOP_HOPELESS ? names[stop] : "unknown";
}

void ps_trial_block_order(uint64_t seed, int block, int n_cells, int *ret_order)
{
	struct ps_rng rng;
	ps_rng_init(&rng, seed, (uint64_t)(block / 2));
	for (int i = 0; i < n_cells; i++)
		ret_order[i] = i;
	for (int i = n_cells - 1; i > 0; i--) {
		int j = (int)ps_rng_below(&rng, (uint64_t)i + 1);
		int swap = ret_order[i];
		ret_order[i] = ret_order[j];
		ret_order[j] = swap;
	}
	for (int i = 0; block % 2 == 1 && i < n_cells / 2; i++) {
		int swap = ret_order[i];
		ret_order[i] = ret_order[n_cells - 1 - i];
		ret_order[n_cells - 1 - i] = swap;
	}
}
