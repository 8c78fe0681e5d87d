/* trial.h - the search for a capacity, as a pure state machine.   Layer 3. Uses base, stats.
 *
 * A set of tenants (one or several) is loaded along a ray: tenant i is offered scale * rate_rps[i]
 * requests/s. The capacity of the set is the highest scale at which every tenant's SLA still
 * holds; for one tenant with rate_rps 1 the scale is the rate itself.
 *
 *	init -> next: RUN at a scale -> (the caller runs the step) -> add -> next: RUN ...
 *	     -> next: CONFIRM at a scale, when the plan asks for it -> add -> next: DONE -> answer
 *
 * Steps only choose the next scale. The answer comes from one fit over all steps, and the same
 * function (ps_trial_fit) serves the search and anyone who reads stored steps later:
 *
 *	For each tenant the share v of requests over the SLA's limit is taken to grow with the
 *	scale x as logit v = logit(1 - p) + b (g(x) - g(C)), b > 0, where p is the percentile
 *	and g is log x or x, both weighted equally at first, so that neither shape is assumed.
 *	C is that tenant's capacity. The likelihood is binomial on effective counts (correlated
 *	requests count for less); a step whose backlog rose speaks for C below its scale with the
 *	strength of that test. The posterior of C, with weak priors (C even over (0, 1.1 x
 *	scale_max], the slope b x dg/dlog x at C log-normal around 10, factor 4), is
 *	computed on a grid. The capacity is its median, the interval its equal tails. It needs no
 *	large samples: after four short steps it is wide, and with more data it narrows.
 *
 *	The capacity of a set is the least of its tenants', quantile by quantile: tenants that wait
 *	in one machine are tight together, so their errors are taken as fully dependent.
 *
 * All functions are pure: no clock, no I/O, no hidden state.
 */
#ifndef PS_TRIAL_TRIAL_H
#define PS_TRIAL_TRIAL_H

#include "base/error.h"
#include "base/sla.h"
#include "stats/stats.h"

#include <stddef.h>
#include <stdint.h>

#define PS_TRIAL_MAX_TENANTS 8
#define PS_TRIAL_MAX_STEPS   128 /* of one search, confirming ones included */

/* What is searched. */
struct ps_trial_plan {
	int n_tenants;
	double rate_rps[PS_TRIAL_MAX_TENANTS]; /* offered at scale 1; > 0 */
	struct ps_sla sla[PS_TRIAL_MAX_TENANTS];
	double scale_max;	/* the most throughput seen in closed loops, in scale units (see
				 * ps_trial_scale_max): the capacity is not above 1.1 times it */
	double scale_guess;	/* where to begin; 0: chosen from scale_max */
	int64_t step_ns;	/* length of a step, warm-up not counted */
	int min_steps;		/* before stopping; at least 2 (4 when 0) */
	int max_steps;		/* at most PS_TRIAL_MAX_STEPS less max_confirms */
	int max_confirms;	/* fresh trials that confirm; 0: none */
	double stop_half_width; /* stop when half the interval is <= this share of the capacity
				 * (0.05); 0: always max_steps */
	double confidence;	/* of the interval; 0.95 when 0 */
};

/* One request as the judge of a step sees it. */
struct ps_trial_request {
	int64_t scheduled_ns; /* not decreasing */
	int64_t latency_ns;   /* done - scheduled; PS_HIST_INFINITE when there was no good answer */
};

/* What one tenant saw in one step, over the judged requests (all scheduled after the warm-up). */
struct ps_trial_seen {
	int64_t requests;
	int64_t violations;	/* over the limit, failed, timed out or unsent */
	int64_t failures;	/* of them: without a good answer */
	double effective_ratio; /* of the series "over the limit", in (0, 1] */
	double p_backlog;	/* p-value of "the latencies rise": small means a rising backlog */
	double rise_ns;		/* by how much they rose over the step, by the median slope */
};

enum ps_trial_kind { PS_TRIAL_SEARCH, PS_TRIAL_CONFIRM };

enum ps_trial_verdict {
	PS_TRIAL_UNJUDGED,
	PS_TRIAL_PASS,
	PS_TRIAL_FAIL_LATENCY, /* more requests over the limit than the percentile allows */
	PS_TRIAL_FAIL_SUCCESS, /* fewer good answers than the SLA asks for */
	PS_TRIAL_FAIL_BACKLOG, /* the backlog rose: a longer step would have failed */
	PS_TRIAL_FAIL_EMPTY,   /* no request was judged: says nothing about the capacity */
};

