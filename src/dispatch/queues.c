/* What the configuration of a model says about waiting: levels of priority, how many of a tenant
 * may wait at a level, and how long. Only what has a limit is counted: a count takes memory while
 * something waits under it.
 */
#include "dispatch/dispatch_internal.h"

#include <stdlib.h>

enum { FIRST_SLOTS = 64 };

/* Requests of a tenant that wait for a model at a level. Models of the same content share an
 * instance and still have queues of their own, as they have statistics and bills. */
struct count {
	int tenant, model, level;
	int64_t n; /* 0: the slot is free */
};

static const struct ps_repo_batching *batching_of(const struct ps_dispatch *d,
						  const struct ps_dispatch_request *r)
{
	return &ps_repo_get(d->config.repo, r->model)->config->batching;
}

bool queue_level(const struct ps_dispatch *d, struct ps_dispatch_request *r, int64_t *ret_most)
{
	const struct ps_repo_batching *b = batching_of(d, r);
	*ret_most = b->priority_levels;
	if (b->priority_levels < 1)
		return true;
	if (r->level > b->priority_levels)
		return false;
	if (r->level < 1)
		r->level = (int)b->default_priority_level;
	return true;
}

const struct ps_repo_queue_policy *queue_policy(const struct ps_dispatch *d,
						const struct ps_dispatch_request *r)
{
	return ps_repo_queue_policy_get(batching_of(d, r), r->level);
}

/* ---- counts ------------------------------------------------------------------------------- */

static size_t home(const struct counts *c, const struct count *x)
{
	uint64_t h = (uint64_t)(uint32_t)x->tenant << 32 | (uint32_t)x->model;
	h = (h + (uint64_t)(uint32_t)x->level * UINT64_C(0xd6e8feb86659fd93)) *
	    UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(h >> 32) & (c->n_slots - 1);
}

/* The slot of it, or the free one where it would be. */
static size_t slot_of(const struct counts *c, const struct count *x)
{
	size_t at = home(c, x);
	for (; c->slots[at].n; at = (at + 1) & (c->n_slots - 1))
		if (c->slots[at].tenant == x->tenant && c->slots[at].model == x->model &&
		    c->slots[at].level == x->level)
			break;
	return at;
}

/* Without priority levels all requests are in one queue, whatever order they ask for. */
static struct count key_of(const struct ps_dispatch *d, const struct ps_dispatch_request *r)
{
	bool levels = batching_of(d, r)->priority_levels > 0;
	return (struct count){
		.tenant = r->tenant, .model = r->model, .level = levels ? r->level : 0};
}

static enum ps_status make_room(struct counts *c)
{
	if ((c->len + 1) * 2 <= c->n_slots)
		return PS_OK;
	struct counts more = {.n_slots = c->n_slots ? 2 * c->n_slots : FIRST_SLOTS, .len = c->len};
	more.slots = calloc(more.n_slots, sizeof *more.slots);
	if (!more.slots)
		return PS_ENOMEM;
	for (size_t i = 0; i < c->n_slots; i++)
		if (c->slots[i].n)
			more.slots[slot_of(&more, &c->slots[i])] = c->slots[i];
	free(c->slots);
	*c = more;
	return PS_OK;
}

/* What stands behind a slot that becomes free moves up where it would be looked for in vain. */
static void close_gap(struct counts *c, size_t gap)
{
	size_t mask = c->n_slots - 1;
	for (size_t at = (gap + 1) & mask; c->slots[at].n; at = (at + 1) & mask) {
		size_t wanted = home(c, &c->slots[at]);
		if (((at - wanted) & mask) < ((at - gap) & mask))
			continue;
		c->slots[gap] = c->slots[at];
		c->slots[at].n = 0;
		gap = at;
	}
}

enum ps_status queue_room(struct ps_dispatch *d, struct ps_dispatch_request *r,
			  int64_t *ret_waiting)
{
	enum ps_status s = make_room(&d->counts);
	if (s != PS_OK)
		return s;
	struct count key = key_of(d, r);
	*ret_waiting = d->counts.slots[slot_of(&d->counts, &key)].n;
	r->queue = key.level;
	r->counted = true;
	return PS_OK;
}

void queue_count(struct ps_dispatch *d, const struct ps_dispatch_request *r, int change)
{
	struct counts *c = &d->counts;
	struct count key = {.tenant = r->tenant, .model = r->model, .level = r->queue};
	size_t at = slot_of(c, &key);
	if (!c->slots[at].n) {
		c->slots[at] = key;
		c->len++;
	}
	c->slots[at].n += change;
	if (c->slots[at].n)
		return;
	c->len--;
	close_gap(c, at);
}

void queues_fini(struct ps_dispatch *d)
{
	free(d->counts.slots);
}
