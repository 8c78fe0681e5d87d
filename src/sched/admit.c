/* Whether a newcomer can make it. */
#include "sched/sched_internal.h"

#include <math.h>

enum {
	PLAY_NS = 60,	    /* what playing one item forward takes, roughly */
	PLAY_AT_LEAST = 16, /* items that are always played */
	PLAY_AT_MOST = 512,
};

/* Playing forward may take this part of the lane time that an item brings with it. */
static const double play_share = 0.02;
/* The margin. An expected finish is off by the spread of the service times, by what newcomers of
 * other tenants take in between, and by what the model of batches leaves out. How much of it is
 * kept free is learned from what becomes of those let in: so that a share of late_share of them is
 * late, however the errors are distributed (Robbins and Monro, 1951). A tenant begins with what its
 * class has learned. */
static const double z_first = 1.28, z_most = 12; /* 1.28: p90 of a normal distribution */
static const double late_share = 0.006, z_step = 0.5;
enum { OUTCOMES = 400, CLASS_COUNTS_AS = 40, RECENT_RUNS = 512 };
/* An idle machine that has refused an instance for so long tries it once: times change. */
static const int64_t probe_ns = 500000000;

double admit_rest_ns(const struct ps_sched *s, const struct ps_sched_run *run, int64_t now_ns)
{
	int64_t elapsed = now_ns > run->started_ns ? now_ns - run->started_ns : 0;
	return learn_rest_ns(&s->instances[run->instance], run->rows, run->width > 1, elapsed);
}

int64_t ps_sched_drain_ns(const struct ps_sched *s, int tenant, int64_t now_ns)
{
	return (int64_t)fluid_drain_ns(s, flow_of(s, tenant), now_ns);
}

static bool starts_at_once(const struct ps_sched *s, const struct flow *f)
{
	return !s->len && !s->wide_running && s->running < s->options.n_lanes &&
	       s->classes[f->class].running < lanes_of(s, f->class);
}

static int items_to_play(const struct ps_sched *s, const struct ps_sched_item *it)
{
	double mean = learn_mean_ns(&s->instances[it->instance], it->rows, s->options.wide);
	double items = play_share * mean / PLAY_NS;
	return items < PLAY_AT_LEAST  ? PLAY_AT_LEAST
	       : items > PLAY_AT_MOST ? PLAY_AT_MOST
				      : (int)items;
}

/* What is refused is not learned from: now and then one is let in to see. */
static bool is_probe(struct ps_sched *s, const struct ps_sched_item *it, int64_t now_ns)
{
	struct instance *i = &s->instances[it->instance];
	if (i->running || !starts_at_once(s, flow_of(s, it->tenant)) ||
	    now_ns - i->finished_ns < probe_ns)
		return false;
	i->finished_ns = now_ns;
	return true;
}

static void learn_margin(struct margin *m, bool late)
{
	if (m->n == 0 && m->z == 0)
		m->z = z_first;
	m->z += z_step * ((late ? 1 : 0) - late_share);
	m->z = fmin(fmax(m->z, 0), z_most);
	m->n = fmin(m->n + 1, OUTCOMES);
}

void admit_outcome(struct ps_sched *s, const struct ps_sched_item *it, bool late,
		   int64_t started_ns)
{
	struct flow *f = flow_of(s, it->tenant);
	if (!it->predicted_ns || !it->deadline_ns || it->unchecked)
		return;
	if (late && started_ns) { /* in time for all of the last runs: waiting is not to blame */
		double slack = (double)(it->deadline_ns - started_ns);
		late = slack < learn_ns(&s->instances[it->instance], it->rows, s->options.wide, 1);
	}
	learn_margin(&s->classes[f->class].margin, late);
	learn_margin(&f->margin, late);
}

static double margin_of(const struct ps_sched *s, const struct flow *f)
{
	const struct margin *c = &s->classes[f->class].margin, *m = &f->margin;
	if (c->n == 0)
		return z_first;
	return (m->n * m->z + CLASS_COUNTS_AS * c->z) / (m->n + CLASS_COUNTS_AS);
}

static double aged(double ns, int64_t steps)
{
	return steps > 60 ? 0 : ldexp(ns, -(int)steps);
}

void admit_cost(struct ps_sched *s, struct flow *f, double cost_ns)
{
	struct class *c = &s->classes[f->class];
	if (++c->recent_runs % RECENT_RUNS == 0) {
		c->recent_age++;
		c->recent_ns /= 2;
	}
	f->recent_ns = aged(f->recent_ns, c->recent_age - f->recent_age) + cost_ns;
	f->recent_age = c->recent_age;
	c->recent_ns += cost_ns;
}

/* The share of the time ahead of a flow's items that others may take. */
static double others_share(const struct ps_sched *s, const struct flow *f)
{
	double all = 0;
	for (int c = 0; c <= (int)f->class; c++)
		all += s->classes[c].recent_ns;
	double own = aged(f->recent_ns, s->classes[f->class].recent_age - f->recent_age);
	return all > own ? 1 - own / all : 0;
}

/* Newcomers of others come at random: as many more runs as fit are off by their square root. */
static double margin_ns(const struct ps_sched *s, const struct ps_sched_item *it,
			const struct outcome *o)
{
	const struct flow *f = flow_of(s, it->tenant);
	double mean = learn_mean_ns(&s->instances[it->instance], it->rows, s->options.wide);
	double wait = fmax(o->finish_ns - mean, 0);
	double others = others_share(s, f) * wait * mean / lanes_of(s, f->class);
	return margin_of(s, f) * sqrt(o->sd_ns * o->sd_ns + others);
}

/* When it will be done, and with what margin. */
static double predict_ns(struct ps_sched *s, const struct ps_sched_item *it, int64_t now_ns,
			 bool *ret_harms)
{
	const struct instance *i = &s->instances[it->instance];
	struct outcome o = {0};
	*ret_harms = false;
	if (starts_at_once(s, flow_of(s, it->tenant)))
		return learn_ns(i, it->rows, s->options.wide, 0.9);
	if (!play_run(s, it, now_ns, items_to_play(s, it), &o))
		fluid_run(s, it, now_ns, &o);
	*ret_harms = o.harms;
	return o.finish_ns + margin_ns(s, it, &o);
}

enum ps_status ps_sched_admit(struct ps_sched *s, struct ps_sched_item *it, int64_t now_ns,
			      int64_t *ret_finish_ns)
{
	bool harms;
	it->predicted_ns = now_ns + (int64_t)predict_ns(s, it, now_ns, &harms);
	*ret_finish_ns = it->predicted_ns;
	if (!it->deadline_ns || it->unchecked)
		return PS_OK;
	if (it->deadline_ns > now_ns && it->predicted_ns <= it->deadline_ns && !harms)
		return PS_OK;
	if (it->deadline_ns <= now_ns || !is_probe(s, it, now_ns))
		return PS_EDEADLINE;
	it->unchecked = true;
	return PS_OK;
}
