#include "cache/simulate_internal.h"

#include "cache/cache_internal.h"
#include "cache/game_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Objections under this are the certificate's own slack. */
#define CORE_TOLERANCE 1e-5

/* ---- memory ---- */

/* Its room is taken as its load begins; `line` loads it. */
static void come(struct ps_cache_sim *s, int item, int line)
{
	ps_cache_set_resident(s->cache, item, true);
	s->loader[item] = line;
	s->resident_bytes += s->cache->item[item].bytes;
}

static void leave(struct ps_cache_sim *s, int item)
{
	ps_cache_set_resident(s->cache, item, false);
	s->loader[item] = -1; /* who loads it, or waits for that, gets its own still */
	s->resident_bytes -= s->cache->item[item].bytes;
}

/* What others wait for stays. */
static bool may_go(void *ctx, int item)
{
	const struct ps_cache_sim *s = ctx;

	return s->loader[item] < 0;
}

/* Room for an item, without what the configuration wants; false: there is none. */
static bool make_room(struct ps_cache_sim *s, int tenant, int item)
{
	int64_t need = s->cache->item[item].bytes - (s->o->capacity_bytes - s->resident_bytes);
	int n;

	if (need <= 0)
		return true;
	int *victims = malloc(((size_t)s->w->items + 1) * sizeof(*victims));
	if (!victims)
		return false;
	n = ps_cache_victims(s->cache, tenant, item, need, false, may_go, s, victims, s->w->items);
	for (int i = 0; i < n; i++)
		leave(s, victims[i]);
	free(victims);
	return n > 0;
}

/* What is not in memory is loaded; it stays there if it may. */
static void load(struct ps_cache_sim *s, int tenant, const struct ps_cache_request *q, int item)
{
	struct ps_cache *c = s->cache;
	struct ps_cache_sim_line *l = &s->line[tenant];

	l->does = PS_CACHE_SIM_LOADS;
	l->loads = -1;
	l->left_s = s->w->item[q->item].load_s;
	s->r->load_s += l->left_s;
	if (item < 0 || (!c->policy->per_request && s->o->batch && !ps_cache_wants(c, item)) ||
	    !make_room(s, tenant, item))
		return;
	come(s, item, tenant);
	l->loads = item;
}

static void runs(struct ps_cache_sim *s, struct ps_cache_sim_line *l)
{
	l->does = PS_CACHE_SIM_RUNS;
	l->left_s = s->w->run_s[s->w->request[l->request[l->started - 1]].item];
}

/* A tenant's next request begins: it finds its item, or it is a cold start, which loads it or
 * waits for the rest of a load that is under way. */
static void begin(struct ps_cache_sim *s, int tenant)
{
	struct ps_cache *c = s->cache;
	struct ps_cache_sim_line *l = &s->line[tenant];
	const struct ps_cache_request *q = &s->w->request[l->request[l->started++]];
	int item = s->item_of[q->item];

	s->r->tenant[tenant].requests++;
	if (item >= 0)
		c->policy->touch(&c->scores, &c->tenant[tenant], &c->item[item], item);
	if (item < 0 || !c->item[item].resident) {
		load(s, tenant, q, item);
	} else if (s->loader[item] >= 0) {
		l->does = PS_CACHE_SIM_WAITS;
		l->waits_for = s->loader[item];
	} else {
		s->r->tenant[tenant].hits++;
		runs(s, l);
	}
}

/* ---- epochs ---- */

static void count_demand(struct ps_cache_sim *s, const struct ps_cache_sim_line *l, int tenant)
{
	for (size_t i = l->finished; i < l->admitted; i++) {
		int item = s->item_of[s->w->request[l->request[i]].item];
		if (item >= 0)
			s->cache->fresh[ps_cache_cell_of(s->cache, tenant, item)]++;
	}
}

static void admit(struct ps_cache_sim *s, struct ps_cache_sim_line *l)
{
	size_t most = l->arrived;

	if (s->o->batch && s->o->per_epoch > 0 && l->finished + (size_t)s->o->per_epoch < most)
		most = l->finished + (size_t)s->o->per_epoch;
	l->admitted = most > l->admitted ? most : l->admitted;
}

