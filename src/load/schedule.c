/* schedule.c - see schedule.h. */
#include "load/schedule.h"

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

bool ps_load_bursts_resolve(struct ps_load_bursts *b)
{
	b->ratio = b->ratio != 0 ? b->ratio : 4;
	b->share = b->share != 0 ? b->share : 0.2;
	b->length_ns = b->length_ns != 0 ? b->length_ns : PS_NS_PER_SEC;
	return b->ratio >= 1 && b->share > 0 && b->share < 1 && b->share * b->ratio <= 1 + 1e-9 &&
	       b->length_ns > 0;
}

static void enter_state(struct ps_load_arrivals *a, int state)
{
	a->state = state;
	a->gap_ns = a->state_gap_ns[state];
	a->state_end_ns += ps_rng_exponential(&a->rng, a->state_ns[state]);
}

/* It begins as it goes on: in a burst with the probability that any later instant has. */
static void start_bursts(struct ps_load_arrivals *a, const struct ps_load_bursts *bursts)
{
	struct ps_load_bursts b = *bursts;
	double mean_ns = a->gap_ns;

	(void)ps_load_bursts_resolve(&b);
	double rest = (1 - b.share * b.ratio) / (1 - b.share);
	a->state_gap_ns[1] = mean_ns / b.ratio;
	a->state_gap_ns[0] = rest > 1e-9 ? mean_ns / rest : INFINITY;
	a->state_ns[1] = (double)b.length_ns;
	a->state_ns[0] = (double)b.length_ns * (1 - b.share) / b.share;
	enter_state(a, ps_rng_uniform(&a->rng) < b.share);
}

/* An exponential gap has no memory: what is left of one at a change of state is drawn anew. */
static double next_burst(struct ps_load_arrivals *a)
{
	for (;;) {
		double at = a->sum_ns + ps_rng_exponential(&a->rng, 1) * a->gap_ns;
		if (at <= a->state_end_ns)
			return a->sum_ns = at;
		a->sum_ns = a->state_end_ns;
		enter_state(a, !a->state);
	}
}

void ps_load_arrivals_init(struct ps_load_arrivals *a, enum ps_load_arrival kind, double rate_rps,
			   const struct ps_load_bursts *bursts, uint64_t seed, const char *name)
{
	char stream[192];

	snprintf(stream, sizeof(stream), "%s/arrivals", name);
	*a = (struct ps_load_arrivals){.kind = kind, .gap_ns = 1e9 / rate_rps};
	ps_rng_init(&a->rng, seed, ps_rng_stream(stream));
	if (kind == PS_LOAD_BURSTS)
		start_bursts(a, bursts);
}

int64_t ps_load_arrivals_next(struct ps_load_arrivals *a)
{
	double at;

	if (a->kind == PS_LOAD_POISSON) {
		a->sum_ns += ps_rng_exponential(&a->rng, a->gap_ns);
		at = a->sum_ns;
	} else if (a->kind == PS_LOAD_BURSTS) {
		at = next_burst(a);
	} else {
		/* A product, not a sum: no error gathers however long the run. */
		at = ((double)a->count + 0.5) * a->gap_ns;
	}
	a->count++;
	return at < 0x1p62 ? (int64_t)llround(at) : INT64_MAX;
}

/* An entry whose next instant lies past the end leaves the heap for good. */
static void push_next(struct ps_load_schedule *s, struct ps_load_schedule_entry *e)
{
	int64_t at = ps_load_arrivals_next(&e->arrivals);

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

enum ps_status ps_load_schedule_init(struct ps_load_schedule *s, const struct ps_load_plan *plan)
{
	*s = (struct ps_load_schedule){.end_ns = plan->warmup_ns + plan->duration_ns};
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
		if (t->arrival != PS_LOAD_CLOSED) {
			ps_load_arrivals_init(&e->arrivals, t->arrival, t->rate_rps, &t->bursts,
					      plan->seed, t->name);
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
