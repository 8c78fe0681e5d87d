#include "cache/simulate.h"
#include "cache/cache_internal.h"
#include "cache/game_internal.h"

#include "stats/stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Objections under this are the certificate's own slack. */
#define CORE_TOLERANCE 1e-5

static enum ps_status no_memory(struct ps_error *err)
{
	ps_error_set(err, PS_ENOMEM, "no memory for a simulation");
	return PS_ENOMEM;
}

/* A tenant's requests in order, and how far they came. */
struct line {
	size_t *request; /* [n] their numbers */
	size_t n, arrived, admitted, started, finished;
	bool running;
	double left_s; /* of the one that runs, at full speed */
};

struct sim {
	const struct ps_cache_workload *w;
	const struct ps_cache_sim_options *o;
	struct ps_cache *cache;
	int *item_of; /* the cache's number of each item, -1: it never fits */
	struct line *line;
	size_t *place;	/* of all lines, one behind the other */
	double *done_s; /* [requests] */
	double now_s, tick_s, used_bytes_s;
	int64_t resident_bytes;
	size_t next, finished;
	struct ps_cache_sim_result *r;
	double worst_epoch;
};

/* ---- memory ---- */

static void come(struct sim *s, int item)
{
	ps_cache_set_resident(s->cache, item, true);
	s->resident_bytes += s->cache->item[item].bytes;
}

static void leave(struct sim *s, int item)
{
	ps_cache_set_resident(s->cache, item, false);
	s->resident_bytes -= s->cache->item[item].bytes;
}

/* Room for an item, without what the configuration wants; false: there is none. */
static bool make_room(struct sim *s, int tenant, int item)
{
	int64_t need = s->cache->item[item].bytes - (s->o->capacity_bytes - s->resident_bytes);
	int n;

	if (need <= 0)
		return true;
	int *victims = malloc(((size_t)s->w->items + 1) * sizeof(*victims));
	if (!victims)
		return false;
	n = ps_cache_victims(s->cache, tenant, item, need, false, NULL, NULL, victims, s->w->items);
	for (int i = 0; i < n; i++)
		leave(s, victims[i]);
	free(victims);
	return n > 0;
}

/* The seconds that a request takes now; its item comes into memory if it may. */
static double serve(struct sim *s, const struct ps_cache_request *q)
{
	struct ps_cache *c = s->cache;
	double run_s = s->w->run_s[q->item], load_s = s->w->item[q->item].load_s;
	int item = s->item_of[q->item];

	s->r->tenant[q->tenant].requests++;
	if (item >= 0)
		c->policy->touch(&c->scores, &c->tenant[q->tenant], &c->item[item], item);
	if (item >= 0 && c->item[item].resident) {
		s->r->tenant[q->tenant].hits++;
		return run_s;
	}
	s->r->load_s += load_s;
	bool stays =
		item >= 0 && (c->policy->per_request || !s->o->batch || ps_cache_wants(c, item));
	if (stays && make_room(s, q->tenant, item))
		come(s, item);
	return run_s + load_s;
}

/* ---- epochs ---- */

static void count_demand(struct sim *s, const struct line *l, int tenant)
{
	for (size_t i = l->finished; i < l->admitted; i++) {
		int item = s->item_of[s->w->request[l->request[i]].item];
		if (item >= 0)
			s->cache->fresh[ps_cache_cell_of(s->cache, tenant, item)]++;
	}
}

static void admit(struct sim *s, struct line *l)
{
	size_t most = l->arrived;

	if (s->o->batch && s->o->per_epoch > 0 && l->finished + (size_t)s->o->per_epoch < most)
		most = l->finished + (size_t)s->o->per_epoch;
	l->admitted = most > l->admitted ? most : l->admitted;
}

static enum ps_status check_core(struct sim *s, const struct ps_cache_plan *plan,
				 struct ps_error *err)
{
	struct ps_cache_problem p;
	struct ps_cache_objection o;

	if (!s->o->core)
		return PS_OK;
	ps_cache_problem_of(s->cache, &p);
	enum ps_status st = ps_cache_core(&p, plan, CORE_TOLERANCE, &o, err);
	if (st == PS_OK) {
		s->r->core_epochs++;
		s->r->outside += o.found;
		ps_cache_objection_free(&o);
	}
	return st;
}