static enum ps_status check_core(struct ps_cache_sim *s, const struct ps_cache_plan *plan,
				 struct ps_error *err)
{
	struct ps_cache_problem p;
	struct ps_cache_objection o;
	int part = 0;

	for (int i = 0; i < plan->tenants; i++)
		part += plan->entitled[i] > 0;
	if (!s->o->core || part > PS_CACHE_CORE_TENANTS)
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

static void account(struct ps_cache_sim *s, const struct ps_cache_epoch *e)
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
static void drop_unwanted(struct ps_cache_sim *s)
{
	if (!s->o->batch || s->cache->policy->per_request)
		return;
	for (int j = 0; j < s->cache->items; j++)
		if (s->cache->item[j].resident && !ps_cache_wants(s->cache, j))
			leave(s, j);
}

static void start(struct ps_cache_sim *s, int tenant)
{
	const struct ps_cache_sim_line *l = &s->line[tenant];

	if (l->does == PS_CACHE_SIM_IDLE && l->started < l->admitted)
		begin(s, tenant);
}

static enum ps_status tick(struct ps_cache_sim *s, struct ps_error *err)
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
		start(s, i);
	s->tick_s += s->o->epoch_s;
	return st;
}

/* ---- time ---- */

/* Who waits for another's load needs nothing of the machine meanwhile. */
static bool works(const struct ps_cache_sim_line *l)
{
	return l->does == PS_CACHE_SIM_LOADS || l->does == PS_CACHE_SIM_RUNS;
}

static double active_weight(const struct ps_cache_sim *s)
{
	double sum = 0;

	for (int i = 0; i < s->w->tenants; i++)
		sum += works(&s->line[i]) ? s->w->tenant[i].weight : 0;
	return sum;
}

/* Who is done first when nothing else happens. */
static int first_done(const struct ps_cache_sim *s, double weight, double *ret_s)
{
	int first = -1;

	*ret_s = INFINITY;
	for (int i = 0; i < s->w->tenants; i++) {
		if (!works(&s->line[i]))
			continue;
		double s_left = s->line[i].left_s * weight / s->w->tenant[i].weight;
		if (s_left < *ret_s) {
			*ret_s = s_left;
			first = i;
		}
	}
	return first;
}

static void advance(struct ps_cache_sim *s, double by_s, double weight)
{
	for (int i = 0; i < s->w->tenants; i++)
		if (works(&s->line[i]))
			s->line[i].left_s =
				fmax(0, s->line[i].left_s - by_s * s->w->tenant[i].weight / weight);
	s->used_bytes_s += by_s * (double)s->resident_bytes;
	s->now_s += by_s;
}

static void loaded(struct ps_cache_sim *s, int tenant)
{
	struct ps_cache_sim_line *l = &s->line[tenant];

	if (l->loads >= 0 && s->loader[l->loads] == tenant)
		s->loader[l->loads] = -1;
	for (int i = 0; i < s->w->tenants; i++)
		if (s->line[i].does == PS_CACHE_SIM_WAITS && s->line[i].waits_for == tenant)
			runs(s, &s->line[i]);
	runs(s, l);
}

static void finish(struct ps_cache_sim *s, int tenant)
{
	struct ps_cache_sim_line *l = &s->line[tenant];

	if (l->does == PS_CACHE_SIM_LOADS) {
		loaded(s, tenant);
		return;
	}
	s->done_s[l->request[l->finished++]] = s->now_s;
	s->finished++;
	l->does = PS_CACHE_SIM_IDLE;
	start(s, tenant);
}

static void arrive(struct ps_cache_sim *s)
{
	const struct ps_cache_request *q = &s->w->request[s->next++];
	struct ps_cache_sim_line *l = &s->line[q->tenant];
	int item = s->item_of[q->item];

	l->arrived++;
	if (s->o->batch)
		return;
	if (item >= 0)
		s->cache->fresh[ps_cache_cell_of(s->cache, q->tenant, item)]++;
	admit(s, l);
	start(s, q->tenant);
}

