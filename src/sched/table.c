#include "sched/sched_internal.h"

#include <stdlib.h>

enum { FIRST_SLOTS = 64 };

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t table_hash(uint64_t a, uint64_t b, uint64_t c)
{
	return mix(mix(mix(a + UINT64_C(0x9e3779b97f4a7c15)) + b) + c);
}

struct entry *table_chain(const struct table *t, uint64_t hash)
{
	return t->n_slots ? t->slots[hash & (t->n_slots - 1)] : NULL;
}

static void put(struct table *t, struct entry *e)
{
	struct entry **slot = &t->slots[e->hash & (t->n_slots - 1)];
	e->next = *slot;
	*slot = e;
}

/* A table that could not grow has longer chains, and works. */
static void grow(struct table *t)
{
	struct table bigger = {.n_slots = t->n_slots ? 2 * t->n_slots : FIRST_SLOTS, .len = t->len};
	bigger.slots = calloc(bigger.n_slots, sizeof *bigger.slots);
	if (!bigger.slots)
		return;
	for (size_t i = 0; i < t->n_slots; i++)
		for (struct entry *e = t->slots[i], *next; e; e = next) {
			next = e->next;
			put(&bigger, e);
		}
	free(t->slots);
	*t = bigger;
}

enum ps_status table_add(struct table *t, struct entry *e, uint64_t hash)
{
	if (t->len >= t->n_slots)
		grow(t);
	if (!t->n_slots)
		return PS_ENOMEM;
	e->hash = hash;
	put(t, e);
	t->len++;
	return PS_OK;
}

void table_remove(struct table *t, struct entry *e)
{
	struct entry **p = &t->slots[e->hash & (t->n_slots - 1)];
	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	t->len--;
}

void table_fini(struct table *t)
{
	free(t->slots);
	*t = (struct table){0};
}
