/* What takes memory, and who has to go. Memory counts from the moment that a load may begin until
 * its instance is closed: a mapped file once for all instances of one content.
 */
#include "base/units.h"
#include "dispatch/residency_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- what counts -------------------------------------------------------------------------- */

struct stock *stock_of(struct ps_dispatch *d, int instance)
{
	struct residency *r = d->residency;
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	if (instance >= r->n_stocks) {
		int n = r->n_stocks ? r->n_stocks : 16;
		while (n <= instance)
			n *= 2;
		struct stock *more = realloc(r->stocks, (size_t)n * sizeof *more);
		if (!more)
			return NULL;
		r->stocks = more;
		for (; r->n_stocks < n; r->n_stocks++)
			r->stocks[r->n_stocks] = (struct stock){.id = UINT64_MAX};
	}
	struct stock *s = &r->stocks[instance];
	if (s->id != in->id)
		*s = (struct stock){.id = in->id, .for_tenant = -1};
	return s;
}

/* What is known of an instance without making books for it. */
const struct stock *stock_get(const struct ps_dispatch *d, int instance)
{
	static const struct stock none = {.for_tenant = -1};
	const struct residency *r = d->residency;
	if (instance >= r->n_stocks ||
	    r->stocks[instance].id != ps_repo_instance_get(d->config.repo, instance)->id)
		return &none;
	return &r->stocks[instance];
}

static int64_t reserved_bytes(const struct stock *s)
{
	return s->waits || s->no_room ? 0 : s->reserved_bytes;
}

static bool is_held(const struct ps_repo_instance *in)
{
	return in->state == PS_REPO_INSTANCE_READY || in->state == PS_REPO_INSTANCE_UNLOADING;
}

static bool same_content(const struct ps_repo_instance *a, const struct ps_repo_instance *b)
{
	return a->hashed && b->hashed && memcmp(a->hash, b->hash, sizeof a->hash) == 0;
}

/* Whether another instance maps the same file: one before this one, or any. */
static bool is_mapped_too(const struct ps_dispatch *d, int instance, int until)
{
	const struct ps_repo *repo = d->config.repo;
	const struct ps_repo_instance *in = ps_repo_instance_get(repo, instance);
	for (int i = 0; in->facts.mapped_bytes > 0 && i < until; i++) {
		const struct ps_repo_instance *o = ps_repo_instance_get(repo, i);
		if (i != instance && is_held(o) && o->facts.mapped_bytes > 0 && same_content(in, o))
			return true;
	}
	return false;
}

int64_t room_used(const struct ps_dispatch *d, int except)
{
	const struct ps_repo *repo = d->config.repo;
	int64_t sum = 0;
	for (int i = 0; i < ps_repo_instances(repo); i++) {
		const struct ps_repo_instance *in = ps_repo_instance_get(repo, i);
		if (is_held(in)) {
			sum += in->facts.private_bytes;
			sum += is_mapped_too(d, i, i) ? 0 : in->facts.mapped_bytes;
		} else if (in->state == PS_REPO_INSTANCE_LOADING && i != except) {
			sum += reserved_bytes(stock_get(d, i));
		}
	}
	return sum;
}

int64_t room_bytes(const struct ps_dispatch *d, int instance)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	if (!is_held(in))
		return 0;
	bool shared = is_mapped_too(d, instance, ps_repo_instances(d->config.repo));
	return in->facts.private_bytes + (shared ? 0 : in->facts.mapped_bytes);
}

/* What was evicted and is not gone: it has no users, and drains or is being closed. */
static bool is_leaving(const struct ps_repo_instance *in)
{
	return is_held(in) && in->n_users == 0;
}

int64_t room_leaving(const struct ps_dispatch *d)
{
	int64_t sum = 0;
	for (int i = 0; i < ps_repo_instances(d->config.repo); i++)
		if (is_leaving(ps_repo_instance_get(d->config.repo, i)))
			sum += room_bytes(d, i);
	return sum;
}

/* ---- who may go --------------------------------------------------------------------------- */

static bool is_pinned(const struct ps_dispatch *d, const struct ps_repo_instance *in)
{
	for (int k = 0; k < in->n_users; k++)
		if (ps_repo_get(d->config.repo, in->users[k])->config->pinned)
			return true;
	return false;
}

/* A request was told that its model is there. */
static bool is_awaited(const struct ps_dispatch *d, const struct ps_repo_instance *in)
{
	for (int k = 0; k < in->n_users; k++) {
		int item = item_find(d->residency, in->users[k], in->domain);
		if (item >= 0 && d->residency->items[item].resuming > 0)
			return true;
	}
	return false;
}

static int64_t resident_of(const struct ps_dispatch *d, int tenant)
{
	struct ps_dispatch_residency_view v;
	ps_dispatch_residency_view_get(d, tenant, &v);
	return v.resident_bytes;
}

/* Nobody but the tenant itself takes it below its guarantee. */
static bool is_guaranteed(const struct ps_dispatch *d, int instance, int for_tenant)
{
	const struct ps_tenancy *t = d->config.tenancy;
	for (int i = 0; d->residency->guarantees && i < ps_tenancy_count(t); i++) {
		int64_t guaranteed = ps_tenancy_memory_bytes(t, i);
		if (guaranteed == 0 || i == for_tenant || !usage_of(d, instance, i))
			continue;
		if (resident_of(d, i) - room_bytes(d, instance) < guaranteed)
			return true;
	}
	return false;
}

bool room_may_go(const struct ps_dispatch *d, int instance, struct want *w)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	if (in->state != PS_REPO_INSTANCE_READY || in->n_users == 0 || is_pinned(d, in) ||
	    is_awaited(d, in) || (!w->must && is_guaranteed(d, instance, w->tenant)))
		return false;
	const struct stock *s = stock_get(d, instance);
	int64_t until_ns = s->timed ? s->ready_ns + d->residency->config.min_residency_ns
				    : w->now_ns + d->residency->config.min_residency_ns;
	if (w->must || until_ns <= w->now_ns)
		return true;
	if (until_ns < w->retry_ns)
		w->retry_ns = until_ns;
	return false;
}

/* ---- what can be seen --------------------------------------------------------------------- */

void ps_dispatch_memory_view_get(const struct ps_dispatch *d,
				 struct ps_dispatch_memory_view *ret_view)
{
	*ret_view = (struct ps_dispatch_memory_view){.parked = d->parked};
	if (!d->residency)
		return;
	ret_view->budget_bytes = d->residency->config.budget_bytes;
	ret_view->used_bytes = room_used(d, -1);
	ret_view->leaving_bytes = room_leaving(d);
	for (int i = 0; i < ps_repo_instances(d->config.repo); i++)
		if (ps_repo_instance_get(d->config.repo, i)->state == PS_REPO_INSTANCE_LOADING)
			ret_view->reserved_bytes += reserved_bytes(stock_get(d, i));
}