static void account(struct sim *s, const struct ps_cache_epoch *e)
{
	s->r->epochs++;
	s->r->switches += e->switched;
	s->r->gap = fmax(s->r->gap, e->plan->gap);
	for (int i = 0; i < s->r->tenants; i++) {
		s->r->tenant[i].utility_s += e->plan->utility[i];
		s->r->tenant[i].best_s += e->plan->best[i];
		s->r->tenant[i].entitled_s += e->plan->entitled[i];
	}
	s->worst_epoch = fmin(s->worst_epoch, ps_cache_worst_share(e->plan, NULL));
}

/* What is not wanted goes at once where a plan is a batch's own. */
static void drop_unwanted(struct sim *s)
{
	if (!s->o->batch || s->cache->policy->per_request)
		return;
	for (int j = 0; j < s->cache->items; j++)
		if (s->cache->item[j].resident && !ps_cache_wants(s->cache, j))
			leave(s, j);
}

static void start(struct sim *s, struct line *l)
{
	if (l->running || l->started == l->admitted)
		return;
	l->running = true;
	l->left_s = serve(s, &s->w->request[l->request[l->started++]]);
}

static enum ps_status tick(struct sim *s, struct ps_error *err)
{
	uint64_t before = s->cache->last.number;
	struct ps_cache_epoch e;

	for (int i = 0; s->o->batch && i < s->w->tenants; i++) {
		admit(s, &s->line[i]);
		count_demand(s, &s->line[i], i);
	}
	enum ps_status st = ps_cache_epoch_end(s->cache, &e, err);
	if (st == PS_OK && e.number > before) {
		account(s, &e);
		st = check_core(s, e.plan, err);
		drop_unwanted(s);
	}
	for (int i = 0; i < s->w->tenants; i++)
		start(s, &s->line[i]);
	s->tick_s += s->o->epoch_s;
	return st;
}

/* ---- time ---- */

static double active_weight(const struct sim *s)
{
	double sum = 0;

	for (int i = 0; i < s->w->tenants; i++)
		sum += s->line[i].running ? s->w->tenant[i].weight : 0;
	return sum;
}

/* Who is done first when nothing else happens. */
static int first_done(const struct sim *s, double weight, double *ret_s)
{
	int first = -1;

	*ret_s = INFINITY;
	for (int i = 0; i < s->w->tenants; i++) {
		if (!s->line[i].running)
			continue;
		double s_left = s->line[i].left_s * weight / s->w->tenant[i].weight;
		if (s_left < *ret_s) {
			*ret_s = s_left;
			first = i;
		}
	}
	return first;
}

static void advance(struct sim *s, double by_s, double weight)
{
	for (int i = 0; i < s->w->tenants; i++)
		if (s->line[i].running)
			s->line[i].left_s =
				fmax(0, s->line[i].left_s - by_s * s->w->tenant[i].weight / weight);
	s->used_bytes_s += by_s * (double)s->resident_bytes;
	s->now_s += by_s;
}

static void finish(struct sim *s, struct line *l)
{
	s->done_s[l->request[l->finished++]] = s->now_s;
	s->finished++;
	l->running = false;
	start(s, l);
}

static void arrive(struct sim *s)
{
	const struct ps_cache_request *q = &s->w->request[s->next++];
	struct line *l = &s->line[q->tenant];
	int item = s->item_of[q->item];

	l->arrived++;
	if (s->o->batch)
		return;
	if (item >= 0)
		s->cache->fresh[ps_cache_cell_of(s->cache, q->tenant, item)]++;
	admit(s, l);
	start(s, l);
}

static enum ps_status step(struct sim *s, struct ps_error *err)
{
	double weight = active_weight(s), done_s, arrival_s = INFINITY;
	int first = first_done(s, weight, &done_s);

	if (s->next < s->w->requests)
		arrival_s = fmax(0, s->w->request[s->next].at_s - s->now_s);
	double tick_s = fmax(0, s->tick_s - s->now_s);
	advance(s, fmin(done_s, fmin(arrival_s, tick_s)), weight);
	if (done_s <= arrival_s && done_s <= tick_s) {
		finish(s, &s->line[first]);
		return PS_OK;
	}
	if (arrival_s <= tick_s) {
		arrive(s);
		return PS_OK;
	}
	return tick(s, err);
}

/* ---- building ---- */

static enum ps_status make_cache(struct sim *s, struct ps_error *err)
{
	const struct ps_cache_options o = {
		.policy = s->o->policy,
		.capacity_bytes = s->o->capacity_bytes,
		/* A batch is planned for by itself. */
		.half_life_epochs = s->o->batch ? 1e-3 : s->o->half_life_epochs,
		.warm_factor = s->o->warm_factor,
		.reuse_gap = s->o->reuse_gap,
		.load_share = s->o->load_share,
		.seed = s->o->seed,
	};
	enum ps_status st = ps_cache_new(&o, &s->cache, err);
	char name[24];

