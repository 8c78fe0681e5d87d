#include "plan/plan_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	STARTS = 4,
	STRICT_STARTS = 3,
	STEPS_BASE = 3000,
	STEPS_PER_MACHINE = 150,
	LONG_STEPS_PER_MACHINE = 500,
	MANY_KINDS = 200, /* for which greedy starts take their time */
};
#define SEARCH_SHARE 0.25 /* of the time, for local search before branch and price */
#define PRICE_ROWS   400  /* kinds up to which branch and price comes */

static int *parts_of(const struct ps_plan_space *s)
{
	int *parts = malloc((size_t)s->kinds * sizeof(*parts));

	for (int k = 0; parts && k < s->kinds; k++)
		parts[k] = s->p->kinds[k].parts;
	return parts;
}

/* Greedy plans, the first without noise, and after the first those that go by strictness. */
static enum ps_status start(const struct ps_plan_space *s, int i, struct ps_rng *r,
			    struct ps_plan_bins *ret_bins)
{
	static const double tilts[] = {0, 0.3, 1};
	int *parts = parts_of(s);
	enum ps_status st = PS_ENOMEM;

	if (parts && i > 0 && i <= STRICT_STARTS)
		st = ps_plan_strict(s, parts, NULL, 0, tilts[i - 1], 0, r, ret_bins);
	else if (parts)
		st = ps_plan_greedy(s, parts, NULL, 0, i > 0 ? 0.05 * (i - STRICT_STARTS) : 0, r,
				    ret_bins);
	free(parts);
	return st;
}

/* The kinds of the group of kind k, ascending. */
static int group_of(const struct ps_plan_space *s, int k, int *ret_kinds)
{
	int n = 0, group = s->o->group(s->o->ctx, k);

	for (int i = 0; i < s->kinds; i++)
		if (s->o->group(s->o->ctx, i) == group)
			ret_kinds[n++] = i;
	return n;
}

static enum ps_status move(struct ps_plan_bins *from, struct ps_plan_bins *to)
{
	enum ps_status st = PS_OK;

	for (int i = 0; st == PS_OK && i < from->n; i++)
		st = ps_plan_bins_take(to, &from->items[i]) ? PS_OK : PS_ENOMEM;
	ps_plan_bins_fini(from);
	return st;
}

/* The machine that was filled last, from what was left, gives its parts back. */
static void give_back_last(struct ps_plan_bins *bins, int *parts)
{
	struct ps_plan_bin *b = &bins->items[bins->n - 1];

	for (int i = 0; i < b->n; i++)
		parts[b->set[i].kind] += b->set[i].count;
	ps_plan_bin_fini(b);
	bins->n--;
}

/* One group after the other, so that nobody is slowed down; what each has left for a machine that
 * it would not fill, all together at the end. */
static enum ps_status start_by_groups(const struct ps_plan_space *s, bool ends_together,
				      struct ps_rng *r, struct ps_plan_bins *ret_bins)
{
	int *parts = parts_of(s), *kinds = malloc((size_t)s->kinds * sizeof(*kinds));
	bool *done = calloc((size_t)s->kinds, sizeof(*done));
	enum ps_status st = parts && kinds && done ? PS_OK : PS_ENOMEM;
	struct ps_plan_bins bins = {0};

	for (int k = 0; st == PS_OK && k < s->kinds; k++) {
		if (done[k])
			continue;
		int n = group_of(s, k, kinds);
		for (int i = 0; i < n; i++)
			done[kinds[i]] = true;
		st = ps_plan_strict(s, parts, kinds, n, 0.3, 0, r, &bins);
		if (st == PS_OK && ends_together && bins.n > 0)
			give_back_last(&bins, parts);
		if (st == PS_OK)
			st = move(&bins, ret_bins);
	}
	if (st == PS_OK && ends_together)
		st = ps_plan_strict(s, parts, NULL, 0, 0.3, 0, r, &bins);
	if (st == PS_OK)
		st = move(&bins, ret_bins);
	free(parts);
	free(kinds);
	free(done);
	if (st != PS_OK)
		ps_plan_bins_fini(ret_bins);
	return st;
}

