/* The replay. It shares no code with the policy: plain arrays, true times.
 *
 * A world is copied for each question and thrown away or kept with the answer. What it costs is one
 * copy and the runs until the answer is clear: the newcomer or somebody else is late, or everything
 * is idle again, where the world with it and the one without it are the same. */
#include "sim/oracle.h"

#include <stdlib.h>
#include <string.h>

struct queue {
	int64_t *items; /* indices of requests, by deadline, then arrival */
	int64_t len, cap;
	double tag, weight;
};

struct world {
	int64_t now_ns;
	int64_t *lanes; /* when each is free */
	struct queue *queues;
	double virtual_time;
	int64_t waiting;
	size_t next; /* the next request that has not arrived */
	double busy_ns;
};

enum standing { OUT, IN, MISSED };

struct oracle {
	const struct ps_sim_plan *plan;
	const struct ps_sim_past *past;
	size_t n;
	unsigned char *standing; /* IN: must be served in time */
	struct world now, trial;
	int64_t *batch; /* scratch: what may run together */
	bool failed, no_memory;
};

/* ---- worlds ------------------------------------------------------------------------------- */

static bool world_init(struct world *w, const struct ps_sim_plan *p)
{
	w->lanes = calloc((size_t)p->n_lanes, sizeof *w->lanes);
	w->queues = calloc((size_t)p->n_tenants, sizeof *w->queues);
	for (int i = 0; w->queues && i < p->n_tenants; i++)
		w->queues[i].weight = (double)p->tenants[i].weight;
	return w->lanes && w->queues;
}

static void world_fini(struct world *w, const struct ps_sim_plan *p)
{
	for (int i = 0; w->queues && i < p->n_tenants; i++)
		free(w->queues[i].items);
	free(w->queues);
	free(w->lanes);
}

static bool reserve(struct queue *q, int64_t n)
{
	if (n <= q->cap)
		return true;
	int64_t cap = q->cap ? q->cap : 64;
	while (cap < n)
		cap *= 2;
	int64_t *items = realloc(q->items, (size_t)cap * sizeof *items);
	if (!items)
		return false;
	q->items = items;
	q->cap = cap;
	return true;
}

static bool world_copy(struct world *to, const struct world *from, const struct ps_sim_plan *p)
{
	memcpy(to->lanes, from->lanes, (size_t)p->n_lanes * sizeof *to->lanes);
	for (int i = 0; i < p->n_tenants; i++) {
		struct queue *q = &to->queues[i];
		const struct queue *f = &from->queues[i];
		if (!reserve(q, f->len))
			return false;
		if (f->len)
			memcpy(q->items, f->items, (size_t)f->len * sizeof *q->items);
		q->len = f->len;
		q->tag = f->tag;
	}
	to->now_ns = from->now_ns;
	to->virtual_time = from->virtual_time;
	to->waiting = from->waiting;
	to->next = from->next;
	to->busy_ns = from->busy_ns;
	return true;
}

/* ---- the fair order ----------------------------------------------------------------------- */

static int64_t deadline_of(const struct oracle *o, int64_t item)
{
	int64_t d = o->past[item].deadline_ns;
	return d ? d : INT64_MAX;
}

static void push(struct oracle *o, struct world *w, int64_t item)
{
	struct queue *q = &w->queues[o->past[item].tenant];
	if (!reserve(q, q->len + 1)) {
		o->no_memory = true;
		return;
	}
	if (q->len == 0 && q->tag < w->virtual_time)
		q->tag = w->virtual_time;
	int64_t at = q->len++;
	for (; at > 0 && (deadline_of(o, q->items[at - 1]) > deadline_of(o, item) ||
			  (deadline_of(o, q->items[at - 1]) == deadline_of(o, item) &&
			   q->items[at - 1] > item));
	     at--)
		q->items[at] = q->items[at - 1];
	q->items[at] = item;
	w->waiting++;
}

static void take_first(struct world *w, struct queue *q)
{
	q->len--;
	memmove(q->items, q->items + 1, (size_t)q->len * sizeof *q->items);
	w->waiting--;
}

static const struct ps_sim_model *model_of(const struct oracle *o, int64_t item)
{
	return &o->plan->models[o->plan->tenants[o->past[item].tenant].model];
}

static int64_t rows_of(const struct oracle *o, int64_t item)
{
	int64_t rows = o->plan->tenants[o->past[item].tenant].rows;
	return rows ? rows : 1;
}

/* The waiting tenant with the least tag; of one model unless `model` is NULL. */
static struct queue *pick(const struct oracle *o, struct world *w, const struct ps_sim_model *model)
{
	struct queue *best = NULL;
	for (int i = 0; i < o->plan->n_tenants; i++) {
		struct queue *q = &w->queues[i];
		if (q->len == 0 || (best && q->tag >= best->tag))
			continue;
		if (!model || &o->plan->models[o->plan->tenants[i].model] == model)
			best = q;
	}
	return best;
}

