/* A long backlog played forward as a fluid: a newcomer whose tenant has the tag T, with the work W
 * up to and including it, finishes when every tenant j of its class has got to the same virtual
 * time T + W / w: after min(W_j, (T + W/w - T_j) w_j) of its work.
 */
#include "sched/sched_internal.h"

#include <math.h>

enum { LOOK_AT_FLOWS = 64, LOOK_AT_ITEMS = 16 };

/* What a row of a group costs, in the batches that so many rows make. */
static double price_ns(const struct ps_sched *s, const struct group *g, int64_t more_rows)
{
	const struct instance *i = &s->instances[g->instance];
	bool wide = s->options.wide;
	int64_t rows = 1;
	if (batch_may(i))
		rows = batch_rows(i, 1, g->rows + more_rows, INFINITY, INFINITY);
	return learn_mean_ns(i, rows, wide) * (wide ? s->options.cpus : 1) / (double)rows;
}

static double work_ns(const struct ps_sched *s, const struct flow *f)
{
	double sum = 0;
	for (const struct ps_sched_bucket *b = f->buckets; b; b = b->next)
		sum += (double)tree_sum(&b->items) * price_ns(s, b->group, 0);
	return sum;
}

/* The work of a class that is done before the virtual time `tag`, but for the flow `own`. */
static double work_before_ns(const struct ps_sched *s, const struct class *c,
			     const struct flow *own, double tag)
{
	double sum = 0;
	int looked = 0;
	for (const struct flow *f = c->backlogged; f && looked < LOOK_AT_FLOWS; f = f->next) {
		looked++;
		if (f == own || f->tag >= tag)
			continue;
		sum += fmin(work_ns(s, f), (tag - f->tag) * (double)f->weight);
	}
	return looked ? sum * c->n_backlogged / looked : 0;
}

/* What the flows of a class that will be done before `tag` bring in the meantime, as of late. Where
 * there are very many, the first of them stand for all. */
static double newcomers_ns(const struct ps_sched *s, const struct class *c, const struct flow *own,
			   double tag, double wait_ns, int64_t now_ns)
{
	struct traffic idle = recent_of_class(s, own->class);
	double sum = 0, busy = 0;
	int looked = 0;
	recent_subtract(&idle, s, own);
	for (const struct flow *f = c->backlogged; f && looked < LOOK_AT_FLOWS; f = f->next) {
		looked++;
		if (f == own)
			continue;
		double rate = recent_rate(s, f, now_ns);
		double room = (tag - f->tag) * (double)f->weight - work_ns(s, f);
		busy += rate;
		sum += fmax(fmin(rate * wait_ns, room), 0);
	}
	double all = looked ? (double)c->n_backlogged / looked : 1;
	double others = recent_rate_of(s, own->class, &idle, own, now_ns);
	return sum * all + fmax(others - busy * all, 0) * wait_ns;
}

static double running_ns(const struct ps_sched *s, int64_t now_ns)
{
	double sum = 0;
	for (int k = 0, n = 0; n < s->running; k++) {
		if (!s->runs[k].n)
			continue;
		n++;
		sum += admit_rest_ns(s, &s->runs[k], now_ns) * s->runs[k].width;
	}
	return sum;
}

/* How many ns of cost are done in a ns. */
static double speed(const struct ps_sched *s, enum ps_sched_class class)
{
	return s->options.wide ? s->options.cpus : lanes_of(s, class);
}

/* How long it is until a flow has got `own_ns` of its work done; of that, *ret_others_ns are what
 * newcomers of others take. */
static double until_ns(const struct ps_sched *s, const struct flow *f, double own_ns,
		       int64_t now_ns, double *ret_others_ns)
{
	const struct class *c = &s->classes[f->class];
	struct traffic guaranteed = recent_of_class(s, PS_SCHED_GUARANTEED);
	double tag = f->len || f->tag > c->virtual_time ? f->tag : c->virtual_time;
	double floor = s->options.best_effort_floor, running = running_ns(s, now_ns);
	double lanes = speed(s, f->class), ahead = running, ns;
	tag += own_ns / (double)f->weight;
	double same = own_ns + work_before_ns(s, c, f, tag);
	if (f->class == PS_SCHED_GUARANTEED) {
		double share = s->classes[PS_SCHED_BEST_EFFORT].len ? 1 - floor : 1;
		ns = (ahead + same) / (lanes * share);
	} else {
		ahead += work_before_ns(s, &s->classes[PS_SCHED_GUARANTEED], NULL, INFINITY);
		ns = (ahead + same) / lanes;
		/* The guaranteed class takes as much again as it did of late. */
		double rate = recent_rate_of(s, PS_SCHED_GUARANTEED, &guaranteed, NULL, now_ns);
		ns /= fmax(1 - rate / lanes, 0.01);
		if (floor > 0)
			ns = fmin(ns, (running + same / floor) / lanes);
	}
	*ret_others_ns = 0;
	for (int k = 0; k < 3; k++)
		*ret_others_ns = newcomers_ns(s, c, f, tag, ns + *ret_others_ns, now_ns) / lanes;
	return ns + *ret_others_ns;
}

