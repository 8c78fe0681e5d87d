#include "trial/trial.h"

#include <math.h>
#include <stdlib.h>

#define BACKLOG_LEVEL	    0.01 /* of the trend test */
#define EXPECTED_VIOLATIONS 10
#define WARMUP_LIMITS	    20 /* a queue at 0.9 of an M/M/1 forgets within 8 of its p99 */
#define STEP_WARMUPS	    4
#define MOST_STRETCH	    10	 /* a rate near 0 would make a step last for ever */
#define BACKLOG_RISE	    0.25 /* of the limit: less than that is no danger to it within a step */

/* Requests without an answer are given the largest latency seen or twice the limit, whichever is
 * more: in a series they must look late, but not so late that nothing else can be seen. */
static double stand_in(const struct ps_trial_request *r, size_t n, int64_t limit_ns)
{
	int64_t most = 2 * limit_ns;
	for (size_t i = 0; i < n; i++) {
		if (r[i].latency_ns != PS_HIST_INFINITE && r[i].latency_ns > most)
			most = r[i].latency_ns;
	}
	return (double)most;
}

static void count(const struct ps_trial_request *r, size_t n, const struct ps_sla *sla, double *t,
		  double *latency, struct ps_trial_seen *seen)
{
	double late = stand_in(r, n, sla->limit_ns);
	for (size_t i = 0; i < n; i++) {
		bool lost = r[i].latency_ns == PS_HIST_INFINITE;
		seen->failures += lost;
		seen->violations += r[i].latency_ns > sla->limit_ns;
		t[i] = (double)(r[i].scheduled_ns - r[0].scheduled_ns);
		latency[i] = lost ? late : (double)r[i].latency_ns;
	}
	seen->requests = (int64_t)n;
}

static enum ps_status correlate(const double *t, const double *latency, size_t n,
				const struct ps_sla *sla, struct ps_trial_seen *seen)
{
	double over, all;
	struct ps_stats_trend trend;
	enum ps_status st = ps_stats_effective_ratio_over(latency, n, (double)sla->limit_ns, &over);
	if (st == PS_OK)
		st = ps_stats_effective_ratio(latency, n, &all);
	if (st == PS_OK)
		st = ps_stats_trend(t, latency, n, &trend);
	if (st != PS_OK)
		return st;
	seen->effective_ratio = fmin(over, all);
	seen->p_backlog = trend.p_rising;
	seen->rise_ns = trend.slope * (t[n - 1] - t[0]);
	return PS_OK;
}

enum ps_status ps_trial_observe(const struct ps_trial_request *requests, size_t n, int64_t from_ns,
				const struct ps_sla *sla, struct ps_trial_seen *ret_seen,
				struct ps_error *err)
{
	if (!ps_sla_is_set(sla))
		return ps_error_set(err, PS_EINVAL, "a step cannot be judged without an SLA");
	while (n > 0 && requests->scheduled_ns < from_ns) {
		requests++;
		n--;
	}
	struct ps_trial_seen seen = {.effective_ratio = 1, .p_backlog = 1};
	if (n > 0) {
		double *t = malloc(2 * n * sizeof(*t));
		if (!t)
			return ps_error_set(err, PS_ENOMEM, "no memory to judge %zu requests", n);
		count(requests, n, sla, t, t + n, &seen);
		enum ps_status st = correlate(t, t + n, n, sla, &seen);
		free(t);
		if (st != PS_OK)
			return ps_error_set(err, st, "no memory to judge %zu requests", n);
	}
	*ret_seen = seen;
	return PS_OK;
}

bool ps_trial_backlog_rises(const struct ps_trial_seen *seen, const struct ps_sla *sla)
{
	return seen->p_backlog <= BACKLOG_LEVEL &&
	       seen->rise_ns >= BACKLOG_RISE * (double)sla->limit_ns;
}

/* Shares are compared as counts, with room for a product like 0.05 * 20 that is not 1 in binary. */
static bool too_many(int64_t count, int64_t n, double share)
{
	return (double)count > share * (double)n + 1e-9 * (double)n;
}

static enum ps_trial_verdict judge_one(const struct ps_trial_seen *seen, const struct ps_sla *sla)
{
	if (seen->requests <= 0)
		return PS_TRIAL_FAIL_EMPTY;
	if (too_many(seen->failures, seen->requests, 1 - sla->min_success))
		return PS_TRIAL_FAIL_SUCCESS;
	if (too_many(seen->violations, seen->requests, 1 - sla->percentile))
		return PS_TRIAL_FAIL_LATENCY;
	return ps_trial_backlog_rises(seen, sla) ? PS_TRIAL_FAIL_BACKLOG : PS_TRIAL_PASS;
}

bool ps_trial_judge(const struct ps_trial_plan *plan, struct ps_trial_step *step)
{
	step->verdict = PS_TRIAL_PASS;
	step->verdict_tenant = -1;
	for (int i = 0; i < plan->n_tenants && step->verdict == PS_TRIAL_PASS; i++) {
		step->verdict = judge_one(&step->seen[i], &plan->sla[i]);
		if (step->verdict != PS_TRIAL_PASS)
			step->verdict_tenant = i;
	}
	return step->verdict == PS_TRIAL_PASS;
}

const char *ps_trial_verdict_name(enum ps_trial_verdict v)
{
	static const char *const names[] = {
		[PS_TRIAL_UNJUDGED] = "unjudged",    [PS_TRIAL_PASS] = "pass",
		[PS_TRIAL_FAIL_LATENCY] = "latency", [PS_TRIAL_FAIL_SUCCESS] = "success",
		[PS_TRIAL_FAIL_BACKLOG] = "backlog", [PS_TRIAL_FAIL_EMPTY] = "empty",
	};
	return v <= PS_TRIAL_FAIL_EMPTY ? names[v] : "unknown";
}

int64_t ps_trial_step_min_ns(const struct ps_sla *sla, double rate_rps, double n_violations)
{
	double seconds = n_violations / ((1 - sla->percentile) * rate_rps);
	return seconds < 9e9 ? (int64_t)(seconds * 1e9) : INT64_MAX;
}

int64_t ps_trial_step_warmup_ns(const struct ps_trial_plan *plan)
{
	int64_t longest = 0;
	for (int i = 0; i < plan->n_tenants; i++)
		longest = plan->sla[i].limit_ns > longest ? plan->sla[i].limit_ns : longest;
	return longest < INT64_MAX / WARMUP_LIMITS ? longest * WARMUP_LIMITS : INT64_MAX;
}

int64_t ps_trial_step_length_ns(const struct ps_trial_plan *plan, double scale)
{
	int64_t warmup = ps_trial_step_warmup_ns(plan), length = plan->step_ns;
	if (length / STEP_WARMUPS < warmup)
		length = warmup < INT64_MAX / STEP_WARMUPS ? warmup * STEP_WARMUPS : INT64_MAX;
	for (int i = 0; i < plan->n_tenants; i++) {
		int64_t least = ps_trial_step_min_ns(&plan->sla[i], plan->rate_rps[i] * scale,
						     EXPECTED_VIOLATIONS);
		least = least / MOST_STRETCH < plan->step_ns ? least : plan->step_ns * MOST_STRETCH;
		length = least > length ? least : length;
		if (plan->stop_half_width > 0) {
			double grow = 2 * (double)plan->sla[i].limit_ns / plan->stop_half_width;
			length = grow > (double)length ? (int64_t)fmin(grow, 9e18) : length;
		}
	}
	return length;
}
