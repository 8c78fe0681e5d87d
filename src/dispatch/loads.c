/* Loads that are under way: which begins next, when each has its room, how long it takes. */
#include "base/units.h"
#include "dispatch/residency_internal.h"

/* What a load takes of which nothing is known but the size of its file: 200 MB/s. */
static const double FIRST_NS_PER_BYTE = 5;
static const double SMOOTHING = 0.3; /* of a load in what is expected of the next unknown one */

void loads_init(struct residency *r)
{
	r->ns_per_byte = FIRST_NS_PER_BYTE;
	r->max_loading = 1;
}

/* ---- what is known of loads --------------------------------------------------------------- */

static int64_t expected_ns(const struct residency *r, const struct item *it)
{
	return it->load_ns > 0 ? it->load_ns : (int64_t)((double)it->bytes * r->ns_per_byte);
}

/* When its load will be over, if nothing new comes before it. */
int64_t loads_wait_ns(const struct residency *r, const struct item *it, int64_t now_ns)
{
	int64_t left = it->fetched_ns ? it->fetched_ns + it->queued_ns - now_ns
				      : r->queued_ns + expected_ns(r, it);
	return left > 0 ? left : 0;
}

void load_begun(struct residency *r, struct item *it, int tenant, int64_t now_ns)
{
	it->for_tenant = tenant;
	it->fetched_ns = now_ns > 0 ? now_ns : 1;
	it->own_ns = expected_ns(r, it);
	r->queued_ns += it->own_ns;
	it->queued_ns = r->queued_ns;
	r->loads_due = true;
}

void load_over(struct residency *r, struct item *it)
{
	if (!it->fetched_ns)
		return;
	r->queued_ns -= it->own_ns;
	it->fetched_ns = it->queued_ns = it->own_ns = 0;
	it->hangs = false;
}

void load_failed(struct residency *r, struct item *it, int64_t now_ns)
{
	it->failures++;
	if (it->failures >= PS_DISPATCH_MAX_FAILURES)
		it->pause_until_ns = now_ns + r->config.load_pause_ns;
}

/* ---- which has its room ------------------------------------------------------------------- */

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
void loads_open(struct ps_dispatch *d, int64_t now_ns)
{
	int i = next_waiting(d, -1);
	while (i >= 0 && can_begin(d)) {
		int after = i;
		if (waits_for_eviction(d, i, now_ns))
			return;
		i = next_waiting(d, after);
	}
}

/* ---- from the loader ---------------------------------------------------------------------- */

void residency_loading(struct ps_dispatch *d, int instance)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	struct stock *s = stock_of(d, instance);
	int item = item_find(d->residency, in->model, in->domain);
	if (s && item >= 0)
		s->for_tenant = d->residency->items[item].for_tenant;
}

static void loaded(struct residency *r, struct item *it, const struct ps_repo_facts *facts)
{
	int64_t ns = facts->load_ns > 0 ? facts->load_ns : 1;
	load_over(r, it);
	it->bytes = facts->private_bytes + facts->mapped_bytes;
	if (it->bytes > 0)
		r->ns_per_byte += SMOOTHING * ((double)ns / (double)it->bytes - r->ns_per_byte);
	it->load_ns = ns;
	it->failures = 0;
}

void residency_loaded(struct ps_dispatch *d, int instance, enum ps_status status,
		      const struct ps_repo_facts *facts)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	d->residency->loads_due = true;
	int first = -1;
	for (int k = 0; status == PS_OK && facts && k < in->n_users; k++) {
		int item = item_need(d->residency, in->users[k], in->domain);
		if (item < 0)
			continue;
		loaded(d->residency, &d->residency->items[item], facts);
		if (first >= 0)
			fair_join(d, item, first);
		else
			first = item;
		fair_item(d, item);
	}
}

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
