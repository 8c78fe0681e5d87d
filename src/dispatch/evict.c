/* Who goes. Evicting means that no new request finds an instance: what
 * runs and waits there ends first, and its memory counts until it is closed. Victims are chosen as
 * a set, ordered once, and evicted when the set suffices: nobody goes in vain.
 */
#include "dispatch/residency_internal.h"

#include <stdlib.h>

/* ---- who could go ------------------------------------------------------------------------- */

/* In this order. */
enum rank {
	UNKNOWN,	    /* to the policy; the longest unused first */
	GIVEN_UP,	    /* by the policy */
	WANTED = 4,	    /* by it */
	TO_BE_REPLACED = 6, /* by the load itself: it serves until then, where there is room */
};
enum { BUSY = 1 }; /* added to a rank */

static const int64_t NO_MEMORY_RETRY_NS = INT64_C(100000000);

static int64_t used_ns(const struct ps_dispatch *d, const struct ps_repo_instance *in)
{
	int64_t last = 0;
	for (int k = 0; k < in->n_users; k++) {
		int item = item_find(d->residency, in->users[k], in->domain);
		if (item >= 0 && d->residency->items[item].used_ns > last)
			last = d->residency->items[item].used_ns;
	}
	return last;
}

/* The instance whose content the load is to replace; -1: none. */
static int replaced_by(const struct ps_dispatch *d, const struct want *w)
{
	if (w->item < 0)
		return -1;
	const struct item *it = &d->residency->items[w->item];
	return ps_repo_serving(d->config.repo, it->model, it->domain);
}

/* False: the plan wants it, and nobody may take it. */
static bool rank_of(struct ps_dispatch *d, const struct want *w, bool rob, struct candidate *v)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, v->instance);
	int fair = fair_of(d, in);
	bool wanted = fair >= 0 && fair_is_wanted(d->residency, fair);
	bool replaced = v->instance == replaced_by(d, w);
	if (wanted && !rob && !replaced)
		return false;
	v->rank = replaced ? TO_BE_REPLACED : fair < 0 ? UNKNOWN : wanted ? WANTED : GIVEN_UP;
	v->rank += !replaced && in->holds > 0 ? BUSY : 0;
	if (fair >= 0)
		v->worth = fair_worth(d, fair, w->tenant);
	v->used_ns = used_ns(d, in);
	return true;
}

/* Their bytes, all together: a mapped file that several have at most once too often. */
static int64_t collect(struct ps_dispatch *d, const struct census *c, struct want *w, bool rob,
		       int *ret_n)
{
	int64_t sum = 0;
	int n = 0;
	for (int i = 0; i < ps_repo_instances(d->config.repo); i++) {
		struct candidate *v = &c->candidates[n];
		const struct look *l = &c->look[i];
		d->residency->steps++;
		if (!room_may_go(d, i, w))
			continue;
		*v = (struct candidate){.instance = i, .bytes = l->private_bytes};
		v->bytes += l->head >= 0 ? c->look[l->head].mapped_bytes : 0;
		if (!rank_of(d, w, rob, v))
			continue;
		sum += v->bytes;
		n++;
	}
	*ret_n = n;
	return sum;
}

static int by_worth(const void *a, const void *b, void *ctx)
{
	const struct candidate *x = a, *y = b;
	int64_t *steps = ctx;
	++*steps;
	if (x->rank != y->rank)
		return x->rank - y->rank;
	int by = ps_cache_worth_order(&x->worth, &y->worth);
	if (by != 0)
		return by;
	if (x->used_ns != y->used_ns)
		return x->used_ns < y->used_ns ? -1 : 1;
	return x->instance - y->instance;
}

/* The largest first. */
static int by_bytes(const void *a, const void *b, void *ctx)
{
	const struct candidate *x = a, *y = b;
	int64_t *steps = ctx;
	++*steps;
	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return x->instance - y->instance;
}

/* ---- who goes ----------------------------------------------------------------------------- */

/* Takes candidates in their order until they suffice; those come to the front. */
static int64_t take(struct ps_dispatch *d, struct census *c, int n, int64_t bytes,
		    const struct want *w, int *ret_taken)
{
	int64_t sum = 0;
	int taken = 0;
	for (int i = 0; i < n && sum < bytes; i++) {
		struct candidate v = c->candidates[i];
		d->residency->steps++;
		if (!census_may_lose(d, c, v.instance, w))
			continue;
		sum += census_lose(d, c, v.instance);
		c->candidates[i] = c->candidates[taken];
		c->candidates[taken++] = v;
	}
	*ret_taken = taken;
	return sum;
}

