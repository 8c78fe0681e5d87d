/* What the policy calls an item: a content, under however many names. Names that were found to hold
 * the same share a number of the cache, and what is asked of each; one whose content becomes
 * another one takes its part of that with it.
 */
#include "dispatch/residency_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_SIZE = 32 };

static const double SECONDS = 1e-9;

/* ---- numbers ------------------------------------------------------------------------------ */

static bool has_slot(struct residency *r, int fair)
{
	int n = r->n_fair ? r->n_fair : 16;
	if (fair < r->n_fair)
		return true;
	while (n <= fair)
		n *= 2;
	struct fair_slot *more = realloc(r->fairs, (size_t)n * sizeof *more);
	if (!more)
		return false;
	r->fairs = more;
	while (r->n_fair < n)
		r->fairs[r->n_fair++] = (struct fair_slot){.item = -1};
	return true;
}

/* The next item of a number after `item`; -1: none. O(1) where there is one only. */
static int next_member(const struct residency *r, int fair, int item)
{
	if (r->fairs[fair].members == 1)
		return item < 0 ? r->fairs[fair].item : -1;
	for (int i = item + 1; i < r->n_items; i++)
		if (r->items[i].fair == fair)
			return i;
	return -1;
}

static void add_member(struct residency *r, int fair, int item)
{
	struct fair_slot *s = &r->fairs[fair];
	s->members++;
	s->item = s->item < 0 ? item : s->item;
	r->items[item].fair = fair;
}

/* The last one takes the number with it. */
static void take_member(struct residency *r, int item)
{
	int fair = r->items[item].fair;
	struct fair_slot *s = &r->fairs[fair];
	r->items[item].fair = -1;
	if (--s->members == 0) {
		s->item = -1;
		ps_cache_drop_item(r->cache, fair);
		return;
	}
	for (int i = 0; s->item == item && i < r->n_items; i++)
		if (r->items[i].fair == fair)
			s->item = i;
}

static void drop_number(struct residency *r, int fair)
{
	for (int i = next_member(r, fair, -1), next; i >= 0; i = next) {
		next = next_member(r, fair, i);
		take_member(r, i);
	}
}

static void tell_resident(struct residency *r, int fair)
{
	bool there = false;
	for (int i = next_member(r, fair, -1); i >= 0 && !there; i = next_member(r, fair, i))
		there = r->items[i].resident;
	ps_cache_set_resident(r->cache, fair, there);
}

/* ---- what the policy is told -------------------------------------------------------------- */

struct ps_cache_item fair_values(const struct ps_dispatch *d, const struct item *it)
{
	const struct residency *r = d->residency;
	const struct ps_repo_model *m = ps_repo_get(d->config.repo, it->model);
	struct ps_cache_item v = {.bytes = it->bytes > 0 ? it->bytes : m->identity.bytes,
				  .load_s = (double)load_expected_ns(d, it) * SECONDS,
				  .resident = it->resident,
				  .pinned = m->config->pinned};
	int first =
		it->fair < 0 || r->fairs[it->fair].members == 1 ? -1 : next_member(r, it->fair, -1);
	for (int i = first; i >= 0; i = next_member(r, it->fair, i)) {
		v.resident = v.resident || r->items[i].resident;
		v.pinned =
			v.pinned || ps_repo_get(d->config.repo, r->items[i].model)->config->pinned;
	}
	return v;
}

/* For one that takes more than half of the memory the others' plan does not stay so small: it is
 * loaded through what they keep. */
bool fair_counts_as_largest(const struct ps_dispatch *d, int64_t bytes)
{
	return bytes <= room_most(d) / 2;
}

void fair_item(struct ps_dispatch *d, int item)
{
	struct residency *r = d->residency;
	struct item *it = &r->items[item];
	struct ps_cache_item v = fair_values(d, it);
	bool known = it->fair >= 0;
	uint64_t number = known ? r->fairs[it->fair].key : ++r->last_key;
	struct ps_error err;
	char key[KEY_SIZE];
	int fair = -1;
	if (v.bytes > r->largest_bytes && fair_counts_as_largest(d, v.bytes)) {
		r->largest_bytes = v.bytes;
		fair_set_capacity(r);
	}
	snprintf(key, sizeof key, "%llu", (unsigned long long)number);
	bool fits = v.pinned || (v.bytes <= room_most(d) && it->needs_bytes <= room_most(d));
	bool told = fits && ps_cache_set_item(r->cache, key, &v, &fair, &err) == PS_OK;
	if (!told && known)
		drop_number(r, it->fair);
	if (!told || known)
		return;
	if (!has_slot(r, fair)) {
		ps_cache_drop_item(r->cache, fair);
		return;
	}
	r->fairs[fair].key = number;
	add_member(r, fair, item);
}