static double own_work_ns(const struct ps_sched *s, const struct ps_sched_item *it,
			  const struct ps_sched_node *key)
{
	double sum = 0;
	for (const struct ps_sched_bucket *b = flow_of(s, it->tenant)->buckets; b; b = b->next)
		sum += (double)tree_sum_upto(&b->items, key) * price_ns(s, b->group, 0);
	return sum;
}

static const struct ps_sched_bucket *bucket_of(const struct ps_sched *s,
					       const struct ps_sched_item *it)
{
	for (const struct ps_sched_bucket *b = flow_of(s, it->tenant)->buckets; b; b = b->next)
		if (b->group->instance == it->instance && b->group->shape_key == it->shape_key)
			return b;
	return NULL;
}

/* Later ones of the same tenant move back by the newcomer's cost in the tenant's share of time. */
static bool harms_own(const struct ps_sched *s, const struct ps_sched_item *it,
		      const struct ps_sched_node *key, double finish_ns, double cost_ns,
		      double rate, int64_t now_ns)
{
	const struct ps_sched_bucket *b = bucket_of(s, it);
	if (!b || !b->items.last || b->items.last->minor <= key->minor)
		return false;
	double price = price_ns(s, b->group, it->rows), behind_ns = 0;
	const struct ps_sched_node *n = b->items.last;
	for (int k = 0; k < LOOK_AT_ITEMS && n->prev && n->prev->minor > key->minor; k++)
		n = n->prev; /* the last few: those of the same kind are the nearest to their end */
	behind_ns = (double)(tree_sum_upto(&b->items, n) - tree_sum_upto(&b->items, key)) * price;
	for (; n; n = n->next, behind_ns += n ? (double)n->weight * price : 0) {
		double with_ns = finish_ns + behind_ns / rate;
		double deadline = (double)(ITEM_OF(n)->deadline_ns - now_ns);
		if (ITEM_OF(n)->deadline_ns && n->major <= key->major && with_ns > deadline &&
		    with_ns - cost_ns / rate <= deadline)
			return true;
	}
	return false;
}

void fluid_run(struct ps_sched *s, const struct ps_sched_item *it, int64_t now_ns,
	       struct outcome *ret_outcome)
{
	const struct flow *f = flow_of(s, it->tenant);
	const struct instance *i = &s->instances[it->instance];
	const struct ps_sched_bucket *b = bucket_of(s, it);
	bool wide = s->options.wide;
	struct ps_sched_node key = {.major = it->level > 0 ? it->level : 1,
				    .minor = it->deadline_ns ? it->deadline_ns : INT64_MAX,
				    .order = UINT64_MAX};
	double mean = learn_mean_ns(i, it->rows, wide), sd = learn_spread_ns(i, it->rows, wide);
	double ahead = own_work_ns(s, it, &key);
	double own = b ? price_ns(s, b->group, it->rows) * (double)it->rows
		       : mean * (wide ? s->options.cpus : 1);
	double wait = until_ns(s, f, ahead, now_ns, &ret_outcome->others_ns);
	double runs = mean > 0 ? wait * speed(s, f->class) / mean : 0;
	ret_outcome->finish_ns = wait + mean;
	ret_outcome->sd_ns = sd * sqrt(runs / (speed(s, f->class) * speed(s, f->class)) + 1);
	double rate = ahead > 0 && wait > 0 ? ahead / wait : speed(s, f->class);
	ret_outcome->harms = harms_own(s, it, &key, ret_outcome->finish_ns, own, rate, now_ns);
}

double fluid_drain_ns(const struct ps_sched *s, const struct flow *f, int64_t now_ns)
{
	double others;
	return until_ns(s, f, work_ns(s, f), now_ns, &others);
}