/* The cheapest of a few plans. */
static enum ps_status begin(const struct ps_plan_space *s, struct ps_rng *r,
			    struct ps_plan_bins *ret_bins)
{
	struct ps_plan_bins best = {0};

	/* Who limits the steps wants an answer soon. Where groups slow each other down, machines of
	 * one group are the likeliest. */
	int starts = s->options->steps > 0 ? 2 : STARTS + STRICT_STARTS;
	int groups = s->o->group ? 2 : 0;

	for (int i = -groups; i < starts; i++) {
		struct ps_plan_bins bins = {0};
		/* Greedy filling asks of each machine whether anybody fits beside all others: slow
		 * to say where all slow each other down, and no better. */
		if (groups && s->kinds > MANY_KINDS && (i == 0 || i > STRICT_STARTS))
			continue;
		enum ps_status st =
			i < 0 ? start_by_groups(s, i == -1, r, &bins) : start(s, i, r, &bins);
		if (st != PS_OK) {
			ps_plan_bins_fini(&best);
			return st;
		}
		if (i > -groups && ps_plan_bins_cost(s, &bins) >= ps_plan_bins_cost(s, &best)) {
			ps_plan_bins_fini(&bins);
		} else {
			ps_plan_bins_fini(&best);
			best = bins;
		}
		if (ps_plan_space_late(s))
			break;
	}
	*ret_bins = best;
	return PS_OK;
}

/* First fit decreasing, where there is time for it: the plan to begin with when it is cheaper. */
static enum ps_status try_decreasing(const struct ps_plan_space *s, struct ps_plan_result *r,
				     struct ps_plan_bins *bs)
{
	struct ps_plan_bins bins;

	if (s->options->steps > 0 || ps_plan_space_late(s))
		return PS_OK;
	enum ps_status st = ps_plan_decreasing(s, &bins);
	if (st != PS_OK)
		return st;
	r->decreasing_usd_per_hour = ps_plan_bins_cost(s, &bins);
	if (r->decreasing_usd_per_hour < ps_plan_bins_cost(s, bs) - PS_PLAN_EPS) {
		struct ps_plan_bins dearer = *bs;
		*bs = bins;
		bins = dearer;
	}
	ps_plan_bins_fini(&bins);
	return PS_OK;
}

/* Machines of one price and set stand together, dear ones first. */
static int by_type(const void *a, const void *b)
{
	const struct ps_plan_bin *x = a, *y = b;

	if (x->type != y->type)
		return x->type > y->type ? 1 : -1;
	int n = x->n < y->n ? x->n : y->n;
	for (int i = 0; i < n; i++) {
		if (x->set[i].kind != y->set[i].kind)
			return x->set[i].kind > y->set[i].kind ? 1 : -1;
		if (x->set[i].count != y->set[i].count)
			return x->set[i].count < y->set[i].count ? 1 : -1;
	}
	return (x->n > y->n) - (x->n < y->n);
}

static enum ps_status to_solution(const struct ps_plan_space *s, struct ps_plan_bins *bs,
				  struct ps_plan_solution *ret_plan, struct ps_error *err)
{
	struct ps_plan_solution plan = {0};

	plan.machines = calloc((size_t)bs->n + 1, sizeof(*plan.machines));
	if (!plan.machines)
		return ps_error_set(err, PS_ENOMEM, "no memory for a plan");
	if (bs->n > 0)
		qsort(bs->items, (size_t)bs->n, sizeof(*bs->items), by_type);
	plan.usd_per_hour = ps_plan_bins_cost(s, bs);
	plan.n = bs->n;
	for (int i = 0; i < bs->n; i++) {
		struct ps_plan_bin *b = &bs->items[i];
		plan.machines[i] = (struct ps_plan_machine){b->type, b->n, b->set};
		b->set = NULL;
	}
	*ret_plan = plan;
	return PS_OK;
}

