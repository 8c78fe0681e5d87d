/* What waits: items in buckets of one tenant and one group (instance, shape), a bucket in its
 * group's tree by the tenant's tag, and, while the group may run, in its tenant's tree by the first
 * item. A tenant that has such a bucket stands in its class's tree.
 */
#include "sched/sched_internal.h"

#include <stdlib.h>

/* In a key's order: behind whatever arrives. */
#define PUT_OFF (UINT64_C(1) << 63)

enum { HURRY_RUNS = 2 }; /* company is waited for only while so many runs fit before a deadline */

void ps_sched_item_init(struct ps_sched_item *it)
{
	*it = (struct ps_sched_item){.tenant = -1, .instance = -1, .rows = 1};
}

struct ps_sched_item *queue_first(const struct flow *f)
{
	return ITEM_OF(BUCKET_IN_READY(f->ready.first)->items.first);
}

/* ---- what of a tenant may run ------------------------------------------------------------- */

static void ready_add(struct ps_sched *s, struct ps_sched_bucket *b)
{
	struct flow *f = flow_of(s, b->tenant);
	bool first = f->ready.first == NULL;
	b->in_ready.major = b->items.first->major;
	b->in_ready.minor = b->items.first->minor;
	b->in_ready.order = b->items.first->order;
	tree_insert(&f->ready, &b->in_ready);
	b->is_ready = true;
	if (!first)
		return;
	f->active.major = fair_key(f->tag);
	f->active.order = ++s->order;
	tree_insert(&s->classes[f->class].active, &f->active);
}

static void ready_remove(struct ps_sched *s, struct ps_sched_bucket *b)
{
	struct flow *f = flow_of(s, b->tenant);
	tree_remove(&f->ready, &b->in_ready);
	b->is_ready = false;
	if (!f->ready.first)
		tree_remove(&s->classes[f->class].active, &f->active);
}

/* The first item of a bucket is another one. */
static void ready_again(struct ps_sched_bucket *b, struct flow *f)
{
	const struct ps_sched_node *n = b->items.first;
	if (!b->is_ready || b->in_ready.order == n->order)
		return;
	tree_remove(&f->ready, &b->in_ready);
	b->in_ready.major = n->major;
	b->in_ready.minor = n->minor;
	b->in_ready.order = n->order;
	tree_insert(&f->ready, &b->in_ready);
}

/* ---- groups ------------------------------------------------------------------------------- */

static uint64_t group_hash(int instance, uint64_t shape_key)
{
	return table_hash((uint64_t)instance, shape_key, 1);
}

static struct group *group_find(const struct ps_sched *s, int instance, uint64_t shape_key,
				uint64_t hash)
{
	for (struct entry *e = table_chain(&s->groups, hash); e; e = e->next) {
		struct group *g = (struct group *)e;
		if (g->instance == instance && g->shape_key == shape_key)
			return g;
	}
	return NULL;
}

static struct group *group_get(struct ps_sched *s, int instance, uint64_t shape_key)
{
	uint64_t hash = group_hash(instance, shape_key);
	struct group *g = group_find(s, instance, shape_key, hash);
	if (g)
		return g;
	g = s->free_groups;
	if (g)
		s->free_groups = g->next;
	else
		g = malloc(sizeof *g);
	if (!g)
		return NULL;
	*g = (struct group){.instance = instance, .shape_key = shape_key, .hurry_ns = INT64_MAX};
	if (table_add(&s->groups, &g->entry, hash) != PS_OK) {
		free(g);
		return NULL;
	}
	struct instance *i = &s->instances[instance];
	g->next = i->groups;
	if (g->next)
		g->next->prev = g;
	i->groups = g;
	return g;
}

static void group_put(struct ps_sched *s, struct group *g)
{
	struct instance *i = &s->instances[g->instance];
	if (g->is_delayed)
		tree_remove(&s->delayed, &g->due);
	table_remove(&s->groups, &g->entry);
	if (g->prev)
		g->prev->next = g->next;
	else
		i->groups = g->next;
	if (g->next)
		g->next->prev = g->prev;
	g->next = s->free_groups;
	s->free_groups = g;
}

static int64_t enough_rows(const struct ps_sched_instance *c)
{
	int64_t least = c->max_batch;
	for (int k = 0; k < c->n_preferred; k++)
		if (c->preferred[k] < least)
			least = c->preferred[k];
	return least;
}

static int64_t due_ns(const struct instance *i, const struct group *g)
{
	if (!i->config.max_delay_ns || g->rows >= enough_rows(&i->config))
		return INT64_MIN;
	int64_t due = g->oldest->arrived_ns + i->config.max_delay_ns;
	return g->hurry_ns < due ? g->hurry_ns : due;
}