	for (int i = 0, at; st == PS_OK && i < s->w->tenants; i++) {
		snprintf(name, sizeof(name), "%d", i);
		st = ps_cache_set_tenant(s->cache, name, &s->w->tenant[i], &at, err);
	}
	for (int j = 0; st == PS_OK && j < s->w->items; j++) {
		struct ps_cache_item item = s->w->item[j];
		s->item_of[j] = -1;
		if (item.bytes > o.capacity_bytes)
			continue; /* read from disk for ever */
		snprintf(name, sizeof(name), "%d", j);
		st = ps_cache_set_item(s->cache, name, &item, &s->item_of[j], err);
		if (st == PS_OK && item.resident)
			s->resident_bytes += item.bytes;
	}
	return st;
}

static void make_lines(struct sim *s)
{
	size_t at = 0;

	for (size_t q = 0; q < s->w->requests; q++)
		s->line[s->w->request[q].tenant].n++;
	for (int i = 0; i < s->w->tenants; i++) {
		s->line[i].request = s->place + at;
		at += s->line[i].n;
		s->line[i].n = 0;
	}
	for (size_t q = 0; q < s->w->requests; q++) {
		struct line *l = &s->line[s->w->request[q].tenant];
		l->request[l->n++] = q;
	}
}

static void sim_fini(struct sim *s)
{
	ps_cache_free(s->cache);
	free(s->item_of);
	free(s->line);
	free(s->place);
	free(s->done_s);
}

static enum ps_status sim_init(struct sim *s, struct ps_error *err)
{
	s->item_of = calloc((size_t)s->w->items + 1, sizeof(*s->item_of));
	s->line = calloc((size_t)s->w->tenants + 1, sizeof(*s->line));
	s->place = calloc(s->w->requests + 1, sizeof(*s->place));
	s->done_s = calloc(s->w->requests + 1, sizeof(*s->done_s));
	s->r->tenant = calloc((size_t)s->w->tenants + 1, sizeof(*s->r->tenant));
	s->r->tenants = s->w->tenants;
	if (!s->item_of || !s->line || !s->place || !s->done_s || !s->r->tenant)
		return no_memory(err);
	enum ps_status st = make_cache(s, err);
	if (st == PS_OK)
		make_lines(s);
	s->tick_s = s->o->epoch_s;
	s->worst_epoch = INFINITY;
	return st;
}

/* ---- what came of it ---- */

static void slowdowns(const struct sim *s, const struct line *l, const double *alone,
		      struct ps_cache_sim_tenant *t, double *scratch)
{
	double latency = 0;

	for (size_t i = 0; i < l->n; i++) {
		double took = s->done_s[l->request[i]] - s->w->request[l->request[i]].at_s;
		latency += took;
		if (alone)
			scratch[i] = took / alone[l->request[i]];
	}
	t->mean_latency_s = l->n > 0 ? latency / (double)l->n : NAN;
	t->mean_slowdown = t->p99_slowdown = NAN;
	if (!alone || l->n == 0)
		return;
	ps_stats_sort(scratch, l->n);
	t->mean_slowdown = ps_stats_mean(scratch, l->n);
	t->p99_slowdown = ps_stats_quantile(scratch, l->n, 0.99);
}

static void fairness(struct ps_cache_sim_result *r, double *scratch)
{
	int n = 0;

	r->worst_share = INFINITY;
	r->worst_tenant = -1;
	for (int i = 0; i < r->tenants; i++) {
		const struct ps_cache_sim_tenant *t = &r->tenant[i];
		if (!(t->best_s > 0))
			continue;
		scratch[n++] = t->utility_s / t->best_s;
		if (t->utility_s / t->entitled_s < r->worst_share) {
			r->worst_share = t->utility_s / t->entitled_s;
			r->worst_tenant = i;
		}
	}
	r->worst_share = n > 0 ? r->worst_share : 1;
	r->jain = ps_cache_jain(scratch, n);
}

static enum ps_status summarize(struct sim *s, const double *alone, struct ps_error *err)
{
	struct ps_cache_sim_result *r = s->r;
	size_t hits = 0;
	double *scratch = malloc((s->w->requests + (size_t)s->w->tenants + 1) * sizeof(*scratch));