struct ps_trial_step {
	double scale;
	enum ps_trial_kind kind;
	struct ps_trial_seen seen[PS_TRIAL_MAX_TENANTS];
	enum ps_trial_verdict verdict; /* filled by ps_trial_judge */
	int verdict_tenant;	       /* the first tenant that failed; -1 */
};

/* ps_trial_observe turns a tenant's requests of one step into counts. Requests scheduled before
 * `from_ns` are warm-up and not judged. The effective ratio is the smaller of those of "over the
 * limit" and of the latencies themselves (the former cannot be seen when nothing is over it).
 * PS_ENOMEM; PS_EINVAL without an SLA. O(n). */
enum ps_status ps_trial_observe(const struct ps_trial_request *requests, size_t n, int64_t from_ns,
				const struct ps_sla *sla, struct ps_trial_seen *ret_seen,
				struct ps_error *err);

/* ps_trial_backlog_rises says whether what was seen is a rising backlog: p_backlog <= 0.01 and a
 * rise of at least a quarter of the limit. */
bool ps_trial_backlog_rises(const struct ps_trial_seen *seen, const struct ps_sla *sla);

/* ps_trial_judge fills the verdict of a step; returns whether it passed. A step passes when for
 * each tenant the share of violations is at most 1 - percentile, the share of failures at most
 * 1 - min_success, and the backlog did not rise. */
bool ps_trial_judge(const struct ps_trial_plan *plan, struct ps_trial_step *step);

/* ps_trial_verdict_name returns "pass", "latency", "success", "backlog", "empty", "unjudged". */
const char *ps_trial_verdict_name(enum ps_trial_verdict v);

enum ps_trial_confirmed {
	PS_TRIAL_NOT_TRIED,
	PS_TRIAL_CONFIRMED, /* a fresh trial at `confirmed_scale` kept every SLA */
	PS_TRIAL_REFUTED,   /* fresh trials violated an SLA wherever they were tried */
};

/* The answer. Scales; multiply by the plan's rate_rps for rates. */
struct ps_trial_answer {
	/* The capacity. lo is 0 when the data do not bound it from below; hi is the end of the
	 * prior (1.1 scale_max) and open_above is true when they do not bound it from above. */
	struct ps_stats_interval scale;
	bool open_below, open_above;
	double half_width; /* (hi - lo) / 2 / value; INFINITY when either end is open */
	struct ps_stats_interval tenant_scale[PS_TRIAL_MAX_TENANTS]; /* each tenant's own C */
	int binding_tenant; /* whose capacity is the least */
	enum ps_trial_confirmed confirmed;
	double confirmed_scale; /* the highest scale that a fresh trial confirmed, 0 if none */
	bool cut; /* a confirming trial violated an SLA at or below the fitted capacity: `scale`
		   * was lowered to the highest scale below it that passed (or 0) */
	int steps_used;
};

/* ps_trial_all_seen says whether every tenant had a judged request in some step: what a fit needs.
 */
bool ps_trial_all_seen(const struct ps_trial_plan *plan, const struct ps_trial_step *steps,
		       int n_steps);
/* ps_trial_fit answers over stored or running steps, in any order. PS_EINVAL (no judged step, or a
 * plan that is wrong), PS_ENOMEM. About a millisecond. */
enum ps_status ps_trial_fit(const struct ps_trial_plan *plan, const struct ps_trial_step *steps,
			    int n_steps, struct ps_trial_answer *ret_answer, struct ps_error *err);

/* A point of the figure "share over the limit against rate": what was seen, and its monotone fit.
 * The intervals are Clopper-Pearson on effective counts. */
struct ps_trial_point {
	double scale;
	double weight;			/* effective requests; 0: none, then share is NaN */
	struct ps_stats_interval share; /* of violations */
	double monotone;		/* isotonic fit over all steps */
};
/* ps_trial_points fills n_steps points of one tenant in rising order of scale. PS_ENOMEM. */
enum ps_status ps_trial_points(const struct ps_trial_plan *plan, const struct ps_trial_step *steps,
			       int n_steps, int tenant, struct ps_trial_point *ret_points);

