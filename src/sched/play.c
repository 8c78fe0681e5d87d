/* The present backlog played forward: the same order as fair.c and batch.c, on copies, with
 * expected service times in the place of runs. Times are from now.
 */
#include "sched/sched_internal.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_ITEMS = 512, MAX_FLOWS = 48 };

struct player {
	const struct ps_sched_item *item;
	struct group *group;
	int flow;
	bool taken;
	double start_ns, finish_ns, variance;
	double tag; /* of its flow when it started */
};

struct side { /* a flow */
	const struct flow *flow;
	double tag, tag_at_start;
	int first, end, at; /* its items, in order */
	double last_ns;	    /* when the last of them is done */
};

struct lane {
	double free_ns, variance;
	enum ps_sched_class class; /* of what it ran last */
};

struct play {
	struct ps_sched *s;
	int64_t now_ns;
	struct player players[MAX_ITEMS];
	struct side sides[MAX_FLOWS];
	struct lane lanes[PS_SCHED_MAX_LANES]; /* a heap by free_ns */
	int n_players, n_sides, n_lanes, left;
	int newcomer; /* its place among the players */
	double credit_ns;
	struct group lone; /* of a newcomer that is the first of its group */
};

void play_fini(struct ps_sched *s)
{
	free(s->play);
}

/* ---- gathering ---------------------------------------------------------------------------- */

static bool comes_before(const struct ps_sched_node *a, const struct ps_sched_node *b)
{
	if (a->major != b->major)
		return a->major < b->major;
	return a->minor != b->minor ? a->minor < b->minor : a->order < b->order;
}

static void add(struct play *p, const struct ps_sched_item *it, struct group *g)
{
	p->players[p->n_players++] =
		(struct player){.item = it, .group = g, .flow = p->n_sides - 1};
}

static struct ps_sched_bucket *next_bucket(const struct flow *f)
{
	struct ps_sched_bucket *best = NULL;
	for (struct ps_sched_bucket *b = f->buckets; b; b = b->next)
		if (b->play && (!best || comes_before(b->play, best->play)))
			best = b;
	return best;
}

/* The newcomer's key: behind all that are equal. */
static struct ps_sched_node key_of(const struct ps_sched_item *it)
{
	return (struct ps_sched_node){.major = it->level > 0 ? it->level : 1,
				      .minor = it->deadline_ns ? it->deadline_ns : INT64_MAX,
				      .order = UINT64_MAX};
}

static struct group *group_of(struct play *p, const struct ps_sched_item *it)
{
	for (struct group *g = p->s->instances[it->instance].groups; g; g = g->next)
		if (g->shape_key == it->shape_key)
			return g;
	p->lone = (struct group){.instance = it->instance, .shape_key = it->shape_key};
	return &p->lone;
}

static void add_newcomer(struct play *p, const struct ps_sched_item *it)
{
	p->newcomer = p->n_players;
	add(p, it, group_of(p, it));
}

static void add_flow(struct play *p, const struct flow *f, const struct ps_sched_item *newcomer)
{
	struct side *side = &p->sides[p->n_sides++];
	struct ps_sched_node key = {0};
	double tag = f->tag;
	if (!f->len && tag < p->s->classes[f->class].virtual_time)
		tag = p->s->classes[f->class].virtual_time;
	*side = (struct side){.flow = f, .tag_at_start = tag, .first = p->n_players};
	if (newcomer)
		key = key_of(newcomer);
	for (struct ps_sched_bucket *b = f->buckets; b; b = b->next)
		b->play = b->items.first;
	for (struct ps_sched_bucket *b; (b = next_bucket(f)); b->play = b->play->next) {
		if (newcomer && comes_before(&key, b->play)) {
			add_newcomer(p, newcomer);
			newcomer = NULL;
		}
		add(p, ITEM_OF(b->play), b->group);
	}
	if (newcomer)
		add_newcomer(p, newcomer);
	side->end = p->n_players;
}