static void set_delayed(struct ps_sched *s, struct group *g, bool delayed, int64_t due)
{
	if (g->is_delayed)
		tree_remove(&s->delayed, &g->due);
	g->is_delayed = delayed;
	if (!delayed)
		return;
	g->due.major = due;
	g->due.order = ++s->order;
	tree_insert(&s->delayed, &g->due);
}

static void set_ready(struct ps_sched *s, struct group *g, bool ready)
{
	if (ready == g->ready)
		return;
	g->ready = ready;
	for (struct ps_sched_node *n = g->buckets.first; n; n = n->next) {
		if (ready)
			ready_add(s, BUCKET_IN_GROUP(n));
		else
			ready_remove(s, BUCKET_IN_GROUP(n));
	}
}

void queue_refresh(struct ps_sched *s, struct group *g, int64_t now_ns)
{
	const struct instance *i = &s->instances[g->instance];
	int64_t due = due_ns(i, g);
	bool delayed = due > now_ns;
	if (delayed || g->is_delayed)
		set_delayed(s, g, delayed, due);
	bool room = !i->config.max_runs || i->running < i->config.max_runs;
	set_ready(s, g, room && !delayed);
}

void queue_refresh_instance(struct ps_sched *s, struct instance *i, int64_t now_ns)
{
	for (struct group *g = i->groups; g; g = g->next)
		queue_refresh(s, g, now_ns);
}

void queue_release_due(struct ps_sched *s, int64_t now_ns)
{
	while (s->delayed.first && s->delayed.first->major <= now_ns)
		queue_refresh(s, GROUP_OF_DUE(s->delayed.first), now_ns);
}

/* ---- buckets ------------------------------------------------------------------------------ */

static struct ps_sched_bucket *bucket_find(const struct ps_sched *s, int tenant,
					   const struct group *g, uint64_t hash)
{
	for (struct entry *e = table_chain(&s->buckets, hash); e; e = e->next) {
		struct ps_sched_bucket *b = (struct ps_sched_bucket *)e;
		if (b->tenant == tenant && b->group == g)
			return b;
	}
	return NULL;
}

static struct ps_sched_bucket *bucket_new(struct ps_sched *s, int tenant, struct group *g,
					  uint64_t hash)
{
	struct ps_sched_bucket *b = s->free_buckets;
	if (b)
		s->free_buckets = b->next;
	else
		b = malloc(sizeof *b);
	if (!b)
		return NULL;
	*b = (struct ps_sched_bucket){.tenant = tenant, .group = g};
	if (table_add(&s->buckets, &b->entry, hash) == PS_OK)
		return b;
	free(b);
	return NULL;
}

/* Only once it holds an item: its place depends on its tenant's tag and its first item. */
static void bucket_place(struct ps_sched *s, struct ps_sched_bucket *b)
{
	struct flow *f = flow_of(s, b->tenant);
	b->next = f->buckets;
	if (b->next)
		b->next->prev = b;
	f->buckets = b;
	b->in_group.major = f->class;
	b->in_group.minor = fair_key(f->tag);
	b->in_group.order = ++s->order;
	tree_insert(&b->group->buckets, &b->in_group);
	if (b->group->ready)
		ready_add(s, b);
}

static void bucket_put(struct ps_sched *s, struct ps_sched_bucket *b)
{
	struct flow *f = flow_of(s, b->tenant);
	if (b->is_ready)
		ready_remove(s, b);
	tree_remove(&b->group->buckets, &b->in_group);
	table_remove(&s->buckets, &b->entry);
	if (b->prev)
		b->prev->next = b->next;
	else
		f->buckets = b->next;
	if (b->next)
		b->next->prev = b->prev;
	b->next = s->free_buckets;
	s->free_buckets = b;
}

/* ---- items -------------------------------------------------------------------------------- */

static struct ps_sched_bucket *bucket_for(struct ps_sched *s, const struct ps_sched_item *it)
{
	struct group *g = group_get(s, it->instance, it->shape_key);
	if (!g)
		return NULL;
	uint64_t hash = table_hash((uint64_t)it->tenant, (uint64_t)(uintptr_t)g, 2);
	struct ps_sched_bucket *b = bucket_find(s, it->tenant, g, hash);
	if (!b)
		b = bucket_new(s, it->tenant, g, hash);
	if (!b && !g->oldest)
		group_put(s, g);
	return b;
}

static void link_arrival(struct group *g, struct ps_sched_item *it)
{
	it->older = g->newest;
	it->newer = NULL;
	if (g->newest)
		g->newest->newer = it;
	else
		g->oldest = it;
	g->newest = it;
	g->rows += it->rows;
}