	if (!scratch)
		return no_memory(err);
	for (int i = 0; i < s->w->tenants; i++) {
		slowdowns(s, &s->line[i], alone, &r->tenant[i], scratch);
		hits += r->tenant[i].hits;
	}
	fairness(r, scratch);
	free(scratch);
	r->requests_per_s = s->now_s > 0 ? (double)s->w->requests / s->now_s : 0;
	r->hit_ratio = s->w->requests > 0 ? (double)hits / (double)s->w->requests : 0;
	r->used = s->now_s > 0 && s->o->capacity_bytes > 0
			  ? s->used_bytes_s / s->now_s / (double)s->o->capacity_bytes
			  : 0;
	r->worst_epoch = isfinite(s->worst_epoch) ? s->worst_epoch : 1;
	return PS_OK;
}

static enum ps_status check(const struct ps_cache_workload *w, const struct ps_cache_sim_options *o,
			    struct ps_error *err)
{
	if (!(o->epoch_s > 0) || !isfinite(o->epoch_s) || o->per_epoch < 0)
		return ps_error_set(err, PS_EINVAL, "an epoch of %g s", o->epoch_s);
	for (size_t q = 0; q < w->requests; q++) {
		const struct ps_cache_request *x = &w->request[q];
		if (!(x->at_s >= (q > 0 ? x[-1].at_s : 0)) || x->tenant < 0 ||
		    x->tenant >= w->tenants || x->item < 0 || x->item >= w->items)
			return ps_error_set(err, PS_EINVAL, "request %zu is out of order or range",
					    q + 1);
	}
	/* An epoch without end is one that nothing waits for. */
	if (w->requests > 0 && w->request[w->requests - 1].at_s / o->epoch_s > 1e7)
		return ps_error_set(err, PS_EINVAL, "over ten million epochs");
	return PS_OK;
}

static enum ps_status run(struct sim *s, const double *alone, struct ps_error *err)
{
	enum ps_status st = sim_init(s, err);

	while (st == PS_OK && s->finished < s->w->requests)
		st = step(s, err);
	return st == PS_OK ? summarize(s, alone, err) : st;
}

enum ps_status ps_cache_sim_run(const struct ps_cache_workload *w,
				const struct ps_cache_sim_options *o, const double *alone,
				struct ps_cache_sim_result *ret_result, struct ps_error *err)
{
	struct ps_cache_sim_result r = {0};
	struct sim s = {.w = w, .o = o, .r = &r};
	enum ps_status st = check(w, o, err);

	if (st == PS_OK)
		st = run(&s, alone, err);
	sim_fini(&s);
	if (st == PS_OK)
		*ret_result = r;
	else
		ps_cache_sim_free(&r);
	return st;
}

void ps_cache_sim_free(struct ps_cache_sim_result *r)
{
	free(r->tenant);
	*r = (struct ps_cache_sim_result){0};
}

/* ---- alone ---- */

static enum ps_status run_alone(const struct ps_cache_workload *w,
				const struct ps_cache_sim_options *o, int tenant,
				struct ps_cache_request *own, size_t *where, double *ret_latency,
				struct ps_error *err)
{
	struct ps_cache_workload one = *w;
	struct ps_cache_sim_options opt = *o;
	struct ps_cache_sim_result r = {0};
	struct sim s = {.w = &one, .o = &opt, .r = &r};

	one.request = own;
	one.requests = 0;
	for (size_t q = 0; q < w->requests; q++)
		if (w->request[q].tenant == tenant) {
			where[one.requests] = q;
			own[one.requests++] = w->request[q];
		}
	opt.core = false;
	opt.policy = PS_CACHE_PF;
	enum ps_status st = run(&s, NULL, err);
	for (size_t q = 0; st == PS_OK && q < one.requests; q++)
		ret_latency[where[q]] = s.done_s[q] - own[q].at_s;
	sim_fini(&s);
	ps_cache_sim_free(&r);
	return st;
}

enum ps_status ps_cache_sim_alone(const struct ps_cache_workload *w,
				  const struct ps_cache_sim_options *o, double *ret_latency,
				  struct ps_error *err)
{
	struct ps_cache_request *own = calloc(w->requests + 1, sizeof(*own));
	size_t *where = calloc(w->requests + 1, sizeof(*where));
	enum ps_status st = own && where ? check(w, o, err) : no_memory(err);

	for (int i = 0; st == PS_OK && i < w->tenants; i++)
		st = run_alone(w, o, i, own, where, ret_latency, err);
	free(own);
	free(where);
	return st;
}
