/* world.h - lanes in virtual time around sched alone, for its tests. */
#ifndef PS_TESTS_UNIT_SCHED_WORLD_H
#define PS_TESTS_UNIT_SCHED_WORLD_H

#include "base/heap.h"
#include "base/rng.h"
#include "sched/sched.h"

#include <stdlib.h>
#include <string.h>

#define MS INT64_C(1000000)

struct job {
	struct ps_sched_item item;
	struct ps_heap_node deadline;
	int64_t service_ns; /* of a run of it alone, where the world wants it */
	int64_t arrived_ns;
	int id;
	struct job *next_free;
};

struct world_lane {
	struct ps_heap_node done;
	const struct ps_sched_run *run;
	struct ps_sched_item *first;
};

struct world {
	struct ps_sched *s;
	int n_lanes;
	int64_t now_ns;
	struct ps_heap completions;
	struct world_lane lanes[PS_SCHED_MAX_LANES];
	struct ps_rng rng;
	void *ctx;
	/* How long this run takes. */
	int64_t (*service)(struct world *w, const struct ps_sched_run *run);
	/* A run begins; ends (its items are still linked by `next` from `first`). May be NULL. */
	void (*began)(struct world *w, const struct ps_sched_run *run);
	void (*ended)(struct world *w, struct ps_sched_item *first, int64_t started_ns);
	bool check; /* the invariants after each event */
};

static inline void world_init(struct world *w, const struct ps_sched_options *o, uint64_t seed)
{
	*w = (struct world){.n_lanes = o->n_lanes, .check = true};
	assert_int_equal(ps_sched_new(o, &w->s), PS_OK);
	ps_heap_init(&w->completions);
	ps_rng_init(&w->rng, seed, 7);
	for (int k = 0; k < w->n_lanes; k++)
		ps_heap_node_init(&w->lanes[k].done);
}

static inline void world_fini(struct world *w)
{
	ps_heap_fini(&w->completions);
	ps_sched_free(w->s);
}

static inline void world_tenant(struct world *w, int tenant, int64_t weight,
				enum ps_sched_class class, int64_t limit)
{
	struct ps_sched_tenant t = {.weight = weight, .class = class, .queue_limit = limit};
	assert_int_equal(ps_sched_set_tenant(w->s, tenant, &t), PS_OK);
}

static inline void world_instance(struct world *w, int instance, int64_t max_batch)
{
	struct ps_sched_instance i = {.max_batch = max_batch};
	assert_int_equal(ps_sched_set_instance(w->s, instance, &i, true), PS_OK);
}

static inline void world_begun(struct world *w, const struct ps_sched_run *run)
{
	struct world_lane *l = &w->lanes[run->lane];
	assert_null(l->run);
	l->run = run;
	l->first = run->first;
	int64_t ns = w->service(w, run);
	if (w->began)
		w->began(w, run);
	ps_heap_push(&w->completions, &l->done, w->now_ns + ns);
}

/* All idle lanes ask. */
static inline void world_offer(struct world *w)
{
	for (int k = 0; k < w->n_lanes; k++) {
		if (w->lanes[k].run)
			continue;
		const struct ps_sched_run *run = ps_sched_start(w->s, k, w->now_ns);
		if (!run)
			break;
		world_begun(w, run);
	}
	assert_false(ps_sched_wants_lane(w->s, w->now_ns));
	if (w->check)
		assert_true(ps_sched_check(w->s));
}

static inline int64_t world_next_ns(const struct world *w)
{
	struct ps_heap_node *n = ps_heap_peek(&w->completions);
	return n ? n->key : INT64_MAX;
}

/* The next run ends. */
static inline void world_step(struct world *w)
{
	struct ps_heap_node *n = ps_heap_pop(&w->completions);
	struct world_lane *l = (struct world_lane *)((char *)n - offsetof(struct world_lane, done));
	int64_t started_ns = l->run->started_ns;
	w->now_ns = n->key;
	ps_sched_finish(w->s, (int)(l - w->lanes), started_ns, w->now_ns, true);
	l->run = NULL;
	if (w->ended)
		w->ended(w, l->first, started_ns);
	world_offer(w);
}

#endif
