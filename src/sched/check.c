#include "sched/sched_internal.h"

static bool check_bucket(const struct ps_sched *s, const struct ps_sched_bucket *b,
			 int64_t *ret_items)
{
	const struct flow *f = flow_of(s, b->tenant);
	for (const struct ps_sched_node *n = b->items.first; n; n = n->next, ++*ret_items) {
		const struct ps_sched_item *it = ITEM_OF(n);
		if (it->bucket != b || it->tenant != b->tenant || n->weight != it->rows ||
		    it->instance != b->group->instance || it->shape_key != b->group->shape_key)
			return false;
	}
	return b->items.first && tree_check(&b->items) && b->is_ready == b->group->ready &&
	       b->in_group.major == (int64_t)f->class && b->in_group.minor == fair_key(f->tag) &&
	       (!b->is_ready || b->in_ready.order == b->items.first->order);
}

static bool check_flow(const struct ps_sched *s, const struct flow *f)
{
	int64_t items = 0;
	for (const struct ps_sched_bucket *b = f->buckets; b; b = b->next)
		if (!check_bucket(s, b, &items))
			return false;
	return items == f->len && tree_check(&f->ready) && f->tag >= 0 && f->run_cost == 0 &&
	       (!f->ready.first || f->active.major == fair_key(f->tag));
}

static bool check_group(const struct group *g)
{
	int64_t rows = 0, in_buckets = 0;
	for (const struct ps_sched_item *it = g->oldest; it; it = it->newer)
		rows += it->rows;
	for (const struct ps_sched_node *n = g->buckets.first; n; n = n->next)
		in_buckets += tree_sum(&BUCKET_IN_GROUP(n)->items);
	return rows == g->rows && rows == in_buckets && g->oldest && tree_check(&g->buckets) &&
	       !(g->ready && g->is_delayed);
}

static bool check_class(const struct ps_sched *s, int c)
{
	const struct class *class = &s->classes[c];
	int64_t len = 0;
	int flows = 0, active = 0;
	for (const struct flow *f = class->backlogged; f; f = f->next, flows++) {
		len += f->len;
		active += f->ready.first != NULL;
		if ((int)f->class != c || !f->len || !check_flow(s, f))
			return false;
	}
	for (const struct ps_sched_node *n = class->active.first; n; n = n->next)
		active--;
	return len == class->len && flows == class->n_backlogged && active == 0 &&
	       tree_check(&class->active);
}

bool ps_sched_check(const struct ps_sched *s)
{
	int64_t len = 0;
	int running = 0, wide = 0;
	for (int c = 0; c < PS_SCHED_CLASSES; c++) {
		len += s->classes[c].len;
		if (!check_class(s, c))
			return false;
	}
	for (int k = 0; k < s->n_instances; k++)
		for (const struct group *g = s->instances[k].groups; g; g = g->next)
			if (!check_group(g))
				return false;
	for (int k = 0; k < s->options.n_lanes; k++) {
		running += s->runs[k].n > 0;
		wide += s->runs[k].n && s->runs[k].width > 1;
	}
	return len == s->len && running == s->running && wide == s->wide_running &&
	       tree_check(&s->delayed);
}