static enum ps_status step(struct ps_cache_sim *s, struct ps_error *err)
{
	double weight = active_weight(s), done_s, arrival_s = INFINITY;
	int first = first_done(s, weight, &done_s);

	if (s->next < s->w->requests)
		arrival_s = fmax(0, s->w->request[s->next].at_s - s->now_s);
	double tick_s = fmax(0, s->tick_s - s->now_s);
	advance(s, fmin(done_s, fmin(arrival_s, tick_s)), weight);
	if (done_s <= arrival_s && done_s <= tick_s) {
		finish(s, first);
		return PS_OK;
	}
	if (arrival_s <= tick_s) {
		arrive(s);
		return PS_OK;
	}
	return tick(s, err);
}

/* ---- building ---- */

static enum ps_status make_cache(struct ps_cache_sim *s, struct ps_error *err)
{
	const struct ps_cache_options o = {
		.policy = s->o->policy,
		.capacity_bytes = s->o->capacity_bytes,
		/* A batch is planned for by itself: 2^-10000 is 0. */
		.half_life_epochs = s->o->batch ? 1e-4 : s->o->half_life_epochs,
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

static void make_lines(struct ps_cache_sim *s)
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
		struct ps_cache_sim_line *l = &s->line[s->w->request[q].tenant];
		l->request[l->n++] = q;
	}
}

static void sim_fini(struct ps_cache_sim *s)
{
	ps_cache_free(s->cache);
	free(s->item_of);
	free(s->loader);
	free(s->line);
	free(s->place);
	free(s->done_s);
}

static enum ps_status sim_init(struct ps_cache_sim *s, struct ps_error *err)
{
	s->item_of = calloc((size_t)s->w->items + 1, sizeof(*s->item_of));
	s->loader = malloc(((size_t)s->w->items + 1) * sizeof(*s->loader));
	s->line = calloc((size_t)s->w->tenants + 1, sizeof(*s->line));
	s->place = calloc(s->w->requests + 1, sizeof(*s->place));
	s->done_s = calloc(s->w->requests + 1, sizeof(*s->done_s));
	s->r->tenant = calloc((size_t)s->w->tenants + 1, sizeof(*s->r->tenant));
	s->r->tenants = s->w->tenants;
	if (!s->item_of || !s->loader || !s->line || !s->place || !s->done_s || !s->r->tenant)
		return ps_cache_sim_no_memory(err);
	for (int j = 0; j < s->w->items; j++)
		s->loader[j] = -1;
	enum ps_status st = make_cache(s, err);
	if (st == PS_OK)
		make_lines(s);
	s->tick_s = s->o->epoch_s;
	s->worst_epoch = INFINITY;
	return st;
}

/* ---- running ---- */

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

static enum ps_status run(struct ps_cache_sim *s, const double *alone, struct ps_error *err)
{
	enum ps_status st = sim_init(s, err);

	while (st == PS_OK && s->finished < s->w->requests)
		st = step(s, err);
	return st == PS_OK ? ps_cache_sim_summarize(s, alone, err) : st;
}

enum ps_status ps_cache_sim_run(const struct ps_cache_workload *w,
				const struct ps_cache_sim_options *o, const double *alone,
				struct ps_cache_sim_result *ret_result, struct ps_error *err)
{
	struct ps_cache_sim_result r = {0};
	struct ps_cache_sim s = {.w = w, .o = o, .r = &r};
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

/* ---- alone ---- */

static enum ps_status run_alone(const struct ps_cache_workload *w,
				const struct ps_cache_sim_options *o, int tenant,
				struct ps_cache_request *own, size_t *where, double *ret_latency,
				struct ps_error *err)
{
	struct ps_cache_workload one = *w;
	struct ps_cache_sim_options opt = *o;
	struct ps_cache_sim_result r = {0};
	struct ps_cache_sim s = {.w = &one, .o = &opt, .r = &r};

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
	enum ps_status st = own && where ? check(w, o, err) : ps_cache_sim_no_memory(err);

	for (int i = 0; st == PS_OK && i < w->tenants; i++)
		st = run_alone(w, o, i, own, where, ret_latency, err);
	free(own);
	free(where);
	return st;
}
