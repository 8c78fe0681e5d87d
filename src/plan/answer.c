#include "plan/answer.h"

#include "plan/case_internal.h"

#include <math.h>
#include <string.h>

#define TRY_SHARE   0.3 /* of the time, for trying splits */
#define TRY_STEPS   400 /* of local search, per split that is tried */
#define OTHER_SHARE 0.25

static const double finenesses[] = {0, 1, 0.5, 0.25};

static void tell(const struct ps_plan_answer_options *o, const char *what)
{
	if (o->progress)
		o->progress(o->progress_ctx, what);
}

/* ---- who is where ---- */

/* The tenants of each kind, one kind behind the other. */
struct members {
	int *tenants, *first, *next; /* [tenants], [kinds + 1], [kinds] */
};

static void members_fini(struct members *m)
{
	free(m->tenants);
	free(m->first);
	free(m->next);
}

static bool members_init(struct members *m, const struct ps_plan_split *s)
{
	size_t kinds = (size_t)s->n_kinds;

	*m = (struct members){
		.tenants = calloc((size_t)s->c->n_tenants, sizeof(int)),
		.first = calloc(kinds + 1, sizeof(int)),
		.next = calloc(kinds, sizeof(int)),
	};
	if (!m->tenants || !m->first || !m->next) {
		members_fini(m);
		return false;
	}
	for (int k = 0; k < s->n_kinds; k++)
		m->first[k + 1] = m->first[k] + s->kinds[k].most;
	for (int i = 0; i < s->c->n_tenants; i++) {
		int k = s->kind_of[i];
		m->tenants[m->first[k] + m->next[k]++] = i;
	}
	memset(m->next, 0, kinds * sizeof(int));
	return true;
}

/* Round robin: since no machine has more parts of a kind than it has tenants, no tenant is twice on
 * one, and each gets its parts. */
static int next_member(struct members *m, const struct ps_plan_split *s, int kind)
{
	int tenant = m->tenants[m->first[kind] + m->next[kind]];

	m->next[kind] = (m->next[kind] + 1) % s->kinds[kind].most;
	return tenant;
}

static bool fill_machine(const struct ps_plan_split *s, struct members *m,
			 const struct ps_plan_machine *from, struct ps_plan_rented *to)
{
	struct ps_plan_forecast *f = calloc((size_t)from->n + 1, sizeof(*f));
	size_t places = 0;

	for (int i = 0; i < from->n; i++)
		places += (size_t)from->set[i].count;
	*to = (struct ps_plan_rented){.type = from->type};
	to->places = calloc(places + 1, sizeof(*to->places));
	if (!f || !to->places) {
		free(f);
		return false;
	}
	s->oracle.foresee(s->oracle.ctx, from->type, from->set, from->n, f, &to->state);
	for (int i = 0; i < from->n; i++) {
		for (int j = 0; j < from->set[i].count; j++) {
			int tenant = next_member(m, s, from->set[i].kind);
			to->places[to->n++] = (struct ps_plan_place){
				.tenant = tenant,
				.traffic = 1.0 / s->parts[tenant],
				.forecast = f[i],
			};
		}
	}
	free(f);
	return true;
}

static void rented_free(struct ps_plan_rented *rented, int n)
{
	for (int i = 0; rented && i < n; i++)
		free(rented[i].places);
	free(rented);
}

/* The machines of a solution with tenants in them; NULL without memory. */
static struct ps_plan_rented *rent(const struct ps_plan_split *s,
				   const struct ps_plan_solution *plan)
{
	struct ps_plan_rented *rented = calloc((size_t)plan->n + 1, sizeof(*rented));
	struct members m;

	if (!rented || !members_init(&m, s)) {
		free(rented);
		return NULL;
	}
	bool fine = true;
	for (int i = 0; fine && i < plan->n; i++)
		fine = fill_machine(s, &m, &plan->machines[i], &rented[i]);
	members_fini(&m);
	if (fine)
		return rented;
	rented_free(rented, plan->n);
	return NULL;
}

static enum ps_status keep_other(const struct ps_plan_split *s, int type,
				 const struct ps_plan_solution *plan, struct ps_plan_other *o,
				 struct ps_error *err)
{
	struct ps_plan_rented *rented = rent(s, plan);

	if (!rented)
		return ps_error_set(err, PS_ENOMEM, "no memory to compare");
	rented_free(o->rented, o->machines);
	*o = (struct ps_plan_other){
		.machines = plan->n,
		.type = type,
		.usd_per_hour = plan->usd_per_hour,
		.rented = rented,
	};
	return PS_OK;
}