/* ---- the search ---- */

enum ps_trial_action { PS_TRIAL_RUN, PS_TRIAL_RUN_CONFIRM, PS_TRIAL_DONE };
enum ps_trial_stop {
	PS_TRIAL_GOING_ON,
	PS_TRIAL_STOP_PRECISE,	/* half-width reached */
	PS_TRIAL_STOP_STEPS,	/* max_steps */
	PS_TRIAL_STOP_HOPELESS, /* even a hundredth of scale_max violates an SLA */
};

struct ps_trial_next {
	enum ps_trial_action action;
	double scale;		    /* to offer, for RUN and RUN_CONFIRM */
	enum ps_trial_stop stop;    /* why searching ended */
	int steps_done, steps_most; /* for progress displays */
};

struct ps_trial_search {
	struct ps_trial_plan plan;
	struct ps_trial_step steps[PS_TRIAL_MAX_STEPS];
	int n_steps;
	struct ps_trial_answer answer; /* over the steps so far; valid when n_steps > 0 */
	enum ps_trial_stop stop;
};

/* ps_trial_scale_max returns what closed loops showed, in units of the plan's ray: `alone_rps` of
 * each tenant by itself (> 0), `together_rps` of all at once (NULL: not tried). Machine time adds
 * up: at scale x tenant i takes the share x rate_i / alone_i of a machine, so the whole of it is
 * used at 1 / sum(rate_i / alone_i). All at once may get more than one machine's worth, sum(
 * together_i / alone_i), where each alone leaves lanes idle; then the scale is as much higher. */
double ps_trial_scale_max(const struct ps_trial_plan *plan, const double *alone_rps,
			  const double *together_rps);
/* ps_trial_plan_check says what is wrong with a plan. PS_EINVAL. */
enum ps_status ps_trial_plan_check(const struct ps_trial_plan *plan, struct ps_error *err);
/* ps_trial_search_init begins; the plan is copied. PS_EINVAL. Holds no memory: no fini. */
enum ps_status ps_trial_search_init(struct ps_trial_search *s, const struct ps_trial_plan *plan,
				    struct ps_error *err);
/* ps_trial_search_next says what to run next. Calling it again changes nothing. */
struct ps_trial_next ps_trial_search_next(const struct ps_trial_search *s);
/* ps_trial_search_add takes the result of a step: scale, kind and seen must be filled; it is judged
 * and the answer is fitted anew. The scale may differ from the one asked for (say what was really
 * offered). Also restores a search from stored steps. PS_EINVAL, PS_ENOMEM. */
enum ps_status ps_trial_search_add(struct ps_trial_search *s, const struct ps_trial_step *step,
				   struct ps_error *err);
/* ps_trial_stop_name returns "going on", "precise", "steps", "hopeless". */
const char *ps_trial_stop_name(enum ps_trial_stop stop);

/* ps_trial_step_min_ns returns how long a step must be at `rate_rps` so that `n_violations` of the
 * allowed ones are expected (10 is a good number): n / ((1 - p) rate). */
int64_t ps_trial_step_min_ns(const struct ps_sla *sla, double rate_rps, double n_violations);
/* ps_trial_step_warmup_ns returns how long a step should be warmed up: 20 of the longest limit. A
 * queue that began empty looks better than it is, and its filling looks like a rising backlog. */
int64_t ps_trial_step_warmup_ns(const struct ps_trial_plan *plan);
/* ps_trial_step_length_ns returns how long the step at `scale` should be: step_ns, or more when a
 * tenant would see less than 10 of the allowed violations (ten times step_ns at most), or when 2
 * limits / stop_half_width is longer (a backlog needs time to grow: short steps overstate a
 * capacity). */
int64_t ps_trial_step_length_ns(const struct ps_trial_plan *plan, double scale);

/* ---- blocks ---- */

/* ps_trial_block_order fills order[0..n_cells) with a permutation of 0..n_cells-1 that depends on
 * (seed, block) only. Two blocks in a row (2k, 2k + 1) mirror each other (A B B A), so that a drift
 * of the machine falls on all cells alike. */
void ps_trial_block_order(uint64_t seed, int block, int n_cells, int *ret_order);

#endif
