#include "sched/sched.h"

#include <stdlib.h>

enum ps_status ps_sched_init(struct ps_sched *s, int n_queues)
{
	struct ps_sched_queue *queues = calloc((size_t)n_queues, sizeof *queues);
	if (!queues)
		return PS_ENOMEM;
	*s = (struct ps_sched){.queues = queues, .n_queues = n_queues};
	for (int i = 0; i < n_queues; i++)
		ps_sched_configure(s, i, 1, 1);
	return PS_OK;
}

void ps_sched_fini(struct ps_sched *s)
{
	free(s->queues);
	*s = (struct ps_sched){0};
}

void ps_sched_configure(struct ps_sched *s, int queue, int64_t limit, int64_t weight)
{
	s->queues[queue].limit = limit;
	s->queues[queue].weight = weight;
}

void ps_sched_item_init(struct ps_sched_item *it)
{
	*it = (struct ps_sched_item){.queue = -1};
}

/* The end of the ring is just before the queue whose turn it is. */
static void ring_join(struct ps_sched *s, struct ps_sched_queue *q)
{
	q->left = q->weight;
	if (!s->turn) {
		q->ring_next = q->ring_prev = q;
		s->turn = q;
		return;
	}
	q->ring_next = s->turn;
	q->ring_prev = s->turn->ring_prev;
	q->ring_prev->ring_next = q;
	s->turn->ring_prev = q;
}

static void ring_leave(struct ps_sched *s, struct ps_sched_queue *q)
{
	if (q->ring_next == q) {
		s->turn = NULL;
	} else {
		q->ring_prev->ring_next = q->ring_next;
		q->ring_next->ring_prev = q->ring_prev;
		if (s->turn == q)
			s->turn = q->ring_next;
	}
	q->ring_next = q->ring_prev = NULL;
}

enum ps_status ps_sched_push(struct ps_sched *s, struct ps_sched_item *it, int queue)
{
	struct ps_sched_queue *q = &s->queues[queue];
	if (q->len >= q->limit)
		return PS_EQUOTA;
	it->queue = queue;
	it->next = NULL;
	it->prev = q->last;
	if (q->last)
		q->last->next = it;
	else
		q->first = it;
	q->last = it;
	if (q->len++ == 0)
		ring_join(s, q);
	s->len++;
	return PS_OK;
}

void ps_sched_remove(struct ps_sched *s, struct ps_sched_item *it)
{
	struct ps_sched_queue *q = &s->queues[it->queue];
	if (it->prev)
		it->prev->next = it->next;
	else
		q->first = it->next;
	if (it->next)
		it->next->prev = it->prev;
	else
		q->last = it->prev;
	ps_sched_item_init(it);
	s->len--;
	if (--q->len == 0)
		ring_leave(s, q);
}

struct ps_sched_item *ps_sched_pop(struct ps_sched *s)
{
	struct ps_sched_queue *q = s->turn;
	if (!q)
		return NULL;
	struct ps_sched_item *it = q->first;
	bool stays = q->len > 1;
	ps_sched_remove(s, it);
	if (stays && --q->left <= 0) {
		q->left = q->weight;
		s->turn = q->ring_next;
	}
	return it;
}
