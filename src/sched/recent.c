/* Who has come of late, for what they will bring.
 *
 * A rate is taken over some hundreds of runs, so that it is good to a few percent. It would count
 * on somebody for seconds after he has gone; so no rate is believed to be higher than the last few
 * runs of the class, or the time since anybody else had one, make likely.
 */
#include "sched/sched_internal.h"

#include <math.h>

enum { MANY = 512 };
/* Of a count's square root: what a count of the last few may be below what to expect. */
static const double few_error = 2;
/* How many expected gaps a silence may be: one of two comes by chance with e^-2. */
static const double silence_gaps = 2;

static double aged(double x, int64_t steps)
{
	if (steps == 0)
		return x;
	return steps > 60 ? 0 : ldexp(x, -(int)steps);
}

static void age(struct class *c)
{
	c->recent_age++;
	c->recent_runs /= 2;
	c->recent_ns /= 2;
	c->recent_span_ns /= 2;
}

static void add_to_many(struct class *c, struct flow *f, double cost_ns)
{
	int64_t steps = c->recent_age - f->recent_age;
	f->recent_runs = aged(f->recent_runs, steps) + 1;
	f->recent_ns = aged(f->recent_ns, steps) + cost_ns;
	f->recent_age = c->recent_age;
	c->recent_ns += cost_ns;
	if (++c->recent_runs >= MANY)
		age(c);
}

static void add_to_few(struct ps_sched *s, struct class *c, int tenant, int64_t cost_ns,
		       int64_t now_ns)
{
	struct few *x = &c->few[c->few_at];
	if (c->n_few == FEW) {
		flow_of(s, x->tenant)->few_ns -= x->cost_ns;
		c->few_ns -= x->cost_ns;
	} else {
		c->n_few++;
	}
	*x = (struct few){.tenant = tenant, .cost_ns = cost_ns, .at_ns = now_ns};
	flow_of(s, tenant)->few_ns += cost_ns;
	c->few_ns += cost_ns;
	c->few_at = (c->few_at + 1) % FEW;
}

void recent_add(struct ps_sched *s, int tenant, double cost_ns, int64_t now_ns)
{
	struct flow *f = flow_of(s, tenant);
	struct class *c = &s->classes[f->class];
	if (tenant != c->last_tenant)
		c->other_at_ns = c->recent_at_ns;
	c->last_tenant = tenant;
	if (c->recent_at_ns && now_ns > c->recent_at_ns)
		c->recent_span_ns += (double)(now_ns - c->recent_at_ns);
	c->recent_at_ns = now_ns;
	add_to_few(s, c, tenant, (int64_t)cost_ns, now_ns);
	add_to_many(c, f, cost_ns);
}

void recent_leave(struct ps_sched *s, int tenant)
{
	struct flow *f = flow_of(s, tenant);
	struct class *c = &s->classes[f->class];
	for (int k = 0; k < c->n_few; k++) {
		if (c->few[k].tenant != tenant)
			continue;
		c->few_ns -= c->few[k].cost_ns;
		c->few[k].cost_ns = 0;
	}
	f->few_ns = 0;
	f->recent_ns = f->recent_runs = 0;
}

struct traffic recent_of_class(const struct ps_sched *s, enum ps_sched_class class)
{
	const struct class *c = &s->classes[class];
	return (struct traffic){.ns = c->recent_ns, .runs = c->recent_runs, .few_ns = c->few_ns};
}

static struct traffic recent_of(const struct ps_sched *s, const struct flow *f)
{
	int64_t steps = s->classes[f->class].recent_age - f->recent_age;
	return (struct traffic){.ns = aged(f->recent_ns, steps),
				.runs = aged(f->recent_runs, steps),
				.few_ns = f->few_ns};
}

void recent_subtract(struct traffic *t, const struct ps_sched *s, const struct flow *f)
{
	struct traffic x = recent_of(s, f);
	t->ns -= x.ns;
	t->runs -= x.runs;
	t->few_ns -= x.few_ns;
}

/* When somebody else than `f` had a run. */
static int64_t other_at_ns(const struct ps_sched *s, const struct class *c, const struct flow *f)
{
	return f && flow_of(s, c->last_tenant) == f ? c->other_at_ns : c->recent_at_ns;
}

double recent_rate_of(const struct ps_sched *s, enum ps_sched_class class, const struct traffic *t,
		      const struct flow *but, int64_t now_ns)
{
	const struct class *c = &s->classes[class];
	if (c->recent_span_ns <= 0 || t->ns <= 0 || t->runs <= 0)
		return 0;
	double rate = t->ns / c->recent_span_ns, run_ns = t->ns / t->runs;
	double quiet_ns = (double)(now_ns - other_at_ns(s, c, but));
	if (quiet_ns > 0)
		rate = fmin(rate, silence_gaps * run_ns / quiet_ns);
	if (c->n_few < FEW)
		return rate;
	double runs = fmax((double)t->few_ns / run_ns, 0);
	double span_ns = (double)(now_ns - c->few[c->few_at].at_ns);
	double likely = runs + few_error * sqrt(runs) + few_error * few_error / 2;
	return span_ns > 0 ? fmin(rate, likely * run_ns / span_ns) : rate;
}

double recent_rate(const struct ps_sched *s, const struct flow *f, int64_t now_ns)
{
	struct traffic t = recent_of(s, f);
	return recent_rate_of(s, f->class, &t, NULL, now_ns);
}