/* ---- which split ---- */

struct choice {
	double fineness, usd;
	enum ps_plan_spot with_spot;
	bool cut_by_time; /* a try was */
};

static struct ps_plan_options solver_options(const struct ps_plan_answer_options *o, int64_t ns)
{
	return (struct ps_plan_options){
		.clock = o->clock,
		.time_limit_ns = ns,
		.seed = o->seed,
		.gap = o->gap,
		.method = o->method,
		.only_type = -1,
	};
}

static bool same_parts(const struct ps_plan_split *a, const struct ps_plan_split *b)
{
	return a->parts && b->parts && a->with_spot == b->with_spot &&
	       memcmp(a->parts, b->parts, (size_t)a->c->n_tenants * sizeof(*a->parts)) == 0;
}

/* Dedicated machines may be cut as suits them best. */
static enum ps_status consider_dedicated(const struct ps_plan_split *s, struct ps_plan_answer *a,
					 struct ps_error *err)
{
	struct ps_plan_solution plan;
	enum ps_status st = ps_plan_dedicated(&s->problem, &plan, err);

	if (st != PS_OK)
		return st;
	if (a->dedicated.machines == 0 || plan.usd_per_hour < a->dedicated.usd_per_hour)
		st = keep_other(s, -1, &plan, &a->dedicated, err);
	ps_plan_solution_free(&plan);
	return st;
}

static enum ps_status try_split(const struct ps_plan_answer_options *o, int64_t ns,
				const struct ps_plan_split *s, struct choice *x,
				struct ps_error *err)
{
	struct ps_plan_options so = solver_options(o, ns);
	struct ps_plan_result r;

	so.method = PS_PLAN_HEURISTIC;
	so.steps = TRY_STEPS;
	enum ps_status st = ps_plan_solve(&s->problem, &so, &r, NULL, err);
	if (st == PS_OK) {
		x->usd = r.plan.usd_per_hour;
		x->cut_by_time = r.cut_by_time;
		ps_plan_solution_free(&r.plan);
	}
	return st;
}

/* Finer splits may be too many parts; that only means they are not taken. */
static bool is_refusal_of_fine(enum ps_status st, double fineness)
{
	return fineness > 0 && (st == PS_ETOOBIG || st == PS_EINVAL);
}

static enum ps_status try_splits(const struct ps_plan_case *c,
				 const struct ps_plan_answer_options *o,
				 enum ps_plan_spot with_spot, struct ps_plan_answer *a,
				 struct choice *best, struct ps_error *err)
{
	int n = (int)(sizeof(finenesses) / sizeof(*finenesses));
	int64_t ns = (int64_t)(TRY_SHARE / (n * (1 + c->has_spot + c->has_replaced)) *
			       (double)o->time_limit_ns);
	struct ps_plan_split before = {0}, s;
	enum ps_status st = PS_OK;

	n = o->method == PS_PLAN_EXHAUSTIVE ? 1 : n;
	for (int i = 0; st == PS_OK && i < n; i++) {
		struct choice x = {finenesses[i], INFINITY, with_spot, false};
		st = ps_plan_case_split(c, finenesses[i], with_spot, &s, err);
		if (is_refusal_of_fine(st, finenesses[i])) {
			st = PS_OK;
			break;
		}
		if (st != PS_OK)
			break;
		bool fresh = !same_parts(&before, &s);
		if (fresh && !with_spot && o->compare)
			st = consider_dedicated(&s, a, err);
		if (st == PS_OK && fresh)
			st = try_split(o, ns, &s, &x, err);
		a->splits_tried += fresh;
		bool cut = best->cut_by_time || x.cut_by_time;
		if (st == PS_OK && x.usd < best->usd * (1 - 1e-9))
			*best = x;
		best->cut_by_time = cut;
		ps_plan_split_fini(&before);
		before = s;
		memset(&s, 0, sizeof(s));
	}
	ps_plan_split_fini(&before);
	return st;
}

/* ---- the others ---- */

/* The best with machines of one type: greedy and a little search on each. */
static enum ps_status best_of_one_type(const struct ps_plan_answer_options *o,
				       struct ps_plan_answer *a, struct ps_error *err)
{
	int64_t ns = (int64_t)(OTHER_SHARE * (double)o->time_limit_ns);
	int64_t end = ps_clock_read(o->clock) + ns;
	struct ps_plan_options so = solver_options(o, ns / (a->c->n_types + 1));

