/* by_cpu.c - first fit by CPU, as is often done: on machines of the type of the best homogeneous
 * plan, in the order of the file, until they are busy for the target. Whatever a tenant asks for
 * beside its agreement is kept (replicas, the loss of a machine, who keeps apart from whom, types
 * that are allowed), or it would be compared with what nobody asked for; agreements are not looked
 * at, and those that break are counted. */
#include "plan/answer.h"

#include <stdlib.h>
#include <string.h>

struct cpu_bin {
	double used[PS_PLAN_MAX_HOURS];
	struct ps_plan_count *set;
	int n, last; /* last: tenant that came last; parts of one are on different machines */
};

static bool may_fit_cpu(const struct ps_plan_split *s, const struct cpu_bin *b, int type, int kind)
{
	const struct ps_plan_analytic *x = &s->analytic;
	const struct ps_plan_demand *d = &s->demands[kind];
	double mean = x->services[type * x->models + d->model].mean_s / x->hosts[type].lanes;

	for (int h = 0; h < x->hours; h++) {
		if (b->n > 0 && b->used[h] + d->rate_rps[h] * mean > PS_PLAN_CPU_TARGET)
			return false;
	}
	return true;
}

/* Sets stay sorted by kind, as the oracle wants them. */
static bool cpu_put(const struct ps_plan_split *s, struct cpu_bin *b, int type, int kind)
{
	const struct ps_plan_analytic *x = &s->analytic;
	const struct ps_plan_demand *d = &s->demands[kind];
	double mean = x->services[type * x->models + d->model].mean_s / x->hosts[type].lanes;
	int at = 0;

	for (int h = 0; h < x->hours; h++)
		b->used[h] += d->rate_rps[h] * mean;
	while (at < b->n && b->set[at].kind < kind)
		at++;
	if (at < b->n && b->set[at].kind == kind) {
		b->set[at].count++;
		return true;
	}
	struct ps_plan_count *set = realloc(b->set, ((size_t)b->n + 1) * sizeof(*set));
	if (!set)
		return false;
	memmove(set + at + 1, set + at, (size_t)(b->n - at) * sizeof(*set));
	set[at] = (struct ps_plan_count){kind, 1};
	b->set = set;
	b->n++;
	return true;
}

/* Parts on a machine whose agreement is not kept there, or all where the memory does not suffice.
 */
static int broken_on(const struct ps_plan_split *s, const struct cpu_bin *b, int type)
{
	struct ps_plan_forecast *f = calloc((size_t)b->n + 1, sizeof(*f));
	struct ps_plan_state state;
	int broken = 0;

	if (!f || s->oracle.judge(s->oracle.ctx, type, b->set, b->n, NULL) == PS_PLAN_FITS) {
		free(f);
		return 0;
	}
	s->oracle.foresee(s->oracle.ctx, type, b->set, b->n, f, &state);
	for (int i = 0; i < b->n; i++) {
		if (state.memory_share > 1 || !(f[i].high_s <= f[i].limit_s * (1 + 1e-6)))
			broken += b->set[i].count;
	}
	free(f);
	return broken;
}

static void cpu_take(const struct ps_plan_split *s, struct cpu_bin *b, int type, int kind)
{
	const struct ps_plan_analytic *x = &s->analytic;
	const struct ps_plan_demand *d = &s->demands[kind];
	double mean = x->services[type * x->models + d->model].mean_s / x->hosts[type].lanes;
	int at = 0;

	for (int h = 0; h < x->hours; h++)
		b->used[h] -= d->rate_rps[h] * mean;
	while (b->set[at].kind != kind)
		at++;
	if (--b->set[at].count > 0)
		return;
	b->n--;
	memmove(b->set + at, b->set + at + 1, (size_t)(b->n - at) * sizeof(*b->set));
}

/* Is somebody there whom the kind keeps apart from? */
static bool kept_apart(const struct ps_plan_split *s, const struct cpu_bin *b, int kind)
{
	const struct ps_plan_kind *k = &s->kinds[kind];

	for (int i = 0, j = 0; i < b->n && j < k->aparts;) {
		if (b->set[i].kind == k->apart[j])
			return true;
		if (b->set[i].kind < k->apart[j])
			i++;
		else
			j++;
	}
	return false;
}

/* Puts it in when the machine is then busy for no more than the target, with runs as long as they
 * are in that company. False without memory. */
static bool cpu_try(const struct ps_plan_split *s, struct cpu_bin *b, int type, int kind,
		    bool *ret_put)
{
	bool first = b->n == 0;

	*ret_put = false;
	if (kept_apart(s, b, kind) || !may_fit_cpu(s, b, type, kind))
		return true;
	if (!cpu_put(s, b, type, kind))
		return false;
	*ret_put = first || !s->analytic.slows ||
		   ps_plan_analytic_busy(&s->analytic, type, b->set, b->n) <= PS_PLAN_CPU_TARGET;
	if (!*ret_put)
		cpu_take(s, b, type, kind);
	return true;
}

static bool first_fit(const struct ps_plan_split *s, int type, struct cpu_bin *bins, int *ret_n)
{
	int n = 0;

	for (int i = 0; i < s->c->n_tenants; i++) {
		for (int part = 0; part < s->parts[i]; part++) {
			bool put = false;
			int at = 0;
			for (;; at++) {
				if (at < n && bins[at].last == i)
					continue;
				if (!cpu_try(s, &bins[at], type, s->kind_of[i], &put))
					return false;
				if (put)
					break;
			}
			n += at == n;
			bins[at].last = i;
		}
	}
	*ret_n = n;
	return true;
}

enum ps_status ps_plan_answer_by_cpu(struct ps_plan_answer *a, struct ps_error *err)
{
	const struct ps_plan_split *s = &a->split;
	int type = a->homogeneous.type, n = 0, broken = 0;
	size_t most = 0;

	a->first_fit.why = a->homogeneous.why;
	if (a->homogeneous.machines == 0)
		return PS_OK;
	for (int k = 0; k < s->n_kinds; k++)
		most += (size_t)s->kinds[k].parts;
	struct cpu_bin *bins = calloc(most + 1, sizeof(*bins));
	for (size_t i = 0; bins && i < most; i++)
		bins[i].last = -1;
	bool fine = bins && first_fit(s, type, bins, &n);
	for (size_t i = 0; bins && i < most; i++) {
		if (fine && (int)i < n)
			broken += broken_on(s, &bins[i], type);
		free(bins[i].set);
	}
	free(bins);
	if (!fine)
		return ps_error_set(err, PS_ENOMEM, "no memory to compare");
	a->first_fit = (struct ps_plan_other){.machines = n,
					      .type = type,
					      .usd_per_hour = n * s->types[type].usd_per_hour,
					      .broken = broken};
	return PS_OK;
}