/* Those that later ones made needless stay, the worthiest first. */
static int put_back(struct ps_dispatch *d, struct census *c, int taken, int64_t sum, int64_t bytes)
{
	int left = taken;
	for (int i = taken - 1; i >= 0; i--) {
		struct candidate v = c->candidates[i];
		int64_t gave = census_put_back(d, c, v.instance);
		d->residency->steps++;
		if (sum - gave < bytes) {
			census_lose(d, c, v.instance);
			continue;
		}
		sum -= gave;
		c->candidates[i] = c->candidates[--left];
		c->candidates[left] = v;
	}
	return left;
}

/* In the order of worth; where guarantees make of those no set that suffices, the largest first:
 * a small one that goes may keep a large one of the same tenant in. */
static bool choose(struct ps_dispatch *d, struct census *c, int n, int64_t bytes,
		   const struct want *w, bool most, int *ret_n)
{
	int (*const order[])(const void *, const void *, void *) = {by_worth, by_bytes};
	for (int k = 0; k < 2; k++) {
		int taken;
		qsort_r(c->candidates, (size_t)n, sizeof *c->candidates, order[k],
			&d->residency->steps);
		int64_t sum = take(d, c, n, bytes, w, &taken);
		if (sum >= bytes || (most && k == 1)) {
			*ret_n = put_back(d, c, taken, sum, sum < bytes ? sum : bytes);
			return true;
		}
		for (int i = 0; i < taken; i++)
			census_put_back(d, c, c->candidates[i].instance);
	}
	return false;
}

bool evict_choose(struct ps_dispatch *d, struct census *c, int64_t bytes, struct want *w, bool most,
		  int *ret_n)
{
	int n, most_rob = w->may_rob ? 1 : 0;
	*ret_n = 0;
	if (bytes <= 0)
		return true;
	for (int rob = 0; rob <= most_rob; rob++) {
		int64_t all = collect(d, c, w, rob, &n);
		bool last = most && rob == most_rob;
		if ((all >= bytes || last) && choose(d, c, n, bytes, w, last, ret_n))
			return true;
	}
	return false;
}

bool evict_for(struct ps_dispatch *d, struct census *c, int64_t bytes, struct want *w, bool most)
{
	int64_t over = c->used_bytes - c->leaving_bytes + bytes - d->residency->config.budget_bytes;
	int n;
	if (!evict_choose(d, c, over, w, most, &n))
		return false;
	for (int i = 0; i < n; i++) {
		int victim = c->candidates[i].instance;
		usage_evicted(d->residency, w->tenant, usage_main(d, victim));
		ps_repo_evict(d->config.repo, victim);
	}
	return true;
}

/* ---- what is due ---------------------------------------------------------------------------- */

/* A load has no clock; what it brought is dated when somebody looks. */
static void date_stocks(struct ps_dispatch *d, const struct census *c, int64_t now_ns)
{
	for (int k = 0; k < c->n_undated; k++) {
		struct stock *s = stock_of(d, c->undated[k]);
		if (s) {
			s->timed = true;
			s->ready_ns = now_ns;
		}
	}
}

/* More came in than was forecast, or the budget is another one: first what may go anyway, then what
 * has just come, then what is guaranteed; but that only when it does not help to wait for those who
 * were told that their model is there. */
static void trim(struct ps_dispatch *d, struct census *c, int64_t now_ns)
{
	struct want w = {
		.tenant = -1, .item = -1, .may_rob = true, .now_ns = now_ns, .retry_ns = INT64_MAX};
	if (evict_for(d, c, 0, &w, false))
		return;
	w.young = true;
	if (evict_for(d, c, 0, &w, w.awaited))
		return;
	w.rob_guarantees = true;
	evict_for(d, c, 0, &w, true);
}

void ps_dispatch_make_room(struct ps_dispatch *d, int64_t now_ns)
{
	struct residency *r = d->residency;
	if (!r)
		return;
	r->loads_due = false;
	r->retry_ns = INT64_MAX;
	r->now_ns = now_ns;
	residency_settle(d, now_ns);
	loads_check(d, now_ns);
	struct census *c = census_take(d);
	if (!c) { /* without memory for it nobody can be chosen now */
		r->retry_ns = now_ns + NO_MEMORY_RETRY_NS;
		return;
	}
	date_stocks(d, c, now_ns);
	trim(d, c, now_ns);
	loads_open(d, c, now_ns);
}
