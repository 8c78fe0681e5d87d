/* spot.c - what revocations leave of a plan. */
#include "plan/answer.h"

#include <math.h>
#include <stdlib.h>

/* The share of time that a machine of the type is away: revoked, and the next one, which was
 * started when the notice came, not there yet. */
static double away(const struct ps_plan_case_type *t)
{
	double gap_s = fmax((double)(t->start_ns - t->notice_ns), 0) * 1e-9;
	double x = t->revoked_per_hour * gap_s / 3600;

	return x / (1 + x);
}

/* Machines are revoked independently of each other: none[tenant] is how often all of a tenant's are
 * there, one[tenant] how often all but one. */
static void count_away(const struct ps_plan_answer *a, double *none, double *one)
{
	for (int i = 0; i < a->c->n_tenants; i++) {
		none[i] = 1;
		one[i] = 0;
	}
	for (int i = 0; i < a->result.plan.n; i++) {
		const struct ps_plan_rented *m = &a->machines[i];
		double q = away(&a->c->types[m->type]);
		for (int j = 0; j < m->n; j++) {
			int t = m->places[j].tenant;
			one[t] = one[t] * (1 - q) + none[t] * q;
			none[t] *= 1 - q;
		}
	}
}

enum ps_status ps_plan_answer_two_away(struct ps_plan_answer *a, struct ps_error *err)
{
	size_t n = (size_t)a->c->n_tenants;
	double *none = malloc(n * sizeof(*none)), *one = malloc(n * sizeof(*one));

	if (none && one) {
		count_away(a, none, one);
		for (int i = 0; i < a->c->n_tenants; i++) {
			double two = fmax(1 - none[i] - one[i], 0);
			if (two > a->two_away) {
				a->two_away = two;
				a->two_away_tenant = i;
			}
		}
	}
	bool fine = none && one;
	free(none);
	free(one);
	return fine ? PS_OK : ps_error_set(err, PS_ENOMEM, "no memory for the plan");
}
