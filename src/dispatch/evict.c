/* Who goes, and which load has its room. Evicting means that no new request finds an instance: what
 * runs and waits there ends first, and its memory counts until it is closed.
 */
#include "base/units.h"
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

/* Evicts until `bytes` beside what else counts fit in the budget once all that goes is gone. False:
 * they will not, as things are. Nothing is evicted in vain. */
static bool evict_for(struct ps_dispatch *d, int except, int64_t bytes, struct want *w)
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

static void retry_at(struct ps_dispatch *d, const struct want *w)
{
	if (w->retry_ns < d->residency->retry_ns)
		d->residency->retry_ns = w->retry_ns;
}

/* The item that an instance is loaded for; one that somebody waits for, if there is such a one. */
static int item_of(const struct ps_dispatch *d, int instance)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	int found = -1;
	for (int k = 0; k < in->n_users; k++) {
		int item = item_find(d->residency, in->users[k], in->domain);
		if (item >= 0 && (found < 0 || d->residency->items[item].first))
			found = item;
	}
	return found;
}

/* Nothing can go for it now. */
static void wait_on(struct ps_dispatch *d, struct stock *s, int64_t now_ns)
{
	int64_t timeout_ns = d->residency->config.load_timeout_ns;
	if (s->since_ns == 0)
		s->since_ns = now_ns > 0 ? now_ns : 1;
	if (timeout_ns == 0)
		return;
	if (now_ns - s->since_ns >= timeout_ns) {
		s->waits = false;
		s->no_room = true;
	} else if (s->since_ns + timeout_ns < d->residency->retry_ns) {
		d->residency->retry_ns = s->since_ns + timeout_ns;
	}
}

/* Opens an instance if it fits. True: it does not yet, but what goes for it is on its way. */
static bool waits_for_eviction(struct ps_dispatch *d, int instance, int64_t now_ns)
{
	struct stock *s = &d->residency->stocks[instance];
	int item = item_of(d, instance);
	struct want w = {.tenant = s->for_tenant,
			 .item = item,
			 .may_rob = item >= 0 && d->residency->items[item].first,
			 .now_ns = now_ns,
			 .retry_ns = INT64_MAX};
	bool fits = room_used(d, instance) + s->reserved_bytes <= d->residency->config.budget_bytes;
	if (!fits) {
		bool comes = evict_for(d, instance, s->reserved_bytes, &w);
		retry_at(d, &w);
		if (!comes)
			wait_on(d, s, now_ns);
		return comes;
	}
	s->waits = false;
	s->open = true;
	return false;
}

/* The one that has waited for longest and came after `id`; -1: none. */
static int next_waiting(const struct ps_dispatch *d, int after)
{
	const struct ps_repo *repo = d->config.repo;
	int found = -1;
	for (int i = 0; i < ps_repo_instances(repo); i++) {
		const struct ps_repo_instance *in = ps_repo_instance_get(repo, i);
		if (in->state != PS_REPO_INSTANCE_LOADING || !stock_get(d, i)->waits ||
		    (after >= 0 && in->id <= ps_repo_instance_get(repo, after)->id))
			continue;
		if (found < 0 || in->id < ps_repo_instance_get(repo, found)->id)
			found = i;
	}
	return found;
}

/* Nobody goes for a load that would not begin yet. */
static bool can_begin(const struct ps_dispatch *d)
{
	int n = d->loading;
	for (int i = 0; i < d->residency->n_stocks && i < ps_repo_instances(d->config.repo); i++)
		n += d->residency->stocks[i].open &&
		     d->residency->stocks[i].id == ps_repo_instance_get(d->config.repo, i)->id;
	return n < d->residency->max_loading;
}

/* In the order in which they asked: a small one does not overtake for ever a large one for which
 * room is being made. Those for which none can be made hold up nobody. */
static void open_waiting(struct ps_dispatch *d, int64_t now_ns)
{
	int i = next_waiting(d, -1);
	while (i >= 0 && can_begin(d)) {
		int after = i;
		if (waits_for_eviction(d, i, now_ns))
			return;
		i = next_waiting(d, after);
	}
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
	date_stocks(d, now_ns);
	residency_settle(d, now_ns);
	fair_look(d);
	trim(d, now_ns);
	open_waiting(d, now_ns);
}

/* ---- loads -------------------------------------------------------------------------------- */

static enum ps_status too_big(const struct ps_dispatch *d, const char *what, int64_t bytes,
			      struct ps_error *err)
{
	char need[PS_UNITS_SIZE], has[PS_UNITS_SIZE];
	return ps_error_set(err, PS_ETOOBIG, "%s %s, and model_memory is %s", what,
			    ps_units_format_bytes(bytes, need),
			    ps_units_format_bytes(d->residency->config.budget_bytes, has));
}

static void note_bytes(struct ps_dispatch *d, int instance, int64_t bytes)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	for (int k = 0; k < in->n_users; k++) {
		int item = item_need(d->residency, in->users[k], in->domain);
		if (item >= 0)
			d->residency->items[item].bytes = bytes;
	}
}

/* What was measured goes before a forecast. */
static int64_t resident_bytes(const struct ps_dispatch *d, int instance,
			      const struct ps_dispatch_need *need)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	int64_t known = 0;
	for (int k = 0; k < in->n_users; k++) {
		int item = item_find(d->residency, in->users[k], in->domain);
		if (item >= 0 && d->residency->items[item].load_ns > 0)
			known = d->residency->items[item].bytes;
	}
	return known > need->resident_bytes ? known : need->resident_bytes;
}

enum ps_status ps_dispatch_reserve(struct ps_dispatch *d, int instance,
				   const struct ps_dispatch_need *need, struct ps_error *err)
{
	struct stock *s = stock_of(d, instance);
	if (!s)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	int64_t bytes = resident_bytes(d, instance, need);
	if (bytes > d->residency->config.budget_bytes)
		return too_big(d, "it is expected to hold", bytes, err);
	if (need->load_bytes > d->residency->config.budget_bytes)
		return too_big(d, "loading it for the first time is expected to take",
			       need->load_bytes, err);
	s->reserved_bytes = bytes > need->load_bytes ? bytes : need->load_bytes;
	s->waits = true;
	d->loading--; /* until it is opened */
	d->residency->loads_due = true;
	return PS_OK;
}

enum ps_status ps_dispatch_measured(struct ps_dispatch *d, int instance,
				    const struct ps_repo_facts *facts, struct ps_error *err)
{
	int64_t bytes = facts->private_bytes + facts->mapped_bytes;
	if (!d->residency || bytes <= d->residency->config.budget_bytes)
		return PS_OK;
	note_bytes(d, instance, bytes);
	return too_big(d, "it holds", bytes, err);
}

void residency_max_loading(struct ps_dispatch *d, int max_loading)
{
	d->residency->max_loading = max_loading;
}

struct ps_dispatch_action residency_open(struct ps_dispatch *d)
{
	for (int i = 0; i < d->residency->n_stocks && i < ps_repo_instances(d->config.repo); i++) {
		struct stock *s = &d->residency->stocks[i];
		if ((!s->open && !s->no_room) ||
		    s->id != ps_repo_instance_get(d->config.repo, i)->id)
			continue;
		enum ps_dispatch_action_kind kind =
			s->open ? PS_DISPATCH_OPEN : PS_DISPATCH_NO_ROOM;
		s->open = s->no_room = false;
		d->loading++;
		return (struct ps_dispatch_action){.kind = kind, .instance = i};
	}
	return (struct ps_dispatch_action){.kind = PS_DISPATCH_NOTHING};
}