/* Best-effort matters to a guaranteed newcomer by the floor alone, which stretch() adds. */
static void gather(struct play *p, const struct ps_sched_item *it)
{
	struct ps_sched *s = p->s;
	const struct flow *own = flow_of(s, it->tenant);
	p->n_players = p->n_sides = 0;
	for (int c = 0; c <= (int)own->class; c++)
		for (const struct flow *f = s->classes[c].backlogged; f; f = f->next)
			if (f != own)
				add_flow(p, f, NULL);
	add_flow(p, own, it);
}

static bool is_small(const struct ps_sched *s, const struct ps_sched_item *it, int most)
{
	int64_t items = 1, flows = 1;
	for (int c = 0; c <= (int)flow_of(s, it->tenant)->class; c++) {
		items += s->classes[c].len;
		flows += s->classes[c].n_backlogged;
	}
	return items <= most && items <= MAX_ITEMS && flows <= MAX_FLOWS;
}

/* ---- lanes -------------------------------------------------------------------------------- */

static void sift_down(struct play *p, int i)
{
	struct lane lane = p->lanes[i];
	for (int c; (c = 2 * i + 1) < p->n_lanes; i = c) {
		if (c + 1 < p->n_lanes && p->lanes[c + 1].free_ns < p->lanes[c].free_ns)
			c++;
		if (p->lanes[c].free_ns >= lane.free_ns)
			break;
		p->lanes[i] = p->lanes[c];
	}
	p->lanes[i] = lane;
}

static void set_lanes(struct play *p)
{
	const struct ps_sched *s = p->s;
	double wide_ns = 0;
	p->n_lanes = s->options.wide ? 1 : s->options.n_lanes;
	for (int k = 0; k < p->n_lanes; k++)
		p->lanes[k] = (struct lane){.class = PS_SCHED_GUARANTEED};
	for (int k = 0, n = 0; k < s->options.n_lanes; k++) {
		const struct ps_sched_run *run = &s->runs[k];
		if (!run->n)
			continue;
		double rest = admit_rest_ns(s, run, p->now_ns);
		if (run->width > 1 && rest > wide_ns)
			wide_ns = rest;
		double sd = fmin(rest, learn_spread_ns(&s->instances[run->instance], run->rows,
						       run->width > 1));
		p->lanes[n < p->n_lanes ? n++ : 0] =
			(struct lane){.free_ns = rest, .variance = sd * sd, .class = run->class};
	}
	for (int k = 0; k < p->n_lanes; k++)
		p->lanes[k].free_ns = fmax(p->lanes[k].free_ns, wide_ns);
	for (int k = p->n_lanes / 2; k-- > 0;)
		sift_down(p, k);
}

/* ---- playing ------------------------------------------------------------------------------ */

static void reset(struct play *p, bool with_newcomer)
{
	p->left = p->n_players;
	p->credit_ns = p->s->credit_ns;
	for (int k = 0; k < p->n_players; k++)
		p->players[k].group->play_rows = 0;
	for (int k = 0; k < p->n_players; k++) {
		struct player *x = &p->players[k];
		x->taken = k == p->newcomer && !with_newcomer;
		if (x->taken)
			p->left--;
		else
			x->group->play_rows += x->item->rows;
	}
	for (int k = 0; k < p->n_sides; k++) {
		struct side *side = &p->sides[k];
		side->at = side->first;
		side->tag = side->tag_at_start;
		side->last_ns = 0;
	}
	set_lanes(p);
}

static struct side *least_side(struct play *p, enum ps_sched_class class)
{
	struct side *best = NULL;
	for (int k = 0; k < p->n_sides; k++) {
		struct side *side = &p->sides[k];
		if (side->flow->class != class)
			continue;
		while (side->at < side->end && p->players[side->at].taken)
			side->at++;
		if (side->at < side->end && (!best || side->tag < best->tag))
			best = side;
	}
	return best;
}

static bool best_effort_may(const struct play *p)
{
	int busy = 0, may = lanes_of(p->s, PS_SCHED_BEST_EFFORT);
	if (may >= p->n_lanes)
		return true;
	for (int k = 1; k < p->n_lanes; k++)
		busy += p->lanes[k].class == PS_SCHED_BEST_EFFORT &&
			p->lanes[k].free_ns > p->lanes[0].free_ns;
	return busy < may;
}