/* ---- contents ----------------------------------------------------------------------------- */

/* What a tenant asks of all items of a number. */
static double asked_of(const struct residency *r, int tenant, int fair)
{
	double sum = 0;
	for (int i = next_member(r, fair, -1); i >= 0; i = next_member(r, fair, i))
		sum += usage_demand(r, tenant, i);
	return sum;
}

static void move_demand(struct residency *r, int who, int from, int to, double part)
{
	double all = ps_cache_demand(r->cache, who, from);
	if (!(all > 0))
		return;
	ps_cache_set_demand(r->cache, who, from, all * (1 - part));
	ps_cache_set_demand(r->cache, who, to, ps_cache_demand(r->cache, who, to) + all * part);
}

/* An item is not what others of its number are any more. */
static void leave(struct ps_dispatch *d, int item)
{
	struct residency *r = d->residency;
	int from = r->items[item].fair;
	if (from < 0 || r->fairs[from].members == 1)
		return;
	take_member(r, item);
	tell_resident(r, from);
	fair_item(d, item);
	int to = r->items[item].fair;
	for (int u = r->items[item].first_use; u >= 0 && to >= 0; u = r->uses[u].next) {
		int who = d->tenants[r->uses[u].tenant].fair - 1;
		double own = r->uses[u].demand;
		double others = asked_of(r, r->uses[u].tenant, from);
		if (who >= 0 && own > 0)
			move_demand(r, who, from, to, own / (own + others));
	}
}

/* Both were found to be one content: what was asked of one is asked of the other. */
static void join(struct ps_dispatch *d, int item, int with)
{
	struct residency *r = d->residency;
	int to = r->items[with].fair;
	if (to < 0 || r->items[item].fair == to)
		return;
	leave(d, item);
	int from = r->items[item].fair;
	for (int t = 0; from >= 0 && t < ps_cache_tenants(r->cache); t++)
		move_demand(r, t, from, to, 1);
	if (from >= 0)
		take_member(r, item);
	add_member(r, to, item);
	tell_resident(r, to);
}

void fair_content(struct ps_dispatch *d, int item, const struct ps_repo_instance *in)
{
	struct residency *r = d->residency;
	struct item *it = &r->items[item];
	if (!in->hashed)
		return;
	if (it->hashed && memcmp(it->hash, in->hash, sizeof it->hash) != 0)
		leave(d, item);
	it->hashed = true;
	it->hash_of = ps_repo_get(d->config.repo, it->model)->identity;
	memcpy(it->hash, in->hash, sizeof it->hash);
	for (int k = 0; k < in->n_users; k++) {
		int o = item_find(r, in->users[k], in->domain);
		if (o >= 0 && o != item && r->items[o].hashed &&
		    memcmp(r->items[o].hash, in->hash, sizeof in->hash) == 0)
			join(d, item, o);
	}
}

/* Its file is another one than the one that was hashed, and nobody has looked into it. */
static void check_file(struct ps_dispatch *d, int item)
{
	struct item *it = &d->residency->items[item];
	const struct ps_repo_model *m = ps_repo_get(d->config.repo, it->model);
	if (!it->hashed || ps_repo_identity_equal(&it->hash_of, &m->identity))
		return;
	leave(d, item);
	it->hashed = false;
}

void fair_look(struct ps_dispatch *d, int item)
{
	struct residency *r = d->residency;
	struct item *it = &r->items[item];
	int instance = ps_repo_serving(d->config.repo, it->model, it->domain);
	const struct ps_repo_instance *in =
		instance < 0 ? NULL : ps_repo_instance_get(d->config.repo, instance);
	uint64_t id = in ? in->id : 0;
	if (!in)
		check_file(d, item);
	if (id == it->served_by)
		return;
	it->served_by = id;
	it->resident = in != NULL;
	if (in)
		fair_content(d, item, in);
	if (it->fair >= 0)
		tell_resident(r, it->fair);
}
