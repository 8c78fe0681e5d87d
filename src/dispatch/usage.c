/* What tenants ask for, sparsely: an item and a use take memory once they have been asked for. No
 * more than MAX_USES of them are kept apart; what comes later is served all the same, and counts
 * for nobody.
 */
#include "dispatch/residency_internal.h"

#include <stdlib.h>

enum { FIRST_SLOTS = 64, MAX_USES = 1 << 20, MAX_EVICTIONS = 1 << 16 };

static const double FORGOTTEN = 1e-3; /* demand that counts as none */

struct index_slot {
	uint64_t key; /* 0: free */
	int number;
};

/* ---- numbers by key ----------------------------------------------------------------------- */

static size_t place(const struct index *x, uint64_t key)
{
	uint64_t h = key * UINT64_C(0x9e3779b97f4a7c15);
	size_t at = (size_t)(h >> 32) & (x->n_slots - 1);
	while (x->slots[at].key && x->slots[at].key != key)
		at = (at + 1) & (x->n_slots - 1);
	return at;
}

int index_get(const struct index *x, uint64_t key)
{
	if (x->n_slots == 0)
		return -1;
	const struct index_slot *s = &x->slots[place(x, key)];
	return s->key ? s->number : -1;
}

static enum ps_status grow_index(struct index *x)
{
	struct index more = {.n_slots = x->n_slots ? 2 * x->n_slots : FIRST_SLOTS, .len = x->len};
	if ((x->len + 1) * 2 <= x->n_slots)
		return PS_OK;
	more.slots = calloc(more.n_slots, sizeof *more.slots);
	if (!more.slots)
		return PS_ENOMEM;
	for (size_t i = 0; i < x->n_slots; i++)
		if (x->slots[i].key)
			more.slots[place(&more, x->slots[i].key)] = x->slots[i];
	free(x->slots);
	*x = more;
	return PS_OK;
}

enum ps_status index_put(struct index *x, uint64_t key, int number)
{
	enum ps_status s = grow_index(x);
	if (s != PS_OK)
		return s;
	x->slots[place(x, key)] = (struct index_slot){key, number};
	x->len++;
	return PS_OK;
}

void index_fini(struct index *x)
{
	free(x->slots);
}

/* Both from -1; never 0. */
static uint64_t key_of(int a, int b)
{
	return ((uint64_t)(uint32_t)(a + 2) << 32) | (uint32_t)(b + 2);
}

/* Room for one more in an array that doubles. */
static bool has_room(void **array, int *cap, int n, size_t size)
{
	if (n < *cap)
		return true;
	int more = *cap ? 2 * *cap : 16;
	void *p = realloc(*array, (size_t)more * size);
	if (!p)
		return false;
	*array = p;
	*cap = more;
	return true;
}

/* ---- items -------------------------------------------------------------------------------- */

int item_find(const struct residency *r, int model, int domain)
{
	return index_get(&r->item_of, key_of(model, domain));
}

int item_need(struct residency *r, int model, int domain)
{
	int found = item_find(r, model, domain);
	if (found >= 0)
		return found;
	if (!has_room((void **)&r->items, &r->cap_items, r->n_items, sizeof *r->items) ||
	    !has_room((void **)&r->under_way, &r->cap_under_way, r->n_items, sizeof(int)) ||
	    index_put(&r->item_of, key_of(model, domain), r->n_items) != PS_OK)
		return -1;
	r->items[r->n_items] = (struct item){
		.model = model, .domain = domain, .for_tenant = -1, .first_use = -1, .fair = -1};
	return r->n_items++;
}

/* ---- uses --------------------------------------------------------------------------------- */

static struct use *use_need(struct residency *r, int tenant, int item)
{
	int found = index_get(&r->use_of, key_of(tenant, item));
	if (found >= 0)
		return &r->uses[found];
	if (r->n_uses == MAX_USES ||
	    !has_room((void **)&r->uses, &r->cap_uses, r->n_uses, sizeof *r->uses) ||
	    index_put(&r->use_of, key_of(tenant, item), r->n_uses) != PS_OK)
		return NULL;
	struct use *u = &r->uses[r->n_uses];
	*u = (struct use){.tenant = tenant, .item = item, .next = r->items[item].first_use};
	r->items[item].first_use = r->n_uses++;
	return u;
}

void usage_note(struct ps_dispatch *d, int tenant, int item, double requests, int64_t now_ns)
{
	struct residency *r = d->residency;
	struct use *u = use_need(r, tenant, item);
	if (u)
		u->demand += requests;
	d->tenants[tenant].asked = true;
	if (now_ns > r->items[item].used_ns)
		r->items[item].used_ns = now_ns;
	if (r->epoch_ends_ns == INT64_MAX)
		r->epoch_ends_ns = now_ns + r->config.epoch_ns;
}

