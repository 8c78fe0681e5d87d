/* Who goes. Evicting means that no new request finds an instance: what
 * runs and waits there ends first, and its memory counts until it is closed.
 */
#include "dispatch/residency_internal.h"

/* ---- who goes ----------------------------------------------------------------------------- */

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

static bool is_known(const struct ps_dispatch *d, const struct ps_repo_instance *in)
{
	for (int k = 0; k < in->n_users; k++) {
		int item = item_find(d->residency, in->users[k], in->domain);
		if (item >= 0 && d->residency->items[item].fair >= 0)
			return true;
	}
	return false;
}

/* The longest unused of those that may go and that the policy does not know; `all`: of all. -1:
 * there is none. */
static int longest_unused(const struct ps_dispatch *d, struct want *w, bool all)
{
	int best = -1;
	bool best_busy = false;
	int64_t best_ns = 0;
	for (int i = 0; i < ps_repo_instances(d->config.repo); i++) {
		const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, i);
		if (!room_may_go(d, i, w) || (!all && is_known(d, in)))
			continue;
		bool busy = in->holds > 0;
		int64_t ns = used_ns(d, in);
		if (best >= 0 && (busy > best_busy || (busy == best_busy && ns >= best_ns)))
			continue;
		best = i;
		best_busy = busy;
		best_ns = ns;
	}
	return best;
}

static void evict(struct ps_dispatch *d, int instance, int by)
{
	usage_evicted(d->residency, by, usage_main(d, instance));
	ps_repo_evict(d->config.repo, instance);
}

enum { MAX_VICTIMS = 256 }; /* at a time */

/* The content that the load is to replace: it serves until then, where there is room for both. */
static int own_victim(const struct ps_dispatch *d, struct want *w, int *ret_instance)
{
	if (w->item < 0)
		return 0;
	const struct item *it = &d->residency->items[w->item];
	*ret_instance = ps_repo_serving(d->config.repo, it->model, it->domain);
	return *ret_instance >= 0 && room_may_go(d, *ret_instance, w) ? 1 : 0;
}

/* What the policy does not know first, then whom it names. Returns how much that gives. */
static int64_t evict_some(struct ps_dispatch *d, int64_t bytes, struct want *w)
{
	int victims[MAX_VICTIMS];
	int64_t gone = 0;
	int n = 1;
	victims[0] = longest_unused(d, w, false);
	if (victims[0] < 0)
		n = fair_victims(d, w, bytes, victims, MAX_VICTIMS);
	if (n == 0)
		n = own_victim(d, w, victims);
	for (int i = 0; i < n; i++) {
		gone += room_bytes(d, victims[i]);
		evict(d, victims[i], w->tenant);
	}
	return gone;
}

bool evict_for(struct ps_dispatch *d, int except, int64_t bytes, struct want *w)
{
	int64_t over =
		room_used(d, except) - room_leaving(d) + bytes - d->residency->config.budget_bytes;
	int64_t most = 0;
	for (int i = 0; over > 0 && i < ps_repo_instances(d->config.repo); i++)
		most += room_may_go(d, i, w) ? room_bytes(d, i) : 0;
	if (over > most)
		return false;
	while (over > 0) {
		int64_t gone = evict_some(d, over, w);
		if (gone == 0)
			return false;
		over -= gone;
	}
	return true;
}

/* More than was forecast came in, or the budget is another one. */
static void trim(struct ps_dispatch *d, int64_t now_ns)
{
	struct want w = {
		.tenant = -1, .item = -1, .may_rob = true, .now_ns = now_ns, .retry_ns = INT64_MAX};
	if (!evict_for(d, -1, 0, &w)) {
		w.must = true;
		while (!evict_for(d, -1, 0, &w)) {
			int v = longest_unused(d, &w, true);
			if (v < 0)
				break;
			evict(d, v, -1);
		}
	}
}

/* A load has no clock; what it brought is dated when somebody looks. */
static void date_stocks(struct ps_dispatch *d, int64_t now_ns)
{
	for (int i = 0; i < ps_repo_instances(d->config.repo); i++) {
		if (ps_repo_instance_get(d->config.repo, i)->state != PS_REPO_INSTANCE_READY)
			continue;
		struct stock *s = stock_of(d, i);
		if (s && !s->timed) {
			s->timed = true;
			s->ready_ns = now_ns;
		}
	}
}

static bool has_guarantees(const struct ps_dispatch *d)
{
	const struct ps_tenancy *t = d->config.tenancy;
	for (int i = 0; i < ps_tenancy_count(t); i++)
		if (ps_tenancy_memory_bytes(t, i) > 0)
			return true;
	return false;
}

void ps_dispatch_make_room(struct ps_dispatch *d, int64_t now_ns)
{
	struct residency *r = d->residency;
	if (!r)
		return;
	r->loads_due = false;
	r->retry_ns = INT64_MAX;
	r->guarantees = has_guarantees(d);
	r->now_ns = now_ns;
	date_stocks(d, now_ns);
	residency_settle(d, now_ns);
	loads_check(d, now_ns);
	fair_look(d);
	trim(d, now_ns);
	loads_open(d, now_ns);
}