static void search(struct ps_plan_space *s, struct ps_plan_bins *bs, struct ps_plan_result *r,
		   struct ps_rng *rng)
{
	const struct ps_plan_options *o = s->options;
	int64_t deadline = s->deadline_ns;
	bool more_comes = o->method == PS_PLAN_AUTO && s->kinds <= PRICE_ROWS;
	int64_t each = more_comes ? STEPS_PER_MACHINE : LONG_STEPS_PER_MACHINE;
	int64_t steps = o->steps > 0 ? o->steps : STEPS_BASE + each * bs->n;

	if (more_comes)
		s->deadline_ns -= (int64_t)((1 - SEARCH_SHARE) * (double)o->time_limit_ns);
	double goal = ps_plan_bound_round(s, r->bound_usd_per_hour) * (1 + o->gap);
	r->steps = ps_plan_improve(s, bs, steps, goal + PS_PLAN_EPS, NULL, rng);
	s->deadline_ns = deadline;
	r->heuristic_usd_per_hour = ps_plan_bins_cost(s, bs);
}

/* Who limits the steps asks for a plan, and not for a proof. */
static void set_bound(struct ps_plan_space *s, struct ps_plan_result *r)
{
	r->bound_usd_per_hour = ps_plan_bound_fractional(s);
	double company = s->options->steps > 0 ? 0 : ps_plan_bound_company(s);
	if (company <= r->bound_usd_per_hour)
		return;
	r->bound_usd_per_hour = company;
	r->bound_by = PS_PLAN_COMPANY;
}

static enum ps_status find(struct ps_plan_space *s, struct ps_plan_bins *bs,
			   struct ps_plan_result *r, struct ps_error *err)
{
	struct ps_rng rng;

	ps_rng_init(&rng, s->options->seed, ps_rng_stream("plan/search"));
	set_bound(s, r);
	if (s->options->method == PS_PLAN_EXHAUSTIVE) {
		enum ps_status st = ps_plan_brute(s, bs, err);
		if (st == PS_OK) {
			r->bound_usd_per_hour = r->heuristic_usd_per_hour =
				ps_plan_bins_cost(s, bs);
			r->bound_by = PS_PLAN_COMPLETE;
		}
		return st;
	}
	if (begin(s, &rng, bs) != PS_OK || try_decreasing(s, r, bs) != PS_OK)
		return ps_error_set(err, PS_ENOMEM, "no memory for a plan");
	r->start_usd_per_hour = ps_plan_bins_cost(s, bs);
	search(s, bs, r, &rng);
	double rounded = ps_plan_bound_round(s, r->bound_usd_per_hour);
	bool open = ps_plan_bins_cost(s, bs) > rounded * (1 + s->options->gap) + PS_PLAN_EPS;
	if (s->options->method != PS_PLAN_AUTO || !open)
		return PS_OK;
	return ps_plan_branch_and_price(s, bs, r, err);
}

static void finish(const struct ps_plan_space *s, struct ps_plan_result *r)
{
	double usd = r->plan.usd_per_hour;

	r->bound_usd_per_hour = fmin(usd, ps_plan_bound_round(s, r->bound_usd_per_hour));
	r->optimal = usd - r->bound_usd_per_hour <= PS_PLAN_EPS * usd;
	r->cut_by_time = !r->optimal && (r->cut_by_time || ps_plan_space_late(s));
}

enum ps_status ps_plan_solve(const struct ps_plan_problem *p, const struct ps_plan_options *o,
			     struct ps_plan_result *ret_result, int *ret_kind, struct ps_error *err)
{
	struct ps_plan_space s;
	struct ps_plan_bins bs = {0};
	struct ps_plan_result r = {0};
	enum ps_status st = ps_plan_space_init(&s, p, o, ret_kind, err);

	if (st != PS_OK)
		return st;
	s.was_late = &r.cut_by_time;
	st = find(&s, &bs, &r, err);
	if (st == PS_OK)
		st = to_solution(&s, &bs, &r.plan, err);
	if (st == PS_OK)
		st = ps_plan_check(p, &r.plan, err);
	ps_plan_bins_fini(&bs);
	if (st == PS_OK) {
		finish(&s, &r);
		*ret_result = r;
	} else {
		ps_plan_solution_free(&r.plan);
	}
	ps_plan_space_fini(&s);
	return st;
}