	so.method = PS_PLAN_HEURISTIC;
	so.steps = TRY_STEPS;
	a->homogeneous.why = "no type may hold every tenant";
	for (int t = 0; t < a->c->n_types; t++) {
		struct ps_plan_result r;
		if (ps_clock_read(o->clock) >= end) {
			a->homogeneous.why = "the time was over before one was found";
			break;
		}
		so.only_type = t;
		if (a->c->types[t].spot)
			continue;
		enum ps_status st = ps_plan_solve(&a->split.problem, &so, &r, NULL, err);
		if (st == PS_EINVAL)
			continue; /* somebody cannot be on this type */
		if (st != PS_OK)
			return st;
		struct ps_plan_other *best = &a->homogeneous;
		if (best->machines == 0 || r.plan.usd_per_hour < best->usd_per_hour)
			st = keep_other(&a->split, t, &r.plan, best, err);
		ps_plan_solution_free(&r.plan);
		if (st != PS_OK)
			return st;
	}
	return PS_OK;
}

/* ---- all of it ---- */

static enum ps_status choose(const struct ps_plan_case *c, const struct ps_plan_answer_options *o,
			     struct ps_plan_answer *a, struct choice *best, struct ps_error *err)
{
	*best = (struct choice){0, INFINITY, PS_PLAN_NO_SPOT, false};
	tell(o, "trying how finely to split");
	enum ps_status st = try_splits(c, o, PS_PLAN_NO_SPOT, a, best, err);
	if (st == PS_OK && c->has_spot) {
		a->without_spot_usd_per_hour = best->usd;
		tell(o, "trying spot machines");
		st = try_splits(c, o, PS_PLAN_SPOT_SPARE, a, best, err);
	}
	if (st == PS_OK && c->has_replaced) {
		a->without_notice_usd_per_hour = best->usd;
		tell(o, "trying spot machines that are replaced in time");
		st = try_splits(c, o, PS_PLAN_SPOT_REPLACED, a, best, err);
	}
	return st;
}

static enum ps_status settle_down(struct ps_plan_answer *a, struct ps_error *err)
{
	const struct ps_plan_solution *plan = &a->result.plan;

	a->machines = rent(&a->split, plan);
	if (!a->machines)
		return ps_error_set(err, PS_ENOMEM, "no memory for the plan");
	for (int i = 0; i < plan->n; i++)
		a->revocations_per_month += PS_COST_HOURS_PER_MONTH *
					    a->c->types[plan->machines[i].type].revoked_per_hour;
	return ps_plan_answer_two_away(a, err);
}

static enum ps_status search(const struct ps_plan_answer_options *o, int64_t begin,
			     struct ps_plan_answer *a, struct ps_error *err)
{
	int64_t left = o->time_limit_ns - (ps_clock_read(o->clock) - begin);
	struct ps_plan_options so = solver_options(o, left > 0 ? left : 0);

	tell(o, "searching");
	return ps_plan_solve(&a->split.problem, &so, &a->result, NULL, err);
}

enum ps_status ps_plan_answer(const struct ps_plan_case *c, const struct ps_plan_answer_options *o,
			      struct ps_plan_answer *ret_answer, struct ps_error *err)
{
	struct ps_plan_answer *a = ret_answer;
	int64_t begin = ps_clock_read(o->clock);
	struct choice best;

	*a = (struct ps_plan_answer){.c = c};
	enum ps_status st = choose(c, o, a, &best, err);
	if (st == PS_OK)
		st = ps_plan_case_split(c, best.fineness, best.with_spot, &a->split, err);
	a->fineness = best.fineness;
	a->any_split_usd_per_hour = ps_plan_case_any_split(c);
	if (st == PS_OK)
		st = search(o, begin, a, err);
	if (st == PS_OK)
		st = settle_down(a, err);
	a->result.cut_by_time |= best.cut_by_time;
	if (st == PS_OK && o->compare) {
		tell(o, "comparing");
		st = best_of_one_type(o, a, err);
	}
	if (st == PS_OK && o->compare)
		st = ps_plan_answer_by_cpu(a, err);
	if (st != PS_OK)
		ps_plan_answer_fini(a);
	return st;
}

void ps_plan_answer_fini(struct ps_plan_answer *a)
{
	rented_free(a->machines, a->result.plan.n);
	rented_free(a->dedicated.rented, a->dedicated.machines);
	rented_free(a->homogeneous.rented, a->homogeneous.machines);
	ps_plan_solution_free(&a->result.plan);
	ps_plan_split_fini(&a->split);
	memset(a, 0, sizeof(*a));
}
