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
/* An idle machine that has refused an instance for so long tries it once: times change. While what
 * it tries is done in time, it goes on at once, else dozens of slow runs would be remembered for as
 * many tries. */
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
	if (items > PLAY_AT_MOST)
		return PLAY_AT_MOST;
	return items < PLAY_AT_LEAST ? PLAY_AT_LEAST : (int)items;
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
	return o.finish_ns + margin_ns(s, it, now_ns, &o);
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

static bool may_enter(struct ps_sched *s, const struct ps_sched_item *it, int64_t now_ns,
		      bool harms)
{
	bool may = it->deadline_ns > now_ns && it->predicted_ns <= it->deadline_ns && !harms;
	const struct flow *f = flow_of(s, it->tenant);
	margin_asked(s, f->class, !may, starts_at_once(s, f));
	return may;
}

void admit_finished(struct instance *i, const struct ps_sched_item *first, int64_t now_ns)
{
	bool tried_well = false;
	for (const struct ps_sched_item *it = first; it && !tried_well; it = it->next)
		tried_well = it->unchecked && it->deadline_ns >= now_ns;
	i->finished_ns = tried_well ? now_ns - probe_ns : now_ns;
}

enum ps_status ps_sched_admit(struct ps_sched *s, struct ps_sched_item *it, int64_t now_ns,
			      int64_t *ret_finish_ns)
{
	bool harms;
	it->predicted_ns = now_ns + (int64_t)predict_ns(s, it, now_ns, &harms);
	*ret_finish_ns = it->predicted_ns;
	if (!it->deadline_ns || it->unchecked)
		return PS_OK;
	if (may_enter(s, it, now_ns, harms))
		return PS_OK;
	if (it->deadline_ns <= now_ns || !is_probe(s, it, now_ns))
		return PS_EDEADLINE;
	it->unchecked = true;
	return PS_OK;
}