static double cost_of(const struct play *p, const struct player *x, int64_t rows)
{
	bool wide = p->s->options.wide;
	return learn_mean_ns(&p->s->instances[x->item->instance], rows, wide) *
	       (wide ? p->s->options.cpus : 1);
}

static bool floor_due(const struct play *p, const struct side *side)
{
	double floor = p->s->options.best_effort_floor;
	const struct player *x = &p->players[side->at];
	return floor > 0 && p->credit_ns > 0 &&
	       p->credit_ns >= (1 - floor) * cost_of(p, x, x->item->rows);
}

/* NULL: the first lane is not for what is left. */
static struct side *pick(struct play *p)
{
	struct side *g = least_side(p, PS_SCHED_GUARANTEED);
	struct side *b = least_side(p, PS_SCHED_BEST_EFFORT);
	if (b && !best_effort_may(p))
		b = NULL;
	return g && !(b && floor_due(p, b)) ? g : b;
}

static void take(struct play *p, struct player *x, int *batch, int *n)
{
	x->taken = true;
	p->left--;
	x->group->play_rows -= x->item->rows;
	batch[(*n)++] = (int)(x - p->players);
}

/* As if no deadline were near: batches that had to be small for items that were let in too late
 * would make everybody later still. */
static int64_t target_of(const struct play *p, const struct player *x)
{
	const struct instance *i = &p->s->instances[x->item->instance];
	if (!batch_may(i) || x->group->play_rows <= x->item->rows)
		return x->item->rows;
	int64_t arrived_ns = x == &p->players[p->newcomer] ? p->now_ns : x->item->arrived_ns;
	return batch_rows(i, x->item->rows, x->group->play_rows,
			  batch_budget_ns(x->item, arrived_ns), INFINITY);
}

/* The flow whose turn it is first, then the others of the same class, then the rest. */
static int fill(struct play *p, struct side *leader, int *batch)
{
	struct player *first = &p->players[leader->at];
	int64_t target = target_of(p, first), rows = first->item->rows;
	int n = 0;
	take(p, first, batch, &n);
	for (int k = -1; k < p->n_sides && rows < target; k++) {
		struct side *side = k < 0 ? leader : &p->sides[k];
		for (int j = side->at; j < side->end && rows < target && n < MAX_ITEMS; j++) {
			struct player *x = &p->players[j];
			if (x->taken || x->group != first->group || rows + x->item->rows > target)
				continue;
			rows += x->item->rows;
			take(p, x, batch, &n);
		}
	}
	return n;
}

/* While best-effort waits that is not played, it gets its floor in between. */
static double stretch(const struct play *p, enum ps_sched_class class)
{
	const struct ps_sched *s = p->s;
	bool unseen = s->classes[PS_SCHED_BEST_EFFORT].len > 0 && class == PS_SCHED_GUARANTEED &&
		      p->sides[p->n_sides - 1].flow->class == PS_SCHED_GUARANTEED;
	return unseen ? 1 / (1 - s->options.best_effort_floor) : 1;
}

static void run_batch(struct play *p, const struct side *leader, const int *batch, int n)
{
	struct lane *lane = &p->lanes[0];
	const struct player *first = &p->players[batch[0]];
	const struct instance *i = &p->s->instances[first->item->instance];
	bool wide = p->s->options.wide;
	int64_t rows = 0;
	for (int k = 0; k < n; k++)
		rows += p->players[batch[k]].item->rows;
	double cost = cost_of(p, first, rows), sd = learn_spread_ns(i, rows, wide);
	lane->variance += sd * sd;
	double start = lane->free_ns, finish = start + learn_mean_ns(i, rows, wide);
	lane->free_ns += learn_mean_ns(i, rows, wide) * stretch(p, leader->flow->class);
	lane->class = leader->flow->class;
	p->credit_ns += fair_floor_share(p->s, leader->flow->class) * cost;
	for (int k = 0; k < n; k++) {
		struct player *x = &p->players[batch[k]];
		struct side *side = &p->sides[x->flow];
		x->start_ns = start;
		x->finish_ns = finish;
		x->tag = side->tag;
		side->last_ns = fmax(side->last_ns, finish);
		x->variance = lane->variance;
		side->tag +=
			cost * (double)x->item->rows / (double)rows / (double)side->flow->weight;
	}
	sift_down(p, 0);
}

