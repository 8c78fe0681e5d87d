/* Which items run together. */
#include "sched/sched_internal.h"

#include <math.h>

enum {
	LOOK_AT = 16, /* buckets passed over before a batch is taken as it is */
};

/* A larger batch must save this share of the time per row; an untried one gets the benefit of the
 * doubt. */
static const double worth_it = 0.98;

/* An item is run while its deadline leaves this quantile of the service time; while others wait the
 * lane is worth more to them than a run that is late rather than not. */
static const double worth_running_idle = 0.1, worth_running_busy = 0.6;

/* The smallest of the sizes worth looking at that is more than `rows`: powers of two, what is
 * preferred, and what is there. */
static int64_t next_size(const struct instance *i, int64_t rows, int64_t most)
{
	int64_t next = 1;
	while (next <= rows)
		next *= 2;
	for (int k = 0; k < i->config.n_preferred; k++)
		if (i->config.preferred[k] > rows && i->config.preferred[k] < next)
			next = i->config.preferred[k];
	return next < most ? next : most;
}

static bool is_power_of_two(int64_t n)
{
	return (n & (n - 1)) == 0;
}

/* Sizes in between are believed to lie in between; only the others are tried out. */
static double time_per_row(const struct instance *i, int64_t rows, bool wide, bool first)
{
	double ns = learn_mean_ns(i, rows, wide);
	if (!first && !wide && is_power_of_two(rows))
		ns = fmin(ns, learn_trial_ns(i, rows) * (worth_it - 0.01));
	return ns / (double)rows;
}

int64_t batch_rows(const struct instance *i, int64_t first, int64_t waiting, double budget_ns,
		   double limit_ns)
{
	int64_t most = waiting < i->config.max_batch ? waiting : i->config.max_batch;
	double limit = limit_ns;
	int64_t best = first;
	double best_per_row = time_per_row(i, first, false, true);
	if (i->config.max_run_ns && (double)i->config.max_run_ns < limit)
		limit = (double)i->config.max_run_ns;
	for (int64_t rows = first; rows < most;) {
		rows = next_size(i, rows, most);
		if (learn_ns(i, rows, false, 0.9) > limit ||
		    learn_mean_ns(i, rows, false) > budget_ns)
			break;
		double per_row = time_per_row(i, rows, false, false);
		if (per_row <= worth_it * best_per_row) {
			best = rows;
			best_per_row = per_row;
		}
	}
	return best;
}

double batch_budget_ns(const struct ps_sched_item *it, int64_t arrived_ns)
{
	return it->deadline_ns && !it->unchecked ? (double)(it->deadline_ns - arrived_ns) / 2
						 : INFINITY;
}

static bool starts_too_late(const struct ps_sched_item *it, int64_t now_ns)
{
	return it->start_by_ns && it->start_by_ns <= now_ns;
}

bool batch_hopeless(const struct ps_sched *s, const struct ps_sched_item *it, int64_t now_ns)
{
	if (starts_too_late(it, now_ns))
		return true;
	if (!it->deadline_ns)
		return false;
	if (it->deadline_ns <= now_ns)
		return true;
	double q = s->len > 1 ? worth_running_busy : worth_running_idle;
	double ns = learn_ns(&s->instances[it->instance], it->rows, s->options.wide, q);
	return !it->unchecked && (double)now_ns + ns > (double)it->deadline_ns;
}

/* One that may not be begun any more has not been promised a start: nothing is learned from it. */
void batch_drop(struct ps_sched *s, struct ps_sched_item *it, int64_t now_ns)
{
	if (!starts_too_late(it, now_ns))
		margin_outcome(s, it, true, 0, now_ns);
	queue_unlink(s, it);
}

/* What is being put together. */
struct filling {
	struct ps_sched *s;
	struct ps_sched_run *run;
	const struct instance *instance;
	struct ps_sched_item **end;
	int64_t now_ns, target;
	double price_ns; /* cost of a row, until the batch is known */
	double most_ns;	 /* as the slowest of the last runs */
};

static void take(struct filling *f, struct ps_sched_item *it)
{
	struct flow *flow = flow_of(f->s, it->tenant);
	queue_unlink(f->s, it);
	it->next = NULL;
	*f->end = it;
	f->end = &it->next;
	f->run->n++;
	f->run->rows += it->rows;
	it->charged_ns = f->price_ns * (double)it->rows;
	flow->run_cost += it->charged_ns;
	flow->cost_ns += it->charged_ns;
	flow->tag += it->charged_ns / (double)flow->weight;
	if (f->target > it->rows) /* else fair_charge does it */
		fair_rekey(f->s, flow);
}

/* The tag of whoever is most behind of those that still wait, but for `flow`. */
static double least_tag(const struct filling *f, const struct flow *flow)
{
	const struct ps_sched_node *n = f->s->classes[flow->class].active.first;
	if (n && FLOW_ACTIVE(n) == flow)
		n = n->next;
	return n ? FLOW_ACTIVE(n)->tag : INFINITY;
}