/* Of a tenant that is silent and has a guarantee so much stays that it is known what that is for.
 */
void usage_decay(struct ps_dispatch *d)
{
	struct residency *r = d->residency;
	const struct ps_tenancy *t = d->config.tenancy;
	for (int i = 0; i < r->n_uses; i++) {
		struct use *u = &r->uses[i];
		bool silent = u->tenant < ps_tenancy_count(t) && !d->tenants[u->tenant].asked &&
			      ps_tenancy_memory_bytes(t, u->tenant) > 0;
		double least = silent && u->demand > 0 ? FORGOTTEN : 0;
		u->demand *= 0.5;
		if (u->demand < FORGOTTEN)
			u->demand = least;
	}
	for (int i = 0; i < d->n_tenants; i++)
		d->tenants[i].asked = false;
}

static int item_of_user(const struct ps_dispatch *d, const struct ps_repo_instance *in, int user)
{
	return item_find(d->residency, in->users[user], in->domain);
}

int usage_main(const struct ps_dispatch *d, int instance)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	const struct residency *r = d->residency;
	double most = 0;
	int tenant = -1;
	for (int k = 0; k < in->n_users; k++) {
		int item = item_of_user(d, in, k);
		for (int u = item < 0 ? -1 : r->items[item].first_use; u >= 0; u = r->uses[u].next)
			if (r->uses[u].demand > most) {
				most = r->uses[u].demand;
				tenant = r->uses[u].tenant;
			}
	}
	return tenant;
}

double usage_demand(const struct residency *r, int tenant, int item)
{
	int u = index_get(&r->use_of, key_of(tenant, item));
	return u >= 0 ? r->uses[u].demand : 0;
}

void usage_tenants(const struct ps_dispatch *d, int instance,
		   void (*each)(void *ctx, int tenant, int64_t bytes), void *ctx)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	struct residency *r = d->residency;
	struct census *c = &r->census;
	int64_t bytes = in->facts.private_bytes + in->facts.mapped_bytes;
	c->stamp++;
	for (int k = 0; k < in->n_users; k++) {
		int item = item_of_user(d, in, k);
		for (int u = item < 0 ? -1 : r->items[item].first_use; u >= 0;
		     u = r->uses[u].next) {
			int tenant = r->uses[u].tenant;
			r->steps++;
			if (!(r->uses[u].demand > 0) || tenant >= c->tenants ||
			    c->seen[tenant] == c->stamp)
				continue;
			c->seen[tenant] = c->stamp;
			each(ctx, tenant, bytes);
		}
	}
}

static bool usage_of(const struct ps_dispatch *d, const struct ps_repo_instance *in, int tenant)
{
	const struct residency *r = d->residency;
	for (int k = 0; k < in->n_users; k++) {
		int item = item_of_user(d, in, k);
		int u = item < 0 ? -1 : index_get(&r->use_of, key_of(tenant, item));
		if (u >= 0 && r->uses[u].demand > 0)
			return true;
	}
	return false;
}

void usage_evicted(struct residency *r, int by, int of)
{
	int found = index_get(&r->eviction_of, key_of(by, of));
	if (found >= 0) {
		r->evictions[found].n++;
		return;
	}
	if (r->n_evictions == MAX_EVICTIONS ||
	    !has_room((void **)&r->evictions, &r->cap_evictions, r->n_evictions,
		      sizeof *r->evictions) ||
	    index_put(&r->eviction_of, key_of(by, of), r->n_evictions) != PS_OK)
		return;
	r->evictions[r->n_evictions++] = (struct ps_dispatch_evictions){by, of, 1};
}

/* ---- what can be seen --------------------------------------------------------------------- */

bool ps_dispatch_evictions_get(const struct ps_dispatch *d, int i,
			       struct ps_dispatch_evictions *ret)
{
	if (!d->residency || i >= d->residency->n_evictions)
		return false;
	*ret = d->residency->evictions[i];
	return true;
}

void ps_dispatch_residency_view_get(const struct ps_dispatch *d, int tenant,
				    struct ps_dispatch_residency_view *ret_view)
{
	*ret_view = (struct ps_dispatch_residency_view){0};
	if (!d->residency || tenant < 0 || tenant >= d->n_tenants)
		return;
	const struct tenant *t = &d->tenants[tenant];
	ret_view->hits = t->hits;
	ret_view->cold_starts = t->cold_starts;
	ret_view->load_wait_ns = t->load_wait_ns;
	for (int i = 0; i < ps_repo_instances(d->config.repo); i++) {
		const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, i);
		if (in->state == PS_REPO_INSTANCE_READY && usage_of(d, in, tenant))
			ret_view->resident_bytes +=
				in->facts.private_bytes + in->facts.mapped_bytes;
	}
}
