/* What takes memory, and what may go. Memory counts from the moment that a load may begin until its
 * instance is closed: a mapped file once for all instances of one content. All of it is added up in
 * one walk over the instances, the census.
 */
#include "dispatch/residency_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- the books of an instance ------------------------------------------------------------- */

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

/* ---- the census --------------------------------------------------------------------------- */

void census_fini(struct census *c)
{
	free(c->look);
	free(c->table);
	free(c->waiting);
	free(c->undated);
	free(c->candidates);
	free(c->kept);
	free(c->seen);
	*c = (struct census){0};
}

static bool longer(void *array, int n, size_t size)
{
	void **p = array;
	void *more = realloc(*p, (size_t)n * size);
	if (more)
		*p = more;
	return more != NULL;
}

/* Room for all instances and tenants that there are. */
static bool has_room(struct census *c, int instances, int tenants)
{
	int n = c->room ? c->room : 16;
	while (n < instances)
		n *= 2;
	if (n > c->room) {
		if (!longer(&c->look, n, sizeof *c->look) ||
		    !longer(&c->table, 2 * n, sizeof *c->table) ||
		    !longer(&c->waiting, n, sizeof *c->waiting) ||
		    !longer(&c->undated, n, sizeof *c->undated) ||
		    !longer(&c->candidates, n, sizeof *c->candidates))
			return false;
		c->room = n;
	}
	if (tenants <= c->tenants)
		return true;
	if (!longer(&c->kept, tenants, sizeof *c->kept) ||
	    !longer(&c->seen, tenants, sizeof *c->seen))
		return false;
	for (; c->tenants < tenants; c->tenants++)
		c->seen[c->tenants] = 0;
	return true;
}

static bool is_held(const struct ps_repo_instance *in)
{
	return in->state == PS_REPO_INSTANCE_READY || in->state == PS_REPO_INSTANCE_UNLOADING;
}

/* The first that maps the same file. */
static int head_of(const struct ps_dispatch *d, struct census *c, int instance)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	size_t mask = 2 * (size_t)c->room - 1;
	uint64_t key;
	if (!in->hashed)
		return instance;
	memcpy(&key, in->hash, sizeof key);
	for (size_t at = key & mask;; at = (at + 1) & mask) {
		int other = c->table[at];
		if (other < 0)
			return c->table[at] = instance;
		if (memcmp(ps_repo_instance_get(d->config.repo, other)->hash, in->hash,
			   sizeof in->hash) == 0)
			return other;
	}
}

/* What was evicted and is not gone has no users: it drains, or is being closed. */
static void count_held(const struct ps_dispatch *d, struct census *c, int instance)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	struct look *l = &c->look[instance];
	bool stays = in->n_users > 0;
	l->private_bytes = in->facts.private_bytes;
	c->used_bytes += l->private_bytes;
	c->leaving_bytes += stays ? 0 : l->private_bytes;
	if (in->facts.mapped_bytes == 0)
		return;
	l->head = head_of(d, c, instance);
	struct look *head = &c->look[l->head];
	if (head->mappers++ == 0) {
		head->mapped_bytes = in->facts.mapped_bytes;
		c->used_bytes += head->mapped_bytes;
		c->leaving_bytes += head->mapped_bytes; /* until one is found that stays */
	}
	if (stays && head->stay++ == 0)
		c->leaving_bytes -= head->mapped_bytes;
}

static void count_loading(const struct ps_dispatch *d, struct census *c, int instance)
{
	const struct stock *s = stock_get(d, instance);
	if (s->waits)
		c->waiting[c->n_waiting++] = instance;
	c->n_open += s->open;
	if (s->waits || s->no_room)
		return;
	c->reserved_bytes += s->reserved_bytes;
	c->used_bytes += s->reserved_bytes;
}

/* Its own bytes, as those who use it count them: others may map the same file. */
static int64_t bytes_of(const struct ps_repo_instance *in)
{
	return in->facts.private_bytes + in->facts.mapped_bytes;
}

static void keep(void *ctx, int tenant, int64_t bytes)
{
	struct census *c = ctx;
	c->kept[tenant] += bytes;
}

struct census *census_take(const struct ps_dispatch *d)
{
	struct residency *r = d->residency;
	struct census *c = &r->census;
	int n = ps_repo_instances(d->config.repo);
	if (!has_room(c, n, d->n_tenants))
		return NULL;
	c->used_bytes = c->reserved_bytes = c->leaving_bytes = c->pinned_bytes = 0;
	c->n_waiting = c->n_undated = c->n_open = 0;
	for (int i = 0; i < 2 * c->room; i++)
		c->table[i] = -1;
	for (int t = 0; t < c->tenants; t++)
		c->kept[t] = 0;
	for (int i = 0; i < n; i++)
		c->look[i] = (struct look){.head = -1};
	for (int i = 0; i < n; i++) {
		const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, i);
		r->steps++;
		if (in->state == PS_REPO_INSTANCE_LOADING)
			count_loading(d, c, i);
		if (!is_held(in))
			continue;
		count_held(d, c, i);
		if (in->state == PS_REPO_INSTANCE_READY && !stock_get(d, i)->timed)
			c->undated[c->n_undated++] = i;
		if (instance_is_pinned(d, in))
			c->pinned_bytes += bytes_of(in);
		if (r->guarantees && in->n_users > 0)
			usage_tenants(d, i, keep, c);
	}
	return c;
}

