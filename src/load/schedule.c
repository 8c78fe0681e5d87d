/* schedule.c - see schedule.h. */
#include "load/schedule.h"

#include <stdlib.h>

/* An entry whose next instant lies past the end leaves the heap for good. */
static void push_next(struct ps_load_schedule *s, struct ps_load_schedule_entry *e)
{
	int64_t at;

	do {
		at = ps_load_arrivals_instant(ps_load_arrivals_next(&e->arrivals));
	} while (at < s->end_ns && (e->arrivals.count - 1) % s->threads != s->thread);

	if (at < s->end_ns) {
		/* Cannot fail: init has pushed every entry once, so the room is there. */
		(void)ps_heap_push(&s->heap, &e->node, at);
	}
}

/* Room for all entries is taken at once, so that no later push can fail. */
static enum ps_status reserve(struct ps_load_schedule *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		ps_heap_node_init(&s->entries[i].node);
		if (ps_heap_push(&s->heap, &s->entries[i].node, 0) != PS_OK) {
			return PS_ENOMEM;
		}
	}
	while (ps_heap_pop(&s->heap)) {
	}
	return PS_OK;
}

enum ps_status ps_load_schedule_init(struct ps_load_schedule *s, const struct ps_load_plan *plan,
				     unsigned thread, unsigned threads)
{
	*s = (struct ps_load_schedule){.end_ns = plan->warmup_ns + plan->duration_ns,
				       .thread = thread,
				       .threads = threads};
	ps_heap_init(&s->heap);
	s->entries = calloc(plan->tenant_len ? plan->tenant_len : 1, sizeof(*s->entries));
	if (!s->entries || reserve(s, plan->tenant_len) != PS_OK) {
		ps_load_schedule_fini(s);
		return PS_ENOMEM;
	}
	for (size_t i = 0; i < plan->tenant_len; i++) {
		const struct ps_load_tenant *t = &plan->tenants[i];
		struct ps_load_schedule_entry *e = &s->entries[i];

		e->tenant = i;
		if (!ps_load_arrival_is_closed(&t->arrival)) {
			ps_load_arrivals_init(&e->arrivals, &t->arrival, plan->seed, t->name);
			e->arrivals.until_ns = (double)s->end_ns;
			push_next(s, e);
		}
	}
	return PS_OK;
}

void ps_load_schedule_fini(struct ps_load_schedule *s)
{
	ps_heap_fini(&s->heap);
	free(s->entries);
	s->entries = NULL;
}

int64_t ps_load_schedule_peek(const struct ps_load_schedule *s)
{
	const struct ps_heap_node *n = ps_heap_peek(&s->heap);

	return n ? n->key : INT64_MAX;
}

bool ps_load_schedule_pop(struct ps_load_schedule *s, size_t *ret_tenant, int64_t *ret_instant_ns,
			  uint64_t *ret_sequence)
{
	struct ps_heap_node *n = ps_heap_pop(&s->heap);
	struct ps_load_schedule_entry *e;

	if (!n) {
		return false;
	}
	e = (struct ps_load_schedule_entry *)((char *)n -
					      offsetof(struct ps_load_schedule_entry, node));
	*ret_tenant = e->tenant;
	*ret_instant_ns = n->key;
	*ret_sequence = e->arrivals.count - 1;
	push_next(s, e);
	return true;
}