/* ---- runs --------------------------------------------------------------------------------- */

struct size {
	int64_t n, rows, ns;
};

/* The time of a run of the first n of the batch. */
static struct size size_of(const struct oracle *o, int64_t n)
{
	double factors = 0;
	struct size s = {.n = n};
	for (int64_t k = 0; k < n; k++) {
		int64_t rows = rows_of(o, o->batch[k]);
		factors += (double)rows * o->past[o->batch[k]].factor;
		s.rows += rows;
	}
	double ns = ps_sim_time_ns(model_of(o, o->batch[0]), s.rows) * factors / (double)s.rows;
	s.ns = ns < 1 ? 1 : (int64_t)(ns + 0.5);
	return s;
}

static double alone_ns(const struct oracle *o, int64_t item)
{
	return ps_sim_time_ns(model_of(o, item), rows_of(o, item)) * o->past[item].factor;
}

/* One that would be late alone asks for nothing. */
static bool in_time(const struct oracle *o, const struct size *s, int64_t now_ns)
{
	for (int64_t k = 0; k < s->n; k++) {
		int64_t item = o->batch[k], left_ns = deadline_of(o, item) - now_ns;
		if (s->ns > left_ns && alone_ns(o, item) <= (double)left_ns)
			return false;
	}
	return true;
}

/* Gathers what might run together, in fair order, without charging anybody yet. */
static int64_t gather(struct oracle *o, struct world *w, struct queue *first)
{
	const struct ps_sim_model *m = model_of(o, first->items[0]);
	int64_t n = 1, rows = rows_of(o, first->items[0]);
	o->batch[0] = first->items[0];
	if (rows >= m->max_batch)
		return n;
	take_first(w, first);
	double mean = ps_sim_time_ns(m, m->max_batch) / (double)m->max_batch;
	first->tag += mean / first->weight; /* for this order only: see start */
	struct queue *q;
	while ((q = pick(o, w, m)) && rows + rows_of(o, q->items[0]) <= m->max_batch) {
		rows += rows_of(o, q->items[0]);
		o->batch[n++] = q->items[0];
		take_first(w, q);
		q->tag += mean / q->weight;
	}
	for (int64_t k = 0; k < n; k++) { /* put everything back */
		q = &w->queues[o->past[o->batch[k]].tenant];
		q->tag -= mean / q->weight;
		push(o, w, o->batch[k]);
	}
	return n;
}

static struct size choose(struct oracle *o, struct world *w, struct queue *first)
{
	int64_t most = gather(o, w, first);
	struct size best = size_of(o, 1);
	double best_per_row = 0;
	for (int64_t n = 1; n <= most; n++) {
		struct size s = size_of(o, n);
		double per_row = ps_sim_time_ns(model_of(o, o->batch[0]), s.rows) / (double)s.rows;
		if (n > 1 && !in_time(o, &s, w->now_ns))
			break;
		if (n == 1 || per_row < best_per_row) {
			best = s;
			best_per_row = per_row;
		}
	}
	return best;
}

static void note_end(struct oracle *o, const struct world *w, int64_t item, int64_t finish_ns)
{
	if (finish_ns <= deadline_of(o, item) || o->standing[item] == OUT)
		return;
	if (w == &o->trial || o->standing[item] == MISSED)
		o->failed |= o->standing[item] == IN;
	else
		o->standing[item] = MISSED;
}

static void take_item(struct world *w, struct queue *q, int64_t item)
{
	int64_t at = 0;
	while (q->items[at] != item)
		at++;
	q->len--;
	memmove(q->items + at, q->items + at + 1, (size_t)(q->len - at) * sizeof *q->items);
	w->waiting--;
}

static void start(struct oracle *o, struct world *w, int lane)
{
	struct queue *first = pick(o, w, NULL);
	w->virtual_time = first->tag;
	struct size s = choose(o, w, first);
	for (int64_t k = 0; k < s.n; k++) {
		int64_t item = o->batch[k];
		struct queue *q = &w->queues[o->past[item].tenant];
		double part = (double)rows_of(o, item) / (double)s.rows;
		take_item(w, q, item);
		q->tag += (double)s.ns * part / q->weight;
		note_end(o, w, item, w->now_ns + s.ns);
	}
	w->lanes[lane] = w->now_ns + s.ns;
	w->busy_ns += (double)s.ns;
}

/* ---- time --------------------------------------------------------------------------------- */

static int free_lane(const struct oracle *o, const struct world *w, int64_t *ret_ns)
{
	int best = 0;
	for (int i = 1; i < o->plan->n_lanes; i++)
		if (w->lanes[i] < w->lanes[best])
			best = i;
	*ret_ns = w->lanes[best] > w->now_ns ? w->lanes[best] : w->now_ns;
	return best;
}

/* The next that arrives. Those that are out are passed over but not left behind: they may be let in
 * before their time comes. */