int64_t room_most(const struct ps_dispatch *d)
{
	const struct residency *r = d->residency;
	int64_t most = r->config.budget_bytes - r->census.pinned_bytes;
	return most > 0 ? most : 0;
}

int64_t room_used(const struct ps_dispatch *d)
{
	const struct census *c = census_take(d);
	return c ? c->used_bytes : INT64_MAX;
}

/* ---- who may go --------------------------------------------------------------------------- */

bool instance_is_pinned(const struct ps_dispatch *d, const struct ps_repo_instance *in)
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

bool room_may_go(const struct ps_dispatch *d, int instance, struct want *w)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	if (in->state != PS_REPO_INSTANCE_READY || in->n_users == 0 || instance_is_pinned(d, in))
		return false;
	if (is_awaited(d, in)) {
		w->awaited = true;
		return false;
	}
	const struct stock *s = stock_get(d, instance);
	int64_t until_ns = s->timed ? s->ready_ns + d->residency->config.min_residency_ns
				    : w->now_ns + d->residency->config.min_residency_ns;
	if (w->young || until_ns <= w->now_ns)
		return true;
	if (until_ns < w->retry_ns)
		w->retry_ns = until_ns;
	return false;
}

/* ---- taking several ----------------------------------------------------------------------- */

struct loss {
	const struct ps_dispatch *d;
	struct census *c;
	int for_tenant;
	bool breaks; /* a guarantee */
};

static void check_loss(void *ctx, int tenant, int64_t bytes)
{
	struct loss *l = ctx;
	const struct ps_tenancy *t = l->d->config.tenancy;
	int64_t guaranteed = tenant < ps_tenancy_count(t) ? ps_tenancy_memory_bytes(t, tenant) : 0;
	if (guaranteed > 0 && tenant != l->for_tenant && l->c->kept[tenant] - bytes < guaranteed)
		l->breaks = true;
}

static void lose(void *ctx, int tenant, int64_t bytes)
{
	struct loss *l = ctx;
	l->c->kept[tenant] -= bytes;
}

static void have(void *ctx, int tenant, int64_t bytes)
{
	struct loss *l = ctx;
	l->c->kept[tenant] += bytes;
}

/* Nobody but the tenant itself is taken below its guarantee: by the instance together with those
 * that were taken before. */
bool census_may_lose(const struct ps_dispatch *d, struct census *c, int instance,
		     const struct want *w)
{
	struct loss l = {.d = d, .c = c, .for_tenant = w->tenant};
	if (!w->rob_guarantees && d->residency->guarantees)
		usage_tenants(d, instance, check_loss, &l);
	return !l.breaks;
}

int64_t census_gives(const struct census *c, int instance)
{
	const struct look *l = &c->look[instance];
	bool last = l->head >= 0 && c->look[l->head].stay == 1;
	return l->private_bytes + (last ? c->look[l->head].mapped_bytes : 0);
}

int64_t census_lose(const struct ps_dispatch *d, struct census *c, int instance)
{
	struct look *l = &c->look[instance];
	struct loss loss = {.c = c};
	int64_t gives = census_gives(c, instance);
	if (l->head >= 0)
		c->look[l->head].stay--;
	if (d->residency->guarantees)
		usage_tenants(d, instance, lose, &loss);
	c->leaving_bytes += gives;
	return gives;
}

int64_t census_put_back(const struct ps_dispatch *d, struct census *c, int instance)
{
	struct look *l = &c->look[instance];
	struct loss loss = {.c = c};
	if (l->head >= 0)
		c->look[l->head].stay++;
	if (d->residency->guarantees)
		usage_tenants(d, instance, have, &loss);
	int64_t gave = census_gives(c, instance);
	c->leaving_bytes -= gave;
	return gave;
}

/* ---- what can be seen --------------------------------------------------------------------- */

void ps_dispatch_memory_view_get(const struct ps_dispatch *d,
				 struct ps_dispatch_memory_view *ret_view)
{
	*ret_view = (struct ps_dispatch_memory_view){.parked = d->parked};
	if (!d->residency)
		return;
	const struct census *c = census_take(d);
	ret_view->budget_bytes = d->residency->config.budget_bytes;
	ret_view->steps = d->residency->steps;
	if (!c)
		return;
	ret_view->used_bytes = c->used_bytes;
	ret_view->leaving_bytes = c->leaving_bytes;
	ret_view->reserved_bytes = c->reserved_bytes;
}
