/* Start-time fair queueing. A flow's tag is the virtual time at which its next item would start; it
 * grows by cost / weight. The least tag is next, and the virtual time follows the tags that were
 * chosen.
 */
#include "sched/sched_internal.h"

#include <math.h>
#include <string.h>

/* Doubles that are not negative sort as their bits do, so a tree of integers holds them too. */
int64_t fair_key(double tag)
{
	int64_t key;
	memcpy(&key, &tag, sizeof key);
	return key;
}

void fair_backlogged(struct ps_sched *s, struct flow *f)
{
	struct class *c = &s->classes[f->class];
	if (f->tag < c->virtual_time)
		f->tag = c->virtual_time;
	f->idle_to = c->virtual_time;
	f->largest = 0;
	f->prev = NULL;
	f->next = c->backlogged;
	if (f->next)
		f->next->prev = f;
	c->backlogged = f;
	if (c->n_backlogged++ == 0 && f->class == PS_SCHED_BEST_EFFORT)
		s->credit_ns = 0;
}

void fair_idle(struct ps_sched *s, struct flow *f)
{
	struct class *c = &s->classes[f->class];
	if (f->prev)
		f->prev->next = f->next;
	else
		c->backlogged = f->next;
	if (f->next)
		f->next->prev = f->prev;
	c->n_backlogged--;
}

void fair_advance(struct ps_sched *s, const struct flow *f)
{
	struct class *c = &s->classes[f->class];
	if (f->tag > c->virtual_time)
		c->virtual_time = f->tag;
}

void fair_rekey(struct ps_sched *s, struct flow *f)
{
	int64_t key = fair_key(f->tag);
	if (f->ready.first && f->active.major != key) {
		struct tree *active = &s->classes[f->class].active;
		tree_remove(active, &f->active);
		f->active.major = key;
		f->active.order = ++s->order;
		tree_insert(active, &f->active);
	}
	for (struct ps_sched_bucket *b = f->buckets; b; b = b->next) {
		if (b->in_group.minor == key && b->in_group.major == (int64_t)f->class)
			continue;
		tree_remove(&b->group->buckets, &b->in_group);
		b->in_group.major = f->class;
		b->in_group.minor = key;
		b->in_group.order = ++s->order;
		tree_insert(&b->group->buckets, &b->in_group);
	}
}

/* Best-effort goes first when the guaranteed class owes it the whole next run: so it pays first,
 * and its share of the lane time that both use tends to the floor. */
static bool floor_due(const struct ps_sched *s, const struct flow *f)
{
	double floor = s->options.best_effort_floor;
	if (floor <= 0)
		return false;
	const struct ps_sched_item *it = queue_first(f);
	const struct instance *i = &s->instances[it->instance];
	double cost = learn_mean_ns(i, it->rows, s->options.wide) *
		      (s->options.wide ? s->options.cpus : 1);
	return s->credit_ns > 0 && s->credit_ns >= (1 - floor) * cost;
}

struct flow *fair_pick(struct ps_sched *s)
{
	const struct class *best_effort = &s->classes[PS_SCHED_BEST_EFFORT];
	struct ps_sched_node *g = s->classes[PS_SCHED_GUARANTEED].active.first;
	struct ps_sched_node *b = best_effort->running < lanes_of(s, PS_SCHED_BEST_EFFORT)
					  ? best_effort->active.first
					  : NULL;
	if (g && (!b || !floor_due(s, FLOW_ACTIVE(b))))
		return FLOW_ACTIVE(g);
	return b ? FLOW_ACTIVE(b) : NULL;
}

/* What each ns of a run adds to the credit of a waiting best-effort class. */
double fair_floor_share(const struct ps_sched *s, enum ps_sched_class class)
{
	double floor = s->options.best_effort_floor;
	if (floor <= 0 || !s->classes[PS_SCHED_BEST_EFFORT].n_backlogged)
		return 0;
	if (class == PS_SCHED_GUARANTEED)
		return floor;
	return s->classes[PS_SCHED_GUARANTEED].n_backlogged ? -(1 - floor) : 0;
}

/* Moves an item's charge to `cost_ns`. What a flow is given back never takes it below the virtual
 * time at which it became backlogged: that would be credit for having been idle. */
static void recharge(struct ps_sched *s, struct ps_sched_item *it, double cost_ns)
{
	struct flow *f = flow_of(s, it->tenant);
	double more = cost_ns - it->charged_ns;
	double tag = f->tag + more / (double)f->weight;
	f->tag = more < 0 && tag < f->idle_to ? fmin(f->tag, f->idle_to) : tag;
	f->cost_ns += more;
	it->charged_ns = cost_ns;
}

static void recharge_run(struct ps_sched *s, struct ps_sched_run *run, double cost_ns)
{
	double per_row = cost_ns / (double)run->rows;
	for (struct ps_sched_item *it = run->first; it; it = it->next) {
		flow_of(s, it->tenant)->run_cost = 0;
		recharge(s, it, per_row * (double)it->rows);
	}
	for (struct ps_sched_item *it = run->first; it; it = it->next)
		fair_rekey(s, flow_of(s, it->tenant));
	s->credit_ns += run->floor_share * (cost_ns - run->charged_ns);
	run->charged_ns = cost_ns;
}

void fair_charge(struct ps_sched *s, struct ps_sched_run *run)
{
	double cost_ns =
		learn_mean_ns(&s->instances[run->instance], run->rows, run->width > 1) * run->width;
	run->floor_share = fair_floor_share(s, run->class);
	recharge_run(s, run, cost_ns);
}

void fair_settle(struct ps_sched *s, struct ps_sched_run *run, double cost_ns, int64_t now_ns)
{
	recharge_run(s, run, cost_ns);
	for (struct ps_sched_item *it = run->first; it; it = it->next) {
		struct flow *f = flow_of(s, it->tenant);
		f->run_cost += it->charged_ns;
		if (f->run_cost > f->largest)
			f->largest = f->run_cost;
		recent_add(s, it->tenant, it->charged_ns, now_ns);
	}
	for (struct ps_sched_item *it = run->first; it; it = it->next)
		flow_of(s, it->tenant)->run_cost = 0;
}