static size_t next_of(const struct oracle *o, const struct world *w)
{
	size_t i = w->next;
	while (i < o->n && o->standing[i] == OUT)
		i++;
	return i;
}

static int64_t arrival_of(const struct oracle *o, size_t item)
{
	return item < o->n ? o->past[item].arrived_ns : INT64_MAX;
}

/* Performs the next event not after `until_ns`; false when there is none. What starts at the very
 * instant of an arrival starts before it, as in the simulation. */
static bool step(struct oracle *o, struct world *w, int64_t until_ns)
{
	int64_t free_ns;
	int lane = free_lane(o, w, &free_ns);
	size_t next = next_of(o, w);
	int64_t arrival_ns = arrival_of(o, next);
	if (w->waiting > 0 && free_ns <= arrival_ns && free_ns <= until_ns) {
		w->now_ns = free_ns;
		start(o, w, lane);
		return true;
	}
	if (arrival_ns > until_ns || arrival_ns == INT64_MAX)
		return false;
	w->now_ns = arrival_ns > w->now_ns ? arrival_ns : w->now_ns;
	push(o, w, (int64_t)next);
	w->next = next + 1;
	return true;
}

/* Whether nothing waits or runs before the next arrival. */
static bool is_idle(const struct oracle *o, const struct world *w)
{
	if (w->waiting > 0)
		return false;
	int64_t at_ns = arrival_of(o, next_of(o, w));
	for (int i = 0; i < o->plan->n_lanes; i++)
		if (w->lanes[i] > at_ns)
			return false;
	return true;
}

/* Whether the newcomer fits. */
static bool try_one(struct oracle *o, size_t item, struct ps_sim_verdict *v)
{
	o->standing[item] = IN;
	o->failed = false;
	if (!world_copy(&o->trial, &o->now, o->plan)) {
		o->no_memory = true;
		return false;
	}
	int runs = 0;
	bool arrived = false;
	while (!o->failed && runs < PS_SIM_ORACLE_RUNS && step(o, &o->trial, INT64_MAX)) {
		runs++;
		arrived |= o->trial.next > item;
		if (arrived && is_idle(o, &o->trial))
			break;
	}
	if (o->failed)
		o->standing[item] = OUT;
	else if (o->past[item].counted)
		v->undecided += runs == PS_SIM_ORACLE_RUNS;
	return !o->failed;
}

static void replay_alone(struct oracle *o, struct ps_sim_verdict *v)
{
	while (step(o, &o->now, INT64_MAX))
		;
	for (size_t i = 0; i < o->n; i++)
		v->missed += o->standing[i] == MISSED;
	int64_t zero_lanes = o->plan->n_lanes;
	memset(o->now.lanes, 0, (size_t)zero_lanes * sizeof *o->now.lanes);
	for (int i = 0; i < o->plan->n_tenants; i++)
		o->now.queues[i].tag = 0;
	o->now.now_ns = 0;
	o->now.virtual_time = 0;
	o->now.next = 0;
	o->now.busy_ns = 0;
}

static void judge(struct oracle *o, struct ps_sim_verdict *v, bool *ret_could)
{
	for (size_t i = 0; i < o->n && !o->no_memory; i++) {
		if (o->past[i].fate != PS_SIM_REFUSED)
			continue;
		while (step(o, &o->now, o->past[i].arrived_ns - 1))
			;
		bool could = try_one(o, i, v);
		if (ret_could)
			ret_could[i] = could;
		v->refused += o->past[i].counted;
		v->could += could && o->past[i].counted;
	}
	while (step(o, &o->now, INT64_MAX))
		;
	v->idle_ns = (double)o->now.now_ns * o->plan->n_lanes - o->now.busy_ns;
}

enum ps_status ps_sim_oracle(const struct ps_sim_plan *plan, const struct ps_sim_past *past,
			     size_t n, struct ps_sim_verdict *ret_verdict, bool *ret_could)
{
	struct oracle o = {.plan = plan, .past = past, .n = n};
	struct ps_sim_verdict v = {0};
	int64_t most = 1;
	for (int i = 0; i < plan->n_models; i++)
		most = plan->models[i].max_batch > most ? plan->models[i].max_batch : most;
	o.standing = calloc(n + 1, 1);
	o.batch = calloc((size_t)most, sizeof *o.batch);
	o.no_memory =
		!world_init(&o.now, plan) || !world_init(&o.trial, plan) || !o.standing || !o.batch;
	if (!o.no_memory) {
		for (size_t i = 0; i < n; i++)
			o.standing[i] = past[i].fate == PS_SIM_IN_TIME ? IN : OUT;
		if (ret_could)
			memset(ret_could, 0, n * sizeof *ret_could);
		replay_alone(&o, &v);
		judge(&o, &v, ret_could);
	}
	world_fini(&o.now, plan);
	world_fini(&o.trial, plan);
	free(o.standing);
	free(o.batch);
	if (o.no_memory)
		return PS_ENOMEM;
	*ret_verdict = v;
	return PS_OK;
}