/* Whether a tenant may have a place in a batch that is not its turn. It may when nobody who stays
 * behind has a better right: then the place would be empty. Else not with a single lane, where the
 * bound on fairness is as tight as one turn. With several it has room for being ahead by what is
 * under way on the others: then as far as the tenant's own largest turns would take it, by the
 * slowest of the last runs. */
static bool may_ride(const struct filling *f, const struct ps_sched_item *it)
{
	const struct flow *flow = flow_of(f->s, it->tenant);
	double weight = (double)flow->weight, lanes = f->s->options.n_lanes;
	double ahead_ns = (flow->tag - least_tag(f, flow)) * weight - flow->run_cost;
	if (ahead_ns <= 1e-9 * flow->tag * weight)
		return true;
	if (f->price_ns <= 0)
		return false; /* nobody knows how far it would take it */
	double rows = flow->run_cost / f->price_ns + (double)it->rows;
	return lanes > 1 && ahead_ns + f->most_ns * rows <= flow->largest * lanes / 2;
}

static double slack_ns(const struct ps_sched_item *it, int64_t now_ns)
{
	return it->deadline_ns && !it->unchecked ? (double)(it->deadline_ns - now_ns) : INFINITY;
}

/* A deadline that the item could make alone bounds the batch that it joins. */
static bool fits(struct filling *f, const struct ps_sched_item *it)
{
	int64_t rows = f->run->rows + it->rows;
	double slack = slack_ns(it, f->now_ns);
	if (rows > f->target)
		return false;
	if (learn_ns(f->instance, f->target, false, 0.9) <= slack ||
	    learn_ns(f->instance, it->rows, false, 0.9) > slack)
		return true;
	if (learn_ns(f->instance, rows, false, 0.9) > slack)
		return false;
	f->target = batch_rows(f->instance, rows, f->target, INFINITY, slack);
	return true;
}

static bool class_may_join(const struct filling *f, const struct flow *flow)
{
	return flow->class == f->run->class ||
	       f->s->classes[flow->class].running < lanes_of(f->s, flow->class);
}

/* The next in fair order that may join; *ret_expired when it is not worth a run. */
static struct ps_sched_item *next_item(struct filling *f, const struct group *g, bool *ret_expired)
{
	int looked = 0;
	*ret_expired = false;
	for (struct ps_sched_node *n = g->buckets.first; n && looked < LOOK_AT;
	     n = n->next, looked++) {
		struct ps_sched_item *it = ITEM_OF(BUCKET_IN_GROUP(n)->items.first);
		if (batch_hopeless(f->s, it, f->now_ns)) {
			*ret_expired = true;
			return it;
		}
		if (class_may_join(f, flow_of(f->s, it->tenant)) && may_ride(f, it) && fits(f, it))
			return it;
	}
	return NULL;
}

static void fill(struct filling *f, struct group *g)
{
	while (f->run->rows < f->target && f->run->n < PS_SCHED_MAX_BATCH && g->oldest) {
		bool expired;
		struct ps_sched_item *it = next_item(f, g, &expired);
		if (!it)
			return;
		if (expired) {
			batch_drop(f->s, it, f->now_ns);
			continue;
		}
		take(f, it);
	}
}

/* Other idle lanes get their part of what waits. */
static int64_t rows_for_one_lane(const struct ps_sched *s, const struct group *g)
{
	int64_t idle = s->options.n_lanes - s->running;
	return idle > 1 && !s->options.wide ? (g->rows + idle - 1) / idle : g->rows;
}

void batch_take(struct ps_sched *s, struct ps_sched_item *it, int64_t now_ns,
		struct ps_sched_run *run)
{
	struct group *g = it->bucket->group;
	struct flow *flow = flow_of(s, it->tenant);
	struct filling f = {.s = s,
			    .run = run,
			    .instance = &s->instances[it->instance],
			    .end = &run->first,
			    .now_ns = now_ns,
			    .target = it->rows};
	fair_advance(s, flow);
	run->class = flow->class;
	run->instance = it->instance;
	if (batch_may(f.instance))
		f.target = batch_rows(f.instance, it->rows, rows_for_one_lane(s, g),
				      batch_budget_ns(it, it->arrived_ns), slack_ns(it, now_ns));
	double cpus = s->options.wide ? s->options.cpus : 1, rows = (double)f.target;
	f.price_ns = learn_mean_ns(f.instance, f.target, s->options.wide) * cpus / rows;
	f.most_ns = learn_ns(f.instance, f.target, s->options.wide, 1) * cpus / rows;
	take(&f, it);
	fill(&f, g);
	queue_settle(s, g, now_ns);
}