static void unlink_arrival(struct group *g, struct ps_sched_item *it)
{
	if (it->older)
		it->older->newer = it->newer;
	else
		g->oldest = it->newer;
	if (it->newer)
		it->newer->older = it->older;
	else
		g->newest = it->older;
	g->rows -= it->rows;
}

static void note_hurry(struct ps_sched *s, struct group *g, const struct ps_sched_item *it)
{
	const struct instance *i = &s->instances[g->instance];
	if (!it->deadline_ns || !i->config.max_delay_ns)
		return;
	double run_ns = learn_ns(i, g->rows, s->options.wide, 0.9);
	int64_t hurry = it->deadline_ns - (int64_t)(HURRY_RUNS * run_ns);
	if (hurry < g->hurry_ns)
		g->hurry_ns = hurry;
}

static void set_key(struct ps_sched *s, struct ps_sched_item *it)
{
	it->node = (struct ps_sched_node){.major = it->level > 0 ? it->level : 1,
					  .minor = it->deadline_ns ? it->deadline_ns : INT64_MAX,
					  .order = ++s->order,
					  .weight = it->rows};
}

enum ps_status ps_sched_push(struct ps_sched *s, struct ps_sched_item *it, int64_t now_ns)
{
	struct flow *f = flow_of(s, it->tenant);
	if (f->len >= f->queue_limit)
		return PS_EQUOTA;
	struct ps_sched_bucket *b = bucket_for(s, it);
	if (!b)
		return PS_ENOMEM;
	bool fresh = b->items.first == NULL;
	it->bucket = b;
	it->arrived_ns = now_ns;
	it->left_ns = 0;
	it->charged_ns = 0;
	set_key(s, it);
	tree_insert(&b->items, &it->node);
	link_arrival(b->group, it);
	note_hurry(s, b->group, it);
	s->len++;
	s->classes[f->class].len++;
	if (f->len++ == 0)
		fair_backlogged(s, f);
	if (fresh)
		bucket_place(s, b);
	else
		ready_again(b, f);
	queue_refresh(s, b->group, now_ns);
	return PS_OK;
}

void queue_unlink(struct ps_sched *s, struct ps_sched_item *it)
{
	struct ps_sched_bucket *b = it->bucket;
	struct flow *f = flow_of(s, it->tenant);
	tree_remove(&b->items, &it->node);
	unlink_arrival(b->group, it);
	it->bucket = NULL;
	s->len--;
	s->classes[f->class].len--;
	if (b->items.first)
		ready_again(b, f);
	else
		bucket_put(s, b);
	if (--f->len == 0)
		fair_idle(s, f);
}

void queue_settle(struct ps_sched *s, struct group *g, int64_t now_ns)
{
	if (!g->oldest) {
		group_put(s, g);
		return;
	}
	if (g->oldest->arrived_ns > g->hurry_ns) /* whoever was in a hurry has gone */
		g->hurry_ns = INT64_MAX;
	queue_refresh(s, g, now_ns);
}

void ps_sched_remove(struct ps_sched *s, struct ps_sched_item *it, int64_t now_ns)
{
	struct group *g = it->bucket->group;
	if (it->deadline_ns && it->deadline_ns <= now_ns)
		margin_outcome(s, it, true, 0, now_ns);
	queue_unlink(s, it);
	queue_settle(s, g, now_ns);
}

/* Its deadline, if it has one, still ends it: it is the place in the order alone that goes. */
void ps_sched_put_off(struct ps_sched *s, struct ps_sched_item *it)
{
	struct ps_sched_bucket *b = it->bucket;
	int64_t level = it->node.major;
	tree_remove(&b->items, &it->node);
	it->node = (struct ps_sched_node){.major = level,
					  .minor = INT64_MAX,
					  .order = ++s->order | PUT_OFF,
					  .weight = it->rows};
	tree_insert(&b->items, &it->node);
	it->start_by_ns = 0;
	ready_again(b, flow_of(s, it->tenant));
}

static void free_groups(struct group *g)
{
	for (struct group *next; g; g = next) {
		next = g->next;
		free(g);
	}
}

static void free_buckets(struct ps_sched_bucket *b)
{
	for (struct ps_sched_bucket *next; b; b = next) {
		next = b->next;
		free(b);
	}
}

void queue_fini(struct ps_sched *s)
{
	for (int c = 0; c < PS_SCHED_CLASSES; c++)
		for (const struct flow *f = s->classes[c].backlogged; f; f = f->next)
			free_buckets(f->buckets);
	for (int k = 0; k < s->n_instances; k++)
		free_groups(s->instances[k].groups);
	free_groups(s->free_groups);
	free_buckets(s->free_buckets);
	table_fini(&s->groups);
	table_fini(&s->buckets);
}
