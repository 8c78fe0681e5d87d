/* What is learned about the errors of predicted finishes.
 *
 * An expected finish is off by the spread of the service times, by what newcomers of other tenants
 * take in between, and by what the model of batches leaves out. How much of it is kept free is
 * learned from what becomes of those let in, so that a given share of them is late however
 * the errors are distributed (Robbins and Monro, 1951); a p95 forgives more late ones than a p99,
 * so each kind of agreement has a margin of its own. Lateness comes in avalanches: what was let in
 * with the same margin is late together. So the more of them a margin has let in, the less each one
 * raises it. A tenant begins with what its class has learned.
 */
#include "sched/sched_internal.h"

#include <math.h>
#include <string.h>

/* Standard deviations: of a normal distribution's p90 to begin with; what a late one adds. */
static const double z_first = 1.28, z_least = 0.7, z_most = 12, z_step = 0.7;
/* How many may be late in a crowd and else, where fewer of those let in come near their deadlines:
 * what comes of it is below 1 % in both; that is for a p99. How many late ones are remembered until
 * as many in time have made up. */
static const double late_share = 0.0058, calm_share = 0.014, debt_most = 2;
/* Where newcomers are not expected, so much of what others take comes at random all the same. */
static const double random_part = 0.5;
/* A margin that had to be raised is at least so much of a run per z. */
static const double raised_part = 0.1;
enum { OUTCOMES = 400, CLASS_COUNTS_AS = 1500, ASKED = 64, ASKED_IDLE = 16 };
/* It is a crowd when more than this part of those who ask is refused; it has gone when more than
 * this part finds a lane idle. */
static const double crowd = 0.2, ebb = 0.25;

/* The agreements of p99.9, p99, p95 and p90: what each allows to be late, and up to where its kind
 * goes. Refusals come out of the same allowance, so one of p90 is not used up by late ones. */
static const struct {
	double allowed, upto;
} kinds[MARGIN_KINDS] = {{0.001, 0.004}, {0.01, 0.025}, {0.05, 0.075}, {0.1, INFINITY}};

static int kind_of(const struct ps_sched_item *it)
{
	int k = 0;
	if (!(it->may_be_late > 0))
		return 1;
	while (it->may_be_late >= kinds[k].upto)
		k++;
	return k;
}

/* Where it is crowded all are let in just so, and a margin must be wide for few of them to be late.
 * When the crowd has gone, it would refuse what was let in before. */
void margin_asked(struct ps_sched *s, enum ps_sched_class class, bool refused, bool idle)
{
	struct class *c = &s->classes[class];
	c->refused += ((refused ? 1 : 0) - c->refused) / ASKED;
	c->idle += ((idle ? 1 : 0) - c->idle) / ASKED_IDLE;
	if (!c->crowded && c->refused > crowd) {
		c->crowded = true;
		for (int k = 0; k < MARGIN_KINDS; k++)
			c->calm_z[k] = fmax(c->margin[k].z, z_first);
	}
	if (c->crowded && c->idle > ebb) {
		c->crowded = false;
		c->refused = 0;
		c->ebbs++;
		for (int k = 0; k < MARGIN_KINDS; k++)
			c->margin[k].z = fmin(c->margin[k].z, c->calm_z[k]);
	}
}

/* What a flow has learned in a crowd goes with it. */
static struct margin *margin_of(struct ps_sched *s, struct flow *f, int kind)
{
	int64_t ebbs = s->classes[f->class].ebbs;
	if (f->margin_ebbs != ebbs)
		memset(f->margin, 0, sizeof(f->margin));
	f->margin_ebbs = ebbs;
	return &f->margin[kind];
}

/* A margin for a share of `share` to be late. */
static void learn_margin(struct margin *m, double share, const struct ps_sched_item *it, bool late,
			 int64_t now_ns)
{
	if (m->n == 0)
		m->z = z_first;
	m->n = fmin(m->n + 1, OUTCOMES);
	if (!late) {
		m->debt -= share;
		m->z = fmax(m->z + z_step * fmin(m->debt, 0), z_least);
		m->debt = fmax(m->debt, 0);
		return;
	}
	m->debt = fmin(m->debt + 1, debt_most);
	if (it->arrived_ns >= m->raised_ns) {
		m->raised_ns = now_ns;
		m->raises = 0;
	}
	m->raises++;
	m->z = fmin(m->z + z_step / sqrt(m->raises), z_most);
}

void margin_outcome(struct ps_sched *s, const struct ps_sched_item *it, bool late,
		    int64_t started_ns, int64_t now_ns)
{
	struct flow *f = flow_of(s, it->tenant);
	if (!it->predicted_ns || !it->deadline_ns || it->unchecked)
		return;
	if (late && started_ns) { /* in time for all of the last runs: waiting is not to blame */
		double slack = (double)(it->deadline_ns - started_ns);
		late = slack < learn_ns(&s->instances[it->instance], it->rows, s->options.wide, 1);
	}
	int kind = kind_of(it);
	double share = s->classes[f->class].crowded ? late_share : calm_share;
	share *= kinds[kind].allowed / kinds[1].allowed;
	learn_margin(&s->classes[f->class].margin[kind], share, it, late, now_ns);
	learn_margin(margin_of(s, f, kind), share, it, late, now_ns);
}

static double deviations(struct ps_sched *s, struct flow *f, int kind)
{
	const struct margin *c = &s->classes[f->class].margin[kind], *m = margin_of(s, f, kind);
	if (c->n == 0)
		return z_first;
	return (m->n * m->z + CLASS_COUNTS_AS * c->z) / (m->n + CLASS_COUNTS_AS);
}

/* The share of the time ahead of a flow's items that others take. */
static double others_share(const struct ps_sched *s, const struct flow *f, int64_t now_ns)
{
	double own = recent_rate(s, f, now_ns), others = 0;
	for (int c = 0; c <= (int)f->class; c++) {
		struct traffic t = recent_of_class(s, c);
		if (c == (int)f->class)
			recent_subtract(&t, s, f);
		others += recent_rate_of(s, c, &t, f, now_ns);
	}
	return others > 0 ? others / (own + others) : 0;
}

/* Newcomers of others come at random: as many runs as they make are off by their square root.
 * Where nothing is known to be off, a margin that had to be raised still is one. */
double margin_ns(struct ps_sched *s, const struct ps_sched_item *it, int64_t now_ns,
		 const struct outcome *o)
{
	struct flow *f = flow_of(s, it->tenant);
	double mean = learn_mean_ns(&s->instances[it->instance], it->rows, s->options.wide);
	double wait = random_part * others_share(s, f, now_ns) * fmax(o->finish_ns - mean, 0);
	double others = fmax(o->others_ns, wait) * mean / lanes_of(s, f->class);
	double z = deviations(s, f, kind_of(it));
	return z * sqrt(o->sd_ns * o->sd_ns + others) + fmax(z - z_first, 0) * raised_part * mean;
}