static void play(struct play *p)
{
	int batch[MAX_ITEMS];
	while (p->left > 0 && p->n_lanes > 0) {
		struct side *leader = pick(p);
		if (!leader) { /* the lane stays reserved */
			p->lanes[0] = p->lanes[--p->n_lanes];
			sift_down(p, 0);
			continue;
		}
		run_batch(p, leader, batch, fill(p, leader, batch));
	}
}

/* ---- whom the newcomer would make late ---------------------------------------------------- */

static bool is_late(const struct play *p, const struct player *x)
{
	return x->item->deadline_ns && (double)(x->item->deadline_ns - p->now_ns) < x->finish_ns;
}

/* Those of the same tenant that it would make late, unless its level is better. Other tenants'
 * items fall behind a newcomer only where fairness says so; what that takes is in their margins. */
static bool harms(struct play *p)
{
	const struct player *n = &p->players[p->newcomer];
	int level = n->item->level > 0 ? n->item->level : 1;
	bool victims[MAX_ITEMS], any = false, found = false;
	for (int k = 0; k < p->n_players; k++) {
		const struct player *x = &p->players[k];
		victims[k] = x->flow == n->flow && k != p->newcomer && is_late(p, x) &&
			     level >= (x->item->level > 0 ? x->item->level : 1);
		any = any || victims[k];
	}
	if (!any)
		return false;
	reset(p, false);
	play(p);
	for (int k = 0; k < p->n_players && !found; k++)
		found = victims[k] && !is_late(p, &p->players[k]);
	return found;
}

/* What tenants that are done before the newcomer's turn will bring in the meantime: as much as of
 * late, and no more than puts them level with it. */
static double newcomers_ns(const struct play *p, double wait_ns)
{
	const struct ps_sched *s = p->s;
	const struct player *n = &p->players[p->newcomer];
	const struct flow *own = p->sides[n->flow].flow;
	struct traffic idle[PS_SCHED_CLASSES];
	double sum = 0, rate_of_idle = 0;
	for (int c = 0; c <= (int)own->class; c++)
		idle[c] = recent_of_class(s, c);
	for (int k = 0; k < p->n_sides; k++) {
		const struct side *side = &p->sides[k];
		recent_subtract(&idle[side->flow->class], s, side->flow);
		if (side->flow == own || side->last_ns > n->start_ns)
			continue;
		double more = recent_rate(s, side->flow, p->now_ns) * wait_ns;
		if (side->flow->class == own->class)
			more = fmin(more, (n->tag - side->tag) * (double)side->flow->weight);
		sum += fmax(more, 0);
	}
	for (int c = 0; c <= (int)own->class; c++)
		rate_of_idle += recent_rate_of(s, c, &idle[c], own, p->now_ns);
	return sum + rate_of_idle * wait_ns;
}

/* The newcomers of the time that the newcomers take are the last thing that matters. */
static double settle_newcomers(const struct play *p)
{
	const struct player *n = &p->players[p->newcomer];
	int lanes = p->s->options.wide ? 1 : lanes_of(p->s, p->sides[n->flow].flow->class);
	double others = 0;
	for (int k = 0; k < 3; k++)
		others = newcomers_ns(p, n->start_ns + others) / lanes;
	return others;
}

bool play_run(struct ps_sched *s, const struct ps_sched_item *it, int64_t now_ns, int play_items,
	      struct outcome *ret_outcome)
{
	if (!is_small(s, it, play_items))
		return false;
	if (!s->play)
		s->play = malloc(sizeof *s->play);
	struct play *p = s->play;
	if (!p)
		return false;
	p->s = s;
	p->now_ns = now_ns;
	gather(p, it);
	reset(p, true);
	play(p);
	const struct player *n = &p->players[p->newcomer];
	ret_outcome->others_ns = settle_newcomers(p);
	ret_outcome->finish_ns = n->finish_ns + ret_outcome->others_ns;
	ret_outcome->sd_ns = sqrt(n->variance);
	ret_outcome->harms = harms(p);
	return true;
}
