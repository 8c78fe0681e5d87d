#include "plan/plan.h"

#include <math.h>
#include <stdlib.h>

static bool is_apart(const struct ps_plan_kind *k, int other)
{
	for (int i = 0; i < k->aparts; i++) {
		if (k->apart[i] == other)
			return true;
	}
	return false;
}

enum ps_plan_reason ps_plan_fits(const struct ps_plan_problem *p, int type,
				 const struct ps_plan_count *set, int n, int *ret_kind)
{
	for (int i = 0; i < n; i++) {
		const struct ps_plan_kind *k = &p->kinds[set[i].kind];
		bool bad = set[i].count > k->most;
		for (int j = 0; !bad && k->aparts > 0 && j < n; j++)
			bad = is_apart(k, set[j].kind);
		if (bad && ret_kind)
			*ret_kind = set[i].kind;
		if (bad)
			return PS_PLAN_APART;
	}
	return p->oracle->judge(p->oracle->ctx, type, set, n, ret_kind);
}

/* The cheapest type that one part fits on; -1 when there is none. */
static int alone_on(const struct ps_plan_problem *p, int kind)
{
	struct ps_plan_count one = {kind, 1};
	int best = -1;

	for (int t = 0; t < p->oracle->types; t++) {
		if (p->oracle->judge(p->oracle->ctx, t, &one, 1, NULL) == PS_PLAN_FITS &&
		    (best < 0 || p->types[t].usd_per_hour < p->types[best].usd_per_hour))
			best = t;
	}
	return best;
}

static enum ps_status put_alone(const struct ps_plan_problem *p, int kind,
				struct ps_plan_solution *plan, struct ps_error *err)
{
	int type = alone_on(p, kind);

	if (type < 0)
		return ps_error_set(err, PS_EINVAL, "kind %d fits on no instance type, even alone",
				    kind);
	for (int i = 0; i < p->kinds[kind].parts; i++) {
		struct ps_plan_count *set = malloc(sizeof(*set));
		if (!set)
			return ps_error_set(err, PS_ENOMEM, "no memory for a plan");
		*set = (struct ps_plan_count){kind, 1};
		plan->machines[plan->n++] = (struct ps_plan_machine){type, 1, set};
		plan->usd_per_hour += p->types[type].usd_per_hour;
	}
	return PS_OK;
}

enum ps_status ps_plan_dedicated(const struct ps_plan_problem *p, struct ps_plan_solution *ret_plan,
				 struct ps_error *err)
{
	struct ps_plan_solution plan = {0};
	enum ps_status st = PS_OK;
	size_t n = 0;

	for (int k = 0; k < p->oracle->kinds; k++)
		n += (size_t)p->kinds[k].parts;
	if (n > PS_PLAN_MAX_PARTS)
		return ps_error_set(err, PS_ETOOBIG, "%zu parts are more than a plan takes", n);
	plan.machines = calloc(n + 1, sizeof(*plan.machines));
	if (!plan.machines)
		return ps_error_set(err, PS_ENOMEM, "no memory for a plan");
	for (int k = 0; st == PS_OK && k < p->oracle->kinds; k++)
		st = put_alone(p, k, &plan, err);
	if (st == PS_OK)
		*ret_plan = plan;
	else
		ps_plan_solution_free(&plan);
	return st;
}

enum ps_status ps_plan_check(const struct ps_plan_problem *p, const struct ps_plan_solution *s,
			     struct ps_error *err)
{
	int *placed = calloc((size_t)p->oracle->kinds, sizeof(*placed));
	double usd = 0;
	enum ps_status st = PS_OK;

	if (!placed)
		return ps_error_set(err, PS_ENOMEM, "no memory to check a plan");
	for (int i = 0; st == PS_OK && i < s->n; i++) {
		const struct ps_plan_machine *m = &s->machines[i];
		enum ps_plan_reason why = ps_plan_fits(p, m->type, m->set, m->n, NULL);
		if (why != PS_PLAN_FITS)
			st = ps_error_set(err, PS_EINTERNAL, "machine %d does not hold: %s", i,
					  ps_plan_reason_text(why));
		for (int j = 0; j < m->n; j++)
			placed[m->set[j].kind] += m->set[j].count;
		usd += p->types[m->type].usd_per_hour;
	}
	for (int k = 0; st == PS_OK && k < p->oracle->kinds; k++) {
		if (placed[k] != p->kinds[k].parts)
			st = ps_error_set(err, PS_EINTERNAL, "kind %d has %d of %d parts placed", k,
					  placed[k], p->kinds[k].parts);
	}
	if (st == PS_OK && fabs(usd - s->usd_per_hour) > 1e-6 * fmax(1, usd))
		st = ps_error_set(err, PS_EINTERNAL, "the plan costs %g $/h, not %g", usd,
				  s->usd_per_hour);
	free(placed);
	return st;
}

void ps_plan_solution_free(struct ps_plan_solution *s)
{
	for (int i = 0; i < s->n; i++)
		free(s->machines[i].set);
	free(s->machines);
	*s = (struct ps_plan_solution){0};
}
